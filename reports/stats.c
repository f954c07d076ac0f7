/* Numbers over trials. */
#include "reports/stats.h"

#include "sim/base/real.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Lentz's continued fraction for I_x(a, b); converges for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double h = d;
    for (int m = 1; m < 10000; m++) {
        double num = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 + num * d;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = 1 + num / c;
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        num = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + num * d;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = 1 + num / c;
        c = fabs(c) < tiny ? tiny : c;
        double step = d * c;
        h *= step;
        if (fabs(step - 1) < 1e-16)
            break;
    }
    return h;
}

double stats_beta(double a, double b, double x)
{
    if (x <= 0)
        return 0;
    if (x >= 1)
        return 1;
    double front = real_exp(real_log_gamma(a + b) - real_log_gamma(a) - real_log_gamma(b) +
                            a * real_log(x) + b * real_log1p(-x));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double stats_beta_inverse(double a, double b, double p)
{
    double lo = 0, hi = 1;
    while (1) {
        double mid = lo + (hi - lo) / 2;
        if (mid <= lo || mid >= hi)
            return mid;
        if (stats_beta(a, b, mid) < p)
            lo = mid;
        else
            hi = mid;
    }
}

double stats_gamma(double a, double x)
{
    if (x <= 0)
        return 0;
    double front = real_exp(a * real_log(x) - x - real_log_gamma(a));
    if (x < a + 1) {
        double term = 1 / a, sum = term;
        for (double n = a + 1; term > sum * 1e-17; n++)
            sum += term *= x / n;
        return front * sum;
    }
    const double tiny = 1e-300;
    double b = x + 1 - a, c = 1 / tiny, d = 1 / b, h = d;
    for (int i = 1; i < 10000; i++) {
        double an = -i * (i - a);
        b += 2;
        d = an * d + b;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = b + an / c;
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        if (fabs(d * c - 1) < 1e-16)
            break;
    }
    return 1 - front * h;
}

double stats_gamma_inverse(double a, double p)
{
    double lo = 0, hi = a + 1;
    while (stats_gamma(a, hi) < p)
        hi *= 2;
    while (1) {
        double mid = lo + (hi - lo) / 2;
        if (mid <= lo || mid >= hi)
            return mid;
        if (stats_gamma(a, mid) < p)
            lo = mid;
        else
            hi = mid;
    }
}

double stats_normal(double z)
{
    return real_erfc(-z / sqrt(2)) / 2;
}

double stats_t_quantile(double p, double df)
{
    if (p < 0.5)
        return -stats_t_quantile(1 - p, df);
    double x = stats_beta_inverse(df / 2, 0.5, 2 * (1 - p));
    return sqrt(df * (1 - x) / x);
}

double stats_share_lower(size_t x, size_t n, double confidence)
{
    if (x == 0 || n == 0)
        return 0;
    return stats_beta_inverse((double)x, (double)(n - x) + 1, 1 - confidence);
}

double stats_share_upper(size_t x, size_t n, double confidence)
{
    if (x >= n)
        return 1;
    return stats_beta_inverse((double)x + 1, (double)(n - x), confidence);
}

struct stats_interval stats_share(size_t x, size_t n, double confidence)
{
    double each = (1 + confidence) / 2;
    return (struct stats_interval){stats_share_lower(x, n, each), stats_share_upper(x, n, each)};
}

size_t stats_needed(double reliability, double confidence, size_t misses)
{
    if (!(reliability > 0 && reliability < 1 && confidence > 0 && confidence < 1))
        return 0;
    /* The bound rises with n: double, then halve the range. A hair of tolerance keeps equality
     * (0.5 at 0.5 from one trial) from being lost to rounding. */
    size_t hi = misses + 1;
    while (stats_share_lower(hi - misses, hi, confidence) < reliability * (1 - 1e-12))
        hi *= 2;
    size_t lo = misses;
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (stats_share_lower(mid - misses, mid, confidence) < reliability * (1 - 1e-12))
            lo = mid;
        else
            hi = mid;
    }
    return hi;
}

bool stats_median_ranks(size_t n, double wanted, size_t *ret_lo, size_t *ret_hi,
                        double *ret_confidence)
{
    if (n < 2)
        return false;
    /* P(X(j) < median < X(n+1-j)) = 1 - 2 P(Bin(n, 1/2) < j) = 1 - 2 (1 - I_½(j, n-j+1)). */
    size_t best = 1;
    double confidence = 1 - 2 * ldexp(1, -(int)fmin((double)n, 2000));
    for (size_t j = 2; j <= n / 2; j++) {
        double c = 1 - 2 * (1 - stats_beta((double)j, (double)(n - j) + 1, 0.5));
        if (c < wanted)
            break;
        best = j;
        confidence = c;
    }
    *ret_lo = best;
    *ret_hi = n + 1 - best;
    *ret_confidence = confidence;
    return true;
}

/* Mean and standard deviation of the logarithms; false when a value is not positive. */
static bool log_moments(const double *v, size_t n, double *mean, double *sd)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(v[i] > 0))
            return false;
        sum += real_log(v[i]);
    }
    *mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (real_log(v[i]) - *mean) * (real_log(v[i]) - *mean);
    *sd = n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
    return true;
}

