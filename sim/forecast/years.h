/* One mission: so many years of a catalogue, event by event, on a virtual clock.
 *
 * A mission's result depends on (seed, number) and on nothing else; each component draws its times to
 * failure, its repairs and its maintenance, each service its takeovers and failbacks from a stream of its own,
 * rng_stream(seed, NAME, number, which of these): one never shifts another.
 *
 * Ownership: a run is one thread's work space, used again and again; nothing is allocated per mission once
 * it has grown. It borrows the catalogue.
 */
#pragma once

#include "sim/forecast/catalogue.h"
#include "sim/forecast/tally.h"

struct years_span {
    nsec length;  /* > 0: of what is counted; at most 200 years with the warm-up */
    nsec warm_up; /* >= 0: lived through before, and not counted */
    size_t until; /* CATALOGUE_NONE, or: the mission ends when this service first goes down */
};

/* What happens, in the order of time. */
enum years_event {
    YEARS_BROKEN, /* component */
    YEARS_REPAIR_BEGAN,
    YEARS_REPAIRED,
    YEARS_MAINTENANCE_BEGAN,
    YEARS_MAINTENANCE_ENDED,
    YEARS_DOWN, /* service */
    YEARS_UP,
    YEARS_TAKEOVER_BEGAN,
    YEARS_TAKEN_OVER,
    YEARS_FAILED_BACK,
};
typedef void years_event_fn(void *data, nsec at, enum years_event what, size_t which);

struct years;
struct years *years_new(const struct catalogue *c);
struct years *years_free(struct years *y);
DEFINE_CLEANUP(struct years, years_free);
/* fn NULL: nobody is told. */
void years_watch(struct years *y, years_event_fn *fn, void *data);
/* Adds a mission to the tally, which has the catalogue's services. */
void years_run(struct years *y, const struct years_span *span, uint64_t seed, uint64_t mission,
               struct tally *t);
