/* The engine on the runner's side: its process, and the lines. See engine.h. */
#include "sim/impair/engine/engine_impl.h"

#include "sim/base/rng.h"
#include "sim/impair/engine/cable.h"
#include "sim/impair/engine/fate.h"
#include "sim/impair/engine/keeper.h"
#include "sim/impair/engine/tap.h"
#include "sim/kernel/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* How long to wait for an answer of a process that lives, and how often to look whether it does. At
 * STILL looks in a row without a sign of life it is taken for dead: a second, and a runner that was
 * late itself has looked but once. */
#define PATIENCE (5 * NSEC_SEC)
#define LOOK (100 * NSEC_MSEC)
#define STILL 10
#define ENGINE_CONTROL_FD 1000

/* --- The process -------------------------------------------------------------------- */

/* To be woken when a frame is due, not when others have had their turn: shares of 0.1 ms (Linux 6.12;
 * before it takes no notice), and precedence where that is allowed. Not a real-time class: a flood
 * would then keep the kernel's own threads from the processor. */
static void engine_hurry(void)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } a = {.size = sizeof a, .nice = -20, .runtime = 100 * NSEC_USEC};
    if (syscall(SYS_sched_setattr, 0, &a, 0) < 0) {
        a.nice = 0;
        syscall(SYS_sched_setattr, 0, &a, 0);
        return;
    }
    /* Where sessions share processors by group, precedence counts within ours alone. */
    AUTO_CLOSE int fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
    if (fd >= 0)
        (void)!write(fd, "-20", 3);
}

/* Forked, not executed: nothing of ours has to be found again. Held frames would be lost with a
 * Ctrl-C meant for the runner, so signals of the terminal do not reach it. */
static __attribute__((noreturn)) void engine_main(int control, pid_t parent, bool spin,
                                                  uint64_t *lease)
{
    static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGPIPE};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        signal(ignored[i], SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    prctl(PR_SET_NAME, "blackstart-imp");
    prctl(PR_SET_TIMERSLACK, 1UL);
    engine_hurry();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; i < 3; i++)
        dup2(null, i);
    /* When it dies its last descriptor is closed first: its death is to be seen before its sockets
     * are torn down. */
    int fd = fcntl(control, F_DUPFD_CLOEXEC, ENGINE_CONTROL_FD);
    close_range(3, fd < 0 ? ~0U : (unsigned)fd - 1, 0);
    close_range((unsigned)fd + 1, ~0U, 0);
    _exit(keeper_run(fd, spin, lease) < 0);
}

static void engine_hang_up(struct engine *e)
{
    loop_timer_cancel(e->loop, &e->look);
    loop_io_remove(e->loop, &e->hangup);
    if (e->control >= 0)
        close(e->control);
    e->control = -1;
}

static void engine_reap(struct engine *e)
{
    siginfo_t how;
    engine_hang_up(e);
    loop_io_remove(e->loop, &e->exit);
    while (waitid(P_PIDFD, (id_t)e->pidfd, &how, WEXITED) < 0 && errno == EINTR)
        ;
    close(e->pidfd);
    e->pidfd = -1;
    e->pid = 0;
}

static int line_put(struct engine_line *line, bool on, struct err *err);

/* Traffic first: everything that redirects goes, then it is told. */
static void engine_died(struct engine *e)
{
    if (e->lost)
        return;
    e->lost = true;
    for (size_t i = 0; i < WIRE_LINES; i++) {
        struct engine_line *line = e->lines[i];
        if (!line)
            continue;
        line->known = false;
        if (line->on)
            line_put(line, false, NULL); /* where it fails the device is gone */
        line->on = false;
    }
    if (e->died)
        e->died(e->still < STILL
                    ? "the process of the impairment engine died"
                    : "the process of the impairment engine stood still, and was ended",
                e->data);
}

/* Whether it stands still, and for how long it has. It is ended then: what it would do when it wakes,
 * nobody expects any more. */
static bool engine_stands(struct engine *e)
{
    uint64_t lease = __atomic_load_n(e->lease, __ATOMIC_RELAXED);
    e->still = lease == e->seen ? e->still + 1 : 0;
    e->seen = lease;
    if (e->still >= STILL)
        pidfd_send_signal(e->pidfd, SIGKILL, NULL, 0);
    return e->still >= STILL;
}

