/* Names become indices. */
#include "sim/forecast/estate.h"

#include "sim/base/arena.h"
#include "sim/forecast/draw.h"
#include "sim/forecast/response.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a service's takeover needs to know; const while missions run. */
struct takeover {
    const struct scenario *scenario;
    const struct service *service;
    const struct service_model *model;
    struct response *response; /* NULL: the model has no stages */
};

struct estate {
    const struct scenario *scenario;
    struct arena *arena;
    struct catalogue given;
    struct catalogue *catalogue;
    struct takeover *takeovers; /* per service */
};

static void *need(struct estate *e, size_t n, size_t size)
{
    return arena_alloc(e->arena, (n ? n : 1) * size);
}

static size_t component_index(const struct estate *e, const char *name)
{
    for (size_t i = 0; i < e->given.components_n; i++)
        if (!strcmp(e->given.components[i].name, name))
            return i;
    return CATALOGUE_NONE;
}

static size_t service_index(const struct scenario *s, const char *name)
{
    for (size_t i = 0; i < s->services.n; i++)
        if (!strcmp(((const struct service *)s->services.items[i])->name, name))
            return i;
    return CATALOGUE_NONE;
}

static int resolve(struct estate *e, const struct strv *names, bool components, const char *whose,
                   struct catalogue_list *ret, struct err *err)
{
    size_t *items = need(e, names->n, sizeof *items);
    for (size_t i = 0; i < names->n; i++) {
        items[i] = components ? component_index(e, names->items[i])
                              : service_index(e->scenario, names->items[i]);
        if (items[i] == CATALOGUE_NONE)
            return err_set(err, EINVAL, "%s: there is no %s '%s'", whose,
                           components ? "component or host" : "service", names->items[i]);
    }
    *ret = (struct catalogue_list){items, names->n};
    return 0;
}

/* -- components -- */

static void list_components(struct estate *e)
{
    const struct scenario *s = e->scenario;
    const struct objects *own = &s->assumptions->components;
    struct catalogue_component *c = need(e, own->n + s->hosts.n, sizeof *c);
    e->given.components = c;
    for (size_t i = 0; i < own->n; i++) {
        const struct component *from = own->items[i];
        c[e->given.components_n++] =
            (struct catalogue_component){.name = from->name,
                                         .fails = from->fails,
                                         .repair = from->repair,
                                         .crew = CATALOGUE_NONE,
                                         .ages_while_down = from->ages_while_down,
                                         .maintained_first = NSEC_UNSET,
                                         .maintained_every = NSEC_UNSET};
        const struct upkeep *u = from->upkeep;
        if (!u)
            continue;
        struct catalogue_component *made = &c[e->given.components_n - 1];
        made->maintained_every = u->every;
        made->maintained_first = nsec_is_set(u->first) ? u->first : u->every;
        made->maintained_for = u->takes;
    }
    for (size_t i = 0; i < s->hosts.n; i++) {
        const struct host *h = s->hosts.items[i];
        if (component_index(e, h->name) == CATALOGUE_NONE)
            c[e->given.components_n++] =
                (struct catalogue_component){.name = h->name,
                                             .crew = CATALOGUE_NONE,
                                             .maintained_first = NSEC_UNSET,
                                             .maintained_every = NSEC_UNSET};
    }
}

static int link_components(struct estate *e, struct err *err)
{
    const struct assumptions *a = e->scenario->assumptions;
    struct catalogue_component *c = (struct catalogue_component *)e->given.components;
    struct catalogue_crew *crews = need(e, a->crews.n, sizeof *crews);
    bool any = false;
    for (size_t i = 0; i < a->crews.n; i++) {
        const struct crew *from = a->crews.items[i];
        crews[i] = (struct catalogue_crew){from->name, (size_t)from->at_a_time};
    }
    e->given.crews = crews;
    e->given.crews_n = a->crews.n;
    for (size_t i = 0; i < a->components.n; i++) {
        const struct component *from = a->components.items[i];
        int r = resolve(e, &from->in, true, from->name, &c[i].in, err);
        if (r < 0)
            return r;
        any |= from->fails || from->upkeep;
        for (size_t k = 0; from->crew && k < a->crews.n; k++)
            if (!strcmp(crews[k].name, from->crew))
                c[i].crew = k;
        if (from->crew && c[i].crew == CATALOGUE_NONE)
            return err_set(err, EINVAL, "%s: there is no crew '%s'", from->name, from->crew);
    }
    return any ? 0
               : err_set(err, EINVAL,
                         "nothing in this scenario fails by itself, so there is nothing to say "
                         "of years: give its `components` `fails` and `repair`");
}

/* -- takeovers -- */

static int ascending(const void *a, const void *b)
{
    nsec x = *(const nsec *)a, y = *(const nsec *)b;
    return (x > y) - (x < y);
}

#define PROBES_MAX 64

/* An outage that answers nothing, seen by `consecutive` checks of a fixed schedule at a random phase (D1), or
 * by a window that fills with bad answers (D6): from its beginning to the alarm. */
