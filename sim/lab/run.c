/* Commands in a host: the runner's half. The agent starts them below /bin/sh and tells their end;
 * their output comes through a pipe of their own, of which the first RUN_OUTPUT_MAX bytes are kept.
 * A command's end is its process's end: what it leaves behind may keep the pipe open.
 *
 * Where a host was made by others there is no agent: the command is a child of the runner, in the
 * host's namespaces (others_enter()).
 */
#include "sim/lab/node.h"

#include "sim/attach/procs.h"
#include "sim/base/jsonx.h"
#include "sim/lab/deed.h"
#include "sim/lab/guest.h"
#include "sim/loop/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN_OUTPUT_MAX 65536

struct lab_run {
    struct lab_run *next;
    struct lab_node *node;
    uint64_t id;
    lab_run_fn *fn; /* NULL: nobody waits in the loop */
    void *data;
    int fd;
    struct loop_io io;
    struct child *child;    /* on a host that others made; NULL when ended */
    bool bound;             /* on such a host: must not outlive us */
    bool over;              /* told; what is left of it may still write, and must not get SIGPIPE */
    struct loop_timer tell; /* the host went down: told from the loop */
    struct buf output;
    struct lab_run_result result;
    char *command;            /* NULL: it only asks */
    struct lab_acting acting; /* on whose behalf it was started */
};

/* Reads what is there; closes the pipe at its end. */
static void run_read(struct lab_run *run)
{
    char chunk[4096];
    while (run->fd >= 0) {
        ssize_t n = read(run->fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return;
        if (n == 0) {
            loop_io_remove(run->node->lab->loop, &run->io);
            close(steal_fd(&run->fd));
            return;
        }
        size_t room = run->over ? 0 : RUN_OUTPUT_MAX - run->output.len;
        buf_add(&run->output, chunk, (size_t)n < room ? (size_t)n : room);
    }
}

static void run_free(struct lab_run *run)
{
    struct loop *loop = run->node->lab->loop;
    for (struct lab_run **p = &run->node->runs; *p; p = &(*p)->next)
        if (*p == run) {
            *p = run->next;
            break;
        }
    loop_timer_cancel(loop, &run->tell);
    child_free(run->child);
    if (run->fd >= 0) {
        loop_io_remove(loop, &run->io);
        close(run->fd);
    }
    buf_done(&run->output);
    free(run->command);
    free(run);
}

static void run_readable(struct loop_io *io, uint32_t events, void *data)
{
    struct lab_run *run = data;
    run_read(run);
    if (run->fd < 0 && run->over)
        run_free(run);
}

/* The command has ended: keeps the pipe alone, as long as somebody may write to it. */
static void run_leave(struct lab_run *run)
{
    run->over = true;
    buf_done(&run->output);
    run->output = BUF_INIT;
    if (run->fd < 0)
        run_free(run);
}

static void run_tell_signal(const struct lab_run *run, int signo)
{
    AUTO_BUF whom = BUF_INIT, text = BUF_INIT;
    if (!run->command)
        return;
    deed_command(run->command, &whom);
    deed_signal(signo, buf_text(&whom), &text);
    lab_node_tell(run->node, buf_text(&text));
}

/* Of a command that was too slow, which its supervisor has ended. */
static void run_tell_limit(const struct lab_run *run)
{
    struct lab *lab = run->node->lab;
    struct lab_acting before = lab_act_for(lab, run->acting);
    run_tell_signal(run, SIGKILL);
    lab_act_for(lab, before);
}

/* Hands the result over; the callback may start another. */
static void run_finish(struct lab_run *run)
{
    run_read(run);
    if (run->result.timed_out)
        run_tell_limit(run);
    struct lab_run_result result = run->result;
    lab_run_fn *fn = run->fn;
    void *data = run->data;
    result.output_n = run->output.len;
    AUTO_FREE char *output = run->output.len ? buf_steal(&run->output) : strdup("");
    result.output = output;
    run_leave(run);
    if (fn)
        fn(&result, data);
}

static void run_tell(struct loop_timer *t, void *data)
{
    run_finish(data);
}

static void run_read_end(struct lab_run *run, const json_t *event)
{
    run->result.end = jsonx_span(json_object_get(event, "at"));
    run->result.code = (int)jsonx_int(event, "code", -1);
    run->result.signo = (int)jsonx_int(event, "signo", 0);
    run->result.timed_out = jsonx_bool(event, "timed_out", false);
}

void run_ended(struct lab_node *n, const json_t *event)
{
    uint64_t id = (uint64_t)jsonx_int(event, "id", 0);
    for (struct lab_run *run = n->runs; run; run = run->next)
        if (run->id == id && !run->over) {
            run_read_end(run, event);
            run_finish(run);
            return;
        }
}

void run_drop_all(struct lab_node *n, bool tell)
{
    struct lab_run *next;
    for (struct lab_run *run = n->runs; run; run = next) {
        next = run->next;
        if (!tell || run->over) {
            run_free(run);
            continue;
        }
        run->result.end = (struct span){run->result.start.lo, loop_fresh(n->lab->loop)};
        run->result.code = -1;
        run->result.signo = SIGKILL;
        loop_timer_set(n->lab->loop, &run->tell, loop_now(n->lab->loop));
    }
}

/* --- Where there is no agent ------------------------------------------------------------------ */

static int run_enter(void *data)
{
    return others_enter(data);
}

/* Waits for the command below it and ends as that does; with the runner it ends the whole group. */
static _Noreturn void run_guard(pid_t command, const sigset_t *wait_for)
{
    int status;
    for (pid_t ended; (ended = waitpid(command, &status, WNOHANG)) != command;) {
        if (ended < 0)
            _exit(127);
        if (sigwaitinfo(wait_for, NULL) == SIGRTMIN)
            kill(0, SIGKILL);
    }
    guest_end_as(status);
}

/* In the child: enters, then goes on as a child of itself, with itself as its guard. The kernel's
 * word of a parent's death reaches the child alone, and not what a shell has forked. */
static int run_enter_bound(void *data)
{
    sigset_t all, old, wait_for;
    int code = others_enter(data);
    if (code)
        return code;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &old);
    pid_t runner = getppid(), command = fork();
    if (command < 0)
        return errno;
    if (command == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sigprocmask(SIG_SETMASK, &old, NULL);
        return 0;
    }
    close_range(STDERR_FILENO + 1, ~0U, 0);
    sigemptyset(&wait_for);
    sigaddset(&wait_for, SIGCHLD);
    sigaddset(&wait_for, SIGRTMIN);
    prctl(PR_SET_PDEATHSIG, SIGRTMIN); /* no signal that its group is sent */
    if (getppid() != runner)
        kill(0, SIGKILL);
    run_guard(command, &wait_for);
}

