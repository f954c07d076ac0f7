/* A disk that is kept busy: the folder in which stress-ng writes, and whether it does. See part.h.
 *
 * stress-ng's workers write files of a given size over and over and ask for each piece to reach the disk
 * (fsync), in a folder of ours that is removed as a whole. They unlink what they have open, so that its
 * blocks are free again when they die. What they hold at once is part of the file system's reserve, as with
 * disk.c. A file system that is memory has no disk to be kept busy, and is refused.
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

#define CHURN_LEAST ((uint64_t)1 << 20) /* written: then it bites */

static int check_room(const struct pressure_io *p, const struct place_space *s, struct err *err)
{
    char a[UNITS_TEXT_MAX], b[UNITS_TEXT_MAX];
    int64_t reserve = place_reserve(s), most = p->size * p->workers;
    if (s->memory)
        return err_set(err, EOPNOTSUPP,
                       "io: the file system of %s is memory, there is no disk below it; give a "
                       "'path' on a disk",
                       p->path);
    if (s->available - most < reserve)
        return err_set(err, ENOSPC,
                       "io: the workers' files on the file system of %s would leave less than %s "
                       "free (5 %%, 256 MiB at least), %s are; give a smaller 'size'",
                       p->path, units_size_text(reserve, a), units_size_text(s->available, b));
    return 0;
}

int churn_prepare(struct churn *c, struct lab_node *n, const struct pressure_io *p,
                  const char *run_id, const char *step, json_t *record, struct err *err)
{
    const struct attached_host *a = lab_node_attached(n);
    struct place_space s;
    *c = (struct churn){.root = -1, .folder = -1, .params = p};
    if (!p)
        return 0;
    if (!a)
        return err_set(err, EOPNOTSUPP,
                       "io: host %s is of the lab: what it writes ends in memory, and the "
                       "machine's disks are read-only there",
                       lab_node_name(n));
    int r = place_root(a->at.pid, &c->root, err);
    if (r < 0)
        return r;
    AUTO_CLOSE int fd = place_open(c->root, p->path, err);
    if (fd < 0)
        return fd;
    r = place_look(fd, p->path, &s, err);
    if (r == 0)
        r = check_room(p, &s, err);
    if (r < 0)
        return r;
    snprintf(c->name, sizeof c->name, ".blackstart-%.40s-%.60s", run_id, step);
    json_t *place = json_pack("{s:s,s:s}", "folder", p->path, "name", c->name);
    place_note(a, fd, place);
    json_object_set_new(record, "io", place);
    return 0;
}

void churn_deed(const char *path, const char *name, bool undo, struct buf *out)
{
    buf_printf(out, "folder %s/%s %s", path, name, undo ? "removed" : "made");
}

static void tell(const struct lab_node *n, const char *path, const char *name, bool undo)
{
    AUTO_BUF text = BUF_INIT;
    churn_deed(path, name, undo, &text);
    if (n)
        lab_node_tell(n, buf_text(&text));
}

int churn_make(struct churn *c, struct lab_node *n, struct err *err)
{
    if (c->root < 0)
        return 0;
    AUTO_CLOSE int above = place_open(c->root, c->params->path, err);
    if (above < 0)
        return above;
    if (mkdirat(above, c->name, 0700) < 0)
        return err_errno(err, errno, "io: cannot make %s/%s", c->params->path, c->name);
    tell(n, c->params->path, c->name, false);
    c->folder = openat(above, c->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return c->folder < 0 ? err_errno(err, errno, "io: %s/%s", c->params->path, c->name) : 0;
}

void churn_done(struct churn *c)
{
    if (c->root >= 0)
        close(c->root);
    if (c->folder >= 0)
        close(c->folder);
    c->root = c->folder = -1;
}

bool churn_bites(const struct churn *c, uint64_t written)
{
    return !c->params || written >= CHURN_LEAST;
}

void churn_tell(const struct churn *c, uint64_t written, struct buf *asked, struct buf *seen)
{
    char text[UNITS_TEXT_MAX];
    if (!c->params)
        return;
    buf_printf(asked, "%sthe disk of %s written to", asked->len ? ", " : "", c->params->path);
    buf_printf(seen, "%s%s written", seen->len ? ", " : "",
               units_size_text((int64_t)written, text));
}

int churn_undo(struct lab_node *n, const json_t *record, json_t *changes, struct err *err)
{
    const json_t *place = json_object_get(record, "io");
    const char *path = jsonx_str(place, "folder", NULL), *name = jsonx_str(place, "name", "");
    AUTO_CLOSE int above = -1;
    struct stat st;
    if (!path)
        return 0;
    if (strncmp(name, ".blackstart-", strlen(".blackstart-")) != 0 || strchr(name, '/'))
        return err_set(err, EINVAL, "io: the record names no folder of ours: %.60s", name);
    int r = place_find(n, place, path, name, &above, err);
    if (r < 0)
        return err_prefix(err, "io: %s/%s of host %s", path, name, jsonx_str(record, "host", "?"));
    if (r > 0 || fstatat(above, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0; /* it has gone with its file system, or never was */
    r = file_remove_tree(above, name, err);
    if (r < 0)
        return r;
    tell(n, path, name, true);
    json_array_append_new(changes, json_sprintf("host %s: %s/%s removed",
                                                jsonx_str(record, "host", "?"), path, name));
    return 0;
}
