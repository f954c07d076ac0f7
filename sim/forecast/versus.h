/* A system against another one over the same trials: what a change would bring.
 *
 * Both samples have the trials of one seed, so most of what chance does is the same in both (common random
 * numbers) and differences are estimated much better than either side. Pure; nothing is owned.
 */
#pragma once

#include "sim/forecast/estimate.h"
#include "sim/forecast/sample.h"

/* One service in one sample. */
struct versus_numbers {
    size_t trials, hit;
    bool has_rto;
    struct estimate within; /* P(restored within the RTO) */
    nsec ttr_median,
        ttr_q90;    /* over the trials in which it was hit; NSEC_INF: not within the horizon;
                               * NSEC_UNSET: never hit */
    size_t noticed; /* of those with a time to detect or without one to the end */
    size_t notice_due;
    nsec ttd_median, ttd_q90; /* NSEC_INF: not noticed */
    double ttd_mean;          /* ns, of the noticed ones; NAN */
    uint64_t false_alarms;
    struct estimate false_alarm; /* trials with one or more */
};
/* `at`: which of the kept services. */
void versus_count(const struct sample *s, size_t at, const struct service *promise,
                  struct versus_numbers *ret);

struct versus {
    struct estimate within; /* difference of P(within), second minus first; paired */
    struct estimate ttr;    /* second median / first median; NAN where one has none */
};
/* -EINVAL: they have not the same number of trials. */
int versus_compare(const struct sample *first, const struct sample *second, size_t at,
                   const struct service *promise, struct versus *ret, struct err *err);
