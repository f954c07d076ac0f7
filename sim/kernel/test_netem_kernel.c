/* netem by our messages in a kernel that has it: every parameter read back by tc(8), and packets that
 * are held, lost and left alone through clsact and an ifb. Suite kernel; elsewhere as root, skipped
 * where the kernel has no sch_netem.
 */
#include "sim/base/buf.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/nl.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/snapshot.h"
#include "sim/kernel/tc.h"
#include "sim/kernel/test_netem_cases.h"
#include "tests/support/netkit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf_common.h>
#include <linux/if_ether.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define HANDLE 0xb5
#define FAULTED 7001
#define PLAIN 7002

/* --- Two hosts and a cable ---------------------------------------------------- */

struct side {
    int netns, fds[2]; /* UDP sockets: FAULTED, PLAIN */
    struct nl *nl;
};

struct cable {
    struct side a, b;
};

static void udp(struct side *s, size_t i, const char *own, const char *peer)
{
    struct err err = ERR_INIT;
    int on = 1, size = 4 << 20;
    uint16_t port = i ? PLAIN : FAULTED;
    struct sockaddr_in me = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in to = me;
    inet_pton(AF_INET, own, &me.sin_addr);
    inet_pton(AF_INET, peer, &to.sin_addr);
    netkit_ok(netns_socket(s->netns, AF_INET, SOCK_DGRAM, 0, &s->fds[i], &err), &err);
    assert_int_equal(setsockopt(s->fds[i], SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on), 0);
    setsockopt(s->fds[i], SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    assert_int_equal(bind(s->fds[i], (struct sockaddr *)&me, sizeof me), 0);
    assert_int_equal(connect(s->fds[i], (struct sockaddr *)&to, sizeof to), 0);
}

static void side_up(struct side *s, const char *own, const char *peer)
{
    struct err err = ERR_INIT;
    char text[32];
    snprintf(text, sizeof text, "%s/24", own);
    const struct inet_prefix p = netkit_ip(text);
    rtnl_link_up(s->nl, "eth0", true);
    rtnl_address_add(s->nl, "eth0", &p);
    netkit_ok(nl_flush(s->nl, &err), &err);
    udp(s, 0, own, peer);
    udp(s, 1, own, peer);
}

static int open_cable(void **state)
{
    static struct cable c;
    struct err err = ERR_INIT;
    netkit_ok(netns_new(&c.a.netns, &err), &err);
    netkit_ok(netns_new(&c.b.netns, &err), &err);
    netkit_ok(nl_open_kernel(c.a.netns, "a", &c.a.nl, &err), &err);
    netkit_ok(nl_derive(c.a.nl, c.b.netns, "b", &c.b.nl, &err), &err);
    rtnl_veth_add(c.a.nl, &(struct rtnl_veth){
                              .name = "eth0", .peer_netns = {c.b.netns, "b"}, .peer_name = "eth0"});
    netkit_ok(nl_flush(c.a.nl, &err), &err);
    side_up(&c.a, "10.0.0.1", "10.0.0.2");
    side_up(&c.b, "10.0.0.2", "10.0.0.1");
    *state = &c;
    return 0;
}

static void close_side(struct side *s)
{
    close(s->fds[0]);
    close(s->fds[1]);
    nl_free(s->nl);
    close(s->netns);
}

static int close_cable(void **state)
{
    struct cable *c = *state;
    close_side(&c->b);
    close_side(&c->a);
    return 0;
}

/* --- What tc(8) reads back --------------------------------------------------- */

/* A number or a boolean at a path of keys ("delay.jitter"); absent: 0. */
static double number_at(json_t *j, const char *path)
{
    char copy[64], *save = NULL;
    snprintf(copy, sizeof copy, "%s", path);
    for (char *word = strtok_r(copy, ".", &save); word; word = strtok_r(NULL, ".", &save))
        j = json_object_get(j, word); /* not netkit_at(): "1-h" is no place in an array */
    return json_is_true(j) ? 1 : json_number_value(j);
}

static void check_near(json_t *options, const char *words, const char *path, double want,
                       double near)
{
    double got = number_at(options, path);
    if (fabs(got - want) <= near)
        return;
    AUTO_FREE char *text = json_dumps(options, 0);
    fail_msg("%s: tc says %s = %g, not %g: %s", words, path, got, want, text);
}

/* tc(8) prints six digits. */
static void check_number(json_t *options, const char *words, const char *path, double want)
{
    check_near(options, words, path, want, 1e-5 * fabs(want) + 3e-10);
}

/* Seconds; tc(8) reads whole microseconds, rounded down. */
static void check_time(json_t *options, const char *words, const char *path, nsec want)
{
    check_near(options, words, path, (double)want / 1e9, 1.0e-6 + 1e-5 * (double)want / 1e9);
}

static void check_loss(json_t *o, const struct netem_case *c)
{
    const struct impair_loss *l = &c->m.loss;
    bool random = l->kind == IMPAIR_LOSS_RANDOM, state = l->kind == IMPAIR_LOSS_STATE;
    bool ge = l->kind == IMPAIR_LOSS_GILBERT_ELLIOTT;
    check_number(o, c->words, "loss-random.loss", random ? l->ratio : 0);
    check_number(o, c->words, "loss-random.correlation", random ? l->correlation : 0);
    check_number(o, c->words, "loss-state.p13", state ? l->p13 : 0);
    check_number(o, c->words, "loss-state.p31", state ? l->p31 : 0);
    check_number(o, c->words, "loss-state.p32", state ? l->p32 : 0);
    check_number(o, c->words, "loss-state.p23", state ? l->p23 : 0);
    check_number(o, c->words, "loss-state.p14", state ? l->p14 : 0);
    check_number(o, c->words, "loss-gemodel.p", ge ? l->p : 0);
    check_number(o, c->words, "loss-gemodel.r", ge ? l->r : 0);
    check_number(o, c->words, "loss-gemodel.1-h", ge ? l->one_minus_h : 0);
    check_number(o, c->words, "loss-gemodel.1-k", ge ? l->one_minus_k : 0);
}

/* flat: by a change, where even slots are told as a distribution, too (netem.c). */
static void check_slot(json_t *o, const struct netem_case *c, bool flat)
{
    const struct impair_slot *s = &c->m.slot;
    bool dist = s->distributed;
    if (!flat) {
        check_time(o, c->words, "slot.min-delay", dist ? 0 : s->min);
        check_time(o, c->words, "slot.max-delay", dist ? 0 : s->max);
    }
    if (dist) {
        check_time(o, c->words, "slot.distribution", s->delay);
        check_time(o, c->words, "slot.jitter", s->jitter);
    }
    check_number(o, c->words, "slot.packets", s->packets);
    check_number(o, c->words, "slot.bytes", s->bytes);
}

static void check_tc(const struct side *s, const struct netem_case *c, bool flat)
{
    const struct impairment *m = &c->m;
    json_t *j = netkit_json(s->netns, "tc -s -j qdisc show dev ifb0 root");
    json_t *one = json_array_get(j, 0), *o = json_object_get(one, "options");
    assert_string_equal(json_string_value(json_object_get(one, "kind")), "netem");
    assert_string_equal(json_string_value(json_object_get(one, "handle")), "b5:");
    const char *w = c->words;
    check_number(o, w, "limit", m->limit);
    check_time(o, w, "delay.delay", m->delay);
    check_time(o, w, "delay.jitter", m->jitter);
    check_number(o, w, "delay.correlation", m->jitter ? m->delay_correlation : 0);
    check_number(o, w, "duplicate.duplicate", m->duplicate);
    check_number(o, w, "duplicate.correlation", m->duplicate ? m->duplicate_correlation : 0);
    check_number(o, w, "corrupt.corrupt", m->corrupt);
    check_number(o, w, "corrupt.correlation", m->corrupt_correlation);
    check_number(o, w, "reorder.reorder", m->reorder);
    check_number(o, w, "reorder.correlation", m->reorder_correlation);
    check_number(o, w, "gap", m->reorder > 0 && !m->gap ? 1 : m->gap);
    check_number(o, w, "rate.rate", (double)m->rate);
    check_number(o, w, "rate.packetoverhead", m->packet_overhead);
    check_number(o, w, "rate.cellsize", m->cell_size);
    check_number(o, w, "rate.celloverhead", m->cell_overhead);
    check_number(o, w, "ecn", m->ecn);
    check_loss(o, c);
    if (m->has_slot)
        check_slot(o, c, flat);
    else
        assert_null(json_object_get(o, "slot"));
    json_decref(j);
}

/* MEASURES delay, jitter, distribution, loss, gilbert_elliott, state, duplicate, corrupt, reorder, gap, rate,
 * packet_overhead, cell_size, cell_overhead, slot, slot with a distribution, ecn, limit, correlation of delays, of
 * losses, of copies, of damage, of order: netem-read-back */
static void parameters_are_read_back_as_asked(void **state)
{
    const struct cable *c = *state;
    struct nl *nl = c->a.nl;
    struct err err = ERR_INIT;
    tc_ifb_add(nl, "ifb0", 0);
    netkit_ok(nl_flush(nl, &err), &err);
    for (size_t i = 0; i < ARRAY_SIZE(netem_cases); i++) {
        const struct netem_case *one = &netem_cases[i];
        tc_netem_add(nl, "ifb0", HANDLE, &one->m);
        netkit_ok(nl_flush(nl, &err), &err);
        netkit_ok(tc_netem_check(nl, "ifb0", HANDLE, &one->m, &err), &err);
        check_tc(&c->a, one, false);
        tc_root_delete(nl, "ifb0", HANDLE);
        netkit_ok(nl_flush(nl, &err), &err);
        assert_int_equal(tc_netem_check(nl, "ifb0", HANDLE, &one->m, &err), -ENOENT);
    }
    rtnl_link_delete(nl, "ifb0");
    netkit_ok(nl_flush(nl, &err), &err);
}

/* Each after the other on one qdisc, forwards and backwards: nothing of the one before may stay. */
static void a_change_leaves_nothing_of_what_was(void **state)
{
    const struct cable *c = *state;
    struct nl *nl = c->a.nl;
    struct err err = ERR_INIT;
    size_t n = ARRAY_SIZE(netem_cases);
    tc_ifb_add(nl, "ifb0", 0);
    tc_netem_add(nl, "ifb0", HANDLE, &netem_cases[0].m);
    netkit_ok(nl_flush(nl, &err), &err);
    for (size_t i = 1; i < 2 * n; i++) {
        const struct netem_case *one = &netem_cases[i < n ? i : 2 * n - 1 - i];
        tc_netem_change(nl, "ifb0", HANDLE, &one->m);
        netkit_ok(nl_flush(nl, &err), &err);
        netkit_ok(tc_netem_check(nl, "ifb0", HANDLE, &one->m, &err), &err);
        if (i % 8 == 0) /* each takes a process, slow in an emulated machine */
            check_tc(&c->a, one, true);
    }
    tc_netem_change(nl, "ifb0", HANDLE + 1, &netem_cases[0].m); /* somebody else's */
    assert_true(nl_flush(nl, &err) < 0);
    rtnl_link_delete(nl, "ifb0");
    netkit_ok(nl_flush(nl, &err), &err);
}

/* MEASURES seed: netem-read-back */
static void exact_times_longest_tables_and_seeds(void **state)
{
    const struct cable *c = *state;
    struct nl *nl = c->a.nl;
    struct err err = ERR_INIT;
    struct impairment m = {
        .delay = 300 * NSEC_SEC + 7, .jitter = 1000001, .keep_order = true, .rate = 0};
    tc_ifb_add(nl, "ifb0", 0);
    tc_netem_add(nl, "ifb0", HANDLE, &m);
    netkit_ok(nl_flush(nl, &err), &err);
    netkit_ok(tc_netem_check(nl, "ifb0", HANDLE, &m, &err), &err);
    m.delay++;
    assert_int_equal(tc_netem_check(nl, "ifb0", HANDLE, &m, &err), -EOPNOTSUPP);
    assert_string_equal(err.text, "a: netem on ifb0: delay: asked for 300000000008, the kernel "
                                  "holds 300000000007");
    m.delay--;
    m.has_seed = true;
    m.seed = UINT64_MAX - 1;
    tc_netem_change(nl, "ifb0", HANDLE, &m);
    netkit_ok(nl_flush(nl, &err), &err);
    int r = tc_netem_check(nl, "ifb0", HANDLE, &m, &err);
    netkit_ok(r, &err);
    print_message("this kernel %s a seed\n",
                  r == TC_NETEM_NO_SEED ? "takes no notice of" : "heeds");
    m.delay++;
    assert_int_equal(tc_netem_check(nl, "ifb0", HANDLE, &m, &err), -EOPNOTSUPP);
    rtnl_link_delete(nl, "ifb0");
    netkit_ok(nl_flush(nl, &err), &err);
}

/* --- Packets ----------------------------------------------------------------- */

struct seen {
    size_t sent, arrived, overtaken;
    nsec shortest, longest;
    double mean;
};

struct packet {
    uint32_t number;
    nsec sent; /* CLOCK_REALTIME, as SO_TIMESTAMPNS */
};

static bool receive_one(int fd, struct packet *p, nsec *ret_at)
{
    char control[256];
    struct iovec iov = {p, sizeof *p};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(fd, &m, MSG_DONTWAIT) != (ssize_t)sizeof *p)
        return false;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h))
        if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec ts;
            memcpy(&ts, CMSG_DATA(h), sizeof ts);
            *ret_at = nsec_from_timespec(ts);
            return true;
        }
    fail_msg("a packet has no time stamp");
    return false;
}

