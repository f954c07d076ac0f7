/* What our messages made, as iproute2 and nft read it; needs namespaces (suite lab).
 *
 * Everything runs twice: as we are, and (when that is root) as uid 65534 in a user namespace.
 */
#include "sim/base/buf.h"
#include "sim/kernel/hostcaps.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/nft.h"
#include "sim/kernel/nl.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/snapshot.h"
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* --- Helpers ----------------------------------------------------------------- */

static void ok_(int r, const struct err *err, int line)
{
    if (r >= 0)
        return;
    print_error("line %d: %s (%d)\n", line, err->text, r);
    fail();
}
#define ok(r, err) ok_(r, err, __LINE__)

static struct inet_prefix ip(const char *text)
{
    struct inet_prefix p = {0};
    struct err err = ERR_INIT;
    ok(inet_parse(text, &p, &err), &err);
    return p;
}

/* Runs a shell command inside; its exit code; output (may be NULL) is the caller's. */
static int run_in(int netns, const char *command, char **ret_output)
{
    AUTO_NETNS netns_scope scope = NETNS_OUTSIDE;
    struct err err = ERR_INIT;
    AUTO_BUF out = BUF_INIT;
    char piece[4096];
    ok(netns_enter(netns, &scope, &err), &err);
    FILE *f = popen(command, "re");
    assert_non_null(f);
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
        buf_add(&out, piece, n);
    int status = pclose(f);
    if (ret_output) {
        buf_adds(&out, "");
        *ret_output = buf_steal(&out);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static json_t *json_in(int netns, const char *command)
{
    AUTO_FREE char *text = NULL;
    assert_int_equal(run_in(netns, command, &text), 0);
    json_t *j = json_loads(text, 0, NULL);
    if (!j)
        print_error("%s: %s\n", command, text);
    assert_non_null(j);
    return j;
}

/* The member of an array of objects whose `key` is `value`; fails when there is none. */
static json_t *pick(json_t *array, const char *key, const char *value)
{
    size_t i;
    json_t *one;
    json_array_foreach (array, i, one) {
        const char *s = json_string_value(json_object_get(one, key));
        if (s && strcmp(s, value) == 0)
            return one;
    }
    print_error("no object with %s = %s\n", key, value);
    fail();
    return NULL;
}

static json_t *at(json_t *j, const char *path)
{
    char copy[128];
    snprintf(copy, sizeof copy, "%s", path);
    char *save = NULL;
    for (char *word = strtok_r(copy, ".", &save); word && j; word = strtok_r(NULL, ".", &save))
        j = word[0] >= '0' && word[0] <= '9' ? json_array_get(j, (size_t)atoi(word))
                                             : json_object_get(j, word);
    return j;
}

#define assert_text(j, path, want) assert_string_equal(json_string_value(at(j, path)), want)
#define assert_number(j, path, want) assert_int_equal(json_integer_value(at(j, path)), want)

/* By flags: the kernel brings operstate up to date up to a second later. */
static bool is_up(json_t *link)
{
    size_t i;
    json_t *flag;
    json_array_foreach (json_object_get(link, "flags"), i, flag) {
        if (strcmp(json_string_value(flag), "UP") == 0)
            return true;
    }
    return false;
}

static struct inet_mac mac(unsigned n)
{
    return (struct inet_mac){{2, 0, 0, 0, (uint8_t)(n >> 8), (uint8_t)n}};
}

struct pair_of_ns {
    int switch_fd, host_fd;
    struct nl *sw, *host;
};

static void open_two(struct pair_of_ns *t)
{
    struct err err = ERR_INIT;
    ok(netns_new(&t->switch_fd, &err), &err);
    ok(netns_new(&t->host_fd, &err), &err);
    ok(nl_open_kernel(t->switch_fd, "switch", &t->sw, &err), &err);
    ok(nl_derive(t->sw, t->host_fd, "host web", &t->host, &err), &err);
}

static void close_two(struct pair_of_ns *t)
{
    nl_free(t->host);
    nl_free(t->sw);
    close(t->host_fd);
    close(t->switch_fd);
}

/* The network part of one host, through any transport. */
static void build(struct nl *sw, struct nl *host, int host_fd)
{
    struct err err = ERR_INIT;
    struct inet_prefix a4 = ip("10.0.0.1/24"), a6 = ip("fd00::1/64"), gw = ip("10.0.0.254");
    struct inet_prefix to = ip("fd01::/48"), via = ip("fd00::2");
    struct inet_mac m1 = mac(1), m2 = mac(2), m3 = mac(3);
    struct rtnl_port port = RTNL_PORT_INIT;
    port.hairpin = 1;
    port.learning = 0;
    rtnl_bridge_add(sw, &(struct rtnl_bridge){.name = "br-lan", .mac = m1, .mtu = 1400});
    rtnl_veth_add(sw, &(struct rtnl_veth){.name = "p-web",
                                          .master = "br-lan", /* made by the message before */
                                          .group = 7,
                                          .mtu = 1400,
                                          .mac = m1,
                                          .peer_netns = {host_fd, "host web"},
                                          .peer_name = "eth0",
                                          .peer_mac = m2,
                                          .peer_ifindex = 9});
    rtnl_link_up(sw, "br-lan", true);
    rtnl_link_up(sw, "p-web", true);
    rtnl_port_set(sw, "p-web", &port);
    ok(nl_flush(sw, &err), &err);
    nl_learn(host, "eth0", 9);
    rtnl_link_up(host, "lo", true);
    rtnl_link_up(host, "eth0", true);
    rtnl_address_add(host, "eth0", &a4);
    rtnl_address_add(host, "eth0", &a6);
    rtnl_route_add(host, &(struct rtnl_route){.via = gw, .dev = "eth0"});
    rtnl_route_add(host, &(struct rtnl_route){.to = to, .via = via, .metric = 50});
    rtnl_neighbour_add(host, "eth0", &gw, &m3);
    rtnl_neighbour_add(host, "eth0", &via, &m3);
    ok(nl_flush(host, &err), &err);
    ok(nl_sysctl(host, "net/ipv4/ip_forward", "1", &err), &err);
}

/* --- Reading back ------------------------------------------------------------ */

static void iproute2_reads_links_as_asked(void **state)
{
    struct pair_of_ns t;
    open_two(&t);
    build(t.sw, t.host, t.host_fd);
    json_t *links = json_in(t.switch_fd, "ip -j -d link show");
    json_t *br = pick(links, "ifname", "br-lan"), *port = pick(links, "ifname", "p-web");
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
    assert_true(is_up(port));
    assert_number(port, "mtu", 1400);
    assert_text(port, "group", "7");
    assert_true(json_is_true(at(port, "linkinfo.info_slave_data.hairpin")));
    assert_false(json_is_true(at(port, "linkinfo.info_slave_data.learning")));
    assert_true(json_is_true(at(port, "linkinfo.info_slave_data.flood")));
    json_t *inside = json_in(t.host_fd, "ip -j -d link show dev eth0");
    assert_number(inside, "0.ifindex", 9);
    assert_text(inside, "0.address", "02:00:00:00:00:02");
    assert_true(is_up(at(inside, "0")));
    assert_number(inside, "0.mtu", 1400);
    json_decref(inside);
    json_decref(links);

    struct err err = ERR_INIT;
    rtnl_link_master(t.sw, "p-web", NULL);
    rtnl_link_group(t.sw, "p-web", 8);
    rtnl_link_mtu(t.sw, "p-web", 1300);
    rtnl_link_up(t.sw, "p-web", false);
    ok(nl_flush(t.sw, &err), &err);
    json_t *changed = json_in(t.switch_fd, "ip -j link show dev p-web");
    assert_null(at(changed, "0.master"));
    assert_text(changed, "0.group", "8");
    assert_number(changed, "0.mtu", 1300);
    assert_false(is_up(at(changed, "0")));
    json_decref(changed);

    rtnl_link_master(t.sw, "p-web", "br-lan");
    rtnl_link_up(t.sw, "p-web", true);
    rtnl_link_up(t.host, "eth0", false);
    ok(nl_flush(t.host, &err), &err);
    assert_int_equal(rtnl_ports_running(t.sw, NSEC_MSEC, &err), -ETIMEDOUT);
    assert_string_equal(err.text, "switch: the port p-web has no carrier");
    rtnl_link_up(t.host, "eth0", true);
    ok(nl_flush(t.host, &err), &err);
    ok(rtnl_ports_running(t.sw, 5 * NSEC_SEC, &err), &err);

    struct rtnl_link link;
    ok(rtnl_link_get(t.sw, "p-web", &link, &err), &err);
    assert_string_equal(link.kind, "veth");
    assert_int_equal(link.group, 8);
    assert_int_equal(link.peer, 9);
    rtnl_link_delete_group(t.sw, 8);
    ok(nl_flush(t.sw, &err), &err);
    assert_int_equal(rtnl_link_get(t.sw, "p-web", &link, &err), -ENODEV);
    assert_int_equal(run_in(t.host_fd, "ip link show dev eth0 2>/dev/null", NULL), 1);
    close_two(&t);
}

static void iproute2_reads_addresses_and_routes_as_asked(void **state)
{
    struct pair_of_ns t;
    open_two(&t);
    build(t.sw, t.host, t.host_fd);
    json_t *a = json_in(t.host_fd, "ip -j addr show dev eth0");
    json_t *four = pick(at(a, "0.addr_info"), "local", "10.0.0.1");
    json_t *six = pick(at(a, "0.addr_info"), "local", "fd00::1");
    assert_number(four, "prefixlen", 24);
    assert_text(four, "broadcast", "10.0.0.255");
    assert_text(four, "scope", "global");
    assert_number(six, "prefixlen", 64);
    assert_true(json_is_true(at(six, "nodad")));
    assert_null(at(six, "tentative"));
    json_decref(a);
    json_t *r = json_in(t.host_fd, "ip -j route show");
    json_t *def = pick(r, "dst", "default");
    assert_text(def, "gateway", "10.0.0.254");
    assert_text(def, "dev", "eth0");
    assert_text(def, "protocol", "static");
    json_decref(r);
    r = json_in(t.host_fd, "ip -6 -j route show");
    json_t *far = pick(r, "dst", "fd01::/48");
    assert_text(far, "gateway", "fd00::2");
    assert_number(far, "metric", 50);
    json_decref(r);
    json_t *n = json_in(t.host_fd, "ip -j neigh show");
    assert_text(pick(n, "dst", "10.0.0.254"), "lladdr", "02:00:00:00:00:03");
    assert_text(pick(n, "dst", "10.0.0.254"), "state.0", "PERMANENT");
    assert_text(pick(n, "dst", "fd00::2"), "state.0", "PERMANENT");
    json_decref(n);
    AUTO_FREE char *forward = NULL;
    assert_int_equal(run_in(t.host_fd, "cat /proc/sys/net/ipv4/ip_forward", &forward), 0);
    assert_string_equal(forward, "1\n");

    struct err err = ERR_INIT;
    struct rtnl_address *addresses = NULL;
    size_t count = 0, found = 0;
    ok(rtnl_addresses(t.host, &addresses, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        char text[INET_TEXT_MAX];
        found += addresses[i].ifindex == 9 &&
                 (strcmp(inet_text(&addresses[i].prefix, text), "10.0.0.1/24") == 0 ||
                  strcmp(text, "fd00::1/64") == 0);
    }
    assert_int_equal(found, 2);
    free(addresses);
    struct inet_prefix a4 = ip("10.0.0.1/24"), a6 = ip("fd00::1/64"), via = ip("fd00::2");
    struct inet_prefix to = ip("fd01::/48");
    rtnl_route_delete(t.host, &(struct rtnl_route){.to = to, .via = via});
    rtnl_address_delete(t.host, "eth0", &a4);
    rtnl_address_delete(t.host, "eth0", &a6);
    ok(nl_flush(t.host, &err), &err);
    AUTO_FREE char *left = NULL;
    assert_int_equal(
        run_in(t.host_fd, "ip -br addr show dev eth0; ip -6 route show fd01::/48", &left), 0);
    assert_null(strstr(left, "10.0.0.1"));
    assert_null(strstr(left, "fd0"));
    close_two(&t);
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
    const struct nft_pair pairs[] = {{"p-web", "p-db"}, {"p-db", "p-web"}};
    ok(nft_table_create(nl, &t, &err), &err);
    nft_chain_add(nl, &(struct nft_chain){t, "forward", NFT_FORWARD, -200});
    nft_pairs_create(nl, &t, "forward", "cuts");
    nft_pairs_add(nl, &t, "cuts", pairs, 2);
    ok(nl_flush(nl, &err), &err);
}

static void what_plan_records_is_what_run_sends(void **state)
{
    struct pair_of_ns t;
    struct err err = ERR_INIT;
    struct nl *plan_switch = NULL, *plan_host = NULL;
    struct collected *c = calloc(1, sizeof *c);
    assert_non_null(c);
    open_two(&t);
    nl_observe(t.sw, collect, c);
    nl_observe(t.host, collect, c);
    build(t.sw, t.host, t.host_fd);
    build_cuts(t.sw);
    ok(nl_open_recording("switch", &plan_switch, &err), &err);
    ok(nl_derive(plan_switch, -1, "host web", &plan_host, &err), &err);
    build(plan_switch, plan_host, -1);
    build_cuts(plan_switch);
    assert_int_equal(nl_recorded(plan_switch), c->n);
    assert_true(c->n > 15);
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
    close_two(&t);
}

/* The same rules by nft(8) in another namespace: both listings must be equal. */
static void nft_reads_rules_as_it_would_write_them(void **state)
{
    static const char oracle[] =
        "nft -f - <<'END'\n"
        "table inet blackstart-t {\n"
        " chain input {\n"
        "  type filter hook input priority 0; policy accept;\n"
        "  iifname \"eth0\" ip saddr 10.0.0.0/8 ip daddr 10.0.0.1 tcp dport 80 ct state new counter"
        " reject with tcp reset comment \"cut 1\"\n"
        "  ip6 saddr fd00::/44 counter reject with icmpx type port-unreachable\n"
        "  oifname \"eth1\" udp sport 53 counter drop\n"
        "  ip daddr 10.0.0.0/9 counter accept\n"
        " }\n"
        " chain output { type filter hook output priority -5; policy accept; }\n"
        "}\n"
        "table bridge blackstart-t {\n"
        " set cuts { type ifname . ifname; counter; elements = { \"p-a\" . \"p-b\" } }\n"
        " chain forward {\n"
        "  type filter hook forward priority -200; policy accept;\n"
        "  iifname . oifname @cuts drop\n"
        "  iifname \"p-a\" ip daddr 10.0.0.1 counter drop\n"
        " }\n"
        "}\n"
        "END\n";
    static const char list[] = "nft -s list ruleset | sed -e 's/ # progname.*//' "
                               "-e '/^\\tflags owner$/,+1d'";
    struct pair_of_ns t;
    struct err err = ERR_INIT;
    open_two(&t);
    const struct nft_table inet = {NFT_FAMILY_INET, "blackstart-t"};
    const struct nft_table bridge = {NFT_FAMILY_BRIDGE, "blackstart-t"};
    const struct nft_pair pair = {"p-a", "p-b"};
    ok(nft_table_create(t.sw, &inet, &err), &err);
    ok(nft_table_create(t.sw, &bridge, &err), &err);
    nft_chain_add(t.sw, &(struct nft_chain){inet, "input", NFT_INPUT, 0});
    struct nft_rule r = {.table = inet,
                         .chain = "input",
                         .iifname = "eth0",
                         .saddr = ip("10.1.2.3/8"),
                         .daddr = ip("10.0.0.1"),
                         .l4proto = IPPROTO_TCP,
                         .dport = 80,
                         .new_only = true,
                         .verdict = NFT_REJECT_RST,
                         .comment = "cut 1"};
    nft_rule_add(t.sw, &r);
    r = (struct nft_rule){
        .table = inet, .chain = "input", .saddr = ip("fd00::/44"), .verdict = NFT_REJECT_ICMP};
    nft_rule_add(t.sw, &r);
    r = (struct nft_rule){
        .table = inet, .chain = "input", .oifname = "eth1", .l4proto = IPPROTO_UDP, .sport = 53};
    nft_rule_add(t.sw, &r);
    r = (struct nft_rule){
        .table = inet, .chain = "input", .daddr = ip("10.0.0.0/9"), .verdict = NFT_LET_PASS};
    nft_rule_add(t.sw, &r);
    nft_chain_add(t.sw, &(struct nft_chain){inet, "output", NFT_OUTPUT, -5});
    nft_chain_add(t.sw, &(struct nft_chain){bridge, "forward", NFT_FORWARD, -200});
    nft_pairs_create(t.sw, &bridge, "forward", "cuts");
    nft_pairs_add(t.sw, &bridge, "cuts", &pair, 1);
    r = (struct nft_rule){
        .table = bridge, .chain = "forward", .iifname = "p-a", .daddr = ip("10.0.0.1")};
    nft_rule_add(t.sw, &r);
    ok(nl_flush(t.sw, &err), &err);

    AUTO_FREE char *ours = NULL, *theirs = NULL;
    assert_int_equal(run_in(t.host_fd, oracle, NULL), 0);
    assert_int_equal(run_in(t.host_fd, list, &theirs), 0);
    assert_int_equal(run_in(t.switch_fd, list, &ours), 0);
    assert_string_equal(ours, theirs);
    assert_non_null(strstr(ours, "comment \"cut 1\""));
    close_two(&t);
}

/* --- Lifetimes and transactions ---------------------------------------------- */

static void an_owned_table_dies_with_its_last_descriptor(void **state)
{
    struct pair_of_ns t;
    struct err err = ERR_INIT;
    open_two(&t);
    const struct nft_table table = {NFT_FAMILY_BRIDGE, "blackstart-t"};
    const char *there = "nft list tables | grep -q blackstart-t";
    assert_int_equal(nft_table_create(t.sw, &table, &err), 0);
    assert_int_equal(run_in(t.switch_fd, there, NULL), 0);
    assert_int_not_equal(
        run_in(t.switch_fd, "nft delete table bridge blackstart-t 2>/dev/null", NULL), 0);
    assert_int_not_equal(run_in(t.switch_fd, "nft flush ruleset 2>/dev/null", NULL), 127);
    assert_int_equal(run_in(t.switch_fd, there, NULL), 0);
    int fd = -1, diag = -1;
    ok(nl_fd(t.sw, NETLINK_SOCK_DIAG, &diag, &err), &err);
    ok(nl_fd(t.sw, NETLINK_NETFILTER, &fd, &err), &err);
    assert_int_not_equal(fd, diag);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    assert_true(copy >= 0);
    t.host = nl_free(t.host);
    t.sw = nl_free(t.sw);
    assert_int_equal(run_in(t.switch_fd, there, NULL), 0); /* the copy holds it */
    close(copy);
    assert_int_equal(run_in(t.switch_fd, there, NULL), 1);
    close_two(&t);
}

static void a_transaction_is_all_or_nothing(void **state)
{
    struct pair_of_ns t;
    struct err err = ERR_INIT;
    open_two(&t);
    const struct nft_table table = {NFT_FAMILY_BRIDGE, "blackstart-t"};
    const struct nft_pair pair = {"p-a", "p-b"};
    ok(nft_table_create(t.sw, &table, &err), &err);
    nft_chain_add(t.sw, &(struct nft_chain){table, "forward", NFT_FORWARD, -200});
    nft_pairs_add(t.sw, &table, "none", &pair, 1);
    nft_chain_add(t.sw, &(struct nft_chain){table, "other", NFT_FORWARD, -200});
    assert_int_equal(nl_flush(t.sw, &err), -ENOENT);
    assert_string_equal(err.text, "switch: nft element add bridge table=blackstart-t set=none "
                                  "elements=[(key=(value=p-a.p-b))]: No such file or directory");
    AUTO_FREE char *list = NULL;
    assert_int_equal(run_in(t.switch_fd, "nft list chains", &list), 0);
    assert_null(strstr(list, "forward"));

    nft_chain_add(t.sw, &(struct nft_chain){table, "forward", NFT_FORWARD, -200});
    nft_pairs_create(t.sw, &table, "forward", "cuts");
    nft_pairs_add(t.sw, &table, "cuts", &pair, 1);
    err = ERR_INIT;
    ok(nl_flush(t.sw, &err), &err);
    nft_pairs_add(t.sw, &table, "cuts", &pair, 1);
    assert_int_equal(nl_flush(t.sw, &err), -EEXIST);
    nft_pairs_delete(t.sw, &table, "cuts", &pair, 1);
    ok(nl_flush(t.sw, &err), &err);
    nft_pairs_delete(t.sw, &table, "cuts", &pair, 1);
    assert_int_equal(nl_flush(t.sw, &err), -ENOENT);
    close_two(&t);
}

static void five_thousand_cuts_fit_in_one_transaction(void **state)
{
    enum { N = 5000 };
    struct pair_of_ns t;
    struct err err = ERR_INIT;
    open_two(&t);
    const struct nft_table table = {NFT_FAMILY_BRIDGE, "blackstart-t"};
    struct nft_pair *pairs = calloc(N, sizeof *pairs);
    assert_non_null(pairs);
    for (int i = 0; i < N; i++) {
        snprintf(pairs[i].in, sizeof pairs[i].in, "p-%d", i);
        snprintf(pairs[i].out, sizeof pairs[i].out, "q-%d", i);
    }
    ok(nft_table_create(t.sw, &table, &err), &err);
    nft_chain_add(t.sw, &(struct nft_chain){table, "forward", NFT_FORWARD, -200});
    nft_pairs_create(t.sw, &table, "forward", "cuts");
    nft_pairs_add(t.sw, &table, "cuts", pairs, N);
    ok(nl_flush(t.sw, &err), &err);
    nft_pairs_delete(t.sw, &table, "cuts", pairs + 1, N - 1);
    ok(nl_flush(t.sw, &err), &err);
    struct nft_pair_seen *left = NULL;
    size_t n = 0;
    ok(nft_pairs(t.sw, &table, "cuts", &left, &n, &err), &err);
    assert_int_equal(n, 1);
    assert_string_equal(left[0].pair.in, "p-0");
    assert_string_equal(left[0].pair.out, "q-0");
    assert_int_equal(left[0].packets, 0);
    free(left);
    free(pairs);
    close_two(&t);
}

static void many_messages_go_in_several_sends(void **state)
{
    struct pair_of_ns t;
    struct err err = ERR_INIT;
    open_two(&t);
    build(t.sw, t.host, t.host_fd);
    for (unsigned i = 1; i <= 500; i++) {
        char text[32];
        snprintf(text, sizeof text, "10.1.%u.%u/16", i / 250, i % 250 + 1);
        struct inet_prefix a = ip(text);
        rtnl_address_add(t.host, "eth0", &a);
    }
    struct inet_prefix again = ip("10.1.0.2/16");
    rtnl_address_add(t.host, "eth0", &again);
    nl_forgive(t.host, EEXIST);
    ok(nl_flush(t.host, &err), &err);
    AUTO_FREE char *count = NULL;
    assert_int_equal(run_in(t.host_fd, "ip -o -4 addr show dev eth0 | grep -c 10.1.", &count), 0);
    assert_string_equal(count, "500\n");
    close_two(&t);
}

static void the_kernels_own_words_are_in_the_error(void **state)
{
    struct pair_of_ns t;
    struct err err = ERR_INIT;
    struct inet_prefix a4 = ip("10.0.0.1/24");
    open_two(&t);
    build(t.sw, t.host, t.host_fd);
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
    close_two(&t);
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
        ok(netns_new(&fds[i], &err), &err);
        /* No router solicitations: what is counted are our own packets. */
        ok(netns_sysctl(fds[i], "net/ipv6/conf/default/disable_ipv6", "1", &err), &err);
        snprintf(port, sizeof port, "p-%u", i);
        rtnl_veth_add(sw, &(struct rtnl_veth){.name = port,
                                              .master = "br-lan",
                                              .peer_netns = {fds[i], port},
                                              .peer_name = "eth0",
                                              .peer_mac = mac(i),
                                              .peer_ifindex = 2});
        rtnl_link_up(sw, port, true);
        ok(nl_flush(sw, &err), &err);
        ok(nl_derive(sw, fds[i], port, &nl, &err), &err);
        nl_learn(nl, "eth0", 2);
        snprintf(text, sizeof text, "10.0.0.%u/24", i + 1);
        struct inet_prefix own = ip(text);
        rtnl_link_up(nl, "eth0", true);
        rtnl_address_add(nl, "eth0", &own);
        for (unsigned j = 0; j < HOSTS; j++) {
            struct inet_mac m = mac(j);
            snprintf(text, sizeof text, "10.0.0.%u", j + 1);
            struct inet_prefix other = ip(text);
            if (j != i)
                rtnl_neighbour_add(nl, "eth0", &other, &m);
        }
        ok(nl_flush(nl, &err), &err);
        nl_free(nl);
        ok(netns_socket(fds[i], AF_INET, SOCK_DGRAM, 0, &socks[i], &err), &err);
        struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(7000)};
        assert_int_equal(bind(socks[i], (struct sockaddr *)&any, sizeof any), 0);
    }
    ok(rtnl_ports_running(sw, 5 * NSEC_SEC, &err), &err);
}

/* What has arrived of sender `from`, until all is here or nothing comes for half a second. */
static void listen_to(const int *socks, unsigned from, unsigned char got[HOSTS][HOSTS])
{
    struct pollfd fds[HOSTS];
    for (unsigned j = 0; j < HOSTS; j++)
        fds[j] = (struct pollfd){.fd = socks[j], .events = POLLIN};
    for (unsigned n = 0; n < HOSTS - 1 && poll(fds, HOSTS, 500) > 0;)
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
    ok(netns_new(&switch_fd, &err), &err);
    ok(nl_open_kernel(switch_fd, "switch", &sw, &err), &err);
    open_mesh(sw, fds, socks);
    speak(socks, got);
    for (unsigned j = 0; j < HOSTS; j++)
        for (unsigned i = 0; i < HOSTS; i++)
            assert_int_equal(got[j][i], i != j);

    const struct nft_table table = {NFT_FAMILY_BRIDGE, "blackstart-t"};
    const struct nft_pair cuts[] = {{"p-3", "p-17"}, {"p-59", "p-0"}};
    ok(nft_table_create(sw, &table, &err), &err);
    nft_chain_add(sw, &(struct nft_chain){table, "forward", NFT_FORWARD, -200});
    nft_pairs_create(sw, &table, "forward", "cuts");
    nft_pairs_add(sw, &table, "cuts", cuts, 2);
    ok(nl_flush(sw, &err), &err);
    speak(socks, got);
    for (unsigned j = 0; j < HOSTS; j++)
        for (unsigned i = 0; i < HOSTS; i++)
            assert_int_equal(got[j][i], i != j && !(i == 3 && j == 17) && !(i == 59 && j == 0));
    struct nft_pair_seen *seen = NULL;
    size_t n = 0;
    ok(nft_pairs(sw, &table, "cuts", &seen, &n, &err), &err);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(seen[i].packets, 1);
        assert_int_equal(seen[i].bytes, 29); /* IP header, UDP header, one byte */
    }
    free(seen);
    nft_pairs_delete(sw, &table, "cuts", cuts, 1);
    ok(nl_flush(sw, &err), &err);
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
    struct pair_of_ns t;
    struct err err = ERR_INIT;
    int sock = -1;
    open_two(&t);
    const struct nft_table table = {NFT_FAMILY_INET, "blackstart-t"};
    rtnl_link_up(t.host, "lo", true);
    ok(nl_flush(t.host, &err), &err);
    ok(nft_table_create(t.host, &table, &err), &err);
    nft_chain_add(t.host, &(struct nft_chain){table, "output", NFT_OUTPUT, 0});
    nft_rule_add(t.host, &(struct nft_rule){.table = table,
                                            .chain = "output",
                                            .l4proto = IPPROTO_UDP,
                                            .dport = 7000,
                                            .comment = "step-1"});
    ok(nl_flush(t.host, &err), &err);
    CLEANUP(snapshot_free_p) struct snapshot *before = NULL;
    ok(snapshot_take(t.host_fd, &before, &err), &err);
    ok(netns_socket(t.host_fd, AF_INET, SOCK_DGRAM, 0, &sock, &err), &err);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(7000), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(sendto(sock, "x", 1, 0, (struct sockaddr *)&to, sizeof to), -1);
    assert_int_equal(errno, EPERM); /* dropped in the sender's own output */
    close(sock);
    struct nft_rule_seen *rules = NULL;
    size_t n = 0;
    ok(nft_rules(t.host, &table, &rules, &n, &err), &err);
    assert_int_equal(n, 1);
    assert_int_equal(rules[0].packets, 1);
    assert_string_equal(rules[0].comment, "step-1");
    assert_string_equal(rules[0].chain, "output");

    CLEANUP(snapshot_free_p) struct snapshot *after = NULL;
    struct snapshot_diff d;
    ok(snapshot_take(t.host_fd, &after, &err), &err);
    snapshot_compare(before, after, &d); /* counters are masked */
    assert_int_equal(d.n_gone + d.n_added, 0);
    snapshot_diff_done(&d);
    nft_rule_delete(t.host, &table, "output", rules[0].handle);
    ok(nl_flush(t.host, &err), &err);
    free(rules);
    ok(nft_rules(t.host, &table, &rules, &n, &err), &err);
    assert_int_equal(n, 0);
    free(rules);
    close_two(&t);
}

