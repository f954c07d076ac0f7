/* How likely it is that a promise about restoring is missed, where that hardly ever happens: trials with chance
 * pushed towards failing and slow stages and people who do not answer (tilt.h), each with its weight.
 *
 * Nothing is owned. The result depends on (seed, trials), not on the threads.
 */
#pragma once

#include "sim/forecast/trial.h"

struct rare_plan {
    const struct scenario *scenario;
    const struct system *system;
    uint64_t seed, trials;
    size_t threads; /* >= 1 */
    /* Asked about every tenth of a second; true: stop. May be NULL. */
    bool (*stop)(void *data);
    void *data;
};

struct rare {
    double p, se; /* of missing the service's rto, among all trials */
    /* (sum of w)^2 / sum of w^2 over the trials that miss it: so many unweighted ones would know as much. */
    double effective;
    uint64_t missed; /* trials */
};

#define RARE_EFFECTIVE 1000 /* with less, no figure is given */

/* ret: of each service; nothing is said of those without an rto. -EINTR: stopped. */
int rare_run(const struct rare_plan *plan, struct rare *ret, struct err *err);
