/* The processes that /proc shows here: who they are and who started them.
 *
 * Ownership: procs_scan() … procs_done(). A process that ends during the scan is left out.
 * Source: proc(5), /proc/PID/stat and cmdline.
 */
#pragma once

#include "sim/base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct proc {
    pid_t pid, ppid;
    char state;               /* R S D T t Z X I */
    unsigned long long start; /* clock ticks since boot; with pid it names a process for ever */
    char comm[64];            /* at most 15 characters for anything but a kernel thread */
    char *argv0;              /* "" for a zombie */
};

struct procs {
    struct proc *items; /* by pid */
    size_t n;
};

int procs_scan(struct procs *ret, struct err *err);
void procs_done(struct procs *p);
/* One process now; false when there is none. The caller frees ret->argv0. */
bool procs_read(pid_t pid, struct proc *ret);
/* A pidfd of the process that was scanned, not of another that got its number since; -1: it has
 * ended. The caller closes it. */
int procs_pidfd(const struct proc *p);
const struct proc *procs_find(const struct procs *p, pid_t pid);
static inline bool procs_is_alive(const struct proc *p)
{
    return p->state != 'Z' && p->state != 'X';
}
/* argv[0], its last part, the executable, its last part, or comm (the name is cut at 15). */
bool procs_match(const struct proc *p, const char *name);
/* True when `pid` is `ancestor` or descends from it. */
bool procs_descends(const struct procs *p, pid_t pid, pid_t ancestor);
