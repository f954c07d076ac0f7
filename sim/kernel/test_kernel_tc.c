/* Filters and intermediate devices as tc(8) reads them, and packets that take that way. What needs
 * netem is in test_netem_kernel.c.
 */
#include "sim/kernel/test_kernel.h"

#include "sim/kernel/netns.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/snapshot.h"
#include "sim/kernel/tc.h"
#include "tests/support/netkit.h"

#include <errno.h>
#include <linux/bpf_common.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* UDP over IPv4 */
static const struct sock_filter udp[] = {
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    BPF_STMT(BPF_RET | BPF_K, 0),
};
/* The same in direct-action mode: dropped. */
static const struct sock_filter drop_udp[] = {
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, TC_ACT_SHOT),
    BPF_STMT(BPF_RET | BPF_K, (uint32_t)TC_ACT_UNSPEC),
};

static struct tc_filter a_filter(void)
{
    return (struct tc_filter){.dev = "eth0",
                              .hook = TC_EGRESS,
                              .pref = 100,
                              .handle = 7,
                              .ops = udp,
                              .n_ops = ARRAY_SIZE(udp),
                              .redirect_to = "ifb0"};
}

static void open_host(struct netkit *t)
{
    struct err err = ERR_INIT;
    netkit_open(t);
    netkit_build(t->sw, t->host, t->host_fd);
    tc_ifb_add(t->host, "ifb0", 0);
    rtnl_link_up(t->host, "ifb0", true);
    tc_clsact_add(t->host, "eth0");
    netkit_ok(nl_flush(t->host, &err), &err);
}

/* Datagrams to the neighbour that netkit_build() knows for ever. */
static void send_some(const struct netkit *t, size_t n)
{
    struct err err = ERR_INIT;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    const struct inet_prefix gw = netkit_ip("10.0.0.254");
    AUTO_CLOSE int fd = -1;
    netkit_ok(netns_socket(t->host_fd, AF_INET, SOCK_DGRAM, 0, &fd, &err), &err);
    memcpy(&to.sin_addr, gw.addr, 4);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to), 1);
}

static uint64_t sent_by(const struct netkit *t, const char *dev)
{
    struct rtnl_link link;
    struct err err = ERR_INIT;
    netkit_ok(rtnl_link_get(t->host, dev, &link, &err), &err);
    return link.tx_packets;
}

/* Else the kernel would make one when the device goes up, with its routes. */
static void assert_no_addresses(struct nl *nl, int ifindex)
{
    AUTO_FREE struct rtnl_address *list = NULL;
    struct err err = ERR_INIT;
    size_t n = 0;
    netkit_ok(rtnl_addresses(nl, &list, &n, &err), &err);
    assert_true(n > 0); /* those of others */
    for (size_t i = 0; i < n; i++)
        assert_int_not_equal(list[i].ifindex, ifindex);
}

