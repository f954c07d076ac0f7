/* custom: a fault of the user's own: a command that makes it, one that undoes it, perhaps one that says
 * whether it bites.
 *
 * They run as `run` does: /bin/sh -c, in the host's working directory (on a host that others made: in
 * its network and mount namespace, in the scenario's folder). Undoing and verifying are waited for, so
 * their time is short. The undo command stands in the journal, with the folder it ran in, so that a
 * warden or `blackstart undo` runs it where the runner has died; it may be run twice, and after a command
 * that failed half way.
 *
 * What it did in a host of the lab goes with the host: nothing is run when that has died.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "injectors/actions.h"
#include "injectors/injector.h"
#include "injectors/params.h"
#include "injectors/process/targets.h"
#include "injectors/touch.h"
#include "sim/attach/attach.h"
#include "sim/attach/procs.h"
#include "sim/base/jsonx.h"
#include "sim/base/text.h"
#include "sim/lab/deed.h"
#include "sim/loop/child.h"

#define CUSTOM_LONGEST (10 * NSEC_SEC) /* the warden waits 15 s for a sign of life */
#define CUSTOM_SAID_MAX 300

struct custom_state {
    const struct custom_params *params;
    struct targets targets; /* exactly one */
    struct lab_node *node;
    inject_event_fn *fn;
    void *data;
    bool running, ended;
    int code;
    struct span at;
    char said[CUSTOM_SAID_MAX]; /* the command, when it failed */
};

static int custom_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct custom_params *p = step->params;
    int r = inject_target_check(p->host, "host", err);
    if (r < 0)
        return r;
    if (inject_target_count(p->host) != 1)
        return err_set(err, EINVAL, "'host' must be one: give each host a step of its own");
    if (!p->undo && (nsec_is_set(step->lasting) || step->until))
        return err_set(
            err, EINVAL,
            "'undo' is missing: without it there is nothing to end with 'for' or 'until'");
    return 0;
}

static int custom_plan(const struct inject_env *env, const struct step *step, json_t *texts,
                       struct err *err)
{
    const struct custom_params *p = step->params;
    AUTO_BUF text = BUF_INIT;
    targets_plan_command(p->host, p->command, p->timeout, &text);
    if (p->verify)
        buf_printf(&text, "; it bites when '%s' exits with 0", p->verify);
    if (p->undo)
        buf_printf(&text, "; undone by /bin/sh -c '%s'", p->undo);
    else
        buf_adds(&text, "; not undone");
    json_array_append_new(texts, json_string(buf_text(&text)));
    targets_plan_run(p->host, p->command, p->timeout, texts);
    if (!p->undo)
        return 0;
    json_array_append_new(texts, json_string(INJECT_PLAN_UNDO));
    targets_plan_run(p->host, p->undo, 0, texts);
    return 0;
}

static void custom_done(void *state)
{
    struct custom_state *st = state;
    if (!st)
        return;
    if (st->running && !st->ended)
        lab_node_forget(st->node, st);
    targets_done(&st->targets);
    free(st);
}

static void custom_free(struct custom_state **st)
{
    custom_done(*st);
}

static int custom_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                          json_t **ret_undo, struct err *err)
{
    const struct custom_params *p = step->params;
    CLEANUP(custom_free) struct custom_state *st = calloc(1, sizeof *st);
    if (!st)
        return err_errno(err, ENOMEM, "preparing custom");
    st->params = p;
    int r = targets_choose(env, p->host, &st->targets, err);
    if (r < 0)
        return r;
    st->node = lab_node(env->lab, st->targets.hosts[0]);
    if (!st->node || !lab_node_is_up(st->node))
        return err_set(err, ESRCH, "host '%s' is down: no command can run there",
                       st->targets.hosts[0]);
    json_t *undo = targets_record(env, st->targets.hosts[0]);
    json_object_set_new(undo, "command", p->undo ? json_string(p->undo) : json_null());
    json_object_set_new(undo, "timeout", json_integer(p->timeout));
    if (lab_node_attached(st->node)) {
        const struct attached_target *at = &lab_node_attached(st->node)->at;
        char folder[PATH_MAX], link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", lab_node_source(st->node));
        ssize_t n = readlink(link, folder, sizeof folder - 1);
        folder[n > 0 ? n : 0] = '\0';
        json_object_set_new(undo, "folder", jsonx_new_text(at->shares_mounts ? folder : "/"));
        json_object_set_new(undo, "machine", json_boolean(at->shares_network && at->shares_mounts));
        json_object_set_new(undo, "persistent", json_true());
    } else {
        json_object_set_new(undo, "init", json_integer(lab_node_pid(st->node)));
    }
    *ret_undo = undo;
    *ret_state = steal_ptr(st);
    return 0;
}

