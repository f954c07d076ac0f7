/* The fate of each packet of a line: when it leaves, or whether at all. Pure: no clock, no packets;
 * times come in and go out (CLOCK_MONOTONIC or virtual).
 *
 * Ownership: fate_new() … fate_free(); nothing is borrowed after fate_new() returned.
 *
 * The order of decisions is that of netem's enqueue: duplicate, lose (or mark), corrupt, then either
 * go at once (reorder) or be delayed; a duplicate meets a fate of its own, but is not duplicated
 * again. With a rate a packet leaves its own time on the line after the last one before it. Slots
 * hold back what is due until the next slot opens: fate_slot().
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/base/impairment.h"

struct fate;

struct fate_of {
    bool lost; /* the rest does not matter, but `duplicated` */
    bool duplicated;
    bool mark;      /* congestion experienced, instead of being lost */
    bool corrupted; /* one bit: `where` of [0, 2^32) of the frame's bits */
    bool at_once;   /* reordered: leaves before all that wait */
    uint32_t where;
    nsec due; /* of at_once: `arrival` */
};

/* -EINVAL with the reason: values out of range, or that mean nothing together. */
int fate_check(const struct impairment *what, struct err *err);
/* The same errors. seed: unless `what` has one. */
int fate_new(const struct impairment *what, uint64_t seed, struct fate **ret, struct err *err);
struct fate *fate_free(struct fate *f); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct fate, fate_free);

/* The next packet: `len` bytes with its link header, arrived at `arrival`; markable: its header says
 * ECN-capable; copy: it is a duplicate. */
struct fate_of fate_draw(struct fate *f, nsec arrival, size_t len, bool markable, bool copy);

/* Whether a packet that is due may leave now (0), or when the next slot opens. Slots are asked in
 * order of due time; a packet that may leave takes its place in the slot. */
nsec fate_slot(struct fate *f, nsec due, nsec now, size_t len);

/* True when each packet of a large frame must meet a fate of its own. */
bool fate_is_per_packet(const struct impairment *what);
/* No packet is due sooner after its arrival, and when it is looked at does not matter until then. */
nsec fate_least(const struct impairment *what);
/* True when only loss and duplication were asked for (and neither ECN). */
bool fate_is_momentary(const struct impairment *what);
/* The model of loss and the odds of duplication by themselves, as thresholds. */
struct chance_loss;
struct chance_odds;
void fate_chances(const struct impairment *what, uint64_t *source, struct chance_loss *ret_loss,
                  struct chance_odds *ret_duplicate);
