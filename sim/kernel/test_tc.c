/* Messages of tc without privileges: texts, bytes, answers of the kernel, what netem cannot do. */
#include "sim/base/buf.h"
#include "sim/base/rng.h"
#include "sim/kernel/nl.h"
#include "sim/kernel/nl_expect.h"
#include "sim/kernel/nl_text.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/tc.h"
#include "sim/kernel/test_netem_cases.h"
#include "tests/support/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf_common.h>
#include <linux/gen_stats.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>

/* "ip protocol 17", otherwise not */
static const struct sock_filter udp[] = {
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 17, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    BPF_STMT(BPF_RET | BPF_K, 0),
};
static const struct sock_filter drop[] = {BPF_STMT(BPF_RET | BPF_K, TC_ACT_SHOT)};
static const struct tc_filter to_ifb = {.dev = "eth0",
                                        .hook = TC_EGRESS,
                                        .pref = 100,
                                        .handle = 7,
                                        .ops = udp,
                                        .n_ops = ARRAY_SIZE(udp),
                                        .redirect_to = "ifb0"};

static struct nl *recording(void)
{
    struct nl *nl = NULL;
    assert_int_equal(nl_open_recording("here", &nl, NULL), 0);
    return nl;
}

static const char *text_of(struct nl *nl, const struct impairment *m)
{
    struct err err = ERR_INIT;
    tc_netem_add(nl, "ifb0", 1, m);
    if (nl_flush(nl, &err) < 0)
        print_error("%s\n", err.text);
    return nl_recorded_at(nl, nl_recorded(nl) - 1).text;
}

/* --- Texts and bytes --------------------------------------------------------- */

static void messages_say_what_was_asked(void **state)
{
    static const char *const want[] = {
        "link add name=ifb0 group=7 info=(kind=ifb)",
        "link set name=ifb0 families=(inet6=(addr-gen-mode=none))",
        "qdisc add dev=eth0 parent=hooks handle=ffff: kind=clsact",
        "filter add dev=eth0 parent=egress pref=100 protocol=all handle=0x7 kind=bpf "
        "options=(n=4 ops=[30,0,0,17 15,0,1,11 6,0,0,ffffffff 6,0,0,0] "
        "actions=[kind=mirred options=(parms=(redirect-to=ifb0 action=stolen))])",
        "filter add dev=eth0 parent=ingress pref=1 protocol=all kind=bpf "
        "options=(program=blackstart-tap name=blackstart-tap flags=direct-action)",
        "filter add dev=eth0 parent=ingress pref=2 protocol=all kind=bpf "
        "options=(program=program class=0x5 flags=direct-action)",
        "filter add dev=eth0 parent=ingress pref=3 protocol=all kind=bpf "
        "options=(n=1 ops=[6,0,0,2] flags=direct-action)",
        "filter add dev=eth0 parent=ingress pref=4 protocol=all kind=bpf "
        "options=(n=1 ops=[6,0,0,2] "
        "actions=[kind=mirred options=(parms=(redirect-to-ingress=ifb0 action=stolen))])",
        "filter delete dev=eth0 parent=egress pref=100 protocol=all handle=0x7 kind=bpf",
        "qdisc delete dev=ifb0 parent=root handle=1:",
        "qdisc delete dev=eth0 parent=hooks handle=ffff: kind=clsact",
    };
    struct nl *nl = recording();
    tc_ifb_add(nl, "ifb0", 7);
    tc_clsact_add(nl, "eth0");
    tc_filter_add(nl, &to_ifb);
    tc_filter_add(
        nl,
        &(struct tc_filter){
            .dev = "eth0", .hook = TC_INGRESS, .pref = 1, .program = 33, .name = "blackstart-tap"});
    struct tc_filter f = {.dev = "eth0", .hook = TC_INGRESS, .pref = 2, .classid = 5};
    tc_filter_add(nl, &f);
    f = (struct tc_filter){
        .dev = "eth0", .hook = TC_INGRESS, .pref = 3, .ops = drop, .n_ops = 1, .drop = true};
    tc_filter_add(nl, &f);
    f.pref = 4;
    f.drop = false;
    f.redirect_to = "ifb0";
    f.to_ingress = true;
    tc_filter_add(nl, &f);
    tc_filter_delete(nl, &to_ifb);
    tc_root_delete(nl, "ifb0", 1);
    tc_clsact_delete(nl, "eth0");
    assert_int_equal(nl_flush(nl, NULL), 0);
    assert_int_equal(nl_recorded(nl), ARRAY_SIZE(want));
    for (size_t i = 0; i < ARRAY_SIZE(want); i++)
        assert_string_equal(nl_recorded_at(nl, i).text, want[i]);
    nl_free(nl);
}

