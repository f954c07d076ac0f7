/* report.html: the page, section by section. */
#include "reports/html.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/assets.h"
#include "reports/html_part.h"
#include "reports/load.h"
#include "reports/sentence.h"
#include "sim/base/jsonx.h"

#define EVENTS_MAX 20000 /* carried for hovering, over all timelines */
#define DRAWN_MAX 60     /* timelines; of more trials only the worst and the first ones */

static void add_text(void (*make)(const struct result *, struct buf *), const struct result *r,
                     struct buf *out)
{
    AUTO_BUF text = BUF_INIT;
    make(r, &text);
    html_text(out, buf_text(&text));
}

static void head(const struct result *r, struct buf *out)
{
    const char *title = r->scenario->title ? r->scenario->title : r->scenario->name;
    buf_adds(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                  "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n"
                  "<meta name=\"generator\" content=\"blackstart\">\n<title>");
    html_text(out, title);
    buf_printf(out, ": %s</title>\n<style>\n", sentence_verdict(r->verdict));
    buf_adds(out, assets_css);
    buf_adds(out, "</style>\n</head>\n");
}

/* "2026-11-22 14:58 UTC" from the ISO text. */
static void date(const char *iso, struct buf *out)
{
    if (!iso || strlen(iso) < 16) {
        html_text(out, iso);
        return;
    }
    AUTO_BUF text = BUF_INIT;
    buf_add(&text, iso, 10);
    buf_addc(&text, ' ');
    buf_add(&text, iso + 11, 5);
    buf_adds(out, "<time datetime=\"");
    html_text(out, iso);
    buf_adds(out, "\">");
    html_text(out, buf_text(&text));
    buf_adds(out, " UTC</time>");
}

static void first_screen(const struct result *r, struct buf *out)
{
    static const char *const classes[] = {"live", "functional", "forecast", "exercise", "replay"};
    const char *mode = jsonx_str(r->start, "mode", ""), *class = "";
    for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
        if (strcmp(mode, classes[i]) == 0)
            class = classes[i];
    buf_printf(out,
               "<body>\n<a class=\"skip\" href=\"#timeline\">to the timeline</a>\n"
               "<main class=\"page\">\n<header>\n<div class=\"top\"><span class=\"badge %s\">%s"
               "</span><span class=\"chip %s\"><span aria-hidden=\"true\">%s</span>%s</span>",
               class, sentence_mode(r), verdict_words[r->verdict], html_sign(r->verdict),
               sentence_verdict(r->verdict));
    if (r->status != STATUS_COMPLETED)
        buf_printf(out, "<span class=\"chip not_met\">%s</span>", status_words[r->status]);
    buf_printf(out, "<span class=\"when\">%" PRId64 " %s · ", r->planned,
               r->planned == 1 ? "trial" : "trials");
    date(r->started, out);
    buf_adds(out, "</span></div>\n<h1>");
    html_text(out, r->scenario->title ? r->scenario->title : r->scenario->name);
    buf_adds(out, "</h1>\n");
    if (r->status != STATUS_COMPLETED) {
        buf_printf(out, "<p class=\"alert\">The run %s",
                   r->status == STATUS_ABORTED ? "was aborted" : "failed");
        if (r->status_reason) {
            buf_adds(out, ": ");
            html_text(out, r->status_reason);
        }
        buf_adds(out, ". What was seen until then is judged below.</p>\n");
    }
    if (r->clean != 1) {
        buf_adds(out, "<p class=\"alert\">");
        add_text(sentence_clean, r, out);
        buf_adds(out, "</p>\n");
    }
    const struct objective *o = sentence_headline(r);
    AUTO_BUF lead = BUF_INIT;
    AUTO_BUF more = BUF_INIT;
    if (o) {
        sentence_objective(r, o, &lead);
        sentence_reliability(r, o, &more);
    } else {
        buf_adds(&lead, "The scenario promises nothing that could be judged: inconclusive.");
    }
    buf_adds(out, "<p class=\"lead\">");
    html_text(out, buf_text(&lead));
    buf_adds(out, "</p>\n<p class=\"more\">");
    html_text(out, buf_text(&more));
    if (r->clean == 1) {
        buf_adds(out, more.len ? " " : "");
        add_text(sentence_clean, r, out);
    }
    buf_adds(out, "</p>\n</header>\n");
    html_tiles(r, out);
    html_chain(r, out);
}

