/* What a caller of a server hears that runs in the same loop: neither may wait for the other. */
#pragma once

#include "sim/loop/loop.h"

/* Turns the loop until `want` has come from fd (or, for NULL, its end); what came stays in `text`, behind
 * what was there. Fails the test when the end comes first. */
void caller_hear(struct loop *loop, int fd, char *text, size_t size, const char *want);
