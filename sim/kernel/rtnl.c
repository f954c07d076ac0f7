/* Encoders of rtnetlink; see rtnl.h. Attribute order follows iproute2 where it does not matter. */
#include "sim/kernel/rtnl.h"

#include "sim/kernel/nl_req.h"
#include <errno.h>
#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 512 /* bytes of attributes that any of these needs at most */

static const struct inet_mac no_mac;

static struct nl_req *link_req(uint16_t type, uint16_t flags, const struct ifinfomsg *head)
{
    return nl_req_new(NETLINK_ROUTE, type, flags, head, sizeof *head, ROOM);
}

/* Up at once: rtnl_configure_link() heeds the flags of a new link. */
static unsigned up_flag(bool up)
{
    return up ? IFF_UP : 0;
}

static void put_mac(struct nl_req *q, const struct inet_mac *mac)
{
    if (memcmp(mac, &no_mac, sizeof no_mac) != 0)
        nl_req_put(q, IFLA_ADDRESS, mac->b, sizeof mac->b);
}

static void put_some(struct nl_req *q, int attr, uint32_t v)
{
    if (v)
        nl_req_put_u32(q, attr, v);
}

void rtnl_bridge_add(struct nl *nl, const struct rtnl_bridge *b)
{
    struct ifinfomsg head = {
        .ifi_index = b->ifindex, .ifi_flags = up_flag(b->up), .ifi_change = up_flag(b->up)};
    struct nl_req *q = link_req(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head);
    nl_req_put_ifname(q, IFLA_IFNAME, b->name);
    put_mac(q, &b->mac);
    put_some(q, IFLA_MTU, b->mtu);
    put_some(q, IFLA_GROUP, b->group);
    struct nlattr *info = nl_req_nest(q, IFLA_LINKINFO);
    nl_req_put_str(q, IFLA_INFO_KIND, "bridge");
    struct nlattr *data = nl_req_nest(q, IFLA_INFO_DATA);
    /* In this order: with STP on, a forward delay of 0 would be refused. */
    nl_req_put_u32(q, IFLA_BR_STP_STATE, 0);
    nl_req_put_u32(q, IFLA_BR_FORWARD_DELAY, 0);
    /* Not IFLA_BR_VLAN_FILTERING: 0 is the default, and EOPNOTSUPP where the kernel lacks it. */
    nl_req_put_u8(q, IFLA_BR_MCAST_SNOOPING, 0);
    nl_req_nest_end(q, data);
    nl_req_nest_end(q, info);
    nl_queue(nl, q);
}

/* A change of an existing link, addressed by name: no number has to be looked up. */
static struct nl_req *change(const char *name, unsigned flags, unsigned mask)
{
    struct ifinfomsg head = {.ifi_flags = flags, .ifi_change = mask};
    struct nl_req *q = link_req(RTM_NEWLINK, 0, &head);
    nl_req_put_ifname(q, IFLA_IFNAME, name);
    return q;
}

/* For a new link IFLA_AF_SPEC is EAFNOSUPPORT (6.18), for a host without IPv6 nothing to switch off.
 */
