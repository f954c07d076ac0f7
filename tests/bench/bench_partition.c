/* A partition of 100 hosts, fifty against fifty: 5,000 ways.
 *
 * Three times are told of ours: loading the rules (nothing happens yet), taking effect (the skew: from
 * the first request to the last acknowledgement), and healing. By hand the skew is from the start of
 * the first program to the end of the last, as a script starts them: `nft -f` with the same rules, and
 * one `iptables` in each host with fifty sources, as other tools do it. Programs enter hosts by
 * setns(2) before exec, which is cheaper than nsenter(1) or `ip netns exec`.
 */
#include "injectors/net/partition/cut.h"
#include "sim/base/arena.h"
#include "sim/base/buf.h"
#include "sim/kernel/netns.h"
#include "sim/lab/lab.h"
#include "tests/bench/bench.h"
#include "tests/bench/bench_hosts.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOSTS = 100 };

struct bed {
    struct lab *lab;
    struct cut cut;
    struct nl *switch_nl;
    int switch_fd; /* a namespace with a bridge's tables, for programs */
};

static void make_cut(const struct scenario *s, struct cut *ret)
{
    CLEANUP(topo_free_p) struct topo *topo = NULL;
    AUTO_GRUDGE ways = {0};
    const char *hosts[HOSTS];
    size_t group[HOSTS];
    struct err err = ERR_INIT;
    bench_ok(topo_new(s, &topo, &err), &err);
    for (size_t i = 0; i < HOSTS; i++) {
        hosts[i] = ((const struct host *)s->hosts.items[i])->name;
        group[i] = i < HOSTS / 2;
    }
    grudge_between(group, HOSTS, true, true, &ways);
    cut_along(topo, hosts, HOSTS, &ways, ret);
}

/* --- Ours ------------------------------------------------------------------------------------- */

struct times {
    struct bench_series load, wake, heal;
};

static struct cut_place place(struct bed *b, const struct cut_scope *s, size_t i)
{
    if (cut_is_at_switch(s))
        return (struct cut_place){NULL, b->switch_nl, "blackstart-bench"};
    struct lab_node *n = lab_node_at(b->lab, i);
    return (struct cut_place){lab_node_name(n), lab_node_nl(n), "blackstart-bench"};
}

static void by_us(struct bed *b, const struct cut_scope *s, struct times *t)
{
    struct err err = ERR_INIT;
    size_t n = cut_is_at_switch(s) ? 1 : HOSTS;
    struct bench_time start = bench_clock();
    for (size_t i = 0; i < n; i++) {
        struct cut_place at = place(b, s, i);
        bench_ok(cut_load(&b->cut, s, &at, &err), &err);
    }
    bench_add(&t->load, bench_since(start));
    start = bench_clock();
    for (size_t i = 0; i < n; i++) {
        struct cut_place at = place(b, s, i);
        bench_ok(cut_wake(&at, &err), &err);
    }
    bench_add(&t->wake, bench_since(start));
    start = bench_clock();
    for (size_t i = 0; i < n; i++) {
        struct cut_place at = place(b, s, i);
        bench_ok(cut_remove(&at, &err), &err);
    }
    bench_add(&t->heal, bench_since(start));
}

/* --- By programs ------------------------------------------------------------------------------ */

static void run_in(int netns, const char *const *argv, const char *input)
{
    struct err err = ERR_INIT;
    AUTO_NETNS netns_scope back = NETNS_OUTSIDE;
    bench_ok(netns_enter(netns, &back, &err), &err);
    bench_run(argv, input);
}

static const char *const nft_file[] = {"nft", "-f", "-", NULL};

static struct bench_time drop_by_nft(struct bed *b)
{
    AUTO_BUF script = BUF_INIT;
    buf_adds(&script,
             "table bridge cut {\n set near { type ifname . ifname; counter; elements = {\n");
    for (size_t i = 0; i < b->cut.n_pairs; i++)
        buf_printf(&script, "\"%s\" . \"%s\",\n", b->cut.ports.items[b->cut.pairs[i].from].name,
                   b->cut.ports.items[b->cut.pairs[i].to].name);
    buf_adds(&script, "} }\n chain f { type filter hook forward priority -300;\n"
                      "  iifname . oifname @near drop\n }\n}\n");
    struct bench_time start = bench_clock();
    run_in(b->switch_fd, nft_file, buf_text(&script));
    struct bench_time t = bench_since(start);
    run_in(b->switch_fd, nft_file, "delete table bridge cut\n");
    return t;
}

