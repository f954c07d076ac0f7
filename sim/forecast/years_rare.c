/* See years_rare.h. Weights are floating point, so each block of cycles is summed by itself and the blocks are
 * added up in their order, whoever computed them. */
#include "sim/forecast/years_rare.h"

#include "sim/base/real.h"
#include "sim/forecast/draw.h"
#include "sim/forecast/pool.h"
#include "sim/forecast/years_state.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define FORCED 0.8 /* 0.9 knows no more, and is worse where repairs come in between */
#define BLOCK 1024
#define PLAIN                                                                                      \
    8 /* one plain cycle to so many forced ones: idle time, known exactly, is most of it */
#define EVENTS_MAX 1000000 /* of one cycle */

/* -- what concerns the service -- */

struct reach {
    const struct catalogue *c;
    bool *component, *service;
    size_t *pending, pending_n;
};

static void reach_component(struct reach *r, size_t i)
{
    if (r->component[i])
        return;
    r->component[i] = true;
    r->pending[r->pending_n++] = i;
}

static void reach_service(struct reach *r, size_t s)
{
    if (r->service[s])
        return;
    r->service[s] = true;
    r->pending[r->pending_n++] = r->c->components_n + s;
}

static void reach_from_component(struct reach *r, size_t i)
{
    const struct catalogue *c = r->c;
    const struct catalogue_component *of = &c->components[i];
    for (size_t k = 0; k < of->in.n; k++)
        reach_component(r, of->in.items[k]);
    for (size_t k = 0; of->crew != CATALOGUE_NONE && k < c->components_n; k++)
        if (c->components[k].crew == of->crew)
            reach_component(r, k);
    /* It stops ageing with those it works for. */
    for (size_t k = c->serves.start[i]; !of->ages_while_down && k < c->serves.start[i + 1]; k++)
        reach_service(r, c->serves.items[k]);
}

static void reach_from_service(struct reach *r, size_t s)
{
    const struct catalogue_service *of = &r->c->services[s];
    for (size_t k = 0; k < of->of.n; k++)
        reach_component(r, of->of.items[k]);
    for (size_t k = 0; k < of->needs_n; k++)
        for (size_t j = 0; j < of->needs[k].of.n; j++)
            reach_service(r, of->needs[k].of.items[j]);
}

static void *need_memory(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p)
        abort();
    return p;
}

static void find_relevant(const struct catalogue *c, size_t service, bool *component,
                          bool *services)
{
    AUTO_FREE size_t *pending = need_memory(c->components_n + c->services_n, sizeof *pending);
    struct reach r = {.c = c, .component = component, .service = services, .pending = pending};
    reach_service(&r, service);
    for (size_t got = 0; got < r.pending_n; got++)
        if (pending[got] < c->components_n)
            reach_from_component(&r, pending[got]);
        else
            reach_from_service(&r, pending[got] - c->components_n);
}

static int check_relevant(const struct catalogue *c, const bool *relevant, struct err *err)
{
    bool any = false;
    for (size_t i = 0; i < c->components_n; i++) {
        const struct catalogue_component *of = &c->components[i];
        if (!relevant[i])
            continue;
        if (nsec_is_set(of->maintained_first))
            return err_set(err, EINVAL,
                           "%s: is maintained by the calendar; rare incidents are only estimated "
                           "where nothing goes by a calendar",
                           of->name);
        if (!of->fails)
            continue;
        any = true;
        if (of->fails->kind != DISTRIBUTION_EXPONENTIAL || nsec_is_set(of->fails->least) ||
            nsec_is_set(of->fails->most))
            return err_set(err, EINVAL,
                           "%s: its time to failure is not exponential; rare incidents are only "
                           "estimated for those",
                           of->name);
        if (!of->repair)
            return err_set(err, EINVAL,
                           "%s: is not repaired; rare incidents are only estimated for what is",
                           of->name);
    }
    return any ? 0 : err_set(err, EINVAL, "nothing that concerns the service ever fails");
}

