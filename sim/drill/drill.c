/* A whole run: warden, control socket, signals, trials one after the other, the final comparison.
 */
#include "sim/drill/drill.h"

#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/drill/compare.h"
#include "sim/drill/control.h"
#include "sim/drill/core.h"
#include "sim/drill/trial.h"
#include "sim/kernel/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#define DRILL_BEAT (500 * NSEC_MSEC)
#define DRILL_DEADLINE (15 * NSEC_SEC) /* without a beat the warden takes over */
#define DRILL_PATIENCE (5 * NSEC_SEC)  /* for its answers; well before that */
#define DRILL_TICK (200 * NSEC_MSEC)

struct drill {
    struct core core; /* first: parts get a struct core * */
    const struct drill_options *o;
    struct control *control;
    struct trial *trial; /* that runs now */
    struct lab *lab;     /* that is kept between trials */
    int logs_dirfd;
    bool stopping, no_report, clean;
    bool parted;        /* those who play are done */
    bool over, hurried; /* all was undone, only others are being told; not to be waited for */
    unsigned signals;
    char *stop_reason;
    nsec wall0, boot_gap; /* CLOCK_BOOTTIME - CLOCK_MONOTONIC */
    struct loop_signal sig[3];
    struct loop_timer beat, tick, most;
    struct loop_io warden_io;
};

static void drill_stop(struct core *c, const char *reason, const char *detail)
{
    struct drill *d = container_of(c, struct drill, core);
    if (d->stopping || d->over)
        return;
    d->stopping = true;
    d->stop_reason = strdup(detail);
    if (!c->failed)
        core_note(c, "stop", d->trial ? trial_number(d->trial) : 0,
                  json_pack("{s:s,s:o}", "reason", reason, "detail", jsonx_new_text(detail)));
    if (d->trial)
        trial_stop(d->trial, detail);
    else if (c->o->people)
        loop_stop(c->loop);
}

/* ---- sources ---- */

static void drill_signal(struct loop_signal *s, int signo, void *data)
{
    struct drill *d = data;
    d->hurried = d->over;
    if (d->over)
        return;
    d->signals++;
    if (d->signals > 1) {
        d->no_report = true;
        return;
    }
    drill_stop(&d->core, "operator",
               signo == SIGINT    ? "stopped by the operator (Ctrl-C)"
               : signo == SIGTERM ? "stopped by SIGTERM"
                                  : "stopped by SIGHUP");
}

/* CLOCK_BOOTTIME goes on in a suspend, CLOCK_MONOTONIC does not (clock_gettime(2)): what was measured
 * across one is said to be so. */
static void drill_suspend(struct drill *d)
{
    nsec gap = nsec_now(CLOCK_BOOTTIME) - nsec_now(CLOCK_MONOTONIC);
    if (d->boot_gap && gap - d->boot_gap > 50 * NSEC_MSEC) {
        char a[NSEC_TEXT_MAX];
        AUTO_BUF detail = BUF_INIT;
        buf_printf(&detail, "this machine was suspended for %s", nsec_text(gap - d->boot_gap, a));
        core_note(&d->core, "trouble", d->trial ? trial_number(d->trial) : 0,
                  json_pack("{s:s,s:s}", "what", "suspend", "detail", buf_text(&detail)));
    }
    d->boot_gap = gap;
}

static void drill_beat(struct loop_timer *t, void *data)
{
    struct drill *d = data;
    drill_suspend(d);
    warden_beat(d->core.warden);
    loop_timer_set(d->core.loop, t, nsec_add(loop_now(d->core.loop), DRILL_BEAT));
}

static json_t *drill_status(struct drill *d)
{
    json_t *st = json_pack("{s:b,s:s,s:s,s:o,s:I,s:I,s:b}", "ok", 1, "id", d->o->id, "scenario",
                           d->o->scenario->name, "operator", jsonx_new_text(d->o->operator_name),
                           "trials", (json_int_t)d->o->trials, "running_ns",
                           (json_int_t)(loop_fresh(d->core.loop) - record_origin(d->core.record)),
                           "stopping", d->stopping);
    if (d->trial) {
        AUTO_JSON *t = trial_status(d->trial);
        json_object_update(st, t);
    }
    return st;
}