static void run_exited(struct child *c, const struct child_exit *e, void *data)
{
    struct lab_run *run = data;
    run->result.end = (struct span){e->at, e->at};
    run->result.code = e->code;
    run->result.signo = e->signo;
    run->result.timed_out = e->timed_out;
    run->child = child_free(c);
    run_finish(run);
}

static int run_child(struct lab_run *run, const char *command, nsec timeout,
                     const struct lab_guest *guest, int write_fd, struct err *err)
{
    struct lab_node *n = run->node;
    struct guest_start start = {.guest = guest, .host = n->pidfd};
    const char *argv[] = {"/bin/sh", "-c", command, NULL};
    struct child_spec spec = {.argv = argv,
                              .stdin_fd = -1,
                              .stdout_fd = write_fd,
                              .timeout = timeout,
                              .prepare = run->bound ? run_enter_bound : run_enter,
                              .prepare_data = n,
                              .on_exit = run_exited,
                              .data = run};
    if (guest) {
        spec.prepare = guest_enter;
        spec.prepare_data = &start;
    }
    nsec before = loop_fresh(n->lab->loop);
    int r = child_start(n->lab->loop, &spec, &run->child, err);
    if (r < 0)
        return err_prefix(err, "host %s", n->host->name);
    run->result.start = (struct span){before, loop_fresh(n->lab->loop)};
    return 0;
}

