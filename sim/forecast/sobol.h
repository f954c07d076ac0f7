/* Whose variation explains a result: first-order and total indices by pick-freeze.
 *
 * Two independent trials A and B, and for a part of what is random the trial AB in which this part is B's
 * and everything else A's. First order (Saltelli and others, Computer Physics Communications 181 (2010)):
 * the share of the variance that is gone once the part is known. Total (Jansen, Computer Physics
 * Communications 117 (1999)): the share that stays when all else is known. What the first-order indices
 * leave is interaction; nothing is normalised. Intervals by the jackknife over replicates.
 *
 * Nothing is owned. Sums in the order in which trials are added, so equal calls give equal bits.
 */
#pragma once

#include "sim/forecast/estimate.h"

/* Sums of one replicate for A and B; results less `shift`, which only keeps digits. */
struct sobol_whole {
    double n, sum, squares; /* of A and B together; n counts pairs */
};
struct sobol_part {
    double change, weighted, squares; /* AB - A, B * (AB - A), (A - AB)^2 */
};

void sobol_add_whole(struct sobol_whole *w, double a, double b);
void sobol_add_part(struct sobol_part *p, double a, double b, double ab);

/* `part[r * parts + k]` of replicate r. ret_first, ret_total: [parts]; ret_rest: one minus the sum of the
 * first-order indices. False when nothing varies. */
bool sobol_indices(const struct sobol_whole whole[static ESTIMATE_REPLICATES],
                   const struct sobol_part *part, size_t parts, struct estimate *ret_first,
                   struct estimate *ret_total, struct estimate *ret_rest);
