/* What the language says about people: who plays, in which phases, towards which objectives, by which
 * clocks and runbooks, and what each of their steps in the script is. Keys of the language: `exercise`,
 * `roles`, `objectives`, `phases`, `clocks`, `runbooks`, `debrief`, and the steps `tell`, `expected`,
 * `decide`, `approve`, `status`, `escalate`, `runbook`, `unavailable`, `hold`.
 *
 * Roles are struct responder (assumption.h): a forecast asks how soon they answer a page, an exercise who
 * they are. Steps of people stand in the script beside faults, with the same `at`, `when`, `after`, `for`
 * and `until`, on the exercise clock: it begins when the facilitator says go, stands still while the
 * exercise is held, and goes `speed` times as fast as the wall's.
 *
 * Ownership: everything belongs to the scenario's arena, names are borrowed within it. Durations are
 * nanoseconds, NSEC_UNSET where not given. Texts are NULL where not given. Members that begin with
 * `given_` are for the decoder alone.
 */
#pragma once

#include "sim/base/arena.h"
#include "sim/model/field.h"

struct condition;
struct responder;
struct scenario;
struct step;

/* What somebody may see and do; struct responder's `kind`. */
enum role_kind {
    ROLE_PLAYER,      /* acts; sees what has been delivered to the role */
    ROLE_FACILITATOR, /* keeps the clock, sees what comes next, may act for anybody */
    ROLE_EVALUATOR, /* watches, rates and notes; sees what was delivered to all, and check points */
    ROLE_OBSERVER,  /* watches: sees what was delivered to all players */
    ROLE_SIMULATOR, /* plays who is absent: a player who may also send messages to players */
};
extern const char *const role_kind_words[]; /* NULL-terminated, indexed by enum role_kind */

/* Stands for all players in `to`; no role may have this name. */
#define ROLE_ALL "all"

/* --- Beside the script --- */

struct exercise_overview { /* `exercise`: what an after-action report begins with */
    char *sponsor, *contact, *scope, *hazard, *summary, *location, *designer;
    struct strv areas;         /* mission areas */
    struct strv organisations; /* that take part, one text each */
    struct strv assumptions;   /* and artificialities, one text each: told before the play */
    char *date;                /* of the play, as written */
};

enum objective_promise { PROMISE_RTO, PROMISE_RPO, PROMISE_DETECT, PROMISE_DOWNTIME, PROMISE_MTPD };
extern const char
    *const objective_promise_words[]; /* rto, rpo, detect_within, max_downtime, mtpd */
struct objective_target {             /* a capability target */
    char *text;                       /* or, instead: a promise of the catalogue */
    char *service;
    int promise; /* enum objective_promise; -1 */
};
struct exercise_objective {
    char *id;
    struct place place;
    char *text;
    char *capability;                /* core capability */
    struct objective_target *target; /* NULL: none */
    struct strv tasks;               /* critical tasks */
    char *reference;                 /* plan, policy */
};

/* One move. They follow each other in the order of the file. */
struct phase {
    char *id;
    struct place place;
    char *title, *situation;
    char *date; /* in the scenario's world, as written: "Friday 17:40" */
    nsec at;    /* when it begins; NSEC_UNSET: `when` or: */
    struct condition *when;
    nsec after;         /* after `when`; 0 */
    nsec lasts;         /* without at and when it begins when the one before has lasted; resolved
                          * into `at` where that is known; NSEC_UNSET on the last: to the end */
    char *entry, *exit; /* criteria, for people */
};

/* A clock of an authority or a contract: something must have been done so long after something. */
struct duty_clock {
    char *name;
    struct place place;
    char *regime, *authority, *title;
    struct condition *from, *met_by;
    nsec due;
};

struct runbook_step {
    char *does; /* `do` */
    struct place place;
    char *owner; /* role; resolved: never NULL */
    nsec within; /* of its list's opening; NSEC_UNSET */
};
struct runbook {
    char *name;
    struct place place;
    char *title;          /* resolved: never NULL */
    char *owner;          /* role */
    struct objects steps; /* struct runbook_step */
};

struct debrief {
    struct strv questions;
    bool anonymous; /* answers are kept without who gave them */
};

struct exercise {                       /* in struct scenario */
    struct exercise_overview *overview; /* NULL: not given */
    struct objects objectives;          /* struct exercise_objective */
    struct objects phases;              /* struct phase */
    struct objects clocks;              /* struct duty_clock */
    struct objects runbooks;            /* struct runbook */
    struct debrief *debrief;            /* NULL: not given */
};

/* --- Steps of people --- */

enum people_step {
    PEOPLE_NONE, /* not a step of people: a fault, a command, an assumed outage */
    PEOPLE_APPROVE,
    PEOPLE_DECIDE,
    PEOPLE_ESCALATE,
    PEOPLE_EXPECTED,
    PEOPLE_HOLD,
    PEOPLE_RUNBOOK,
    PEOPLE_STATUS,
    PEOPLE_TELL,
    PEOPLE_UNAVAILABLE,
};
extern const char *const people_step_words[]; /* "none", "approve", …; NULL-terminated */

