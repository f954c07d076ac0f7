/* The user-space engine against a bare veth, where the kernel has it netem, and where Debian's vde2 is
 * installed its wirefilter.
 *
 * Each side is measured in each round, round about. Delay: stamped datagrams of 100 bytes every
 * 2.137 ms (no multiple or divisor of 1 ms, in which wirefilter counts), from before send(2) to the
 * receiving kernel's stamp; the error is what a delay was more than asked, less what the bare veth
 * takes. netem is the root of the device, as tc puts it there, and behind an ifb, as we do, so that it
 * takes some of the packets.
 *
 *   bench_engine [costs|delays|netem|throughput|floods]...
 *
 * `netem`: the delays, beside netem alone.
 */
#include "tests/bench/bench.h"
#include "tests/support/bed.h"

#include "sim/kernel/netns.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/tc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define US NSEC_USEC
#define MS NSEC_MSEC
#define SAMPLES 468
#define TOGGLES 20000

#define NETEM_HANDLE 1

enum side { VETH, CABLE, TAP, NETEM, NETEM_IFB, WIREFILTER, CUT, SIDES };
static const char *const side_names[] = {"veth",       "engine, veth", "engine, TAP",     "netem",
                                         "netem, ifb", "wirefilter",   "engine, TAP, cut"};

struct bench {
    bool wirefilter, tap, netem;
    int missed;
};

/* --- wirefilter ------------------------------------------------------------------------ */

struct vde {
    char dir[64];
    pid_t pids[3];
    int keep; /* wirefilter ends when its standard input does */
};

static pid_t start(int netns, int input, const char *const *argv)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    int null = open("/dev/null", O_RDWR);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(input >= 0 ? input : null, 0);
    dup2(null, 1);
    dup2(null, 2);
    if (netns >= 0 && setns(netns, CLONE_NEWNET) < 0)
        _exit(127);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static void vde_address(struct nl *nl, const char *text)
{
    struct err err = ERR_INIT;
    struct inet_prefix p;
    int index, r = -1;
    for (int i = 0; i < 100 && (r = nl_ifindex(nl, "vde0", &index, &err)) < 0; i++)
        usleep(20000);
    bench_ok(r, &err);
    bench_ok(inet_parse(text, &p, &err), &err);
    rtnl_address_add(nl, "vde0", &p);
    rtnl_link_up(nl, "vde0", true);
    bench_ok(nl_flush(nl, &err), &err);
}

static void vde_open(struct vde *v, const struct duo *d, const char *delay_ms)
{
    static const char *const names[] = {"a", "b"};
    char socks[2][80], both[176];
    int pipe_fds[2];
    snprintf(v->dir, sizeof v->dir, "/tmp/blackstart-bench-XXXXXX");
    if (!mkdtemp(v->dir) || pipe2(pipe_fds, O_CLOEXEC) < 0)
        exit(1);
    for (int i = 0; i < 2; i++) {
        snprintf(socks[i], sizeof socks[i], "%s/%s", v->dir, names[i]);
        const char *const argv[] = {"vde_switch", "-s", socks[i], "-t", "vde0", NULL};
        int input[2]; /* its console, never written to */
        if (pipe2(input, O_CLOEXEC) < 0)
            exit(1);
        v->pids[i] = start(i ? d->b_fd : d->a_fd, input[0], argv);
        close(input[0]);
    }
    vde_address(d->a, "10.8.0.1/24");
    vde_address(d->b, "10.8.0.2/24");
    snprintf(both, sizeof both, "%s:%s", socks[0], socks[1]);
    const char *const argv[] = {"wirefilter", "-v", both, "-d", delay_ms, NULL};
    v->pids[2] = start(-1, pipe_fds[0], argv);
    close(pipe_fds[0]);
    v->keep = pipe_fds[1];
    usleep(500000);
}

static void vde_close(struct vde *v)
{
    close(v->keep);
    for (int i = 2; i >= 0; i--) {
        kill(v->pids[i], SIGTERM);
        waitpid(v->pids[i], NULL, 0);
    }
    const char *const argv[] = {"rm", "-rf", v->dir, NULL};
    bench_run(argv, NULL);
}

/* --- One side ---------------------------------------------------------------------------- */

struct world {
    struct bed b;
    struct vde v;
    enum side side;
    const char *address;
};

