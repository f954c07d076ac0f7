/* Losses that come in bursts: what a chain of states, as netem and our engine run it, does on average.
 *
 * Values, nothing to free. Pure. A packet is lost by the state it meets; then the chain moves. Source of
 * the four states: tc-netem(8), sch_netem.c.
 */
#pragma once

#include "sim/base/impairment.h"

struct chain {
    double loss;         /* share of packets */
    double burst;        /* mean length of a run of lost packets; 0: none is ever lost */
    double burst_spread; /* standard deviation of the same */
    double
        inflation; /* by which the variance of a count of losses exceeds that of independent ones */
};
/* False: not a chain (none, random). */
bool chain_of(const struct impair_loss *l, struct chain *ret);
