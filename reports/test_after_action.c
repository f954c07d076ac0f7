/* A scripted exercise, its record written by hand: the after-action report has every field of its standard
 * structure, its times are the script's, and nobody's text becomes markup. */
#include "reports/test_after_action_kit.h"

#include "sim/base/file.h"
#include "sim/base/jsonx.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

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
    line(w, "note", 1490,
         "{\"what\":\"observation\",\"objective\":\"declare\",\"text\":\"The bridge was silent.\","
         "\"by\":\"eve\",\"role\":\"evaluator\"}");
    line(w, "note", 1500,
         "{\"what\":\"strength\",\"objective\":\"declare\",\"text\":\"One person spoke for all.\","
         "\"by\":\"eve\",\"role\":\"evaluator\"}");
    line(w, "note", 1510,
         "{\"what\":\"improvement\",\"objective\":\"declare\",\"text\":\"Nobody wrote down who "
         "commands.\",\"by\":\"eve\",\"role\":\"evaluator\"}");
    line(w, "note", 1511,
         "{\"what\":\"corrective\",\"area\":\"Nobody wrote down who commands.\",\"text\":\"Say in "
         "the "
         "topic who commands\",\"owner\":\"Platform\",\"contact\":\"bob\",\"element\":\"planning\","
         "\"start\":\"2027-01-04\",\"due\":\"2027-01-31\",\"by\":\"frank\",\"role\":"
         "\"facilitator\"}");
    line(w, "note", 1512,
         "{\"what\":\"corrective\",\"text\":\"Rehearse "
         "it\",\"by\":\"frank\",\"role\":\"facilitator\"}");
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
    line(w, "debrief", 1800, "{\"event\":\"answered\",\"by\":\"mallory\",\"role\":\"technical\"}");
    line(w, "debrief", 1800,
         "{\"event\":\"opened\",\"anonymous\":[[\"The checklist\",null],[\"Short "
         "updates\",\"Numbers\"]]}");
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

/* --- Field by field --- */

/* The value under a column of the row that has `key` in it, in the first table of a section that has both. */
static bool cell(const char *section, const char *key, const char *column, struct buf *ret)
{
    const char *head = NULL;
    for (const char *p = section; *p && strncmp(p, "\n## ", 4) != 0; p = strchr(p, '\n')) {
        p += *p == '\n';
        if (*p != '|' || (head && !strncmp(p, "|---", 4)))
            head = *p == '|' ? head : NULL;
        else if (!head)
            head = p;
        else {
            size_t n = strcspn(p, "\n");
            AUTO_FREE char *row = strndup(p, n), *names = strndup(head, strcspn(head, "\n"));
            AUTO_BUF wanted = BUF_INIT;
            buf_printf(&wanted, "| %s |", column);
            const char *at = strstr(names, buf_text(&wanted));
            size_t skip = 0;
            for (const char *c = names; at && c < at; c++)
                skip += *c == '|';
            const char *value = strstr(row, key) && at ? row + 2 : NULL;
            for (; value && skip; skip--) {
                value = strstr(value, " | ");
                value = value ? value + 3 : NULL;
            }
            if (value) {
                const char *end = strstr(value, " |");
                buf_add(ret, value, end ? (size_t)(end - value) : strlen(value));
                return true;
            }
        }
    }
    return false;
}

/* One field of the standards: where it stands in the report, and what it must say of the scripted exercise. */
struct told {
    const char *of;      /* the standard's name */
    const char *section; /* of the report */
    const char *key;     /* of the row; NULL: a name and its value */
    const char *name;    /* of the column, or of the value */
    const char *value;   /* begins with */
};

static const char *section_of(const struct played *w, const char *title)
{
    AUTO_BUF head = BUF_INIT;
    buf_printf(&head, "\n## %s\n", title);
    const char *at = strstr(w->md, buf_text(&head));
    if (!at)
        fail_msg("there is no section '%s'", title);
    return strchr(at + 1, '\n') + 1;
}

