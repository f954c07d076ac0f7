/* The kind `process`: exactly the processes that match, by what is given of pid, pid_file, name, port and
 * cgroup (all must hold). They live in one network namespace; the main one is the eldest of those whose
 * parent does not match.
 *
 * Who they are is decided twice: when the host is resolved (one that is never a target among them is an
 * error: the rule is too wide), and again at each fault (a worker that was started since is one of
 * them; whatever is never a target is left out). By pid and pid_file it is one process for good.
 */
#include "sim/attach/process.h"

#include "sim/attach/group.h"
#include "sim/attach/port.h"
#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define NAMED_AT_MOST 8
#define PID_FILE_MAX 64

void process_rule_text(const struct process_host *p, struct buf *out)
{
    struct buf b = BUF_INIT;
    if (p->pid)
        buf_printf(&b, ", pid %lld", (long long)p->pid);
    if (p->pid_file)
        buf_printf(&b, ", pid_file %s", p->pid_file);
    if (p->name)
        buf_printf(&b, ", name %s", p->name);
    if (p->port)
        buf_printf(&b, ", port %lld", (long long)p->port);
    if (p->cgroup)
        buf_printf(&b, ", cgroup %s", p->cgroup);
    buf_adds(out, b.len ? buf_text(&b) + 2 : "nothing");
    buf_done(&b);
}

static bool process_is(const struct host *h)
{
    return h->process;
}

static int process_check(const struct host *h, const char **ret_key, struct err *err)
{
    const struct process_host *p = h->process;
    *ret_key = "process";
    if (!p->pid && !p->pid_file && !p->name && !p->port && !p->cgroup)
        return err_set(
            err, EINVAL,
            "say which processes: 'pid', 'pid_file', 'name', 'port', 'cgroup', or several "
            "of them, which must all hold");
    if (p->pid_file && p->pid_file[0] != '/')
        return err_set(err, EINVAL, "'pid_file' is a path that begins with '/'");
    const char *group = p->cgroup ? strchrnul(p->cgroup, '/') : "/x";
    if (!strncmp(group, "/sys/fs/cgroup", strlen("/sys/fs/cgroup")))
        return err_set(
            err, EINVAL,
            "'cgroup' is written as in /proc/PID/cgroup, like /system.slice/web.service, "
            "not as a folder below /sys");
    if (!group[0] || !group[1])
        return err_set(
            err, EINVAL,
            "'cgroup' is a path like /system.slice/web.service, and not the root, in which "
            "everything is");
    return 0;
}

static int read_pid_file(const char *path, pid_t *ret, struct err *err)
{
    AUTO_FREE char *text = NULL;
    char *end;
    size_t n;
    int r = file_read(AT_FDCWD, path, PID_FILE_MAX, &text, &n, err);
    if (r < 0)
        return err_prefix(err, "pid_file");
    long pid = strtol(text, &end, 10);
    if (end == text || pid <= 0 || pid > INT_MAX || strspn(end, " \t\r\n") != strlen(end))
        return err_set(err, EINVAL, "pid_file: %s does not hold the number of a process", path);
    *ret = (pid_t)pid;
    return 0;
}

/* Of all that runs here, that means who listens on this machine itself. */
static bool port_alone(const struct process_host *p)
{
    return p->port && !p->pid && !p->pid_file && !p->name && !p->cgroup;
}

int process_matches(const struct process_host *p, const struct procs *all, port_ask_fn *ask,
                    void *data, bool *ret, struct err *err)
{
    pid_t noted = 0;
    struct netns_id own, its;
    struct proc self = {.root = all->n ? all->items[0].root : "/proc", .pid = getpid()};
    int r = p->pid_file ? read_pid_file(p->pid_file, &noted, err) : 0;
    if (r < 0)
        return r;
    bool alone = port_alone(p), known = alone && attached_netns_of(&self, &own);
    for (size_t i = 0; i < all->n; i++) {
        const struct proc *q = &all->items[i];
        ret[i] =
            procs_is_alive(q) && (!p->pid || q->pid == p->pid) && (!noted || q->pid == noted) &&
            (!p->name || procs_match(q, p->name)) && (!p->cgroup || group_holds(p->cgroup, q)) &&
            (!alone || (known && !q->kernel && attached_netns_of(q, &its) && netns_same(own, its)));
    }
    return p->port ? port_keep(all, ret, p->port, ask, data, err) : 0;
}

