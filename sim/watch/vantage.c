/* The vantage process: a schedule of requests, and alarms that wait.
 *
 * Each probe has one timer for its absolute schedule. A request is a shot; any
 * number may be outstanding. Its end is the kind's word (shot_end) or its time-out, whichever is
 * first by the stamps; then the observation goes into the outbox. Nothing is judged here but what
 * the scenario says of one answer alone (expect, timeout, slow_after).
 *
 * A prober that was held up (SIGSTOP, a machine without CPU) starts what is due at once and leaves
 * out the slots that passed meanwhile: a burst would measure nothing that one request does not.
 *
 * The process ends when its socket does, by PDEATHSIG when its parent does, and takes its commands
 * with it: it is pid 1 of its pid namespace where it may have one.
 */
#include "sim/watch/vantage.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define DESCRIPTORS 65536
#define LATE_EVERY NSEC_SEC
#define ORDINARY_SLACK 50000UL /* ns; PR_SET_TIMERSLACK of a process that never asked */

/* --- Shots ----------------------------------------------------------------------------------- */

static void vantage_idle(struct vantage *v)
{
    if (!v->quiesced || v->outstanding)
        return;
    struct letter w = {.kind = LETTER_IDLE};
    outbox_put(&v->outbox, &w, NULL);
}

static void shot_free(struct shot *shot)
{
    struct prober *p = shot->prober;
    loop_timer_cancel(p->vantage->loop, &shot->timeout);
    if (shot->prev)
        shot->prev->next = shot->next;
    else
        p->shots = shot->next;
    if (shot->next)
        shot->next->prev = shot->prev;
    free(shot->state);
    free(shot);
    p->vantage->outstanding--;
}

void shot_end(struct shot *shot, enum why why, nsec end, const char *detail)
{
    struct prober *p = shot->prober;
    char words[128], took[NSEC_TEXT_MAX], limit[NSEC_TEXT_MAX];
    nsec duration = end - shot->start;
    if ((duration > p->probe->timeout && why != WHY_ERROR) || (why == WHY_TIMEOUT && !detail)) {
        why = WHY_TIMEOUT;
        snprintf(words, sizeof words, "no answer within %s", nsec_text(p->probe->timeout, limit));
        detail = words;
    } else if (why == WHY_GOOD && nsec_is_set(p->probe->slow_after) &&
               duration > p->probe->slow_after) {
        why = WHY_SLOW;
        snprintf(words, sizeof words, "good, but after %s, and slow after %s",
                 nsec_text(duration, took), nsec_text(p->probe->slow_after, limit));
        detail = words;
    }
    struct letter w = {.kind = LETTER_OBS,
                       .why = why,
                       .index = p->index,
                       .n = shot->n,
                       .a = shot->scheduled,
                       .b = shot->start,
                       .c = end};
    outbox_put(&p->vantage->outbox, &w, detail ? detail : "");
    struct vantage *v = p->vantage;
    shot_free(shot);
    vantage_idle(v);
}

void shot_starts(struct shot *shot, nsec at)
{
    shot->start = at;
    loop_timer_set(shot->prober->vantage->loop, &shot->timeout,
                   nsec_add(at, shot->prober->probe->timeout));
}

static void shot_timeout(struct loop_timer *t, void *data)
{
    (void)t;
    struct shot *shot = data;
    nsec end = nsec_now(CLOCK_MONOTONIC);
    shot->prober->kind->cancel(shot);
    shot_end(shot, WHY_TIMEOUT, end, NULL);
}

static void prober_shoot(struct prober *p, nsec scheduled)
{
    struct vantage *v = p->vantage;
    struct shot *shot = calloc(1, sizeof *shot);
    if (!shot)
        abort();
    *shot = (struct shot){.prober = p, .next = p->shots, .n = p->n++, .scheduled = scheduled};
    if (p->shots)
        p->shots->prev = shot;
    p->shots = shot;
    v->outstanding++;
    shot->timeout = (struct loop_timer){.fn = shot_timeout, .data = shot};
    shot_starts(shot, nsec_now(CLOCK_MONOTONIC));
    p->kind->start(shot); /* may end and free it */
}

/* --- The schedule ---------------------------------------------------------------------------- */

/* At most once in LATE_EVERY: a busy machine delays many requests, and each observation carries its
 * own lateness. */
static void prober_late_tell(struct prober *p, nsec now)
{
    char worst[NSEC_TEXT_MAX], every[NSEC_TEXT_MAX];
    if (p->late_n == 0)
        return;
    vantage_trouble(p->vantage, "prober-late",
                    "probe %s: late starts %llu, by up to %s (every %s); left out %lld",
                    p->probe->name, (unsigned long long)p->late_n, nsec_text(p->late_worst, worst),
                    nsec_text(p->probe->every, every), (long long)p->late_skipped);
    p->late_told = now;
    p->late_n = 0;
    p->late_worst = 0;
    p->late_skipped = 0;
}

