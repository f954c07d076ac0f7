/* Scopes as classifiers, held against libpcap's own compiler on frames made at random, and against a
 * plain reading of the headers where libpcap has no words (extension headers of IPv6).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pcap/pcap.h>

#include "sim/base/rng.h"
#include "sim/impair/scope.h"
#include "tests/support/test.h"

#define FRAMES 4000
#define SCOPES 400
#define FRAME_MAX 256

_Static_assert(sizeof(struct bpf_insn) == sizeof(struct sock_filter), "one layout");

/* --- Frames ----------------------------------------------------------------------------------- */

/* Few addresses and ports, so that matches are common. */
static const char *const addresses4[] = {"10.0.0.1", "10.0.0.2", "10.0.1.1", "192.168.7.9"};
static const char *const addresses6[] = {"fd00::1", "fd00::2", "fd00:0:0:1::1", "2001:db8::7"};
static const uint16_t ports[] = {80, 443, 8000, 8005, 8010, 65535, 1};

struct frame {
    uint8_t b[FRAME_MAX];
    size_t n;
};

static size_t below(struct rng *r, size_t n)
{
    return (size_t)rng_below(r, n);
}

static void put16(struct frame *f, size_t at, unsigned v)
{
    f->b[at] = (uint8_t)(v >> 8);
    f->b[at + 1] = (uint8_t)v;
}

static void add_transport(struct frame *f, struct rng *r)
{
    put16(f, f->n, ports[below(r, ARRAY_SIZE(ports))]);
    put16(f, f->n + 2, ports[below(r, ARRAY_SIZE(ports))]);
    f->n += 8 + below(r, 20);
}

static const uint8_t protocols[] = {IPPROTO_TCP,  IPPROTO_UDP,    IPPROTO_SCTP,
                                    IPPROTO_ICMP, IPPROTO_ICMPV6, 47};

static void make_ipv4(struct frame *f, struct rng *r)
{
    size_t options = below(r, 3) ? 0 : 4 * below(r, 11);
    put16(f, 12, 0x0800);
    f->b[14] = (uint8_t)(0x45 + options / 4);
    f->b[23] = protocols[below(r, ARRAY_SIZE(protocols))];
    if (below(r, 4) == 0)
        put16(f, 20, (unsigned)(below(r, 2) << 13 | (below(r, 2) ? 0 : 1 + below(r, 8191))));
    inet_pton(AF_INET, addresses4[below(r, 4)], f->b + 26);
    inet_pton(AF_INET, addresses4[below(r, 4)], f->b + 30);
    f->n = 34 + options;
    add_transport(f, r);
}

/* Returns true when there are extension headers. */
static bool make_ipv6(struct frame *f, struct rng *r, bool extensions)
{
    static const uint8_t kinds[] = {IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS,
                                    IPPROTO_FRAGMENT, IPPROTO_AH};
    size_t count = extensions ? below(r, 5) : 0, next = 20;
    put16(f, 12, 0x86dd);
    f->b[14] = 0x60;
    inet_pton(AF_INET6, addresses6[below(r, 4)], f->b + 22);
    inet_pton(AF_INET6, addresses6[below(r, 4)], f->b + 38);
    f->n = 54;
    for (size_t i = 0; i < count; i++) {
        uint8_t kind = kinds[below(r, ARRAY_SIZE(kinds))];
        f->b[next] = kind;
        next = f->n;
        if (kind == IPPROTO_FRAGMENT) {
            put16(f, f->n + 2, below(r, 2) ? 1 : (unsigned)(8 * below(r, 200)));
            f->n += 8;
        } else {
            f->b[f->n + 1] = (uint8_t)(kind == IPPROTO_AH ? 1 + below(r, 4) : below(r, 3));
            f->n += kind == IPPROTO_AH ? 4 * (f->b[f->n + 1] + 2u) : 8 * (f->b[f->n + 1] + 1u);
        }
    }
    f->b[next] = protocols[below(r, ARRAY_SIZE(protocols))];
    add_transport(f, r);
    return count > 0;
}

