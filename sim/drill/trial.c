/* The state machine of a trial. It is drawn in trial.h. */
#include "sim/drill/trial_part.h"

#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/base/rng.h"
#include "sim/drill/compare.h"
#include "sim/watch/kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define TRIAL_POLL (50 * NSEC_MSEC)      /* how often settling and stop_if are looked at */
#define TRIAL_HEADSTART (50 * NSEC_MSEC) /* for the vantage processes to come up */

const char *const trial_state_words[] = {"build",   "settle", "arm",     "inject", "observe",
                                         "restore", "undo",   "compare", "done"};
_Static_assert(ARRAY_SIZE(trial_state_words) == DONE + 1, "a word for every state");

static void trial_undo(struct trial *t, const char *cause);

/* ---- states ---- */

void trial_enter(struct trial *t, enum trial_state state)
{
    t->state = state;
    json_t *e = json_pack("{s:s}", "state", trial_state_words[state]);
    if (state == INJECT)
        json_object_set_new(e, "zero", json_integer(t->zero - record_origin(t->core->record)));
    core_note(t->core, "state", t->spec.n, e);
}

static void trial_poll_again(struct trial *t)
{
    loop_timer_set(t->core->loop, &t->poll, nsec_add(loop_now(t->core->loop), TRIAL_POLL));
}

void trial_conclude(struct trial *t, enum trial_outcome outcome, const char *reason)
{
    if (t->result.reason || t->state == DONE)
        return; /* the first reason counts */
    t->result.outcome = outcome;
    t->result.reason = reason ? strdup(reason) : NULL;
}

void trial_give_up(struct trial *t, enum trial_outcome outcome, const char *reason,
                   const char *cause)
{
    if (t->state >= UNDO)
        return;
    trial_conclude(t, outcome, reason);
    trial_undo(t, cause);
}

void trial_stop(struct trial *t, const char *reason)
{
    t->stopping = true;
    trial_give_up(t, TRIAL_ABORTED, reason, "abort");
}

/* ---- the warden knows what stands ---- */

static void trial_tell_warden(struct trial *t)
{
    AUTO_JSON *ids = lab_ids(t->lab);
    if (warden_lab(t->core->warden, ids, NULL) < 0)
        core_mind_warden(t->core);
}

/* ---- observations ---- */

static void trial_obs(const struct watch_obs *o, void *data)
{
    struct trial *t = data;
    uint64_t n = live_number(t->live, o->probe, o->n);
    /* Started later than its successor was due, or the prober could not ask: it says how we were,
     * not how the service was. */
    bool unknown =
        o->start - o->scheduled > o->probe->every || (o->why && !strcmp(o->why, "error"));
    json_t *e = json_pack("{s:s,s:I,s:I,s:I,s:I,s:b}", "probe", o->probe->name, "n", (json_int_t)n,
                          "sched", (json_int_t)(o->scheduled - record_origin(t->core->record)),
                          "start", (json_int_t)(o->start - record_origin(t->core->record)), "end",
                          (json_int_t)(o->end - record_origin(t->core->record)), "ok", o->ok);
    if (unknown)
        json_object_set_new(e, "unknown", json_true());
    if (!o->ok && o->why)
        json_object_set_new(e, "why", json_string(o->why));
    if (!o->ok && o->detail)
        json_object_set_new(e, "detail", jsonx_new_text(o->detail));
    core_note(t->core, "probe", t->spec.n, e);
    live_feed(t->live, o, unknown);
}

