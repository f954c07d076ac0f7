/* Things that wait for themselves by way of others: rings in a directed graph, and names as indices.
 *
 * Ownership: `struct edges` and `struct name_index` are their user's, freed by edges_done() and
 * name_index_done(). Both take time in proportion to what they hold (times its logarithm). Running out of
 * memory ends the program.
 */
#pragma once

#include "sim/model/field.h"

struct edge {
    size_t from, to;
};
struct edges {
    struct edge *items;
    size_t n, room;
};
#define AUTO_EDGES __attribute__((cleanup(edges_done))) struct edges

void edges_done(struct edges *e);
void edges_add(struct edges *e, size_t from, size_t to);
/* A member of a ring among n things: of the first ring that is met from 0 on; n: there is none. Edges to n
 * and above lead nowhere. */
size_t edges_ring(const struct edges *e, size_t n);

struct named_index {
    const char *name;
    size_t index;
};
struct name_index { /* borrowed names */
    struct named_index *items;
    size_t n;
};
#define AUTO_NAME_INDEX __attribute__((cleanup(name_index_done))) struct name_index

/* Of objects whose name is at this offset. */
struct name_index name_index_of(const struct objects *v, size_t name_offset);
void name_index_done(struct name_index *x);
/* The number of objects when there is none of that name; of several the first. */
size_t name_index_find(const struct name_index *x, const char *name);
