/* How often a service goes down that hardly ever does, without waiting for it: importance sampling over
 * cycles from "all in order" to "all in order" again.
 *
 * While something is broken the next failure is forced: with probability 0.8 one happens before the next
 * repair, whatever the repairs' distributions, and which component it is, is drawn half in equal shares, half by
 * their rates; once the service is down, chance runs its own course. Each cycle is weighted with what it would
 * really have been worth (likelihood ratio). The time a cycle takes is measured on other, plain cycles. Forced
 * transitions and balanced failure biasing: Lewis and Böhm 1984; Shahabuddin, Management Science 40 (1994).
 *
 * That needs a past that is forgotten when all is in order: exponential times to failure, no maintenance by
 * calendar, repairs for whatever breaks. Only what can concern the service is simulated: its units, what
 * they stand in, its needs, those who wait for the same crews.
 *
 * Nothing is owned. The result depends on (seed, cycles), not on the threads.
 */
#pragma once

#include "sim/forecast/years.h"

struct years_rare_plan {
    size_t service;
    uint64_t seed, cycles; /* forced ones; an eighth as many plain ones beside them */
    size_t threads;        /* >= 1 */
    /* About every tenth of a second; true: stop. May be NULL. */
    bool (*tick)(uint64_t done, uint64_t of, void *data);
    void *data;
};

struct years_rare_value {
    double value, se;
};

struct years_rare {
    struct years_rare_value unavailability;
    struct years_rare_value rate; /* incidents a year */
    struct years_rare_value
        first_down;        /* mean time to the first incident, from all in order, in years */
    uint64_t cycles, hits; /* forced cycles; those in which it went down */
    /* (sum of w d)^2 / sum of (w d)^2 over cycles, d: time down, w: weight. So many equally weighted incidents
     * would know as much. */
    double effective;
};

/* Below that no figure is given. */
#define YEARS_RARE_EFFECTIVE 1000

/* Errors, with the name: what this cannot be used for (EINVAL; see above); an effective size below
 * YEARS_RARE_EFFECTIVE, with what to do, and what is always broken (ERANGE); stopped by tick (EINTR). */
int years_rare(const struct catalogue *c, const struct years_rare_plan *plan,
               struct years_rare *ret, struct err *err);
