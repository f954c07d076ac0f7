/* The smallest change that is enough. */
#include "sim/forecast/cheapest.h"

#include "sim/base/cleanup.h"
#include "sim/base/rng.h"

#include <stdlib.h>

#define FRESH_TRIES 12

static int ask(const struct cheapest_request *q, size_t i, int percent, uint64_t seed,
               size_t trials, struct estimate *ret, struct err *err)
{
    return q->within(i, percent / 100.0, seed, trials, q->data, ret, err);
}

static int most_of(const struct cheapest_request *q, size_t i)
{
    return (int)(q->most(i, q->data) * 100 + 1e-9);
}

/* The least percent in (lo, hi] that is enough with this seed; hi is. */
static int search(const struct cheapest_request *q, size_t i, int hi, int *ret, struct err *err)
{
    int lo = 0;
    struct estimate e;
    while (hi - lo > 1) {
        int mid = lo + (hi - lo) / 2, r = ask(q, i, mid, q->seed, q->trials, &e, err);
        if (r < 0)
            return r;
        if (e.lo >= q->required)
            hi = mid;
        else
            lo = mid;
    }
    *ret = hi;
    return 0;
}

/* The one that needs least, of those not left out; *ret_i n: none. */
static int best_of(const struct cheapest_request *q, bool *out, size_t *ret_i, int *ret_percent,
                   struct err *err)
{
    int best = 101;
    size_t at = q->n;
    for (size_t i = 0; i < q->n; i++) {
        int limit = most_of(q, i), r;
        struct estimate e;
        if (out[i])
            continue;
        limit = limit < best - 1 ? limit : best - 1; /* it must be better than the best so far */
        if (limit < 1)
            continue;
        r = ask(q, i, limit, q->seed, q->trials, &e, err);
        if (r < 0)
            return r;
        if (e.lo < q->required)
            continue;
        r = search(q, i, limit, &best, err);
        if (r < 0)
            return r;
        at = i;
    }
    *ret_i = at;
    *ret_percent = best;
    return 0;
}

/* Again with numbers that the search has not seen, a little more where it was luck. */
static int confirm(const struct cheapest_request *q, size_t i, int percent, struct cheapest *ret,
                   struct err *err)
{
    int most = most_of(q, i);
    for (int k = 0; k < FRESH_TRIES && percent <= most; k++, percent++) {
        struct rng fresh = rng_stream(q->seed, "fresh", i, (uint64_t)percent);
        struct estimate e;
        int r = ask(q, i, percent, rng_next(&fresh), q->trials, &e, err);
        if (r < 0)
            return r;
        if (e.lo < q->required)
            continue;
        ret->found = true;
        ret->i = i;
        ret->change = percent / 100.0;
        ret->within = e;
        return 0;
    }
    return 0;
}

int cheapest_find(const struct cheapest_request *q, struct cheapest *ret, struct err *err)
{
    struct cheapest found = {.within = ESTIMATE_NONE};
    AUTO_FREE bool *out = calloc(q->n ? q->n : 1, sizeof *out);
    if (!out)
        abort();
    for (size_t i = 0; i < q->n; i++) {
        struct estimate e;
        int most = most_of(q, i),
            r = most < 1 ? 0 : ask(q, i, most, q->seed, q->trials / 8 + 1, &e, err);
        if (r < 0)
            return r;
        out[i] = most < 1 || e.hi < q->required;
    }
    for (size_t k = 0; k < q->n && !found.found; k++) {
        size_t i;
        int percent, r = best_of(q, out, &i, &percent, err);
        if (r < 0)
            return r;
        if (i == q->n)
            break;
        r = confirm(q, i, percent, &found, err);
        if (r < 0)
            return r;
        out[i] = true; /* it was luck: the next one */
    }
    *ret = found;
    return 0;
}
