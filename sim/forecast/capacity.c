/* A fluid: arrivals and answers at constant rates. Queues within a second are not in it. */
#include "sim/forecast/capacity.h"

#include <math.h>

double capacity_load(double load, double share)
{
    return share > 0 ? load / share : HUGE_VAL;
}

double capacity_load_of(double load, int64_t n, int64_t failed)
{
    return capacity_load(load, (double)(n - failed) / (double)n);
}

double capacity_attempts(double failing, int64_t retries)
{
    if (failing >= 1)
        return (double)retries + 1;
    double sum = 0, power = 1; /* the sum itself: no powers of a library's */
    for (int64_t i = 0; i <= retries && power > 0x1p-60; i++) {
        sum += power;
        power *= failing;
    }
    return sum;
}

nsec capacity_drain(nsec outage, double load, int64_t retries)
{
    if (outage <= 0 || load <= 0)
        return 0;
    if (load >= 1)
        return NSEC_INF;
    double t = (double)outage * capacity_attempts(1, retries) * load / (1 - load);
    return t < 0x1p62 ? (nsec)(t + 0.5) : NSEC_INF;
}
