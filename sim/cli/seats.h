/* Those who take part in an exercise, around its conduct: the page, the facilitator's terminal, or answers.
 *
 * Ownership: everything is borrowed and lives longer; seats_leave() before the conduct goes.
 */
#pragma once

#include "sim/cli/args.h"
#include "sim/cli/terminal.h"
#include "sim/exercise/answers.h"
#include "sim/exercise/web.h"

struct seats {
    const struct args *args; /* --listen, --certificate, --key, --verbose */
    struct answers *answers; /* NULL: people */
    int dirfd;               /* the run's folder */
    /* private */
    struct conduct *conduct;
    struct terminal *terminal;
    struct web *web;
    struct conduct_listener listener;
};

/* Shows events (--verbose) and ends the loop with the exercise. */
void seats_watch(struct seats *s, struct conduct *c);
/* Answers begin to play; else the page listens and the terminal asks. */
int seats_take(struct seats *s, struct err *err);
/* Those who are connected get the last view. */
void seats_linger(struct seats *s);
void seats_leave(struct seats *s);
