/* What only facilitators and evaluators see: what comes next, check points, objectives, observations. */
#include "sim/base/jsonx.h"
#include "sim/exercise/view_part.h"

#include <stdlib.h>
#include <string.h>

/* --- What comes next --- */

static void condition_words(const struct condition *c, struct buf *out)
{
    const char *sep = "";
#define PART(member, words)                                                                        \
    if (c->member) {                                                                               \
        buf_printf(out, "%s" words, sep, c->member);                                               \
        sep = " and ";                                                                             \
    }
    PART(step, "%s was done")
    PART(done, "%s was done as expected")
    PART(not_done, "%s was not done in time")
    PART(phase, "phase %s has begun")
    PART(operator_word, "the facilitator says '%s'")
    if (c->decision) {
        buf_printf(out, c->is ? "%s%s is decided: %s" : "%s%s is decided", sep, c->decision, c->is);
        sep = " and ";
    }
    PART(alarm, "the alarm %s has come")
    PART(probe, "%s is down")
#undef PART
    for (size_t i = 0; i < c->all.n; i++) {
        buf_adds(out, sep);
        condition_words(c->all.items[i], out);
        sep = " and ";
    }
    for (size_t i = 0; i < c->any.n; i++) {
        buf_adds(out, i ? " or " : sep);
        condition_words(c->any.items[i], out);
    }
}

/* Whom a step is for. */
static json_t *step_to(const struct step *step)
{
    const char *one = NULL;
    switch (step_people(step)) {
    case PEOPLE_TELL:
        return view_texts(&((const struct tell_params *)step->params)->to);
    case PEOPLE_APPROVE:
        return view_texts(&((const struct approve_params *)step->params)->by);
    case PEOPLE_DECIDE:
        one = ((const struct decide_params *)step->params)->who;
        break;
    case PEOPLE_ESCALATE:
        one = ((const struct escalate_params *)step->params)->role;
        break;
    case PEOPLE_STATUS:
        one = ((const struct status_params *)step->params)->from;
        break;
    case PEOPLE_EXPECTED:
        one = ((const struct expected_params *)step->params)->expect.by;
        break;
    case PEOPLE_RUNBOOK:
    case PEOPLE_UNAVAILABLE:
    case PEOPLE_HOLD:
    case PEOPLE_NONE:
        break;
    }
    return one ? json_pack("[s]", one) : json_array();
}

static json_t *next_view(const struct view *v, size_t i)
{
    const struct step *step = v->st->steps[i].step;
    const struct people_common *common = step_common(step);
    AUTO_BUF when = BUF_INIT;
    json_t *o =
        json_pack("{s:s, s:o}", "step", step->id, "at_s", view_seconds(state_step_due(v->st, i)));
    if (step->when) {
        char after[NSEC_TEXT_MAX];
        condition_words(step->when, &when);
        if (step->after)
            buf_printf(&when, ", %s later", nsec_text(step->after, after));
        view_put_text(o, "when", buf_text(&when));
    }
    view_put_text(o, "kind", step->action->name);
    json_object_set_new(o, "to", step_to(step));
    view_put_text(o, "title", common ? common->title : step->action->name);
    view_put_text(o, "text", step_says(step) ? step_says(step) : "");
    if (common) {
        view_put_text(o, "number", common->number);
        view_put_text(o, "notes", common->notes);
        view_put_text(o, "controller", common->controller);
        view_put_text(o, "date", common->date);
    }
    bool contingency = step_people(step) == PEOPLE_TELL &&
                       ((const struct tell_params *)step->params)->kind == TELL_CONTINGENCY;
    json_object_set_new(o, "contingency", json_boolean(contingency));
    return o;
}

static void add_next(const struct view *v, json_t *view)
{
    json_t *next = json_array(), *skipped = json_array();
    for (size_t i = 0; i < v->st->n_steps; i++) {
        if (v->st->steps[i].life == STEP_WAITING)
            json_array_append_new(next, next_view(v, i));
        else if (v->st->steps[i].life == STEP_SKIPPED)
            json_array_append_new(skipped, json_string(v->st->steps[i].step->id));
    }
    json_object_set_new(view, "next", next);
    json_object_set_new(view, "skipped", skipped);
}

static void add_words(const struct condition *c, json_t *words)
{
    if (c && c->operator_word) {
        size_t i;
        json_t *one;
        bool there = false;
        json_array_foreach (words, i, one)
            there = there || !strcmp(json_string_value(one), c->operator_word);
        if (!there)
            json_array_append_new(words, json_string(c->operator_word));
    }
    for (size_t i = 0; c && i < c->any.n; i++)
        add_words(c->any.items[i], words);
    for (size_t i = 0; c && i < c->all.n; i++)
        add_words(c->all.items[i], words);
}

