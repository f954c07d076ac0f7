/* What a fault family is, for those who write one, and how the drill uses it.
 *
 * A fault lives through
 *
 *   check ─ supported ─ prepare ─(journal)─ arm ─ apply or start ─ verify … verify ─ done ─ revert
 *
 * check and plan need only the scenario. prepare chooses targets and reads what will change, yields
 * the undo record, and changes nothing. arm makes what apply switches on, and nobody meets any of it
 * before. After apply (or the end of start) verify says whether it
 * bites, and may be asked again at any time while the fault is in force (before it is undone: does
 * it still hold?). done stops whatever of ours still acts (timers, commands) and frees the state;
 * it comes before revert. revert takes the undo record, not the state, so that another process can
 * do it; it may be called twice, and what has gone by itself (a host that died took its rules
 * along) is not a failure.
 *
 * Ownership: `state` belongs to the injector between prepare and done; the undo record is the
 * caller's. Everything handed out by `ret_*` is the caller's, freed with inject_result_done().
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/base/err.h"
#include "sim/base/rng.h"
#include "sim/kernel/hostcaps.h"
#include "sim/lab/lab.h"
#include "sim/loop/loop.h"
#include "sim/model/effect.h"
#include "sim/model/model.h"
#include <jansson.h>

struct inject_env {
    const struct scenario *scenario;
    struct lab *lab; /* NULL when a dead run is undone: what was the lab's has gone with it */
    const struct hostcaps *caps; /* for supported(); NULL: not known, then it is left to prepare */
    struct loop *loop;
    struct rng *rng;    /* this trial's and step's stream: target choice is seeded */
    const char *run_id; /* part of every name we give to the kernel */
    const char
        *step;   /* on whose behalf changes are made (inject_act()); NULL: nobody keeps count */
    bool decide; /* verify: it is now or never (the fault is about to be undone) */
    /* In a forecast, where nobody can be asked: who leads, of the candidates; NULL: not a forecast. */
    const char *(*leads)(const struct target *t, void *data);
    void *leads_data;
    /* inject_amend(); NULL: nobody keeps it */
    int (*amend)(struct inject_env *env, struct err *err);
};

/* In apply: notes the undo record as it is by then (prepare handed it out, and may have kept a
 * reference to a part of it), before more is changed than it said. */
static inline int inject_amend(struct inject_env *env, struct err *err)
{
    return env->amend ? env->amend(env, err) : 0;
}

/* To the end of the block every change in the lab is told as one of this step, which is being undone or
 * not. The drill says so around its calls of an injector; one that acts later, from a timer of its own,
 * says so there. */
struct inject_acting {
    struct lab *lab;
    struct lab_acting before;
};
static inline struct inject_acting inject_act(const struct inject_env *env, bool undo)
{
    struct inject_acting a = {.lab = env->lab};
    if (a.lab)
        a.before = lab_act_for(a.lab, (struct lab_acting){env->step, undo});
    return a;
}
static inline void inject_acting_end(struct inject_acting *a)
{
    if (a->lab)
        lab_act_for(a->lab, a->before);
}
#define INJECT_ACT(env, undo)                                                                      \
    __attribute__((cleanup(inject_acting_end), unused)) struct inject_acting inject_acting_ =      \
        inject_act((env), (undo))

struct inject_result {
    struct span at;  /* first request, last acknowledgement; CLOCK_MONOTONIC */
    json_t *targets; /* new reference: [host…] */
    json_t *changes; /* new reference: [text…], one per change, for people */
    char *chosen;    /* how the target was chosen, NULL when plainly named; malloc'd */
};
#define INJECT_RESULT_INIT ((struct inject_result){.at = SPAN_UNSET})
void inject_result_done(struct inject_result *r);

struct inject_proof {
    bool ok;
    char asked[320], seen[512], how[256];
    struct span at;
};

/* verify: cannot be said yet (a process that got SIGTERM is still on its way out); ask again after
 * INJECT_AGAIN_EVERY. The injector sees to it that this ends. */
