/* A folder by its file system. See volume.h. */
#include "injectors/pressure/volume.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "injectors/pressure/place.h"
#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/kernel/mounts.h"

#define BY_UUID "/dev/disk/by-uuid"
#define LAYERS_MOST 4 /* an overlay upon an overlay … */

/* --- Noting ----------------------------------------------------------------------------------- */

/* What udev calls the device of that number; "" where nobody does. */
static void uuid_of(dev_t dev, char ret[NAME_MAX + 1])
{
    AUTO_CLOSEDIR DIR *d = opendir(BY_UUID);
    ret[0] = '\0';
    for (const struct dirent *e; d && (e = readdir(d));) {
        struct stat st;
        if (fstatat(dirfd(d), e->d_name, &st, 0) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == dev)
            snprintf(ret, NAME_MAX + 1, "%s", e->d_name);
    }
}

/* "mnt_id:\t544" in /proc/self/fdinfo/N; 0: not told. */
static unsigned long mount_of(int fd)
{
    char path[64];
    AUTO_FREE char *text = NULL;
    size_t n;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    if (file_read(AT_FDCWD, path, 65536, &text, &n, NULL) < 0)
        return 0;
    const char *at = strstr(text, "mnt_id:");
    return at ? strtoul(at + strlen("mnt_id:"), NULL, 10) : 0;
}

/* `path` without what it has of `above`, a path that leads to it; NULL: it does not. */
static const char *below(const char *path, const char *above)
{
    size_t n = strlen(above);
    if (n == 1) /* "/" */
        return path;
    return strncmp(path, above, n) == 0 && (path[n] == '/' || !path[n]) ? path + n : NULL;
}

/* The mount of an open folder, and what that is called. */
struct noting {
    unsigned long id;
    const char *path; /* of the folder, as its mount namespace sees it */
    int depth;
    json_t *volume;
};

static json_t *note_at(int folder, pid_t pid, int depth);

