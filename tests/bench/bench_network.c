/* The network part of a lab, and cuts, against iproute2 and nft.
 *
 * Both sides end with the same state in the kernel: for each host a namespace, a cable whose port
 * is in the switch's bridge, the address, lo and both ends up, one permanent neighbour entry. The
 * switch is made quiet before, for all sides, as a lab's is. Our
 * cables have one queue, those of ip(8) the kernel's default, one for each processor. ip(8) keeps
 * namespaces by name (a bind mount), which is its way of keeping them at all. The floor are the messages that
 * we send, built before, on bare sockets: what the kernel itself takes for namespaces and links.
 */
#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/nft.h"
#include "sim/kernel/nl.h"
#include "sim/kernel/rtnl.h"
#include "tests/bench/bench.h"
#include "tests/bench/bench_bare.h"
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOSTS = 100, CUTS = 1000, SAMPLE = 100, BRIDGE = 0x8000, PAUSE_US = 500000 };

static struct inet_prefix ip(const char *text)
{
    struct inet_prefix p;
    struct err err = ERR_INIT;
    bench_ok(inet_parse(text, &p, &err), &err);
    return p;
}

/* Ports vanish when the kernel has taken the other end's namespace down, later and by itself, and
 * what it frees after that takes processors from whoever runs: wait, so that the end of one
 * measurement does not disturb the next. */
static void wait_for_ports_to_go(void)
{
    struct err err = ERR_INIT;
    CLEANUP(nl_free_p) struct nl *nl = NULL;
    bench_ok(nl_open_kernel(-1, "switch", &nl, &err), &err);
    for (;;) {
        struct rtnl_link *links = NULL;
        size_t n = 0;
        bench_ok(rtnl_links(nl, &links, &n, &err), &err);
        free(links);
        if (n <= 1) /* lo */
            break;
        usleep(20000);
    }
    usleep(PAUSE_US);
}

static void delete_bridge(void)
{
    struct err err = ERR_INIT;
    CLEANUP(nl_free_p) struct nl *nl = NULL;
    bench_ok(nl_open_kernel(-1, "switch", &nl, &err), &err);
    rtnl_link_delete(nl, "br0");
    bench_ok(nl_flush(nl, &err), &err);
}

/* A lab's switch has no addresses of its own, and neither have its ports. */
static void quiet_switch(void)
{
    struct err err = ERR_INIT;
    bench_ok(netns_sysctl(-1, "net/ipv6/conf/default/disable_ipv6", "1", &err), &err);
}

/* --- Hosts ------------------------------------------------------------------- */

static void add_bridge(struct nl *sw)
{
    rtnl_bridge_add(sw, &(struct rtnl_bridge){.name = "br0", .up = true, .ifindex = BRIDGE});
    nl_learn(sw, "br0", BRIDGE);
}

static void plug_host(struct nl *sw, unsigned i, int fd, struct nl **nl)
{
    struct err err = ERR_INIT;
    const struct inet_mac gateway = {{2, 0, 0, 0, 0, 1}};
    const struct inet_mac mac = {{2, 0, 0, 1, 0, (uint8_t)i}};
    char port[16], text[32];
    struct inet_prefix gw = ip("10.0.0.254");
    snprintf(port, sizeof port, "p%u", i);
    snprintf(text, sizeof text, "10.0.0.%u/24", i + 1);
    struct inet_prefix own = ip(text);
    rtnl_veth_add(sw, &(struct rtnl_veth){.name = port,
                                          .up = true,
                                          .master = "br0",
                                          .peer_netns = {fd, port},
                                          .peer_name = "eth0",
                                          .peer_mac = mac,
                                          .peer_ifindex = 2});
    bench_ok(nl_flush(sw, &err), &err);
    bench_ok(nl_derive(sw, fd, port, nl, &err), &err);
    nl_learn(*nl, "eth0", 2);
    rtnl_link_up(*nl, "lo", true);
    rtnl_link_up(*nl, "eth0", true);
    rtnl_address_add(*nl, "eth0", &own);
    rtnl_neighbour_add(*nl, "eth0", &gw, &gateway);
    bench_ok(nl_flush(*nl, &err), &err);
}

static struct bench_time hosts_by_blackstart(void)
{
    struct err err = ERR_INIT;
    int fds[HOSTS];
    struct nl *nls[HOSTS], *sw = NULL;
    struct bench_time start = bench_clock();
    bench_ok(nl_open_kernel(-1, "switch", &sw, &err), &err);
    add_bridge(sw);
    for (unsigned i = 0; i < HOSTS; i++) {
        bench_ok(netns_new(&fds[i], &err), &err);
        plug_host(sw, i, fds[i], &nls[i]);
    }
    struct bench_time t = bench_since(start);
    for (unsigned i = 0; i < HOSTS; i++) {
        nl_free(nls[i]);
        close(fds[i]);
    }
    nl_free(sw);
    delete_bridge();
    wait_for_ports_to_go();
    return t;
}