static void drain(int fd, struct seen *s, uint32_t *newest)
{
    struct packet p;
    nsec at;
    while (receive_one(fd, &p, &at)) {
        nsec took = at - p.sent;
        s->overtaken += s->arrived > 0 && p.number < *newest;
        *newest = p.number > *newest ? p.number : *newest;
        s->shortest = s->arrived == 0 || took < s->shortest ? took : s->shortest;
        s->longest = took > s->longest ? took : s->longest;
        s->mean += ((double)took - s->mean) / (double)++s->arrived;
    }
}

/* n packets on each of both ports, `every` apart, then what arrives within `wait`. */
static void probe(const struct side *from, const struct side *to, size_t n, nsec every, nsec wait,
                  struct seen seen[2])
{
    uint32_t newest[2] = {0};
    memset(seen, 0, 2 * sizeof *seen);
    for (size_t i = 0; i < n; i++) {
        for (size_t port = 0; port < 2; port++) {
            struct packet p = {.number = (uint32_t)i, .sent = nsec_now(CLOCK_REALTIME)};
            assert_int_equal(send(from->fds[port], &p, sizeof p, 0), sizeof p);
            seen[port].sent++;
            drain(to->fds[port], &seen[port], &newest[port]);
        }
        struct timespec pause = nsec_to_timespec(every);
        if (every)
            nanosleep(&pause, NULL);
    }
    for (nsec end = nsec_now(CLOCK_MONOTONIC) + wait; nsec_now(CLOCK_MONOTONIC) < end;) {
        (void)poll(NULL, 0, 1);
        drain(to->fds[0], &seen[0], &newest[0]);
        drain(to->fds[1], &seen[1], &newest[1]);
    }
}

