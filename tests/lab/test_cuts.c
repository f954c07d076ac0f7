/* Every shape of a partition on the real kernel: who reaches whom, and that nothing else changes; as
 * root and without.
 */
#include "tests/support/labkit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

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
        const char *told = only_port ? "host b: 1 TCP sockets destroyed, 1 tracked"
                                     : "host b: 3 TCP sockets destroyed, 3 tracked";
        if (!strstr(buf_text(&changes), told))
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

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(every_shape_loses_what_it_says),
        cmocka_unit_test(what_is_established_goes_on),
        cmocka_unit_test(a_port_alone_is_cut),
        cmocka_unit_test(a_protocol_alone_is_cut),
        cmocka_unit_test(existing_connections_are_ended_where_asked),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return kit_main(argc, argv, tests);
}
