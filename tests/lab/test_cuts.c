/* Every shape of a partition on the real kernel: who reaches whom, and that nothing else changes; as
 * root and without.
 */
#include "tests/support/labkit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "injectors/injector.h"
#include "injectors/net/crossing.h"
#include "injectors/net/cut.h"
#include "injectors/params.h"
#include "sim/base/jsonx.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/rtnl.h"
#include "tests/support/faultkit.h"

static const char *const five[] = {"a", "b", "c", "d", "e"};

/* "a>b a>c": the ways on which a datagram of our own is lost or refused, of all ways. */
static const char *lost_ways(struct kit *k)
{
    static struct buf out;
    struct err err = ERR_INIT;
    CLEANUP(topo_free_p) struct topo *topo = NULL;
    struct crossing *tries[25] = {NULL};
    const struct cut_scope all = {0};
    kit_ok(topo_new(k->s, &topo, &err), &err);
    for (size_t i = 0; i < 25; i++) {
        AUTO_CUT cut = {0};
        AUTO_GRUDGE way = {0};
        grudge_add(&way, i / 5, i % 5);
        cut_along(topo, five, 5, &way, &cut);
        if (way.n > 0)
            kit_ok(crossing_send(k->lab, &cut, &all, 1, &tries[i], &err), &err);
    }
    usleep(20000);
    buf_clear(&out);
    for (size_t i = 0; i < 25; i++) {
        size_t arrived = 1, refused = 0;
        if (tries[i])
            crossing_collect(tries[i], &arrived, &refused);
        if (arrived == 0)
            buf_printf(&out, "%s%s>%s", out.len ? " " : "", five[i / 5], five[i % 5]);
        crossing_free(tries[i]);
    }
    return buf_text(&out);
}

static void five_hosts(struct kit *k)
{
    char address[64];
    kit_open(k);
    for (int i = 0; i < 5; i++) {
        snprintf(address, sizeof address, "10.0.0.%d/24 fd00::%d/64", i + 1, i + 1);
        kit_host(k, five[i], address);
    }
    kit_up(k, false);
    for (int i = 0; i < 50 && *lost_ways(k); i++)
        ; /* cables carry only when both ends have noticed */
}

static struct strv names(struct kit *k, const char *list)
{
    return fault_choice(k, list)->of;
}

static void must_lose(struct kit *k, const struct step *s, const char *ways)
{
    struct fault f;
    fault_begin(k, s, &f);
    assert_string_equal(lost_ways(k), ways);
    fault_holds(k, &f);
    fault_end(k, &f);
    assert_string_equal(lost_ways(k), "");
    fault_nothing_left(k);
}

static void every_shape_loses_what_it_says(void **state)
{
    static struct kit k;
    five_hosts(&k);
    for (int kind = CUT_DROP; kind <= CUT_REJECT; kind++) {
        struct step *s = fault_step(&k, "grudge", "partition");
        struct partition_params *p = s->params;
        struct partition_grudge a = {.host = (char[]){"a"}, .from = names(&k, "b c")},
                                e = {.host = (char[]){"e"}, .from = names(&k, "a")};
        p->kind = kind;
        fault_add(&k, &p->grudge, &a);
        fault_add(&k, &p->grudge, &e);
        must_lose(&k, s, "a>e b>a c>a");

        s = fault_step(&k, "bridge", "partition");
        p = s->params;
        struct partition_bridge bridge = {.through = fault_target(&k, "c"),
                                          .of = names(&k, "a b c d e")};
        p->kind = kind;
        p->bridge = &bridge;
        must_lose(&k, s, "a>d a>e b>d b>e d>a d>b e>a e>b");
        p->direction = CUT_FORWARD;
        must_lose(&k, s, "a>d a>e b>d b>e");

        s = fault_step(&k, "ring", "partition");
        p = s->params;
        struct partition_hosts all = {.of = names(&k, "a b c d e")};
        p->kind = kind;
        p->ring = &all;
        must_lose(&k, s, "a>c a>d b>d b>e c>a c>e d>a d>b e>b e>c");

        s = fault_step(&k, "halves", "partition");
        p = s->params;
        p->kind = kind;
        p->halves = &all;
        struct fault f;
        fault_begin(&k, s, &f);
        assert_non_null(strstr(f.result.chosen, "halves of a, b, c, d, e: drawn "));
        const char *lost = lost_ways(&k);
        assert_int_equal(strlen(lost), 12 * 4 - 1); /* two against three, both ways */
        fault_end(&k, &f);
    }
    fault_nothing_left(&k);
    kit_close(&k);
}

