/* The hosts a process action was aimed at. See targets.h. */
#include "injectors/process/targets.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "injectors/net/ports.h"
#include "sim/attach/start.h"
#include "sim/base/jsonx.h"
#include "sim/lab/deed.h"

void targets_done(struct targets *t)
{
    for (size_t i = 0; t->sets && i < t->n; i++)
        match_done(&t->sets[i]);
    free(t->hosts);
    free(t->sets);
    free(t->how);
    *t = (struct targets){0};
}

int targets_choose(struct inject_env *env, const struct target *t, struct targets *ret,
                   struct err *err)
{
    size_t max = inject_target_count(t);
    AUTO_TARGETS got = {.hosts = calloc(max + 1, sizeof *got.hosts),
                        .sets = calloc(max + 1, sizeof *got.sets)};
    if (!got.hosts || !got.sets)
        return err_errno(err, ENOMEM, "choosing targets");
    int r = inject_choose(env, t, got.hosts, max, &got.n, &got.how, err);
    if (r < 0)
        return r;
    *ret = got;
    got = (struct targets){0};
    return 0;
}

int targets_expected(const char *host, const struct match_rule *r, const struct match_set *set,
                     int64_t expect, struct err *err)
{
    AUTO_BUF rule = BUF_INIT, seen = BUF_INIT;
    size_t n = match_count(set);
    if (expect <= 0 || n == (size_t)expect)
        return 0;
    match_rule_text(r, &rule);
    match_text(set, &seen);
    return err_set(err, ERANGE, "%s matches %zu on host '%s', expected %lld: %s", buf_text(&rule),
                   n, host, (long long)expect, buf_text(&seen));
}

static int find_on(struct inject_env *env, const char *host, const struct match_rule *r,
                   int64_t expect, bool empty_ok, struct match_set *ret, struct err *err)
{
    struct lab_node *node = lab_node(env->lab, host);
    if (!node || !lab_node_is_up(node))
        return err_set(err, ESRCH, "host '%s' is down: there is nothing to send a signal to", host);
    AUTO_MATCH set = {0};
    int rc = match_find(node, r, &set, err);
    if (rc < 0)
        return rc;
    AUTO_BUF rule = BUF_INIT;
    match_rule_text(r, &rule);
    size_t n = match_count(&set);
    if (n == 0 && !empty_ok)
        return err_set(err, ESRCH, "nothing on host '%s' matches %s: the target has gone", host,
                       buf_text(&rule));
    rc = targets_expected(host, r, &set, expect, err);
    if (rc < 0)
        return rc;
    *ret = set;
    set = (struct match_set){0};
    return 0;
}

int targets_find(struct inject_env *env, const struct target *t, const struct match_rule *r,
                 int64_t expect, bool empty_ok, struct targets *ret, struct err *err)
{
    AUTO_TARGETS got = {0};
    int rc = targets_choose(env, t, &got, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < got.n; i++) {
        rc = find_on(env, got.hosts[i], r, expect, empty_ok, &got.sets[i], err);
        if (rc < 0)
            return rc;
    }
    *ret = got;
    got = (struct targets){0};
    return 0;
}

json_t *targets_names(const struct targets *t)
{
    json_t *names = json_array();
    for (size_t i = 0; i < t->n; i++)
        json_array_append_new(names, json_string(t->hosts[i]));
    return names;
}

char *targets_how(const struct targets *t)
{
    return t->how ? strdup(t->how) : NULL;
}

struct lab_node *targets_node_up(struct inject_env *env, const json_t *host_entry)
{
    const char *name = jsonx_str(host_entry, "host", "");
    struct lab_node *node = env->lab ? lab_node(env->lab, name) : NULL;
    return node && lab_node_is_up(node) ? node : NULL;
}

void targets_cover(struct span *at, struct span by)
{
    if (!span_is_set(by))
        return;
    if (!span_is_set(*at)) {
        *at = by;
        return;
    }
    if (by.lo < at->lo)
        at->lo = by.lo;
    if (by.hi > at->hi)
        at->hi = by.hi;
}

