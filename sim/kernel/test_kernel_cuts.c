/* nf_tables: what our messages made, as nft reads it; transactions; what cuts do to traffic. */
#include "sim/kernel/test_kernel.h"

#include "sim/kernel/netns.h"
#include "sim/kernel/nft.h"
#include "sim/kernel/nl.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/snapshot.h"
#include "tests/support/netkit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

/* A set of port pairs, and the rule that loses them. */
static struct nft_set make_cuts(struct nl *nl, const struct nft_table *t)
{
    struct nft_set cuts = {*t, "cuts", NFT_KEY_PORTS};
    nft_set_create(nl, &cuts);
    nft_rule_add(nl, &(struct nft_rule){.table = *t, .chain = "forward", .in = &cuts});
    return cuts;
}

/* The same rules by nft(8) in another namespace: both listings must be equal. */
static void nft_reads_rules_as_it_would_write_them(void **state)
{
    static const char oracle[] =
        "nft -f - <<'END'\n"
        "table inet blackstart-t {\n"
        " set macs { type ifname . ether_addr; counter; elements = { \"eth0\" . 2:0:0:0:0:1 } }\n"
        " set near4 { type ifname . ipv4_addr; counter; elements = { \"eth0\" . 10.1.2.3 } }\n"
        " set far6 { type ifname . ipv6_addr; counter; elements = { \"p-a\" . fd00::1 } }\n"
        " chain aside { counter drop comment \"aside\"; }\n"
        " chain input {\n"
        "  type filter hook input priority 0; policy accept;\n"
        "  iifname \"eth0\" ip saddr 10.0.0.0/8 ip daddr 10.0.0.1 tcp dport 80 ct state new counter"
        " reject with tcp reset comment \"cut 1\"\n"
        "  ip6 saddr fd00::/44 counter reject with icmpx type port-unreachable\n"
        "  oifname \"eth1\" udp sport 53 counter drop\n"
        "  ip daddr 10.0.0.0/9 counter accept\n"
        "  tcp dport 8000-8010 counter drop\n"
        "  tcp flags & (fin | syn | rst | ack) == syn counter drop\n"
        "  iifname . ether saddr @macs counter drop\n"
        "  iifname . ip saddr @near4 counter drop\n"
        "  oifname . ip6 saddr @far6 counter drop\n"
        "  counter jump aside\n"
        " }\n"
        " chain output { type filter hook output priority -5; policy accept; }\n"
        "}\n"
        "table bridge blackstart-t {\n"
        " set cuts { type ifname . ifname; counter; elements = { \"p-a\" . \"p-b\" } }\n"
        " chain forward {\n"
        "  type filter hook forward priority -200; policy accept;\n"
        "  iifname . oifname @cuts counter drop\n"
        "  iifname \"p-a\" ip daddr 10.0.0.1 counter drop\n"
        " }\n"
        "}\n"
        "END\n";
    static const char list[] = "nft -s list ruleset | sed -e 's/ # progname.*//' "
                               "-e '/^\\tflags owner$/,+1d'";
    struct netkit t;
    struct err err = ERR_INIT;
    netkit_open(&t);
    const struct nft_table inet = {NFT_FAMILY_INET, "blackstart-t"};
    const struct nft_table bridge = {NFT_FAMILY_BRIDGE, "blackstart-t"};
    const struct inet_mac mac = {{2, 0, 0, 0, 0, 1}};
    const struct inet_prefix ip4 = netkit_ip("10.1.2.3"), ip6 = netkit_ip("fd00::1");
    const struct nft_set sets[] = {{inet, "macs", NFT_KEY_IN_MAC},
                                   {inet, "near4", NFT_KEY_IN_IP4},
                                   {inet, "far6", NFT_KEY_OUT_IP6}};
    const struct nft_element members[] = {nft_element(NFT_KEY_IN_MAC, "eth0", &mac),
                                          nft_element(NFT_KEY_IN_IP4, "eth0", &ip4),
                                          nft_element(NFT_KEY_OUT_IP6, "p-a", &ip6)};
    const struct nft_element pair = nft_element(NFT_KEY_PORTS, "p-a", "p-b");
    netkit_ok(nft_table_create(t.sw, &inet, &err), &err);
    netkit_ok(nft_table_create(t.sw, &bridge, &err), &err);
    nft_chain_add(t.sw, &(struct nft_chain){inet, "aside", .is_plain = true});
    nft_rule_add(t.sw, &(struct nft_rule){.table = inet, .chain = "aside", .comment = "aside"});
    nft_chain_add(t.sw, &(struct nft_chain){inet, "input", .hook = NFT_INPUT});
    struct nft_rule r = {.table = inet,
                         .chain = "input",
                         .iifname = "eth0",
                         .saddr = netkit_ip("10.1.2.3/8"),
                         .daddr = netkit_ip("10.0.0.1"),
                         .l4proto = IPPROTO_TCP,
                         .dport = {80},
                         .new_only = true,
                         .verdict = NFT_REJECT_RST,
                         .comment = "cut 1"};
    nft_rule_add(t.sw, &r);
    r = (struct nft_rule){.table = inet,
                          .chain = "input",
                          .saddr = netkit_ip("fd00::/44"),
                          .verdict = NFT_REJECT_ICMP};
    nft_rule_add(t.sw, &r);
    r = (struct nft_rule){
        .table = inet, .chain = "input", .oifname = "eth1", .l4proto = IPPROTO_UDP, .sport = {53}};
    nft_rule_add(t.sw, &r);
    r = (struct nft_rule){
        .table = inet, .chain = "input", .daddr = netkit_ip("10.0.0.0/9"), .verdict = NFT_LET_PASS};
    nft_rule_add(t.sw, &r);
    r = (struct nft_rule){
        .table = inet, .chain = "input", .l4proto = IPPROTO_TCP, .dport = {8000, 8010}};
    nft_rule_add(t.sw, &r);
    r = (struct nft_rule){
        .table = inet, .chain = "input", .l4proto = IPPROTO_TCP, .syn_only = true};
    nft_rule_add(t.sw, &r);
    for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
        nft_set_create(t.sw, &sets[i]);
        nft_set_add(t.sw, &sets[i], &members[i], 1);
        r = (struct nft_rule){.table = inet, .chain = "input", .in = &sets[i]};
        nft_rule_add(t.sw, &r);
    }
    nft_rule_add(t.sw, &(struct nft_rule){.table = inet, .chain = "input", .jump = "aside"});
    nft_chain_add(t.sw, &(struct nft_chain){inet, "output", NFT_OUTPUT, -5});
    nft_chain_add(t.sw, &(struct nft_chain){bridge, "forward", NFT_FORWARD, -200});
    struct nft_set cuts = make_cuts(t.sw, &bridge);
    nft_set_add(t.sw, &cuts, &pair, 1);
    r = (struct nft_rule){
        .table = bridge, .chain = "forward", .iifname = "p-a", .daddr = netkit_ip("10.0.0.1")};
    nft_rule_add(t.sw, &r);
    netkit_ok(nl_flush(t.sw, &err), &err);

    AUTO_FREE char *ours = NULL, *theirs = NULL;
    assert_int_equal(netkit_run(t.host_fd, oracle, NULL), 0);
    assert_int_equal(netkit_run(t.host_fd, list, &theirs), 0);
    assert_int_equal(netkit_run(t.switch_fd, list, &ours), 0);
    assert_string_equal(ours, theirs);
    assert_non_null(strstr(ours, "comment \"cut 1\""));
    netkit_close(&t);
}

