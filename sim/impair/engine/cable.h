/* The intake of ENGINE_VETH: a cable in the point's namespace. Private to this folder.
 *
 *   device ─ filter ─ mirred ─▶ TAGa ═══ TAGb ─▶ AF_PACKET socket (then dropped at ingress, by a filter,
 *                                                or where the namespace outlives us by a gate: gate.h)
 *   ingress: AF_PACKET on TAGb, marked ─▶ TAGa ─ filter ─ mirred ingress ─▶ device (mark: not again)
 *
 * The cable is the line's; cable_remove() takes it away with everything at it.
 */
#pragma once

#include "sim/impair/engine/engine_impl.h"

/* Makes the cable and hands its sockets to the process; a recording only gets the messages. */
int cable_arm(struct engine_line *line, const struct engine_spec *spec,
              const struct impairment *what, struct err *err);
/* Only the way back for frames that have to arrive; nothing is taken. */
int cable_for_release(struct engine_line *line, struct err *err);
/* Queues the filter's message. */
void cable_filter(struct engine_line *line, bool on);
int cable_change(struct engine_line *line, const struct impairment *what, struct err *err);
int cable_remove(struct engine_line *line, struct err *err);
int cable_count(struct engine_line *line, struct impair_counts *ret, struct err *err);
