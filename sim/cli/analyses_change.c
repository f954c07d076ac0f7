/* What if: variants, sweeps, and the cheapest change that is enough. */
#include "sim/cli/analyses.h"

#include "sim/base/cleanup.h"
#include "sim/base/jsonx.h"
#include "sim/base/units.h"
#include "sim/forecast/analysis.h"
#include "sim/forecast/lever.h"

#include <errno.h>
#include <string.h>

#define COMPARED_MOST 20000 /* trials of each side */
#define COMPARED_LEAST 1000
#define SEARCH_MOST 10000
#define REQUIRED 0.95 /* unless the scenario demonstrates something */

static size_t compared_trials(const struct analyses *a)
{
    return a->trials > COMPARED_MOST    ? COMPARED_MOST
           : a->trials < COMPARED_LEAST ? COMPARED_LEAST
                                        : (size_t)a->trials;
}

/* Each judged service in a sample, against the scenario as it is (NULL: it is). */
static int services_json(const struct analyses *a, const struct scenario *changed,
                         const struct sample *base, const struct sample *s, json_t **ret,
                         struct err *err)
{
    AUTO_JSON *all = json_object();
    for (size_t i = 0; i < a->services_n; i++) {
        const struct service *promise = changed->services.items[a->services[i]];
        struct versus_numbers n;
        struct versus v;
        versus_count(s, i, promise, &n);
        /* one promise for both, or the promise would be what differs */
        int rc = base ? versus_compare(base, s, i, a->promises[i], &v, err) : 0;
        if (rc < 0)
            return rc;
        if (base && promise->rto != a->promises[i]->rto)
            v.within = ESTIMATE_NONE;
        json_object_set_new(all, promise->name, analysis_numbers(&n, base ? &v : NULL));
    }
    *ret = json_incref(all);
    return 0;
}

/* Plays the scenario with these changes and adds its services to `to`. */
static int changed_json(const struct analyses *a, char *const *sets, size_t n,
                        const struct sample *base, json_t *to, struct sample *ret_sample,
                        struct err *err)
{
    struct changed c;
    struct sample s;
    json_t *services = NULL;
    int rc = changed_new(a, sets, n, NULL, NULL, &c, err);
    if (rc < 0)
        return rc;
    rc = changed_play(a, &c, a->seed, compared_trials(a), &s, err);
    if (rc == 0) {
        rc = services_json(a, c.scenario, base, &s, &services, err);
        if (rc == 0)
            json_object_set_new(to, "services", services);
        if (rc == 0 && ret_sample)
            *ret_sample = s;
        else
            sample_done(&s);
    }
    changed_done(&c);
    return rc;
}

static json_t *line_new(const struct analyses *a, const char *what)
{
    return json_pack("{s:s,s:I}", "what", what, "trials", (json_int_t)compared_trials(a));
}

int analyses_variants(struct record *r, const struct analyses *a, struct err *err)
{
    const struct objects *variants = &a->scenario->assumptions->variants;
    if (!variants->n)
        return 0;
    struct sample base;
    AUTO_JSON *list = json_array();
    json_t *first = json_pack("{s:s,s:{}}", "name", "as it is", "set");
    json_array_append_new(list, first);
    int rc = changed_json(a, NULL, 0, NULL, first, &base, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < variants->n && rc == 0; i++) {
        const struct variant_set *v = variants->items[i];
        AUTO_FREE char **sets = calloc(v->set.n + 1, sizeof *sets);
        if (!sets)
            abort();
        json_t *one = json_object(), *set = json_object();
        json_array_append_new(list, one);
        json_object_set_new(one, "name", jsonx_new_text(v->name));
        if (v->title)
            json_object_set_new(one, "title", jsonx_new_text(v->title));
        for (size_t k = 0; k < v->set.n; k++) {
            const struct pair *p = &v->set.items[k];
            sets[k] = arena_printf(a->arena, "%s=%s", p->key, p->value);
            json_object_set_new(set, p->key, jsonx_new_text(p->value));
        }
        json_object_set_new(one, "set", set);
        rc = changed_json(a, sets, v->set.n, &base, one, NULL, err);
    }
    sample_done(&base);
    if (rc < 0)
        return rc;
    json_t *line = line_new(a, "variants");
    json_object_set(line, "variants", list);
    return analyses_line(r, line, err);
}

/* A value on an axis: seconds, or what else it is a number of. */
static bool number_of(const char *text, double *ret, const char **ret_unit)
{
    nsec t;
    if (units_duration(text, &t, NULL) == 0) {
        *ret = (double)t / 1e9;
        *ret_unit = "s";
        return true;
    }
    if (units_percent(text, ret, NULL) == 0) {
        *ret *= 100;
        *ret_unit = "%";
        return true;
    }
    *ret_unit = "";
    return units_decimal(text, ret, NULL) == 0;
}

