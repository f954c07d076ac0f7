/* From observations to down and restored, for one probe.
 *
 * Model. Observations wait in `pending` until all earlier numbers have theirs, then take effect one
 * by one. There are two states, up and down:
 *
 *   up    `run` counts consecutive bad ones. A good one ends the run (a blip when it was not
 * empty); the down_after-th bad one starts the down period. down  `good` counts consecutive good
 * ones. The up_after-th makes it *recovering*: `restored` is known from here on. A bad one while
 * recovering is a flap: back to plain down, one episode. The first observation that starts `stable`
 * or more after the end of the first good one ends the episode (whatever it is: a bad one begins
 * the next run).
 *
 * Invariants: `impact` is set exactly in state down (its high end may still fall while the first
 * run goes on: a refused connection ends before an older time-out does); unknown observations
 * change nothing but `decided_at`. Any bad one inside `stable` counts, not only `down_after` of
 * them: what is not good for that long was not restored.
 */
#include "sim/judge/judge.h"

#include <stdlib.h>
#include <string.h>

struct judge {
    struct judge_config config;
    judge_fn *fn;
    void *data;

    struct judge_obs *pending; /* sorted by n */
    size_t pending_n, pending_size;
    uint64_t next; /* the number that takes effect next */
    nsec decided_at;

    bool down, recovering;
    bool first_run;   /* of the down period: no good one since its start */
    uint64_t run;     /* consecutive bad ones */
    uint64_t good;    /* consecutive good ones */
    uint64_t flaps;   /* of this episode */
    nsec first_start; /* of the first known one: nothing is dated earlier */
    nsec last_good;   /* start */
    nsec good_since;  /* start of the first of the present good run */
    nsec good_end;    /* end of that one */
    nsec last_bad;    /* start */
    nsec run_from;    /* start of the last good one before the run */
    nsec run_end;     /* earliest end of any failed one of the run */
    struct span impact, restored;
};

struct judge *judge_new(const struct judge_config *config, judge_fn *fn, void *data)
{
    struct judge *j = calloc(1, sizeof *j);
    if (!j)
        abort();
    j->config = *config;
    j->fn = fn;
    j->data = data;
    judge_restart(j, config->since);
    return j;
}

void judge_restart(struct judge *j, nsec since)
{
    judge_reset(j);
    j->config.since = since;
    j->pending_n = 0;
    j->next = j->good = 0;
    j->decided_at = j->first_start = j->last_good = j->good_since = j->good_end = NSEC_UNSET;
    j->last_bad = j->run_from = j->run_end = NSEC_UNSET;
}

struct judge *judge_free(struct judge *j)
{
    if (j)
        free(j->pending);
    free(j);
    return NULL;
}

static void judge_emit(struct judge *j, enum judge_event_kind kind, const struct judge_obs *obs,
                       uint64_t count)
{
    if (!j->fn)
        return;
    struct judge_event e = {.kind = kind,
                            .at = j->decided_at,
                            .impact = j->impact,
                            .restored = j->restored,
                            .count = count,
                            .obs = *obs};
    j->fn(&e, j->data);
}

/* The episode is over: back to up. */
static void judge_close(struct judge *j, const struct judge_obs *obs)
{
    judge_emit(j, JUDGE_RESTORED, obs, j->flaps);
    j->down = j->recovering = false;
    j->run = j->flaps = 0;
    j->impact = j->restored = SPAN_UNSET;
}

static void judge_good(struct judge *j, const struct judge_obs *obs)
{
    if (j->good++ == 0) {
        j->good_since = obs->start;
        j->good_end = obs->end;
    }
    j->last_good = obs->start;
    if (!j->down) {
        if (j->run)
            judge_emit(j, JUDGE_BLIP, obs, j->run);
        j->run = 0;
        return;
    }
    j->first_run = false;
    if (!j->recovering && j->good >= (uint64_t)j->config.up_after) {
        j->recovering = true;
        j->restored = (struct span){j->last_bad, j->good_end};
        judge_emit(j, JUDGE_RECOVERING, obs, j->flaps);
    }
}

static void judge_bad(struct judge *j, const struct judge_obs *obs)
{
    j->good = 0;
    j->good_since = NSEC_UNSET;
    j->last_bad = obs->start;
    if (j->down) {
        if (j->recovering) {
            judge_emit(j, JUDGE_FLAP, obs, ++j->flaps);
            j->recovering = false;
            j->restored = SPAN_UNSET;
        }
        if (j->first_run && obs->end < j->impact.hi)
            j->impact.hi = obs->end;
        return;
    }
    if (j->run++ == 0) {
        j->run_from = nsec_is_set(j->last_good) ? j->last_good : j->first_start;
        j->run_end = obs->end;
    }
    if (obs->end < j->run_end)
        j->run_end = obs->end;
    if (j->run < (uint64_t)j->config.down_after)
        return;
    nsec lo = j->run_from;
    /* A fault that began after the run's first failed probe ended cannot have caused it: such a
     * bound would turn the interval over, and hide that the service was not steady. */
    if (nsec_is_set(j->config.since) && j->config.since > lo && j->config.since <= j->run_end)
        lo = j->config.since;
    j->down = j->first_run = true;
    j->impact = (struct span){lo, j->run_end};
    judge_emit(j, JUDGE_DOWN, obs, j->run);
}