/* "rw,lowerdir=l/A:l/B,upperdir=/var/lib/x/diff,workdir=…": where it is written; -1: we do not see that. */
static int open_upper(const char *options)
{
    const char *at = strstr(options, ",upperdir=");
    if (!at)
        return -1;
    at += strlen(",upperdir=");
    AUTO_BUF path = BUF_INIT;
    buf_printf(&path, "%.*s", (int)strcspn(at, ","), at);
    return open(buf_text(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static json_t *note_upper(const char *options, const char *inside, int depth)
{
    AUTO_CLOSE int fd = depth < LAYERS_MOST ? open_upper(options) : -1;
    json_t *upper = fd >= 0 ? note_at(fd, 0, depth + 1) : NULL;
    if (upper) {
        const char *to = jsonx_str(upper, "path", "/");
        json_object_set_new(upper, "path",
                            json_sprintf("%s%s", strcmp(to, "/") == 0 ? "" : to, inside));
    }
    return upper;
}

static int note_mount(const struct mount_line *m, void *data)
{
    struct noting *n = data;
    const char *rest = m->id == n->id ? below(n->path, m->point) : NULL;
    char uuid[NAME_MAX + 1];
    if (!rest)
        return 0;
    AUTO_BUF inside = BUF_INIT;
    buf_printf(&inside, "%s%s", strcmp(m->root, "/") == 0 ? "" : m->root,
               strcmp(rest, "/") == 0 ? "" : rest);
    uuid_of(m->dev, uuid);
    n->volume = json_pack("{s:s,s:s,s:s,s:s}", "type", m->type, "source", m->source, "uuid", uuid,
                          "path", inside.len ? buf_text(&inside) : "/");
    if (n->volume && strcmp(m->type, "overlay") == 0) {
        json_t *upper = note_upper(m->options, jsonx_str(n->volume, "path", "/"), n->depth);
        if (upper)
            json_object_set_new(n->volume, "upper", upper);
    }
    return 1;
}

static uint64_t id_of(const struct statfs *fs)
{
    uint64_t id = 0;
    memcpy(&id, &fs->f_fsid, sizeof fs->f_fsid < sizeof id ? sizeof fs->f_fsid : sizeof id);
    return id;
}

/* A mount of ours is called as we see it; of others', as those do. */
static json_t *note_at(int folder, pid_t pid, int depth)
{
    char link[64], path[PATH_MAX] = "", id[32];
    struct statfs fs;
    struct stat st;
    struct noting n = {.id = mount_of(folder), .path = path, .depth = depth};
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    if (!n.id || readlink(link, path, sizeof path - 1) < 0 || fstatfs(folder, &fs) < 0 ||
        fstat(folder, &st) < 0)
        return NULL;
    const pid_t whose[] = {0, pid};
    for (size_t i = 0; !n.volume && i < (pid ? 2u : 1u); i++) {
        int opened = -1;
        if (mounts_open(whose[i], &opened, NULL) < 0)
            continue;
        AUTO_CLOSE int fd = opened;
        (void)mounts_each(fd, note_mount, &n, NULL);
    }
    if (n.volume) {
        snprintf(id, sizeof id, "%016" PRIx64, id_of(&fs));
        json_object_set_new(n.volume, "fsid", json_string(id));
        json_object_set_new(n.volume, "magic", json_integer((json_int_t)fs.f_type));
        json_object_set_new(n.volume, "major", json_integer(major(st.st_dev)));
        json_object_set_new(n.volume, "minor", json_integer(minor(st.st_dev)));
    }
    return n.volume;
}

json_t *volume_note(int folder, pid_t pid)
{
    return note_at(folder, pid, 0);
}

bool volume_device(int folder, pid_t pid, dev_t *ret)
{
    AUTO_JSON *volume = volume_note(folder, pid);
    dev_t dev = 0;
    for (const json_t *v = volume; v; v = json_object_get(v, "upper"))
        dev = makedev((unsigned)jsonx_int(v, "major", 0), (unsigned)jsonx_int(v, "minor", 0));
    *ret = dev;
    return dev != 0;
}

/* --- Whether it is that one --------------------------------------------------------------------- */

bool volume_lasts(const json_t *volume)
{
    const json_t *upper = json_object_get(volume, "upper");
    int64_t magic = jsonx_int(volume, "magic", 0);
    return upper ? volume_lasts(upper)
                 : magic != 0 && magic != TMPFS_MAGIC && magic != (int64_t)RAMFS_MAGIC;
}

bool volume_may_be(const json_t *volume, int folder)
{
    struct statfs fs;
    char id[32];
    if (fstatfs(folder, &fs) < 0)
        return false;
    snprintf(id, sizeof id, "%016" PRIx64, id_of(&fs));
    return (int64_t)fs.f_type == jsonx_int(volume, "magic", 0) &&
           strcmp(id, jsonx_str(volume, "fsid", "")) == 0;
}

/* Not of overlays: upon one disk all of them may have the id of that. */
static bool is_it(const json_t *volume, int folder, dev_t dev)
{
    const char *uuid = jsonx_str(volume, "uuid", "");
    char its[NAME_MAX + 1];
    if (strcmp(jsonx_str(volume, "type", ""), "overlay") == 0)
        return false;
    if (*uuid) {
        uuid_of(dev, its);
        return strcmp(uuid, its) == 0;
    }
    return strspn(jsonx_str(volume, "fsid", "0"), "0") < 16 && volume_may_be(volume, folder);
}

/* --- Finding ---------------------------------------------------------------------------------- */

struct search {
    const json_t *volume;
    const char *name;
    int root;    /* of whom the mounts are */
    int found;   /* the folder; -1 */
    bool covers; /* the file system is there, with the place where it would be */
};

static bool has(int folder, const char *name)
{
    struct stat st;
    return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int look_in(const struct mount_line *m, void *data)
{
    struct search *s = data;
    const char *rest = below(jsonx_str(s->volume, "path", "/"), m->root);
    if (!rest || strcmp(m->type, jsonx_str(s->volume, "type", "")) != 0)
        return 0;
    AUTO_CLOSE int top = place_open(s->root, m->point, NULL);
    AUTO_BUF path = BUF_INIT;
    buf_printf(&path, "%s/%s", m->point, rest);
    AUTO_CLOSE int folder = top < 0 ? -1 : place_open(s->root, buf_text(&path), NULL);
    if (folder >= 0 && has(folder, s->name)) {
        s->found = steal_fd(&folder);
        return 1;
    }
    s->covers = s->covers || (top >= 0 && is_it(s->volume, top, m->dev));
    return 0;
}

static void look_at(struct search *s, pid_t pid)
{
    int opened = -1, root = -1;
    if (mounts_open(pid, &opened, NULL) < 0)
        return;
    AUTO_CLOSE int fd = opened;
    if (place_root(pid ? pid : getpid(), &root, NULL) < 0)
        return;
    s->root = root;
    (void)mounts_each(fd, look_in, s, NULL);
    close(root);
}

/* Is it the first process that we meet in its mount namespace? */
static bool is_new(ino_t **seen, size_t *n, ino_t ns)
{
    for (size_t i = 0; i < *n; i++)
        if ((*seen)[i] == ns)
            return false;
    *seen = reallocarray(*seen, *n + 1, sizeof **seen);
    if (!*seen)
        abort();
    (*seen)[(*n)++] = ns;
    return true;
}

/* In our own mounts first, then in those of everybody. */
static void look_everywhere(struct search *s)
{
    AUTO_FREE ino_t *seen = NULL;
    size_t n = 0;
    struct stat st;
    AUTO_CLOSEDIR DIR *proc = opendir("/proc");
    if (stat("/proc/self/ns/mnt", &st) == 0)
        (void)is_new(&seen, &n, st.st_ino);
    look_at(s, 0);
    for (const struct dirent *e; s->found < 0 && proc && (e = readdir(proc));) {
        char path[300];
        snprintf(path, sizeof path, "%s/ns/mnt", e->d_name);
        if (isdigit((unsigned char)e->d_name[0]) && fstatat(dirfd(proc), path, &st, 0) == 0 &&
            is_new(&seen, &n, st.st_ino))
            look_at(s, (pid_t)strtol(e->d_name, NULL, 10));
    }
}

/* The block device as it is called now, or "". */
static void device_of(const json_t *volume, char ret[PATH_MAX])
{
    const char *uuid = jsonx_str(volume, "uuid", ""), *source = jsonx_str(volume, "source", "");
    struct stat st;
    if (*uuid)
        snprintf(ret, PATH_MAX, BY_UUID "/%s", uuid);
    else
        snprintf(ret, PATH_MAX, "%s", source);
    if (strncmp(ret, "/dev/", strlen("/dev/")) != 0 || stat(ret, &st) < 0 || !S_ISBLK(st.st_mode))
        ret[0] = '\0';
}

/* A mount that nobody sees, and that goes with what is open of it. */
static int mounted(const char *type, const char *device)
{
    AUTO_CLOSE int fs = fsopen(type, FSOPEN_CLOEXEC);
    if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "source", device, 0) < 0 ||
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -1;
    return fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

static void look_on_device(struct search *s)
{
    char device[PATH_MAX];
    device_of(s->volume, device);
    if (!device[0])
        return;
    AUTO_CLOSE int top = mounted(jsonx_str(s->volume, "type", ""), device);
    if (top < 0)
        return;
    AUTO_CLOSE int folder = place_open(top, jsonx_str(s->volume, "path", "/"), NULL);
    if (folder >= 0 && has(folder, s->name))
        s->found = steal_fd(&folder);
    else
        s->covers = *jsonx_str(s->volume, "uuid", "") || volume_may_be(s->volume, top);
}

static int say_unreachable(const json_t *volume, const char *name, struct err *err)
{
    const char *uuid = jsonx_str(volume, "uuid", ""), *path = jsonx_str(volume, "path", "/");
    return err_set(err, ENODEV,
                   "the file system on which it lies cannot be reached: %s of %s%s%s (type %s), "
                   "there %s/%s; mount it and undo again, or remove that file yourself",
                   *uuid ? "that" : "the one", jsonx_str(volume, "source", "?"),
                   *uuid ? ", UUID " : "", uuid, jsonx_str(volume, "type", "?"),
                   strcmp(path, "/") == 0 ? "" : path, name);
}

int volume_find(const json_t *volume, const char *name, int *ret, struct err *err)
{
    struct search s = {.volume = volume, .name = name, .found = -1};
    const json_t *upper = json_object_get(volume, "upper");
    look_everywhere(&s);
    if (s.found < 0 && upper)
        return volume_find(upper, name, ret, err);
    if (s.found < 0 && !s.covers && volume_lasts(volume))
        look_on_device(&s);
    if (s.found >= 0) {
        *ret = s.found;
        return 0;
    }
    return s.covers || !volume_lasts(volume) ? 1 : say_unreachable(volume, name, err);
}
