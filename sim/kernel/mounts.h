/* What is mounted in a mount namespace: each mount, and as lines for a snapshot.
 *
 * Source: proc_pid_mountinfo(5).
 */
#pragma once

#include "sim/base/err.h"
#include "sim/kernel/rtnl.h"
#include <sys/types.h>

/* A descriptor of /proc/PID/mountinfo (0: the caller's). It goes on showing the namespace that the process
 * was in when it was opened, whatever becomes of both; the caller closes it. */
int mounts_open(pid_t pid, int *ret, struct err *err);
/* Texts are borrowed for the call. */
struct mount_line {
    unsigned long id; /* of the mount, while it lasts */
    dev_t dev;
    const char *root, *point; /* what of the file system is mounted, and where */
    const char *flags, *type, *source, *options;
};
/* Not 0 ends it, and is what mounts_each() returns. */
typedef int mounts_fn(const struct mount_line *m, void *data);
int mounts_each(int fd, mounts_fn *fn, void *data, struct err *err);
/* One line each: "mount on=/run/x of=/ type=tmpfs source=test flags=rw,nosuid options=rw,size=4k". Numbers, and
 * who hears of whose mounts, are left out: they change when nothing else does. */
int mounts_describe(int fd, rtnl_line *fn, void *data, struct err *err);
