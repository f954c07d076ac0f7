/* What a forecast owes to its assumptions. */
#include "sim/forecast/assumed.h"

#include "sim/base/cleanup.h"
#include "sim/base/rng.h"
#include "sim/forecast/sobol.h"

#include <stdlib.h>
#include <string.h>

#define EACH (ASSUMED_DRAWS / ESTIMATE_REPLICATES)

/* Points of all draws: [draw * services + service]. */
struct draws {
    struct assumed_point *at;
};
struct work {
    const struct assumed_request *q;
    struct assumed *result;
    struct draws a, b, ab;
    double *u;
    struct sobol_whole *whole; /* [measure][service][replicate] */
    struct sobol_part *part;   /* [measure][service][replicate][group] */
};
enum { MEASURE_WITHIN, MEASURE_TTR, MEASURES };

static void *zeroed(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p)
        abort();
    return p;
}

static double unit(const struct work *w, const char *which, size_t draw, size_t parameter)
{
    struct rng r = rng_stream(w->q->seed, which, draw, parameter);
    return rng_unit(&r);
}

/* All draws of A, of B, or of A with one group from B (`group` below the number of groups). */
static int draws_play(struct work *w, const char *which, size_t group, struct draws *ret,
                      struct err *err)
{
    for (size_t d = 0; d < ASSUMED_DRAWS; d++) {
        for (size_t i = 0; i < w->q->parameters; i++)
            w->u[i] = unit(w, w->q->group[i] == group ? "assumed:B" : which, d, i);
        int r = w->q->forecast(w->u, w->q->data, &ret->at[d * w->q->services], err);
        if (r < 0)
            return r;
    }
    return 0;
}

static double measure(const struct draws *d, const struct work *w, size_t draw, size_t service,
                      int which)
{
    const struct assumed_point *p = &d->at[draw * w->q->services + service];
    const struct assumed_point *zero = &w->a.at[service]; /* keeps digits, see sobol.h */
    return which == MEASURE_WITHIN ? p->within - zero->within : p->ttr - zero->ttr;
}

static void sum_whole(struct work *w)
{
    for (int m = 0; m < MEASURES; m++)
        for (size_t s = 0; s < w->q->services; s++)
            for (size_t d = 0; d < ASSUMED_DRAWS; d++)
                sobol_add_whole(
                    &w->whole[((size_t)m * w->q->services + s) * ESTIMATE_REPLICATES + d / EACH],
                    measure(&w->a, w, d, s, m), measure(&w->b, w, d, s, m));
}

static void sum_group(struct work *w, size_t group)
{
    for (int m = 0; m < MEASURES; m++)
        for (size_t s = 0; s < w->q->services; s++)
            for (size_t d = 0; d < ASSUMED_DRAWS; d++) {
                size_t row = ((size_t)m * w->q->services + s) * ESTIMATE_REPLICATES + d / EACH;
                sobol_add_part(&w->part[row * w->q->groups + group], measure(&w->a, w, d, s, m),
                               measure(&w->b, w, d, s, m), measure(&w->ab, w, d, s, m));
            }
}

