/* The trials of a forecast, run by threads into a record.
 *
 * The record is a function of the scenario, the seed, the number of trials and this version alone: no
 * wall clock, no machine, no number of threads stands in it; `t` is virtual time of a trial. First comes
 * run-start, then the first trials event by event, then all trials as blocks (block.h) in their order,
 * what was found out about them (analysis.h), then run-end. A shard's record has the blocks of its own trials, and the events where it has the first
 * trials; those of all shards, one after the other, are the record of the whole (join.h).
 *
 * Everything is borrowed.
 */
#pragma once

#include "sim/forecast/trial.h"
#include "sim/record/record.h"

struct simulate_options {
    const struct scenario *scenario;
    const struct system *system;
    const char *digest; /* of scenario.yaml */
    uint64_t seed, trials;
    uint64_t shard, shards; /* 1 of 1: all of it */
    size_t threads;
    struct record *record;
    /* About every tenth of a second; true: stop. */
    bool (*tick)(uint64_t done, uint64_t of, void *data);
    /* Writes what else was found out (analysis.h), once all trials are in the record; in the last shard.
     * -EINTR: stopped. NULL: nothing. */
    int (*analyse)(struct record *record, void *data, struct err *err);
    void *data;
};

/* Trials first … end - 1, from 1, that a shard has; none where first = end. Every shard's begin where a
 * block does. */
void simulate_range(uint64_t trials, size_t services, uint64_t shard, uint64_t shards,
                    uint64_t *ret_first, uint64_t *ret_end);
/* The members of run-start: a new reference. shards 1: of a whole forecast. */
json_t *simulate_start(const struct simulate_options *o);
/* ret_done: trials in the record. Stopped by tick is no error: the record ends with status aborted. A
 * failure leaves a record that ends with status failed, where it can still be written. */
int simulate(const struct simulate_options *o, uint64_t *ret_done, struct err *err);
