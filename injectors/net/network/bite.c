/* Packets of our own along faulted paths. See bite.h.
 *
 * One timer drives all ways: packets leave on an absolute schedule (those that are due at once, when
 * the loop was late), then the burst, then it waits for what may still come.
 */
#include "injectors/net/network/bite.h"

#include <errno.h>
#include <string.h>

#include "injectors/net/network/chain.h"

#define BITE_LEAST 5 /* packets */
#define BITE_STAMPS                                                                                \
    NSEC_MSEC           /* until the kernel stamps arrivals: it is switched on a moment later */
#define BITE_DUE_MAX 64 /* packets of one way in one turn */
#define BITE_TAIL_LONGEST (3 * NSEC_SEC)
#define BITE_HEADERS 42 /* Ethernet, IPv4, UDP: near enough for how much of a rate is taken */

struct bite_plan {
    size_t n, bytes; /* paced packets of each way, and what stands above their headers */
    nsec every;
    size_t burst, burst_bytes;
    nsec tail; /* then as long as the last may take */
};

struct bite_way {
    struct impair_line *line; /* NULL: not counted */
    uint64_t before;          /* that it had matched when the first packet was sent */
    struct tracer_way way;
    struct tracer *tracer;
    nsec standing; /* what its networks delay by themselves */
};

struct bite {
    struct loop *loop;
    struct loop_timer timer;
    struct impairment what; /* its tables are not looked at */
    struct bite_plan plan;
    struct bite_way ways[BITE_WAYS];
    size_t n;
    nsec next;
    bool burst_sent, over;
    nsec clocks; /* REALTIME − MONOTONIC at the beginning */
};

static nsec clocks_apart(void)
{
    return nsec_now(CLOCK_REALTIME) - nsec_now(CLOCK_MONOTONIC);
}

/* --- How many, how fast ----------------------------------------------------------------------- */

static double smallest_share(const struct impairment *m)
{
    double shares[] = {bite_loss(&m->loss), m->duplicate, m->corrupt, m->reorder}, least = 1;
    for (size_t i = 0; i < ARRAY_SIZE(shares); i++)
        if (shares[i] > 0 && shares[i] < least)
            least = shares[i];
    return least;
}

/* How far apart, so that no more than a fifth of what slots let through is ours. */
static nsec every_of_slots(const struct impairment *m, size_t bytes)
{
    double packets = m->slot.packets;
    if (!m->has_slot)
        return 0;
    if (m->slot.bytes > 0 && (packets <= 0 || m->slot.bytes / (double)bytes < packets))
        packets = m->slot.bytes / (double)bytes;
    return packets <= 0 ? 0 : (nsec)(5 * (double)bite_slot(m) / (packets < 1 ? 1 : packets));
}

static nsec longest_slot(const struct impairment *m)
{
    if (!m->has_slot)
        return 0;
    return m->slot.distributed ? m->slot.delay + 4 * m->slot.jitter : m->slot.max;
}

static void plan_burst(const struct impairment *m, struct bite_plan *p)
{
    if (m->rate == 0 || m->rate > BITE_RATE_MAX)
        return;
    double twentieth = (double)m->rate / 20;
    p->burst_bytes = twentieth > 5000 ? 1000 : 100;
    double n = twentieth / (double)(p->burst_bytes + BITE_HEADERS);
    p->burst = n < BITE_LEAST ? BITE_LEAST : n > 60 ? 60 : (size_t)n;
    if (m->limit && p->burst > m->limit / 2)
        p->burst = m->limit / 2;
}

static struct bite_plan make_plan(const struct impairment *m, nsec lasting)
{
    double share = smallest_share(m);
    struct bite_plan p = {.bytes = m->corrupt > 0 ? 1000 : TRACER_LEAST, .every = NSEC_MSEC};
    struct chain chain;
    if (chain_of(&m->loss, &chain) && chain.burst > 1) /* thirty bursts */
        share = chain.loss / chain.burst < share ? chain.loss / chain.burst : share;
    p.n = share < 1 && share > 0 ? (size_t)(30 / share) : 100;
    p.n = p.n < 100 ? 100 : p.n > 1000 ? 1000 : p.n;
    if (m->rate > 0) {
        nsec fifth = (nsec)(5e9 * (double)(p.bytes + BITE_HEADERS) / (double)m->rate);
        p.every = fifth > p.every ? fifth : p.every;
    }
    if (m->limit && p.every < 2 * m->delay / m->limit)
        p.every = 2 * m->delay / m->limit;
    nsec slots = every_of_slots(m, p.bytes + BITE_HEADERS);
    p.every = slots > p.every ? slots : p.every;
    if (bite_shows_slots(m, p.every) && (nsec)p.n * p.every < 20 * bite_slot(m))
        p.n = (size_t)(20 * bite_slot(m) / p.every);
    nsec budget = lasting / 3 < BITE_LONGEST ? lasting / 3 : BITE_LONGEST;
    if ((nsec)p.n > budget / p.every)
        p.n = (size_t)(budget / p.every);
    p.n = p.n < BITE_LEAST ? BITE_LEAST : p.n;
    plan_burst(m, &p);
    p.tail = m->delay + 6 * m->jitter + 2 * longest_slot(m) + 20 * NSEC_MSEC;
    if (m->rate > 0)
        p.tail +=
            (nsec)(2e9 * (double)(p.burst * (p.burst_bytes + BITE_HEADERS)) / (double)m->rate);
    p.tail = p.tail > BITE_TAIL_LONGEST ? BITE_TAIL_LONGEST : p.tail;
    return p;
}

