/* Text from scenarios, records and servers, made harmless for where it goes.
 *
 * All append to the caller's buffer. Characters that XML 1.0 forbids become U+FFFD.
 */
#pragma once

#include "sim/base/buf.h"

/* Characters that show nothing of themselves but change how the text around them reads, or break a
 * line where none is seen (C1 controls, marks and overrides of direction, invisible signs), are
 * written out by all: "[U+202E]". */

/* For HTML and XML, in text and in quoted attributes. NULL adds nothing. */
void escape_xml(const char *s, struct buf *out);
/* For Markdown, inside a table too: markup characters are escaped, line breaks become blanks. */
void escape_markdown(const char *s, struct buf *out);
/* The same as a cell of a table: " TEXT |". */
void escape_cell(const char *s, struct buf *out);
/* For a label value of OpenMetrics. */
void escape_label(const char *s, struct buf *out);
/* For a terminal: line breaks and tabs become blanks, other control characters "?". */
void escape_terminal(const char *s, struct buf *out);
