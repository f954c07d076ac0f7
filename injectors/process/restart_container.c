/* restart of a container. See restart_container.h. It ends by itself: there is nothing to undo. */
#include "injectors/process/restart_container.h"

#include <errno.h>

#include "injectors/process/contained.h"
#include "sim/attach/kind.h"

#define RESTART_SETTLE (2 * NSEC_SEC)
#define RESTART_SETTLE_EVERY (50 * NSEC_MSEC)

struct restart_container {
    const struct restart_params *params;
    const char *host;
    json_t *record;
    pid_t pid; /* of its first process before */
    unsigned long long start;
    struct cengine *engine;
    struct cengine_container was;
    struct cengine_call *call;
    struct loop *loop;
    struct inject_env acting; /* as whom we act: lab and step alone */
    struct loop_timer late;
    nsec asked, give_up; /* NSEC_UNSET: it went as it should */
    inject_event_fn *fn;
    void *data;
};

bool restart_container_is_meant(const struct scenario *s, const struct process_params *whom)
{
    const struct host *h = whom->host->host ? scenario_host(s, whom->host->host) : NULL;
    const struct attached_kind *k = h && host_is_attached(h) ? attached_kind_of(h) : NULL;
    return k && (k->offers & ATTACH_POWER);
}

int restart_container_check(const struct process_params *whom, struct err *err)
{
    if (whom->process || whom->unit)
        return err_set(err, EINVAL,
                       "'restart' stops and starts a container as a whole: leave '%s' out (what "
                       "starts its processes again when 'kill' ends them is its own affair)",
                       whom->process ? "process" : "unit");
    return 0;
}

int restart_container_plan(const struct restart_params *p, json_t *texts)
{
    char grace[NSEC_TEXT_MAX];
    json_array_append_new(
        texts, json_sprintf("host %s: its engine stops the container (its own stop signal, SIGKILL "
                            "%s later) and starts it again; nothing to undo",
                            p->whom.host->host, nsec_text(p->grace, grace)));
    contained_plan(p->whom.host,
                   &(struct cengine_command){.verb = CENGINE_RESTART, .grace = p->grace}, "",
                   texts);
    contained_plan_verb(p->whom.host, CENGINE_START, "if the engine ended it and gave up: ", texts);
    return 0;
}

int restart_container_prepare(struct inject_env *env, const struct restart_params *p,
                              struct restart_container **ret, struct err *err)
{
    const char *host = p->whom.host->host;
    struct lab_node *n = lab_node(env->lab, host);
    struct container_id id;
    if (!contained_is(n, &id))
        return err_set(err, EOPNOTSUPP, "host %s is no container: it cannot be restarted", host);
    struct restart_container *r = calloc(1, sizeof *r);
    if (!r)
        return err_errno(err, ENOMEM, "preparing restart");
    *r = (struct restart_container){.params = p, .host = host, .record = contained_record(n)};
    struct err why = ERR_INIT;
    int rc = container_ask(&id, &r->engine, &r->was, &why);
    if (rc < 0) {
        restart_container_done(r);
        return err_set(err, rc == -ENOENT ? ESRCH : -rc, "host %s: %s", host, why.text);
    }
    r->pid = r->was.pid; /* 0: it does not run; then it is only started */
    r->start = r->pid ? procs_started(r->pid) : 0;
    *ret = r;
    return 0;
}

static void over(int rc, const struct err *err, struct span at, void *data);

/* Podman may have ended it and refuse to go on, as it has not heard of the end yet (seen with 4.3):
 * then it is started a moment later. */
