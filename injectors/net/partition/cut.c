/* From groups of hosts to port pairs and messages. See cut.h. */
#include "injectors/net/partition/cut.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "injectors/net/partition/patterns.h"
#include "sim/base/cleanup.h"

#define CUT_CHAIN "cut"
/* Of rules that lose; those that let pass have none. */
#define CUT_COMMENT "cut"
/* Before the bridge's own filter rules (-200), so that what is cut reaches nobody else's counters.
 */
#define CUT_BRIDGE_PRIORITY -300
/* Before everything that a host has itself (raw is -300, filter 0): an accept there, of established
 * connections above all, ends that chain only, and neither precedes nor counts what is cut. */
#define CUT_INET_PRIORITY -310

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

bool cut_is_at_switch(const struct cut_scope *s)
{
    return !s->refuse && !s->new_only;
}

static struct nft_table table_of(const struct cut_place *at)
{
    return (struct nft_table){at->host ? NFT_FAMILY_INET : NFT_FAMILY_BRIDGE, at->table};
}

/* --- Whose packets: sets ---------------------------------------------------------------------- */

/* Neighbours are known by port or hardware address, which covers virtual addresses too; senders
 * behind a router by their declared addresses. */
enum { NEAR, FAR_IP4, FAR_IP6, SETS };

struct senders {
    struct nft_set sets[SETS];
    struct nft_element *items[SETS];
    size_t n[SETS];
};

static void senders_done(struct senders *s)
{
    for (size_t i = 0; i < SETS; i++)
        free(s->items[i]);
}

static void add_sender(struct senders *s, size_t set, const char *interface, const void *second)
{
    size_t n = s->n[set];
    if ((n & (n - 1)) == 0) {
        struct nft_element *more = realloc(s->items[set], (n ? 2 * n : 1) * sizeof *more);
        if (!more)
            abort(); /* as the buffers of sim/base do */
        s->items[set] = more;
    }
    s->items[set][s->n[set]++] = nft_element(s->sets[set].key, interface, second);
}

static void find_senders(const struct cut *c, const struct cut_place *at, struct senders *ret)
{
    static const enum nft_key keys[][SETS] = {
        {NFT_KEY_IN_MAC, NFT_KEY_IN_IP4, NFT_KEY_IN_IP6},
        {NFT_KEY_PORTS, NFT_KEY_OUT_IP4, NFT_KEY_OUT_IP6},
    };
    static const char *const names[SETS] = {"near", "far4", "far6"};
    *ret = (struct senders){0};
    for (size_t i = 0; i < SETS; i++)
        ret->sets[i] = (struct nft_set){table_of(at), names[i], keys[!at->host][i]};
    for (size_t i = 0; i < c->n_pairs; i++) {
        const struct port *from = from_of(c, &c->pairs[i]), *to = to_of(c, &c->pairs[i]);
        if (!at->host)
            add_sender(ret, NEAR, from->name, to->name);
        else if (strcmp(to->host, at->host) == 0)
            add_sender(ret, NEAR, to->device, &from->mac);
    }
    for (size_t i = 0; i < c->n_routes; i++) {
        const struct port *from = from_of(c, &c->routes[i]), *to = to_of(c, &c->routes[i]);
        if (at->host && strcmp(to->host, at->host) != 0)
            continue;
        for (size_t k = 0; k < from->n_addresses; k++)
            add_sender(ret, from->addresses[k].family == AF_INET ? FAR_IP4 : FAR_IP6,
                       at->host ? to->device : to->name, &from->addresses[k]);
    }
}

/* --- Messages --------------------------------------------------------------------------------- */

static const struct cut_chain {
    const char *name;
    enum nft_hook hook;
    int priority;
} switch_chains[] = {{"forward", NFT_FORWARD, CUT_BRIDGE_PRIORITY}},
  host_chains[] = {{"in", NFT_INPUT, CUT_INET_PRIORITY},
                   {"through", NFT_FORWARD, CUT_INET_PRIORITY}};

static size_t chains_of(const struct cut_place *at, const struct cut_chain **ret)
{
    *ret = at->host ? host_chains : switch_chains;
    return at->host ? ARRAY_SIZE(host_chains) : ARRAY_SIZE(switch_chains);
}

static void encode_rules(const struct senders *from, const struct patterns *p, struct nl *nl)
{
    for (size_t i = 0; i < p->n; i++) {
        struct nft_rule rule = p->items[i];
        rule.table = from->sets[0].table;
        rule.chain = CUT_CHAIN;
        if (rule.verdict == NFT_LET_PASS) {
            nft_rule_add(nl, &rule);
            continue;
        }
        rule.comment = CUT_COMMENT;
        for (size_t k = 0; k < SETS; k++) {
            rule.in = &from->sets[k];
            if (from->n[k] > 0)
                nft_rule_add(nl, &rule);
        }
    }
}

