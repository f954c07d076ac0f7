/* A file system of a host, filled by one file of ours. See part.h.
 *
 * fallocate(2) takes the blocks at once and writes nothing. A reserve is never touched: 5 % of the file
 * system, 256 MB at least, unless it is a tmpfs of the host's own, whose limit is the lab's; and since
 * a tmpfs is memory, a tenth of the machine's memory stays available.
 *
 * The host's files are reached through /proc/PID/root, and its links lead nowhere out of it
 * (RESOLVE_IN_ROOT).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "injectors/pressure/part.h"
#include "sim/attach/procs.h"
#include "sim/base/cleanup.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/base/units.h"

#define RESERVE_LEAST ((int64_t)256 << 20)

static int open_inside(int root, const char *path, struct err *err)
{
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    return fd < 0 ? err_errno(err, errno, "disk: the folder %s", path) : fd;
}

static int open_root(pid_t pid, int *ret, struct err *err)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/root", (int)pid);
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "disk: cannot reach the host's files");
    *ret = fd;
    return 0;
}

struct space {
    int64_t total, available; /* available: to an ordinary user */
    bool memory;              /* tmpfs */
    bool own;                 /* of the host alone: this process has it nowhere */
};

/* Mounted here too, so of the machine, or of blackstart itself (the hosts' working directories). */
static bool is_ours(dev_t dev)
{
    AUTO_FCLOSE FILE *f = fopen("/proc/self/mountinfo", "re");
    AUTO_FREE char *line = NULL;
    size_t room = 0;
    unsigned a, b;
    if (!f)
        return true; /* not known: then the reserve is kept */
    while (getline(&line, &room, f) > 0)
        if (sscanf(line, "%*d %*d %u:%u", &a, &b) == 2 && makedev(a, b) == dev)
            return true;
    return false;
}

static int look(int fd, const char *path, struct space *ret, struct err *err)
{
    struct statfs fs;
    struct stat st;
    if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
        return err_errno(err, errno, "disk: the file system of %s", path);
    *ret = (struct space){.total = (int64_t)fs.f_blocks * fs.f_bsize,
                          .available = (int64_t)fs.f_bavail * fs.f_bsize,
                          .memory = fs.f_type == TMPFS_MAGIC};
    ret->own = ret->memory && !is_ours(st.st_dev);
    return 0;
}

static int64_t memory_to_spare(void)
{
    AUTO_FREE char *text = NULL;
    size_t n;
    if (file_read(AT_FDCWD, "/proc/meminfo", 65536, &text, &n, NULL) < 0)
        return 0;
    const char *total = strstr(text, "MemTotal:"), *available = strstr(text, "MemAvailable:");
    if (!total || !available)
        return 0;
    int64_t all = strtoll(total + strlen("MemTotal:"), NULL, 10) * 1024;
    int64_t left = strtoll(available + strlen("MemAvailable:"), NULL, 10) * 1024;
    int64_t reserve = all / 10 > RESERVE_LEAST ? all / 10 : RESERVE_LEAST;
    return left > reserve ? left - reserve : 0;
}

static int choose_size(const struct pressure_disk *p, const struct space *s, int64_t *ret,
                       struct err *err)
{
    char a[UNITS_TEXT_MAX], b[UNITS_TEXT_MAX];
    int64_t leave = p->fill > 0 ? (int64_t)((1 - p->fill) * (double)s->total) : p->leave;
    int64_t reserve = s->own ? 0 : s->total / 20 > RESERVE_LEAST ? s->total / 20 : RESERVE_LEAST;
    if (leave < reserve)
        return err_set(
            err, ENOSPC,
            "disk: the file system of %s is not the host's own: at least %s of it must "
            "stay free, not %s (5 %%, 256 MB at least); give a smaller 'fill' or more to "
            "'leave'",
            p->path, units_size_text(reserve, a), units_size_text(leave, b));
    if (s->available <= leave)
        return err_set(err, EALREADY, "disk: the file system of %s has only %s left already",
                       p->path, units_size_text(s->available, a));
    int64_t size = s->available - leave;
    if (s->memory && size > memory_to_spare())
        return err_set(err, ENOSPC,
                       "disk: the file system of %s is memory, and %s more of it would leave less "
                       "than a tenth of the machine's; give a smaller 'fill' or more to 'leave'",
                       p->path, units_size_text(size, a));
    *ret = size;
    return 0;
}

