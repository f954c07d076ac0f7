/* netem's options (net/sched/sch_netem.c, linux/pkt_sched.h): from an impairment to the kernel's
 * numbers, to bytes, and back. Private to this room.
 *
 * Values; tables are borrowed from the impairment, or made and freed by netem_put().
 *
 * Shares are 32-bit fractions (0: never, ~0: always), times nanoseconds. Times go out in ticks of
 * 64 ns, as tc(8) sends them; where a time is no multiple of that, or longer than 274.8 s, the exact
 * one follows in 64 bits (Linux 4.14; older ones take the nearest below).
 *
 * What netem cannot do, each refused with a sentence: a jitter above 2.147483647 s (the kernel cuts
 * it), two tables of more than 32,000 values together (an attribute holds 65,535 bytes), a packet
 * overhead below -42 bytes and cells of no bytes (the kernel's sum would wrap).
 */
#pragma once

#include "sim/base/impairment.h"
#include "sim/kernel/nl_req.h"
#include <linux/pkt_sched.h>

struct netem_options {
    int64_t latency, jitter;
    uint32_t limit, gap;
    uint32_t loss, duplicate, reorder, corrupt;
    struct tc_netem_corr correlation;
    uint32_t reorder_correlation, corrupt_correlation;
    uint32_t loss_model; /* NETEM_LOSS_UNSPEC: `loss`; NETEM_LOSS_GI, NETEM_LOSS_GE */
    struct tc_netem_gimodel state;
    struct tc_netem_gemodel gilbert;
    uint64_t rate;
    int32_t packet_overhead, cell_overhead;
    uint32_t cell_size;
    bool ecn, has_seed;
    uint64_t seed;
    struct tc_netem_slot slot;
};

/* -EINVAL, -ERANGE or -EOPNOTSUPP with the sentence. */
int netem_options(const struct impairment *m, struct netem_options *ret, struct err *err);

/* TCA_OPTIONS of `m` into q. anew: parameters that are not asked for are set to nothing, too, for a
 * qdisc that had others (the kernel keeps what it is not told). */
void netem_put(struct nl_req *q, const struct impairment *m, bool anew);
/* Bytes that netem_put() needs at most. */
size_t netem_room(const struct impairment *m);

/* What the kernel tells (without tables); members it does not tell are zero. -EBADMSG: cut off. */
int netem_read(const struct nlattr *options, struct netem_options *ret);
/* True when the kernel holds what was asked; else the first difference in words. */
bool netem_same(const struct netem_options *asked, const struct netem_options *seen,
                struct err *err);

#ifndef TCA_NETEM_PRNG_SEED /* Linux 6.6; an enum there, so this is only for older headers */
#define TCA_NETEM_PRNG_SEED (TCA_NETEM_SLOT_DIST + 1)
#endif
