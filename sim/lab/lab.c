/* A lab: the switch, the hosts, and what others may ask of them. See lab.h.
 *
 * Building: all inits are cloned first, so that they mount while the runner waits for the first of
 * them and connects it; the far end of a cable can only be made once its host's settings are
 * written.
 */
#include "sim/lab/node.h"

#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/rtnl.h"
#include "sim/lab/deed.h"
#include "sim/lab/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define LAB_TAIL_MAX OUTPUT_RING
#define PORTS_TIMEOUT (5 * NSEC_SEC)

int lab_note_id(struct lab *lab, int netns_fd, struct err *err)
{
    struct netns_id id;
    uint64_t cookie = 0;
    int r = netns_identity(netns_fd, &id, err);
    if (r < 0 || (r = netns_cookie(netns_fd, &cookie, err)) < 0)
        return r;
    char **more = reallocarray(lab->ids, lab->ids_n + 1, sizeof *more);
    if (!more)
        return err_errno(err, ENOMEM, "cannot note a namespace");
    lab->ids = more;
    struct buf b = BUF_INIT;
    buf_printf(&b, "%" PRIu64 ":%" PRIu64 ":%" PRIu64, (uint64_t)id.dev, (uint64_t)id.ino, cookie);
    lab->ids[lab->ids_n++] = buf_steal(&b);
    return 0;
}

/* --- Changes ---------------------------------------------------------------------------------- */

void lab_tell(const struct lab *lab, const char *where, const char *text)
{
    struct nl_seen seen = {.where = where, .text = text};
    if (lab->handlers.change)
        lab->handlers.change(&seen, lab->handlers.data);
}

void lab_node_tell(const struct lab_node *n, const char *text)
{
    char where[80];
    snprintf(where, sizeof where, "host %s", n->host->name);
    lab_tell(n->lab, where, text);
}

struct lab_acting lab_act_for(struct lab *lab, struct lab_acting who)
{
    struct lab_acting before = lab->acting;
    lab->acting = who;
    return before;
}

struct lab_acting lab_acting(const struct lab *lab)
{
    const char *retiring = lab->impair ? impair_retiring(lab->impair) : NULL;
    if (!lab->acting.step && retiring) /* lines of faults are labelled by their step */
        return (struct lab_acting){retiring, true};
    return lab->acting;
}

/* --- Building --------------------------------------------------------------------------------- */

static void lab_look(struct loop_timer *t, void *data)
{
    struct lab *lab = data;
    struct output *all[256];
    size_t n = 0;
    for (size_t i = 0; i < lab->nodes_n; i++)
        for (size_t k = 0; k < lab->nodes[i].host->start.n; k++) {
            struct output *o = &lab->nodes[i].outputs[k];
            if (!o->loop || o->fd < 0)
                continue;
            all[n++] = o;
            if (n == ARRAY_SIZE(all)) {
                output_look(all, n);
                n = 0;
            }
        }
    output_look(all, n);
    loop_timer_set(lab->loop, t, loop_now(lab->loop) + OUTPUT_LOOK);
}

static int lab_make_switch(struct lab *lab, struct err *err)
{
    int r;
    if ((r = netns_new(&lab->switch_fd, err)) < 0 ||
        (r = lab_note_id(lab, lab->switch_fd, err)) < 0 ||
        (r = nl_open_kernel(lab->switch_fd, "switch", &lab->sw, err)) < 0)
        return r;
    if (lab->handlers.change)
        nl_observe(lab->sw, lab->handlers.change, lab->handlers.data);
    return wire_switch(lab->topo, lab->sw, err);
}

static int lab_build(struct lab *lab, struct err *err)
{
    if (!lab->topo->hosts_n)
        return 0; /* all hosts are others' */
    int r = lab_make_switch(lab, err);
    for (size_t i = 0; r == 0 && i < lab->topo->hosts_n; i++) {
        r = node_init(lab, i, err);
        lab->nodes_n = i + 1;
    }
    for (size_t i = 0; r == 0 && i < lab->nodes_n; i++)
        r = node_clone(&lab->nodes[i], err);
    for (size_t i = 0; r == 0 && i < lab->nodes_n; i++)
        r = node_join(&lab->nodes[i], err);
    return r < 0 ? r : rtnl_ports_running(lab->sw, PORTS_TIMEOUT, err);
}

