/* Hosts that others made. See attach.h. */
#include "sim/attach/kind.h"

#include "sim/attach/lock.h"
#include "sim/attach/start.h"
#include "sim/base/buf.h"
#include "sim/base/jsonx.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* --- Opening ---------------------------------------------------------------------------------- */

static int refuse_twice(const struct attached *a, const struct attached_host *h, struct err *err)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct attached_host *o = &a->items[i];
        if (o == h)
            continue;
        if (!h->at.shares_network && !h->at.pid && !o->at.pid && netns_same(o->at.id, h->at.id))
            return err_set(err, EINVAL, "the hosts %s and %s are the same network namespace (%s)",
                           o->host->name, h->host->name, h->at.path);
        if (h->at.pid && o->at.pid == h->at.pid)
            return err_set(err, EINVAL, "the hosts %s and %s are the same process %d",
                           o->host->name, h->host->name, (int)h->at.pid);
        if (h->at.interface && o->at.interface && !strcmp(o->at.interface, h->at.interface))
            return err_set(err, EINVAL, "the hosts %s and %s are the same interface %s",
                           o->host->name, h->host->name, h->at.interface);
    }
    return 0;
}

static void note_seats(const struct host *h, struct attached_target *t)
{
    if (h->start.n && t->pid)
        t->seats = start_seats(t->pid);
}

static int open_one(struct attached *a, const struct host *host, const struct procs *seen,
                    struct attached_host *h, struct err *err)
{
    *h = (struct attached_host){
        .host = host, .kind = attached_kind_of(host), .at = ATTACHED_TARGET_INIT};
    if (!h->kind)
        return err_set(err, EINVAL, "host %s is of no kind that can be attached to", host->name);
    const struct attached_choice choice = {.seed = a->seed, .all = a, .host = h};
    h->at.seen = seen;
    h->at.choice = &choice;
    int r = h->kind->resolve(host, &h->at, err);
    h->at.seen = NULL;
    h->at.choice = NULL;
    if (r < 0)
        return err_prefix(err, "host %s", host->name);
    note_seats(host, &h->at);
    r = refuse_twice(a, h, err);
    return r < 0 ? err_prefix(err, "host %s", host->name) : 0;
}

int attached_open(const struct scenario *s, uint64_t seed, struct attached **ret, struct err *err)
{
    CLEANUP(attached_free_p) struct attached *a = calloc(1, sizeof *a);
    if (!a)
        abort();
    AUTO_PROCS all = {0};
    a->seed = seed;
    a->mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    a->items = calloc(s->hosts.n + 1, sizeof *a->items);
    if (!a->items)
        abort();
    for (size_t i = 0; i < s->hosts.n; i++) {
        const struct host *h = s->hosts.items[i];
        if (!host_is_attached(h))
            continue;
        int r = h->process && !all.n ? procs_scan(&all, err) : 0; /* one look for all of them */
        if (r < 0)
            return r;
        r = open_one(a, h, all.n ? &all : NULL, &a->items[a->n], err);
        a->n++;
        if (r < 0)
            return r;
    }
    *ret = steal_ptr(a);
    return 0;
}

struct attached *attached_free(struct attached *a)
{
    if (!a)
        return NULL;
    for (size_t i = 0; i < a->n; i++) {
        attached_target_done(&a->items[i].at);
        exempt_done(&a->items[i].exempt);
    }
    for (size_t i = 0; i < a->locks_n; i++)
        close(a->locks[i]);
    if (a->mounts >= 0)
        close(a->mounts);
    free(a->locks);
    free(a->items);
    free(a);
    return NULL;
}

int attached_lock(struct attached *a, struct err *err)
{
    AUTO_PROCS all = {0};
    for (size_t i = 0; i < a->n; i++) {
        int r = a->items[i].kind->processes && !all.n ? procs_scan(&all, err) : 0;
        if (r == 0)
            r = lock_host(a, &a->items[i], all.n ? &all : NULL, err);
        if (r < 0)
            return err_prefix(err, "host %s", a->items[i].host->name);
    }
    return lock_claims(a, a->items, a->n, all.n ? &all : NULL, err);
}

