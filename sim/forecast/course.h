/* Inside of a trial: the course of one service, from the first request of its probes to the end of
 * observation. For course.c (which units serve), course_watch.c (probes and alarms) and course_health.c
 * (what requests meet) alone.
 *
 *   well ──trouble──▶ troubled ──its cause has gone, or the response is over──▶ well
 *
 * Trouble is what a service has of its own: a unit that it needs does not work as it should, too few units
 * are left, no leader. What it needs may make it suffer too, but no response of its own begins with that.
 * It *hurts* while requests fail, whatever the reason: then alarms come.
 *
 * Invariants: `now` never goes back; between `now` and the next change everything in here is constant, and
 * requests that begin then meet the same; a request is asked in order of its start, and an alarm is heard
 * when its deciding answer is.
 */
#pragma once

#include "sim/forecast/trial_parts.h"

struct course {
    /* zero at its beginning; few bytes, since clearing many costs as much as a piece of the trial */
    uint64_t down, bad, handled, out, serving; /* units, a bit each */
    double extra_quick, extra_lost;
    uint32_t takeouts, switches;
    uint32_t troubles, pains;
    bool self_bad, self_handled; /* as a whole */
    bool effective;              /* some effect is in force */
    bool waiting;                /* the response is over, and no unit is there to serve */
    bool troubled, waits;        /* trouble of its own; waits: for somebody to notice */
    bool hurts;
    bool extended,
        over; /* beyond the horizon, because it is recovering; nothing recovers any more */

    struct trial *t; /* set at its beginning, from here on */
    size_t service;
    const struct system_service *sv;
    struct result_of *r;
    nsec now;
    uint64_t all;                    /* units */
    nsec effects_until, needs_until; /* no effect, nothing of what it needs changes before */
    size_t active;
    nsec warm_end, switched, failback_at, failback_end;
    nsec restored;
    nsec aware; /* somebody who restores has been told; NSEC_INF: nobody */
    nsec heard; /* will be, or was just */
    nsec alarm; /* the next that comes by the clock, or is released */

    nsec impact; /* set when trouble begins, as is the next */
    struct response_output out_put;
    struct { /* what the looks were made of, so far as it is not by the clock; set by the first */
        uint64_t serving, handled;
        double quick, lost;
        bool self_handled;
    } looked;
    /* from here on kept for the next course: */
    nsec out_at[SYSTEM_UNITS_MAX + 1];
    size_t *cursors; /* of the legs of what it needs */
    size_t cursors_room;
    struct answer *needs;
    struct breaker_flow *breakers; /* of those of its needs that have one */
};

/* course_health.c */
void course_health_units(struct course *c); /* down, bad, self_bad at c->now */
void course_health_look(struct course *c);  /* looks of the probes, legs for others, hurts */
static inline nsec
course_health_next(const struct course *c) /* when an effect or a need changes next */
{
    return c->effects_until < c->needs_until ? c->effects_until : c->needs_until;
}

/* course_watch.c */
void course_watch_begin(struct course *c);
/* Asks what begins before `until`; returns to where nothing but that has happened: `until`, or sooner when
 * an alarm was heard that somebody waits for. */
nsec course_watch_until(struct course *c, nsec until);
bool course_watch_recovers(const struct course *c);
void course_watch_pain(struct course *c, bool hurts); /* it began, or is over */
void course_watch_due(struct course *c);              /* alarms that come by the clock */
