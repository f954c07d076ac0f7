/* Which processes are a host's own, and which are never anybody's. See kind.h. */
#include "sim/attach/kind.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool attached_netns_of(const struct proc *p, struct netns_id *ret)
{
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s/%d/ns/net", p->root, (int)p->pid);
    if (stat(path, &st) < 0)
        return false;
    *ret = (struct netns_id){.dev = st.st_dev, .ino = st.st_ino};
    return true;
}

const char *attached_never(const struct procs *all, const struct proc *p)
{
    pid_t self = getpid();
    if (p->pid == 1)
        return "it is process 1, on which all others stand";
    if (p->kernel)
        return "it is a thread of the kernel";
    if (p->pid == self)
        return "it is blackstart itself";
    if (procs_descends(all, self, p->pid))
        return "blackstart descends from it";
    if (procs_descends(all, p->pid, self))
        return "blackstart started it";
    return NULL;
}

int attached_own(const struct attached_host *h, const struct procs *all, bool *own, struct err *err)
{
    int r = h->kind->processes(h, all, own, err);
    for (size_t i = 0; r == 0 && i < all->n; i++)
        own[i] = own[i] && procs_is_alive(&all->items[i]) && !attached_never(all, &all->items[i]);
    return r;
}

int attached_processes(const struct attached_host *h, struct procs *ret, struct err *err)
{
    AUTO_PROCS all = {0};
    if (!h->kind->processes)
        return err_set(err, EOPNOTSUPP, "host %s is %s: no process is its own", h->host->name,
                       h->at.what);
    /* One that is named by its number is looked for by it. */
    const struct process_host *p = h->host->process;
    int r =
        p && (p->pid || p->pid_file) ? procs_scan_kin(h->at.pid, &all, err) : procs_scan(&all, err);
    if (r < 0)
        return r;
    AUTO_FREE bool *own = calloc(all.n + 1, sizeof *own);
    if (!own)
        abort();
    r = attached_own(h, &all, own, err);
    if (r < 0)
        return err_prefix(err, "host %s", h->host->name);
    *ret = procs_keep_these(&all, own);
    return 0;
}
