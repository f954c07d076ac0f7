/* Measured trials held against a forecast. */
#include "sim/forecast/held.h"

#include "sim/base/rng.h"
#include "sim/forecast/estimate.h"

#include <assert.h>

#define LEVEL 0.05
#define FACTOR_MOST 100.0

const char *const held_words[] = {"too few", "not contradicted", "too optimistic",
                                  "too pessimistic", NULL};
static_assert(HELD_TOO_PESSIMISTIC == 3, "a word for each");

/* Of sorted values those that are less than x (or equal to it). */
static size_t count_below(const nsec *v, size_t n, nsec x, bool or_equal)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (v[mid] < x || (or_equal && v[mid] == x))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct place { /* where a drill lies, for the two quantiles */
    bool above_median, above_q90, below_median;
};

static struct place place_of(const struct held *h, double unaffected, const struct held_drill *d)
{
    if (d->unaffected) {
        /* its place among the forecast's unaffected ones, which are all alike */
        struct rng r = rng_stream(d->seed, "against", d->trial, 0);
        double u = unaffected * rng_unit(&r);
        return (struct place){u > 0.5, u > 0.9, u < 0.5};
    }
    return (struct place){d->time.lo > h->median, d->time.lo > h->q90, d->time.hi < h->median};
}

/* The smallest number of n that rejects; n + 1: none does. */
static size_t critical(size_t n, double p, double level)
{
    size_t k = 0;
    while (k <= n && estimate_tail(n, k, p) > level)
        k++;
    return k;
}

/* Of a truth so many times as slow, the share that is not seen to lie above a quantile: to be seen there a
 * whole interval must. */
static double share_below(const nsec *v, size_t n, nsec quantile, nsec width, double factor)
{
    if (quantile == NSEC_INF)
        return 1;
    if (quantile < 0) /* unaffected ones are not slower */
        return (double)count_below(v, n, quantile, true) / (double)n;
    double reach = ((double)quantile + (double)width) / factor;
    return (double)count_below(v, n, (nsec)reach, true) / (double)n;
}

/* P(optimism is noticed) when the truth is `factor` times as slow: drills fall below the median, between,
 * and above q90 with the forecast's own shares, stretched. */
static double power_at(const nsec *v, size_t v_n, const struct held *h, double factor)
{
    size_t n = h->n, need_m = critical(n, 0.5, LEVEL / 2), need_q = critical(n, 0.1, LEVEL / 2);
    double below_m = share_below(v, v_n, h->median, h->width, factor),
           below_q = share_below(v, v_n, h->q90, h->width, factor);
    /* Not noticed: fewer than need_m above the median, and of these fewer than need_q above q90. */
    double above_m = 1 - below_m, above_q = 1 - below_q, quiet = 0;
    double of_those = above_m > 0 ? above_q / above_m : 0;
    for (size_t k = 0; k < need_m && k <= n; k++) {
        double exactly = estimate_tail(n, k, above_m) - estimate_tail(n, k + 1, above_m);
        quiet += exactly * (1 - estimate_tail(k, need_q, of_those < 1 ? of_those : 1));
    }
    return quiet < 0 ? 1 : quiet > 1 ? 0 : 1 - quiet;
}

static double factor_noticed(const nsec *v, size_t v_n, const struct held *h)
{
    double lo = 1, hi = FACTOR_MOST;
    if (power_at(v, v_n, h, hi) < 0.8)
        return 0;
    while (hi / lo > 1.01) {
        double mid = (lo + hi) / 2;
        if (power_at(v, v_n, h, mid) < 0.8)
            lo = mid;
        else
            hi = mid;
    }
    return hi;
}

void held_against(const nsec *forecast, size_t forecast_n, const struct held_drill *drills,
                  size_t n, struct held *ret)
{
    struct held h = {.n = n,
                     .median = estimate_quantile(forecast, forecast_n, 0.5),
                     .q90 = estimate_quantile(forecast, forecast_n, 0.9)};
    double unaffected =
        (double)count_below(forecast, forecast_n, HELD_BELOW, true) / (double)forecast_n;
    for (size_t i = 0; i < n; i++) {
        struct place p = place_of(&h, unaffected, &drills[i]);
        h.above_median += p.above_median;
        h.above_q90 += p.above_q90;
        h.below_median += p.below_median;
        if (!drills[i].unaffected && drills[i].time.hi != NSEC_INF &&
            drills[i].time.hi - drills[i].time.lo > h.width)
            h.width = drills[i].time.hi - drills[i].time.lo;
    }
    h.p_median = estimate_tail(n, h.above_median, 0.5);
    h.p_q90 = estimate_tail(n, h.above_q90, 0.1);
    h.p_below = estimate_tail(n, h.below_median, 0.5);
    if (n < HELD_LEAST)
        h.verdict = HELD_TOO_FEW;
    else if (h.p_median <= LEVEL / 2 || h.p_q90 <= LEVEL / 2)
        h.verdict = HELD_TOO_OPTIMISTIC;
    else if (h.p_below <= LEVEL)
        h.verdict = HELD_TOO_PESSIMISTIC;
    else
        h.verdict = HELD_NOT_CONTRADICTED;
    *ret = h;
}

void held_power(const nsec *forecast, size_t forecast_n, struct held *h)
{
    if (h->n == 0)
        return;
    h->power_twice = power_at(forecast, forecast_n, h, 2);
    h->factor = factor_noticed(forecast, forecast_n, h);
}
