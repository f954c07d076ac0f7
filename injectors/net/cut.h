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

#include "injectors/net/grudge.h"
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

/* "blackstart-STEP", in a buffer of the caller. */
#define CUT_TABLE_MAX 96
const char *cut_table_name(const char *step_id, char buf[CUT_TABLE_MAX]);

/* Everything lost at the switch: the table, its chain, set and rules; sends. The rules come in one
 * transaction: all pairs at once or none (then the table is taken away again). */
int cut_install_drop(const struct cut *c, struct nl *sw, const char *table, struct err *err);
/* Refused at the receiving host `host`, whose transport `nl` is. The same. */
int cut_install_reject(const struct cut *c, const char *host, struct nl *nl, const char *table,
                       struct err *err);
/* Takes the table away; none there: fine. */
int cut_remove(struct nl *nl, enum nft_family family, const char *table, struct err *err);

/* What the kernel holds of it. */
struct cut_seen {
    size_t asked, found; /* pairs and rules that should be there, and are */
    uint64_t packets;    /* lost or refused by them so far */
};
int cut_read_drop(const struct cut *c, struct nl *sw, const char *table, struct cut_seen *ret,
                  struct err *err);
int cut_read_reject(const struct cut *c, const char *host, struct nl *nl, const char *table,
                    struct cut_seen *ret, struct err *err);
