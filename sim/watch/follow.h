/* Follows a growing text file by its path, line by line, through rotation, truncation and creation.
 *
 * Ownership: follow_new() … follow_free(). No clock and no loop in here: the caller looks as often
 * as he wants to know, and what a look finds was written since the one before.
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/nsec.h"
#include <stdbool.h>
#include <stddef.h>

struct follow;
/* `line` without its newline, not NUL-terminated; its end was written after `since`, and before
 * now. */
typedef void follow_fn(const char *line, size_t n, nsec since, void *data);

/* What stands in the file now is passed over; a file that comes later is read from its start. */
struct follow *follow_new(const char *path, nsec now, follow_fn *fn, void *data);
struct follow *follow_free(struct follow *f); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct follow, follow_free);
/* `now`: from before this call. False when the path cannot be looked at for another reason than
 * absence; errno. */
bool follow_look(struct follow *f, nsec now);
