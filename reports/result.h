/* What a run came to: the one model that result.json and every page are printed from.
 *
 * Ownership: everything belongs to the result's arena and lives until result_free(); the scenario
 * and the record's events are borrowed and must live longer. It is made by measure_run() and by
 * nothing else; renderers only read it. Definitions of every measure: docs/measures.md.
 *
 * Instants are ns since run start, durations ns, both as intervals of what is known: SPAN_UNSET
 * where there is none, hi = NSEC_INF where it was not seen to end (censored).
 */
#pragma once

#include "reports/stats.h"
#include "sim/base/arena.h"
#include "sim/model/model.h"
#include "sim/record/record.h"
#include <jansson.h>

enum status { STATUS_COMPLETED, STATUS_ABORTED, STATUS_FAILED };
/* In order of badness; the run has the worst of its objectives. */
enum verdict {
    VERDICT_NOT_APPLICABLE,
    VERDICT_MET,
    VERDICT_NOT_DEMONSTRATED,
    VERDICT_INCONCLUSIVE,
    VERDICT_NOT_MET,
};
enum share { SHARE_NOT_APPLICABLE, SHARE_WITHIN, SHARE_MISSED, SHARE_OPEN, SHARE_VOID };
enum trial_outcome { OUTCOME_VOID, OUTCOME_UNAFFECTED, OUTCOME_RESTORED, OUTCOME_CENSORED };
enum detection {
    DETECTION_NOT_APPLICABLE,
    DETECTION_DETECTED,
    DETECTION_NOT_DETECTED,
    DETECTION_RESTORED_FIRST,
    DETECTION_MASKED,
};
enum restored_by { BY_NOBODY, BY_RECOVERY, BY_HEAL };
enum objective_kind {
    OBJECTIVE_RTO,
    OBJECTIVE_DETECT,
    OBJECTIVE_MAX_DOWNTIME,
    OBJECTIVE_EXPECT,
    OBJECTIVE_NO_OUTAGE,
    OBJECTIVE_NO_ALARM,
    OBJECTIVE_RPO,
    OBJECTIVE_SUCCESS,
    OBJECTIVE_LATENCY_P50, /* in the order of enum kept_quantile */
    OBJECTIVE_LATENCY_P95,
    OBJECTIVE_LATENCY_P99,
};
#define OBJECTIVE_KINDS 11

extern const char *const status_words[];
extern const char *const verdict_words[];
extern const char *const share_words[];
extern const char *const trial_outcome_words[];
extern const char *const detection_words[];
extern const char *const restored_by_words[];
extern const char *const objective_words[];

/* One injected step of one trial. */
struct fault {
    const char *step, *action, *chosen, *error;
    const json_t *targets, *changes, *undo_changes;
    struct span start, end; /* end unset: never undone by us within the trial */
    bool injected, verified, undo_failed;
    const char *asked, *seen, *how; /* of the verification; NULL when there was none */
    const char *cause;              /* of the end: for, until, end, abort, warden, undo */
    const char *gone;               /* ended early, and not by its own undoing: why; else NULL */
    struct span gone_at;            /* when that was seen */
    int64_t seq;                    /* of the line that injected it */
};

/* A command that a step of people or automation ran on one host (`run`): broke nothing of ours. */
struct action {
    const char *step, *host, *command, *role; /* role: NULL when not given */
    struct span start, end;                   /* start unset: it could not be run */
    int64_t code, signal;                     /* signal 0: none */
    bool timed_out;
    const char *why; /* it could not be run: why; else NULL */
    int64_t seq;     /* of the line that tells most: its end, else its start */
};

/* A background load of one trial. */
struct load_seen {
    const char *name, *host, *command;
    struct span start, end; /* end unset: it was not told */
    bool ended;
    bool early;           /* by itself, before the fault was over */
    int64_t code, signal; /* code -1: none; signal 0: none */
    const char *output;   /* as recorded; NULL before its end */
    const char *tail;     /* its last lines, without the last newline */
    int64_t seq;          /* of the line that tells most */
};

