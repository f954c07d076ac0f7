/* What `forecast` finds out besides its trials. See analyses.h. */
#include "sim/cli/analyses.h"

#include "scenarios/scenario.h"
#include "sim/base/cleanup.h"
#include "sim/forecast/analysis.h"

#include <errno.h>
#include <string.h>

#define SERVICES_MOST 16 /* judged ones that are looked into */
#define WHY_SERVICES_MOST 1000
#define LUCK_MOST 20000 /* trials of each kind */
#define LUCK_LEAST 400

int analyses_line(struct record *r, json_t *line, struct err *err)
{
    return record_write(r, "analysis", record_origin(r), line, err);
}

/* ---- options ---- */

/* Commas that separate stand outside of brackets, braces and quotes. */
static void split_values(struct analyses *a, const char *text, struct strv *ret)
{
    size_t n = 1;
    for (const char *p = text; *p; p++)
        n += *p == ',';
    ret->items = arena_alloc(a->arena, n * sizeof *ret->items);
    int depth = 0;
    char quote = 0;
    const char *from = text;
    for (const char *p = text;; p++) {
        if (!*p || (*p == ',' && !depth && !quote)) {
            ret->items[ret->n++] = arena_strndup(a->arena, from, (size_t)(p - from));
            from = p + 1;
        }
        if (!*p)
            return;
        if (quote)
            quote = *p == quote ? 0 : quote;
        else if (*p == '"' || *p == '\'')
            quote = *p;
        else if (strchr("[{", *p))
            depth++;
        else if (strchr("]}", *p) && depth)
            depth--;
    }
}

static int read_sweeps(struct analyses *a)
{
    const struct strv *given = args_all(a->args, "sweep");
    a->sweeps = arena_alloc(a->arena, (given->n + 1) * sizeof *a->sweeps);
    for (size_t i = 0; i < given->n; i++) {
        const char *text = given->items[i], *equals = strchr(text, '=');
        struct sweep *s = &a->sweeps[a->sweeps_n++];
        if (equals && equals > text) {
            s->path = arena_strndup(a->arena, text, (size_t)(equals - text));
            split_values(a, equals + 1, &s->values);
        }
        if (s->values.n < 2)
            return say_error(EXIT_BAD_INPUT,
                             "--sweep %s: write PATH=A,B,..., with at least two values", text);
    }
    return EXIT_MET;
}

/* ---- drills ---- */

static bool is_among(struct measured *const *all, size_t n, const char *digest)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(all[i]->digest, digest))
            return true;
    return false;
}

static int read_drill(const char *dir, struct measured **all, size_t *n)
{
    struct err err = ERR_INIT;
    struct measured *m = NULL;
    if (measured_read(dir, &m, &err) < 0)
        return say_error(EXIT_BAD_INPUT, "%s", err.text);
    if (is_among(all, *n, m->digest)) /* named twice, or a copy */
        measured_free(m);
    else
        all[(*n)++] = m;
    return EXIT_MET;
}

static int read_against(struct analyses *a)
{
    const struct strv *given = args_all(a->args, "against"), *rest = &a->args->rest;
    int code = EXIT_MET;
    if (!given->n && rest->n > 1)
        return say_error(EXIT_BAD_INPUT, "one FILE at a time; drills to compare with: --against %s",
                         rest->items[1]);
    a->drills = arena_alloc(a->arena, (given->n + rest->n + 1) * sizeof(struct measured *));
    for (size_t i = 0; i < given->n && code == EXIT_MET; i++)
        code = read_drill(given->items[i], a->drills, &a->drills_n);
    for (size_t i = 1; i < rest->n && code == EXIT_MET; i++)
        code = read_drill(rest->items[i], a->drills, &a->drills_n);
    return code;
}

/* Folders that a model names stand beside its file. */
static const char *beside(const struct analyses *a, const char *dir)
{
    const char *slash = strrchr(a->path, '/');
    if (*dir == '/' || !slash)
        return dir;
    return arena_printf(a->arena, "%.*s/%s", (int)(slash - a->path), a->path, dir);
}

static int read_fed(struct analyses *a)
{
    const struct objects *models = &a->scenario->assumptions->services;
    size_t n = 0;
    int code = EXIT_MET;
    for (size_t i = 0; i < models->n; i++)
        n += ((const struct service_model *)models->items[i])->from.n;
    a->fed = arena_alloc(a->arena, (n + 1) * sizeof(struct measured *));
    for (size_t i = 0; i < models->n; i++) {
        const struct service_model *m = models->items[i];
        for (size_t k = 0; k < m->from.n && code == EXIT_MET; k++)
            code = read_drill(beside(a, m->from.items[k]), a->fed, &a->fed_n);
    }
    return code;
}

