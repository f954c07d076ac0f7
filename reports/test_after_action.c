/* A scripted exercise, its record written by hand: the after-action report has every field of its standard
 * structure, its times are the script's, and nobody's text becomes markup. */
#include "reports/test_after_action_kit.h"

#include "sim/base/file.h"
#include "sim/base/jsonx.h"

#include <fcntl.h>

#define SCENARIO TEST_ROOT "/tests/corpus/good/exercise.yaml"
#define HOSTILE "<script>alert(1)</script> | # *x*\n## y `z`"

static int setup(void **state)
{
    size_t n = 0;
    AUTO_FREE char *yaml = NULL;
    assert_int_equal(file_read(AT_FDCWD, SCENARIO, 1 << 20, &yaml, &n, NULL), 0);
    *state = played_new(yaml, 10);
    return 0;
}

static int teardown(void **state)
{
    played_free(*state);
    return 0;
}

/* One line at so many seconds of the exercise clock, which goes ten times as fast as the wall's. */
static int64_t line(struct played *w, const char *kind, int at, const char *members)
{
    return played_line(w, kind, at * NSEC_SEC, members);
}

static void begin(struct played *w, const char *mode)
{
    AUTO_BUF start = BUF_INIT;
    buf_printf(&start,
               "{\"record\":1,\"blackstart\":\"0.1.0\",\"id\":\"abc\",\"mode\":\"%s\",\"scenario\":"
               "{\"name\":\"small-exercise\"},\"wall\":\"2026-12-04T10:00:00.000Z\",\"speed\":10}",
               mode);
    line(w, "run-start", 0, buf_text(&start));
    static const char *const people[][2] = {{"frank", "facilitator"},
                                            {"eve", "evaluator"},
                                            {"alice", "commander"},
                                            {"carla", "communications"},
                                            {"mallory", "technical"}};
    for (size_t i = 0; i < ARRAY_SIZE(people); i++) {
        AUTO_BUF join = BUF_INIT;
        buf_printf(&join, "{\"person\":\"%s\",\"role\":\"%s\",\"event\":\"join\"}", people[i][0],
                   people[i][1]);
        line(w, "join", 0, buf_text(&join));
    }
}

static void first_half(struct played *w)
{
    AUTO_BUF decision = BUF_INIT;
    line(w, "pace", 0, "{\"event\":\"go\",\"by\":\"frank\",\"role\":\"facilitator\"}");
    line(w, "service", 0, "{\"service\":\"checkout\",\"event\":\"down\",\"step\":\"outage\"}");
    line(w, "phase", 0, "{\"phase\":\"signs\"}");
    int64_t told = line(
        w, "deliver", 60,
        "{\"step\":\"first-report\",\"number\":\"1\",\"to\":[\"commander\",\"communications\"],"
        "\"from\":\"Customer support\",\"channel\":\"phone\",\"title\":\"First reports\",\"text\":"
        "\"Twelve customers in ten minutes say that they cannot pay.\",\"what\":\"inject\",\"due\":"
        "60000000000}");
    line(w, "status", 60, "{\"step\":\"updates\",\"event\":\"opened\"}");
    line(w, "expected", 180, "{\"step\":\"bridge\",\"event\":\"due\"}");
    line(w, "expected", 300,
         "{\"step\":\"first-report\",\"event\":\"done\",\"by\":\"eve\",\"role\":\"evaluator\"}");
    line(w, "page", 300,
         "{\"step\":\"page-technical\",\"event\":\"paged\",\"n\":1,\"to\":[\"commander\"],\"text\":"
         "\"CRITICAL: orders-db is not answering\"}");
    line(w, "page", 360,
         "{\"step\":\"page-technical\",\"event\":\"acknowledged\",\"by\":\"alice\",\"role\":"
         "\"commander\"}");
    line(w, "expected", 480, "{\"step\":\"bridge\",\"event\":\"missed\"}");
    line(w, "question", 480,
         "{\"step\":\"failover\",\"who\":\"commander\",\"question\":\"Promote?\",\"options\":["
         "\"wait\",\"promote\"],\"deadline\":780000000000}");
    line(w, "status", 510,
         "{\"step\":\"updates\",\"event\":\"sent\",\"n\":1,\"to\":[\"commander\"],\"text\":"
         "\"Customers cannot pay.\",\"by\":\"carla\",\"role\":\"communications\"}");
    line(w, "expected", 570,
         "{\"step\":\"bridge\",\"event\":\"done\",\"late\":true,\"by\":\"eve\",\"role\":"
         "\"evaluator\"}");
    buf_printf(&decision,
               "{\"step\":\"failover\",\"option\":\"promote\",\"by\":\"alice\",\"role\":"
               "\"commander\",\"reason\":\"Every minute costs more.\",\"asked\":480000000000,"
               "\"informed\":[%lld]}",
               (long long)told);
    line(w, "decision", 660, buf_text(&decision));
    line(w, "deadline", 660, "{\"name\":\"notice\",\"event\":\"started\"}");
    line(w, "phase", 660, "{\"phase\":\"recovery\"}");
}

