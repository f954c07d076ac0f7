/* Packets of our own along cut paths. See crossing.h. */
#include "injectors/net/partition/crossing.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "sim/kernel/netns.h"

#define CROSSING_MAGIC 0x626c61636b737461ull /* "blacksta" */
/* Ports of the scope that are tried until one is free. */
#define CROSSING_PORTS 4

struct crossing_payload {
    uint64_t magic, path;
};

struct echo {
    uint8_t type, code;
    uint16_t checksum, id, sequence;
    struct crossing_payload payload;
};

struct crossing_path {
    int l4proto, family;
    int in, out; /* sockets at the sender and at the receiver; -1: none */
    bool arrived, refused;
};

struct crossing {
    struct crossing_path *paths;
    size_t n, tried;
};

static void close_path(struct crossing_path *path)
{
    if (path->in >= 0)
        close(path->in);
    if (path->out >= 0)
        close(path->out);
    path->in = path->out = -1;
}

struct crossing *crossing_free(struct crossing *x)
{
    if (!x)
        return NULL;
    for (size_t i = 0; i < x->n; i++)
        close_path(&x->paths[i]);
    free(x->paths);
    free(x);
    return NULL;
}

size_t crossing_tried(const struct crossing *x)
{
    return x->tried;
}

/* --- Sockets ---------------------------------------------------------------------------------- */

static socklen_t socket_address(const struct inet_prefix *p, uint16_t port,
                                struct sockaddr_storage *ret)
{
    *ret = (struct sockaddr_storage){.ss_family = p->family};
    if (p->family == AF_INET) {
        struct sockaddr_in *to = (struct sockaddr_in *)ret;
        memcpy(&to->sin_addr, p->addr, 4);
        to->sin_port = htons(port);
        return sizeof *to;
    }
    struct sockaddr_in6 *to = (struct sockaddr_in6 *)ret;
    memcpy(&to->sin6_addr, p->addr, 16);
    to->sin6_port = htons(port);
    return sizeof *to;
}

/* port 0: one that is free. */
static int bound_socket(struct lab_node *n, int type, int protocol, const struct inet_prefix *at,
                        uint16_t port, int *ret_fd, struct sockaddr_storage *ret_at,
                        struct err *err)
{
    AUTO_CLOSE int fd = -1;
    int r = netns_socket(lab_node_netns(n), at->family, type | SOCK_NONBLOCK, protocol, &fd, err);
    if (r < 0)
        return r;
    struct sockaddr_storage where;
    socklen_t len = socket_address(at, port, &where);
    socklen_t got = sizeof *ret_at;
    if (bind(fd, (struct sockaddr *)&where, len) < 0 ||
        getsockname(fd, (struct sockaddr *)ret_at, &got) < 0)
        return err_errno(err, errno, "opening a socket on host '%s'", lab_node_name(n));
    *ret_fd = steal_fd(&fd);
    return 0;
}

/* 1: both have an address of one family. */
static int common_family(const struct port *a, const struct port *b,
                         const struct inet_prefix **ret_a, const struct inet_prefix **ret_b)
{
    for (size_t i = 0; i < a->n_addresses; i++)
        for (size_t k = 0; k < b->n_addresses; k++)
            if (a->addresses[i].family == b->addresses[k].family) {
                *ret_a = &a->addresses[i];
                *ret_b = &b->addresses[k];
                return 1;
            }
    return 0;
}

/* A way from one host to another, while its sockets are opened. */
struct opening {
    struct lab_node *from, *to;
    const struct inet_prefix *source, *target;
    struct sockaddr_storage there; /* where it is sent to */
    struct crossing_path *path;
};

static int open_ends(struct opening *o, uint16_t sport, uint16_t dport, struct err *err)
{
    struct sockaddr_storage mine;
    int type = o->path->l4proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
    int r = bound_socket(o->to, type, 0, o->target, dport, &o->path->out, &o->there, err);
    if (r == 0)
        r = bound_socket(o->from, type, 0, o->source, sport, &o->path->in, &mine, err);
    if (r < 0)
        close_path(o->path);
    return r;
}

