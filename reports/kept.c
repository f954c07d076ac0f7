/* What a service kept doing while a fault was in force. */
#include "reports/kept.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/jsonx.h"

const double kept_quantiles[KEPT_QUANTILES] = {0.5, 0.95, 0.99};
const char *const kept_words[KEPT_QUANTILES] = {"p50", "p95", "p99"};

static bool in_force(const struct trial *t, nsec at)
{
    for (size_t i = 0; i < t->faults_n; i++) {
        const struct fault *f = &t->faults[i];
        nsec end = span_is_set(f->end) && f->end.lo < t->watched ? f->end.lo : t->watched;
        if (f->injected && span_is_set(f->start) && at >= f->start.lo && at < end)
            return true;
    }
    return false;
}

static struct span from_to(const struct trial *t)
{
    struct span s = SPAN_UNSET;
    for (size_t i = 0; i < t->faults_n; i++) {
        const struct fault *f = &t->faults[i];
        if (!f->injected || !span_is_set(f->start))
            continue;
        nsec end = span_is_set(f->end) && f->end.lo < t->watched ? f->end.lo : t->watched;
        if (!span_is_set(s))
            s = (struct span){f->start.lo, end};
        s.lo = f->start.lo < s.lo ? f->start.lo : s.lo;
        s.hi = end > s.hi ? end : s.hi;
    }
    return s;
}

enum answer { NO_ANSWER, ANSWER, NONE_IN_TIME };

/* A wrong or slow answer is one, and a time-out is slower than all; who is refused got none, and only
 * the share of good ones tells of it. */
static enum answer answer_of(const json_t *line, enum judge_verdict v)
{
    static const char *const answers[] = {"status", "body", "header", "slow", "exit"};
    const char *why = jsonx_str(line, "why", "");
    if (v == JUDGE_GOOD)
        return ANSWER;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
        if (strcmp(why, answers[i]) == 0)
            return ANSWER;
    return strcmp(why, "timeout") == 0 ? NONE_IN_TIME : NO_ANSWER;
}

static int by_value(const void *a, const void *b)
{
    nsec x = *(const nsec *)a, y = *(const nsec *)b;
    return (x > y) - (x < y);
}

/* Nearest rank: the least value with at least the share q of all at or below it. `before` and `after`
 * more lie below and above all of them. */
static nsec quantile(const nsec *sorted, size_t n, double q, size_t before, size_t after)
{
    size_t rank = (size_t)ceil(q * (double)(n + before + after) - 1e-9);
    if (rank <= before)
        return 0;
    return rank - before > n ? NSEC_INF : sorted[rank - before - 1];
}

struct kept kept_find(struct result *r, const struct trial *t, const struct watched *w, size_t w_n)
{
    struct kept k = {.from_to = from_to(t)};
    size_t n = 0;
    for (size_t i = 0; i < KEPT_QUANTILES; i++)
        k.latency[i] = SPAN_UNSET;
    for (size_t i = 0; i < w_n; i++)
        n += w[i].obs_n;
    nsec *lo = arena_alloc(r->arena, (n + 1) * sizeof *lo);
    nsec *hi = arena_alloc(r->arena, (n + 1) * sizeof *hi);
    for (size_t i = 0; i < w_n; i++)
        for (size_t m = 0; m < w[i].obs_n; m++) {
            const struct judge_obs *o = &w[i].obs[m];
            if (!in_force(t, o->start))
                continue;
            k.good += o->verdict == JUDGE_GOOD;
            k.bad += o->verdict == JUDGE_BAD;
            k.unknown += o->verdict == JUDGE_UNKNOWN;
            enum answer a = answer_of(w[i].lines[m], o->verdict);
            if (o->verdict == JUDGE_UNKNOWN || a == NO_ANSWER)
                continue;
            nsec due =
                nsec_is_set(o->scheduled) && o->scheduled < o->start ? o->scheduled : o->start;
            lo[k.answers] = o->end - o->start;
            hi[k.answers++] = a == ANSWER ? o->end - due : NSEC_INF;
        }
    double all = (double)(k.good + k.bad + k.unknown);
    k.success[0] = all > 0 ? (double)k.good / all : 0;
    k.success[1] = all > 0 ? (double)(k.good + k.unknown) / all : 1;
    qsort(lo, k.answers, sizeof *lo, by_value);
    qsort(hi, k.answers, sizeof *hi, by_value);
    for (size_t i = 0; i < KEPT_QUANTILES && k.answers; i++)
        k.latency[i] = (struct span){quantile(lo, k.answers, kept_quantiles[i], k.unknown, 0),
                                     quantile(hi, k.answers, kept_quantiles[i], 0, k.unknown)};
    return k;
}

bool kept_can_tell(size_t probes, double share)
{
    return share >= 1 ? probes > 0 : (double)probes * (1 - share) >= 1 - 1e-9;
}
