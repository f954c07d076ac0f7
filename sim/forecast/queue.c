/* A 4-ary heap of the next events; where there are many, the others wait, unsorted, in buckets of time.
 *
 * Heap: the root is slot 3 and the children of slot i are 4 i - 8 … 4 i - 5, so that each family
 * of four begins at a multiple of four and its keys fill one cache line. Unused slots hold the
 * greatest key: a family is always whole, and its least member is found without a branch that depends
 * on the keys (a mispredicted one costs more than the comparisons).
 *
 * Buckets: a heap of a million waits for memory at each of its lower levels. Once it is crowded all is
 * spread over buckets of equal width, from the earliest to the third quartile of a sample, and what is
 * later yet lies beyond. Putting in is then an append, and the heap holds one bucket, poured into it
 * when it is empty. When the last bucket is, what lies beyond is spread in turn. So an event is moved
 * a few times, whatever their number. Where times defy this (most of them in one bucket, or all put in
 * before the horizon) the heap grows, and costs what a heap costs.
 *
 * Invariant: the heap's times < horizon <= the times of all that wait; and it is empty only when none
 * waits. */
#include "sim/forecast/queue.h"

#include <stdlib.h>
#include <string.h>

#define ROOT 3
#define FIRST_CHILD(i) (4 * (i)-8)
#define PARENT(i) ((i) / 4 + 2)
#define GREATEST (~(queue_key)0)
#define LINE 64
#define NO_HORIZON UINT64_MAX
#define NONE UINT32_MAX

enum { BUCKETS = 1024, BLOCK = 32, SAMPLE = 64 };

struct block {
    queue_key keys[BLOCK];
    uint64_t what[BLOCK];
    uint32_t before; /* of the chain, or of those that are free; NONE */
};

struct chain { /* events in no order; all blocks but the last are full */
    uint32_t last;
    size_t n;
};

struct queue_later {
    struct block *blocks;
    uint32_t used, room, freed; /* blocks[0 … used - 1] were handed out; freed: given back */
    size_t n;
    struct chain buckets[BUCKETS], beyond;
    uint64_t start, end; /* buckets: from, up to */
    unsigned shift;      /* a bucket is 2^shift ns wide */
    size_t next;         /* the first bucket that was not poured yet */
};

static uint64_t time_of(queue_key key)
{
    return (uint64_t)(key >> 64);
}

/* -- those that wait -- */

static void later_clear(struct queue_later *l)
{
    for (size_t i = 0; i < BUCKETS; i++)
        l->buckets[i] = (struct chain){.last = NONE};
    l->beyond = (struct chain){.last = NONE};
    l->used = 0;
    l->freed = NONE;
    l->n = 0;
    l->start = l->end = 0;
    l->next = BUCKETS;
}

static uint32_t new_block(struct queue_later *l)
{
    if (l->freed != NONE) {
        uint32_t b = l->freed;
        l->freed = l->blocks[b].before;
        return b;
    }
    if (l->used == l->room) {
        l->room = l->room ? 2 * l->room : 2 * BUCKETS;
        struct block *blocks = reallocarray(l->blocks, l->room, sizeof *blocks);
        if (!blocks)
            abort();
        l->blocks = blocks;
    }
    return l->used++;
}

static void append(struct queue_later *l, struct chain *c, queue_key key, uint64_t what)
{
    size_t at = c->n++ % BLOCK;
    if (at == 0) {
        uint32_t b = new_block(l);
        l->blocks[b].before = c->last;
        c->last = b;
    }
    struct block *b = &l->blocks[c->last];
    b->keys[at] = key;
    b->what[at] = what;
}

/* The chain's last block and how many it holds; that is given back, and may be read until the next
 * append(). */
static const struct block *cut(struct queue_later *l, struct chain *c, size_t *ret_n)
{
    uint32_t last = c->last;
    struct block *b = &l->blocks[last];
    *ret_n = (c->n - 1) % BLOCK + 1;
    c->n -= *ret_n;
    c->last = b->before;
    b->before = l->freed;
    l->freed = last;
    return b;
}

static void wait_for(struct queue_later *l, queue_key key, uint64_t what)
{
    uint64_t at = time_of(key);
    l->n++;
    append(l, at >= l->end ? &l->beyond : &l->buckets[(at - l->start) >> l->shift], key, what);
}

