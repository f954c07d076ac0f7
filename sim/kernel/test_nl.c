/* Transports and encoders without privileges: recordings, expectations, bytes. */
#include "sim/base/buf.h"
#include "sim/kernel/conntrack.h"
#include "sim/kernel/inet.h"
#include "sim/kernel/nft.h"
#include "sim/kernel/nl.h"
#include "sim/kernel/nl_expect.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/sockdiag.h"
#include "tests/support/test.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>

static struct inet_prefix ip(const char *text)
{
    struct inet_prefix p = {0};
    struct err err = ERR_INIT;
    assert_int_equal(inet_parse(text, &p, &err), 0);
    return p;
}

static const struct inet_mac mac1 = {{2, 0, 0, 0, 0, 1}};

/* --- Addresses --------------------------------------------------------------- */

static void addresses_parse_and_print(void **state)
{
    static const char *const good[] = {"10.0.0.1",   "10.0.0.1/24", "0.0.0.0/0", "fd00::1",
                                       "fd00::1/64", "::/0",        "fd00:1::2"};
    static const char *const bad[] = {
        "",         "10.0.0", "10.0.0.1/33",  "10.0.0.1/-1", "fd00::/129",
        "fd00::1/", "web",    "10.0.0.1/24x", "10.0.0.1 ",   "1:2:3:4:5:6:7:8:9"};
    char buf[INET_TEXT_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        struct inet_prefix p = ip(good[i]);
        assert_string_equal(inet_text(&p, buf), good[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct inet_prefix p = {.family = 99};
        struct err err = ERR_INIT;
        assert_int_equal(inet_parse(bad[i], &p, &err), -EINVAL);
        assert_int_equal(p.family, 99);
        assert_true(err.text[0]);
    }
}

static void networks_contain_their_addresses(void **state)
{
    static const struct {
        const char *net, *addr;
        bool in;
    } cases[] = {
        {"10.0.0.0/24", "10.0.0.255", true},   {"10.0.0.0/24", "10.0.1.0", false},
        {"10.0.0.0/23", "10.0.1.255", true},   {"0.0.0.0/0", "1.2.3.4", true},
        {"10.0.0.7", "10.0.0.7", true},        {"10.0.0.7", "10.0.0.6", false},
        {"fd00::/64", "fd00::1:0:0:1", true},  {"fd00::/64", "fd00:0:0:1::1", false},
        {"fd00::/63", "fd00:0:0:1::1", true},  {"10.0.0.0/24", "fd00::1", false},
        {"10.0.0.0/24", "10.0.0.0/16", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct inet_prefix net = ip(cases[i].net), addr = ip(cases[i].addr);
        assert_int_equal(inet_contains(&net, &addr), cases[i].in);
    }
    char buf[INET_TEXT_MAX];
    struct inet_prefix p = ip("10.255.255.255/20");
    p = inet_masked(&p);
    assert_string_equal(inet_text(&p, buf), "10.255.240.0/20");
}

static void hardware_addresses_parse(void **state)
{
    struct inet_mac m;
    char buf[INET_MAC_TEXT_MAX];
    assert_int_equal(inet_mac_parse("02:00:5e:ab:CD:0f", &m, NULL), 0);
    assert_string_equal(inet_mac_text(&m, buf), "02:00:5e:ab:cd:0f");
    static const char *const bad[] = {"", "02:00:5e:ab:cd", "02:00:5e:ab:cd:0g",
                                      "02:00:5e:ab:cd:0f:", "2:0:5e:ab:cd:f"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(inet_mac_parse(bad[i], &m, NULL), -EINVAL);
}

/* --- Bytes ------------------------------------------------------------------- */

static void assert_bytes(const struct nl_seen *s, const char *hex)
{
    AUTO_BUF got = BUF_INIT;
    for (size_t i = 0; i < s->n; i++)
        buf_printf(&got, "%02x%s", ((const unsigned char *)s->bytes)[i], i % 4 == 3 ? " " : "");
    assert_string_equal(buf_text(&got), hex);
}

/* Spelt out from rtnetlink.h, if_link.h and nf_tables.h: length, type, flags; family header; then
 * each attribute with its length and type. */
static void messages_are_these_bytes(void **state)
{
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    skip();
#endif
    static const char *const hex[] = {
        /* link up: ifinfomsg flags=1 change=1, IFLA_IFNAME(3) */
        "2c000000 10000100 00000000 00000000 00000000 00000000 01000000 01000000 "
        "09000300 65746830 00000000 ",
        /* IPv4 address: CREATE|EXCL; AF_INET, /24; LOCAL(2), ADDRESS(1), BROADCAST(4) */
        "30000000 14000106 00000000 00000000 02180000 00000000 08000200 0a000001 08000100 0a000001 "
        "08000400 0a0000ff ",
        /* IPv6 address: LOCAL(2), FLAGS(8) = IFA_F_NODAD(2) */
        "34000000 14000106 00000000 00000000 0a400000 00000000 14000200 fd000000 00000000 00000000 "
        "00000001 08000800 02000000 ",
        /* default route: main table, RTPROT_STATIC, unicast; GATEWAY(5), OIF(4) a hole */
        "2c000000 18000106 00000000 00000000 02000000 fe040001 00000000 08000500 0a0000fe 08000400 "
        "00000000 ",
        /* neighbour: CREATE|REPLACE; NUD_PERMANENT(0x80); DST(1), LLADDR(2) */
        "30000000 1c000105 00000000 00000000 02000000 00000000 80000000 08000100 0a0000fe 0a000200 "
        "02000000 00010000 ",
        /* bridge: IFNAME(3), ADDRESS(1), LINKINFO(18){KIND(1), DATA(2){STP(5), DELAY(1),
           SNOOP(23)}} */
        "60000000 10000106 00000000 00000000 00000000 00000000 00000000 00000000 08000300 62723000 "
        "0a000100 02000000 00010000 2c001280 0b000100 62726964 67650000 1c000280 08000500 00000000 "
        "08000100 00000000 05001700 00000000 ",
        /* veth: NUM_TX_QUEUES(31)=1, NUM_RX_QUEUES(32)=1, MASTER(10) a hole; LINKINFO{KIND,
         * DATA{PEER(1){ifinfomsg index=2, IFNAME, ADDRESS, queues, NET_NS_FD(28) a hole}}} */
        "98000000 10000106 00000000 00000000 00000000 00000000 00000000 00000000 07000300 70310000 "
        "08001f00 01000000 08002000 01000000 08000a00 00000000 58001280 09000100 76657468 00000000 "
        "48000280 44000180 00000000 02000000 00000000 00000000 09000300 65746830 00000000 0a000100 "
        "02000000 00010000 08001f00 01000000 08002000 01000000 08001c00 00000000 ",
        /* delete a group: GROUP(27) */
        "28000000 11000100 00000000 00000000 00000000 00000000 00000000 00000000 08001b00 "
        "07000000 ",
    };
    struct nl *nl = NULL;
    assert_int_equal(nl_open_recording("here", &nl, NULL), 0);
    struct inet_prefix a4 = ip("10.0.0.1/24"), a6 = ip("fd00::1/64"), gw = ip("10.0.0.254");
    rtnl_link_up(nl, "eth0", true);
    rtnl_address_add(nl, "eth0", &a4);
    rtnl_address_add(nl, "eth0", &a6);
    rtnl_route_add(nl, &(struct rtnl_route){.via = gw, .dev = "eth0"});
    rtnl_neighbour_add(nl, "eth0", &gw, &mac1);
    rtnl_bridge_add(nl, &(struct rtnl_bridge){.name = "br0", .mac = mac1});
    rtnl_veth_add(nl, &(struct rtnl_veth){.name = "p1",
                                          .master = "br0",
                                          .peer_name = "eth0",
                                          .peer_netns = {-1, "host web"},
                                          .peer_mac = mac1,
                                          .peer_ifindex = 2});
    rtnl_link_delete_group(nl, 7);
    assert_int_equal(nl_flush(nl, NULL), 0);
    assert_int_equal(nl_recorded(nl), ARRAY_SIZE(hex));
    for (size_t i = 0; i < ARRAY_SIZE(hex); i++) {
        struct nl_seen s = nl_recorded_at(nl, i);
        assert_bytes(&s, hex[i]);
    }
    nl_free(nl);
}

static void nft_messages_are_these_bytes(void **state)
{
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    skip();
#endif
    static const char *const hex[] = {
        /* NEWTABLE, bridge: NAME(1), FLAGS(2) = OWNER(2) */
        "30000000 000a0106 00000000 00000000 07000000 11000100 626c6163 6b737461 72742d78 00000000 "
        "08000200 00000002 ",
        /* NEWCHAIN: TABLE(1), NAME(3), HOOK(4){NUM(1)=forward, PRIORITY(2)=-200}, POLICY(5),
         * TYPE(7)
         */
        "58000000 030a0106 00000000 00000000 07000000 11000100 626c6163 6b737461 72742d78 00000000 "
        "06000300 66000000 14000480 08000100 00000002 08000200 ffffff38 08000500 00000001 0b000700 "
        "66696c74 65720000 ",
        /* NEWSETELEM: TABLE(1), SET(2), ELEMENTS(3){LIST_ELEM(1){KEY(1){VALUE(1) 2 x 16 bytes}}} */
        "64000000 0c0a0106 00000000 00000000 07000000 11000100 626c6163 6b737461 72742d78 00000000 "
        "09000200 63757473 00000000 30000380 2c000180 28000180 24000100 61000000 00000000 00000000 "
        "00000000 62000000 00000000 00000000 00000000 ",
        /* DELRULE: TABLE(1), CHAIN(2), HANDLE(3) */
        "3c000000 080a0100 00000000 00000000 07000000 11000100 626c6163 6b737461 72742d78 00000000 "
        "06000200 66000000 0c000300 00000000 00000005 ",
    };
    struct nl *nl = NULL;
    const struct nft_table t = {NFT_FAMILY_BRIDGE, "blackstart-x"};
    const struct nft_set cuts = {t, "cuts", NFT_KEY_PORTS};
    const struct nft_element pair = nft_element(NFT_KEY_PORTS, "a", "b");
    assert_int_equal(nl_open_recording("switch", &nl, NULL), 0);
    assert_int_equal(nft_table_create(nl, &t, NULL), 0);
    nft_chain_add(nl, &(struct nft_chain){t, "f", NFT_FORWARD, -200});
    nft_set_add(nl, &cuts, &pair, 1);
    nft_rule_delete(nl, &t, "f", 5);
    assert_int_equal(nl_flush(nl, NULL), 0);
    assert_int_equal(nl_recorded(nl), ARRAY_SIZE(hex));
    for (size_t i = 0; i < ARRAY_SIZE(hex); i++) {
        struct nl_seen s = nl_recorded_at(nl, i);
        assert_bytes(&s, hex[i]);
    }
    nl_free(nl);
}

/* --- Recordings -------------------------------------------------------------- */

static void a_recording_shares_its_log_in_order(void **state)
{
    struct nl *sw = NULL, *web = NULL;
    assert_int_equal(nl_open_recording("switch", &sw, NULL), 0);
    assert_int_equal(nl_derive(sw, -1, "host web", &web, NULL), 0);
    assert_true(nl_is_recording(web));
    rtnl_link_up(sw, "p-web", false);
    assert_int_equal(nl_queued(sw), 1);
    assert_int_equal(nl_recorded(sw), 0);
    assert_int_equal(nl_sysctl(sw, "net/ipv4/ip_forward", "1", NULL), 0);
    assert_int_equal(nl_note(web, NULL, "SIGKILL to %s", "nginx"), 0);
    int ifindex = 0, again = 0;
    assert_int_equal(nl_ifindex(web, "eth0", &ifindex, NULL), 0);
    assert_int_equal(nl_ifindex(web, "eth1", &again, NULL), 0);
    assert_true(ifindex > 1 && again != ifindex);
    struct rtnl_link link;
    assert_int_equal(rtnl_link_get(web, "eth0", &link, NULL), 0);
    assert_string_equal(link.name, "eth0");
    assert_true(link.flags & IFF_UP);
    struct rtnl_link *links = NULL;
    size_t n = 9;
    assert_int_equal(rtnl_links(web, &links, &n, NULL), 0);
    assert_int_equal(n, 0);

    static const char *const want[][2] = {{"switch", "link set down name=p-web"},
                                          {"switch", "sysctl net/ipv4/ip_forward = 1"},
                                          {"host web", "SIGKILL to nginx"}};
    assert_int_equal(nl_recorded(web), ARRAY_SIZE(want));
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        struct nl_seen s = nl_recorded_at(sw, i);
        assert_string_equal(s.where, want[i][0]);
        assert_string_equal(s.text, want[i][1]);
        assert_int_equal(s.bytes != NULL, i == 0);
    }
    int fd;
    struct err err = ERR_INIT;
    assert_int_equal(nl_fd(sw, NETLINK_ROUTE, &fd, &err), -EOPNOTSUPP);
    nl_free(web);
    nl_free(sw);
}

static void count_seen(const struct nl_seen *s, void *data)
{
    assert_int_equal(s->result, 0);
    ++*(int *)data;
}

static void an_observer_sees_changes_of_derived_ones_too(void **state)
{
    struct nl *sw = NULL, *web = NULL;
    int seen = 0;
    assert_int_equal(nl_open_recording("switch", &sw, NULL), 0);
    nl_observe(sw, count_seen, &seen);
    assert_int_equal(nl_derive(sw, -1, "host web", &web, NULL), 0);
    rtnl_link_up(sw, "a", true);
    rtnl_link_up(web, "b", true);
    assert_int_equal(nl_flush(sw, NULL), 0);
    assert_int_equal(nl_flush(web, NULL), 0);
    assert_int_equal(seen, 2);
    nl_observe(sw, NULL, NULL);
    rtnl_link_up(sw, "a", true);
    assert_int_equal(nl_flush(sw, NULL), 0);
    assert_int_equal(seen, 2);
    nl_free(web);
    nl_free(sw);
}

static void what_cannot_be_encoded_is_told_and_nothing_is_sent(void **state)
{
    struct nl *nl = NULL;
    const struct nft_table foreign = {NFT_FAMILY_INET, "filter"};
    const struct nft_table ours = {NFT_FAMILY_BRIDGE, "blackstart-x"};
    const struct nft_set cuts = {ours, "cuts", NFT_KEY_PORTS};
    const struct nft_element nobody = nft_element(NFT_KEY_PORTS, "", "b");
    struct inet_prefix a4 = ip("10.0.0.1"), a6 = ip("fd00::1");
    static const char *const want[] = {
        ("here: \"abcdefghijklmnop\" cannot be the name of an interface (1 to 15 bytes, no / : or "
         "blank)"),
        "here: \"a b\" cannot be the name of an interface (1 to 15 bytes, no / : or blank)",
        "here: \"..\" cannot be the name of an interface",
        "here: group 0 holds interfaces of others: not deleted",
        "here: a route needs a destination or a gateway",
        "here: a route's destination and gateway must be of one family",
        "here: the nf_tables table \"filter\" is not ours to change",
        "here: reject is only possible in a table of the inet family",
        "here: a port needs a protocol (tcp or udp)",
        "here: both addresses of a rule must be of one family",
        "here: an element of a set without the name of an interface",
    };
    assert_int_equal(nl_open_recording("here", &nl, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        struct err err = ERR_INIT;
        rtnl_link_up(nl, "fine", true);
        switch (i) {
        case 0:
            rtnl_link_up(nl, "abcdefghijklmnop", true);
            break;
        case 1:
            rtnl_link_delete(nl, "a b");
            break;
        case 2:
            rtnl_address_add(nl, "..", &a4);
            break;
        case 3:
            rtnl_link_delete_group(nl, 0);
            break;
        case 4:
            rtnl_route_add(nl, &(struct rtnl_route){.dev = "eth0"});
            break;
        case 5:
            rtnl_route_add(nl, &(struct rtnl_route){.to = a4, .via = a6});
            break;
        case 6:
            nft_table_delete(nl, &foreign);
            break;
        case 7:
            nft_rule_add(
                nl, &(struct nft_rule){.table = ours, .chain = "f", .verdict = NFT_REJECT_ICMP});
            break;
        case 8:
            nft_rule_add(nl, &(struct nft_rule){.table = ours, .chain = "f", .dport = {80}});
            break;
        case 9:
            nft_rule_add(nl,
                         &(struct nft_rule){.table = ours, .chain = "f", .saddr = a4, .daddr = a6});
            break;
        default:
            nft_set_add(nl, &cuts, &nobody, 1);
        }
        assert_int_equal(nl_flush(nl, &err), -EINVAL);
        assert_string_equal(err.text, want[i]);
        assert_int_equal(nl_queued(nl), 0);
    }
    assert_int_equal(nl_recorded(nl), 0);
    nl_free(nl);
}

static void a_thousand_pairs_are_one_message(void **state)
{
    enum { N = 1500 };
    struct nl *nl = NULL;
    const struct nft_table t = {NFT_FAMILY_BRIDGE, "blackstart-x"};
    const struct nft_set cuts = {t, "cuts", NFT_KEY_PORTS};
    struct nft_element *pairs = calloc(N, sizeof *pairs);
    assert_non_null(pairs);
    for (int i = 0; i < N; i++) {
        char in[16], out[16];
        snprintf(in, sizeof in, "p-%d", i);
        snprintf(out, sizeof out, "q-%d", i);
        pairs[i] = nft_element(NFT_KEY_PORTS, in, out);
    }
    assert_int_equal(nl_open_recording("switch", &nl, NULL), 0);
    nft_set_add(nl, &cuts, pairs, 1000);
    assert_int_equal(nl_queued(nl), 1);
    nft_set_add(nl, &cuts, pairs, N);
    assert_int_equal(nl_queued(nl), 3);
    assert_int_equal(nl_flush(nl, NULL), 0);
    size_t found = 0;
    for (size_t i = 0; i < 3; i++)
        for (const char *c = nl_recorded_at(nl, i).text; (c = strstr(c, "value=")); c++)
            found++;
    assert_int_equal(found, 1000 + N);
    assert_non_null(strstr(nl_recorded_at(nl, 2).text, "(key=(value=p-1499.q-1499))]"));
    free(pairs);
    nl_free(nl);
}

/* --- Expectations ------------------------------------------------------------ */

static void expected_requests_are_checked_field_by_field(void **state)
{
    struct nl *nl = NULL;
    struct inet_prefix a4 = ip("10.0.0.1/24");
    struct err err = ERR_INIT;
    assert_int_equal(nl_open_expecting("host web", &nl, NULL), 0);
    nl_expect_link(nl, NULL, "eth0", 2);
    nl_expect(nl, NULL,
              "address add inet dev=eth0 len=24 local=10.0.0.1 address=10.0.0.1 "
              "broadcast=10.0.0.255",
              0, NULL);
    nl_expect(nl, NULL, "link set name=eth0 mtu=1400", 0, NULL);
    rtnl_address_add(nl, "eth0", &a4);
    assert_int_equal(nl_flush(nl, &err), 0);
    rtnl_link_mtu(nl, "eth0", 1399);
    assert_int_equal(nl_flush(nl, &err), -EBADMSG);
    assert_string_equal(err.text,
                        "request 2: expected \"host web: link set name=eth0 mtu=1400\", got "
                        "\"host web: link set name=eth0 mtu=1399\"");
    assert_int_equal(nl_expect_end(nl, NULL), -EBADMSG);
    nl_free(nl);
}

static void what_never_came_fails_at_the_end(void **state)
{
    struct nl *nl = NULL, *web = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(nl_open_expecting("switch", &nl, NULL), 0);
    assert_int_equal(nl_derive(nl, -1, "host web", &web, NULL), 0);
    nl_expect(nl, "host web", "link set up name=lo", 0, NULL);
    assert_int_equal(nl_expect_end(nl, &err), -EBADMSG);
    assert_string_equal(err.text, "request 1 of 1 never came: \"host web: link set up name=lo\"");
    rtnl_link_up(web, "lo", true);
    assert_int_equal(nl_expect_end(web, NULL), -EBADMSG); /* queued, not sent */
    assert_int_equal(nl_flush(web, NULL), 0);
    assert_int_equal(nl_expect_end(nl, NULL), 0);
    rtnl_link_up(nl, "lo", true); /* the right words from the wrong namespace, and nothing left */
    assert_int_equal(nl_flush(nl, NULL), -EBADMSG);
    nl_free(web);
    nl_free(nl);
}

static void kernel_errors_reach_people_with_its_own_words(void **state)
{
    static const struct {
        int code;
        const char *ext_ack, *text;
    } cases[] = {
        {EPERM, NULL, "switch: link delete name=p-web: Operation not permitted"},
        {ENODEV, NULL, "switch: link delete name=p-web: No such device"},
        {EEXIST, NULL, "switch: link delete name=p-web: File exists"},
        {EINVAL, "mtu less than device minimum",
         "switch: link delete name=p-web: Invalid argument (the kernel says: mtu less than device "
         "minimum)"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct nl *nl = NULL;
        struct err err = ERR_INIT;
        assert_int_equal(nl_open_expecting("switch", &nl, NULL), 0);
        for (int j = 0; j < 2; j++)
            nl_expect(nl, NULL, "link delete name=p-web", cases[i].code, cases[i].ext_ack);
        rtnl_link_delete(nl, "p-web");
        assert_int_equal(nl_flush(nl, &err), -cases[i].code);
        assert_int_equal(err.code, cases[i].code);
        assert_string_equal(err.text, cases[i].text);
        rtnl_link_delete(nl, "p-web");
        nl_forgive(nl, EBUSY);
        nl_forgive(nl, cases[i].code);
        err = ERR_INIT;
        assert_int_equal(nl_flush(nl, &err), 0);
        assert_int_equal(err.code, 0);
        assert_int_equal(nl_expect_end(nl, NULL), 0);
        nl_free(nl);
    }
}

static void after_a_failure_later_messages_are_still_tried(void **state)
{
    struct nl *nl = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(nl_open_expecting("switch", &nl, NULL), 0);
    nl_expect(nl, NULL, "link set up name=a", ENODEV, NULL);
    nl_expect(nl, NULL, "link set up name=b", EPERM, NULL);
    nl_expect(nl, NULL, "link set up name=c", 0, NULL);
    rtnl_link_up(nl, "a", true);
    rtnl_link_up(nl, "b", true);
    rtnl_link_up(nl, "c", true);
    assert_int_equal(nl_flush(nl, &err), -ENODEV);
    assert_string_equal(err.text, "switch: link set up name=a: No such device");
    assert_int_equal(nl_expect_end(nl, NULL), 0);
    nl_free(nl);
}

static void unknown_interfaces_are_an_error_before_sending(void **state)
{
    struct nl *nl = NULL;
    struct err err = ERR_INIT;
    struct inet_prefix a4 = ip("10.0.0.1/24");
    assert_int_equal(nl_open_expecting("host web", &nl, NULL), 0);
    rtnl_address_add(nl, "eth7", &a4);
    assert_int_equal(nl_flush(nl, &err), -ENODEV);
    assert_string_equal(err.text, "host web: there is no interface \"eth7\"");
    assert_int_equal(nl_expect_end(nl, NULL), 0);
    nl_free(nl);
}

static void an_interrupted_dump_is_asked_again(void **state)
{
    struct {
        struct ifinfomsg head;
        struct rtattr name;
        char text[8];
        struct rtattr mtu;
        uint32_t value;
    } web = {{.ifi_index = 3, .ifi_flags = IFF_UP},
             {.rta_len = 4 + 6, .rta_type = IFLA_IFNAME},
             "p-web",
             {.rta_len = 8, .rta_type = IFLA_MTU},
             1400};
    const struct nl_answer half = {RTM_NEWLINK, &web, sizeof web};
    struct nl_answer both[] = {half, half};
    struct nl *nl = NULL;
    struct rtnl_link *links = NULL, *untouched = (void *)&web;
    size_t n = 0;
    assert_int_equal(nl_open_expecting("switch", &nl, NULL), 0);
    nl_expect_dump(nl, NULL, "link dump", &half, 1, true);
    nl_expect(nl, NULL, "link dump", EINTR, NULL);
    nl_expect_dump(nl, NULL, "link dump", both, 2, false);
    nl_expect(nl, NULL, "link dump", EPERM, NULL);
    assert_int_equal(rtnl_links(nl, &links, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_string_equal(links[1].name, "p-web");
    assert_int_equal(links[1].ifindex, 3);
    assert_int_equal(links[1].mtu, 1400);
    free(links);
    struct err err = ERR_INIT;
    assert_int_equal(rtnl_links(nl, &untouched, &n, &err), -EPERM);
    assert_ptr_equal(untouched, &web);
    assert_string_equal(err.text, "switch: link dump: Operation not permitted");
    assert_int_equal(nl_expect_end(nl, NULL), 0);
    nl_free(nl);
}

static void a_table_without_owner_is_the_second_try(void **state)
{
    static const int refusals[] = {EOPNOTSUPP, EINVAL};
    const struct nft_table t = {NFT_FAMILY_BRIDGE, "blackstart-x"};
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        struct nl *nl = NULL;
        struct err err = ERR_INIT;
        assert_int_equal(nl_open_expecting("switch", &nl, NULL), 0);
        nl_expect(nl, NULL, "nft table add bridge name=blackstart-x flags=owner", refusals[i],
                  NULL);
        nl_expect(nl, NULL, "nft table add bridge name=blackstart-x flags=none", 0, NULL);
        nl_expect(nl, NULL, "nft table add bridge name=blackstart-x flags=owner", EEXIST, NULL);
        assert_int_equal(nft_table_create(nl, &t, &err), 1);
        assert_int_equal(err.code, 0);
        assert_int_equal(nft_table_create(nl, &t, &err), -EEXIST);
        assert_int_equal(nl_expect_end(nl, NULL), 0);
        nl_free(nl);
    }
}

static void rules_say_what_was_asked(void **state)
{
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    skip(); /* registers hold host byte order */
#endif
    struct nl *nl = NULL;
    const struct nft_table t = {NFT_FAMILY_INET, "blackstart-x"};
    struct nft_rule r = {.table = t,
                         .chain = "input",
                         .iifname = "eth0",
                         .saddr = ip("10.1.2.3/8"),
                         .l4proto = IPPROTO_TCP,
                         .dport = {80},
                         .verdict = NFT_REJECT_RST,
                         .comment = "cut 1"};
    assert_int_equal(nl_open_recording("host web", &nl, NULL), 0);
    nft_rule_add(nl, &r);
    r = (struct nft_rule){.table = t, .chain = "output", .daddr = ip("fd00::1")};
    nft_rule_add(nl, &r);
    r = (struct nft_rule){.table = {NFT_FAMILY_BRIDGE, "blackstart-x"},
                          .chain = "forward",
                          .oifname = "p-web",
                          .daddr = ip("10.0.0.1")};
    nft_rule_add(nl, &r);
    r = (struct nft_rule){.table = t,
                          .chain = "input",
                          .smac = &mac1,
                          .l4proto = IPPROTO_TCP,
                          .reset_only = true,
                          .new_only = true,
                          .verdict = NFT_LET_PASS};
    nft_rule_add(nl, &r);
    r = (struct nft_rule){.table = t,
                          .chain = "input",
                          .l4proto = IPPROTO_ICMP,
                          .icmp_type = 3,
                          .verdict = NFT_REJECT_ICMP};
    nft_rule_add(nl, &r);
    assert_int_equal(nl_flush(nl, NULL), 0);
    static const char *const want[] = {
        "nft rule append inet table=blackstart-x chain=input expr=[meta key=iifname dreg=1]"
        "[cmp sreg=1 op=eq data=(value=eth0)][meta key=nfproto dreg=1][cmp sreg=1 op=eq "
        "data=(value=0x02)]"
        "[payload dreg=1 base=network offset=12 len=4]"
        "[bitwise sreg=1 dreg=1 len=4 mask=(value=0xff000000) xor=(value=0x00000000)]"
        "[cmp sreg=1 op=eq data=(value=0x0a000000)][meta key=l4proto dreg=1]"
        "[cmp sreg=1 op=eq data=(value=0x06)][payload dreg=1 base=transport offset=2 len=2]"
        "[cmp sreg=1 op=eq data=(value=0x0050)][counter bytes=0 packets=0][reject type=tcp-reset] "
        "comment=\"cut 1\"",
        "nft rule append inet table=blackstart-x chain=output expr=[meta key=nfproto dreg=1]"
        "[cmp sreg=1 op=eq data=(value=0x0a)][payload dreg=1 base=network offset=24 len=16]"
        "[cmp sreg=1 op=eq data=(value=0xfd000000000000000000000000000001)]"
        "[counter bytes=0 packets=0][immediate dreg=0 data=(verdict=(code=drop))]",
        "nft rule append bridge table=blackstart-x chain=forward expr=[meta key=oifname dreg=1]"
        "[cmp sreg=1 op=eq data=(value=p-web)][meta key=protocol dreg=1]"
        "[cmp sreg=1 op=eq data=(value=0x0800)][payload dreg=1 base=network offset=16 len=4]"
        "[cmp sreg=1 op=eq data=(value=0x0a000001)][counter bytes=0 packets=0]"
        "[immediate dreg=0 data=(verdict=(code=drop))]",
        "nft rule append inet table=blackstart-x chain=input expr=[meta key=iiftype dreg=1]"
        "[cmp sreg=1 op=eq data=(value=0x0100)][payload dreg=1 base=link offset=6 len=6]"
        "[cmp sreg=1 op=eq data=(value=0x020000000001)][meta key=l4proto dreg=1]"
        "[cmp sreg=1 op=eq data=(value=0x06)][payload dreg=1 base=transport offset=13 len=1]"
        "[bitwise sreg=1 dreg=1 len=1 mask=(value=0x04) xor=(value=0x00)]"
        "[cmp sreg=1 op=neq data=(value=0x00)][ct key=state dreg=1]"
        "[bitwise sreg=1 dreg=1 len=4 mask=(value=0x08000000) xor=(value=0x00000000)]"
        "[cmp sreg=1 op=neq data=(value=0x00000000)][counter bytes=0 packets=0]"
        "[immediate dreg=0 data=(verdict=(code=accept))]",
        "nft rule append inet table=blackstart-x chain=input expr=[meta key=l4proto dreg=1]"
        "[cmp sreg=1 op=eq data=(value=0x01)][payload dreg=1 base=transport offset=0 len=1]"
        "[cmp sreg=1 op=eq data=(value=0x03)][counter bytes=0 packets=0][reject type=icmpx code=1]",
    };
    for (size_t i = 0; i < ARRAY_SIZE(want); i++)
        assert_string_equal(nl_recorded_at(nl, i).text, want[i]);
    nl_free(nl);
}

/* --- Flows ------------------------------------------------------------------- */

static void flows_are_ended_one_by_one(void **state)
{
    struct nl *nl = NULL;
    struct sockdiag_tcp s = {.cookie = 7};
    struct inet_diag_req_v2 exact = {.sdiag_family = AF_INET,
                                     .sdiag_protocol = IPPROTO_TCP,
                                     .id = {.idiag_sport = htons(80),
                                            .idiag_dport = htons(4000),
                                            .idiag_src = {htonl(0x0a000001)},
                                            .idiag_dst = {htonl(0x0a000002)},
                                            .idiag_cookie = {7, 0}}};
    /* CTA_TUPLE_IP(1){V4_SRC(1), V4_DST(2)}, CTA_TUPLE_PROTO(2){NUM(1)=tcp} */
    static const uint8_t tuple[] = {20, 0, 1, 0x80, 8,  0, 1, 0,    10, 0, 0, 1, 8, 0, 2, 0,
                                    10, 0, 0, 2,    12, 0, 2, 0x80, 5,  0, 1, 0, 6, 0, 0, 0};
    struct conntrack c = {.original.source.family = AF_INET, .n_raw = sizeof tuple, .id = htonl(9)};
    memcpy(s.raw, &exact, sizeof exact);
    memcpy(c.raw, tuple, sizeof tuple);
    assert_int_equal(nl_open_recording("host web", &nl, NULL), 0);
    sockdiag_destroy(nl, &s);
    conntrack_delete(nl, &c);
    assert_int_equal(nl_flush(nl, NULL), 0);
    assert_string_equal(nl_recorded_at(nl, 0).text,
                        "sock destroy family=2 protocol=6 local=10.0.0.1 port=80 remote=10.0.0.2 "
                        "port=4000 cookie=0000000000000007");
    assert_string_equal(nl_recorded_at(nl, 1).text,
                        "conntrack delete original=(ip=(source=10.0.0.1 target=10.0.0.2) "
                        "proto=(protocol=6)) id=9");
    nl_free(nl);
}

/* TCP sockets that listen, UDP ones that are bound; a port of another, or a connection, is none. */
static void who_waits_on_a_port_is_told_by_inode(void **state)
{
    struct nl *nl = NULL;
    struct err err = ERR_INIT;
    AUTO_FREE uint32_t *inodes = NULL;
    size_t n = 0;
    const struct inet_diag_msg tcp[] = {
        {.idiag_family = AF_INET, .id = {.idiag_sport = htons(80)}, .idiag_inode = 11},
        {.idiag_family = AF_INET, .id = {.idiag_sport = htons(8080)}, .idiag_inode = 12},
        {.idiag_family = AF_INET, .id = {.idiag_sport = htons(80)}, .idiag_inode = 13}};
    const struct inet_diag_msg udp[] = {
        {.idiag_family = AF_INET6, .id = {.idiag_sport = htons(80)}, .idiag_inode = 21},
        {.idiag_family = AF_INET6,
         .id = {.idiag_sport = htons(80), .idiag_dport = htons(53)},
         .idiag_inode = 22}};
    const struct nl_answer listening[] = {{SOCK_DIAG_BY_FAMILY, &tcp[0], sizeof tcp[0]},
                                          {SOCK_DIAG_BY_FAMILY, &tcp[1], sizeof tcp[1]},
                                          {SOCK_DIAG_BY_FAMILY, &tcp[2], sizeof tcp[2]}};
    const struct nl_answer bound[] = {{SOCK_DIAG_BY_FAMILY, &udp[0], sizeof udp[0]},
                                      {SOCK_DIAG_BY_FAMILY, &udp[1], sizeof udp[1]}};
    assert_int_equal(nl_open_expecting("host web", &nl, &err), 0);
    nl_expect_dump(nl, NULL, "sock get family=2 protocol=6", listening, 3, false);
    nl_expect_dump(nl, NULL, "sock get family=10 protocol=6", NULL, 0, false);
    nl_expect_dump(nl, NULL, "sock get family=2 protocol=17", NULL, 0, false);
    nl_expect_dump(nl, NULL, "sock get family=10 protocol=17", bound, 2, false);
    if (sockdiag_waiting(nl, 80, &inodes, &n, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(nl_expect_end(nl, &err), 0);
    const uint32_t want[] = {11, 13, 21};
    assert_int_equal(n, ARRAY_SIZE(want));
    assert_memory_equal(inodes, want, sizeof want);
    nl_free(nl);
}

static void an_ipv4_address_in_an_ipv6_socket_is_one(void **state)
{
    static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 10, 0, 0, 1};
    char text[INET_TEXT_MAX];
    struct inet_prefix p = inet_address(AF_INET6, mapped),
                       same = inet_address(AF_INET, mapped + 12);
    assert_string_equal(inet_text(&p, text), "10.0.0.1");
    assert_memory_equal(&p, &same, sizeof p);
    static const uint8_t six[16] = {0xfd, [15] = 1};
    p = inet_address(AF_INET6, six);
    assert_string_equal(inet_text(&p, text), "fd00::1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_parse_and_print),
        cmocka_unit_test(networks_contain_their_addresses),
        cmocka_unit_test(hardware_addresses_parse),
        cmocka_unit_test(messages_are_these_bytes),
        cmocka_unit_test(nft_messages_are_these_bytes),
        cmocka_unit_test(a_recording_shares_its_log_in_order),
        cmocka_unit_test(an_observer_sees_changes_of_derived_ones_too),
        cmocka_unit_test(what_cannot_be_encoded_is_told_and_nothing_is_sent),
        cmocka_unit_test(a_thousand_pairs_are_one_message),
        cmocka_unit_test(expected_requests_are_checked_field_by_field),
        cmocka_unit_test(what_never_came_fails_at_the_end),
        cmocka_unit_test(kernel_errors_reach_people_with_its_own_words),
        cmocka_unit_test(after_a_failure_later_messages_are_still_tried),
        cmocka_unit_test(unknown_interfaces_are_an_error_before_sending),
        cmocka_unit_test(an_interrupted_dump_is_asked_again),
        cmocka_unit_test(a_table_without_owner_is_the_second_try),
        cmocka_unit_test(rules_say_what_was_asked),
        cmocka_unit_test(flows_are_ended_one_by_one),
        cmocka_unit_test(who_waits_on_a_port_is_told_by_inode),
        cmocka_unit_test(an_ipv4_address_in_an_ipv6_socket_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
