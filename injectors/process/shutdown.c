/* shutdown: whoever manages a host's processes ends them in order, and starts them again when the fault
 * is undone. Of a unit that is systemd (unit_power.h). Of a container that is its engine: its stop signal,
 * SIGKILL to what still lives after a
 * time, and no starting again by its restart policy meanwhile.
 *
 *   start ──► engine: stop ─────────────────────────────────────────► INJECT_ENDED
 *     └ signal: given ──► engine: kill ──(every 10 ms: gone?)──► gone ──────▲
 *                                              │ timeout over
 *                                              └──► engine: stop, at once ──┘
 *
 * It is undone by starting the very same container (by its id), and only when it does not run.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "injectors/actions.h"
#include "injectors/effects.h"
#include "injectors/injector.h"
#include "injectors/params.h"
#include "injectors/process/contained.h"
#include "injectors/process/targets.h"
#include "injectors/process/unit_power.h"
#include "injectors/touch.h"
#include "sim/base/jsonx.h"

#define SHUTDOWN_LOOK_EVERY (10 * NSEC_MSEC)
#define SHUTDOWN_SETTLE_EVERY (50 * NSEC_MSEC)
#define SHUTDOWN_MORE (2 * NSEC_SEC) /* for the engine, after SIGKILL */

static const char *const shutdown_signal_words[] = {"TERM", "INT",  "QUIT", "HUP",
                                                    "USR1", "USR2", "KILL", NULL};
static const int shutdown_signals[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGKILL};
static_assert(ARRAY_SIZE(shutdown_signals) + 1 == ARRAY_SIZE(shutdown_signal_words),
              "a word per signal");

struct shutdown_state;

struct shutdown_one {
    struct shutdown_state *owner;
    json_t *record;
    pid_t pid; /* of its first process */
    unsigned long long start;
    nsec give_up; /* when the engine ends what got a signal */
    struct loop_timer look;
    struct cengine *engine; /* while it is asked for something */
    struct cengine_call *call;
    nsec asked;         /* the stop that was refused … */
    struct err refused; /* … and why */
    bool over;
};

struct shutdown_state {
    struct unit_power *unit; /* systemd does it, and nothing of the rest is used; or NULL */
    const struct shutdown_params *params;
    struct targets targets;
    struct shutdown_one *ones; /* one per host */
    size_t open;
    struct loop *loop;
    struct inject_env acting; /* as whom we act: lab and step alone */
    json_t *changes;
    struct span at;
    int error;
    struct err why;
    inject_event_fn *fn;
    void *data;
};

/* --- Before ----------------------------------------------------------------------------------- */

static int refuse_lab(const char *host, struct err *err)
{
    return err_set(err, EOPNOTSUPP,
                   "host %s: 'shutdown' is for containers and units; to end a host of the lab use "
                   "'node-kill', to end processes 'kill' with 'signal: TERM'",
                   host);
}

static int shutdown_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct shutdown_params *p = step->params;
    int r = inject_target_check(p->host, "host", err);
    const struct host *h = p->host->host ? scenario_host(s, p->host->host) : NULL;
    if (r == 0 && h && h->unit && (p->signal >= 0 || nsec_is_set(p->timeout)))
        return err_set(err, EINVAL,
                       "'%s' is for containers: how a unit is ended stands in the unit (%s)",
                       p->signal >= 0 ? "signal" : "timeout",
                       p->signal >= 0 ? "KillSignal=" : "TimeoutStopSec=");
    return r == 0 && h && !host_is_attached(h) ? refuse_lab(h->name, err) : r;
}

