/* From measures to verdicts. */
#include "reports/objective.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "reports/detection.h"
#include "reports/kept.h"
#include "reports/sentence.h"
#include "sim/base/buf.h"

static enum share share_of(struct span s, nsec target)
{
    if (!span_is_set(s))
        return SHARE_OPEN;
    return s.hi <= target ? SHARE_WITHIN : s.lo > target ? SHARE_MISSED : SHARE_OPEN;
}

/* The maximum of durations known as intervals. */
static struct span longer(struct span a, struct span b)
{
    if (!span_is_set(a))
        return b;
    if (!span_is_set(b))
        return a;
    return (struct span){a.lo > b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi};
}

static struct span sum(struct span a, struct span b)
{
    if (!span_is_set(a))
        return b;
    return (struct span){nsec_add(a.lo, b.lo), nsec_add(a.hi, b.hi)};
}

static void sum_up(struct service_seen *s)
{
    struct span longest = SPAN_UNSET;
    bool never_started[4] = {false};
    for (size_t i = 0; i < s->episodes_n; i++) {
        const struct episode *e = &s->episodes[i];
        if (e->undo)
            continue;
        for (int c = 0; c < 4; c++) {
            s->ttr_clock[c] = longer(s->ttr_clock[c], e->ttr[c]);
            never_started[c] |= !span_is_set(e->ttr[c]);
        }
        struct span down = e->down;
        s->down = sum(s->down, down);
        if (e->by == BY_HEAL && !s->service->heal_counts)
            down.hi = NSEC_INF;
        s->down_judged = sum(s->down_judged, down);
        struct span ttr = e->ttr[CLOCK_IMPACT];
        if (!span_is_set(longest) || ttr.hi > longest.hi ||
            (ttr.hi == longest.hi && ttr.lo > longest.lo)) {
            longest = ttr;
            s->by = e->by;
        }
    }
    for (int c = 0; c < 4; c++)
        if (never_started[c])
            s->ttr_clock[c] = SPAN_UNSET;
}

static enum share judge_rto(const struct trial *t, const struct service_seen *s)
{
    nsec rto = s->service->rto;
    if (s->outcome == OUTCOME_UNAFFECTED && t->aborted)
        return SHARE_OPEN; /* what would have come was not watched */
    /* A clock that never started (nobody noticed, nobody declared) measures nothing; an outage that
     * is within by the impact clock would be so by any later one. */
    if (!span_is_set(s->ttr) && share_of(s->ttr_clock[CLOCK_IMPACT], rto) == SHARE_WITHIN)
        return SHARE_WITHIN;
    return share_of(s->ttr, rto);
}

static enum share judge_detect(const struct trial *t, const struct service_seen *s)
{
    nsec within = s->service->detect->within;
    bool from_fault = s->service->detect->clock == CLOCK_FAULT;
    switch (s->detection) {
    case DETECTION_NOT_APPLICABLE:
    case DETECTION_RESTORED_FIRST:
        return SHARE_NOT_APPLICABLE;
    case DETECTION_MASKED:
        return SHARE_OPEN;
    case DETECTION_DETECTED:
        return share_of(s->ttd, within);
    case DETECTION_NOT_DETECTED:
        break;
    }
    /* It may have been back before the target: then nobody had to notice. */
    const struct episode *e = detection_due(t, s);
    if (e && e->restored.hi != NSEC_INF &&
        span_between(from_fault ? t->fault_start : e->impact, e->restored).lo < within)
        return SHARE_OPEN;
    return share_of(s->ttd, within);
}

static enum share judge_expect(const struct trial *t, const struct service_seen *s)
{
    bool hit = s->judged_n > 0;
    if (s->service->expect == EXPECT_UNAFFECTED)
        return hit ? SHARE_MISSED : t->aborted ? SHARE_OPEN : SHARE_WITHIN;
    if (s->service->expect == EXPECT_AFFECTED)
        return hit ? SHARE_WITHIN : SHARE_OPEN;
    return SHARE_NOT_APPLICABLE;
}

static enum share judge_no_alarm(const struct trial *t, const struct service_seen *s)
{
    bool at_arm = false;
    for (size_t i = 0; i < s->alarms_n; i++) {
        if (s->alarms[i].false_alarms)
            return SHARE_MISSED;
        for (size_t k = 0; k < s->alarms[i].events_n; k++)
            at_arm |= s->alarms[i].events[k].at_arm;
    }
    return at_arm || t->aborted ? SHARE_OPEN : SHARE_WITHIN;
}

