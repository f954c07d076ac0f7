/* The event loop over epoll.
 *
 * One turn: dispatch what is ready, then the timers that are due. Descriptors go first, so that an
 * answer and its time-out found in one wake-up are seen in that order; the stamps tell the rest.
 *
 * Invariants:
 * - heap[] is a binary heap by (at, seq); t->slot is the timer's index + 1, 0 when it is not set.
 * - batch[batch_i … batch_n) are events not yet dispatched. Removing a source clears its entries
 *   there. A turn inside a callback overwrites the batch and leaves it empty; epoll is
 *   level-triggered here, so what was left over is reported again.
 * - A turn fires only timers set before it began to fire any: one that re-arms itself in the past
 *   cannot starve the descriptors.
 */
#include "sim/loop/loop.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#define BATCH 64

struct loop {
    enum loop_clock clock;
    int epfd;
    int timerfd; /* -1 while the kernel's epoll_pwait2() is used */
    nsec now, lateness;
    struct loop_timer **heap;
    size_t n_timers, heap_size;
    uint64_t seq;
    struct epoll_event batch[BATCH];
    int batch_i, batch_n;
    size_t n_ios, n_signals;
    bool stop;
};

int loop_new(enum loop_clock clock, struct loop **ret, struct err *err)
{
    int epfd = epoll_create1(EPOLL_CLOEXEC);
    if (epfd < 0)
        return err_errno(err, errno, "cannot make an event loop");
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        abort();
    loop->clock = clock;
    loop->epfd = epfd;
    loop->timerfd = -1;
    if (clock == LOOP_REAL)
        loop->now = nsec_now(CLOCK_MONOTONIC);
    *ret = loop;
    return 0;
}

struct loop *loop_free(struct loop *loop)
{
    if (!loop)
        return NULL;
    assert(loop->n_timers == 0);
    assert(loop->n_ios == 0);
    assert(loop->n_signals == 0);
    close(loop->epfd);
    if (loop->timerfd >= 0)
        close(loop->timerfd);
    free(loop->heap);
    free(loop);
    return NULL;
}

nsec loop_now(const struct loop *loop)
{
    return loop->now;
}

nsec loop_fresh(const struct loop *loop)
{
    return loop->clock == LOOP_VIRTUAL ? loop->now : nsec_now(CLOCK_MONOTONIC);
}

nsec loop_lateness(const struct loop *loop)
{
    return loop->lateness;
}

/* --- timers: a binary heap ----------------------------------------------------------------- */

