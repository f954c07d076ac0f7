/* What a forecast assumes, made ready: distributions, members that follow from others, the ranges of
 * what is not known better. What must hold of it beyond that is check_forecast.c.
 */
#include "scenarios/check.h"

#include "injectors/injector.h"
#include "scenarios/tables.h"

#include <stdlib.h>
#include <string.h>

/* --- Distributions --- */

/* The mapping that begins at this place, or whose key does; NULL: none. */
static const struct node *node_at(const struct node *node, struct place at)
{
    const struct node *found = NULL;
    if (node->kind == NODE_LIST)
        for (size_t i = 0; i < node->n && !found; i++)
            found = node_at(node->items[i], at);
    if (node->kind != NODE_MAP)
        return found;
    for (size_t i = 0; i < node->n && !found; i++) {
        const struct entry *e = &node->entries[i];
        if (e->key->place.line == at.line && e->key->place.col == at.col &&
            e->key->place.file == at.file)
            return e->value;
        found = node_at(e->value, at);
    }
    /* the first key of a mapping may stand where it begins, so the mapping itself comes last */
    return !found && node->place.line == at.line && node->place.col == at.col &&
                   node->place.file == at.file
               ? node
               : found;
}

struct walk {
    struct scenario *s;
    struct diags *diags;
    struct made {
        struct distribution *d;
        struct place at;
    } * items;
    size_t n, room;
};

static void collect(const struct record *r, void *object, void *data)
{
    struct walk *w = data;
    struct distribution *d = NULL;
    struct place at = {0};
    if (r == &distribution_record) {
        d = object;
        at = d->place;
    } else if (r == &tables_stage) {
        struct stage *stage = object;
        if (!distribution_is_given(&stage->given))
            return;
        d = &stage->given;
        at = stage->place;
        stage->takes = d;
    }
    if (!d)
        return;
    if (w->n == w->room) {
        w->room = w->room ? w->room * 2 : 32;
        struct made *more = realloc(w->items, w->room * sizeof *more);
        if (!more)
            abort();
        w->items = more;
    }
    w->items[w->n++] = (struct made){d, at};
}

static void resolve_distributions(struct scenario *s, struct diags *diags)
{
    struct walk w = {.s = s, .diags = diags};
    field_objects(&scenario_record, s, collect, &w);
    for (size_t i = 0; i < s->script.n; i++) {
        const struct step *step = s->script.items[i];
        if (step->action && step->params)
            field_objects(step->action->params, step->params, collect, &w);
    }
    for (size_t i = 0; i < s->alarms.n; i++) {
        const struct alarm *a = s->alarms.items[i];
        if (a->kind && a->params)
            field_objects(a->kind->params, a->params, collect, &w);
    }
    for (size_t i = w.n; i-- > 0;) { /* parts were collected after what they are parts of */
        struct err err = ERR_INIT;
        const struct made *m = &w.items[i];
        if (distribution_resolve(m->d, s->arena, &err) == 0)
            continue;
        const struct node *node = node_at(s->tree, m->at);
        diags_error(diags, node ? check_sentence_place(node, err.text, m->at) : m->at, "%s",
                    err.text);
    }
    free(w.items);
}

/* --- Members that follow from others --- */

static void resolve_stage(struct stage *stage)
{
    stage->start = stage->given_start < 0    ? STAGE_AFTER
                   : stage->given_start == 0 ? STAGE_AT_IMPACT
                                             : STAGE_AT_DETECTION;
    stage->fallback = stage->given_only >= 0;
}

static void resolve_redundancy(struct redundancy *r)
{
    if (r->mode < 0)
        r->mode = r->of.n > 1 ? -1 : ACTIVE_PASSIVE; /* several: refused by the check */
    if (!r->need)
        r->need = r->mode == QUORUM ? (int64_t)r->of.n / 2 + 1 : r->mode == ACTIVE_ACTIVE ? 0 : 1;
}

static void resolve_responder(struct responder *r)
{
    r->escalate_after = r->from = r->to = NSEC_UNSET;
    if (r->given_escalate) {
        r->escalate_after = r->given_escalate->after;
        r->escalate_to = r->given_escalate->to;
        r->loops = r->given_escalate->loops;
    }
    if (r->given_hours) {
        r->from = r->given_hours->from;
        r->to = r->given_hours->to;
        r->otherwise = r->given_hours->otherwise;
    }
}

