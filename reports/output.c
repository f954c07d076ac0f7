/* The files of one run's report. */
#include "reports/output.h"

#include <fcntl.h>

#include "sim/base/cleanup.h"
#include "sim/base/file.h"

bool output_is_single(const struct report_request *q)
{
    return q->html || q->md || q->junit || q->metrics;
}

struct output output_of(const struct report_request *q, int dirfd)
{
    if (output_is_single(q))
        return (struct output){.dirfd = AT_FDCWD,
                               .md = {.name = q->md},
                               .html = {.name = q->html},
                               .junit = {.name = q->junit},
                               .metrics = {.name = q->metrics}};
    return (struct output){.dirfd = dirfd,
                           .result = {.name = "result.json"},
                           .md = {.name = "report.md"},
                           .html = {.name = "report.html"},
                           .junit = {.name = "junit.xml"},
                           .metrics = {.name = "metrics.prom"}};
}

void output_done(struct output *o)
{
    struct output_file *all[] = {&o->result, &o->md, &o->html, &o->junit, &o->metrics};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        buf_done(&all[i]->text);
}

int output_write(const struct output *o, struct err *err)
{
    const struct output_file *all[] = {&o->result, &o->md, &o->html, &o->junit, &o->metrics};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        const struct output_file *f = all[i];
        int rc =
            f->name ? file_replace(o->dirfd, f->name, buf_text(&f->text), f->text.len, err) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}