static bool timer_before(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void heap_put(struct loop *loop, size_t i, struct loop_timer *t)
{
    loop->heap[i] = t;
    t->slot = i + 1;
}

static void heap_up(struct loop *loop, size_t i)
{
    struct loop_timer *t = loop->heap[i];
    while (i > 0 && timer_before(t, loop->heap[(i - 1) / 2])) {
        heap_put(loop, i, loop->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_put(loop, i, t);
}

static void heap_down(struct loop *loop, size_t i)
{
    struct loop_timer *t = loop->heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= loop->n_timers)
            break;
        if (child + 1 < loop->n_timers && timer_before(loop->heap[child + 1], loop->heap[child]))
            child++;
        if (!timer_before(loop->heap[child], t))
            break;
        heap_put(loop, i, loop->heap[child]);
        i = child;
    }
    heap_put(loop, i, t);
}

void loop_timer_set(struct loop *loop, struct loop_timer *t, nsec at)
{
    loop_timer_cancel(loop, t);
    if (loop->n_timers == loop->heap_size) {
        loop->heap_size = loop->heap_size ? 2 * loop->heap_size : 16;
        loop->heap = realloc(loop->heap, loop->heap_size * sizeof *loop->heap);
        if (!loop->heap)
            abort();
    }
    t->at = at;
    t->seq = loop->seq++;
    loop->heap[loop->n_timers++] = t;
    heap_up(loop, loop->n_timers - 1);
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *t)
{
    if (!t->slot)
        return;
    size_t i = t->slot - 1;
    assert(i < loop->n_timers && loop->heap[i] == t);
    t->slot = 0;
    struct loop_timer *last = loop->heap[--loop->n_timers];
    if (last == t)
        return;
    heap_put(loop, i, last);
    heap_up(loop, i);
    heap_down(loop, last->slot - 1);
}

bool loop_timer_is_set(const struct loop_timer *t)
{
    return t->slot != 0;
}

/* The earliest, or NSEC_INF. */
static nsec timers_next(const struct loop *loop)
{
    return loop->n_timers ? loop->heap[0]->at : NSEC_INF;
}

static void timers_fire(struct loop *loop)
{
    uint64_t before = loop->seq;
    while (loop->n_timers) {
        struct loop_timer *t = loop->heap[0];
        if (loop->clock == LOOP_REAL)
            loop->now = nsec_now(CLOCK_MONOTONIC);
        if (t->at > loop->now || t->seq >= before)
            return;
        loop->lateness = loop->clock == LOOP_REAL ? nsec_sub(loop->now, t->at) : 0;
        loop_timer_cancel(loop, t);
        t->fn(t, t->data);
    }
}

/* --- descriptors --------------------------------------------------------------------------- */

int loop_io_add(struct loop *loop, struct loop_io *io, int fd, uint32_t events, struct err *err)
{
    assert(!io->added);
    struct epoll_event e = {.events = events, .data.ptr = io};
    if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, fd, &e) < 0)
        return err_errno(err, errno, "cannot watch descriptor %d", fd);
    io->fd = fd;
    io->events = events;
    io->added = true;
    loop->n_ios++;
    return 0;
}

int loop_io_change(struct loop *loop, struct loop_io *io, uint32_t events, struct err *err)
{
    assert(io->added);
    if (io->events == events)
        return 0;
    struct epoll_event e = {.events = events, .data.ptr = io};
    if (epoll_ctl(loop->epfd, EPOLL_CTL_MOD, io->fd, &e) < 0)
        return err_errno(err, errno, "cannot watch descriptor %d for other events", io->fd);
    io->events = events;
    return 0;
}

void loop_io_remove(struct loop *loop, struct loop_io *io)
{
    if (!io->added)
        return;
    /* EBADF when the owner closed it first: the kernel has forgotten it then, unless another
     * descriptor keeps the file open (epoll(7), question 6). Removing before closing is the rule.
     */
    epoll_ctl(loop->epfd, EPOLL_CTL_DEL, io->fd, NULL);
    for (int i = loop->batch_i; i < loop->batch_n; i++)
        if (loop->batch[i].data.ptr == io)
            loop->batch[i].data.ptr = NULL;
    io->added = false;
    loop->n_ios--;
}

/* --- signals ------------------------------------------------------------------------------- */

static void signal_ready(struct loop_io *io, uint32_t events, void *data)
{
    (void)io, (void)events;
    struct loop_signal *s = data;
    struct signalfd_siginfo info;
    if (read(s->fd, &info, sizeof info) == (ssize_t)sizeof info)
        s->fn(s, s->signo, s->data);
}

int loop_signal_add(struct loop *loop, struct loop_signal *s, int signo, struct err *err)
{
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, signo);
    AUTO_CLOSE int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return err_errno(err, errno, "cannot listen to signal %d", signo);
    s->io = (struct loop_io){.fn = signal_ready, .data = s};
    int r = loop_io_add(loop, &s->io, fd, EPOLLIN, err);
    if (r < 0)
        return r;
    pthread_sigmask(SIG_BLOCK, &set, &old);
    s->was_blocked = sigismember(&old, signo) == 1;
    s->signo = signo;
    s->fd = steal_fd(&fd);
    s->loop = loop;
    loop->n_signals++;
    return 0;
}

void loop_signal_remove(struct loop *loop, struct loop_signal *s)
{
    if (!s->loop)
        return;
    loop_io_remove(loop, &s->io);
    struct signalfd_siginfo info;
    while (read(s->fd, &info, sizeof info) > 0) /* else unblocking would run its default action */
        ;
    close(s->fd);
    if (!s->was_blocked) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, s->signo);
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    }
    s->loop = NULL;
    s->fd = -1;
    loop->n_signals--;
}

