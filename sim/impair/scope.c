/* From a scope to a classifier. See scope.h.
 *
 * Model: a list of instructions with labels. Conditional jumps reach 255 instructions only, so each
 * is followed by an unconditional one, which reaches everywhere. M[0] holds where the header that is
 * looked at begins, M[1] its protocol.
 */
#include "sim/impair/scope.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/cleanup.h"

#define ETHER_LEN 14
#define M_OFFSET 0
#define M_PROTOCOL 1

enum label {
    L_TAKE,
    L_PASS,
    L_IPV4,
    L_IPV6,
    L_PROTOCOL, /* M_OFFSET, M_PROTOCOL are known, it is no later fragment */
    L_LATER,    /* a later fragment of M_PROTOCOL */
    L_LISTS,    /* first of those made while generating */
    L_MAX = L_LISTS + 64,
};

struct program {
    struct sock_filter *ops; /* JA: k is a label until resolve() */
    size_t n, room;
    size_t at[L_MAX]; /* where labels stand */
    unsigned next;    /* free label */
};

static void emit(struct program *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
    if (p->n == p->room) {
        p->room = p->room ? 2 * p->room : 128;
        struct sock_filter *more = realloc(p->ops, p->room * sizeof *more);
        if (!more)
            abort(); /* as the buffers of sim/base do */
        p->ops = more;
    }
    p->ops[p->n++] = (struct sock_filter){code, jt, jf, k};
}

static void op(struct program *p, uint16_t code, uint32_t k)
{
    emit(p, code, k, 0, 0);
}

static void go(struct program *p, unsigned label)
{
    op(p, BPF_JMP | BPF_JA, label);
}

/* A <cmp> k: go on there. */
static void go_if(struct program *p, uint16_t cmp, uint32_t k, unsigned label)
{
    emit(p, (uint16_t)(BPF_JMP | cmp | BPF_K), k, 0, 1);
    go(p, label);
}

static void go_unless(struct program *p, uint16_t cmp, uint32_t k, unsigned label)
{
    emit(p, (uint16_t)(BPF_JMP | cmp | BPF_K), k, 1, 0);
    go(p, label);
}

static void here(struct program *p, unsigned label)
{
    p->at[label] = p->n;
}

static unsigned new_label(struct program *p)
{
    return p->next++;
}

static void resolve(struct program *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->ops[i].code == (BPF_JMP | BPF_JA))
            p->ops[i].k = (uint32_t)(p->at[p->ops[i].k] - i - 1);
}

/* --- Peers ------------------------------------------------------------------------------------ */

static bool family_wanted(const struct impair_scope *s, int family)
{
    return s->family == 0 || s->family == family;
}

static uint32_t word_of(const struct inet_prefix *p, size_t i)
{
    return (uint32_t)p->addr[4 * i] << 24 | (uint32_t)p->addr[4 * i + 1] << 16 |
           (uint32_t)p->addr[4 * i + 2] << 8 | p->addr[4 * i + 3];
}

/* The address at `offset` of the frame lies in `p`: go on at `match`, else behind. */
static void emit_peer(struct program *p, const struct inet_prefix *peer, uint32_t offset,
                      unsigned match)
{
    unsigned words = peer->len / 32, rest = peer->len % 32;
    size_t first = p->n;
    for (unsigned i = 0; i < words; i++) {
        op(p, BPF_LD | BPF_W | BPF_ABS, offset + 4 * i);
        op(p, BPF_JMP | BPF_JEQ | BPF_K, word_of(peer, i));
    }
    if (rest) {
        uint32_t mask = ~UINT32_C(0) << (32 - rest);
        op(p, BPF_LD | BPF_W | BPF_ABS, offset + 4 * words);
        op(p, BPF_ALU | BPF_AND | BPF_K, mask);
        op(p, BPF_JMP | BPF_JEQ | BPF_K, word_of(peer, words) & mask);
    }
    go(p, match);
    /* Whatever differs leads behind the jump: at most 12 instructions, so it is in reach. */
    for (size_t i = first; i + 1 < p->n; i++)
        if (BPF_CLASS(p->ops[i].code) == BPF_JMP)
            p->ops[i].jf = (uint8_t)(p->n - i - 1);
}

static void emit_peers(struct program *p, const struct impair_scope *s, int family, uint32_t offset)
{
    for (size_t i = 0; i < s->n_except; i++)
        if (s->except[i].family == family)
            emit_peer(p, &s->except[i], offset, L_PASS);
    if (s->n_peers == 0)
        return;
    unsigned match = new_label(p);
    for (size_t i = 0; i < s->n_peers; i++)
        if (s->peers[i].family == family)
            emit_peer(p, &s->peers[i], offset, match);
    go(p, L_PASS);
    here(p, match);
}