/* Of a trial that was cut short, only a miss is known. */
static enum share judge_success(const struct trial *t, const struct service_seen *s)
{
    double promised = s->service->during_fault->success;
    const struct kept *k = &s->kept;
    size_t probes = k->good + k->bad + k->unknown;
    if (k->success[1] < promised)
        return SHARE_MISSED;
    bool within = k->success[0] >= promised && kept_can_tell(probes, promised);
    return within && !t->aborted ? SHARE_WITHIN : SHARE_OPEN;
}

static nsec promised_latency(const struct service *s, size_t quantile)
{
    const struct during_fault *p = s->during_fault;
    if (!p)
        return NSEC_UNSET;
    return quantile == KEPT_P50 ? p->p50 : quantile == KEPT_P95 ? p->p95 : p->p99;
}

static enum share judge_latency(const struct trial *t, const struct service_seen *s,
                                size_t quantile)
{
    nsec promised = promised_latency(s->service, quantile);
    if (!nsec_is_set(promised))
        return SHARE_NOT_APPLICABLE;
    enum share share = share_of(s->kept.latency[quantile], promised);
    return share == SHARE_WITHIN && t->aborted ? SHARE_OPEN : share;
}

void objective_judge_trial(const struct result *r, const struct trial *t, struct service_seen *s)
{
    for (int k = 0; k < OBJECTIVE_KINDS; k++)
        s->shares[k] = SHARE_VOID;
    if (t->why_void) {
        s->outcome = OUTCOME_VOID;
        s->detection = DETECTION_NOT_APPLICABLE;
        s->ttd = s->ttd_impact = s->ttd_fault = SPAN_UNSET;
        return;
    }
    const struct service *service = s->service;
    sum_up(s);
    if (s->judged_n == 0) {
        s->outcome = OUTCOME_UNAFFECTED;
        struct span unseen = s->probes_n ? (struct span){0, s->resolution} : SPAN_UNSET;
        s->down = s->down_judged = unseen;
        for (int c = 0; c < 4; c++)
            s->ttr_clock[c] = unseen;
    } else {
        s->outcome = OUTCOME_RESTORED;
        for (size_t i = 0; i < s->episodes_n; i++)
            if (!s->episodes[i].undo && s->episodes[i].restored.hi == NSEC_INF)
                s->outcome = OUTCOME_CENSORED;
    }
    s->ttr = s->ttr_clock[service->rto_clock];
    s->shares[OBJECTIVE_RTO] = judge_rto(t, s);
    s->shares[OBJECTIVE_DETECT] = service->detect ? judge_detect(t, s) : SHARE_NOT_APPLICABLE;
    s->shares[OBJECTIVE_MAX_DOWNTIME] = s->judged_n == 0 && t->aborted
                                            ? SHARE_OPEN
                                            : share_of(s->down_judged, service->max_downtime);
    s->shares[OBJECTIVE_EXPECT] = judge_expect(t, s);
    s->shares[OBJECTIVE_NO_OUTAGE] = s->judged_n  ? SHARE_MISSED
                                     : t->aborted ? SHARE_OPEN
                                                  : SHARE_WITHIN;
    s->shares[OBJECTIVE_NO_ALARM] = judge_no_alarm(t, s);
    s->shares[OBJECTIVE_RPO] = SHARE_NOT_APPLICABLE;
    s->shares[OBJECTIVE_SUCCESS] = service->during_fault && service->during_fault->success > 0
                                       ? judge_success(t, s)
                                       : SHARE_NOT_APPLICABLE;
    for (size_t q = 0; q < KEPT_QUANTILES; q++)
        s->shares[(size_t)OBJECTIVE_LATENCY_P50 + q] = judge_latency(t, s, q);
}

