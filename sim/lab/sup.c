/* A supervisor, see sup.h. Everything after fork(2) here runs in the supervisor or its child, which
 * leave by _exit(2) alone: they share the runner's memory image and must not run its exit handlers.
 */
#include "sim/lab/sup.h"

#include "sim/attach/procs.h"
#include "sim/base/cleanup.h"
#include "sim/lab/timens.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

struct sup {
    const struct sup_spec *spec;
    pid_t main;          /* 0: the command ended */
    nsec started, alive; /* alive: last seen so */
    bool told;           /* its end was reported */
    int status;          /* of the last process that was reaped */
};

struct sup_begun { /* what a supervisor tells of its first start */
    int code;
    pid_t main;
};

static void sup_tell(struct sup *s, int status, bool timed_out)
{
    struct sup_event e = {
        .id = s->spec->id,
        .is_run = s->spec->is_run,
        .timed_out = timed_out,
        .code = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
        .signo = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
        .at = {s->alive, nsec_now(CLOCK_MONOTONIC)},
    };
    if (s->told)
        return;
    s->told = true;
    while (write(s->spec->events_fd, &e, sizeof e) < 0 && errno == EINTR)
        ;
}

static _Noreturn void sup_exec(const struct sup_spec *spec, int error_fd)
{
    sigset_t none;
    sigemptyset(&none);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    int code = 0, null = open("/dev/null", O_RDONLY);
    if (chdir(spec->dir) == 0 && dup2(null, STDIN_FILENO) >= 0 &&
        dup2(spec->out_fd, STDOUT_FILENO) >= 0 && dup2(spec->out_fd, STDERR_FILENO) >= 0) {
        close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
        code = timens_enter();
        if (!code)
            execve(spec->path, spec->argv, spec->env);
    }
    code = code ? code : errno;
    (void)!write(error_fd, &code, sizeof code);
    _exit(127);
}

/* Forks and executes the command; 0 or the errno of exec. */
static int sup_launch(struct sup *s)
{
    int pipe_fds[2], code = 0;
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return errno;
    s->told = false;
    s->started = nsec_now(CLOCK_MONOTONIC);
    s->main = fork();
    if (s->main == 0)
        sup_exec(s->spec, pipe_fds[1]);
    close(pipe_fds[1]);
    ssize_t n;
    if (s->main < 0)
        code = errno;
    else
        while ((n = read(pipe_fds[0], &code, sizeof code)) < 0 && errno == EINTR)
            ;
    close(pipe_fds[0]);
    if (s->main < 0)
        s->main = 0;
    s->alive = nsec_now(CLOCK_MONOTONIC);
    return code;
}

/* Kills every descendant, until a scan finds none alive. */
static void sup_kill_tree(void)
{
    pid_t self = getpid();
    for (int round = 0; round < 100; round++) {
        struct procs all = {0};
        bool any = false;
        if (procs_scan(&all, NULL) < 0)
            return;
        for (size_t i = 0; i < all.n; i++) {
            const struct proc *p = &all.items[i];
            if (p->pid == self || !procs_is_alive(p) || !procs_descends(&all, p->pid, self))
                continue;
            any = true;
            AUTO_CLOSE int pidfd = procs_pidfd(p);
            if (pidfd >= 0)
                pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
        }
        procs_done(&all);
        if (!any)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

/* Reaps what has ended. False when no child is left. */
static bool sup_reap(struct sup *s, bool timed_out)
{
    int status;
    for (;;) {
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == 0)
            return true;
        if (pid < 0)
            return errno != ECHILD;
        s->status = status;
        if (pid != s->main)
            continue;
        s->main = 0;
        /* Ended well with something left behind: it daemonised, and the unit goes on. */
        if (s->spec->is_run || status != 0)
            sup_tell(s, status, timed_out);
    }
}

/* One life of the command. */
static void sup_watch(struct sup *s)
{
    const struct sup_spec *spec = s->spec;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    bool timed_out = false;
    while (sup_reap(s, timed_out)) {
        if (s->main == 0 && (spec->is_run || (spec->restart && s->told)))
            return;
        nsec now = nsec_now(CLOCK_MONOTONIC);
        s->alive = now;
        struct timespec tick = nsec_to_timespec(SUP_RUN_TICK);
        if (spec->is_run && spec->timeout && !timed_out) {
            nsec left = nsec_sub(nsec_add(s->started, spec->timeout), now);
            if (left <= 0) {
                timed_out = true;
                sup_kill_tree();
                continue;
            }
            if (left < SUP_RUN_TICK)
                tick = nsec_to_timespec(left);
        }
        sigtimedwait(&set, NULL, spec->is_run ? &tick : NULL);
    }
    sup_tell(s, s->status, timed_out);
}

static _Noreturn void sup_main(const struct sup_spec *spec, int error_fd)
{
    struct sup s = {.spec = spec};
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_NAME, "bs-unit");
    setsid();
    struct sup_begun begun = {.code = sup_launch(&s)};
    begun.main = s.main;
    (void)!write(error_fd, &begun, sizeof begun);
    close(error_fd);
    if (begun.code)
        _exit(127);
    for (;;) {
        sup_watch(&s);
        if (!spec->restart)
            _exit(0);
        sup_kill_tree();
        while (waitpid(-1, NULL, 0) > 0)
            ;
        struct timespec pause_ = nsec_to_timespec(SUP_RESTART_PAUSE);
        nanosleep(&pause_, NULL);
        if (sup_launch(&s)) { /* the program is gone: as a shell tells it */
            sup_tell(&s, 127 << 8, false);
            _exit(127);
        }
    }
}

/* The supervisor keeps stdio and the two descriptors it writes to; not the agent's socket, whose
 * end-of-file must mean that the agent is gone. */
static void sup_keep_only(int a, int b, int c)
{
    int keep[3] = {a, b, c};
    for (int i = 0; i < 3; i++)
        for (int j = i + 1; j < 3; j++)
            if (keep[j] < keep[i]) {
                int t = keep[i];
                keep[i] = keep[j];
                keep[j] = t;
            }
    unsigned from = STDERR_FILENO + 1;
    for (int i = 0; i < 3; i++) {
        if ((unsigned)keep[i] > from)
            close_range(from, (unsigned)keep[i] - 1, 0);
        if ((unsigned)keep[i] >= from)
            from = (unsigned)keep[i] + 1;
    }
    close_range(from, ~0U, 0);
}

int sup_start(const struct sup_spec *spec, pid_t *ret_pid, pid_t *ret_main, struct span *ret_at,
              struct err *err)
{
    struct sup_begun begun = {0};
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return err_errno(err, errno, "cannot make a pipe");
    struct span at = {.lo = nsec_now(CLOCK_MONOTONIC)};
    pid_t pid = fork();
    if (pid == 0) {
        sup_keep_only(pipe_fds[1], spec->events_fd, spec->out_fd);
        sup_main(spec, pipe_fds[1]);
    }
    if (pid < 0)
        begun.code = errno;
    close(pipe_fds[1]);
    ssize_t n = 0;
    if (pid > 0)
        while ((n = read(pipe_fds[0], &begun, sizeof begun)) < 0 && errno == EINTR)
            ;
    close(pipe_fds[0]);
    at.hi = nsec_now(CLOCK_MONOTONIC);
    if (pid > 0 && n == 0)
        begun.code = ECHILD; /* the supervisor was killed before it could tell */
    if (begun.code)
        return err_errno(err, begun.code, "cannot start %s", spec->argv[0]);
    *ret_pid = pid;
    if (ret_main)
        *ret_main = begun.main;
    *ret_at = at;
    return 0;
}
