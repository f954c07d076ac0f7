/* The warden process. What it guarantees is in warden.h.
 *
 * The runner speaks in lines of JSON over a stream socket (a line may be longer than any buffer of the
 * kernel); what must have been heard is answered with one byte, which the runner waits for.
 *
 * It shares nothing with the runner but the socket pair, a pidfd of the runner and the folder of
 * the run. It does not use the event loop: fewer parts to fail in the process that must not.
 */
#include "sim/drill/warden.h"

#include "injectors/injector.h"
#include "injectors/journal.h"

#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/base/text.h"
#include "sim/drill/compare.h"
#include "sim/record/record.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define WARDEN_HOSTS 512 /* made by others, of which it holds descriptors */
#define WARDEN_CHUNK 65536
#define WARDEN_HEARD 'k' /* its answer */
/* Inits die with the runner; this long the kernel may take to tear their namespaces down. */
#define WARDEN_PATIENCE (10 * NSEC_SEC)

struct warden {
    pid_t pid;
    int fd;
    nsec patience;
    struct err why; /* code not 0: it is lost */
};

/* The warden's own state, in its process. */
struct watchman {
    struct warden_spec spec;
    int fd, runner_pidfd, timer;
    json_t *labs;     /* lab_ids() of the lab that stands */
    json_t *faults;   /* {trial, step, text} in force */
    json_t *undone;   /* what the journal kept of them: {step: {ok, changes, error}} */
    struct buf heard; /* since the last end of a line */
    bool farewell;
};

pid_t warden_pid(const struct warden *w)
{
    return w->pid;
}

int warden_fd(const struct warden *w)
{
    return w->fd;
}

const char *warden_lost(const struct warden *w)
{
    return w && w->why.code ? w->why.text : NULL;
}

static int warden_lose(struct warden *w, int code)
{
    return err_set(&w->why, code, "%s: without it nothing more may be injected",
                   code == ETIMEDOUT ? "the warden does not answer" : "the warden has gone");
}

/* Until the socket is ready for `events`. */
static int warden_await(struct warden *w, short events, nsec end)
{
    struct pollfd p = {.fd = w->fd, .events = events};
    for (;;) {
        nsec left = end - nsec_now(CLOCK_MONOTONIC);
        if (left <= 0)
            return warden_lose(w, ETIMEDOUT);
        struct timespec ts = nsec_to_timespec(left);
        if (ppoll(&p, 1, &ts, NULL) > 0)
            return 0;
    }
}

static int warden_write(struct warden *w, const char *text, size_t n, nsec end)
{
    while (n) {
        ssize_t sent = send(w->fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            text += sent;
            n -= (size_t)sent;
        } else if (errno != EAGAIN && errno != EINTR) {
            return warden_lose(w, EPIPE);
        } else if (warden_await(w, POLLOUT, end) < 0) {
            return -w->why.code;
        }
    }
    return 0;
}

static int warden_answer(struct warden *w, nsec end)
{
    char c;
    for (;;) {
        if (warden_await(w, POLLIN, end) < 0)
            return -w->why.code;
        ssize_t n = recv(w->fd, &c, 1, MSG_DONTWAIT);
        if (n == 1)
            return 0;
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            return warden_lose(w, EPIPE);
    }
}

/* The whole of it, and `heard`: its answer. Takes msg. */
static int warden_tell(struct warden *w, json_t *msg, bool heard, struct err *err)
{
    AUTO_JSON *m = msg;
    if (!w)
        return 0;
    AUTO_BUF text = BUF_INIT;
    jsonx_dump(m, &text);
    buf_addc(&text, '\n');
    nsec end = nsec_add(nsec_now(CLOCK_MONOTONIC), w->patience);
    if (!w->why.code && warden_write(w, text.text, text.len, end) == 0 && heard)
        warden_answer(w, end);
    if (w->why.code && err)
        *err = w->why;
    return -w->why.code;
}

