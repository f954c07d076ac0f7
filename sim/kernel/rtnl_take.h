/* An address or routes of a network namespace, taken away and put back as they were: every attribute
 * that the kernel tells (label, scope, broadcast, metric, protocol, remaining lifetime, the order among
 * addresses of one subnet), and what the kernel takes away with them.
 *
 * With the last address of a subnet go the routes over it, with the last of a device its permanent
 * neighbours, with a primary IPv4 address (where promote_secondaries is off) the secondary ones, and
 * routes that name it as their source lose that. All of it stands in what was taken.
 * The kernel can only append: an IPv4 address that is put back stands behind those of other subnets
 * on its device, which are not touched; that matters where the kernel chooses a source among them.
 *
 * Ownership: what was taken is JSON, to be kept by whoever undoes it, in this boot.
 */
#pragma once

#include "sim/kernel/inet.h"
#include "sim/kernel/nl.h"
#include <jansson.h>

/* Reads what withdrawing this address would take away; changes nothing. address->len: of the network,
 * or 32 / 128 for whatever it is. device NULL: whichever has it. -EADDRNOTAVAIL: nobody has; -ENOTUNIQ:
 * several devices have; -EOPNOTSUPP: it could not be put back (the sentence says why). */
int rtnl_take_address(struct nl *nl, const char *device, const struct inet_prefix *address,
                      json_t **ret, struct err *err);
/* The same of the routes to exactly this prefix in the main table (len 0: the default route), of any
 * metric. via NULL: by whatever way. -ESRCH: there is none. */
int rtnl_take_routes(struct nl *nl, const struct inet_prefix *to, const struct inet_prefix *via,
                     json_t **ret, struct err *err);
/* Takes it away; what has gone by itself is fine. */
int rtnl_take(struct nl *nl, const json_t *taken, struct err *err);
/* Puts back what is not there; *ret_n: how much that was. An address whose lifetime has run out
 * meanwhile stays away. Waits as rtnl_restore() does. */
int rtnl_take_back(struct nl *nl, const json_t *taken, size_t *ret_n, struct err *err);
/* How much of what was asked for (not of what goes with it) is there now. */
int rtnl_take_left(struct nl *nl, const json_t *taken, size_t *ret_n, struct err *err);
/* When the lifetime of an address that was taken runs out, by CLOCK_BOOTTIME; NSEC_INF: never. */
nsec rtnl_take_until(const json_t *taken);
/* Texts for people: "address 10.0.0.1/24 of eth0", "route default via 10.0.0.1 …"; appended. */
void rtnl_take_texts(const json_t *taken, json_t *texts);

/* Where the kernel would send a packet to this address now. */
struct rtnl_way {
    bool local;   /* to itself */
    bool nowhere; /* it has no way, or one that refuses */
    int ifindex;
    struct inet_prefix via; /* family 0: on the link */
};
int rtnl_take_way(struct nl *nl, const struct inet_prefix *to, struct rtnl_way *ret,
                  struct err *err);
/* The prefix of the route that is taken for it. -ESRCH: there is none. */
int rtnl_take_match(struct nl *nl, const struct inet_prefix *to, struct inet_prefix *ret,
                    struct err *err);
