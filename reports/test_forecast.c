/* A forecast is judged by share, with an interval that tells of simulation error alone; its sentences. */
#include "tests/support/test.h"

#include "reports/forecast.h"
#include "scenarios/scenario.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/record/record.h"
#include <fcntl.h>

struct world {
    char folder[64];
    int dirfd;
    struct scenario *scenario;
    struct record *record;
    struct forecast *forecast;
    int64_t next;
};

static const char plain[] =
    "blackstart: 1\nname: small\ncomponents: {a: {}, b: {}}\n"
    "services:\n  shop: {rto: 5s, detect_within: 3s}\n"
    "probes:\n  page: {service: shop, http: \"http://a.example/\", every: 100ms, timeout: 200ms}\n"
    "alarms:\n  bell: {role: page, threshold: {probe: page, consecutive: 3}}\n"
    "model: {shop: {redundancy: {mode: active-passive, of: [a, b]}, restore: [{fix: {constant: "
    "4s}}]}}\n"
    "script:\n  - {id: gone, at: 1s, outage: {component: a}}\n"
    "horizon: 30s\n";

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    snprintf(w->folder, sizeof w->folder, "/tmp/blackstart-foretold-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    w->dirfd = open(w->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(w->dirfd >= 0);
    w->next = 1;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    forecast_free(w->forecast);
    scenario_free(w->scenario);
    record_free(w->record);
    close(w->dirfd);
    assert_int_equal(file_remove_tree(AT_FDCWD, w->folder, NULL), 0);
    free(w);
    return 0;
}

/* `more` is put before the script. */
static void begin(struct world *w, const char *more, int64_t trials)
{
    AUTO_DIAGS diags = DIAGS_INIT;
    AUTO_BUF yaml = BUF_INIT;
    const char *at = strstr(plain, "script:");
    buf_add(&yaml, plain, (size_t)(at - plain));
    buf_adds(&yaml, more);
    buf_adds(&yaml, at);
    int rc = scenario_load_text(yaml.text, yaml.len, "small.yaml", NULL, &diags, &w->scenario);
    AUTO_BUF said = BUF_INIT;
    diags_render(&diags, &said);
    if (rc < 0)
        fail_msg("%s", buf_text(&said));
    assert_int_equal(record_create(w->dirfd, "record.ndjson", 0, &w->record, NULL), 0);
    json_t *start =
        json_pack("{s:i,s:s,s:s,s:{s:s,s:s},s:s,s:I,s:i,s:s}", "record", 1, "blackstart", "0",
                  "mode", "forecast", "scenario", "name", "small", "digest", "0", "seed", "1",
                  "trials", (json_int_t)trials, "block", 1000, "clock", "virtual");
    assert_int_equal(record_write(w->record, "run-start", 0, start, NULL), 0);
}

/* The same duration for n trials; below 0: never. */
static void duration(int ms, int64_t n, char text[64])
{
    if (ms < 0)
        snprintf(text, 64, "inf*%d", (int)n);
    else
        snprintf(text, 64, "%d000000*%d", ms, (int)n);
}

/* So many trials, restored after ttr ms, noticed after ttd ms; ttr 0: not hit; -1: not back. */
static void trials(struct world *w, int64_t n, int ttr, int ttd)
{
    while (n > 0) {
        int64_t now = n < 1000 ? n : 1000;
        char kind[32], by[32], times[64], noticed[64];
        snprintf(kind, sizeof kind, "%s*%d", ttr > 0 ? "r" : ttr < 0 ? "c" : "u", (int)now);
        snprintf(by, sizeof by, "%s*%d", ttr > 0 ? "r" : "n", (int)now);
        duration(ttr, now, times);
        duration(ttd, now, noticed);
        json_t *shop = json_pack("{s:s}", "kind", kind);
        if (ttr) {
            json_object_set_new(shop, "by", json_string(by));
            json_object_set_new(shop, "ttd", json_string(noticed));
            json_object_set_new(shop, "ttr", json_string(times));
            json_object_set_new(shop, "down", json_string("ttr"));
        }
        json_t *line = json_pack("{s:[I,I],s:{s:o}}", "trials", (json_int_t)w->next,
                                 (json_int_t)(w->next + now - 1), "services", "shop", shop);
        assert_int_equal(record_write(w->record, "outcomes", 0, line, NULL), 0);
        w->next += now;
        n -= now;
    }
}

