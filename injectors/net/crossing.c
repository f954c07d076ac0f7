/* Packets of our own along cut paths. See crossing.h. */
#include "injectors/net/crossing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "sim/kernel/netns.h"

#define CROSSING_ETHERTYPE 0x88b5
#define CROSSING_MAGIC 0x626c61636b737461ull /* "blacksta" */

struct crossing_payload {
    uint64_t magic, path;
    char pad[48]; /* a whole Ethernet frame */
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

/* --- Frames ----------------------------------------------------------------------------------- */

static int frame_socket(struct lab_node *n, const struct port *port, int *ret_fd,
                        struct sockaddr_ll *ret_at, struct err *err)
{
    AUTO_CLOSE int fd = -1;
    int index = 0;
    int r = nl_ifindex(lab_node_nl(n), port->device, &index, err);
    if (r == 0)
        r = netns_socket(lab_node_netns(n), AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, 0, &fd, err);
    if (r < 0)
        return r;
    *ret_at = (struct sockaddr_ll){.sll_family = AF_PACKET,
                                   .sll_protocol = htons(CROSSING_ETHERTYPE),
                                   .sll_ifindex = index,
                                   .sll_halen = 6};
    *ret_fd = steal_fd(&fd);
    return 0;
}

static int open_frames(struct lab *lab, const struct port *from, const struct port *to,
                       struct crossing_path *path, struct sockaddr_ll *ret_to, struct err *err)
{
    struct sockaddr_ll at_out, at_in;
    int r = frame_socket(lab_node(lab, to->host), to, &path->out, &at_out, err);
    if (r == 0 && bind(path->out, (struct sockaddr *)&at_out, sizeof at_out) < 0)
        r = err_errno(err, errno, "listening for a frame on host '%s'", to->host);
    if (r == 0)
        r = frame_socket(lab_node(lab, from->host), from, &path->in, &at_in, err);
    if (r < 0)
        return r;
    memcpy(at_in.sll_addr, to->mac.b, sizeof to->mac.b);
    *ret_to = at_in;
    return 0;
}

/* --- Datagrams -------------------------------------------------------------------------------- */

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

static int open_datagrams(struct lab *lab, const struct port *from, const struct port *to,
                          struct crossing_path *path, struct sockaddr_storage *ret_to,
                          socklen_t *ret_len, struct err *err)
{
    const struct inet_prefix *a, *b;
    if (!common_family(from, to, &a, &b))
        return err_set(err, EADDRNOTAVAIL, "no addresses of one family");
    struct sockaddr_storage mine;
    int r = udp_socket(lab_node(lab, to->host), b, &path->out, ret_to, err);
    if (r == 0)
        r = udp_socket(lab_node(lab, from->host), a, &path->in, &mine, err);
    if (r < 0)
        return r;
    *ret_len = b->family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (connect(path->in, (struct sockaddr *)ret_to, *ret_len) < 0)
        return err_errno(err, errno, "no route from host '%s' to host '%s'", from->host, to->host);
    return 0;
}

/* --- Both ------------------------------------------------------------------------------------- */

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
                     const struct port *to, bool by_udp)
{
    struct crossing_path *path = &x->paths[i];
    struct crossing_payload payload = {.magic = CROSSING_MAGIC, .path = i};
    if (!lab_node_is_up(lab_node(lab, from->host)) || !lab_node_is_up(lab_node(lab, to->host)))
        return;
    struct sockaddr_storage there;
    struct sockaddr_ll frame_to;
    socklen_t len = sizeof frame_to;
    int r = by_udp ? open_datagrams(lab, from, to, path, &there, &len, NULL)
                   : open_frames(lab, from, to, path, &frame_to, NULL);
    ssize_t sent = -1;
    if (r == 0)
        sent = by_udp ? send(path->in, &payload, sizeof payload, MSG_NOSIGNAL)
                      : sendto(path->in, &payload, sizeof payload, MSG_NOSIGNAL,
                               (struct sockaddr *)&frame_to, len);
    if (sent == (ssize_t)sizeof payload)
        x->tried++;
    else
        close_path(path);
}

int crossing_send(struct lab *lab, const struct cut *c, bool by_udp, size_t max,
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
        x->paths[i] = (struct crossing_path){.in = -1, .out = -1};
    for (size_t i = 0; i < n; i++) {
        size_t k = i * all / n;
        bool neighbours = k < c->n_pairs;
        const struct cut_pair *p = neighbours ? &c->pairs[k] : &c->routes[k - c->n_pairs];
        try_path(lab, x, i, &c->ports.items[p->from], &c->ports.items[p->to],
                 by_udp || !neighbours);
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