static void engine_looks(struct loop_timer *t, void *data)
{
    struct engine *e = data;
    if (engine_stands(e))
        engine_died(e);
    else
        loop_timer_set(e->loop, t, nsec_add(loop_fresh(e->loop), LOOK));
}

/* The first that is seen of its death: closing packet sockets takes the kernel tens of milliseconds
 * (a grace period each), and the process has ended only then. */
static void engine_heard_hangup(struct loop_io *io, uint32_t events, void *data)
{
    engine_hang_up(data);
    engine_died(data);
}

static void engine_heard_exit(struct loop_io *io, uint32_t events, void *data)
{
    engine_reap(data);
    engine_died(data);
}

static int engine_lease(struct engine *e, struct err *err)
{
    if (e->tap)
        e->lease = tap_lease(e->tap);
    if (e->lease)
        return 0;
    void *m =
        mmap(NULL, sizeof *e->lease, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (m == MAP_FAILED)
        return err_errno(err, errno, "cannot start the impairment engine");
    e->lease = m;
    e->lease_own = true;
    return 0;
}

static int engine_run(struct engine *e, struct err *err)
{
    if (e->lost)
        return err_set(err, EPIPE, "the impairment engine's process has died");
    if (e->pid)
        return 0;
    int pair[2], ready = engine_lease(e, err);
    if (ready < 0)
        return ready;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(err, errno, "cannot start the impairment engine");
    AUTO_CLOSE int ours = pair[0];
    AUTO_CLOSE int theirs = pair[1];
    int size = 1 << 20;
    setsockopt(ours, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        return err_errno(err, errno, "cannot start the impairment engine");
    if (pid == 0)
        engine_main(theirs, parent, !e->sleeps, e->lease);
    int pidfd = pidfd_open(pid, 0), r = pidfd < 0 ? -errno : 0;
    if (r == 0)
        r = loop_io_add(e->loop, &e->exit, pidfd, EPOLLIN, err);
    if (r == 0)
        r = loop_io_add(e->loop, &e->hangup, ours, EPOLLRDHUP, err);
    if (r < 0) {
        loop_io_remove(e->loop, &e->exit);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        if (pidfd >= 0)
            close(pidfd);
        return err_errno(err, -r, "cannot watch the impairment engine");
    }
    e->pid = pid;
    e->pidfd = pidfd;
    e->control = steal_fd(&ours);
    e->look = (struct loop_timer){.fn = engine_looks, .data = e};
    loop_timer_set(e->loop, &e->look, nsec_add(loop_fresh(e->loop), LOOK));
    return 0;
}

static int engine_send(struct engine *e, const struct wire_request *q, const int *fds, size_t n_fds,
                       struct err *err)
{
    struct iovec iov[] = {
        {(void *)(uintptr_t)q, sizeof *q},
        {(void *)(uintptr_t)q->what.table.values, q->n_table * sizeof(int16_t)},
        {(void *)(uintptr_t)q->what.slot.table.values, q->n_slot_table * sizeof(int16_t)},
    };
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(WIRE_FDS * sizeof(int))] = {0};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = ARRAY_SIZE(iov)};
    if (n_fds) {
        m.msg_control = control;
        m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
    }
    if (sendmsg(e->control, &m, MSG_NOSIGNAL) < 0)
        return err_set(err, errno == EMSGSIZE ? EMSGSIZE : EPIPE,
                       "the impairment engine's process cannot be reached: %s", strerror(errno));
    return 0;
}

int engine_ask(struct engine *e, enum wire_op op, uint32_t id, const struct impairment *what,
               const int *fds, size_t n_fds, struct wire_reply *reply, struct err *err)
{
    if (e->control < 0)
        return err_set(err, EPIPE, "the impairment engine's process has died");
    struct wire_request q = {.op = op, .id = id, .seed = rng_fresh_seed()};
    if (what) {
        q.what = *what;
        if (what->distribution == IMPAIR_TABLE)
            q.n_table = (uint32_t)what->table.n;
        if (what->has_slot && what->slot.distribution == IMPAIR_TABLE)
            q.n_slot_table = (uint32_t)what->slot.table.n;
    }
    int r = engine_send(e, &q, fds, n_fds, err);
    if (r < 0)
        return r;
    struct wire_reply answer;
    struct timespec look = nsec_to_timespec(LOOK);
    struct pollfd p = {.fd = e->control, .events = POLLIN};
    int n = 0;
    for (nsec waited = 0; n == 0 && waited < PATIENCE; waited += LOOK)
        if ((n = ppoll(&p, 1, &look, NULL)) == 0 && engine_stands(e))
            break; /* its end is heard of in the loop */
    if (n == 0)
        return err_set(err, ETIMEDOUT, "the impairment engine's process does not answer");
    if (recv(e->control, &answer, sizeof answer, 0) != (ssize_t)sizeof answer)
        return err_set(err, EPIPE, "the impairment engine's process has died");
    if (answer.code)
        return err_set(err, answer.code, "%s", answer.text);
    if (reply)
        *reply = answer;
    return 0;
}

