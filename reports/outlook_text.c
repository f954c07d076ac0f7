/* Years on the terminal and in Markdown. */
#include "reports/outlook.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "reports/escape.h"
#include "reports/forecast.h"
#include "reports/sentence.h"
#include "reports/terminal.h"
#include "sim/base/jsonx.h"

#define ROWS_MOST 40 /* the rest stands in result.json */

enum { SERVICE, UP, RATE, HALF, YEAR, KEPT, CELLS };

static void fill(const void *data, size_t row, struct buf *cells)
{
    const struct outlook_service *s = &((const struct outlook *)data)->services[row];
    escape_terminal(s->service->name, &cells[SERVICE]);
    if (s->never)
        buf_adds(&cells[UP], "–");
    else
        outlook_percent(s->unavailability, &cells[UP]);
    buf_printf(&cells[RATE], "%.3g", s->per_year);
    outlook_quantile(&s->tally->incident_lasted, 0.5, &cells[HALF]);
    outlook_quantile(&s->tally->year_down, 0.95, &cells[YEAR]);
    if (s->service->sla > 0) {
        forecast_percent(s->kept, &cells[KEPT]);
        buf_printf(&cells[KEPT], " %s", sentence_verdict(s->verdict));
    } else {
        buf_adds(&cells[KEPT], "–");
    }
}

static size_t rows_of(const struct outlook *o)
{
    return o->services_n < ROWS_MOST ? o->services_n : ROWS_MOST;
}

void outlook_terminal(const struct outlook *o, struct buf *out)
{
    static const char *const heads[CELLS] = {"service", "up",       "a year",
                                             "half by", "year p95", "contract"};
    const struct terminal_table table = {.columns = CELLS,
                                         .rows = rows_of(o),
                                         .heads = heads,
                                         .numbers = 1u << UP | 1u << RATE | 1u << HALF | 1u << YEAR,
                                         .first = 20,
                                         .fill = fill,
                                         .data = o};
    AUTO_BUF right = BUF_INIT;
    AUTO_BUF sentence = BUF_INIT;
    AUTO_BUF safe = BUF_INIT;
    buf_adds(&right, "FORECAST, ");
    forecast_count(o->tally.years, &right);
    buf_adds(&right, " years");
    terminal_headline(o->scenario->name, o->scenario->title, buf_text(&right), out);
    terminal_table(&table, out);
    if (o->services_n > ROWS_MOST)
        buf_printf(out, "and %zu more services in result.json\n", o->services_n - ROWS_MOST);
    buf_addc(out, '\n');
    outlook_sentences(o, &sentence);
    escape_terminal(buf_text(&sentence), &safe);
    terminal_wrap(buf_text(&safe), out);
    size_t worth = 0;
    for (size_t i = 0; i < o->findings_n; i++)
        worth += o->findings[i].weight != WEIGHT_NOTE;
    terminal_findings(worth, out);
}

/* ---- Markdown ---- */

static void quantile_cell(const struct histogram *h, double p, struct buf *out)
{
    AUTO_BUF text = BUF_INIT;
    outlook_quantile(h, p, &text);
    escape_cell(buf_text(&text), out);
}

static void hours_cell(double hours, struct buf *out)
{
    AUTO_BUF text = BUF_INIT;
    outlook_hours(hours, &text);
    escape_cell(buf_text(&text), out);
}

static void services(const struct outlook *o, struct buf *out)
{
    buf_adds(out, "\n## Services\n\n| service | up | incidents a year | half last | 95 % last | "
                  "99 % last | down in a mean year | in one of 20 years |\n"
                  "|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < rows_of(o); i++) {
        const struct outlook_service *s = &o->services[i];
        AUTO_BUF up = BUF_INIT;
        buf_adds(out, "|");
        escape_cell(s->service->name, out);
        outlook_percent(s->unavailability, &up);
        escape_cell(s->never ? "never fails here" : buf_text(&up), out);
        buf_printf(out, " %.3g |", s->per_year);
        quantile_cell(&s->tally->incident_lasted, 0.5, out);
        quantile_cell(&s->tally->incident_lasted, 0.95, out);
        quantile_cell(&s->tally->incident_lasted, 0.99, out);
        hours_cell(s->unavailability * 8760, out);
        quantile_cell(&s->tally->year_down, 0.95, out);
        buf_addc(out, '\n');
    }
}

