/* Estimates with their intervals, from many trials: shares, paired differences, numbers from replicates.
 *
 * Pure functions of their arguments; nothing is owned. Additions, multiplications, divisions and square
 * roots in a fixed order alone, so the bits are the same on every machine. Intervals are two-sided 95 %
 * ones unless said otherwise; lo and hi are NAN where there is none.
 */
#pragma once

#include "sim/base/nsec.h"
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

struct estimate {
    double value, lo, hi;
};
#define ESTIMATE_NONE ((struct estimate){(double)NAN, (double)NAN, (double)NAN})

/* Intervals over replicates take this many of them. */
#define ESTIMATE_REPLICATES 20

/* A share, x of n: Wilson (JASA 22 (1927)); n = 0: none. */
struct estimate estimate_share(size_t x, size_t n);
/* Two shares of the same n trials, `first` of which are only in the first and `second` only in the
 * second: second minus first. Bonett and Price, Journal of Educational and Behavioral Statistics 37
 * (2012): adjusted Wald, close to its level also for few discordant pairs. */
struct estimate estimate_paired(size_t n, size_t first, size_t second);
/* Student's t interval for the mean of ESTIMATE_REPLICATES values. */
struct estimate estimate_mean(const double v[static ESTIMATE_REPLICATES]);
/* The delete-one jackknife: `whole` from all replicates, without[i] from all but the i-th. */
struct estimate estimate_jackknife(double whole, const double without[static ESTIMATE_REPLICATES]);

/* P(X >= k) for X binomial(n, p), exact. */
double estimate_tail(size_t n, size_t k, double p);

/* The q-quantile of sorted values: the smallest of which at least a share q is not above. n > 0. */
nsec estimate_quantile(const nsec *sorted, size_t n, double q);
void estimate_sort(nsec *v, size_t n);
