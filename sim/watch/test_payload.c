/* Messages and answers of others' monitoring: what is read of them, and what is refused with which
 * words. Odd bytes stand in tests/fuzz/payload.
 */
#include "tests/support/test.h"

#include "sim/base/buf.h"
#include "sim/watch/payload.h"

#include <errno.h>
#include <string.h>

#define ALERT(status, labels, more) "{\"status\":\"" status "\",\"labels\":{" labels "}" more "}"
#define POST(alerts) "{\"version\":\"4\",\"alerts\":[" alerts "]}"

static struct pairs pairs_of(struct pair *items, size_t n)
{
    return (struct pairs){items, n};
}

static struct pair pair(const char *key, const char *value)
{
    return (struct pair){.key = (char *)(uintptr_t)key, .value = (char *)(uintptr_t)value};
}

static void a_post_of_alertmanager_is_read(void **state)
{
    static const char text[] = POST(ALERT("firing", "\"alertname\":\"Down\",\"job\":\"web\"",
                                          ",\"startsAt\":\"2026-11-22T20:45:01.25Z\","
                                          "\"fingerprint\":\"ab\"") "," ALERT("resolved",
                                                                              "\"alertname\":"
                                                                              "\"Slow\"",
                                                                              ",\"startsAt\":"
                                                                              "\"0001-01-01T00:00:"
                                                                              "00Z\""));
    AUTO_PAYLOAD p = PAYLOAD_INIT;
    struct err err = ERR_INIT;
    char words[64];
    assert_int_equal(payload_read_alertmanager(text, strlen(text), &p, &err), 0);
    assert_int_equal(p.n, 2);
    assert_int_equal(p.alerts[0].status, PAYLOAD_FIRING);
    assert_string_equal(p.alerts[0].name, "Down");
    assert_string_equal(p.alerts[0].key, "ab");
    assert_int_equal(p.alerts[0].starts_at, 1795380301250000000);
    assert_int_equal(p.alerts[1].status, PAYLOAD_RESOLVED);
    assert_false(nsec_is_set(p.alerts[1].starts_at)); /* never */
    assert_string_equal(p.alerts[1].key, "{\"alertname\":\"Slow\"}");
    payload_alert_text(&p.alerts[0], words, sizeof words);
    assert_string_equal(words, "Down {job=\"web\"}");

    struct pair both[] = {pair("alertname", "Down"), pair("job", "web")};
    struct pair other[] = {pair("alertname", "Down"), pair("job", "db")};
    struct pairs w = pairs_of(both, 2), o = pairs_of(other, 2), none = {0};
    assert_true(payload_alert_has(&p.alerts[0], &w));
    assert_false(payload_alert_has(&p.alerts[0], &o));
    assert_true(payload_alert_has(&p.alerts[1], &none));
}

