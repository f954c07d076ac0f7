/* Numbers over trials: exact intervals for shares, order statistics for medians, and the few
 * parametric ones that say what they assume.
 *
 * Pure functions of their arguments; nothing is owned. The method for each quantity is fixed here,
 * not chosen by the data. There is no Wald interval and no percentile bootstrap: both fall far
 * short of their level at the sizes that drills have. Sources stand beside each function; known
 * answers are in test_stats.c. Confidence levels and probabilities are fractions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct stats_interval {
    double lo, hi;
};

/* Regularized incomplete beta function I_x(a, b) and its inverse in x; a, b > 0. Continued fraction
 * (Lentz), bisection. */
double stats_beta(double a, double b, double x);
double stats_beta_inverse(double a, double b, double p);
/* Regularized lower incomplete gamma function P(a, x) and its inverse in x. */
double stats_gamma(double a, double x);
double stats_gamma_inverse(double a, double p);
double stats_normal(double z);
/* Quantile of Student's t with df > 0 degrees of freedom. */
double stats_t_quantile(double p, double df);

/* Share of successes, x of n: Clopper and Pearson (1934). One-sided bounds hold at `confidence`
 * each; the two-sided interval is for display. n = 0: [0, 1]. */
double stats_share_lower(size_t x, size_t n, double confidence);
double stats_share_upper(size_t x, size_t n, double confidence);
struct stats_interval stats_share(size_t x, size_t n, double confidence);

/* The smallest n for which n trials with at most `misses` misses show `reliability` at `confidence`
 * (one-sided). 0 when reliability or confidence lies outside (0, 1). */
size_t stats_needed(double reliability, double confidence, size_t misses);

/* Which order statistics (from 1) bound the median: the narrowest symmetric pair whose confidence
 * reaches `wanted`, else the extremes; ret_confidence is what the pair really has (n = 5: 93.75 %).
 * False for n < 2. Distribution-free for continuous distributions. */
bool stats_median_ranks(size_t n, double wanted, size_t *ret_lo, size_t *ret_hi,
                        double *ret_confidence);

/* Assuming lognormal values: interval for the median. False for n < 2 or values that are not
 * positive. */
bool stats_log_t_median(const double *v, size_t n, double confidence, struct stats_interval *ret);

enum stats_refusal { STATS_OK, STATS_TOO_FEW, STATS_NOT_POSITIVE, STATS_GAP };
/* In words, for people; NULL for STATS_OK. */
const char *stats_refusal_text(enum stats_refusal r);

/* Assuming lognormal values: the mean, exp(m + s²/2), with the modified Cox interval (Olsson,
 * Journal of Statistics Education 13, 2005). Refused for n < 5, for values that are not positive,
 * and where the largest gap between sorted logarithms exceeds two standard deviations, which
 * betrays a second path. */
enum stats_refusal stats_mean(const double *v, size_t n, double confidence, double *ret_mean,
                              struct stats_interval *ret);

/* Mean of min(v, tau) with a t interval (approximate); the interval only for n >= 8. Censored
 * values count as tau: right when every trial was observed that long. */
bool stats_restricted_mean(const double *v, const bool *censored, size_t n, double tau,
                           double confidence, double *ret_mean, struct stats_interval *ret);

/* Kaplan and Meier's survival curve at t (failures before censorings at ties), and the area under
 * it up to tau with its standard error. */
double stats_survival(const double *v, const bool *censored, size_t n, double t);
void stats_survival_mean(const double *v, const bool *censored, size_t n, double tau,
                         double *ret_mean, double *ret_se);

/* Expected count when k were seen: Garwood (1936). Only for independent events. */
struct stats_interval stats_count(size_t k, double confidence);
