/* The journal: what outlives us is on disk before it is changed, and is undone once, by one, newest
 * first, and never what is not ours any more.
 */
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "injectors/journal.h"
#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/base/rng.h"

#define OK(call)                                                                                   \
    do {                                                                                           \
        struct err err = ERR_INIT;                                                                 \
        int ok_ = (call);                                                                          \
        if (ok_ < 0)                                                                               \
            fail_msg("%s: %s", #call, err.text);                                                   \
    } while (0)

/* --- An injector that writes down what it reverts ------------------------------------------------
 */

struct notes {
    char text[1024]; /* of every revert, separated by blanks */
    const char *fails_on, *dies_on;
};
static struct notes *notes_of(void);

static int note_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                       struct err *err)
{
    struct notes *n = notes_of();
    const char *what = jsonx_str(undo, "what", "?");
    if (n->dies_on && strcmp(n->dies_on, what) == 0)
        _exit(9);
    if (n->fails_on && strcmp(n->fails_on, what) == 0)
        return err_set(err, EBUSY, "%s is busy", what);
    size_t len = strlen(n->text);
    snprintf(n->text + len, sizeof n->text - len, "%s%s", len ? " " : "", what);
    *ret = (struct inject_result){.at = {1, 2}, .changes = json_array()};
    return 0;
}

static const struct injector note_injector = {
    .name = "note", .is_fault = true, .lasts = true, .kept = true, .revert = note_revert};
static const struct injector once_injector = {.name = "once", .is_fault = true};
static const struct variant note_variant = {.name = "note", .impl = &note_injector};
static const struct variant once_variant = {.name = "once", .impl = &once_injector};
static const struct variant *const actions[] = {&note_variant, &once_variant, NULL};

static struct notes *notes_of(void)
{
    static struct notes n;
    return &n;
}

/* --- Each test has a folder of its own
 * ------------------------------------------------------------ */

struct place_of_test {
    char folder[64];
    struct journal_world world;
};

static unsigned long long started(pid_t pid, void *data)
{
    return pid == 77 ? 5000 : 0; /* one process lives */
}

static int set_up(void **state)
{
    struct place_of_test *t = calloc(1, sizeof *t);
    snprintf(t->folder, sizeof t->folder, "/tmp/blackstart-journal-XXXXXX");
    assert_non_null(mkdtemp(t->folder));
    t->world = (struct journal_world){.actions = actions, .started = started};
    *notes_of() = (struct notes){0};
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct place_of_test *t = *state;
    chmod(t->folder, 0700);
    file_remove_tree(AT_FDCWD, t->folder, NULL);
    free(t);
    return 0;
}

static struct journal *open_journal(const struct place_of_test *t, const char *run)
{
    struct journal *j = NULL;
    OK(journal_open(t->folder, run, &j, &err));
    return j;
}

static uint64_t append(struct journal *j, const char *what, const struct journal_entry *like)
{
    uint64_t n = 99;
    AUTO_JSON *undo = json_pack("{s:s}", "what", what);
    struct journal_entry e = like ? *like : (struct journal_entry){.life = JOURNAL_KEPT};
    e.step = what;
    e.injector = e.injector ? e.injector : "note";
    e.undo = undo;
    OK(journal_append(j, &e, &n, &err));
    return n;
}

static char *path_of(const struct place_of_test *t, const char *run)
{
    struct buf b = BUF_INIT;
    buf_printf(&b, "%s/%s.ndjson", t->folder, run);
    return buf_steal(&b);
}

static bool exists(const struct place_of_test *t, const char *run)
{
    AUTO_FREE char *path = path_of(t, run);
    return access(path, F_OK) == 0;
}

static size_t undo_all(struct place_of_test *t)
{
    size_t failed = 99;
    OK(journal_undo_all(t->folder, &t->world, NULL, NULL, &failed, &err));
    return failed;
}

/* As a run that was killed leaves it: entries, synced, nobody holding the lock. */
static void leave(struct place_of_test *t, const char *run, const char *const *what,
                  const struct journal_entry *like)
{
    struct journal *j = open_journal(t, run);
    for (; *what; what++)
        append(j, *what, like);
    OK(journal_sync(j, &err));
    journal_close(j); /* keeps the file: entries are not done */
}

static const char *const three[] = {"one", "two", "three", NULL};

/* --- Writing
 * -------------------------------------------------------------------------------------- */

