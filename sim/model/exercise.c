/* What the language says about people, found and understood. */
#include "sim/model/exercise.h"

#include "sim/model/model.h"

#include <string.h>

const char *const role_kind_words[] = {
    [ROLE_PLAYER] = "player",       [ROLE_FACILITATOR] = "facilitator",
    [ROLE_EVALUATOR] = "evaluator", [ROLE_OBSERVER] = "observer",
    [ROLE_SIMULATOR] = "simulator", NULL};
const char *const objective_promise_words[] = {
    [PROMISE_RTO] = "rto",
    [PROMISE_RPO] = "rpo",
    [PROMISE_DETECT] = "detect_within",
    [PROMISE_DOWNTIME] = "max_downtime",
    [PROMISE_MTPD] = "mtpd",
    NULL,
};
const char *const people_step_words[] = {
    [PEOPLE_NONE] = "none",
    [PEOPLE_APPROVE] = "approve",
    [PEOPLE_DECIDE] = "decide",
    [PEOPLE_ESCALATE] = "escalate",
    [PEOPLE_EXPECTED] = "expected",
    [PEOPLE_HOLD] = "hold",
    [PEOPLE_RUNBOOK] = "runbook",
    [PEOPLE_STATUS] = "status",
    [PEOPLE_TELL] = "tell",
    [PEOPLE_UNAVAILABLE] = "unavailable",
    NULL,
};

enum people_step step_people(const struct step *step)
{
    for (int i = PEOPLE_APPROVE; step->action && people_step_words[i]; i++)
        if (!strcmp(step->action->name, people_step_words[i]))
            return (enum people_step)i;
    return PEOPLE_NONE;
}

const struct people_common *step_common(const struct step *step)
{
    return step_people(step) == PEOPLE_NONE ? NULL : step->params; /* they begin with it */
}

const char *step_says(const struct step *step)
{
    switch (step_people(step)) {
    case PEOPLE_TELL:
        return ((const struct tell_params *)step->params)->message;
    case PEOPLE_EXPECTED:
        return ((const struct expected_params *)step->params)->expect.does;
    case PEOPLE_DECIDE:
        return ((const struct decide_params *)step->params)->question;
    case PEOPLE_APPROVE:
        return ((const struct approve_params *)step->params)->what;
    case PEOPLE_ESCALATE:
        return ((const struct escalate_params *)step->params)->message;
    case PEOPLE_HOLD:
        return ((const struct hold_params *)step->params)->reason;
    case PEOPLE_RUNBOOK:
        return ((const struct runbook_params *)step->params)->name;
    case PEOPLE_STATUS:
        return ((const struct status_params *)step->params)->what;
    case PEOPLE_UNAVAILABLE:
        return ((const struct unavailable_params *)step->params)->message;
    case PEOPLE_NONE:
        break;
    }
    return NULL;
}

const struct expect *step_expect(const struct step *step)
{
    enum people_step kind = step_people(step);
    if (kind == PEOPLE_TELL)
        return ((const struct tell_params *)step->params)->expect;
    if (kind == PEOPLE_EXPECTED)
        return &((const struct expected_params *)step->params)->expect;
    return NULL;
}

nsec step_within(const struct step *step)
{
    const struct expect *expect = step_expect(step);
    if (expect)
        return expect->within;
    if (step_people(step) == PEOPLE_DECIDE)
        return ((const struct decide_params *)step->params)->within;
    if (step_people(step) == PEOPLE_APPROVE)
        return ((const struct approve_params *)step->params)->within;
    return NSEC_UNSET;
}

bool scenario_is_exercise(const struct scenario *s)
{
    for (size_t i = 0; i < s->script.n; i++)
        if (step_people(s->script.items[i]) != PEOPLE_NONE)
            return true;
    return s->exercise.phases.n > 0;
}

bool step_is_machines(const struct step *step)
{
    return step_people(step) == PEOPLE_NONE && strcmp(step->action->name, "outage") != 0;
}

bool scenario_is_functional(const struct scenario *s)
{
    bool touches = false;
    for (size_t i = 0; i < s->script.n && !touches; i++)
        touches = step_is_machines(s->script.items[i]);
    return touches && scenario_is_exercise(s);
}

/* The object whose name, its first member, is this one. */
static const void *named(const struct objects *v, const char *name)
{
    for (size_t i = 0; name && i < v->n; i++) {
        const char *its = *(char *const *)v->items[i];
        if (its && !strcmp(its, name))
            return v->items[i];
    }
    return NULL;
}

