/* What can be done to packets on their way: the vocabulary that netem and our own engine share.
 *
 * Values, nothing to free; `table` is borrowed. Ratios are in [0, 1]; correlations too. A member
 * that is zero does nothing. Meaning as in tc-netem(8).
 */
#pragma once

#include "sim/base/nsec.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum impair_distribution {
    IMPAIR_UNIFORM, /* the kernel's own when no table is given */
    IMPAIR_NORMAL,
    IMPAIR_PARETO,
    IMPAIR_PARETONORMAL,
    IMPAIR_TABLE, /* the user's own, as in /usr/lib/tc/NAME.dist */
};

/* An inverse cumulative distribution as netem takes it: n samples at equal steps of probability, in
 * units of jitter / 8192 (NETEM_DIST_SCALE). */
struct impair_table {
    const int16_t *values; /* borrowed */
    size_t n;              /* at most 16384 */
};

enum impair_loss_kind {
    IMPAIR_LOSS_NONE,
    IMPAIR_LOSS_RANDOM,
    IMPAIR_LOSS_GILBERT_ELLIOTT,
    IMPAIR_LOSS_STATE, /* the 4-state Markov chain */
};

struct impair_loss {
    enum impair_loss_kind kind;
    double ratio, correlation; /* RANDOM */
    /* GILBERT_ELLIOTT: per packet from good to bad, from bad to good; delivery in bad (h), loss in
     * good (1 - k). `h` and `k` are stored as tc takes them: 1-h and 1-k are losses. */
    double p, r, one_minus_h, one_minus_k;
    /* STATE: transition probabilities as in tc-netem(8) */
    double p13, p31, p32, p23, p14;
};

struct impair_slot {
    nsec min, max; /* the waiting between two slots: uniform */
    /* or, when `distributed`, delay ± jitter by a distribution */
    bool distributed;
    nsec delay, jitter;
    enum impair_distribution distribution;
    struct impair_table table;
    int32_t packets, bytes; /* at most that many in one slot; 0: no limit */
};

struct impairment {
    nsec delay, jitter;
    double delay_correlation;
    enum impair_distribution distribution;
    struct impair_table table; /* IMPAIR_TABLE; else made from the distribution */
    struct impair_loss loss;
    double duplicate, duplicate_correlation;
    double corrupt, corrupt_correlation;
    double reorder, reorder_correlation; /* that share goes at once; needs a delay */
    uint32_t gap;                        /* only every gap-th packet may be reordered */
    uint64_t rate;                       /* bytes per second; 0: no limit */
    int32_t packet_overhead;             /* bytes added to each packet; may be negative */
    uint32_t cell_size;
    int32_t cell_overhead;
    bool has_slot;
    struct impair_slot slot;
    bool ecn;       /* mark instead of losing, where the packet allows */
    uint32_t limit; /* packets; 0: from delay × rate, impairment_limit() */
    bool has_seed;
    uint64_t seed;
    /* Our own engine only, where netem has no word for it: packets with jitter keep their order. */
    bool keep_order;
};
