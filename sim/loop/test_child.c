/* Children: what cannot start is an error, what ends is seen, nothing is left behind. */
#include "tests/support/test.h"

#include "sim/loop/child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct seen {
    struct child_exit exit;
    char output[256];
    int calls;
};

static void on_exit_keep(struct child *c, const struct child_exit *e, void *data)
{
    struct seen *s = data;
    s->exit = *e;
    snprintf(s->output, sizeof s->output, "%.*s", (int)e->output_n, e->output);
    s->calls++;
    child_free(c);
}

static struct child_spec shell(const char **argv, const char *command, struct seen *seen)
{
    *seen = (struct seen){0};
    argv[0] = "sh";
    argv[1] = "-c";
    argv[2] = command;
    argv[3] = NULL;
    return (struct child_spec){
        .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .on_exit = on_exit_keep, .data = seen};
}

static void run_to_end(const struct child_spec *spec)
{
    struct loop *loop = NULL;
    struct child *c = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(loop_new(LOOP_REAL, &loop, NULL), 0);
    if (child_start(loop, spec, &c, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(child_pid(c) > 0);
    assert_int_equal(loop_run(loop, &err), 0);
    loop_free(loop);
}

static void a_missing_program_is_an_error_of_start(void **state)
{
    struct loop *loop = NULL;
    assert_int_equal(loop_new(LOOP_REAL, &loop, NULL), 0);
    const char *argv[] = {"no-such-program-here", NULL};
    struct child_spec spec = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1};
    struct child *c = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(child_start(loop, &spec, &c, &err), -ENOENT);
    assert_null(c);
    assert_string_equal(err.text, "cannot start no-such-program-here: there is no such program in "
                                  "PATH; install it, or give its whole path");
    argv[0] = "true";
    spec.dir = "/no/such/folder";
    assert_int_equal(child_start(loop, &spec, &c, &err), -ENOENT);
    assert_non_null(strstr(err.text, "in the folder /no/such/folder"));
    argv[0] = "/etc/passwd";
    spec.dir = NULL;
    assert_int_equal(child_start(loop, &spec, &c, &err), -EACCES);
    loop_free(loop);
}

static int refuse(void *data)
{
    return *(int *)data;
}

static void prepare_can_refuse(void **state)
{
    struct loop *loop = NULL;
    assert_int_equal(loop_new(LOOP_REAL, &loop, NULL), 0);
    int code = EXDEV;
    const char *argv[] = {"true", NULL};
    struct child_spec spec = {
        .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .prepare = refuse, .prepare_data = &code};
    struct child *c = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(child_start(loop, &spec, &c, &err), -EXDEV);
    assert_non_null(strstr(err.text, "cannot prepare to start true"));
    loop_free(loop);
}

static void output_and_exit_code_are_captured(void **state)
{
    const char *argv[4];
    struct seen seen;
    struct child_spec spec = shell(argv, "echo out; echo err >&2; exit 7", &seen);
    run_to_end(&spec);
    assert_int_equal(seen.calls, 1);
    assert_int_equal(seen.exit.code, 7);
    assert_int_equal(seen.exit.signo, 0);
    assert_string_equal(seen.output, "out\nerr\n");
    assert_false(seen.exit.output_cut);

    spec = shell(argv, "echo out; echo err >&2; kill -TERM $$", &seen);
    spec.discard_stderr = true;
    spec.output_max = 2;
    run_to_end(&spec);
    assert_int_equal(seen.exit.code, -1);
    assert_int_equal(seen.exit.signo, SIGTERM);
    assert_string_equal(seen.output, "ou");
    assert_true(seen.exit.output_cut);
}

static void what_the_pipe_holds_at_the_end_is_kept(void **state)
{
    const char *argv[4];
    struct seen seen;
    struct loop *loop = NULL;
    struct child *c = NULL;
    assert_int_equal(loop_new(LOOP_REAL, &loop, NULL), 0);
    struct child_spec spec = shell(argv, "head -c 60000 /dev/zero", &seen); /* fits into the pipe */
    assert_int_equal(child_start(loop, &spec, &c, NULL), 0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child_pid(c), &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(loop_run(loop, NULL), 0);
    assert_int_equal(seen.exit.output_n, 60000);
    loop_free(loop);
}

static void environment_folder_and_stdin_are_as_asked(void **state)
{
    const char *argv[4];
    const char *env[] = {"PATH=/usr/bin:/bin", "WORD=there", NULL};
    struct seen seen;
    struct child_spec spec = shell(argv, "pwd; echo $WORD$HOME; cat; ls /proc/self/fd", &seen);
    spec.env = env;
    spec.dir = "/usr";
    run_to_end(&spec);
    /* 3 is ls's own */
    assert_string_equal(seen.output, "/usr\nthere\n0\n1\n2\n3\n");
}

static void signals_are_as_a_program_expects_them(void **state)
{
    sigset_t set, old;
    sigfillset(&set);
    sigprocmask(SIG_SETMASK, &set, &old);
    signal(SIGPIPE, SIG_IGN);
    const char *argv[4];
    struct seen seen;
    struct child_spec spec = shell(argv, "grep -E '^Sig(Blk|Ign)' /proc/self/status", &seen);
    run_to_end(&spec);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &old, NULL);
    assert_string_equal(seen.output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

static void the_time_out_kills_the_group(void **state)
{
    const char *argv[4];
    struct seen seen;
    pid_t sleeper = 0;
    /* A busy machine may take longer until the shell has begun. */
    for (nsec limit = 100 * NSEC_MSEC; sleeper == 0 && limit < 20 * NSEC_SEC; limit *= 4) {
        /* The shell's child would sleep on; the pid it prints must be gone afterwards. */
        struct child_spec spec = shell(argv, "sleep 60 & echo $!; wait", &seen);
        spec.timeout = limit;
        run_to_end(&spec);
        assert_true(seen.exit.timed_out);
        assert_int_equal(seen.exit.signo, SIGKILL);
        sleeper = (pid_t)strtol(seen.output, NULL, 10);
    }
    assert_true(sleeper > 1);
    /* Killed, but perhaps not dead yet: a process that is no child of ours. */
    AUTO_CLOSE int fd = (int)syscall(SYS_pidfd_open, sleeper, 0);
    if (fd < 0)
        return;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
}

static void a_step_ends_although_a_daemon_keeps_its_pipe(void **state)
{
    const char *argv[4];
    struct seen seen;
    struct child_spec spec = shell(argv, "sleep 60 & echo $!", &seen);
    nsec start = nsec_now(CLOCK_MONOTONIC);
    run_to_end(&spec);
    assert_true(nsec_now(CLOCK_MONOTONIC) - start < 30 * NSEC_SEC);
    assert_int_equal(seen.exit.code, 0);
    pid_t sleeper = (pid_t)strtol(seen.output, NULL, 10);
    assert_true(sleeper > 1);
    assert_int_equal(kill(sleeper, SIGKILL), 0);
}

static void freeing_kills_what_still_runs(void **state)
{
    struct loop *loop = NULL;
    assert_int_equal(loop_new(LOOP_REAL, &loop, NULL), 0);
    const char *argv[4];
    struct seen seen;
    struct child_spec spec = shell(argv, "exec sleep 60", &seen);
    struct child *c = NULL;
    assert_int_equal(child_start(loop, &spec, &c, NULL), 0);
    assert_int_equal(child_signal(c, SIGCONT), 0);
    pid_t pid = child_pid(c);
    assert_null(child_free(c));
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    assert_int_equal(seen.calls, 0);
    loop_free(loop);
    assert_null(child_free(NULL));
}

static size_t count_fds(void)
{
    size_t n = 0;
    AUTO_CLOSEDIR DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        n++;
    return n;
}

static void a_thousand_children_leave_no_descriptor(void **state)
{
    struct loop *loop = NULL;
    assert_int_equal(loop_new(LOOP_REAL, &loop, NULL), 0);
    const char *argv[] = {"true", NULL};
    const char *missing[] = {"/no/such/program", NULL};
    struct seen seen = {0};
    struct child_spec spec = {
        .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .on_exit = on_exit_keep, .data = &seen};
    struct child_spec bad = {.argv = missing, .stdin_fd = -1, .stdout_fd = -1};
    size_t before = count_fds();
    for (int i = 0; i < 1000; i++) {
        struct child *c = NULL;
        if (i % 4 == 0)
            assert_int_equal(child_start(loop, &bad, &c, NULL), -ENOENT);
        assert_int_equal(child_start(loop, &spec, &c, NULL), 0);
        assert_int_equal(loop_run(loop, NULL), 0);
    }
    assert_int_equal(seen.calls, 1000);
    assert_int_equal(count_fds(), before);
    loop_free(loop);
}

static void run_feeds_and_captures(void **state)
{
    const char *cat[] = {"sh", "-c", "cat; exit 3", NULL};
    int code = -1;
    char *output = NULL;
    assert_int_equal(child_run(cat, "some words\n", NSEC_SEC * 20, &code, &output, NULL), 0);
    assert_int_equal(code, 3);
    assert_string_equal(output, "some words\n");
    free(output);

    const char *killed[] = {"sh", "-c", "kill -9 $$", NULL};
    assert_int_equal(child_run(killed, NULL, 0, &code, NULL, NULL), 0);
    assert_int_equal(code, 128 + SIGKILL);

    struct err err = ERR_INIT;
    const char *sleeper[] = {"sleep", "60", NULL};
    code = 42;
    output = (char *)"untouched";
    assert_int_equal(child_run(sleeper, NULL, 20 * NSEC_MSEC, &code, &output, &err), -ETIMEDOUT);
    assert_string_equal(err.text, "sleep did not end within 20 ms and was killed");
    assert_int_equal(code, 42);
    assert_string_equal(output, "untouched");
    const char *missing[] = {"no-such-program-here", NULL};
    assert_int_equal(child_run(missing, NULL, 0, &code, &output, &err), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_program_is_an_error_of_start),
        cmocka_unit_test(prepare_can_refuse),
        cmocka_unit_test(output_and_exit_code_are_captured),
        cmocka_unit_test(what_the_pipe_holds_at_the_end_is_kept),
        cmocka_unit_test(environment_folder_and_stdin_are_as_asked),
        cmocka_unit_test(signals_are_as_a_program_expects_them),
        cmocka_unit_test(the_time_out_kills_the_group),
        cmocka_unit_test(a_step_ends_although_a_daemon_keeps_its_pipe),
        cmocka_unit_test(freeing_kills_what_still_runs),
        cmocka_unit_test(a_thousand_children_leave_no_descriptor),
        cmocka_unit_test(run_feeds_and_captures),
    };
    /* Folders that we may not search would turn "not there" into "not allowed" (execvp(3)). */
    setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
