/* What a random duration is drawn from: mean ± jitter by a distribution, with correlation.
 *
 * Ownership: spread_new() … spread_free(); nothing is borrowed after spread_new() returned.
 *
 * Correlated draws follow netem's recursion (chance.h); each is then put back to a uniform one by the
 * distribution that the recursion settles in, so that the durations keep the distribution asked for,
 * whatever the correlation. (netem takes the lower bits of the recursion, which have none.)
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/base/impairment.h"

struct spread;

bool spread_is_table(const struct impair_table *table); /* has 1 to IMPAIR_TABLE_MAX values */
/* table: of IMPAIR_TABLE. */
int spread_new(enum impair_distribution distribution, const struct impair_table *table,
               double correlation, uint64_t *source, struct spread **ret, struct err *err);
struct spread *spread_free(struct spread *s); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct spread, spread_free);

/* May be negative: the caller knows what that means. Draws from `source` once. */
nsec spread_draw(struct spread *s, nsec mean, nsec jitter, uint64_t *source);

/* The distribution itself, in jitters above the mean, at probability u in [0, 1). */
double spread_quantile(const struct spread *s, double u);

/* Below which share of 2^32 a correlated draw stays with probability p. correlation in [0, 1). */
uint64_t spread_threshold(double p, double correlation);
