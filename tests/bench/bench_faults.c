/* See bench_faults.h. */
#include "tests/bench/bench_faults.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/base/arena.h"
#include "sim/base/buf.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/rtnl.h"
#include "tests/bench/bench_hosts.h"

#define BEGINS (50 * NSEC_MSEC) /* after it was retired a line is taken away: impair.c */
#define LOOK (20 * NSEC_MSEC)
#define LOOKS 500

static double us_since(nsec start)
{
    return (double)(nsec_now(CLOCK_MONOTONIC) - start) / 1e3;
}

/* --- The lab ---------------------------------------------------------------------------------- */

static const char *host_of(const struct faults *f, size_t i)
{
    return ((const struct host *)f->s->hosts.items[i % f->s->hosts.n])->name;
}

static void make_fault(struct faults *f, size_t i)
{
    struct faults_one *o = &f->items[i];
    const struct network *net = f->s->networks.n ? f->s->networks.items[i / f->s->hosts.n] : NULL;
    o->target.host = arena_strdup(f->s->arena, host_of(f, i));
    o->params = (struct network_params){
        .host = &o->target,
        .network = net ? net->name : NULL,
        .device = f->of_others ? arena_strdup(f->s->arena, "eth0") : NULL,
        .direction = f->at_switch ? NETWORK_INGRESS : NETWORK_EGRESS,
        .impaired = {.delay = 10 * NSEC_MSEC, .jitter = NSEC_UNSET, .seed = -1}};
    o->step = (struct step){.id = arena_printf(f->s->arena, "step-%zu", i),
                            .lasting = NSEC_UNSET,
                            .fault = true,
                            .lasts = true,
                            .params = &o->params};
    for (const struct variant *const *v = injector_actions; *v; v++)
        if (strcmp((*v)->name, "network") == 0)
            o->step.action = *v;
    o->rng = rng_stream(7, o->step.id, 1, 0);
    o->env = (struct inject_env){
        .scenario = f->s, .lab = f->lab, .loop = f->loop, .rng = &o->rng, .run_id = "bench"};
    o->result = INJECT_RESULT_INIT;
}

static void add_line(const char *line, void *data)
{
    buf_printf(data, "%s\n", line);
}

/* Of each namespace in which there are faults. */
static char *standing(const struct faults *f, enum rtnl_what what)
{
    struct err err = ERR_INIT;
    AUTO_BUF text = BUF_INIT;
    for (size_t i = 0; i < (f->at_switch ? 1 : f->n); i++)
        bench_ok(rtnl_describe(faults_nl(f, i), what, add_line, &text, &err), &err);
    return buf_steal(&text);
}

/* A namespace with a cable for each host, found by a path as others' are. */
static void make_others(struct faults *f)
{
    struct err err = ERR_INIT;
    for (size_t i = 0; i < f->s->hosts.n; i++) {
        struct host *h = f->s->hosts.items[i];
        CLEANUP(nl_free_p) struct nl *nl = NULL;
        int fd;
        bench_ok(netns_new(&fd, &err), &err); /* held as long as we live */
        bench_ok(nl_open_kernel(fd, h->name, &nl, &err), &err);
        rtnl_veth_add(nl, &(struct rtnl_veth){.name = "eth0", .up = true, .peer_name = "peer"});
        rtnl_link_up(nl, "peer", true);
        bench_ok(nl_flush(nl, &err), &err);
        h->lab = NULL;
        h->netns = arena_printf(f->s->arena, "/proc/%d/fd/%d", (int)getpid(), fd);
        h->allow = true;
    }
    bench_ok(attached_open(f->s, 1, &f->attached, &err), &err);
}

