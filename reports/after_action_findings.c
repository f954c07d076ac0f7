/* Strengths and areas for improvement: what evaluators noted, then what the clock shows. Nothing is made
 * up: why something went wrong is an evaluator's note, or a blank that people fill in. */
#include "reports/after_action.h"

#include <string.h>

#include "sim/base/jsonx.h"

struct findings {
    struct after_action *a;
    size_t strengths_room, areas_room;
};

static void put(struct after_action *a, struct after_finding **list, size_t *n, size_t *room,
                struct after_finding f)
{
    if (*n == *room) {
        *room = *room ? *room * 2 : 16;
        struct after_finding *more = arena_alloc(a->arena, *room * sizeof *more);
        if (*n)
            memcpy(more, *list, *n * sizeof *more);
        *list = more;
    }
    if (!f.reference && f.objective)
        f.reference = f.objective->reference;
    (*list)[(*n)++] = f;
}

static void strength(struct findings *v, struct after_finding f)
{
    put(v->a, &v->a->strengths, &v->a->n_strengths, &v->strengths_room, f);
}

static void area(struct findings *v, struct after_finding f)
{
    put(v->a, &v->a->areas, &v->a->n_areas, &v->areas_room, f);
}

static const char *person(struct after_action *a, const char *by, const char *role)
{
    if (!by && !role)
        return NULL;
    return role ? arena_printf(a->arena, "%s, %s", by ? by : "–", role) : by;
}

static const struct exercise_objective *objective_of_step(const struct after_action *a,
                                                          const char *id)
{
    for (size_t i = 0; id && i < a->n_tasks; i++)
        if (!strcmp(a->tasks[i].step->step->id, id))
            return a->tasks[i].objective;
    const struct step *step = id ? scenario_step(a->scenario, id) : NULL;
    const struct people_common *common = step ? step_common(step) : NULL;
    return common ? scenario_objective(a->scenario, common->objective) : NULL;
}

static void from_notes(struct findings *v)
{
    struct after_action *a = v->a;
    for (size_t i = 0; i < a->state->n_notes; i++) {
        const struct state_note *note = &a->state->notes[i];
        bool good = note->what && !strcmp(note->what, "strength");
        if (!good && (!note->what || strcmp(note->what, "improvement") != 0))
            continue;
        struct after_finding f = {
            .at = note->at,
            .text = note->text,
            .by = person(a, note->by, note->role),
            .objective = note->objective ? scenario_objective(a->scenario, note->objective)
                                         : objective_of_step(a, note->step)};
        if (good)
            strength(v, f);
        else
            area(v, f);
    }
}

static void from_ratings(struct findings *v)
{
    struct after_action *a = v->a;
    for (size_t i = 0; i < a->state->n_ratings; i++) {
        const struct state_rating *r = &a->state->ratings[i];
        if (!after_action_counts(a, i))
            continue;
        struct after_finding f = {.at = r->at,
                                  .by = person(a, r->by, NULL),
                                  .objective = scenario_objective(a->scenario, r->objective)};
        f.text = arena_printf(a->arena, "Rated %c, %s%s%s", r->rating,
                              after_action_rating_text(r->rating), r->note ? ": " : "",
                              r->note ? r->note : "");
        f.analysis = r->note;
        if (r->rating == 'P')
            strength(v, f);
        else if (r->rating == 'M' || r->rating == 'U')
            area(v, f);
    }
}

static const char *task_text(struct after_action *a, const struct after_task *t)
{
    char took[NSEC_TEXT_MAX], due[NSEC_TEXT_MAX];
    nsec within = nsec_is_set(t->due) ? nsec_sub(t->due, t->asked) : NSEC_UNSET;
    after_action_lasted(within, due);
    if (t->outcome == TASK_MISSED)
        return arena_printf(a->arena, "%s (%s): not done within %s%s", t->does,
                            t->by ? t->by : "anybody", due,
                            t->step->by_default ? "; the default was taken" : "");
    after_action_lasted(nsec_is_set(t->done) ? nsec_sub(t->done, t->asked) : NSEC_UNSET, took);
    return arena_printf(a->arena, "%s (%s): done after %s%s%s%s", t->does,
                        t->by ? t->by : "anybody", took, nsec_is_set(t->due) ? " of " : "",
                        nsec_is_set(t->due) ? due : "", t->outcome == TASK_LATE ? ", late" : "");
}

