/* What a forecast assumes beyond the scenario itself: what fails by itself, how long things take, who
 * answers. Keys of the language: `components`, `crews`, `roles`, `model`, `freeze`, `time_of_day`,
 * `variants`. What a service costs and what its contract says stands with the service (model.h).
 *
 * Ownership: everything belongs to the scenario's arena, names are borrowed within it. Durations are
 * nanoseconds, NSEC_UNSET where not given. A `struct distribution *` is NULL where not given, and made
 * ready where it is. Members that begin with `given_` are for the decoder alone.
 */
#pragma once

#include "sim/model/distribution.h"
#include "sim/model/field.h"

struct upkeep {        /* maintenance by the calendar */
    nsec every, first; /* first: after so long; NSEC_UNSET: after `every` */
    const struct distribution *takes;
};

/* Something that works or does not: a zone, a link, a third party, or a host of the scenario (every
 * host is a component; an entry with its name adds what is known about it). */
struct component {
    char *name;
    struct place place;
    struct strv in; /* components it stands in: down when one of them is (common cause) */
    const struct distribution *fails;  /* time to failure of a working one; NULL: never by itself */
    const struct distribution *repair; /* how long a repair takes, once begun */
    char *crew;                        /* who repairs; NULL: it has its own */
    struct upkeep *upkeep;             /* NULL: none; in years only */
    bool ages_while_down; /* its time to failure goes on while others have stopped it (what it
                                   * stands in, or its service); false: stops ageing */
};

struct crew {
    char *name;
    struct place place;
    int64_t at_a_time; /* repairs; others wait in the order in which they failed */
};

struct escalation {
    nsec after;
    char *to;
    int64_t loops;
};
struct hours {
    nsec from, to;
    const struct distribution *otherwise;
};

/* Somebody who is paged, or who plays a part in an exercise: `roles`. */
struct responder {
    char *name;
    struct place place;
    int kind;           /* enum role_kind (exercise.h) */
    char *title, *duty; /* for people; the title is resolved: never NULL */
    struct strv people, deputies;
    const struct distribution
        *acknowledges;   /* from the page to the acknowledgement; NULL in an exercise
                                              * alone, for roles that no model asks */
    double responds;     /* probability that a page is answered at all; 1 */
    nsec escalate_after; /* not acknowledged by then: the next step; NSEC_UNSET: waits on */
    char *escalate_to;   /* responder; NULL: the same again */
    int64_t loops;       /* rounds through the steps; after the last nobody comes; 0: for ever */
    nsec from, to; /* hours of the day when it answers by `acknowledges`; NSEC_UNSET: always. from >
                    * to: over midnight */
    const struct distribution *otherwise; /* outside of them; NULL: waits for `from` */
    struct escalation *given_escalate;
    struct hours *given_hours;
};

enum stage_start {
    STAGE_AFTER, /* after the stages in `after`, all of them; none named: after the one before it
                  * that is no fallback; the first one: at impact. A fallback: when it is taken */
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
    nsec ttl;        /* instead of `takes`: caches that live that long: until `clients` of them have
                           * asked anew; NSEC_UNSET */
    double clients;  /* share; 1 */
    bool drain;      /* instead of `takes`: until the backlog of the outage so far is worked off
                           * (struct service_model's load and capacity) */
    double works;    /* probability; 1 */
    char *otherwise; /* `else`: the stage that is taken when it does not work; NULL: it is not
                      * restored by this branch */
    bool fallback;   /* `only: fallback`: left out unless another's `else` names it */
    char *by;        /* responder: begins when somebody of it has been paged (by the alarm, at the
                      * stage's start at the soonest) and has acknowledged; once for all stages of
                      * that responder */
    int64_t
        approvals;  /* so many other people of that responder must agree first, each as long as it
                        * acknowledges; 0 */
    bool is_change; /* `change`: waits for the end of a freeze */
    struct distribution given;
    int given_start, given_only;
};

