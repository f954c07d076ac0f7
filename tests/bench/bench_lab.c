/* Full hosts of a lab against unshare(1) and ip(8).
 *
 * Both sides end with 100 hosts that each have network, pid, mount, UTS and IPC namespaces, a
 * process that holds them, an own /proc, a cable to one bridge, an address, lo and both ends up.
 * Ours have besides: private folders, names of all hosts, permanent neighbour entries for all, an
 * agent that answers. ip(8) enters a host by setns(2) before exec, which is cheaper than nsenter(1)
 * or `ip netns exec`. Namespaces go when the kernel finds the time: a pause after each side keeps
 * that out of the next.
 */
#include "sim/base/arena.h"
#include "sim/kernel/netns.h"
#include "sim/lab/lab.h"
#include "tests/bench/bench.h"
#include "tests/bench/bench_hosts.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { HOSTS = 100, PAUSE_US = 700000 };

/* One `ip` in the namespace behind a descriptor. The words are separated by single blanks. */
static void ip_in(int netns, const char *words)
{
    char copy[256];
    const char *argv[24] = {"ip"};
    size_t n = 1;
    struct err err = ERR_INIT;
    AUTO_NETNS netns_scope back = NETNS_OUTSIDE;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *save, *p = strtok_r(copy, " ", &save); p && n < 23; p = strtok_r(NULL, " ", &save))
        argv[n++] = p;
    bench_ok(netns_enter(netns, &back, &err), &err);
    bench_run(argv, NULL);
}

/* A host's namespaces, held by `unshare`; returns when they stand. */
static pid_t unshare_host(void)
{
    int fds[2];
    char byte;
    struct err err = ERR_INIT;
    if (pipe2(fds, O_CLOEXEC) < 0)
        bench_ok(err_set(&err, EIO, "cannot make a pipe"), &err);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDOUT_FILENO);
        execlp("unshare", "unshare", "--net", "--pid", "--mount", "--uts", "--ipc", "--fork",
               "--kill-child", "--mount-proc", "sh", "-c", "echo; exec sleep 1000", (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    if (pid < 0 || read(fds[0], &byte, 1) != 1)
        bench_ok(err_set(&err, EIO, "unshare failed"), &err);
    close(fds[0]);
    return pid;
}

static struct bench_time by_programs(void)
{
    int sw;
    pid_t pids[HOSTS];
    char words[160];
    struct err err = ERR_INIT;
    struct bench_time start = bench_clock();
    bench_ok(netns_new(&sw, &err), &err);
    ip_in(sw, "link add lan type bridge");
    ip_in(sw, "link set lan up");
    for (int i = 0; i < HOSTS; i++) {
        int netns;
        pids[i] = unshare_host();
        bench_ok(netns_of_pid(pids[i], &netns, &err), &err);
        snprintf(words, sizeof words, "link add p%d master lan type veth peer name eth0 netns %d",
                 i, pids[i]);
        ip_in(sw, words);
        snprintf(words, sizeof words, "link set p%d up", i);
        ip_in(sw, words);
        snprintf(words, sizeof words, "address add 10.0.0.%d/24 dev eth0", i + 1);
        ip_in(netns, words);
        ip_in(netns, "link set eth0 up");
        ip_in(netns, "link set lo up");
        close(netns);
    }
    struct bench_time t = bench_since(start);
    t.cpu_ms = 0; /* processes of hosts are counted when they end: not comparable */
    for (int i = 0; i < HOSTS; i++)
        kill(pids[i], SIGKILL); /* --kill-child takes the shell along */
    for (int i = 0; i < HOSTS; i++)
        waitpid(pids[i], NULL, 0);
    close(sw);
    usleep(PAUSE_US);
    return t;
}

static struct bench_time by_us(const struct scenario *s, const char *dir)
{
    struct loop *loop;
    struct lab *lab;
    struct err err = ERR_INIT;
    struct lab_handlers none = {0};
    bench_ok(loop_new(LOOP_REAL, &loop, &err), &err);
    struct bench_time start = bench_clock();
    bench_ok(lab_new(s, loop, dir, AT_FDCWD, -1, &none, &lab, &err), &err);
    struct bench_time t = bench_since(start);
    t.cpu_ms = 0;
    lab_free(lab);
    loop_free(loop);
    usleep(PAUSE_US);
    return t;
}

static void measure(const char *mountpoint, void *data)
{
    struct bench_series programs = {.name = "100 hosts, unshare and ip"};
    struct bench_series ours = {.name = "100 hosts, lab_new"};
    bool rootless;
    unsigned ids;
    char dir[64];
    struct err err = ERR_INIT;
    if (lab_prepare_process(mountpoint, &rootless, &ids, &err) < 0)
        bench_skip(err.text);
    snprintf(dir, sizeof dir, "%s/lab", mountpoint);
    struct scenario *s = bench_hosts(HOSTS, 0);
    by_us(s, dir); /* warms up */
    for (size_t i = 0; i < bench_rounds(); i++) {
        bench_add(&ours, by_us(s, dir));
        bench_add(&programs, by_programs());
    }
    bench_print(&ours, NULL);
    bench_print(&programs, &ours);
    arena_free(s->arena);
    bench_gate_times(data, "100 full hosts: unshare and ip over ours", &programs, &ours, 5);
    exit(bench_end(*(int *)data, NULL));
}

int main(void)
{
    int missed = 0;
    return bench_with_mountpoint(measure, &missed);
}
