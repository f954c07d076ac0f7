/* How long it takes to build 100 hosts: ours against ip(8), interleaved rounds, medians, ratios.
 *
 *   network  100 namespaces on one bridge, an address each, all up
 *            ours: the library; against one `ip` per change, and against `ip -batch`
 *   hosts    the same, and each with pid, mount, UTS and IPC namespaces, an own /proc and an init
 *            ours: lab_new() (with private folders, names and neighbour entries besides)
 *            against `unshare` and one `ip` per change
 *
 * Everything happens in namespaces of this process; ip enters a host by setns(2) before exec, which
 * is cheaper than nsenter(1) or `ip netns exec`. Exit code 1 when a ratio is below its target.
 */
#include "sim/base/arena.h"
#include "sim/base/buf.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/rtnl.h"
#include "sim/lab/lab.h"
#include "sim/lab/topo.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define HOSTS 100
#define ROUNDS 5

static _Noreturn void die(const char *what, const struct err *err)
{
    fprintf(stderr, "%s: %s\n", what, err ? err->text : strerror(errno));
    exit(2);
}

/* The kernel takes namespaces apart later, under the lock that the next way needs. */
static void settle(void)
{
    usleep(700000);
}

static double ms_since(nsec t)
{
    return (double)(nsec_now(CLOCK_MONOTONIC) - t) / 1e6;
}

/* --- Programs --------------------------------------------------------------------------------- */

/* Runs a command line (no quoting) in a namespace (-1: ours), feeding `input`; waits for it. */
static void run(int netns, const char *line, const char *input)
{
    char copy[256], *argv[24];
    size_t n = 0;
    int fds[2] = {-1, -1};
    snprintf(copy, sizeof copy, "%s", line);
    for (char *save, *p = strtok_r(copy, " ", &save); p && n < 23; p = strtok_r(NULL, " ", &save))
        argv[n++] = p;
    argv[n] = NULL;
    if (input && pipe2(fds, O_CLOEXEC) < 0)
        die("pipe", NULL);
    pid_t pid = vfork();
    if (pid == 0) {
        if (input)
            dup2(fds[0], STDIN_FILENO);
        if (netns < 0 || setns(netns, CLONE_NEWNET) == 0)
            execvp(argv[0], argv);
        _exit(127);
    }
    if (input) {
        close(fds[0]);
        for (size_t at = 0, len = strlen(input); at < len;) {
            ssize_t w = write(fds[1], input + at, len - at);
            if (w <= 0)
                die("write", NULL);
            at += (size_t)w;
        }
        close(fds[1]);
    }
    int status;
    if (waitpid(pid, &status, 0) < 0 || status != 0) {
        fprintf(stderr, "failed: %s\n", line);
        exit(2);
    }
}

static void ip_host_in(int netns, int i)
{
    char line[160];
    snprintf(line, sizeof line, "ip address add 10.0.0.%d/24 dev eth0", i + 1);
    run(netns, line, NULL);
    run(netns, "ip link set eth0 up", NULL);
    run(netns, "ip link set lo up", NULL);
}

static void ip_switch(int sw)
{
    run(sw, "ip link add lan type bridge", NULL);
    run(sw, "ip link set lan up", NULL);
}

/* One process per change. Namespaces are made by us, which favours ip. */
static double network_by_ip(void)
{
    int sw, hosts[HOSTS];
    char line[160];
    nsec start = nsec_now(CLOCK_MONOTONIC);
    if (netns_new(&sw, NULL) < 0)
        die("netns", NULL);
    ip_switch(sw);
    for (int i = 0; i < HOSTS; i++) {
        if (netns_new(&hosts[i], NULL) < 0)
            die("netns", NULL);
        /* The peer's namespace is named by a process in it; a descriptor works by our own /proc. */
        fcntl(hosts[i], F_SETFD, 0);
        snprintf(line, sizeof line,
                 "ip link add p%d master lan type veth peer name eth0 netns /proc/%d/fd/%d", i,
                 getpid(), hosts[i]);
        run(sw, line, NULL);
        snprintf(line, sizeof line, "ip link set p%d up", i);
        run(sw, line, NULL);
        ip_host_in(hosts[i], i);
    }
    double ms = ms_since(start);
    for (int i = 0; i < HOSTS; i++)
        close(hosts[i]);
    close(sw);
    return ms;
}

