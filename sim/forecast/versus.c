/* A system against another one over the same trials. */
#include "sim/forecast/versus.h"

#include "sim/base/cleanup.h"
#include "sim/base/real.h"

#include <errno.h>
#include <stdlib.h>

static nsec *room_for(size_t n)
{
    nsec *v = calloc(n ? n : 1, sizeof *v);
    if (!v)
        abort();
    return v;
}

static bool is_hit(const struct outcome *o)
{
    return o->kind == OUTCOME_IS_RESTORED || o->kind == OUTCOME_IS_CENSORED;
}

/* Sorted times to restore of the trials [from, to) in which it was hit. */
static size_t times_of(const struct sample *s, size_t at, size_t from, size_t to, nsec *ret)
{
    size_t n = 0;
    for (size_t i = from; i < to; i++) {
        const struct outcome *o = sample_at(s, i, at);
        if (is_hit(o) && nsec_is_set(o->ttr))
            ret[n++] = o->kind == OUTCOME_IS_CENSORED ? NSEC_INF : o->ttr;
    }
    estimate_sort(ret, n);
    return n;
}

static void count_detection(const struct sample *s, size_t at, nsec *room, struct versus_numbers *r)
{
    size_t alarmed = 0, n = 0;
    double sum = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct outcome *o = sample_at(s, i, at);
        r->false_alarms += o->false_alarms;
        alarmed += o->false_alarms > 0;
        if (!nsec_is_set(o->ttd))
            continue;
        room[n++] = o->ttd;
        if (o->ttd == NSEC_INF)
            continue;
        r->noticed++;
        sum += (double)o->ttd;
    }
    r->notice_due = n;
    r->false_alarm = estimate_share(alarmed, s->n);
    r->ttd_mean = r->noticed ? sum / (double)r->noticed : (double)NAN;
    estimate_sort(room, n);
    r->ttd_median = n ? estimate_quantile(room, n, 0.5) : NSEC_UNSET;
    r->ttd_q90 = n ? estimate_quantile(room, n, 0.9) : NSEC_UNSET;
}

void versus_count(const struct sample *s, size_t at, const struct service *promise,
                  struct versus_numbers *ret)
{
    struct versus_numbers r = {.trials = s->n, .has_rto = nsec_is_set(promise->rto)};
    AUTO_FREE nsec *room = room_for(s->n);
    size_t missed = 0;
    for (size_t i = 0; i < s->n; i++) {
        r.hit += is_hit(sample_at(s, i, at));
        missed += sample_missed(sample_at(s, i, at), promise);
    }
    r.within = r.has_rto ? estimate_share(s->n - missed, s->n) : ESTIMATE_NONE;
    size_t n = times_of(s, at, 0, s->n, room);
    r.ttr_median = n ? estimate_quantile(room, n, 0.5) : NSEC_UNSET;
    r.ttr_q90 = n ? estimate_quantile(room, n, 0.9) : NSEC_UNSET;
    count_detection(s, at, room, &r);
    *ret = r;
}

/* Logarithm of the ratio of medians over the trials [from, to); false where one has none. */
static bool log_ratio(const struct sample *first, const struct sample *second, size_t at,
                      size_t from, size_t to, nsec *room, double *ret)
{
    size_t n = times_of(first, at, from, to, room);
    nsec a = n ? estimate_quantile(room, n, 0.5) : NSEC_INF;
    n = times_of(second, at, from, to, room);
    nsec b = n ? estimate_quantile(room, n, 0.5) : NSEC_INF;
    if (a <= 0 || b <= 0 || a == NSEC_INF || b == NSEC_INF)
        return false;
    *ret = real_log((double)b / (double)a);
    return true;
}

/* Over blocks of trials: what chance does to both is in each of them. */
static struct estimate ratio_of_medians(const struct sample *first, const struct sample *second,
                                        size_t at)
{
    AUTO_FREE nsec *room = room_for(first->n);
    double whole, v[ESTIMATE_REPLICATES];
    if (!log_ratio(first, second, at, 0, first->n, room, &whole))
        return ESTIMATE_NONE;
    for (size_t i = 0; i < ESTIMATE_REPLICATES; i++)
        if (!log_ratio(first, second, at, first->n * i / ESTIMATE_REPLICATES,
                       first->n * (i + 1) / ESTIMATE_REPLICATES, room, &v[i]))
            return ESTIMATE_NONE;
    struct estimate e = estimate_mean(v);
    double half = (e.hi - e.lo) / 2;
    return (struct estimate){real_exp(whole), real_exp(whole - half), real_exp(whole + half)};
}

int versus_compare(const struct sample *first, const struct sample *second, size_t at,
                   const struct service *promise, struct versus *ret, struct err *err)
{
    if (first->n != second->n || first->n < ESTIMATE_REPLICATES)
        return err_set(err, EINVAL, "a comparison needs the same trials on both sides, %d or more",
                       ESTIMATE_REPLICATES);
    size_t only_first = 0, only_second = 0;
    for (size_t i = 0; i < first->n; i++) {
        bool a = !sample_missed(sample_at(first, i, at), promise),
             b = !sample_missed(sample_at(second, i, at), promise);
        only_first += a && !b;
        only_second += b && !a;
    }
    *ret = (struct versus){.within = nsec_is_set(promise->rto)
                                         ? estimate_paired(first->n, only_first, only_second)
                                         : ESTIMATE_NONE,
                           .ttr = ratio_of_medians(first, second, at)};
    return 0;
}
