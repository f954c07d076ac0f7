/* Events are handled one by one; a change is followed along the links of the catalogue until nothing more
 * changes. Within one event things only fall or only rise, so each is followed once.
 *
 * Invariants between two events: duty.up is what the units, needs and takeovers of the service say; a
 * component ages exactly when catalogue.h says so; an event in the queue whose number is not the current
 * one (of the life, takeover or failback) is stale and ignored. Nothing is put into the queue that
 * would come after the end. */
#include "sim/forecast/years.h"

#include "sim/forecast/draw.h"
#include "sim/forecast/years_state.h"

#include <stdlib.h>
#include <string.h>

enum event {
    EVENT_FAILS,
    EVENT_REPAIRED,
    EVENT_MAINTAIN,
    EVENT_MAINTAINED,
    EVENT_TAKEN_OVER,
    EVENT_FAILBACK,
    EVENT_BACK,
    EVENT_YEAR,
};

enum stream {
    STREAM_FAILS,
    STREAM_REPAIRS,
    STREAM_MAINTENANCE,
    STREAM_TAKEOVERS,
    STREAM_FAILBACKS
};

static uint64_t event_of(enum event e, uint32_t number, size_t which)
{
    return (uint64_t)e << 60 | (uint64_t)(number & 0xfffffff) << 32 | (uint32_t)which;
}

static void put(struct years *y, nsec at, enum event e, uint32_t number, size_t which)
{
    if (at <= y->end)
        queue_put(&y->queue, at, event_of(e, number, which));
}

static void tell(struct years *y, enum years_event what, size_t which)
{
    if (y->fn)
        y->fn(y->data, y->now, what, which);
}

static void *need_memory(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p)
        abort();
    return p;
}

struct years *years_new(const struct catalogue *c)
{
    struct years *y = need_memory(1, sizeof *y);
    y->c = c;
    y->queue = QUEUE_INIT;
    y->parts = need_memory(c->components_n, sizeof *y->parts);
    y->duties = need_memory(c->services_n, sizeof *y->duties);
    y->needs_up = need_memory(c->needs_n, sizeof *y->needs_up);
    y->crews = need_memory(c->crews_n, sizeof *y->crews);
    y->pending = need_memory(c->components_n + c->services_n, sizeof *y->pending);
    y->alive = need_memory(c->components_n, sizeof *y->alive);
    for (size_t i = 0; i < c->crews_n; i++)
        y->crews[i] = CREW_LINE(c->crews[i].at_a_time);
    y->until = CATALOGUE_NONE;
    return y;
}

struct years *years_free(struct years *y)
{
    if (!y)
        return NULL;
    queue_done(&y->queue);
    for (size_t i = 0; i < y->c->crews_n; i++)
        crew_done(&y->crews[i]);
    free(y->parts);
    free(y->duties);
    free(y->needs_up);
    free(y->crews);
    free(y->pending);
    free(y->alive);
    free(y);
    return NULL;
}

void years_watch(struct years *y, years_event_fn *fn, void *data)
{
    y->fn = fn;
    y->data = data;
}

/* -- ageing -- */

static bool works(const struct part *p)
{
    return p->condition == PART_IN_ORDER && p->blocked == 0;
}

static void set_alive(struct years *y, size_t i, bool alive)
{
    struct part *p = &y->parts[i];
    if (alive) {
        p->alive = y->alive_n;
        y->alive[y->alive_n++] = i;
    } else {
        size_t last = y->alive[--y->alive_n];
        y->alive[p->alive] = last;
        y->parts[last].alive = p->alive;
    }
}

static void update_ageing(struct years *y, size_t i)
{
    const struct catalogue_component *c = &y->c->components[i];
    if (!c->fails || (y->relevant && !y->relevant[i]))
        return;
    struct part *p = &y->parts[i];
    bool serves = y->c->serves.start[i + 1] > y->c->serves.start[i];
    bool ageing = p->condition == PART_IN_ORDER &&
                  (c->ages_while_down || (p->blocked == 0 && (!serves || p->services_up > 0)));
    if (ageing == p->ageing)
        return;
    p->ageing = ageing;
    if (y->by_hazard) {
        set_alive(y, i, ageing);
    } else if (ageing) {
        p->due = nsec_add(y->now, p->left);
        put(y, p->due, EVENT_FAILS, ++p->life, i);
    } else {
        p->left = p->due - y->now;
        p->life++;
    }
}