static void key(struct buf *out)
{
    buf_adds(
        out,
        "<p class=\"key\">"
        "<span><svg viewBox=\"0 0 26 14\" aria-hidden=\"true\"><path class=\"good-ticks\" "
        "d=\"M6 2v10M12 2v10M18 2v10\"/></svg>good probe</span>"
        "<span><svg viewBox=\"0 0 26 14\" aria-hidden=\"true\"><path class=\"bad-ticks\" "
        "d=\"M6 0v14M12 0v14M18 0v14\"/></svg>failed (taller)</span>"
        "<span><svg viewBox=\"0 0 26 14\" aria-hidden=\"true\"><path class=\"unknown-ticks\" "
        "d=\"M6 0v14M12 0v14M18 0v14\"/></svg>unknown</span>"
        "<span><svg viewBox=\"0 0 26 14\" aria-hidden=\"true\"><rect class=\"down\" x=\"5\" "
        "width=\"16\" height=\"14\"/><rect class=\"downedge\" width=\"5\" height=\"14\"/>"
        "<rect class=\"downedge\" x=\"21\" width=\"5\" height=\"14\"/></svg>down; pale: not known "
        "which</span>"
        "<span><svg viewBox=\"0 0 26 14\" aria-hidden=\"true\"><path class=\"flag\" "
        "d=\"M6 14V1l12 4l-12 4z\"/></svg>the onset that counts</span>"
        "<span><svg viewBox=\"0 0 26 14\" aria-hidden=\"true\"><path class=\"flag-other\" "
        "d=\"M6 14V1l12 4l-12 4\"/></svg>other onset</span>"
        "<span><svg viewBox=\"0 0 26 14\" aria-hidden=\"true\"><path class=\"never\" "
        "d=\"M8 2l10 10m0 -10l-10 10\"/></svg>expected, never came</span>"
        "<span><svg viewBox=\"0 0 26 14\" aria-hidden=\"true\"><path class=\"deadline\" "
        "d=\"M13 0v14\"/></svg>the RTO</span>"
        "<span><svg viewBox=\"0 0 26 14\" aria-hidden=\"true\"><rect class=\"undoing\" "
        "width=\"26\" height=\"14\"/></svg>while undoing: not judged</span></p>\n");
}

static void timelines(const struct result *r, struct buf *out)
{
    buf_adds(out, "<section id=\"timeline\">\n<h2>Timeline</h2>\n<p class=\"hint\">One for each "
                  "trial, the worst opened. Seconds count from the fault.</p>\n");
    key(out);
    const struct objective *o = sentence_headline(r);
    const struct trial *worst = o ? result_worst_trial(r, o) : NULL;
    size_t events = EVENTS_MAX, drawn = 0, left_out = 0;
    if (!worst && r->trials_n)
        worst = &r->trials[0];
    if (worst) { /* it comes first, so that it always carries its events */
        html_timeline(r, worst, true, &events, out);
        drawn++;
    }
    for (size_t i = 0; i < r->trials_n; i++) {
        if (&r->trials[i] == worst)
            continue;
        if (drawn++ < DRAWN_MAX)
            html_timeline(r, &r->trials[i], false, &events, out);
        else
            left_out++;
    }
    if (left_out)
        buf_printf(out,
                   "<p class=\"hint\">%zu more trials are not drawn here; all stand in result.json "
                   "and record.ndjson.</p>\n",
                   left_out);
    buf_adds(out, "</section>\n");
}

