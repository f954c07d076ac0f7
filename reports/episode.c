/* Down periods of a service in one trial.
 *
 * 1. watched.c turns the observations of each probe into down periods: impact, flaps, restored.
 * 2. A service is down while `down_at_least` of its probes are. Each bound comes from its own
 *    timeline: earliest instants from the lows, latest from the highs.
 * 3. Faults are attached, and with them who restored it: see attach().
 */
#include "reports/episode.h"

#include <stdlib.h>
#include <string.h>

#include "reports/kept.h"
#include "reports/watched.h"

const json_t *trial_next(const struct trial *t, const char *kind, size_t *i)
{
    while (*i < t->events_n) {
        const json_t *e = t->events[(*i)++];
        const char *k = json_string_value(json_object_get(e, "kind"));
        if (k && strcmp(k, kind) == 0)
            return e;
    }
    return NULL;
}

size_t trial_count(const struct trial *t, const char *kind)
{
    size_t n = 0, i = 0;
    while (trial_next(t, kind, &i))
        n++;
    return n;
}

static int64_t least_of(const struct service *s)
{
    return s->down_at_least > 0 ? s->down_at_least : 1;
}

struct edge {
    nsec at;
    int step; /* +1 a probe goes down, -1 it comes back */
};

static int by_instant(const void *a, const void *b)
{
    const struct edge *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return y->step - x->step; /* at the same instant downs first: touching periods are one */
}

enum bound { LOWS, HIGHS, WIDEST };

/* The edges of all probes' down periods by one kind of bound, in order of time. */
static struct edge *edges_of(struct arena *arena, const struct watched *w, size_t w_n,
                             enum bound bound, size_t *ret_n)
{
    size_t n = 0;
    for (size_t i = 0; i < w_n; i++)
        n += 2 * w[i].runs_n;
    struct edge *edges = arena_alloc(arena, (n + 1) * sizeof *edges);
    n = 0;
    for (size_t i = 0; i < w_n; i++)
        for (size_t k = 0; k < w[i].runs_n; k++) {
            const struct watched_run *run = &w[i].runs[k];
            nsec from = bound == HIGHS ? run->impact.hi : run->impact.lo;
            nsec to = bound == LOWS ? run->restored.lo : run->restored.hi;
            edges[n++] = (struct edge){from, 1};
            edges[n++] = (struct edge){to, -1};
        }
    qsort(edges, n, sizeof *edges, by_instant);
    *ret_n = n;
    return edges;
}

/* Within [from, to]: the first instant at which `least` are down, and the last at which they cease
 * to be. False: never that many. */
static bool crossing(const struct edge *edges, size_t n, int64_t least, nsec from, nsec to,
                     nsec *ret_first, nsec *ret_last)
{
    int64_t down = 0;
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        down += edges[i].step;
        if (edges[i].at < from || edges[i].at > to)
            continue;
        if (edges[i].step > 0 && down == least && !found) {
            *ret_first = edges[i].at;
            found = true;
        }
        if (edges[i].step < 0 && down == least - 1)
            *ret_last = edges[i].at;
    }
    return found;
}

static bool in_episode(const struct watched_run *run, const struct episode *e)
{
    return run->impact.lo <= e->restored.hi && run->restored.hi >= e->impact.lo;
}

static int by_value(const void *a, const void *b)
{
    nsec x = *(const nsec *)a, y = *(const nsec *)b;
    return (x > y) - (x < y);
}

/* The least-th smallest of the probes' first failed starts in this episode. */
static nsec nth_start(struct arena *arena, const struct watched *w, size_t w_n,
                      const struct episode *e, int64_t least)
{
    nsec *firsts = arena_alloc(arena, (w_n + 1) * sizeof *firsts);
    size_t n = 0;
    for (size_t i = 0; i < w_n; i++) {
        nsec first = NSEC_INF;
        for (size_t k = 0; k < w[i].runs_n; k++)
            if (in_episode(&w[i].runs[k], e) && w[i].runs[k].first_bad < first)
                first = w[i].runs[k].first_bad;
        if (first != NSEC_INF)
            firsts[n++] = first;
    }
    qsort(firsts, n, sizeof *firsts, by_value);
    return n == 0 ? NSEC_INF : firsts[(size_t)least < n ? (size_t)least - 1 : n - 1];
}