void warden_beat(struct warden *w)
{
    static const char beat[] = "{\"m\":\"beat\"}\n";
    if (!w || w->why.code)
        return;
    /* No room: it is only slow, and has enough to hear. A part of a beat must be made whole. */
    ssize_t n = send(w->fd, beat, strlen(beat), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
        warden_write(w, beat + n, strlen(beat) - (size_t)n,
                     nsec_add(nsec_now(CLOCK_MONOTONIC), w->patience));
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        warden_lose(w, EPIPE);
}

int warden_busy(struct warden *w, nsec how_long, struct err *err)
{
    return warden_tell(w, json_pack("{s:s,s:I}", "m", "busy", "ns", (json_int_t)how_long), false,
                       err);
}

int warden_lab(struct warden *w, json_t *ids, struct err *err)
{
    return warden_tell(w, json_pack("{s:s,s:O*}", "m", "lab", "ids", ids), true, err);
}

int warden_fault(struct warden *w, int64_t trial, const char *step, const char *text, bool in_force,
                 struct err *err)
{
    return warden_tell(w,
                       json_pack("{s:s,s:I,s:s,s:s,s:b}", "m", "fault", "trial", (json_int_t)trial,
                                 "step", step, "text", text, "in_force", in_force),
                       true, err);
}

int warden_touch(struct warden *w, const json_t *touches, struct err *err)
{
    if (!json_array_size(touches))
        return 0;
    return warden_tell(w, json_pack("{s:s,s:O}", "m", "touch", "touches", touches), true, err);
}

/* ---- in the warden's process ---- */

static void watchman_alarm(struct watchman *m, nsec in)
{
    struct itimerspec its = {.it_value = nsec_to_timespec(in)};
    timerfd_settime(m->timer, 0, &its, NULL);
}

static void watchman_fault(struct watchman *m, const json_t *msg)
{
    const char *step = jsonx_str(msg, "step", "");
    if (jsonx_bool(msg, "in_force", false)) {
        json_array_append(m->faults, (json_t *)(uintptr_t)msg);
        return;
    }
    for (size_t i = json_array_size(m->faults); i-- > 0;)
        if (!strcmp(jsonx_str(json_array_get(m->faults, i), "step", ""), step))
            json_array_remove(m->faults, i);
}

static void watchman_hear(struct watchman *m, const char *text, size_t n)
{
    AUTO_JSON *msg = NULL;
    if (jsonx_parse(text, n, "runner", &msg, NULL) < 0)
        return; /* no answer: the runner will not rely on it */
    const char *what = jsonx_str(msg, "m", "");
    nsec deadline = m->spec.deadline;
    bool answer = true;
    if (!strcmp(what, "fault")) {
        watchman_fault(m, msg);
    } else if (!strcmp(what, "touch")) {
        compare_touch(m->spec.before, json_object_get(msg, "touches"));
    } else if (!strcmp(what, "lab")) {
        json_array_clear(m->labs);
        json_array_extend(m->labs, json_object_get(msg, "ids"));
    } else {
        answer = false;
        m->farewell = m->farewell || !strcmp(what, "bye");
        if (!strcmp(what, "busy"))
            deadline = nsec_add(deadline, jsonx_int(msg, "ns", 0));
    }
    static const char heard = WARDEN_HEARD;
    if (answer)
        (void)!send(m->fd, &heard, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    watchman_alarm(m, deadline);
}

/* Every line that is whole; what the runner had not said to its end when it died is nothing. */
static void watchman_hear_lines(struct watchman *m, const char *text, size_t n)
{
    for (const char *end; n && (end = memchr(text, '\n', n));) {
        buf_add(&m->heard, text, (size_t)(end - text));
        watchman_hear(m, buf_text(&m->heard), m->heard.len);
        buf_clear(&m->heard);
        n -= (size_t)(end + 1 - text);
        text = end + 1;
    }
    buf_add(&m->heard, text, n);
}

/* Until the runner says goodbye (true), or must be taken to have failed: the reason. */
static bool watchman_watch(struct watchman *m, const char **ret_reason)
{
    static char text[WARDEN_CHUNK]; /* this process has but one watchman */
    bool late = false;
    watchman_alarm(m, m->spec.deadline);
    while (!m->farewell) {
        struct pollfd p[] = {{.fd = m->fd, .events = POLLIN}, {.fd = m->timer, .events = POLLIN}};
        if (poll(p, 2, -1) < 0)
            continue;
        if (p[0].revents) {
            ssize_t n = recv(m->fd, text, sizeof text, MSG_DONTWAIT);
            if (n > 0) {
                late = false;
                watchman_hear_lines(m, text, (size_t)n);
                continue;
            }
            if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
                *ret_reason = "the runner died";
                return false;
            }
        }
        if (p[1].revents) {
            /* After a suspend both wake together: the runner gets a second to show itself. */
            if (late) {
                *ret_reason = "the runner gave no sign of life within its deadline";
                return false;
            }
            late = true;
            uint64_t ticks;
            (void)!read(m->timer, &ticks, sizeof ticks);
            watchman_alarm(m, NSEC_SEC);
        }
    }
    return true;
}

/* Nobody but us writes from here on. */
static void watchman_fence(struct watchman *m)
{
    syscall(SYS_pidfd_send_signal, m->runner_pidfd, SIGKILL, NULL, 0);
    struct pollfd p = {.fd = m->runner_pidfd, .events = POLLIN};
    while (poll(&p, 1, -1) < 0)
        ;
}

/* Waits until nothing of the lab is left; after half of the patience it helps with SIGKILL. */
static void watchman_lab_gone(struct watchman *m, json_t *left)
{
    nsec start = nsec_now(CLOCK_MONOTONIC);
    for (;;) {
        json_array_clear(left);
        compare_processes(m->labs, left);
        nsec waited = nsec_now(CLOCK_MONOTONIC) - start;
        if (!json_array_size(left) || waited > WARDEN_PATIENCE)
            return;
        if (waited > WARDEN_PATIENCE / 2)
            compare_kill_processes(m->labs);
        poll(NULL, 0, 20);
    }
}

/* Killed after its last line: there is nothing to add. */
static bool watchman_had_ended(const struct watchman *m)
{
    AUTO_JSON *events = NULL;
    struct record_head head;
    size_t torn;
    if (record_read(m->spec.dirfd, m->spec.record, &events, &head, &torn, NULL) < 0)
        return false;
    const json_t *last = json_array_get(events, json_array_size(events) - 1);
    return !torn && !strcmp(jsonx_str(last, "kind", ""), "run-end");
}

static void watchman_record(struct watchman *m, const char *reason, struct span at, json_t *left,
                            json_t *others)
{
    CLEANUP(record_free_p) struct record *r = NULL;
    size_t cut = 0;
    struct err err = ERR_INIT;
    int rc = -EAGAIN;
    /* Processes forked by the runner may hold its lock for the moment that their death takes. */
    for (int i = 0; i < 100 && rc == -EAGAIN; i++) {
        rc = record_resume(m->spec.dirfd, m->spec.record, m->spec.origin, &r, &cut, &err);
        if (rc == -EAGAIN)
            poll(NULL, 0, 20);
    }
    if (rc < 0)
        return;
    nsec now = nsec_now(CLOCK_MONOTONIC);
    if (cut) {
        char detail[80];
        snprintf(detail, sizeof detail, "%zu bytes of a torn last line were cut", cut);
        record_write(r, "trouble", now,
                     json_pack("{s:s,s:s}", "what", "record-cut", "detail", detail), NULL);
    }
    record_write(r, "stop", now, json_pack("{s:s,s:s}", "reason", "runner-lost", "detail", reason),
                 NULL);
    size_t i;
    json_t *f;
    json_array_foreach (m->faults, i, f) {
        const json_t *kept = json_object_get(m->undone, jsonx_str(f, "step", ""));
        json_t *changes =
            kept ? json_incref(json_object_get(kept, "changes"))
                 : json_pack("[s]", "the lab and every fault in it ended with its processes");
        record_write(r, "undo", now,
                     json_pack("{s:I,s:s,s:s,s:o,s:b,s:o,s:o*}", "trial",
                               (json_int_t)jsonx_int(f, "trial", 0), "step",
                               jsonx_str(f, "step", ""), "cause", "warden", "at",
                               record_new_span(r, at), "ok", jsonx_bool(kept, "ok", true),
                               "changes", changes, "error",
                               jsonx_new_text(jsonx_str(kept, "error", NULL))),
                     NULL);
    }
    bool clean = !json_array_size(left);
    json_t *checked = json_pack("[s,s]", "processes of the lab", "the journal");
    compare_words(m->spec.before, checked);
    record_write(r, "clean", now,
                 json_pack("{s:b,s:o,s:O,s:O}", "clean", clean, "checked", checked, "left", left,
                           "others", others),
                 NULL);
    char wall[NSEC_TEXT_MAX];
    record_write(r, "run-end", now,
                 json_pack("{s:s,s:s,s:s,s:s}", "status", "aborted", "reason", reason, "wall",
                           nsec_iso(nsec_now(CLOCK_REALTIME), wall), "by", "warden"),
                 NULL);
    record_sync(r, NULL);
}

struct watchman_undoing {
    struct watchman *m;
    json_t *left;
};

static void watchman_undone(const struct journal_undone *u, void *data)
{
    struct watchman_undoing *w = data;
    AUTO_BUF text = BUF_INIT;
    bool ok = u->outcome != JOURNAL_FAILED;
    bool this_run = w->m->spec.run && !strcmp(u->run, w->m->spec.run);
    if (u->step && this_run) {
        json_t *changes =
            u->result && u->result->changes ? json_incref(u->result->changes) : json_array();
        if (ok && !json_array_size(changes) && u->text)
            json_array_append_new(changes, jsonx_new_text(u->text));
        json_t *one = json_pack("{s:b,s:o}", "ok", ok, "changes", changes);
        if (!ok)
            json_object_set_new(one, "error", jsonx_new_text(u->text));
        json_object_set_new(w->m->undone, u->step, one);
        compare_touch(w->m->spec.before, u->touches);
    }
    if (ok)
        return;
    buf_printf(&text, "step %s, %s: %s", u->step ? u->step : "?", u->injector ? u->injector : "?",
               u->text);
    json_array_append_new(w->left, jsonx_new_text(buf_text(&text)));
}

/* What the dead runner changed outside of its lab: its journal's lock went with it. */
static void watchman_journal(struct watchman *m, json_t *left)
{
    struct journal_world world = {.actions = injector_actions};
    struct watchman_undoing undoing = {.m = m, .left = left};
    struct err err = ERR_INIT;
    size_t failed = 0;
    if (journal_undo_all(m->spec.journal_folder, &world, watchman_undone, &undoing, &failed, &err) <
        0)
        json_array_append_new(left, jsonx_new_text(err.text));
}

static void watchman_main(struct watchman *m)
{
    const char *reason = NULL;
    if (watchman_watch(m, &reason))
        return;
    nsec first = nsec_now(CLOCK_MONOTONIC);
    watchman_fence(m);
    AUTO_JSON *left = json_array();
    watchman_lab_gone(m, left);
    watchman_journal(m, left);
    struct span at = {first, nsec_now(CLOCK_MONOTONIC)};
    AUTO_JSON *others = json_array();
    compare_tell(m->spec.before, left, others);
    if (!watchman_had_ended(m))
        watchman_record(m, reason, at, left, others);
    if (m->spec.after)
        m->spec.after(m->spec.data);
}

static void watchman_signals(void)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT, SIGTSTP};
    sigset_t none;
    sigemptyset(&none);
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        signal(ignored[i], SIG_IGN);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The warden keeps its three descriptors, the standard ones, and those of hosts that others made (with
 * their locks: until all is undone nobody else may begin); what else the runner had open
 * (sockets that hold a lab alive!) must not live on in it. */