static bool make_frame(struct frame *f, struct rng *r, bool extensions)
{
    *f = (struct frame){.n = 60};
    size_t kind = below(r, 10);
    if (kind == 0)
        put16(f, 12, 0x0806);
    else if (kind == 1)
        put16(f, 12, 0x88cc);
    else if (kind < 6)
        make_ipv4(f, r);
    else
        return make_ipv6(f, r, extensions);
    return false;
}

/* --- Scopes ----------------------------------------------------------------------------------- */

struct made {
    struct impair_scope scope;
    struct inet_prefix peers[4];
    struct impair_ports ports[3], peer_ports[3], own_ports[3];
    bool ingress;
};

static size_t some_ports(struct rng *r, struct impair_ports *list)
{
    size_t n = below(r, 3) ? 0 : 1 + below(r, 3);
    for (size_t i = 0; i < n; i++) {
        uint16_t a = ports[below(r, ARRAY_SIZE(ports))], b = ports[below(r, ARRAY_SIZE(ports))];
        list[i] =
            (struct impair_ports){a < b ? a : b, below(r, 2) ? (a < b ? a : b) : (a < b ? b : a)};
    }
    return n;
}

static void make_scope(struct made *m, struct rng *r)
{
    static const int wanted[] = {-1, -1, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP};
    static const uint8_t families[] = {0, 0, AF_INET, AF_INET6};
    size_t n = below(r, 3) ? below(r, 5) : 0;
    *m = (struct made){.ingress = below(r, 2)};
    for (size_t i = 0; i < n; i++) {
        bool v6 = below(r, 2);
        assert_int_equal(
            inet_parse(v6 ? addresses6[below(r, 4)] : addresses4[below(r, 4)], &m->peers[i], NULL),
            0);
        if (below(r, 2))
            m->peers[i].len = (uint8_t)below(r, m->peers[i].len + 1u);
    }
    m->scope = (struct impair_scope){.peers = m->peers,
                                     .n_peers = n,
                                     .family = families[below(r, 4)],
                                     .protocol = wanted[below(r, 6)],
                                     .reversed = below(r, 2),
                                     .ports = m->ports,
                                     .peer_ports = m->peer_ports,
                                     .own_ports = m->own_ports};
    if (m->scope.protocol == IPPROTO_ICMP)
        return;
    m->scope.n_ports = some_ports(r, m->ports);
    m->scope.n_peer_ports = some_ports(r, m->peer_ports);
    m->scope.n_own_ports = some_ports(r, m->own_ports);
}

/* --- The same as an expression for libpcap ---------------------------------------------------- */

static void ports_words(struct buf *b, const struct impair_ports *list, size_t n, const char *which)
{
    if (n == 0)
        return;
    buf_adds(b, " and (");
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "%s%sportrange %u-%u", i ? " or " : "", which, list[i].lo, list[i].hi);
    buf_adds(b, ")");
}

/* libpcap takes a fragment that is not the first for one without ports, as the expression says. */
static void family_words(struct buf *b, const struct made *m, bool v6)
{
    const struct impair_scope *s = &m->scope;
    bool source = m->ingress != s->reversed;
    const char *proto = v6 ? "ip6 proto" : "ip proto";
    char text[INET_TEXT_MAX];
    buf_printf(b, "(%s", v6 ? "ip6" : "ip");
    if (s->n_peers) {
        buf_adds(b, " and (");
        bool any = false;
        for (size_t i = 0; i < s->n_peers; i++) {
            struct inet_prefix p = inet_masked(&s->peers[i]);
            if ((p.family == AF_INET6) != v6)
                continue;
            uint8_t len = p.len;
            p.len = v6 ? 128 : 32;
            buf_printf(b, "%s%s net %s/%u", any ? " or " : "", source ? "src" : "dst",
                       inet_text(&p, text), len);
            any = true;
        }
        buf_adds(b, any ? ")" : "less 1)");
    }
    bool with_ports = s->n_ports || s->n_peer_ports || s->n_own_ports;
    if (s->protocol == IPPROTO_ICMP)
        buf_printf(b, " and (%s 1 or %s 58)", proto, proto);
    else if (s->protocol >= 0)
        buf_printf(b, " and %s %d", proto, s->protocol);
    else if (with_ports)
        buf_printf(b, " and (%s 6 or %s 17 or %s 132)", proto, proto, proto);
    if (with_ports) {
        buf_adds(b, v6 ? " and ((ether[0] = ether[0]" : " and (ip[6:2] & 0x1fff != 0 or (ip");
        ports_words(b, s->ports, s->n_ports, "");
        ports_words(b, s->peer_ports, s->n_peer_ports, source ? "src " : "dst ");
        ports_words(b, s->own_ports, s->n_own_ports, source ? "dst " : "src ");
        buf_adds(b, "))");
    }
    buf_adds(b, ")");
}

