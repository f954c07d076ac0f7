/* One trial of a scenario on the virtual clock. What is played: docs/forecast-trial.md.
 *
 * A `struct system` is the scenario made ready for many trials: names resolved to indices, services in the
 * order of their needs. It is immutable and shared by threads; the scenario must outlive it. A `struct trial`
 * is one thread's work space, used again and again; nothing is allocated per trial once it has grown
 * (targets that are drawn excepted).
 *
 * A trial's result depends on (seed, number, what-if) and on nothing else. Each random quantity draws from a
 * stream of its own, named like it, at (trial, use). One never shifts another, so trials with and without a
 * change can be compared number by number (common random numbers).
 *
 * How services are taken: in the order of their needs, so what a service needs is known from the beginning to
 * the horizon before the service itself. Health is a piecewise constant share of bad answers in [0, 1], from
 * its own units and from its needs. Probes ask this health; sim/judge says what is down and restored, exactly
 * as in a live drill; between changes whole runs of like answers are skipped, which changes no result. Alarms
 * come from sim/judge's thresholds or from the model. The response (response.h) says when restoring ends, and so
 * the health.
 */
#pragma once

#include "sim/base/err.h"
#include "sim/forecast/outcome.h"
#include "sim/forecast/tilt.h"
#include "sim/model/model.h"
#include <jansson.h>

struct system;
/* Ready for trials; errors as sentences with the place in the scenario: an action that has no effect a
 * forecast could know, a service without a way back, ... */
int system_new(const struct scenario *s, struct system **ret, struct err *err);
struct system *system_free(struct system *sys);
DEFINE_CLEANUP(struct system, system_free);

/* The random quantities of a system, numbered: for decompositions and what-ifs. */
struct quantity {
    char *name;    /* "stage:checkout/failover", "ack:oncall", "phase:page", ... */
    char *service; /* NULL: of several */
    bool is_stage;
};
size_t system_quantities(const struct system *sys, const struct quantity **ret);

/* What is otherwise than in the scenario, per quantity; NULL: nothing. */
enum whatif_kind {
    WHATIF_AS_IS,
    WHATIF_OTHER, /* drawn from `other_seed` instead of the trial's seed (pick-freeze) */
    WHATIF_NO_TIME,
    WHATIF_SURE, /* works whatever its probability */
};
struct whatif {
    uint64_t other_seed;
    const unsigned char *kind; /* enum whatif_kind of each quantity; NULL: all as they are */
    struct tilt *tilt;         /* importance sampling (tilt.h), begun for this trial; NULL: none */
};

/* How long before the script's zero a trial begins: the probes' schedules. */
nsec system_lead(const struct system *sys);

struct trial;
struct trial *trial_new(const struct system *sys);
struct trial *trial_free(struct trial *t);
DEFINE_CLEANUP(struct trial, trial_free);

/* Where on the record's axis trials begin from now on (0 unless given): instants in events, `at` and those
 * within, count from there; and where the last one that was told ended. */
void trial_origin(struct trial *t, nsec origin);
nsec trial_end(const struct trial *t);

/* What happens, event by event, in the order of time: for the record of the first trials. The members
 * are those of record.h's kinds; `json` is the event without seq, t and prev, borrowed. */
typedef int trial_event_fn(nsec at, const char *kind, json_t *json, void *data, struct err *err);

/* ret: one outcome of each service, in the order of the scenario's services. With fn every probe is
 * done, else runs of like answers are skipped; the outcomes are the same. */
int trial_run(struct trial *t, uint64_t seed, uint64_t number, const struct whatif *whatif,
              trial_event_fn *fn, void *data, struct outcome *ret, struct err *err);
/* Of the last trial: what a service's time to restore was made of, its outcome being restored. ret[i] of quantity i:
 * how much of it passed on the critical path in that quantity; the rest is detection and waiting. Where what it
 * needs came back last, in the quantities of that. */
void trial_path(struct trial *t, size_t service, nsec *ret);
