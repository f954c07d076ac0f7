/* What a trial came to for one service, and many of them added up in whole numbers, so that the sum is
 * the same in whatever order and in however many parts it was made.
 */
#pragma once

#include "sim/base/nsec.h"
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

/* Durations in ns; NSEC_UNSET: does not apply; NSEC_INF: not within the horizon. True instants of the
 * model where it knows them: impact, onset, restored; whether it counts as down is the judge's word. */
struct outcome {
    unsigned char kind; /* enum outcome_kind */
    unsigned char by;   /* enum outcome_by */
    nsec ttd;           /* impact to the first onset that counts for detect_within (its clock) */
    nsec tta;           /* that onset to the acknowledgement */
    nsec ttr;           /* by the service's rto_clock, longest episode */
    nsec down;          /* all down intervals */
    nsec drained;       /* impact to the backlog worked off; NSEC_UNSET: not modelled */
    nsec loss;          /* data loss */
    uint32_t episodes, blips, false_alarms;
    double weight; /* importance sampling; 1 */
};
