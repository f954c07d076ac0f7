/* Gauges as OpenMetrics 1.0 writes them: the head of a family, then its samples. */
#pragma once

#include "sim/base/buf.h"

/* unit: the last word of the name, or NULL. */
void gauge_family(const char *name, const char *unit, const char *help, struct buf *out);
/* name{scenario="…" and the pairs of labels, NULL-terminated (NULL: no more)} value */
void gauge_sample(const char *scenario, const char *name, const char *const *labels, double value,
                  struct buf *out);