static void check_field(const struct played *w, const struct told *f)
{
    const char *section = section_of(w, f->section), *next = strstr(section, "\n## ");
    AUTO_FREE char *own = strndup(section, next ? (size_t)(next - section) : strlen(section));
    AUTO_BUF is = BUF_INIT;
    AUTO_BUF html = BUF_INIT;
    if (!f->key) {
        buf_printf(&is, "- **%s:** %s", f->name, f->value);
        if (!strstr(own, buf_text(&is)))
            fail_msg("%s: '%s' does not say: %s\n%s", f->of, f->section, buf_text(&is), own);
        buf_printf(&html, "<dt>%s</dt><dd>%s", f->name, f->value);
        played_has(w->html, buf_text(&html));
        return;
    }
    if (!cell(own, f->key, f->name, &is))
        fail_msg("%s: '%s' has no row '%s' with a column '%s'\n%s", f->of, f->section, f->key,
                 f->name, own);
    if (strncmp(buf_text(&is), f->value, strlen(f->value)) != 0)
        fail_msg("%s: '%s', row '%s', column '%s': '%s', not '%s'", f->of, f->section, f->key,
                 f->name, buf_text(&is), f->value);
    buf_printf(&html, ">%s</th>", f->name);
    played_has(w->html, buf_text(&html));
}

static void check_fields(void **state, const struct told *fields, size_t n)
{
    struct played *w = *state;
    played(w, "exercise", 1140);
    for (size_t i = 0; i < n; i++)
        check_field(w, &fields[i]);
}

static void the_overview_has_every_field(void **state)
{
    static const char s[] = "Exercise overview";
    static const struct told fields[] = {
        {"exercise name", s, NULL, "Exercise name", "Checkout fails, and the replica is behind"},
        {"dates", s, NULL, "Dates",
         "planned: 4 December 2026, 10:00; began 2026-12-04T10:00:00.000Z; ended "
         "2026-12-04T10:03:00.000Z"},
        {"scope: type", s, NULL, "Type", "discussion-based (tabletop) exercise"},
        {"scope: parameters", s, NULL, "Scope",
         "A discussion of 30 minutes; no system is touched."},
        {"scope: duration", s, NULL, "Duration", "30 min on the exercise clock; planned: 30 min"},
        {"scope: location", s, NULL, "Location", "Room 4.12"},
        {"mission areas", s, NULL, "Mission areas", "Response, Recovery"},
        {"core capabilities", s, NULL, "Core capabilities", "Incident command, Recovery"},
        {"objectives", s, NULL, "Objectives",
         "1. Recognize a major incident and declare it; 2. Bring checkout"},
        {"threat or hazard", s, NULL, "Threat or hazard", "Loss of a database"},
        {"scenario", s, NULL, "Scenario", "The orders database fails on a Friday."},
        {"sponsor", s, NULL, "Sponsor", "Head of operations"},
        {"participating organisations", s, NULL, "Participating organisations",
         "2: Platform, Customer support"},
        {"point of contact", s, NULL, "Point of contact", "resilience@example.com"},
        {"designer, for independence", s, NULL, "Designer", "erin"},
        {"assumptions", s, NULL, "Assumptions and artificialities",
         "The monitoring tells the truth."},
    };
    check_fields(state, fields, ARRAY_SIZE(fields));
}

