/* Distributions by tables of their inverse; the settled distribution of a correlated source. */
#include "sim/impair/engine/spread.h"

#include "sim/impair/engine/chance.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of the settled distribution: cells over [0, 1]. */
#define CELLS 4096
#define ROUNDS_MAX 3000

struct spread {
    int16_t *table; /* NULL: uniform */
    size_t n;
    uint32_t rho, last;
    float *cdf; /* CELLS + 1 values; NULL: no correlation */
};

/* --- The settled distribution of x' = (1 - c) u + c x, u uniform -------------- */

/* F'(x) = c/(1-c) · (S(x/c) - S((x-(1-c))/c)), S the integral of F: the distribution after one more
 * step. From a normal one of the right mean and variance it settles within some 1/(1-c) steps. */
static void settle(double *f, double *integral, double c)
{
    double sd = sqrt((1 - c) / (1 + c) / 12);
    for (size_t i = 0; i <= CELLS; i++)
        f[i] = 0.5 * erfc(-((double)i / CELLS - 0.5) / sd / M_SQRT2);
    f[0] = 0;
    f[CELLS] = 1;
    double rounds = fmin(8 + 4 / (1 - c), ROUNDS_MAX);
    for (double round = 0; round < rounds; round++) {
        integral[0] = 0;
        for (size_t i = 1; i <= CELLS; i++)
            integral[i] = integral[i - 1] + (f[i - 1] + f[i]) / 2 / CELLS;
        for (size_t i = 0; i <= CELLS; i++) {
            double x = (double)i / CELLS, at[2] = {x / c, (x - (1 - c)) / c}, s[2];
            for (int k = 0; k < 2; k++) {
                if (at[k] <= 0)
                    s[k] = 0;
                else if (at[k] >= 1)
                    s[k] = integral[CELLS] + (at[k] - 1);
                else {
                    double cell = at[k] * CELLS, floor_cell = floor(cell);
                    size_t j = (size_t)floor_cell;
                    double t = cell - floor_cell;
                    s[k] = integral[j] + (f[j] * t + (f[j + 1] - f[j]) * t * t / 2) / CELLS;
                }
            }
            f[i] = c / (1 - c) * (s[0] - s[1]);
        }
    }
}

static double *settled(double correlation)
{
    double *f = calloc(2 * (CELLS + 1), sizeof *f);
    if (!f)
        abort();
    settle(f, f + CELLS + 1, correlation);
    return f;
}

uint64_t spread_threshold(double p, double correlation)
{
    if (p <= 0)
        return 0;
    if (p >= 1)
        return CHANCE_CERTAIN;
    if (correlation <= 0)
        return (uint64_t)llround(p * (double)CHANCE_CERTAIN);
    AUTO_FREE double *f = settled(correlation);
    size_t i = 1;
    while (i < CELLS && f[i] < p)
        i++;
    double width = f[i] - f[i - 1], t = width > 0 ? (p - f[i - 1]) / width : 1;
    return (uint64_t)llround(((double)(i - 1) + t) / CELLS * (double)CHANCE_CERTAIN);
}

/* ------------------------------------------------------------------------------ */

bool spread_is_table(const struct impair_table *table)
{
    return table->values && table->n > 0 && table->n <= IMPAIR_TABLE_MAX;
}

int spread_new(enum impair_distribution distribution, const struct impair_table *table,
               double correlation, uint64_t *source, struct spread **ret, struct err *err)
{
    CLEANUP(spread_free_p) struct spread *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(err, ENOMEM, "no memory for a distribution");
    if (distribution != IMPAIR_UNIFORM) {
        s->n = distribution == IMPAIR_TABLE ? table->n : IMPAIR_TABLE_N;
        s->table = calloc(s->n, sizeof *s->table);
        if (!s->table)
            return err_set(err, ENOMEM, "no memory for a distribution");
        if (distribution == IMPAIR_TABLE)
            memcpy(s->table, table->values, s->n * sizeof *s->table);
        else
            impairment_table(distribution, s->table);
    }
    s->rho = (uint32_t)(correlation * (double)UINT32_MAX);
    if (s->rho) {
        AUTO_FREE double *f = settled(correlation);
        s->cdf = calloc(CELLS + 1, sizeof *s->cdf);
        if (!s->cdf)
            return err_set(err, ENOMEM, "no memory for a distribution");
        for (size_t i = 0; i <= CELLS; i++)
            s->cdf[i] = (float)f[i];
        s->last = chance_next((__u64 *)source);
        for (int i = 0; i < ROUNDS_MAX; i++) /* until it forgot where it began */
            chance_draw(s->rho, &s->last, (__u64 *)source);
    }
    *ret = steal_ptr(s);
    return 0;
}

struct spread *spread_free(struct spread *s)
{
    if (!s)
        return NULL;
    free(s->table);
    free(s->cdf);
    free(s);
    return NULL;
}

double spread_quantile(const struct spread *s, double u)
{
    if (!s->table)
        return 2 * u - 1;
    return s->table[(size_t)(u * (double)s->n)] / (double)IMPAIR_TABLE_SCALE;
}

nsec spread_draw(struct spread *s, nsec mean, nsec jitter, uint64_t *source)
{
    if (jitter == 0)
        return mean;
    uint32_t draw = chance_draw(s->rho, &s->last, (__u64 *)source);
    double u = (double)draw / (double)CHANCE_CERTAIN;
    if (s->cdf) {
        double cell = u * CELLS;
        size_t i = (size_t)cell;
        double t = cell - (double)i;
        u = (double)s->cdf[i] * (1 - t) + (double)s->cdf[i + 1] * t;
        u = fmin(fmax(u, 0), 1 - 1e-9);
    }
    return mean + llround(spread_quantile(s, u) * (double)jitter);
}
