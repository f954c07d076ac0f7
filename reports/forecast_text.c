/* A forecast on the terminal and in Markdown. */
#include "reports/forecast.h"

#include <inttypes.h>
#include <string.h>

#include "reports/escape.h"
#include "reports/forecast_why.h"
#include "reports/sentence.h"
#include "reports/terminal.h"
#include "sim/base/jsonx.h"

#define ROWS_MAX 200 /* of a table; the rest is counted */

/* A quantile in words: "3.4 s", "not in time", "–". */
static void quantile(const struct outcome_times *t, double q, struct buf *out)
{
    nsec v = t ? outcome_times_quantile(t, q) : NSEC_UNSET;
    if (!nsec_is_set(v))
        buf_adds(out, "–");
    else if (v == NSEC_INF)
        buf_adds(out, "never");
    else
        sentence_time(v, out);
}

/* "97.3 %" of what was judged. */
static void within(const struct forecast_objective *o, struct buf *out)
{
    if (o->planned == 0 || o->unmeasured)
        buf_adds(out, "–");
    else
        forecast_percent(o->p, out);
}

/* ---- terminal ---- */

enum { SERVICE, PROMISE, WITHIN, HALF, MOST, VERDICT, CELLS };

static void fill(const void *data, size_t row, struct buf *cells)
{
    const struct forecast *f = data;
    const struct forecast_objective *o = &f->objectives[row];
    AUTO_BUF promise = BUF_INIT;
    const struct outcome_times *t = forecast_times(f, o);
    escape_terminal(o->service->name, &cells[SERVICE]);
    forecast_promise(o, &promise);
    escape_terminal(buf_text(&promise), &cells[PROMISE]);
    within(o, &cells[WITHIN]);
    quantile(t, 0.5, &cells[HALF]);
    quantile(t, 0.95, &cells[MOST]);
    buf_adds(&cells[VERDICT], sentence_verdict(o->verdict));
}

void forecast_terminal(const struct forecast *f, struct buf *out)
{
    static const char *const heads[CELLS] = {"service", "promise", "within",
                                             "half by", "95 % by", "forecast"};
    const struct terminal_table table = {.columns = CELLS,
                                         .rows = f->objectives_n,
                                         .heads = heads,
                                         .numbers = 1u << WITHIN | 1u << HALF | 1u << MOST,
                                         .first = 18,
                                         .gives = PROMISE,
                                         .fill = fill,
                                         .data = f};
    AUTO_BUF right = BUF_INIT;
    AUTO_BUF sentence = BUF_INIT;
    AUTO_BUF safe = BUF_INIT;
    buf_adds(&right, "FORECAST, ");
    forecast_count(f->done, &right);
    buf_adds(&right, f->done == 1 ? " trial" : " trials");
    terminal_headline(f->scenario->name, f->scenario->title, buf_text(&right), out);
    if (f->objectives_n) {
        terminal_table(&table, out);
        buf_addc(out, '\n');
    }
    forecast_sentences(f, &sentence);
    escape_terminal(buf_text(&sentence), &safe);
    terminal_wrap(buf_text(&safe), out);
    const struct forecast_objective *worst = forecast_headline(f);
    const char **why = forecast_why_sentences(f, worst ? worst->service->name : NULL);
    if (*why)
        buf_addc(out, '\n');
    for (; *why; why++) {
        buf_clear(&safe);
        escape_terminal(*why, &safe);
        terminal_wrap(buf_text(&safe), out);
    }
    size_t worth = 0;
    for (size_t i = 0; i < f->findings_n; i++)
        worth += f->findings[i].weight != WEIGHT_NOTE;
    terminal_findings(worth, out);
}

/* ---- Markdown ---- */

static void quantile_cell(const struct outcome_times *t, double q, struct buf *out)
{
    AUTO_BUF text = BUF_INIT;
    quantile(t, q, &text);
    escape_cell(buf_text(&text), out);
}

static void objectives(const struct forecast *f, struct buf *out)
{
    static const char *const marks[] = {"–", "✔", "◐", "?", "✘"};
    buf_adds(out, "\n## Promises\n\n| | service | promise | within | interval, simulation error "
                  "only | asked | half by | 95 % by | as a forecast |\n"
                  "|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < f->objectives_n; i++) {
        const struct forecast_objective *o = &f->objectives[i];
        const struct outcome_times *t = forecast_times(f, o);
        AUTO_BUF promise = BUF_INIT;
        AUTO_BUF share = BUF_INIT;
        AUTO_BUF interval = BUF_INIT;
        buf_printf(out, "| %s |", marks[o->verdict]);
        escape_cell(o->service->name, out);
        forecast_promise(o, &promise);
        escape_cell(buf_text(&promise), out);
        within(o, &share);
        escape_cell(buf_text(&share), out);
        if (o->planned && !o->unmeasured) {
            forecast_interval(o, &interval);
            buf_adds(&interval, " %");
        }
        escape_cell(interval.len ? buf_text(&interval) : "–", out);
        buf_printf(out, " %g %% |", 100 * o->asked);
        quantile_cell(t, 0.5, out);
        quantile_cell(t, 0.95, out);
        escape_cell(sentence_verdict(o->verdict), out);
        buf_addc(out, '\n');
    }
    for (size_t i = 0; i < f->objectives_n; i++)
        for (size_t k = 0; k < f->objectives[i].reasons_n; k++) {
            const struct forecast_reason *why = &f->objectives[i].reasons[k];
            AUTO_BUF promise = BUF_INIT;
            forecast_promise(&f->objectives[i], &promise);
            buf_adds(out, "\n- ");
            escape_markdown(f->objectives[i].service->name, out);
            buf_adds(out, ", ");
            escape_markdown(buf_text(&promise), out);
            buf_adds(out, ": ");
            escape_markdown(why->text, out);
            if (why->cure) {
                buf_adds(out, ". What would help: ");
                escape_markdown(why->cure, out);
            }
            buf_addc(out, '.');
        }
    buf_addc(out, '\n');
}

