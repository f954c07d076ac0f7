/* A host as the runner holds it: its init, its agent's socket, its outputs. See node.h. */
#include "sim/lab/node.h"

#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/kernel/netns.h"
#include "sim/lab/clock.h"
#include "sim/lab/deed.h"
#include "sim/lab/init.h"
#include "sim/lab/proto.h"
#include "sim/lab/standing.h"
#include "sim/lab/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#define NODE_PATIENCE (5 * NSEC_SEC)
#define NODE_FDS_AT_ONCE 32

int node_is_down(const struct lab_node *n, struct err *err)
{
    return err_set(err, EHOSTDOWN, "host %s is down", n->host->name);
}

void node_emit(struct lab_node *n, struct lab_event e)
{
    e.node = n;
    e.at = nsec_is_set(e.at) && e.at ? e.at : loop_fresh(n->lab->loop);
    if (n->lab->handlers.event)
        n->lab->handlers.event(&e, n->lab->handlers.data);
}

/* --- Working directory ------------------------------------------------------------------------ */

/* Below the working directory a file stands as it is named in the scenario; one from outside of the
 * scenario's folder by its last part. */
static const char *node_file_name(const char *from)
{
    bool outside = from[0] == '/' || text_starts(from, "../") || strstr(from, "/../");
    return outside ? text_basename(from) : from;
}

static int node_copy_files(struct lab_node *n, struct err *err)
{
    for (size_t i = 0; i < n->host->files.n; i++) {
        const char *from = n->host->files.items[i], *to = node_file_name(from);
        int r = file_copy_tree(n->lab->source_dirfd, from, n->dir_fd, to, err);
        if (r < 0)
            return err_prefix(err, "host %s: files", n->host->name);
    }
    AUTO_BUF text = BUF_INIT;
    deed_files(n->host, &text);
    if (text.len)
        lab_node_tell(n, buf_text(&text));
    return 0;
}

