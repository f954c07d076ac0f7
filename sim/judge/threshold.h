/* So many bad answers in a row: the alarm that needs nothing but a probe. The drill's and the forecast's.
 *
 * A value of its owner's; nothing is owned. Fed with what sim/judge decided, in that order.
 */
#pragma once

#include "sim/judge/judge.h"

struct threshold {
    int64_t consecutive, count; /* count: bad ones in a row so far */
    bool firing;
};

enum threshold_change { THRESHOLD_SAME, THRESHOLD_ONSET, THRESHOLD_CLEAR };

/* `e`: JUDGE_DECIDED. ret_at, unless nothing changed: from the end of that observation to when it could
 * be decided. */
enum threshold_change threshold_feed(struct threshold *t, const struct judge_event *e,
                                     struct span *ret_at);
/* Counting begins anew; what fires, fires on. */
void threshold_reset(struct threshold *t);
