/* What is mounted in a mount namespace, as lines for a snapshot.
 *
 * Source: proc_pid_mountinfo(5).
 */
#pragma once

#include "sim/base/err.h"
#include "sim/kernel/rtnl.h"

/* A descriptor of /proc/PID/mountinfo (0: the caller's). It goes on showing the namespace that the process
 * was in when it was opened, whatever becomes of both; the caller closes it. */
int mounts_open(pid_t pid, int *ret, struct err *err);
/* One line each: "mount on=/run/x of=/ type=tmpfs source=test flags=rw,nosuid options=rw,size=4k". Numbers, and
 * who hears of whose mounts, are left out: they change when nothing else does. */
int mounts_describe(int fd, rtnl_line *fn, void *data, struct err *err);
