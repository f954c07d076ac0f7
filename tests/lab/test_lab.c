/* Labs on the real kernel, as root and without: hosts, networks, units, power buttons. */
#include "tests/support/labkit.h"

#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"

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
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char port_80[] = "80", port_99[] = "99";

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
    assert_non_null(kit_wait_line(&k, "b", "listening", NSEC_SEC));
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
    if (mount("overlay", "/etc", "overlay", 0, options) < 0)
        skip();
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
    kit_ok(lab_plan(k.s, recording, &err), &err);
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

/* --- Units ------------------------------------------------------------------------------------ */

static void a_daemon_is_found_by_its_unit_and_starts_again(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    struct lab_signalled hit;
    struct span at;
    kit_open(&k);
    struct host *b = kit_host(&k, "b", "10.0.0.2");
    kit_unit(&k, b, "web", "./server tcp 80 daemon title");
    kit_unit(&k, b, "other", "./server forever");
    kit_ready(&k, b)->tcp = port_80;
    kit_up(&k, true);
    struct lab_node *n = lab_node(k.lab, "b");
    json_t *all;
    kit_turn(&k, 50 * NSEC_MSEC); /* the title is written after listen(2) */
    kit_ok(lab_node_processes(n, NULL, &all, &err), &err);
    assert_int_equal(json_array_size(all), 2);
    size_t webs = 0;
    for (size_t i = 0; i < json_array_size(all); i++)
        webs += !strcmp(jsonx_str(json_array_get(all, i), "unit", ""), "web");
    assert_int_equal(webs, 1);
    json_decref(all);
    struct lab_match title = {.process = "titled: master process"};
    nsec before = loop_fresh(k.loop);
    kit_ok(lab_node_signal(n, &title, SIGKILL, NSEC_SEC, &hit, &err), &err);
    assert_int_equal(hit.n, 1);
    assert_int_equal(hit.confirmed, 1);
    assert_true(hit.at.lo >= before && hit.at.hi >= hit.at.lo && hit.at.hi <= loop_fresh(k.loop));
    assert_string_equal(jsonx_str(json_array_get(hit.pids, 0), "unit", ""), "web");
    json_decref(hit.pids);
    struct kit_event *e = kit_wait(&k, LAB_EXITED, "b", "web", NSEC_SEC);
    assert_non_null(e);
    assert_int_equal(e->signo, SIGKILL);
    kit_ok(lab_node_signal(n, &title, SIGKILL, NSEC_SEC, &hit, &err), &err);
    assert_int_equal(hit.n, 0);
    json_decref(hit.pids);
    assert_int_not_equal(kit_run(&k, "b", "./test_lab server get 127.0.0.1 80", NULL), 0);
    const char *const web[] = {"web", NULL};
    kit_ok(lab_node_start(n, web, &at, &err), &err);
    kit_ok(lab_node_start(n, NULL, &at, &err), &err); /* all run: nothing happens */
    assert_int_equal(kit_run(&k, "b",
                             "i=0; until ./test_lab server get 127.0.0.1 80; do "
                             "i=$((i+1)); test $i -lt 100 || exit 1; sleep 0.02; done",
                             NULL),
                     0);
    kit_turn(&k, 50 * NSEC_MSEC);
    kit_ok(lab_node_processes(n, NULL, &all, &err), &err);
    assert_int_equal(json_array_size(all), 2);
    json_decref(all);
    kit_close(&k);
}

static void a_kill_right_after_is_followed_by_a_start(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    struct lab_signalled hit;
    struct span at;
    json_t *all;
    kit_open(&k);
    kit_unit(&k, kit_host(&k, "b", "10.0.0.2"), "it", "./server forever");
    kit_up(&k, true);
    struct lab_node *n = lab_node(k.lab, "b");
    for (int i = 0; i < 20; i++) {
        kit_ok(lab_node_signal(n, &(struct lab_match){0}, SIGKILL, NSEC_SEC, &hit, &err), &err);
        assert_int_equal(hit.n, 1);
        json_decref(hit.pids);
        kit_ok(lab_node_start(n, NULL, &at, &err), &err);
        kit_ok(lab_node_processes(n, NULL, &all, &err), &err);
        assert_int_equal(json_array_size(all), 1);
        json_decref(all);
    }
    kit_turn(&k, 50 * NSEC_MSEC);
    assert_int_equal(kit_run(&k, "b", "! grep -q 'State:.Z' /proc/[0-9]*/status", NULL), 0);
    kit_close(&k);
}