static bool narrow(const struct impair_scope *s)
{
    return s->n_peers || s->protocol >= 0 || s->n_ports || s->n_peer_ports || s->n_own_ports;
}

static void expression(struct buf *b, const struct made *m)
{
    const struct impair_scope *s = &m->scope;
    if (!narrow(s) && s->family == AF_INET)
        buf_adds(b, "ip or arp");
    else if (!narrow(s) && s->family == AF_INET6)
        buf_adds(b, "ip6");
    else if (narrow(s)) {
        if (s->family != AF_INET6)
            family_words(b, m, false);
        if (s->family == 0)
            buf_adds(b, " or ");
        if (s->family != AF_INET)
            family_words(b, m, true);
    }
}

/* --- The same by reading headers --------------------------------------------------------------- */

static bool in_ports(const struct impair_ports *list, size_t n, unsigned port)
{
    for (size_t i = 0; i < n; i++)
        if (port >= list[i].lo && port <= list[i].hi)
            return true;
    return n == 0;
}

static bool read_matches(const struct made *m, const struct frame *f)
{
    const struct impair_scope *s = &m->scope;
    bool source = m->ingress != s->reversed, later = false;
    struct inet_prefix peer = {.family = AF_INET6, .len = 128};
    memcpy(peer.addr, f->b + (source ? 22 : 38), 16);
    bool found = s->n_peers == 0;
    for (size_t i = 0; i < s->n_peers; i++)
        found |= s->peers[i].family == AF_INET6 && inet_contains(&s->peers[i], &peer);
    unsigned protocol = f->b[20];
    size_t at = 54;
    for (unsigned i = 0; i < SCOPE_EXTENSIONS && !later; i++) {
        if (protocol == IPPROTO_FRAGMENT) {
            protocol = f->b[at];
            later = ((f->b[at + 2] << 8 | f->b[at + 3]) & 0xfff8) != 0;
            at += 8;
        } else if (protocol == IPPROTO_AH) {
            protocol = f->b[at];
            at += 4 * (f->b[at + 1] + 2u);
        } else if (protocol == 0 || protocol == 43 || protocol == 60) {
            protocol = f->b[at];
            at += 8 * (f->b[at + 1] + 1u);
        }
    }
    bool with_ports = s->n_ports || s->n_peer_ports || s->n_own_ports;
    if (!found || s->family == AF_INET)
        return false;
    if (s->protocol == IPPROTO_ICMP ? protocol != 1 && protocol != 58
        : s->protocol >= 0          ? protocol != (unsigned)s->protocol
                           : with_ports && protocol != 6 && protocol != 17 && protocol != 132)
        return false;
    if (later || !with_ports)
        return true;
    unsigned src = (unsigned)(f->b[at] << 8 | f->b[at + 1]);
    unsigned dst = (unsigned)(f->b[at + 2] << 8 | f->b[at + 3]);
    return (in_ports(s->ports, s->n_ports, src) || in_ports(s->ports, s->n_ports, dst)) &&
           in_ports(s->peer_ports, s->n_peer_ports, source ? src : dst) &&
           in_ports(s->own_ports, s->n_own_ports, source ? dst : src);
}

/* --- Tests ------------------------------------------------------------------------------------ */

static bool matches(const struct sock_filter *ops, const struct frame *f)
{
    return bpf_filter((const struct bpf_insn *)ops, f->b, (u_int)f->n, (u_int)f->n) != 0;
}

