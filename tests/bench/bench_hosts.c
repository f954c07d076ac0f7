/* See bench_hosts.h. */
#include "tests/bench/bench_hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/base/arena.h"

static void add_networks(struct scenario *s, int n)
{
    s->networks.items = arena_alloc(s->arena, (size_t)n * sizeof(void *));
    for (int k = 0; k < n; k++) {
        struct network *net = arena_alloc(s->arena, sizeof *net);
        net->name = arena_printf(s->arena, "n%d", k);
        net->mtu = 1500;
        net->impaired.delay = net->impaired.jitter = NSEC_UNSET;
        net->impaired.seed = -1;
        net->subnets.items = arena_alloc(s->arena, sizeof(char *));
        net->subnets.items[0] = arena_printf(s->arena, "10.0.%d.0/24", k);
        net->subnets.n = 1;
        s->networks.items[s->networks.n++] = net;
    }
}

struct scenario *bench_hosts(int n, int networks)
{
    struct arena *a = arena_new();
    struct scenario *s = arena_alloc(a, sizeof *s);
    size_t addresses = networks ? (size_t)networks : 1;
    s->arena = a;
    s->hosts.items = arena_alloc(a, (size_t)n * sizeof(void *));
    add_networks(s, networks);
    for (int i = 0; i < n; i++) {
        struct host *h = arena_alloc(a, sizeof *h);
        h->name = arena_printf(a, "h%d", i);
        h->lab = arena_alloc(a, sizeof *h->lab);
        h->lab->addresses.items = arena_alloc(a, addresses * sizeof(char *));
        for (size_t k = 0; k < addresses; k++)
            h->lab->addresses.items[k] = arena_printf(a, "10.0.%zu.%d", k, i + 1);
        h->lab->addresses.n = addresses;
        s->hosts.items[s->hosts.n++] = h;
    }
    return s;
}

int bench_with_mountpoint(void (*measure)(const char *mountpoint, void *data), void *data)
{
    char mountpoint[] = "/tmp/blackstart-bench-XXXXXX";
    int status = 1;
    if (!mkdtemp(mountpoint))
        return 2;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        measure(mountpoint, data);
        exit(0);
    }
    waitpid(pid, &status, 0);
    rmdir(mountpoint);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
