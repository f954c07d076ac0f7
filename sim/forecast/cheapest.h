/* The smallest change of one thing that is enough: of several that could be changed, by which share.
 *
 * Changes are whole percents. What a change brings is asked of the caller, with one seed while searching;
 * what is found is asked again with fresh random numbers, and only what is enough there too is told, so
 * that it is not just the luckiest of many.
 *
 * Nothing is owned.
 */
#pragma once

#include "sim/base/err.h"
#include "sim/forecast/estimate.h"

#include <stdint.h>

struct cheapest_request {
    size_t n;                             /* things that can be changed */
    double (*most)(size_t i, void *data); /* the greatest change of one, at most 1 */
    /* P(within) when thing i is changed by `change`, over trials of `seed`. */
    int (*within)(size_t i, double change, uint64_t seed, size_t trials, void *data,
                  struct estimate *ret, struct err *err);
    void *data;
    double required; /* P(within) that is asked for, below 1 */
    uint64_t seed;
    size_t
        trials; /* of the final estimate; the search has as many, what is surely too little fewer */
};

struct cheapest {
    bool found;
    size_t i;
    double change;          /* 0.31 */
    struct estimate within; /* with fresh random numbers; lo is at least what is required */
};

int cheapest_find(const struct cheapest_request *q, struct cheapest *ret, struct err *err);