/* -- one cycle -- */

/* 1 - e^-x, and its inverse; without loss for small x. */
static double chance_within(double x)
{
    return x < 1e-4 ? x * (1 - x / 2 * (1 - x / 3)) : 1 - real_exp(-x);
}

static double time_of_chance(double p)
{
    return p < 1e-4 ? p * (1 + p / 2 * (1 + p * 2 / 3)) : -real_log(1 - p);
}

static double rate_of(const struct catalogue *c, size_t i)
{
    return 1 / (double)c->components[i].fails->a;
}

static double total_rate(const struct years *y)
{
    double sum = 0;
    for (size_t k = 0; k < y->alive_n; k++)
        sum += rate_of(y->c, y->alive[k]);
    return sum;
}

static size_t pick_by_rate(const struct years *y, double total, struct rng *r)
{
    double u = rng_unit(r) * total;
    for (size_t k = 0; k + 1 < y->alive_n; k++) {
        double rate = rate_of(y->c, y->alive[k]);
        if (u < rate)
            return y->alive[k];
        u -= rate;
    }
    return y->alive[y->alive_n - 1];
}

/* One that breaks; *weight is multiplied by its share by rates over its share here. */
static size_t pick(const struct years *y, double total, bool forced, struct rng *r, double *weight)
{
    if (!forced)
        return pick_by_rate(y, total, r);
    double n = (double)y->alive_n;
    size_t i = rng_unit(r) < 0.5 ? y->alive[rng_below(r, y->alive_n)] : pick_by_rate(y, total, r);
    double share = rate_of(y->c, i) / total;
    *weight *= share / (0.5 / n + 0.5 * share);
    return i;
}

/* Whatever is broken concerns the service: nothing else breaks. */
static bool all_in_order(const struct years *y, const bool *services)
{
    if (y->parts_out > 0)
        return false;
    for (size_t s = 0; s < y->c->services_n; s++)
        if (services[s] && (y->duties[s].active != 0 || y->duties[s].switching))
            return false;
    return true;
}

struct sums {                                                                  /* of a block */
    double busy, busy_squares, until_down, until_down_squares;                 /* plain */
    double down, down_squares, incidents, incidents_squares, hit, hit_squares; /* weighted */
    uint64_t plain, forced, hits;
};

struct rare {
    const struct catalogue *c;
    const struct years_rare_plan *plan;
    bool *relevant, *services; /* what concerns the service */
    struct sums all;
};

struct cycle {
    double weight;
    double busy;       /* ns from the first failure on */
    double until_down; /* the same, at most until the service first went down */
    double down;
    double incidents;
    bool hit;
};

/* The time to the next failure, if it comes before the queue's next event; else NSEC_INF. */
static nsec next_failure(const struct years *y, double total, bool forced, struct rng *r,
                         double *weight)
{
    nsec next = queue_next(&y->queue);
    double left = next == NSEC_INF ? HUGE_VAL : (double)(next - y->now);
    if (total <= 0)
        return NSEC_INF;
    if (!forced || next == NSEC_INF || left <= 0) {
        double t = draw_exponential(r) / total;
        return t < left ? (nsec)t : NSEC_INF;
    }
    double p = chance_within(total * left);
    if (p >= FORCED) { /* it need not be helped */
        double t = draw_exponential(r) / total;
        return t < left ? (nsec)t : NSEC_INF;
    }
    if (rng_unit(r) >= FORCED) {
        *weight *= (1 - p) / (1 - FORCED);
        return NSEC_INF;
    }
    *weight *= p / FORCED;
    return (nsec)(time_of_chance(p * rng_unit(r)) / total);
}

