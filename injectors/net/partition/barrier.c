/* A barrier in a host that others made. See barrier.h.
 *
 * Two base chains (input, output) that accept what they do not name: a drop or a reject of ours is
 * final whatever tables of others accept, and they are never read nor changed. Let through first: the
 * loopback, who is exempt (the operator, the resolvers: exempt.h), and the discovery of IPv6 neighbours, so that a prefix which holds the gateway cuts no
 * path beyond it (ARP never meets an inet table).
 */
#include "injectors/net/partition/barrier.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "injectors/net/partition/cut.h"
#include "injectors/net/partition/knock.h"
#include "injectors/net/partition/patterns.h"
#include "injectors/net/partition/scope.h"
#include "injectors/net/ports.h"
#include "injectors/net/site.h"
#include "injectors/touch.h"
#include "sim/base/jsonx.h"

#define BARRIER_PEERS 256
#define BARRIER_RULES 4096 /* each packet is held against all of them */
#define BARRIER_CHAIN_IN "in"
#define BARRIER_CHAIN_OUT "out"
#define BARRIER_PORT 9 /* discard: of our own packets, where the scope names none */
/* What it takes for the answers to packets that were refused at once: none leaves this machine. */
#define BARRIER_TRIES 64

struct peers {
    struct inet_prefix items[BARRIER_PEERS];
    size_t n;
};

struct barrier {
    const struct partition_params *params;
    struct lab_node *node;
    struct peers peers;
    struct cut_scope scope;
    char table[CUT_TABLE_MAX];
    char text[160]; /* "edge | 10.0.0.2, 10.1.0.0/16" */
};

static bool sends(const struct partition_params *p)
{
    return p->direction != CUT_BACKWARD;
}

static bool hears(const struct partition_params *p)
{
    return p->direction != CUT_FORWARD;
}

/* --- Messages --------------------------------------------------------------------------------- */

static void add_loopback(struct nl *nl, const struct nft_table *t)
{
    nft_rule_add(
        nl, &(struct nft_rule){
                .table = *t, .chain = BARRIER_CHAIN_IN, .iifname = "lo", .verdict = NFT_LET_PASS});
    nft_rule_add(
        nl, &(struct nft_rule){
                .table = *t, .chain = BARRIER_CHAIN_OUT, .oifname = "lo", .verdict = NFT_LET_PASS});
}

/* The loopback has gone before, by its device. */
static void add_exempt(struct nl *nl, const struct nft_table *t, const struct exempts *exempt)
{
    const struct nft_rule in = {.table = *t, .chain = BARRIER_CHAIN_IN, .verdict = NFT_LET_PASS};
    const struct nft_rule out = {.table = *t, .chain = BARRIER_CHAIN_OUT, .verdict = NFT_LET_PASS};
    struct exemption x;
    for (size_t i = 0; exempt_next(exempt, i, &x); i++) {
        struct nft_rule from = in, to = out;
        if (x.kind == EXEMPT_LOOPBACK)
            continue;
        if (x.kind == EXEMPT_PORT) {
            from.l4proto = to.l4proto = IPPROTO_TCP;
            from.dport.lo = to.sport.lo = x.port;
        } else {
            from.saddr = to.daddr = x.peer;
        }
        nft_rule_add(nl, &from);
        nft_rule_add(nl, &to);
    }
}

/* ICMP of the other family never comes from such a peer. */
static bool concerns(const struct nft_rule *pattern, const struct inet_prefix *peer)
{
    return !(pattern->l4proto == IPPROTO_ICMP && peer->family == AF_INET6) &&
           !(pattern->l4proto == IPPROTO_ICMPV6 && peer->family == AF_INET);
}