static struct bench_time refuse_by_nft(struct bed *b)
{
    AUTO_BUF script = BUF_INIT;
    struct bench_time start = bench_clock();
    for (size_t i = 0; i < HOSTS; i++) {
        buf_clear(&script);
        buf_adds(&script, "table inet cut {\n set near { type ipv4_addr; counter; elements = {\n");
        for (size_t k = 0; k < HOSTS / 2; k++)
            buf_printf(&script, "10.0.0.%zu,\n", 1 + (i < HOSTS / 2 ? HOSTS / 2 : 0) + k);
        buf_adds(&script, "} }\n chain in { type filter hook input priority -310;\n"
                          "  ip saddr @near meta l4proto tcp reject with tcp reset\n"
                          "  ip saddr @near reject\n }\n}\n");
        run_in(lab_node_netns(lab_node_at(b->lab, i)), nft_file, buf_text(&script));
    }
    struct bench_time t = bench_since(start);
    for (size_t i = 0; i < HOSTS; i++)
        run_in(lab_node_netns(lab_node_at(b->lab, i)), nft_file, "delete table inet cut\n");
    return t;
}

static struct bench_time drop_by_iptables(struct bed *b)
{
    AUTO_BUF lower = BUF_INIT, upper = BUF_INIT;
    for (size_t i = 0; i < HOSTS; i++)
        buf_printf(i < HOSTS / 2 ? &lower : &upper, "%s10.0.0.%zu", i % (HOSTS / 2) ? "," : "",
                   i + 1);
    struct bench_time start = bench_clock();
    for (size_t i = 0; i < HOSTS; i++)
        run_in(lab_node_netns(lab_node_at(b->lab, i)),
               (const char *const[]){"iptables", "-w", "-A", "INPUT", "-s",
                                     buf_text(i < HOSTS / 2 ? &upper : &lower), "-j", "DROP", NULL},
               NULL);
    struct bench_time t = bench_since(start);
    for (size_t i = 0; i < HOSTS; i++)
        run_in(lab_node_netns(lab_node_at(b->lab, i)), nft_file, "delete table ip filter\n");
    return t;
}

/* --- Rounds ----------------------------------------------------------------------------------- */

static void measure_rounds(struct bed *b)
{
    const struct cut_scope drop = {0}, refuse = {.refuse = true};
    static struct times d = {{.name = "drop: rules loaded"},
                             {.name = "drop: took effect"},
                             {.name = "drop: healed"}},
                        r = {{.name = "reject: rules loaded"},
                             {.name = "reject: took effect"},
                             {.name = "reject: healed"}};
    static struct bench_series nft = {.name = "drop: nft -f"},
                               each = {.name = "reject: nft -f in each host"},
                               iptables = {.name = "drop: iptables in each host"};
    for (size_t i = 0; i < bench_rounds(); i++) {
        by_us(b, &drop, &d);
        by_us(b, &refuse, &r);
        bench_add(&nft, drop_by_nft(b));
        bench_add(&each, refuse_by_nft(b));
        bench_add(&iptables, drop_by_iptables(b));
    }
    bench_print(&d.load, NULL);
    bench_print(&d.wake, NULL);
    bench_print(&d.heal, NULL);
    bench_print(&nft, &d.load);
    bench_print(&r.load, NULL);
    bench_print(&r.wake, NULL);
    bench_print(&r.heal, NULL);
    bench_print(&each, &r.wake);
    bench_print(&iptables, &r.wake);
}

static void measure(const char *mountpoint, void *data)
{
    struct bed b = {.switch_fd = -1};
    struct loop *loop;
    struct lab_handlers none = {0};
    struct err err = ERR_INIT;
    bool rootless;
    unsigned ids;
    char dir[64];
    if (lab_prepare_process(mountpoint, &rootless, &ids, &err) < 0)
        bench_skip(err.text);
    snprintf(dir, sizeof dir, "%s/lab", mountpoint);
    struct scenario *s = bench_hosts(HOSTS, 0);
    bench_ok(loop_new(LOOP_REAL, &loop, &err), &err);
    bench_ok(lab_new(s, loop, dir, AT_FDCWD, -1, &none, &b.lab, &err), &err);
    bench_ok(netns_new(&b.switch_fd, &err), &err);
    bench_ok(nl_open_kernel(b.switch_fd, "switch", &b.switch_nl, &err), &err);
    make_cut(s, &b.cut);
    measure_rounds(&b);
    cut_done(&b.cut);
    nl_free(b.switch_nl);
    close(b.switch_fd);
    lab_free(b.lab);
    loop_free(loop);
    arena_free(s->arena);
}

int main(void)
{
    return bench_with_mountpoint(measure, NULL);
}
