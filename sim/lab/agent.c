/* The agent, see agent.h: one loop over the runner's socket, the supervisors' pipe and SIGCHLD. */
#include "sim/lab/agent.h"

#include "sim/attach/hit.h"
#include "sim/attach/procs.h"
#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/lab/clock.h"
#include "sim/lab/init.h"
#include "sim/lab/proto.h"
#include "sim/lab/sup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct agent_sup { /* a living supervisor */
    pid_t pid;
    pid_t main; /* of a run: its command, which leads a process group */
    bool is_run;
    size_t unit; /* of a unit */
    uint64_t id;
};

struct agent {
    const struct host *host;
    char *const *env_values; /* of host->env */
    int sock, sigfd, events[2];
    char dir[INIT_DIR_MAX];
    char **env; /* of every command, without BLACKSTART_UNIT */
    size_t env_n;
    int *outs; /* of each unit; given once by the runner */
    size_t outs_n;
    struct agent_sup *sups;
    size_t sups_n, sups_room;
};

static const struct unit *agent_unit(const struct agent *a, size_t i)
{
    return a->host->start.items[i];
}

/* --- Environment ------------------------------------------------------------------------------ */

/* Nothing of the runner's environment but PATH and TERM: no proxies, no secrets, the same in CI as
 * on a desk. */
static void agent_make_env(struct agent *a)
{
    const char *path = getenv("PATH"), *term = getenv("TERM");
    size_t room = a->host->env.n + 10 + CLOCK_VARIABLES;
    a->env = calloc(room, sizeof *a->env);
    if (!a->env)
        abort();
    struct buf b = BUF_INIT;
    buf_printf(&b, "PATH=%s%s/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
               path ? path : "", path ? ":" : "");
    a->env[a->env_n++] = buf_steal(&b);
    const char *const fixed[][2] = {{"HOME", a->dir},
                                    {"LANG", "C.UTF-8"},
                                    {"USER", "root"},
                                    {"LOGNAME", "root"},
                                    {"SHELL", "/bin/sh"},
                                    {"TERM", term ? term : "dumb"},
                                    {"BLACKSTART_HOST", a->host->name}};
    for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
        buf_printf(&b, "%s=%s", fixed[i][0], fixed[i][1]);
        a->env[a->env_n++] = buf_steal(&b);
    }
    struct clock_variable clock[CLOCK_VARIABLES];
    size_t clock_n = a->host->clock ? clock_environment(a->dir, clock) : 0;
    for (size_t i = 0; i < clock_n; i++) {
        buf_printf(&b, "%s=%s", clock[i].name, clock[i].value);
        a->env[a->env_n++] = buf_steal(&b);
    }
    for (size_t i = 0; i < a->host->env.n; i++) {
        const struct pair *p = &a->host->env.items[i];
        size_t at = 0, len = strlen(p->key);
        while (at < a->env_n && (strncmp(a->env[at], p->key, len) || a->env[at][len] != '='))
            at++;
        buf_printf(&b, "%s=%s", p->key, a->env_values[i]);
        if (at < a->env_n)
            free(a->env[at]);
        else
            a->env_n++;
        a->env[at] = buf_steal(&b);
    }
}

static int agent_keep_env(const struct agent *a, struct err *err)
{
    AUTO_BUF all = BUF_INIT;
    for (size_t i = 0; i < a->env_n; i++)
        buf_add(&all, a->env[i], strlen(a->env[i]) + 1);
    AUTO_CLOSE int fd = open(INIT_ENV_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, "cannot write %s", INIT_ENV_FILE);
    return file_write_all(fd, all.text, all.len, err);
}

/* The environment with the unit's mark; the array is the caller's, `mark` is what it points to. */
static char **agent_env(const struct agent *a, char *mark)
{
    char **env = calloc(a->env_n + 2, sizeof *env);
    if (!env)
        abort();
    memcpy(env, a->env, a->env_n * sizeof *env);
    env[a->env_n] = mark;
    return env;
}

/* Where the program is; NULL when it is not in PATH (or not where it says). The caller frees it. */
static char *agent_which(const struct agent *a, const char *program)
{
    struct buf b = BUF_INIT;
    const char *path = "";
    if (strchr(program, '/'))
        return access(program, X_OK) == 0 ? strdup(program) : NULL;
    for (size_t i = 0; i < a->env_n; i++)
        if (text_starts(a->env[i], "PATH="))
            path = a->env[i] + strlen("PATH=");
    while (*path) {
        size_t n = strcspn(path, ":");
        buf_clear(&b);
        buf_printf(&b, "%.*s/%s", (int)n, path, program);
        if (n && access(b.text, X_OK) == 0)
            return buf_steal(&b);
        path += n + (path[n] == ':');
    }
    buf_done(&b);
    return NULL;
}

