/* Encoders of nf_tables; see nft.h. Integers are in network byte order except ct state and marks.
 */
#include "sim/kernel/nft.h"

#include "sim/kernel/nl_req.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

#define ROOM 2048
#define COMMENT_MAX 120
/* A nest holds at most 65,535 bytes, an element of two names is 44. */
#define ELEMENTS_PER_MESSAGE 1400
#define ELEMENT_BYTES ((size_t)44)
#define CT_STATE_NEW 8u /* NF_CT_STATE_BIT(IP_CT_NEW) */
enum { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_ACK = 0x10 }; /* in byte 13 */

enum { VERDICT = NFT_REG_VERDICT, REG1 = NFT_REG_1, REG2 = NFT_REG_2 };

static struct nl_req *nft_req(enum nft_family family, uint16_t type, uint16_t flags, size_t room)
{
    struct nfgenmsg head = {.nfgen_family = (uint8_t)family, .version = NFNETLINK_V0};
    struct nl_req *q = nl_req_new(NETLINK_NETFILTER, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type),
                                  flags, &head, sizeof head, room);
    q->transaction = true;
    return q;
}

/* Never somebody else's: all our tables have names of one form. */
static void put_table(struct nl_req *q, int attr, const struct nft_table *t)
{
    if (strncmp(t->name, "blackstart", 10) != 0)
        nl_req_break(q, "the nf_tables table \"%s\" is not ours to change", t->name);
    nl_req_put_str(q, attr, t->name);
}

static void table_new(struct nl *nl, const struct nft_table *t, bool owned)
{
    struct nl_req *q = nft_req(t->family, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, ROOM);
    put_table(q, NFTA_TABLE_NAME, t);
    nl_req_put_be32(q, NFTA_TABLE_FLAGS, owned ? NFT_TABLE_F_OWNER : 0);
    nl_queue(nl, q);
}

int nft_table_create(struct nl *nl, const struct nft_table *t, struct err *err)
{
    int r = nl_flush(nl, err);
    if (r < 0)
        return r;
    struct err first = ERR_INIT;
    table_new(nl, t, true);
    r = nl_flush(nl, &first);
    if (r == -EOPNOTSUPP || (r == -EINVAL && first.code == EINVAL)) {
        /* A kernel before 5.12 refuses the flag; one without the family refuses this too. */
        table_new(nl, t, false);
        r = nl_flush(nl, err);
        return r < 0 ? r : 1;
    }
    return r < 0 ? err_set(err, first.code, "%s", first.text) : 0;
}

void nft_table_add(struct nl *nl, const struct nft_table *t)
{
    table_new(nl, t, false);
}

void nft_table_delete(struct nl *nl, const struct nft_table *t)
{
    struct nl_req *q = nft_req(t->family, NFT_MSG_DELTABLE, 0, ROOM);
    put_table(q, NFTA_TABLE_NAME, t);
    nl_queue(nl, q);
}

void nft_chain_add(struct nl *nl, const struct nft_chain *c)
{
    static const uint32_t hooks[] = {
        [NFT_PREROUTING] = NF_INET_PRE_ROUTING,   [NFT_INPUT] = NF_INET_LOCAL_IN,
        [NFT_FORWARD] = NF_INET_FORWARD,          [NFT_OUTPUT] = NF_INET_LOCAL_OUT,
        [NFT_POSTROUTING] = NF_INET_POST_ROUTING, [NFT_INGRESS] = NF_NETDEV_INGRESS,
    }; /* NF_BR_* have the same numbers */
    struct nl_req *q = nft_req(c->table.family, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL, ROOM);
    put_table(q, NFTA_CHAIN_TABLE, &c->table);
    nl_req_put_str(q, NFTA_CHAIN_NAME, c->name);
    if (!c->is_plain) {
        struct nlattr *hook = nl_req_nest(q, NFTA_CHAIN_HOOK);
        nl_req_put_be32(q, NFTA_HOOK_HOOKNUM, hooks[c->hook]);
        nl_req_put_be32(q, NFTA_HOOK_PRIORITY, (uint32_t)c->priority);
        if (c->device)
            nl_req_put_ifname(q, NFTA_HOOK_DEV, c->device);
        nl_req_nest_end(q, hook);
        nl_req_put_be32(q, NFTA_CHAIN_POLICY, NF_ACCEPT);
        nl_req_put_str(q, NFTA_CHAIN_TYPE, c->translates ? "nat" : "filter");
    }
    nl_queue(nl, q);
}

