/* A list of effects. */
#include "sim/model/effect.h"

#include <stdlib.h>

void effects_add(struct effects *e, const struct effect *one)
{
    if (e->n == e->room) {
        e->room = e->room ? 2 * e->room : 8;
        e->items = reallocarray(e->items, e->room, sizeof *e->items);
        if (!e->items)
            abort();
    }
    e->items[e->n++] = *one;
}

void effects_done(struct effects *e)
{
    free(e->items);
    *e = (struct effects){0};
}