static void drill_tick(struct loop_timer *t, void *data)
{
    struct drill *d = data;
    if (d->o->handlers.tick) {
        AUTO_JSON *st = drill_status(d);
        d->o->handlers.tick(st, d->o->handlers.data);
    }
    loop_timer_set(d->core.loop, t, nsec_add(loop_now(d->core.loop), DRILL_TICK));
}

static void drill_too_long(struct loop_timer *t, void *data)
{
    struct drill *d = data;
    char a[NSEC_TEXT_MAX];
    AUTO_BUF detail = BUF_INIT;
    buf_printf(&detail, "the run was longer than it may take (%s)",
               nsec_text(d->o->max_duration, a));
    drill_stop(&d->core, "max-duration", buf_text(&detail));
}

static void drill_warden_gone(struct loop_io *io, uint32_t events, void *data)
{
    struct drill *d = data;
    loop_io_remove(d->core.loop, io);
    drill_stop(&d->core, "lost-warden",
               "the warden has gone: without it nothing more may be injected");
}

/* ---- the control socket ---- */

static json_t *drill_refuse(const char *why)
{
    return json_pack("{s:b,s:s}", "ok", 0, "error", why);
}

static json_t *drill_mark(struct drill *d, const json_t *q)
{
    const char *mark = jsonx_str(q, "mark", "");
    const char *service = jsonx_str(q, "service", NULL), *text = jsonx_str(q, "text", NULL);
    nsec at = jsonx_nsec(q, "at"), ago = jsonx_int(q, "ago_ns", 0);
    if (!*mark || !nsec_is_set(at))
        return drill_refuse("a mark needs its kind and its time");
    if (service && !scenario_service(d->o->scenario, service))
        return drill_refuse("the scenario has no such service");
    nsec lo = nsec_sub(at, ago);
    if (lo < record_origin(d->core.record))
        return drill_refuse("that was before the drill began");
    core_note(&d->core, "mark", d->trial ? trial_number(d->trial) : 0,
              json_pack("{s:s,s:s*,s:s*,s:s*,s:o,s:s*}", "mark", mark, "text", text, "service",
                        service, "role", jsonx_str(q, "role", NULL), "at",
                        core_span(&d->core, (struct span){lo, lo}), "by",
                        jsonx_str(q, "by", NULL)));
    if (d->trial && !strcmp(mark, "note") && text)
        trial_operator(d->trial, text);
    return json_pack("{s:b,s:s}", "ok", 1, "id", d->o->id);
}

static json_t *drill_where(struct drill *d, const json_t *q)
{
    const char *host = jsonx_str(q, "host", "");
    struct lab *lab = d->trial ? trial_lab(d->trial) : NULL;
    struct lab_node *n = lab ? lab_node(lab, host) : NULL;
    if (!n)
        return drill_refuse("the lab has no such host");
    if (!lab_node_is_up(n))
        return drill_refuse("that host is down");
    return json_pack("{s:b,s:i}", "ok", 1, "pid", (int)lab_node_pid(n));
}

static json_t *drill_abort(struct drill *d, const json_t *q)
{
    AUTO_BUF detail = BUF_INIT;
    if (d->over)
        return drill_refuse("the drill is over");
    buf_printf(&detail, "stopped by %s", jsonx_str(q, "by", "somebody"));
    drill_stop(&d->core, "operator", buf_text(&detail));
    return json_pack("{s:b,s:s}", "ok", 1, "id", d->o->id);
}

static json_t *drill_control(const json_t *q, void *data)
{
    struct drill *d = data;
    const char *command = jsonx_str(q, "command", "");
    if (!strcmp(command, "status"))
        return drill_status(d);
    if (!strcmp(command, "mark"))
        return drill_mark(d, q);
    if (!strcmp(command, "where"))
        return drill_where(d, q);
    if (!strcmp(command, "abort"))
        return drill_abort(d, q);
    return drill_refuse("this drill does not know that request: is it of another version?");
}

/* ---- a run ---- */

