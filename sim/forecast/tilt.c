/* See tilt.h. */
#include "sim/forecast/tilt.h"

#include "sim/base/real.h"

#include <string.h>

#define FAILS 0.3 /* shares of the mixture, per stream */
#define TAILS 0.2
#define DEEPEST 1e-8               /* tails reach down to there */
#define DECADES 18.420680743952367 /* -ln DEEPEST */

/* Density of a second number of which each decade of each tail is as likely as the others, down to DEEPEST, and
 * what lies still deeper as likely as a part of a decade: nowhere may a tail be rarer than it is untilted. */
static double tails_density(double u)
{
    double below = u > DEEPEST ? u : DEEPEST, above = 1 - u > DEEPEST ? 1 - u : DEEPEST;
    return 0.5 / (1 + DECADES) * (1 / below + 1 / above);
}

static double draw_tails(struct rng *r)
{
    double where = (1 + DECADES) * rng_open_unit(r);
    double v = where < 1 ? where * DEEPEST : DEEPEST * real_exp(where - 1);
    return rng_next(r) >> 63 ? v : 1 - v;
}

/* u in [0, 1), with bits below it that nobody sees. */
static uint64_t number_of(double u, struct rng *r)
{
    uint64_t top = (uint64_t)(u * 0x1p53);
    if (top > (UINT64_C(1) << 53) - 1)
        top = (UINT64_C(1) << 53) - 1;
    return top << 11 | rng_next(r) >> 53;
}

void tilt_begin(struct tilt *t, const double *edges, uint64_t seed, uint64_t trial)
{
    t->edges = edges;
    t->rng = rng_stream(seed, "tilt", trial, 0);
    t->nominal = rng_unit(&t->rng) < TILT_NOMINAL;
    t->density = 1;
    t->seen_n = 0;
}

static struct rng choose(struct tilt *t, double edge, struct rng nominal)
{
    double u = rng_unit(&t->rng), fails = edge < 1 ? FAILS : 0;
    if (t->nominal || u >= fails + TAILS)
        return nominal;
    if (u < fails)
        return rng_with(1, number_of(edge + (1 - edge) * rng_unit(&t->rng), &t->rng));
    return rng_with(2, number_of(draw_tails(&t->rng), &t->rng));
}

struct rng tilt_stream(struct tilt *t, size_t quantity, uint64_t number, struct rng nominal)
{
    double edge = t->edges[quantity];
    if (edge < 0)
        return nominal;
    for (size_t i = 0; i < t->seen_n; i++)
        if (t->seen[i].quantity == quantity && t->seen[i].number == number)
            return t->seen[i].stream;
    if (t->seen_n == TILT_STREAMS)
        return nominal;
    struct rng chosen = choose(t, edge, nominal), look = chosen;
    double first = rng_unit(&look), second = rng_unit(&look), fails = edge < 1 ? FAILS : 0;
    t->density *= 1 - fails - TAILS + (first >= edge && fails > 0 ? fails / (1 - edge) : 0) +
                  TAILS * tails_density(second);
    t->seen[t->seen_n++] = (struct tilt_seen){quantity, number, chosen};
    return chosen;
}

double tilt_weight(const struct tilt *t)
{
    return 1 / (TILT_NOMINAL + (1 - TILT_NOMINAL) * t->density);
}
