/* Services that are down, in the story or really, and what the machine of a functional exercise tells: what it
 * is at, what of its steps is in force, which alarms have come, which services its judge sees down.
 */
#include "sim/exercise/state_part.h"

#include "sim/base/jsonx.h"

#include <string.h>

bool state_in_force(const struct state_step *step)
{
    return step_is_machines(step->step) && nsec_is_set(step->applied) && step->life == STEP_OPEN;
}

/* --- Services --- */

static struct state_service *service_named(struct state *st, const char *name)
{
    for (size_t i = 0; i < st->n_services; i++)
        if (!strcmp(st->services[i].service->name, name))
            return &st->services[i];
    return NULL;
}

static void service_is(struct state *st, struct state_service *s, bool down, nsec since)
{
    if (down && !nsec_is_set(s->down_since)) {
        s->down_since = since;
        s->outages++;
    } else if (!down && nsec_is_set(s->down_since)) {
        nsec took = st->clock - s->down_since;
        s->down_total = nsec_add(s->down_total, took);
        s->longest = took > s->longest ? took : s->longest;
        s->down_since = NSEC_UNSET;
    }
}

int state_apply_outage(struct state *st, json_t *event, struct err *err)
{
    const char *name = jsonx_str(event, "service", "");
    bool down = !strcmp(jsonx_str(event, "event", ""), "down");
    struct state_service *service = service_named(st, name);
    struct state_step *step = NULL;
    int r = state_step_of(st, event, &step, err);
    if (r < 0)
        return r;
    if (down)
        state_step_begin(st, step, event);
    else
        state_step_end(st, step, event);
    if (!service)
        return *name ? state_unfit(event, "there is no such service in this scenario", err) : 0;
    service_is(st, service, down, st->clock);
    return 0;
}

void state_end_outages(struct state *st)
{
    for (size_t i = 0; i < st->n_services; i++) {
        struct state_service *s = &st->services[i];
        if (nsec_is_set(s->down_since) && st->clock - s->down_since > s->longest)
            s->longest = st->clock - s->down_since;
    }
}

/* --- The machine --- */

int state_apply_stop(struct state *st, json_t *event, struct err *err)
{
    st->machine_over = true;
    if (st->stage == STAGE_DEBRIEF || st->stage == STAGE_ENDED)
        return 0;
    state_end_outages(st);
    st->stage = STAGE_DEBRIEF; /* nothing is played any more, whatever people think of it */
    st->held_why = NULL;
    st->ended_early = true;
    return 0;
}

static bool in_play(const struct state *st)
{
    return st->stage == STAGE_RUNNING || st->stage == STAGE_HELD;
}

static struct state_step *step_of(const struct state *st, const json_t *event)
{
    size_t i = state_step_index(st, jsonx_str(event, "step", ""));
    return i < st->n_steps ? &st->steps[i] : NULL;
}

static char *keep(struct state *st, const json_t *event, const char *key)
{
    const char *text = jsonx_str(event, key, NULL);
    return text ? arena_strdup(st->arena, text) : NULL;
}

static void over(struct state *st, struct state_step *step)
{
    step->done = st->clock;
    step->life = STEP_DONE;
}

static void apply_inject(struct state *st, struct state_step *step, const json_t *event)
{
    if (!jsonx_bool(event, "ok", false)) {
        step->failed = true;
        step->why = keep(st, event, "error");
        over(st, step);
        return;
    }
    step->applied = st->clock;
    if (!step->step->lasts)
        over(st, step);
}

static void apply_undo(struct state *st, struct state_step *step, const json_t *event)
{
    step->failed = !jsonx_bool(event, "ok", false);
    step->why = step->failed ? keep(st, event, "error") : step->why;
    over(st, step);
}

static void apply_alarm(struct state *st, const json_t *event)
{
    const struct objects *v = &st->scenario->alarms;
    if (strcmp(jsonx_str(event, "event", ""), "onset") != 0 || !in_play(st) ||
        jsonx_bool(event, "suppressed", false))
        return; /* what rang before the play is no reason for a step */
    for (size_t i = 0; i < v->n; i++)
        if (!strcmp(((const struct alarm *)v->items[i])->name, jsonx_str(event, "alarm", "")) &&
            !nsec_is_set(st->alarms[i]))
            st->alarms[i] = st->clock;
}

/* Of those who wait for something that holds now and may not in a moment: it did hold. */
static void hold_conditions(struct state *st)
{
    for (size_t i = 0; i < st->n_steps; i++) {
        struct state_step *s = &st->steps[i];
        if (s->life == STEP_WAITING && s->step->when && !nsec_is_set(s->held))
            s->held = state_condition(st, s->step->when);
    }
    for (size_t i = 0; i < st->scenario->exercise.phases.n; i++) {
        const struct phase *p = st->scenario->exercise.phases.items[i];
        if (p->when && !nsec_is_set(st->phase_held[i]))
            st->phase_held[i] = state_condition(st, p->when);
    }
}

/* An instant of the record on the exercise clock, if it went on since. */
static nsec on_clock(const struct state *st, nsec real)
{
    nsec ago = st->stage == STAGE_RUNNING && nsec_is_set(real) ? st->real - real : 0;
    return ago > 0 && ago < st->clock ? st->clock - ago : ago > 0 ? 0 : st->clock;
}

static void apply_health(struct state *st, const json_t *event)
{
    bool down = !strcmp(jsonx_str(event, "event", ""), "down");
    if (in_play(st) && !down)
        hold_conditions(st);
    for (size_t i = 0; i < st->scenario->probes.n; i++) {
        struct state_probe *p = &st->probes[i];
        if (!strcmp(p->probe->name, jsonx_str(event, "probe", "")))
            p->down_since = down ? st->clock : NSEC_UNSET;
    }
    struct state_service *s = service_named(st, jsonx_str(event, "service", ""));
    if (!s)
        return;
    s->watched = true;
    service_is(st, s, jsonx_bool(event, "service_down", false),
               on_clock(st, jsonx_nsec(event, "since")));
}

void state_apply_machine(struct state *st, const char *kind, const json_t *event)
{
    struct state_step *step = step_of(st, event);
    if (!strcmp(kind, "state")) {
        st->machine = keep(st, event, "state");
        if (st->machine && !strcmp(st->machine, "build"))
            st->machine_over = false; /* another attempt, before the play */
        else if (st->machine && !strcmp(st->machine, "undo"))
            st->machine_over = true;
    } else if (!strcmp(kind, "trial-end")) {
        st->machine = "done";
        st->machine_over = true;
    } else if (!strcmp(kind, "alarm")) {
        apply_alarm(st, event);
    } else if (!strcmp(kind, "health")) {
        apply_health(st, event);
    } else if (step && !strcmp(kind, "inject")) {
        apply_inject(st, step, event);
    } else if (step && !strcmp(kind, "undo")) {
        apply_undo(st, step, event);
    } else if (step && !strcmp(kind, "verify")) {
        step->verified = jsonx_bool(event, "ok", false);
        step->why = keep(st, event, "seen");
    }
}
