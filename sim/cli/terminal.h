/* The facilitator's terminal: lines that are typed go to the console of an exercise, what happens comes out.
 *
 * Ownership: terminal_open() borrows loop and conduct; terminal_close() frees, before they go.
 */
#pragma once

#include "sim/exercise/conduct.h"

struct terminal;

/* Joins as the facilitator, says where things stand and listens to stdin. When stdin ends, the loop is stopped
 * (`alone`), or the exercise goes on without a terminal. */
int terminal_open(struct conduct *c, bool alone, struct terminal **ret, struct err *err);
struct terminal *terminal_close(struct terminal *t); /* takes NULL, returns NULL */