/* Two long programs are told apart without being read out. */
static void long_programs_are_digests(void **state)
{
    struct sock_filter ops[17] = {0};
    struct nl *nl = recording();
    for (size_t i = 0; i < 2; i++) {
        ops[3].k = (uint32_t)i;
        tc_filter_add(nl, &(struct tc_filter){.dev = "eth0", .pref = 1, .ops = ops, .n_ops = 17});
    }
    assert_int_equal(nl_flush(nl, NULL), 0);
    const char *one = nl_recorded_at(nl, 0).text, *other = nl_recorded_at(nl, 1).text;
    assert_non_null(strstr(one, "n=17 ops=(sha256="));
    assert_string_not_equal(one, other);
    nl_free(nl);
}

static void netem_says_every_parameter(void **state)
{
    static const int16_t table[] = {-8192, 0, 8192};
    static const struct {
        struct impairment m;
        const char *options;
    } cases[] = {
        {{.delay = 10 * NSEC_MSEC, .limit = 5}, "(limit=5 delay=10ms)"},
        {{.delay = 10, .limit = 5}, "(limit=5 delay64=10ns)"},
        {{.delay = 300 * NSEC_SEC, .limit = 5}, "(limit=5 delay=274877906880ns delay64=5m)"},
        {{.delay = NSEC_MSEC, .jitter = 100 * NSEC_USEC, .delay_correlation = 0.25, .limit = 5},
         "(limit=5 delay=1ms jitter=99968ns correlations=(delay=25%) jitter64=100us)"},
        {{.delay = NSEC_MSEC,
          .jitter = NSEC_MSEC,
          .distribution = IMPAIR_TABLE,
          .table = {table, 3},
          .limit = 5},
         "(limit=5 delay=1ms jitter=1ms delay-table=(values=3 sha256=6a55f2f1db5c9d79))"},
        {{.loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 0.01, .correlation = 0.333}, .ecn = true},
         "(limit=1000 loss=1% correlations=(loss=33.3%) ecn=1)"},
        {{.loss = {.kind = IMPAIR_LOSS_GILBERT_ELLIOTT,
                   .p = 0.01,
                   .r = 0.3,
                   .one_minus_h = 1,
                   .one_minus_k = 0.001}},
         "(limit=1000 loss-model=(gilbert-elliott=(p=1% r=30% 1-k=0.1%)))"},
        {{.loss = {.kind = IMPAIR_LOSS_STATE, .p13 = 0.5, .p31 = 0.5, .p32 = 0.5, .p14 = 0.5}},
         "(limit=1000 loss-model=(state=(p13=50% p31=50% p32=49.99999999% p14=49.99999999%)))"},
        {{.delay = NSEC_SEC, .reorder = 0.25, .reorder_correlation = 0.5, .limit = 5},
         "(limit=5 delay=1s gap=1 reorder=(share=25% correlation=50%))"},
        {{.delay = NSEC_SEC, .reorder = 1, .gap = 5, .limit = 5},
         "(limit=5 delay=1s gap=5 reorder=(share=100%))"},
        {{.duplicate = 0.1, .duplicate_correlation = 0.5, .corrupt = 1e-9, .limit = 5},
         "(limit=5 duplicate=10% correlations=(duplicate=50%) corrupt=(share=0.0000001%))"},
        {{.rate = 125000, .packet_overhead = -14, .cell_size = 48, .cell_overhead = 5, .limit = 5},
         "(limit=5 rate=(bytes-per-second=125000 packet-overhead=-14 cell-size=48 "
         "cell-overhead=5))"},
        {{.rate = 6250000000, .limit = 5},
         "(limit=5 rate64=6250000000 rate=(bytes-per-second=4294967295))"},
        {{.delay = NSEC_MSEC, .jitter = NSEC_MSEC, .keep_order = true, .limit = 5},
         "(limit=5 delay=1ms jitter=1ms rate64=1125899906842624 "
         "rate=(bytes-per-second=4294967295))"},
        {{.has_slot = true, .slot = {.min = 5, .max = 10, .packets = 3, .bytes = 4000}, .limit = 5},
         "(limit=5 slot=(min=5ns max=10ns packets=3 bytes=4000))"},
        {{.has_slot = true,
          .slot = {.distributed = true,
                   .delay = NSEC_MSEC,
                   .jitter = NSEC_USEC,
                   .distribution = IMPAIR_TABLE,
                   .table = {table, 3}},
          .limit = 5},
         "(limit=5 slot=(delay=1ms jitter=1us) slot-table=(values=3 sha256=6a55f2f1db5c9d79))"},
        {{.has_slot = true, .slot = {.distributed = true, .delay = NSEC_MSEC}, .limit = 5},
         "(limit=5 slot=(min=1ms max=1ms))"},
        {{.has_seed = true, .seed = UINT64_MAX}, "(limit=1000 seed=18446744073709551615)"},
    };
    struct nl *nl = recording();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_BUF want = BUF_INIT;
        buf_printf(&want, "qdisc add dev=ifb0 parent=root handle=1: kind=netem options=%s",
                   cases[i].options);
        assert_string_equal(text_of(nl, &cases[i].m), buf_text(&want));
    }
    nl_free(nl);
}

