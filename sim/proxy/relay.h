/* Two connections and what goes between them: back pressure, half-closed ends, resets as resets. Private
 * to this room.
 *
 * Ownership: relay_new() takes the client's descriptor; a relay frees itself when both ends have ended
 * or one of them failed. Callbacks may end it; the memory goes when the outermost of them has returned.
 * Whoever touches one from elsewhere (a timer) does so between relay_enter() and relay_leave().
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/proxy/inside.h"

enum relay_end { RELAY_CLIENT, RELAY_SERVER };

struct relay;
struct relay_ops {
    /* Something came from one end; it is given on by relay_push(). NULL: given on as it is. */
    void (*data)(struct relay *r, enum relay_end from, const char *p, size_t n);
    /* Nothing more comes from it; NULL: relay_finish() to the other end. */
    void (*end)(struct relay *r, enum relay_end from);
    /* While r->opening: whatever happened at either end. Sets `want` of both, or opening to false. */
    void (*open)(struct relay *r);
    void (*free)(struct relay *r);
};

/* Another way to read and write than that of sockets; returns like them, but -errno. */
struct relay_wire {
    ssize_t (*read)(void *wire, void *p, size_t n);
    ssize_t (*write)(void *wire, const void *p, size_t n);
    void (*finish)(void *wire);
};

struct relay_side {
    struct relay *relay;
    int fd; /* -1: there is none (a request of our own needs no server) */
    const struct relay_wire *wire;
    void *wire_data;
    struct loop_io io;
    struct buf out;
    size_t sent;              /* of out */
    uint32_t want;            /* while opening */
    bool connecting, eof;     /* eof: nothing more comes */
    bool held;                /* not read for now */
    bool finishing, finished; /* nothing more goes there */
};

struct relay {
    struct inside *in;
    struct relay_side side[2];
    const struct relay_ops *ops;
    void *state;
    bool own, opening, dead;
    unsigned depth;
};

/* Connects to `target` (NULL: no server). NULL: the client was closed. */
struct relay *relay_new(struct inside *in, int client, const struct sockaddr_storage *target,
                        bool own, const struct relay_ops *ops, void *state);
void relay_enter(struct relay *r);
void relay_leave(struct relay *r);
/* Between those: */
void relay_push(struct relay *r, enum relay_end to, const char *p, size_t n);
void relay_finish(struct relay *r, enum relay_end to); /* after what is on its way */
void relay_hold(struct relay *r, enum relay_end from, bool held);
void relay_reset(struct relay *r); /* both ends, now: RST */
void relay_close(struct relay *r); /* both ends, now */
