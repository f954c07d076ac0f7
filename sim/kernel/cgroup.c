/* Control groups that can freeze. See cgroup.h. Sources: cgroups(7), Documentation/admin-guide/
 * cgroup-v2.rst (cgroup.freeze, cgroup.events), cgroup-v1/freezer-subsystem.rst (freezer.state).
 */
#include "sim/kernel/cgroup.h"

#include "sim/base/cleanup.h"
#include "sim/base/file.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REMOVE_WITHIN (500 * NSEC_MSEC) /* a process that was moved may still be on its way */
#define LOOK_EVERY 1                    /* ms */
#define PROCS_MAX ((size_t)4 << 20)     /* bytes of cgroup.procs */

/* --- Where it is ------------------------------------------------------------------------------- */

struct mount_seen {
    char root[PATH_MAX], point[PATH_MAX]; /* root: which part of the hierarchy is mounted there */
};

static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; p && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strncmp(p, word, n) == 0 && (p[n] == ',' || p[n] == '\0' || p[n] == '\n'))
            return true;
    return false;
}

/* The mount of the v2 hierarchy (NULL), or of v1's with this controller or name, by
 * proc_pid_mountinfo(5). */
static bool find_mount(const char *controller, struct mount_seen *ret)
{
    AUTO_FCLOSE FILE *f = fopen("/proc/self/mountinfo", "re");
    AUTO_FREE char *line = NULL;
    size_t room = 0;
    while (f && getline(&line, &room, f) > 0) {
        char kind[32], super[1024];
        const char *rest = strstr(line, " - ");
        if (!rest || sscanf(rest, " - %31s %*s %1023s", kind, super) != 2)
            continue;
        if (strcmp(kind, controller ? "cgroup" : "cgroup2") != 0 ||
            (controller && !has_word(super, controller)))
            continue;
        static_assert(PATH_MAX == 4096, "the widths below");
        if (sscanf(line, "%*s %*s %*s %4095s %4095s", ret->root, ret->point) == 2)
            return true;
    }
    return false;
}

/* What /proc/PID/cgroup says: "0::/path" for v2, "6:freezer:/path" for v1. */
static int path_in(pid_t pid, const char *controller, char ret[PATH_MAX], struct err *err)
{
    char name[64];
    AUTO_FREE char *line = NULL;
    size_t room = 0;
    if (pid)
        snprintf(name, sizeof name, "/proc/%d/cgroup", (int)pid);
    else
        snprintf(name, sizeof name, "/proc/self/cgroup");
    AUTO_FCLOSE FILE *f = fopen(name, "re");
    if (!f)
        return errno == ENOENT ? err_set(err, ESRCH, "process %d has ended", (int)pid)
                               : err_errno(err, errno, "cannot read %s", name);
    while (getline(&line, &room, f) > 0) {
        char *first = strchr(line, ':'), *second = first ? strchr(first + 1, ':') : NULL;
        if (!second)
            continue;
        *first = *second = '\0';
        if (controller ? !has_word(first + 1, controller) : strcmp(line, "0") != 0)
            continue;
        second[1 + strcspn(second + 1, "\n")] = '\0';
        snprintf(ret, PATH_MAX, "%s", second + 1);
        return 0;
    }
    return -ENOENT;
}

int cgroup_folder(pid_t pid, const char *controller, char ret[PATH_MAX], struct err *err)
{
    struct mount_seen m;
    char path[PATH_MAX];
    if (!find_mount(controller, &m))
        return -ENOENT;
    int r = path_in(pid, controller, path, err);
    if (r < 0)
        return r;
    size_t n = strcmp(m.root, "/") == 0 ? 0 : strlen(m.root);
    if (strncmp(path, m.root, n) != 0 || (n > 0 && path[n] != '\0' && path[n] != '/') ||
        strstr(path, "/.."))
        return -ENOENT; /* outside of what is mounted here */
    const char *below = strcmp(path + n, "/") == 0 ? "" : path + n;
    if (strlen(m.point) + strlen(below) >= PATH_MAX)
        return -ENOENT;
    size_t len = strlen(m.point);
    memcpy(ret, m.point, len);
    memcpy(ret + len, below, strlen(below) + 1);
    return 0;
}

bool cgroup_folder_is_root(const char *dir, const char *controller)
{
    struct mount_seen m;
    return find_mount(controller, &m) && strcmp(m.point, dir) == 0;
}

int cgroup_of(pid_t pid, struct cgroup *ret, struct err *err)
{
    struct cgroup found = {.v1 = false};
    int r = cgroup_folder(pid, NULL, found.dir, err);
    if (r == -ENOENT) {
        found.v1 = true;
        r = cgroup_folder(pid, "freezer", found.dir, err);
    }
    if (r == -ENOENT)
        return err_set(
            err, EOPNOTSUPP,
            "no control group that can freeze is mounted here (cgroup v2, or the freezer "
            "of v1)");
    if (r == 0)
        *ret = found;
    return r;
}

bool cgroup_is_root(const struct cgroup *c)
{
    return cgroup_folder_is_root(c->dir, c->v1 ? "freezer" : NULL);
}

bool cgroup_contains(const struct cgroup *outer, const struct cgroup *inner)
{
    size_t n = strlen(outer->dir);
    return outer->v1 == inner->v1 && strncmp(inner->dir, outer->dir, n) == 0 &&
           (inner->dir[n] == '\0' || inner->dir[n] == '/');
}

