/* Known answers: an estimate from random trials against a value that is known.
 *
 * It passes when the value lies within 4.5 standard errors of the estimate and the standard error is at most
 * 0.3 % of the value, for each of five seeds that stand here. A variant that is wrong must lie farther off
 * than that, already after a tenth of the trials. With BLACKSTART_FIGURES in the environment the figures are printed.
 */
#pragma once

#include "tests/support/test.h"

#include <math.h>
#include <stdbool.h>

static const uint64_t oracle_seeds[] = {1, 2, 3, 5, 8};

struct oracle {
    const char *name;
    double value;
    uint64_t trials;
    /* One trial; variant 0 is the right one, others the wrong ones by their number from 1. */
    double (*trial)(void *state, uint64_t seed, uint64_t trial, int variant);
    void (*open)(void *state, int variant); /* before the trials; NULL: nothing */
    void (*close)(void *state);             /* after them; NULL: nothing */
    void *state;
    const char *const *wrong; /* what is wrong with variants 1, 2, …; NULL-terminated */
};

struct oracle_estimate {
    double mean, se;
};

static inline struct oracle_estimate oracle_estimate(const struct oracle *o, uint64_t seed,
                                                     uint64_t trials, int variant)
{
    double sum = 0, squares = 0, first = 0, n = (double)trials;
    if (o->open)
        o->open(o->state, variant);
    for (uint64_t i = 0; i < trials; i++) {
        double x = o->trial(o->state, seed, i, variant);
        if (i == 0)
            first = x; /* what is summed stays small beside its deviations */
        sum += x - first;
        squares += (x - first) * (x - first);
    }
    if (o->close)
        o->close(o->state);
    double variance = (squares - sum * sum / n) / (n - 1);
    return (struct oracle_estimate){first + sum / n, sqrt(variance > 0 ? variance / n : 0)};
}

static inline bool oracle_near(const struct oracle *o, struct oracle_estimate e)
{
    return fabs(e.mean - o->value) <= 4.5 * e.se + 1e-9 * fabs(o->value);
}

static inline void oracle_check(const struct oracle *o)
{
    double worst = 0, error = 0;
    for (size_t i = 0; i < sizeof oracle_seeds / sizeof *oracle_seeds; i++) {
        struct oracle_estimate e = oracle_estimate(o, oracle_seeds[i], o->trials, 0);
        if (!oracle_near(o, e) || e.se > 0.003 * fabs(o->value))
            fail_msg("%s, seed %d: %.7g (standard error %.2g) instead of %.7g", o->name,
                     (int)oracle_seeds[i], e.mean, e.se, o->value);
        if (e.se > 0)
            worst = fmax(worst, fabs(e.mean - o->value) / e.se);
        error = fmax(error, e.se / fabs(o->value));
    }
    if (getenv("BLACKSTART_FIGURES"))
        print_message("%-34s %12.7g  worst |z| %.2f  se/value %.3f %%\n", o->name, o->value, worst,
                      100 * error);
    for (int v = 1; o->wrong && o->wrong[v - 1]; v++) {
        struct oracle_estimate e = oracle_estimate(o, oracle_seeds[0], o->trials / 10, v);
        if (oracle_near(o, e))
            fail_msg("%s passes also when wrong: %s (%.7g)", o->name, o->wrong[v - 1], e.mean);
    }
}
