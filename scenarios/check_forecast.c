/* What a forecast assumes can be: everything named is there, every way back ends, and nothing waits for
 * itself.
 */
#include "scenarios/check.h"

#include "scenarios/ring.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- Needs --- */

/* Services that need each other in a ring; soft needs hand nothing on. */
static void check_need_rings(const struct scenario *s, struct diags *diags)
{
    const struct objects *v = &s->services;
    AUTO_NAME_INDEX names = name_index_of(v, offsetof(struct service, name));
    AUTO_EDGES edges = {0};
    for (size_t i = 0; i < v->n; i++) {
        const struct service *service = v->items[i];
        for (size_t k = 0; k < service->needs.n; k++) {
            const struct need *need = service->needs.items[k];
            if (!need->kind && need->service)
                edges_add(&edges, i, name_index_find(&names, need->service));
            for (size_t m = 0; !need->kind && m < need->of.n; m++)
                edges_add(&edges, i, name_index_find(&names, need->of.items[m]));
        }
    }
    size_t ring = edges_ring(&edges, v->n);
    if (ring == v->n)
        return;
    const struct service *service = v->items[ring];
    diags_error(
        diags, check_place(s, "services", service->name, "needs", NULL),
        "%s needs services that need it: none of them could ever come up; make one of these "
        "needs `kind: soft`, or leave it out",
        service->name);
}

static void check_breaker(const struct need *need, struct place at, struct diags *diags)
{
    const struct need_breaker *b = need->breaker;
    if (!b)
        return;
    if (need->kind)
        diags_error(diags, at,
                    "a soft need hands no failure on, so its 'breaker' changes nothing: remove it");
    if (b->per_second <= 0)
        diags_error(diags, at, "'calls_per_second' of a breaker must be above 0");
    if (b->failures <= 0)
        diags_error(diags, at, "a breaker whose 'failures' is 0%% is never closed");
}

static void check_needs(const struct scenario *s, struct diags *diags)
{
    for (size_t i = 0; i < s->services.n; i++) {
        const struct service *service = s->services.items[i];
        if (!service->needs.n)
            continue;
        struct place at = check_place(s, "services", service->name, "needs", NULL);
        for (size_t k = 0; k < service->needs.n; k++) {
            const struct need *need = service->needs.items[k];
            if (!need->service == !need->of.n)
                diags_error(diags, at, "a need is one 'service', or 'any' so many 'of' several");
            else if (need->of.n && !need->any)
                diags_error(diags, at, "'of' several services 'any' says how many are enough");
            else if (!need->of.n && need->any)
                diags_error(diags, at, "'any' belongs to 'of': several services to choose from");
            else if (need->any > (int64_t)need->of.n)
                diags_error(diags, at,
                            "%s needs %" PRId64 " of %zu services: there are not so many",
                            service->name, need->any, need->of.n);
            if (need->service ? !strcmp(need->service, service->name)
                              : strv_has(&need->of, service->name))
                diags_error(diags, at, "%s cannot need itself", service->name);
            check_breaker(need, at, diags);
        }
    }
    if (!diags->n_errors)
        check_need_rings(s, diags);
}

/* --- Components --- */

/* It hardly works for a second. */
static bool fails_all_the_time(const struct distribution *fails)
{
    struct distribution longer = *fails;
    if (!nsec_is_set(longer.least) || longer.least < NSEC_SEC)
        longer.least = NSEC_SEC;
    return distribution_kept(&longer) < 0.01;
}

