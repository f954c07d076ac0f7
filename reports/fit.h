/* A distribution for what was measured, in the words of the scenario language, with how well it is known.
 *
 * Maximum likelihood of a lognormal, a Weibull and an exponential one over values that may be censored; the
 * one with the least AICc is proposed. Each parameter's 95 % interval is that of the profile likelihood,
 * with Student's quantile in place of the normal one: exactly the t interval for the median of a lognormal
 * sample without censoring. Fewer than FIT_LEAST values that came to an end are not fitted.
 *
 * Pure; nothing is owned. Durations in ns.
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/base/nsec.h"

#include <stdbool.h>
#include <stddef.h>

#define FIT_LEAST 5

enum fit_kind { FIT_NONE, FIT_LOGNORMAL, FIT_WEIBULL, FIT_EXPONENTIAL };
extern const char *const fit_words[]; /* "none", "lognormal", … */

struct fit_value {
    nsec t;        /* > 0 */
    bool censored; /* longer than that */
};
struct fit_parameter {
    const char *name;     /* as in the language: "median", "p95"; "scale", "shape"; "mean" */
    double value, lo, hi; /* ns, but of "shape" */
};
struct fit {
    enum fit_kind kind;
    size_t n, censored; /* n: all of them */
    double aicc;
    struct fit_parameter parameters[2];
    size_t parameters_n;
};

/* Of one kind; FIT_NONE when it cannot be. */
void fit_one(enum fit_kind kind, const struct fit_value *v, size_t n, struct fit *ret);
/* The best of them. */
void fit_best(const struct fit_value *v, size_t n, struct fit *ret);
/* "{lognormal: {median: {between: [2m, 4m]}, p95: {between: [8m, 20m]}}}": appends. */
void fit_yaml(const struct fit *f, struct buf *out);
