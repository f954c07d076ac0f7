/* kill: a signal to every matching process of a host; the host itself stays up, and so does what
 * the kernel holds for it (a virtual address stays configured: to lose a host, use node-kill).
 *
 * What was hit is kept by pid and start time; that is what verify asks after. Undone (when asked)
 * by starting again the commands that were hit and no longer run; a container by its engine and a unit by
 * systemd, where that ended it as a whole (what starts a part of it again is its own affair).
 */
#include <assert.h>
#include <errno.h>
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

static const char *const kill_signal_words[] = {"KILL", "TERM", "INT",  "HUP",  "QUIT",
                                                "ABRT", "ALRM", "USR1", "USR2", "CONT",
                                                "PIPE", "SEGV", "TTIN", "TTOU", NULL};
static const int kill_signals[] = {SIGKILL, SIGTERM, SIGINT,  SIGHUP,  SIGQUIT, SIGABRT, SIGALRM,
                                   SIGUSR1, SIGUSR2, SIGCONT, SIGPIPE, SIGSEGV, SIGTTIN, SIGTTOU};
static_assert(ARRAY_SIZE(kill_signals) + 1 == ARRAY_SIZE(kill_signal_words), "a word per signal");

/* How long the death by SIGKILL may take; it is the kernel's work alone. */
#define KILL_CONFIRM (2 * NSEC_SEC)
/* A supervisor that was not yet hit may start another child between the look and the signal. */
#define KILL_ROUNDS 5

struct kill_state {
    const struct kill_params *params;
    struct targets targets; /* found at prepare, then what was really hit */
    nsec deadline;          /* by when what was hit must be gone */
    struct span at;
};

static bool ends_processes(int signo)
{
    return signo == SIGKILL || signo == SIGTERM || signo == SIGINT || signo == SIGQUIT ||
           signo == SIGABRT || signo == SIGSEGV;
}

static int kill_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct kill_params *p = step->params;
    const struct host *h = targets_attached(s, p->whom.host);
    int r = targets_check(s, &p->whom, err);
    if (r == 0 && h && h->process && h->start.n == 0 && (nsec_is_set(step->lasting) || step->until))
        return err_set(
            err, EINVAL,
            "nothing says how %s is started again afterwards: give the host 'start: "
            "COMMAND', or leave 'for' and 'until' away, and whoever looks after it does it",
            h->name);
    return r;
}

static int kill_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                     struct err *err)
{
    const struct kill_params *p = step->params;
    const struct host *h = targets_attached(env->scenario, p->whom.host);
    bool managed = h && (h->container || h->compose || h->unit);
    bool starts = !managed && (!h || h->start.n > 0);
    AUTO_BUF text = BUF_INIT;
    targets_plan(&p->whom, kill_signal_words[p->signal], &text);
    if (managed && ends_processes(kill_signals[p->signal]))
        buf_printf(&text, "; undone by starting the %s again, if that ended it",
                   h->unit ? "unit" : "same container");
    else if (starts)
        buf_adds(&text, "; undone by starting again the commands that it ended");
    json_array_append_new(texts, json_string(buf_text(&text)));
    targets_plan_signal(&p->whom, kill_signals[p->signal], NULL, "", texts);
    if (managed && ends_processes(kill_signals[p->signal])) {
        json_array_append_new(texts, json_string(INJECT_PLAN_UNDO));
        if (h->unit)
            unit_power_plan_job(MANAGER_START, p->whom.host, h->unit, "if that ended it: ", texts);
        else
            contained_plan_verb(p->whom.host, CENGINE_START, "if that ended it: ", texts);
    }
    if (!starts)
        return 0;
    json_array_append_new(texts, json_string(INJECT_PLAN_UNDO));
    targets_plan_start(env->scenario, p->whom.host, p->whom.unit, "if it ended: ", texts);
    return 0;
}

static void kill_done(void *state)
{
    struct kill_state *st = state;
    if (!st)
        return;
    targets_done(&st->targets);
    free(st);
}

/* What undoing needs of one host; *managed stays true when somebody manages it who knows it for longer
 * than its processes live. A signal that ends nothing ended no container and no unit either. */
