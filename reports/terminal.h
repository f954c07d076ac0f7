/* What the terminal shows at the end: a table of at most 80 columns, then the sentence. Plain text
 * without control characters, so it can go into a pipe. */
#pragma once

#include "reports/result.h"
#include "sim/base/buf.h"

void terminal_write(const struct result *r, struct buf *out);

/* Parts of it, for other tables. */
#define TERMINAL_COLUMNS 80
/* Columns that a text takes: characters of UTF-8, each one wide. */
size_t terminal_width(const char *s);
/* Appends at most `room` columns, blanks up to `room` when `pad`; a cut shows as "…". */
void terminal_put(const char *s, size_t room, bool pad, struct buf *out);
/* Words broken into lines of at most 80 columns. */
void terminal_wrap(const char *s, struct buf *out);