static int tornado(struct work *w, struct err *err)
{
    size_t services = w->q->services;
    AUTO_FREE struct assumed_point *at = zeroed(services, sizeof *at);
    for (size_t step = 0; step <= 2 * w->q->groups; step++) {
        size_t group = step ? (step - 1) / 2 : w->q->groups;
        bool high = step && (step - 1) % 2;
        for (size_t i = 0; i < w->q->parameters; i++)
            w->u[i] = w->q->group[i] != group ? 0.5 : high ? 1 : 0;
        int r = w->q->forecast(w->u, w->q->data, at, err);
        if (r < 0)
            return r;
        for (size_t s = 0; s < services; s++) {
            struct assumed_service *v = &w->result->service[s];
            if (!step)
                v->middle = at[s];
            else if (high)
                v->groups[group].high = at[s];
            else
                v->groups[group].low = at[s];
        }
    }
    return 0;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of A's and B's draws together. */
static struct estimate quantiles(const struct work *w, size_t service, int which)
{
    double v[2 * ASSUMED_DRAWS];
    size_t n = 0;
    for (size_t d = 0; d < ASSUMED_DRAWS; d++) {
        const struct assumed_point *a = &w->a.at[d * w->q->services + service],
                                   *b = &w->b.at[d * w->q->services + service];
        v[n++] = which == MEASURE_WITHIN ? a->within : a->ttr;
        v[n++] = which == MEASURE_WITHIN ? b->within : b->ttr;
    }
    if (isnan(v[0]))
        return ESTIMATE_NONE;
    qsort(v, n, sizeof *v, by_size);
    /* the outermost that hold 95 % between them */
    return (struct estimate){(v[n / 2 - 1] + v[n / 2]) / 2, v[n / 40 - 1], v[n - n / 40]};
}

static void indices(struct work *w, size_t s, int m)
{
    size_t groups = w->q->groups, row = ((size_t)m * w->q->services + s) * ESTIMATE_REPLICATES;
    struct assumed_service *v = &w->result->service[s];
    struct estimate *rest = m == MEASURE_WITHIN ? &v->rest_within : &v->rest_ttr;
    AUTO_FREE struct estimate *first = zeroed(groups, sizeof *first);
    AUTO_FREE struct estimate *total = zeroed(groups, sizeof *total);
    bool varies = sobol_indices(&w->whole[row], &w->part[row * groups], groups, first, total, rest);
    if (!varies)
        *rest = ESTIMATE_NONE;
    for (size_t g = 0; g < groups; g++) {
        struct estimate f = varies ? first[g] : ESTIMATE_NONE,
                        t = varies ? total[g] : ESTIMATE_NONE;
        if (m == MEASURE_WITHIN) {
            v->groups[g].first_within = f;
            v->groups[g].total_within = t;
        } else {
            v->groups[g].first_ttr = f;
            v->groups[g].total_ttr = t;
        }
    }
}

static int analyse(struct work *w, struct err *err)
{
    size_t none = w->q->groups;
    int r = draws_play(w, "assumed:A", none, &w->a, err);
    if (r == 0)
        r = draws_play(w, "assumed:B", none, &w->b, err);
    if (r < 0)
        return r;
    sum_whole(w);
    for (size_t g = 0; g < w->q->groups; g++) {
        r = draws_play(w, "assumed:A", g, &w->ab, err);
        if (r < 0)
            return r;
        sum_group(w, g);
    }
    for (size_t s = 0; s < w->q->services; s++) {
        w->result->service[s].within = quantiles(w, s, MEASURE_WITHIN);
        w->result->service[s].ttr = quantiles(w, s, MEASURE_TTR);
        indices(w, s, MEASURE_WITHIN);
        indices(w, s, MEASURE_TTR);
    }
    return tornado(w, err);
}

int assumed_analyse(const struct assumed_request *q, struct assumed *ret, struct err *err)
{
    size_t points = ASSUMED_DRAWS * q->services,
           rows = MEASURES * q->services * ESTIMATE_REPLICATES;
    struct assumed result = {.services = q->services,
                             .groups = q->groups,
                             .service = zeroed(q->services, sizeof *result.service)};
    for (size_t s = 0; s < q->services; s++)
        result.service[s].groups = zeroed(q->groups, sizeof *result.service[s].groups);
    AUTO_FREE struct assumed_point *a = zeroed(points, sizeof *a);
    AUTO_FREE struct assumed_point *b = zeroed(points, sizeof *b);
    AUTO_FREE struct assumed_point *ab = zeroed(points, sizeof *ab);
    AUTO_FREE double *u = zeroed(q->parameters, sizeof *u);
    AUTO_FREE struct sobol_whole *whole = zeroed(rows, sizeof *whole);
    AUTO_FREE struct sobol_part *part = zeroed(rows * q->groups, sizeof *part);
    struct work w = {.q = q,
                     .result = &result,
                     .a = {a},
                     .b = {b},
                     .ab = {ab},
                     .u = u,
                     .whole = whole,
                     .part = part};
    int r = analyse(&w, err);
    if (r < 0)
        assumed_done(&result);
    else
        *ret = result;
    return r;
}

void assumed_done(struct assumed *a)
{
    for (size_t s = 0; a->service && s < a->services; s++)
        free(a->service[s].groups);
    free(a->service);
    *a = (struct assumed){0};
}
