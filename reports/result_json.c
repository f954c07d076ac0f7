/* result.json: the field names are promises, see docs/measures.md.
 *
 * Deterministic: members in a fixed order, seconds as reals with 12 significant digits, nothing
 * from the clock or the environment of whoever recomputes it. Absent is null, never 0; an end that
 * was not seen is null with "censored": true beside it.
 */
#include "reports/result_json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "reports/load.h"
#include "sim/base/jsonx.h"

static void set(json_t *o, const char *key, json_t *v)
{
    json_object_set_new(o, key, v);
}

static json_t *text(const char *s)
{
    return s ? json_string(s) : json_null();
}

static json_t *number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static void set_duration(json_t *o, const char *key, struct span s)
{
    set(o, key, jsonx_new_span_seconds(s));
}

static bool is_open(struct span s)
{
    return span_is_set(s) && s.hi == NSEC_INF;
}

static json_t *strings(const struct strv *v)
{
    json_t *a = json_array();
    for (size_t i = 0; i < v->n; i++)
        json_array_append_new(a, json_string(v->items[i]));
    return a;
}

static json_t *copy_of(const json_t *v)
{
    return v ? json_deep_copy(v) : json_null();
}

static json_t *interval(const char *of, double level, const char *method, double lo, double hi,
                        bool censored)
{
    json_t *o = json_object();
    set(o, "of", json_string(of));
    set(o, "level", number(level));
    set(o, "method", json_string(method));
    set(o, "lo", number(lo));
    set(o, "hi", censored ? json_null() : number(hi));
    if (censored) {
        set(o, "censored", json_true());
        set(o, "above", number(hi));
    }
    return o;
}

static json_t *summary_json(const struct summary *m)
{
    json_t *o = json_object();
    set(o, "n", json_integer((json_int_t)m->n));
    set(o, "affected", json_integer((json_int_t)m->affected));
    set(o, "unaffected", json_integer((json_int_t)m->unaffected));
    set(o, "censored", json_integer((json_int_t)m->censored));
    set(o, "median", m->has_median && !m->median_censored ? number(m->median) : json_null());
    if (m->median_censored) {
        set(o, "median_censored", json_true());
        set(o, "median_above", number(m->median));
    }
    set(o, "min", m->n ? jsonx_new_span_seconds(m->min) : json_null());
    set(o, "max", m->n ? jsonx_new_span_seconds(m->max) : json_null());
    set(o, "mean", m->has_mean ? number(m->mean) : json_null());
    set(o, "restricted_to_s", m->restricted_to > 0 ? number(m->restricted_to) : json_null());
    set(o, "ci",
        m->has_ci ? interval("median", m->ci_level, "order statistics", m->ci.lo, m->ci.hi,
                             m->ci_censored)
                  : json_null());
    set(o, "mean_ci",
        m->has_mean_ci
            ? interval("mean", 0.95, m->restricted_to > 0 ? "t, approximate" : "modified Cox",
                       m->mean_ci.lo, m->mean_ci.hi, false)
            : json_null());
    set(o, "mean_note", text(m->mean_note));
    return o;
}

static json_t *objective_json(const struct objective *o)
{
    json_t *j = json_object();
    set(j, "service", json_string(o->service->name));
    set(j, "kind", json_string(objective_words[o->kind]));
    set(j, "target_s", jsonx_new_seconds(o->target));
    set(j, "target_share", o->target_share > 0 ? number(o->target_share) : json_null());
    set(j, "clock", nsec_is_set(o->target) ? json_string(rto_clock_words[o->clock]) : json_null());
    set(j, "verdict", json_string(verdict_words[o->verdict]));
    set(j, "planned", json_integer((json_int_t)o->planned));
    set(j, "within", json_integer((json_int_t)o->within));
    set(j, "missed", json_integer((json_int_t)o->missed));
    set(j, "open", json_integer((json_int_t)o->open));
    set(j, "void", json_integer((json_int_t)o->voids));
    set(j, "not_applicable", json_integer((json_int_t)o->not_applicable));
    set(j, "misses_allowed", json_integer((json_int_t)o->misses_allowed));
    bool bounded = o->planned > 0;
    set(j, "p_lower", bounded ? number(o->p_lower) : json_null());
    set(j, "p_upper", bounded ? number(o->p_upper) : json_null());
    set(j, "confidence", number(o->confidence));
    set(j, "sides", json_integer(1));
    set(j, "method", json_string("Clopper-Pearson"));
    set(j, "reliability", o->reliability > 0 ? number(o->reliability) : json_null());
    set(j, "needed_n", o->needed_n ? json_integer((json_int_t)o->needed_n) : json_null());
    json_t *reasons = json_array();
    for (size_t i = 0; i < o->reasons_n; i++) {
        json_t *r = json_object();
        set(r, "code", json_string(o->reasons[i].code));
        set(r, "count", json_integer((json_int_t)o->reasons[i].count));
        set(r, "text", json_string(o->reasons[i].text));
        set(r, "cure", text(o->reasons[i].cure));
        json_array_append_new(reasons, r);
    }
    set(j, "reasons", reasons);
    return j;
}

