/* Undoing what dead runs have left. See journal.h.
 *
 * Order of things, and why: open, lock, then look whether the name still leads to what was locked
 * (another undoer may have removed it in between), read, revert from the newest to the oldest,
 * append "done" after each, remove the file when nothing is left. A crash of the undoer at any
 * point leaves a journal that says exactly what is left; reverts may be called twice.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "injectors/journal.h"
#include "injectors/journal_file.h"
#include "injectors/touch.h"
#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"

#define JOURNAL_BYTES_MAX ((size_t)64 << 20)

/* --- Facts --------------------------------------------------------------------------------------
 */

int journal_boot_id(char ret[JOURNAL_BOOT_MAX], struct err *err)
{
    AUTO_FREE char *text = NULL;
    size_t n = 0;
    int r = file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 4096, &text, &n, err);
    if (r < 0)
        return r;
    text[strcspn(text, "\n")] = '\0';
    snprintf(ret, JOURNAL_BOOT_MAX, "%s", text);
    return 0;
}

int journal_own_netns(uint64_t *ret, struct err *err)
{
    struct stat st;
    if (stat("/proc/self/ns/net", &st) < 0)
        return err_errno(err, errno, "asking for our network namespace");
    *ret = st.st_ino;
    return 0;
}

/* Field 22 of /proc/PID/stat; the name before it may hold anything, so count from its last ')'. */
static unsigned long long process_started(pid_t pid, void *data)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    AUTO_FREE char *text = NULL;
    size_t n = 0;
    if (file_read(AT_FDCWD, path, 65536, &text, &n, NULL) < 0)
        return 0;
    const char *at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at + 1, NULL, 10) : 0;
}

int journal_facts_read(const struct journal_world *world, struct journal_facts *ret,
                       struct err *err)
{
    struct journal_facts f = {.world = *world, .netns = world->netns};
    int r = 0;
    if (world->boot_id)
        snprintf(f.boot, sizeof f.boot, "%s", world->boot_id);
    else
        r = journal_boot_id(f.boot, err);
    if (r == 0 && !f.netns)
        r = journal_own_netns(&f.netns, err);
    if (r < 0)
        return r;
    if (!f.world.started)
        f.world.started = process_started;
    *ret = f;
    return 0;
}

/* --- One entry ----------------------------------------------------------------------------------
 */

static const struct injector *find_injector(const struct variant *const *actions, const char *name)
{
    for (; *actions; actions++)
        if (strcmp((*actions)->name, name) == 0)
            return (*actions)->impl;
    return NULL;
}

/* NULL: it may be touched; else why it is void. */
static const char *why_void(const struct journal_run *run, const json_t *entry)
{
    const struct journal_facts *f = run->facts;
    bool persistent = jsonx_bool(entry, "persistent", false);
    bool rebooted = strcmp(run->boot, f->boot) != 0;
    if (!persistent && rebooted)
        return "the machine was started again since";
    int64_t netns = jsonx_int(entry, "netns", 0);
    if (!persistent && netns && (uint64_t)netns != f->netns)
        return "its network namespace is not this one";
    bool unsure = persistent && rebooted; /* whether it began: that line is not synced */
    if (!unsure && jsonx_bool(entry, "armed", false) && !jsonx_bool(entry, "begun", false))
        return "it had not begun, nothing was changed";
    int64_t pid = jsonx_int(entry, "pid", 0);
    if (pid) {
        /* A persistent one of another boot: pids and start times of then mean nothing now. */
        if (rebooted)
            return "its process was of an earlier start of the machine";
        unsigned long long start = f->world.started((pid_t)pid, f->world.data);
        if (!start)
            return "its process has ended";
        if (start != (unsigned long long)jsonx_int(entry, "start", 0))
            return "its pid belongs to another process now";
    }
    return NULL;
}

