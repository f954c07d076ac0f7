/* Snapshots of a namespace, its processes, and what this host can do. */
#include "sim/kernel/test_kernel.h"

#include "sim/kernel/hostcaps.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/snapshot.h"
#include "tests/support/netkit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

/* --- Snapshots and abilities ------------------------------------------------- */

static bool has_line(const char **lines, size_t n, const char *words)
{
    for (size_t i = 0; i < n; i++)
        if (strstr(lines[i], words))
            return true;
    return false;
}

static void a_snapshot_sees_each_kind_of_change(void **state)
{
    static const struct {
        const char *command, *words;
    } changes[] = {
        {"ip link add x0 type bridge", "link type=1"},
        {"ip addr add 10.9.0.1/24 dev eth0", "local=10.9.0.1"},
        {"ip route add 10.8.0.0/16 via 10.0.0.9", "to=10.8.0.0"},
        {"ip -6 route add fd07::/64 dev eth0", "to=fd07::"},
        {"ip rule add fwmark 7 table 99", "mark=0x7"},
        {"tc qdisc add dev eth0 root handle 7: tbf rate 1mbit burst 10kb latency 50ms", "kind=tbf"},
        {"tc qdisc add dev lo root handle 8: htb default 1", "kind=htb"},
        {"tc class add dev lo parent 8: classid 8:1 htb rate 1mbit", "class dev=lo"},
        {"tc class change dev lo parent 8: classid 8:1 htb rate 2mbit", "class dev=lo"},
        {"tc filter add dev lo parent 8: protocol ip u32 match ip dport 1 0xffff flowid 8:1",
         "filter dev=lo parent=8:0 pref=49152 protocol=0x0800 handle=0x80000800 kind=u32"},
        {"tc qdisc add dev eth0 clsact", "kind=clsact"},
        {"tc filter add dev eth0 egress pref 7 handle 3 bpf bytecode '1,6 0 0 0' classid 1:1",
         "filter dev=eth0 parent=egress pref=7 protocol=all handle=0x3 kind=bpf"},
        {"tc filter change dev eth0 egress pref 7 handle 3 bpf bytecode '1,6 0 0 1' classid 1:1",
         "ops=[6,0,0,1]"},
        {"tc filter add dev eth0 ingress pref 9 bpf bytecode '1,6 0 0 0' action mirred egress "
         "redirect dev lo",
         "parms=(redirect-to=lo action=stolen)"},
        {"ip link set dev eth0 mtu 1300", "mtu=1300"},
        {"ip link set dev lo down", "name=lo"},
        {"nft add table inet theirs", "nft table inet name=theirs"},
        {"nft add set inet theirs s '{ type ipv4_addr; }'", "nft set inet table=theirs name=s"},
        {"nft add element inet theirs s '{ 10.0.0.7 }'", "key=(value=0x0a000007)"},
        {"nft add chain inet theirs c", "nft chain inet table=theirs name=c"},
        {"nft add rule inet theirs c tcp dport 80 limit rate 1/second drop", "[limit]"},
    };
    struct netkit t;
    struct err err = ERR_INIT;
    netkit_open(&t);
    netkit_build(t.sw, t.host, t.host_fd);
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        CLEANUP(snapshot_free_p) struct snapshot *before = NULL, *after = NULL, *same = NULL;
        struct snapshot_diff d;
        netkit_ok(snapshot_take(t.host_fd, &before, &err), &err);
        assert_int_equal(netkit_run(t.host_fd, changes[i].command, NULL), 0);
        netkit_ok(snapshot_take(t.host_fd, &after, &err), &err);
        netkit_ok(snapshot_take(t.host_fd, &same, &err), &err);
        snapshot_compare(before, after, &d);
        if (!has_line(d.added, d.n_added, changes[i].words))
            print_error("not seen: %s\n", changes[i].command);
        assert_true(has_line(d.added, d.n_added, changes[i].words));
        snapshot_diff_done(&d);
        snapshot_compare(after, same, &d);
        assert_int_equal(d.n_gone + d.n_added, 0);
        snapshot_diff_done(&d);
    }
    netkit_close(&t);
}

static void processes_of_a_namespace_are_found(void **state)
{
    struct err err = ERR_INIT;
    int fd = -1, pipe_fd[2];
    struct netns_id id, own;
    netkit_ok(netns_new(&fd, &err), &err);
    netkit_ok(netns_identity(fd, &id, &err), &err);
    int own_fd = -1;
    netkit_ok(netns_own(&own_fd, &err), &err);
    netkit_ok(netns_identity(own_fd, &own, &err), &err);
    assert_false(netns_same(id, own));
    close(own_fd);
    assert_int_equal(pipe2(pipe_fd, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char c;
        close(pipe_fd[0]);
        if (setns(fd, CLONE_NEWNET) < 0 || write(pipe_fd[1], "", 1) != 1)
            _exit(1);
        while (read(STDIN_FILENO, &c, 1) >= 0 || errno == EINTR)
            pause();
        _exit(0);
    }
    char c;
    assert_int_equal(read(pipe_fd[0], &c, 1), 1);
    struct snapshot_process *list = NULL;
    size_t n = 0, unseen = 0;
    netkit_ok(snapshot_processes(&id, 1, &list, &n, &unseen, &err), &err);
    assert_int_equal(n, 1);
    assert_int_equal(list[0].pid, pid);
    assert_true(list[0].start > 0);
    assert_string_equal(list[0].name, "test_kernel");
    free(list);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    netkit_ok(snapshot_processes(&id, 1, &list, &n, &unseen, &err), &err);
    assert_int_equal(n, 0);
    free(list);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
    close(fd);
}

static void trying_what_the_host_can_do_changes_nothing(void **state)
{
    CLEANUP(snapshot_free_p) struct snapshot *before = NULL, *after = NULL;
    CLEANUP(hostcaps_free_p) struct hostcaps *h = NULL;
    struct err err = ERR_INIT;
    struct snapshot_diff d;
    netkit_ok(snapshot_take(-1, &before, &err), &err);
    netkit_ok(hostcaps_probe(&h, &err), &err);
    netkit_ok(snapshot_take(-1, &after, &err), &err);
    snapshot_compare(before, after, &d);
    assert_int_equal(d.n_gone + d.n_added, 0);
    snapshot_diff_done(&d);
    static const char *const needed[] = {"network-namespaces",
                                         "mount-namespaces",
                                         "pid-namespaces",
                                         "bridge",
                                         "veth",
                                         "nft-bridge",
                                         "nft-inet",
                                         "raw-socket",
                                         "packet-socket",
                                         "pidfd",
                                         "clone3",
                                         "tmpfs",
                                         "devpts"};
    for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
        const struct hostcap *c = hostcaps_find(h, needed[i]);
        assert_non_null(c);
        if (!c->ok)
            print_error("%s: %s\n", c->name, c->detail);
        assert_true(c->ok);
    }
    for (size_t i = 0; i < h->n; i++) {
        assert_non_null(h->items[i].name);
        assert_true(h->items[i].detail[0] && h->items[i].consequence[0]);
    }
    assert_true(h->lab_possible);
    assert_null(hostcaps_find(h, "nonsense"));
}

int test_kernel_host(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_snapshot_sees_each_kind_of_change),
        cmocka_unit_test(processes_of_a_namespace_are_found),
        cmocka_unit_test(trying_what_the_host_can_do_changes_nothing),
    };
    return cmocka_run_group_tests_name("test_kernel_host", all, NULL, NULL);
}
