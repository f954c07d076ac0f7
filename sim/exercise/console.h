/* The facilitator's console: lines of words in, lines of words out. It is command.h and view.h for who has a
 * terminal and nothing else, so a whole exercise can be conducted in a room without any page.
 *
 * Nothing is owned; texts go to the caller's buffer, fit for a terminal (nothing in them steers it).
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/exercise/command.h"

/* One line that was typed: a command, or a question about where things stand. What came of it is added to
 * `out`. Returns 0, or what command_do() returned (its sentence is in `out`, too). */
int console_line(struct conduct *c, const struct viewer *who, const char *line, struct buf *out);

/* What has just happened, in a line or a few; nothing for what is of no interest to a facilitator. */
void console_event(const struct state *st, const json_t *event, struct buf *out);

/* Clock, phase, what is open, and the next few that come. */
void console_now(const struct conduct *c, struct buf *out);

void console_help(struct buf *out);
