/* Processor time and memory of a host, taken by stress-ng(1). See part.h.
 *
 * It never takes the machine down: memory is held only as far as a reserve stays available (a tenth of
 * all, 256 MB at least), and what holds it has the highest oom_score_adj, so that the kernel's
 * out-of-memory killer takes it first; stress-ng is told not to start it again then.
 *
 * It is known by its name: whoever was called so before is not ours. It dies with the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "injectors/pressure/part.h"
#include "injectors/process/match.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/base/units.h"

#define STRESS_NAME "stress-ng"
#define STRESS_LOOK (300 * NSEC_MSEC)
#define STRESS_BUSY (3 * NSEC_SEC)    /* on a machine that others keep busy */
#define STRESS_WITHIN (20 * NSEC_SEC) /* until all memory is held */
#define RESERVE_LEAST ((int64_t)256 << 20)

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

/* How much to hold: never so much that less than the reserve is available. */
static int choose_bytes(const struct pressure_memory *m, int64_t *ret, struct err *err)
{
    int64_t total = 0, available = 0;
    char want[UNITS_TEXT_MAX], have[UNITS_TEXT_MAX], keep[UNITS_TEXT_MAX];
    int r = read_memory(&total, &available, err);
    if (r < 0)
        return r;
    int64_t reserve = total / 10 > RESERVE_LEAST ? total / 10 : RESERVE_LEAST;
    int64_t free_ = available > reserve ? available - reserve : 0;
    int64_t bytes = m->size ? m->size : (int64_t)(m->percent * (double)free_);
    if (bytes > free_ || bytes == 0)
        return err_set(err, ENOMEM,
                       "memory: holding %s would leave less than the reserve of %s (a tenth of the "
                       "machine's memory, 256 MB at least): %s is available; ask for less",
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

int stress_prepare(struct stress *s, struct lab_node *n, const struct pressure_params *p,
                   json_t *record, struct err *err)
{
    *s = (struct stress){.node = n, .params = p, .since = NSEC_UNSET};
    if (!p->cpu && !p->memory)
        return 0;
    AUTO_MATCH before = {0};
    struct match_rule rule = {.process = STRESS_NAME};
    int r = p->memory ? choose_bytes(p->memory, &s->bytes, err) : 0;
    if (r == 0)
        r = match_find(n, &rule, &before, err);
    if (r < 0)
        return r;
    s->before = json_incref(before.procs);
    json_object_set(record, "before", s->before);
    return 0;
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

static int64_t workers_of(const struct pressure_cpu *c)
{
    return c->workers ? c->workers : sysconf(_SC_NPROCESSORS_ONLN);
}

int stress_start(struct stress *s, json_t *changes, struct err *err)
{
    const struct pressure_cpu *c = s->params->cpu;
    char text[UNITS_TEXT_MAX];
    AUTO_BUF command = BUF_INIT;
    if (!c && !s->bytes)
        return 0;
    /* Of stress-ng's processes those that hold memory set the highest score themselves. */
    buf_adds(&command, "exec " STRESS_NAME " --quiet --oomable --keep-name --temp-path /tmp");
    if (c)
        buf_printf(&command, " --cpu %lld --cpu-load %d --cpu-method int64",
                   (long long)workers_of(c), (int)(c->load * 100 + 0.5));
    if (s->bytes)
        buf_printf(&command, " --vm 1 --vm-bytes %lld --vm-hang 0", (long long)s->bytes);
    int r = lab_node_run(s->node, buf_text(&command), 0, on_end, s, err);
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
    return 0;
}

void stress_done(struct stress *s)
{
    if (s->running && s->node)
        lab_node_forget(s->node, s);
    json_decref(s->before);
    *s = (struct stress){0};
}

/* What our processes have used of the processors, in clock ticks, and hold of memory, in bytes;
 * *ret_first: the kernel would take each that holds memory before anything else. */
static int measure(struct stress *s, uint64_t *ret_ticks, int64_t *ret_bytes, bool *ret_first,
                   struct err *err)
{
    AUTO_MATCH ours = {0};
    int r = find_ours(s->node, s->before, &ours, err);
    AUTO_FREE pid_t *pids = r < 0 ? NULL : calloc(match_count(&ours) + 1, sizeof *pids);
    if (r == 0 && pids)
        r = lab_node_outside(s->node, ours.procs, pids, err);
    if (r < 0 || !pids)
        return r;
    uint64_t ticks = 0;
    int64_t bytes = 0;
    bool first = true;
    for (size_t i = 0; i < match_count(&ours); i++) {
        char path[64];
        AUTO_FREE char *stat = NULL, *status = NULL, *score = NULL;
        size_t n;
        unsigned long long user = 0, system = 0;
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pids[i]);
        if (file_read(AT_FDCWD, path, 4096, &stat, &n, NULL) < 0)
            continue;
        const char *at = strrchr(stat, ')');
        if (at && sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
                         &system) == 2)
            ticks += user + system;
        snprintf(path, sizeof path, "/proc/%d/status", (int)pids[i]);
        if (file_read(AT_FDCWD, path, 65536, &status, &n, NULL) < 0)
            continue;
        const char *anon = strstr(status, "\nRssAnon:");
        int64_t held = anon ? strtoll(anon + strlen("\nRssAnon:"), NULL, 10) * 1024 : 0;
        snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)pids[i]);
        if (held > s->bytes / 2 && file_read(AT_FDCWD, path, 64, &score, &n, NULL) == 0)
            first = first && strtol(score, NULL, 10) == 1000;
        bytes += held;
    }
    *ret_ticks = ticks;
    *ret_bytes = bytes;
    *ret_first = first;
    return 0;
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
    uint64_t ticks = 0;
    int64_t bytes = 0;
    bool first = true;
    if (!s->running)
        return 0;
    if (s->ended)
        return verify_ended(s, ok, seen);
    int r = measure(s, &ticks, &bytes, &first, err);
    if (r < 0)
        return r;
    nsec now = nsec_now(CLOCK_MONOTONIC);
    if (!nsec_is_set(s->since) || (s->ticks == 0 && c && ticks == 0)) {
        s->since = nsec_is_set(s->since) ? s->since : now;
        s->ticks = ticks;
        if (!decide && nsec_sub(now, s->since) < STRESS_WITHIN)
            return INJECT_AGAIN;
    }
    nsec past = nsec_sub(now, s->since);
    bool held = bytes >= s->bytes / 10 * 9;
    if (!decide && ((c && past < STRESS_LOOK) || (!held && past < STRESS_WITHIN)))
        return INJECT_AGAIN;
    if (c) {
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);
        double want_cpus = (double)workers_of(c) * c->load;
        want_cpus = want_cpus > (double)cpus ? (double)cpus : want_cpus;
        double used = past <= 0 ? 0
                                : (double)(ticks - s->ticks) / (double)sysconf(_SC_CLK_TCK) /
                                      ((double)past / (double)NSEC_SEC);
        if (used < want_cpus / 3 && !decide && past < STRESS_BUSY)
            return INJECT_AGAIN;
        /* Others want the processors too; a third of what was asked for is pressure enough. */
        *ok = *ok && used >= want_cpus / 3;
        buf_printf(asked, "%s%.2f processors busy", asked->len ? ", " : "", want_cpus);
        buf_printf(seen, "%s%.2f used by stress-ng", seen->len ? ", " : "", used);
    }
    if (s->bytes) {
        *ok = *ok && held && first;
        buf_printf(asked, "%s%s of memory held", asked->len ? ", " : "",
                   units_size_text(s->bytes, want));
        buf_printf(seen, "%s%s held, %s", seen->len ? ", " : "", units_size_text(bytes, have),
                   first ? "first to go when memory runs out" : "not the first to go");
    }
    return 0;
}

int stress_undo(struct lab_node *n, const json_t *record, json_t *changes, struct err *err)
{
    const json_t *before = json_object_get(record, "before");
    size_t hit = 0;
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