#define INJECT_AGAIN 1
#define INJECT_AGAIN_EVERY (10 * NSEC_MSEC)

/* revert: what was changed has gone by itself, with what it was changed in (err says what has gone);
 * nothing was touched. */
#define INJECT_GONE 1

/* What an action that ends later reports, in this order: for each host a COMMAND_START and a
 * COMMAND_END (`run` only; an END alone: it could not be run, `output` says why), then once ENDED. Texts are borrowed for the call. */
enum inject_event_kind { INJECT_COMMAND_START, INJECT_COMMAND_END, INJECT_ENDED };
struct inject_event {
    enum inject_event_kind kind;
    /* INJECT_COMMAND_*: the members of record.h's `action` */
    const char *host, *command, *role; /* role: NULL when not given */
    struct span at;
    int code, signo; /* code -1 when killed by signo, or when it could not be started */
    bool timed_out;
    const char *output;
    size_t output_n;
    /* INJECT_ENDED: what was done (the callback may move the members out), or why not */
    struct inject_result *result;
    int error; /* 0, or -errno with its sentence in err */
    const struct err *err;
};
typedef void inject_event_fn(const struct inject_event *e, void *data);

/* One way in which an action works, and what this machine must have for it (hostcaps_find()). */
struct inject_means {
    const char *name;    /* "netem", "drop" */
    const char *caps[8]; /* NULL-terminated */
};

struct injector {
    const char *name;
    bool is_fault; /* false: an action of people or of the system (`run`) */
    bool lasts;    /* has something to undo: `for:` and `until:` make sense */
    bool holds; /* what it did must still be there when we take it away; if not, others ended it */
    /* Works on hosts that others made, too, if they offer one of these (ATTACH_*, sim/attach); there
     * what it changes is kept. 0: on hosts of the lab alone. */
    unsigned attaches;
    const char *lab_alone; /* with `attaches` of 0: why, after "it is …, and "; else NULL */
    bool kept; /* what it changes outlives us: prepare when the trial is armed, and the undo
                 * record goes to disk before; else prepare just before apply */
    const struct inject_means *means; /* ends with a name of NULL; NULL: all it needs is a lab */
    /* Rules that tables cannot say (exactly one of two keys …), for `blackstart check`; NULL: none.
     * -errno, or 1 for a warning, both with a sentence; one that begins with a key in quotes is
     * placed there. */
    int (*check)(const struct scenario *s, const struct step *step, struct err *err);
    /* 0, or -errno with the reason, before anything is touched; needs scenario and caps alone. */
    int (*supported)(const struct inject_env *env, const struct step *step, struct err *err);
    /* What would be sent, as texts (each with how it is undone), without touching: for `plan`. Needs
     * scenario alone; caps, where they are known, decide between several means. */
    int (*plan)(const struct inject_env *env, const struct step *step, json_t *texts,
                struct err *err);
    /* Of a host that others made: who else uses what it would touch there, beyond what attached_describe()
     * tells; for `plan`, without touching. Appends texts. NULL: nobody. */
    int (*users)(const struct step *step, const struct attached_host *h, json_t *texts,
                 struct err *err);
    /* Chooses targets, reads what will change. -ESRCH: the target has gone (the trial is void).
     * ret_undo: a new reference; null (JSON) when nothing is to be undone. With {persistent: true} in
     * it, it is undone also after the machine was started again. */
    int (*prepare)(struct inject_env *env, const struct step *step, void **ret_state,
                   json_t **ret_undo, struct err *err);
    /* For what outlives us (`kept`): when the trial is armed, as soon as the undo record is on the disk;
     * then revert is due, whether it came to apply or not. What fails here fails again in apply, which
     * makes whatever does not stand; and may be called without it. NULL: apply makes everything. */
    int (*arm)(struct inject_env *env, void *state, struct err *err);
    /* Exactly one of apply and start. -ESRCH as above. A failed apply may have done a part: revert.
     */
    int (*apply)(struct inject_env *env, void *state, struct inject_result *ret, struct err *err);
    /* Returns at once; events come from inside this call and then from the loop, none after ENDED.
     * On failure none comes. done() before ENDED ends it without further events. */
    int (*start)(struct inject_env *env, void *state, inject_event_fn *fn, void *data,
                 struct err *err);
    /* 0 or INJECT_AGAIN; NULL: there is nothing to verify (`run`). */
    int (*verify)(struct inject_env *env, void *state, struct inject_proof *ret, struct err *err);
    /* 0 or INJECT_GONE. When !lasts: NULL, or what finishes it after our death in its midst (on hosts
     * that others made; then prepare is as with lasts). ret->targets and ret->chosen stay NULL. */
    int (*revert)(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                  struct err *err);
    /* What the record has its hands on (touch.h), added to `ret`: whatever differs there in the end is
     * ours, and that all of it is as before is looked up, not believed. NULL: nothing that outlives the
     * hosts of a lab. */
    void (*touches)(const json_t *undo, json_t *ret);
    void (*done)(void *state);
    /* What it does while it is in force, for a forecast: added to ret. Needs scenario, rng (as in a run,
     * so that the same seed means the same targets) and leads alone. EFFECT_NOTHING where a request that
     * begins then meets nothing of it; -ENOTSUP with a sentence where that cannot be known. NULL: a
     * forecast does not know what it does. */
    int (*effect)(struct inject_env *env, const struct step *step, struct effects *ret,
                  struct err *err);
};

