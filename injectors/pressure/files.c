/* Processes that may open few files more: their RLIMIT_NOFILE is set to what they have open and a few.
 * See part.h.
 *
 * A process that reaches it reads EMFILE from open(2), accept(2) and socket(2), as when descriptors leak;
 * nobody else does. Holding descriptors in processes of our own would take none away from it: the
 * kernel counts them for each process. A server that waits in accept(2) has a number in its hand and
 * takes one more. Children started meanwhile inherit the limit and keep it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "injectors/pressure/part.h"
#include "injectors/process/match.h"
#include "sim/attach/procs.h"
#include "sim/base/jsonx.h"
#include "sim/lab/deed.h"

#define FILES_MOST (1 << 20) /* descriptors that are looked at */

/* The numbers of the descriptors it has open, as bits; NULL: it has ended, or we may not look. */
static uint8_t *open_files(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    AUTO_CLOSEDIR DIR *d = opendir(path);
    uint8_t *bits = d ? calloc(FILES_MOST / 8 + 1, 1) : NULL;
    for (const struct dirent *e; bits && (e = readdir(d));) {
        char *end;
        long fd = strtol(e->d_name, &end, 10);
        if (*end == '\0' && fd >= 0 && fd < FILES_MOST)
            bits[fd / 8] |= (uint8_t)(1 << fd % 8);
    }
    return bits;
}

/* The limit below which so many numbers are free: the kernel hands out the lowest free one, and none that
 * is not below the limit. */
static rlim_t limit_for(const uint8_t *open_, int64_t leave)
{
    rlim_t at = 0;
    for (int64_t free_ = 0; at < FILES_MOST; at++) {
        bool used = open_[at / 8] >> at % 8 & 1;
        if (!used && free_++ == leave)
            break;
    }
    return at;
}

/* How many more it may open. */
static size_t room_below(const uint8_t *open_, rlim_t limit)
{
    size_t n = 0;
    for (rlim_t at = 0; at < limit && at < FILES_MOST; at++)
        n += !(open_[at / 8] >> at % 8 & 1);
    return n;
}

int files_prepare(struct files *f, struct lab_node *n, const struct pressure_files *p,
                  json_t *record, struct err *err)
{
    *f = (struct files){.node = n, .params = p};
    if (!p)
        return 0;
    AUTO_MATCH found = {0};
    struct match_rule rule = {.process = p->process};
    int r = match_find(n, &rule, &found, err);
    AUTO_FREE pid_t *pids = r < 0 ? NULL : calloc(match_count(&found) + 1, sizeof *pids);
    if (r == 0 && pids)
        r = lab_node_outside(n, found.procs, pids, err);
    if (r < 0 || !pids)
        return r;
    json_t *procs = json_array();
    for (size_t i = 0; i < match_count(&found); i++) {
        struct rlimit limit;
        unsigned long long start = pids[i] ? procs_started(pids[i]) : 0;
        AUTO_FREE uint8_t *open_ = start ? open_files(pids[i]) : NULL;
        if (!open_ || prlimit(pids[i], RLIMIT_NOFILE, NULL, &limit) < 0)
            continue;
        rlim_t now = limit_for(open_, p->leave);
        AUTO_BUF as = BUF_INIT;
        deed_process(json_array_get(found.procs, i), &as);
        if (now < limit.rlim_cur)
            json_array_append_new(
                procs, json_pack("{s:i,s:I,s:I,s:I,s:o}", "pid", (int)pids[i], "start",
                                 (json_int_t)start, "soft", (json_int_t)limit.rlim_cur, "now",
                                 (json_int_t)now, "as", jsonx_new_text(buf_text(&as))));
    }
    f->procs = procs;
    if (json_array_size(procs) == 0)
        return err_set(err, ESRCH,
                       "files: no process%s%s on host '%s' may open more than %lld files more",
                       p->process ? " " : "", p->process ? p->process : "", lab_node_name(n),
                       (long long)p->leave);
    json_object_set(record, "procs", procs);
    return 0;
}

