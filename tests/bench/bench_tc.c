/* What a fault costs, through the injector's own functions, against tc(8) and the bare messages.
 *
 * 1,000 faults of 1,000 cables that end in one namespace (the switch's), and one in each of 200 hosts,
 * each by every way in which a line can be made here: `tap` (our engine with eBPF: a fault is a store),
 * `cable` (our engine without: a filter), `netem` (a filter, where the kernel has it). The cost of a fault is from the
 * call of apply to the last acknowledgement; what comes before (prepare, journal) and after (what is told
 * of it, verify, taking away what was armed) stands beside it.
 *
 * By hand the same packets are redirected on the same devices, prepared alike: clsact and the device that
 * they are led to are there. The bare messages are the floor: built before, the devices' numbers known, one
 * with its acknowledgement after the other. tc(8) reads all links of the namespace at each start, so its time
 * is of a namespace with 1,000 of them.
 *
 * And one in each of 100 namespaces that others made (`others`): armed when the journal is on the disk, and
 * revert ends with nothing left.
 *
 *   bench_tc [tap|cable|others|netem]...
 */
#include "injectors/net/site.h"
#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include "sim/impair/engine/tap.h"
#include "sim/impair/scope.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/tc.h"
#include "tests/bench/bench_bare.h"
#include "tests/bench/bench_faults.h"
#include "tests/bench/bench_hosts.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SAMPLE = 50, PREF = 50, HANDLE = 1 };
#define ASIDE "hand0" /* where packets are led by hand */

/* --- By hand: the same change with other means ------------------------------------------------ */

struct hand_at {
    int netns, raw; /* a bare socket in it */
    struct nl *nl;  /* borrowed */
    const char *device;
    int ifindex, aside;
    char name[32]; /* for `tc -n` */
};

struct hand {
    size_t n;
    bool one_place, bare_device; /* clsact is not there but between arm and revert */
    struct hand_at *at;
    struct sock_filter *ops;
    size_t n_ops;
    char bytecode[256];
    struct bench_bare bare[2]; /* off, on; a message each, with the numbers in */
};

static struct tc_filter filter(const struct hand *h, size_t i)
{
    return (struct tc_filter){.dev = h->at[i].device,
                              .hook = TC_EGRESS,
                              .pref = PREF,
                              .handle = HANDLE,
                              .ops = h->ops,
                              .n_ops = h->n_ops,
                              .redirect_to = ASIDE};
}

static void fill(char *message, size_t n, const struct hand_at *at, bool on)
{
    memcpy(message + NLMSG_HDRLEN + offsetof(struct tcmsg, tcm_ifindex), &at->ifindex,
           sizeof at->ifindex);
    if (on) /* the last member of the last attribute */
        memcpy(message + n - sizeof at->aside, &at->aside, sizeof at->aside);
}

/* What nl_observe() tells, holes filled. */
static void make_bare(struct hand *h, bool on)
{
    struct err err = ERR_INIT;
    CLEANUP(nl_free_p) struct nl *nl = NULL;
    struct bench_bare *b = &h->bare[on];
    bench_ok(nl_open_recording("here", &nl, &err), &err);
    nl_observe(nl, bench_bare_keep, b);
    for (size_t i = 0; i < h->n; i++) {
        const struct tc_filter f = filter(h, i);
        (on ? tc_filter_add : tc_filter_delete)(nl, &f);
        bench_ok(nl_flush(nl, &err), &err);
    }
    for (size_t i = 0; i < h->n; i++) {
        size_t n;
        char *message = bench_bare_message(b, i, &n);
        fill(message, n, &h->at[i], on);
    }
}

static void hand_place(struct hand_at *at, bool first)
{
    struct err err = ERR_INIT;
    if (first) {
        tc_ifb_add(at->nl, ASIDE, 0);
        bench_ok(nl_flush(at->nl, &err), &err);
        bench_ok(netns_socket(at->netns, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE,
                              &at->raw, &err),
                 &err);
    }
    bench_ok(nl_ifindex(at->nl, ASIDE, &at->aside, &err), &err);
    bench_ok(nl_ifindex(at->nl, at->device, &at->ifindex, &err), &err);
}