/* Either end may have the port: ours at the sender disturbs nobody. */
static int open_udp_port(struct opening *o, const struct cut_scope *s, struct err *err)
{
    struct port_range range = s->ports.items[0];
    int r = -EADDRINUSE;
    for (int p = range.lo; r < 0 && p <= range.hi && p < range.lo + CROSSING_PORTS; p++)
        r = s->new_only ? open_ends(o, 0, (uint16_t)p, err) : open_ends(o, (uint16_t)p, 0, err);
    return r;
}

static int open_sender(struct opening *o, int type, int protocol, uint16_t port, struct err *err)
{
    struct sockaddr_storage mine;
    socket_address(o->target, port, &o->there);
    return bound_socket(o->from, type, protocol, o->source, 0, &o->path->in, &mine, err);
}

static int open_path(struct opening *o, const struct cut_scope *s, struct err *err)
{
    int r;
    if (o->path->l4proto == IPPROTO_ICMP)
        return open_sender(o, SOCK_RAW,
                           o->path->family == AF_INET ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6, 0,
                           err);
    if (s->ports.n > 0)
        return o->path->l4proto == IPPROTO_TCP
                   ? open_sender(o, SOCK_STREAM, 0, s->ports.items[0].lo, err)
                   : open_udp_port(o, s, err);
    r = open_ends(o, 0, 0, err);
    if (r == 0 && o->path->l4proto == IPPROTO_TCP && listen(o->path->out, 1) < 0)
        r = err_errno(err, errno, "listening on host '%s'", lab_node_name(o->to));
    return r;
}

/* --- Sending ---------------------------------------------------------------------------------- */

static uint16_t checksum(const void *data, size_t n)
{
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < n; i += 2) {
        uint16_t word;
        memcpy(&word, (const char *)data + i, sizeof word);
        sum += word;
    }
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static bool send_payload(const struct crossing_path *path, size_t i)
{
    struct crossing_payload payload = {.magic = CROSSING_MAGIC, .path = i};
    if (path->l4proto != IPPROTO_ICMP)
        return send(path->in, &payload, sizeof payload, MSG_NOSIGNAL) == (ssize_t)sizeof payload;
    struct echo echo = {.type = path->family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
                        .id = (uint16_t)i,
                        .payload = payload};
    if (path->family == AF_INET) /* that of ICMPv6 is the kernel's business */
        echo.checksum = checksum(&echo, sizeof echo);
    return send(path->in, &echo, sizeof echo, MSG_NOSIGNAL) == (ssize_t)sizeof echo;
}

/* Sends along one path. What cannot be tried (no address, no route, cable out, port taken) is left
 * out: the rules are read back in any case. */
static void try_path(struct lab *lab, struct crossing *x, size_t i, const struct cut_scope *s,
                     const struct port *from, const struct port *to)
{
    struct opening o = {
        .from = lab_node(lab, from->host), .to = lab_node(lab, to->host), .path = &x->paths[i]};
    if (!lab_node_is_up(o.from) || !lab_node_is_up(o.to) ||
        !common_family(from, to, &o.source, &o.target))
        return;
    o.path->family = o.target->family;
    bool sent = open_path(&o, s, NULL) == 0;
    if (sent) {
        socklen_t len =
            o.there.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        int r = connect(o.path->in, (struct sockaddr *)&o.there, len);
        sent = o.path->l4proto == IPPROTO_TCP ? r == 0 || errno == EINPROGRESS
                                              : r == 0 && send_payload(o.path, i);
    }
    if (sent)
        x->tried++;
    else
        close_path(o.path);
}