static void world_open(struct world *w, enum side side, nsec delay)
{
    static const enum bed_way ways[] = {
        [TAP] = BED_TAP, [CUT] = BED_TAP, [NETEM_IFB] = BED_NETEM, [WIREFILTER] = BED_VETH};
    /* What may happen to single packets has the kernel cut large frames on their way to the engine, as if
     * there were no virtio headers. This never happens. */
    const struct impairment what = {.delay = delay, .corrupt = side == CUT ? 1e-15 : 0};
    struct err err = ERR_INIT;
    w->side = side;
    w->address = "10.9.0.2";
    bed_open(&w->b, ways[side], 0);
    if (side == NETEM) {
        tc_netem_add(w->b.p.a, "eth0", NETEM_HANDLE, &what);
        bench_ok(nl_flush(w->b.p.a, &err), &err);
    } else if (side == WIREFILTER) {
        char text[24];
        snprintf(text, sizeof text, "%d", (int)(delay / MS));
        vde_open(&w->v, &w->b.p, text);
        w->address = "10.8.0.2";
    } else if (side != VETH) {
        bed_port_line(&w->b, false, 7001, &what);
    }
}

static void world_close(struct world *w)
{
    struct err err = ERR_INIT;
    if (w->side == WIREFILTER)
        vde_close(&w->v);
    if (w->side == NETEM) {
        tc_root_delete(w->b.p.a, "eth0", NETEM_HANDLE);
        bench_ok(nl_flush(w->b.p.a, &err), &err);
    }
    bed_close(&w->b);
}

struct delays {
    double p50, p99; /* of the error, us */
};

static struct delays delay_of(enum side side, nsec delay)
{
    struct world w;
    world_open(&w, side, delay);
    struct stream warm = {.n = 20, .size = 100, .interval = 2137 * US};
    struct stream spec = {.n = SAMPLES, .size = 100, .interval = 2137 * US};
    bed_stream(&w.b, w.address, 7001, false, &warm);
    bed_run(&w.b, 100 * MS);
    bed_forget(&w.b);
    struct stream *s = bed_stream(&w.b, w.address, 7001, false, &spec);
    bed_run(&w.b, 100 * MS);
    size_t n;
    double *d = stream_delays(s, false, &n);
    for (size_t i = 0; i < n; i++)
        d[i] = fabs(d[i] - (side == VETH ? 0 : (double)delay)) / 1e3;
    bench_median(d, n); /* sorts */
    struct delays r = {stream_quantile(d, n, 0.5), stream_quantile(d, n, 0.99)};
    free(d);
    bed_forget(&w.b);
    world_close(&w);
    return r;
}

/* Bytes a second of one TCP stream, in the second second. */
static double throughput_of(enum side side, nsec delay)
{
    static char buf[1 << 18];
    struct world w;
    int from, to;
    struct err err = ERR_INIT;
    world_open(&w, side, delay);
    /* At 10 ms the kernel's defaults would be the bound, of both ends. */
    bench_ok(nl_sysctl(w.b.p.a, "net/ipv4/tcp_wmem", "4096 67108864 268435456", &err), &err);
    bench_ok(nl_sysctl(w.b.p.b, "net/ipv4/tcp_rmem", "4096 67108864 268435456", &err), &err);
    duo_tcp(&w.b.p, w.address, 7001, &from, &to);
    /* The same for all, whatever this machine's default is: bbr's model of the path takes the bunches of
     * any queue in user space for its bandwidth. */
    (void)setsockopt(from, IPPROTO_TCP, TCP_CONGESTION, "cubic", sizeof "cubic");
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (send(from, buf, sizeof buf, MSG_NOSIGNAL) > 0)
            ;
        _exit(0);
    }
    nsec start_at = nsec_now(CLOCK_MONOTONIC), counted = 0, now;
    double bytes = 0;
    while ((now = nsec_now(CLOCK_MONOTONIC)) < start_at + 2000 * MS) {
        struct pollfd p = {.fd = to, .events = POLLIN};
        if (poll(&p, 1, 100) <= 0)
            continue;
        ssize_t k = recv(to, buf, sizeof buf, MSG_DONTWAIT);
        if (now >= start_at + 1000 * MS && k > 0) {
            bytes += (double)k;
            counted = counted ? counted : now;
        }
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(from);
    close(to);
    double r = counted ? bytes / ((double)(now - counted) / 1e9) : 0;
    world_close(&w);
    return r;
}

