/* Labs on the real kernel: units, readiness, output, commands, shells. */
#include "tests/lab/test_lab.h"

#include "tests/support/labkit.h"

#include "sim/base/file.h"
#include "sim/base/jsonx.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

static char port_80[] = "80", port_99[] = "99";

/* --- Units ------------------------------------------------------------------------------------ */

/* Until so many processes of units run there: some are forked a moment later, or end. */
static void await_processes(struct kit *k, struct lab_node *n, size_t want)
{
    struct err err = ERR_INIT;
    size_t have = SIZE_MAX;
    for (int i = 0; i < 1000 && have != want; i++) {
        json_t *all;
        kit_turn(k, 20 * NSEC_MSEC);
        kit_ok(lab_node_processes(n, NULL, &all, &err), &err);
        have = json_array_size(all);
        json_decref(all);
    }
    assert_int_equal(have, want);
}

static void await_command(struct kit *k, const char *host, const char *command)
{
    for (int i = 0; kit_run(k, host, command, NULL) != 0; i++) {
        if (i == 400)
            fail_msg("%s: never: %s", host, command);
        kit_turn(k, 20 * NSEC_MSEC);
    }
}

static void await_done(struct kit *k, const bool *done)
{
    for (int i = 0; i < 1000 && !*done; i++)
        kit_turn(k, 20 * NSEC_MSEC);
    assert_true(*done);
}

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
    await_command(&k, "b", "pgrep -f '^titled: master'"); /* it is written after listen(2) */
    await_processes(&k, n, 2);
    kit_ok(lab_node_processes(n, NULL, &all, &err), &err);
    assert_int_equal(json_array_size(all), 2);
    size_t webs = 0;
    for (size_t i = 0; i < json_array_size(all); i++)
        webs += !strcmp(jsonx_str(json_array_get(all, i), "unit", ""), "web");
    assert_int_equal(webs, 1);
    json_decref(all);
    struct lab_match title = {.process = "titled: master process"};
    nsec before = loop_fresh(k.loop);
    kit_ok(lab_node_signal(n, &title, SIGKILL, 20 * NSEC_SEC, &hit, &err), &err);
    assert_int_equal(hit.n, 1);
    assert_int_equal(hit.confirmed, 1);
    assert_true(hit.at.lo >= before && hit.at.hi >= hit.at.lo && hit.at.hi <= loop_fresh(k.loop));
    assert_string_equal(jsonx_str(json_array_get(hit.pids, 0), "unit", ""), "web");
    json_decref(hit.pids);
    struct kit_event *e = kit_wait(&k, LAB_EXITED, "b", "web", 20 * NSEC_SEC);
    assert_non_null(e);
    assert_int_equal(e->signo, SIGKILL);
    kit_ok(lab_node_signal(n, &title, SIGKILL, 20 * NSEC_SEC, &hit, &err), &err);
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
    await_processes(&k, n, 2);
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
        kit_ok(lab_node_signal(n, &(struct lab_match){0}, SIGKILL, 20 * NSEC_SEC, &hit, &err),
               &err);
        assert_int_equal(hit.n, 1);
        json_decref(hit.pids);
        kit_ok(lab_node_start(n, NULL, &at, &err), &err);
        kit_ok(lab_node_processes(n, NULL, &all, &err), &err);
        assert_int_equal(json_array_size(all), 1);
        json_decref(all);
    }
    await_command(&k, "b", "! grep -q 'State:.Z' /proc/[0-9]*/status");
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
    assert_non_null(kit_wait_line(&k, "b", "tree stands", 20 * NSEC_SEC));
    struct lab_node *n = lab_node(k.lab, "b");
    await_processes(&k, n, 3);
    struct lab_match m = {.process = "test_lab"};
    kit_ok(lab_node_signal(n, &m, SIGSTOP, 20 * NSEC_SEC, &hit, &err), &err);
    assert_true(hit.n >= 2 && hit.confirmed == hit.n);
    json_decref(hit.pids);
    kit_ok(lab_node_processes(n, &m, &all, &err), &err);
    for (size_t i = 0; i < json_array_size(all); i++) {
        assert_string_equal(jsonx_str(json_array_get(all, i), "state", ""), "T");
        assert_string_equal(jsonx_str(json_array_get(all, i), "unit", ""), "tree");
    }
    struct lab_match one = {.pid = (pid_t)jsonx_int(json_array_get(all, 0), "pid", 0)};
    json_decref(all);
    kit_ok(lab_node_signal(n, &one, SIGCONT, 20 * NSEC_SEC, &hit, &err), &err);
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
    assert_non_null(kit_wait_line(&k, "b", "tree stands", 20 * NSEC_SEC));
    k.lines_n = 0;
    kit_ok(lab_node_signal(lab_node(k.lab, "b"), &(struct lab_match){.pid = 3}, SIGKILL,
                           20 * NSEC_SEC, &hit, &err),
           &err);
    assert_int_equal(hit.n, 1);
    json_decref(hit.pids);
    assert_non_null(kit_wait(&k, LAB_EXITED, "b", "tree", 20 * NSEC_SEC));
    assert_non_null(kit_wait_line(&k, "b", "tree stands", 20 * NSEC_SEC));
    await_processes(&k, lab_node(k.lab, "b"), 3); /* nothing of its first life */
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
    struct kit_event *e = kit_wait(&k, LAB_FAILED, "b", "web", 20 * NSEC_SEC);
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
    struct kit_event *e = kit_wait(&k, LAB_FAILED, "b", NULL, 20 * NSEC_SEC);
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
    AUTO_FREE char *tail = NULL;
    for (int i = 0; i < 1000 && (!tail || !strstr(tail, "0000")); i++) {
        kit_turn(&k, 20 * NSEC_MSEC);
        free(tail);
        tail = lab_node_tail(lab_node(k.lab, "a"), "talk", 3);
    }
    kit_turn(&k, 200 * NSEC_MSEC); /* what stands in no line yet */
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
    assert_non_null(kit_wait_line(&k, "a", "last", 20 * NSEC_SEC));
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
    kit_ok(lab_node_run(a, "echo hi; sleep 0.1; exit 3", 20 * NSEC_SEC, on_ran, &ok, &err), &err);
    kit_ok(
        lab_node_run(a, "(setsid sleep 1000 &) ; sleep 1000", 200 * NSEC_MSEC, on_ran, &late, &err),
        &err);
    kit_ok(lab_node_run(lab_node(k.lab, "b"), "echo x; sleep 1000", 0, on_ran, &away, &err), &err);
    await_done(&k, &ok.done);
    await_done(&k, &late.done);
    assert_false(away.done);
    assert_int_equal(ok.r.code, 3);
    assert_string_equal(ok.output, "hi\n");
    assert_true(ok.r.start.lo >= before && ok.r.end.hi >= before + 100 * NSEC_MSEC);
    assert_true(ok.r.end.hi - ok.r.end.lo < 10 * NSEC_SEC);
    assert_true(late.r.timed_out);
    assert_int_equal(late.r.signo, SIGKILL);
    kit_ok(lab_node_processes(a, NULL, &all, &err), &err);
    assert_int_equal(json_array_size(all), 0); /* the child in a new session too */
    json_decref(all);
    struct span at;
    kit_ok(lab_node_off(lab_node(k.lab, "b"), &at, &err), &err);
    assert_false(away.done); /* told from the loop, not from inside the call */
    await_done(&k, &away.done);
    assert_int_equal(away.r.signo, SIGKILL);
    assert_int_equal(lab_node_run(lab_node(k.lab, "b"), "true", 0, on_ran, &away, &err),
                     -EHOSTDOWN);
    kit_close(&k);
}

