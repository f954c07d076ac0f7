/* netem's options; see netem.h. The order of attributes is that of tc(8) 6.1. */
#include "sim/kernel/netem.h"

#include "sim/kernel/tc.h"
#include <errno.h>
#include <linux/rtnetlink.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TICK 64 /* ns: PSCHED_SHIFT is 6 (include/net/pkt_sched.h) */
#define MAX_TICKS ((int64_t)UINT32_MAX)
#define ATTRIBUTE_MAX 65535 /* nla_len has 16 bits */
#define MIN_OVERHEAD (-42)  /* an ARP frame: nothing shorter is sent */
/* A rate that takes no time (0 ns for 64 KiB) makes netem keep the order of packets: the due time of
 * one is then never before that of the last one queued (netem_enqueue()). */
#define ORDER_RATE ((uint64_t)1 << 50)
/* Steps of jitter / 2048: finer than the clock of most hosts for jitters below 2 s. */
#define UNIFORM_N 4096

/* --- From an impairment ------------------------------------------------------ */

static bool is_share(double v)
{
    return v >= 0 && v <= 1; /* false for NaN */
}

static uint32_t share(double v)
{
    return (uint32_t)rint(v * UINT32_MAX);
}

static int check_shares(const struct impairment *m, struct err *err)
{
    const struct impair_loss *l = &m->loss;
    struct impairment_ratio shares[IMPAIRMENT_RATIOS];
    impairment_ratios(m, shares);
    for (size_t i = 0; i < IMPAIRMENT_RATIOS; i++)
        if (!is_share(shares[i].value))
            return err_set(err, EINVAL, "netem: %s must be between 0 and 1, not %g", shares[i].name,
                           shares[i].value);
    if (l->p13 + l->p14 > 1 || l->p31 + l->p32 > 1)
        return err_set(err, EINVAL,
                       "netem: the ways out of one state of the loss model add up to "
                       "more than 1 (p13 + p14, p31 + p32)");
    return 0;
}

static int check_times(const struct impairment *m, struct err *err)
{
    const struct impair_slot *s = &m->slot;
    if (m->delay < 0 || m->jitter < 0 ||
        (m->has_slot && (s->min < 0 || s->max < 0 || s->delay < 0 || s->jitter < 0)))
        return err_set(err, EINVAL, "netem: times cannot be negative");
    if (m->jitter > INT32_MAX || (m->has_slot && s->distributed && s->jitter > INT32_MAX))
        return err_set(err, ERANGE,
                       "netem: a jitter above 2.147483647 s is more than the kernel "
                       "can do");
    if (m->has_slot && !s->distributed && s->min > s->max)
        return err_set(err, EINVAL,
                       "netem: the shortest time between slots is longer than the "
                       "longest");
    if (m->has_slot && (s->packets < 0 || s->bytes < 0))
        return err_set(err, EINVAL,
                       "netem: a slot cannot hold a negative number of packets or "
                       "bytes");
    return 0;
}

static int check_rest(const struct impairment *m, struct err *err)
{
    if (m->reorder > 0 && m->delay == 0)
        return err_set(err, EINVAL,
                       "netem: reordering needs a delay: what goes at once overtakes "
                       "what waits");
    if (m->gap > 0 && m->reorder <= 0)
        return err_set(err, EINVAL, "netem: a gap needs a share of packets to reorder");
    if (m->packet_overhead < MIN_OVERHEAD)
        return err_set(err, ERANGE,
                       "netem: a packet overhead below %d bytes would leave small "
                       "packets less than nothing",
                       MIN_OVERHEAD);
    if (m->cell_size > 0 && (int64_t)m->cell_size + m->cell_overhead <= 0)
        return err_set(err, ERANGE,
                       "netem: cells of %u bytes with an overhead of %d are cells of "
                       "nothing",
                       m->cell_size, m->cell_overhead);
    return 0;
}

/* Both ways out of a state as the kernel adds them, in 32 bits: their sum must not wrap. */
static void set_pair(uint32_t *a, uint32_t *b, double x, double y)
{
    *a = share(x);
    *b = share(y);
    if (*b > UINT32_MAX - *a)
        *b = UINT32_MAX - *a;
}