/* The kernel keeps what a change does not tell, and a table for ever. */
static void a_change_tells_everything(void **state)
{
    static const char *const want[] = {
        "qdisc set dev=ifb0 parent=root handle=1: kind=netem options=(limit=5 correlations=() "
        "reorder=() ecn=0 corrupt=() slot=() rate=(bytes-per-second=0))",
        "qdisc set dev=ifb0 parent=root handle=1: kind=netem options=(limit=5 delay=1ms jitter=1ms "
        "correlations=() reorder=() ecn=0 corrupt=() slot=(min=2ms max=6ms delay=4ms jitter=2ms) "
        "rate=(bytes-per-second=0) delay-table=(values=4096 sha256=ba8d09e3be861277) "
        "slot-table=(values=4096 sha256=ba8d09e3be861277))",
    };
    struct nl *nl = recording();
    tc_netem_change(nl, "ifb0", 1, &(struct impairment){.limit = 5});
    tc_netem_change(nl, "ifb0", 1,
                    &(struct impairment){.delay = NSEC_MSEC,
                                         .jitter = NSEC_MSEC,
                                         .has_slot = true,
                                         .slot = {.min = 2 * NSEC_MSEC, .max = 6 * NSEC_MSEC},
                                         .limit = 5});
    assert_int_equal(nl_flush(nl, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(want); i++)
        assert_string_equal(nl_recorded_at(nl, i).text, want[i]);
    nl_free(nl);
}

/* Spelt out from pkt_sched.h, pkt_cls.h, tc_mirred.h. */
static void messages_are_these_bytes(void **state)
{
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    skip();
#endif
    static const char *const hex[] = {
        /* tcmsg: ifindex a hole, handle 1:, parent root; KIND(1), OPTIONS(2): latency in ticks of
           64 ns, limit, loss, gap, duplicate, jitter; ECN(7) */
        "54000000 24000106 00000000 00000000 00000000 00000000 00000100 ffffffff 00000000 "
        "0a000100 6e657465 6d000000 24000200 5a620200 e8030000 ffffffff 00000000 00000000 "
        "00000000 08000700 01000000 ",
        /* filter: handle 1, parent ffff:fff3, info pref 2 << 16 | htons(ETH_P_ALL); KIND(1),
           OPTIONS(2){OPS_LEN(4), OPS(5), ACT(1){1{KIND(1), OPTIONS(2){PARMS(2) index, capab,
           action=stolen(4), refcnt, bindcnt, eaction=1, ifindex a hole}}}} */
        "7c000000 2c000106 00000000 00000000 00000000 00000000 01000000 f3ffffff 00030200 "
        "08000100 62706600 50000280 06000400 01000000 0c000500 06000000 ffffffff 38000180 "
        "34000180 0b000100 6d697272 65640000 24000280 20000200 00000000 00000000 04000000 "
        "00000000 00000000 01000000 00000000 ",
    };
    static const struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, 0xffffffff)};
    struct nl *nl = recording();
    tc_netem_add(nl, "ifb0", 1,
                 &(struct impairment){.delay = 10 * NSEC_MSEC,
                                      .loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 1},
                                      .ecn = true,
                                      .limit = 1000});
    tc_filter_add(nl, &(struct tc_filter){.dev = "eth0",
                                          .hook = TC_EGRESS,
                                          .pref = 2,
                                          .handle = 1,
                                          .ops = all,
                                          .n_ops = 1,
                                          .redirect_to = "ifb0"});
    assert_int_equal(nl_flush(nl, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(hex); i++) {
        struct nl_seen s = nl_recorded_at(nl, i);
        AUTO_BUF got = BUF_INIT;
        for (size_t j = 0; j < s.n; j++)
            buf_printf(&got, "%02x%s", ((const unsigned char *)s.bytes)[j], j % 4 == 3 ? " " : "");
        assert_string_equal(buf_text(&got), hex[i]);
    }
    nl_free(nl);
}