static int run_start(struct lab_node *n, const char *command, nsec timeout, bool bound,
                     const struct lab_guest *guest, struct lab_run **ret, struct err *err)
{
    int fds[2];
    if (!n->up)
        return node_is_down(n, err);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_errno(err, errno, "cannot make a pipe for output");
    AUTO_CLOSE int write_fd = fds[1];
    struct lab_run *run = calloc(1, sizeof *run);
    if (!run) {
        close(fds[0]);
        return err_errno(err, ENOMEM, "cannot run a command");
    }
    *run = (struct lab_run){.node = n,
                            .id = ++n->last_run,
                            .fd = fds[0],
                            .bound = bound,
                            .io = {.fn = run_readable, .data = run},
                            .tell = {.fn = run_tell, .data = run},
                            .next = n->runs};
    n->runs = run;
    fcntl(run->fd, F_SETFL, O_NONBLOCK);
    AUTO_JSON *answer = NULL;
    AUTO_JSON *ask = json_pack("{s:s,s:I,s:s,s:I}", "do", "run", "id", (json_int_t)run->id,
                               "command", command, "timeout", (json_int_t)timeout);
    int r = ask ? loop_io_add(n->lab->loop, &run->io, run->fd, EPOLLIN, err)
                : err_set(err, EINVAL, "the command is not valid UTF-8");
    if (r == 0 && n->attached)
        r = run_child(run, command, timeout, guest, write_fd, err);
    else if (r == 0)
        r = node_call(n, ask, &write_fd, 1, 0, &answer, err);
    if (r < 0) {
        run_free(run);
        return r;
    }
    if (!n->attached)
        run->result.start = jsonx_span(json_object_get(answer, "at"));
    *ret = run;
    return 0;
}

/* It was started, and it may change something. */
static void run_tell_start(struct lab_run *run, const char *command)
{
    AUTO_BUF text = BUF_INIT;
    run->command = strdup(command);
    run->acting = lab_acting(run->node->lab);
    if (!run->command)
        abort();
    deed_run(command, &text);
    lab_node_tell(run->node, buf_text(&text));
}

static int run_begin(struct lab_node *n, const char *command, nsec timeout, bool bound,
                     lab_run_fn *fn, void *data, struct err *err)
{
    struct lab_run *run;
    int r = run_start(n, command, timeout, bound, NULL, &run, err);
    if (r < 0)
        return r;
    run->fn = fn;
    run->data = data;
    run_tell_start(run, command);
    return 0;
}

int lab_node_ask(struct lab_node *n, const char *command, nsec timeout, lab_run_fn *fn, void *data,
                 struct err *err)
{
    struct lab_run *run;
    int r = run_start(n, command, timeout, false, NULL, &run, err);
    if (r < 0)
        return r;
    run->fn = fn;
    run->data = data;
    return 0;
}

int lab_node_run(struct lab_node *n, const char *command, nsec timeout, lab_run_fn *fn, void *data,
                 struct err *err)
{
    return run_begin(n, command, timeout, false, fn, data, err);
}

int lab_node_run_bound(struct lab_node *n, const char *command, lab_run_fn *fn, void *data,
                       struct err *err)
{
    return run_begin(n, command, 0, true, fn, data, err);
}

int lab_node_run_guest(struct lab_node *n, const char *command, const struct lab_guest *g,
                       lab_run_fn *fn, void *data, pid_t *ret_pid, struct err *err)
{
    struct lab_run *run;
    AUTO_PROCS all = {0};
    if (!n->attached)
        return err_set(err, EOPNOTSUPP, "host %s is of the lab: it has no guests", n->host->name);
    int r = run_start(n, command, 0, false, g, &run, err);
    if (r < 0)
        return r;
    run->fn = fn;
    run->data = data;
    run_tell_start(run, command);
    *ret_pid = 0;
    r = procs_scan(&all, err);
    for (size_t i = 0; r == 0 && i < all.n; i++)
        if (all.items[i].ppid == child_pid(run->child))
            *ret_pid = all.items[i].pid;
    if (r < 0)
        (void)lab_node_run_stop(n, data, SIGKILL, NULL);
    return r;
}

int lab_node_run_stop(struct lab_node *n, const void *data, int signo, struct err *err)
{
    int r = 0;
    for (struct lab_run *run = n->runs; n->up && r == 0 && run; run = run->next) {
        if (run->data != data || run->over)
            continue;
        if (n->attached) {
            if (run->child && kill(-child_pid(run->child), signo) < 0 && errno != ESRCH)
                r = err_errno(err, errno, "host %s: cannot send signal %d", n->host->name, signo);
            if (r == 0)
                run_tell_signal(run, signo);
            continue;
        }
        AUTO_JSON *answer = NULL;
        AUTO_JSON *ask =
            json_pack("{s:s,s:I,s:i}", "do", "stop", "id", (json_int_t)run->id, "signo", signo);
        r = node_call(n, ask, NULL, 0, 0, &answer, err);
        if (r == 0)
            run_tell_signal(run, signo);
    }
    return r;
}