/* One rule for each peer, of those whom the pattern concerns. */
static size_t put_pattern(struct nl *nl, const struct nft_table *t, const struct nft_rule *pattern,
                          const struct peers *peers, bool out)
{
    size_t n = 0;
    for (size_t i = 0; i < peers->n; i++) {
        const struct inet_prefix *peer = &peers->items[i];
        char address[INET_TEXT_MAX], comment[INET_TEXT_MAX + 16];
        if (!concerns(pattern, peer))
            continue;
        n++;
        if (!nl)
            continue;
        snprintf(comment, sizeof comment, "%s %s", out ? "to" : "from", inet_text(peer, address));
        struct nft_rule rule = *pattern;
        rule.table = *t;
        rule.chain = out ? BARRIER_CHAIN_OUT : BARRIER_CHAIN_IN;
        rule.comment = comment;
        *(out ? &rule.daddr : &rule.saddr) = *peer;
        nft_rule_add(nl, &rule);
    }
    return n;
}

/* Puts the rules behind the loopback's, in both chains; how many there are that name a peer. nl NULL:
 * only counts. */
static size_t put_cuts(struct nl *nl, const struct nft_table *t, const struct partition_params *p,
                       const struct cut_scope *s, const struct peers *peers)
{
    struct patterns patterns;
    size_t n = 0;
    patterns_find(s, /*always_discovery=*/true, &patterns);
    for (int out = 0; out < 2; out++)
        for (size_t i = 0; i < patterns.n; i++) {
            struct nft_rule rule = patterns.items[i];
            if (rule.verdict != NFT_LET_PASS) {
                if (out ? sends(p) : hears(p))
                    n += put_pattern(nl, t, &rule, peers, out);
                continue;
            }
            rule.chain = out ? BARRIER_CHAIN_OUT : BARRIER_CHAIN_IN;
            if (nl) {
                rule.table = *t;
                nft_rule_add(nl, &rule);
            }
        }
    return n;
}

/* --- What stands in the scenario -------------------------------------------------------------- */

static int add_peer(struct peers *peers, const char *text, bool whole, struct err *err)
{
    struct inet_prefix p;
    int r = inet_parse(text, &p, err);
    if (r < 0)
        return err_prefix(err, "'peers'");
    if (peers->n == BARRIER_PEERS)
        return err_set(err, E2BIG, "'peers' takes at most %d addresses", BARRIER_PEERS);
    if (whole)
        p.len = p.family == AF_INET6 ? 128 : 32;
    peers->items[peers->n++] = inet_masked(&p);
    return 0;
}

