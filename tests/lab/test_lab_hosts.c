/* Labs on the real kernel: hosts, their networks, names, files and devices. */
#include "tests/lab/test_lab.h"

#include "tests/support/labkit.h"

#include "sim/base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

static char port_80[] = "80";

/* --- Hosts and networks ----------------------------------------------------------------------- */

static void hosts_reach_each_other(void **state)
{
    static struct kit k;
    char *out;
    kit_open(&k);
    kit_host(&k, "a", "10.0.0.1");
    struct host *b = kit_host(&k, "b", "10.0.0.2/24 fd00::2/64");
    kit_unit(&k, b, "web", "./server tcp 80");
    kit_ready(&k, b)->tcp = port_80;
    kit_up(&k, true);
    assert_int_equal(kit_run(&k, "a", "./test_lab server get 10.0.0.2 80", &out), 0);
    assert_string_equal(out, "ok\n");
    free(out);
    assert_int_equal(kit_run(&k, "a", "getent ahostsv4 b && hostname", &out), 0);
    assert_non_null(strstr(out, "10.0.0.2"));
    assert_non_null(strstr(out, "\na\n"));
    free(out);
    assert_non_null(kit_wait_line(&k, "b", "listening", 20 * NSEC_SEC));
    assert_string_equal(lab_node_port(lab_node(k.lab, "a"), NULL), "a");
    assert_string_equal(lab_node_port(lab_node(k.lab, "a"), "lan"), "a");
    assert_null(lab_node_port(lab_node(k.lab, "a"), "other"));
    kit_close(&k);
}

static void names_are_answered_from_inside_alone(void **state)
{
    static struct kit k;
    kit_open(&k);
    kit_host(&k, "a", "10.0.0.1");
    kit_up(&k, true);
    nsec before = loop_fresh(k.loop);
    assert_int_not_equal(kit_run(&k, "a", "getent hosts www.example.org", NULL), 0);
    assert_true(loop_fresh(k.loop) - before < NSEC_SEC); /* no time-out of a resolver */
    assert_int_equal(kit_run(&k, "a", "getent hosts a localhost >/dev/null", NULL), 0);
    assert_int_equal(kit_run(&k, "a", "test \"$(ls /sys/class/net | tr -d '\\n')\" = eth0lo", NULL),
                     0);
    assert_int_equal(
        kit_run(&k, "a", "test -z \"$http_proxy$HTTP_PROXY\" && test \"$PWD\" = /run/a", NULL), 0);
    kit_close(&k);
}

