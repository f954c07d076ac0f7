/* Who is never cut from a host that others made, nor slowed down, whatever a scenario asks for: the
 * operator who started us from afar, and the resolvers. (The loopback is left out by those who make rules:
 * it is a device.)
 *
 * The operator is found by the TCP connections of our ancestors (sshd among them, sudo or not), in the
 * network namespace we stand in and in that of the host; by SSH_CONNECTION where we may not look.
 *
 * Ownership: a list belongs to its attached host, freed with it.
 */
#pragma once

#include "sim/base/err.h"
#include "sim/kernel/inet.h"
#include <stdbool.h>
#include <stddef.h>

struct exempt {
    struct inet_prefix address; /* a single one */
    struct inet_prefix own;     /* the local end of an operator's connection; family 0: none */
    bool operator_;             /* else a resolver */
    char why[120]; /* "the other end of a connection of sshd (812), which started us" */
};

#define EXEMPT_PORTS 8
struct exempts {
    struct exempt *items;
    size_t n;
    uint16_t ports[EXEMPT_PORTS]; /* of TCP, on which we listen in that host (webhooks) */
    size_t n_ports;
};
void exempt_done(struct exempts *e);
/* The one that lies in this prefix; NULL: none does. */
const struct exempt *exempt_in(const struct exempts *e, const struct inet_prefix *net);
/* True when the prefix holds nothing but addresses of the loopback. */
bool exempt_is_loopback(const struct inet_prefix *net);

struct attached;
/* Finds those of every host. What may not be looked at is left out. */
int exempt_find(struct attached *a, struct err *err);
/* The nameservers of a resolv.conf(5) that are not of the loopback: appended. Pure. */
void exempt_resolvers(const char *text, const char *path, struct exempts *ret);
