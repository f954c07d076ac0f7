/* An exercise played on the virtual clock, and then from its record: everybody sees what they saw.
 */
#include "tests/support/test.h"

#include "scenarios/scenario.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/exercise/answers.h"
#include "sim/exercise/reel.h"
#include "sim/exercise/view.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SCENARIO TEST_ROOT "/tests/corpus/good/exercise.yaml"
#define ANSWERS TEST_ROOT "/tests/exercise/small.answers.yaml"
#define LINES_MAX 400
#define ROLES_MAX 8

struct bed {
    struct scenario *scenario;
    char dir[64];
    int dirfd;
    struct conduct *conduct;
    struct conduct_listener listener;
    char *seen[LINES_MAX][ROLES_MAX]; /* after each line, by each role */
    size_t n, n_roles;
};

static struct scenario *load(const char *path)
{
    AUTO_DIAGS diags = DIAGS_INIT;
    struct scenario *s = NULL;
    assert_int_equal(scenario_load(path, NULL, &diags, &s), 0);
    return s;
}

/* Who has answered an anonymous debrief stands in no line: it cannot come back. */
static char *words_of(json_t *view)
{
    AUTO_JSON *own = view;
    struct buf text = BUF_INIT;
    json_object_del(json_object_get(own, "debrief"), "answered");
    jsonx_dump(own, &text);
    return buf_steal(&text);
}

static const char *role_of(const struct bed *b, size_t i)
{
    return ((const struct responder *)b->scenario->assumptions->roles.items[i])->name;
}

static void on_line(const json_t *event, void *data)
{
    struct bed *b = data;
    const struct state *st = conduct_state(b->conduct);
    b->n = (size_t)jsonx_int(event, "seq", 0) + 1;
    assert_true(b->n <= LINES_MAX);
    for (size_t i = 0; i < b->n_roles; i++) {
        struct viewer who = {reel_person(st, role_of(b, i)), role_of(b, i)};
        b->seen[b->n - 1][i] = words_of(view_new(st, &who, conduct_clock(b->conduct)));
    }
}