struct inject_result targets_result(const struct targets *t, struct span at, json_t *changes)
{
    return (struct inject_result){.at = at,
                                  .targets = targets_names(t),
                                  .changes = json_incref(changes),
                                  .chosen = targets_how(t)};
}

struct match_rule targets_rule(const struct process_params *p)
{
    return (struct match_rule){.process = p->process, .unit = p->unit, .pid = (pid_t)p->pid};
}

int targets_check(const struct scenario *s, const struct process_params *p, struct err *err)
{
    struct match_rule rule = targets_rule(p);
    int r = inject_target_check(p->host, "host", err);
    if (r == 0 && p->unit && targets_attached(s, p->host))
        return err_set(err, EINVAL,
                       "'unit' is for hosts of the lab: which processes of %s were started by what "
                       "is not known; say 'process' or 'pid', or nothing for all of them",
                       p->host->host);
    return r < 0 ? r : match_rule_check(&rule, s, p->host, err);
}

const struct host *targets_attached(const struct scenario *s, const struct target *t)
{
    const struct host *h = t->host ? scenario_host(s, t->host) : NULL;
    return h && host_is_attached(h) ? h : NULL;
}

json_t *targets_record(struct inject_env *env, const char *host)
{
    struct lab_node *n = lab_node(env->lab, host);
    json_t *record = json_pack("{s:s}", "host", host);
    if (n && lab_node_attached(n))
        json_object_set_new(record, "attached", attached_identity(lab_node_attached(n)));
    return record;
}

void targets_plan(const struct process_params *p, const char *signal, struct buf *out)
{
    AUTO_FREE char *host = inject_target_text(p->host);
    struct match_rule rule = targets_rule(p);
    buf_printf(out, "host %s: SIG%s to ", host, signal);
    match_rule_text(&rule, out);
    if (p->expect > 0)
        buf_printf(out, ", which must be %lld", (long long)p->expect);
}

void targets_plan_signal(const struct process_params *p, int signo, const char *whom,
                         const char *only, json_t *texts)
{
    struct match_rule rule = targets_rule(p);
    AUTO_BUF each = BUF_INIT, text = BUF_INIT;
    buf_adds(&each, "each: ");
    match_rule_text(&rule, &each);
    deed_signal(signo, whom ? whom : buf_text(&each), &text);
    for (size_t i = 0; inject_candidate(p->host, i); i++)
        inject_plan_deed(p->host, inject_candidate(p->host, i), only, buf_text(&text), texts);
}

void targets_plan_start(const struct scenario *s, const struct target *t, const char *unit,
                        const char *only, json_t *texts)
{
    for (size_t i = 0; inject_candidate(t, i); i++) {
        const struct host *h = scenario_host(s, inject_candidate(t, i));
        for (size_t k = 0; h && k < h->start.n; k++) {
            const struct unit *u = h->start.items[k];
            AUTO_BUF text = BUF_INIT;
            if (unit && strcmp(unit, u->name) != 0)
                continue;
            deed_start(host_is_attached(h) ? NULL : u->name, u->command, &text);
            inject_plan_deed(t, h->name, only, buf_text(&text), texts);
        }
    }
}

void targets_plan_run(const struct target *t, const char *command, nsec timeout, json_t *texts)
{
    char limit[NSEC_TEXT_MAX], only[NSEC_TEXT_MAX + 40];
    AUTO_BUF text = BUF_INIT, whom = BUF_INIT, end = BUF_INIT;
    deed_run(command, &text);
    deed_command(command, &whom);
    deed_signal(SIGKILL, buf_text(&whom), &end);
    snprintf(only, sizeof only, "if it takes longer than %s: ", nsec_text(timeout, limit));
    for (size_t i = 0; inject_candidate(t, i); i++) {
        inject_plan_deed(t, inject_candidate(t, i), "", buf_text(&text), texts);
        if (timeout > 0)
            inject_plan_deed(t, inject_candidate(t, i), only, buf_text(&end), texts);
    }
}

