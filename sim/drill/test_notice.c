/* What notices say, and to whom, without secrets. */
#include "tests/support/test.h"

#include "sim/base/jsonx.h"
#include "sim/drill/notice.h"

#define T(s) ((char *)(uintptr_t)(s))

static json_t *values(const char *event)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "event", event, "scenario",
                     "shop", "title", "The \"shop\" dies", "id", "ab12", "trial", "2", "step",
                     "lose", "action", "kill", "targets", "web, db", "status", "completed",
                     "reason", "Ctrl-C");
}

static void sentences_say_what_happens(void **state)
{
    static const struct {
        const char *event, *words;
    } cells[] = {
        {"start", "blackstart, drill ab12 of shop begins: The \"shop\" dies (operator ?)"},
        {"injection",
         "blackstart, drill ab12 of shop, trial 2: kill of web, db is in force (step lose)"},
        {"end", "blackstart, drill ab12 of shop is over: completed. Ctrl-C"},
        {"abort", "blackstart, drill ab12 of shop is stopped: Ctrl-C"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
        AUTO_JSON *v = values(cells[i].event);
        AUTO_BUF out = BUF_INIT;
        notice_sentence(v, &out);
        assert_string_equal(out.text, cells[i].words);
    }
}

static void the_end_is_told_with_what_is_known_of_it(void **state)
{
    static const struct {
        const char *known, *words;
    } cells[] = {
        {"{\"verdict\":\"not_met\",\"exit_code\":\"1\",\"sentence\":\"LIVE DRILL: too late.\","
         "\"report\":\"/d/report.html\"}",
         "not met (exit code 1). LIVE DRILL: too late. Report: /d/report.html"},
        {"{\"status\":\"failed\",\"exit_code\":\"3\",\"reason\":\"no lab\"}",
         "failed (exit code 3). no lab"},
        {"{\"status\":\"completed\",\"reason\":\"it died\"}", "completed. it died"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
        json_t *known = NULL;
        AUTO_BUF out = BUF_INIT, words = BUF_INIT;
        assert_int_equal(jsonx_parse(cells[i].known, strlen(cells[i].known), "cell", &known, NULL),
                         0);
        AUTO_JSON *v = known;
        json_object_set_new(v, "event", json_string("end"));
        json_object_set_new(v, "id", json_string("ab12"));
        json_object_set_new(v, "scenario", json_string("shop"));
        notice_sentence(v, &out);
        buf_printf(&words, "blackstart, drill ab12 of shop is over: %s", cells[i].words);
        assert_string_equal(out.text, words.text);
    }
}

static void templates_stay_json_whatever_the_values(void **state)
{
    static const struct {
        const char *template, *body;
    } cells[] = {
        {"{\"t\": \"{{title}}\", \"n\": {{trial}}}",
         "{\"t\": \"The \\\"shop\\\" dies\", \"n\": 2}"},
        {"{{step}}{{step}}", "loselose"},
        {"{{unknown}}|", "|"},
        {"open {{", "open {{"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
        AUTO_JSON *v = values("start");
        AUTO_BUF out = BUF_INIT;
        notice_body(v, NULL, cells[i].template, &out);
        assert_string_equal(buf_text(&out), cells[i].body);
    }
}

static void bodies_have_their_formats(void **state)
{
    AUTO_JSON *v = values("end");
    AUTO_BUF slack = BUF_INIT, note = BUF_INIT;
    json_object_set_new(v, "text", json_string("it is over"));
    notice_body(v, "slack", NULL, &slack);
    assert_string_equal(slack.text, "{\"text\":\"it is over\"}");
    notice_annotation(v, "uid", " prod  web", 1795380301500, &note);
    assert_string_equal(note.text,
                        "{\"dashboardUID\":\"uid\",\"time\":1795380301500,\"tags\":[\"blackstart\","
                        "\"shop\",\"end\",\"prod\",\"web\"],\"text\":\"it is over\"}");
}

static void targets_hold_no_secret(void **state)
{
    static const struct {
        struct pair url;
        const char *words;
    } cells[] = {
        {{.value = T("https://a.example/b?key=1#x")}, "https://a.example/b"},
        {{.value = T("https://user:pw@a.example/b")}, "https://a.example/b"},
        {{.value = T("https://a.example/@b")}, "https://a.example/@b"},
        {{.value = T("SLACK"), .source = PAIR_ENV}, "the URL of the environment variable SLACK"},
        {{.value = T("url.txt"), .source = PAIR_FILE}, "the URL of the file url.txt"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
        struct pair url = cells[i].url;
        url.key = T("url");
        struct notice n = {.webhook = {&url, 1}};
        AUTO_BUF out = BUF_INIT;
        notice_target(&n, &out);
        assert_string_equal(out.text, cells[i].words);
        assert_string_equal(notice_kind(&n), "webhook");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentences_say_what_happens),
        cmocka_unit_test(the_end_is_told_with_what_is_known_of_it),
        cmocka_unit_test(templates_stay_json_whatever_the_values),
        cmocka_unit_test(bodies_have_their_formats),
        cmocka_unit_test(targets_hold_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
