/* Writing the journal of a run. See journal.h; what happens after its death: undo.c.
 *
 * The file is born complete: written and locked before it gets its name. So whoever finds it finds its
 * lock taken while we live.
 */
#include "injectors/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "injectors/journal_file.h"
#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/base/text.h"

struct journal {
    char *folder, *run;
    int dirfd, fd;   /* -1 until the first kept entry */
    uint64_t next;   /* number of the next entry */
    json_t *pending; /* as on disk, in order, with "life" for the tied ones */
    int failed;      /* -errno of a write that failed: nothing may be changed any more */
};

int journal_folder(char **ret, struct err *err)
{
    AUTO_BUF path = BUF_INIT;
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (geteuid() == 0)
        buf_adds(&path, "/var/lib/blackstart");
    else if (state && state[0] == '/')
        buf_printf(&path, "%s/blackstart", state);
    else if (home && home[0] == '/')
        buf_printf(&path, "%s/.local/state/blackstart", home);
    else
        return err_set(err, ENOENT,
                       "there is no place for the journal: set HOME or XDG_STATE_HOME");
    *ret = buf_steal(&path);
    return 0;
}

int journal_open(const char *folder, const char *run_id, struct journal **ret, struct err *err)
{
    /* It becomes the name of a file. */
    if (!run_id[0] || run_id[0] == '.' || strchr(run_id, '/') || strlen(run_id) > 64)
        return err_set(err, EINVAL, "'%s' cannot be the id of a run", run_id);
    CLEANUP(journal_close_p) struct journal *j = calloc(1, sizeof *j);
    if (!j)
        return err_errno(err, ENOMEM, "opening a journal");
    j->dirfd = j->fd = -1;
    j->folder = strdup(folder);
    j->run = strdup(run_id);
    j->pending = json_array();
    if (!j->folder || !j->run || !j->pending)
        return err_errno(err, ENOMEM, "opening a journal");
    *ret = steal_ptr(j);
    return 0;
}

static int write_line(struct journal *j, int fd, const json_t *line, struct err *err)
{
    AUTO_BUF text = BUF_INIT;
    jsonx_dump(line, &text);
    buf_addc(&text, '\n');
    int r = file_write_all(fd, buf_text(&text), text.len, err);
    if (r < 0)
        return err_prefix(err, "the journal %s/%s" JOURNAL_SUFFIX, j->folder, j->run);
    return 0;
}

static int first_line(struct journal *j, int fd, struct err *err)
{
    char boot[JOURNAL_BOOT_MAX];
    uint64_t netns = 0;
    int r = journal_boot_id(boot, err);
    if (r == 0)
        r = journal_own_netns(&netns, err);
    if (r < 0)
        return r;
    AUTO_JSON *head = json_pack("{s:i, s:s, s:s, s:I}", "journal", JOURNAL_VERSION, "run", j->run,
                                "boot", boot, "netns", (json_int_t)netns);
    return write_line(j, fd, head, err);
}

/* Without a name, where the file system can: a death before it has one leaves nothing. Else under one
 * that nobody looks at. */
static int create_nameless(int dirfd, const char *hidden, bool *ret_hidden)
{
    int fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
    *ret_hidden = fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT);
    if (*ret_hidden)
        fd = openat(dirfd, hidden, O_CREAT | O_EXCL | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
    return fd;
}

static int give_name(int dirfd, int fd, const char *hidden, bool is_hidden, const char *name)
{
    char itself[40];
    snprintf(itself, sizeof itself, "/proc/self/fd/%d", fd); /* open(2), O_TMPFILE */
    return is_hidden ? renameat2(dirfd, hidden, dirfd, name, RENAME_NOREPLACE)
                     : linkat(AT_FDCWD, itself, dirfd, name, AT_SYMLINK_FOLLOW);
}