static json_t *undo_record(struct inject_env *env, const char *host, const struct match_set *hit,
                           int signo, bool *managed)
{
    struct lab_node *n = lab_node(env->lab, host);
    bool ends = ends_processes(signo);
    json_t *record = targets_record(env, host), *container = ends ? contained_record(n) : NULL;
    const char *unit = ends ? lab_node_host(n)->unit : NULL;
    json_object_set_new(record, "units", match_units(hit));
    json_object_set_new(record, "start", targets_commands(env, host));
    if (container)
        json_object_set_new(record, "container", container);
    if (unit)
        json_object_set_new(record, "unit", json_string(unit));
    *managed = *managed && (container || unit);
    return record;
}

static int kill_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                        json_t **ret_undo, struct err *err)
{
    const struct kill_params *p = step->params;
    struct match_rule rule = targets_rule(&p->whom);
    AUTO_TARGETS found = {0};
    int r = targets_find(env, p->whom.host, &rule, p->whom.expect, /*empty_ok=*/false, &found, err);
    if (r < 0)
        return r;
    struct kill_state *st = calloc(1, sizeof *st);
    if (!st)
        return err_errno(err, ENOMEM, "preparing kill");
    json_t *hosts = json_array();
    bool managed = true;
    for (size_t i = 0; i < found.n; i++)
        json_array_append_new(hosts, undo_record(env, found.hosts[i], &found.sets[i],
                                                 kill_signals[p->signal], &managed));
    *st = (struct kill_state){.params = p, .targets = found, .at = SPAN_UNSET};
    found = (struct targets){0};
    *ret_state = st;
    *ret_undo = json_pack("{s:o,s:b}", "hosts", hosts, "persistent", managed);
    return 0;
}

static bool is_restarted(const struct lab_node *n, const json_t *proc)
{
    const char *name = jsonx_str(proc, "unit", NULL);
    const struct host *h = lab_node_host(n);
    for (size_t i = 0; name && i < h->start.n; i++) {
        const struct unit *u = h->start.items[i];
        if (strcmp(u->name, name) == 0)
            return u->restart == 1;
    }
    return false;
}

/* Of what matches now, those that are not there because somebody promised to restart them. */
static int find_left(struct lab_node *n, const struct match_rule *rule, struct match_set *ret,
                     struct err *err)
{
    AUTO_MATCH now = {0};
    int r = match_find(n, rule, &now, err);
    if (r < 0)
        return r;
    json_t *left = json_array();
    size_t i;
    json_t *p;
    json_array_foreach (now.procs, i, p)
        if (!is_restarted(n, p))
            json_array_append(left, p);
    ret->procs = left;
    return 0;
}

/* Signals what matches on one host; SIGKILL until nothing is left. `set` becomes what was hit. */
static int kill_on(struct lab_node *n, const struct kill_params *p, struct match_set *set,
                   struct span *at, struct err *err)
{
    struct match_rule rule = targets_rule(&p->whom);
    int signo = kill_signals[p->signal];
    json_array_clear(set->procs);
    if (p->whom.expect > 0) {
        AUTO_MATCH now = {0};
        int r = match_find(n, &rule, &now, err);
        if (r == 0)
            r = targets_expected(lab_node_name(n), &rule, &now, p->whom.expect, err);
        if (r < 0)
            return r;
    }
    for (int round = 0; round < KILL_ROUNDS; round++) {
        AUTO_MATCH hit = {0}, left = {0};
        struct span by = SPAN_UNSET;
        int r = match_signal(n, &rule, signo, signo == SIGKILL ? KILL_CONFIRM : 0, &hit, &by, err);
        if (r < 0)
            return r;
        targets_cover(at, by);
        json_array_extend(set->procs, hit.procs);
        if (signo != SIGKILL)
            break;
        r = find_left(n, &rule, &left, err);
        if (r < 0)
            return r;
        if (match_count(&left) == 0)
            break;
    }
    return 0;
}