static void watchman_close_others(const struct watchman *m)
{
    int keep[4 + 4 * WARDEN_HOSTS] = {m->fd, m->runner_pidfd, m->timer, m->spec.dirfd};
    size_t n_keep = 4 + compare_fds(m->spec.before, keep + 4, 4 * WARDEN_HOSTS);
    int last = 2;
    for (;;) {
        int next = -1;
        for (size_t i = 0; i < n_keep; i++)
            if (keep[i] > last && (next < 0 || keep[i] < next))
                next = keep[i];
        if (next < 0) {
            close_range((unsigned)last + 1, ~0u, 0);
            return;
        }
        if (next > last + 1)
            close_range((unsigned)last + 1, (unsigned)next - 1, 0);
        last = next;
    }
}

int warden_start(const struct warden_spec *spec, struct warden **ret, struct err *err)
{
    int fds[2];
    CLEANUP(warden_free_p) struct warden *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    w->fd = -1;
    w->patience = spec->patience;
    AUTO_CLOSE int runner = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (runner < 0)
        return err_errno(err, errno, "cannot open a pidfd of this process");
    AUTO_CLOSE int timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (timer < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return err_errno(err, errno, "cannot start the warden");
    w->fd = fds[0];
    w->pid = fork();
    if (w->pid < 0) {
        close(fds[1]);
        return err_errno(err, errno, "cannot start the warden");
    }
    if (w->pid == 0) {
        setsid();
        prctl(PR_SET_NAME, "blackstart-ward");
        watchman_signals();
        struct watchman m = {.spec = *spec,
                             .fd = fds[1],
                             .runner_pidfd = runner,
                             .timer = timer,
                             .labs = json_array(),
                             .faults = json_array(),
                             .undone = json_object()};
        watchman_close_others(&m);
        watchman_main(&m);
        _exit(0);
    }
    close(fds[1]);
    *ret = steal_ptr(w);
    return 0;
}

struct warden *warden_end(struct warden *w)
{
    if (!w)
        return NULL;
    /* A farewell that is lost would end in our own SIGKILL. One who does not listen any more could
     * only write down that we died. */
    if (warden_tell(w, json_pack("{s:s}", "m", "bye"), false, NULL) < 0)
        kill(w->pid, SIGKILL);
    while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    w->pid = 0;
    return warden_free(w);
}

struct warden *warden_free(struct warden *w)
{
    if (!w)
        return NULL;
    if (w->fd >= 0)
        close(w->fd);
    free(w);
    return NULL;
}
