/* The final comparison: is what was there before there again, and is nothing of ours left?
 *
 * Ownership: compare_new() … compare_free(). The hosts are borrowed.
 */
#pragma once

#include "sim/attach/attach.h"
#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/kernel/snapshot.h"
#include <jansson.h>

/* The networks that a run must leave as they were, and how they were before: this machine's, and those
 * of hosts that others made. */
struct compare;

/* Takes them now. `attached` may be NULL. */
int compare_new(const struct attached *attached, struct compare **ret, struct err *err);
struct compare *compare_free(struct compare *c);
DEFINE_CLEANUP(struct compare, compare_free);
/* Without root this machine's network is out of reach: it is not compared. */
void compare_not_here(struct compare *c);

/* Adds texts: to `left` what bears our name, to `others` what somebody else changed meanwhile
 * (told, never touched). NULL: nothing is compared. What a device takes a moment for after it was set
 * up again, and what goes with a process of ours that was killed, gets that moment. */
void compare_network(const struct compare *c, json_t *left, json_t *others);
/* Adds texts to `checked`: what compare_network() looked at. */
void compare_network_words(const struct compare *c, json_t *checked);
/* The descriptors it needs, at most `max`: for a process that closes all others. */
size_t compare_fds(const struct compare *c, int *ret, size_t max);

/* Adds to `left` every process that still lives in the lab of these ids (lab_ids()). */
void compare_processes(const json_t *ids, json_t *left);
/* SIGKILL to each of them. */
void compare_kill_processes(const json_t *ids);
