/* A program of ours beside a host that others made, in its control groups: how its process begins and is
 * guarded. Inside of sim/lab only; others use lab_node_run_guest().
 *
 * The child of the runner becomes the guard, outside of the groups; below it, in a pid namespace of its
 * own, stands the command. The guard ends it when the runner dies or the host's main process does: a
 * control group in which something of ours is left could not be removed by its owner. When process 1 of
 * a pid namespace has ended, the kernel has ended all others in it (pid_namespaces(7)).
 */
#pragma once

#include "sim/lab/lab.h"

struct guest_start {
    const struct lab_guest *guest;
    int host; /* pidfd of the host's main process; -1: none */
};
/* In a child, before exec (struct child_spec's prepare; data: a struct guest_start): returns in the
 * command's process alone. 0, or an errno. */
int guest_enter(void *data);
/* Ends this process as that one has ended, without a core. */
_Noreturn void guest_end_as(int status);
