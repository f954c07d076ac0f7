/* Conduct: the script on the exercise clock.
 *
 * One loop turn looks what is due (state_next()), makes the line of the record, writes and flushes it,
 * applies it to the state, and only then tells the listeners: nobody has ever seen what is not on disk.
 * What viewers do (command.h) goes the same way. With the loop on a virtual clock an exercise of an hour
 * takes a moment and comes out the same each time.
 *
 *   lobby ──go──> running <──hold/go──> held          (the clock stands still)
 *                    └─ horizon or `end` ─> debrief ── `end` ─> ended      (conduct_is_over())
 *
 * The clock: `clock` = that of the last go + speed × (now − then). Every line carries it beside the
 * record's own t. While it runs on a real clock, a line `pace` {event: tick} is written each ten seconds,
 * so that after a kill -9 at most that much is played again (nothing that was seen is lost: that was
 * written). conduct_resume() goes on from the last line; where nobody answers for the people (no
 * `answers`) it comes back held, with the reason "interrupted".
 *
 * In a functional exercise a machine (machine.h) does what the script does to hosts, and makes the record and
 * ends it. Conduct alone says when: a line `step` {event: begins|ends} first, then the machine is asked. The
 * machine goes on while the clock stands still, so its lines come at any time.
 *
 * Ownership: conduct_new()/conduct_resume() borrow loop and scenario and own record (but a machine's) and
 * state. Listeners are embedded in their owner, who removes them before the memory goes.
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/exercise/machine.h"
#include "sim/exercise/state.h"
#include "sim/loop/loop.h"
#include "sim/record/record.h"

struct conduct;

struct conduct_spec {
    struct loop *loop;
    const struct scenario *scenario;
    int dirfd; /* of the run's folder; borrowed; record.ndjson is made in it */
    json_t
        *run_start; /* members of the first line besides those of conduct's own (speed); stolen */
    double speed;   /* 1 */
    bool on_virtual_clock; /* the loop is: lines are not forced to the disk one by one */
    bool alone; /* answers come from a file: nothing waits for a person (resume is not held,
                             * and a `hold` that no answer ends goes on at once) */
    /* Both or none of them, borrowed; no record is made in dirfd then. The loop is on the real clock, speed 1. */
    const struct machine *machine;
    struct record *record;
};
/* A new record, in the lobby. */
int conduct_new(const struct conduct_spec *spec, struct conduct **ret, struct err *err);
/* Goes on with record.ndjson in spec->dirfd: its lines are applied, a torn last one is cut, a line
 * `trouble` {what: interrupted} is written. -EALREADY: it has ended. spec->run_start is NULL. */
int conduct_resume(const struct conduct_spec *spec, struct conduct **ret, struct err *err);
struct conduct *conduct_free(struct conduct *c);
DEFINE_CLEANUP(struct conduct, conduct_free);

const struct state *conduct_state(const struct conduct *c);
struct loop *conduct_loop(const struct conduct *c);
/* Of the exercise clock, now. */
nsec conduct_clock(const struct conduct *c);
/* When the loop's clock will show this instant of the exercise clock; NSEC_INF while it stands still. */
nsec conduct_when(const struct conduct *c, nsec clock);
void conduct_head(const struct conduct *c, struct record_head *ret);
/* Nothing more is accepted: ended, or being ended by the machine; also when the disk failed: */
bool conduct_is_over(const struct conduct *c);
int conduct_failure(const struct conduct *c, struct err *err); /* 0, or why it stopped */

/* --- Who is told --- */

/* Called after each line was written and applied, in the order in which listeners were added. `event` is
 * borrowed. It may add lines by command_do(): they are told after this one. The last event is run-end. */
typedef void conduct_listen_fn(const json_t *event, void *data);
struct conduct_listener {
    conduct_listen_fn *fn;
    void *data;
    /* private */
    struct conduct_listener *next;
};
void conduct_listen(struct conduct *c, struct conduct_listener *l);
void conduct_unlisten(struct conduct *c,
                      struct conduct_listener *l); /* not added: nothing happens */

/* --- For command.c, answers.c and those that end it --- */

nsec conduct_origin(const struct conduct *c); /* the record's, on the loop's clock */
/* Does what has become due by now, before something else happens at this instant. */
int conduct_catch_up(struct conduct *c, struct err *err);
/* Keeps an anonymous answer to the debrief (ballot.h): the record is told that this person has answered, and
 * what all have answered when the debrief ends. -EALREADY: they have. */
int conduct_answer_anonymously(struct conduct *c, const char *person, const char *role,
                               const char *key, const json_t *answer, struct err *err);

/* Writes, flushes, applies, tells. `members` (stolen) gets `clock`. Then does what has become due. After a
 * failure of the record nothing more is accepted: -EIO and the like, with the sentence. */
int conduct_write(struct conduct *c, const char *kind, json_t *members, struct err *err);
/* Begins a step now, whatever its time (`send`; `key`: the command's, or NULL); -EALREADY: it has begun or was skipped. */
int conduct_send(struct conduct *c, size_t step, const char *by, const char *key, struct err *err);
/* To the end from wherever it stands: the line run-end. `status`: "completed" or "aborted". With a machine
 * that line comes when everything is undone. */
int conduct_end(struct conduct *c, const char *status, const char *reason, struct err *err);
/* For the machine: one line of its own, at an instant of the loop's clock. `members` (stolen) gets `clock`.
 * What becomes due by it is done in the loop's next turn. */
int conduct_machine_line(struct conduct *c, const char *kind, nsec at, json_t *members,
                         struct err *err);
/* NULL: a discussion. */
const struct machine *conduct_machine(const struct conduct *c);
/* Takes away a fault that is in force (`by`, `key`: as of conduct_send()); -EAGAIN: it is not in force. */
int conduct_take_back(struct conduct *c, size_t step, const char *by, const char *key,
                      struct err *err);