/* Three digits, rounded down (-1) or up (1): a bound is never narrowed. */
static double outward(double v, int direction)
{
    if (v == 0 || !isfinite(v))
        return v;
    double step = pow(10, floor(log10(fabs(v))) - 2);
    return direction < 0 ? floor(v / step + 1e-6) * step : ceil(v / step - 1e-6) * step;
}

static void number_cell(bool has, double v, bool above, struct buf *out)
{
    if (has)
        buf_printf(out, "<td class=\"n\">%s%.3g s</td>", above ? "&gt; " : "",
                   above ? outward(v, -1) : v);
    else
        buf_adds(out, "<td class=\"n\">–</td>");
}

/* `by`: a role or an alarm; NULL: all together. */
static void summary_row(const char *what, const char *service, const char *by,
                        const struct summary *m, struct buf *out)
{
    buf_printf(out, "<tr><td>%s, ", what);
    html_text(out, service);
    if (by) {
        buf_adds(out, ", by ");
        html_text(out, by);
    }
    buf_printf(out, "</td><td class=\"n\">%zu</td><td class=\"n\">%zu</td><td class=\"n\">%zu</td>",
               m->n, m->unaffected, m->censored);
    number_cell(m->has_median, m->median, m->median_censored, out);
    if (m->has_ci)
        buf_printf(out, "<td class=\"n\">%.3g – %s%.3g s (%.4g %%)</td>", outward(m->ci.lo, -1),
                   m->ci_censored ? "&gt; " : "", outward(m->ci.hi, m->ci_censored ? -1 : 1),
                   floor(1e4 * m->ci_level + 1e-9) / 100);
    else
        buf_adds(out, "<td class=\"n\">–</td>");
    AUTO_BUF worst = BUF_INIT;
    if (m->n)
        sentence_span(m->max, &worst);
    else
        buf_adds(&worst, "–");
    buf_adds(out, "<td class=\"n\">");
    html_text(out, buf_text(&worst));
    buf_adds(out, "</td><td>");
    if (m->has_mean) {
        buf_printf(out, "%.3g s", m->mean);
        if (m->restricted_to > 0)
            buf_printf(out, ", restricted to %.3g s", m->restricted_to);
        if (m->has_mean_ci)
            buf_printf(out, " (%.3g – %.3g)", outward(m->mean_ci.lo, -1),
                       outward(m->mean_ci.hi, 1));
        buf_adds(out, "; ");
    }
    if (m->mean_note)
        html_text(out, m->mean_note);
    else if (!m->has_mean)
        buf_adds(out, "–");
    buf_adds(out, "</td></tr>\n");
}

/* Each layer and each alarm by itself. */
static void noticing_rows(const struct result *r, const struct service *s, struct buf *out)
{
    for (size_t i = 0; i < r->layers_n; i++) {
        const struct layer_summary *l = &r->layers[i];
        if (l->service != s || l->ttd.n == 0)
            continue;
        AUTO_BUF role = BUF_INIT;
        buf_printf(&role, "role %s", role_words[l->role]);
        summary_row("detect", s->name, buf_text(&role), &l->ttd, out);
        for (size_t k = 0; k < r->alarms_n; k++) {
            const struct alarm_summary *a = &r->alarms[k];
            if (a->alarm->role == l->role && strcmp(a->alarm->service, s->name) == 0)
                summary_row("detect", s->name, a->alarm->name, &a->ttd, out);
        }
    }
}

