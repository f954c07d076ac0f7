/* What was found out about a forecast (sim/forecast/analysis.h), as tables and sentences: one model for
 * page, Markdown and terminal.
 *
 * Ownership: everything belongs to the forecast's arena; texts are plain.
 */
#pragma once

#include "reports/forecast.h"

struct why_table {
    const char *title;
    const char *hint; /* a sentence or two */
    const char *const *heads;
    size_t columns, rows;
    char **cells; /* [row * columns + column]; the first column is words, the others numbers */
    size_t words; /* so many columns at the left are words */
};

/* In the order in which they are told. */
size_t forecast_why_tables(const struct forecast *f, const struct why_table **ret);
/* Of drills, luck, the cheapest change and variants: one sentence each, NULL-terminated. `service`: only
 * of this one, but of drills always; NULL: of all. */
const char **forecast_why_sentences(const struct forecast *f, const char *service);

void forecast_why_html(const struct forecast *f, struct buf *out);
void forecast_why_markdown(const struct forecast *f, struct buf *out);
/* Tornados and sweeps. */
void forecast_why_plots(const struct forecast *f, struct plots *p);

/* The line of the record that tells `what`, after `after` (NULL: the first one); NULL: none. */
const json_t *forecast_analysis(const struct forecast *f, const char *what, const json_t *after);
/* [value, low, high]; NAN where there is none. */
struct estimate forecast_estimate(const json_t *j);
/* "+1.2 points (+0.8 to +1.6)": a difference of shares; appends. */
void forecast_points(struct estimate e, int places, struct buf *out);
/* The range that assumptions leave to P(within) of a service; NAN: none are ranges. */
struct estimate forecast_assumed(const struct forecast *f, const char *service);
