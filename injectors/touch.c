/* What a fault has its hands on. See touch.h. */
#include "injectors/touch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "injectors/pressure/place.h"
#include "injectors/process/contained.h"
#include "sim/attach/attach.h"
#include "sim/attach/manager.h"
#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/base/text.h"
#include "sim/kernel/cgroup.h"

/* --- Noting ----------------------------------------------------------------------------------- */

static __attribute__((format(printf, 1, 0))) json_t *words_of(const char *format, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        abort();
    json_t *words = jsonx_new_text(text);
    free(text);
    return words;
}

static __attribute__((format(printf, 4, 0))) void
add_line(json_t *touches, const json_t *record, const char *kind, const char *format, va_list args)
{
    json_t *netns = json_object_get(record, "netns");
    if (!json_is_object(netns))
        return;
    json_t *touch = json_pack("{s:s,s:O}", "host", jsonx_str(record, "host", "?"), "netns", netns);
    json_object_set_new(touch, kind, words_of(format, args));
    json_array_append_new(touches, touch);
}

void touch_made(json_t *touches, const json_t *record, const char *words, ...)
{
    va_list args;
    va_start(args, words);
    add_line(touches, record, "made", words, args);
    va_end(args);
}

void touch_took(json_t *touches, const json_t *record, const char *words, ...)
{
    va_list args;
    va_start(args, words);
    add_line(touches, record, "took", words, args);
    va_end(args);
}

void touch_table(json_t *touches, const json_t *record, const char *name)
{
    touch_made(touches, record, "nft table name=%s", name);
    touch_made(touches, record, "nft table=%s", name);
}

static json_t *last_of(json_t *touches)
{
    size_t n = json_array_size(touches);
    return n ? json_array_get(touches, n - 1) : NULL;
}

void touch_unless(json_t *touches, const char *words, ...)
{
    json_t *last = last_of(touches), *all = json_object_get(last, "unless");
    va_list args;
    if (last && !all)
        json_object_set_new(last, "unless", all = json_array());
    va_start(args, words);
    json_array_append_new(all, words_of(words, args));
    va_end(args);
}

void touch_until(json_t *touches, nsec until)
{
    if (until != NSEC_INF)
        json_object_set_new(last_of(touches), "until", json_integer(until));
}

void touch_cgroup(json_t *touches, bool v1, const char *dir, bool gone)
{
    json_array_append_new(touches, json_pack("{s:s,s:s,s:b,s:b}", "thing", "cgroup", "dir", dir,
                                             "v1", v1, "gone", gone));
}

void touch_container(json_t *touches, const json_t *record)
{
    json_array_append_new(touches, json_pack("{s:s,s:O}", "thing", "container", "record", record));
}

void touch_unit(json_t *touches, const char *host, const char *unit)
{
    json_array_append_new(touches,
                          json_pack("{s:s,s:s,s:s}", "thing", "unit", "of", host, "unit", unit));
}

void touch_started(json_t *touches, const json_t *entry)
{
    json_t *identity = json_object_get(entry, "attached");
    if (identity && json_array_size(json_object_get(entry, "start")))
        json_array_append_new(touches,
                              json_pack("{s:s,s:s,s:O}", "thing", "runs", "of",
                                        jsonx_str(entry, "host", "?"), "identity", identity));
}

void touch_process(json_t *touches, const char *host, const json_t *proc, enum touch_state not_as,
                   int64_t files)
{
    json_array_append_new(touches, json_pack("{s:s,s:s,s:I,s:I,s:i,s:I}", "thing", "process", "of",
                                             host, "pid", (json_int_t)jsonx_int(proc, "pid", 0),
                                             "start", (json_int_t)jsonx_int(proc, "start", 0),
                                             "not", (int)not_as, "files", (json_int_t)files));
}

void touch_file(json_t *touches, const char *host, const json_t *place, const char *folder,
                const char *name)
{
    json_array_append_new(touches, json_pack("{s:s,s:s,s:O,s:s,s:s}", "thing", "file", "of", host,
                                             "place", place, "folder", folder, "name", name));
}