static void report(const struct journal_run *run, const json_t *entry, enum journal_outcome outcome,
                   const char *text, const struct inject_result *result, const json_t *touches)
{
    struct journal_undone u = {.run = run->run,
                               .step = jsonx_str(entry, "step", NULL),
                               .injector = jsonx_str(entry, "injector", NULL),
                               .outcome = outcome,
                               .text = text,
                               .result = result,
                               .touches = touches};
    if (run->fn)
        run->fn(&u, run->data);
}

enum journal_outcome journal_undo_entry(const struct journal_run *run, const json_t *entry)
{
    const char *why = why_void(run, entry);
    if (why) {
        report(run, entry, JOURNAL_VOID, why, NULL, NULL);
        return JOURNAL_VOID;
    }
    const char *name = jsonx_str(entry, "injector", "?");
    const struct injector *injector = find_injector(run->facts->world.actions, name);
    if (!injector || !injector->revert) {
        AUTO_BUF text = BUF_INIT;
        buf_printf(&text, "this version of blackstart does not know how to undo '%s'", name);
        report(run, entry, JOURNAL_FAILED, buf_text(&text), NULL, NULL);
        return JOURNAL_FAILED;
    }
    struct inject_result result = INJECT_RESULT_INIT;
    struct err err = ERR_INIT;
    int r = injector->revert(run->env, json_object_get(entry, "undo"), &result, &err);
    if (r < 0) {
        report(run, entry, JOURNAL_FAILED, err.text, NULL, NULL);
        return JOURNAL_FAILED;
    }
    enum journal_outcome outcome = r == INJECT_GONE ? JOURNAL_VOID : JOURNAL_UNDONE;
    AUTO_JSON *touches = r == 0 ? inject_touches(injector, json_object_get(entry, "undo")) : NULL;
    touch_remember(touches, json_object_get(entry, "was"));
    report(run, entry, outcome, r == INJECT_GONE ? err.text : "undone", &result, touches);
    inject_result_done(&result);
    return outcome;
}

/* Tells of all but failures, of which the text is kept. */
struct deferring {
    const struct journal_run *run;
    struct buf why;
};

static void defer(const struct journal_undone *u, void *data)
{
    struct deferring *d = data;
    if (u->outcome == JOURNAL_FAILED) {
        buf_clear(&d->why);
        buf_adds(&d->why, u->text);
    } else if (d->run->fn) {
        d->run->fn(u, d->run->data);
    }
}

/* Once through all that are left, the newest first; *ret_again: one was undone after another had failed. */
static int undo_once(const struct journal_run *run, json_t *left, journal_done_fn *done, void *data,
                     bool *ret_again, struct err *err)
{
    struct deferring d = {.run = run, .why = BUF_INIT};
    struct journal_run quiet = *run;
    bool failed = false, again = false;
    int r = 0;
    quiet.fn = defer;
    quiet.data = &d;
    for (size_t i = json_array_size(left); i-- > 0 && r == 0;) {
        json_t *entry = json_array_get(left, i);
        if (journal_undo_entry(&quiet, entry) == JOURNAL_FAILED) {
            json_object_set_new(entry, "failed", jsonx_new_text(buf_text(&d.why)));
            failed = true;
            continue;
        }
        again = again || failed;
        r = done(data, (uint64_t)jsonx_int(entry, "entry", 0), err);
        json_array_remove(left, i);
    }
    buf_done(&d.why);
    *ret_again = again;
    return r;
}

int journal_undo_entries(const struct journal_run *run, const json_t *entries,
                         journal_done_fn *done, void *data, size_t *ret_left, struct err *err)
{
    AUTO_JSON *left = json_deep_copy(entries);
    bool again = true;
    while (again && json_array_size(left)) {
        int r = undo_once(run, left, done, data, &again, err);
        if (r < 0)
            return r;
    }
    for (size_t i = json_array_size(left); i-- > 0;) {
        const json_t *entry = json_array_get(left, i);
        report(run, entry, JOURNAL_FAILED, jsonx_str(entry, "failed", "?"), NULL, NULL);
    }
    *ret_left = json_array_size(left);
    return 0;
}

