/* What the parts of the engine on the runner's side share. Private to this folder. */
#pragma once

#include "sim/impair/engine/engine.h"
#include "sim/impair/engine/wire.h"

struct tap;
struct tap_planned;
struct tap_line;

struct engine {
    struct loop *loop;
    enum engine_intake asked, intake; /* intake: ANY until the first line */
    void (*died)(const char *reason, void *data);
    void *data;
    pid_t pid; /* 0: does not run */
    int pidfd, control;
    struct loop_io hangup, exit; /* of the control socket; of the process */
    bool lost;                   /* it ran, and died */
    bool sleeps;                 /* and never spins */
    struct engine_line *lines[WIRE_LINES];
    uint64_t *lease;             /* the process's, see keeper.h; NULL before it runs */
    bool lease_own;              /* mapped for it alone; else in the eBPF program's map */
    struct loop_timer look;      /* at the lease */
    uint64_t seen;               /* the lease, when it was looked at last */
    unsigned still;              /* so often in a row it had not been put off */
    struct tap *tap;             /* NULL: not ENGINE_TAP */
    struct tap_planned *planned; /* recordings: tap_plan.c */
};

struct engine_line {
    struct engine *engine;
    uint32_t id;
    struct nl *nl;
    char *device;
    bool ingress, on, recording;
    uint16_t pref;
    char tag[16];
    bool known;    /* to the engine's process */
    bool no_hurry; /* engine_no_hurry() */
    /* ENGINE_VETH */
    char outer[16], inner[16]; /* "": no cable yet */
    struct sock_filter *ops;
    size_t n_ops;
    bool cuts;     /* large frames are cut */
    bool must_cut; /* whatever is asked for: the device does not take them */
    bool outlives; /* the namespace outlives us */
    bool gated;    /* by gate.h */
    /* ENGINE_TAP */
    struct tap_line *tap; /* NULL: ENGINE_VETH */
    bool planned;         /* a recording of ENGINE_TAP */
};

/* One request; what: for those that carry it, else NULL. reply may be NULL. -EPIPE: it is gone. */
int engine_ask(struct engine *e, enum wire_op op, uint32_t id, const struct impairment *what,
               const int *fds, size_t n_fds, struct wire_reply *reply, struct err *err);
/* A socket in the namespace that sends on `device` as it is, past queues and filters; mark 0: none. */
int engine_release_socket(int netns_fd, int ifindex, uint32_t mark, int *ret_fd, struct err *err);