static json_t *service_json(const struct service_summary *s)
{
    json_t *j = json_object();
    set(j, "name", json_string(s->service->name));
    set(j, "tier", s->service->tier ? json_integer(s->service->tier) : json_null());
    set(j, "owner", text(s->service->owner));
    set(j, "resolution_s", jsonx_new_seconds(s->resolution));
    set(j, "rto_clock", json_string(rto_clock_words[s->service->rto_clock]));
    set(j, "expect", json_string(expectation_words[s->service->expect]));
    set(j, "mttd_s", summary_json(&s->ttd));
    set(j, "mttr_s", summary_json(&s->ttr));
    set(j, "down_s", summary_json(&s->down));
    set(j, "availability", json_null());
    return j;
}

static json_t *fault_json(const struct fault *f)
{
    json_t *j = json_object();
    set(j, "step", json_string(f->step));
    set(j, "action", json_string(f->action));
    set(j, "targets", copy_of(f->targets));
    set(j, "chosen", text(f->chosen));
    set_duration(j, "fault_start", f->start);
    set_duration(j, "fault_end", f->end);
    set(j, "ended_by", text(f->cause));
    set(j, "injected", json_boolean(f->injected));
    set(j, "verified", json_boolean(f->verified));
    set(j, "asked", text(f->asked));
    set(j, "seen", text(f->seen));
    set(j, "error", text(f->error));
    set(j, "gone", text(f->gone));
    return j;
}

static json_t *episode_json(const struct episode *e)
{
    json_t *j = json_object();
    set_duration(j, "impact", e->impact);
    set_duration(j, "restored", e->restored);
    if (is_open(e->restored))
        set(j, "censored", json_true());
    set(j, "faults", strings(&e->faults));
    set(j, "restored_by", text(restored_by_words[e->by]));
    set(j, "cause", json_string(e->undo ? "undo" : "fault"));
    set(j, "judged", json_boolean(!e->undo));
    set(j, "flaps", json_integer((json_int_t)e->flaps));
    struct span outage = span_between(e->impact, e->restored);
    outage.lo = outage.lo < 0 ? 0 : outage.lo;
    set_duration(j, "outage_s", outage);
    set_duration(j, "down_s", e->down);
    set_duration(j, "alarm_onset", e->onset);
    set_duration(j, "reconverge_s", e->reconverge);
    return j;
}

static json_t *alarm_json(const struct alarm_seen *a)
{
    json_t *j = json_object();
    set(j, "role", json_string(role_words[a->alarm->role]));
    set(j, "counts", json_boolean(a->counts));
    set_duration(j, "onset", a->onset);
    set_duration(j, "ttd_s", a->ttd);
    set(j, "after_restoration", json_boolean(a->after_restoration));
    set(j, "masked", json_boolean(a->masked));
    set(j, "missing", json_boolean(a->missing));
    set(j, "false_alarms", json_integer((json_int_t)a->false_alarms));
    set_duration(j, "ttd_fault_s", a->fault_ttd);
    set_duration(j, "resolved", a->resolved);
    set(j, "never", json_boolean(a->never));
    set(j, "without_outage", json_boolean(a->without_outage));
    set(j, "suppressed", json_integer((json_int_t)a->suppressed));
    set(j, "silenced", json_boolean(a->silenced));
    const char *starts_at = NULL;
    for (size_t i = 0; i < a->events_n && !starts_at; i++)
        if (a->events[i].seq == a->seq)
            starts_at = a->events[i].starts_at;
    set(j, "starts_at", text(starts_at));
    return j;
}

static json_t *kept_json(const struct kept *k)
{
    size_t probes = k->good + k->bad + k->unknown;
    if (!span_is_set(k->from_to) || probes == 0)
        return json_null();
    json_t *j = json_object();
    set_duration(j, "from_to", k->from_to);
    set(j, "probes", json_integer((json_int_t)probes));
    set(j, "good", json_integer((json_int_t)k->good));
    set(j, "bad", json_integer((json_int_t)k->bad));
    set(j, "unknown", json_integer((json_int_t)k->unknown));
    set(j, "success", json_pack("[o, o]", number(k->success[0]), number(k->success[1])));
    set(j, "answers", json_integer((json_int_t)k->answers));
    json_t *latency = json_object();
    for (size_t i = 0; i < KEPT_QUANTILES; i++)
        set_duration(latency, kept_words[i], k->latency[i]);
    set(j, "latency_s", latency);
    return j;
}