/* --- A file -------------------------------------------------------------------------------------
 */

struct journal_content {
    bool has_head; /* else it is not known of which boot it is: nothing may be touched */
    char boot[JOURNAL_BOOT_MAX];
    json_t *entries;                /* not done, oldest first */
    size_t whole, torn, unreadable; /* bytes of whole lines, of a torn one; lines */
};

static void content_done(struct journal_content *c)
{
    json_decref(c->entries);
    c->entries = NULL;
}
#define AUTO_CONTENT __attribute__((cleanup(content_done))) struct journal_content

static bool is_entry(const json_t *line)
{
    return jsonx_int(line, "entry", -1) >= 0 && jsonx_str(line, "injector", NULL) &&
           json_is_object(json_object_get(line, "undo"));
}

static bool mark_done(json_t *entries, int64_t n)
{
    size_t i;
    json_t *e;
    json_array_foreach (entries, i, e)
        if (jsonx_int(e, "entry", -1) == n) {
            json_array_remove(entries, i);
            return true;
        }
    return false;
}

static bool mark_begun(json_t *entries, int64_t n)
{
    size_t i;
    json_t *e;
    json_array_foreach (entries, i, e)
        if (jsonx_int(e, "entry", -1) == n)
            return json_object_set_new(e, "begun", json_true()) == 0;
    return false;
}

static bool mark_amended(json_t *entries, int64_t n, const json_t *undo)
{
    size_t i;
    json_t *e;
    json_array_foreach (entries, i, e)
        if (jsonx_int(e, "entry", -1) == n && json_is_object(undo))
            return json_object_set(e, "undo", (json_t *)(uintptr_t)undo) == 0;
    return false;
}

/* A line that is whole. The first must be the head; false: cannot be read. */
static bool take_line(struct journal_content *c, const char *text, size_t n, bool first)
{
    AUTO_JSON *line = NULL;
    if (jsonx_parse(text, n, "a line of the journal", &line, NULL) < 0)
        return false;
    if (first) {
        snprintf(c->boot, sizeof c->boot, "%s", jsonx_str(line, "boot", "?"));
        c->has_head = jsonx_int(line, "journal", 0) == JOURNAL_VERSION;
        return c->has_head;
    }
    if (jsonx_int(line, "begin", -1) >= 0)
        return mark_begun(c->entries, jsonx_int(line, "begin", -1));
    if (jsonx_int(line, "amend", -1) >= 0)
        return mark_amended(c->entries, jsonx_int(line, "amend", -1),
                            json_object_get(line, "undo"));
    if (jsonx_int(line, "done", -1) >= 0)
        return mark_done(c->entries, jsonx_int(line, "done", -1));
    if (!is_entry(line))
        return false;
    json_array_append(c->entries, line);
    return true;
}

static void read_content(const char *text, size_t n, struct journal_content *ret)
{
    *ret = (struct journal_content){.boot = "?", .entries = json_array()};
    size_t at = 0;
    while (at < n) {
        const char *end = memchr(text + at, '\n', n - at);
        if (!end) {
            ret->torn = n - at;
            return;
        }
        size_t len = (size_t)(end - (text + at));
        ret->unreadable += !take_line(ret, text + at, len, at == 0);
        at += len + 1;
        ret->whole = at;
    }
}

