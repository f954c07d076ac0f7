/* 4-ary heap. The root is slot 3 and the children of slot i are 4 i - 8 … 4 i - 5, so that each family
 * of four begins at a multiple of four and its keys fill one cache line. Unused slots hold the
 * greatest key: a family is always whole, and its least member is found without a branch that depends
 * on the keys (a mispredicted one costs more than the comparisons). */
#include "sim/forecast/queue.h"

#include <stdlib.h>
#include <string.h>

#define ROOT 3
#define FIRST_CHILD(i) (4 * (i)-8)
#define PARENT(i) ((i) / 4 + 2)
#define GREATEST (~(queue_key)0)
#define LINE 64

void queue_done(struct queue *q)
{
    free(q->keys);
    free(q->what);
    *q = QUEUE_INIT;
}

void queue_clear(struct queue *q)
{
    for (size_t i = ROOT; i < q->end; i++)
        q->keys[i] = GREATEST;
    q->end = ROOT;
    q->seq = 0;
}

static void grow(struct queue *q)
{
    size_t room = q->room ? 2 * q->room : 64;
    queue_key *keys = aligned_alloc(LINE, room * sizeof *keys);
    uint64_t *what = reallocarray(q->what, room, sizeof *what);
    if (!keys || !what)
        abort();
    if (q->room)
        memcpy(keys, q->keys, q->room * sizeof *keys);
    for (size_t i = q->room; i < room; i++)
        keys[i] = GREATEST;
    free(q->keys);
    q->keys = keys;
    q->what = what;
    q->room = room;
}

static queue_key new_key(struct queue *q, nsec at)
{
    return (queue_key)(uint64_t)at << 64 | q->seq++;
}

void queue_put(struct queue *q, nsec at, uint64_t what)
{
    if (q->end + 4 > q->room) /* the last family is whole */
        grow(q);
    queue_key key = new_key(q, at);
    size_t i = q->end++;
    while (i > ROOT && q->keys[PARENT(i)] > key) {
        q->keys[i] = q->keys[PARENT(i)];
        q->what[i] = q->what[PARENT(i)];
        i = PARENT(i);
    }
    q->keys[i] = key;
    q->what[i] = what;
}

/* The root is free: what belongs there moves up, until `key` finds its place. */
static void settle(struct queue *q, queue_key key, uint64_t what)
{
    queue_key *k = q->keys;
    size_t i = ROOT;
    for (size_t c; (c = FIRST_CHILD(i)) < q->end;) {
        size_t a = c + (k[c + 1] < k[c]), b = c + 2 + (k[c + 3] < k[c + 2]);
        size_t least = k[b] < k[a] ? b : a;
        if (k[least] >= key)
            break;
        k[i] = k[least];
        q->what[i] = q->what[least];
        i = least;
    }
    k[i] = key;
    q->what[i] = what;
}

bool queue_take(struct queue *q, struct queue_event *ret)
{
    if (q->end == ROOT)
        return false;
    *ret = (struct queue_event){.at = (nsec)(q->keys[ROOT] >> 64), .what = q->what[ROOT]};
    size_t last = --q->end;
    queue_key key = q->keys[last];
    q->keys[last] = GREATEST;
    if (last > ROOT)
        settle(q, key, q->what[last]);
    return true;
}

void queue_replace(struct queue *q, nsec at, uint64_t what)
{
    settle(q, new_key(q, at), what);
}

nsec queue_next(const struct queue *q)
{
    return q->end > ROOT ? (nsec)(q->keys[ROOT] >> 64) : NSEC_INF;
}
