/* How long something takes, when that is not known exactly: a distribution of durations.
 *
 * Ownership: everything belongs to the scenario's arena. Parameters are durations in nanoseconds; which
 * of them a kind has, stands beside it. Drawing from it is sim/forecast/draw.h.
 */
#pragma once

#include "sim/base/nsec.h"

#include <stddef.h>

enum distribution_kind {
    DISTRIBUTION_CONSTANT,    /* a: always */
    DISTRIBUTION_UNIFORM,     /* a to b */
    DISTRIBUTION_EXPONENTIAL, /* a: mean */
    DISTRIBUTION_NORMAL,      /* a: mean, b: standard deviation; cut at 0 */
    DISTRIBUTION_LOGNORMAL,   /* a: median, b: 95 % quantile */
    DISTRIBUTION_GAMMA,       /* a: mean; shape */
    DISTRIBUTION_WEIBULL,     /* a: scale; shape */
    DISTRIBUTION_TRIANGULAR,  /* a, b, c: least, most likely, greatest */
    DISTRIBUTION_PERT,        /* the same; a beta distribution, mean (a + 4 b + c) / 6 */
    DISTRIBUTION_EMPIRICAL,   /* values: each as likely as the others */
    DISTRIBUTION_MIXTURE,     /* parts, each with its share */
};

struct distribution {
    enum distribution_kind kind;
    nsec a, b, c;
    double shape;
    nsec least, most; /* cut to [least, most] by drawing again; NSEC_UNSET: not cut */
    const nsec *values;
    size_t values_n;
    const struct distribution_part *parts; /* shares add up to 1 */
    size_t parts_n;
};

struct distribution_part {
    double share;
    struct distribution of;
};
