/* From the shape of a lab to messages for the kernel.
 *
 * Kernel facts: a veth's peer is created in its namespace, moving it would cost 17 ms. New
 * interfaces copy conf/default of their namespace, so settings come first. A new IPv4 namespace
 * starts with the machine's conf/all and conf/default, so what matters is written even where it is
 * the usual value. The neighbour table's limit (gc_thresh3, 1024) is one for all namespaces;
 * permanent entries are not counted, so hosts know each other by permanent entries and a full mesh
 * loses nothing. Virtual addresses are not declared and stay with ARP and ND.
 */
#include "sim/lab/wire.h"

#include "sim/kernel/rtnl.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Numbers of bridges are asked for: each cable names its bridge, and looking it up would cost a
 * question for each host. */
#define WIRE_FIRST_BRIDGE 0x8000

struct wire_setting {
    const char *key, *value;
    bool ipv6;
};

static int wire_set(struct nl *nl, const struct wire_setting *s, size_t n, struct err *err)
{
    bool ipv6 = access("/proc/sys/net/ipv6", F_OK) == 0;
    for (size_t i = 0; i < n; i++) {
        int r = s[i].ipv6 && !ipv6 ? 0 : nl_sysctl(nl, s[i].key, s[i].value, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int wire_switch(const struct topo *t, struct nl *sw, struct err *err)
{
    /* A switch has no addresses of its own and says nothing by itself. */
    static const struct wire_setting settings[] = {
        {"net/ipv6/conf/default/disable_ipv6", "1", true},
    };
    int r = nl_note(sw, err, "a network namespace of its own");
    if (r == 0)
        r = wire_set(sw, settings, ARRAY_SIZE(settings), err);
    for (size_t i = 0; r == 0 && i < t->nets_n; i++) {
        const struct topo_net *n = &t->nets[i];
        struct rtnl_bridge b = {.name = n->bridge,
                                .up = true,
                                .ifindex = WIRE_FIRST_BRIDGE + (int)i,
                                .mtu = n->mtu,
                                .mac = n->mac};
        rtnl_bridge_add(sw, &b);
        nl_learn(sw, n->bridge, b.ifindex);
    }
    return r < 0 ? r : nl_flush(sw, err);
}

int wire_settings(const struct topo *t, size_t h, struct nl *nl, struct err *err)
{
    const char *forward = t->hosts[h].router ? "1" : "0";
    const struct wire_setting settings[] = {
        {"net/ipv4/ip_forward", forward, false},
        {"net/ipv4/conf/all/rp_filter", "0", false},
        {"net/ipv4/conf/default/rp_filter", "0", false},
        {"net/ipv4/conf/all/send_redirects", "0", false},
        {"net/ipv4/conf/default/send_redirects", "0", false},
        /* Group 0 alone: the only one that exists in every user namespace. */
        {"net/ipv4/ping_group_range", "0 0", false},
        {"net/ipv6/conf/all/forwarding", forward, true},
        {"net/ipv6/conf/default/accept_ra", "0", true},
        {"net/ipv6/conf/default/accept_dad", "0", true},
    };
    int r =
        nl_note(nl, err, "network, pid, mount, UTS and IPC namespaces of its own, with an init");
    return r < 0 ? r : wire_set(nl, settings, ARRAY_SIZE(settings), err);
}

static void wire_neighbours(const struct topo *t, size_t h, struct nl *nl)
{
    const struct topo_host *host = &t->hosts[h];
    for (size_t c = host->cable; c < host->cable + host->cables; c++)
        for (size_t i = 0; i < t->addresses_n; i++) {
            const struct topo_cable *far = &t->cables[t->addresses[i].cable];
            if (far->host == h || far->net != t->cables[c].net)
                continue;
            struct inet_prefix p = t->addresses[i].prefix;
            p.len = p.family == AF_INET6 ? 128 : 32;
            rtnl_neighbour_add(nl, t->cables[c].dev, &p, &far->mac);
        }
}

static void wire_route(const struct inet_prefix *to, const struct inet_prefix *via, const char *dev,
                       void *data)
{
    struct rtnl_route r = {.to = *to, .via = *via, .dev = dev};
    rtnl_route_add(data, &r);
}

int wire_host(const struct topo *t, size_t h, struct nl *sw, struct nl *nl, struct nl_netns netns,
              struct err *err)
{
    const struct topo_host *host = &t->hosts[h];
    for (size_t i = host->cable; i < host->cable + host->cables; i++) {
        const struct topo_cable *c = &t->cables[i];
        struct rtnl_veth v = {.name = c->port,
                              .up = true,
                              .master = t->nets[c->net].bridge,
                              .mtu = t->nets[c->net].mtu,
                              .mac = c->port_mac,
                              .peer_netns = netns,
                              .peer_name = c->dev,
                              .peer_mac = c->mac,
                              .peer_ifindex = c->ifindex};
        rtnl_veth_add(sw, &v);
        nl_learn(nl, c->dev, c->ifindex);
    }
    int r = nl_flush(sw, err);
    if (r < 0)
        return r;
    rtnl_link_up(nl, "lo", true);
    for (size_t i = host->address; i < host->address + host->addresses; i++)
        rtnl_address_add(nl, t->cables[t->addresses[i].cable].dev, &t->addresses[i].prefix);
    for (size_t i = host->cable; i < host->cable + host->cables; i++)
        rtnl_link_up(nl, t->cables[i].dev, true);
    wire_neighbours(t, h, nl);
    topo_routes(t, h, wire_route, nl);
    return nl_flush(nl, err);
}

int wire_ports_down(const struct topo *t, size_t h, struct nl *sw, struct err *err)
{
    const struct topo_host *host = &t->hosts[h];
    for (size_t i = host->cable; i < host->cable + host->cables; i++)
        rtnl_link_up(sw, t->cables[i].port, false);
    return nl_flush(sw, err);
}

int wire_ports_delete(const struct topo *t, size_t h, struct nl *sw, struct err *err)
{
    const struct topo_host *host = &t->hosts[h];
    for (size_t i = host->cable; i < host->cable + host->cables; i++) {
        rtnl_link_delete(sw, t->cables[i].port);
        /* The kernel may have removed it already, with the host's namespace. */
        nl_forgive(sw, ENODEV);
    }
    return nl_flush(sw, err);
}