void faults_open(struct faults *f, const struct faults_shape *shape, const char *dir)
{
    struct err err = ERR_INIT;
    struct lab_handlers none = {0};
    char journal[256];
    *f = (struct faults){.s = bench_hosts(shape->hosts, shape->networks),
                         .n = shape->n,
                         .at_switch = shape->at_switch,
                         .of_others = shape->of_others};
    if (f->of_others)
        make_others(f);
    bench_ok(loop_new(LOOP_REAL, &f->loop, &err), &err);
    bench_ok(lab_new(f->s, f->loop, dir, AT_FDCWD, -1, &none, &f->lab, &err), &err);
    if (f->of_others)
        bench_ok(lab_attach(f->lab, f->attached, &err), &err);
    snprintf(journal, sizeof journal, "%s-journal", dir);
    bench_ok(journal_open(journal, "bench", &f->journal, &err), &err);
    f->items = calloc(f->n, sizeof *f->items);
    if (!f->items)
        abort();
    for (size_t i = 0; i < f->n; i++)
        make_fault(f, i);
}

void faults_close(struct faults *f)
{
    free(f->links);
    free(f->filters);
    f->journal = journal_close(f->journal);
    lab_free(f->lab);
    attached_free(f->attached);
    loop_free(f->loop);
    arena_free(f->s->arena);
    free(f->items);
}

int faults_netns(const struct faults *f, size_t i)
{
    return f->at_switch ? lab_switch_netns(f->lab)
                        : lab_node_netns(lab_node(f->lab, host_of(f, i)));
}

struct nl *faults_nl(const struct faults *f, size_t i)
{
    return f->at_switch ? lab_switch_nl(f->lab) : lab_node_nl(lab_node(f->lab, host_of(f, i)));
}

const char *faults_device(const struct faults *f, size_t i)
{
    return f->at_switch ? lab_node_port(lab_node(f->lab, host_of(f, i)), f->items[i].params.network)
                        : "eth0";
}

/* --- A life ----------------------------------------------------------------------------------- */

void faults_prepare(struct faults *f, struct faults_cost *c)
{
    struct err err = ERR_INIT;
    if (!f->links) {
        f->links = standing(f, RTNL_LINKS);
        f->filters = standing(f, RTNL_FILTERS);
    }
    nsec start = nsec_now(CLOCK_MONOTONIC);
    for (size_t i = 0; i < f->n; i++) {
        struct faults_one *o = &f->items[i];
        const struct injector *in = injector_of(&o->step);
        bench_ok(in->prepare(&o->env, &o->step, &o->state, &o->undo, &err), &err);
    }
    c->prepare = us_since(start);
    start = nsec_now(CLOCK_MONOTONIC);
    for (size_t i = 0; i < f->n; i++) {
        struct faults_one *o = &f->items[i];
        const struct injector *in = injector_of(&o->step);
        const struct journal_entry e = {.life = f->of_others ? JOURNAL_KEPT : JOURNAL_TIED,
                                        .armed = f->of_others,
                                        .step = o->step.id,
                                        .injector = in->name,
                                        .undo = o->undo};
        bench_ok(journal_append(f->journal, &e, &o->entry, &err), &err);
    }
    bench_ok(journal_sync(f->journal, &err), &err);
    c->journal = us_since(start);
}

void faults_arm(struct faults *f, struct faults_cost *c)
{
    struct err err = ERR_INIT;
    nsec start = nsec_now(CLOCK_MONOTONIC);
    for (size_t i = 0; f->of_others && i < f->n; i++) {
        struct faults_one *o = &f->items[i];
        bench_ok(journal_begin(f->journal, o->entry, &err), &err);
        bench_ok(injector_of(&o->step)->arm(&o->env, o->state, &err), &err);
    }
    c->arm = us_since(start);
}

void faults_apply(struct faults *f, struct faults_cost *c)
{
    struct err err = ERR_INIT;
    nsec start = nsec_now(CLOCK_MONOTONIC);
    c->acked = 0;
    for (size_t i = 0; i < f->n; i++) {
        struct faults_one *o = &f->items[i];
        nsec call = nsec_now(CLOCK_MONOTONIC);
        bench_ok(injector_of(&o->step)->apply(&o->env, o->state, &o->result, &err), &err);
        c->each[i] = (double)(o->result.at.hi - call) / 1e3;
        c->acked += c->each[i];
    }
    c->applied = us_since(start);
}

