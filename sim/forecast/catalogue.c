/* Inverse links are built in two passes: count, then fill. Cycles are found by Kahn's algorithm: what is never
 * freed of its last predecessor stands in one. */
#include "sim/forecast/catalogue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void *need_memory(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p)
        abort();
    return p;
}

enum relation { STANDS_IN, WORKS_FOR, NEEDS };

/* What row i of a relation names. */
static struct catalogue_list row(const struct catalogue *c, enum relation r, size_t i)
{
    switch (r) {
    case STANDS_IN:
        return c->components[i].in;
    case WORKS_FOR:
        return c->services[i].of;
    case NEEDS:
        break;
    }
    return c->needs[i]->of;
}

static struct catalogue_links invert(const struct catalogue *c, enum relation r, size_t rows,
                                     size_t named)
{
    struct catalogue_links l = {.start = need_memory(named + 2, sizeof *l.start)};
    size_t n = 0;
    for (size_t i = 0; i < rows; i++) {
        struct catalogue_list of = row(c, r, i);
        n += of.n;
        for (size_t k = 0; k < of.n; k++)
            l.start[of.items[k] + 2]++;
    }
    for (size_t i = 0; i < named; i++)
        l.start[i + 2] += l.start[i + 1];
    l.items = need_memory(n, sizeof *l.items);
    for (size_t i = 0; i < rows; i++) {
        struct catalogue_list of = row(c, r, i);
        for (size_t k = 0; k < of.n; k++)
            l.items[l.start[of.items[k] + 1]++] = i;
    }
    return l;
}

static void number_needs(struct catalogue *c)
{
    for (size_t i = 0; i < c->services_n; i++)
        c->needs_n += c->services[i].needs_n;
    c->needs = need_memory(c->needs_n, sizeof *c->needs);
    c->need_owner = need_memory(c->needs_n, sizeof *c->need_owner);
    size_t n = 0;
    for (size_t i = 0; i < c->services_n; i++)
        for (size_t k = 0; k < c->services[i].needs_n; k++) {
            c->needs[n] = &c->services[i].needs[k];
            c->need_owner[n++] = i;
        }
}

static int check_service(const struct catalogue_service *s, size_t enough, struct err *err)
{
    if (enough > s->of.n)
        return err_set(err, EINVAL, "%s: needs %zu of %zu units", s->name, enough, s->of.n);
    if (s->mode == ACTIVE_PASSIVE && s->of.n && enough != 1)
        return err_set(err, EINVAL, "%s: active-passive has one active unit, so it cannot need %zu",
                       s->name, enough);
    for (size_t k = 0; k < s->needs_n; k++)
        if (s->needs[k].at_least > s->needs[k].of.n)
            return err_set(err, EINVAL, "%s: needs %zu of %zu services", s->name,
                           s->needs[k].at_least, s->needs[k].of.n);
    return 0;
}

/* to_free[i]: how many items i still waits for; l: who waits for an item (through `owner`, if given).
 * Returns an item of a cycle, or CATALOGUE_NONE. */
static size_t find_cycle(size_t n, size_t *waits_for, const struct catalogue_links *l,
                         const size_t *owner)
{
    AUTO_FREE size_t *free_now = need_memory(n, sizeof *free_now);
    size_t put = 0;
    for (size_t i = 0; i < n; i++)
        if (waits_for[i] == 0)
            free_now[put++] = i;
    for (size_t got = 0; got < put; got++) {
        size_t i = free_now[got];
        for (size_t k = l->start[i]; k < l->start[i + 1]; k++) {
            size_t w = owner ? owner[l->items[k]] : l->items[k];
            if (--waits_for[w] == 0)
                free_now[put++] = w;
        }
    }
    for (size_t i = 0; put < n && i < n; i++)
        if (waits_for[i])
            return i;
    return CATALOGUE_NONE;
}

static int check_cycles(const struct catalogue *c, struct err *err)
{
    size_t n = c->components_n > c->services_n ? c->components_n : c->services_n;
    AUTO_FREE size_t *waits_for = need_memory(n, sizeof *waits_for);
    for (size_t i = 0; i < c->components_n; i++)
        waits_for[i] = c->components[i].in.n;
    size_t found = find_cycle(c->components_n, waits_for, &c->holds, NULL);
    if (found != CATALOGUE_NONE)
        return err_set(err, EINVAL, "%s: stands in itself, through others",
                       c->components[found].name);
    for (size_t i = 0; i < c->services_n; i++) {
        waits_for[i] = 0;
        for (size_t k = 0; k < c->services[i].needs_n; k++)
            waits_for[i] += c->services[i].needs[k].of.n;
    }
    found = find_cycle(c->services_n, waits_for, &c->needed, c->need_owner);
    if (found != CATALOGUE_NONE)
        return err_set(err, EINVAL, "%s: needs itself, through others", c->services[found].name);
    return 0;
}

