/* The user-space engine against a bare veth, where the kernel has it netem, and where Debian's vde2 is
 * installed its wirefilter.
 *
 * Each side is measured in each round, round about. Delay: stamped datagrams of 100 bytes every
 * 2.137 ms (no multiple or divisor of 1 ms, in which wirefilter counts), from before send(2) to the
 * receiving kernel's stamp; the error is what a delay was more than asked, less what the bare veth
 * takes. netem is the root of the device, as tc puts it there, and behind an ifb, as we do, so that it
 * takes some of the packets. Gates are ratios and bounds of one run; a missed one ends in exit code 1.
 */
#include "tests/bench/bench.h"
#include "tests/support/bed.h"

#include "sim/kernel/netns.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/tc.h"

#include <fcntl.h>
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

enum side { VETH, CABLE, TAP, NETEM, NETEM_IFB, WIREFILTER, SIDES };
static const char *const side_names[] = {"veth",  "engine, veth", "engine, TAP",
                                         "netem", "netem, ifb",   "wirefilter"};

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
        [TAP] = BED_TAP, [NETEM_IFB] = BED_NETEM, [WIREFILTER] = BED_VETH};
    const struct impairment what = {.delay = delay};
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
    world_open(&w, side, 10 * MS);
    nsec t = nsec_now(CLOCK_MONOTONIC);
    for (int i = 0; i < TOGGLES; i++)
        bench_ok(engine_set(w.b.lines[0], i & 1, NULL, &err), &err);
    t = nsec_now(CLOCK_MONOTONIC) - t;
    world_close(&w);
    return (double)t / 1e3 / TOGGLES;
}

/* --- All ------------------------------------------------------------------------------------ */

static bool has(const struct bench *b, enum side side)
{
    const bool all[] = {[VETH] = true,      [CABLE] = true,         [TAP] = b->tap,
                        [NETEM] = b->netem, [NETEM_IFB] = b->netem, [WIREFILTER] = b->wirefilter};
    return all[side];
}

/* Medians and p99 over the bare veth's, beside netem's. */
static void beside_netem(struct bench *b, enum side best, const double *m50, const double *m99)
{
    double netem50 = m50[NETEM] - m50[VETH], netem99 = m99[NETEM] - m99[VETH];
    for (enum side s = CABLE; s <= NETEM_IFB; s++)
        if (has(b, s))
            printf("  over the veth  %-12s %8.1f %10.1f   by netem's %6.2f %6.2f\n", side_names[s],
                   m50[s] - m50[VETH], m99[s] - m99[VETH], (m50[s] - m50[VETH]) / netem50,
                   (m99[s] - m99[VETH]) / netem99);
    bench_gate(&b->missed, "our median over netem's", (m50[best] - m50[VETH]) / netem50, true, 1.2);
}

static void delays(struct bench *b, nsec delay)
{
    static double p50[SIDES][BENCH_MAX_ROUNDS], p99[SIDES][BENCH_MAX_ROUNDS];
    double m50[SIDES] = {0}, m99[SIDES] = {0};
    size_t rounds = bench_rounds();
    printf("delay of %d ms, error of %d packets in us, p50 and p99:\n", (int)(delay / MS), SAMPLES);
    for (size_t i = 0; i < rounds; i++)
        for (enum side s = VETH; s < SIDES; s++)
            if (has(b, s)) {
                struct delays d = delay_of(s, delay);
                p50[s][i] = d.p50;
                p99[s][i] = d.p99;
                printf("  round %zu  %-16s %10.1f %10.1f\n", i + 1, side_names[s], d.p50, d.p99);
            }
    for (enum side s = VETH; s < SIDES; s++)
        if (has(b, s)) {
            m50[s] = bench_median(p50[s], rounds);
            m99[s] = bench_median(p99[s], rounds);
            printf("  medians  %-16s %10.1f %10.1f\n", side_names[s], m50[s], m99[s]);
        }
    enum side best = b->tap ? TAP : CABLE;
    bench_gate(&b->missed, "median error over the bare veth, us", m50[best] - m50[VETH], true, 10);
    if (b->netem)
        beside_netem(b, best, m50, m99);
    if (b->wirefilter) {
        bench_gate(&b->missed, "wirefilter's median over ours", m50[WIREFILTER] / m50[best], false,
                   20);
        bench_gate(&b->missed, "wirefilter's p99 over ours", m99[WIREFILTER] / m99[best], false, 5);
    }
}

