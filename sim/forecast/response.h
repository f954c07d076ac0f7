/* How a service comes back: its stages, in series and in parallel, with people who must be reached first.
 *
 * A pure function of the instants given and the random numbers: no clock, no queue. It knows nothing of
 * probes and of health.
 */
#pragma once

#include "sim/base/rng.h"
#include "sim/model/assumption.h"

struct response; /* a service's stages made ready: resolved names, order; immutable */

/* Streams of the random quantities: quantity i draws from source(data, i). */
struct response_draws {
    /* The stream of quantity i of this trial; *ret_no_time, *ret_sure: it takes none, it always works. */
    struct rng (*stream)(size_t quantity, bool *ret_no_time, bool *ret_sure, void *data);
    void *data;
};

struct response_input {
    nsec impact;
    nsec detected;   /* the alarm that pages; NSEC_INF: none comes */
    nsec day_offset; /* time of day at 0, for roles with hours */
    nsec down_since; /* for the backlog */
};

struct response_stage { /* what a stage did in this trial */
    bool taken, worked;
    nsec begin, end;   /* end NSEC_INF: it never ends (nobody came) */
    nsec acknowledged; /* of the person it waited for; NSEC_UNSET: for nobody */
    size_t
        before; /* the stage whose end let it begin, SIZE_MAX: impact or detection (critical path) */
};

struct response_output {
    nsec restored;     /* NSEC_INF: not by these stages */
    nsec acknowledged; /* the first; NSEC_UNSET */
    size_t last;       /* the stage that ended last, SIZE_MAX: none */
};
