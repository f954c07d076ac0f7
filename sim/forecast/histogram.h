/* How often which size was seen, in bins that are 1/32 of a doubling wide: counts are whole numbers, so
 * that many histograms add up to the same one in whatever order, and a quantile is known to 1.1 %.
 *
 * Of years: a line of the record holds them, one for each service. What trials of a script come to is kept in
 * outcome.h sixteen times as fine, since its quantiles are judged, and is never written.
 *
 * Ownership: histogram_done() frees. Values are whole numbers >= 0; 0 … 63 each have a bin of their own,
 * so give durations in a unit that is small beside what matters. Running out of memory ends the program.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct histogram {
    uint64_t *bins; /* NULL while empty */
    size_t n;       /* bins */
    uint64_t count;
    uint64_t least, most; /* seen; exact */
};

void histogram_done(struct histogram *h);
void histogram_add(struct histogram *h, uint64_t value);
void histogram_add_times(struct histogram *h, uint64_t value, uint64_t times);
void histogram_merge(struct histogram *h, const struct histogram *other);
/* The range of values of a bin, [lo, hi). */
void histogram_bin(size_t bin, uint64_t *ret_lo, uint64_t *ret_hi);
/* 0 < p < 1: the middle of the bin in which it lies, kept within what was seen. 0 when empty. */
double histogram_quantile(const struct histogram *h, double p);
/* How many lie above; those of the bin in which it lies are shared out evenly. */
double histogram_above(const struct histogram *h, uint64_t value);
