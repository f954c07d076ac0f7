/* Processor time, memory and a disk of a host, taken by stress-ng(1). See part.h.
 *
 * It never takes the machine down: memory is held only as far as a reserve stays available (a tenth of
 * all, 256 MiB at least), and what holds it has the highest oom_score_adj, so that the kernel's
 * out-of-memory killer takes it first; stress-ng is told not to start it again then.
 *
 * In a host of the lab it is known by its name: whoever was called so before is not ours. It dies with the
 * host. Beside a host that others made it is a guest in the control groups of that (guest.h), whose limits
 * hold for it: nothing is asked for that they would not let it have.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "injectors/pressure/part.h"
#include "injectors/process/match.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/base/units.h"
#include "sim/lab/deed.h"

#define STRESS_LOOK (300 * NSEC_MSEC)
#define STRESS_BUSY (3 * NSEC_SEC)    /* on a machine that others keep busy */
#define STRESS_WITHIN (20 * NSEC_SEC) /* until all memory is held */
#define RESERVE_LEAST ((int64_t)256 << 20)
#define GROUP_LEAST ((int64_t)16 << 20) /* for stress-ng itself */

static int read_memory(int64_t *ret_total, int64_t *ret_available, struct err *err)
{
    AUTO_FREE char *text = NULL;
    size_t n;
    int r = file_read(AT_FDCWD, "/proc/meminfo", 65536, &text, &n, err);
    if (r < 0)
        return r;
    const char *total = strstr(text, "MemTotal:"), *available = strstr(text, "MemAvailable:");
    if (!total || !available)
        return err_set(err, EOPNOTSUPP, "this kernel does not say how much memory is available");
    *ret_total = strtoll(total + strlen("MemTotal:"), NULL, 10) * 1024;
    *ret_available = strtoll(available + strlen("MemAvailable:"), NULL, 10) * 1024;
    return 0;
}

/* What a guest may hold: a tenth of its groups' limit stays. */
static int64_t group_room(const struct cgroup_seats *seats)
{
    int64_t room, limit;
    cgroup_seats_room(seats, &room, &limit);
    if (limit == INT64_MAX)
        return INT64_MAX;
    int64_t keep = limit / 10 > GROUP_LEAST ? limit / 10 : GROUP_LEAST;
    return room > keep ? room - keep : 0;
}

/* How much to hold: never so much that less than the reserve is available. */
static int choose_bytes(const struct pressure_memory *m, int64_t room, int64_t *ret,
                        struct err *err)
{
    int64_t total = 0, available = 0;
    char want[UNITS_TEXT_MAX], have[UNITS_TEXT_MAX], keep[UNITS_TEXT_MAX];
    int r = read_memory(&total, &available, err);
    if (r < 0)
        return r;
    int64_t reserve = total / 10 > RESERVE_LEAST ? total / 10 : RESERVE_LEAST;
    int64_t free_ = available > reserve ? available - reserve : 0;
    bool grouped = room < free_;
    free_ = grouped ? room : free_;
    int64_t bytes = m->size ? m->size : (int64_t)(m->percent * (double)free_);
    if (grouped && (bytes > free_ || bytes == 0))
        return err_set(err, ENOMEM,
                       "memory: holding %s would leave less than a tenth of the limit of the "
                       "host's control group: there is room for %s; ask for less",
                       units_size_text(bytes, want), units_size_text(free_, have));
    if (bytes > free_ || bytes == 0)
        return err_set(err, ENOMEM,
                       "memory: holding %s would leave less than the reserve of %s (a tenth of the "
                       "machine's memory, 256 MiB at least): %s is available; ask for less",
                       units_size_text(bytes, want), units_size_text(reserve, keep),
                       units_size_text(available, have));
    *ret = bytes;
    return 0;
}

static int find_ours(struct lab_node *n, const json_t *before, struct match_set *ret,
                     struct err *err)
{
    AUTO_MATCH all = {0};
    struct match_rule rule = {.process = STRESS_NAME};
    int r = match_find(n, &rule, &all, err);
    if (r < 0)
        return r;
    ret->procs = json_array();
    size_t i, k;
    json_t *p;
    const json_t *b;
    json_array_foreach (all.procs, i, p) {
        bool old = false;
        json_array_foreach (before, k, b)
            old = old || (jsonx_int(b, "pid", 0) == jsonx_int(p, "pid", -1) &&
                          jsonx_int(b, "start", 0) == jsonx_int(p, "start", -1));
        if (!old)
            json_array_append(ret->procs, p);
    }
    return 0;
}

