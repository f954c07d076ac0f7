/* What requests to a service meet at an instant: its units, what it needs, and the way to whoever asks. */
#include "sim/forecast/course.h"

#include <stdlib.h>

#define BIT(u) (UINT64_C(1) << (u))

/* A service that asks another: nowhere in particular, in no hurry. */
static const struct system_vantage anybody = {.host = SYSTEM_NONE,
                                              .trips = 2,
                                              .first_tries = 3,
                                              .tries = 4,
                                              .timeout = NSEC_INF,
                                              .slow_after = NSEC_UNSET};

/* ---- units ---- */

/* Whether somebody who probes it would find this unit wanting; without probes, whether anybody would. */
static bool is_wanting(const struct course *c, size_t component)
{
    const struct system_list *acts = &c->r->acts;
    for (size_t i = 0; i < c->sv->probes_n; i++) {
        struct system_vantage from = c->sv->probes[i].from;
        if (c->sv->mode != SYSTEM_PLAIN)
            from.host = SYSTEM_NONE; /* the way to one who asks is not the units' trouble */
        struct answer a = answer_of_unit(c->t, acts, component, &from, c->now);
        struct look l = look_at(&a, &from);
        if (look_bad(&l) > 0)
            return true;
    }
    if (c->sv->probes_n)
        return false;
    struct answer a = answer_of_unit(c->t, acts, component, &anybody, c->now);
    return a.quick + a.lost > 0;
}

/* From all other units, and from everybody who probes: of two units that do not hear each other one may
 * well serve. */
static bool is_cut_off(const struct course *c, size_t unit)
{
    const struct system_list *units = &c->sv->units;
    size_t others = 0, cut = 0;
    for (size_t v = 0; v < units->n; v++) {
        if (v == unit)
            continue;
        others++;
        cut += look_units_are_cut(c->t, &c->r->acts, units->items[unit], units->items[v], c->now);
    }
    for (size_t i = 0; i < c->sv->probes_n && cut == others; i++) {
        size_t host = c->sv->probes[i].from.host;
        if (host != SYSTEM_NONE &&
            !look_units_are_cut(c->t, &c->r->acts, units->items[unit], host, c->now))
            return false;
    }
    return others && cut == others;
}

/* Members of a quorum that see a majority, themselves among them, count. */
static bool sees_too_few(const struct course *c, size_t unit, uint64_t down)
{
    const struct system_list *units = &c->sv->units;
    int64_t sees = 1;
    for (size_t v = 0; v < units->n; v++)
        sees += v != unit && !(down & BIT(v)) &&
                !look_units_are_cut(c->t, &c->r->acts, units->items[unit], units->items[v], c->now);
    return sees < c->sv->need;
}

static bool self_is_wanting(const struct course *c)
{
    for (size_t i = 0; i < c->sv->probes_n; i++) {
        const struct system_vantage *from = &c->sv->probes[i].from;
        struct answer a = answer_of_self(c->t, &c->r->acts, c->service, from, c->now);
        struct look l = look_at(&a, from);
        if (look_bad(&l) > 0)
            return true;
    }
    if (c->sv->probes_n)
        return false;
    struct answer a = answer_of_self(c->t, &c->r->acts, c->service, &anybody, c->now);
    return a.quick + a.lost > 0;
}

void course_health_units(struct course *c)
{
    if (c->now < c->effects_until)
        return;
    c->looked.serving = ~UINT64_C(0);
    c->effects_until = NSEC_INF;
    c->down = c->bad = 0;
    c->self_bad = c->effective = false;
    for (size_t i = 0; i < c->r->acts.n; i++) {
        const struct act *act = &c->t->acts[c->r->acts.items[i]];
        nsec at = act_next(act, c->now);
        c->effects_until = at < c->effects_until ? at : c->effects_until;
        c->effective |= act_holds(act, c->now);
    }
    if (!c->effective)
        return;
    const struct system_list *units = &c->sv->units;
    for (size_t u = 0; u < units->n; u++) {
        if (look_unit_is_down(c->t, &c->r->acts, units->items[u], c->now))
            c->down |= BIT(u);
        if (is_wanting(c, units->items[u]))
            c->bad |= BIT(u);
    }
    uint64_t dead = c->down;
    for (size_t u = 0; u < units->n; u++) {
        if (dead & BIT(u))
            continue;
        struct answer a;
        switch (c->sv->mode) {
        case SYSTEM_PLAIN:
            break;
        case SYSTEM_ACTIVE_ACTIVE: /* whoever shares out the load finds it dead */
            a = answer_of_unit(c->t, &c->r->acts, units->items[u], &anybody, c->now);
            if (a.quick + a.lost >= 1)
                c->down |= BIT(u);
            break;
        case SYSTEM_ACTIVE_PASSIVE:
            if (is_cut_off(c, u))
                c->down |= BIT(u);
            break;
        case SYSTEM_QUORUM:
            if (sees_too_few(c, u, dead))
                c->down |= BIT(u);
            break;
        }
    }
    c->self_bad = self_is_wanting(c);
}

