/* Links, addresses, routes: what our messages made, as iproute2 reads it. */
#include "sim/kernel/test_kernel.h"

#include "sim/base/buf.h"
#include "sim/kernel/nft.h"
#include "sim/kernel/nl.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/tc.h"
#include "tests/support/netkit.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/bpf_common.h>

/* --- Reading back ------------------------------------------------------------ */

static void iproute2_reads_links_as_asked(void **state)
{
    struct netkit t;
    netkit_open(&t);
    netkit_build(t.sw, t.host, t.host_fd);
    json_t *links = netkit_json(t.switch_fd, "ip -j -d link show");
    json_t *br = netkit_pick(links, "ifname", "br-lan"),
           *port = netkit_pick(links, "ifname", "p-web");
    assert_text(br, "linkinfo.info_kind", "bridge");
    assert_number(br, "linkinfo.info_data.stp_state", 0);
    assert_number(br, "linkinfo.info_data.forward_delay", 0);
    assert_number(br, "linkinfo.info_data.mcast_snooping", 0);
    assert_number(br, "linkinfo.info_data.vlan_filtering", 0);
    assert_number(br, "linkinfo.info_data.group_fwd_mask", 0);
    assert_number(br, "mtu", 1400);
    assert_text(br, "address", "02:00:00:00:00:01");
    assert_text(port, "master", "br-lan");
    assert_text(port, "linkinfo.info_kind", "veth");
    assert_true(netkit_is_up(br) && netkit_is_up(port));
    assert_number(br, "ifindex", 77);
    assert_number(port, "mtu", 1400);
    assert_text(port, "group", "7");
    assert_true(json_is_true(netkit_at(port, "linkinfo.info_slave_data.hairpin")));
    assert_false(json_is_true(netkit_at(port, "linkinfo.info_slave_data.learning")));
    assert_true(json_is_true(netkit_at(port, "linkinfo.info_slave_data.flood")));
    json_t *inside = netkit_json(t.host_fd, "ip -j -d link show dev eth0");
    assert_number(inside, "0.ifindex", 9);
    assert_text(inside, "0.address", "02:00:00:00:00:02");
    assert_true(netkit_is_up(netkit_at(inside, "0")));
    assert_number(inside, "0.mtu", 1400);
    json_decref(inside);
    json_decref(links);

    struct err err = ERR_INIT;
    rtnl_link_master(t.sw, "p-web", NULL);
    rtnl_link_group(t.sw, "p-web", 8);
    rtnl_link_mtu(t.sw, "p-web", 1300);
    rtnl_link_up(t.sw, "p-web", false);
    netkit_ok(nl_flush(t.sw, &err), &err);
    json_t *changed = netkit_json(t.switch_fd, "ip -j link show dev p-web");
    assert_null(netkit_at(changed, "0.master"));
    assert_text(changed, "0.group", "8");
    assert_number(changed, "0.mtu", 1300);
    assert_false(netkit_is_up(netkit_at(changed, "0")));
    json_decref(changed);

    rtnl_link_master(t.sw, "p-web", "br-lan");
    rtnl_link_up(t.sw, "p-web", true);
    rtnl_link_up(t.host, "eth0", false);
    netkit_ok(nl_flush(t.host, &err), &err);
    assert_int_equal(rtnl_ports_running(t.sw, NSEC_MSEC, &err), -ETIMEDOUT);
    assert_string_equal(err.text, "switch: the port p-web has no carrier");
    rtnl_link_up(t.host, "eth0", true);
    netkit_ok(nl_flush(t.host, &err), &err);
    netkit_ok(rtnl_ports_running(t.sw, 5 * NSEC_SEC, &err), &err);

    struct rtnl_link link;
    netkit_ok(rtnl_link_get(t.sw, "p-web", &link, &err), &err);
    assert_string_equal(link.kind, "veth");
    assert_int_equal(link.group, 8);
    assert_int_equal(link.peer, 9);
    rtnl_link_delete_group(t.sw, 8);
    netkit_ok(nl_flush(t.sw, &err), &err);
    assert_int_equal(rtnl_link_get(t.sw, "p-web", &link, &err), -ENODEV);
    assert_int_equal(netkit_run(t.host_fd, "ip link show dev eth0 2>/dev/null", NULL), 1);
    netkit_close(&t);
}

