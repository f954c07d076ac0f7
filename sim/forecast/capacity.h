/* Load against capacity, as a fluid: what is left when units fail, how long a backlog takes, what
 * repeated requests add.
 *
 * Pure functions; nothing is owned. Loads are arrivals / capacity of all units together.
 */
#pragma once

#include "sim/base/nsec.h"
#include <stdint.h>

/* The load of the units that still work, `share` of them; infinite when none does. */
double capacity_load(double load, double share);
/* The load of `n` units, of which `failed` do not work. Safe below 1: load <= (n - failed) / n. */
double capacity_load_of(double load, int64_t n, int64_t failed);
/* How many requests one becomes when each failing one is repeated up to `retries` times:
 * (1 - p^(r+1)) / (1 - p), p = failing. 0 <= failing <= 1. */
double capacity_attempts(double failing, int64_t retries);
/* How long the backlog of an outage takes to work off, beside what goes on arriving. During the outage
 * nothing is answered, and each request waits with its repetitions; afterwards `load` arrives (relative to
 * the capacity that is there while working it off). NSEC_INF when load >= 1. */
nsec capacity_drain(nsec outage, double load, int64_t retries);