/* --- Connections --------------------------------------------------------------------------------
 */

/* A TCP connection of our own between two hosts. */
struct talk {
    int listener, near, far; /* far: at the listener's host */
};

static struct sockaddr_storage at(const char *address, uint16_t port, socklen_t *ret_n)
{
    struct inet_prefix p;
    struct sockaddr_storage s = {0};
    assert_int_equal(inet_parse(address, &p, NULL), 0);
    s.ss_family = p.family;
    if (p.family == AF_INET) {
        ((struct sockaddr_in *)&s)->sin_port = htons(port);
        memcpy(&((struct sockaddr_in *)&s)->sin_addr, p.addr, 4);
        *ret_n = sizeof(struct sockaddr_in);
    } else {
        ((struct sockaddr_in6 *)&s)->sin6_port = htons(port);
        memcpy(&((struct sockaddr_in6 *)&s)->sin6_addr, p.addr, 16);
        *ret_n = sizeof(struct sockaddr_in6);
    }
    return s;
}

static int socket_of(struct kit *k, const char *host, int family, int type)
{
    struct err err = ERR_INIT;
    int fd = -1;
    kit_ok(netns_socket(lab_node_netns(lab_node(k->lab, host)), family, type | SOCK_NONBLOCK, 0,
                        &fd, &err),
           &err);
    return fd;
}

static int listen_at(struct kit *k, const char *host, const char *address, uint16_t port)
{
    socklen_t n;
    struct sockaddr_storage where = at(address, port, &n);
    int fd = socket_of(k, host, where.ss_family, SOCK_STREAM), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal(bind(fd, (struct sockaddr *)&where, n), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

/* 0, or the errno of a connection that was not made within 200 ms (ETIMEDOUT: silence). */
static int dial(struct kit *k, const char *host, const char *address, uint16_t port, int *ret_fd)
{
    socklen_t n, len = sizeof(int);
    struct sockaddr_storage to = at(address, port, &n);
    int fd = socket_of(k, host, to.ss_family, SOCK_STREAM), error = 0;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    (void)!connect(fd, (struct sockaddr *)&to, n);
    if (poll(&p, 1, 200) == 1)
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
    assert_int_equal(dial(k, from, address, port, &t.near), 0);
    struct pollfd p = {.fd = t.listener, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 1000), 1);
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

/* "x" arrives within 200 ms. */
static bool passes(int from, int to)
{
    char byte = 0;
    struct pollfd p = {.fd = to, .events = POLLIN};
    return send(from, "x", 1, MSG_NOSIGNAL) == 1 && poll(&p, 1, 200) == 1 &&
           recv(to, &byte, 1, 0) == 1 && byte == 'x';
}

static bool talk_works(const struct talk *t)
{
    return passes(t->near, t->far) && passes(t->far, t->near);
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

static void what_is_established_goes_on(void **state)
{
    static struct kit k;
    five_hosts(&k);
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
        assert_non_null(strstr(f.proof.seen, "of 2 of our own 0 arrived, 2 counted"));
        assert_non_null(strstr(f.proof.seen, "took effect on 2 hosts within "));
        for (size_t i = 0; i < ARRAY_SIZE(talks); i++)
            assert_true(talk_works(&talks[i]));
        assert_int_equal(dial(&k, "a", "10.0.0.2", 6000, NULL), want);
        assert_int_equal(dial(&k, "a", "fd00::2", 5000, NULL), want);
        assert_int_equal(dial(&k, "b", "10.0.0.1", 6000, NULL), want);
        assert_int_equal(dial(&k, "c", "10.0.0.2", 6000, NULL), 0);
        fault_holds(&k, &f);
        fault_end(&k, &f);
        assert_int_equal(dial(&k, "a", "10.0.0.2", 6000, NULL), 0);
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
    five_hosts(&k);
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
        assert_non_null(strstr(f.proof.seen, "of 2 of our own 0 arrived, 2 counted"));
        assert_non_null(strstr(f.proof.asked, "every packet from or to port 5000, 7000-7010 "));
        assert_int_equal(dial(&k, "a", "10.0.0.2", 5000, NULL),
                         kind == CUT_DROP ? ETIMEDOUT : ECONNREFUSED);
        assert_int_equal(dial(&k, "a", "10.0.0.2", 5001, NULL), 0);
        assert_int_equal(dial(&k, "c", "10.0.0.2", 5000, NULL), 0);
        assert_true(talk_works(&other));
        if (kind == CUT_DROP) { /* a reset would end them */
            assert_false(passes(cut.near, cut.far));
            assert_false(passes(cut6.near, cut6.far));
        }
        fault_holds(&k, &f);
        fault_end(&k, &f);
        /* what was lost is sent again */
        assert_true(kind == CUT_REJECT || passes(cut.far, cut.near));
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
    five_hosts(&k);
    int listeners[] = {listen_at(&k, "b", "10.0.0.2", 5000), listen_at(&k, "b", "fd00::2", 5000)};
    for (int protocol = 1; protocol <= 4; protocol++) {
        struct partition_params *p;
        struct step *s = a_from_b(&k, "proto", &p);
        struct fault f;
        bool tcp = protocol == 1, icmp = protocol == 4;
        p->protocol = protocol;
        fault_begin(&k, s, &f);
        if (protocol != 3) /* sctp is not tried */
            assert_non_null(strstr(f.proof.seen, "of 2 of our own 0 arrived, 2 counted"));
        assert_int_equal(dial(&k, "a", "10.0.0.2", 5000, NULL), tcp ? ETIMEDOUT : 0);
        assert_int_equal(dial(&k, "a", "fd00::2", 5000, NULL), tcp ? ETIMEDOUT : 0);
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
static bool is_ended(int fd)
{
    char byte;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 200) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) < 0 &&
           (errno == ECONNABORTED || errno == ECONNRESET);
}

static void existing_connections_are_ended_where_asked(void **state)
{
    static struct kit k;
    struct port_range range = {5001, 5001};
    struct err err = ERR_INIT;
    five_hosts(&k);
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
            assert_int_equal(is_ended(talks[i].near), ended);
            assert_int_equal(is_ended(talks[i].far), ended);
            assert_int_equal(talk_works(&talks[i]), !ended);
            talk_close(&talks[i]);
        }
        assert_true(talk_works(&other));
        fault_holds(&k, &f);
        fault_end(&k, &f);
    }
    talk_close(&other);
    fault_nothing_left(&k);
    kit_close(&k);
}

/* All that can be said beside the shape. */
static void every_combination_bites(void **state)
{
    static struct kit k;
    struct port_range range = {5000, 5003};
    size_t n = 0, refused = 0;
    five_hosts(&k);
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
    "exec ./test_cuts server tcp 80\"";

static const char firewall_as_it_is[] =
    "nft -s list table inet own; if command -v iptables >/dev/null; then iptables-save; "
    "ip6tables-save; iptables-legacy-save; fi | grep -v '^[#:]'";

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
        assert_true(talk_works(&t));
        fault_begin(&k, s, &f);
        must_stand(&k, before);
        assert_false(talk_works(&t)); /* though the host accepts what is established */
        fault_holds(&k, &f);
        fault_end(&k, &f);
        talk_close(&t);
    }
    must_stand(&k, before);
    assert_int_equal(dial(&k, "a", "10.0.0.2", 80, NULL), 0);
    assert_int_equal(dial(&k, "a", "10.0.0.2", 81, NULL), ETIMEDOUT);
    fault_nothing_left(&k);
    kit_close(&k);
}

