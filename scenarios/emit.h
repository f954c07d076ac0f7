/* The scenario as it was run, as YAML.
 *
 * Nothing is owned; `out` is the caller's. Includes are resolved and variables put in (vars: holds
 * the values that were used), comments are gone, the order is kept. Secrets stand in it as the
 * references that they were. Loading what was written gives the same model.
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/model/model.h"

struct entry;

/* A text as a scalar: plain where that reads back as the same, else quoted. */
void emit_text(const char *text, struct buf *out);
/* "key: value" on one line, lists and mappings in brackets. */
void emit_flow_entry(const struct entry *e, struct buf *out);
/* Everything but one key. */
void emit_but(const struct scenario *s, const char *key, struct buf *out);
void scenario_emit(const struct scenario *s, struct buf *out);