size_t attached_fds(const struct attached *a, int *ret, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; a && i < a->n; i++) {
        const struct attached_target *t = &a->items[i].at;
        int fds[] = {t->netns, t->mounts};
        for (size_t k = 0; k < ARRAY_SIZE(fds); k++)
            if (fds[k] >= 0 && n < max)
                ret[n++] = fds[k];
    }
    for (size_t i = 0; a && i < a->locks_n && n < max; i++)
        ret[n++] = a->locks[i];
    return n;
}

/* --- Is it still there? ----------------------------------------------------------------------- */

int attached_is_there(const struct attached_host *h, struct err *err)
{
    if (h->kind->is_there)
        return h->kind->is_there(h, err);
    if (procs_started(h->at.pid) == h->at.start)
        return 0;
    return err_set(err, ESRCH, "host %s has gone: process %d has ended", h->host->name,
                   (int)h->at.pid);
}

static bool is_same(const struct attached_target *a, const struct attached_target *b)
{
    return a->pid == b->pid && a->start == b->start && netns_same(a->id, b->id) &&
           a->cookie == b->cookie;
}

/* What has an id (a container) is the same as long as that is, whoever ended and started it; anything
 * else may be another one when we ended it ourselves. */
static bool may_follow(const struct attached_host *h, const struct attached_target *now)
{
    const char *id = jsonx_str(h->at.own, "id", NULL);
    if (h->host->follow)
        return true;
    return id ? strcmp(id, jsonx_str(now->own, "id", "")) == 0 : h->ending;
}

int attached_refresh(struct attached *a, struct attached_host *h, struct err *err)
{
    AUTO_ATTACHED_TARGET now = ATTACHED_TARGET_INIT;
    struct attached_target old = h->at;
    struct err why = ERR_INIT;
    const struct attached_choice choice = {
        .seed = a->seed, .draw = h->lives + 1, .all = a, .host = h};
    now.choice = &choice;
    int r = h->kind->resolve(h->host, &now, &why);
    now.choice = NULL;
    if (r < 0) {
        err_set(err, -r, "host %s: %s", h->host->name, why.text);
        return r == -ENOENT ? -ESRCH : r;
    }
    if (is_same(&now, &old))
        return 0;
    if (now.mark)
        return err_set(err, EPERM,
                       "host %s: %s took its place and is marked as production (%s): nothing there "
                       "is touched",
                       h->host->name, now.what, now.mark);
    if (!may_follow(h, &now))
        return err_set(err, ESRCH,
                       "host %s: %s has gone; %s has taken its place, and is left alone without "
                       "'follow: true'",
                       h->host->name, old.what, now.what);
    note_seats(h->host, &now);
    h->at = now;
    r = refuse_twice(a, h, err);
    if (r == 0 && a->locks_n)
        r = lock_host(a, h, NULL, err);
    if (r == 0 && a->locks_n)
        r = lock_claims(a, h, 1, NULL, err);
    if (r < 0) {
        h->at = old;
        return err_prefix(err, "host %s", h->host->name);
    }
    now = ATTACHED_TARGET_INIT;
    attached_target_done(&old);
    h->ending = false;
    h->lives++;
    return ATTACHED_REPLACED;
}

/* --- Identity --------------------------------------------------------------------------------- */

/* Numbers of processes mean something in one pid namespace alone. */
static json_int_t own_pids(void)
{
    struct stat st;
    return stat("/proc/self/ns/pid", &st) == 0 ? (json_int_t)st.st_ino : 0;
}

