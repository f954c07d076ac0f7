/* Elementary functions that give the same bits everywhere: additions, multiplications, divisions and
 * square roots alone, which IEEE 754 rounds in one way, and no contraction (-ffp-contract=off). glibc's
 * own differ in some last bits between processors with and without FMA.
 *
 * Where nothing else is said errors are below 0.65 units in the last place (test_real.c holds them against
 * long double).
 */
#pragma once

/* Natural logarithm; x > 0 and finite. */
double real_log(double x);
/* Logarithm of 1 + x; x > -1 and finite. Below 4 units in the last place. */
double real_log1p(double x);
/* Logarithm of the gamma function; x > 0 and finite. Error below 1e-14, and below 1e-15 of it. */
double real_log_gamma(double x);
/* e to the x; 0 below -745, infinite above 709.78. */
double real_exp(double x);
/* The complementary error function, erfc; relative error below 1e-13 down to 1e-290. */
double real_erfc(double x);
/* x to the y; x > 0. Relative error below 1e-13 for results that a duration can have. */
double real_pow(double x, double y);
/* The standard normal quantile; 0 < p < 1. Wichura, Applied Statistics 37 (1988), AS 241 (PPND16):
 * relative error below 1e-15 of exact arithmetic. */
double real_normal_quantile(double p);
