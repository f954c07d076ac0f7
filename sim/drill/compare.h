/* The final comparison: is what was there before there again, and is nothing of ours left?
 *
 * Compared are the networks of this machine and of hosts that others made, the mounts and control groups of
 * these hosts, and of the machine those mounts and groups that bear the run's name. Whose a difference is:
 *   ours     it bears our name, or a fault of this run had its hands on it (injectors/touch.h), however it
 *            looks: new, gone, changed. What a revert says counts for nothing here.
 *   others'  everything else: told, never touched.
 * What no snapshot shows and a fault had its hands on (a process that was stopped, a container that was
 * paused …) is looked at one by one; processes of ours that are left in a host's network are looked for.
 * Processes of others come and go: they are not compared.
 *
 * The same comes after a drill's end, after the warden's work and after `blackstart undo`; the last knows of
 * before what the journal kept: the lines that faults had their hands on.
 *
 * Ownership: compare_new() … compare_free(). The hosts are borrowed.
 */
#pragma once

#include "sim/attach/attach.h"
#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/kernel/snapshot.h"
#include <jansson.h>

/* The places that a run must leave as they were, how they were before, and what it has touched. */
struct compare;

/* Takes them now. `attached` may be NULL. run: its id. */
int compare_new(const struct attached *attached, const char *run, struct compare **ret,
                struct err *err);
struct compare *compare_free(struct compare *c);
DEFINE_CLEANUP(struct compare, compare_free);
/* Without root this machine's network is out of reach: it is not compared. */
void compare_not_here(struct compare *c);

/* What a fault that begins has its hands on (inject_touches()): from now on ours. c NULL: nobody asks. */
void compare_touch(struct compare *c, const json_t *touches);
/* The lines of before that these touches mean, for the journal: {host: [text…]}, a new reference. */
json_t *compare_was(const struct compare *c, const json_t *touches);

/* Adds texts: to `left` what is ours, to `others` what somebody else changed meanwhile. NULL: nothing is
 * compared. What a device takes a moment for after it was set up again, and what goes with a process of
 * ours that was killed, gets that moment. */
void compare_tell(const struct compare *c, json_t *left, json_t *others);
/* Adds texts to `checked`: what compare_tell() looked at. */
void compare_words(const struct compare *c, json_t *checked);
/* The descriptors it needs, at most `max`: for a process that closes all others. */
size_t compare_fds(const struct compare *c, int *ret, size_t max);

/* Addresses of IPv6 are checked for duplicates after their device came up: a second, or two. What goes
 * with a process of ours goes when the kernel has torn that down. So long the comparison has patience. */
#define COMPARE_PATIENCE (4 * NSEC_SEC)
#define COMPARE_AGAIN 100 /* ms */

/* Private to the room: those touches that no snapshot shows, looked at one by one. */
void compare_things(const json_t *touches, json_t *left);
/* Of dead runs that were undone: adds to `left` what is not as it was. touches: of struct journal_undone. */
void compare_undone(const json_t *touches, json_t *left);

/* Adds to `left` every process that still lives in the lab of these ids (lab_ids()). */
void compare_processes(const json_t *ids, json_t *left);
/* SIGKILL to each of them. */
void compare_kill_processes(const json_t *ids);
