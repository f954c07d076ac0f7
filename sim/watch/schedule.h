/* An absolute schedule: first, first + every, first + 2 * every … Values, no clock of its own. */
#pragma once

#include "sim/base/nsec.h"

struct schedule {
    nsec first, every;
    int64_t slot; /* the next to be taken */
};

/* When the next slot is due. */
nsec schedule_next(const struct schedule *s);
/* Takes the next slot at `now` (not before it is due), and leaves out those that are overdue as
 * well
 * (*ret_skipped of them): what was held up is not made up for. Returns the time of the slot taken.
 */
nsec schedule_take(struct schedule *s, nsec now, int64_t *ret_skipped);