/* --- The engine ----------------------------------------------------------------------- */

int engine_new(struct loop *loop, enum engine_intake intake,
               void (*died)(const char *reason, void *data), void *data, struct engine **ret,
               struct err *err)
{
    struct engine *e = calloc(1, sizeof *e);
    if (!e)
        return err_set(err, ENOMEM, "no memory for the impairment engine");
    e->loop = loop;
    e->asked = intake;
    e->died = died;
    e->data = data;
    e->pidfd = e->control = -1;
    e->hangup = (struct loop_io){.fn = engine_heard_hangup, .data = e};
    e->exit = (struct loop_io){.fn = engine_heard_exit, .data = e};
    *ret = e;
    return 0;
}

struct engine *engine_free(struct engine *e)
{
    if (!e)
        return NULL;
    if (e->pid) {
        pidfd_send_signal(e->pidfd, SIGKILL, NULL, 0);
        engine_reap(e);
    }
    if (e->lease_own)
        munmap(e->lease, sizeof *e->lease);
    tap_free(e->tap);
    tap_plan_free(e);
    free(e);
    return NULL;
}

void engine_set_spin(struct engine *e, bool spin)
{
    e->sleeps = !spin;
}

bool engine_has_tap(void)
{
    return tap_is_built();
}

enum engine_intake engine_intake(const struct engine *e)
{
    return e->intake;
}

pid_t engine_pid(const struct engine *e)
{
    return e->pid;
}

int engine_supported(int netns_fd, struct err *err)
{
    AUTO_CLOSE int fd = -1;
    int r = netns_socket(netns_fd, AF_PACKET, SOCK_RAW, 0, &fd, NULL);
    if (r < 0)
        return err_set(err, EOPNOTSUPP,
                       "packet sockets cannot be opened (%s): the user-space engine needs "
                       "CAP_NET_RAW and a kernel with CONFIG_PACKET",
                       strerror(-r));
    return 0;
}

/* --- Lines ------------------------------------------------------------------------------ */

static int line_put(struct engine_line *line, bool on, struct err *err)
{
    if (line->planned)
        return tap_plan_set(line, on, err);
    if (line->tap) {
        tap_set(line, on);
        return tap_plan_set(line, on, err); /* no message: a word in the program's memory */
    }
    cable_filter(line, on);
    if (!on)
        nl_forgive(line->nl, ENOENT);
    return nl_flush(line->nl, err);
}

static struct engine_line *line_free(struct engine_line *line)
{
    if (!line)
        return NULL;
    if (line->engine->lines[line->id] == line)
        line->engine->lines[line->id] = NULL;
    free(line->device);
    free(line->ops);
    free(line);
    return NULL;
}
DEFINE_CLEANUP(struct engine_line, line_free);

static int line_new(struct engine *e, const struct engine_spec *spec, struct engine_line **ret,
                    struct err *err)
{
    if (strlen(spec->tag) > 14)
        return err_set(err, EINVAL, "the tag \"%s\" of a line is too long", spec->tag);
    uint32_t id = 0;
    while (id < WIRE_LINES && e->lines[id])
        id++;
    if (id == WIRE_LINES)
        return err_set(err, ENOSPC, "more than %d impairments at once", WIRE_LINES);
    struct engine_line *line = calloc(1, sizeof *line);
    char *device = strdup(spec->point.device);
    if (!line || !device) {
        free(line);
        free(device);
        return err_set(err, ENOMEM, "no memory for a line");
    }
    *line = (struct engine_line){.engine = e,
                                 .id = id,
                                 .nl = spec->point.nl,
                                 .device = device,
                                 .ingress = spec->point.ingress,
                                 .recording = nl_is_recording(spec->point.nl),
                                 .pref = spec->pref};
    snprintf(line->tag, sizeof line->tag, "%s", spec->tag);
    e->lines[id] = line;
    *ret = line;
    return 0;
}

