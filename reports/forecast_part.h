/* Parts of a forecast's page, drawn by ourselves. All append to the caller's buffer. */
#pragma once

#include "reports/forecast.h"

/* What restoring is made of: a bar for each stage. */
void forecast_stages_html(const struct forecast *f, struct buf *out);
/* Services and what they need, each marked by what is forecast of it. */
void forecast_graph_html(const struct forecast *f, struct buf *out);