static void print_seen(const char *what, const struct seen *s)
{
    print_message("%s: %zu of %zu, %.3f ms (%.3f to %.3f), %zu overtaken\n", what, s->arrived,
                  s->sent, s->mean / 1e6, (double)s->shortest / 1e6, (double)s->longest / 1e6,
                  s->overtaken);
}

/* IPv4 and UDP to or from port FAULTED, the header without options. */
static const struct sock_filter to_port[] = {
    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 5),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH_HLEN + 9),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 3),
    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ETH_HLEN + 20 + 2),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FAULTED, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    BPF_STMT(BPF_RET | BPF_K, 0),
};

static struct tc_filter filter_at(enum tc_hook hook)
{
    return (struct tc_filter){.dev = "eth0",
                              .hook = hook,
                              .pref = 100,
                              .handle = 1,
                              .ops = to_port,
                              .n_ops = ARRAY_SIZE(to_port),
                              .redirect_to = "ifb0"};
}

static void fault_on(struct nl *nl, enum tc_hook hook, const struct impairment *m)
{
    struct err err = ERR_INIT;
    const struct tc_filter f = filter_at(hook);
    tc_ifb_add(nl, "ifb0", 0);
    tc_netem_add(nl, "ifb0", HANDLE, m);
    rtnl_link_up(nl, "ifb0", true);
    tc_clsact_add(nl, "eth0");
    nl_forgive(nl, EEXIST);
    netkit_ok(nl_flush(nl, &err), &err);
    tc_filter_add(nl, &f);
    netkit_ok(nl_flush(nl, &err), &err);
}

