/* Depth first with three colours and a stack of our own: a chain may be as long as there are things. */
#include "scenarios/ring.h"

#include "sim/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

void edges_done(struct edges *e)
{
    free(e->items);
    *e = (struct edges){0};
}

void edges_add(struct edges *e, size_t from, size_t to)
{
    if (e->n == e->room) {
        e->room = e->room ? e->room * 2 : 32;
        e->items = reallocarray(e->items, e->room, sizeof *e->items);
        if (!e->items)
            abort();
    }
    e->items[e->n++] = (struct edge){from, to};
}

static int edge_compare(const void *a, const void *b)
{
    const struct edge *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

enum colour { FRESH, ON_THE_WAY, OVER };

struct walk {
    const struct edge *edges; /* in the order of `from` */
    size_t *first;            /* of each thing; first[n] is the end */
    size_t *at, *stack;       /* the next edge of each; the way */
    unsigned char *colour;
    size_t n;
};

/* A member of a ring met from `start`; n: none. */
static size_t walk_from(struct walk *w, size_t start)
{
    size_t depth = 0;
    w->stack[depth++] = start;
    w->colour[start] = ON_THE_WAY;
    while (depth) {
        size_t i = w->stack[depth - 1];
        if (w->at[i] == w->first[i + 1]) {
            w->colour[i] = OVER;
            depth--;
            continue;
        }
        size_t to = w->edges[w->at[i]++].to;
        if (to >= w->n || w->colour[to] == OVER)
            continue;
        if (w->colour[to] == ON_THE_WAY)
            return to;
        w->colour[to] = ON_THE_WAY;
        w->stack[depth++] = to;
    }
    return w->n;
}

size_t edges_ring(const struct edges *e, size_t n)
{
    AUTO_FREE struct edge *sorted = calloc(e->n + 1, sizeof *sorted);
    AUTO_FREE size_t *first = calloc(n + 2, sizeof *first), *at = calloc(n + 1, sizeof *at),
                     *stack = calloc(n + 1, sizeof *stack);
    AUTO_FREE unsigned char *colour = calloc(n + 1, 1);
    if (!sorted || !first || !at || !stack || !colour)
        abort();
    if (e->n)
        memcpy(sorted, e->items, e->n * sizeof *sorted);
    qsort(sorted, e->n, sizeof *sorted, edge_compare);
    for (size_t i = 0, k = 0; i <= n; i++) {
        while (k < e->n && sorted[k].from < i)
            k++;
        first[i] = k;
    }
    memcpy(at, first, n * sizeof *at);
    struct walk w = {sorted, first, at, stack, colour, n};
    for (size_t i = 0; i < n; i++) {
        size_t ring = colour[i] == FRESH ? walk_from(&w, i) : n;
        if (ring < n)
            return ring;
    }
    return n;
}

static int name_compare(const void *a, const void *b)
{
    const struct named_index *x = a, *y = b;
    int c = strcmp(x->name, y->name);
    return c ? c : (x->index > y->index) - (x->index < y->index);
}

struct name_index name_index_of(const struct objects *v, size_t name_offset)
{
    struct name_index x = {calloc(v->n + 1, sizeof *x.items), v->n};
    if (!x.items)
        abort();
    for (size_t i = 0; i < v->n; i++)
        x.items[i] = (struct named_index){
            *(char *const *)(const void *)((const char *)v->items[i] + name_offset), i};
    qsort(x.items, x.n, sizeof *x.items, name_compare);
    return x;
}

void name_index_done(struct name_index *x)
{
    free(x->items);
    *x = (struct name_index){0};
}

size_t name_index_find(const struct name_index *x, const char *name)
{
    size_t lo = 0, hi = x->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(x->items[mid].name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < x->n && !strcmp(x->items[lo].name, name) ? x->items[lo].index : x->n;
}
