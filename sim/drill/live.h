/* What is known while a trial runs: a judge per probe, thresholds, facts for conditions.
 *
 * The reports compute everything anew from the record; this is for what must happen now: settling,
 * `when` and `until`, `stop_if`, threshold alarms, the status line.
 *
 * Ownership: live_new() … live_free(). Times are CLOCK_MONOTONIC.
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/judge/judge.h"
#include "sim/model/model.h"
#include "sim/watch/watch.h"

struct live;

struct live_handlers {
    void (*alarm)(const struct alarm *a, bool onset, struct span at, const char *detail,
                  void *data);
    void (*probe)(const struct probe *p, bool down, void *data);
    void *data;
};

struct live *live_new(const struct scenario *s, const struct live_handlers *handlers);
struct live *live_free(struct live *l);
DEFINE_CLEANUP(struct live, live_free);

/* Feeds an observation; `unknown`: it was made too late to be trusted. */
void live_feed(struct live *l, const struct watch_obs *o, bool unknown);
/* The vantage point of these probes was started anew: numbers go on after the last one seen, what
 * was outstanding is unknown. Returns nothing; live_number() then yields the continued numbers. */
void live_restart(struct live *l, const char *host);
uint64_t live_number(const struct live *l, const struct probe *p, uint64_t n);

/* The trial is armed: what happened while hosts came up is forgotten. */
void live_arm(struct live *l);
/* Since when every probe has been good without a break; NSEC_UNSET while one is not. */
nsec live_good_since(const struct live *l);
/* Names of the probes that were not good last, for "not steady", each with what was wrong ("a (refused), b"); the caller frees. */
char *live_not_good(const struct live *l);
bool live_probe_is_down(const struct live *l, const char *probe);
/* NSEC_UNSET when it is up, or has begun to recover. */
nsec live_probe_down_since(const struct live *l, const char *probe);
/* A good run has begun after a down period, of a probe whose service promises something. */
bool live_is_recovering(const struct live *l);
/* True when the service counts as down now (down_when); ret_since may be NULL. */
bool live_service_is_down(const struct live *l, const struct service *s, nsec *ret_since);
