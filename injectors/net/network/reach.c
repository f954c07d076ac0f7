/* Which packets a `network` fault reaches, and where. See reach.h. */
#include "injectors/net/network/reach.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "sim/base/cleanup.h"

void reach_done(struct reach *r)
{
    ports_done(&r->ports);
    free(r->points);
    free(r->except);
    *r = (struct reach){0};
}

/* The loopback is no device that is impaired. */
void reach_leave_out(struct reach *r, const struct exempts *exempt)
{
    struct exemption x;
    r->scope.n_except = r->scope.n_except_ports = 0;
    free(r->except);
    r->except = calloc(exempt->n + 1, sizeof *r->except);
    if (!r->except)
        abort(); /* as the buffers of sim/base do */
    for (size_t i = 0; exempt_next(exempt, i, &x); i++)
        if (x.kind == EXEMPT_PEER)
            r->except[r->scope.n_except++] = x.peer;
        else if (x.kind == EXEMPT_PORT)
            r->except_ports[r->scope.n_except_ports++] = (struct impair_ports){x.port, x.port};
    r->scope.except = r->except;
    r->scope.except_ports = r->except_ports;
}

static bool family_wanted(const struct network_params *p, int family)
{
    return p->family == NETWORK_ANY_FAMILY ||
           (p->family == NETWORK_IPV4 ? AF_INET : AF_INET6) == family;
}

static int add_peer(struct reach *r, const struct network_params *p, const struct inet_prefix *peer,
                    struct err *err)
{
    if (!family_wanted(p, peer->family))
        return 0;
    for (size_t i = 0; i < r->scope.n_peers; i++) /* a host may stand beside its prefix */
        if (r->peers[i].family == peer->family && inet_contains(&r->peers[i], peer))
            return 0;
    if (r->scope.n_peers == IMPAIR_PEERS_MAX)
        return err_set(err, EINVAL, "'to' stands for more than %d addresses: name a prefix",
                       IMPAIR_PEERS_MAX);
    r->peers[r->scope.n_peers++] = *peer;
    return 0;
}

