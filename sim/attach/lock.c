/* Locks on targets. See lock.h. */
#include "sim/attach/lock.h"

#include "sim/attach/claim.h"
#include "sim/attach/kind.h"

#include "sim/base/cleanup.h"
#include "sim/base/file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static void keep(struct attached *a, int fd)
{
    a->locks = reallocarray(a->locks, a->locks_n + 1, sizeof *a->locks);
    if (!a->locks)
        abort();
    a->locks[a->locks_n++] = fd;
}

/* A descriptor of the same file that we hold locks on; -1: none. */
static int held(const struct attached *a, const struct stat *st)
{
    for (size_t i = 0; i < a->locks_n; i++) {
        struct stat its;
        if (fstat(a->locks[i], &its) == 0 && its.st_dev == st->st_dev && its.st_ino == st->st_ino)
            return a->locks[i];
    }
    return -1;
}

/* --- Who has it -------------------------------------------------------------------------------- */

/* One line of /proc/locks or of /proc/PID/fdinfo: "… OFDLCK ADVISORY READ -1 00:04:4026531836 412 412",
 * "… FLOCK ADVISORY WRITE 77 00:04:4026532001 0 EOF". */
static bool is_lock(const char *line, const char *type, const struct stat *st, long long byte,
                    int *ret_pid)
{
    unsigned major, minor;
    unsigned long ino;
    long long first, last; /* neighbouring bytes are one lock */
    const char *at = strstr(line, type);
    int n = at ? sscanf(at, "%*s %*s %*s %d %x:%x:%lu %lld %lld", ret_pid, &major, &minor, &ino,
                        &first, &last)
               : 0;
    if (n < 5 || makedev(major, minor) != st->st_dev || ino != st->st_ino)
        return false;
    return byte < 0 || (n == 6 && first <= byte && byte <= last);
}

static pid_t holder_in(const char *path, const char *type, const struct stat *st, long long byte)
{
    AUTO_FCLOSE FILE *f = fopen(path, "re");
    char line[256];
    int pid;
    while (f && fgets(line, sizeof line, f))
        if (is_lock(line, type, st, byte, &pid))
            return pid > 0 ? pid : 1;
    return 0;
}

/* Locks on bytes tell nobody's number: whoever has a descriptor with one is found. */
static pid_t byte_holder(const struct stat *st, long long byte)
{
    AUTO_CLOSEDIR DIR *proc = opendir("/proc");
    for (const struct dirent *p; proc && (p = readdir(proc));) {
        char path[600];
        if (!isdigit((unsigned char)p->d_name[0]))
            continue;
        snprintf(path, sizeof path, "/proc/%s/fdinfo", p->d_name);
        AUTO_CLOSEDIR DIR *fds = opendir(path);
        for (const struct dirent *e; fds && (e = readdir(fds));) {
            snprintf(path, sizeof path, "/proc/%s/fdinfo/%s", p->d_name, e->d_name);
            if (holder_in(path, "OFDLCK", st, byte))
                return (pid_t)strtol(p->d_name, NULL, 10);
        }
    }
    return 0;
}

static int say_held(const char *what, pid_t pid, struct err *err)
{
    char path[32], name[32] = "";
    AUTO_FREE char *comm = NULL;
    size_t n;
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    if (pid > 0 && file_read(AT_FDCWD, path, sizeof name, &comm, &n, NULL) == 0)
        snprintf(name, sizeof name, "%.*s", (int)strcspn(comm, "\n"), comm);
    if (!name[0])
        return err_set(err, EBUSY,
                       "another drill holds %s and is being undone; try again in a moment", what);
    return err_set(err, EBUSY,
                   "another drill holds %s: process %d (%s); wait for its end ('blackstart status' "
                   "tells of it)",
                   what, (int)pid, name);
}

/* --- Locking ----------------------------------------------------------------------------------- */

static int lock_network(struct attached *a, const struct attached_host *h, struct err *err)
{
    struct netns_id id;
    AUTO_CLOSE int fd = -1;
    struct stat st;
    int r = netns_open(h->at.path, &fd, err);
    if (r == 0)
        r = netns_identity(fd, &id, err);
    if (r == 0 && !netns_same(id, h->at.id))
        r = err_set(err, ESRCH, "%s leads to another network namespace now", h->at.path);
    if (r < 0)
        return r;
    if (fstat(fd, &st) == 0 && held(a, &st) >= 0)
        return 0;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        char what[300];
        if (errno != EWOULDBLOCK)
            return err_errno(err, errno, "locking %s", h->at.path);
        snprintf(what, sizeof what, "the network namespace %s", h->at.path);
        return say_held(what, holder_in("/proc/locks", "FLOCK", &st, -1), err);
    }
    keep(a, steal_fd(&fd));
    return 0;
}

static int lock_byte(int fd, const struct stat *st, long long byte, const char *what,
                     struct err *err)
{
    struct flock ask = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    struct flock take = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    if (fcntl(fd, F_OFD_GETLK, &ask) < 0)
        return err_errno(err, errno, "locking %s", what);
    if (ask.l_type != F_UNLCK)
        return say_held(what, byte_holder(st, byte), err);
    if (fcntl(fd, F_OFD_SETLK, &take) < 0)
        return err_errno(err, errno, "locking %s", what);
    return 0;
}