static void fault_off(struct nl *nl, enum tc_hook hook, bool clsact_is_ours)
{
    struct err err = ERR_INIT;
    const struct tc_filter f = filter_at(hook);
    tc_filter_delete(nl, &f);
    if (clsact_is_ours)
        tc_clsact_delete(nl, "eth0");
    rtnl_link_delete(nl, "ifb0");
    netkit_ok(nl_flush(nl, &err), &err);
}

/* What the emulated machine's clock makes of a way through two stacks; another one is given more. */
static nsec own_cost(void)
{
    return getenv("BLACKSTART_TESTS_MUST_RUN") ? NSEC_MSEC : 20 * NSEC_MSEC;
}

static void a_delay_takes_the_faulted_alone(void **state)
{
    const struct cable *c = *state;
    const struct impairment m = {.delay = 50 * NSEC_MSEC};
    for (enum tc_hook hook = TC_EGRESS; hook <= TC_INGRESS; hook++) {
        const struct side *at = hook == TC_EGRESS ? &c->a : &c->b;
        struct tc_counts counts;
        struct seen before[2], during[2], after[2];
        struct err err = ERR_INIT;
        const struct tc_filter f = filter_at(hook);
        probe(&c->a, &c->b, 50, 1137 * NSEC_USEC, 10 * NSEC_MSEC, before);
        fault_on(at->nl, hook, &m);
        probe(&c->a, &c->b, 200, 1137 * NSEC_USEC, 100 * NSEC_MSEC, during);
        netkit_ok(tc_filter_stats(at->nl, &f, &counts, &err), &err);
        assert_int_equal(counts.packets, 200);
        netkit_ok(tc_root_stats(at->nl, "ifb0", HANDLE, &counts, &err), &err);
        assert_int_equal(counts.packets, 200);
        assert_int_equal(counts.dropped, 0);
        fault_off(at->nl, hook, true);
        probe(&c->a, &c->b, 50, 1137 * NSEC_USEC, 10 * NSEC_MSEC, after);
        print_seen(hook == TC_EGRESS ? "egress, 50 ms" : "ingress, 50 ms", &during[0]);
        print_seen("  unmatched", &during[1]);
        assert_int_equal(during[0].arrived, 200);
        assert_int_equal(during[0].overtaken, 0);
        assert_true(during[0].shortest >= m.delay && during[0].longest < m.delay + own_cost());
        const struct seen *plain[] = {&before[0], &before[1], &during[1], &after[0], &after[1]};
        for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
            assert_int_equal(plain[i]->arrived, plain[i]->sent);
            assert_true(plain[i]->longest < own_cost());
        }
    }
}

