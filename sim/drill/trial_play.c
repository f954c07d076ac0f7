/* What others ask of a trial while it runs: the operator, and those who play in a functional exercise. */
#include "sim/drill/trial_part.h"

#include "sim/base/buf.h"
#include "sim/base/jsonx.h"

#include <errno.h>
#include <string.h>

/* ---- the operator ---- */

void trial_operator(struct trial *t, const char *word)
{
    if (t->script)
        script_operator(t->script, word);
}

struct lab *trial_lab(struct trial *t)
{
    return t->lab;
}

int64_t trial_number(const struct trial *t)
{
    return t->spec.n;
}

json_t *trial_status(const struct trial *t)
{
    nsec now = loop_fresh(t->core->loop);
    json_t *services = json_array();
    for (size_t i = 0; i < t->scenario->services.n; i++) {
        const struct service *s = t->scenario->services.items[i];
        nsec since = NSEC_UNSET;
        bool down = live_service_is_down(t->live, s, &since);
        json_t *o = json_pack("{s:s,s:b}", "name", s->name, "down", down);
        if (down && nsec_is_set(since))
            json_object_set_new(o, "down_ns", json_integer(now - since));
        if (nsec_is_set(s->rto))
            json_object_set_new(o, "rto_ns", json_integer(s->rto));
        json_array_append_new(services, o);
    }
    json_t *st = json_pack("{s:I,s:I,s:s,s:o,s:O,s:o}", "trial", (json_int_t)t->spec.n, "attempt",
                           (json_int_t)t->spec.attempt, "state", trial_state_words[t->state],
                           "services", services, "alarms", t->rang, "faults",
                           t->script ? script_in_force(t->script) : json_array());
    if (t->zero)
        json_object_set_new(st, "since_zero_ns", json_integer(now - t->zero));
    json_object_set_new(st, "horizon_ns", json_integer(t->scenario->horizon));
    return st;
}

/* ---- those who play ---- */

void trial_tell_health(struct trial *t, const struct probe *p, bool down)
{
    const struct service *s = p->service ? scenario_service(t->scenario, p->service) : NULL;
    nsec since = live_probe_down_since(t->live, p->name);
    json_t *e = json_pack("{s:s,s:s}", "probe", p->name, "event", down ? "down" : "up");
    if (down && nsec_is_set(since))
        json_object_set_new(e, "since", json_integer(since - record_origin(t->core->record)));
    if (s) {
        json_object_set_new(e, "service", json_string(s->name));
        json_object_set_new(e, "service_down",
                            json_boolean(live_service_is_down(t->live, s, NULL)));
    }
    core_note(t->core, "health", t->spec.n, e);
}

int trial_may_go(const struct trial *t, struct err *err)
{
    AUTO_FREE char *bad = NULL;
    if (t->state != ARM)
        return err_set(err, EAGAIN, "the machine is not ready: it is at '%s'",
                       trial_state_words[t->state]);
    if (!t->scenario->probes.n || nsec_is_set(live_good_since(t->live)))
        return 0;
    bad = live_not_good(t->live);
    return err_set(err, EAGAIN, "not all is well before anything was broken: %s; try again",
                   *bad ? bad : "a probe has just begun to recover");
}

void trial_go(struct trial *t, nsec zero)
{
    if (t->state == ARM)
        trial_inject(t, zero);
}

void trial_step_begin(struct trial *t, size_t step)
{
    if (t->state == INJECT || t->state == OBSERVE)
        script_begin(t->script, step);
}

void trial_step_end(struct trial *t, size_t step, const char *cause)
{
    if (t->state >= INJECT && t->state < UNDO)
        script_end(t->script, step, cause);
}

void trial_close(struct trial *t)
{
    if (t->state == INJECT || t->state == OBSERVE)
        trial_observed(t);
    else if (t->state < INJECT)
        trial_give_up(t, TRIAL_VOID, "the play ended before it began", "end");
}
