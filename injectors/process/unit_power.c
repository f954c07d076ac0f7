/* Units, ended and started by systemd. See unit_power.h.
 *
 *   start ── job queued ──(every 10 ms: done?)──► INJECT_ENDED
 *
 * How long a stop may take, and what happens then (SIGKILL), is the unit's own affair
 * (TimeoutStopSec=): systemd sees to its end. A unit that does not come back from a restart is a
 * failure with systemd's word for it.
 */
#include "injectors/process/unit_power.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/jsonx.h"

#define LOOK_EVERY (10 * NSEC_MSEC)
#define START_PATIENCE (30 * NSEC_SEC) /* undoing: for a unit that takes its time to start */

struct unit_power {
    enum manager_job job;
    const char *host;
    char *unit;
    struct manager *manager;
    struct manager_service was;
    struct loop *loop;
    struct loop_timer look;
    nsec begun;
    inject_event_fn *fn;
    void *data;
};

static const struct host *host_of(const struct scenario *s, const struct target *t)
{
    return t->host ? scenario_host(s, t->host) : NULL;
}

bool unit_power_is_meant(const struct scenario *s, const struct target *host)
{
    const struct host *h = host_of(s, host);
    return h && h->unit;
}

static void asked_text(enum manager_job job, const char *unit, struct buf *out)
{
    buf_adds(out, "to systemd: ");
    manager_job_text(job, unit, out);
}

static void tell(const struct inject_env *env, const char *host, enum manager_job job,
                 const char *unit)
{
    AUTO_BUF text = BUF_INIT;
    asked_text(job, unit, &text);
    inject_tell(env, host, buf_text(&text));
}

void unit_power_plan_job(enum manager_job job, const struct target *host, const char *unit,
                         const char *only, json_t *texts)
{
    AUTO_BUF text = BUF_INIT;
    asked_text(job, unit, &text);
    inject_plan_deed(host, host->host, only, buf_text(&text), texts);
}

int unit_power_plan(const struct inject_env *env, enum manager_job job, const struct target *host,
                    json_t *texts)
{
    const struct host *h = host_of(env->scenario, host);
    json_array_append_new(
        texts, json_sprintf(job == MANAGER_STOP ? "host %s: systemd stops the unit %s; undone by "
                                                  "starting it again"
                                                : "host %s: systemd restarts the unit %s; nothing "
                                                  "to undo",
                            h->name, h->unit));
    unit_power_plan_job(job, host, h->unit, "", texts);
    if (job != MANAGER_STOP)
        return 0;
    json_array_append_new(texts, json_string(INJECT_PLAN_UNDO));
    unit_power_plan_job(MANAGER_START, host, h->unit, "", texts);
    return 0;
}

void unit_power_done(struct unit_power *u)
{
    if (!u)
        return;
    if (u->loop)
        loop_timer_cancel(u->loop, &u->look);
    manager_free(u->manager);
    manager_service_done(&u->was);
    free(u->unit);
    free(u);
}

static bool is_active(const struct manager_service *s)
{
    return strcmp(s->state, "active") == 0 || strcmp(s->state, "reloading") == 0;
}

int unit_power_prepare(struct inject_env *env, enum manager_job job, const struct target *host,
                       struct unit_power **ret, json_t **ret_undo, struct err *err)
{
    struct unit_power *u = calloc(1, sizeof *u);
    if (!u || !(u->unit = strdup(host_of(env->scenario, host)->unit)))
        abort();
    u->job = job;
    u->host = host->host;
    int r = manager_open(&u->manager, err);
    if (r == 0)
        r = manager_service(u->manager, u->unit, &u->was, err);
    if (r == 0 && !is_active(&u->was))
        r = err_set(err, ESRCH, "host %s: the unit %s does not run (%s)", u->host, u->unit,
                    u->was.state);
    if (r == 0 && !u->was.by_hand)
        r = err_set(err, EPERM, "host %s: systemd does not let %s be ended by hand", u->host,
                    u->unit);
    if (r < 0) {
        unit_power_done(u);
        return r;
    }
    *ret_undo = job == MANAGER_STOP
                    ? json_pack("{s:b,s:s,s:s}", "persistent", 1, "unit", u->unit, "host", u->host)
                    : json_null();
    *ret = u;
    return 0;
}

/* 1: the job is done; 0: not yet. */
static int is_done(const struct unit_power *u, const struct manager_service *now, struct err *err)
{
    bool over = strcmp(now->state, "inactive") == 0 || strcmp(now->state, "failed") == 0;
    if (now->busy)
        return 0;
    if (u->job == MANAGER_STOP)
        return over;
    if (over)
        return err_set(err, EIO, "the unit %s did not come back from its restart: it is %s (%s)",
                       u->unit, now->state, now->result);
    return is_active(now) && strcmp(now->invocation, u->was.invocation) != 0;
}

static void finish(struct unit_power *u, int error, const struct err *err)
{
    struct inject_result result = {
        .at = {u->begun, loop_fresh(u->loop)},
        .targets = json_pack("[s]", u->host),
        .changes = json_array(),
    };
    json_array_append_new(result.changes,
                          json_sprintf("host %s: unit %s %s by systemd", u->host, u->unit,
                                       u->job == MANAGER_STOP ? "stopped" : "restarted"));
    struct inject_event e = {
        .kind = INJECT_ENDED, .result = &result, .error = error, .err = error ? err : NULL};
    u->fn(&e, u->data); /* may call unit_power_done() */
    inject_result_done(&result);
}