static void a_stopped_process_is_seen_stopped(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    struct lab_signalled hit;
    json_t *all;
    kit_open(&k);
    kit_unit(&k, kit_host(&k, "b", "10.0.0.2"), "tree", "./server tree");
    kit_up(&k, true);
    assert_non_null(kit_wait_line(&k, "b", "tree stands", NSEC_SEC));
    kit_turn(&k, 50 * NSEC_MSEC); /* the last of them is forked */
    struct lab_node *n = lab_node(k.lab, "b");
    struct lab_match m = {.process = "test_lab"};
    kit_ok(lab_node_signal(n, &m, SIGSTOP, NSEC_SEC, &hit, &err), &err);
    assert_true(hit.n >= 2 && hit.confirmed == hit.n);
    json_decref(hit.pids);
    kit_ok(lab_node_processes(n, &m, &all, &err), &err);
    for (size_t i = 0; i < json_array_size(all); i++) {
        assert_string_equal(jsonx_str(json_array_get(all, i), "state", ""), "T");
        assert_string_equal(jsonx_str(json_array_get(all, i), "unit", ""), "tree");
    }
    struct lab_match one = {.pid = (pid_t)jsonx_int(json_array_get(all, 0), "pid", 0)};
    json_decref(all);
    kit_ok(lab_node_signal(n, &one, SIGCONT, NSEC_SEC, &hit, &err), &err);
    assert_int_equal(hit.n, 1);
    json_decref(hit.pids);
    kit_ok(lab_node_processes(n, &one, &all, &err), &err);
    assert_string_not_equal(jsonx_str(json_array_get(all, 0), "state", ""), "T");
    json_decref(all);
    kit_close(&k);
}

static void restart_always_restarts(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    struct lab_signalled hit;
    kit_open(&k);
    kit_unit(&k, kit_host(&k, "b", "10.0.0.2"), "tree", "./server tree")->restart = 1;
    kit_up(&k, true);
    assert_non_null(kit_wait_line(&k, "b", "tree stands", NSEC_SEC));
    k.lines_n = 0;
    kit_ok(lab_node_signal(lab_node(k.lab, "b"), &(struct lab_match){.pid = 3}, SIGKILL, NSEC_SEC,
                           &hit, &err),
           &err);
    assert_int_equal(hit.n, 1);
    json_decref(hit.pids);
    assert_non_null(kit_wait(&k, LAB_EXITED, "b", "tree", NSEC_SEC));
    assert_non_null(kit_wait_line(&k, "b", "tree stands", NSEC_SEC));
    kit_turn(&k, 50 * NSEC_MSEC); /* the last of them is forked */
    json_t *all;
    kit_ok(lab_node_processes(lab_node(k.lab, "b"), NULL, &all, &err), &err);
    assert_int_equal(json_array_size(all), 3); /* nothing of its first life */
    json_decref(all);
    kit_close(&k);
}

static void a_missing_program_is_named(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    kit_open(&k);
    kit_unit(&k, kit_host(&k, "b", "10.0.0.2"), "x", "no-such-server -x");
    kit_up(&k, false);
    assert_int_equal(lab_start(k.lab, &err), -ENOENT);
    assert_non_null(strstr(err.text, "no-such-server"));
    assert_non_null(strstr(err.text, "host b"));
    kit_close(&k);
}

static void a_host_that_dies_at_start_fails_with_its_last_lines(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    kit_open(&k);
    struct host *b = kit_host(&k, "b", "10.0.0.2");
    kit_unit(&k, b, "web", "./server die 7");
    kit_ready(&k, b)->tcp = port_80;
    kit_up(&k, false);
    kit_ok(lab_start(k.lab, &err), &err);
    struct kit_event *e = kit_wait(&k, LAB_FAILED, "b", "web", 5 * NSEC_SEC);
    assert_non_null(e);
    assert_int_equal(e->code, 7);
    assert_non_null(strstr(e->reason, "exited with code 7"));
    assert_non_null(strstr(e->reason, "dying"));
    assert_false(lab_node_is_ready(lab_node(k.lab, "b")));
    kit_close(&k);
}