/* When at least `least` probes were certainly down at once: the episode's down intervals. */
static void down_together(struct arena *arena, const struct watched *w, size_t w_n, int64_t least,
                          struct episode *e)
{
    size_t n = 0, most = 0;
    for (size_t i = 0; i < w_n; i++)
        for (size_t k = 0; k < w[i].runs_n; k++)
            most += 2 * w[i].runs[k].downs_n;
    struct edge *edges = arena_alloc(arena, (most + 1) * sizeof *edges);
    for (size_t i = 0; i < w_n; i++)
        for (size_t k = 0; k < w[i].runs_n; k++) {
            const struct watched_run *run = &w[i].runs[k];
            for (size_t m = 0; m < run->downs_n && in_episode(run, e); m++) {
                nsec to = run->downs[m].hi == NSEC_INF ? run->restored.lo : run->downs[m].hi;
                if (to <= run->downs[m].lo)
                    continue;
                edges[n++] = (struct edge){run->downs[m].lo, 1};
                edges[n++] = (struct edge){to, -1};
            }
        }
    qsort(edges, n, sizeof *edges, by_instant);
    e->downs = arena_alloc(arena, (n + 1) * sizeof *e->downs);
    e->downs_n = 0;
    int64_t down = 0;
    for (size_t i = 0; i < n; i++) {
        down += edges[i].step;
        if (edges[i].step > 0 && down == least)
            e->downs[e->downs_n++] = (struct span){edges[i].at, edges[i].at};
        if (edges[i].step < 0 && down == least - 1)
            e->downs[e->downs_n - 1].hi = edges[i].at;
    }
}

/* Down periods of the service from those of its probes. */
static void combine(struct result *r, const struct watched *w, size_t w_n, struct service_seen *s)
{
    int64_t least = least_of(s->service);
    size_t n, lows_n, highs_n;
    struct edge *edges = edges_of(r->arena, w, w_n, WIDEST, &n);
    struct edge *lows = edges_of(r->arena, w, w_n, LOWS, &lows_n);
    struct edge *highs = edges_of(r->arena, w, w_n, HIGHS, &highs_n);
    s->episodes = arena_alloc(r->arena, (n + 1) * sizeof *s->episodes);
    int64_t down = 0;
    nsec from = NSEC_UNSET;
    for (size_t i = 0; i < n; i++) {
        down += edges[i].step;
        if (edges[i].step > 0 && down == least)
            from = edges[i].at;
        if (!(edges[i].step < 0 && down == least - 1))
            continue;
        struct episode e = {.impact = {from, NSEC_UNSET}, .restored = {NSEC_UNSET, edges[i].at}};
        nsec unused;
        if (!crossing(highs, highs_n, least, from, edges[i].at, &e.impact.hi, &unused) ||
            !crossing(lows, lows_n, least, from, edges[i].at, &unused, &e.restored.lo)) {
            s->blips++; /* perhaps that many at once, perhaps not: not shown */
            continue;
        }
        e.onset = e.reconverge = e.down = SPAN_UNSET;
        for (int c = 0; c < 4; c++)
            e.ttr[c] = SPAN_UNSET;
        e.first_bad = nth_start(r->arena, w, w_n, &e, least);
        size_t parts = 0;
        for (size_t k = 0; k < w_n; k++)
            for (size_t m = 0; m < w[k].runs_n; m++) {
                const struct watched_run *run = &w[k].runs[m];
                if (!in_episode(run, &e))
                    continue;
                e.flaps += run->flaps;
                e.downs = run->downs;
                e.downs_n = run->downs_n;
                parts++;
            }
        if (parts != 1)
            down_together(r->arena, w, w_n, least, &e);
        s->episodes[s->episodes_n++] = e;
    }
}

static bool is_down_at(const struct watched *w, nsec at, const struct episode *e)
{
    for (size_t k = 0; k < w->runs_n; k++) {
        const struct watched_run *run = &w->runs[k];
        if (in_episode(run, e) && run->first_bad <= at && at <= run->restored.lo)
            return true;
    }
    return false;
}

/* When it was last certainly bad before `before`: the last failed start of each probe in its down
 * periods of the episode, of these the least-th largest. A probe that failed now and then without
 * being down says nothing. NSEC_UNSET: not so many. */
