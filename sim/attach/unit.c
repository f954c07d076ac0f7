/* The kind `unit`: a service of systemd, found by its name; all processes of its control group are its
 * own. The main one is what systemd says it is.
 *
 * Most services live in the machine's own network namespace, so faults of the network are for those
 * that have one (PrivateNetwork=, NetworkNamespacePath=).
 */
#include "sim/attach/group.h"
#include "sim/attach/kind.h"
#include "sim/attach/manager.h"
#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define UNIT_FILE_MAX ((size_t)1 << 20)

static bool unit_is(const struct host *h)
{
    return h->unit;
}

static int unit_check(const struct host *h, const char **ret_key, struct err *err)
{
    *ret_key = "unit";
    return manager_is_service_name(h->unit)
               ? 0
               : err_set(err, EINVAL, "a unit that can be a target is a service: %s.service",
                         h->unit);
}

/* 0: it runs. */
static int unit_runs(const char *name, const struct manager_service *s, struct err *err)
{
    if (strcmp(s->load, "not-found") == 0)
        return err_set(err, ENOENT, "systemd knows no unit %s", name);
    if (s->main == 0 || !s->cgroup[0])
        return err_set(err, ENOENT,
                       "the unit %s does not run (%s, %s): start it first, systemctl start %s",
                       name, s->state, s->sub, name);
    return 0;
}

/* None of its processes may be one that is never a target: then all of it is none. */
static int refuse_never(const struct procs *all, const char *name, const char *cgroup,
                        struct err *err)
{
    for (size_t i = 0; i < all->n; i++) {
        const struct proc *p = &all->items[i];
        const char *why = group_holds(cgroup, p) ? attached_never(all, p) : NULL;
        if (why)
            return err_set(err, EINVAL,
                           "the unit %s cannot be a target: process %d (%s) in it, and %s", name,
                           (int)p->pid, p->comm, why);
    }
    return 0;
}

/* The folder of the whole unit: its main process may stand in one below (Delegate=). */
static void whole_group(char *folder, const char *cgroup)
{
    size_t n = strlen(cgroup);
    char *at = strstr(folder, cgroup);
    if (at && at[n] == '/')
        at[n] = '\0';
}

/* "X-Production=true" in a file of the unit: systemd leaves settings that begin with X- to others
 * (systemd.unit(5)). The caller frees; NULL: none. */
static char *mark_in(const char *path)
{
    AUTO_FREE char *text = NULL;
    char *save = NULL;
    if (!path || !path[0] || file_read(AT_FDCWD, path, UNIT_FILE_MAX, &text, NULL, NULL) < 0)
        return NULL;
    for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        l += strspn(l, " \t");
        char *equals = strchr(l, '='), *value = equals ? equals + 1 : NULL;
        if (!equals || strncasecmp(l, "X-", 2) != 0)
            continue;
        value += strspn(value, " \t");
        value[strcspn(value, " \t\r")] = '\0';
        while (equals > l && (equals[-1] == ' ' || equals[-1] == '\t'))
            equals--;
        *equals = '\0';
        if (!attached_is_mark(strrchr(l, '-') + 1, value))
            continue;
        AUTO_BUF mark = BUF_INIT;
        buf_printf(&mark, "%s=%s in %s", l, value, path);
        text_make_printable(mark.text, mark.len);
        return buf_steal(&mark);
    }
    return NULL;
}

static char *mark_of(const struct manager_service *s)
{
    char *mark = mark_in(s->file);
    for (char **m = s->more; !mark && m && *m; m++)
        mark = mark_in(*m);
    return mark;
}

static int unit_resolve(const struct host *h, struct attached_target *ret, struct err *err)
{
    CLEANUP(manager_free_p) struct manager *m = NULL;
    AUTO_MANAGER_SERVICE s = MANAGER_SERVICE_INIT;
    AUTO_ATTACHED_TARGET t = ATTACHED_TARGET_INIT;
    AUTO_PROCS all = {0};
    int r = manager_open(&m, err);
    if (r == 0)
        r = manager_service(m, h->unit, &s, err);
    if (r == 0)
        r = unit_runs(h->unit, &s, err);
    if (r == 0)
        r = procs_scan(&all, err);
    if (r == 0)
        r = refuse_never(&all, h->unit, s.cgroup, err);
    const struct proc *eldest = r == 0 ? procs_find(&all, s.main) : NULL;
    if (r == 0 && !eldest)
        r = err_set(err, ENOENT, "process %d, the main one of %s, has ended", (int)s.main, h->unit);
    if (r == 0)
        r = attached_target_of(eldest, &t, err);
    if (r < 0)
        return r;
    AUTO_BUF what = BUF_INIT;
    buf_printf(&what, "the unit %s, process %d (%s)", s.id, (int)eldest->pid, eldest->comm);
    t.what = buf_steal(&what);
    whole_group(t.cgroup.dir, s.cgroup);
    t.mark = mark_of(&s);
    t.own =
        json_pack("{s:s,s:s,s:s}", "unit", s.id, "cgroup", s.cgroup, "invocation", s.invocation);
    t.offers = ATTACH_COMMANDS | ATTACH_PROCESSES | (t.cgroup.dir[0] ? ATTACH_CGROUP : 0) |
               (s.by_hand ? ATTACH_POWER : 0) | (t.shares_network ? 0 : ATTACH_NETWORK);
    *ret = t;
    t = ATTACHED_TARGET_INIT;
    return 0;
}

static int unit_claims(const json_t *identity, const struct procs *all, bool *ret_its,
                       struct err *err)
{
    const char *cgroup = jsonx_str(json_object_get(identity, "own"), "cgroup", NULL);
    for (size_t i = 0; cgroup && i < all->n; i++)
        ret_its[i] = group_holds(cgroup, &all->items[i]);
    (void)err;
    return 0;
}

static int unit_processes(const struct attached_host *h, const struct procs *all, bool *ret_own,
                          struct err *err)
{
    const char *cgroup = jsonx_str(h->at.own, "cgroup", NULL);
    (void)err;
    for (size_t i = 0; i < all->n; i++)
        ret_own[i] = cgroup && group_holds(cgroup, &all->items[i]);
    return 0;
}

static int unit_describe(const struct attached_host *h, json_t *texts, struct err *err)
{
    AUTO_PROCS own = {0};
    int r = attached_processes(h, &own, err);
    if (r < 0)
        return r;
    json_array_append_new(texts, json_sprintf("%zu process%s of it in the control group %s", own.n,
                                              own.n == 1 ? "" : "es",
                                              jsonx_str(h->at.own, "cgroup", "?")));
    return 0;
}

const struct attached_kind attach_unit = {
    .name = "unit",
    .noun = "a service of systemd",
    .offers = ATTACH_COMMANDS | ATTACH_NETWORK | ATTACH_PROCESSES | ATTACH_CGROUP | ATTACH_POWER,
    .is = unit_is,
    .check = unit_check,
    .resolve = unit_resolve,
    .processes = unit_processes,
    .claims = unit_claims,
    .describe = unit_describe,
};
