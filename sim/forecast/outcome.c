/* Outcomes judged and added up. See outcome.h.
 *
 * Step of a value v >= 1: below 512 the value itself; else, with e the place of its highest bit, the nine
 * bits after that one, in the power e - 8. Everything is whole numbers, so sums do not depend on order.
 */
#include "sim/forecast/outcome.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/cleanup.h"

#define STEP_BITS 9
static_assert(OUTCOME_STEPS == 1 << STEP_BITS, "steps of a power");

const char *const outcome_kind_words[] = {"void", "unaffected", "restored", "censored"};
const char *const outcome_time_words[] = {"ttd", "tta", "ttr", "down", "drained", "loss"};
static_assert(ARRAY_SIZE(outcome_time_words) == OUTCOME_TIMES, "a word for each duration");
const char *const outcome_promise_words[] = {"rto", "detect", "max_downtime", "expect",
                                             "rpo", "mtpd",   "no_outage",    "no_alarm"};
static_assert(ARRAY_SIZE(outcome_promise_words) == OUTCOME_PROMISES, "a word for each promise");

static nsec *time_of(struct outcome *o, enum outcome_time which)
{
    nsec *const times[] = {&o->ttd, &o->tta, &o->ttr, &o->down, &o->drained, &o->loss};
    return times[which];
}

nsec outcome_time(const struct outcome *o, enum outcome_time which)
{
    switch (which) {
    case OUTCOME_TTD:
        return o->ttd;
    case OUTCOME_TTA:
        return o->tta;
    case OUTCOME_TTR:
        return o->ttr;
    case OUTCOME_DOWN:
        return o->down;
    case OUTCOME_DRAINED:
        return o->drained;
    case OUTCOME_LOSS:
        break;
    }
    return o->loss;
}

void outcome_set_time(struct outcome *o, enum outcome_time which, nsec t)
{
    *time_of(o, which) = t;
}

/* ---- promises ---- */

nsec outcome_target(const struct service *s, enum outcome_promise p)
{
    switch (p) {
    case OUTCOME_RTO:
        return s->rto;
    case OUTCOME_DETECT:
        return s->detect ? s->detect->within : NSEC_UNSET;
    case OUTCOME_MAX_DOWNTIME:
        return s->max_downtime;
    case OUTCOME_RPO:
        return s->rpo;
    case OUTCOME_MTPD:
        return s->mtpd;
    case OUTCOME_EXPECT:
    case OUTCOME_NO_OUTAGE:
    case OUTCOME_NO_ALARM:
        break;
    }
    return NSEC_UNSET;
}

static bool is_expected(const struct scenario *sc, const struct service *s)
{
    for (size_t i = 0; i < sc->expect.n; i++)
        if (strcmp(sc->expect.items[i].key, s->name) == 0)
            return s->expect != EXPECT_EITHER;
    return false;
}

static bool has_alarm(const struct scenario *sc, const struct service *s)
{
    for (size_t i = 0; i < sc->alarms.n; i++)
        if (strcmp(((const struct alarm *)sc->alarms.items[i])->service, s->name) == 0)
            return true;
    return false;
}

bool outcome_promises(const struct scenario *sc, const struct service *s, enum outcome_promise p)
{
    bool fault = scenario_has_fault(sc);
    if (p == OUTCOME_NO_OUTAGE)
        return !fault;
    if (p == OUTCOME_NO_ALARM)
        return !fault && has_alarm(sc, s);
    if (p == OUTCOME_EXPECT)
        return fault && is_expected(sc, s);
    return fault && nsec_is_set(outcome_target(s, p));
}

static enum outcome_share within(bool yes)
{
    return yes ? OUTCOME_WITHIN : OUTCOME_MISSED;
}

static enum outcome_share judge_rto(const struct service *s, const struct outcome *o)
{
    if (o->kind == OUTCOME_IS_UNAFFECTED)
        return OUTCOME_WITHIN;
    if (o->by == OUTCOME_BY_HEAL && !s->heal_counts)
        return OUTCOME_MISSED;
    return nsec_is_set(o->ttr) ? within(o->ttr <= s->rto) : OUTCOME_OPEN;
}

/* Restored before anybody had to notice, and nobody did: nothing is judged, as in a drill. */
static enum outcome_share judge_detect(const struct service *s, const struct outcome *o)
{
    if (!nsec_is_set(o->ttd))
        return OUTCOME_NOT_JUDGED;
    if (o->ttd == NSEC_INF && o->kind == OUTCOME_IS_RESTORED && o->down < s->detect->within)
        return OUTCOME_NOT_JUDGED;
    return within(o->ttd <= s->detect->within);
}