enum redundancy_mode { ACTIVE_ACTIVE, ACTIVE_PASSIVE, QUORUM };
/* What a service runs on. */
struct redundancy {
    struct strv of; /* components; active-passive: in the order in which they are preferred */
    int64_t need;   /* so many must work; resolved, also for quorum (the majority unless given) */
    int mode;       /* enum redundancy_mode */
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

/* Its words, here and in an alarm of kind `assumed`; sample: of a delay. */
#define ALARM_MODEL_FIELDS(sample)                                                                 \
    {.key = "delay",                                                                               \
     .type = FIELD_OBJECT,                                                                         \
     .record = &distribution_record,                                                               \
     .flags = FIELD_REQUIRED,                                                                      \
     .offset = offsetof(struct alarm_model, delay),                                                \
     .help = "From the impact to the alarm.",                                                      \
     .example = sample},                                                                           \
        {.key = "fires",                                                                           \
         .type = FIELD_PERCENT,                                                                    \
         .flags = FIELD_UNCERTAIN,                                                                 \
         .dflt = "100%",                                                                           \
         .offset = offsetof(struct alarm_model, fires),                                            \
         .help = "How often it comes at all.",                                                     \
         .example = "98%"},                                                                        \
    {                                                                                              \
        .key = "false_per_day", .type = FIELD_NUMBER, .flags = FIELD_UNCERTAIN, .max = 100000,     \
        .offset = offsetof(struct alarm_model, false_per_day),                                     \
        .help = "How often it comes without a reason.", .example = "0.1"                           \
    }

struct service_model {
    char *service;
    struct place place;
    struct redundancy *redundancy; /* NULL: works by itself, down when a fault says so */
    struct objects restore; /* struct stage; empty: until the fault has gone or is repaired */
    struct replication *replication;
    struct backup *backup;
    double errors;   /* share of answers that are bad when nothing is broken; 0 */
    double load;     /* arrivals / capacity of all units together, in normal times; 0: not given */
    int64_t retries; /* of its callers: a failing answer is asked for that many times more; 0 */
    const struct distribution
        *failback; /* after the repair of the first choice: back to it after that long */
    const struct distribution *failback_outage; /* an outage that going back costs */
    nsec hold_down;        /* no second failover or failback sooner than that after the last */
    struct objects alarms; /* struct alarm_model; those of kind `assumed` are here too */
    struct strv from;      /* folders of drills: impact to restored is drawn from what was measured
                            * there, instead of `restore` */
};

/* What else the field of needs can say: see struct need in model.h (any N of, breaker). */

struct freeze { /* no changes */
    struct place place;
    nsec from, lasting; /* from the script's zero */
};

struct
    variant_set { /* `variants`: NAME: {set: {PATH: VALUE, …}}: the same scenario, with these set */
    char *name;
    struct place place;
    char *title; /* NULL: the name */
    struct pairs set;
};

/* A parameter of which only a range is known ({between: [2m, 5m]}); the scenario itself has the middle.
 * To try another value, load the scenario with PATH=VALUE set. */
struct uncertain {
    char *path; /* "model.checkout.restore.failover.lognormal.median" */
    struct place place;
    enum field_type type; /* FIELD_DURATION, FIELD_PERCENT or FIELD_NUMBER */
    double low, high;     /* ns, share, number */
};
/* The value at u in [0, 1] of the way, as one would write it. */
enum { UNCERTAIN_TEXT_MAX = 64 };
const char *uncertain_text(const struct uncertain *c, double u, char buf[UNCERTAIN_TEXT_MAX]);

struct assumptions {
    struct objects components; /* struct component */
    struct objects crews;      /* struct crew */
    struct objects roles;      /* struct responder */
    struct objects services;   /* struct service_model */
    struct objects freezes;    /* struct freeze */
    struct objects variants;   /* struct variant_set */
    struct objects uncertain;  /* struct uncertain, in the order of the file */
    nsec time_of_day;          /* at the script's zero; NSEC_UNSET: drawn in each trial */
};

/* By name; NULL when there is none. */
const struct component *assumed_component(const struct assumptions *a, const char *name);
const struct crew *assumed_crew(const struct assumptions *a, const char *name);
const struct responder *assumed_responder(const struct assumptions *a, const char *name);
const struct service_model *assumed_service(const struct assumptions *a, const char *service);
/* Of an alarm; NULL: nothing is assumed about it. */
const struct alarm_model *assumed_alarm(const struct assumptions *a, const char *alarm);
