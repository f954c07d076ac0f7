/* The master scenario events list as CSV (RFC 4180, UTF-8): out of a scenario, and into one.
 *
 * Columns: Event, Time, Scenario time, Phase, Title, Description, Type, Delivery, From, To, Controller,
 * Expected action, Expected by, Within, Objective, Capability, Evaluator instructions, Step, Trigger, More.
 * The first row names them; on the way in they may stand in any order, and only Time (or Trigger) and
 * Description (or Expected action) are needed. Trigger and More hold, as YAML, what has no column: nothing is
 * lost on the way out and in again. Phase and Capability are for readers.
 *
 * Nothing is owned; buffers are the caller's.
 */
#pragma once

#include "scenarios/diag.h"
#include "sim/base/buf.h"
#include "sim/model/model.h"

void master_export(const struct scenario *s, struct buf *out);

/* A scenario as YAML whose script is this list. `base` gives everything but the script (roles, objectives,
 * phases …); NULL: an exercise with the roles that most have. Each error has row and column as its place.
 * -EINVAL when there is one. */
int master_import(const char *csv, size_t n, const char *name, const struct scenario *base,
                  struct diags *diags, struct buf *out);
