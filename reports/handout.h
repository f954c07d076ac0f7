/* Materials before the day, from the scenario alone: for those who plan and lead, for evaluators, for players.
 *
 *   situation-manual       scope, objectives, agenda, the phases with what to talk about: given out phase by phase
 *   facilitator-handbook   every event with its text, what is expected, notes, what comes of decisions
 *   evaluator-handbook     a sheet for each objective: targets, tasks, expected actions, blanks for ratings
 *   player-sheet           what players may know before: who plays, when and where, the rules. Nothing that the
 *                          script, the phases, the objectives or the summary say stands in it
 *
 * Each is written as NAME.md and NAME.html. Times are of the exercise clock, if all goes as the script has it.
 */
#pragma once

#include "reports/document.h"
#include "sim/base/err.h"
#include "sim/model/model.h"

enum handout { HANDOUT_SITUATION, HANDOUT_FACILITATOR, HANDOUT_EVALUATOR, HANDOUT_PLAYER };
#define HANDOUTS 4
extern const char *const handout_names[]; /* of the files, without what they end with */

void handout_compose(const struct scenario *s, enum handout which, enum document_form form,
                     struct buf *out);
/* All of them, into a folder; what is there under their names is replaced. */
int handout_write(const struct scenario *s, int dirfd, struct err *err);