static int kill_apply(struct inject_env *env, void *state, struct inject_result *ret,
                      struct err *err)
{
    struct kill_state *st = state;
    struct targets *t = &st->targets;
    AUTO_JSON *changes = json_array();
    for (size_t i = 0; i < t->n; i++) {
        struct lab_node *n = lab_node(env->lab, t->hosts[i]);
        struct span at = SPAN_UNSET;
        int r = kill_on(n, st->params, &t->sets[i], &at, err);
        if (r < 0)
            return r;
        if (!span_is_set(at))
            return err_set(err, ESRCH,
                           "on host '%s' everything that matched was gone before the "
                           "signal was sent",
                           t->hosts[i]);
        targets_cover(&st->at, at);
        AUTO_BUF text = BUF_INIT;
        buf_printf(&text, "host %s: SIG%s to ", t->hosts[i], kill_signal_words[st->params->signal]);
        match_text(&t->sets[i], &text);
        json_array_append_new(changes, json_string(buf_text(&text)));
    }
    st->deadline = nsec_add(nsec_now(CLOCK_MONOTONIC), st->params->within);
    *ret = targets_result(t, st->at, changes);
    return 0;
}

/* Counts what was hit and what of it still lives; names of the latter go to `left`. */
static int count_left(struct inject_env *env, const struct targets *t, size_t *ret_hit,
                      size_t *ret_left, struct buf *left, struct err *err)
{
    size_t hit = 0, alive = 0;
    for (size_t i = 0; i < t->n; i++) {
        AUTO_MATCH now = {0};
        int r = match_alive(lab_node(env->lab, t->hosts[i]), &t->sets[i], &now, err);
        if (r < 0)
            return r;
        hit += match_count(&t->sets[i]);
        alive += match_count(&now);
        if (match_count(&now) > 0) {
            buf_printf(left, "%s%s: ", left->len ? "; " : "", t->hosts[i]);
            match_text(&now, left);
        }
    }
    *ret_hit = hit;
    *ret_left = alive;
    return 0;
}

static int kill_verify(struct inject_env *env, void *state, struct inject_proof *ret,
                       struct err *err)
{
    struct kill_state *st = state;
    nsec before = nsec_now(CLOCK_MONOTONIC);
    size_t hit = 0, left = 0;
    AUTO_BUF names = BUF_INIT;
    int r = count_left(env, &st->targets, &hit, &left, &names, err);
    if (r < 0)
        return r;
    nsec now = nsec_now(CLOCK_MONOTONIC);
    bool must_end = ends_processes(kill_signals[st->params->signal]);
    if (must_end && left > 0 && now < st->deadline)
        return INJECT_AGAIN;
    struct inject_proof p = {.ok = !must_end || left == 0, .at = {before, now}};
    const char *word = kill_signal_words[st->params->signal];
    if (must_end)
        snprintf(p.asked, sizeof p.asked, "none of the %zu processes that got SIG%s lives", hit,
                 word);
    else
        snprintf(p.asked, sizeof p.asked, "SIG%s reached every process that matched", word);
    if (!must_end)
        snprintf(p.seen, sizeof p.seen, "%zu processes got it, %zu of them live", hit, left);
    else if (left == 0)
        snprintf(p.seen, sizeof p.seen, "all %zu are gone", hit);
    else
        snprintf(p.seen, sizeof p.seen, "%zu still live: %s", left, buf_text(&names));
    snprintf(p.how, sizeof p.how, "looked for them by pid and start time");
    *ret = p;
    return 0;
}

/* On a host that others made, by whoever manages it. What was removed meanwhile is left at that. */
static int start_there(const struct inject_env *env, struct lab_node *n, const json_t *entry,
                       json_t *changes, struct span *at, struct err *err)
{
    const json_t *container = json_object_get(entry, "container");
    struct span by = {.lo = nsec_now(CLOCK_MONOTONIC)};
    if (!container && !unit_power_has(entry))
        return targets_start(n, entry, changes, at, err);
    int r = container ? contained_start(env, container, changes, at, err)
                      : unit_power_start_again(env, entry, changes, err);
    by.hi = nsec_now(CLOCK_MONOTONIC);
    if (r == 0)
        targets_cover(at, by);
    return r == INJECT_GONE ? 0 : r;
}

