/* The share of a group that may be hit at a time. See share.h. */
#include "sim/model/share.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/buf.h"

size_t share_limit(const struct host_group *g)
{
    return (size_t)(g->at_most * (double)g->hosts.n + 1e-9);
}

/* --- Whom a step may hit ---------------------------------------------------------------------- */

struct toll { /* of one group */
    const struct host_group *group;
    bool *named;
    size_t chosen; /* more, not known by name */
};

static void name_one(struct toll *t, const char *host)
{
    for (size_t i = 0; host && i < t->group->hosts.n; i++)
        if (strcmp(t->group->hosts.items[i], host) == 0)
            t->named[i] = true;
}

static void name_all(struct toll *t, const struct strv *hosts)
{
    for (size_t i = 0; i < hosts->n; i++)
        name_one(t, hosts->items[i]);
}

static void choose(struct toll *t, const struct target *target)
{
    size_t candidates = 0, most = target->leader ? 1 : (size_t)target->any;
    for (size_t i = 0; i < target->of.n; i++)
        candidates += strv_has(&t->group->hosts, target->of.items[i]);
    t->chosen += candidates < most ? candidates : most;
}

static void name_keys(struct toll *t, const struct field *f, const struct objects *map)
{
    for (size_t i = 0; i < map->n; i++) {
        const void *key = (const char *)map->items[i] + f->record->name_offset;
        name_one(t, *(char *const *)key);
    }
}

static void on_object(const struct record *r, void *object, void *data)
{
    struct toll *t = data;
    if (r == &target_record) {
        const struct target *target = object;
        if (target->host)
            name_one(t, target->host);
        else
            choose(t, target);
        return;
    }
    for (const struct field *f = r->fields; f->key; f++) {
        const void *m = (const char *)object + f->offset;
        if (f->ref != REF_HOST)
            continue;
        if (f->type == FIELD_REF)
            name_one(t, *(char *const *)m);
        else if (f->type == FIELD_REFS)
            name_all(t, m);
        else if (f->type == FIELD_MAP)
            name_keys(t, f, m);
    }
}

static void add_step(struct toll *t, const struct step *step)
{
    if (step->action && step->action->params && step->params)
        field_objects(step->action->params, step->params, on_object, t);
}

static size_t hosts_of(const struct toll *t)
{
    size_t n = t->chosen;
    for (size_t i = 0; i < t->group->hosts.n; i++)
        n += t->named[i];
    return n < t->group->hosts.n ? n : t->group->hosts.n;
}

static bool touches(const struct host_group *g, const struct step *step)
{
    struct toll t = {.group = g, .named = calloc(g->hosts.n + 1, sizeof *t.named)};
    if (!t.named)
        abort(); /* as the buffers of sim/base do */
    add_step(&t, step);
    bool any = hosts_of(&t) > 0;
    free(t.named);
    return any;
}

/* --- Judging ---------------------------------------------------------------------------------- */

static int judge(const struct toll *t, const struct step *step, const struct buf *others,
                 struct err *err)
{
    size_t n = hosts_of(t), limit = share_limit(t->group);
    if (n <= limit)
        return 0;
    return err_set(
        err, EPERM,
        "this step%s%s would have hit up to %zu of the %zu hosts of the group %s at a "
        "time, and 'at_most: %g%%' allows %zu: let one fault end ('for') before the next "
        "begins, name fewer hosts, or raise 'at_most'",
        others->len ? " together with " : "", buf_text(others), n, t->group->hosts.n,
        t->group->name, t->group->at_most * 100, limit);
}

static nsec end_of(const struct step *s)
{
    return s->lasts && nsec_is_set(s->lasting) ? nsec_add(s->at, s->lasting) : NSEC_INF;
}

static int check_moment(const struct scenario *s, const struct host_group *g,
                        const struct step *step, struct err *err)
{
    struct toll t = {.group = g, .named = calloc(g->hosts.n + 1, sizeof *t.named)};
    AUTO_BUF others = BUF_INIT;
    if (!t.named)
        abort();
    add_step(&t, step);
    for (size_t i = 0; nsec_is_set(step->at) && i < s->script.n; i++) {
        const struct step *o = s->script.items[i];
        if (o == step || !o->fault || !nsec_is_set(o->at) || o->at > step->at ||
            end_of(o) <= step->at || !touches(g, o))
            continue;
        add_step(&t, o);
        buf_printf(&others, "%s'%s' (line %d)", others.len ? ", " : "", o->id,
                   o->action_place.line);
    }
    int r = judge(&t, step, &others, err);
    free(t.named);
    return r;
}

int share_check(const struct scenario *s, const struct step **ret_step, struct err *err)
{
    for (size_t k = 0; k < s->script.n; k++) {
        const struct step *step = s->script.items[k];
        for (size_t i = 0; step->fault && i < s->groups.n; i++) {
            const struct host_group *g = s->groups.items[i];
            bool possible = share_limit(g) > 0; /* else that is said where it stands */
            int r = possible && touches(g, step) ? check_moment(s, g, step, err) : 0;
            if (r < 0) {
                *ret_step = step;
                return r;
            }
        }
    }
    return 0;
}

static int may_hit(const struct host_group *g, const struct step *step,
                   const struct share_hit *hits, size_t n, struct err *err)
{
    struct toll t = {.group = g, .named = calloc(g->hosts.n + 1, sizeof *t.named)};
    AUTO_BUF others = BUF_INIT;
    if (!t.named)
        abort();
    add_step(&t, step);
    for (size_t i = 0; i < n; i++) {
        size_t k, before = hosts_of(&t);
        const json_t *host;
        json_array_foreach (hits[i].targets, k, host)
            name_one(&t, json_string_value(host));
        if (hosts_of(&t) > before)
            buf_printf(&others, "%s'%s'", others.len ? ", " : "", hits[i].step->id);
    }
    int r = judge(&t, step, &others, err);
    free(t.named);
    return r;
}

int share_may_begin(const struct scenario *s, const struct step *step, const struct share_hit *hits,
                    size_t n, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && step->fault && i < s->groups.n; i++)
        if (touches(s->groups.items[i], step))
            r = may_hit(s->groups.items[i], step, hits, n, err);
    return r;
}