void faults_verify(struct faults *f, struct faults_cost *c)
{
    struct err err = ERR_INIT;
    nsec start = nsec_now(CLOCK_MONOTONIC);
    for (size_t i = 0; i < FAULTS_VERIFIED && i < f->n; i++) {
        struct faults_one *o = &f->items[i * (f->n / FAULTS_VERIFIED)];
        struct inject_proof proof = {0};
        bench_ok(injector_of(&o->step)->verify(&o->env, o->state, &proof, &err), &err);
    }
    c->verify = us_since(start);
}

double faults_proof(struct faults *f)
{
    struct err err = ERR_INIT;
    struct faults_one *o = &f->items[0];
    struct inject_proof proof = {0};
    nsec start = nsec_now(CLOCK_MONOTONIC);
    int r;
    while ((r = injector_of(&o->step)->verify(&o->env, o->state, &proof, &err)) == INJECT_AGAIN)
        bench_ok(loop_turn(f->loop, loop_fresh(f->loop) + INJECT_AGAIN_EVERY, &err), &err);
    bench_ok(r, &err);
    if (!proof.ok)
        bench_fail("a fault did not bite: asked %s, seen %s", proof.asked, proof.seen);
    return us_since(start);
}

void faults_revert(struct faults *f, struct faults_cost *c)
{
    struct err err = ERR_INIT;
    for (size_t i = 0; i < f->n; i++)
        injector_of(&f->items[i].step)->done(f->items[i].state);
    nsec start = nsec_now(CLOCK_MONOTONIC);
    for (size_t i = 0; i < f->n; i++) {
        struct faults_one *o = &f->items[i];
        struct inject_result undone = INJECT_RESULT_INIT;
        nsec call = nsec_now(CLOCK_MONOTONIC);
        bench_ok(injector_of(&o->step)->revert(&o->env, o->undo, &undone, &err), &err);
        c->heal_each[i] = us_since(call);
        inject_result_done(&undone);
    }
    c->heal = us_since(start);
    for (size_t i = 0; i < f->n; i++) {
        struct faults_one *o = &f->items[i];
        bench_ok(journal_done_entry(f->journal, o->entry, &err), &err);
        json_decref(o->undo);
        inject_result_done(&o->result);
        o->result = INJECT_RESULT_INIT;
    }
}

/* Lines of one that are not at their place in the other. */
static size_t differing(const char *a, const char *b)
{
    size_t n = 0;
    while (*a || *b) {
        size_t x = strcspn(a, "\n"), y = strcspn(b, "\n");
        n += x != y || memcmp(a, b, x) != 0;
        a += x + (a[x] != '\0');
        b += y + (b[y] != '\0');
    }
    return n;
}

static void turn(struct faults *f, nsec how_long)
{
    struct err err = ERR_INIT;
    nsec until = loop_fresh(f->loop) + how_long;
    while (loop_fresh(f->loop) < until)
        bench_ok(loop_turn(f->loop, until, &err), &err);
}

size_t faults_settle(struct faults *f, struct faults_cost *c)
{
    nsec start = nsec_now(CLOCK_MONOTONIC);
    size_t links = 1;
    turn(f, BEGINS);
    for (int i = 0; links && i < LOOKS; i++) {
        AUTO_FREE char *now = standing(f, RTNL_LINKS);
        links = differing(f->links, now);
        c->gone = us_since(start);
        if (links)
            turn(f, LOOK);
    }
    c->disarm = c->gone - (double)BEGINS / 1e3;
    AUTO_FREE char *filters = standing(f, RTNL_FILTERS);
    return links + differing(f->filters, filters);
}
