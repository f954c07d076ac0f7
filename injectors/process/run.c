/* run: a command on a host, as a person or an automation would give it. An action, not a fault: it
 * is not verified and not undone; its end (exit code, output) is recorded when it comes.
 *
 * The command runs through /bin/sh -c in the host's working directory and environment. A step ends
 * when the command exits, not when its pipe closes.
 *
 * Whoever finds the host down, or nobody to choose, has found what people find in an outage: the
 * action has failed and is told so (an end without a start, with the reason as output), the trial
 * goes on and means what it meant.
 */
#include <errno.h>
#include <string.h>

#include "injectors/actions.h"
#include "injectors/effects.h"
#include "injectors/injector.h"
#include "injectors/params.h"
#include "injectors/process/targets.h"

struct run_state;

struct run_one {
    struct run_state *owner; /* NULL: nobody listens any more */
    struct lab_node *node;
    const char *host;
    bool telling; /* its end is being told */
};

struct run_state {
    const struct run_params *params;
    struct targets targets;
    struct run_one **running; /* one per host; NULL when ended */
    struct err why;           /* set: nobody could be chosen, there are no targets */
    char *whom;               /* then: who was looked for; else NULL */
    json_t *changes;          /* what was started */
    size_t open;
    struct span at;
    inject_event_fn *fn;
    void *data;
};

static int run_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct run_params *p = step->params;
    return inject_target_check(p->host, "host", err);
}

static int run_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                    struct err *err)
{
    const struct run_params *p = step->params;
    AUTO_BUF text = BUF_INIT;
    targets_plan_command(p->host, p->command, p->timeout, &text);
    if (p->role)
        buf_printf(&text, ", as %s would", p->role);
    buf_adds(&text, "; not undone");
    json_array_append_new(texts, json_string(buf_text(&text)));
    targets_plan_run(p->host, p->command, p->timeout, texts);
    return 0;
}

/* A command that still runs is forgotten, not ended: what people start goes on without us. */
static void run_done(void *state)
{
    struct run_state *st = state;
    if (!st)
        return;
    for (size_t i = 0; st->running && i < st->targets.n; i++) {
        struct run_one *one = st->running[i];
        if (!one)
            continue;
        one->owner = NULL;
        if (one->telling)
            continue; /* freed by run_ended(), from which we are called */
        lab_node_forget(one->node, one);
        free(one);
    }
    free(st->running);
    targets_done(&st->targets);
    json_decref(st->changes);
    free(st->whom);
    free(st);
}

static int run_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                       json_t **ret_undo, struct err *err)
{
    const struct run_params *p = step->params;
    AUTO_TARGETS t = {0};
    struct err why = ERR_INIT;
    int r = targets_choose(env, p->host, &t, &why);
    bool nobody = r == -ESRCH || r == -ENOTUNIQ;
    if (r < 0 && !nobody) {
        if (err)
            *err = why;
        return r;
    }
    struct run_state *st = calloc(1, sizeof *st);
    struct run_one **running = calloc(t.n + 1, sizeof(struct run_one *));
    if (!st || !running) {
        free(st);
        free(running);
        return err_errno(err, ENOMEM, "preparing run");
    }
    *st = (struct run_state){.params = p,
                             .targets = t,
                             .running = running,
                             .why = why,
                             .whom = nobody ? inject_target_text(p->host) : NULL,
                             .changes = json_array(),
                             .at = SPAN_UNSET};
    t = (struct targets){0};
    *ret_state = st;
    *ret_undo = json_null();
    return 0;
}

static void tell_all_ended(struct run_state *st)
{
    struct inject_result result = {.at = st->at,
                                   .targets = targets_names(&st->targets),
                                   .changes = json_incref(st->changes),
                                   .chosen = targets_how(&st->targets)};
    struct inject_event e = {.kind = INJECT_ENDED, .result = &result};
    st->fn(&e, st->data); /* may call run_done(): st is not touched afterwards */
    inject_result_done(&result);
}

static void tell_end(struct run_state *st, struct run_one *one, const struct lab_run_result *r)
{
    targets_cover(&st->at, r->start);
    targets_cover(&st->at, r->end);
    struct inject_event e = {.kind = INJECT_COMMAND_END,
                             .host = one->host,
                             .command = st->params->command,
                             .role = st->params->role,
                             .at = r->end,
                             .code = r->signo ? -1 : r->code,
                             .signo = r->signo,
                             .timed_out = r->timed_out,
                             .output = r->output,
                             .output_n = r->output_n};
    bool last = --st->open == 0;
    st->fn(&e, st->data); /* may call run_done(), which clears one->owner */
    if (!one->owner)
        return;
    for (size_t i = 0; i < st->targets.n; i++)
        if (st->running[i] == one)
            st->running[i] = NULL;
    if (last)
        tell_all_ended(st);
}

static void run_ended(const struct lab_run_result *r, void *data)
{
    AUTO_FREE struct run_one *one = data;
    one->telling = true;
    if (one->owner)
        tell_end(one->owner, one, r);
}