static void set_loss(const struct impair_loss *l, struct netem_options *o)
{
    switch (l->kind) {
    case IMPAIR_LOSS_NONE:
        break;
    case IMPAIR_LOSS_RANDOM:
        o->loss = share(l->ratio);
        o->correlation.loss_corr = share(l->correlation);
        break;
    case IMPAIR_LOSS_GILBERT_ELLIOTT:
        o->loss_model = NETEM_LOSS_GE;
        o->gilbert = (struct tc_netem_gemodel){.p = share(l->p),
                                               .r = share(l->r),
                                               .h = UINT32_MAX - share(l->one_minus_h),
                                               .k1 = share(l->one_minus_k)};
        break;
    case IMPAIR_LOSS_STATE:
        o->loss_model = NETEM_LOSS_GI;
        set_pair(&o->state.p13, &o->state.p14, l->p13, l->p14);
        set_pair(&o->state.p31, &o->state.p32, l->p31, l->p32);
        o->state.p23 = share(l->p23);
        break;
    }
}

static void set_slot(const struct impair_slot *s, struct tc_netem_slot *o)
{
    o->max_packets = s->packets;
    o->max_bytes = s->bytes;
    /* Without jitter the kernel takes a distributed slot for no slot at all (get_slot()). */
    if (s->distributed && s->jitter > 0) {
        o->dist_delay = s->delay;
        o->dist_jitter = s->jitter;
    } else {
        o->min_delay = s->distributed ? s->delay : s->min;
        o->max_delay = s->distributed ? s->delay : s->max;
    }
}

int netem_options(const struct impairment *m, struct netem_options *ret, struct err *err)
{
    int r = check_shares(m, err);
    if (r == 0)
        r = check_times(m, err);
    if (r == 0)
        r = check_rest(m, err);
    if (r < 0)
        return r;
    struct netem_options o = {
        .latency = m->delay,
        .jitter = m->jitter,
        .limit = impairment_limit(m),
        .gap = m->gap,
        .duplicate = share(m->duplicate),
        .reorder = share(m->reorder),
        .corrupt = share(m->corrupt),
        .correlation = {.delay_corr = share(m->delay_correlation),
                        .dup_corr = share(m->duplicate_correlation)},
        .reorder_correlation = share(m->reorder_correlation),
        .corrupt_correlation = share(m->corrupt_correlation),
        .rate = m->rate,
        .ecn = m->ecn,
        .has_seed = m->has_seed,
        .seed = m->seed,
    };
    set_loss(&m->loss, &o);
    if (o.reorder && !o.gap)
        o.gap = 1; /* gap 0 is "never" to the kernel */
    if (!o.rate && m->keep_order && m->jitter > 0)
        o.rate = ORDER_RATE;
    if (m->rate) {
        o.packet_overhead = m->packet_overhead;
        o.cell_size = m->cell_size;
        o.cell_overhead = m->cell_overhead;
    }
    if (m->has_slot)
        set_slot(&m->slot, &o.slot);
    *ret = o;
    return 0;
}

/* --- Bytes ------------------------------------------------------------------- */

/* A table in units of jitter / 8192, to be freed; n 0: none is sent. */
struct table {
    struct impair_table t;
    int16_t *made;
};

static struct table uniform_table(void)
{
    int16_t *v = malloc(UNIFORM_N * sizeof *v);
    if (!v)
        abort();
    for (int i = 0; i < UNIFORM_N; i++) /* the middle of each step */
        v[i] = (int16_t)((2 * i + 1 - UNIFORM_N) * NETEM_DIST_SCALE / UNIFORM_N);
    return (struct table){{v, UNIFORM_N}, v};
}

/* needs_one: the kernel may hold another table (a change), or draws from a table alone (slots). */
static struct table table_of(enum impair_distribution d, struct impair_table given, bool needs_one)
{
    if (d == IMPAIR_UNIFORM)
        return needs_one ? uniform_table() : (struct table){0};
    if (given.n > 0)
        return (struct table){given, NULL};
    int16_t *v = malloc(IMPAIR_TABLE_N * sizeof *v);
    if (!v)
        abort();
    size_t n = impairment_table(d, v);
    return (struct table){{v, n}, v};
}

static void done_table(struct table *t)
{
    free(t->made);
}

static void put_s64(struct nl_req *q, int attr, int64_t v)
{
    nl_req_put(q, attr, &v, sizeof v);
}

static uint32_t ticks(int64_t ns)
{
    return (uint32_t)(ns / TICK > MAX_TICKS ? MAX_TICKS : ns / TICK);
}

