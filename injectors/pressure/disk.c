/* A file system of a host, filled by one file of ours. See part.h.
 *
 * fallocate(2) takes the blocks at once and writes nothing. A reserve is never touched: 5 % of the file
 * system, 256 MiB at least, unless it is a tmpfs of the host's own, whose limit is the lab's; and since
 * a tmpfs is memory, a tenth of the machine's memory stays available.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "injectors/pressure/part.h"
#include "injectors/pressure/place.h"
#include "sim/base/cleanup.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/base/units.h"

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
    int64_t reserve = all / 10 > PLACE_RESERVE_LEAST ? all / 10 : PLACE_RESERVE_LEAST;
    return left > reserve ? left - reserve : 0;
}

static int choose_size(const struct pressure_disk *p, const struct place_space *s, int64_t *ret,
                       struct err *err)
{
    char a[UNITS_TEXT_MAX], b[UNITS_TEXT_MAX];
    int64_t leave = p->fill > 0 ? (int64_t)((1 - p->fill) * (double)s->total) : p->leave;
    int64_t reserve = s->own ? 0 : place_reserve(s);
    if (leave < reserve)
        return err_set(
            err, ENOSPC,
            "disk: the file system of %s is not the host's own: at least %s of it must "
            "stay free, not %s (5 %%, 256 MiB at least); give a smaller 'fill' or more to "
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
    struct place_space s;
    *d = (struct disk){.root = -1, .node = n, .params = p};
    if (!p)
        return 0;
    int r = place_root(a ? a->at.pid : lab_node_pid(n), &d->root, err);
    if (r < 0)
        return r;
    AUTO_CLOSE int fd = place_open(d->root, p->path, err);
    if (fd < 0)
        return fd;
    r = place_look(fd, p->path, &s, err);
    if (r == 0)
        r = choose_size(p, &s, &d->size, err);
    if (r < 0)
        return r;
    snprintf(d->name, sizeof d->name, ".blackstart-%.40s-%.60s", run_id, step);
    json_object_set_new(record, "folder", json_string(p->path));
    json_object_set_new(record, "file", json_string(d->name));
    if (a)
        place_note(a, fd, record);
    return 0;
}

void disk_deed(const char *path, const char *name, const char *size, struct buf *out)
{
    buf_printf(out, "file %s/%s ", path, name);
    if (size)
        buf_printf(out, "made, %s bytes long", size);
    else
        buf_adds(out, "removed");
}

static void tell(const struct lab_node *n, const char *path, const char *name, const char *size)
{
    AUTO_BUF text = BUF_INIT;
    disk_deed(path, name, size, &text);
    if (n)
        lab_node_tell(n, buf_text(&text));
}

int disk_fill(struct disk *d, json_t *changes, struct err *err)
{
    char text[UNITS_TEXT_MAX], left[UNITS_TEXT_MAX], bytes[24];
    struct place_space s;
    if (d->root < 0)
        return 0;
    AUTO_CLOSE int folder = place_open(d->root, d->params->path, err);
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
    snprintf(bytes, sizeof bytes, "%lld", (long long)size);
    tell(d->node, d->params->path, d->name, bytes);
    int r = place_look(folder, d->params->path, &s, err);
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
    struct place_space s;
    struct stat st;
    if (d->root < 0)
        return 0;
    AUTO_CLOSE int folder = place_open(d->root, d->params->path, err);
    if (folder < 0)
        return folder;
    int r = place_look(folder, d->params->path, &s, err);
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

int disk_undo(struct lab_node *n, const json_t *record, json_t *changes, struct err *err)
{
    const char *path = jsonx_str(record, "folder", NULL), *name = jsonx_str(record, "file", "");
    AUTO_CLOSE int folder = -1;
    if (!path)
        return 0;
    if (strncmp(name, ".blackstart-", strlen(".blackstart-")) != 0 || strchr(name, '/'))
        return err_set(err, EINVAL, "disk: the record names no file of ours: %.60s", name);
    int r = place_find(n, record, path, name, &folder, err);
    if (r < 0)
        return err_prefix(err, "disk: %s/%s of host %s", path, name,
                          jsonx_str(record, "host", "?"));
    if (r > 0)
        return 0; /* it has gone with its file system */
    if (unlinkat(folder, name, 0) < 0)
        return errno == ENOENT ? 0 : err_errno(err, errno, "disk: removing %s/%s", path, name);
    tell(n, path, name, NULL);
    json_array_append_new(changes, json_sprintf("host %s: %s/%s removed",
                                                jsonx_str(record, "host", "?"), path, name));
    return 0;
}