static json_t *seen_json(const struct service_seen *s)
{
    json_t *j = json_object();
    bool probed = s->probes_n > 0;
    set(j, "outcome", text(probed ? trial_outcome_words[s->outcome] : NULL));
    bool valid = s->outcome != OUTCOME_VOID;
    struct span none = SPAN_UNSET;
    set_duration(j, "ttd_s", valid ? s->ttd : none);
    set_duration(j, "ttr_s", valid ? s->ttr : none);
    if (valid && (is_open(s->ttr) || is_open(s->ttd)))
        set(j, "censored", json_true());
    json_t *clocks = json_object();
    for (int c = 0; c < 4; c++)
        set_duration(clocks, rto_clock_words[c], valid ? s->ttr_clock[c] : none);
    set(j, "ttr_by_clock_s", clocks);
    json_t *ttd = json_object();
    set_duration(ttd, "impact", s->ttd_impact);
    set_duration(ttd, "fault", s->ttd_fault);
    set(j, "ttd_by_clock_s", ttd);
    set_duration(j, "tta_s", s->tta);
    set_duration(j, "down_s", valid ? s->down : none);
    set(j, "downtime_dora_s", json_null());
    set(j, "detection", json_string(detection_words[s->detection]));
    set(j, "detected_by", text(s->detected_by ? s->detected_by->alarm->name : NULL));
    json_t *alarms = json_object();
    for (size_t i = 0; i < s->alarms_n; i++)
        set(alarms, s->alarms[i].alarm->name, alarm_json(&s->alarms[i]));
    set(j, "alarms", alarms);
    set(j, "flaps", json_integer((json_int_t)s->flaps));
    set(j, "blips", json_integer((json_int_t)s->blips));
    set(j, "unknown_probes", json_integer((json_int_t)s->unknown));
    set(j, "resolution_s", probed ? jsonx_new_seconds(s->resolution) : json_null());
    set(j, "restored_by", text(valid ? restored_by_words[s->by] : NULL));
    json_t *episodes = json_array();
    for (size_t i = 0; i < s->episodes_n; i++)
        json_array_append_new(episodes, episode_json(&s->episodes[i]));
    set(j, "episodes", episodes);
    set(j, "during_fault", valid ? kept_json(&s->kept) : json_null());
    set(j, "rpo_s", json_null());
    set(j, "lost_writes", json_null());
    json_t *shares = json_object();
    for (int k = 0; k < OBJECTIVE_KINDS; k++)
        set(shares, objective_words[k], json_string(share_words[s->shares[k]]));
    set(j, "verdicts", shares);
    return j;
}

static json_t *trial_json(const struct result *r, const struct trial *t)
{
    json_t *j = json_object();
    set(j, "n", json_integer(t->n));
    set(j, "attempt", t->run ? json_integer(t->attempt) : json_null());
    set(j, "counted", json_boolean(t->counted));
    set(j, "outcome", json_string(t->why_void ? "void" : t->aborted ? "aborted" : "completed"));
    set(j, "reason", text(t->why_void));
    set(j, "zero", nsec_is_set(t->zero) ? jsonx_new_seconds(t->zero) : json_null());
    set(j, "watched_until", nsec_is_set(t->watched) ? jsonx_new_seconds(t->watched) : json_null());
    set(j, "phases", copy_of(t->phases));
    json_t *faults = json_array();
    for (size_t i = 0; i < t->faults_n; i++)
        json_array_append_new(faults, fault_json(&t->faults[i]));
    set(j, "faults", faults);
    if (r->scenario->load.n) {
        json_t *loads = json_array();
        for (size_t i = 0; i < t->loads_n; i++)
            json_array_append_new(loads, load_json(&t->loads[i]));
        set(j, "loads", loads);
    }
    json_t *services = json_object();
    for (size_t i = 0; i < t->services_n; i++)
        if (t->services[i].probes_n || t->services[i].alarms_n)
            set(services, t->services[i].service->name, seen_json(&t->services[i]));
    set(j, "services", services);
    return j;
}

static json_t *finding_json(const struct finding *f)
{
    json_t *j = json_object();
    set(j, "code", json_string(f->code));
    set(j, "weight", json_string(weight_words[f->weight]));
    set(j, "service", text(f->service ? f->service->name : NULL));
    set(j, "trial", f->trial ? json_integer(f->trial) : json_null());
    set(j, "text", json_string(f->text));
    json_t *seq = json_array();
    for (size_t i = 0; i < f->seq_n; i++)
        json_array_append_new(seq, json_integer(f->seq[i]));
    set(j, "evidence", seq);
    return j;
}