static void plan_steps(const struct shutdown_params *p, json_t *texts)
{
    struct cengine_command stop = {.verb = CENGINE_STOP, .grace = p->timeout};
    if (p->signal >= 0) {
        const struct cengine_command kill = {.verb = CENGINE_KILL,
                                             .signal = shutdown_signals[p->signal]};
        contained_plan(p->host, &kill, "", texts);
        stop.grace = 0;
        contained_plan(p->host, &stop, "if it lives on: ", texts);
    } else {
        contained_plan(p->host, &stop, "", texts);
    }
    json_array_append_new(texts, json_string(INJECT_PLAN_UNDO));
    contained_plan_verb(p->host, CENGINE_START, "", texts);
}

static int shutdown_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                         struct err *err)
{
    const struct shutdown_params *p = step->params;
    if (unit_power_is_meant(env->scenario, p->host))
        return unit_power_plan(env, MANAGER_STOP, p->host, texts);
    AUTO_FREE char *host = inject_target_text(p->host);
    AUTO_BUF text = BUF_INIT;
    char within[NSEC_TEXT_MAX];
    buf_printf(&text, "host %s: its engine stops the container (%s%s, ", host,
               p->signal >= 0 ? "SIG" : "its own stop signal",
               p->signal >= 0 ? shutdown_signal_words[p->signal] : "");
    if (nsec_is_set(p->timeout))
        buf_printf(&text, "SIGKILL %s later", nsec_text(p->timeout, within));
    else
        buf_adds(&text, "SIGKILL after its own time");
    buf_adds(&text, "); undone by starting the same container again");
    json_array_append_new(texts, json_string(buf_text(&text)));
    plan_steps(p, texts);
    return 0;
}

static void shutdown_done(void *state)
{
    struct shutdown_state *st = state;
    if (!st)
        return;
    for (size_t i = 0; st->ones && i < st->targets.n; i++) {
        if (st->loop)
            loop_timer_cancel(st->loop, &st->ones[i].look);
        cengine_call_free(st->ones[i].call);
        cengine_free(st->ones[i].engine);
        json_decref(st->ones[i].record);
    }
    free(st->ones);
    unit_power_done(st->unit);
    targets_done(&st->targets);
    json_decref(st->changes);
    free(st);
}

static int prepare_one(struct inject_env *env, const struct shutdown_params *p, const char *host,
                       struct shutdown_one *one, struct err *err)
{
    struct lab_node *n = lab_node(env->lab, host);
    if (!contained_is(n, NULL))
        return refuse_lab(host, err);
    const struct attached_host *h = lab_node_attached(n);
    AUTO_CONTAINER c = {0};
    one->record = contained_record(n);
    one->pid = h->at.pid;
    one->start = h->at.start;
    int r = attached_is_there(h, err);
    if (r == 0)
        r = contained_ready(one->record, &c, err);
    if (r < 0)
        return r;
    nsec within = nsec_is_set(p->timeout) ? p->timeout : (nsec)c.stop_after * NSEC_SEC;
    json_object_set_new(one->record, "within", json_integer(nsec_add(within, SHUTDOWN_MORE)));
    return 0;
}

static int shutdown_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                            json_t **ret_undo, struct err *err)
{
    const struct shutdown_params *p = step->params;
    struct shutdown_state *st = calloc(1, sizeof *st);
    if (!st)
        abort();
    *st = (struct shutdown_state){.params = p, .changes = json_array(), .at = SPAN_UNSET};
    AUTO_JSON *records = json_array();
    bool unit = unit_power_is_meant(env->scenario, p->host);
    int r = unit ? unit_power_prepare(env, MANAGER_STOP, p->host, &st->unit, ret_undo, err)
                 : targets_choose(env, p->host, &st->targets, err);
    if (r == 0 && !(st->ones = calloc(st->targets.n + 1, sizeof *st->ones)))
        abort();
    for (size_t i = 0; r == 0 && i < st->targets.n; i++) {
        r = prepare_one(env, p, st->targets.hosts[i], &st->ones[i], err);
        if (r == 0)
            json_array_append(records, st->ones[i].record);
    }
    if (r < 0) {
        shutdown_done(st);
        return r;
    }
    *ret_state = st;
    if (!unit)
        *ret_undo = json_pack("{s:b,s:O}", "persistent", 1, "containers", records);
    return 0;
}

