/* Hosts that others made. See attach.h. */
#include "sim/lab/attach.h"

#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define NAMED_BY_IP "/run/netns" /* ip-netns(8) */

/* --- Opening ---------------------------------------------------------------------------------- */

static char *path_of(const struct host *h)
{
    struct buf path = BUF_INIT;
    if (h->netns[0] != '/')
        buf_adds(&path, NAMED_BY_IP "/");
    buf_adds(&path, h->netns);
    return buf_steal(&path);
}

/* Never a target: what we stand in, and what the machine itself stands in. */
static int refuse_own(const struct attached_host *h, struct err *err)
{
    static const struct {
        const char *path, *whose;
    } never[] = {{"/proc/self/ns/net", "blackstart itself runs in it"},
                 {"/proc/1/ns/net", "it is the machine's own (process 1 lives in it)"}};
    for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
        struct stat st;
        if (stat(never[i].path, &st) == 0 &&
            netns_same(h->id, (struct netns_id){.dev = st.st_dev, .ino = st.st_ino}))
            return err_set(err, EINVAL, "host %s: the network namespace %s cannot be a target: %s",
                           h->host->name, h->path, never[i].whose);
    }
    return 0;
}

static int refuse_twice(const struct attached *a, const struct attached_host *h, struct err *err)
{
    for (size_t i = 0; i < a->n; i++)
        if (netns_same(a->items[i].id, h->id))
            return err_set(err, EINVAL, "the hosts %s and %s are the same network namespace (%s)",
                           a->items[i].host->name, h->host->name, h->path);
    return 0;
}

static int open_one(const struct attached *a, const struct host *host, struct attached_host *h,
                    struct err *err)
{
    *h = (struct attached_host){.host = host, .path = path_of(host), .fd = -1, .lock_fd = -1};
    int r = netns_open(h->path, &h->fd, err);
    if (r < 0)
        return err_prefix(err, "host %s", host->name);
    if ((r = netns_identity(h->fd, &h->id, err)) < 0 || (r = refuse_own(h, err)) < 0 ||
        (r = refuse_twice(a, h, err)) < 0)
        return r;
    r = netns_cookie(h->fd, &h->cookie, err);
    if (r == -EPERM)
        return err_set(err, EPERM,
                       "host %s: entering a network namespace that others made needs root "
                       "(CAP_SYS_ADMIN): run it with sudo",
                       host->name);
    return r < 0 ? err_prefix(err, "host %s", host->name) : 0;
}

int attached_open(const struct scenario *s, struct attached **ret, struct err *err)
{
    CLEANUP(attached_free_p) struct attached *a = calloc(1, sizeof *a);
    if (!a)
        abort();
    a->mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    a->items = calloc(s->hosts.n + 1, sizeof *a->items);
    if (!a->items)
        abort();
    for (size_t i = 0; i < s->hosts.n; i++) {
        const struct host *h = s->hosts.items[i];
        if (!h->netns)
            continue;
        int r = open_one(a, h, &a->items[a->n], err);
        a->n++;
        if (r < 0)
            return r;
    }
    *ret = steal_ptr(a);
    return 0;
}

struct attached *attached_free(struct attached *a)
{
    if (!a)
        return NULL;
    for (size_t i = 0; i < a->n; i++) {
        free(a->items[i].path);
        int fds[] = {a->items[i].fd, a->items[i].lock_fd};
        for (size_t k = 0; k < ARRAY_SIZE(fds); k++)
            if (fds[k] >= 0)
                close(fds[k]);
    }
    if (a->mounts >= 0)
        close(a->mounts);
    free(a->items);
    free(a);
    return NULL;
}

/* --- The lock --------------------------------------------------------------------------------- */

/* Who has the lock, by proc_locks(5): its pid; 0: not seen (of another pid namespace). */
static pid_t lock_holder(struct netns_id id)
{
    AUTO_FCLOSE FILE *f = fopen("/proc/locks", "re");
    char line[256];
    while (f && fgets(line, sizeof line, f)) {
        int pid;
        unsigned major, minor;
        unsigned long ino;
        if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%lu", &pid, &major, &minor, &ino) == 4 &&
            makedev(major, minor) == id.dev && ino == id.ino)
            return pid;
    }
    return 0;
}