static void trial_alarm(struct trial *t, const struct watch_alarm *heard, bool released)
{
    const struct alarm *a = heard->alarm;
    bool onset = heard->onset;
    struct span at = heard->at;
    if (heard->silence) {
        core_note(t->core, "silence", t->spec.n,
                  json_pack("{s:s,s:b,s:o,s:o*}", "alarm", a->name, "active", onset, "at",
                            core_span(t->core, at), "detail", jsonx_new_text(heard->detail)));
        return;
    }
    bool suppressed = !released && quiet_hears(t->quiet, a, onset, at.hi);
    char iso[NSEC_TEXT_MAX];
    json_t *e = json_pack("{s:s,s:s,s:o,s:s*,s:o*}", "alarm", a->name, "event",
                          onset ? "onset" : "clear", "at", core_span(t->core, at), "starts_at",
                          nsec_is_set(heard->starts_at) ? nsec_iso(heard->starts_at, iso) : NULL,
                          "detail", jsonx_new_text(heard->detail));
    if (suppressed)
        json_object_set_new(e, "suppressed", json_true());
    if (released)
        json_object_set_new(e, "released", json_true());
    core_note(t->core, "alarm", t->spec.n, e);
    if (!onset || suppressed)
        return;
    if (t->zero && !json_object_get(t->rang, a->name))
        json_object_set_new(t->rang, a->name, json_integer(at.lo - t->zero));
    if (t->script)
        script_alarm(t->script, a->name);
}

static void trial_watch_alarm(const struct watch_alarm *a, void *data)
{
    trial_alarm(data, a, false);
}

static void trial_live_alarm(const struct alarm *a, bool onset, struct span at, const char *detail,
                             void *data)
{
    struct watch_alarm heard = {
        .alarm = a, .onset = onset, .at = at, .starts_at = NSEC_UNSET, .detail = detail};
    trial_alarm(data, &heard, false);
}

static void trial_released(const struct alarm *a, nsec at, void *data)
{
    struct watch_alarm heard = {.alarm = a,
                                .onset = true,
                                .at = {at, at},
                                .starts_at = NSEC_UNSET,
                                .detail = "still firing when its maintenance ended"};
    trial_alarm(data, &heard, true);
}

static void trial_live_probe(const struct probe *p, bool down, void *data)
{
    struct trial *t = data;
    if (t->core->o->people && t->state >= ARM)
        trial_tell_health(t, p, down);
    if (t->script)
        script_probe(t->script, p->name, down);
}

static void trial_trouble(const char *what, const char *host, const char *detail, void *data)
{
    struct trial *t = data;
    core_note(t->core, "trouble", t->spec.n,
              json_pack("{s:o,s:s*,s:o*}", "what", jsonx_new_text(what), "host", host, "detail",
                        jsonx_new_text(detail)));
}

static struct watch_handlers trial_watch_handlers(struct trial *t)
{
    return (struct watch_handlers){
        .obs = trial_obs, .alarm = trial_watch_alarm, .trouble = trial_trouble, .data = t};
}

/* ---- vantage points ---- */

static int trial_vantage_start(struct trial *t, struct trial_vantage *v, struct err *err)
{
    struct watch_handlers h = trial_watch_handlers(t);
    v->pid = lab_node_pid(v->node);
    return watch_start(t->scenario, v->node, t->core->loop, t->first, v->pcap_fd, &h, &v->watch,
                       err);
}

static bool trial_has_packets(const struct trial *t, const char *host)
{
    for (size_t i = 0; i < t->scenario->alarms.n; i++) {
        const struct alarm *a = t->scenario->alarms.items[i];
        if (strcmp(a->kind->name, "packets"))
            continue;
        const struct packets_params *p = a->params;
        if (!strcmp(p->host, host))
            return true;
    }
    return false;
}

