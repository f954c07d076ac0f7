/* stop: SIGSTOP to every matching process: it keeps its sockets and answers nothing, as a hung
 * server does. Undone by SIGCONT to exactly those that were stopped (pid and start time).
 *
 * SIGSTOP cannot be caught; a process is stopped when its state reads T. Children that are started
 * between the look and the signal are found by looking again.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "injectors/actions.h"
#include "injectors/effects.h"
#include "injectors/injector.h"
#include "injectors/params.h"
#include "injectors/process/targets.h"
#include "injectors/touch.h"
#include "sim/attach/hit.h"
#include "sim/base/jsonx.h"

#define STOP_CONFIRM (2 * NSEC_SEC)
/* A parent that is not yet stopped may start another child between the look and the signal. */
#define STOP_ROUNDS 5

struct stop_state {
    const struct stop_params *params;
    struct targets targets;
};

static int stop_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct stop_params *p = step->params;
    return targets_check(s, &p->whom, err);
}

static int stop_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                     struct err *err)
{
    const struct stop_params *p = step->params;
    AUTO_BUF text = BUF_INIT;
    targets_plan(&p->whom, "STOP", &text);
    buf_adds(&text, "; undone by SIGCONT to the same");
    json_array_append_new(texts, json_string(buf_text(&text)));
    targets_plan_signal(&p->whom, SIGSTOP, NULL, "", texts);
    json_array_append_new(texts, json_string(INJECT_PLAN_UNDO));
    targets_plan_signal(&p->whom, SIGCONT, TARGETS_THE_SAME, "", texts);
    return 0;
}

static void stop_done(void *state)
{
    struct stop_state *st = state;
    if (!st)
        return;
    targets_done(&st->targets);
    free(st);
}

static json_t *only(const struct match_set *set, bool stopped)
{
    json_t *some = json_array();
    size_t i;
    json_t *p;
    json_array_foreach (set->procs, i, p)
        if ((jsonx_str(p, "state", "?")[0] == 'T') == stopped)
            json_array_append(some, p);
    return some;
}

/* Whoever was stopped before us (by another step, by a debugger) is not ours to continue. */
static json_t *not_yet_stopped(const struct match_set *set)
{
    return only(set, false);
}

static int stop_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                        json_t **ret_undo, struct err *err)
{
    const struct stop_params *p = step->params;
    struct match_rule rule = targets_rule(&p->whom);
    AUTO_TARGETS found = {0};
    int r = targets_find(env, p->whom.host, &rule, p->whom.expect, /*empty_ok=*/false, &found, err);
    if (r < 0)
        return r;
    AUTO_JSON *hosts = json_array();
    for (size_t i = 0; i < found.n; i++) {
        json_t *running = not_yet_stopped(&found.sets[i]);
        if (json_array_size(running) == 0) {
            json_decref(running);
            return err_set(err, EALREADY, "on host '%s' everything that matches is stopped already",
                           found.hosts[i]);
        }
        json_decref(found.sets[i].procs);
        found.sets[i].procs = running;
        /* The same array stands in the undo record: it becomes what apply finds. */
        json_t *record = targets_record(env, found.hosts[i]);
        json_object_set(record, "procs", running);
        json_array_append_new(hosts, record);
    }
    struct stop_state *st = calloc(1, sizeof *st);
    if (!st)
        return err_errno(err, ENOMEM, "preparing stop");
    *st = (struct stop_state){.params = p, .targets = found};
    found = (struct targets){0};
    *ret_state = st;
    *ret_undo = json_pack("{s:O}", "hosts", hosts);
    return 0;
}

/* Who matches now and goes on, added to `set`, which the undo record has too. */
static int find_running(struct lab_node *n, const struct match_rule *rule, struct match_set *set,
                        struct match_set *ret, struct err *err)
{
    AUTO_MATCH now = {0};
    int r = match_find(n, rule, &now, err);
    if (r < 0)
        return r;
    ret->procs = not_yet_stopped(&now);
    json_array_extend(set->procs, ret->procs);
    return 0;
}

