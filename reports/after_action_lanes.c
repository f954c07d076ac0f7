/* The first screen of an after-action report: a tile for each objective, and one drawing in which machines
 * and people have their lanes on one clock.
 *
 * The clock of the drawing is real time since the first go where machines took part, for they do not stop
 * when the exercise is held; else the exercise clock. All that is drawn stands in the timeline's table too,
 * which is what a screen reader reads.
 */
#include "reports/after_action.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reports/html_part.h"
#include "reports/sentence.h"
#include "sim/base/jsonx.h"
#include "sim/model/assumption.h"

#define LEFT 150.0
#define WIDTH 920.0
#define LANE 26.0

enum shape {
    SHAPE_FAULT,
    SHAPE_DOWN,
    SHAPE_COMMAND, /* bars up to here */
    SHAPE_ALARM,
    SHAPE_TOLD,
    SHAPE_ASKED,
    SHAPE_ANSWERED, /* acknowledged, declared … */
    SHAPE_DECIDED,
    SHAPE_DONE,
    SHAPE_MISSED,
};

struct moment {
    nsec from, to; /* of the drawing's clock; to: of bars alone */
    enum shape shape;
    const char *lane, *text;
};

struct drawing {
    const struct after_action *a;
    struct moment *moments;
    size_t n, room;
    nsec go, from, to;
    double y;
    struct buf *out;
};

/* --- What is drawn --- */

static void put(struct drawing *d, enum shape shape, const char *lane, nsec from, nsec to,
                const char *text)
{
    if (!lane || !nsec_is_set(from))
        return;
    if (d->n == d->room) {
        d->room = d->room ? d->room * 2 : 64;
        d->moments = realloc(d->moments, d->room * sizeof *d->moments);
        if (!d->moments)
            abort();
    }
    d->moments[d->n++] = (struct moment){from, to, shape, lane, text};
    d->from = from < d->from ? from : d->from;
    d->to = to > d->to ? to : d->to;
}

/* When a line of the record was written, on the drawing's clock. */
static nsec line_at(const struct drawing *d, const json_t *e)
{
    return d->a->machine ? nsec_sub(jsonx_int(e, "t", 0), d->go) : jsonx_int(e, "clock", 0);
}

static void faults(struct drawing *d)
{
    const struct trial *t = d->a->trial;
    for (size_t i = 0; t && i < t->faults_n; i++) {
        const struct fault *f = &t->faults[i];
        if (!f->injected || !span_is_set(f->start))
            continue;
        nsec end = span_is_set(f->end) ? f->end.lo : t->watched;
        put(d, SHAPE_FAULT, "faults", nsec_sub(f->start.lo, d->go), nsec_sub(end, d->go),
            arena_printf(d->a->arena, "%s: %s in force", f->step, f->action));
    }
}

static void outages(struct drawing *d)
{
    const struct trial *t = d->a->trial;
    for (size_t k = 0; t && k < t->services_n; k++) {
        const struct service_seen *s = &t->services[k];
        for (size_t i = 0; i < s->episodes_n; i++) {
            const struct episode *e = &s->episodes[i];
            nsec back = e->restored.hi == NSEC_INF ? t->watched : e->restored.hi;
            put(d, SHAPE_DOWN, s->service->name, nsec_sub(e->impact.lo, d->go),
                nsec_sub(back, d->go), arena_printf(d->a->arena, "%s down", s->service->name));
        }
    }
}

static void alarms(struct drawing *d)
{
    const struct trial *t = d->a->trial;
    for (size_t k = 0; t && k < t->services_n; k++)
        for (size_t i = 0; i < t->services[k].alarms_n; i++) {
            const struct alarm_seen *a = &t->services[k].alarms[i];
            nsec at = span_is_set(a->onset) ? nsec_sub(a->onset.lo, d->go) : NSEC_UNSET;
            if (a->alarm->service && !strcmp(a->alarm->service, t->services[k].service->name))
                put(d, SHAPE_ALARM, "alarms", at, at,
                    arena_printf(d->a->arena, "alarm %s rang", a->alarm->name));
        }
}

static void commands(struct drawing *d)
{
    const struct trial *t = d->a->trial;
    for (size_t i = 0; t && i < t->actions_n; i++) {
        const struct action *one = &t->actions[i];
        if (!span_is_set(one->start))
            continue;
        nsec end = span_is_set(one->end) ? one->end.hi : one->start.hi;
        put(d, SHAPE_COMMAND, "commands", nsec_sub(one->start.lo, d->go), nsec_sub(end, d->go),
            arena_printf(d->a->arena, "%s on %s", one->command, one->host));
    }
}