/* A drill that fed the model agrees with it by construction. */
static int keep_apart(struct analyses *a)
{
    bool holdout = args_has(a->args, "holdout");
    for (size_t i = 0; i < a->drills_n; i++) {
        const struct measured *d = a->drills[i];
        if (!is_among(a->fed, a->fed_n, d->digest))
            continue;
        if (!holdout)
            return say_error(
                EXIT_BAD_INPUT,
                "%s is one of the drills that the model draws from, so it would be held "
                "against itself: give --holdout, and the model does without it",
                d->dir);
        for (size_t k = 0; k < a->fed_n; k++)
            if (!strcmp(a->fed[k]->digest, d->digest)) {
                measured_free(a->fed[k]);
                a->fed[k] = a->fed[--a->fed_n];
                break;
            }
    }
    return EXIT_MET;
}

/* ---- the scenario, changed ---- */

static bool sets_the_same(const char *a, const char *b)
{
    size_t n = strcspn(a, "=");
    return strcspn(b, "=") == n && !strncmp(a, b, n);
}

static int load(const struct analyses *a, char *const *sets, size_t n, struct scenario **ret,
                struct err *err)
{
    const struct strv *given = args_all(a->args, "set");
    AUTO_DIAGS diags = DIAGS_INIT;
    AUTO_FREE char **all = calloc(given->n + n + 1, sizeof *all);
    if (!all)
        abort();
    struct strv v = {.items = all};
    for (size_t i = 0; i < given->n; i++) {
        bool again = false;
        for (size_t k = 0; k < n; k++)
            again = again || sets_the_same(given->items[i], sets[k]);
        if (!again)
            v.items[v.n++] = given->items[i];
    }
    for (size_t k = 0; k < n; k++)
        v.items[v.n++] = sets[k];
    if (scenario_load(a->path, &v, &diags, ret) == 0)
        return 0;
    for (size_t i = 0; i < diags.n; i++)
        if (!diags.items[i].warning)
            return err_set(err, EINVAL, "%s%s%s",
                           diags.items[i].place.file ? diags.items[i].place.file : "",
                           diags.items[i].place.file ? ": " : "", diags.items[i].text);
    return err_set(err, EINVAL, "the scenario cannot be read");
}

int changed_new(const struct analyses *a, char *const *sets, size_t n,
                void (*edit)(struct scenario *s, void *data), void *data, struct changed *ret,
                struct err *err)
{
    CLEANUP(scenario_free_p) struct scenario *s = NULL;
    int r = load(a, sets, n, &s, err);
    if (r == 0)
        r = analyses_feed(a, s, err);
    if (r < 0)
        return r;
    if (s->services.n != a->scenario->services.n)
        return err_set(err, EINVAL, "with this it has other services, so nothing can be compared");
    if (edit)
        edit(s, data);
    struct system *system = NULL;
    r = system_new(s, &system, err);
    if (r < 0)
        return r;
    *ret = (struct changed){.system = system, .player = sample_player(system, s->services.n)};
    ret->scenario = steal_ptr(s);
    return 0;
}

void changed_done(struct changed *c)
{
    system_free(c->system);
    scenario_free(c->scenario);
    *c = (struct changed){0};
}

int changed_play(const struct analyses *a, const struct changed *c, uint64_t seed, size_t n,
                 struct sample *ret, struct err *err)
{
    const struct sample_request q = {.player = &c->player,
                                     .services = a->services,
                                     .services_n = a->services_n,
                                     .threads = a->threads,
                                     .seed = seed,
                                     .first = 1,
                                     .n = n,
                                     .stop = a->stop,
                                     .stop_data = a->stop_data};
    return sample_play(&q, ret, err);
}

/* ---- all of it ---- */

/* Those with an RTO; without any, those whose way back is modelled. */
static void choose_services(struct analyses *a)
{
    const struct objects *all = &a->scenario->services;
    a->services = arena_alloc(a->arena, SERVICES_MOST * sizeof *a->services);
    a->promises = arena_alloc(a->arena, SERVICES_MOST * sizeof(struct service *));
    for (int pass = 0; pass < 2 && !a->services_n; pass++)
        for (size_t i = 0; i < all->n && a->services_n < SERVICES_MOST; i++) {
            const struct service *s = all->items[i];
            const struct service_model *m = assumed_service(a->scenario->assumptions, s->name);
            if (pass == 0 ? !nsec_is_set(s->rto) : !m || !m->restore.n)
                continue;
            a->promises[a->services_n] = s;
            a->services[a->services_n++] = i;
        }
}

