/* When a host counts as ready, see `struct ready` in the model: a port that takes connections, a
 * command that succeeds, a line of output; without any, as soon as its commands were started.
 *
 * All is driven by one timer per host, every READY_STEP; a connection is made from a socket born in
 * the host's namespace and looked at in the next step.
 */
#include "sim/lab/node.h"

#include "sim/kernel/netns.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define READY_STEP (10 * NSEC_MSEC)
#define READY_WITHIN (10 * NSEC_SEC)
#define READY_CONNECT (NSEC_SEC)          /* then another connection is tried */
#define READY_ASK_AGAIN (100 * NSEC_MSEC) /* after a command that failed */
#define READY_LAST_LINES 10

static void ready_close_socks(struct ready_watch *w)
{
    for (size_t i = 0; i < w->socks_n; i++)
        if (w->socks[i] >= 0)
            close(w->socks[i]);
    free(w->socks);
    w->socks = NULL;
    w->socks_n = 0;
}

void ready_end(struct lab_node *n)
{
    struct ready_watch *w = &n->watch;
    loop_timer_cancel(n->lab->loop, &w->timer);
    ready_close_socks(w);
    if (w->re_made)
        regfree(&w->re);
    *w = (struct ready_watch){0};
}

/* "waiting for …" */
static void ready_want(const struct ready *r, struct buf *out)
{
    if (r->tcp)
        buf_printf(out, "TCP port %s", r->tcp);
    else if (r->command)
        buf_printf(out, "the command \"%s\" to succeed", r->command);
    else
        buf_printf(out, "a line of %s that matches \"%s\"", r->output ? r->output : "any unit",
                   r->match ? r->match : "");
}

static void ready_last_lines(struct lab_node *n, const char *unit, struct buf *out)
{
    for (size_t i = 0; i < n->host->start.n; i++)
        output_drain(&n->outputs[i]);
    AUTO_FREE char *tail = lab_node_tail(n, unit, READY_LAST_LINES);
    if (tail && *tail)
        buf_printf(out, "; last lines:\n%s", tail);
    else
        buf_adds(out, "; it wrote nothing");
}

static void ready_fail(struct lab_node *n, struct lab_event e, struct buf *why)
{
    AUTO_FREE char *text = buf_steal(why);
    ready_end(n);
    e.kind = LAB_FAILED;
    e.reason = text;
    node_emit(n, e);
}

bool ready_exited(struct lab_node *n, const char *unit, int code, int signo)
{
    struct buf why = BUF_INIT;
    if (!n->watch.active || (code == 0 && signo == 0))
        return false;
    buf_printf(&why, "host %s: %s ", n->host->name, unit);
    if (signo)
        buf_printf(&why, "was ended by signal %d (%s)", signo, strsignal(signo));
    else
        buf_printf(&why, "exited with code %d", code);
    buf_adds(&why, " before the host was ready");
    ready_last_lines(n, unit, &why);
    ready_fail(n, (struct lab_event){.unit = unit, .code = code, .signo = signo}, &why);
    return true;
}

void ready_line(struct lab_node *n, const char *unit, const char *line, size_t len)
{
    const struct ready *r = n->host->ready;
    struct ready_watch *w = &n->watch;
    if (!w->active || !w->re_made || w->seen || (r->output && strcmp(r->output, unit)))
        return;
    regmatch_t all = {.rm_so = 0, .rm_eo = (regoff_t)len};
    w->seen = regexec(&w->re, line, 1, &all, REG_STARTEND) == 0;
}

/* --- TCP -------------------------------------------------------------------------------------- */

static void ready_connect_to(struct lab_node *n, const struct inet_prefix *to, uint16_t port)
{
    struct ready_watch *w = &n->watch;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    const bool six = to->family == AF_INET6;
    memcpy(&v4.sin_addr, to->addr, 4);
    memcpy(&v6.sin6_addr, to->addr, 16);
    int *more = reallocarray(w->socks, w->socks_n + 1, sizeof *more), fd;
    if (!more)
        return;
    w->socks = more;
    if (netns_socket(n->netns, to->family, SOCK_STREAM | SOCK_NONBLOCK, 0, &fd, NULL) < 0)
        return;
    const struct sockaddr *sa = six ? (const void *)&v6 : (const void *)&v4;
    if (connect(fd, sa, six ? sizeof v6 : sizeof v4) < 0 && errno != EINPROGRESS) {
        close(fd);
        return;
    }
    w->socks[w->socks_n++] = fd;
}

