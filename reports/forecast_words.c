/* The sentences of a forecast: terminal, Markdown, JUnit and HTML say the same. */
#include "reports/forecast.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "reports/escape.h"
#include "reports/sentence.h"
#include "sim/base/jsonx.h"
#include "sim/base/text.h"

void forecast_count(uint64_t n, struct buf *out)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            buf_addc(out, ',');
        buf_addc(out, digits[i]);
    }
}

void forecast_percent(double share, struct buf *out)
{
    for (int places = 1; places <= 6; places++) {
        char text[24];
        snprintf(text, sizeof text, "%.*f", places, 100 * share);
        double shown = strtod(text, NULL);
        bool all = shown >= 100 && share < 1, none = shown <= 0 && share > 0;
        if ((all || none) && places < 6)
            continue;
        buf_printf(out, "%s %%", share >= 1 ? "100" : share <= 0 ? "0" : text);
        return;
    }
}

/* So many places as the interval can tell apart. */
static int places_of(const struct forecast_objective *o)
{
    double wide = 100 * (o->p_upper - o->p_lower);
    int places = 1;
    while (places < 4 && wide < pow(10, -places))
        places++;
    return places;
}

void forecast_interval(const struct forecast_objective *o, struct buf *out)
{
    int places = places_of(o);
    double step = pow(10, places);
    double lo = floor(100 * o->p_lower * step + 1e-9) / step;
    double hi = ceil(100 * o->p_upper * step - 1e-9) / step;
    buf_printf(out, "%.*f–%.*f", places, lo, places, hi);
}

/* What the interval tells of. */
static const char *of_what(const struct forecast_objective *o)
{
    return o->over_ranges ? "over all that is assumed" : "simulation error only";
}

/* " in 97.3 % (97.2–97.4, simulation error only)" */
static void share(const struct forecast_objective *o, struct buf *out)
{
    char text[24];
    int places = places_of(o);
    snprintf(text, sizeof text, "%.*f", places, 100 * o->p);
    double shown = strtod(text, NULL);
    if (o->within == o->planned) {
        buf_printf(out, " in every one (at least %.*f %%, %s)", places,
                   floor(100 * o->p_lower * pow(10, places) + 1e-9) / pow(10, places), of_what(o));
        return;
    }
    if (o->within == 0) {
        buf_printf(out, " in none (at most %.*f %%, %s)", places,
                   ceil(100 * o->p_upper * pow(10, places) - 1e-9) / pow(10, places), of_what(o));
        return;
    }
    buf_adds(out, " in ");
    if (shown >= 100 || shown <= 0)
        forecast_percent(o->p, out);
    else
        buf_printf(out, "%s %%", text);
    buf_adds(out, " (");
    forecast_interval(o, out);
    buf_printf(out, ", %s)", of_what(o));
}

const struct outcome_times *forecast_times(const struct forecast *f,
                                           const struct forecast_objective *o)
{
    static const int times[] = {[OUTCOME_RTO] = OUTCOME_TTR,
                                [OUTCOME_DETECT] = OUTCOME_TTD,
                                [OUTCOME_MAX_DOWNTIME] = OUTCOME_DOWN,
                                [OUTCOME_EXPECT] = -1,
                                [OUTCOME_RPO] = OUTCOME_LOSS,
                                [OUTCOME_MTPD] = OUTCOME_DRAINED,
                                [OUTCOME_NO_OUTAGE] = -1,
                                [OUTCOME_NO_ALARM] = -1};
    const struct outcome_sums *u = &f->services[o->service_index].sums;
    if (times[o->kind] < 0)
        return NULL;
    const struct outcome_times *t = &u->times[times[o->kind]];
    if (o->kind == OUTCOME_MTPD && t->n + t->never == 0)
        t = &u->times[OUTCOME_TTR];
    return t;
}

static const char *since(int clock)
{
    static const char *const words[] = {[CLOCK_IMPACT] = "",
                                        [CLOCK_FAULT] = " of the fault",
                                        [CLOCK_DETECTION] = " of being noticed",
                                        [CLOCK_DECLARATION] = " of being declared"};
    return words[clock];
}

static void by_whom(const struct forecast_objective *o, struct buf *out)
{
    const struct strv *by = &o->service->detect->by;
    for (size_t i = 0; i < by->n; i++)
        buf_printf(out, "%s%s", i == 0 ? " by " : " or ", by->items[i]);
}

