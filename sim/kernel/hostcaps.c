/* What this host can do; see hostcaps.h. The trying itself is in hostcaps_try.c. */
#include "sim/kernel/hostcaps.h"

#include "sim/base/file.h"
#include "sim/base/nsec.h"
#include "sim/base/text.h"
#include "sim/kernel/faketime.h"
#include "sim/kernel/hostcaps_impl.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRY_TIMEOUT_MS 5000

static const struct {
    const char *name, *consequence;
} words[] = {
    [HOSTCAP_USER_NS] =
        {"user-namespaces",
         "Without root no lab is possible here. Run as root, or allow user namespaces "
         "(sysctl kernel.unprivileged_userns_clone=1, or on Ubuntu "
         "kernel.apparmor_restrict_unprivileged_userns=0)."},
    [HOSTCAP_ROOT] = {"root",
                      "Labs run in a user namespace, where servers that switch to another user "
                      "need newuidmap."},
    [HOSTCAP_NEWUIDMAP] =
        {"newuidmap", "A lab without root has uid 0 alone: servers that change to another user or "
                      "group (dnsmasq, nginx with workers) fail. Install uidmap and give this "
                      "user a range in /etc/subuid and /etc/subgid."},
    [HOSTCAP_NET_NS] = {"network-namespaces",
                        "No lab is possible: each host is a network namespace."},
    [HOSTCAP_PID_NS] = {"pid-namespaces", "No lab is possible: each host has its own process 1."},
    [HOSTCAP_MOUNT_NS] = {"mount-namespaces", "No lab is possible: each host has its own /run and "
                                              "/tmp."},
    [HOSTCAP_PROC_MOUNT] =
        {"proc-mount", "No lab is possible: a host needs a /proc of its own. In a container, run "
                       "it with unmasked /proc (Docker: --security-opt systempaths=unconfined)."},
    [HOSTCAP_TMPFS] = {"tmpfs", "No lab is possible: working directories stand on a tmpfs."},
    [HOSTCAP_DEVPTS] = {"devpts", "No lab is possible: each host has terminals of its own."},
    [HOSTCAP_BRIDGE] = {"bridge",
                        "No lab is possible: networks are bridges (load the module bridge)."},
    [HOSTCAP_VETH] = {"veth", "No lab is possible: cables are veth pairs (load the module veth)."},
    [HOSTCAP_NFT_INET] = {"nft-inet", "partition with reject is not possible (load the module "
                                      "nf_tables)."},
    [HOSTCAP_NFT_BRIDGE] = {"nft-bridge",
                            "partition is not possible: cuts are made in a table of the "
                            "bridge family (load the module nf_tables)."},
    [HOSTCAP_NFT_OWNER] = {"nft-owner",
                           "A cut lives as long as its lab, not as long as the process "
                           "that made it (kernels since 5.12 can do better)."},
    [HOSTCAP_NFT_REJECT] = {"nft-reject",
                            "partition can drop but not reject (load nft_reject_inet)."},
    [HOSTCAP_NFT_CT] = {"nft-ct", "partition cannot tell new connections from established ones "
                                  "(load nf_conntrack and nft_ct)."},
    [HOSTCAP_NFT_NAT] = {"nft-nat", "dns faults are not possible: queries are led to a resolver of "
                                    "ours by such rules (load nft_redir, nft_chain_nat, nft_ct)."},
    [HOSTCAP_NFT_TPROXY] = {"nft-tproxy",
                            "http and tls faults are not possible: connections are given to a "
                            "proxy of ours by such a rule (load nft_tproxy and nft_fib_inet)."},
    [HOSTCAP_SOCK_DESTROY] =
        {"sock-destroy", "partition cannot end existing connections (needs a kernel built with "
                         "CONFIG_INET_DIAG_DESTROY; load tcp_diag)."},
    [HOSTCAP_RAW_SOCKET] = {"raw-socket", "icmp probes are not possible."},
    [HOSTCAP_PACKET_SOCKET] = {"packet-socket",
                               "packets alarms and captures are not possible (load "
                               "af_packet)."},
    [HOSTCAP_NETEM] = {"netem",
                       "network faults use blackstart's own engine instead of the kernel's (load "
                       "sch_netem; Fedora, RHEL: install kernel-modules-extra)."},
    [HOSTCAP_IFB] = {"ifb", "network faults cannot use netem: it stands on such a device (load "
                            "the module ifb)."},
    [HOSTCAP_CLS_BPF] = {"cls-bpf", "network faults are not possible: packets are chosen by such a "
                                    "filter (load the module cls_bpf)."},
    [HOSTCAP_MIRRED] = {"mirred", "network faults are not possible: packets are led aside by that "
                                  "action (load the module act_mirred)."},
    [HOSTCAP_BPF] = {"bpf", "blackstart's own engine leads packets through veths instead of a TAP, "
                            "at a higher cost for each packet (programs need CAP_BPF)."},
    [HOSTCAP_TUN] = {"tun", "blackstart's own engine leads packets through veths instead of a TAP, "
                            "at a higher cost for each packet (load tun; /dev/net/tun must be "
                            "open to this user)."},
    [HOSTCAP_PIDFD] = {"pidfd", "Nothing runs here: processes are held by pidfd (kernel 5.3)."},
    [HOSTCAP_CLONE3] = {"clone3",
                        "No lab is possible: hosts are started by clone3 (kernel 5.3; old "
                        "container engines forbid it)."},
    [HOSTCAP_TIME_NS] = {"time-namespaces", "No host can be given an 'uptime' (kernel 5.6 with "
                                            "CONFIG_TIME_NS; sysctl user.max_time_namespaces)."},
    [HOSTCAP_CLOCK] = {"clock", "Instants are known only to the clock's resolution: intervals get "
                                "wider."},
    [HOSTCAP_CPUS] = {"cpus",
                      "With one processor the probes and the servers they watch wait for each "
                      "other: intervals get wider."},
    [HOSTCAP_GNUPLOT] = {"gnuplot", "Reports have no plots. Install gnuplot-nox."},
    [HOSTCAP_FAKETIME] = {"faketime", "clock faults are not possible: install libfaketime."},
};
_Static_assert(ARRAY_SIZE(words) == HOSTCAP_COUNT, "every capability has its words");