static bool run_cycle(struct years *y, const struct rare *of, uint64_t number, bool forced,
                      struct tally *scratch, struct cycle *ret)
{
    const struct years_rare_plan *plan = of->plan;
    struct rng r = rng_stream(plan->seed, "rare", number, forced);
    const struct duty *d = &y->duties[plan->service];
    struct cycle c = {.weight = 1};
    years_begin(y, 0, NSEC_INF / 2, plan->seed, 2 * number + forced, scratch);
    years_break(y, pick(y, total_rate(y), forced, &r, &c.weight));
    while (!all_in_order(y, of->services)) {
        bool hit = d->first != NSEC_INF;
        double total = total_rate(y);
        nsec t = next_failure(y, total, forced && !hit, &r, &c.weight);
        if (t != NSEC_INF) {
            y->now += t;
            years_break(y, pick(y, total, forced && !hit, &r, &c.weight));
        } else if (!years_step(y)) {
            return false;
        }
        if (++y->events > EVENTS_MAX)
            return false;
    }
    c.busy = (double)y->now;
    c.hit = d->first != NSEC_INF;
    c.until_down = c.hit ? (double)d->first : c.busy;
    c.down = (double)d->mission_down;
    c.incidents = (double)d->incidents;
    *ret = c;
    return true;
}

/* -- many -- */

static void add_cycle(struct sums *s, const struct cycle *c, bool forced)
{
    if (!forced) {
        s->plain++;
        s->busy += c->busy;
        s->busy_squares += c->busy * c->busy;
        s->until_down += c->until_down;
        s->until_down_squares += c->until_down * c->until_down;
        return;
    }
    s->forced++;
    s->hits += c->hit;
    double down = c->weight * c->down, incidents = c->weight * c->incidents,
           hit = c->hit ? c->weight : 0;
    s->down += down;
    s->down_squares += down * down;
    s->incidents += incidents;
    s->incidents_squares += incidents * incidents;
    s->hit += hit;
    s->hit_squares += hit * hit;
}

struct worker {
    struct rare *rare;
    struct years *years;
    struct tally scratch;
};

static void *worker_begin(void *data)
{
    struct worker *w = need_memory(1, sizeof *w);
    w->rare = data;
    w->years = years_new(w->rare->c);
    w->scratch = tally_new(w->rare->c->services_n);
    w->years->by_hazard = true;
    w->years->relevant = w->rare->relevant;
    return w;
}

static void worker_end(void *worker)
{
    struct worker *w = worker;
    years_free(w->years);
    tally_done(&w->scratch);
    free(w);
}

static int worker_compute(void *worker, uint64_t block, void **slot, const bool *stop,
                          struct err *err)
{
    struct worker *w = worker;
    const struct years_rare_plan *plan = w->rare->plan;
    struct sums *s = *slot ? *slot : need_memory(1, sizeof *s);
    *slot = s;
    *s = (struct sums){0};
    uint64_t from = block * BLOCK;
    for (uint64_t i = from; i < from + BLOCK && i < plan->cycles; i++)
        for (int forced = 1; forced >= (i % PLAIN == 0 ? 0 : 1); forced--) {
            struct cycle c;
            if (__atomic_load_n(stop, __ATOMIC_RELAXED))
                return 0;
            if (!run_cycle(w->years, w->rare, i, forced, &w->scratch, &c))
                return err_set(err, ERANGE,
                               "%s: something is always broken, so its incidents cannot be rare; "
                               "forecast it without --rare",
                               w->rare->c->services[plan->service].name);
            add_cycle(s, &c, forced);
        }
    return 0;
}

static void add_sums(struct sums *to, const struct sums *s)
{
    to->busy += s->busy;
    to->busy_squares += s->busy_squares;
    to->until_down += s->until_down;
    to->until_down_squares += s->until_down_squares;
    to->down += s->down;
    to->down_squares += s->down_squares;
    to->incidents += s->incidents;
    to->incidents_squares += s->incidents_squares;
    to->hit += s->hit;
    to->hit_squares += s->hit_squares;
    to->plain += s->plain;
    to->forced += s->forced;
    to->hits += s->hits;
}

static int deliver(uint64_t block, void *slot, void *data, struct err *err)
{
    struct rare *r = data;
    add_sums(&r->all, slot);
    return 0;
}