static int drill_sources(struct drill *d, struct err *err)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct loop *loop = d->core.loop;
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        d->sig[i] = (struct loop_signal){.fn = drill_signal, .data = d};
        int rc = loop_signal_add(loop, &d->sig[i], signals[i], err);
        if (rc < 0)
            return rc;
    }
    d->beat = (struct loop_timer){.fn = drill_beat, .data = d};
    d->tick = (struct loop_timer){.fn = drill_tick, .data = d};
    d->most = (struct loop_timer){.fn = drill_too_long, .data = d};
    d->warden_io = (struct loop_io){.fn = drill_warden_gone, .data = d};
    loop_timer_set(loop, &d->beat, loop_now(loop));
    loop_timer_set(loop, &d->tick, loop_now(loop));
    if (nsec_is_set(d->o->max_duration))
        loop_timer_set(loop, &d->most, nsec_add(loop_fresh(loop), d->o->max_duration));
    int rc = loop_io_add(loop, &d->warden_io, warden_fd(d->core.warden), EPOLLIN, err);
    if (rc < 0)
        return rc;
    return control_open(loop, d->o->control_fd, drill_control, d, &d->control, err);
}

static void drill_no_sources(struct drill *d)
{
    struct loop *loop = d->core.loop;
    if (!loop)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(d->sig); i++)
        loop_signal_remove(loop, &d->sig[i]);
    loop_timer_cancel(loop, &d->beat);
    loop_timer_cancel(loop, &d->tick);
    loop_timer_cancel(loop, &d->most);
    loop_io_remove(loop, &d->warden_io);
    d->control = control_close(d->control);
}

static int drill_start_lines(struct drill *d, struct err *err)
{
    const struct drill_options *o = d->o;
    char iso[NSEC_TEXT_MAX], seed[24];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)o->seed);
    /* Of the same instant as the record's zero, which was some milliseconds ago. */
    d->wall0 =
        nsec_now(CLOCK_REALTIME) - (nsec_now(CLOCK_MONOTONIC) - record_origin(d->core.record));
    json_t *scenario = json_pack("{s:s,s:s*,s:s}", "name", o->scenario->name, "title",
                                 o->scenario->title, "digest", o->digest);
    json_t *e = json_pack("{s:i,s:s,s:s,s:s,s:o,s:O,s:s,s:I,s:o,s:s,s:I,s:s,s:O,s:O}", "record", 1,
                          "blackstart", BLACKSTART_VERSION, "id", o->id, "mode",
                          o->people ? "functional" : "live", "scenario", scenario, "attempt",
                          o->attempt, "seed", seed, "trials", (json_int_t)o->trials, "operator",
                          jsonx_new_text(o->operator_name), "wall", nsec_iso(d->wall0, iso),
                          "wall_ns", (json_int_t)d->wall0, "clock", "CLOCK_MONOTONIC", "command",
                          o->command, "environment", o->environment);
    if (o->people) {
        int rc = o->people->open(d, d->core.loop, d->core.record, e, o->people->data, err);
        if (rc < 0)
            return rc;
    } else {
        core_event(&d->core, "run-start", record_origin(d->core.record), 0, e);
    }
    core_note(&d->core, "plan", 0, json_pack("{s:O}", "steps", o->plan));
    return 0;
}

/* All planned trials, each void one replaced as often as the scenario declares. */
static int drill_trials(struct drill *d, struct drill_outcome *out, struct err *err)
{
    int64_t spare = d->o->scenario->replace_void;
    bool settled = false, again = false;
    for (int64_t n = 1; n <= d->o->trials && !d->stopping; n++) {
        for (int64_t attempt = 1; !d->stopping; attempt++) {
            struct trial_spec spec = {.core = &d->core,
                                      .n = n,
                                      .attempt = attempt,
                                      .lab = &d->lab,
                                      .keep_lab = d->o->scenario->lab_reuse && n < d->o->trials,
                                      .again = again,
                                      .logs_dirfd = d->logs_dirfd};
            struct trial_result r = {0};
            int rc = trial_perform(&spec, &d->trial, &r, err);
            if (rc < 0)
                return rc;
            d->clean = d->clean && r.clean;
            again = true;
            AUTO_FREE char *reason = r.reason;
            if (r.outcome == TRIAL_NO_LAB && !settled && !d->stopping) {
                out->end = DRILL_CANNOT_RUN;
                out->why = steal_ptr(reason);
                return 0;
            }
            settled = settled || r.outcome != TRIAL_NO_LAB;
            bool is_void = r.outcome == TRIAL_VOID || r.outcome == TRIAL_NO_LAB;
            if (!is_void || spare-- <= 0)
                break;
        }
    }
    return 0;
}

