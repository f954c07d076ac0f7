/* Control groups to sit in. See cgroup_seats.h. Sources: cgroups(7), Documentation/admin-guide/
 * cgroup-v2.rst (memory.max, memory.stat, cpu.max), cgroup-v1/memory.rst, scheduler/sched-bwc.rst.
 */
#include "sim/kernel/cgroup_seats.h"

#include "sim/base/cleanup.h"
#include "sim/base/file.h"
#include "sim/kernel/cgroup.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 65536
#define NO_LIMIT (INT64_C(1) << 60) /* v1 writes the largest number of pages there are */

void cgroup_seats_done(struct cgroup_seats *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->items[i].dir);
        close(s->items[i].procs);
    }
    free(s->items);
    *s = (struct cgroup_seats){0};
}

/* Of one hierarchy: v2 (NULL), or that of this controller. */
typedef int hierarchy_fn(pid_t pid, const char *controller, void *data, struct err *err);

static void put_seat(struct cgroup_seats *s, const char *dir, bool v1, int procs)
{
    s->items = reallocarray(s->items, s->n + 1, sizeof *s->items);
    char *copy = strdup(dir);
    if (!s->items || !copy)
        abort();
    s->items[s->n++] = (struct cgroup_seat){.dir = copy, .v1 = v1, .procs = procs};
}

static int add_seat(pid_t pid, const char *controller, void *data, struct err *err)
{
    struct cgroup_seats *s = data;
    char dir[PATH_MAX], own[PATH_MAX], procs[PATH_MAX + sizeof "/cgroup.procs"];
    int r = cgroup_folder(pid, controller, dir, err);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    if (cgroup_folder_is_root(dir, controller) ||
        (cgroup_folder(0, controller, own, NULL) == 0 && strcmp(own, dir) == 0))
        return 0;
    snprintf(procs, sizeof procs, "%s/cgroup.procs", dir);
    int fd = open(procs, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "nothing may be started in the control group %s", dir);
    put_seat(s, dir, controller != NULL, fd);
    return 0;
}

/* Lines as "4:cpu,cpuacct:/path" and "0::/path": a hierarchy is known by its first controller. */
static int each_hierarchy(pid_t pid, hierarchy_fn *fn, void *data, struct err *err)
{
    char path[64];
    AUTO_FREE char *text = NULL;
    size_t n;
    snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
    int r = file_read(AT_FDCWD, path, TEXT_MAX, &text, &n, err);
    if (r < 0)
        return r == -ENOENT ? err_set(err, ESRCH, "process %d has ended", (int)pid) : r;
    for (char *line = text, *next; r == 0 && *line; line = next) {
        next = line + strcspn(line, "\n");
        if (*next)
            *next++ = '\0';
        char *first = strchr(line, ':'), *second = first ? strchr(first + 1, ':') : NULL;
        if (!second)
            continue;
        *second = '\0';
        first[1 + strcspn(first + 1, ",")] = '\0';
        r = fn(pid, first[1] ? first + 1 : NULL, data, err);
    }
    return r;
}

int cgroup_seats_of(pid_t pid, struct cgroup_seats *ret, struct err *err)
{
    AUTO_CGROUP_SEATS s = {0};
    int r = each_hierarchy(pid, add_seat, &s, err);
    if (r < 0)
        return r;
    *ret = s;
    s = (struct cgroup_seats){0};
    return 0;
}

void cgroup_folders_free(char ***folders)
{
    for (char **f = *folders; f && *f; f++)
        free(*f);
    free(*folders);
    *folders = NULL;
}

static int add_folder(pid_t pid, const char *controller, void *data, struct err *err)
{
    char ***folders = data, dir[PATH_MAX];
    size_t n = 0;
    int r = cgroup_folder(pid, controller, dir, err);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    while (*folders && (*folders)[n])
        n++;
    *folders = reallocarray(*folders, n + 2, sizeof **folders);
    if (!*folders || !((*folders)[n] = strdup(dir)))
        abort();
    (*folders)[n + 1] = NULL;
    return 0;
}