static void custom_ended(const struct lab_run_result *r, void *data)
{
    struct custom_state *st = data;
    const char *host = st->targets.hosts[0];
    st->ended = true;
    st->code = r->signo ? -1 : r->code;
    targets_cover(&st->at, r->start);
    targets_cover(&st->at, r->end);
    if (r->timed_out)
        snprintf(st->said, sizeof st->said, "it was killed after its time");
    else if (r->signo)
        snprintf(st->said, sizeof st->said, "it was killed by signal %d", r->signo);
    else
        snprintf(st->said, sizeof st->said, "it exits with %d", r->code);
    struct inject_event end = {.kind = INJECT_COMMAND_END,
                               .host = host,
                               .command = st->params->command,
                               .at = r->end,
                               .code = st->code,
                               .signo = r->signo,
                               .timed_out = r->timed_out,
                               .output = r->output,
                               .output_n = r->output_n};
    st->fn(&end, st->data);
    AUTO_JSON *changes = json_array();
    json_array_append_new(
        changes, json_sprintf("host %s: ran `%s` (%s)", host, st->params->command, st->said));
    struct inject_result result = targets_result(&st->targets, st->at, changes);
    struct inject_event ended = {.kind = INJECT_ENDED, .result = &result};
    st->fn(&ended, st->data); /* may call custom_done(): st is not touched afterwards */
    inject_result_done(&result);
}

static int custom_start(struct inject_env *env, void *state, inject_event_fn *fn, void *data,
                        struct err *err)
{
    struct custom_state *st = state;
    st->fn = fn;
    st->data = data;
    st->at = SPAN_UNSET;
    nsec before = nsec_now(CLOCK_MONOTONIC);
    int r = lab_node_run(st->node, st->params->command, st->params->timeout, custom_ended, st, err);
    if (r < 0)
        return r;
    st->running = true;
    struct inject_event e = {.kind = INJECT_COMMAND_START,
                             .host = st->targets.hosts[0],
                             .command = st->params->command,
                             .at = {before, nsec_now(CLOCK_MONOTONIC)}};
    targets_cover(&st->at, e.at);
    fn(&e, data);
    return 0;
}

/* What a command said, as a part of a sentence: its last line. */
static void last_line(const char *output, char ret[CUSTOM_SAID_MAX])
{
    output = output ? output : "";
    size_t n = strlen(output);
    while (n > 0 && output[n - 1] == '\n')
        n--;
    size_t from = n;
    while (from > 0 && output[from - 1] != '\n')
        from--;
    snprintf(ret, CUSTOM_SAID_MAX, "%s%.*s", n > from ? ": " : "", (int)(n - from), output + from);
}

static int custom_verify(struct inject_env *env, void *state, struct inject_proof *ret,
                         struct err *err)
{
    struct custom_state *st = state;
    const struct custom_params *p = st->params;
    struct inject_proof proof = {.at = {nsec_now(CLOCK_MONOTONIC), 0}};
    AUTO_FREE char *output = NULL;
    char said[CUSTOM_SAID_MAX] = "";
    int code = 0;
    bool up = lab_node_is_up(st->node);
    if (p->verify && up && st->code == 0) {
        int r = lab_node_run_wait(st->node, p->verify, p->timeout, &code, &output, err);
        if (r < 0)
            return r;
        last_line(output, said);
    }
    proof.at.hi = nsec_now(CLOCK_MONOTONIC);
    proof.ok = st->code == 0 && code == 0;
    snprintf(proof.asked, sizeof proof.asked, "`%.120s` succeeds%s%.120s%s", p->command,
             p->verify ? ", and `" : "", p->verify ? p->verify : "", p->verify ? "` does" : "");
    if (p->verify && up && st->code == 0)
        snprintf(proof.seen, sizeof proof.seen, "the command: %.80s; its check exits with %d%.160s",
                 st->said, code, said);
    else
        snprintf(proof.seen, sizeof proof.seen, "the command: %.200s", st->said);
    snprintf(proof.how, sizeof proof.how, "%s",
             p->verify ? "their exit codes" : "its exit code alone: no 'verify' was given");
    *ret = proof;
    return 0;
}

