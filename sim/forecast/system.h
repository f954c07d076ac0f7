/* Inside of a system (trial.h): the scenario with names resolved to indices. For the files of the engine
 * alone.
 *
 * Ownership: everything belongs to the system; what stands in the scenario is borrowed.
 */
#pragma once

#include "sim/forecast/breaker.h"
#include "sim/forecast/response.h"
#include "sim/forecast/trial.h"
#include "sim/model/effect.h"

#define SYSTEM_NONE SIZE_MAX
#define SYSTEM_UNITS_MAX 63 /* of a service: a bit each */

struct system_list {
    size_t *items;
    size_t n;
};

struct system_component {
    const char *name;
    const struct component *given; /* NULL: a host about which nothing is assumed */
    struct system_list above;      /* itself and what it stands in, all the way up */
    struct system_list touches;    /* services that run on it or are asked from it */
    size_t repair;                 /* quantity */
    bool serves;                   /* some service runs on it */
};

/* From where a service is asked, and how long whoever asks waits. */
struct system_vantage {
    size_t host; /* component; SYSTEM_NONE: nowhere in particular */
    int trips;   /* round trips of an answer */
    int first_tries,
        tries; /* packets of the first trip and of each further one, within the time-out */
    nsec timeout, slow_after; /* NSEC_INF, NSEC_UNSET: none */
};

struct system_probe {
    const struct probe *probe;
    struct system_vantage from;
    size_t phase, answers; /* quantities */
    /* Of many like answers so many matter to the alarms that hear it: bad ones at the beginning, to those
     * that count; at both ends, to those that keep windows. */
    uint64_t counted, window;
    struct system_list thresholds,
        parts; /* alarms of the service that hear it; as which of theirs */
};

struct system_alarm { /* of a service */
    const struct alarm *alarm;
    const struct alarm_model *model; /* NULL: a threshold, or one that never comes */
    size_t index;                    /* in the scenario's alarms */
    size_t quantity;
    size_t parts; /* our own probes that it hears; 0: it hears none */
    bool pages;   /* its onset is what restoring may begin with */
    bool momentary;
};

struct system_need {
    struct system_list of;
    size_t at_least;
    const struct need_breaker *breaker; /* NULL: none */
    struct breaker_config breaks;       /* its */
};

enum system_mode { SYSTEM_PLAIN, SYSTEM_ACTIVE_ACTIVE, SYSTEM_ACTIVE_PASSIVE, SYSTEM_QUORUM };

struct system_service {
    const struct service *service;
    const struct service_model *model; /* NULL: nothing is assumed about it */
    enum system_mode mode;
    struct system_list units; /* components */
    struct system_list found; /* components that its probes ask by their addresses */
    int64_t need;
    struct system_need *needs;
    size_t needs_n;
    struct system_probe *probes;
    size_t probes_n;
    struct system_alarm *alarms;
    size_t alarms_n;
    struct response *response; /* NULL: nobody restores it */
    bool needs_detection;      /* the response does nothing whole before somebody has noticed */
    struct system_list response_quantities;
    size_t takeout, warm, failback, failback_outage, loss, leader; /* quantities */
    bool needed;                                                   /* by other services */
    double errors;         /* share of answers that are bad when nothing is broken */
    bool has_false_alarms; /* or false outages: something may happen without an effect */
    bool placed;           /* what is wrong with it has its place already */
    bool in_order;         /* an alarm hears several probes: they are asked in the order of time */
    struct system_list told_by; /* tellers that count for its detect_within */
};

/* When a step of the script happens. */
struct system_step {
    const struct step *step;
    nsec from, to; /* to NSEC_INF: until the end of observation */
    size_t choice; /* quantity */
    bool draws;    /* whom it hits is drawn in each trial */
    bool acts;     /* has effects, or a place in the record */
};

struct system_teller { /* an alarm of the scenario, as one of its service's */
    size_t service, alarm;
};

struct system_name { /* for looking up; in the order of names */
    const char *name;
    size_t index;
};

struct system {
    const struct scenario *scenario;
    struct system_name *component_names, *service_names;
    struct system_component *components;
    size_t components_n;
    struct system_service *services; /* as in the scenario */
    size_t services_n;
    size_t *order; /* needed ones first */
    struct system_step *steps;
    size_t steps_n;
    struct quantity *quantities;
    size_t quantities_n, quantities_room;
    size_t day; /* quantity: the time of day */
    bool has_hours;
    struct system_teller *tellers; /* by alarm of the scenario */
    nsec lead;                     /* how long before the script's zero probes begin */
    nsec fault_start;
    bool draws; /* some step does, or some component's repair */
};

/* Index of a component; SYSTEM_NONE. */
size_t system_component(const struct system *sys, const char *name);
size_t system_service(const struct system *sys, const char *name);
/* Whether what happens to `what` happens to `to`: it is it, or `to` stands in it. */
static inline bool system_covers(const struct system *sys, size_t what, size_t to)
{
    if (to == SYSTEM_NONE)
        return false;
    const struct system_list *above = &sys->components[to].above;
    for (size_t i = 0; i < above->n; i++)
        if (above->items[i] == what)
            return true;
    return false;
}
void system_list_add(struct system_list *l, size_t item);
/* Puts the place in front of what is wrong there. */
int system_wrong(const struct place *at, struct err *err);

/* system_watch.c: probes, alarms and who pages, of a service whose response is known. */
int system_watch(struct system *sys, struct system_service *sv, const struct system_list *probes,
                 const struct system_list *alarms, struct err *err);
/* The quantity "PREFIX:NAME", made when there is none; prefix NULL: name is the whole. */
size_t system_quantity(struct system *sys, const struct service *of, bool is_stage,
                       const char *prefix, const char *name);
/* system_script.c: when steps happen, and that their effects are known. */
int system_script(struct system *sys, struct err *err);
