/* What an exercise came to: the model that the after-action report, result.json and junit.xml are printed
 * from. Made from the scenario and the record alone, by way of the state (sim/exercise/state.h).
 *
 * Evaluators rate: P performed without challenges, S with some, M with major challenges, U unable to be
 * performed. Of several evaluators of one objective the worst rating stands. An objective is
 *   met               rated P or S, and what it promises in numbers was kept
 *   not_demonstrated  rated M, or not rated at all
 *   not_met           rated U, or what it promises in numbers was broken, whatever the rating
 * and the exercise has the worst of them. A replay, in which answers play for the people, has no verdict.
 * Source: docs/after-action.md.
 *
 * Ownership: everything belongs to the report's arena or its state; the scenario and the events are
 * borrowed and must live longer. Instants are of the exercise clock, in ns; NSEC_UNSET: never.
 */
#pragma once

#include "reports/document.h"
#include "reports/report.h"
#include "reports/result.h"
#include "sim/exercise/state.h"

enum task_outcome {
    TASK_NOT_ASKED, /* its step never began */
    TASK_SKIPPED,   /* by the facilitator */
    TASK_IN_TIME,
    TASK_LATE,
    TASK_MISSED, /* not done, or done by default */
    TASK_OPEN,   /* not done when the play ended, and not due by then, or without a deadline */
};
extern const char *const task_outcome_words[];

/* What players were asked for with a step: an expected action, a decision, an approval, a checklist. */
struct after_task {
    const struct state_step *step;
    const char *does;
    const char *by; /* role or roles, as the script has it; NULL: anybody */
    const struct exercise_objective *objective; /* NULL: none */
    nsec asked, due, done;
    enum task_outcome outcome;
};

struct after_rating {
    const struct exercise_objective *objective;
    char rating; /* 0: none */
    enum verdict verdict;
    nsec target,
        measured; /* of a promise in numbers; NSEC_UNSET: none, or nothing of it was seen */
    bool still;   /* the service was still down at the end: measured at least */
    const struct objective *machine; /* that measured the promise; NULL: the exercise alone did */
    const char *why;                 /* a sentence */
};

/* A strength or an area for improvement: somebody's words, or what the clock shows. */
struct after_finding {
    const struct exercise_objective *objective; /* NULL: of none in particular */
    nsec at;
    const char *text;
    const char *by;        /* "eve, evaluator"; NULL: the record shows it */
    const char *reference; /* plan or policy; NULL: not given */
    const char *analysis;  /* an evaluator's note; NULL: people must write it */
};

struct after_count {
    size_t n, of;
};

/* What people did first after the fault. */
enum after_human {
    AFTER_NOTICED, /* acknowledged a page, or marked that they know */
    AFTER_DECLARED,
    AFTER_DECIDED, /* by themselves, not by default */
    AFTER_ACTED,   /* a command, a line of a checklist, the mark that mitigation begins */
    AFTER_HUMANS
};

/* Of a functional exercise: machine and people from the first fault on. Instants are real, ns since the run
 * started. */
struct after_chain {
    struct span fault;
    const struct service_seen *seen;    /* whose restoration is told; NULL: no service */
    const struct episode *episode;      /* its longest outage; NULL: it did not fail */
    const struct alarm_seen *alarm;     /* the first of its alarms; NULL: none came */
    const json_t *humans[AFTER_HUMANS]; /* lines; NULL: nobody did */
};

struct after_action {
    struct arena *arena;
    const struct scenario *scenario;
    json_t *events;
    struct record_head head;
    struct state *state;
    const json_t *start, *end; /* lines; end NULL: unfinished */
    const char *mode;
    bool replay;               /* answers played for the people: nothing of theirs has a verdict */
    bool functional;           /* there were real faults, too */
    struct result *machine;    /* what they came to; NULL: not functional */
    const struct trial *trial; /* of it; NULL: it did not come so far */
    struct after_chain *chain; /* NULL: no fault was injected */
    enum status status;
    const char *status_reason;
    enum verdict verdict;
    struct after_rating *objectives;
    struct after_task *tasks;
    struct after_finding *strengths, *areas;
    size_t n_objectives, n_tasks, n_strengths, n_areas;
    struct corrective *plan; /* corrective actions: of the debrief, then of a file */
    size_t n_plan;
    const char *plan_digest;      /* SHA-256 of the file; NULL: there is none */
    struct after_count decisions; /* in time, of those that were asked */
    struct after_count expected;  /* actions done in time, of those that were due */
    struct after_count done;      /* the same, late ones too */
    struct after_count clocks;    /* of regulators met, of those that started */
    struct after_count updates;   /* status updates on time, of those that were due */
    struct after_count
        injects; /* delivered, of the script's that were not only for a contingency */
};