/* Outages of the story, where no machine was touched. */
static void story(struct drawing *d)
{
    size_t i;
    const json_t *e;
    json_array_foreach (d->a->events, i, e) {
        const char *name = jsonx_str(e, "service", NULL);
        const struct service *s = name ? scenario_service(d->a->scenario, name) : NULL;
        if (!s || strcmp(jsonx_str(e, "kind", ""), "service") != 0 ||
            strcmp(jsonx_str(e, "event", ""), "down") != 0)
            continue;
        nsec end = nsec_sub(d->a->state->clock, 0);
        size_t k;
        const json_t *up;
        json_array_foreach (d->a->events, k, up)
            if (k > i && end == d->a->state->clock &&
                !strcmp(jsonx_str(up, "kind", ""), "service") &&
                !strcmp(jsonx_str(up, "service", ""), name) &&
                !strcmp(jsonx_str(up, "event", ""), "up")) {
                end = line_at(d, up);
                break;
            }
        put(d, SHAPE_DOWN, s->name, line_at(d, e), end,
            arena_printf(d->a->arena, "%s down, in the story", s->name));
    }
}

/* Who was asked for what an expected action or a decision wants. */
static const char *asked_role(const struct after_action *a, const json_t *e)
{
    const char *id = jsonx_str(e, "step", "");
    for (size_t i = 0; i < a->n_tasks; i++)
        if (!strcmp(a->tasks[i].step->step->id, id) && a->tasks[i].by &&
            assumed_responder(a->scenario->assumptions, a->tasks[i].by))
            return a->tasks[i].by;
    return jsonx_str(e, "role", NULL);
}

