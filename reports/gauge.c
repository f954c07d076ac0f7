/* Gauges as OpenMetrics writes them, see gauge.h. */
#include "reports/gauge.h"

#include <math.h>

#include "reports/escape.h"

void gauge_family(const char *name, const char *unit, const char *help, struct buf *out)
{
    buf_printf(out, "# TYPE %s gauge\n", name);
    if (unit)
        buf_printf(out, "# UNIT %s %s\n", name, unit);
    buf_printf(out, "# HELP %s %s\n", name, help);
}

void gauge_sample(const char *scenario, const char *name, const char *const *labels, double value,
                  struct buf *out)
{
    buf_printf(out, "%s{scenario=\"", name);
    escape_label(scenario, out);
    buf_addc(out, '"');
    for (size_t i = 0; labels && labels[i]; i += 2) {
        buf_printf(out, ",%s=\"", labels[i]);
        escape_label(labels[i + 1], out);
        buf_addc(out, '"');
    }
    if (isinf(value))
        buf_printf(out, "} %sInf\n", value < 0 ? "-" : "+");
    else
        buf_printf(out, "} %.12g\n", value);
}
