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

static const char *const heads[CELLS] = {"service", "up",       "a year",
                                         "half by", "year p95", "contract"};

static void cells_of(const struct outlook_service *s, struct buf cells[CELLS])
{
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

static void fill(const struct outlook *o, size_t row, struct buf cells[CELLS])
{
    for (size_t c = 0; c < CELLS; c++) {
        cells[c] = BUF_INIT;
        if (row == 0)
            buf_adds(&cells[c], heads[c]);
    }
    if (row > 0)
        cells_of(&o->services[row - 1], cells);
}

static size_t rows_of(const struct outlook *o)
{
    return o->services_n < ROWS_MOST ? o->services_n : ROWS_MOST;
}

void outlook_terminal(const struct outlook *o, struct buf *out)
{
    AUTO_BUF line = BUF_INIT;
    AUTO_BUF right = BUF_INIT;
    AUTO_BUF sentence = BUF_INIT;
    AUTO_BUF safe = BUF_INIT;
    struct buf cells[CELLS];
    size_t rooms[CELLS] = {0};
    buf_printf(&line, "%s: ", o->scenario->name);
    escape_terminal(o->scenario->title, &line);
    buf_adds(&right, "FORECAST, ");
    forecast_count(o->tally.years, &right);
    buf_adds(&right, " years");
    terminal_put(buf_text(&line), 78 - terminal_width(buf_text(&right)), true, out);
    buf_printf(out, "  %s\n\n", buf_text(&right));
    for (size_t r = 0; r <= rows_of(o); r++) {
        fill(o, r, cells);
        for (size_t c = 0; c < CELLS; c++) {
            size_t w = terminal_width(buf_text(&cells[c]));
            rooms[c] = w > rooms[c] ? w : rooms[c];
            buf_done(&cells[c]);
        }
    }
    rooms[SERVICE] = rooms[SERVICE] > 20 ? 20 : rooms[SERVICE];
    for (size_t r = 0; r <= rows_of(o); r++) {
        fill(o, r, cells);
        for (size_t c = 0; c < CELLS; c++) {
            bool number = c >= UP && c <= YEAR;
            size_t w = terminal_width(buf_text(&cells[c]));
            for (size_t k = w; number && k < rooms[c]; k++)
                buf_addc(out, ' ');
            terminal_put(buf_text(&cells[c]), rooms[c], !number && c + 1 < CELLS, out);
            buf_adds(out, c + 1 < CELLS ? "  " : "\n");
            buf_done(&cells[c]);
        }
    }
    if (o->services_n > ROWS_MOST)
        buf_printf(out, "and %zu more services in result.json\n", o->services_n - ROWS_MOST);
    buf_addc(out, '\n');
    outlook_sentences(o, &sentence);
    escape_terminal(buf_text(&sentence), &safe);
    terminal_wrap(buf_text(&safe), out);
    size_t worth = 0;
    for (size_t i = 0; i < o->findings_n; i++)
        worth += o->findings[i].weight != WEIGHT_NOTE;
    if (worth)
        buf_printf(out, "\n%zu %s in the report.\n", worth, worth == 1 ? "finding" : "findings");
}

/* ---- Markdown ---- */

static void cell(const char *s, struct buf *out)
{
    buf_adds(out, " ");
    escape_markdown(s, out);
    buf_adds(out, " |");
}

static void quantile_cell(const struct histogram *h, double p, struct buf *out)
{
    AUTO_BUF text = BUF_INIT;
    outlook_quantile(h, p, &text);
    cell(buf_text(&text), out);
}

static void hours_cell(double hours, struct buf *out)
{
    AUTO_BUF text = BUF_INIT;
    outlook_hours(hours, &text);
    cell(buf_text(&text), out);
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
        cell(s->service->name, out);
        outlook_percent(s->unavailability, &up);
        cell(s->never ? "never fails here" : buf_text(&up), out);
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
        cell(o->catalogue->components[x->component].name, out);
        cell(o->services[x->service].service->name, out);
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
    buf_printf(out, "seed %s, scenario (SHA-256) `%s`, record (line %" PRId64 ") `%s`, blackstart ",
               jsonx_str(o->start, "seed", "?"),
               jsonx_str(json_object_get(o->start, "scenario"), "digest", "?"), o->head.seq,
               o->head.hash);
    escape_markdown(jsonx_str(o->start, "blackstart", "?"), out);
    buf_addc(out, '\n');
}
