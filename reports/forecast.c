/* From the record of a forecast to what it came to. See forecast.h. */
#include "reports/forecast.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/forecast_why.h"
#include "reports/sentence.h"
#include "sim/base/jsonx.h"
#include "sim/forecast/block.h"

struct forecast *forecast_free(struct forecast *f)
{
    if (!f)
        return NULL;
    for (size_t i = 0; i < f->services_n; i++) {
        outcome_sums_done(&f->services[i].sums);
        free(f->services[i].quantities);
        free(f->services[i].totals);
    }
    json_decref(f->start);
    json_decref(f->analyses);
    free(f->findings);
    arena_free(f->arena);
    free(f);
    return NULL;
}

/* ---- reading ---- */

struct reading {
    struct forecast *f;
    uint64_t next; /* trial */
    bool *seen;    /* services of this block */
    bool ended;
};

static int read_start(struct reading *r, const json_t *e, struct err *err)
{
    struct forecast *f = r->f;
    const json_t *shard = json_object_get(e, "shard");
    if (shard)
        return err_set(err, EINVAL,
                       "this is part %" PRId64 " of %" PRId64
                       " of a forecast: name all parts together, blackstart report DIR DIR…",
                       (int64_t)json_integer_value(json_array_get(shard, 0)),
                       (int64_t)json_integer_value(json_array_get(shard, 1)));
    int64_t trials = jsonx_int(e, "trials", 0);
    if (strcmp(jsonx_str(e, "mode", ""), "forecast") != 0 || trials < 1)
        return err_set(err, EBADMSG, "this is not the record of a forecast");
    f->start = json_deep_copy(e);
    f->planned = (uint64_t)trials;
    return 0;
}

static int add_service(size_t k, const struct outcome *out, size_t n, void *data, struct err *err)
{
    struct reading *r = data;
    struct forecast_service *s = &r->f->services[k];
    if (r->seen[k])
        return err_set(err, EBADMSG, "a block of outcomes has %s twice", s->service->name);
    r->seen[k] = true;
    for (size_t i = 0; i < n; i++)
        outcome_sums_add(&s->sums, s->service, &out[i]);
    return 0;
}

/* Services that a block leaves out were not hit. */
static void add_unhit(struct reading *r, uint64_t n)
{
    struct outcome o = block_unhit();
    for (size_t k = 0; k < r->f->services_n; k++) {
        struct forecast_service *s = &r->f->services[k];
        if (!r->seen[k])
            outcome_sums_add_times(&s->sums, s->service, &o, n);
        r->seen[k] = false;
    }
}

static int add_quantity(struct forecast *f, struct forecast_service *s, const char *quantity,
                        const char *text, struct err *err)
{
    outcome_total t;
    size_t i = 0;
    if (!text || block_total(text, &t) < 0)
        return err_set(err, EBADMSG, "the path of %s is no number", s->service->name);
    while (i < s->quantities_n && strcmp(s->quantities[i], quantity) != 0)
        i++;
    if (i == s->quantities_n) {
        s->quantities = reallocarray(s->quantities, i + 1, sizeof *s->quantities);
        s->totals = reallocarray(s->totals, i + 1, sizeof *s->totals);
        if (!s->quantities || !s->totals)
            abort();
        s->quantities[i] = arena_strdup(f->arena, quantity);
        s->totals[i] = 0;
        s->quantities_n++;
    }
    s->totals[i] += t;
    return 0;
}