static void loss_is_as_often_as_asked(void **state)
{
    const struct cable *c = *state;
    const struct impairment m = {.loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 0.2}};
    enum { N = 2000 };
    for (enum tc_hook hook = TC_EGRESS; hook <= TC_INGRESS; hook++) {
        const struct side *at = hook == TC_EGRESS ? &c->a : &c->b;
        struct seen during[2];
        struct tc_counts counts;
        struct err err = ERR_INIT;
        fault_on(at->nl, hook, &m);
        probe(&c->a, &c->b, N, 0, 20 * NSEC_MSEC, during);
        netkit_ok(tc_root_stats(at->nl, "ifb0", HANDLE, &counts, &err), &err);
        fault_off(at->nl, hook, true);
        double lost = (double)(N - during[0].arrived);
        print_message("%s: %.0f of %d lost, asked for 20%%\n",
                      hook == TC_EGRESS ? "egress" : "ingress", lost, N);
        assert_int_equal(counts.dropped, N - during[0].arrived);
        /* 1 of 10,000 would be further away */
        assert_true(fabs(lost - 0.2 * N) <= 3.9 * sqrt(N * 0.2 * 0.8));
        assert_int_equal(during[1].arrived, N);
    }
}

/* Half of the ways out of each state lead to each of two others: sent as tc(8) does, both sums wrap
 * to 0 in the kernel, bursts never begin and a third is lost (test_netem_cases.h). Rightly every second
 * packet is. */
