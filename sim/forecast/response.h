/* How a service comes back: its stages, in series and in parallel, with people who must be reached first.
 *
 * A pure function of the instants given and the random numbers: no clock, no queue. It knows nothing of
 * probes and of health.
 *
 * Ownership: response_new() … response_free(); the scenario's objects it was made from must live as long.
 * It is immutable and shared by threads; nothing is allocated per run, what a run did is written into
 * arrays of the caller's. Instants are on one axis, from the script's zero; NSEC_INF: never.
 *
 * What a stage waits for, in this order: the stages before it (a stage that did not work is over when the
 * branch of its `else` is), a person of its role, approvals, the end of a freeze. Then it takes its time,
 * whether it works or not. Fallbacks that come `after` a fallback belong to its branch.
 *
 * A role's people are paged together, the first answer counts. Who has not answered after `escalate_after`
 * is not waited for any longer: each deputy is paged in turn, for as long, then `escalate_to`'s people, and
 * after the last step the first again, `loops` times. One page a role and outage: other stages of that
 * role find somebody who is there. */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/base/rng.h"
#include "sim/model/assumption.h"

struct response; /* a service's stages made ready: resolved names, order; immutable */

enum { RESPONSE_STAGES_MAX = 64 };

/* `roles`: struct responder, `freezes`: struct freeze; what the model names is among them. Errors, with the
 * place: unknown names, stages that wait for each other, a fallback of no stage or of several. */
int response_new(const struct service_model *model, const struct objects *roles,
                 const struct objects *freezes, struct response **ret, struct err *err);
struct response *response_free(struct response *r);
DEFINE_CLEANUP(struct response, response_free);

/* How many stages it has: the length of the array that response_run() fills, in the order of the
 * scenario. 0: it is restored by nobody here. */
size_t response_stages(const struct response *r);
/* How many roles stages wait for: the length of the other array. */
size_t response_calls(const struct response *r);

/* The random quantities. The first response_stages() are the stages' own, in their order: whether it works,
 * and how long it takes. */
struct response_quantity {
    char *
        name; /* "stage:SERVICE/STAGE", "ack:ROLE" (with whom it escalates to), "approval:SERVICE/STAGE" */
    const struct stage *stage;    /* NULL: of a role */
    const struct responder *role; /* who is waited for; NULL: the stage itself */
};
size_t response_quantities(const struct response *r, const struct response_quantity **ret);

/* Streams of the random quantities: quantity i draws from stream(i, …). */
struct response_draws {
    /* The stream of quantity i of this trial; *ret_no_time, *ret_sure (false before the call): it takes
     * none, it always works (a page is always answered). Called once for each quantity that occurs. */
    struct rng (*stream)(size_t quantity, bool *ret_no_time, bool *ret_sure, void *data);
    void *data;
};

struct response_input {
    nsec impact;
    nsec detected;   /* the alarm that pages; before the impact: at once; NSEC_INF: none comes */
    nsec day_offset; /* time of day at 0, for roles with hours */
    nsec down_since; /* for the backlog */
    double
        capacity; /* for the backlog: the share of all units that work while it is worked off; 0: 1 */
};

struct response_stage { /* what a stage did in this trial */
    bool taken, worked;
    nsec ready;      /* what comes before is over */
    nsec approved;   /* somebody is there, and others agreed; ready when nobody is asked */
    nsec begin, end; /* NSEC_INF: it never does (nobody came, or what comes before never ends) */
    size_t call;     /* which call it waited for; SIZE_MAX: none */
    size_t before;   /* the stage whose end let it begin, SIZE_MAX: impact or detection */
};

struct response_call { /* the page of a role in this trial */
    nsec paged;        /* NSEC_UNSET: it was not needed */
    nsec acknowledged; /* NSEC_INF: nobody came; NSEC_UNSET: not needed */
    size_t before;     /* the stage whose end let the page be sent, SIZE_MAX: impact or detection */
};

struct response_output {
    nsec restored;     /* the end of all stages; NSEC_INF: not by these stages */
    nsec acknowledged; /* the first; NSEC_INF: nobody came; NSEC_UNSET: nobody was paged */
    nsec drained; /* the backlog is worked off; NSEC_UNSET: the model says nothing of its load */
    size_t last;  /* the stage that ended last, SIZE_MAX: none */
};

/* One trial. `stages`, `calls`: arrays of that length, filled. */
void response_run(const struct response *r, const struct response_input *in,
                  const struct response_draws *draws, struct response_stage *stages,
                  struct response_call *calls, struct response_output *ret);
/* Of a run that ended: how much of the time to `ret->restored` passed on the critical path in each quantity
 * (response_quantities() of them); the rest is waiting for detection, hours, freezes. All 0 when it is
 * not restored. */
void response_path(const struct response *r, const struct response_stage *stages,
                   const struct response_call *calls, const struct response_output *out, nsec *ret);