static void prober_late(struct prober *p, nsec now, nsec late, int64_t skipped)
{
    p->late_n++;
    p->late_skipped += skipped;
    if (late > p->late_worst)
        p->late_worst = late;
    if (now - p->late_told >= LATE_EVERY)
        prober_late_tell(p, now);
}

static void prober_due(struct loop_timer *t, void *data)
{
    (void)t;
    struct prober *p = data;
    nsec now = nsec_now(CLOCK_MONOTONIC);
    int64_t skipped;
    nsec scheduled = schedule_take(&p->schedule, now, &skipped), late = now - scheduled;
    if (late > p->probe->every)
        prober_late(p, now, late, skipped);
    loop_timer_set(p->vantage->loop, &p->timer, schedule_next(&p->schedule));
    prober_shoot(p, scheduled);
}

static void vantage_quiesce(struct vantage *v)
{
    if (v->quiesced)
        return;
    v->quiesced = true;
    for (size_t i = 0; i < v->n_probers; i++) {
        loop_timer_cancel(v->loop, &v->probers[i].timer);
        prober_late_tell(&v->probers[i], loop_now(v->loop));
    }
    vantage_idle(v);
}

/* --- Alarms ---------------------------------------------------------------------------------- */

void sentry_tell(struct sentry *s, bool onset, struct span at, const char *detail)
{
    sentry_tell_since(s, onset, at, NSEC_UNSET, detail);
}

void sentry_tell_since(struct sentry *s, bool onset, struct span at, nsec starts_at,
                       const char *detail)
{
    unsigned kept = 0;
    char text[FLOOD_TEXT_MAX];
    bool tell = !onset || flood_admits(&s->flood, at.hi, &kept);
    if (kept)
        vantage_trouble(s->vantage, "alarm-flood", "%s", flood_text(s->alarm->name, kept, text));
    if (!tell)
        return;
    struct letter w = {.kind = LETTER_ALARM,
                       .flag = onset,
                       .index = s->index,
                       .a = at.lo,
                       .b = at.hi,
                       .c = starts_at};
    outbox_put(&s->vantage->outbox, &w, detail ? detail : "");
}

void sentry_silenced(struct sentry *s, bool active, struct span at, const char *which)
{
    struct letter w = {
        .kind = LETTER_SILENCE, .flag = active, .index = s->index, .a = at.lo, .b = at.hi};
    outbox_put(&s->vantage->outbox, &w, which);
}

void sentry_fails(struct sentry *s, const char *why)
{
    if (!s->failing)
        vantage_trouble(s->vantage, "alarm-failed", "alarm %s cannot look: %s", s->alarm->name,
                        why);
    s->failing = true;
}

void sentry_looks(struct sentry *s)
{
    s->failing = false;
}

/* --- What all share -------------------------------------------------------------------------- */

void vantage_trouble(struct vantage *v, const char *what, const char *fmt, ...)
{
    struct letter w = {.kind = LETTER_TROUBLE};
    int n = snprintf(w.text, sizeof w.text, "%s", what) + 1;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(w.text + n, sizeof w.text - (size_t)n, fmt, ap);
    va_end(ap);
    w.text_n = (uint32_t)(n + (int)strlen(w.text + n));
    outbox_put(&v->outbox, &w, NULL);
}

int vantage_http(struct vantage *v, struct http **ret, struct err *err)
{
    int r = v->http ? 0 : http_new(v->loop, &v->http, err);
    if (r == 0)
        *ret = v->http;
    return r;
}

static int command_prepare(void *data)
{
    (void)data;
    struct rlimit limit;
    prctl(PR_SET_TIMERSLACK, ORDINARY_SLACK);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) { /* as commands expect it, not as probers need it */
        limit.rlim_cur = limit.rlim_max < 1024 ? limit.rlim_max : 1024;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    return 0;
}

int vantage_shell(struct vantage *v, const char *command, struct child_spec *spec,
                  struct child **ret, struct err *err)
{
    const char *argv[] = {"/bin/sh", "-c", command, NULL};
    spec->argv = argv;
    spec->env = (const char *const *)(uintptr_t)v->env;
    spec->stdin_fd = -1;
    spec->stdout_fd = -1;
    spec->output_max = 4096;
    spec->prepare = command_prepare;
    return child_start(v->loop, spec, ret, err);
}

/* Orphans of commands come to pid 1. Children of ours lead their group and are reaped where they
 * were started; WNOWAIT shows who ended without taking it. An orphan that leads a group (a daemon)
 * looks like one of ours and stays a zombie until this process ends: harmless, and soon. */
