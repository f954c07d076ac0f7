/* One trial: services one after another in the order of their needs, and what it came to. */
#include "sim/forecast/trial_parts.h"

#include "sim/forecast/draw.h"

#include <stdlib.h>
#include <string.h>

static void *room(size_t n, size_t size)
{
    void *p = calloc(n + 1, size);
    if (!p)
        abort();
    return p;
}

struct rng trial_stream(const struct trial *t, size_t quantity, uint64_t b)
{
    bool other = trial_whatif(t, quantity) == WHATIF_OTHER;
    struct rng r = rng_stream_of((other ? t->others : t->names)[quantity], t->mixed, b);
    return t->whatif && t->whatif->tilt ? tilt_stream(t->whatif->tilt, quantity, b, r) : r;
}

enum whatif_kind trial_whatif(const struct trial *t, size_t quantity)
{
    return t->whatif && t->whatif->kind ? (enum whatif_kind)t->whatif->kind[quantity]
                                        : WHATIF_AS_IS;
}

nsec trial_draw(const struct trial *t, size_t quantity, uint64_t b, const struct distribution *d)
{
    if (trial_whatif(t, quantity) == WHATIF_NO_TIME)
        return 0;
    struct rng r = trial_stream(t, quantity, b);
    return draw(d, &r);
}

static void new_service(struct trial *t, size_t i, size_t *stages, size_t *calls)
{
    const struct system_service *sv = &t->sys->services[i];
    struct result_of *r = &t->services[i];
    r->sights = room(sv->probes_n, sizeof *r->sights);
    r->sirens = room(sv->alarms_n, sizeof *r->sirens);
    for (size_t k = 0; k < sv->probes_n; k++) {
        const struct probe *p = sv->probes[k].probe;
        const struct judge_config c = {.every = p->every,
                                       .down_after = p->down_after,
                                       .up_after = p->up_after,
                                       .stable = p->stable,
                                       .since = NSEC_UNSET};
        r->sights[k].of = &sv->probes[k];
        r->sights[k].judge = judge_new(&c, sight_judged, &r->sights[k]);
    }
    for (size_t k = 0; k < sv->alarms_n; k++) {
        const struct system_alarm *a = &sv->alarms[k];
        const struct own_params *own = a->parts ? a->alarm->params : NULL;
        r->sirens[k].thresholds = room(a->parts, sizeof *r->sirens[k].thresholds);
        r->sirens[k].quorum.at_least = own ? own->at_least : 1;
        for (size_t m = 0; m < a->parts; m++)
            r->sirens[k].thresholds[m] = threshold_of_alarm(
                a->alarm, scenario_probe(t->sys->scenario, own->probes.items[m])->every);
    }
    if (!sv->response)
        return;
    size_t n = response_stages(sv->response), m = response_calls(sv->response);
    r->rescue.stages = room(n, sizeof *r->rescue.stages);
    r->rescue.calls = room(m, sizeof *r->rescue.calls);
    *stages = n > *stages ? n : *stages;
    *calls = m > *calls ? m : *calls;
}

struct trial *trial_new(const struct system *sys)
{
    struct trial *t = room(1, sizeof *t);
    size_t stages = 0, calls = 0, longest = 0;
    t->sys = sys;
    t->services = room(sys->services_n, sizeof *t->services);
    for (size_t i = 0; i < sys->services_n; i++) {
        new_service(t, i, &stages, &calls);
        size_t n = sys->services[i].response_quantities.n;
        longest = n > longest ? n : longest;
    }
    t->stages = room(stages, sizeof *t->stages);
    t->calls = room(calls, sizeof *t->calls);
    t->path = room(longest, sizeof *t->path);
    t->restorers = room(sys->services_n, sizeof *t->restorers);
    t->names = room(sys->quantities_n, sizeof *t->names);
    t->others = room(sys->quantities_n, sizeof *t->others);
    t->course = course_new();
    return t;
}

struct trial *trial_free(struct trial *t)
{
    if (!t)
        return NULL;
    for (size_t i = 0; i < t->sys->services_n; i++) {
        struct result_of *r = &t->services[i];
        for (size_t k = 0; k < t->sys->services[i].probes_n; k++) {
            judge_free(r->sights[k].judge);
            free(r->sights[k].periods.items);
        }
        for (size_t k = 0; k < t->sys->services[i].alarms_n; k++) {
            for (size_t m = 0; m < t->sys->services[i].alarms[k].parts; m++)
                threshold_done(&r->sirens[k].thresholds[m]);
            free(r->sirens[k].thresholds);
        }
        free(r->sights);
        free(r->sirens);
        free(r->legs.items);
        free(r->rescue.stages);
        free(r->rescue.calls);
        free(r->whole.items);
        free(r->acts.items);
    }
    effects_done(&t->effects);
    free(t->services);
    free(t->acts);
    free(t->names);
    free(t->others);
    free(t->events);
    free(t->edges);
    free(t->stages);
    free(t->calls);
    free(t->path);
    free(t->restorers);
    course_free(t->course);
    free(t);
    return NULL;
}

void trial_origin(struct trial *t, nsec origin)
{
    t->origin = origin;
}

nsec trial_end(const struct trial *t)
{
    return nsec_add(t->length, nsec_add(t->sys->lead, t->origin));
}

