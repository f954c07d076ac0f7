/* The shape of a lab, see topo.h. Pure: no I/O.
 *
 * Hardware addresses derive from names (SHA-256), so a capture of one trial can be read with the
 * addresses of another, and a filter may name a sender. The numbers of interfaces are asked for
 * (eth0 is 2), so that messages about them need no look-up.
 */
#include "sim/lab/topo.h"

#include "sim/base/arena.h"
#include "sim/base/digest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define TOPO_FIRST_IFINDEX 2 /* lo is 1 */
#define TOPO_DEFAULT_NET "lan"

struct topo *topo_free(struct topo *t)
{
    if (t) {
        arena_free(t->arena);
        free(t);
    }
    return NULL;
}

static int topo_family(const struct inet_prefix *p)
{
    return p->family == AF_INET6;
}

/* Locally administered, unicast. */
static struct inet_mac topo_mac(const char *a, const char *b, const char *c)
{
    char name[256], hex[DIGEST_HEX];
    struct inet_mac m;
    int n = snprintf(name, sizeof name, "blackstart/%s/%s/%s", a, b, c);
    digest_sha256(name, (size_t)n, hex);
    for (size_t i = 0; i < sizeof m.b; i++) {
        unsigned v;
        sscanf(hex + 2 * i, "%2x", &v);
        m.b[i] = (uint8_t)v;
    }
    m.b[0] = (uint8_t)((m.b[0] & 0xfc) | 0x02);
    return m;
}

/* --- Networks --------------------------------------------------------------------------------- */

static bool topo_name_taken(const struct topo *t, const char *name)
{
    for (size_t i = 0; i < t->nets_n; i++)
        if (!strcmp(t->nets[i].bridge, name))
            return true;
    for (size_t i = 0; i < t->cables_n; i++)
        if (!strcmp(t->cables[i].port, name))
            return true;
    return !strcmp(name, "lo");
}

static int topo_add_net(struct topo *t, const char *name, const struct network *n, struct err *err)
{
    struct topo_net *net = &t->nets[t->nets_n];
    *net = (struct topo_net){.name = name, .mtu = n && n->mtu ? (uint32_t)n->mtu : 1500};
    for (size_t i = 0; n && i < n->subnets.n; i++) {
        struct inet_prefix p;
        int r = inet_parse(n->subnets.items[i], &p, err);
        if (r < 0)
            return err_prefix(err, "network %s", name);
        net->subnet[topo_family(&p)] = inet_masked(&p);
    }
    net->mac = topo_mac("bridge", name, "");
    if (strlen(name) >= IFNAMSIZ || topo_name_taken(t, name))
        snprintf(net->bridge, sizeof net->bridge, "net%zu", t->nets_n);
    else
        snprintf(net->bridge, sizeof net->bridge, "%s", name);
    t->nets_n++;
    return 0;
}