static void distribution(const struct result *r, const struct plots *plots, struct buf *out)
{
    bool any = false;
    for (size_t i = 0; i < r->services_n; i++)
        any |= r->services[i].ttr.n + r->services[i].ttd.n > 0;
    if (!any)
        return;
    buf_adds(out, "<section id=\"distribution\">\n<h2>Over all trials</h2>\n<p class=\"hint\">The "
                  "headline is the median with the confidence it really has at this number of "
                  "trials; an average stands beside what it assumes.</p>\n<div class=\"scroll\">"
                  "<table>\n<thead><tr><th>time to</th><th class=\"n\">measured</th>"
                  "<th class=\"n\">unaffected</th><th class=\"n\">not seen to end</th>"
                  "<th class=\"n\">median</th><th class=\"n\">its interval</th>"
                  "<th class=\"n\">worst</th><th>mean</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < r->services_n; i++) {
        const struct service_summary *s = &r->services[i];
        if (s->ttr.affected + s->ttr.unaffected > 0) {
            summary_row("restore", s->service->name, NULL, &s->ttr, out);
            summary_row("detect", s->service->name, NULL, &s->ttd, out);
        }
        noticing_rows(r, s->service, out);
    }
    buf_adds(out, "</tbody></table></div>\n");
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

/* The record's line as it stands there, for evidence. */
static void evidence(const struct result *r, int64_t seq, struct buf *out)
{
    if (seq < 0 || (size_t)seq >= json_array_size(r->events))
        return;
    AUTO_JSON *line = json_deep_copy(json_array_get(r->events, (size_t)seq));
    json_object_del(line, "prev");
    AUTO_BUF text = BUF_INIT;
    jsonx_dump(line, &text);
    buf_printf(out,
               "<details class=\"evidence\"><summary>evidence: line %" PRId64
               " of record.ndjson</summary><pre>",
               seq);
    html_text(out, buf_text(&text));
    buf_adds(out, "</pre></details>");
}

static void findings(const struct result *r, struct buf *out)
{
    static const char *const signs[] = {"i", "⚠", "✘"};
    buf_adds(out, "<section id=\"findings\">\n<h2>Findings</h2>\n");
    if (r->findings_n == 0) {
        buf_adds(out,
                 "<p class=\"hint\">None: what was to be noticed was noticed, nothing fell "
                 "that should not have, and the measurement can be trusted.</p>\n</section>\n");
        return;
    }
    buf_adds(out, "<ul class=\"findings\">\n");
    for (int w = WEIGHT_FAILURE; w >= WEIGHT_NOTE; w--)
        for (size_t i = 0; i < r->findings_n; i++) {
            const struct finding *f = &r->findings[i];
            if ((int)f->weight != w)
                continue;
            buf_printf(out,
                       "<li class=\"%s\"><span class=\"what\"><span aria-hidden=\"true\">%s "
                       "</span>%s</span>",
                       weight_words[w], signs[w], weight_words[w]);
            if (f->trial && strcmp(f->code, "void") != 0)
                buf_printf(out, "trial %" PRId64 ": ", f->trial);
            html_text(out, f->text);
            for (size_t k = 0; k < f->seq_n; k++)
                evidence(r, f->seq[k], out);
            buf_adds(out, "</li>\n");
        }
    buf_adds(out, "</ul>\n</section>\n");
}

static void changes(const json_t *list, struct buf *out)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        buf_adds(out, "<br><span class=\"mono\">");
        html_text(out, text ? text : "?");
        buf_adds(out, "</span>");
    }
}

static void fault_row(const struct result *r, const struct trial *t, const struct fault *f,
                      struct buf *out)
{
    buf_printf(out, "<tr><td class=\"n\">%" PRId64 "</td><td><b>", t->n);
    html_text(out, f->step);
    buf_adds(out, "</b> ");
    html_text(out, f->action);
    for (size_t m = 0; m < json_array_size(f->targets); m++) {
        buf_adds(out, m ? ", " : " ");
        html_text(out, json_string_value(json_array_get(f->targets, m)));
    }
    if (f->chosen) {
        buf_adds(out, " (chosen: ");
        html_text(out, f->chosen);
        buf_adds(out, ")");
    }
    changes(f->changes, out);
    buf_adds(out, "</td><td>");
    if (span_is_set(f->start) && nsec_is_set(t->zero))
        buf_printf(out, "at %.3f s, took %.1f ms", (double)(f->start.lo - t->zero) / 1e9,
                   (double)(f->start.hi - f->start.lo) / 1e6);
    if (!f->injected) {
        buf_adds(out, "<b>not injected:</b> ");
        html_text(out, f->error);
    }
    buf_adds(out, "</td><td>");
    if (f->asked) {
        buf_adds(out, f->verified ? "✔ verified: " : "<b>✘ did not bite:</b> ");
        html_text(out, f->seen);
        buf_adds(out, "<br>asked: ");
        html_text(out, f->asked);
        buf_adds(out, "<br>by: ");
        html_text(out, f->how);
    } else {
        buf_adds(out, "<b>✘ not verified</b>");
    }
    buf_adds(out, "</td><td>");
    if (span_is_set(f->end)) {
        buf_printf(out, "%s at %.3f s", f->undo_failed ? "<b>✘ FAILED</b>" : "✔ undone",
                   (double)(f->end.lo - t->zero) / 1e9);
        buf_adds(out, " (");
        html_text(out, f->cause ? f->cause : "?");
        buf_adds(out, ")");
        changes(f->undo_changes, out);
    } else {
        buf_adds(out, r->clean == 1 ? "ended with the lab" : "not known");
    }
    buf_adds(out, "</td></tr>\n");
}

