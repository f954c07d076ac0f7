/* A ring of counts, each of a part of time: part number at / width.
 *
 * Invariants: `good` and `bad` are the sums of the ring; the parts in it are (newest - parts, newest];
 * all outside are 0. */
#include "sim/judge/window.h"

#include <stdlib.h>
#include <string.h>

struct part {
    uint32_t good, bad;
};

struct window {
    nsec length, every, width;
    int64_t parts, newest;
    nsec first, last; /* NSEC_UNSET: no answer yet */
    uint64_t good, bad;
    struct part *ring;
};

struct window *window_new(nsec length, nsec every)
{
    struct window *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    nsec finest = (length + WINDOW_PARTS - 1) / WINDOW_PARTS;
    w->length = length;
    w->every = every;
    w->width = every < length && every > finest ? every : finest;
    w->parts = (length + w->width - 1) / w->width;
    w->ring = calloc((size_t)w->parts, sizeof *w->ring);
    if (!w->ring)
        abort();
    window_reset(w);
    return w;
}

struct window *window_free(struct window *w)
{
    if (w)
        free(w->ring);
    free(w);
    return NULL;
}

void window_reset(struct window *w)
{
    memset(w->ring, 0, (size_t)w->parts * sizeof *w->ring);
    w->first = w->last = NSEC_UNSET;
    w->good = w->bad = 0;
    w->newest = 0;
}

/* Where the ring's part of that number is. */
static struct part *part_of(struct window *w, int64_t number)
{
    int64_t at = number % w->parts;
    return &w->ring[at < 0 ? at + w->parts : at];
}

static void forget(struct window *w, int64_t number)
{
    struct part *p = part_of(w, number);
    w->good -= p->good;
    w->bad -= p->bad;
    *p = (struct part){0};
}

void window_add(struct window *w, nsec at, bool bad)
{
    int64_t number = at / w->width - (at % w->width < 0);
    if (!nsec_is_set(w->first)) {
        w->first = at;
        w->newest = number;
    }
    for (int64_t gone = 0; w->newest < number && gone < w->parts; gone++)
        forget(w, ++w->newest);
    w->newest = number;
    w->last = at;
    struct part *p = part_of(w, number);
    if (bad) {
        p->bad++;
        w->bad++;
    } else {
        p->good++;
        w->good++;
    }
}

nsec window_length(const struct window *w)
{
    return w->length;
}

double window_ratio(const struct window *w)
{
    if (!w->bad)
        return 0;
    nsec before = nsec_sub(w->first, nsec_sub(w->last, w->length)); /* of it, before the first */
    uint64_t missing = before > 0 ? (uint64_t)((before - 1) / w->every) : 0;
    return (double)w->bad / (double)(w->good + w->bad + missing);
}
