/* From groups of hosts to port pairs and messages. See cut.h. */
#include "injectors/net/cut.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "sim/base/cleanup.h"

#define CUT_CHAIN "cut"
#define CUT_SET "pairs"
/* Before the bridge's own filter rules (-200), so that what is cut reaches nobody else's counters.
 */
#define CUT_BRIDGE_PRIORITY -300
/* Before what a host may have itself (0), so that its accepts cannot let through what is cut. */
#define CUT_INET_PRIORITY -10

void cut_done(struct cut *c)
{
    ports_done(&c->ports);
    free(c->pairs);
    free(c->routes);
    *c = (struct cut){0};
}

static void add_pair(struct cut_pair **list, size_t *n, size_t from, size_t to)
{
    struct cut_pair *more = realloc(*list, (*n + 1) * sizeof *more);
    if (!more)
        abort(); /* as the buffers of sim/base do */
    more[*n] = (struct cut_pair){from, to};
    *list = more;
    (*n)++;
}

static bool has_routers(const struct topo *t)
{
    for (size_t i = 0; i < t->hosts_n; i++)
        if (t->hosts[i].router)
            return true;
    return false;
}

struct span_of_ports { /* a host's ports stand next to each other */
    size_t first, n;
};

static struct span_of_ports add_host(const struct topo *t, const char *host, struct cut *c)
{
    struct span_of_ports at = {.first = c->ports.n};
    ports_of_host(t, host, /*network=*/NULL, &c->ports);
    at.n = c->ports.n - at.first;
    return at;
}

/* Everything that `from` sends to `to`. */
static void cut_hosts(struct cut *c, struct span_of_ports from, struct span_of_ports to,
                      bool routed)
{
    for (size_t f = from.first; f < from.first + from.n; f++) {
        for (size_t t = to.first; t < to.first + to.n; t++) {
            bool joined = strcmp(c->ports.items[f].network, c->ports.items[t].network) == 0;
            if (joined)
                add_pair(&c->pairs, &c->n_pairs, f, t);
            else if (routed)
                add_pair(&c->routes, &c->n_routes, f, t);
        }
    }
}

void cut_along(const struct topo *t, const char *const *hosts, size_t n, const struct grudge *g,
               struct cut *ret)
{
    struct cut c = {0};
    bool routed = has_routers(t);
    AUTO_FREE struct span_of_ports *at = calloc(n + 1, sizeof *at);
    if (!at)
        abort();
    for (size_t i = 0; i < n; i++)
        at[i] = add_host(t, hosts[i], &c);
    for (size_t i = 0; i < g->n; i++)
        cut_hosts(&c, at[g->ways[i].from], at[g->ways[i].to], routed);
    *ret = c;
}

static bool is_among(const char *const *hosts, size_t n, const char *host)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(hosts[i], host) == 0)
            return true;
    return false;
}

/* No routes are needed: every way out leads over a neighbour, and all neighbours are cut. */
void cut_around(const struct topo *t, const char *const *hosts, size_t n, bool forward,
                bool backward, struct cut *ret)
{
    struct cut c = {0};
    AUTO_FREE struct span_of_ports *inside = calloc(n + 1, sizeof *inside);
    if (!inside)
        abort();
    for (size_t i = 0; i < n; i++)
        inside[i] = add_host(t, hosts[i], &c);
    for (size_t i = 0; i < t->hosts_n; i++) {
        const char *host = t->hosts[i].host->name;
        if (is_among(hosts, n, host))
            continue;
        struct span_of_ports outside = add_host(t, host, &c);
        for (size_t k = 0; k < n; k++) {
            if (forward)
                cut_hosts(&c, inside[k], outside, /*routed=*/false);
            if (backward)
                cut_hosts(&c, outside, inside[k], /*routed=*/false);
        }
    }
    *ret = c;
}

static const struct port *to_of(const struct cut *c, const struct cut_pair *p)
{
    return &c->ports.items[p->to];
}

static const struct port *from_of(const struct cut *c, const struct cut_pair *p)
{
    return &c->ports.items[p->from];
}

static size_t add_once(const char **list, size_t n, size_t max, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], name) == 0)
            return n;
    if (n < max)
        list[n++] = name;
    return n;
}

size_t cut_receivers(const struct cut *c, const char **ret, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n_pairs; i++)
        n = add_once(ret, n, max, to_of(c, &c->pairs[i])->host);
    for (size_t i = 0; i < c->n_routes; i++)
        n = add_once(ret, n, max, to_of(c, &c->routes[i])->host);
    return n;
}

const char *cut_table_name(const char *step_id, char buf[CUT_TABLE_MAX])
{
    snprintf(buf, CUT_TABLE_MAX, "blackstart-%s", step_id);
    return buf;
}

static const char *rule_comment(const struct cut *c, const struct cut_pair *p, char buf[121])
{
    snprintf(buf, 121, "%.58s to %.58s", from_of(c, p)->host, to_of(c, p)->host);
    return buf;
}

