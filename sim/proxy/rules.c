/* The rules that lead packets to a proxy. See proxy.h. */
#include "sim/proxy/proxy.h"

#include <netinet/in.h>
#include <stdio.h>

/* Before a host's own: raw is -300, mangle -150, dstnat -100. */
#define ZONE_PRIORITY -310
#define WAY_PRIORITY -110
#define TAKE_PRIORITY -160

const char *proxy_table(enum proxy_kind kind, uint16_t port, char buf[PROXY_TABLE_MAX])
{
    if (kind == PROXY_DNS)
        snprintf(buf, PROXY_TABLE_MAX, "blackstart-dns");
    else
        snprintf(buf, PROXY_TABLE_MAX, "blackstart-port-%u", port);
    return buf;
}

static void pass_own(struct nl *nl, const struct nft_rule *base)
{
    struct nft_rule rule = *base;
    rule.mark = PROXY_MARK;
    rule.verdict = NFT_LET_PASS;
    nft_rule_add(nl, &rule);
}

static void pass_others(struct nl *nl, const struct nft_rule *base, const struct proxy_spec *spec)
{
    struct nft_rule rule = *base;
    rule.verdict = NFT_LET_PASS;
    for (size_t i = 0; i < spec->pass_n; i++) {
        *(spec->kind == PROXY_DNS ? &rule.daddr : &rule.saddr) = spec->pass[i];
        nft_rule_add(nl, &rule);
    }
}

/* Queries of one family: UDP, and TCP connections that begin. Those that were there before the rules are
 * not translated: their first packet is over. */
static void lead_queries(struct nl *nl, const struct nft_rule *base, uint8_t family)
{
    struct nft_rule rule = *base;
    rule.daddr.family = family; /* of length 0: any */
    rule.dport.lo = PROXY_DNS_PORT;
    rule.verdict = NFT_REDIRECT;
    rule.l4proto = IPPROTO_UDP;
    nft_rule_add(nl, &rule);
    rule.l4proto = IPPROTO_TCP;
    rule.syn_only = true;
    nft_rule_add(nl, &rule);
}

static void encode_dns(struct nl *nl, const struct nft_table *t, const struct proxy_spec *spec,
                       const struct proxy_listens *l)
{
    const struct nft_rule zone = {.table = *t, .chain = "zone"};
    const struct nft_rule way = {.table = *t, .chain = "way", .to = l->port};
    struct nft_rule udp = {.table = *t,
                           .chain = "zone",
                           .l4proto = IPPROTO_UDP,
                           .verdict = NFT_ZONE,
                           .to = PROXY_ZONE};
    nft_chain_add(nl,
                  &(struct nft_chain){
                      .table = *t, .name = "zone", .hook = NFT_OUTPUT, .priority = ZONE_PRIORITY});
    nft_chain_add(nl, &(struct nft_chain){.table = *t,
                                          .name = "way",
                                          .hook = NFT_OUTPUT,
                                          .priority = WAY_PRIORITY,
                                          .translates = true});
    pass_own(nl, &zone);
    pass_others(nl, &zone, spec);
    udp.dport.lo = PROXY_DNS_PORT;
    nft_rule_add(nl, &udp);
    udp.dport.lo = 0;
    udp.sport.lo = l->port; /* our answers */
    nft_rule_add(nl, &udp);
    pass_own(nl, &way);
    pass_others(nl, &way, spec);
    if (l->v4)
        lead_queries(nl, &way, AF_INET);
    if (l->v6)
        lead_queries(nl, &way, AF_INET6);
}

static void encode_port(struct nl *nl, const struct nft_table *t, const struct proxy_spec *spec,
                        const struct proxy_listens *l)
{
    struct nft_rule take = {.table = *t, .chain = "take"};
    nft_chain_add(
        nl, &(struct nft_chain){
                .table = *t, .name = "take", .hook = NFT_PREROUTING, .priority = TAKE_PRIORITY});
    pass_own(nl, &take);
    pass_others(nl, &take, spec);
    take.l4proto = IPPROTO_TCP;
    take.dport.lo = spec->port;
    take.to_local = true;
    take.verdict = NFT_TAKE;
    take.to = l->port;
    nft_rule_add(nl, &take);
}

void proxy_encode(struct nl *nl, const struct proxy_spec *spec, const struct proxy_listens *listens)
{
    char name[PROXY_TABLE_MAX];
    const struct nft_table t = {NFT_FAMILY_INET, proxy_table(spec->kind, spec->port, name)};
    if (spec->kind == PROXY_DNS)
        encode_dns(nl, &t, spec, listens);
    else
        encode_port(nl, &t, spec, listens);
}