static void judge_decide(struct judge *j, const struct judge_obs *obs)
{
    if (obs->verdict != JUDGE_UNKNOWN && !nsec_is_set(j->first_start))
        j->first_start = obs->start;
    if (!nsec_is_set(j->decided_at) || obs->end > j->decided_at)
        j->decided_at = obs->end;
    if (obs->verdict != JUDGE_UNKNOWN && j->recovering &&
        obs->start >= nsec_add(j->restored.hi, j->config.stable))
        judge_close(j, obs);
    if (obs->verdict == JUDGE_GOOD)
        judge_good(j, obs);
    else if (obs->verdict == JUDGE_BAD)
        judge_bad(j, obs);
    judge_emit(j, JUDGE_DECIDED, obs, 0);
}

/* Lets the first `n` of the waiting ones take effect. A callback may feed more. */
static void judge_advance(struct judge *j, bool gaps)
{
    while (j->pending_n && (gaps || j->pending[0].n == j->next)) {
        struct judge_obs obs = j->pending[0];
        memmove(j->pending, j->pending + 1, --j->pending_n * sizeof obs);
        j->next = obs.n + 1;
        judge_decide(j, &obs);
    }
}

void judge_feed(struct judge *j, const struct judge_obs *obs)
{
    if (obs->n < j->next)
        return;
    if (j->pending_n == 0 && obs->n == j->next) { /* nothing is waited for */
        j->next = obs->n + 1;
        judge_decide(j, obs);
        judge_advance(j, false);
        return;
    }
    size_t i = j->pending_n;
    while (i > 0 && j->pending[i - 1].n > obs->n)
        i--;
    if (i > 0 && j->pending[i - 1].n == obs->n)
        return;
    if (j->pending_n == j->pending_size) {
        j->pending_size = j->pending_size ? 2 * j->pending_size : 16;
        j->pending = reallocarray(j->pending, j->pending_size, sizeof *obs);
        if (!j->pending)
            abort();
    }
    memmove(j->pending + i + 1, j->pending + i, (j->pending_n - i) * sizeof *obs);
    j->pending[i] = *obs;
    j->pending_n++;
    judge_advance(j, false);
}

/* How many observations like the last one, the next of which starts at `start`, would change nothing. */
static uint64_t judge_idle(const struct judge *j, enum judge_verdict verdict, nsec start,
                           nsec every, uint64_t count)
{
    if (verdict == JUDGE_BAD)
        return j->down && !j->recovering && j->good == 0 ? count : 0;
    if (verdict != JUDGE_GOOD)
        return 0;
    if (!j->down)
        return j->run == 0 && j->good > 0 ? count : 0;
    nsec over = nsec_add(j->restored.hi, j->config.stable);
    if (!j->recovering || start >= over)
        return 0;
    uint64_t before = judge_count(start, over, every);
    return before < count ? before : count;
}

void judge_feed_run(struct judge *j, const struct judge_obs *first, uint64_t count, nsec every,
                    uint64_t begin, uint64_t end)
{
    struct judge_obs o = *first;
    for (uint64_t i = 0; i < count;) {
        judge_feed(j, &o);
        i++;
        o.n++;
        o.scheduled += every;
        o.start += every;
        o.end += every;
        uint64_t idle = i < begin || j->pending_n || count - i <= end
                            ? 0
                            : judge_idle(j, o.verdict, o.start, every, count - i - end);
        if (!idle)
            continue;
        nsec last = (nsec)(idle - 1) * every;
        if (o.verdict == JUDGE_GOOD) {
            j->good += idle;
            j->last_good = o.start + last;
        } else {
            j->last_bad = o.start + last;
        }
        if (o.end + last > j->decided_at)
            j->decided_at = o.end + last;
        j->next += idle;
        i += idle;
        last += every;
        o.n += idle;
        o.scheduled += last;
        o.start += last;
        o.end += last;
    }
}

void judge_since(struct judge *j, nsec since)
{
    j->config.since = since;
}

void judge_reset(struct judge *j)
{
    j->down = j->recovering = j->first_run = false;
    j->run = j->flaps = 0;
    j->impact = j->restored = SPAN_UNSET;
}

void judge_finish(struct judge *j)
{
    judge_advance(j, true);
}

bool judge_is_down(const struct judge *j)
{
    return j->down;
}

bool judge_is_recovering(const struct judge *j)
{
    return j->down && j->good > 0;
}

nsec judge_good_since(const struct judge *j)
{
    return j->good ? j->good_since : NSEC_UNSET;
}

nsec judge_down_since(const struct judge *j)
{
    return j->down ? j->impact.hi : NSEC_UNSET;
}