static void what_cannot_be_encoded_is_told(void **state)
{
    static int16_t many[IMPAIR_TABLE_MAX + 1];
    static const struct {
        struct impairment m;
        const char *why;
    } cases[] = {
        {{.delay = -1}, "netem: times cannot be negative"},
        {{.jitter = (nsec)INT32_MAX + 1},
         "netem: a jitter above 2.147483647 s is more than the kernel can do"},
        {{.corrupt = 1.5}, "netem: corrupt must be between 0 and 1, not 1.5"},
        {{.loss = {.kind = IMPAIR_LOSS_STATE, .p13 = 0.6, .p14 = 0.6}},
         "netem: the ways out of one state of the loss model add up to more than 1 (p13 + p14, "
         "p31 + p32)"},
        {{.reorder = 0.5},
         "netem: reordering needs a delay: what goes at once overtakes what waits"},
        {{.gap = 5}, "netem: a gap needs a share of packets to reorder"},
        {{.rate = 1, .packet_overhead = -43},
         "netem: a packet overhead below -42 bytes would leave small packets less than nothing"},
        {{.rate = 1, .cell_size = 48, .cell_overhead = -48},
         "netem: cells of 48 bytes with an overhead of -48 are cells of nothing"},
        {{.has_slot = true, .slot = {.min = 2, .max = 1}},
         "netem: the shortest time between slots is longer than the longest"},
        {{.has_slot = true, .slot = {.packets = -1}},
         "netem: a slot cannot hold a negative number of packets or bytes"},
        {{.delay = 1,
          .jitter = 1,
          .distribution = IMPAIR_TABLE,
          .table = {many, IMPAIR_TABLE_MAX + 1}},
         "netem: a distribution table of 16385 values is too long (at most 16384)"},
        {{.delay = 1,
          .jitter = 1,
          .distribution = IMPAIR_TABLE,
          .table = {many, IMPAIR_TABLE_MAX},
          .has_slot = true,
          .slot = {.distributed = true,
                   .jitter = 1,
                   .distribution = IMPAIR_TABLE,
                   .table = {many, IMPAIR_TABLE_MAX}}},
         "netem: both distribution tables together are too long for one message"},
    };
    static const struct sock_filter one[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
    struct nl *nl = recording();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = ERR_INIT;
        tc_netem_add(nl, "ifb0", 1, &cases[i].m);
        assert_true(nl_flush(nl, &err) < 0);
        assert_string_equal(err.text + strlen("here: "), cases[i].why);
    }
    const struct tc_filter bad[] = {
        {.dev = "eth0", .pref = 0, .ops = one, .n_ops = 1},
        {.dev = "eth0", .pref = 1, .ops = one, .n_ops = 4097},
        {.dev = "eth0", .pref = 1, .redirect_to = "ifb0"},
        {.dev = "a b", .pref = 1, .ops = one, .n_ops = 1},
        {.dev = "a", .pref = 1, .ops = one, .n_ops = 1, .redirect_to = ""}};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        tc_filter_add(nl, &bad[i]);
        assert_int_equal(nl_flush(nl, NULL), -EINVAL);
    }
    tc_filter_delete(nl, &(struct tc_filter){.dev = "eth0"});
    assert_int_equal(nl_flush(nl, NULL), -EINVAL);
    tc_root_delete(nl, "eth0", 0);
    assert_int_equal(nl_flush(nl, NULL), -EINVAL);
    assert_int_equal(nl_recorded(nl), 0);
    nl_free(nl);
}

