/* From observations to down and restored, for one probe and for a service of several probes.
 *
 * Ownership: `struct judge` is made by judge_new() and freed by judge_free(); callbacks get values.
 *
 * Observations are fed in any order with their number `n` (0, 1, 2 … in the order of actual start);
 * they take effect in that order, when all earlier ones have theirs, so overlapping time-outs
 * invent no flaps. Which instants are known, and how well: impact:   [max(start of the last good
 * probe before the run, since), earliest end of any failed probe of the run] restored: [start of
 * the last failed probe, end of the first of `up_after` consecutive good ones that is followed by
 * `stable` without a failed run] UNKNOWN observations (the control path of that host was down, the
 * runner was late) are neither good nor bad: they end no run and begin none, and bounds come from
 * the neighbouring known ones.
 *
 * Any failed probe inside `stable` (not only down_after of them) keeps the episode open: a flap.
 * `stable` counts from the end of the first good one and is over with the first known observation
 * that starts that long after it, so observe one more interval than `stable`. Before the first good
 * one ever, impact.lo is the start of the first known observation.
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/nsec.h"
#include <stdbool.h>
#include <stdint.h>

enum judge_verdict { JUDGE_GOOD, JUDGE_BAD, JUDGE_UNKNOWN };

struct judge_config {
    nsec every;
    int64_t down_after, up_after;
    nsec stable;
    nsec since; /* fault_start.lo: no impact is dated earlier; NSEC_UNSET until there is a fault */
};

struct judge_obs {
    uint64_t n;
    nsec scheduled, start, end; /* one clock; end is when the outcome was known */
    enum judge_verdict verdict;
};

enum judge_event_kind {
    JUDGE_DECIDED,    /* an observation took effect (after the other events that it caused) */
    JUDGE_BLIP,       /* a run of failures shorter than down_after is over: run length in `count` */
    JUDGE_DOWN,       /* the down_after-th consecutive failure: impact is set */
    JUDGE_FLAP,       /* a failed run inside `stable` (same episode) */
    JUDGE_RECOVERING, /* up_after consecutive good ones: restored is set, stable not yet over */
    JUDGE_RESTORED,   /* and `stable` has passed: the episode is over */
};

struct judge_event {
    enum judge_event_kind kind;
    nsec at; /* when it could be decided: the latest end of all observations up to `obs` */
    struct span impact;   /* of the present episode; unset when up. Its high end may still fall in
                             later events: an overlapping failed probe may have ended earlier */
    struct span restored; /* set while recovering; in a flap: the restoration that did not hold */
    uint64_t count;       /* blip, down: failures of the run; flap, recovering, restored: flaps */
    struct judge_obs obs; /* the one that took effect */
};

struct judge;
typedef void judge_fn(const struct judge_event *e, void *data);

struct judge *judge_new(const struct judge_config *config, judge_fn *fn, void *data);
struct judge *judge_free(struct judge *j);
DEFINE_CLEANUP(struct judge, judge_free);
/* As new, without allocating: for the next trial. */
void judge_restart(struct judge *j, nsec since);

void judge_feed(struct judge *j, const struct judge_obs *obs);
/* How many observations, `every` apart, begin before `until`, the first of them at `first` < until: those are
 * (until - first) / every, rounded up, without the division of 64 bits, which takes longer than all else here.
 * every >= 1 us, so the quotient of doubles is off by one at most. */
static inline uint64_t judge_count(nsec first, nsec until, nsec every)
{
    nsec span = until - first - 1;
    nsec n = (nsec)((double)span / (double)every), left = span - n * every;
    n += left < 0 ? -1 : left >= every;
    return (uint64_t)n + 1;
}
/* The same as feeding `count` observations, the first of them `first`, each `every` after the one before
 * it and otherwise alike, when none is waited for; but those that change nothing are passed over without
 * a call of JUDGE_DECIDED. At least the first `begin` and the last `end` are fed one by one, for those who
 * count or keep a window. Costs no more than the calls that are made. */
void judge_feed_run(struct judge *j, const struct judge_obs *first, uint64_t count, nsec every,
                    uint64_t begin, uint64_t end);
/* From now on no impact is dated earlier than `since` (a fault began). */
void judge_since(struct judge *j, nsec since);
/* Forgets what was decided so far (numbers go on): for the end of settling, so that an outage of a
 * system that was still coming up, and not yet stable, is no part of what follows. */
void judge_reset(struct judge *j);
/* No more observations: decides what can be decided (outstanding numbers count as unknown). */
void judge_finish(struct judge *j);

bool judge_is_down(const struct judge *j);       /* down, or recovering and not yet stable */
bool judge_is_recovering(const struct judge *j); /* a good run has begun after a down */
/* Start of the unbroken good run up to the last decided observation; NSEC_UNSET when there is none:
 * the drill's "steady for N seconds". */
nsec judge_good_since(const struct judge *j);
/* When the first failed probe of the present down period ended; NSEC_UNSET when up. */
nsec judge_down_since(const struct judge *j);
