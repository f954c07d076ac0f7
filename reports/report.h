/* From a run's folder to its reports: the same whether `run` or, years later, `report` calls it.
 *
 * Ownership: the request is borrowed; report_outcome_done() frees what report_write() filled in.
 */
#pragma once

#include "sim/base/err.h"
#include "sim/model/model.h"

#include <jansson.h>
#include <stdbool.h>

struct report_request {
    int dirfd;        /* the run's folder: record.ndjson and scenario.yaml are read from it */
    const char *path; /* its name, for messages */
    /* Single outputs, to paths of the working directory. With any of them nothing is written into
     * the folder; with none of them everything is. */
    const char *html, *md, *junit, *metrics;
    const char
        *actions; /* of an exercise: a file of corrective actions (sim/exercise/corrective.h) */
    /* People and hosts under other names, stable for a scenario; everything then goes into the
     * folder's subfolder `anonymous`, so that the originals stay. */
    bool anonymous;
};

struct report_outcome {
    int exit_code;
    const char *verdict; /* the word in result.json: "met", "not_met" … */
    char *sentence;      /* one line */
    char *terminal;      /* table and sentence */
};

/* Writes result.json, report.html, report.md, junit.xml, metrics.prom and plots. Errors: a record
 * that is damaged, whose chain does not hold or that is newer than this program, a scenario.yaml
 * that is not the one that was run, a full disk. An unfinished record (its writer was killed) is no
 * error: status failed. */
int report_write(const struct report_request *q, struct report_outcome *ret, struct err *err);
void report_outcome_done(struct report_outcome *o);

/* The scenario as it was run, from a run's folder; refused when it is not the one whose digest stands in
 * `start`, the first line of its record. `path`: the folder's name, for messages. */
int report_scenario(int dirfd, const char *path, const json_t *start, struct scenario **ret,
                    struct err *err);