static void second_half(struct played *w, int restored)
{
    line(w, "approval", 660, "{\"step\":\"consent\",\"event\":\"asked\"}");
    line(w, "approval", 700,
         "{\"step\":\"consent\",\"event\":\"given\",\"by\":\"alice\",\"role\":\"commander\"}");
    line(w, "approval", 720,
         "{\"step\":\"consent\",\"event\":\"given\",\"by\":\"mallory\",\"role\":\"technical\","
         "\"complete\":true}");
    line(w, "checklist", 720,
         "{\"step\":\"promote\",\"event\":\"opened\",\"runbook\":\"promote\"}");
    line(w, "checklist", 900, "{\"step\":\"promote\",\"event\":\"late\",\"n\":1}");
    line(w, "expected", 900, "{\"step\":\"notify\",\"event\":\"due\"}");
    line(w, "status", 1020, "{\"step\":\"updates\",\"event\":\"missed\",\"n\":2}");
    line(w, "expected", 1080,
         "{\"step\":\"notify\",\"event\":\"done\",\"by\":\"eve\",\"role\":\"evaluator\"}");
    line(w, "deadline", 1080, "{\"name\":\"notice\",\"event\":\"met\"}");
    if (restored)
        line(w, "service", restored,
             "{\"service\":\"checkout\",\"event\":\"up\",\"step\":\"outage\"}");
    line(w, "note", 1500,
         "{\"what\":\"strength\",\"objective\":\"declare\",\"text\":\"One person spoke for all.\","
         "\"by\":\"eve\",\"role\":\"evaluator\"}");
    line(w, "note", 1510,
         "{\"what\":\"improvement\",\"objective\":\"declare\",\"text\":\"Nobody wrote down who "
         "commands.\",\"by\":\"eve\",\"role\":\"evaluator\"}");
    line(w, "rating", 1520,
         "{\"step\":\"first-report\",\"rating\":\"S\",\"note\":\"One minute before the nudge.\","
         "\"by\":\"eve\",\"role\":\"evaluator\"}");
    line(w, "rating", 1530,
         "{\"objective\":\"declare\",\"rating\":\"U\",\"by\":\"eve\",\"role\":\"evaluator\"}");
    line(w, "rating", 1540, /* the evaluator thought again */
         "{\"objective\":\"declare\",\"rating\":\"S\",\"by\":\"eve\",\"role\":\"evaluator\"}");
}

static void debrief(struct played *w)
{
    line(w, "pace", 1800, "{\"event\":\"debrief\"}");
    line(w, "debrief", 1800, "{\"answers\":[\"The checklist\",null]}");
    line(w, "debrief", 1800, "{\"answers\":[\"Short updates\",\"Numbers\"]}");
    line(w, "run-end", 1800, "{\"status\":\"completed\",\"wall\":\"2026-12-04T10:03:00.000Z\"}");
}

static void played(struct played *w, const char *mode, int restored)
{
    begin(w, mode);
    first_half(w);
    second_half(w, restored);
    debrief(w);
    played_report(w);
}

static const char *verdict_of(const struct played *w, size_t objective)
{
    return jsonx_str(json_array_get(json_object_get(w->result, "objectives"), objective), "verdict",
                     "");
}

static void measure_is(const struct played *w, const char *name, int n, int of)
{
    const json_t *m = json_object_get(json_object_get(w->result, "measures"), name);
    assert_int_equal(jsonx_int(m, "n", -1), n);
    assert_int_equal(jsonx_int(m, "of", -1), of);
}

/* --- Tests --- */

