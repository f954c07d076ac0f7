/* 200 processes of others, each in a network namespace of its own: found (by number, by name), locked,
 * and something changed in each of them by netlink; against one nsenter(1) with tc(8) for each.
 *
 * Both sides add the clsact queueing discipline to the loopback of each namespace and take it away again.
 */
#include "sim/attach/attach.h"
#include "sim/base/cleanup.h"
#include "sim/kernel/tc.h"
#include "tests/bench/bench.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROCESSES = 200, SAMPLE = 50 };

struct world {
    int life[2];
    pid_t pids[PROCESSES];
    char names[PROCESSES][16];
    struct process_host by_pid[PROCESSES], by_name[PROCESSES];
    struct host hosts[2 * PROCESSES];
    void *lists[2][PROCESSES];
};

struct report {
    pid_t pid;
    bool ok;
};

/* Lives as long as the other end of `life` is open. */
static _Noreturn void target(const char *name, int report, const int *life)
{
    struct report r = {.pid = getpid(), .ok = unshare(CLONE_NEWNET) == 0};
    char c;
    prctl(PR_SET_NAME, name);
    close(life[1]);
    (void)!write(report, &r, sizeof r);
    (void)!read(life[0], &c, 1);
    _exit(0);
}

/* By way of a child that ends: what descends from us is never a target. */
static pid_t start(const char *name, const int *life)
{
    int fds[2];
    struct report r;
    if (pipe(fds) < 0)
        abort();
    pid_t between = fork();
    if (between == 0) {
        if (fork() == 0)
            target(name, fds[1], life);
        _exit(0);
    }
    waitpid(between, NULL, 0);
    if (read(fds[0], &r, sizeof r) != sizeof r)
        abort();
    close(fds[0]);
    close(fds[1]);
    if (!r.ok)
        bench_skip("network namespaces cannot be made");
    return r.pid;
}

static void prepare(struct world *w)
{
    if (pipe(w->life) < 0)
        abort();
    for (size_t i = 0; i < PROCESSES; i++) {
        snprintf(w->names[i], sizeof w->names[i], "bench-%zu", i);
        w->pids[i] = start(w->names[i], w->life);
        w->by_pid[i] = (struct process_host){.pid = w->pids[i]};
        w->by_name[i] = (struct process_host){.name = w->names[i]};
        w->hosts[i] = (struct host){.name = w->names[i], .process = &w->by_pid[i]};
        w->hosts[PROCESSES + i] = (struct host){.name = w->names[i], .process = &w->by_name[i]};
        w->lists[0][i] = &w->hosts[i];
        w->lists[1][i] = &w->hosts[PROCESSES + i];
    }
}

static struct bench_time ours(struct world *w, int list)
{
    struct bench_time start = bench_clock();
    const struct scenario s = {.hosts = {w->lists[list], PROCESSES}};
    CLEANUP(attached_free_p) struct attached *a = NULL;
    struct err err = ERR_INIT;
    bench_ok(attached_open(&s, 1, &a, &err), &err);
    bench_ok(attached_lock(a, &err), &err);
    for (size_t i = 0; i < a->n; i++) {
        CLEANUP(nl_free_p) struct nl *nl = NULL;
        bench_ok(nl_open_kernel(a->items[i].at.netns, "target", &nl, &err), &err);
        tc_clsact_add(nl, "lo");
        bench_ok(nl_flush(nl, &err), &err);
        tc_clsact_delete(nl, "lo");
        bench_ok(nl_flush(nl, &err), &err);
    }
    return bench_since(start);
}

static struct bench_time theirs(const struct world *w)
{
    static const char *const what[] = {"add", "del"};
    struct bench_time start = bench_clock();
    for (size_t i = 0; i < SAMPLE; i++)
        for (size_t k = 0; k < ARRAY_SIZE(what); k++) {
            char pid[16];
            snprintf(pid, sizeof pid, "%d", (int)w->pids[i]);
            const char *const argv[] = {"nsenter", "-t",  pid,  "-n",     "tc", "qdisc",
                                        what[k],   "dev", "lo", "clsact", NULL};
            bench_run(argv, NULL);
        }
    struct bench_time t = bench_since(start);
    return (struct bench_time){t.wall_ms * PROCESSES / SAMPLE, t.cpu_ms * PROCESSES / SAMPLE};
}

int main(void)
{
    struct world *w = calloc(1, sizeof *w);
    struct bench_series by_pid = {.name = "ours, by number"}, by_name = {.name = "ours, by name"},
                        tool = {.name = "nsenter tc, one each"};
    if (!w)
        abort();
    if (geteuid() != 0)
        bench_skip("entering namespaces of others needs root");
    prepare(w);
    for (size_t i = 0; i < bench_rounds(); i++) {
        bench_add(&by_pid, ours(w, 0));
        bench_add(&by_name, ours(w, 1));
        bench_add(&tool, theirs(w));
    }
    bench_print(&by_pid, NULL);
    bench_print(&by_name, NULL);
    bench_print(&tool, &by_pid);
    bench_print(&tool, &by_name);
    free(w);
    return 0;
}