/* Sets the soft limit of one that still is the same; 1: set. */
static int set_one(const json_t *p, rlim_t from, rlim_t to, struct err *err)
{
    pid_t pid = (pid_t)jsonx_int(p, "pid", 0);
    struct rlimit limit;
    if (pid <= 0 || procs_started(pid) != (unsigned long long)jsonx_int(p, "start", 0) ||
        prlimit(pid, RLIMIT_NOFILE, NULL, &limit) < 0 || limit.rlim_cur != from)
        return 0;
    limit.rlim_cur = to;
    if (prlimit(pid, RLIMIT_NOFILE, &limit, NULL) < 0)
        return errno == ESRCH ? 0
                              : err_errno(err, errno, "files: the limit of process %d", (int)pid);
    return 1;
}

void files_deed(const char *limit, const char *whom, struct buf *out)
{
    buf_printf(out, "limit of open files %s: %s", limit ? limit : "as before", whom);
}

static void tell(const struct lab_node *n, const json_t *p, bool undo)
{
    AUTO_BUF text = BUF_INIT;
    char limit[24];
    snprintf(limit, sizeof limit, "%lld", (long long)jsonx_int(p, "now", 0));
    files_deed(undo ? NULL : limit, jsonx_str(p, "as", "a process"), &text);
    if (n)
        lab_node_tell(n, buf_text(&text));
}

static int set_all(const struct lab_node *node, json_t *procs, bool undo, size_t *ret_n,
                   struct err *err)
{
    const char *from = undo ? "now" : "soft", *to = undo ? "soft" : "now";
    size_t i, n = 0;
    const json_t *p;
    json_array_foreach (procs, i, p) {
        int r = set_one(p, (rlim_t)jsonx_int(p, from, 0), (rlim_t)jsonx_int(p, to, 0), err);
        if (r < 0)
            return r;
        if (r > 0)
            tell(node, p, undo);
        n += (size_t)r;
    }
    *ret_n = n;
    return 0;
}

int files_limit(struct files *f, json_t *changes, struct err *err)
{
    size_t n = 0;
    if (!f->procs)
        return 0;
    int r = set_all(f->node, f->procs, false, &n, err);
    if (r < 0)
        return r;
    if (n == 0)
        return err_set(err, ESRCH, "files: the processes have ended meanwhile");
    json_array_append_new(changes,
                          json_sprintf("host %s: %zu processes may open %lld files more",
                                       lab_node_name(f->node), n, (long long)f->params->leave));
    return 0;
}

void files_done(struct files *f)
{
    json_decref(f->procs);
    f->procs = NULL;
}

int files_verify(struct files *f, bool *ok, struct buf *asked, struct buf *seen, struct err *err)
{
    size_t i, limited = 0, alive = 0, room = 0;
    const json_t *p;
    if (!f->procs)
        return 0;
    json_array_foreach (f->procs, i, p) {
        pid_t pid = (pid_t)jsonx_int(p, "pid", 0);
        struct rlimit limit;
        if (procs_started(pid) != (unsigned long long)jsonx_int(p, "start", 0) ||
            prlimit(pid, RLIMIT_NOFILE, NULL, &limit) < 0)
            continue;
        AUTO_FREE uint8_t *open_ = open_files(pid);
        alive++;
        limited += (int64_t)limit.rlim_cur == jsonx_int(p, "now", 0);
        room += open_ ? room_below(open_, limit.rlim_cur) : 0;
    }
    *ok = *ok && alive > 0 && limited == alive;
    buf_printf(asked, "%s%zu processes near their limit of files", asked->len ? ", " : "",
               json_array_size(f->procs));
    buf_printf(seen, "%s%zu of %zu that live are limited, together they may open %zu more",
               seen->len ? ", " : "", limited, alive, room);
    return 0;
}

int files_undo(struct lab_node *n, const json_t *record, json_t *changes, struct err *err)
{
    size_t set = 0;
    json_t *procs = json_object_get(record, "procs");
    int r = procs ? set_all(n, procs, true, &set, err) : 0;
    if (r == 0 && set > 0)
        json_array_append_new(changes, json_sprintf("host %s: the limit of files of %zu processes "
                                                    "as before",
                                                    jsonx_str(record, "host", "?"), set));
    return r;
}