static void the_overview_has_every_field(void **state)
{
    struct played *w = *state;
    played(w, "exercise", 1140);
    played_has_field(w, "Exercise name", "Checkout fails, and the replica is behind");
    played_has_field(w, "Dates",
                     "planned: 4 December 2026, 10:00; began 2026-12-04T10:00:00.000Z; ended "
                     "2026-12-04T10:03:00.000Z");
    played_has_field(w, "Type", "discussion-based (tabletop) exercise");
    played_has_field(w, "Scope", "A discussion of 30 minutes; no system is touched.");
    played_has_field(w, "Duration", "30 min on the exercise clock; planned: 30 min");
    played_has_field(w, "Location", "Room 4.12");
    played_has_field(w, "Mission areas", "Response, Recovery");
    played_has_field(w, "Core capabilities", "Incident command, Recovery");
    played_has_field(w, "Objectives",
                     "1. Recognize a major incident and declare it; 2. Bring checkout");
    played_has_field(w, "Threat or hazard", "Loss of a database");
    played_has_field(w, "Scenario", "The orders database fails on a Friday.");
    played_has_field(w, "Sponsor", "Head of operations");
    played_has_field(w, "Participating organisations", "2: Platform, Customer support");
    played_has_field(w, "Point of contact", "resilience@example.com");
    played_has_field(w, "Assumptions and artificialities", "The monitoring tells the truth.");
}

static void the_analysis_and_the_plan_have_every_column(void **state)
{
    struct played *w = *state;
    played(w, "exercise", 1140);
    played_has(w->md,
               "| objective | core capability | capability target | rating | verdict | why |");
    played_has(w->md,
               "| Recognize a major incident and declare it | Incident command | Declared within 5 "
               "minutes of the first report | S | met | performed with some challenges |");
    played_has(w->md, "rto of checkout: 20 min | not rated | not demonstrated | not rated by any "
                      "evaluator; checkout was down for 19 min, the promise is 20 min |");
    played_has(w->md, "- One person spoke for all. (eve, evaluator, 0:25:00)");
    played_has(w->md, "| area for improvement | reference | analysis | seen by | at |");
    played_has(w->md, "| Nobody wrote down who commands. | Incident response plan, section 3 | "
                      "\\_\\_\\_\\_\\_\\_ | eve, evaluator | 0:25:10 |");
    played_has(w->md,
               "Opens a bridge and says who commands (commander): done after 6 min 30 s of 5 min, "
               "late");
    played_has(w->md,
               "| core capability | area for improvement | corrective action | capability element "
               "| responsible organisation | point of contact | start date | completion date |");
    played_has(w->html,
               "<td>Incident command</td><td>Nobody wrote down who commands.</td><td>______</td>"
               "<td>______</td><td>______</td><td>______</td><td>______</td><td>______</td>");
    played_has(w->md, "- Name an incident commander");
    played_has(
        w->md,
        "| Technical lead | player | Knows the systems. | bob, dan | – | mallory (from "
        "0:00:00) | mallory was not planned; bob did not take part; dan did not take part |");
    played_has(w->md, "nobody took this role");
    played_has(w->md, "**Independence:** nobody had more than one");
}

static void the_logs_have_the_scripts_times(void **state)
{
    struct played *w = *state;
    played(w, "exercise", 1140);
    played_has_field(w, "Options", "wait, promote");
    played_has_field(w, "Choice", "promote");
    played_has_field(w, "Reason", "Every minute costs more.");
    played_has_field(w, "By", "alice");
    played_has_field(w, "Role", "commander");
    played_has_field(w, "Asked at", "0:08:00");
    played_has_field(w, "Due at", "0:13:00");
    played_has_field(w, "Decided at", "0:11:00");
    played_has_field(w, "Took", "3 min");
    played_has_field(w, "Information at hand", "0:01:00 1 First reports");
    played_has_field(w, "Authority", "Continuity plan 4.2");
    played_has_field(w, "Reversible", "no");
    played_has_field(w, "Impact on customers and duties", "Orders of the last 40 seconds");
    played_has(w->md, "| inject | 0:01:00 | 0:01:00 | on time | Customer support | commander, "
                      "communications | phone | First reports | Twelve customers");
    played_has(w->md, "| status update 1 | 0:09:00 | 0:08:30 | on time |");
    played_has(w->md, "| status update 2 | 0:17:00 | – | not sent when due |");
    played_has(w->md, "| 1 | commander | 0:05:00 | 0:05:00 | acknowledged by alice at 0:06:00 |");
    played_has(w->md, "| 0:09:00 | – | not needed |");
    played_has(w->md,
               "| Initial notification | DORA Art. 19 | Financial supervisor | 4 h | 0:11:00 | "
               "4:11:00 | 0:18:00 | met |");
    played_has(w->md,
               "| Declares an incident | commander | 0:01:00 | 0:06:00 | 0:05:00 | eve | in time | "
               "S | eve | One minute before the nudge. |");
    played_has(w->md, "| 0:03:00 | 0:08:00 | 0:09:30 | eve | late | not rated |");
    played_has(w->md, "| 0:11:00 | 0:01:06 | decision,"); /* the exercise clock, and the real one */
    played_has(w->md, "- **anonymous:** Short updates\n- **anonymous:** The checklist\n");
}