/* Starts those units of one host that do not run. */
static int start_again(const struct inject_env *env, struct lab_node *n, const json_t *entry,
                       json_t *changes, struct span *at, struct err *err)
{
    size_t i;
    json_t *unit;
    if (json_object_get(entry, "attached"))
        return start_there(env, n, entry, changes, at, err);
    json_array_foreach (json_object_get(entry, "units"), i, unit) {
        const char *names[] = {json_string_value(unit), NULL};
        struct match_rule rule = {.unit = names[0]};
        AUTO_MATCH running = {0};
        int r = names[0] ? match_find(n, &rule, &running, err) : -EINVAL;
        if (r < 0)
            return r;
        if (match_count(&running) > 0)
            continue;
        struct span by = SPAN_UNSET;
        r = lab_node_start(n, names, &by, err);
        if (r < 0)
            return r;
        targets_cover(at, by);
        json_array_append_new(
            changes, json_sprintf("host %s: %s started again", lab_node_name(n), names[0]));
    }
    return 0;
}

static int kill_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                       struct err *err)
{
    return targets_revert(env, undo, start_again, ret, err);
}

static const struct field kill_fields[] = {
    TARGETS_HOST_FIELD(offsetof(struct process_params, host), "lb1"),
    TARGETS_PROCESS_FIELD("nginx"),
    TARGETS_UNIT_FIELD("keepalived"),
    TARGETS_PID_FIELD,
    {.key = "signal",
     .type = FIELD_WORD,
     .offset = offsetof(struct kill_params, signal),
     .dflt = "KILL",
     .words = kill_signal_words,
     .help = "The signal. After KILL, TERM, INT, QUIT, ABRT and SEGV what was hit must be gone.",
     .example = "TERM"},
    TARGETS_EXPECT_FIELD,
    {.key = "within",
     .type = FIELD_DURATION,
     .offset = offsetof(struct kill_params, within),
     .dflt = "10s",
     .min = NSEC_MSEC,
     .max = 600 * NSEC_SEC,
     .help = "How long what was hit may take to end; longer, and the fault did not bite.",
     .example = "3s"},
    {.key = NULL},
};

static const struct record kill_record = {
    .name = "kill",
    .summary = "A signal to processes of a host.",
    .size = sizeof(struct kill_params),
    .fields = kill_fields,
    .shorthand = "host",
    .name_offset = SIZE_MAX,
    .place_offset = SIZE_MAX,
    .variant_place_offset = SIZE_MAX,
};

static int kill_effect(struct inject_env *env, const struct step *step, struct effects *ret,
                       struct err *err)
{
    const struct kill_params *p = step->params;
    if (!ends_processes(kill_signals[p->signal]))
        return err_set(err, ENOTSUP,
                       "a forecast does not know what SIG%s does to the processes of the step %s: "
                       "say it with an `outage`, in a scenario for forecasts",
                       kill_signal_words[p->signal], step->id);
    struct effect one = {.kind = EFFECT_DOWN, .refused = true};
    return effects_at(env, p->whom.host, &one, ret, err);
}

static void kill_touches(const json_t *undo, json_t *ret)
{
    size_t i;
    const json_t *entry;
    json_array_foreach (json_object_get(undo, "hosts"), i, entry) {
        const json_t *container = json_object_get(entry, "container");
        if (container)
            touch_container(ret, container);
        else if (unit_power_has(entry))
            touch_unit(ret, jsonx_str(entry, "host", "?"), jsonx_str(entry, "unit", ""));
        else
            touch_started(ret, entry);
    }
}

static const struct injector kill_injector = {
    .name = "kill",
    .is_fault = true,
    .attaches = ATTACH_PROCESSES,
    .lasts = true,
    .check = kill_check,
    .supported = targets_supported,
    .plan = kill_plan,
    .prepare = kill_prepare,
    .apply = kill_apply,
    .verify = kill_verify,
    .revert = kill_revert,
    .touches = kill_touches,
    .done = kill_done,
    .effect = kill_effect,
};

const struct variant inject_kill = {
    .name = "kill",
    .summary = "Sends a signal (SIGKILL) to every matching process of a host.",
    .detail =
        "The host stays up: addresses that a killed server had configured stay with it; to "
        "lose a host as a power cut does, use node-kill. A command with `restart: always` is "
        "started again by the host. Afterwards (`for:`, `until:`, else at the end of the trial) "
        "the commands that were hit are started again, and so is a container or a unit that "
        "ended by it. "
        "Nothing that matches: the target had gone, the trial is "
        "void.",
    .params = &kill_record,
    .impl = &kill_injector,
};