/* Variants and values that cannot be are said before anything is computed. */
static int try_changes(const struct analyses *a)
{
    const struct objects *variants = &a->scenario->assumptions->variants;
    struct err err = ERR_INIT;
    struct changed c;
    for (size_t i = 0; i < variants->n; i++) {
        const struct variant_set *v = variants->items[i];
        AUTO_FREE char **sets = calloc(v->set.n + 1, sizeof *sets);
        if (!sets)
            abort();
        for (size_t k = 0; k < v->set.n; k++)
            sets[k] = arena_printf(a->arena, "%s=%s", v->set.items[k].key, v->set.items[k].value);
        if (changed_new(a, sets, v->set.n, NULL, NULL, &c, &err) < 0)
            return say_error(EXIT_BAD_INPUT, "variant %s: %s", v->name, err.text);
        changed_done(&c);
    }
    for (size_t i = 0; i < a->sweeps_n; i++)
        for (size_t k = 0; k < a->sweeps[i].values.n; k++) {
            char *set =
                arena_printf(a->arena, "%s=%s", a->sweeps[i].path, a->sweeps[i].values.items[k]);
            if (changed_new(a, &set, 1, NULL, NULL, &c, &err) < 0)
                return say_error(EXIT_BAD_INPUT, "--sweep: %s", err.text);
            changed_done(&c);
        }
    return EXIT_MET;
}

int analyses_prepare(struct analyses *a)
{
    struct err err = ERR_INIT;
    a->arena = arena_new();
    choose_services(a);
    int code = read_sweeps(a);
    if (code == EXIT_MET)
        code = read_against(a);
    if (code == EXIT_MET)
        code = read_fed(a);
    if (code == EXIT_MET)
        code = keep_apart(a);
    if (code == EXIT_MET && analyses_feed(a, a->scenario, &err) < 0)
        code = say_error(EXIT_BAD_INPUT, "%s", err.text);
    if (code == EXIT_MET)
        code = try_changes(a);
    return code;
}

/* As many as keep it near the cost of the forecast itself, within reason. */
static size_t luck_trials(const struct analyses *a, size_t quantities)
{
    size_t parts = quantities < WHY_PARTS_MAX ? quantities : WHY_PARTS_MAX;
    uint64_t n = a->trials / (3 * parts + 2), least = a->trials < 1000 ? a->trials : 1000;
    n = n < least ? least : n;
    return n > LUCK_MOST ? LUCK_MOST : n < LUCK_LEAST ? LUCK_LEAST : (size_t)n;
}

static int write_luck(struct record *r, const struct analyses *a, struct err *err)
{
    struct player p = sample_player(a->system, a->scenario->services.n);
    struct why why;
    if (!p.quantities_n || a->trials < LUCK_LEAST)
        return 0;
    const struct why_request q = {.player = &p,
                                  .services = a->services,
                                  .promises = a->promises,
                                  .services_n = a->services_n,
                                  .horizon = a->scenario->horizon,
                                  .threads = a->threads,
                                  .seed = a->seed,
                                  .trials = luck_trials(a, p.quantities_n),
                                  .stop = a->stop,
                                  .stop_data = a->stop_data};
    int rc = why_luck(&q, &why, err);
    if (rc < 0)
        return rc;
    rc = analyses_line(r, analysis_luck(a->scenario, &why), err);
    why_done(&why);
    return rc;
}

/* How likely each judged service misses its rto, however rarely that is. */
static int write_rare(struct record *record, const struct analyses *a, struct err *err)
{
    const struct rare_plan plan = {.scenario = a->scenario,
                                   .system = a->system,
                                   .seed = a->seed,
                                   .trials = a->trials,
                                   .threads = a->threads ? a->threads : 1,
                                   .stop = a->stop,
                                   .data = a->stop_data};
    AUTO_FREE struct rare *found = calloc(a->scenario->services.n + 1, sizeof *found);
    if (!found)
        abort();
    int rc = rare_run(&plan, found, err);
    return rc < 0 ? rc : analyses_line(record, analysis_rare(a->scenario, found, a->trials), err);
}

int analyses_write(struct record *record, struct analyses *a, struct err *err)
{
    /* of a large catalogue only what was asked for: each answer costs as much as a forecast */
    bool why = !args_has(a->args, "no-why") && a->scenario->services.n <= WHY_SERVICES_MOST;
    int rc = a->fed_n ? analyses_drawn(record, a, err) : 0;
    if (rc < 0 || !a->services_n)
        return rc;
    if (why)
        rc = write_luck(record, a, err);
    if (rc == 0 && why)
        rc = analyses_assumptions(record, a, err);
    if (rc == 0)
        rc = analyses_variants(record, a, err);
    if (rc == 0)
        rc = analyses_sweeps(record, a, err);
    if (rc == 0 && why)
        rc = analyses_cheapest(record, a, err);
    if (rc == 0 && args_has(a->args, "rare"))
        rc = write_rare(record, a, err);
    if (rc == 0 && a->drills_n)
        rc = analyses_against(record, a, err);
    return rc;
}

void analyses_done(struct analyses *a)
{
    for (size_t i = 0; i < a->drills_n; i++)
        measured_free(a->drills[i]);
    for (size_t i = 0; i < a->fed_n; i++)
        measured_free(a->fed[i]);
    arena_free(a->arena);
    a->arena = NULL;
    a->drills_n = a->fed_n = 0;
}