void nft_chain_delete(struct nl *nl, const struct nft_chain *c)
{
    struct nl_req *q = nft_req(c->table.family, NFT_MSG_DELCHAIN, 0, ROOM);
    put_table(q, NFTA_CHAIN_TABLE, &c->table);
    nl_req_put_str(q, NFTA_CHAIN_NAME, c->name);
    nl_queue(nl, q);
}

/* --- Expressions ------------------------------------------------------------- */

struct expr {
    struct nlattr *element, *data;
};

static struct expr expr_begin(struct nl_req *q, const char *name)
{
    struct expr e = {.element = nl_req_nest(q, NFTA_LIST_ELEM)};
    nl_req_put_str(q, NFTA_EXPR_NAME, name);
    e.data = nl_req_nest(q, NFTA_EXPR_DATA);
    return e;
}

static void expr_end(struct nl_req *q, struct expr e)
{
    nl_req_nest_end(q, e.data);
    nl_req_nest_end(q, e.element);
}

static void put_value(struct nl_req *q, int attr, const void *data, size_t n)
{
    struct nlattr *nest = nl_req_nest(q, attr);
    nl_req_put(q, NFTA_DATA_VALUE, data, n);
    nl_req_nest_end(q, nest);
}

static void meta(struct nl_req *q, uint32_t key, uint32_t reg)
{
    struct expr e = expr_begin(q, "meta");
    nl_req_put_be32(q, NFTA_META_KEY, key);
    nl_req_put_be32(q, NFTA_META_DREG, reg);
    expr_end(q, e);
}

static void cmp(struct nl_req *q, uint32_t op, const void *data, size_t n)
{
    struct expr e = expr_begin(q, "cmp");
    nl_req_put_be32(q, NFTA_CMP_SREG, REG1);
    nl_req_put_be32(q, NFTA_CMP_OP, op);
    put_value(q, NFTA_CMP_DATA, data, n);
    expr_end(q, e);
}

static void payload(struct nl_req *q, uint32_t base, uint32_t reg, uint32_t offset, uint32_t len)
{
    struct expr e = expr_begin(q, "payload");
    nl_req_put_be32(q, NFTA_PAYLOAD_DREG, reg);
    nl_req_put_be32(q, NFTA_PAYLOAD_BASE, base);
    nl_req_put_be32(q, NFTA_PAYLOAD_OFFSET, offset);
    nl_req_put_be32(q, NFTA_PAYLOAD_LEN, len);
    expr_end(q, e);
}

static void mask(struct nl_req *q, const void *bits, size_t n)
{
    static const uint8_t zero[16];
    struct expr e = expr_begin(q, "bitwise");
    nl_req_put_be32(q, NFTA_BITWISE_SREG, REG1);
    nl_req_put_be32(q, NFTA_BITWISE_DREG, REG1);
    nl_req_put_be32(q, NFTA_BITWISE_LEN, (uint32_t)n);
    put_value(q, NFTA_BITWISE_MASK, bits, n);
    put_value(q, NFTA_BITWISE_XOR, zero, n);
    expr_end(q, e);
}

static void counter(struct nl_req *q)
{
    struct expr e = expr_begin(q, "counter");
    nl_req_put_be64(q, NFTA_COUNTER_BYTES, 0);
    nl_req_put_be64(q, NFTA_COUNTER_PACKETS, 0);
    expr_end(q, e);
}

