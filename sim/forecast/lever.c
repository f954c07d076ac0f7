/* What could be made better. */
#include "sim/forecast/lever.h"

#include <math.h>
#include <string.h>

struct list {
    struct scenario *s;
    struct lever *items;
    size_t n, room;
};

static struct lever *list_add(struct list *l, enum lever_kind kind, char *name)
{
    if (l->n == l->room) {
        l->room = l->room ? 2 * l->room : 16;
        struct lever *more = arena_alloc(l->s->arena, l->room * sizeof *more);
        if (l->n)
            memcpy(more, l->items, l->n * sizeof *more);
        l->items = more;
    }
    l->items[l->n] = (struct lever){.name = name, .kind = kind, .most = 1};
    return &l->items[l->n++];
}

#define NAME(...) arena_printf(l->s->arena, __VA_ARGS__)

static void add_takes(struct list *l, const struct distribution **takes, char *name)
{
    if (*takes)
        list_add(l, LEVER_DURATION, name)->takes = takes;
}

static void add_chance(struct list *l, double *chance, char *name)
{
    if (*chance < 1)
        list_add(l, LEVER_CHANCE, name)->chance = chance;
}

static void add_time(struct list *l, nsec *time, double most, char *name)
{
    if (!nsec_is_set(*time) || *time <= 0)
        return;
    struct lever *lever = list_add(l, LEVER_DURATION, name);
    lever->time = time;
    lever->most = most;
}

static void add_service(struct list *l, struct service_model *m)
{
    for (size_t i = 0; i < m->restore.n; i++) {
        struct stage *g = m->restore.items[i];
        add_takes(l, &g->takes, NAME("model.%s.restore.%s", m->service, g->name));
        add_time(l, &g->ttl, 1, NAME("model.%s.restore.%s.ttl", m->service, g->name));
        add_chance(l, &g->works, NAME("model.%s.restore.%s.works", m->service, g->name));
    }
    if (m->redundancy) {
        add_takes(l, &m->redundancy->takeout, NAME("model.%s.redundancy.takeout", m->service));
        add_takes(l, &m->redundancy->warm_up, NAME("model.%s.redundancy.warm_up", m->service));
    }
    for (size_t i = 0; i < m->alarms.n; i++) {
        struct alarm_model *a = m->alarms.items[i];
        add_takes(l, &a->delay, NAME("model.%s.alarms.%s.delay", m->service, a->alarm));
        add_chance(l, &a->fires, NAME("model.%s.alarms.%s.fires", m->service, a->alarm));
    }
}

size_t lever_list(struct scenario *s, const struct lever **ret)
{
    struct list list = {.s = s}, *l = &list;
    for (size_t i = 0; i < s->probes.n; i++) {
        struct probe *p = s->probes.items[i];
        if (!p->control)
            add_time(l, &p->every, 0.9, NAME("probes.%s.every", p->name));
    }
    for (size_t i = 0; i < s->assumed.roles.n; i++) {
        struct responder *r = s->assumed.roles.items[i];
        add_takes(l, &r->acknowledges, NAME("roles.%s.acknowledges", r->name));
        add_chance(l, &r->responds, NAME("roles.%s.responds", r->name));
        add_time(l, &r->escalate_after, 0.99, NAME("roles.%s.escalate.after", r->name));
    }
    for (size_t i = 0; i < s->assumed.services.n; i++)
        add_service(l, s->assumed.services.items[i]);
    for (size_t i = 0; i < s->assumed.components.n; i++) {
        struct component *c = s->assumed.components.items[i];
        add_takes(l, &c->repair, NAME("components.%s.repair", c->name));
    }
    *ret = list.items;
    return list.n;
}

static nsec scaled(nsec t, double by)
{
    return nsec_is_set(t) && t != NSEC_INF ? (nsec)((double)t * by + 0.5) : t;
}

static struct distribution distribution_scaled(struct arena *arena, const struct distribution *d,
                                               double by)
{
    struct distribution r = *d;
    if (by <= 0)
        return (struct distribution){
            .kind = DISTRIBUTION_CONSTANT, .least = NSEC_UNSET, .most = NSEC_UNSET};
    r.a = scaled(d->a, by);
    r.b = scaled(d->b, by);
    r.c = scaled(d->c, by);
    r.least = scaled(d->least, by);
    r.most = scaled(d->most, by);
    if (d->values_n) {
        nsec *values = arena_alloc(arena, d->values_n * sizeof *values);
        for (size_t i = 0; i < d->values_n; i++)
            values[i] = scaled(d->values[i], by);
        r.values = values;
    }
    if (d->parts_n) {
        struct distribution_part *parts = arena_alloc(arena, d->parts_n * sizeof *parts);
        for (size_t i = 0; i < d->parts_n; i++)
            parts[i] = (struct distribution_part){
                .share = d->parts[i].share, .of = distribution_scaled(arena, &d->parts[i].of, by)};
        r.parts = parts;
    }
    return r;
}

void lever_move(struct scenario *s, const struct lever *l, double change)
{
    if (l->takes) {
        struct distribution *d = arena_alloc(s->arena, sizeof *d);
        *d = distribution_scaled(s->arena, *l->takes, 1 - change);
        *l->takes = d;
    } else if (l->time) {
        nsec t = scaled(*l->time, 1 - change);
        *l->time = t > 0 ? t : 1;
    } else {
        double p = *l->chance + (1 - *l->chance) * change;
        *l->chance = p < 0 ? 0 : p > 1 ? 1 : p;
    }
}

static void time_text(const char *what, nsec t, struct buf *out)
{
    char text[NSEC_TEXT_MAX];
    buf_printf(out, "%s%s", what, nsec_text(t, text));
}

static void distribution_text(const struct distribution *d, struct buf *out)
{
    switch (d->kind) {
    case DISTRIBUTION_CONSTANT:
        time_text("", d->a, out);
        break;
    case DISTRIBUTION_UNIFORM:
        time_text("", d->a, out);
        time_text(" to ", d->b, out);
        break;
    case DISTRIBUTION_EXPONENTIAL:
        time_text("exponential, mean ", d->a, out);
        break;
    case DISTRIBUTION_NORMAL:
        time_text("normal, mean ", d->a, out);
        time_text(", deviation ", d->b, out);
        break;
    case DISTRIBUTION_LOGNORMAL:
        time_text("lognormal, median ", d->a, out);
        time_text(", 95 % below ", d->b, out);
        break;
    case DISTRIBUTION_GAMMA:
        time_text("gamma, mean ", d->a, out);
        break;
    case DISTRIBUTION_WEIBULL:
        time_text("Weibull, scale ", d->a, out);
        break;
    case DISTRIBUTION_TRIANGULAR:
    case DISTRIBUTION_PERT:
        time_text("", d->a, out);
        time_text(" to ", d->c, out);
        time_text(", most likely ", d->b, out);
        break;
    case DISTRIBUTION_EMPIRICAL:
        buf_printf(out, "%zu measured values", d->values_n);
        break;
    case DISTRIBUTION_MIXTURE:
        buf_printf(out, "a mixture of %zu", d->parts_n);
        break;
    }
}

void lever_text(const struct lever *l, struct buf *out)
{
    if (l->takes)
        distribution_text(*l->takes, out);
    else if (l->time)
        time_text("", *l->time, out);
    else
        buf_printf(out, "%.4g %%", *l->chance * 100);
}
