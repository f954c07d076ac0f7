/* Numbers over trials.
 *
 * A value is the interval of one trial in which the service was hit; points are midpoints. A
 * censored one may be any number from its low on, and has no midpoint. The smallest and the largest
 * are intervals of what they can be: from the smallest low to the smallest high. Intervals of medians take the j-th
 * smallest low and the k-th smallest high; of means, they are widened by half the widest
 * measurement where that exceeds the sample's deviation. With `phase: fixed` all trials see the
 * same phase, so their spread says nothing: no intervals then.
 */
#include "reports/summary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct value {
    struct span s;
    nsec watched; /* how long it was observed, from its own zero */
};

static double seconds(nsec t)
{
    return t == NSEC_INF ? HUGE_VAL : (double)t / 1e9;
}

static double midpoint(struct span s)
{
    return s.hi == NSEC_INF ? HUGE_VAL : (seconds(s.lo) + seconds(s.hi)) / 2;
}

static int by_value(const void *a, const void *b)
{
    double x = midpoint(((const struct value *)a)->s), y = midpoint(((const struct value *)b)->s);
    if (x != y)
        return x < y ? -1 : 1;
    nsec p = ((const struct value *)a)->s.lo, q = ((const struct value *)b)->s.lo;
    return (p > q) - (p < q);
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void median_interval(const struct value *v, size_t n, struct summary *m)
{
    size_t lo, hi;
    if (!stats_median_ranks(n, 0.95, &lo, &hi, &m->ci_level))
        return;
    double *lows = calloc(n, sizeof *lows), *highs = calloc(n, sizeof *highs);
    if (!lows || !highs)
        abort();
    for (size_t i = 0; i < n; i++) {
        lows[i] = seconds(v[i].s.lo);
        highs[i] = seconds(v[i].s.hi);
    }
    qsort(lows, n, sizeof *lows, by_number);
    qsort(highs, n, sizeof *highs, by_number);
    m->has_ci = true;
    m->ci = (struct stats_interval){lows[lo - 1], highs[hi - 1]};
    m->ci_censored = isinf(m->ci.hi);
    if (m->ci_censored) { /* "> x": the largest that is known of it */
        double known = -HUGE_VAL;
        for (size_t i = 0; i < n; i++)
            if (isinf(highs[i]))
                known = fmax(known, lows[hi - 1]);
        m->ci.hi = known;
    }
    free(lows);
    free(highs);
}

/* Widens by half the widest measurement where that exceeds the sample's deviation. */
static void widen(const struct value *v, size_t n, const double *points, struct stats_interval *ci)
{
    double widest = 0, mean = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        if (v[i].s.hi != NSEC_INF)
            widest = fmax(widest, seconds(v[i].s.hi) - seconds(v[i].s.lo));
        mean += points[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++)
        squares += (points[i] - mean) * (points[i] - mean);
    if (widest > sqrt(squares / (double)(n > 1 ? n - 1 : 1))) {
        ci->lo -= widest / 2;
        ci->hi += widest / 2;
    }
}

static void means(const struct value *v, size_t n, bool restrict_it, struct summary *m)
{
    double *points = calloc(n + 1, sizeof *points);
    bool *censored = calloc(n + 1, sizeof *censored);
    if (!points || !censored)
        abort();
    double tau = HUGE_VAL;
    for (size_t i = 0; i < n; i++) {
        points[i] = midpoint(v[i].s);
        censored[i] = isinf(points[i]);
        /* Of a censored one nothing is known from its low on, even where observation went on: a
         * heal ended what was measured. */
        if (censored[i])
            tau = fmin(tau, points[i] = seconds(v[i].s.lo));
        tau = fmin(tau, seconds(v[i].watched));
    }
    if (m->censored == 0) {
        enum stats_refusal no = stats_mean(points, n, 0.95, &m->mean, &m->mean_ci);
        m->has_mean = m->has_mean_ci = no == STATS_OK;
        m->mean_method = m->has_mean ? "modified Cox" : NULL;
        m->mean_note = m->has_mean ? "assumes lognormal values; blind to paths not seen in these "
                                     "trials"
                                   : stats_refusal_text(no);
    } else if (restrict_it && isfinite(tau) && tau > 0) {
        m->has_mean = true;
        m->restricted_to = tau;
        m->has_mean_ci =
            stats_restricted_mean(points, censored, n, tau, 0.95, &m->mean, &m->mean_ci);
        m->mean_method = "mean restricted to the time that every trial was observed";
        m->mean_note = m->has_mean_ci ? "approximate (t interval); not comparable with another "
                                        "horizon"
                                      : "no interval for fewer than 8 trials";
    } else {
        m->mean_note = "censored values have no mean";
    }
    if (m->has_mean_ci)
        widen(v, n, points, &m->mean_ci);
    free(points);
    free(censored);
}

/* The median is at least this. */
static double median_of_lows(const struct value *v, size_t n)
{
    double *lows = calloc(n, sizeof *lows);
    if (!lows)
        abort();
    for (size_t i = 0; i < n; i++)
        lows[i] = seconds(v[i].s.lo);
    qsort(lows, n, sizeof *lows, by_number);
    double median = (lows[(n - 1) / 2] + lows[n / 2]) / 2;
    free(lows);
    return median;
}

static void summarize(const struct result *r, struct value *v, size_t n, bool restrict_it,
                      struct summary *m)
{
    m->n = n;
    m->min = m->max = SPAN_UNSET;
    if (n == 0)
        return;
    qsort(v, n, sizeof *v, by_value);
    for (size_t i = 0; i < n; i++)
        m->censored += v[i].s.hi == NSEC_INF;
    m->min = m->max = v[0].s;
    for (size_t i = 1; i < n; i++) {
        m->min.lo = v[i].s.lo < m->min.lo ? v[i].s.lo : m->min.lo;
        m->min.hi = v[i].s.hi < m->min.hi ? v[i].s.hi : m->min.hi;
        m->max.lo = v[i].s.lo > m->max.lo ? v[i].s.lo : m->max.lo;
        m->max.hi = v[i].s.hi > m->max.hi ? v[i].s.hi : m->max.hi;
    }
    m->has_median = true;
    double a = midpoint(v[(n - 1) / 2].s), b = midpoint(v[n / 2].s);
    m->median = (a + b) / 2;
    /* One that was not seen to end may be any number from its low on: a smaller one, too. */
    m->median_censored = isinf(m->median);
    for (size_t i = 0; i < n; i++)
        m->median_censored |= v[i].s.hi == NSEC_INF && seconds(v[i].s.lo) < m->median;
    if (m->median_censored)
        m->median = median_of_lows(v, n);
    if (r->scenario->phase == 1) {
        m->mean_note = "phase: fixed gives all trials the same phase: no interval over trials";
        return;
    }
    median_interval(v, n, m);
    means(v, n, restrict_it, m);
}

static void of_service(struct result *r, struct service_summary *out)
{
    struct value *ttd = arena_alloc(r->arena, (r->trials_n + 1) * sizeof *ttd);
    struct value *ttr = arena_alloc(r->arena, (r->trials_n + 1) * sizeof *ttr);
    struct value *down = arena_alloc(r->arena, (r->trials_n + 1) * sizeof *down);
    size_t ttd_n = 0, ttr_n = 0, down_n = 0, affected = 0, unaffected = 0;
    out->resolution = NSEC_UNSET;
    for (size_t i = 0; i < r->trials_n; i++) {
        const struct trial *t = &r->trials[i];
        const struct service_seen *s = t->counted ? result_seen(r, t, out->service) : NULL;
        if (!s || s->probes_n == 0)
            continue;
        if (s->resolution > out->resolution)
            out->resolution = s->resolution;
        if (s->outcome == OUTCOME_VOID)
            continue;
        affected += s->outcome != OUTCOME_UNAFFECTED;
        unaffected += s->outcome == OUTCOME_UNAFFECTED;
        nsec start = span_is_set(t->fault_start) ? t->fault_start.lo : t->armed;
        nsec watched = t->watched - start;
        if (span_is_set(s->ttd) && s->detection != DETECTION_NOT_APPLICABLE)
            ttd[ttd_n++] = (struct value){s->ttd, watched};
        if (s->outcome == OUTCOME_UNAFFECTED)
            continue;
        if (span_is_set(s->ttr))
            ttr[ttr_n++] = (struct value){s->ttr, watched};
        if (span_is_set(s->down))
            down[down_n++] = (struct value){s->down, watched};
    }
    summarize(r, ttd, ttd_n, false, &out->ttd);
    summarize(r, ttr, ttr_n, true, &out->ttr);
    summarize(r, down, down_n, true, &out->down);
    out->ttd.affected = out->ttr.affected = out->down.affected = affected;
    out->ttd.unaffected = out->ttr.unaffected = out->down.unaffected = unaffected;
}

static const struct episode *first_outage(const struct service_seen *s)
{
    for (size_t i = 0; i < s->episodes_n; i++)
        if (!s->episodes[i].undo)
            return &s->episodes[i];
    return NULL;
}

static bool is_earlier(const struct alarm_seen *a, const struct alarm_seen *b)
{
    return span_is_set(a->onset) && (!b || a->onset.lo < b->onset.lo);
}

/* Of the alarms of this service (role < 0: of all roles) the one that rang first; NULL: none did. */
static const struct alarm_seen *first_rung(const struct service_seen *s, int role)
{
    const struct alarm_seen *first = NULL;
    for (size_t i = 0; i < s->alarms_n; i++) {
        const struct alarm_seen *a = &s->alarms[i];
        bool own = strcmp(a->alarm->service, s->service->name) == 0;
        if (own && (role < 0 || a->alarm->role == role) && is_earlier(a, first))
            first = a;
    }
    return first;
}

/* From the impact to an onset; for ever where there was none. False: the service was not hit. */
static bool detection_value(const struct trial *t, const struct service_seen *s,
                            const struct alarm_seen *rang, struct value *ret)
{
    const struct episode *e = first_outage(s);
    if (!e || s->outcome == OUTCOME_VOID || !span_is_set(t->fault_start))
        return false;
    struct span end = {t->watched, t->watched};
    ret->watched = t->watched - t->fault_start.lo;
    ret->s = rang ? span_between(e->impact, rang->onset)
                  : (struct span){span_between(e->impact, end).lo, NSEC_INF};
    return true;
}

/* Time to detect of one role, or (alarm not NULL) of one alarm, of a service over the trials. */
static void of_layer(const struct result *r, const struct service *service, int role,
                     const struct alarm *alarm, size_t *ret_first, struct summary *ret)
{
    struct value *v = arena_alloc(r->arena, (r->trials_n + 1) * sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < r->trials_n; i++) {
        const struct trial *t = &r->trials[i];
        const struct service_seen *s = t->counted ? result_seen(r, t, service) : NULL;
        if (!s || s->probes_n == 0)
            continue;
        const struct alarm_seen *first = first_rung(s, -1), *rang = NULL;
        bool masked = false;
        for (size_t k = 0; k < s->alarms_n; k++) {
            const struct alarm_seen *a = &s->alarms[k];
            if (alarm ? a->alarm != alarm
                      : a->alarm->role != role || strcmp(a->alarm->service, service->name) != 0)
                continue;
            masked |= a->masked;
            if (is_earlier(a, rang))
                rang = a;
        }
        *ret_first += rang && rang == first;
        if (masked && !rang)
            continue; /* it could not tell */
        n += detection_value(t, s, rang, &v[n]);
    }
    summarize(r, v, n, false, ret);
}

static void of_alarm(const struct result *r, struct alarm_summary *out)
{
    for (size_t i = 0; i < r->trials_n; i++) {
        const struct trial *t = &r->trials[i];
        if (!t->run || !nsec_is_set(t->armed))
            continue;
        nsec quiet_end = span_is_set(t->fault_start) ? t->fault_start.lo : t->watched;
        if (quiet_end > t->armed)
            out->exposure += quiet_end - t->armed;
        bool told = false; /* an alarm may stand with two services, it is counted once */
        for (size_t k = 0; k < t->services_n && !told; k++)
            for (size_t a = 0; a < t->services[k].alarms_n && !told; a++) {
                const struct alarm_seen *seen = &t->services[k].alarms[a];
                if (seen->alarm != out->alarm)
                    continue;
                out->false_alarms += seen->false_alarms;
                out->onsets += seen->onsets;
                out->missing += seen->missing;
                out->without_outage += seen->without_outage;
                out->suppressed += seen->suppressed;
                out->never += seen->never;
                told = true;
            }
    }
    if (out->exposure > 0) {
        double hours = seconds(out->exposure) / 3600;
        struct stats_interval ci = stats_count(out->false_alarms, 0.95);
        out->has_rate = true;
        out->per_hour = (struct stats_interval){ci.lo / hours, ci.hi / hours};
    }
}

static void layers(struct result *r)
{
    const struct scenario *sc = r->scenario;
    r->layers = arena_alloc(r->arena, (sc->services.n * (ROLE_OWN + 1) + 1) * sizeof *r->layers);
    for (size_t i = 0; i < sc->services.n; i++)
        for (int role = ROLE_PAGE; role <= ROLE_OWN; role++) {
            const struct service *service = sc->services.items[i];
            bool any = false;
            for (size_t k = 0; k < sc->alarms.n; k++) {
                const struct alarm *a = sc->alarms.items[k];
                any |= a->role == role && strcmp(a->service, service->name) == 0;
            }
            if (!any)
                continue;
            struct layer_summary *l = &r->layers[r->layers_n++];
            *l = (struct layer_summary){.service = service, .role = role};
            of_layer(r, service, role, NULL, &l->first, &l->ttd);
        }
}

void summary_make(struct result *r)
{
    const struct scenario *sc = r->scenario;
    r->services = arena_alloc(r->arena, (sc->services.n + 1) * sizeof *r->services);
    r->services_n = sc->services.n;
    for (size_t i = 0; i < sc->services.n; i++) {
        r->services[i].service = sc->services.items[i];
        of_service(r, &r->services[i]);
    }
    r->alarms = arena_alloc(r->arena, (sc->alarms.n + 1) * sizeof *r->alarms);
    r->alarms_n = sc->alarms.n;
    for (size_t i = 0; i < sc->alarms.n; i++) {
        struct alarm_summary *a = &r->alarms[i];
        a->alarm = sc->alarms.items[i];
        of_alarm(r, a);
        const struct service *service = scenario_service(sc, a->alarm->service);
        if (service)
            of_layer(r, service, -1, a->alarm, &a->first, &a->ttd);
    }
    layers(r);
}
