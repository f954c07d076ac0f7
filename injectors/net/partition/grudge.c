/* Who loses what whom sends. See grudge.h. */
#include "injectors/net/partition/grudge.h"

#include <stdlib.h>

#include "sim/base/cleanup.h"

void grudge_done(struct grudge *g)
{
    free(g->ways);
    *g = (struct grudge){0};
}

bool grudge_has(const struct grudge *g, size_t from, size_t to)
{
    for (size_t i = 0; i < g->n; i++)
        if (g->ways[i].from == from && g->ways[i].to == to)
            return true;
    return false;
}

/* For those who know that it is not there: a list of 10,000 is not searched for each. */
static void append(struct grudge *g, size_t from, size_t to)
{
    if ((g->n & (g->n - 1)) == 0) {
        struct way *more = realloc(g->ways, (g->n ? 2 * g->n : 1) * sizeof *more);
        if (!more)
            abort(); /* as the buffers of sim/base do */
        g->ways = more;
    }
    g->ways[g->n++] = (struct way){from, to};
}

void grudge_add(struct grudge *g, size_t from, size_t to)
{
    if (from != to && !grudge_has(g, from, to))
        append(g, from, to);
}

void grudge_between(const size_t *group, size_t n, bool forward, bool backward, struct grudge *g)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++)
            if ((group[i] < group[k] && forward) || (group[i] > group[k] && backward))
                append(g, i, k);
}

static size_t distance(size_t n, size_t a, size_t b)
{
    size_t d = a > b ? a - b : b - a;
    return d < n - d ? d : n - d;
}

/* A majority is n / 2 + 1, so n / 2 others. The even part of that number is neighbours to both
 * sides; an odd one more is a chord across the ring, from i to i + n / 2 without passing the end: one
 * for each host, but with an odd n two for the one in the middle. */
void grudge_majorities_ring(size_t n, struct grudge *g)
{
    size_t others = n / 2, side = others / 2, across = n / 2;
    bool chords = others % 2 == 1;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            size_t lo = i < k ? i : k, hi = i < k ? k : i;
            bool chord = chords && hi - lo == across;
            if (i != k && distance(n, i, k) > side && !chord)
                append(g, i, k);
        }
}

size_t grudge_half(size_t n)
{
    return n / 2;
}
