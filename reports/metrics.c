/* OpenMetrics text. */
#include "reports/metrics.h"

#include <inttypes.h>
#include <math.h>

#include "reports/escape.h"
#include "reports/gauge.h"
#include "sim/base/jsonx.h"

static double seconds(nsec t)
{
    return t == NSEC_INF ? HUGE_VAL : (double)t / 1e9;
}

/* Smallest, median, largest; the statistic's name goes into labels[at]. */
static void statistics(const struct result *r, const char *name, const char **labels, size_t at,
                       const struct summary *m, struct buf *out)
{
    if (m->n == 0)
        return;
    labels[at] = "min";
    gauge_sample(r->scenario->name, name, labels, seconds(m->min.lo), out);
    labels[at] = "median";
    if (m->has_median)
        gauge_sample(r->scenario->name, name, labels, m->median_censored ? HUGE_VAL : m->median,
                     out);
    labels[at] = "max";
    gauge_sample(r->scenario->name, name, labels, seconds(m->max.hi), out);
}

static void summary(const struct result *r, const char *name, const struct service *s,
                    const struct summary *m, struct buf *out)
{
    const char *labels[] = {"service", s->name, "statistic", NULL, NULL};
    statistics(r, name, labels, 3, m, out);
}

static void alarm_summary(const struct result *r, const struct alarm_summary *a, struct buf *out)
{
    const char *labels[] = {"alarm",   a->alarm->name,    "role",      role_words[a->alarm->role],
                            "service", a->alarm->service, "statistic", NULL,
                            NULL};
    statistics(r, "blackstart_alarm_detect_seconds", labels, 7, &a->ttd, out);
}

static void objectives(const struct result *r, struct buf *out)
{
    gauge_family("blackstart_objective_target_seconds", "seconds", "What the scenario promises.",
                 out);
    for (size_t i = 0; i < r->objectives_n; i++) {
        const struct objective *o = &r->objectives[i];
        const char *labels[] = {"service", o->service->name, "objective", objective_words[o->kind],
                                NULL};
        if (nsec_is_set(o->target))
            gauge_sample(r->scenario->name, "blackstart_objective_target_seconds", labels,
                         seconds(o->target), out);
    }
    gauge_family(
        "blackstart_objective_met", NULL,
        "1 when met, 0 when missed, not demonstrated or inconclusive; absent when it does not "
        "apply.",
        out);
    for (size_t i = 0; i < r->objectives_n; i++) {
        const struct objective *o = &r->objectives[i];
        const char *labels[] = {"service", o->service->name, "objective", objective_words[o->kind],
                                NULL};
        if (o->verdict != VERDICT_NOT_APPLICABLE)
            gauge_sample(r->scenario->name, "blackstart_objective_met", labels,
                         o->verdict == VERDICT_MET, out);
    }
    gauge_family("blackstart_objective_trials", NULL, "Trials by what they came to.", out);
    for (size_t i = 0; i < r->objectives_n; i++) {
        const struct objective *o = &r->objectives[i];
        const size_t n[] = {o->within, o->missed, o->open, o->voids};
        static const enum share shares[] = {SHARE_WITHIN, SHARE_MISSED, SHARE_OPEN, SHARE_VOID};
        for (size_t k = 0; k < 4; k++) {
            const char *labels[] = {
                "service", o->service->name,       "objective", objective_words[o->kind],
                "result",  share_words[shares[k]], NULL};
            if (o->verdict != VERDICT_NOT_APPLICABLE)
                gauge_sample(r->scenario->name, "blackstart_objective_trials", labels, (double)n[k],
                             out);
        }
    }
    gauge_family("blackstart_objective_reliability_lower_ratio", "ratio",
                 "One-sided Clopper-Pearson lower bound at the confidence of the label.", out);
    for (size_t i = 0; i < r->objectives_n; i++) {
        const struct objective *o = &r->objectives[i];
        char confidence[32];
        snprintf(confidence, sizeof confidence, "%g", o->confidence);
        const char *labels[] = {
            "service",    o->service->name, "objective", objective_words[o->kind],
            "confidence", confidence,       NULL};
        if (o->verdict != VERDICT_NOT_APPLICABLE)
            gauge_sample(r->scenario->name, "blackstart_objective_reliability_lower_ratio", labels,
                         o->p_lower, out);
    }
}

