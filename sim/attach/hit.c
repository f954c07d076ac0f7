/* Signals to processes. See hit.h. */
#include "sim/attach/hit.h"

#include "sim/base/cleanup.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <unistd.h>

bool hit_ends(int signo)
{
    switch (signo) {
    case SIGKILL:
    case SIGTERM:
    case SIGINT:
    case SIGQUIT:
    case SIGABRT:
    case SIGSEGV:
    case SIGBUS:
    case SIGILL:
    case SIGFPE:
        return true;
    default:
        return false;
    }
}

struct hit_one {
    pid_t pid;
    int pidfd;
    bool done;
};

/* Whether it has reached what the signal does: gone, stopped, running again; others at once. */
static bool hit_is_done(const struct hit_one *h, int signo)
{
    struct proc p;
    if (hit_ends(signo)) {
        struct pollfd fd = {.fd = h->pidfd, .events = POLLIN};
        return poll(&fd, 1, 0) == 1;
    }
    if (signo != SIGSTOP && signo != SIGCONT)
        return true;
    if (!procs_read(h->pid, &p))
        return true;
    free(p.argv0);
    bool stopped = p.state == 'T' || p.state == 't' || !procs_is_alive(&p);
    return signo == SIGSTOP ? stopped : !stopped || !procs_is_alive(&p);
}

static size_t hit_confirm(struct hit_one *hits, size_t n, int signo, nsec until)
{
    for (nsec step = 20 * NSEC_USEC;;) {
        size_t done = 0;
        struct pollfd next = {.fd = -1, .events = POLLIN};
        for (size_t i = 0; i < n; i++) {
            hits[i].done = hits[i].done || hit_is_done(&hits[i], signo);
            done += hits[i].done;
            if (!hits[i].done && hit_ends(signo))
                next.fd = hits[i].pidfd;
        }
        nsec left = nsec_sub(until, nsec_now(CLOCK_MONOTONIC));
        if (done == n || left <= 0)
            return done;
        /* A pidfd wakes us; a state must be looked at again. */
        struct timespec wait = nsec_to_timespec(next.fd >= 0 || left < step ? left : step);
        ppoll(&next, 1, &wait, NULL);
        step = step < NSEC_MSEC ? step * 2 : step;
    }
}

int hit_processes(const struct proc **who, int signo, nsec confirm, struct hit *ret,
                  struct err *err)
{
    size_t n = 0;
    int r = 0;
    AUTO_FREE struct hit_one *hits = calloc(ret->n + 1, sizeof *hits);
    if (!hits)
        return err_errno(err, ENOMEM, "cannot send signals");
    for (size_t i = 0; i < ret->n; i++) {
        if ((hits[n].pidfd = procs_pidfd(who[i])) < 0)
            continue;
        hits[n].pid = who[i]->pid;
        who[n++] = who[i];
    }
    struct span at = {.lo = nsec_now(CLOCK_MONOTONIC)};
    for (size_t i = 0; i < n; i++)
        if (pidfd_send_signal(hits[i].pidfd, signo, NULL, 0) < 0 && errno != ESRCH)
            r = err_errno(err, errno, "cannot send signal %d to pid %d", signo, hits[i].pid);
    size_t confirmed = hit_confirm(hits, n, signo, nsec_add(at.lo, confirm));
    at.hi = nsec_now(CLOCK_MONOTONIC);
    if (r == 0 && confirmed < n && signo == SIGKILL)
        r = err_set(err, ETIMEDOUT, "%zu of %zu killed processes have not ended yet", n - confirmed,
                    n);
    for (size_t i = 0; i < n; i++)
        close(hits[i].pidfd);
    *ret = (struct hit){.n = n, .confirmed = confirmed, .at = at};
    return r;
}