static void cascades(const struct outlook *o, struct buf *out)
{
    if (!o->cascades_n)
        return;
    buf_adds(out, "\n## Who took whom down\n\nThe component whose failure, maintenance or return "
                  "began an incident; the time down is all of that incident's.\n\n| component | "
                  "service | incidents a year | down a year | of all its time down |\n"
                  "|---|---|---|---|---|\n");
    for (size_t i = 0; i < o->cascades_n && i < ROWS_MOST; i++) {
        const struct outlook_cascade *x = &o->cascades[i];
        buf_adds(out, "|");
        escape_cell(o->catalogue->components[x->component].name, out);
        escape_cell(o->services[x->service].service->name, out);
        buf_printf(out, " %.3g |", x->per_year);
        hours_cell(x->hours_per_year, out);
        buf_printf(out, " %.1f %% |\n", 100 * x->share);
    }
    if (!o->singles_n)
        return;
    buf_adds(out, "\n## Single points\n\nWhat takes services down all by itself, however good the "
                  "rest is. A takeover, once it is over, counts as up.\n\n");
    for (size_t i = 0; i < o->singles_n && i < ROWS_MOST; i++) {
        const struct outlook_single *s = &o->singles[i];
        buf_adds(out, "- **");
        escape_markdown(o->catalogue->components[s->component].name, out);
        buf_adds(out, "**:");
        for (size_t k = 0; k < s->services_n && k < 10; k++) {
            buf_adds(out, k ? ", " : " ");
            escape_markdown(o->services[s->services[k]].service->name, out);
        }
        if (s->services_n > 10)
            buf_printf(out, " and %zu more", s->services_n - 10);
        buf_addc(out, '\n');
    }
}

static void losses(const struct outlook *o, struct buf *out)
{
    static const double shares[] = {0.5, 0.2, 0.1, 0.05, 0.01};
    if (!o->priced)
        return;
    buf_printf(out,
               "\n## What it costs\n\n%.4g a year in the mean.\n\n| in one year of | it costs more "
               "than |\n|---|---|\n",
               o->lost_per_year);
    for (size_t i = 0; i < ARRAY_SIZE(shares); i++)
        buf_printf(out, "| %g | %.4g |\n", 1 / shares[i],
                   histogram_quantile(&o->tally.year_lost, 1 - shares[i]) / 100);
}

void outlook_markdown(const struct outlook *o, struct buf *out)
{
    AUTO_BUF sentence = BUF_INIT;
    buf_adds(out, "# FORECAST: ");
    escape_markdown(o->scenario->title ? o->scenario->title : o->scenario->name, out);
    buf_printf(out, "\n\n**%s as a forecast**, ", sentence_verdict(o->verdict));
    forecast_count(o->tally.years, out);
    buf_adds(out, " simulated years. A forecast is no test: nothing was broken, and nothing was "
                  "measured.\n\n");
    outlook_sentences(o, &sentence);
    escape_markdown(buf_text(&sentence), out);
    buf_addc(out, '\n');
    services(o, out);
    cascades(o, out);
    losses(o, out);
    if (o->findings_n)
        buf_adds(out, "\n## Findings\n\n");
    for (size_t i = 0; i < o->findings_n; i++) {
        buf_printf(out, "- **%s**: ", weight_words[o->findings[i].weight]);
        escape_markdown(o->findings[i].text, out);
        buf_adds(out, ".\n");
    }
    buf_adds(out, "\n## How to read this\n\nThe intervals, 95 %, tell of simulation error alone: "
                  "more trials make them as narrow as one likes, and say nothing about whether the "
                  "model is right. Everything is new and in order when a trial begins. Quantiles "
                  "are known to 1.1 %.\n\n");
    forecast_origin(o->start, &o->head, out);
}