/* Opens and locks; live: somebody else holds it. -ENOENT: it went away meanwhile. */
static int open_locked(int dirfd, const char *name, int *ret_fd, bool *ret_live, struct err *err)
{
    AUTO_CLOSE int fd = openat(dirfd, name, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_errno(err, errno, "the journal %s", name);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return err_errno(err, errno, "locking the journal %s", name);
        *ret_live = true;
        *ret_fd = -1;
        return 0;
    }
    struct stat locked, named;
    if (fstat(fd, &locked) < 0 || fstatat(dirfd, name, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
        locked.st_ino != named.st_ino || locked.st_dev != named.st_dev)
        return err_set(err, ENOENT, "the journal %s was removed meanwhile", name);
    *ret_live = false;
    *ret_fd = steal_fd(&fd);
    return 0;
}

static int read_locked(int dirfd, const char *name, struct journal_content *ret, struct err *err)
{
    AUTO_FREE char *text = NULL;
    size_t n = 0;
    int r = file_read(dirfd, name, JOURNAL_BYTES_MAX, &text, &n, err);
    if (r < 0)
        return r;
    read_content(text, n, ret);
    return 0;
}

/* --- The folder ---------------------------------------------------------------------------------
 */

static bool is_journal(const char *name)
{
    size_t n = strlen(name), suffix = strlen(JOURNAL_SUFFIX);
    return name[0] != '.' && n > suffix && strcmp(name + n - suffix, JOURNAL_SUFFIX) == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int only_journals(const struct dirent *d)
{
    return is_journal(d->d_name);
}

typedef int journal_file_fn(int dirfd, const char *name, void *data, struct err *err);

/* Calls fn for each journal, sorted by name. */
static int each_file(const char *folder, journal_file_fn *fn, void *data, struct err *err)
{
    AUTO_CLOSE int dirfd = open(folder, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (dirfd < 0)
        return errno == ENOENT ? 0 : err_errno(err, errno, "the journal's folder %s", folder);
    struct dirent **names = NULL;
    int n = scandirat(dirfd, ".", &names, only_journals, by_name), r = 0;
    if (n < 0)
        return err_errno(err, errno, "the journal's folder %s", folder);
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = fn(dirfd, names[i]->d_name, data, err);
        free(names[i]);
    }
    free(names);
    return r;
}

/* --- Listing ------------------------------------------------------------------------------------
 */

struct scan {
    const char *folder;
    const struct journal_facts *facts;
    struct journal_list *list;
};

static char *run_of_name(const char *name)
{
    return strndup(name, strlen(name) - strlen(JOURNAL_SUFFIX));
}

/* A journal under its lock, and what it holds; of a live one (*ret_live) nothing is read. */
static int open_and_read(int dirfd, const char *name, int *ret_fd, bool *ret_live,
                         struct journal_content *ret, struct err *err)
{
    int r = open_locked(dirfd, name, ret_fd, ret_live, err);
    return r == 0 && !*ret_live ? read_locked(dirfd, name, ret, err) : r;
}

static int scan_file(int dirfd, const char *name, void *data, struct err *err)
{
    struct scan *s = data;
    AUTO_CLOSE int fd = -1;
    bool live = false;
    struct err why = ERR_INIT;
    AUTO_CONTENT content = {0};
    int r = open_and_read(dirfd, name, &fd, &live, &content, &why);
    if (r == -ENOENT)
        return 0;
    if (r < 0) { /* one that cannot be read must not hide the others */
        content.unreadable = 1;
        content.entries = content.entries ? content.entries : json_array();
    }
    struct journal_found *more = realloc(s->list->items, (s->list->n + 1) * sizeof *s->list->items);
    if (!more)
        return err_errno(err, ENOMEM, "listing journals");
    s->list->items = more;
    AUTO_BUF path = BUF_INIT;
    buf_printf(&path, "%s/%s", s->folder, name);
    more[s->list->n++] = (struct journal_found){
        .run = run_of_name(name),
        .path = buf_steal(&path),
        .live = live,
        .entries = live ? NULL : json_incref(content.entries),
        .other_boot = !live && strcmp(content.boot, s->facts->boot) != 0,
        .torn = content.torn,
        .unreadable = content.unreadable,
    };
    return 0;
}

void journal_list_done(struct journal_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->items[i].run);
        free(l->items[i].path);
        json_decref(l->items[i].entries);
    }
    free(l->items);
    *l = (struct journal_list){0};
}