/* --- Lifetimes and transactions ---------------------------------------------- */

static void an_owned_table_dies_with_its_last_descriptor(void **state)
{
    struct netkit t;
    struct err err = ERR_INIT;
    netkit_open(&t);
    const struct nft_table table = {NFT_FAMILY_BRIDGE, "blackstart-t"};
    const char *there = "nft list tables | grep -q blackstart-t";
    assert_int_equal(nft_table_create(t.sw, &table, &err), 0);
    assert_int_equal(netkit_run(t.switch_fd, there, NULL), 0);
    assert_int_not_equal(
        netkit_run(t.switch_fd, "nft delete table bridge blackstart-t 2>/dev/null", NULL), 0);
    assert_int_not_equal(netkit_run(t.switch_fd, "nft flush ruleset 2>/dev/null", NULL), 127);
    assert_int_equal(netkit_run(t.switch_fd, there, NULL), 0);
    int fd = -1, diag = -1;
    netkit_ok(nl_fd(t.sw, NETLINK_SOCK_DIAG, &diag, &err), &err);
    netkit_ok(nl_fd(t.sw, NETLINK_NETFILTER, &fd, &err), &err);
    assert_int_not_equal(fd, diag);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    assert_true(copy >= 0);
    t.host = nl_free(t.host);
    t.sw = nl_free(t.sw);
    assert_int_equal(netkit_run(t.switch_fd, there, NULL), 0); /* the copy holds it */
    close(copy);
    assert_int_equal(netkit_run(t.switch_fd, there, NULL), 1);
    netkit_close(&t);
}

