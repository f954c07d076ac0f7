/* Answers that play for the people: a file that somebody wrote, or the record of an exercise.
 *
 * A written file is YAML: `answers:` is a list of commands (command.h) with who gives them and when:
 *
 *   answers:
 *     - {at: 3m, role: incident-commander, person: alice, do: decide, step: failover, option: move}
 *     - {after: 90s, role: evaluator, do: done, step: declare}       # so long after the step began
 *     - {after: 5s, since: declare, role: director, do: end}         # of a command that names no step
 *
 * `at` is of the exercise clock; without `at` and `after` it is `after: 0s` of its step. Without `person` the
 * role's first one, else the role's name. `debrief`, and whatever is left when the play is over, is given
 * then, in the order of the file.
 *
 * Everybody named joins, a facilitator says go, a hold goes on at once, and after the last answer the
 * exercise ends as completed. An answer that is refused is a line `trouble` {what: answer-refused}; each has
 * the key "answer-N", so that an exercise that was interrupted goes on with the next one.
 *
 * Ownership: answers_free() frees; the scenario and the conduct are borrowed and live longer.
 */
#pragma once

#include "scenarios/diag.h"
#include "sim/exercise/command.h"

struct answers;

/* `path`: the YAML file, a record.ndjson, or the folder of a run. -EINVAL: what is wrong stands in `diags`
 * (or, for a record, in err). */
int answers_load(const char *path, const struct scenario *s, struct diags *diags,
                 struct answers **ret, struct err *err);
/* The same from memory; `name` stands for the file in messages. */
int answers_load_text(const char *text, size_t n, const char *name, const struct scenario *s,
                      struct diags *diags, struct answers **ret, struct err *err);
struct answers *answers_free(struct answers *a);
DEFINE_CLEANUP(struct answers, answers_free);

/* From now on they are given on the loop of `c` (conduct_spec.alone), until the exercise has ended. */
int answers_play(struct answers *a, struct conduct *c, struct err *err);
/* Before the conduct goes, where that is sooner than answers_free(). */
void answers_leave(struct answers *a);
size_t answers_n(const struct answers *a);
size_t answers_refused(const struct answers *a);
