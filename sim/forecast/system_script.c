/* The script of a forecast: when each step happens, and that it is known what it does. */
#include "sim/forecast/system.h"

#include "injectors/injector.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct step *step_named(const struct scenario *s, const char *id)
{
    for (size_t i = 0; i < s->script.n; i++)
        if (strcmp(((const struct step *)s->script.items[i])->id, id) == 0)
            return s->script.items[i];
    return NULL;
}

/* A condition that is nothing but another step. */
static bool only_a_step(const struct condition *c)
{
    return c->step && !c->alarm && !c->probe && !c->operator_word && !c->any.n && !c->all.n;
}

/* When it begins; NSEC_UNSET: that depends on what happens in the trial. */
static nsec begins(const struct scenario *s, const struct step *step, size_t depth)
{
    if (!step->when)
        return step->at;
    if (!only_a_step(step->when) || depth > s->script.n)
        return NSEC_UNSET;
    const struct step *before = step_named(s, step->when->step);
    nsec at = before ? begins(s, before, depth + 1) : NSEC_UNSET;
    return nsec_is_set(at) ? nsec_add(at, step->after) : NSEC_UNSET;
}

static nsec ends(const struct scenario *s, const struct step *step, nsec from)
{
    nsec end = nsec_is_set(step->lasting) ? nsec_add(from, step->lasting) : NSEC_INF;
    if (!step->until)
        return end;
    if (!only_a_step(step->until))
        return NSEC_UNSET;
    const struct step *other = step_named(s, step->until->step);
    nsec at = other ? begins(s, other, 0) : NSEC_UNSET;
    if (!nsec_is_set(at))
        return NSEC_UNSET;
    return at < end ? at : end;
}

/* For a try: whoever stands first; `data`: that it was asked. */
static const char *first_leads(const struct target *t, void *data)
{
    *(bool *)data = true;
    return t->of.items[0];
}

static bool somebody_is_touched(const struct system *sys, const struct effect *e)
{
    size_t c = system_component(sys, e->component), p = system_component(sys, e->peer);
    return e->kind == EFFECT_NOTHING ||
           (e->service && system_service(sys, e->service) != SYSTEM_NONE) ||
           (c != SYSTEM_NONE &&
            (e->peer ? sys->components[c].serves : sys->components[c].touches.n > 0)) ||
           (p != SYSTEM_NONE && sys->components[p].serves);
}

static int check_repair(const struct system *sys, const struct effect *e, const struct step *step,
                        struct err *err)
{
    size_t c = system_component(sys, e->component);
    if (!e->repaired || (c != SYSTEM_NONE && sys->components[c].repair != SYSTEM_NONE))
        return 0;
    return err_set(err, EINVAL,
                   "how long %s takes to come back after the step %s is not said: give "
                   "`components: {%s: {repair: DURATION}}`",
                   e->component, step->id, e->component);
}

/* Tries the step on those who stand first. */
static int try_step(struct system *sys, struct system_step *ss, struct err *err)
{
    const struct step *step = ss->step;
    if (!nsec_is_set(ss->from) || !nsec_is_set(ss->to))
        return err_set(err, ENOTSUP,
                       "the step %s waits for an alarm, a probe or an operator: a forecast knows "
                       "faults by the clock alone, so give it an `at`%s",
                       step->id, nsec_is_set(ss->from) ? " and a `for`" : "");
    if (!injector_of(step)->effect)
        return err_set(err, ENOTSUP,
                       "a forecast does not know what '%s' does to a service: replace the step %s "
                       "by an `outage` (a component or a service, a share of requests, slow or "
                       "not) that says so",
                       step->action->name, step->id);
    bool leader = false;
    struct rng rng = rng_stream(0, "step", 0, 0), was = rng;
    struct inject_env env = {
        .scenario = sys->scenario, .rng = &rng, .leads = first_leads, .leads_data = &leader};
    AUTO_EFFECTS effects = {0};
    int r = injector_of(step)->effect(&env, step, &effects, err);
    if (r < 0)
        return r;
    ss->draws = rng.n != was.n || leader;
    const char *nobody = NULL;
    bool touched = false;
    for (size_t i = 0; r == 0 && i < effects.n; i++) {
        const struct effect *e = &effects.items[i];
        bool one = somebody_is_touched(sys, e);
        touched |= one;
        nobody = one ? nobody : e->component;
        r = check_repair(sys, e, step, err);
        ss->acts |= e->kind != EFFECT_NOTHING;
    }
    if (r == 0 && effects.n && !touched && step->fault)
        return err_set(err, EINVAL,
                       "the step %s hits %s, on which no service is known to run: say in `model: "
                       "{SERVICE: {redundancy: {of: [%s, …]}}}` whose it is",
                       step->id, nobody, nobody);
    return r;
}

int system_script(struct system *sys, struct err *err)
{
    const struct scenario *s = sys->scenario;
    sys->steps = calloc(s->script.n + 1, sizeof *sys->steps);
    if (!sys->steps)
        abort();
    sys->fault_start = NSEC_UNSET;
    for (size_t i = 0; i < s->script.n; i++) {
        const struct step *step = s->script.items[i];
        struct system_step *ss = &sys->steps[sys->steps_n++];
        *ss = (struct system_step){.step = step, .choice = SYSTEM_NONE};
        ss->from = begins(s, step, 0);
        ss->to = nsec_is_set(ss->from) ? ends(s, step, ss->from) : NSEC_UNSET;
        if (!step->fault)
            continue;
        ss->choice = system_quantity(sys, NULL, false, "step", step->id);
        struct err own = ERR_INIT;
        int r = try_step(sys, ss, &own);
        if (r < 0) {
            r = system_wrong(&step->action_place, &own);
            if (err)
                *err = own;
            return r;
        }
        sys->draws |= ss->draws;
        if (!nsec_is_set(sys->fault_start) || ss->from < sys->fault_start)
            sys->fault_start = ss->from;
    }
    for (size_t i = 0; i < sys->components_n; i++)
        sys->draws |= sys->components[i].repair != SYSTEM_NONE;
    return 0;
}
