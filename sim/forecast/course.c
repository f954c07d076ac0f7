/* Which units of a service serve, and how it comes back. The states are drawn in course.h. */
#include "sim/forecast/course.h"

#include "sim/base/jsonx.h"
#include "sim/forecast/capacity.h"

#include <stdlib.h>
#include <string.h>

#define BIT(u) (UINT64_C(1) << (u))
#define STEPS_AT_ONCE 16 /* changes at one instant that follow from each other */

size_t course_first(const struct trial *t, size_t service)
{
    const struct system_service *sv = &t->sys->services[service];
    if (sv->mode != SYSTEM_QUORUM)
        return 0;
    struct rng r = trial_stream(t, sv->leader, 0);
    return (size_t)rng_below(&r, sv->units.n);
}

struct course *course_new(void)
{
    struct course *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    return c;
}

struct course *course_free(struct course *c)
{
    if (c) {
        free(c->cursors);
        free(c->needs);
        free(c->breakers);
    }
    free(c);
    return NULL;
}

/* ---- the response ---- */

static struct rng draw_for_response(size_t quantity, bool *ret_no_time, bool *ret_sure, void *data)
{
    const struct course *c = data;
    size_t q = c->sv->response_quantities.items[quantity];
    enum whatif_kind what = trial_whatif(c->t, q);
    *ret_no_time = what == WHATIF_NO_TIME;
    *ret_sure = what == WHATIF_SURE;
    return trial_stream(c->t, q, (uint64_t)c->service << 20 | c->troubles);
}

/* Somebody was told at `detected`, or nobody (NSEC_INF). */
static void respond(struct course *c, nsec detected)
{
    const struct response_draws draws = {draw_for_response, c};
    const struct response_input in = {.impact = c->impact,
                                      .detected = detected,
                                      .day_offset = c->t->day_offset,
                                      .down_since = c->impact};
    response_run(c->sv->response, &in, &draws, c->t->stages, c->t->calls, &c->out_put);
    c->restored = c->out_put.restored;
    c->waits = false;
    nsec hold = c->sv->model->hold_down;
    if (nsec_is_set(hold) && nsec_is_set(c->switched) && c->restored != NSEC_INF &&
        c->restored < nsec_add(c->switched, hold))
        c->restored = nsec_add(c->switched, hold);
    if (c->restored < c->now)
        c->restored = c->now;
}

static void trouble_begins(struct course *c)
{
    c->troubled = true;
    c->impact = c->now;
    c->restored = NSEC_INF;
    c->waits = false;
    c->out_put = (struct response_output){
        .restored = NSEC_INF, .acknowledged = NSEC_UNSET, .drained = NSEC_UNSET, .last = SIZE_MAX};
    if (!c->sv->response)
        return;
    if (c->aware != NSEC_INF) {
        respond(c, c->now);
        return;
    }
    if (!c->sv->needs_detection)
        respond(c, NSEC_INF);
    c->waits = c->restored == NSEC_INF;
}

/* People and their stages, for the record. */
static void tell_response(struct course *c)
{
    const struct system_service *sv = c->sv;
    struct trial *t = c->t;
    const struct response_quantity *q;
    size_t n = response_quantities(sv->response, &q);
    for (size_t i = 0; i < response_stages(sv->response); i++) {
        const struct response_stage *s = &t->stages[i];
        if (!s->taken || s->begin >= c->now)
            continue;
        AUTO_JSON *start = json_pack("{s:s,s:s,s:s,s:s,s:o}", "step", q[i].name, "event", "start",
                                     "host", sv->service->name, "command", q[i].stage->name, "at",
                                     tell_span(t, s->begin, s->begin));
        if (q[i].stage->by)
            json_object_set_new(start, "role", json_string(q[i].stage->by));
        json_t *end = json_copy(start);
        tell(t, s->begin, "action", json_incref(start));
        if (s->end <= c->now) {
            json_object_set_new(end, "event", json_string("end"));
            json_object_set_new(end, "at", tell_span(t, s->end, s->end));
            json_object_set_new(end, "code", json_integer(s->worked ? 0 : 1));
            tell(t, s->end, "action", json_incref(end));
        }
        json_decref(end);
    }
    nsec ack = c->out_put.acknowledged;
    if (nsec_is_set(ack) && ack < c->now && n)
        tell(t, ack, "mark",
             json_pack("{s:s,s:s,s:o,s:s}", "mark", "acknowledged", "service", sv->service->name,
                       "at", tell_span(t, ack, ack), "by", "model"));
}

