/* The outcomes of many trials of one system, kept: what comparisons are made of.
 *
 * Who plays the trials is a `struct player`: sim/forecast/trial.h's system (sample_player()), or known
 * mathematics in tests. Trials are handed out to threads; what is kept depends on (seed, numbers, what-if)
 * alone, as sums are whole numbers and outcomes stand at the place of their trial.
 *
 * Ownership: the player is borrowed; sample_done() frees what sample_play() filled in.
 */
#pragma once

#include <jansson.h>

#include "sim/forecast/trial.h"

struct player {
    const struct quantity *quantities;
    size_t quantities_n, services_n;
    /* One thread's work space. */
    void *(*begin)(const void *data);
    void (*end)(void *worker);
    int (*play)(void *worker, uint64_t seed, uint64_t number, const struct whatif *whatif,
                struct outcome *ret, struct err *err);
    void (*path)(void *worker, size_t service, nsec *ret);
    const void *data;
};

/* Of a system of a scenario with so many services; borrowed. */
struct player sample_player(const struct system *sys, size_t services);

struct sample_request {
    const struct player *player;
    const size_t *services; /* of which outcomes are kept */
    size_t services_n;
    size_t threads;       /* 0: one */
    uint64_t seed, first; /* trials first … first + n - 1 */
    size_t n;
    const struct whatif *whatif;
    bool paths;                            /* what lay on the critical paths too */
    const struct service *const *promises; /* with `paths`: of the kept services; NULL: no misses */
    bool (*stop)(void *data);              /* asked now and then; true: -EINTR; may be NULL */
    void *stop_data;
};

__extension__ typedef unsigned __int128 sample_time; /* ns, many of them */

/* What lay on the critical path of one service: by quantity. */
struct sample_path {
    uint64_t affected, missed;         /* trials */
    uint64_t *in_affected, *in_missed; /* trials in which it did */
    sample_time *time, total_time;     /* over the affected and restored ones */
};

struct sample {
    size_t n, services_n, quantities_n;
    struct outcome *outcomes;  /* [trial * services_n + kept service] */
    struct sample_path *paths; /* by kept service; NULL without `paths` */
};

int sample_play(const struct sample_request *q, struct sample *ret, struct err *err);
void sample_done(struct sample *s);
static inline const struct outcome *sample_at(const struct sample *s, size_t trial, size_t service)
{
    return &s->outcomes[trial * s->services_n + service];
}

/* Whether the RTO was not kept (also where its clock never started); NULL, or without one: never. */
bool sample_missed(const struct outcome *o, const struct service *promise);
