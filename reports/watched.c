/* What one probe saw in one trial.
 *
 * Its observations from the last `settle` before the trial was armed on (before that the system was
 * still coming up), in the order of their actual starts; failed ones that a lost control path or a
 * late runner explains are unknown. sim/judge turns them into down periods.
 */
#include "reports/watched.h"

#include <stdlib.h>
#include <string.h>

#include "reports/episode.h"
#include "sim/base/cleanup.h"
#include "sim/base/jsonx.h"

struct watched_line {
    struct judge_obs o;
    const json_t *e;
};

static int by_start(const void *a, const void *b)
{
    const struct judge_obs *x = &((const struct watched_line *)a)->o,
                           *y = &((const struct watched_line *)b)->o;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return (x->n > y->n) - (x->n < y->n);
}

/* The observations of one probe that count, renumbered in the order of their starts. */
static void collect(struct result *r, const struct trial *t, struct watched *w,
                    const struct span *blind, size_t blind_n)
{
    nsec from = nsec_is_set(t->armed) ? t->armed - r->scenario->settle->lasting : -NSEC_INF;
    size_t n = 0, i = 0;
    for (const json_t *e; (e = trial_next(t, "probe", &i));)
        n += strcmp(jsonx_str(e, "probe", ""), w->probe->name) == 0;
    w->obs = arena_alloc(r->arena, (n + 1) * sizeof *w->obs);
    w->lines = arena_alloc(r->arena, (n + 1) * sizeof *w->lines);
    AUTO_FREE struct watched_line *lines = calloc(n + 1, sizeof *lines);
    if (!lines)
        abort();
    i = 0;
    for (const json_t *e; (e = trial_next(t, "probe", &i));) {
        if (strcmp(jsonx_str(e, "probe", ""), w->probe->name) != 0)
            continue;
        struct judge_obs o = {.n = (uint64_t)jsonx_int(e, "n", NSEC_UNSET),
                              .scheduled = jsonx_int(e, "sched", NSEC_UNSET),
                              .start = jsonx_int(e, "start", NSEC_UNSET),
                              .end = jsonx_int(e, "end", NSEC_UNSET)};
        if (!nsec_is_set(o.start) || !nsec_is_set(o.end) || o.start < from)
            continue;
        o.verdict = json_is_true(json_object_get(e, "ok")) ? JUDGE_GOOD : JUDGE_BAD;
        bool lost = json_is_true(json_object_get(e, "unknown")) ||
                    (nsec_is_set(o.scheduled) && o.start - o.scheduled > w->probe->every);
        for (size_t b = 0; b < blind_n && !lost; b++)
            lost = o.start <= blind[b].hi && o.end >= blind[b].lo;
        if (lost && o.verdict == JUDGE_BAD) {
            o.verdict = JUDGE_UNKNOWN;
            w->unknown++;
        }
        lines[w->obs_n++] = (struct watched_line){o, e};
    }
    qsort(lines, w->obs_n, sizeof *lines, by_start);
    for (size_t k = 0; k < w->obs_n; k++) {
        w->obs[k] = lines[k].o;
        w->obs[k].n = k;
        w->lines[k] = lines[k].e;
    }
}

static void on_event(const struct judge_event *e, void *data)
{
    struct watched *w = data;
    struct watched_run *run = w->runs_n ? &w->runs[w->runs_n - 1] : NULL;
    switch (e->kind) {
    case JUDGE_BLIP:
        w->blips++;
        break;
    case JUDGE_DOWN:
        run = &w->runs[w->runs_n++];
        *run = (struct watched_run){.impact = e->impact,
                                    .restored = {e->obs.start, NSEC_INF},
                                    .first_bad = w->in_run ? w->run_first : e->obs.start};
        run->downs = arena_alloc(w->arena, sizeof *run->downs);
        run->downs[0] = (struct span){e->impact.hi, NSEC_INF};
        run->downs_n = 1;
        break;
    case JUDGE_FLAP: {
        /* The restoration before it held for a while: the episode has two down intervals. */
        struct span *downs = arena_alloc(w->arena, (run->downs_n + 1) * sizeof *downs);
        memcpy(downs, run->downs, run->downs_n * sizeof *downs);
        downs[run->downs_n - 1].hi = e->restored.lo;
        downs[run->downs_n++] = (struct span){e->obs.end, NSEC_INF};
        run->downs = downs;
        run->flaps = e->count;
        run->restored = (struct span){e->obs.start, NSEC_INF};
        break;
    }
    case JUDGE_RECOVERING:
        run->impact = e->impact;
        break;
    case JUDGE_RESTORED:
        run->impact = e->impact;
        run->restored = e->restored;
        run->downs[run->downs_n - 1].hi = e->restored.lo;
        break;
    case JUDGE_DECIDED:
        if (e->obs.verdict == JUDGE_GOOD)
            w->in_run = false;
        if (e->obs.verdict == JUDGE_BAD) {
            if (!w->in_run)
                w->run_first = e->obs.start;
            w->in_run = true;
            if (run && run->restored.hi == NSEC_INF) {
                run->restored.lo = e->obs.start;
                run->impact = span_is_set(e->impact) ? e->impact : run->impact;
            }
        }
        break;
    }
}

