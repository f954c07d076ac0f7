/* What a fault has its hands on, told from its undo record: the final comparison takes any difference
 * there for ours, however it looks, and asks whether it is as it should be again. A revert is not
 * believed: nothing here is told by it, everything is looked up afresh.
 *
 * A touch is JSON, so that a warden, or the journal of a dead run, can hold it. Of two kinds:
 *   a line   of the snapshot of a host's network (sim/kernel/snapshot.h): what stands there that was not
 *            there before (`made`), or does not stand there any more (`took`);
 *   a thing  that no snapshot shows or that stands elsewhere: a control group, a container, a unit, a
 *            process, a file. It carries how it should be in the end, and touch_is_back() looks.
 * Hosts of a lab have none of the first kind: they end with the lab.
 *
 * Ownership: functions add to `touches`, an array of the caller's; records are borrowed.
 */
#pragma once

#include "sim/base/err.h"
#include "sim/base/nsec.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Lines that hold each of `words` (printf; separated by blanks, the first is the line's first); "!to"
 * is a word that must not be there, with or without a value. record: {host, netns: identity}; without
 * netns (a lab's) nothing is added. */
void touch_made(json_t *touches, const json_t *record, const char *words, ...)
    __attribute__((format(printf, 3, 4)));
void touch_took(json_t *touches, const json_t *record, const char *words, ...)
    __attribute__((format(printf, 3, 4)));
/* An nf_tables table of ours, with all that is in it. */
void touch_table(json_t *touches, const json_t *record, const char *name);
/* The last one added is others' after all where a line with these words stands in the end that is not
 * ours: what we made they may use by now. */
void touch_unless(json_t *touches, const char *words, ...) __attribute__((format(printf, 2, 3)));
/* It means the last one added no longer than until then (CLOCK_BOOTTIME): by itself it would have gone. */
void touch_until(json_t *touches, nsec until);

/* gone: it must not be there any more (it was ours); else it must not be frozen. */
void touch_cgroup(json_t *touches, bool v1, const char *dir, bool gone);
/* It runs and is not paused; what was removed by others is left at that. record: contained_record(). */
void touch_container(json_t *touches, const json_t *record);
/* It is active. */
void touch_unit(json_t *touches, const char *host, const char *unit);
/* Something of the host runs, when it has commands to start it. entry: {host, attached, start}, of
 * targets_record() and targets_commands(). */
void touch_started(json_t *touches, const json_t *entry);
/* What a process that lives on must not be, in the end. */
enum touch_state {
    TOUCH_ALIVE,   /* it was ours */
    TOUCH_STOPPED, /* by a signal */
    TOUCH_LIMITED, /* may open fewer files than `files` */
};
/* proc: {pid,start}, as this machine sees it. */
void touch_process(json_t *touches, const char *host, const json_t *proc, enum touch_state not_as,
                   int64_t files);
/* A file or folder of ours, which must not be there any more. place: as place_note() notes it. */
void touch_file(json_t *touches, const char *host, const json_t *place, const char *folder,
                const char *name);

/* --- For who compares --- */

/* The host whose network a line is of, and the identity of that; NULL: it is a thing. Borrowed. */
const char *touch_host(const json_t *touch);
const json_t *touch_netns(const json_t *touch);
/* Does it mean this line, which is gone, or else new? */
bool touch_means(const json_t *touch, const char *line, bool gone);
/* Either. */
bool touch_concerns(const json_t *touch, const char *line);
/* How it was before, as a journal kept it: adds to each touch its lines. was: {host: [text…]}, or NULL. */
void touch_remember(json_t *touches, const json_t *was);
const json_t *touch_was(const json_t *touch); /* borrowed; NULL: not kept */
/* Is this line, of others, one for which touch_unless() lets it be? */
bool touch_yields_to(const json_t *touch, const char *line);
/* "link name=eth0": does the line hold these words? */
bool touch_line_has(const char *line, const char *words);
/* Of a thing. 1: it is as it should be, or has gone with those it belongs to; 0: it is not, and
 * the sentence says what; -errno: it could not be looked at. */
int touch_is_back(const json_t *touch, struct err *err);