/* One batch for the switch, one per host. */
static double network_by_batch(void)
{
    int sw, hosts[HOSTS];
    nsec start = nsec_now(CLOCK_MONOTONIC);
    if (netns_new(&sw, NULL) < 0)
        die("netns", NULL);
    struct buf b = BUF_INIT;
    buf_adds(&b, "link add lan type bridge\nlink set lan up\n");
    for (int i = 0; i < HOSTS; i++) {
        if (netns_new(&hosts[i], NULL) < 0)
            die("netns", NULL);
        buf_printf(&b,
                   "link add p%d master lan type veth peer name eth0 netns /proc/%d/fd/%d\n"
                   "link set p%d up\n",
                   i, getpid(), hosts[i], i);
    }
    run(sw, "ip -batch -", b.text);
    for (int i = 0; i < HOSTS; i++) {
        buf_clear(&b);
        buf_printf(&b, "address add 10.0.0.%d/24 dev eth0\nlink set eth0 up\nlink set lo up\n",
                   i + 1);
        run(hosts[i], "ip -batch -", b.text);
    }
    double ms = ms_since(start);
    buf_done(&b);
    for (int i = 0; i < HOSTS; i++)
        close(hosts[i]);
    close(sw);
    return ms;
}

/* `unshare` holds the namespaces of a host, with its own /proc; ip makes the network. */
static double hosts_by_ip(void)
{
    int sw, fds[2];
    pid_t pids[HOSTS];
    char line[160];
    struct err err = ERR_INIT;
    nsec start = nsec_now(CLOCK_MONOTONIC);
    if (netns_new(&sw, NULL) < 0)
        die("netns", NULL);
    ip_switch(sw);
    for (int i = 0; i < HOSTS; i++) {
        if (pipe2(fds, 0) < 0)
            die("pipe", NULL);
        pids[i] = vfork();
        if (pids[i] == 0) {
            /* "echo" tells that it stands; then it sleeps until it is killed. */
            dup2(fds[1], STDOUT_FILENO);
            close(fds[0]);
            close(fds[1]);
            execlp("unshare", "unshare", "--net", "--pid", "--mount", "--uts", "--ipc", "--fork",
                   "--kill-child", "--mount-proc", "sh", "-c", "echo; exec sleep 1000",
                   (char *)NULL);
            _exit(127);
        }
        close(fds[1]);
        char byte;
        if (read(fds[0], &byte, 1) != 1)
            die("unshare", NULL);
        close(fds[0]);
        int netns;
        if (netns_of_pid(pids[i], &netns, &err) < 0)
            die("netns", &err);
        snprintf(line, sizeof line, "ip link add p%d master lan type veth peer name eth0 netns %d",
                 i, pids[i]);
        run(sw, line, NULL);
        snprintf(line, sizeof line, "ip link set p%d up", i);
        run(sw, line, NULL);
        ip_host_in(netns, i);
        close(netns);
    }
    double ms = ms_since(start);
    for (int i = 0; i < HOSTS; i++)
        kill(pids[i], SIGKILL);
    for (int i = 0; i < HOSTS; i++)
        waitpid(pids[i], NULL, 0);
    close(sw);
    return ms;
}

/* --- Ours ------------------------------------------------------------------------------------- */

static double network_by_us(void)
{
    int sw, hosts[HOSTS];
    struct nl *swnl, *nl[HOSTS];
    struct err err = ERR_INIT;
    nsec start = nsec_now(CLOCK_MONOTONIC);
    if (netns_new(&sw, &err) < 0 || nl_open_kernel(sw, "switch", &swnl, &err) < 0)
        die("netns", &err);
    rtnl_bridge_add(swnl, &(struct rtnl_bridge){.name = "lan"});
    rtnl_link_up(swnl, "lan", true);
    for (int i = 0; i < HOSTS; i++) {
        char port[16], address[32];
        struct inet_prefix p;
        if (netns_new(&hosts[i], &err) < 0 || nl_derive(swnl, hosts[i], "host", &nl[i], &err) < 0)
            die("netns", &err);
        snprintf(port, sizeof port, "p%d", i);
        rtnl_veth_add(swnl, &(struct rtnl_veth){.name = port,
                                                .master = "lan",
                                                .peer_netns = {.fd = hosts[i], .name = "host"},
                                                .peer_name = "eth0",
                                                .peer_ifindex = 2});
        rtnl_link_up(swnl, port, true);
        nl_learn(nl[i], "eth0", 2);
        snprintf(address, sizeof address, "10.0.0.%d/24", i + 1);
        if (nl_flush(swnl, &err) < 0 || inet_parse(address, &p, &err) < 0)
            die("ours", &err);
        rtnl_address_add(nl[i], "eth0", &p);
        rtnl_link_up(nl[i], "eth0", true);
        rtnl_link_up(nl[i], "lo", true);
        if (nl_flush(nl[i], &err) < 0)
            die("ours", &err);
    }
    double ms = ms_since(start);
    for (int i = 0; i < HOSTS; i++) {
        nl_free(nl[i]);
        close(hosts[i]);
    }
    nl_free(swnl);
    close(sw);
    return ms;
}

