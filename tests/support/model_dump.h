/* A decoded scenario as text, by the tables it was decoded with: to compare two of them.
 * Nothing is owned; `out` is the caller's.
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/model/field.h"

void model_dump(const struct record *r, const void *obj, struct buf *out);