static const struct forecast *end(struct world *w)
{
    struct err err = ERR_INIT;
    assert_int_equal(
        record_write(w->record, "run-end", 0, json_pack("{s:s}", "status", "completed"), NULL), 0);
    if (forecast_read(w->dirfd, w->scenario, &w->forecast, &err) < 0)
        fail_msg("%s", err.text);
    return w->forecast;
}

static const struct forecast_objective *of(const struct forecast *f, enum outcome_promise kind)
{
    for (size_t i = 0; i < f->objectives_n; i++)
        if (f->objectives[i].kind == kind)
            return &f->objectives[i];
    fail_msg("no such objective");
    return NULL;
}

static void assert_sentence(const struct forecast *f, enum outcome_promise kind, const char *want)
{
    AUTO_BUF text = BUF_INIT;
    forecast_sentence(f, of(f, kind), &text);
    assert_string_equal(buf_text(&text), want);
}

static void met_when_the_whole_interval_is_above(void **state)
{
    struct world *w = *state;
    begin(w, "", 100000);
    trials(w, 60000, 3400, 900);
    trials(w, 37300, 4100, 900);
    trials(w, 2700, 6000, 900);
    const struct forecast *f = end(w);
    assert_int_equal(f->verdict, VERDICT_MET);
    assert_int_equal(forecast_exit_code(f), 0);
    assert_sentence(f, OUTCOME_RTO,
                    "In 100,000 simulated trials shop came back within 5 s in 97.3 % (97.1–97.4, "
                    "simulation error only); half of them within 3.4 s, 19 of 20 within 4.1 s; "
                    "asked for: 95 %: met as a forecast.");
    assert_sentence(f, OUTCOME_DETECT,
                    "In 100,000 simulated trials the outage of shop was noticed within 3 s in "
                    "every one (at least 99.996 %, simulation error only); half of them within 900 "
                    "ms, 19 of 20 within 900 ms; asked for: 95 %: met as a forecast.");
}

static void not_met_when_all_of_it_is_below(void **state)
{
    struct world *w = *state;
    begin(w, "", 20000);
    trials(w, 18000, 3000, 900);
    trials(w, 2000, 6000, 900);
    const struct forecast *f = end(w);
    assert_int_equal(of(f, OUTCOME_RTO)->verdict, VERDICT_NOT_MET);
    assert_int_equal(of(f, OUTCOME_DETECT)->verdict, VERDICT_MET);
    assert_int_equal(forecast_exit_code(f), 1);
}

/* 949 of 1000 at 95 %: about 1.96² · 0.949 · 0.051 / 0.001² trials would tell. */
static void else_more_trials_are_needed_and_how_many(void **state)
{
    struct world *w = *state;
    begin(w, "", 1000);
    trials(w, 949, 3000, 900);
    trials(w, 51, 6000, 900);
    const struct forecast *f = end(w);
    const struct forecast_objective *o = of(f, OUTCOME_RTO);
    assert_int_equal(o->verdict, VERDICT_NOT_DEMONSTRATED);
    assert_in_range(o->needed_n, 186000, 220000);
    assert_string_equal(o->reasons[0].code, "too_few_trials");
    assert_int_equal(forecast_exit_code(f), 4);
}

static void what_is_asked_is_demonstrates(void **state)
{
    struct world *w = *state;
    begin(w, "trials: 60\ndemonstrate: {reliability: 80%, confidence: 80%}\n", 1000);
    trials(w, 900, 3000, 900);
    trials(w, 100, 6000, 900);
    const struct forecast_objective *o = of(end(w), OUTCOME_RTO);
    assert_true(o->asked > 0.79 && o->asked < 0.81);
    assert_int_equal(o->verdict, VERDICT_MET);
}