/* Stops what matches, then whatever a not yet stopped parent has started meanwhile. */
static int stop_on(struct inject_env *env, struct lab_node *n, const struct process_params *p,
                   struct match_set *set, struct span *at, struct err *err)
{
    struct match_rule rule = targets_rule(p);
    json_array_clear(set->procs);
    for (int round = 0; round < STOP_ROUNDS; round++) {
        AUTO_MATCH going = {0}, hit = {0};
        struct span by = SPAN_UNSET;
        int r = find_running(n, &rule, set, &going, err);
        if (r == 0 && round == 0)
            r = targets_expected(lab_node_name(n), &rule, &going, p->expect, err);
        if (r < 0 || match_count(&going) == 0)
            return r;
        r = inject_amend(env, err);
        if (r == 0)
            r = match_signal_these(n, going.procs, SIGSTOP, STOP_CONFIRM, &hit, &by, err);
        if (r < 0)
            return r;
        targets_cover(at, by);
    }
    return 0;
}

static int stop_apply(struct inject_env *env, void *state, struct inject_result *ret,
                      struct err *err)
{
    struct stop_state *st = state;
    struct targets *t = &st->targets;
    AUTO_JSON *changes = json_array();
    struct span at = SPAN_UNSET;
    for (size_t i = 0; i < t->n; i++) {
        struct span by = SPAN_UNSET;
        int r =
            stop_on(env, lab_node(env->lab, t->hosts[i]), &st->params->whom, &t->sets[i], &by, err);
        if (r < 0)
            return r;
        if (!span_is_set(by))
            return err_set(err, ESRCH,
                           "on host '%s' everything that matched was gone before SIGSTOP was sent",
                           t->hosts[i]);
        targets_cover(&at, by);
        AUTO_BUF text = BUF_INIT;
        buf_printf(&text, "host %s: SIGSTOP to ", t->hosts[i]);
        match_text(&t->sets[i], &text);
        json_array_append_new(changes, json_string(buf_text(&text)));
    }
    *ret = targets_result(t, at, changes);
    return 0;
}

static int stop_verify(struct inject_env *env, void *state, struct inject_proof *ret,
                       struct err *err)
{
    struct stop_state *st = state;
    nsec before = nsec_now(CLOCK_MONOTONIC);
    size_t hit = 0, alive = 0, going = 0, off = 0;
    for (size_t i = 0; i < st->targets.n; i++) {
        AUTO_MATCH now = {0};
        off += !lab_node_is_up(lab_node(env->lab, st->targets.hosts[i]));
        int r =
            match_alive(lab_node(env->lab, st->targets.hosts[i]), &st->targets.sets[i], &now, err);
        if (r < 0)
            return r;
        AUTO_MATCH running = {.procs = not_yet_stopped(&now)};
        hit += match_count(&st->targets.sets[i]);
        alive += match_count(&now);
        going += match_count(&running);
    }
    /* A host that lost its power meanwhile answers even less. */
    struct inject_proof p = {.ok = alive + off > 0 && going == 0,
                             .at = {before, nsec_now(CLOCK_MONOTONIC)}};
    snprintf(p.asked, sizeof p.asked, "what got SIGSTOP (%zu processes) is stopped", hit);
    snprintf(p.seen, sizeof p.seen, "%zu in state T, %zu go on, %zu have ended", alive - going,
             going, hit - alive);
    snprintf(p.how, sizeof p.how, "read their state in the host, by pid and start time");
    *ret = p;
    return 0;
}

static void note_continued(const char *host, const struct match_set *who, json_t *changes)
{
    AUTO_BUF text = BUF_INIT;
    buf_printf(&text, "host %s: SIGCONT to ", host);
    match_text(who, &text);
    json_array_append_new(changes, json_string(buf_text(&text)));
}

/* On a host that others made: by number and start, with or without a lab. */
static int go_on_there(const struct lab_node *n, const json_t *attached, const json_t *entry,
                       json_t *changes, struct span *at, struct err *err)
{
    AUTO_PROCS alive = {0};
    struct hit hit = {.at = SPAN_UNSET};
    int r = attached_find_processes(attached, json_object_get(entry, "procs"), &alive, err);
    if (r < 0)
        return err_prefix(err, "host %s", jsonx_str(entry, "host", "?"));
    AUTO_FREE const struct proc **who = calloc(alive.n + 1, sizeof(const struct proc *));
    AUTO_MATCH continued = {.procs = json_array()};
    if (!who)
        abort();
    for (size_t i = 0; i < alive.n; i++)
        if (procs_is_alive(&alive.items[i]))
            who[hit.n++] = &alive.items[i];
    r = hit.n ? hit_processes(who, SIGCONT, STOP_CONFIRM, &hit, err) : 0;
    if (r < 0 || hit.n == 0)
        return r;
    for (size_t i = 0; i < hit.n; i++)
        json_array_append_new(continued.procs, procs_json(who[i], NULL));
    if (n)
        lab_node_tell_signal(n, SIGCONT, continued.procs);
    targets_cover(at, hit.at);
    note_continued(jsonx_str(entry, "host", "?"), &continued, changes);
    return 0;
}

