/* What a run or a forecast came to, on stdout and where the options say: --json, --junit, --metrics, -q.
 *
 * Everything is borrowed.
 */
#pragma once

#include "reports/report.h"
#include "sim/cli/args.h"

/* The exit code: that of the report, or EXIT_ABORTED where something could not be written and the report's
 * is no worse. `dirfd`, `path`: the folder that report_write() wrote into. */
int tell_report(const struct args *a, int dirfd, const char *path,
                const struct report_outcome *out);
