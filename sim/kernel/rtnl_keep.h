/* What the kernel forgets of a device when it is set down, kept as messages that put it back: routes
 * over it that somebody made, its permanent IPv6 addresses, its permanent neighbours.
 *
 * What comes back by itself (connected and local routes, link-local addresses, what routers announce)
 * is not kept. IPv4 addresses, queues, filters and masters stay with a device that is down.
 *
 * Ownership: json_t by reference, as said.
 */
#pragma once

#include "sim/kernel/nl.h"
#include <jansson.h>

/* ret: a new reference to an array of texts, to be given to rtnl_restore() as it is, by whoever and
 * whenever in this boot. -EOPNOTSUPP: it has something that could not be put back (the sentence says
 * what). */
int rtnl_keep(struct nl *nl, int ifindex, json_t **ret, struct err *err);
/* Puts back what is not there, when the device is up again; waits up to 3 s for what depends on
 * addresses that are still being checked for duplicates. *ret_n: how much was put back. */
int rtnl_restore(struct nl *nl, const json_t *kept, size_t *ret_n, struct err *err);
