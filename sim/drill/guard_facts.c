/* What is so at this moment, and what steps would do to it. See guard.h. */
#include "sim/drill/guard.h"

#include "injectors/params.h"
#include "sim/base/jsonx.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/rtnl_take.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GUARD_PEERS 256

/* --- Facts ------------------------------------------------------------------------------------ */

void guard_facts_done(struct guard_facts *f)
{
    free(f->ways);
    free(f->routes);
    *f = (struct guard_facts){0};
}

static void device_towards(struct nl *nl, const struct rtnl_link *links, size_t n,
                           const struct inet_prefix *to, char ret[16])
{
    struct rtnl_way way;
    ret[0] = '\0';
    if (rtnl_take_way(nl, to, &way, NULL) < 0 || way.local || way.nowhere)
        return;
    for (size_t i = 0; i < n; i++)
        if (links[i].ifindex == way.ifindex)
            snprintf(ret, 16, "%s", links[i].name);
}

static void listener_devices(struct nl *nl, const struct rtnl_link *links, size_t n,
                             const struct exempts *e, struct guard_facts *f)
{
    AUTO_FREE struct rtnl_address *all = NULL;
    size_t count = 0;
    if (!e->n_ports || rtnl_addresses(nl, &all, &count, NULL) < 0)
        return;
    for (size_t i = 0; i < e->n_ports; i++)
        for (size_t k = 0; k < count; k++) {
            const struct inet_prefix *a = &all[k].prefix, *at = &e->listens_at[i];
            for (size_t m = 0;
                 a->family == at->family && memcmp(a->addr, at->addr, 16) == 0 && m < n; m++)
                if (links[m].ifindex == all[k].ifindex)
                    snprintf(f->listener_devices[i], 16, "%s", links[m].name);
        }
}

int guard_facts_find(const struct attached_host *h, const char *mark, struct guard_facts *ret,
                     struct err *err)
{
    /* Documentation addresses (RFC 5737, RFC 3849): nobody has a route of their own to them. */
    static const char *const anybody[] = {"192.0.2.1", "2001:db8::1"};
    CLEANUP(nl_free_p) struct nl *nl = NULL;
    AUTO_FREE struct rtnl_link *links = NULL;
    size_t n = 0;
    /* Entering a namespace takes root, which those of this machine's own network need not have. */
    int r = nl_open_kernel(h->at.shares_network ? -1 : h->at.netns, h->host->name, &nl, err);
    if (r == 0)
        r = rtnl_links(nl, &links, &n, err);
    if (r < 0)
        return r;
    struct guard_facts f = {.host = h->host->name,
                            .machine = h->at.shares_network,
                            .exempt = &h->exempt,
                            .ways = calloc(h->exempt.n + 1, sizeof *f.ways),
                            .routes = calloc(h->exempt.n + 1, sizeof *f.routes)};
    if (!f.ways || !f.routes)
        abort(); /* as the buffers of sim/base do */
    if (h->host->production)
        f.mark = "production: true";
    else if (h->at.mark)
        f.mark = h->at.mark;
    else if (access(mark, F_OK) == 0)
        f.mark = mark;
    /* A container is a target as a whole, and its only device is how it reaches anybody. */
    bool whole = h->host->container || h->host->compose;
    for (size_t i = 0; !whole && i < ARRAY_SIZE(anybody); i++) {
        struct inet_prefix to;
        if (inet_parse(anybody[i], &to, NULL) == 0)
            device_towards(nl, links, n, &to, f.default_device[i]);
    }
    for (size_t i = 0; i < h->exempt.n; i++) {
        if (whole && !h->exempt.items[i].operator_)
            continue;
        device_towards(nl, links, n, &h->exempt.items[i].address, f.ways[i]);
        (void)rtnl_take_match(nl, &h->exempt.items[i].address, &f.routes[i], NULL);
    }
    listener_devices(nl, links, n, &h->exempt, &f);
    *ret = f;
    return 0;
}

/* --- Deeds ------------------------------------------------------------------------------------ */

struct peers {
    struct inet_prefix items[GUARD_PEERS];
    size_t n;
    struct port_range port; /* of a proxy */
};

static void add_peer(const struct scenario *s, const char *text, struct peers *p)
{
    const struct host *h = field_peer_is_address(text) ? NULL : scenario_host(s, text);
    for (size_t i = 0; h && h->lab && i < h->lab->addresses.n && p->n < GUARD_PEERS; i++)
        if (inet_parse(h->lab->addresses.items[i], &p->items[p->n], NULL) == 0) {
            p->items[p->n].len = p->items[p->n].family == AF_INET ? 32 : 128;
            p->n++;
        }
    if (!h && p->n < GUARD_PEERS && inet_parse(text, &p->items[p->n], NULL) == 0)
        p->n++;
}

static void add_peers(const struct scenario *s, const struct strv *texts, struct peers *p)
{
    for (size_t i = 0; i < texts->n; i++)
        add_peer(s, texts->items[i], p);
}

/* What goes by these ports alone; of two lists the second. */
static void only_ports(struct guard_touch *t, const struct port_ranges *list)
{
    if (list->n == 0)
        return;
    t->ports = list->items;
    t->n_ports = list->n;
}

static bool is(const struct step *step, const char *action)
{
    return strcmp(step->action->name, action) == 0;
}

