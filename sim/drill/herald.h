/* Hooks: tells others of the drill, from a process of its own, so that nothing of it can delay a drill.
 *
 * The process is forked before anything is built. It runs commands and sends requests, as many at once
 * as there are; the runner only drops messages into a socket, and hears how each went. Nothing here can
 * change a verdict. When the runner dies without a farewell, the process itself tells it: as `abort`
 * while the drill runs, as an `end` without a verdict once everything was undone.
 *
 * The verdict is computed from a record that is finished, by others than the drill. So `end` is told
 * last, by whoever has the verdict: the drill parts with the herald (herald_part()), the caller of
 * drill_run() concludes (herald_conclude()).
 *
 * Ownership: herald_start() … herald_end().
 */
#pragma once

#include "sim/loop/loop.h"
#include "sim/model/model.h"

#include <jansson.h>

struct herald;

struct herald_spec {
    const struct scenario *scenario;
    int source_dirfd; /* where commands run, and what {file: PATH} is relative to */
    const char *id, *operator_name;
    /* {on, what, target, ok, took_ns, detail?, trial?}: how a notice went (borrowed). */
    void (*went)(const json_t *notice, void *data);
    void *data;
};

/* Without hooks in the scenario: *ret = NULL and 0. A secret that cannot be had is an error here, before
 * anything was done. */
int herald_start(const struct herald_spec *spec, struct loop *loop, struct herald **ret,
                 struct err *err);
/* A line of the record as it was written: run-start, inject, undo and stop are told. NULL: nothing. */
void herald_event(struct herald *h, const char *kind, const json_t *event);
/* The run is over, everything undone, its record finished; `status` as in run-end. It needs the loop no
 * more, and `went` is not called any more. Only the first call counts; takes NULL. */
void herald_part(struct herald *h, const char *status);
/* After herald_part(): tells `end` with what is known by now ({verdict, exit_code, …}: texts by name,
 * borrowed) unless an abort was told, and waits until that went somehow: not longer than each
 * notice may take, and not once SIGINT, SIGTERM or SIGHUP, which the caller has blocked, is pending.
 * How they went, as in `went`: a new reference. NULL: []. */
json_t *herald_conclude(struct herald *h, const json_t *known);
bool herald_is_idle(const struct herald *h);  /* all that was told went somehow; of NULL, too */
nsec herald_patience(const struct herald *h); /* the longest that a notice may take */
struct herald *herald_end(struct herald *h);  /* takes NULL, returns NULL; gives up what is out */
DEFINE_CLEANUP(struct herald, herald_end);