void lab_node_forget(struct lab_node *n, const void *data)
{
    for (struct lab_run *run = n->runs; run; run = run->next)
        if (run->data == data)
            run->fn = NULL;
}

/* Takes the end of this run out of the events that wait. */
static bool run_take_end(struct lab_run *run)
{
    json_t *event;
    size_t i;
    json_array_foreach (run->node->queue, i, event)
        if (!strcmp(jsonx_str(event, "event", ""), "ran") &&
            (uint64_t)jsonx_int(event, "id", 0) == run->id) {
            run_read_end(run, event);
            json_array_remove(run->node->queue, i);
            return true;
        }
    return false;
}

/* Waits for the end of one, without the loop; takes the run. ret_output may be NULL. */
static int run_wait(struct lab_run *run, const char *command, nsec timeout, nsec until,
                    int *ret_code, char **ret_output, struct err *err)
{
    struct lab_node *n = run->node;
    AUTO_JSON *unasked = NULL;
    int r =
        n->attached ? others_refuse(n, err) : 0; /* a child's end comes through the loop alone */
    while (r == 0 && !run_take_end(run)) {
        run_read(run);
        r = node_listen(n, run->fd, until, &unasked, err);
    }
    if (r > 0)
        r = err_set(err, EPROTO, "host %s: an answer nobody asked for", n->host->name);
    if (r == 0 && run->result.timed_out) {
        char limit[NSEC_TEXT_MAX];
        r = err_set(err, ETIMEDOUT, "host %s: the command \"%s\" did not end within %s",
                    n->host->name, command, nsec_text(timeout, limit));
    }
    if (r == 0) {
        run_read(run);
        *ret_code = run->result.signo ? 128 + run->result.signo : run->result.code;
        if (ret_output) {
            buf_adds(&run->output, "");
            *ret_output = buf_steal(&run->output);
        }
    }
    if (r == 0)
        run_leave(run);
    else
        run_free(run);
    return r;
}

static nsec run_patience(const struct lab_node *n, nsec timeout)
{
    return nsec_add(loop_fresh(n->lab->loop), nsec_add(timeout, 5 * NSEC_SEC));
}

/* On a host that others made: a child that is waited for. */
static int run_wait_child(struct lab_node *n, const char *command, nsec timeout, int *ret_code,
                          char **ret_output, struct err *err)
{
    const char *argv[] = {"/bin/sh", "-c", command, NULL};
    struct child_spec spec = {.argv = argv,
                              .stdin_fd = -1,
                              .stdout_fd = -1,
                              .output_max = RUN_OUTPUT_MAX,
                              .timeout = timeout,
                              .prepare = run_enter,
                              .prepare_data = n};
    int r = child_wait(&spec, ret_code, ret_output, err);
    return r < 0 ? err_prefix(err, "host %s: the command \"%s\"", n->host->name, command) : 0;
}

int lab_node_run_wait(struct lab_node *n, const char *command, nsec timeout, int *ret_code,
                      char **ret_output, struct err *err)
{
    struct lab_run *run;
    if (n->attached && n->up)
        return run_wait_child(n, command, timeout, ret_code, ret_output, err);
    int r = run_start(n, command, timeout, false, NULL, &run, err);
    if (r < 0)
        return r;
    return run_wait(run, command, timeout, run_patience(n, timeout), ret_code, ret_output, err);
}

void lab_run_wait_all(struct lab_node *const *nodes, size_t n, const char *command, nsec timeout,
                      struct lab_answer *ret)
{
    AUTO_FREE struct lab_run **runs = calloc(n + 1, sizeof(struct lab_run *));
    if (!runs)
        abort();
    for (size_t i = 0; i < n; i++) {
        ret[i] = (struct lab_answer){.code = -1};
        ret[i].error = run_start(nodes[i], command, timeout, false, NULL, &runs[i], &ret[i].err);
    }
    /* One after the other: those that ended meanwhile have left their end in their socket. */
    for (size_t i = 0; i < n; i++)
        if (ret[i].error == 0)
            ret[i].error = run_wait(runs[i], command, timeout, run_patience(nodes[i], timeout),
                                    &ret[i].code, NULL, &ret[i].err);
}
