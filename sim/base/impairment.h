/* What can be done to packets on their way: the vocabulary that netem and our own engine share.
 *
 * Values, nothing to free but what impairment_table_read() makes; `table` is borrowed. Ratios are in [0, 1]; correlations too. A member
 * that is zero does nothing. Meaning as in tc-netem(8).
 */
#pragma once

#include "sim/base/err.h"
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
 * units of jitter / 8192. */
#define IMPAIR_TABLE_SCALE 8192
#define IMPAIR_TABLE_MAX 16384
struct impair_table {
    const int16_t *values; /* borrowed */
    size_t n;              /* at most IMPAIR_TABLE_MAX */
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
    struct impair_table table; /* IMPAIR_TABLE; for others, if n is 0, made by impairment_table() */
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
    bool keep_order; /* packets with jitter keep their order; netem: by a rate nobody reaches */
};

/* Every number of an impairment that must be in [0, 1], with its name for people. */
struct impairment_ratio {
    const char *name;
    double value;
    bool is_correlation;
};
#define IMPAIRMENT_RATIOS 18
void impairment_ratios(const struct impairment *m, struct impairment_ratio ret[IMPAIRMENT_RATIOS]);

/* How many packets the queue must hold: `limit`, or if that is 0 what can be under way within the
 * longest delay (delay + 4 jitter, and the longest time between slots), so that waiting alone drops
 * nothing, and what may wait for the rate.
 * Without a rate: 1,500,000 packets a second, more than a processor sends on a veth and a line of
 * 1 Gbit/s carries in the smallest frames. With a rate: frames of 64 bytes under way, and 200 ms of
 * the rate in frames of 1,500 bytes waiting. At least 1,000 (64 with a rate), at most 4,000,000. */
uint32_t impairment_limit(const struct impairment *m);

/* The tables that iproute2 ships (/usr/lib/tc/NAME.dist), computed: IMPAIR_TABLE_N values for
 * NORMAL, PARETO (of 3rd degree), PARETONORMAL (a quarter normal, three quarters Pareto), mean 0
 * and standard deviation about 1. Returns how many were written: 0 for UNIFORM and TABLE. Takes
 * about a millisecond: make it once for many. */
#define IMPAIR_TABLE_N 4096
size_t impairment_table(enum impair_distribution d, int16_t ret[IMPAIR_TABLE_N]);

/* A table as tc takes it: lines starting with # and empty ones are skipped, else whole numbers from
 * -32768 to 32767 between blanks, at most IMPAIR_TABLE_MAX, in ascending order or not. `name` is for
 * errors, which name the line. The caller frees *ret. */
int impairment_table_read(const char *name, const char *text, size_t n, int16_t **ret,
                          size_t *ret_n, struct err *err);
