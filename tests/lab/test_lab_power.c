/* Labs on the real kernel: the power button, and what is left after every kind of end. */
#include "tests/lab/test_lab.h"

#include "tests/support/labkit.h"

#include "sim/base/file.h"

#include "sim/kernel/netns.h"
#include "sim/loop/child.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char port_80[] = "80";

/* Processes outside that stand in another network namespace than ours: what a lab has left. */
static size_t strangers(const struct stat *known, size_t known_n)
{
    size_t n = 0;
    AUTO_CLOSEDIR DIR *d = opendir("/proc");
    for (struct dirent *e; (e = readdir(d));) {
        char path[300];
        struct stat st;
        snprintf(path, sizeof path, "/proc/%s/ns/net", e->d_name);
        if (e->d_name[0] < '0' || e->d_name[0] > '9' || stat(path, &st) < 0)
            continue;
        for (size_t i = 0; i < known_n; i++)
            n += st.st_ino == known[i].st_ino && st.st_dev == known[i].st_dev;
    }
    return n;
}

static void netns_stat(struct kit *k, const char *host, struct stat *ret)
{
    assert_int_equal(fstat(lab_node_netns(lab_node(k->lab, host)), ret), 0);
}

/* --- The power button ------------------------------------------------------------------------- */

/* What comes to host `to` by its cable. */
static int capture(struct kit *k, const char *to)
{
    struct err err = ERR_INIT;
    int fd;
    kit_ok(netns_socket(lab_node_netns(lab_node(k->lab, to)), AF_PACKET, SOCK_RAW | SOCK_NONBLOCK,
                        htons(ETH_P_ALL), &fd, &err),
           &err);
    return fd;
}

/* Of the frames that came from TCP port 80: how many carry FIN or RST; *ret_all: any frame. */
static int farewells(int fd, int *ret_all)
{
    uint8_t f[2048];
    struct sockaddr_ll from;
    socklen_t size = sizeof from;
    int n = 0;
    *ret_all = 0;
    for (ssize_t len; (len = recvfrom(fd, f, sizeof f, 0, (void *)&from, &size)) > 0;) {
        if (from.sll_pkttype == PACKET_OUTGOING || from.sll_ifindex == 1)
            continue;
        ++*ret_all;
        const uint8_t *tcp = f + 14 + (f[14] & 15) * 4;
        if (len >= 54 && f[12] == 8 && f[13] == 0 && f[23] == IPPROTO_TCP && tcp[0] == 0 &&
            tcp[1] == 80)
            n += (tcp[13] & 5) != 0; /* FIN 1, RST 4 */
    }
    return n;
}

static void power_off_is_silent_and_power_on_starts_again(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    struct span off, on;
    struct stat old;
    kit_open(&k);
    struct host *a = kit_host(&k, "a", "10.0.0.1"), *b = kit_host(&k, "b", "10.0.0.2");
    kit_unit(&k, b, "web", "./server tcp 80");
    kit_ready(&k, b)->tcp = port_80;
    kit_unit(&k, a, "hold", "sh -c 'sleep 0.3; exec ./test_lab server hold 10.0.0.2 80'");
    kit_up(&k, true);
    assert_non_null(kit_wait_line(&k, "a", "connected", 20 * NSEC_SEC));
    assert_int_equal(kit_run(&k, "b", "touch survives /tmp/vanishes /run/vanishes", NULL), 0);
    netns_stat(&k, "b", &old);
    struct lab_node *n = lab_node(k.lab, "b");
    AUTO_CLOSE int wire = capture(&k, "a");
    int frames;
    /* What the peer's kernel has seen on this connection before and after. */
    const char *segments = "cat /proc/net/snmp | grep Tcp: | tail -1 | cut -d' ' -f11";
    char *before, *after;
    kit_run(&k, "a", segments, &before);
    nsec start = loop_fresh(k.loop);
    kit_ok(lab_node_off(n, &off, &err), &err);
    assert_true(off.lo >= start && off.hi >= off.lo && off.hi <= loop_fresh(k.loop));
    assert_int_equal(farewells(wire, &frames), 0);
    assert_false(lab_node_is_up(n));
    assert_int_equal(lab_node_off(n, &off, &err), -EHOSTDOWN);
    assert_int_equal(strangers(&old, 1), 0);
    k.events_n = 0;
    kit_turn(&k, 500 * NSEC_MSEC);
    kit_run(&k, "a", segments, &after);
    assert_string_equal(before, after); /* no segment came in: no FIN, no RST */
    assert_int_equal(farewells(wire, &frames), 0);
    assert_int_equal(frames, 0); /* nothing at all */
    assert_null(kit_wait_line(&k, "a", "ended by", 0));
    assert_int_equal(kit_run(&k, "a", "grep -q '0050 01' /proc/net/tcp", NULL),
                     0); /* established */
    kit_ok(lab_node_on(n, &on, &err), &err);
    assert_non_null(kit_wait(&k, LAB_READY, "b", NULL, 20 * NSEC_SEC));
    assert_int_equal(kit_run(&k, "a", "./test_lab server get 10.0.0.2 80", NULL), 0);
    assert_int_equal(
        kit_run(&k, "b", "test -e survives -a ! -e /tmp/vanishes -a ! -e /run/vanishes", NULL), 0);
    free(before);
    free(after);
    /* The same capture does see the farewell of a process that is killed alone. */
    struct lab_signalled hit;
    kit_ok(lab_node_run(lab_node(k.lab, "a"), "./test_lab server hold 10.0.0.2 80", 5 * NSEC_SEC,
                        NULL, NULL, &err),
           &err);
    for (int i = 0; i < 200 && kit_run(&k, "b", "grep -q ':0050 .* 01 ' /proc/net/tcp6", NULL) != 0;
         i++)
        kit_turn(&k, 50 * NSEC_MSEC);
    farewells(wire, &frames);
    kit_ok(lab_node_signal(n, &(struct lab_match){0}, SIGKILL, NSEC_SEC, &hit, &err), &err);
    json_decref(hit.pids);
    int heard = 0;
    for (int i = 0; i < 200 && heard == 0; i++) {
        kit_turn(&k, 50 * NSEC_MSEC);
        heard = farewells(wire, &frames);
    }
    assert_true(heard > 0);
    kit_close(&k);
}

