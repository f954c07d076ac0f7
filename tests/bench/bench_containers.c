/* So many containers found at their engine and armed (clsact on their device, on which every impairment
 * stands), against one `docker inspect` and one `nsenter tc` each.
 *
 * bench_containers SOCKET N: the containers bench-0 … of a docker that stands already (containers.py).
 * Both sides end with the same in the kernel, and take it away again outside of the clock.
 */
#include "sim/attach/attach.h"
#include "sim/base/arena.h"
#include "sim/base/cleanup.h"
#include "sim/kernel/nl.h"
#include "sim/kernel/tc.h"
#include "sim/loop/child.h"
#include "tests/bench/bench.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLE = 40 };

static const struct scenario *hosts_of(const char *socket, unsigned n)
{
    struct arena *a = arena_new();
    struct scenario *s = arena_alloc(a, sizeof *s);
    s->hosts.items = arena_alloc(a, n * sizeof(void *));
    for (unsigned i = 0; i < n; i++) {
        struct host *h = arena_alloc(a, sizeof *h);
        h->name = arena_printf(a, "h%u", i);
        h->container = arena_alloc(a, sizeof *h->container);
        h->container->name = arena_printf(a, "bench-%u", i);
        h->container->engine = arena_printf(a, "%s", socket);
        s->hosts.items[s->hosts.n++] = h;
    }
    return s;
}

static void each_device(const struct attached *a, void (*queue)(struct nl *nl, const char *dev))
{
    struct err err = ERR_INIT;
    for (size_t i = 0; i < a->n; i++) {
        CLEANUP(nl_free_p) struct nl *nl = NULL;
        bench_ok(nl_open_kernel(a->items[i].at.netns, "it", &nl, &err), &err);
        queue(nl, "eth0");
        bench_ok(nl_flush(nl, &err), &err);
    }
}

static struct bench_time ours(const struct scenario *s)
{
    struct err err = ERR_INIT;
    CLEANUP(attached_free_p) struct attached *a = NULL;
    struct bench_time start = bench_clock();
    bench_ok(attached_open(s, 1, &a, &err), &err);
    each_device(a, tc_clsact_add);
    struct bench_time took = bench_since(start);
    each_device(a, tc_clsact_delete);
    return took;
}

static char *pid_of(const char *socket, const char *name)
{
    const char *argv[] = {"/usr/bin/docker", "--host",         socket, "inspect",
                          "--format",        "{{.State.Pid}}", name,   NULL};
    char *out = NULL;
    struct err err = ERR_INIT;
    int code = 0;
    bench_ok(child_run(argv, NULL, 0, &code, &out, &err), &err);
    out[strcspn(out, "\n")] = '\0';
    return out;
}

static struct bench_time by_hand(const char *socket, unsigned n)
{
    char host[128];
    char *pids[SAMPLE];
    snprintf(host, sizeof host, "unix://%s", socket);
    struct bench_time start = bench_clock();
    for (unsigned i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "bench-%u", i);
        pids[i] = pid_of(host, name);
        const char *add[] = {"nsenter", "-t",  pids[i], "-n",     "tc", "qdisc",
                             "add",     "dev", "eth0",  "clsact", NULL};
        bench_run(add, NULL);
    }
    struct bench_time took = bench_since(start);
    for (unsigned i = 0; i < n; i++) {
        const char *del[] = {"nsenter", "-t",  pids[i], "-n",     "tc", "qdisc",
                             "del",     "dev", "eth0",  "clsact", NULL};
        bench_run(del, NULL);
        free(pids[i]);
    }
    return took;
}

int main(int argc, char **argv)
{
    unsigned n = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    unsigned sample = n < SAMPLE ? n : SAMPLE;
    if (!n)
        bench_skip("usage: bench_containers SOCKET N");
    signal(SIGPIPE, SIG_IGN);
    const struct scenario *s = hosts_of(argv[1], n);
    struct bench_series mine = {.name = "found and armed"};
    struct bench_series hand = {.name = "docker inspect, nsenter tc"};
    printf("%u containers of one docker (by hand: %u, taken times %g)\n", n, sample,
           (double)n / sample);
    for (size_t i = 0; i < bench_rounds(); i++) {
        bench_add(&mine, ours(s));
        struct bench_time t = by_hand(argv[1], sample);
        t.wall_ms *= (double)n / sample;
        t.cpu_ms *= (double)n / sample;
        bench_add(&hand, t);
    }
    bench_print(&mine, NULL);
    bench_print(&hand, &mine);
    return 0;
}
