/* Elementary functions that give the same bits everywhere: additions, multiplications, divisions and
 * square roots alone, which IEEE 754 rounds in one way, and no contraction (-ffp-contract=off). glibc's
 * own differ in some last bits between processors with and without FMA.
 *
 * Errors are below 2 units in the last place (test_real.c holds them against long double).
 */
#pragma once

/* Natural logarithm; x > 0 and finite. */
double real_log(double x);
/* e to the x; 0 below -745, infinite above 709.78. */
double real_exp(double x);
/* x to the y; x > 0. Relative error below 1e-13 for results that a duration can have. */
double real_pow(double x, double y);
/* The standard normal quantile; 0 < p < 1. Wichura, Applied Statistics 37 (1988), AS 241 (PPND16):
 * relative error below 1e-15 of exact arithmetic. */
double real_normal_quantile(double p);
