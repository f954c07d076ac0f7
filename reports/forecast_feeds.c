/* A forecast for programs that watch: JUnit XML and OpenMetrics. Names say that it is one. */
#include "reports/forecast.h"

#include <inttypes.h>
#include <math.h>

#include "reports/escape.h"
#include "reports/gauge.h"
#include "reports/sentence.h"
#include "sim/base/jsonx.h"

/* ---- JUnit ---- */

static void attribute(const char *name, const char *value, struct buf *out)
{
    buf_printf(out, " %s=\"", name);
    escape_xml(value, out);
    buf_addc(out, '"');
}

static void body(const char *element, const char *type, const char *message, struct buf *out)
{
    if (!element) {
        buf_adds(out, "      <system-out>");
        escape_xml(message, out);
        buf_adds(out, "</system-out>\n");
        return;
    }
    buf_printf(out, "      <%s", element);
    attribute("type", type, out);
    attribute("message", message, out);
    buf_addc(out, '>');
    escape_xml(message, out);
    buf_printf(out, "</%s>\n", element);
}

static void objective_case(const struct forecast *f, const struct forecast_objective *o,
                           size_t counts[3], struct buf *out)
{
    AUTO_BUF name = BUF_INIT;
    AUTO_BUF class = BUF_INIT;
    AUTO_BUF message = BUF_INIT;
    buf_adds(&name, "forecast: ");
    forecast_promise(o, &name);
    buf_printf(&class, "%s.%s", f->scenario->name, o->service->name);
    forecast_sentence(f, o, &message);
    for (size_t i = 0; i < o->reasons_n; i++)
        if (o->reasons[i].cure)
            buf_printf(&message, " What would help: %s.", o->reasons[i].cure);
    const struct outcome_times *t = forecast_times(f, o);
    nsec half = t ? outcome_times_quantile(t, 0.5) : NSEC_UNSET;
    buf_adds(out, "    <testcase");
    attribute("classname", buf_text(&class), out);
    attribute("name", buf_text(&name), out);
    buf_printf(out, " time=\"%.3f\">\n",
               nsec_is_set(half) && half != NSEC_INF && half > 0 ? (double)half / 1e9 : 0.0);
    if (o->verdict == VERDICT_NOT_APPLICABLE) {
        counts[2]++;
        buf_adds(out, "      <skipped");
        attribute("message", buf_text(&message), out);
        buf_adds(out, "/>\n");
    } else {
        bool error = o->verdict == VERDICT_INCONCLUSIVE, met = o->verdict == VERDICT_MET;
        counts[0] += !error && !met;
        counts[1] += error;
        body(met     ? NULL
             : error ? "error"
                     : "failure",
             verdict_words[o->verdict], buf_text(&message), out);
    }
    buf_adds(out, "    </testcase>\n");
}

static void run_case(const struct forecast *f, size_t counts[3], struct buf *out)
{
    AUTO_BUF class = BUF_INIT;
    AUTO_BUF message = BUF_INIT;
    bool bad = f->status != STATUS_COMPLETED;
    buf_printf(&class, "%s.run", f->scenario->name);
    forecast_count(f->done, &message);
    buf_adds(&message, " of ");
    forecast_count(f->planned, &message);
    buf_adds(&message, " trials were simulated");
    if (f->status_reason)
        buf_printf(&message, ": %s", f->status_reason);
    buf_addc(&message, '.');
    counts[1] += bad;
    buf_adds(out, "    <testcase");
    attribute("classname", buf_text(&class), out);
    attribute("name", "forecast: completed", out);
    buf_adds(out, " time=\"0.000\">\n");
    body(bad ? "error" : NULL, status_words[f->status], buf_text(&message), out);
    buf_adds(out, "    </testcase>\n");
}

static void property(const char *name, const char *value, struct buf *out)
{
    if (!value)
        return;
    buf_adds(out, "      <property");
    attribute("name", name, out);
    attribute("value", value, out);
    buf_adds(out, "/>\n");
}

void forecast_junit(const struct forecast *f, struct buf *out)
{
    AUTO_BUF cases = BUF_INIT;
    AUTO_BUF head = BUF_INIT;
    size_t counts[3] = {0}; /* failures, errors, skipped */
    for (size_t i = 0; i < f->objectives_n; i++)
        objective_case(f, &f->objectives[i], counts, &cases);
    run_case(f, counts, &cases);
    buf_printf(&head,
               " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"0.000\"",
               f->objectives_n + 1, counts[0], counts[1], counts[2]);
    buf_printf(out,
               "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"blackstart\"%s>\n"
               "  <testsuite",
               buf_text(&head));
    attribute("name", f->scenario->name, out);
    buf_printf(out, "%s>\n    <properties>\n", buf_text(&head));
    property("mode", "forecast", out);
    property("verdict", verdict_words[f->verdict], out);
    property("seed", jsonx_str(f->start, "seed", NULL), out);
    property("scenario.sha256", jsonx_str(json_object_get(f->start, "scenario"), "digest", NULL),
             out);
    property("record.head", f->head.hash, out);
    property("blackstart", jsonx_str(f->start, "blackstart", NULL), out);
    buf_adds(out, "    </properties>\n");
    buf_adds(out, buf_text(&cases));
    buf_adds(out, "  </testsuite>\n</testsuites>\n");
}

