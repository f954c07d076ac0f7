/* Who listens on a port. See port.h. */
#include "sim/attach/port.h"

#include "sim/attach/kind.h"
#include "sim/base/buf.h"
#include "sim/kernel/sockdiag.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int ask_kernel(const struct proc *p, int64_t port, uint32_t **ret, size_t *ret_n, void *data,
                      struct err *err)
{
    AUTO_CLOSE int fd = -1;
    CLEANUP(nl_free_p) struct nl *nl = NULL;
    int r = netns_of_pid(p->pid, &fd, err);
    if (r == 0)
        r = nl_open_kernel(fd, "listening sockets", &nl, err);
    return r < 0 ? r : sockdiag_waiting(nl, (uint16_t)port, ret, ret_n, err);
}

/* Its descriptors lead to "socket:[4711]". */
bool port_holds(const struct proc *p, const uint32_t *inodes, size_t n, bool *ret_which)
{
    bool any = false;
    AUTO_BUF folder = BUF_INIT;
    buf_printf(&folder, "%s/%d/fd", p->root, (int)p->pid);
    AUTO_CLOSEDIR DIR *d = opendir(buf_text(&folder));
    for (const struct dirent *e; d && (e = readdir(d));) {
        char target[64];
        unsigned long inode;
        ssize_t len = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
        if (len <= 0)
            continue;
        target[len] = '\0';
        if (sscanf(target, "socket:[%lu]", &inode) != 1)
            continue;
        for (size_t i = 0; i < n; i++) {
            if (inodes[i] != inode)
                continue;
            if (!ret_which)
                return true;
            ret_which[i] = any = true;
        }
    }
    return any;
}

int port_keep(const struct procs *all, bool *io, int64_t port, port_ask_fn *ask, void *data,
              struct err *err)
{
    AUTO_FREE bool *done = calloc(all->n + 1, sizeof *done);
    if (!done)
        abort();
    for (size_t i = 0; i < all->n; i++) {
        struct netns_id here, its;
        AUTO_FREE uint32_t *inodes = NULL;
        size_t n = 0;
        if (!io[i] || done[i])
            continue;
        if (!attached_netns_of(&all->items[i], &here)) {
            io[i] = false;
            continue;
        }
        int r = (ask ? ask : ask_kernel)(&all->items[i], port, &inodes, &n, data, err);
        if (r < 0 && procs_started(all->items[i].pid) == all->items[i].start)
            return r;
        for (size_t k = i; k < all->n; k++) {
            if (!io[k] || done[k] || !attached_netns_of(&all->items[k], &its) ||
                !netns_same(here, its))
                continue;
            done[k] = true;
            io[k] = n && port_holds(&all->items[k], inodes, n, NULL);
        }
    }
    return 0;
}
