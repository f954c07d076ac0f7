/* Frames that wait for their time: a heap by (due time, order of arrival). 4 children a node, so
 * that a pop touches few cache lines.
 *
 * Ownership: embed by value, start with {0}, end with held_done() after taking everything out. The
 * frames are the caller's.
 */
#pragma once

#include "sim/base/nsec.h"

struct frame;

struct held_item {
    nsec due;
    uint64_t order;
    struct frame *frame;
};

struct held {
    struct held_item *items;
    size_t n, size;
    uint64_t order; /* of the next one */
};

void held_done(struct held *h);
/* Behind those with the same due time. False: no memory. */
bool held_add(struct held *h, nsec due, struct frame *f);
static inline const struct held_item *held_first(const struct held *h) /* NULL: empty */
{
    return h->n ? h->items : NULL;
}
struct frame *held_take(struct held *h); /* the first; not empty */
