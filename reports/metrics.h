/* OpenMetrics 1.0 text: gauges about the run, for a textfile collector or a push gateway. Ends with
 * "# EOF"; no timestamps on samples. */
#pragma once

#include "reports/result.h"
#include "sim/base/buf.h"

void metrics_write(const struct result *r, struct buf *out);