/* ---- what is met ---- */

static struct answer of_units(const struct course *c, const struct system_vantage *from)
{
    const struct system_list *units = &c->sv->units;
    struct answer all = {0};
    if (!c->effective)
        return all;
    if (c->sv->mode != SYSTEM_ACTIVE_ACTIVE) {
        for (size_t u = 0; u < units->n; u++)
            if (c->serving & BIT(u))
                all = answer_both(all,
                                  answer_of_unit(c->t, &c->r->acts, units->items[u], from, c->now));
        return all;
    }
    double n = 0, slow = 0;
    for (size_t u = 0; u < units->n; u++) {
        if (!(c->serving & BIT(u)))
            continue;
        n++;
        if (c->handled & BIT(u))
            continue; /* another serves in its place */
        struct answer a = answer_of_unit(c->t, &c->r->acts, units->items[u], from, c->now);
        all.quick += a.quick;
        all.lost += a.lost;
        if (a.slow > 0) {
            all.slow = a.slow > all.slow ? a.slow : all.slow;
            slow += a.slow_share;
        }
    }
    if (n > 0) {
        all.quick /= n;
        all.lost /= n;
        all.slow_share = slow / n;
    }
    return all;
}

static const struct leg *leg_at(const struct course *c, size_t of, size_t *cursor)
{
    const struct legs *l = &c->t->services[of].legs;
    while (*cursor + 1 < l->n && l->items[*cursor + 1].from <= c->now)
        ++*cursor;
    return &l->items[*cursor];
}

/* The share of our requests to it that find no way: of those units among which the load is shared out a part
 * may be cut off; of units that are all needed, one is enough. */
static double cut_between(const struct course *c, size_t of, uint64_t theirs)
{
    const struct system_list *a = &c->sv->units, *b = &c->t->sys->services[of].units;
    bool we_share = c->sv->mode == SYSTEM_ACTIVE_ACTIVE;
    bool they_share = c->t->sys->services[of].mode == SYSTEM_ACTIVE_ACTIVE;
    double sum = 0, most = 0, ours = 0;
    for (size_t u = 0; u < a->n; u++) {
        double cut = 0, n = 0;
        if (!(c->serving & BIT(u)))
            continue;
        for (size_t v = 0; v < b->n; v++)
            if (theirs & BIT(v)) {
                n++;
                cut += a->items[u] != b->items[v] &&
                       look_units_are_cut(c->t, &c->r->acts, a->items[u], b->items[v], c->now);
            }
        double share = n <= 0 ? 0 : they_share ? cut / n : cut > 0;
        sum += share;
        most = share > most ? share : most;
        ours++;
    }
    return we_share && ours > 0 ? sum / ours : most;
}

/* What comes back through the breaker of a need: what is asked for, unless it is open. */
static struct answer through_breaker(struct course *c, size_t need, struct answer a)
{
    const struct need_breaker *b = c->sv->needs[need].breaker;
    if (!b)
        return a;
    struct breaker_flow *f = &c->breakers[need];
    enum breaker_state state = breaker_flow_meets(f, c->now, a.quick + a.lost);
    nsec next = breaker_flow_next(f);
    if (next < c->needs_until)
        c->needs_until = next;
    if (state != BREAKER_OPEN)
        return a;
    return b->fallback ? (struct answer){0} : (struct answer){.quick = 1};
}

