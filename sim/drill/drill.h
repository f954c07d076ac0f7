/* A live drill: all trials of a scenario, with a warden beside it.
 *
 * Ownership: everything in `struct drill_options` is borrowed for the call; drill_outcome_done()
 * frees what drill_run() filled in. Single-threaded; control_listen(), then lab_prepare_process()
 * come first.
 */
#pragma once

#include "sim/attach/attach.h"
#include "sim/base/err.h"
#include "sim/base/nsec.h"
#include "sim/drill/compare.h"
#include "sim/drill/herald.h"
#include "sim/loop/loop.h"
#include "sim/model/model.h"
#include "sim/record/record.h"
#include <jansson.h>

struct drill_handlers {
    /* Every line of the record as it is written (borrowed). */
    void (*event)(const char *kind, const json_t *event, void *data);
    /* About five times a second while it runs: what drill_status() of the control socket says. */
    void (*tick)(const json_t *status, void *data);
    /* Runs in the warden after it undid a dead runner's work: writes the reports. */
    void (*after_death)(void *data);
    void *data;
};

/* Those who play, in a functional exercise: they keep the clock of the script and write the record. The drill
 * is what it always is, of one trial, but that its script begins and ends by their word. */
struct drill;
struct drill_people {
    /* The record is there, and empty. `run_start` (stolen): the drill's members of its first line, which
     * they write. What they ask of the drill goes through the functions below. */
    int (*open)(struct drill *d, struct loop *loop, struct record *record, json_t *run_start,
                void *data, struct err *err);
    /* Writes a line of the drill's; `event` is stolen. A failure ends the drill. */
    int (*line)(const char *kind, nsec at, json_t *event, void *data, struct err *err);
    /* The lab stands and is steady: the play may begin. */
    void (*ready)(void *data);
    /* The last line was written; the loop and the record are about to go. Also after a failed open(). */
    void (*done)(void *data);
    void *data;
};

struct drill_options {
    const struct scenario *scenario;
    const char *digest; /* SHA-256 of scenario.yaml */
    int dirfd;          /* the run's folder, with scenario.yaml in it */
    int source_dirfd;   /* the scenario's own folder: files: are taken from there */
    /* Absolute: where lab_prepare_process() mounted the lab's file system; hosts have their folders
     * there. It may cover the run's own folder, which is reached through dirfd alone. */
    const char *lab_folder;
    const char *id; /* short id of the run: [a-z0-9]+ */
    uint64_t seed;
    int64_t trials;
    nsec max_duration; /* NSEC_UNSET: none; of the whole run */
    const char *operator_name;
    int control_fd;             /* control_listen() */
    struct compare *before;     /* the places that must be as they were; NULL: none */
    struct attached *attached;  /* held and locked; NULL: the scenario has none */
    const char *journal_folder; /* journal_folder(), asked before any user namespace */
    json_t *command;            /* argv */
    json_t *attempt;            /* {n, earlier: […]} */
    json_t *environment;
    json_t *plan; /* [text…] for the record */
    struct drill_handlers handlers;
    const struct drill_people *people; /* NULL: the script begins by its own times */
    /* Where the one who tells others is handed over, also when drill_run() fails, for herald_conclude()
     * and herald_end(): the verdict is the caller's. Set to NULL where nobody is told. */
    struct herald **herald;
};

enum drill_end {
    DRILL_RAN,        /* some trial got as far as settling: the record tells the rest */
    DRILL_CANNOT_RUN, /* nothing was injected: the lab did not come up; `why` says it (exit 3) */
    DRILL_NO_REPORT,  /* the operator asked twice to stop: undone, no report wanted */
};

struct drill_outcome {
    enum drill_end end;
    char *why; /* DRILL_CANNOT_RUN */
    bool clean;
};
void drill_outcome_done(struct drill_outcome *o);

int drill_run(const struct drill_options *o, struct drill_outcome *ret, struct err *err);

/* For those who play, from open() until drill_run() returns; what comes at the wrong time does nothing. */
int drill_may_go(const struct drill *d, struct err *err); /* -EAGAIN: why not */
void drill_go(struct drill *d, nsec zero);
void drill_step_begin(struct drill *d, size_t step); /* by its index in the script */
void drill_step_end(struct drill *d, size_t step, const char *cause);
void drill_play_over(struct drill *d); /* watches what recovers, undoes, compares */
/* Undoes at once; words of record.h's `stop`. */
void drill_abort_play(struct drill *d, const char *reason, const char *detail);
/* They are done: the run ends as soon as all is undone. */
void drill_part(struct drill *d);