static void classifiers_agree_with_libpcap(void **state)
{
    struct rng r = rng_stream(20261122, "scope", 0, 0);
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);
    size_t both = 0, compared = 0;
    for (size_t i = 0; i < SCOPES; i++) {
        struct made m;
        struct bpf_program oracle;
        AUTO_FREE struct sock_filter *ops = NULL;
        AUTO_BUF words = BUF_INIT;
        size_t n;
        make_scope(&m, &r);
        expression(&words, &m);
        assert_int_equal(scope_program(&m.scope, m.ingress, &ops, &n, NULL), 0);
        assert_true(bpf_validate((const struct bpf_insn *)ops, (int)n));
        if (pcap_compile(pcap, &oracle, buf_text(&words), 1, PCAP_NETMASK_UNKNOWN) < 0)
            fail_msg("%s: %s", buf_text(&words), pcap_geterr(pcap));
        for (size_t k = 0; k < FRAMES / 40; k++) {
            struct frame f;
            make_frame(&f, &r, false);
            bool ours = matches(ops, &f);
            bool theirs = bpf_filter(oracle.bf_insns, f.b, (u_int)f.n, (u_int)f.n) != 0;
            if (ours != theirs)
                fail_msg("scope %zu frame %zu: ours %d, libpcap %d: %s", i, k, ours, theirs,
                         buf_text(&words));
            both += ours;
            compared++;
        }
        pcap_freecode(&oracle);
    }
    pcap_close(pcap);
    assert_in_range(both, compared / 20, compared - compared / 20); /* not all the same answer */
}

static void extension_headers_are_followed(void **state)
{
    struct rng r = rng_stream(20261122, "scope", 0, 1);
    size_t with = 0, taken = 0;
    for (size_t i = 0; i < SCOPES; i++) {
        struct made m;
        AUTO_FREE struct sock_filter *ops = NULL;
        size_t n;
        make_scope(&m, &r);
        if (!narrow(&m.scope))
            continue;
        assert_int_equal(scope_program(&m.scope, m.ingress, &ops, &n, NULL), 0);
        for (size_t k = 0; k < FRAMES / 40; k++) {
            struct frame f;
            if (!make_frame(&f, &r, true))
                continue;
            with++;
            bool expected = read_matches(&m, &f);
            taken += expected;
            if (matches(ops, &f) != expected)
                fail_msg("scope %zu frame %zu: expected %d", i, k, expected);
        }
    }
    assert_true(with > 1000 && taken > 100);
}

static bool is_discovery(const struct frame *f)
{
    return f->b[12] == 0x86 && f->b[13] == 0xdd && f->b[20] == IPPROTO_ICMPV6 && f->b[54] >= 133 &&
           f->b[54] <= 136;
}

/* Where its TCP header is; 0: it has none that is whole. */
static size_t tcp_at(const struct frame *f)
{
    bool v4 = f->b[12] == 8 && f->b[13] == 0, v6 = f->b[12] == 0x86 && f->b[13] == 0xdd;
    if (v6)
        return f->b[20] == IPPROTO_TCP ? 54 : 0;
    bool later = (f->b[20] & 0x1f) || f->b[21];
    return v4 && !later && f->b[23] == IPPROTO_TCP ? 14 + 4u * (f->b[14] & 15u) : 0;
}

/* What it would take, but for these peers; and IP packets alone, without the search for neighbours. */
static bool is_left(const struct made *m, const struct frame *f, size_t transport)
{
    const struct impair_scope *s = &m->scope;
    bool source = m->ingress != s->reversed;
    size_t own = transport + (source ? 2 : 0);
    unsigned port = (unsigned)(f->b[own] << 8 | f->b[own + 1]);
    for (size_t i = 0; transport && i < s->n_except_ports; i++)
        if (port >= s->except_ports[i].lo && port <= s->except_ports[i].hi)
            return false;
    bool v4 = f->b[12] == 8 && f->b[13] == 0, v6 = f->b[12] == 0x86 && f->b[13] == 0xdd;
    struct inet_prefix peer = {.family = v4 ? AF_INET : AF_INET6, .len = v4 ? 32 : 128};
    memcpy(peer.addr, f->b + (v4 ? (source ? 26 : 30) : source ? 22 : 38), v4 ? 4 : 16);
    for (size_t i = 0; i < s->n_except; i++)
        if (s->except[i].family == peer.family && inet_contains(&s->except[i], &peer))
            return false;
    return (v4 || v6) && !is_discovery(f);
}