static void start_late(struct loop_timer *t, void *data)
{
    struct restart_container *r = data;
    struct cengine_command c = {.verb = CENGINE_START, .id = r->was.id, .grace = NSEC_UNSET};
    INJECT_ACT(&r->acting, false);
    AUTO_CONTAINER now = {0};
    struct err err = ERR_INIT;
    (void)t;
    r->call = cengine_call_free(r->call);
    int rc = contained_look(r->record, &now, &err);
    if (rc == 0 && now.pid && loop_fresh(r->loop) < r->give_up) {
        loop_timer_set(r->loop, &r->late, nsec_add(loop_fresh(r->loop), RESTART_SETTLE_EVERY));
        return;
    }
    r->give_up = 0;
    if (rc == 0)
        rc = cengine_call_start(r->engine, r->loop, &c, over, r, &r->call, &err);
    if (rc == 0)
        contained_tell(&r->acting, r->record, &c);
    if (rc < 0)
        over(rc, &err, SPAN_UNSET, r);
}

static void over(int rc, const struct err *err, struct span at, void *data)
{
    struct restart_container *r = data;
    if (rc == -EIO && r->give_up == NSEC_UNSET && procs_started(r->pid) != r->start) {
        r->asked = at.lo;
        r->give_up = nsec_add(loop_fresh(r->loop), RESTART_SETTLE);
        loop_timer_set(r->loop, &r->late, loop_fresh(r->loop));
        return;
    }
    if (nsec_is_set(r->asked))
        at.lo = r->asked;
    AUTO_BUF text = BUF_INIT;
    buf_printf(&text, "host %s: container ", r->host);
    cengine_container_text(&r->was, &text);
    buf_printf(&text, " restarted by %s", cengine_name(r->engine));
    struct inject_result result = {.at = at,
                                   .targets = json_pack("[s]", r->host),
                                   .changes = json_pack("[s]", buf_text(&text))};
    struct inject_event e = {.kind = INJECT_ENDED,
                             .result = &result,
                             .error = rc < 0 ? rc : 0,
                             .err = rc < 0 ? err : NULL};
    r->fn(&e, r->data); /* may call restart_container_done() */
    inject_result_done(&result);
}

int restart_container_start(struct inject_env *env, struct restart_container *r,
                            inject_event_fn *fn, void *data, struct err *err)
{
    struct cengine_command c = {
        .verb = CENGINE_RESTART, .id = r->was.id, .grace = r->params->grace};
    r->fn = fn;
    r->data = data;
    r->loop = env->loop;
    r->late = (struct loop_timer){.fn = start_late, .data = r};
    r->asked = r->give_up = NSEC_UNSET;
    lab_node_attached(lab_node(env->lab, r->host))->ending = true;
    r->acting = (struct inject_env){.lab = env->lab, .step = env->step};
    int rc = cengine_call_start(r->engine, env->loop, &c, over, r, &r->call, err);
    if (rc == 0)
        contained_tell(&r->acting, r->record, &c);
    return rc;
}

int restart_container_verify(struct restart_container *r, struct inject_proof *ret, struct err *err)
{
    struct inject_proof p = {.at = {nsec_now(CLOCK_MONOTONIC), 0}};
    AUTO_CONTAINER now = {0};
    int rc = contained_look(r->record, &now, err);
    if (rc < 0)
        return rc;
    bool old = r->pid && procs_started(r->pid) == r->start;
    p.at.hi = nsec_now(CLOCK_MONOTONIC);
    p.ok = now.pid && !old;
    snprintf(p.asked, sizeof p.asked, "the container of host %s runs, as a new process", r->host);
    snprintf(p.seen, sizeof p.seen, "it is %s; its first process is %d, before it was %d (%s)",
             now.state, (int)now.pid, (int)r->pid, old ? "lives" : "gone");
    snprintf(p.how, sizeof p.how, "the engine's word, and the former process by its start time");
    *ret = p;
    return 0;
}

void restart_container_done(struct restart_container *r)
{
    if (!r)
        return;
    if (r->loop)
        loop_timer_cancel(r->loop, &r->late);
    cengine_call_free(r->call);
    cengine_free(r->engine);
    cengine_container_done(&r->was);
    json_decref(r->record);
    free(r);
}