void forecast_promise(const struct forecast_objective *o, struct buf *out)
{
    char target[NSEC_TEXT_MAX] = "";
    if (nsec_is_set(o->target))
        sentence_target(o->target, target);
    switch (o->kind) {
    case OUTCOME_RTO:
        buf_printf(out, "restored within %s%s", target, since(o->clock));
        break;
    case OUTCOME_DETECT:
        buf_printf(out, "noticed within %s%s", target, since(o->clock));
        by_whom(o, out);
        break;
    case OUTCOME_MAX_DOWNTIME:
        buf_printf(out, "down for at most %s in all", target);
        break;
    case OUTCOME_EXPECT:
        buf_printf(out, "%s by the fault",
                   o->service->expect == EXPECT_UNAFFECTED ? "unaffected" : "affected");
        break;
    case OUTCOME_RPO:
        buf_printf(out, "at most %s of data lost", target);
        break;
    case OUTCOME_MTPD:
        buf_printf(out, "back to normal within %s", target);
        break;
    case OUTCOME_NO_OUTAGE:
        buf_adds(out, "no outage");
        break;
    case OUTCOME_NO_ALARM:
        buf_adds(out, "no alarm");
        break;
    }
}

/* "checkout came back within 5 s" */
static void event(const struct forecast_objective *o, struct buf *out)
{
    char target[NSEC_TEXT_MAX] = "";
    const char *name = o->service->name;
    if (nsec_is_set(o->target))
        sentence_target(o->target, target);
    switch (o->kind) {
    case OUTCOME_RTO:
        buf_printf(out, "%s came back within %s%s", name, target, since(o->clock));
        break;
    case OUTCOME_DETECT:
        buf_printf(out, "the outage of %s was noticed within %s%s", name, target, since(o->clock));
        by_whom(o, out);
        break;
    case OUTCOME_MAX_DOWNTIME:
        buf_printf(out, "%s was down for at most %s in all", name, target);
        break;
    case OUTCOME_EXPECT:
        buf_printf(out, "%s was %s by the fault", name,
                   o->service->expect == EXPECT_UNAFFECTED ? "unaffected" : "affected");
        break;
    case OUTCOME_RPO:
        buf_printf(out, "%s lost at most %s of data", name, target);
        break;
    case OUTCOME_MTPD:
        buf_printf(out, "%s was back to normal, its backlog worked off, within %s", name, target);
        break;
    case OUTCOME_NO_OUTAGE:
        buf_printf(out, "%s had no outage", name);
        break;
    case OUTCOME_NO_ALARM:
        buf_printf(out, "no alarm of %s rang", name);
        break;
    }
}

/* "; half of them within 3.4 s, 19 of 20 within 4.1 s" */
static void quantiles(const struct forecast *f, const struct forecast_objective *o, struct buf *out)
{
    const struct outcome_times *t = forecast_times(f, o);
    nsec half = t ? outcome_times_quantile(t, 0.5) : NSEC_UNSET;
    if (!nsec_is_set(half))
        return;
    bool all = t->n + t->never == f->done;
    const char *whose = all                         ? "of them"
                        : o->kind == OUTCOME_DETECT ? "of the outages"
                        : o->kind == OUTCOME_RPO    ? "of them"
                                                    : "of those that hit it";
    const char *verb = o->kind == OUTCOME_RPO            ? "at most"
                       : o->kind == OUTCOME_MAX_DOWNTIME ? "at most"
                                                         : "within";
    nsec most = outcome_times_quantile(t, 0.95);
    if (half == NSEC_INF) {
        buf_printf(out, "; less than half %s ever", whose);
        return;
    }
    buf_printf(out, "; half %s %s ", whose, verb);
    sentence_time(half, out);
    if (most == NSEC_INF) {
        buf_adds(out, ", ");
        forecast_percent((double)t->never / (double)(t->n + t->never), out);
        buf_adds(out, o->kind == OUTCOME_DETECT ? " never" : " not before the trial ended");
        return;
    }
    buf_printf(out, ", 19 of 20 %s ", verb);
    sentence_time(most, out);
}

static void verdict(const struct forecast_objective *o, struct buf *out)
{
    buf_printf(out, "; asked for: %g %%: %s as a forecast", 100 * o->asked,
               sentence_verdict(o->verdict));
    for (size_t i = 0; i < o->reasons_n; i++)
        buf_printf(out, "%s%s", i == 0 ? " (" : "; ", o->reasons[i].text);
    buf_adds(out, o->reasons_n ? ")." : ".");
}

/* `same`: the trials were named in the sentence before. */
static void tell(const struct forecast *f, const struct forecast_objective *o, bool same,
                 struct buf *out)
{
    if (o->verdict == VERDICT_NOT_APPLICABLE || o->planned == 0) {
        buf_printf(out, "Nothing is forecast of what %s promises (", o->service->name);
        forecast_promise(o, out);
        buf_adds(out, o->unmeasured ? "): the model does not say what is lost."
                                    : "): it applied in no trial.");
        return;
    }
    buf_adds(out, "In ");
    if (same)
        buf_adds(out, "the same trials ");
    else
        forecast_count(o->planned, out);
    buf_adds(out, same ? "" : o->planned == 1 ? " simulated trial " : " simulated trials ");
    event(o, out);
    share(o, out);
    quantiles(f, o, out);
    verdict(o, out);
}

