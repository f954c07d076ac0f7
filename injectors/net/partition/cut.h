/* A cut: which ports and which addresses are lost to each other, and the messages that make it so.
 *
 * Ownership: `struct cut` is its user's, freed by cut_done(); names are the scenario's.
 *
 *   pairs    two ports on one network, from → to: whatever goes in at the first and out at the
 *            second, whatever addresses it carries
 *   routes   two ports on different networks, joined by routers: what goes out at the second with a
 *            declared address of the first as its source
 */
#pragma once

#include "injectors/net/partition/grudge.h"
#include "injectors/net/ports.h"
#include "sim/kernel/nft.h"

struct cut_pair {
    size_t from, to; /* in ports */
};

struct cut {
    struct ports ports;
    struct cut_pair *pairs, *routes;
    size_t n_pairs, n_routes;
};
void cut_done(struct cut *c);
#define AUTO_CUT __attribute__((cleanup(cut_done))) struct cut

/* The ways of a grudge over these hosts. */
void cut_along(const struct topo *t, const char *const *hosts, size_t n, const struct grudge *g,
               struct cut *ret);
/* These hosts from every other host of the scenario; forward: what they send. */
void cut_around(const struct topo *t, const char *const *hosts, size_t n, bool forward,
                bool backward, struct cut *ret);
/* The receiving hosts, each once. */
size_t cut_receivers(const struct cut *c, const char **ret, size_t max);

/* Which packets of those ways, and what becomes of them. Zeroed: all of them, lost. */
struct cut_scope {
    bool refuse;   /* the sender is told, by a reset or an ICMP error */
    bool new_only; /* what opens a connection; what belongs to one passes */
    int protocol;  /* IPPROTO_*, ICMP being ICMPv6 too (but no neighbour discovery); 0: any */
    struct port_ranges ports; /* of TCP, UDP and SCTP, at either end; with new_only the port that is
                               * asked for; empty: any */
};
/* Where it happens: at the switch, in one table; else in each receiving host, in one there. */
bool cut_is_at_switch(const struct cut_scope *s);

/* "blackstart-STEP", in a buffer of the caller. */
#define CUT_TABLE_MAX 96
const char *cut_table_name(const char *step_id, char buf[CUT_TABLE_MAX]);

/* One table of a cut: where, and through which transport. */
struct cut_place {
    const char *host; /* NULL: the switch */
    struct nl *nl;    /* of that namespace; borrowed */
    const char *table;
};
/* Everything in one transaction, but not in force: the chains at the hooks are empty before
 * cut_wake(). (The first chain at a hook makes the kernel patch its own code, a millisecond that is
 * none of the fault's.) After a failure the table is taken away again. */
int cut_load(const struct cut *c, const struct cut_scope *s, const struct cut_place *at,
             struct err *err);
/* All of it takes effect at once, by one short transaction. */
int cut_wake(const struct cut_place *at, struct err *err);
/* Takes the table away; none there: fine. */
int cut_remove(const struct cut_place *at, struct err *err);

/* What the kernel holds of it. */
struct cut_seen {
    size_t asked, found; /* ways and rules that should be there, and are */
    uint64_t packets;    /* lost or refused by them so far */
};
int cut_read(const struct cut *c, const struct cut_scope *s, const struct cut_place *at,
             struct cut_seen *ret, struct err *err);