/* What an alarm of kind `assumed` says of itself belongs to the model of its service. */
static void resolve_assumed_alarm(struct scenario *s, const struct alarm *a)
{
    struct alarm_model *m = a->params;
    struct service_model *of = NULL;
    m->alarm = a->name;
    m->place = a->place;
    for (size_t i = 0; i < s->assumed.services.n && !of; i++) {
        struct service_model *one = s->assumed.services.items[i];
        if (one->service && !strcmp(one->service, a->service))
            of = one;
    }
    if (!of) {
        struct objects *v = &s->assumed.services;
        void **items = arena_alloc(s->arena, (v->n + 1) * sizeof *items);
        if (v->n)
            memcpy(items, v->items, v->n * sizeof *items);
        of = arena_alloc(s->arena, sizeof *of);
        *of = (struct service_model){
            .service = a->service, .place = a->place, .hold_down = NSEC_UNSET};
        items[v->n] = of;
        *v = (struct objects){items, v->n + 1};
    }
    void **items = arena_alloc(s->arena, (of->alarms.n + 1) * sizeof *items);
    if (of->alarms.n)
        memcpy(items, of->alarms.items, of->alarms.n * sizeof *items);
    items[of->alarms.n] = m;
    of->alarms = (struct objects){items, of->alarms.n + 1};
}

static void resolve_members(struct scenario *s)
{
    for (size_t i = 0; i < s->assumed.roles.n; i++)
        resolve_responder(s->assumed.roles.items[i]);
    for (size_t i = 0; i < s->assumed.services.n; i++) {
        struct service_model *m = s->assumed.services.items[i];
        if (m->redundancy)
            resolve_redundancy(m->redundancy);
        for (size_t k = 0; k < m->restore.n; k++)
            resolve_stage(m->restore.items[k]);
    }
    for (size_t i = 0; i < s->alarms.n; i++) {
        const struct alarm *a = s->alarms.items[i];
        if (a->kind && a->params && a->name && a->service && alarm_is_assumed(a))
            resolve_assumed_alarm(s, a);
    }
}

/* --- Ranges --- */

/* What an element of a list is called in a path: its id or name, its only key, or its number from 1. */
static void path_add_element(struct buf *path, const struct node *item, size_t i)
{
    const struct node *name = node_get(item, "id") ? node_get(item, "id") : node_get(item, "name");
    if (name && name->kind == NODE_SCALAR)
        buf_printf(path, ".%s", name->text);
    else if (item->kind == NODE_MAP && item->n == 1)
        buf_printf(path, ".%s", item->entries[0].key->text);
    else
        buf_printf(path, ".%zu", i + 1);
}

/* The path that leads to `wanted`, from what `path` has on. */
static bool path_find(const struct node *node, const struct node *wanted, struct buf *path)
{
    if (node == wanted)
        return true;
    size_t before = path->len;
    for (size_t i = 0; node->kind != NODE_SCALAR && i < node->n; i++) {
        const struct node *child = node->kind == NODE_MAP ? node->entries[i].value : node->items[i];
        if (node->kind == NODE_MAP) {
            buf_printf(path, "%s%s", before ? "." : "", node->entries[i].key->text);
        } else if (child == wanted) {
            buf_printf(path, ".%zu", i + 1);
        } else {
            path_add_element(path, child, i);
            if (child->kind == NODE_MAP && child->n == 1) /* its key was the name */
                child = child->entries[0].value;
        }
        if (path_find(child, wanted, path))
            return true;
        path->len = before;
        path->text[before] = '\0';
    }
    return false;
}

static void resolve_ranges(struct scenario *s, const struct decode *d)
{
    struct objects *v = &s->assumed.uncertain;
    v->items = arena_alloc(s->arena, (d->n_ranges + 1) * sizeof *v->items);
    for (size_t i = 0; i < d->n_ranges; i++) {
        const struct decode_range *r = &d->ranges[i];
        AUTO_BUF path = BUF_INIT;
        if (!path_find(s->tree, r->node, &path))
            continue; /* of an alternative that was not taken */
        struct uncertain *c = arena_alloc(s->arena, sizeof *c);
        *c = (struct uncertain){.path = arena_strdup(s->arena, buf_text(&path)),
                                .place = r->node->place,
                                .type = r->type,
                                .low = r->low,
                                .high = r->high};
        v->items[v->n++] = c;
    }
}

void check_resolve_assumed(struct scenario *s, const struct decode *d, struct diags *diags)
{
    resolve_distributions(s, diags);
    resolve_members(s);
    resolve_ranges(s, d);
}
