/* 1,000 faults switched on and off on 1,000 devices: each a classifier at clsact with a redirect to
 * an intermediate device, against tc(8) and against the bare messages.
 *
 * All sides end with the same filters in the kernel, and find the same prepared: the devices, their
 * clsact and the intermediate device are made once. The kernel's own share, the same for all, is what
 * the bare messages take: built before, with the devices' numbers known, 64 to a send with one
 * acknowledgement. tc(8) reads all links of the namespace at each start, so its time is of a
 * namespace with 1,000 of them.
 */
#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include "sim/kernel/nl.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/tc.h"
#include "tests/bench/bench.h"

#include <linux/bpf_common.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FAULTS = 1000, SAMPLE = 50, CHUNK = 64, PREF = 100, HANDLE = 1 };
#define BYTECODE "4,48 0 0 23,21 0 1 17,6 0 0 4294967295,6 0 0 0" /* as `ops` */

static const struct sock_filter ops[] = {
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 17, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    BPF_STMT(BPF_RET | BPF_K, 0),
};

struct world {
    struct nl *nl;
    char names[FAULTS][16];
};

static struct tc_filter fault(const struct world *w, unsigned i)
{
    return (struct tc_filter){.dev = w->names[i],
                              .hook = TC_EGRESS,
                              .pref = PREF,
                              .handle = HANDLE,
                              .ops = ops,
                              .n_ops = ARRAY_SIZE(ops),
                              .redirect_to = "ifb0"};
}

static void prepare(struct world *w)
{
    struct err err = ERR_INIT;
    bench_ok(nl_open_kernel(-1, "here", &w->nl, &err), &err);
    for (unsigned i = 0; i < FAULTS; i++)
        snprintf(w->names[i], sizeof w->names[i], "v%u", i);
    for (unsigned i = 0; i < FAULTS; i += 2)
        rtnl_veth_add(w->nl,
                      &(struct rtnl_veth){.name = w->names[i], .peer_name = w->names[i + 1]});
    tc_ifb_add(w->nl, "ifb0", 0);
    bench_ok(nl_flush(w->nl, &err), &err);
    for (unsigned i = 0; i < FAULTS; i++)
        tc_clsact_add(w->nl, w->names[i]);
    bench_ok(nl_flush(w->nl, &err), &err);
    for (unsigned i = 0; i < FAULTS; i++) { /* as a lab, which gives its devices their numbers */
        int ifindex = 0;
        bench_ok(nl_ifindex(w->nl, w->names[i], &ifindex, &err), &err);
        nl_learn(w->nl, w->names[i], ifindex);
    }
}

/* The kernel frees filters and their programs later and by itself. */
static void settle(void)
{
    (void)poll(NULL, 0, 100);
}

/* --- Sides -------------------------------------------------------------------- */

/* By this transport, `together` at once. */
static void switch_all(const struct world *w, struct nl *nl, bool on, unsigned together)
{
    struct err err = ERR_INIT;
    for (unsigned i = 0; i < FAULTS; i++) {
        const struct tc_filter f = fault(w, i);
        if (on)
            tc_filter_add(nl, &f);
        else
            tc_filter_delete(nl, &f);
        if ((i + 1) % together == 0)
            bench_ok(nl_flush(nl, &err), &err);
    }
}

static struct bench_time by_blackstart(const struct world *w, bool on)
{
    struct bench_time start = bench_clock();
    switch_all(w, w->nl, on, FAULTS);
    return bench_since(start);
}

/* The same with an acknowledgement before the next: as faults come when they have not one time. */
static struct bench_time by_blackstart_each(const struct world *w, bool on)
{
    struct bench_time start = bench_clock();
    switch_all(w, w->nl, on, 1);
    return bench_since(start);
}

/* Messages as bytes with the numbers in: what nl_observe() tells, holes filled. */
struct bare {
    struct buf bytes;
    size_t at[FAULTS + 1], n;
};

static void keep_bare(const struct nl_seen *s, void *data)
{
    struct bare *b = data;
    b->at[b->n++] = b->bytes.len;
    buf_add(&b->bytes, s->bytes, s->n);
    while (b->bytes.len % NLMSG_ALIGNTO)
        buf_addc(&b->bytes, '\0');
    b->at[b->n] = b->bytes.len;
}

static void fill(char *message, size_t n, int dev, int ifb, bool on)
{
    struct nlmsghdr h;
    memcpy(&h, message, sizeof h);
    h.nlmsg_seq = 0;
    memcpy(message, &h, sizeof h);
    memcpy(message + NLMSG_HDRLEN + offsetof(struct tcmsg, tcm_ifindex), &dev, sizeof dev);
    if (on) /* the last member of the last attribute */
        memcpy(message + n - sizeof ifb, &ifb, sizeof ifb);
}

static struct bare make_bare(const struct world *w, bool on)
{
    struct err err = ERR_INIT;
    struct bare b = {.bytes = BUF_INIT};
    struct nl *nl = NULL;
    int ifb = 0, dev = 0;
    bench_ok(nl_open_recording("here", &nl, &err), &err);
    nl_observe(nl, keep_bare, &b);
    switch_all(w, nl, on, FAULTS);
    nl_free(nl);
    bench_ok(nl_open_kernel(-1, "here", &nl, &err), &err);
    bench_ok(nl_ifindex(nl, "ifb0", &ifb, &err), &err);
    for (unsigned i = 0; i < FAULTS; i++) {
        bench_ok(nl_ifindex(nl, w->names[i], &dev, &err), &err);
        fill(b.bytes.text + b.at[i], b.at[i + 1] - b.at[i], dev, ifb, on);
    }
    nl_free(nl);
    return b;
}

