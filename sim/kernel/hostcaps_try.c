/* The part of hostcaps that changes things: runs in a child, in namespaces of its own. */
#include "sim/base/cleanup.h"
#include "sim/base/file.h"
#include "sim/kernel/hostcaps_impl.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/nft.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/sockdiag.h"
#include "sim/kernel/tc.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

void hostcaps_set(struct hostcap_try *t, bool ok, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->detail, sizeof t->detail, fmt, ap);
    va_end(ap);
    t->ok = ok;
    t->done = true;
}

static int write_file(const char *path, const char *text)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        return -errno;
    return 0;
}

/* One uid: what everybody may map without help. */
static int enter_userns(char *why, size_t size)
{
    unsigned uid = geteuid(), gid = getegid();
    char map[64];
    if (unshare(CLONE_NEWUSER) < 0) {
        snprintf(why, size, "unshare(CLONE_NEWUSER): %s", strerror(errno));
        return -errno;
    }
    int r = write_file("/proc/self/setgroups", "deny");
    if (r < 0 && r != -ENOENT) {
        snprintf(why, size, "/proc/self/setgroups: %s", strerror(-r));
        return r;
    }
    snprintf(map, sizeof map, "0 %u 1", uid);
    if ((r = write_file("/proc/self/uid_map", map)) < 0) {
        snprintf(why, size, "/proc/self/uid_map: %s", strerror(-r));
        return r;
    }
    snprintf(map, sizeof map, "0 %u 1", gid);
    if ((r = write_file("/proc/self/gid_map", map)) < 0) {
        snprintf(why, size, "/proc/self/gid_map: %s", strerror(-r));
        return r;
    }
    return 0;
}

void hostcaps_try_userns(struct hostcap_try *t)
{
    struct hostcap_try *one = &t[HOSTCAP_USER_NS];
    char why[160] = "";
    if (enter_userns(why, sizeof why) < 0) {
        hostcaps_set(one, false, "%s", why);
        return;
    }
    /* Some systems (Ubuntu 24.04) grant the namespace but none of the capabilities in it. */
    if (unshare(CLONE_NEWNET) < 0)
        hostcaps_set(one, false,
                     "made, but without capabilities inside (unshare(CLONE_NEWNET): %s)",
                     strerror(errno));
    else
        hostcaps_set(one, true, "made, with capabilities inside");
}

static void try_result(struct hostcap_try *t, int r, const char *good, const struct err *err)
{
    if (r < 0)
        hostcaps_set(t, false, "%s", err->text);
    else
        hostcaps_set(t, true, "%s", good);
}

/* --- Network ----------------------------------------------------------------- */

static void try_links(struct hostcap_try *t, struct nl *nl)
{
    struct err err = ERR_INIT;
    rtnl_bridge_add(nl, &(struct rtnl_bridge){.name = "br0"});
    try_result(&t[HOSTCAP_BRIDGE], nl_flush(nl, &err), "made one", &err);
    err = ERR_INIT;
    rtnl_veth_add(nl, &(struct rtnl_veth){.name = "a", .peer_name = "b"});
    try_result(&t[HOSTCAP_VETH], nl_flush(nl, &err), "made a pair", &err);
}