/* --- Headers ---------------------------------------------------------------------------------- */

static bool peer_is_source(const struct impair_scope *s, bool ingress)
{
    return ingress != s->reversed;
}

static bool has_ports(const struct impair_scope *s)
{
    return s->n_ports || s->n_peer_ports || s->n_own_ports;
}

static bool is_narrow(const struct impair_scope *s)
{
    return s->n_peers || s->protocol >= 0 || has_ports(s);
}

/* The search for neighbours, which has no extension headers (RFC 6980), passes by. */
static void emit_discovery(struct program *p)
{
    unsigned other = new_label(p);
    op(p, BPF_LD | BPF_B | BPF_ABS, ETHER_LEN + 6);
    go_unless(p, BPF_JEQ, IPPROTO_ICMPV6, other);
    op(p, BPF_LD | BPF_B | BPF_ABS, ETHER_LEN + 40);
    go_unless(p, BPF_JGE, ND_ROUTER_SOLICIT, other);
    go_if(p, BPF_JGT, ND_NEIGHBOR_ADVERT, other);
    go(p, L_PASS);
    here(p, other);
}

static void emit_ipv4(struct program *p, const struct impair_scope *s, bool ingress)
{
    here(p, L_IPV4);
    if (!family_wanted(s, AF_INET)) {
        go(p, L_PASS);
        return;
    }
    emit_peers(p, s, AF_INET, peer_is_source(s, ingress) ? ETHER_LEN + 12 : ETHER_LEN + 16);
    if (!is_narrow(s) && !s->n_except_ports) {
        go(p, L_TAKE);
        return;
    }
    op(p, BPF_LDX | BPF_B | BPF_MSH, ETHER_LEN); /* X = 4 × IHL */
    op(p, BPF_MISC | BPF_TXA, 0);
    op(p, BPF_ALU | BPF_ADD | BPF_K, ETHER_LEN);
    op(p, BPF_ST, M_OFFSET);
    op(p, BPF_LD | BPF_B | BPF_ABS, ETHER_LEN + 9);
    op(p, BPF_ST, M_PROTOCOL);
    op(p, BPF_LD | BPF_H | BPF_ABS, ETHER_LEN + 6);
    go_if(p, BPF_JSET, 0x1fff, L_LATER);
    go(p, L_PROTOCOL);
}

/* A = M_PROTOCOL at entry. Headers of one layout (hop by hop, routing, destination options) are
 * 8 × (length + 1) bytes, a fragment's is 8, authentication's 4 × (length + 2). */
static void emit_extension(struct program *p)
{
    unsigned plain = new_label(p), fragment = new_label(p), auth = new_label(p),
             next = new_label(p);
    go_if(p, BPF_JEQ, IPPROTO_HOPOPTS, plain);
    go_if(p, BPF_JEQ, IPPROTO_ROUTING, plain);
    go_if(p, BPF_JEQ, IPPROTO_DSTOPTS, plain);
    go_if(p, BPF_JEQ, IPPROTO_FRAGMENT, fragment);
    go_if(p, BPF_JEQ, IPPROTO_AH, auth);
    go(p, L_PROTOCOL);

    here(p, fragment);
    op(p, BPF_LDX | BPF_MEM, M_OFFSET);
    op(p, BPF_LD | BPF_B | BPF_IND, 0);
    op(p, BPF_ST, M_PROTOCOL);
    op(p, BPF_LD | BPF_H | BPF_IND, 2);
    go_if(p, BPF_JSET, 0xfff8, L_LATER);
    op(p, BPF_LD | BPF_IMM, 8);
    go(p, next);

    here(p, auth);
    op(p, BPF_LDX | BPF_MEM, M_OFFSET);
    op(p, BPF_LD | BPF_B | BPF_IND, 0);
    op(p, BPF_ST, M_PROTOCOL);
    op(p, BPF_LD | BPF_B | BPF_IND, 1);
    op(p, BPF_ALU | BPF_ADD | BPF_K, 2);
    op(p, BPF_ALU | BPF_LSH | BPF_K, 2);
    go(p, next);

    here(p, plain);
    op(p, BPF_LDX | BPF_MEM, M_OFFSET);
    op(p, BPF_LD | BPF_B | BPF_IND, 0);
    op(p, BPF_ST, M_PROTOCOL);
    op(p, BPF_LD | BPF_B | BPF_IND, 1);
    op(p, BPF_ALU | BPF_ADD | BPF_K, 1);
    op(p, BPF_ALU | BPF_LSH | BPF_K, 3);

    here(p, next); /* A: length of the header, X: where it began */
    op(p, BPF_ALU | BPF_ADD | BPF_X, 0);
    op(p, BPF_ST, M_OFFSET);
    op(p, BPF_LD | BPF_MEM, M_PROTOCOL);
}