struct span result_judged_span(const struct objective *o, const struct service_seen *s)
{
    if (s->outcome == OUTCOME_VOID)
        return SPAN_UNSET;
    switch (o->kind) {
    case OBJECTIVE_RTO:
        return s->ttr;
    case OBJECTIVE_DETECT:
        return s->ttd;
    case OBJECTIVE_MAX_DOWNTIME:
        return s->down_judged;
    case OBJECTIVE_LATENCY_P50:
    case OBJECTIVE_LATENCY_P95:
    case OBJECTIVE_LATENCY_P99:
        return s->kept.latency[o->kind - OBJECTIVE_LATENCY_P50];
    case OBJECTIVE_EXPECT:
    case OBJECTIVE_NO_OUTAGE:
    case OBJECTIVE_NO_ALARM:
    case OBJECTIVE_RPO:
    case OBJECTIVE_SUCCESS:
        break;
    }
    return SPAN_UNSET;
}

const struct service_seen *result_seen(const struct result *r, const struct trial *t,
                                       const struct service *s)
{
    for (size_t i = 0; i < t->services_n; i++)
        if (t->services[i].service == s)
            return &t->services[i];
    return NULL;
}

/* How bad, for choosing the worst trial. */
static int badness(enum share s)
{
    static const int order[] = {[SHARE_NOT_APPLICABLE] = 0,
                                [SHARE_WITHIN] = 2,
                                [SHARE_VOID] = 1,
                                [SHARE_OPEN] = 3,
                                [SHARE_MISSED] = 4};
    return order[s];
}

const struct trial *result_worst_trial(const struct result *r, const struct objective *o)
{
    const struct trial *worst = NULL;
    struct span worst_span = SPAN_UNSET;
    int worst_bad = -1;
    bool worst_hit = false; /* one that was not hit is no worse, however coarse its probes are */
    for (size_t i = 0; i < r->trials_n; i++) {
        const struct trial *t = &r->trials[i];
        const struct service_seen *s = t->counted && t->run ? result_seen(r, t, o->service) : NULL;
        if (!s)
            continue;
        int bad = badness(s->shares[o->kind]);
        struct span span = result_judged_span(o, s);
        if (o->kind == OBJECTIVE_SUCCESS) /* the more bad answers, the worse */
            span = (struct span){(nsec)((1 - s->kept.success[1]) * (double)NSEC_SEC),
                                 (nsec)((1 - s->kept.success[0]) * (double)NSEC_SEC)};
        bool hit = s->judged_n > 0,
             longer = hit == worst_hit && span_is_set(span) &&
                      (!span_is_set(worst_span) || span.hi > worst_span.hi ||
                       (span.hi == worst_span.hi && span.lo > worst_span.lo));
        if (bad > worst_bad || (bad == worst_bad && (longer || (hit && !worst_hit)))) {
            worst = t;
            worst_bad = bad;
            worst_hit = hit;
            worst_span = span;
        }
    }
    return worst;
}

static void reason(struct result *r, struct objective *o, const char *code, size_t count,
                   const char *text, const char *cure)
{
    o->reasons[o->reasons_n++] = (struct reason){code, count, arena_strdup(r->arena, text),
                                                 cure ? arena_strdup(r->arena, cure) : NULL};
}

static const char *trials_text(size_t n)
{
    return n == 1 ? "trial" : "trials";
}

static bool ever_hit(const struct result *r, const struct objective *o)
{
    for (size_t i = 0; i < r->trials_n; i++) {
        const struct trial *t = &r->trials[i];
        const struct service_seen *s = t->counted ? result_seen(r, t, o->service) : NULL;
        if (s && s->outcome != OUTCOME_VOID && s->judged_n > 0)
            return true;
    }
    return false;
}

/* Why a trial is open. In the order of the table below. */
enum open_cause {
    STOPPED,
    NOT_HIT,
    MASKED,
    NOT_DECLARED,
    NOT_RUNG,
    HEALED,
    NOT_BACK,
    TOO_COARSE,
    TOO_FEW,
    UNKNOWN
};
static const struct {
    const char *why; /* after "in 2 trials " */
    const char *cure;
} open_causes[] = {
    [STOPPED] = {"the run was stopped before it was decided", "a run that is not stopped early"},
    [NOT_HIT] = {"the service was not hit", "a fault that reaches the service in every trial"},
    [MASKED] = {"an alarm was firing already, so it could not tell",
                "alarms that are quiet before the trial begins"},
    [NOT_DECLARED] =
        {"an outage was not declared, so the clock of the promise never started",
         "somebody who declares each outage while it lasts (blackstart mark declared)"},
    [NOT_RUNG] = {"no alarm rang, so the clock of the promise never started",
                  "an alarm that rings in each outage"},
    [HEALED] = {"what is known does not decide it",
                "a fault that is not taken away before the target has passed"},
    [NOT_BACK] = {"what is known does not decide it",
                  "a longer horizon: observation ended before the target had passed"},
    [TOO_COARSE] = {"what is known does not decide it", "a shorter probe interval"},
    [TOO_FEW] = {"too few probes were made while a fault was in force to tell",
                 "probes that ask more often, or a fault that lasts longer"},
    [UNKNOWN] = {"it hangs on probes of which nothing is known",
                 "a vantage point that the fault does not disturb"},
};

