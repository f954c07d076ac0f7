/* Hosts that others made, as nodes of a lab: no init, no agent, no directory. The runner does itself what
 * an agent does elsewhere: it looks for processes in its own /proc, sends signals by pidfd, and enters
 * their namespaces for commands.
 */
#include "sim/lab/node.h"

#include "sim/attach/hit.h"
#include "sim/attach/start.h"
#include "sim/base/jsonx.h"
#include "sim/lab/deed.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define OTHERS_LOOK (200 * NSEC_MSEC) /* how often another is looked for */

int others_refuse(const struct lab_node *n, struct err *err)
{
    return err_set(err, EOPNOTSUPP,
                   "host %s was made by others: nothing of ours runs in it, and nothing is started "
                   "or ended there",
                   n->host->name);
}

static void others_ended(struct loop_io *io, uint32_t events, void *data);
static void others_look_again(struct loop_timer *t, void *data);
static int watch(struct lab_node *n, struct err *err);
static void unwatch(struct lab_node *n);

int others_attach(struct lab *lab, size_t at, struct attached_host *h, struct err *err)
{
    struct lab_node *n = &lab->nodes[at];
    char where[80];
    *n = (struct lab_node){.lab = lab,
                           .host = h->host,
                           .attached = h,
                           .index = SIZE_MAX,
                           .dir_fd = -1,
                           .pidfd = -1,
                           .netns = h->at.netns,
                           .sock = -1,
                           .outputs = calloc(h->host->start.n + 1, sizeof *n->outputs),
                           .queue = json_array()};
    if (!n->outputs)
        abort();
    snprintf(where, sizeof where, "host %s", h->host->name);
    int r = nl_open_kernel(n->netns, where, &n->nl, err);
    if (r < 0)
        return r;
    if (lab->handlers.change)
        nl_observe(n->nl, lab->handlers.change, lab->handlers.data);
    n->up = true;
    return watch(n, err);
}

/* It stays as it is; only we leave. */
void others_detach(struct lab_node *n)
{
    ready_end(n);
    unwatch(n);
    if (n->nl)
        impair_gone(n->lab->impair, n->nl, NULL);
    n->nl = nl_free(n->nl);
    while (n->former_n)
        nl_free(n->former[--n->former_n]);
    free(n->former);
    n->netns = -1;
    n->up = n->ready = false;
}

/* --- Another in its place --------------------------------------------------------------------- */

static void unwatch(struct lab_node *n)
{
    loop_timer_cancel(n->lab->loop, &n->deliver);
    if (n->pidfd < 0)
        return;
    loop_io_remove(n->lab->loop, &n->io);
    close(steal_fd(&n->pidfd));
}

/* A copy of the descriptor: the target's own goes when another takes its place. */
static int watch(struct lab_node *n, struct err *err)
{
    int pidfd = n->attached->at.pidfd;
    n->io = (struct loop_io){.fn = others_ended, .data = n};
    n->deliver = (struct loop_timer){.fn = others_look_again, .data = n};
    n->pidfd = pidfd < 0 ? -1 : fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
    return n->pidfd < 0 ? 0 : loop_io_add(n->lab->loop, &n->io, n->pidfd, EPOLLIN, err);
}

static void others_ended(struct loop_io *io, uint32_t events, void *data)
{
    struct lab_node *n = data;
    const struct attached_target *t = &n->attached->at;
    char reason[400];
    unwatch(n);
    snprintf(reason, sizeof reason, "host %s: %s: its main process %d has ended", n->host->name,
             t->what, (int)t->pid);
    loop_timer_set(n->lab->loop, &n->deliver, nsec_add(loop_now(n->lab->loop), OTHERS_LOOK));
    node_emit(n, (struct lab_event){.kind = LAB_GONE, .reason = reason});
}

/* Until another has come, or whoever asks first (others_refresh()) has found it. */
static void others_look_again(struct loop_timer *t, void *data)
{
    struct lab_node *n = data;
    if (others_refresh(n, NULL) != ATTACHED_REPLACED)
        loop_timer_set(n->lab->loop, t, nsec_add(loop_now(n->lab->loop), OTHERS_LOOK));
}

static int enter_another(struct lab_node *n, struct err *err)
{
    char where[80];
    CLEANUP(nl_free_p) struct nl *nl = NULL;
    snprintf(where, sizeof where, "host %s", n->host->name);
    int r = nl_open_kernel(n->attached->at.netns, where, &nl, err);
    if (r < 0)
        return r;
    if (n->lab->handlers.change)
        nl_observe(nl, n->lab->handlers.change, n->lab->handlers.data);
    impair_gone(n->lab->impair, n->nl, NULL);
    n->former = reallocarray(n->former, n->former_n + 1, sizeof(struct nl *));
    if (!n->former)
        abort();
    n->former[n->former_n++] = n->nl; /* faults that are in force there still speak through it */
    n->nl = steal_ptr(nl);
    n->netns = n->attached->at.netns;
    unwatch(n);
    return watch(n, err);
}