/* --- Drop, at the switch ---------------------------------------------------------------------- */

static struct nft_pair *kernel_pairs(const struct cut *c)
{
    struct nft_pair *pairs = calloc(c->n_pairs + 1, sizeof *pairs);
    if (!pairs)
        abort();
    for (size_t i = 0; i < c->n_pairs; i++) {
        snprintf(pairs[i].in, sizeof pairs[i].in, "%s", from_of(c, &c->pairs[i])->name);
        snprintf(pairs[i].out, sizeof pairs[i].out, "%s", to_of(c, &c->pairs[i])->name);
    }
    return pairs;
}

static void encode_drop_pairs(const struct cut *c, struct nl *sw, const struct nft_table *t)
{
    AUTO_FREE struct nft_pair *pairs = kernel_pairs(c);
    nft_pairs_create(sw, t, CUT_CHAIN, CUT_SET);
    nft_pairs_add(sw, t, CUT_SET, pairs, c->n_pairs);
}

static void encode_drop_routes(const struct cut *c, struct nl *sw, const struct nft_table *t)
{
    for (size_t i = 0; i < c->n_routes; i++) {
        const struct port *from = from_of(c, &c->routes[i]);
        char comment[121];
        for (size_t k = 0; k < from->n_addresses; k++) {
            struct inet_prefix source = from->addresses[k];
            source.len = source.family == AF_INET ? 32 : 128;
            nft_rule_add(sw,
                         &(struct nft_rule){.table = *t,
                                            .chain = CUT_CHAIN,
                                            .oifname = to_of(c, &c->routes[i])->name,
                                            .saddr = source,
                                            .verdict = NFT_DROP_IT,
                                            .comment = rule_comment(c, &c->routes[i], comment)});
        }
    }
}

/* After a failure nothing of ours may stay; why it failed is what the caller wants to hear. */
static int give_up(struct nl *nl, const struct nft_table *t, int r)
{
    cut_remove(nl, t->family, t->name, NULL);
    return r;
}

int cut_install_drop(const struct cut *c, struct nl *sw, const char *table, struct err *err)
{
    struct nft_table t = {NFT_FAMILY_BRIDGE, table};
    int r = nft_table_create(sw, &t, err);
    if (r < 0)
        return r;
    nft_chain_add(sw, &(struct nft_chain){t, CUT_CHAIN, NFT_FORWARD, CUT_BRIDGE_PRIORITY});
    encode_drop_pairs(c, sw, &t);
    encode_drop_routes(c, sw, &t);
    r = nl_flush(sw, err);
    return r < 0 ? give_up(sw, &t, r) : 0;
}

static size_t route_rules(const struct cut *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n_routes; i++)
        n += from_of(c, &c->routes[i])->n_addresses;
    return n;
}

static int by_names(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct nft_pair)); /* names are padded with zeros */
}

/* The pairs as the kernel is asked for them, sorted by by_names(); the caller frees. */
static struct nft_pair *sorted_pairs(const struct cut *c)
{
    struct nft_pair *pairs = kernel_pairs(c);
    qsort(pairs, c->n_pairs, sizeof *pairs, by_names);
    return pairs;
}

int cut_read_drop(const struct cut *c, struct nl *sw, const char *table, struct cut_seen *ret,
                  struct err *err)
{
    struct nft_table t = {NFT_FAMILY_BRIDGE, table};
    AUTO_FREE struct nft_pair_seen *pairs = NULL;
    AUTO_FREE struct nft_rule_seen *rules = NULL;
    size_t n_pairs = 0, n_rules = 0;
    int r = nft_pairs(sw, &t, CUT_SET, &pairs, &n_pairs, err);
    if (r == 0)
        r = nft_rules(sw, &t, &rules, &n_rules, err);
    if (r < 0)
        return r;
    AUTO_FREE struct nft_pair *asked = sorted_pairs(c);
    struct cut_seen seen = {.asked = c->n_pairs + route_rules(c)};
    for (size_t i = 0; i < n_pairs; i++) {
        seen.found += bsearch(&pairs[i].pair, asked, c->n_pairs, sizeof *asked, by_names) != NULL;
        seen.packets += pairs[i].packets;
    }
    for (size_t i = 0; i < n_rules; i++) {
        bool ours = rules[i].comment[0] != '\0'; /* the set's own rule has none */
        seen.found += ours;
        seen.packets += ours ? rules[i].packets : 0;
    }
    *ret = seen;
    return 0;
}

/* --- Reject, at the receiving host ------------------------------------------------------------ */

/* What must pass though its sender is cut: the refusals of the other side (a reset that is itself
 * refused would leave the client waiting), and the search for neighbours, without which IPv6 would
 * time out instead of being refused. */
static const struct {
    uint8_t l4proto;
    bool reset;
    uint8_t icmp_type;
} reject_lets_pass[] = {
    {IPPROTO_TCP, true, 0},       {IPPROTO_ICMP, false, 3}, /* destination unreachable */
    {IPPROTO_ICMPV6, false, 1},                             /* destination unreachable */
    {IPPROTO_ICMPV6, false, 135},                           /* neighbour solicitation */
    {IPPROTO_ICMPV6, false, 136},                           /* neighbour advertisement */
};