static int prepare_guest(struct stress *s, const char *run_id, const char *step, json_t *record,
                         struct err *err)
{
    const struct pressure_params *p = s->params;
    AUTO_CGROUP_SEATS seats = {0};
    int r = guest_seats(s->node, &seats, err);
    if (r == 0 && p->memory)
        r = choose_bytes(p->memory, group_room(&seats), &s->bytes, err);
    if (r == 0)
        r = churn_prepare(&s->churn, s->node, p->io, run_id, step, record, err);
    if (r == 0)
        s->record = json_incref(record);
    return r;
}

int stress_prepare(struct stress *s, struct lab_node *n, const struct pressure_params *p,
                   const char *run_id, const char *step, json_t *record, struct err *err)
{
    *s = (struct stress){
        .node = n, .params = p, .since = NSEC_UNSET, .churn = {.root = -1, .folder = -1}};
    if (!p->cpu && !p->memory && !p->io)
        return 0;
    if (lab_node_attached(n))
        return prepare_guest(s, run_id, step, record, err);
    AUTO_MATCH before = {0};
    struct match_rule rule = {.process = STRESS_NAME};
    int r = churn_prepare(&s->churn, n, p->io, run_id, step, record, err);
    if (r == 0 && p->memory)
        r = choose_bytes(p->memory, INT64_MAX, &s->bytes, err);
    if (r == 0)
        r = match_find(n, &rule, &before, err);
    if (r < 0)
        return r;
    s->before = json_incref(before.procs);
    json_object_set(record, "before", s->before);
    return 0;
}

static int64_t workers_of(const struct pressure_cpu *c)
{
    return c->workers ? c->workers : sysconf(_SC_NPROCESSORS_ONLN);
}

static void on_end(const struct lab_run_result *r, void *data)
{
    struct stress *s = data;
    s->ended = true;
    if (r->signo)
        snprintf(s->said, sizeof s->said, "killed by signal %d", r->signo);
    else
        snprintf(s->said, sizeof s->said, "exit code %d: %.*s", r->code,
                 (int)(r->output_n < 200 ? r->output_n : 200), r->output);
}

/* Of stress-ng's processes those that hold memory set the highest score themselves. */
static void write_command(const struct pressure_params *p, bool guest, const char *bytes,
                          struct buf *out)
{
    const struct pressure_cpu *c = p->cpu;
    const struct pressure_io *io = p->io;
    buf_printf(out, "%s" STRESS_NAME " --quiet --oomable --keep-name --temp-path %s",
               guest ? "" : "exec ", io ? "." : "/tmp");
    if (c)
        buf_printf(out, " --cpu %lld --cpu-load %d --cpu-method int64", (long long)workers_of(c),
                   (int)(c->load * 100 + 0.5));
    if (p->memory)
        buf_printf(out, " --vm 1 --vm-bytes %s --vm-hang 0", bytes);
    if (io)
        buf_printf(out, " --hdd %lld --hdd-bytes %lld --hdd-opts wr-seq,fsync",
                   (long long)io->workers, (long long)io->size);
    if (guest)
        buf_adds(out, "; exit $?"); /* a shell as process 1, which reaps what others leave */
}

void stress_plan(const struct pressure_params *p, bool guest, struct buf *out)
{
    char bytes[64] = "";
    if (p->memory && p->memory->size)
        snprintf(bytes, sizeof bytes, "%lld", (long long)p->memory->size);
    else if (p->memory)
        snprintf(bytes, sizeof bytes, "<%d %% of what is available>",
                 (int)(p->memory->percent * 100 + 0.5));
    write_command(p, guest, bytes, out);
}

static int start_guest(struct stress *s, struct inject_env *env, const char *command,
                       struct err *err)
{
    AUTO_CGROUP_SEATS seats = {0};
    int r = guest_seats(s->node, &seats, err);
    if (r == 0)
        r = churn_make(&s->churn, s->node, err);
    if (r == 0)
        r = guest_start(&s->guest, s->node, &seats, command, s->churn.folder, on_end, s, s->record,
                        err);
    if (r < 0)
        return r;
    s->processors = cgroup_seats_processors(&seats);
    s->running = true;
    return inject_amend(env, err);
}

