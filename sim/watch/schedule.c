/* Slots of an absolute schedule. */
#include "sim/watch/schedule.h"

nsec schedule_next(const struct schedule *s)
{
    return s->first + s->slot * s->every;
}

nsec schedule_take(struct schedule *s, nsec now, int64_t *ret_skipped)
{
    nsec at = schedule_next(s);
    int64_t passed = now > at ? (now - at) / s->every : 0;
    s->slot += passed + 1;
    *ret_skipped = passed;
    return at;
}
