/* What comes next, by what has happened: conditions, deadlines, and the earliest of all that is due. */
#include "sim/exercise/state.h"

#include <string.h>

static nsec later(nsec a, nsec b)
{
    return a > b ? a : b;
}

/* When a step was done in the sense of `step:` (an inject: delivered; a fault: applied). */
static nsec step_happened(const struct state_step *step)
{
    if (step_is_machines(step->step))
        return step->applied;
    return step_people(step->step) == PEOPLE_TELL ? step->began : step->done;
}

static nsec word_said(const struct state *st, const char *word)
{
    for (size_t i = 0; i < st->n_marks; i++)
        if (st->marks[i].word && st->marks[i].text && !strcmp(st->marks[i].text, word))
            return st->marks[i].at;
    return NSEC_UNSET;
}

static nsec phase_began(const struct state *st, const char *id)
{
    for (size_t i = 0; i < st->scenario->exercise.phases.n; i++)
        if (!strcmp(((const struct phase *)st->scenario->exercise.phases.items[i])->id, id))
            return st->phases[i];
    return NSEC_UNSET;
}

static nsec alarm_came(const struct state *st, const char *name)
{
    for (size_t i = 0; i < st->scenario->alarms.n; i++)
        if (!strcmp(((const struct alarm *)st->scenario->alarms.items[i])->name, name))
            return st->alarms[i];
    return NSEC_UNSET;
}

static nsec probe_is_down(const struct state *st, const char *name)
{
    for (size_t i = 0; i < st->scenario->probes.n; i++)
        if (!strcmp(st->probes[i].probe->name, name))
            return st->probes[i].down_since;
    return NSEC_UNSET;
}