/* systemd-resolved's link into /run, and a link elsewhere: on a copy of /etc that is ours alone. */
static void files_of_names_may_be_links(void **state)
{
    static struct kit k;
    char up[256], work[256], options[600], *out;
    if (kit_is_rootless())
        return; /* the run as root proves it: changing a copy of /etc takes root */
    const char *top = getenv("BLACKSTART_TEST_MOUNT");
    snprintf(up, sizeof up, "%s/etc-up", top);
    snprintf(work, sizeof work, "%s/etc-work", top);
    snprintf(options, sizeof options, "lowerdir=/etc,upperdir=%s,workdir=%s", up, work);
    assert_int_equal(mkdir(up, 0755) | mkdir(work, 0755), 0);
    if (mount("overlay", "/etc", "overlay", 0, options) < 0) {
        if (errno == ENODEV) /* no overlayfs in this kernel */
            test_lacks("this kernel has no overlayfs");
        test_skip(strerror(errno));
    }
    unlink("/etc/resolv.conf");
    unlink("/etc/hosts");
    unlink("/etc/nsswitch.conf");
    assert_int_equal(symlink("../run/systemd/resolve/stub-resolv.conf", "/etc/resolv.conf"), 0);
    assert_int_equal(symlink("hosts.real", "/etc/hosts"), 0);
    close(open("/etc/hosts.real", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    kit_open(&k);
    kit_host(&k, "a", "10.0.0.1");
    kit_up(&k, true);
    assert_int_equal(kit_run(&k, "a", "cat /etc/resolv.conf; getent ahostsv4 a", &out), 0);
    assert_non_null(strstr(out, "No name server"));
    assert_non_null(strstr(out, "10.0.0.1"));
    free(out);
    struct stat st;
    assert_int_equal(stat("/etc/hosts.real", &st), 0);
    assert_int_equal(st.st_size, 0); /* the machine's file is as it was */
    kit_close(&k);
    assert_int_equal(umount2("/etc", MNT_DETACH), 0);
}

static void other_uids_exist_where_they_can(void **state)
{
    static struct kit k;
    kit_open(&k);
    kit_host(&k, "a", "10.0.0.1");
    kit_up(&k, true);
    int code = kit_run(&k, "a", "touch f && chown 33:33 f && test $(stat -c %u f) = 33", NULL);
    assert_int_equal(code == 0, kit_has_ids());
    kit_close(&k);
}

static void secrets_reach_the_hosts_commands(void **state)
{
    static struct kit k;
    static struct pair env[2];
    static char token[] = "TOKEN", secret[] = "BLACKSTART_TEST_TOKEN", word[] = "WORD", w[] = "w";
    assert_int_equal(setenv(secret, "s3cret", 1), 0);
    env[0] = (struct pair){.key = token, .value = secret, .source = PAIR_ENV};
    env[1] = (struct pair){.key = word, .value = w};
    kit_open(&k);
    kit_host(&k, "a", "10.0.0.1")->env = (struct pairs){.items = env, .n = 2};
    kit_up(&k, true);
    assert_int_equal(kit_run(&k, "a", "test \"$TOKEN $WORD\" = \"s3cret w\"", NULL), 0);
    assert_int_equal(kit_run(&k, "a", "test -z \"$BLACKSTART_TEST_TOKEN\"", NULL), 0);
    kit_close(&k);
    unsetenv(secret);
}

static void routers_lead_to_other_networks(void **state)
{
    static struct kit k;
    char *out;
    kit_open(&k);
    kit_network(&k, "front", "10.20.0.0/24", "fd00:20::/64", "gw");
    kit_network(&k, "back", "10.30.0.0/24", "fd00:30::/64", "gw")->mtu = 1400;
    kit_host(&k, "client", "10.20.0.9 fd00:20::9");
    kit_host(&k, "gw", "10.20.0.1 fd00:20::1 10.30.0.1 fd00:30::1");
    struct host *db = kit_host(&k, "db", "10.30.0.7 fd00:30::7");
    kit_unit(&k, db, "db", "./server tcp 80");
    kit_ready(&k, db)->tcp = port_80;
    kit_up(&k, true);
    assert_int_equal(kit_run(&k, "client", "./test_lab server get 10.30.0.7 80", &out), 0);
    assert_string_equal(out, "ok\n");
    free(out);
    assert_int_equal(kit_run(&k, "client", "./test_lab server get fd00:30::7 80", &out), 0);
    assert_string_equal(out, "ok\n");
    free(out);
    assert_int_equal(kit_run(&k, "db", "cat /sys/class/net/eth0/mtu", &out), 0);
    assert_string_equal(out, "1400\n");
    free(out);
    assert_int_equal(lab_node_ports(lab_node(k.lab, "gw")), 2);
    assert_string_equal(lab_node_port(lab_node(k.lab, "gw"), "back"), "gw.back");
    assert_int_equal(kit_run(&k, "client", "cat /proc/sys/net/ipv4/ip_forward", &out), 0);
    assert_string_equal(out, "0\n");
    free(out);
    kit_close(&k);
}

#define MESH 60

static void a_full_mesh_of_60_hosts_loses_nothing(void **state)
{
    static struct kit k;
    kit_open(&k);
    AUTO_BUF command = BUF_INIT;
    for (int i = 0; i < MESH; i++) {
        char name[16], address[32];
        snprintf(name, sizeof name, "h%d", i);
        snprintf(address, sizeof address, "10.9.0.%d", i + 1);
        struct host *h = kit_host(&k, name, address);
        buf_clear(&command);
        buf_printf(&command, "./server mesh 7000 %d", MESH - 1);
        for (int j = 0; j < MESH; j++)
            if (j != i)
                buf_printf(&command, " 10.9.0.%d", j + 1);
        kit_unit(&k, h, "mesh", command.text);
    }
    kit_up(&k, true);
    for (int i = 0; i < MESH; i++) {
        char name[16];
        snprintf(name, sizeof name, "h%d", i);
        assert_non_null(kit_wait_line(&k, name, "bound", 10 * NSEC_SEC));
    }
    for (int i = 0; i < MESH; i++) {
        char name[16];
        snprintf(name, sizeof name, "h%d", i);
        assert_int_equal(kit_run(&k, name, "./test_lab server say 127.0.0.1 7000 g", NULL), 0);
    }
    for (int i = 0; i < MESH; i++) {
        char name[16];
        snprintf(name, sizeof name, "h%d", i);
        assert_non_null(kit_wait_line(&k, name, "got 59", 10 * NSEC_SEC));
    }
    kit_close(&k);
}

static void two_labs_with_the_same_addresses_do_not_meet(void **state)
{
    static struct kit k[2];
    char *out;
    for (int i = 0; i < 2; i++) {
        kit_open(&k[i]);
        kit_host(&k[i], "a", "10.0.0.1");
        struct host *b = kit_host(&k[i], "b", "10.0.0.2");
        kit_unit(&k[i], b, "web", i ? "./server forever" : "./server tcp 80");
        if (!i)
            kit_ready(&k[i], b)->tcp = port_80;
        kit_up(&k[i], true);
    }
    assert_int_equal(kit_run(&k[0], "a", "./test_lab server get 10.0.0.2 80", NULL), 0);
    assert_int_equal(kit_run(&k[1], "a", "./test_lab server get 10.0.0.2 80", &out), 1);
    assert_string_equal(out, "connect: Connection refused\n");
    free(out);
    kit_close(&k[0]);
    assert_int_equal(kit_run(&k[1], "b", "true", NULL), 0);
    kit_close(&k[1]);
}

static void collect(const struct nl_seen *s, void *data)
{
    buf_printf(data, "%s: %s\n", s->where, s->text);
}

static void a_plan_is_what_is_done(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    AUTO_BUF done = BUF_INIT, planned = BUF_INIT;
    char dir[256];
    struct nl *recording;
    kit_open(&k);
    kit_network(&k, "front", "10.20.0.0/24", "fd00:20::/64", "gw");
    kit_network(&k, "back", "10.30.0.0/24", NULL, "gw");
    kit_host(&k, "client", "10.20.0.9 fd00:20::9");
    kit_host(&k, "gw", "10.20.0.1 fd00:20::1 10.30.0.1");
    kit_host(&k, "db", "10.30.0.7");
    struct lab_handlers h = {.change = collect, .data = &done};
    snprintf(dir, sizeof dir, "%s/plan", getenv("BLACKSTART_TEST_MOUNT"));
    kit_ok(lab_new(k.s, k.loop, dir, AT_FDCWD, -1, &h, &k.lab, &err), &err);
    kit_ok(nl_open_recording("plan", &recording, &err), &err);
    kit_ok(lab_plan(k.s, NULL, recording, &err), &err);
    for (size_t i = 0; i < nl_recorded(recording); i++) {
        struct nl_seen s = nl_recorded_at(recording, i);
        collect(&s, &planned);
    }
    assert_string_equal(buf_text(&done), buf_text(&planned));
    assert_non_null(strstr(planned.text, "switch: "));
    assert_non_null(strstr(planned.text, "host db: "));
    nl_free(recording);
    kit_close(&k);
}

/* --- Devices and room --------------------------------------------------------------------------- */

static void a_host_sees_no_hardware(void **state)
{
    static struct kit k;
    char *out;
    kit_open(&k);
    kit_host(&k, "a", "10.0.0.1");
    kit_host(&k, "b", "10.0.0.2");
    kit_up(&k, true);
    kit_run(&k, "a", "ls /dev | grep -v '^net$' | tr '\\n' ' '", &out);
    assert_string_equal(out,
                        "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero ");
    free(out);
    assert_int_equal(kit_run(&k, "a",
                             "test -z \"$(find /dev -type b)\" && "
                             "test -z \"$(ls /dev/net | grep -vx tun)\"",
                             NULL),
                     0);
    assert_int_equal(kit_run(&k, "a",
                             "echo x >/dev/null && ! echo x 2>/dev/null >/dev/full && "
                             "test $(head -c 9 /dev/zero | wc -c) = 9 && "
                             "test $(head -c 9 /dev/urandom | wc -c) = 9 && "
                             "test $(echo one | cat /dev/stdin) = one && "
                             "test $(echo two | cat /dev/fd/0) = two && "
                             "touch /dev/shm/mine /dev/log",
                             NULL),
                     0);
    assert_int_equal(kit_run(&k, "b", "test ! -e /dev/shm/mine -a ! -e /dev/log", NULL), 0);
    assert_int_not_equal(kit_run(&k, "a", "mknod /dev/mem c 1 1 2>/dev/null", NULL), 0);
    kit_close(&k);
}

static void terminals_are_the_hosts_own(void **state)
{
    static struct kit k;
    char *out;
    kit_open(&k);
    kit_host(&k, "a", "10.0.0.1");
    kit_host(&k, "b", "10.0.0.2");
    kit_up(&k, true);
    assert_int_equal(kit_run(&k, "a", "exec 3<>/dev/ptmx && ls /dev/pts | tr '\\n' ' '", &out), 0);
    assert_string_equal(out, "0 ptmx "); /* the first: none of the machine's is seen */
    free(out);
    assert_int_equal(kit_run(&k, "b", "test \"$(ls /dev/pts)\" = ptmx", NULL), 0);
    kit_close(&k);
}

/* In kB. */
static long long memory(void)
{
    long long kb = 0;
    AUTO_FCLOSE FILE *f = fopen("/proc/meminfo", "re");
    assert_int_equal(fscanf(f, "MemTotal: %lld", &kb), 1);
    return kb;
}

static void what_a_host_writes_to_memory_is_limited(void **state)
{
    static struct kit k;
    char *out;
    long long size, files;
    kit_open(&k);
    kit_host(&k, "a", "10.0.0.1");
    kit_up(&k, true);
    static const char *const paths[] = {"/run",     "/tmp",     "/var/tmp",   "/dev/shm",
                                        "/var/log", "/var/lib", "/var/cache", "/var/spool"};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        char command[128];
        snprintf(command, sizeof command, "stat -fc '%%S %%b %%c' %s", paths[i]);
        long long block, blocks;
        assert_int_equal(kit_run(&k, "a", command, &out), 0);
        assert_int_equal(sscanf(out, "%lld %lld %lld", &block, &blocks, &files), 3);
        size = block * blocks / 1024;
        free(out);
        assert_true(size > memory() / 11 && size <= memory() / 10 + 4);
        assert_true(files <= 100000);
    }
    assert_int_equal(kit_run(&k, "a", "dd if=/dev/zero of=/dev/x bs=1M count=2 2>/dev/null", NULL),
                     1);
    kit_close(&k);
}

int test_lab_hosts(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(hosts_reach_each_other),
        cmocka_unit_test(names_are_answered_from_inside_alone),
        cmocka_unit_test(files_of_names_may_be_links),
        cmocka_unit_test(other_uids_exist_where_they_can),
        cmocka_unit_test(a_host_sees_no_hardware),
        cmocka_unit_test(terminals_are_the_hosts_own),
        cmocka_unit_test(what_a_host_writes_to_memory_is_limited),
        cmocka_unit_test(secrets_reach_the_hosts_commands),
        cmocka_unit_test(routers_lead_to_other_networks),
        cmocka_unit_test(a_full_mesh_of_60_hosts_loses_nothing),
        cmocka_unit_test(two_labs_with_the_same_addresses_do_not_meet),
        cmocka_unit_test(a_plan_is_what_is_done),
    };
    return cmocka_run_group_tests_name("test_lab_hosts", all, NULL, NULL);
}