/* --- Snapshots and abilities ------------------------------------------------- */

static bool has_line(const char **lines, size_t n, const char *words)
{
    for (size_t i = 0; i < n; i++)
        if (strstr(lines[i], words))
            return true;
    return false;
}

static void a_snapshot_sees_each_kind_of_change(void **state)
{
    static const struct {
        const char *command, *words;
    } changes[] = {
        {"ip link add x0 type bridge", "link type=1"},
        {"ip addr add 10.9.0.1/24 dev eth0", "local=10.9.0.1"},
        {"ip route add 10.8.0.0/16 via 10.0.0.9", "to=10.8.0.0"},
        {"ip -6 route add fd07::/64 dev eth0", "to=fd07::"},
        {"ip rule add fwmark 7 table 99", "mark=0x7"},
        {"tc qdisc add dev eth0 root handle 7: tbf rate 1mbit burst 10kb latency 50ms", "kind=tbf"},
        {"ip link set dev eth0 mtu 1300", "mtu=1300"},
        {"ip link set dev lo down", "name=lo"},
        {"nft add table inet theirs", "nft table inet name=theirs"},
        {"nft add set inet theirs s '{ type ipv4_addr; }'", "nft set inet table=theirs name=s"},
        {"nft add element inet theirs s '{ 10.0.0.7 }'", "key=(value=0x0a000007)"},
        {"nft add chain inet theirs c", "nft chain inet table=theirs name=c"},
        {"nft add rule inet theirs c tcp dport 80 limit rate 1/second drop", "[limit]"},
    };
    struct pair_of_ns t;
    struct err err = ERR_INIT;
    open_two(&t);
    build(t.sw, t.host, t.host_fd);
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        CLEANUP(snapshot_free_p) struct snapshot *before = NULL, *after = NULL, *same = NULL;
        struct snapshot_diff d;
        ok(snapshot_take(t.host_fd, &before, &err), &err);
        assert_int_equal(run_in(t.host_fd, changes[i].command, NULL), 0);
        ok(snapshot_take(t.host_fd, &after, &err), &err);
        ok(snapshot_take(t.host_fd, &same, &err), &err);
        snapshot_compare(before, after, &d);
        if (!has_line(d.added, d.n_added, changes[i].words))
            print_error("not seen: %s\n", changes[i].command);
        assert_true(has_line(d.added, d.n_added, changes[i].words));
        snapshot_diff_done(&d);
        snapshot_compare(after, same, &d);
        assert_int_equal(d.n_gone + d.n_added, 0);
        snapshot_diff_done(&d);
    }
    close_two(&t);
}