static enum outcome_share judge_mtpd(const struct service *s, const struct outcome *o)
{
    if (o->kind == OUTCOME_IS_UNAFFECTED)
        return OUTCOME_WITHIN;
    if (o->kind == OUTCOME_IS_CENSORED)
        return OUTCOME_MISSED;
    nsec t = nsec_is_set(o->drained) ? o->drained : nsec_is_set(o->ttr) ? o->ttr : o->down;
    return within(t <= s->mtpd && o->down <= s->mtpd);
}

enum outcome_share outcome_judge(const struct service *s, enum outcome_promise p,
                                 const struct outcome *o)
{
    if (o->kind == OUTCOME_IS_VOID)
        return OUTCOME_WAS_VOID;
    bool hit = o->kind != OUTCOME_IS_UNAFFECTED;
    switch (p) {
    case OUTCOME_RTO:
        return judge_rto(s, o);
    case OUTCOME_DETECT:
        return judge_detect(s, o);
    case OUTCOME_MAX_DOWNTIME:
        return within(!hit || (nsec_is_set(o->down) && o->down <= s->max_downtime &&
                               o->kind != OUTCOME_IS_CENSORED));
    case OUTCOME_EXPECT:
        return within(hit == (s->expect != EXPECT_UNAFFECTED));
    case OUTCOME_RPO:
        return nsec_is_set(o->loss) ? within(o->loss <= s->rpo) : OUTCOME_NOT_JUDGED;
    case OUTCOME_MTPD:
        return judge_mtpd(s, o);
    case OUTCOME_NO_OUTAGE:
        return within(!hit);
    case OUTCOME_NO_ALARM:
        return within(o->false_alarms == 0);
    }
    return OUTCOME_NOT_JUDGED;
}

/* ---- one duration ---- */

/* The power of v >= 1, and its step in that power. */
static size_t step_of(nsec v, size_t *ret_power)
{
    if (v < OUTCOME_STEPS) {
        *ret_power = 0;
        return (size_t)v;
    }
    unsigned e = 63u - (unsigned)__builtin_clzll((unsigned long long)v);
    *ret_power = e - (STEP_BITS - 1);
    return (size_t)(v >> (e - STEP_BITS)) & (OUTCOME_STEPS - 1);
}

static nsec step_width(size_t power)
{
    return power ? (nsec)1 << (power - 1) : 1;
}

static nsec step_least(size_t power, size_t step)
{
    return power ? (nsec)(OUTCOME_STEPS + step) << (power - 1) : (nsec)step;
}

static uint32_t *steps_of(struct outcome_histogram *h, size_t power)
{
    if (!h->powers[power]) {
        h->powers[power] = calloc(OUTCOME_STEPS, sizeof *h->powers[power]);
        if (!h->powers[power])
            abort();
    }
    return h->powers[power];
}

static void widen(struct outcome_times *t, nsec least, nsec most)
{
    t->least = t->n == 0 || least < t->least ? least : t->least;
    t->most = t->n == 0 || most > t->most ? most : t->most;
}

void outcome_times_add(struct outcome_times *t, nsec v, uint64_t times)
{
    if (!nsec_is_set(v))
        return;
    if (v == NSEC_INF) {
        t->never += times;
        return;
    }
    widen(t, v, v);
    t->n += times;
    t->total += (outcome_total)v * (outcome_total)times;
    outcome_total coarse = v / 1024;
    t->squares += coarse * coarse * (outcome_total)times;
    if (v <= 0) {
        t->below += times;
        return;
    }
    size_t power, step = step_of(v, &power);
    steps_of(&t->steps, power)[step] += (uint32_t)times;
}

void outcome_times_merge(struct outcome_times *t, const struct outcome_times *from)
{
    t->never += from->never;
    if (from->n == 0)
        return;
    widen(t, from->least, from->most);
    t->n += from->n;
    t->below += from->below;
    t->total += from->total;
    t->squares += from->squares;
    for (size_t p = 0; p < OUTCOME_POWERS; p++) {
        if (!from->steps.powers[p])
            continue;
        uint32_t *mine = steps_of(&t->steps, p);
        for (size_t i = 0; i < OUTCOME_STEPS; i++)
            mine[i] += from->steps.powers[p][i];
    }
}

void outcome_times_done(struct outcome_times *t)
{
    for (size_t p = 0; p < OUTCOME_POWERS; p++)
        free(t->steps.powers[p]);
    *t = (struct outcome_times){0};
}

/* Within a step its values are taken to lie evenly. */
static nsec inside_step(const struct outcome_times *t, size_t power, size_t step, uint64_t rank)
{
    uint64_t count = t->steps.powers[power][step];
    outcome_total wide = step_width(power);
    nsec at = step_least(power, step) + (nsec)(wide * (2 * (outcome_total)rank - 1) / (2 * count));
    return nsec_between(at, t->least, t->most);
}