static void the_evaluation_has_every_field(void **state)
{
    static const char s[] = "Analysis of objectives", key[] = "Recognize a major incident";
    static const struct told fields[] = {
        {"objective", s, key, "objective", "Recognize a major incident and declare it"},
        {"core capability", s, key, "core capability", "Incident command"},
        {"capability target", s, key, "capability target", "Declared within 5 minutes"},
        {"target rating", s, key, "rating", "S"},
        {"verdict", s, key, "verdict", "met"},
        {"explanation", s, key, "why", "performed with some challenges"},
        {"an RTO is a target", s, "Bring checkout", "capability target", "rto of checkout: 20 min"},
        {"an RTO is measured", s, "Bring checkout", "why",
         "not rated by any evaluator; checkout was down for 19 min, the promise is 20 min"},
        {"core capability rating", s, "| Incident command |", "rating", "S"},
        {"not rated is no rating", s, "| Recovery | 1", "rating", "not rated"},
        {"evaluator", s, "| eve | S", "evaluator", "eve"},
        {"evaluator's time", s, "| eve | S", "at", "0:25:40"},
        {"area for improvement", s, "Nobody wrote down who commands", "area for improvement",
         "Nobody wrote down who commands."},
        {"reference", s, "Nobody wrote down who commands", "reference",
         "Incident response plan, section 3"},
        {"analysis", s, "Nobody wrote down who commands", "analysis", "\\_\\_\\_"},
        {"seen by", s, "Nobody wrote down who commands", "seen by", "eve, evaluator"},
        {"seen at", s, "Nobody wrote down who commands", "at", "0:25:10"},
    };
    check_fields(state, fields, ARRAY_SIZE(fields));
    const struct played *w = *state;
    played_has(w->md, "### Critical tasks\n\n- Name an incident commander");
    played_has(w->md, "- One person spoke for all. (eve, evaluator, 0:25:00)");
    played_has(w->md, "### Observations\n\n- The bridge was silent. (eve, 0:24:50)");
}

static void the_improvement_plan_has_every_field(void **state)
{
    static const char s[] = "Improvement plan", key[] = "Nobody wrote down who commands";
    static const struct told fields[] = {
        {"number", s, key, "no.", "1"},
        {"capability", s, key, "core capability", "Incident command"},
        {"area for improvement", s, key, "area for improvement", "Nobody wrote down who commands."},
        {"corrective action", s, key, "corrective action", "Say in the topic who commands"},
        {"capability element", s, key, "capability element", "planning"},
        {"primary responsible organisation", s, key, "responsible organisation", "Platform"},
        {"organisation POC", s, key, "point of contact", "bob"},
        {"start date", s, key, "start date", "2027-01-04"},
        {"completion date", s, key, "completion date", "2027-01-31"},
        {"what nobody gave is blank", s, "Opens a bridge", "corrective action", "\\_\\_\\_"},
        {"one that stands alone", s, "Rehearse it", "area for improvement", "\\_\\_\\_"},
    };
    check_fields(state, fields, ARRAY_SIZE(fields));
}

