/* Pieces of work computed by several threads and handed over in order.
 *
 * A job is so many pieces, numbered from 0; each is computed by one thread in a slot of memory, and
 * delivered to the calling thread in the order of the numbers, whatever the number of threads. So what is
 * written from them is the same. At most a few pieces per thread wait to be delivered.
 *
 * Ownership: what begin() makes belongs to its thread until end(); a piece's slot belongs to the
 * worker that fills it, then to deliver(), then to the next worker.
 */
#pragma once

#include "sim/base/err.h"
#include "sim/base/nsec.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool_job {
    uint64_t first, end; /* pieces first … end - 1 */
    size_t threads;      /* >= 1 */
    void *data;
    /* In the worker's thread. */
    void *(*begin)(void *data);
    void (*end_worker)(void *worker);
    /* Fills the slot (begins zeroed, keeps what it had from earlier pieces); *stop becomes true when it is
     * wanted no more: return 0 then, and the piece is thrown away. */
    int (*compute)(void *worker, uint64_t piece, void **slot, const bool *stop, struct err *err);
    void (*free_slot)(void *slot); /* takes NULL */
    /* In the caller's thread. */
    int (*deliver)(uint64_t piece, void *slot, void *data, struct err *err);
    /* About every tenth of a second; true: stop. May be NULL. */
    bool (*tick)(uint64_t delivered, void *data);
};

/* ret_delivered: pieces delivered, also when stopped or failed. The first failure of a piece, in the
 * order of pieces, is what is returned, after all pieces before it were delivered. */
int pool_run(const struct pool_job *job, uint64_t *ret_delivered, struct err *err);
/* Processors that this process may use. */
size_t pool_processors(void);