/* Which intake: once for all lines. */
static int engine_choose(struct engine *e, struct err *err)
{
    if (e->intake != ENGINE_ANY)
        return 0;
    int r = e->asked == ENGINE_VETH ? -EOPNOTSUPP : tap_new(&e->tap, err);
    if (r < 0 && e->asked == ENGINE_TAP)
        return r;
    e->intake = r < 0 ? ENGINE_VETH : ENGINE_TAP;
    return 0;
}

int engine_start(struct engine *e, struct err *err)
{
    int r = engine_choose(e, err);
    return r < 0 ? r : engine_run(e, err); /* after: it shares the program's map */
}

/* A filter that has no eBPF counterpart goes the other way, where any will do. */
static int line_arm(struct engine_line *line, const struct engine_spec *spec,
                    const struct impairment *what, struct err *err)
{
    struct engine *e = line->engine;
    if (!e->tap || line->recording)
        return cable_arm(line, spec, what, err);
    int r = tap_arm(line, spec, what, err);
    return r == -EOPNOTSUPP && e->asked == ENGINE_ANY ? cable_arm(line, spec, what, err) : r;
}

int engine_arm(struct engine *e, const struct engine_spec *spec, const struct impairment *what,
               struct engine_line **ret, struct err *err)
{
    CLEANUP(line_free_p) struct engine_line *line = NULL;
    int r = fate_check(what, err);
    if (r == 0)
        r = line_new(e, spec, &line, err);
    if (r == 0 && !line->recording)
        r = engine_start(e, err);
    if (r == 0 && line->recording && e->asked == ENGINE_TAP)
        r = tap_plan_arm(line, what, err);
    else if (r == 0)
        r = line_arm(line, spec, what, err);
    if (r < 0)
        return r;
    *ret = steal_ptr(line);
    return 0;
}

int engine_set(struct engine_line *line, bool on, struct span *ret_at, struct err *err)
{
    if (on == line->on)
        return 0;
    if (on && !line->recording && !line->known)
        return err_set(err, EPIPE, "the impairment engine's process has died");
    struct span at = {.lo = nsec_now(CLOCK_MONOTONIC)};
    int r = line_put(line, on, err);
    at.hi = nsec_now(CLOCK_MONOTONIC);
    if (r == -ENODEV && !on)
        r = 0; /* the device went, and its filters with it */
    if (r < 0)
        return r;
    line->on = on;
    if (ret_at)
        *ret_at = at;
    return 0;
}

int engine_change(struct engine_line *line, const struct impairment *what, struct err *err)
{
    int r = fate_check(what, err);
    if (r == 0 && line->planned)
        return nl_note(line->nl, err, "%s: other parameters for the program", line->device);
    if (r == 0 && line->tap)
        return tap_change(line, what, err);
    if (r == 0)
        r = cable_change(line, what, err);
    if (r == 0 && !line->recording)
        r = engine_ask(line->engine, WIRE_CHANGE, line->id, what, NULL, 0, NULL, err);
    return r;
}

int engine_disarm(struct engine_line *line, struct err *err)
{
    int first = 0, r;
    if (line->on && (r = engine_set(line, false, NULL, err)) < 0)
        first = r;
    if (line->known &&
        (r = engine_ask(line->engine, WIRE_REMOVE, line->id, NULL, NULL, 0, NULL,
                        first ? NULL : err)) < 0 &&
        r != -EPIPE && !first)
        first = r;
    r = (line->planned ? tap_plan_remove
         : line->tap   ? tap_remove
                       : cable_remove)(line, first ? NULL : err);
    line_free(line);
    return first ? first : r;
}

void engine_no_hurry(struct engine_line *line)
{
    line->no_hurry = true;
}

void engine_forget(struct engine_line *line)
{
    if (line->known)
        (void)engine_ask(line->engine, WIRE_REMOVE, line->id, NULL, NULL, 0, NULL, NULL);
    if (line->tap)
        tap_forget(line);
    line_free(line);
}

int engine_count(struct engine_line *line, struct impair_counts *ret, struct err *err)
{
    if (line->recording) {
        *ret = (struct impair_counts){0};
        return 0;
    }
    return (line->tap ? tap_count : cable_count)(line, ret, err);
}
