/* Child processes.
 *
 * The child reports through a CLOEXEC pipe what failed before it became the program; end of file
 * means that exec worked. So child_start() waits for the exec (microseconds), and a missing program
 * is its error. What the child runs before exec is async-signal-safe: the parent may have threads.
 *
 * The end of a child is its pidfd becoming readable. Then what the pipe holds is taken once more,
 * the process is reaped, every source is removed, and on_exit is called last: it may free the
 * child.
 */
#include "sim/loop/child.h"

#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/base/oom.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define OUTPUT_MAX_DEFAULT 65536
#define RUN_OUTPUT_MAX (64 << 20)
#define LAST_READS 64 /* chunks taken from the pipe at the end: a daemon may write for ever */

enum stage { STAGE_FDS, STAGE_PREPARE, STAGE_DIR, STAGE_EXEC };
struct failure {
    int code;
    enum stage stage;
};

struct child {
    struct loop *loop;
    pid_t pid; /* 0 once reaped */
    int pidfd, out_fd;
    struct loop_io exit_io, out_io;
    struct loop_timer timer;
    struct buf output;
    size_t output_max;
    bool cut, timed_out;
    void (*on_exit)(struct child *c, const struct child_exit *e, void *data);
    void *data;
};

/* --- in the child -------------------------------------------------------------------------- */

static __attribute__((noreturn)) void child_fail(int error_fd, int code, enum stage stage)
{
    struct failure f = {code, stage};
    (void)!write(error_fd, &f, sizeof f);
    _exit(127);
}

static void child_reset_signals(void)
{
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    for (int signo = 1; signo < NSIG; signo++)
        sigaction(signo, &dfl, NULL); /* fails for SIGKILL, SIGSTOP and libc's own: as it should */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Copies first, to numbers no standard descriptor has: any of them may be 0, 1 or 2 itself. */
static int child_set_fds(int in, int out, int err)
{
    int high[3] = {fcntl(in, F_DUPFD_CLOEXEC, 3), fcntl(out, F_DUPFD_CLOEXEC, 3),
                   fcntl(err, F_DUPFD_CLOEXEC, 3)};
    for (int i = 0; i < 3; i++)
        if (high[i] < 0 || dup2(high[i], i) < 0)
            return errno;
    return 0;
}

static __attribute__((noreturn)) void child_main(const struct child_spec *spec, int error_fd,
                                                 int in, int out, int null, pid_t parent)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pid_t now = getppid();
    if (now != parent &&
        now != 0) /* it died before the line above; 0: it is in another pid namespace */
        _exit(127);
    error_fd = fcntl(error_fd, F_DUPFD_CLOEXEC, 3);
    int code = child_set_fds(in, out, spec->discard_stderr ? null : out);
    if (code)
        child_fail(error_fd, code, STAGE_FDS);
    /* Ours are CLOEXEC already; what libraries or our own parent left open is not our word. */
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    child_reset_signals();
    oom_ordinary();
    if (spec->prepare) {
        code = spec->prepare(spec->prepare_data);
        if (code)
            child_fail(error_fd, code < 0 ? -code : code, STAGE_PREPARE);
    }
    if (spec->dir && chdir(spec->dir) < 0)
        child_fail(error_fd, errno, STAGE_DIR);
    if (spec->env)
        environ = (char **)(uintptr_t)spec->env; /* before exec: its PATH is the one that counts */
    execvp(spec->argv[0], (char *const *)(uintptr_t)spec->argv);
    child_fail(error_fd, errno, STAGE_EXEC);
}

/* --- in the parent ------------------------------------------------------------------------- */

static int failure_words(const struct child_spec *spec, const struct failure *f, struct err *err)
{
    const char *name = spec->argv[0];
    switch (f->stage) {
    case STAGE_PREPARE:
        return err_errno(err, f->code, "cannot prepare to start %s", name);
    case STAGE_DIR:
        return err_errno(err, f->code, "cannot start %s in the folder %s", name, spec->dir);
    case STAGE_EXEC:
        if (f->code == ENOENT)
            return err_set(err, ENOENT,
                           "cannot start %s: there is no such program%s; install it, or give its "
                           "whole path",
                           name, strchr(name, '/') ? "" : " in PATH");
        return err_errno(err, f->code, "cannot start %s", name);
    case STAGE_FDS:
    default:
        return err_errno(err, f->code, "cannot set up the descriptors of %s", name);
    }
}

