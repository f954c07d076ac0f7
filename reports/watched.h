/* What one probe saw in one trial: its observations in the order of their starts, and its down periods.
 *
 * Everything belongs to the result's arena.
 */
#pragma once

#include "reports/result.h"
#include "sim/judge/judge.h"

/* A down period of one probe. */
struct watched_run {
    struct span impact, restored; /* restored.hi = NSEC_INF: not seen to end */
    nsec first_bad;
    size_t flaps;
    struct span *downs;
    size_t downs_n;
};

struct watched {
    const struct probe *probe;
    struct judge_obs *obs;
    const json_t **lines; /* of the record, one for each of obs */
    size_t obs_n;
    struct watched_run *runs;
    size_t runs_n;
    size_t blips, unknown;
    /* while judging */
    struct arena *arena;
    nsec run_first, last_good;
    bool in_run;
};

/* Fills in all but `probe`. `since`: the fault's start, from which an impact can be; NSEC_UNSET: from
 * the beginning. Failed observations within one of `blind` are unknown. Needs of the trial: events,
 * armed. */
void watched_judge(struct result *r, const struct trial *t, struct watched *w, nsec since,
                   const struct span *blind, size_t blind_n);

/* A control probe's down intervals, and the runner's lateness: when a failed probe from `host` says
 * nothing. For findings too. */
struct span *watched_blind(struct result *r, const struct trial *t, const char *host,
                           size_t *ret_n);
