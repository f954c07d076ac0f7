/* A container engine that says what it was told to: a process that listens on a unix socket.
 *
 * Ownership: enginefake_start() … enginefake_stop(). It dies with the process that started it. The
 * answers are read at the start.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

enum enginefake_how {
    ENGINEFAKE_WHOLE,
    ENGINEFAKE_CUT,  /* half of it, then the end of the connection */
    ENGINEFAKE_HANG, /* nothing at all */
    ENGINEFAKE_HUGE, /* `body`, then blanks without end */
    ENGINEFAKE_RAW,  /* `body` alone, no head */
};

struct enginefake_reply {
    const char *request; /* "GET /version"; all of it, or up to a '*' at its end */
    int status;
    const char *body;
    enum enginefake_how how;
};

struct enginefake {
    pid_t pid;
    char socket[108];
};

/* Requests that stand in no reply get a 404 that names them. Ends the program on errors. */
struct enginefake enginefake_start(const char *socket, const struct enginefake_reply *replies,
                                   size_t n);
void enginefake_stop(struct enginefake *f);