static void ready_connect(struct lab_node *n)
{
    char text[64];
    struct inet_prefix p;
    const struct topo *t = n->lab->topo;
    const struct topo_host *h = &t->hosts[n->index];
    const char *colon = strrchr(n->host->ready->tcp, ':');
    uint16_t port = (uint16_t)strtoul(colon ? colon + 1 : n->host->ready->tcp, NULL, 10);
    n->watch.socks_since = loop_now(n->lab->loop);
    if (colon) {
        const char *from = n->host->ready->tcp;
        size_t len = (size_t)(colon - from);
        if (len > 2 && from[0] == '[') {
            from++;
            len -= 2;
        }
        snprintf(text, sizeof text, "%.*s", (int)len, from);
        if (inet_parse(text, &p, NULL) == 0)
            ready_connect_to(n, &p, port);
        return;
    }
    for (size_t i = h->address; i < h->address + h->addresses; i++)
        ready_connect_to(n, &t->addresses[i].prefix, port);
    if (inet_parse("127.0.0.1", &p, NULL) == 0)
        ready_connect_to(n, &p, port);
    if (inet_parse("::1", &p, NULL) == 0)
        ready_connect_to(n, &p, port);
}

/* True when one of the connections was taken; forgets those that were refused. */
static bool ready_is_connected(struct lab_node *n)
{
    struct ready_watch *w = &n->watch;
    bool waiting = false;
    for (size_t i = 0; i < w->socks_n; i++) {
        struct pollfd fd = {.fd = w->socks[i], .events = POLLOUT};
        int code = 0;
        socklen_t size = sizeof code;
        if (fd.fd < 0 || poll(&fd, 1, 0) == 0) {
            waiting = waiting || fd.fd >= 0;
            continue;
        }
        if (getsockopt(fd.fd, SOL_SOCKET, SO_ERROR, &code, &size) == 0 && code == 0) {
            ready_close_socks(w);
            return true;
        }
        close(fd.fd);
        w->socks[i] = -1;
    }
    if (!waiting || loop_now(n->lab->loop) - w->socks_since > READY_CONNECT) {
        ready_close_socks(w);
        ready_connect(n);
    }
    return false;
}

/* --- Command ---------------------------------------------------------------------------------- */

static void ready_answered(const struct lab_run_result *r, void *data)
{
    struct lab_node *n = data;
    struct ready_watch *w = &n->watch;
    if (!w->active)
        return;
    w->asking = false;
    w->seen = w->seen || (r->code == 0 && !r->signo);
    w->next_ask = loop_now(n->lab->loop) + READY_ASK_AGAIN;
}

static void ready_ask(struct lab_node *n)
{
    struct ready_watch *w = &n->watch;
    nsec now = loop_now(n->lab->loop);
    if (w->asking || w->seen || now < w->next_ask || w->deadline - now < NSEC_MSEC)
        return;
    w->asking =
        lab_node_ask(n, n->host->ready->command, w->deadline - now, ready_answered, n, NULL) == 0;
}

/* --- The timer -------------------------------------------------------------------------------- */

static bool ready_is(struct lab_node *n)
{
    const struct ready *r = n->host->ready;
    if (!r)
        return true;
    if (r->tcp)
        return ready_is_connected(n);
    if (r->command)
        ready_ask(n);
    return n->watch.seen;
}

static void ready_step(struct loop_timer *t, void *data)
{
    struct lab_node *n = data;
    struct ready_watch *w = &n->watch;
    nsec now = loop_now(n->lab->loop);
    if (!w->started_told) {
        w->started_told = true;
        node_emit(n, (struct lab_event){.kind = LAB_STARTED});
        if (!w->active)
            return;
    }
    if (ready_is(n)) {
        ready_end(n);
        n->ready = true;
        node_emit(n, (struct lab_event){.kind = LAB_READY});
        return;
    }
    if (now >= w->deadline) {
        char limit[NSEC_TEXT_MAX];
        nsec within = n->host->ready->within;
        struct buf why = BUF_INIT;
        buf_printf(&why, "host %s was not ready within %s: still waiting for ", n->host->name,
                   nsec_text(within > 0 ? within : READY_WITHIN, limit));
        ready_want(n->host->ready, &why);
        ready_last_lines(n, NULL, &why);
        ready_fail(n, (struct lab_event){0}, &why);
        return;
    }
    loop_timer_set(n->lab->loop, &w->timer, now + READY_STEP);
}

int ready_begin(struct lab_node *n, struct err *err)
{
    const struct ready *r = n->host->ready;
    struct ready_watch *w = &n->watch;
    nsec now = loop_fresh(n->lab->loop);
    ready_end(n);
    if (r && r->match) {
        char why[128];
        int code = regcomp(&w->re, r->match, REG_EXTENDED);
        if (code) {
            regerror(code, &w->re, why, sizeof why);
            return err_set(err, EINVAL, "host %s: ready: match: %s", n->host->name, why);
        }
        w->re_made = true;
    }
    nsec within = r && r->within > 0 ? r->within : READY_WITHIN;
    w->active = true;
    w->deadline = nsec_add(now, within);
    w->timer = (struct loop_timer){.fn = ready_step, .data = n};
    loop_timer_set(n->lab->loop, &w->timer, now);
    return 0;
}
