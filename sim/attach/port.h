/* Who listens on a port: sockets by sock_diag(7), their owners by /proc/PID/fd.
 *
 * Ownership: nothing is kept.
 */
#pragma once

#include "sim/attach/procs.h"
#include "sim/base/nsec.h"
#include "sim/kernel/netns.h"

/* The inodes of the sockets that listen there (TCP) or are bound there and to nobody (UDP), in the
 * network namespace of this process. The caller frees *ret. */
typedef int port_ask_fn(const struct proc *p, int64_t port, uint32_t **ret, size_t *ret_n,
                        void *data, struct err *err);

/* Of the processes with io[i], leaves those that hold such a socket open. Each is asked for in its own
 * network namespace, each namespace once. ask NULL: the kernel. */
int port_keep(const struct procs *all, bool *io, int64_t port, port_ask_fn *ask, void *data,
              struct err *err);