static void an_init_that_dies_is_told(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    struct span on;
    kit_open(&k);
    kit_unit(&k, kit_host(&k, "a", "10.0.0.1"), "it", "./server forever");
    kit_up(&k, true);
    kill(lab_node_pid(lab_node(k.lab, "a")), SIGKILL);
    struct kit_event *e = kit_wait(&k, LAB_FAILED, "a", NULL, 20 * NSEC_SEC);
    assert_non_null(e);
    assert_non_null(strstr(e->reason, "ended unexpectedly"));
    kit_ok(lab_node_on(lab_node(k.lab, "a"), &on, &err), &err);
    assert_int_equal(kit_run(&k, "a", "true", NULL), 0);
    kit_close(&k);
}

/* --- What is left ----------------------------------------------------------------------------- */

static void nothing_is_left_after_the_end(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    struct stat known[2];
    kit_open(&k);
    kit_unit(&k, kit_host(&k, "a", "10.0.0.1"), "web", "./server tcp 80 daemon title");
    kit_unit(&k, kit_host(&k, "b", "10.0.0.2"), "tree", "./server tree");
    kit_up(&k, true);
    netns_stat(&k, "a", &known[0]);
    netns_stat(&k, "b", &known[1]);
    assert_true(strangers(known, 2) >= 4);
    json_t *ids = lab_ids(k.lab), *left;
    const char *all[3];
    assert_int_equal(json_array_size(ids), 3); /* the switch and two hosts */
    for (size_t i = 0; i < 3; i++)
        all[i] = json_string_value(json_array_get(ids, i));
    kit_ok(lab_leftovers(all, 3, &left, &err), &err);
    assert_true(json_array_size(left) >= 4);
    json_decref(left);
    /* A namespace of others that took the number of one of ours has another cookie. */
    char forged[3][96];
    const char *others[3];
    for (size_t i = 0; i < 3; i++) {
        snprintf(forged[i], sizeof forged[i], "%.*s:%llu", (int)(strrchr(all[i], ':') - all[i]),
                 all[i], strtoull(strrchr(all[i], ':') + 1, NULL, 10) + 1000000);
        others[i] = forged[i];
    }
    if (strtoull(strrchr(all[0], ':') + 1, NULL, 10)) { /* this kernel knows cookies */
        kit_ok(lab_leftovers(others, 3, &left, &err), &err);
        assert_int_equal(json_array_size(left), 0);
        json_decref(left);
    }
    k.lab = lab_free(k.lab);
    assert_int_equal(strangers(known, 2), 0);
    kit_ok(lab_leftovers(all, 3, &left, &err), &err);
    assert_int_equal(json_array_size(left), 0);
    json_decref(left);
    json_decref(ids);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), 0); /* no zombie; the outsider lives */
    kit_close(&k);
}

/* A runner of its own, killed without a chance to clean up. */
static void nothing_is_left_after_kill_9_of_the_runner(void **state)
{
    static struct kit k;
    struct stat known[2];
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t runner = fork();
    if (runner == 0) {
        kit_open(&k);
        kit_unit(&k, kit_host(&k, "a", "10.0.0.1"), "web", "./server tcp 80 daemon title");
        kit_unit(&k, kit_host(&k, "b", "10.0.0.2"), "tree", "./server tree");
        kit_up(&k, true);
        kit_turn(&k, 100 * NSEC_MSEC);
        netns_stat(&k, "a", &known[0]);
        netns_stat(&k, "b", &known[1]);
        (void)!write(fds[1], known, sizeof known);
        for (;;)
            pause();
    }
    assert_int_equal(read(fds[0], known, sizeof known), sizeof known);
    assert_true(strangers(known, 2) >= 4);
    kill(runner, SIGKILL);
    waitpid(runner, NULL, 0);
    size_t left = 1;
    for (int i = 0; left && i < 2500; i++) {
        usleep(2000);
        left = strangers(known, 2);
    }
    assert_int_equal(left, 0);
    close(fds[0]);
    close(fds[1]);
}