/* --- Hosts by bare messages: the bridge, then five of each host ----------------- */

enum { OF_HOST = 5 };

static struct bench_bare bare_messages(void)
{
    struct err err = ERR_INIT;
    struct bench_bare b = {.bytes = BUF_INIT};
    CLEANUP(nl_free_p) struct nl *sw = NULL;
    bench_ok(nl_open_recording("switch", &sw, &err), &err);
    nl_observe(sw, bench_bare_keep, &b);
    add_bridge(sw);
    for (unsigned i = 0; i < HOSTS; i++) {
        CLEANUP(nl_free_p) struct nl *nl = NULL;
        plug_host(sw, i, -1, &nl);
    }
    if (b.n != 1 + OF_HOST * HOSTS)
        bench_fail("%zu messages are not those of %d hosts", b.n, HOSTS);
    return b;
}

static void set_number(char *at, int number)
{
    memcpy(at, &number, sizeof number);
}

/* What an attribute holds, and how much; the message has it. */
static char *attribute(char *at, size_t *n, unsigned type)
{
    for (;;) {
        struct nlattr a;
        memcpy(&a, at, sizeof a);
        if ((a.nla_type & NLA_TYPE_MASK) == type) {
            *n = a.nla_len - NLA_HDRLEN;
            return at + NLA_HDRLEN;
        }
        if (NLA_ALIGN(a.nla_len) + sizeof a > *n)
            bench_fail("a message has no attribute %u", type);
        at += NLA_ALIGN(a.nla_len);
        *n -= NLA_ALIGN(a.nla_len);
    }
}

static void fill_cable(char *message, size_t n, int netns)
{
    const size_t head = NLMSG_HDRLEN + sizeof(struct ifinfomsg);
    size_t left = n - head;
    set_number(attribute(message + head, &left, IFLA_MASTER), BRIDGE);
    left = n - head;
    char *at = attribute(message + head, &left, IFLA_LINKINFO);
    at = attribute(at, &left, IFLA_INFO_DATA);
    at = attribute(at, &left, VETH_INFO_PEER) + sizeof(struct ifinfomsg);
    left -= sizeof(struct ifinfomsg);
    set_number(attribute(at, &left, IFLA_NET_NS_FD), netns);
}

/* Links, addresses and neighbours have their device's number at the same place. */
static void fill_device(char *message, int number)
{
    set_number(message + NLMSG_HDRLEN + offsetof(struct ifinfomsg, ifi_index), number);
}

static int bare_socket(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    return fd < 0 ? bench_fail("a bare socket"), -1 : fd;
}

