/* Analyses as JSON. */
#include "sim/forecast/analysis.h"

#include "sim/base/jsonx.h"

static void set(json_t *o, const char *key, json_t *value)
{
    json_object_set_new(o, key, value);
}

static json_t *count(uint64_t n)
{
    return json_integer((json_int_t)n);
}

/* Six places are more than any of it is known to. */
json_t *analysis_new_number(double v)
{
    if (isnan(v))
        return json_null();
    double scaled = rint(v * 1e6) / 1e6;
    return json_real(scaled == 0 ? 0 : scaled); /* no -0.0 */
}

json_t *analysis_new_estimate(struct estimate e)
{
    if (isnan(e.value))
        return json_null();
    json_t *a = json_array();
    json_array_append_new(a, analysis_new_number(e.value));
    json_array_append_new(a, analysis_new_number(e.lo));
    json_array_append_new(a, analysis_new_number(e.hi));
    return a;
}

json_t *analysis_new_time(nsec t)
{
    return t == NSEC_INF ? json_string("never") : jsonx_new_seconds(t);
}

json_t *analysis_new_point(struct assumed_point p)
{
    json_t *j = json_object();
    set(j, "within", analysis_new_number(p.within));
    set(j, "ttr_s", analysis_new_number(p.ttr));
    return j;
}

static json_t *pair(const char *a, struct estimate first, const char *b, struct estimate second)
{
    json_t *j = json_object();
    set(j, a, analysis_new_estimate(first));
    set(j, b, analysis_new_estimate(second));
    return j;
}

static json_t *part_json(const char *name, const struct why_part *p, bool promised)
{
    json_t *j = json_object();
    set(j, "name", jsonx_new_text(name));
    set(j, "first", pair("ttr", p->first_ttr, "missed", p->first_miss));
    set(j, "total", pair("ttr", p->total_ttr, "missed", p->total_miss));
    if (promised && p->no_time.differs)
        set(j, "no_time", pair("missed", p->no_time.missed, "change", p->no_time.change));
    if (promised && p->sure.differs)
        set(j, "sure", pair("missed", p->sure.missed, "change", p->sure.change));
    set(j, "on_path", analysis_new_estimate(p->on_path));
    set(j, "on_missed_path", analysis_new_estimate(p->on_missed_path));
    set(j, "time_share", analysis_new_number(p->time_share));
    return j;
}

json_t *analysis_luck(const struct scenario *s, const struct why *w)
{
    json_t *services = json_object();
    for (size_t i = 0; i < w->services_n; i++) {
        const struct why_service *v = &w->services[i];
        const struct service *service = s->services.items[v->service];
        bool promised = nsec_is_set(service->rto);
        json_t *j = json_object(), *parts = json_array();
        set(j, "missed", promised ? analysis_new_estimate(v->missed) : json_null());
        set(j, "affected", count(v->affected));
        set(j, "interaction", pair("ttr", v->rest_ttr, "missed", v->rest_miss));
        for (size_t k = 0; k < w->parts_n; k++)
            json_array_append_new(parts, part_json(w->names[k], &v->parts[k], promised));
        set(j, "parts", parts);
        set(services, service->name, j);
    }
    json_t *j = json_object();
    set(j, "what", json_string("luck"));
    set(j, "trials", count(w->trials));
    set(j, "services", services);
    return j;
}

json_t *analysis_assumptions(const struct assumed *a, const struct service *const *services,
                             size_t trials, json_t *group_json)
{
    json_t *all = json_object(), *j = json_object();
    for (size_t i = 0; i < a->services; i++) {
        const struct assumed_service *v = &a->service[i];
        json_t *s = json_object(), *groups = json_array();
        set(s, "within", analysis_new_estimate(v->within));
        set(s, "ttr_s", analysis_new_estimate(v->ttr));
        set(s, "middle", analysis_new_point(v->middle));
        set(s, "interaction", pair("within", v->rest_within, "ttr", v->rest_ttr));
        for (size_t g = 0; g < a->groups; g++) {
            const struct assumed_group *p = &v->groups[g];
            json_t *one = json_object();
            set(one, "first", pair("within", p->first_within, "ttr", p->first_ttr));
            set(one, "total", pair("within", p->total_within, "ttr", p->total_ttr));
            set(one, "low", analysis_new_point(p->low));
            set(one, "high", analysis_new_point(p->high));
            json_array_append_new(groups, one);
        }
        set(s, "groups", groups);
        set(all, services[i]->name, s);
    }
    set(j, "what", json_string("assumptions"));
    set(j, "trials", count(trials));
    set(j, "draws", count(2 * ASSUMED_DRAWS));
    set(j, "groups", group_json);
    set(j, "services", all);
    return j;
}

json_t *analysis_numbers(const struct versus_numbers *n, const struct versus *v)
{
    json_t *j = json_object();
    set(j, "within", analysis_new_estimate(n->within));
    set(j, "hit", count(n->hit));
    set(j, "ttr_median_s", analysis_new_time(n->ttr_median));
    set(j, "ttr_p90_s", analysis_new_time(n->ttr_q90));
    set(j, "noticed", json_pack("[I,I]", (json_int_t)n->noticed, (json_int_t)n->notice_due));
    set(j, "ttd_mean_s", analysis_new_number(n->ttd_mean / 1e9));
    set(j, "ttd_median_s", analysis_new_time(n->ttd_median));
    set(j, "ttd_p90_s", analysis_new_time(n->ttd_q90));
    set(j, "false_alarms", count(n->false_alarms));
    set(j, "false_alarm", analysis_new_estimate(n->false_alarm));
    if (v) {
        set(j, "change", analysis_new_estimate(v->within));
        set(j, "ttr_ratio", analysis_new_estimate(v->ttr));
    }
    return j;
}

json_t *analysis_held(const struct held *h)
{
    json_t *j = json_object();
    set(j, "verdict", json_string(held_words[h->verdict]));
    set(j, "drills", count(h->n));
    set(j, "above_median", count(h->above_median));
    set(j, "above_p90", count(h->above_q90));
    set(j, "below_median", count(h->below_median));
    set(j, "p_above_median", analysis_new_number(h->p_median));
    set(j, "p_above_p90", analysis_new_number(h->p_q90));
    set(j, "p_below_median", analysis_new_number(h->p_below));
    set(j, "median_s",
        h->median == HELD_BELOW ? json_string("unaffected") : analysis_new_time(h->median));
    set(j, "p90_s", h->q90 == HELD_BELOW ? json_string("unaffected") : analysis_new_time(h->q90));
    set(j, "power_twice", h->n ? analysis_new_number(h->power_twice) : json_null());
    set(j, "factor", h->factor > 0 ? analysis_new_number(h->factor) : json_null());
    return j;
}

json_t *analysis_rare(const struct scenario *s, const struct rare *found, uint64_t trials)
{
    json_t *services = json_object();
    for (size_t i = 0; i < s->services.n; i++) {
        const struct service *v = s->services.items[i];
        const struct rare *r = &found[i];
        double half = 1.959964 * r->se;
        if (!nsec_is_set(v->rto))
            continue;
        json_t *missed =
            r->effective < RARE_EFFECTIVE
                ? json_null()
                : json_pack("[f,f,f]", r->p, r->p > half ? r->p - half : 0, r->p + half);
        json_object_set_new(services, v->name,
                            json_pack("{s:o,s:I,s:f}", "missed", missed, "hits",
                                      (json_int_t)r->missed, "effective", r->effective));
    }
    return json_pack("{s:s,s:I,s:o}", "what", "rare", "trials", (json_int_t)trials, "services",
                     services);
}