static void the_logs_have_the_scripts_times(void **state)
{
    static const char d[] = "Decision log", c[] = "Communication log", p[] = "Participants",
                      e[] = "Escalations, expected against actual", k[] = "Regulatory clocks",
                      x[] = "Expected actions", ph[] = "Phases", inject[] = "Twelve customers",
                      lead[] = "Technical lead", notice[] = "Initial notification",
                      declares[] = "Declares an incident";
    static const struct told fields[] = {
        {"options", d, NULL, "Options", "wait, promote"},
        {"branches", d, NULL, "Branches", "wait: waiting; promote: consent"},
        {"decision", d, NULL, "Choice", "promote"},
        {"rationale", d, NULL, "Reason", "Every minute costs more."},
        {"made by", d, NULL, "By", "alice"},
        {"role", d, NULL, "Role", "commander"},
        {"asked of", d, NULL, "Asked of", "commander"},
        {"asked at", d, NULL, "Asked at", "0:08:00"},
        {"due at", d, NULL, "Due at", "0:13:00"},
        {"decided at", d, NULL, "Decided at", "0:11:00"},
        {"took", d, NULL, "Took", "3 min"},
        {"information at hand", d, NULL, "Information at hand", "0:01:00 1 First reports"},
        {"authority", d, NULL, "Authority", "Continuity plan 4.2"},
        {"reversible", d, NULL, "Reversible", "no"},
        {"regulatory implication, customer impact", d, NULL, "Impact on customers and duties",
         "Orders of the last 40 seconds"},
        {"what was sent", c, inject, "what", "inject"},
        {"due", c, inject, "due", "0:01:00"},
        {"sent", c, inject, "sent", "0:01:00"},
        {"late or not", c, inject, "how", "on time"},
        {"from", c, inject, "from", "Customer support"},
        {"to", c, inject, "to", "commander, communications"},
        {"channel", c, inject, "channel", "phone"},
        {"message", c, inject, "message", "Twelve customers in ten minutes"},
        {"an update, due", c, "status update 1", "due", "0:09:00"},
        {"an update, sent", c, "status update 1", "sent", "0:08:30"},
        {"an update that was not sent", c, "status update 2", "how", "not sent when due"},
        {"page, expected", e, "| 1 | commander", "expected at", "0:05:00"},
        {"page, actual", e, "| 1 | commander", "paged at", "0:05:00"},
        {"page, came to", e, "| 1 | commander", "came to", "acknowledged by alice at 0:06:00"},
        {"regime", k, notice, "regime", "DORA Art. 19"},
        {"authority", k, notice, "authority", "Financial supervisor"},
        {"due offset", k, notice, "may take", "4 h"},
        {"started", k, notice, "started", "0:11:00"},
        {"due", k, notice, "due at", "4:11:00"},
        {"met", k, notice, "met at", "0:18:00"},
        {"actual offset", k, notice, "took", "7 min"},
        {"status", k, notice, "outcome", "met"},
        {"response: expected", x, declares, "expected action", "Declares an incident"},
        {"response: by", x, declares, "by", "commander"},
        {"response: delivered at", x, declares, "asked at", "0:01:00"},
        {"response: due", x, declares, "due at", "0:06:00"},
        {"response: done", x, declares, "done at", "0:05:00"},
        {"response: offset", x, declares, "after", "4 min"},
        {"response: outcome", x, declares, "outcome", "in time"},
        {"response: rating", x, declares, "rating", "S"},
        {"response: evaluator", x, declares, "evaluator", "eve"},
        {"response: what was done", x, declares, "note", "One minute before the nudge."},
        {"a late one", x, "Opens a bridge", "outcome", "late"},
        {"move: number", ph, "First signs", "no.", "1"},
        {"move: start", ph, "First signs", "start", "0:00:00"},
        {"move: stop", ph, "First signs", "stop", "0:11:00"},
        {"intended people", p, lead, "intended people", "bob, dan"},
        {"actual people", p, lead, "took part (since)", "mallory (from 0:00:00)"},
        {"difference", p, lead, "difference",
         "mallory was not planned; bob did not take part; dan did not take part"},
        {"a role that nobody took", p, "| observer |", "difference", "nobody took this role"},
        {"real time beside the exercise clock", "Timeline", "| decision,", "since the start",
         "0:01:06"},
        {"timeline: clock", "Timeline", "| decision,", "clock", "0:11:00"},
    };
    check_fields(state, fields, ARRAY_SIZE(fields));
    const struct played *w = *state;
    played_has(w->md, "| 0:09:00 | – | not needed |");
    played_has(w->md, "**Independence:** nobody had more than one");
    played_has(w->md, "- **anonymous:** Short updates\n- **anonymous:** The checklist\n");
}