static json_t *people_view(const struct view *v)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->st->n_people; i++) {
        const struct state_person *p = &v->st->people[i];
        if (p->role)
            json_array_append_new(list,
                                  json_pack("{s:o, s:s, s:b}", "person", jsonx_new_text(p->name),
                                            "role", p->role, "connected", p->connected));
    }
    return list;
}

/* --- Check points --- */

static const char *check_state(const struct state_step *step)
{
    bool missed = nsec_is_set(step->missed);
    switch (step->life) {
    case STEP_OPEN:
        return missed ? "missed" : "due";
    case STEP_DONE:
        return missed ? "late" : "done";
    case STEP_SKIPPED:
        return "skipped";
    case STEP_WAITING:
        break;
    }
    return "waiting";
}

static json_t *rating_view(char rating)
{
    char text[2] = {rating, '\0'};
    return rating ? json_string(text) : json_null();
}

static json_t *check_view(const struct view *v, size_t i)
{
    const struct state_step *step = &v->st->steps[i];
    const struct people_common *common = step_common(step->step);
    const struct expect *expect = step_expect(step->step);
    json_t *o = json_pack("{s:s, s:s, s:s, s:o}", "step", step->step->id, "number", common->number,
                          "title", common->title, "does", jsonx_new_text(expect->does));
    view_put_text(o, "by", expect->by);
    view_put_text(o, "objective", expect->objective);
    json_object_set_new(o, "within_s", view_seconds(expect->within));
    json_object_set_new(o, "began_s", view_seconds(step->began));
    json_object_set_new(o, "state", json_string(check_state(step)));
    json_object_set_new(o, "at_s", view_seconds(step->done));
    json_object_set_new(o, "rating", rating_view(step->rating));
    view_put_text(o, "note", step->rating_note);
    view_put_text(o, "notes", common->notes);
    return o;
}

static json_t *checks_view(const struct view *v)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->st->n_steps; i++)
        if (step_expect(v->st->steps[i].step))
            json_array_append_new(list, check_view(v, i));
    return list;
}

static json_t *objective_view(const struct view *v, const struct exercise_objective *objective)
{
    const struct state_rating *last = NULL;
    for (size_t i = 0; i < v->st->n_ratings; i++)
        if (!strcmp(v->st->ratings[i].objective, objective->id))
            last = &v->st->ratings[i];
    json_t *o =
        json_pack("{s:s, s:o}", "id", objective->id, "text", jsonx_new_text(objective->text));
    view_put_text(o, "capability", objective->capability);
    const struct objective_target *t = objective->target;
    if (t && t->text) {
        view_put_text(o, "target", t->text);
    } else if (t) {
        char text[NSEC_TEXT_MAX + 160], value[NSEC_TEXT_MAX];
        snprintf(text, sizeof text, "%s of %s: %s", objective_promise_words[t->promise], t->service,
                 nsec_text(objective_target_value(v->st->scenario, t), value));
        view_put_text(o, "target", text);
    }
    json_object_set_new(o, "tasks", view_texts(&objective->tasks));
    json_object_set_new(o, "rating", rating_view(last ? last->rating : 0));
    if (last)
        view_put_text(o, "note", last->note);
    return o;
}

static json_t *notes_view(const struct view *v)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->st->n_notes; i++) {
        const struct state_note *n = &v->st->notes[i];
        json_t *o =
            json_pack("{s:I, s:o, s:s, s:o}", "id", (json_int_t)n->id, "at_s", view_seconds(n->at),
                      "what", n->what, "text", jsonx_new_text(n->text));
        view_put_text(o, "by", n->by);
        view_put_text(o, "role", n->role);
        view_put_text(o, "step", n->step);
        view_put_text(o, "objective", n->objective);
        json_array_append_new(list, o);
    }
    return list;
}

void view_add_staff(const struct view *v, json_t *view)
{
    const struct objects *objectives = &v->st->scenario->exercise.objectives;
    if (v->kind == ROLE_FACILITATOR) {
        json_t *words = json_array();
        add_next(v, view);
        json_object_set_new(view, "people", people_view(v));
        for (size_t i = 0; i < v->st->n_steps; i++) {
            add_words(v->st->steps[i].step->when, words);
            add_words(v->st->steps[i].step->until, words);
        }
        json_object_set_new(view, "words", words);
        json_object_set_new(view, "answers", json_integer((json_int_t)state_answered(v->st)));
    }
    json_object_set_new(view, "check", checks_view(v));
    json_t *list = json_array();
    for (size_t i = 0; i < objectives->n; i++)
        json_array_append_new(list, objective_view(v, objectives->items[i]));
    json_object_set_new(view, "objectives", list);
    json_object_set_new(view, "notes", notes_view(v));
}