static void ways_out_of_a_state_do_not_wrap(void **state)
{
    const struct cable *c = *state;
    const struct impairment m = {
        .loss = {
            .kind = IMPAIR_LOSS_STATE, .p13 = 0.5, .p31 = 0.5, .p32 = 0.5, .p23 = 1, .p14 = 0.5}};
    struct seen during[2];
    fault_on(c->a.nl, TC_EGRESS, &m);
    probe(&c->a, &c->b, 1000, 0, 20 * NSEC_MSEC, during);
    fault_off(c->a.nl, TC_EGRESS, true);
    assert_int_equal(during[0].arrived, 500);
}

static void jitter_overtakes_unless_order_is_kept(void **state)
{
    const struct cable *c = *state;
    struct impairment m = {.delay = 20 * NSEC_MSEC, .jitter = 10 * NSEC_MSEC};
    static const char *const words[] = {"20±10 ms", "20±10 ms, in order",
                                        "20±10 ms, above a pfifo"};
    for (int way = 0; way < 3; way++) {
        struct seen during[2];
        bool kept = m.keep_order = way == 1;
        fault_on(c->a.nl, TC_EGRESS, &m);
        if (way == 2) /* before Linux 3.3 that kept the order: docs/faults.md */
            assert_int_equal(
                netkit_run(c->a.netns, "tc qdisc add dev ifb0 parent b5:1 handle 7: pfifo", NULL),
                0);
        probe(&c->a, &c->b, 300, NSEC_MSEC, 50 * NSEC_MSEC, during);
        fault_off(c->a.nl, TC_EGRESS, true);
        print_seen(words[way], &during[0]);
        assert_int_equal(during[0].arrived, 300);
        assert_true(kept ? during[0].overtaken == 0 : during[0].overtaken > 30);
        assert_true(during[0].shortest >= 10 * NSEC_MSEC);
        assert_true(during[0].longest <= 30 * NSEC_MSEC + own_cost());
    }
}

/* --- Other people's -------------------------------------------------------- */

static bool is_ours(const char *line)
{
    return strstr(line, "ifb0") != NULL;
}

static void assert_only_ours_is_new(const struct snapshot *before, const struct snapshot *now)
{
    struct snapshot_diff d;
    snapshot_compare(before, now, &d);
    for (size_t i = 0; i < d.n_gone; i++)
        fail_msg("gone: %s", d.gone[i]);
    size_t ours = 0;
    for (size_t i = 0; i < d.n_added; i++)
        /* the head of a preference names no device of ours */
        if (!is_ours(d.added[i]) && !strstr(d.added[i], "pref=100"))
            fail_msg("new: %s", d.added[i]);
        else
            ours++;
    assert_true(ours >= 3); /* link, netem, filter */
    snapshot_diff_done(&d);
}