static void a_filter_is_what_tc_reads(void **state)
{
    struct netkit t;
    struct err err = ERR_INIT;
    struct tc_filter f = a_filter();
    struct tc_filter_seen *seen = NULL;
    struct tc_counts counts;
    size_t n = 0;
    int ifb = 0;
    open_host(&t);
    tc_filter_add(t.host, &f);
    netkit_ok(nl_flush(t.host, &err), &err);
    json_t *j = netkit_json(t.host_fd, "tc -j filter show dev eth0 egress");
    assert_text(j, "1.kind", "bpf");
    assert_text(j, "1.protocol", "all");
    assert_number(j, "1.pref", 100);
    assert_text(j, "1.options.handle", "0x7");
    assert_number(j, "1.options.bytecode.length", 4);
    assert_number(j, "1.options.bytecode.insns.1.jf", 1);
    assert_number(j, "1.options.bytecode.insns.2.k", 0xffffffff);
    assert_text(j, "1.options.actions.0.kind", "mirred");
    assert_text(j, "1.options.actions.0.mirred_action", "redirect");
    assert_text(j, "1.options.actions.0.direction", "egress");
    assert_text(j, "1.options.actions.0.to_dev", "ifb0");
    assert_text(j, "1.options.actions.0.control_action.type", "stolen");
    json_decref(j);
    netkit_ok(tc_filters(t.host, "eth0", TC_EGRESS, &seen, &n, &err), &err);
    netkit_ok(nl_ifindex(t.host, "ifb0", &ifb, &err), &err);
    assert_int_equal(n, 1);
    assert_int_equal(seen[0].redirect_to, ifb);
    free(seen);
    assert_no_addresses(t.host, ifb);
    /* eth0's own queue sees them after ifb0 gave them back */
    uint64_t before = sent_by(&t, "eth0");
    send_some(&t, 5);
    netkit_ok(tc_filter_stats(t.host, &f, &counts, &err), &err);
    assert_int_equal(counts.packets, 5);
    for (int i = 0; i < 1000 && sent_by(&t, "eth0") < before + 5; i++)
        (void)usleep(1000); /* ifb works in a tasklet */
    assert_true(sent_by(&t, "eth0") >= before + 5);
    tc_filter_add(t.host, &f);
    assert_int_equal(nl_flush(t.host, &err), -EEXIST);
    tc_filter_delete(t.host, &f);
    netkit_ok(nl_flush(t.host, &err), &err);
    assert_int_equal(tc_filter_stats(t.host, &f, &counts, &err), -ENOENT);
    netkit_close(&t);
}

static void filters_drop_or_pass_or_turn_back(void **state)
{
    struct netkit t;
    struct err err = ERR_INIT;
    struct tc_filter f = a_filter();
    open_host(&t);
    f.redirect_to = NULL;
    f.drop = true;
    f.ops = drop_udp;
    tc_filter_add(t.host, &f);
    netkit_ok(nl_flush(t.host, &err), &err);
    uint64_t before = sent_by(&t, "eth0");
    send_some(&t, 20);
    assert_true(sent_by(&t, "eth0") < before + 20);
    /* asked before it, so that nothing is dropped */
    f.pref = 99;
    f.drop = false;
    f.ops = udp;
    tc_filter_add(t.host, &f);
    netkit_ok(nl_flush(t.host, &err), &err);
    before = sent_by(&t, "eth0");
    send_some(&t, 20);
    assert_true(sent_by(&t, "eth0") >= before + 20);
    f.pref = 98;
    f.redirect_to = "ifb0";
    f.to_ingress = true;
    tc_filter_add(t.host, &f);
    netkit_ok(nl_flush(t.host, &err), &err);
    json_t *j = netkit_json(t.host_fd, "tc -j filter show dev eth0 egress pref 98");
    assert_text(j, "1.options.actions.0.direction", "ingress");
    json_decref(j);
    netkit_close(&t);
}

static void what_holds_filters_is_told(void **state)
{
    struct netkit t;
    struct err err = ERR_INIT;
    char kind[TC_KIND_MAX];
    struct tc_filter_seen *seen = NULL;
    size_t n = 9;
    netkit_open(&t);
    netkit_build(t.sw, t.host, t.host_fd);
    netkit_ok(tc_clsact_find(t.host, "eth0", kind, &err), &err);
    assert_string_equal(kind, "");
    netkit_ok(tc_filters(t.host, "eth0", TC_INGRESS, &seen, &n, &err), &err);
    assert_int_equal(n, 0);
    free(seen);
    assert_int_equal(netkit_run(t.host_fd, "tc qdisc add dev eth0 ingress", NULL), 0);
    netkit_ok(tc_clsact_find(t.host, "eth0", kind, &err), &err);
    assert_string_equal(kind, "ingress");
    tc_clsact_add(t.host, "eth0");
    assert_int_equal(nl_flush(t.host, &err), -EEXIST);
    assert_int_equal(tc_clsact_find(t.host, "nothing", kind, &err), -ENODEV);
    assert_int_equal(netkit_run(t.host_fd, "tc qdisc del dev eth0 ingress", NULL), 0);
    tc_clsact_add(t.host, "eth0");
    netkit_ok(nl_flush(t.host, &err), &err);
    netkit_ok(tc_clsact_find(t.host, "eth0", kind, &err), &err);
    assert_string_equal(kind, "clsact");
    netkit_close(&t);
}