static void who_is_exempt_passes_by(void **state)
{
    struct rng r = rng_stream(20261122, "scope", 0, 3);
    size_t left = 0, taken = 0;
    for (size_t i = 0; i < SCOPES; i++) {
        struct made m;
        struct inet_prefix except[2];
        struct impair_ports listens = {8000, 8005};
        AUTO_FREE struct sock_filter *with = NULL, *without = NULL;
        size_t n;
        make_scope(&m, &r);
        assert_int_equal(scope_program(&m.scope, m.ingress, &without, &n, NULL), 0);
        assert_int_equal(inet_parse(addresses4[below(&r, 4)], &except[0], NULL), 0);
        assert_int_equal(inet_parse(addresses6[below(&r, 4)], &except[1], NULL), 0);
        m.scope.except = except;
        m.scope.n_except = 1 + below(&r, 2);
        m.scope.except_ports = &listens;
        m.scope.n_except_ports = below(&r, 2);
        assert_int_equal(scope_program(&m.scope, m.ingress, &with, &n, NULL), 0);
        assert_true(bpf_validate((const struct bpf_insn *)with, (int)n));
        for (size_t k = 0; k < FRAMES / 40; k++) {
            struct frame f;
            make_frame(&f, &r, false);
            if (f.b[20] == IPPROTO_ICMPV6 && f.n > 54 && below(&r, 2))
                f.b[54] = (uint8_t)(130 + below(&r, 10));
            bool before = matches(without, &f);
            bool expected = before && is_left(&m, &f, tcp_at(&f));
            if (matches(with, &f) != expected)
                fail_msg("scope %zu frame %zu: expected %d", i, k, expected);
            left += before && !expected;
            taken += expected;
        }
    }
    assert_true(left > 500 && taken > 500);
}

/* If two scopes are said to be apart, no frame is in both; if they are said to meet, some frame of
 * many usually is. Later fragments are not counted (impair.h). */
static void scopes_apart_share_no_frame(void **state)
{
    struct rng r = rng_stream(20261122, "scope", 0, 2);
    size_t apart = 0, meeting = 0, shown = 0;
    for (size_t i = 0; i < SCOPES; i++) {
        struct made a, b;
        AUTO_FREE struct sock_filter *ops_a = NULL, *ops_b = NULL;
        size_t n, shared = 0;
        make_scope(&a, &r);
        make_scope(&b, &r);
        b.ingress = a.ingress;
        assert_int_equal(scope_program(&a.scope, a.ingress, &ops_a, &n, NULL), 0);
        assert_int_equal(scope_program(&b.scope, b.ingress, &ops_b, &n, NULL), 0);
        for (size_t k = 0; k < FRAMES / 4; k++) {
            struct frame f;
            make_frame(&f, &r, false);
            bool later = f.b[12] == 8 && f.b[13] == 0 && ((f.b[20] & 0x1f) || f.b[21]);
            shared += !later && matches(ops_a, &f) && matches(ops_b, &f);
        }
        bool meet = impair_scopes_overlap(&a.scope, &b.scope);
        assert_int_equal(meet, impair_scopes_overlap(&b.scope, &a.scope));
        if (!meet && shared)
            fail_msg("pair %zu is said to be apart and shares %zu frames", i, shared);
        apart += !meet;
        meeting += meet;
        shown += meet && shared;
    }
    assert_true(apart > 50 && meeting > 50);
    assert_true(shown * 4 >= meeting * 3); /* not overlap out of caution */
}