static bool is_exact(int64_t ns)
{
    return (int64_t)ticks(ns) * TICK == ns;
}

static void put_loss_model(struct nl_req *q, const struct netem_options *o)
{
    if (o->loss_model == NETEM_LOSS_UNSPEC)
        return; /* the kernel goes back to random loss by itself */
    struct nlattr *nest = nl_req_nest(q, TCA_NETEM_LOSS);
    if (o->loss_model == NETEM_LOSS_GI)
        nl_req_put(q, NETEM_LOSS_GI, &o->state, sizeof o->state);
    else
        nl_req_put(q, NETEM_LOSS_GE, &o->gilbert, sizeof o->gilbert);
    nl_req_nest_end(q, nest);
}

static void put_rate(struct nl_req *q, const struct netem_options *o)
{
    const struct tc_netem_rate r = {
        .rate = o->rate > UINT32_MAX ? UINT32_MAX : (uint32_t)o->rate,
        .packet_overhead = o->packet_overhead,
        .cell_size = o->cell_size,
        .cell_overhead = o->cell_overhead,
    };
    if (o->rate > UINT32_MAX)
        nl_req_put(q, TCA_NETEM_RATE64, &o->rate, sizeof o->rate);
    nl_req_put(q, TCA_NETEM_RATE, &r, sizeof r);
}

static void put_options(struct nl_req *q, const struct netem_options *o, bool anew)
{
    static const struct tc_netem_corr none;
    static const struct tc_netem_slot no_slot;
    const struct tc_netem_reorder reorder = {o->reorder, o->reorder_correlation};
    const struct tc_netem_corrupt corrupt = {o->corrupt, o->corrupt_correlation};
    if (anew || memcmp(&o->correlation, &none, sizeof none) != 0)
        nl_req_put(q, TCA_NETEM_CORR, &o->correlation, sizeof o->correlation);
    if (anew || o->reorder)
        nl_req_put(q, TCA_NETEM_REORDER, &reorder, sizeof reorder);
    if (anew || o->ecn)
        nl_req_put_u32(q, TCA_NETEM_ECN, o->ecn);
    if (anew || o->corrupt)
        nl_req_put(q, TCA_NETEM_CORRUPT, &corrupt, sizeof corrupt);
    if (anew || memcmp(&o->slot, &no_slot, sizeof no_slot) != 0)
        nl_req_put(q, TCA_NETEM_SLOT, &o->slot, sizeof o->slot);
    put_loss_model(q, o);
    if (anew || o->rate)
        put_rate(q, o);
    if (!is_exact(o->latency))
        put_s64(q, TCA_NETEM_LATENCY64, o->latency);
    if (!is_exact(o->jitter))
        put_s64(q, TCA_NETEM_JITTER64, o->jitter);
    if (o->has_seed)
        nl_req_put(q, TCA_NETEM_PRNG_SEED, &o->seed, sizeof o->seed);
}

static void put_tables(struct nl_req *q, const struct impairment *m, struct netem_options *o,
                       bool anew)
{
    struct table delay = {0}, slot = {0};
    if (o->jitter > 0)
        delay = table_of(m->distribution, m->table, anew);
    if (o->slot.dist_jitter > 0)
        slot = table_of(m->slot.distributed ? m->slot.distribution : IMPAIR_UNIFORM, m->slot.table,
                        true);
    if (delay.t.n > IMPAIR_TABLE_MAX || slot.t.n > IMPAIR_TABLE_MAX)
        nl_req_break(q, "netem: a distribution table of %zu values is too long (at most %d)",
                     delay.t.n > slot.t.n ? delay.t.n : slot.t.n, IMPAIR_TABLE_MAX);
    if (delay.t.n)
        nl_req_put(q, TCA_NETEM_DELAY_DIST, delay.t.values, delay.t.n * sizeof(int16_t));
    if (slot.t.n)
        nl_req_put(q, TCA_NETEM_SLOT_DIST, slot.t.values, slot.t.n * sizeof(int16_t));
    done_table(&delay);
    done_table(&slot);
}

/* A table once sent stays (netem_change()): slots at even times become draws from a flat one. */
static void flatten_slot(struct nl_req *q, struct netem_options *o)
{
    if (o->slot.dist_jitter > 0 || o->slot.max_delay == 0)
        return;
    o->slot.dist_delay = o->slot.min_delay + (o->slot.max_delay - o->slot.min_delay) / 2;
    o->slot.dist_jitter = o->slot.max_delay - o->slot.dist_delay;
    if (o->slot.dist_jitter > INT32_MAX)
        nl_req_break(q, "netem: times between slots more than 4.29 s apart cannot be changed to");
}

