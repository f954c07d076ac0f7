/* See bench_hosts.h. */
#include "tests/bench/bench_hosts.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/base/arena.h"

struct scenario *bench_hosts(int n)
{
    struct arena *a = arena_new();
    struct scenario *s = arena_alloc(a, sizeof *s);
    s->arena = a;
    s->hosts.items = arena_alloc(a, (size_t)n * sizeof(void *));
    for (int i = 0; i < n; i++) {
        struct host *h = arena_alloc(a, sizeof *h);
        h->name = arena_printf(a, "h%d", i);
        h->lab = arena_alloc(a, sizeof *h->lab);
        h->lab->addresses.items = arena_alloc(a, sizeof(char *));
        h->lab->addresses.items[0] = arena_printf(a, "10.0.0.%d", i + 1);
        h->lab->addresses.n = 1;
        s->hosts.items[s->hosts.n++] = h;
    }
    return s;
}

int bench_with_mountpoint(void (*measure)(const char *mountpoint))
{
    char mountpoint[] = "/tmp/blackstart-bench-XXXXXX";
    int status = 1;
    if (!mkdtemp(mountpoint))
        return 2;
    pid_t pid = fork();
    if (pid == 0) {
        measure(mountpoint);
        exit(0);
    }
    waitpid(pid, &status, 0);
    rmdir(mountpoint);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
