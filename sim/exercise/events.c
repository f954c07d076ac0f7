/* Steps of people as rows, and the plan that is made of them. */
#include "sim/exercise/events.h"

#include "sim/base/jsonx.h"

#include <stdlib.h>
#include <string.h>

static json_t *seconds(nsec t)
{
    return jsonx_new_seconds(t);
}

static void put(json_t *o, const char *key, const char *text)
{
    if (text)
        json_object_set_new(o, key, jsonx_new_text(text));
}

static json_t *list_of(const struct strv *v)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->n; i++)
        json_array_append_new(list, jsonx_new_text(v->items[i]));
    return list;
}

static json_t *one_of(const char *text)
{
    json_t *list = json_array();
    if (text)
        json_array_append_new(list, jsonx_new_text(text));
    return list;
}

/* The members that depend on the kind: to, text, and what else there is. */
static void put_kind(json_t *o, const struct step *step)
{
    json_t *to = NULL;
    const char *text = NULL;
    switch (step_people(step)) {
    case PEOPLE_TELL: {
        const struct tell_params *p = step->params;
        to = list_of(&p->to);
        text = p->message;
        put(o, "from", p->from);
        put(o, "channel", p->channel);
        break;
    }
    case PEOPLE_DECIDE: {
        const struct decide_params *p = step->params;
        to = one_of(p->who);
        text = p->question;
        json_object_set_new(o, "options", list_of(&p->options));
        break;
    }
    case PEOPLE_APPROVE: {
        const struct approve_params *p = step->params;
        to = list_of(&p->by);
        text = p->what;
        break;
    }
    case PEOPLE_STATUS: {
        const struct status_params *p = step->params;
        to = one_of(p->from);
        text = p->what;
        break;
    }
    case PEOPLE_ESCALATE: {
        const struct escalate_params *p = step->params;
        to = one_of(p->role);
        text = p->message;
        put(o, "from", p->from);
        put(o, "channel", p->channel);
        break;
    }
    case PEOPLE_RUNBOOK:
        text = ((const struct runbook_params *)step->params)->name;
        break;
    case PEOPLE_UNAVAILABLE:
        text = ((const struct unavailable_params *)step->params)->message;
        break;
    case PEOPLE_HOLD:
        text = ((const struct hold_params *)step->params)->reason;
        break;
    case PEOPLE_EXPECTED:
    case PEOPLE_NONE:
        break;
    }
    json_object_set_new(o, "to", to ? to : json_array());
    put(o, "text", text ? text : "");
}

static const char *kind_word(const struct step *step)
{
    if (step_people(step) != PEOPLE_TELL)
        return step->action->name;
    return ((const struct tell_params *)step->params)->kind == TELL_CONTINGENCY ? "contingency"
                                                                                : "inject";
}

/* The phase that is on at a time of the plan. */
static const char *phase_at(const struct scenario *s, nsec at)
{
    const char *id = NULL;
    for (size_t i = 0; i < s->exercise.phases.n; i++) {
        const struct phase *p = s->exercise.phases.items[i];
        if (nsec_is_set(at) && nsec_is_set(p->at) && p->at <= at)
            id = p->id;
    }
    return id;
}

static json_t *event_of(const struct scenario *s, const struct step *step)
{
    const struct people_common *c = step_common(step);
    const struct expect *expect = step_expect(step);
    nsec at = step_planned(s, step);
    if (!c) /* the machine's */
        return json_pack("{s:s, s:s, s:o, s:s, s:s, s:[], s:s*, s:b}", "number", "", "step",
                         step->id, "at_s", seconds(at), "kind", step->action->name, "title",
                         step->id, "to", "phase", phase_at(s, at), "machine", true);
    json_t *o = json_pack("{s:o, s:s, s:o, s:s, s:o}", "number", jsonx_new_text(c->number), "step",
                          step->id, "at_s", seconds(at), "kind", kind_word(step), "title",
                          jsonx_new_text(c->title));
    put_kind(o, step);
    if (expect) {
        put(o, "expect", expect->does);
        put(o, "by", expect->by);
    }
    json_object_set_new(o, "within_s", seconds(step_within(step)));
    put(o, "objective", c->objective);
    put(o, "controller", c->controller);
    put(o, "notes", c->notes);
    put(o, "date", c->date);
    put(o, "phase", phase_at(s, at));
    return o;
}

struct row {
    const struct step *step;
    nsec at;
    size_t order;
};

static int row_by_time(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    nsec at_x = nsec_is_set(x->at) ? x->at : NSEC_INF, at_y = nsec_is_set(y->at) ? y->at : NSEC_INF;
    if (at_x != at_y)
        return at_x < at_y ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

json_t *events_new(const struct scenario *s)
{
    struct row *rows = calloc(s->script.n + 1, sizeof *rows);
    json_t *list = json_array();
    size_t n = 0;
    if (!rows)
        abort();
    for (size_t i = 0; i < s->script.n; i++)
        if (step_common(s->script.items[i]) || step_is_machines(s->script.items[i]))
            rows[n++] = (struct row){s->script.items[i], step_planned(s, s->script.items[i]), i};
    qsort(rows, n, sizeof *rows, row_by_time);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, event_of(s, rows[i].step));
    free(rows);
    return list;
}

/* --- The plan --- */

static void add_asked(json_t *asked, const char *role, nsec within)
{
    if (!role || !nsec_is_set(within))
        return;
    double so_far = json_number_value(json_object_get(asked, role));
    json_object_set_new(asked, role, json_real(so_far + (double)within / 1e9));
}

