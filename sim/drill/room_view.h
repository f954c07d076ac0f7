/* What the war room shows, made of the lines that the runner sends. Private to this room.
 *
 * The view of a drill (page.h's "view"; *_s are seconds):
 *  "drill"     {name, title, state: running|ended, words, clock_s (of the run), trial, trials}
 *  "me"        {person, role, kind: operator|player|observer}
 *  "services"  [{name, state: up|down, since_s?, target_s?, left_s?}]
 *  "faults"    [{step, at_s, text}]        in force
 *  "alarms"    [{name, at_s, on, times, text}]    of this trial, since their first onset
 *  "log"       [{id, at_s, text, by?}]     milestones and marks, the newest 200
 *  "marks"     [word…]                     that this person may stamp
 *  "may"       {abort: bool}
 *  "result"    {sentence, verdict} | null
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/base/nsec.h"
#include "sim/page/page.h"
#include <jansson.h>

struct room_state;
struct room_state *room_state_new(const char *name, const char *title);
struct room_state *room_state_free(struct room_state *s);
/* Takes a line {"kind", "event"} or {"tick"} or {"end"}; true when what is shown has changed by more than
 * the time that passes. */
bool room_state_apply(struct room_state *s, const json_t *line, nsec now);
void room_state_view(const struct room_state *s, const struct page_person *who, nsec now,
                     struct buf *out);
