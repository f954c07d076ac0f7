/* Are so many trials enough for the claim?
 *
 * One-sided Clopper-Pearson: n trials with at most m misses show a reliability R at confidence C
 * when P(at most m misses | n, miss probability 1 - R) <= 1 - C. That probability falls with n and
 * rises with R, so both are found by bisection.
 */
#include "scenarios/check.h"

#include <math.h>

#define TRIALS_MAX 100000

/* P(X <= m) for X ~ Binomial(n, q), 0 < q < 1. */
static double binomial_cdf(int64_t n, int64_t m, double q)
{
    if (m >= n)
        return 1.0;
    double sum = 0.0, log_q = log(q), log_p = log1p(-q), ln = lgamma((double)n + 1);
    for (int64_t i = 0; i <= m; i++)
        sum += exp(ln - lgamma((double)i + 1) - lgamma((double)(n - i) + 1) + (double)i * log_q +
                   (double)(n - i) * log_p);
    return sum < 1.0 ? sum : 1.0;
}

static bool trials_show(int64_t n, const struct demonstrate *d)
{
    /* a hair of tolerance, so that decimal percentages that meet exactly are not refused */
    return binomial_cdf(n, d->misses, 1.0 - d->reliability) <= (1.0 - d->confidence) * (1 + 1e-12);
}

/* The fewest trials that are enough; TRIALS_MAX + 1 when so many are not. */
static int64_t trials_needed(const struct demonstrate *d)
{
    int64_t lo = d->misses, hi = TRIALS_MAX + 1; /* lo is not enough, hi is taken to be */
    if (!trials_show(TRIALS_MAX, d))
        return hi;
    while (hi - lo > 1) {
        int64_t mid = lo + (hi - lo) / 2;
        if (trials_show(mid, d))
            hi = mid;
        else
            lo = mid;
    }
    return hi;
}

/* The highest reliability that n trials can show. */
static double trials_bound(int64_t n, const struct demonstrate *d)
{
    double lo = 0.0, hi = 1.0;
    if (n <= d->misses)
        return 0.0;
    for (int i = 0; i < 60; i++) {
        double mid = lo + (hi - lo) / 2;
        if (binomial_cdf(n, d->misses, 1.0 - mid) <= 1.0 - d->confidence)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

void check_trials(const struct scenario *s, int64_t trials, struct diags *diags)
{
    const struct demonstrate *d = s->demonstrate;
    struct place at = {.file = s->file};
    const struct node *node = node_get(s->tree, "demonstrate");
    char misses[64] = "without a miss", needs[32] = "more than 100000";

    if (trials < 1 || trials > TRIALS_MAX) {
        diags_error(diags, at, "the number of trials must be from 1 to %d", TRIALS_MAX);
        return;
    }
    if (!d || !node)
        return;
    at = node->place;
    if (d->reliability <= 0.0 || d->reliability >= 1.0 || d->confidence <= 0.0 ||
        d->confidence >= 1.0) {
        diags_error(diags, at,
                    "'reliability' and 'confidence' must lie between 0%% and 100%%: "
                    "no number of trials shows either of these");
        return;
    }
    int64_t needed = trials_needed(d);
    if (trials >= needed)
        return;
    if (d->misses)
        snprintf(misses, sizeof misses, "with at most %d %s", (int)d->misses,
                 d->misses == 1 ? "miss" : "misses");
    if (needed <= TRIALS_MAX)
        snprintf(needs, sizeof needs, "%d", (int)needed);
    diags_error(diags, at,
                "%.4g %% at %.4g %% confidence needs %s trials %s; %d can show at most "
                "%.1f %%",
                d->reliability * 100, d->confidence * 100, needs, misses, (int)trials,
                floor(trials_bound(trials, d) * 1000) / 10);
}
