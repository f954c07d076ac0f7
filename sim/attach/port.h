/* Whose sockets: who listens on a port, who holds a connection. Sockets by sock_diag(7), their owners by /proc/PID/fd.
 *
 * Ownership: nothing is kept.
 */
#pragma once

#include "sim/attach/procs.h"
#include "sim/base/nsec.h"
#include "sim/kernel/netns.h"

/* Does the process hold a socket with one of these inodes (which are not 0)? ret_which: sets [i] for
 * each that it holds, leaves the others; NULL: one is enough. */
bool port_holds(const struct proc *p, const uint32_t *inodes, size_t n, bool *ret_which);

/* The inodes of the sockets that listen there (TCP) or are bound there and to nobody (UDP), in the
 * network namespace of this process. The caller frees *ret. */
typedef int port_ask_fn(const struct proc *p, int64_t port, uint32_t **ret, size_t *ret_n,
                        void *data, struct err *err);

/* Of the processes with io[i], leaves those that hold such a socket open. Each is asked for in its own
 * network namespace, each namespace once. ask NULL: the kernel. */
int port_keep(const struct procs *all, bool *io, int64_t port, port_ask_fn *ask, void *data,
              struct err *err);
