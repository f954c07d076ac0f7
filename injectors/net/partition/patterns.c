/* From a scope to what a rule asks of a packet. See patterns.h. */
#include "injectors/net/partition/patterns.h"

#include <netinet/in.h>

#include "sim/base/cleanup.h"

/* What must pass though its sender is cut: the refusals of the other side (a reset that is itself
 * refused would leave the client waiting), and the search for neighbours, without which IPv6 would
 * be lost altogether. */
static const struct {
    uint8_t l4proto;
    bool reset, refusal;
    uint8_t icmp_type;
} lets_pass[] = {
    {IPPROTO_TCP, true, true, 0},        {IPPROTO_ICMP, false, true, 3}, /* unreachable */
    {IPPROTO_ICMPV6, false, true, 1},                                    /* unreachable */
    {IPPROTO_ICMPV6, false, false, 133},                                 /* router solicitation */
    {IPPROTO_ICMPV6, false, false, 134},                                 /* router advertisement */
    {IPPROTO_ICMPV6, false, false, 135}, /* neighbour solicitation */
    {IPPROTO_ICMPV6, false, false, 136}, /* neighbour advertisement */
};

static void add_pattern(struct patterns *p, const struct nft_rule *rule)
{
    if (p->n < PATTERNS_MAX)
        p->items[p->n++] = *rule;
}

/* TCP is refused by a reset, everything else by an ICMP error. */
static void add_verdict(const struct cut_scope *s, struct patterns *p, struct nft_rule rule)
{
    if (s->refuse && (rule.l4proto == 0 || rule.l4proto == IPPROTO_TCP) && !rule.new_only) {
        struct nft_rule tcp = rule;
        tcp.l4proto = IPPROTO_TCP;
        tcp.verdict = NFT_REJECT_RST;
        add_pattern(p, &tcp);
    }
    if (s->refuse && rule.l4proto == IPPROTO_TCP)
        return;
    rule.verdict = s->refuse ? NFT_REJECT_ICMP : NFT_DROP_IT;
    add_pattern(p, &rule);
}

static void add_ports(const struct cut_scope *s, struct patterns *p, struct nft_rule rule)
{
    for (size_t i = 0; i < s->ports.n; i++) {
        struct nft_ports range = {s->ports.items[i].lo, s->ports.items[i].hi};
        struct nft_rule to = rule, from = rule;
        to.dport = range;
        from.sport = range;
        add_verdict(s, p, to);
        if (!s->new_only)
            add_verdict(s, p, from);
    }
    if (s->ports.n == 0)
        add_verdict(s, p, rule);
}

/* What opens a TCP connection says so itself; asking the connection tracking would end those that
 * were established before it began to track. */
static void add_protocol(const struct cut_scope *s, struct patterns *p, uint8_t l4proto)
{
    add_ports(s, p,
              (struct nft_rule){.l4proto = l4proto,
                                .syn_only = s->new_only && l4proto == IPPROTO_TCP,
                                .new_only = s->new_only && l4proto != IPPROTO_TCP});
}

void patterns_find(const struct cut_scope *s, bool always_discovery, struct patterns *ret)
{
    bool discovery = always_discovery || s->refuse || s->protocol == IPPROTO_ICMP;
    *ret = (struct patterns){0};
    for (size_t i = 0; i < ARRAY_SIZE(lets_pass); i++)
        if (lets_pass[i].refusal ? s->refuse : discovery)
            add_pattern(ret, &(struct nft_rule){.l4proto = lets_pass[i].l4proto,
                                                .reset_only = lets_pass[i].reset,
                                                .icmp_type = lets_pass[i].icmp_type,
                                                .verdict = NFT_LET_PASS});
    if (s->protocol) {
        add_protocol(s, ret, (uint8_t)s->protocol);
        if (s->protocol == IPPROTO_ICMP)
            add_protocol(s, ret, IPPROTO_ICMPV6);
    } else if (s->ports.n > 0) {
        add_protocol(s, ret, IPPROTO_TCP);
        add_protocol(s, ret, IPPROTO_UDP);
        add_protocol(s, ret, IPPROTO_SCTP);
    } else if (s->new_only) {
        add_protocol(s, ret, IPPROTO_TCP);
        add_pattern(ret, &(struct nft_rule){.l4proto = IPPROTO_TCP, .verdict = NFT_LET_PASS});
        add_protocol(s, ret, 0);
    } else {
        add_protocol(s, ret, 0);
    }
}