static void hand_open(struct hand *h, const struct faults *f)
{
    static const struct impair_scope all = {.protocol = -1};
    struct err err = ERR_INIT;
    AUTO_BUF text = BUF_INIT;
    *h = (struct hand){.n = f->n,
                       .one_place = f->at_switch,
                       .bare_device = f->of_others,
                       .at = calloc(f->n, sizeof *h->at),
                       .bare = {{.bytes = BUF_INIT}, {.bytes = BUF_INIT}}};
    bench_ok(scope_program(&all, false, &h->ops, &h->n_ops, &err), &err);
    buf_printf(&text, "%zu", h->n_ops);
    for (size_t i = 0; i < h->n_ops; i++)
        buf_printf(&text, ",%u %u %u %u", h->ops[i].code, h->ops[i].jt, h->ops[i].jf, h->ops[i].k);
    snprintf(h->bytecode, sizeof h->bytecode, "%s", buf_text(&text));
    for (size_t i = 0; i < h->n; i++) {
        struct hand_at *at = &h->at[i];
        *at = (struct hand_at){.netns = faults_netns(f, i),
                               .nl = faults_nl(f, i),
                               .device = faults_device(f, i),
                               .raw = h->at[0].raw};
        snprintf(at->name, sizeof at->name, "h%zu", i);
        hand_place(at, i == 0 || !h->one_place);
    }
    make_bare(h, true);
    make_bare(h, false);
}

static void hand_close(struct hand *h)
{
    for (size_t i = 0; i < (h->one_place ? 1 : h->n); i++)
        close(h->at[i].raw);
    for (int on = 0; on < 2; on++)
        bench_bare_done(&h->bare[on]);
    free(h->at);
    free(h->ops);
}

/* `tc -n` finds namespaces by name in /run/netns; ours is our own. */
static void hand_names(const struct hand *h)
{
    if (mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, NULL) < 0 ||
        mkdir("/run/netns", 0755) < 0)
        bench_skip("a private /run cannot be mounted here");
    for (size_t i = 0; i < h->n; i++) {
        char from[64], to[80];
        snprintf(from, sizeof from, "/proc/self/fd/%d", h->at[i].netns);
        snprintf(to, sizeof to, "/run/netns/%s", h->at[i].name);
        close(open(to, O_CREAT | O_CLOEXEC, 0444));
        if (mount(from, to, NULL, MS_BIND, NULL) < 0)
            bench_skip("a namespace cannot be given a name here");
    }
}

/* --- Sides, us for all ------------------------------------------------------------------------ */

static double us_since(nsec start)
{
    return (double)(nsec_now(CLOCK_MONOTONIC) - start) / 1e3;
}

static double by_bare(const struct hand *h, bool on)
{
    nsec start = nsec_now(CLOCK_MONOTONIC);
    for (size_t i = 0; i < h->n; i++)
        bench_bare_send(&h->bare[on], i, 1, h->at[i].raw);
    return us_since(start);
}

static double by_batch(const struct hand *h, bool on)
{
    struct err err = ERR_INIT;
    AUTO_NETNS netns_scope back = NETNS_OUTSIDE;
    AUTO_BUF script = BUF_INIT;
    nsec start = nsec_now(CLOCK_MONOTONIC);
    for (size_t i = 0; i < h->n; i++)
        if (on)
            buf_printf(
                &script,
                "filter add dev %s egress protocol all pref %d handle %d bpf bytecode \"%s\" "
                "action mirred egress redirect dev " ASIDE "\n",
                h->at[i].device, PREF, HANDLE, h->bytecode);
        else
            buf_printf(&script, "filter del dev %s egress protocol all pref %d handle %d bpf\n",
                       h->at[i].device, PREF, HANDLE);
    bench_ok(netns_enter(h->at[0].netns, &back, &err), &err);
    bench_run((const char *const[]){"tc", "-batch", "-", NULL}, buf_text(&script));
    return us_since(start);
}

static void tc_once(const struct hand *h, size_t i, bool on)
{
    const char *argv[32] = {"tc"};
    size_t n = 1;
    if (!h->one_place) {
        argv[n++] = "-n";
        argv[n++] = h->at[i].name;
    }
    const char *const which[] = {"filter", on ? "add" : "del", "dev", h->at[i].device,
                                 "egress", "protocol",         "all", "pref",
                                 "50",     "handle",           "1",   "bpf"};
    const char *const what[] = {"bytecode", h->bytecode, "action", "mirred",
                                "egress",   "redirect",  "dev",    ASIDE};
    for (size_t k = 0; k < ARRAY_SIZE(which); k++)
        argv[n++] = which[k];
    for (size_t k = 0; on && k < ARRAY_SIZE(what); k++)
        argv[n++] = what[k];
    bench_run(argv, NULL);
}