bool stats_log_t_median(const double *v, size_t n, double confidence, struct stats_interval *ret)
{
    double m, s;
    if (n < 2 || !log_moments(v, n, &m, &s))
        return false;
    double half = stats_t_quantile((1 + confidence) / 2, (double)n - 1) * s / sqrt((double)n);
    *ret = (struct stats_interval){real_exp(m - half), real_exp(m + half)};
    return true;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

const char *stats_refusal_text(enum stats_refusal r)
{
    switch (r) {
    case STATS_OK:
        return NULL;
    case STATS_TOO_FEW:
        return "a mean needs at least 5 values";
    case STATS_NOT_POSITIVE:
        return "zeros or negative values have no lognormal mean";
    case STATS_GAP:
        return "a gap among the values betrays a second path; a mean would mix two of them";
    }
    return NULL;
}

enum stats_refusal stats_mean(const double *v, size_t n, double confidence, double *ret_mean,
                              struct stats_interval *ret)
{
    double m, s;
    if (n < 5)
        return STATS_TOO_FEW;
    if (!log_moments(v, n, &m, &s))
        return STATS_NOT_POSITIVE;
    double *sorted = malloc(n * sizeof *sorted);
    if (!sorted)
        abort();
    memcpy(sorted, v, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare);
    double gap = 0;
    for (size_t i = 1; i < n; i++)
        gap = fmax(gap, real_log(sorted[i]) - real_log(sorted[i - 1]));
    free(sorted);
    if (gap > 2 * s && gap > 0)
        return STATS_GAP;
    double t = stats_t_quantile((1 + confidence) / 2, (double)n - 1);
    double half = t * sqrt(s * s / (double)n + s * s * s * s / (2 * ((double)n - 1)));
    *ret_mean = real_exp(m + s * s / 2);
    *ret = (struct stats_interval){real_exp(m + s * s / 2 - half), real_exp(m + s * s / 2 + half)};
    return STATS_OK;
}

bool stats_restricted_mean(const double *v, const bool *censored, size_t n, double tau,
                           double confidence, double *ret_mean, struct stats_interval *ret)
{
    double sum = 0, squares = 0;
    if (n == 0)
        return false;
    for (size_t i = 0; i < n; i++)
        sum += censored[i] ? tau : fmin(v[i], tau);
    double mean = sum / (double)n;
    *ret_mean = mean;
    if (n < 8)
        return false;
    for (size_t i = 0; i < n; i++) {
        double x = censored[i] ? tau : fmin(v[i], tau);
        squares += (x - mean) * (x - mean);
    }
    double half = stats_t_quantile((1 + confidence) / 2, (double)n - 1) *
                  sqrt(squares / (double)(n - 1) / (double)n);
    *ret = (struct stats_interval){fmax(0, mean - half), fmin(tau, mean + half)};
    return true;
}

/* The failure times that follow `after`, in order: the next one, how many fail then, and how many
 * were at risk. False when there is none. */
static bool next_failure(const double *v, const bool *censored, size_t n, double after, double *at,
                         size_t *failed, size_t *at_risk)
{
    *at = HUGE_VAL;
    for (size_t i = 0; i < n; i++)
        if (!censored[i] && v[i] > after && v[i] < *at)
            *at = v[i];
    if (isinf(*at))
        return false;
    *failed = *at_risk = 0;
    for (size_t i = 0; i < n; i++) {
        *at_risk += v[i] >= *at;
        *failed += !censored[i] && v[i] == *at;
    }
    return true;
}

double stats_survival(const double *v, const bool *censored, size_t n, double t)
{
    double s = 1, at = -HUGE_VAL;
    size_t failed, at_risk;
    while (next_failure(v, censored, n, at, &at, &failed, &at_risk) && at <= t)
        s *= 1 - (double)failed / (double)at_risk;
    return s;
}

void stats_survival_mean(const double *v, const bool *censored, size_t n, double tau,
                         double *ret_mean, double *ret_se)
{
    double area = 0, s = 1, last = 0, at = -HUGE_VAL, variance = 0;
    size_t failed, at_risk;
    while (next_failure(v, censored, n, at, &at, &failed, &at_risk) && at < tau) {
        area += s * (at - last);
        s *= 1 - (double)failed / (double)at_risk;
        last = at;
    }
    area += s * (tau - last);
    /* Greenwood: the area beyond each failure, squared, by its share of the variance. */
    double before = 0;
    s = 1, last = 0, at = -HUGE_VAL;
    while (next_failure(v, censored, n, at, &at, &failed, &at_risk) && at < tau) {
        before += s * (at - last);
        s *= 1 - (double)failed / (double)at_risk;
        last = at;
        double rest = area - before;
        if (at_risk > failed)
            variance +=
                rest * rest * (double)failed / ((double)at_risk * (double)(at_risk - failed));
    }
    *ret_mean = area;
    *ret_se = sqrt(variance);
}

struct stats_interval stats_count(size_t k, double confidence)
{
    double tail = (1 - confidence) / 2;
    return (struct stats_interval){k ? stats_gamma_inverse((double)k, tail) : 0,
                                   stats_gamma_inverse((double)k + 1, 1 - tail)};
}