static void encode(const struct cut *c, const struct cut_scope *s, const struct cut_place *at)
{
    __attribute__((cleanup(senders_done))) struct senders from;
    struct patterns patterns;
    find_senders(c, at, &from);
    patterns_find(s, /*always_discovery=*/false, &patterns);
    for (size_t i = 0; i < SETS; i++)
        if (from.n[i] > 0) {
            nft_set_create(at->nl, &from.sets[i]);
            nft_set_add(at->nl, &from.sets[i], from.items[i], from.n[i]);
        }
    nft_chain_add(at->nl, &(struct nft_chain){table_of(at), CUT_CHAIN, .is_plain = true});
    encode_rules(&from, &patterns, at->nl);
    const struct cut_chain *chains;
    size_t n = chains_of(at, &chains);
    for (size_t i = 0; i < n; i++)
        nft_chain_add(at->nl, &(struct nft_chain){.table = table_of(at),
                                                  .name = chains[i].name,
                                                  .hook = chains[i].hook,
                                                  .priority = chains[i].priority});
}

int cut_load(const struct cut *c, const struct cut_scope *s, const struct cut_place *at,
             struct err *err)
{
    struct nft_table t = table_of(at);
    int r = nft_table_create(at->nl, &t, err);
    if (r < 0)
        return r;
    encode(c, s, at);
    r = nl_flush(at->nl, err);
    if (r < 0)
        cut_remove(at, NULL); /* why loading failed is what the caller wants to hear */
    return r;
}

int cut_wake(const struct cut_place *at, struct err *err)
{
    const struct cut_chain *chains;
    size_t n = chains_of(at, &chains);
    for (size_t i = 0; i < n; i++)
        nft_rule_add(
            at->nl,
            &(struct nft_rule){.table = table_of(at), .chain = chains[i].name, .jump = CUT_CHAIN});
    return nl_flush(at->nl, err);
}

int cut_remove(const struct cut_place *at, struct err *err)
{
    struct nft_table t = table_of(at);
    nft_table_delete(at->nl, &t);
    nl_forgive(at->nl, ENOENT);
    return nl_flush(at->nl, err);
}

/* --- Reading back ----------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct nft_element));
}

static int read_set(struct senders *from, size_t i, const struct cut_place *at,
                    struct cut_seen *seen, struct err *err)
{
    AUTO_FREE struct nft_element_seen *items = NULL;
    size_t n = 0;
    int r = nft_set_read(at->nl, &from->sets[i], &items, &n, err);
    if (r < 0)
        return r;
    qsort(from->items[i], from->n[i], sizeof *from->items[i], by_key);
    seen->asked += from->n[i];
    for (size_t k = 0; k < n; k++) {
        seen->found += bsearch(&items[k].element, from->items[i], from->n[i],
                               sizeof *from->items[i], by_key) != NULL;
        seen->packets += items[k].packets;
    }
    return 0;
}

static int read_rules(const struct senders *from, const struct cut_scope *s,
                      const struct cut_place *at, struct cut_seen *seen, struct err *err)
{
    AUTO_FREE struct nft_rule_seen *rules = NULL;
    struct patterns patterns;
    size_t n = 0, sets = 0, lose = 0;
    struct nft_table t = table_of(at);
    int r = nft_rules(at->nl, &t, &rules, &n, err);
    if (r < 0)
        return r;
    patterns_find(s, /*always_discovery=*/false, &patterns);
    for (size_t i = 0; i < SETS; i++)
        sets += from->n[i] > 0;
    for (size_t i = 0; i < patterns.n; i++)
        lose += patterns.items[i].verdict != NFT_LET_PASS;
    seen->asked += sets * lose;
    for (size_t i = 0; i < n; i++)
        seen->found += strcmp(rules[i].comment, CUT_COMMENT) == 0;
    return 0;
}

int cut_read(const struct cut *c, const struct cut_scope *s, const struct cut_place *at,
             struct cut_seen *ret, struct err *err)
{
    __attribute__((cleanup(senders_done))) struct senders from;
    struct cut_seen seen = {0};
    find_senders(c, at, &from);
    int r = read_rules(&from, s, at, &seen, err);
    for (size_t i = 0; r == 0 && i < SETS; i++)
        if (from.n[i] > 0)
            r = read_set(&from, i, at, &seen, err);
    if (r == 0)
        *ret = seen;
    return r;
}
