/* The processes that /proc shows: who they are and who started them.
 *
 * Ownership: procs_scan() … procs_done(). A process that ends during the scan is left out.
 * Source: proc(5), /proc/PID/stat, status and cmdline.
 */
#pragma once

#include "sim/base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct proc {
    const char *root; /* where it was read: "/proc"; borrowed */
    pid_t pid, ppid;
    char state;               /* R S D T t Z X I */
    bool kernel;              /* a thread of the kernel */
    unsigned long long start; /* clock ticks since boot; with pid it names a process for ever */
    char comm[64];            /* at most 15 characters for anything but a kernel thread */
    char *argv0;              /* "" for a zombie */
};

struct procs {
    struct proc *items; /* by pid */
    size_t n;
};

int procs_scan(struct procs *ret, struct err *err);
/* The same of another folder that looks like /proc (borrowed until procs_done()): for tests. */
int procs_scan_at(const char *root, struct procs *ret, struct err *err);
/* One process, with all that it and we descend from: what procs_descends() needs to tell who is whose,
 * without a look at everybody. It has ended: it is not among them. */
int procs_scan_kin(pid_t pid, struct procs *ret, struct err *err);
void procs_done(struct procs *p);
#define AUTO_PROCS __attribute__((cleanup(procs_done))) struct procs
/* One process now; false when there is none. The caller frees ret->argv0. */
bool procs_read(pid_t pid, struct proc *ret);
/* When it started; 0: there is none, or it is a zombie. */
unsigned long long procs_started(pid_t pid);
/* A file of its folder as text, cut at size - 1; -1: it has gone. */
ssize_t procs_slurp(const struct proc *p, const char *file, char *ret, size_t size);
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
/* Its number in the innermost pid namespace that it is in. */
pid_t procs_inner_pid(const struct proc *p);

/* Which processes are asked for; what is given must all hold. */
struct procs_wanted {
    const char *process; /* as procs_match(); NULL: any */
    pid_t pid;           /* 0: any */
    bool inner;          /* `pid` as it is seen inside */
    const json_t *only;  /* NULL, or [{pid,start}…]: those alone, whoever has their pids now */
};
/* Zombies never are. */
bool procs_wants(const struct procs_wanted *w, const struct proc *p);
/* Those of `all` that are asked for; takes it. */
struct procs procs_keep(struct procs *all, const struct procs_wanted *w);
/* The same: those with keep[i]. */
struct procs procs_keep_these(struct procs *all, const bool *keep);
/* {pid,start,name,unit,state}; unit NULL: none. A new reference. */
json_t *procs_json(const struct proc *p, const char *unit);
