/* Members of the model that follow from others. */
#include "scenarios/check.h"

#include "injectors/injector.h"
#include "injectors/params.h"

#include <string.h>

static void resolve_services(struct scenario *s)
{
    for (size_t i = 0; i < s->services.n; i++) {
        struct service *service = s->services.items[i];
        const struct down_when *given = service->down_when_given;
        int64_t probes = 0;
        for (size_t k = 0; k < s->probes.n; k++) {
            const struct probe *p = s->probes.items[k];
            probes += p->service && service->name && !strcmp(p->service, service->name);
        }
        service->down_at_least = 1;
        service->down_when = arena_strdup(s->arena, "any");
        if (given && given->at_least) {
            service->down_at_least = given->at_least;
            service->down_when = arena_printf(s->arena, "%d", (int)given->at_least);
        } else if (given && given->probes) {
            service->down_at_least = probes ? probes : 1;
            service->down_when = arena_strdup(s->arena, "all");
        }
    }
}

static void resolve_probes(struct scenario *s)
{
    for (size_t i = 0; i < s->probes.n; i++) {
        struct probe *p = s->probes.items[i];
        if (nsec_is_set(p->stable))
            continue;
        p->stable = 2 * NSEC_SEC;
        if (nsec_is_set(p->every) && p->every * p->up_after > p->stable)
            p->stable = p->every * p->up_after;
    }
}

static void resolve_alarms(struct scenario *s, struct diags *diags)
{
    for (size_t i = 0; i < s->alarms.n; i++) {
        struct alarm *a = s->alarms.items[i];
        bool own = alarm_is_own(a);
        if (own && a->role < 0)
            a->role = ROLE_OWN;
        if (own && a->params && !a->service) {
            const struct own_params *o = a->params;
            const struct probe *p = o->probes.n ? scenario_probe(s, o->probes.items[0]) : NULL;
            if (p)
                a->service = p->service;
        }
        if (a->role < 0 && a->kind)
            diags_error(diags, a->place, "this alarm needs 'role': page, monitor or automation");
    }
}

static void clock_may_be_set(const char *name, bool peer, bool listed, void *data)
{
    const struct scenario *s = data;
    for (size_t i = 0; i < s->hosts.n; i++) {
        struct host *h = s->hosts.items[i];
        if (h->name && !strcmp(h->name, name))
            h->clock = h->lab != NULL;
    }
}

static void resolve_clocks(struct scenario *s)
{
    for (size_t i = 0; i < s->script.n; i++) {
        const struct step *step = s->script.items[i];
        const struct clock_params *p = step->params;
        if (step->action && p && !strcmp(step->action->name, "clock") && (p->offset || p->rate))
            field_hosts(step->action->params, step->params, clock_may_be_set, s);
    }
}

static void resolve_steps(struct scenario *s)
{
    for (size_t i = 0; i < s->script.n; i++) {
        struct step *step = s->script.items[i];
        const struct injector *injector = step->action ? step->action->impl : NULL;
        if (!step->id)
            step->id = arena_printf(s->arena, "step-%zu", i + 1);
        step->fault = injector && injector->is_fault;
        step->lasts = injector && injector->lasts;
    }
}

static void resolve_units(struct scenario *s)
{
    for (size_t i = 0; i < s->hosts.n; i++) {
        struct host *h = s->hosts.items[i];
        for (size_t k = 0; k < h->start.n; k++) {
            struct unit *unit = h->start.items[k];
            char **argv = unit->command && !unit->name ? text_split_argv(unit->command) : NULL;
            if (argv && argv[0])
                unit->name = arena_strdup(s->arena, text_basename(argv[0]));
            text_free_argv(argv);
        }
    }
}

struct group_targets {
    struct scenario *s;
    struct diags *diags;
};

static void resolve_target(const struct record *r, void *object, void *data)
{
    const struct group_targets *c = data;
    struct target *t = object;
    if (r != &target_record || !t->group)
        return;
    const struct host_group *g = scenario_group(c->s, t->group);
    if (t->of.n || t->host)
        diags_error(c->diags, t->place, "'group' stands instead of 'of': give one of them%s",
                    t->host ? ", and 'any' or 'leader'" : "");
    else if (g)
        t->of = g->hosts;
}

