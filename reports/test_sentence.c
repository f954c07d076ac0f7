/* What people read, for every outcome: exact words. */
#include "tests/support/test.h"

#include <math.h>

#include "reports/fixture.h"
#include "reports/markdown.h"
#include "reports/sentence.h"

#define FAST G16 "RRRRR" BACK
#define SLOW G16 "RRRRRRRRRRRRRRRR" BACK

static void expect_sentence(const struct world *w, enum objective_kind kind, const char *expected)
{
    AUTO_BUF b = BUF_INIT;
    sentence_objective(w->result, world_objective(w, kind), &b);
    assert_string_equal(buf_text(&b), expected);
}

static void expect_reliability(const struct world *w, enum objective_kind kind,
                               const char *expected)
{
    AUTO_BUF b = BUF_INIT;
    sentence_reliability(w->result, world_objective(w, kind), &b);
    assert_string_equal(buf_text(&b), expected);
}

static void play(struct world *w, const char *const *strips, size_t n)
{
    w->scenario.trials = (int64_t)n;
    for (size_t i = 0; i < n; i++)
        world_usual(w, (int64_t)i + 1, strips[i]);
    world_run_end(w, "completed");
    world_measure(w);
}

static void durations_in_words(void **state)
{
    static const struct {
        struct span s;
        const char *text;
    } cells[] = {
        {{3100 * MS, 3300 * MS}, "3.2 s (3.1–3.3)"},
        {{3120 * MS, 3280 * MS}, "3.2 s (3.1–3.3)"},
        {{399 * MS, 551 * MS}, "475 ms (399–551)"},
        {{0, 201 * MS}, "at most 201 ms"},
        {{899 * MS, NSEC_INF}, "more than 899 ms"},
        {{58 * NSEC_SEC, NSEC_INF}, "more than 58.0 s"},
        {{-351 * MS, -249 * MS}, "-300 ms (-351 to -249)"},
        {{1234567, 2345678}, "1.8 ms (1.2–2.4)"},
        {{61 * NSEC_SEC, 62 * NSEC_SEC}, "61.5 s (61.0–62.0)"},
        {{161 * NSEC_SEC, 163 * NSEC_SEC}, "162 s (161–163)"},
        {{3600 * NSEC_SEC, NSEC_INF}, "more than 1 h"},
        {{690 * NSEC_SEC, 720 * NSEC_SEC}, "11 min 45 s (11 min 30 s – 12 min)"},
        {{NSEC_UNSET, NSEC_UNSET}, "unknown"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
        AUTO_BUF b = BUF_INIT;
        sentence_span(cells[i].s, &b);
        assert_string_equal(buf_text(&b), cells[i].text);
    }
}

static void met(void **state)
{
    WORLD w;
    world_init(&w);
    play(&w, (const char *const[]){FAST, G16 "RRRRRR" BACK, FAST, FAST, FAST}, 5);
    expect_sentence(&w, OBJECTIVE_RTO,
                    "checkout came back 575 ms (499–651) after it failed, the worst of 5 trials; "
                    "the promise is 1 s: met.");
    expect_reliability(&w, OBJECTIVE_RTO,
                       "5 of 5 trials were within the target; no reliability is claimed (as "
                       "independent repetitions they would show at least 54.9 % at 95 % "
                       "confidence; 14 clean ones would show 80 %).");
    AUTO_BUF b = BUF_INIT;
    sentence_run(w.result, &b);
    assert_non_null(strstr(buf_text(&b), "Everything was undone; the system is as it was."));
    assert_string_equal(sentence_mode(w.result), "LIVE DRILL");
}

static void one_trial(void **state)
{
    WORLD w;
    world_init(&w);
    play(&w, (const char *const[]){FAST}, 1);
    expect_sentence(&w, OBJECTIVE_RTO,
                    "checkout came back 475 ms (399–551) after it failed in the one trial; the "
                    "promise is 1 s: met.");
    expect_reliability(&w, OBJECTIVE_RTO, "One trial shows that it can work, not that it does.");
}

static void missed(void **state)
{
    WORLD w;
    world_init(&w);
    play(&w, (const char *const[]){FAST, SLOW}, 2);
    expect_sentence(&w, OBJECTIVE_RTO,
                    "checkout came back 1.6 s (1.4–1.7) after it failed, the worst of 2 trials; "
                    "the promise is 1 s: not met (1 of 2 trials missed the target).");
}

static void censored(void **state)
{
    WORLD w;
    world_init(&w);
    w.services[0].rto = 500 * MS;
    play(&w, (const char *const[]){FAST, G16 "RRRRRRRRRR"}, 2);
    expect_sentence(&w, OBJECTIVE_RTO,
                    "checkout did not come back: it was still down more than 899 ms after it "
                    "failed in trial 2 of 2, when observation ended; the promise is 500 ms: not "
                    "met (1 of 2 trials missed the target).");
}

static void healed(void **state)
{
    WORLD w;
    world_init(&w);
    w.services[0].rto = 5 * NSEC_SEC;
    world_step(&w, "lose");
    world_begin(&w, 1, 1);
    world_inject(&w, "lose", 1550 * MS);
    world_verify(&w, "lose", true);
    world_undo(&w, "lose", 2550 * MS, "for");
    world_strip(&w, "page", G16 "RRRRRRRRRR" BACK);
    world_end(&w, 4000 * MS, "completed", NULL);
    world_run_end(&w, "completed");
    world_measure(&w);
    expect_sentence(&w, OBJECTIVE_RTO,
                    "checkout came back only after blackstart had taken the fault away, more than "
                    "899 ms after it failed in the one trial, which is no recovery; the promise is "
                    "5 s: not demonstrated (in 1 trial what is known does not decide it).");
    w.services[0].heal_counts = true;
    world_measure(&w);
    expect_sentence(&w, OBJECTIVE_RTO,
                    "checkout came back 1.0 s (0.8–1.1) after it failed in the one trial, when "
                    "blackstart had taken the fault away (which the scenario counts); the promise "
                    "is 5 s: met.");
}

static void unaffected(void **state)
{
    WORLD w;
    world_init(&w);
    play(&w, (const char *const[]){G16 "GGGGGGGGGG"}, 1);
    expect_sentence(&w, OBJECTIVE_RTO,
                    "checkout never went down in the one trial (an outage of at most 201 ms would "
                    "not have been seen); the promise is 1 s: not demonstrated (the service was "
                    "never hit: recovery was not exercised).");
    world_expect(&w, EXPECT_UNAFFECTED);
    world_measure(&w);
    expect_sentence(&w, OBJECTIVE_EXPECT,
                    "checkout was to stay unaffected and did in 1 of 1 trial: met.");
}

static void voided(void **state)
{
    WORLD w;
    world_init(&w);
    world_step(&w, "lose");
    world_begin(&w, 1, 1);
    world_inject(&w, "lose", 1550 * MS);
    world_verify(&w, "lose", false);
    world_strip(&w, "page", FAST);
    world_end(&w, 3100 * MS, "completed", NULL);
    world_run_end(&w, "completed");
    world_measure(&w);
    expect_sentence(&w, OBJECTIVE_RTO,
                    "Trial 1 of 1 is void (the fault lose did not bite: asked was lb1 silent, seen "
                    "was lb1 answers); nothing is known of what checkout promises (restored within "
                    "1 s): inconclusive.");
    expect_reliability(&w, OBJECTIVE_RTO, "");
}

static void aborted_and_not_clean(void **state)
{
    WORLD w;
    world_init(&w);
    world_usual(&w, 1, FAST);
    world_event(&w, "clean", 9000 * MS, "{s:b,s:[s]}", "clean", 0, "left", "table blackstart");
    world_run_end(&w, "aborted");
    json_object_set_new(json_array_get(w.events, json_array_size(w.events) - 1), "reason",
                        json_string("Ctrl-C"));
    world_measure(&w);
    AUTO_BUF b = BUF_INIT;
    sentence_run(w.result, &b);
    assert_int_equal(strncmp(buf_text(&b), "The run was aborted: Ctrl-C. checkout", 36), 0);
    assert_non_null(strstr(buf_text(&b), "NOT EVERYTHING COULD BE UNDONE: not undone: table "
                                         "blackstart. Run `blackstart undo`."));
}

static void play_detect(struct world *w, const char *strip, nsec onset, enum role role)
{
    char *own[] = {(char *)(uintptr_t) "own", (char *)(uintptr_t) "page"};
    world_detect(w, 400 * MS)->by = (struct strv){.items = own, .n = 2};
    world_alarm(w, "pager", role, "exec");
    world_usual(w, 1, strip);
    if (onset)
        world_alarm_event(w, "pager", "onset", onset, false);
    world_run_end(w, "completed");
    world_measure(w);
}

static void noticed_or_not(void **state)
{
    WORLD w;
    world_init(&w);
    play_detect(&w, FAST, 1850 * MS, ROLE_PAGE);
    expect_sentence(&w, OBJECTIVE_DETECT,
                    "checkout was noticed by pager 275 ms (249–301) after it failed in the one "
                    "trial; the promise is 400 ms: met.");
    WORLD own;
    world_init(&own);
    play_detect(&own, FAST, 1850 * MS, ROLE_OWN);
    expect_sentence(&own, OBJECTIVE_DETECT,
                    "checkout being down was seen by blackstart's own probe (pager) 275 ms "
                    "(249–301) after it failed in the one trial; the promise is 400 ms: met.");
    WORLD early;
    world_init(&early);
    play_detect(&early, G16 "GGGGRRRRR" BACK, 1650 * MS, ROLE_PAGE);
    expect_sentence(&early, OBJECTIVE_DETECT,
                    "checkout was noticed by pager 300 ms (249–351) before it failed in the one "
                    "trial; the promise is 400 ms: met.");
    WORLD together;
    world_init(&together);
    play_detect(&together, G16 "GGGGRRRRR" BACK, 1925 * MS, ROLE_PAGE);
    expect_sentence(
        &together, OBJECTIVE_DETECT,
        "checkout was noticed by pager between 76 ms before and 26 ms after it failed in "
        "the one trial; the promise is 400 ms: met.");
    WORLD never;
    world_init(&never);
    play_detect(&never, SLOW, 0, ROLE_PAGE);
    expect_sentence(&never, OBJECTIVE_DETECT,
                    "Nobody noticed that checkout was down: no alarm that counts rang for more "
                    "than 2.5 s in the one trial; the promise is 400 ms: not met (1 of 1 trial "
                    "missed the target).");
    WORLD quick;
    world_init(&quick);
    play_detect(&quick, G16 "RRR" BACK, 0, ROLE_PAGE);
    expect_sentence(&quick, OBJECTIVE_DETECT,
                    "checkout was back before anybody had to notice, and nobody did; the promise "
                    "is 400 ms: not applicable.");
}

static void other_objectives(void **state)
{
    WORLD w;
    world_init(&w);
    w.services[0].rpo = 0;
    w.services[0].max_downtime = 2 * NSEC_SEC;
    play(&w, (const char *const[]){FAST}, 1);
    expect_sentence(&w, OBJECTIVE_RPO, "The RPO of checkout (0 s) was not measured.");
    expect_sentence(&w, OBJECTIVE_MAX_DOWNTIME,
                    "checkout was down for 475 ms (399–551) in all in the one trial; the promise "
                    "is 2 s: met.");
    WORLD s;
    world_init(&s);
    world_alarm(&s, "pager", ROLE_PAGE, "exec");
    world_begin(&s, 1, 1);
    world_strip(&s, "page", G16 "GGGGGGGGGG");
    world_end(&s, 2600 * MS, "completed", NULL);
    world_run_end(&s, "completed");
    world_measure(&s);
    expect_sentence(&s, OBJECTIVE_NO_OUTAGE,
                    "Without a fault checkout stayed up in 1 of 1 trial: met.");
    expect_sentence(&s, OBJECTIVE_NO_ALARM,
                    "Without a fault no alarm of checkout rang in 1 of 1 trial: met.");
}

static void what_was_asked_to_be_demonstrated(void **state)
{
    WORLD w;
    world_init(&w);
    w.demonstrate = (struct demonstrate){.reliability = 0.8, .confidence = 0.8};
    w.scenario.demonstrate = &w.demonstrate;
    play(&w, (const char *const[]){FAST, FAST}, 2);
    expect_reliability(&w, OBJECTIVE_RTO,
                       "2 of 2 trials within the target show at least 44.7 % reliability at 80 "
                       "% confidence; 80 % was asked and needs 8 clean trials.");
}

/* An interval is never narrowed, not by a nanosecond; a lower bound is never raised. */
static void rounding(void **state)
{
    (void)state;
    static const struct {
        struct span s;
        const char *text;
    } cells[] = {
        {{3100 * MS - 1, 3300 * MS + 1}, "3.2 s (3.0–3.4)"},
        {{-150 * MS - 1, 150 * MS + 1}, "0 ms (-151 to 151)"},
        {{3100 * MS - 1, NSEC_INF}, "more than 3.0 s"},
        {{0, 3300 * MS + 1}, "at most 3.4 s"},
        {{700 * NSEC_SEC - 1, 701 * NSEC_SEC + 1}, "11 min 41 s (11 min 39 s – 11 min 42 s)"},
        {{7199 * NSEC_SEC, 7201 * NSEC_SEC}, "2 h (1 h 59 min – 2 h 1 min)"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
        AUTO_BUF b = BUF_INIT;
        sentence_span(cells[i].s, &b);
        assert_string_equal(buf_text(&b), cells[i].text);
    }
    assert_true(fabs(sentence_percent_down(0.5499) - 54.9) < 1e-9);
    assert_true(fabs(sentence_percent_down(0.8) - 80) < 1e-9);
    static const struct {
        nsec target;
        const char *text;
    } targets[] = {
        {0, "0 s"},
        {250 * MS, "250 ms"},
        {1234 * MS, "1.234 s"},
        {10 * NSEC_SEC, "10 s"},
        {100 * NSEC_SEC, "1 min 40 s"},
        {4 * 3600 * NSEC_SEC, "4 h"},
        {5405 * NSEC_SEC + 500 * MS, "1 h 30 min 5.5 s"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
        char text[NSEC_TEXT_MAX];
        assert_string_equal(sentence_target(targets[i].target, text), targets[i].text);
    }
}

/* The clock of a promise that somebody must start: what is missing, and what it means. */
static void nobody_declared(void **state)
{
    (void)state;
    WORLD w;
    world_init(&w);
    w.services[0].rto_clock = CLOCK_DECLARATION;
    play(&w, (const char *const[]){SLOW}, 1);
    expect_sentence(
        &w, OBJECTIVE_RTO,
        "checkout came back 1.6 s (1.4–1.7) after it failed in the one trial, but nobody "
        "declared the outage (with `blackstart mark declared`), from which its promise "
        "runs: this trial decides nothing; the promise is 1 s: not demonstrated (in 1 "
        "trial an outage was not declared, so the clock of the promise never started).");
    assert_string_equal(
        world_objective(&w, OBJECTIVE_RTO)->reasons[0].cure,
        "somebody who declares each outage while it lasts (blackstart mark declared)");
    WORLD quick;
    world_init(&quick);
    quick.services[0].rto_clock = CLOCK_DECLARATION;
    play(&quick, (const char *const[]){FAST}, 1);
    expect_sentence(&quick, OBJECTIVE_RTO,
                    "checkout came back 475 ms (399–551) after it failed in the one trial, and "
                    "nobody declared the outage (with `blackstart mark declared`), from which its "
                    "promise runs: counted from any moment of the outage it was within the target; "
                    "the promise is 1 s: met.");
    WORLD down;
    world_init(&down);
    down.services[0].rto_clock = CLOCK_DECLARATION;
    play(&down, (const char *const[]){G16 "RRRRRRRRRRRRRRRR"}, 1);
    expect_sentence(&down, OBJECTIVE_RTO,
                    "checkout did not come back in the one trial, but nobody declared the outage "
                    "(with `blackstart mark declared`), from which its promise runs: this trial "
                    "decides nothing; the promise is 1 s: not demonstrated (in 1 trial an outage "
                    "was not declared, so the clock of the promise never started).");
}

static void expect_cure(const struct world *w, enum objective_kind kind, size_t i, const char *why,
                        const char *cure)
{
    const struct objective *o = world_objective(w, kind);
    assert_true(i < o->reasons_n);
    assert_string_equal(o->reasons[i].text, why);
    if (!cure)
        assert_null(o->reasons[i].cure);
    else
        assert_string_equal(o->reasons[i].cure, cure);
}

/* What would help is what would have helped: each cause has a cure of its own. */
static void cures_fit_their_causes(void **state)
{
    (void)state;
    WORLD masked;
    world_init(&masked);
    masked.services[0].rto_clock = CLOCK_DETECTION;
    world_detect(&masked, 400 * MS);
    world_alarm(&masked, "pager", ROLE_PAGE, "exec");
    world_usual(&masked, 1, SLOW);
    world_alarm_event(&masked, "pager", "onset", 1200 * MS, true);
    world_run_end(&masked, "completed");
    world_measure(&masked);
    for (int kind = OBJECTIVE_RTO; kind <= OBJECTIVE_DETECT; kind++)
        expect_cure(&masked, (enum objective_kind)kind, 0,
                    "in 1 trial an alarm was firing already, so it could not tell",
                    "alarms that are quiet before the trial begins");

    WORLD coarse;
    world_init(&coarse);
    coarse.services[0].rto = 500 * MS;
    play(&coarse, (const char *const[]){FAST, FAST}, 2);
    expect_cure(&coarse, OBJECTIVE_RTO, 0, "in 2 trials what is known does not decide it",
                "a shorter probe interval");

    WORLD early;
    world_init(&early);
    early.services[0].rto = 5 * NSEC_SEC;
    play(&early, (const char *const[]){G16 "RRRRRRRRRR", FAST}, 2);
    expect_cure(&early, OBJECTIVE_RTO, 0, "in 1 trial what is known does not decide it",
                "a longer horizon: observation ended before the target had passed");
}

static void play_void(struct world *w, int64_t attempts)
{
    world_step(w, "lose");
    for (int64_t i = 1; i <= attempts; i++) {
        world_begin(w, 1, i);
        world_inject(w, "lose", 1550 * MS);
        world_verify(w, "lose", false);
        world_strip(w, "page", FAST);
        world_end(w, 3100 * MS, "void", "the fault did not bite");
    }
    w->scenario.trials = 2;
    world_usual(w, 2, FAST);
    world_run_end(w, "completed");
    world_measure(w);
}

static void the_cure_of_void_knows_what_was_declared(void **state)
{
    (void)state;
    WORLD none;
    world_init(&none);
    play_void(&none, 1);
    expect_cure(&none, OBJECTIVE_RTO, 0, "1 trial is void",
                "the cause of each void trial stands with it; `replace_void: 1` would repeat as "
                "many");
    WORLD used;
    world_init(&used);
    used.scenario.replace_void = 1;
    play_void(&used, 2);
    expect_cure(&used, OBJECTIVE_RTO, 0, "1 trial is void",
                "the cause of each void trial stands with it; 1 trial was repeated, "
                "`replace_void` allows 1");
}

static const char *finding_text(const struct world *w, const char *code)
{
    for (size_t i = 0; i < w->result->findings_n; i++)
        if (strcmp(w->result->findings[i].code, code) == 0)
            return w->result->findings[i].text;
    return "";
}

static void an_action(struct world *w, const char *event, nsec at, int code, const char *output)
{
    json_int_t t = w->trial * 100 * NSEC_SEC + at;
    world_event(w, "action", at, "{s:s,s:s,s:s,s:s,s:s,s:[I,I]}", "step", "promote", "event", event,
                "host", "db2", "command", "./promote.sh", "role", "dba", "at", t, t);
    json_t *e = json_array_get(w->events, json_array_size(w->events) - 1);
    if (strcmp(event, "end") == 0) {
        json_object_set_new(e, "code", json_integer(code));
        json_object_set_new(e, "output", json_string(output));
    }
}

static void play_action(struct world *w, bool started, int code, const char *output)
{
    world_step(w, "lose");
    struct step *promote = world_step(w, "promote");
    promote->fault = false;
    world_begin(w, 1, 1);
    world_inject(w, "lose", 1550 * MS);
    world_verify(w, "lose", true);
    if (started)
        an_action(w, "start", 1600 * MS, 0, NULL);
    an_action(w, "end", 1700 * MS, code, output);
    world_strip(w, "page", FAST);
    world_end(w, 3100 * MS, "completed", NULL);
    world_run_end(w, "completed");
    world_measure(w);
}

/* What people did by our hand is told beside what was broken; how it failed, too. */
static void actions_are_told(void **state)
{
    (void)state;
    WORLD w;
    world_init(&w);
    play_action(&w, true, 3, "no quorum");
    assert_string_equal(finding_text(&w, "action_failed"),
                        "the command of step promote (./promote.sh) on db2 failed: exit code 3");
    AUTO_BUF page = BUF_INIT;
    markdown_write(w.result, &page);
    assert_non_null(strstr(buf_text(&page),
                           "| promote | run db2: ./promote.sh (as dba) | 0.550 s "
                           "| – | exit code 3 | not undone: an action, no fault |"));
    WORLD down;
    world_init(&down);
    play_action(&down, false, -1, "host 'db2' is down: `./promote.sh` cannot run there");
    assert_string_equal(finding_text(&down, "action_failed"),
                        "the command of step promote (./promote.sh) on db2 failed: it could not be "
                        "run, host 'db2' is down: `./promote.sh` cannot run there");
    assert_verdict(&down, OBJECTIVE_RTO, VERDICT_MET); /* it voids nothing */
}

/* Of two faults that end each other, each names the other; of one alone, others did it. */
static void what_ended_a_fault_is_named(void **state)
{
    (void)state;
    WORLD w;
    world_init(&w);
    world_step(&w, "hang");
    world_step(&w, "lose");
    world_begin(&w, 1, 1);
    world_inject(&w, "hang", 1550 * MS);
    world_verify(&w, "hang", true);
    world_inject(&w, "lose", 1650 * MS);
    world_verify(&w, "lose", true);
    world_strip(&w, "page", FAST);
    json_int_t t = 100 * NSEC_SEC + 3000 * MS;
    world_event(&w, "fault-gone", 3000 * MS, "{s:s,s:s,s:[I,I]}", "step", "hang", "why",
                "0 of 1 are stopped", "at", t, t);
    world_end(&w, 3100 * MS, "completed", NULL);
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_string_equal(w.result->trials[0].why_void,
                        "the fault hang ended early: 0 of 1 are stopped; while it was in force, "
                        "lose of this scenario (node-kill lb1) was done on the same host: let one "
                        "end before the other begins");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_in_words),
        cmocka_unit_test(rounding),
        cmocka_unit_test(met),
        cmocka_unit_test(one_trial),
        cmocka_unit_test(missed),
        cmocka_unit_test(censored),
        cmocka_unit_test(healed),
        cmocka_unit_test(unaffected),
        cmocka_unit_test(voided),
        cmocka_unit_test(aborted_and_not_clean),
        cmocka_unit_test(noticed_or_not),
        cmocka_unit_test(other_objectives),
        cmocka_unit_test(what_was_asked_to_be_demonstrated),
        cmocka_unit_test(nobody_declared),
        cmocka_unit_test(cures_fit_their_causes),
        cmocka_unit_test(the_cure_of_void_knows_what_was_declared),
        cmocka_unit_test(actions_are_told),
        cmocka_unit_test(what_ended_a_fault_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
