/* The sentences that people read. */
#include "reports/sentence.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "sim/base/jsonx.h"
#include "sim/base/text.h"

static const char *plural(size_t n, const char *one, const char *many)
{
    return n == 1 ? one : many;
}

/* Makes the first letter from `from` on a capital. */
static void capital(struct buf *b, size_t from)
{
    if (b->len > from)
        b->text[from] = (char)toupper((unsigned char)b->text[from]);
}

/* So many whole steps; `round` -1 down, 0 nearest, 1 up. Exact: a bound is never narrowed. */
static nsec steps(nsec t, nsec step, int round)
{
    nsec down = t / step - (t % step < 0);
    nsec rest = t - down * step;
    return down + (round < 0 ? 0 : round > 0 ? rest > 0 : 2 * rest >= step);
}

/* The number alone, in a unit fit for `scale`. */
static void number(nsec t, nsec scale, int round, struct buf *out)
{
    bool tenths = scale < 10 * NSEC_MSEC || (scale >= NSEC_SEC && scale < 100 * NSEC_SEC);
    nsec unit = scale < NSEC_SEC ? NSEC_MSEC : NSEC_SEC;
    double v = (double)steps(t, tenths ? unit / 10 : unit, round);
    buf_printf(out, tenths ? "%.1f" : "%.0f", tenths ? v / 10 : v);
}

/* Whole seconds, from an hour on whole minutes. */
static void long_time(nsec t, int round, struct buf *out)
{
    char text[NSEC_TEXT_MAX];
    nsec step = t >= 3600 * NSEC_SEC ? 60 * NSEC_SEC : NSEC_SEC;
    buf_adds(out, nsec_text(steps(t, step, round) * step, text));
}

const char *sentence_target(nsec t, char text[static NSEC_TEXT_MAX])
{
    nsec h = t / (3600 * NSEC_SEC), m = t / (60 * NSEC_SEC) % 60, s = t % (60 * NSEC_SEC);
    if (t < 100 * NSEC_SEC) {
        bool small = t < NSEC_SEC && t > 0;
        snprintf(text, NSEC_TEXT_MAX, "%.12g %s", (double)t / (small ? 1e6 : 1e9),
                 small ? "ms" : "s");
        return text;
    }
    AUTO_BUF b = BUF_INIT;
    if (h)
        buf_printf(&b, "%" PRId64 " h ", h);
    if (m)
        buf_printf(&b, "%" PRId64 " min ", m);
    if (s)
        buf_printf(&b, "%.12g s ", (double)s / 1e9);
    snprintf(text, NSEC_TEXT_MAX, "%.*s", (int)b.len - 1, buf_text(&b));
    return text;
}

void sentence_span(struct span s, struct buf *out)
{
    if (!span_is_set(s)) {
        buf_adds(out, "unknown");
        return;
    }
    bool open = s.hi == NSEC_INF;
    nsec far = open ? s.lo : s.hi > -s.lo ? s.hi : -s.lo;
    bool is_long = far >= 600 * NSEC_SEC;
    const char *unit = far < NSEC_SEC ? " ms" : " s";
    if (open) {
        buf_adds(out, "more than ");
        if (is_long) {
            long_time(s.lo, -1, out);
            return;
        }
        number(s.lo, far, -1, out);
        buf_adds(out, unit);
    } else if (s.lo == 0 && s.hi > 0) {
        buf_adds(out, "at most ");
        if (is_long) {
            long_time(s.hi, 1, out);
            return;
        }
        number(s.hi, far, 1, out);
        buf_adds(out, unit);
    } else if (is_long) {
        long_time(s.lo + (s.hi - s.lo) / 2, 0, out);
        buf_adds(out, " (");
        long_time(s.lo, -1, out);
        buf_adds(out, " – ");
        long_time(s.hi, 1, out);
        buf_adds(out, ")");
    } else {
        number(s.lo + (s.hi - s.lo) / 2, far, 0, out);
        buf_printf(out, "%s (", unit);
        number(s.lo, far, -1, out);
        buf_adds(out, s.lo < 0 ? " to " : "–");
        number(s.hi, far, 1, out);
        buf_adds(out, ")");
    }
}