static void check_components(const struct scenario *s, struct diags *diags)
{
    const struct objects *v = &s->assumptions->components;
    AUTO_NAME_INDEX names = name_index_of(v, offsetof(struct component, name));
    AUTO_EDGES edges = {0};
    for (size_t i = 0; i < v->n; i++) {
        const struct component *c = v->items[i];
        for (size_t k = 0; k < c->in.n; k++) /* a host without an entry stands in nothing */
            edges_add(&edges, i, name_index_find(&names, c->in.items[k]));
        if (c->fails && fails_all_the_time(c->fails))
            diags_error(diags, check_place(s, "components", c->name, "fails", NULL),
                        "%s hardly ever works for a second: 'fails' is how long it works until it "
                        "fails, like {exponential: 90d}",
                        c->name);
        if (c->crew && !c->repair)
            diags_error(diags, check_place(s, "components", c->name, "crew", NULL),
                        "%s has a crew and no 'repair': how long does it take them?", c->name);
        if (c->ages_while_down && !c->fails)
            diags_error(diags, check_place(s, "components", c->name, "ages_while_down", NULL),
                        "%s never fails by itself: 'ages_while_down' belongs to 'fails'", c->name);
    }
    size_t ring = edges_ring(&edges, v->n);
    if (ring == v->n)
        return;
    const struct component *inner = v->items[ring];
    diags_error(diags, check_place(s, "components", inner->name, "in", NULL),
                "%s stands in itself: 'in' names what is larger", inner->name);
}

/* --- People --- */

static size_t responder_index(const struct scenario *s, const char *name)
{
    const struct objects *v = &s->assumptions->roles;
    for (size_t i = 0; i < v->n; i++)
        if (!strcmp(((const struct responder *)v->items[i])->name, name))
            return i;
    return v->n;
}

/* True when somebody answers, now or after escalating. */
static bool somebody_answers(const struct scenario *s, const struct responder *r)
{
    for (size_t steps = 0; steps <= s->assumptions->roles.n; steps++) {
        if (r->responds > 0)
            return true;
        if (!nsec_is_set(r->escalate_after) || !r->escalate_to)
            return false;
        r = s->assumptions->roles.items[responder_index(s, r->escalate_to)];
    }
    return false;
}

/* A page may reach it in a forecast: by a stage, or by somebody's escalation. */
static bool is_paged(const struct scenario *s, const struct responder *r)
{
    for (size_t i = 0; i < s->assumptions->services.n; i++) {
        const struct service_model *m = s->assumptions->services.items[i];
        for (size_t k = 0; k < m->restore.n; k++) {
            const struct stage *stage = m->restore.items[k];
            const struct responder *by =
                stage->by ? assumed_responder(s->assumptions, stage->by) : NULL;
            for (size_t steps = 0; by && steps <= s->assumptions->roles.n; steps++) {
                if (by == r)
                    return true;
                by = by->escalate_to ? assumed_responder(s->assumptions, by->escalate_to) : NULL;
            }
        }
    }
    return false;
}

static void check_responder(const struct scenario *s, const struct responder *r,
                            struct diags *diags)
{
    if (!scenario_is_exercise(s) || is_paged(s, r)) {
        if (!r->people.n)
            diags_error(diags, r->place, "this role needs 'people'");
        if (!r->acknowledges)
            diags_error(diags, r->place, "this role needs 'acknowledges'");
    }
    if (!somebody_answers(s, r))
        diags_error(diags, check_place(s, "roles", r->name, "responds", NULL),
                    "nobody ever answers a page of %s: 'responds' is 0 %%%s", r->name,
                    nsec_is_set(r->escalate_after) ? " wherever it is escalated to"
                                                   : " and it is not escalated");
    if (r->escalate_to && !strcmp(r->escalate_to, r->name))
        diags_error(diags, check_place(s, "roles", r->name, "escalate", "to", NULL),
                    "%s escalates to itself: leave out 'to' to page the same once more", r->name);
    if (nsec_is_set(r->from) && r->from == r->to)
        diags_error(diags, check_place(s, "roles", r->name, "hours", NULL),
                    "these hours end when they begin: leave them out for the whole day");
    for (size_t i = 0; i < r->deputies.n; i++)
        if (strv_has(&r->people, r->deputies.items[i]))
            diags_error(diags, check_place(s, "roles", r->name, "deputies", NULL),
                        "%s cannot be a deputy of themselves", r->deputies.items[i]);
}

/* --- Stages --- */

static size_t stage_index(const struct service_model *m, const char *name)
{
    for (size_t i = 0; i < m->restore.n; i++)
        if (!strcmp(((const struct stage *)m->restore.items[i])->name, name))
            return i;
    return m->restore.n;
}