/* --- Supervisors ------------------------------------------------------------------------------ */

static void agent_remember(struct agent *a, struct agent_sup s)
{
    if (a->sups_n == a->sups_room) {
        a->sups_room = a->sups_room ? a->sups_room * 2 : 16;
        a->sups = reallocarray(a->sups, a->sups_room, sizeof *a->sups);
        if (!a->sups)
            abort();
    }
    a->sups[a->sups_n++] = s;
}

static const struct agent_sup *agent_sup_of(const struct agent *a, pid_t pid)
{
    for (size_t i = 0; i < a->sups_n; i++)
        if (a->sups[i].pid == pid)
            return &a->sups[i];
    return NULL;
}

/* The supervisor that a process descends from, or NULL. */
static const struct agent_sup *agent_owner(const struct agent *a, const struct procs *all,
                                           const struct proc *p)
{
    for (size_t depth = 0; p && depth <= all->n; depth++) {
        const struct agent_sup *s = agent_sup_of(a, p->ppid);
        if (s)
            return s;
        p = procs_find(all, p->ppid);
    }
    return NULL;
}

static bool agent_runs(const struct agent *a, const struct procs *all, size_t unit)
{
    for (size_t i = 0; i < a->sups_n; i++)
        if (!a->sups[i].is_run && a->sups[i].unit == unit && agent_unit(a, unit)->restart) {
            const struct proc *p = procs_find(all, a->sups[i].pid);
            if (p && procs_is_alive(p))
                return true; /* between two lives, perhaps */
        }
    for (size_t i = 0; i < all->n; i++) {
        const struct proc *p = &all->items[i];
        const struct agent_sup *s = procs_is_alive(p) ? agent_owner(a, all, p) : NULL;
        if (s && !s->is_run && s->unit == unit)
            return true;
    }
    return false;
}

static int agent_start_unit(struct agent *a, size_t i, struct span *at, struct err *err)
{
    const struct unit *u = agent_unit(a, i);
    char mark[128];
    snprintf(mark, sizeof mark, "BLACKSTART_UNIT=%s", u->name);
    char **argv = text_split_argv(u->command);
    if (!argv || !argv[0]) {
        text_free_argv(argv);
        return err_set(err, EINVAL, "the command \"%s\" is empty or has an open quote", u->command);
    }
    AUTO_FREE char *path = agent_which(a, argv[0]);
    AUTO_FREE char **env = agent_env(a, mark);
    int r = 0;
    pid_t pid;
    if (!path)
        r = err_set(
            err, ENOENT,
            "the program %s is missing: install it, or write its full path in start:", argv[0]);
    struct sup_spec spec = {.path = path,
                            .argv = argv,
                            .env = env,
                            .dir = a->dir,
                            .out_fd = a->outs[i],
                            .events_fd = a->events[1],
                            .id = i,
                            .restart = u->restart};
    if (r == 0)
        r = sup_start(&spec, &pid, NULL, at, err);
    if (r == 0)
        agent_remember(a, (struct agent_sup){.pid = pid, .unit = i, .id = i});
    text_free_argv(argv);
    return r;
}

static int agent_do_outputs(struct agent *a, struct proto_fds *fds, struct err *err)
{
    if (a->outs_n + fds->n > a->host->start.n)
        return err_set(err, EPROTO, "more outputs than units");
    for (size_t i = 0; i < fds->n; i++)
        a->outs[a->outs_n++] = fds->fds[i];
    fds->n = 0;
    return 0;
}

static int agent_do_start(struct agent *a, const json_t *ask, json_t *answer, struct err *err)
{
    const json_t *units = json_object_get(ask, "units");
    json_t *started = json_array();
    struct span at = SPAN_UNSET, one;
    struct procs all = {0};
    int r = procs_scan(&all, err);
    json_object_set_new(answer, "started", started);
    for (size_t k = 0; r == 0 && k < json_array_size(units); k++) {
        size_t i = (size_t)json_integer_value(json_array_get(units, k));
        if (i >= a->outs_n)
            r = err_set(err, EPROTO, "unit %zu is unknown", i);
        else if (agent_runs(a, &all, i))
            continue;
        else if ((r = agent_start_unit(a, i, &one, err)) == 0) {
            at = span_is_set(at) ? (struct span){at.lo, one.hi} : one;
            json_array_append_new(started, json_integer((json_int_t)i));
        }
    }
    procs_done(&all);
    if (!span_is_set(at))
        at.lo = at.hi = nsec_now(CLOCK_MONOTONIC);
    json_object_set_new(answer, "at", jsonx_new_span(at));
    return r;
}

