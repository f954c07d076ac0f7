/* What the terminal shows at the end: a table of at most 80 columns, then the sentence. Plain text
 * without control characters, so it can go into a pipe. */
#pragma once

#include "reports/result.h"
#include "sim/base/buf.h"

void terminal_write(const struct result *r, struct buf *out);
