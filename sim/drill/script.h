/* The script of one trial: when each step is due, what is in force, and how it is undone.
 *
 *   waiting ──due──▶ applying ──▶ in force ──for/until/end/abort──▶ undone
 *      │                 │            (steps that last)
 *      │                 └─▶ done     (steps that do not)
 *      └─ condition ─ after ─▶ due
 *
 * What outlives us (a change in a host that others made) is prepared for all steps when the trial is
 * armed, and its undo records are synced, so that nothing delays an injection; a line in the journal
 * says that it begins.
 *
 * Invariants: the undo record of a step is with the warden (or, when it outlives us, on disk)
 * before apply is called; a step is undone at most once; steps are undone in the reverse order of
 * their beginning.
 *
 * Ownership: script_new() … script_free() (which undoes nothing: call script_undo_all() first).
 */
#pragma once

#include "sim/drill/core.h"
#include "sim/lab/lab.h"

struct script;

struct script_handlers {
    /* The trial can show nothing any more (the target has gone, the fault did not bite, or was gone
     * before it was undone: then this comes in the midst of script_undo_all(), too). */
    void (*spoilt)(const char *reason, void *data);
    /* Something was changed or undone: namespaces may be new. */
    void (*changed)(void *data);
    void *data;
};

struct script *script_new(struct core *c, struct lab *lab, int64_t trial,
                          const struct script_handlers *handlers);
struct script *script_free(struct script *s);
DEFINE_CLEANUP(struct script, script_free);

/* Before the clock starts: what outlives us is prepared, and how to undo it stands on the disk. Changes
 * nothing. -ESRCH: a target has gone; any other failure: nothing may be injected in this run. */
int script_arm(struct script *s, struct err *err);
/* The clock of the script starts. `by_hand`: others keep it (a functional exercise): nothing begins or ends
 * by its time or its condition, but by script_begin() and script_end(). */
void script_go(struct script *s, nsec zero, bool by_hand);
/* By the step's index in the scenario: begins it; takes it away, if it is in force. */
void script_begin(struct script *s, size_t step);
void script_end(struct script *s, size_t step, const char *cause);
/* Facts for `when` and `until`. */
void script_alarm(struct script *s, const char *alarm);
void script_probe(struct script *s, const char *probe, bool down);
void script_operator(struct script *s, const char *word);
/* No further step begins. */
void script_halt(struct script *s);
/* True when every step that has a time of its own has begun. */
bool script_begun(const struct script *s);
/* Undoes what is in force, last first; `cause` as in record.h. Returns how many could not be. */
size_t script_undo_all(struct script *s, const char *cause);
/* [{step, action, targets}] in force now: a new reference. */
json_t *script_in_force(const struct script *s);