static void verdict(struct nl_req *q, uint32_t code, const char *chain)
{
    struct expr e = expr_begin(q, "immediate");
    nl_req_put_be32(q, NFTA_IMMEDIATE_DREG, VERDICT);
    struct nlattr *data = nl_req_nest(q, NFTA_IMMEDIATE_DATA);
    struct nlattr *nest = nl_req_nest(q, NFTA_DATA_VERDICT);
    nl_req_put_be32(q, NFTA_VERDICT_CODE, code);
    if (chain)
        nl_req_put_str(q, NFTA_VERDICT_CHAIN, chain);
    nl_req_nest_end(q, nest);
    nl_req_nest_end(q, data);
    expr_end(q, e);
}

static void reject(struct nl_req *q, const struct nft_rule *r)
{
    if (r->table.family != NFT_FAMILY_INET)
        nl_req_break(q, "reject is only possible in a table of the inet family");
    if (r->verdict == NFT_REJECT_RST && r->l4proto != IPPROTO_TCP)
        nl_req_break(q, "a TCP reset can only answer TCP");
    struct expr e = expr_begin(q, "reject");
    if (r->verdict == NFT_REJECT_RST) {
        nl_req_put_be32(q, NFTA_REJECT_TYPE, NFT_REJECT_TCP_RST);
    } else {
        nl_req_put_be32(q, NFTA_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH);
        nl_req_put_u8(q, NFTA_REJECT_ICMP_CODE, NFT_REJECT_ICMPX_PORT_UNREACH);
    }
    expr_end(q, e);
}

static void load(struct nl_req *q, const void *data, size_t n)
{
    struct expr e = expr_begin(q, "immediate");
    nl_req_put_be32(q, NFTA_IMMEDIATE_DREG, REG1);
    put_value(q, NFTA_IMMEDIATE_DATA, data, n);
    expr_end(q, e);
}

