/* The final comparison: is what was there before there again, and is nothing of ours left? */
#pragma once

#include "sim/kernel/snapshot.h"
#include <jansson.h>

/* Adds texts: to `left` what bears our name, to `others` what somebody else changed meanwhile
 * (told, never touched). `before` NULL: it was not taken, and nothing is compared. */
void compare_network(const struct snapshot *before, json_t *left, json_t *others);
/* Adds to `left` every process that still lives in the lab of these ids (lab_ids()). */
void compare_processes(const json_t *ids, json_t *left);
/* SIGKILL to each of them. */
void compare_kill_processes(const json_t *ids);
/* What compare_network() looked at, in words. */
const char *compare_network_words(const struct snapshot *before);