static void try_nft(struct hostcap_try *t, struct nl *nl)
{
    const struct nft_table inet = {NFT_FAMILY_INET, "blackstart-try"};
    const struct nft_table bridge = {NFT_FAMILY_BRIDGE, "blackstart-try"};
    const struct nft_chain input = {.table = inet, .name = "input", .hook = NFT_INPUT};
    const struct nft_chain forward = {
        .table = bridge, .name = "forward", .hook = NFT_FORWARD, .priority = -200};
    const struct nft_set cuts = {bridge, "cuts", NFT_KEY_PORTS};
    struct err err = ERR_INIT;
    int owner = nft_table_create(nl, &inet, &err), r = owner;
    if (r >= 0) {
        nft_chain_add(nl, &input);
        r = nl_flush(nl, &err);
    }
    try_result(&t[HOSTCAP_NFT_INET], r, "made a table and a chain", &err);
    hostcaps_set(&t[HOSTCAP_NFT_OWNER], owner == 0, "%s",
                 owner < 0 ? "no table to try it on"
                 : owner   ? "refused by the kernel"
                           : "granted");
    if (r >= 0) {
        nft_rule_add(
            nl, &(struct nft_rule){.table = inet, .chain = "input", .verdict = NFT_REJECT_ICMP});
        r = nl_flush(nl, &err);
    }
    try_result(&t[HOSTCAP_NFT_REJECT], r, "made a rule", &err);

    err = ERR_INIT;
    nft_rule_add(nl, &(struct nft_rule){.table = inet, .chain = "input", .new_only = true});
    r = nl_flush(nl, &err);
    try_result(&t[HOSTCAP_NFT_CT], r, "made a rule", &err);

    err = ERR_INIT;
    r = nft_table_create(nl, &bridge, &err);
    if (r >= 0) {
        nft_chain_add(nl, &forward);
        nft_set_create(nl, &cuts);
        nft_rule_add(nl, &(struct nft_rule){.table = bridge, .chain = "forward", .in = &cuts});
        r = nl_flush(nl, &err);
    }
    try_result(&t[HOSTCAP_NFT_BRIDGE], r, "made a table, a chain and a set of port pairs", &err);
}

/* What dns, http and tls lead connections to their proxies with. */
static void try_redirects(struct hostcap_try *t, struct nl *nl)
{
    const struct nft_table table = {NFT_FAMILY_INET, "blackstart-way"};
    struct err err = ERR_INIT;
    int r = nft_table_create(nl, &table, &err);
    if (r >= 0) {
        nft_chain_add(nl, &(struct nft_chain){
                              .table = table, .name = "raw", .hook = NFT_OUTPUT, .priority = -300});
        nft_chain_add(nl, &(struct nft_chain){.table = table,
                                              .name = "nat",
                                              .hook = NFT_OUTPUT,
                                              .priority = -110,
                                              .translates = true});
        nft_rule_add(nl, &(struct nft_rule){.table = table,
                                            .chain = "raw",
                                            .l4proto = IPPROTO_UDP,
                                            .verdict = NFT_ZONE,
                                            .to = 1});
        nft_rule_add(nl, &(struct nft_rule){.table = table,
                                            .chain = "nat",
                                            .l4proto = IPPROTO_UDP,
                                            .verdict = NFT_REDIRECT,
                                            .to = 1});
        r = nl_flush(nl, &err);
    }
    try_result(&t[HOSTCAP_NFT_NAT], r, "made rules", &err);
    err = ERR_INIT;
    nft_chain_add(nl,
                  &(struct nft_chain){
                      .table = table, .name = "take", .hook = NFT_PREROUTING, .priority = -150});
    nft_rule_add(nl, &(struct nft_rule){.table = table,
                                        .chain = "take",
                                        .l4proto = IPPROTO_TCP,
                                        .to_local = true,
                                        .verdict = NFT_TAKE,
                                        .to = 1});
    r = nl_flush(nl, &err);
    try_result(&t[HOSTCAP_NFT_TPROXY], r, "made a rule", &err);
}