static int own_namespace(void)
{
    return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

static struct bench_time hosts_by_bare_messages(void)
{
    struct bench_bare b = bare_messages();
    int fds[HOSTS], sockets[HOSTS], back = own_namespace();
    size_t n;
    for (unsigned i = 0; i < HOSTS; i++)
        for (size_t k = 1; k < OF_HOST; k++)
            fill_device(bench_bare_message(&b, 1 + i * OF_HOST + k, &n), k == 1 ? 1 : 2);
    struct bench_time start = bench_clock();
    int sw = bare_socket();
    bench_bare_send(&b, 0, 1, sw);
    for (unsigned i = 0; i < HOSTS; i++) {
        size_t first = 1 + i * OF_HOST;
        char *cable = bench_bare_message(&b, first, &n);
        if (unshare(CLONE_NEWNET) < 0 || (fds[i] = own_namespace()) < 0)
            bench_fail("a namespace");
        sockets[i] = bare_socket();
        if (setns(back, CLONE_NEWNET) < 0)
            bench_fail("the way back");
        fill_cable(cable, n, fds[i]);
        bench_bare_send(&b, first, 1, sw);
        bench_bare_send(&b, first + 1, OF_HOST - 1, sockets[i]);
    }
    struct bench_time t = bench_since(start);
    for (unsigned i = 0; i < HOSTS; i++) {
        close(sockets[i]);
        close(fds[i]);
    }
    close(sw);
    close(back);
    bench_bare_done(&b);
    delete_bridge();
    wait_for_ports_to_go();
    return t;
}

/* --- Hosts by ip(8) -------------------------------------------------------------- */

#define RUN(...) bench_run((const char *const[]){__VA_ARGS__, NULL}, NULL)

static void delete_names(void)
{
    AUTO_BUF script = BUF_INIT;
    for (unsigned i = 0; i < HOSTS; i++)
        buf_printf(&script, "netns delete h%u\n", i);
    bench_run((const char *const[]){"ip", "-batch", "-", NULL}, buf_text(&script));
    delete_bridge();
    wait_for_ports_to_go();
}

static struct bench_time hosts_by_ip(void)
{
    struct bench_time start = bench_clock();
    RUN("ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0");
    RUN("ip", "link", "set", "br0", "up");
    for (unsigned i = 0; i < HOSTS; i++) {
        char host[16], port[16], mac[32], own[32];
        snprintf(host, sizeof host, "h%u", i);
        snprintf(port, sizeof port, "p%u", i);
        snprintf(mac, sizeof mac, "02:00:00:01:00:%02x", i);
        snprintf(own, sizeof own, "10.0.0.%u/24", i + 1);
        RUN("ip", "netns", "add", host);
        RUN("ip", "link", "add", port, "master", "br0", "type", "veth", "peer", "name", "eth0",
            "address", mac, "netns", host);
        RUN("ip", "link", "set", port, "up");
        RUN("ip", "-n", host, "link", "set", "lo", "up");
        RUN("ip", "-n", host, "link", "set", "eth0", "up");
        RUN("ip", "-n", host, "address", "add", own, "dev", "eth0");
        RUN("ip", "-n", host, "neighbour", "replace", "10.0.0.254", "lladdr", "02:00:00:00:00:01",
            "dev", "eth0", "nud", "permanent");
    }
    struct bench_time t = bench_since(start);
    delete_names();
    return t;
}

/* One batch for the switch, one for each host: ip(8) knows no "in that namespace" inside a batch.
 */
static struct bench_time hosts_by_batch(void)
{
    struct bench_time start = bench_clock();
    AUTO_BUF script = BUF_INIT;
    buf_adds(&script, "link add br0 type bridge forward_delay 0 mcast_snooping 0\n"
                      "link set br0 up\n");
    for (unsigned i = 0; i < HOSTS; i++)
        buf_printf(&script,
                   "netns add h%u\n"
                   "link add p%u master br0 type veth peer name eth0 address 02:00:00:01:00:%02x "
                   "netns h%u\n"
                   "link set p%u up\n",
                   i, i, i, i, i);
    bench_run((const char *const[]){"ip", "-batch", "-", NULL}, buf_text(&script));
    for (unsigned i = 0; i < HOSTS; i++) {
        char host[16];
        snprintf(host, sizeof host, "h%u", i);
        buf_clear(&script);
        buf_printf(&script,
                   "link set lo up\nlink set eth0 up\naddress add 10.0.0.%u/24 dev eth0\n"
                   "neighbour replace 10.0.0.254 lladdr 02:00:00:00:00:01 dev eth0 nud permanent\n",
                   i + 1);
        bench_run((const char *const[]){"ip", "-n", host, "-batch", "-", NULL}, buf_text(&script));
    }
    struct bench_time t = bench_since(start);
    delete_names();
    return t;
}

/* --- Cuts -------------------------------------------------------------------- */

static const struct nft_table table = {NFT_FAMILY_BRIDGE, "blackstart-bench"};

static struct bench_time cuts_by_blackstart(void)
{
    struct err err = ERR_INIT;
    struct nl *nl = NULL;
    const struct nft_set cuts = {table, "cuts", NFT_KEY_PORTS};
    struct nft_element *pairs = calloc(CUTS, sizeof *pairs);
    bench_ok(nl_open_kernel(-1, "switch", &nl, &err), &err);
    bench_ok(nft_table_create(nl, &table, &err), &err);
    nft_chain_add(nl, &(struct nft_chain){table, "forward", NFT_FORWARD, -200});
    nft_set_create(nl, &cuts);
    nft_rule_add(nl, &(struct nft_rule){.table = table, .chain = "forward", .in = &cuts});
    bench_ok(nl_flush(nl, &err), &err);
    struct bench_time start = bench_clock();
    for (unsigned i = 0; i < CUTS; i++) {
        char in[16], out[16];
        snprintf(in, sizeof in, "p%u", i);
        snprintf(out, sizeof out, "q%u", i);
        pairs[i] = nft_element(NFT_KEY_PORTS, in, out);
    }
    nft_set_add(nl, &cuts, pairs, CUTS);
    bench_ok(nl_flush(nl, &err), &err);
    nft_set_delete(nl, &cuts, pairs, CUTS);
    bench_ok(nl_flush(nl, &err), &err);
    struct bench_time t = bench_since(start);
    nl_free(nl); /* and with it the table */
    free(pairs);
    return t;
}

static void nft_table_by_nft(void)
{
    bench_run((const char *const[]){"nft", "-f", "-", NULL},
              "table bridge bench {\n"
              " set cuts { type ifname . ifname; counter; }\n"
              " chain forward {\n"
              "  type filter hook forward priority -200;\n"
              "  iifname . oifname @cuts drop\n"
              " }\n"
              "}\n");
}

static struct bench_time cuts_by_nft_each(void)
{
    nft_table_by_nft();
    struct bench_time start = bench_clock();
    for (unsigned i = 0; i < 2 * SAMPLE; i++) {
        char element[64];
        snprintf(element, sizeof element, "{ \"p%u\" . \"q%u\" }", i % SAMPLE, i % SAMPLE);
        RUN("nft", i < SAMPLE ? "add" : "delete", "element", "bridge", "bench", "cuts", element);
    }
    struct bench_time t = bench_since(start);
    RUN("nft", "delete", "table", "bridge", "bench");
    t.wall_ms = t.wall_ms * CUTS / SAMPLE;
    t.cpu_ms = t.cpu_ms * CUTS / SAMPLE;
    return t;
}

static struct bench_time cuts_by_nft_file(void)
{
    static const char *const verbs[] = {"add", "delete"};
    nft_table_by_nft();
    struct bench_time start = bench_clock();
    for (size_t v = 0; v < ARRAY_SIZE(verbs); v++) {
        AUTO_BUF script = BUF_INIT;
        buf_printf(&script, "%s element bridge bench cuts { ", verbs[v]);
        for (unsigned i = 0; i < CUTS; i++)
            buf_printf(&script, "\"p%u\" . \"q%u\", ", i, i);
        buf_adds(&script, "}\n");
        bench_run((const char *const[]){"nft", "-f", "-", NULL}, buf_text(&script));
    }
    struct bench_time t = bench_since(start);
    RUN("nft", "delete", "table", "bridge", "bench");
    return t;
}

/* --- Rounds ------------------------------------------------------------------ */

struct side {
    struct bench_time (*fn)(void);
    struct bench_series series;
};

static void compare(const char *title, struct side *sides, size_t n, size_t rounds)
{
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < n; i++) {
            size_t k = (i + round) % n; /* nobody is always first */
            bench_add(&sides[k].series, sides[k].fn());
        }
    printf("%s, %zu rounds\n", title, rounds);
    for (size_t i = 0; i < n; i++)
        bench_print(&sides[i].series, i ? &sides[0].series : NULL);
}