static bool any_masked(const struct service_seen *s)
{
    for (size_t i = 0; i < s->alarms_n; i++)
        if (s->alarms[i].counts && s->alarms[i].masked)
            return true;
    return false;
}

static enum open_cause cause_of_open(const struct objective *o, const struct trial *t,
                                     const struct service_seen *s)
{
    if (t->aborted)
        return STOPPED;
    if (o->kind == OBJECTIVE_EXPECT)
        return NOT_HIT;
    if (o->kind == OBJECTIVE_NO_ALARM ||
        (o->kind == OBJECTIVE_DETECT && s->detection == DETECTION_MASKED))
        return MASKED;
    struct span judged = result_judged_span(o, s);
    if (o->kind >= OBJECTIVE_SUCCESS) {
        bool told = o->kind == OBJECTIVE_SUCCESS ? s->kept.success[0] < o->target_share
                                                 : s->kept.answers > 0;
        return !told ? TOO_FEW : s->kept.unknown ? UNKNOWN : TOO_COARSE;
    }
    if (!span_is_set(judged))
        return o->clock == CLOCK_DECLARATION ? NOT_DECLARED : any_masked(s) ? MASKED : NOT_RUNG;
    if (o->kind == OBJECTIVE_DETECT && s->detection == DETECTION_NOT_DETECTED)
        for (size_t i = 0; i < s->episodes_n; i++)
            if (!s->episodes[i].undo && s->episodes[i].restored.hi != NSEC_INF)
                return TOO_COARSE; /* whether it was back before anybody had to notice */
    if (judged.hi != NSEC_INF)
        return TOO_COARSE;
    return o->kind != OBJECTIVE_DETECT && s->by == BY_HEAL ? HEALED : NOT_BACK;
}

static void explain_open(struct result *r, struct objective *o)
{
    size_t counts[ARRAY_SIZE(open_causes)] = {0};
    for (size_t i = 0; i < r->trials_n; i++) {
        const struct trial *t = &r->trials[i];
        const struct service_seen *s = t->counted ? result_seen(r, t, o->service) : NULL;
        if (s && s->shares[o->kind] == SHARE_OPEN)
            counts[cause_of_open(o, t, s)]++;
    }
    for (size_t c = 0; c < ARRAY_SIZE(counts); c++) {
        AUTO_BUF text = BUF_INIT;
        if (!counts[c])
            continue;
        buf_printf(&text, "in %zu %s %s", counts[c], trials_text(counts[c]), open_causes[c].why);
        reason(r, o, "open", counts[c], buf_text(&text), open_causes[c].cure);
    }
}

/* Repeating is of use for those that were run; whether it was asked for, and how often it was done. */
static void cure_of_void(const struct result *r, const struct objective *o, struct buf *out)
{
    int64_t asked = r->scenario->replace_void;
    size_t not_run = 0, replaced = 0;
    for (size_t i = 0; i < r->trials_n; i++) {
        not_run += r->trials[i].counted && !r->trials[i].run;
        replaced += !r->trials[i].counted;
    }
    if (o->voids <= not_run)
        return;
    if (asked == 0)
        buf_printf(out, "; `replace_void: %zu` would repeat as many", o->voids);
    else if (replaced > 0)
        buf_printf(out, "; %zu %s repeated, `replace_void` allows %" PRId64, replaced,
                   replaced == 1 ? "trial was" : "trials were", asked);
}

