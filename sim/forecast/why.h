/* Why a forecast says what it says: which of the random quantities its restoration times and its misses
 * come from ("luck": what a trial draws; how uncertain the assumptions themselves are is another question,
 * assumed.h).
 *
 * Per quantity and service: first-order and total index of the time to restore and of the indicator "the
 * target was missed" (sobol.h), what would become of misses if it took no time or never failed (the same
 * trials otherwise: common random numbers), and how often it lies on the critical path. Trials that are not
 * restored within the horizon count with the horizon, unaffected ones with 0.
 *
 * Ownership: why_done() frees what why_luck() filled in; the rest is borrowed.
 */
#pragma once

#include "sim/forecast/estimate.h"
#include "sim/forecast/sample.h"

#define WHY_PARTS_MAX 24 /* more quantities are told together, the least of the critical paths */

struct why_request {
    const struct player *player;
    const size_t *services;                /* that are judged */
    const struct service *const *promises; /* of these, with their RTO */
    size_t services_n;
    nsec horizon; /* the longest that is observed */
    size_t threads;
    uint64_t seed;
    size_t trials; /* of each kind; a multiple of ESTIMATE_REPLICATES is taken, at least 20 each */
    bool (*stop)(void *data); /* as in sample.h */
    void *stop_data;
};

struct why_effect { /* P(missed), other things equal */
    bool
        differs; /* false: no trial came out otherwise; such a change makes no sense of this quantity */
    struct estimate missed, change;
};
struct why_part { /* one quantity, or the least ones together, for one service */
    struct estimate first_ttr, total_ttr, first_miss, total_miss; /* NAN where nothing varies */
    struct why_effect no_time, sure;
    struct estimate on_path;        /* share of the affected trials in which it was */
    struct estimate on_missed_path; /* of the missed ones */
    double time_share;              /* of all time to restore, what passed in it; NAN: none */
};
struct why_service {
    size_t service;
    struct estimate missed;              /* P(missed) as things are */
    struct estimate rest_ttr, rest_miss; /* interaction: 1 - sum of the first-order ones */
    bool ttr_varies, miss_varies;
    size_t affected; /* trials */
    struct why_part *parts;
};
struct why {
    size_t trials;
    size_t parts_n;
    const char **names;    /* of the parts; owned is the array, not the names */
    const size_t *part_of; /* by quantity */
    struct why_service *services;
    size_t services_n;
};

int why_luck(const struct why_request *q, struct why *ret, struct err *err);
void why_done(struct why *w);
