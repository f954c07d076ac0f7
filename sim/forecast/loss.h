/* What is lost when a service comes back from a copy: the age of the newest state that it comes back to.
 *
 * Pure functions of the random numbers; nothing is owned. Durations: the loss is what was written so long
 * before the fault.
 */
#pragma once

#include "sim/base/rng.h"
#include "sim/model/assumption.h"

/* Back to the newest backup that was complete at the fault: consistent at its start, usable at its end,
 * begun every so often, at a phase that has nothing to do with the fault. NSEC_INF: there is none (each of
 * the last 10,000 took longer than it is old). */
nsec loss_of_backup(const struct backup *b, struct rng *r);
/* On to a replica that lagged behind; without a lag nothing is lost (synchronous). */
nsec loss_of_replication(const struct replication *p, struct rng *r);
/* By what the model says: a replica if there is one, else the backup; NSEC_UNSET: it says nothing. */
nsec loss_of(const struct service_model *m, struct rng *r);
/* How many writes that are. */
double loss_writes(nsec loss, double per_second);