static int say_held(const struct attached_host *h, struct err *err)
{
    pid_t pid = lock_holder(h->id);
    char path[32], name[32] = "";
    AUTO_FREE char *comm = NULL;
    size_t n;
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    if (pid > 0 && file_read(AT_FDCWD, path, sizeof name, &comm, &n, NULL) == 0)
        snprintf(name, sizeof name, "%.*s", (int)strcspn(comm, "\n"), comm);
    if (!name[0])
        return err_set(err, EBUSY,
                       "host %s: another drill holds the network namespace %s and is being undone; "
                       "try again in a moment",
                       h->host->name, h->path);
    return err_set(err, EBUSY,
                   "host %s: another drill holds the network namespace %s: process %d (%s); wait "
                   "for its end ('blackstart status' tells of it)",
                   h->host->name, h->path, (int)pid, name);
}

int attached_lock(struct attached *a, struct err *err)
{
    for (size_t i = 0; i < a->n; i++) {
        struct attached_host *h = &a->items[i];
        struct netns_id id;
        AUTO_CLOSE int fd = -1;
        int r = netns_open(h->path, &fd, err);
        if (r == 0)
            r = netns_identity(fd, &id, err);
        if (r == 0 && !netns_same(id, h->id))
            r = err_set(err, ESRCH, "%s leads to another network namespace now", h->path);
        if (r < 0)
            return err_prefix(err, "host %s", h->host->name);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
            return errno == EWOULDBLOCK ? say_held(h, err)
                                        : err_errno(err, errno, "locking %s", h->path);
        h->lock_fd = steal_fd(&fd);
    }
    return 0;
}

/* --- Identity --------------------------------------------------------------------------------- */

int attached_is_there(const struct attached_host *h, struct err *err)
{
    struct stat st;
    if (stat(h->path, &st) == 0 &&
        netns_same(h->id, (struct netns_id){.dev = st.st_dev, .ino = st.st_ino}))
        return 0;
    return err_set(err, ESRCH, "host %s has gone: the network namespace %s was taken away",
                   h->host->name, h->path);
}

json_t *attached_identity(const struct attached_host *h)
{
    return json_pack("{s:s,s:I,s:I,s:I}", "path", h->path, "dev", (json_int_t)h->id.dev, "ino",
                     (json_int_t)h->id.ino, "cookie", (json_int_t)h->cookie);
}

/* An inode alone may be another namespace's by now; its cookie cannot. */
static bool is_it(int fd, const json_t *identity)
{
    struct netns_id id;
    uint64_t cookie = 0, want = (uint64_t)jsonx_int(identity, "cookie", 0);
    if (netns_identity(fd, &id, NULL) < 0 || (int64_t)id.ino != jsonx_int(identity, "ino", -1) ||
        (int64_t)id.dev != jsonx_int(identity, "dev", -1))
        return false;
    return !want || (netns_cookie(fd, &cookie, NULL) == 0 && cookie == want);
}

/* One that lost its name lives on as long as a process is in it. */
static int find_by_process(const json_t *identity, int *ret_fd, struct err *err)
{
    AUTO_CLOSEDIR DIR *proc = opendir("/proc");
    if (!proc)
        return err_errno(err, errno, "cannot read /proc");
    for (const struct dirent *e; (e = readdir(proc));) {
        char path[300];
        struct stat st;
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        snprintf(path, sizeof path, "%s/ns/net", e->d_name);
        if (fstatat(dirfd(proc), path, &st, 0) < 0 ||
            (int64_t)st.st_ino != jsonx_int(identity, "ino", -1))
            continue;
        AUTO_CLOSE int fd = openat(dirfd(proc), path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && is_it(fd, identity)) {
            *ret_fd = steal_fd(&fd);
            return 0;
        }
    }
    return 0;
}

int attached_find(const json_t *identity, int *ret_fd, struct err *err)
{
    AUTO_CLOSE int fd = -1;
    int found = -1;
    if (netns_open(jsonx_str(identity, "path", ""), &fd, NULL) == 0 && is_it(fd, identity)) {
        *ret_fd = steal_fd(&fd);
        return 0;
    }
    int r = find_by_process(identity, &found, err);
    if (r == 0)
        *ret_fd = found;
    return r;
}
