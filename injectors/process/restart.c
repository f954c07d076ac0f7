/* restart: SIGTERM to what matches, SIGKILL to what still lives after `grace`, then the commands
 * are started again. It ends by itself, so there is nothing to undo; it may take as long as the
 * server takes to shut down, so it goes on from the loop:
 *
 *   start ── TERM sent ──(every 5 ms: gone?)──► all gone ──► commands started ──► INJECT_ENDED
 *                              │ grace over
 *                              └──► KILL sent, confirmed ─────────▲
 *
 * Nothing that matches is not an error: then the commands are only started.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "injectors/actions.h"
#include "injectors/effects.h"
#include "injectors/injector.h"
#include "injectors/params.h"
#include "injectors/process/restart_container.h"
#include "injectors/process/targets.h"
#include "injectors/process/unit_power.h"
#include "injectors/touch.h"
#include "sim/base/jsonx.h"
#include "sim/base/text.h"

#define RESTART_LOOK_EVERY (5 * NSEC_MSEC)
#define RESTART_APPEAR (10 * NSEC_SEC)
#define RESTART_KILL_CONFIRM (2 * NSEC_SEC)

struct restart_state {
    struct restart_container *container; /* then nothing of the rest is used; or NULL */
    struct unit_power *unit;             /* likewise */
    struct inject_env *env;              /* while something is pending; see restart_start() */
    const struct restart_params *params;
    struct targets targets; /* what got SIGTERM */
    json_t *units;          /* per host: [names…] to start; null: all that do not run */
    json_t *changes;
    struct span at;
    nsec kill_at, appear_by;
    struct loop_timer timer;
    struct inject_env env_copy;
    inject_event_fn *fn;
    void *data;
};

static int restart_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct restart_params *p = step->params;
    if (unit_power_is_meant(s, p->whom.host) && (p->whom.process || p->whom.unit))
        return err_set(err, EINVAL,
                       "'restart' is what systemd does to a unit as a whole: leave '%s' out",
                       p->whom.process ? "process" : "unit");
    if (unit_power_is_meant(s, p->whom.host))
        return 0;
    if (restart_container_is_meant(s, &p->whom))
        return restart_container_check(&p->whom, err);
    const struct host *h = targets_attached(s, p->whom.host);
    int r = targets_check(s, &p->whom, err);
    if (r == 0 && h && h->start.n == 0)
        return err_set(
            err, EINVAL,
            "nothing says how %s is started again: give the host 'start: COMMAND', or use "
            "'kill', and whoever looks after it starts it",
            h->name);
    return r;
}

static int restart_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                        struct err *err)
{
    const struct restart_params *p = step->params;
    if (unit_power_is_meant(env->scenario, p->whom.host))
        return unit_power_plan(env, MANAGER_RESTART, p->whom.host, texts);
    if (restart_container_is_meant(env->scenario, &p->whom))
        return restart_container_plan(p, texts);
    char grace[NSEC_TEXT_MAX];
    AUTO_BUF text = BUF_INIT;
    targets_plan(&p->whom, "TERM", &text);
    buf_printf(&text,
               ", SIGKILL to what lives %s later, then the commands started again; nothing "
               "to undo",
               nsec_text(p->grace, grace));
    json_array_append_new(texts, json_string(buf_text(&text)));
    char only[NSEC_TEXT_MAX + 40];
    snprintf(only, sizeof only, "if it lives %s later: ", grace);
    targets_plan_signal(&p->whom, SIGTERM, NULL, "", texts);
    targets_plan_signal(&p->whom, SIGKILL, TARGETS_THE_SAME, only, texts);
    targets_plan_start(env->scenario, p->whom.host, p->whom.unit,
                       p->whom.process ? "if it ended, or is of that name: " : "", texts);
    return 0;
}

static void restart_done(void *state)
{
    struct restart_state *st = state;
    if (!st)
        return;
    if (st->env)
        loop_timer_cancel(st->env->loop, &st->timer);
    restart_container_done(st->container);
    unit_power_done(st->unit);
    targets_done(&st->targets);
    json_decref(st->units);
    json_decref(st->changes);
    free(st);
}

static bool unit_is_called(const struct unit *u, const char *process)
{
    if (strcmp(u->name, process) == 0)
        return true;
    char **argv = text_split_argv(u->command);
    bool same = argv && argv[0] &&
                (strcmp(argv[0], process) == 0 || strcmp(text_basename(argv[0]), process) == 0);
    text_free_argv(argv);
    return same;
}