static void redirect(struct nl_req *q, uint16_t to)
{
    uint16_t port = htons(to);
    load(q, &port, sizeof port);
    struct expr e = expr_begin(q, "redir");
    nl_req_put_be32(q, NFTA_REDIR_REG_PROTO_MIN, REG1);
    nl_req_put_be32(q, NFTA_REDIR_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
    expr_end(q, e);
}

static void take(struct nl_req *q, uint16_t to)
{
    uint16_t port = htons(to);
    load(q, &port, sizeof port);
    struct expr e = expr_begin(q, "tproxy");
    nl_req_put_be32(q, NFTA_TPROXY_FAMILY, NFPROTO_UNSPEC);
    nl_req_put_be32(q, NFTA_TPROXY_REG_PORT, REG1);
    expr_end(q, e);
}

static void set_zone(struct nl_req *q, uint16_t zone)
{
    load(q, &zone, sizeof zone); /* host byte order: a register, not a header */
    struct expr e = expr_begin(q, "ct");
    nl_req_put_be32(q, NFTA_CT_KEY, NFT_CT_ZONE);
    nl_req_put_be32(q, NFTA_CT_SREG, REG1);
    expr_end(q, e);
}

static void send_out(struct nl_req *q, const struct nft_rule *r)
{
    load(q, &r->as, sizeof r->as); /* host byte order, both: registers, not headers */
    struct expr e = expr_begin(q, "meta");
    nl_req_put_be32(q, NFTA_META_KEY, NFT_META_MARK);
    nl_req_put_be32(q, NFTA_META_SREG, REG1);
    expr_end(q, e);
    e = expr_begin(q, "immediate");
    nl_req_put_be32(q, NFTA_IMMEDIATE_DREG, REG1);
    struct nlattr *data = nl_req_nest(q, NFTA_IMMEDIATE_DATA);
    nl_req_put_ifindex(q, NFTA_DATA_VALUE, r->out);
    nl_req_nest_end(q, data);
    expr_end(q, e);
    e = expr_begin(q, "fwd");
    nl_req_put_be32(q, NFTA_FWD_SREG_DEV, REG1);
    expr_end(q, e);
}

/* --- Rules ------------------------------------------------------------------- */

static void match_name(struct nl_req *q, uint32_t key, const char *name)
{
    char padded[IFNAMSIZ] = "";
    if (!name)
        return;
    if (strlen(name) >= sizeof padded) {
        nl_req_break(q, "\"%s\" cannot be the name of an interface", name);
        return;
    }
    memcpy(padded, name, strlen(name));
    meta(q, key, REG1);
    cmp(q, NFT_CMP_EQ, padded, sizeof padded);
}

/* Which of both protocols: nobody else's bytes are read as an address. */
static void match_family(struct nl_req *q, const struct nft_rule *r, uint8_t family)
{
    if (r->table.family == NFT_FAMILY_BRIDGE) {
        uint16_t type = htons(family == AF_INET ? ETH_P_IP : ETH_P_IPV6);
        meta(q, NFT_META_PROTOCOL, REG1);
        cmp(q, NFT_CMP_EQ, &type, sizeof type);
        return;
    }
    uint8_t nfproto = family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
    meta(q, NFT_META_NFPROTO, REG1);
    cmp(q, NFT_CMP_EQ, &nfproto, sizeof nfproto);
}

static void match_address(struct nl_req *q, const struct inet_prefix *p, bool source)
{
    if (!p->family)
        return;
    bool v4 = p->family == AF_INET;
    size_t n = inet_bytes(p);
    payload(q, NFT_PAYLOAD_NETWORK_HEADER, REG1, v4 ? (source ? 12 : 16) : (source ? 8 : 24),
            (uint32_t)n);
    if (p->len < 8 * n) {
        struct inet_prefix bits = {.family = p->family, .len = p->len};
        memset(bits.addr, 0xff, sizeof bits.addr);
        bits = inet_masked(&bits);
        mask(q, bits.addr, n);
    }
    struct inet_prefix net = inet_masked(p);
    cmp(q, NFT_CMP_EQ, net.addr, n);
}

/* Only where there is an Ethernet header: on other devices those bytes are something else. */
static void match_ethernet(struct nl_req *q)
{
    uint16_t ethernet = ARPHRD_ETHER; /* host byte order: a register, not a header */
    meta(q, NFT_META_IIFTYPE, REG1);
    cmp(q, NFT_CMP_EQ, &ethernet, sizeof ethernet);
}

static void match_mac(struct nl_req *q, const struct inet_mac *mac)
{
    if (!mac)
        return;
    match_ethernet(q);
    payload(q, NFT_PAYLOAD_LL_HEADER, REG1, ETH_ALEN, ETH_ALEN);
    cmp(q, NFT_CMP_EQ, mac->b, sizeof mac->b);
}

/* TCP segments whose flags under `bits` are (EQ) or are not (NEQ) `flags`. */
static void match_flags(struct nl_req *q, const struct nft_rule *r, uint8_t bits, uint32_t op,
                        uint8_t flags)
{
    if (r->l4proto != IPPROTO_TCP)
        nl_req_break(q, "a match for TCP's flags needs the protocol tcp");
    payload(q, NFT_PAYLOAD_TRANSPORT_HEADER, REG1, 13, sizeof bits);
    mask(q, &bits, sizeof bits);
    cmp(q, op, &flags, sizeof flags);
}

static void match_icmp(struct nl_req *q, const struct nft_rule *r)
{
    if (r->l4proto != IPPROTO_ICMP && r->l4proto != IPPROTO_ICMPV6)
        nl_req_break(q, "an ICMP type needs the protocol icmp or ipv6-icmp");
    payload(q, NFT_PAYLOAD_TRANSPORT_HEADER, REG1, 0, sizeof r->icmp_type);
    cmp(q, NFT_CMP_EQ, &r->icmp_type, sizeof r->icmp_type);
}

static void match_port(struct nl_req *q, const struct nft_rule *r, struct nft_ports ports,
                       uint32_t offset)
{
    if (!ports.lo)
        return;
    if (!r->l4proto)
        nl_req_break(q, "a port needs a protocol (tcp or udp)");
    uint16_t lo = htons(ports.lo), hi = htons(ports.hi);
    payload(q, NFT_PAYLOAD_TRANSPORT_HEADER, REG1, offset, sizeof lo);
    if (ports.hi == 0 || ports.hi == ports.lo) {
        cmp(q, NFT_CMP_EQ, &lo, sizeof lo);
        return;
    }
    cmp(q, NFT_CMP_GTE, &lo, sizeof lo); /* compared as bytes: network order is what is needed */
    cmp(q, NFT_CMP_LTE, &hi, sizeof hi);
}

static void match_mark(struct nl_req *q, uint32_t mark)
{
    if (!mark)
        return;
    meta(q, NFT_META_MARK, REG1);
    cmp(q, NFT_CMP_EQ, &mark, sizeof mark); /* host byte order: a register, not a header */
}

static void match_local(struct nl_req *q)
{
    uint32_t type = RTN_LOCAL; /* the same */
    struct expr e = expr_begin(q, "fib");
    nl_req_put_be32(q, NFTA_FIB_DREG, REG1);
    nl_req_put_be32(q, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    nl_req_put_be32(q, NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
    expr_end(q, e);
    cmp(q, NFT_CMP_EQ, &type, sizeof type);
}

static void match_new(struct nl_req *q)
{
    uint32_t bit = CT_STATE_NEW, zero = 0; /* host byte order: a register, not a header */
    struct expr e = expr_begin(q, "ct");
    nl_req_put_be32(q, NFTA_CT_KEY, NFT_CT_STATE);
    nl_req_put_be32(q, NFTA_CT_DREG, REG1);
    expr_end(q, e);
    mask(q, &bit, sizeof bit);
    cmp(q, NFT_CMP_NEQ, &zero, sizeof zero);
}

/* The parts of a key, each in registers of 16 bytes, so that they lie next to each other. */
static const struct {
    uint32_t interface; /* NFT_META_*NAME */
    uint8_t family;     /* of the address; 0: none */
    uint32_t second;    /* bytes, padded to registers of 4 */
    uint32_t type;      /* codes of `nft`, six bits each; only for those who list the set */
} keys[] = {
    [NFT_KEY_PORTS] = {NFT_META_IIFNAME, 0, IFNAMSIZ, 41 << 6 | 41},
    [NFT_KEY_IN_MAC] = {NFT_META_IIFNAME, 0, 8, 41 << 6 | 9},
    [NFT_KEY_IN_IP4] = {NFT_META_IIFNAME, AF_INET, 4, 41 << 6 | 7},
    [NFT_KEY_IN_IP6] = {NFT_META_IIFNAME, AF_INET6, 16, 41 << 6 | 8},
    [NFT_KEY_OUT_IP4] = {NFT_META_OIFNAME, AF_INET, 4, 41 << 6 | 7},
    [NFT_KEY_OUT_IP6] = {NFT_META_OIFNAME, AF_INET6, 16, 41 << 6 | 8},
};

static void match_set(struct nl_req *q, const struct nft_rule *r)
{
    enum nft_key key = r->in->key;
    if (keys[key].family)
        match_family(q, r, keys[key].family);
    else if (key == NFT_KEY_IN_MAC)
        match_ethernet(q);
    meta(q, keys[key].interface, REG1);
    if (key == NFT_KEY_PORTS)
        meta(q, NFT_META_OIFNAME, REG2);
    else if (key == NFT_KEY_IN_MAC)
        payload(q, NFT_PAYLOAD_LL_HEADER, REG2, ETH_ALEN, ETH_ALEN);
    else
        payload(q, NFT_PAYLOAD_NETWORK_HEADER, REG2, keys[key].family == AF_INET ? 12 : 8,
                keys[key].second);
    struct expr e = expr_begin(q, "lookup");
    nl_req_put_str(q, NFTA_LOOKUP_SET, r->in->name);
    nl_req_put_be32(q, NFTA_LOOKUP_SREG, REG1);
    expr_end(q, e);
}

static void put_comment(struct nl_req *q, const char *comment)
{
    /* As libnftnl writes it: type 0, length with the NUL, text. */
    char data[COMMENT_MAX + 3] = {0};
    size_t n = strlen(comment) + 1;
    if (n > COMMENT_MAX + 1) {
        nl_req_break(q, "a rule's comment may have %d bytes: \"%s\"", COMMENT_MAX, comment);
        return;
    }
    data[1] = (char)n;
    memcpy(data + 2, comment, n);
    nl_req_put(q, NFTA_RULE_USERDATA, data, n + 2);
}

static void put_verdict(struct nl_req *q, const struct nft_rule *r)
{
    if (r->jump) {
        verdict(q, (uint32_t)NFT_JUMP, r->jump);
        return;
    }
    switch (r->verdict) {
    case NFT_DROP_IT:
        verdict(q, NF_DROP, NULL);
        break;
    case NFT_LET_PASS:
        verdict(q, NF_ACCEPT, NULL);
        break;
    case NFT_REDIRECT:
        redirect(q, r->to);
        break;
    case NFT_TAKE:
        take(q, r->to);
        break;
    case NFT_ZONE:
        set_zone(q, r->to);
        break;
    case NFT_SEND:
        send_out(q, r);
        break;
    case NFT_REJECT_RST:
    case NFT_REJECT_ICMP:
        reject(q, r);
        break;
    }
}

void nft_rule_add(struct nl *nl, const struct nft_rule *r)
{
    struct nl_req *q = nft_req(r->table.family, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, ROOM);
    uint8_t family = r->saddr.family ? r->saddr.family : r->daddr.family;
    if (r->saddr.family && r->daddr.family && r->saddr.family != r->daddr.family)
        nl_req_break(q, "both addresses of a rule must be of one family");
    put_table(q, NFTA_RULE_TABLE, &r->table);
    nl_req_put_str(q, NFTA_RULE_CHAIN, r->chain);
    struct nlattr *list = nl_req_nest(q, NFTA_RULE_EXPRESSIONS);
    match_name(q, NFT_META_IIFNAME, r->iifname);
    match_name(q, NFT_META_OIFNAME, r->oifname);
    match_mark(q, r->mark);
    if (r->to_local)
        match_local(q);
    match_mac(q, r->smac);
    if (family)
        match_family(q, r, family);
    match_address(q, &r->saddr, true);
    match_address(q, &r->daddr, false);
    if (r->l4proto) {
        meta(q, NFT_META_L4PROTO, REG1);
        cmp(q, NFT_CMP_EQ, &r->l4proto, sizeof r->l4proto);
    }
    match_port(q, r, r->sport, 0);
    match_port(q, r, r->dport, 2);
    if (r->reset_only)
        match_flags(q, r, TCP_RST, NFT_CMP_NEQ, 0);
    if (r->syn_only)
        match_flags(q, r, TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK, NFT_CMP_EQ, TCP_SYN);
    if (r->icmp_type)
        match_icmp(q, r);
    if (r->new_only)
        match_new(q);
    if (r->in)
        match_set(q, r);
    counter(q);
    put_verdict(q, r);
    nl_req_nest_end(q, list);
    if (r->comment)
        put_comment(q, r->comment);
    nl_queue(nl, q);
}

void nft_rule_delete(struct nl *nl, const struct nft_table *t, const char *chain, uint64_t handle)
{
    struct nl_req *q = nft_req(t->family, NFT_MSG_DELRULE, 0, ROOM);
    put_table(q, NFTA_RULE_TABLE, t);
    nl_req_put_str(q, NFTA_RULE_CHAIN, chain);
    nl_req_put_be64(q, NFTA_RULE_HANDLE, handle);
    nl_queue(nl, q);
}

/* --- Sets -------------------------------------------------------------------- */

struct nft_element nft_element(enum nft_key key, const char *interface, const void *second)
{
    struct nft_element e = {{0}};
    size_t n = strlen(interface);
    const char *other = key == NFT_KEY_PORTS ? second : "x";
    if (n == 0 || n >= IFNAMSIZ || *other == '\0' || strlen(other) >= IFNAMSIZ)
        return e;
    memcpy(e.key, interface, n);
    if (key == NFT_KEY_PORTS)
        memcpy(e.key + IFNAMSIZ, other, strlen(other));
    else if (key == NFT_KEY_IN_MAC)
        memcpy(e.key + IFNAMSIZ, ((const struct inet_mac *)second)->b, ETH_ALEN);
    else
        memcpy(e.key + IFNAMSIZ, ((const struct inet_prefix *)second)->addr, keys[key].second);
    return e;
}

/* The counter is the set's (kernel ≥ 5.11 copies it into every element): an element without its own
 * expression is a third shorter, and the send buffer of a user without privilege is what limits. */
void nft_set_create(struct nl *nl, const struct nft_set *set)
{
    struct nl_req *q = nft_req(set->table.family, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL, ROOM);
    put_table(q, NFTA_SET_TABLE, &set->table);
    nl_req_put_str(q, NFTA_SET_NAME, set->name);
    nl_req_put_be32(q, NFTA_SET_FLAGS, NFT_SET_EXPR);
    nl_req_put_be32(q, NFTA_SET_KEY_TYPE, keys[set->key].type);
    nl_req_put_be32(q, NFTA_SET_KEY_LEN, IFNAMSIZ + keys[set->key].second);
    /* demanded, and must differ within a transaction; sets are found by their names */
    nl_req_put_be32(q, NFTA_SET_ID, 1 + (uint32_t)set->key);
    struct nlattr *expr = nl_req_nest(q, NFTA_SET_EXPR);
    nl_req_put_str(q, NFTA_EXPR_NAME, "counter");
    struct nlattr *data = nl_req_nest(q, NFTA_EXPR_DATA);
    nl_req_put_be64(q, NFTA_COUNTER_BYTES, 0);
    nl_req_put_be64(q, NFTA_COUNTER_PACKETS, 0);
    nl_req_nest_end(q, data);
    nl_req_nest_end(q, expr);
    nl_queue(nl, q);
}

static void put_element(struct nl_req *q, enum nft_key key, const struct nft_element *e)
{
    if (e->key[0] == '\0') {
        nl_req_break(q, "an element of a set without the name of an interface");
        return;
    }
    struct nlattr *element = nl_req_nest(q, NFTA_LIST_ELEM);
    put_value(q, NFTA_SET_ELEM_KEY, e->key, IFNAMSIZ + keys[key].second);
    nl_req_nest_end(q, element);
}

static void elements(struct nl *nl, uint16_t type, uint16_t flags, const struct nft_set *set,
                     const struct nft_element *e, size_t n)
{
    for (size_t at = 0; at < n; at += ELEMENTS_PER_MESSAGE) {
        size_t end = n - at > ELEMENTS_PER_MESSAGE ? at + ELEMENTS_PER_MESSAGE : n;
        struct nl_req *q =
            nft_req(set->table.family, type, flags, 512 + (end - at) * ELEMENT_BYTES);
        put_table(q, NFTA_SET_ELEM_LIST_TABLE, &set->table);
        nl_req_put_str(q, NFTA_SET_ELEM_LIST_SET, set->name);
        struct nlattr *list = nl_req_nest(q, NFTA_SET_ELEM_LIST_ELEMENTS);
        for (size_t i = at; i < end; i++)
            put_element(q, set->key, &e[i]);
        nl_req_nest_end(q, list);
        nl_queue(nl, q);
    }
}

void nft_set_add(struct nl *nl, const struct nft_set *set, const struct nft_element *e, size_t n)
{
    elements(nl, NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, set, e, n);
}

void nft_set_delete(struct nl *nl, const struct nft_set *set, const struct nft_element *e, size_t n)
{
    elements(nl, NFT_MSG_DELSETELEM, 0, set, e, n);
}