static void action_row(const struct trial *t, const struct action *a, struct buf *out)
{
    AUTO_BUF how = BUF_INIT;
    sentence_action(a, &how);
    buf_printf(out, "<tr><td class=\"n\">%" PRId64 "</td><td><b>", t->n);
    html_text(out, a->step);
    buf_adds(out, "</b> run ");
    html_text(out, a->host);
    if (a->role) {
        buf_adds(out, " (as ");
        html_text(out, a->role);
        buf_adds(out, ")");
    }
    buf_adds(out, "<br><span class=\"mono\">");
    html_text(out, a->command);
    buf_adds(out, "</span></td><td>");
    nsec at = span_is_set(a->start) ? a->start.lo : a->end.lo;
    if (nsec_is_set(at) && nsec_is_set(t->zero))
        buf_printf(out, "at %.3f s", (double)(at - t->zero) / 1e9);
    if (span_is_set(a->start) && span_is_set(a->end))
        buf_printf(out, ", took %.1f ms", (double)(a->end.hi - a->start.lo) / 1e6);
    buf_adds(out, "</td><td>");
    html_text(out, buf_text(&how));
    buf_adds(out, "</td><td>not undone: an action, no fault</td></tr>\n");
}

static void changes_head(bool *any, struct buf *out)
{
    if (!*any)
        buf_adds(out, "<div class=\"scroll\"><table>\n<thead><tr><th class=\"n\">trial</th>"
                      "<th>change</th><th>when</th><th>did it bite</th><th>undone</th></tr>"
                      "</thead>\n<tbody>\n");
    *any = true;
}

static void comparisons(const struct result *r, struct buf *out)
{
    for (size_t i = 0; i < json_array_size(r->events); i++) {
        const json_t *e = json_array_get(r->events, i);
        if (strcmp(jsonx_str(e, "kind", ""), "clean") != 0)
            continue;
        int64_t trial = jsonx_int(e, "trial", 0);
        buf_adds(out, "<li>");
        if (trial)
            buf_printf(out, "after trial %" PRId64, trial);
        else
            buf_adds(out, "at the end");
        buf_adds(out, jsonx_bool(e, "clean", false) ? ": ✔ clean; compared: "
                                                    : ": <b>✘ not clean</b>; compared: ");
        static const char *const lists[] = {"checked", "left", "others"};
        static const char *const words[] = {"", "; left by us: ", "; changed by others: "};
        for (size_t k = 0; k < 3; k++) {
            const json_t *list = json_object_get(e, lists[k]);
            for (size_t m = 0; m < json_array_size(list); m++) {
                buf_adds(out, m ? ", " : words[k]);
                html_text(out, json_string_value(json_array_get(list, m)));
            }
        }
        buf_adds(out, "</li>\n");
    }
}

