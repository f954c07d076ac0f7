/* First-order and total indices by pick-freeze. */
#include "sim/forecast/sobol.h"

#include "sim/base/cleanup.h"

#include <math.h>

void sobol_add_whole(struct sobol_whole *w, double a, double b)
{
    w->n++;
    w->sum += a + b;
    w->squares += a * a + b * b;
}

void sobol_add_part(struct sobol_part *p, double a, double b, double ab)
{
    p->change += ab - a;
    p->weighted += b * (ab - a);
    p->squares += (a - ab) * (a - ab);
}

/* All replicates but one (ESTIMATE_REPLICATES: all). */
static struct sobol_whole whole_without(const struct sobol_whole *w, size_t left_out)
{
    struct sobol_whole s = {0};
    for (size_t i = 0; i < ESTIMATE_REPLICATES; i++)
        if (i != left_out) {
            s.n += w[i].n;
            s.sum += w[i].sum;
            s.squares += w[i].squares;
        }
    return s;
}

static struct sobol_part part_without(const struct sobol_part *p, size_t parts, size_t k,
                                      size_t left_out)
{
    struct sobol_part s = {0};
    for (size_t i = 0; i < ESTIMATE_REPLICATES; i++)
        if (i != left_out) {
            s.change += p[i * parts + k].change;
            s.weighted += p[i * parts + k].weighted;
            s.squares += p[i * parts + k].squares;
        }
    return s;
}

static double variance(const struct sobol_whole *w)
{
    double n = 2 * w->n, mean = w->sum / n;
    return w->squares / n - mean * mean;
}

/* B is taken less the mean: an index is invariant to it, the noise of its estimate is not. */
static double first_order(const struct sobol_whole *w, const struct sobol_part *p)
{
    double mean = w->sum / (2 * w->n), v = variance(w);
    return v > 0 ? (p->weighted - mean * p->change) / w->n / v : 0;
}

static double total(const struct sobol_whole *w, const struct sobol_part *p)
{
    double v = variance(w);
    return v > 0 ? p->squares / (2 * w->n) / v : 0;
}

bool sobol_indices(const struct sobol_whole whole[static ESTIMATE_REPLICATES],
                   const struct sobol_part *part, size_t parts, struct estimate *ret_first,
                   struct estimate *ret_total, struct estimate *ret_rest)
{
    const size_t all = ESTIMATE_REPLICATES;
    struct sobol_whole w[ESTIMATE_REPLICATES + 1];
    for (size_t i = 0; i <= all; i++)
        w[i] = whole_without(whole, i);
    if (!(w[all].n > 0) || !(variance(&w[all]) > 0))
        return false;
    double rest[ESTIMATE_REPLICATES + 1], first[ESTIMATE_REPLICATES + 1],
        totals[ESTIMATE_REPLICATES + 1];
    for (size_t i = 0; i <= all; i++)
        rest[i] = 1;
    for (size_t k = 0; k < parts; k++) {
        for (size_t i = 0; i <= all; i++) {
            struct sobol_part p = part_without(part, parts, k, i);
            first[i] = first_order(&w[i], &p);
            totals[i] = total(&w[i], &p);
            rest[i] -= first[i];
        }
        ret_first[k] = estimate_jackknife(first[all], first);
        ret_total[k] = estimate_jackknife(totals[all], totals);
    }
    *ret_rest = estimate_jackknife(rest[all], rest);
    return true;
}
