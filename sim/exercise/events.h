/* The master scenario events list: every step of people in the order of its time, as people read it.
 *
 * Ownership: new references and buffers of the caller's; the scenario is borrowed.
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/base/err.h"
#include "sim/model/model.h"
#include <jansson.h>

/* [{number, step, at_s | null, kind, title, to: [role…], from?, channel?, text, expect?, by?, within_s | null,
 * objective?, controller?, notes?, date?, phase?, machine?: true}] (machine: done to hosts), by the times of a plan (step_planned()); those that wait for
 * what may not happen stand last. */
json_t *events_new(const struct scenario *s);
/* {name, title, mode: "exercise" | "functional", horizon_s, phases: [{id, title, at_s | null, lasts_s | null}], events,
 * sums: {phases_s, asked_s: {ROLE: seconds}, events, decisions, players}}: what `blackstart plan` prints. */
json_t *events_new_plan(const struct scenario *s);
void events_plan_text(const json_t *plan, struct buf *out);

/* As CSV (RFC 4180, UTF-8) with the columns that planners use; the last two hold what has no column there, so
 * that nothing is lost. */
void events_csv(const struct scenario *s, struct buf *out);