/* Whatever the bytes are: a text, and nothing read outside of the message (ASan, valgrind). */
static void any_bytes_are_written(void **state)
{
    struct nl *nl = recording();
    struct rng rng = rng_stream(5, "bytes", 0, 0);
    const struct nl_names names = {0};
    for (size_t i = 0; i < ARRAY_SIZE(netem_cases); i++)
        tc_netem_add(nl, "ifb0", 1, &netem_cases[i].m);
    for (int i = 0; i < 10; i++)
        tc_filter_add(nl, &to_ifb);
    assert_int_equal(nl_flush(nl, NULL), 0);
    for (int i = 0; i < 5000; i++) {
        struct nl_seen s = nl_recorded_at(nl, (size_t)rng_below(&rng, nl_recorded(nl)));
        size_t n = s.n > 600 && rng_below(&rng, 10) ? 600 : s.n; /* tables are long */
        char *bytes = malloc(n); /* its own block: the end is watched */
        memcpy(bytes, s.bytes, n);
        for (uint64_t j = rng_below(&rng, 8); j > 0; j--) {
            size_t at =
                sizeof(struct nlmsghdr) + (size_t)rng_below(&rng, n - sizeof(struct nlmsghdr));
            bytes[at] = (char)rng_below(&rng, 256);
        }
        struct nlmsghdr *h = (void *)bytes;
        h->nlmsg_len = (uint32_t)n;
        h->nlmsg_type = (uint16_t)(RTM_NEWQDISC + rng_below(&rng, 12));
        for (int mode = NL_TEXT_REQUEST; mode <= NL_TEXT_OBJECT; mode++) {
            AUTO_BUF text = BUF_INIT;
            nl_text(h, NETLINK_ROUTE, &names, (enum nl_text_mode)mode, &text);
            assert_true(text.len > 0);
        }
        free(bytes);
    }
    nl_free(nl);
}

/* --- Answers ----------------------------------------------------------------- */

struct message {
    struct buf bytes;
};

static void put(struct message *m, uint16_t type, const void *data, size_t n)
{
    struct rtattr a = {.rta_len = (unsigned short)RTA_LENGTH(n), .rta_type = type};
    buf_add(&m->bytes, &a, sizeof a);
    if (n)
        buf_add(&m->bytes, data, n);
    while (m->bytes.len % RTA_ALIGNTO)
        buf_addc(&m->bytes, '\0');
}

static void nest(struct message *m, uint16_t type, struct message *inner)
{
    put(m, type, inner->bytes.text, inner->bytes.len);
    buf_done(&inner->bytes);
}

static void put_stats(struct message *m, uint16_t type)
{
    struct message stats = {0};
    put(&stats, TCA_STATS_BASIC, &(struct gnet_stats_basic){.bytes = 1000, .packets = 10}, 12);
    put(&stats, TCA_STATS_QUEUE,
        &(struct gnet_stats_queue){.qlen = 3, .backlog = 300, .drops = 2, .overlimits = 4},
        sizeof(struct gnet_stats_queue));
    nest(m, type, &stats);
}

static struct message a_netem(uint32_t latency)
{
    struct message m = {0};
    const struct tcmsg head = {.tcm_ifindex = 4, .tcm_handle = 1 << 16, .tcm_parent = TC_H_ROOT};
    const struct tc_netem_qopt q = {.latency = latency, .limit = 1000};
    buf_add(&m.bytes, &head, sizeof head);
    put(&m, TCA_KIND, "netem", 6);
    put(&m, TCA_OPTIONS, &q, sizeof q);
    put_stats(&m, TCA_STATS2);
    return m;
}