void sentence_action(const struct action *a, struct buf *out)
{
    if (!span_is_set(a->end))
        buf_adds(out, "still running when the trial ended");
    else if (a->why)
        buf_printf(out, "it could not be run%s%s", *a->why ? ", " : "", a->why);
    else if (a->timed_out)
        buf_adds(out, "it did not end in time and was killed");
    else if (a->signal)
        buf_printf(out, "killed by signal %" PRId64, a->signal);
    else
        buf_printf(out, "exit code %" PRId64, a->code);
}

const char *sentence_verdict(enum verdict v)
{
    static const char *const words[] = {"not applicable", "met", "not demonstrated", "inconclusive",
                                        "not met"};
    return words[v];
}

const char *sentence_mode(const struct result *r)
{
    static const char *const modes[][2] = {{"live", "LIVE DRILL"},
                                           {"functional", "FUNCTIONAL EXERCISE"},
                                           {"forecast", "FORECAST"},
                                           {"exercise", "EXERCISE"},
                                           {"replay", "REPLAY"}};
    const char *mode = jsonx_str(r->start, "mode", "");
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
        if (strcmp(mode, modes[i][0]) == 0)
            return modes[i][1];
    return "RUN OF UNKNOWN MODE";
}

static const char *since(int clock)
{
    static const char *const words[] = {
        [CLOCK_IMPACT] = "after it failed",
        [CLOCK_FAULT] = "after the fault",
        [CLOCK_DETECTION] = "after it was noticed",
        [CLOCK_DECLARATION] = "after it was declared",
    };
    return words[clock];
}

void sentence_promise(const struct objective *o, struct buf *out)
{
    char target[NSEC_TEXT_MAX];
    sentence_target(o->target, target);
    switch (o->kind) {
    case OBJECTIVE_RTO:
        buf_printf(out, "restored within %s", target);
        if (o->clock != CLOCK_IMPACT)
            buf_printf(out, " %s", since(o->clock));
        break;
    case OBJECTIVE_DETECT: {
        buf_printf(out, "noticed within %s", target);
        if (o->clock != CLOCK_IMPACT)
            buf_printf(out, " %s", since(o->clock));
        const struct strv *by = &o->service->detect->by;
        for (size_t i = 0; i < by->n; i++)
            buf_printf(out, "%s%s", i == 0 ? " by " : " or ", by->items[i]);
        break;
    }
    case OBJECTIVE_MAX_DOWNTIME:
        buf_printf(out, "down for at most %s in all", target);
        break;
    case OBJECTIVE_EXPECT:
        buf_adds(out, o->service->expect == EXPECT_UNAFFECTED ? "unaffected by the fault"
                                                              : "affected by the fault");
        break;
    case OBJECTIVE_NO_OUTAGE:
        buf_adds(out, "no outage");
        break;
    case OBJECTIVE_NO_ALARM:
        buf_adds(out, "no alarm");
        break;
    case OBJECTIVE_RPO:
        buf_printf(out, "at most %s of data lost", target);
        break;
    case OBJECTIVE_SUCCESS:
        buf_printf(out, "%g %% good during faults", 100 * o->target_share);
        break;
    case OBJECTIVE_LATENCY_P50:
    case OBJECTIVE_LATENCY_P95:
    case OBJECTIVE_LATENCY_P99:
        buf_printf(out, "%g %% within %s during faults",
                   100 * kept_quantiles[o->kind - OBJECTIVE_LATENCY_P50], target);
        break;
    }
}

/* "; the promise is 10 s: not met (2 of 5 trials missed the target)." */
static void verdict_part(const struct objective *o, struct buf *out)
{
    char target[NSEC_TEXT_MAX];
    if (nsec_is_set(o->target))
        buf_printf(out, "; the promise is %s", sentence_target(o->target, target));
    if (o->target_share > 0)
        buf_printf(out, "; the promise is %g %%", 100 * o->target_share);
    buf_printf(out, ": %s", sentence_verdict(o->verdict));
    for (size_t i = 0; i < o->reasons_n; i++)
        buf_printf(out, "%s%s%s", i == 0 ? " (" : "; ", o->reasons[i].text,
                   i + 1 == o->reasons_n ? ")" : "");
    buf_addc(out, '.');
}