static int agent_do_run(struct agent *a, const json_t *ask, const struct proto_fds *fds,
                        json_t *answer, struct err *err)
{
    char shell[] = "/bin/sh", dash_c[] = "-c", mark[] = "BLACKSTART_UNIT=run";
    AUTO_FREE char *command = strdup(jsonx_str(ask, "command", ""));
    char *const argv[] = {shell, dash_c, command, NULL};
    AUTO_FREE char **env = agent_env(a, mark);
    struct span at;
    pid_t pid, first;
    if (!fds->n || !command)
        return err_set(err, EPROTO, "a command came without its output");
    struct sup_spec spec = {.path = shell,
                            .argv = argv,
                            .env = env,
                            .dir = a->dir,
                            .out_fd = fds->fds[0],
                            .events_fd = a->events[1],
                            .id = (uint64_t)jsonx_int(ask, "id", 0),
                            .is_run = true,
                            .timeout = jsonx_int(ask, "timeout", 0)};
    int r = sup_start(&spec, &pid, &first, &at, err);
    if (r < 0)
        return r;
    agent_remember(a, (struct agent_sup){.pid = pid, .main = first, .is_run = true, .id = spec.id});
    json_object_set_new(answer, "at", jsonx_new_span(at));
    return 0;
}

/* To the process group of a command. One that has ended is no error: its end is on its way. */
static int agent_do_stop(struct agent *a, const json_t *ask, struct err *err)
{
    uint64_t id = (uint64_t)jsonx_int(ask, "id", 0);
    int signo = (int)jsonx_int(ask, "signo", 0);
    for (size_t i = 0; i < a->sups_n; i++)
        if (a->sups[i].is_run && a->sups[i].id == id && kill(-a->sups[i].main, signo) < 0 &&
            errno != ESRCH)
            return err_errno(err, errno, "cannot send signal %d", signo);
    return 0;
}

/* --- Processes -------------------------------------------------------------------------------- */

/* Which processes a request means; see struct lab_match. */
static struct procs_wanted agent_wanted(const json_t *ask)
{
    return (struct procs_wanted){.process = jsonx_str(ask, "process", NULL),
                                 .pid = (pid_t)jsonx_int(ask, "pid", 0),
                                 .only = json_object_get(ask, "only")};
}

/* Ours are never matched: pid 1 and the supervisors. */
static bool agent_is_asked_for(const struct agent *a, const struct procs *all, const struct proc *p,
                               const struct procs_wanted *w, const char *unit)
{
    if (p->pid == 1 || agent_sup_of(a, p->pid))
        return false;
    if (unit) {
        const struct agent_sup *s = agent_owner(a, all, p);
        if (!s || s->is_run || strcmp(agent_unit(a, s->unit)->name, unit) != 0)
            return false;
    }
    return procs_wants(w, p);
}

static json_t *agent_describe(const struct agent *a, const struct procs *all, const struct proc *p)
{
    const struct agent_sup *s = agent_owner(a, all, p);
    return procs_json(p, s && !s->is_run ? agent_unit(a, s->unit)->name : NULL);
}

static int agent_do_list(struct agent *a, const json_t *ask, json_t *answer, struct err *err)
{
    struct procs_wanted wanted = agent_wanted(ask);
    AUTO_PROCS all = {0};
    int r = procs_scan(&all, err);
    if (r < 0)
        return r;
    json_t *pids = json_array();
    for (size_t i = 0; i < all.n; i++)
        if (agent_is_asked_for(a, &all, &all.items[i], &wanted, jsonx_str(ask, "unit", NULL)))
            json_array_append_new(pids, agent_describe(a, &all, &all.items[i]));
    json_object_set_new(answer, "pids", pids);
    return 0;
}

static int agent_do_signal(struct agent *a, const json_t *ask, json_t *answer, struct err *err)
{
    struct procs_wanted wanted = agent_wanted(ask);
    AUTO_PROCS all = {0};
    struct hit hit = {.at = SPAN_UNSET};
    int r = procs_scan(&all, err);
    if (r < 0)
        return r;
    AUTO_FREE const struct proc **who = calloc(all.n + 1, sizeof(const struct proc *));
    if (!who)
        return err_errno(err, ENOMEM, "cannot list processes");
    for (size_t i = 0; i < all.n; i++)
        if (agent_is_asked_for(a, &all, &all.items[i], &wanted, jsonx_str(ask, "unit", NULL)))
            who[hit.n++] = &all.items[i];
    r = hit_processes(who, (int)jsonx_int(ask, "signo", 0), jsonx_int(ask, "confirm", 0), &hit,
                      err);
    json_t *pids = json_array();
    for (size_t i = 0; i < hit.n; i++)
        json_array_append_new(pids, agent_describe(a, &all, who[i]));
    json_object_set_new(answer, "n", json_integer((json_int_t)hit.n));
    json_object_set_new(answer, "confirmed", json_integer((json_int_t)hit.confirmed));
    json_object_set_new(answer, "at", jsonx_new_span(hit.at));
    json_object_set_new(answer, "pids", pids);
    return r;
}