static void events_have_every_field_of_the_list(void **state)
{
    struct played *w = *state;
    played(w, "exercise", 1140);
    played_has(w->md, "| 1 | First reports | contextual inject | First signs | 0:01:00 | 0:01:00 | "
                      "delivered |");
    played_has_field(w, "Identifier", "first-report");
    played_has_field(w, "Simulated time", "Friday, 16:41");
    played_has_field(w, "Phase", "First signs");
    played_has_field(w, "Kind", "contextual inject");
    played_has_field(w, "Kind", "contingency inject");
    played_has_field(w, "Kind", "expected-action event");
    played_has_field(w, "Channel", "phone");
    played_has_field(w, "From", "Customer support");
    played_has_field(w, "To", "commander, communications");
    played_has_field(w, "Message", "Twelve customers in ten minutes");
    played_has_field(w, "Controller", "frank");
    played_has_field(w, "Expected action", "Declares an incident");
    played_has_field(w, "Objective", "Recognize a major incident");
    played_has_field(w, "Core capability", "Incident command");
    played_has_field(w, "Notes for facilitator and evaluators", "If they ask how many");
    played_has_field(w, "Status", "not delivered");
}

static void what_nobody_rated_is_not_demonstrated(void **state)
{
    struct played *w = *state;
    played(w, "exercise", 1140);
    assert_string_equal(verdict_of(w, 0), "met");
    assert_string_equal(verdict_of(w, 1), "not_demonstrated");
    assert_string_equal(w->out.verdict, "not_demonstrated");
    assert_int_equal(w->out.exit_code, 4);
    measure_is(w, "decisions_in_time", 1, 1);
    measure_is(w, "expected_in_time", 3, 5); /* late: bridge; open: the runbook */
    measure_is(w, "expected_done", 4, 5);
    measure_is(w, "clocks_met", 1, 1);
    measure_is(w, "updates_on_time", 1, 2);
    measure_is(w, "injects_delivered", 1, 2);
    played_has(w->junit, "tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"0\"");
    played_has(w->junit, "type=\"not_demonstrated\"");
    played_has(w->out.sentence, "1 of 2 objectives were met, 0 not met, 1 not demonstrated");
}

static void a_broken_promise_is_not_met_whatever_the_rating(void **state)
{
    struct played *w = *state;
    begin(w, "exercise");
    first_half(w);
    second_half(w, 0);
    line(w, "rating", 1550,
         "{\"objective\":\"restore\",\"rating\":\"P\",\"by\":\"eve\",\"role\":\"evaluator\"}");
    debrief(w);
    played_report(w);
    assert_string_equal(verdict_of(w, 1), "not_met");
    played_has(w->md, "checkout was down for 30 min or more, the promise is 20 min");
    assert_int_equal(w->out.exit_code, 1);
}

static void a_replay_has_no_verdict(void **state)
{
    struct played *w = *state;
    played(w, "replay", 1140);
    assert_string_equal(verdict_of(w, 0), "not_applicable");
    assert_string_equal(w->out.verdict, "not_applicable");
    assert_int_equal(w->out.exit_code, 0);
    played_has(w->html, "REPLAY");
    played_has(w->junit, "skipped=\"2\"");
}

static void a_record_without_its_end_is_reported(void **state)
{
    struct played *w = *state;
    begin(w, "exercise");
    first_half(w);
    played_report(w);
    assert_int_equal(w->out.exit_code, 5);
    played_has(w->md, "The exercise is not complete");
    played_has(w->junit, "errors=\"1\"");
}