static void done_to_the_system(const struct result *r, struct buf *out)
{
    buf_adds(out, "<section id=\"changes\">\n<h2>What was done to the system</h2>\n<p "
                  "class=\"hint\">");
    add_text(sentence_clean, r, out);
    buf_adds(out, " Times count from the script's zero of each trial.</p>\n");
    bool any = false;
    for (size_t i = 0; i < r->trials_n; i++) {
        const struct trial *t = &r->trials[i];
        for (size_t k = 0; k < t->faults_n; k++) {
            changes_head(&any, out);
            fault_row(r, t, &t->faults[k], out);
        }
        for (size_t k = 0; k < t->actions_n; k++) {
            changes_head(&any, out);
            action_row(t, &t->actions[k], out);
        }
    }
    buf_adds(out, any ? "</tbody></table></div>\n" : "<p>Nothing was changed.</p>\n");
    buf_adds(out, "<h3>Compared before and after</h3>\n<ul>\n");
    comparisons(r, out);
    buf_adds(out, "</ul>\n</section>\n");
}

static void fact(const char *name, const char *value, struct buf *out)
{
    if (!value)
        return;
    buf_printf(out, "<dt>%s</dt><dd>", name);
    html_text(out, value);
    buf_adds(out, "</dd>\n");
}

static void definitions(const struct result *r, struct buf *out)
{
    buf_adds(
        out,
        "<dl>\n"
        "<dt>3.2 s (3.1–3.3)</dt><dd>what is known: the true value lies between 3.1 and 3.3 s. "
        "A target is met only if the whole interval is within it, missed only if none of it "
        "is; else the trial is <i>open</i>.</dd>\n"
        "<dt>failed (impact)</dt><dd>between the start of the last good probe and the end of "
        "the first failed one.</dd>\n"
        "<dt>restored</dt><dd>between the start of the last failed probe and the end of the "
        "first good one of a run that stayed good. Restored means: the probes' answers are as "
        "expected again, no more.</dd>\n"
        "<dt>not back (censored)</dt><dd>not restored when observation ended: longer than "
        "what is shown. Never dropped from any number.</dd>\n"
        "<dt>heal</dt><dd>back only after blackstart took the fault away. That is no recovery "
        "and meets no RTO.</dd>\n"
        "<dt>unaffected</dt><dd>no outage longer than the probes' resolution was seen.</dd>\n"
        "<dt>void</dt><dd>the fault did not bite, the service was not steady before, or the "
        "trial was not run. Counts against what is shown.</dd>\n"
        "<dt>noticed</dt><dd>the first onset of an alarm that counts. Blackstart's own probe "
        "seeing an outage is not your monitoring noticing it, and is always told apart.</dd>\n"
        "</dl>\n");
    for (size_t i = 0; i < r->services_n; i++) {
        const struct service_summary *s = &r->services[i];
        if (!nsec_is_set(s->resolution) || s->resolution == NSEC_INF)
            continue;
        AUTO_BUF words = BUF_INIT;
        sentence_span((struct span){0, s->resolution}, &words);
        buf_adds(out, "<p>An outage of ");
        html_text(out, s->service->name);
        buf_printf(out, " of %s may have gone unseen. Its RTO runs from %s.</p>\n",
                   buf_text(&words),
                   s->service->rto_clock == CLOCK_IMPACT      ? "the impact"
                   : s->service->rto_clock == CLOCK_FAULT     ? "the fault"
                   : s->service->rto_clock == CLOCK_DETECTION ? "detection"
                                                              : "declaration");
    }
}

static void reproduce(const struct result *r, struct buf *out)
{
    AUTO_BUF command = BUF_INIT;
    buf_printf(&command, "blackstart run scenario.yaml --seed %s --trials %" PRId64,
               jsonx_str(r->start, "seed", "?"), r->planned);
    buf_adds(out, "<h3>To reproduce, and to check this report</h3>\n<pre>");
    html_text(out, buf_text(&command));
    buf_adds(out, "\nblackstart report DIR        # computes everything here again, from "
                  "record.ndjson and scenario.yaml\nsha256sum scenario.yaml      # must be: ");
    html_text(out, jsonx_str(json_object_get(r->start, "scenario"), "digest", "?"));
    buf_adds(out, "\ntail -n1 record.ndjson | sha256sum   # must be: ");
    html_text(out, r->head.hash);
    buf_adds(out, "</pre>\n");
}