static void what_is_no_post_of_alertmanager_is_refused(void **state)
{
    static const struct {
        const char *text, *words;
    } cells[] = {
        {"", "not JSON"},
        {"[]", "version 4"},
        {"{\"version\":\"3\",\"alerts\":[]}", "version 4"},
        {"{\"version\":\"4\"}", "no list 'alerts'"},
        {POST("7"), "alert 0 is not an object"},
        {POST("{\"status\":\"firing\"}"), "no object 'labels'"},
        {POST(ALERT("firing", "\"a\":1", "")), "the label 'a' of alert 0 is not a text"},
        {POST(ALERT("odd", "", "")), "neither firing nor resolved"},
        {POST(ALERT("firing", "", ",\"startsAt\":\"now\"")), "is not a time"},
        {POST(ALERT("firing", "\"a\":\"1\",\"a\":\"2\"", "")), "not JSON"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
        AUTO_PAYLOAD p = PAYLOAD_INIT;
        struct err err = ERR_INIT;
        assert_int_equal(payload_read_alertmanager(cells[i].text, strlen(cells[i].text), &p, &err),
                         -EINVAL);
        assert_non_null(strstr(err.text, cells[i].words));
        assert_null(p.root);
    }
}

static void too_many_alerts_are_refused(void **state)
{
    AUTO_BUF b = BUF_INIT;
    AUTO_PAYLOAD p = PAYLOAD_INIT;
    struct err err = ERR_INIT;
    buf_adds(&b, "{\"version\":\"4\",\"alerts\":[0");
    for (int i = 0; i < PAYLOAD_ALERTS_MAX; i++)
        buf_adds(&b, ",0");
    buf_adds(&b, "]}");
    assert_int_equal(payload_read_alertmanager(b.text, b.len, &p, &err), -EINVAL);
    assert_non_null(strstr(err.text, "1001 alerts"));
}

static char *words_firing[] = {(char *)(uintptr_t) "down", (char *)(uintptr_t) "2"},
            *words_resolved[] = {(char *)(uintptr_t) "up"};

static void another_webhook_is_read_by_its_paths(void **state)
{
    static const char text[] =
        "{\"events\":[{\"check\":{\"na/me\":\"page\"},\"state\":\"down\",\"since\":1795380301.5},"
        "{\"check\":{\"na/me\":7},\"state\":2,\"since\":1795380301500},"
        "{\"check\":{\"na/me\":\"x\"},\"state\":\"up\",\"since\":\"2026-11-22T21:45:01.5+01:00\"},"
        "{\"check\":{\"na/me\":\"y\"},\"state\":\"unsure\",\"since\":null}]}";
    struct payload_paths paths = {(char *)(uintptr_t) "/events",
                                  (char *)(uintptr_t) "/check/na~1me",
                                  (char *)(uintptr_t) "/state",
                                  (char *)(uintptr_t) "/since",
                                  {words_firing, 2},
                                  {words_resolved, 1}};
    AUTO_PAYLOAD p = PAYLOAD_INIT;
    struct err err = ERR_INIT;
    assert_int_equal(payload_read_generic(text, strlen(text), &paths, &p, &err), 0);
    static const enum payload_status statuses[] = {PAYLOAD_FIRING, PAYLOAD_FIRING, PAYLOAD_RESOLVED,
                                                   PAYLOAD_OTHER};
    assert_int_equal(p.n, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(p.alerts[i].status, statuses[i]);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(p.alerts[i].starts_at, 1795380301500000000);
    assert_string_equal(p.alerts[1].name, "7");
    struct pair by[] = {pair("name", "page"), pair("/state", "down")};
    struct pairs w = pairs_of(by, 2);
    assert_true(payload_alert_has(&p.alerts[0], &w));
    assert_false(payload_alert_has(&p.alerts[2], &w));

    struct err no = ERR_INIT;
    AUTO_PAYLOAD q = PAYLOAD_INIT;
    paths.name = (char *)(uintptr_t) "/nowhere";
    assert_int_equal(payload_read_generic(text, strlen(text), &paths, &q, &no), -EINVAL);
    assert_string_equal(no.text, "alert 0 has no name at /nowhere");
}

static void times_are_read_as_rfc_3339_has_them(void **state)
{
    static const struct {
        const char *text;
        nsec at;
    } good[] = {
        {"2026-11-22T20:45:01Z", 1795380301 * NSEC_SEC},
        {"2026-11-22t22:15:01.000000001+01:30", 1795380301 * NSEC_SEC + 1},
        {"2026-11-22 20:45:01.1234567891-00:00", 1795380301 * NSEC_SEC + 123456789},
        {"0001-01-01T00:00:00Z", NSEC_UNSET},
        {"1970-01-01T00:00:00+01:00", NSEC_UNSET},
    };
    static const char *const bad[] = {"",
                                      "2026-11-22",
                                      "2026-11-22T20:45Z",
                                      "2026-13-22T20:45:01Z",
                                      "2026-11-22T24:45:01Z",
                                      "2026-11-22T20:45:01",
                                      "2026-11-22T20:45:01.Z",
                                      "2026-11-22T20:45:01Z ",
                                      "2026-11-22T20:45:01+1:00"};
    nsec at;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_true(payload_time(good[i].text, &at));
        assert_int_equal(at, good[i].at);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(payload_time(bad[i], &at));
}

static void queries_fire_by_their_answers(void **state)
{
#define VECTOR(values)                                                                             \
    "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[" values "]}}"
#define VALUE(v) "{\"metric\":{},\"value\":[1,\"" v "\"]}"
    static const double half = 0.5;
    static const struct {
        const char *text;
        const double *above;
        int r;
        bool firing;
        const char *words;
    } cells[] = {
        {VECTOR(""), NULL, 0, false, "0 elements"},
        {VECTOR(VALUE("0")), NULL, 0, true, "1 element"},
        {VECTOR(""), &half, 0, false, "0 elements"},
        {VECTOR(VALUE("0.5") "," VALUE("NaN")), &half, 0, false, "0 of 2 above 0.5"},
        {VECTOR(VALUE("0.6") "," VALUE("+Inf")), &half, 0, true, "2 of 2 above 0.5"},
        {VECTOR("{}"), &half, -EINVAL, false, "no value"},
        {"{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1,\"1\"]}}",
         &half, 0, true, "1"},
        {"{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1,\"1\"]}}", NULL,
         -EINVAL, false, "say `above`"},
        {"{\"status\":\"success\",\"data\":{\"resultType\":\"string\",\"result\":[1,\"1\"]}}", NULL,
         -EINVAL, false, "neither a vector nor a number"},
        {"{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"parse error\"}", NULL,
         -EINVAL, false, "Prometheus says bad_data: parse error"},
        {"{\"status\":\"success\",\"warnings\":[\"away\"],\"data\":{\"resultType\":\"vector\","
         "\"result\":[]}}",
         NULL, -EINVAL, false, "Prometheus warns: away"},
        {"<html>", NULL, -EINVAL, false, "not JSON"},
        {"{}", NULL, -EINVAL, false, "not an answer of Prometheus"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
        char words[128] = "";
        bool firing = false;
        struct err err = ERR_INIT;
        assert_int_equal(payload_read_query(cells[i].text, strlen(cells[i].text), cells[i].above,
                                            &firing, words, sizeof words, &err),
                         cells[i].r);
        assert_int_equal(firing, cells[i].firing);
        assert_non_null(strstr(cells[i].r ? err.text : words, cells[i].words));
    }
}

static void active_alerts_have_their_states(void **state)
{
    static const char text[] =
        "{\"status\":\"success\",\"data\":{\"alerts\":[{\"labels\":{\"alertname\":\"A\"},\"state\":"
        "\"pending\",\"activeAt\":\"2026-11-22T20:45:01Z\",\"value\":\"1\"},{\"labels\":{"
        "\"alertname\":\"B\"},\"state\":\"firing\",\"activeAt\":\"2026-11-22T20:45:01Z\"}]}}";
    AUTO_PAYLOAD p = PAYLOAD_INIT;
    assert_int_equal(payload_read_active(text, strlen(text), &p, NULL), 0);
    assert_int_equal(p.alerts[0].status, PAYLOAD_PENDING);
    assert_int_equal(p.alerts[1].status, PAYLOAD_FIRING);
    assert_int_equal(p.alerts[1].starts_at, 1795380301 * NSEC_SEC);
}

static void silences_concern_alerts_by_their_matchers(void **state)
{
#define SILENCE(state, matchers)                                                                   \
    "[{\"id\":\"7\",\"status\":{\"state\":\"" state "\"},\"matchers\":[" matchers                  \
    "],\"endsAt\":\"later\",\"createdBy\":\"ops\",\"comment\":\"move\"}]"
#define MATCHER(name, value, regex, equal)                                                         \
    "{\"name\":\"" name "\",\"value\":\"" value "\",\"isRegex\":" regex ",\"isEqual\":" equal "}"
    static const struct {
        const char *text;
        bool silenced;
    } cells[] = {
        {"[]", false},
        {SILENCE("active", MATCHER("alertname", "Down", "false", "true")), true},
        {SILENCE("expired", MATCHER("alertname", "Down", "false", "true")), false},
        {SILENCE("active", MATCHER("alertname", "Do.*|x", "true", "true")), true},
        {SILENCE("active", MATCHER("alertname", "o", "true", "true")), false}, /* anchored */
        {SILENCE("active", MATCHER("alertname", "Down", "false", "false")), false},
        {SILENCE("active", MATCHER("alertname", "Up", "false", "false")), true},
        {SILENCE("active", MATCHER("job", "web", "false", "true")), false}, /* of others */
        {SILENCE("active", MATCHER("alertname", "Down", "false",
                                   "true") "," MATCHER("job", "web", "false", "true")),
         true},
    };
    struct pair of[] = {pair("alertname", "Down")};
    struct pairs labels = pairs_of(of, 1);
    for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
        char words[128] = "";
        bool silenced;
        assert_int_equal(payload_read_silences(cells[i].text, strlen(cells[i].text), &labels,
                                               &silenced, words, sizeof words, NULL),
                         0);
        assert_int_equal(silenced, cells[i].silenced);
        if (silenced)
            assert_string_equal(words, "silence 7 until later: move");
    }
}

static void pointers_are_told_from_other_texts(void **state)
{
    static const char *const good[] = {"", "/", "/a/0/b~1c~0"}, *const bad[] = {"a", "/a~", "/~2"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_true(payload_is_pointer(good[i]));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(payload_is_pointer(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_post_of_alertmanager_is_read),
        cmocka_unit_test(what_is_no_post_of_alertmanager_is_refused),
        cmocka_unit_test(too_many_alerts_are_refused),
        cmocka_unit_test(another_webhook_is_read_by_its_paths),
        cmocka_unit_test(times_are_read_as_rfc_3339_has_them),
        cmocka_unit_test(queries_fire_by_their_answers),
        cmocka_unit_test(active_alerts_have_their_states),
        cmocka_unit_test(silences_concern_alerts_by_their_matchers),
        cmocka_unit_test(pointers_are_told_from_other_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
