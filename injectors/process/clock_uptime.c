/* See clock_uptime.h. The kernel fixes the offsets of a time namespace when the first process enters, so
 * the host loses its power as by node-kill and comes back at once with another uptime; it is taken back in
 * the same way.
 */
#include "injectors/process/clock_uptime.h"

#include "injectors/process/targets.h"
#include "sim/base/jsonx.h"

#include <errno.h>
#include <stdlib.h>

#define LOOK_WITHIN (5 * NSEC_SEC)
#define CLOSE_ENOUGH NSEC_SEC
#define LOOK "read -r up idle </proc/uptime && echo $up"

struct clock_uptime {
    nsec uptime;
    struct targets targets;
    struct span *since; /* when each was powered on with it */
};

int clock_uptime_supported(const struct inject_env *env, struct err *err)
{
    const struct hostcap *cap = env->caps ? hostcaps_find(env->caps, "time-namespaces") : NULL;
    if (cap && !cap->ok)
        return err_set(err, EOPNOTSUPP,
                       "clock (uptime) needs time-namespaces, which this host lacks: %s",
                       cap->detail);
    return 0;
}

int clock_uptime_plan(const struct inject_env *env, const struct clock_params *p, json_t *texts,
                      struct err *err)
{
    char text[NSEC_TEXT_MAX];
    AUTO_FREE char *host = inject_target_text(p->host);
    json_array_append_new(
        texts, json_sprintf(
                   "host %s: powered off and on again (no farewell, its commands start anew); from "
                   "then on its programs find that the machine has been up for %s (a time "
                   "namespace for its commands); undone by powering it off and on once more",
                   host, nsec_text(p->uptime, text)));
    int r = 0;
    for (int undo = 0; r == 0 && undo < 2; undo++) {
        if (undo)
            json_array_append_new(texts, json_string(INJECT_PLAN_UNDO));
        for (int on = 0; r == 0 && on < 2; on++)
            r = targets_plan_power(env, p->host, on, texts, err);
    }
    return r;
}

void clock_uptime_done(struct clock_uptime *u)
{
    if (!u)
        return;
    targets_done(&u->targets);
    free(u->since);
    free(u);
}
DEFINE_CLEANUP(struct clock_uptime, clock_uptime_done);

/* Neither the machine's uptime, nor that of the host's own beginning or of a power-on. */
static bool is_given(struct lab_node *n)
{
    nsec now = lab_node_uptime(n);
    return nsec_is_set(now) && now != 0 && now != lab_host_uptime(lab_node_host(n));
}

int clock_uptime_prepare(struct inject_env *env, const struct clock_params *p,
                         struct clock_uptime **ret, json_t **ret_undo, struct err *err)
{
    CLEANUP(clock_uptime_done_p) struct clock_uptime *u = calloc(1, sizeof *u);
    AUTO_JSON *hosts = json_array();
    if (!u)
        return err_errno(err, ENOMEM, "preparing clock");
    u->uptime = p->uptime;
    int r = targets_choose(env, p->host, &u->targets, err);
    for (size_t i = 0; r == 0 && i < u->targets.n; i++) {
        const char *host = u->targets.hosts[i];
        struct lab_node *n = lab_node(env->lab, host);
        if (!n || !lab_node_is_up(n))
            r = err_set(err, ESRCH, "host '%s' is down already", host);
        else if (is_given(n))
            r = err_set(err, EALREADY, "host '%s' was given another uptime already", host);
        json_array_append_new(
            hosts, json_pack("{s:s,s:I}", "host", host, "uptime", (json_int_t)p->uptime));
    }
    if (r < 0)
        return r;
    u->since = calloc(u->targets.n + 1, sizeof *u->since);
    if (!u->since)
        return err_errno(err, ENOMEM, "preparing clock");
    *ret_undo = json_pack("{s:O}", "hosts", hosts);
    *ret = steal_ptr(u);
    return 0;
}

/* What happens to the services begins when the power goes. */
static int power_cycle(struct lab_node *n, nsec uptime, struct span *ret_off, struct span *ret_on,
                       struct err *err)
{
    int r = lab_node_is_up(n) ? lab_node_off(n, ret_off, err) : 0;
    if (r == 0)
        r = lab_node_uptime_set(n, uptime, err);
    return r < 0 ? r : lab_node_on(n, ret_on, err);
}

