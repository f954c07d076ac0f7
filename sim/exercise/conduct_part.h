/* What the files of conduct share; not for others. */
#pragma once

#include "sim/exercise/conduct.h"

struct conduct {
    struct loop *loop;
    const struct scenario *scenario;
    const struct machine *machine; /* NULL: nothing is done to hosts */
    struct record *record;         /* the machine's, if there is one */
    struct state *state;
    int dirfd; /* own: of the run's folder */
    bool alone, virtual;
    bool ending;               /* the machine undoes, compares, and writes the last line */
    nsec anchor, anchor_clock; /* the loop's clock and the exercise's when it last began to go */
    struct loop_timer due, tick;
    struct conduct_listener *listeners, *next; /* next: whom tell() comes to after this one */
    json_t *untold;
    bool telling, advancing;
    struct err failure;
};

/* One line: written, flushed, applied, told; nothing that becomes due by it is done. `members`: stolen. */
int conduct_put(struct conduct *c, const char *kind, json_t *members, struct err *err);
/* The line of what is due. */
int conduct_do_due(struct conduct *c, const struct due *due, struct err *err);
/* The line by which a fault in force ends, and the machine is asked; by: as below. */
int conduct_end_step(struct conduct *c, size_t step, const char *cause, const char *by,
                     const char *key, struct err *err);
/* The line with which a step begins; `by`: the facilitator who sent it, NULL: the script. */
int conduct_begin_step(struct conduct *c, size_t step, const char *by, const char *key,
                       struct err *err);
/* The texts of the box into the record, before it ends; where there is none nothing happens. */
int conduct_open_ballot(struct conduct *c, struct err *err);
/* After a death: that somebody answered, where the box knows it and the record does not. */
int conduct_resume_ballot(struct conduct *c, struct err *err);