/* The file whose bytes are locked, opened once; and a second descriptor of it that holds the flock. */
static int open_bytes(struct attached *a, const char *path, int *ret_fd, int *ret_moment,
                      struct stat *ret_st, struct err *err)
{
    AUTO_CLOSE int moment = open(path, O_RDONLY | O_CLOEXEC);
    if (moment < 0 || fstat(moment, ret_st) < 0)
        return err_errno(err, errno, "cannot open %s", path);
    int fd = held(a, ret_st);
    if (fd < 0) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return err_errno(err, errno, "cannot open %s", path);
        keep(a, fd);
    }
    while (flock(moment, LOCK_EX) < 0)
        if (errno != EINTR)
            return err_errno(err, errno, "locking %s", path);
    *ret_fd = fd;
    *ret_moment = steal_fd(&moment);
    return 0;
}

static int lock_processes(struct attached *a, const struct attached_host *h,
                          const struct procs *seen, struct err *err)
{
    AUTO_PROCS looked = {0};
    AUTO_CLOSE int moment = -1;
    struct stat st;
    int fd = -1, r = h->kind->processes && !seen ? procs_scan(&looked, err) : 0;
    const struct procs *all = seen ? seen : &looked;
    AUTO_FREE bool *own = calloc(all->n + 1, sizeof *own);
    if (!own)
        abort();
    if (r == 0 && h->kind->processes)
        r = attached_own(h, all, own, err);
    if (r == 0)
        r = open_bytes(a, "/proc/self/ns/pid", &fd, &moment, &st, err);
    for (size_t i = 0; r == 0 && i < all->n; i++) {
        const struct proc *p = &all->items[i];
        char what[100];
        snprintf(what, sizeof what, "process %d (%s)", (int)p->pid, p->comm);
        if (own[i])
            r = lock_byte(fd, &st, p->pid, what, err);
    }
    return r;
}

static int lock_interface(struct attached *a, const struct attached_host *h, struct err *err)
{
    AUTO_CLOSE int moment = -1;
    struct stat st;
    int fd = -1;
    int r = open_bytes(a, h->at.path, &fd, &moment, &st, err);
    json_int_t index = json_integer_value(json_object_get(h->at.own, "ifindex"));
    return r < 0 ? r : lock_byte(fd, &st, index, h->at.what, err);
}

int lock_host(struct attached *a, const struct attached_host *h, const struct procs *seen,
              struct err *err)
{
    int r = 0;
    if (!h->at.shares_network)
        r = lock_network(a, h, err);
    if (r == 0 && h->at.interface)
        r = lock_interface(a, h, err);
    if (r == 0 && h->at.pid)
        r = lock_processes(a, h, seen, err);
    return r;
}

/* --- Claims ------------------------------------------------------------------------------------ */

/* That there are some, of anybody: a lock on a byte that is no process' number. */
#define CLAIM_BYTE (1LL << 40)

static int claims_of_others(int fd, bool *ret, struct err *err)
{
    struct flock ask = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = CLAIM_BYTE, .l_len = 1};
    if (fcntl(fd, F_OFD_GETLK, &ask) < 0)
        return err_errno(err, errno, "asking whether there are other drills");
    *ret = ask.l_type != F_UNLCK;
    return 0;
}

/* Those of these hosts: sets own[i]. */
static int own_of(const struct attached_host *hosts, size_t n, const struct procs *all, bool *own,
                  struct err *err)
{
    AUTO_FREE bool *its = calloc(all->n + 1, sizeof *its);
    int r = 0;
    if (!its)
        abort();
    for (size_t i = 0; r == 0 && i < n; i++) {
        if (!hosts[i].kind->claims)
            continue;
        r = attached_own(&hosts[i], all, its, err);
        for (size_t p = 0; p < all->n; p++)
            own[p] = own[p] || its[p];
    }
    return r;
}

static int refuse_claimed(const struct attached *a, const struct attached_host *hosts, size_t n,
                          const struct procs *seen, struct err *err)
{
    AUTO_PROCS looked = {0};
    pid_t holder = 0;
    int r = seen ? 0 : procs_scan(&looked, err);
    const struct procs *all = seen ? seen : &looked;
    AUTO_FREE bool *own = calloc(all->n + 1, sizeof *own);
    if (!own)
        abort();
    if (r == 0)
        r = own_of(hosts, n, all, own, err);
    if (r < 0)
        return r;
    const struct proc *p = claim_find(a->claims ? a->locks[a->claims - 1] : -1, all, own, &holder);
    if (!p)
        return 0;
    char what[160];
    snprintf(what, sizeof what, "process %d (%s), which belongs to what it drills", (int)p->pid,
             p->comm);
    return say_held(what, holder, err);
}

static int claim_all(struct attached *a, int fd, struct err *err)
{
    struct flock take = {
        .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = CLAIM_BYTE, .l_len = 1};
    int claims = a->claims ? a->locks[a->claims - 1] : -1;
    int r = claim_write(a, &claims, err);
    if (r < 0)
        return r;
    if (!a->claims) {
        keep(a, claims);
        a->claims = a->locks_n;
    }
    return fcntl(fd, F_OFD_SETLK, &take) < 0 ? err_errno(err, errno, "locking what is claimed") : 0;
}

int lock_claims(struct attached *a, const struct attached_host *hosts, size_t n,
                const struct procs *seen, struct err *err)
{
    AUTO_CLOSE int moment = -1;
    struct stat st;
    bool others = false, any = false;
    int fd = -1;
    for (size_t i = 0; i < a->n; i++)
        any = any || a->items[i].kind->claims;
    if (!any)
        return 0;
    int r = open_bytes(a, "/proc/self/ns/pid", &fd, &moment, &st, err);
    if (r == 0)
        r = claims_of_others(fd, &others, err);
    if (r == 0 && others)
        r = refuse_claimed(a, hosts, n, seen, err);
    return r == 0 ? claim_all(a, fd, err) : r;
}