void forecast_sentence(const struct forecast *f, const struct forecast_objective *o,
                       struct buf *out)
{
    tell(f, o, false, out);
}

const struct forecast_objective *forecast_headline(const struct forecast *f)
{
    const struct forecast_objective *best = NULL;
    for (size_t i = 0; i < f->objectives_n; i++)
        if (!best || f->objectives[i].verdict > best->verdict)
            best = &f->objectives[i];
    return best;
}

void forecast_sentences(const struct forecast *f, struct buf *out)
{
    if (f->status != STATUS_COMPLETED) {
        buf_printf(out, "The forecast %s%s%s after ",
                   f->status == STATUS_ABORTED ? "was stopped" : "failed",
                   f->status_reason ? ": " : "", f->status_reason ? f->status_reason : "");
        forecast_count(f->done, out);
        buf_adds(out, " of ");
        forecast_count(f->planned, out);
        buf_adds(out, " trials; what follows is of these. ");
    }
    const struct forecast_objective *head = forecast_headline(f);
    if (!head) {
        buf_adds(out, "The scenario promises nothing that could be judged: inconclusive.");
        return;
    }
    forecast_sentence(f, head, out);
    uint64_t told = head->planned;
    for (size_t i = 0; i < f->objectives_n; i++) {
        const struct forecast_objective *o = &f->objectives[i];
        if (o == head)
            continue;
        buf_addc(out, ' ');
        tell(f, o, o->planned == told, out);
        told = o->planned ? o->planned : told;
    }
    buf_adds(out, " A forecast is no test: nothing was broken, and nothing was measured.");
}

/* "/look" of "stage:orders/look". */
static const char *stage_in(const char *quantity)
{
    bool has = text_starts(quantity, "stage:") || text_starts(quantity, "approval:");
    return has ? strchr(quantity, '/') : NULL;
}

bool forecast_waits(const char *quantity, const char *of, struct buf *ret_for)
{
    const char *end = quantity ? stage_in(quantity) : NULL;
    if (!end)
        return false;
    const char *name = strchr(quantity, ':') + 1;
    size_t n = (size_t)(end - name);
    if (strlen(of) == n && strncmp(name, of, n) == 0)
        return false;
    buf_clear(ret_for);
    buf_printf(ret_for, "%.*s", (int)n, name);
    return true;
}

void forecast_quantity(const char *quantity, const char *of, struct buf *out)
{
    AUTO_BUF other = BUF_INIT;
    static const struct {
        const char *prefix, *before, *after;
        bool of_stage; /* what stands behind the service is said */
    } kinds[] = {
        {"stage:", "", "", true},
        {"approval:", "approval of ", "", true},
        {"ack:", "", " answers", false},
        {"time-of-day", "the time of day", "", false},
        {"repair:", "repair of ", "", false},
        {"phase:", "where the probe ", " stands", false},
        {"answers:", "which answers the probe ", " gets", false},
        {"alarm:", "the alarm ", "", false},
        {"step:", "whom the step ", " hits", false},
        {"leader:", "who leads in ", "", false},
        {"takeout:", "taking out of ", "'s dead units", false},
        {"warm-up:", "warming up of ", "", false},
        {"failback-outage:", "the outage of going back in ", "", false},
        {"failback:", "going back in ", "", false},
        {"loss:", "data lost by ", "", false},
    };
    if (!quantity) {
        buf_adds(out, "noticing and waiting");
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (!text_starts(quantity, kinds[i].prefix))
            continue;
        const char *name = quantity + strlen(kinds[i].prefix);
        if (kinds[i].of_stage && strchr(name, '/'))
            name = strchr(name, '/') + 1;
        buf_printf(out, "%s%s%s", kinds[i].before, name, kinds[i].after);
        if (forecast_waits(quantity, of, &other))
            buf_printf(out, " of %s", buf_text(&other));
        return;
    }
    buf_adds(out, quantity);
}

void forecast_origin(const json_t *start, const struct record_head *head, struct buf *out)
{
    buf_printf(out, "seed %s, scenario (SHA-256) `%s`, record (line %" PRId64 ") `%s`, blackstart ",
               jsonx_str(start, "seed", "?"),
               jsonx_str(json_object_get(start, "scenario"), "digest", "?"), head->seq, head->hash);
    escape_markdown(jsonx_str(start, "blackstart", "?"), out);
    buf_addc(out, '\n');
}