/* The mapping below a stage's name. */
static const struct node *stage_node(const struct scenario *s, const struct service_model *m,
                                     size_t i)
{
    const struct node *list = node_get(node_get(node_get(s->tree, "model"), m->service), "restore");
    return list && list->kind == NODE_LIST && i < list->n ? list->items[i]->entries[0].value : NULL;
}

static struct place stage_place(const struct scenario *s, const struct service_model *m, size_t i,
                                const char *key)
{
    const struct node *node = node_get(stage_node(s, m, i), key);
    return node ? node->place : ((const struct stage *)m->restore.items[i])->place;
}

static void say_no_stage(const struct scenario *s, const struct service_model *m, size_t i,
                         const char *key, const char *name, struct diags *diags)
{
    const char *names[64];
    char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
    size_t n = 0;
    for (; n < m->restore.n && n < ARRAY_SIZE(names); n++)
        names[n] = ((const struct stage *)m->restore.items[n])->name;
    diags_error(diags, stage_place(s, m, i, key), "%s has no stage '%s'%s", m->service,
                diag_quote(name, quoted), diag_nearest(name, names, n, hint));
}

/* `takes`, `ttl` and `drain` exclude each other. */
static void check_stage_length(const struct scenario *s, const struct service_model *m, size_t i,
                               struct diags *diags)
{
    const struct stage *stage = m->restore.items[i];
    int n = (stage->takes != NULL) + nsec_is_set(stage->ttl) + stage->drain;
    if (n != 1)
        diags_error(diags, stage->place,
                    n ? "the stage '%s' takes a time, waits for a ttl, or drains: one of them"
                      : "how long does the stage '%s' take? A duration, a distribution, 'ttl' or "
                        "'drain'",
                    stage->name);
    if (!nsec_is_set(stage->ttl) && node_get(stage_node(s, m, i), "clients"))
        diags_error(diags, stage_place(s, m, i, "clients"),
                    "'clients' belongs to 'ttl': the share of them that has asked anew");
    if (stage->clients <= 0)
        diags_error(diags, stage_place(s, m, i, "clients"),
                    "'clients' is 0 %%: nobody needs to have asked anew; leave the stage out");
    if (stage->drain && m->load <= 0)
        diags_error(diags, stage_place(s, m, i, "drain"),
                    "the backlog of %s cannot be known without its 'load'", m->service);
}

static void check_stage_people(const struct scenario *s, const struct service_model *m, size_t i,
                               struct diags *diags)
{
    const struct stage *stage = m->restore.items[i];
    const struct responder *r = stage->by ? assumed_responder(s->assumptions, stage->by) : NULL;
    if (stage->approvals && !stage->by) {
        diags_error(diags, stage_place(s, m, i, "approvals"),
                    "'approvals' belongs to 'by': other people of that role");
        return;
    }
    int64_t others = r ? (int64_t)(r->people.n + r->deputies.n) - 1 : 0;
    if (r && stage->approvals > others)
        diags_error(diags, stage_place(s, m, i, "approvals"),
                    "the stage '%s' needs %" PRId64 " other people of %s, and there %s %" PRId64
                    " besides the one who acts",
                    stage->name, stage->approvals, r->name, others == 1 ? "is" : "are", others);
}

/* The stage whose `else` leads to this fallback, or to one that it comes after; n: none does. */
static size_t stage_branch(const struct service_model *m, size_t i, size_t depth)
{
    const struct stage *stage = m->restore.items[i];
    size_t none = m->restore.n, of = none;
    if (!stage->fallback || depth > none)
        return none;
    for (size_t k = 0; k < none; k++) {
        const struct stage *other = m->restore.items[k];
        if (other->otherwise && !strcmp(other->otherwise, stage->name))
            return k;
    }
    for (size_t k = 0; k < stage->after.n && of == none; k++) {
        size_t first = stage_index(m, stage->after.items[k]);
        if (first < none)
            of = stage_branch(m, first, depth + 1);
    }
    return of;
}