static void reaper_due(struct loop_timer *t, void *data)
{
    struct vantage *v = data;
    siginfo_t info;
    for (int i = 0; i < 64; i++) {
        info = (siginfo_t){0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            break;
        if (getpgid(info.si_pid) == info.si_pid)
            break;
        waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
    }
    loop_timer_set(v->loop, t, nsec_add(loop_now(v->loop), NSEC_SEC));
}

static void command_ready(struct loop_io *io, uint32_t events, void *data)
{
    (void)events;
    struct vantage *v = data;
    char c;
    ssize_t n = recv(io->fd, &c, 1, MSG_DONTWAIT);
    if (n == 1)
        vantage_quiesce(v);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        _exit(0);
}

/* --- Starting -------------------------------------------------------------------------------- */

static void vantage_settings(void)
{
    prctl(PR_SET_TIMERSLACK, 1UL);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) { /* outstanding requests times time-outs */
        limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int vantage_open(struct vantage *v, struct err *err)
{
    for (size_t i = 0; i < v->n_probers; i++) {
        struct prober *p = &v->probers[i];
        int r = p->kind->open ? p->kind->open(p, err) : 0;
        if (r < 0) {
            err_prefix(err, "probe %s", p->probe->name);
            return r;
        }
    }
    for (size_t i = 0; i < v->n_sentries; i++) {
        struct sentry *s = &v->sentries[i];
        int r = s->kind->open(s, err);
        if (r < 0) {
            err_prefix(err, "alarm %s", s->alarm->name);
            return r;
        }
    }
    return 0;
}

/* Those of this host; threshold and captured output are looked at elsewhere. */
int vantage_collect(struct vantage *v, const nsec *first, int source_fd, struct err *err)
{
    const struct scenario *s = v->scenario;
    v->probers = calloc(s->probes.n + 1, sizeof *v->probers);
    v->sentries = calloc(s->alarms.n + 1, sizeof *v->sentries);
    if (!v->probers || !v->sentries)
        abort();
    for (size_t i = 0; i < s->probes.n; i++) {
        const struct probe *p = s->probes.items[i];
        if (strcmp(p->host, v->host) != 0)
            continue;
        struct prober *new = &v->probers[v->n_probers++];
        *new = (struct prober){.vantage = v,
                               .probe = p,
                               .kind = p->kind->impl,
                               .index = (uint32_t)i,
                               .schedule = {.first = first[i], .every = p->every},
                               .timer = {.fn = prober_due, .data = new}};
    }
    for (size_t i = 0; i < s->alarms.n; i++) {
        const struct alarm *a = s->alarms.items[i];
        const struct alarm_kind *kind = a->kind->impl;
        const char *host = kind->host(a->params);
        if (host && strcmp(host, v->host) == 0)
            v->sentries[v->n_sentries++] =
                (struct sentry){.vantage = v, .alarm = a, .kind = kind, .index = (uint32_t)i};
    }
    for (size_t i = 0; i < v->n_probers; i++) {
        struct prober *p = &v->probers[i];
        int r = p->kind->outside ? p->kind->outside(p, source_fd, err) : 0;
        if (r < 0) {
            err_prefix(err, "probe %s", p->probe->name);
            return r;
        }
    }
    for (size_t i = 0; i < v->n_sentries; i++) {
        struct sentry *k = &v->sentries[i];
        int r = k->kind->outside ? k->kind->outside(k, source_fd, err) : 0;
        if (r < 0) {
            err_prefix(err, "alarm %s", k->alarm->name);
            return r;
        }
    }
    return 0;
}

static __attribute__((noreturn)) void vantage_failed(struct vantage *v, const struct err *err)
{
    struct letter w = {.kind = LETTER_FAILED, .n = (uint64_t)err->code};
    outbox_put(&v->outbox, &w, err->text);
    outbox_flush(&v->outbox);
    _exit(1);
}

__attribute__((noreturn)) void vantage_run(struct vantage *v)
{
    struct err err = ERR_INIT;
    vantage_settings();
    if (loop_new(LOOP_REAL, &v->loop, &err) < 0)
        _exit(1);
    outbox_init(&v->outbox, v->loop, v->sock);
    v->command = (struct loop_io){.fn = command_ready, .data = v};
    /* A second number for the socket: epoll takes each once, and the outbox waits on the first. */
    if (loop_io_add(v->loop, &v->command, v->command_fd, EPOLLIN, &err) < 0 ||
        vantage_open(v, &err) < 0)
        vantage_failed(v, &err);
    struct letter w = {.kind = LETTER_READY};
    outbox_put(&v->outbox, &w, NULL);
    for (size_t i = 0; i < v->n_probers; i++)
        loop_timer_set(v->loop, &v->probers[i].timer, schedule_next(&v->probers[i].schedule));
    if (v->own_pids) {
        v->reaper = (struct loop_timer){.fn = reaper_due, .data = v};
        loop_timer_set(v->loop, &v->reaper, nsec_add(loop_now(v->loop), NSEC_SEC));
    }
    int r = loop_run(v->loop, &err);
    vantage_failed(v, &err);
    (void)r;
}