static void resolve_groups(struct scenario *s, struct diags *diags)
{
    struct group_targets c = {s, diags};
    for (size_t i = 0; i < s->script.n; i++) {
        struct step *step = s->script.items[i];
        if (step->action && step->action->params && step->params)
            field_objects(step->action->params, step->params, resolve_target, &c);
    }
}

static void resolve_routers(struct scenario *s)
{
    for (size_t i = 0; i < s->networks.n; i++) {
        const struct network *n = s->networks.items[i];
        for (size_t k = 0; k < s->hosts.n; k++) {
            struct host *h = s->hosts.items[k];
            if (h->name && strv_has(&n->routers, h->name))
                h->router = true;
        }
    }
}

static void resolve_expect(struct scenario *s, struct diags *diags)
{
    const char *names[64];
    char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
    size_t n = 0;
    for (size_t i = 0; i < s->services.n && n < ARRAY_SIZE(names); i++)
        names[n++] = ((const struct service *)s->services.items[i])->name;
    for (size_t i = 0; i < s->expect.n && !diags_is_full(diags); i++) {
        const struct pair *p = &s->expect.items[i];
        struct service *service = NULL;
        for (size_t k = 0; k < s->services.n && !service; k++)
            if (!strcmp(((struct service *)s->services.items[k])->name, p->key))
                service = s->services.items[k];
        if (!service) {
            diags_error(diags, p->place, "there is no service '%s'%s", diag_quote(p->key, quoted),
                        diag_nearest(p->key, names, n, hint));
            continue;
        }
        for (int e = EXPECT_AFFECTED; e <= EXPECT_EITHER; e++)
            if (!strcmp(p->value, expectation_words[e]))
                service->expect = (enum expectation)e;
        if (service->expect == EXPECT_UNSET)
            diags_error(diags, p->place, "'%s' must be affected, unaffected or either, not '%s'%s",
                        p->key, diag_quote(p->value, quoted),
                        diag_nearest(p->value, expectation_words + 1, 3, hint));
    }
    bool fault = scenario_has_fault(s);
    for (size_t i = 0; i < s->services.n; i++) {
        struct service *service = s->services.items[i];
        if (service->expect == EXPECT_UNSET)
            service->expect = fault && (nsec_is_set(service->rto) || service->detect)
                                  ? EXPECT_AFFECTED
                                  : EXPECT_EITHER;
    }
}

/* Only what nobody wants to run does without hosts and probes. */
static bool touches_nothing(const struct scenario *s)
{
    bool outage = false;
    for (size_t i = 0; i < s->script.n; i++) {
        const struct step *step = s->script.items[i];
        outage = outage || (step->action && !strcmp(step->action->name, "outage"));
    }
    return !s->hosts.n &&
           (outage || scenario_is_exercise(s) || s->assumed.services.n || s->assumed.components.n);
}

bool check_places_exist(const struct scenario *s, struct diags *diags)
{
    static const char *const keys[] = {"hosts", "probes"};
    const size_t n[] = {s->hosts.n, s->probes.n};
    bool all = true;
    if (touches_nothing(s))
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (n[i])
            continue;
        all = false;
        if (!node_get(s->tree, keys[i]))
            diags_error(diags, s->tree->place, "this scenario needs '%s'", keys[i]);
    }
    return all;
}

void check_resolve(struct scenario *s, struct diags *diags)
{
    if (!s->title)
        s->title = s->name;
    s->lab_reuse = s->lab && s->lab->reuse;
    resolve_services(s);
    resolve_probes(s);
    resolve_alarms(s, diags);
    resolve_steps(s);
    check_resolve_exercise(s);
    resolve_clocks(s);
    resolve_units(s);
    resolve_routers(s);
    resolve_groups(s, diags);
    resolve_expect(s, diags);
}