static void processes_of_a_namespace_are_found(void **state)
{
    struct err err = ERR_INIT;
    int fd = -1, pipe_fd[2];
    struct netns_id id, own;
    ok(netns_new(&fd, &err), &err);
    ok(netns_identity(fd, &id, &err), &err);
    int own_fd = -1;
    ok(netns_own(&own_fd, &err), &err);
    ok(netns_identity(own_fd, &own, &err), &err);
    assert_false(netns_same(id, own));
    close(own_fd);
    assert_int_equal(pipe2(pipe_fd, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char c;
        close(pipe_fd[0]);
        if (setns(fd, CLONE_NEWNET) < 0 || write(pipe_fd[1], "", 1) != 1)
            _exit(1);
        while (read(STDIN_FILENO, &c, 1) >= 0 || errno == EINTR)
            pause();
        _exit(0);
    }
    char c;
    assert_int_equal(read(pipe_fd[0], &c, 1), 1);
    struct snapshot_process *list = NULL;
    size_t n = 0, unseen = 0;
    ok(snapshot_processes(&id, 1, &list, &n, &unseen, &err), &err);
    assert_int_equal(n, 1);
    assert_int_equal(list[0].pid, pid);
    assert_true(list[0].start > 0);
    assert_string_equal(list[0].name, "test_kernel");
    free(list);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    ok(snapshot_processes(&id, 1, &list, &n, &unseen, &err), &err);
    assert_int_equal(n, 0);
    free(list);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
    close(fd);
}

static void trying_what_the_host_can_do_changes_nothing(void **state)
{
    CLEANUP(snapshot_free_p) struct snapshot *before = NULL, *after = NULL;
    CLEANUP(hostcaps_free_p) struct hostcaps *h = NULL;
    struct err err = ERR_INIT;
    struct snapshot_diff d;
    ok(snapshot_take(-1, &before, &err), &err);
    ok(hostcaps_probe(&h, &err), &err);
    ok(snapshot_take(-1, &after, &err), &err);
    snapshot_compare(before, after, &d);
    assert_int_equal(d.n_gone + d.n_added, 0);
    snapshot_diff_done(&d);
    static const char *const needed[] = {"network-namespaces",
                                         "mount-namespaces",
                                         "pid-namespaces",
                                         "bridge",
                                         "veth",
                                         "nft-bridge",
                                         "nft-inet",
                                         "raw-socket",
                                         "packet-socket",
                                         "pidfd",
                                         "clone3",
                                         "tmpfs"};
    for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
        const struct hostcap *c = hostcaps_find(h, needed[i]);
        assert_non_null(c);
        if (!c->ok)
            print_error("%s: %s\n", c->name, c->detail);
        assert_true(c->ok);
    }
    for (size_t i = 0; i < h->n; i++) {
        assert_non_null(h->items[i].name);
        assert_true(h->items[i].detail[0] && h->items[i].consequence[0]);
    }
    assert_true(h->lab_possible);
    assert_null(hostcaps_find(h, "nonsense"));
}