/* Of a sample. */
static double by_tc_each(const struct hand *h, bool on)
{
    struct err err = ERR_INIT;
    AUTO_NETNS netns_scope back = NETNS_OUTSIDE;
    size_t apart = h->n / SAMPLE;
    if (h->one_place)
        bench_ok(netns_enter(h->at[0].netns, &back, &err), &err);
    nsec start = nsec_now(CLOCK_MONOTONIC);
    for (size_t i = 0; i < SAMPLE; i++)
        tc_once(h, i * apart, on);
    return us_since(start) * (double)h->n / SAMPLE;
}

/* --- Rounds ----------------------------------------------------------------------------------- */

enum side { OURS, BARE, EACH, BATCH, SIDES };

struct rounds {
    double on[SIDES][BENCH_MAX_ROUNDS], off[SIDES][BENCH_MAX_ROUNDS];
    double prepare[BENCH_MAX_ROUNDS], journal[BENCH_MAX_ROUNDS], arm[BENCH_MAX_ROUNDS],
        applied[BENCH_MAX_ROUNDS], verify[BENCH_MAX_ROUNDS], disarm[BENCH_MAX_ROUNDS],
        gone[BENCH_MAX_ROUNDS], proof[BENCH_MAX_ROUNDS];
    double *each, *heal_each; /* of every fault of every round */
    size_t differing;
};

/* The kernel frees filters and their programs later and by itself. */
static void pause_a_moment(void)
{
    (void)poll(NULL, 0, 100);
}

static void our_side(struct faults *f, struct rounds *r, size_t round, struct faults_cost *c)
{
    c->each = r->each + round * f->n;
    c->heal_each = r->heal_each + round * f->n;
    faults_arm(f, c);
    pause_a_moment();
    faults_apply(f, c);
    r->proof[round] = faults_proof(f) / 1e3;
    faults_verify(f, c);
    pause_a_moment();
    faults_revert(f, c);
    r->on[OURS][round] = c->acked;
    r->off[OURS][round] = c->heal;
    r->applied[round] = c->applied / (double)f->n;
    r->verify[round] = c->verify / FAULTS_VERIFIED;
}

static void hand_clsact(const struct hand *h, bool on)
{
    struct err err = ERR_INIT;
    for (size_t i = 0; h->bare_device && i < h->n; i++) {
        (on ? tc_clsact_add : tc_clsact_delete)(h->at[i].nl, h->at[i].device);
        bench_ok(nl_flush(h->at[i].nl, &err), &err);
    }
}

static void hand_side(const struct hand *h, enum side s, struct rounds *r, size_t round)
{
    static double (*const sides[])(const struct hand *h, bool on) = {
        [BARE] = by_bare, [EACH] = by_tc_each, [BATCH] = by_batch};
    hand_clsact(h, true);
    pause_a_moment();
    r->on[s][round] = sides[s](h, true);
    pause_a_moment();
    r->off[s][round] = sides[s](h, false);
    hand_clsact(h, false);
}

static void one_round(struct faults *f, const struct hand *h, struct rounds *r, size_t round)
{
    struct faults_cost c = {0};
    static const enum side order[] = {OURS, BARE, EACH, BATCH};
    size_t n = h->one_place ? SIDES : BATCH;
    faults_prepare(f, &c);
    for (size_t i = 0; i < n; i++) {
        enum side s = order[(i + round) % n]; /* nobody is always first */
        pause_a_moment();
        if (s == OURS)
            our_side(f, r, round, &c);
        else
            hand_side(h, s, r, round);
    }
    r->differing += faults_settle(f, &c);
    r->prepare[round] = c.prepare / (double)f->n;
    r->journal[round] = c.journal / (double)f->n;
    r->arm[round] = c.arm / (double)f->n;
    r->disarm[round] = c.disarm / (double)f->n;
    r->gone[round] = c.gone / 1e3;
}

/* --- What comes out --------------------------------------------------------------------------- */

static double p99(double *v, size_t n)
{
    bench_median(v, n); /* sorts */
    return v[n - 1 - n / 100];
}