static void expect_answer(struct nl *nl, const char *text, uint16_t type, struct message *m)
{
    const struct nl_answer a = {type, m->bytes.text, m->bytes.len};
    nl_expect_dump(nl, NULL, text, &a, 1, false);
}

static struct nl *expecting(void)
{
    struct nl *nl = NULL;
    assert_int_equal(nl_open_expecting("here", &nl, NULL), 0);
    nl_expect_link(nl, NULL, "eth0", 3);
    nl_expect_link(nl, NULL, "ifb0", 4);
    return nl;
}

static void end(struct nl *nl)
{
    struct err err = ERR_INIT;
    if (nl_expect_end(nl, &err) < 0)
        fail_msg("%s", err.text);
    nl_free(nl);
}

static void statistics_are_read(void **state)
{
    static const char ask_root[] = "qdisc get dev=ifb0 parent=root handle=1:";
    static const char ask_filter[] =
        "filter get dev=eth0 parent=egress pref=100 protocol=all handle=0x7 kind=bpf";
    struct nl *nl = expecting();
    struct message qdisc = a_netem(0), filter = {0}, options = {0}, actions = {0}, action = {0};
    const struct tcmsg head = {.tcm_ifindex = 3, .tcm_handle = 7};
    put(&action, TCA_ACT_KIND, "mirred", 7);
    put_stats(&action, TCA_ACT_STATS);
    nest(&actions, 1, &action);
    nest(&options, TCA_BPF_ACT, &actions);
    buf_add(&filter.bytes, &head, sizeof head);
    nest(&filter, TCA_OPTIONS, &options);
    expect_answer(nl, ask_root, RTM_NEWQDISC, &qdisc);
    expect_answer(nl, ask_filter, RTM_NEWTFILTER, &filter);
    for (int i = 0; i < 2; i++) {
        struct tc_counts c = {0};
        struct err err = ERR_INIT;
        assert_int_equal(
            i ? tc_filter_stats(nl, &to_ifb, &c, &err) : tc_root_stats(nl, "ifb0", 1, &c, &err), 0);
        assert_int_equal(c.packets, 10);
        assert_int_equal(c.bytes, 1000);
        assert_int_equal(c.dropped, 2);
        assert_int_equal(c.overlimits, 4);
        assert_int_equal(c.backlog_packets, 3);
        assert_int_equal(c.backlog_bytes, 300);
    }
    struct tc_counts untouched = {.packets = 99};
    struct err err = ERR_INIT;
    nl_expect(nl, NULL, ask_root, EINVAL, "Invalid handle");
    nl_expect(nl, NULL, ask_filter, ENOENT, "Filter with specified priority/protocol not found");
    nl_expect(nl, NULL, ask_root, EPERM, NULL);
    assert_int_equal(tc_root_stats(nl, "ifb0", 1, &untouched, &err), -ENOENT);
    assert_string_equal(err.text, "here: ifb0 has no root qdisc 1:");
    assert_int_equal(tc_filter_stats(nl, &to_ifb, &untouched, &err), -ENOENT);
    assert_string_equal(err.text, "here: eth0 has no filter of preference 100 and handle 0x7 with "
                                  "an action at egress");
    assert_int_equal(tc_root_stats(nl, "ifb0", 1, &untouched, &err), -EPERM);
    assert_int_equal(untouched.packets, 99);
    end(nl);
    buf_done(&qdisc.bytes);
    buf_done(&filter.bytes);
}