int stress_start(struct stress *s, struct inject_env *env, json_t *changes, struct err *err)
{
    const struct pressure_cpu *c = s->params->cpu;
    const struct pressure_io *io = s->params->io;
    char text[UNITS_TEXT_MAX], bytes[24];
    AUTO_BUF command = BUF_INIT;
    if (!c && !s->bytes && !io)
        return 0;
    snprintf(bytes, sizeof bytes, "%lld", (long long)s->bytes);
    write_command(s->params, s->record != NULL, bytes, &command);
    int r = s->record ? start_guest(s, env, buf_text(&command), err)
                      : lab_node_run(s->node, buf_text(&command), 0, on_end, s, err);
    if (r < 0)
        return r;
    s->running = true;
    const char *host = lab_node_name(s->node);
    if (c)
        json_array_append_new(
            changes, json_sprintf("host %s: %lld workers use %d %% of a processor each", host,
                                  (long long)workers_of(c), (int)(c->load * 100 + 0.5)));
    if (s->bytes)
        json_array_append_new(changes, json_sprintf("host %s: %s of memory are held", host,
                                                    units_size_text(s->bytes, text)));
    if (io)
        json_array_append_new(changes,
                              json_sprintf("host %s: %lld workers write to %s/%s", host,
                                           (long long)io->workers, io->path, s->churn.name));
    return 0;
}

void stress_done(struct stress *s)
{
    if (s->running && s->node)
        lab_node_forget(s->node, s);
    json_decref(s->before);
    json_decref(s->record);
    churn_done(&s->churn);
    *s = (struct stress){.churn = {.root = -1, .folder = -1}};
}

/* What our processes have used and hold. */
struct used {
    uint64_t ticks;   /* of the processors */
    nsec waited;      /* for a processor that others had */
    int64_t bytes;    /* of memory */
    uint64_t written; /* bytes that had to go to a disk */
    bool first;       /* the kernel would take each that holds memory before anything else */
};

/* The caller frees *ret. */
static int our_pids(struct stress *s, pid_t **ret, size_t *ret_n, struct err *err)
{
    AUTO_MATCH ours = {0};
    if (s->record)
        return guest_members(&s->guest, ret, ret_n, err);
    int r = find_ours(s->node, s->before, &ours, err);
    AUTO_FREE pid_t *pids = r < 0 ? NULL : calloc(match_count(&ours) + 1, sizeof *pids);
    if (r == 0 && pids)
        r = lab_node_outside(s->node, ours.procs, pids, err);
    if (r < 0 || !pids)
        return r < 0 ? r : err_errno(err, ENOMEM, "looking for stress-ng");
    *ret = steal_ptr(pids);
    *ret_n = match_count(&ours);
    return 0;
}

/* A file of /proc/PID; NULL: the process has ended. The caller frees it. */
static char *read_of(pid_t pid, const char *name)
{
    char path[64], *text = NULL;
    size_t n;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return file_read(AT_FDCWD, path, 65536, &text, &n, NULL) < 0 ? NULL : text;
}

static int64_t number_after(const char *text, const char *word)
{
    const char *at = text ? strstr(text, word) : NULL;
    return at ? strtoll(at + strlen(word), NULL, 10) : 0;
}

static void measure_one(const struct stress *s, pid_t pid, struct used *u)
{
    AUTO_FREE char *stat = read_of(pid, "stat"), *status = read_of(pid, "status");
    AUTO_FREE char *io = s->params->io ? read_of(pid, "io") : NULL;
    unsigned long long user = 0, system = 0;
    const char *at = stat ? strrchr(stat, ')') : NULL;
    if (at && sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
                     &system) == 2)
        u->ticks += user + system;
    AUTO_FREE char *scheduled = read_of(pid, "schedstat");
    long long waited = 0;
    if (scheduled && sscanf(scheduled, "%*u %lld", &waited) == 1)
        u->waited += waited;
    int64_t held = number_after(status, "\nRssAnon:") * 1024;
    if (held > s->bytes / 2) {
        AUTO_FREE char *score = read_of(pid, "oom_score_adj");
        u->first = u->first && (!score || strtol(score, NULL, 10) == 1000);
    }
    u->bytes += held;
    u->written += (uint64_t)number_after(io, "\nwrite_bytes: ");
}

