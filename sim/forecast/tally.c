/* See tally.h. Squares of a mission's time down in milliseconds stay below 2^128 for 2^38 missions of a
 * century. */
#include "sim/forecast/tally.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct tally tally_new(size_t services)
{
    struct tally t = {.services_n = services,
                      .services = calloc(services ? services : 1, sizeof *t.services)};
    if (!t.services)
        abort();
    return t;
}

void tally_done(struct tally *t)
{
    for (size_t i = 0; i < t->services_n; i++) {
        histogram_done(&t->services[i].incident_lasted);
        histogram_done(&t->services[i].year_down);
    }
    free(t->services);
    free(t->blames);
    histogram_done(&t->year_lost);
    *t = (struct tally){0};
}

void tally_moments_add(struct tally_moments *m, uint64_t value)
{
    m->sum += value;
    m->squares += (tally_wide)value * value;
}

static void merge_moments(struct tally_moments *m, const struct tally_moments *other)
{
    m->sum += other->sum;
    m->squares += other->squares;
}

static struct tally_blame *slot_of(struct tally_blame *table, size_t room, uint32_t service,
                                   uint32_t component)
{
    uint64_t h = ((uint64_t)service << 32 | component) * 0x9e3779b97f4a7c15ULL;
    for (size_t i = (size_t)(h >> 32);; i++) {
        struct tally_blame *b = &table[i & (room - 1)];
        if (b->incidents == 0 || (b->service == service && b->component == component))
            return b;
    }
}

static void grow(struct tally *t)
{
    size_t room = t->blames_room ? 2 * t->blames_room : 64;
    struct tally_blame *table = calloc(room, sizeof *table);
    if (!table)
        abort();
    for (size_t i = 0; i < t->blames_room; i++)
        if (t->blames[i].incidents)
            *slot_of(table, room, t->blames[i].service, t->blames[i].component) = t->blames[i];
    free(t->blames);
    t->blames = table;
    t->blames_room = room;
}

struct tally_blame *tally_blame_times(struct tally *t, size_t service, size_t component,
                                      uint64_t times)
{
    if (2 * (t->blames_n + 1) > t->blames_room)
        grow(t);
    struct tally_blame *b =
        slot_of(t->blames, t->blames_room, (uint32_t)service, (uint32_t)component);
    if (b->incidents == 0) {
        t->blames_n++;
        b->service = (uint32_t)service;
        b->component = (uint32_t)component;
    }
    b->incidents += times;
    return b;
}

struct tally_blame *tally_blame(struct tally *t, size_t service, size_t component)
{
    return tally_blame_times(t, service, component, 1);
}

static void merge_service(struct tally_service *s, const struct tally_service *o)
{
    s->down += o->down;
    merge_moments(&s->down_units, &o->down_units);
    merge_moments(&s->incidents, &o->incidents);
    merge_moments(&s->years_met, &o->years_met);
    merge_moments(&s->first_down, &o->first_down);
    for (size_t i = 0; i < TALLY_CAUSES; i++) {
        s->incidents_of[i] += o->incidents_of[i];
        s->down_of[i] += o->down_of[i];
    }
    histogram_merge(&s->incident_lasted, &o->incident_lasted);
    histogram_merge(&s->year_down, &o->year_down);
    s->missions_down += o->missions_down;
    s->missions_ending_down += o->missions_ending_down;
    s->lost += o->lost;
}

void tally_merge(struct tally *t, const struct tally *other)
{
    for (size_t i = 0; i < t->services_n; i++)
        merge_service(&t->services[i], &other->services[i]);
    t->missions += other->missions;
    t->years += other->years;
    t->observed += other->observed;
    t->events += other->events;
    t->broken += other->broken;
    histogram_merge(&t->year_lost, &other->year_lost);
    for (size_t i = 0; i < other->blames_room; i++) {
        const struct tally_blame *b = &other->blames[i];
        if (b->incidents)
            tally_blame_times(t, b->service, b->component, b->incidents)->down += b->down;
    }
}

static int worst_first(const void *a, const void *b)
{
    const struct tally_blame *x = a, *y = b;
    if (x->down != y->down)
        return x->down < y->down ? 1 : -1;
    if (x->incidents != y->incidents)
        return x->incidents < y->incidents ? 1 : -1;
    if (x->service != y->service)
        return x->service < y->service ? -1 : 1;
    return x->component < y->component ? -1 : x->component > y->component;
}

struct tally_blame *tally_blames(const struct tally *t, size_t *ret_n)
{
    struct tally_blame *all = calloc(t->blames_n ? t->blames_n : 1, sizeof *all);
    if (!all)
        abort();
    size_t n = 0;
    for (size_t i = 0; i < t->blames_room; i++)
        if (t->blames[i].incidents)
            all[n++] = t->blames[i];
    qsort(all, n, sizeof *all, worst_first);
    *ret_n = n;
    return all;
}

struct tally_mean tally_mean(const struct tally_moments *m, uint64_t missions)
{
    double n = (double)missions;
    if (missions == 0)
        return (struct tally_mean){(double)NAN, (double)NAN};
    struct tally_mean r = {.mean = (double)m->sum / n, .se = (double)NAN};
    if (missions > 1) {
        /* n times the sum of squared deviations is a whole number, so that nothing cancels. Divided first
         * where it would not fit. */
        tally_wide cross = m->sum / missions * m->sum + m->sum % missions * m->sum / missions;
        double around = m->squares > cross ? (double)(m->squares - cross) : 0;
        r.se = sqrt(around / (n - 1) / n);
    }
    return r;
}

struct tally_mean tally_unavailability(const struct tally *t, size_t service)
{
    struct tally_mean m = tally_mean(&t->services[service].down_units, t->missions);
    double length = (double)t->observed / (double)t->missions;
    m.mean = (double)t->services[service].down / (double)t->observed;
    m.se *= (double)TALLY_UNIT / length;
    return m;
}

struct tally_mean tally_rate(const struct tally *t, size_t service)
{
    struct tally_mean m = tally_mean(&t->services[service].incidents, t->missions);
    double years = (double)t->observed / (double)t->missions / (double)TALLY_YEAR;
    m.mean /= years;
    m.se /= years;
    return m;
}