/* SIGCONT to all of them, whatever their state reads: a process that was sent SIGSTOP stops only when it
 * runs next, and whoever was killed, or gave up waiting, in between leaves one that looks as if it went on
 * (SIGCONT takes back a pending SIGSTOP, signal(7)). */
static int go_on(const struct inject_env *env, struct lab_node *n, const json_t *entry,
                 json_t *changes, struct span *at, struct err *err)
{
    const json_t *attached = json_object_get(entry, "attached");
    json_t *procs = json_object_get(entry, "procs");
    AUTO_MATCH alive = {0}, hit = {0};
    struct span by = SPAN_UNSET;
    if (attached)
        return go_on_there(n, attached, entry, changes, at, err);
    int r = match_alive_of(n, procs, &alive, err);
    if (r < 0)
        return r;
    if (match_count(&alive) == 0)
        return 0;
    AUTO_MATCH stopped = {.procs = only(&alive, true)};
    r = match_signal_these(n, alive.procs, SIGCONT, STOP_CONFIRM, &hit, &by, err);
    if (r < 0 || match_count(&stopped) == 0)
        return r;
    targets_cover(at, by);
    note_continued(lab_node_name(n), &stopped, changes);
    return 0;
}

static int stop_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                       struct err *err)
{
    return targets_revert(env, undo, go_on, ret, err);
}

static const struct field stop_fields[] = {
    TARGETS_HOST_FIELD(offsetof(struct process_params, host), "db1"),
    TARGETS_PROCESS_FIELD("redis-server"),
    TARGETS_UNIT_FIELD("redis-server"),
    TARGETS_PID_FIELD,
    TARGETS_EXPECT_FIELD,
    {.key = NULL},
};

static const struct record stop_record = {
    .name = "stop",
    .summary = "Processes of a host hang.",
    .size = sizeof(struct stop_params),
    .fields = stop_fields,
    .shorthand = "host",
    .name_offset = SIZE_MAX,
    .place_offset = SIZE_MAX,
    .variant_place_offset = SIZE_MAX,
};

static int stop_effect(struct inject_env *env, const struct step *step, struct effects *ret,
                       struct err *err)
{
    const struct stop_params *p = step->params;
    struct effect one = {.kind = EFFECT_DOWN};
    return effects_at(env, p->whom.host, &one, ret, err);
}

static void stop_touches(const json_t *undo, json_t *ret)
{
    size_t i, k;
    const json_t *entry, *proc;
    json_array_foreach (json_object_get(undo, "hosts"), i, entry)
        json_array_foreach (json_object_get(entry, "procs"), k, proc)
            if (json_object_get(entry, "attached"))
                touch_process(ret, jsonx_str(entry, "host", "?"), proc, TOUCH_STOPPED, 0);
}

static const struct injector stop_injector = {
    .name = "stop",
    .is_fault = true,
    .attaches = ATTACH_PROCESSES,
    .lasts = true,
    .holds = true,
    .check = stop_check,
    .supported = targets_supported,
    .plan = stop_plan,
    .prepare = stop_prepare,
    .apply = stop_apply,
    .verify = stop_verify,
    .revert = stop_revert,
    .touches = stop_touches,
    .done = stop_done,
    .effect = stop_effect,
};

const struct variant inject_stop = {
    .name = "stop",
    .summary = "Stops every matching process of a host (SIGSTOP): it hangs, its sockets stay open.",
    .detail = "The kernel goes on accepting connections and acknowledging data for a stopped "
              "server until its buffers are full: clients time out instead of being refused. "
              "Undone by SIGCONT to the processes that were stopped.",
    .params = &stop_record,
    .impl = &stop_injector,
};