static int add_paths(struct forecast *f, const json_t *paths, struct err *err)
{
    const char *name, *quantity;
    json_t *path, *total;
    json_object_foreach ((json_t *)(uintptr_t)paths, name, path) {
        size_t k = 0;
        while (k < f->services_n && strcmp(f->services[k].service->name, name) != 0)
            k++;
        if (k == f->services_n)
            return err_set(err, EBADMSG, "there is a path of '%s', which is no service", name);
        json_object_foreach (path, quantity, total) {
            int rc = add_quantity(f, &f->services[k], quantity, json_string_value(total), err);
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

static int read_outcomes(struct reading *r, const json_t *e, struct err *err)
{
    uint64_t first, last;
    int rc = block_read(e, r->f->scenario, add_service, r, &first, &last, err);
    if (rc < 0)
        return rc;
    if (first != r->next || last > r->f->planned)
        return err_set(err, EBADMSG,
                       "trials %" PRIu64 " to %" PRIu64 " stand where trial %" PRIu64
                       " was expected",
                       first, last, r->next);
    add_unhit(r, last - first + 1);
    r->next = last + 1;
    return add_paths(r->f, json_object_get(e, "path"), err);
}

static void read_analysis(struct reading *r, const json_t *e)
{
    static const char *const line[] = {"seq", "t", "kind", "prev"};
    json_t *copy = json_copy((json_t *)(uintptr_t)e);
    for (size_t i = 0; i < ARRAY_SIZE(line); i++)
        json_object_del(copy, line[i]);
    json_array_append_new(r->f->analyses, copy);
}

enum status forecast_status(const json_t *end)
{
    const char *status = jsonx_str(end, "status", "");
    return strcmp(status, "completed") == 0 ? STATUS_COMPLETED
           : strcmp(status, "aborted") == 0 ? STATUS_ABORTED
                                            : STATUS_FAILED;
}

static void read_end(struct reading *r, const json_t *e)
{
    struct forecast *f = r->f;
    const char *reason = jsonx_str(e, "reason", NULL);
    r->ended = true;
    f->status = forecast_status(e);
    f->status_reason = reason ? arena_strdup(f->arena, reason) : NULL;
}

static int read_line(const json_t *e, const char *line, size_t n, void *data, struct err *err)
{
    struct reading *r = data;
    const char *kind = jsonx_str(e, "kind", "");
    int rc = 0;
    if (!r->f->start)
        rc = read_start(r, e, err);
    else if (strcmp(kind, "outcomes") == 0)
        rc = read_outcomes(r, e, err);
    else if (strcmp(kind, "analysis") == 0)
        read_analysis(r, e);
    else if (strcmp(kind, "run-end") == 0)
        read_end(r, e);
    if (rc < 0)
        return err_prefix(err, "record.ndjson, line %" PRId64, jsonx_int(e, "seq", 0) + 1);
    return 0;
}

static struct forecast *new_forecast(const struct scenario *sc)
{
    struct forecast *f = calloc(1, sizeof *f);
    if (!f)
        abort();
    f->arena = arena_new();
    f->analyses = json_array();
    f->scenario = sc;
    f->services_n = sc->services.n;
    f->services = arena_alloc(f->arena, (sc->services.n + 1) * sizeof *f->services);
    for (size_t i = 0; i < sc->services.n; i++)
        f->services[i].service = sc->services.items[i];
    return f;
}

/* ---- judging ---- */

static void reason(struct forecast *f, struct forecast_objective *o, const char *code,
                   uint64_t count, const struct buf *text, const char *cure)
{
    if (o->reasons_n == ARRAY_SIZE(o->reasons))
        return;
    o->reasons[o->reasons_n++] =
        (struct forecast_reason){.code = code,
                                 .count = count,
                                 .text = arena_strdup(f->arena, buf_text(text)),
                                 .cure = cure ? arena_strdup(f->arena, cure) : NULL};
}

/* How many trials would tell p from what is asked, to two digits; 0: no number in reach. */
static uint64_t needed(double p, double asked)
{
    double gap = p - asked, n = 1.96 * 1.96 * p * (1 - p) / (gap * gap);
    if (!(n < 1e11))
        return 0;
    double step = pow(10, floor(log10(fmax(n, 10))) - 1);
    return (uint64_t)(ceil(1.1 * n / step) * step);
}

static void explain_undecided(struct forecast *f, struct forecast_objective *o)
{
    AUTO_BUF text = BUF_INIT;
    AUTO_BUF cure = BUF_INIT;
    if (o->over_ranges) {
        buf_adds(&text, "what is assumed leaves ");
        forecast_interval(o, &text);
        buf_printf(&text, " %% open, which holds the %g %% that are asked for", 100 * o->asked);
        reason(f, o, "assumptions_open", o->planned, &text,
               "narrower ranges of what is assumed; which of them matters most is told below");
        return;
    }
    o->needed_n = needed(o->p, o->asked);
    buf_adds(&text, "the interval of ");
    forecast_interval(o, &text);
    buf_printf(&text, " %% holds the %g %% that are asked for", 100 * o->asked);
    if (o->needed_n > o->planned) {
        buf_adds(&cure, "about ");
        forecast_count(o->needed_n, &cure);
        buf_adds(&cure, " trials");
    } else {
        o->needed_n = 0;
    }
    reason(f, o, "too_few_trials", o->planned, &text, cure.len ? buf_text(&cure) : NULL);
}

static void counted_reason(struct forecast *f, struct forecast_objective *o, const char *code,
                           uint64_t n, const char *what)
{
    AUTO_BUF text = BUF_INIT;
    if (!n)
        return;
    forecast_count(n, &text);
    buf_printf(&text, " %s %s", n == 1 ? "trial" : "trials", what);
    reason(f, o, code, n, &text, NULL);
}

static double outward(double v, int direction)
{
    return direction < 0 ? floor(v * 1e6) / 1e6 : ceil(v * 1e6) / 1e6;
}

/* Open and void count as failures below and as kept above, as in a drill. */
static void bounds(struct forecast_objective *o)
{
    struct estimate low = estimate_share(o->within, o->planned);
    struct estimate high = estimate_share(o->within + o->open + o->voids, o->planned);
    o->p = (double)o->within / (double)o->planned;
    o->p_lower = o->within == 0 ? 0 : fmax(0, outward(low.lo, -1));
    o->p_upper = o->within + o->open + o->voids == o->planned ? 1 : fmin(1, outward(high.hi, 1));
}

/* Assumptions that are ranges leave more open than simulation does, and that decides. */
static void bounds_over_ranges(const struct forecast *f, struct forecast_objective *o)
{
    struct estimate e = forecast_assumed(f, o->service->name);
    if (o->kind != OUTCOME_RTO || isnan(e.value))
        return;
    o->over_ranges = true;
    o->p_lower = fmin(o->p_lower, fmax(0, outward(e.lo, -1)));
    o->p_upper = fmax(o->p_upper, fmin(1, outward(e.hi, 1)));
}

static bool never_hit(const struct forecast *f, const struct forecast_objective *o)
{
    const uint64_t *kinds = f->services[o->service_index].sums.kinds;
    bool asks =
        o->kind == OUTCOME_RTO || o->kind == OUTCOME_MAX_DOWNTIME || o->kind == OUTCOME_MTPD;
    return asks && kinds[OUTCOME_IS_RESTORED] + kinds[OUTCOME_IS_CENSORED] == 0 &&
           o->service->expect != EXPECT_UNAFFECTED && o->service->expect != EXPECT_EITHER;
}

static void judge(struct forecast *f, struct forecast_objective *o)
{
    const uint64_t *shares = f->services[o->service_index].sums.shares[o->kind];
    const struct demonstrate *ask = f->scenario->demonstrate;
    o->asked = ask ? ask->reliability : FORECAST_SHARE;
    o->within = shares[OUTCOME_WITHIN];
    o->missed = shares[OUTCOME_MISSED];
    o->open = shares[OUTCOME_OPEN];
    o->voids = shares[OUTCOME_WAS_VOID];
    o->not_applicable = shares[OUTCOME_NOT_JUDGED];
    o->planned = o->within + o->missed + o->open + o->voids;
    o->unmeasured = o->kind == OUTCOME_RPO && o->within + o->missed == 0 && o->not_applicable > 0;
    if (o->planned == 0 || o->unmeasured)
        return;
    bounds(o);
    bounds_over_ranges(f, o);
    if (o->voids == o->planned)
        o->verdict = VERDICT_INCONCLUSIVE;
    else if (o->p_lower >= o->asked && !never_hit(f, o))
        o->verdict = VERDICT_MET;
    else if (o->p_upper < o->asked)
        o->verdict = VERDICT_NOT_MET;
    else
        o->verdict = VERDICT_NOT_DEMONSTRATED;
    if (o->verdict == VERDICT_NOT_DEMONSTRATED && never_hit(f, o)) {
        AUTO_BUF text = BUF_INIT;
        buf_adds(&text, "the service was never hit: recovery was not exercised");
        reason(f, o, "recovery_not_exercised", o->within, &text,
               "a fault that reaches the service, or expect: unaffected where that is the promise");
    } else if (o->verdict == VERDICT_NOT_DEMONSTRATED) {
        explain_undecided(f, o);
    }
    counted_reason(f, o, "void", o->voids, o->voids == 1 ? "is void" : "are void");
    counted_reason(f, o, "open", o->open, "in which its clock never started");
}

static void judge_all(struct forecast *f)
{
    f->objectives =
        arena_alloc(f->arena, (f->services_n * OUTCOME_PROMISES + 1) * sizeof *f->objectives);
    enum verdict worst = VERDICT_NOT_APPLICABLE;
    for (size_t k = 0; k < f->services_n; k++)
        for (int p = 0; p < OUTCOME_PROMISES; p++) {
            const struct service *s = f->services[k].service;
            if (!outcome_promises(f->scenario, s, (enum outcome_promise)p))
                continue;
            struct forecast_objective *o = &f->objectives[f->objectives_n++];
            *o = (struct forecast_objective){.service = s,
                                             .service_index = k,
                                             .kind = (enum outcome_promise)p,
                                             .target = outcome_target(s, (enum outcome_promise)p)};
            o->clock = p == OUTCOME_RTO      ? s->rto_clock
                       : p == OUTCOME_DETECT ? s->detect->clock
                       : p == OUTCOME_RPO    ? CLOCK_FAULT
                                             : CLOCK_IMPACT;
            judge(f, o);
            worst = o->verdict > worst ? o->verdict : worst;
        }
    f->verdict = worst == VERDICT_NOT_APPLICABLE ? VERDICT_INCONCLUSIVE : worst;
}

/* ---- stages, findings ---- */

static int by_time(const void *a, const void *b)
{
    const struct forecast_stage *x = a, *y = b;
    if (x->mean < y->mean || x->mean > y->mean)
        return x->mean < y->mean ? 1 : -1;
    return strcmp(x->quantity, y->quantity);
}

static void find_stages(struct forecast *f, struct forecast_service *s)
{
    const struct outcome_times *ttr = &s->sums.times[OUTCOME_TTR];
    uint64_t restored = s->sums.kinds[OUTCOME_IS_RESTORED];
    if (!s->quantities_n || !restored || ttr->n == 0)
        return;
    double all = outcome_times_mean(ttr) / 1e9, rest = all;
    s->stages = arena_alloc(f->arena, (s->quantities_n + 1) * sizeof *s->stages);
    for (size_t i = 0; i < s->quantities_n; i++) {
        double mean = (double)s->totals[i] / (double)restored / 1e9;
        s->stages[s->stages_n++] =
            (struct forecast_stage){s->quantities[i], mean, all > 0 ? mean / all : 0};
        rest -= mean;
    }
    qsort(s->stages, s->stages_n, sizeof *s->stages, by_time);
    if (rest > 1e-9)
        s->stages[s->stages_n++] = (struct forecast_stage){NULL, rest, rest / all};
}

static void find(struct forecast *f, const char *code, enum weight weight,
                 const struct service *service, const struct buf *text)
{
    if (f->findings_n == f->findings_room) {
        f->findings_room = 2 * f->findings_room + 8;
        f->findings = reallocarray(f->findings, f->findings_room, sizeof *f->findings);
        if (!f->findings)
            abort();
    }
    f->findings[f->findings_n++] =
        (struct forecast_finding){.code = code,
                                  .weight = weight,
                                  .service = service,
                                  .text = arena_strdup(f->arena, buf_text(text))};
}

/* "In 1.2 % of the trials checkout …" */
static void find_share(struct forecast *f, const struct forecast_service *s, const char *code,
                       enum weight weight, uint64_t n, const char *what)
{
    AUTO_BUF text = BUF_INIT;
    if (!n)
        return;
    buf_adds(&text, "in ");
    forecast_percent((double)n / (double)s->sums.trials, &text);
    buf_printf(&text, " of the trials %s %s", s->service->name, what);
    text.text[0] = 'I';
    find(f, code, weight, s->service, &text);
}

/* By importance sampling, where that was asked for. */
static void find_rare(struct forecast *f)
{
    const json_t *line = forecast_analysis(f, "rare", NULL);
    for (size_t k = 0; line && k < f->services_n; k++) {
        const struct service *v = f->services[k].service;
        const json_t *found = json_object_get(json_object_get(line, "services"), v->name);
        const json_t *missed = json_object_get(found, "missed");
        double effective = json_number_value(json_object_get(found, "effective"));
        AUTO_BUF text = BUF_INIT;
        if (!found)
            continue;
        if (json_is_array(missed))
            buf_printf(&text,
                       "The time objective of %s is missed with a probability of %.3g (%.3g to "
                       "%.3g), by importance sampling, worth %.0f unweighted misses",
                       v->name, json_number_value(json_array_get(missed, 0)),
                       json_number_value(json_array_get(missed, 1)),
                       json_number_value(json_array_get(missed, 2)), effective);
        else
            buf_printf(&text,
                       "How rarely %s misses its time objective could not be estimated: the "
                       "trials of importance sampling are worth %.0f unweighted misses, fewer than "
                       "1,000; ask for more --trials",
                       v->name, effective);
        find(f, "rare", json_is_array(missed) ? WEIGHT_NOTE : WEIGHT_WARNING, v, &text);
    }
}

static void find_all(struct forecast *f)
{
    find_rare(f);
    for (size_t k = 0; k < f->services_n; k++) {
        const struct forecast_service *s = &f->services[k];
        const struct outcome_sums *u = &s->sums;
        bool hit = u->kinds[OUTCOME_IS_RESTORED] + u->kinds[OUTCOME_IS_CENSORED] > 0;
        find_share(f, s, "not_restored", WEIGHT_WARNING, u->kinds[OUTCOME_IS_CENSORED],
                   "was not back when the trial ended");
        if (!s->service->heal_counts)
            find_share(f, s, "heal", WEIGHT_WARNING, u->by[OUTCOME_BY_HEAL],
                       "came back only because the fault was taken away, which is no recovery");
        find_share(f, s, "not_noticed", WEIGHT_WARNING, u->not_noticed,
                   "was down and came back, and no alarm that counts told of it");
        find_share(f, s, "void", WEIGHT_NOTE, u->kinds[OUTCOME_IS_VOID], "had no result: void");
        if (hit)
            find_share(f, s, "unaffected", WEIGHT_NOTE, u->kinds[OUTCOME_IS_UNAFFECTED],
                       "was not hit");
    }
    for (size_t i = 0; i < f->objectives_n; i++)
        if (f->objectives[i].unmeasured) {
            AUTO_BUF text = BUF_INIT;
            buf_printf(&text,
                       "Nothing in the model says what data %s loses: its promise is not "
                       "judged",
                       f->objectives[i].service->name);
            find(f, "unmeasured", WEIGHT_WARNING, f->objectives[i].service, &text);
        }
}

/* ---- all of it ---- */

int forecast_read(int dirfd, const struct scenario *scenario, struct forecast **ret,
                  struct err *err)
{
    CLEANUP(forecast_free_p) struct forecast *f = new_forecast(scenario);
    AUTO_FREE bool *seen = calloc(f->services_n + 1, sizeof *seen);
    if (!seen)
        abort();
    struct reading r = {.f = f, .next = 1, .seen = seen};
    int rc = record_scan(dirfd, "record.ndjson", read_line, &r, &f->head, &f->torn, err);
    if (rc < 0)
        return rc;
    f->done = r.next - 1;
    if (!r.ended) {
        f->status = STATUS_FAILED;
        f->status_reason = "the record has no end: its writer was killed";
    } else if (f->status == STATUS_COMPLETED && f->done != f->planned) {
        return err_set(err, EBADMSG,
                       "record.ndjson says completed, and has %" PRIu64 " of %" PRIu64 " trials",
                       f->done, f->planned);
    }
    judge_all(f);
    for (size_t k = 0; k < f->services_n; k++)
        find_stages(f, &f->services[k]);
    find_all(f);
    *ret = steal_ptr(f);
    return 0;
}

int forecast_exit_code(const struct forecast *f)
{
    if (f->status != STATUS_COMPLETED)
        return 5;
    return f->verdict == VERDICT_MET ? 0 : f->verdict == VERDICT_NOT_MET ? 1 : 4;
}