/* The transport remembers numbers; a name may belong to another device by now. */
static void a_name_that_changed_hands_is_noticed(void **state)
{
    struct netkit t;
    struct err err = ERR_INIT;
    open_host(&t);
    tc_clsact_add(t.host, "ifb0");
    netkit_ok(nl_flush(t.host, &err), &err);
    assert_int_equal(
        netkit_run(t.host_fd, "ip link set ifb0 down name old && ip link add ifb0 type ifb", NULL),
        0);
    tc_clsact_add(t.host, "ifb0"); /* the new one has none: no EEXIST */
    tc_clsact_delete(t.host, "old");
    netkit_ok(nl_flush(t.host, &err), &err);
    assert_int_equal(netkit_run(t.host_fd, "ip link del ifb0", NULL), 0);
    tc_clsact_delete(t.host, "ifb0");
    assert_int_equal(nl_flush(t.host, &err), -ENODEV);
    netkit_close(&t);
}

/* Queues, filters and actions of others count what passes; that is no change. */
static void counters_are_no_change(void **state)
{
    static const char *const theirs[] = {
        "tc qdisc add dev eth0 root handle 8: htb", /* without a default: counts in its options */
        "tc class add dev eth0 parent 8: classid 8:1 htb rate 1gbit",
        "tc filter add dev eth0 parent 8: protocol ip u32 match ip dport 1 0xffff flowid 8:1",
        ("tc filter add dev eth0 egress pref 7 handle 3 bpf bytecode '1,6 0 0 4294967295' action "
         "mirred egress mirror dev ifb0"),
    };
    CLEANUP(snapshot_free_p) struct snapshot *before = NULL, *after = NULL;
    struct netkit t;
    struct err err = ERR_INIT;
    open_host(&t);
    for (size_t i = 0; i < ARRAY_SIZE(theirs); i++)
        assert_int_equal(netkit_run(t.host_fd, theirs[i], NULL), 0);
    send_some(&t, 1); /* neighbours, and what appears with the first packet */
    netkit_ok(snapshot_take(t.host_fd, &before, &err), &err);
    send_some(&t, 20);
    json_t *j = netkit_json(t.host_fd, "tc -s -j filter show dev eth0 egress");
    assert_true(json_integer_value(netkit_at(j, "1.options.actions.0.stats.packets")) >= 20);
    json_decref(j);
    netkit_ok(snapshot_take(t.host_fd, &after, &err), &err);
    assert_int_equal(before->n, after->n);
    for (size_t i = 0; i < before->n; i++)
        assert_string_equal(before->lines[i], after->lines[i]);
    netkit_close(&t);
}

static void many_in_one_flush(void **state)
{
    enum { N = 200 };
    struct netkit t;
    struct err err = ERR_INIT;
    struct tc_filter f = a_filter();
    struct tc_filter_seen *seen = NULL;
    size_t n = 0;
    open_host(&t);
    for (uint32_t i = 1; i <= N; i++) {
        f.handle = i;
        tc_filter_add(t.host, &f);
    }
    netkit_ok(nl_flush(t.host, &err), &err);
    netkit_ok(tc_filters(t.host, "eth0", TC_EGRESS, &seen, &n, &err), &err);
    assert_int_equal(n, N);
    free(seen);
    f.handle = 0; /* all of that preference */
    tc_filter_delete(t.host, &f);
    netkit_ok(nl_flush(t.host, &err), &err);
    netkit_ok(tc_filters(t.host, "eth0", TC_EGRESS, &seen, &n, &err), &err);
    assert_int_equal(n, 0);
    free(seen);
    netkit_close(&t);
}

int test_kernel_tc(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_filter_is_what_tc_reads),
        cmocka_unit_test(filters_drop_or_pass_or_turn_back),
        cmocka_unit_test(what_holds_filters_is_told),
        cmocka_unit_test(a_name_that_changed_hands_is_noticed),
        cmocka_unit_test(counters_are_no_change),
        cmocka_unit_test(many_in_one_flush),
    };
    return cmocka_run_group_tests_name("test_kernel_tc", all, NULL, NULL);
}