/* ", the worst of 5 trials" or ", in trial 3 of 5" or nothing for a single trial. */
static void which_trial(const struct result *r, const struct objective *o, const struct trial *t,
                        bool named, struct buf *out)
{
    if (r->planned <= 1)
        buf_adds(out, " in the one trial");
    else if (named)
        buf_printf(out, " in trial %" PRId64 " of %" PRId64, t->n, r->planned);
    else if (o->planned - o->voids > 1)
        buf_printf(out, ", the worst of %zu trials", o->planned - o->voids);
    else
        buf_printf(out, " in the one trial that counts");
}

/* The promise's clock starts when somebody notices or declares, and nobody did: what is missing, and
 * what that means. What is within by the clock of impact is so by any later one. */
static void never_started(const struct result *r, const struct objective *o, const struct trial *t,
                          const struct service_seen *s, struct buf *out)
{
    const char *name = o->service->name;
    bool declaration = o->clock == CLOCK_DECLARATION;
    bool within = s->shares[OBJECTIVE_RTO] == SHARE_WITHIN;
    if (s->outcome == OUTCOME_CENSORED) {
        buf_printf(out, "%s did not come back", name);
    } else if (s->by == BY_HEAL && !o->service->heal_counts) {
        buf_printf(out, "%s came back only after blackstart had taken the fault away", name);
    } else {
        buf_printf(out, "%s came back ", name);
        sentence_span(s->ttr_clock[CLOCK_IMPACT], out);
        buf_adds(out, " after it failed");
    }
    which_trial(r, o, t, true, out);
    const char *done = declaration ? "declared" : "noticed";
    buf_adds(out, within ? ", and " : ", but ");
    if (s->judged_n > 1)
        buf_printf(out, "not each of its outages was %s", done);
    else
        buf_printf(out, "nobody %s the outage", done);
    if (declaration)
        buf_adds(out, " (with `blackstart mark declared`)");
    buf_printf(out, ", from which its promise runs: %s",
               within ? "counted from any moment of the outage it was within the target"
                      : "this trial decides nothing");
}

static void rto_sentence(const struct result *r, const struct objective *o, const struct trial *t,
                         const struct service_seen *s, struct buf *out)
{
    const char *name = o->service->name;
    if (s->outcome == OUTCOME_UNAFFECTED) {
        buf_printf(out, "%s never went down", name);
        if (o->within == o->planned && o->planned > 1)
            buf_printf(out, " in any of %zu trials", o->planned);
        else
            which_trial(r, o, t, true, out);
        buf_adds(out, " (an outage of ");
        sentence_span((struct span){0, s->resolution}, out);
        buf_adds(out, " would not have been seen)");
    } else if (!span_is_set(s->ttr)) {
        never_started(r, o, t, s, out);
    } else if (s->by == BY_HEAL && !o->service->heal_counts) {
        buf_printf(out, "%s came back only after blackstart had taken the fault away, ", name);
        sentence_span(s->ttr, out);
        buf_printf(out, " %s", since(o->clock));
        which_trial(r, o, t, true, out);
        buf_adds(out, ", which is no recovery");
        if (s->outcome == OUTCOME_CENSORED)
            buf_adds(out, ", and it was down again when observation ended");
    } else if (s->outcome == OUTCOME_CENSORED) {
        buf_printf(out, "%s did not come back: it was still down ", name);
        sentence_span(s->ttr, out);
        buf_printf(out, " %s", since(o->clock));
        which_trial(r, o, t, true, out);
        buf_adds(out, ", when observation ended");
    } else {
        buf_printf(out, "%s came back ", name);
        sentence_span(s->ttr, out);
        buf_printf(out, " %s", since(o->clock));
        which_trial(r, o, t, false, out);
        if (s->by == BY_HEAL)
            buf_adds(out, ", when blackstart had taken the fault away (which the scenario counts)");
    }
}

