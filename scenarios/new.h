/* The first scenario, commented, that `blackstart new` writes.
 *
 * Nothing is owned; `out` is the caller's. It passes `check` and runs in a lab, without root where
 * the host allows it.
 */
#pragma once

#include "sim/base/buf.h"

void new_make(struct buf *out);
