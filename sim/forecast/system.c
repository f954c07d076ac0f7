/* The scenario made ready: components, services in the order of their needs, random quantities.
 *
 * What a service runs on stands in its model. Without a model it runs on the hosts that its probes ask by
 * one of their declared addresses, and needs them all.
 */
#include "sim/forecast/system.h"

#include "sim/base/buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void *room(size_t n, size_t size)
{
    void *p = calloc(n + 1, size);
    if (!p)
        abort();
    return p;
}

void system_list_add(struct system_list *l, size_t item)
{
    if ((l->n & (l->n - 1)) == 0) {
        l->items = reallocarray(l->items, l->n ? 2 * l->n : 1, sizeof *l->items);
        if (!l->items)
            abort();
    }
    l->items[l->n++] = item;
}

int system_wrong(const struct place *at, struct err *err)
{
    if (!err || !at->file || at->line == 0)
        return err ? -err->code : -EINVAL;
    return err_prefix(err, "%s:%d:%d", at->file, at->line, at->col);
}

/* ---- names ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct system_name *)a)->name, ((const struct system_name *)b)->name);
}

static size_t find(const struct system_name *names, size_t n, const char *name)
{
    const struct system_name key = {.name = name};
    const struct system_name *found = name ? bsearch(&key, names, n, sizeof *names, by_name) : NULL;
    return found ? found->index : SYSTEM_NONE;
}

size_t system_component(const struct system *sys, const char *name)
{
    return find(sys->component_names, sys->components_n, name);
}

size_t system_service(const struct system *sys, const char *name)
{
    return find(sys->service_names, sys->services_n, name);
}

/* ---- random quantities ---- */

size_t system_quantity(struct system *sys, const struct service *of, bool is_stage,
                       const char *prefix, const char *name)
{
    AUTO_BUF text = BUF_INIT;
    buf_printf(&text, "%s%s%s", prefix ? prefix : "", prefix ? ":" : "", name);
    /* Those of several services, people, are asked for once by each. */
    for (size_t i = 0; !of && !prefix && i < sys->quantities_n; i++)
        if (!sys->quantities[i].service && strcmp(sys->quantities[i].name, text.text) == 0)
            return i;
    if (sys->quantities_n == sys->quantities_room) {
        sys->quantities_room = sys->quantities_room ? 2 * sys->quantities_room : 64;
        sys->quantities =
            reallocarray(sys->quantities, sys->quantities_room, sizeof *sys->quantities);
        if (!sys->quantities)
            abort();
    }
    struct quantity *q = &sys->quantities[sys->quantities_n];
    *q = (struct quantity){.name = buf_steal(&text), .is_stage = is_stage};
    if (of && !(q->service = strdup(of->name)))
        abort();
    return sys->quantities_n++;
}

size_t system_quantities(const struct system *sys, const struct quantity **ret)
{
    *ret = sys->quantities;
    return sys->quantities_n;
}

nsec system_lead(const struct system *sys)
{
    return sys->lead;
}

/* ---- components ---- */

static void add_above(struct system *sys, size_t of, size_t what)
{
    struct system_list *above = &sys->components[of].above;
    for (size_t i = 0; i < above->n; i++)
        if (above->items[i] == what)
            return;
    system_list_add(above, what);
    const struct component *given = sys->components[what].given;
    for (size_t i = 0; given && i < given->in.n; i++) {
        size_t next = system_component(sys, given->in.items[i]);
        if (next != SYSTEM_NONE)
            add_above(sys, of, next);
    }
}

static void make_components(struct system *sys)
{
    const struct scenario *s = sys->scenario;
    const struct objects *more = &s->assumptions->components;
    sys->components = room(s->hosts.n + more->n, sizeof *sys->components);
    sys->component_names = room(s->hosts.n + more->n, sizeof *sys->component_names);
    for (size_t i = 0; i < s->hosts.n; i++) {
        const struct host *h = s->hosts.items[i];
        sys->components[sys->components_n] =
            (struct system_component){.name = h->name, .repair = SYSTEM_NONE};
        sys->component_names[i] = (struct system_name){h->name, sys->components_n++};
    }
    qsort(sys->component_names, sys->components_n, sizeof *sys->component_names, by_name);
    size_t hosts = sys->components_n;
    for (size_t i = 0; i < more->n; i++) {
        const struct component *c = more->items[i];
        size_t k = find(sys->component_names, hosts, c->name);
        if (k == SYSTEM_NONE) {
            k = sys->components_n++;
            sys->components[k].name = c->name;
            sys->components[k].repair = SYSTEM_NONE;
            sys->component_names[k] = (struct system_name){c->name, k};
        }
        sys->components[k].given = c;
        if (c->repair)
            sys->components[k].repair = system_quantity(sys, NULL, false, "repair", c->name);
    }
    qsort(sys->component_names, sys->components_n, sizeof *sys->component_names, by_name);
    for (size_t i = 0; i < sys->components_n; i++)
        add_above(sys, i, i);
}