int targets_plan_power(const struct inject_env *env, const struct target *t, bool on, json_t *texts,
                       struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && inject_candidate(t, i); i++) {
        const char *host = inject_candidate(t, i);
        CLEANUP(nl_free_p) struct nl *rec = NULL;
        AUTO_BUF only = BUF_INIT;
        r = nl_open_recording("switch", &rec, err);
        if (r == 0)
            r = on ? lab_plan_on(env->scenario, env->caps, host, rec, err)
                   : lab_plan_off(env->scenario, host, rec, err);
        inject_plan_case(t, host, "", &only);
        if (r == 0)
            ports_plan_messages(rec, 0, buf_text(&only), texts);
    }
    return r;
}

void targets_plan_command(const struct target *t, const char *command, nsec timeout,
                          struct buf *out)
{
    AUTO_FREE char *host = inject_target_text(t);
    char limit[NSEC_TEXT_MAX];
    buf_printf(out, "host %s: /bin/sh -c '%s', for at most %s", host, command,
               nsec_text(timeout, limit));
}

json_t *targets_commands(struct inject_env *env, const char *host)
{
    struct lab_node *n = lab_node(env->lab, host);
    const struct host *h = n && lab_node_attached(n) ? lab_node_host(n) : NULL;
    json_t *commands = json_array();
    for (size_t i = 0; h && i < h->start.n; i++)
        json_array_append_new(commands,
                              json_string(((const struct unit *)h->start.items[i])->command));
    return commands;
}

int targets_start(struct lab_node *n, const json_t *entry, json_t *changes, struct span *at,
                  struct err *err)
{
    const json_t *commands = json_object_get(entry, "start"), *c;
    const json_t *was = json_object_get(entry, "attached"), *seats = json_object_get(was, "seats");
    bool runs = false;
    size_t i;
    if (json_array_size(commands) == 0)
        return 0;
    int r = attached_runs(was, &runs, err);
    struct span by = {.lo = nsec_now(CLOCK_MONOTONIC)};
    json_array_foreach (commands, i, c)
        if (r == 0 && !runs &&
            (r = start_command(json_string_value(c), n ? lab_node_machine(n) : -1, seats, err)) ==
                0 &&
            n) {
            AUTO_BUF text = BUF_INIT;
            deed_start(NULL, json_string_value(c), &text);
            lab_node_tell(n, buf_text(&text));
        }
    if (r < 0)
        return err_prefix(err, "host %s", jsonx_str(entry, "host", "?"));
    by.hi = nsec_now(CLOCK_MONOTONIC);
    if (runs)
        return 0;
    targets_cover(at, by);
    json_array_append_new(changes,
                          json_sprintf("host %s: started again", jsonx_str(entry, "host", "?")));
    return 0;
}

int targets_revert(struct inject_env *env, const json_t *undo, targets_undo_fn *fn,
                   struct inject_result *ret, struct err *err)
{
    nsec before = nsec_now(CLOCK_MONOTONIC);
    struct span at = SPAN_UNSET;
    AUTO_JSON *changes = json_array();
    size_t i;
    const json_t *entry;
    json_array_foreach (json_object_get(undo, "hosts"), i, entry) {
        struct lab_node *n = targets_node_up(env, entry);
        bool known = n || json_object_get(entry, "attached");
        int r = known ? fn(env, n, entry, changes, &at, err) : 0;
        if (r < 0)
            return r;
    }
    if (!span_is_set(at))
        at = (struct span){before, nsec_now(CLOCK_MONOTONIC)};
    *ret = (struct inject_result){.at = at, .changes = json_incref(changes)};
    return 0;
}

int targets_supported(const struct inject_env *env, const struct step *step, struct err *err)
{
    (void)env, (void)step, (void)err;
    return 0;
}
