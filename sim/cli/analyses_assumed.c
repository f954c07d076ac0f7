/* What the forecast owes to its assumptions: those given as ranges, else each a little off. */
#include "sim/cli/analyses.h"

#include "sim/base/cleanup.h"
#include "sim/base/jsonx.h"
#include "sim/forecast/analysis.h"
#include "sim/forecast/lever.h"

#include <math.h>
#include <string.h>

#define OFF 0.25
#define LEVERS_MOST 32
#define TRIALS_MOST 5000
#define TRIALS_LEAST 200

struct parameters {
    const struct analyses *a;
    const struct objects *uncertain;
    size_t *parameter_of, parameters; /* by uncertain: those of one place are one parameter */
    size_t *group_of, groups;         /* by parameter */
    char **names;                     /* of groups */
    size_t trials;
};

static size_t trials_for(const struct analyses *a, size_t forecasts)
{
    uint64_t n = a->trials / (forecasts ? forecasts : 1);
    return n > TRIALS_MOST ? TRIALS_MOST : n < TRIALS_LEAST ? TRIALS_LEAST : (size_t)n;
}

/* The mean as a sum of whole numbers; what was not restored counts with the horizon. */
static void points_of(const struct analyses *a, const struct sample *s, struct assumed_point *ret)
{
    for (size_t k = 0; k < a->services_n; k++) {
        sample_time sum = 0;
        size_t missed = 0;
        for (size_t i = 0; i < s->n; i++) {
            const struct outcome *o = sample_at(s, i, k);
            nsec t = o->kind == OUTCOME_IS_RESTORED && nsec_is_set(o->ttr) ? o->ttr : 0;
            if (o->kind == OUTCOME_IS_CENSORED || t > a->scenario->horizon)
                t = a->scenario->horizon;
            sum += t > 0 ? (uint64_t)t : 0;
            missed += sample_missed(o, a->promises[k]);
        }
        ret[k] = (struct assumed_point){.within = nsec_is_set(a->promises[k]->rto)
                                                      ? (double)(s->n - missed) / (double)s->n
                                                      : (double)NAN,
                                        .ttr = (double)sum / (double)s->n / 1e9};
    }
}

static int points_play(const struct analyses *a, char *const *sets, size_t n,
                       void (*edit)(struct scenario *s, void *data), void *data, size_t trials,
                       struct assumed_point *ret, struct err *err)
{
    struct changed c;
    struct sample s;
    int rc = changed_new(a, sets, n, edit, data, &c, err);
    if (rc < 0)
        return rc;
    rc = changed_play(a, &c, a->seed, trials, &s, err);
    if (rc == 0) {
        points_of(a, &s, ret);
        sample_done(&s);
    }
    changed_done(&c);
    return rc;
}

/* ---- ranges ---- */

static bool same_place(struct place x, struct place y)
{
    return x.line && x.line == y.line && x.col == y.col && !strcmp(x.file, y.file);
}

/* "model.shop.restore.failover" of "model.shop.restore.failover.lognormal.median": parameters of one
 * distribution depend on each other. Of anything else: itself. */
static char *group_name(const struct analyses *a, const char *path)
{
    static const char *const words[] = {"uniform", "normal",     "lognormal", "gamma",
                                        "weibull", "triangular", "pert"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        AUTO_BUF part = BUF_INIT;
        buf_printf(&part, ".%s.", words[i]);
        const char *at = strstr(path, buf_text(&part));
        if (at)
            return arena_strndup(a->arena, path, (size_t)(at - path));
    }
    return arena_strdup(a->arena, path);
}

static void group_all(struct parameters *p)
{
    size_t n = p->uncertain->n;
    const struct analyses *a = p->a;
    p->parameter_of = arena_alloc(a->arena, n * sizeof *p->parameter_of);
    p->group_of = arena_alloc(a->arena, n * sizeof *p->group_of);
    p->names = arena_alloc(a->arena, n * sizeof *p->names);
    for (size_t i = 0; i < n; i++) {
        const struct uncertain *u = p->uncertain->items[i];
        size_t same = 0, g = 0;
        while (same < i &&
               !same_place(u->place, ((const struct uncertain *)p->uncertain->items[same])->place))
            same++;
        if (same < i) {
            p->parameter_of[i] = p->parameter_of[same];
            continue;
        }
        char *name = group_name(a, u->path);
        while (g < p->groups && strcmp(p->names[g], name))
            g++;
        if (g == p->groups)
            p->names[p->groups++] = name;
        p->group_of[p->parameters] = g;
        p->parameter_of[i] = p->parameters++;
    }
}

