/* Which control groups hold a process, as /proc/PID/cgroup tells (cgroups(7)).
 *
 * Nothing is owned or kept.
 */
#pragma once

#include "sim/attach/procs.h"

/* Does it, or a group below it, hold the process? `path` as a line of /proc/PID/cgroup has it after the
 * last colon, of any hierarchy; "memory:/shop" of that one. */
bool group_holds(const char *path, const struct proc *p);
