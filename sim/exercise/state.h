/* What has happened in an exercise so far, rebuilt from the events of its record alone.
 *
 * Everything that an exercise is at an instant follows from the scenario and the lines of the record up
 * to then: state_apply() takes one line after the other. Conduct applies a line when it has been written
 * and before anybody is told; resuming, replaying and reporting apply the lines that they read. Nothing
 * else may change a state, and applying the same lines gives the same state, so these cannot differ.
 *
 * The exercise clock is in each line that belongs to the play, as `clock` (ns): it begins with the first
 * `go`, stands still while held, and counts the scenario's time, `speed` times the wall's. `t` is the
 * record's own (real) time. All instants below are of the exercise clock; NSEC_UNSET: not yet.
 *
 * What is due follows from the state as well: state_next(). So a script that was interrupted at any line
 * goes on with what it would have done next.
 *
 * Ownership: state_new() borrows the scenario, which must live as long. Texts and json_t * in here are
 * the state's (references to members of applied events) and live until state_free(): nothing is removed.
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/model/exercise.h"
#include "sim/model/model.h"
#include <jansson.h>

enum state_stage {
    STAGE_LOBBY, /* people join; the clock has not begun */
    STAGE_RUNNING,
    STAGE_HELD,    /* the clock stands still */
    STAGE_DEBRIEF, /* the play is over: hot wash */
    STAGE_ENDED,   /* nothing more is accepted */
};
extern const char *const state_stage_words[]; /* lobby, running, held, debrief, ended */

enum step_life {
    STEP_WAITING, /* for its time or its condition */
    STEP_OPEN, /* has begun and asks something of somebody; also: of a step that lasts, in force */
    STEP_DONE, /* delivered and nothing expected; decided; done; approved; complete; acknowledged; over */
    STEP_SKIPPED, /* by the facilitator */
};

struct state_step { /* one for each step of the script, in its order */
    const struct step *step;
    enum step_life life;
    nsec began;   /* delivered, asked, opened, paged, in force */
    nsec done;    /* decided, done, approved, complete, acknowledged, over */
    nsec missed;  /* its deadline passed while it was open; it may still be done later */
    bool by_hand; /* begun by the facilitator (`send`), not by the script */
    char *by;     /* person who did it; NULL */
    char *role;   /* in which role; NULL */
    /* decide */
    char *option, *reason;
    bool by_default;        /* nobody decided: the default was taken */
    const json_t *decision; /* the whole line; NULL */
    /* approve */
    struct strv approved_by; /* different people, in order */
    /* runbook: one for each of its steps */
    struct state_item {
        nsec checked, late; /* NSEC_UNSET */
        char *by;
    } * items;
    size_t n_items, n_checked;
    /* status: update n (from 1) is due at began + n × every; the first one that is owed, the last one that
     * was found missing, and how many were sent */
    int64_t owed_n, missed_n, sent_n;
    /* escalate */
    int64_t paged_n;    /* pages so far */
    char *paged_role;   /* whom the last one went to */
    char *paged_person; /* NULL: the whole role */
    nsec paged_at;
    /* the machine's: `began` is when it was asked, `done` when it was undone (or, of what does not last,
     * applied) */
    nsec applied; /* in force, or carried out */
    nsec ending;  /* asked to be undone */
    nsec held; /* when its `when` first held, where that may hold no longer (a probe); else unset */
    bool failed; /* it could not be done, or undone: `why` */
    bool verified;
    const char *why; /* of `failed`; of a verification: what was seen; NULL */
    /* rating by the evaluators */
    char rating; /* 'P', 'S', 'M', 'U'; 0: none. The last one counts */
    char *rated_by, *rating_note;
};

struct state_person {
    char *name;
    char *role; /* NULL: has left */
    bool connected;
    struct strv roles; /* all that they ever had, in order: actual participation */
    nsec joined, left; /* the first join, the last leave; clock */
};

