/* What a trial came to for a service, from the down periods that its probes saw and the instants at which they
 * really began and ended.
 *
 * As reports do with a record: a service is down while `down_at_least` of its probes are; what came back after
 * a fault had ended healed, and recovered else; the longest outage counts.
 */
#include "sim/forecast/trial_parts.h"

#include "sim/forecast/capacity.h"
#include "sim/forecast/loss.h"

#include <stdlib.h>

/* ---- several probes ---- */

static int by_instant(const void *a, const void *b)
{
    const struct edge *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return y->step - x->step; /* touching periods are one */
}

/* The edges of all probes' periods: as seen at the widest, or truly. */
static size_t edges_of(struct trial *t, const struct result_of *r, size_t probes, bool truly)
{
    size_t n = 0, most = 0;
    for (size_t i = 0; i < probes; i++)
        most += 2 * r->sights[i].periods.n;
    if (most > t->edges_room) {
        t->edges_room = 2 * most;
        t->edges = reallocarray(t->edges, t->edges_room, sizeof *t->edges);
        if (!t->edges)
            abort();
    }
    for (size_t i = 0; i < probes; i++)
        for (size_t k = 0; k < r->sights[i].periods.n; k++) {
            const struct period *p = &r->sights[i].periods.items[k];
            t->edges[n++] = (struct edge){truly ? p->began : p->impact.lo, 1};
            t->edges[n++] = (struct edge){truly ? p->ended : p->restored.hi, -1};
        }
    if (n)
        qsort(t->edges, n, sizeof *t->edges, by_instant);
    return n;
}

/* Between `from` and `to`: since when, and until when, that many were really down. */
static bool truly_between(const struct trial *t, size_t n, int64_t least, nsec from, nsec to,
                          struct period *ret)
{
    int64_t down = 0;
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        const struct edge *e = &t->edges[i];
        down += e->step;
        if (e->step > 0 && down == least && !found && e->at <= to) {
            ret->began = e->at;
            found = true;
        }
        if (e->step < 0 && down == least - 1 && e->at >= from && e->at <= to)
            ret->ended = e->at;
        if (e->step < 0 && down == least - 1 && e->at < from)
            found = false;
    }
    return found || ret->ended != NSEC_INF;
}

static void combine(struct trial *t, struct result_of *r, size_t probes, int64_t least)
{
    size_t n = edges_of(t, r, probes, false);
    int64_t down = 0;
    nsec from = NSEC_UNSET;
    r->whole.n = 0;
    for (size_t i = 0; i < n; i++) {
        down += t->edges[i].step;
        if (t->edges[i].step > 0 && down == least)
            from = t->edges[i].at;
        if (t->edges[i].step > 0 || down != least - 1)
            continue;
        struct period one = {.impact = {from, from},
                             .restored = {t->edges[i].at, t->edges[i].at},
                             .began = from,
                             .ended = NSEC_INF};
        periods_add(&r->whole, &one);
    }
    n = edges_of(t, r, probes, true);
    size_t kept = 0;
    for (size_t i = 0; i < r->whole.n; i++) {
        struct period one = r->whole.items[i];
        if (!truly_between(t, n, least, one.impact.lo, one.restored.hi, &one))
            continue; /* so many at once perhaps, but not really */
        one.down = one.ended == NSEC_INF ? 0 : one.ended - one.began;
        one.first_bad = one.began;
        r->whole.items[kept++] = one;
    }
    r->whole.n = kept;
}

/* ---- the outages ---- */

/* In force when it began, or since. */
static bool is_of(const struct system_step *s, const struct period *p)
{
    return s->step->fault && s->from <= p->ended && s->to > p->first_bad;
}

/* When it began every fault so far had ended: an outage of the undoing, which is not judged. */
static bool is_of_the_undoing(const struct trial *t, const struct period *p)
{
    bool any = false;
    for (size_t i = 0; i < t->sys->steps_n; i++) {
        const struct system_step *s = &t->sys->steps[i];
        if (!s->step->fault || s->from > p->impact.hi)
            continue;
        if (s->to > p->first_bad)
            return false;
        any = true;
    }
    return any;
}

/* What was down and back before the script's zero had not settled yet. */
static bool is_judged(const struct trial *t, const struct period *p)
{
    return p->restored.hi > 0 && !is_of_the_undoing(t, p);
}

/* Down just before the first fault: what the fault did cannot be told. */
static bool was_unsteady(const struct trial *t, const struct periods *outages)
{
    for (size_t i = 0; nsec_is_set(t->sys->fault_start) && i < outages->n; i++)
        if (is_judged(t, &outages->items[i]) && outages->items[i].impact.hi < t->sys->fault_start)
            return true;
    return false;
}

static bool heals(const struct trial *t, const struct period *p)
{
    for (size_t i = 0; i < t->sys->steps_n; i++) {
        const struct system_step *s = &t->sys->steps[i];
        if (is_of(s, p) && s->to <= p->ended)
            return true;
    }
    return false;
}

static nsec fault_of(const struct trial *t, const struct period *p)
{
    nsec first = NSEC_UNSET;
    for (size_t i = 0; i < t->sys->steps_n; i++) {
        const struct system_step *s = &t->sys->steps[i];
        if (is_of(s, p) && (!nsec_is_set(first) || s->from < first))
            first = s->from;
    }
    return first;
}

