/* The warden: a process beside the runner that undoes when the runner dies, hangs or goes silent.
 *
 * Ownership: warden_start() forks it; the runner's side is `struct warden`, ended by warden_end()
 * (the warden leaves without a word) or warden_free() in a failing runner (the warden then does its
 * work).
 *
 * What the warden does when the socket closes without a farewell, or when no beat came within the
 * deadline (CLOCK_BOOTTIME: a suspend counts): it kills the runner by pidfd and waits for its end,
 * so that two never write at once; waits until every process of the lab is gone (the inits end with
 * the runner by PDEATHSIG), killing by pidfd what is left; reverts what the journal keeps;
 * compares; then continues the record: `undo`, `clean`, `run-end` by "warden". Then calls `after`,
 * and ends.
 *
 * It ignores SIGINT, SIGTERM and SIGHUP and stands in a session of its own.
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/base/nsec.h"
#include "sim/drill/compare.h"
#include <jansson.h>
#include <sys/types.h>

struct warden_spec {
    int dirfd;          /* of the run's folder */
    const char *record; /* name of the record in it */
    const char *journal_folder;
    const char *run;           /* its id: whose entries in there are this run's; NULL: none */
    nsec origin;               /* the record's */
    nsec deadline;             /* without a beat */
    nsec patience;             /* of the runner, for the warden's answer */
    struct compare *before;    /* the places before the run; NULL: none is compared */
    void (*after)(void *data); /* runs in the warden when all is undone: the reports */
    void *data;
};

struct warden;

int warden_start(const struct warden_spec *spec, struct warden **ret, struct err *err);
pid_t warden_pid(const struct warden *w);
/* Readable (end of file) when the warden has gone. */
int warden_fd(const struct warden *w);

/* What it is told comes over whole, however long, or not at all: -EPIPE when the warden has gone,
 * -ETIMEDOUT when it did not take it (or answer) within the spec's patience. After such a failure
 * every call fails: the drill is not protected any more, and must stop. A NULL warden (tests of
 * other parts) hears nothing. */

/* Why it must be taken for lost: a sentence (borrowed); NULL: it is not. */
const char *warden_lost(const struct warden *w);
/* Never waits; one that finds no room is left out. */
void warden_beat(struct warden *w);
/* The runner is about to be busy for that long: the deadline is put off by it, once. */
int warden_busy(struct warden *w, nsec how_long, struct err *err);
/* The lab that stands, as lab_ids() tells it (borrowed); NULL: it has gone. 0: the warden has
 * answered that it heard. */
int warden_lab(struct warden *w, json_t *ids, struct err *err);
/* A fault comes into force, or was undone, in words: what the warden writes into the record. 0: the
 * warden has answered that it heard; nothing may be injected before. */
int warden_fault(struct warden *w, int64_t trial, const char *step, const char *text, bool in_force,
                 struct err *err);

/* What a fault that begins has its hands on (compare_touch()), before it begins. The same. */
int warden_touch(struct warden *w, const json_t *touches, struct err *err);

/* Everything was undone by the runner: the warden leaves; a lost one is killed. */
struct warden *warden_end(struct warden *w);
struct warden *warden_free(struct warden *w);
DEFINE_CLEANUP(struct warden, warden_free);
