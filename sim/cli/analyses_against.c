/* What was measured: held against the forecast, fitted, and drawn from. */
#include "sim/cli/analyses.h"

#include "reports/fit.h"
#include "sim/base/cleanup.h"
#include "sim/base/jsonx.h"
#include "sim/forecast/analysis.h"

#include <errno.h>
#include <string.h>

#define FORECAST_MOST 20000 /* trials of the forecast that drills are held against */

static nsec middle(struct span s)
{
    return s.lo + (s.hi - s.lo) / 2;
}

static const struct measured_service *service_of(const struct measured_trial *t, const char *name)
{
    for (size_t i = 0; i < t->services_n; i++)
        if (!strcmp(t->services[i].name, name))
            return &t->services[i];
    return NULL;
}

/* Calls fn for the service in each trial of each drill. */
typedef void trial_fn(const struct measured *m, const struct measured_trial *t,
                      const struct measured_service *s, void *data);
static void each_trial(struct measured *const *drills, size_t n, const char *service, trial_fn *fn,
                       void *data)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < drills[i]->trials_n; k++) {
            const struct measured_service *s = service_of(&drills[i]->trials[k], service);
            if (s)
                fn(drills[i], &drills[i]->trials[k], s, data);
        }
}

static size_t trials_of(struct measured *const *drills, size_t n)
{
    size_t all = 0;
    for (size_t i = 0; i < n; i++)
        all += drills[i]->trials_n;
    return all;
}

/* ---- drawn from ---- */

struct feed {
    nsec *values;
    size_t n, never; /* never: not restored by itself */
};

static void feed_take(const struct measured *m, const struct measured_trial *t,
                      const struct measured_service *s, void *data)
{
    struct feed *f = data;
    if (s->unaffected || !span_is_set(s->outage))
        return;
    if (s->heal || s->outage.hi == NSEC_INF)
        f->never++;
    else
        f->values[f->n++] = middle(s->outage) > 0 ? middle(s->outage) : 0;
}

/* The drills of `from` that are left; a service without any has nothing to draw from. */
static int feed_service(const struct analyses *a, struct scenario *s, struct service_model *m,
                        struct err *err)
{
    struct feed f = {.values =
                         arena_alloc(s->arena, (trials_of(a->fed, a->fed_n) + 1) * sizeof(nsec))};
    each_trial(a->fed, a->fed_n, m->service, feed_take, &f);
    if (!f.n)
        return err_set(err, EINVAL,
                       "model.%s.from: in none of these drills %s was seen to come back%s",
                       m->service, m->service, args_has(a->args, "holdout") ? " (--holdout)" : "");
    struct distribution *d = arena_alloc(s->arena, sizeof *d);
    *d = (struct distribution){.kind = DISTRIBUTION_EMPIRICAL,
                               .least = NSEC_UNSET,
                               .most = NSEC_UNSET,
                               .values = f.values,
                               .values_n = f.n};
    struct stage *stage = arena_alloc(s->arena, sizeof *stage);
    *stage = (struct stage){.name = arena_strdup(s->arena, "measured"),
                            .place = m->place,
                            .start = STAGE_AT_IMPACT,
                            .takes = d,
                            .ttl = NSEC_UNSET,
                            .clients = 1,
                            .works = (double)f.n / (double)(f.n + f.never)};
    m->restore.items = arena_alloc(s->arena, sizeof *m->restore.items);
    m->restore.items[0] = stage;
    m->restore.n = 1;
    return 0;
}