static void other_peoples_queues_and_filters_stay(void **state)
{
    const struct cable *c = *state;
    static const char *const theirs[] = {
        "tc qdisc add dev eth0 root handle 10: prio bands 4",
        "tc qdisc add dev eth0 parent 10:1 handle 11: tbf rate 100mbit burst 32k latency 50ms",
        "tc qdisc add dev eth0 parent 10:2 handle 12: htb default 20",
        "tc class add dev eth0 parent 12: classid 12:20 htb rate 50mbit",
        "tc qdisc add dev eth0 parent 10:3 handle 13: sfq perturb 10 redflowlimit 100000 min 8000 "
        "max 60000 probability 0.2 ecn",
        "tc qdisc add dev eth0 parent 10:4 handle 14: fq_codel",
        "tc filter add dev eth0 parent 10: protocol ip prio 5 u32 match ip dport 9999 0xffff "
        "flowid 10:2",
        "tc qdisc add dev eth0 clsact",
        "tc filter add dev eth0 egress prio 7 protocol ip flower ip_proto udp dst_port 7002 "
        "action gact pass",
        "tc filter add dev eth0 ingress prio 8 matchall action ok",
    };
    for (size_t i = 0; i < ARRAY_SIZE(theirs); i++)
        assert_int_equal(netkit_run(c->a.netns, theirs[i], NULL), 0);
    CLEANUP(snapshot_free_p) struct snapshot *before = NULL;
    CLEANUP(snapshot_free_p) struct snapshot *after = NULL;
    CLEANUP(snapshot_free_p) struct snapshot *during = NULL;
    CLEANUP(snapshot_free_p) struct snapshot *healed = NULL;
    struct err err = ERR_INIT;
    struct seen seen[2];
    char kind[TC_KIND_MAX];
    const struct impairment m = {.delay = 20 * NSEC_MSEC};
    netkit_ok(snapshot_take(c->a.netns, &before, &err), &err);
    netkit_ok(tc_clsact_find(c->a.nl, "eth0", kind, &err), &err);
    assert_string_equal(kind, "clsact");
    fault_on(c->a.nl, TC_EGRESS, &m);
    netkit_ok(snapshot_take(c->a.netns, &during, &err), &err);
    probe(&c->a, &c->b, 50, 1137 * NSEC_USEC, 50 * NSEC_MSEC, seen);
    netkit_ok(snapshot_take(c->a.netns, &after, &err), &err);
    assert_int_equal(seen[0].arrived, 50);
    assert_true(seen[0].shortest >= m.delay);
    assert_int_equal(seen[1].arrived, 50);
    assert_true(seen[1].longest < own_cost());
    assert_only_ours_is_new(before, during);
    assert_only_ours_is_new(before, after); /* with packets counted everywhere */
    fault_off(c->a.nl, TC_EGRESS, false);
    netkit_ok(snapshot_take(c->a.netns, &healed, &err), &err);
    assert_int_equal(healed->n, before->n);
    for (size_t i = 0; i < before->n; i++)
        assert_string_equal(healed->lines[i], before->lines[i]);
}

/* --- Main -------------------------------------------------------------------- */

static bool netem_is_here(char why[ERR_TEXT_MAX])
{
    struct err err = ERR_INIT;
    int fd = -1;
    struct nl *nl = NULL;
    int r = netns_new(&fd, &err);
    if (r == 0)
        r = nl_open_kernel(fd, "here", &nl, &err);
    if (r == 0) {
        tc_netem_add(nl, "lo", HANDLE, &(struct impairment){.delay = NSEC_MSEC});
        r = nl_flush(nl, &err);
    }
    nl_free(nl);
    if (fd >= 0)
        close(fd);
    snprintf(why, ERR_TEXT_MAX, "%s", err.text);
    return r == 0;
}

#define with_cable(f) cmocka_unit_test_setup_teardown(f, open_cable, close_cable)

int main(void)
{
    char why[ERR_TEXT_MAX];
    const struct CMUnitTest tests[] = {
        with_cable(parameters_are_read_back_as_asked),
        with_cable(a_change_leaves_nothing_of_what_was),
        with_cable(exact_times_longest_tables_and_seeds),
        with_cable(a_delay_takes_the_faulted_alone),
        with_cable(loss_is_as_often_as_asked),
        with_cable(ways_out_of_a_state_do_not_wrap),
        with_cable(jitter_overtakes_unless_order_is_kept),
        with_cable(other_peoples_queues_and_filters_stay),
    };
    if (!netem_is_here(why)) {
        print_message("skipped: %s\n", why);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