/* --- Sending ---------------------------------------------------------------------------------- */

static void receive_all(struct bite *b)
{
    for (size_t i = 0; i < b->n; i++)
        tracer_receive(b->ways[i].tracer);
}

static void send_paced(struct bite *b, nsec now)
{
    for (size_t k = 0; k < BITE_DUE_MAX && b->next <= now; k++) {
        if (b->n == 0 || tracer_sent(b->ways[0].tracer) >= b->plan.n)
            return;
        for (size_t i = 0; i < b->n; i++)
            tracer_send(b->ways[i].tracer, b->plan.bytes);
        b->next += b->plan.every;
    }
}

static void send_burst(struct bite *b)
{
    for (size_t k = 0; k < b->plan.burst; k++)
        for (size_t i = 0; i < b->n; i++)
            tracer_send(b->ways[i].tracer, b->plan.burst_bytes);
    b->burst_sent = true;
}

static void on_time(struct loop_timer *t, void *data)
{
    struct bite *b = data;
    nsec now = loop_fresh(b->loop);
    send_paced(b, now);
    receive_all(b);
    if (tracer_sent(b->ways[0].tracer) < b->plan.n) {
        loop_timer_set(b->loop, t, b->next);
    } else if (!b->burst_sent) {
        send_burst(b);
        b->next = nsec_add(now, b->plan.tail);
        loop_timer_set(b->loop, t, b->next);
    } else {
        b->over = true;
    }
}

/* --- Life ------------------------------------------------------------------------------------- */

static bool is_up(const char *host, void *data)
{
    struct lab_node *n = lab_node(data, host);
    return n && lab_node_is_up(n);
}

/* Mean delays of the networks on the way: those are no part of the fault. */
static nsec standing_delay(const struct scenario *s, const struct tracer_way *w)
{
    nsec sum = 0;
    for (size_t i = 0; i < 2; i++) {
        const struct network *n = scenario_network(s, w->networks[i]);
        if (n && nsec_is_set(n->impaired.delay) &&
            (i == 0 || strcmp(w->networks[0], w->networks[1]) != 0))
            sum += n->impaired.delay;
    }
    return sum;
}

static int add_way(struct bite *b, struct inject_env *env, const struct topo *topo,
                   const struct bite_point *p, struct err *err)
{
    struct bite_way *w = &b->ways[b->n];
    struct err why = ERR_INIT;
    struct impair_counts counts = {0};
    *w = (struct bite_way){0};
    if (tracer_choose(topo, p->reach, p->at, is_up, env->lab, &w->way, &why) < 0)
        return 0; /* nobody there: the counters alone must do */
    w->standing = standing_delay(env->scenario, &w->way);
    w->line = p->line && impair_count(p->line, &counts, NULL) == 0 ? p->line : NULL;
    w->before = counts.matched;
    int r = tracer_new(env->lab, &w->way, rng_fresh_seed(), &w->tracer, err);
    if (r < 0)
        return r;
    b->n++;
    return 0;
}

/* Any points, each with the same chance, until there are enough with somebody at the other end. */
static int add_ways(struct bite *b, struct inject_env *env, const struct topo *topo,
                    const struct bite_point *points, size_t n, struct err *err)
{
    AUTO_FREE size_t *order = calloc(n + 1, sizeof *order);
    int r = order ? 0 : err_errno(err, ENOMEM, "looking whether a fault bites");
    for (size_t i = 0; r == 0 && i < n; i++)
        order[i] = i;
    for (size_t i = 0; r == 0 && i < n && b->n < BITE_WAYS; i++) {
        size_t k = n > BITE_WAYS ? i + rng_below(env->rng, n - i) : i, chosen = order[k];
        order[k] = order[i];
        r = add_way(b, env, topo, &points[chosen], err);
    }
    return r;
}

int bite_begin(struct inject_env *env, const struct bite_point *points, size_t n,
               const struct impairment *what, nsec lasting, struct bite **ret, struct err *err)
{
    CLEANUP(bite_free_p) struct bite *b = calloc(1, sizeof *b);
    if (!b)
        return err_errno(err, ENOMEM, "looking whether a fault bites");
    *b = (struct bite){.loop = env->loop,
                       .what = *what,
                       .plan = make_plan(what, lasting),
                       .clocks = clocks_apart(),
                       .timer = {.fn = on_time, .data = b}};
    int r = add_ways(b, env, lab_topo(env->lab), points, n, err);
    if (r < 0)
        return r;
    b->over = b->n == 0;
    b->next = nsec_add(loop_fresh(b->loop), BITE_STAMPS);
    if (!b->over)
        loop_timer_set(b->loop, &b->timer, b->next);
    *ret = steal_ptr(b);
    return 0;
}