/* Needs the veths of try_links(). */
static void try_tc(struct hostcap_try *t, struct nl *nl)
{
    static const struct sock_filter nothing[] = {{BPF_RET | BPF_K, 0, 0, 0}};
    const struct impairment delay = {.delay = NSEC_MSEC};
    struct tc_filter f = {.dev = "a", .pref = 1, .handle = 1, .ops = nothing, .n_ops = 1};
    struct err err = ERR_INIT;
    tc_ifb_add(nl, "ifb", 0);
    try_result(&t[HOSTCAP_IFB], nl_flush(nl, &err), "made one", &err);
    err = ERR_INIT;
    tc_netem_add(nl, "b", 1, &delay);
    int r = nl_flush(nl, &err);
    if (r == -ENOENT)
        hostcaps_set(&t[HOSTCAP_NETEM], false, "this kernel has no netem");
    else
        try_result(&t[HOSTCAP_NETEM], r, "in this kernel", &err);
    err = ERR_INIT;
    tc_clsact_add(nl, "a");
    tc_filter_add(nl, &f);
    try_result(&t[HOSTCAP_CLS_BPF], nl_flush(nl, &err), "made a filter at clsact", &err);
    err = ERR_INIT;
    f.pref = 2;
    f.redirect_to = "b";
    tc_filter_add(nl, &f);
    try_result(&t[HOSTCAP_MIRRED], nl_flush(nl, &err), "made a redirection", &err);
}

static void try_bpf(struct hostcap_try *t)
{
    static const struct bpf_insn program[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_SCHED_CLS,
                           .insns = (uintptr_t)program,
                           .insn_cnt = ARRAY_SIZE(program),
                           .license = (uintptr_t) "Dual BSD/GPL"};
    AUTO_CLOSE int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
    if (fd < 0)
        hostcaps_set(t, false, "%s", strerror(errno));
    else
        hostcaps_set(t, true, "loaded a program");
}

static void try_tun(struct hostcap_try *t)
{
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    AUTO_CLOSE int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        hostcaps_set(t, false, "/dev/net/tun: %s", strerror(errno));
    else if (ioctl(fd, TUNSETIFF, &ifr) < 0)
        hostcaps_set(t, false, "TUNSETIFF: %s", strerror(errno));
    else
        hostcaps_set(t, true, "made a TAP");
}

static void try_socket(struct hostcap_try *t, int domain, int type, int protocol)
{
    AUTO_CLOSE int fd = socket(domain, type | SOCK_CLOEXEC, protocol);
    if (fd < 0)
        hostcaps_set(t, false, "%s", strerror(errno));
    else
        hostcaps_set(t, true, "opened one");
}

/* A connection over the loopback interface; both ends are closed with *ret_a and *ret_b. */
static int connect_to_itself(struct nl *nl, int *ret_a, int *ret_b, struct err *err)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    AUTO_CLOSE int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    AUTO_CLOSE int a = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    rtnl_link_up(nl, "lo", true);
    int r = nl_flush(nl, err);
    if (r < 0)
        return r;
    if (bind(listener, (struct sockaddr *)&at, n) < 0 || listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&at, &n) < 0 ||
        connect(a, (struct sockaddr *)&at, n) < 0)
        return err_errno(err, errno, "connecting over lo");
    *ret_b = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (*ret_b < 0)
        return err_errno(err, errno, "connecting over lo");
    *ret_a = steal_fd(&a);
    return 0;
}

static void try_sock_destroy(struct hostcap_try *t, struct nl *nl)
{
    struct err err = ERR_INIT;
    AUTO_CLOSE int a = -1, b = -1;
    AUTO_FREE struct sockdiag_tcp *all = NULL;
    size_t n = 0;
    char byte;
    int r = connect_to_itself(nl, &a, &b, &err);
    if (r == 0)
        r = sockdiag_tcp(nl, &all, &n, &err);
    for (size_t i = 0; r == 0 && i < n; i++)
        sockdiag_destroy(nl, &all[i]);
    if (r == 0)
        r = nl_flush(nl, &err);
    if (r == 0 && (n != 2 || recv(a, &byte, 1, MSG_DONTWAIT) != -1 || errno == EAGAIN))
        r = err_set(&err, EOPNOTSUPP, "a connection outlived it");
    try_result(t, r, "ended a connection", &err);
}

