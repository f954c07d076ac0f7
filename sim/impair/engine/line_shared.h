/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only
 *
 * What the eBPF program and the runner share: the layout of its maps. Values. */
#pragma once

#include "sim/impair/engine/chance.h"

#define LINE_MAX 1024 /* ids of lines are below */
#define LINE_MARK 0x62735245u

/* In front of a frame on its way to the engine's process. */
struct line_stamp {
    __u64 at; /* CLOCK_MONOTONIC */
    __u32 id;
    __u32 unused;
};

/* The only entry of `switches`, mapped by the runner: switching is one store. And by the engine's
 * process: past `until`, which it puts off while it lives, packets pass as if nothing were on. */
struct line_switches {
    __u32 on[LINE_MAX];
    __u64 until; /* CLOCK_MONOTONIC */
};
#define LINE_LEASE 250000000ull /* ns: how far it is put off */
/* Lines that only lose and duplicate do not need the process: a while longer, so that a machine that
 * is busy lets nothing through a cut. */
#define LINE_PATIENCE 1750000000ull

struct line_rule {
    __u32 tap;       /* interface */
    __u32 momentary; /* only loses and duplicates: never leaves the kernel */
    __u32 ingress;
    __u32 cuts; /* a large frame counts as its packets */
};

#ifdef LINE_LOCK /* struct bpf_spin_lock, or 32 bits */
struct line_state {
    LINE_LOCK lock;
    __u32 unused;
    __u64 source; /* of chance */
    struct chance_loss loss;
    struct chance_odds duplicate;
    __u64 matched, passed, lost, duplicated;
    __u64 broken; /* lost: no room for the stamp */
    __u64 spared; /* passed because the process did not live; not among `matched` */
};
#endif
