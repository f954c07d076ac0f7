/* One trial: a lab, probes, the script, and everything undone again.
 *
 *            lab ready          all probes good         nothing was        every timed step
 *                               for `settle`            refused            has begun
 *   BUILD ─────────────▶ SETTLE ─────────────▶ ARM ─────────────▶ INJECT ─────────────▶ OBSERVE
 *     │                    │                                        │                     │ horizon
 *     │ a host failed      │ not steady within       target gone,   │                     ▼
 *     │                    │                         did not bite   │                  RESTORE
 *     │                    │                                        │                     │ no good
 * run is ▼                    ▼                                        ▼                     ▼
 * still open ──────────────────────────────────▶ UNDO
 * ◀───────────────────────────────────────────── │ probes quiet ▼ COMPARE ──▶ done: completed |
 * void | aborted
 *
 *   state    kernel                      warden holds           timers               left by
 *   BUILD    lab is growing              namespaces so far      hosts' `within` trial_lab_event()
 *            (then `between:`, and hosts that others made are met again)        trial_met()
 *            (from here to the end of observation `load:` runs)
 *   SETTLE   lab, nothing faulted        namespaces             settle.within, poll
 * trial_settling() ARM      the same                    the same               none trial_arm()
 *            (a functional exercise: until the facilitator says go; no timers then)
 *   INJECT   the faults begun so far     + faults in force      steps, horizon       trial_begun()
 *   OBSERVE  the same                    the same               steps, horizon trial_horizon()
 *   RESTORE  the same                    the same               stable, bound trial_restoring()
 *   UNDO     faults undone one by one    fewer and fewer        failback, drain      trial_quiet()
 *   COMPARE  lab gone                    nothing                none trial_compare()
 *
 * Invariants: (1) nothing is changed before the warden knows how to undo it; (2) from every state,
 * a stop (Ctrl-C, stop_if, guard rail) leads through UNDO and COMPARE; (3) a state is in the record
 * before anything is done in it; (4) probes run from SETTLE until the end of UNDO.
 *
 * Ownership: trial_perform() makes and frees everything but a lab that is reused.
 */
#pragma once

#include "sim/drill/core.h"
#include "sim/lab/lab.h"

enum trial_outcome { TRIAL_COMPLETED, TRIAL_VOID, TRIAL_ABORTED, TRIAL_NO_LAB };

struct trial;

struct trial_spec {
    struct core *core;
    int64_t n, attempt; /* from 1 */
    struct lab **lab;   /* in: one that stands already (reuse), or NULL; out: the same if kept */
    bool keep_lab;
    bool again; /* not the first of its run: what `between:` says comes first */
    int logs_dirfd;
};

struct trial_result {
    enum trial_outcome outcome;
    char *reason; /* the caller frees; NULL when completed */
    bool clean;
    bool begun; /* the clock of the script has started */
};

int trial_perform(const struct trial_spec *spec, struct trial **slot, struct trial_result *ret,
                  struct err *err);

/* While it runs (*slot is not NULL): */
void trial_stop(struct trial *t, const char *reason);
void trial_operator(struct trial *t, const char *word);
/* {trial, state, since_zero_ns, services: […], alarms: […], faults: […]}: a new reference. */
json_t *trial_status(const struct trial *t);
struct lab *trial_lab(struct trial *t); /* NULL before it is built */
int64_t trial_number(const struct trial *t);

/* For those who play (drill_people): what is asked at the wrong time does nothing. */
int trial_may_go(const struct trial *t, struct err *err); /* -EAGAIN */
void trial_go(struct trial *t, nsec zero);
void trial_step_begin(struct trial *t, size_t step); /* by its index in the script */
void trial_step_end(struct trial *t, size_t step, const char *cause);
void trial_close(struct trial *t); /* the play is over: RESTORE, as after the horizon */
