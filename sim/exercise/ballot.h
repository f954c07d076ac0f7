/* The box of an anonymous debrief: who has answered, and what was answered, kept apart.
 *
 * A file beside the record, replaced as a whole with each answer, so that it holds both or neither whenever
 * blackstart is killed. Names and answers stand in it in alphabetical order each: no order, no time and no
 * number says whose answer is whose. The record is told at once who has answered, and what was answered in
 * one line, in alphabetical order, when the debrief is closed; then the file goes.
 *
 * What this cannot hide: whose the answer is in a box with one name, and what came with which name from
 * somebody who copies the file after each change.
 */
#pragma once

#include "sim/base/err.h"
#include <jansson.h>

#define BALLOT_FILE "debrief.json"

/* {"people": {NAME: key or null…}, "answers": [[text or null…]…]}, a new reference; without a file: both
 * empty. -EBADMSG: it is not one of ours. */
int ballot_read(int dirfd, json_t **ret, struct err *err);
/* Puts in an answer (a list of texts or nulls), and that this person has given one; `key`: of the command, or
 * NULL. -EALREADY: they have. */
int ballot_put(int dirfd, const char *person, const char *key, const json_t *answer,
               struct err *err);
/* Takes the file away; that there is none is no error. */
int ballot_remove(int dirfd, struct err *err);
