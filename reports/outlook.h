/* What `forecast --years` came to: the one model that its result.json and every page are printed from.
 *
 * It is made from a record (sim/forecast/years_simulate.h) by outlook_read() and by nothing else. Intervals
 * are of 95 % and tell of simulation error alone.
 *
 * Ownership: outlook_free() frees everything; the scenario is borrowed and must live longer.
 */
#pragma once

#include "reports/result.h"
#include "reports/stats.h"
#include "sim/base/buf.h"
#include "sim/forecast/estate.h"
#include "sim/forecast/tally.h"

#define OUTLOOK_SHARE                                                                              \
    0.95 /* of years, in which a contract is to be kept, where the scenario does not say */
#define OUTLOOK_INCIDENTS 30 /* fewer of them give no interval by their spread */

struct outlook_rare { /* by forced cycles: sim/forecast/years_rare.h */
    bool asked;
    const char *refused; /* why there is none; NULL: there is */
    uint64_t cycles, hits;
    double effective;
    double unavailability[2], rate[2], first_down[2]; /* value, standard error; first_down: years */
};

struct outlook_service {
    const struct service *service;
    const struct tally_service *tally;
    uint64_t incidents;
    double unavailability;
    struct stats_interval unavailability_in; /* lo NAN: too few incidents for one */
    double per_year;
    struct stats_interval per_year_in;
    /* With an sla; of years. */
    double kept;
    struct stats_interval kept_in;
    double asked;
    enum verdict verdict; /* VERDICT_NOT_APPLICABLE without an sla */
    double budget, used;  /* hours a year that the sla leaves, and that are used */
    struct outlook_rare rare;
    bool never; /* nothing that could take it down ever fails */
};

/* Whose failure took whom down. */
struct outlook_cascade {
    size_t component, service;
    double per_year, hours_per_year;
    double share; /* of the service's time down */
};

struct outlook_single { /* a component that takes services down all by itself */
    size_t component;
    size_t *services, services_n;
    double hours_per_year; /* of all services' time down that it began */
};

struct outlook_finding {
    const char *code;
    enum weight weight;
    const struct service *service; /* or NULL */
    const char *text;
};

struct outlook {
    struct arena *arena;
    const struct scenario *scenario;
    struct estate *estate;
    const struct catalogue *catalogue; /* the estate's */
    json_t *start;                     /* run-start */
    enum status status;
    const char *status_reason; /* or NULL */
    enum verdict verdict;
    struct record_head head;
    size_t torn;
    uint64_t planned, years; /* missions; years of each */
    struct tally tally;
    struct outlook_service *services; /* in the scenario's order */
    size_t services_n;
    struct outlook_cascade *cascades; /* worst first */
    size_t cascades_n;
    struct outlook_single *singles; /* worst first */
    size_t singles_n;
    bool priced; /* some service has costs */
    double lost_per_year;
    struct outlook_finding *findings;
    size_t findings_n, findings_room;
    const char **left_out; /* of the model: estate_left_out() */
};

struct outlook *outlook_free(struct outlook *o); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct outlook, outlook_free);

/* Reads record.ndjson of the folder. Errors: a damaged record, blocks that are missing or there twice, a
 * shard (which alone is no forecast). */
int outlook_read(int dirfd, const struct scenario *scenario, struct outlook **ret, struct err *err);
int outlook_exit_code(const struct outlook *o);
/* The hours a year that a share of time leaves for being down. */
double outlook_budget(double sla);

/* ---- words; all append to the caller's buffer, plain text ---- */

/* "99.9954 %": as many places as it takes to see what is missing. */
void outlook_percent(double unavailability, struct buf *out);
/* "3 h 20 min", "12 s": of hours. */
void outlook_hours(double hours, struct buf *out);
void outlook_sentence(const struct outlook *o, const struct outlook_service *s, struct buf *out);
/* Stopped or failed; then every service, those with contracts first. */
void outlook_sentences(const struct outlook *o, struct buf *out);
/* A quantile of time down: of incidents, or of years. */
void outlook_quantile(const struct histogram *h, double p, struct buf *out);

/* ---- renderers ---- */

json_t *outlook_json(const struct outlook *o); /* a new reference */
void outlook_terminal(const struct outlook *o, struct buf *out);
void outlook_markdown(const struct outlook *o, struct buf *out);
void outlook_html(const struct outlook *o, struct buf *out);
void outlook_junit(const struct outlook *o, struct buf *out);
void outlook_metrics(const struct outlook *o, struct buf *out);
