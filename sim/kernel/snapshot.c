/* Snapshots and their comparison; see snapshot.h. */
#include "sim/kernel/snapshot.h"

#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/base/text.h"
#include "sim/kernel/cgroup.h"
#include "sim/kernel/mounts.h"
#include "sim/kernel/nft.h"
#include "sim/kernel/nl.h"
#include "sim/kernel/rtnl.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void add_line(const char *line, void *data)
{
    struct snapshot *s = data;
    if ((s->n & (s->n - 1)) == 0 &&
        !(s->lines = realloc(s->lines, (s->n ? 2 * s->n : 1) * sizeof(char *))))
        abort();
    if (!(s->lines[s->n++] = strdup(line)))
        abort();
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct snapshot *snapshot_free(struct snapshot *s)
{
    if (!s)
        return NULL;
    for (size_t i = 0; i < s->n; i++)
        free(s->lines[i]);
    free(s->lines);
    free(s);
    return NULL;
}

static int take_nft(struct nl *nl, struct snapshot *s, struct err *err)
{
    struct err why = ERR_INIT;
    int r = nft_describe(nl, add_line, s, &why);
    switch (-r) {
    case 0:
        return 0;
    case EPERM:
        add_line("nft cannot be read without CAP_NET_ADMIN", s);
        return 0;
    case EPROTONOSUPPORT:
    case EOPNOTSUPP:
    case EINVAL:
        add_line("nft is not in this kernel", s);
        return 0;
    default:
        return err_set(err, why.code, "%s", why.text);
    }
}

static int take_network(int netns_fd, struct snapshot *s, struct err *err)
{
    static const enum rtnl_what whats[] = {RTNL_LINKS,  RTNL_ADDRESSES, RTNL_ROUTES, RTNL_RULES,
                                           RTNL_QDISCS, RTNL_CLASSES,   RTNL_FILTERS};
    CLEANUP(nl_free_p) struct nl *nl = NULL;
    int r = nl_open_kernel(netns_fd, "the network namespace", &nl, err);
    for (size_t i = 0; i < ARRAY_SIZE(whats) && r == 0; i++)
        r = rtnl_describe(nl, whats[i], add_line, s, err);
    return r == 0 ? take_nft(nl, s, err) : r;
}

struct only {
    struct snapshot *s;
    const char *text;
};

static void add_only(const char *line, void *data)
{
    const struct only *o = data;
    if (!o->text || strstr(line, o->text))
        add_line(line, o->s);
}

int snapshot_take_scope(const struct snapshot_scope *scope, struct snapshot **ret, struct err *err)
{
    CLEANUP(snapshot_free_p) struct snapshot *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    struct only only = {s, scope->only};
    int r = scope->network ? take_network(scope->netns, s, err) : 0;
    if (r == 0 && scope->mounts >= 0)
        r = mounts_describe(scope->mounts, add_only, &only, err);
    if (r < 0)
        return r;
    if (scope->cgroup)
        cgroup_describe(scope->cgroup, scope->only, add_line, s);
    if (s->n)
        qsort(s->lines, s->n, sizeof(char *), by_text);
    *ret = steal_ptr(s);
    return 0;
}

int snapshot_take(int netns_fd, struct snapshot **ret, struct err *err)
{
    const struct snapshot_scope scope = {.network = true, .netns = netns_fd, .mounts = -1};
    return snapshot_take_scope(&scope, ret, err);
}

void snapshot_compare(const struct snapshot *before, const struct snapshot *after,
                      struct snapshot_diff *ret)
{
    struct snapshot_diff d = {.gone = calloc(before->n + 1, sizeof *d.gone),
                              .added = calloc(after->n + 1, sizeof *d.added)};
    if (!d.gone || !d.added)
        abort();
    size_t i = 0, j = 0;
    while (i < before->n || j < after->n) {
        int c = i == before->n ? 1 : j == after->n ? -1 : strcmp(before->lines[i], after->lines[j]);
        if (c < 0)
            d.gone[d.n_gone++] = before->lines[i++];
        else if (c > 0)
            d.added[d.n_added++] = after->lines[j++];
        else
            i++, j++;
    }
    *ret = d;
}

void snapshot_diff_done(struct snapshot_diff *d)
{
    free(d->gone);
    free(d->added);
    *d = (struct snapshot_diff){0};
}

/* --- Processes --------------------------------------------------------------- */

/* Field 22; the name in field 2 may hold blanks and brackets. False: the process has gone. */
static bool read_stat(int dir, struct snapshot_process *p)
{
    AUTO_FREE char *text = NULL;
    size_t n;
    char *end;
    if (file_read(dir, "stat", 4096, &text, &n, NULL) < 0 || !(end = strrchr(text, ')')))
        return false;
    *end = '\0';
    const char *comm = strchr(text, '(');
    snprintf(p->name, sizeof p->name, "%s", comm ? comm + 1 : "?");
    return sscanf(end + 2,
                  "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
                  "%llu",
                  &p->start) == 1;
}

static void read_name(int dir, struct snapshot_process *p)
{
    AUTO_FREE char *line = NULL;
    size_t n;
    if (file_read(dir, "cmdline", 1 << 20, &line, &n, NULL) == 0 && n > 0 && line[0])
        snprintf(p->name, sizeof p->name, "%s", text_basename(line));
}

/* 1: in one of the namespaces; 0: not, or gone; -EACCES: we may not see. */
static int look_at(int proc, const char *pid, const struct netns_id *ids, size_t n,
                   struct snapshot_process *ret)
{
    struct stat st;
    AUTO_CLOSE int dir = openat(proc, pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return 0;
    if (fstatat(dir, "ns/net", &st, 0) < 0)
        return errno == EACCES || errno == EPERM ? -EACCES : 0;
    struct netns_id id = {.dev = st.st_dev, .ino = st.st_ino};
    for (size_t i = 0; i < n; i++) {
        if (!netns_same(id, ids[i]))
            continue;
        *ret = (struct snapshot_process){.pid = (pid_t)atoi(pid), .netns = id};
        if (!read_stat(dir, ret))
            return 0;
        read_name(dir, ret);
        return 1;
    }
    return 0;
}

int snapshot_processes(const struct netns_id *ids, size_t n, struct snapshot_process **ret,
                       size_t *ret_n, size_t *ret_unseen, struct err *err)
{
    AUTO_CLOSEDIR DIR *proc = opendir("/proc");
    if (!proc)
        return err_errno(err, errno, "cannot read /proc");
    struct snapshot_process *list = NULL;
    size_t count = 0, unseen = 0;
    for (const struct dirent *e; (e = readdir(proc));) {
        struct snapshot_process p;
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        int r = look_at(dirfd(proc), e->d_name, ids, n, &p);
        unseen += r < 0;
        if (r <= 0)
            continue;
        if ((count & (count - 1)) == 0 &&
            !(list = realloc(list, (count ? 2 * count : 1) * sizeof *list)))
            abort();
        list[count++] = p;
    }
    *ret = list;
    *ret_n = count;
    *ret_unseen = unseen;
    return 0;
}