static void per_fault(const char *name, const double *all, size_t rounds, size_t n)
{
    double v[BENCH_MAX_ROUNDS];
    for (size_t i = 0; i < rounds; i++)
        v[i] = all[i] / (double)n;
    bench_tell(name, v, rounds, "us");
}

static void tell(struct rounds *r, const struct faults *f, size_t rounds)
{
    static const char *const names[] = {
        [BARE] = "bare message", [BATCH] = "tc -batch", [EACH] = "tc, one process each"};
    enum side end = f->at_switch ? SIDES : BATCH;
    bench_tell("prepare", r->prepare, rounds, "us");
    bench_tell("journal", r->journal, rounds, "us");
    if (f->of_others)
        bench_tell("arm", r->arm, rounds, "us");
    per_fault("apply, to the last acknowledgement", r->on[OURS], rounds, f->n);
    printf("  %-44s %10.2f us\n", "the very first, with what is started for it", r->each[0]);
    bench_tell("apply, with what is told of it", r->applied, rounds, "us");
    bench_tell("verify: read back, packets of our own set out", r->verify, rounds, "us");
    bench_tell("verify of one fault, to its answer", r->proof, rounds, "ms");
    per_fault("revert", r->off[OURS], rounds, f->n);
    bench_tell("what was armed, taken away 50 ms later", r->disarm, rounds, "us");
    bench_tell("from heal until nothing of all is left", r->gone, rounds, "ms");
    for (enum side s = BARE; s < end; s++) {
        char what[64];
        snprintf(what, sizeof what, "%s, on", names[s]);
        per_fault(what, r->on[s], rounds, f->n);
        snprintf(what, sizeof what, "%s, off", names[s]);
        per_fault(what, r->off[s], rounds, f->n);
    }
}

struct gate {
    int *missed;
    const char *way;
    bool hard; /* three hundred times is a gate */
    size_t faults, rounds;
};

static void ratio(const struct gate *g, const char *id, const char *what, const double *a,
                  const double *b, bool most, double limit)
{
    char name[160];
    double v[BENCH_MAX_ROUNDS];
    bench_over(a, b, g->rounds, v);
    snprintf(name, sizeof name, "%s %zu faults, %s: %s", id, g->faults, g->way, what);
    bench_gate_of(g->missed, name, v, g->rounds, most, limit);
}

/* Where a fault is a filter this is a goal, but beside tc(8) with its 1,000 links (README.md), and what the
 * bare message reaches stands beside it: nobody goes below what the kernel takes for it. */
static void each_over_ours(struct rounds *r, const struct gate *g, const char *id, const char *what)
{
    double v[BENCH_MAX_ROUNDS];
    char name[160];
    if (g->hard) {
        ratio(g, id, what, r->on[EACH], r->on[OURS], false, 300);
        return;
    }
    bench_over(r->on[EACH], r->on[OURS], g->rounds, v);
    snprintf(name, sizeof name, "%s %zu faults, %s: %s", id, g->faults, g->way, what);
    bench_goal(name, bench_median(v, g->rounds), false, 300);
    bench_over(r->on[EACH], r->on[BARE], g->rounds, v);
    bench_tell("the same, over the bare message", v, g->rounds, "times");
}

static void gates(struct rounds *r, const struct faults *f, const struct gate *g)
{
    char name[160];
    size_t all = g->rounds * f->n;
    bool one_place = f->at_switch;
    if (one_place) {
        each_over_ours(r, g, "T2", "one tc each over ours");
        ratio(g, "T2b", "tc -batch over ours", r->on[BATCH], r->on[OURS], false, 2);
        ratio(g, "T2b", "ours over bare messages", r->on[OURS], r->on[BARE], true, 2);
    } else {
        each_over_ours(r, g, "T2c", "one tc -n each over ours");
        ratio(g, "T2c", "ours over bare messages", r->on[OURS], r->on[BARE], true, 1.5);
    }
    snprintf(name, sizeof name, "T3b %zu faults, %s: p99 of apply, ms", g->faults, g->way);
    bench_gate(g->missed, name, p99(r->each, all) / 1e3, true, 1);
    printf("  p99 of revert %.3f ms\n", p99(r->heal_each, all) / 1e3);
    if (!f->of_others)
        ratio(g, "T4", "heal over bare deletes", r->off[OURS], r->off[BARE], true, 3);
    snprintf(name, sizeof name, "T4 %zu faults, %s: links and filters that differ afterwards",
             g->faults, g->way);
    bench_gate(g->missed, name, (double)r->differing, true, 0);
}