static void throughput(struct bench *b)
{
    static double v[2][SIDES][BENCH_MAX_ROUNDS];
    double m[2][SIDES] = {0};
    size_t rounds = bench_rounds();
    printf("TCP, one stream, Gbit/s:\n");
    for (size_t i = 0; i < rounds; i++)
        for (int ten = 0; ten < 2; ten++)
            for (enum side s = VETH; s < SIDES; s++)
                if (has(b, s) && !(ten && s == VETH)) {
                    v[ten][s][i] = throughput_of(s, ten ? 10 * MS : 0) * 8 / 1e9;
                    printf("  round %zu  %-16s %2d ms %8.2f\n", i + 1, side_names[s], 10 * ten,
                           v[ten][s][i]);
                }
    for (enum side s = VETH; s < SIDES; s++)
        if (has(b, s)) {
            printf("  medians  %-16s", side_names[s]);
            for (int ten = 0; ten < (s == VETH ? 1 : 2); ten++) {
                m[ten][s] = bench_median(v[ten][s], rounds);
                printf(" %2d ms %8.2f", 10 * ten, m[ten][s]);
            }
            printf("\n");
        }
    enum side best = b->tap ? TAP : CABLE;
    bench_gate(&b->missed, "0 ms: ours over the bare veth", m[0][best] / m[0][VETH], false, 0.8);
    if (b->wirefilter)
        bench_gate(&b->missed, "10 ms: ours over wirefilter", m[1][best] / m[1][WIREFILTER], false,
                   10);
}

static void floods(struct bench *b)
{
    double rates[BENCH_MAX_ROUNDS], lost[SIDES][BENCH_MAX_ROUNDS], ignored;
    size_t rounds = bench_rounds();
    for (size_t i = 0; i < rounds; i++)
        rates[i] = flood_of(VETH, 0, 0, &ignored);
    double rate = bench_median(rates, rounds);
    nsec interval = (nsec)(2e9 / rate);
    printf("datagrams of 100 bytes: the bare veth carries %.0f a second; at half of that, 10 ms:\n",
           rate);
    for (enum side s = CABLE; s <= TAP; s++) {
        if (!has(b, s))
            continue;
        for (size_t i = 0; i < rounds; i++)
            flood_of(s, 10 * MS, interval, &lost[s][i]);
        char what[64];
        snprintf(what, sizeof what, "%s: %% lost", side_names[s]);
        bench_gate(&b->missed, what, 100 * bench_median(lost[s], rounds), true, 0.1);
    }
}

static void costs(struct bench *b)
{
    printf("processor of the engine at 468 packets a second, %%:\n");
    for (enum side s = CABLE; s <= TAP; s++)
        for (int spin = 0; spin < 2 && has(b, s); spin++) {
            double v[BENCH_MAX_ROUNDS];
            char what[64];
            for (size_t i = 0; i < bench_rounds(); i++)
                v[i] = processor_of(s, spin);
            snprintf(what, sizeof what, "%s, %s", side_names[s], spin ? "spinning" : "sleeping");
            bench_gate(&b->missed, what, bench_median(v, bench_rounds()), true, spin ? 15 : 3);
        }
    printf("switching a line, us:\n");
    for (enum side s = CABLE; s <= TAP; s++)
        if (has(b, s)) {
            double us = toggle_of(s);
            if (s == TAP)
                bench_gate(&b->missed, side_names[s], us, true, 1);
            else
                printf("  %-60s %10.3f\n", side_names[s], us);
        }
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
    if (geteuid() != 0)
        bench_skip("needs root: TAPs and eBPF");
    setvbuf(stdout, NULL, _IOLBF, 0);
    b.tap = bed_has_tap();
    b.netem = has_netem();
    b.wirefilter = access("/usr/bin/wirefilter", X_OK) == 0 && access("/dev/net/tun", R_OK) == 0;
    if (!b.wirefilter)
        printf("no wirefilter here (package vde2): its ratios are left out\n");
    if (bench_wants(argc, argv, "costs"))
        costs(&b);
    if (bench_wants(argc, argv, "delays")) {
        delays(&b, 10 * MS);
        delays(&b, 50 * MS);
    }
    if (bench_wants(argc, argv, "throughput"))
        throughput(&b);
    if (bench_wants(argc, argv, "floods"))
        floods(&b);
    return bench_end(b.missed, NULL);
}