bool bite_is_over(const struct bite *b)
{
    return b->over;
}

struct bite *bite_free(struct bite *b)
{
    if (!b)
        return NULL;
    loop_timer_cancel(b->loop, &b->timer);
    for (size_t i = 0; i < b->n; i++)
        tracer_free(b->ways[i].tracer);
    free(b);
    return NULL;
}

/* --- Telling ---------------------------------------------------------------------------------- */

/* As netem and our engine count a packet against a rate. */
static double charged(const struct impairment *m, size_t bytes)
{
    double len = (double)bytes + m->packet_overhead;
    if (m->cell_size == 0)
        return len;
    double cells = (double)(((int64_t)len + m->cell_size - 1) / m->cell_size);
    return cells * ((double)m->cell_size + m->cell_overhead);
}

static uint64_t burst_rate(const struct bite *b, const struct bite_way *w,
                           const struct tracer_seen *seen, size_t n)
{
    nsec first = NSEC_INF, last = 0;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (seen[i].seq < b->plan.n)
            continue;
        first = seen[i].arrived < first ? seen[i].arrived : first;
        last = seen[i].arrived > last ? seen[i].arrived : last;
        k++;
    }
    if (k < 3 || last <= first)
        return 0;
    bool v6 = w->way.source.len == 128;
    size_t header = w->way.protocol == 6 ? 20 : w->way.protocol == 132 ? 12 : 8;
    size_t frame = 14 + (v6 ? 40 : 20) + header + b->plan.burst_bytes;
    return (uint64_t)((double)(k - 1) * charged(&b->what, frame) * 1e9 / (double)(last - first));
}

static void sum_way(const struct bite *b, const struct bite_way *w, struct bite_seen *ret)
{
    size_t n, sent = tracer_sent(w->tracer);
    const struct tracer_seen *seen = tracer_all(w->tracer, &n);
    size_t paced = sent < b->plan.n ? sent : b->plan.n;
    bite_sum(seen, n, paced, w->standing + b->what.delay / 2, ret);
    if (bite_shows_slots(&b->what, b->plan.every))
        bite_groups(seen, n, paced, b->plan.every, ret);
    struct impair_counts counts;
    if (w->line && impair_count(w->line, &counts, NULL) == 0) {
        uint64_t met = counts.matched - w->before;
        ret->others_known = true;
        ret->others = met > sent ? met - sent : 0;
    }
    if (b->over && b->burst_sent)
        ret->rate = burst_rate(b, w, seen, n);
    nsec moved = clocks_apart() - b->clocks;
    if (moved > NSEC_MSEC || moved < -NSEC_MSEC)
        ret->mean = ret->median =
            NSEC_UNSET; /* the clock was set: stamps of both ends do not agree */
    if (nsec_is_set(ret->mean)) {
        ret->mean -= w->standing;
        ret->median -= w->standing;
    }
}

/* Means over ways; the slowest rate would hide a way without one, so it is the fastest. */
static void add_seen(struct bite_seen *all, const struct bite_seen *one)
{
    if (nsec_is_set(one->mean)) {
        double before = nsec_is_set(all->mean) ? (double)all->ways : 0;
        double of = before + 1;
        all->mean =
            (nsec)(((before > 0 ? (double)all->mean : 0) * before + (double)one->mean) / of);
        all->spread = (all->spread * before + one->spread) / of;
        all->median = one->median;
    }
    all->others_known = one->others_known && (all->ways == 0 || all->others_known);
    all->others += one->others;
    all->bursts += one->bursts;
    all->in_bursts += one->in_bursts;
    all->in_bursts_squared += one->in_bursts_squared;
    all->slots += one->slots;
    all->apart += one->apart;
    all->apart_squared += one->apart_squared;
    all->ways++;
    all->sent += one->sent;
    all->arrived += one->arrived;
    all->lost += one->lost;
    all->doubled += one->doubled;
    all->damaged += one->damaged;
    all->at_once += one->at_once;
    all->rate = one->rate > all->rate ? one->rate : all->rate;
}

bool bite_tell(struct bite *b, struct bite_seen *ret)
{
    bool bites = true;
    *ret = (struct bite_seen){.mean = NSEC_UNSET, .median = NSEC_UNSET};
    receive_all(b);
    for (size_t i = 0; i < b->n; i++) {
        struct bite_seen one;
        sum_way(b, &b->ways[i], &one);
        /* packets that had no time to arrive say nothing */
        bites = bites && (!b->over || bite_bites(&b->what, &one));
        add_seen(ret, &one);
    }
    return bites;
}