int clock_uptime_apply(struct inject_env *env, struct clock_uptime *u, struct inject_result *ret,
                       struct err *err)
{
    char text[NSEC_TEXT_MAX];
    AUTO_JSON *changes = json_array();
    struct span at = SPAN_UNSET;
    for (size_t i = 0; i < u->targets.n; i++) {
        const char *host = u->targets.hosts[i];
        struct span off = SPAN_UNSET;
        int r = power_cycle(lab_node(env->lab, host), u->uptime, &off, &u->since[i], err);
        if (r < 0)
            return r;
        targets_cover(&at, span_is_set(off) ? off : u->since[i]);
        json_array_append_new(changes,
                              json_sprintf("host %s: powered off and on, with an uptime of %s",
                                           host, nsec_text(u->uptime, text)));
    }
    *ret = targets_result(&u->targets, at, changes);
    return 0;
}

/* What a program there reads; hundredths of seconds. */
static int look_at(struct lab_node *n, nsec *ret, struct err *err)
{
    AUTO_FREE char *said = NULL;
    int code = 0;
    int r = lab_node_run_wait(n, LOOK, LOOK_WITHIN, &code, &said, err);
    if (r < 0)
        return r;
    *ret = (nsec)(strtod(said, NULL) * 100 + 0.5) * (10 * NSEC_MSEC);
    return 0;
}

int clock_uptime_verify(struct inject_env *env, struct clock_uptime *u, struct inject_proof *ret,
                        struct err *err)
{
    char text[NSEC_TEXT_MAX];
    AUTO_BUF seen = BUF_INIT;
    struct inject_proof p = {.ok = true, .at = {nsec_now(CLOCK_MONOTONIC), 0}};
    for (size_t i = 0; i < u->targets.n; i++) {
        struct lab_node *n = lab_node(env->lab, u->targets.hosts[i]);
        nsec up = 0, before = nsec_now(CLOCK_MONOTONIC);
        buf_printf(&seen, "%shost %s: ", i ? "; " : "", u->targets.hosts[i]);
        if (!lab_node_is_up(n)) {
            buf_adds(&seen, "is down");
            continue;
        }
        if (lab_node_uptime(n) != u->uptime) {
            buf_adds(&seen, "has lost its power since");
            continue;
        }
        int r = look_at(n, &up, err);
        if (r < 0)
            return r;
        nsec least = u->uptime + before - u->since[i].hi - CLOSE_ENOUGH,
             most = u->uptime + nsec_now(CLOCK_MONOTONIC) - u->since[i].lo + CLOSE_ENOUGH;
        p.ok = p.ok && up >= least && up <= most;
        buf_printf(&seen, "a program sees %s", nsec_text(up, text));
    }
    p.at.hi = nsec_now(CLOCK_MONOTONIC);
    snprintf(p.asked, sizeof p.asked, "an uptime of %s at power-on", nsec_text(u->uptime, text));
    snprintf(p.seen, sizeof p.seen, "%s", buf_text(&seen));
    snprintf(p.how, sizeof p.how, "a command in the host reads /proc/uptime");
    *ret = p;
    return 0;
}

int clock_uptime_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                        struct err *err)
{
    nsec before = nsec_now(CLOCK_MONOTONIC);
    struct span at = SPAN_UNSET;
    AUTO_JSON *changes = json_array();
    size_t i;
    const json_t *entry;
    json_array_foreach (json_object_get(undo, "hosts"), i, entry) {
        const char *host = jsonx_str(entry, "host", "");
        struct lab_node *n = env->lab ? lab_node(env->lab, host) : NULL;
        struct span off = SPAN_UNSET, on = SPAN_UNSET;
        if (!n || lab_node_uptime(n) != jsonx_int(entry, "uptime", 0))
            continue; /* never applied, undone, or its power was lost since */
        bool own = nsec_is_set(lab_host_uptime(lab_node_host(n)));
        int r = power_cycle(n, own ? 0 : NSEC_UNSET, &off, &on, err);
        if (r < 0)
            return r;
        targets_cover(&at, span_is_set(off) ? off : on);
        targets_cover(&at, on);
        json_array_append_new(
            changes, json_sprintf("host %s: powered off and on, without that uptime", host));
    }
    if (!span_is_set(at))
        at = (struct span){before, nsec_now(CLOCK_MONOTONIC)};
    *ret = (struct inject_result){.at = at, .changes = json_incref(changes)};
    return 0;
}
