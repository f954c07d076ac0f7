/* Clocks of hosts on the real kernel, those that count from the machine's start: a time namespace. */
#include "injectors/injector.h"
#include "injectors/params.h"
#include "sim/base/file.h"
#include "sim/kernel/faketime.h"
#include "tests/support/faultkit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DAY (86400 * NSEC_SEC)
#define CLOCKS                                                                                     \
    "python3 -c 'import time; print(int(time.monotonic()), "                                       \
    "int(time.clock_gettime(time.CLOCK_BOOTTIME)), int(float(open(\"/proc/uptime\").read()"        \
    ".split()[0])))'"
#define LIMIT "/proc/sys/user/max_time_namespaces"

/* What programs there read, in seconds: all their clocks agree. */
static long long uptime_of(struct kit *k, const char *host)
{
    AUTO_FREE char *out = NULL;
    long long mono = 0, boot = 0, proc = 0;
    assert_int_equal(kit_run(k, host, CLOCKS, &out), 0);
    assert_int_equal(sscanf(out, "%lld %lld %lld", &mono, &boot, &proc), 3);
    assert_in_range(boot - proc + 1, 0, 2);
    if (nsec_now(CLOCK_BOOTTIME) - nsec_now(CLOCK_MONOTONIC) < NSEC_SEC) /* it never slept */
        assert_in_range(boot - mono + 1, 0, 2);
    return boot;
}

static void assert_as_the_machine(struct kit *k, const char *host)
{
    long long now = nsec_now(CLOCK_BOOTTIME) / NSEC_SEC;
    assert_in_range(uptime_of(k, host) - now + 1, 0, 5);
}

static void assert_days(struct kit *k, const char *host, long long days)
{
    assert_in_range(uptime_of(k, host) - days * 86400, 0, 20);
}

static bool put(const char *path, const char *text)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) > 0;
}

static struct step *uptime_step(struct kit *k, const char *host, int64_t days)
{
    struct step *s = fault_step(k, "old", "clock");
    struct clock_params *p = s->params;
    p->host = fault_target(k, host);
    p->uptime = days * DAY;
    return s;
}

/* Its programs' clocks stand there, those of a shell too; what the agent stamps is the machine's time. */
static void a_host_has_been_up_for_so_long(void **state)
{
    static struct kit k;
    static char sh[] = "sh", c[] = "-c",
                is_old[] = "read -r up x </proc/uptime; test ${up%.*} -ge 2592000";
    char *const argv[] = {sh, c, is_old, NULL};
    struct err err = ERR_INIT;
    struct span at;
    kit_open(&k);
    struct host *a = kit_host(&k, "a", "10.0.0.1/24");
    a->lab->uptime = 30 * DAY;
    kit_unit(&k, a, "ends", "sh -c 'sleep 0.1; exit 3'");
    kit_host(&k, "b", "10.0.0.2/24");
    nsec before = nsec_now(CLOCK_MONOTONIC);
    kit_up(&k, false);
    kit_ok(lab_start(k.lab, &err), &err);
    struct lab_node *n = lab_node(k.lab, "a");
    const struct kit_event *e = kit_wait(&k, LAB_EXITED, "a", "ends", 20 * NSEC_SEC);
    assert_non_null(e);
    assert_true(e->at > before && e->at < nsec_now(CLOCK_MONOTONIC));
    assert_days(&k, "a", 30);
    assert_as_the_machine(&k, "b");
    assert_int_equal(lab_node_shell(n, argv, &err), 0);
    before = nsec_now(CLOCK_MONOTONIC);
    kit_ok(lab_node_start(n, NULL, &at, &err), &err);
    assert_true(at.lo >= before && at.hi <= nsec_now(CLOCK_MONOTONIC));
    assert_int_equal(lab_node_uptime_set(n, DAY, &err), -EBUSY);
    kit_ok(lab_node_off(n, &at, &err), &err);
    kit_ok(lab_node_on(n, &at, &err), &err);
    assert_days(&k, "a", 0);
    kit_close(&k);
}

/* SHOWS clock (uptime): lab: applied verified undone */
static void a_host_comes_back_with_another_uptime(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    struct span at;
    kit_open(&k);
    kit_host(&k, "a", "10.0.0.1/24");
    kit_host(&k, "b", "10.0.0.2/24")->lab->uptime = 2 * DAY;
    kit_up(&k, true);
    assert_as_the_machine(&k, "a");
    for (int i = 0; i < 2; i++) {
        const char *host = i ? "b" : "a";
        struct fault f;
        struct step *s = uptime_step(&k, host, 49);
        fault_begin(&k, s, &f);
        assert_days(&k, host, 49);
        fault_refused(&k, uptime_step(&k, host, 3), -EALREADY, "another uptime already");
        fault_holds(&k, &f);
        fault_end(&k, &f);
        fault_nothing_left(&k);
        if (i)
            assert_days(&k, host, 0);
        else
            assert_as_the_machine(&k, host);
    }
    /* Who loses its power meanwhile begins anew, and nothing is left to undo. */
    struct fault f;
    fault_begin(&k, uptime_step(&k, "a", 49), &f);
    kit_ok(lab_node_off(lab_node(k.lab, "a"), &at, &err), &err);
    kit_ok(lab_node_on(lab_node(k.lab, "a"), &at, &err), &err);
    pid_t pid = lab_node_pid(lab_node(k.lab, "a"));
    fault_holds(&k, &f);
    assert_days(&k, "a", 0);
    fault_end(&k, &f);
    assert_int_equal(lab_node_pid(lab_node(k.lab, "a")), pid);
    kit_close(&k);
}

