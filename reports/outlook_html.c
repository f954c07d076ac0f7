/* report.html of years: the page of a forecast, with a tile for each service, who took whom down, and what
 * it costs. */
#include "reports/outlook.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "reports/assets.h"
#include "reports/forecast.h"
#include "reports/html_part.h"
#include "reports/sentence.h"
#include "scenarios/emit.h"
#include "sim/base/jsonx.h"

#define TILES_MOST 12
#define ROWS_MOST 60
#define CURVE_WIDTH 620.0
#define CURVE_HEIGHT 200.0

static void head(const struct outlook *o, struct buf *out)
{
    const char *title = o->scenario->title ? o->scenario->title : o->scenario->name;
    buf_adds(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                  "style-src 'unsafe-inline'; img-src data:\">\n"
                  "<meta name=\"generator\" content=\"blackstart\">\n<title>FORECAST: ");
    html_text(out, title);
    buf_printf(out, ": %s as a forecast</title>\n<style>\n", sentence_verdict(o->verdict));
    buf_adds(out, assets_css);
    buf_adds(out, "</style>\n</head>\n<body>\n<main class=\"page\">\n<header>\n<div class=\"top\">"
                  "<span class=\"badge forecast\">FORECAST</span>");
    buf_printf(out,
               "<span class=\"chip %s\"><span aria-hidden=\"true\">%s</span>%s as a "
               "forecast</span>",
               verdict_words[o->verdict], html_sign(o->verdict), sentence_verdict(o->verdict));
    if (o->status != STATUS_COMPLETED)
        buf_printf(out, "<span class=\"chip not_met\">%s</span>", status_words[o->status]);
    buf_adds(out, "<span class=\"when\">");
    forecast_count(o->tally.years, out);
    buf_adds(out, " simulated years</span></div>\n<h1>");
    html_text(out, title);
    buf_adds(out, "</h1>\n<p class=\"lead\">");
    AUTO_BUF text = BUF_INIT;
    outlook_sentences(o, &text);
    html_text(out, buf_text(&text));
    buf_adds(out, "</p>\n<p class=\"more\">Simulated, not tested: nothing was broken, and nothing "
                  "was measured. The intervals tell of simulation error alone; whether the model "
                  "is right they do not tell.</p>\n</header>\n");
}

static void tile(const struct outlook_service *s, struct buf *out)
{
    AUTO_BUF up = BUF_INIT;
    bool judged = s->verdict != VERDICT_NOT_APPLICABLE;
    outlook_percent(s->unavailability, &up);
    buf_printf(out, "<div class=\"tile is-%s\"><h2><b>",
               judged ? verdict_words[s->verdict] : "not_applicable");
    html_text(out, s->service->name);
    buf_adds(out, "</b> up</h2>\n<div class=\"row\"><span class=\"big\">");
    html_text(out, s->never ? "–" : buf_text(&up));
    buf_adds(out, "</span>");
    if (judged)
        buf_printf(out, "<span class=\"chip %s\"><span aria-hidden=\"true\">%s</span>%s</span>",
                   verdict_words[s->verdict], html_sign(s->verdict), sentence_verdict(s->verdict));
    buf_adds(out, "</div>\n<p class=\"note\">");
    AUTO_BUF note = BUF_INIT;
    if (s->never) {
        buf_adds(&note, "nothing that takes it down ever fails in this model");
    } else {
        buf_printf(&note, "%.3g incidents a year, half of them at most ", s->per_year);
        outlook_quantile(&s->tally->incident_lasted, 0.5, &note);
    }
    if (judged) {
        buf_adds(&note, "; the contract leaves ");
        outlook_hours(s->budget, &note);
        buf_adds(&note, " a year, ");
        outlook_hours(s->used, &note);
        buf_adds(&note, " are used");
    }
    html_text(out, buf_text(&note));
    buf_adds(out, "</p></div>\n");
}

static void begin_table(const char *const *heads, size_t n, size_t texts, struct buf *out)
{
    buf_adds(out, "<div class=\"scroll\"><table>\n<thead><tr>");
    for (size_t i = 0; i < n; i++)
        buf_printf(out, i < texts ? "<th>%s</th>" : "<th class=\"n\">%s</th>", heads[i]);
    buf_adds(out, "</tr></thead>\n<tbody>\n");
}

static void number(const struct buf *text, struct buf *out)
{
    buf_adds(out, "<td class=\"n\">");
    html_text(out, buf_text(text));
    buf_adds(out, "</td>");
}

static void hours(double h, struct buf *out)
{
    AUTO_BUF text = BUF_INIT;
    outlook_hours(h, &text);
    number(&text, out);
}