void rtnl_link_quiet(struct nl *nl, const char *name)
{
    struct nl_req *q = change(name, 0, 0);
    struct nlattr *all = nl_req_nest(q, IFLA_AF_SPEC);
    struct nlattr *inet6 = nl_req_nest(q, AF_INET6);
    nl_req_put_u8(q, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    nl_req_nest_end(q, inet6);
    nl_req_nest_end(q, all);
    nl_queue(nl, q);
    nl_forgive(nl, EAFNOSUPPORT);
}

/* Without these a veth gets a queue for each processor, each with its entries in sysfs: with two
 * processors that doubles the cost of making it. It transmits without a lock of its own either way.
 */
static void put_one_queue(struct nl_req *q)
{
    nl_req_put_u32(q, IFLA_NUM_TX_QUEUES, 1);
    nl_req_put_u32(q, IFLA_NUM_RX_QUEUES, 1);
}

void rtnl_veth_add(struct nl *nl, const struct rtnl_veth *v)
{
    unsigned noarp = v->quiet ? IFF_NOARP : 0, flags = up_flag(v->up) | noarp;
    struct ifinfomsg head = {.ifi_flags = flags, .ifi_change = flags};
    struct ifinfomsg peer_head = {
        .ifi_index = v->peer_ifindex, .ifi_flags = noarp, .ifi_change = noarp};
    struct nl_req *q = link_req(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head);
    if (v->peer_ifindex) /* veth_newlink() heeds the peer's number only if this end has one */
        nl_req_hole_new(q, offsetof(struct ifinfomsg, ifi_index));
    nl_req_put_ifname(q, IFLA_IFNAME, v->name);
    put_mac(q, &v->mac);
    put_some(q, IFLA_MTU, v->mtu);
    put_some(q, IFLA_GROUP, v->group);
    put_some(q, IFLA_GSO_MAX_SEGS, v->gso_max_segs);
    put_one_queue(q);
    if (v->master)
        nl_req_put_ifindex(q, IFLA_MASTER, v->master);
    struct nlattr *info = nl_req_nest(q, IFLA_LINKINFO);
    nl_req_put_str(q, IFLA_INFO_KIND, "veth");
    struct nlattr *data = nl_req_nest(q, IFLA_INFO_DATA);
    struct nlattr *peer = nl_req_nest(q, VETH_INFO_PEER);
    nl_req_put_raw(q, &peer_head, sizeof peer_head);
    nl_req_put_ifname(q, IFLA_IFNAME, v->peer_name);
    put_mac(q, &v->peer_mac);
    put_some(q, IFLA_MTU, v->mtu);
    put_one_queue(q);
    if (v->peer_netns.name)
        nl_req_put_netns(q, IFLA_NET_NS_FD, &v->peer_netns);
    nl_req_nest_end(q, peer);
    nl_req_nest_end(q, data);
    nl_req_nest_end(q, info);
    nl_queue(nl, q);
    if (v->quiet) {
        rtnl_link_quiet(nl, v->name);
        if (!v->peer_netns.name)
            rtnl_link_quiet(nl, v->peer_name);
    }
}

void rtnl_link_up(struct nl *nl, const char *name, bool up)
{
    nl_queue(nl, change(name, up_flag(up), IFF_UP));
}

void rtnl_link_mtu(struct nl *nl, const char *name, uint32_t mtu)
{
    struct nl_req *q = change(name, 0, 0);
    nl_req_put_u32(q, IFLA_MTU, mtu);
    nl_queue(nl, q);
}

void rtnl_link_queue(struct nl *nl, const char *name, uint32_t packets)
{
    struct nl_req *q = change(name, 0, 0);
    nl_req_put_u32(q, IFLA_TXQLEN, packets);
    nl_queue(nl, q);
}

void rtnl_link_gso_max_segs(struct nl *nl, const char *name, uint32_t segs)
{
    struct nl_req *q = change(name, 0, 0);
    nl_req_put_u32(q, IFLA_GSO_MAX_SEGS, segs);
    nl_queue(nl, q);
}

void rtnl_link_master(struct nl *nl, const char *name, const char *master)
{
    struct nl_req *q = change(name, 0, 0);
    if (master)
        nl_req_put_ifindex(q, IFLA_MASTER, master);
    else
        nl_req_put_u32(q, IFLA_MASTER, 0);
    nl_queue(nl, q);
}

void rtnl_link_group(struct nl *nl, const char *name, uint32_t group)
{
    struct nl_req *q = change(name, 0, 0);
    nl_req_put_u32(q, IFLA_GROUP, group);
    nl_queue(nl, q);
}

void rtnl_link_delete(struct nl *nl, const char *name)
{
    struct ifinfomsg head = {0};
    struct nl_req *q = link_req(RTM_DELLINK, 0, &head);
    nl_req_put_ifname(q, IFLA_IFNAME, name);
    q->gone = name ? strdup(name) : NULL;
    nl_queue(nl, q);
}

void rtnl_link_delete_group(struct nl *nl, uint32_t group)
{
    struct ifinfomsg head = {0};
    struct nl_req *q = link_req(RTM_DELLINK, 0, &head);
    if (group == 0) /* the default group: every interface that is in none */
        nl_req_break(q, "group 0 holds interfaces of others: not deleted");
    nl_req_put_u32(q, IFLA_GROUP, group);
    nl_queue(nl, q);
}

void rtnl_port_set(struct nl *nl, const char *name, const struct rtnl_port *p)
{
    const struct {
        int attr, value;
    } options[] = {
        {IFLA_BRPORT_MODE, p->hairpin},
        {IFLA_BRPORT_LEARNING, p->learning},
        {IFLA_BRPORT_UNICAST_FLOOD, p->unicast_flood},
        {IFLA_BRPORT_MCAST_FLOOD, p->multicast_flood},
        {IFLA_BRPORT_BCAST_FLOOD, p->broadcast_flood},
        {IFLA_BRPORT_ISOLATED, p->isolated},
    };
    struct nl_req *q = change(name, 0, 0);
    struct nlattr *info = nl_req_nest(q, IFLA_LINKINFO);
    nl_req_put_str(q, IFLA_INFO_SLAVE_KIND, "bridge");
    struct nlattr *data = nl_req_nest(q, IFLA_INFO_SLAVE_DATA);
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        if (options[i].value >= 0)
            nl_req_put_u8(q, options[i].attr, options[i].value != 0);
    nl_req_nest_end(q, data);
    nl_req_nest_end(q, info);
    nl_queue(nl, q);
}

/* --- Addresses, routes, neighbours ------------------------------------------- */

static void put_address(struct nl_req *q, int attr, const struct inet_prefix *p)
{
    nl_req_put(q, attr, p->addr, inet_bytes(p));
}

static void address(struct nl *nl, uint16_t type, uint16_t flags, const char *dev,
                    const struct inet_prefix *p)
{
    struct ifaddrmsg head = {
        .ifa_family = p->family, .ifa_prefixlen = p->len, .ifa_scope = RT_SCOPE_UNIVERSE};
    struct nl_req *q = nl_req_new(NETLINK_ROUTE, type, flags, &head, sizeof head, ROOM);
    nl_req_hole_ifindex(q, offsetof(struct ifaddrmsg, ifa_index), dev);
    put_address(q, IFA_LOCAL, p);
    if (p->family == AF_INET)
        put_address(q, IFA_ADDRESS, p);
    if (type == RTM_NEWADDR && p->family == AF_INET && p->len < 31) {
        struct inet_prefix all = *p; /* the kernel adds no broadcast address by itself */
        for (unsigned bit = p->len; bit < 32; bit++)
            all.addr[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
        put_address(q, IFA_BROADCAST, &all);
    }
    if (type == RTM_NEWADDR && p->family == AF_INET6)
        nl_req_put_u32(q, IFA_FLAGS, IFA_F_NODAD);
    nl_queue(nl, q);
}

void rtnl_address_add(struct nl *nl, const char *dev, const struct inet_prefix *p)
{
    address(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, dev, p);
}

void rtnl_address_delete(struct nl *nl, const char *dev, const struct inet_prefix *p)
{
    address(nl, RTM_DELADDR, 0, dev, p);
}

static void route(struct nl *nl, uint16_t type, uint16_t flags, const struct rtnl_route *r)
{
    struct rtmsg head = {
        .rtm_family = r->to.family ? r->to.family : r->via.family,
        .rtm_dst_len = r->to.family ? r->to.len : 0,
        .rtm_table = RT_TABLE_MAIN,
        .rtm_protocol = type == RTM_NEWROUTE ? RTPROT_STATIC : RTPROT_UNSPEC,
        .rtm_scope = type == RTM_DELROUTE ? RT_SCOPE_NOWHERE
                     : r->via.family      ? RT_SCOPE_UNIVERSE
                                          : RT_SCOPE_LINK,
        .rtm_type = type == RTM_NEWROUTE ? RTN_UNICAST : RTN_UNSPEC,
    };
    struct nl_req *q = nl_req_new(NETLINK_ROUTE, type, flags, &head, sizeof head, ROOM);
    if (head.rtm_family == AF_UNSPEC)
        nl_req_break(q, "a route needs a destination or a gateway");
    if (r->to.family && r->via.family && r->to.family != r->via.family)
        nl_req_break(q, "a route's destination and gateway must be of one family");
    if (head.rtm_dst_len) {
        struct inet_prefix net = inet_masked(&r->to);
        put_address(q, RTA_DST, &net);
    }
    if (r->via.family)
        put_address(q, RTA_GATEWAY, &r->via);
    if (r->dev)
        nl_req_put_ifindex(q, RTA_OIF, r->dev);
    put_some(q, RTA_PRIORITY, r->metric);
    nl_queue(nl, q);
}

void rtnl_route_add(struct nl *nl, const struct rtnl_route *r)
{
    route(nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, r);
}

void rtnl_route_delete(struct nl *nl, const struct rtnl_route *r)
{
    route(nl, RTM_DELROUTE, 0, r);
}

void rtnl_neighbour_add(struct nl *nl, const char *dev, const struct inet_prefix *addr,
                        const struct inet_mac *mac)
{
    struct ndmsg head = {.ndm_family = addr->family, .ndm_state = NUD_PERMANENT};
    struct nl_req *q = nl_req_new(NETLINK_ROUTE, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &head,
                                  sizeof head, ROOM);
    nl_req_hole_ifindex(q, offsetof(struct ndmsg, ndm_ifindex), dev);
    put_address(q, NDA_DST, addr);
    nl_req_put(q, NDA_LLADDR, mac->b, sizeof mac->b);
    nl_queue(nl, q);
}