static void how_to_read(const struct result *r, struct buf *out)
{
    buf_adds(out, "<section id=\"reading\">\n<h2>How to read this</h2>\n");
    definitions(r, out);
    buf_adds(out, "<h3>What this does not show</h3>\n<p>The trials are repetitions of this "
                  "scenario in this environment on this day. They share a host, its caches and "
                  "its load; they are not a sample of production incidents. Confidence holds for "
                  "each promise alone, not for all together. Availability is a property of the "
                  "script and is not stated.</p>\n<h3>Where it comes from</h3>\n<dl>\n");
    const json_t *env = json_object_get(r->start, "environment");
    char text[64];
    fact("blackstart", jsonx_str(r->start, "blackstart", NULL), out);
    fact("host", jsonx_str(env, "hostname", NULL), out);
    fact("kernel", jsonx_str(env, "kernel", NULL), out);
    fact("distribution", jsonx_str(env, "distribution", NULL), out);
    fact("privileges", jsonx_bool(env, "rootless", false) ? "none (user namespace)" : "root", out);
    fact("operator", jsonx_str(r->start, "operator", NULL), out);
    fact("clock", jsonx_str(r->start, "clock", NULL), out);
    fact("started", r->started, out);
    fact("ended", r->ended, out);
    fact("seed", jsonx_str(r->start, "seed", NULL), out);
    const json_t *attempt = json_object_get(r->start, "attempt");
    snprintf(text, sizeof text, "%" PRId64, jsonx_int(attempt, "n", 1));
    fact("run of this scenario, beside it", text, out);
    fact("scenario (SHA-256)", jsonx_str(json_object_get(r->start, "scenario"), "digest", NULL),
         out);
    snprintf(text, sizeof text, "%" PRId64, r->head.seq);
    fact("last line of the record", text, out);
    fact("its SHA-256", r->head.hash, out);
    buf_adds(out, "</dl>\n");
    reproduce(r, out);
    buf_adds(out, "</section>\n");
}

static void loads(const struct result *r, struct buf *out)
{
    if (!load_any(r))
        return;
    buf_adds(out,
             "<section id=\"loads\">\n<h2>Background load</h2>\n<div class=\"scroll\"><table>\n"
             "<thead><tr><th class=\"n\">trial</th><th>load</th><th>what came of it</th></tr>"
             "</thead>\n<tbody>\n");
    for (size_t i = 0; i < r->trials_n; i++)
        for (size_t k = 0; k < r->trials[i].loads_n; k++) {
            const struct load_seen *l = &r->trials[i].loads[k];
            AUTO_BUF words = BUF_INIT;
            buf_printf(out, "<tr><td class=\"n\">%" PRId64 "</td><td><b>", r->trials[i].n);
            html_text(out, l->name);
            buf_adds(out, "</b> on ");
            html_text(out, l->host);
            buf_adds(out, "<br><span class=\"mono\">");
            html_text(out, l->command);
            buf_adds(out, "</span></td><td>");
            load_words(l, &words);
            html_text(out, buf_text(&words));
            buf_adds(out, "</td></tr>\n");
        }
    buf_adds(out, "</tbody></table></div>\n</section>\n");
}

void html_write(const struct result *r, const struct plots *plots, struct buf *out)
{
    head(r, out);
    first_screen(r, out);
    timelines(r, out);
    distribution(r, plots, out);
    findings(r, out);
    done_to_the_system(r, out);
    loads(r, out);
    how_to_read(r, out);
    buf_adds(out, "<footer>Made by blackstart from record.ndjson; the numbers for programs stand "
                  "in result.json.</footer>\n</main>\n<script>\n");
    buf_adds(out, assets_js);
    buf_adds(out, "</script>\n</body>\n</html>\n");
}