int others_refresh(struct lab_node *n, struct err *err)
{
    if (attached_is_there(n->attached, NULL) == 0 && n->netns == n->attached->at.netns)
        return 0;
    int r = attached_refresh(n->lab->attached, n->attached, err);
    if (r != ATTACHED_REPLACED && n->netns == n->attached->at.netns)
        return r;
    r = enter_another(n, err);
    if (r < 0)
        return r;
    node_emit(n, (struct lab_event){.kind = LAB_FOLLOWED, .reason = n->attached->at.what});
    return ATTACHED_REPLACED;
}

/* Files are the scenario's where both see the machine's; elsewhere a command begins at the root. */
int others_enter(const struct lab_node *n)
{
    const struct attached_target *t = &n->attached->at;
    if (setns(t->netns, CLONE_NEWNET) < 0 || setns(t->mounts, CLONE_NEWNS) < 0)
        return errno;
    if (t->shares_mounts && n->lab->source_dirfd >= 0)
        return fchdir(n->lab->source_dirfd) < 0 ? errno : 0;
    return chdir("/") < 0 ? errno : 0;
}

/* --- Processes -------------------------------------------------------------------------------- */

static int matching(const struct lab_node *n, const struct lab_match *m, struct procs *ret,
                    struct err *err)
{
    const struct procs_wanted wanted = {
        .process = m->process, .pid = m->pid, .inner = true, .only = m->only};
    AUTO_PROCS own = {0}, all = {0};
    if (m->unit)
        return err_set(err, EOPNOTSUPP,
                       "host %s was made by others: which of its processes are of a unit is not "
                       "known",
                       n->host->name);
    /* Who is named by number and start was of the host when that was noted: still the same, even if
     * it has left the port or the group by which it was found. */
    int r = m->only ? procs_scan(&all, err) : attached_processes(n->attached, &own, err);
    if (r == 0)
        *ret = procs_keep(m->only ? &all : &own, &wanted);
    return r;
}

static json_t *listed(const struct procs *p)
{
    json_t *all = json_array();
    for (size_t i = 0; i < p->n; i++)
        json_array_append_new(all, procs_json(&p->items[i], NULL));
    return all;
}

int others_processes(struct lab_node *n, const struct lab_match *m, json_t **ret, struct err *err)
{
    AUTO_PROCS found = {0};
    int r = matching(n, m, &found, err);
    if (r == 0)
        *ret = listed(&found);
    return r;
}

/* What runs already is left alone: a supervisor may have been quicker. */
int others_start(struct lab_node *n, struct span *ret_at, struct err *err)
{
    AUTO_PROCS own = {0};
    nsec now = loop_fresh(n->lab->loop);
    struct span at = {now, now};
    int r = attached_processes(n->attached, &own, err);
    for (size_t i = 0; r == 0 && own.n == 0 && i < n->host->start.n; i++) {
        const struct unit *u = n->host->start.items[i];
        AUTO_BUF text = BUF_INIT;
        r = start_command(u->command, n->lab->attached->mounts, n->attached->at.seats, err);
        deed_start(NULL, u->command, &text);
        if (r == 0)
            lab_node_tell(n, buf_text(&text));
    }
    at.hi = loop_fresh(n->lab->loop);
    if (r == 0 && ret_at)
        *ret_at = at;
    return r < 0 ? err_prefix(err, "host %s", n->host->name) : 0;
}

/* Their numbers are ours already. */
int others_outside(const json_t *procs, pid_t *ret)
{
    size_t i;
    const json_t *p;
    json_array_foreach (procs, i, p) {
        pid_t pid = (pid_t)jsonx_int(p, "pid", 0);
        bool same = procs_started(pid) == (unsigned long long)jsonx_int(p, "start", 0);
        ret[i] = same ? pid : 0;
    }
    return 0;
}

int others_signal(struct lab_node *n, const struct lab_match *m, int signo, nsec confirm,
                  struct lab_signalled *ret, struct err *err)
{
    AUTO_PROCS found = {0};
    struct hit hit = {.at = SPAN_UNSET};
    int r = matching(n, m, &found, err);
    if (r < 0)
        return r;
    AUTO_FREE const struct proc **who = calloc(found.n + 1, sizeof(const struct proc *));
    if (!who)
        abort();
    for (; hit.n < found.n; hit.n++) {
        who[hit.n] = &found.items[hit.n];
        if (hit_ends(signo) && who[hit.n]->pid == n->attached->at.pid)
            n->attached->ending = true;
    }
    r = hit_processes(who, signo, confirm, &hit, err);
    if (r < 0)
        return err_prefix(err, "host %s", n->host->name);
    *ret = (struct lab_signalled){.n = hit.n, .confirmed = hit.confirmed, .at = hit.at};
    ret->pids = json_array();
    for (size_t i = 0; i < hit.n; i++)
        json_array_append_new(ret->pids, procs_json(who[i], NULL));
    lab_node_tell_signal(n, signo, ret->pids);
    return 0;
}