/* Packets a second that arrive, when as many are sent as go (interval 0), or that share lost. */
static double flood_of(enum side side, nsec delay, nsec interval, double *ret_lost)
{
    struct world w;
    world_open(&w, side, delay);
    struct stream warm = {.n = 1, .size = 100, .interval = 0};
    bed_stream(&w.b, w.address, 7001, false, &warm);
    bed_run(&w.b, 50 * MS);
    bed_forget(&w.b);
    struct stream spec = {.n = 100000, .size = 100, .interval = interval};
    struct stream *s = bed_stream(&w.b, w.address, 7001, false, &spec);
    bed_run(&w.b, 200 * MS);
    double took = (double)(s->last_got - s->first_got) / 1e9;
    double rate = took > 0 ? (double)(s->came - 1) / took : 0;
    *ret_lost = (double)stream_lost(s) / (double)s->n;
    bed_forget(&w.b);
    world_close(&w);
    return rate;
}

/* Share of a processor that the engine's process uses at 468 packets a second. */
static double processor_of(enum side side, bool spin)
{
    struct world w;
    w.side = side;
    bed_open(&w.b, side == TAP ? BED_TAP : BED_VETH, 0);
    engine_set_spin(w.b.engine, spin);
    struct impairment ten = {.delay = 10 * MS};
    bed_port_line(&w.b, false, 7001, &ten);
    struct stream spec = {.n = SAMPLES, .size = 100, .interval = 2137 * US};
    bed_stream(&w.b, "10.9.0.2", 7001, false, &spec);
    clockid_t clock;
    clock_getcpuclockid(engine_pid(w.b.engine), &clock);
    nsec cpu = nsec_now(clock), wall = nsec_now(CLOCK_MONOTONIC);
    bed_run(&w.b, 20 * MS);
    cpu = nsec_now(clock) - cpu;
    wall = nsec_now(CLOCK_MONOTONIC) - wall;
    world_close(&w);
    return 100.0 * (double)cpu / (double)wall;
}

static double toggle_of(enum side side)
{
    struct err err = ERR_INIT;
    struct world w;
    int n = side == TAP ? TOGGLES : TOGGLES / 10;
    world_open(&w, side, 10 * MS);
    nsec t = nsec_now(CLOCK_MONOTONIC);
    for (int i = 0; i < n; i++)
        bench_ok(engine_set(w.b.lines[0], i & 1, NULL, &err), &err);
    t = nsec_now(CLOCK_MONOTONIC) - t;
    world_close(&w);
    return (double)t / 1e3 / n;
}

/* --- Another rate for a tbf: what a fault by a qdisc takes ------------------------------------ */

struct change {
    struct nlmsghdr h;
    struct tcmsg tc;
    struct nlattr kind;
    char tbf[4];
    struct nlattr options, parms;
    struct tc_tbf_qopt qopt;
    struct nlattr burst;
    uint32_t bytes;
};

static struct change change_to(int ifindex, uint32_t rate)
{
    struct change c = {
        .h = {.nlmsg_len = sizeof c, .nlmsg_type = RTM_NEWQDISC, .nlmsg_flags = NLM_F_REQUEST},
        .tc = {.tcm_ifindex = ifindex, .tcm_handle = 1 << 16, .tcm_parent = TC_H_ROOT},
        .kind = {sizeof c.kind + sizeof c.tbf, TCA_KIND},
        .tbf = "tbf",
        .parms = {sizeof c.parms + sizeof c.qopt, TCA_TBF_PARMS},
        .qopt = {.rate = {.linklayer = TC_LINKLAYER_ETHERNET, .rate = rate}, .limit = 100000},
        .burst = {sizeof c.burst + sizeof c.bytes, TCA_TBF_BURST},
        .bytes = 16384};
    c.options = (struct nlattr){(uint16_t)(sizeof c - offsetof(struct change, options)),
                                TCA_OPTIONS | NLA_F_NESTED};
    return c;
}

