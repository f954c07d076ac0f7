/* Streams of stamped UDP datagrams, and what became of each: delay, loss, copies, order, damage.
 *
 * All streams of a set are sent by one forked child, each on its schedule, and received here at the
 * same time. Delay: from the sender's CLOCK_MONOTONIC before send(2) to the receiving kernel's stamp.
 *
 * Ownership: the caller makes the sockets (connected; bound) and closes them; stream_run() makes
 * `packets`, stream_done() frees them.
 */
#pragma once

#include "sim/base/nsec.h"

struct stream_packet {
    nsec sent;            /* 0: the sender's stamp never arrived */
    nsec got;             /* the first copy */
    uint32_t copies;      /* 0: lost */
    uint32_t order;       /* how many datagrams of this stream came before the first copy */
    bool damaged, marked; /* marked: congestion experienced (stream_ecn()) */
};

struct stream {
    int tx, rx;
    size_t n, size; /* datagrams; bytes of payload, at least STREAM_SIZE_MIN */
    nsec interval;  /* 0: as fast as it goes */
    struct stream_packet *packets;
    size_t came; /* datagrams, copies included */
    nsec first_got, last_got;
};
#define STREAM_SIZE_MIN 32 /* damage within these bytes makes a datagram a lost one */

/* From now on its datagrams can be marked (IPv4), and say so where they come. */
void stream_ecn(struct stream *s);
/* 0, or -1 with errno. Ends `grace` after the last datagram was sent. */
int stream_run(struct stream *s, size_t n, nsec grace);
void stream_done(struct stream *s);

size_t stream_lost(const struct stream *s);
size_t stream_doubled(const struct stream *s);
size_t stream_damaged(const struct stream *s);
size_t stream_marked(const struct stream *s);
/* Datagrams that came after one that was sent later. */
size_t stream_overtaken(const struct stream *s);
/* Datagrams whose delay was less than that. */
size_t stream_sooner(const struct stream *s, nsec delay);
/* Delays of those that came, sorted or in order of sending; the caller frees. */
double *stream_delays(const struct stream *s, bool sorted, size_t *ret_n);
/* At share q in [0, 1] of sorted values. */
double stream_quantile(const double *sorted, size_t n, double q);
/* Kolmogorov's distance between sorted values and a reference given by its quantiles at
 * (i + 0.5) / m. */
double stream_distance(const double *sorted, size_t n, const double *quantiles, size_t m);
/* Of pairs of neighbours, both of which came. */
double stream_correlation(const struct stream *s);
