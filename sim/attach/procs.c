/* The processes that /proc shows here. */
#include "sim/attach/procs.h"

#include "sim/base/cleanup.h"
#include "sim/base/jsonx.h"
#include "sim/base/text.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>

#define PROCS_ROOT "/proc"
#define PROCS_COMM_CUT 15        /* TASK_COMM_LEN - 1 */
#define PROCS_KERNEL 0x00200000u /* PF_KTHREAD in the flags of /proc/PID/stat, linux/sched.h */

void procs_done(struct procs *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->items[i].argv0);
    free(p->items);
    *p = (struct procs){0};
}

static ssize_t slurp(const char *root, pid_t pid, const char *file, char *out, size_t size)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%d/%s", root, pid, file);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);
    if (n >= 0)
        out[n] = '\0';
    return n;
}

ssize_t procs_slurp(const struct proc *p, const char *file, char *ret, size_t size)
{
    return slurp(p->root, p->pid, file, ret, size);
}

static bool read_at(const char *root, pid_t pid, struct proc *ret)
{
    char stat[1024], args[PATH_MAX];
    struct proc p = {.root = root, .pid = pid};
    unsigned flags;
    if (slurp(root, pid, "stat", stat, sizeof stat) <= 0)
        return false;
    /* comm may hold blanks and parentheses: it ends at the last one. */
    char *open_ = strchr(stat, '('), *close_ = strrchr(stat, ')');
    if (!open_ || !close_)
        return false;
    *close_ = '\0';
    snprintf(p.comm, sizeof p.comm, "%s", open_ + 1);
    if (sscanf(close_ + 1,
               " %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               &p.state, &p.ppid, &flags, &p.start) != 4)
        return false;
    p.kernel = flags & PROCS_KERNEL;
    ssize_t n = slurp(root, pid, "cmdline", args, sizeof args);
    p.argv0 = strdup(n > 0 ? args : "");
    if (!p.argv0)
        return false;
    *ret = p;
    return true;
}

bool procs_read(pid_t pid, struct proc *ret)
{
    return read_at(PROCS_ROOT, pid, ret);
}

unsigned long long procs_started(pid_t pid)
{
    struct proc p;
    if (!procs_read(pid, &p))
        return 0;
    free(p.argv0);
    return procs_is_alive(&p) ? p.start : 0;
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
    return procs_scan_at(PROCS_ROOT, ret, err);
}

int procs_scan_at(const char *root, struct procs *ret, struct err *err)
{
    AUTO_CLOSEDIR DIR *d = opendir(root);
    if (!d)
        return err_errno(err, errno, "cannot read %s", root);
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
        if (read_at(root, (pid_t)strtol(e->d_name, NULL, 10), &all.items[all.n]))
            all.n++;
    }
    if (all.n)
        qsort(all.items, all.n, sizeof *all.items, procs_by_pid);
    *ret = all;
    return 0;
}

/* Adds the process and its ancestors, up to one that is there already. */
static int add_line(struct procs *p, pid_t pid, struct err *err)
{
    while (pid > 0) {
        for (size_t i = 0; i < p->n; i++)
            if (p->items[i].pid == pid)
                return 0;
        struct proc *more = reallocarray(p->items, p->n + 1, sizeof *more);
        if (!more)
            return err_errno(err, ENOMEM, "cannot list processes");
        p->items = more;
        if (!procs_read(pid, &p->items[p->n]))
            return 0;
        pid = p->items[p->n++].ppid;
    }
    return 0;
}

int procs_scan_kin(pid_t pid, struct procs *ret, struct err *err)
{
    AUTO_PROCS all = {0};
    int r = add_line(&all, pid, err);
    if (r == 0)
        r = add_line(&all, getpid(), err);
    if (r < 0)
        return r;
    if (all.n)
        qsort(all.items, all.n, sizeof *all.items, procs_by_pid);
    *ret = all;
    all = (struct procs){0};
    return 0;
}

const struct proc *procs_find(const struct procs *p, pid_t pid)
{
    struct proc key = {.pid = pid};
    return p->n ? bsearch(&key, p->items, p->n, sizeof key, procs_by_pid) : NULL;
}

bool procs_match(const struct proc *p, const char *name)
{
    char path[PATH_MAX], exe[PATH_MAX];
    if (*p->argv0 && (!strcmp(p->argv0, name) || !strcmp(text_basename(p->argv0), name)))
        return true;
    if (!strncmp(p->comm, name, PROCS_COMM_CUT) &&
        (strlen(p->comm) == strlen(name) ||
         (strlen(p->comm) == PROCS_COMM_CUT && strlen(name) > PROCS_COMM_CUT)))
        return true;
    snprintf(path, sizeof path, "%s/%d/exe", p->root, p->pid);
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

pid_t procs_inner_pid(const struct proc *p)
{
    char status[4096];
    const char *line =
        procs_slurp(p, "status", status, sizeof status) > 0 ? strstr(status, "\nNSpid:") : NULL;
    pid_t last = p->pid;
    if (!line)
        return last; /* a kernel without pid namespaces */
    line += strlen("\nNSpid:");
    for (char *end; *line && *line != '\n'; line = end) {
        long n = strtol(line, &end, 10);
        if (end == line)
            break;
        last = (pid_t)n;
    }
    return last;
}

static bool is_listed(const json_t *only, const struct proc *p)
{
    const json_t *j;
    size_t i;
    json_array_foreach (only, i, j)
        if (jsonx_int(j, "pid", 0) == p->pid &&
            (unsigned long long)jsonx_int(j, "start", 0) == p->start)
            return true;
    return false;
}

bool procs_wants(const struct procs_wanted *w, const struct proc *p)
{
    if (!procs_is_alive(p) || (w->only && !is_listed(w->only, p)))
        return false;
    if (w->pid && w->pid != (w->inner ? procs_inner_pid(p) : p->pid))
        return false;
    return !w->process || procs_match(p, w->process);
}

struct procs procs_keep_these(struct procs *all, const bool *keep)
{
    struct procs kept = {.items = all->items};
    for (size_t i = 0; i < all->n; i++)
        if (keep[i])
            kept.items[kept.n++] = all->items[i];
        else
            free(all->items[i].argv0);
    *all = (struct procs){0};
    return kept;
}

struct procs procs_keep(struct procs *all, const struct procs_wanted *w)
{
    AUTO_FREE bool *keep = calloc(all->n + 1, sizeof *keep);
    if (!keep)
        abort();
    for (size_t i = 0; i < all->n; i++)
        keep[i] = procs_wants(w, &all->items[i]);
    return procs_keep_these(all, keep);
}

json_t *procs_json(const struct proc *p, const char *unit)
{
    char state[] = {p->state, '\0'};
    json_t *j = json_pack("{s:i,s:I}", "pid", p->pid, "start", (json_int_t)p->start);
    json_object_set_new(j, "name", jsonx_new_text(p->comm));
    json_object_set_new(j, "unit", unit ? json_string(unit) : json_null());
    json_object_set_new(j, "state", json_string(state));
    return j;
}
