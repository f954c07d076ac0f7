/* Links, addresses, routes, neighbours by rtnetlink (rtnetlink(7), linux/rtnetlink.h, if_link.h).
 *
 * Functions returning void queue one message on `nl`; nl_flush() sends and tells errors. Texts are
 * copied. Interfaces are named; see nl.h for how numbers are found. Those that ask (rtnl_link_get
 * …) flush first.
 */
#pragma once

#include "sim/kernel/inet.h"
#include "sim/kernel/nl.h"

/* A bridge as a lab needs it: STP off, forward delay 0, multicast snooping off, no VLAN filtering,
 * the kernel's default group_fwd_mask; up if asked for. */
struct rtnl_bridge {
    const char *name;
    bool up;
    int ifindex;    /* asked for (then nl_learn() it), EBUSY when it is taken; 0: any */
    uint32_t mtu;   /* 0: default */
    uint32_t group; /* 0: default */
    struct inet_mac mac;
};
void rtnl_bridge_add(struct nl *nl, const struct rtnl_bridge *b);

/* A pair made from this side, the peer born in its namespace (moving it later would cost an RCU
 * grace period, 16 ms). One queue each. This end is up if asked for, which saves a message of its own
 * and is done before it gets its master; the peer is down (IFF_UP for it in this message:
 * ENOTCONN). */
struct rtnl_veth {
    const char *name;   /* this end */
    bool up;            /* this end */
    const char *master; /* its bridge, or NULL */
    uint32_t group;     /* of this end; 0: default */
    uint32_t mtu;       /* of both; 0: default */
    struct inet_mac mac;
    struct nl_netns peer_netns; /* name NULL: the same namespace */
    const char *peer_name;
    struct inet_mac peer_mac;
    /* Asked for (then nl_learn() it in the peer's transport), 0: any. EBUSY when it is taken there.
     * The kernel heeds it only if this end asks for a number too, so this end gets one from 65536
     * up. */
    int peer_ifindex;
    /* Both ends without ARP, and (this one, and the peer in the same namespace) without addresses
     * of IPv6: no word of their own. */
    bool quiet;
    uint32_t gso_max_segs; /* of this end: 1 has the kernel cut large frames; 0: default */
};
void rtnl_veth_add(struct nl *nl, const struct rtnl_veth *v);

void rtnl_link_up(struct nl *nl, const char *name, bool up);
/* The kernel makes no IPv6 addresses on it when it goes up. */
void rtnl_link_quiet(struct nl *nl, const char *name);
void rtnl_link_mtu(struct nl *nl, const char *name, uint32_t mtu);
void rtnl_link_queue(struct nl *nl, const char *name, uint32_t packets);
#define RTNL_GSO_MAX_SEGS 65535 /* the kernel's default */
void rtnl_link_gso_max_segs(struct nl *nl, const char *name, uint32_t segs);
void rtnl_link_master(struct nl *nl, const char *name, const char *master); /* NULL: none */
void rtnl_link_group(struct nl *nl, const char *name, uint32_t group);
void rtnl_link_delete(struct nl *nl, const char *name);
void rtnl_link_delete_group(struct nl *nl, uint32_t group); /* all of them in one message */

/* Options of a bridge port; negative: left as it is, else 0 or 1. */
struct rtnl_port {
    int learning, unicast_flood, multicast_flood, broadcast_flood, hairpin, isolated;
};
#define RTNL_PORT_INIT ((struct rtnl_port){-1, -1, -1, -1, -1, -1})
void rtnl_port_set(struct nl *nl, const char *name, const struct rtnl_port *p);

/* p->len is the network's; IPv6 without duplicate address detection (usable at once). */
void rtnl_address_add(struct nl *nl, const char *dev, const struct inet_prefix *p);
void rtnl_address_delete(struct nl *nl, const char *dev, const struct inet_prefix *p);

/* Main table. `to` with family 0: the default route of via's family. `via` with family 0: on link.
 */
struct rtnl_route {
    struct inet_prefix to, via;
    const char *dev; /* may be NULL when via is given */
    uint32_t metric; /* 0: default */
};
void rtnl_route_add(struct nl *nl, const struct rtnl_route *r);
void rtnl_route_delete(struct nl *nl, const struct rtnl_route *r);

/* A permanent neighbour entry (not counted against the kernel's table of 1,024). */
void rtnl_neighbour_add(struct nl *nl, const char *dev, const struct inet_prefix *addr,
                        const struct inet_mac *mac);

/* What is there. */
struct rtnl_link {
    int ifindex, master, peer;  /* peer: IFLA_LINK, 0 when none */
    char name[16], kind[16];    /* kind "" for real devices and lo */
    uint8_t operstate;          /* IF_OPER_* */
    unsigned flags;             /* IFF_UP, IFF_RUNNING, IFF_LOWER_UP … */
    uint32_t mtu, group, queue; /* queue: packets, IFLA_TXQLEN */
    struct inet_mac mac;
    uint64_t rx_packets, tx_packets, rx_dropped, tx_dropped;
};
/* The caller frees *ret with free(). A recording has none. */
int rtnl_links(struct nl *nl, struct rtnl_link **ret, size_t *ret_n, struct err *err);
/* -ENODEV when there is none. A recording answers an invented link that is up. */
int rtnl_link_get(struct nl *nl, const char *name, struct rtnl_link *ret, struct err *err);

/* Waits until each port of a bridge that is up also runs: the kernel lets it forward a moment after
 * both ends were brought up, and frames sent before are lost. It runs when its operational state is
 * up: IFF_RUNNING is also set while that state is unknown, before the kernel first looks at the
 * carrier of a new port. -ETIMEDOUT names one that does not run. */
int rtnl_ports_running(struct nl *nl, nsec timeout, struct err *err);

struct rtnl_address {
    int ifindex;
    uint32_t flags; /* IFA_F_* */
    uint8_t scope;
    struct inet_prefix prefix;
};
int rtnl_addresses(struct nl *nl, struct rtnl_address **ret, size_t *ret_n, struct err *err);

/* Classes: those with parameters (not the flows that fq_codel and sfq show as classes). Filters: of
 * every device, at ingress, egress and in every qdisc and class, with their actions. */
enum rtnl_what {
    RTNL_LINKS,
    RTNL_ADDRESSES,
    RTNL_ROUTES,
    RTNL_RULES,
    RTNL_QDISCS,
    RTNL_CLASSES,
    RTNL_FILTERS,
};
/* Each object as one line in the decoder's form (names for numbers), volatile values masked. */
typedef void rtnl_line(const char *line, void *data);
int rtnl_describe(struct nl *nl, enum rtnl_what what, rtnl_line *fn, void *data, struct err *err);
