/* Between the runner and the engine's process: one request, one reply, over a SOCK_SEQPACKET pair;
 * descriptors come along (SCM_RIGHTS). Both ends are the same program, forked, so structures travel
 * as they are; pointers in them mean nothing.
 */
#pragma once

#include "sim/impair/impair.h"

#define WIRE_LINES 1024 /* ids of lines are below */
#define WIRE_FDS 2

enum wire_op {
    WIRE_LINE,        /* id, what; fds: release, and with ENGINE_VETH capture */
    WIRE_TAP,         /* id (of TAPs); fds: the TAP; frames begin with a struct line_stamp */
    WIRE_UNTAP,       /* id; answered when its device is gone */
    WIRE_UNTAP_LATER, /* id; answered at once */
    WIRE_CHANGE,      /* id, what */
    WIRE_REMOVE, /* id: frames that are held are lost; its descriptors are closed some time later */
    WIRE_COUNT,  /* id */
};

struct wire_request {
    enum wire_op op;
    uint32_t id;
    uint64_t seed;
    struct impairment what; /* tables follow: n_table, then n_slot_table values */
    uint32_t n_table, n_slot_table;
};
#define WIRE_REQUEST_MAX (sizeof(struct wire_request) + 2 * IMPAIR_TABLE_MAX * sizeof(int16_t))

struct wire_reply {
    int code; /* 0 or a positive errno, then with text */
    char text[256];
    struct impair_counts counts; /* WIRE_COUNT */
};