static void a_transaction_is_all_or_nothing(void **state)
{
    struct netkit t;
    struct err err = ERR_INIT;
    netkit_open(&t);
    const struct nft_table table = {NFT_FAMILY_BRIDGE, "blackstart-t"};
    const struct nft_element pair = nft_element(NFT_KEY_PORTS, "p-a", "p-b");
    netkit_ok(nft_table_create(t.sw, &table, &err), &err);
    nft_chain_add(t.sw, &(struct nft_chain){table, "forward", NFT_FORWARD, -200});
    const struct nft_set none = {table, "none", NFT_KEY_PORTS};
    nft_set_add(t.sw, &none, &pair, 1);
    nft_chain_add(t.sw, &(struct nft_chain){table, "other", NFT_FORWARD, -200});
    assert_int_equal(nl_flush(t.sw, &err), -ENOENT);
    assert_string_equal(err.text, "switch: nft element add bridge table=blackstart-t set=none "
                                  "elements=[(key=(value=p-a.p-b))]: No such file or directory");
    AUTO_FREE char *list = NULL;
    assert_int_equal(netkit_run(t.switch_fd, "nft list chains", &list), 0);
    assert_null(strstr(list, "forward"));

    nft_chain_add(t.sw, &(struct nft_chain){table, "forward", NFT_FORWARD, -200});
    struct nft_set cuts = make_cuts(t.sw, &table);
    nft_set_add(t.sw, &cuts, &pair, 1);
    err = ERR_INIT;
    netkit_ok(nl_flush(t.sw, &err), &err);
    nft_set_add(t.sw, &cuts, &pair, 1);
    assert_int_equal(nl_flush(t.sw, &err), -EEXIST);
    nft_set_delete(t.sw, &cuts, &pair, 1);
    netkit_ok(nl_flush(t.sw, &err), &err);
    nft_set_delete(t.sw, &cuts, &pair, 1);
    assert_int_equal(nl_flush(t.sw, &err), -ENOENT);
    netkit_close(&t);
}

static void five_thousand_cuts_fit_in_one_transaction(void **state)
{
    enum { N = 5000 };
    struct netkit t;
    struct err err = ERR_INIT;
    netkit_open(&t);
    const struct nft_table table = {NFT_FAMILY_BRIDGE, "blackstart-t"};
    struct nft_element *pairs = calloc(N, sizeof *pairs);
    assert_non_null(pairs);
    for (int i = 0; i < N; i++) {
        char in[16], out[16];
        snprintf(in, sizeof in, "p-%d", i);
        snprintf(out, sizeof out, "q-%d", i);
        pairs[i] = nft_element(NFT_KEY_PORTS, in, out);
    }
    netkit_ok(nft_table_create(t.sw, &table, &err), &err);
    nft_chain_add(t.sw, &(struct nft_chain){table, "forward", NFT_FORWARD, -200});
    struct nft_set cuts = make_cuts(t.sw, &table);
    nft_set_add(t.sw, &cuts, pairs, N);
    netkit_ok(nl_flush(t.sw, &err), &err);
    nft_set_delete(t.sw, &cuts, pairs + 1, N - 1);
    netkit_ok(nl_flush(t.sw, &err), &err);
    struct nft_element_seen *left = NULL;
    size_t n = 0;
    netkit_ok(nft_set_read(t.sw, &cuts, &left, &n, &err), &err);
    assert_int_equal(n, 1);
    assert_memory_equal(&left[0].element, &pairs[0], sizeof pairs[0]);
    assert_int_equal(left[0].packets, 0);
    free(left);
    free(pairs);
    netkit_close(&t);
}