/* Which commands to start: those the matching processes belong to; where nothing runs, those whose
 * program has the given name. New reference. */
static json_t *units_to_start(const struct host *h, const struct restart_params *p,
                              const struct match_set *set)
{
    if (p->whom.unit)
        return json_pack("[s]", p->whom.unit);
    if (!p->whom.process || host_is_attached(h))
        return json_null();
    json_t *units = match_units(set);
    for (size_t i = 0; json_array_size(units) == 0 && i < h->start.n; i++) {
        const struct unit *u = h->start.items[i];
        if (unit_is_called(u, p->whom.process))
            json_array_append_new(units, json_string(u->name));
    }
    return units;
}

/* A container or a unit: whoever manages it restarts it. */
static int prepare_managed(struct inject_env *env, const struct restart_params *p, void **ret_state,
                           json_t **ret_undo, struct err *err)
{
    struct restart_state *st = calloc(1, sizeof *st);
    if (!st)
        return err_errno(err, ENOMEM, "preparing restart");
    int r = unit_power_is_meant(env->scenario, p->whom.host)
                ? unit_power_prepare(env, MANAGER_RESTART, p->whom.host, &st->unit, ret_undo, err)
                : restart_container_prepare(env, p, &st->container, err);
    if (r < 0) {
        free(st);
        return r;
    }
    *ret_state = st;
    *ret_undo = json_null();
    return 0;
}

static int restart_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                           json_t **ret_undo, struct err *err)
{
    const struct restart_params *p = step->params;
    if (restart_container_is_meant(env->scenario, &p->whom))
        return prepare_managed(env, p, ret_state, ret_undo, err);
    struct match_rule rule = targets_rule(&p->whom);
    AUTO_TARGETS found = {0};
    int r = targets_find(env, p->whom.host, &rule, 0, /*empty_ok=*/true, &found, err);
    if (r < 0)
        return r;
    AUTO_JSON *all = json_array(), *hosts = json_array();
    for (size_t i = 0; i < found.n; i++) {
        json_t *record = targets_record(env, found.hosts[i]);
        json_object_set_new(record, "start", targets_commands(env, found.hosts[i]));
        json_array_append_new(hosts, record);
        json_t *units =
            units_to_start(lab_node_host(lab_node(env->lab, found.hosts[i])), p, &found.sets[i]);
        json_array_append_new(all, units);
        if (json_is_array(units) && json_array_size(units) == 0)
            return err_set(err, ENOENT,
                           "host '%s' has no command in its start list whose program is '%s': it "
                           "could be ended but not started again",
                           found.hosts[i], p->whom.process);
    }
    struct restart_state *st = calloc(1, sizeof *st);
    if (!st)
        return err_errno(err, ENOMEM, "preparing restart");
    *st = (struct restart_state){.params = p,
                                 .targets = found,
                                 .units = json_incref(all),
                                 .changes = json_array(),
                                 .at = SPAN_UNSET};
    found = (struct targets){0};
    *ret_state = st;
    *ret_undo = json_pack("{s:O}", "hosts", hosts);
    return 0;
}

/* We died between the end and the beginning: on hosts that others made somebody must begin. */
static int begin_again(const struct inject_env *env, struct lab_node *n, const json_t *entry,
                       json_t *changes, struct span *at, struct err *err)
{
    return json_object_get(entry, "attached") ? targets_start(n, entry, changes, at, err) : 0;
}

static int restart_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                          struct err *err)
{
    return targets_revert(env, undo, begin_again, ret, err);
}

static void restart_finish(struct restart_state *st, int error, const struct err *err)
{
    struct inject_result result = {.at = st->at,
                                   .targets = targets_names(&st->targets),
                                   .changes = json_incref(st->changes),
                                   .chosen = targets_how(&st->targets)};
    struct inject_event e = {
        .kind = INJECT_ENDED, .result = &result, .error = error, .err = error ? err : NULL};
    st->fn(&e, st->data); /* may call restart_done() */
    inject_result_done(&result);
}

/* Sends to whatever of the targets still lives. */
static int send_all(struct restart_state *st, int signo, nsec confirm, struct err *err)
{
    for (size_t i = 0; i < st->targets.n; i++) {
        struct lab_node *n = lab_node(st->env->lab, st->targets.hosts[i]);
        AUTO_MATCH hit = {0};
        struct span by = SPAN_UNSET;
        if (!lab_node_is_up(n) || match_count(&st->targets.sets[i]) == 0)
            continue;
        int r = match_signal_these(n, st->targets.sets[i].procs, signo, confirm, &hit, &by, err);
        if (r < 0)
            return r;
        if (match_count(&hit) == 0)
            continue;
        targets_cover(&st->at, by);
        AUTO_BUF text = BUF_INIT;
        buf_printf(&text, "host %s: SIG%s to ", st->targets.hosts[i],
                   signo == SIGTERM ? "TERM" : "KILL");
        match_text(&hit, &text);
        json_array_append_new(st->changes, json_string(buf_text(&text)));
    }
    return 0;
}

