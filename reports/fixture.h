/* Hand-made scenarios and records in virtual time, for tests.
 *
 * The world has one service `checkout` with one probe `page` (every 100 ms, down after 2, up after
 * 3 good ones, stable for 500 ms) seen from `client`, and what a test adds. A trial is played from
 * a strip of characters, one probe each, 100 ms apart: G good (1 ms), S slowly good (40 ms), R
 * refused, T timed out (500 ms), ? unknown, space: no probe. It is armed at 1 s; instants below are
 * from the trial's own beginning; trial n begins at n × 100 s.
 */
#pragma once

#include "tests/support/test.h"

#include "reports/measure.h"
#include "sim/base/nsec.h"

#define MS NSEC_MSEC

struct world {
    struct scenario scenario;
    struct settle settle;
    struct service services[3];
    struct detect detects[3];
    struct probe probes[4];
    struct alarm alarms[4];
    struct step steps[4];
    void *pointers[5][4]; /* behind the scenario's lists */
    struct demonstrate demonstrate;
    struct pair expect[3];
    json_t *events;
    int64_t seq, trial;
    struct result *result;
};

void world_init(struct world *w);
void world_done(struct world *w);
struct service *world_service(struct world *w, const char *name);
struct probe *world_probe(struct world *w, const char *name, const char *service);
/* kind "journal", "log" and "packets" tell of a moment, "exec" and "threshold" of a state. */
struct alarm *world_alarm(struct world *w, const char *name, enum role role, const char *kind);
struct step *world_step(struct world *w, const char *id); /* a fault at 500 ms */
struct detect *world_detect(struct world *w, nsec within);
void world_expect(struct world *w, enum expectation expect);

/* Adds an event of the present trial; `fmt` as json_pack(). `t` from the trial's beginning. */
void world_event(struct world *w, const char *kind, nsec t, const char *fmt, ...);
void world_begin(struct world *w, int64_t trial, int64_t attempt);
void world_strip(struct world *w, const char *probe, const char *strip);
/* Injected and verified at [at, at + 2 ms]. */
void world_inject(struct world *w, const char *step, nsec at);
void world_verify(struct world *w, const char *step, bool ok);
void world_undo(struct world *w, const char *step, nsec at, const char *cause);
void world_alarm_event(struct world *w, const char *alarm, const char *event, nsec at, bool at_arm);
/* Observation ends (state undo) at `watched`. */
void world_end(struct world *w, nsec watched, const char *outcome, const char *reason);
void world_run_end(struct world *w, const char *status);
/* Measures; the result belongs to the world. */
const struct result *world_measure(struct world *w);

/* The usual trial: fault `lose` at 1550 ms, undone at the end of the strip. */
void world_usual(struct world *w, int64_t trial, const char *strip);

const struct objective *world_objective(const struct world *w, enum objective_kind kind);
const struct service_seen *world_seen(const struct world *w, int64_t trial);
bool world_found(const struct world *w, const char *code);

#define G16 "GGGGGGGGGGGGGGGG" /* good up to 1500 ms; the usual fault is at 1550 */
#define BACK "GGGGGGGGGG"      /* restored, and stable */
#define WORLD CLEANUP(world_done) struct world

void assert_ms(struct span s, nsec lo, nsec hi); /* in milliseconds; hi may be NSEC_INF */
void assert_verdict(const struct world *w, enum objective_kind kind, enum verdict verdict);
void assert_share(const struct world *w, int64_t trial, enum objective_kind kind, enum share share);
void assert_reason(const struct world *w, enum objective_kind kind, const char *code);