/* -- the services' books -- */

static void count_down_time(struct years *y, size_t s, nsec until)
{
    struct duty *d = &y->duties[s];
    nsec lasted = until - d->counted_from;
    if (lasted <= 0)
        return;
    d->counted_from = until;
    d->mission_down += lasted;
    d->year_down += lasted;
    y->tally->services[s].down_of[d->cause] += (uint64_t)lasted;
}

static void went_down(struct years *y, size_t s)
{
    struct duty *d = &y->duties[s];
    y->services_down++;
    d->since = y->now;
    d->counted_from = y->now > y->from ? y->now : y->from;
    d->counted = y->now >= y->from;
    d->cause = (unsigned char)y->cause;
    d->blamed = y->blamed;
    if (d->first == NSEC_INF)
        d->first = y->now;
    if (s == y->until)
        y->over = true;
    tell(y, YEARS_DOWN, s);
}

/* An incident that lasted no time was none. */
static void book_incident(struct years *y, size_t s, nsec lasted)
{
    struct duty *d = &y->duties[s];
    if (!d->counted || lasted == 0)
        return;
    d->incidents++;
    d->year_incidents++;
    y->tally->services[s].incidents_of[d->cause]++;
    tally_blame(y->tally, s, d->blamed)->down += (uint64_t)lasted;
}

static void came_up(struct years *y, size_t s)
{
    struct duty *d = &y->duties[s];
    nsec lasted = y->now - d->since;
    y->services_down--;
    count_down_time(y, s, y->now);
    book_incident(y, s, lasted);
    if (d->counted && lasted > 0)
        histogram_add(&y->tally->services[s].incident_lasted, (uint64_t)(lasted / TALLY_UNIT));
    tell(y, YEARS_UP, s);
}

/* In hundredths. */
static uint64_t lost_in(const struct catalogue_service *s, nsec down, uint64_t incidents)
{
    double hours = (double)down / (3600.0 * (double)NSEC_SEC);
    return (uint64_t)(100 * (hours * s->cost_per_hour + (double)incidents * s->cost_per_incident) +
                      0.5);
}

static void end_year(struct years *y)
{
    uint64_t lost = 0;
    for (size_t s = 0; s < y->c->services_n; s++) {
        struct duty *d = &y->duties[s];
        const struct catalogue_service *of = &y->c->services[s];
        if (!d->up)
            count_down_time(y, s, y->now);
        histogram_add(&y->tally->services[s].year_down, (uint64_t)(d->year_down / TALLY_UNIT));
        d->years_met += of->sla > 0 && (double)d->year_down <= (1 - of->sla) * (double)TALLY_YEAR;
        uint64_t of_it = lost_in(of, d->year_down, d->year_incidents);
        y->tally->services[s].lost += of_it;
        lost += of_it;
        d->year_down = 0;
        d->year_incidents = 0;
    }
    histogram_add(&y->tally->year_lost, lost);
    y->tally->years++;
    put(y, nsec_add(y->now, TALLY_YEAR), EVENT_YEAR, 0, 0);
}

/* -- takeovers -- */

static nsec not_before(const struct years *y, size_t s, nsec at)
{
    const struct duty *d = &y->duties[s];
    nsec hold = y->c->services[s].hold_down;
    if (!nsec_is_set(hold) || d->last_switch == NSEC_UNSET)
        return at;
    nsec soonest = nsec_add(d->last_switch, hold);
    return at > soonest ? at : soonest;
}

static void begin_takeover(struct years *y, size_t s)
{
    const struct catalogue_service *of = &y->c->services[s];
    struct duty *d = &y->duties[s];
    nsec begin = not_before(y, s, y->now);
    nsec takes = of->takeover ? of->takeover(of->takeover_data, begin, &d->takeovers) : 0;
    d->switching = true;
    tell(y, YEARS_TAKEOVER_BEGAN, s);
    put(y, nsec_add(begin, takes), EVENT_TAKEN_OVER, ++d->takeover, s);
}

static bool active_works(const struct years *y, size_t s)
{
    const struct duty *d = &y->duties[s];
    return d->active != CATALOGUE_NONE && works(&y->parts[y->c->services[s].of.items[d->active]]);
}