static void quantile(const struct histogram *h, double p, struct buf *out)
{
    AUTO_BUF text = BUF_INIT;
    outlook_quantile(h, p, &text);
    number(&text, out);
}

static void services(const struct outlook *o, struct buf *out)
{
    static const char *const heads[] = {
        "service",   "up",        "incidents a year",    "half last",
        "95 % last", "99 % last", "down in a mean year", "in one of 20 years"};
    buf_adds(out, "<section id=\"services\">\n<h2>Services</h2>\n");
    begin_table(heads, ARRAY_SIZE(heads), 1, out);
    for (size_t i = 0; i < o->services_n && i < ROWS_MOST; i++) {
        const struct outlook_service *s = &o->services[i];
        AUTO_BUF up = BUF_INIT;
        buf_adds(out, "<tr><td>");
        html_text(out, s->service->name);
        buf_adds(out, "</td>");
        outlook_percent(s->unavailability, &up);
        number(&up, out);
        buf_printf(out, "<td class=\"n\">%.3g</td>", s->per_year);
        quantile(&s->tally->incident_lasted, 0.5, out);
        quantile(&s->tally->incident_lasted, 0.95, out);
        quantile(&s->tally->incident_lasted, 0.99, out);
        hours(s->unavailability * 8760, out);
        quantile(&s->tally->year_down, 0.95, out);
        buf_adds(out, "</tr>\n");
    }
    buf_adds(out, "</tbody></table></div>\n");
    if (o->services_n > ROWS_MOST)
        buf_printf(out, "<p class=\"hint\">%zu more stand in result.json.</p>\n",
                   o->services_n - ROWS_MOST);
    buf_adds(out, "</section>\n");
}

static void cascades(const struct outlook *o, struct buf *out)
{
    static const char *const heads[] = {"component", "service", "incidents a year", "down a year",
                                        "of all its time down"};
    if (!o->cascades_n)
        return;
    buf_adds(out, "<section id=\"cascades\">\n<h2>Who took whom down</h2>\n<p class=\"hint\">The "
                  "component whose failure, maintenance or return began an incident; the time down "
                  "is all of that incident's.</p>\n");
    begin_table(heads, ARRAY_SIZE(heads), 2, out);
    for (size_t i = 0; i < o->cascades_n && i < ROWS_MOST; i++) {
        const struct outlook_cascade *x = &o->cascades[i];
        buf_adds(out, "<tr><td>");
        html_text(out, o->catalogue->components[x->component].name);
        buf_adds(out, "</td><td>");
        html_text(out, o->services[x->service].service->name);
        buf_printf(out, "</td><td class=\"n\">%.3g</td>", x->per_year);
        hours(x->hours_per_year, out);
        buf_printf(out, "<td class=\"n\">%.1f %%</td></tr>\n", 100 * x->share);
    }
    buf_adds(out, "</tbody></table></div>\n<h3>Single points</h3>\n<p class=\"hint\">What takes "
                  "services down all by itself. A takeover, once it is over, counts as up.</p>\n"
                  "<ul>\n");
    for (size_t i = 0; i < o->singles_n && i < ROWS_MOST; i++) {
        const struct outlook_single *s = &o->singles[i];
        buf_adds(out, "<li><b>");
        html_text(out, o->catalogue->components[s->component].name);
        buf_adds(out, "</b>: ");
        for (size_t k = 0; k < s->services_n && k < 10; k++) {
            buf_adds(out, k ? ", " : "");
            html_text(out, o->services[s->services[k]].service->name);
        }
        if (s->services_n > 10)
            buf_printf(out, " and %zu more", s->services_n - 10);
        buf_adds(out, "</li>\n");
    }
    buf_adds(out, o->singles_n ? "</ul>\n</section>\n" : "<li>none</li></ul>\n</section>\n");
}