/* ---- OpenMetrics ---- */

static void times(const struct forecast *f, const char *name, const char *help,
                  enum outcome_time which, struct buf *out)
{
    static const struct {
        const char *word;
        double q;
    } quantiles[] = {{"0.05", 0.05}, {"0.5", 0.5}, {"0.9", 0.9}, {"0.95", 0.95}, {"0.99", 0.99}};
    gauge_family(name, "seconds", help, out);
    for (size_t k = 0; k < f->services_n; k++) {
        const struct outcome_times *t = &f->services[k].sums.times[which];
        for (size_t i = 0; i < ARRAY_SIZE(quantiles) && t->n + t->never; i++) {
            const char *labels[] = {"service", f->services[k].service->name, "quantile",
                                    quantiles[i].word, NULL};
            nsec v = outcome_times_quantile(t, quantiles[i].q);
            gauge_sample(f->scenario->name, name, labels,
                         v == NSEC_INF ? HUGE_VAL : (double)v / 1e9, out);
        }
    }
}

static void objective_family(const struct forecast *f, const char *name, const char *unit,
                             const char *help, double (*of)(const struct forecast_objective *),
                             struct buf *out)
{
    gauge_family(name, unit, help, out);
    for (size_t i = 0; i < f->objectives_n; i++) {
        const struct forecast_objective *o = &f->objectives[i];
        const char *labels[] = {"service", o->service->name, "objective",
                                outcome_promise_words[o->kind], NULL};
        if (o->verdict != VERDICT_NOT_APPLICABLE)
            gauge_sample(f->scenario->name, name, labels, of(o), out);
    }
}

static double share_of(const struct forecast_objective *o)
{
    return o->p;
}

static double lower_of(const struct forecast_objective *o)
{
    return o->p_lower;
}

static double upper_of(const struct forecast_objective *o)
{
    return o->p_upper;
}

static double asked_of(const struct forecast_objective *o)
{
    return o->asked;
}

static double met_of(const struct forecast_objective *o)
{
    return o->verdict == VERDICT_MET;
}

void forecast_metrics(const struct forecast *f, struct buf *out)
{
    times(f, "blackstart_forecast_restore_seconds",
          "Simulated time to restore where the service was hit; +Inf: not within the trial.",
          OUTCOME_TTR, out);
    times(f, "blackstart_forecast_detect_seconds",
          "Simulated time to detect by the alarms that count; +Inf: not detected.", OUTCOME_TTD,
          out);
    times(f, "blackstart_forecast_down_seconds", "Simulated downtime of a trial.", OUTCOME_DOWN,
          out);
    times(f, "blackstart_forecast_loss_seconds", "Simulated data loss.", OUTCOME_LOSS, out);
    objective_family(f, "blackstart_forecast_within_ratio", "ratio",
                     "Share of simulated trials that keep the promise.", share_of, out);
    objective_family(f, "blackstart_forecast_within_lower_ratio", "ratio",
                     "Lower end of its 95 % interval: simulation error only.", lower_of, out);
    objective_family(f, "blackstart_forecast_within_upper_ratio", "ratio",
                     "Upper end of its 95 % interval: simulation error only.", upper_of, out);
    objective_family(f, "blackstart_forecast_asked_ratio", "ratio", "The share that is asked for.",
                     asked_of, out);
    objective_family(f, "blackstart_forecast_objective_met", NULL, "1 when met as a forecast.",
                     met_of, out);
    gauge_family("blackstart_forecast_trials", NULL, "Simulated trials.", out);
    gauge_sample(f->scenario->name, "blackstart_forecast_trials", NULL, (double)f->done, out);
    gauge_family("blackstart_forecast_met", NULL, "1 when every objective is met as a forecast.",
                 out);
    gauge_sample(f->scenario->name, "blackstart_forecast_met", NULL, f->verdict == VERDICT_MET,
                 out);
    gauge_family("blackstart_forecast_exit_code", NULL, "What the forecast exits with.", out);
    gauge_sample(f->scenario->name, "blackstart_forecast_exit_code", NULL, forecast_exit_code(f),
                 out);
    buf_adds(out, "# EOF\n");
}
