/* The control groups of a process in all hierarchies that are mounted here, v2 and v1: for starting
 * something of ours inside them, so that their limits hold for it too.
 *
 * Ownership: cgroup_seats_of() … cgroup_seats_done(); each seat holds a descriptor of its cgroup.procs,
 * opened with the rights of whoever called (the kernel looks at those, not at the writer's).
 */
#pragma once

#include "sim/base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct cgroup_seat {
    char *dir; /* as this process sees it */
    bool v1;
    int procs; /* its cgroup.procs, for writing */
};

struct cgroup_seats {
    struct cgroup_seat *items;
    size_t n;
};

/* Those in which it is and the caller is not, but for the roots, which limit nobody; perhaps none.
 * -ESRCH: it has ended. -EACCES and the like: nothing may be moved there. */
int cgroup_seats_of(pid_t pid, struct cgroup_seats *ret, struct err *err);
/* The folders of all its groups, the roots too: what is started in its place later belongs there. NULL at
 * the end; the caller frees them with cgroup_folders_free(). -ESRCH: it has ended. */
int cgroup_folders(pid_t pid, char ***ret, struct err *err);
void cgroup_folders_free(char ***folders);
/* Those of these folders (n) that are there still and where something may be moved. */
void cgroup_seats_in(const char *const *folders, size_t n, struct cgroup_seats *ret);
/* Moves the calling process there; async-signal-safe. 0, or an errno. */
int cgroup_seats_take(const struct cgroup_seats *s);
void cgroup_seats_done(struct cgroup_seats *s);
#define AUTO_CGROUP_SEATS __attribute__((cleanup(cgroup_seats_done))) struct cgroup_seats

/* How much more memory fits, in bytes, by the least of their limits, when the kernel lets go of the
 * files it has cached, and what that limit is. Both INT64_MAX: none of them limits it. */
void cgroup_seats_room(const struct cgroup_seats *s, int64_t *ret_room, int64_t *ret_limit);
/* How many processors' time all in them get together; 0: none of them limits it. */
double cgroup_seats_processors(const struct cgroup_seats *s);