int disk_prepare(struct disk *d, struct lab_node *n, const struct pressure_disk *p,
                 const char *run_id, const char *step, json_t *record, struct err *err)
{
    const struct attached_host *a = lab_node_attached(n);
    struct space s;
    *d = (struct disk){.root = -1, .params = p};
    if (!p)
        return 0;
    int r = open_root(a ? a->at.pid : lab_node_pid(n), &d->root, err);
    if (r < 0)
        return r;
    AUTO_CLOSE int fd = open_inside(d->root, p->path, err);
    if (fd < 0)
        return fd;
    r = look(fd, p->path, &s, err);
    if (r == 0)
        r = choose_size(p, &s, &d->size, err);
    if (r < 0)
        return r;
    snprintf(d->name, sizeof d->name, ".blackstart-%.40s-%.60s", run_id, step);
    json_object_set_new(record, "folder", json_string(p->path));
    json_object_set_new(record, "file", json_string(d->name));
    if (a) {
        json_object_set_new(record, "machine", json_boolean(a->at.shares_mounts));
        json_object_set_new(record, "pid", json_integer(a->at.pid));
        json_object_set_new(record, "start", json_integer((json_int_t)a->at.start));
    }
    return 0;
}

int disk_fill(struct disk *d, json_t *changes, struct err *err)
{
    char text[UNITS_TEXT_MAX], left[UNITS_TEXT_MAX];
    struct space s;
    if (d->root < 0)
        return 0;
    AUTO_CLOSE int folder = open_inside(d->root, d->params->path, err);
    if (folder < 0)
        return folder;
    AUTO_CLOSE int fd =
        openat(folder, d->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, "disk: cannot make %s/%s", d->params->path, d->name);
    /* A block or two may have gone since it was looked at: then a little less. */
    int64_t size = d->size;
    int code = 0;
    for (int tries = 0; tries < 8; tries++) {
        code = fallocate(fd, 0, 0, size) < 0 ? errno : 0;
        if (code != ENOSPC)
            break;
        size -= size / 100 + 65536;
        if (size <= 0)
            break;
    }
    if (code)
        return err_errno(err, code, "disk: cannot take %s of %s", units_size_text(d->size, text),
                         d->params->path);
    int r = look(folder, d->params->path, &s, err);
    if (r < 0)
        return r;
    d->size = size;
    d->left_then = s.available;
    json_array_append_new(changes, json_sprintf("%s/%s takes %s, %s are left", d->params->path,
                                                d->name, units_size_text(size, text),
                                                units_size_text(s.available, left)));
    return 0;
}

void disk_done(struct disk *d)
{
    if (d->root >= 0)
        close(d->root);
    d->root = -1;
}

int disk_verify(struct disk *d, bool *ok, struct buf *asked, struct buf *seen, struct err *err)
{
    char text[UNITS_TEXT_MAX], left[UNITS_TEXT_MAX];
    struct space s;
    struct stat st;
    if (d->root < 0)
        return 0;
    AUTO_CLOSE int folder = open_inside(d->root, d->params->path, err);
    if (folder < 0)
        return folder;
    int r = look(folder, d->params->path, &s, err);
    if (r < 0)
        return r;
    bool there = fstatat(folder, d->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                 (int64_t)st.st_blocks * 512 >= d->size / 100 * 99;
    *ok = *ok && there;
    buf_printf(asked, "%s%s of %s taken", asked->len ? ", " : "", units_size_text(d->size, text),
               d->params->path);
    buf_printf(seen, "%sthe file %s, %s free", seen->len ? ", " : "",
               there ? "is there" : "is not there", units_size_text(s.available, left));
    return 0;
}

/* Where the record's file lies: in a host of the lab; in the machine's own files (which a reboot does not
 * empty); or in those of a process of others, as long as that lives. 0; 1: it has gone. */
static int find_root(struct lab_node *n, const json_t *record, int *ret, struct err *err)
{
    pid_t pid = (pid_t)jsonx_int(record, "pid", 0);
    if (n && !lab_node_attached(n))
        return open_root(lab_node_pid(n), ret, err);
    if (jsonx_bool(record, "machine", false)) {
        *ret = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        return *ret < 0 ? err_errno(err, errno, "disk: cannot open /") : 0;
    }
    if (pid <= 0 || procs_started(pid) != (unsigned long long)jsonx_int(record, "start", 0))
        return 1;
    return open_root(pid, ret, err);
}

int disk_undo(struct lab_node *n, const json_t *record, json_t *changes, struct err *err)
{
    const char *path = jsonx_str(record, "folder", NULL), *name = jsonx_str(record, "file", "");
    AUTO_CLOSE int root = -1;
    if (!path)
        return 0;
    if (strncmp(name, ".blackstart-", strlen(".blackstart-")) != 0 || strchr(name, '/'))
        return err_set(err, EINVAL, "disk: the record names no file of ours: %.60s", name);
    int r = find_root(n, record, &root, err);
    if (r != 0)
        return r < 0 ? r : 0;
    AUTO_CLOSE int folder = open_inside(root, path, NULL);
    if (folder < 0)
        return 0; /* it has gone with its file system */
    if (unlinkat(folder, name, 0) < 0)
        return errno == ENOENT ? 0 : err_errno(err, errno, "disk: removing %s/%s", path, name);
    json_array_append_new(changes, json_sprintf("host %s: %s/%s removed",
                                                jsonx_str(record, "host", "?"), path, name));
    return 0;
}