/* Wherever people or servers may write. */
static void hostile_texts_stay_texts(void **state)
{
    struct played *w = *state;
    AUTO_JSON *evil = json_string(HOSTILE);
    AUTO_FREE char *text = json_dumps(evil, JSON_ENCODE_ANY);
    begin(w, "exercise");
    first_half(w);
    const struct {
        const char *kind, *format;
    } lines[] = {
        {"join", "{\"person\":%s,\"role\":\"technical\",\"event\":\"join\"}"},
        {"deliver", "{\"to\":[\"commander\"],\"from\":%1$s,\"channel\":%1$s,\"title\":%1$s,"
                    "\"text\":%1$s,\"what\":\"added\",\"by\":%1$s,\"role\":\"facilitator\"}"},
        {"status", "{\"step\":\"updates\",\"event\":\"sent\",\"n\":2,\"text\":%1$s,\"by\":%1$s,"
                   "\"role\":\"communications\"}"},
        {"note", "{\"what\":\"improvement\",\"text\":%1$s,\"by\":%1$s,\"role\":\"evaluator\"}"},
        {"note", "{\"what\":\"strength\",\"objective\":\"declare\",\"text\":%1$s,\"by\":%1$s,"
                 "\"role\":\"evaluator\"}"},
        {"rating", "{\"objective\":\"declare\",\"rating\":\"M\",\"note\":%1$s,\"by\":%1$s,\"role\":"
                   "\"evaluator\"}"},
        {"rating", "{\"step\":\"bridge\",\"rating\":\"M\",\"note\":%1$s,\"by\":%1$s,\"role\":"
                   "\"evaluator\"}"},
        {"mark", "{\"mark\":%1$s,\"text\":%1$s,\"by\":%1$s}"},
        {"trouble", "{\"what\":\"x\",\"detail\":%1$s}"},
        {"pace", "{\"event\":\"hold\",\"reason\":%1$s,\"by\":%1$s}"},
        {"debrief", "{\"answers\":[%1$s,%1$s],\"by\":%1$s,\"role\":\"technical\"}"},
        {"run-end", "{\"status\":\"aborted\",\"reason\":%1$s}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        AUTO_BUF whole = BUF_INIT;
        for (const char *p = lines[i].format; *p; p++) {
            size_t n = !strncmp(p, "%1$s", 4) ? 4 : !strncmp(p, "%s", 2) ? 2 : 0;
            if (n)
                buf_adds(&whole, text);
            else
                buf_addc(&whole, *p);
            p += n ? n - 1 : 0;
        }
        line(w, lines[i].kind, 700, buf_text(&whole));
    }
    played_report(w);
    assert_null(strstr(w->html, "<script"));
    assert_null(strstr(w->junit, "<script"));
    assert_null(strstr(w->md, "<script"));
    assert_null(strstr(w->md, "\n## y"));
    assert_null(strstr(w->md, "</script> |"));
    assert_null(strstr(w->md, " | # "));
    played_has(w->md, "&lt;script>alert(1)&lt;/script> \\| \\# \\*x\\* \\#\\# y \\`z\\`");
    played_has(w->html, "&lt;script&gt;alert(1)&lt;/script&gt;");
}

static void what_does_not_fit_is_refused(void **state)
{
    struct played *w = *state;
    struct err err = ERR_INIT;
    begin(w, "exercise");
    line(w, "expected", 10, "{\"step\":\"nowhere\",\"event\":\"due\"}");
    struct report_request q = {.dirfd = w->dirfd, .path = w->folder};
    assert_true(report_write(&q, &w->out, &err) < 0);
    q.anonymous = true;
    assert_true(report_write(&q, &w->out, &err) < 0);
    played_has(err.text, "cannot be made anonymous");
    q = (struct report_request){.dirfd = w->dirfd, .path = w->folder, .metrics = "x"};
    assert_true(report_write(&q, &w->out, &err) < 0);
    played_has(err.text, "no metrics of machines");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_overview_has_every_field),
        T(the_analysis_and_the_plan_have_every_column),
        T(the_logs_have_the_scripts_times),
        T(events_have_every_field_of_the_list),
        T(what_nobody_rated_is_not_demonstrated),
        T(a_broken_promise_is_not_met_whatever_the_rating),
        T(a_replay_has_no_verdict),
        T(a_record_without_its_end_is_reported),
        T(hostile_texts_stay_texts),
        T(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