const struct exercise_objective *scenario_objective(const struct scenario *s, const char *id)
{
    return named(&s->exercise.objectives, id);
}

const struct phase *scenario_phase(const struct scenario *s, const char *id)
{
    return named(&s->exercise.phases, id);
}

const struct duty_clock *scenario_clock(const struct scenario *s, const char *name)
{
    return named(&s->exercise.clocks, name);
}

const struct runbook *scenario_runbook(const struct scenario *s, const char *name)
{
    return named(&s->exercise.runbooks, name);
}

const struct step *scenario_step(const struct scenario *s, const char *id)
{
    return named(&s->script, id);
}

nsec objective_target_value(const struct scenario *s, const struct objective_target *t)
{
    const struct service *service = t && t->service ? scenario_service(s, t->service) : NULL;
    if (!service)
        return NSEC_UNSET;
    switch (t->promise) {
    case PROMISE_RTO:
        return service->rto;
    case PROMISE_RPO:
        return service->rpo;
    case PROMISE_DETECT:
        return service->detect ? service->detect->within : NSEC_UNSET;
    case PROMISE_DOWNTIME:
        return service->max_downtime;
    case PROMISE_MTPD:
        return service->mtpd;
    default:
        return NSEC_UNSET;
    }
}

/* --- The times of a plan --- */

static nsec planned(const struct scenario *s, const struct step *step, int *budget);

static nsec planned_phase(const struct scenario *s, const struct phase *p, int *budget);

static nsec planned_condition(const struct scenario *s, const struct condition *c, int *budget)
{
    nsec latest = 0, one = NSEC_UNSET;
    const struct step *step;
    if (c->operator_word || c->alarm || c->probe)
        return NSEC_UNSET;
    if ((step = scenario_step(s, c->step))) {
        one = planned(s, step, budget);
        if (!nsec_is_set(one))
            return one;
        if (nsec_is_set(step->lasting))
            one = nsec_add(one, step->lasting);
        latest = one > latest ? one : latest;
    }
    if ((step = scenario_step(s, c->done))) {
        one = planned(s, step, budget);
        if (!nsec_is_set(one))
            return one;
        latest = one > latest ? one : latest;
    }
    if ((step = scenario_step(s, c->decision))) {
        const struct decide_params *p = step->params;
        one = planned(s, step, budget);
        if (!nsec_is_set(one) || (c->is && strcmp(c->is, p->options.items[0]) != 0))
            return NSEC_UNSET;
        latest = one > latest ? one : latest;
    }
    if ((step = scenario_step(s, c->not_done))) {
        one = planned(s, step, budget);
        if (!nsec_is_set(one) || !nsec_is_set(step_within(step)))
            return NSEC_UNSET;
        one = nsec_add(one, step_within(step));
        latest = one > latest ? one : latest;
    }
    if (c->phase) {
        one = planned_phase(s, scenario_phase(s, c->phase), budget);
        if (!nsec_is_set(one))
            return one;
        latest = one > latest ? one : latest;
    }
    for (size_t i = 0; i < c->all.n; i++) {
        one = planned_condition(s, c->all.items[i], budget);
        if (!nsec_is_set(one))
            return one;
        latest = one > latest ? one : latest;
    }
    nsec first = NSEC_UNSET;
    for (size_t i = 0; i < c->any.n; i++) {
        one = planned_condition(s, c->any.items[i], budget);
        if (nsec_is_set(one) && (!nsec_is_set(first) || one < first))
            first = one;
    }
    if (c->any.n && !nsec_is_set(first))
        return first;
    return c->any.n && first > latest ? first : latest;
}

static nsec planned_phase(const struct scenario *s, const struct phase *p, int *budget)
{
    if (!p || !p->when)
        return p ? p->at : NSEC_UNSET;
    nsec at = (*budget)-- > 0 ? planned_condition(s, p->when, budget) : NSEC_UNSET;
    return nsec_is_set(at) ? nsec_add(at, p->after) : at;
}

static nsec planned(const struct scenario *s, const struct step *step, int *budget)
{
    if (nsec_is_set(step->at) || !step->when)
        return step->at;
    nsec at = (*budget)-- > 0 ? planned_condition(s, step->when, budget) : NSEC_UNSET;
    return nsec_is_set(at) ? nsec_add(at, step->after) : at;
}

nsec step_planned(const struct scenario *s, const struct step *step)
{
    int budget = 10000; /* of conditions looked at: no script makes this last */
    return planned(s, step, &budget);
}