static int find_peers(const struct scenario *s, const struct partition_params *p, struct peers *ret,
                      struct err *err)
{
    *ret = (struct peers){.n = 0};
    for (size_t i = 0; i < p->peers.n; i++) {
        const char *text = p->peers.items[i];
        const struct host *h = field_peer_is_address(text) ? NULL : scenario_host(s, text);
        int r = h ? 0 : add_peer(ret, text, false, err);
        for (size_t k = 0; h && h->lab && r == 0 && k < h->lab->addresses.n; k++)
            r = add_peer(ret, h->lab->addresses.items[k], true, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int barrier_check(const struct scenario *s, const struct partition_params *p, struct err *err)
{
    const struct host *h = scenario_host(s, p->host);
    struct peers peers;
    if (p->cut.n || p->isolate.n || p->grudge.n || p->bridge || p->ring || p->halves)
        return err_set(err, EINVAL,
                       "'host' is for a host that others made, and goes with 'peers' alone");
    if (h && !host_is_attached(h))
        return err_set(
            err, EINVAL,
            "'host' is for hosts that others made: %s is of the lab, say with 'cut' from "
            "whom it is cut",
            p->host);
    if (h && h->here)
        return err_set(
            err, EINVAL,
            "%s is an interface of this machine: a partition would cut the peers off "
            "from the whole machine; use 'network' with 'device: %s', 'to' and 'loss: 100%%'",
            p->host, h->here->interface);
    if (!p->peers.n)
        return err_set(err, EINVAL,
                       "'host' needs 'peers': the addresses or prefixes from which it is cut");
    if (p->connections != CUT_KEEP)
        return err_set(err, EINVAL,
                       "'connections' can be cut in the lab alone: sockets of %s, which others "
                       "made, are not destroyed; leave it out, and they hear nothing while it "
                       "lasts",
                       p->host);
    int r = scope_check(p, err);
    if (r == 0)
        r = find_peers(s, p, &peers, err);
    if (r < 0)
        return r;
    struct cut_scope scope = scope_of(p);
    size_t n = put_cuts(NULL, NULL, p, &scope, &peers);
    return n <= BARRIER_RULES ? 0
                              : err_set(err, E2BIG,
                                        "these peers and ports make %zu rules, of which each "
                                        "packet may meet all; at most %d: name prefixes and ranges",
                                        n, BARRIER_RULES);
}

int barrier_supported(const struct inject_env *env, const struct partition_params *p,
                      struct err *err)
{
    const struct {
        const char *cap;
        bool needed;
    } needs[] = {{"nft-inet", true},
                 {"nft-reject", p->kind == CUT_REJECT},
                 {"nft-ct", p->packets == CUT_NEW_CONNECTIONS}};
    for (size_t i = 0; env->caps && i < ARRAY_SIZE(needs); i++) {
        const struct hostcap *cap = hostcaps_find(env->caps, needs[i].cap);
        if (needs[i].needed && cap && !cap->ok)
            return err_set(err, EOPNOTSUPP, "partition needs %s, which this host lacks: %s",
                           needs[i].cap, cap->detail ? cap->detail : "");
    }
    return 0;
}

static void text_of(const char *host, const struct peers *peers, char *out, size_t size)
{
    AUTO_BUF text = BUF_INIT;
    buf_printf(&text, "%s | ", host);
    for (size_t i = 0; i < peers->n; i++) {
        char one[INET_TEXT_MAX];
        buf_printf(&text, "%s%s", i ? ", " : "", inet_text(&peers->items[i], one));
    }
    snprintf(out, size, "%s%s", buf_text(&text), "");
}

/* --- In force -------------------------------------------------------------------------------- */

/* The one place where the messages are made, for the kernel and for plan. In one transaction: in force
 * is all of it or nothing. */
static int raise_barrier(struct nl *nl, const char *table, const struct partition_params *p,
                         const struct peers *peers, const struct exempts *exempt, struct err *err)
{
    struct cut_scope scope = scope_of(p);
    struct nft_table t = {.family = NFT_FAMILY_INET, .name = table};
    int r = nft_table_create(nl, &t, err);
    if (r < 0)
        return r;
    nft_chain_add(nl, &(struct nft_chain){.table = t, .name = BARRIER_CHAIN_IN, .hook = NFT_INPUT});
    nft_chain_add(nl,
                  &(struct nft_chain){.table = t, .name = BARRIER_CHAIN_OUT, .hook = NFT_OUTPUT});
    add_loopback(nl, &t);
    add_exempt(nl, &t, exempt);
    put_cuts(nl, &t, p, &scope, peers);
    r = nl_flush(nl, err);
    if (r < 0)
        cut_remove(&(struct cut_place){.host = "", .nl = nl, .table = table}, NULL);
    return r;
}

int barrier_plan(const struct scenario *s, const struct partition_params *p, const char *step_id,
                 json_t *texts, struct err *err)
{
    CLEANUP(nl_free_p) struct nl *rec = NULL;
    AUTO_BUF where = BUF_INIT, what = BUF_INIT;
    struct peers peers;
    char table[CUT_TABLE_MAX], text[160];
    buf_printf(&where, "host %s", p->host);
    cut_table_name(step_id, table);
    int r = find_peers(s, p, &peers, err);
    if (r == 0)
        r = nl_open_recording(buf_text(&where), &rec, err);
    if (r < 0)
        return r;
    text_of(p->host, &peers, text, sizeof text);
    scope_text(p, &what);
    json_array_append_new(
        texts, json_sprintf("%s %s inside the host: %s%s; undone by deleting the table "
                            "(its name has the run's id, too)",
                            buf_text(&what), p->kind == CUT_REJECT ? "refused" : "lost", text,
                            !hears(p)   ? ", what it sends alone"
                            : !sends(p) ? ", what it is sent alone"
                                        : ""));
    static const struct exempts none; /* known when the host is looked at */
    r = raise_barrier(rec, table, p, &peers, &none, err);
    if (r < 0)
        return r;
    size_t applied = nl_recorded(rec);
    ports_plan_messages(rec, 0, "", texts);
    r = cut_remove(&(struct cut_place){.host = p->host, .nl = rec, .table = table}, err);
    json_array_append_new(texts, json_string(INJECT_PLAN_UNDO));
    ports_plan_messages(rec, applied, "", texts);
    return r;
}

/* --- A fault's life --------------------------------------------------------------------------- */

int barrier_prepare(struct inject_env *env, const struct partition_params *p, const char *step_id,
                    struct barrier **ret, json_t **ret_undo, struct err *err)
{
    CLEANUP(barrier_done_p) struct barrier *b = calloc(1, sizeof *b);
    if (!b)
        return err_errno(err, ENOMEM, "preparing a partition");
    *b = (struct barrier){.params = p, .node = lab_node(env->lab, p->host), .scope = scope_of(p)};
    int r = b->node ? attached_is_there(lab_node_attached(b->node), err)
                    : err_set(err, ESRCH, "host %s is not attached", p->host);
    if (r == 0)
        r = find_peers(env->scenario, p, &b->peers, err);
    if (r < 0)
        return r;
    /* With the run's id: nobody else's, whoever else rehearses this scenario. */
    AUTO_BUF name = BUF_INIT;
    buf_printf(&name, "%s-%s", env->run_id, step_id);
    cut_table_name(buf_text(&name), b->table);
    text_of(p->host, &b->peers, b->text, sizeof b->text);
    json_t *record = site_record(b->node);
    json_object_set_new(record, "table", json_string(b->table));
    *ret_undo = json_pack("{s:o}", "barrier", record);
    *ret = steal_ptr(b);
    return 0;
}

int barrier_apply(struct barrier *b, struct inject_result *ret, struct err *err)
{
    struct span at = {nsec_now(CLOCK_MONOTONIC), 0};
    int r = raise_barrier(lab_node_nl(b->node), b->table, b->params, &b->peers,
                          &lab_node_attached(b->node)->exempt, err);
    if (r < 0)
        return r;
    at.hi = nsec_now(CLOCK_MONOTONIC);
    *ret = (struct inject_result){
        .at = at,
        .targets = json_pack("[s]", b->params->host),
        .changes =
            json_pack("[o]", json_sprintf("host %s: %s, for %s (table inet %s)", b->params->host,
                                          b->params->kind == CUT_REJECT ? "refuses" : "loses",
                                          b->text, b->table))};
    return 0;
}

static int read_rules(const struct barrier *b, size_t *ret_found, uint64_t *ret_packets,
                      struct err *err)
{
    AUTO_FREE struct nft_rule_seen *rules = NULL;
    size_t n = 0, found = 0;
    uint64_t packets = 0;
    struct nft_table t = {.family = NFT_FAMILY_INET, .name = b->table};
    int r = nft_rules(lab_node_nl(b->node), &t, &rules, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        if (rules[i].comment[0]) {
            found++;
            packets += rules[i].packets;
        }
    *ret_found = found;
    *ret_packets = packets;
    return r;
}

/* A packet of ours to each single address, from inside, of the kind that is cut: one that no rule stops
 * leaves. */
static size_t try_peers(const struct barrier *b)
{
    size_t sent = 0;
    for (size_t i = 0; sends(b->params) && i < b->peers.n && sent < BARRIER_TRIES; i++) {
        const struct inet_prefix *p = &b->peers.items[i];
        AUTO_CLOSE int fd = -1;
        struct knock k = {.netns = lab_node_netns(b->node),
                          .target = p,
                          .l4proto = knock_protocol(&b->scope, i),
                          .source_port = BARRIER_PORT,
                          .port = b->scope.ports.n ? b->scope.ports.items[0].lo : BARRIER_PORT,
                          .path = i};
        if (p->len == (p->family == AF_INET6 ? 128 : 32) &&
            !exempt_in(&lab_node_attached(b->node)->exempt, p))
            sent += knock_send(&k, &fd) == 0;
    }
    return sent;
}

int barrier_verify(struct barrier *b, struct inject_proof *ret, struct err *err)
{
    struct inject_proof p = {.at = {nsec_now(CLOCK_MONOTONIC), 0}};
    size_t asked = put_cuts(NULL, NULL, b->params, &b->scope, &b->peers), found = 0, tried = 0;
    AUTO_BUF what = BUF_INIT;
    uint64_t before = 0, packets = 0;
    struct err gone = ERR_INIT;
    int r = read_rules(b, &found, &before, &gone);
    scope_text(b->params, &what);
    packets = before;
    if (r == 0 && found == asked) { /* what is not stopped here would reach somebody */
        tried = try_peers(b);
        r = read_rules(b, &found, &packets, &gone);
    }
    if (r < 0 && r != -ENOENT) {
        if (err)
            *err = gone;
        return r;
    }
    p.at.hi = nsec_now(CLOCK_MONOTONIC);
    p.ok = r == 0 && found == asked && packets - before >= tried;
    snprintf(p.asked, sizeof p.asked, "%.120s: %.100s %s (%zu rules)", b->text, buf_text(&what),
             b->params->kind == CUT_REJECT ? "refused" : "lost", asked);
    if (r < 0 || !found)
        snprintf(p.seen, sizeof p.seen, "the table %s is not there", b->table);
    else
        snprintf(p.seen, sizeof p.seen,
                 "%zu of %zu rules in force, %llu packets met them; of %zu of our own %llu counted",
                 found, asked, (unsigned long long)packets, tried,
                 (unsigned long long)(packets - before));
    snprintf(p.how, sizeof p.how,
             "rules and counters read back inside the host; packets of our own sent from it");
    *ret = p;
    return 0;
}

int barrier_revert(struct inject_env *env, const json_t *undo, json_t *changes, struct err *err)
{
    const json_t *record = json_object_get(undo, "barrier");
    const char *host = jsonx_str(record, "host", "?"), *table = jsonx_str(record, "table", "");
    AUTO_SITE site = {0};
    AUTO_FREE struct nft_rule_seen *rules = NULL;
    size_t n = 0;
    struct nft_table t = {.family = NFT_FAMILY_INET, .name = table};
    int r = site_find(env, record, &site, err);
    if (r != 0)
        return r;
    /* None at all, rather than -ENOENT, is what the kernel says of a table that is not there. */
    r = nft_rules(site.nl, &t, &rules, &n, NULL);
    if (r == -ENOENT || (r == 0 && n == 0)) {
        err_set(err, ENOENT, "host %s: the table inet %s has gone with its owner", host, table);
        return INJECT_GONE;
    }
    r = cut_remove(&(struct cut_place){.host = host, .nl = site.nl, .table = table}, err);
    if (r == 0)
        json_array_append_new(changes, json_sprintf("host %s: table inet %s deleted", host, table));
    return r;
}

struct barrier *barrier_done(struct barrier *b)
{
    free(b);
    return NULL;
}

void barrier_touches(const json_t *record, json_t *ret)
{
    if (record)
        touch_table(ret, record, jsonx_str(record, "table", "?"));
}
