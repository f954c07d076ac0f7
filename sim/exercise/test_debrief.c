/* The debrief: anonymous answers that nobody can link, also after a death; corrective actions, said and written. */
#include "tests/support/test.h"

#include "scenarios/scenario.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/exercise/ballot.h"
#include "sim/exercise/command.h"
#include "sim/exercise/console.h"
#include "sim/exercise/corrective.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct world {
    struct scenario *scenario;
    struct loop *loop;
    struct conduct *c;
    char dir[64];
    int dirfd;
};

static void open_it(struct world *w, bool resume)
{
    struct err err = ERR_INIT;
    assert_int_equal(loop_new(LOOP_VIRTUAL, &w->loop, &err), 0);
    struct conduct_spec spec = {.loop = w->loop,
                                .scenario = w->scenario,
                                .dirfd = w->dirfd,
                                .speed = 1,
                                .on_virtual_clock = true};
    if (!resume)
        spec.run_start = json_pack("{s:i, s:s, s:s}", "record", 1, "mode", "exercise", "id", "abc");
    if ((resume ? conduct_resume(&spec, &w->c, &err) : conduct_new(&spec, &w->c, &err)) < 0)
        fail_msg("%s", err.text);
}

/* As a kill leaves it. */
static void shut(struct world *w)
{
    w->c = conduct_free(w->c);
    w->loop = loop_free(w->loop);
}

static int does(struct world *w, const char *person, const char *role, const char *command,
                struct err *err)
{
    struct viewer who = {person, role};
    return command_do_text(w->c, &who, command, strlen(command), err);
}

static void must(struct world *w, const char *person, const char *role, const char *command)
{
    struct err err = ERR_INIT;
    if (does(w, person, role, command, &err) < 0)
        fail_msg("%s: %s", command, err.text);
}