static void emit_ipv6(struct program *p, const struct impair_scope *s, bool ingress)
{
    here(p, L_IPV6);
    if (!family_wanted(s, AF_INET6)) {
        go(p, L_PASS);
        return;
    }
    if (s->n_except || s->n_except_ports)
        emit_discovery(p);
    emit_peers(p, s, AF_INET6, peer_is_source(s, ingress) ? ETHER_LEN + 8 : ETHER_LEN + 24);
    if (!is_narrow(s) && !s->n_except_ports) {
        go(p, L_TAKE);
        return;
    }
    op(p, BPF_LD | BPF_IMM, ETHER_LEN + 40);
    op(p, BPF_ST, M_OFFSET);
    op(p, BPF_LD | BPF_B | BPF_ABS, ETHER_LEN + 6);
    op(p, BPF_ST, M_PROTOCOL);
    for (unsigned i = 0; i < SCOPE_EXTENSIONS; i++)
        emit_extension(p);
    go(p, L_PROTOCOL);
}

/* --- Protocol and ports ----------------------------------------------------------------------- */

/* Not one of those wanted: pass by. */
static void emit_protocol(struct program *p, const struct impair_scope *s)
{
    if (s->protocol < 0 && !has_ports(s))
        return;
    unsigned match = new_label(p);
    op(p, BPF_LD | BPF_MEM, M_PROTOCOL);
    if (s->protocol >= 0) {
        go_if(p, BPF_JEQ, (uint32_t)s->protocol, match);
        if (s->protocol == IPPROTO_ICMP)
            go_if(p, BPF_JEQ, IPPROTO_ICMPV6, match);
    } else {
        go_if(p, BPF_JEQ, IPPROTO_TCP, match);
        go_if(p, BPF_JEQ, IPPROTO_UDP, match);
        go_if(p, BPF_JEQ, IPPROTO_SCTP, match);
    }
    go(p, L_PASS);
    here(p, match);
}

/* The port at `offset` of the header (X) is in the list: go on at `match`. */
static void emit_ports(struct program *p, const struct impair_ports *list, size_t n,
                       uint32_t offset, unsigned match)
{
    op(p, BPF_LD | BPF_H | BPF_IND, offset);
    for (size_t i = 0; i < n; i++) {
        if (list[i].lo == list[i].hi) {
            go_if(p, BPF_JEQ, list[i].lo, match);
            continue;
        }
        emit(p, BPF_JMP | BPF_JGE | BPF_K, list[i].lo, 0, 2); /* below: behind the next two */
        go_unless(p, BPF_JGT, list[i].hi, match);
    }
}

static void emit_port_list(struct program *p, const struct impair_ports *list, size_t n,
                           bool source, bool destination)
{
    if (n == 0)
        return;
    unsigned match = new_label(p);
    op(p, BPF_LDX | BPF_MEM, M_OFFSET);
    if (source)
        emit_ports(p, list, n, 0, match);
    if (destination)
        emit_ports(p, list, n, 2, match);
    go(p, L_PASS);
    here(p, match);
}

static void emit_except_ports(struct program *p, const struct impair_scope *s, uint32_t own)
{
    if (s->n_except_ports == 0)
        return;
    unsigned other = new_label(p);
    op(p, BPF_LD | BPF_MEM, M_PROTOCOL);
    go_unless(p, BPF_JEQ, IPPROTO_TCP, other);
    op(p, BPF_LDX | BPF_MEM, M_OFFSET);
    emit_ports(p, s->except_ports, s->n_except_ports, own, L_PASS);
    here(p, other);
}