/* Why it is not met, and what would cure each. */
static void explain(struct result *r, struct objective *o)
{
    AUTO_BUF text = BUF_INIT;
    AUTO_BUF cure = BUF_INIT;
    if (o->missed) {
        buf_printf(&text, "%zu of %zu %s missed the target", o->missed, o->planned,
                   trials_text(o->planned));
        if (o->misses_allowed)
            buf_printf(&text, ", %zu allowed", o->misses_allowed);
        reason(r, o, "missed", o->missed, buf_text(&text), NULL);
        buf_clear(&text);
    }
    if (o->verdict == VERDICT_NOT_MET || o->verdict == VERDICT_MET)
        return;
    explain_open(r, o);
    if (o->voids) {
        buf_printf(&text, "%zu %s void", o->voids, o->voids == 1 ? "trial is" : "trials are");
        buf_adds(&cure, "the cause of each void trial stands with it");
        cure_of_void(r, o, &cure);
        reason(r, o, "void", o->voids, buf_text(&text), buf_text(&cure));
        buf_clear(&text);
        buf_clear(&cure);
    }
    if (o->hit == 0 && o->within > 0) {
        buf_adds(&text, ever_hit(r, o) ? "no trial within the target is one in which the service "
                                         "was hit: recovery was not exercised"
                                       : "the service was never hit: recovery was not exercised");
        reason(r, o, "recovery_not_exercised", o->within, buf_text(&text),
               "a fault that reaches the service, or expect: unaffected where that is the promise");
        buf_clear(&text);
    }
    if (o->reliability > 0 && o->p_lower < o->reliability * (1 - 1e-12)) {
        size_t needed = stats_needed(o->reliability, o->confidence, o->missed);
        buf_printf(&text,
                   "%zu within of %zu shows at least %.1f %% at %g %% confidence; %g %% was asked",
                   o->within, o->planned, sentence_percent_down(o->p_lower), 100 * o->confidence,
                   100 * o->reliability);
        buf_printf(&cure, "%zu %s with at most %zu missed", needed, trials_text(needed), o->missed);
        reason(r, o, "too_few", o->planned, buf_text(&text), buf_text(&cure));
    }
}

static void tally(struct result *r, struct objective *o)
{
    for (size_t i = 0; i < r->trials_n; i++) {
        const struct trial *t = &r->trials[i];
        if (!t->counted)
            continue;
        const struct service_seen *s = t->run ? result_seen(r, t, o->service) : NULL;
        enum share share = s ? s->shares[o->kind] : SHARE_VOID;
        o->planned += share != SHARE_NOT_APPLICABLE;
        o->not_applicable += share == SHARE_NOT_APPLICABLE;
        o->within += share == SHARE_WITHIN;
        o->missed += share == SHARE_MISSED;
        o->open += share == SHARE_OPEN;
        o->voids += share == SHARE_VOID;
        bool as_expected = s && (s->judged_n > 0 || o->service->expect == EXPECT_UNAFFECTED ||
                                 o->service->expect == EXPECT_EITHER ||
                                 o->kind == OBJECTIVE_DETECT || o->kind >= OBJECTIVE_EXPECT);
        o->hit += share == SHARE_WITHIN && as_expected;
    }
}

static void judge(struct result *r, struct objective *o)
{
    const struct demonstrate *ask = r->scenario->demonstrate;
    o->confidence = ask ? ask->confidence : 0.95;
    o->reliability = ask ? ask->reliability : 0;
    o->misses_allowed = ask ? (size_t)ask->misses : 0;
    o->needed_n = ask ? stats_needed(ask->reliability, ask->confidence, o->misses_allowed) : 0;
    if (o->unmeasured)
        return;
    tally(r, o);
    if (o->planned == 0)
        return;
    o->p_lower = stats_share_lower(o->within, o->planned, o->confidence);
    o->p_upper = stats_share_upper(o->within + o->open + o->voids, o->planned, o->confidence);
    if (o->missed > o->misses_allowed)
        o->verdict = VERDICT_NOT_MET;
    else if (o->voids == o->planned)
        o->verdict = VERDICT_INCONCLUSIVE;
    else if (o->open == 0 && o->voids == 0 && o->hit > 0 &&
             (!ask || o->p_lower >= ask->reliability * (1 - 1e-12)))
        o->verdict = VERDICT_MET;
    else
        o->verdict = VERDICT_NOT_DEMONSTRATED;
    if (o->verdict != VERDICT_MET || o->missed)
        explain(r, o);
}

