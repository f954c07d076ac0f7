/* report.md: the same report for a pull request, a job summary, a wiki. Below 1 MiB, whatever the
 * number of trials (GitHub's limit for a step's summary). */
#pragma once

#include "reports/result.h"
#include "sim/base/buf.h"

void markdown_write(const struct result *r, struct buf *out);