/* All addresses of that host, as single ones. */
static int add_host(const struct topo *topo, struct reach *r, const struct network_params *p,
                    const char *name, struct err *err)
{
    for (size_t i = 0; i < topo->addresses_n; i++) {
        const struct topo_cable *cable = &topo->cables[topo->addresses[i].cable];
        struct inet_prefix one = topo->addresses[i].prefix;
        if (strcmp(topo->hosts[cable->host].host->name, name) != 0)
            continue;
        one.len = one.family == AF_INET ? 32 : 128;
        int rc = add_peer(r, p, &one, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int add_address(struct reach *r, const struct network_params *p, const char *text,
                       struct err *err)
{
    struct inet_prefix peer;
    char masked[INET_TEXT_MAX];
    struct err why = ERR_INIT;
    int rc = inet_parse(text, &peer, &why);
    if (rc < 0)
        return err_set(err, EINVAL, "'to': %s", why.text);
    struct inet_prefix net = inet_masked(&peer);
    if (memcmp(net.addr, peer.addr, sizeof net.addr) != 0)
        return err_set(err, EINVAL,
                       "'to': \"%s\" is an address, not a prefix; did you mean \"%s\"?", text,
                       inet_text(&net, masked));
    return add_peer(r, p, &peer, err);
}

static int find_peers(const struct topo *topo, const struct network_params *p, const char *host,
                      struct reach *r, struct err *err)
{
    bool others = false;
    for (size_t i = 0; i < p->to.n; i++) {
        const char *text = p->to.items[i];
        bool self = strcmp(text, host) == 0;
        others |= !self;
        int rc = self                          ? 0
                 : field_peer_is_address(text) ? add_address(r, p, text, err)
                                               : add_host(topo, r, p, text, err);
        if (rc < 0)
            return rc;
    }
    if (p->to.n && !others)
        return err_set(err, ESRCH, "'to' names nobody but %s itself", host);
    if (p->to.n && r->scope.n_peers == 0)
        return err_set(err, EINVAL, "'to' stands for no %s address",
                       p->family == NETWORK_IPV6   ? "IPv6"
                       : p->family == NETWORK_IPV4 ? "IPv4"
                                                   : "IP");
    return 0;
}

static size_t copy_ports(const struct port_ranges *from, struct impair_ports *to)
{
    for (size_t i = 0; i < from->n; i++) /* the table's bound is IMPAIR_PORTS_MAX */
        to[i] = (struct impair_ports){from->items[i].lo, from->items[i].hi};
    return from->n;
}

static int protocol_of(const struct network_params *p)
{
    static const int protocols[] = {[NETWORK_ANY_PROTOCOL] = -1,
                                    [NETWORK_TCP] = IPPROTO_TCP,
                                    [NETWORK_UDP] = IPPROTO_UDP,
                                    [NETWORK_SCTP] = IPPROTO_SCTP,
                                    [NETWORK_ICMP] = IPPROTO_ICMP};
    return protocols[p->protocol];
}

static void find_points(const struct network_params *p, struct reach *r)
{
    r->points = calloc(2 * r->ports.n + 1, sizeof *r->points);
    if (!r->points)
        abort(); /* as the buffers of sim/base do */
    for (size_t i = 0; i < r->ports.n; i++) {
        if (p->direction != NETWORK_INGRESS)
            r->points[r->n++] = (struct reach_point){.port = &r->ports.items[i]};
        if (p->direction != NETWORK_EGRESS)
            r->points[r->n++] = (struct reach_point){.port = &r->ports.items[i],
                                                     .arrives = p->device != NULL,
                                                     .at_switch = p->device == NULL};
    }
}

int reach_find(const struct topo *topo, const struct network_params *p, const char *host,
               struct reach *ret, struct err *err)
{
    static const uint8_t families[] = {
        [NETWORK_ANY_FAMILY] = 0, [NETWORK_IPV4] = AF_INET, [NETWORK_IPV6] = AF_INET6};
    *ret = (struct reach){.scope = {.peers = ret->peers,
                                    .ports = ret->any,
                                    .peer_ports = ret->peer,
                                    .own_ports = ret->own,
                                    .protocol = protocol_of(p),
                                    .family = families[p->family]}};
    ret->scope.n_ports = copy_ports(&p->port, ret->any);
    ret->scope.n_peer_ports = copy_ports(&p->peer_port, ret->peer);
    ret->scope.n_own_ports = copy_ports(&p->own_port, ret->own);
    int r = find_peers(topo, p, host, ret, err);
    if (r < 0)
        return r;
    if (p->device)
        ports_of_device(host, p->device, &ret->ports);
    else
        ports_of_host(topo, host, p->network, &ret->ports);
    find_points(p, ret);
    return 0;
}

struct impair_scope reach_scope(const struct reach *r, const struct reach_point *at)
{
    struct impair_scope s = r->scope;
    s.reversed = at->at_switch;
    return s;
}

const char *reach_device(const struct reach_point *at)
{
    return at->at_switch ? at->port->name : at->port->device;
}

void reach_text(const struct reach *r, const struct reach_point *at, struct buf *out)
{
    struct impair_scope s = reach_scope(r, at);
    bool device = !at->port->network;
    buf_printf(out, "host %s, %s %s, what it %s: ", at->port->host, device ? "device" : "network",
               device ? at->port->device : at->port->network,
               at->at_switch || at->arrives ? "is sent" : "sends");
    impair_scope_text(&s, at->arrives, out);
}

bool reach_overlaps(const struct reach *a, const struct reach *b)
{
    for (size_t i = 0; i < a->n; i++)
        for (size_t k = 0; k < b->n; k++) {
            const struct reach_point *p = &a->points[i], *q = &b->points[k];
            struct impair_scope x = reach_scope(a, p), y = reach_scope(b, q);
            if (p->at_switch == q->at_switch && p->arrives == q->arrives &&
                strcmp(p->port->name, q->port->name) == 0 &&
                strcmp(p->port->device, q->port->device) == 0 && impair_scopes_overlap(&x, &y))
                return true;
        }
    return false;
}