/* Processes in that time namespace. */
static size_t living_in(ino_t ns)
{
    size_t n = 0;
    AUTO_CLOSEDIR DIR *d = opendir("/proc");
    for (struct dirent *e; (e = readdir(d));) {
        char path[300];
        struct stat st;
        snprintf(path, sizeof path, "/proc/%s/ns/time", e->d_name);
        n += e->d_name[0] >= '0' && e->d_name[0] <= '9' && stat(path, &st) == 0 && st.st_ino == ns;
    }
    return n;
}

/* SHOWS clock (uptime): lab: undone-after-kill */
static void nobody_is_left_in_it_after_kill_9_of_the_runner(void **state)
{
    static struct kit k;
    int fds[2];
    ino_t ns = 0;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t runner = fork();
    if (runner == 0) {
        AUTO_FREE char *out = NULL;
        struct fault f;
        kit_open(&k);
        kit_unit(&k, kit_host(&k, "a", "10.0.0.1/24"), "waits", "sleep 1000");
        kit_up(&k, true);
        fault_begin(&k, uptime_step(&k, "a", 49), &f);
        assert_int_equal(kit_run(&k, "a", "stat -L -c %i /proc/self/ns/time", &out), 0);
        ns = strtoull(out, NULL, 10);
        (void)!write(fds[1], &ns, sizeof ns);
        for (;;)
            pause();
    }
    close(fds[1]);
    assert_int_equal(read(fds[0], &ns, sizeof ns), sizeof ns);
    assert_true(living_in(ns) >= 1);
    kill(runner, SIGKILL);
    waitpid(runner, NULL, 0);
    size_t left = 1;
    for (int i = 0; left && i < 2500; i++) {
        usleep(2000);
        left = living_in(ns);
    }
    assert_int_equal(left, 0);
    close(fds[0]);
}

/* SHOWS clock (uptime): lab: refused */
static void without_time_namespaces_it_is_refused(void **state)
{
    static struct kit k;
    CLEANUP(hostcaps_free_p) struct hostcaps *here = NULL;
    struct err err = ERR_INIT;
    struct span at;
    kit_open(&k);
    kit_host(&k, "a", "10.0.0.1/24");
    kit_up(&k, true);
    struct hostcap lacks = {.name = "time-namespaces", .detail = (char *)(uintptr_t) "EINVAL"};
    struct hostcaps caps = {.items = &lacks, .n = 1};
    struct inject_env env = {.scenario = k.s, .caps = &caps};
    const struct step *s = uptime_step(&k, "a", 49);
    const struct injector *injector = s->action->impl;
    assert_int_equal(injector->supported(&env, s, &err), -EOPNOTSUPP);
    assert_non_null(strstr(err.text, "needs time-namespaces, which this host lacks: EINVAL"));
    lacks.ok = true;
    assert_int_equal(injector->supported(&env, s, &err), 0);
    kit_ok(hostcaps_probe(&here, &err), &err);
    env.caps = here;
    if (!kit_is_rootless()) /* where it works, it is not refused */
        kit_ok(injector->supported(&env, s, &err), &err);
    /* Of a user namespace of its own, it can be forbidden without hitting anybody else. */
    AUTO_FREE char *was = NULL;
    size_t len;
    struct lab_node *n = lab_node(k.lab, "a");
    if (kit_is_rootless() && file_read(AT_FDCWD, LIMIT, 100, &was, &len, &err) == 0 &&
        put(LIMIT, "0")) {
        kit_ok(lab_node_off(n, &at, &err), &err);
        kit_ok(lab_node_uptime_set(n, DAY, &err), &err);
        assert_int_equal(lab_node_on(n, &at, &err), -EOPNOTSUPP);
        assert_non_null(strstr(err.text, "sysctl user.max_time_namespaces"));
        assert_false(lab_node_is_up(n));
        kit_ok(lab_node_uptime_set(n, NSEC_UNSET, &err), &err);
        kit_ok(lab_node_on(n, &at, &err), &err);
        assert_true(put(LIMIT, was));
    }
    kit_close(&k);
}

