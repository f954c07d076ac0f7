/* report.html of a forecast: the same page as a drill's, and never to be taken for one. */
#include "reports/forecast.h"

#include <inttypes.h>
#include <string.h>

#include "reports/assets.h"
#include "reports/forecast_part.h"
#include "reports/forecast_why.h"
#include "reports/html_part.h"
#include "reports/sentence.h"
#include "scenarios/emit.h"
#include "sim/base/jsonx.h"

#define TILE_WIDTH 260.0
#define TILE_HEIGHT 54.0
#define TILE_BINS 52
#define ROWS_MAX 600 /* of a table; the rest is counted */

static void head(const struct forecast *f, struct buf *out)
{
    buf_adds(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                  "style-src 'unsafe-inline'; img-src data:\">\n"
                  "<meta name=\"generator\" content=\"blackstart\">\n<title>FORECAST: ");
    html_text(out, f->scenario->title ? f->scenario->title : f->scenario->name);
    buf_printf(out, ": %s as a forecast</title>\n<style>\n", sentence_verdict(f->verdict));
    buf_adds(out, assets_css);
    buf_adds(out, "</style>\n</head>\n");
}

static void sentence(const struct forecast *f, const struct forecast_objective *o, struct buf *out)
{
    AUTO_BUF text = BUF_INIT;
    forecast_sentence(f, o, &text);
    html_text(out, buf_text(&text));
}

/* ---- tiles ---- */

static double axis_of(const struct outcome_times *t, nsec target)
{
    nsec far = outcome_times_quantile(t, 0.99);
    double most = far == NSEC_INF ? (double)t->most : (double)far;
    most = most < 1.2 * (double)target ? 1.2 * (double)target : most;
    return most > 0 ? most : 1;
}

/* How the durations are spread, with the target as a line. */
static void spread(const struct forecast_objective *o, const struct outcome_times *t,
                   struct buf *out)
{
    double most = axis_of(t, o->target), wide = most / TILE_BINS, tallest = 1;
    uint64_t bins[TILE_BINS], before = 0;
    for (int i = 0; i < TILE_BINS; i++) {
        uint64_t upto = outcome_times_upto(t, (nsec)(wide * (i + 1)));
        bins[i] = upto - before;
        before = upto;
        tallest = (double)bins[i] > tallest ? (double)bins[i] : tallest;
    }
    double x = (double)o->target / most * TILE_WIDTH, step = TILE_WIDTH / TILE_BINS;
    char words[NSEC_TEXT_MAX];
    buf_printf(out,
               "<svg viewBox=\"-4 0 %.0f %.0f\" role=\"img\" aria-label=\"Durations of simulated "
               "trials; the target of %s is a line.\">"
               "<rect class=\"zone\" width=\"%.1f\" height=\"%.0f\"/>"
               "<rect class=\"beyond\" x=\"%.1f\" width=\"%.1f\" height=\"%.0f\"/>",
               TILE_WIDTH + 8, TILE_HEIGHT + 17, sentence_target(o->target, words), x, TILE_HEIGHT,
               x, TILE_WIDTH - x, TILE_HEIGHT);
    for (int late = 0; late < 2; late++) {
        buf_printf(out, "<path class=\"%s\" style=\"stroke:none%s\" d=\"",
                   late ? "missed" : "within", late ? "" : ";opacity:.8");
        for (int i = 0; i < TILE_BINS; i++) {
            bool missed = wide * (i + 0.5) > (double)o->target;
            double tall = (double)bins[i] / tallest * (TILE_HEIGHT - 4);
            if (bins[i] && missed == (late == 1))
                buf_printf(out, "M%.1f %.1fv-%.1fh%.1fv%.1fz", step * i, TILE_HEIGHT,
                           tall < 1 ? 1 : tall, step - 0.6, tall < 1 ? 1 : tall);
        }
        buf_adds(out, "\"/>");
    }
    const char *anchor = x > 0.85 * TILE_WIDTH ? "end" : x < 30 ? "start" : "middle";
    buf_printf(out,
               "<path class=\"target\" d=\"M%.1f -1V%.1f\"/><text class=\"soft\" y=\"%.1f\">0"
               "</text><text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s promised</text></svg>\n",
               x, TILE_HEIGHT + 2, TILE_HEIGHT + 14, x, TILE_HEIGHT + 14, anchor, words);
}

