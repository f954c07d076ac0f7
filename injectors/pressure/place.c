/* A folder of a host, reached from outside. See place.h. */
#include "injectors/pressure/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "injectors/pressure/volume.h"
#include "sim/attach/procs.h"
#include "sim/base/cleanup.h"
#include "sim/base/jsonx.h"

int place_open(int root, const char *path, struct err *err)
{
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    return fd < 0 ? err_errno(err, errno, "the folder %s", path) : fd;
}

int place_root(pid_t pid, int *ret, struct err *err)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/root", (int)pid);
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "cannot reach the host's files");
    *ret = fd;
    return 0;
}

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

int place_look(int fd, const char *path, struct place_space *ret, struct err *err)
{
    struct statfs fs;
    struct stat st;
    if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
        return err_errno(err, errno, "the file system of %s", path);
    *ret = (struct place_space){.total = (int64_t)fs.f_blocks * fs.f_bsize,
                                .available = (int64_t)fs.f_bavail * fs.f_bsize,
                                .memory = fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC};
    ret->own = ret->memory && !is_ours(st.st_dev);
    return 0;
}

/* Its root, by whoever saw it; -1: by nobody any more. */
static int root_of(const json_t *record)
{
    pid_t pid = (pid_t)jsonx_int(record, "pid", 0);
    int root = -1;
    if (jsonx_bool(record, "machine", false))
        return open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (pid > 0 && procs_started(pid) == (unsigned long long)jsonx_int(record, "start", 0))
        (void)place_root(pid, &root, NULL);
    return root;
}

static int find_in_lab(struct lab_node *n, const char *folder, int *ret, struct err *err)
{
    AUTO_CLOSE int root = -1;
    int r = place_root(lab_node_pid(n), &root, err);
    if (r < 0)
        return r;
    int fd = place_open(root, folder, NULL);
    if (fd < 0)
        return 1; /* it has gone with its file system */
    *ret = fd;
    return 0;
}

int place_find(struct lab_node *n, const json_t *record, const char *folder, const char *name,
               int *ret, struct err *err)
{
    const json_t *volume = json_object_get(record, "volume");
    struct stat st;
    if (n && !lab_node_attached(n))
        return find_in_lab(n, folder, ret, err);
    AUTO_CLOSE int root = root_of(record);
    AUTO_CLOSE int fd = root < 0 ? -1 : place_open(root, folder, NULL);
    /* A folder of that name may be another one: where a disk was mounted, and is not yet. */
    bool there = fd >= 0 && (!volume || volume_may_be(volume, fd) ||
                             fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0);
    if (there) {
        *ret = steal_fd(&fd);
        return 0;
    }
    return volume ? volume_find(volume, name, ret, err) : 1;
}

void place_note(const struct attached_host *a, int folder, json_t *record)
{
    json_t *volume = volume_note(folder, a->at.pid);
    json_object_set_new(record, "machine", json_boolean(a->at.shares_mounts));
    json_object_set_new(record, "pid", json_integer(a->at.pid));
    json_object_set_new(record, "start", json_integer((json_int_t)a->at.start));
    if (volume)
        json_object_set_new(record, "volume", volume);
}

bool place_lasts(const json_t *record)
{
    return jsonx_bool(record, "machine", false) || volume_lasts(json_object_get(record, "volume"));
}