static void child_reap(struct child *c, siginfo_t *info)
{
    *info = (siginfo_t){0};
    while (waitid(P_PID, (id_t)c->pid, info, WEXITED) < 0 && errno == EINTR)
        ;
    c->pid = 0;
}

static void child_kill(struct child *c)
{
    kill(-c->pid, SIGKILL);   /* its group; the pid is ours until it is reaped */
    child_signal(c, SIGKILL); /* and itself, should it have left the group */
}

static void child_detach(struct child *c)
{
    loop_io_remove(c->loop, &c->exit_io);
    loop_io_remove(c->loop, &c->out_io);
    loop_timer_cancel(c->loop, &c->timer);
    if (c->out_fd >= 0)
        close(c->out_fd);
    c->out_fd = -1;
}

/* False at the end of the pipe or when nothing is there now. */
static bool child_read(struct child *c)
{
    char chunk[16384];
    ssize_t n = read(c->out_fd, chunk, sizeof chunk);
    if (n < 0 && errno == EINTR)
        return true;
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0) {
        loop_io_remove(c->loop, &c->out_io);
        return false;
    }
    size_t room = c->output_max - c->output.len;
    buf_add(&c->output, chunk, (size_t)n < room ? (size_t)n : room);
    c->cut |= (size_t)n > room;
    return true;
}

static void child_output(struct loop_io *io, uint32_t events, void *data)
{
    (void)io, (void)events;
    child_read(data);
}

static void child_timeout(struct loop_timer *t, void *data)
{
    (void)t;
    struct child *c = data;
    c->timed_out = true;
    child_kill(c);
}

static void child_exited(struct loop_io *io, uint32_t events, void *data)
{
    (void)io, (void)events;
    struct child *c = data;
    for (int i = 0; i < LAST_READS && c->out_io.added && child_read(c); i++)
        ;
    siginfo_t info;
    child_reap(c, &info);
    child_detach(c);
    bool exited = info.si_code == CLD_EXITED;
    struct child_exit e = {
        .at = loop_now(c->loop),
        .code = exited ? info.si_status : -1,
        .signo = exited ? 0 : info.si_status,
        .timed_out = c->timed_out,
        .output = buf_text(&c->output),
        .output_n = c->output.len,
        .output_cut = c->cut,
    };
    c->on_exit(c, &e, c->data);
}