static void many_messages_go_in_several_sends(void **state)
{
    struct netkit t;
    struct err err = ERR_INIT;
    netkit_open(&t);
    netkit_build(t.sw, t.host, t.host_fd);
    for (unsigned i = 1; i <= 500; i++) {
        char text[32];
        snprintf(text, sizeof text, "10.1.%u.%u/16", i / 250, i % 250 + 1);
        struct inet_prefix a = netkit_ip(text);
        rtnl_address_add(t.host, "eth0", &a);
    }
    struct inet_prefix again = netkit_ip("10.1.0.2/16");
    rtnl_address_add(t.host, "eth0", &again);
    nl_forgive(t.host, EEXIST);
    netkit_ok(nl_flush(t.host, &err), &err);
    AUTO_FREE char *count = NULL;
    assert_int_equal(netkit_run(t.host_fd, "ip -o -4 addr show dev eth0 | grep -c 10.1.", &count),
                     0);
    assert_string_equal(count, "500\n");
    netkit_close(&t);
}

static void the_kernels_own_words_are_in_the_error(void **state)
{
    struct netkit t;
    struct err err = ERR_INIT;
    struct inet_prefix a4 = netkit_ip("10.0.0.1/24");
    netkit_open(&t);
    netkit_build(t.sw, t.host, t.host_fd);
    rtnl_link_mtu(t.sw, "p-web", 1);
    assert_int_equal(nl_flush(t.sw, &err), -EINVAL);
    assert_string_equal(err.text, "switch: link set name=p-web mtu=1: Invalid argument (the kernel "
                                  "says: mtu less than device minimum)");
    rtnl_link_delete(t.sw, "none");
    assert_int_equal(nl_flush(t.sw, &err), -ENODEV);
    rtnl_bridge_add(t.sw, &(struct rtnl_bridge){.name = "br-lan"});
    assert_int_equal(nl_flush(t.sw, &err), -EEXIST);
    rtnl_address_add(t.host, "eth5", &a4);
    assert_int_equal(nl_flush(t.host, &err), -ENODEV);
    assert_string_equal(err.text, "host web: there is no interface \"eth5\"");
    assert_int_equal(nl_sysctl(t.host, "net/none", "1", &err), -ENOENT);
    assert_string_equal(err.text, "host web: cannot open /proc/sys/net/none: No such file or "
                                  "directory");
    netkit_close(&t);
}

/* --- Traffic ----------------------------------------------------------------- */

enum { HOSTS = 60 };

static void open_mesh(struct nl *sw, int *fds, int *socks)
{
    struct err err = ERR_INIT;
    rtnl_bridge_add(sw, &(struct rtnl_bridge){.name = "br-lan"});
    rtnl_link_up(sw, "br-lan", true);
    for (unsigned i = 0; i < HOSTS; i++) {
        char port[16], text[32];
        struct nl *nl = NULL;
        netkit_ok(netns_new(&fds[i], &err), &err);
        /* No router solicitations: what is counted are our own packets. */
        netkit_ok(netns_sysctl(fds[i], "net/ipv6/conf/default/disable_ipv6", "1", &err), &err);
        snprintf(port, sizeof port, "p-%u", i);
        rtnl_veth_add(sw, &(struct rtnl_veth){.name = port,
                                              .master = "br-lan",
                                              .peer_netns = {fds[i], port},
                                              .peer_name = "eth0",
                                              .peer_mac = netkit_mac(i),
                                              .peer_ifindex = 2});
        rtnl_link_up(sw, port, true);
        netkit_ok(nl_flush(sw, &err), &err);
        netkit_ok(nl_derive(sw, fds[i], port, &nl, &err), &err);
        nl_learn(nl, "eth0", 2);
        snprintf(text, sizeof text, "10.0.0.%u/24", i + 1);
        struct inet_prefix own = netkit_ip(text);
        rtnl_link_up(nl, "eth0", true);
        rtnl_address_add(nl, "eth0", &own);
        for (unsigned j = 0; j < HOSTS; j++) {
            struct inet_mac m = netkit_mac(j);
            snprintf(text, sizeof text, "10.0.0.%u", j + 1);
            struct inet_prefix other = netkit_ip(text);
            if (j != i)
                rtnl_neighbour_add(nl, "eth0", &other, &m);
        }
        netkit_ok(nl_flush(nl, &err), &err);
        nl_free(nl);
        netkit_ok(netns_socket(fds[i], AF_INET, SOCK_DGRAM, 0, &socks[i], &err), &err);
        struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(7000)};
        assert_int_equal(bind(socks[i], (struct sockaddr *)&any, sizeof any), 0);
    }
    netkit_ok(rtnl_ports_running(sw, 5 * NSEC_SEC, &err), &err);
}

