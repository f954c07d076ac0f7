/* result.json of a forecast: the same model as of a drill (docs/reports.md), what a forecast has not is
 * null. Every number is a function of the record: whole numbers, divisions and square roots. */
#include "reports/forecast.h"

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

static json_t *objective_json(const struct forecast_objective *o)
{
    json_t *j = json_object();
    bool judged = o->planned > 0 && !o->unmeasured;
    set(j, "service", json_string(o->service->name));
    set(j, "kind", json_string(outcome_promise_words[o->kind]));
    set(j, "target_s", jsonx_new_seconds(o->target));
    set(j, "target_share", json_null());
    set(j, "clock", nsec_is_set(o->target) ? json_string(rto_clock_words[o->clock]) : json_null());
    set(j, "verdict", json_string(verdict_words[o->verdict]));
    set(j, "planned", count(o->planned));
    set(j, "within", count(o->within));
    set(j, "missed", count(o->missed));
    set(j, "open", count(o->open));
    set(j, "void", count(o->voids));
    set(j, "not_applicable", count(o->not_applicable));
    set(j, "misses_allowed", json_null());
    set(j, "p", judged ? json_real(o->p) : json_null());
    set(j, "p_lower", judged ? json_real(o->p_lower) : json_null());
    set(j, "p_upper", judged ? json_real(o->p_upper) : json_null());
    set(j, "confidence", json_real(0.95));
    set(j, "sides", json_integer(2));
    set(j, "method",
        json_string(o->over_ranges ? "2.5 % and 97.5 % quantiles over draws of what is assumed"
                                   : "Wilson, simulation error only"));
    set(j, "reliability", json_real(o->asked));
    set(j, "needed_n", o->needed_n ? count(o->needed_n) : json_null());
    json_t *reasons = json_array();
    for (size_t i = 0; i < o->reasons_n; i++) {
        const struct forecast_reason *r = &o->reasons[i];
        json_t *one = json_object();
        set(one, "code", json_string(r->code));
        set(one, "count", count(r->count));
        set(one, "text", json_string(r->text));
        set(one, "cure", text(r->cure));
        json_array_append_new(reasons, one);
    }
    set(j, "reasons", reasons);
    return j;
}

static json_t *quantile(const struct outcome_times *t, double q)
{
    nsec v = outcome_times_quantile(t, q);
    return nsec_is_set(v) && v != NSEC_INF ? jsonx_new_seconds(v) : json_null();
}

/* `unaffected`: trials in which there was nothing to time. */
static json_t *times_json(const struct outcome_times *t, uint64_t unaffected)
{
    static const struct {
        const char *name;
        double q;
    } quantiles[] = {{"median", 0.5}, {"p05", 0.05}, {"p25", 0.25}, {"p75", 0.75},
                     {"p90", 0.9},    {"p95", 0.95}, {"p99", 0.99}, {"p999", 0.999}};
    if (t->n + t->never == 0)
        return json_null();
    json_t *j = json_object();
    set(j, "n", count(t->n));
    set(j, "affected", count(t->n + t->never));
    set(j, "unaffected", count(unaffected));
    set(j, "censored", count(t->never));
    for (size_t i = 0; i < ARRAY_SIZE(quantiles); i++)
        set(j, quantiles[i].name, quantile(t, quantiles[i].q));
    set(j, "min", jsonx_new_seconds(t->n ? t->least : NSEC_UNSET));
    set(j, "max", t->never || !t->n ? json_null() : jsonx_new_seconds(t->most));
    set(j, "mean", t->n && !t->never ? json_real(outcome_times_mean(t) / 1e9) : json_null());
    set(j, "deviation",
        t->n > 1 && !t->never ? json_real(outcome_times_deviation(t) / 1e9) : json_null());
    return j;
}