static void try_network(struct hostcap_try *t)
{
    CLEANUP(nl_free_p) struct nl *nl = NULL;
    struct err err = ERR_INIT;
    if (unshare(CLONE_NEWNET) < 0) {
        hostcaps_set(&t[HOSTCAP_NET_NS], false, "unshare(CLONE_NEWNET): %s", strerror(errno));
        return;
    }
    hostcaps_set(&t[HOSTCAP_NET_NS], true, "made one");
    try_socket(&t[HOSTCAP_RAW_SOCKET], AF_INET, SOCK_RAW, IPPROTO_ICMP);
    try_socket(&t[HOSTCAP_PACKET_SOCKET], AF_PACKET, SOCK_RAW, 0);
    if (nl_open_kernel(-1, "a namespace of its own", &nl, &err) < 0) {
        hostcaps_set(&t[HOSTCAP_VETH], false, "%s", err.text);
        return;
    }
    try_sock_destroy(&t[HOSTCAP_SOCK_DESTROY], nl); /* before there are rules that refuse */
    try_links(t, nl);
    try_nft(t, nl);
    try_redirects(t, nl);
    try_tc(t, nl);
    try_bpf(&t[HOSTCAP_BPF]);
    try_tun(&t[HOSTCAP_TUN]);
}

/* --- Processes and mounts ---------------------------------------------------- */

/* Over /tmp, in the mount namespace of this child alone. */
static void try_mount(struct hostcap_try *t, const char *type, const char *options)
{
    if (mount(type, "/tmp", type, MS_NOSUID, options) < 0)
        hostcaps_set(t, false, "mount(%s): %s", type, strerror(errno));
    else
        hostcaps_set(t, true, "mounted one");
}

static void try_mounts(struct hostcap_try *t)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        hostcaps_set(&t[HOSTCAP_MOUNT_NS], false, "unshare(CLONE_NEWNS): %s", strerror(errno));
        return;
    }
    hostcaps_set(&t[HOSTCAP_MOUNT_NS], true, "made one");
    try_mount(&t[HOSTCAP_TMPFS], "tmpfs", "size=64k");
    try_mount(&t[HOSTCAP_DEVPTS], "devpts", "newinstance");
}

static void try_first_process(struct hostcap_try *t)
{
    hostcaps_set(&t[HOSTCAP_PID_NS], getpid() == 1, "the first process has pid %d", (int)getpid());
    /* In containers with parts of /proc hidden the kernel refuses a fresh one. */
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        hostcaps_set(&t[HOSTCAP_PROC_MOUNT], false, "mount(proc): %s", strerror(errno));
    else
        hostcaps_set(&t[HOSTCAP_PROC_MOUNT], true, "mounted one");
}

static void try_pids(struct hostcap_try *t)
{
    if (unshare(CLONE_NEWPID) < 0) {
        hostcaps_set(&t[HOSTCAP_PID_NS], false, "unshare(CLONE_NEWPID): %s", strerror(errno));
        return;
    }
    pid_t pid = fork();
    if (pid < 0) {
        hostcaps_set(&t[HOSTCAP_PID_NS], false, "fork: %s", strerror(errno));
    } else if (pid == 0) {
        try_first_process(t);
        _exit(0);
    } else {
        waitpid(pid, NULL, 0);
    }
}

/* Children enter it, to whom it is nothing. */
static void try_time(struct hostcap_try *t)
{
    static const char offset[] = "boottime 1 0\n";
    if (unshare(CLONE_NEWTIME) < 0) {
        hostcaps_set(t, false, "unshare(CLONE_NEWTIME): %s", strerror(errno));
        return;
    }
    AUTO_CLOSE int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, offset, strlen(offset)) < 0)
        hostcaps_set(t, false, "/proc/self/timens_offsets: %s", strerror(errno));
    else
        hostcaps_set(t, true, "made one with an offset");
}

void hostcaps_try_inside(struct hostcap_try *t, bool userns)
{
    char why[160];
    if (userns && enter_userns(why, sizeof why) < 0)
        return;
    try_network(t);
    try_mounts(t);
    try_time(&t[HOSTCAP_TIME_NS]); /* while /proc is ours */
    try_pids(t);
}