/* ---- what a service runs on ---- */

static int add_unit(struct system *sys, struct system_service *sv, const char *name,
                    struct err *err)
{
    size_t c = system_component(sys, name);
    if (c == SYSTEM_NONE)
        return err_set(err, ENOENT, "%s: there is no component or host '%s'", sv->service->name,
                       name);
    for (size_t i = 0; i < sv->units.n; i++)
        if (sv->units.items[i] == c)
            return 0;
    if (sv->units.n == SYSTEM_UNITS_MAX)
        return err_set(err, E2BIG,
                       "%s runs on more than %d components, which is more than a forecast can "
                       "follow: let some stand for several",
                       sv->service->name, SYSTEM_UNITS_MAX);
    system_list_add(&sv->units, c);
    return 0;
}

static void model_redundancy(struct system *sys, struct system_service *sv)
{
    const struct service_model *m = sv->model;
    const struct service *of = sv->service;
    const struct redundancy *r = m->redundancy;
    static const enum system_mode modes[] = {[ACTIVE_ACTIVE] = SYSTEM_ACTIVE_ACTIVE,
                                             [ACTIVE_PASSIVE] = SYSTEM_ACTIVE_PASSIVE,
                                             [QUORUM] = SYSTEM_QUORUM};
    sv->need = r->need;
    sv->mode = modes[r->mode];
    if (sv->mode == SYSTEM_QUORUM) {
        if (sv->need == 0)
            sv->need = (int64_t)sv->units.n / 2 + 1;
        sv->leader = system_quantity(sys, of, false, "leader", of->name);
    } else if (sv->units.n < 2 ||
               (sv->mode == SYSTEM_ACTIVE_ACTIVE && sv->need >= (int64_t)sv->units.n)) {
        sv->mode = SYSTEM_PLAIN;
        sv->need = (int64_t)sv->units.n;
    }
    if (r->takeout)
        sv->takeout = system_quantity(sys, of, false, "takeout", of->name);
    if (r->warm_up)
        sv->warm = system_quantity(sys, of, false, "warm-up", of->name);
}

static int model_response(struct system *sys, struct system_service *sv, struct err *err)
{
    const struct service_model *m = sv->model;
    const struct assumptions *a = sys->scenario->assumptions;
    const struct response_quantity *q;
    if (m->restore.n == 0)
        return 0;
    int r = response_new(m, &a->roles, &a->freezes, &sv->response, err);
    sv->placed = r < 0;
    if (r < 0)
        return r;
    size_t n = response_quantities(sv->response, &q);
    for (size_t i = 0; i < n; i++)
        system_list_add(&sv->response_quantities,
                        system_quantity(sys, q[i].role && !q[i].stage ? NULL : sv->service,
                                        q[i].stage && !q[i].role, NULL, q[i].name));
    for (size_t i = 0; i < m->restore.n; i++) {
        const struct stage *st = m->restore.items[i];
        if (!st->fallback && (st->by || st->start == STAGE_AT_DETECTION))
            sv->needs_detection = true;
    }
    return 0;
}

static int make_model(struct system *sys, struct system_service *sv, struct err *err)
{
    const struct service_model *m = sv->model;
    const struct service *of = sv->service;
    int r = 0;
    for (size_t i = 0; r == 0 && m->redundancy && i < m->redundancy->of.n; i++)
        r = add_unit(sys, sv, m->redundancy->of.items[i], err);
    if (r < 0)
        return r;
    if (m->redundancy)
        model_redundancy(sys, sv);
    if (m->failback)
        sv->failback = system_quantity(sys, of, false, "failback", of->name);
    if (m->failback_outage)
        sv->failback_outage = system_quantity(sys, of, false, "failback-outage", of->name);
    if (m->replication || m->backup)
        sv->loss = system_quantity(sys, of, false, "loss", of->name);
    r = model_response(sys, sv, err);
    if (r == 0 && sv->mode == SYSTEM_QUORUM && !sv->response)
        return err_set(
            err, EINVAL,
            "%s is a quorum, but how long an election takes is not said: give its model a "
            "stage in `restore`",
            of->name);
    return r;
}

/* ---- needs ---- */

static int add_need(struct system *sys, size_t of, struct system_need *n, const char *name,
                    struct err *err)
{
    size_t k = system_service(sys, name);
    if (k == SYSTEM_NONE || k == of)
        return err_set(err, EINVAL, "%s cannot need '%s'", sys->services[of].service->name, name);
    system_list_add(&n->of, k);
    sys->services[k].needed = true;
    return 0;
}

