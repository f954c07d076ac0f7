/* Packets of our own along cut paths. See crossing.h. */
#include "injectors/net/partition/crossing.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "injectors/net/partition/knock.h"
#include "sim/kernel/netns.h"

/* Ports of the scope that are tried until one is free. */
#define CROSSING_PORTS 4
/* Of our own raw packets, where the scope names none: nobody's by habit. Each path has its own at the
 * sender, or the way back would be taken for the answer of the way there, and new to nobody. */
#define CROSSING_SOME_PORT 61000

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

/* The receiver's end. port 0: one that is free. */
static int bound_socket(struct lab_node *n, int type, int protocol, const struct inet_prefix *at,
                        uint16_t port, int *ret_fd, uint16_t *ret_port)
{
    AUTO_CLOSE int fd = -1;
    struct sockaddr_storage where;
    if (netns_socket(lab_node_netns(n), at->family, type | SOCK_NONBLOCK, protocol, &fd, NULL) < 0)
        return -1;
    socklen_t len = knock_address(at, port, &where), got = sizeof where;
    if (bind(fd, (struct sockaddr *)&where, len) < 0 ||
        getsockname(fd, (struct sockaddr *)&where, &got) < 0)
        return -1;
    *ret_port = ntohs(at->family == AF_INET ? ((struct sockaddr_in *)&where)->sin_port
                                            : ((struct sockaddr_in6 *)&where)->sin6_port);
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

/* A way from one host to another, while a packet is sent along it. */
struct opening {
    struct lab_node *to;
    struct knock knock;
    struct crossing_path *path;
};

/* Holds the port that it is sent to, and sends. */
static bool send_to_ours(struct opening *o, uint16_t sport, uint16_t dport)
{
    bool tcp = o->knock.l4proto == IPPROTO_TCP;
    o->knock.source_port = sport;
    bool ok = bound_socket(o->to, tcp ? SOCK_STREAM : SOCK_DGRAM, 0, o->knock.target, dport,
                           &o->path->out, &o->knock.port) == 0 &&
              (!tcp || listen(o->path->out, 1) == 0) && knock_send(&o->knock, &o->path->in) == 0;
    if (!ok)
        close_path(o->path);
    return ok;
}

/* Either end may have the port: ours at the sender disturbs nobody. */
static bool send_udp_of_port(struct opening *o, const struct cut_scope *s)
{
    struct port_range range = s->ports.items[0];
    for (int p = range.lo; p <= range.hi && p < range.lo + CROSSING_PORTS; p++)
        if (s->new_only ? send_to_ours(o, 0, (uint16_t)p) : send_to_ours(o, (uint16_t)p, 0))
            return true;
    return false;
}

/* Raw sockets at both ends: few kernels have SCTP. */
static bool send_sctp(struct opening *o, const struct cut_scope *s)
{
    uint16_t none;
    o->knock.source_port = (uint16_t)(CROSSING_SOME_PORT + 1 + o->knock.path);
    o->knock.port = s->ports.n ? s->ports.items[0].lo : CROSSING_SOME_PORT;
    return bound_socket(o->to, SOCK_RAW, IPPROTO_SCTP, o->knock.target, 0, &o->path->out, &none) ==
               0 &&
           knock_send(&o->knock, &o->path->in) == 0;
}

static bool send_along(struct opening *o, const struct cut_scope *s)
{
    switch (o->knock.l4proto) {
    case IPPROTO_ICMP:
        return knock_send(&o->knock, &o->path->in) == 0;
    case IPPROTO_SCTP:
        return send_sctp(o, s);
    case IPPROTO_TCP:
        if (s->ports.n == 0)
            return send_to_ours(o, 0, 0);
        o->knock.port = s->ports.items[0].lo; /* the user's: we do not listen there */
        return knock_send(&o->knock, &o->path->in) == 0;
    default:
        return s->ports.n ? send_udp_of_port(o, s) : send_to_ours(o, 0, 0);
    }
}

/* Sends along one path. What cannot be tried (no address, no route, cable out, port taken) is left
 * out: the rules are read back in any case. */
static void try_path(struct lab *lab, struct crossing *x, size_t i, const struct cut_scope *s,
                     const struct port *from, const struct port *to)
{
    struct lab_node *sender = lab_node(lab, from->host);
    struct opening o = {.to = lab_node(lab, to->host),
                        .path = &x->paths[i],
                        .knock = {.l4proto = x->paths[i].l4proto, .path = i}};
    if (!lab_node_is_up(sender) || !lab_node_is_up(o.to) ||
        !common_family(from, to, &o.knock.source, &o.knock.target))
        return;
    o.knock.netns = lab_node_netns(sender);
    o.path->family = o.knock.target->family;
    if (send_along(&o, s))
        x->tried++;
    else
        close_path(o.path);
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
        x->paths[i] = (struct crossing_path){.l4proto = knock_protocol(s, i), .in = -1, .out = -1};
    for (size_t i = 0; i < n; i++) {
        size_t k = i * all / n;
        const struct cut_pair *p = k < c->n_pairs ? &c->pairs[k] : &c->routes[k - c->n_pairs];
        try_path(lab, x, i, s, &c->ports.items[p->from], &c->ports.items[p->to]);
    }
    *ret = steal_ptr(x);
    return 0;
}

/* --- What came of it -------------------------------------------------------------------------- */

void crossing_collect(struct crossing *x, size_t *ret_arrived, size_t *ret_refused)
{
    size_t arrived = 0, refused = 0;
    for (size_t i = 0; i < x->n; i++) {
        struct crossing_path *path = &x->paths[i];
        bool answers = path->l4proto == IPPROTO_TCP || path->l4proto == IPPROTO_ICMP, other = false;
        if (path->in >= 0)
            knock_collect(path->in, path->family, path->l4proto, i,
                          answers ? &path->arrived : &other, &path->refused);
        if (path->in >= 0 && path->out >= 0 && !answers)
            knock_collect(path->out, path->family, path->l4proto, i, &path->arrived, &other);
        arrived += path->arrived;
        refused += path->refused;
    }
    *ret_arrived = arrived;
    *ret_refused = refused;
}