int cgroup_folders(pid_t pid, char ***ret, struct err *err)
{
    char **folders = NULL;
    int r = each_hierarchy(pid, add_folder, &folders, err);
    if (r < 0) {
        cgroup_folders_free(&folders);
        return r;
    }
    *ret = folders;
    return 0;
}

void cgroup_seats_in(const char *const *folders, size_t n, struct cgroup_seats *ret)
{
    *ret = (struct cgroup_seats){0};
    for (size_t i = 0; i < n; i++) {
        char procs[PATH_MAX + sizeof "/cgroup.procs"];
        snprintf(procs, sizeof procs, "%s/cgroup.procs", folders[i]);
        int fd = open(procs, O_WRONLY | O_CLOEXEC);
        if (fd >= 0)
            put_seat(ret, folders[i], /*v1=*/false, fd);
    }
}

int cgroup_seats_take(const struct cgroup_seats *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (write(s->items[i].procs, "0", 1) < 0) /* the writer itself */
            return errno;
    return 0;
}

/* --- What they limit --------------------------------------------------------------------------- */

static char *read_in(const struct cgroup_seat *s, const char *name)
{
    AUTO_CLOSE int dir = open(s->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    char *text = NULL;
    size_t n;
    return dir >= 0 && file_read(dir, name, TEXT_MAX, &text, &n, NULL) == 0 ? text : NULL;
}

/* -1: there is no such file, or it says "max". */
static int64_t number_in(const struct cgroup_seat *s, const char *name)
{
    AUTO_FREE char *text = read_in(s, name);
    char *end;
    if (!text)
        return -1;
    long long value = strtoll(text, &end, 10);
    return end == text ? -1 : value;
}

static int64_t cached(const struct cgroup_seat *s)
{
    static const char *const words[2][2] = {{"\ninactive_file ", "\nactive_file "},
                                            {"\ntotal_inactive_file ", "\ntotal_active_file "}};
    AUTO_FREE char *text = read_in(s, "memory.stat");
    int64_t sum = 0;
    for (int i = 0; text && i < 2; i++) {
        const char *at = strstr(text, words[s->v1][i]);
        sum += at ? strtoll(at + strlen(words[s->v1][i]), NULL, 10) : 0;
    }
    return sum;
}

void cgroup_seats_room(const struct cgroup_seats *s, int64_t *ret_room, int64_t *ret_limit)
{
    *ret_room = *ret_limit = INT64_MAX;
    for (size_t i = 0; i < s->n; i++) {
        const struct cgroup_seat *one = &s->items[i];
        int64_t limit = number_in(one, one->v1 ? "memory.limit_in_bytes" : "memory.max");
        int64_t used = number_in(one, one->v1 ? "memory.usage_in_bytes" : "memory.current");
        if (limit < 0 || limit >= NO_LIMIT || used < 0)
            continue;
        int64_t held = used - cached(one);
        int64_t room = held < 0 ? limit : held < limit ? limit - held : 0;
        if (room < *ret_room) {
            *ret_room = room;
            *ret_limit = limit;
        }
    }
}

double cgroup_seats_processors(const struct cgroup_seats *s)
{
    double least = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct cgroup_seat *one = &s->items[i];
        AUTO_FREE char *max = one->v1 ? NULL : read_in(one, "cpu.max");
        long long quota = -1, period = -1;
        if (one->v1) {
            quota = number_in(one, "cpu.cfs_quota_us");
            period = number_in(one, "cpu.cfs_period_us");
        } else if (max && sscanf(max, "%lld %lld", &quota, &period) != 2) {
            continue; /* "max 100000" */
        }
        if (quota <= 0 || period <= 0)
            continue;
        double processors = (double)quota / (double)period;
        least = least > 0 && least < processors ? least : processors;
    }
    return least;
}