/* --- Children ---------------------------------------------------------------- */

static void in_child(struct hostcap_try *t, void (*fn)(struct hostcap_try *, bool), bool arg)
{
    pid_t pid = fork();
    if (pid < 0)
        return;
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        fn(t, arg);
        _exit(0);
    }
    nsec end = nsec_add(nsec_now(CLOCK_MONOTONIC), TRY_TIMEOUT_MS * NSEC_MSEC);
    AUTO_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    while (pidfd >= 0) {
        nsec left = nsec_sub(end, nsec_now(CLOCK_MONOTONIC));
        int r = left > 0 ? poll(&p, 1, (int)(left / NSEC_MSEC) + 1) : 0;
        if (r == 0)
            kill(pid, SIGKILL);
        if (r >= 0 || errno != EINTR)
            break;
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static void userns_child(struct hostcap_try *t, bool unused)
{
    (void)unused;
    hostcaps_try_userns(t);
}

/* --- Without changing anything ----------------------------------------------- */

static bool have_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    const unsigned need = 1u << CAP_SYS_ADMIN | 1u << CAP_NET_ADMIN;
    return syscall(SYS_capget, &head, data) == 0 && (data[0].effective & need) == need;
}

static void try_root(struct hostcap_try *t)
{
    bool root = geteuid() == 0, caps = have_capabilities();
    hostcaps_set(t, root && caps, "%s%s", root ? "uid 0" : "an ordinary user",
                 caps ? " with CAP_SYS_ADMIN and CAP_NET_ADMIN"
                      : " without CAP_SYS_ADMIN or CAP_NET_ADMIN");
}

static bool find_program(const char *name, char *path, size_t size)
{
    const char *dirs = getenv("PATH");
    if (!dirs)
        dirs = "/usr/bin:/bin";
    while (*dirs) {
        size_t n = strcspn(dirs, ":");
        if ((size_t)snprintf(path, size, "%.*s/%s", (int)n, dirs, name) < size &&
            access(path, X_OK) == 0)
            return true;
        dirs += n + (dirs[n] == ':');
    }
    return false;
}