static int count_alive(struct restart_state *st, size_t *ret, struct err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < st->targets.n; i++) {
        AUTO_MATCH alive = {0};
        int r = match_alive(lab_node(st->env->lab, st->targets.hosts[i]), &st->targets.sets[i],
                            &alive, err);
        if (r < 0)
            return r;
        n += match_count(&alive);
    }
    *ret = n;
    return 0;
}

/* A command that is restarted by its host runs already: starting it twice would be two servers. */
static int start_units(struct lab_node *n, const json_t *units, json_t *changes, struct span *at,
                       struct err *err)
{
    size_t count = json_array_size(units), started = 0;
    AUTO_FREE const char **names = calloc(count + 1, sizeof *names);
    if (!names)
        return err_errno(err, ENOMEM, "starting commands");
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(units, i));
        AUTO_MATCH running = {0};
        int r = match_find(n, &(struct match_rule){.unit = name}, &running, err);
        if (r < 0)
            return r;
        if (match_count(&running) == 0)
            names[started++] = name;
    }
    if (json_is_array(units) && started == 0)
        return 0;
    struct span by = SPAN_UNSET;
    int r = lab_node_start(n, json_is_array(units) ? names : NULL, &by, err);
    if (r < 0)
        return r;
    targets_cover(at, by);
    AUTO_BUF text = BUF_INIT;
    buf_printf(&text, "host %s: started again: ", lab_node_name(n));
    for (size_t i = 0; i < started; i++)
        buf_printf(&text, "%s%s", i ? ", " : "", names[i]);
    if (!json_is_array(units))
        buf_adds(&text, "every command");
    json_array_append_new(changes, json_string(buf_text(&text)));
    return 0;
}