/* One down period of one service. */
struct episode {
    struct span impact, restored; /* restored: [start of the last failed probe, …] */
    struct span back;             /* restored as an RTO counts it: never, where only a heal did */
    struct span ttr[4];           /* by enum rto_clock; unset where that clock never started */
    struct span down;             /* sum of its down intervals */
    struct span reconverge;       /* fault_end → restored; set for a heal */
    struct span onset;            /* of the first alarm that counts, from this impact on */
    enum restored_by by;
    bool undo; /* an outage of the undoing: reported, not judged */
    struct strv faults;
    size_t flaps;
    nsec first_bad;     /* start of the first failed probe */
    struct span *downs; /* its down intervals: one more than flaps that recovered between */
    size_t downs_n;
};

struct alarm_event {
    bool onset, at_arm;
    bool suppressed; /* in a maintenance window: it told nobody */
    bool released;   /* an onset because its window was over */
    struct span at;
    int64_t seq;
    const char *detail;
    const char *starts_at; /* when it began, as its sender says; or NULL */
};

/* One alarm in one trial. */
struct alarm_seen {
    const struct alarm *alarm;
    struct alarm_event *events;
    size_t events_n;
    struct span onset; /* the first from fault_start on; unset: none */
    struct span ttd;   /* impact → onset */
    int64_t seq;       /* of that onset */
    bool counts;       /* for detect_within, else for time to detect */
    bool masked, after_restoration;
    bool missing;        /* counts, the service was down, and it never came */
    bool without_outage; /* it rang in the fault, and its service, which is probed, was not down */
    bool never;          /* the service was down, and it never came, whether it counts or not */
    size_t
        false_alarms; /* onsets before the fault; and the others, up to the end of observation: */
    size_t onsets;
    size_t suppressed;   /* onsets in maintenance windows */
    bool silenced;       /* by Alertmanager, when observation ended */
    const char *silence; /* which; or NULL */
    int64_t silence_seq;
    struct span resolved;  /* its clear after that onset; unset: none was seen */
    struct span fault_ttd; /* fault_start → onset */
};

enum kept_quantile { KEPT_P50, KEPT_P95, KEPT_P99 };
#define KEPT_QUANTILES 3
extern const double kept_quantiles[KEPT_QUANTILES];
extern const char *const kept_words[KEPT_QUANTILES];

/* How a service answered while a fault was in force (kept.h). */
struct kept {
    struct span from_to; /* from the first fault to the end of the last; unset: there was none */
    size_t good, bad, unknown; /* of the probes that began then */
    size_t answers;            /* of these, those whose latency counts */
    double success[2];         /* share of good ones: at least, at most; nothing known: 0, 1 */
    struct span latency[KEPT_QUANTILES]; /* unset without an answer */
};

/* One service in one trial. */
struct service_seen {
    const struct service *service;
    enum trial_outcome outcome;
    enum detection detection;
    const struct alarm_seen *detected_by;
    struct span ttd, ttd_impact, ttd_fault; /* ttd: by the clock of detect_within */
    struct span ttr;                        /* by the service's rto_clock: the longest episode */
    struct span ttr_clock[4];
    struct span down;        /* sum of the judged down intervals */
    struct span down_judged; /* the same; open above where only a heal ended one */
    struct span tta;         /* onset → acknowledged */
    nsec resolution;
    struct kept kept;
    struct episode *episodes;
    size_t episodes_n, judged_n;
    struct alarm_seen *alarms;
    size_t alarms_n;
    size_t flaps, blips, unknown, probes_n;
    enum restored_by by; /* of the longest episode */
    enum share shares[OBJECTIVE_KINDS];
};

struct trial {
    int64_t n, attempt;
    bool counted; /* the last attempt of its number */
    bool run;     /* false: planned, and never begun */
    bool aborted;
    const char *why_void;           /* NULL: not void */
    nsec begun, armed, zero, ended; /* NSEC_UNSET where it did not come so far */
    nsec watched;                   /* end of observation */
    struct span fault_start;        /* of the first fault; unset: none was injected */
    const json_t *phases;
    json_t *const *events; /* this trial's lines of the record, in order; borrowed */
    size_t events_n;
    struct fault *faults;
    size_t faults_n;
    struct action *actions;
    size_t actions_n;
    struct load_seen *loads;
    size_t loads_n;
    struct service_seen *services; /* in the scenario's order */
    size_t services_n;
};

struct reason {
    const char *code; /* too_few, open, void, missed, recovery_not_exercised, … */
    size_t count;
    const char *text, *cure; /* sentences; cure may be NULL */
};

