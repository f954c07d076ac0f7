/* The runner's end of a vantage process: starts it, hears it, ends it.
 *
 * The process is made by clone3(CLONE_NEWPID): pid 1 of a pid namespace of its own, in the network,
 * mount, UTS and IPC namespaces of the host. So a host that is killed takes no prober with it, and
 * a prober that is killed takes all its commands with it. It is forked, not executed: names are
 * looked up and certificates read inside the host, but the program need not be there. It enters the
 * mount namespace while it has one thread (setns(2)).
 */
#include "sim/base/file.h"
#include "sim/watch/place.h"
#include "sim/watch/vantage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define READY_WITHIN 10000 /* ms, for entering namespaces and opening probes */
#define MESSAGES_AT_ONCE 256
#define ENV_MAX 1000000

struct watch {
    const struct scenario *scenario;
    const char *host;
    struct loop *loop;
    struct watch_handlers handlers;
    pid_t pid;
    int pidfd, sock;
    struct loop_io io;
    bool quiesced, idle, lost;
};

/* --- In the vantage process ------------------------------------------------------------------ */

static __attribute__((noreturn)) void enter_failed(int sock, const struct err *err)
{
    struct letter w = {.kind = LETTER_FAILED, .n = (uint64_t)err->code};
    w.text_n = (uint32_t)snprintf(w.text, sizeof w.text, "%s", err->text);
    if (w.text_n >= sizeof w.text)
        w.text_n = sizeof w.text - 1;
    send(sock, &w, offsetof(struct letter, text) + w.text_n + 1, MSG_NOSIGNAL);
    _exit(1);
}

/* /proc of the host shows the host's processes, among which we and our commands are not; programs
 * that look at /proc/self need one that has them. A copy of the mount namespace keeps that to us.
 */
static void enter_own_proc(void)
{
    if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0)
        (void)!mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

static int enter(const struct watch_place *place, struct err *err)
{
    if (place->pidfd >= 0 &&
        setns(place->pidfd, CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC) < 0)
        return err_errno(err, errno, "cannot enter the namespaces of host %s", place->host);
    if (place->netns_fd > 0 && setns(place->netns_fd, CLONE_NEWNET) < 0)
        return err_errno(err, errno, "cannot enter the network namespace of host %s", place->host);
    if (place->mounts_fd > 0 && setns(place->mounts_fd, CLONE_NEWNS) < 0)
        return err_errno(err, errno, "cannot enter the mount namespace of host %s", place->host);
    if (place->own_pids)
        enter_own_proc();
    if (place->dir_fd >= 0 && fchdir(place->dir_fd) < 0)
        return err_errno(err, errno, "cannot enter the working directory of host %s", place->host);
    return 0;
}

/* NULL when there is none: then commands inherit ours. */
static char **read_env(const char *path)
{
    char *text = NULL;
    size_t n = 0, vars = 0, at = 0;
    if (!path || file_read(AT_FDCWD, path, ENV_MAX, &text, &n, NULL) < 0)
        return NULL;
    for (size_t i = 0; i < n; i++)
        vars += text[i] == '\0';
    char **env = calloc(vars + 2, sizeof *env);
    if (!env)
        abort();
    for (size_t i = 0; i < n; i += strlen(text + i) + 1)
        env[at++] = text + i;
    return env;
}