static void what_the_kernel_ties_is_never_on_disk(void **state)
{
    struct place_of_test *t = *state;
    CLEANUP(journal_close_p) struct journal *j = open_journal(t, "r1");
    struct journal_entry tied = {.life = JOURNAL_TIED};
    uint64_t n = append(j, "cut", &tied);
    OK(journal_sync(j, &err));
    assert_int_equal(journal_fd(j), -1);
    assert_false(exists(t, "r1"));
    AUTO_JSON *pending = journal_pending(j);
    assert_int_equal(json_array_size(pending), 1);
    OK(journal_done_entry(j, n, &err));
    assert_int_equal(json_array_size(pending), 0);
    assert_int_equal(rmdir(t->folder), 0); /* empty */
    assert_int_equal(mkdir(t->folder, 0700), 0);
}

static void what_outlives_us_is_on_disk_first(void **state)
{
    struct place_of_test *t = *state;
    struct journal *j = open_journal(t, "r1");
    uint64_t a = append(j, "one", NULL), b = append(j, "two", NULL);
    AUTO_FREE char *path = path_of(t, "r1"), *text = NULL;
    struct stat st;
    size_t n;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    OK(file_read(AT_FDCWD, path, 100000, &text, &n, &err));
    assert_non_null(strstr(text, "{\"journal\":1,\"run\":\"r1\",\"boot\":\""));
    assert_non_null(strstr(text, "\n{\"entry\":0,\"step\":\"one\",\"injector\":\"note\",\"undo\":"
                                 "{\"what\":\"one\"},\"persistent\":false}\n{\"entry\":1,"));
    assert_true(journal_fd(j) >= 0);
    OK(journal_sync(j, &err));
    OK(journal_done_entry(j, a, &err));
    OK(journal_done_entry(j, a, &err)); /* undone twice is undone */
    assert_true(exists(t, "r1"));
    OK(journal_done_entry(j, b, &err));
    journal_close(j);
    assert_false(exists(t, "r1"));
}