static struct answer of_needs(struct course *c)
{
    struct answer all = {0};
    size_t cursor = 0;
    c->needs_until = NSEC_INF;
    for (size_t i = 0; i < c->sv->needs_n; i++) {
        const struct system_need *n = &c->sv->needs[i];
        for (size_t k = 0; k < n->of.n; k++) {
            const struct leg *leg = leg_at(c, n->of.items[k], &c->cursors[cursor]);
            const struct legs *l = &c->t->services[n->of.items[k]].legs;
            if (c->cursors[cursor] + 1 < l->n && leg[1].from < c->needs_until)
                c->needs_until = leg[1].from;
            cursor++;
            c->needs[k] = leg->answer;
            double cut = c->effective ? cut_between(c, n->of.items[k], leg->serving) : 0;
            if (cut > 0)
                c->needs[k] = answer_both(c->needs[k], (struct answer){.lost = cut});
        }
        all = answer_both(all, through_breaker(c, i, answer_some(c->needs, n->of.n, n->at_least)));
    }
    return all;
}

static struct answer met_from(const struct course *c, const struct system_vantage *from,
                              const struct answer *needs)
{
    struct answer a = {0};
    if (!c->effective && c->sv->needs_n == 0 && c->extra_quick <= 0 && c->extra_lost <= 0)
        return a;
    a = of_units(c, from);
    if (c->extra_quick > 0 || c->extra_lost > 0)
        a = answer_both(a, (struct answer){.quick = c->extra_lost > 0 ? 0 : c->extra_quick,
                                           .lost = c->extra_lost});
    if (c->effective && !c->self_handled)
        a = answer_both(a, answer_of_self(c->t, &c->r->acts, c->service, from, c->now));
    if (c->sv->needs_n)
        a = answer_both(a, *needs);
    return c->effective ? answer_both(a, answer_of_host(c->t, &c->r->acts, from, c->now)) : a;
}

static void add_leg(struct course *c, const struct answer *a)
{
    struct legs *l = &c->r->legs;
    if (l->n && l->items[l->n - 1].from == c->now)
        l->n--; /* what held for no time */
    if (l->n == l->room) {
        l->room = l->room ? 2 * l->room : 8;
        l->items = reallocarray(l->items, l->room, sizeof *l->items);
        if (!l->items)
            abort();
    }
    l->items[l->n++] = (struct leg){.from = c->now, .serving = c->serving, .answer = *a};
}

/* Truly down, of a service that nobody probes: at least half of its requests fail. */
static void note_whole(struct course *c, const struct answer *a)
{
    bool down = a->quick + a->lost >= 0.5;
    struct periods *w = &c->r->whole;
    bool was = w->n && w->items[w->n - 1].ended == NSEC_INF;
    if (down && !was) {
        struct period one = {.impact = {c->now, c->now},
                             .restored = {c->now, NSEC_INF},
                             .began = c->now,
                             .first_bad = c->now,
                             .ended = NSEC_INF};
        periods_add(w, &one);
    } else if (!down && was) {
        struct period *last = &w->items[w->n - 1];
        last->ended = c->now;
        last->restored = (struct span){c->now, c->now};
        last->down = c->now - last->began;
        if (last->ended == last->began)
            w->n--;
    }
}

/* Everything that the looks are made of is as it was. */
static bool is_looked_at(struct course *c)
{
    bool same = c->now < c->needs_until && c->looked.serving == c->serving &&
                c->looked.handled == c->handled && c->looked.quick == c->extra_quick &&
                c->looked.lost == c->extra_lost && c->looked.self_handled == c->self_handled;
    c->looked.serving = c->serving;
    c->looked.handled = c->handled;
    c->looked.quick = c->extra_quick;
    c->looked.lost = c->extra_lost;
    c->looked.self_handled = c->self_handled;
    return same;
}

void course_health_look(struct course *c)
{
    if (is_looked_at(c))
        return;
    struct answer needs = of_needs(c);
    bool hurts = false;
    for (size_t i = 0; i < c->sv->probes_n; i++) {
        struct sight *s = &c->r->sights[i];
        struct answer a = met_from(c, &s->of->from, &needs);
        s->look = look_at(&a, &s->of->from);
        bool bad = look_bad(&s->look) > 0;
        if (c->sv->errors > 0) { /* that hurts nobody */
            a = answer_both(a, (struct answer){.quick = c->sv->errors});
            s->look = look_at(&a, &s->of->from);
        }
        if (bad && !s->bad)
            s->bad_from = c->now;
        else if (!bad && s->bad)
            s->bad_to = c->now;
        s->bad = bad;
        hurts |= bad;
    }
    if (c->sv->needed || c->sv->probes_n == 0) {
        struct answer a = met_from(c, &anybody, &needs);
        add_leg(c, &a);
        if (c->sv->probes_n == 0) {
            note_whole(c, &a);
            hurts = a.quick + a.lost > 0;
        }
    }
    c->hurts = hurts;
}