static void events_have_every_field_of_the_list(void **state)
{
    static const char s[] = "Injects and events, planned against delivered",
                      key[] = "| First reports |";
    static const struct told fields[] = {
        {"event number", s, key, "number", "1"},
        {"event", s, key, "event", "First reports"},
        {"inject type", s, key, "kind", "contextual inject"},
        {"move", s, key, "phase", "First signs"},
        {"planned", s, key, "planned", "0:01:00"},
        {"actual time", s, key, "delivered at", "0:01:00"},
        {"status", s, key, "status", "delivered"},
        {"id", s, NULL, "Identifier", "first-report"},
        {"at", s, NULL, "Planned at", "0:01:00"},
        {"sim_time", s, NULL, "Simulated time", "Friday, 16:41"},
        {"phase", s, NULL, "Phase", "First signs"},
        {"body", s, NULL, "Message", "Twelve customers in ten minutes"},
        {"kind: contextual", s, NULL, "Kind", "contextual inject"},
        {"kind: contingency", s, NULL, "Kind", "contingency inject"},
        {"kind: expected action", s, NULL, "Kind", "expected-action event"},
        {"branches: a contingency", s, NULL, "Begins",
         "when what first-report asks for was not done in time"},
        {"branches: a decision", s, NULL, "Begins", "2 min after failover was decided: wait"},
        {"channel", s, NULL, "Channel", "phone"},
        {"from", s, NULL, "From", "Customer support"},
        {"to", s, NULL, "To", "commander, communications"},
        {"attachments", s, NULL, "Attachments", "web.conf"},
        {"controller", s, NULL, "Controller", "frank"},
        {"expect", s, NULL, "Expected action", "Declares an incident"},
        {"objective", s, NULL, "Objective", "Recognize a major incident"},
        {"capability", s, NULL, "Core capability", "Incident command"},
        {"white cell notes", s, NULL, "Notes for facilitator and evaluators",
         "If they ask how many"},
        {"actual time", s, NULL, "Delivered at", "0:01:00"},
        {"status", s, NULL, "Status", "not delivered"},
    };
    check_fields(state, fields, ARRAY_SIZE(fields));
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

/* A file of corrective actions is checked, kept beside the record, and read again from there. */
static void corrective_actions_come_from_a_file(void **state)
{
    struct played *w = *state;
    struct err err = ERR_INIT;
    char path[128];
    static const char good[] = "actions:\n  - {area: 1, action: Print it, due: 2027-02-01}\n";
    static const char bad[] = "actions:\n  - {area: 99, action: Print it}\n";
    snprintf(path, sizeof path, "%s/given.yaml", w->folder);
    played(w, "exercise", 1140);
    struct report_request q = {.dirfd = w->dirfd, .path = w->folder, .actions = path};
    assert_int_equal(file_replace(w->dirfd, "given.yaml", bad, sizeof bad - 1, NULL), 0);
    assert_int_equal(report_write(&q, &w->out, &err), -EINVAL);
    played_has(err.text, "/given.yaml:2:12: error: there is no area for improvement 99");
    assert_int_equal(faccessat(w->dirfd, "actions.yaml", F_OK, 0), -1);
    assert_int_equal(file_replace(w->dirfd, "given.yaml", good, sizeof good - 1, NULL), 0);
    report_outcome_done(&w->out);
    assert_int_equal(report_write(&q, &w->out, &err), 0);
    played_report(w); /* without it: from the folder */
    static const struct told field = {"corrective action", "Improvement plan", "Print it",
                                      "completion date", "2027-02-01"};
    check_field(w, &field);
    played_has(w->md, "Corrective actions (actions.yaml), SHA-256");
    const json_t *plan = json_object_get(w->result, "improvement_plan");
    assert_int_equal(json_array_size(plan), 3);
    assert_int_equal(jsonx_int(json_array_get(plan, 2), "area", 0), 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_overview_has_every_field),
        T(the_evaluation_has_every_field),
        T(the_improvement_plan_has_every_field),
        T(the_logs_have_the_scripts_times),
        T(events_have_every_field_of_the_list),
        T(what_nobody_rated_is_not_demonstrated),
        T(a_broken_promise_is_not_met_whatever_the_rating),
        T(a_replay_has_no_verdict),
        T(a_record_without_its_end_is_reported),
        T(hostile_texts_stay_texts),
        T(what_does_not_fit_is_refused),
        T(corrective_actions_come_from_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