/* --- Who runs it ------------------------------------------------------------- */

static int all_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iproute2_reads_links_as_asked),
        cmocka_unit_test(iproute2_reads_addresses_and_routes_as_asked),
        cmocka_unit_test(what_plan_records_is_what_run_sends),
        cmocka_unit_test(nft_reads_rules_as_it_would_write_them),
        cmocka_unit_test(an_owned_table_dies_with_its_last_descriptor),
        cmocka_unit_test(a_transaction_is_all_or_nothing),
        cmocka_unit_test(five_thousand_cuts_fit_in_one_transaction),
        cmocka_unit_test(many_messages_go_in_several_sends),
        cmocka_unit_test(the_kernels_own_words_are_in_the_error),
        cmocka_unit_test(a_cut_pair_of_sixty_ports_drops_that_pair_alone),
        cmocka_unit_test(rules_count_what_they_hit),
        cmocka_unit_test(a_snapshot_sees_each_kind_of_change),
        cmocka_unit_test(processes_of_a_namespace_are_found),
        cmocka_unit_test(trying_what_the_host_can_do_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

static bool write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    return f && fputs(text, f) >= 0 && fclose(f) == 0;
}

static int skip_because(const char *why)
{
    if (getenv("BLACKSTART_TESTS_MUST_RUN")) {
        print_error("cannot run: %s\n", why);
        return 1;
    }
    print_message("skipped: %s\n", why);
    return 77;
}

static int run_in_userns(void)
{
    char map[64];
    unsigned uid = geteuid(), gid = getegid();
    prctl(PR_SET_DUMPABLE, 1); /* lost with the change of uid: /proc/self would be root's */
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return skip_because("user namespaces are not allowed here");
    snprintf(map, sizeof map, "0 %u 1", gid);
    if (!write_text("/proc/self/setgroups", "deny") || !write_text("/proc/self/gid_map", map))
        return skip_because("the group map of a user namespace cannot be written");
    snprintf(map, sizeof map, "0 %u 1", uid);
    if (!write_text("/proc/self/uid_map", map))
        return skip_because("the user map of a user namespace cannot be written");
    return all_tests();
}

static int in_child(int (*fn)(void), uid_t uid)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (uid && (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
                    setresuid(uid, uid, uid) < 0))
            _exit(1);
        int r = fn();
        fflush(NULL);
        _exit(r);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(void)
{
    if (geteuid() != 0)
        return in_child(run_in_userns, 0);
    int as_root = in_child(all_tests, 0);
    int as_nobody = in_child(run_in_userns, 65534);
    return as_root ? as_root : as_nobody;
}
