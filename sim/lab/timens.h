/* How long a host's commands take the machine to have been up: a time namespace of theirs, in which
 * CLOCK_MONOTONIC and CLOCK_BOOTTIME are shifted. Inside of sim/lab only.
 *
 * The host's init, its agent and the supervisors stay outside: their stamps are those of the machine's
 * clocks. The namespace is held by a mount in the host's own mount namespace, and gone with it. Offsets
 * are fixed by the first process that enters (time_namespaces(7)), so a host that runs cannot be given
 * others: it takes them when it is powered on.
 */
#pragma once

#include "sim/base/err.h"
#include "sim/base/nsec.h"

/* In the init, while it has CAP_SYS_TIME and /proc is the host's: both clocks stand at `uptime` for
 * whoever enters. -EOPNOTSUPP when this kernel has no time namespaces or allows none. */
int timens_make(nsec uptime, struct err *err);
/* In a process of one thread, in the host's mount namespace, about to execute: enters the namespace of
 * the host's commands, if it has one. 0, or an errno. Async-signal-safe. */
int timens_enter(void);
