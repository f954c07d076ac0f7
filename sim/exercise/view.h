/* What one viewer may see: the one JSON document that ever leaves to people who take part.
 *
 * It is made from what has been delivered to the viewer's role, by adding what may be seen; never by
 * removing from everything. A player's view has no text of a step that has not begun, no step of another
 * role's, no notes of evaluators, no expectations. Page, console and projector show this and nothing else.
 *
 * Views of two people of the same role differ in `me` and in the members `mine` and `answered` alone.
 *
 * Ownership: view_new() returns a new reference that shares nothing with the state.
 *
 * Members, in this order (absent: not for this kind of role); *_s are seconds of the exercise clock:
 *
 *  "seq"        of the last line that is in it: a later view has a larger one
 *  "exercise"   {name, title, banner: "EXERCISE - EXERCISE - EXERCISE", state: lobby|running|held|debrief|
 *               ended, held_why?, clock_s, speed, horizon_s,
 *               phase: {n, of, id, title, situation?, date?, entry?, exit?} | null}
 *               (entry and exit: facilitators and evaluators)
 *  "me"         {person, role, title, kind: player|facilitator|evaluator|observer|simulator, duty?, away: bool}
 *  "inbox"      [{id, at_s, from?, to: [role…], channel?, title?, text, attachments: [{name, url}], mine: bool}]
 *               oldest first. url: "attachment/ID/N" (N from 0): view_attachment(). Facilitators, evaluators,
 *               observers: everything that was delivered to anybody
 *  "decisions"  [{id: step, who, question, options: [text…], asked_s, left_s | null, authority?,
 *               reversible: bool, impact?, made: {option, by, role, reason?, at_s, late: bool, default: bool} |
 *               null, mine: bool}]   mine: this viewer may decide. Players: those of their role, and of
 *               others once they are made
 *  "pages"      [{id: step, to: role, person?, text?, at_s, acknowledged: {by, at_s} | null, mine: bool}]
 *  "checklists" [{id: step, name, title, owner, items: [{n, does, owner, left_s | null, checked: {by, at_s} | null,
 *               late: bool, mine: bool}], complete: bool}]    those in which the role owns something
 *  "approvals"  [{id: step, what, by: [role…], people: need, given: [person…], left_s | null, complete: bool,
 *               mine: bool}]
 *  "updates"    [{id: step, from, to: [text…], what?, every_s, n, left_s, mine: bool}]     status updates owed
 *  "absences"   [{role, person?, since_s}]            facilitators, evaluators; others where they were told
 *  "clocks"     [{name, title, regime?, authority?, due_s, left_s, started: bool, met: bool, overdue: bool}]
 *               once started; facilitators and evaluators: all
 *  "promises"   [{service, promise: "rto", target_s, since_s, left_s}]        of services that are down now
 *  "log"        [{id, at_s, what: note|mark|decision|phase|status|…, text, by?, role?}] oldest first: what this
 *               role may know: its own notes, marks and decisions of all players, phases
 *  "debrief"    {questions: [text…], anonymous: bool, answered: bool}    in the debrief and after it
 *  "roles"      [{role, title, kind, people: [person…]}]    who plays: everybody may know
 *  of a functional exercise, as in a drill's war room:
 *  "services"   [{name, state: up|down, target_s?, since_s?, left_s?}]    as the probes see them now
 *  "faults"     [{step, at_s, text}]    in force; facilitators, evaluators, observers
 *  "may"        {abort: bool}           facilitators
 *  facilitators:
 *  "next"       [{step, at_s | null, when?: text, kind, to: [role…], title, text, number, notes?, controller?,
 *               contingency: bool}] in the order of the script; at_s null: waits for something
 *  "skipped"    [step…]
 *  "people"     [{person, role, connected: bool}]
 *  "words"      [word…] that a condition of the script waits for (`branch`)
 *  "answers"    how many have answered the debrief's questions
 *  facilitators and evaluators:
 *  "check"      [{step, number, does, by?, objective?, within_s | null, began_s | null, state: waiting|due|done|
 *               missed|late, at_s | null, rating | null, note?, notes?}]
 *  "objectives" [{id, text, capability?, target?, tasks: [text…], rating | null, note?}]
 *  "notes"      [{id, at_s, what, text, by, role, step?, objective?}]
 */
#pragma once

#include "sim/exercise/command.h"

#define VIEW_BANNER "EXERCISE - EXERCISE - EXERCISE"

/* A new reference; `clock`: of the exercise, now (conduct_clock()). A role that is not of the scenario:
 * NULL. */
json_t *view_new(const struct state *st, const struct viewer *who, nsec clock);

/* For a large screen that anybody in the room may see: exercise, decisions that are open (question and who
 * alone), clocks, promises, roles, and what was told to all players. No `me`. */
json_t *view_new_screen(const struct state *st, nsec clock);

/* Whether a line may have changed what this role sees: for those who send views only then. */
bool view_concerns(const struct state *st, const json_t *event, const char *role);

/* The path, below DIR/files/_scenario, of an attachment if this role may see it; NULL: it may not, or there is none. */
const char *view_attachment(const struct state *st, const char *role, int64_t id, int64_t n);