static void check_stage_else(const struct scenario *s, const struct service_model *m, size_t i,
                             struct diags *diags)
{
    const struct stage *stage = m->restore.items[i];
    if (stage->works <= 0)
        diags_error(diags, stage_place(s, m, i, "works"),
                    "the stage '%s' never works: leave it out", stage->name);
    if (!stage->otherwise)
        return;
    size_t to = stage_index(m, stage->otherwise);
    if (to == m->restore.n)
        say_no_stage(s, m, i, "else", stage->otherwise, diags);
    else if (!((const struct stage *)m->restore.items[to])->fallback)
        diags_error(diags, stage_place(s, m, i, "else"),
                    "the stage '%s' is taken in any case: write `only: fallback` in it, or name "
                    "another one",
                    stage->otherwise);
    else if (stage->works >= 1)
        diags_error(diags, stage_place(s, m, i, "else"),
                    "'else' is never taken: the stage '%s' always works; how often does it, as in "
                    "`works: 98%%`?",
                    stage->name);
    for (size_t k = 0; k < i; k++) {
        const struct stage *other = m->restore.items[k];
        if (other->otherwise && !strcmp(other->otherwise, stage->otherwise))
            diags_error(diags, stage_place(s, m, i, "else"),
                        "the stage '%s' is the fallback of '%s' already: give each its own",
                        stage->otherwise, other->name);
    }
}

static void check_stage_order(const struct scenario *s, const struct service_model *m, size_t i,
                              struct diags *diags)
{
    const struct stage *stage = m->restore.items[i];
    if (stage->after.n && stage->given_start >= 0)
        diags_error(diags, stage_place(s, m, i, "at"),
                    "'at' stands instead of 'after': give one of them");
    if (stage->fallback && stage->given_start >= 0)
        diags_error(diags, stage_place(s, m, i, "at"),
                    "a fallback begins when it is taken: remove 'at'");
    for (size_t k = 0; k < stage->after.n; k++) {
        size_t first = stage_index(m, stage->after.items[k]);
        if (first == m->restore.n)
            say_no_stage(s, m, i, "after", stage->after.items[k], diags);
        else if (!stage->fallback && ((const struct stage *)m->restore.items[first])->fallback)
            diags_error(diags, stage_place(s, m, i, "after"),
                        "the stage '%s' can never be reached when '%s', a fallback, is not taken: "
                        "name the stage whose 'else' it is, which ends when its fallback does",
                        stage->name, stage->after.items[k]);
    }
    if (stage->fallback && stage_branch(m, i, 0) == m->restore.n)
        diags_error(diags, stage->place,
                    "the fallback '%s' can never be reached: no 'else' names it", stage->name);
}

/* `at` waits for what must be over before stage i begins. */
static void stages_before(const struct service_model *m, size_t i, size_t at, struct edges *edges)
{
    const struct stage *stage = m->restore.items[i];
    for (size_t k = 0; k < stage->after.n; k++)
        edges_add(edges, at, stage_index(m, stage->after.items[k]));
    if (stage->after.n || stage->fallback || stage->start != STAGE_AFTER)
        return;
    for (size_t k = i; k-- > 0;) /* else the one before it that is no fallback */
        if (!((const struct stage *)m->restore.items[k])->fallback) {
            edges_add(edges, at, k);
            return;
        }
}

/* What must be over before it is: what it begins after, for a fallback also what the stage begins after that
 * it is the fallback of, and the stages of its own `else`. (Rings of nothing but `else` are told apart.) */
static void stages_order(const struct service_model *m, size_t i, struct edges *edges)
{
    size_t n = m->restore.n, of = i;
    for (size_t depth = 0; of < n && depth <= n; depth++) {
        stages_before(m, of, i, edges);
        of = stage_branch(m, of, 0);
    }
    for (size_t k = 0; k < n; k++) {
        const struct stage *other = m->restore.items[k];
        if (other->after.n && stage_branch(m, k, 0) == i)
            edges_add(edges, i, k);
    }
}

