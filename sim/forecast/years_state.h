/* The work space of years.c, shared with years_rare.c, which lets components break on a clock of its own.
 *
 * Ownership: years_new() makes it all, years_free() frees it. Nothing outside of these two includes this.
 */
#pragma once

#include "sim/forecast/crew.h"
#include "sim/forecast/queue.h"
#include "sim/forecast/years.h"

enum part_condition { PART_IN_ORDER, PART_BROKEN, PART_MAINTAINED };

struct part { /* a component */
    unsigned char condition;
    bool ageing;
    uint32_t life;        /* counts lives, so that an event of a former one is known as stale */
    uint32_t blocked;     /* of those that it stands in: not working */
    uint32_t services_up; /* of those that it works for */
    nsec left;            /* until it fails, of the time that ages it; while it does not age */
    nsec due;             /* while it ages */
    size_t alive;         /* place in years.alive */
    uint64_t named;       /* rng_named() */
    struct rng fails, repairs, maintain;
};

struct duty { /* a service */
    bool up, switching, counted;
    unsigned char cause;         /* enum tally_cause */
    uint32_t takeover, failback; /* numbers of the one that is under way */
    size_t units_up, unmet;
    size_t active; /* place in `of`; CATALOGUE_NONE: the first that comes back */
    nsec last_switch;
    nsec since, counted_from, first;
    size_t blamed;
    nsec mission_down, year_down;
    uint64_t incidents, year_incidents, years_met;
    uint64_t named;
    struct rng takeovers, failbacks;
};

struct years {
    const struct catalogue *c;
    struct queue queue;
    uint64_t seed;
    bool seeded;
    struct part *parts;
    struct duty *duties;
    size_t *needs_up; /* per need */
    struct crew_line *crews;
    size_t *pending,
        pending_n; /* components, and behind them services, that have changed and not been followed */
    nsec now, from, end;
    bool over; /* `until` has happened */
    size_t until;
    size_t blamed; /* the component whose event this is */
    enum tally_cause cause;
    struct tally *tally;
    uint64_t events;
    years_event_fn *fn;
    void *data;
    /* Components break by years_rare.c instead of by the queue: those that can, in no order. */
    bool by_hazard;
    const bool *relevant; /* per component; NULL: all are */
    size_t *alive, alive_n;
    size_t services_down, parts_out; /* how many */
};

/* Everything in order, at 0. */
void years_begin(struct years *y, nsec from, nsec end, uint64_t seed, uint64_t mission,
                 struct tally *t);
void years_break(struct years *y, size_t component);
/* The next event of the queue, taken; false: none. */
bool years_step(struct years *y);
/* Closes what is open and adds it to the tally. */
void years_end(struct years *y);