static __attribute__((noreturn)) void vantage_main(const struct scenario *s,
                                                   const struct watch_place *place,
                                                   const nsec *first, int pcap_fd, int sock)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a parent that is gone already shows as end of file */
    prctl(PR_SET_NAME, "bs-vantage");
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL); /* Ctrl-C is the runner's; commands get an empty mask */
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
    }
    int keep[] = {sock,
                  pcap_fd,
                  place->pidfd,
                  place->dir_fd,
                  place->netns_fd,
                  place->mounts_fd,
                  place->source_fd};
    file_close_others(keep, ARRAY_SIZE(keep));
    struct err err = ERR_INIT;
    struct vantage v = {
        .scenario = s,
        .host = place->host,
        .sock = sock,
        .command_fd = fcntl(sock, F_DUPFD_CLOEXEC, 3),
        .pcap_fd = pcap_fd,
        .own_pids = place->own_pids,
        .macs = place->macs,
        .macs_data = place->macs_data,
    };
    if (vantage_collect(&v, first, place->source_fd, &err) < 0 || enter(place, &err) < 0)
        enter_failed(sock, &err);
    if (place->source_fd > STDERR_FILENO)
        close(place->source_fd);
    v.env = read_env(place->env_file);
    vantage_run(&v);
}

/* --- In the runner --------------------------------------------------------------------------- */

static void watch_trouble(struct watch *w, const char *what, const char *detail)
{
    if (w->handlers.trouble)
        w->handlers.trouble(what, *w->host ? w->host : NULL, detail, w->handlers.data);
}

static void heard_obs(struct watch *w, const struct letter *m)
{
    if (m->index >= w->scenario->probes.n || m->why > WHY_ERROR)
        return;
    struct watch_obs o = {
        .probe = w->scenario->probes.items[m->index],
        .n = m->n,
        .scheduled = m->a,
        .start = m->b,
        .end = m->c,
        .ok = m->why == WHY_GOOD,
        .why = why_words[m->why],
        .detail = m->text_n ? m->text : NULL,
    };
    w->handlers.obs(&o, w->handlers.data);
}

static void heard_alarm(struct watch *w, const struct letter *m)
{
    if (m->index >= w->scenario->alarms.n)
        return;
    struct watch_alarm a = {
        .alarm = w->scenario->alarms.items[m->index],
        .onset = m->flag,
        .silence = m->kind == LETTER_SILENCE,
        .at = {m->a, m->b},
        .starts_at = m->kind == LETTER_ALARM ? m->c : NSEC_UNSET,
        .detail = m->text_n ? m->text : NULL,
    };
    w->handlers.alarm(&a, w->handlers.data);
}

static void heard(struct watch *w, const struct letter *m)
{
    switch (m->kind) {
    case LETTER_OBS:
        heard_obs(w, m);
        break;
    case LETTER_ALARM:
    case LETTER_SILENCE:
        heard_alarm(w, m);
        break;
    case LETTER_TROUBLE:
        watch_trouble(w, m->text, m->text + strlen(m->text) + 1);
        break;
    case LETTER_IDLE:
        w->idle = true;
        break;
    case LETTER_FAILED:
        watch_trouble(w, "prober-lost", m->text);
        w->lost = true;
        break;
    default:
        break;
    }
}

/* The handlers may not free the watch. */
static void watch_ready(struct loop_io *io, uint32_t events, void *data)
{
    (void)io, (void)events;
    struct watch *w = data;
    struct letter m;
    for (int i = 0; i < MESSAGES_AT_ONCE; i++) {
        int r = letter_recv(w->sock, &m);
        if (r == -EAGAIN)
            return;
        if (r != 0) {
            loop_io_remove(w->loop, &w->io);
            if (!w->lost)
                watch_trouble(w, "prober-lost", "the prober's process has ended");
            w->lost = true;
            return;
        }
        heard(w, &m);
    }
}

/* For errors. */
static const char *place_words(const char *host, char words[80])
{
    snprintf(words, 80, *host ? "host %s" : "this machine", host);
    return words;
}

