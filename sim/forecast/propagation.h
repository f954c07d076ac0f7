/* A change that clients learn of when what they have cached is too old (DNS).
 *
 * Pure functions; nothing is owned. Holds for what is asked for again and again: then what is left of a
 * cached answer's time at the change is uniform in [0, ttl).
 */
#pragma once

#include "sim/base/nsec.h"
#include "sim/base/rng.h"

/* The share of clients that still have the old answer so long after the change. */
double propagation_stale(nsec ttl, nsec since);
/* How long until `share` of the clients have asked anew. */
nsec propagation_until(nsec ttl, double share);
/* How long one client goes on with the old answer. */
nsec propagation_of_one(nsec ttl, struct rng *r);