static int sweep_write(struct record *r, const struct analyses *a, const struct sweep *w,
                       struct err *err)
{
    AUTO_JSON *line = line_new(a, "sweep");
    json_t *values = json_array();
    struct sample base = {0};
    int rc = changed_json(a, NULL, 0, NULL, line, &base, err);
    json_object_set_new(line, "path", jsonx_new_text(w->path));
    json_object_set_new(line, "values", values);
    for (size_t i = 0; i < w->values.n && rc == 0; i++) {
        char *set = arena_printf(a->arena, "%s=%s", w->path, w->values.items[i]);
        json_t *one = json_object();
        double number;
        const char *unit;
        json_array_append_new(values, one);
        json_object_set_new(one, "value", jsonx_new_text(w->values.items[i]));
        if (number_of(w->values.items[i], &number, &unit)) {
            json_object_set_new(one, "number", json_real(number));
            json_object_set_new(one, "unit", json_string(unit));
        }
        rc = changed_json(a, &set, 1, &base, one, NULL, err);
    }
    sample_done(&base);
    return rc < 0 ? rc : analyses_line(r, json_incref(line), err);
}

int analyses_sweeps(struct record *r, const struct analyses *a, struct err *err)
{
    for (size_t i = 0; i < a->sweeps_n; i++) {
        int rc = sweep_write(r, a, &a->sweeps[i], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- the cheapest change ---- */

struct search {
    const struct analyses *a;
    size_t service;             /* among the judged ones */
    const struct lever *levers; /* of the scenario as it is */
    size_t lever;
    double change;
    struct buf *then; /* NULL: not asked */
};

static void move_lever(struct scenario *s, void *data)
{
    struct search *q = data;
    const struct lever *levers;
    if (q->lever >= lever_list(s, &levers))
        return;
    lever_move(s, &levers[q->lever], q->change);
    if (q->then)
        lever_text(&levers[q->lever], q->then);
}

static double search_most(size_t i, void *data)
{
    return ((const struct search *)data)->levers[i].most;
}

static int search_within(size_t i, double change, uint64_t seed, size_t trials, void *data,
                         struct estimate *ret, struct err *err)
{
    struct search *q = data;
    struct changed c;
    struct sample s;
    struct versus_numbers n;
    q->lever = i;
    q->change = change;
    int rc = changed_new(q->a, NULL, 0, move_lever, q, &c, err);
    if (rc < 0)
        return rc;
    rc = changed_play(q->a, &c, seed, trials, &s, err);
    if (rc == 0) {
        versus_count(&s, q->service, q->a->promises[q->service], &n);
        *ret = n.within;
        sample_done(&s);
    }
    changed_done(&c);
    return rc;
}

static int cheapest_json(const struct analyses *a, const struct lever *levers, size_t n, size_t at,
                         double required, json_t **ret, struct err *err)
{
    struct search search = {.a = a, .service = at, .levers = levers};
    struct cheapest c;
    const struct cheapest_request q = {.n = n,
                                       .most = search_most,
                                       .within = search_within,
                                       .data = &search,
                                       .required = required,
                                       .seed = a->seed,
                                       .trials = a->trials > SEARCH_MOST      ? SEARCH_MOST
                                                 : a->trials < COMPARED_LEAST ? COMPARED_LEAST
                                                                              : a->trials};
    int rc = cheapest_find(&q, &c, err);
    if (rc < 0)
        return rc;
    json_t *j =
        json_pack("{s:f,s:b,s:I}", "required", required, "found", c.found, "tried", (json_int_t)n);
    if (c.found) {
        AUTO_BUF now = BUF_INIT, then = BUF_INIT;
        struct changed after;
        search.lever = c.i;
        search.change = c.change;
        search.then = &then;
        lever_text(&levers[c.i], &now);
        rc = changed_new(a, NULL, 0, move_lever, &search, &after, err);
        if (rc < 0) {
            json_decref(j);
            return rc;
        }
        changed_done(&after);
        json_object_set_new(j, "name", jsonx_new_text(levers[c.i].name));
        json_object_set_new(j, "kind",
                            json_string(levers[c.i].kind == LEVER_CHANCE ? "chance" : "duration"));
        json_object_set_new(j, "change", analysis_new_number(c.change));
        json_object_set_new(j, "now", jsonx_new_text(buf_text(&now)));
        json_object_set_new(j, "then", jsonx_new_text(buf_text(&then)));
        json_object_set_new(j, "within", analysis_new_estimate(c.within));
    }
    *ret = j;
    return 0;
}

/* Only of services that do not keep their RTO as things are. */
int analyses_cheapest(struct record *r, const struct analyses *a, struct err *err)
{
    double required = a->scenario->demonstrate ? a->scenario->demonstrate->reliability : REQUIRED;
    const struct lever *levers;
    struct changed c;
    struct sample s;
    int rc = changed_new(a, NULL, 0, NULL, NULL, &c, err);
    if (rc < 0)
        return rc;
    rc = changed_play(a, &c, a->seed, compared_trials(a), &s, err);
    if (rc < 0) {
        changed_done(&c);
        return rc;
    }
    size_t n = lever_list(c.scenario, &levers);
    AUTO_JSON *services = json_object();
    for (size_t i = 0; i < a->services_n && rc == 0; i++) {
        struct versus_numbers v;
        json_t *one = NULL;
        versus_count(&s, i, a->promises[i], &v);
        if (!v.has_rto || v.within.lo >= required)
            continue;
        rc = cheapest_json(a, levers, n, i, required, &one, err);
        if (rc == 0)
            json_object_set_new(services, a->promises[i]->name, one);
    }
    sample_done(&s);
    changed_done(&c);
    if (rc < 0 || !json_object_size(services))
        return rc;
    json_t *line = line_new(a, "cheapest");
    json_object_set(line, "services", services);
    return analyses_line(r, line, err);
}
