/* The state of a place as text, for the comparison before and after: what is gone, what is new. Of a
 * network namespace all that is set up in it (counters, lifetimes, handles and operational states are
 * masked; neighbours, which come and go by themselves, are left out); beside it, where asked for, what is
 * mounted and how control groups are.
 *
 * Ownership: snapshot_take() … snapshot_free(); lines in differences are borrowed from both.
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/kernel/netns.h"
#include <stdbool.h>
#include <stddef.h>

struct snapshot {
    char **lines; /* sorted; "link …", "address …", "route …", "rule …", "qdisc …", "class …",
                   * "filter …", "nft …", "mount …", "cgroup …" */
    size_t n;
};

/* fd -1: the caller's own namespace. Parts this kernel lacks (nf_tables) are a line saying so. */
int snapshot_take(int netns_fd, struct snapshot **ret, struct err *err);

struct cgroup;
/* What of a place is looked at. */
struct snapshot_scope {
    bool network;
    int netns;                   /* -1: the caller's own */
    int mounts;                  /* mounts_open(); -1: none */
    const struct cgroup *cgroup; /* it and those below; NULL: none */
    const char *only;            /* mounts and groups with this text in their line; NULL: all */
};
int snapshot_take_scope(const struct snapshot_scope *scope, struct snapshot **ret, struct err *err);
struct snapshot *snapshot_free(struct snapshot *s); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct snapshot, snapshot_free);

struct snapshot_diff {
    const char **gone, **added; /* borrowed lines; the arrays are freed by snapshot_diff_done() */
    size_t n_gone, n_added;
};
void snapshot_compare(const struct snapshot *before, const struct snapshot *after,
                      struct snapshot_diff *ret);
void snapshot_diff_done(struct snapshot_diff *d);

/* Processes that live in one of these network namespaces. */
struct snapshot_process {
    pid_t pid;
    unsigned long long start; /* field 22 of /proc/PID/stat, clock ticks since boot */
    char name[64];            /* of argv[0], else comm */
    struct netns_id netns;
};
/* The caller frees *ret. A process whose namespace we may not see is not listed; *ret_unseen counts
 * those (processes of others when not root). */
int snapshot_processes(const struct netns_id *ids, size_t n, struct snapshot_process **ret,
                       size_t *ret_n, size_t *ret_unseen, struct err *err);
