/* A bin is the position of the highest bit and the five bits below it. */
#include "sim/forecast/histogram.h"

#include <stdlib.h>
#include <string.h>

#define PER_DOUBLING 32
#define LOG2_PER_DOUBLING 5

static size_t bin_of(uint64_t v)
{
    if (v < 2 * PER_DOUBLING)
        return (size_t)v;
    unsigned shift = 63 - (unsigned)__builtin_clzll(v) - LOG2_PER_DOUBLING;
    return (size_t)(v >> shift) + (size_t)shift * PER_DOUBLING;
}

void histogram_bin(size_t bin, uint64_t *ret_lo, uint64_t *ret_hi)
{
    unsigned shift = bin < 2 * PER_DOUBLING ? 0 : (unsigned)((bin - PER_DOUBLING) / PER_DOUBLING);
    *ret_lo = (uint64_t)(bin - (size_t)shift * PER_DOUBLING) << shift;
    *ret_hi = *ret_lo + (UINT64_C(1) << shift);
}

void histogram_done(struct histogram *h)
{
    free(h->bins);
    *h = (struct histogram){0};
}

static void reach(struct histogram *h, size_t n)
{
    if (n <= h->n)
        return;
    /* the least multiple: the same for the same values, in whatever order they came */
    n = (n + PER_DOUBLING - 1) / PER_DOUBLING * PER_DOUBLING;
    uint64_t *bins = reallocarray(h->bins, n, sizeof *bins);
    if (!bins)
        abort();
    memset(bins + h->n, 0, (n - h->n) * sizeof *bins);
    h->bins = bins;
    h->n = n;
}

void histogram_add_times(struct histogram *h, uint64_t value, uint64_t times)
{
    if (times == 0)
        return;
    size_t b = bin_of(value);
    reach(h, b + 1);
    h->bins[b] += times;
    if (h->count == 0 || value < h->least)
        h->least = value;
    if (h->count == 0 || value > h->most)
        h->most = value;
    h->count += times;
}

void histogram_add(struct histogram *h, uint64_t value)
{
    histogram_add_times(h, value, 1);
}

void histogram_merge(struct histogram *h, const struct histogram *other)
{
    if (other->count == 0)
        return;
    reach(h, other->n);
    for (size_t i = 0; i < other->n; i++)
        h->bins[i] += other->bins[i];
    if (h->count == 0 || other->least < h->least)
        h->least = other->least;
    if (h->count == 0 || other->most > h->most)
        h->most = other->most;
    h->count += other->count;
}

double histogram_quantile(const struct histogram *h, double p)
{
    double want = p * (double)h->count, seen = 0;
    for (size_t i = 0; i < h->n; i++) {
        seen += (double)h->bins[i];
        if (h->bins[i] == 0 || seen < want)
            continue;
        uint64_t lo, hi;
        histogram_bin(i, &lo, &hi);
        double mid = (double)lo + (double)(hi - 1 - lo) / 2;
        return mid < (double)h->least  ? (double)h->least
               : mid > (double)h->most ? (double)h->most
                                       : mid;
    }
    return (double)h->most;
}

double histogram_above(const struct histogram *h, uint64_t value)
{
    double above = 0;
    size_t at = bin_of(value);
    for (size_t i = at + 1; i < h->n; i++)
        above += (double)h->bins[i];
    if (at < h->n) {
        uint64_t lo, hi;
        histogram_bin(at, &lo, &hi);
        above += (double)h->bins[at] * (double)(hi - 1 - value) / (double)(hi - lo);
    }
    return above;
}