/* The active one of active-passive, after a unit has changed. */
static void follow_units(struct years *y, size_t s, size_t unit, bool unit_works)
{
    const struct catalogue_service *of = &y->c->services[s];
    struct duty *d = &y->duties[s];
    bool is_active = d->active != CATALOGUE_NONE && of->of.items[d->active] == unit;
    bool is_first = of->of.items[0] == unit;
    if (is_first)
        d->failback++;
    if (!unit_works) {
        if (is_active)
            begin_takeover(y, s);
        return;
    }
    if (is_active) { /* back before another took over */
        d->switching = false;
        d->takeover++;
    } else if (d->active == CATALOGUE_NONE) {
        for (d->active = 0; of->of.items[d->active] != unit;)
            d->active++;
        d->last_switch = y->now;
        tell(y, YEARS_TAKEN_OVER, s);
    } else if (is_first && of->failback) {
        put(y, not_before(y, s, nsec_add(y->now, draw(of->failback, &d->failbacks))),
            EVENT_FAILBACK, d->failback, s);
    }
}

/* -- consequences -- */

static bool should_be_up(const struct years *y, size_t s)
{
    const struct duty *d = &y->duties[s];
    const struct catalogue_service *of = &y->c->services[s];
    if (d->unmet > 0)
        return false;
    if (of->mode == ACTIVE_PASSIVE && of->of.n > 0)
        return !d->switching && active_works(y, s);
    return d->units_up >= y->c->enough[s];
}

static void update_service(struct years *y, size_t s)
{
    struct duty *d = &y->duties[s];
    bool up = should_be_up(y, s);
    if (up == d->up)
        return;
    d->up = up;
    if (up)
        came_up(y, s);
    else
        went_down(y, s);
    y->pending[y->pending_n++] = y->c->components_n + s;
}

static void follow_component(struct years *y, size_t i)
{
    const struct catalogue *c = y->c;
    bool up = works(&y->parts[i]);
    for (size_t k = c->holds.start[i]; k < c->holds.start[i + 1]; k++) {
        size_t held = c->holds.items[k];
        struct part *p = &y->parts[held];
        bool before = works(p);
        p->blocked += up ? UINT32_MAX : 1; /* one less, one more */
        if (works(p) != before)
            y->pending[y->pending_n++] = held;
        update_ageing(y, held);
    }
    for (size_t k = c->serves.start[i]; k < c->serves.start[i + 1]; k++) {
        size_t s = c->serves.items[k];
        y->duties[s].units_up += up ? 1 : SIZE_MAX;
        if (c->services[s].mode == ACTIVE_PASSIVE)
            follow_units(y, s, i, up);
        update_service(y, s);
    }
}

static void follow_service(struct years *y, size_t s)
{
    const struct catalogue *c = y->c;
    bool up = y->duties[s].up;
    for (size_t k = c->needed.start[s]; k < c->needed.start[s + 1]; k++) {
        size_t need = c->needed.items[k], owner = c->need_owner[need];
        bool met = y->needs_up[need] >= c->needs[need]->at_least;
        y->needs_up[need] += up ? 1 : SIZE_MAX;
        if ((y->needs_up[need] >= c->needs[need]->at_least) == met)
            continue;
        y->duties[owner].unmet += met ? 1 : SIZE_MAX;
        update_service(y, owner);
    }
    for (size_t k = 0; k < c->services[s].of.n; k++) {
        size_t unit = c->services[s].of.items[k];
        y->parts[unit].services_up += up ? 1 : UINT32_MAX;
        update_ageing(y, unit);
    }
}

static void follow(struct years *y)
{
    for (size_t got = 0; got < y->pending_n; got++) {
        size_t what = y->pending[got];
        if (what < y->c->components_n)
            follow_component(y, what);
        else
            follow_service(y, what - y->c->components_n);
    }
    y->pending_n = 0;
}

static void set_condition(struct years *y, size_t i, enum part_condition to)
{
    struct part *p = &y->parts[i];
    bool before = works(p);
    y->parts_out += (to != PART_IN_ORDER) - (size_t)(p->condition != PART_IN_ORDER);
    p->condition = (unsigned char)to;
    update_ageing(y, i);
    if (works(p) == before)
        return;
    y->pending[y->pending_n++] = i;
    follow(y);
}

/* -- events -- */

static void begin_repair(struct years *y, size_t i)
{
    tell(y, YEARS_REPAIR_BEGAN, i);
    put(y, nsec_add(y->now, draw(y->c->components[i].repair, &y->parts[i].repairs)), EVENT_REPAIRED,
        0, i);
}