/* In the debrief, with everybody there. */
static int setup(void **state)
{
    static const char *const people[][2] = {{"frank", "facilitator"},
                                            {"eve", "evaluator"},
                                            {"alice", "commander"},
                                            {"bob", "technical"},
                                            {"carla", "communications"}};
    AUTO_DIAGS diags = DIAGS_INIT;
    struct world *w = calloc(1, sizeof *w);
    const char *name = NULL;
    assert_non_null(w);
    assert_int_equal(
        scenario_load(TEST_ROOT "/tests/corpus/good/exercise.yaml", NULL, &diags, &w->scenario), 0);
    snprintf(w->dir, sizeof w->dir, "/tmp/blackstart-debrief-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    w->dirfd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    open_it(w, false);
    for (size_t i = 0; i < ARRAY_SIZE(people); i++)
        assert_int_equal(command_join(w->c, people[i][0], people[i][1], &name, NULL), 0);
    must(w, "frank", "facilitator", "{\"do\":\"go\"}");
    must(w, "frank", "facilitator", "{\"do\":\"end\"}");
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    shut(w);
    close(w->dirfd);
    assert_int_equal(file_remove_tree(AT_FDCWD, w->dir, NULL), 0);
    scenario_free(w->scenario);
    free(w);
    return 0;
}

static char *on_disk(const struct world *w, const char *name)
{
    char *text = NULL;
    size_t n = 0;
    assert_int_equal(file_read(w->dirfd, name, 1 << 20, &text, &n, NULL), 0);
    return text;
}

static void in_order(const char *text, const char *first, const char *second)
{
    const char *at = strstr(text, first);
    if (!at || !strstr(at, second))
        fail_msg("no %s and then %s in %s", first, second, text);
}

#define ANSWER(text) "{\"do\":\"debrief\",\"answers\":[\"" text "\",null]}"

/* --- Anonymous answers --- */

static void what_was_answered_is_not_linked_to_who_did(void **state)
{
    struct world *w = *state;
    must(w, "carla", "communications", ANSWER("zebra"));
    must(w, "bob", "technical", ANSWER("apple"));
    must(w, "alice", "commander", ANSWER("mango"));
    AUTO_FREE char *box = on_disk(w, BALLOT_FILE), *before = on_disk(w, "record.ndjson");
    assert_null(strstr(before, "zebra"));
    assert_null(strstr(before, "apple"));
    in_order(box, "apple", "mango");
    in_order(box, "mango", "zebra");
    in_order(box, "alice", "bob");
    in_order(box, "bob", "carla");
    must(w, "frank", "facilitator", "{\"do\":\"end\"}");
    AUTO_FREE char *after = on_disk(w, "record.ndjson");
    assert_non_null(
        strstr(after, "\"anonymous\":[[\"apple\",null],[\"mango\",null],[\"zebra\",null]]"));
    assert_int_equal(faccessat(w->dirfd, BALLOT_FILE, F_OK, 0), -1);
    const struct state *st = conduct_state(w->c);
    assert_true(st->n_answers == 3 && state_answered(st) == 3 && !st->answers[0].by);
}

static void nobody_answers_twice_not_even_after_a_death(void **state)
{
    struct world *w = *state;
    struct err err = ERR_INIT;
    must(w, "bob", "technical", ANSWER("apple"));
    assert_int_equal(does(w, "bob", "technical", ANSWER("pear"), &err), -EALREADY);
    shut(w);
    open_it(w, true);
    assert_int_equal(does(w, "bob", "technical", ANSWER("pear"), &err), -EALREADY);
    must(w, "alice", "commander", ANSWER("mango"));
    must(w, "frank", "facilitator", "{\"do\":\"end\"}");
    assert_int_equal(conduct_state(w->c)->n_answers, 2);
}

/* Killed between the box and the line: the box knows, and the record is told. */
static void a_death_in_between_loses_nothing(void **state)
{
    struct world *w = *state;
    struct err err = ERR_INIT;
    AUTO_JSON *answer = json_pack("[s, n]", "apple");
    assert_int_equal(ballot_put(w->dirfd, "bob", "k1", answer, NULL), 0);
    shut(w);
    open_it(w, true);
    assert_true(state_has_answered(conduct_state(w->c), "bob"));
    assert_int_equal(does(w, "bob", "technical", ANSWER("pear"), &err), -EALREADY);
    /* the form that was sent again has its effect once, and is no error */
    assert_int_equal(does(w, "bob", "technical",
                          "{\"do\":\"debrief\",\"answers\":[\"apple\",null],\"key\":\"k1\"}", &err),
                     0);
    must(w, "frank", "facilitator", "{\"do\":\"end\"}");
    assert_int_equal(conduct_state(w->c)->n_answers, 1);
}

/* Killed between the line with the texts and the end. */
static void the_box_is_opened_once(void **state)
{
    struct world *w = *state;
    struct err err = ERR_INIT;
    must(w, "bob", "technical", ANSWER("apple"));
    assert_int_equal(
        conduct_write(w->c, "debrief",
                      json_pack("{s:s, s:[[s, n]]}", "event", "opened", "anonymous", "apple"),
                      NULL),
        0);
    shut(w);
    open_it(w, true);
    assert_int_equal(faccessat(w->dirfd, BALLOT_FILE, F_OK, 0), -1);
    assert_int_equal(does(w, "alice", "commander", ANSWER("late"), &err), -EALREADY);
    must(w, "frank", "facilitator", "{\"do\":\"end\"}");
    assert_int_equal(conduct_state(w->c)->n_answers, 1);
}

static void a_box_that_is_none_is_told(void **state)
{
    struct world *w = *state;
    struct err err = ERR_INIT;
    assert_int_equal(file_replace(w->dirfd, BALLOT_FILE, "[1]", 3, NULL), 0);
    assert_int_equal(does(w, "bob", "technical", ANSWER("apple"), &err), -EBADMSG);
    assert_non_null(strstr(err.text, BALLOT_FILE));
}

/* --- Corrective actions --- */

static void corrective_actions_are_said_at_the_debrief(void **state)
{
    struct world *w = *state;
    struct viewer frank = {"frank", "facilitator"};
    AUTO_BUF out = BUF_INIT;
    static const struct {
        const char *person, *role, *command;
        int rc;
    } rows[] = {
        {"eve", "evaluator", "{\"do\":\"note\",\"what\":\"corrective\",\"text\":\"Train\"}", 0},
        {"eve", "evaluator",
         "{\"do\":\"note\",\"what\":\"corrective\",\"text\":\"Train\",\"area\":\"a\",\"owner\":"
         "\"o\",\"contact\":\"c\",\"element\":\"training\",\"start\":\"2027-01-04\",\"due\":"
         "\"2027-01-31\",\"objective\":\"declare\"}",
         0},
        {"alice", "commander", "{\"do\":\"note\",\"what\":\"corrective\",\"text\":\"x\"}", -EACCES},
        {"alice", "commander", "{\"do\":\"note\",\"text\":\"x\",\"owner\":\"o\"}", -EINVAL},
        {"eve", "evaluator", "{\"do\":\"note\",\"text\":\"x\",\"due\":\"2027-01-31\"}", -EINVAL},
        {"eve", "evaluator",
         "{\"do\":\"note\",\"what\":\"corrective\",\"text\":\"x\",\"due\":\"2027-02-30\"}",
         -EINVAL},
        {"eve", "evaluator",
         "{\"do\":\"note\",\"what\":\"corrective\",\"text\":\"x\",\"element\":\"magic\"}", -EINVAL},
        {"eve", "evaluator",
         "{\"do\":\"note\",\"what\":\"corrective\",\"text\":\"x\",\"start\":\"2027-02-02\","
         "\"due\":\"2027-02-01\"}",
         -EINVAL},
        {"eve", "evaluator",
         "{\"do\":\"note\",\"what\":\"corrective\",\"text\":\"x\",\"objective\":\"nowhere\"}",
         -ENOENT},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct err err = ERR_INIT;
        int rc = does(w, rows[i].person, rows[i].role, rows[i].command, &err);
        if (rc != rows[i].rc)
            fail_msg("%s: %d, %s", rows[i].command, rc, err.text);
    }
    assert_int_equal(
        console_line(w->c, &frank, "corrective Platform 2027-01-31 - Rehearse it", &out), 0);
    AUTO_FREE char *record = on_disk(w, "record.ndjson");
    assert_non_null(strstr(record, "\"what\":\"corrective\",\"owner\":\"Platform\",\"due\":"
                                   "\"2027-01-31\",\"by\":\"frank\""));
}

static void days_are_those_of_the_calendar(void **state)
{
    static const struct {
        const char *text;
        bool is;
    } rows[] = {{"2027-01-31", true},  {"2028-02-29", true},   {"2027-02-29", false},
                {"2000-02-29", true},  {"1900-02-29", false},  {"2027-04-31", false},
                {"2027-13-01", false}, {"2027-00-01", false},  {"2027-01-00", false},
                {"27-01-31", false},   {"2027-01-31x", false}, {"2027/01/31", false},
                {"", false},           {"2027-1-031", false},  {"0000-01-01", false}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (corrective_is_date(rows[i].text) != rows[i].is)
            fail_msg("%s", rows[i].text);
}

static int load(const struct world *w, const char *text, struct corrective **ret, size_t *ret_n,
                struct arena *arena, struct buf *said)
{
    AUTO_DIAGS diags = DIAGS_INIT;
    int rc =
        corrective_load(arena, text, strlen(text), "plan.yaml", w->scenario, 2, &diags, ret, ret_n);
    diags_render(&diags, said);
    return rc;
}

static void a_file_of_them_is_read(void **state)
{
    struct world *w = *state;
    CLEANUP(arena_free_p) struct arena *arena = arena_new();
    struct corrective *all = NULL;
    size_t n = 0;
    AUTO_BUF said = BUF_INIT;
    assert_int_equal(
        load(w,
             "actions:\n"
             "  - {area: 2, action: Train, element: training, owner: Ops, contact: bob,\n"
             "     start: 2027-01-04, due: 2027-01-31}\n"
             "  - {area: \"7\", objective: declare, action: Print it}\n",
             &all, &n, arena, &said),
        0);
    assert_int_equal(n, 2);
    assert_true(all[0].area_n == 2 && !all[0].area);
    assert_string_equal(all[0].due, "2027-01-31");
    assert_true(!all[1].area_n && all[1].objective);
    assert_string_equal(all[1].area, "7"); /* quoted: a text */
    assert_null(all[1].owner);
}

static void what_is_wrong_in_it_is_told_with_line_and_column(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"actions:\n  - {owner: Ops}\n", "plan.yaml:2:5: error: what is to be done?"},
        {"actions:\n  - {action: x, area: 3}\n",
         "plan.yaml:2:23: error: there is no area for improvement 3: the report has 2"},
        {"actions:\n  - {action: x, area: 0}\n", "plan.yaml:2:23: error: there is no area"},
        {"actions:\n  - {action: x, element: trainign}\n",
         "plan.yaml:2:26: error: there is no capability element 'trainign'; did you mean "
         "'training'?"},
        {"actions:\n  - {action: x, due: 2027-02-30}\n",
         "plan.yaml:2:22: error: 'due' is a day like 2027-01-31, not '2027-02-30'"},
        {"actions:\n  - {action: x, start: 2027-02-02, due: 2027-02-01}\n",
         "plan.yaml:2:41: error: it is due (2027-02-01) before it starts (2027-02-02)"},
        {"actions:\n  - {action: x, ownr: y}\n",
         "plan.yaml:2:17: error: a corrective action has no 'ownr'; did you mean 'owner'?"},
        {"actions:\n  - {action: x, objective: declar}\n",
         "plan.yaml:2:28: error: there is no objective 'declar'; did you mean 'declare'?"},
        {"actions:\n  - {action: x, area: 1, objective: declare}\n",
         "plan.yaml:2:37: error: area 1 has its objective already"},
        {"actions:\n  - {action: [x]}\n", "plan.yaml:2:14: error: 'action' is a text"},
        {"actions:\n  - word\n", "plan.yaml:2:5: error: a corrective action is a mapping"},
        {"actions: {a: b}\n", "plan.yaml:1:1: error: a file of corrective actions has 'actions'"},
        {"other: []\n", "plan.yaml:1:1: error: a file of corrective actions"},
        {"actions: [\n", "plan.yaml:"},
        {"", "plan.yaml:"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CLEANUP(arena_free_p) struct arena *arena = arena_new();
        struct corrective *all = NULL;
        size_t n = 0;
        AUTO_BUF said = BUF_INIT;
        assert_int_equal(load(w, rows[i].text, &all, &n, arena, &said), -EINVAL);
        if (strncmp(buf_text(&said), rows[i].says, strlen(rows[i].says)) != 0)
            fail_msg("%s\n%s", rows[i].text, buf_text(&said));
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_was_answered_is_not_linked_to_who_did),
        T(nobody_answers_twice_not_even_after_a_death),
        T(a_death_in_between_loses_nothing),
        T(the_box_is_opened_once),
        T(a_box_that_is_none_is_told),
        T(corrective_actions_are_said_at_the_debrief),
        T(days_are_those_of_the_calendar),
        T(a_file_of_them_is_read),
        T(what_is_wrong_in_it_is_told_with_line_and_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