static void look(struct loop_timer *t, void *data)
{
    struct unit_power *u = data;
    struct err err = ERR_INIT;
    AUTO_MANAGER_SERVICE now = MANAGER_SERVICE_INIT;
    int r = manager_service(u->manager, u->unit, &now, &err);
    if (r == 0)
        r = is_done(u, &now, &err);
    if (r == 0)
        loop_timer_set(u->loop, t, nsec_add(loop_fresh(u->loop), LOOK_EVERY));
    else
        finish(u, r < 0 ? r : 0, &err);
}

int unit_power_start(struct inject_env *env, struct unit_power *u, inject_event_fn *fn, void *data,
                     struct err *err)
{
    u->loop = env->loop;
    u->look = (struct loop_timer){.fn = look, .data = u};
    u->fn = fn;
    u->data = data;
    u->begun = loop_fresh(env->loop);
    int r = manager_job(u->manager, u->job, u->unit, err);
    if (r < 0)
        return r;
    tell(env, u->host, u->job, u->unit);
    lab_node_attached(lab_node(env->lab, u->host))->ending = true;
    loop_timer_set(u->loop, &u->look, loop_fresh(u->loop));
    return 0;
}

int unit_power_verify(struct unit_power *u, struct inject_proof *ret, struct err *err)
{
    struct inject_proof p = {.at = {nsec_now(CLOCK_MONOTONIC), 0}};
    AUTO_MANAGER_SERVICE now = MANAGER_SERVICE_INIT;
    int r = manager_service(u->manager, u->unit, &now, err);
    if (r < 0)
        return r;
    p.at.hi = nsec_now(CLOCK_MONOTONIC);
    bool active = is_active(&now), other = strcmp(now.invocation, u->was.invocation) != 0;
    p.ok = u->job == MANAGER_STOP ? !active && now.main == 0 : active && other;
    snprintf(p.asked, sizeof p.asked, "the unit %.100s %s", u->unit,
             u->job == MANAGER_STOP ? "does not run" : "was started anew");
    snprintf(p.seen, sizeof p.seen, "it is %s (%s), its main process %d, before it was %d; %s",
             now.state, now.sub, (int)now.main, (int)u->was.main,
             other ? "another start than before" : "the same start as before");
    snprintf(p.how, sizeof p.how, "systemd's word: its state, and the number of its start");
    *ret = p;
    return 0;
}

/* --- Undoing ---------------------------------------------------------------------------------- */

bool unit_power_has(const json_t *undo)
{
    return json_is_string(json_object_get(undo, "unit"));
}

static int await_start(struct manager *m, const char *unit, struct err *err)
{
    nsec until = nsec_add(nsec_now(CLOCK_MONOTONIC), START_PATIENCE);
    for (;;) {
        AUTO_MANAGER_SERVICE now = MANAGER_SERVICE_INIT;
        int r = manager_service(m, unit, &now, err);
        if (r < 0)
            return r;
        if (!now.busy && is_active(&now))
            return 0;
        if (!now.busy && strcmp(now.state, "failed") == 0)
            return err_set(err, EIO, "systemd started %s again, and it failed (%s)", unit,
                           now.result);
        if (nsec_now(CLOCK_MONOTONIC) >= until)
            return err_set(err, ETIMEDOUT, "systemd starts %s again and has not come to an end: %s",
                           unit, now.state);
        (void)poll(NULL, 0, LOOK_EVERY / NSEC_MSEC);
    }
}

int unit_power_start_again(const struct inject_env *env, const json_t *record, json_t *changes,
                           struct err *err)
{
    const char *unit = jsonx_str(record, "unit", ""), *host = jsonx_str(record, "host", "?");
    CLEANUP(manager_free_p) struct manager *m = NULL;
    AUTO_MANAGER_SERVICE now = MANAGER_SERVICE_INIT;
    int r = manager_open(&m, err);
    if (r == 0)
        r = manager_service(m, unit, &now, err);
    if (r < 0)
        return r;
    if (strcmp(now.load, "loaded") != 0) {
        err_set(err, ESRCH, "host %s: systemd has no unit %s any more (%s)", host, unit, now.load);
        return INJECT_GONE;
    }
    if (is_active(&now) && !now.busy) /* busy: our stop may still be under way */
        return 0;
    r = manager_job(m, MANAGER_START, unit, err);
    if (r == 0)
        tell(env, host, MANAGER_START, unit);
    if (r == 0)
        r = await_start(m, unit, err);
    if (r < 0)
        return r;
    json_array_append_new(changes, json_sprintf("host %s: unit %s started again", host, unit));
    return 0;
}

int unit_power_revert(const struct inject_env *env, const json_t *undo, struct inject_result *ret,
                      struct err *err)
{
    AUTO_JSON *changes = json_array();
    struct span at = {nsec_now(CLOCK_MONOTONIC), 0};
    int r = unit_power_start_again(env, undo, changes, err);
    if (r != 0)
        return r;
    at.hi = nsec_now(CLOCK_MONOTONIC);
    *ret = (struct inject_result){.at = at, .changes = json_incref(changes)};
    return 0;
}
