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
 * What a rule asks for may be looked up in a set: one hash look-up per packet whatever their number,
 * each element can be taken out alone, each counts what it met.
 */
#pragma once

#include "sim/kernel/inet.h"
#include "sim/kernel/nl.h"

enum nft_family {
    NFT_FAMILY_INET = 1,
    NFT_FAMILY_NETDEV = 5,
    NFT_FAMILY_BRIDGE = 7
}; /* NFPROTO_* */

struct nft_table {
    enum nft_family family;
    const char *name; /* starts with "blackstart": never anybody else's */
};

/* Makes the table, at once (queue flushed first). 0: owned by the socket; 1: made, but this kernel
 * knows no owner, so the caller must delete it. -EAFNOSUPPORT or -EOPNOTSUPP: no nf_tables for this
 * family. -EEXIST: there is one of that name. */
int nft_table_create(struct nl *nl, const struct nft_table *t, struct err *err);
/* One that stays when its maker has died; somebody must delete it. */
void nft_table_add(struct nl *nl, const struct nft_table *t);
void nft_table_delete(struct nl *nl, const struct nft_table *t);
/* 1: there is one of that name; 0: no, or no nf_tables at all. */
int nft_table_find(struct nl *nl, const struct nft_table *t, struct err *err);

enum nft_hook {
    NFT_PREROUTING,
    NFT_INPUT,
    NFT_FORWARD,
    NFT_OUTPUT,
    NFT_POSTROUTING,
    NFT_INGRESS, /* of `device`, the only one of the netdev family: after packet sockets and clsact */
};
struct nft_chain {
    struct nft_table table;
    const char *name;
    enum nft_hook hook;
    int priority; /* 0: filter; bridge filter is -200 */
    bool
        is_plain; /* sees only what rules of other chains send it by `jump`; no hook, no priority */
    bool translates;    /* sees the first packet of a flow alone, and may redirect it (type nat) */
    const char *device; /* NFT_INGRESS; else NULL */
};
/* With the policy accept. Rules may be loaded into a plain chain at leisure; a jump into it brings all
 * of them into force by one short transaction. (Waking a dormant table would, too, but since 6.9 the
 * kernel changes no flags of a table with an owner.) */
void nft_chain_add(struct nl *nl, const struct nft_chain *c);
void nft_chain_delete(struct nl *nl, const struct nft_chain *c);

enum nft_verdict {
    NFT_DROP_IT,
    NFT_REJECT_RST,  /* TCP reset; needs l4proto IPPROTO_TCP; inet family only */
    NFT_REJECT_ICMP, /* port unreachable; inet family only (bridge reject may be missing: ENOENT) */
    NFT_LET_PASS,    /* the rules after it are not asked; other tables still are */
    NFT_REDIRECT, /* the flow goes to the port `to` of this host; needs a chain that translates */
    NFT_TAKE, /* given to the transparent socket that listens on the port `to`, unchanged (tproxy,
                      * hook prerouting); flows of other sockets go on to those */
    NFT_ZONE, /* tracked in the zone `to`, apart from all others; the rules after it are asked */
    NFT_SEND, /* marked with `as`, and out of the device `out` (fwd); the netdev family's */
};
/* What a set is keyed by; the first part is always an interface. */
enum nft_key {
    NFT_KEY_PORTS,   /* iifname . oifname */
    NFT_KEY_IN_MAC,  /* iifname . source hardware address */
    NFT_KEY_IN_IP4,  /* iifname . source address */
    NFT_KEY_IN_IP6,  /* the same, IPv6 */
    NFT_KEY_OUT_IP4, /* oifname . source address */
    NFT_KEY_OUT_IP6, /* the same, IPv6 */
};
struct nft_set {
    struct nft_table table;
    const char *name;
    enum nft_key key;
};

struct nft_ports { /* lo 0: any; hi 0: lo alone */
    uint16_t lo, hi;
};
struct nft_rule {
    struct nft_table table;
    const char *chain;
    const char *iifname, *oifname;   /* NULL: any */
    struct inet_prefix saddr, daddr; /* family 0: any; both of one family */
    uint8_t l4proto;                 /* 0: any */
    const struct inet_mac *smac;     /* source hardware address, on Ethernet; NULL: any; borrowed */
    struct nft_ports sport, dport;   /* need l4proto */
    bool reset_only;                 /* TCP segments with RST; needs l4proto IPPROTO_TCP */
    bool syn_only;            /* TCP segments that open a connection; needs l4proto IPPROTO_TCP */
    uint8_t icmp_type;        /* 0: any; needs l4proto IPPROTO_ICMP or IPPROTO_ICMPV6 */
    bool new_only;            /* ct state new (inet family) */
    bool to_local;            /* sent to an address of this host (inet family) */
    uint32_t mark;            /* of its socket (SO_MARK); 0: any */
    uint16_t to;              /* the port or zone of the verdict */
    const char *out;          /* of NFT_SEND */
    uint32_t as;              /* of NFT_SEND */
    const struct nft_set *in; /* only what is in this set, asked last; NULL: any; borrowed */
    enum nft_verdict verdict; /* always after a counter */
    const char *jump;         /* instead of a verdict: the rules of that plain chain */
    const char *comment;      /* ≤ 120 bytes, identifies the rule; may be NULL */
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

#define NFT_KEY_MAX 32
struct nft_element {
    uint8_t key[NFT_KEY_MAX]; /* as the kernel has it, padded with zeros: equal if equal in bytes */
};
/* second: the name of an interface (const char *), a struct inet_mac, or a struct inet_prefix whose
 * length is ignored. A name that is none becomes an element that nft_set_add() refuses. */
struct nft_element nft_element(enum nft_key key, const char *interface, const void *second);

/* An empty set, each element with a counter. */
void nft_set_create(struct nl *nl, const struct nft_set *set);
/* Any number; split into messages of one transaction. An element that is in already: -EEXIST. */
void nft_set_add(struct nl *nl, const struct nft_set *set, const struct nft_element *e, size_t n);
void nft_set_delete(struct nl *nl, const struct nft_set *set, const struct nft_element *e,
                    size_t n); /* one not in it: -ENOENT */
struct nft_element_seen {
    struct nft_element element;
    uint64_t packets, bytes; /* that met it */
};
int nft_set_read(struct nl *nl, const struct nft_set *set, struct nft_element_seen **ret,
                 size_t *ret_n, struct err *err);

/* Everything nf_tables holds in this namespace, a line each, counters and handles masked. */
typedef void nft_line(const char *line, void *data);
int nft_describe(struct nl *nl, nft_line *fn, void *data, struct err *err);