void netem_put(struct nl_req *q, const struct impairment *m, bool anew)
{
    struct netem_options o;
    struct err why = ERR_INIT;
    if (netem_options(m, &o, &why) < 0) {
        nl_req_break(q, "%s", why.text);
        return;
    }
    const struct tc_netem_qopt head = {.latency = ticks(o.latency),
                                       .limit = o.limit,
                                       .loss = o.loss,
                                       .gap = o.gap,
                                       .duplicate = o.duplicate,
                                       .jitter = ticks(o.jitter)};
    if (anew)
        flatten_slot(q, &o);
    size_t at = nl_req_header(q)->nlmsg_len;
    nl_req_put(q, TCA_OPTIONS, &head, sizeof head);
    put_options(q, &o, anew);
    put_tables(q, m, &o, anew);
    size_t n = nl_req_header(q)->nlmsg_len - at;
    if (n > ATTRIBUTE_MAX)
        nl_req_break(q, "netem: both distribution tables together are too long for one message");
    if (!q->broken)
        nl_req_nest_end(q, (void *)((char *)nl_req_header(q) + at));
}

size_t netem_room(const struct impairment *m)
{
    size_t delay = m->table.n > UNIFORM_N ? m->table.n : UNIFORM_N;
    size_t slot = m->slot.table.n > UNIFORM_N ? m->slot.table.n : UNIFORM_N;
    if (delay > IMPAIR_TABLE_MAX || slot > IMPAIR_TABLE_MAX)
        return 512; /* refused by netem_put() */
    if (m->jitter <= 0)
        delay = 0;
    if (!m->has_slot)
        slot = 0;
    return 512 + (delay + slot) * sizeof(int16_t);
}

/* --- Back -------------------------------------------------------------------- */

/* The first n bytes of an attribute; a shorter one is none. */
static bool get(const struct nlattr *a, void *to, size_t n)
{
    if (!a || nla_len(a) < (int)n)
        return false;
    memcpy(to, nla_data(a), n);
    return true;
}

static void read_loss(const struct nlattr *nest, struct netem_options *o)
{
    if (!nest)
        return;
    const struct nlattr *first = nla_data(nest);
    if (get(nla_find(first, nla_len(nest), NETEM_LOSS_GI), &o->state, sizeof o->state))
        o->loss_model = NETEM_LOSS_GI;
    else if (get(nla_find(first, nla_len(nest), NETEM_LOSS_GE), &o->gilbert, sizeof o->gilbert))
        o->loss_model = NETEM_LOSS_GE;
}

int netem_read(const struct nlattr *options, struct netem_options *ret)
{
    struct tc_netem_qopt head;
    struct tc_netem_reorder reorder = {0};
    struct tc_netem_corrupt corrupt = {0};
    struct tc_netem_rate rate = {0};
    uint32_t ecn = 0;
    struct netem_options o = {0};
    if (!get(options, &head, sizeof head))
        return -EBADMSG;
    const struct nlattr *first = (const void *)((const char *)nla_data(options) + sizeof head);
    int n = nla_len(options) - (int)sizeof head;
#define FIND(type) nla_find(first, n, type)
    o.latency = (int64_t)head.latency * TICK;
    o.jitter = (int64_t)head.jitter * TICK;
    o.limit = head.limit;
    o.loss = head.loss;
    o.gap = head.gap;
    o.duplicate = head.duplicate;
    get(FIND(TCA_NETEM_LATENCY64), &o.latency, sizeof o.latency);
    get(FIND(TCA_NETEM_JITTER64), &o.jitter, sizeof o.jitter);
    get(FIND(TCA_NETEM_CORR), &o.correlation, sizeof o.correlation);
    get(FIND(TCA_NETEM_REORDER), &reorder, sizeof reorder);
    get(FIND(TCA_NETEM_CORRUPT), &corrupt, sizeof corrupt);
    get(FIND(TCA_NETEM_RATE), &rate, sizeof rate);
    get(FIND(TCA_NETEM_ECN), &ecn, sizeof ecn);
    get(FIND(TCA_NETEM_SLOT), &o.slot, sizeof o.slot);
    o.reorder = reorder.probability;
    o.reorder_correlation = reorder.correlation;
    o.corrupt = corrupt.probability;
    o.corrupt_correlation = corrupt.correlation;
    o.rate = rate.rate;
    get(FIND(TCA_NETEM_RATE64), &o.rate, sizeof o.rate);
    o.packet_overhead = rate.packet_overhead;
    o.cell_size = rate.cell_size;
    o.cell_overhead = rate.cell_overhead;
    o.ecn = ecn != 0;
    o.has_seed = get(FIND(TCA_NETEM_PRNG_SEED), &o.seed, sizeof o.seed);
    read_loss(FIND(TCA_NETEM_LOSS), &o);
#undef FIND
    *ret = o;
    return 0;
}