static void trouble_ends(struct course *c, bool rescued)
{
    struct rescue *kept = &c->r->rescue;
    nsec lasted = c->now - c->impact;
    bool longest = !kept->worth || lasted > kept->restored - kept->impact;
    if (c->sv->response && !c->waits) {
        nsec ack = c->out_put.acknowledged;
        if (nsec_is_set(ack) && ack > c->now)
            ack = NSEC_UNSET; /* it was over before */
        if (nsec_is_set(ack) && !nsec_is_set(c->r->acknowledged))
            c->r->acknowledged = ack;
        if (c->t->telling)
            tell_response(c);
        if (longest) {
            memcpy(kept->stages, c->t->stages,
                   response_stages(c->sv->response) * sizeof *kept->stages);
            memcpy(kept->calls, c->t->calls, response_calls(c->sv->response) * sizeof *kept->calls);
        }
    }
    if (longest) {
        kept->worth = true;
        kept->by_response = rescued;
        kept->impact = c->impact;
        kept->restored = c->now;
        kept->out = c->out_put;
        kept->warm = 0;
    }
    c->troubled = c->waits = false;
    c->restored = NSEC_INF;
    c->troubles++;
    c->r->rescues += rescued;
}

/* ---- who serves ---- */

static size_t units_n(const struct course *c)
{
    return c->sv->units.n;
}

/* A unit that could serve; SYSTEM_NONE. */
static size_t some_well_unit(const struct course *c, uint64_t among)
{
    for (size_t u = 0; u < units_n(c); u++)
        if (among & BIT(u))
            return u;
    return SYSTEM_NONE;
}

static void switch_to(struct course *c, size_t unit, bool warm_up)
{
    c->active = unit;
    c->switched = c->now;
    c->switches++;
    c->waiting = false;
    c->failback_at = NSEC_UNSET;
    if (warm_up && c->sv->warm != SYSTEM_NONE) {
        nsec warm = trial_draw(c->t, c->sv->warm, (uint64_t)c->service << 20 | c->switches,
                               c->sv->model->redundancy->warm_up);
        c->warm_end = nsec_add(c->now, warm);
        c->r->rescue.warm = warm;
    }
}

/* The response is over. */
static void rescue(struct course *c)
{
    uint64_t well = c->all & ~c->bad & ~c->down;
    bool by_unit = c->sv->mode == SYSTEM_ACTIVE_PASSIVE || c->sv->mode == SYSTEM_QUORUM;
    trouble_ends(c, true);
    c->self_handled = c->self_bad;
    if (!by_unit) {
        c->handled |= c->bad | c->down;
        return;
    }
    if (well & BIT(c->active))
        return;
    size_t next = some_well_unit(c, well);
    bool enough =
        c->sv->mode != SYSTEM_QUORUM || __builtin_popcountll(c->all & ~c->down) >= (int)c->sv->need;
    if (next != SYSTEM_NONE && enough)
        switch_to(c, next, true);
    else
        c->waiting = true;
}

static void serve_active_active(struct course *c)
{
    const struct service_model *m = c->sv->model;
    for (size_t u = 0; u < units_n(c); u++) {
        if (!(c->down & BIT(u)) || (c->handled & BIT(u))) {
            c->out_at[u] = NSEC_UNSET;
        } else if (!nsec_is_set(c->out_at[u])) {
            c->out_at[u] = NSEC_INF;
            if (c->sv->takeout != SYSTEM_NONE)
                c->out_at[u] =
                    nsec_add(c->now, trial_draw(c->t, c->sv->takeout,
                                                (uint64_t)c->service << 20 | c->takeouts++,
                                                m->redundancy->takeout));
        }
    }
    c->out = 0;
    for (size_t u = 0; u < units_n(c); u++)
        if (nsec_is_set(c->out_at[u]) && c->out_at[u] <= c->now)
            c->out |= BIT(u);
    c->serving = c->all & ~c->out;
    int working = __builtin_popcountll(c->all & ~(c->down & ~c->handled));
    double share = (double)working / (double)units_n(c);
    if (m->load > 0) {
        /* Answers that fail are asked for again, which is more load, which fails: from below. */
        double bad = 0;
        for (int i = 0; i < 64 && share < 1; i++) {
            double load = m->load * capacity_attempts(bad, m->retries);
            double now = share <= 0 ? 1 : load > share ? 1 - share / load : 0;
            if (now <= bad)
                break;
            bad = now;
        }
        c->extra_quick = bad;
    } else if (working < (int)c->sv->need) {
        c->extra_quick = 1;
    }
    if (!c->serving)
        c->extra_quick = 1;
}