/* What the i-th path is tried with. */
static int protocol_of(const struct cut_scope *s, size_t i)
{
    if (s->protocol)
        return s->protocol;
    return (s->ports.n > 0 || s->new_only) && i % 2 == 0 ? IPPROTO_TCP : IPPROTO_UDP;
}

int crossing_send(struct lab *lab, const struct cut *c, const struct cut_scope *s, size_t max,
                  struct crossing **ret, struct err *err)
{
    size_t all = c->n_pairs + c->n_routes, n = all < max ? all : max;
    CLEANUP(crossing_free_p) struct crossing *x = calloc(1, sizeof *x);
    if (x)
        x->paths = calloc(n + 1, sizeof *x->paths);
    if (!x || !x->paths)
        return err_errno(err, ENOMEM, "trying the cut");
    x->n = n;
    for (size_t i = 0; i < n; i++)
        x->paths[i] = (struct crossing_path){.l4proto = protocol_of(s, i), .in = -1, .out = -1};
    for (size_t i = 0; i < n; i++) {
        size_t k = i * all / n;
        const struct cut_pair *p = k < c->n_pairs ? &c->pairs[k] : &c->routes[k - c->n_pairs];
        if (x->paths[i].l4proto != IPPROTO_SCTP) /* few kernels have it */
            try_path(lab, x, i, s, &c->ports.items[p->from], &c->ports.items[p->to]);
    }
    *ret = steal_ptr(x);
    return 0;
}

/* --- What came of it -------------------------------------------------------------------------- */

static bool is_ours(const struct crossing_payload *p, size_t i)
{
    return p->magic == CROSSING_MAGIC && p->path == i;
}

static void collect_udp(struct crossing_path *path, size_t i)
{
    struct crossing_payload got;
    for (;;) {
        ssize_t n = recv(path->out, &got, sizeof got, MSG_DONTWAIT);
        if (n < 0)
            break;
        if (n == (ssize_t)sizeof got && is_ours(&got, i))
            path->arrived = true;
    }
    if (recv(path->in, &got, sizeof got, MSG_DONTWAIT) < 0 && errno == ECONNREFUSED)
        path->refused = true;
}

static void collect_tcp(struct crossing_path *path)
{
    struct pollfd p = {.fd = path->in, .events = POLLOUT};
    int error = 0;
    socklen_t len = sizeof error;
    if (poll(&p, 1, 0) != 1 || getsockopt(path->in, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return;
    if (error == ECONNREFUSED)
        path->refused = true;
    else if (error == 0 && !path->refused)
        path->arrived = true;
}

/* An answer means that the question arrived. */
static void collect_icmp(struct crossing_path *path, size_t i)
{
    char got[256];
    for (;;) {
        ssize_t n = recv(path->in, got, sizeof got, MSG_DONTWAIT);
        if (n < 0)
            break;
        struct echo echo;
        size_t head = path->family == AF_INET ? (size_t)(got[0] & 0x0f) * 4 : 0;
        if ((size_t)n < head + sizeof echo)
            continue;
        memcpy(&echo, got + head, sizeof echo);
        if ((echo.type == (path->family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY)) &&
            is_ours(&echo.payload, i))
            path->arrived = true;
    }
    path->refused = path->refused || errno == ECONNREFUSED;
}

void crossing_collect(struct crossing *x, size_t *ret_arrived, size_t *ret_refused)
{
    size_t arrived = 0, refused = 0;
    for (size_t i = 0; i < x->n; i++) {
        struct crossing_path *path = &x->paths[i];
        if (path->in >= 0 && path->l4proto == IPPROTO_TCP)
            collect_tcp(path);
        else if (path->in >= 0 && path->l4proto == IPPROTO_ICMP)
            collect_icmp(path, i);
        else if (path->in >= 0)
            collect_udp(path, i);
        arrived += path->arrived;
        refused += path->refused;
    }
    *ret_arrived = arrived;
    *ret_refused = refused;
}