static bool shape_of(const json_t *e, enum shape *ret)
{
    static const struct {
        const char *kind, *event; /* event NULL: any, or none */
        enum shape shape;
    } shapes[] = {
        {"page", "acknowledged", SHAPE_ANSWERED}, {"decision", NULL, SHAPE_DECIDED},
        {"question", NULL, SHAPE_ASKED},          {"approval", "given", SHAPE_DONE},
        {"expected", "done", SHAPE_DONE},         {"expected", "missed", SHAPE_MISSED},
        {"checklist", "checked", SHAPE_DONE},     {"status", "sent", SHAPE_DONE},
        {"status", "missed", SHAPE_MISSED},       {"mark", NULL, SHAPE_ANSWERED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(shapes); i++)
        if (!strcmp(jsonx_str(e, "kind", ""), shapes[i].kind) &&
            (!shapes[i].event || !strcmp(jsonx_str(e, "event", ""), shapes[i].event))) {
            *ret = shapes[i].shape;
            if (jsonx_bool(e, "default", false))
                *ret = SHAPE_MISSED;
            return true;
        }
    return false;
}

static void people(struct drawing *d)
{
    size_t i;
    const json_t *e;
    json_array_foreach (d->a->events, i, e) {
        const char *kind = jsonx_str(e, "kind", "");
        const char *text = NULL, *who = jsonx_str(e, "who", NULL);
        enum shape shape = SHAPE_TOLD;
        bool paged = !strcmp(kind, "page") && !strcmp(jsonx_str(e, "event", ""), "paged");
        bool told = !strcmp(kind, "deliver") || paged;
        if (!told && !shape_of(e, &shape))
            continue;
        AUTO_BUF words = BUF_INIT;
        after_action_line(d->a, e, &words);
        text = arena_strdup(d->a->arena, buf_text(&words));
        size_t k;
        const json_t *role;
        if (told)
            json_array_foreach (json_object_get(e, "to"), k, role)
                put(d, shape, json_string_value(role), line_at(d, e), line_at(d, e), text);
        else
            put(d, shape, who ? who : asked_role(d->a, e), line_at(d, e), line_at(d, e), text);
    }
}

/* --- Drawn --- */

static double x_of(const struct drawing *d, nsec t)
{
    return LEFT + (double)(t - d->from) / (double)(d->to - d->from) * WIDTH;
}

static void draw_mark(struct drawing *d, const struct moment *m)
{
    static const char *const marks[] = {
        [SHAPE_ALARM] = "<path class=\"flag\" d=\"M0 9V-10l12 4.5l-12 4.5z\"/>",
        [SHAPE_TOLD] = "<path class=\"told\" d=\"M-5 -6h10l-5 9z\"/>",
        [SHAPE_ASKED] = "<path class=\"told\" d=\"M0 -7l6 7l-6 7l-6 -7z\"/>",
        [SHAPE_ANSWERED] = "<path class=\"flag-other\" d=\"M0 9V-8m-4 -2h8v8h-8z\"/>",
        [SHAPE_DECIDED] = "<path class=\"within mark\" d=\"M0 -7l6 7l-6 7l-6 -7z\"/>",
        [SHAPE_DONE] = "<circle class=\"within mark\" r=\"5\"/>",
        [SHAPE_MISSED] = "<path class=\"never\" d=\"M-5 -5l10 10m0 -10l-10 10\"/>",
    };
    static const char *const bars[] = {
        [SHAPE_FAULT] = "fault", [SHAPE_DOWN] = "down", [SHAPE_COMMAND] = "act"};
    char at[NSEC_TEXT_MAX];
    double x = x_of(d, m->from);
    if (m->shape <= SHAPE_COMMAND) {
        double w = x_of(d, m->to) - x;
        buf_printf(d->out,
                   "<rect class=\"%s\" x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"16\"><title>",
                   bars[m->shape], x, d->y + 4, w < 2 ? 2 : w);
    } else {
        buf_printf(d->out, "<g transform=\"translate(%.2f %.1f)\"><title>", x, d->y + 12);
    }
    html_text(d->out, after_action_clock(m->from, at));
    buf_adds(d->out, " ");
    html_text(d->out, m->text);
    buf_adds(d->out, "</title>");
    if (m->shape <= SHAPE_COMMAND)
        buf_adds(d->out, "</rect>");
    else
        buf_printf(d->out, "%s</g>", marks[m->shape]);
}

/* A lane with what is in it; empty ones are left out. */
static void draw_lane(struct drawing *d, const char *lane, const char *title)
{
    size_t in = 0;
    for (size_t i = 0; i < d->n; i++)
        in += !strcmp(d->moments[i].lane, lane);
    if (!in)
        return;
    buf_printf(d->out,
               "<rect class=\"lane\" x=\"%.0f\" y=\"%.1f\" width=\"%.0f\" height=\"%.0f\"/>"
               "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">",
               LEFT, d->y + 1, WIDTH, LANE - 3, LEFT - 8, d->y + 16);
    AUTO_BUF cut = BUF_INIT;
    buf_adds(&cut, title);
    if (cut.len > 24) {
        size_t n = 22;
        while (n > 0 && ((unsigned char)cut.text[n] & 0xc0) == 0x80)
            n--;
        cut.text[cut.len = n] = '\0';
        buf_adds(&cut, "…");
    }
    html_text(d->out, buf_text(&cut));
    buf_adds(d->out, "</text>");
    for (size_t i = 0; i < d->n; i++)
        if (!strcmp(d->moments[i].lane, lane))
            draw_mark(d, &d->moments[i]);
    d->y += LANE;
}

static void draw_lanes(struct drawing *d)
{
    const struct scenario *s = d->a->scenario;
    draw_lane(d, "faults", "faults in force");
    for (size_t i = 0; i < s->services.n; i++) {
        const char *name = ((const struct service *)s->services.items[i])->name;
        draw_lane(d, name, name);
    }
    draw_lane(d, "alarms", "alarms");
    draw_lane(d, "commands", "commands");
    for (size_t i = 0; i < s->assumptions->roles.n; i++) {
        const struct responder *r = s->assumptions->roles.items[i];
        draw_lane(d, r->name, r->title ? r->title : r->name);
    }
}

/* While the exercise was held people's clock stood and the machines went on. */
static void draw_holds(struct drawing *d, double bottom)
{
    nsec since = NSEC_UNSET;
    size_t i;
    const json_t *e;
    json_array_foreach (d->a->events, i, e) {
        const char *event = jsonx_str(e, "event", "");
        if (!d->a->machine || strcmp(jsonx_str(e, "kind", ""), "pace") != 0)
            continue;
        if (!strcmp(event, "hold"))
            since = line_at(d, e);
        if (strcmp(event, "go") != 0 || !nsec_is_set(since))
            continue;
        buf_printf(d->out,
                   "<rect class=\"undoing\" x=\"%.2f\" y=\"4\" width=\"%.2f\" height=\"%.1f\">"
                   "<title>held</title></rect>",
                   x_of(d, since), x_of(d, line_at(d, e)) - x_of(d, since), bottom - 4);
        since = NSEC_UNSET;
    }
}

static void draw_axis(struct drawing *d, double bottom)
{
    static const int steps[] = {1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200};
    nsec step = 4 * 3600 * NSEC_SEC;
    for (size_t i = ARRAY_SIZE(steps); i-- > 0;)
        if ((d->to - d->from) / (steps[i] * NSEC_SEC) <= 10)
            step = steps[i] * NSEC_SEC;
    while ((d->to - d->from) / step > 10)
        step *= 2;
    for (nsec t = (d->from + step - 1) / step * step; t <= d->to; t += step) {
        char at[NSEC_TEXT_MAX];
        buf_printf(d->out,
                   "<path class=\"axis\" d=\"M%.2f 4V%.1f\"/><text class=\"soft\" x=\"%.2f\" "
                   "y=\"%.1f\" text-anchor=\"middle\">%s</text>",
                   x_of(d, t), bottom, x_of(d, t), bottom + 15, after_action_clock(t, at));
    }
}

static void legend(struct buf *out)
{
    static const struct {
        const char *shape, *word;
    } all[] = {
        {"<rect class=\"fault\" width=\"26\" height=\"14\"/>", "fault in force"},
        {"<rect class=\"down\" width=\"26\" height=\"14\"/>", "service down"},
        {"<path class=\"flag\" d=\"M8 14V1l12 4l-12 4z\"/>", "alarm"},
        {"<path class=\"told\" d=\"M8 3h10l-5 9z\"/>", "told"},
        {"<path class=\"told\" d=\"M13 0l6 7l-6 7l-6 -7z\"/>", "asked to decide"},
        {"<path class=\"within mark\" d=\"M13 0l6 7l-6 7l-6 -7z\"/>", "decided"},
        {"<path class=\"flag-other\" d=\"M13 14V1m-4 0h8v7h-8z\"/>", "acknowledged, declared"},
        {"<circle class=\"within mark\" cx=\"13\" cy=\"7\" r=\"5\"/>", "done, approved, sent"},
        {"<path class=\"never\" d=\"M8 2l10 10m0 -10l-10 10\"/>", "not in time"},
    };
    buf_adds(out, "<p class=\"key\">");
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        buf_printf(out, "<span><svg viewBox=\"0 0 26 14\" aria-hidden=\"true\">%s</svg>%s</span>",
                   all[i].shape, all[i].word);
    buf_adds(out, "</p>\n");
}

void after_action_lanes(const struct after_action *a, struct buf *out)
{
    AUTO_BUF ruler = BUF_INIT;
    AUTO_BUF lanes = BUF_INIT;
    struct drawing d = {.a = a, .out = &lanes, .go = after_action_go(a), .y = 6};
    faults(&d);
    outages(&d);
    alarms(&d);
    commands(&d);
    if (!a->machine)
        story(&d);
    people(&d);
    if (d.n && d.to > d.from) {
        draw_lanes(&d);
        d.out = &ruler;
        draw_holds(&d, d.y);
        draw_axis(&d, d.y);
        buf_printf(out,
                   "<div class=\"chain\" id=\"lanes\">\n<h2>%s</h2>\n<div class=\"scroll\" "
                   "tabindex=\"0\" role=\"group\" aria-label=\"Lanes of the exercise\">\n"
                   "<svg class=\"lanes\" viewBox=\"0 0 1090 %.0f\" role=\"img\" aria-label=\"What "
                   "happened when, a lane for each; the timeline's table says the same\">\n%s%s"
                   "</svg>\n</div>\n",
                   a->machine ? "Machine and people on one clock: real time since the start"
                              : "Who was told, decided and did what: the exercise clock",
                   d.y + 22, buf_text(&ruler), buf_text(&lanes));
        legend(out);
        buf_adds(out, "</div>\n");
    }
    free(d.moments);
}

/* --- Tiles --- */

static void tile(const struct after_action *a, const struct after_rating *r, struct buf *out)
{
    char rating[] = {r->rating, '\0'};
    const char *word = a->replay ? "no verdict" : sentence_verdict(r->verdict);
    buf_printf(out, "<article class=\"tile is-%s\">\n<h2><b>", verdict_words[r->verdict]);
    html_text(out, r->objective->capability ? r->objective->capability : "Objective");
    buf_adds(out, ":</b> ");
    html_text(out, r->objective->text);
    buf_printf(out,
               "</h2>\n<div class=\"row\"><span class=\"big\">%s</span> <span class=\"chip %s\">"
               "<span aria-hidden=\"true\">%s</span>%s</span></div>\n<p class=\"note\">",
               r->rating ? rating : "–", verdict_words[r->verdict], html_sign(r->verdict), word);
    html_text(out, r->why);
    buf_adds(out, "</p>\n</article>\n");
}

void after_action_tiles(const struct after_action *a, struct buf *out)
{
    if (a->machine)
        html_tiles(a->machine, out);
    if (!a->n_objectives)
        return;
    buf_adds(out, "<div class=\"tiles\">\n");
    for (size_t i = 0; i < a->n_objectives; i++)
        tile(a, &a->objectives[i], out);
    buf_adds(out, "</div>\n");
}
