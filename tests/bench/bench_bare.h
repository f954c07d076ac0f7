/* The floor of what goes through netlink: messages that were built before, on a bare socket.
 *
 * What our own encoders say is taken from a recording. There every number that only the kernel knows is a
 * hole of zeros, which the caller fills.
 *
 * Ownership: bench_bare_done() ends what the first bench_bare_keep() made.
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/kernel/nl.h"

struct bench_bare {
    struct buf bytes; /* one message behind the other, aligned */
    size_t *at, n;    /* where each begins; at[n]: the end of all */
};
void bench_bare_done(struct bench_bare *b);

/* For nl_observe(); data: a struct bench_bare. */
void bench_bare_keep(const struct nl_seen *s, void *data);
/* Message i, and its length. */
char *bench_bare_message(const struct bench_bare *b, size_t i, size_t *ret_n);
/* Sends messages i to i + n - 1 at once; the last one alone asks for an acknowledgement, which is waited for
 * (the kernel tells of failures unasked). Ends the benchmark when one fails. */
void bench_bare_send(const struct bench_bare *b, size_t i, size_t n, int fd);