static void tile(const struct forecast *f, const struct forecast_objective *o, struct buf *out)
{
    AUTO_BUF promise = BUF_INIT;
    AUTO_BUF share = BUF_INIT;
    bool judged = o->planned > 0 && !o->unmeasured;
    forecast_promise(o, &promise);
    buf_printf(out, "<div class=\"tile is-%s\"><h2><b>", verdict_words[o->verdict]);
    html_text(out, o->service->name);
    buf_adds(out, "</b> ");
    html_text(out, buf_text(&promise));
    buf_adds(out, "</h2>\n<div class=\"row\"><span class=\"big\">");
    if (judged)
        forecast_percent(o->p, &share);
    html_text(out, judged ? buf_text(&share) : "–");
    if (judged) {
        AUTO_BUF interval = BUF_INIT;
        forecast_interval(o, &interval);
        buf_adds(out, " <small>(");
        html_text(out, buf_text(&interval));
        buf_adds(out, ")</small>");
    }
    buf_printf(out,
               "</span><span class=\"chip %s\"><span aria-hidden=\"true\">%s</span>%s</span>"
               "</div>\n",
               verdict_words[o->verdict], html_sign(o->verdict), sentence_verdict(o->verdict));
    const struct outcome_times *t = forecast_times(f, o);
    if (judged && t && t->n && nsec_is_set(o->target))
        spread(o, t, out);
    if (judged)
        buf_printf(out, "<p class=\"note\">of simulated trials; asked for: %g %%</p>",
                   100 * o->asked);
    buf_adds(out, "</div>\n");
}

static void first_screen(const struct forecast *f, struct buf *out)
{
    AUTO_BUF count = BUF_INIT;
    forecast_count(f->done, &count);
    buf_printf(out,
               "<body>\n<a class=\"skip\" href=\"#made\">to what it is made of</a>\n<main "
               "class=\"page\">\n<header>\n<div class=\"top\"><span class=\"badge forecast\">"
               "FORECAST</span><span class=\"chip %s\"><span aria-hidden=\"true\">%s</span>%s as a "
               "forecast</span>",
               verdict_words[f->verdict], html_sign(f->verdict), sentence_verdict(f->verdict));
    if (f->status != STATUS_COMPLETED)
        buf_printf(out, "<span class=\"chip not_met\">%s</span>", status_words[f->status]);
    buf_printf(out, "<span class=\"when\">%s simulated trials</span></div>\n<h1>",
               buf_text(&count));
    html_text(out, f->scenario->title ? f->scenario->title : f->scenario->name);
    buf_adds(out, "</h1>\n");
    if (f->status != STATUS_COMPLETED) {
        AUTO_BUF planned = BUF_INIT;
        forecast_count(f->planned, &planned);
        buf_printf(out, "<p class=\"alert\">The forecast %s",
                   f->status == STATUS_ABORTED ? "was stopped" : "failed");
        if (f->status_reason) {
            buf_adds(out, ": ");
            html_text(out, f->status_reason);
        }
        buf_printf(out, ". What was computed until then, %s of %s trials, is told below.</p>\n",
                   buf_text(&count), buf_text(&planned));
    }
    const struct forecast_objective *o = forecast_headline(f);
    buf_adds(out, "<p class=\"lead\">");
    if (o)
        sentence(f, o, out);
    else
        buf_adds(out, "The scenario promises nothing that could be judged: inconclusive.");
    buf_adds(out, "</p>\n<p class=\"more\">Simulated, not tested: nothing was broken, and nothing "
                  "was measured. The intervals tell of simulation error alone; whether the model "
                  "is right they do not tell.</p>\n</header>\n<div class=\"tiles\">\n");
    for (size_t i = 0; i < f->objectives_n; i++)
        tile(f, &f->objectives[i], out);
    buf_adds(out, "</div>\n");
}

/* ---- numbers ---- */

static void quantile_cell(const struct outcome_times *t, double q, struct buf *out)
{
    AUTO_BUF text = BUF_INIT;
    nsec v = outcome_times_quantile(t, q);
    if (v == NSEC_INF)
        buf_adds(&text, "never");
    else
        sentence_time(v, &text);
    buf_adds(out, "<td class=\"n\">");
    html_text(out, buf_text(&text));
    buf_adds(out, "</td>");
}

