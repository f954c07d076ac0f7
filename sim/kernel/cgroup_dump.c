/* Control groups as lines for a snapshot; see cgroup.h. Sources: cgroups(7), Documentation/admin-guide/
 * cgroup-v2.rst, cgroup-v1/freezer-subsystem.rst.
 */
#include "sim/kernel/cgroup.h"

#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include "sim/base/file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define VALUE_MAX 4096
#define DEPTH_MAX 32

/* "memory.max=max cpu.max=max,100000" of those that are there. */
static void add_limits(int dir, struct buf *out)
{
    static const char *const names[] = {"cpu.max", "io.max", "memory.high", "memory.max",
                                        "pids.max"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        AUTO_FREE char *value = NULL;
        size_t n;
        if (file_read(dir, names[i], VALUE_MAX, &value, &n, NULL) < 0)
            continue;
        for (char *c = value; *c; c++)
            *c = *c == ' ' || *c == '\n' ? ',' : *c;
        value[n && value[n - 1] == ',' ? n - 1 : n] = '\0';
        buf_printf(out, " %s=%s", names[i], value);
    }
}

static void tell(int dir, const struct cgroup *c, void (*fn)(const char *, void *), void *data)
{
    AUTO_BUF text = BUF_INIT;
    bool frozen = false;
    buf_printf(&text, "cgroup dir=%s", c->dir);
    if (cgroup_is_frozen(c, &frozen, NULL) == 0)
        buf_printf(&text, " frozen=%d", frozen);
    if (!c->v1)
        add_limits(dir, &text);
    fn(buf_text(&text), data);
}

/* One that goes away meanwhile is not there. */
static void tell_below(const struct cgroup *c, const char *only, int depth,
                       void (*fn)(const char *, void *), void *data)
{
    AUTO_CLOSEDIR DIR *dir = opendir(c->dir);
    if (!dir || depth > DEPTH_MAX)
        return;
    if (!only || strstr(c->dir, only))
        tell(dirfd(dir), c, fn, data);
    for (const struct dirent *e; (e = readdir(dir));) {
        AUTO_FREE struct cgroup *below = NULL; /* as long as a path may be */
        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        if (!(below = malloc(sizeof *below)))
            abort();
        if (cgroup_below(c, e->d_name, below, NULL) == 0)
            tell_below(below, only, depth + 1, fn, data);
    }
}

void cgroup_describe(const struct cgroup *c, const char *only,
                     void (*fn)(const char *line, void *data), void *data)
{
    tell_below(c, only, 0, fn, data);
}