/* --- Lines ------------------------------------------------------------------------------------ */

const char *touch_host(const json_t *touch)
{
    return jsonx_str(touch, "host", NULL);
}

const json_t *touch_netns(const json_t *touch)
{
    return json_object_get(touch, "netns");
}

bool touch_concerns(const json_t *touch, const char *line)
{
    return touch_means(touch, line, true) || touch_means(touch, line, false);
}

void touch_remember(json_t *touches, const json_t *was)
{
    size_t i;
    json_t *touch;
    json_array_foreach (touches, i, touch) {
        json_t *lines = touch_host(touch) ? json_object_get(was, touch_host(touch)) : NULL;
        if (lines)
            json_object_set(touch, "was", lines);
    }
}

const json_t *touch_was(const json_t *touch)
{
    return json_object_get(touch, "was");
}

bool touch_yields_to(const json_t *touch, const char *line)
{
    size_t i;
    const json_t *words;
    json_array_foreach (json_object_get(touch, "unless"), i, words)
        if (touch_line_has(line, json_string_value(words)))
            return true;
    return false;
}

/* One of the words of a line; bare: also when it goes on with "=…". */
static bool has_word(const char *line, const char *word, size_t n, bool bare)
{
    for (const char *w = line; *w;) {
        size_t len = strcspn(w, " ");
        if (len >= n && strncmp(w, word, n) == 0 && (len == n || (bare && w[n] == '=')))
            return true;
        w += len;
        w += strspn(w, " ");
    }
    return false;
}

bool touch_line_has(const char *line, const char *words)
{
    size_t first = strcspn(words, " ");
    if (strncmp(line, words, first) != 0 || (line[first] != ' ' && line[first] != '\0'))
        return false;
    for (const char *w = words + first; *w;) {
        w += strspn(w, " ");
        size_t n = strcspn(w, " ");
        bool not_there = n > 0 && *w == '!';
        if (n > 0 && has_word(line, w + not_there, n - not_there, not_there) == not_there)
            return false;
        w += n;
    }
    return true;
}

bool touch_means(const json_t *touch, const char *line, bool gone)
{
    const char *words = jsonx_str(touch, gone ? "took" : "made", NULL);
    return words && touch_line_has(line, words) &&
           nsec_now(CLOCK_BOOTTIME) < jsonx_int(touch, "until", NSEC_INF);
}

/* --- Things ----------------------------------------------------------------------------------- */

static int cgroup_is_back(const json_t *touch, struct err *err)
{
    struct cgroup group = {.v1 = jsonx_bool(touch, "v1", false)};
    bool frozen = false, gone = jsonx_bool(touch, "gone", false);
    snprintf(group.dir, sizeof group.dir, "%s", jsonx_str(touch, "dir", ""));
    if (access(group.dir, F_OK) < 0)
        return errno == ENOENT ? 1 : err_errno(err, errno, "the control group %s", group.dir);
    if (gone) {
        err_set(err, EEXIST, "the control group %s, which a fault made, is still there", group.dir);
        return 0;
    }
    struct err why = ERR_INIT;
    int r = cgroup_is_frozen(&group, &frozen, &why);
    if (r < 0 && r != -ENOENT && r != -ENODEV)
        return err_set(err, -r, "%s", why.text);
    if (frozen)
        err_set(err, EBUSY, "the control group %s is still frozen", group.dir);
    return !frozen;
}

static int container_is_back(const json_t *touch, struct err *err)
{
    const json_t *record = json_object_get(touch, "record");
    AUTO_CONTAINER c = {0};
    struct err why = ERR_INIT;
    int r = contained_look(record, &c, &why);
    if (r == -ENOENT)
        return 1;
    if (r < 0)
        return err_set(err, -r, "%s", why.text);
    if (!c.pid)
        err_set(err, ESRCH,
                "host %s: its container %s, which a fault had its hands on, does not run (%s)",
                contained_host(record), c.name, c.state);
    else if (c.paused)
        err_set(err, EBUSY, "host %s: its container %s is still paused", contained_host(record),
                c.name);
    return c.pid && !c.paused;
}