static void add(struct result *r, const struct service *s, enum objective_kind kind, nsec target,
                int clock)
{
    r->objectives[r->objectives_n++] =
        (struct objective){.service = s, .kind = kind, .target = target, .clock = clock};
}

static bool is_named(const struct pairs *pairs, const char *name)
{
    for (size_t i = 0; i < pairs->n; i++)
        if (strcmp(pairs->items[i].key, name) == 0)
            return true;
    return false;
}

/* What nothing promises, or nothing measures, is not judged in any trial. */
static void forget_the_rest(struct result *r)
{
    for (size_t i = 0; i < r->trials_n; i++)
        for (size_t k = 0; k < r->trials[i].services_n; k++) {
            struct service_seen *s = &r->trials[i].services[k];
            bool judged[OBJECTIVE_KINDS] = {false};
            for (size_t m = 0; m < r->objectives_n; m++)
                if (r->objectives[m].service == s->service && !r->objectives[m].unmeasured)
                    judged[r->objectives[m].kind] = true;
            for (int kind = 0; kind < OBJECTIVE_KINDS; kind++)
                if (!judged[kind])
                    s->shares[kind] = SHARE_NOT_APPLICABLE;
        }
}

void objective_judge_run(struct result *r)
{
    const struct scenario *sc = r->scenario;
    bool fault = scenario_has_fault(sc);
    r->objectives =
        arena_alloc(r->arena, (sc->services.n * OBJECTIVE_KINDS + 1) * sizeof *r->objectives);
    for (size_t i = 0; i < sc->services.n; i++) {
        const struct service *s = sc->services.items[i];
        bool probed = false, rung = false;
        for (size_t k = 0; k < sc->probes.n; k++) {
            const struct probe *p = sc->probes.items[k];
            probed |= p->service && strcmp(p->service, s->name) == 0;
        }
        for (size_t k = 0; k < sc->alarms.n; k++)
            rung |= strcmp(((const struct alarm *)sc->alarms.items[k])->service, s->name) == 0;
        if (fault) {
            size_t first = r->objectives_n;
            if (nsec_is_set(s->rto))
                add(r, s, OBJECTIVE_RTO, s->rto, s->rto_clock);
            if (s->detect)
                add(r, s, OBJECTIVE_DETECT, s->detect->within, s->detect->clock);
            if (nsec_is_set(s->max_downtime))
                add(r, s, OBJECTIVE_MAX_DOWNTIME, s->max_downtime, CLOCK_IMPACT);
            if (is_named(&sc->expect, s->name) && s->expect != EXPECT_EITHER)
                add(r, s, OBJECTIVE_EXPECT, NSEC_UNSET, CLOCK_IMPACT);
            if (s->during_fault && s->during_fault->success > 0) {
                add(r, s, OBJECTIVE_SUCCESS, NSEC_UNSET, CLOCK_FAULT);
                r->objectives[r->objectives_n - 1].target_share = s->during_fault->success;
            }
            for (size_t q = 0; q < KEPT_QUANTILES; q++)
                if (nsec_is_set(promised_latency(s, q)))
                    add(r, s, (enum objective_kind)(OBJECTIVE_LATENCY_P50 + q),
                        promised_latency(s, q), CLOCK_FAULT);
            for (size_t k = first; k < r->objectives_n; k++)
                r->objectives[k].unmeasured = !probed;
            if (nsec_is_set(s->rpo))
                add(r, s, OBJECTIVE_RPO, s->rpo, CLOCK_FAULT);
            if (r->objectives_n && r->objectives[r->objectives_n - 1].kind == OBJECTIVE_RPO)
                r->objectives[r->objectives_n - 1].unmeasured = true;
        } else {
            if (probed)
                add(r, s, OBJECTIVE_NO_OUTAGE, NSEC_UNSET, CLOCK_IMPACT);
            if (rung)
                add(r, s, OBJECTIVE_NO_ALARM, NSEC_UNSET, CLOCK_IMPACT);
        }
    }
    forget_the_rest(r);
    enum verdict worst = VERDICT_NOT_APPLICABLE;
    for (size_t i = 0; i < r->objectives_n; i++) {
        judge(r, &r->objectives[i]);
        if (r->objectives[i].verdict > worst)
            worst = r->objectives[i].verdict;
    }
    r->verdict = worst == VERDICT_NOT_APPLICABLE ? VERDICT_INCONCLUSIVE : worst;
}