static void bed_open(struct bed *b, const char *mode)
{
    AUTO_DIAGS diags = DIAGS_INIT;
    CLEANUP(loop_free_p) struct loop *loop = NULL;
    CLEANUP(answers_free_p) struct answers *a = NULL;
    struct err err = ERR_INIT;
    *b = (struct bed){.scenario = load(SCENARIO)};
    b->n_roles = b->scenario->assumptions->roles.n;
    assert_true(b->n_roles <= ROLES_MAX);
    snprintf(b->dir, sizeof b->dir, "/tmp/blackstart-reel-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    b->dirfd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(loop_new(LOOP_VIRTUAL, &loop, &err), 0);
    struct conduct_spec spec = {.loop = loop,
                                .scenario = b->scenario,
                                .dirfd = b->dirfd,
                                .run_start = json_pack("{s:i, s:s}", "record", 1, "mode", mode),
                                .speed = 1,
                                .on_virtual_clock = true,
                                .alone = true};
    assert_int_equal(conduct_new(&spec, &b->conduct, &err), 0);
    b->listener = (struct conduct_listener){.fn = on_line, .data = b};
    conduct_listen(b->conduct, &b->listener);
    assert_int_equal(answers_load(ANSWERS, b->scenario, &diags, &a, &err), 0);
    assert_int_equal(answers_play(a, b->conduct, &err), 0);
    while (!conduct_is_over(b->conduct))
        assert_int_equal(loop_turn(loop, NSEC_INF, &err), 0);
    a = answers_free(a);
    b->conduct = conduct_free(b->conduct);
}

static void bed_close(struct bed *b)
{
    for (size_t i = 0; i < LINES_MAX; i++)
        for (size_t k = 0; k < ROLES_MAX; k++)
            free(b->seen[i][k]);
    close(b->dirfd);
    assert_int_equal(file_remove_tree(AT_FDCWD, b->dir, NULL), 0);
    scenario_free(b->scenario);
}

static struct reel *reel_of_bed(const struct bed *b)
{
    struct reel *r = NULL;
    struct err err = ERR_INIT;
    if (reel_open(b->dirfd, b->scenario, &r, &err) < 0)
        fail_msg("%s", err.text);
    return r;
}

static void assert_as_it_was(const struct bed *b, const struct replay_reel *r, size_t n)
{
    r->turn(n, r->data);
    for (size_t i = 0; i < b->n_roles; i++) {
        AUTO_BUF json = BUF_INIT;
        json_t *view = NULL;
        r->view(&r->seats[i], r->moments[n - 1], &json, r->data);
        assert_int_equal(jsonx_parse(json.text, json.len, "a view", &view, NULL), 0);
        AUTO_FREE char *now = words_of(view);
        if (b->seen[n - 1][i]) /* the first line was written before anybody could look */
            assert_string_equal(now, b->seen[n - 1][i]);
    }
}

static void everybody_sees_what_they_saw(void **state)
{
    static struct bed b;
    bed_open(&b, "exercise");
    CLEANUP(reel_close_p) struct reel *reel = reel_of_bed(&b);
    const struct replay_reel *r = reel_of(reel);
    uint32_t random = 12345;
    assert_int_equal(r->n, b.n);
    assert_int_equal(r->n_seats, b.n_roles);
    for (size_t n = 1; n <= r->n; n++)
        assert_as_it_was(&b, r, n);
    for (int i = 0; i < 60; i++) { /* there and back */
        random = random * 1664525 + 1013904223;
        assert_as_it_was(&b, r, 1 + (random >> 8) % r->n);
    }
    bed_close(&b);
}

static double clock_of(const struct replay_reel *r, nsec at)
{
    AUTO_BUF json = BUF_INIT;
    AUTO_JSON *view = NULL;
    r->view(&r->seats[0], at, &json, r->data);
    assert_int_equal(jsonx_parse(json.text, json.len, "a view", &view, NULL), 0);
    return json_number_value(json_object_get(json_object_get(view, "exercise"), "clock_s"));
}

static void moments_go_with_the_exercise_clock(void **state)
{
    static struct bed b;
    bed_open(&b, "replay");
    CLEANUP(reel_close_p) struct reel *reel = reel_of_bed(&b);
    const struct replay_reel *r = reel_of(reel);
    size_t chapter = 0, n = 0;
    while (chapter < r->n_chapters && !strstr(r->chapters[chapter].text, "First reports"))
        chapter++;
    assert_in_range(chapter, 1, r->n_chapters - 2);
    nsec at = r->chapters[chapter].at;
    while (r->moments[n] <= at)
        n++;
    r->turn(n, r->data);
    assert_true(clock_of(r, at) == 60);
    assert_true(clock_of(r, at + 30 * NSEC_SEC) == 90); /* between two lines it goes on */
    assert_true(clock_of(r, NSEC_INF / 2) * 1e9 ==
                60e9 + (double)(r->moments[n] - r->moments[n - 1])); /* not over the next one */
    assert_int_equal(r->moments[0], 0);
    for (size_t i = 1; i < r->n; i++)
        assert_true(r->moments[i] >= r->moments[i - 1]);
    assert_in_range(r->moments[r->n - 1], 1800 * NSEC_SEC, 1900 * NSEC_SEC);
    bed_close(&b);
}

/* The reel is refused with a sentence that has these words. */
static void assert_refused(const struct bed *b, const struct scenario *s, const char *words)
{
    struct reel *r = NULL;
    struct err err = ERR_INIT;
    assert_true(reel_open(b->dirfd, s, &r, &err) < 0);
    assert_null(r);
    if (!strstr(err.text, words))
        fail_msg("'%s' is not in: %s", words, err.text);
}

static void what_is_no_exercise_s_record_is_refused(void **state)
{
    static struct bed b;
    AUTO_FREE char *text = NULL;
    size_t n = 0;
    bed_open(&b, "exercise");
    CLEANUP(scenario_free_p)
    struct scenario *other = load(TEST_ROOT "/scenarios/exercise/region-outage.yaml");
    assert_refused(&b, other, "record.ndjson, line ");
    assert_int_equal(file_read(b.dirfd, "record.ndjson", 1 << 22, &text, &n, NULL), 0);
    /* The end of its last line is missing: it is left out. */
    assert_int_equal(file_replace(b.dirfd, "record.ndjson", text, n - 9, NULL), 0);
    CLEANUP(reel_close_p) struct reel *torn = reel_of_bed(&b);
    assert_int_equal(reel_of(torn)->n, b.n - 1);
    /* A word of somebody was changed later. */
    char *word = strstr(text, "Every minute");
    assert_non_null(word);
    word[0] = 'e';
    assert_int_equal(file_replace(b.dirfd, "record.ndjson", text, n, NULL), 0);
    assert_refused(&b, b.scenario, "record.ndjson");
    assert_int_equal(unlinkat(b.dirfd, "record.ndjson", 0), 0);
    assert_refused(&b, b.scenario, "record.ndjson");
    bed_close(&b);
    bed_open(&b, "forecast");
    assert_refused(&b, b.scenario, "the record of a forecast, not of an exercise");
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_sees_what_they_saw),
        cmocka_unit_test(moments_go_with_the_exercise_clock),
        cmocka_unit_test(what_is_no_exercise_s_record_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