static double hosts_by_us(const struct scenario *s, const char *dir)
{
    struct loop *loop;
    struct lab *lab;
    struct err err = ERR_INIT;
    struct lab_handlers none = {0};
    if (loop_new(LOOP_REAL, &loop, &err) < 0)
        die("loop", &err);
    nsec start = nsec_now(CLOCK_MONOTONIC);
    if (lab_new(s, loop, dir, AT_FDCWD, -1, &none, &lab, &err) < 0)
        die("lab", &err);
    double ms = ms_since(start);
    lab_free(lab);
    loop_free(loop);
    return ms;
}

static struct scenario *make_scenario(void)
{
    struct arena *a = arena_new();
    struct scenario *s = arena_alloc(a, sizeof *s);
    s->arena = a;
    s->hosts.items = arena_alloc(a, HOSTS * sizeof(void *));
    for (int i = 0; i < HOSTS; i++) {
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

/* --- Medians ---------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v)
{
    qsort(v, ROUNDS, sizeof *v, by_value);
    return v[ROUNDS / 2];
}

enum { NET_US, NET_IP, NET_BATCH, HOSTS_US, HOSTS_IP, WAYS };
static const char *const way_words[] = {"network, ours", "network, ip", "network, ip -batch",
                                        "hosts, ours", "hosts, unshare and ip"};
static_assert(ARRAY_SIZE(way_words) == WAYS, "a word for each way");

static int report(double times[WAYS][ROUNDS])
{
    double m[WAYS];
    for (int w = 0; w < WAYS; w++) {
        m[w] = median(times[w]);
        printf("%-22s median %8.1f ms, %6.2f ms per host (%.1f to %.1f)\n", way_words[w], m[w],
               m[w] / HOSTS, times[w][0], times[w][ROUNDS - 1]);
    }
    struct {
        const char *what;
        double ratio, target;
    } ratios[] = {{"network, ip : ours", m[NET_IP] / m[NET_US], 10},
                  {"network, ip -batch : ours", m[NET_BATCH] / m[NET_US], 4},
                  {"hosts, unshare and ip : ours", m[HOSTS_IP] / m[HOSTS_US], 5}};
    int bad = 0;
    for (size_t i = 0; i < ARRAY_SIZE(ratios); i++) {
        bool ok = ratios[i].ratio >= ratios[i].target;
        printf("%-30s %5.1f (target %.0f)%s\n", ratios[i].what, ratios[i].ratio, ratios[i].target,
               ok ? "" : " MISSED");
        bad |= !ok;
    }
    return bad;
}

int main(void)
{
    char mount_dir[] = "/tmp/blackstart-bench-XXXXXX", dir[64];
    double times[WAYS][ROUNDS];
    bool rootless;
    unsigned ids;
    struct err err = ERR_INIT;
    if (!mkdtemp(mount_dir))
        die("mkdtemp", NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (lab_prepare_process(mount_dir, &rootless, &ids, &err) < 0) {
            fprintf(stderr, "skipped: %s\n", err.text);
            _exit(77);
        }
        snprintf(dir, sizeof dir, "%s/lab", mount_dir);
        struct scenario *s = make_scenario();
        for (int r = -1; r < ROUNDS; r++) { /* the first one warms up and is not counted */
            int at = r < 0 ? 0 : r;
            times[HOSTS_US][at] = hosts_by_us(s, dir);
            settle();
            times[NET_US][at] = network_by_us();
            settle();
            times[NET_BATCH][at] = network_by_batch();
            settle();
            times[NET_IP][at] = network_by_ip();
            settle();
            times[HOSTS_IP][at] = hosts_by_ip();
            settle();
        }
        int bad = report(times);
        fflush(stdout);
        arena_free(s->arena);
        _exit(bad);
    }
    int status = 1;
    waitpid(pid, &status, 0);
    rmdir(mount_dir);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
