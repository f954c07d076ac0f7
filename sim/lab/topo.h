/* The shape of a lab: networks, hosts, cables, addresses, routes; calculated from the scenario
 * alone, so that `plan` and `run` know the same.
 *
 * Ownership: topo_new() … topo_free(); names are borrowed from the scenario, which must outlive it.
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/kernel/inet.h"
#include "sim/kernel/nl.h"
#include "sim/model/model.h"
#include <net/if.h>

struct topo_net {
    const char *name;             /* "lan" for the one of a scenario without networks */
    char bridge[IFNAMSIZ];        /* in the switch */
    struct inet_prefix subnet[2]; /* IPv4, IPv6; family 0: none */
    uint32_t mtu;
    struct inet_mac mac;
};

struct topo_address {
    size_t cable;
    struct inet_prefix prefix; /* with the network's length */
};

struct topo_cable { /* one host on one network */
    size_t host, net;
    char port[IFNAMSIZ]; /* the switch's end */
    char dev[IFNAMSIZ];  /* the host's end: eth0, eth1 … in the order of the host's addresses */
    int ifindex;         /* of dev */
    struct inet_mac mac, port_mac;
};

struct topo_host {
    const struct host *host;
    size_t cable, cables; /* first, number */
    size_t address, addresses;
    bool router;
};

struct topo {
    struct arena *arena;
    struct topo_net *nets;
    struct topo_host *hosts;
    struct topo_cable *cables;
    struct topo_address *addresses;
    size_t nets_n, hosts_n, cables_n, addresses_n;
};

int topo_new(const struct scenario *s, struct topo **ret, struct err *err);
struct topo *topo_free(struct topo *t); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct topo, topo_free);

/* What host `h` must know to reach other networks, by the fewest hops (of several, the first
 * declared router). Calls fn for each route. */
typedef void topo_route_fn(const struct inet_prefix *to, const struct inet_prefix *via,
                           const char *dev, void *data);
void topo_routes(const struct topo *t, size_t h, topo_route_fn *fn, void *data);

/* /etc/hosts as seen on host `h`. */
void topo_hosts_file(const struct topo *t, size_t h, struct buf *out);
