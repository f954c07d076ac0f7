/* So many bad answers in a row. */
#include "sim/judge/threshold.h"

enum threshold_change threshold_feed(struct threshold *t, const struct judge_event *e,
                                     struct span *ret_at)
{
    bool was = t->firing;
    if (e->obs.verdict == JUDGE_UNKNOWN)
        return THRESHOLD_SAME;
    if (e->obs.verdict == JUDGE_GOOD) {
        t->count = 0;
        t->firing = false;
        if (!was)
            return THRESHOLD_SAME;
    } else if (++t->count == t->consecutive) {
        t->firing = true;
    } else {
        return THRESHOLD_SAME;
    }
    *ret_at = (struct span){e->obs.end, e->at > e->obs.end ? e->at : e->obs.end};
    return t->firing ? THRESHOLD_ONSET : THRESHOLD_CLEAR;
}

void threshold_reset(struct threshold *t)
{
    t->count = 0;
}