/* The one trial of a functional exercise, then what people do after it. Only one that ended before anybody
 * played may be replaced. */
static int drill_played(struct drill *d, struct drill_outcome *out, struct err *err)
{
    int64_t spare = d->o->scenario->replace_void;
    bool begun = false;
    for (int64_t attempt = 1; !begun && !d->stopping; attempt++) {
        struct trial_spec spec = {.core = &d->core,
                                  .n = 1,
                                  .attempt = attempt,
                                  .lab = &d->lab,
                                  .again = attempt > 1,
                                  .logs_dirfd = d->logs_dirfd};
        struct trial_result r = {0};
        int rc = trial_perform(&spec, &d->trial, &r, err);
        if (rc < 0)
            return rc;
        AUTO_FREE char *reason = r.reason;
        d->clean = d->clean && r.clean;
        begun = r.begun;
        if (begun || d->stopping || spare-- > 0)
            continue;
        out->end = DRILL_CANNOT_RUN;
        out->why = steal_ptr(reason);
        return 0;
    }
    int rc = 0;
    while (rc == 0 && !d->stopping && !d->parted)
        rc = loop_run(d->core.loop, err);
    return rc;
}

/* How a hook went. One that is answered after all was over is not written down any more. */
static void drill_notice(const json_t *notice, void *data)
{
    struct drill *d = data;
    json_t *e = json_deep_copy(notice);
    int64_t trial = jsonx_int(e, "trial", 0);
    json_object_del(e, "trial");
    core_note(&d->core, "notice", trial, e);
}

/* Those that are out still, while the record can tell of them: not longer than each may take. */
static void drill_await_notices(struct drill *d)
{
    struct loop *loop = d->core.loop;
    d->over = true;
    nsec until = nsec_add(loop_fresh(loop), nsec_add(herald_patience(d->core.herald), NSEC_SEC));
    while (!herald_is_idle(d->core.herald) && !d->no_report && !d->hurried &&
           loop_fresh(loop) < until)
        if (loop_turn(loop, nsec_add(loop_fresh(loop), 50 * NSEC_MSEC), NULL) < 0)
            break;
}

static void drill_finish(struct drill *d, const struct drill_outcome *out)
{
    if (d->lab)
        d->lab = lab_free(d->lab);
    AUTO_JSON *left = json_array(), *others = json_array();
    compare_tell(d->o->before, left, others);
    d->clean = d->clean && !json_array_size(left);
    json_t *checked = json_pack("[s,s]", "processes of the labs", "the journal");
    compare_words(d->o->before, checked);
    core_note(&d->core, "clean", 0,
              json_pack("{s:b,s:o,s:O,s:O}", "clean", d->clean, "checked", checked, "left", left,
                        "others", others));
    char iso[NSEC_TEXT_MAX];
    const char *status = d->core.failed                 ? "failed"
                         : out->end == DRILL_CANNOT_RUN ? "failed"
                         : d->stopping                  ? "aborted"
                                                        : "completed";
    drill_await_notices(d);
    nsec wall = nsec_now(CLOCK_REALTIME), mono = loop_fresh(d->core.loop);
    const char *reason = out->end == DRILL_CANNOT_RUN ? out->why : d->stop_reason;
    core_note(&d->core, "run-end", 0,
              json_pack("{s:s,s:o*,s:s,s:I,s:s}", "status", status, "reason",
                        jsonx_new_text(reason), "wall", nsec_iso(wall, iso), "wall_offset_ns",
                        (json_int_t)((wall - d->wall0) - (mono - record_origin(d->core.record))),
                        "by", "runner"));
    if (!d->core.failed)
        record_sync(d->core.record, NULL);
    herald_part(d->core.herald, status);
}