/* Something that was delivered: an inject, a page, an update to roles, a message, that somebody is away. */
struct state_delivery {
    int64_t id; /* the record's seq: unique, never changes */
    nsec at;
    const char *what; /* "inject", "contingency", "added", "message", "page", "status", "absence" */
    const struct step *step; /* NULL: added by the facilitator, or by players */
    char *number, *from, *channel, *title, *text;
    struct strv to;     /* roles; ROLE_ALL was resolved into the players' roles */
    struct strv attach; /* paths below DIR/files/_scenario, as the scenario names them */
    char *by;           /* person who sent it out of turn, or wrote it; NULL: the script */
    bool late;
    const json_t *event;
};

/* A line of the log: a note, a mark, a decision, whatever somebody may read later. */
struct state_note {
    int64_t id;
    nsec at;
    char *text, *by, *role;
    enum role_kind kind; /* of the role: notes of evaluators and facilitators are not for players */
    char *what;          /* "note", "observation", "strength", "improvement", "corrective" */
    char *step, *objective; /* about these; NULL */
};

struct state_mark { /* declared, acknowledged …; also words of the facilitator (`branch`) */
    char *mark, *text, *by, *role;
    nsec at;
    bool word; /* `operator:` conditions look at these */
};

struct
    state_rating { /* of objectives; those of steps stand there. The last of each evaluator counts */
    char *objective, *by, *note;
    char rating;
    nsec at;
};

struct state_clock { /* of a regulator or a contract; one for each of the scenario's */
    const struct duty_clock *clock;
    nsec started, met, overdue;
};

/* One for each service; down in the scenario's world, by `outage` steps, or as the machine's judge sees it.
 * What that comes to in a report is measured from the probes themselves, not from here. */
struct state_service {
    const struct service *service;
    bool watched;    /* a machine has told of it */
    nsec down_since; /* NSEC_UNSET: it is up */
    nsec down_total; /* of outages that are over */
    nsec longest;    /* of them; also of the one that lasts when the play ended */
    size_t outages;
};

struct state_probe { /* one for each probe */
    const struct probe *probe;
    nsec down_since; /* as the machine's judge saw it; NSEC_UNSET: it is good */
};

struct state_absence {
    char *role, *person; /* one of them; NULL */
    nsec from, to;       /* to NSEC_UNSET: still */
};

struct state_answer {    /* hot wash; anonymous ones come when the debrief is closed */
    char *by, *role;     /* NULL: anonymous */
    const json_t *texts; /* one for each question, in order; null: none */
};

struct state {
    const struct scenario *scenario;
    enum state_stage stage;
    nsec clock; /* of the last line */
    nsec real;  /* its t */
    double speed;
    int64_t seq; /* of the last line; -1 */
    char *held_why;
    nsec held_real;      /* t since when it has been held; NSEC_UNSET */
    bool ended_early;    /* the facilitator ended it before the script was through */
    bool functional;     /* a machine plays a part */
    const char *machine; /* its state: "build", … "compare", then "done"; NULL: none, or not yet */
    bool machine_over;   /* it is being undone, or was: nothing more may begin there */
    const json_t *run_start, *run_end; /* lines; NULL */
    size_t interruptions;
    bool ballot_open; /* the texts of an anonymous debrief are known, and no more are taken */
    int phase;        /* index; -1: none yet */
    nsec *phases;     /* when each began; as many as the scenario has */
    struct state_step *steps;
    struct state_person *people;
    struct state_delivery *deliveries;
    struct state_note *notes;
    struct state_mark *marks;
    struct state_rating *ratings;
    struct state_clock *clocks;
    struct state_service *services;
    struct state_probe *probes;
    nsec *alarms;     /* as many as the scenario has: the first onset in the play */
    nsec *phase_held; /* of phases, what `held` is of steps */
    struct state_absence *absences;
    struct state_answer *answers;
    size_t n_steps, n_people, n_deliveries, n_notes, n_marks, n_ratings, n_clocks, n_services,
        n_absences, n_answers;
    /* private */
    struct arena *arena;
    size_t people_room, deliveries_room, notes_room, marks_room, ratings_room, absences_room,
        answers_room;
    json_t *events;   /* those that something above points into */
    json_t *keys;     /* of commands, as a set: state_has_key() */
    json_t *answered; /* people, as a set */
};