static void serve_active_passive(struct course *c)
{
    uint64_t well = c->all & ~c->bad & ~c->down;
    if (c->waiting && well) {
        size_t u = well & BIT(c->active) ? c->active : some_well_unit(c, well);
        if (u == c->active)
            c->waiting = false;
        else
            switch_to(c, u, true);
    }
    if (c->active != 0 && c->sv->failback != SYSTEM_NONE) {
        if (!(well & 1)) {
            c->failback_at = NSEC_UNSET;
        } else if (!nsec_is_set(c->failback_at)) {
            nsec hold = c->sv->model->hold_down;
            c->failback_at = nsec_add(c->now, trial_draw(c->t, c->sv->failback,
                                                         (uint64_t)c->service << 20 | c->switches,
                                                         c->sv->model->failback));
            if (nsec_is_set(hold) && c->failback_at < nsec_add(c->switched, hold))
                c->failback_at = nsec_add(c->switched, hold);
        }
        if (nsec_is_set(c->failback_at) && c->failback_at <= c->now) {
            nsec cost = c->sv->failback_outage == SYSTEM_NONE
                            ? 0
                            : trial_draw(c->t, c->sv->failback_outage,
                                         (uint64_t)c->service << 20 | c->switches,
                                         c->sv->model->failback_outage);
            switch_to(c, 0, false);
            c->failback_end = nsec_add(c->now, cost);
        }
    }
    if (c->now < c->warm_end || c->now < c->failback_end)
        c->extra_quick = 1;
    c->serving = BIT(c->active);
}

static void serve_quorum(struct course *c)
{
    uint64_t members = c->all & ~c->down;
    bool majority = __builtin_popcountll(members) >= (int)c->sv->need;
    if (c->waiting && majority)
        switch_to(c, members & BIT(c->active) ? c->active : some_well_unit(c, members), true);
    c->serving = BIT(c->active);
    if (!majority || !(members & BIT(c->active)))
        c->extra_lost = 1;
    if (c->now < c->warm_end)
        c->extra_quick = 1;
}

static bool is_troubled(const struct course *c)
{
    bool self = c->self_bad && !c->self_handled;
    switch (c->sv->mode) {
    case SYSTEM_PLAIN:
        return self || (c->bad & ~c->handled);
    case SYSTEM_ACTIVE_ACTIVE:
        return self || (c->bad & ~c->handled & ~c->out) || c->extra_quick > 0;
    case SYSTEM_ACTIVE_PASSIVE:
        return self || (!c->waiting && ((c->bad | c->down) & BIT(c->active)));
    case SYSTEM_QUORUM:
        return self ||
               (!c->waiting && (c->extra_lost > 0 || ((c->bad | c->down) & BIT(c->active))));
    }
    return false;
}

static void serve(struct course *c)
{
    c->extra_quick = c->extra_lost = 0;
    c->handled &= c->bad | c->down; /* well again: serves as before */
    c->self_handled = c->self_handled && c->self_bad;
    switch (c->sv->mode) {
    case SYSTEM_PLAIN:
        c->serving = c->all & ~c->handled;
        break;
    case SYSTEM_ACTIVE_ACTIVE:
        serve_active_active(c);
        break;
    case SYSTEM_ACTIVE_PASSIVE:
        serve_active_passive(c);
        break;
    case SYSTEM_QUORUM:
        serve_quorum(c);
        break;
    }
}