static int by_time(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The earliest of a chain, and the third quartile of a sample of it. */
static uint64_t quartile(const struct queue_later *l, const struct chain *c, uint64_t *ret_earliest)
{
    uint64_t sample[SAMPLE], earliest = UINT64_MAX;
    size_t every = c->n / SAMPLE + 1, seen = 0, n = 0;
    for (uint32_t b = c->last; b != NONE; b = l->blocks[b].before) {
        size_t in = b == c->last ? (c->n - 1) % BLOCK + 1 : BLOCK;
        for (size_t i = 0; i < in; i++, seen++) {
            uint64_t at = time_of(l->blocks[b].keys[i]);
            if (at < earliest)
                earliest = at;
            if (seen % every == 0)
                sample[n++] = at;
        }
    }
    qsort(sample, n, sizeof *sample, by_time);
    *ret_earliest = earliest;
    return sample[n * 3 / 4];
}

/* What lies beyond, into buckets, which are empty. */
static void spread(struct queue_later *l)
{
    uint64_t upto = quartile(l, &l->beyond, &l->start);
    l->shift = 0;
    while ((upto - l->start) >> l->shift >= BUCKETS)
        l->shift++;
    l->end = l->start + ((uint64_t)BUCKETS << l->shift);
    l->next = 0;
    struct chain all = l->beyond;
    l->beyond = (struct chain){.last = NONE};
    l->n -= all.n;
    while (all.n) {
        size_t n;
        struct block b = *cut(l, &all, &n);
        for (size_t i = 0; i < n; i++)
            wait_for(l, b.keys[i], b.what[i]);
    }
}

/* -- the heap -- */

void queue_done(struct queue *q)
{
    free(q->keys);
    free(q->what);
    if (q->later)
        free(q->later->blocks);
    free(q->later);
    *q = QUEUE_INIT;
}

void queue_clear(struct queue *q)
{
    for (size_t i = ROOT; i < q->end; i++)
        q->keys[i] = GREATEST;
    q->end = ROOT;
    q->seq = 0;
    q->horizon = NO_HORIZON;
    q->crowded = QUEUE_CROWDED;
    if (q->later && q->later->used)
        later_clear(q->later);
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

static void rise(struct queue *q, queue_key key, uint64_t what)
{
    if (q->end + 4 > q->room) /* the last family is whole */
        grow(q);
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

/* The heap is empty and others wait: the next bucket. */
static void pour(struct queue *q)
{
    struct queue_later *l = q->later;
    while (l->next == BUCKETS || l->buckets[l->next].n == 0)
        if (l->next == BUCKETS)
            spread(l);
        else
            l->next++;
    struct chain *c = &l->buckets[l->next++];
    l->n -= c->n;
    q->horizon = l->n ? l->start + ((uint64_t)l->next << l->shift) : NO_HORIZON;
    while (c->n) {
        size_t n;
        const struct block *b = cut(l, c, &n);
        for (size_t i = 0; i < n; i++)
            rise(q, b->keys[i], b->what[i]);
    }
}

/* The heap is crowded: all of it waits, and is spread anew with those that wait already, unless they
 * are more. */
static void thin(struct queue *q)
{
    if (!q->later) {
        q->later = malloc(sizeof *q->later);
        if (!q->later)
            abort();
        q->later->blocks = NULL;
        q->later->room = 0;
        later_clear(q->later);
    }
    struct queue_later *l = q->later;
    if (q->end - ROOT < l->n)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (l->buckets[i].n) {
            size_t n;
            struct block b = *cut(l, &l->buckets[i], &n);
            for (size_t j = 0; j < n; j++)
                append(l, &l->beyond, b.keys[j], b.what[j]);
        }
    for (size_t i = ROOT; i < q->end; i++) {
        append(l, &l->beyond, q->keys[i], q->what[i]);
        q->keys[i] = GREATEST;
    }
    l->n += q->end - ROOT;
    l->next = BUCKETS;
    q->end = ROOT;
    pour(q);
    size_t left = q->end - ROOT; /* many: it was in vain, and is not tried again soon */
    q->crowded = 2 * left > QUEUE_CROWDED ? 2 * left : QUEUE_CROWDED;
}

void queue_put(struct queue *q, nsec at, uint64_t what)
{
    queue_key key = new_key(q, at);
    if ((uint64_t)at >= q->horizon) {
        wait_for(q->later, key, what);
        return;
    }
    rise(q, key, what);
    if (q->end - ROOT >= q->crowded)
        thin(q);
}

/* The root is not wanted any more. */
static void drop(struct queue *q)
{
    size_t last = --q->end;
    queue_key key = q->keys[last];
    q->keys[last] = GREATEST;
    if (last > ROOT)
        settle(q, key, q->what[last]);
    else if (q->horizon != NO_HORIZON)
        pour(q);
}

bool queue_take(struct queue *q, struct queue_event *ret)
{
    if (q->end == ROOT)
        return false;
    *ret = (struct queue_event){.at = (nsec)time_of(q->keys[ROOT]), .what = q->what[ROOT]};
    drop(q);
    return true;
}

void queue_replace(struct queue *q, nsec at, uint64_t what)
{
    queue_key key = new_key(q, at);
    if ((uint64_t)at < q->horizon) {
        settle(q, key, what);
        return;
    }
    wait_for(q->later, key, what);
    drop(q);
}

nsec queue_next(const struct queue *q)
{
    return q->end > ROOT ? (nsec)time_of(q->keys[ROOT]) : NSEC_INF;
}
