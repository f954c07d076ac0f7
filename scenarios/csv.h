/* CSV as RFC 4180 has it: rows of fields, quoted where they hold commas, quotes or ends of lines.
 *
 * Ownership: fields live in the arena that was given.
 */
#pragma once

#include "scenarios/diag.h"
#include "sim/base/buf.h"
#include "sim/base/text.h"

struct csv_row {
    struct strv fields;
    int line; /* of the file, where it begins */
};
struct csv {
    struct csv_row *rows; /* empty lines are left out */
    size_t n;
};

/* A byte order mark is skipped; commas separate, or semicolons where the first row has no comma. -EINVAL: a quote
 * that is not closed, or more than the limits (10,000 rows, 1 MiB in one field); said with its place. */
int csv_read(struct arena *arena, const char *text, size_t n, const char *name, struct diags *diags,
             struct csv *ret);
/* One field, quoted where it must be; the separators are the caller's. What a spreadsheet would take for a
 * formula is written as it is: it comes back unchanged. */
void csv_field(struct buf *out, const char *text);