static json_t *service_json(const struct forecast_service *s)
{
    const struct service *v = s->service;
    const struct outcome_sums *u = &s->sums;
    uint64_t unhit = u->kinds[OUTCOME_IS_UNAFFECTED];
    json_t *j = json_object(), *kinds = json_object(), *stages = json_array();
    set(j, "name", json_string(v->name));
    set(j, "tier", v->tier ? json_integer(v->tier) : json_null());
    set(j, "owner", text(v->owner));
    set(j, "resolution_s", json_null());
    set(j, "rto_clock", json_string(rto_clock_words[v->rto_clock]));
    set(j, "expect", json_string(expectation_words[v->expect]));
    for (size_t i = 0; i < 4; i++)
        set(kinds, outcome_kind_words[i], count(u->kinds[i]));
    set(j, "outcomes", kinds);
    set(j, "restored_by",
        json_pack("{s:I,s:I}", "recovery", (json_int_t)u->by[OUTCOME_BY_RECOVERY], "heal",
                  (json_int_t)u->by[OUTCOME_BY_HEAL]));
    set(j, "mttd_s", times_json(&u->times[OUTCOME_TTD], unhit));
    set(j, "mtta_s", times_json(&u->times[OUTCOME_TTA], unhit));
    set(j, "mttr_s", times_json(&u->times[OUTCOME_TTR], unhit));
    set(j, "down_s", times_json(&u->times[OUTCOME_DOWN], unhit));
    set(j, "drained_s", times_json(&u->times[OUTCOME_DRAINED], unhit));
    set(j, "rpo_s", times_json(&u->times[OUTCOME_LOSS], unhit));
    set(j, "episodes", count(u->episodes));
    set(j, "blips", count(u->blips));
    set(j, "false_alarms", count(u->false_alarms));
    for (size_t i = 0; i < s->stages_n; i++) {
        json_t *one = json_object();
        set(one, "quantity", text(s->stages[i].quantity));
        set(one, "mean_s", json_real(s->stages[i].mean));
        set(one, "share", json_real(s->stages[i].share));
        json_array_append_new(stages, one);
    }
    set(j, "stages", stages);
    set(j, "availability", json_null());
    return j;
}

static void run_json(const struct forecast *f, json_t *j)
{
    const json_t *given = json_object_get(f->start, "scenario");
    json_t *scenario = json_object(), *head = json_object();
    set(j, "blackstart", json_integer(1));
    set(scenario, "name", text(f->scenario->name));
    set(scenario, "title", text(f->scenario->title));
    set(scenario, "digest", text(jsonx_str(given, "digest", NULL)));
    set(j, "scenario", scenario);
    set(j, "id", json_null());
    set(j, "version", text(jsonx_str(f->start, "blackstart", NULL)));
    set(j, "mode", json_string("forecast"));
    set(j, "status", json_string(status_words[f->status]));
    set(j, "status_reason", text(f->status_reason));
    set(j, "verdict", json_string(verdict_words[f->verdict]));
    set(j, "exit_code", json_integer(forecast_exit_code(f)));
    set(j, "clean", json_null());
    set(head, "seq", json_integer(f->head.seq));
    set(head, "hash", json_string(f->head.hash));
    set(j, "head", head);
    set(j, "record_torn_bytes", json_integer((json_int_t)f->torn));
    set(j, "seed", text(jsonx_str(f->start, "seed", NULL)));
    static const char *const none[] = {"attempt", "started", "ended", "operator"};
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        set(j, none[i], json_null());
    set(j, "clock", text(jsonx_str(f->start, "clock", NULL)));
    set(j, "command", json_null());
    set(j, "environment", json_null());
    set(j, "trials_planned", count(f->planned));
    set(j, "trials_done", count(f->done));
    set(j, "population",
        json_string("simulated trials of the scenario's model: nothing was broken or measured; "
                    "intervals tell of simulation error alone, not of the model's assumptions"));
    set(j, "level",
        json_string("restored means: what the probes would be answered is as expected "
                    "again, as the model has it"));
}

json_t *forecast_json(const struct forecast *f)
{
    json_t *j = json_object(), *a = json_array();
    run_json(f, j);
    for (size_t i = 0; i < f->objectives_n; i++)
        json_array_append_new(a, objective_json(&f->objectives[i]));
    set(j, "objectives", a);
    a = json_array();
    for (size_t i = 0; i < f->services_n; i++)
        json_array_append_new(a, service_json(&f->services[i]));
    set(j, "services", a);
    set(j, "alarms", json_array());
    set(j, "layers", json_array());
    a = json_array();
    for (size_t i = 0; i < f->findings_n; i++) {
        const struct forecast_finding *x = &f->findings[i];
        json_t *one = json_object();
        set(one, "code", json_string(x->code));
        set(one, "weight", json_string(weight_words[x->weight]));
        set(one, "service", text(x->service ? x->service->name : NULL));
        set(one, "trial", json_null());
        set(one, "text", json_string(x->text));
        set(one, "evidence", json_array());
        json_array_append_new(a, one);
    }
    set(j, "findings", a);
    set(j, "trials", json_array());
    set(j, "analyses", json_incref(f->analyses));
    return j;
}