static json_t *sums_of(const struct scenario *s)
{
    json_t *asked = json_object();
    size_t events = 0, decisions = 0, players = 0;
    nsec phases = 0;
    for (size_t i = 0; i < s->assumptions->roles.n; i++)
        players += ((const struct responder *)s->assumptions->roles.items[i])->kind == ROLE_PLAYER;
    for (size_t i = 0; i < s->exercise.phases.n; i++) {
        const struct phase *p = s->exercise.phases.items[i];
        phases = nsec_is_set(p->lasts) ? nsec_add(phases, p->lasts) : phases;
    }
    for (size_t i = 0; i < s->script.n; i++) {
        const struct step *step = s->script.items[i];
        const struct expect *expect = step_expect(step);
        events += step_common(step) != NULL;
        decisions += step_people(step) == PEOPLE_DECIDE;
        if (expect)
            add_asked(asked, expect->by, expect->within);
        else if (step_people(step) == PEOPLE_DECIDE)
            add_asked(asked, ((const struct decide_params *)step->params)->who, step_within(step));
    }
    return json_pack("{s:o, s:o, s:I, s:I, s:I}", "phases_s", seconds(phases), "asked_s", asked,
                     "events", (json_int_t)events, "decisions", (json_int_t)decisions, "players",
                     (json_int_t)players);
}

json_t *events_new_plan(const struct scenario *s)
{
    json_t *phases = json_array();
    for (size_t i = 0; i < s->exercise.phases.n; i++) {
        const struct phase *p = s->exercise.phases.items[i];
        json_array_append_new(phases, json_pack("{s:s, s:o, s:o, s:o}", "id", p->id, "title",
                                                jsonx_new_text(p->title), "at_s", seconds(p->at),
                                                "lasts_s", seconds(p->lasts)));
    }
    return json_pack(
        "{s:s, s:o, s:s, s:o, s:o, s:o, s:o}", "name", s->name, "title", jsonx_new_text(s->title),
        "mode", scenario_is_functional(s) ? "functional" : "exercise", "horizon_s",
        seconds(s->horizon), "phases", phases, "events", events_new(s), "sums", sums_of(s));
}

static const char *time_text(const json_t *s, char buf[64])
{
    long t = (long)json_number_value(s);
    if (!json_is_number(s))
        return "if asked";
    snprintf(buf, 64, "%ld:%02ld:%02ld", t / 3600, t / 60 % 60, t % 60);
    return buf;
}

static void roles_text(const json_t *event, struct buf *out)
{
    size_t i;
    json_t *role;
    const char *by = jsonx_str(event, "by", NULL);
    json_array_foreach (json_object_get(event, "to"), i, role)
        buf_printf(out, "%s%s", i ? ", " : "", json_string_value(role));
    if (!json_array_size(json_object_get(event, "to")) && by)
        buf_adds(out, by);
}

static void event_text(const json_t *event, struct buf *out)
{
    char at[64], within[NSEC_TEXT_MAX];
    AUTO_BUF roles = BUF_INIT;
    roles_text(event, &roles);
    buf_printf(out, "  %8s  %3s  %-11s  %s", time_text(json_object_get(event, "at_s"), at),
               jsonx_str(event, "number", ""), jsonx_str(event, "kind", ""),
               jsonx_str(event, "title", ""));
    if (jsonx_bool(event, "machine", false))
        buf_adds(out, ", really, on hosts");
    if (roles.len)
        buf_printf(out, " [%s]", roles.text);
    if (json_is_number(json_object_get(event, "within_s")))
        buf_printf(
            out, ", within %s",
            nsec_text((nsec)(json_number_value(json_object_get(event, "within_s")) * 1e9), within));
    buf_addc(out, '\n');
}

void events_plan_text(const json_t *plan, struct buf *out)
{
    const json_t *sums = json_object_get(plan, "sums");
    char at[64], text[NSEC_TEXT_MAX];
    size_t i;
    json_t *one;
    const char *role;
    bool functional = !strcmp(jsonx_str(plan, "mode", ""), "functional");
    buf_printf(out, "%s: %s exercise of %s for %lld players; %s\n\nPhases\n",
               jsonx_str(plan, "title", ""), functional ? "a functional" : "an",
               nsec_text((nsec)(json_number_value(json_object_get(plan, "horizon_s")) * 1e9), text),
               (long long)jsonx_int(sums, "players", 0),
               functional ? "hosts are really touched" : "no system is touched");
    json_array_foreach (json_object_get(plan, "phases"), i, one) {
        buf_printf(out, "  %8s  %s", time_text(json_object_get(one, "at_s"), at),
                   jsonx_str(one, "title", ""));
        if (json_is_number(json_object_get(one, "lasts_s")))
            buf_printf(
                out, ", %s",
                nsec_text((nsec)(json_number_value(json_object_get(one, "lasts_s")) * 1e9), text));
        buf_addc(out, '\n');
    }
    buf_adds(out, "\nEvents, if everybody does at once what is expected\n");
    json_array_foreach (json_object_get(plan, "events"), i, one)
        event_text(one, out);
    buf_printf(out, "\n%lld events, %lld decisions; the phases last %s together.\n",
               (long long)jsonx_int(sums, "events", 0), (long long)jsonx_int(sums, "decisions", 0),
               nsec_text((nsec)(json_number_value(json_object_get(sums, "phases_s")) * 1e9), text));
    json_object_foreach (json_object_get(sums, "asked_s"), role, one)
        buf_printf(out, "  %s has %s in all for what is asked and expected\n", role,
                   nsec_text((nsec)(json_number_value(one) * 1e9), text));
}