/* What this undo record has its hands on; a new reference, perhaps empty. */
static inline json_t *inject_touches(const struct injector *i, const json_t *undo)
{
    json_t *touches = json_array();
    if (i->touches && json_is_object(undo))
        i->touches(undo, touches);
    return touches;
}

/* All actions a step may take, alphabetical, NULL-terminated; variant->impl is a struct injector.
 */
extern const struct variant *const injector_actions[];
static inline const struct injector *injector_of(const struct step *step)
{
    return (const struct injector *)step->action->impl;
}

/* Resolves a target: the plainly named host, or a seeded choice, or the leader now (asks all
 * candidates at once and waits, at most target->timeout). Writes up to `max` host names (borrowed from
 * the scenario). ret_how: malloc'd sentence, NULL when plain. Nobody leads: -ESRCH; several do:
 * -ENOTUNIQ. */
int inject_choose(struct inject_env *env, const struct target *t, const char **ret_hosts,
                  size_t max, size_t *ret_n, char **ret_how, struct err *err);
/* The same for plan: "lb1", "any 2 of a, b, c (seeded)", "the one of a, b on which `cmd` exits 0".
 * malloc'd. */
char *inject_target_text(const struct target *t);
/* Who may be chosen: the plainly named host, or one of its candidates; NULL from the last on. */
const char *inject_candidate(const struct target *t, size_t i);
/* In which case alone something planned is done: "if a is chosen: " for a candidate, and `only`, "if it is
 * down: ", say, or "". */
void inject_plan_case(const struct target *t, const char *host, const char *only, struct buf *out);
/* A change as it stands below the sentence of a plan, "  host a: if a is chosen: SIGSTOP to …": what is
 * done there (one of sim/lab/deed.h), in which case alone. */
void inject_plan_deed(const struct target *t, const char *host, const char *only, const char *deed,
                      json_t *texts);
/* Tells that this was done on that host (NULL: on this machine). Without a lab (a dead run is undone)
 * nobody listens. */
void inject_tell(const struct inject_env *env, const char *host, const char *deed);
/* The line between what is done and how that is undone. */
#define INJECT_PLAN_UNDO "to undo that:"
/* How many hosts it yields, and what is wrong with it (`any` above the number of candidates …). */
size_t inject_target_count(const struct target *t);
int inject_target_check(const struct target *t, const char *key, struct err *err);
