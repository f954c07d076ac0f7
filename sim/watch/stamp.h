/* From CLOCK_REALTIME stamps of the kernel to CLOCK_MONOTONIC, with what is not known about it.
 *
 * Values, nothing to free. A stamp was taken between the last two samples of the offset between
 * both clocks; whatever the wall clock did in between (slewing, being set) lies between both
 * offsets.
 */
#pragma once

#include "sim/base/nsec.h"

struct stamp_offset { /* CLOCK_REALTIME - CLOCK_MONOTONIC lies in [lo, hi], sampled at (monotonic)
                       */
    nsec lo, hi, at;
};

struct stamp_clock {
    struct stamp_offset now, before; /* the last two samples */
};

struct stamp_offset stamp_sample(void);
void stamp_start(struct stamp_clock *c, struct stamp_offset first);
/* Takes the next sample. Returns by how much the wall clock was set since the last one; 0: it was
 * not, or by less than slewing and the sampling itself explain (1 ms and 1/1000 of the time). */
nsec stamp_next(struct stamp_clock *c, struct stamp_offset o);
/* When `wall` was, given that it was before `now` (monotonic). */
struct span stamp_when(const struct stamp_clock *c, nsec wall, nsec now);