static void name_them(const struct procs *all, const bool *in, struct buf *out)
{
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++) {
        if (!in[i])
            continue;
        if (n < NAMED_AT_MOST)
            buf_printf(out, "%s%d (%s)", n ? ", " : "", (int)all->items[i].pid, all->items[i].comm);
        n++;
    }
    if (n > NAMED_AT_MOST)
        buf_printf(out, " and %zu more", n - NAMED_AT_MOST);
}

static int refuse_never(const struct procs *all, const bool *in, const char *rule, struct err *err)
{
    for (size_t i = 0; i < all->n; i++) {
        const char *why = in[i] ? attached_never(all, &all->items[i]) : NULL;
        if (why)
            return err_set(err, EINVAL,
                           "%s matches process %d (%s), which cannot be a target: %s; say more of "
                           "what you mean",
                           rule, (int)all->items[i].pid, all->items[i].comm, why);
    }
    return 0;
}

static int refuse_scattered(const struct procs *all, const bool *in, const char *rule,
                            struct err *err)
{
    const struct proc *first = NULL;
    struct netns_id a, b;
    for (size_t i = 0; i < all->n; i++) {
        const struct proc *p = &all->items[i];
        if (!in[i] || !attached_netns_of(p, &b))
            continue;
        if (first && !netns_same(a, b))
            return err_set(err, EINVAL,
                           "%s matches processes of different network namespaces: %d (%s) and %d "
                           "(%s); one host is in one of them: say more of which you mean",
                           rule, (int)first->pid, first->comm, (int)p->pid, p->comm);
        if (!first) {
            first = p;
            a = b;
        }
    }
    return 0;
}

const struct proc *process_main(const struct procs *all, const bool *in)
{
    const struct proc *best = NULL;
    for (size_t i = 0; i < all->n; i++) {
        const struct proc *p = &all->items[i];
        const struct proc *parent = in[i] ? procs_find(all, p->ppid) : NULL;
        if (!in[i] || (parent && in[parent - all->items]))
            continue;
        if (!best || p->start < best->start)
            best = p;
    }
    return best;
}

static int process_choose(const struct process_host *p, const struct procs *all, bool *in,
                          size_t *ret_n, struct err *err)
{
    AUTO_BUF rule = BUF_INIT, seen = BUF_INIT;
    size_t n = 0;
    process_rule_text(p, &rule);
    int r = process_matches(p, all, NULL, NULL, in, err);
    if (r == 0)
        r = refuse_never(all, in, buf_text(&rule), err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < all->n; i++)
        n += in[i];
    name_them(all, in, &seen);
    if (!n)
        return err_set(err, ENOENT, "there is no process with %s", buf_text(&rule));
    if (p->expect && n != (size_t)p->expect)
        return err_set(err, ERANGE, "%s matches %zu processes, expected %lld: %s", buf_text(&rule),
                       n, (long long)p->expect, buf_text(&seen));
    *ret_n = n;
    return refuse_scattered(all, in, buf_text(&rule), err);
}

/* The rule as it stands in undo records. */
static json_t *rule_json(const struct process_host *p)
{
    return json_pack("{s:I,s:s*,s:s*,s:I,s:s*}", "pid", (json_int_t)p->pid, "pid_file", p->pid_file,
                     "name", p->name, "port", (json_int_t)p->port, "cgroup", p->cgroup);
}

/* Everybody, or, where one process is named by its number, that one. */
static int process_scan(const struct process_host *p, struct procs *ret, struct err *err)
{
    pid_t pid = (pid_t)p->pid;
    int r = !pid && p->pid_file ? read_pid_file(p->pid_file, &pid, err) : 0;
    if (r < 0)
        return r;
    return pid ? procs_scan_kin(pid, ret, err) : procs_scan(ret, err);
}

static int process_resolve(const struct host *h, struct attached_target *ret, struct err *err)
{
    AUTO_PROCS all = {0};
    size_t n = 0;
    int r = ret->seen ? 0 : process_scan(h->process, &all, err);
    if (r < 0)
        return r;
    const struct procs *who = ret->seen ? ret->seen : &all;
    AUTO_FREE bool *in = calloc(who->n + 1, sizeof *in);
    if (!in)
        abort();
    AUTO_ATTACHED_TARGET t = ATTACHED_TARGET_INIT;
    r = process_choose(h->process, who, in, &n, err);
    const struct proc *eldest = r == 0 ? process_main(who, in) : NULL;
    if (r == 0)
        r = attached_target_of(eldest, &t, err);
    if (r < 0)
        return r;
    AUTO_BUF what = BUF_INIT;
    if (n == 1)
        buf_printf(&what, "process %d (%s)", (int)eldest->pid, eldest->comm);
    else
        buf_printf(&what, "%zu processes, the first of them %d (%s)", n, (int)eldest->pid,
                   eldest->comm);
    t.what = buf_steal(&what);
    t.own = rule_json(h->process);
    t.offers = ATTACH_COMMANDS | ATTACH_PROCESSES | (t.shares_network ? 0 : ATTACH_NETWORK);
    *ret = t;
    t = ATTACHED_TARGET_INIT;
    return 0;
}