static void name_streams(struct trial *t, uint64_t seed, uint64_t other)
{
    for (size_t i = 0; i < t->sys->quantities_n; i++) {
        const char *name = t->sys->quantities[i].name;
        if (!t->named || seed != t->named_seed)
            t->names[i] = rng_named(seed, name);
        if (!t->named || other != t->named_other)
            t->others[i] = rng_named(other, name);
    }
    t->named = true;
    t->named_seed = seed;
    t->named_other = other;
}

/* Nothing happens to it: no effect, nothing that it needs suffers, no false alarm. */
static bool is_calm(const struct trial *t, size_t service)
{
    const struct system_service *sv = &t->sys->services[service];
    if (t->services[service].acts.n || sv->has_false_alarms)
        return false;
    for (size_t i = 0; i < sv->needs_n; i++)
        for (size_t k = 0; k < sv->needs[i].of.n; k++)
            if (!t->services[sv->needs[i].of.items[k]].calm)
                return false;
    return true;
}

static void play(struct trial *t)
{
    for (size_t i = 0; i < t->sys->services_n; i++) {
        size_t s = t->sys->order[i];
        struct result_of *r = &t->services[s];
        r->calm = !t->telling && is_calm(t, s);
        if (!r->calm)
            course_play(t, s);
        else
            course_rest(t, s);
    }
}

int trial_run(struct trial *t, uint64_t seed, uint64_t number, const struct whatif *whatif,
              trial_event_fn *fn, void *data, struct outcome *ret, struct err *err)
{
    uint64_t other = whatif ? whatif->other_seed : t->named_other;
    const struct assumptions *a = t->sys->scenario->assumptions;
    if (!t->named || seed != t->named_seed || other != t->named_other)
        name_streams(t, seed, other);
    t->seed = seed;
    t->number = number;
    t->mixed = rng_mix(number + 1);
    t->whatif = whatif;
    t->telling = fn != NULL;
    t->restored = false;
    t->day_offset = nsec_is_set(a->time_of_day) ? a->time_of_day : 0;
    if (t->sys->has_hours && !nsec_is_set(a->time_of_day)) {
        struct rng day = trial_stream(t, t->sys->day, 0);
        t->day_offset = (nsec)rng_below(&day, (uint64_t)(86400 * NSEC_SEC));
    }
    if (t->sys->draws || !t->acted) {
        int r = acts_make(t, err);
        if (r < 0)
            return r;
        t->acted = true;
    }
    play(t);
    for (size_t i = 0; i < t->sys->services_n; i++)
        reckon(t, i, &ret[i]);
    if (!fn)
        return 0;
    tell_begin(t);
    tell_end(t);
    return tell_out(t, fn, data, err);
}

/* How many of them came back by somebody's response sooner than the k-th, or at once and named before it. */
static size_t back_before(const struct trial *t, const struct system_list *of, size_t k)
{
    const struct restorer *its = &t->restorers[of->items[k]];
    size_t n = 0;
    for (size_t i = 0; i < of->n; i++) {
        const struct restorer *by = &t->restorers[of->items[i]];
        n += by->who != SYSTEM_NONE && (by->at < its->at || (by->at == its->at && i < k));
    }
    return n;
}

/* Of a need of which too few were left: who made them enough again. */
static void restored_by_need(const struct trial *t, const struct system_need *need,
                             struct restorer *ret)
{
    size_t left = 0;
    for (size_t k = 0; k < need->of.n; k++)
        left += t->restorers[need->of.items[k]].who == SYSTEM_NONE;
    for (size_t k = 0; left < need->at_least && k < need->of.n; k++) {
        const struct restorer *by = &t->restorers[need->of.items[k]];
        if (by->who != SYSTEM_NONE && by->at > ret->at &&
            back_before(t, &need->of, k) + 1 == need->at_least - left)
            *ret = *by;
    }
}

/* Needed ones first, as they are played. */
static void find_restorers(struct trial *t)
{
    for (size_t i = 0; i < t->sys->services_n; i++) {
        size_t s = t->sys->order[i];
        const struct system_service *sv = &t->sys->services[s];
        const struct result_of *r = &t->services[s];
        struct restorer *by = &t->restorers[s];
        *by = (struct restorer){SYSTEM_NONE, -NSEC_INF};
        if (r->calm)
            continue;
        if (sv->response && r->rescue.worth && r->rescue.by_response)
            *by = (struct restorer){s, r->rescue.restored};
        for (size_t k = 0; k < sv->needs_n; k++)
            restored_by_need(t, &sv->needs[k], by);
    }
    t->restored = true;
}

void trial_path(struct trial *t, size_t service, nsec *ret)
{
    struct span outage = t->services[service].outage;
    memset(ret, 0, t->sys->quantities_n * sizeof *ret);
    if (!t->restored)
        find_restorers(t);
    nsec at = t->restorers[service].at;
    if (at <= outage.lo || at > outage.hi)
        return;
    service = t->restorers[service].who;
    const struct system_service *sv = &t->sys->services[service];
    const struct result_of *r = &t->services[service];
    response_path(sv->response, r->rescue.stages, r->rescue.calls, &r->rescue.out, t->path);
    for (size_t i = 0; i < sv->response_quantities.n; i++)
        ret[sv->response_quantities.items[i]] += t->path[i];
    if (sv->warm != SYSTEM_NONE)
        ret[sv->warm] += r->rescue.warm;
}
