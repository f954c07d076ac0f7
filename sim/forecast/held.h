/* Measured trials held against a forecast: could they come from it?
 *
 * Exact binomial tests of how many lie above the forecast's median and above its 90 % quantile (2.5 %
 * each, so one-sided 5 % in total), and of how many lie below its median (5 %). What is measured is an
 * interval: one that straddles the quantile counts in favour of the forecast, a censored one by its low
 * bound. Unaffected trials are the lowest of all; where the forecast's share of them spans a quantile, who
 * lies where is drawn from the seed of the drill. Fewer than HELD_LEAST can contradict nothing and get no
 * verdict.
 *
 * Pure; nothing is owned.
 */
#pragma once

#include "sim/base/nsec.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HELD_LEAST 6
#define HELD_BELOW (-NSEC_INF) /* in the forecast: a trial in which the service was never down */

struct held_drill {
    struct span time; /* hi NSEC_INF: censored */
    bool unaffected;
    uint64_t seed, trial; /* of the drill */
};

enum held_verdict {
    HELD_TOO_FEW,
    HELD_NOT_CONTRADICTED,
    HELD_TOO_OPTIMISTIC,
    HELD_TOO_PESSIMISTIC
};
extern const char *const held_words[]; /* "too few", … */

struct held {
    enum held_verdict verdict;
    size_t n, above_median, above_q90, below_median;
    double p_median, p_q90, p_below; /* of so many or more, were the forecast true */
    nsec median, q90; /* of the forecast; HELD_BELOW, or NSEC_INF: not within its horizon */
    nsec width;       /* of the widest drill: what is seen may lie so much lower */
    /* held_power() fills these in: */
    double power_twice; /* probability that a truth twice as slow would have been noticed */
    double factor;      /* the least slowness noticed with 80 %, to 1 %; 0: none up to 100 */
};

/* `forecast`: its trials, sorted (HELD_BELOW: unaffected; NSEC_INF: never); n > 0. */
void held_against(const nsec *forecast, size_t forecast_n, const struct held_drill *drills,
                  size_t n, struct held *ret);
/* What slowness so many drills would have noticed. */
void held_power(const nsec *forecast, size_t forecast_n, struct held *h);
