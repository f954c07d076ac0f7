/* Hosts that others made: network namespaces, held by descriptors for a whole run.
 *
 * Ownership: attached_open() … attached_free(). They are opened before the process enters namespaces of
 * its own. Nothing in them is built, started or ended here; they are the target, and stay.
 *
 * Who holds one: attached_lock() takes flock(2) on the namespace itself, by a descriptor of its own, so
 * that two drills never touch one target, under whatever names they know it. The lock goes with its
 * last descriptor: the runner's and its warden's.
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/nl.h"
#include "sim/model/model.h"
#include <jansson.h>

struct attached_host {
    const struct host *host;
    char *path;
    int fd, lock_fd; /* lock_fd -1: not locked */
    struct netns_id id;
    uint64_t cookie; /* 0: this kernel knows none */
};

struct attached {
    struct attached_host *items;
    size_t n;
    int mounts; /* the machine's mount namespace */
};

/* All attached hosts of the scenario (perhaps none). -ENOENT: there is no such namespace; -EINVAL: it
 * is none, or one that is never a target (ours, that of process 1, one that another host of the
 * scenario is already); -EPERM: we may not enter it. */
int attached_open(const struct scenario *s, struct attached **ret, struct err *err);
/* -EBUSY: another drill holds one of them; the sentence says who. */
int attached_lock(struct attached *a, struct err *err);
struct attached *attached_free(struct attached *a);
DEFINE_CLEANUP(struct attached, attached_free);

/* Where its path led still stands there: -ESRCH when others took it away. */
int attached_is_there(const struct attached_host *h, struct err *err);

/* How an undo record names it: {path, dev, ino, cookie}; a new reference. */
json_t *attached_identity(const struct attached_host *h);
/* The namespace of such a record, by whatever still leads to it: its path, or a process in it. 0, and
 * *ret_fd -1: there is none any more. */
int attached_find(const json_t *identity, int *ret_fd, struct err *err);

/* For people, before anything is touched: whose it is, who lives in it, its addresses, connections.
 * Appends texts. */
int attached_describe(const struct attached_host *h, json_t *texts, struct err *err);