/* What each of their params begins with: the columns of a master scenario events list that have nothing
 * to do with what kind of step it is. */
struct people_common {
    char *number;     /* of the event; resolved: never NULL, unique in the scenario */
    char *title;      /* event synopsis; resolved: never NULL */
    char *objective;  /* id; NULL */
    char *controller; /* who is responsible for it, in words or a role */
    char *notes;      /* for the facilitator and the evaluators, never for players */
    char *date;       /* in the scenario's world, as written */
};

/* What is expected of players, for the evaluator. */
struct expect {
    char *does;
    char *by;        /* role; NULL: anybody's */
    nsec within;     /* from its step; NSEC_UNSET: without a deadline */
    char *objective; /* id; resolved: its step's where not given */
};

enum tell_kind { TELL_CONTEXTUAL, TELL_CONTINGENCY };
struct tell_params { /* an inject */
    struct people_common common;
    struct strv to; /* roles, or ROLE_ALL */
    char *from, *channel;
    char *message;         /* verbatim */
    struct strv attach;    /* files */
    int kind;              /* enum tell_kind; a contingency's `when` has a `not_done` */
    struct expect *expect; /* NULL: nothing in particular */
};
struct expected_params { /* an expected-action event: nothing is delivered, the evaluator looks */
    struct people_common common;
    struct expect expect;
};
struct decide_params {
    struct people_common common;
    char *who; /* role */
    char *question;
    struct strv options; /* two to nine */
    nsec within;         /* NSEC_UNSET: no deadline */
    char *dflt;      /* the option that is taken when nobody decided in time; NULL: stays open */
    char *authority; /* on whose authority, by which plan */
    bool reversible;
    char *impact; /* on customers, on duties */
};
struct approve_params {
    struct people_common common;
    char *what;
    struct strv by; /* roles */
    int64_t people; /* so many different ones: 2 */
    nsec within;
};
struct status_params { /* from the step on, for as long as it lasts */
    struct people_common common;
    char *from;     /* role that owes them */
    struct strv to; /* audiences, in words or roles */
    nsec every;
    char *what; /* must stand in each */
};
struct escalate_params { /* a page by the role's `escalate` policy: people, deputies, next role */
    struct people_common common;
    char *role;
    char *message;
    char *from, *channel;
};
struct runbook_params { /* hands out a checklist */
    struct people_common common;
    char *name;
};
struct unavailable_params { /* for as long as the step lasts */
    struct people_common common;
    char *role; /* everybody of it but the deputies; or, instead: */
    char *person;
    char *message; /* what players are told; NULL: they must notice */
};
struct hold_params {
    struct people_common common;
    char *reason;
};

/* --- Asking --- */

/* The kind of a step; PEOPLE_NONE for a fault or a command. */
enum people_step step_people(const struct step *step);
/* NULL unless it is a step of people. */
const struct people_common *step_common(const struct step *step);
/* What it says, asks for or hands out, as written; NULL: nothing, or it is no step of people. */
const char *step_says(const struct step *step);
/* What is expected with a step, and by when (tell, expected, and in their way decide, approve, runbook);
 * NULL: nothing. */
const struct expect *step_expect(const struct step *step);
/* How long players have for a step, after it began: of decide, approve, expected, tell with `expect`;
 * NSEC_UNSET: no deadline. */
nsec step_within(const struct step *step);

/* True when people play a part in it: it has a step of theirs, or phases. Such a scenario needs no hosts
 * and no probes. */
bool scenario_is_exercise(const struct scenario *s);
/* True for what a machine does to hosts: a fault or a command, not an outage in the story. */
bool step_is_machines(const struct step *step);
/* True when its script also does something to hosts: a functional exercise. */
bool scenario_is_functional(const struct scenario *s);

/* By name or id; NULL when there is none. */
const struct exercise_objective *scenario_objective(const struct scenario *s, const char *id);
const struct phase *scenario_phase(const struct scenario *s, const char *id);
const struct duty_clock *scenario_clock(const struct scenario *s, const char *name);
const struct runbook *scenario_runbook(const struct scenario *s, const char *name);
const struct step *scenario_step(const struct scenario *s, const char *id);
/* Of what a target promises in numbers; NSEC_UNSET: in words alone. */
nsec objective_target_value(const struct scenario *s, const struct objective_target *t);

/* When a step begins by the script alone, if everybody does at once what is expected: the times of a plan.
 * A contingency's: when its expected action would have been due. NSEC_UNSET: never (it waits for an option
 * that is not the first, or for a word). */
nsec step_planned(const struct scenario *s, const struct step *step);
