/* Chance pushed towards what hardly ever happens, and how much each trial is worth then: importance sampling by
 * a defensive mixture, so that no weight exceeds 1 / TILT_NOMINAL.
 *
 * A tenth of the trials are as they are. In the others each stream of a tilted quantity is, by chance: as it is;
 * one whose first number lies above the quantity's `edge` (it does not work, nobody answers); or one whose second
 * number (how long it takes) lies in one of the tails, all decades of which are as likely as each other. Since a
 * stream's numbers are a permutation of its key, a stream with a wanted number is found by going back. The weight
 * is the density of the untilted numbers over that of the mixture, so nothing is assumed about what is made
 * of them. Owen and Zhou, JASA 95 (2000).
 *
 * Ownership: the edges are borrowed; a tilt is a plain value, one thread's.
 */
#pragma once

#include "sim/base/rng.h"

#include <stdbool.h>
#include <stddef.h>

#define TILT_NOMINAL 0.1
#define TILT_STREAMS 64 /* of a trial; further ones stay as they are */

struct tilt_seen {
    size_t quantity;
    uint64_t number;
    struct rng stream;
};

struct tilt {
    /* Per quantity: < 0: not tilted; in [0, 1): first numbers at or above it are rare events; 1: none are. */
    const double *edges;
    struct rng rng;
    bool nominal;
    double density; /* of the tilted over the untilted numbers, so far */
    struct tilt_seen seen[TILT_STREAMS];
    size_t seen_n;
};

/* Before each trial. */
void tilt_begin(struct tilt *t, const double *edges, uint64_t seed, uint64_t trial);
/* The stream that stands for `nominal`; the same one each time it is asked for. */
struct rng tilt_stream(struct tilt *t, size_t quantity, uint64_t number, struct rng nominal);
/* What the trial counts, once all streams were asked for: at most 1 / TILT_NOMINAL. */
double tilt_weight(const struct tilt *t);
