/* The missions of `forecast --years`, run by threads into a record.
 *
 * As simulate.h for trials: the record is a function of the scenario, the seed, the number of missions and this
 * version alone. run-start (with "question": "years", "years": N), then blocks of missions (tally_line.h) in
 * their order, then what was found about rare incidents (kind `rare`), if asked for, then run-end. A shard
 * has the blocks of its own missions, the last one `rare`.
 *
 * `rare`: {"service":NAME, "cycles":N, "hits":N, "effective":X, "unavailability":[VALUE,SE],
 *  "rate":[VALUE,SE], "first_down":[VALUE,SE]} (years_rare.h), or {"service":NAME, "refused":TEXT}.
 *
 * Everything is borrowed.
 */
#pragma once

#include "sim/forecast/catalogue.h"
#include "sim/model/model.h"
#include "sim/record/record.h"

struct years_options {
    const struct scenario *scenario;
    const struct catalogue *catalogue;
    const char *digest; /* of scenario.yaml */
    uint64_t seed, missions;
    uint64_t years;         /* of a mission */
    uint64_t shard, shards; /* 1 of 1: all of it */
    size_t threads;
    bool rare; /* each service's incidents by forced cycles, too; as many as there are missions, at
                * least YEARS_RARE_CYCLES */
    struct record *record;
    /* About every tenth of a second; true: stop. */
    bool (*tick)(uint64_t done, uint64_t of, void *data);
    void *data;
};

#define YEARS_MOST 200
#define YEARS_RARE_CYCLES 200000

/* ret_done: missions in the record. Stopped by tick is no error: the record ends with status aborted. */
int years_simulate(const struct years_options *o, uint64_t *ret_done, struct err *err);
