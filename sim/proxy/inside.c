/* The process of a proxy; see proxy.h.
 *
 * Life: it is forked, enters the network namespace, listens, says WORD_READY, and then obeys. Its socket
 * of nf_tables is opened here and nowhere else, so the rules end with this process.
 */
#include "sim/proxy/inside.h"
#include "sim/proxy/word.h"

#include "sim/base/file.h"
#include "sim/kernel/netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define DESCRIPTORS 65536
#define BACKLOG 1024
#define ACCEPT_AT_ONCE 64
#define PORT_TRIES 32
#define RECEIVE_BUFFER (4 << 20)

bool inside_hits(struct inside *in, bool own)
{
    return own || in->spec->share >= 1 || rng_unit(&in->rng) < in->spec->share;
}

bool inside_is_own(struct inside *in, const struct sockaddr_storage *from)
{
    return in->own_port && inet_endpoint_port(from) == in->own_port;
}

void inside_count_hit(struct inside *in, bool own)
{
    if (own)
        in->counts.own++;
    else
        in->counts.hit++;
}

static int plain_socket(int family, int type)
{
    int one = 1, fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && type == SOCK_STREAM)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

int inside_socket(int family, int type)
{
    uint32_t mark = PROXY_MARK;
    AUTO_CLOSE int fd = plain_socket(family, type);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) < 0)
        return -1;
    return steal_fd(&fd);
}

/* --- Listening -------------------------------------------------------------------------------- */

static int listen_on(struct inside *in, int family, int type, uint16_t port, int *ret)
{
    bool dns = in->spec->kind == PROXY_DNS;
    struct sockaddr_storage at = {.ss_family = (sa_family_t)family};
    int one = 1, big = RECEIVE_BUFFER;
    if (family == AF_INET) {
        struct sockaddr_in *a = (struct sockaddr_in *)&at;
        a->sin_addr.s_addr = htonl(dns ? INADDR_LOOPBACK : INADDR_ANY);
        a->sin_port = htons(port);
    } else {
        struct sockaddr_in6 *a = (struct sockaddr_in6 *)&at;
        a->sin6_addr = dns ? in6addr_loopback : in6addr_any;
        a->sin6_port = htons(port);
    }
    /* Without the mark: our answers must be translated back. */
    AUTO_CLOSE int fd = plain_socket(family, type);
    if (fd < 0)
        return -errno;
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (!dns &&
        (family == AF_INET ? setsockopt(fd, SOL_IP, IP_TRANSPARENT, &one, sizeof one)
                           : setsockopt(fd, SOL_IPV6, IPV6_TRANSPARENT, &one, sizeof one)) < 0)
        return -errno;
    if (type == SOCK_DGRAM)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof big);
    if (bind(fd, (struct sockaddr *)&at, inet_endpoint_size(&at)) < 0 ||
        (type == SOCK_STREAM && listen(fd, BACKLOG) < 0))
        return -errno;
    *ret = steal_fd(&fd);
    return 0;
}

static void forget(struct inside_listener l[2])
{
    for (int i = 0; i < 2; i++)
        if (l[i].fd >= 0)
            close(steal_fd(&l[i].fd));
}

/* Both families and protocols on one port; IPv6 only where there is any. */
static int try_port(struct inside *in, uint16_t port)
{
    static const int families[] = {AF_INET, AF_INET6};
    for (int i = 0; i < 2; i++) {
        int r = listen_on(in, families[i], SOCK_STREAM, port, &in->tcp[i].fd);
        if (r == 0 && in->spec->kind == PROXY_DNS)
            r = listen_on(in, families[i], SOCK_DGRAM, port, &in->udp[i].fd);
        if (r < 0 && (i == 0 || r == -EADDRINUSE || r == -EPERM))
            return r;
        if (r < 0) {
            forget(&in->tcp[i]);
            return 0;
        }
        *(i ? &in->listens.v6 : &in->listens.v4) = true;
    }
    return 0;
}

/* Ports below those that the kernel gives to clients by itself. */
static int choose_port(struct inside *in, struct err *err)
{
    int r = -EADDRINUSE;
    for (int i = 0; i < PORT_TRIES && r == -EADDRINUSE; i++) {
        for (int k = 0; k < 2; k++)
            in->tcp[k].fd = in->udp[k].fd = -1;
        in->listens =
            (struct proxy_listens){.port = (uint16_t)(20000 + rng_below(&in->rng, 12000))};
        r = try_port(in, in->listens.port);
        if (r == -EADDRINUSE) {
            forget(in->tcp);
            forget(in->udp);
        }
    }
    return r < 0 ? err_errno(err, -r, "cannot listen inside of host %s", in->spec->host) : 0;
}

static void accepted(struct inside *in, int fd, const struct sockaddr_storage *from)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (in->spec->kind == PROXY_DNS)
        dns_way_accept(in, fd, from);
    else if (in->spec->kind == PROXY_HTTP)
        http_way_accept(in, fd, from);
    else
        tls_way_accept(in, fd, from);
}

static void tcp_ready(struct loop_io *io, uint32_t events, void *data)
{
    struct inside_listener *l = data;
    inside_hear(l->in);
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        struct sockaddr_storage from = {0};
        socklen_t n = sizeof from;
        int fd = accept4(l->fd, (struct sockaddr *)&from, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        accepted(l->in, fd, &from);
    }
}

static void udp_ready(struct loop_io *io, uint32_t events, void *data)
{
    struct inside_listener *l = data;
    inside_hear(l->in);
    dns_way_datagrams(l);
}