static const char *const reject_chains[] = {"in", "through"};
static const enum nft_hook reject_hooks[] = {NFT_INPUT, NFT_FORWARD};

static void encode_passing(struct nl *nl, const struct nft_table *t, const char *chain)
{
    for (size_t i = 0; i < ARRAY_SIZE(reject_lets_pass); i++)
        nft_rule_add(nl, &(struct nft_rule){.table = *t,
                                            .chain = chain,
                                            .l4proto = reject_lets_pass[i].l4proto,
                                            .reset_only = reject_lets_pass[i].reset,
                                            .icmp_type = reject_lets_pass[i].icmp_type,
                                            .verdict = NFT_LET_PASS});
}

/* Two rules: a reset for TCP, an ICMP error for the rest. */
static void encode_refusal(struct nl *nl, struct nft_rule rule)
{
    rule.l4proto = IPPROTO_TCP;
    rule.verdict = NFT_REJECT_RST;
    nft_rule_add(nl, &rule);
    rule.l4proto = 0;
    rule.verdict = NFT_REJECT_ICMP;
    nft_rule_add(nl, &rule);
}

/* Neighbours are known by their hardware address, which covers virtual addresses too; senders
 * behind a router by their declared addresses. */
static void encode_reject_chain(const struct cut *c, const char *host, struct nl *nl,
                                const struct nft_table *t, const char *chain)
{
    char comment[121];
    for (size_t i = 0; i < c->n_pairs; i++) {
        const struct port *from = from_of(c, &c->pairs[i]), *to = to_of(c, &c->pairs[i]);
        if (strcmp(to->host, host) == 0)
            encode_refusal(nl,
                           (struct nft_rule){.table = *t,
                                             .chain = chain,
                                             .iifname = to->device,
                                             .smac = &from->mac,
                                             .comment = rule_comment(c, &c->pairs[i], comment)});
    }
    for (size_t i = 0; i < c->n_routes; i++) {
        const struct port *from = from_of(c, &c->routes[i]), *to = to_of(c, &c->routes[i]);
        for (size_t k = 0; strcmp(to->host, host) == 0 && k < from->n_addresses; k++) {
            struct inet_prefix source = from->addresses[k];
            source.len = source.family == AF_INET ? 32 : 128;
            encode_refusal(nl,
                           (struct nft_rule){.table = *t,
                                             .chain = chain,
                                             .iifname = to->device,
                                             .saddr = source,
                                             .comment = rule_comment(c, &c->routes[i], comment)});
        }
    }
}

int cut_install_reject(const struct cut *c, const char *host, struct nl *nl, const char *table,
                       struct err *err)
{
    struct nft_table t = {NFT_FAMILY_INET, table};
    int r = nft_table_create(nl, &t, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_SIZE(reject_chains); i++) {
        nft_chain_add(nl,
                      &(struct nft_chain){t, reject_chains[i], reject_hooks[i], CUT_INET_PRIORITY});
        encode_passing(nl, &t, reject_chains[i]);
        encode_reject_chain(c, host, nl, &t, reject_chains[i]);
    }
    r = nl_flush(nl, err);
    return r < 0 ? give_up(nl, &t, r) : 0;
}

static size_t reject_rules(const struct cut *c, const char *host)
{
    size_t sources = 0;
    for (size_t i = 0; i < c->n_pairs; i++)
        sources += strcmp(to_of(c, &c->pairs[i])->host, host) == 0;
    for (size_t i = 0; i < c->n_routes; i++)
        if (strcmp(to_of(c, &c->routes[i])->host, host) == 0)
            sources += from_of(c, &c->routes[i])->n_addresses;
    return sources * 2 * ARRAY_SIZE(reject_chains);
}

int cut_read_reject(const struct cut *c, const char *host, struct nl *nl, const char *table,
                    struct cut_seen *ret, struct err *err)
{
    struct nft_table t = {NFT_FAMILY_INET, table};
    AUTO_FREE struct nft_rule_seen *rules = NULL;
    size_t n = 0;
    int r = nft_rules(nl, &t, &rules, &n, err);
    if (r < 0)
        return r;
    struct cut_seen seen = {.asked = reject_rules(c, host)};
    for (size_t i = 0; i < n; i++) {
        bool refuses = rules[i].comment[0] != '\0'; /* those that let pass have none */
        seen.found += refuses;
        seen.packets += refuses ? rules[i].packets : 0;
    }
    *ret = seen;
    return 0;
}

/* --- Both ------------------------------------------------------------------------------------- */

int cut_remove(struct nl *nl, enum nft_family family, const char *table, struct err *err)
{
    nft_table_delete(nl, &(struct nft_table){family, table});
    nl_forgive(nl, ENOENT);
    return nl_flush(nl, err);
}