static void from_tasks(struct findings *v)
{
    struct after_action *a = v->a;
    for (size_t i = 0; i < a->n_tasks; i++) {
        const struct after_task *t = &a->tasks[i];
        const struct state_step *s = t->step;
        bool badly = s->rating == 'M' || s->rating == 'U';
        bool late = t->outcome == TASK_MISSED || t->outcome == TASK_LATE;
        struct after_finding f = {
            .at = t->asked, .objective = t->objective, .analysis = s->rating_note};
        if (step_people(s->step) == PEOPLE_DECIDE)
            f.reference = ((const struct decide_params *)s->step->params)->authority;
        if (late || t->outcome == TASK_IN_TIME)
            f.text = task_text(a, t);
        else if (badly)
            f.text = arena_printf(a->arena, "%s: %s", t->does, task_outcome_words[t->outcome]);
        if (badly)
            f.text = arena_printf(a->arena, "%s; rated %c, %s", f.text, s->rating,
                                  after_action_rating_text(s->rating));
        if (late || badly)
            area(v, f);
        else if (t->outcome == TASK_IN_TIME && (nsec_is_set(t->due) || s->rating == 'P'))
            strength(v, f);
    }
}

static void from_clocks(struct findings *v)
{
    struct after_action *a = v->a;
    for (size_t i = 0; i < a->state->n_clocks; i++) {
        const struct state_clock *c = &a->state->clocks[i];
        char due[NSEC_TEXT_MAX];
        const char *name = c->clock->title ? c->clock->title : c->clock->name;
        struct after_finding f = {.at = c->started, .reference = c->clock->regime};
        if (!nsec_is_set(c->started) || (!nsec_is_set(c->met) && !nsec_is_set(c->overdue)))
            continue;
        f.text = arena_printf(a->arena, "%s: %s the %s that it may take", name,
                              nsec_is_set(c->overdue) ? "overdue, not within" : "met within",
                              nsec_text(c->clock->due, due));
        if (nsec_is_set(c->overdue))
            area(v, f);
        else
            strength(v, f);
    }
}

/* Updates that were owed, and pages that nobody answered. */
static void from_lines(struct findings *v)
{
    struct after_action *a = v->a;
    size_t i;
    const json_t *e;
    json_array_foreach (a->events, i, e) {
        const char *kind = jsonx_str(e, "kind", ""), *event = jsonx_str(e, "event", "");
        const char *id = jsonx_str(e, "step", "");
        const struct step *step = scenario_step(a->scenario, id);
        struct after_finding f = {.at = jsonx_nsec(e, "clock"),
                                  .objective = objective_of_step(a, id)};
        if (step && !strcmp(kind, "status") && !strcmp(event, "missed"))
            f.text = arena_printf(a->arena, "Status update %lld of %s was not sent when it was due",
                                  (long long)jsonx_int(e, "n", 0),
                                  ((const struct status_params *)step->params)->from);
        else if (step && !strcmp(kind, "page") && !strcmp(event, "nobody"))
            f.text = arena_printf(a->arena, "Nobody answered the pages for %s",
                                  ((const struct escalate_params *)step->params)->role);
        else if (step && !strcmp(kind, "checklist") && !strcmp(event, "late"))
            f.text = arena_printf(a->arena, "Item %lld of the checklist '%s' was not done in time",
                                  (long long)jsonx_int(e, "n", 0),
                                  ((const struct runbook_params *)step->params)->name);
        if (f.text)
            area(v, f);
    }
}

void after_action_findings(struct after_action *a)
{
    struct findings v = {.a = a};
    from_notes(&v);
    from_ratings(&v);
    from_tasks(&v);
    from_clocks(&v);
    from_lines(&v);
}
