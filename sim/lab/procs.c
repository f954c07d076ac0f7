/* The processes that /proc shows here. */
#include "sim/lab/procs.h"

#include "sim/base/cleanup.h"
#include "sim/base/text.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>

#define PROCS_COMM_CUT 15 /* TASK_COMM_LEN - 1 */

void procs_done(struct procs *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->items[i].argv0);
    free(p->items);
    *p = (struct procs){0};
}

static ssize_t procs_slurp(pid_t pid, const char *file, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);
    if (n >= 0)
        out[n] = '\0';
    return n;
}

bool procs_read(pid_t pid, struct proc *ret)
{
    char stat[1024], args[PATH_MAX];
    struct proc p = {.pid = pid};
    if (procs_slurp(pid, "stat", stat, sizeof stat) <= 0)
        return false;
    /* comm may hold blanks and parentheses: it ends at the last one. */
    char *open_ = strchr(stat, '('), *close_ = strrchr(stat, ')');
    if (!open_ || !close_)
        return false;
    *close_ = '\0';
    snprintf(p.comm, sizeof p.comm, "%s", open_ + 1);
    if (sscanf(close_ + 1,
               " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               &p.state, &p.ppid, &p.start) != 3)
        return false;
    ssize_t n = procs_slurp(pid, "cmdline", args, sizeof args);
    p.argv0 = strdup(n > 0 ? args : "");
    if (!p.argv0)
        return false;
    *ret = p;
    return true;
}

int procs_pidfd(const struct proc *p)
{
    struct proc now;
    AUTO_CLOSE int fd = pidfd_open(p->pid, 0);
    if (fd < 0 || !procs_read(p->pid, &now))
        return -1;
    free(now.argv0);
    return now.start == p->start && procs_is_alive(&now) ? steal_fd(&fd) : -1;
}

static int procs_by_pid(const void *a, const void *b)
{
    pid_t x = ((const struct proc *)a)->pid, y = ((const struct proc *)b)->pid;
    return (x > y) - (x < y);
}

int procs_scan(struct procs *ret, struct err *err)
{
    AUTO_CLOSEDIR DIR *d = opendir("/proc");
    if (!d)
        return err_errno(err, errno, "cannot read /proc");
    struct procs all = {0};
    size_t room = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        if (all.n == room) {
            room = room ? room * 2 : 32;
            struct proc *more = reallocarray(all.items, room, sizeof *more);
            if (!more) {
                procs_done(&all);
                return err_errno(err, ENOMEM, "cannot list processes");
            }
            all.items = more;
        }
        if (procs_read((pid_t)strtol(e->d_name, NULL, 10), &all.items[all.n]))
            all.n++;
    }
    if (all.n)
        qsort(all.items, all.n, sizeof *all.items, procs_by_pid);
    *ret = all;
    return 0;
}

const struct proc *procs_find(const struct procs *p, pid_t pid)
{
    struct proc key = {.pid = pid};
    return p->n ? bsearch(&key, p->items, p->n, sizeof key, procs_by_pid) : NULL;
}

bool procs_match(const struct proc *p, const char *name)
{
    char path[64], exe[PATH_MAX];
    if (*p->argv0 && (!strcmp(p->argv0, name) || !strcmp(text_basename(p->argv0), name)))
        return true;
    if (!strncmp(p->comm, name, PROCS_COMM_CUT) &&
        (strlen(p->comm) == strlen(name) ||
         (strlen(p->comm) == PROCS_COMM_CUT && strlen(name) > PROCS_COMM_CUT)))
        return true;
    snprintf(path, sizeof path, "/proc/%d/exe", p->pid);
    ssize_t n = readlink(path, exe, sizeof exe - 1);
    if (n <= 0)
        return false;
    exe[n] = '\0';
    char *gone = strstr(exe, " (deleted)");
    if (gone && gone[strlen(" (deleted)")] == '\0')
        *gone = '\0';
    return !strcmp(exe, name) || !strcmp(text_basename(exe), name);
}

bool procs_descends(const struct procs *p, pid_t pid, pid_t ancestor)
{
    for (size_t depth = 0; depth <= p->n && pid > 0; depth++) {
        if (pid == ancestor)
            return true;
        const struct proc *q = procs_find(p, pid);
        pid = q ? q->ppid : 0;
    }
    return false;
}