void metrics_write(const struct result *r, struct buf *out)
{
    gauge_family(
        "blackstart_restore_seconds", "seconds",
        "Time to restore over the trials in which the service was hit; +Inf: not restored.", out);
    for (size_t i = 0; i < r->services_n; i++)
        summary(r, "blackstart_restore_seconds", r->services[i].service, &r->services[i].ttr, out);
    gauge_family("blackstart_detect_seconds", "seconds",
                 "Time to detect by the alarms that count; +Inf: not detected.", out);
    for (size_t i = 0; i < r->services_n; i++)
        summary(r, "blackstart_detect_seconds", r->services[i].service, &r->services[i].ttd, out);
    gauge_family("blackstart_down_seconds", "seconds", "Sum of the down intervals of a trial.",
                 out);
    for (size_t i = 0; i < r->services_n; i++)
        summary(r, "blackstart_down_seconds", r->services[i].service, &r->services[i].down, out);
    objectives(r, out);
    gauge_family("blackstart_false_alarms", NULL, "Onsets between arming and the first fault.",
                 out);
    for (size_t i = 0; i < r->alarms_n; i++) {
        const char *labels[] = {"alarm", r->alarms[i].alarm->name, NULL};
        gauge_sample(r->scenario->name, "blackstart_false_alarms", labels,
                     (double)r->alarms[i].false_alarms, out);
    }
    gauge_family("blackstart_alarms_without_outage", NULL,
                 "Trials in which an alarm rang in the fault and its service was not down.", out);
    for (size_t i = 0; i < r->alarms_n; i++) {
        const char *labels[] = {"alarm", r->alarms[i].alarm->name, NULL};
        gauge_sample(r->scenario->name, "blackstart_alarms_without_outage", labels,
                     (double)r->alarms[i].without_outage, out);
    }
    gauge_family("blackstart_suppressed_alarms", NULL, "Onsets in maintenance windows.", out);
    for (size_t i = 0; i < r->alarms_n; i++) {
        const char *labels[] = {"alarm", r->alarms[i].alarm->name, NULL};
        gauge_sample(r->scenario->name, "blackstart_suppressed_alarms", labels,
                     (double)r->alarms[i].suppressed, out);
    }
    gauge_family("blackstart_alarm_detect_seconds", "seconds",
                 "Time from the impact to an alarm's onset; +Inf: it never came.", out);
    for (size_t i = 0; i < r->alarms_n; i++)
        alarm_summary(r, &r->alarms[i], out);
    gauge_family("blackstart_layer_detect_seconds", "seconds",
                 "Time from the impact to the first onset of a role's alarms; +Inf: none came.",
                 out);
    for (size_t i = 0; i < r->layers_n; i++) {
        const struct layer_summary *l = &r->layers[i];
        const char *labels[] = {
            "service", l->service->name, "role", role_words[l->role], "statistic", NULL, NULL};
        statistics(r, "blackstart_layer_detect_seconds", labels, 5, &l->ttd, out);
    }
    gauge_family("blackstart_run_met", NULL, "1 when every objective is met.", out);
    gauge_sample(r->scenario->name, "blackstart_run_met", NULL, r->verdict == VERDICT_MET, out);
    gauge_family("blackstart_run_exit_code", NULL, "What the run exits with.", out);
    gauge_sample(r->scenario->name, "blackstart_run_exit_code", NULL, result_exit_code(r), out);
    if (r->clean >= 0) {
        gauge_family("blackstart_run_clean", NULL, "1 when everything was undone.", out);
        gauge_sample(r->scenario->name, "blackstart_run_clean", NULL, r->clean, out);
    }
    gauge_family("blackstart_run_start_timestamp_seconds", "seconds", "When the run started.", out);
    int64_t wall = jsonx_int(r->start, "wall_ns", 0);
    buf_adds(out, "blackstart_run_start_timestamp_seconds{scenario=\"");
    escape_label(r->scenario->name, out);
    buf_printf(out, "\"} %" PRId64 ".%03" PRId64 "\n", wall / NSEC_SEC, wall / NSEC_MSEC % 1000);
    buf_adds(out, "# EOF\n");
}