static bool tick(uint64_t delivered, void *data)
{
    const struct years_rare_plan *plan = ((struct rare *)data)->plan;
    return plan->tick && plan->tick(delivered * BLOCK, plan->cycles, plan->data);
}

struct mean { /* and the square of its relative standard error */
    double mean, relative;
};

static struct mean mean_of(double sum, double squares, uint64_t count, double plus)
{
    double n = (double)count, mean = sum / n, variance = (squares - sum * mean) / (n - 1);
    struct mean m = {.mean = mean + plus};
    m.relative = (variance > 0 ? variance : 0) / n / (m.mean * m.mean);
    return m;
}

static struct years_rare_value ratio(struct mean above, struct mean below)
{
    double v = above.mean / below.mean;
    return (struct years_rare_value){v, v * sqrt(above.relative + below.relative)};
}

static double idle_time(const struct catalogue *c, const bool *relevant)
{
    double total = 0;
    for (size_t i = 0; i < c->components_n; i++)
        if (relevant[i] && c->components[i].fails)
            total += rate_of(c, i);
    return 1 / total;
}

static void conclude(const struct sums *s, double idle, struct years_rare *ret)
{
    const double year = (double)TALLY_YEAR;
    struct mean length = mean_of(s->busy, s->busy_squares, s->plain, idle),
                until_down = mean_of(s->until_down, s->until_down_squares, s->plain, idle),
                down = mean_of(s->down, s->down_squares, s->forced, 0),
                incidents = mean_of(s->incidents, s->incidents_squares, s->forced, 0),
                hit = mean_of(s->hit, s->hit_squares, s->forced, 0);
    *ret = (struct years_rare){.unavailability = ratio(down, length),
                               .rate = ratio(incidents, length),
                               .first_down = ratio(until_down, hit),
                               .cycles = s->forced,
                               .hits = s->hits,
                               .effective = s->down * s->down / s->down_squares};
    ret->rate.value *= year;
    ret->rate.se *= year;
    ret->first_down.value /= year;
    ret->first_down.se /= year;
}

static int run(struct rare *r, struct err *err)
{
    uint64_t blocks = (r->plan->cycles + BLOCK - 1) / BLOCK, done;
    struct pool_job job = {.end = blocks,
                           .threads = r->plan->threads,
                           .data = r,
                           .begin = worker_begin,
                           .end_worker = worker_end,
                           .compute = worker_compute,
                           .free_slot = free,
                           .deliver = deliver,
                           .tick = tick};
    int rc = pool_run(&job, &done, err);
    if (rc == 0 && done < blocks)
        return err_set(err, EINTR, "stopped by the operator");
    return rc;
}

int years_rare(const struct catalogue *c, const struct years_rare_plan *plan,
               struct years_rare *ret, struct err *err)
{
    AUTO_FREE bool *relevant = need_memory(c->components_n, sizeof *relevant);
    AUTO_FREE bool *services = need_memory(c->services_n, sizeof *services);
    find_relevant(c, plan->service, relevant, services);
    const char *name = c->services[plan->service].name;
    int rc = check_relevant(c, relevant, err);
    if (rc < 0)
        return err_prefix(err, "%s", name);
    struct rare r = {.c = c, .plan = plan, .relevant = relevant, .services = services};
    rc = run(&r, err);
    if (rc < 0)
        return rc;
    const struct sums *all = &r.all;
    double effective = all->hits ? all->down * all->down / all->down_squares : 0;
    if (!(effective >= YEARS_RARE_EFFECTIVE))
        return err_set(err, ERANGE,
                       "%s: %llu of %llu cycles with an incident are worth %.0f equally likely "
                       "ones, fewer than %d; ask for more --trials",
                       name, (unsigned long long)all->hits, (unsigned long long)all->forced,
                       effective, YEARS_RARE_EFFECTIVE);
    conclude(all, idle_time(c, relevant), ret);
    return 0;
}