static void times_row(const char *what, const struct forecast_service *s,
                      const struct outcome_times *t, struct buf *out)
{
    static const double quantiles[] = {0.05, 0.5, 0.9, 0.95, 0.99};
    AUTO_BUF count = BUF_INIT;
    AUTO_BUF never = BUF_INIT;
    AUTO_BUF mean = BUF_INIT;
    forecast_count(t->n + t->never, &count);
    if (t->never)
        forecast_percent((double)t->never / (double)(t->n + t->never), &never);
    else
        buf_adds(&never, "–");
    buf_printf(out, "<tr><td>%s, ", what);
    html_text(out, s->service->name);
    buf_printf(out, "</td><td class=\"n\">%s</td><td class=\"n\">%s</td>", buf_text(&count),
               buf_text(&never));
    for (size_t i = 0; i < ARRAY_SIZE(quantiles); i++)
        quantile_cell(t, quantiles[i], out);
    if (t->never || !t->n)
        buf_adds(&mean, "–");
    else
        sentence_time((nsec)outcome_times_mean(t), &mean);
    buf_printf(out, "<td class=\"n\">%s</td></tr>\n", buf_text(&mean));
}

static void distribution(const struct forecast *f, const struct plots *plots, struct buf *out)
{
    static const char *const names[] = {"noticed after", "acknowledged after", "restored after",
                                        "down for",      "back to normal in",  "data lost"};
    buf_adds(out, "<section id=\"distribution\">\n<h2>Over all simulated trials</h2>\n"
                  "<p class=\"hint\">Of the trials in which there was something to time. “Half "
                  "by” is the median; what did not end within a trial counts as longer than "
                  "anything.</p>\n<div class=\"scroll\"><table>\n<thead><tr><th></th>"
                  "<th class=\"n\">trials</th><th class=\"n\">without an end</th>"
                  "<th class=\"n\">5 % by</th><th class=\"n\">half by</th>"
                  "<th class=\"n\">90 % by</th><th class=\"n\">95 % by</th>"
                  "<th class=\"n\">99 % by</th><th class=\"n\">mean</th></tr></thead>\n<tbody>\n");
    size_t rows = 0;
    for (size_t k = 0; k < f->services_n; k++)
        for (size_t i = 0; i < OUTCOME_TIMES; i++) {
            const struct outcome_times *t = &f->services[k].sums.times[i];
            if (t->n + t->never && rows++ < ROWS_MAX)
                times_row(names[i], &f->services[k], t, out);
        }
    buf_adds(out, "</tbody></table></div>\n");
    if (rows > ROWS_MAX)
        buf_printf(out, "<p class=\"hint\">%zu more rows stand in result.json.</p>\n",
                   rows - ROWS_MAX);
    for (size_t i = 0; i < plots->n; i++) {
        buf_adds(out, "<figure>\n");
        buf_adds(out, plots->items[i].svg);
        buf_adds(out, "<figcaption><b>");
        html_text(out, plots->items[i].title);
        buf_adds(out, ".</b> ");
        html_text(out, plots->items[i].desc);
        buf_adds(out, "</figcaption>\n</figure>\n");
    }
    if (plots->missing) {
        buf_adds(out, "<p class=\"hint\">");
        html_text(out, plots->missing);
        buf_adds(out, "</p>\n");
    }
    buf_adds(out, "</section>\n");
}

static void promises(const struct forecast *f, struct buf *out)
{
    buf_adds(out, "<section id=\"promises\">\n<h2>Promises</h2>\n<ul>\n");
    for (size_t i = 0; i < f->objectives_n; i++) {
        const struct forecast_objective *o = &f->objectives[i];
        buf_adds(out, "<li>");
        sentence(f, o, out);
        for (size_t k = 0; k < o->reasons_n; k++)
            if (o->reasons[k].cure) {
                buf_adds(out, " What would help: ");
                html_text(out, o->reasons[k].cure);
                buf_adds(out, ".");
            }
        buf_adds(out, "</li>\n");
    }
    buf_adds(out, "</ul>\n</section>\n");
}