/* One end of an interval, rounded away from zero. */
static void sentence_end(nsec t, struct buf *out)
{
    if (t >= 600 * NSEC_SEC) {
        long_time(t, 1, out);
        return;
    }
    number(t, t, 1, out);
    buf_adds(out, t < NSEC_SEC ? " ms" : " s");
}

void sentence_time(nsec t, struct buf *out)
{
    nsec size = t < 0 ? -t : t;
    if (size >= 600 * NSEC_SEC) {
        long_time(t, 0, out);
        return;
    }
    if (size < NSEC_SEC && size >= NSEC_SEC - NSEC_MSEC / 2)
        size = NSEC_SEC; /* not "1000 ms" */
    number(t, size, 0, out);
    buf_adds(out, size < NSEC_SEC ? " ms" : " s");
}

static void detect_sentence(const struct result *r, const struct objective *o,
                            const struct trial *t, const struct service_seen *s, struct buf *out)
{
    const char *name = o->service->name;
    switch (s->detection) {
    case DETECTION_NOT_APPLICABLE:
        buf_printf(out, "there was nothing to notice about %s", name);
        return;
    case DETECTION_RESTORED_FIRST:
        buf_printf(out, "%s was back before anybody had to notice, and nobody did", name);
        return;
    case DETECTION_MASKED:
        buf_printf(out, "the alarms of %s were already firing when the fault began", name);
        which_trial(r, o, t, true, out);
        return;
    case DETECTION_NOT_DETECTED:
        buf_printf(out, "nobody noticed that %s was %s: no alarm that counts rang for ", name,
                   s->judged_n ? "down" : "at risk");
        sentence_span(s->ttd, out);
        which_trial(r, o, t, true, out);
        return;
    case DETECTION_DETECTED:
        break;
    }
    const char *alarm = s->detected_by->alarm->name;
    if (s->detected_by->alarm->role == ROLE_OWN)
        buf_printf(out, "%s being down was seen by blackstart's own probe (%s) ", name, alarm);
    else
        buf_printf(out, "%s was noticed by %s ", name, alarm);
    if (s->ttd.hi < 0) {
        sentence_span((struct span){-s->ttd.hi, -s->ttd.lo}, out);
        buf_adds(out, o->clock == CLOCK_FAULT ? " before the fault" : " before it failed");
    } else if (s->ttd.lo < 0 &&
               s->ttd.hi < NSEC_INF) { /* which of the two came first is not known */
        buf_adds(out, "between ");
        sentence_end(-s->ttd.lo, out);
        buf_adds(out, " before and ");
        sentence_end(s->ttd.hi, out);
        buf_printf(out, " %s", since(o->clock));
    } else {
        sentence_span(s->ttd, out);
        buf_printf(out, " %s", since(o->clock));
    }
    which_trial(r, o, t, false, out);
}

/* Objectives that are judged by counting. */
static void count_sentence(const struct objective *o, struct buf *out)
{
    const char *name = o->service->name;
    const char *trials = plural(o->planned, "trial", "trials");
    switch (o->kind) {
    case OBJECTIVE_EXPECT:
        if (o->service->expect == EXPECT_UNAFFECTED)
            buf_printf(out, "%s was to stay unaffected and did in %zu of %zu %s", name, o->within,
                       o->planned, trials);
        else
            buf_printf(out, "%s was to be hit and was in %zu of %zu %s", name, o->within,
                       o->planned, trials);
        return;
    case OBJECTIVE_NO_OUTAGE:
        buf_printf(out, "without a fault %s stayed up in %zu of %zu %s", name, o->within,
                   o->planned, trials);
        return;
    case OBJECTIVE_NO_ALARM:
        buf_printf(out, "without a fault no alarm of %s rang in %zu of %zu %s", name, o->within,
                   o->planned, trials);
        return;
    case OBJECTIVE_RTO:
    case OBJECTIVE_DETECT:
    case OBJECTIVE_MAX_DOWNTIME:
    case OBJECTIVE_RPO:
    case OBJECTIVE_SUCCESS:
    case OBJECTIVE_LATENCY_P50:
    case OBJECTIVE_LATENCY_P95:
    case OBJECTIVE_LATENCY_P99:
        return;
    }
}