static int process_processes(const struct attached_host *h, const struct procs *all, bool *ret_own,
                             struct err *err)
{
    const struct process_host *p = h->host->process;
    struct netns_id its;
    if (p->pid || p->pid_file) {
        for (size_t i = 0; i < all->n; i++)
            ret_own[i] = all->items[i].pid == h->at.pid && all->items[i].start == h->at.start;
        return 0;
    }
    int r = process_matches(p, all, NULL, NULL, ret_own, err);
    for (size_t i = 0; r == 0 && i < all->n; i++)
        ret_own[i] =
            ret_own[i] && attached_netns_of(&all->items[i], &its) && netns_same(its, h->at.id);
    return r;
}

static int process_describe(const struct attached_host *h, json_t *texts, struct err *err)
{
    AUTO_PROCS own = {0};
    AUTO_BUF rule = BUF_INIT, seen = BUF_INIT;
    int r = attached_processes(h, &own, err);
    if (r < 0)
        return r;
    AUTO_FREE bool *in = calloc(own.n + 1, sizeof *in);
    if (!in)
        abort();
    memset(in, true, own.n);
    process_rule_text(h->host->process, &rule);
    name_them(&own, in, &seen);
    json_array_append_new(texts, json_sprintf("by %s: %s%s", buf_text(&rule),
                                              own.n ? "" : "no process now", buf_text(&seen)));
    return 0;
}

/* As a host's record has it; its texts stay the record's. */
static struct process_host rule_of(const json_t *identity)
{
    const json_t *rule = json_object_get(identity, "own");
    return (struct process_host){
        .pid = jsonx_int(rule, "pid", 0),
        .pid_file = (char *)(uintptr_t)jsonx_str(rule, "pid_file", NULL),
        .name = (char *)(uintptr_t)jsonx_str(rule, "name", NULL),
        .port = jsonx_int(rule, "port", 0),
        .cgroup = (char *)(uintptr_t)jsonx_str(rule, "cgroup", NULL),
    };
}

/* By its number it is one process for good, which is locked. A port alone means that of one network. */
static int process_claims(const json_t *identity, const struct procs *all, bool *ret_its,
                          struct err *err)
{
    const struct process_host p = rule_of(identity);
    struct netns_id its;
    if (p.pid)
        return 0;
    int r = process_matches(&p, all, NULL, NULL, ret_its, err);
    for (size_t i = 0; r == 0 && port_alone(&p) && i < all->n; i++)
        ret_its[i] = ret_its[i] && attached_netns_of(&all->items[i], &its) &&
                     (int64_t)its.ino == jsonx_int(identity, "ino", -1);
    return r;
}

static int process_runs(const json_t *identity, bool *ret, struct err *err)
{
    const struct process_host p = rule_of(identity);
    AUTO_PROCS all = {0};
    int r = procs_scan(&all, err);
    if (r < 0)
        return r;
    AUTO_FREE bool *in = calloc(all.n + 1, sizeof *in);
    if (!in)
        abort();
    /* By pid alone it may be a stranger by now, who got its number; then nothing of it runs. */
    if (p.pid)
        in[0] = procs_started((pid_t)p.pid) == (unsigned long long)jsonx_int(identity, "start", -1);
    else
        r = process_matches(&p, &all, NULL, NULL, in, err);
    bool any = p.pid && in[0];
    for (size_t i = 0; r == 0 && !p.pid && i < all.n; i++)
        any = any || (in[i] && !attached_never(&all, &all.items[i]));
    /* A file that has gone along with its process names nobody. */
    if (r == -ENOENT || r == 0)
        *ret = r == 0 && any;
    return r == -ENOENT ? 0 : r;
}

const struct attached_kind attach_process = {
    .name = "process",
    .noun = "a group of processes of this machine",
    .lacks = ", which nobody manages as a whole",
    .offers = ATTACH_COMMANDS | ATTACH_PROCESSES | ATTACH_NETWORK,
    .starts = true,
    .is = process_is,
    .check = process_check,
    .resolve = process_resolve,
    .processes = process_processes,
    .describe = process_describe,
    .claims = process_claims,
    .runs = process_runs,
};