static int topo_add_nets(struct topo *t, const struct scenario *s, struct err *err)
{
    t->nets = arena_alloc(t->arena, (s->networks.n + 1) * sizeof *t->nets);
    if (!s->networks.n)
        return topo_add_net(t, TOPO_DEFAULT_NET, NULL, err);
    for (size_t i = 0; i < s->networks.n; i++) {
        const struct network *n = s->networks.items[i];
        int r = topo_add_net(t, n->name, n, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The network an address lies in, and its length there. */
static int topo_place(const struct topo *t, bool declared, const char *text, struct inet_prefix *p,
                      size_t *ret_net, struct err *err)
{
    int r = inet_parse(text, p, err);
    if (r < 0)
        return r;
    bool has_len = strchr(text, '/');
    if (!declared) {
        if (!has_len)
            p->len = p->family == AF_INET6 ? 64 : 24;
        *ret_net = 0;
        return 0;
    }
    for (size_t i = 0; i < t->nets_n; i++) {
        const struct inet_prefix *sub = &t->nets[i].subnet[topo_family(p)];
        if (!sub->family || !inet_contains(sub, p))
            continue;
        if (!has_len)
            p->len = sub->len;
        *ret_net = i;
        return 0;
    }
    return err_set(err, EINVAL, "the address %s lies in no network of the scenario", text);
}

/* --- Hosts ------------------------------------------------------------------------------------ */

static size_t topo_cable_for(struct topo *t, size_t h, size_t net)
{
    struct topo_host *host = &t->hosts[h];
    for (size_t c = host->cable; c < host->cable + host->cables; c++)
        if (t->cables[c].net == net)
            return c;
    size_t c = t->cables_n;
    struct topo_cable *cable = &t->cables[c];
    const char *hn = host->host->name, *nn = t->nets[net].name;
    char port[160];
    snprintf(port, sizeof port, "%s.%s", hn, nn);
    if (t->nets_n == 1)
        snprintf(port, sizeof port, "%s", hn);
    if (strlen(port) >= IFNAMSIZ || topo_name_taken(t, port))
        snprintf(port, sizeof port, "port%zu.%zu", h, net);
    *cable = (struct topo_cable){.host = h,
                                 .net = net,
                                 .ifindex = TOPO_FIRST_IFINDEX + (int)host->cables,
                                 .mac = topo_mac("host", hn, nn),
                                 .port_mac = topo_mac("port", hn, nn)};
    snprintf(cable->port, sizeof cable->port, "%.*s", IFNAMSIZ - 1, port);
    snprintf(cable->dev, sizeof cable->dev, "eth%u", (unsigned)host->cables % 1000);
    host->cables++;
    t->cables_n++;
    return c;
}

static int topo_add_host(struct topo *t, const struct host *h, bool declared, struct err *err)
{
    struct topo_host *host = &t->hosts[t->hosts_n];
    *host = (struct topo_host){
        .host = h, .cable = t->cables_n, .address = t->addresses_n, .router = h->router};
    for (size_t i = 0; i < h->lab->addresses.n; i++) {
        struct topo_address *a = &t->addresses[t->addresses_n];
        size_t net = 0;
        int r = topo_place(t, declared, h->lab->addresses.items[i], &a->prefix, &net, err);
        if (r < 0)
            return err_prefix(err, "host %s", h->name);
        a->cable = topo_cable_for(t, t->hosts_n, net);
        t->addresses_n++;
        host->addresses++;
    }
    t->hosts_n++;
    return 0;
}

int topo_new(const struct scenario *s, struct topo **ret, struct err *err)
{
    CLEANUP(topo_free_p) struct topo *t = calloc(1, sizeof *t);
    if (!t)
        return err_errno(err, ENOMEM, "cannot plan the lab");
    t->arena = arena_new();
    int r = topo_add_nets(t, s, err);
    if (r < 0)
        return r;
    size_t addresses = 0;
    for (size_t i = 0; i < s->hosts.n; i++) {
        const struct host *h = s->hosts.items[i];
        addresses += h->lab ? h->lab->addresses.n : 0;
    }
    t->hosts = arena_alloc(t->arena, (s->hosts.n + 1) * sizeof *t->hosts);
    t->cables = arena_alloc(t->arena, (addresses + 1) * sizeof *t->cables);
    t->addresses = arena_alloc(t->arena, (addresses + 1) * sizeof *t->addresses);
    for (size_t i = 0; i < s->hosts.n; i++) {
        const struct host *h = s->hosts.items[i];
        if (h->lab && (r = topo_add_host(t, h, s->networks.n > 0, err)) < 0)
            return r;
    }
    *ret = steal_ptr(t);
    return 0;
}

/* --- Routes ----------------------------------------------------------------------------------- */

/* The first address of a family on a cable, or NULL. */
static const struct inet_prefix *topo_on(const struct topo *t, size_t cable, int family)
{
    const struct topo_host *h = &t->hosts[t->cables[cable].host];
    for (size_t i = h->address; i < h->address + h->addresses; i++)
        if (t->addresses[i].cable == cable && topo_family(&t->addresses[i].prefix) == family)
            return &t->addresses[i].prefix;
    return NULL;
}

struct topo_hop { /* how a network is reached from the host */
    bool known;
    const struct inet_prefix *via; /* NULL: it is on it */
    const char *dev;
};

/* Routers on network `net` show the way to their other networks. */
static void topo_spread(const struct topo *t, size_t h, int family, size_t net,
                        struct topo_hop *hops, size_t *queue, size_t *tail)
{
    for (size_t c = 0; c < t->cables_n; c++) {
        const struct topo_host *r = &t->hosts[t->cables[c].host];
        const struct inet_prefix *on = t->cables[c].net == net ? topo_on(t, c, family) : NULL;
        if (!on || !r->router || t->cables[c].host == h)
            continue;
        for (size_t d = r->cable; d < r->cable + r->cables; d++) {
            size_t to = t->cables[d].net;
            if (hops[to].known || !topo_on(t, d, family))
                continue;
            hops[to] = (struct topo_hop){
                .known = true, .via = hops[net].via ? hops[net].via : on, .dev = hops[net].dev};
            queue[(*tail)++] = to;
        }
    }
}

static void topo_routes_of(const struct topo *t, size_t h, int family, struct topo_hop *hops,
                           size_t *queue, topo_route_fn *fn, void *data)
{
    const struct topo_host *host = &t->hosts[h];
    size_t head = 0, tail = 0;
    memset(hops, 0, t->nets_n * sizeof *hops);
    for (size_t c = host->cable; c < host->cable + host->cables; c++)
        if (topo_on(t, c, family)) {
            hops[t->cables[c].net] = (struct topo_hop){.known = true, .dev = t->cables[c].dev};
            queue[tail++] = t->cables[c].net;
        }
    while (head < tail) /* breadth first: fewest hops */
        topo_spread(t, h, family, queue[head++], hops, queue, &tail);
    for (size_t i = 0; i < t->nets_n; i++)
        if (hops[i].via && t->nets[i].subnet[family].family) {
            struct inet_prefix via = *hops[i].via;
            via.len = family ? 128 : 32;
            fn(&t->nets[i].subnet[family], &via, hops[i].dev, data);
        }
}

void topo_routes(const struct topo *t, size_t h, topo_route_fn *fn, void *data)
{
    AUTO_FREE struct topo_hop *hops = calloc(t->nets_n, sizeof *hops);
    AUTO_FREE size_t *queue = calloc(t->nets_n, sizeof *queue);
    if (!hops || !queue)
        abort();
    for (int family = 0; family < 2; family++)
        topo_routes_of(t, h, family, hops, queue, fn, data);
}

void topo_hosts_file(const struct topo *t, size_t h, struct buf *out)
{
    buf_adds(out, "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
    for (size_t k = 0; k < t->hosts_n; k++) {
        const struct topo_host *host = &t->hosts[k];
        for (size_t i = host->address; i < host->address + host->addresses; i++) {
            char text[INET_TEXT_MAX];
            struct inet_prefix p = t->addresses[i].prefix;
            p.len = p.family == AF_INET6 ? 128 : 32;
            buf_printf(out, "%s %s\n", inet_text(&p, text), host->host->name);
        }
        if (k == h && !host->addresses)
            buf_printf(out, "127.0.1.1 %s\n", host->host->name);
    }
}