static nsec own_alarm(const struct scenario *s, const struct alarm *a, struct rng *r)
{
    const struct own_params *own = a->params;
    nsec each[PROBES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < own->probes.n && n < PROBES_MAX; i++) {
        const struct probe *p = scenario_probe(s, own->probes.items[i]);
        if (!p)
            continue;
        nsec phase = (nsec)(rng_unit(r) * (double)p->every), seen = phase + p->timeout;
        if (!strcmp(a->kind->name, "threshold"))
            seen += (((const struct threshold_params *)a->params)->consecutive - 1) * p->every;
        else if (!strcmp(a->kind->name, "ratio")) {
            const struct ratio_params *w = a->params;
            seen += (nsec)(w->above * (double)w->window);
        } else {
            const struct burn_rate_params *w = a->params;
            seen += (nsec)(w->factor * (1 - w->slo) * (double)w->longer);
        }
        each[n++] = seen;
    }
    size_t at_least = own->at_least > 0 ? (size_t)own->at_least : 1;
    if (n < at_least)
        return NSEC_INF;
    qsort(each, n, sizeof *each, ascending);
    return each[at_least - 1];
}

/* From the beginning of an outage to the first alarm of the service that pages. */
static nsec noticed_after(const struct takeover *t, struct rng *r)
{
    const struct scenario *s = t->scenario;
    nsec first = NSEC_INF;
    for (size_t i = 0; i < s->alarms.n; i++) {
        const struct alarm *a = s->alarms.items[i];
        if (!a->service || strcmp(a->service, t->service->name) != 0)
            continue;
        const struct alarm_model *m = assumed_alarm(s->assumptions, a->name);
        nsec at = NSEC_INF;
        if (m)
            at = rng_unit(r) < m->fires ? (m->delay ? draw(m->delay, r) : 0) : NSEC_INF;
        else if (alarm_is_own(a))
            at = own_alarm(s, a, r);
        if (at < first)
            first = at;
    }
    return first;
}

static struct rng takeover_stream(size_t quantity, bool *ret_no_time, bool *ret_sure, void *data)
{
    return rng_stream_at(*(const uint64_t *)data, quantity, 0);
}

static nsec takeover_time(const void *data, nsec now, struct rng *r)
{
    const struct takeover *t = data;
    nsec takes = 0;
    if (t->response) {
        struct response_stage stages[RESPONSE_STAGES_MAX];
        struct response_call calls[RESPONSE_STAGES_MAX];
        struct response_output out;
        uint64_t named = rng_next(r);
        nsec noticed = noticed_after(t, r), tod = t->scenario->assumptions->time_of_day;
        struct response_input in = {.impact = now,
                                    .detected = nsec_add(now, noticed),
                                    .day_offset = nsec_is_set(tod) ? tod : 0,
                                    .down_since = now};
        struct response_draws draws = {takeover_stream, &named};
        response_run(t->response, &in, &draws, stages, calls, &out);
        if (out.restored == NSEC_INF)
            return NSEC_INF;
        takes = out.restored - now;
    }
    const struct redundancy *of = t->model->redundancy;
    return of->warm_up ? nsec_add(takes, draw(of->warm_up, r)) : takes;
}

/* -- services -- */

static int link_needs(struct estate *e, const struct service *s, struct catalogue_service *ret,
                      struct err *err)
{
    struct catalogue_need *needs = need(e, s->needs.n, sizeof *needs);
    size_t n = 0;
    for (size_t i = 0; i < s->needs.n; i++) {
        const struct need *from = s->needs.items[i];
        if (from->kind != 0) /* soft */
            continue;
        struct strv one = {.items = (char **)&from->service, .n = 1};
        int r = resolve(e, from->service ? &one : &from->of, false, s->name, &needs[n].of, err);
        if (r < 0)
            return r;
        needs[n++].at_least = from->service ? 1 : (size_t)from->any;
    }
    ret->needs = needs;
    ret->needs_n = n;
    return 0;
}

static int link_model(struct estate *e, size_t i, const struct service_model *m,
                      struct catalogue_service *ret, struct err *err)
{
    struct takeover *t = &e->takeovers[i];
    static const struct objects no_freezes = {0};
    t->model = m;
    int r = resolve(e, &m->redundancy->of, true, t->service->name, &ret->of, err);
    if (r < 0)
        return r;
    ret->need = (size_t)m->redundancy->need;
    ret->mode = (enum redundancy_mode)m->redundancy->mode;
    ret->failback = m->failback;
    ret->failback_outage = m->failback_outage;
    ret->hold_down = m->hold_down;
    if (ret->mode != ACTIVE_PASSIVE)
        return 0;
    ret->takeover = takeover_time;
    ret->takeover_data = t;
    if (m->restore.n == 0)
        return 0;
    return response_new(m, &e->scenario->assumptions->roles, &no_freezes, &t->response, err);
}