static void findings(const struct forecast *f, struct buf *out)
{
    static const char *const signs[] = {"i", "⚠", "✘"};
    buf_adds(out, "<section id=\"findings\">\n<h2>Findings</h2>\n");
    if (f->findings_n == 0)
        buf_adds(out, "<p class=\"hint\">None.</p>\n");
    else
        buf_adds(out, "<ul class=\"findings\">\n");
    size_t told = 0;
    for (int w = WEIGHT_FAILURE; w >= WEIGHT_NOTE; w--)
        for (size_t i = 0; i < f->findings_n; i++) {
            const struct forecast_finding *x = &f->findings[i];
            if ((int)x->weight != w || told++ >= ROWS_MAX)
                continue;
            buf_printf(out,
                       "<li class=\"%s\"><span class=\"what\"><span aria-hidden=\"true\">%s "
                       "</span>%s</span>",
                       weight_words[w], signs[w], weight_words[w]);
            html_text(out, x->text);
            buf_adds(out, ".</li>\n");
        }
    buf_adds(out, f->findings_n ? "</ul>\n" : "");
    if (told > ROWS_MAX)
        buf_printf(out, "<p class=\"hint\">%zu more stand in result.json.</p>\n", told - ROWS_MAX);
    buf_adds(out, "</section>\n");
}

static void fact(const char *name, const char *value, struct buf *out)
{
    if (!value)
        return;
    buf_printf(out, "<dt>%s</dt><dd>", name);
    html_text(out, value);
    buf_adds(out, "</dd>\n");
}

static void how_to_read(const struct forecast *f, struct buf *out)
{
    const char *digest = jsonx_str(json_object_get(f->start, "scenario"), "digest", "?");
    const char *seed = jsonx_str(f->start, "seed", "?");
    AUTO_BUF yaml = BUF_INIT;
    char line[32];
    snprintf(line, sizeof line, "%" PRId64, f->head.seq);
    buf_adds(
        out,
        "<section id=\"reading\">\n<h2>How to read this</h2>\n<dl>\n"
        "<dt>97.3 % (97.2–97.4)</dt><dd>the share of simulated trials that keep a promise, and "
        "what chance in the simulation leaves open of it at 95 %. More trials make it narrower; "
        "they do not make the model better.</dd>\n"
        "<dt>met as a forecast</dt><dd>the whole interval is at or above the share that is asked "
        "for; not met: all of it is below; else more trials are needed.</dd>\n"
        "<dt>never, without an end</dt><dd>not within the trial's horizon. Counted, never "
        "dropped.</dd>\n<dt>restored after</dt><dd>by the clock of the promise; the longest outage "
        "of a trial.</dd>\n</dl>\n<h3>What this does not show</h3>\n<p>Whether the system does "
        "what the model says. Only a drill shows that; <code>blackstart forecast --against</code> "
        "holds forecasts against drills.</p>\n<h3>What is assumed</h3>\n<details><summary>the "
        "scenario, with its model</summary><pre>");
    scenario_emit(f->scenario, &yaml);
    html_text(out, buf_text(&yaml));
    buf_adds(out, "</pre></details>\n<h3>Where it comes from</h3>\n<dl>\n");
    fact("blackstart", jsonx_str(f->start, "blackstart", NULL), out);
    fact("seed", seed, out);
    fact("scenario (SHA-256)", digest, out);
    fact("last line of the record", line, out);
    fact("its SHA-256", f->head.hash, out);
    buf_adds(out, "</dl>\n<h3>To reproduce, and to check this report</h3>\n<pre>");
    buf_printf(out,
               "blackstart forecast scenario.yaml --seed %s --trials %" PRIu64
               "   # the same bytes of record.ndjson\n"
               "blackstart report DIR        # computes everything here again\n"
               "sha256sum scenario.yaml      # must be: %s\n"
               "tail -n1 record.ndjson | sha256sum   # must be: %s</pre>\n</section>\n",
               seed, f->planned, digest, f->head.hash);
}

void forecast_html(const struct forecast *f, const struct plots *plots, struct buf *out)
{
    head(f, out);
    first_screen(f, out);
    forecast_stages_html(f, out);
    forecast_why_html(f, out);
    forecast_graph_html(f, out);
    distribution(f, plots, out);
    promises(f, out);
    findings(f, out);
    how_to_read(f, out);
    buf_adds(out, "<footer>A forecast, made by blackstart from record.ndjson; the numbers for "
                  "programs stand in result.json.</footer>\n</main>\n</body>\n</html>\n");
}