struct objective {
    const struct service *service;
    enum objective_kind kind;
    nsec target;         /* NSEC_UNSET where it has none */
    double target_share; /* of OBJECTIVE_SUCCESS; else 0 */
    int clock;           /* enum rto_clock */
    enum verdict verdict;
    bool unmeasured; /* no probe (for an RPO: no ledger) measures it: not applicable, a finding */
    size_t planned, within, missed, open, voids, not_applicable, hit, misses_allowed;
    double p_lower, p_upper, confidence;
    double reliability; /* that was asked; 0: none */
    size_t needed_n;    /* 0: not asked */
    struct reason reasons[16];
    size_t reasons_n;
};

/* One duration over the trials in which the service was hit. */
struct summary {
    size_t n, affected, unaffected, censored;
    bool has_median, median_censored;
    double median;
    struct span min, max;
    bool has_ci, ci_censored; /* ci_censored: its high end is a censored trial */
    double ci_level;
    struct stats_interval ci; /* of the median, by order statistics; seconds */
    bool has_mean, has_mean_ci;
    double mean, restricted_to; /* seconds; restricted_to 0: not restricted */
    struct stats_interval mean_ci;
    const char *mean_method, *mean_note; /* what it assumes, or why there is none */
};

struct service_summary {
    const struct service *service;
    nsec resolution; /* NSEC_UNSET: never observed */
    struct summary ttd, ttr, down;
};

struct alarm_summary {
    const struct alarm *alarm;
    size_t false_alarms, onsets, missing;
    nsec exposure; /* observed time without a fault */
    bool has_rate;
    struct stats_interval per_hour;
    size_t without_outage;           /* trials */
    size_t suppressed, never, first; /* first: trials in which it was the first of its service */
    struct summary ttd; /* impact → onset, over the trials in which its service was hit */
};

/* The alarms of one service and one role together: a layer of noticing. */
struct layer_summary {
    const struct service *service;
    int role;     /* enum role */
    size_t first; /* trials in which one of them was the first of the service */
    struct summary ttd;
};

enum weight { WEIGHT_NOTE, WEIGHT_WARNING, WEIGHT_FAILURE };
extern const char *const weight_words[];

struct finding {
    const char *code;
    enum weight weight;
    const struct service *service; /* or NULL */
    int64_t trial;                 /* 0: of the whole run */
    const char *text;              /* one sentence */
    int64_t seq[4];                /* lines of the record that show it */
    size_t seq_n;
};

struct result {
    struct arena *arena;
    const struct scenario *scenario;
    const json_t *events; /* the whole record */
    const json_t *start;  /* run-start */
    enum status status;
    const char *status_reason; /* or NULL */
    enum verdict verdict;
    int clean;                   /* 1 yes, 0 no, -1 not known */
    const char *started, *ended; /* ISO; ended may be NULL */
    struct record_head head;
    size_t torn;
    int64_t planned;
    struct trial *trials; /* all attempts, in order of number and attempt */
    size_t trials_n;
    struct objective *objectives;
    size_t objectives_n;
    struct service_summary *services;
    size_t services_n;
    struct alarm_summary *alarms;
    size_t alarms_n;
    struct layer_summary *layers; /* by service, then role; those that have an alarm */
    size_t layers_n;
    struct finding *findings;
    size_t findings_n, findings_size;
};

struct result *result_free(struct result *r); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct result, result_free);

/* 6 not clean, 5 aborted or failed, 1 a target missed, 4 not demonstrated or inconclusive, 0 met.
 */
int result_exit_code(const struct result *r);
/* The worse of two exit codes: the first of them in the order 6, 5, 1, 4, 0. */
int result_worse_exit_code(int a, int b);

/* The trial in which this service's objective came out worst, for headlines; NULL without trials.
 * Among trials that came to the same, the one with the longest time. */
const struct trial *result_worst_trial(const struct result *r, const struct objective *o);
const struct service_seen *result_seen(const struct result *r, const struct trial *t,
                                       const struct service *s);
/* The duration that an objective judges in one trial; unset where it judges none. */
struct span result_judged_span(const struct objective *o, const struct service_seen *s);

/* Adds a finding; `seq` < 0 adds no evidence. For measure.c and its helpers. */
struct finding *result_find(struct result *r, const char *code, enum weight weight,
                            const struct service *service, int64_t trial, int64_t seq,
                            const char *fmt, ...) __attribute__((format(printf, 7, 8)));