struct state *state_new(const struct scenario *s);
struct state *state_free(struct state *st);
DEFINE_CLEANUP(struct state, state_free);

/* Takes one line of the record, in their order (a reference is kept). Lines of kinds that are not an
 * exercise's are passed over. -EINVAL: it does not fit what has been (a step that is not there, an option
 * that nobody could choose): the record is not of this scenario. */
int state_apply(struct state *st, json_t *event, struct err *err);

/* --- What is due --- */

enum due_what {
    DUE_NOTHING,
    DUE_PHASE,  /* index: phase */
    DUE_STEP,   /* index: step that begins */
    DUE_MISSED, /* index: step whose deadline passes (decide: its default is taken, if it has one) */
    DUE_ITEM_LATE,   /* index: runbook step, sub: item */
    DUE_STATUS,      /* index: status step: an update was due and has not been sent */
    DUE_ESCALATE,    /* index: escalate step: the next one is paged */
    DUE_OVER,        /* index: step that lasts ends */
    DUE_CLOCK_START, /* index: duty clock */
    DUE_CLOCK_MET,
    DUE_CLOCK_OVERDUE,
    DUE_END, /* the horizon: the play is over, debrief begins */
};
struct due {
    enum due_what what;
    nsec at; /* may lie before the clock: it became due by what has just happened */
    size_t index, sub;
};
/* What comes next: the earliest, by (at, order of the enum, order in the file). DUE_NOTHING: before the
 * first go, after the end, or when only people can move it. */
struct due state_next(const struct state *st);
/* When a step that waits is due as far as is known; NSEC_UNSET: its condition has not come. */
nsec state_step_due(const struct state *st, size_t step);
/* When a condition came true; NSEC_UNSET: it has not. */
nsec state_condition(const struct state *st, const struct condition *c);
/* When an open step's deadline is; NSEC_UNSET: it has none, or is not open. */
nsec state_deadline(const struct state *st, size_t step);

/* Whom the n-th page (from 1) of an `escalate` step goes to: the role, each of its deputies, then by its
 * `escalate` the next role and its deputies; then the same again, `loops` times. */
struct state_call {
    const char *role, *person; /* person NULL: the whole role */
    nsec waits;                /* for an acknowledgement; NSEC_UNSET: for ever */
    bool last;                 /* after it nobody is paged */
};
struct state_call state_call(const struct state *st, const struct step *step, int64_t n);

/* --- Asking --- */

size_t state_step_index(const struct state *st, const char *id); /* n_steps: there is none */
const struct state_person *state_person(const struct state *st, const char *name); /* NULL */
enum role_kind state_role_kind(const struct state *st,
                               const char *role); /* of a role that exists */
/* Whether somebody with this role may see it, by its addressees and the kind of the role. */
bool state_may_see(const struct state *st, const struct state_delivery *d, const char *role);
/* ids of what had been delivered to a role by now, a new reference: what it knew when it decided. */
json_t *state_new_informed(const struct state *st, const char *role);
/* Whether a command with this key has had its effect. */
bool state_has_key(const struct state *st, const char *key);
/* Whether somebody has answered the debrief, and how many have. */
bool state_has_answered(const struct state *st, const char *person);
size_t state_answered(const struct state *st);
/* The machine's step is done to hosts now, and was not undone. */
bool state_in_force(const struct state_step *step);
/* True while the script says that the role, or this person of it, is away. */
bool state_is_away(const struct state *st, const char *role, const char *person);