/* us each; NAN: the kernel has no tbf. CHANGES to a send, one acknowledgement: the cheapest there is. */
static double change_of(void)
{
    enum { CHANGES = 64, TIMES = 100 };
    static struct change all[CHANGES];
    struct world w;
    struct err err = ERR_INIT;
    int ifindex, r = -1;
    char answer[4096] = {0};
    world_open(&w, VETH, 0);
    bench_ok(nl_ifindex(w.b.p.a, "eth0", &ifindex, &err), &err);
    AUTO_CLOSE int fd = -1;
    bench_ok(
        netns_socket(w.b.p.a_fd, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE, &fd, &err),
        &err);
    for (uint32_t i = 0; i < CHANGES; i++)
        all[i] = change_to(ifindex, 1250000 + i);
    all[CHANGES - 1].h.nlmsg_flags |= NLM_F_ACK;
    struct change first = all[CHANGES - 1];
    first.h.nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
    nsec t = 0;
    for (int i = -1; i < TIMES; i++) {
        if (i == 0)
            t = nsec_now(CLOCK_MONOTONIC);
        ssize_t n = i < 0 ? send(fd, &first, sizeof first, 0) : send(fd, all, sizeof all, 0);
        if (n < 0 || recv(fd, answer, sizeof answer, 0) < 0)
            bench_fail("a bare message");
        memcpy(&r, answer + NLMSG_HDRLEN, sizeof r);
        if (r)
            break;
    }
    t = nsec_now(CLOCK_MONOTONIC) - t;
    if (r && r != -ENOENT)
        bench_fail("tbf: %s", strerror(-r));
    if (!r) {
        tc_root_delete(w.b.p.a, "eth0", 1);
        bench_ok(nl_flush(w.b.p.a, &err), &err);
    }
    world_close(&w);
    return r ? (double)NAN : (double)t / 1e3 / TIMES / CHANGES;
}

/* --- All ------------------------------------------------------------------------------------ */

static bool has(const struct bench *b, enum side side)
{
    const bool all[] = {[VETH] = true,      [CABLE] = true,         [TAP] = b->tap,
                        [NETEM] = b->netem, [NETEM_IFB] = b->netem, [WIREFILTER] = b->wirefilter,
                        [CUT] = b->tap};
    return all[side];
}

static enum side best_of(const struct bench *b)
{
    return b->tap ? TAP : CABLE;
}

/* A round's error less what the bare veth takes in that round. */
static void beyond(const double *side, const double *veth, size_t n, double *ret)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = side[i] - veth[i];
}

typedef double by_side[SIDES][BENCH_MAX_ROUNDS];

/* Medians and p99 over the bare veth's, beside netem's. */
static void beside_netem(struct bench *b, int ms, by_side p50, by_side p99)
{
    double v[2][SIDES][BENCH_MAX_ROUNDS], r[2][BENCH_MAX_ROUNDS], m[2];
    char name[80];
    size_t rounds = bench_rounds();
    for (enum side s = CABLE; s <= NETEM_IFB; s++) {
        beyond(p50[s], p50[VETH], rounds, v[0][s]);
        beyond(p99[s], p99[VETH], rounds, v[1][s]);
    }
    for (enum side s = CABLE; s <= NETEM_IFB; s++) {
        if (!has(b, s))
            continue;
        for (int k = 0; k < 2; k++) {
            bench_over(v[k][s], v[k][NETEM], rounds, r[k]);
            m[k] = bench_median(r[k], rounds);
        }
        printf("  over the veth, by netem's: %-12s p50 %6.2f, p99 %6.2f\n", side_names[s], m[0],
               m[1]);
    }
    bench_over(v[0][best_of(b)], v[0][NETEM], rounds, r[0]);
    bench_over(v[1][best_of(b)], v[1][NETEM], rounds, r[1]);
    snprintf(name, sizeof name, "T5c %d ms: our median over netem's", ms);
    bench_goal(name, bench_median(r[0], rounds), true, 1.2);
    snprintf(name, sizeof name, "T5c %d ms: our p99 over netem's", ms);
    bench_gate_of(&b->missed, name, r[1], rounds, true, 2);
}

static void delay_gates(struct bench *b, int ms, by_side p50, by_side p99)
{
    enum side best = best_of(b);
    size_t rounds = bench_rounds();
    double v[BENCH_MAX_ROUNDS];
    char name[80];
    beyond(p50[best], p50[VETH], rounds, v);
    snprintf(name, sizeof name, "T5 %d ms: median error over the bare veth, us", ms);
    bench_gate_of(&b->missed, name, v, rounds, true, 10);
    memcpy(v, p99[best], sizeof v);
    snprintf(name, sizeof name, "T5 %d ms: p99 of the error, us", ms);
    bench_gate_of(&b->missed, name, v, rounds, true, 150);
    if (!b->wirefilter)
        return;
    bench_over(p50[WIREFILTER], p50[best], rounds, v);
    snprintf(name, sizeof name, "T5b %d ms: wirefilter's median over ours", ms);
    bench_gate_of(&b->missed, name, v, rounds, false, 20);
    bench_over(p99[WIREFILTER], p99[best], rounds, v);
    snprintf(name, sizeof name, "T5b %d ms: wirefilter's p99 over ours", ms);
    bench_gate_of(&b->missed, name, v, rounds, false, 5);
}