void sentence_success(const struct kept *k, struct buf *out)
{
    double lo = sentence_percent_down(k->success[0]), hi = sentence_percent_down(k->success[1]);
    if (k->good + k->bad + k->unknown == 0)
        buf_adds(out, "nothing is known");
    else if (lo < hi)
        buf_printf(out, "between %g and %g %%", lo, hi);
    else
        buf_printf(out, "%g %%", lo);
}

static void kept_sentence(const struct result *r, const struct objective *o, const struct trial *t,
                          const struct service_seen *s, struct buf *out)
{
    const struct kept *k = &s->kept;
    size_t probes = k->good + k->bad + k->unknown;
    if (o->kind == OBJECTIVE_SUCCESS) {
        sentence_success(k, out);
        buf_printf(out, " of %zu %s of %s were answered well while a fault was in force", probes,
                   plural(probes, "probe", "probes"), o->service->name);
    } else if (k->answers == 0) {
        buf_printf(out, "%s gave no answer while a fault was in force", o->service->name);
    } else {
        /* Some were waited for in vain: then only how long the slowest took at least is known. */
        const struct span within = result_judged_span(o, s);
        const double q = kept_quantiles[o->kind - OBJECTIVE_LATENCY_P50];
        const bool open = within.hi == NSEC_INF;
        buf_printf(out, "%g %% of %zu %s of %s %s ", 100 * (open ? 1 - q : q), k->answers,
                   plural(k->answers, "answer", "answers"), o->service->name,
                   open ? "took" : "came within");
        if (open)
            sentence_span(within, out);
        else
            sentence_end(within.hi, out);
        buf_adds(out, " while a fault was in force");
    }
    which_trial(r, o, t, false, out);
}

void sentence_objective(const struct result *r, const struct objective *o, struct buf *out)
{
    size_t from = out->len;
    char target[NSEC_TEXT_MAX];
    const char *name = o->service->name;
    if (o->unmeasured) {
        buf_printf(out, "the %s of %s", o->kind == OBJECTIVE_RPO ? "RPO" : "promise", name);
        if (nsec_is_set(o->target))
            buf_printf(out, " (%s)", sentence_target(o->target, target));
        buf_adds(out, " was not measured.");
        capital(out, from);
        return;
    }
    const struct trial *t = result_worst_trial(r, o);
    const struct service_seen *s = t ? result_seen(r, t, o->service) : NULL;
    if (!s || s->outcome == OUTCOME_VOID) {
        if (t && t->why_void)
            buf_printf(out, "trial %" PRId64 " of %" PRId64 " is void (%s); ", t->n, r->planned,
                       t->why_void);
        buf_printf(out, "nothing is known of what %s promises (", name);
        sentence_promise(o, out);
        buf_printf(out, "): %s.", sentence_verdict(o->verdict));
        capital(out, from);
        return;
    }
    switch (o->kind) {
    case OBJECTIVE_RTO:
        rto_sentence(r, o, t, s, out);
        break;
    case OBJECTIVE_DETECT:
        detect_sentence(r, o, t, s, out);
        break;
    case OBJECTIVE_MAX_DOWNTIME:
        buf_printf(out, "%s was down for ", name);
        sentence_span(s->judged_n ? s->down_judged : (struct span){0, s->resolution}, out);
        buf_adds(out, " in all");
        which_trial(r, o, t, false, out);
        break;
    case OBJECTIVE_EXPECT:
    case OBJECTIVE_NO_OUTAGE:
    case OBJECTIVE_NO_ALARM:
        count_sentence(o, out);
        break;
    case OBJECTIVE_SUCCESS:
    case OBJECTIVE_LATENCY_P50:
    case OBJECTIVE_LATENCY_P95:
    case OBJECTIVE_LATENCY_P99:
        kept_sentence(r, o, t, s, out);
        break;
    case OBJECTIVE_RPO:
        break;
    }
    verdict_part(o, out);
    if (!text_starts(out->text + from, name)) /* a name stays as it is written */
        capital(out, from);
}

double sentence_percent_down(double share)
{
    return floor(1000 * share + 1e-9) / 10;
}