nsec outcome_times_quantile(const struct outcome_times *t, double q)
{
    uint64_t all = t->n + t->never;
    if (all == 0)
        return NSEC_UNSET;
    double exact = q * (double)all;
    uint64_t rank = (uint64_t)ceil(exact - 1e-9 * exact);
    rank = rank < 1 ? 1 : rank > all ? all : rank;
    if (rank > t->n)
        return NSEC_INF;
    if (rank == t->n)
        return t->most;
    if (rank <= t->below)
        return t->least < 0 ? t->least : 0;
    uint64_t seen = t->below;
    for (size_t p = 0; p < OUTCOME_POWERS; p++)
        for (size_t i = 0; t->steps.powers[p] && i < OUTCOME_STEPS; i++) {
            uint64_t here = t->steps.powers[p][i];
            if (rank <= seen + here)
                return inside_step(t, p, i, rank - seen);
            seen += here;
        }
    return t->most;
}

uint64_t outcome_times_upto(const struct outcome_times *t, nsec v)
{
    if (t->n == 0 || v < t->least)
        return 0;
    if (v >= t->most)
        return t->n;
    uint64_t seen = t->below;
    if (v < 1)
        return seen;
    size_t power, step = step_of(v, &power);
    for (size_t p = 0; p <= power; p++)
        for (size_t i = 0; t->steps.powers[p] && i < OUTCOME_STEPS && (p < power || i <= step); i++)
            seen += t->steps.powers[p][i];
    return seen;
}

double outcome_times_mean(const struct outcome_times *t)
{
    return (double)t->total / (double)t->n;
}

double outcome_times_deviation(const struct outcome_times *t)
{
    double mean = outcome_times_mean(t) / 1024;
    double variance = (double)t->squares / (double)t->n - mean * mean;
    if (t->n < 2 || variance <= 0)
        return 0;
    return 1024 * sqrt(variance * (double)t->n / (double)(t->n - 1));
}

/* ---- one service ---- */

void outcome_sums_add_times(struct outcome_sums *s, const struct service *service,
                            const struct outcome *o, uint64_t n)
{
    s->trials += n;
    s->kinds[o->kind] += n;
    if (o->kind != OUTCOME_IS_VOID) {
        bool hit = o->kind != OUTCOME_IS_UNAFFECTED;
        s->by[o->by] += n;
        s->episodes += n * o->episodes;
        s->blips += n * o->blips;
        s->false_alarms += n * o->false_alarms;
        s->noticed_never += hit && o->ttd == NSEC_INF ? n : 0;
        s->not_noticed += o->kind == OUTCOME_IS_RESTORED && o->ttd == NSEC_INF ? n : 0;
        for (size_t i = 0; i < OUTCOME_TIMES; i++)
            if (hit || i == OUTCOME_TTD || i == OUTCOME_TTA || i == OUTCOME_LOSS)
                outcome_times_add(&s->times[i], outcome_time(o, (enum outcome_time)i), n);
    }
    for (size_t p = 0; p < OUTCOME_PROMISES; p++) {
        nsec target = outcome_target(service, (enum outcome_promise)p);
        bool timed = p != OUTCOME_EXPECT && p != OUTCOME_NO_OUTAGE && p != OUTCOME_NO_ALARM;
        if (!timed || nsec_is_set(target))
            s->shares[p][outcome_judge(service, (enum outcome_promise)p, o)] += n;
    }
}

void outcome_sums_add(struct outcome_sums *s, const struct service *service,
                      const struct outcome *o)
{
    outcome_sums_add_times(s, service, o, 1);
}

void outcome_sums_merge(struct outcome_sums *s, const struct outcome_sums *from)
{
    s->trials += from->trials;
    for (size_t i = 0; i < ARRAY_SIZE(s->kinds); i++)
        s->kinds[i] += from->kinds[i];
    for (size_t i = 0; i < ARRAY_SIZE(s->by); i++)
        s->by[i] += from->by[i];
    s->episodes += from->episodes;
    s->blips += from->blips;
    s->false_alarms += from->false_alarms;
    s->noticed_never += from->noticed_never;
    s->not_noticed += from->not_noticed;
    for (size_t p = 0; p < OUTCOME_PROMISES; p++)
        for (size_t k = 0; k < OUTCOME_SHARES; k++)
            s->shares[p][k] += from->shares[p][k];
    for (size_t i = 0; i < OUTCOME_TIMES; i++)
        outcome_times_merge(&s->times[i], &from->times[i]);
}

void outcome_sums_done(struct outcome_sums *s)
{
    for (size_t i = 0; i < OUTCOME_TIMES; i++)
        outcome_times_done(&s->times[i]);
    *s = OUTCOME_SUMS_INIT;
}