static void a_host_not_ready_in_time_fails(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    kit_open(&k);
    struct host *b = kit_host(&k, "b", "10.0.0.2");
    kit_unit(&k, b, "web", "./server tcp 80");
    struct ready *r = kit_ready(&k, b);
    r->tcp = port_99;
    r->within = 300 * NSEC_MSEC;
    kit_up(&k, false);
    kit_ok(lab_start(k.lab, &err), &err);
    struct kit_event *e = kit_wait(&k, LAB_FAILED, "b", NULL, 5 * NSEC_SEC);
    assert_non_null(e);
    assert_non_null(strstr(e->reason, "not ready within 300 ms"));
    assert_non_null(strstr(e->reason, "TCP port 99"));
    assert_non_null(strstr(e->reason, "listening"));
    kit_close(&k);
}

static void ready_by_command_and_by_output(void **state)
{
    static struct kit k;
    static char command[] = "test -e there", unit[] = "web", match[] = "^list.*ing$";
    static char address[] = "10.0.0.3:80";
    kit_open(&k);
    struct host *a = kit_host(&k, "a", "10.0.0.1");
    kit_unit(&k, a, "later", "sh -c 'sleep 0.2; touch there'");
    kit_ready(&k, a)->command = command;
    struct host *b = kit_host(&k, "b", "10.0.0.2");
    kit_unit(&k, b, "web", "./server tcp 80 daemon");
    struct ready *r = kit_ready(&k, b);
    r->output = unit;
    r->match = match;
    struct host *c = kit_host(&k, "c", "10.0.0.3");
    kit_unit(&k, c, "web", "./server tcp 80");
    kit_ready(&k, c)->tcp = address;
    kit_up(&k, true);
    assert_true(lab_node_is_ready(lab_node(k.lab, "a")));
    kit_close(&k);
}

static void lines_are_stamped_kept_and_cut(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    kit_open(&k);
    kit_unit(&k, kit_host(&k, "a", "10.0.0.1"), "talk",
             "sh -c 'sleep 0.1; read u x </proc/uptime; echo one $u; echo two; printf %05000d 0; "
             "echo; printf end'");
    struct lab_handlers none = {0};
    char dir[256];
    snprintf(dir, sizeof dir, "%s/logs", getenv("BLACKSTART_TEST_MOUNT"));
    kit_ok(file_make_dirs(AT_FDCWD, dir, 0755, &err), &err);
    AUTO_CLOSE int logs = open(dir, O_RDONLY | O_DIRECTORY);
    snprintf(dir, sizeof dir, "%s/talk", getenv("BLACKSTART_TEST_MOUNT"));
    kit_ok(lab_new(k.s, k.loop, dir, AT_FDCWD, logs, &none, &k.lab, &err), &err);
    kit_ok(lab_start(k.lab, &err), &err);
    kit_turn(&k, 300 * NSEC_MSEC);
    AUTO_FREE char *tail = lab_node_tail(lab_node(k.lab, "a"), "talk", 3);
    assert_non_null(strstr(tail, "\n"));
    assert_non_null(strstr(tail, "0000"));
    lab_node_off(lab_node(k.lab, "a"), &(struct span){0, 0}, &err);
    kit_turn(&k, 10 * NSEC_MSEC);
    free(tail);
    tail = lab_node_tail(lab_node(k.lab, "a"), NULL, 1);
    assert_string_equal(tail, "end"); /* kept after the power button */
    char *text;
    size_t n;
    kit_ok(file_read(logs, "a-talk.log", 65536, &text, &n, &err), &err);
    assert_non_null(strstr(text, "\ntwo\n"));
    assert_int_equal(strncmp(text, "one ", 4), 0);
    free(text);
    kit_close(&k);
}

