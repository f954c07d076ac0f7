/* What rules ask of a packet, whoever sent it: protocol, ports, whether it opens a connection, and what
 * becomes of it. For tables of a cut and of a barrier alike.
 *
 * Values, nothing to free. In the order in which they must stand: those that let pass among them.
 */
#pragma once

#include "injectors/net/partition/cut.h"

#define PATTERNS_MAX 128
struct patterns { /* rules without table, chain and sender */
    struct nft_rule items[PATTERNS_MAX];
    size_t n;
};
/* always_discovery: the search for IPv6 neighbours passes in any case, not only where it would be
 * refused. */
void patterns_find(const struct cut_scope *s, bool always_discovery, struct patterns *ret);