static void a_scope_says_what_it_takes(void **state)
{
    struct inet_prefix peers[2];
    struct impair_ports web = {80, 80}, high[2] = {{8000, 8010}, {9000, 9000}};
    AUTO_BUF text = BUF_INIT;
    struct impair_scope s = {.protocol = -1};
    impair_scope_text(&s, false, &text);
    assert_string_equal(buf_text(&text), "everything");
    buf_clear(&text);
    assert_int_equal(inet_parse("10.0.0.2", &peers[0], NULL), 0);
    assert_int_equal(inet_parse("fd00::/64", &peers[1], NULL), 0);
    s = (struct impair_scope){.peers = peers,
                              .n_peers = 2,
                              .protocol = IPPROTO_TCP,
                              .ports = &web,
                              .n_ports = 1,
                              .own_ports = high,
                              .n_own_ports = 2};
    impair_scope_text(&s, false, &text);
    assert_string_equal(buf_text(&text),
                        "to 10.0.0.2, fd00::/64, TCP, port 80, its own ports 8000-8010, 9000");
    buf_clear(&text);
    s.reversed = true;
    s.except = peers;
    s.n_except = 1;
    impair_scope_text(&s, false, &text);
    assert_non_null(strstr(buf_text(&text), "9000 but 10.0.0.2"));
    assert_non_null(strstr(buf_text(&text), "from 10.0.0.2, fd00::/64"));
}

static void too_many_peers_are_refused(void **state)
{
    static struct inet_prefix peers[600];
    struct sock_filter *ops = NULL;
    size_t n;
    struct err err = ERR_INIT;
    for (size_t i = 0; i < ARRAY_SIZE(peers); i++) {
        assert_int_equal(inet_parse("fd00::1", &peers[i], NULL), 0);
        peers[i].addr[14] = (uint8_t)(i >> 8);
        peers[i].addr[15] = (uint8_t)i;
    }
    struct impair_scope s = {.peers = peers, .n_peers = ARRAY_SIZE(peers), .protocol = -1};
    assert_int_equal(scope_program(&s, false, &ops, &n, &err), -E2BIG);
    assert_non_null(strstr(err.text, "too many peers"));
    s.n_peers = IMPAIR_PEERS_MAX;
    assert_int_equal(scope_program(&s, false, &ops, &n, NULL), 0);
    free(ops);
}

static void the_engine_is_chosen_with_a_reason(void **state)
{
    struct impair_here none = {.known = true, .netem_why = "netem: ENOENT", .user_why = "veth: no"};
    struct impair_here user = none, netem = none;
    enum impair_engine e;
    char why[IMPAIR_WHY_MAX];
    struct err err = ERR_INIT;
    user.user = netem.netem = true;
    assert_int_equal(impair_choose(IMPAIR_AUTO, &user, &e, why, NULL), 0);
    assert_int_equal(e, IMPAIR_USER);
    assert_string_equal(why, "netem: ENOENT");
    assert_int_equal(impair_choose(IMPAIR_AUTO, &netem, &e, why, NULL), 0);
    assert_int_equal(e, IMPAIR_NETEM);
    assert_string_equal(why, "the kernel has it");
    assert_int_equal(impair_choose(IMPAIR_NETEM, &user, &e, why, &err), -EOPNOTSUPP);
    assert_non_null(strstr(err.text, "sch_netem"));
    assert_int_equal(impair_choose(IMPAIR_USER, &netem, &e, why, &err), -EOPNOTSUPP);
    assert_int_equal(impair_choose(IMPAIR_AUTO, &none, &e, why, &err), -EOPNOTSUPP);
    user.netem = true;
    assert_int_equal(impair_choose(IMPAIR_AUTO, &user, &e, why, NULL), 0);
    assert_int_equal(e, IMPAIR_NETEM);
    assert_int_equal(impair_choose(IMPAIR_USER, &user, &e, why, NULL), 0);
    assert_int_equal(e, IMPAIR_USER);
    assert_string_equal(why, "asked for");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classifiers_agree_with_libpcap),
        cmocka_unit_test(extension_headers_are_followed),
        cmocka_unit_test(who_is_exempt_passes_by),
        cmocka_unit_test(scopes_apart_share_no_frame),
        cmocka_unit_test(a_scope_says_what_it_takes),
        cmocka_unit_test(too_many_peers_are_refused),
        cmocka_unit_test(the_engine_is_chosen_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