void years_break(struct years *y, size_t i)
{
    const struct catalogue_component *c = &y->c->components[i];
    y->blamed = i;
    y->cause = TALLY_BROKEN;
    y->tally->broken += y->now >= y->from;
    tell(y, YEARS_BROKEN, i);
    set_condition(y, i, PART_BROKEN);
    if (c->repair && (c->crew == CATALOGUE_NONE || crew_ask(&y->crews[c->crew], i)))
        begin_repair(y, i);
}

static void repaired(struct years *y, size_t i)
{
    const struct catalogue_component *c = &y->c->components[i];
    size_t next;
    tell(y, YEARS_REPAIRED, i);
    if (!y->by_hazard)
        y->parts[i].left = draw(c->fails, &y->parts[i].fails);
    set_condition(y, i, PART_IN_ORDER);
    if (c->crew != CATALOGUE_NONE && crew_finish(&y->crews[c->crew], &next))
        begin_repair(y, next);
}

static void maintain(struct years *y, size_t i)
{
    const struct catalogue_component *c = &y->c->components[i];
    struct part *p = &y->parts[i];
    if (nsec_is_set(c->maintained_every))
        put(y, nsec_add(y->now, c->maintained_every), EVENT_MAINTAIN, 0, i);
    if (p->condition != PART_IN_ORDER)
        return;
    y->blamed = i;
    y->cause = TALLY_MAINTAINED;
    tell(y, YEARS_MAINTENANCE_BEGAN, i);
    set_condition(y, i, PART_MAINTAINED);
    put(y, nsec_add(y->now, draw(c->maintained_for, &p->maintain)), EVENT_MAINTAINED, 0, i);
}

static void taken_over(struct years *y, size_t s)
{
    const struct catalogue_service *of = &y->c->services[s];
    struct duty *d = &y->duties[s];
    d->switching = false;
    d->active = CATALOGUE_NONE;
    for (size_t k = 0; k < of->of.n && d->active == CATALOGUE_NONE; k++)
        if (works(&y->parts[of->of.items[k]]))
            d->active = k;
    if (d->active != CATALOGUE_NONE) {
        d->last_switch = y->now;
        tell(y, YEARS_TAKEN_OVER, s);
    }
    update_service(y, s);
    follow(y);
}

static void fail_back(struct years *y, size_t s)
{
    const struct catalogue_service *of = &y->c->services[s];
    struct duty *d = &y->duties[s];
    if (d->switching || d->active == 0) /* a takeover chooses the first of them anyway */
        return;
    d->active = 0;
    d->last_switch = y->now;
    tell(y, YEARS_FAILED_BACK, s);
    nsec outage = of->failback_outage ? draw(of->failback_outage, &d->failbacks) : 0;
    if (outage == 0)
        return;
    y->blamed = of->of.items[0];
    y->cause = TALLY_SWITCHED;
    d->switching = true;
    put(y, nsec_add(y->now, outage), EVENT_BACK, ++d->takeover, s);
    update_service(y, s);
    follow(y);
}

static void handle(struct years *y, uint64_t what)
{
    enum event e = (enum event)(what >> 60);
    uint32_t number = (uint32_t)(what >> 32) & 0xfffffff;
    size_t which = (uint32_t)what;
    struct duty *d = y->duties + (e >= EVENT_TAKEN_OVER && e <= EVENT_BACK ? which : 0);
    switch (e) {
    case EVENT_FAILS:
        if ((y->parts[which].life & 0xfffffff) != number)
            return;
        years_break(y, which);
        break;
    case EVENT_REPAIRED:
        repaired(y, which);
        break;
    case EVENT_MAINTAIN:
        maintain(y, which);
        break;
    case EVENT_MAINTAINED:
        tell(y, YEARS_MAINTENANCE_ENDED, which);
        set_condition(y, which, PART_IN_ORDER);
        break;
    case EVENT_TAKEN_OVER:
        if ((d->takeover & 0xfffffff) == number)
            taken_over(y, which);
        break;
    case EVENT_FAILBACK:
        if ((d->failback & 0xfffffff) == number)
            fail_back(y, which);
        break;
    case EVENT_BACK:
        if ((d->takeover & 0xfffffff) != number)
            break;
        d->switching = false;
        update_service(y, which);
        follow(y);
        break;
    case EVENT_YEAR:
        end_year(y);
        break;
    }
}

