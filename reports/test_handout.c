/* Materials before the day: each has what it is for, and the player's sheet tells nothing ahead. */
#include "tests/support/test.h"

#include "reports/handout.h"
#include "scenarios/scenario.h"
#include "sim/base/file.h"

#include <fcntl.h>

#define SCENARIO TEST_ROOT "/tests/corpus/good/exercise.yaml"

static int setup(void **state)
{
    AUTO_DIAGS diags = DIAGS_INIT;
    struct scenario *s = NULL;
    assert_int_equal(scenario_load(SCENARIO, NULL, &diags, &s), 0);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    scenario_free(*state);
    return 0;
}

static char *sheet(const struct scenario *s, enum handout which, enum document_form form)
{
    struct buf out = BUF_INIT;
    handout_compose(s, which, form, &out);
    return buf_steal(&out);
}

static void has(const char *text, const char *what)
{
    if (!strstr(text, what))
        fail_msg("it does not say: %s\n%s", what, text);
}

static void has_not(const char *text, const char *what)
{
    if (what && *what && strstr(text, what))
        fail_msg("it tells ahead: %s\n%s", what, text);
}

static void has_none(const char *text, const struct strv *v)
{
    for (size_t i = 0; i < v->n; i++)
        has_not(text, v->items[i]);
}

static void nothing_of_step(const char *text, const struct step *step)
{
    const struct people_common *common = step_common(step);
    const struct expect *expect = step_expect(step);
    const struct tell_params *tell = step->params;
    const struct decide_params *decide = step->params;
    if (!common)
        return;
    has_not(text, common->title);
    has_not(text, common->notes);
    has_not(text, common->date);
    has_not(text, expect ? expect->does : NULL);
    if (step_people(step) == PEOPLE_TELL)
        has_not(text, tell->message);
    if (step_people(step) != PEOPLE_DECIDE)
        return;
    has_not(text, decide->question);
    has_not(text, decide->impact);
    has_not(text, decide->authority);
    has_none(text, &decide->options);
}

static void a_players_sheet_tells_nothing_ahead(void **state)
{
    struct scenario *s = *state;
    for (int form = DOCUMENT_MARKDOWN; form <= DOCUMENT_HTML; form++) {
        AUTO_FREE char *whole = sheet(s, HANDOUT_PLAYER, (enum document_form)form);
        const char *text = form == DOCUMENT_HTML ? strstr(whole, "</style>") : whole;
        for (size_t i = 0; i < s->script.n; i++)
            nothing_of_step(text, s->script.items[i]);
        for (size_t i = 0; i < s->exercise.phases.n; i++) {
            const struct phase *p = s->exercise.phases.items[i];
            has_not(text, p->title);
            has_not(text, p->situation);
            has_not(text, p->date);
            has_not(text, p->entry);
            has_not(text, p->exit);
        }
        for (size_t i = 0; i < s->exercise.objectives.n; i++) {
            const struct exercise_objective *o = s->exercise.objectives.items[i];
            has_not(text, o->text);
            has_none(text, &o->tasks);
        }
        has_not(text, s->title);
        has_not(text, s->name);
        has_not(text, s->why);
        has_not(text, s->exercise.overview->summary);
        has_not(text, s->exercise.overview->hazard);
        has(text, "Room 4.12");
        has(text, "4 December 2026, 10:00");
        has(text, "Incident commander");
        has(text, "alice");
        has(text, "carol");
    }
}

static void each_has_what_it_is_for(void **state)
{
    struct scenario *s = *state;
    AUTO_FREE char *manual = sheet(s, HANDOUT_SITUATION, DOCUMENT_MARKDOWN);
    AUTO_FREE char *leads = sheet(s, HANDOUT_FACILITATOR, DOCUMENT_MARKDOWN);
    AUTO_FREE char *rates = sheet(s, HANDOUT_EVALUATOR, DOCUMENT_MARKDOWN);
    has(manual, "- **Situation:** It is Friday afternoon. Support has a queue.");
    has(manual, "- **Ends when:** Somebody commands.");
    has(manual, "- **To decide:** Promote the replica, which is 40 seconds behind?");
    has(manual, "- **Critical tasks:** Name an incident commander, Open a bridge");
    has(manual, "- The monitoring tells the truth.");
    has(manual, "Not for players");
    has(leads, "- **Message, word for word:** Twelve customers in ten minutes");
    has(leads, "- **Planned at:** 0:01:00");
    has(leads, "- **Notes:** If they ask how many customers");
    has(leads, "- **Options:** wait, promote");
    has(leads, "- **If nobody decides:** wait");
    has(leads, "- **Inject:** contingency");
    has(leads, "| Initial notification | DORA Art. 19 | Financial supervisor | 4 h |");
    has(leads, "- What did you miss?");
    has(rates, "- **P:** performed without challenges");
    has(rates, "| 1 | 0:01:00 | Declares an incident | 5 min | If they ask");
    has(rates, "- **Evaluator, contact:** \\_\\_\\_\\_\\_\\_");
}

static void all_are_written(void **state)
{
    char folder[] = "/tmp/blackstart-handouts-XXXXXX";
    struct err err = ERR_INIT;
    assert_non_null(mkdtemp(folder));
    AUTO_CLOSE int dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(handout_write(*state, dirfd, &err), 0);
    for (size_t i = 0; i < HANDOUTS; i++) {
        AUTO_FREE char *text = NULL;
        char name[64];
        size_t n = 0;
        snprintf(name, sizeof name, "%s.html", handout_names[i]);
        assert_int_equal(file_read(dirfd, name, 1 << 20, &text, &n, NULL), 0);
        has(text, "</html>");
    }
    assert_int_equal(file_remove_tree(AT_FDCWD, folder, NULL), 0);
}

static void hostile_texts_stay_texts(void **state)
{
    struct scenario *s = *state;
    char evil[] = "<script>x</script>\n## | y";
    s->exercise.overview->location = evil;
    s->exercise.overview->hazard = evil;
    ((struct phase *)s->exercise.phases.items[0])->situation = evil;
    for (int i = 0; i < HANDOUTS; i++)
        for (int form = DOCUMENT_MARKDOWN; form <= DOCUMENT_HTML; form++) {
            AUTO_FREE char *text = sheet(s, (enum handout)i, (enum document_form)form);
            assert_null(strstr(text, "<script"));
            if (form == DOCUMENT_MARKDOWN)
                assert_null(strstr(text, "\n## |"));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_players_sheet_tells_nothing_ahead, setup, teardown),
        cmocka_unit_test_setup_teardown(each_has_what_it_is_for, setup, teardown),
        cmocka_unit_test_setup_teardown(all_are_written, setup, teardown),
        cmocka_unit_test_setup_teardown(hostile_texts_stay_texts, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