/* --- At work ---------------------------------------------------------------------------------- */

static void shutdown_finish(struct shutdown_state *st)
{
    struct inject_result result = {.at = st->at,
                                   .targets = targets_names(&st->targets),
                                   .changes = json_incref(st->changes),
                                   .chosen = targets_how(&st->targets)};
    struct inject_event e = {.kind = INJECT_ENDED,
                             .result = &result,
                             .error = st->error,
                             .err = st->error ? &st->why : NULL};
    st->fn(&e, st->data); /* may call shutdown_done() */
    inject_result_done(&result);
}

/* One of them does not run any more, or cannot be stopped. The last one ends it all. */
static void one_over(struct shutdown_one *one, int r, const struct err *err, struct span at,
                     const char *how)
{
    struct shutdown_state *st = one->owner;
    if (one->over)
        return;
    one->over = true;
    if (r < 0 && !st->error) {
        st->error = r;
        st->why = *err;
    }
    if (r >= 0) {
        targets_cover(&st->at, at);
        json_array_append_new(st->changes, json_sprintf("host %s: container %s (%.12s) %s by %s",
                                                        contained_host(one->record),
                                                        jsonx_str(one->record, "container", "?"),
                                                        jsonx_str(one->record, "id", "?"), how,
                                                        cengine_name(one->engine)));
    }
    if (--st->open == 0)
        shutdown_finish(st);
}

/* Podman may refuse to clean up after a container that it has ended, as it has not heard of the end
 * yet (seen with 4.3): it hears of it soon. */
static void one_settle(struct loop_timer *t, void *data)
{
    struct shutdown_one *one = data;
    struct shutdown_state *st = one->owner;
    AUTO_CONTAINER c = {0};
    nsec now = loop_fresh(st->loop);
    (void)t;
    int r = contained_look(one->record, &c, NULL);
    if (r == 0 && c.pid && now < one->give_up) {
        loop_timer_set(st->loop, &one->look, nsec_add(now, SHUTDOWN_SETTLE_EVERY));
        return;
    }
    if (r == 0 && c.pid)
        one_over(one, one->refused.code ? -one->refused.code : -EIO, &one->refused, SPAN_UNSET, "");
    else
        one_over(one, 0, NULL, (struct span){one->asked, now}, "stopped");
}

static void one_stopped(int r, const struct err *err, struct span at, void *data)
{
    struct shutdown_one *one = data;
    if (r != -EIO || procs_started(one->pid) == one->start) {
        one_over(one, r, err, at, "stopped");
        return;
    }
    one->asked = at.lo;
    one->refused = *err;
    one->give_up = nsec_add(loop_fresh(one->owner->loop), SHUTDOWN_MORE);
    one->look.fn = one_settle;
    one_settle(&one->look, one);
}

static int one_stop(struct shutdown_one *one, nsec grace, struct err *err)
{
    struct cengine_command c = {
        .verb = CENGINE_STOP, .id = jsonx_str(one->record, "id", ""), .grace = grace};
    int r =
        cengine_call_start(one->engine, one->owner->loop, &c, one_stopped, one, &one->call, err);
    if (r == 0)
        contained_tell(&one->owner->acting, one->record, &c);
    return r;
}

static void one_look(struct loop_timer *t, void *data)
{
    struct shutdown_one *one = data;
    struct shutdown_state *st = one->owner;
    nsec now = loop_fresh(st->loop);
    struct err err = ERR_INIT;
    INJECT_ACT(&st->acting, false);
    (void)t;
    if (procs_started(one->pid) != one->start) {
        one_over(one, 0, NULL, (struct span){now, now}, "ended with a signal");
        return;
    }
    if (now < one->give_up) {
        loop_timer_set(st->loop, &one->look, nsec_add(now, SHUTDOWN_LOOK_EVERY));
        return;
    }
    int r = one_stop(one, 0, &err);
    if (r < 0)
        one_over(one, r, &err, SPAN_UNSET, "");
}

