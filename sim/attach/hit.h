/* Signals to processes, and whether they had their effect.
 *
 * Nothing is owned or kept.
 */
#pragma once

#include "sim/attach/procs.h"
#include "sim/base/nsec.h"

struct hit {
    size_t n;         /* in: how many are meant; out: how many of them got it */
    size_t confirmed; /* of these, seen to have done what the signal does */
    struct span at;   /* from before the first signal to the last confirmation */
};

/* Sends `signo` to each of `who` that still is the one that was scanned, by pidfd; those that got it
 * stand first in `who` when it returns. For KILL, TERM, INT, QUIT, ABRT and crashes waits until the
 * pidfd of each is readable (at most `confirm`; -ETIMEDOUT for SIGKILL alone, others may be caught:
 * see `confirmed`), for SIGSTOP and SIGCONT until its state tells. */
int hit_processes(const struct proc **who, int signo, nsec confirm, struct hit *ret,
                  struct err *err);
/* A signal that ends who does not catch it. */
bool hit_ends(int signo);