static void check_stage_rings(const struct scenario *s, const struct service_model *m,
                              struct diags *diags)
{
    AUTO_EDGES order = {0}, otherwise = {0};
    size_t n = m->restore.n;
    for (size_t i = 0; i < n; i++) {
        const struct stage *stage = m->restore.items[i];
        stages_order(m, i, &order);
        if (stage->otherwise)
            edges_add(&otherwise, i, stage_index(m, stage->otherwise));
    }
    size_t ring = edges_ring(&order, n), circle = edges_ring(&otherwise, n);
    if (ring < n)
        diags_error(diags, stage_place(s, m, ring, "after"),
                    "the stage '%s' waits for stages that wait for it",
                    ((const struct stage *)m->restore.items[ring])->name);
    if (circle < n)
        diags_error(diags, stage_place(s, m, circle, "else"),
                    "the stage '%s' falls back in a circle: the last fallback has no 'else'",
                    ((const struct stage *)m->restore.items[circle])->name);
}

static void check_stages(const struct scenario *s, const struct service_model *m,
                         struct diags *diags)
{
    for (size_t i = 0; i < m->restore.n; i++) {
        const struct stage *stage = m->restore.items[i];
        size_t first = stage_index(m, stage->name);
        if (first != i) {
            const struct stage *other = m->restore.items[first];
            diags_error(diags, stage->place, "a stage '%s' stands already at line %d, column %d",
                        stage->name, other->place.line, other->place.col);
            continue;
        }
        check_stage_length(s, m, i, diags);
        check_stage_people(s, m, i, diags);
        check_stage_else(s, m, i, diags);
        check_stage_order(s, m, i, diags);
    }
    check_stage_rings(s, m, diags);
}

/* --- Services --- */

static struct place model_place(const struct scenario *s, const struct service_model *m,
                                const char *key, const char *inner)
{
    return inner ? check_place(s, "model", m->service, key, inner, NULL)
                 : check_place(s, "model", m->service, key, NULL);
}

static void check_redundancy(const struct scenario *s, const struct service_model *m,
                             struct diags *diags)
{
    const struct redundancy *r = m->redundancy;
    for (size_t i = 0; i < r->of.n; i++)
        for (size_t k = 0; k < i; k++)
            if (!strcmp(r->of.items[i], r->of.items[k]))
                diags_error(diags, model_place(s, m, "redundancy", "of"),
                            "%s is named twice among the units of %s", r->of.items[i], m->service);
    if (r->mode < 0)
        diags_error(diags, model_place(s, m, "redundancy", NULL),
                    "%s has %zu units: 'mode' says whether they are active-active, active-passive "
                    "or a quorum",
                    m->service, r->of.n);
    else if (r->mode == ACTIVE_ACTIVE && !r->need)
        diags_error(diags, model_place(s, m, "redundancy", NULL),
                    "'need' says how many of the %zu units of %s must work", r->of.n, m->service);
    if (r->need > (int64_t)r->of.n)
        diags_error(diags, model_place(s, m, "redundancy", "need"),
                    "%s needs %" PRId64 " units and has %zu", m->service, r->need, r->of.n);
    if (r->mode == QUORUM && r->need <= (int64_t)r->of.n / 2)
        diags_error(diags, model_place(s, m, "redundancy", "need"),
                    "%" PRId64 " of %zu is no quorum: two halves could both have one; at least %zu",
                    r->need, r->of.n, r->of.n / 2 + 1);
    if (r->takeout && r->mode != ACTIVE_ACTIVE)
        diags_error(diags, model_place(s, m, "redundancy", "takeout"),
                    "'takeout' belongs to active-active units");
    if (r->warm_up && r->mode != ACTIVE_PASSIVE)
        diags_error(diags, model_place(s, m, "redundancy", "warm_up"),
                    "'warm_up' belongs to active-passive units");
    if (m->failback && (r->mode != ACTIVE_PASSIVE || r->of.n < 2))
        diags_error(diags, model_place(s, m, "failback", NULL),
                    "'failback' belongs to active-passive units: only there is one preferred");
}

