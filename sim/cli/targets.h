/* Targets besides the lab, on the command line: what they are, and the operator's yes. */
#pragma once

#include "sim/attach/attach.h"
#include "sim/cli/command.h"

/* Opens the hosts that others made. Where a step touches one, `yes` must be given, or be said when
 * asked on a terminal; then they are locked. `seed`: of the run. 0, or the exit code after the sentence.
 * *ret: the caller frees, also then (may be NULL). */
int targets_agreed(const struct command *self, const struct scenario *s, uint64_t seed, bool yes,
                   struct attached **ret);
/* 0, or EXIT_CANNOT_RUN after every step that a guard rail forbids was said; after exempt_find(). */
int targets_guarded(const struct scenario *s, const struct attached *a);
/* For plan: [{host, texts}] of each; a new reference. */
int targets_describe(const struct scenario *s, const struct attached *a, json_t **ret,
                     struct err *err);
