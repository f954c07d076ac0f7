/* What a forecast owes to its assumptions, where these are only known as ranges.
 *
 * Not luck (why.h): here a whole forecast is one number, and what varies are the parameters behind it, each
 * uniformly within its range. Parameters that stand together (those of one distribution; one value used in
 * several places) are one group: varied one by one, told as one. For each service: the interval of P(within)
 * and of the mean time to restore over parameter draws, first-order and total indices by group, and a
 * tornado: each group at its lower and at its upper ends, the others in the middle.
 *
 * Ownership: assumed_done() frees what assumed_analyse() filled in; the rest is borrowed.
 */
#pragma once

#include "sim/base/err.h"
#include "sim/forecast/estimate.h"

#include <stdint.h>

#define ASSUMED_DRAWS (ESTIMATE_REPLICATES * 4)

struct assumed_point { /* a forecast with certain parameters, for one service */
    double within;     /* P(within); NAN: nothing promised */
    double ttr; /* mean time to restore, unaffected 0, others by the horizon at most; seconds */
};

struct assumed_request {
    size_t parameters, groups, services;
    const size_t *group; /* by parameter */
    /* A forecast with parameter i at u[i] in [0, 1] of its range, always with the same random numbers. */
    int (*forecast)(const double *u, void *data, struct assumed_point *ret, struct err *err);
    void *data;
    uint64_t seed;
};

struct assumed_group {
    struct estimate first_within, total_within, first_ttr, total_ttr; /* NAN: nothing varies */
    struct assumed_point low, high; /* the group at the ends of its ranges */
};
struct assumed_service {
    struct assumed_point middle;
    /* Over the draws: median, 2.5 % and 97.5 % quantiles. */
    struct estimate within, ttr;
    struct estimate rest_within, rest_ttr; /* interaction */
    struct assumed_group *groups;
};
struct assumed {
    size_t services, groups;
    struct assumed_service *service;
};

int assumed_analyse(const struct assumed_request *q, struct assumed *ret, struct err *err);
void assumed_done(struct assumed *a);