/* -EINVAL: the record is not of this scenario. */
int after_action_measure(const struct scenario *s, json_t *events, const struct record_head *head,
                         struct after_action **ret, struct err *err);
struct after_action *after_action_free(struct after_action *a);
DEFINE_CLEANUP(struct after_action, after_action_free);

/* --- Parts of it --- */

/* "1:08:30" of the exercise clock; "–" for NSEC_UNSET. */
const char *after_action_clock(nsec t, char buf[NSEC_TEXT_MAX]);
/* "12 min 30 s"; "–" for NSEC_UNSET. */
const char *after_action_lasted(nsec t, char buf[NSEC_TEXT_MAX]);
/* Names with commas between; appended. */
void after_action_names(const struct strv *v, struct buf *out);
/* When update n (from 1) of a status step was due. */
nsec after_action_update_due(const struct state_step *step, int64_t n);
/* "performed without challenges" …; "not rated" for 0. */
const char *after_action_rating_text(char rating);
/* "3.2 s", "1 min 15 s": how long people took; to the second from 10 s on. Appended. */
void after_action_took(nsec t, struct buf *out);
/* False for a rating of an objective that the same evaluator changed later. */
bool after_action_counts(const struct after_action *a, size_t rating);
/* One line of the record as a sentence; nothing for lines that tell people nothing. */
void after_action_line(const struct after_action *a, const json_t *event, struct buf *out);
/* One sentence of what the people's play came to, and of what the machine kept and whether it is undone. */
void after_action_played(const struct after_action *a, struct buf *out);
/* The same, after the chain from the first fault where there was one. */
void after_action_sentence(const struct after_action *a, struct buf *out);
int after_action_exit_code(const struct after_action *a);

/* Measures the machine's part of a functional exercise; for after_action_measure() alone. */
int after_action_machine(struct after_action *a, struct err *err);
/* The machine's objective that measures this promise; NULL: none does. */
const struct objective *after_action_machine_objective(const struct after_action *a,
                                                       const struct objective_target *t);
/* When the clock went for the first time (t), and what the exercise clock showed at a real instant. */
nsec after_action_go(const struct after_action *a);
nsec after_action_clock_of(const struct after_action *a, nsec real);
/* "From the fault: checkout was restored after …; people noticed after …" */
void after_action_chain_sentence(const struct after_action *a, struct buf *out);
json_t *after_action_chain_json(const struct after_action *a);   /* null without a fault */
json_t *after_action_machine_json(const struct after_action *a); /* null: not functional */

/* Corrective actions, from the record and from the request's file, which then stays beside the record; after
 * after_action_measure(), for areas have numbers. -EINVAL: what is wrong with the file, line by line. */
int after_action_read_plan(struct after_action *a, const struct report_request *q, struct err *err);
json_t *after_action_plan_json(const struct after_action *a); /* a new reference */

/* Fills in strengths and areas; for after_action_measure() alone. */
void after_action_findings(struct after_action *a);

/* --- Rendered --- */

void after_action_html(const struct after_action *a, struct buf *out);
void after_action_markdown(const struct after_action *a, struct buf *out);
json_t *after_action_json(const struct after_action *a); /* a new reference */
void after_action_junit(const struct after_action *a, struct buf *out);
void after_action_terminal(const struct after_action *a, struct buf *out);
/* Of the document: overview to hot wash, and the logs. */
void after_action_logs(const struct after_action *a, struct document *d);
void after_action_timeline(const struct after_action *a, struct document *d);
/* "at 0:08:00", "2 min after failover was decided: wait"; and for each option of a decision the steps that wait
 * for it. Appended. */
void after_action_begins(const struct step *s, struct buf *out);
void after_action_branches(const struct after_action *a, const struct step *s, struct buf *out);
void after_action_phases(const struct after_action *a, struct document *d);
void after_action_capabilities(const struct after_action *a, struct document *d);
/* The improvement plan. */
void after_action_plan(const struct after_action *a, struct document *d);
/* Machine and people on one clock; nothing where no machine was touched. */
void after_action_joint(const struct after_action *a, struct document *d);
/* Of the page's first screen: tiles of the objectives, machine's and people's; lanes of all on one clock. */
void after_action_tiles(const struct after_action *a, struct buf *out);
void after_action_lanes(const struct after_action *a, struct buf *out);

/* What report_write() does for an exercise: all files into the folder, or single ones. */
int after_action_write(const struct report_request *q, const struct scenario *s, json_t *events,
                       const struct record_head *head, struct report_outcome *ret, struct err *err);
