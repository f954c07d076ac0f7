/* Estimates with their intervals. */
#include "sim/forecast/estimate.h"

#include "sim/base/real.h"

#include <math.h>
#include <stdlib.h>

#define Z 1.9599639845400545   /* 97.5 % quantile of the standard normal */
#define T19 2.0930240544082634 /* of Student's t with ESTIMATE_REPLICATES - 1 degrees of freedom */

struct estimate estimate_share(size_t x, size_t n)
{
    if (n == 0)
        return ESTIMATE_NONE;
    double size = (double)n, p = (double)x / size, zz = Z * Z / size;
    double centre = (p + zz / 2) / (1 + zz),
           half = Z / (1 + zz) * sqrt(p * (1 - p) / size + zz / (4 * size));
    /* at the ends rounding must not exclude what was seen */
    return (struct estimate){p, x == 0 ? 0 : centre - half, x == n ? 1 : centre + half};
}

struct estimate estimate_paired(size_t n, size_t first, size_t second)
{
    if (n == 0)
        return ESTIMATE_NONE;
    double size = (double)n + 2, a = ((double)first + 1) / size, b = ((double)second + 1) / size;
    double half = Z * sqrt((a + b - (b - a) * (b - a)) / size);
    double value = ((double)second - (double)first) / (double)n;
    return (struct estimate){value, fmax(-1, b - a - half), fmin(1, b - a + half)};
}

struct estimate estimate_mean(const double v[static ESTIMATE_REPLICATES])
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < ESTIMATE_REPLICATES; i++)
        sum += v[i];
    double mean = sum / ESTIMATE_REPLICATES;
    for (size_t i = 0; i < ESTIMATE_REPLICATES; i++)
        squares += (v[i] - mean) * (v[i] - mean);
    double half = T19 * sqrt(squares / (ESTIMATE_REPLICATES - 1) / ESTIMATE_REPLICATES);
    return (struct estimate){mean, mean - half, mean + half};
}

struct estimate estimate_jackknife(double whole, const double without[static ESTIMATE_REPLICATES])
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < ESTIMATE_REPLICATES; i++)
        sum += without[i];
    double mean = sum / ESTIMATE_REPLICATES;
    for (size_t i = 0; i < ESTIMATE_REPLICATES; i++)
        squares += (without[i] - mean) * (without[i] - mean);
    double half = T19 * sqrt(squares * (ESTIMATE_REPLICATES - 1) / ESTIMATE_REPLICATES);
    return (struct estimate){whole, whole - half, whole + half};
}

double estimate_tail(size_t n, size_t k, double p)
{
    if (k == 0)
        return 1;
    if (k > n || p <= 0)
        return 0;
    if (p >= 1)
        return 1;
    /* The larger of term k and those around it does not underflow for the sizes of drills: logarithms,
     * so that it does not for larger ones either. */
    double step = real_log(p) - real_log(1 - p), term = (double)n * real_log(1 - p), sum = 0;
    for (size_t i = 0; i <= n; i++) {
        if (i >= k)
            sum += real_exp(term);
        if (i < n)
            term += real_log((double)(n - i)) - real_log((double)(i + 1)) + step;
    }
    return sum < 1 ? sum : 1;
}

nsec estimate_quantile(const nsec *sorted, size_t n, double q)
{
    double rank = ceil(q * (double)n - 1e-9);
    size_t i = rank < 1 ? 0 : (size_t)rank - 1;
    return sorted[i < n ? i : n - 1];
}

static int by_size(const void *a, const void *b)
{
    nsec x = *(const nsec *)a, y = *(const nsec *)b;
    return (x > y) - (x < y);
}

void estimate_sort(nsec *v, size_t n)
{
    if (n)
        qsort(v, n, sizeof *v, by_size);
}