static int start_all(struct restart_state *st, struct err *err)
{
    for (size_t i = 0; i < st->targets.n; i++) {
        struct lab_node *n = lab_node(st->env->lab, st->targets.hosts[i]);
        if (!lab_node_is_up(n))
            return err_set(err, EHOSTDOWN, "host '%s' went down during the restart",
                           st->targets.hosts[i]);
        int r = start_units(n, json_array_get(st->units, i), st->changes, &st->at, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* One look: what lives? Goes on, kills, or starts again and ends. */
static void restart_look(struct loop_timer *t, void *data)
{
    struct restart_state *st = data;
    struct loop *loop = st->env->loop;
    INJECT_ACT(st->env, false);
    struct err err = ERR_INIT;
    size_t alive = 0;
    int r = count_alive(st, &alive, &err);
    if (r == 0 && alive > 0 && loop_fresh(loop) < st->kill_at) {
        loop_timer_set(loop, &st->timer, nsec_add(loop_fresh(loop), RESTART_LOOK_EVERY));
        return;
    }
    if (r == 0 && alive > 0)
        r = send_all(st, SIGKILL, RESTART_KILL_CONFIRM, &err);
    if (r == 0)
        r = start_all(st, &err);
    st->appear_by = nsec_add(loop_fresh(loop), RESTART_APPEAR);
    restart_finish(st, r, &err);
}

static int restart_start(struct inject_env *env, void *state, inject_event_fn *fn, void *data,
                         struct err *err)
{
    struct restart_state *st = state;
    if (st->container)
        return restart_container_start(env, st->container, fn, data, err);
    if (st->unit)
        return unit_power_start(env, st->unit, fn, data, err);
    st->env_copy = *env; /* the caller's env need not live as long as the restart takes */
    st->env = &st->env_copy;
    st->fn = fn;
    st->data = data;
    st->timer = (struct loop_timer){.fn = restart_look, .data = st};
    int r = send_all(st, SIGTERM, 0, err);
    if (r < 0)
        return r;
    st->kill_at = nsec_add(loop_fresh(env->loop), st->params->grace);
    loop_timer_set(env->loop, &st->timer, loop_fresh(env->loop));
    return 0;
}

static int restart_verify(struct inject_env *env, void *state, struct inject_proof *ret,
                          struct err *err)
{
    struct restart_state *st = state;
    if (st->container)
        return restart_container_verify(st->container, ret, err);
    if (st->unit)
        return unit_power_verify(st->unit, ret, err);
    nsec before = nsec_now(CLOCK_MONOTONIC);
    size_t old = 0, fresh = 0, hosts = 0;
    for (size_t i = 0; i < st->targets.n; i++) {
        struct lab_node *n = lab_node(env->lab, st->targets.hosts[i]);
        struct match_rule rule = targets_rule(&st->params->whom);
        AUTO_MATCH alive = {0}, now = {0};
        int r = match_alive(n, &st->targets.sets[i], &alive, err);
        if (r == 0 && lab_node_is_up(n))
            r = match_find(n, &rule, &now, err);
        if (r < 0)
            return r;
        old += match_count(&alive);
        fresh += match_count(&now) - match_count(&alive);
        hosts += match_count(&now) > match_count(&alive);
    }
    struct inject_proof p = {.ok = old == 0 && hosts == st->targets.n,
                             .at = {before, nsec_now(CLOCK_MONOTONIC)}};
    snprintf(p.asked, sizeof p.asked, "new processes run in place of the old on %zu host(s)",
             st->targets.n);
    snprintf(p.seen, sizeof p.seen, "%zu old live, %zu new on %zu host(s)", old, fresh, hosts);
    snprintf(p.how, sizeof p.how, "looked for them, by pid and start time");
    /* What others made is started by a command of theirs, which takes its time. */
    if (!p.ok && old == 0 && !env->decide && hosts < st->targets.n &&
        lab_node_attached(lab_node(env->lab, st->targets.hosts[0])) &&
        nsec_now(CLOCK_MONOTONIC) < st->appear_by)
        return INJECT_AGAIN;
    *ret = p;
    return 0;
}

static const struct field restart_fields[] = {
    TARGETS_HOST_FIELD(offsetof(struct process_params, host), "lb1"),
    {.key = "process",
     .type = FIELD_TEXT,
     .offset = offsetof(struct process_params, process),
     .help = "Processes whose argv[0], its basename, executable or comm (cut at 15 characters by "
             "the kernel) is this. Without process and unit: everything the host runs.",
     .example = "nginx"},
    {.key = "unit",
     .type = FIELD_TEXT,
     .offset = offsetof(struct process_params, unit),
     .help = "The command of this name in the host's start list.",
     .example = "nginx"},
    {.key = "grace",
     .type = FIELD_DURATION,
     .offset = offsetof(struct restart_params, grace),
     .dflt = "5s",
     .min = 0,
     .max = 600 * NSEC_SEC,
     .help = "From SIGTERM to SIGKILL for what has not ended by then.",
     .example = "10s"},
    {.key = NULL},
};

static const struct record restart_record = {
    .name = "restart",
    .summary = "Processes of a host are ended and started again.",
    .size = sizeof(struct restart_params),
    .fields = restart_fields,
    .shorthand = "host",
    .name_offset = SIZE_MAX,
    .place_offset = SIZE_MAX,
    .variant_place_offset = SIZE_MAX,
};

static int restart_effect(struct inject_env *env, const struct step *step, struct effects *ret,
                          struct err *err)
{
    const struct restart_params *p = step->params;
    struct effect one = {.kind = EFFECT_DOWN, .refused = true, .repaired = true};
    return effects_at(env, p->whom.host, &one, ret, err);
}

static void restart_touches(const json_t *undo, json_t *ret)
{
    size_t i;
    const json_t *entry;
    json_array_foreach (json_object_get(undo, "hosts"), i, entry)
        touch_started(ret, entry);
}

static const struct injector restart_injector = {
    .name = "restart",
    .is_fault = true,
    .attaches = ATTACH_POWER | ATTACH_PROCESSES,
    .check = restart_check,
    .supported = targets_supported,
    .plan = restart_plan,
    .prepare = restart_prepare,
    .start = restart_start,
    .verify = restart_verify,
    .revert = restart_revert,
    .touches = restart_touches,
    .done = restart_done,
    .effect = restart_effect,
};

const struct variant inject_restart = {
    .name = "restart",
    .summary = "Ends processes (SIGTERM, then SIGKILL) and starts their commands again.",
    .detail = "Ends by itself: `for:` and `until:` do not apply. What is not running is only "
              "started, so it can also repair what a kill has ended. A container is restarted as "
              "a whole by its engine, a unit by systemd.",
    .params = &restart_record,
    .impl = &restart_injector,
};