static int measure(struct stress *s, struct used *ret, struct err *err)
{
    AUTO_FREE pid_t *pids = NULL;
    size_t n = 0;
    struct used u = {.first = true};
    int r = our_pids(s, &pids, &n, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        measure_one(s, pids[i], &u);
    *ret = u;
    return 0;
}

/* How many processors are to be busy: no more than there are, or than its groups let it have. */
static double processors_wanted(const struct stress *s)
{
    const struct pressure_cpu *c = s->params->cpu;
    cpu_set_t set;
    double most = (double)sysconf(_SC_NPROCESSORS_ONLN);
    if (s->guest.pid && sched_getaffinity(s->guest.pid, sizeof set, &set) == 0)
        most = (double)CPU_COUNT(&set);
    if (s->processors > 0 && s->processors < most)
        most = s->processors;
    double want = (double)workers_of(c) * c->load;
    return want > most ? most : want;
}

static int verify_ended(const struct stress *s, bool *ok, struct buf *seen)
{
    *ok = false;
    buf_printf(seen, "stress-ng has ended (%s)", s->said);
    return 0;
}

int stress_verify(struct stress *s, bool decide, bool *ok, struct buf *asked, struct buf *seen,
                  struct err *err)
{
    const struct pressure_cpu *c = s->params->cpu;
    char want[UNITS_TEXT_MAX], have[UNITS_TEXT_MAX];
    struct used u;
    if (!s->running)
        return 0;
    if (s->ended)
        return verify_ended(s, ok, seen);
    int r = measure(s, &u, err);
    if (r < 0)
        return r;
    nsec now = nsec_now(CLOCK_MONOTONIC);
    if (!nsec_is_set(s->since) || (s->ticks == 0 && c && u.ticks == 0)) {
        s->since = nsec_is_set(s->since) ? s->since : now;
        s->ticks = u.ticks;
        s->waited = u.waited;
        if (!decide && nsec_sub(now, s->since) < STRESS_WITHIN)
            return INJECT_AGAIN;
    }
    nsec past = nsec_sub(now, s->since);
    bool held = u.bytes >= s->bytes / 10 * 9, writes = churn_bites(&s->churn, u.written);
    if (!decide && ((c && past < STRESS_LOOK) || ((!held || !writes) && past < STRESS_WITHIN)))
        return INJECT_AGAIN;
    if (c) {
        const double want_cpus = processors_wanted(s), over = (double)past / (double)NSEC_SEC;
        const double used =
            past <= 0 ? 0 : (double)(u.ticks - s->ticks) / (double)sysconf(_SC_CLK_TCK) / over;
        const double waited =
            past <= 0 ? 0 : (double)(u.waited - s->waited) / (double)NSEC_SEC / over;
        if (used < want_cpus / 3 && !decide && past < STRESS_BUSY)
            return INJECT_AGAIN;
        /* Others want the processors too; a third of what was asked for is pressure enough, and so is it
         * when whoever wants that third finds them taken. */
        *ok = *ok && used + waited >= want_cpus / 3;
        buf_printf(asked, "%s%.2f processors busy", asked->len ? ", " : "", want_cpus);
        buf_printf(seen, "%s%.2f used by stress-ng", seen->len ? ", " : "", used);
        if (used < want_cpus / 3)
            buf_printf(seen, " (for %.2f it waited, as others had them)", waited);
    }
    if (s->bytes) {
        *ok = *ok && held && u.first;
        buf_printf(asked, "%s%s of memory held", asked->len ? ", " : "",
                   units_size_text(s->bytes, want));
        buf_printf(seen, "%s%s held, %s", seen->len ? ", " : "", units_size_text(u.bytes, have),
                   u.first ? "first to go when memory runs out" : "not the first to go");
    }
    *ok = *ok && writes;
    churn_tell(&s->churn, u.written, asked, seen);
    return 0;
}

int stress_undo(struct lab_node *n, const json_t *record, json_t *changes, struct err *err)
{
    const json_t *before = json_object_get(record, "before");
    size_t hit = 0;
    bool ended = false;
    if (!n || lab_node_attached(n)) {
        int r = guest_undo(record, &ended, err);
        AUTO_BUF deed = BUF_INIT;
        if (r < 0 || !ended)
            return r;
        deed_signal(SIGKILL, STRESS_GUEST, &deed);
        if (n)
            lab_node_tell(n, buf_text(&deed));
        json_array_append_new(changes,
                              json_sprintf("host %s: stress-ng ended, with all its processes",
                                           jsonx_str(record, "host", "?")));
        return 0;
    }
    for (int round = 0; before && round < 20; round++) {
        AUTO_MATCH ours = {0}, gone = {0};
        struct span at;
        int r = find_ours(n, before, &ours, err);
        if (r == 0 && match_count(&ours) > 0)
            r = match_signal_these(n, ours.procs, SIGKILL, 2 * NSEC_SEC, &gone, &at, err);
        if (r < 0)
            return r;
        if (match_count(&ours) == 0)
            break;
        hit += match_count(&gone);
    }
    if (hit > 0)
        json_array_append_new(changes, json_sprintf("host %s: stress-ng ended (%zu processes)",
                                                    lab_node_name(n), hit));
    return 0;
}