static void try_faketime(struct hostcap_try *t)
{
    char path[PATH_MAX];
    if (faketime_library(path))
        hostcaps_set(t, true, "%s", path);
    else
        hostcaps_set(t, false, "libfaketimeMT.so.1 is not there");
}

static void try_gnuplot(struct hostcap_try *t)
{
    char path[512];
    bool found = find_program("gnuplot", path, sizeof path);
    hostcaps_set(t, found, "%.200s", found ? path : "not in PATH");
}

static void try_pidfd(struct hostcap_try *t)
{
    AUTO_CLOSE int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (fd < 0)
        hostcaps_set(t, false, "pidfd_open: %s", strerror(errno));
    else
        hostcaps_set(t, true, "opened one");
}

static void try_clone3(struct hostcap_try *t)
{
    struct clone_args args = {.exit_signal = SIGCHLD};
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0)
        _exit(0);
    if (pid < 0) {
        hostcaps_set(t, false, "%s", strerror(errno));
        return;
    }
    waitpid((pid_t)pid, NULL, 0);
    hostcaps_set(t, true, "started a process");
}

static void try_clock(struct hostcap_try *t)
{
    struct timespec res;
    char text[NSEC_TEXT_MAX];
    clock_getres(CLOCK_MONOTONIC, &res);
    nsec r = nsec_from_timespec(res);
    hostcaps_set(t, r <= NSEC_USEC, "resolution %s", nsec_text(r, text));
}

static void try_cpus(struct hostcap_try *t)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : get_nprocs();
    hostcaps_set(t, n > 1, "%d processor%s", n, n == 1 ? "" : "s");
}

/* --- newuidmap --------------------------------------------------------------- */

/* The first range of this user in /etc/subuid or /etc/subgid: NAME-OR-UID:START:COUNT. */
static bool find_range(const char *file, unsigned *start, unsigned *count)
{
    AUTO_FREE char *text = NULL;
    size_t n;
    char uid[16];
    const struct passwd *pw = getpwuid(geteuid());
    snprintf(uid, sizeof uid, "%u", geteuid());
    if (file_read(AT_FDCWD, file, 1 << 20, &text, &n, NULL) < 0)
        return false;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char *colon = strchr(line, ':');
        if (!colon)
            continue;
        *colon = '\0';
        if ((strcmp(line, uid) == 0 || (pw && strcmp(line, pw->pw_name) == 0)) &&
            sscanf(colon + 1, "%u:%u", start, count) == 2)
            return true;
    }
    return false;
}