static int unit_is_back(const json_t *touch, struct err *err)
{
    const char *unit = jsonx_str(touch, "unit", "");
    CLEANUP(manager_free_p) struct manager *m = NULL;
    AUTO_MANAGER_SERVICE now = MANAGER_SERVICE_INIT;
    int r = manager_open(&m, err);
    if (r == 0)
        r = manager_service(m, unit, &now, err);
    if (r < 0)
        return r;
    if (strcmp(now.load, "loaded") != 0 || strcmp(now.state, "active") == 0 ||
        strcmp(now.state, "reloading") == 0)
        return 1;
    err_set(err, ESRCH, "host %s: the unit %s, which a fault ended, is %s",
            jsonx_str(touch, "of", "?"), unit, now.state);
    return 0;
}

static int host_is_back(const json_t *touch, struct err *err)
{
    bool runs = false;
    int r = attached_runs(json_object_get(touch, "identity"), &runs, err);
    if (r < 0)
        return r;
    if (!runs)
        err_set(err, ESRCH, "host %s, which a fault ended, does not run",
                jsonx_str(touch, "of", "?"));
    return runs;
}

static int process_is_back(const json_t *touch, struct err *err)
{
    struct proc p = {0};
    struct rlimit limit;
    pid_t pid = (pid_t)jsonx_int(touch, "pid", 0);
    enum touch_state not_as = (enum touch_state)jsonx_int(touch, "not", 0);
    if (pid <= 0 || !procs_read(pid, &p))
        return 1;
    AUTO_FREE char *name = p.argv0;
    if ((int64_t)p.start != jsonx_int(touch, "start", 0) || !procs_is_alive(&p))
        return 1;
    const char *what = NULL;
    switch (not_as) {
    case TOUCH_ALIVE:
        what = "which a fault started, lives on";
        break;
    case TOUCH_STOPPED:
        what = p.state == 'T' ? "is still stopped" : NULL;
        break;
    case TOUCH_LIMITED:
        if (prlimit(pid, RLIMIT_NOFILE, NULL, &limit) == 0 &&
            (int64_t)limit.rlim_cur < jsonx_int(touch, "files", 0))
            what = "may still open fewer files than before";
        break;
    }
    if (what)
        err_set(err, EBUSY, "host %s: process %d (%s) %s", jsonx_str(touch, "of", "?"), (int)pid,
                name && *name ? text_basename(name) : p.comm, what);
    return !what;
}

static int file_is_back(const json_t *touch, struct err *err)
{
    const char *folder = jsonx_str(touch, "folder", "/"), *name = jsonx_str(touch, "name", "");
    AUTO_CLOSE int dir = -1;
    struct stat st;
    int r = place_find(NULL, json_object_get(touch, "place"), folder, name, &dir, err);
    if (r < 0)
        return r;
    if (r > 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 1;
    err_set(err, EEXIST, "host %s: %s/%s, which a fault made, is still there",
            jsonx_str(touch, "of", "?"), folder, name);
    return 0;
}

int touch_is_back(const json_t *touch, struct err *err)
{
    static const struct {
        const char *thing;
        int (*look)(const json_t *touch, struct err *err);
    } things[] = {
        {"cgroup", cgroup_is_back},   {"container", container_is_back}, {"file", file_is_back},
        {"process", process_is_back}, {"runs", host_is_back},           {"unit", unit_is_back},
    };
    const char *thing = jsonx_str(touch, "thing", "?");
    for (size_t i = 0; i < ARRAY_SIZE(things); i++)
        if (strcmp(things[i].thing, thing) == 0)
            return things[i].look(touch, err);
    return err_set(err, EINVAL, "nobody knows how '%s' should be", thing);
}
