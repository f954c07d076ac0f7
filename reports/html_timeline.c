/* The timeline of one trial: lanes over seconds since the fault.
 *
 * Everything that hangs on time carries its seconds as data, so that the script can draw the same
 * for another stretch of time; the drawing itself is complete without it. Beneath each drawing the
 * main events stand as a list, which is what a screen reader reads.
 */
#include "reports/html_part.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/episode.h"
#include "reports/sentence.h"
#include "sim/base/jsonx.h"

#define LEFT 176.0
#define WIDTH 900.0
#define RIGHT (LEFT + WIDTH)
#define LANE 28.0
#define TEXT_MAX 400 /* of one event, in the hover */

struct drawing {
    const struct result *r;
    const struct trial *t;
    nsec zero, from, to;
    double y;
    struct buf *out;
    struct buf events; /* JSON array of [seconds, y, text] */
    size_t events_n, *left;
};

static double at_seconds(const struct drawing *d, nsec t)
{
    return (double)(t - d->zero) / 1e9;
}

static double x_of(const struct drawing *d, nsec t)
{
    double x = LEFT + (double)(t - d->from) / (double)(d->to - d->from) * WIDTH;
    return x < LEFT ? LEFT : x > RIGHT ? RIGHT : x;
}

static void event(struct drawing *d, nsec t, double y, const char *text)
{
    if (*d->left == 0 || t < d->from || t > d->to)
        return;
    --*d->left;
    AUTO_JSON *s = json_stringn_nocheck(text, strlen(text));
    AUTO_FREE char *quoted = json_dumps(s, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    buf_printf(&d->events, "%s[%.4f,%.0f,", d->events_n++ ? "," : "", at_seconds(d, t), y);
    /* Inside <script>: nothing may look like a tag. */
    for (const char *c = quoted; *c; c++)
        if (*c == '<')
            buf_adds(&d->events, "\\u003c");
        else
            buf_addc(&d->events, *c);
    buf_addc(&d->events, ']');
}

static void raw_event(struct drawing *d, nsec t, double y, const json_t *e)
{
    if (*d->left == 0)
        return;
    AUTO_JSON *copy = json_deep_copy(e);
    json_object_del(copy, "prev");
    AUTO_BUF text = BUF_INIT;
    jsonx_dump(copy, &text);
    if (text.len > TEXT_MAX) {
        size_t cut = TEXT_MAX;
        while (cut > 0 && ((unsigned char)text.text[cut] & 0xc0) == 0x80)
            cut--;
        text.text[text.len = cut] = '\0';
        buf_adds(&text, "…");
    }
    event(d, t, y, buf_text(&text));
}

static void lane_name(struct drawing *d, const char *name, const char *kind)
{
    AUTO_BUF cut = BUF_INIT;
    size_t n = strlen(name);
    if (n > 22) {
        buf_add(&cut, name, 20);
        buf_adds(&cut, "…");
    } else {
        buf_adds(&cut, name);
    }
    buf_printf(d->out, "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 8, d->y + 13);
    html_text(d->out, buf_text(&cut));
    if (kind)
        buf_printf(d->out,
                   "<tspan class=\"soft\" x=\"%.0f\" dy=\"11\" style=\"font-size:10px\">%s</tspan>",
                   LEFT - 8, kind);
    buf_adds(d->out, "</text>");
    if (n > 22) {
        buf_printf(d->out,
                   "<rect x=\"0\" y=\"%.1f\" width=\"%.0f\" height=\"24\" "
                   "style=\"fill:transparent\"><title>",
                   d->y, LEFT - 8);
        html_text(d->out, name);
        buf_adds(d->out, "</title></rect>");
    }
}

static void bar(struct drawing *d, const char *class, nsec from, nsec to, double y, double h,
                const char *title)
{
    if (to < d->from || from > d->to)
        return;
    double a = x_of(d, from), b = x_of(d, to);
    buf_printf(d->out,
               "<rect class=\"%s\" data-a=\"%.4f\" data-b=\"%.4f\" x=\"%.2f\" y=\"%.1f\" "
               "width=\"%.2f\" height=\"%.1f\">",
               class, at_seconds(d, from), at_seconds(d, to), a, y, b - a > 0 ? b - a : 0, h);
    if (title) {
        buf_adds(d->out, "<title>");
        html_text(d->out, title);
        buf_adds(d->out, "</title>");
    }
    buf_adds(d->out, "</rect>");
}

/* Opens a group that stands at an instant; coordinates inside are from there. */
static bool pin(struct drawing *d, nsec t, double y)
{
    if (t < d->from || t > d->to)
        return false;
    buf_printf(d->out, "<g data-t=\"%.4f\" data-y=\"%.1f\" transform=\"translate(%.2f %.1f)\">",
               at_seconds(d, t), y, x_of(d, t), y);
    return true;
}

static void fault_lanes(struct drawing *d)
{
    for (size_t i = 0; i < d->t->faults_n; i++) {
        const struct fault *f = &d->t->faults[i];
        if (!f->injected || !span_is_set(f->start))
            continue;
        nsec end = span_is_set(f->end) ? f->end.lo : d->to;
        AUTO_BUF text = BUF_INIT;
        buf_adds(&text, f->action);
        for (size_t k = 0; k < json_array_size(f->targets); k++) {
            const char *target = json_string_value(json_array_get(f->targets, k));
            buf_printf(&text, "%s%s", k ? ", " : " ", target ? target : "?");
        }
        lane_name(d, f->step, "fault in force");
        bar(d, "fault", f->start.lo, end, d->y + 3, 17, buf_text(&text));
        double room = x_of(d, end) - x_of(d, f->start.lo);
        if (room > 7.0 * (double)text.len + 14) {
            buf_printf(d->out,
                       "<text class=\"faulttext\" data-a=\"%.4f\" data-b=\"%.4f\" x=\"%.2f\" "
                       "y=\"%.1f\" dx=\"7\">",
                       at_seconds(d, f->start.lo), at_seconds(d, end), x_of(d, f->start.lo),
                       d->y + 16);
            html_text(d->out, buf_text(&text));
            buf_adds(d->out, "</text>");
        }
        d->y += LANE;
    }
}

enum tick { GOOD_TICK, BAD_TICK, UNKNOWN_TICK };

static void strip(struct drawing *d, const struct probe *p)
{
    static const char *const classes[] = {"good-ticks", "bad-ticks", "unknown-ticks"};
    static const double tops[] = {8, 2, 5}, heights[] = {10, 21, 15};
    struct buf paths[3] = {BUF_INIT, BUF_INIT, BUF_INIT};
    struct buf ticks[3] = {BUF_INIT, BUF_INIT, BUF_INIT};
    double last[3] = {-1, -1, -1};
    size_t i = 0;
    lane_name(d, p->name, p->control ? "control probe" : "probe");
    buf_printf(d->out, "<rect class=\"lane\" x=\"%.0f\" y=\"%.1f\" width=\"%.0f\" height=\"23\"/>",
               LEFT, d->y + 1, WIDTH);
    for (const json_t *e; (e = trial_next(d->t, "probe", &i));) {
        nsec start = jsonx_int(e, "start", 0);
        if (strcmp(jsonx_str(e, "probe", ""), p->name) != 0 || start < d->from || start > d->to)
            continue;
        enum tick k = jsonx_bool(e, "ok", false)        ? GOOD_TICK
                      : jsonx_bool(e, "unknown", false) ? UNKNOWN_TICK
                                                        : BAD_TICK;
        double x = x_of(d, start);
        /* Good ones nearer than half a unit would only thicken the line. */
        if (k != GOOD_TICK || x - last[k] >= 0.5) {
            buf_printf(&paths[k], "M%.2f %.1fv%.0f", x, d->y + tops[k], heights[k]);
            buf_printf(&ticks[k], "%s%.3f", ticks[k].len ? " " : "", at_seconds(d, start));
            last[k] = x;
        }
        if (k == GOOD_TICK) {
            char text[160];
            snprintf(text, sizeof text, "%.60s: good after %.1f ms (record line %" PRId64 ")",
                     p->name, (double)(jsonx_int(e, "end", start) - start) / 1e6,
                     jsonx_int(e, "seq", 0));
            event(d, start, d->y + 12, text);
        } else {
            raw_event(d, start, d->y + 12, e);
        }
    }
    for (int k = 0; k < 3; k++)
        if (paths[k].len)
            buf_printf(d->out,
                       "<path class=\"%s\" data-ticks=\"%s\" data-y=\"%.1f\" data-h=\"%.0f\" "
                       "d=\"%s\"/>",
                       classes[k], buf_text(&ticks[k]), d->y + tops[k], heights[k],
                       buf_text(&paths[k]));
    for (int k = 0; k < 3; k++) {
        buf_done(&paths[k]);
        buf_done(&ticks[k]);
    }
    d->y += LANE;
}

/* Down periods shaded over all lanes of the service's probes, with the edges that are not known,
 * and the line by which it had to be back. */
static void shades(struct drawing *d, const struct service_seen *s, double top, double bottom)
{
    for (size_t i = 0; i < s->episodes_n; i++) {
        const struct episode *e = &s->episodes[i];
        nsec from = e->impact.hi;
        nsec to = e->restored.hi == NSEC_INF ? d->t->watched : e->restored.lo;
        AUTO_BUF text = BUF_INIT;
        buf_printf(&text, "%s down", s->service->name);
        bar(d, "downedge", e->impact.lo, e->impact.hi, top, bottom - top, NULL);
        bar(d, "down", from, to, top, bottom - top, buf_text(&text));
        if (e->restored.hi != NSEC_INF)
            bar(d, "downedge", e->restored.lo, e->restored.hi, top, bottom - top, NULL);
    }
    nsec rto = s->service->rto, start = NSEC_UNSET;
    if (s->service->rto_clock == CLOCK_FAULT && span_is_set(d->t->fault_start))
        start = d->t->fault_start.lo;
    for (size_t i = 0; i < s->episodes_n && s->service->rto_clock == CLOCK_IMPACT; i++)
        if (!s->episodes[i].undo && !nsec_is_set(start))
            start = s->episodes[i].impact.lo;
    if (!nsec_is_set(rto) || !nsec_is_set(start) || !pin(d, start + rto, top))
        return;
    char words[NSEC_TEXT_MAX];
    bool right = x_of(d, start + rto) < RIGHT - 90;
    buf_printf(d->out,
               "<path class=\"deadline\" d=\"M0 -2V%.1f\"/><text x=\"%d\" y=\"%.1f\" "
               "text-anchor=\"%s\" class=\"strong halo\">RTO %s</text></g>",
               bottom - top + 2, right ? 5 : -5, 12.0, right ? "start" : "end",
               sentence_target(rto, words));
}

static void alarm_lane(struct drawing *d, const struct service_seen *s, const struct alarm_seen *a)
{
    lane_name(d, a->alarm->name,
              a->alarm->role == ROLE_OWN ? "own probe" : role_words[a->alarm->role]);
    buf_printf(d->out, "<path class=\"axis\" d=\"M%.0f %.1fH%.0f\"/>", LEFT, d->y + 13, RIGHT);
    nsec last = NSEC_UNSET;
    size_t i = 0;
    for (const json_t *e; (e = trial_next(d->t, "alarm", &i));)
        if (strcmp(jsonx_str(e, "alarm", ""), a->alarm->name) == 0) {
            struct span at = jsonx_span(json_object_get(e, "at"));
            if (!span_is_set(at))
                continue;
            raw_event(d, at.lo, d->y + 12, e);
            bool onset = strcmp(jsonx_str(e, "event", ""), "onset") == 0;
            bool counted = span_is_set(a->onset) && at.lo == a->onset.lo;
            /* Bursts of packets would only draw over each other. */
            if (nsec_is_set(last) && at.lo - last < (d->to - d->from) / 400 && !counted)
                continue;
            last = at.lo;
            if (!pin(d, at.lo, d->y))
                continue;
            if (!onset)
                buf_adds(d->out, "<path class=\"flag-other\" d=\"M0 8v10m-4 0h8\"/>");
            else if (counted)
                buf_adds(d->out, "<path class=\"flag\" d=\"M0 24V3l13 5l-13 5z\"/>");
            else
                buf_adds(d->out, "<path class=\"flag-other\" d=\"M0 22V5l10 4l-10 4\"/>");
            buf_adds(d->out, "</g>");
        }
    if (a->missing) {
        nsec within = s->service->detect ? s->service->detect->within : 0;
        const struct episode *first = NULL;
        for (size_t k = 0; k < s->episodes_n && !first; k++)
            first = s->episodes[k].undo ? NULL : &s->episodes[k];
        nsec due = first ? first->impact.lo + within : d->t->fault_start.lo + within;
        if (due > d->to - (d->to - d->from) / 8)
            due = d->to - (d->to - d->from) / 8;
        if (pin(d, due, d->y))
            buf_adds(d->out, "<path class=\"never\" d=\"M-5 8l10 10m0 -10l-10 10\"/>"
                             "<text x=\"10\" y=\"17\">never came</text></g>");
    } else if (a->masked && pin(d, d->t->fault_start.lo, d->y)) {
        buf_adds(d->out, "<text x=\"4\" y=\"17\">was already firing</text></g>");
    }
    d->y += LANE;
}

static void people_lanes(struct drawing *d)
{
    bool any = false;
    nsec begun = NSEC_UNSET;
    size_t i = 0;
    for (const json_t *e; (e = trial_next(d->t, "action", &i));) {
        struct span at = jsonx_span(json_object_get(e, "at"));
        bool end = strcmp(jsonx_str(e, "event", ""), "end") == 0;
        if (!any)
            lane_name(d, "actions", NULL);
        any = true;
        raw_event(d, at.lo, d->y + 12, e);
        if (!end)
            begun = at.lo;
        else if (nsec_is_set(begun)) {
            bar(d, "act", begun, at.hi, d->y + 4, 15, jsonx_str(e, "command", "command"));
            begun = NSEC_UNSET; /* one that could not be run has an end alone */
        }
    }
    d->y += any ? LANE : 0;
    any = false;
    i = 0;
    for (const json_t *e; (e = trial_next(d->t, "mark", &i));) {
        struct span at = jsonx_span(json_object_get(e, "at"));
        if (!any)
            lane_name(d, "people", "marks");
        any = true;
        raw_event(d, at.hi, d->y + 12, e);
        if (span_is_set(at) && pin(d, at.hi, d->y)) {
            buf_adds(d->out, "<path class=\"flag-other\" d=\"M0 20V8m-4 -4h8v8h-8z\"/>"
                             "<text x=\"7\" y=\"13\">");
            html_text(d->out, jsonx_str(e, "mark", ""));
            buf_adds(d->out, "</text></g>");
        }
    }
    d->y += any ? LANE : 0;
}

static void axis(struct drawing *d, double top)
{
    double a = at_seconds(d, d->from), b = at_seconds(d, d->to), raw = (b - a) / 8;
    double power = pow(10, floor(log10(raw))), step = power;
    static const double nice[] = {1, 2, 5, 10};
    for (size_t i = 0; i < ARRAY_SIZE(nice) && step < raw; i++)
        step = nice[i] * power;
    int digits = step < 1 ? (int)ceil(-log10(step) - 1e-9) : 0;
    buf_printf(d->out, "<g class=\"ticks\" data-y=\"%.1f\" data-top=\"%.1f\" data-bottom=\"%.1f\">",
               d->y + 15, top, d->y);
    for (double k = ceil(a / step - 1e-9); k * step <= b + 1e-9; k++) {
        double x = LEFT + (k * step - a) / (b - a) * WIDTH;
        double value = k * step;
        buf_printf(d->out,
                   "<path class=\"axis\" d=\"M%.2f %.1fV%.1f\"/><text class=\"soft\" x=\"%.2f\" "
                   "y=\"%.1f\" text-anchor=\"middle\">%.*f</text>",
                   x, top, d->y, x, d->y + 15, digits, fabs(value) < 1e-12 ? 0.0 : value);
    }
    buf_printf(d->out,
               "</g><text class=\"soft\" x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%s</text>",
               LEFT - 8, d->y + 15,
               span_is_set(d->t->fault_start) ? "seconds since the fault" : "seconds");
    d->y += 22;
}

/* What is worth reading without seeing the drawing. */
static void list(struct drawing *d, struct buf *out)
{
    buf_adds(out, "<ol class=\"events\">\n");
    for (size_t i = 0; i < d->t->faults_n; i++) {
        const struct fault *f = &d->t->faults[i];
        if (!span_is_set(f->start))
            continue;
        buf_printf(out, "<li>%.3f s: ", at_seconds(d, f->start.lo));
        html_text(out, f->step);
        buf_adds(out, " in force");
        if (span_is_set(f->end))
            buf_printf(out, ", until %.3f s (%s)", at_seconds(d, f->end.lo),
                       f->cause ? f->cause : "undone");
        buf_adds(out, "</li>\n");
    }
    for (size_t k = 0; k < d->t->services_n; k++) {
        const struct service_seen *s = &d->t->services[k];
        for (size_t i = 0; i < s->episodes_n; i++) {
            const struct episode *e = &s->episodes[i];
            buf_printf(out, "<li>between %.3f and %.3f s: ", at_seconds(d, e->impact.lo),
                       at_seconds(d, e->impact.hi));
            html_text(out, s->service->name);
            if (e->restored.hi == NSEC_INF)
                buf_printf(out, " failed; last seen down at %.3f s, not restored",
                           at_seconds(d, e->restored.lo));
            else
                buf_printf(out, " failed; back between %.3f and %.3f s, by %s",
                           at_seconds(d, e->restored.lo), at_seconds(d, e->restored.hi),
                           e->undo ? "itself, while the faults were being undone (not judged)"
                           : e->by == BY_HEAL ? "the fault being taken away"
                                              : "recovery");
            if (e->flaps)
                buf_printf(out, ", after %zu %s", e->flaps, e->flaps == 1 ? "flap" : "flaps");
            buf_adds(out, "</li>\n");
        }
        for (size_t i = 0; i < s->alarms_n; i++) {
            const struct alarm_seen *a = &s->alarms[i];
            if (!span_is_set(a->onset) && !a->missing)
                continue;
            buf_adds(out, "<li>");
            if (span_is_set(a->onset))
                buf_printf(out, "%.3f s: ", at_seconds(d, a->onset.lo));
            buf_printf(out, "alarm (%s) ", role_words[a->alarm->role]);
            html_text(out, a->alarm->name);
            buf_adds(out, span_is_set(a->onset) ? " rang" : " never rang");
            if (a->after_restoration)
                buf_adds(out, ", after the service was back");
            if (a->suppressed)
                buf_printf(out, ", suppressed %zu %s in maintenance", a->suppressed,
                           a->suppressed == 1 ? "time" : "times");
            if (span_is_set(a->resolved))
                buf_printf(out, ", resolved at %.3f s", at_seconds(d, a->resolved.hi));
            buf_adds(out, "</li>\n");
        }
    }
    buf_adds(out, "</ol>\n");
}

static void lanes(struct drawing *d)
{
    d->y = 8;
    fault_lanes(d);
    for (size_t k = 0; k < d->t->services_n; k++) {
        const struct service_seen *s = &d->t->services[k];
        double top = d->y;
        for (size_t i = 0; i < d->r->scenario->probes.n; i++) {
            const struct probe *p = d->r->scenario->probes.items[i];
            if (p->service && strcmp(p->service, s->service->name) == 0)
                strip(d, p);
        }
        if (d->y > top)
            shades(d, s, top, d->y - 2);
    }
    for (size_t i = 0; i < d->r->scenario->probes.n; i++) {
        const struct probe *p = d->r->scenario->probes.items[i];
        if (p->control)
            strip(d, p);
    }
    for (size_t k = 0; k < d->t->services_n; k++)
        for (size_t i = 0; i < d->t->services[k].alarms_n; i++)
            if (strcmp(d->t->services[k].alarms[i].alarm->service,
                       d->t->services[k].service->name) == 0)
                alarm_lane(d, &d->t->services[k], &d->t->services[k].alarms[i]);
    people_lanes(d);
    if (d->t->watched < d->to)
        bar(d, "undoing", d->t->watched, d->to, 4, d->y - 4, "undoing: reported, not judged");
}

static void summary_line(const struct result *r, const struct trial *t, struct buf *out)
{
    buf_printf(out, "Trial %" PRId64, t->n);
    if (!t->counted)
        buf_printf(out, ", attempt %" PRId64 " (replaced)", t->attempt);
    buf_adds(out, " <span class=\"soft\">");
    if (t->why_void) {
        buf_adds(out, "void: ");
        html_text(out, t->why_void);
    }
    bool first = true;
    for (size_t k = 0; k < t->services_n && !t->why_void; k++) {
        const struct service_seen *s = &t->services[k];
        if (s->probes_n == 0)
            continue;
        AUTO_BUF text = BUF_INIT;
        buf_printf(&text, "%s%s ", first ? "" : " · ", s->service->name);
        if (s->outcome == OUTCOME_UNAFFECTED) {
            buf_adds(&text, "unaffected");
        } else {
            buf_adds(&text, s->outcome == OUTCOME_CENSORED ? "not back: "
                            : s->by == BY_HEAL             ? "back only when undone: "
                                                           : "back in ");
            sentence_span(span_is_set(s->ttr) ? s->ttr : s->ttr_clock[CLOCK_IMPACT], &text);
        }
        if (s->detected_by) {
            bool hit = span_is_set(s->ttd_impact);
            buf_printf(&text, ", %s after ", s->detected_by->alarm->name);
            sentence_span(hit ? s->ttd_impact : s->ttd_fault, &text);
            if (!hit)
                buf_adds(&text, " from the fault");
        }
        html_text(out, buf_text(&text));
        first = false;
    }
    buf_adds(out, "</span>");
}

void html_timeline(const struct result *r, const struct trial *t, bool open, size_t *events_left,
                   struct buf *out)
{
    buf_printf(out, "<details%s>\n<summary>", open ? " open" : "");
    summary_line(r, t, out);
    buf_adds(out, "</summary>\n");
    if (!t->run || !nsec_is_set(t->armed)) {
        buf_adds(out, "<p class=\"hint\">There is nothing to draw: it did not get as far as a "
                      "fault.</p>\n</details>\n");
        return;
    }
    AUTO_BUF svg = BUF_INIT;
    struct drawing d = {.r = r, .t = t, .out = &svg, .events = BUF_INIT, .left = events_left};
    bool fault = span_is_set(t->fault_start);
    d.zero = fault ? t->fault_start.lo : t->zero;
    nsec length = t->watched - d.zero;
    d.from = d.zero - (fault ? length / 10 : 0);
    if (d.from < t->begun)
        d.from = t->begun;
    d.to = nsec_is_set(t->ended) ? t->ended : t->watched;
    if (d.to > t->watched + length / 4)
        d.to = t->watched + length / 4;
    if (d.to <= d.from)
        d.to = d.from + NSEC_SEC;
    lanes(&d);
    double bottom = d.y;
    AUTO_BUF ruler = BUF_INIT;
    d.out = &ruler;
    axis(&d, 4);
    buf_adds(out, "<div class=\"tools\" role=\"group\" aria-label=\"Zoom\">"
                  "<button type=\"button\" data-do=\"in\">zoom in</button>"
                  "<button type=\"button\" data-do=\"out\">zoom out</button>"
                  "<button type=\"button\" data-do=\"left\">←</button>"
                  "<button type=\"button\" data-do=\"right\">→</button>"
                  "<button type=\"button\" data-do=\"all\">all</button>"
                  "<span>Drag to move, Shift and wheel to zoom; with the keyboard ← → walk through "
                  "the events, + − zoom, 0 shows all.</span></div>\n<div class=\"scroll\">\n");
    buf_printf(out,
               "<svg class=\"timeline\" viewBox=\"0 0 1090 %.0f\" tabindex=\"0\" role=\"img\" "
               "aria-label=\"Timeline of trial %" PRId64 "; its events are listed below\" "
               "data-from=\"%.4f\" data-to=\"%.4f\" data-left=\"%.0f\" data-width=\"%.0f\">\n",
               d.y + 2, t->n, at_seconds(&d, d.from), at_seconds(&d, d.to), LEFT, WIDTH);
    buf_adds(out, buf_text(&ruler));
    buf_adds(out, buf_text(&svg));
    buf_printf(out,
               "<line class=\"cursor\" x1=\"0\" x2=\"0\" y1=\"4\" y2=\"%.1f\" "
               "style=\"display:none\"/>\n</svg>\n</div>\n<pre class=\"raw\" aria-live=\"polite\">"
               "</pre>\n",
               bottom);
    list(&d, out);
    buf_printf(out, "<script type=\"application/json\">[%s]</script>\n", buf_text(&d.events));
    buf_done(&d.events);
    if (*events_left == 0)
        buf_adds(out, "<p class=\"hint\">This page carries no more single events; they stand in "
                      "record.ndjson.</p>\n");
    buf_adds(out, "</details>\n");
}
