/* Who works on one thing after another: repairs by a crew, tickets at a desk. So many at a time; the others
 * wait in the order in which they came.
 *
 * Ownership: crew_done() frees. Jobs are numbers of the caller's. Nothing is allocated once the longest
 * line has been seen. Running out of memory ends the program.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crew_line {
    size_t at_a_time, busy;
    size_t *waiting; /* a ring */
    size_t first, n, room;
};

/* at_a_time >= 1 */
#define CREW_LINE(at_a_time_) ((struct crew_line){.at_a_time = (at_a_time_)})

void crew_done(struct crew_line *c);
/* Nobody works, nobody waits. */
void crew_clear(struct crew_line *c);
/* True: work on it begins now. False: it waits. */
bool crew_ask(struct crew_line *c, size_t job);
/* One job is finished. True: work on *ret_next begins now. */
bool crew_finish(struct crew_line *c, size_t *ret_next);