static void a_lines_interval_holds_its_writing(void **state)
{
    static struct kit k;
    kit_open(&k);
    kit_unit(&k, kit_host(&k, "a", "10.0.0.1"), "tick", "./server ticks 20 37");
    kit_up(&k, true);
    assert_non_null(kit_wait_line(&k, "a", "last", 5 * NSEC_SEC));
    size_t checked = 0;
    for (size_t i = 0; i < k.lines_n; i++) {
        long long before, after;
        if (sscanf(k.lines[i].text, "tick %lld", &before) != 1)
            continue;
        /* The next line says when the write(2) of this one had returned. */
        assert_int_equal(sscanf(k.lines[i + 1].text, "done %lld", &after), 1);
        assert_true(k.lines[i].at.lo <= after);
        assert_true(k.lines[i].at.hi >= before);
        assert_true(k.lines[i].at.hi - k.lines[i].at.lo < NSEC_SEC);
        checked++;
    }
    assert_int_equal(checked, 20);
    kit_close(&k);
}

/* --- Commands --------------------------------------------------------------------------------- */

struct ran {
    bool done;
    struct lab_run_result r;
    char output[256];
};

static void on_ran(const struct lab_run_result *r, void *data)
{
    struct ran *ran = data;
    ran->r = *r;
    snprintf(ran->output, sizeof ran->output, "%s", r->output);
    ran->done = true;
}

static void commands_end_by_themselves_or_by_time(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    struct ran ok = {0}, late = {0}, away = {0};
    json_t *all;
    kit_open(&k);
    kit_host(&k, "a", "10.0.0.1");
    kit_host(&k, "b", "10.0.0.2");
    kit_up(&k, true);
    struct lab_node *a = lab_node(k.lab, "a");
    nsec before = loop_fresh(k.loop);
    kit_ok(lab_node_run(a, "echo hi; sleep 0.1; exit 3", 5 * NSEC_SEC, on_ran, &ok, &err), &err);
    kit_ok(
        lab_node_run(a, "(setsid sleep 1000 &) ; sleep 1000", 200 * NSEC_MSEC, on_ran, &late, &err),
        &err);
    kit_ok(lab_node_run(lab_node(k.lab, "b"), "echo x; sleep 1000", 0, on_ran, &away, &err), &err);
    for (int i = 0; i < 100 && !(ok.done && late.done); i++)
        kit_turn(&k, 20 * NSEC_MSEC);
    assert_true(ok.done && late.done && !away.done);
    assert_int_equal(ok.r.code, 3);
    assert_string_equal(ok.output, "hi\n");
    assert_true(ok.r.start.lo >= before && ok.r.end.hi >= before + 100 * NSEC_MSEC);
    assert_true(ok.r.end.hi - ok.r.end.lo < NSEC_SEC);
    assert_true(late.r.timed_out);
    assert_int_equal(late.r.signo, SIGKILL);
    kit_ok(lab_node_processes(a, NULL, &all, &err), &err);
    assert_int_equal(json_array_size(all), 0); /* the child in a new session too */
    json_decref(all);
    struct span at;
    kit_ok(lab_node_off(lab_node(k.lab, "b"), &at, &err), &err);
    assert_false(away.done); /* told from the loop, not from inside the call */
    kit_turn(&k, 10 * NSEC_MSEC);
    assert_true(away.done);
    assert_int_equal(away.r.signo, SIGKILL);
    assert_int_equal(lab_node_run(lab_node(k.lab, "b"), "true", 0, on_ran, &away, &err),
                     -EHOSTDOWN);
    kit_close(&k);
}

static void a_command_may_leave_a_daemon(void **state)
{
    static struct kit k;
    kit_open(&k);
    kit_host(&k, "a", "10.0.0.1");
    kit_up(&k, true);
    assert_int_equal(kit_run(&k, "a", "./test_lab server tcp 80 daemon", NULL), 0);
    kit_turn(&k, 100 * NSEC_MSEC);
    assert_int_equal(kit_run(&k, "a", "./test_lab server get 127.0.0.1 80", NULL), 0);
    char *out;
    assert_int_equal(kit_run(&k, "a", "head -c 300000 /dev/zero", &out), 0); /* more than a pipe */
    free(out);
    kit_close(&k);
}

