/* What a forecast assumes beyond the scenario itself: what fails by itself, how long things take, who
 * answers. Keys of the language: `components`, `crews`, `roles`, `model`, `variants`.
 *
 * Ownership: everything belongs to the scenario's arena, names are borrowed within it. Durations are
 * nanoseconds, NSEC_UNSET where not given. A `struct distribution *` is NULL where not given.
 */
#pragma once

#include "sim/model/distribution.h"
#include "sim/model/field.h"

/* Something that works or does not: a zone, a link, a third party, or a host of the scenario (every
 * host is a component; an entry with its name adds what is known about it). */
struct component {
    char *name;
    struct place place;
    struct strv in; /* components it stands in: down when one of them is (common cause) */
    const struct distribution *fails;  /* time to failure of a working one; NULL: never by itself */
    const struct distribution *repair; /* how long a repair takes, once begun */
    char *crew;                        /* who repairs; NULL: it has its own */
    bool ages_while_down; /* its time to failure goes on while others have stopped it (what it
                                   * stands in, or its service); false: stops ageing */
};

struct crew {
    char *name;
    struct place place;
    int64_t at_a_time; /* repairs; others wait in the order in which they failed */
};

/* Somebody who is paged. */
struct responder {
    char *name;
    struct place place;
    struct strv people, deputies;
    const struct distribution *acknowledges; /* from the page to the acknowledgement */
    double responds;                         /* probability that a page is answered at all; 1 */
    nsec escalate_after; /* not acknowledged by then: the next step; NSEC_UNSET: waits on */
    char *escalate_to;   /* role; NULL: the same again */
    int64_t loops;       /* rounds through the steps; after the last nobody comes; 0: for ever */
    nsec from, to; /* hours of the day when it answers by `acknowledges`; NSEC_UNSET: always */
    const struct distribution *otherwise; /* outside of them; NULL: waits for `from` */
};

enum stage_start {
    STAGE_AFTER, /* after the stages in `after`, all of them; none named: after the one before it;
                         * the first one: at impact */
    STAGE_AT_IMPACT,
    STAGE_AT_DETECTION, /* the first alarm of the service that counts for detect_within */
};

/* One stage of restoring a service. */
struct stage {
    char *name;
    struct place place;
    enum stage_start start;
    struct strv after;
    const struct distribution *takes;
    nsec ttl;       /* instead of `takes`: caches that live that long: until `clients` of them have
                           * asked anew; NSEC_UNSET */
    double clients; /* share; 1 */
    bool drain;     /* instead of `takes`: until the backlog of the outage so far is worked off
                           * (struct service_model's load and capacity) */
    double works;   /* probability; 1 */
    char *
        otherwise; /* `else`: the stage that is taken when it does not work; NULL: it is not restored by
                           * this branch */
    bool fallback; /* `only: fallback`: left out unless another's `else` names it */
    char *
        by; /* role: begins when somebody of it has been paged (by the alarm, at the stage's start at
                           * the soonest) and has acknowledged; once for all stages of that role */
    int64_t
        approvals; /* so many other people of that role must agree first, each as long as it acknowledges; 0 */
    bool is_change; /* waits for the end of a freeze */
};

enum redundancy_mode { ACTIVE_ACTIVE, ACTIVE_PASSIVE, QUORUM };
/* What a service runs on. */
struct redundancy {
    struct strv of; /* components */
    int64_t need;   /* so many must work; quorum: 0 means the majority */
    enum redundancy_mode mode;
    const struct distribution
        *takeout; /* active-active: how long requests still go to a unit that is down; the
                                         * share of bad answers meanwhile is failed units / units */
    const struct distribution *warm_up; /* active-passive: a standby's, after the takeover stages */
};

struct replication { /* data */
    const struct distribution *lag;
};
struct backup {
    nsec every;
    const struct distribution *takes; /* consistent at its start, usable at its end */
};

struct alarm_model { /* alarms that a forecast cannot compute (log, webhook, packets, exec, …) */
    char *alarm;
    struct place place;
    const struct distribution *delay; /* from impact to onset */
    double fires;                     /* probability; 1 */
    double false_per_day;             /* rate of false alarms */
};

struct service_model {
    char *service;
    struct place place;
    struct redundancy *redundancy; /* NULL: works by itself, down when a fault says so */
    struct objects restore; /* struct stage; empty: until the fault has gone or is repaired */
    struct replication *replication;
    struct backup *backup;
    double load;     /* arrivals / capacity of all units together, in normal times; 0: not given */
    int64_t retries; /* of its callers: a failing answer is asked for that many times more; 0 */
    const struct distribution
        *failback; /* after the repair of the first choice: back to it after that long */
    const struct distribution *failback_outage; /* an outage that going back costs */
    nsec hold_down;        /* no second failover or failback sooner than that after the last */
    struct objects alarms; /* struct alarm_model */
    double sla;            /* share of a year (or month) that it is up by contract; 0: none */
    double cost_per_hour, cost_per_incident; /* of being down */
};

/* What else the field of needs can say: see struct need in model.h (kind, any N of, breaker). */

struct freeze { /* no changes */
    struct place place;
    nsec from, lasting; /* from the script's zero */
};

struct variant_set { /* `variants`: NAME: {PATH: VALUE, …}: the same scenario, with these set */
    char *name;
    struct place place;
    struct pairs set;
};

struct assumptions {
    struct objects components; /* struct component */
    struct objects crews;      /* struct crew */
    struct objects roles;      /* struct responder */
    struct objects services;   /* struct service_model */
    struct objects freezes;    /* struct freeze */
    struct objects variants;   /* struct variant_set */
    struct strv from;          /* folders of drills whose measured trials are drawn from */
};