static void lab_engine_died(const char *reason, void *data)
{
    struct lab *lab = data;
    if (lab->handlers.broken)
        lab->handlers.broken(reason, lab->handlers.data);
}

int lab_new(const struct scenario *s, struct loop *loop, const char *workdir, int source_dirfd,
            int logs_dirfd, const struct lab_handlers *handlers, struct lab **ret, struct err *err)
{
    CLEANUP(lab_free_p) struct lab *lab = calloc(1, sizeof *lab);
    if (!lab)
        return err_errno(err, ENOMEM, "cannot make a lab");
    *lab = (struct lab){.scenario = s,
                        .loop = loop,
                        .handlers = *handlers,
                        .source_dirfd = -1,
                        .logs_dirfd = -1,
                        .switch_fd = -1,
                        .look = {.fn = lab_look, .data = lab},
                        .workdir = strdup(workdir)};
    lab->source_dirfd = source_dirfd == AT_FDCWD ? open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)
                                                 : fcntl(source_dirfd, F_DUPFD_CLOEXEC, 3);
    if (logs_dirfd >= 0)
        lab->logs_dirfd = fcntl(logs_dirfd, F_DUPFD_CLOEXEC, 3);
    int r = topo_new(s, &lab->topo, err);
    if (r == 0)
        r = impair_new(loop, lab_engine_died, lab, &lab->impair, err);
    if (r < 0)
        return r;
    /* With room for attached ones: nodes are never moved. */
    lab->nodes = calloc(s->hosts.n + 1, sizeof *lab->nodes);
    if (!lab->nodes || !lab->workdir)
        return err_errno(err, ENOMEM, "cannot make a lab");
    r = lab_build(lab, err);
    if (r < 0)
        return r;
    loop_timer_set(loop, &lab->look, loop_now(loop));
    *ret = steal_ptr(lab);
    return 0;
}

int lab_attach(struct lab *lab, struct attached *a, struct err *err)
{
    lab->attached = a;
    for (size_t i = 0; i < a->n; i++) {
        int r = others_attach(lab, lab->nodes_n, &a->items[i], err);
        lab->nodes_n++;
        if (r < 0)
            return r;
    }
    return 0;
}

struct lab *lab_free(struct lab *lab)
{
    if (!lab)
        return NULL;
    loop_timer_cancel(lab->loop, &lab->look);
    for (size_t i = 0; i < lab->nodes_n; i++) /* all at once, then wait */
        node_kill(&lab->nodes[i]);
    for (size_t i = 0; i < lab->nodes_n; i++)
        node_done(&lab->nodes[i]);
    if (lab->nodes_n)
        file_remove_tree(AT_FDCWD, lab->workdir, NULL);
    if (lab->sw)
        lab_tell(lab, DEED_LAB, DEED_FOLDERS);
    if (lab->impair && lab->sw)
        impair_gone(lab->impair, lab->sw, NULL);
    lab->impair = impair_free(lab->impair);
    if (lab->sw)
        lab_tell(lab, "switch", DEED_GONE);
    nl_free(lab->sw);
    int fds[] = {lab->switch_fd, lab->source_dirfd, lab->logs_dirfd};
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    for (size_t i = 0; i < lab->ids_n; i++)
        free(lab->ids[i]);
    free(lab->ids);
    free(lab->nodes);
    free(lab->workdir);
    topo_free(lab->topo);
    free(lab);
    return NULL;
}