static void what_never_comes_back_is_a_miss_and_longer_than_anything(void **state)
{
    struct world *w = *state;
    begin(w, "", 1000);
    trials(w, 400, 3000, 900);
    trials(w, 600, -1, -1);
    const struct forecast *f = end(w);
    assert_int_equal(of(f, OUTCOME_RTO)->missed, 600);
    assert_int_equal(of(f, OUTCOME_DETECT)->missed, 600);
    assert_sentence(f, OUTCOME_RTO,
                    "In 1,000 simulated trials shop came back within 5 s in 40.0 % (37.0–43.1, "
                    "simulation error only); less than half of them ever; asked for: 95 %: not "
                    "met as a forecast.");
    assert_string_equal(f->findings[0].code, "not_restored");
}

static void recovery_that_was_never_exercised_is_not_shown(void **state)
{
    struct world *w = *state;
    begin(w, "", 2000);
    trials(w, 2000, 0, 0);
    const struct forecast *f = end(w);
    const struct forecast_objective *o = of(f, OUTCOME_RTO);
    assert_int_equal(o->verdict, VERDICT_NOT_DEMONSTRATED);
    assert_string_equal(o->reasons[0].code, "recovery_not_exercised");
    assert_int_equal(of(f, OUTCOME_DETECT)->verdict, VERDICT_NOT_APPLICABLE);
}

/* 100 % is said of all alone, and so is 0 %. */
static void percentages_are_never_rounded_to_all_or_none(void **state)
{
    static const struct {
        double share;
        const char *text;
    } cases[] = {{1, "100 %"},      {0.99999, "99.999 %"},  {0.9994, "99.9 %"},
                 {0.973, "97.3 %"}, {0.000004, "0.0004 %"}, {0, "0 %"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_BUF text = BUF_INIT;
        forecast_percent(cases[i].share, &text);
        assert_string_equal(buf_text(&text), cases[i].text);
    }
}

static void blocks_that_are_missing_are_told(void **state)
{
    struct world *w = *state;
    struct err err = ERR_INIT;
    begin(w, "", 3000);
    trials(w, 1000, 3000, 900);
    w->next += 1000;
    trials(w, 1000, 3000, 900);
    assert_true(forecast_read(w->dirfd, w->scenario, &w->forecast, &err) < 0);
    assert_non_null(strstr(err.text, "trials 2001 to 3000 stand where trial 1001 was expected"));
}

static void names_are_escaped_in_every_output(void **state)
{
    struct world *w = *state;
    begin(w, "title: \"<b>&*_\"\n", 1000);
    trials(w, 1000, 3000, 900);
    const struct forecast *f = end(w);
    struct plots none = {0};
    AUTO_BUF page = BUF_INIT, md = BUF_INIT, junit = BUF_INIT;
    forecast_html(f, &none, &page);
    forecast_markdown(f, &md);
    forecast_junit(f, &junit);
    assert_null(strstr(buf_text(&page), "<h1><b>"));
    assert_non_null(strstr(buf_text(&page), "<h1>&lt;b&gt;&amp;*_</h1>"));
    assert_non_null(strstr(buf_text(&page), "FORECAST"));
    assert_null(strstr(buf_text(&md), "<b>"));
    assert_non_null(strstr(buf_text(&junit), "mode\" value=\"forecast"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(met_when_the_whole_interval_is_above),
        TEST(not_met_when_all_of_it_is_below),
        TEST(else_more_trials_are_needed_and_how_many),
        TEST(what_is_asked_is_demonstrates),
        TEST(what_never_comes_back_is_a_miss_and_longer_than_anything),
        TEST(recovery_that_was_never_exercised_is_not_shown),
        TEST(percentages_are_never_rounded_to_all_or_none),
        TEST(blocks_that_are_missing_are_told),
        TEST(names_are_escaped_in_every_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