static int one_begin(struct shutdown_one *one, struct err *err)
{
    struct shutdown_state *st = one->owner;
    const struct shutdown_params *p = st->params;
    struct container_id id;
    AUTO_CONTAINER c = {0};
    int r = container_of_record(one->record, &id) ? container_ask(&id, &one->engine, &c, err)
                                                  : err_set(err, EINVAL, "no container");
    if (r < 0 || p->signal < 0)
        return r < 0 ? r : one_stop(one, p->timeout, err);
    struct cengine_command kill = {
        .verb = CENGINE_KILL, .id = c.id, .signal = shutdown_signals[p->signal]};
    nsec before = loop_fresh(st->loop);
    r = cengine_do(one->engine, &kill, err);
    if (r < 0)
        return r;
    contained_tell(&st->acting, one->record, &kill);
    targets_cover(&st->at, (struct span){before, loop_fresh(st->loop)});
    one->give_up =
        nsec_add(before, nsec_is_set(p->timeout) ? p->timeout : (nsec)c.stop_after * NSEC_SEC);
    loop_timer_set(st->loop, &one->look, loop_fresh(st->loop));
    return 0;
}

static int shutdown_start(struct inject_env *env, void *state, inject_event_fn *fn, void *data,
                          struct err *err)
{
    struct shutdown_state *st = state;
    if (st->unit)
        return unit_power_start(env, st->unit, fn, data, err);
    st->loop = env->loop;
    st->acting = (struct inject_env){.lab = env->lab, .step = env->step};
    st->fn = fn;
    st->data = data;
    st->open = st->targets.n;
    for (size_t i = 0; i < st->targets.n; i++) {
        st->ones[i].owner = st;
        st->ones[i].look = (struct loop_timer){.fn = one_look, .data = &st->ones[i]};
    }
    int r = 0;
    for (size_t i = 0; i < st->targets.n; i++)
        lab_node_attached(lab_node(env->lab, st->targets.hosts[i]))->ending = true;
    for (size_t i = 0; r == 0 && i < st->targets.n; i++)
        r = one_begin(&st->ones[i], err);
    for (size_t i = 0; r < 0 && i < st->targets.n; i++) { /* no event comes after a failure */
        loop_timer_cancel(st->loop, &st->ones[i].look);
        st->ones[i].call = cengine_call_free(st->ones[i].call);
    }
    return r;
}

static int shutdown_verify(struct inject_env *env, void *state, struct inject_proof *ret,
                           struct err *err)
{
    struct shutdown_state *st = state;
    if (st->unit)
        return unit_power_verify(st->unit, ret, err);
    nsec before = nsec_now(CLOCK_MONOTONIC);
    size_t running = 0, alive = 0;
    char last[64] = "";
    for (size_t i = 0; i < st->targets.n; i++) {
        const struct shutdown_one *one = &st->ones[i];
        AUTO_CONTAINER c = {0};
        int r = contained_look(one->record, &c, err);
        if (r < 0 && r != -ENOENT)
            return r;
        running += r == 0 && c.pid;
        alive += procs_started(one->pid) == one->start;
        snprintf(last, sizeof last, "%.60s", r == 0 ? c.state : "removed");
    }
    struct inject_proof p = {.ok = running == 0 && alive == 0,
                             .at = {before, nsec_now(CLOCK_MONOTONIC)}};
    snprintf(p.asked, sizeof p.asked, "%zu container(s) stopped", st->targets.n);
    snprintf(p.seen, sizeof p.seen, "%zu run (%s), %zu of their first processes live", running,
             last, alive);
    snprintf(p.how, sizeof p.how, "the engine's word, and their processes by pid and start time");
    *ret = p;
    (void)env;
    return 0;
}