bool years_step(struct years *y)
{
    struct queue_event e;
    if (!queue_take(&y->queue, &e))
        return false;
    y->now = e.at;
    y->events++;
    handle(y, e.what);
    return true;
}

/* Where the streams of the names begin. */
static void set_seed(struct years *y, uint64_t seed)
{
    if (y->seeded && y->seed == seed)
        return;
    y->seeded = true;
    y->seed = seed;
    for (size_t i = 0; i < y->c->components_n; i++)
        y->parts[i].named = rng_named(seed, y->c->components[i].name);
    for (size_t s = 0; s < y->c->services_n; s++)
        y->duties[s].named = rng_named(seed, y->c->services[s].name);
}

static void begin_parts(struct years *y, uint64_t mission)
{
    for (size_t i = 0; i < y->c->components_n; i++) {
        const struct catalogue_component *c = &y->c->components[i];
        struct part *p = &y->parts[i];
        *p = (struct part){
            .life = p->life,
            .named = p->named,
            .services_up = (uint32_t)(y->c->serves.start[i + 1] - y->c->serves.start[i]),
            .repairs = rng_stream_at(p->named, mission, STREAM_REPAIRS),
        };
        if (c->fails && !y->by_hazard) {
            p->fails = rng_stream_at(p->named, mission, STREAM_FAILS);
            p->left = draw(c->fails, &p->fails);
        }
        if (nsec_is_set(c->maintained_first)) {
            p->maintain = rng_stream_at(p->named, mission, STREAM_MAINTENANCE);
            put(y, c->maintained_first, EVENT_MAINTAIN, 0, i);
        }
        update_ageing(y, i);
    }
}

void years_begin(struct years *y, nsec from, nsec end, uint64_t seed, uint64_t mission,
                 struct tally *t)
{
    set_seed(y, seed);
    queue_clear(&y->queue);
    y->now = 0;
    y->from = from;
    y->end = end;
    y->tally = t;
    y->over = false;
    y->pending_n = y->alive_n = y->services_down = y->parts_out = 0;
    y->events = 0;
    for (size_t i = 0; i < y->c->crews_n; i++)
        crew_clear(&y->crews[i]);
    for (size_t i = 0; i < y->c->needs_n; i++)
        y->needs_up[i] = y->c->needs[i]->of.n;
    for (size_t s = 0; s < y->c->services_n; s++) {
        uint64_t named = y->duties[s].named;
        y->duties[s] = (struct duty){.up = true,
                                     .named = named,
                                     .units_up = y->c->services[s].of.n,
                                     .last_switch = NSEC_UNSET,
                                     .first = NSEC_INF,
                                     .takeovers = rng_stream_at(named, mission, STREAM_TAKEOVERS),
                                     .failbacks = rng_stream_at(named, mission, STREAM_FAILBACKS)};
    }
    begin_parts(y, mission);
    if (!y->by_hazard)
        put(y, nsec_add(from, TALLY_YEAR), EVENT_YEAR, 0, 0);
}

void years_end(struct years *y)
{
    for (size_t s = 0; s < y->c->services_n; s++) {
        struct duty *d = &y->duties[s];
        struct tally_service *t = &y->tally->services[s];
        if (!d->up) {
            count_down_time(y, s, y->now);
            book_incident(y, s, y->now - d->since);
            t->missions_ending_down++;
        }
        t->down += (uint64_t)d->mission_down;
        tally_moments_add(&t->down_units, (uint64_t)(d->mission_down / TALLY_UNIT));
        tally_moments_add(&t->incidents, d->incidents);
        tally_moments_add(&t->years_met, d->years_met);
        if (d->first != NSEC_INF) {
            t->missions_down++;
            tally_moments_add(&t->first_down, (uint64_t)(d->first / TALLY_UNIT));
        }
    }
    y->tally->missions++;
    y->tally->events += y->events;
    if (y->now > y->from)
        y->tally->observed += (uint64_t)(y->now - y->from);
}

void years_run(struct years *y, const struct years_span *span, uint64_t seed, uint64_t mission,
               struct tally *t)
{
    y->until = span->until;
    years_begin(y, span->warm_up, span->warm_up + span->length, seed, mission, t);
    while (!y->over && years_step(y))
        ;
    if (!y->over)
        y->now = y->end;
    years_end(y);
}