/* Forks and waits until the program runs. Takes nothing over; *ret_pid is set on success only. */
static int child_spawn(const struct child_spec *spec, int in, int out, int null, pid_t *ret_pid,
                       struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_errno(err, errno, "cannot make a pipe to start %s", spec->argv[0]);
    AUTO_CLOSE int error_read = ends[0];
    AUTO_CLOSE int error_write = ends[1];
    pid_t parent = getpid();
    /* No signal may find the child with our handlers and our signalfd's mask half replaced. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pid_t pid = fork();
    if (pid == 0)
        child_main(spec, error_write, in, out, null, parent);
    int code = errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (pid < 0)
        return err_errno(err, code, "cannot start %s", spec->argv[0]);
    close(steal_fd(&error_write));
    struct failure f;
    ssize_t n;
    while ((n = read(error_read, &f, sizeof f)) < 0 && errno == EINTR)
        ;
    if (n == (ssize_t)sizeof f) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        return failure_words(spec, &f, err);
    }
    *ret_pid = pid;
    return 0;
}

static int child_watch(struct child *c, const struct child_spec *spec, struct err *err)
{
    c->pidfd = pidfd_open(c->pid, 0);
    if (c->pidfd < 0)
        return err_errno(err, errno, "cannot follow the process of %s", spec->argv[0]);
    c->exit_io = (struct loop_io){.fn = child_exited, .data = c};
    c->out_io = (struct loop_io){.fn = child_output, .data = c};
    c->timer = (struct loop_timer){.fn = child_timeout, .data = c};
    int r = loop_io_add(c->loop, &c->exit_io, c->pidfd, EPOLLIN, err);
    if (r == 0 && c->out_fd >= 0)
        r = loop_io_add(c->loop, &c->out_io, c->out_fd, EPOLLIN, err);
    if (r == 0 && spec->timeout > 0)
        loop_timer_set(c->loop, &c->timer, nsec_add(loop_fresh(c->loop), spec->timeout));
    return r;
}

int child_start(struct loop *loop, const struct child_spec *spec, struct child **ret,
                struct err *err)
{
    int ends[2] = {-1, -1};
    AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return err_errno(err, errno, "cannot open /dev/null");
    if (spec->stdout_fd < 0 && pipe2(ends, O_CLOEXEC) < 0)
        return err_errno(err, errno, "cannot make a pipe for the output of %s", spec->argv[0]);
    AUTO_CLOSE int out_read = ends[0];
    AUTO_CLOSE int out_write = ends[1];
    if (out_read >= 0)
        fcntl(out_read, F_SETFL, O_NONBLOCK); /* our end only: the flag is the open file's */
    pid_t pid;
    int r = child_spawn(spec, spec->stdin_fd >= 0 ? spec->stdin_fd : null,
                        spec->stdout_fd >= 0 ? spec->stdout_fd : out_write, null, &pid, err);
    if (r < 0)
        return r;
    struct child *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    *c = (struct child){.loop = loop,
                        .pid = pid,
                        .pidfd = -1,
                        .out_fd = steal_fd(&out_read),
                        .output_max = spec->output_max ? spec->output_max : OUTPUT_MAX_DEFAULT,
                        .on_exit = spec->on_exit,
                        .data = spec->data};
    r = child_watch(c, spec, err);
    if (r < 0) {
        child_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

struct child *child_free(struct child *c)
{
    if (!c)
        return NULL;
    child_detach(c);
    if (c->pid) {
        siginfo_t info;
        child_kill(c);
        child_reap(c, &info);
    }
    if (c->pidfd >= 0)
        close(c->pidfd);
    buf_done(&c->output);
    free(c);
    return NULL;
}

pid_t child_pid(const struct child *c)
{
    return c->pid;
}

int child_signal(struct child *c, int signo)
{
    if (!c->pid)
        return -ESRCH;
    return pidfd_send_signal(c->pidfd, signo, NULL, 0) < 0 ? -errno : 0;
}

/* --- without a loop of the caller's -------------------------------------------------------- */

struct run {
    bool ended, timed_out, cut;
    int code;
    struct buf output;
};

static void run_ended(struct child *c, const struct child_exit *e, void *data)
{
    (void)c;
    struct run *run = data;
    run->ended = true;
    run->timed_out = e->timed_out;
    run->cut = e->output_cut;
    run->code = e->signo ? 128 + e->signo : e->code;
    buf_add(&run->output, e->output, e->output_n);
}

static int run_wait(const struct child_spec *spec, struct run *run, struct err *err)
{
    CLEANUP(loop_free_p) struct loop *loop = NULL;
    int r = loop_new(LOOP_REAL, &loop, err);
    if (r < 0)
        return r;
    CLEANUP(child_free_p) struct child *child = NULL; /* freed before the loop */
    r = child_start(loop, spec, &child, err);
    while (r == 0 && !run->ended)
        r = loop_turn(loop, NSEC_INF, err);
    return r;
}

int child_wait(const struct child_spec *asked, int *ret_code, char **ret_output, struct err *err)
{
    struct run run = {0};
    struct child_spec spec = *asked;
    spec.on_exit = run_ended;
    spec.data = &run;
    int r = run_wait(&spec, &run, err);
    AUTO_FREE char *output = buf_steal(&run.output);
    if (r < 0)
        return r;
    char limit[NSEC_TEXT_MAX];
    if (run.timed_out)
        return err_set(err, ETIMEDOUT, "%s did not end within %s and was killed", spec.argv[0],
                       nsec_text(spec.timeout, limit));
    if (run.cut)
        return err_set(err, EFBIG, "%s wrote more than %d MiB", spec.argv[0], RUN_OUTPUT_MAX >> 20);
    *ret_code = run.code;
    if (ret_output)
        *ret_output = steal_ptr(output);
    return 0;
}

int child_run(const char *const *argv, const char *input, nsec timeout, int *ret_code,
              char **ret_output, struct err *err)
{
    AUTO_CLOSE int in = -1;
    if (input) {
        /* A file in memory: no deadlock between writing its input and reading its output. */
        in = memfd_create("input", MFD_CLOEXEC);
        if (in < 0)
            return err_errno(err, errno, "cannot hold the input of %s", argv[0]);
        int r = file_write_all(in, input, strlen(input), err);
        if (r < 0)
            return r;
        lseek(in, 0, SEEK_SET);
    }
    struct child_spec spec = {.argv = argv,
                              .stdin_fd = in,
                              .stdout_fd = -1,
                              .output_max = RUN_OUTPUT_MAX,
                              .timeout = timeout};
    return child_wait(&spec, ret_code, ret_output, err);
}
