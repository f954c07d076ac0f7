/* The queue of pending events of one trial, in the order of 128-bit keys (time, order of insertion), so
 * that events of the same instant come in the order in which they were put in, and nothing about the
 * order depends on floating point, on the machine, or on how they are kept: how is in queue.c.
 *
 * Ownership: queue_done() frees. Times are nanoseconds of virtual time, >= 0. Not for several threads;
 * each has its own. An event is 16 bytes of key and 8 of payload; nothing is allocated per
 * event. Running out of memory ends the program.
 */
#pragma once

#include "sim/base/nsec.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue_event {
    nsec at;
    uint64_t what; /* the caller's */
};

__extension__ typedef unsigned __int128 queue_key;

struct queue_later;

struct queue {
    queue_key *keys; /* the heap: at << 64 | order of insertion; aligned to a cache line */
    uint64_t *what;
    size_t end, room; /* slots 3 … end - 1 are used */
    uint64_t seq;
    uint64_t horizon;          /* earlier events are in the heap, all others wait in `later` */
    size_t crowded;            /* as many in the heap: most of them had better wait */
    struct queue_later *later; /* NULL until the heap was crowded */
};
#define QUEUE_CROWDED 8192
#define QUEUE_INIT ((struct queue){.end = 3, .horizon = UINT64_MAX, .crowded = QUEUE_CROWDED})

void queue_done(struct queue *q);
/* Empties it and begins to number anew: for the next trial. */
void queue_clear(struct queue *q);
void queue_put(struct queue *q, nsec at, uint64_t what);
/* The earliest event, taken out; false when there is none. */
bool queue_take(struct queue *q, struct queue_event *ret);
/* queue_take() and queue_put() in one step, which saves half of the work: the earliest is replaced by
 * (at, what). There must be one. */
void queue_replace(struct queue *q, nsec at, uint64_t what);
/* When the earliest is due; NSEC_INF when there is none. */
nsec queue_next(const struct queue *q);
