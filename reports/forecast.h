/* What a forecast came to: the one model that its result.json and every page are printed from.
 *
 * A forecast is judged by share, never by the single trial, and its intervals tell of simulation error
 * alone (docs/measures.md, "A forecast"). It is made from a record by forecast_read() and by nothing else.
 *
 * Ownership: forecast_free() frees everything; the scenario is borrowed and must live longer.
 */
#pragma once

#include "reports/plot.h"
#include "reports/result.h"
#include "sim/base/buf.h"
#include "sim/forecast/estimate.h"
#include "sim/forecast/outcome.h"

#define FORECAST_SHARE 0.95 /* that is asked where the scenario does not say */

struct forecast_reason {
    const char *code; /* too_few_trials, missed, void, open, recovery_not_exercised */
    uint64_t count;
    const char *text, *cure; /* sentences; cure may be NULL */
};

struct forecast_objective {
    const struct service *service;
    size_t service_index;
    enum outcome_promise kind;
    nsec target; /* NSEC_UNSET where it has none */
    int clock;   /* enum rto_clock */
    enum verdict verdict;
    bool unmeasured; /* nothing in the model says it */
    uint64_t planned, within, missed, open, voids, not_applicable;
    double p, p_lower, p_upper; /* of planned; the bounds rounded outwards to six places */
    bool over_ranges; /* the bounds are those that assumptions given as ranges leave, not simulation
                       * error's */
    double asked;     /* share */
    uint64_t needed_n; /* trials that would decide; 0: decided, or none would */
    struct forecast_reason reasons[6];
    size_t reasons_n;
};

/* What restoring is made of, over the trials in which the service was restored. */
struct forecast_stage {
    const char *quantity; /* "stage:checkout/failover"; NULL: the rest, noticing and waiting */
    double mean;          /* seconds */
    double share;         /* of the mean time */
};

struct forecast_service {
    const struct service *service;
    struct outcome_sums sums;
    struct forecast_stage *stages; /* most time first, the rest last */
    size_t stages_n;
    /* while reading */
    const char **quantities;
    outcome_total *totals;
    size_t quantities_n;
};

struct forecast_finding {
    const char *code;
    enum weight weight;
    const struct service *service; /* or NULL */
    const char *text;
};

struct forecast {
    struct arena *arena;
    const struct scenario *scenario;
    json_t *start;    /* run-start */
    json_t *analyses; /* lines of kind `analysis`, without what every line has */
    enum status status;
    const char *status_reason; /* or NULL */
    enum verdict verdict;
    struct record_head head;
    size_t torn;
    uint64_t planned, done; /* trials */
    struct forecast_objective *objectives;
    size_t objectives_n;
    struct forecast_service *services; /* in the scenario's order */
    size_t services_n;
    struct forecast_finding *findings;
    size_t findings_n, findings_room;
};

struct forecast *forecast_free(struct forecast *f); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct forecast, forecast_free);

/* Reads record.ndjson of the folder. Errors: a damaged record, blocks of trials that are missing or
 * there twice, a shard (which alone is no forecast). */
int forecast_read(int dirfd, const struct scenario *scenario, struct forecast **ret,
                  struct err *err);
int forecast_exit_code(const struct forecast *f);

/* ---- words; all append to the caller's buffer, plain text ---- */

/* "100,000" */
void forecast_count(uint64_t n, struct buf *out);
/* "97.3 %": never 100 % or 0 % for less or more. */
void forecast_percent(double share, struct buf *out);
/* "97.2–97.4", rounded outwards to what can be told apart; percent. */
void forecast_interval(const struct forecast_objective *o, struct buf *out);
/* "restored within 5 s" */
void forecast_promise(const struct forecast_objective *o, struct buf *out);
void forecast_sentence(const struct forecast *f, const struct forecast_objective *o,
                       struct buf *out);
/* Stopped or failed; then every objective, the headline's first. */
void forecast_sentences(const struct forecast *f, struct buf *out);
/* The worst verdict, of these the first; NULL: none. */
const struct forecast_objective *forecast_headline(const struct forecast *f);
/* "failover" of "stage:checkout/failover"; what a person calls a quantity of the service `of`: of another's
 * stage "look of orders". */
void forecast_quantity(const char *quantity, const char *of, struct buf *out);
/* Whether it is a stage of another service, and of which. */
bool forecast_waits(const char *quantity, const char *of, struct buf *ret_for);
/* Of a record's run-end. */
enum status forecast_status(const json_t *end);
/* What it can be computed again from: a line of Markdown. */
void forecast_origin(const json_t *start, const struct record_head *head, struct buf *out);
/* The duration that an objective judges; NULL: none. */
const struct outcome_times *forecast_times(const struct forecast *f,
                                           const struct forecast_objective *o);

/* ---- renderers ---- */

json_t *forecast_json(const struct forecast *f); /* a new reference */
void forecast_terminal(const struct forecast *f, struct buf *out);
void forecast_markdown(const struct forecast *f, struct buf *out);
void forecast_junit(const struct forecast *f, struct buf *out);
void forecast_metrics(const struct forecast *f, struct buf *out);
void forecast_plots(const struct forecast *f, struct plots *ret);
void forecast_html(const struct forecast *f, const struct plots *plots, struct buf *out);
