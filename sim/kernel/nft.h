/* nf_tables by raw netlink attributes (linux/netfilter/nf_tables.h): tables that die with their
 * socket, chains, rules, and sets of port pairs with a counter each.
 *
 * Functions returning void queue one message on `nl`. All nf_tables messages queued between two
 * nl_flush() are ONE transaction, in one send: either all of it is in force or nothing.
 *
 * An owned table (kernel ≥ 5.12) belongs to the transport's socket (nl_fd(nl, NETLINK_NETFILTER)):
 * nobody else can change it, and the kernel removes it when the last copy of that descriptor is
 * closed, whoever dies how.
 *
 * Cuts by port pair are elements of a set keyed by iifname . oifname: one hash look-up per packet
 * whatever their number, each can be taken out alone, each counts what it dropped.
 */
#pragma once

#include "sim/kernel/inet.h"
#include "sim/kernel/nl.h"

enum nft_family { NFT_FAMILY_INET = 1, NFT_FAMILY_BRIDGE = 7 }; /* NFPROTO_* */

struct nft_table {
    enum nft_family family;
    const char *name; /* starts with "blackstart": never anybody else's */
};

/* Makes the table, at once (queue flushed first). 0: owned by the socket; 1: made, but this kernel
 * knows no owner, so the caller must delete it. -EAFNOSUPPORT or -EOPNOTSUPP: no nf_tables for this
 * family. -EEXIST: there is one of that name. */
int nft_table_create(struct nl *nl, const struct nft_table *t, struct err *err);
void nft_table_delete(struct nl *nl, const struct nft_table *t);

enum nft_hook { NFT_PREROUTING, NFT_INPUT, NFT_FORWARD, NFT_OUTPUT, NFT_POSTROUTING };
struct nft_chain {
    struct nft_table table;
    const char *name;
    enum nft_hook hook;
    int priority; /* 0: filter; bridge filter is -200 */
};
void nft_chain_add(struct nl *nl, const struct nft_chain *c); /* base chain, policy accept */
void nft_chain_delete(struct nl *nl, const struct nft_chain *c);

enum nft_verdict {
    NFT_DROP_IT,
    NFT_REJECT_RST,  /* TCP reset; needs l4proto IPPROTO_TCP; inet family only */
    NFT_REJECT_ICMP, /* port unreachable; inet family only (bridge reject may be missing: ENOENT) */
    NFT_LET_PASS,    /* the rules after it are not asked; other tables still are */
};
struct nft_rule {
    struct nft_table table;
    const char *chain;
    const char *iifname, *oifname;   /* NULL: any */
    struct inet_prefix saddr, daddr; /* family 0: any; both of one family */
    uint8_t l4proto;                 /* 0: any */
    const struct inet_mac *smac;     /* source hardware address, on Ethernet; NULL: any; borrowed */
    uint16_t sport, dport;           /* 0: any; need l4proto */
    bool reset_only;                 /* TCP segments with RST; needs l4proto IPPROTO_TCP */
    uint8_t icmp_type;               /* 0: any; needs l4proto IPPROTO_ICMP or IPPROTO_ICMPV6 */
    bool new_only;                   /* ct state new (inet family) */
    enum nft_verdict verdict;        /* always after a counter */
    const char *comment;             /* ≤ 120 bytes, identifies the rule; may be NULL */
};
void nft_rule_add(struct nl *nl, const struct nft_rule *r);
void nft_rule_delete(struct nl *nl, const struct nft_table *t, const char *chain, uint64_t handle);

struct nft_rule_seen {
    uint64_t handle, packets, bytes;
    char chain[32], comment[128];
};
/* Rules of a table with counters; the caller frees *ret. A recording has none. */
int nft_rules(struct nl *nl, const struct nft_table *t, struct nft_rule_seen **ret, size_t *ret_n,
              struct err *err);

struct nft_pair {
    char in[16], out[16]; /* interface names, exact */
};
/* The set `set`, empty, and in `chain` the rule that drops what is in it. */
void nft_pairs_create(struct nl *nl, const struct nft_table *t, const char *chain, const char *set);
/* Any number; split into messages of one transaction. A pair that is in already: -EEXIST. */
void nft_pairs_add(struct nl *nl, const struct nft_table *t, const char *set,
                   const struct nft_pair *pairs, size_t n);
void nft_pairs_delete(struct nl *nl, const struct nft_table *t, const char *set,
                      const struct nft_pair *pairs, size_t n); /* one not in it: -ENOENT */
struct nft_pair_seen {
    struct nft_pair pair;
    uint64_t packets, bytes; /* dropped by it */
};
int nft_pairs(struct nl *nl, const struct nft_table *t, const char *set, struct nft_pair_seen **ret,
              size_t *ret_n, struct err *err);

/* Everything nf_tables holds in this namespace, a line each, counters and handles masked. */
typedef void nft_line(const char *line, void *data);
int nft_describe(struct nl *nl, nft_line *fn, void *data, struct err *err);
