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
#include "sim/model/model.h"
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