/* Everything that happens at this instant, one after another. */
static void settle(struct course *c)
{
    for (int i = 0; i < STEPS_AT_ONCE; i++) {
        if (c->alarm <= c->now)
            course_watch_due(c);
        if (c->heard <= c->now) {
            if (c->aware == NSEC_INF && c->hurts)
                c->aware = c->heard;
            c->heard = NSEC_INF;
        }
        if (c->troubled && c->waits && c->aware != NSEC_INF)
            respond(c, c->aware > c->impact ? c->aware : c->impact);
        course_health_units(c);
        serve(c);
        if (c->troubled && c->restored <= c->now) {
            rescue(c);
            serve(c);
        }
        bool troubled = is_troubled(c);
        if (troubled && !c->troubled)
            trouble_begins(c);
        else if (!troubled && c->troubled)
            trouble_ends(c, false);
        bool hurt = c->hurts;
        course_health_look(c);
        if (c->hurts != hurt)
            course_watch_pain(c, c->hurts);
        if (c->heard > c->now && !(c->troubled && c->restored <= c->now) && c->alarm > c->now &&
            !(c->troubled && c->waits && c->aware != NSEC_INF))
            return;
    }
}

static nsec sooner(nsec a, nsec b, nsec now)
{
    return nsec_is_set(b) && b > now && b < a ? b : a;
}

static nsec next_change(const struct course *c)
{
    nsec next = course_health_next(c);
    next = sooner(next, c->alarm, c->now);
    if (c->troubled)
        next = sooner(next, c->restored, c->now);
    next = sooner(next, c->heard, c->now);
    next = sooner(next, c->warm_end, c->now);
    next = sooner(next, c->failback_at, c->now);
    next = sooner(next, c->failback_end, c->now);
    for (size_t u = 0; c->sv->mode == SYSTEM_ACTIVE_ACTIVE && u < units_n(c); u++)
        next = sooner(next, c->out_at[u], c->now);
    return next;
}

/* How long a good run may take to become stable after the horizon: the drill's own bound. */
static nsec longest_stable(const struct course *c)
{
    nsec longest = 0;
    for (size_t i = 0; i < c->sv->probes_n; i++) {
        const struct probe *p = c->sv->probes[i].probe;
        nsec n = p->stable + p->up_after * p->every + p->timeout;
        longest = n > longest ? n : longest;
    }
    return longest;
}

static void begin(struct course *c, struct trial *t, size_t service)
{
    const struct system_service *sv = &t->sys->services[service];
    memset(c, 0, offsetof(struct course, t));
    c->t = t;
    c->service = service;
    c->sv = sv;
    c->r = &t->services[service];
    c->now = -t->sys->lead;
    c->all = BIT(sv->units.n) - 1;
    c->warm_end = c->switched = c->failback_at = c->failback_end = NSEC_UNSET;
    c->restored = c->aware = c->heard = NSEC_INF;
    c->effects_until = c->needs_until = c->now;
    for (size_t u = 0; u < sv->units.n; u++)
        c->out_at[u] = NSEC_UNSET;
    c->active = sv->units.n ? course_first(t, service) : 0;
    c->r->rescue.worth = false;
    c->r->acknowledged = NSEC_UNSET;
    c->r->rescues = 0;
    c->r->legs.n = 0;
    c->r->whole.n = 0;
}

void course_rest(struct trial *t, size_t service)
{
    static const struct leg well = {0};
    struct legs *l = &t->services[service].legs;
    if (l->room == 0) {
        l->room = 1;
        l->items = malloc(sizeof *l->items);
        if (!l->items)
            abort();
    }
    l->items[0] = well;
    l->n = 1;
    t->services[service].watched = t->sys->scenario->horizon;
}

void course_play(struct trial *t, size_t service)
{
    struct course *c = t->course;
    begin(c, t, service);
    course_watch_begin(c);
    nsec horizon = t->sys->scenario->horizon, end = horizon;
    for (;;) {
        settle(c);
        nsec next = next_change(c);
        c->now = course_watch_until(c, next < end ? next : end);
        if (c->over || (c->now >= end && c->extended))
            break;
        if (c->now < end)
            continue;
        if (!course_watch_recovers(c))
            break;
        c->extended = true;
        end = nsec_add(horizon, longest_stable(c));
    }
    c->r->watched = c->now;
    if (c->troubled)
        trouble_ends(c, false);
}