void sentence_reliability(const struct result *r, const struct objective *o, struct buf *out)
{
    size_t from = out->len;
    if (o->verdict == VERDICT_NOT_APPLICABLE || o->planned == 0 || o->within == 0)
        return;
    bool all = o->within == o->planned;
    size_t n = o->reliability > 0 ? stats_needed(o->reliability, o->confidence, 0) : 0;
    double lower = sentence_percent_down(o->p_lower);
    if (o->planned == 1) {
        if (o->hit) /* else the reasons say that nothing was exercised */
            buf_adds(out, "One trial shows that it can work, not that it does.");
        return;
    }
    if (o->reliability > 0) {
        buf_printf(out,
                   "%zu of %zu trials within the target %s at least %.1f %% reliability at %g %% "
                   "confidence; %g %% was asked",
                   o->within, o->planned, plural(o->within, "shows", "show"), lower,
                   100 * o->confidence, 100 * o->reliability);
        if (o->verdict == VERDICT_NOT_DEMONSTRATED && o->missed == 0)
            buf_printf(out, " and needs %zu clean %s", n, plural(n, "trial", "trials"));
        buf_addc(out, '.');
    } else if (o->verdict == VERDICT_NOT_MET) {
        buf_printf(out, "%zu of %zu trials %s within the target.", o->within, o->planned,
                   plural(o->within, "was", "were"));
    } else {
        buf_printf(out,
                   "%zu of %zu trials %s within the target; no reliability is claimed (%s would "
                   "show at least %.1f %% at %g %% confidence",
                   o->within, o->planned, plural(o->within, "was", "were"),
                   all ? "as independent repetitions they" : "they", lower, 100 * o->confidence);
        if (all && o->p_lower < 0.8)
            buf_printf(out, "; %zu clean ones would show 80 %%",
                       stats_needed(0.8, o->confidence, 0));
        buf_adds(out, ").");
    }
    capital(out, from);
}

void sentence_clean(const struct result *r, struct buf *out)
{
    if (r->clean == 1) {
        buf_adds(out, "Everything was undone; the system is as it was.");
        return;
    }
    if (r->clean < 0) {
        buf_adds(out, "It is not known whether everything was undone: run `blackstart undo`.");
        return;
    }
    buf_adds(out, "NOT EVERYTHING COULD BE UNDONE");
    size_t n = 0;
    for (size_t i = 0; i < r->findings_n; i++) {
        bool told = false; /* after its trial and at the end, the same thing may be left */
        for (size_t k = 0; k < i; k++)
            told |= strcmp(r->findings[k].text, r->findings[i].text) == 0;
        if (strcmp(r->findings[i].code, "not_clean") == 0 && !told)
            buf_printf(out, "%s%s", n++ == 0 ? ": " : "; ", r->findings[i].text);
    }
    buf_adds(out, ". Run `blackstart undo`.");
}

const struct objective *sentence_headline(const struct result *r)
{
    const struct objective *best = NULL;
    for (size_t i = 0; i < r->objectives_n; i++)
        if (!best || r->objectives[i].verdict > best->verdict)
            best = &r->objectives[i];
    return best;
}

void sentence_run(const struct result *r, struct buf *out)
{
    if (r->status != STATUS_COMPLETED)
        buf_printf(out, "The run %s%s%s. ", r->status == STATUS_ABORTED ? "was aborted" : "failed",
                   r->status_reason ? ": " : "", r->status_reason ? r->status_reason : "");
    const struct objective *head = sentence_headline(r);
    if (!head) {
        buf_adds(out, "The scenario promises nothing that could be judged: inconclusive. ");
    } else {
        sentence_objective(r, head, out);
        buf_addc(out, ' ');
        size_t before = out->len;
        sentence_reliability(r, head, out);
        if (out->len > before)
            buf_addc(out, ' ');
    }
    for (size_t i = 0; i < r->objectives_n; i++)
        if (&r->objectives[i] != head) {
            sentence_objective(r, &r->objectives[i], out);
            buf_addc(out, ' ');
        }
    sentence_clean(r, out);
}
