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
/* "NAME: TITLE" and at the right end of the line what it is; then an empty line. */
void terminal_headline(const char *name, const char *title, const char *right, struct buf *out);
/* So many findings that are more than notes; nothing for 0. */
void terminal_findings(size_t n, struct buf *out);

enum { TERMINAL_CELLS = 8 };
/* A table: each column as wide as its widest cell, but the first at most `first`, and `gives` (0: none) as much
 * less as it takes to stay within TERMINAL_COLUMNS. */
struct terminal_table {
    size_t columns, rows; /* at most TERMINAL_CELLS; rows without the heads */
    const char *const *heads;
    unsigned numbers; /* a bit for each column that stands at the right */
    size_t first, gives;
    void (*fill)(const void *data, size_t row, struct buf *cells); /* appends to the row's cells */
    const void *data;
};
void terminal_table(const struct terminal_table *t, struct buf *out);
/* Words broken into lines of at most 80 columns. */
void terminal_wrap(const char *s, struct buf *out);