/* What has arrived of sender `from`, until all is here or nothing comes for two seconds: a busy
 * machine may take a while to bring the last one. */
static void listen_to(const int *socks, unsigned from, unsigned char got[HOSTS][HOSTS])
{
    struct pollfd fds[HOSTS];
    for (unsigned j = 0; j < HOSTS; j++)
        fds[j] = (struct pollfd){.fd = socks[j], .events = POLLIN};
    for (unsigned n = 0; n < HOSTS - 1 && poll(fds, HOSTS, 2000) > 0;)
        for (unsigned j = 0; j < HOSTS; j++) {
            unsigned char who;
            if (recv(socks[j], &who, 1, MSG_DONTWAIT) != 1)
                continue;
            assert_int_equal(who, from);
            got[j][who]++;
            n++;
        }
}

/* Each to each; got[to][from] counts. One sender after the other: a burst of 3,540 datagrams could
 * be more than the kernel's backlog of 1,000 per processor. */
static void speak(const int *socks, unsigned char got[HOSTS][HOSTS])
{
    memset(got, 0, (size_t)HOSTS * HOSTS);
    for (unsigned char i = 0; i < HOSTS; i++) {
        for (unsigned j = 0; j < HOSTS; j++) {
            struct sockaddr_in to = {.sin_family = AF_INET,
                                     .sin_port = htons(7000),
                                     .sin_addr.s_addr = htonl(0x0a000001 + j)};
            if (i != j)
                assert_int_equal(sendto(socks[i], &i, 1, 0, (struct sockaddr *)&to, sizeof to), 1);
        }
        listen_to(socks, i, got);
    }
}

static void a_cut_pair_of_sixty_ports_drops_that_pair_alone(void **state)
{
    struct err err = ERR_INIT;
    struct nl *sw = NULL;
    int switch_fd = -1, fds[HOSTS], socks[HOSTS];
    static unsigned char got[HOSTS][HOSTS];
    netkit_ok(netns_new(&switch_fd, &err), &err);
    netkit_ok(nl_open_kernel(switch_fd, "switch", &sw, &err), &err);
    open_mesh(sw, fds, socks);
    speak(socks, got);
    for (unsigned j = 0; j < HOSTS; j++)
        for (unsigned i = 0; i < HOSTS; i++)
            assert_int_equal(got[j][i], i != j);

    const struct nft_table table = {NFT_FAMILY_BRIDGE, "blackstart-t"};
    const struct nft_element pairs[] = {nft_element(NFT_KEY_PORTS, "p-3", "p-17"),
                                        nft_element(NFT_KEY_PORTS, "p-59", "p-0")};
    netkit_ok(nft_table_create(sw, &table, &err), &err);
    nft_chain_add(sw, &(struct nft_chain){table, "forward", NFT_FORWARD, -200});
    struct nft_set cuts = make_cuts(sw, &table);
    nft_set_add(sw, &cuts, pairs, 2);
    netkit_ok(nl_flush(sw, &err), &err);
    speak(socks, got);
    for (unsigned j = 0; j < HOSTS; j++)
        for (unsigned i = 0; i < HOSTS; i++)
            assert_int_equal(got[j][i], i != j && !(i == 3 && j == 17) && !(i == 59 && j == 0));
    struct nft_element_seen *seen = NULL;
    size_t n = 0;
    netkit_ok(nft_set_read(sw, &cuts, &seen, &n, &err), &err);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(seen[i].packets, 1);
        assert_int_equal(seen[i].bytes, 29); /* IP header, UDP header, one byte */
    }
    free(seen);
    nft_set_delete(sw, &cuts, pairs, 1);
    netkit_ok(nl_flush(sw, &err), &err);
    speak(socks, got);
    assert_int_equal(got[17][3], 1);
    assert_int_equal(got[0][59], 0);
    nl_free(sw);
    for (unsigned i = 0; i < HOSTS; i++) {
        close(socks[i]);
        close(fds[i]);
    }
    close(switch_fd);
}