/* The first onset of an alarm that counts; NSEC_INF: none came, NSEC_UNSET: there is none. */
static nsec first_onset(const struct trial *t, const struct system_service *sv)
{
    nsec first = sv->told_by.n || sv->service->detect ? NSEC_INF : NSEC_UNSET;
    for (size_t i = 0; i < sv->told_by.n; i++) {
        const struct system_teller *by = &t->sys->tellers[sv->told_by.items[i]];
        if (by->service == SYSTEM_NONE)
            continue;
        const struct siren *s = &t->services[by->service].sirens[by->alarm];
        if (!t->services[by->service].calm && nsec_is_set(s->onset) && s->onset < first)
            first = s->onset;
    }
    return first;
}

static nsec from_to(nsec from, nsec to)
{
    if (!nsec_is_set(from) || !nsec_is_set(to))
        return NSEC_UNSET;
    return from == NSEC_INF ? NSEC_UNSET : to == NSEC_INF ? NSEC_INF : to - from;
}

static nsec restored_after(const struct trial *t, const struct result_of *r,
                           const struct service *of, const struct period *p, nsec back, nsec onset)
{
    nsec ttr = NSEC_UNSET;
    switch ((enum rto_clock)of->rto_clock) {
    case CLOCK_IMPACT:
        ttr = from_to(p->began, back);
        break;
    case CLOCK_FAULT:
        ttr = from_to(fault_of(t, p), back);
        break;
    case CLOCK_DETECTION:
        ttr = from_to(onset, back);
        break;
    case CLOCK_DECLARATION:
        ttr = from_to(r->acknowledged, back);
        break;
    }
    return nsec_is_set(ttr) && ttr < 0 ? 0 : ttr;
}

static void reckon_longest(const struct trial *t, const struct system_service *sv,
                           struct result_of *r, const struct periods *outages, nsec onset,
                           struct outcome *ret)
{
    nsec longest = -1;
    ret->kind = OUTCOME_IS_RESTORED;
    ret->down = 0;
    for (size_t i = 0; i < outages->n; i++) {
        const struct period *p = &outages->items[i];
        if (!is_judged(t, p))
            continue;
        bool open = p->ended == NSEC_INF, heal = !open && heals(t, p);
        bool back = !open && (!heal || sv->service->heal_counts);
        nsec lasted = back ? p->ended - p->began : NSEC_INF;
        ret->down = open ? NSEC_INF : nsec_add(ret->down, p->down);
        if (open)
            ret->kind = OUTCOME_IS_CENSORED;
        if (lasted < longest || (lasted == longest && !open))
            continue;
        longest = lasted;
        r->outage = (struct span){p->began, p->ended};
        ret->by = open ? OUTCOME_BY_NOBODY : heal ? OUTCOME_BY_HEAL : OUTCOME_BY_RECOVERY;
        ret->ttr = restored_after(t, r, sv->service, p, back ? p->ended : NSEC_INF, onset);
        const struct service_model *m = sv->model;
        if (!m || (m->load <= 0 && !nsec_is_set(r->rescue.out.drained)))
            continue;
        if (open)
            ret->drained = NSEC_INF;
        else if (m->load > 0)
            ret->drained = nsec_add(p->ended - p->began,
                                    capacity_drain(p->ended - p->began, m->load, m->retries));
        else if (r->rescue.worth && r->rescue.by_response)
            ret->drained = from_to(r->rescue.impact, r->rescue.out.drained);
    }
}

void reckon(struct trial *t, size_t service, struct outcome *ret)
{
    const struct system_service *sv = &t->sys->services[service];
    struct result_of *r = &t->services[service];
    *ret = (struct outcome){.kind = OUTCOME_IS_UNAFFECTED,
                            .by = OUTCOME_BY_NOBODY,
                            .ttd = NSEC_UNSET,
                            .tta = NSEC_UNSET,
                            .ttr = NSEC_UNSET,
                            .drained = NSEC_UNSET,
                            .loss = NSEC_UNSET,
                            .weight = 1};
    nsec fault = t->sys->fault_start;
    nsec onset = nsec_is_set(fault) ? first_onset(t, sv) : NSEC_UNSET;
    const struct detect *d = sv->service->detect;
    bool from_fault = d && d->clock == CLOCK_FAULT;
    if (from_fault)
        ret->ttd = from_to(fault, onset);
    if (r->calm)
        return;
    for (size_t k = 0; k < sv->alarms_n; k++)
        ret->false_alarms += r->sirens[k].early;
    for (size_t i = 0; i < sv->probes_n; i++)
        ret->blips += r->sights[i].blips;
    if (sv->probes_n > 1)
        combine(t, r, sv->probes_n,
                sv->service->down_at_least > 0 ? sv->service->down_at_least : 1);
    const struct periods *outages = sv->probes_n == 1 ? &r->sights[0].periods : &r->whole;
    const struct period *first = NULL;
    if (was_unsteady(t, outages)) {
        ret->kind = OUTCOME_IS_VOID;
        ret->ttd = NSEC_UNSET;
        return;
    }
    for (size_t i = 0; i < outages->n; i++)
        if (is_judged(t, &outages->items[i])) {
            first = first ? first : &outages->items[i];
            ret->episodes++;
        }
    if (!first)
        return;
    if (!from_fault)
        ret->ttd = from_to(first->began, onset);
    if (nsec_is_set(onset) && onset != NSEC_INF)
        ret->tta = from_to(onset, r->acknowledged);
    reckon_longest(t, sv, r, outages, onset, ret);
    /* Whatever came back by itself has its data still. */
    if (sv->loss != SYSTEM_NONE && r->rescues) {
        struct rng rng = trial_stream(t, sv->loss, 0);
        ret->loss = loss_of(sv->model, &rng);
    } else if (sv->loss != SYSTEM_NONE && ret->kind == OUTCOME_IS_RESTORED) {
        ret->loss = 0;
    }
}