static nsec last_bad_before(struct arena *arena, const struct watched *w, size_t w_n, int64_t least,
                            const struct episode *e, nsec before)
{
    nsec *lasts = arena_alloc(arena, (w_n + 1) * sizeof *lasts);
    size_t n = 0;
    for (size_t i = 0; i < w_n; i++) {
        nsec last = NSEC_UNSET;
        for (size_t k = 0; k < w[i].obs_n; k++) {
            const struct judge_obs *o = &w[i].obs[k];
            if (o->verdict == JUDGE_BAD && o->start < before && o->start >= e->first_bad &&
                is_down_at(&w[i], o->start, e))
                last = o->start;
        }
        if (nsec_is_set(last))
            lasts[n++] = last;
    }
    if (n < (size_t)least)
        return NSEC_UNSET;
    qsort(lasts, n, sizeof *lasts, by_value);
    nsec last = lasts[n - (size_t)least];
    return last < e->restored.lo ? last : e->restored.lo;
}

static bool in_set(const struct fault *f, const struct episode *e)
{
    return f->injected && f->start.lo <= e->restored.hi &&
           (!span_is_set(f->end) || f->end.hi >= e->impact.lo);
}

/* Its undoing had begun when the outage did. */
static bool over_before(const struct fault *f, const struct episode *e)
{
    return span_is_set(f->end) && f->end.lo <= e->first_bad;
}

/* Faults in force, cause, and who restored it.
 *
 * An outage whose first failed probe started when every fault so far was being undone or undone is
 * one of the undoing. It was restored by recovery when it was certainly back before any of its
 * faults began to be undone; came it back later, the undoing may have done it: a heal. With several
 * faults the earliest end counts: what is not known to be recovery is not called so. */
static void attach(struct result *r, const struct trial *t, const struct watched *w, size_t w_n,
                   int64_t least, struct episode *e)
{
    nsec healed = NSEC_INF;
    bool any = false, in_force = false;
    struct span end = SPAN_UNSET;
    e->faults.items = arena_alloc(r->arena, (t->faults_n + 1) * sizeof *e->faults.items);
    for (size_t i = 0; i < t->faults_n; i++) {
        const struct fault *f = &t->faults[i];
        if (f->injected && f->start.lo <= e->impact.hi) {
            any = true;
            in_force |= !over_before(f, e);
        }
        if (!in_set(f, e) || over_before(f, e))
            continue;
        e->faults.items[e->faults.n++] = arena_strdup(r->arena, f->step);
        if (span_is_set(f->end) && f->end.lo < e->restored.hi && f->end.lo < healed) {
            healed = f->end.lo;
            end = f->end;
        }
    }
    e->undo = e->first_bad >= t->watched || (any && !in_force);
    if (e->undo) {
        e->by = e->restored.hi == NSEC_INF ? BY_NOBODY : BY_RECOVERY;
        return;
    }
    nsec limit = healed < t->watched ? healed : t->watched;
    if (e->restored.hi <= limit) {
        e->by = BY_RECOVERY;
        return;
    }
    if (e->restored.hi == NSEC_INF) {
        e->by = BY_NOBODY;
        nsec last = last_bad_before(r->arena, w, w_n, least, e, t->watched);
        e->restored.lo = nsec_is_set(last) ? last : e->impact.lo;
        return;
    }
    if (healed == NSEC_INF) { /* back after observation had ended, by nothing of ours */
        nsec last = last_bad_before(r->arena, w, w_n, least, e, t->watched);
        e->by = BY_NOBODY;
        e->restored = (struct span){nsec_is_set(last) ? last : e->impact.lo, NSEC_INF};
        return;
    }
    e->by = BY_HEAL;
    e->reconverge = span_between(end, e->restored);
    if (e->reconverge.lo < 0)
        e->reconverge.lo = 0;
}

