/* Commands that start what others run (`start:` of a host that others made), as its operator would give
 * them: on the machine, from its root folder.
 *
 * Nothing is owned or kept.
 */
#pragma once

#include "sim/base/err.h"

/* Gives `command` to /bin/sh -c, in this mount namespace (-1: ours) and in a session of its own, its
 * output nowhere. It outlives us and is not waited for: whether it worked is seen by what runs then. */
int start_command(const char *command, int mounts, struct err *err);