/* --- The wall clock goes at a wrong rate --- */

static struct span wall_off(struct kit *k, const char *host)
{
    AUTO_FREE char *out = NULL;
    char *part;
    nsec before = nsec_now(CLOCK_REALTIME);
    assert_int_equal(kit_run(k, host, "date +%s.%N", &out), 0);
    nsec after = nsec_now(CLOCK_REALTIME);
    nsec there = strtoll(out, &part, 10) * NSEC_SEC + strtoll(part + 1, NULL, 10);
    return (struct span){there - after, there - before};
}

/* No program sees a jump, old or new, and all see the same.
 * SHOWS clock (rate): lab: applied verified undone refused */
static void the_wall_clock_goes_at_a_wrong_rate(void **state)
{
    static struct kit k;
    static char fast[] = "1.2", slow[] = "80%", ahead[] = "+1h";
    char library[PATH_MAX];
    if (!faketime_library(library))
        test_skip("libfaketime is not installed");
    kit_open(&k);
    struct host *a = kit_host(&k, "a", "10.0.0.1/24");
    a->clock = true;
    kit_host(&k, "b", "10.0.0.2/24");
    kit_unit(&k, a, "waits", "sleep 1000");
    kit_up(&k, true);
    for (int i = 0; i < 2; i++) {
        struct step *s = fault_step(&k, "drifts", "clock");
        struct clock_params *p = s->params;
        struct fault f;
        p->host = fault_target(&k, "a");
        p->rate = i ? slow : fast;
        p->offset = i ? ahead : NULL;
        nsec first = i ? 3600 * NSEC_SEC : 0, share = i ? -5 : 5, began = nsec_now(CLOCK_MONOTONIC);
        fault_begin(&k, s, &f);
        kit_turn(&k, 500 * NSEC_MSEC);
        struct span off = wall_off(&k, "a");
        nsec most = (nsec_now(CLOCK_MONOTONIC) - began) / share, least = 500 * NSEC_MSEC / share;
        assert_true(
            i ? off.hi - first >= most - 5 * NSEC_MSEC && off.lo - first <= least + 10 * NSEC_MSEC
              : off.lo - first <= most + 5 * NSEC_MSEC && off.hi - first >= least - 10 * NSEC_MSEC);
        off = wall_off(&k, "b");
        assert_true(off.lo <= 0 && off.hi >= 0);
        fault_holds(&k, &f);
        fault_refused(&k, s, -EALREADY, "wrong already");
        fault_end(&k, &f);
        kit_turn(&k, 50 * NSEC_MSEC);
        off = wall_off(&k, "a");
        assert_true(off.lo <= 0 && off.hi >= 0);
    }
    kit_close(&k);
}

/* `env -i` leaves a program without the library, as one that is linked statically never had it. */
static void who_sees_the_true_time_is_named(void **state)
{
    static struct kit k;
    static char offset[] = "+2h";
    char library[PATH_MAX];
    if (!faketime_library(library))
        test_skip("libfaketime is not installed");
    kit_open(&k);
    struct host *some = kit_host(&k, "a", "10.0.0.1/24"), *none = kit_host(&k, "b", "10.0.0.2/24");
    some->clock = none->clock = true;
    kit_unit(&k, some, "follows", "sleep 1000");
    kit_unit(&k, some, "alone", "env -i tail -f /dev/null");
    kit_unit(&k, none, "alone", "env -i tail -f /dev/null");
    kit_up(&k, true);
    for (int i = 0; i < 2; i++) {
        struct step *s = fault_step(&k, "late", "clock");
        struct clock_params *p = s->params;
        struct fault f;
        p->host = fault_target(&k, i ? "b" : "a");
        p->offset = offset;
        fault_try(&k, s, &f);
        assert_int_equal(f.proof.ok, i == 0); /* where nobody follows it did not bite */
        if (!strstr(f.proof.seen,
                    i ? "0 running follow, 1 do not (linked statically, or shielded): tail"
                      : "1 running follow, 1 do not (linked statically, or shielded): tail"))
            fail_msg("%s", f.proof.seen);
        fault_end(&k, &f);
    }
    kit_close(&k);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_host_has_been_up_for_so_long),
        cmocka_unit_test(a_host_comes_back_with_another_uptime),
        cmocka_unit_test(nobody_is_left_in_it_after_kill_9_of_the_runner),
        cmocka_unit_test(without_time_namespaces_it_is_refused),
        cmocka_unit_test(the_wall_clock_goes_at_a_wrong_rate),
        cmocka_unit_test(who_sees_the_true_time_is_named),
    };
    struct stat st;
    if (stat("/proc/self/ns/time", &st) < 0) {
        print_message("this kernel has no time namespaces\n");
        return getenv("BLACKSTART_TESTS_MUST_RUN") ? 1 : 77;
    }
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return kit_main(argc, argv, tests);
}
