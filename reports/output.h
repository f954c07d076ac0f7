/* The files of one run's report: rendered by who knows what it came to, named and written here.
 *
 * Into the run's folder all of them or, where single ones were asked for, those alone, to paths of the
 * working directory. What has no name is not written; rendering it is in vain, but no error.
 */
#pragma once

#include "reports/report.h"
#include "sim/base/buf.h"

struct output_file {
    const char *name; /* NULL: not written */
    struct buf text;
};

struct output {
    int dirfd; /* borrowed */
    struct output_file result, md, html, junit, metrics;
};
#define AUTO_OUTPUT __attribute__((cleanup(output_done))) struct output

/* With names for what the request asks for; `dirfd`: where all of them go, if all are. */
struct output output_of(const struct report_request *q, int dirfd);
void output_done(struct output *o);
/* Each is replaced as a whole. */
int output_write(const struct output *o, struct err *err);
/* Single files were asked for: nothing goes into the folder. */
bool output_is_single(const struct report_request *q);