/* --- Undoing ------------------------------------------------------------------------------------ */

/* Where a command of a run that has died belongs. */
struct custom_place {
    int netns, mounts; /* -1: that of this process */
    const char *folder;
};

static int enter(void *data)
{
    const struct custom_place *p = data;
    if (p->netns >= 0 && setns(p->netns, CLONE_NEWNET) < 0)
        return errno;
    if (p->mounts >= 0 && setns(p->mounts, CLONE_NEWNS) < 0)
        return errno;
    return chdir(p->folder) < 0 ? errno : 0;
}

/* 0, or INJECT_GONE: with the namespace went what was changed in it. */
static int find_place(const json_t *undo, struct custom_place *ret, struct err *err)
{
    const json_t *id = json_object_get(undo, "attached");
    pid_t pid = (pid_t)jsonx_int(id, "pid", 0);
    char path[64];
    ret->folder = jsonx_str(undo, "folder", "/");
    if (jsonx_bool(undo, "machine", false))
        return 0;
    int r = attached_find(id, &ret->netns, err);
    if (r < 0)
        return r;
    if (ret->netns < 0) {
        err_set(err, ESRCH, "host %s has gone, and what was changed in it went along",
                jsonx_str(undo, "host", "?"));
        return INJECT_GONE;
    }
    if (pid > 0 && strcmp(ret->folder, "/") == 0 &&
        procs_started(pid) == (unsigned long long)jsonx_int(id, "start", 0)) {
        snprintf(path, sizeof path, "/proc/%d/ns/mnt", (int)pid);
        ret->mounts = open(path, O_RDONLY | O_CLOEXEC);
    }
    return 0;
}

static int undo_elsewhere(const json_t *undo, const char *command, nsec timeout, int *ret_code,
                          char **ret_output, struct err *err)
{
    struct custom_place place = {-1, -1, "/"};
    int r = find_place(undo, &place, err);
    if (r != 0)
        return r;
    AUTO_CLOSE int netns = place.netns, mounts = place.mounts;
    const char *argv[] = {"/bin/sh", "-c", command, NULL};
    struct child_spec spec = {.argv = argv,
                              .stdin_fd = -1,
                              .stdout_fd = -1,
                              .timeout = timeout,
                              .prepare = enter,
                              .prepare_data = &place};
    (void)netns, (void)mounts;
    return child_wait(&spec, ret_code, ret_output, err);
}

static int undo_there(struct lab_node *n, const char *command, nsec timeout, int *ret_code,
                      char **ret_output, struct err *err)
{
    AUTO_BUF text = BUF_INIT;
    deed_run(command, &text);
    lab_node_tell(n, buf_text(&text));
    return lab_node_run_wait(n, command, timeout, ret_code, ret_output, err);
}

static int custom_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                         struct err *err)
{
    const char *command = jsonx_str(undo, "command", NULL), *host = jsonx_str(undo, "host", "?");
    nsec timeout = jsonx_int(undo, "timeout", CUSTOM_LONGEST);
    struct lab_node *n = targets_node_up(env, undo);
    bool others = json_object_get(undo, "attached") != NULL;
    AUTO_FREE char *output = NULL;
    AUTO_JSON *changes = json_array();
    struct span at = {nsec_now(CLOCK_MONOTONIC), 0};
    char said[CUSTOM_SAID_MAX] = "";
    int code = 0, r = 0;
    if (!others && (!n || (int64_t)lab_node_pid(n) != jsonx_int(undo, "init", 0)))
        command = NULL; /* what it did went with the host */
    if (command && n)
        r = undo_there(n, command, timeout, &code, &output, err);
    else if (command)
        r = undo_elsewhere(undo, command, timeout, &code, &output, err);
    if (r != 0)
        return r < 0 ? err_prefix(err, "host %s: undoing by `%s`", host, command) : r;
    last_line(output, said);
    if (code != 0)
        return err_set(err, EIO,
                       "host %s: the undo command `%s` exits with %d%s; what it should undo may "
                       "still be in force: look there, and call 'blackstart undo' again",
                       host, command, code, said);
    if (command)
        json_array_append_new(changes, json_sprintf("host %s: ran `%s`", host, command));
    at.hi = nsec_now(CLOCK_MONOTONIC);
    *ret = (struct inject_result){.at = at, .changes = json_incref(changes)};
    return 0;
}

