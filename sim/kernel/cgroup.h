/* Control groups that can freeze: cgroup v2 (cgroup.freeze), or the freezer of v1 (cgroups(7)).
 *
 * A frozen process of v2 can be killed; one of v1 cannot until it is thawed. v2 is taken where it is
 * mounted, also beside v1 (hybrid).
 *
 * Ownership: values, nothing to free but what says so. Folders are paths as this process sees them.
 */
#pragma once

#include "sim/base/err.h"
#include "sim/base/nsec.h"
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct cgroup {
    bool v1; /* of the freezer of v1 */
    char dir[PATH_MAX];
};

/* The one in which a process is (0: the caller). -EOPNOTSUPP: neither is mounted here, or it lies
 * outside of what is. */
int cgroup_of(pid_t pid, struct cgroup *ret, struct err *err);
/* The folder of the one in which a process is (0: the caller) in the hierarchy of v1 that has this
 * controller or name ("memory", "name=systemd"), or in v2 (NULL). -ENOENT, without a sentence: not
 * mounted here, or it lies outside of what is; -ESRCH: it has ended. */
int cgroup_folder(pid_t pid, const char *controller, char ret[PATH_MAX], struct err *err);
bool cgroup_folder_is_root(const char *dir, const char *controller);
bool cgroup_is_root(const struct cgroup *c);
/* True when `inner` is `outer` or stands below it. */
bool cgroup_contains(const struct cgroup *outer, const struct cgroup *inner);
/* A group of this name below it (not made). -ENAMETOOLONG. */
int cgroup_below(const struct cgroup *parent, const char *name, struct cgroup *ret,
                 struct err *err);
/* Can groups be made below it by us? -EPERM or -EROFS with the sentence; changes nothing. */
int cgroup_writable(const struct cgroup *c, struct err *err);
int cgroup_make(const struct cgroup *c, struct err *err); /* one that is there already is fine */
/* -ESRCH: that process has ended. */
int cgroup_move(const struct cgroup *c, pid_t pid, struct err *err);
/* Its processes; the caller frees *ret. None when it is not there. */
int cgroup_pids(const struct cgroup *c, pid_t **ret, size_t *ret_n, struct err *err);
/* Freezes or thaws, and waits until the kernel says so; -ETIMEDOUT. -ENOENT: it is not there. */
int cgroup_freeze(const struct cgroup *c, bool frozen, nsec timeout, struct err *err);
int cgroup_is_frozen(const struct cgroup *c, bool *ret, struct err *err); /* wholly */
/* One line each for it and all groups below it, "cgroup dir=/sys/fs/cgroup/x frozen=0 memory.max=max …": whether
 * it is frozen, and of v2 its limits. only: those alone whose path holds this text; NULL: all. */
void cgroup_describe(const struct cgroup *c, const char *only,
                     void (*fn)(const char *line, void *data), void *data);
/* Removes it; what is gone is fine. -EBUSY: something is in it still. */
int cgroup_remove(const struct cgroup *c, struct err *err);
