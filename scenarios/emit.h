/* The scenario as it was run, as YAML.
 *
 * Nothing is owned; `out` is the caller's. Includes are resolved and variables put in (vars: holds
 * the values that were used), comments are gone, the order is kept. Secrets stand in it as the
 * references that they were. Loading what was written gives the same model.
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/model/model.h"

void scenario_emit(const struct scenario *s, struct buf *out);