/* A stop that was asked for may still be under way (whoever asked died meanwhile): it is waited for, as
 * what is started before it ends would be stopped by it. */
static int start_again(const struct inject_env *env, const json_t *record, json_t *changes,
                       struct span *at, struct err *err)
{
    pid_t pid = (pid_t)jsonx_int(record, "pid", 0);
    unsigned long long start = (unsigned long long)jsonx_int(record, "start", 0);
    nsec until = nsec_add(nsec_now(CLOCK_MONOTONIC), jsonx_int(record, "within", 0));
    while (procs_started(pid) == start && nsec_now(CLOCK_MONOTONIC) < until)
        (void)poll(NULL, 0, SHUTDOWN_LOOK_EVERY / NSEC_MSEC);
    return contained_start(env, record, changes, at, err);
}

static int shutdown_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                           struct err *err)
{
    if (unit_power_has(undo))
        return unit_power_revert(env, undo, ret, err);
    return contained_revert(env, undo, start_again, ret, err);
}

/* --- Its table -------------------------------------------------------------------------------- */

static const struct field shutdown_fields[] = {
    TARGETS_HOST_FIELD(offsetof(struct shutdown_params, host), "db"),
    {.key = "signal",
     .type = FIELD_WORD,
     .words = shutdown_signal_words,
     .dflt = "",
     .offset = offsetof(struct shutdown_params, signal),
     .help = "Sent instead of the container's own stop signal.",
     .example = "INT"},
    {.key = "timeout",
     .type = FIELD_DURATION,
     .max = 600 * NSEC_SEC,
     .offset = offsetof(struct shutdown_params, timeout),
     .help = "From the signal to SIGKILL for what has not ended by then, in whole seconds (rounded "
             "up); without it the container's own.",
     .example = "3s"},
    {.key = NULL},
};

static const struct record shutdown_record = {
    .name = "shutdown",
    .summary = "A host is shut down in order.",
    .size = sizeof(struct shutdown_params),
    .fields = shutdown_fields,
    .shorthand = "host",
    .name_offset = SIZE_MAX,
    .place_offset = SIZE_MAX,
    .variant_place_offset = SIZE_MAX,
};

static int shutdown_effect(struct inject_env *env, const struct step *step, struct effects *ret,
                           struct err *err)
{
    const struct shutdown_params *p = step->params;
    struct effect one = {.kind = EFFECT_DOWN, .refused = true};
    return effects_at(env, p->host, &one, ret, err);
}

static void shutdown_touches(const json_t *undo, json_t *ret)
{
    contained_touches(undo, ret);
    if (unit_power_has(undo))
        touch_unit(ret, jsonx_str(undo, "host", "?"), jsonx_str(undo, "unit", ""));
}

static const struct injector shutdown_injector = {
    .name = "shutdown",
    .is_fault = true,
    .lasts = true,
    .holds = true,
    .attaches = ATTACH_POWER,
    .kept = true,
    .check = shutdown_check,
    .supported = targets_supported,
    .plan = shutdown_plan,
    .prepare = shutdown_prepare,
    .start = shutdown_start,
    .verify = shutdown_verify,
    .revert = shutdown_revert,
    .touches = shutdown_touches,
    .done = shutdown_done,
    .effect = shutdown_effect,
};

const struct variant inject_shutdown = {
    .name = "shutdown",
    .summary = "Shuts a container or a unit down in order; started again when undone.",
    .detail = "Its first process gets the stop signal, and SIGKILL when it has not ended in time; "
              "the engine does not start it again by its restart policy. Undone by starting the "
              "same container (by its id, whatever its name leads to by then), unless somebody "
              "has started it already; one that was removed meanwhile is left at that. A unit is "
              "stopped and started by systemd, as by systemctl.",
    .params = &shutdown_record,
    .impl = &shutdown_injector,
};