/* Of processors: both sides are this process alone, and what else runs in the kernel is no difference. */
static void floor_gate(int *missed, const struct bench_series *ours,
                       const struct bench_series *bare)
{
    double v[BENCH_MAX_ROUNDS];
    for (size_t i = 0; i < ours->n; i++)
        v[i] = ours->rounds[i].cpu_ms / bare->rounds[i].cpu_ms;
    bench_gate_of(missed, "T1b 100 hosts: processors, ours over bare messages", v, ours->n, true,
                  1.2);
}

int main(void)
{
    struct side hosts[] = {
        {hosts_by_blackstart, {.name = "blackstart"}},
        {hosts_by_batch, {.name = "ip -batch"}},
        {hosts_by_ip, {.name = "ip, one process each"}},
        {hosts_by_bare_messages, {.name = "bare messages"}},
    };
    struct side cuts[] = {
        {cuts_by_blackstart, {.name = "blackstart"}},
        {cuts_by_nft_file, {.name = "nft -f, all in one"}},
        {cuts_by_nft_each, {.name = "nft, one process each (100 x 10)"}},
    };
    size_t rounds = bench_rounds(), twice = rounds > BENCH_MAX_ROUNDS / 2 ? rounds : 2 * rounds;
    int missed = 0;
    bench_hide();
    quiet_switch();
    compare("network part of a lab of 100 hosts", hosts, ARRAY_SIZE(hosts), twice);
    compare("1,000 cuts applied and reverted", cuts, ARRAY_SIZE(cuts), rounds);
    bench_gate_times(&missed, "T1 100 hosts: one ip each over ours", &hosts[2].series,
                     &hosts[0].series, 10);
    bench_gate_times(&missed, "T1b 100 hosts: ip -batch over ours", &hosts[1].series,
                     &hosts[0].series, 4);
    floor_gate(&missed, &hosts[0].series, &hosts[3].series);
    return bench_end(missed, NULL);
}