/* The shell and what it has forked are one group; another command of the host is none of it. */
static void a_command_is_stopped_by_a_signal_to_its_group(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    struct ran told = {0}, deaf = {0}, other = {0};
    json_t *all;
    kit_open(&k);
    kit_host(&k, "a", "10.0.0.1");
    kit_up(&k, true);
    struct lab_node *a = lab_node(k.lab, "a");
    kit_ok(lab_node_run_bound(a,
                              "trap 'echo told; exit 5' INT; : >told; while :; do sleep 1000; done",
                              on_ran, &told, &err),
           &err);
    kit_ok(lab_node_run_bound(a, "trap : TERM; : >deaf; while :; do sleep 1000; done", on_ran,
                              &deaf, &err),
           &err);
    kit_ok(lab_node_run(a, "sleep 1000", 0, on_ran, &other, &err), &err);
    await_command(&k, "a", "test -e told -a -e deaf"); /* the traps are set */
    kit_ok(lab_node_run_stop(a, &told, SIGINT, &err), &err);
    kit_ok(lab_node_run_stop(a, &deaf, SIGTERM, &err), &err);
    await_done(&k, &told.done);
    assert_true(!deaf.done && !other.done);
    assert_int_equal(told.r.code, 5);
    assert_string_equal(told.output, "told\n");
    kit_ok(lab_node_run_stop(a, &told, SIGKILL, &err), &err); /* it has ended: no error */
    kit_ok(lab_node_run_stop(a, &deaf, SIGKILL, &err), &err);
    await_done(&k, &deaf.done);
    assert_false(other.done);
    assert_int_equal(deaf.r.signo, SIGKILL);
    kit_ok(lab_node_processes(a, NULL, &all, &err), &err);
    assert_in_range(json_array_size(all), 1, 2); /* the other's alone */
    json_decref(all);
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

int test_lab_units(void)
{
    const struct CMUnitTest all[] = {
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
        cmocka_unit_test(a_command_is_stopped_by_a_signal_to_its_group),
        cmocka_unit_test(a_command_may_leave_a_daemon),
        cmocka_unit_test(a_person_gets_in),
    };
    return cmocka_run_group_tests_name("test_lab_units", all, NULL, NULL);
}