/* --- A hundred hosts ----------------------------------------------------------------------------
 */

enum { MANY = 100, ROUNDS = 20000 };

/* A process of its own that sends on one way to each host, round about, and sees what arrives: the
 * order of its sends is the order in which they meet the rules. */
struct stream {
    atomic_bool stop;
    size_t rounds;
    nsec sent[ROUNDS][MANY]; /* before each send */
    uint32_t last[MANY];     /* the last round of each way that arrived */
};

struct datagram {
    uint32_t way, round;
};

static void open_ways(struct kit *k, int out[MANY], int in[MANY])
{
    for (int i = 0; i < MANY; i++) {
        char from[16], to[16], address[32];
        socklen_t n = sizeof(struct sockaddr_storage);
        snprintf(from, sizeof from, "h%d", (i + MANY / 2) % MANY);
        snprintf(to, sizeof to, "h%d", i);
        snprintf(address, sizeof address, "10.0.0.%d", i + 1);
        struct sockaddr_storage where = at(address, 9000, &n);
        in[i] = socket_of(k, to, AF_INET, SOCK_DGRAM);
        out[i] = socket_of(k, from, AF_INET, SOCK_DGRAM);
        assert_int_equal(bind(in[i], (struct sockaddr *)&where, n), 0);
        assert_int_equal(connect(out[i], (struct sockaddr *)&where, n), 0);
    }
}

static void note_arrivals(struct stream *s, const int in[MANY], size_t way)
{
    struct datagram d;
    while (recv(in[way], &d, sizeof d, MSG_DONTWAIT) == (ssize_t)sizeof d)
        if (d.way == way && d.round > s->last[way])
            s->last[way] = d.round;
}

