/* The real warden beside a runner that is a child of the test: it hears everything, however long, or
 * the runner is told that it did not. */
#include "tests/support/test.h"

#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/drill/warden.h"
#include "sim/record/record.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define NAMESPACES 20000 /* some 450 kB: twice what the kernel's buffer of a socket holds */
#define FAULTS 2000
#define LONG_TEXT 500000

struct world {
    char dir[64], journal[80];
    int dirfd;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    strcpy(w->dir, "/tmp/blackstart-test-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->journal, sizeof w->journal, "%s/journal", w->dir);
    w->dirfd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* the warden of a dead runner becomes our child */
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    close(w->dirfd);
    file_remove_tree(AT_FDCWD, w->dir, NULL);
    free(w);
    return 0;
}

static struct warden *start(const struct world *w, nsec patience)
{
    struct warden *ward = NULL;
    struct warden_spec spec = {.dirfd = w->dirfd,
                               .record = "record.ndjson",
                               .journal_folder = w->journal,
                               .deadline = 60 * NSEC_SEC,
                               .patience = patience};
    return warden_start(&spec, &ward, NULL) == 0 ? ward : NULL;
}

static bool tell_everything(struct warden *ward)
{
    AUTO_JSON *ids = json_array();
    AUTO_FREE char *text = malloc(LONG_TEXT + 1);
    memset(text, 'x', LONG_TEXT);
    text[LONG_TEXT] = '\0';
    for (int i = 0; i < NAMESPACES; i++) {
        char id[32];
        snprintf(id, sizeof id, "4:%d:1", 1000000000 + i);
        json_array_append_new(ids, json_string(id));
    }
    bool ok =
        warden_lab(ward, ids, NULL) == 0 && warden_fault(ward, 1, "long", text, true, NULL) == 0;
    for (int i = 0; ok && i < FAULTS; i++) {
        char step[16];
        snprintf(step, sizeof step, "step-%d", i);
        warden_beat(ward);
        ok = warden_busy(ward, NSEC_SEC, NULL) == 0 &&
             warden_fault(ward, 1, step, "partition", true, NULL) == 0;
        if (ok && i % 2)
            ok = warden_fault(ward, 1, step, "", false, NULL) == 0;
    }
    return ok;
}

/* The runner: a record, a warden, everything told; then it dies without a word. */
static _Noreturn void run_and_die(const struct world *w)
{
    struct record *r = NULL;
    struct warden *ward = start(w, 10 * NSEC_SEC);
    if (!ward || record_create(w->dirfd, "record.ndjson", 0, &r, NULL) < 0 ||
        record_write(r, "run-start", 0, json_pack("{s:i}", "record", 1), NULL) < 0)
        _exit(1);
    _exit(tell_everything(ward) ? 0 : 2);
}

static void it_hears_everything_of_a_runner_that_dies(void **state)
{
    const struct world *w = *state;
    AUTO_JSON *events = NULL;
    struct record_head head;
    size_t torn, i, undone = 0;
    json_t *e;
    int status;
    pid_t pid = fork();
    if (pid == 0)
        run_and_die(w);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(waitpid(-1, &status, 0) > 0);
    assert_int_equal(status, 0);
    assert_int_equal(record_read(w->dirfd, "record.ndjson", &events, &head, &torn, NULL), 0);
    json_array_foreach (events, i, e)
        if (!strcmp(jsonx_str(e, "kind", ""), "undo")) {
            const char *step = jsonx_str(e, "step", "");
            assert_true(!strcmp(step, "long") || strtol(step + 5, NULL, 10) % 2 == 0);
            undone++;
        }
    assert_int_equal(undone, 1 + FAULTS / 2);
    e = json_array_get(events, json_array_size(events) - 1);
    assert_string_equal(jsonx_str(e, "kind", ""), "run-end");
    assert_string_equal(jsonx_str(e, "by", ""), "warden");
}

static void it_leaves_without_a_word_after_a_farewell(void **state)
{
    const struct world *w = *state;
    struct warden *ward = start(w, 10 * NSEC_SEC);
    assert_non_null(ward);
    assert_true(tell_everything(ward));
    assert_null(warden_lost(ward));
    warden_end(ward);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(faccessat(w->dirfd, "record.ndjson", F_OK, 0), -1);
}

static void who_does_not_answer_is_lost_for_good(void **state)
{
    struct warden *ward = start(*state, 20 * NSEC_MSEC);
    struct err err = ERR_INIT;
    assert_non_null(ward);
    assert_int_equal(kill(warden_pid(ward), SIGSTOP), 0);
    assert_int_equal(waitpid(warden_pid(ward), NULL, WUNTRACED), warden_pid(ward));
    for (int i = 0; i < 5000; i++) /* more than there is room for: none waits, none loses it */
        warden_beat(ward);
    assert_null(warden_lost(ward));
    assert_int_equal(warden_fault(ward, 1, "cut", "partition", true, &err), -ETIMEDOUT);
    assert_string_equal(err.text,
                        "the warden does not answer: without it nothing more may be injected");
    assert_int_equal(kill(warden_pid(ward), SIGCONT), 0);
    assert_int_equal(warden_lab(ward, NULL, NULL), -ETIMEDOUT);
    assert_string_equal(warden_lost(ward), err.text);
    warden_end(ward); /* does not wait for it */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void one_that_was_killed_is_lost(void **state)
{
    struct warden *ward = start(*state, 10 * NSEC_SEC);
    struct err err = ERR_INIT;
    siginfo_t info;
    assert_non_null(ward);
    assert_int_equal(kill(warden_pid(ward), SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)warden_pid(ward), &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(warden_fault(ward, 1, "cut", "partition", true, &err), -EPIPE);
    assert_string_equal(err.text, "the warden has gone: without it nothing more may be injected");
    warden_end(ward);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(it_hears_everything_of_a_runner_that_dies),
        T(it_leaves_without_a_word_after_a_farewell),
        T(who_does_not_answer_is_lost_for_good),
        T(one_that_was_killed_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
