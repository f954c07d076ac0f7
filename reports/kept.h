/* What a service kept doing while a fault was in force: its share of good answers, and how long they
 * took. Definitions: docs/measures.md, "While a fault is in force".
 *
 * The window is every instant at which a fault of the trial was in force: from the first request of
 * each to the first request of its undoing (a fault that is never undone: to the end of observation).
 * A probe belongs to it by its actual start. The probes made are counted whole, so nothing is
 * estimated; what widens the numbers is what is not known: unknown probes are once all good and
 * fast, once all bad and slow, and the latency of each lies between its actual start and the
 * scheduled one (an answer that had to wait for the prober was late for a user too).
 */
#pragma once

#include "reports/watched.h"

/* Needs of the trial: faults, watched. */
struct kept kept_find(struct result *r, const struct trial *t, const struct watched *w, size_t w_n);

/* True when this many probes can tell such a share from less: one bad one more would break it. 100 % can
 * always be told. */
bool kept_can_tell(size_t probes, double share);
