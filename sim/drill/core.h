/* What every part of a running drill shares: the loop, the record, the warden. Private to this
 * room.
 *
 * Ownership: everything is borrowed from drill_run().
 */
#pragma once

#include "injectors/journal.h"
#include "sim/drill/drill.h"
#include "sim/drill/herald.h"
#include "sim/drill/warden.h"
#include "sim/loop/loop.h"
#include "sim/record/record.h"

struct core {
    const struct drill_options *o;
    struct loop *loop;
    struct record *record;
    struct warden *warden;
    struct journal *journal;
    struct herald *herald; /* NULL: nobody is told */
    /* The drill must end: the first reason counts. Words of record.h's `stop`. */
    void (*stop)(struct core *c, const char *reason, const char *detail);
    bool failed; /* blackstart itself: the record cannot be written */
    struct err failure;
};

/* Writes a line (event is stolen; trial 0: not about one) and tells the handlers. A record that
 * cannot be written stops the drill: nothing may happen that is not written down. */
void core_event(struct core *c, const char *kind, nsec at, int64_t trial, json_t *event);
/* The same, at loop_fresh(). */
void core_note(struct core *c, const char *kind, int64_t trial, json_t *event);
/* Stops the drill when the warden is lost. */
void core_mind_warden(struct core *c);
json_t *core_span(const struct core *c, struct span s);