/* The members of one condition that name a step, an alarm, a word or a phase. */
static nsec condition_named(const struct state *st, const struct condition *c)
{
    nsec all = 0;
    const struct {
        const char *id;
        nsec at;
    } parts[] = {
        {c->step, c->step ? step_happened(&st->steps[state_step_index(st, c->step)]) : 0},
        {c->done, c->done ? st->steps[state_step_index(st, c->done)].done : 0},
        {c->not_done, c->not_done ? st->steps[state_step_index(st, c->not_done)].missed : 0},
        {c->phase, c->phase ? phase_began(st, c->phase) : 0},
        {c->operator_word, c->operator_word ? word_said(st, c->operator_word) : 0},
        {c->alarm, c->alarm ? alarm_came(st, c->alarm) : 0},
        {c->probe, c->probe ? probe_is_down(st, c->probe) : 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        if (!parts[i].id)
            continue;
        if (!nsec_is_set(parts[i].at))
            return NSEC_UNSET;
        all = later(all, parts[i].at);
    }
    if (!c->decision)
        return all;
    const struct state_step *step = &st->steps[state_step_index(st, c->decision)];
    if (!nsec_is_set(step->done) || !step->option || (c->is && strcmp(step->option, c->is) != 0))
        return NSEC_UNSET;
    return later(all, step->done);
}

nsec state_condition(const struct state *st, const struct condition *c)
{
    nsec at = condition_named(st, c), first = NSEC_UNSET;
    for (size_t i = 0; i < c->all.n && nsec_is_set(at); i++) {
        nsec one = state_condition(st, c->all.items[i]);
        at = nsec_is_set(one) ? later(at, one) : NSEC_UNSET;
    }
    for (size_t i = 0; i < c->any.n && nsec_is_set(at); i++) {
        nsec one = state_condition(st, c->any.items[i]);
        if (nsec_is_set(one) && (!nsec_is_set(first) || one < first))
            first = one;
    }
    if (!nsec_is_set(at) || (c->any.n && !nsec_is_set(first)))
        return NSEC_UNSET;
    return c->any.n ? later(at, first) : at;
}

static nsec begins(const struct state *st, nsec at, const struct condition *when, nsec held,
                   nsec after)
{
    if (!when)
        return at;
    held = nsec_is_set(held) ? held : state_condition(st, when);
    return nsec_is_set(held) ? nsec_add(held, after) : NSEC_UNSET;
}

nsec state_step_due(const struct state *st, size_t step)
{
    const struct step *s = st->steps[step].step;
    return begins(st, s->at, s->when, st->steps[step].held, s->after);
}

nsec state_deadline(const struct state *st, size_t step)
{
    const struct state_step *one = &st->steps[step];
    nsec within = step_within(one->step);
    return one->life == STEP_OPEN && nsec_is_set(within) ? nsec_add(one->began, within)
                                                         : NSEC_UNSET;
}

/* --- The earliest --- */

static void consider(struct due *best, enum due_what what, nsec at, size_t index, size_t sub)
{
    if (!nsec_is_set(at))
        return;
    if (best->what == DUE_NOTHING || at < best->at || (at == best->at && what < best->what))
        *best = (struct due){what, at, index, sub};
}

/* The phase after the one that is on; one that was passed over does not come back. */
static void due_phase(const struct state *st, struct due *best)
{
    const struct objects *v = &st->scenario->exercise.phases;
    for (size_t i = (size_t)(st->phase + 1); i < v->n; i++) {
        const struct phase *p = v->items[i];
        nsec at = begins(st, p->at, p->when, st->phase_held[i], p->after);
        const struct phase *before = i ? v->items[i - 1] : NULL;
        if (!nsec_is_set(at) && !p->when && before && nsec_is_set(st->phases[i - 1]) &&
            nsec_is_set(before->lasts))
            at = nsec_add(st->phases[i - 1], before->lasts);
        consider(best, DUE_PHASE, at, i, 0);
    }
}

static void due_status(const struct state *st, size_t i, struct due *best)
{
    const struct state_step *step = &st->steps[i];
    const struct status_params *p = step->step->params;
    int64_t n = step->owed_n > step->missed_n ? step->owed_n : step->missed_n + 1;
    consider(best, DUE_STATUS, nsec_add(step->began, n * p->every), i, (size_t)n);
}

struct state_call state_call(const struct state *st, const struct step *step, int64_t n)
{
    const struct assumptions *a = st->scenario->assumptions;
    const struct responder *first =
        assumed_responder(a, ((const struct escalate_params *)step->params)->role);
    int64_t round = 0, rounds = 0; /* calls of one round, and how many rounds lie before the n-th */
    for (const struct responder *r = first; r;) {
        round += 1 + (int64_t)r->deputies.n;
        r = r->escalate_to ? assumed_responder(a, r->escalate_to) : NULL;
        if (r == first || round > 10000)
            break;
    }
    rounds = (n - 1) / round;
    int64_t k = (n - 1) % round; /* which of the round */
    const struct responder *r = first;
    for (; k > (int64_t)r->deputies.n; r = assumed_responder(a, r->escalate_to))
        k -= 1 + (int64_t)r->deputies.n;
    return (struct state_call){.role = r->name,
                               .person = k ? r->deputies.items[k - 1] : NULL,
                               .waits = r->escalate_after,
                               .last = first->loops && n >= first->loops * round &&
                                       rounds + 1 >= first->loops};
}

static void due_escalation(const struct state *st, size_t i, struct due *best)
{
    const struct state_step *step = &st->steps[i];
    if (nsec_is_set(step->missed)) /* all gave up */
        return;
    struct state_call call = state_call(st, step->step, step->paged_n);
    if (nsec_is_set(call.waits))
        consider(best, DUE_ESCALATE, nsec_add(step->paged_at, call.waits), i, call.last);
}

static void due_items(const struct state *st, size_t i, struct due *best)
{
    const struct state_step *step = &st->steps[i];
    const struct runbook_params *p = step->step->params;
    const struct runbook *r = scenario_runbook(st->scenario, p->name);
    for (size_t k = 0; k < step->n_items; k++) {
        const struct runbook_step *line = r->steps.items[k];
        if (nsec_is_set(line->within) && !nsec_is_set(step->items[k].checked) &&
            !nsec_is_set(step->items[k].late))
            consider(best, DUE_ITEM_LATE, nsec_add(step->began, line->within), i, k);
    }
}

static void due_open(const struct state *st, size_t i, struct due *best)
{
    const struct state_step *step = &st->steps[i];
    if (!nsec_is_set(step->missed))
        consider(best, DUE_MISSED, state_deadline(st, i), i, 0);
    if (step_people(step->step) == PEOPLE_STATUS)
        due_status(st, i, best);
    if (step_people(step->step) == PEOPLE_ESCALATE)
        due_escalation(st, i, best);
    if (step_people(step->step) == PEOPLE_RUNBOOK)
        due_items(st, i, best);
    bool machines = step_is_machines(step->step);
    if (!step->step->lasts || (machines && (!state_in_force(step) || nsec_is_set(step->ending))))
        return;
    if (nsec_is_set(step->step->lasting))
        consider(best, DUE_OVER,
                 nsec_add(machines ? step->applied : step->began, step->step->lasting), i, 0);
    if (step->step->until)
        consider(best, DUE_OVER, state_condition(st, step->step->until), i, 0);
}

struct due state_next(const struct state *st)
{
    struct due best = {DUE_NOTHING, NSEC_UNSET, 0, 0};
    if (st->stage != STAGE_RUNNING)
        return best;
    due_phase(st, &best);
    for (size_t i = 0; i < st->n_steps; i++) {
        if (st->steps[i].life == STEP_WAITING)
            consider(&best, DUE_STEP, state_step_due(st, i), i, 0);
        else if (st->steps[i].life == STEP_OPEN)
            due_open(st, i, &best);
    }
    for (size_t i = 0; i < st->n_clocks; i++) {
        const struct state_clock *c = &st->clocks[i];
        if (nsec_is_set(c->met))
            continue;
        if (!nsec_is_set(c->started)) {
            consider(&best, DUE_CLOCK_START, state_condition(st, c->clock->from), i, 0);
            continue;
        }
        consider(&best, DUE_CLOCK_MET, state_condition(st, c->clock->met_by), i, 0);
        if (!nsec_is_set(c->overdue))
            consider(&best, DUE_CLOCK_OVERDUE, nsec_add(c->started, c->clock->due), i, 0);
    }
    consider(&best, DUE_END, st->scenario->horizon, 0, 0);
    return best;
}