static void touch_of(const struct scenario *s, const struct step *step, struct peers *p,
                     struct guard_touch *ret)
{
    *ret = (struct guard_touch){.step = step->id};
    *p = (struct peers){.n = 0};
    if (is(step, "link")) {
        const struct link_params *link = step->params;
        ret->deed = GUARD_DOWN;
        ret->device = link->device;
    } else if (is(step, "network")) {
        const struct network_params *network = step->params;
        ret->deed = GUARD_IMPAIRED;
        ret->device = network->device;
        add_peers(s, &network->to, p);
        only_ports(ret, &network->port);
        only_ports(ret, &network->own_port);
    } else if (is(step, "partition")) {
        const struct partition_params *partition = step->params;
        ret->deed = GUARD_CUT;
        add_peers(s, &partition->peers, p);
        only_ports(ret, &partition->ports);
    } else if (is(step, "sockets")) {
        const struct sockets_params *sockets = step->params;
        ret->deed = GUARD_RESET;
        add_peers(s, &sockets->peer, p);
        only_ports(ret, &sockets->port);
        only_ports(ret, &sockets->own_port);
    } else if (is(step, "address")) {
        const struct address_params *address = step->params;
        ret->deed = GUARD_ADDRESS;
        ret->device = address->device;
        add_peer(s, address->address, p);
    } else if (is(step, "route")) {
        const struct route_params *route = step->params;
        ret->deed = GUARD_ROUTE;
        add_peer(s, strcmp(route->to, "default") == 0 ? "0.0.0.0/0" : route->to, p);
    } else if (is(step, "http") || is(step, "tls")) {
        const struct http_params *http = step->params;
        const struct tls_params *tls = step->params;
        uint16_t port = (uint16_t)(is(step, "http") ? http->port : tls->port);
        p->port = (struct port_range){port, port};
        ret->deed = GUARD_ANSWERED;
        ret->ports = &p->port;
        ret->n_ports = 1;
    }
    ret->peers = p->items;
    ret->n_peers = p->n;
}

/* True when it is the last address of its family on the device over which the default route leads: the
 * kernel takes all routes of that device along with it. */
static bool default_goes(struct nl *nl, const struct guard_touch *t, const struct guard_facts *f)
{
    AUTO_FREE struct rtnl_address *all = NULL;
    size_t n = 0, beside = 0;
    bool has = false;
    if (t->deed != GUARD_ADDRESS || !t->n_peers)
        return false;
    const char *device = f->default_device[t->peers[0].family == AF_INET6];
    int ifindex = 0;
    if (!device[0] || nl_ifindex(nl, device, &ifindex, NULL) < 0 ||
        rtnl_addresses(nl, &all, &n, NULL) < 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct inet_prefix *a = &all[i].prefix;
        bool local = a->family == AF_INET6 && a->addr[0] == 0xfe && (a->addr[1] & 0xc0) == 0x80;
        if (all[i].ifindex != ifindex || a->family != t->peers[0].family || local)
            continue;
        if (memcmp(a->addr, t->peers[0].addr, 16) == 0)
            has = true;
        else
            beside++;
    }
    return has && beside == 0;
}

static bool touches(const struct scenario *s, const struct step *step, const struct host *host)
{
    const struct host *hosts[64];
    size_t n = step_attached(s, step, hosts, ARRAY_SIZE(hosts));
    for (size_t i = 0; i < n; i++)
        if (hosts[i] == host)
            return true;
    return false;
}

int guard_scenario(const struct scenario *s, const struct attached *a, const char *mark,
                   json_t **ret_refused, struct err *err)
{
    AUTO_JSON *refused = json_array();
    for (size_t i = 0; i < a->n; i++) {
        struct guard_facts f = {0};
        CLEANUP(nl_free_p) struct nl *nl = NULL;
        int r = guard_facts_find(&a->items[i], mark, &f, err);
        if (r == 0)
            r = nl_open_kernel(f.machine ? -1 : a->items[i].at.netns, f.host, &nl, err);
        if (r < 0)
            return r;
        for (size_t k = 0; k < s->script.n; k++) {
            const struct step *step = s->script.items[k];
            struct guard_touch t;
            struct peers peers;
            struct err why = ERR_INIT;
            if (!touches(s, step, a->items[i].host))
                continue;
            touch_of(s, step, &peers, &t);
            t.default_goes = default_goes(nl, &t, &f);
            if (guard_judge(&t, &f, &why) < 0)
                json_array_append_new(refused, json_string(why.text));
        }
        guard_facts_done(&f);
    }
    *ret_refused = json_incref(refused);
    return 0;
}

/* In the words of what is done; who is left out of all of it. */
#define LEFT_OUT "left out of every cut, impairment, reset and false answer: "

json_t *guard_exempt_texts(const struct attached_host *h)
{
    json_t *texts = json_array();
    struct exemption x;
    char text[INET_TEXT_MAX];
    json_array_append_new(texts,
                          json_string(LEFT_OUT "the loopback (but for names: a resolver that "
                                               "stands on it is asked by 'dns')"));
    for (size_t i = 0; exempt_next(&h->exempt, i, &x); i++)
        if (x.kind == EXEMPT_PORT)
            json_array_append_new(texts,
                                  json_sprintf(LEFT_OUT "TCP port %u, on which we listen for "
                                                        "alarms",
                                               x.port));
    for (size_t i = 0; i < h->exempt.n; i++)
        json_array_append_new(texts, json_sprintf(LEFT_OUT "%s, %s",
                                                  inet_text(&h->exempt.items[i].address, text),
                                                  h->exempt.items[i].why));
    return texts;
}
