/* Years for programs: result.json, JUnit XML, OpenMetrics. */
#include "reports/outlook.h"

#include <inttypes.h>
#include <math.h>

#include "reports/escape.h"
#include "reports/sentence.h"
#include "sim/base/jsonx.h"

static void set(json_t *o, const char *key, json_t *value)
{
    json_object_set_new(o, key, value);
}

static json_t *text(const char *s)
{
    return s ? jsonx_new_text(s) : json_null();
}

static json_t *count(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *interval(struct stats_interval i)
{
    return isnan(i.lo) ? json_null() : json_pack("[f,f]", i.lo, i.hi);
}

/* Durations in seconds. */
static json_t *histogram_json(const struct histogram *h)
{
    static const struct {
        const char *name;
        double p;
    } quantiles[] = {{"median", 0.5}, {"p75", 0.75}, {"p90", 0.9},
                     {"p95", 0.95},   {"p99", 0.99}, {"p999", 0.999}};
    if (h->count == 0)
        return json_null();
    json_t *j = json_object();
    set(j, "n", count(h->count));
    for (size_t i = 0; i < ARRAY_SIZE(quantiles); i++)
        set(j, quantiles[i].name, real(histogram_quantile(h, quantiles[i].p) / 1e3));
    set(j, "min", real((double)h->least / 1e3));
    set(j, "max", real((double)h->most / 1e3));
    return j;
}

static json_t *rare_json(const struct outlook_rare *r)
{
    if (!r->asked)
        return json_null();
    if (r->refused)
        return json_pack("{s:s}", "refused", r->refused);
    return json_pack("{s:s,s:I,s:I,s:f,s:[f,f],s:[f,f],s:[f,f]}", "method",
                     "forced cycles, likelihood ratios; value and standard error", "cycles",
                     (json_int_t)r->cycles, "hits", (json_int_t)r->hits, "effective", r->effective,
                     "unavailability", r->unavailability[0], r->unavailability[1],
                     "incidents_per_year", r->rate[0], r->rate[1], "first_down_years",
                     r->first_down[0], r->first_down[1]);
}

static json_t *contract_json(const struct outlook_service *s)
{
    if (!(s->service->sla > 0))
        return json_null();
    return json_pack("{s:f,s:s,s:f,s:o,s:f,s:s,s:f,s:f}", "sla", s->service->sla, "verdict",
                     verdict_words[s->verdict], "kept", s->kept, "kept_in", interval(s->kept_in),
                     "asked", s->asked, "method", "Clopper-Pearson over trials", "budget_s",
                     s->budget * 3600, "used_s", s->used * 3600);
}

static json_t *service_json(const struct outlook_service *s)
{
    static const char *const causes[] = {"broken", "maintained", "switched"};
    json_t *j = json_object(), *by = json_object();
    set(j, "name", json_string(s->service->name));
    set(j, "tier", s->service->tier ? json_integer(s->service->tier) : json_null());
    set(j, "owner", text(s->service->owner));
    set(j, "can_fail", json_boolean(!s->never));
    set(j, "availability", real(1 - s->unavailability));
    set(j, "unavailability", real(s->unavailability));
    set(j, "unavailability_in", interval(s->unavailability_in));
    set(j, "incidents", count(s->incidents));
    set(j, "incidents_per_year", real(s->per_year));
    set(j, "incidents_per_year_in", interval(s->per_year_in));
    set(j, "down_s_per_year", real(s->unavailability * 8760 * 3600));
    for (size_t i = 0; i < TALLY_CAUSES; i++)
        set(by, causes[i],
            json_pack("{s:I,s:f}", "incidents", (json_int_t)s->tally->incidents_of[i], "down_s",
                      (double)s->tally->down_of[i] / 1e9));
    set(j, "begun_by", by);
    set(j, "incident_s", histogram_json(&s->tally->incident_lasted));
    set(j, "year_down_s", histogram_json(&s->tally->year_down));
    set(j, "trials_with_incident", count(s->tally->missions_down));
    set(j, "contract", contract_json(s));
    set(j, "lost", s->service->costs ? real((double)s->tally->lost / 100) : json_null());
    set(j, "rare", rare_json(&s->rare));
    return j;
}

static json_t *cascades_json(const struct outlook *o)
{
    json_t *a = json_array();
    for (size_t i = 0; i < o->cascades_n; i++) {
        const struct outlook_cascade *x = &o->cascades[i];
        json_array_append_new(a, json_pack("{s:s,s:s,s:f,s:f,s:f}", "component",
                                           o->catalogue->components[x->component].name, "service",
                                           o->services[x->service].service->name,
                                           "incidents_per_year", x->per_year, "down_s_per_year",
                                           x->hours_per_year * 3600, "share", x->share));
    }
    return a;
}

static json_t *singles_json(const struct outlook *o)
{
    json_t *a = json_array();
    for (size_t i = 0; i < o->singles_n; i++) {
        const struct outlook_single *x = &o->singles[i];
        json_t *services = json_array();
        for (size_t k = 0; k < x->services_n; k++)
            json_array_append_new(services, json_string(o->services[x->services[k]].service->name));
        json_array_append_new(a, json_pack("{s:s,s:o,s:f}", "component",
                                           o->catalogue->components[x->component].name, "services",
                                           services, "down_s_per_year", x->hours_per_year * 3600));
    }
    return a;
}

/* The curve: in which share of years it costs more. */
static json_t *losses_json(const struct outlook *o)
{
    const struct histogram *h = &o->tally.year_lost;
    if (!o->priced || h->count == 0)
        return json_null();
    json_t *curve = json_array();
    uint64_t left = h->count;
    for (size_t i = 0; i < h->n; i++) {
        uint64_t lo, hi;
        if (h->bins[i] == 0)
            continue;
        left -= h->bins[i];
        histogram_bin(i, &lo, &hi);
        hi = hi - 1 < h->most ? hi - 1 : h->most;
        json_array_append_new(
            curve, json_pack("[f,f]", (double)hi / 100, (double)left / (double)h->count));
    }
    return json_pack("{s:f,s:o}", "mean_per_year", o->lost_per_year, "exceeded", curve);
}

static void run_json(const struct outlook *o, json_t *j)
{
    json_t *scenario = json_object(), *head = json_object();
    set(j, "blackstart", json_integer(1));
    set(scenario, "name", text(o->scenario->name));
    set(scenario, "title", text(o->scenario->title));
    set(scenario, "digest", text(jsonx_str(json_object_get(o->start, "scenario"), "digest", NULL)));
    set(j, "scenario", scenario);
    set(j, "version", text(jsonx_str(o->start, "blackstart", NULL)));
    set(j, "mode", json_string("forecast"));
    set(j, "question", json_string("years"));
    set(j, "status", json_string(status_words[o->status]));
    set(j, "status_reason", text(o->status_reason));
    set(j, "verdict", json_string(verdict_words[o->verdict]));
    set(j, "exit_code", json_integer(outlook_exit_code(o)));
    set(head, "seq", json_integer(o->head.seq));
    set(head, "hash", json_string(o->head.hash));
    set(j, "head", head);
    set(j, "record_torn_bytes", json_integer((json_int_t)o->torn));
    set(j, "seed", text(jsonx_str(o->start, "seed", NULL)));
    set(j, "trials_planned", count(o->planned));
    set(j, "trials_done", count(o->tally.missions));
    set(j, "years_per_trial", count(o->years));
    set(j, "years", count(o->tally.years));
    set(j, "events", count(o->tally.events));
    set(j, "components_broken", count(o->tally.broken));
    set(j, "population",
        json_string("simulated years of the scenario's components, in order when a trial begins: "
                    "nothing was broken or measured; intervals (95 %) tell of simulation error "
                    "alone, not of the model's assumptions"));
}

json_t *outlook_json(const struct outlook *o)
{
    json_t *j = json_object(), *a = json_array();
    run_json(o, j);
    for (size_t i = 0; i < o->services_n; i++)
        json_array_append_new(a, service_json(&o->services[i]));
    set(j, "services", a);
    set(j, "cascades", cascades_json(o));
    set(j, "single_points", singles_json(o));
    set(j, "losses", losses_json(o));
    a = json_array();
    for (size_t i = 0; i < o->findings_n; i++) {
        const struct outlook_finding *x = &o->findings[i];
        json_t *one = json_object();
        set(one, "code", json_string(x->code));
        set(one, "weight", json_string(weight_words[x->weight]));
        set(one, "service", text(x->service ? x->service->name : NULL));
        set(one, "text", json_string(x->text));
        json_array_append_new(a, one);
    }
    set(j, "findings", a);
    a = json_array();
    for (const char **what = o->left_out; *what; what++)
        json_array_append_new(a, json_string(*what));
    set(j, "left_out", a);
    return j;
}

/* ---- JUnit ---- */

static void attribute(const char *name, const char *value, struct buf *out)
{
    buf_printf(out, " %s=\"", name);
    escape_xml(value, out);
    buf_addc(out, '"');
}

void outlook_junit(const struct outlook *o, struct buf *out)
{
    AUTO_BUF cases = BUF_INIT;
    size_t n = 0, failures = 0, errors = 0;
    for (size_t i = 0; i < o->services_n; i++) {
        const struct outlook_service *s = &o->services[i];
        AUTO_BUF class = BUF_INIT;
        AUTO_BUF name = BUF_INIT;
        AUTO_BUF message = BUF_INIT;
        if (s->verdict == VERDICT_NOT_APPLICABLE)
            continue;
        bool met = s->verdict == VERDICT_MET, error = s->verdict == VERDICT_INCONCLUSIVE;
        const char *element = met ? "system-out" : error ? "error" : "failure";
        n++;
        errors += error;
        failures += !met && !error;
        buf_printf(&class, "%s.%s", o->scenario->name, s->service->name);
        buf_printf(&name, "forecast: up %.6g %% of a year", 100 * s->service->sla);
        outlook_sentence(o, s, &message);
        buf_adds(&cases, "    <testcase");
        attribute("classname", buf_text(&class), &cases);
        attribute("name", buf_text(&name), &cases);
        buf_printf(&cases, " time=\"0.000\">\n      <%s", element);
        if (!met)
            attribute("message", buf_text(&message), &cases);
        buf_addc(&cases, '>');
        escape_xml(buf_text(&message), &cases);
        buf_printf(&cases, "</%s>\n    </testcase>\n", element);
    }
    bool bad = o->status != STATUS_COMPLETED;
    AUTO_BUF class = BUF_INIT;
    buf_printf(&class, "%s.run", o->scenario->name);
    buf_adds(&cases, "    <testcase");
    attribute("classname", buf_text(&class), &cases);
    buf_printf(&cases, " name=\"forecast: completed\" time=\"0.000\">%s</testcase>\n",
               bad ? "<error type=\"stopped\" message=\"not all trials were simulated\"/>" : "");
    AUTO_BUF head = BUF_INIT;
    buf_printf(&head, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"0\" time=\"0.000\"",
               n + 1, failures, errors + bad);
    buf_printf(out,
               "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"blackstart\"%s>\n"
               "  <testsuite",
               buf_text(&head));
    attribute("name", o->scenario->name, out);
    buf_printf(out, "%s>\n%s  </testsuite>\n</testsuites>\n", buf_text(&head), buf_text(&cases));
}

/* ---- OpenMetrics ---- */

static void family(const struct outlook *o, const char *name, const char *help,
                   double (*of)(const struct outlook_service *), struct buf *out)
{
    buf_printf(out, "# TYPE %s gauge\n# HELP %s %s\n", name, name, help);
    for (size_t i = 0; i < o->services_n; i++) {
        buf_printf(out, "%s{scenario=\"", name);
        escape_label(o->scenario->name, out);
        buf_adds(out, "\",service=\"");
        escape_label(o->services[i].service->name, out);
        buf_printf(out, "\"} %.12g\n", of(&o->services[i]));
    }
}

static double down_of(const struct outlook_service *s)
{
    return s->unavailability;
}

static double rate_of(const struct outlook_service *s)
{
    return s->per_year;
}

static double kept_of(const struct outlook_service *s)
{
    return s->service->sla > 0 ? s->kept : 1;
}

void outlook_metrics(const struct outlook *o, struct buf *out)
{
    family(o, "blackstart_forecast_unavailability_ratio", "Share of simulated time down.", down_of,
           out);
    family(o, "blackstart_forecast_incidents_per_year", "Simulated incidents a year.", rate_of,
           out);
    family(o, "blackstart_forecast_contract_kept_ratio",
           "Share of simulated years in which the contract is kept; 1 without one.", kept_of, out);
    buf_printf(out,
               "# TYPE blackstart_forecast_years gauge\n# HELP blackstart_forecast_years Simulated "
               "years.\nblackstart_forecast_years %" PRIu64 "\n# EOF\n",
               o->tally.years);
}
