/* What differs between two snapshots of one place, and whose it is. Pure: what stands there was read by
 * others.
 *
 * Ours is a new line that bears our name, and any line, new or gone, that a touch means (injectors/touch.h);
 * but what hung on a device that is no more is others' (we delete none of theirs), and so is what we made
 * and they use by now (touch_unless()).
 *
 * Ownership: everything is borrowed.
 */
#pragma once

#include "sim/kernel/snapshot.h"
#include <jansson.h>

struct difference {
    const char *host; /* for the texts; NULL: this machine */
    const char *run;  /* the id of the run; NULL: not known */
    const struct snapshot *before, *after;
    const struct snapshot *all;   /* `after`, of which that may be a part */
    const json_t *const *touches; /* those of this place */
    size_t n_touches;
};

/* Adds texts to `left` and `others`: "host edge: new: …", "host edge: not back: …" (ours), "gone: …"
 * (others'). True: nothing differs. */
bool difference_tell(const struct difference *d, json_t *left, json_t *others);
