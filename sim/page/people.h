/* Who has come in, and who waits at the door.
 *
 * A person is a name in a role; several clients of theirs are the same person. Numbers are bounded:
 * what does not fit is refused, never grown. No I/O; times are passed in.
 */
#pragma once

#include "sim/base/nsec.h"
#include "sim/page/door.h"
#include <stdbool.h>
#include <stddef.h>

#define PEOPLE_MAX 1024
#define PEOPLE_WAITING_MAX 64
#define PEOPLE_IDS 64    /* commands of a person that are remembered */
#define PEOPLE_ID_MAX 41 /* bytes of a command's id, with the NUL */
#define PEOPLE_STREAMS 4 /* clients of a person */

struct person {
    struct door_person who;
    const void *seat; /* the page's */
    size_t streams;
    bool left;    /* by their own will, or for another role */
    bool away;    /* said so */
    nsec gone;    /* when the last client went; 0 while there is one, or none ever was */
    nsec full_at; /* bucket of commands: when it is empty again */
    char ids[PEOPLE_IDS][PEOPLE_ID_MAX];
    size_t n_ids; /* ever */
    struct person *next;
};

enum waiting_state { WAITING_FREE, WAITING_ASKED, WAITING_ADMITTED, WAITING_REFUSED };
struct waiting {
    enum waiting_state state;
    char id[33]; /* 128 random bits: who knows it is who asked */
    struct door_person who;
    nsec seen; /* when they asked last */
};

struct people {
    struct person *first;
    size_t n;
    struct waiting waiting[PEOPLE_WAITING_MAX];
};

void people_done(struct people *all);
/* The person of this name in this role, made on their first request; NULL: there are too many. */
struct person *people_get(struct people *all, const struct door_person *who);
/* Takes one command of `id`: false when it has been used, or too many came (20 a second, 40 at
 * once); *ret_why says which, for people. */
bool people_may_act(struct person *p, const char *id, nsec now, const char **ret_why);

/* A new entry of the waiting room, NULL: full. Those that were not seen for 30 s make room. */
struct waiting *people_wait(struct people *all, const struct door_person *who, nsec now);
struct waiting *people_waiting(struct people *all, const char *id); /* NULL: none */
