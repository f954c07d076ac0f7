/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only
 *
 * Chance in whole numbers: the random source, odds with correlation, and the models of loss. Shared
 * by the eBPF program and the engine's process, so that a line loses alike in both.
 *
 * Values, nothing to free; who draws owns the state. `u32` thresholds are stored in 64 bits: an event
 * happens when a draw of 32 bits is below, so 2^32 is certain.
 *
 * The models are those of tc-netem(8): the state that a packet finds decides its fate, and the same
 * packet moves the chain on. Odds with correlation follow netem's recursion, a draw being the mean of
 * a fresh one and the last one weighted by the correlation, but hold it against a threshold for which
 * the asked share comes out (fate.c computes it). netem compares with the share itself, and so loses
 * far less than asked, because such means crowd around one half.
 */
#pragma once

#include <linux/types.h>

/* The verifier wants no calls while a line is locked. */
#define CHANCE_FN static inline __attribute__((always_inline))

#define CHANCE_CERTAIN (1ull << 32)

/* SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), upper half. */
CHANCE_FN __u32 chance_next(__u64 *source)
{
    __u64 z = (*source += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (__u32)((z ^ (z >> 31)) >> 32);
}

struct chance_odds {
    __u64 below;
    __u32 rho, last; /* correlation in 2^-32; 0: none */
};

CHANCE_FN __u32 chance_draw(__u32 rho, __u32 *last, __u64 *source)
{
    __u64 value = chance_next(source);
    if (!rho)
        return (__u32)value;
    /* Both products are below 2^64 - 2^33, but their sum needs a bit more: halves first. */
    __u64 r = (__u64)rho + 1;
    __u64 mixed = ((value * (CHANCE_CERTAIN - r)) >> 1) + (((__u64)*last * r) >> 1);
    *last = (__u32)(mixed >> 31);
    return *last;
}

CHANCE_FN int chance_happens(struct chance_odds *o, __u64 *source)
{
    return o->below && chance_draw(o->rho, &o->last, source) < o->below;
}

enum chance_loss_kind {
    CHANCE_LOSS_NONE,
    CHANCE_LOSS_RANDOM,
    CHANCE_LOSS_GILBERT_ELLIOTT,
    CHANCE_LOSS_STATE,
};

/* Of the 4-state chain; Gilbert-Elliott uses GAP as good and BURST as bad. */
enum chance_loss_state {
    CHANCE_GAP,   /* 1: delivered in a gap */
    CHANCE_BURST, /* 2: delivered in a burst */
    CHANCE_LOST,  /* 3: lost in a burst */
    CHANCE_ALONE, /* 4: lost in a gap */
};

struct chance_loss {
    __u32 kind, state;
    struct chance_odds random;
    union {
        struct {
            __u64 p, r, bad_loses, good_loses;
        };
        struct {
            __u64 p13, p31, p32, p23, p14;
        };
    };
};

CHANCE_FN int chance_lost_state(struct chance_loss *l, __u64 *source)
{
    __u32 u = chance_next(source);
    switch (l->state) {
    case CHANCE_GAP:
        if (u < l->p14)
            l->state = CHANCE_ALONE;
        else if (u < l->p14 + l->p13)
            l->state = CHANCE_LOST;
        break;
    case CHANCE_BURST:
        if (u < l->p23)
            l->state = CHANCE_LOST;
        break;
    case CHANCE_LOST:
        if (u < l->p32)
            l->state = CHANCE_BURST;
        else if (u < l->p32 + l->p31)
            l->state = CHANCE_GAP;
        break;
    default:
        l->state = CHANCE_GAP;
        break;
    }
    return l->state == CHANCE_LOST || l->state == CHANCE_ALONE;
}

CHANCE_FN int chance_lost(struct chance_loss *l, __u64 *source)
{
    __u32 moves, loses;
    switch (l->kind) {
    case CHANCE_LOSS_RANDOM:
        return chance_happens(&l->random, source);
    case CHANCE_LOSS_GILBERT_ELLIOTT:
        moves = chance_next(source);
        loses = chance_next(source);
        if (l->state == CHANCE_GAP) {
            if (moves < l->p)
                l->state = CHANCE_BURST;
            return loses < l->good_loses;
        }
        if (moves < l->r)
            l->state = CHANCE_GAP;
        return loses < l->bad_loses;
    case CHANCE_LOSS_STATE:
        return chance_lost_state(l, source);
    default:
        return 0;
    }
}
