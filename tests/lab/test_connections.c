/* Partitions that are about some packets only, or about connections: what passes, what does not, what
 * is ended, and that rules of others stay; as root and without.
 */
#include "tests/support/cutkit.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "injectors/injector.h"
#include "injectors/params.h"
#include "sim/base/jsonx.h"
#include "sim/kernel/rtnl.h"
#include "tests/support/faultkit.h"

/* --- Connections --------------------------------------------------------------------------------
 */

/* A TCP connection of our own between two hosts. */
struct talk {
    int listener, near, far; /* far: at the listener's host */
};

static int listen_at(struct kit *k, const char *host, const char *address, uint16_t port)
{
    socklen_t n;
    struct sockaddr_storage where = cutkit_at(address, port, &n);
    int fd = cutkit_socket(k, host, where.ss_family, SOCK_STREAM), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal(bind(fd, (struct sockaddr *)&where, n), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

/* How long is waited for what must come, on a busy machine too, and for what must not. */
static int patience(bool wanted)
{
    return wanted ? 20000 : 200; /* ms */
}

/* 0, or the errno of a connection that was not made (ETIMEDOUT: silence). `want`: what it is to be. */
static int dial(struct kit *k, const char *host, const char *address, uint16_t port, int want,
                int *ret_fd)
{
    socklen_t n, len = sizeof(int);
    struct sockaddr_storage to = cutkit_at(address, port, &n);
    int fd = cutkit_socket(k, host, to.ss_family, SOCK_STREAM), error = 0;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    (void)!connect(fd, (struct sockaddr *)&to, n);
    if (poll(&p, 1, patience(want != ETIMEDOUT)) == 1)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
    else
        error = ETIMEDOUT;
    if (error == 0 && ret_fd)
        *ret_fd = fd;
    else
        close(fd);
    return error;
}

static struct talk talk_open(struct kit *k, const char *from, const char *to, const char *address,
                             uint16_t port)
{
    struct talk t = {listen_at(k, to, address, port), -1, -1};
    assert_int_equal(dial(k, from, address, port, 0, &t.near), 0);
    struct pollfd p = {.fd = t.listener, .events = POLLIN};
    assert_int_equal(poll(&p, 1, patience(true)), 1);
    t.far = accept4(t.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(t.far >= 0);
    return t;
}

static void talk_close(struct talk *t)
{
    close(t->listener);
    close(t->near);
    close(t->far);
}

static bool arrives(int to, int ms)
{
    char byte = 0;
    struct pollfd p = {.fd = to, .events = POLLIN};
    return poll(&p, 1, ms) == 1 && recv(to, &byte, 1, 0) == 1 && byte == 'x';
}

/* "x" arrives, if it does as it should. */
static bool passes(int from, int to, bool want)
{
    return send(from, "x", 1, MSG_NOSIGNAL) == 1 && arrives(to, patience(want));
}

static void must_pass(int from, int to, bool want)
{
    assert_int_equal(passes(from, to, want), want);
}

static void talk_works(const struct talk *t, bool want)
{
    assert_int_equal(passes(t->near, t->far, want) && passes(t->far, t->near, want), want);
}

static struct step *a_from_b(struct kit *k, const char *id, struct partition_params **ret)
{
    struct step *s = fault_step(k, id, "partition");
    struct partition_params *p = s->params;
    fault_group(k, &p->cut, "a");
    fault_group(k, &p->cut, "b");
    *ret = p;
    return s;
}

static void says(const char *text, const char *words)
{
    if (!strstr(text, words))
        fail_msg("%s\ndoes not say: %s", text, words);
}

static void what_is_established_goes_on(void **state)
{
    static struct kit k;
    cutkit_five_hosts(&k);
    int other = listen_at(&k, "b", "10.0.0.2", 6000), back = listen_at(&k, "a", "10.0.0.1", 6000);
    struct talk talks[] = {talk_open(&k, "a", "b", "10.0.0.2", 5000),
                           talk_open(&k, "a", "b", "fd00::2", 5000)};
    for (int kind = CUT_DROP; kind <= CUT_REJECT; kind++) {
        struct partition_params *p;
        struct step *s = a_from_b(&k, "new", &p);
        struct fault f;
        int want = kind == CUT_DROP ? ETIMEDOUT : ECONNREFUSED;
        p->kind = kind;
        p->packets = CUT_NEW_CONNECTIONS;
        fault_begin(&k, s, &f);
        says(f.proof.seen, "of 2 of our own 0 arrived, 2 counted");
        says(f.proof.seen, "took effect on 2 hosts within ");
        for (size_t i = 0; i < ARRAY_SIZE(talks); i++)
            talk_works(&talks[i], true);
        assert_int_equal(dial(&k, "a", "10.0.0.2", 6000, want, NULL), want);
        assert_int_equal(dial(&k, "a", "fd00::2", 5000, want, NULL), want);
        assert_int_equal(dial(&k, "b", "10.0.0.1", 6000, want, NULL), want);
        assert_int_equal(dial(&k, "c", "10.0.0.2", 6000, 0, NULL), 0);
        fault_holds(&k, &f);
        fault_end(&k, &f);
        assert_int_equal(dial(&k, "a", "10.0.0.2", 6000, 0, NULL), 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(talks); i++)
        talk_close(&talks[i]);
    close(other);
    close(back);
    fault_nothing_left(&k);
    kit_close(&k);
}

static void a_port_alone_is_cut(void **state)
{
    static struct kit k;
    struct port_range ranges[] = {{5000, 5000}, {7000, 7010}};
    cutkit_five_hosts(&k);
    struct talk cut = talk_open(&k, "a", "b", "10.0.0.2", 5000),
                cut6 = talk_open(&k, "b", "a", "fd00::1", 7005),
                other = talk_open(&k, "a", "b", "10.0.0.2", 5001);
    for (int kind = CUT_DROP; kind <= CUT_REJECT; kind++) {
        struct partition_params *p;
        struct step *s = a_from_b(&k, "port", &p);
        struct fault f;
        p->kind = kind;
        p->ports = (struct port_ranges){ranges, 2};
        fault_begin(&k, s, &f);
        says(f.proof.seen, "of 2 of our own 0 arrived, 2 counted");
        says(f.proof.asked, "every packet from or to port 5000, 7000-7010 ");
        assert_int_equal(
            dial(&k, "a", "10.0.0.2", 5000, kind == CUT_DROP ? ETIMEDOUT : ECONNREFUSED, NULL),
            kind == CUT_DROP ? ETIMEDOUT : ECONNREFUSED);
        assert_int_equal(dial(&k, "a", "10.0.0.2", 5001, 0, NULL), 0);
        assert_int_equal(dial(&k, "c", "10.0.0.2", 5000, 0, NULL), 0);
        talk_works(&other, true);
        if (kind == CUT_DROP) { /* a reset would end them */
            must_pass(cut.near, cut.far, false);
            must_pass(cut6.near, cut6.far, false);
        }
        fault_holds(&k, &f);
        fault_end(&k, &f);
        /* What was lost is sent again; waited for, or it would come in the midst of the next cut and
         * be counted there. */
        if (kind == CUT_DROP) {
            assert_true(arrives(cut.far, patience(true)));
            assert_true(arrives(cut6.far, patience(true)));
        }
    }
    talk_close(&cut);
    talk_close(&cut6);
    talk_close(&other);
    fault_nothing_left(&k);
    kit_close(&k);
}

static bool pings(struct kit *k, const char *address)
{
    char command[96];
    snprintf(command, sizeof command, "ping -n -c 1 -W 0.2 %s", address);
    return kit_run(k, "a", command, NULL) == 0;
}

static void a_protocol_alone_is_cut(void **state)
{
    static struct kit k;
    cutkit_five_hosts(&k);
    int listeners[] = {listen_at(&k, "b", "10.0.0.2", 5000), listen_at(&k, "b", "fd00::2", 5000)};
    for (int protocol = 1; protocol <= 4; protocol++) {
        struct partition_params *p;
        struct step *s = a_from_b(&k, "proto", &p);
        struct fault f;
        bool tcp = protocol == 1, icmp = protocol == 4;
        p->protocol = protocol;
        fault_begin(&k, s, &f);
        says(f.proof.seen, "of 2 of our own 0 arrived, 2 counted");
        assert_int_equal(dial(&k, "a", "10.0.0.2", 5000, tcp ? ETIMEDOUT : 0, NULL),
                         tcp ? ETIMEDOUT : 0);
        assert_int_equal(dial(&k, "a", "fd00::2", 5000, tcp ? ETIMEDOUT : 0, NULL),
                         tcp ? ETIMEDOUT : 0);
        if (kit_run(&k, "c", "ping -n -c 1 -W 1 10.0.0.2", NULL) == 0) { /* it may, here */
            assert_int_equal(pings(&k, "10.0.0.2"), !icmp);
            assert_int_equal(pings(&k, "fd00::2"), !icmp);
        }
        fault_holds(&k, &f);
        fault_end(&k, &f);
    }
    close(listeners[0]);
    close(listeners[1]);
    fault_nothing_left(&k);
    kit_close(&k);
}

/* By us (aborted), or by the other side's end (reset). */
static bool is_ended(int fd, bool want)
{
    char byte;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, patience(want)) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) < 0 &&
           (errno == ECONNABORTED || errno == ECONNRESET);
}

static void existing_connections_are_ended_where_asked(void **state)
{
    static struct kit k;
    struct port_range range = {5001, 5001};
    struct err err = ERR_INIT;
    cutkit_five_hosts(&k);
    struct inet_prefix vip;
    struct nl *nl = lab_node_nl(lab_node(k.lab, "b"));
    assert_int_equal(inet_parse("10.0.0.100/24", &vip, NULL), 0);
    rtnl_address_add(nl, "eth0", &vip);
    kit_ok(nl_flush(nl, &err), &err);
    assert_int_equal(kit_run(&k, "b",
                             "nft add table inet own; nft 'add chain inet own in { type "
                             "filter hook input priority 0; }'; nft add rule inet own in "
                             "ct state established accept",
                             NULL),
                     0);
    struct talk other = talk_open(&k, "c", "b", "10.0.0.2", 5000);
    for (int only_port = 0; only_port < 2; only_port++) {
        struct talk talks[] = {talk_open(&k, "a", "b", "10.0.0.2", 5001),
                               talk_open(&k, "b", "a", "fd00::1", 5002),
                               talk_open(&k, "a", "b", "10.0.0.100", 5003)};
        struct partition_params *p;
        struct step *s = a_from_b(&k, "sever", &p);
        struct fault f;
        p->connections = CUT_SEVER;
        p->packets = CUT_NEW_CONNECTIONS;
        if (only_port)
            p->ports = (struct port_ranges){&range, 1};
        fault_begin(&k, s, &f);
        const char *want =
            only_port ? "; of 2 destroyed sockets 0 left" : "; of 6 destroyed sockets 0 left";
        if (!strstr(f.proof.seen, want))
            fail_msg("%s", f.proof.seen);
        AUTO_BUF changes = BUF_INIT;
        jsonx_dump(f.result.changes, &changes);
        const char *told[] = {only_port ? "host b: 1 TCP socket destroyed (not undone)"
                                        : "host b: 3 TCP sockets destroyed (not undone)",
                              only_port ? "host b: 1 tracked flow forgotten (not undone)"
                                        : "host b: 3 tracked flows forgotten (not undone)"};
        for (size_t i = 0; i < ARRAY_SIZE(told); i++)
            if (!strstr(buf_text(&changes), told[i]))
                fail_msg("%s", buf_text(&changes));
        for (size_t i = 0; i < ARRAY_SIZE(talks); i++) {
            bool ended = !only_port || i == 0;
            assert_int_equal(is_ended(talks[i].near, ended), ended);
            assert_int_equal(is_ended(talks[i].far, ended), ended);
            talk_works(&talks[i], !ended);
            talk_close(&talks[i]);
        }
        talk_works(&other, true);
        fault_holds(&k, &f);
        fault_end(&k, &f);
    }
    talk_close(&other);
    fault_nothing_left(&k);
    kit_close(&k);
}

/* A UDP flow with a socket at each end; 5300 at b. */
struct udp_flow {
    int a, b;
};

static struct udp_flow flow_open(struct kit *k, uint16_t port)
{
    socklen_t n;
    struct sockaddr_storage there = cutkit_at("10.0.0.2", 5300, &n),
                            mine = cutkit_at("10.0.0.1", port, &n);
    struct udp_flow f = {cutkit_socket(k, "a", AF_INET, SOCK_DGRAM),
                         cutkit_socket(k, "b", AF_INET, SOCK_DGRAM)};
    int on = 1;
    setsockopt(f.b, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal(bind(f.a, (struct sockaddr *)&mine, n), 0);
    assert_int_equal(bind(f.b, (struct sockaddr *)&there, n), 0);
    assert_int_equal(connect(f.a, (struct sockaddr *)&there, n), 0);
    assert_int_equal(connect(f.b, (struct sockaddr *)&mine, n), 0);
    return f;
}

static void flow_close(struct udp_flow *f)
{
    close(f->a);
    close(f->b);
}

/* What counts as a new UDP flow: as docs/faults.md says. */
static void flows_that_are_tracked_go_on(void **state)
{
    static struct kit k;
    cutkit_five_hosts(&k);
    for (int tracked = 0; tracked < 2; tracked++) {
        struct partition_params *p;
        struct step *s = a_from_b(&k, "flows", &p);
        struct fault f;
        if (tracked)
            assert_int_equal(kit_run(&k, "b",
                                     "nft add table inet own; nft 'add chain inet own in "
                                     "{ type filter hook input priority 0; }'; nft add "
                                     "rule inet own in ct state established accept",
                                     NULL),
                             0);
        struct udp_flow old = flow_open(&k, 6001);
        must_pass(old.a, old.b, true);
        must_pass(old.b, old.a, true);
        p->packets = CUT_NEW_CONNECTIONS;
        p->direction = CUT_FORWARD;
        fault_begin(&k, s, &f);
        must_pass(old.a, old.b, tracked);
        must_pass(old.b, old.a, true); /* the receiving host speaks: it is known from now on */
        must_pass(old.a, old.b, true);
        struct udp_flow fresh = flow_open(&k, 6002);
        must_pass(fresh.a, fresh.b, false);
        flow_close(&fresh);
        fault_end(&k, &f);
        flow_close(&old);
    }
    fault_nothing_left(&k);
    kit_close(&k);
}

static void across_a_router_too(void **state)
{
    static struct kit k;
    struct port_range range = {5000, 5000};
    kit_open(&k);
    kit_network(&k, "front", "10.1.0.0/24", "fd01::/64", "r");
    kit_network(&k, "back", "10.2.0.0/24", "fd02::/64", "r");
    kit_host(&k, "a", "10.1.0.2 fd01::2");
    kit_host(&k, "r", "10.1.0.1 10.2.0.1 fd01::1 fd02::1");
    kit_host(&k, "b", "10.2.0.2 fd02::2");
    kit_up(&k, false);
    int other = listen_at(&k, "b", "10.2.0.2", 5001), six = listen_at(&k, "a", "fd01::2", 5001);
    for (int i = 0; i < 50 && (dial(&k, "a", "10.2.0.2", 5001, ETIMEDOUT, NULL) != 0 ||
                               dial(&k, "b", "fd01::2", 5001, ETIMEDOUT, NULL) != 0);
         i++)
        ; /* cables carry only when both ends have noticed */
    close(six);
    for (int way = 0; way < 3; way++) {
        struct talk t4 = talk_open(&k, "a", "b", "10.2.0.2", 5000),
                    t6 = talk_open(&k, "b", "a", "fd01::2", 5000);
        struct partition_params *p;
        struct step *s = a_from_b(&k, "far", &p);
        struct fault f;
        p->ports = (struct port_ranges){&range, 1};
        p->packets = way == 0 ? CUT_ALL_PACKETS : CUT_NEW_CONNECTIONS;
        p->connections = way == 2 ? CUT_SEVER : CUT_KEEP;
        fault_begin(&k, s, &f);
        talk_works(&t4, way == 1);
        talk_works(&t6, way == 1);
        assert_int_equal(!!strstr(f.proof.seen, "of 4 destroyed sockets 0 left"), way == 2);
        assert_int_equal(dial(&k, "a", "10.2.0.2", 5000, ETIMEDOUT, NULL), ETIMEDOUT);
        assert_int_equal(dial(&k, "b", "fd01::2", 5000, ETIMEDOUT, NULL), ETIMEDOUT);
        assert_int_equal(dial(&k, "a", "10.2.0.2", 5001, 0, NULL), 0);
        fault_holds(&k, &f);
        fault_end(&k, &f);
        talk_close(&t4);
        talk_close(&t6);
    }
    close(other);
    fault_nothing_left(&k);
    kit_close(&k);
}

/* A host that is off has no rules and needs none; one that comes back without them is noticed. */
static void a_host_that_is_off_is_left_out(void **state)
{
    static struct kit k;
    struct partition_params *p;
    struct err err = ERR_INIT;
    struct span at_once;
    struct fault f;
    cutkit_five_hosts(&k);
    struct step *s = fault_step(&k, "off", "partition");
    p = s->params;
    fault_targets(&k, &p->isolate, "a");
    p->kind = CUT_REJECT;
    p->connections = CUT_SEVER;
    struct talk t = talk_open(&k, "a", "b", "10.0.0.2", 5000);
    kit_ok(lab_node_off(lab_node(k.lab, "e"), &at_once, &err), &err);
    fault_begin(&k, s, &f);
    says(f.proof.seen, "took effect on 4 hosts within ");
    says(f.proof.seen, "of 2 destroyed sockets 0 left");
    talk_close(&t);
    kit_ok(lab_node_on(lab_node(k.lab, "e"), &at_once, &err), &err);
    kit_ok(f.injector->verify(&f.env, f.state, &f.proof, &err), &err);
    assert_false(f.proof.ok);
    says(f.proof.seen, "is not there");
    fault_end(&k, &f);
    fault_nothing_left(&k);
    kit_close(&k);
}

/* All that can be said beside the shape. */
static void every_combination_bites(void **state)
{
    static struct kit k;
    struct port_range range = {5000, 5003};
    size_t n = 0, refused = 0;
    cutkit_five_hosts(&k);
    for (unsigned i = 0; i < 2 * 2 * 2 * 2 * 5; i++) {
        struct partition_params *p;
        struct step *s = a_from_b(&k, "all", &p);
        struct err err = ERR_INIT;
        struct fault f;
        p->kind = i & 1;
        p->packets = i >> 1 & 1;
        p->connections = i >> 2 & 1;
        p->protocol = (int)(i >> 4);
        if (i >> 3 & 1)
            p->ports = (struct port_ranges){&range, 1};
        if (injector_of(s)->check(k.s, s, &err) < 0) {
            refused++;
            continue;
        }
        fault_begin(&k, s, &f);
        if (p->protocol != 3 && !strstr(f.proof.seen, "of 2 of our own 0 arrived"))
            fail_msg("%u: %s", i, f.proof.seen);
        fault_end(&k, &f);
        n++;
    }
    /* icmp has no ports, and of udp, sctp and icmp no connections can be cut */
    assert_int_equal(refused, 8 + 8 + 8 + 4);
    assert_int_equal(n + refused, 80);
    fault_nothing_left(&k);
    kit_close(&k);
}

/* --- Rules of others ----------------------------------------------------------------------------
 */

/* A firewall as hosts have it, by nft and by both kinds of iptables, before its server starts. */
static const char firewall[] =
    "sh -c \"nft add table inet own; nft 'add set inet own s { type ipv4_addr; elements = { "
    "10.9.9.9 } }'; nft 'add chain inet own in { type filter hook input priority -200; }'; "
    "nft add rule inet own in ct state established,related counter accept; "
    "nft add rule inet own in ip saddr @s drop; nft add rule inet own in tcp dport 81 counter "
    "drop; "
    "if command -v iptables >/dev/null; then iptables -A INPUT -p tcp --dport 82 -j DROP; "
    "ip6tables -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT; "
    "iptables-legacy -t raw -A PREROUTING -p udp --dport 83 -j NOTRACK; fi; "
    "exec ./test_connections server tcp 80\"";

static const char firewall_as_it_is[] =
    "nft -s list table inet own; if command -v iptables >/dev/null; then iptables-save; "
    "ip6tables-save; iptables-legacy-save; fi | sed '/^[#:]/d'";

static void must_stand(struct kit *k, const char *before)
{
    AUTO_FREE char *now = NULL;
    assert_int_equal(kit_run(k, "b", firewall_as_it_is, &now), 0);
    assert_string_equal(now, before);
}

static void rules_of_others_stay_and_let_nothing_through(void **state)
{
    static struct kit k;
    static char port[] = "80";
    kit_open(&k);
    kit_host(&k, "a", "10.0.0.1/24 fd00::1/64");
    struct host *b = kit_host(&k, "b", "10.0.0.2/24 fd00::2/64");
    kit_unit(&k, b, "web", firewall);
    kit_ready(&k, b)->tcp = port;
    kit_up(&k, true);
    AUTO_FREE char *before = NULL;
    assert_int_equal(kit_run(&k, "b", firewall_as_it_is, &before), 0);
    assert_non_null(strstr(before, "tcp dport 81 counter drop"));
    if (!strstr(before, "--dport 83"))
        print_message("without iptables: it is not installed\n");
    for (int way = 0; way < 3; way++) {
        struct talk t = talk_open(&k, "a", "b", way == 1 ? "fd00::2" : "10.0.0.2", 5000);
        struct partition_params *p;
        struct step *s = a_from_b(&k, "beside", &p);
        struct fault f;
        p->kind = way == 1 ? CUT_REJECT : CUT_DROP;
        p->packets = way == 2 ? CUT_NEW_CONNECTIONS : CUT_ALL_PACKETS;
        p->connections = way == 2 ? CUT_SEVER : CUT_KEEP;
        talk_works(&t, true);
        fault_begin(&k, s, &f);
        must_stand(&k, before);
        talk_works(&t, false); /* though the host accepts what is established */
        fault_holds(&k, &f);
        fault_end(&k, &f);
        talk_close(&t);
    }
    must_stand(&k, before);
    assert_int_equal(dial(&k, "a", "10.0.0.2", 80, 0, NULL), 0);
    assert_int_equal(dial(&k, "a", "10.0.0.2", 81, ETIMEDOUT, NULL), ETIMEDOUT);
    fault_nothing_left(&k);
    kit_close(&k);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(what_is_established_goes_on),
        cmocka_unit_test(a_port_alone_is_cut),
        cmocka_unit_test(a_protocol_alone_is_cut),
        cmocka_unit_test(existing_connections_are_ended_where_asked),
        cmocka_unit_test(flows_that_are_tracked_go_on),
        cmocka_unit_test(across_a_router_too),
        cmocka_unit_test(a_host_that_is_off_is_left_out),
        cmocka_unit_test(every_combination_bites),
        cmocka_unit_test(rules_of_others_stay_and_let_nothing_through),
    };
    /* more users make no difference to the network: the third time would show nothing new */
    const struct CMUnitTest one[] = {cmocka_unit_test(what_is_established_goes_on)};
    if (kit_is_rootless() && kit_has_ids())
        return cmocka_run_group_tests(one, NULL, NULL);
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return kit_main(argc, argv, tests);
}