int cgroup_below(const struct cgroup *parent, const char *name, struct cgroup *ret, struct err *err)
{
    size_t a = strlen(parent->dir), b = strlen(name);
    if (a + 1 + b >= sizeof ret->dir)
        return err_set(err, ENAMETOOLONG, "the control group %s/%s has too long a name",
                       parent->dir, name);
    ret->v1 = parent->v1;
    memmove(ret->dir, parent->dir, a);
    ret->dir[a] = '/';
    memcpy(ret->dir + a + 1, name, b + 1);
    return 0;
}

int cgroup_writable(const struct cgroup *c, struct err *err)
{
    if (faccessat(AT_FDCWD, c->dir, W_OK, AT_EACCESS) == 0)
        return 0;
    int code = errno == EROFS ? EROFS : EPERM;
    return err_set(err, code, "no control group may be made below %s%s", c->dir,
                   code == EROFS ? ", which is mounted read-only" : " without root");
}

int cgroup_make(const struct cgroup *c, struct err *err)
{
    if (mkdir(c->dir, 0755) == 0 || errno == EEXIST)
        return 0;
    return err_errno(err, errno, "making the control group %s", c->dir);
}

/* --- What is in it ----------------------------------------------------------------------------- */

static int write_to(const struct cgroup *c, const char *name, const char *text, struct err *err)
{
    AUTO_CLOSE int dir = open(c->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    AUTO_CLOSE int fd = dir < 0 ? -1 : openat(dir, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "the control group %s: %s", c->dir, name);
    if (write(fd, text, strlen(text)) < 0)
        return err_errno(err, errno, "the control group %s: writing %s", c->dir, name);
    return 0;
}

static int read_from(const struct cgroup *c, const char *name, char **ret, struct err *err)
{
    AUTO_CLOSE int dir = open(c->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    size_t n;
    if (dir < 0)
        return err_errno(err, errno, "the control group %s", c->dir);
    return file_read(dir, name, PROCS_MAX, ret, &n, err);
}

int cgroup_move(const struct cgroup *c, pid_t pid, struct err *err)
{
    char text[16];
    snprintf(text, sizeof text, "%d", (int)pid);
    return write_to(c, "cgroup.procs", text, err);
}

int cgroup_pids(const struct cgroup *c, pid_t **ret, size_t *ret_n, struct err *err)
{
    AUTO_FREE char *text = NULL;
    struct err why = ERR_INIT;
    int r = read_from(c, "cgroup.procs", &text, &why);
    if (r < 0 && r != -ENOENT && r != -ENODEV) {
        if (err)
            *err = why;
        return r;
    }
    size_t lines = 0, n = 0;
    for (const char *p = text; p && *p; p++)
        lines += *p == '\n';
    pid_t *pids = calloc(lines + 1, sizeof *pids);
    if (!pids)
        abort(); /* as the buffers of sim/base do */
    char *end;
    for (char *p = text; p && *p && n < lines; p = *end ? end + 1 : end) {
        pids[n++] = (pid_t)strtol(p, &end, 10);
        if (end == p)
            break;
    }
    *ret = pids;
    *ret_n = n;
    return 0;
}

/* --- Freezing ---------------------------------------------------------------------------------- */

/* What the kernel says: `frozen` (all of it), `thawed`, or neither yet. */
static int read_state(const struct cgroup *c, bool *ret_frozen, bool *ret_thawed, struct err *err)
{
    AUTO_FREE char *text = NULL;
    int r = read_from(c, c->v1 ? "freezer.state" : "cgroup.events", &text, err);
    if (r < 0)
        return r;
    *ret_frozen = strstr(text, c->v1 ? "FROZEN" : "frozen 1") != NULL;
    *ret_thawed = strstr(text, c->v1 ? "THAWED" : "frozen 0") != NULL;
    return 0;
}

int cgroup_freeze(const struct cgroup *c, bool frozen, nsec timeout, struct err *err)
{
    nsec until = nsec_add(nsec_now(CLOCK_MONOTONIC), timeout);
    const char *const words[2][2] = {{"0", "1"}, {"THAWED", "FROZEN"}};
    int r = write_to(c, c->v1 ? "freezer.state" : "cgroup.freeze", words[c->v1][frozen], err);
    while (r == 0) {
        bool is_frozen, is_thawed;
        r = read_state(c, &is_frozen, &is_thawed, err);
        if (r < 0 || (frozen ? is_frozen : is_thawed))
            return r;
        if (nsec_now(CLOCK_MONOTONIC) >= until)
            return err_set(err, ETIMEDOUT, "the control group %s is not %s after %lld ms", c->dir,
                           frozen ? "frozen" : "thawed", (long long)(timeout / NSEC_MSEC));
        (void)poll(NULL, 0, LOOK_EVERY);
    }
    return r;
}

int cgroup_is_frozen(const struct cgroup *c, bool *ret, struct err *err)
{
    bool thawed;
    return read_state(c, ret, &thawed, err);
}

int cgroup_remove(const struct cgroup *c, struct err *err)
{
    nsec until = nsec_add(nsec_now(CLOCK_MONOTONIC), REMOVE_WITHIN);
    while (rmdir(c->dir) < 0) {
        if (errno == ENOENT)
            return 0;
        if (errno != EBUSY || nsec_now(CLOCK_MONOTONIC) >= until)
            return err_errno(err, errno, "removing the control group %s", c->dir);
        (void)poll(NULL, 0, LOOK_EVERY);
    }
    return 0;
}
