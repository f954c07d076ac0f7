/* Several vantage points, each beyond its threshold or not: an alarm when so many of them are at once.
 *
 * A value of its owner's; nothing is owned. Fed with the changes of all of them in the order of time.
 */
#pragma once

#include "sim/judge/threshold.h"

struct quorum {
    int64_t at_least, beyond; /* beyond: so many are now */
};

enum threshold_change quorum_feed(struct quorum *q, enum threshold_change of_one);