static int watch(struct inside *in, struct inside_listener *l, int family,
                 void (*fn)(struct loop_io *, uint32_t, void *), struct err *err)
{
    l->in = in;
    l->family = family;
    l->io = (struct loop_io){.fn = fn, .data = l};
    return l->fd < 0 ? 0 : loop_io_add(in->loop, &l->io, l->fd, EPOLLIN, err);
}

/* --- Obeying ---------------------------------------------------------------------------------- */

static void tell_change(const struct nl_seen *seen, void *data)
{
    const struct inside *in = data;
    struct word w = {.kind = WORD_CHANGE, .at = SPAN_UNSET};
    snprintf(w.text, sizeof w.text, "%s", seen->text);
    if (seen->result == 0)
        (void)send(in->sock, &w, sizeof w, MSG_NOSIGNAL);
}

static int engage(struct inside *in, struct span *at, struct err *err)
{
    char name[PROXY_TABLE_MAX];
    const struct nft_table t = {NFT_FAMILY_INET, proxy_table(in->spec->kind, in->spec->port, name)};
    at->lo = nsec_now(CLOCK_MONOTONIC);
    int r = nft_table_create(in->nl, &t, err);
    if (r == -EEXIST || r == -EPERM) /* EPERM: it is there, and its owner is not we */
        return err_set(err, EBUSY, "host %s: one of ours stands in this way already (table %s)",
                       in->spec->host, name);
    if (r == 1) {
        nft_table_delete(in->nl, &t);
        (void)nl_flush(in->nl, NULL);
        return err_set(err, EOPNOTSUPP,
                       "this kernel has no tables that end with their owner (Linux 5.12): what was "
                       "led to a proxy would be led nowhere after its death");
    }
    if (r < 0)
        return r;
    proxy_encode(in->nl, in->spec, &in->listens);
    r = nl_flush(in->nl, err);
    at->hi = nsec_now(CLOCK_MONOTONIC);
    return r;
}

static void obey(struct inside *in, const struct word *ask)
{
    struct word answer = {.kind = ask->kind, .at = SPAN_UNSET};
    struct err err = ERR_INIT;
    int r = 0;
    if (ask->kind == WORD_ENGAGE) {
        nl_observe(in->nl, tell_change, in);
        r = engage(in, &answer.at, &err);
        nl_observe(in->nl, NULL, NULL);
    } else if (ask->kind == WORD_READ)
        answer.counts = in->counts;
    else if (ask->kind == WORD_EXPECT)
        in->own_port = ask->port;
    answer.error = -r;
    snprintf(answer.text, sizeof answer.text, "%s", err.text);
    (void)send(in->sock, &answer, sizeof answer, MSG_NOSIGNAL);
}

void inside_hear(struct inside *in)
{
    struct word ask;
    ssize_t n;
    while ((n = recv(in->sock, &ask, sizeof ask, MSG_DONTWAIT)) == (ssize_t)sizeof ask)
        obey(in, &ask);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        _exit(0); /* the runner is gone */
}

static void control_ready(struct loop_io *io, uint32_t events, void *data)
{
    inside_hear(data);
}

/* --- Starting --------------------------------------------------------------------------------- */

static int inside_open(struct inside *in, struct err *err)
{
    static const int families[] = {AF_INET, AF_INET6};
    char where[80];
    snprintf(where, sizeof where, "host %s", in->spec->host);
    if (setns(in->spec->netns_fd, CLONE_NEWNET) < 0)
        return err_errno(err, errno, "cannot enter the network namespace of %s", where);
    close(in->spec->netns_fd);
    int r = loop_new(LOOP_REAL, &in->loop, err);
    if (r == 0)
        r = nl_open_kernel(-1, where, &in->nl, err);
    if (r == 0)
        r = choose_port(in, err);
    if (r == 0 && in->spec->kind == PROXY_DNS)
        r = dns_way_open(in, err);
    if (r == 0 && in->spec->kind == PROXY_TLS)
        r = tls_way_open(in, err);
    for (int i = 0; i < 2 && r == 0; i++) {
        r = watch(in, &in->tcp[i], families[i], tcp_ready, err);
        if (r == 0)
            r = watch(in, &in->udp[i], families[i], udp_ready, err);
    }
    in->control = (struct loop_io){.fn = control_ready, .data = in};
    return r < 0 ? r : loop_io_add(in->loop, &in->control, in->sock, EPOLLIN, err);
}

static void arrange(int *sock, int netns_fd)
{
    struct rlimit limit;
    sigset_t all;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "bs-proxy");
    prctl(PR_SET_TIMERSLACK, 1UL);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL); /* Ctrl-C is the runner's */
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) { /* two for each connection */
        limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
    }
    int keep[] = {*sock, netns_fd};
    file_close_others(keep, ARRAY_SIZE(keep));
}

void inside_run(const struct proxy_spec *spec, int sock)
{
    struct err err = ERR_INIT;
    struct inside in = {.spec = spec, .sock = sock, .rng = rng_stream(spec->seed, "proxy", 0, 0)};
    struct word ready = {.kind = WORD_READY, .at = SPAN_UNSET};
    arrange(&in.sock, spec->netns_fd);
    ready.error = -inside_open(&in, &err);
    snprintf(ready.text, sizeof ready.text, "%s", err.text);
    if (send(sock, &ready, sizeof ready, MSG_NOSIGNAL) < 0 || ready.error)
        _exit(1);
    loop_run(in.loop, &err);
    _exit(1);
}
