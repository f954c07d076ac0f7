/* What missions came to, added up in whole numbers: the same sum in whatever order and in however many parts
 * it was made. Figures with intervals are computed from it alone.
 *
 * Ownership: tally_done() frees. Times are nanoseconds, money hundredths. A year is 365 days; missions are
 * whole years where yearly figures are wanted. Running out of memory ends the program.
 */
#pragma once

#include "sim/base/nsec.h"
#include "sim/forecast/histogram.h"

#define TALLY_YEAR (365 * 24 * 3600 * NSEC_SEC)
#define TALLY_UNIT NSEC_MSEC /* of durations in histograms and squares */

__extension__ typedef unsigned __int128 tally_wide;

/* Of something that each mission has one of. */
struct tally_moments {
    tally_wide sum, squares;
};

/* Why a service went down. */
enum tally_cause { TALLY_BROKEN, TALLY_MAINTAINED, TALLY_SWITCHED };
#define TALLY_CAUSES 3

struct tally_service {
    tally_wide down;                     /* ns */
    struct tally_moments down_units;     /* per mission, TALLY_UNIT */
    struct tally_moments incidents;      /* per mission */
    uint64_t incidents_of[TALLY_CAUSES]; /* begun by */
    tally_wide down_of[TALLY_CAUSES];    /* ns */
    struct histogram incident_lasted;    /* TALLY_UNIT; only whole incidents */
    struct histogram year_down;          /* TALLY_UNIT, per year */
    struct tally_moments years_met;      /* per mission: years in which the sla was kept */
    struct tally_moments first_down;     /* TALLY_UNIT; of missions in which it was down at all */
    uint64_t missions_down, missions_ending_down;
    tally_wide lost; /* hundredths of the currency */
};

/* Whose failure took whom down. */
struct tally_blame {
    uint32_t service, component;
    uint64_t incidents;
    tally_wide down; /* ns; of incidents that have ended */
};

struct tally {
    size_t services_n;
    struct tally_service *services;
    uint64_t missions, years;
    tally_wide observed; /* ns, over all missions */
    uint64_t events;
    uint64_t broken;              /* failures of components */
    struct histogram year_lost;   /* hundredths, all services together, per year */
    struct tally_blame *blames;   /* open addressing; incidents 0: free */
    size_t blames_n, blames_room; /* used; a power of two */
};

struct tally tally_new(size_t services);
void tally_done(struct tally *t);
void tally_merge(struct tally *t, const struct tally *other);
void tally_moments_add(struct tally_moments *m, uint64_t value);
/* An incident of a service that a component began; its entry is made when missing. */
struct tally_blame *tally_blame(struct tally *t, size_t service, size_t component);
/* So many at once; times >= 1. */
struct tally_blame *tally_blame_times(struct tally *t, size_t service, size_t component,
                                      uint64_t times);
/* All of them, worst first (by time down, incidents, then numbers); malloc'd. */
struct tally_blame *tally_blames(const struct tally *t, size_t *ret_n);

/* The mean over missions and its standard error. */
struct tally_mean {
    double mean, se;
};
struct tally_mean tally_mean(const struct tally_moments *m, uint64_t missions);
/* The share of time that a service is down, with its standard error over missions. */
struct tally_mean tally_unavailability(const struct tally *t, size_t service);
/* Incidents a year. */
struct tally_mean tally_rate(const struct tally *t, size_t service);