static void rules_count_what_they_hit(void **state)
{
    struct netkit t;
    struct err err = ERR_INIT;
    int sock = -1;
    netkit_open(&t);
    const struct nft_table table = {NFT_FAMILY_INET, "blackstart-t"};
    rtnl_link_up(t.host, "lo", true);
    netkit_ok(nl_flush(t.host, &err), &err);
    netkit_ok(nft_table_create(t.host, &table, &err), &err);
    nft_chain_add(t.host, &(struct nft_chain){table, "output", NFT_OUTPUT, 0});
    nft_rule_add(t.host, &(struct nft_rule){.table = table,
                                            .chain = "output",
                                            .l4proto = IPPROTO_UDP,
                                            .dport = {7000},
                                            .comment = "step-1"});
    netkit_ok(nl_flush(t.host, &err), &err);
    CLEANUP(snapshot_free_p) struct snapshot *before = NULL;
    netkit_ok(snapshot_take(t.host_fd, &before, &err), &err);
    netkit_ok(netns_socket(t.host_fd, AF_INET, SOCK_DGRAM, 0, &sock, &err), &err);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(7000), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(sendto(sock, "x", 1, 0, (struct sockaddr *)&to, sizeof to), -1);
    assert_int_equal(errno, EPERM); /* dropped in the sender's own output */
    close(sock);
    struct nft_rule_seen *rules = NULL;
    size_t n = 0;
    netkit_ok(nft_rules(t.host, &table, &rules, &n, &err), &err);
    assert_int_equal(n, 1);
    assert_int_equal(rules[0].packets, 1);
    assert_string_equal(rules[0].comment, "step-1");
    assert_string_equal(rules[0].chain, "output");

    CLEANUP(snapshot_free_p) struct snapshot *after = NULL;
    struct snapshot_diff d;
    netkit_ok(snapshot_take(t.host_fd, &after, &err), &err);
    snapshot_compare(before, after, &d); /* counters are masked */
    assert_int_equal(d.n_gone + d.n_added, 0);
    snapshot_diff_done(&d);
    nft_rule_delete(t.host, &table, "output", rules[0].handle);
    netkit_ok(nl_flush(t.host, &err), &err);
    free(rules);
    netkit_ok(nft_rules(t.host, &table, &rules, &n, &err), &err);
    assert_int_equal(n, 0);
    free(rules);
    netkit_close(&t);
}

int test_kernel_cuts(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(nft_reads_rules_as_it_would_write_them),
        cmocka_unit_test(an_owned_table_dies_with_its_last_descriptor),
        cmocka_unit_test(a_transaction_is_all_or_nothing),
        cmocka_unit_test(five_thousand_cuts_fit_in_one_transaction),
        cmocka_unit_test(many_messages_go_in_several_sends),
        cmocka_unit_test(the_kernels_own_words_are_in_the_error),
        cmocka_unit_test(a_cut_pair_of_sixty_ports_drops_that_pair_alone),
        cmocka_unit_test(rules_count_what_they_hit),
    };
    return cmocka_run_group_tests_name("test_kernel_cuts", all, NULL, NULL);
}
