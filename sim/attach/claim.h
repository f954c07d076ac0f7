/* Claims: what a drill's hosts mean, besides the processes that it holds by now (lock.h): those that are
 * started in their place belong to it from their first moment, before it has found them.
 *
 * They are the identities of its hosts, in a memory file of ours that others find through our
 * descriptors: nothing is written anywhere else, and it goes with the last of us that has it. Who would
 * lock processes asks whether another's claims mean them (kind.h). Others who may not look into our
 * descriptors may not touch those processes either.
 *
 * Ownership: the descriptor is the caller's.
 */
#pragma once

#include "sim/attach/attach.h"

/* Writes what is claimed, anew. *fd -1: the file is made. Whoever reads it meanwhile may see half of it. */
int claim_write(const struct attached *a, int *fd, struct err *err);
/* The first of these that another claims (fd: our own claims; -1: there are none yet). NULL: nobody does. */
const struct proc *claim_find(int fd, const struct procs *all, const bool *own, pid_t *ret_holder);