int scope_program(const struct impair_scope *s, bool ingress, struct sock_filter **ret,
                  size_t *ret_n, struct err *err)
{
    struct program p = {.next = L_LISTS};
    bool narrow = is_narrow(s) || s->n_except || s->n_except_ports;
    bool source = peer_is_source(s, ingress);
    if (narrow || s->family) {
        op(&p, BPF_LD | BPF_H | BPF_ABS, 12);
        go_if(&p, BPF_JEQ, ETH_P_IP, narrow ? L_IPV4 : s->family == AF_INET ? L_TAKE : L_PASS);
        go_if(&p, BPF_JEQ, ETH_P_IPV6, narrow ? L_IPV6 : s->family == AF_INET6 ? L_TAKE : L_PASS);
        if (!narrow && s->family == AF_INET)
            go_if(&p, BPF_JEQ, ETH_P_ARP, L_TAKE);
        go(&p, L_PASS);
    }
    if (narrow) {
        emit_ipv4(&p, s, ingress);
        emit_ipv6(&p, s, ingress);
        here(&p, L_PROTOCOL);
        emit_except_ports(&p, s, source ? 2 : 0);
        emit_protocol(&p, s);
        emit_port_list(&p, s->ports, s->n_ports, true, true);
        emit_port_list(&p, s->peer_ports, s->n_peer_ports, source, !source);
        emit_port_list(&p, s->own_ports, s->n_own_ports, !source, source);
        go(&p, L_TAKE);
        here(&p, L_LATER);
        emit_protocol(&p, s);
    }
    here(&p, L_TAKE);
    op(&p, BPF_RET | BPF_K, UINT32_MAX);
    here(&p, L_PASS);
    op(&p, BPF_RET | BPF_K, 0);
    if (p.n > SCOPE_OPS_MAX) {
        free(p.ops);
        return err_set(err, E2BIG,
                       "too many peers and ports for one classifier (%zu instructions, "
                       "%d are allowed)",
                       p.n, SCOPE_OPS_MAX);
    }
    resolve(&p);
    *ret = p.ops;
    *ret_n = p.n;
    return 0;
}

/* --- Overlap ---------------------------------------------------------------------------------- */

static bool has_peer_of(const struct impair_scope *s, int family)
{
    bool has = s->n_peers == 0;
    for (size_t i = 0; i < s->n_peers && !has; i++)
        has = s->peers[i].family == family;
    return has;
}

static bool peers_meet(const struct impair_scope *a, const struct impair_scope *b, int family)
{
    if (a->n_peers == 0 || b->n_peers == 0)
        return has_peer_of(a, family) && has_peer_of(b, family);
    for (size_t i = 0; i < a->n_peers; i++)
        for (size_t k = 0; k < b->n_peers; k++) {
            const struct inet_prefix *p = &a->peers[i], *q = &b->peers[k];
            if (p->family == family && q->family == family &&
                (inet_contains(p, q) || inet_contains(q, p)))
                return true;
        }
    return false;
}

static bool protocol_in(const struct impair_scope *s, int protocol)
{
    if (s->protocol >= 0)
        return s->protocol == protocol ||
               (s->protocol == IPPROTO_ICMP && protocol == IPPROTO_ICMPV6);
    return !has_ports(s) || protocol == IPPROTO_TCP || protocol == IPPROTO_UDP ||
           protocol == IPPROTO_SCTP;
}

static bool protocols_meet(const struct impair_scope *a, const struct impair_scope *b)
{
    for (int protocol = 0; protocol < 256; protocol++)
        if (protocol_in(a, protocol) && protocol_in(b, protocol))
            return true;
    return false;
}

struct port_set {
    const struct impair_ports *items;
    size_t n; /* 0: every port */
};

/* True when some port is in all of these. */
static bool sets_meet(const struct port_set *sets, size_t n)
{
    /* If any is, then one that is the lower end of some range (or 0, when all are without limits). */
    for (size_t s = 0; s <= n; s++) {
        for (size_t i = 0; i < (s == n ? 1 : sets[s].n); i++) {
            uint16_t port = s == n ? 0 : sets[s].items[i].lo;
            bool all = true;
            for (size_t k = 0; k < n && all; k++) {
                bool in = sets[k].n == 0;
                for (size_t j = 0; j < sets[k].n && !in; j++)
                    in = port >= sets[k].items[j].lo && port <= sets[k].items[j].hi;
                all = in;
            }
            if (all)
                return true;
        }
    }
    return false;
}

/* Ports as those of the peer of `a` and its own; `ports` may be met at either end. */
static bool ports_meet(const struct impair_scope *a, const struct impair_scope *b)
{
    bool swapped = a->reversed != b->reversed;
    struct port_set a_peer = {a->peer_ports, a->n_peer_ports},
                    a_own = {a->own_ports, a->n_own_ports};
    struct port_set b_peer = {b->peer_ports, b->n_peer_ports},
                    b_own = {b->own_ports, b->n_own_ports};
    if (swapped) {
        struct port_set t = b_peer;
        b_peer = b_own;
        b_own = t;
    }
    for (unsigned ends = 0; ends < 4; ends++) {
        struct port_set any_a = {a->ports, a->n_ports}, any_b = {b->ports, b->n_ports}, all = {0};
        struct port_set peer[] = {a_peer, b_peer, ends & 1 ? any_a : all, ends & 2 ? any_b : all};
        struct port_set own[] = {a_own, b_own, ends & 1 ? all : any_a, ends & 2 ? all : any_b};
        if (sets_meet(peer, 4) && sets_meet(own, 4))
            return true;
    }
    return false;
}