/* --- Ways ------------------------------------------------------------------------------------- */

struct way {
    const char *name, *told;
    enum impaired_engine engine;
    struct faults_shape one_place, places; /* one_place: may be of none */
    bool needs_tap;                        /* a fault is a store */
};
static const struct way ways[] = {
    {"tap", "eBPF and TAP", IMPAIRED_USER, {40, 25, 1000, true}, {200, 0, 200, false}, true},
    /* A device of ours for each takes the kernel a while to take away. */
    {"cable", "filter and cable", IMPAIRED_USER, {40, 25, 200, true}, {200, 0, 200, false}},
    {"others", "in namespaces of others", IMPAIRED_USER, {0}, {100, 0, 100, false, true}, true},
    /* Of a size for the emulated kernel. */
    {"netem", "filter and netem", IMPAIRED_NETEM, {20, 10, 200, true}, {50, 0, 50, false}},
};

static void measure_shape(const struct way *w, const struct faults_shape *shape,
                          const char *mountpoint, int *missed)
{
    static struct rounds r;
    struct faults f;
    struct hand h;
    char dir[128];
    size_t rounds = bench_rounds();
    bool hard = w->needs_tap || shape->hosts * shape->networks >= 1000;
    snprintf(dir, sizeof dir, "%s/%s", mountpoint, shape->at_switch ? "switch" : "hosts");
    faults_open(&f, shape, dir);
    for (size_t i = 0; i < f.n; i++)
        f.items[i].params.impaired.engine = w->engine;
    hand_open(&h, &f);
    if (!shape->at_switch)
        hand_names(&h);
    r = (struct rounds){.each = calloc(rounds * f.n, sizeof(double)),
                        .heal_each = calloc(rounds * f.n, sizeof(double))};
    for (size_t i = 0; i < rounds; i++)
        one_round(&f, &h, &r, i);
    printf("%zu faults, %s, ", f.n, w->told);
    if (shape->at_switch)
        printf("%d devices in one namespace", shape->hosts * shape->networks);
    else
        printf("each in another namespace");
    printf(", %zu rounds; each, of all together:\n", rounds);
    tell(&r, &f, rounds);
    gates(&r, &f, &(struct gate){missed, w->told, hard, f.n, rounds});
    free(r.each);
    free(r.heal_each);
    hand_close(&h);
    faults_close(&f);
}

/* Ends this process if it cannot be done this way. */
static void take_way(const struct way *w)
{
    struct err err = ERR_INIT;
    struct tap *tap = NULL;
    if (strcmp(w->name, "cable") == 0 && access("/dev/net", F_OK) == 0 &&
        mount("tmpfs", "/dev/net", "tmpfs", MS_NOSUID, NULL) < 0) /* then no TAP can be made */
        bench_skip("/dev/net cannot be hidden here");
    if (!w->needs_tap)
        return;
    if (tap_new(&tap, &err) < 0)
        bench_skip(err.text);
    tap_free(tap);
}

static void measure(const char *mountpoint, void *data)
{
    const struct way *w = data;
    struct err err = ERR_INIT;
    bool rootless;
    unsigned ids;
    int missed = 0;
    if (lab_prepare_process(mountpoint, &rootless, &ids, &err) < 0)
        bench_skip(err.text);
    take_way(w);
    if (w->one_place.n)
        measure_shape(w, &w->one_place, mountpoint, &missed);
    measure_shape(w, &w->places, mountpoint, &missed);
    exit(bench_end(missed, NULL));
}

static bool has_netem(void)
{
    struct err err = ERR_INIT;
    struct impair_here here;
    AUTO_CLOSE int netns = -1;
    if (netns_new(&netns, &err) < 0)
        return false;
    impair_here_try(netns, &here);
    return here.netem;
}

int main(int argc, char **argv)
{
    int worst = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        struct way w = ways[i];
        if (!bench_wants(argc, argv, w.name) || (w.engine == IMPAIRED_NETEM && !has_netem()))
            continue;
        int code = bench_with_mountpoint(measure, &w);
        worst = worst == 1 || code == 0 ? worst : code;
    }
    return worst;
}
