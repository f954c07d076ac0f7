/* Who is never cut from a host that others made, nor slowed down, reset or answered falsely, whatever a
 * scenario asks for: the operator who started us from afar, the resolvers, our own listeners, and the
 * loopback.
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
    uint16_t ports[EXEMPT_PORTS];                /* of TCP, on which we listen in that host */
    struct inet_prefix listens_at[EXEMPT_PORTS]; /* of each the address; family 0: any */
    size_t n_ports;
};
void exempt_done(struct exempts *e);

/* What is left out, one by one: whoever sorts packets or connections of such a host (cuts, impairments,
 * resets, proxies) asks exempt_next() for it, and nothing else, so that all leave out the same. */
enum exemption_kind {
    EXEMPT_LOOPBACK, /* both ends lie in `peer` */
    EXEMPT_PEER,     /* the other end is `peer`: the operator's, or a resolver */
    EXEMPT_PORT,     /* the host's own end is `port` of TCP: a listener of ours */
};
struct exemption {
    enum exemption_kind kind;
    bool operator_;
    struct inet_prefix peer;
    uint16_t port;
};
/* The i-th, from 0 on; false: there are no more. e NULL: a host of the lab, the loopback alone. */
bool exempt_next(const struct exempts *e, size_t i, struct exemption *ret);
/* True when this connection (source: the host's own end) is left out. */
bool exempt_flow(const struct exempts *e, const struct inet_flow *f);
/* We listen there ("10.0.0.1:9099", "0.0.0.0:9099"); once is enough. -ENOSPC: EXEMPT_PORTS are. */
int exempt_listener(struct exempts *e, const char *listen, struct err *err);
/* The one that lies in this prefix; NULL: none does. */
const struct exempt *exempt_in(const struct exempts *e, const struct inet_prefix *net);
/* True when the prefix holds nothing but addresses of the loopback. */
bool exempt_is_loopback(const struct inet_prefix *net);

struct attached;
/* Finds those of every host. What may not be looked at is left out. */
int exempt_find(struct attached *a, struct err *err);
/* The nameservers of a resolv.conf(5) that are not of the loopback: appended. Pure. */
void exempt_resolvers(const char *text, const char *path, struct exempts *ret);