bool impair_scopes_overlap(const struct impair_scope *a, const struct impair_scope *b)
{
    if (a->family && b->family && a->family != b->family)
        return false;
    if (!is_narrow(a) && !is_narrow(b))
        return true;
    /* Peers at different ends of the packet never exclude each other. */
    bool swapped = a->reversed != b->reversed && a->n_peers && b->n_peers;
    bool meet = false;
    for (size_t i = 0; i < 2; i++) {
        int family = i ? AF_INET6 : AF_INET;
        meet |= family_wanted(a, family) && family_wanted(b, family) && has_peer_of(a, family) &&
                has_peer_of(b, family) && (swapped || peers_meet(a, b, family));
    }
    return meet && protocols_meet(a, b) && ports_meet(a, b);
}

/* --- For people, and copies ------------------------------------------------------------------- */

static void ports_text(const struct impair_ports *list, size_t n, const char *what, bool *first,
                       struct buf *out)
{
    if (n == 0)
        return;
    buf_printf(out, "%s%s%s ", *first ? "" : ", ", what,
               n > 1 || list[0].lo != list[0].hi ? "ports" : "port");
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "%s%u", i ? ", " : "", list[i].lo);
        if (list[i].hi != list[i].lo)
            buf_printf(out, "-%u", list[i].hi);
    }
    *first = false;
}

static const char *protocol_text(int protocol, char buf[24])
{
    switch (protocol) {
    case IPPROTO_TCP:
        return "TCP";
    case IPPROTO_UDP:
        return "UDP";
    case IPPROTO_SCTP:
        return "SCTP";
    case IPPROTO_ICMP:
        return "ICMP";
    default:
        snprintf(buf, 24, "protocol %d", protocol);
        return buf;
    }
}

void impair_scope_text(const struct impair_scope *s, bool ingress, struct buf *out)
{
    bool first = true;
    char text[INET_TEXT_MAX], number[24];
    for (size_t i = 0; i < s->n_peers; i++) {
        buf_printf(out, "%s%s",
                   i                            ? ", "
                   : peer_is_source(s, ingress) ? "from "
                                                : "to ",
                   inet_text(&s->peers[i], text));
        first = false;
    }
    if (s->family) {
        buf_printf(out, "%s%s", first ? "" : ", ", s->family == AF_INET ? "IPv4" : "IPv6");
        first = false;
    }
    if (s->protocol >= 0) {
        buf_printf(out, "%s%s", first ? "" : ", ", protocol_text(s->protocol, number));
        first = false;
    }
    ports_text(s->ports, s->n_ports, "", &first, out);
    ports_text(s->peer_ports, s->n_peer_ports, "the peer's ", &first, out);
    ports_text(s->own_ports, s->n_own_ports, "its own ", &first, out);
    if (first)
        buf_adds(out, "everything");
    for (size_t i = 0; i < s->n_except; i++)
        buf_printf(out, "%s%s", i ? ", " : " but ", inet_text(&s->except[i], text));
    for (size_t i = 0; i < s->n_except_ports; i++)
        buf_printf(out, "%sTCP port %u of its own", i || s->n_except ? ", " : " but ",
                   s->except_ports[i].lo);
}

static void *copy_of(const void *items, size_t n, size_t size)
{
    void *copy = n ? malloc(n * size) : NULL;
    if (n && !copy)
        abort();
    return n ? memcpy(copy, items, n * size) : NULL;
}

struct impair_scope scope_copy(const struct impair_scope *s)
{
    struct impair_scope c = *s;
    c.peers = copy_of(s->peers, s->n_peers, sizeof *s->peers);
    c.ports = copy_of(s->ports, s->n_ports, sizeof *s->ports);
    c.peer_ports = copy_of(s->peer_ports, s->n_peer_ports, sizeof *s->peer_ports);
    c.own_ports = copy_of(s->own_ports, s->n_own_ports, sizeof *s->own_ports);
    c.except = copy_of(s->except, s->n_except, sizeof *s->except);
    c.except_ports = copy_of(s->except_ports, s->n_except_ports, sizeof *s->except_ports);
    return c;
}

void scope_done(struct impair_scope *s)
{
    free((void *)s->peers);
    free((void *)s->ports);
    free((void *)s->peer_ports);
    free((void *)s->own_ports);
    free((void *)s->except);
    free((void *)s->except_ports);
    *s = (struct impair_scope){.protocol = -1};
}