static int trial_vantages(struct trial *t, struct err *err)
{
    nsec base = nsec_add(loop_fresh(t->core->loop), TRIAL_HEADSTART);
    json_t *phases = json_object();
    for (size_t i = 0; i < t->scenario->probes.n; i++) {
        const struct probe *p = t->scenario->probes.items[i];
        AUTO_BUF name = BUF_INIT;
        buf_printf(&name, "phase:%s", p->name);
        struct rng rng = rng_stream(t->core->o->seed, buf_text(&name), (uint64_t)t->spec.n, 0);
        nsec phase = t->scenario->phase ? 0 : (nsec)rng_below(&rng, (uint64_t)p->every);
        t->first[i] = base + phase;
        json_object_set_new(phases, p->name, json_integer(phase));
    }
    core_note(t->core, "trial-start", t->spec.n,
              json_pack("{s:o,s:I}", "phases", phases, "attempt", (json_int_t)t->spec.attempt));
    t->n_vantages = lab_count(t->lab);
    t->vantages = calloc(t->n_vantages + 1, sizeof *t->vantages);
    if (!t->vantages)
        abort();
    for (size_t i = 0; i < t->n_vantages; i++) {
        struct trial_vantage *v = &t->vantages[i];
        v->node = lab_node_at(t->lab, i);
        v->pcap_fd = -1;
        const char *host = lab_node_name(v->node);
        if (trial_has_packets(t, host)) {
            AUTO_BUF file = BUF_INIT;
            buf_printf(&file, "wire-%s.pcap", host);
            v->pcap_fd = openat(t->core->o->dirfd, buf_text(&file),
                                O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
            if (v->pcap_fd < 0)
                return err_errno(err, errno, "cannot write %s", buf_text(&file));
        }
    }
    for (size_t i = 0; i < t->n_vantages; i++) {
        int rc = trial_vantage_start(t, &t->vantages[i], err);
        if (rc < 0)
            return rc;
    }
    struct watch_handlers h = trial_watch_handlers(t);
    return watch_start_here(t->scenario, t->core->o->source_dirfd, t->core->loop, &h, &t->here,
                            err);
}

/* A host that was powered on again has new namespaces: its vantage point moves along, its schedule
 * goes on where it would be. */
static void trial_vantage_move(struct trial *t, struct trial_vantage *v)
{
    struct err err = ERR_INIT;
    if (!v->watch)
        return;
    v->watch = watch_free(v->watch);
    live_restart(t->live, lab_node_name(v->node));
    nsec now = nsec_add(loop_fresh(t->core->loop), TRIAL_HEADSTART);
    for (size_t i = 0; i < t->scenario->probes.n; i++) {
        const struct probe *p = t->scenario->probes.items[i];
        if (!strcmp(p->host, lab_node_name(v->node)) && t->first[i] < now)
            t->first[i] += (now - t->first[i] + p->every - 1) / p->every * p->every;
    }
    if (trial_vantage_start(t, v, &err) < 0)
        trial_trouble("vantage-lost", lab_node_name(v->node), err.text, t);
}

/* ---- BUILD ---- */

static void trial_between(struct trial *t);

/* Of a host that others made. What a fault of ours ended was to end; else the trial shows nothing,
 * unless the host is whoever takes its place. */
static void trial_replaced(struct trial *t, const struct lab_event *e)
{
    const struct attached_host *h = lab_node_attached(e->node);
    if (e->kind == LAB_GONE) {
        if (t->state >= SETTLE && !h->ending && !h->host->follow)
            trial_give_up(t, TRIAL_VOID, e->reason, "abort");
        return;
    }
    /* In the machine's own namespaces a vantage point stands as well as before. */
    for (size_t i = 0; i < t->n_vantages && t->state < COMPARE; i++)
        if (t->vantages[i].node == e->node && !(h->at.shares_network && h->at.shares_mounts))
            trial_vantage_move(t, &t->vantages[i]);
}

static void trial_lab_event(const struct lab_event *e, void *data)
{
    static const char *const words[] = {
        [LAB_STARTED] = "started", [LAB_READY] = "ready", [LAB_EXITED] = "exited",
        [LAB_FAILED] = "failed",   [LAB_GONE] = "gone",   [LAB_FOLLOWED] = "followed"};
    struct trial *t = *(struct trial **)data;
    if (!t)
        return;
    json_t *ev =
        json_pack("{s:s,s:s,s:s*,s:o*}", "event", words[e->kind], "host", lab_node_name(e->node),
                  "unit", e->unit, "reason", jsonx_new_text(e->reason));
    if (e->kind == LAB_EXITED) {
        json_object_set_new(ev, "code", json_integer(e->code));
        if (e->signo)
            json_object_set_new(ev, "signal", json_integer(e->signo));
    }
    core_event(t->core, "lab", e->at, t->spec.n, ev);
    if (e->kind == LAB_GONE || e->kind == LAB_FOLLOWED)
        trial_replaced(t, e);
    if (t->state != BUILD)
        return;
    if (e->kind == LAB_FAILED)
        trial_give_up(t, TRIAL_NO_LAB, e->reason, "end");
    else if (e->kind == LAB_READY && ++t->n_ready == lab_count(t->lab))
        trial_between(t);
}

static void trial_lab_output(struct lab_node *n, const char *unit, const char *line, size_t len,
                             struct span at, void *data)
{
    struct trial *t = *(struct trial **)data;
    if (!t)
        return;
    if (t->state >= SETTLE && t->state < COMPARE)
        watch_outputs_line(t->outputs, lab_node_name(n), unit, line, len, at);
}

/* What was really sent to the kernel, and done in hosts. Every trial builds the same lab: the first one tells. */
static void trial_lab_change(const struct nl_seen *seen, void *data)
{
    struct trial *t = *(struct trial **)data;
    if (!t || (t->state == BUILD && t->spec.n > 1))
        return;
    json_t *e = json_pack("{s:s,s:s,s:o}", "event", "change", "where", seen->where, "text",
                          jsonx_new_text(seen->text));
    if (seen->result)
        json_object_set_new(e, "errno", json_integer(seen->result));
    struct lab_acting acting = t->lab ? lab_acting(t->lab) : (struct lab_acting){0};
    if (acting.step)
        json_object_set_new(e, "step", json_string(acting.step));
    if (acting.step && acting.undo)
        json_object_set_new(e, "undo", json_true());
    core_note(t->core, "lab", t->spec.n, e);
}

/* The networks are not as the scenario says any more: what is measured from now on shows nothing. */
static void trial_lab_broken(const char *reason, void *data)
{
    struct trial *t = *(struct trial **)data;
    if (t)
        trial_give_up(t, TRIAL_VOID, reason, "abort");
}

static int trial_build(struct trial *t, struct err *err)
{
    trial_enter(t, BUILD);
    if (t->lab)
        return 0;
    AUTO_BUF workdir = BUF_INIT;
    buf_printf(&workdir, "%s/t%lld-%lld", t->core->o->lab_folder, (long long)t->spec.n,
               (long long)t->spec.attempt);
    struct lab_handlers h = {.event = trial_lab_event,
                             .output = trial_lab_output,
                             .broken = trial_lab_broken,
                             .change = trial_lab_change,
                             .data = t->slot};
    int rc = warden_busy(t->core->warden, 60 * NSEC_SEC, err);
    if (rc < 0) {
        core_mind_warden(t->core);
        return 0;
    }
    rc = lab_new(t->scenario, t->core->loop, buf_text(&workdir), t->core->o->source_dirfd,
                 t->spec.logs_dirfd, &h, &t->lab, err);
    if (rc == 0 && t->core->o->attached)
        rc = lab_attach(t->lab, t->core->o->attached, err);
    if (rc < 0)
        return rc;
    trial_tell_warden(t);
    core_note(t->core, "lab", t->spec.n,
              json_pack("{s:s,s:I}", "event", "built", "hosts", (json_int_t)lab_count(t->lab)));
    if (t->state != BUILD)
        return 0; /* the warden did not hear of it: undoing has begun */
    rc = lab_start(t->lab, err);
    warden_beat(t->core->warden);
    return rc;
}

/* ---- what is not built afresh ---- */

static void trial_settle(struct trial *t);

static void trial_met(const char *reason, void *data)
{
    struct trial *t = data;
    if (t->state != BUILD)
        return;
    if (reason)
        trial_give_up(t, TRIAL_VOID, reason, "end");
    else
        trial_settle(t);
}

static void trial_between(struct trial *t)
{
    t->meeting = meeting_new(t->core, t->lab, t->spec.n, trial_met, t);
    meeting_begin(t->meeting, t->spec.again);
}

/* ---- SETTLE, ARM ---- */

static void trial_load_spoilt(const char *reason, void *data)
{
    trial_give_up(data, TRIAL_VOID, reason, "abort");
}

static void trial_settle(struct trial *t)
{
    struct err err = ERR_INIT;
    trial_enter(t, SETTLE);
    t->loads = loads_new(t->core, t->lab, t->spec.n, trial_load_spoilt, t);
    if (loads_start(t->loads, &err) < 0) {
        trial_give_up(t, TRIAL_VOID, err.text, "end");
        return;
    }
    if (trial_vantages(t, &err) < 0) {
        trial_give_up(t, TRIAL_NO_LAB, err.text, "end");
        return;
    }
    const struct settle *settle = t->scenario->settle;
    struct rng rng = rng_stream(t->core->o->seed, "settle", (uint64_t)t->spec.n, 0);
    t->steady_for = nsec_add(settle->lasting, (nsec)rng_below(&rng, (uint64_t)settle->spread + 1));
    t->settle_end = nsec_add(loop_now(t->core->loop), settle->within);
    trial_poll_again(t);
}

/* Also while it is being undone: that a fault had gone is seen only then. */
static void script_spoilt_trial(const char *reason, void *data)
{
    struct trial *t = data;
    if (t->state < UNDO)
        trial_give_up(t, TRIAL_VOID, reason, "abort");
    else
        trial_conclude(t, TRIAL_VOID, reason);
}

static void script_changed_lab(void *data)
{
    struct trial *t = data;
    trial_tell_warden(t);
    for (size_t i = 0; i < t->n_vantages; i++) {
        struct trial_vantage *v = &t->vantages[i];
        pid_t pid = lab_node_pid(v->node);
        if (pid && pid != v->pid)
            trial_vantage_move(t, v);
    }
}

static void trial_arm(struct trial *t)
{
    trial_enter(t, ARM);
    live_arm(t->live);
    struct script_handlers h = {
        .spoilt = script_spoilt_trial, .changed = script_changed_lab, .data = t};
    t->script = script_new(t->core, t->lab, t->spec.n, &h);
    struct err err = ERR_INIT;
    int rc = script_arm(t->script, &err);
    if (rc == -ESRCH || rc == -EALREADY || rc == -ENODEV || rc == -EOPNOTSUPP) {
        trial_give_up(t, TRIAL_VOID, err.text, "abort");
        return;
    }
    if (rc < 0) { /* what was done could not be undone after our death */
        if (warden_lost(t->core->warden))
            core_mind_warden(t->core);
        else
            t->core->stop(t->core, "journal", err.text);
        return;
    }
    if (t->core->o->people)
        t->core->o->people->ready(t->core->o->people->data); /* they say go */
    else
        trial_inject(t, loop_fresh(t->core->loop));
}

void trial_inject(struct trial *t, nsec zero)
{
    t->zero = zero;
    trial_enter(t, INJECT);
    if (!t->core->o->people)
        loop_timer_set(t->core->loop, &t->horizon, nsec_add(t->zero, t->scenario->horizon));
    quiet_begin(t->quiet, t->zero);
    script_go(t->script, t->zero, t->core->o->people != NULL);
}

static void trial_settling(struct trial *t)
{
    nsec now = loop_fresh(t->core->loop), since = live_good_since(t->live);
    bool steady = !t->scenario->probes.n || (nsec_is_set(since) && now - since >= t->steady_for);
    if (steady) {
        trial_arm(t);
        return;
    }
    if (now >= t->settle_end) {
        AUTO_FREE char *bad = live_not_good(t->live);
        char within[NSEC_TEXT_MAX];
        AUTO_BUF reason = BUF_INIT;
        buf_printf(&reason, "not steady within %s before the fault: %s",
                   nsec_text(t->scenario->settle->within, within),
                   *bad ? bad : "no probe was good for long enough");
        trial_give_up(t, TRIAL_VOID, buf_text(&reason), "end");
    }
}

/* ---- INJECT, OBSERVE, RESTORE ---- */

static void trial_stop_if(struct trial *t)
{
    nsec now = loop_fresh(t->core->loop);
    for (size_t i = 0; i < t->scenario->stop_if.n; i++) {
        const struct stop_condition *c = t->scenario->stop_if.items[i];
        nsec since = live_probe_down_since(t->live, c->probe);
        if (!nsec_is_set(since) || now - since < c->down_for)
            continue;
        char a[NSEC_TEXT_MAX];
        AUTO_BUF detail = BUF_INIT;
        buf_printf(&detail, "the probe %s was down for %s", c->probe, nsec_text(c->down_for, a));
        t->core->stop(t->core, "stop_if", buf_text(&detail));
        return;
    }
}

/* The bound on waiting for a good run that began before the horizon to become stable. */
static nsec trial_longest_stable(const struct trial *t)
{
    nsec longest = 0;
    for (size_t i = 0; i < t->scenario->probes.n; i++) {
        const struct probe *p = t->scenario->probes.items[i];
        nsec n = p->stable + p->up_after * p->every + p->timeout;
        if (p->service && n > longest)
            longest = n;
    }
    return longest;
}

void trial_observed(struct trial *t)
{
    script_halt(t->script);
    trial_enter(t, RESTORE);
    t->restore_end = nsec_add(loop_now(t->core->loop), trial_longest_stable(t));
}

static void trial_horizon(struct loop_timer *timer, void *data)
{
    trial_observed(data);
}

static void trial_restoring(struct trial *t)
{
    if (!live_is_recovering(t->live) || loop_now(t->core->loop) >= t->restore_end)
        trial_undo(t, "end");
}

/* ---- UNDO, COMPARE ---- */

static void trial_undo(struct trial *t, const char *cause)
{
    loop_timer_cancel(t->core->loop, &t->horizon);
    trial_enter(t, UNDO);
    size_t failed = 0;
    bool something = false;
    if (t->script) {
        AUTO_JSON *in_force = script_in_force(t->script);
        something = json_array_size(in_force) > 0;
        failed = script_undo_all(t->script, cause);
    }
    t->result.clean = failed == 0;
    loads_stop(t->loads, t->stopping ? NSEC_SEC : NSEC_INF);
    /* Failback can hurt more than the fault: the probes watch it, except when we are told to stop.
     */
    nsec now = loop_fresh(t->core->loop);
    t->undo_end = something && !t->stopping ? nsec_add(now, trial_longest_stable(t)) : now;
    trial_poll_again(t);
}

static bool trial_quiet(struct trial *t)
{
    bool idle = true;
    for (size_t i = 0; i < t->n_vantages; i++) {
        struct watch *w = t->vantages[i].watch;
        if (!w)
            continue;
        watch_quiesce(w);
        idle = idle && (watch_is_idle(w) || t->stopping);
    }
    if (t->here)
        watch_quiesce(t->here);
    return idle;
}

static void trial_compare(struct trial *t)
{
    AUTO_JSON *left = json_array();
    for (size_t i = 0; i < t->n_vantages; i++) {
        t->vantages[i].watch = watch_free(t->vantages[i].watch);
        if (t->vantages[i].pcap_fd >= 0)
            close(t->vantages[i].pcap_fd);
    }
    t->here = watch_free(t->here);
    watch_outputs_end(t->outputs);
    trial_enter(t, COMPARE);
    t->script = script_free(t->script);
    bool keep = t->spec.keep_lab && t->result.outcome == TRIAL_COMPLETED;
    t->meeting = meeting_free(t->meeting);
    t->loads = loads_free(t->loads);
    if (!keep && t->lab) {
        AUTO_JSON *ids = lab_ids(t->lab);
        /* A warden that hears none of this is lost, but here nothing is left to be protected: the
         * next trial looks at it before it builds. */
        (void)warden_busy(t->core->warden, 60 * NSEC_SEC, NULL);
        t->lab = lab_free(t->lab);
        compare_processes(ids, left);
        (void)warden_lab(t->core->warden, NULL, NULL);
    }
    bool clean = t->result.clean && !json_array_size(left);
    t->result.clean = clean;
    core_note(t->core, "clean", t->spec.n,
              json_pack("{s:b,s:[s,s],s:O,s:[]}", "clean", clean, "checked", "faults in force",
                        keep ? "the lab is kept for the next trial" : "processes of the lab",
                        "left", left, "others"));
    core_note(t->core, "trial-end", t->spec.n,
              json_pack("{s:s,s:o*}", "outcome",
                        t->result.outcome == TRIAL_COMPLETED ? "completed"
                        : t->result.outcome == TRIAL_ABORTED ? "aborted"
                                                             : "void",
                        "reason", jsonx_new_text(t->result.reason)));
    t->state = DONE;
    loop_stop(t->core->loop);
}

/* ---- the pulse ---- */

static void trial_pulse(struct loop_timer *timer, void *data)
{
    struct trial *t = data;
    /* Answers that are waiting in the sockets belong before any decision about time. */
    nsec late = loop_lateness(t->core->loop);
    if (late > 500 * NSEC_MSEC) {
        char detail[80], a[NSEC_TEXT_MAX];
        snprintf(detail, sizeof detail, "the runner was %s late", nsec_text(late, a));
        trial_trouble("runner-late", NULL, detail, t);
    }
    switch (t->state) {
    case SETTLE:
        trial_settling(t);
        break;
    case INJECT:
        if (script_begun(t->script))
            trial_enter(t, OBSERVE);
        trial_stop_if(t);
        break;
    case OBSERVE:
        trial_stop_if(t);
        break;
    case RESTORE:
        trial_restoring(t);
        break;
    case UNDO:
        if (loop_fresh(t->core->loop) >= t->undo_end && loads_over(t->loads) && trial_quiet(t)) {
            trial_compare(t);
            return;
        }
        break;
    case BUILD:
    case ARM:
    case COMPARE:
    case DONE:
        break;
    }
    if (t->state != DONE)
        trial_poll_again(t);
}

static struct trial *trial_free(struct trial *t)
{
    if (!t)
        return NULL;
    loop_timer_cancel(t->core->loop, &t->poll);
    loop_timer_cancel(t->core->loop, &t->horizon);
    meeting_free(t->meeting);
    loads_free(t->loads);
    live_free(t->live);
    quiet_free(t->quiet);
    watch_outputs_free(t->outputs);
    json_decref(t->rang);
    free(t->vantages);
    free(t->first);
    free(t);
    return NULL;
}

int trial_perform(const struct trial_spec *spec, struct trial **slot, struct trial_result *ret,
                  struct err *err)
{
    struct trial *t = calloc(1, sizeof *t);
    if (!t)
        abort();
    t->spec = *spec;
    t->core = spec->core;
    t->scenario = t->core->o->scenario;
    t->lab = *spec->lab;
    t->reused = t->lab != NULL;
    t->rang = json_object();
    t->first = calloc(t->scenario->probes.n + 1, sizeof *t->first);
    if (!t->first)
        abort();
    t->result = (struct trial_result){.outcome = TRIAL_COMPLETED, .clean = true};
    struct live_handlers lh = {.alarm = trial_live_alarm, .probe = trial_live_probe, .data = t};
    t->live = live_new(t->scenario, &lh);
    struct watch_handlers wh = trial_watch_handlers(t);
    t->outputs = watch_outputs_new(t->scenario, &wh);
    t->quiet = quiet_new(t->scenario, t->core->loop, trial_released, t);
    t->poll = (struct loop_timer){.fn = trial_pulse, .data = t};
    t->horizon = (struct loop_timer){.fn = trial_horizon, .data = t};
    t->slot = slot;
    *slot = t;

    struct err why = ERR_INIT;
    int rc = 0;
    if (trial_build(t, &why) < 0)
        trial_give_up(t, TRIAL_NO_LAB, why.text, "end");
    else if (t->reused)
        trial_between(t);
    while (rc == 0 && t->state != DONE)
        rc = loop_run(t->core->loop, err);
    *slot = NULL;
    *spec->lab = t->lab;
    *ret = t->result;
    ret->begun = t->zero != 0;
    trial_free(t);
    return rc;
}