static int list_services(struct estate *e, struct err *err)
{
    const struct scenario *s = e->scenario;
    struct catalogue_service *services = need(e, s->services.n, sizeof *services);
    e->takeovers = need(e, s->services.n, sizeof *e->takeovers);
    e->given.services = services;
    e->given.services_n = s->services.n;
    for (size_t i = 0; i < s->services.n; i++) {
        const struct service *from = s->services.items[i];
        const struct service_model *m = assumed_service(s->assumptions, from->name);
        services[i] = (struct catalogue_service){
            .name = from->name, .sla = from->sla, .hold_down = NSEC_UNSET};
        if (from->costs) {
            services[i].cost_per_hour = from->costs->per_hour;
            services[i].cost_per_incident = from->costs->per_incident;
        }
        e->takeovers[i] = (struct takeover){.scenario = s, .service = from};
        int r = link_needs(e, from, &services[i], err);
        if (r == 0 && m && m->redundancy)
            r = link_model(e, i, m, &services[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

int estate_new(const struct scenario *s, struct estate **ret, struct err *err)
{
    CLEANUP(estate_free_p) struct estate *e = calloc(1, sizeof *e);
    if (!e)
        abort();
    e->scenario = s;
    e->arena = arena_new();
    list_components(e);
    int r = link_components(e, err);
    if (r == 0)
        r = list_services(e, err);
    if (r == 0)
        r = catalogue_new(&e->given, &e->catalogue, err);
    if (r < 0)
        return r;
    *ret = steal_ptr(e);
    return 0;
}

struct estate *estate_free(struct estate *e)
{
    if (!e)
        return NULL;
    for (size_t i = 0; e->takeovers && i < e->given.services_n; i++)
        response_free(e->takeovers[i].response);
    catalogue_free(e->catalogue);
    arena_free(e->arena);
    free(e);
    return NULL;
}

const struct catalogue *estate_catalogue(const struct estate *e)
{
    return e->catalogue;
}

/* -- what has no part in it -- */

/* Whether a service's model assumes something of which years know nothing. */
typedef bool left_out_fn(const struct scenario *s, const struct service *of,
                         const struct service_model *m);

static bool has_breaker(const struct scenario *s, const struct service *of,
                        const struct service_model *m)
{
    for (size_t i = 0; i < of->needs.n; i++)
        if (((const struct need *)of->needs.items[i])->breaker)
            return true;
    return false;
}

static bool has_takeout(const struct scenario *s, const struct service *of,
                        const struct service_model *m)
{
    return m && m->redundancy && m->redundancy->takeout;
}

static bool has_load(const struct scenario *s, const struct service *of,
                     const struct service_model *m)
{
    return m && m->load > 0;
}

static bool has_errors(const struct scenario *s, const struct service *of,
                       const struct service_model *m)
{
    return m && m->errors > 0;
}

static bool has_data(const struct scenario *s, const struct service *of,
                     const struct service_model *m)
{
    return m && (m->replication || m->backup);
}

static bool has_false_alarms(const struct scenario *s, const struct service *of,
                             const struct service_model *m)
{
    for (size_t i = 0; m && i < m->alarms.n; i++)
        if (((const struct alarm_model *)m->alarms.items[i])->false_per_day > 0)
            return true;
    return false;
}

static bool takes_over(const struct service_model *m)
{
    return m->redundancy && m->redundancy->mode == ACTIVE_PASSIVE && m->redundancy->of.n > 1;
}

/* Only a takeover asks for stages; whatever else is down is up when its units are. */
static bool has_idle_stages(const struct scenario *s, const struct service *of,
                            const struct service_model *m)
{
    return m && (m->restore.n || m->from.n) && !takes_over(m);
}

static bool has_frozen_stages(const struct scenario *s, const struct service *of,
                              const struct service_model *m)
{
    for (size_t i = 0; s->assumptions->freezes.n && m && takes_over(m) && i < m->restore.n; i++)
        if (((const struct stage *)m->restore.items[i])->is_change)
            return true;
    return false;
}

const char **estate_left_out(const struct scenario *s, struct arena *arena)
{
    static const struct {
        const char *what;
        left_out_fn *has;
    } kinds[] = {
        {"the breakers of", has_breaker},
        {"how long requests still go to a lost unit (takeout) of", has_takeout},
        {"overload and backlogs (load, retries) of", has_load},
        {"single bad answers (errors) of", has_errors},
        {"false alarms of", has_false_alarms},
        {"the data (replication, backup) of", has_data},
        {"how people and runbooks restore what has no standby to switch to:", has_idle_stages},
        {"freezes, which would hold up takeovers of", has_frozen_stages},
    };
    const char **all = arena_alloc(arena, (ARRAY_SIZE(kinds) + 2) * sizeof *all);
    size_t n = 0;
    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        char *text = NULL;
        for (size_t i = 0; i < s->services.n; i++) {
            const struct service *of = s->services.items[i];
            if (kinds[k].has(s, of, assumed_service(s->assumptions, of->name)))
                text = arena_printf(arena, "%s%s %s", text ? text : kinds[k].what, text ? "," : "",
                                    of->name);
        }
        if (text)
            all[n++] = text;
    }
    if (s->maintenance.n)
        all[n++] = "maintenance windows";
    all[n] = NULL;
    return all;
}