/* --- turning ------------------------------------------------------------------------------- */

/* Kernels before 5.11, and seccomp profiles written before it (EPERM), have no epoll_pwait2. */
static int wait_by_timerfd(struct loop *loop, nsec until)
{
    if (loop->timerfd < 0) {
        loop->timerfd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (loop->timerfd < 0)
            return -errno;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = loop};
        if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, loop->timerfd, &e) < 0)
            return -errno;
    }
    struct itimerspec its = {0}; /* all zero disarms */
    if (until < NSEC_INF)
        its.it_value = nsec_to_timespec(until > 0 ? until : 1);
    if (timerfd_settime(loop->timerfd, TFD_TIMER_ABSTIME, &its, NULL) < 0)
        return -errno;
    int n = epoll_wait(loop->epfd, loop->batch, BATCH, -1);
    return n < 0 ? -errno : n;
}

/* Number of events in the batch, or a negative errno (EINTR counts as none). */
static int wait_until(struct loop *loop, nsec until)
{
    int n;
    if (loop->timerfd >= 0) {
        n = wait_by_timerfd(loop, until);
    } else {
        struct timespec ts = {0};
        if (until < NSEC_INF) {
            nsec left = nsec_sub(until, nsec_now(CLOCK_MONOTONIC));
            ts = nsec_to_timespec(left > 0 ? left : 0);
        }
        n = epoll_pwait2(loop->epfd, loop->batch, BATCH, until < NSEC_INF ? &ts : NULL, NULL);
        if (n < 0)
            n = -errno;
        if (n == -ENOSYS || n == -EPERM)
            n = wait_by_timerfd(loop, until);
    }
    return n == -EINTR ? 0 : n;
}

/* Virtual time: what is ready costs nothing; else jump; without anything to jump to, really wait.
 */
static int wait_virtually(struct loop *loop, nsec until)
{
    int n = epoll_wait(loop->epfd, loop->batch, BATCH, 0);
    if (n == 0) {
        nsec next = timers_next(loop) < until ? timers_next(loop) : until;
        if (next < NSEC_INF) {
            if (next > loop->now)
                loop->now = next;
        } else {
            n = epoll_wait(loop->epfd, loop->batch, BATCH, -1);
        }
    }
    return n < 0 ? (errno == EINTR ? 0 : -errno) : n;
}

static void batch_dispatch(struct loop *loop)
{
    while (loop->batch_i < loop->batch_n) {
        struct epoll_event *e = &loop->batch[loop->batch_i++];
        struct loop_io *io = e->data.ptr;
        if (io == NULL)
            continue;
        if (e->data.ptr == loop) { /* the timerfd: it only ends the wait */
            uint64_t expirations;
            (void)!read(loop->timerfd, &expirations, sizeof expirations);
            continue;
        }
        io->fn(io, e->events, io->data);
    }
    loop->batch_i = loop->batch_n = 0;
}

int loop_turn(struct loop *loop, nsec until, struct err *err)
{
    int n;
    loop->batch_i = loop->batch_n = 0;
    if (loop->clock == LOOP_VIRTUAL) {
        n = wait_virtually(loop, until);
    } else {
        nsec next = timers_next(loop);
        n = wait_until(loop, next < until ? next : until);
        loop->now = nsec_now(CLOCK_MONOTONIC);
    }
    if (n < 0)
        return err_errno(err, -n, "cannot wait for events");
    loop->batch_n = n;
    batch_dispatch(loop);
    timers_fire(loop);
    return 0;
}

int loop_run(struct loop *loop, struct err *err)
{
    int r = 0;
    while (r == 0 && !loop->stop && loop->n_timers + loop->n_ios > loop->n_signals)
        r = loop_turn(loop, NSEC_INF, err);
    loop->stop = false;
    return r;
}

void loop_stop(struct loop *loop)
{
    loop->stop = true;
}
