/* The runner's end of a proxy; see proxy.h. */
#include "sim/proxy/proxy.h"

#include "sim/proxy/word.h"

#include <errno.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define ANSWERS_WITHIN 5000 /* ms */

struct proxy {
    char host[128];
    int sock, pidfd;
    nl_observer *changed;
    void *data;
};

static int hear(struct proxy *p, struct word *ret, struct err *err)
{
    struct pollfd fd = {.fd = p->sock, .events = POLLIN};
    ssize_t n;
    while ((n = recv(p->sock, ret, sizeof *ret, MSG_DONTWAIT)) < 0 &&
           (errno == EAGAIN || errno == EINTR))
        if (poll(&fd, 1, ANSWERS_WITHIN) == 0)
            return err_set(err, ETIMEDOUT, "the proxy in host %s does not answer", p->host);
    if (n != (ssize_t)sizeof *ret)
        return err_set(err, ESRCH, "the proxy in host %s has ended", p->host);
    return ret->error ? err_set(err, ret->error, "%s", ret->text) : 0;
}

static int await(struct proxy *p, struct word *ret, struct err *err)
{
    int r;
    while ((r = hear(p, ret, err)) == 0 && ret->kind == WORD_CHANGE) {
        char where[sizeof p->host + 8];
        snprintf(where, sizeof where, "host %s", p->host);
        const struct nl_seen seen = {.where = where, .text = ret->text};
        if (p->changed)
            p->changed(&seen, p->data);
    }
    return r;
}

static int ask(struct proxy *p, struct word *w, struct err *err)
{
    if (send(p->sock, w, sizeof *w, MSG_NOSIGNAL) < 0)
        return err_set(err, ESRCH, "the proxy in host %s has ended", p->host);
    return await(p, w, err);
}

int proxy_start(const struct proxy_spec *spec, struct proxy **ret, struct err *err)
{
    int ends[2];
    CLEANUP(proxy_free_p) struct proxy *p = calloc(1, sizeof *p);
    if (!p)
        return err_errno(err, ENOMEM, "starting a proxy");
    *p = (struct proxy){.sock = -1, .pidfd = -1};
    snprintf(p->host, sizeof p->host, "%s", spec->host);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return err_errno(err, errno, "cannot make a socket pair for a proxy");
    p->sock = ends[0];
    AUTO_CLOSE int theirs = ends[1];
    struct clone_args args = {
        .flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&p->pidfd, .exit_signal = SIGCHLD};
    fflush(NULL);
    /* Not fork(3): it gives no pidfd. What it would do besides matters to threads only. */
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid < 0)
        return err_errno(err, errno, "cannot start a proxy for host %s", spec->host);
    if (pid == 0)
        inside_run(spec, theirs);
    close(steal_fd(&theirs)); /* or its end would never be seen */
    struct word ready;
    int r = await(p, &ready, err);
    if (r < 0)
        return r;
    *ret = steal_ptr(p);
    return 0;
}

int proxy_engage(struct proxy *p, nl_observer *changed, void *data, struct span *ret_at,
                 struct err *err)
{
    struct word w = {.kind = WORD_ENGAGE};
    p->changed = changed;
    p->data = data;
    int r = ask(p, &w, err);
    p->changed = NULL;
    if (r == 0)
        *ret_at = w.at;
    return r;
}

int proxy_read(struct proxy *p, struct proxy_counts *ret, struct err *err)
{
    struct word w = {.kind = WORD_READ};
    int r = ask(p, &w, err);
    if (r == 0)
        *ret = w.counts;
    return r;
}

int proxy_expect(struct proxy *p, uint16_t own_port, struct err *err)
{
    struct word w = {.kind = WORD_EXPECT, .port = own_port};
    return ask(p, &w, err);
}

struct proxy *proxy_free(struct proxy *p)
{
    if (!p)
        return NULL;
    if (p->pidfd >= 0) {
        siginfo_t info;
        pidfd_send_signal(p->pidfd, SIGKILL, NULL, 0);
        while (waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED) < 0 && errno == EINTR)
            ;
        close(p->pidfd);
    }
    if (p->sock >= 0)
        close(p->sock);
    free(p);
    return NULL;
}