static int run_map(const char *program, pid_t pid, unsigned own, unsigned start, unsigned count)
{
    char words_[7][16];
    const unsigned values[] = {(unsigned)pid, 0, own, 1, 1, start, count};
    for (size_t i = 0; i < ARRAY_SIZE(values); i++)
        snprintf(words_[i], sizeof words_[i], "%u", values[i]);
    pid_t child = fork();
    if (child < 0)
        return -errno;
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execl(program, program, words_[0], words_[1], words_[2], words_[3], words_[4], words_[5],
              words_[6], (char *)NULL);
        _exit(127);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

/* A child enters a user namespace and waits; the set-uid helpers write its maps. */
static void map_range(struct hostcap_try *t, const char *newuidmap, const char *newgidmap,
                      const unsigned range[4])
{
    int ready[2], done[2];
    if (pipe2(ready, O_CLOEXEC) < 0)
        return;
    if (pipe2(done, O_CLOEXEC) < 0) {
        close(ready[0]);
        close(ready[1]);
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        char c;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(done[1]);
        if (unshare(CLONE_NEWUSER) == 0 && write(ready[1], "", 1) == 1)
            (void)!read(done[0], &c, 1);
        _exit(0);
    }
    char c;
    close(ready[1]);
    close(done[0]);
    int r = pid > 0 && read(ready[0], &c, 1) == 1 ? 0 : -EPERM;
    if (r == 0)
        r = run_map(newuidmap, pid, geteuid(), range[0], range[1]);
    if (r == 0)
        r = run_map(newgidmap, pid, getegid(), range[2], range[3]);
    close(ready[0]);
    close(done[1]);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    if (r < 0)
        hostcaps_set(t, false, "it is there, but did not map the range of /etc/subuid");
    else
        hostcaps_set(t, true, "maps %u uids from %u", range[1], range[0]);
}

static void try_newuidmap(struct hostcap_try *t, unsigned *ids)
{
    char newuidmap[512], newgidmap[512];
    unsigned range[4] = {0};
    if (!find_program("newuidmap", newuidmap, sizeof newuidmap) ||
        !find_program("newgidmap", newgidmap, sizeof newgidmap)) {
        hostcaps_set(t, false, "not in PATH");
        return;
    }
    if (!find_range("/etc/subuid", &range[0], &range[1]) ||
        !find_range("/etc/subgid", &range[2], &range[3])) {
        hostcaps_set(t, false, "no range for this user in /etc/subuid and /etc/subgid");
        return;
    }
    map_range(t, newuidmap, newgidmap, range);
    if (t->ok)
        *ids = 1 + (range[1] < range[3] ? range[1] : range[3]);
}

/* --- The list ---------------------------------------------------------------- */

static bool lab_possible(const struct hostcap_try *t)
{
    static const enum hostcap_id need[] = {
        HOSTCAP_NET_NS, HOSTCAP_PID_NS, HOSTCAP_MOUNT_NS, HOSTCAP_PROC_MOUNT, HOSTCAP_TMPFS,
        HOSTCAP_BRIDGE, HOSTCAP_VETH,   HOSTCAP_PIDFD,    HOSTCAP_CLONE3,     HOSTCAP_DEVPTS};
    bool ok = t[HOSTCAP_ROOT].ok || t[HOSTCAP_USER_NS].ok;
    for (size_t i = 0; i < ARRAY_SIZE(need); i++)
        ok &= t[need[i]].ok;
    return ok;
}

static struct hostcaps *make_list(const struct hostcap_try *t)
{
    struct hostcaps *h = calloc(1, sizeof *h);
    if (!h || !(h->items = calloc(HOSTCAP_COUNT, sizeof *h->items)))
        abort();
    h->n = HOSTCAP_COUNT;
    for (size_t i = 0; i < HOSTCAP_COUNT; i++) {
        h->items[i] = (struct hostcap){
            .name = words[i].name,
            .ok = t[i].ok,
            .detail = strdup(t[i].done ? t[i].detail : "could not be tried"),
            .consequence = words[i].consequence,
        };
        if (!h->items[i].detail)
            abort();
    }
    h->is_root = t[HOSTCAP_ROOT].ok;
    h->lab_possible = lab_possible(t);
    return h;
}

int hostcaps_probe(struct hostcaps **ret, struct err *err)
{
    size_t size = HOSTCAP_COUNT * sizeof(struct hostcap_try);
    struct hostcap_try *t =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t == MAP_FAILED)
        return err_errno(err, errno, "no memory to try what this host can do");
    unsigned ids = 1;
    try_root(&t[HOSTCAP_ROOT]);
    in_child(t, userns_child, false);
    in_child(t, hostcaps_try_inside, !t[HOSTCAP_ROOT].ok);
    try_newuidmap(&t[HOSTCAP_NEWUIDMAP], &ids);
    try_pidfd(&t[HOSTCAP_PIDFD]);
    try_clone3(&t[HOSTCAP_CLONE3]);
    try_clock(&t[HOSTCAP_CLOCK]);
    try_cpus(&t[HOSTCAP_CPUS]);
    try_gnuplot(&t[HOSTCAP_GNUPLOT]);
    try_faketime(&t[HOSTCAP_FAKETIME]);
    struct hostcaps *h = make_list(t);
    h->ids = ids;
    munmap(t, size);
    *ret = h;
    return 0;
}

struct hostcaps *hostcaps_free(struct hostcaps *h)
{
    if (!h)
        return NULL;
    for (size_t i = 0; i < h->n; i++)
        free(h->items[i].detail);
    free(h->items);
    free(h);
    return NULL;
}

const struct hostcap *hostcaps_find(const struct hostcaps *h, const char *name)
{
    for (size_t i = 0; i < h->n; i++)
        if (strcmp(h->items[i].name, name) == 0)
            return &h->items[i];
    return NULL;
}