int catalogue_new(const struct catalogue *given, struct catalogue **ret, struct err *err)
{
    CLEANUP(catalogue_free_p) struct catalogue *c = need_memory(1, sizeof *c);
    c->components = given->components;
    c->components_n = given->components_n;
    c->crews = given->crews;
    c->crews_n = given->crews_n;
    c->services = given->services;
    c->services_n = given->services_n;
    number_needs(c);
    c->holds = invert(c, STANDS_IN, c->components_n, c->components_n);
    c->serves = invert(c, WORKS_FOR, c->services_n, c->components_n);
    c->needed = invert(c, NEEDS, c->needs_n, c->services_n);
    c->enough = need_memory(c->services_n, sizeof *c->enough);
    for (size_t i = 0; i < c->services_n; i++) {
        const struct catalogue_service *s = &c->services[i];
        c->enough[i] = s->mode == QUORUM && s->need == 0 ? s->of.n / 2 + 1 : s->need;
        if (s->of.n == 0)
            c->enough[i] = 0;
        int r = check_service(s, c->enough[i], err);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < c->components_n; i++)
        if (c->components[i].crew != CATALOGUE_NONE && c->components[i].fails &&
            !c->components[i].repair)
            return err_set(err, EINVAL, "%s: has a crew, but no time that a repair takes",
                           c->components[i].name);
    int r = check_cycles(c, err);
    if (r < 0)
        return r;
    *ret = steal_ptr(c);
    return 0;
}

static void links_done(struct catalogue_links *l)
{
    free(l->start);
    free(l->items);
}

struct catalogue *catalogue_free(struct catalogue *c)
{
    if (!c)
        return NULL;
    links_done(&c->holds);
    links_done(&c->serves);
    links_done(&c->needed);
    free(c->needs);
    free(c->need_owner);
    free(c->enough);
    free(c);
    return NULL;
}

/* Falling dominoes: what is down takes down what has too little left. */
struct fall {
    const struct catalogue *c;
    size_t *units_left, *needs_left; /* of services, of needs */
    bool *component_down, *service_down;
    size_t *pending, pending_n, services_n;
};

static void fall_service(struct fall *f, size_t s)
{
    if (f->service_down[s])
        return;
    f->service_down[s] = true;
    f->services_n++;
    f->pending[f->pending_n++] = f->c->components_n + s;
}

static void fall_component(struct fall *f, size_t i)
{
    if (f->component_down[i])
        return;
    f->component_down[i] = true;
    f->pending[f->pending_n++] = i;
}

static void fall_on(struct fall *f, size_t what)
{
    const struct catalogue *c = f->c;
    if (what < c->components_n) {
        for (size_t k = c->holds.start[what]; k < c->holds.start[what + 1]; k++)
            fall_component(f, c->holds.items[k]);
        for (size_t k = c->serves.start[what]; k < c->serves.start[what + 1]; k++) {
            size_t s = c->serves.items[k];
            if (--f->units_left[s] < c->enough[s])
                fall_service(f, s);
        }
        return;
    }
    size_t s = what - c->components_n;
    for (size_t k = c->needed.start[s]; k < c->needed.start[s + 1]; k++) {
        size_t need = c->needed.items[k];
        if (--f->needs_left[need] < c->needs[need]->at_least)
            fall_service(f, c->need_owner[need]);
    }
}

/* One component, or with CATALOGUE_NONE all that fail. */
static size_t fall_from(const struct catalogue *c, size_t component, bool *down)
{
    AUTO_FREE size_t *units = need_memory(c->services_n, sizeof *units);
    AUTO_FREE size_t *needs = need_memory(c->needs_n, sizeof *needs);
    AUTO_FREE size_t *pending = need_memory(c->components_n + c->services_n, sizeof *pending);
    AUTO_FREE bool *component_down = need_memory(c->components_n, sizeof *component_down);
    memset(down, 0, c->services_n * sizeof *down);
    for (size_t i = 0; i < c->services_n; i++)
        units[i] = c->services[i].of.n;
    for (size_t i = 0; i < c->needs_n; i++)
        needs[i] = c->needs[i]->of.n;
    struct fall f = {.c = c,
                     .units_left = units,
                     .needs_left = needs,
                     .component_down = component_down,
                     .service_down = down,
                     .pending = pending};
    for (size_t i = 0; i < c->components_n; i++)
        if (i == component ||
            (component == CATALOGUE_NONE &&
             (c->components[i].fails || nsec_is_set(c->components[i].maintained_first))))
            fall_component(&f, i);
    for (size_t got = 0; got < f.pending_n; got++)
        fall_on(&f, pending[got]);
    return f.services_n;
}

size_t catalogue_single(const struct catalogue *c, size_t component, bool *down)
{
    return fall_from(c, component, down);
}

size_t catalogue_worst(const struct catalogue *c, bool *down)
{
    return fall_from(c, CATALOGUE_NONE, down);
}
