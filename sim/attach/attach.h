/* Hosts that others made: namespaces, processes, interfaces, and what else a kind (kind.h) knows how
 * to find; held by descriptors for a whole run.
 *
 * Ownership: attached_open() … attached_free(). They are opened before the process enters namespaces of
 * its own. Nothing in them is built here; they are the target, and stay.
 *
 * Who holds one: attached_lock(), by locks that the kernel keeps on descriptors (lock.c), so that two
 * drills never touch one target, under whatever names they know it. They go with their last
 * descriptor: the runner's and its warden's.
 */
#pragma once

#include "sim/attach/exempt.h"
#include "sim/attach/procs.h"
#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/kernel/cgroup.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/nl.h"
#include "sim/model/model.h"
#include <jansson.h>

/* What can be done to a host. Which of these an action needs: struct injector's `attaches`. */
enum {
    ATTACH_COMMANDS = 1u << 0,  /* commands run in it, probes and alarms look from inside */
    ATTACH_NETWORK = 1u << 1,   /* anything in its network namespace */
    ATTACH_DEVICE = 1u << 5,    /* one device of it, and what goes over that (`interface`) */
    ATTACH_PROCESSES = 1u << 2, /* signals to processes of its own */
    ATTACH_CGROUP = 1u << 3,    /* a control group that holds its processes and nobody else's */
    ATTACH_POWER = 1u << 4,     /* it can be ended and started as a whole */
};

struct attached_kind;
struct attached_choice; /* kind.h */

/* What a host leads to at present. Descriptors and texts belong to it. */
struct attached_target {
    char *what; /* for people: "the network namespace /run/netns/edge", "process 412 (redis)" */
    char *path; /* of its network namespace; it leads there as long as it lives */
    int netns, mounts;   /* its network namespace, its mount namespace */
    bool shares_network; /* which is the machine's, or our own */
    bool shares_mounts;
    struct netns_id id; /* of its network namespace */
    uint64_t cookie;    /* 0: this kernel knows none */
    pid_t pid;          /* its main process; 0: none */
    unsigned long long start;
    int pidfd;             /* of that; -1: none */
    struct cgroup cgroup;  /* of that; dir "": none is known */
    unsigned offers;       /* ATTACH_*: what this one can bear, a part of what its kind can */
    const char *interface; /* the one device of it that faults may touch; NULL: any */
    char *how;             /* "any of a, b (drawn from the seed): b"; NULL: there was no choice */
    char *mark; /* what of its own marks it as production ("the label env=prod"); NULL: nothing */
    json_t *
        seats; /* where what `start:` starts belongs (start.h), and stands in its identity; NULL: it has
                    * no `start:` */
    json_t *own; /* what its kind remembers of it (the id of a container …), and stands in its
                            * identity; NULL: nothing */
    /* In what resolve() is given, afterwards NULL: who runs, seen a moment ago (NULL: it looks itself);
     * and by what it chooses among several. */
    const struct procs *seen;
    const struct attached_choice *choice;
};
#define ATTACHED_TARGET_INIT ((struct attached_target){.netns = -1, .mounts = -1, .pidfd = -1})
void attached_target_done(struct attached_target *t);
#define AUTO_ATTACHED_TARGET __attribute__((cleanup(attached_target_done))) struct attached_target

struct attached_host {
    const struct host *host;
    const struct attached_kind *kind;
    struct attached_target at;
    bool
        ending; /* a fault of ours ended it: that it goes, and comes back as another, is expected */
    uint64_t lives;        /* how often it was found to be another one */
    struct exempts exempt; /* exempt_find(); empty before */
};

struct attached {
    struct attached_host *items;
    size_t n;
    uint64_t seed; /* of draws among several targets */
    int mounts;    /* the machine's mount namespace */
    int *locks;    /* descriptors */
    size_t locks_n;
    size_t
        claims; /* which of these is of our claims (claim.h), counted from 1; 0: there are none yet */
};

/* All attached hosts of the scenario (perhaps none). -ENOENT: there is no such target; -EINVAL: it
 * is none, or one that is never a target (ours, the machine's own, one that another host of the
 * scenario is already); -EPERM: we may not enter it. `seed`: of the run; what it draws is the same for
 * the same seed and the same candidates, and stays for the whole run. */
int attached_open(const struct scenario *s, uint64_t seed, struct attached **ret, struct err *err);
/* -EBUSY: another drill holds one of them; the sentence says who. */
int attached_lock(struct attached *a, struct err *err);
struct attached *attached_free(struct attached *a);
DEFINE_CLEANUP(struct attached, attached_free);
/* Every descriptor that whoever goes on after us must keep: namespaces and locks. Up to max. */
size_t attached_fds(const struct attached *a, int *ret, size_t max);

/* What it led to is still there: -ESRCH when it has gone, or others took it away. */
int attached_is_there(const struct attached_host *h, struct err *err);
/* Looks it up again. 0: it is the same; 1: it was another, which it leads to now and is locked (the old
 * one's descriptors are closed: whoever kept a copy of `at` looks again); -ESRCH: there is none at
 * present, or one that is not to be followed, it is left as it was; -EPERM: the one that took
 * its place is marked as production; other errors as attached_open(). */
#define ATTACHED_REPLACED 1
int attached_refresh(struct attached *a, struct attached_host *h, struct err *err);

/* Its own processes at this moment: never ours, our ancestors', process 1, threads of the kernel. */
int attached_processes(const struct attached_host *h, struct procs *ret, struct err *err);

/* How an undo record names it: {kind, path, dev, ino, cookie, pid, start, pids, …}; a new reference. */
json_t *attached_identity(const struct attached_host *h);
/* The network namespace of such a record, by whatever still leads to it: its path, or a process in it.
 * 0, and *ret_fd -1: there is none any more. */
int attached_find(const json_t *identity, int *ret_fd, struct err *err);
/* The processes of an array [{pid,start}…] that still live, for undoing without a host. -EXDEV: the
 * record is of another pid namespace, where these numbers mean others. */
int attached_find_processes(const json_t *identity, json_t *procs, struct procs *ret,
                            struct err *err);

/* Does anything of such a record's host run now, whether the same or another? */
int attached_runs(const json_t *identity, bool *ret, struct err *err);

/* For people, before anything is touched: whose it is, who lives in it, its addresses, connections.
 * Appends texts. */
int attached_describe(const struct attached_host *h, json_t *texts, struct err *err);