/* --- The loop --------------------------------------------------------------------------------- */

static int agent_answer(struct agent *a, const json_t *ask, struct proto_fds *fds, struct err *err)
{
    struct err why = ERR_INIT;
    const char *what = jsonx_str(ask, "do", "");
    AUTO_JSON *answer = json_object();
    int r;
    if (!strcmp(what, "start"))
        r = agent_do_start(a, ask, answer, &why);
    else if (!strcmp(what, "outputs"))
        r = agent_do_outputs(a, fds, &why);
    else if (!strcmp(what, "signal"))
        r = agent_do_signal(a, ask, answer, &why);
    else if (!strcmp(what, "list"))
        r = agent_do_list(a, ask, answer, &why);
    else if (!strcmp(what, "run"))
        r = agent_do_run(a, ask, fds, answer, &why);
    else if (!strcmp(what, "stop"))
        r = agent_do_stop(a, ask, &why);
    else
        r = err_set(&why, EPROTO, "the agent does not know \"%s\"", what);
    if (r < 0) {
        json_object_set_new(answer, "error", json_integer(-r));
        json_object_set_new(answer, "text", jsonx_new_text(why.text));
    } else {
        json_object_set_new(answer, "ok", json_true());
    }
    return proto_send(a->sock, answer, NULL, 0, err);
}

static void agent_pass_events(struct agent *a)
{
    struct sup_event e;
    while (read(a->events[0], &e, sizeof e) == (ssize_t)sizeof e) {
        AUTO_JSON *m =
            json_pack("{s:s,s:I,s:i,s:i,s:b,s:o}", "event", e.is_run ? "ran" : "exited",
                      e.is_run ? "id" : "unit", (json_int_t)e.id, "code", e.code, "signo", e.signo,
                      "timed_out", e.timed_out, "at", jsonx_new_span(e.at));
        proto_send(a->sock, m, NULL, 0, NULL);
    }
}

static void agent_reap(struct agent *a)
{
    struct signalfd_siginfo si;
    while (read(a->sigfd, &si, sizeof si) == (ssize_t)sizeof si)
        ;
    /* A supervisor writes its last event before it ends: pass it on first. */
    agent_pass_events(a);
    for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) > 0;)
        for (size_t i = 0; i < a->sups_n; i++)
            if (a->sups[i].pid == pid) {
                a->sups[i] = a->sups[--a->sups_n];
                break;
            }
}

static int agent_prepare(struct agent *a, struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    init_dir(a->host, a->dir);
    if (chdir(a->dir) < 0)
        return err_errno(err, errno, "cannot enter %s", a->dir);
    a->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (a->sigfd < 0 || pipe2(a->events, O_CLOEXEC) < 0 ||
        fcntl(a->events[0], F_SETFL, O_NONBLOCK) < 0)
        return err_errno(err, errno, "cannot make the agent's descriptors");
    a->outs = calloc(a->host->start.n + 1, sizeof *a->outs);
    if (!a->outs)
        return err_errno(err, ENOMEM, "cannot start the agent");
    agent_make_env(a);
    return agent_keep_env(a, err);
}

int agent_run(const struct host *host, char *const *env_values, int sock, struct err *err)
{
    struct agent a = {.host = host, .env_values = env_values, .sock = sock};
    int r = agent_prepare(&a, err);
    AUTO_JSON *ready = json_pack("{s:b}", "ready", 1);
    if (r == 0)
        r = proto_send(sock, ready, NULL, 0, err);
    while (r == 0) {
        struct pollfd fds[] = {{.fd = sock, .events = POLLIN},
                               {.fd = a.sigfd, .events = POLLIN},
                               {.fd = a.events[0], .events = POLLIN}};
        if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
            return err_errno(err, errno, "cannot wait");
        if (fds[2].revents)
            agent_pass_events(&a);
        if (fds[1].revents)
            agent_reap(&a);
        if (!fds[0].revents)
            continue;
        AUTO_JSON *ask = NULL;
        struct proto_fds with = {.n = 0};
        int got = proto_recv(sock, &ask, &with, err);
        if (got == PROTO_EOF)
            return 0;
        if (got < 0)
            return got;
        if (got == 0)
            r = agent_answer(&a, ask, &with, err);
        proto_fds_close(&with);
    }
    return r;
}
