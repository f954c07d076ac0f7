/* Cached answers' ages at the change are uniform. */
#include "sim/forecast/propagation.h"

double propagation_stale(nsec ttl, nsec since)
{
    if (since >= ttl)
        return 0;
    return since <= 0 ? 1 : 1 - (double)since / (double)ttl;
}

nsec propagation_until(nsec ttl, double share)
{
    return (nsec)((double)ttl * share + 0.5);
}

nsec propagation_of_one(nsec ttl, struct rng *r)
{
    return (nsec)((double)ttl * rng_unit(r) + 0.5);
}