/* In which share of years it costs more. */
static void losses(const struct outlook *o, struct buf *out)
{
    const struct histogram *h = &o->tally.year_lost;
    double most = (double)h->most;
    if (!o->priced || h->count == 0 || most <= 0)
        return;
    buf_printf(
        out,
        "<section id=\"losses\">\n<h2>What it costs</h2>\n<figure><svg viewBox=\"-34 -8 %.0f "
        "%.0f\" role=\"img\" aria-label=\"In which share of years being down costs more "
        "than that.\"><path class=\"within\" style=\"fill:none\" d=\"M0 ",
        CURVE_WIDTH + 60, CURVE_HEIGHT + 34);
    double left = (double)h->count, all = left;
    bool begun = false;
    for (size_t i = 0; i < h->n; i++) {
        uint64_t lo, hi;
        if (h->bins[i] == 0)
            continue;
        histogram_bin(i, &lo, &hi);
        left -= (double)h->bins[i];
        double x = (double)(hi - 1 < h->most ? hi - 1 : h->most) / most * CURVE_WIDTH;
        double y = CURVE_HEIGHT * (1 - left / all);
        buf_printf(out, begun ? "L%.1f %.1f" : "%.1fL%.1f %.1f", begun ? x : 0.0, begun ? y : x, y);
        begun = true;
    }
    buf_printf(out,
               "\"/><path class=\"target\" d=\"M0 0V%.0fH%.0f\" style=\"fill:none\"/>"
               "<text class=\"soft\" x=\"-4\" y=\"8\" text-anchor=\"end\">100 %%</text>"
               "<text class=\"soft\" y=\"%.0f\">0</text>"
               "<text class=\"soft\" x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\">%.4g</text></svg>"
               "<figcaption>In which share of years being down costs more than that; %.4g in the "
               "mean.</figcaption></figure>\n</section>\n",
               CURVE_HEIGHT, CURVE_WIDTH, CURVE_HEIGHT + 16, CURVE_WIDTH, CURVE_HEIGHT + 16,
               most / 100, o->lost_per_year);
}

static void findings(const struct outlook *o, struct buf *out)
{
    static const char *const signs[] = {"i", "⚠", "✘"};
    buf_adds(out, "<section id=\"findings\">\n<h2>Findings</h2>\n");
    buf_adds(out, o->findings_n ? "<ul class=\"findings\">\n" : "<p class=\"hint\">None.</p>\n");
    for (int w = WEIGHT_FAILURE; w >= WEIGHT_NOTE; w--)
        for (size_t i = 0; i < o->findings_n; i++) {
            const struct outlook_finding *x = &o->findings[i];
            if ((int)x->weight != w)
                continue;
            buf_printf(out,
                       "<li class=\"%s\"><span class=\"what\"><span aria-hidden=\"true\">%s "
                       "</span>%s</span>",
                       weight_words[w], signs[w], weight_words[w]);
            html_text(out, x->text);
            buf_adds(out, ".</li>\n");
        }
    buf_adds(out, o->findings_n ? "</ul>\n</section>\n" : "</section>\n");
}

static void how_to_read(const struct outlook *o, struct buf *out)
{
    const char *digest = jsonx_str(json_object_get(o->start, "scenario"), "digest", "?");
    AUTO_BUF yaml = BUF_INIT;
    buf_adds(
        out,
        "<section id=\"reading\">\n<h2>How to read this</h2>\n<dl>\n<dt>up 99.95 %</dt><dd>the "
        "share of all simulated time; everything is new and in order when a trial "
        "begins.</dd>\n<dt>the contract</dt><dd>is met as a forecast when the share of years "
        "in which it is kept is, with 95 % confidence, at or above what is asked "
        "for.</dd>\n<dt>by importance sampling</dt><dd>failures that hardly ever meet are "
        "made to meet, and each is weighted with how rarely it would have.</dd>\n</dl>\n"
        "<h3>What is assumed</h3>\n<details><summary>the scenario, with its "
        "components</summary><pre>");
    scenario_emit(o->scenario, &yaml);
    html_text(out, buf_text(&yaml));
    buf_printf(out,
               "</pre></details>\n<h3>To reproduce, and to check this report</h3>\n<pre>blackstart "
               "forecast scenario.yaml --years %" PRIu64 " --seed %s --trials %" PRIu64
               "\nblackstart report DIR        # computes everything here again\n"
               "sha256sum scenario.yaml      # must be: %s\n"
               "tail -n1 record.ndjson | sha256sum   # must be: %s</pre>\n</section>\n",
               o->years, jsonx_str(o->start, "seed", "?"), o->planned, digest, o->head.hash);
}

void outlook_html(const struct outlook *o, struct buf *out)
{
    head(o, out);
    buf_adds(out, "<div class=\"tiles\">\n");
    for (size_t i = 0; i < o->services_n && i < TILES_MOST; i++)
        tile(&o->services[i], out);
    buf_adds(out, "</div>\n");
    services(o, out);
    cascades(o, out);
    losses(o, out);
    findings(o, out);
    how_to_read(o, out);
    buf_adds(out, "<footer>A forecast, made by blackstart from record.ndjson; the numbers for "
                  "programs stand in result.json.</footer>\n</main>\n</body>\n</html>\n");
}
