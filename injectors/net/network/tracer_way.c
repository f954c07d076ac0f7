/* Which way packets of our own can go through a scope. See tracer.h. */
#include "injectors/net/network/tracer.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* Nobody listens there by habit; above the usual range of ephemeral ports. */
#define SOME_PORT 61999
#define OTHER_PORT 61998

/* --- Ports ------------------------------------------------------------------------------------ */

static bool port_in(const struct impair_ports *list, size_t n, uint16_t port)
{
    for (size_t i = 0; i < n; i++)
        if (port >= list[i].lo && port <= list[i].hi)
            return true;
    return n == 0;
}

static bool ports_fit(const struct impair_scope *s, uint16_t own, uint16_t peer)
{
    return port_in(s->own_ports, s->n_own_ports, own) &&
           port_in(s->peer_ports, s->n_peer_ports, peer) &&
           (port_in(s->ports, s->n_ports, own) || port_in(s->ports, s->n_ports, peer));
}

#define CANDIDATES (2 * IMPAIR_PORTS_MAX + 1)

static size_t candidates(const struct impair_scope *s, const struct impair_ports *side, size_t n,
                         uint16_t otherwise, uint16_t ret[CANDIDATES])
{
    size_t k = 0;
    ret[k++] = otherwise;
    for (size_t i = 0; i < n; i++)
        ret[k++] = side[i].hi; /* the upper end: less likely to be somebody's */
    for (size_t i = 0; i < s->n_ports; i++)
        ret[k++] = s->ports[i].hi;
    return k;
}

/* Some pair of ports that the scope takes. */
static bool choose_ports(const struct impair_scope *s, uint16_t *ret_own, uint16_t *ret_peer)
{
    uint16_t own[CANDIDATES], peer[CANDIDATES];
    size_t n_own = candidates(s, s->own_ports, s->n_own_ports, SOME_PORT, own);
    size_t n_peer = candidates(s, s->peer_ports, s->n_peer_ports, OTHER_PORT, peer);
    for (size_t i = 0; i < n_own; i++)
        for (size_t k = 0; k < n_peer; k++)
            if (ports_fit(s, own[i], peer[k])) {
                *ret_own = own[i];
                *ret_peer = peer[k];
                return true;
            }
    return false;
}

/* --- Addresses -------------------------------------------------------------------------------- */

static bool peer_wanted(const struct impair_scope *s, const struct inet_prefix *peer)
{
    for (size_t i = 0; i < s->n_peers; i++)
        if (s->peers[i].family == peer->family && inet_contains(&s->peers[i], peer))
            return true;
    return s->n_peers == 0;
}

static struct inet_prefix single(const struct inet_prefix *p)
{
    struct inet_prefix one = *p;
    one.len = p->family == AF_INET ? 32 : 128;
    return one;
}

struct search {
    const struct topo *topo;
    const struct reach *reach;
    const struct port *port;
    bool (*up)(const char *host, void *data);
    void *data;
};

static bool far_end(const struct search *s, const struct inet_prefix *own, bool same_network,
                    const struct topo_cable **ret_cable, struct inet_prefix *ret)
{
    const struct topo *t = s->topo;
    for (size_t i = 0; i < t->addresses_n; i++) {
        const struct topo_cable *c = &t->cables[t->addresses[i].cable];
        const char *host = t->hosts[c->host].host->name;
        struct inet_prefix peer = single(&t->addresses[i].prefix);
        bool joined = strcmp(t->nets[c->net].name, s->port->network) == 0;
        if (joined != same_network || peer.family != own->family ||
            strcmp(host, s->port->host) == 0 || !peer_wanted(&s->reach->scope, &peer) ||
            (s->up && !s->up(host, s->data)))
            continue;
        *ret_cable = c;
        *ret = peer;
        return true;
    }
    return false;
}

static size_t cables_of(const struct topo *t, const char *host)
{
    size_t n = 0;
    for (size_t i = 0; i < t->hosts_n; i++)
        if (strcmp(t->hosts[i].host->name, host) == 0)
            n = t->hosts[i].cables;
    return n;
}

/* A neighbour, or, over the only cable there is, a host behind a router. */
static bool find_ends(const struct search *s, struct inet_prefix *ret_own,
                      const struct topo_cable **ret_far, struct inet_prefix *ret_peer)
{
    bool routed = cables_of(s->topo, s->port->host) == 1;
    for (int joined = 1; joined >= 0; joined--)
        for (size_t i = 0; (joined || routed) && i < s->port->n_addresses; i++) {
            struct inet_prefix own = single(&s->port->addresses[i]);
            uint8_t family = s->reach->scope.family;
            if ((family && family != own.family) || !far_end(s, &own, joined, ret_far, ret_peer))
                continue;
            *ret_own = own;
            return true;
        }
    return false;
}

int tracer_choose(const struct topo *topo, const struct reach *reach, const struct reach_point *at,
                  bool (*up)(const char *host, void *data), void *data, struct tracer_way *ret,
                  struct err *err)
{
    const struct search s = {
        .topo = topo, .reach = reach, .port = at->port, .up = up, .data = data};
    const struct topo_cable *far = NULL;
    struct inet_prefix own, peer;
    uint16_t own_port = 0, peer_port = 0;
    if (!find_ends(&s, &own, &far, &peer))
        return err_set(err, EADDRNOTAVAIL, "no host of the lab is at the other end");
    if (!choose_ports(&reach->scope, &own_port, &peer_port))
        return err_set(err, EADDRNOTAVAIL, "no pair of ports is in the scope");
    const char *there = topo->hosts[far->host].host->name;
    bool in = at->at_switch;
    *ret = (struct tracer_way){.from = in ? there : at->port->host,
                               .to = in ? at->port->host : there,
                               .source = in ? peer : own,
                               .target = in ? own : peer,
                               .protocol =
                                   reach->scope.protocol < 0 ? IPPROTO_UDP : reach->scope.protocol,
                               .source_port = in ? peer_port : own_port,
                               .target_port = in ? own_port : peer_port,
                               .networks = {at->port->network, topo->nets[far->net].name},
                               .mtu = topo->nets[far->net].mtu};
    for (size_t i = 0; i < topo->nets_n; i++)
        if (strcmp(topo->nets[i].name, at->port->network) == 0 && topo->nets[i].mtu < ret->mtu)
            ret->mtu = topo->nets[i].mtu;
    return 0;
}
