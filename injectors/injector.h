/* What a fault family is, for those who write one.
 *
 * A fault lives through: supported → prepare → (journal) → apply → verify → revert. prepare reads
 * what it will change and yields the undo record; it changes nothing. revert takes that record, not
 * the state, so that another process can do it, and may be called twice.
 *
 * Ownership: `struct fault` is the drill's; `state` belongs to the injector between prepare and done.
 */
#pragma once

#include <jansson.h>
#include "sim/base/err.h"
#include "sim/base/rng.h"
#include "sim/lab/lab.h"
#include "sim/model/model.h"

struct inject_env {
    const struct scenario *scenario;
    struct lab *lab;
    struct loop *loop;
    struct rng *rng;    /* this trial's and step's stream: target choice is seeded */
    const char *run_id; /* part of every name we give to the kernel */
};

struct inject_result {
    struct span at;   /* first request, last acknowledgement; CLOCK_MONOTONIC */
    json_t *targets;  /* new reference: [host…] */
    json_t *changes;  /* new reference: [text…], one per change, for people */
    char *chosen;     /* how the target was chosen, NULL when plainly named; malloc'd */
};
void inject_result_done(struct inject_result *r);

struct inject_proof {
    bool ok;
    char asked[256], seen[256], how[256];
    struct span at;
};

struct injector {
    const char *name;
    bool is_fault;       /* false: an action of people or of the system (`run`) */
    bool lasts;          /* has something to undo: `for:` and `until:` make sense */
    /* 0, or -errno with the reason, before anything is touched. */
    int (*supported)(const struct inject_env *env, const struct step *step, struct err *err);
    /* What would be sent, as texts (each with how it is undone), without touching: for `plan`. */
    int (*plan)(const struct scenario *s, const struct step *step, json_t *texts, struct err *err);
    /* Chooses targets, reads what will change. -ESRCH: the target has gone (the trial is void). */
    int (*prepare)(struct inject_env *env, const struct step *step, void **ret_state,
                   json_t **ret_undo, struct err *err);
    int (*apply)(struct inject_env *env, void *state, struct inject_result *ret, struct err *err);
    int (*verify)(struct inject_env *env, void *state, struct inject_proof *ret, struct err *err);
    int (*revert)(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                  struct err *err);
    void (*done)(void *state);
};

/* All actions a step may take, alphabetical, NULL-terminated; variant->impl is a struct injector. */
extern const struct variant *const injector_actions[];

/* Resolves a target: the plainly named host, or a seeded choice, or the leader now. Writes up to
 * `max` host names (borrowed from the scenario). ret_how: malloc'd sentence, NULL when plain. */
int inject_choose(struct inject_env *env, const struct target *t, const char **ret_hosts, size_t max,
                  size_t *ret_n, char **ret_how, struct err *err);
