/* Packets of our own along cut paths. See crossing.h. */
#include "injectors/net/crossing.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "sim/kernel/netns.h"

#define CROSSING_MAGIC 0x626c61636b737461ull /* "blacksta" */

struct crossing_payload {
    uint64_t magic, path;
};

struct crossing_path {
    int in, out; /* sockets at the sender and at the receiver; -1: not tried */
    bool arrived, refused;
};

struct crossing {
    struct crossing_path *paths;
    size_t n, tried;
};

struct crossing *crossing_free(struct crossing *x)
{
    if (!x)
        return NULL;
    for (size_t i = 0; i < x->n; i++) {
        if (x->paths[i].in >= 0)
            close(x->paths[i].in);
        if (x->paths[i].out >= 0)
            close(x->paths[i].out);
    }
    free(x->paths);
    free(x);
    return NULL;
}

size_t crossing_tried(const struct crossing *x)
{
    return x->tried;
}

static socklen_t socket_address(const struct inet_prefix *p, struct sockaddr_storage *ret)
{
    *ret = (struct sockaddr_storage){.ss_family = p->family};
    if (p->family == AF_INET) {
        memcpy(&((struct sockaddr_in *)ret)->sin_addr, p->addr, 4);
        return sizeof(struct sockaddr_in);
    }
    memcpy(&((struct sockaddr_in6 *)ret)->sin6_addr, p->addr, 16);
    return sizeof(struct sockaddr_in6);
}

static int udp_socket(struct lab_node *n, const struct inet_prefix *at, int *ret_fd,
                      struct sockaddr_storage *ret_at, struct err *err)
{
    AUTO_CLOSE int fd = -1;
    int r = netns_socket(lab_node_netns(n), at->family, SOCK_DGRAM | SOCK_NONBLOCK, 0, &fd, err);
    if (r < 0)
        return r;
    struct sockaddr_storage where;
    socklen_t len = socket_address(at, &where);
    socklen_t got = sizeof *ret_at;
    if (bind(fd, (struct sockaddr *)&where, len) < 0 ||
        getsockname(fd, (struct sockaddr *)ret_at, &got) < 0)
        return err_errno(err, errno, "opening a datagram socket on host '%s'", lab_node_name(n));
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

static int open_path(struct lab *lab, const struct port *from, const struct port *to,
                     struct crossing_path *path, struct err *err)
{
    const struct inet_prefix *a, *b;
    struct sockaddr_storage there, mine;
    if (!common_family(from, to, &a, &b))
        return err_set(err, EADDRNOTAVAIL, "no addresses of one family");
    int r = udp_socket(lab_node(lab, to->host), b, &path->out, &there, err);
    if (r == 0)
        r = udp_socket(lab_node(lab, from->host), a, &path->in, &mine, err);
    if (r < 0)
        return r;
    socklen_t len = b->family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (connect(path->in, (struct sockaddr *)&there, len) < 0)
        return err_errno(err, errno, "no route from host '%s' to host '%s'", from->host, to->host);
    return 0;
}

static void close_path(struct crossing_path *path)
{
    if (path->in >= 0)
        close(path->in);
    if (path->out >= 0)
        close(path->out);
    path->in = path->out = -1;
}

/* Sends along one path. What cannot be tried (no address, no route, cable out) is left out: the
 * rules are read back in any case. */
static void try_path(struct lab *lab, struct crossing *x, size_t i, const struct port *from,
                     const struct port *to)
{
    struct crossing_path *path = &x->paths[i];
    struct crossing_payload payload = {.magic = CROSSING_MAGIC, .path = i};
    if (!lab_node_is_up(lab_node(lab, from->host)) || !lab_node_is_up(lab_node(lab, to->host)))
        return;
    if (open_path(lab, from, to, path, NULL) == 0 &&
        send(path->in, &payload, sizeof payload, MSG_NOSIGNAL) == (ssize_t)sizeof payload)
        x->tried++;
    else
        close_path(path);
}

int crossing_send(struct lab *lab, const struct cut *c, size_t max, struct crossing **ret,
                  struct err *err)
{
    size_t all = c->n_pairs + c->n_routes, n = all < max ? all : max;
    CLEANUP(crossing_free_p) struct crossing *x = calloc(1, sizeof *x);
    if (x)
        x->paths = calloc(n + 1, sizeof *x->paths);
    if (!x || !x->paths)
        return err_errno(err, ENOMEM, "trying the cut");
    x->n = n;
    for (size_t i = 0; i < n; i++)
        x->paths[i] = (struct crossing_path){.in = -1, .out = -1};
    for (size_t i = 0; i < n; i++) {
        size_t k = i * all / n;
        const struct cut_pair *p = k < c->n_pairs ? &c->pairs[k] : &c->routes[k - c->n_pairs];
        try_path(lab, x, i, &c->ports.items[p->from], &c->ports.items[p->to]);
    }
    *ret = steal_ptr(x);
    return 0;
}

static void collect_path(struct crossing_path *path, size_t i)
{
    struct crossing_payload got;
    for (;;) {
        ssize_t n = recv(path->out, &got, sizeof got, MSG_DONTWAIT);
        if (n < 0)
            break;
        if (n == (ssize_t)sizeof got && got.magic == CROSSING_MAGIC && got.path == i)
            path->arrived = true;
    }
    if (recv(path->in, &got, sizeof got, MSG_DONTWAIT) < 0 && errno == ECONNREFUSED)
        path->refused = true;
}

void crossing_collect(struct crossing *x, size_t *ret_arrived, size_t *ret_refused)
{
    size_t arrived = 0, refused = 0;
    for (size_t i = 0; i < x->n; i++) {
        if (x->paths[i].in >= 0)
            collect_path(&x->paths[i], i);
        arrived += x->paths[i].arrived;
        refused += x->paths[i].refused;
    }
    *ret_arrived = arrived;
    *ret_refused = refused;
}