static void delays(struct bench *b, nsec delay)
{
    static by_side p50, p99;
    size_t rounds = bench_rounds();
    int ms = (int)(delay / MS);
    printf("delay of %d ms, error of %d packets in us, p50 and p99:\n", ms, SAMPLES);
    for (size_t i = 0; i < rounds; i++)
        for (enum side s = VETH; s < CUT; s++)
            if (has(b, s)) {
                struct delays d = delay_of(s, delay);
                p50[s][i] = d.p50;
                p99[s][i] = d.p99;
                printf("  round %zu  %-16s %10.1f %10.1f\n", i + 1, side_names[s], d.p50, d.p99);
            }
    for (enum side s = VETH; s < CUT; s++)
        if (has(b, s)) {
            double v[2][BENCH_MAX_ROUNDS];
            memcpy(v[0], p50[s], sizeof v[0]);
            memcpy(v[1], p99[s], sizeof v[1]);
            printf("  medians  %-16s %10.1f %10.1f\n", side_names[s], bench_median(v[0], rounds),
                   bench_median(v[1], rounds));
        }
    delay_gates(b, ms, p50, p99);
    if (b->netem)
        beside_netem(b, ms, p50, p99);
}

static bool sends(const struct bench *b, enum side s, bool ten)
{
    return has(b, s) && (s != VETH || !ten) && (s != CUT || ten);
}

/* Of three each, in turn: where the scheduler puts sender, receiver and engine is worth half of it. */
static double over_cut(const struct bench *b, double ours, double cut)
{
    for (int i = 0; i < 2; i++) {
        cut += throughput_of(CUT, 10 * MS) * 8 / 1e9;
        ours += throughput_of(best_of(b), 10 * MS) * 8 / 1e9;
    }
    return ours / cut;
}

static void throughput(struct bench *b)
{
    static by_side got[2];
    double v[BENCH_MAX_ROUNDS];
    size_t rounds = bench_rounds();
    printf("TCP, one stream, Gbit/s:\n");
    for (size_t i = 0; i < rounds; i++)
        for (int ten = 0; ten < 2; ten++)
            for (enum side s = VETH; s < SIDES; s++)
                if (sends(b, s, ten))
                    got[ten][s][i] = throughput_of(s, ten ? 10 * MS : 0) * 8 / 1e9;
    for (int ten = 0; ten < 2; ten++)
        for (enum side s = VETH; s < SIDES; s++)
            if (sends(b, s, ten)) {
                char name[64];
                memcpy(v, got[ten][s], sizeof v);
                snprintf(name, sizeof name, "%d ms, %s", ten ? 10 : 0, side_names[s]);
                bench_tell(name, v, rounds, "Gbit/s");
            }
    enum side best = best_of(b);
    bench_over(got[0][best], got[0][VETH], rounds, v);
    bench_gate_of(&b->missed, "T6 TCP at 0 ms: ours over the bare veth", v, rounds, false, 0.8);
    if (b->wirefilter) {
        bench_over(got[1][best], got[1][WIREFILTER], rounds, v);
        bench_gate_of(&b->missed, "T6b TCP at 10 ms: ours over wirefilter", v, rounds, false, 10);
    }
    if (b->tap) {
        for (size_t i = 0; i < rounds; i++)
            v[i] = over_cut(b, got[1][best][i], got[1][CUT][i]);
        bench_gate_of(&b->missed, "T6b TCP at 10 ms: ours over ours without large frames", v,
                      rounds, false, 3);
    }
}