int analyses_feed(const struct analyses *a, struct scenario *s, struct err *err)
{
    for (size_t i = 0; i < s->assumed.services.n; i++) {
        struct service_model *m = s->assumed.services.items[i];
        int rc = m->from.n ? feed_service(a, s, m, err) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- held against ---- */

struct holding {
    const struct service *service;
    bool detection; /* time to detect; else time to restore */
    struct held_drill *drills;
    size_t n;
};

static void holding_take(const struct measured *m, const struct measured_trial *t,
                         const struct measured_service *s, void *data)
{
    struct holding *h = data;
    struct held_drill d = {.seed = m->seed, .trial = (uint64_t)t->n};
    if (h->detection)
        d.time = s->ttd;
    else if (s->unaffected)
        d.unaffected = true;
    else
        d.time = s->ttr_clock[h->service->rto_clock];
    if (d.unaffected || span_is_set(d.time))
        h->drills[h->n++] = d;
}

/* What the forecast says of the same. */
static size_t forecast_of(const struct holding *h, const struct sample *s, size_t at, nsec *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct outcome *o = sample_at(s, i, at);
        bool heal = o->by == OUTCOME_BY_HEAL && !h->service->heal_counts;
        if (h->detection) {
            if (nsec_is_set(o->ttd))
                ret[n++] = o->ttd;
        } else if (o->kind == OUTCOME_IS_UNAFFECTED) {
            ret[n++] = HELD_BELOW;
        } else if (o->kind == OUTCOME_IS_CENSORED || heal) {
            ret[n++] = NSEC_INF;
        } else if (o->kind == OUTCOME_IS_RESTORED && nsec_is_set(o->ttr)) {
            ret[n++] = o->ttr;
        }
    }
    estimate_sort(ret, n);
    return n;
}

static json_t *held_json(const struct analyses *a, const struct sample *s, size_t at,
                         bool detection)
{
    size_t trials = trials_of(a->drills, a->drills_n);
    AUTO_FREE nsec *forecast = calloc(s->n + 1, sizeof *forecast);
    AUTO_FREE struct held_drill *drills = calloc(trials + 1, sizeof *drills);
    if (!forecast || !drills)
        abort();
    struct holding h = {.service = a->promises[at], .detection = detection, .drills = drills};
    each_trial(a->drills, a->drills_n, h.service->name, holding_take, &h);
    size_t n = forecast_of(&h, s, at, forecast);
    if (!h.n || !n)
        return json_null();
    struct held held;
    held_against(forecast, n, drills, h.n, &held);
    held_power(forecast, n, &held);
    return analysis_held(&held);
}

/* ---- fitted ---- */

struct fitting {
    struct fit_value *v;
    size_t n;
    bool detection;
};

static void fitting_take(const struct measured *m, const struct measured_trial *t,
                         const struct measured_service *s, void *data)
{
    struct fitting *f = data;
    struct span time = f->detection ? s->ttd : s->outage;
    if (s->unaffected || !span_is_set(time))
        return;
    bool censored = time.hi == NSEC_INF || (!f->detection && s->heal);
    nsec at = censored ? time.lo : middle(time);
    if (at > 0)
        f->v[f->n++] = (struct fit_value){at, censored};
}

static json_t *fit_json(const struct analyses *a, const char *service, bool detection)
{
    AUTO_FREE struct fit_value *v = calloc(trials_of(a->drills, a->drills_n) + 1, sizeof *v);
    if (!v)
        abort();
    struct fitting all = {.v = v, .detection = detection};
    struct fit f;
    each_trial(a->drills, a->drills_n, service, fitting_take, &all);
    fit_best(v, all.n, &f);
    if (f.kind == FIT_NONE)
        return json_null();
    AUTO_BUF yaml = BUF_INIT;
    fit_yaml(&f, &yaml);
    json_t *parameters = json_array();
    for (size_t i = 0; i < f.parameters_n; i++) {
        const struct fit_parameter *p = &f.parameters[i];
        double by = strcmp(p->name, "shape") ? 1e9 : 1;
        struct estimate e = {p->value / by, p->lo / by, p->hi / by};
        json_array_append_new(
            parameters, json_pack("{s:s,s:o}", "name", p->name, "value", analysis_new_estimate(e)));
    }
    return json_pack("{s:s,s:I,s:I,s:o,s:s}", "kind", fit_words[f.kind], "n", (json_int_t)f.n,
                     "censored", (json_int_t)f.censored, "parameters", parameters, "yaml",
                     buf_text(&yaml));
}

static json_t *drills_json(struct measured *const *drills, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list,
                              json_pack("{s:o,s:s,s:s,s:I}", "dir",
                                        jsonx_new_text(text_basename(drills[i]->dir)), "scenario",
                                        drills[i]->name, "digest", drills[i]->digest, "trials",
                                        (json_int_t)drills[i]->trials_n));
    return list;
}

int analyses_drawn(struct record *r, const struct analyses *a, struct err *err)
{
    return analyses_line(
        r, json_pack("{s:s,s:o}", "what", "drawn", "drills", drills_json(a->fed, a->fed_n)), err);
}

int analyses_against(struct record *r, const struct analyses *a, struct err *err)
{
    struct changed c;
    struct sample s;
    int rc = changed_new(a, NULL, 0, NULL, NULL, &c, err);
    if (rc < 0)
        return rc;
    rc = changed_play(a, &c, a->seed, a->trials < FORECAST_MOST ? a->trials : FORECAST_MOST, &s,
                      err);
    changed_done(&c);
    if (rc < 0)
        return rc;
    json_t *services = json_object();
    for (size_t i = 0; i < a->services_n; i++) {
        const char *name = a->promises[i]->name;
        json_object_set_new(services, name,
                            json_pack("{s:o,s:o,s:o,s:o}", "ttr", held_json(a, &s, i, false), "ttd",
                                      held_json(a, &s, i, true), "fit_outage",
                                      fit_json(a, name, false), "fit_ttd",
                                      fit_json(a, name, true)));
    }
    json_t *line = json_pack("{s:s,s:I,s:o,s:o,s:o}", "what", "against", "trials", (json_int_t)s.n,
                             "drills", drills_json(a->drills, a->drills_n), "drawn_from",
                             drills_json(a->fed, a->fed_n), "services", services);
    sample_done(&s);
    return analyses_line(r, line, err);
}