json_t *attached_identity(const struct attached_host *h)
{
    const struct attached_target *t = &h->at;
    json_t *id = json_pack("{s:s,s:s,s:I,s:I,s:I,s:I}", "kind", h->kind->name, "path", t->path,
                           "dev", (json_int_t)t->id.dev, "ino", (json_int_t)t->id.ino, "cookie",
                           (json_int_t)t->cookie, "pids", own_pids());
    if (t->pid) {
        json_object_set_new(id, "pid", json_integer(t->pid));
        json_object_set_new(id, "start", json_integer((json_int_t)t->start));
    }
    if (t->own)
        json_object_set(id, "own", t->own);
    if (t->seats)
        json_object_set(id, "seats", t->seats);
    return id;
}

/* An inode alone may be another namespace's by now; its cookie cannot. */
static bool is_it(int fd, const json_t *identity)
{
    struct netns_id id;
    uint64_t cookie = 0, want = (uint64_t)jsonx_int(identity, "cookie", 0);
    if (netns_identity(fd, &id, NULL) < 0 || (int64_t)id.ino != jsonx_int(identity, "ino", -1) ||
        (int64_t)id.dev != jsonx_int(identity, "dev", -1))
        return false;
    return !want || (netns_cookie(fd, &cookie, NULL) == 0 && cookie == want);
}

/* One that lost its name lives on as long as a process is in it. */
static int find_by_process(const json_t *identity, int *ret_fd, struct err *err)
{
    AUTO_CLOSEDIR DIR *proc = opendir("/proc");
    if (!proc)
        return err_errno(err, errno, "cannot read /proc");
    for (const struct dirent *e; (e = readdir(proc));) {
        char path[300];
        struct stat st;
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        snprintf(path, sizeof path, "%s/ns/net", e->d_name);
        if (fstatat(dirfd(proc), path, &st, 0) < 0 ||
            (int64_t)st.st_ino != jsonx_int(identity, "ino", -1))
            continue;
        AUTO_CLOSE int fd = openat(dirfd(proc), path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && is_it(fd, identity)) {
            *ret_fd = steal_fd(&fd);
            return 0;
        }
    }
    return 0;
}

/* Its kind's own way to it. */
static int find_by_kind(const json_t *identity, int *ret_fd, struct err *err)
{
    const struct attached_kind *k = attached_kind_named(identity);
    return k && k->find ? k->find(identity, ret_fd, err) : 0;
}

int attached_runs(const json_t *identity, bool *ret, struct err *err)
{
    const struct attached_kind *k = attached_kind_named(identity);
    if (k && k->runs)
        return k->runs(identity, ret, err);
    unsigned long long start = (unsigned long long)jsonx_int(identity, "start", 0);
    *ret = start && procs_started((pid_t)jsonx_int(identity, "pid", 0)) == start;
    return 0;
}

int attached_find(const json_t *identity, int *ret_fd, struct err *err)
{
    AUTO_CLOSE int fd = -1;
    AUTO_CLOSE int by_kind = -1;
    int found = -1;
    if (netns_open(jsonx_str(identity, "path", ""), &fd, NULL) == 0 && is_it(fd, identity)) {
        *ret_fd = steal_fd(&fd);
        return 0;
    }
    int r = find_by_kind(identity, &by_kind, err);
    if (r == 0 && by_kind >= 0 && is_it(by_kind, identity)) {
        *ret_fd = steal_fd(&by_kind);
        return 0;
    }
    if (r == 0)
        r = find_by_process(identity, &found, err);
    if (r == 0)
        *ret_fd = found;
    return r;
}

int attached_find_processes(const json_t *identity, json_t *procs, struct procs *ret,
                            struct err *err)
{
    const struct procs_wanted these = {.only = procs};
    struct procs all = {0};
    if (jsonx_int(identity, "pids", 0) != (int64_t)own_pids())
        return err_set(err, EXDEV,
                       "it stopped processes of another pid namespace: undo it from where the "
                       "drill was started");
    int r = json_array_size(procs) ? procs_scan(&all, err) : 0;
    if (r < 0)
        return r;
    *ret = procs_keep(&all, &these);
    return 0;
}