static void floods(struct bench *b)
{
    static by_side lost;
    double rates[BENCH_MAX_ROUNDS], ignored;
    size_t rounds = bench_rounds();
    for (size_t i = 0; i < rounds; i++)
        rates[i] = flood_of(VETH, 0, 0, &ignored);
    double rate = bench_median(rates, rounds);
    nsec interval = (nsec)(2e9 / rate);
    printf("datagrams of 100 bytes: the bare veth carries %.0f a second; at half of that, 10 ms:\n",
           rate);
    for (size_t i = 0; i < rounds; i++)
        for (enum side s = CABLE; s <= TAP; s++)
            if (has(b, s)) {
                flood_of(s, 10 * MS, interval, &lost[s][i]);
                lost[s][i] *= 100;
            }
    for (enum side s = CABLE; s <= TAP; s++)
        if (has(b, s)) {
            char name[80];
            snprintf(name, sizeof name, "T6c %s: %% lost at half the veth's rate", side_names[s]);
            bench_gate_of(&b->missed, name, lost[s], rounds, true, 0.1);
        }
}

static void processors(struct bench *b)
{
    static by_side used[2];
    size_t rounds = bench_rounds();
    for (size_t i = 0; i < rounds; i++)
        for (enum side s = CABLE; s <= TAP; s++)
            for (int spin = 0; spin < 2 && has(b, s); spin++)
                used[spin][s][i] = processor_of(s, spin);
    for (enum side s = CABLE; s <= TAP; s++)
        for (int spin = 0; spin < 2 && has(b, s); spin++) {
            char name[80];
            snprintf(name, sizeof name, "T7 %s, %s: %% of a processor at 468 packets a second",
                     side_names[s], spin ? "spinning" : "sleeping");
            bench_gate_of(&b->missed, name, used[spin][s], rounds, true, spin ? 15 : 3);
        }
}

static void toggles(struct bench *b)
{
    static by_side us;
    double change[BENCH_MAX_ROUNDS], v[BENCH_MAX_ROUNDS];
    size_t rounds = bench_rounds();
    for (size_t i = 0; i < rounds; i++) {
        for (enum side s = CABLE; s <= TAP; s++)
            us[s][i] = has(b, s) ? toggle_of(s) : 0;
        change[i] = change_of();
    }
    memcpy(v, us[CABLE], sizeof v);
    bench_tell("switching a line, engine, veth", v, rounds, "us");
    if (b->tap && !isnan(change[0])) {
        memcpy(v, change, sizeof v);
        bench_tell("another rate for a tbf, 64 to a send", v, rounds, "us");
        bench_over(us[TAP], change, rounds, v);
        bench_gate_of(&b->missed, "T3 switching a line over changing a tbf", v, rounds, true, 0.5);
    }
    if (b->tap)
        bench_gate_of(&b->missed, "T3 switching a line, us", us[TAP], rounds, true, 1);
}

static bool has_netem(void)
{
    struct err err = ERR_INIT;
    struct impair_here here;
    int netns;
    bench_ok(netns_new(&netns, &err), &err);
    impair_here_try(netns, &here);
    close(netns);
    struct timespec fine, tick;
    clock_getres(CLOCK_MONOTONIC, &fine);
    clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
    printf("timers to %lld ns, ticks of %.1f ms; %s%s\n", (long long)nsec_from_timespec(fine),
           (double)nsec_from_timespec(tick) / 1e6,
           here.netem ? "netem" : "no netem: ", here.netem_why);
    return here.netem;
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    const char *lacks = NULL;
    if (geteuid() != 0)
        bench_skip("needs root: TAPs and eBPF");
    setvbuf(stdout, NULL, _IOLBF, 0);
    b.tap = bed_has_tap();
    b.netem = has_netem();
    if (argc == 2 && strcmp(argv[1], "netem") == 0) {
        if (!b.netem)
            bench_skip("the kernel has no netem");
    } else {
        b.wirefilter = bench_has("wirefilter") && access("/dev/net/tun", R_OK) == 0;
        if (!b.wirefilter)
            lacks = "skipped: no wirefilter here (package vde2): its ratios are left out";
    }
    if (bench_wants(argc, argv, "costs")) {
        processors(&b);
        toggles(&b);
    }
    if (bench_wants(argc, argv, "delays") || bench_wants(argc, argv, "netem")) {
        delays(&b, 10 * MS);
        delays(&b, 50 * MS);
    }
    if (bench_wants(argc, argv, "throughput"))
        throughput(&b);
    if (bench_wants(argc, argv, "floods"))
        floods(&b);
    return bench_end(b.missed, lacks);
}
