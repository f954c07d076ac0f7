/* Stamps of the wall clock on the monotonic one. */
#include "sim/watch/stamp.h"

#define STEP_FLOOR NSEC_MSEC /* besides what slewing may do: adjtimex(2) allows 500 ppm */

struct stamp_offset stamp_sample(void)
{
    struct stamp_offset best = {0};
    for (int i = 0; i < 3; i++) { /* the narrowest of a few: we may be interrupted in between */
        nsec m1 = nsec_now(CLOCK_MONOTONIC), r = nsec_now(CLOCK_REALTIME);
        nsec m2 = nsec_now(CLOCK_MONOTONIC);
        if (i == 0 || m2 - m1 < best.hi - best.lo)
            best = (struct stamp_offset){r - m2, r - m1, m2};
    }
    return best;
}

void stamp_start(struct stamp_clock *c, struct stamp_offset first)
{
    c->now = c->before = first;
}

nsec stamp_next(struct stamp_clock *c, struct stamp_offset o)
{
    c->before = c->now;
    c->now = o;
    nsec slewed = STEP_FLOOR + (c->now.at - c->before.at) / 1000;
    /* The intervals' nearest ends: a wide sample alone is no step. */
    nsec up = c->now.lo - c->before.hi, down = c->now.hi - c->before.lo;
    return up > slewed ? up : down < -slewed ? down : 0;
}

struct span stamp_when(const struct stamp_clock *c, nsec wall, nsec now)
{
    nsec hi = c->before.hi > c->now.hi ? c->before.hi : c->now.hi;
    nsec lo = c->before.lo < c->now.lo ? c->before.lo : c->now.lo;
    struct span at = {wall - hi, wall - lo};
    if (at.hi > now)
        at.hi = now;
    if (at.lo > at.hi)
        at.lo = at.hi;
    return at;
}