static void netem_is_compared_with_what_was_asked(void **state)
{
    static const char ask[] = "qdisc get dev=ifb0 parent=root handle=1:";
    struct impairment m = {.delay = 10 * NSEC_MSEC, .limit = 1000};
    struct nl *nl = expecting();
    struct message same = a_netem(156250), other = a_netem(156251);
    struct err err = ERR_INIT;
    expect_answer(nl, ask, RTM_NEWQDISC, &same);
    expect_answer(nl, ask, RTM_NEWQDISC, &other);
    expect_answer(nl, ask, RTM_NEWQDISC, &same);
    nl_expect(nl, NULL, ask, ENOENT, NULL);
    assert_int_equal(tc_netem_check(nl, "ifb0", 1, &m, &err), 0);
    assert_int_equal(tc_netem_check(nl, "ifb0", 1, &m, &err), -EOPNOTSUPP);
    assert_string_equal(err.text, "here: netem on ifb0: delay: asked for 10000000, the kernel "
                                  "holds 10000064");
    m.has_seed = true;
    assert_int_equal(tc_netem_check(nl, "ifb0", 1, &m, &err), TC_NETEM_NO_SEED);
    assert_int_equal(tc_netem_check(nl, "ifb0", 1, &m, &err), -ENOENT);
    end(nl);
    buf_done(&same.bytes);
    buf_done(&other.bytes);
    nl = recording();
    assert_int_equal(tc_netem_check(nl, "ifb0", 1, &m, &err), 0);
    nl_free(nl);
}

static void hooks_and_filters_are_found(void **state)
{
    static const char ask[] = "qdisc get dev=eth0 parent=hooks handle=0:";
    struct nl *nl = expecting();
    struct message qdisc = {0}, mine = {0}, others = {0}, options = {0}, actions = {0},
                   action = {0}, parms = {0};
    const struct tcmsg head = {.tcm_ifindex = 3, .tcm_handle = 7, .tcm_info = 100 << 16};
    char kind[TC_KIND_MAX] = "?";
    struct tc_filter_seen *seen = NULL;
    size_t n = 0;
    buf_add(&qdisc.bytes, &head, sizeof head);
    put(&qdisc, TCA_KIND, "clsact", 7);
    put(&parms, TCA_MIRRED_PARMS, &(struct tc_mirred){.ifindex = 4}, sizeof(struct tc_mirred));
    put(&action, TCA_ACT_KIND, "mirred", 7);
    nest(&action, TCA_ACT_OPTIONS, &parms);
    nest(&actions, 1, &action);
    nest(&options, TCA_BPF_ACT, &actions);
    buf_add(&mine.bytes, &head, sizeof head);
    put(&mine, TCA_KIND, "bpf", 4);
    nest(&mine, TCA_OPTIONS, &options);
    buf_add(&others.bytes, &head, sizeof head);
    put(&others, TCA_KIND, "flower", 7);
    const struct nl_answer both[] = {{RTM_NEWTFILTER, mine.bytes.text, mine.bytes.len},
                                     {RTM_NEWTFILTER, others.bytes.text, others.bytes.len}};
    nl_expect(nl, NULL, ask, ENOENT, NULL);
    expect_answer(nl, ask, RTM_NEWQDISC, &qdisc);
    nl_expect_dump(nl, NULL, "filter dump dev=eth0 parent=ingress", both, 2, false);
    assert_int_equal(tc_clsact_find(nl, "eth0", kind, NULL), 0);
    assert_string_equal(kind, "");
    assert_int_equal(tc_clsact_find(nl, "eth0", kind, NULL), 0);
    assert_string_equal(kind, "clsact");
    assert_int_equal(tc_filters(nl, "eth0", TC_INGRESS, &seen, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_int_equal(seen[0].redirect_to, 4);
    assert_int_equal(seen[0].pref, 100);
    assert_int_equal(seen[0].handle, 7);
    assert_string_equal(seen[1].kind, "flower");
    free(seen);
    end(nl);
    buf_done(&qdisc.bytes);
    buf_done(&mine.bytes);
    buf_done(&others.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_say_what_was_asked),
        cmocka_unit_test(long_programs_are_digests),
        cmocka_unit_test(netem_says_every_parameter),
        cmocka_unit_test(a_change_tells_everything),
        cmocka_unit_test(messages_are_these_bytes),
        cmocka_unit_test(what_cannot_be_encoded_is_told),
        cmocka_unit_test(any_bytes_are_written),
        cmocka_unit_test(statistics_are_read),
        cmocka_unit_test(netem_is_compared_with_what_was_asked),
        cmocka_unit_test(hooks_and_filters_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