static int make_needs(struct system *sys, size_t of, struct err *err)
{
    struct system_service *sv = &sys->services[of];
    const struct objects *needs = &sv->service->needs;
    sv->needs = room(needs->n, sizeof *sv->needs);
    for (size_t i = 0; i < needs->n; i++) {
        const struct need *given = needs->items[i];
        if (given->kind != 0)
            continue; /* soft: what it needs may fail, it does not */
        struct system_need *n = &sv->needs[sv->needs_n++];
        int r = given->service ? add_need(sys, of, n, given->service, err) : 0;
        for (size_t k = 0; r == 0 && !given->service && k < given->of.n; k++)
            r = add_need(sys, of, n, given->of.items[k], err);
        if (r < 0)
            return r;
        n->at_least = given->service ? 1 : (size_t)given->any;
        n->breaker = given->breaker;
        if (n->breaker)
            n->breaks = (struct breaker_config){.window = n->breaker->window,
                                                .min_calls = n->breaker->window,
                                                .threshold = n->breaker->failures,
                                                .open_for = n->breaker->open,
                                                .half_open = n->breaker->half_open};
        if (n->at_least == 0 || n->at_least > n->of.n)
            return err_set(err, EINVAL, "%s needs %zu of %zu services", sv->service->name,
                           n->at_least, n->of.n);
    }
    return 0;
}

/* Needed ones first; among them as they stand in the scenario. */
static int make_order(struct system *sys, struct err *err)
{
    size_t n = sys->services_n, done = 0;
    struct system_list *needed_by = room(n, sizeof *needed_by);
    size_t *open = room(n, sizeof *open);
    sys->order = room(n, sizeof *sys->order);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < sys->services[i].needs_n; k++)
            for (size_t m = 0; m < sys->services[i].needs[k].of.n; m++) {
                open[i]++;
                system_list_add(&needed_by[sys->services[i].needs[k].of.items[m]], i);
            }
    for (size_t i = 0; i < n; i++)
        if (open[i] == 0)
            sys->order[done++] = i;
    for (size_t at = 0; at < done; at++) {
        const struct system_list *by = &needed_by[sys->order[at]];
        for (size_t i = 0; i < by->n; i++)
            if (--open[by->items[i]] == 0)
                sys->order[done++] = by->items[i];
    }
    const struct service *stuck = NULL;
    for (size_t i = 0; i < n; i++) {
        free(needed_by[i].items);
        if (open[i] && !stuck)
            stuck = sys->services[i].service;
    }
    free(needed_by);
    free(open);
    if (!stuck)
        return 0;
    err_set(err, EINVAL,
            "services need each other in a circle, in which %s stands: let one of them be `kind: "
            "soft`",
            stuck->name);
    return system_wrong(&stuck->place, err);
}

/* ---- services ---- */

/* Of a list that is filled service by service: once each. */
static void add_touch(struct system_component *c, size_t service)
{
    if (c->touches.n == 0 || c->touches.items[c->touches.n - 1] != service)
        system_list_add(&c->touches, service);
}

static void touch(struct system *sys, size_t component, size_t service, bool serves)
{
    const struct system_list *above = &sys->components[component].above;
    for (size_t i = 0; i < above->n; i++) {
        add_touch(&sys->components[above->items[i]], service);
        sys->components[above->items[i]].serves |= serves;
    }
}

/* By service: the indices of its probes, or of its alarms. */
static struct system_list *lists_of(const struct system *sys, const struct objects *all,
                                    bool alarms)
{
    struct system_list *lists = room(sys->services_n, sizeof *lists);
    for (size_t i = 0; i < all->n; i++) {
        const char *of = alarms ? ((const struct alarm *)all->items[i])->service
                                : ((const struct probe *)all->items[i])->service;
        size_t k = system_service(sys, of);
        if (k != SYSTEM_NONE)
            system_list_add(&lists[k], i);
    }
    return lists;
}

static void lists_free(struct system_list *lists, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(lists[i].items);
    free(lists);
}

static int make_service(struct system *sys, size_t i, const struct system_list *probes,
                        const struct system_list *alarms, struct err *err)
{
    struct system_service *sv = &sys->services[i];
    if (sv->model) {
        int r = make_model(sys, sv, err);
        if (r < 0)
            return r;
    }
    int r = system_watch(sys, sv, probes, alarms, err);
    for (size_t k = 0; r == 0 && k < sv->found.n; k++)
        if (!sv->model || !sv->model->redundancy)
            r = add_unit(sys, sv, sys->components[sv->found.items[k]].name, err);
    if (r < 0)
        return r;
    if (!sv->model || !sv->model->redundancy)
        sv->need = (int64_t)sv->units.n;
    for (size_t k = 0; k < sv->units.n; k++)
        touch(sys, sv->units.items[k], i, true);
    for (size_t k = 0; k < sv->probes_n; k++)
        if (sv->probes[k].from.host != SYSTEM_NONE)
            touch(sys, sv->probes[k].from.host, i, false);
    return make_needs(sys, i, err);
}