static void times_row(const char *what, const struct forecast_service *s,
                      const struct outcome_times *t, struct buf *out)
{
    static const double quantiles[] = {0.05, 0.5, 0.9, 0.99};
    AUTO_BUF count = BUF_INIT;
    AUTO_BUF never = BUF_INIT;
    buf_printf(out, "| %s,", what);
    escape_cell(s->service->name, out);
    forecast_count(t->n + t->never, &count);
    escape_cell(buf_text(&count), out);
    forecast_count(t->never, &never);
    escape_cell(buf_text(&never), out);
    for (size_t i = 0; i < ARRAY_SIZE(quantiles); i++)
        quantile_cell(t, quantiles[i], out);
    buf_addc(out, '\n');
}

static void distributions(const struct forecast *f, struct buf *out)
{
    static const char *const names[] = {"noticed after", "acknowledged after", "restored after",
                                        "down for",      "back to normal in",  "data lost"};
    buf_adds(out, "\n## How long\n\n| | trials | without an end | 5 % by | half by | 90 % by | "
                  "99 % by |\n|---|---|---|---|---|---|---|\n");
    size_t rows = 0;
    for (size_t k = 0; k < f->services_n; k++)
        for (size_t i = 0; i < OUTCOME_TIMES; i++) {
            const struct outcome_times *t = &f->services[k].sums.times[i];
            if (t->n + t->never && rows++ < ROWS_MAX)
                times_row(names[i], &f->services[k], t, out);
        }
    if (rows > ROWS_MAX)
        buf_printf(out, "\n%zu more rows stand in result.json.\n", rows - ROWS_MAX);
}

static void stages(const struct forecast *f, struct buf *out)
{
    bool any = false;
    for (size_t k = 0; k < f->services_n; k++) {
        const struct forecast_service *s = &f->services[k];
        for (size_t i = 0; i < s->stages_n; i++) {
            AUTO_BUF name = BUF_INIT;
            AUTO_BUF mean = BUF_INIT;
            if (!any)
                buf_adds(out, "\n## What restoring is made of\n\nMean over the trials in which the "
                              "service was restored, along the critical path.\n\n| service | | "
                              "mean | share |\n|---|---|---|---|\n");
            any = true;
            buf_adds(out, "|");
            escape_cell(s->service->name, out);
            forecast_quantity(s->stages[i].quantity, s->service->name, &name);
            escape_cell(buf_text(&name), out);
            sentence_time((nsec)(s->stages[i].mean * 1e9 + 0.5), &mean);
            escape_cell(buf_text(&mean), out);
            buf_printf(out, " %.1f %% |\n", 100 * s->stages[i].share);
        }
    }
}

static void findings(const struct forecast *f, struct buf *out)
{
    if (!f->findings_n)
        return;
    buf_adds(out, "\n## Findings\n\n");
    for (size_t i = 0; i < f->findings_n && i < ROWS_MAX; i++) {
        buf_printf(out, "- **%s**: ", weight_words[f->findings[i].weight]);
        escape_markdown(f->findings[i].text, out);
        buf_adds(out, ".\n");
    }
    if (f->findings_n > ROWS_MAX)
        buf_printf(out, "\n%zu more findings stand in result.json.\n", f->findings_n - ROWS_MAX);
}

void forecast_markdown(const struct forecast *f, struct buf *out)
{
    AUTO_BUF sentence = BUF_INIT;
    buf_adds(out, "# FORECAST: ");
    escape_markdown(f->scenario->title ? f->scenario->title : f->scenario->name, out);
    buf_printf(out, "\n\n**%s as a forecast**, ", sentence_verdict(f->verdict));
    forecast_count(f->done, out);
    buf_adds(out, " simulated trials. A forecast is no test: nothing was broken, and nothing was "
                  "measured.\n\n");
    forecast_sentences(f, &sentence);
    escape_markdown(buf_text(&sentence), out);
    buf_addc(out, '\n');
    if (f->objectives_n)
        objectives(f, out);
    distributions(f, out);
    stages(f, out);
    forecast_why_markdown(f, out);
    findings(f, out);
    buf_adds(out, "\n## How to read this\n\nThe intervals tell of simulation error alone: more "
                  "trials make them as narrow as one likes, and say nothing about whether the "
                  "model is right. What holds a forecast against drills is `blackstart forecast "
                  "--against`.\n\n");
    forecast_origin(f->start, &f->head, out);
}