/* Processes that run this test program, hosts' inits and supervisors among them. */
static size_t processes_of_ours(void)
{
    struct stat own, st;
    size_t n = 0;
    AUTO_CLOSEDIR DIR *d = opendir("/proc");
    assert_int_equal(stat("/proc/self/exe", &own), 0);
    for (struct dirent *e; (e = readdir(d));) {
        char path[300];
        snprintf(path, sizeof path, "/proc/%s/exe", e->d_name);
        n += e->d_name[0] >= '0' && e->d_name[0] <= '9' && stat(path, &st) == 0 &&
             st.st_ino == own.st_ino && st.st_dev == own.st_dev;
    }
    return n;
}

static void nothing_is_left_after_kill_9_while_building(void **state)
{
    static struct kit k;
    size_t before = processes_of_ours();
    for (int i = 0; i < 25; i++) {
        pid_t runner = fork();
        if (runner == 0) {
            kit_open(&k);
            for (int h = 0; h < 8; h++) {
                char name[16], address[32];
                snprintf(name, sizeof name, "h%d", h);
                snprintf(address, sizeof address, "10.0.0.%d", h + 1);
                kit_unit(&k, kit_host(&k, name, address), "tree", "./server tree");
            }
            kit_up(&k, true);
            for (;;)
                pause();
        }
        usleep((useconds_t)i * 1500); /* from before the first host to after the last unit */
        kill(runner, SIGKILL);
        int status = 0;
        assert_int_equal(waitpid(runner, &status, 0), runner);
        assert_true(WIFSIGNALED(status)); /* it did not fail by itself before */
        char dir[PATH_MAX];
        snprintf(dir, sizeof dir, "%s/lab-%d-%p", getenv("BLACKSTART_TEST_MOUNT"), (int)runner,
                 (void *)&k);
        const char *remove[] = {"rm", "-rf", dir, NULL};
        child_run(remove, NULL, 5 * NSEC_SEC, &status, NULL, NULL);
    }
    size_t left = before + 1;
    for (int i = 0; left > before && i < 2500; i++) {
        usleep(2000);
        left = processes_of_ours();
    }
    assert_true(left <= before);
}

static int put(const char *path, const char *text)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* A user namespace inside which no further one is allowed, and we are not root there. */
static void a_host_that_forbids_user_namespaces_says_what_to_do(void **state)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = ERR_INIT;
        bool rootless;
        unsigned ids = 7;
        if (unshare(CLONE_NEWUSER) < 0)
            _exit(errno == EINVAL || errno == ENOSYS ? 76 : 77); /* not in this kernel */
        if (put("/proc/self/setgroups", "deny") < 0 || put("/proc/self/uid_map", "1000 0 1") < 0 ||
            put("/proc/sys/user/max_user_namespaces", "0") < 0)
            _exit(77);
        int r = lab_prepare_process("/tmp", &rootless, &ids, &err);
        bool told = strstr(err.text, "sysctl -w user.max_user_namespaces=") != NULL;
        fprintf(stderr, "# %s\n", err.text);
        _exit(r == -ENOSPC && told && ids == 7 ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 76)
        test_lacks("this kernel has no user namespaces");
    if (WEXITSTATUS(status) == 77)
        test_skip("no user namespace can be made here, or its limit cannot be set");
    assert_int_equal(WEXITSTATUS(status), 0);
}

static size_t open_descriptors(void)
{
    size_t n = 0;
    AUTO_CLOSEDIR DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        n++;
    return n;
}

static void labs_leave_no_descriptor_open(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    struct span at;
    size_t before = open_descriptors();
    for (int i = 0; i < 3; i++) {
        kit_open(&k);
        kit_unit(&k, kit_host(&k, "a", "10.0.0.1"), "web", "./server tcp 80");
        kit_host(&k, "b", "10.0.0.2");
        kit_up(&k, true);
        kit_run(&k, "b", "true", NULL);
        kit_ok(lab_node_off(lab_node(k.lab, "a"), &at, &err), &err);
        kit_ok(lab_node_on(lab_node(k.lab, "a"), &at, &err), &err);
        kit_close(&k);
    }
    assert_int_equal(open_descriptors(), before);
}

int test_lab_power(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(power_off_is_silent_and_power_on_starts_again),
        cmocka_unit_test(an_init_that_dies_is_told),
        cmocka_unit_test(nothing_is_left_after_the_end),
        cmocka_unit_test(nothing_is_left_after_kill_9_of_the_runner),
        cmocka_unit_test(nothing_is_left_after_kill_9_while_building),
        cmocka_unit_test(a_host_that_forbids_user_namespaces_says_what_to_do),
        cmocka_unit_test(labs_leave_no_descriptor_open),
    };
    return cmocka_run_group_tests_name("test_lab_power", all, NULL, NULL);
}
