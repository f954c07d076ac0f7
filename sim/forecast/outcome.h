/* What a trial came to for one service, and many of them added up in whole numbers, so that the sum is
 * the same in whatever order and in however many parts it was made.
 *
 * Ownership: an outcome is a plain value. Sums own the steps of their histograms: outcome_sums_done().
 * Running out of memory ends the program.
 */
#pragma once

#include "sim/base/nsec.h"
#include "sim/model/model.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum outcome_kind {
    OUTCOME_IS_VOID,
    OUTCOME_IS_UNAFFECTED,
    OUTCOME_IS_RESTORED,
    OUTCOME_IS_CENSORED
};
enum outcome_by { OUTCOME_BY_NOBODY, OUTCOME_BY_RECOVERY, OUTCOME_BY_HEAL };
extern const char *const outcome_kind_words[]; /* of enum outcome_kind; as in result.json */

/* Durations in ns; NSEC_UNSET: does not apply; NSEC_INF: not within the horizon. True instants of the
 * model where it knows them: impact, onset, restored; whether it counts as down is the judge's word. */
struct outcome {
    unsigned char kind; /* enum outcome_kind */
    unsigned char by;   /* enum outcome_by */
    nsec ttd;           /* impact to the first onset that counts for detect_within (its clock) */
    nsec tta;           /* that onset to the acknowledgement */
    nsec ttr;     /* by the service's rto_clock, longest episode; NSEC_UNSET when unaffected, and
                         * where that clock never started */
    nsec down;    /* all down intervals */
    nsec drained; /* impact to the backlog worked off; NSEC_UNSET: not modelled */
    nsec loss;    /* data loss; NSEC_UNSET: not modelled */
    uint32_t episodes, blips, false_alarms;
    double weight; /* importance sampling; 1 */
};

/* The durations of an outcome, as columns of the record and rows of a report. */
enum outcome_time {
    OUTCOME_TTD,
    OUTCOME_TTA,
    OUTCOME_TTR,
    OUTCOME_DOWN,
    OUTCOME_DRAINED,
    OUTCOME_LOSS,
};
#define OUTCOME_TIMES 6
extern const char *const outcome_time_words[]; /* "ttd", … */
nsec outcome_time(const struct outcome *o, enum outcome_time which);
void outcome_set_time(struct outcome *o, enum outcome_time which, nsec t);

/* What a service promises, as a forecast judges it. */
enum outcome_promise {
    OUTCOME_RTO,
    OUTCOME_DETECT,
    OUTCOME_MAX_DOWNTIME,
    OUTCOME_EXPECT,
    OUTCOME_RPO,
    OUTCOME_MTPD, /* until the backlog is worked off, where that is modelled */
    OUTCOME_NO_OUTAGE,
    OUTCOME_NO_ALARM,
};
#define OUTCOME_PROMISES 8
extern const char *const outcome_promise_words[]; /* "rto", "detect", … as in result.json */

/* Whether one trial kept a promise. Open: the promise's clock never started. */
enum outcome_share {
    OUTCOME_NOT_JUDGED, /* does not apply */
    OUTCOME_WITHIN,
    OUTCOME_MISSED,
    OUTCOME_OPEN,
    OUTCOME_WAS_VOID,
};
#define OUTCOME_SHARES 5

/* NSEC_UNSET for what has no duration. Whether a service promises it at all is outcome_promises(). */
nsec outcome_target(const struct service *s, enum outcome_promise p);
/* Whether this promise is judged for this service of this scenario. */
bool outcome_promises(const struct scenario *sc, const struct service *s, enum outcome_promise p);
enum outcome_share outcome_judge(const struct service *s, enum outcome_promise p,
                                 const struct outcome *o);

__extension__ typedef __int128 outcome_total;

/* A histogram with 512 steps to each power of two: a value's step is at most 0.2 % wide; below 512 it is
 * exact. Steps of a power are there once one is used. */
#define OUTCOME_STEPS 512
#define OUTCOME_POWERS 56

struct outcome_histogram {
    uint32_t *powers[OUTCOME_POWERS];
};

/* One duration over trials: those in which it came to an end are n. */
struct outcome_times {
    uint64_t n, never;     /* never: NSEC_INF; NSEC_UNSET is not counted */
    uint64_t below;        /* of n, those not above 0 */
    outcome_total total;   /* of n */
    outcome_total squares; /* of n, in units of (1024 ns)² */
    nsec least, most;      /* of n; NSEC_UNSET without any */
    struct outcome_histogram steps;
};

/* One service over trials. */
struct outcome_sums {
    uint64_t trials;
    uint64_t kinds[4]; /* by enum outcome_kind */
    uint64_t by[3];    /* by enum outcome_by */
    uint64_t episodes, blips, false_alarms;
    uint64_t noticed_never, not_noticed; /* hit and no onset; of these, restored all the same */
    uint64_t shares[OUTCOME_PROMISES][OUTCOME_SHARES];
    struct outcome_times times[OUTCOME_TIMES];
};
#define OUTCOME_SUMS_INIT ((struct outcome_sums){0})

void outcome_sums_done(struct outcome_sums *s);
void outcome_sums_add(struct outcome_sums *s, const struct service *service,
                      const struct outcome *o);
/* The same n times. */
void outcome_sums_add_times(struct outcome_sums *s, const struct service *service,
                            const struct outcome *o, uint64_t n);
/* Adds `from` to `s`. Associative and commutative. */
void outcome_sums_merge(struct outcome_sums *s, const struct outcome_sums *from);

void outcome_times_add(struct outcome_times *t, nsec v, uint64_t times);
void outcome_times_merge(struct outcome_times *t, const struct outcome_times *from);
void outcome_times_done(struct outcome_times *t);
/* The smallest duration that at least the share q of all (those without an end too) does not exceed, to
 * the width of a step; NSEC_INF: more than so many never came to an end; NSEC_UNSET: there is none. */
nsec outcome_times_quantile(const struct outcome_times *t, double q);
/* How many of n are at most v, to the width of v's step. */
uint64_t outcome_times_upto(const struct outcome_times *t, nsec v);
/* Mean, and standard deviation of a single one; ns; n > 0. */
double outcome_times_mean(const struct outcome_times *t);
double outcome_times_deviation(const struct outcome_times *t);