static void send_bare(int fd, struct bare *b, size_t from, size_t to)
{
    char answer[4096];
    struct nlmsghdr h;
    char *last = b->bytes.text + b->at[to - 1];
    memcpy(&h, last, sizeof h);
    h.nlmsg_flags |= NLM_F_ACK;
    memcpy(last, &h, sizeof h);
    size_t n = b->at[to] - b->at[from];
    if (send(fd, b->bytes.text + b->at[from], n, 0) != (ssize_t)n ||
        recv(fd, answer, sizeof answer, 0) < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr))) {
        printf("failed: a bare message\n");
        exit(1);
    }
    struct nlmsgerr e;
    memcpy(&e, answer + NLMSG_HDRLEN, sizeof e);
    if (e.error) {
        printf("failed: a bare message: %s\n", strerror(-e.error));
        exit(1);
    }
}

static struct bench_time by_bare_messages(const struct world *w, bool on)
{
    struct bare b = make_bare(w, on);
    AUTO_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct bench_time start = bench_clock();
    for (size_t i = 0; i < FAULTS; i += CHUNK)
        send_bare(fd, &b, i, i + CHUNK < FAULTS ? i + CHUNK : FAULTS);
    struct bench_time t = bench_since(start);
    buf_done(&b.bytes);
    return t;
}

static struct bench_time by_tc_batch(const struct world *w, bool on)
{
    AUTO_BUF script = BUF_INIT;
    struct bench_time start = bench_clock();
    for (unsigned i = 0; i < FAULTS; i++)
        if (on)
            buf_printf(
                &script,
                "filter add dev %s egress protocol all pref %d handle %d bpf bytecode \"" BYTECODE
                "\" action mirred egress redirect dev ifb0\n",
                w->names[i], PREF, HANDLE);
        else
            buf_printf(&script, "filter del dev %s egress protocol all pref %d handle %d bpf\n",
                       w->names[i], PREF, HANDLE);
    bench_run((const char *const[]){"tc", "-batch", "-", NULL}, buf_text(&script));
    return bench_since(start);
}

#define RUN(...) bench_run((const char *const[]){__VA_ARGS__, NULL}, NULL)

static struct bench_time by_tc_each(const struct world *w, bool on)
{
    struct bench_time start = bench_clock();
    for (unsigned i = 0; i < SAMPLE; i++)
        if (on)
            RUN("tc", "filter", "add", "dev", w->names[i], "egress", "protocol", "all", "pref",
                "100", "handle", "1", "bpf", "bytecode", BYTECODE, "action", "mirred", "egress",
                "redirect", "dev", "ifb0");
        else
            RUN("tc", "filter", "del", "dev", w->names[i], "egress", "protocol", "all", "pref",
                "100", "handle", "1", "bpf");
    struct bench_time t = bench_since(start);
    t.wall_ms = t.wall_ms * FAULTS / SAMPLE;
    t.cpu_ms = t.cpu_ms * FAULTS / SAMPLE;
    return t;
}

/* --- Rounds ------------------------------------------------------------------- */

struct side {
    struct bench_time (*fn)(const struct world *w, bool on);
    const char *name;
    struct bench_series on, off;
};

enum { BLACKSTART, ONE_BY_ONE, BARE, TC_BATCH, TC_EACH };

static void goal(const char *what, double ratio, double want, bool at_least)
{
    bool met = at_least ? ratio >= want : ratio <= want;
    printf("goal: %s %.0f times %s: %.2f, %s\n", at_least ? "at least" : "at most", want, what,
           ratio, met ? "met" : "NOT met");
}

int main(void)
{
    struct side sides[] = {
        [BLACKSTART] = {by_blackstart, "blackstart", {0}, {0}},
        [ONE_BY_ONE] = {by_blackstart_each, "blackstart, one after the other", {0}, {0}},
        [BARE] = {by_bare_messages, "bare messages", {0}, {0}},
        [TC_BATCH] = {by_tc_batch, "tc -batch", {0}, {0}},
        [TC_EACH] = {by_tc_each, "tc, one process each (50 x 20)", {0}, {0}},
    };
    static struct world w;
    size_t rounds = bench_rounds();
    bench_hide();
    prepare(&w);
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < ARRAY_SIZE(sides); i++) {
            struct side *s = &sides[(i + round) % ARRAY_SIZE(sides)]; /* nobody is always first */
            s->on.name = s->off.name = s->name;
            settle();
            bench_add(&s->on, s->fn(&w, true));
            settle();
            bench_add(&s->off, s->fn(&w, false));
        }
    printf("1,000 faults switched on, %zu rounds\n", rounds);
    for (size_t i = 0; i < ARRAY_SIZE(sides); i++)
        bench_print(&sides[i].on, i ? &sides[0].on : NULL);
    printf("1,000 faults switched off\n");
    for (size_t i = 0; i < ARRAY_SIZE(sides); i++)
        bench_print(&sides[i].off, i ? &sides[0].off : NULL);
    const struct bench_series *on = &sides[BLACKSTART].on, *off = &sides[BLACKSTART].off;
    goal("one tc each", bench_ratio(&sides[TC_EACH].on, on), 300, true);
    goal("tc -batch", bench_ratio(&sides[TC_BATCH].on, on), 2, true);
    goal("of the bare messages, on", bench_ratio(on, &sides[BARE].on), 2, false);
    goal("of the bare messages, off", bench_ratio(off, &sides[BARE].off), 3, false);
    nl_free(w.nl);
    return 0;
}