static bool same_number(const char *name, int64_t asked, int64_t seen, struct err *err)
{
    if (asked != seen)
        err_set(err, EOPNOTSUPP, "%s: asked for %lld, the kernel holds %lld", name,
                (long long)asked, (long long)seen);
    return asked == seen;
}

static bool same_loss(const struct netem_options *a, const struct netem_options *b, struct err *err)
{
    return same_number("loss", a->loss, b->loss, err) &&
           same_number("loss model", a->loss_model, b->loss_model, err) &&
           same_number("p13", a->state.p13, b->state.p13, err) &&
           same_number("p31", a->state.p31, b->state.p31, err) &&
           same_number("p32", a->state.p32, b->state.p32, err) &&
           same_number("p14", a->state.p14, b->state.p14, err) &&
           same_number("p23", a->state.p23, b->state.p23, err) &&
           same_number("p", a->gilbert.p, b->gilbert.p, err) &&
           same_number("r", a->gilbert.r, b->gilbert.r, err) &&
           same_number("h", a->gilbert.h, b->gilbert.h, err) &&
           same_number("1-k", a->gilbert.k1, b->gilbert.k1, err);
}

static bool same_slot(const struct tc_netem_slot *a, const struct tc_netem_slot *b, struct err *err)
{
    /* flatten_slot() wrote the same times once more, as a distribution */
    bool flat = a->dist_jitter == 0;
    return same_number("slot min", a->min_delay, b->min_delay, err) &&
           same_number("slot max", a->max_delay, b->max_delay, err) &&
           same_number("slot packets", a->max_packets, b->max_packets, err) &&
           same_number("slot bytes", a->max_bytes, b->max_bytes, err) &&
           (flat || (same_number("slot delay", a->dist_delay, b->dist_delay, err) &&
                     same_number("slot jitter", a->dist_jitter, b->dist_jitter, err)));
}

bool netem_same(const struct netem_options *asked, const struct netem_options *seen,
                struct err *err)
{
    return same_number("delay", asked->latency, seen->latency, err) &&
           same_number("jitter", asked->jitter, seen->jitter, err) &&
           same_number("delay correlation", asked->correlation.delay_corr,
                       seen->correlation.delay_corr, err) &&
           same_loss(asked, seen, err) &&
           same_number("loss correlation", asked->correlation.loss_corr,
                       seen->correlation.loss_corr, err) &&
           same_number("duplicate", asked->duplicate, seen->duplicate, err) &&
           same_number("duplicate correlation", asked->correlation.dup_corr,
                       seen->correlation.dup_corr, err) &&
           same_number("corrupt", asked->corrupt, seen->corrupt, err) &&
           same_number("corrupt correlation", asked->corrupt_correlation, seen->corrupt_correlation,
                       err) &&
           same_number("reorder", asked->reorder, seen->reorder, err) &&
           same_number("reorder correlation", asked->reorder_correlation, seen->reorder_correlation,
                       err) &&
           same_number("gap", asked->gap, seen->gap, err) &&
           same_number("rate", (int64_t)asked->rate, (int64_t)seen->rate, err) &&
           same_number("packet overhead", asked->packet_overhead, seen->packet_overhead, err) &&
           same_number("cell size", asked->cell_size, seen->cell_size, err) &&
           same_number("cell overhead", asked->cell_overhead, seen->cell_overhead, err) &&
           same_slot(&asked->slot, &seen->slot, err) &&
           same_number("ecn", asked->ecn, seen->ecn, err) &&
           same_number("limit", asked->limit, seen->limit, err) &&
           (!asked->has_seed ||
            same_number("seed", (int64_t)asked->seed, (int64_t)seen->seed, err));
}