static const struct field custom_fields[] = {
    TARGETS_HOST_FIELD(offsetof(struct custom_params, host), "db1"),
    {.key = "command",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct custom_params, command),
     .help = "Makes the fault; given to /bin/sh -c, in the host's working directory and "
             "environment. An exit code other than 0: it did not bite.",
     .example = "iptables -A INPUT -p tcp --dport 5432 -j DROP"},
    {.key = "undo",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct custom_params, undo),
     .help = "Takes it away; must exit with 0 also when it is run twice, or after a command that "
             "failed half way. Without it there is nothing to undo.",
     .example = "iptables -D INPUT -p tcp --dport 5432 -j DROP || true"},
    {.key = "verify",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct custom_params, verify),
     .help =
         "Exits with 0 as long as the fault is in force; asked once it was made, and just before "
         "it is undone.",
     .example = "! nc -z -w 1 127.0.0.1 5432"},
    {.key = "timeout",
     .type = FIELD_DURATION,
     .dflt = "5s",
     .min = NSEC_MSEC,
     .max = CUSTOM_LONGEST,
     .offset = offsetof(struct custom_params, timeout),
     .help = "Each of them is ended by SIGKILL after this, and has failed.",
     .example = "3s"},
    {.key = NULL},
};

static const struct record custom_record = {
    .name = "custom",
    .summary = "A fault of one's own.",
    .size = sizeof(struct custom_params),
    .fields = custom_fields,
    .name_offset = SIZE_MAX,
    .place_offset = SIZE_MAX,
    .variant_place_offset = SIZE_MAX,
};

/* Nobody knows what a command changes: any difference in the network of its host may be that. Where
 * a process has the machine's, in which everybody changes something, it cannot be told. */
static void custom_touches(const json_t *undo, json_t *ret)
{
    /* Local routes the kernel makes of addresses, those of IPv6 a second after them. */
    static const char *const kinds[] = {
        "link", "address", "route !table=local", "rule", "qdisc", "class", "filter", "nft",
    };
    AUTO_JSON *record = json_pack("{s:s,s:O*}", "host", jsonx_str(undo, "host", "?"), "netns",
                                  json_object_get(undo, "attached"));
    bool here = strcmp(jsonx_str(json_object_get(undo, "attached"), "kind", ""), "here") == 0;
    if ((jsonx_bool(undo, "machine", false) && !here) || !jsonx_str(undo, "command", NULL))
        return; /* without a command to undo it nothing was to be put back */
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        touch_took(ret, record, "%s", kinds[i]);
        touch_made(ret, record, "%s", kinds[i]);
    }
}

static const struct injector custom_injector = {
    .name = "custom",
    .is_fault = true,
    .lasts = true,
    .holds = true,
    .attaches = ATTACH_COMMANDS,
    .check = custom_check,
    .supported = targets_supported,
    .plan = custom_plan,
    .prepare = custom_prepare,
    .start = custom_start,
    .verify = custom_verify,
    .revert = custom_revert,
    .touches = custom_touches,
    .done = custom_done,
};

const struct variant inject_custom = {
    .name = "custom",
    .summary = "A fault of your own: a command, and the one that undoes it.",
    .detail =
        "For what blackstart does not know. The commands, their exit codes and output are "
        "recorded, never the values of the host's environment. The undo command is in the "
        "journal: it is run by whoever undoes, also after everything of blackstart was killed.",
    .params = &custom_record,
    .impl = &custom_injector,
};