static json_t *groups_json(const struct parameters *p)
{
    json_t *groups = json_array();
    for (size_t g = 0; g < p->groups; g++) {
        json_t *list = json_array();
        for (size_t i = 0; i < p->uncertain->n; i++) {
            const struct uncertain *u = p->uncertain->items[i];
            char low[UNCERTAIN_TEXT_MAX], high[UNCERTAIN_TEXT_MAX];
            if (p->group_of[p->parameter_of[i]] == g)
                json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "path", u->path, "low",
                                                      uncertain_text(u, 0, low), "high",
                                                      uncertain_text(u, 1, high)));
        }
        json_array_append_new(groups,
                              json_pack("{s:s,s:o}", "name", p->names[g], "parameters", list));
    }
    return groups;
}

static int forecast_at(const double *u, void *data, struct assumed_point *ret, struct err *err)
{
    const struct parameters *p = data;
    size_t n = p->uncertain->n;
    AUTO_FREE char **sets = calloc(n + 1, sizeof *sets);
    if (!sets)
        abort();
    for (size_t i = 0; i < n; i++) {
        const struct uncertain *c = p->uncertain->items[i];
        char text[UNCERTAIN_TEXT_MAX];
        AUTO_BUF set = BUF_INIT;
        buf_printf(&set, "%s=%s", c->path, uncertain_text(c, u[p->parameter_of[i]], text));
        sets[i] = buf_steal(&set);
    }
    int rc = points_play(p->a, sets, n, NULL, NULL, p->trials, ret, err);
    for (size_t i = 0; i < n; i++)
        free(sets[i]);
    return rc;
}

static int write_ranges(struct record *r, const struct analyses *a, struct err *err)
{
    struct parameters p = {.a = a, .uncertain = &a->scenario->assumptions->uncertain};
    struct assumed result;
    group_all(&p);
    p.trials = trials_for(a, ASSUMED_DRAWS * (p.groups + 2));
    const struct assumed_request q = {.parameters = p.parameters,
                                      .groups = p.groups,
                                      .services = a->services_n,
                                      .group = p.group_of,
                                      .forecast = forecast_at,
                                      .data = &p,
                                      .seed = a->seed};
    int rc = assumed_analyse(&q, &result, err);
    if (rc < 0)
        return rc;
    rc = analyses_line(r, analysis_assumptions(&result, a->promises, p.trials, groups_json(&p)),
                       err);
    assumed_done(&result);
    return rc;
}

/* ---- single values, each a little off ---- */

struct off {
    size_t lever;
    double change;
};

static void move(struct scenario *s, void *data)
{
    const struct off *o = data;
    const struct lever *levers;
    if (o->lever < lever_list(s, &levers))
        lever_move(s, &levers[o->lever], o->change);
}

/* Chances are told by what fails: a quarter less of it is better. */
static int write_levers(struct record *r, const struct analyses *a, struct err *err)
{
    const struct lever *levers;
    struct changed c;
    size_t services = a->services_n;
    int rc = changed_new(a, NULL, 0, NULL, NULL, &c, err);
    if (rc < 0)
        return rc;
    size_t n = lever_list(c.scenario, &levers);
    n = n > LEVERS_MOST ? LEVERS_MOST : n;
    size_t trials = trials_for(a, 2 * n + 1);
    AUTO_FREE struct assumed_point *points = calloc((2 * n + 1) * services, sizeof *points);
    if (!points)
        abort();
    struct off o = {0};
    rc = points_play(a, NULL, 0, NULL, NULL, trials, points, err);
    for (size_t i = 0; i < 2 * n && rc == 0; i++) {
        o = (struct off){i / 2, i % 2 ? -OFF : OFF};
        rc = points_play(a, NULL, 0, move, &o, trials, &points[(i + 1) * services], err);
    }
    AUTO_JSON *all = json_object();
    for (size_t k = 0; k < services && rc == 0; k++) {
        json_t *list = json_array();
        for (size_t i = 0; i < n; i++) {
            AUTO_BUF now = BUF_INIT;
            lever_text(&levers[i], &now);
            json_array_append_new(
                list, json_pack("{s:s,s:s,s:s,s:o,s:o}", "name", levers[i].name, "kind",
                                levers[i].kind == LEVER_CHANCE ? "chance" : "duration", "now",
                                buf_text(&now), "less",
                                analysis_new_point(points[(2 * i + 1) * services + k]), "more",
                                analysis_new_point(points[(2 * i + 2) * services + k])));
        }
        json_object_set_new(
            all, a->promises[k]->name,
            json_pack("{s:o,s:o}", "middle", analysis_new_point(points[k]), "levers", list));
    }
    changed_done(&c);
    if (rc < 0 || n == 0)
        return rc;
    return analyses_line(r,
                         json_pack("{s:s,s:I,s:f,s:O}", "what", "lever", "trials",
                                   (json_int_t)trials, "change", OFF, "services", all),
                         err);
}

int analyses_assumptions(struct record *r, const struct analyses *a, struct err *err)
{
    return a->scenario->assumptions->uncertain.n ? write_ranges(r, a, err)
                                                 : write_levers(r, a, err);
}