static int watch_fork(struct watch *w, const struct watch_place *place, const nsec *first,
                      int pcap_fd, struct err *err)
{
    int ends[2];
    char words[80];
    place_words(place->host, words);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return err_errno(err, errno, "cannot make a socket pair for the probes of %s", words);
    w->sock = ends[0];
    AUTO_CLOSE int theirs = ends[1];
    struct clone_args args = {
        .flags = CLONE_PIDFD | (place->own_pids ? (uint64_t)CLONE_NEWPID : 0),
        .pidfd = (uint64_t)(uintptr_t)&w->pidfd,
        .exit_signal = SIGCHLD,
    };
    fflush(NULL);
    /* Not fork(3): it knows no namespaces. What it would do besides matters to threads only. */
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid < 0)
        return err_errno(err, errno, "cannot start the prober of %s", words);
    if (pid == 0)
        vantage_main(w->scenario, place, first, pcap_fd, theirs);
    w->pid = (pid_t)pid;
    return 0;
}

/* For LETTER_READY: whatever cannot be probed is an error of watch_start(), before anything runs.
 */
static int watch_await_ready(struct watch *w, struct err *err)
{
    struct pollfd p = {.fd = w->sock, .events = POLLIN};
    struct letter m;
    char words[80];
    int r;
    place_words(w->host, words);
    while ((r = letter_recv(w->sock, &m)) == -EAGAIN || (r == 0 && m.kind == LETTER_TROUBLE)) {
        if (r == 0)
            heard(w, &m);
        else if (poll(&p, 1, READY_WITHIN) == 0)
            return err_set(err, ETIMEDOUT, "the prober of %s was not ready within %d s", words,
                           READY_WITHIN / 1000);
    }
    if (r != 0)
        return err_set(err, ECHILD, "the prober of %s ended at once", words);
    if (m.kind == LETTER_FAILED)
        return err_set(err, m.n ? (int)m.n : EIO, "%s: %s", words, m.text);
    return 0;
}

static bool watch_is_needed(const struct scenario *s, const char *host)
{
    for (size_t i = 0; i < s->probes.n; i++) {
        const struct probe *p = s->probes.items[i];
        if (strcmp(p->host, host) == 0)
            return true;
    }
    for (size_t i = 0; i < s->alarms.n; i++) {
        const struct alarm *a = s->alarms.items[i];
        const struct alarm_kind *kind = a->kind->impl;
        const char *where = kind->host(a->params);
        if (where && strcmp(where, host) == 0)
            return true;
    }
    return false;
}

int watch_start_at(const struct scenario *s, const struct watch_place *place, struct loop *loop,
                   const nsec *first, int pcap_fd, const struct watch_handlers *handlers,
                   struct watch **ret, struct err *err)
{
    if (!watch_is_needed(s, place->host)) {
        *ret = NULL;
        return 0;
    }
    CLEANUP(watch_free_p) struct watch *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    *w = (struct watch){.scenario = s,
                        .host = place->host,
                        .loop = loop,
                        .handlers = *handlers,
                        .pidfd = -1,
                        .sock = -1,
                        .io = {.fn = watch_ready, .data = w}};
    int r = watch_fork(w, place, first, pcap_fd, err);
    if (r == 0)
        r = watch_await_ready(w, err);
    if (r == 0)
        r = loop_io_add(loop, &w->io, w->sock, EPOLLIN, err);
    if (r < 0)
        return r;
    *ret = steal_ptr(w);
    return 0;
}

struct watch *watch_free(struct watch *w)
{
    if (!w)
        return NULL;
    loop_io_remove(w->loop, &w->io);
    if (w->pidfd >= 0) {
        siginfo_t info;
        pidfd_send_signal(w->pidfd, SIGKILL, NULL, 0);
        while (waitid(P_PIDFD, (id_t)w->pidfd, &info, WEXITED) < 0 && errno == EINTR)
            ;
        close(w->pidfd);
    }
    if (w->sock >= 0)
        close(w->sock);
    free(w);
    return NULL;
}

void watch_quiesce(struct watch *w)
{
    if (w->quiesced)
        return;
    w->quiesced = true;
    if (send(w->sock, "q", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        w->lost = true;
}

bool watch_is_idle(const struct watch *w)
{
    return w->lost || (w->quiesced && w->idle);
}