int node_init(struct lab *lab, size_t index, struct err *err)
{
    struct lab_node *n = &lab->nodes[index];
    *n = (struct lab_node){.lab = lab,
                           .host = lab->topo->hosts[index].host,
                           .index = index,
                           .uptime = lab_host_uptime(lab->topo->hosts[index].host),
                           .dir_fd = -1,
                           .pidfd = -1,
                           .netns = -1,
                           .sock = -1,
                           .queue = json_array()};
    n->outputs = calloc(n->host->start.n + 1, sizeof *n->outputs);
    if (!n->outputs)
        return err_errno(err, ENOMEM, "cannot make host %s", n->host->name);
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s/%s", lab->workdir, n->host->name);
    n->dir = buf_steal(&path);
    int r = file_make_dirs(AT_FDCWD, n->dir, 0755, err);
    if (r < 0)
        return r;
    n->dir_fd = open(n->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (n->dir_fd < 0)
        return err_errno(err, errno, "cannot open %s", n->dir);
    r = n->host->clock ? clock_begin(n->dir_fd, err) : 0;
    return r < 0 ? r : node_copy_files(n, err);
}

void node_done(struct lab_node *n)
{
    if (n->attached)
        others_detach(n);
    node_drop(n);
    run_drop_all(n, false);
    for (size_t i = 0; n->outputs && i < n->host->start.n; i++)
        output_close(&n->outputs[i]);
    free(n->outputs);
    free(n->dir);
    json_decref(n->queue);
    if (n->dir_fd >= 0)
        close(n->dir_fd);
    *n = (struct lab_node){.dir_fd = -1, .pidfd = -1, .netns = -1, .sock = -1};
}

/* --- Messages --------------------------------------------------------------------------------- */

static void node_event(struct lab_node *n, const json_t *event)
{
    const char *what = jsonx_str(event, "event", "");
    if (!strcmp(what, "ran")) {
        run_ended(n, event);
        return;
    }
    size_t i = (size_t)jsonx_int(event, "unit", 0);
    if (strcmp(what, "exited") || i >= n->host->start.n)
        return;
    const struct unit *u = n->host->start.items[i];
    struct lab_event e = {.kind = LAB_EXITED,
                          .unit = u->name,
                          .code = (int)jsonx_int(event, "code", -1),
                          .signo = (int)jsonx_int(event, "signo", 0),
                          .at = jsonx_span(json_object_get(event, "at")).hi};
    output_drain(&n->outputs[i]);
    node_emit(n, e);
    if (!u->restart)
        ready_exited(n, u->name, e.code, e.signo);
}

static void node_deliver(struct lab_node *n)
{
    while (json_array_size(n->queue)) {
        AUTO_JSON *event = json_incref(json_array_get(n->queue, 0));
        json_array_remove(n->queue, 0);
        node_event(n, event);
    }
}

static void node_deliver_later(struct loop_timer *t, void *data)
{
    node_deliver(data);
}

/* The init ended and nobody asked for it. */
static void node_lost(struct lab_node *n)
{
    char reason[128];
    snprintf(reason, sizeof reason, "the init of host %s ended unexpectedly", n->host->name);
    node_drop(n);
    node_emit(n, (struct lab_event){.kind = LAB_FAILED, .reason = reason});
}

static void node_readable(struct loop_io *io, uint32_t events, void *data)
{
    struct lab_node *n = data;
    while (n->up) {
        json_t *msg = NULL;
        struct proto_fds fds = {.n = 0};
        int r = proto_recv(n->sock, &msg, &fds, NULL);
        if (r == PROTO_NOTHING)
            break;
        if (r != 0) {
            node_deliver(n);
            if (n->up)
                node_lost(n);
            return;
        }
        proto_fds_close(&fds);
        json_array_append_new(n->queue, msg);
    }
    node_deliver(n);
}

int node_listen(struct lab_node *n, int also_fd, nsec until, json_t **ret, struct err *err)
{
    for (;;) {
        json_t *msg = NULL;
        struct proto_fds with = {.n = 0};
        int r = proto_recv(n->sock, &msg, &with, err);
        if (r < 0)
            return r;
        if (r == PROTO_EOF)
            return node_is_down(n, err);
        if (r == 0) {
            proto_fds_close(&with);
            if (!json_object_get(msg, "event")) {
                *ret = msg;
                return 1;
            }
            json_array_append_new(n->queue, msg);
            loop_timer_set(n->lab->loop, &n->deliver, loop_now(n->lab->loop));
            return 0;
        }
        nsec left = nsec_sub(until, loop_fresh(n->lab->loop));
        if (left <= 0)
            return err_set(err, ETIMEDOUT, "host %s does not answer", n->host->name);
        struct pollfd fds[] = {{.fd = n->sock, .events = POLLIN},
                               {.fd = also_fd, .events = POLLIN}};
        struct timespec wait = nsec_to_timespec(left);
        if (ppoll(fds, ARRAY_SIZE(fds), &wait, NULL) < 0 && errno != EINTR)
            return err_errno(err, errno, "cannot wait for host %s", n->host->name);
        if (fds[1].revents && !fds[0].revents)
            return 0;
    }
}

int node_call(struct lab_node *n, const json_t *ask, const int *fds, size_t n_fds, nsec patience,
              json_t **ret, struct err *err)
{
    if (!n->up)
        return node_is_down(n, err);
    if (n->attached)
        return others_refuse(n, err);
    AUTO_JSON *answer = NULL;
    nsec until = nsec_add(loop_fresh(n->lab->loop), nsec_add(patience, NODE_PATIENCE));
    int r = proto_send(n->sock, ask, fds, n_fds, err);
    if (r == -EPIPE || r == -ECONNRESET)
        return node_is_down(n, err);
    while (r == 0)
        r = node_listen(n, -1, until, &answer, err);
    if (r < 0)
        return err_prefix(err, "host %s", n->host->name);
    int code = (int)jsonx_int(answer, "error", 0);
    if (code) {
        err_set(err, code, "host %s: %s", n->host->name, jsonx_str(answer, "text", "no reason"));
        return -code;
    }
    if (ret)
        *ret = steal_ptr(answer);
    return 0;
}

/* --- Life ------------------------------------------------------------------------------------- */

static void node_line(struct output *o, const char *line, size_t len, struct span at, void *data)
{
    struct lab_node *n = data;
    const struct unit *u = n->host->start.items[o - n->outputs];
    ready_line(n, u->name, line, len);
    if (n->lab->handlers.output)
        n->lab->handlers.output(n, u->name, line, len, at, n->lab->handlers.data);
}

static int node_log(const struct lab_node *n, const struct unit *u, int *ret, struct err *err)
{
    char name[NAME_MAX + 1];
    *ret = -1;
    if (n->lab->logs_dirfd < 0)
        return 0;
    snprintf(name, sizeof name, "%.100s-%.100s.log", n->host->name, u->name);
    for (char *c = name; *c; c++)
        if (*c == '/')
            *c = '_';
    *ret = openat(n->lab->logs_dirfd, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    return *ret < 0 ? err_errno(err, errno, "cannot write %s", name) : 0;
}

/* Makes the pipes of all units and gives their writing ends to the agent. */
static int node_open_outputs(struct lab_node *n, struct err *err)
{
    int fds[NODE_FDS_AT_ONCE], r = 0;
    size_t k = 0, total = n->host->start.n;
    for (size_t i = 0; i < total && r == 0; i++) {
        output_close(&n->outputs[i]); /* of its last life */
        int log;
        r = node_log(n, n->host->start.items[i], &log, err);
        if (r == 0)
            r = output_open(&n->outputs[i], n->lab->loop, log, &n->lines, node_line, n, &fds[k],
                            err);
        if (r < 0)
            break;
        if (++k < NODE_FDS_AT_ONCE && i + 1 < total)
            continue;
        AUTO_JSON *ask = json_pack("{s:s}", "do", "outputs");
        r = node_call(n, ask, fds, k, 0, NULL, err);
        while (k)
            close(fds[--k]);
    }
    while (k)
        close(fds[--k]);
    return r;
}

/* NULL-terminated texts, freed with their array. */
static void values_done(char ***values)
{
    for (size_t i = 0; *values && (*values)[i]; i++)
        free((*values)[i]);
    free(*values);
}

/* Secrets are looked up here, where their files and variables are; inside there is neither. */
static int node_env_values(const struct lab_node *n, char ***ret, struct err *err)
{
    const struct pairs *env = &n->host->env;
    CLEANUP(values_done) char **values = calloc(env->n + 1, sizeof *values);
    if (!values)
        return err_errno(err, ENOMEM, "cannot make host %s", n->host->name);
    for (size_t i = 0; i < env->n; i++) {
        int r = pair_resolve(&env->items[i], n->lab->source_dirfd, &values[i], err);
        if (r < 0) {
            err_prefix(err, "host %s: env", n->host->name);
            return r;
        }
    }
    *ret = steal_ptr(values);
    return 0;
}

int node_clone(struct lab_node *n, struct err *err)
{
    AUTO_BUF hosts = BUF_INIT;
    CLEANUP(values_done) char **values = NULL;
    int pair[2];
    topo_hosts_file(n->lab->topo, n->index, &hosts);
    int r = node_env_values(n, &values, err);
    if (r < 0 || (r = proto_pair(pair, err)) < 0)
        return r;
    AUTO_CLOSE int ours = pair[0], theirs = pair[1];
    struct init_spec spec = {.host = n->host,
                             .hosts_text = buf_text(&hosts),
                             .sock = theirs,
                             .dir = n->dir,
                             .env_values = values,
                             .uptime = n->uptime};
    r = init_clone(&spec, &n->pid, &n->pidfd, err);
    if (r < 0)
        return r;
    n->up = true;
    n->ready = n->killed = false;
    n->io = (struct loop_io){.fn = node_readable, .data = n};
    n->deliver = (struct loop_timer){.fn = node_deliver_later, .data = n};
    n->sock = steal_fd(&ours);
    return 0;
}

int node_join(struct lab_node *n, struct err *err)
{
    char where[80];
    const struct impair_here here = {.known = false};
    AUTO_JSON *hello = NULL;
    snprintf(where, sizeof where, "host %s", n->host->name);
    int r;
    while ((r = node_listen(n, -1, nsec_add(loop_fresh(n->lab->loop), NODE_PATIENCE), &hello,
                            err)) == 0)
        ;
    if (r < 0)
        return r;
    int code = (int)jsonx_int(hello, "error", 0);
    if (code)
        return err_set(err, code, "%s: %s", where, jsonx_str(hello, "text", "no reason"));
    if ((r = netns_of_pid(n->pid, &n->netns, err)) < 0 ||
        (r = lab_note_id(n->lab, n->netns, err)) < 0 ||
        (r = nl_derive(n->lab->sw, n->netns, where, &n->nl, err)) < 0 ||
        (r = wire_settings(n->lab->topo, n->index, n->nl, err)) < 0 ||
        (r = wire_host(n->lab->topo, n->index, n->lab->sw, n->nl,
                       (struct nl_netns){.fd = n->netns, .name = where}, err)) < 0 ||
        (r = standing_arm(n->lab->topo, n->lab->scenario, n->index, n->lab->impair, n->lab->sw,
                          n->lab->switch_fd, &here, err)) < 0 ||
        (r = node_open_outputs(n, err)) < 0)
        return r;
    return loop_io_add(n->lab->loop, &n->io, n->sock, EPOLLIN, err);
}

void node_kill(struct lab_node *n)
{
    AUTO_BUF text = BUF_INIT;
    if (!n->up || n->attached || n->killed)
        return;
    pidfd_send_signal(n->pidfd, SIGKILL, NULL, 0);
    n->killed = true;
    deed_signal(SIGKILL, DEED_INIT, &text);
    lab_node_tell(n, buf_text(&text));
}

nsec node_drop(struct lab_node *n)
{
    if (!n->up)
        return NSEC_UNSET;
    node_kill(n);
    struct pollfd fd = {.fd = n->pidfd, .events = POLLIN};
    while (poll(&fd, 1, -1) < 0 && errno == EINTR)
        ;
    nsec ended = loop_fresh(n->lab->loop);
    while (waitpid(n->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    ready_end(n);
    loop_io_remove(n->lab->loop, &n->io);
    loop_timer_cancel(n->lab->loop, &n->deliver);
    json_array_clear(n->queue);
    if (n->nl)
        impair_gone(n->lab->impair, n->nl, NULL);
    n->nl = nl_free(n->nl);
    close(steal_fd(&n->pidfd));
    close(steal_fd(&n->sock));
    if (n->netns >= 0)
        close(steal_fd(&n->netns));
    n->pid = 0;
    n->up = n->ready = false;
    n->uptime = nsec_is_set(n->uptime) ? 0 : NSEC_UNSET; /* the next life begins anew */
    run_drop_all(n, true);
    return ended;
}

static bool node_is_named(const char *const *names, const char *name)
{
    for (size_t i = 0; names && names[i]; i++)
        if (!strcmp(names[i], name))
            return true;
    return !names;
}

int node_start(struct lab_node *n, const char *const *names, struct span *ret_at, struct err *err)
{
    AUTO_JSON *ask = json_pack("{s:s,s:[]}", "do", "start", "units");
    AUTO_JSON *answer = NULL;
    for (size_t i = 0; i < n->host->start.n; i++)
        if (node_is_named(names, ((const struct unit *)n->host->start.items[i])->name))
            json_array_append_new(json_object_get(ask, "units"), json_integer((json_int_t)i));
    int r = node_call(n, ask, NULL, 0, 0, &answer, err);
    if (r < 0)
        return r;
    size_t k;
    const json_t *i;
    json_array_foreach (json_object_get(answer, "started"), k, i) {
        const struct unit *u = n->host->start.items[json_integer_value(i)];
        AUTO_BUF text = BUF_INIT;
        deed_start(u->name, u->command, &text);
        lab_node_tell(n, buf_text(&text));
    }
    if (ret_at)
        *ret_at = jsonx_span(json_object_get(answer, "at"));
    return 0;
}
