/* Durations drawn from distributions (sim/model/distribution.h), the same to the bit on every machine:
 * real.h's functions, and rounding to whole nanoseconds at the end.
 *
 * Nothing is owned. The number of random numbers that a draw takes is not fixed: give each quantity a
 * stream of its own (rng.h), so that one never shifts another.
 */
#pragma once

#include "sim/base/rng.h"
#include "sim/model/distribution.h"

/* >= 0. A distribution that is cut so that next to nothing of it is left is refused by check; should 10,000
 * draws lie outside all the same, the nearer end is taken. */
nsec draw(const struct distribution *d, struct rng *r);

/* The parts, in units of one. */
double draw_exponential(struct rng *r);         /* mean 1 */
double draw_normal(struct rng *r);              /* mean 0, deviation 1 */
double draw_gamma(double shape, struct rng *r); /* scale 1; shape > 0 */