/* What certainly holds: it did not come back before it went. */
static void tidy(struct watched_run *run)
{
    if (run->impact.hi > run->restored.hi)
        run->impact.hi = run->restored.hi;
    if (run->restored.lo < run->impact.lo)
        run->restored.lo = run->impact.lo;
    run->downs[0].lo = run->impact.hi;
}

void watched_judge(struct result *r, const struct trial *t, struct watched *w, nsec since,
                   const struct span *blind, size_t blind_n)
{
    w->arena = r->arena;
    collect(r, t, w, blind, blind_n);
    /* A down period takes down_after bad ones and as many good ones as up_after. */
    size_t most = w->obs_n / (size_t)(w->probe->down_after + w->probe->up_after) + 1;
    w->runs = arena_alloc(r->arena, most * sizeof *w->runs);
    const struct judge_config config = {.every = w->probe->every,
                                        .down_after = w->probe->down_after,
                                        .up_after = w->probe->up_after,
                                        .stable = w->probe->stable,
                                        .since = since};
    CLEANUP(judge_free_p) struct judge *j = judge_new(&config, on_event, w);
    for (size_t i = 0; i < w->obs_n; i++)
        judge_feed(j, &w->obs[i]);
    judge_finish(j);
    for (size_t i = 0; i < w->runs_n; i++)
        tidy(&w->runs[i]);
}

/* Room for one more in a list that lives in the arena. */
static void add_span(struct arena *arena, struct span **list, size_t *n, struct span s)
{
    if ((*n & (*n - 1)) == 0) { /* a power of two: full */
        struct span *more = arena_alloc(arena, (*n ? 2 * *n : 1) * sizeof *more);
        if (*n)
            memcpy(more, *list, *n * sizeof *more);
        *list = more;
    }
    (*list)[(*n)++] = s;
}

struct span *watched_blind(struct result *r, const struct trial *t, const char *host, size_t *ret_n)
{
    size_t n = 0, i = 0;
    struct span *blind = NULL;
    for (const json_t *e; (e = trial_next(t, "trouble", &i));) {
        const char *what = jsonx_str(e, "what", "");
        bool control = strcmp(what, "control-down") == 0, late = strcmp(what, "runner-late") == 0;
        nsec from = jsonx_int(e, "from", NSEC_UNSET), to = jsonx_int(e, "to", NSEC_UNSET);
        if ((control && strcmp(jsonx_str(e, "host", ""), host) != 0) || (!control && !late) ||
            !nsec_is_set(from))
            continue;
        add_span(r->arena, &blind, &n, (struct span){from, nsec_is_set(to) ? to : NSEC_INF});
    }
    for (size_t p = 0; p < r->scenario->probes.n; p++) {
        struct watched w = {.probe = r->scenario->probes.items[p]};
        if (!w.probe->control || !w.probe->host || strcmp(w.probe->host, host) != 0)
            continue;
        watched_judge(r, t, &w, NSEC_UNSET, NULL, 0);
        for (size_t k = 0; k < w.runs_n; k++)
            add_span(r->arena, &blind, &n,
                     (struct span){w.runs[k].impact.lo, w.runs[k].restored.hi});
    }
    *ret_n = n;
    return blind;
}
