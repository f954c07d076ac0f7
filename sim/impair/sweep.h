/* Lines in a namespace that outlives us: what they will be called, noted before they are armed, so that
 * somebody else can take them away after our death, and nothing of others'.
 *
 * Ownership: notes are json_t by reference, as said.
 */
#pragma once

#include "sim/impair/impair.h"
#include <jansson.h>

/* Of the next `lines` lines of m, of which any may stand on this device. Changes nothing. ret: a new
 * reference. */
int impair_note(const struct impair *m, size_t lines, struct nl *nl, const char *device,
                json_t **ret, struct err *err);
/* Takes away what stands of them: filters with their priorities that were not there before, devices
 * with their names that were not there before, their gates, clsact when there was none before and neither a
 * filter of anybody is left in it nor a line that has yet to be switched on. May be called again. m: its lines that are armed and not retired stay, for
 * the note of one fault covers the lines of those that are armed after it; NULL: it is dead, all go.
 * device NULL: it has gone, and its filters with it; ours to which they led have not.
 * *ret_n: how much was taken away. */
int impair_sweep(const struct impair *m, struct nl *nl, const char *device, const json_t *note,
                 size_t *ret_n, struct err *err);

/* Which of these new lines of a snapshot (sim/kernel/snapshot.h) are ours: those that name a device that
 * is called as ours are, and where a filter leads to one, the place that it stands in. ret[n]. */
void impair_mark(const char *const *lines, size_t n, bool *ret);

/* Private to the room: the number of the next line, and what a line of that number is called. */
#define IMPAIR_TAG_MAX 16
unsigned impair_next(const struct impair *m);
void impair_name(unsigned number, char ret_tag[IMPAIR_TAG_MAX], uint16_t *ret_pref);
/* Has m a line of this priority that is not retired? m may be NULL. */
bool impair_lives(const struct impair *m, uint16_t pref);
/* Has it one on this device, on or off? */
bool impair_stands(const struct impair *m, const struct nl *nl, const char *device);
