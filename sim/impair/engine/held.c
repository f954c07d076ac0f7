/* The heap of waiting frames. */
#include "sim/impair/engine/held.h"

#include <stdlib.h>

void held_done(struct held *h)
{
    free(h->items);
    *h = (struct held){0};
}

static bool before(const struct held_item *a, const struct held_item *b)
{
    return a->due < b->due || (a->due == b->due && a->order < b->order);
}

bool held_add(struct held *h, nsec due, struct frame *f)
{
    if (h->n == h->size) {
        size_t size = h->size ? 2 * h->size : 256;
        struct held_item *more = reallocarray(h->items, size, sizeof *more);
        if (!more)
            return false;
        h->items = more;
        h->size = size;
    }
    struct held_item item = {due, h->order++, f};
    size_t i = h->n++;
    while (i > 0 && before(&item, &h->items[(i - 1) / 4])) {
        h->items[i] = h->items[(i - 1) / 4];
        i = (i - 1) / 4;
    }
    h->items[i] = item;
    return true;
}

struct frame *held_take(struct held *h)
{
    struct frame *first = h->items[0].frame;
    struct held_item last = h->items[--h->n];
    size_t i = 0;
    for (;;) {
        size_t child = 4 * i + 1, least = child;
        if (child >= h->n)
            break;
        size_t end = child + 4 < h->n ? child + 4 : h->n;
        for (size_t c = child + 1; c < end; c++)
            if (before(&h->items[c], &h->items[least]))
                least = c;
        if (!before(&h->items[least], &last))
            break;
        h->items[i] = h->items[least];
        i = least;
    }
    h->items[i] = last;
    return first;
}