/* TTR by the two clocks that need no alarm and no mark, and the sum of down intervals. */
static void durations(struct result *r, const struct trial *t, const struct watched *w, size_t w_n,
                      const struct service *service, struct episode *e)
{
    int64_t least = least_of(service);
    struct span back = e->restored;
    if (e->by == BY_HEAL && !service->heal_counts) {
        nsec end = e->restored.hi;
        for (size_t i = 0; i < t->faults_n; i++)
            if (in_set(&t->faults[i], e) && span_is_set(t->faults[i].end) &&
                !over_before(&t->faults[i], e) && t->faults[i].end.lo < end)
                end = t->faults[i].end.lo;
        nsec last = last_bad_before(r->arena, w, w_n, least, e, end);
        back = (struct span){nsec_is_set(last) ? last : e->impact.lo, NSEC_INF};
    }
    e->back = back;
    e->ttr[CLOCK_IMPACT] = span_between(e->impact, back);
    struct span start = SPAN_UNSET;
    for (size_t i = 0; i < t->faults_n; i++)
        if (in_set(&t->faults[i], e) && !over_before(&t->faults[i], e) &&
            (!span_is_set(start) || t->faults[i].start.lo < start.lo))
            start = t->faults[i].start;
    if (span_is_set(start))
        e->ttr[CLOCK_FAULT] = span_between(start, back);
    for (int c = 0; c < 4; c++)
        if (span_is_set(e->ttr[c]) && e->ttr[c].lo < 0)
            e->ttr[c].lo = 0;

    struct span whole = span_between(e->impact, e->restored);
    nsec lo = 0;
    for (size_t i = 0; i < e->downs_n; i++) {
        nsec to = e->downs[i].hi < e->restored.lo ? e->downs[i].hi : e->restored.lo;
        if (to > e->downs[i].lo)
            lo = nsec_add(lo, to - e->downs[i].lo);
    }
    e->down = (struct span){lo < whole.hi ? lo : whole.hi, whole.hi};
}

/* The longest outage that this trial could have missed: down_after probes and the longest good
 * latency, or the longest stretch between two good ones that no run of failures explains. */
static nsec resolution_of(const struct trial *t, const struct watched *w)
{
    nsec latency = 0, gap = 0, last = span_is_set(t->fault_start) ? t->fault_start.lo : t->armed;
    int64_t bad = 0;
    bool seen = false;
    for (size_t i = 0; i < w->obs_n; i++) {
        const struct judge_obs *o = &w->obs[i];
        if (o->start >= t->watched)
            break;
        bad += o->verdict == JUDGE_BAD;
        if (o->verdict != JUDGE_GOOD)
            continue;
        if (o->end - o->start > latency)
            latency = o->end - o->start;
        if (nsec_is_set(last) && o->end > last && bad < w->probe->down_after && o->end - last > gap)
            gap = o->end - last;
        if (!nsec_is_set(last) || o->start > last)
            last = o->start;
        bad = 0;
        seen = true;
    }
    if (nsec_is_set(last) && bad < w->probe->down_after && t->watched - last > gap)
        gap = t->watched - last;
    nsec usual = w->probe->down_after * w->probe->every + latency;
    return !seen && !nsec_is_set(last) ? NSEC_INF : usual > gap ? usual : gap;
}

void episode_find(struct result *r, const struct trial *t, struct service_seen *s)
{
    struct watched *w = arena_alloc(r->arena, (r->scenario->probes.n + 1) * sizeof *w);
    size_t w_n = 0;
    nsec since = span_is_set(t->fault_start) ? t->fault_start.lo : NSEC_UNSET;
    for (size_t i = 0; i < r->scenario->probes.n; i++) {
        const struct probe *p = r->scenario->probes.items[i];
        if (!p->service || strcmp(p->service, s->service->name) != 0)
            continue;
        size_t blind_n;
        struct span *blind = watched_blind(r, t, p->host ? p->host : "", &blind_n);
        w[w_n].probe = p;
        watched_judge(r, t, &w[w_n], since, blind, blind_n);
        s->blips += w[w_n].blips;
        s->unknown += w[w_n].unknown;
        nsec res = resolution_of(t, &w[w_n]);
        if (res > s->resolution)
            s->resolution = res;
        w_n++;
    }
    s->probes_n = w_n;
    if (w_n == 0)
        return;
    s->kept = kept_find(r, t, w, w_n);
    combine(r, w, w_n, s);
    for (size_t i = 0; i < s->episodes_n; i++) {
        struct episode *e = &s->episodes[i];
        attach(r, t, w, w_n, least_of(s->service), e);
        durations(r, t, w, w_n, s->service, e);
        if (!e->undo) {
            s->judged_n++;
            s->flaps += e->flaps;
        }
    }
}
