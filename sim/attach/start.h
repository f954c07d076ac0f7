/* Commands that start what others run (`start:` of a host that others made), as its operator would give
 * them: on the machine, from its root folder.
 *
 * Nothing is owned or kept.
 */
#pragma once

#include "sim/base/err.h"
#include <jansson.h>

/* Gives `command` to /bin/sh -c, in this mount namespace (-1: ours) and in a session of its own, its
 * output nowhere. It outlives us and is not waited for: whether it worked is seen by what runs then.
 * seats: folders of the control groups in which it belongs (start_seats()); where it may not sit in one, it
 * stays in ours. NULL: in ours. */
int start_command(const char *command, int mounts, const json_t *seats, struct err *err);
/* Those of a process, for what will be started in its place: else that would die with our own group. A new
 * reference; NULL when it has ended. */
json_t *start_seats(pid_t pid);