static void a_person_gets_in(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    kit_open(&k);
    kit_host(&k, "a", "10.0.0.1");
    kit_up(&k, true);
    char sh[] = "sh", c[] = "-c", test[] = "test $(hostname) = a -a $PWD = /run/a && exit 42";
    char *const argv[] = {sh, c, test, NULL};
    assert_int_equal(lab_node_shell(lab_node(k.lab, "a"), argv, &err), 42);
    char no[] = "no-such-program";
    char *const missing[] = {no, NULL};
    assert_true(lab_node_shell(lab_node(k.lab, "a"), missing, &err) < 0);
    assert_non_null(strstr(err.text, no));
    assert_int_equal(kit_outside_shell(&k, "a",
                                       "test $(hostname) = a -a $PWD = /run/a -a $(id -u) = 0 && "
                                       "grep -q eth0 /proc/net/dev && exit 43"),
                     43);
    kit_close(&k);
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
    assert_non_null(kit_wait_line(&k, "a", "connected", 5 * NSEC_SEC));
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
    assert_non_null(kit_wait(&k, LAB_READY, "b", NULL, 5 * NSEC_SEC));
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
    kit_turn(&k, 300 * NSEC_MSEC);
    farewells(wire, &frames);
    kit_ok(lab_node_signal(n, &(struct lab_match){0}, SIGKILL, NSEC_SEC, &hit, &err), &err);
    json_decref(hit.pids);
    kit_turn(&k, 100 * NSEC_MSEC);
    assert_true(farewells(wire, &frames) > 0);
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
    struct kit_event *e = kit_wait(&k, LAB_FAILED, "a", NULL, 5 * NSEC_SEC);
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
        if (unshare(CLONE_NEWUSER) < 0 || put("/proc/self/setgroups", "deny") < 0 ||
            put("/proc/self/uid_map", "1000 0 1") < 0 ||
            put("/proc/sys/user/max_user_namespaces", "0") < 0)
            _exit(77);
        int r = lab_prepare_process("/tmp", &rootless, &ids, &err);
        bool told = strstr(err.text, "sysctl -w user.max_user_namespaces=") != NULL;
        fprintf(stderr, "# %s\n", err.text);
        _exit(r == -ENOSPC && told && ids == 7 ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
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

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(hosts_reach_each_other),
        cmocka_unit_test(names_are_answered_from_inside_alone),
        cmocka_unit_test(files_of_names_may_be_links),
        cmocka_unit_test(other_uids_exist_where_they_can),
        cmocka_unit_test(secrets_reach_the_hosts_commands),
        cmocka_unit_test(routers_lead_to_other_networks),
        cmocka_unit_test(a_full_mesh_of_60_hosts_loses_nothing),
        cmocka_unit_test(two_labs_with_the_same_addresses_do_not_meet),
        cmocka_unit_test(a_plan_is_what_is_done),
        cmocka_unit_test(a_daemon_is_found_by_its_unit_and_starts_again),
        cmocka_unit_test(a_kill_right_after_is_followed_by_a_start),
        cmocka_unit_test(a_stopped_process_is_seen_stopped),
        cmocka_unit_test(restart_always_restarts),
        cmocka_unit_test(a_missing_program_is_named),
        cmocka_unit_test(a_host_that_dies_at_start_fails_with_its_last_lines),
        cmocka_unit_test(a_host_not_ready_in_time_fails),
        cmocka_unit_test(ready_by_command_and_by_output),
        cmocka_unit_test(lines_are_stamped_kept_and_cut),
        cmocka_unit_test(a_lines_interval_holds_its_writing),
        cmocka_unit_test(commands_end_by_themselves_or_by_time),
        cmocka_unit_test(a_command_may_leave_a_daemon),
        cmocka_unit_test(a_person_gets_in),
        cmocka_unit_test(power_off_is_silent_and_power_on_starts_again),
        cmocka_unit_test(an_init_that_dies_is_told),
        cmocka_unit_test(nothing_is_left_after_the_end),
        cmocka_unit_test(nothing_is_left_after_kill_9_of_the_runner),
        cmocka_unit_test(nothing_is_left_after_kill_9_while_building),
        cmocka_unit_test(a_host_that_forbids_user_namespaces_says_what_to_do),
        cmocka_unit_test(labs_leave_no_descriptor_open),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return kit_main(argc, argv, tests);
}