static int make_services(struct system *sys, struct err *err)
{
    const struct scenario *s = sys->scenario;
    sys->services = room(s->services.n, sizeof *sys->services);
    sys->service_names = room(s->services.n, sizeof *sys->service_names);
    sys->services_n = s->services.n;
    for (size_t i = 0; i < s->services.n; i++) {
        const struct service *of = s->services.items[i];
        sys->services[i] = (struct system_service){.service = of,
                                                   .takeout = SYSTEM_NONE,
                                                   .warm = SYSTEM_NONE,
                                                   .failback = SYSTEM_NONE,
                                                   .failback_outage = SYSTEM_NONE,
                                                   .loss = SYSTEM_NONE,
                                                   .leader = SYSTEM_NONE};
        sys->service_names[i] = (struct system_name){of->name, i};
    }
    qsort(sys->service_names, sys->services_n, sizeof *sys->service_names, by_name);
    for (size_t i = 0; i < s->assumptions->services.n; i++) {
        const struct service_model *m = s->assumptions->services.items[i];
        size_t k = system_service(sys, m->service);
        if (k == SYSTEM_NONE)
            return err_set(err, ENOENT, "there is no service '%s' to have a model", m->service);
        sys->services[k].model = m;
    }
    struct system_list *probes = lists_of(sys, &s->probes, false);
    struct system_list *alarms = lists_of(sys, &s->alarms, true);
    int r = 0;
    for (size_t i = 0; r == 0 && i < sys->services_n; i++) {
        struct system_service *sv = &sys->services[i];
        struct err own = ERR_INIT;
        r = make_service(sys, i, &probes[i], &alarms[i], &own);
        if (r < 0 && !sv->placed)
            r = system_wrong(sv->model ? &sv->model->place : &sv->service->place, &own);
        if (r < 0 && err)
            *err = own;
    }
    lists_free(probes, sys->services_n);
    lists_free(alarms, sys->services_n);
    return r < 0 ? r : make_order(sys, err);
}

int system_new(const struct scenario *s, struct system **ret, struct err *err)
{
    CLEANUP(system_free_p) struct system *sys = room(1, sizeof *sys);
    sys->scenario = s;
    nsec longest = 0;
    for (size_t i = 0; i < s->probes.n; i++) {
        const struct probe *p = s->probes.items[i];
        longest = p->every > longest ? p->every : longest;
    }
    sys->lead = nsec_add(s->settle ? s->settle->lasting : 0, longest);
    sys->tellers = room(s->alarms.n, sizeof *sys->tellers);
    make_components(sys);
    int r = make_services(sys, err);
    if (r == 0)
        r = system_script(sys, err);
    if (r < 0)
        return r;
    sys->day = system_quantity(sys, NULL, false, NULL, "time-of-day");
    for (size_t i = 0; i < s->assumptions->roles.n; i++) {
        const struct responder *who = s->assumptions->roles.items[i];
        sys->has_hours |= nsec_is_set(who->from);
    }
    *ret = steal_ptr(sys);
    return 0;
}

static void free_service(struct system_service *sv)
{
    for (size_t i = 0; i < sv->needs_n; i++)
        free(sv->needs[i].of.items);
    for (size_t i = 0; i < sv->probes_n; i++)
        free(sv->probes[i].thresholds.items), free(sv->probes[i].parts.items);
    free(sv->units.items);
    free(sv->found.items);
    free(sv->told_by.items);
    free(sv->needs);
    free(sv->probes);
    free(sv->alarms);
    free(sv->response_quantities.items);
    response_free(sv->response);
}

struct system *system_free(struct system *sys)
{
    if (!sys)
        return NULL;
    for (size_t i = 0; i < sys->components_n; i++) {
        free(sys->components[i].above.items);
        free(sys->components[i].touches.items);
    }
    for (size_t i = 0; i < sys->services_n; i++)
        free_service(&sys->services[i]);
    for (size_t i = 0; i < sys->quantities_n; i++) {
        free(sys->quantities[i].name);
        free(sys->quantities[i].service);
    }
    free(sys->components);
    free(sys->component_names);
    free(sys->services);
    free(sys->service_names);
    free(sys->order);
    free(sys->tellers);
    free(sys->steps);
    free(sys->quantities);
    free(sys);
    return NULL;
}