static int drill_open(struct drill *d, struct err *err)
{
    const struct drill_options *o = d->o;
    int rc = loop_new(LOOP_REAL, &d->core.loop, err);
    if (rc < 0)
        return rc;
    if (mkdirat(o->dirfd, "logs", 0755) < 0 && errno != EEXIST)
        return err_errno(err, errno, "cannot make the folder logs");
    d->logs_dirfd = openat(o->dirfd, "logs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    nsec origin = loop_fresh(d->core.loop);
    rc = journal_open(o->journal_folder, o->id, &d->core.journal, err);
    if (rc < 0)
        return rc;
    struct warden_spec ws = {.dirfd = o->dirfd,
                             .record = "record.ndjson",
                             .journal_folder = o->journal_folder,
                             .run = o->id,
                             .origin = origin,
                             .deadline = DRILL_DEADLINE,
                             .patience = DRILL_PATIENCE,
                             .before = o->before,
                             .after = o->handlers.after_death,
                             .data = o->handlers.data};
    /* The warden first: it must not inherit the record, whose lock says who writes. */
    rc = warden_start(&ws, &d->core.warden, err);
    if (rc < 0)
        return rc;
    struct herald_spec hs = {.scenario = o->scenario,
                             .source_dirfd = o->source_dirfd,
                             .id = o->id,
                             .operator_name = o->operator_name,
                             .went = drill_notice,
                             .data = d};
    rc = herald_start(&hs, d->core.loop, &d->core.herald, err);
    if (rc < 0)
        return rc;
    rc = record_create(o->dirfd, "record.ndjson", origin, &d->core.record, err);
    if (rc < 0)
        return rc;
    return drill_sources(d, err);
}

/* `told`: somebody may have been told of the start. */
static void drill_close(struct drill *d, bool told)
{
    if (told && d->o->people)
        d->o->people->done(d->o->people->data);
    drill_no_sources(d);
    if (d->lab)
        d->lab = lab_free(d->lab);
    d->core.record = record_free(d->core.record);
    d->core.journal = journal_close(d->core.journal);
    if (told && d->o->herald) {
        herald_part(d->core.herald, "failed");
        *d->o->herald = steal_ptr(d->core.herald);
    }
    d->core.herald = herald_end(d->core.herald);
    d->core.warden = warden_end(d->core.warden);
    d->core.loop = loop_free(d->core.loop);
    free(d->stop_reason);
    if (d->logs_dirfd >= 0)
        close(d->logs_dirfd);
}

int drill_run(const struct drill_options *o, struct drill_outcome *ret, struct err *err)
{
    struct drill d = {.o = o, .logs_dirfd = -1, .clean = true};
    struct drill_outcome out = {.end = DRILL_RAN};
    d.core.o = o;
    d.core.stop = drill_stop;
    int rc = drill_open(&d, err);
    bool told = rc == 0;
    if (told)
        rc = drill_start_lines(&d, err);
    if (told && rc == 0)
        rc = o->people ? drill_played(&d, &out, err) : drill_trials(&d, &out, err);
    if (rc == 0) {
        drill_finish(&d, &out);
        if (d.core.failed) {
            *err = d.core.failure;
            rc = -err->code;
        }
    }
    if (d.no_report && out.end == DRILL_RAN)
        out.end = DRILL_NO_REPORT;
    out.clean = d.clean;
    drill_close(&d, told);
    if (rc < 0) {
        drill_outcome_done(&out);
        return rc;
    }
    *ret = out;
    return 0;
}

void drill_outcome_done(struct drill_outcome *o)
{
    free(o->why);
    o->why = NULL;
}

/* ---- for those who play ---- */

int drill_may_go(const struct drill *d, struct err *err)
{
    if (!d->trial)
        return err_set(err, EAGAIN, "the machine is not there");
    return trial_may_go(d->trial, err);
}

void drill_go(struct drill *d, nsec zero)
{
    if (d->trial)
        trial_go(d->trial, zero);
}

void drill_step_begin(struct drill *d, size_t step)
{
    if (d->trial)
        trial_step_begin(d->trial, step);
}

void drill_step_end(struct drill *d, size_t step, const char *cause)
{
    if (d->trial)
        trial_step_end(d->trial, step, cause);
}

void drill_play_over(struct drill *d)
{
    if (d->trial)
        trial_close(d->trial);
}

void drill_abort_play(struct drill *d, const char *reason, const char *detail)
{
    d->core.stop(&d->core, reason, detail);
}

void drill_part(struct drill *d)
{
    d->parted = true;
    drill_play_over(d);
    if (!d->trial)
        loop_stop(d->core.loop);
}
