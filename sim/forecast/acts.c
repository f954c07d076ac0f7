/* Whom the script hits in a trial: the effects of its steps, with targets drawn as a run draws them, and
 * repairs as long as they take.
 */
#include "sim/forecast/trial_parts.h"

#include "injectors/injector.h"

#include <stdlib.h>
#include <string.h>

bool act_holds(const struct act *a, nsec at)
{
    if (at < a->from || at >= a->to)
        return false;
    const struct effect *e = &a->effect;
    return e->on == 0 || (at - a->from) % (e->on + e->off) < e->on;
}

nsec act_next(const struct act *a, nsec after)
{
    if (after < a->from)
        return a->from;
    if (after >= a->to)
        return NSEC_INF;
    const struct effect *e = &a->effect;
    if (e->on == 0)
        return a->to;
    nsec turn = e->on + e->off, within = (after - a->from) % turn;
    nsec next = after - within + (within < e->on ? e->on : turn);
    return next < a->to ? next : a->to;
}

/* Who leads in this trial: of a service that is a quorum of the candidates its leader, of another the
 * first choice; of none somebody drawn. The same for every step that asks for the same candidates. */
static const char *leads(const struct target *target, void *data)
{
    const struct trial *t = data;
    const struct system *sys = t->sys;
    size_t first = system_component(sys, target->of.items[0]);
    for (size_t i = 0; first != SYSTEM_NONE && i < sys->components[first].touches.n; i++) {
        const struct system_service *sv = &sys->services[sys->components[first].touches.items[i]];
        if (sv->mode != SYSTEM_QUORUM && sv->mode != SYSTEM_ACTIVE_PASSIVE)
            continue;
        size_t k = course_first(t, (size_t)(sv - sys->services));
        const char *name = sys->components[sv->units.items[k]].name;
        if (strv_has(&target->of, name))
            return name;
    }
    struct rng r = rng_stream(t->seed, target->of.items[0], t->number, target->of.n);
    return target->of.items[rng_below(&r, target->of.n)];
}

static void add_act(struct trial *t, size_t step, const struct effect *e)
{
    const struct system *sys = t->sys;
    if (t->acts_n == t->acts_room) {
        t->acts_room = t->acts_room ? 2 * t->acts_room : 16;
        t->acts = reallocarray(t->acts, t->acts_room, sizeof *t->acts);
        if (!t->acts)
            abort();
    }
    struct act *a = &t->acts[t->acts_n++];
    *a = (struct act){.effect = *e,
                      .component = system_component(sys, e->component),
                      .peer = system_component(sys, e->peer),
                      .service = system_service(sys, e->service),
                      .step = step,
                      .from = sys->steps[step].from,
                      .to = sys->steps[step].to};
    if (e->kind != EFFECT_DOWN || a->component == SYSTEM_NONE)
        return;
    size_t repair = sys->components[a->component].repair;
    if (repair == SYSTEM_NONE)
        return;
    nsec done =
        nsec_add(a->from, trial_draw(t, repair, step, sys->components[a->component].given->repair));
    if (e->repaired || done < a->to)
        a->to = done;
}

static void note_act(struct trial *t, size_t service, size_t act)
{
    struct system_list *l = &t->services[service].acts;
    if (act == SYSTEM_NONE)
        l->n = 0;
    else if (l->n == 0 || l->items[l->n - 1] != act)
        system_list_add(l, act);
}

/* Notes act i with the services that it matters to; `as` SYSTEM_NONE: these forget theirs. */
static void place_act(struct trial *t, size_t i, size_t as)
{
    const struct act *a = &t->acts[i];
    const size_t ends[2] = {a->component, a->peer};
    for (size_t k = 0; k < 2; k++)
        if (ends[k] != SYSTEM_NONE) {
            const struct system_list *l = &t->sys->components[ends[k]].touches;
            for (size_t m = 0; m < l->n; m++)
                note_act(t, l->items[m], as);
        }
    if (a->service != SYSTEM_NONE)
        note_act(t, a->service, as);
}

int acts_make(struct trial *t, struct err *err)
{
    const struct system *sys = t->sys;
    for (size_t i = 0; i < t->acts_n; i++) /* as few as there are acts, however many services */
        place_act(t, i, SYSTEM_NONE);
    t->acts_n = 0;
    for (size_t i = 0; i < sys->steps_n; i++) {
        const struct system_step *ss = &sys->steps[i];
        if (!ss->acts)
            continue;
        uint64_t seed =
            trial_whatif(t, ss->choice) == WHATIF_OTHER ? t->whatif->other_seed : t->seed;
        struct rng rng = rng_stream(seed, "step", t->number, i);
        struct inject_env env = {
            .scenario = sys->scenario, .rng = &rng, .leads = leads, .leads_data = t};
        t->effects.n = 0;
        int r = injector_of(ss->step)->effect(&env, ss->step, &t->effects, err);
        if (r < 0)
            return r;
        for (size_t k = 0; k < t->effects.n; k++)
            if (t->effects.items[k].kind != EFFECT_NOTHING)
                add_act(t, i, &t->effects.items[k]);
    }
    for (size_t i = 0; i < t->acts_n; i++)
        place_act(t, i, i);
    return 0;
}