static void check_alarm_model(const struct scenario *s, const struct service_model *m,
                              const struct alarm_model *a, struct diags *diags)
{
    const struct alarm *alarm = scenario_alarm(s, a->alarm);
    size_t n = 0;
    if (strcmp(alarm->service, m->service) != 0)
        diags_error(diags, a->place, "the alarm '%s' is not about %s but about %s", a->alarm,
                    m->service, alarm->service);
    if (alarm_is_own(alarm))
        diags_error(diags, a->place,
                    "'%s' is a %s, which a forecast computes: nothing is assumed about it",
                    a->alarm, alarm->kind->name);
    for (size_t i = 0; i < m->alarms.n; i++)
        n += !strcmp(((const struct alarm_model *)m->alarms.items[i])->alarm, a->alarm);
    if (n > 1 && !alarm_is_assumed(alarm))
        diags_error(diags, a->place, "the alarm '%s' is described twice", a->alarm);
    else if (n > 1 && a->place.line != alarm->place.line)
        diags_error(diags, a->place, "the alarm '%s' says itself what is assumed of it", a->alarm);
    if (a->fires <= 0)
        diags_error(diags, a->place, "the alarm '%s' never comes: leave it out", a->alarm);
}

static void check_model(const struct scenario *s, const struct service_model *m,
                        struct diags *diags)
{
    if (m->redundancy)
        check_redundancy(s, m, diags);
    else if (m->failback)
        diags_error(diags, model_place(s, m, "failback", NULL),
                    "'failback' goes back to a preferred unit: 'redundancy' says which there are");
    if (m->failback_outage && !m->failback)
        diags_error(diags, model_place(s, m, "failback_outage", NULL),
                    "'failback_outage' belongs to 'failback'");
    if (m->from.n && m->restore.n)
        diags_error(diags, model_place(s, m, "from", NULL),
                    "'from' stands instead of 'restore': give one of them");
    if (m->load >= 1)
        diags_error(diags, model_place(s, m, "load", NULL),
                    "%s is asked all that it can do, so that no backlog is ever worked off: its "
                    "load must be below 100 %%",
                    m->service);
    check_stages(s, m, diags);
    for (size_t i = 0; i < m->alarms.n; i++)
        check_alarm_model(s, m, m->alarms.items[i], diags);
}

/* --- All of it --- */

static void check_variants(const struct scenario *s, struct diags *diags)
{
    static const char *const never[] = {"blackstart", "include", "vars", "variants", "name"};
    const struct objects *v = &s->assumptions->variants;
    for (size_t i = 0; i < v->n; i++) {
        const struct variant_set *variant = v->items[i];
        for (size_t k = 0; k < variant->set.n; k++) {
            const struct pair *p = &variant->set.items[k];
            size_t n = strcspn(p->key, ".");
            char quoted[DIAG_QUOTE_MAX];
            for (size_t w = 0; w < ARRAY_SIZE(never); w++)
                if (strlen(never[w]) == n && !strncmp(never[w], p->key, n))
                    diags_error(diags, p->place, "a variant cannot set '%s'",
                                diag_quote(p->key, quoted));
        }
    }
}

void check_forecast(const struct scenario *s, struct diags *diags)
{
    const struct assumptions *a = s->assumptions;
    char at[NSEC_TEXT_MAX], h[NSEC_TEXT_MAX];
    check_needs(s, diags);
    check_components(s, diags);
    for (size_t i = 0; i < a->roles.n; i++)
        check_responder(s, a->roles.items[i], diags);
    for (size_t i = 0; i < a->services.n; i++)
        check_model(s, a->services.items[i], diags);
    for (size_t i = 0; i < a->freezes.n; i++) {
        const struct freeze *f = a->freezes.items[i];
        if (f->from >= s->horizon)
            diags_error(diags, f->place,
                        "this freeze begins at %s, after all is over (the horizon is %s)",
                        nsec_text(f->from, at), nsec_text(s->horizon, h));
    }
    check_variants(s, diags);
}
