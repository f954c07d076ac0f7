/* Which processes a host of the kind `process` means; inside of sim/attach and for its tests.
 *
 * Nothing is owned or kept.
 */
#pragma once

#include "sim/attach/kind.h"
#include "sim/attach/port.h"
#include "sim/base/buf.h"

/* "name redis-server, port 6379" */
void process_rule_text(const struct process_host *p, struct buf *out);
/* ret[i]: it matches. ask: port_keep(); NULL: the kernel. */
int process_matches(const struct process_host *p, const struct procs *all, port_ask_fn *ask,
                    void *data, bool *ret, struct err *err);
/* The eldest of those in[i] whose parent is none of them; NULL: there is none. */
const struct proc *process_main(const struct procs *all, const bool *in);