static void iproute2_reads_addresses_and_routes_as_asked(void **state)
{
    struct netkit t;
    netkit_open(&t);
    netkit_build(t.sw, t.host, t.host_fd);
    json_t *a = netkit_json(t.host_fd, "ip -j addr show dev eth0");
    json_t *four = netkit_pick(netkit_at(a, "0.addr_info"), "local", "10.0.0.1");
    json_t *six = netkit_pick(netkit_at(a, "0.addr_info"), "local", "fd00::1");
    assert_number(four, "prefixlen", 24);
    assert_text(four, "broadcast", "10.0.0.255");
    assert_text(four, "scope", "global");
    assert_number(six, "prefixlen", 64);
    assert_true(json_is_true(netkit_at(six, "nodad")));
    assert_null(netkit_at(six, "tentative"));
    json_decref(a);
    json_t *r = netkit_json(t.host_fd, "ip -j route show");
    json_t *def = netkit_pick(r, "dst", "default");
    assert_text(def, "gateway", "10.0.0.254");
    assert_text(def, "dev", "eth0");
    assert_text(def, "protocol", "static");
    json_decref(r);
    r = netkit_json(t.host_fd, "ip -6 -j route show");
    json_t *far = netkit_pick(r, "dst", "fd01::/48");
    assert_text(far, "gateway", "fd00::2");
    assert_number(far, "metric", 50);
    json_decref(r);
    json_t *n = netkit_json(t.host_fd, "ip -j neigh show");
    assert_text(netkit_pick(n, "dst", "10.0.0.254"), "lladdr", "02:00:00:00:00:03");
    assert_text(netkit_pick(n, "dst", "10.0.0.254"), "state.0", "PERMANENT");
    assert_text(netkit_pick(n, "dst", "fd00::2"), "state.0", "PERMANENT");
    json_decref(n);
    AUTO_FREE char *forward = NULL;
    assert_int_equal(netkit_run(t.host_fd, "cat /proc/sys/net/ipv4/ip_forward", &forward), 0);
    assert_string_equal(forward, "1\n");

    struct err err = ERR_INIT;
    struct rtnl_address *addresses = NULL;
    size_t count = 0, found = 0;
    netkit_ok(rtnl_addresses(t.host, &addresses, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        char text[INET_TEXT_MAX];
        found += addresses[i].ifindex == 9 &&
                 (strcmp(inet_text(&addresses[i].prefix, text), "10.0.0.1/24") == 0 ||
                  strcmp(text, "fd00::1/64") == 0);
    }
    assert_int_equal(found, 2);
    free(addresses);
    struct inet_prefix a4 = netkit_ip("10.0.0.1/24"), a6 = netkit_ip("fd00::1/64"),
                       via = netkit_ip("fd00::2");
    struct inet_prefix to = netkit_ip("fd01::/48");
    rtnl_route_delete(t.host, &(struct rtnl_route){.to = to, .via = via});
    rtnl_address_delete(t.host, "eth0", &a4);
    rtnl_address_delete(t.host, "eth0", &a6);
    netkit_ok(nl_flush(t.host, &err), &err);
    AUTO_FREE char *left = NULL;
    assert_int_equal(
        netkit_run(t.host_fd, "ip -br addr show dev eth0; ip -6 route show fd01::/48", &left), 0);
    assert_null(strstr(left, "10.0.0.1"));
    assert_null(strstr(left, "fd0"));
    netkit_close(&t);
}

struct collected {
    size_t n;
    struct {
        char where[32];
        struct buf text, bytes;
    } seen[64];
};

static void collect(const struct nl_seen *s, void *data)
{
    struct collected *c = data;
    assert_true(c->n < ARRAY_SIZE(c->seen));
    assert_int_equal(s->result, 0);
    snprintf(c->seen[c->n].where, sizeof c->seen[c->n].where, "%s", s->where);
    buf_adds(&c->seen[c->n].text, s->text);
    if (s->bytes)
        buf_add(&c->seen[c->n].bytes, s->bytes, s->n);
    c->n++;
}

static void build_cuts(struct nl *nl)
{
    struct err err = ERR_INIT;
    const struct nft_table t = {NFT_FAMILY_BRIDGE, "blackstart-t"};
    const struct nft_element pairs[] = {nft_element(NFT_KEY_PORTS, "p-web", "p-db"),
                                        nft_element(NFT_KEY_PORTS, "p-db", "p-web")};
    const struct nft_set cuts = {t, "cuts", NFT_KEY_PORTS};
    netkit_ok(nft_table_create(nl, &t, &err), &err);
    nft_chain_add(nl, &(struct nft_chain){t, "forward", NFT_FORWARD, -200});
    nft_set_create(nl, &cuts);
    nft_set_add(nl, &cuts, pairs, 2);
    nft_rule_add(nl, &(struct nft_rule){.table = t, .chain = "forward", .in = &cuts});
    netkit_ok(nl_flush(nl, &err), &err);
}

static void build_fault(struct nl *nl)
{
    static const struct sock_filter all[] = {{BPF_RET | BPF_K, 0, 0, 0xffffffff}};
    const struct tc_filter f = {.dev = "eth0",
                                .hook = TC_INGRESS,
                                .pref = 9,
                                .handle = 1,
                                .ops = all,
                                .n_ops = 1,
                                .redirect_to = "ifb0"};
    struct err err = ERR_INIT;
    tc_ifb_add(nl, "ifb0", 3);
    rtnl_link_up(nl, "ifb0", true);
    tc_clsact_add(nl, "eth0");
    tc_filter_add(nl, &f);
    tc_filter_delete(nl, &f);
    tc_clsact_delete(nl, "eth0");
    netkit_ok(nl_flush(nl, &err), &err);
}

static void what_plan_records_is_what_run_sends(void **state)
{
    struct netkit t;
    struct err err = ERR_INIT;
    struct nl *plan_switch = NULL, *plan_host = NULL;
    struct collected *c = calloc(1, sizeof *c);
    assert_non_null(c);
    netkit_open(&t);
    nl_observe(t.sw, collect, c);
    nl_observe(t.host, collect, c);
    netkit_build(t.sw, t.host, t.host_fd);
    build_cuts(t.sw);
    build_fault(t.host);
    netkit_ok(nl_open_recording("switch", &plan_switch, &err), &err);
    netkit_ok(nl_derive(plan_switch, -1, "host web", &plan_host, &err), &err);
    netkit_build(plan_switch, plan_host, -1);
    build_cuts(plan_switch);
    build_fault(plan_host);
    assert_int_equal(nl_recorded(plan_switch), c->n);
    assert_true(c->n > 22);
    for (size_t i = 0; i < c->n; i++) {
        struct nl_seen s = nl_recorded_at(plan_switch, i);
        assert_string_equal(s.where, c->seen[i].where);
        assert_string_equal(s.text, buf_text(&c->seen[i].text));
        assert_int_equal(s.n, c->seen[i].bytes.len);
        if (s.n)
            assert_memory_equal(s.bytes, c->seen[i].bytes.text, s.n);
        buf_done(&c->seen[i].text);
        buf_done(&c->seen[i].bytes);
    }
    free(c);
    nl_free(plan_host);
    nl_free(plan_switch);
    netkit_close(&t);
}

static void count_failed(const struct nl_seen *s, void *data)
{
    size_t *n = data;
    n[0]++;
    n[1] += s->result != 0;
}

/* Only the last message of a send asks for an acknowledgement. */
static void failures_amid_others_are_told_and_the_others_done(void **state)
{
    struct netkit t;
    struct err err = ERR_INIT;
    size_t seen[2] = {0};
    char name[16];
    netkit_open(&t);
    nl_observe(t.host, count_failed, seen);
    rtnl_link_mtu(t.host, "lo", 1400);
    rtnl_link_up(t.host, "none1", true);
    rtnl_link_mtu(t.host, "none2", 1500);
    rtnl_link_up(t.host, "lo", true);
    assert_int_equal(nl_flush(t.host, &err), -ENODEV);
    assert_non_null(strstr(err.text, "none1"));
    assert_int_equal(seen[0], 4);
    assert_int_equal(seen[1], 2);
    json_t *lo = netkit_json(t.host_fd, "ip -j link show dev lo");
    assert_number(lo, "0.mtu", 1400);
    assert_true(netkit_is_up(netkit_at(lo, "0")));
    json_decref(lo);
    for (int i = 0; i < 200; i++) { /* all of several sends fail: every answer fits */
        snprintf(name, sizeof name, "none%d", i);
        rtnl_link_up(t.host, name, true);
        nl_forgive(t.host, ENODEV);
    }
    netkit_ok(nl_flush(t.host, &err), &err);
    assert_int_equal(seen[0], 204);
    assert_int_equal(seen[1], 202);
    netkit_close(&t);
}

int test_kernel_links(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(iproute2_reads_links_as_asked),
        cmocka_unit_test(iproute2_reads_addresses_and_routes_as_asked),
        cmocka_unit_test(what_plan_records_is_what_run_sends),
        cmocka_unit_test(failures_amid_others_are_told_and_the_others_done),
    };
    return cmocka_run_group_tests_name("test_kernel_links", all, NULL, NULL);
}