/* Folder and file, with the lock taken before the file has its name. */
static int create_file(struct journal *j, struct err *err)
{
    int r = file_make_dirs(AT_FDCWD, j->folder, 0700, err);
    if (r < 0)
        return err_prefix(err, "the journal cannot be kept");
    AUTO_CLOSE int dirfd = open(j->folder, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (dirfd < 0)
        return err_errno(err, errno, "the journal's folder %s", j->folder);
    AUTO_BUF hidden = BUF_INIT, name = BUF_INIT;
    bool is_hidden = false;
    buf_printf(&hidden, ".%s.new", j->run);
    buf_printf(&name, "%s" JOURNAL_SUFFIX, j->run);
    AUTO_CLOSE int fd = create_nameless(dirfd, buf_text(&hidden), &is_hidden);
    if (fd < 0)
        return err_errno(err, errno, "making the journal %s/%s", j->folder, buf_text(&name));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        r = err_errno(err, errno, "locking the journal %s/%s", j->folder, buf_text(&name));
    if (r == 0)
        r = first_line(j, fd, err);
    if (r == 0 && give_name(dirfd, fd, buf_text(&hidden), is_hidden, buf_text(&name)) < 0)
        r = err_errno(err, errno, "making the journal %s/%s", j->folder, buf_text(&name));
    if (r < 0) {
        if (is_hidden)
            unlinkat(dirfd, buf_text(&hidden), 0);
        return r;
    }
    j->dirfd = steal_fd(&dirfd);
    j->fd = steal_fd(&fd);
    return 0;
}

static json_t *entry_line(uint64_t n, const struct journal_entry *e)
{
    json_t *line = json_pack("{s:I, s:s, s:s, s:O, s:b}", "entry", (json_int_t)n, "step", e->step,
                             "injector", e->injector, "undo", e->undo, "persistent", e->persistent);
    if (e->armed)
        json_object_set_new(line, "armed", json_true());
    if (json_object_size(e->was))
        json_object_set_new(line, "was", json_deep_copy(e->was));
    if (e->netns)
        json_object_set_new(line, "netns", json_integer((json_int_t)e->netns));
    if (e->pid) {
        json_object_set_new(line, "pid", json_integer(e->pid));
        json_object_set_new(line, "start", json_integer((json_int_t)e->start));
    }
    return line;
}

int journal_append(struct journal *j, const struct journal_entry *e, uint64_t *ret_n,
                   struct err *err)
{
    if (j->failed)
        return err_set(err, -j->failed, "the journal failed before: nothing more may be changed");
    AUTO_JSON *line = entry_line(j->next, e);
    if (!line)
        return err_errno(err, ENOMEM, "noting how to undo step %s", e->step);
    if (e->life == JOURNAL_KEPT) {
        int r = j->fd < 0 ? create_file(j, err) : 0;
        if (r == 0)
            r = write_line(j, j->fd, line, err);
        if (r < 0) {
            j->failed = r;
            return r;
        }
    } else {
        json_object_set_new(line, "tied", json_true());
    }
    /* A copy: the caller's undo record may go on changing (what apply finds in addition). Tied ones
     * are undone by us, so they want those changes; kept ones are as on disk. */
    json_array_append_new(j->pending,
                          e->life == JOURNAL_KEPT ? json_deep_copy(line) : json_incref(line));
    *ret_n = j->next++;
    return 0;
}

int journal_sync(struct journal *j, struct err *err)
{
    if (j->failed)
        return err_set(err, -j->failed, "the journal failed before: nothing more may be changed");
    if (j->fd < 0)
        return 0;
    if (fdatasync(j->fd) < 0 || fsync(j->dirfd) < 0) {
        j->failed = err_errno(err, errno, "writing the journal %s/%s" JOURNAL_SUFFIX " to the disk",
                              j->folder, j->run);
        return j->failed;
    }
    return 0;
}

static json_t *find_pending(const struct journal *j, uint64_t n, size_t *ret_i)
{
    size_t i;
    json_t *entry;
    json_array_foreach (j->pending, i, entry)
        if ((uint64_t)jsonx_int(entry, "entry", -1) == n) {
            *ret_i = i;
            return entry;
        }
    return NULL;
}

int journal_begin(struct journal *j, uint64_t n, struct err *err)
{
    size_t i;
    json_t *entry = find_pending(j, n, &i);
    if (j->failed)
        return err_set(err, -j->failed, "the journal failed before: nothing more may be changed");
    if (!entry)
        return err_set(err, ENOENT, "the journal has no entry %llu", (unsigned long long)n);
    json_object_set_new(entry, "begun", json_true());
    if (jsonx_bool(entry, "tied", false))
        return 0;
    AUTO_JSON *line = json_pack("{s:I}", "begin", (json_int_t)n);
    int r = write_line(j, j->fd, line, err);
    if (r < 0)
        j->failed = r;
    return r;
}

int journal_amend(struct journal *j, uint64_t n, const json_t *undo, struct err *err)
{
    size_t i;
    json_t *entry = find_pending(j, n, &i);
    if (j->failed)
        return err_set(err, -j->failed, "the journal failed before: nothing more may be changed");
    if (!entry)
        return err_set(err, ENOENT, "the journal has no entry %llu", (unsigned long long)n);
    json_object_set_new(entry, "undo", json_deep_copy(undo));
    if (jsonx_bool(entry, "tied", false))
        return 0;
    AUTO_JSON *line = json_pack("{s:I,s:O}", "amend", (json_int_t)n, "undo", undo);
    int r = write_line(j, j->fd, line, err);
    if (r < 0)
        j->failed = r;
    return r;
}

int journal_done_entry(struct journal *j, uint64_t n, struct err *err)
{
    size_t i;
    json_t *entry = find_pending(j, n, &i);
    if (!entry)
        return 0; /* undone twice is undone */
    bool tied = jsonx_bool(entry, "tied", false);
    json_array_remove(j->pending, i);
    AUTO_JSON *line = json_pack("{s:I}", "done", (json_int_t)n);
    return tied ? 0 : write_line(j, j->fd, line, err);
}

json_t *journal_pending(const struct journal *j)
{
    return json_incref(j->pending);
}

int journal_fd(const struct journal *j)
{
    return j->fd;
}

static bool keeps_something(const struct journal *j)
{
    size_t i;
    json_t *entry;
    json_array_foreach (j->pending, i, entry)
        if (!jsonx_bool(entry, "tied", false))
            return true;
    return false;
}

struct journal *journal_close(struct journal *j)
{
    if (!j)
        return NULL;
    if (j->fd >= 0 && !keeps_something(j)) {
        AUTO_BUF name = BUF_INIT;
        buf_printf(&name, "%s" JOURNAL_SUFFIX, j->run);
        unlinkat(j->dirfd, buf_text(&name), 0);
    }
    if (j->fd >= 0)
        close(j->fd);
    if (j->dirfd >= 0)
        close(j->dirfd);
    json_decref(j->pending);
    free(j->folder);
    free(j->run);
    free(j);
    return NULL;
}

static int done_open(void *data, uint64_t n, struct err *err)
{
    return journal_done_entry(data, n, err);
}

int journal_undo_open(struct journal *j, struct inject_env *env, const struct journal_world *world,
                      journal_report_fn *fn, void *data, size_t *ret_failed, struct err *err)
{
    struct journal_facts facts;
    int r = journal_facts_read(world, &facts, err);
    if (r < 0)
        return r;
    struct journal_run run = {
        .run = j->run, .boot = facts.boot, .facts = &facts, .env = env, .fn = fn, .data = data};
    return journal_undo_entries(&run, j->pending, done_open, j, ret_failed, err);
}