static void the_folder_is_made_and_private(void **state)
{
    struct place_of_test *t = *state;
    struct journal *j = NULL;
    struct stat st;
    AUTO_BUF deep = BUF_INIT;
    buf_printf(&deep, "%s/a/b", t->folder);
    OK(journal_open(buf_text(&deep), "r1", &j, &err));
    assert_int_equal(stat(buf_text(&deep), &st), -1);
    append(j, "one", NULL);
    assert_int_equal(stat(buf_text(&deep), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    journal_close(j);
}

static void after_a_failure_nothing_more_may_be_changed(void **state)
{
    struct place_of_test *t = *state;
    struct err why = ERR_INIT;
    AUTO_BUF file = BUF_INIT;
    buf_printf(&file, "%s/file", t->folder);
    OK(file_replace(AT_FDCWD, buf_text(&file), "", 0, &err));
    CLEANUP(journal_close_p) struct journal *j = NULL;
    OK(journal_open(buf_text(&file), "r1", &j, &err));
    AUTO_JSON *undo = json_object();
    struct journal_entry e = {.life = JOURNAL_KEPT, .step = "s", .injector = "note", .undo = undo};
    uint64_t n = 42;
    assert_true(journal_append(j, &e, &n, &why) < 0);
    assert_non_null(strstr(why.text, "journal"));
    e.life = JOURNAL_TIED;
    assert_true(journal_append(j, &e, &n, &why) < 0);
    assert_true(journal_sync(j, &why) < 0);
    assert_int_equal(n, 42);
}

static void names_of_runs_cannot_leave_the_folder(void **state)
{
    struct place_of_test *t = *state;
    static const char *const bad[] = {"", ".", "..", "a/b", "/etc/x", ".hidden"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct journal *j = NULL;
        assert_int_equal(journal_open(t->folder, bad[i], &j, NULL), -EINVAL);
        assert_null(j);
    }
}

/* --- Who may undo
 * --------------------------------------------------------------------------------- */

static void a_live_run_is_left_alone(void **state)
{
    struct place_of_test *t = *state;
    struct journal_list l = {0};
    struct journal *j = open_journal(t, "r1");
    append(j, "one", NULL);
    OK(journal_scan(t->folder, &t->world, &l, &err));
    assert_int_equal(l.n, 1);
    assert_true(l.items[0].live);
    assert_string_equal(l.items[0].run, "r1");
    assert_null(l.items[0].entries);
    journal_list_done(&l);
    assert_int_equal(undo_all(t), 0);
    assert_string_equal(notes_of()->text, "");
    journal_close(j); /* dies with its entry in force */
    OK(journal_scan(t->folder, &t->world, &l, &err));
    assert_false(l.items[0].live);
    assert_int_equal(json_array_size(l.items[0].entries), 1);
    journal_list_done(&l);
    assert_int_equal(undo_all(t), 0);
    assert_string_equal(notes_of()->text, "one");
    assert_false(exists(t, "r1"));
}

/* The warden: a fork that outlives the runner keeps the lock. */
static void the_lock_lives_as_long_as_runner_or_warden(void **state)
{
    struct place_of_test *t = *state;
    int hold[2], status;
    struct journal *j = open_journal(t, "r1");
    append(j, "one", NULL);
    assert_int_equal(pipe(hold), 0);
    pid_t warden = fork();
    if (warden == 0) {
        char byte;
        close(hold[1]);
        (void)!read(hold[0], &byte, 1);
        _exit(0);
    }
    journal_close(j);
    assert_int_equal(undo_all(t), 0);
    assert_string_equal(notes_of()->text, "");
    close(hold[1]);
    waitpid(warden, &status, 0);
    close(hold[0]);
    undo_all(t);
    assert_string_equal(notes_of()->text, "one");
}

/* --- Undoing
 * -------------------------------------------------------------------------------------- */

static void the_newest_is_undone_first(void **state)
{
    struct place_of_test *t = *state;
    leave(t, "r1", three, NULL);
    assert_int_equal(undo_all(t), 0);
    assert_string_equal(notes_of()->text, "three two one");
    assert_false(exists(t, "r1"));
    assert_int_equal(undo_all(t), 0); /* again: nothing */
    assert_string_equal(notes_of()->text, "three two one");
}

static void what_cannot_be_undone_stays_and_is_told(void **state)
{
    struct place_of_test *t = *state;
    leave(t, "r1", three, NULL);
    notes_of()->fails_on = "two";
    assert_int_equal(undo_all(t), 1);
    assert_string_equal(notes_of()->text, "three one");
    assert_true(exists(t, "r1"));
    notes_of()->fails_on = NULL;
    assert_int_equal(undo_all(t), 0); /* only what was left */
    assert_string_equal(notes_of()->text, "three one two");
    assert_false(exists(t, "r1"));
}

struct told {
    int undone, void_, failed;
    char text[512];
};

static void on_undone(const struct journal_undone *u, void *data)
{
    struct told *t = data;
    t->undone += u->outcome == JOURNAL_UNDONE;
    t->void_ += u->outcome == JOURNAL_VOID;
    t->failed += u->outcome == JOURNAL_FAILED;
    assert_true((u->outcome == JOURNAL_UNDONE) == (u->result != NULL));
    snprintf(t->text, sizeof t->text, "%s", u->text);
}

static struct told undo_telling(struct place_of_test *t)
{
    struct told told = {0};
    size_t failed = 99;
    OK(journal_undo_all(t->folder, &t->world, on_undone, &told, &failed, &err));
    assert_int_equal(failed, told.failed);
    return told;
}

static void after_another_boot_only_what_persists_is_undone(void **state)
{
    struct place_of_test *t = *state;
    static const char *const volatile_[] = {"route", NULL}, *const disk[] = {"disk", NULL};
    struct journal_entry persistent = {.life = JOURNAL_KEPT, .persistent = true};
    leave(t, "r1", volatile_, NULL);
    leave(t, "r2", disk, &persistent);
    t->world.boot_id = "another";
    struct journal_list l = {0};
    OK(journal_scan(t->folder, &t->world, &l, &err));
    assert_int_equal(l.n, 2);
    assert_true(l.items[0].other_boot && l.items[1].other_boot);
    journal_list_done(&l);
    struct told told = undo_telling(t);
    assert_int_equal(told.undone, 1);
    assert_int_equal(told.void_, 1);
    assert_string_equal(notes_of()->text, "disk");
    assert_false(exists(t, "r1") || exists(t, "r2"));
}

static void a_pid_that_was_used_again_is_never_touched(void **state)
{
    struct place_of_test *t = *state;
    static const char *const what[] = {"freeze", NULL};
    const struct {
        pid_t pid;
        unsigned long long start;
        const char *words;
    } cases[] = {{77, 5000, "undone"},
                 {77, 4999, "belongs to another process now"},
                 {78, 5000, "its process has ended"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct journal_entry e = {
            .life = JOURNAL_KEPT, .pid = cases[i].pid, .start = cases[i].start};
        leave(t, "r1", what, &e);
        struct told told = undo_telling(t);
        assert_int_equal(told.undone, i == 0);
        assert_int_equal(told.void_, i != 0);
        if (!strstr(told.text, cases[i].words))
            fail_msg("%s", told.text);
    }
    assert_string_equal(notes_of()->text, "freeze");
    struct journal_entry e = {.life = JOURNAL_KEPT, .pid = 77, .start = 5000, .persistent = true};
    leave(t, "r1", what, &e);
    t->world.boot_id = "another"; /* start times count from the boot */
    assert_int_equal(undo_telling(t).void_, 1);
}

static void a_foreign_namespace_is_never_touched(void **state)
{
    struct place_of_test *t = *state;
    static const char *const what[] = {"rule", NULL};
    struct journal_entry e = {.life = JOURNAL_KEPT, .netns = 4026531840u};
    t->world.netns = 4026531840u;
    leave(t, "r1", what, &e);
    assert_int_equal(undo_telling(t).undone, 1);
    t->world.netns = 4026531999u;
    leave(t, "r1", what, &e);
    assert_int_equal(undo_telling(t).void_, 1);
    assert_string_equal(notes_of()->text, "rule");
}

static void an_action_nobody_knows_stays(void **state)
{
    struct place_of_test *t = *state;
    static const char *const what[] = {"x", NULL};
    struct journal_entry unknown = {.life = JOURNAL_KEPT, .injector = "from-the-future"},
                         once = {.life = JOURNAL_KEPT, .injector = "once"};
    leave(t, "r1", what, &unknown);
    struct told told = undo_telling(t);
    assert_int_equal(told.failed, 1);
    assert_non_null(strstr(told.text, "does not know how to undo 'from-the-future'"));
    assert_true(exists(t, "r1"));
    leave(t, "r2", what, &once);
    assert_int_equal(undo_telling(t).failed, 2);
}

/* --- Broken files
 * --------------------------------------------------------------------------------- */

static char *whole_file(struct place_of_test *t, size_t *ret_n)
{
    char *text = NULL;
    AUTO_FREE char *path = path_of(t, "r1");
    leave(t, "r1", three, NULL);
    OK(file_read(AT_FDCWD, path, 100000, &text, ret_n, &err));
    return text;
}

static void put_file(struct place_of_test *t, const char *text, size_t n)
{
    AUTO_FREE char *path = path_of(t, "r1");
    AUTO_CLOSE int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert_true(fd >= 0);
    OK(file_write_all(fd, text, n, &err)); /* without fsync: hundreds of times */
}

/* Torn at each byte: what stands in whole lines is undone, the rest was never changed. */
static void a_torn_line_was_never_acted_on(void **state)
{
    struct place_of_test *t = *state;
    size_t n = 0;
    AUTO_FREE char *text = whole_file(t, &n);
    for (size_t cut = 0; cut <= n; cut++) {
        size_t lines = 0;
        for (size_t i = 0; i < cut; i++)
            lines += text[i] == '\n';
        put_file(t, text, cut);
        notes_of()->text[0] = '\0';
        assert_int_equal(undo_all(t), 0);
        static const char *const want[] = {"", "", "one", "two one", "three two one"};
        assert_string_equal(notes_of()->text, want[lines]);
        assert_false(exists(t, "r1"));
    }
}

static void a_line_that_cannot_be_read_keeps_the_file(void **state)
{
    struct place_of_test *t = *state;
    size_t n = 0;
    AUTO_FREE char *text = whole_file(t, &n);
    char *second = strstr(text, "\"two\"");
    second[-10] = '{';
    put_file(t, text, n);
    struct journal_list l = {0};
    OK(journal_scan(t->folder, &t->world, &l, &err));
    assert_int_equal(l.items[0].unreadable, 1);
    journal_list_done(&l);
    struct told told = undo_telling(t);
    assert_int_equal(told.failed, 1);
    assert_int_equal(told.undone, 2);
    assert_non_null(strstr(told.text, "1 line(s) of"));
    assert_non_null(strstr(told.text, "undo by hand"));
    assert_string_equal(notes_of()->text, "three one");
    assert_true(exists(t, "r1"));
    assert_int_equal(undo_telling(t).undone, 0); /* not a second time */
}

static void without_its_first_line_nothing_is_touched(void **state)
{
    struct place_of_test *t = *state;
    size_t n = 0;
    AUTO_FREE char *text = whole_file(t, &n);
    text[2] = 'J';
    put_file(t, text, n);
    assert_int_equal(undo_all(t), 1);
    assert_string_equal(notes_of()->text, "");
    assert_true(exists(t, "r1"));
}

static void bytes_of_any_kind_do_no_harm(void **state)
{
    struct place_of_test *t = *state;
    size_t n = 0;
    AUTO_FREE char *text = whole_file(t, &n);
    struct rng rng = rng_stream(11, "journal", 0, 0);
    for (int round = 0; round < 300; round++) {
        AUTO_FREE char *copy = malloc(n);
        memcpy(copy, text, n);
        for (uint64_t i = rng_below(&rng, 8) + 1; i > 0; i--)
            copy[rng_below(&rng, n)] = (char)rng_below(&rng, 256);
        put_file(t, copy, n - rng_below(&rng, 20));
        size_t failed;
        OK(journal_undo_all(t->folder, &t->world, NULL, NULL, &failed, &err));
        struct journal_list l = {0};
        OK(journal_scan(t->folder, &t->world, &l, &err));
        assert_true(l.n == 0 || failed > 0);
        journal_list_done(&l);
        notes_of()->text[0] = '\0';
    }
}

static void an_undoer_that_dies_is_continued(void **state)
{
    struct place_of_test *t = *state;
    int status;
    leave(t, "r1", three, NULL);
    pid_t pid = fork();
    if (pid == 0) {
        notes_of()->dies_on = "two"; /* after "three" was undone */
        undo_all(t);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    assert_int_equal(WEXITSTATUS(status), 9);
    assert_int_equal(undo_all(t), 0);
    assert_string_equal(notes_of()->text, "two one");
    assert_false(exists(t, "r1"));
}

/* Armed long before: what had not begun is not undone, what had is; after another boot it is not known of
 * what outlived that. */
static void check_armed(struct place_of_test *t, const char *boot, const char *undone)
{
    notes_of()->text[0] = '\0';
    const struct journal_entry armed = {.life = JOURNAL_KEPT, .armed = true};
    const struct journal_entry lasting = {.life = JOURNAL_KEPT, .armed = true, .persistent = true};
    struct journal *j = open_journal(t, "r1");
    append(j, "one", &armed);
    uint64_t two = append(j, "two", &armed);
    append(j, "three", &lasting);
    OK(journal_sync(j, &err));
    OK(journal_begin(j, two, &err));
    struct err why = ERR_INIT;
    assert_int_equal(journal_begin(j, 77, &why), -ENOENT);
    journal_close(j);
    t->world.boot_id = boot;
    assert_int_equal(undo_all(t), 0);
    assert_string_equal(notes_of()->text, undone);
    assert_false(exists(t, "r1"));
}

static void what_was_armed_is_undone_from_its_beginning_on(void **state)
{
    struct place_of_test *t = *state;
    const char *boot = t->world.boot_id;
    check_armed(t, boot, "two");
    check_armed(t, "another boot", "three");
    t->world.boot_id = boot;
}

/* More was changed than was known before: what undoes it is what was written last. */
static void what_was_amended_is_undone_as_amended(void **state)
{
    struct place_of_test *t = *state;
    const struct journal_entry armed = {.life = JOURNAL_KEPT, .armed = true};
    struct journal *j = open_journal(t, "r1");
    AUTO_JSON *more = json_pack("{s:s}", "what", "more");
    struct err why = ERR_INIT;
    uint64_t one = append(j, "one", &armed);
    append(j, "two", &(struct journal_entry){.life = JOURNAL_KEPT});
    OK(journal_begin(j, one, &err));
    OK(journal_amend(j, one, more, &err));
    assert_int_equal(journal_amend(j, 77, more, &why), -ENOENT);
    journal_close(j);
    assert_int_equal(undo_all(t), 0);
    assert_string_equal(notes_of()->text, "two more");
    assert_false(exists(t, "r1"));
}

static void files_of_others_are_not_looked_at(void **state)
{
    struct place_of_test *t = *state;
    AUTO_CLOSE int dirfd = open(t->folder, O_DIRECTORY | O_RDONLY);
    OK(file_replace(dirfd, "README", "x", 1, &err));
    OK(file_replace(dirfd, ".r2.new", "x", 1, &err));
    assert_int_equal(symlinkat("/etc/passwd", dirfd, "r3.ndjson"), 0);
    struct journal_list l = {0};
    OK(journal_scan(t->folder, &t->world, &l, &err));
    assert_int_equal(l.n, 1);
    assert_int_equal(l.items[0].unreadable, 1); /* a link is not followed, and told */
    journal_list_done(&l);
    leave(t, "r1", three, NULL);
    assert_int_equal(undo_all(t), 1); /* nor does it keep others from being undone */
    assert_string_equal(notes_of()->text, "three two one");
    assert_int_equal(unlinkat(dirfd, "r3.ndjson", 0), 0);
    OK(journal_scan(t->folder, &t->world, &l, &err));
    assert_int_equal(l.n, 0);
    AUTO_BUF none = BUF_INIT;
    buf_printf(&none, "%s/none", t->folder);
    OK(journal_scan(buf_text(&none), &t->world, &l, &err));
    assert_int_equal(l.n, 0);
}

/* --- The warden
 * ------------------------------------------------------------------------------------ */

static void the_warden_undoes_tied_ones_too(void **state)
{
    struct place_of_test *t = *state;
    struct journal_entry tied = {.life = JOURNAL_TIED};
    struct inject_env env = {.run_id = "r1"};
    struct told told = {0};
    size_t failed = 99;
    struct journal *j = open_journal(t, "r1");
    append(j, "one", NULL);
    append(j, "cut", &tied);
    append(j, "three", NULL);
    notes_of()->fails_on = "one";
    OK(journal_undo_open(j, &env, &t->world, on_undone, &told, &failed, &err));
    assert_string_equal(notes_of()->text, "three cut");
    assert_int_equal(failed, 1);
    assert_int_equal(told.failed, 1);
    journal_close(j);
    assert_true(exists(t, "r1"));
    notes_of()->fails_on = NULL;
    assert_int_equal(undo_all(t), 0);
    assert_string_equal(notes_of()->text, "three cut one");
}

static void the_folder_is_the_systems_or_the_users(void **state)
{
    AUTO_FREE char *folder = NULL;
    OK(journal_folder(&folder, &err));
    if (geteuid() == 0)
        assert_string_equal(folder, "/var/lib/blackstart");
    else
        assert_non_null(strstr(folder, "/blackstart"));
}

int main(void)
{
#define IN_A_FOLDER(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(what_the_kernel_ties_is_never_on_disk),
        IN_A_FOLDER(what_outlives_us_is_on_disk_first),
        IN_A_FOLDER(the_folder_is_made_and_private),
        IN_A_FOLDER(after_a_failure_nothing_more_may_be_changed),
        IN_A_FOLDER(names_of_runs_cannot_leave_the_folder),
        IN_A_FOLDER(a_live_run_is_left_alone),
        IN_A_FOLDER(the_lock_lives_as_long_as_runner_or_warden),
        IN_A_FOLDER(the_newest_is_undone_first),
        IN_A_FOLDER(what_cannot_be_undone_stays_and_is_told),
        IN_A_FOLDER(after_another_boot_only_what_persists_is_undone),
        IN_A_FOLDER(a_pid_that_was_used_again_is_never_touched),
        IN_A_FOLDER(a_foreign_namespace_is_never_touched),
        IN_A_FOLDER(an_action_nobody_knows_stays),
        IN_A_FOLDER(a_torn_line_was_never_acted_on),
        IN_A_FOLDER(a_line_that_cannot_be_read_keeps_the_file),
        IN_A_FOLDER(without_its_first_line_nothing_is_touched),
        IN_A_FOLDER(bytes_of_any_kind_do_no_harm),
        IN_A_FOLDER(what_was_armed_is_undone_from_its_beginning_on),
        IN_A_FOLDER(what_was_amended_is_undone_as_amended),
        IN_A_FOLDER(an_undoer_that_dies_is_continued),
        IN_A_FOLDER(files_of_others_are_not_looked_at),
        IN_A_FOLDER(the_warden_undoes_tied_ones_too),
        cmocka_unit_test(the_folder_is_the_systems_or_the_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
