/* See guest.h. */
#include "injectors/pressure/guest.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/attach/hit.h"
#include "sim/base/jsonx.h"

#define GONE_WITHIN (3 * NSEC_SEC)

/* Nobody but the host's own processes stands in it. */
static int is_its_own(const struct cgroup_seat *seat, const struct procs *own, bool *ret,
                      struct err *err)
{
    struct cgroup c = {.v1 = seat->v1};
    AUTO_FREE pid_t *pids = NULL;
    size_t n = 0;
    snprintf(c.dir, sizeof c.dir, "%s", seat->dir);
    int r = cgroup_pids(&c, &pids, &n, err);
    bool all = r == 0 && n > 0;
    for (size_t i = 0; all && i < n; i++)
        all = procs_find(own, pids[i]) != NULL;
    if (r == 0)
        *ret = all;
    return r;
}

int guest_seats(struct lab_node *n, struct cgroup_seats *ret, struct err *err)
{
    const struct attached_host *a = lab_node_attached(n);
    AUTO_CGROUP_SEATS seats = {0};
    AUTO_PROCS own = {0};
    bool one = false;
    if (!a || a->at.pid <= 0)
        return err_set(err, EOPNOTSUPP, "host %s has no process in whose control group to sit",
                       lab_node_name(n));
    int r = cgroup_seats_of(a->at.pid, &seats, err);
    if (r == 0 && !(a->at.offers & ATTACH_CGROUP))
        r = attached_processes(a, &own, err);
    if (r < 0)
        return err_prefix(err, "host %s", lab_node_name(n));
    one = (a->at.offers & ATTACH_CGROUP) && seats.n > 0;
    for (size_t i = 0; r == 0 && !one && i < seats.n; i++)
        r = is_its_own(&seats.items[i], &own, &one, err);
    if (r < 0)
        return r;
    if (!one)
        return err_set(err, EOPNOTSUPP,
                       "host %s has no control group of its own (others stand in it too, or it is "
                       "the root): pressure there would be the whole machine's; 'disk' and 'files' "
                       "can be done, and all of it to a container or a unit",
                       lab_node_name(n));
    *ret = seats;
    seats = (struct cgroup_seats){0};
    return 0;
}

int guest_start(struct guest *g, struct lab_node *n, const struct cgroup_seats *seats,
                const char *command, int folder, lab_run_fn *fn, void *data, json_t *record,
                struct err *err)
{
    const struct lab_guest guest = {.seats = seats, .folder = folder};
    int r = lab_node_run_guest(n, command, &guest, fn, data, &g->pid, err);
    if (r < 0)
        return r;
    g->start = g->pid ? procs_started(g->pid) : 0;
    json_object_set_new(record, "guest",
                        json_pack("{s:i,s:I}", "pid", (int)g->pid, "start", (json_int_t)g->start));
    return 0;
}

/* Whoever of them loses its parent becomes a child of process 1. */
int guest_members(const struct guest *g, pid_t **ret, size_t *ret_n, struct err *err)
{
    AUTO_PROCS all = {0};
    int r = procs_scan(&all, err);
    if (r < 0)
        return r;
    const struct proc *first = g->pid > 0 ? procs_find(&all, g->pid) : NULL;
    bool there = first && first->start == g->start;
    pid_t *pids = calloc(all.n + 1, sizeof *pids);
    size_t n = 0;
    if (!pids)
        abort();
    for (size_t i = 0; there && i < all.n; i++)
        if (procs_descends(&all, all.items[i].pid, g->pid))
            pids[n++] = all.items[i].pid;
    *ret = pids;
    *ret_n = n;
    return 0;
}

int guest_undo(const json_t *record, bool *ret_ended, struct err *err)
{
    const json_t *guest = json_object_get(record, "guest");
    pid_t pid = (pid_t)jsonx_int(guest, "pid", 0);
    struct proc first;
    *ret_ended = false;
    if (pid <= 0 || !procs_read(pid, &first))
        return 0;
    free(steal_ptr(first.argv0));
    if (first.start != (unsigned long long)jsonx_int(guest, "start", 0) ||
        !procs_is_alive(&first) || procs_inner_pid(&first) != 1)
        return 0;
    const struct proc *who[] = {&first};
    struct hit hit = {.n = 1, .at = SPAN_UNSET};
    int r = hit_processes(who, SIGKILL, GONE_WITHIN, &hit, err);
    if (r < 0)
        return err_prefix(err, "stress-ng (was its control group frozen meanwhile?)");
    *ret_ended = hit.n > 0;
    return 0;
}