static json_t *alarm_summary_json(const struct alarm_summary *a)
{
    json_t *j = json_object();
    set(j, "name", json_string(a->alarm->name));
    set(j, "service", text(a->alarm->service));
    set(j, "role", json_string(role_words[a->alarm->role]));
    set(j, "onsets", json_integer((json_int_t)a->onsets));
    set(j, "missing", json_integer((json_int_t)a->missing));
    set(j, "false_alarms", json_integer((json_int_t)a->false_alarms));
    set(j, "quiet_s", jsonx_new_seconds(a->exposure));
    set(j, "false_alarms_per_hour",
        a->has_rate ? interval("rate", 0.95, "Garwood", a->per_hour.lo, a->per_hour.hi, false)
                    : json_null());
    set(j, "never", json_integer((json_int_t)a->never));
    set(j, "without_outage", json_integer((json_int_t)a->without_outage));
    set(j, "suppressed", json_integer((json_int_t)a->suppressed));
    set(j, "first", json_integer((json_int_t)a->first));
    set(j, "mttd_s", summary_json(&a->ttd));
    return j;
}

static json_t *layer_json(const struct layer_summary *l)
{
    json_t *j = json_object();
    set(j, "service", json_string(l->service->name));
    set(j, "role", json_string(role_words[l->role]));
    set(j, "first", json_integer((json_int_t)l->first));
    set(j, "mttd_s", summary_json(&l->ttd));
    return j;
}

static void run_json(const struct result *r, json_t *j)
{
    set(j, "blackstart", json_integer(1));
    json_t *scenario = json_object();
    const json_t *given = json_object_get(r->start, "scenario");
    set(scenario, "name", text(r->scenario->name));
    set(scenario, "title", text(r->scenario->title));
    set(scenario, "digest", text(jsonx_str(given, "digest", NULL)));
    set(j, "scenario", scenario);
    set(j, "id", text(jsonx_str(r->start, "id", NULL)));
    set(j, "version", text(jsonx_str(r->start, "blackstart", NULL)));
    set(j, "mode", text(jsonx_str(r->start, "mode", NULL)));
    set(j, "status", json_string(status_words[r->status]));
    set(j, "status_reason", text(r->status_reason));
    set(j, "verdict", json_string(verdict_words[r->verdict]));
    set(j, "exit_code", json_integer(result_exit_code(r)));
    set(j, "clean", r->clean < 0 ? json_null() : json_boolean(r->clean));
    json_t *head = json_object();
    set(head, "seq", json_integer(r->head.seq));
    set(head, "hash", json_string(r->head.hash));
    set(j, "head", head);
    set(j, "record_torn_bytes", json_integer((json_int_t)r->torn));
    set(j, "seed", text(jsonx_str(r->start, "seed", NULL)));
    set(j, "attempt", copy_of(json_object_get(r->start, "attempt")));
    set(j, "started", text(r->started));
    set(j, "ended", text(r->ended));
    set(j, "operator", text(jsonx_str(r->start, "operator", NULL)));
    set(j, "clock", text(jsonx_str(r->start, "clock", NULL)));
    set(j, "command", copy_of(json_object_get(r->start, "command")));
    set(j, "environment", copy_of(json_object_get(r->start, "environment")));
    set(j, "population",
        json_string("this scenario in this environment on this day; its trials are repetitions of "
                    "it, not a sample of production incidents"));
    set(j, "level", json_string("restored means: the probes' answers are as expected again"));
}

json_t *result_json(const struct result *r)
{
    json_t *j = json_object();
    run_json(r, j);
    json_t *a = json_array();
    for (size_t i = 0; i < r->objectives_n; i++)
        json_array_append_new(a, objective_json(&r->objectives[i]));
    set(j, "objectives", a);
    a = json_array();
    for (size_t i = 0; i < r->services_n; i++)
        json_array_append_new(a, service_json(&r->services[i]));
    set(j, "services", a);
    a = json_array();
    for (size_t i = 0; i < r->alarms_n; i++)
        json_array_append_new(a, alarm_summary_json(&r->alarms[i]));
    set(j, "alarms", a);
    a = json_array();
    for (size_t i = 0; i < r->layers_n; i++)
        json_array_append_new(a, layer_json(&r->layers[i]));
    set(j, "layers", a);
    a = json_array();
    for (size_t i = 0; i < r->findings_n; i++)
        json_array_append_new(a, finding_json(&r->findings[i]));
    set(j, "findings", a);
    a = json_array();
    for (size_t i = 0; i < r->trials_n; i++)
        json_array_append_new(a, trial_json(r, &r->trials[i]));
    set(j, "trials", a);
    return j;
}