int journal_scan(const char *folder, const struct journal_world *world, struct journal_list *ret,
                 struct err *err)
{
    struct journal_facts facts;
    struct journal_list list = {0};
    struct scan s = {.folder = folder, .facts = &facts, .list = &list};
    int r = journal_facts_read(world, &facts, err);
    if (r == 0)
        r = each_file(folder, scan_file, &s, err);
    if (r < 0) {
        journal_list_done(&list);
        return r;
    }
    *ret = list;
    return 0;
}

/* --- Undoing ------------------------------------------------------------------------------------
 */

struct undoing {
    const char *folder;
    const struct journal_facts *facts;
    journal_report_fn *fn;
    void *data;
    size_t failed;
};

static int write_done(void *data, uint64_t n, struct err *err)
{
    char line[64];
    int len = snprintf(line, sizeof line, "{\"done\":%llu}\n", (unsigned long long)n);
    return file_write_all(*(int *)data, line, (size_t)len, err);
}

static void report_unreadable(const struct undoing *u, const struct journal_run *run,
                              const char *name, size_t lines)
{
    AUTO_BUF text = BUF_INIT;
    buf_printf(&text,
               "%zu line(s) of %s/%s cannot be read: what they say may still be in force; look at "
               "the file, undo by hand, then remove it",
               lines, u->folder, name);
    report(run, NULL, JOURNAL_FAILED, buf_text(&text), NULL, NULL);
}

/* Reverts the entries of one locked file; *ret_left: what is still in force. */
static int undo_content(int fd, const struct journal_run *run, const struct journal_content *c,
                        size_t *ret_left, struct err *err)
{
    if (c->torn > 0 && ftruncate(fd, (off_t)c->whole) < 0) /* it would swallow the next line */
        return err_errno(err, errno, "cutting a torn line of a journal");
    return journal_undo_entries(run, c->entries, write_done, &fd, ret_left, err);
}

static int undo_file(int dirfd, const char *name, void *data, struct err *err)
{
    struct undoing *u = data;
    AUTO_CLOSE int fd = -1;
    bool live = false;
    struct err why = ERR_INIT;
    AUTO_CONTENT content = {0};
    int r = open_and_read(dirfd, name, &fd, &live, &content, &why);
    if (live || r == -ENOENT)
        return 0;
    AUTO_FREE char *named = run_of_name(name);
    if (r < 0) { /* nor keep them from being undone */
        struct journal_run unread = {.run = named, .fn = u->fn, .data = u->data};
        report(&unread, NULL, JOURNAL_FAILED, why.text, NULL, NULL);
        u->failed++;
        return 0;
    }
    struct inject_env env = {.run_id = named};
    struct journal_run run = {.run = named,
                              .boot = content.boot,
                              .facts = u->facts,
                              .env = &env,
                              .fn = u->fn,
                              .data = u->data};
    size_t left = 0;
    if (content.has_head)
        r = undo_content(fd, &run, &content, &left, err);
    if (r < 0)
        return r;
    /* Without a whole first line nothing was synced, so nothing was changed under this name. */
    if (content.unreadable > 0)
        report_unreadable(u, &run, name, content.unreadable);
    u->failed += left + (content.unreadable > 0);
    if (left == 0 && content.unreadable == 0 && unlinkat(dirfd, name, 0) < 0)
        return err_errno(err, errno, "removing the journal %s/%s", u->folder, name);
    return 0;
}

int journal_undo_all(const char *folder, const struct journal_world *world, journal_report_fn *fn,
                     void *data, size_t *ret_failed, struct err *err)
{
    struct journal_facts facts;
    struct undoing u = {.folder = folder, .facts = &facts, .fn = fn, .data = data};
    int r = journal_facts_read(world, &facts, err);
    if (r == 0)
        r = each_file(folder, undo_file, &u, err);
    if (r < 0)
        return r;
    *ret_failed = u.failed;
    return 0;
}
