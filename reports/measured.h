/* The trials of a drill as a forecast sees them: how long things took, service by service.
 *
 * Computed anew from the record, whose chain is verified, as for a report.
 *
 * Ownership: measured_free() frees all of it.
 */
#pragma once

#include "reports/result.h"

struct measured_service {
    const char *name;
    struct span ttd, ttr_clock[4]; /* by enum rto_clock; hi NSEC_INF: censored; unset: none */
    struct span outage;            /* impact to restored, in whatever way; unset: unaffected */
    bool unaffected, heal;
};
struct measured_trial {
    int64_t n;
    struct measured_service *services; /* those that were measured in this trial */
    size_t services_n;
};
struct measured {
    struct arena *arena;
    const char *dir, *name;  /* the folder, the scenario */
    char digest[DIGEST_HEX]; /* of the record: its last line's hash, which stands for all of it */
    uint64_t seed;
    struct measured_trial *trials; /* that count and are not void */
    size_t trials_n;
};

/* -EINVAL: this is no drill (a forecast, ...). */
int measured_read(const char *dir, struct measured **ret, struct err *err);
struct measured *measured_free(struct measured *m); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct measured, measured_free);
