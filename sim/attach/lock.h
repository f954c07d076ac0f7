/* Locks on targets, kept by the kernel on descriptors of namespaces: nothing is written anywhere.
 *
 * A network namespace that is not the machine's: flock(2) on it. A process: a lock on the byte of its
 * number in the file of its pid namespace; an interface: on the byte of its index in the file of its
 * network namespace (fcntl(2), open file description locks). Those files can only be opened for
 * reading, and so only be locked for reading: one who would lock asks whether somebody has, under a
 * flock of the same file that lasts for that moment. Who runs in place of a process that was locked is
 * claimed (claim.h) until it is locked, too.
 *
 * Ownership: descriptors go to struct attached.
 */
#pragma once

#include "sim/attach/attach.h"

/* What `h` leads to, and those of its processes that are there now (seen: who runs, seen a moment ago;
 * NULL: it looks itself); what this drill has already is its own. -EBUSY: another drill has some of it. */
int lock_host(struct attached *a, const struct attached_host *h, const struct procs *seen,
              struct err *err);
/* After lock_host() of each of these: what is claimed for all of `a`, now and from now on. -EBUSY: another
 * drill claims a process of one of these. */
int lock_claims(struct attached *a, const struct attached_host *hosts, size_t n,
                const struct procs *seen, struct err *err);