int lab_start(struct lab *lab, struct err *err)
{
    for (size_t i = 0; i < lab->nodes_n; i++) {
        struct lab_node *n = &lab->nodes[i];
        int r = n->attached ? 0 : node_start(n, NULL, NULL, err);
        if (r == 0)
            r = ready_begin(n, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- Asking ----------------------------------------------------------------------------------- */

size_t lab_count(const struct lab *lab)
{
    return lab->nodes_n;
}

struct lab_node *lab_node_at(struct lab *lab, size_t i)
{
    return &lab->nodes[i];
}

const struct topo *lab_topo(const struct lab *lab)
{
    return lab->topo;
}

struct lab_node *lab_node(struct lab *lab, const char *name)
{
    for (size_t i = 0; i < lab->nodes_n; i++)
        if (!strcmp(lab->nodes[i].host->name, name))
            return &lab->nodes[i];
    return NULL;
}

const char *lab_node_name(const struct lab_node *n)
{
    return n->host->name;
}

const struct host *lab_node_host(const struct lab_node *n)
{
    return n->host;
}

bool lab_node_is_up(const struct lab_node *n)
{
    return n->up;
}

struct attached_host *lab_node_attached(const struct lab_node *n)
{
    return n->attached;
}

int lab_node_refresh(struct lab_node *n, struct err *err)
{
    return n->attached ? others_refresh(n, err) : 0;
}

int lab_node_machine(const struct lab_node *n)
{
    return n->lab->attached->mounts;
}

bool lab_node_is_ready(const struct lab_node *n)
{
    return n->ready;
}

pid_t lab_node_pid(const struct lab_node *n)
{
    return n->pid;
}

int lab_node_pidfd(const struct lab_node *n)
{
    return n->pidfd;
}

int lab_node_source(const struct lab_node *n)
{
    return n->lab->source_dirfd;
}

int lab_node_netns(const struct lab_node *n)
{
    return n->netns;
}

struct nl *lab_node_nl(struct lab_node *n)
{
    return n->nl;
}

struct nl *lab_switch_nl(struct lab *lab)
{
    return lab->sw;
}

int lab_switch_netns(const struct lab *lab)
{
    return lab->switch_fd;
}

struct impair *lab_impair(struct lab *lab)
{
    return lab->impair;
}

size_t lab_node_ports(const struct lab_node *n)
{
    return n->attached ? 0 : n->lab->topo->hosts[n->index].cables;
}

const char *lab_node_port_at(const struct lab_node *n, size_t i)
{
    const struct topo *t = n->lab->topo;
    return t->cables[t->hosts[n->index].cable + i].port;
}

const char *lab_node_port(const struct lab_node *n, const char *network)
{
    const struct topo *t = n->lab->topo;
    if (n->attached)
        return NULL;
    const struct topo_host *h = &t->hosts[n->index];
    for (size_t c = h->cable; c < h->cable + h->cables; c++)
        if (!network || !strcmp(t->nets[t->cables[c].net].name, network))
            return t->cables[c].port;
    return NULL;
}

char *lab_node_tail(const struct lab_node *n, const char *unit, size_t lines)
{
    const char *picked[LAB_TAIL_MAX];
    size_t have = 0, units = n->host->start.n;
    size_t *left = calloc(units + 1, sizeof *left);
    AUTO_BUF out = BUF_INIT;
    for (size_t k = 0; left && k < units; k++) {
        const struct unit *u = n->host->start.items[k];
        left[k] = !unit || !strcmp(unit, u->name) ? n->outputs[k].n : 0;
    }
    while (left && have < lines && have < LAB_TAIL_MAX) { /* the newest that is left, of any unit */
        const struct output_line *best = NULL;
        size_t from = 0;
        for (size_t k = 0; k < units; k++) {
            const struct output *o = &n->outputs[k];
            const struct output_line *l =
                left[k] ? &o->ring[(o->first + left[k] - 1) % OUTPUT_RING] : NULL;
            if (l && (!best || l->seq > best->seq)) {
                best = l;
                from = k;
            }
        }
        if (!best)
            break;
        left[from]--;
        picked[have++] = best->text ? best->text : "";
    }
    free(left);
    while (have--)
        buf_printf(&out, "%s%s", picked[have], have ? "\n" : "");
    buf_adds(&out, "");
    return buf_steal(&out);
}

/* --- Processes -------------------------------------------------------------------------------- */

void lab_node_tell_signal(const struct lab_node *n, int signo, const json_t *procs)
{
    size_t i;
    const json_t *p;
    json_array_foreach (procs, i, p) {
        AUTO_BUF who = BUF_INIT, text = BUF_INIT;
        deed_process(p, &who);
        deed_signal(signo, buf_text(&who), &text);
        lab_node_tell(n, buf_text(&text));
    }
}

static json_t *lab_ask(const char *what, const struct lab_match *m)
{
    json_t *ask = json_pack("{s:s}", "do", what);
    if (m && m->process)
        json_object_set_new(ask, "process", json_string(m->process));
    if (m && m->pid)
        json_object_set_new(ask, "pid", json_integer(m->pid));
    if (m && m->unit)
        json_object_set_new(ask, "unit", json_string(m->unit));
    if (m && m->only)
        json_object_set(ask, "only", m->only);
    return ask;
}

int lab_node_signal(struct lab_node *n, const struct lab_match *m, int signo, nsec confirm,
                    struct lab_signalled *ret, struct err *err)
{
    if (n->attached)
        return others_signal(n, m, signo, confirm, ret, err);
    AUTO_JSON *ask = lab_ask("signal", m);
    AUTO_JSON *answer = NULL;
    json_object_set_new(ask, "signo", json_integer(signo));
    json_object_set_new(ask, "confirm", json_integer(confirm));
    int r = node_call(n, ask, NULL, 0, confirm, &answer, err);
    if (r < 0)
        return r;
    *ret = (struct lab_signalled){.n = (size_t)jsonx_int(answer, "n", 0),
                                  .confirmed = (size_t)jsonx_int(answer, "confirmed", 0),
                                  .at = jsonx_span(json_object_get(answer, "at")),
                                  .pids = json_incref(json_object_get(answer, "pids"))};
    lab_node_tell_signal(n, signo, ret->pids);
    return 0;
}

int lab_node_processes(struct lab_node *n, const struct lab_match *m, json_t **ret, struct err *err)
{
    if (n->attached)
        return others_processes(n, m, ret, err);
    AUTO_JSON *ask = lab_ask("list", m);
    AUTO_JSON *answer = NULL;
    int r = node_call(n, ask, NULL, 0, 0, &answer, err);
    if (r < 0)
        return r;
    *ret = json_incref(json_object_get(answer, "pids"));
    return 0;
}

int lab_node_start(struct lab_node *n, const char *const *units, struct span *ret_at,
                   struct err *err)
{
    return n->attached ? others_start(n, ret_at, err) : node_start(n, units, ret_at, err);
}

/* --- The power button ------------------------------------------------------------------------- */

/* Of a host that has no power; what impaired its cables goes with them. */
static int lab_take_cables(struct lab_node *n, struct err *err)
{
    struct lab *lab = n->lab;
    int r = wire_ports_delete(lab->topo, n->index, lab->sw, err);
    for (size_t i = 0; r == 0 && i < lab_node_ports(n); i++)
        impair_gone(lab->impair, lab->sw, lab_node_port_at(n, i));
    return r;
}

int lab_node_off(struct lab_node *n, struct span *ret_at, struct err *err)
{
    if (!n->up)
        return node_is_down(n, err);
    if (n->attached)
        return others_refuse(n, err);
    struct lab *lab = n->lab;
    struct span at = {.lo = loop_fresh(lab->loop)};
    /* The cable first: a process that dies must not say farewell. */
    int r = wire_ports_down(lab->topo, n->index, lab->sw, err);
    if (r < 0)
        return r;
    at.hi = node_drop(n);
    r = lab_take_cables(n, err);
    if (r < 0)
        return r;
    *ret_at = at;
    return 0;
}

int lab_node_on(struct lab_node *n, struct span *ret_at, struct err *err)
{
    if (n->up)
        return err_set(err, EALREADY, "host %s is up already", n->host->name);
    struct span at = {.lo = loop_fresh(n->lab->loop)};
    int r;
    /* After an init that ended by itself, its ports are still there. */
    if ((r = lab_take_cables(n, err)) < 0)
        return r;
    if ((r = node_clone(n, err)) < 0 || (r = node_join(n, err)) < 0 ||
        (r = node_start(n, NULL, NULL, err)) < 0 || (r = ready_begin(n, err)) < 0) {
        node_drop(n);
        return r;
    }
    at.hi = loop_fresh(n->lab->loop);
    *ret_at = at;
    return 0;
}

int lab_node_uptime_set(struct lab_node *n, nsec uptime, struct err *err)
{
    if (n->up)
        return err_set(err, EBUSY, "host %s is up: the uptime of one that runs cannot be shifted",
                       n->host->name);
    n->uptime = uptime;
    return 0;
}

nsec lab_node_uptime(const struct lab_node *n)
{
    return n->attached ? NSEC_UNSET : n->uptime;
}

nsec lab_host_uptime(const struct host *h)
{
    return h->lab && h->lab->uptime > 0 ? h->lab->uptime : NSEC_UNSET;
}

/* --- Afterwards ------------------------------------------------------------------------------- */

json_t *lab_ids(const struct lab *lab)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < lab->ids_n; i++)
        json_array_append_new(ids, json_string(lab->ids[i]));
    return ids;
}
