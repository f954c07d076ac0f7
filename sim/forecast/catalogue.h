/* What fails and is repaired by itself, and what runs on it: the question of `forecast --years`, made ready
 * for many missions. Names are resolved to indices, whatever holds or needs another knows so.
 *
 * The model. A component works or not; it is down while it is broken or being maintained, or while one of
 * those that it stands in is down. Its time to failure is drawn anew after each repair and passes while it
 * works and one of the services that it works for is up; with `ages_while_down` it passes whenever the
 * component itself is in order. A repair begins at once, or when the crew comes to it, in the order in
 * which they broke; it goes on whatever else is down. Maintenance is due at fixed times, is left out when the
 * component is broken just then, and ages nothing. A service is up while enough of its units work, none of
 * its hard needs is missing, and no takeover is going on. Active-passive: the first of its units is the
 * active one; when that fails a takeover begins at once whether or not another works; at its end the first
 * one that works is the active one, or the first that comes back. If the active one comes back before, the
 * takeover is called off.
 *
 * Ownership: the arrays belong to the caller and must outlive the catalogue; catalogue_free() frees what
 * catalogue_new() made. Immutable; shared by threads.
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/base/rng.h"
#include "sim/model/assumption.h"

#define CATALOGUE_NONE SIZE_MAX

struct catalogue_list {
    const size_t *items;
    size_t n;
};

struct catalogue_component {
    const char *name;
    const struct distribution *fails;  /* NULL: never */
    const struct distribution *repair; /* NULL: for good */
    struct catalogue_list in;          /* components */
    size_t crew;                       /* CATALOGUE_NONE: its own */
    bool ages_while_down;
    nsec maintained_first, maintained_every; /* NSEC_UNSET: never; every NSEC_UNSET: once */
    const struct distribution *maintained_for;
};

struct catalogue_crew {
    const char *name;
    size_t at_a_time; /* >= 1 */
};

struct catalogue_need { /* hard: missing while fewer of the services are up */
    struct catalogue_list of;
    size_t at_least;
};

/* How long a takeover takes that began `now`; NSEC_INF: it does not come off. Must not change *data. */
typedef nsec catalogue_takeover_fn(const void *data, nsec now, struct rng *r);

struct catalogue_service {
    const char *name;
    struct catalogue_list of; /* components; none: up by itself */
    size_t need;              /* quorum: 0 means the majority */
    enum redundancy_mode mode;
    catalogue_takeover_fn *takeover; /* active-passive; NULL: takes no time */
    const void *takeover_data;
    const struct distribution *failback, *failback_outage; /* NULL: never; none */
    nsec hold_down;                                        /* NSEC_UNSET: none */
    const struct catalogue_need *needs;
    size_t needs_n;
    double sla; /* 0: none */
    double cost_per_hour, cost_per_incident;
};

/* Who names i: items[start[i]] … items[start[i + 1] - 1]. */
struct catalogue_links {
    size_t *start, *items;
};

struct catalogue {
    const struct catalogue_component *components;
    const struct catalogue_crew *crews;
    const struct catalogue_service *services;
    size_t components_n, crews_n, services_n;
    /* From here on by catalogue_new(): */
    struct catalogue_links holds;        /* per component: components that stand in it */
    struct catalogue_links serves;       /* per component: services that it is a unit of */
    struct catalogue_links needed;       /* per service: needs that name it */
    const struct catalogue_need **needs; /* of all services, numbered */
    size_t *need_owner;                  /* per need: the service that has it */
    size_t needs_n;
    size_t *enough; /* per service: units that must work */
};

/* c: a filled-in catalogue without the lower half. Errors, with the name in question: things that stand in
 * each other, services that need each other, more units needed than there are, something that breaks for good
 * but waits for a crew. */
int catalogue_new(const struct catalogue *c, struct catalogue **ret, struct err *err);
struct catalogue *catalogue_free(struct catalogue *c);
DEFINE_CLEANUP(struct catalogue, catalogue_free);

/* Which services are down when this component alone is (a takeover, once over, counts as up): down[i] is set
 * for each service, the others are cleared. How many. */
size_t catalogue_single(const struct catalogue *c, size_t component, bool *down);
/* The same when everything that ever fails is down at once: what is still up then never goes down. */
size_t catalogue_worst(const struct catalogue *c, bool *down);