/* Starts the command on one host and tells so. */
static int run_on(struct inject_env *env, struct run_state *st, size_t i, struct err *err)
{
    struct run_one *one = calloc(1, sizeof *one);
    if (!one)
        return err_errno(err, ENOMEM, "running a command");
    *one = (struct run_one){.owner = st,
                            .node = lab_node(env->lab, st->targets.hosts[i]),
                            .host = st->targets.hosts[i]};
    nsec before = nsec_now(CLOCK_MONOTONIC);
    int r = lab_node_run(one->node, st->params->command, st->params->timeout, run_ended, one, err);
    if (r < 0) {
        free(one);
        return r;
    }
    st->running[i] = one;
    json_array_append_new(st->changes,
                          json_sprintf("host %s: ran `%s`", one->host, st->params->command));
    struct inject_event e = {.kind = INJECT_COMMAND_START,
                             .host = one->host,
                             .command = st->params->command,
                             .role = st->params->role,
                             .at = {before, nsec_now(CLOCK_MONOTONIC)}};
    targets_cover(&st->at, e.at);
    st->fn(&e, st->data);
    return 0;
}

/* It could not be started there: its end, and why. */
static void tell_not_run(struct run_state *st, const char *host, const struct err *why)
{
    nsec now = nsec_now(CLOCK_MONOTONIC);
    struct inject_event e = {.kind = INJECT_COMMAND_END,
                             .host = host,
                             .command = st->params->command,
                             .role = st->params->role,
                             .at = {now, now},
                             .code = -1,
                             .output = why->text,
                             .output_n = strlen(why->text)};
    targets_cover(&st->at, e.at);
    st->fn(&e, st->data);
}

static int run_start(struct inject_env *env, void *state, inject_event_fn *fn, void *data,
                     struct err *err)
{
    struct run_state *st = state;
    bool told = false;
    st->fn = fn;
    st->data = data;
    if (st->whom)
        tell_not_run(st, st->whom, &st->why);
    st->open = st->targets.n;
    for (size_t i = 0; i < st->targets.n; i++) {
        const char *host = st->targets.hosts[i];
        const struct lab_node *n = lab_node(env->lab, host);
        struct err why = ERR_INIT;
        bool up = n && lab_node_is_up(n);
        int r = up ? run_on(env, st, i, &why) : err_set(&why, EHOSTDOWN, "the host is down");
        if (r < 0 && up && !told) { /* it is we who failed, and nothing has been told: as a whole */
            if (err)
                *err = why;
            return r;
        }
        told = true;
        if (r < 0) {
            tell_not_run(st, host, &why);
            st->open--;
        }
    }
    if (st->open == 0)
        tell_all_ended(st);
    return 0;
}

static const struct field run_fields[] = {
    TARGETS_HOST_FIELD(offsetof(struct run_params, host), "db2"),
    {.key = "command",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct run_params, command),
     .help = "Given to /bin/sh -c, in the host's working directory and environment.",
     .example = "./promote.sh"},
    {.key = "role",
     .type = FIELD_NAME,
     .offset = offsetof(struct run_params, role),
     .help = "Who does this in real life; stands beside it in the record and the report.",
     .example = "dba"},
    {.key = "timeout",
     .type = FIELD_DURATION,
     .offset = offsetof(struct run_params, timeout),
     .dflt = "60s",
     .min = NSEC_MSEC,
     .max = 86400 * NSEC_SEC,
     .help = "After this the command is ended by SIGKILL and recorded as timed out.",
     .example = "30s"},
    {.key = NULL},
};

static const struct record run_record = {
    .name = "run",
    .summary = "A command on a host.",
    .size = sizeof(struct run_params),
    .fields = run_fields,
    .name_offset = SIZE_MAX,
    .place_offset = SIZE_MAX,
    .variant_place_offset = SIZE_MAX,
};

/* What people and automations bring about stands in the model: how long restoring takes. */
static int run_effect(struct inject_env *env, const struct step *step, struct effects *ret,
                      struct err *err)
{
    const struct run_params *p = step->params;
    struct effect one = {.kind = EFFECT_NOTHING};
    return effects_at(env, p->host, &one, ret, err);
}

static const struct injector run_injector = {
    .name = "run",
    .attaches = ATTACH_COMMANDS,
    .check = run_check,
    .supported = targets_supported,
    .plan = run_plan,
    .prepare = run_prepare,
    .start = run_start,
    .done = run_done,
    .effect = run_effect,
};

const struct variant inject_run = {
    .name = "run",
    .summary = "Runs a command on a host: what a person or an automation does; not a fault.",
    .detail = "Its start, its end, its exit code and its output are recorded. A step ends when the "
              "command exits, whatever it leaves in the background. It is not undone. An exit code "
              "other than 0, a host that is down or a leader that is not there is an action that "
              "failed: the report says so, the trial goes on and counts.",
    .params = &run_record,
    .impl = &run_injector,
};
