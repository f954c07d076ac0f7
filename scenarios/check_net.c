/* Addresses: every one inside exactly one network, none twice, none that is not a host's. */
#include "scenarios/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct address {
    unsigned char bytes[16];
    int family; /* AF_INET or AF_INET6; 0: none */
    int bits;   /* of the family: 32 or 128 */
    int prefix; /* -1: not given */
};

struct subnet {
    struct address at;
    const struct network *network;
    struct place place;
};

struct taken { /* an address that a host has */
    struct address at;
    const struct host *host;
};

struct plan {
    const struct scenario *s;
    struct diags *diags;
    struct subnet *subnets;
    struct taken *taken;
    size_t n_subnets, n_taken;
};

/* "10.20.0.11" or "10.20.0.11/24", "fd00::1/64". */
static bool address_parse(const char *text, struct address *ret)
{
    char host[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    struct address a = {.prefix = -1};

    if (n >= sizeof host)
        return false;
    memcpy(host, text, n);
    host[n] = '\0';
    a.family = strchr(host, ':') ? AF_INET6 : AF_INET;
    a.bits = a.family == AF_INET ? 32 : 128;
    if (inet_pton(a.family, host, a.bytes) != 1)
        return false;
    if (slash) {
        size_t digits = strspn(slash + 1, "0123456789");
        if (!digits || digits > 3 || slash[1 + digits] || (digits > 1 && slash[1] == '0'))
            return false;
        a.prefix = atoi(slash + 1);
        if (a.prefix > a.bits)
            return false;
    }
    *ret = a;
    return true;
}

static bool same_prefix(const struct address *a, const struct address *b, int prefix)
{
    if (a->family != b->family || prefix < 0)
        return false;
    if (memcmp(a->bytes, b->bytes, (size_t)prefix / 8))
        return false;
    int rest = prefix % 8;
    unsigned mask = 0xffu << (8 - rest) & 0xffu;
    return !rest || !((a->bytes[prefix / 8] ^ b->bytes[prefix / 8]) & mask);
}

/* Are all bits after the prefix 0 (or 1)? */
static bool host_part_is(const struct address *a, int prefix, bool ones)
{
    for (int i = prefix; i < a->bits; i++) {
        bool bit = a->bytes[i / 8] >> (7 - i % 8) & 1;
        if (bit != ones)
            return false;
    }
    return true;
}

/* Loopback, link-local, multicast and the like: no address of a lab host. NULL when it is fine. */
static const char *special_address(const struct address *a)
{
    const unsigned char *b = a->bytes;
    if (a->family == AF_INET)
        return b[0] == 0                    ? "an address of this network (0.0.0.0/8)"
               : b[0] == 127                ? "a loopback address"
               : b[0] == 169 && b[1] == 254 ? "a link-local address"
               : b[0] >= 224                ? "a multicast or reserved address"
                                            : NULL;
    bool zeros = !memcmp(b, (const unsigned char[15]){0}, 15);
    return b[0] == 0xff                            ? "a multicast address"
           : b[0] == 0xfe && (b[1] & 0xc0) == 0x80 ? "a link-local address"
           : zeros && b[15] == 0                   ? "the unspecified address"
           : zeros && b[15] == 1                   ? "the loopback address"
                                                   : NULL;
}

static void say_not_subnet(struct plan *p, const struct network *n, const char *text,
                           struct place at, const struct address *a)
{
    char quoted[DIAG_QUOTE_MAX], base[INET6_ADDRSTRLEN];
    struct address zero = *a;
    for (int i = a->prefix; i < a->bits; i++)
        zero.bytes[i / 8] &= (unsigned char)~(0x80u >> i % 8);
    inet_ntop(zero.family, zero.bytes, base, sizeof base);
    diags_error(p->diags, at, "'%s' is an address, not a subnet of %s; did you mean '%s/%d'?",
                diag_quote(text, quoted), n->name, base, a->prefix);
}

static void check_subnet(struct plan *p, const struct network *n, const char *text, struct place at)
{
    struct address a;
    char quoted[DIAG_QUOTE_MAX];
    diag_quote(text, quoted);
    if (!address_parse(text, &a) || a.prefix < 0) {
        diags_error(p->diags, at, "'%s' is not a subnet (write it like 10.20.0.0/24 or fd00::/64)",
                    quoted);
        return;
    }
    if (a.prefix < (a.family == AF_INET ? 8 : 16) || a.prefix > a.bits - 2) {
        diags_error(p->diags, at, "the subnet '%s' must have a prefix from /%d to /%d", quoted,
                    a.family == AF_INET ? 8 : 16, a.bits - 2);
        return;
    }
    if (!host_part_is(&a, a.prefix, false)) {
        say_not_subnet(p, n, text, at, &a);
        return;
    }
    const char *special = special_address(&a);
    if (special) {
        diags_error(p->diags, at, "'%s' is %s", quoted, special);
        return;
    }
    if (a.family == AF_INET6 && n->mtu < 1280)
        diags_error(p->diags, check_place(p->s, "networks", n->name, "mtu", NULL),
                    "IPv6 needs an mtu of at least 1280");
    for (size_t i = 0; i < p->n_subnets; i++) {
        const struct subnet *o = &p->subnets[i];
        int shorter = a.prefix < o->at.prefix ? a.prefix : o->at.prefix;
        if (o->network == n && o->at.family == a.family)
            diags_error(p->diags, at, "%s has two subnets of the same family", n->name);
        else if (same_prefix(&a, &o->at, shorter))
            diags_error(p->diags, at, "'%s' overlaps with a subnet of %s (line %d)", quoted,
                        o->network->name, o->place.line);
    }
    p->subnets[p->n_subnets++] = (struct subnet){.at = a, .network = n, .place = at};
}

/* What its delay, loss and rate must be beyond the table; a sentence that begins with 'KEY' speaks of
 * that key. */
static void check_standing(struct plan *p, const struct network *n)
{
    CLEANUP(impaired_tables_done) struct impaired_tables tables = {0};
    struct err err = ERR_INIT;
    int r = impaired_check(&n->impaired, &err);
    if (r == 0)
        r = impaired_tables_read(&n->impaired, p->s->file, &tables, &err);
    if (r == 0 || r == -ENOENT) /* that is told where files are looked for */
        return;
    const struct node *node = node_get(node_get(p->s->tree, "networks"), n->name);
    struct place at = check_sentence_place(node, err.text, n->place);
    if (r < 0)
        diags_error(p->diags, at, "%s", err.text);
    else
        diags_warning(p->diags, at, "%s", err.text);
}

static struct place item_place(const struct node *node, size_t i)
{
    return node->kind == NODE_LIST && i < node->n ? node->items[i]->place : node->place;
}

static const struct node *address_node(const struct plan *p, const struct host *h)
{
    const struct node *lab = node_get(node_get(node_get(p->s->tree, "hosts"), h->name), "lab");
    const struct node *address = node_get(lab, "address");
    return address ? address : lab; /* lab: 10.0.0.1 is short for it */
}

/* Without `networks`, the addresses themselves say what the one network is. */
static const struct subnet *common_subnet(struct plan *p, const struct address *a, struct place at)
{
    char first[INET6_ADDRSTRLEN];
    for (size_t i = 0; i < p->n_subnets; i++) {
        const struct subnet *o = &p->subnets[i];
        if (o->at.family != a->family)
            continue;
        if (o->at.prefix == a->prefix && same_prefix(&o->at, a, a->prefix))
            return o;
        inet_ntop(o->at.family, o->at.bytes, first, sizeof first);
        diags_error(p->diags, at,
                    "without 'networks' all hosts share one network, but this address is not in "
                    "that of %s/%d (line %d)",
                    first, o->at.prefix, o->place.line);
        return NULL;
    }
    p->subnets[p->n_subnets] = (struct subnet){.at = *a, .place = at};
    return &p->subnets[p->n_subnets++];
}

static const struct subnet *find_subnet(struct plan *p, const struct address *a, const char *text,
                                        struct place at)
{
    char quoted[DIAG_QUOTE_MAX];
    diag_quote(text, quoted);
    if (!p->s->networks.n) {
        if (a->prefix >= 1 && a->prefix <= a->bits - 2)
            return common_subnet(p, a, at);
        diags_error(p->diags, at, "without 'networks' an address needs its prefix length: %s/%d",
                    quoted, a->family == AF_INET ? 24 : 64);
        return NULL;
    }
    for (size_t i = 0; i < p->n_subnets; i++) {
        const struct subnet *n = &p->subnets[i];
        if (!same_prefix(&n->at, a, n->at.prefix))
            continue;
        if (a->prefix < 0 || a->prefix == n->at.prefix)
            return n;
        diags_error(p->diags, at, "'%s' lies in %s, whose prefix is /%d", quoted, n->network->name,
                    n->at.prefix);
        return NULL;
    }
    diags_error(p->diags, at, "'%s' lies in none of the networks", quoted);
    return NULL;
}

static void check_address(struct plan *p, const struct host *h, const char *text, struct place at)
{
    struct address a;
    char quoted[DIAG_QUOTE_MAX];
    diag_quote(text, quoted);
    if (!address_parse(text, &a)) {
        diags_error(p->diags, at, "'%s' is not an IP address", quoted);
        return;
    }
    const char *special = special_address(&a);
    if (special) {
        diags_error(p->diags, at, "'%s' is %s", quoted, special);
        return;
    }
    const struct subnet *n = find_subnet(p, &a, text, at);
    if (!n)
        return;
    bool first = host_part_is(&a, n->at.prefix, false), last = host_part_is(&a, n->at.prefix, true);
    if (first || (last && a.family == AF_INET)) {
        diags_error(p->diags, at, "'%s' is the %s address of its network", quoted,
                    first ? "network" : "broadcast");
        return;
    }
    for (size_t i = 0; i < p->n_taken; i++)
        if (p->taken[i].at.family == a.family &&
            !memcmp(p->taken[i].at.bytes, a.bytes, (size_t)a.bits / 8)) {
            diags_error(p->diags, at, "'%s' is already the address of %s (line %d)", quoted,
                        p->taken[i].host->name, p->taken[i].host->place.line);
            return;
        }
    p->taken[p->n_taken++] = (struct taken){.at = a, .host = h};
}

static bool host_is_on(const struct plan *p, const struct host *h, const struct network *n)
{
    for (size_t i = 0; i < p->n_taken; i++) {
        if (p->taken[i].host != h)
            continue;
        for (size_t k = 0; k < p->n_subnets; k++)
            if (p->subnets[k].network == n &&
                same_prefix(&p->subnets[k].at, &p->taken[i].at, p->subnets[k].at.prefix))
                return true;
    }
    return false;
}

static void check_routers(const struct plan *p, const struct network *n)
{
    for (size_t i = 0; i < n->routers.n; i++) {
        const struct host *h = scenario_host(p->s, n->routers.items[i]);
        if (h && !host_is_on(p, h, n))
            diags_error(p->diags, check_place(p->s, "networks", n->name, "routers", NULL),
                        "the router %s has no address in %s", h->name, n->name);
    }
}

/* Those that others made have addresses of their own, which are not ours to plan. */
static const struct strv *addresses_of(const struct host *h)
{
    static const struct strv none;
    return h->lab ? &h->lab->addresses : &none;
}

void check_networks(const struct scenario *s, struct diags *diags)
{
    size_t before = diags->n_errors, n_subnets = 2, n_taken = 0;
    for (size_t i = 0; i < s->networks.n; i++)
        n_subnets += ((const struct network *)s->networks.items[i])->subnets.n;
    for (size_t i = 0; i < s->hosts.n; i++)
        n_taken += addresses_of(s->hosts.items[i])->n;
    struct plan p = {.s = s,
                     .diags = diags,
                     .subnets = arena_alloc(s->arena, n_subnets * sizeof *p.subnets),
                     .taken = arena_alloc(s->arena, n_taken * sizeof *p.taken)};

    for (size_t i = 0; i < s->networks.n; i++) {
        const struct network *n = s->networks.items[i];
        const struct node *node =
            node_get(node_get(node_get(s->tree, "networks"), n->name), "subnet");
        for (size_t k = 0; k < n->subnets.n; k++)
            check_subnet(&p, n, n->subnets.items[k], item_place(node, k));
        check_standing(&p, n);
    }
    if (diags->n_errors != before)
        return;
    for (size_t i = 0; i < s->hosts.n && !diags_is_full(diags); i++) {
        const struct host *h = s->hosts.items[i];
        const struct node *node = address_node(&p, h);
        const struct strv *addresses = addresses_of(h);
        for (size_t k = 0; k < addresses->n; k++)
            check_address(&p, h, addresses->items[k], item_place(node, k));
    }
    if (diags->n_errors != before)
        return;
    for (size_t i = 0; i < s->networks.n; i++)
        check_routers(&p, s->networks.items[i]);
}
