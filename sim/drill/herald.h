/* Hooks: tells others of the drill, from a process of its own, so that nothing of it can delay a drill.
 *
 * The process is forked before anything is built. It runs commands and sends requests, as many at once
 * as there are; the runner only drops messages into a socket, and hears how each went. Nothing here can
 * change a verdict. When the runner dies without a farewell, `abort` is told by the process itself.
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
/* The run is over: `status` as in run-end. Told as `end` unless an abort was. */
void herald_over(struct herald *h, const char *status);
bool herald_is_idle(const struct herald *h);  /* all that was told went somehow; of NULL, too */
nsec herald_patience(const struct herald *h); /* the longest that a notice may take */
struct herald *herald_end(struct herald *h);  /* takes NULL, returns NULL; gives up what is out */
DEFINE_CLEANUP(struct herald, herald_end);