static _Noreturn void send_all_the_time(struct stream *s, const int out[MANY], const int in[MANY])
{
    uint32_t round = 0;
    for (; round < ROUNDS && !atomic_load(&s->stop); round++)
        for (uint32_t i = 0; i < MANY; i++) {
            struct datagram d = {i, round};
            s->sent[round][i] = nsec_now(CLOCK_MONOTONIC);
            /* a refusal of the one before is told here, and nothing sent */
            for (int t = 0; t < 3 && send(out[i], &d, sizeof d, MSG_NOSIGNAL) < 0; t++)
                ;
            note_arrivals(s, in, i);
        }
    usleep(20000);
    for (size_t i = 0; i < MANY; i++)
        note_arrivals(s, in, i);
    s->rounds = round;
    _exit(0);
}

/* How much later the last packet got through anywhere than the first was lost anywhere; not above
 * zero: all ways were cut at one instant. */
static nsec skew_of(const struct stream *s)
{
    nsec last_through = 0, first_lost = INT64_MAX;
    for (size_t i = 0; i < MANY; i++) {
        assert_true(s->last[i] > 0);             /* it was open */
        assert_true(s->last[i] + 1 < s->rounds); /* and was cut */
        nsec through = s->sent[s->last[i]][i], lost = s->sent[s->last[i] + 1][i];
        last_through = through > last_through ? through : last_through;
        first_lost = lost < first_lost ? lost : first_lost;
    }
    return last_through - first_lost;
}

static void a_hundred_hosts_are_cut_together(void **state)
{
    static struct kit k;
    char half[2][512] = {"", ""}, address[64], name[16];
    int out[MANY], in[MANY];
    kit_open(&k);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "h%d", i);
        snprintf(address, sizeof address, "10.0.0.%d/24", i + 1);
        kit_host(&k, name, address);
        size_t len = strlen(half[i < MANY / 2]);
        snprintf(half[i < MANY / 2] + len, sizeof half[0] - len, "%s ", name);
    }
    kit_up(&k, false);
    open_ways(&k, out, in);
    for (int kind = CUT_DROP; kind <= CUT_REJECT; kind++) {
        struct stream *s =
            mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(s, MAP_FAILED);
        struct step *step = fault_step(&k, "half", "partition");
        struct partition_params *p = step->params;
        struct fault f;
        p->kind = kind;
        fault_group(&k, &p->cut, half[0]);
        fault_group(&k, &p->cut, half[1]);
        pid_t pid = fork();
        if (pid == 0)
            send_all_the_time(s, out, in);
        usleep(20000);
        fault_begin(&k, step, &f);
        usleep(20000);
        atomic_store(&s->stop, true);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        nsec skew = skew_of(s), told = f.result.at.hi - f.result.at.lo;
        char text[2][NSEC_TEXT_MAX];
        print_message("%s: measured %s, told %s; %s\n", kind == CUT_DROP ? "drop" : "reject",
                      nsec_text(skew, text[0]), nsec_text(told, text[1]), f.proof.seen);
        assert_non_null(strstr(f.proof.seen, kind == CUT_DROP
                                                 ? "took effect as one, within "
                                                 : "took effect on 100 hosts within "));
        /* a packet that was under way when its rule came is no skew */
        assert_true(skew <= (kind == CUT_DROP ? 0 : told) + NSEC_MSEC);
        fault_end(&k, &f);
        munmap(s, sizeof *s);
    }
    for (int i = 0; i < MANY; i++) {
        close(out[i]);
        close(in[i]);
    }
    fault_nothing_left(&k);
    kit_close(&k);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(every_shape_loses_what_it_says),
        cmocka_unit_test(what_is_established_goes_on),
        cmocka_unit_test(a_port_alone_is_cut),
        cmocka_unit_test(a_protocol_alone_is_cut),
        cmocka_unit_test(existing_connections_are_ended_where_asked),
        cmocka_unit_test(every_combination_bites),
        cmocka_unit_test(rules_of_others_stay_and_let_nothing_through),
        cmocka_unit_test(a_hundred_hosts_are_cut_together),
    };
    const struct CMUnitTest shapes[] = {cmocka_unit_test(every_shape_loses_what_it_says)};
    /* more users make no difference to the network: the third time would show nothing new */
    if (kit_is_rootless() && kit_has_ids())
        return cmocka_run_group_tests(shapes, NULL, NULL);
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return kit_main(argc, argv, tests);
}
