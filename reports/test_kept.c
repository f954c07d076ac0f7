/* What a service keeps doing while a fault is in force, and what is promised of it. */
#include "tests/support/test.h"

#include "reports/fixture.h"
#include "reports/kept.h"
#include "reports/sentence.h"

#define BAD3 "GGGGGGGGGGGGGGGGGRRR" /* 20 probes */

static const struct kept *played(struct world *w, struct during_fault *promise, const char *strip)
{
    world_init(w);
    w->services[0].during_fault = promise;
    world_usual(w, 1, strip);
    world_run_end(w, "completed");
    world_measure(w);
    return &world_seen(w, 1)->kept;
}

#define PROMISE                                                                                    \
    struct during_fault promise = {.p50 = NSEC_UNSET, .p95 = NSEC_UNSET, .p99 = NSEC_UNSET}

static void good_ones_are_counted_while_the_fault_is_in_force(void **state)
{
    WORLD w;
    PROMISE;
    promise.success = 0.85;
    const struct kept *k = played(&w, &promise, G16 BAD3 "");
    assert_int_equal(k->good, 17); /* none of the 16 before */
    assert_int_equal(k->bad, 3);
    assert_true(k->success[0] == 0.85 && k->success[1] == 0.85);
    assert_share(&w, 1, OBJECTIVE_SUCCESS, SHARE_WITHIN);
    assert_verdict(&w, OBJECTIVE_SUCCESS, VERDICT_MET);
    /* Nobody promised these. */
    assert_share(&w, 1, OBJECTIVE_LATENCY_P95, SHARE_NOT_APPLICABLE);
    assert_null(world_objective(&w, OBJECTIVE_LATENCY_P95));
}

static void a_share_below_the_promise_is_a_miss(void **state)
{
    WORLD w;
    PROMISE;
    promise.success = 0.86;
    played(&w, &promise, G16 BAD3);
    assert_share(&w, 1, OBJECTIVE_SUCCESS, SHARE_MISSED);
    assert_verdict(&w, OBJECTIVE_SUCCESS, VERDICT_NOT_MET);
    assert_int_equal(result_exit_code(w.result), 1);
}

static void a_service_that_was_never_hit_keeps_its_promise(void **state)
{
    WORLD w;
    PROMISE;
    promise.success = 1;
    promise.p99 = 2 * MS;
    played(&w, &promise, G16 "GGGGGGGGGGGGGGGGGGGG");
    assert_verdict(&w, OBJECTIVE_SUCCESS, VERDICT_MET);
    assert_verdict(&w, OBJECTIVE_LATENCY_P99, VERDICT_MET);
}

static void few_probes_cannot_tell_a_high_share(void **state)
{
    WORLD w;
    PROMISE;
    promise.success = 0.99;
    played(&w, &promise, G16 "GGGGGGGGGGGGGGGGGGGG");
    assert_share(&w, 1, OBJECTIVE_SUCCESS, SHARE_OPEN);
    assert_verdict(&w, OBJECTIVE_SUCCESS, VERDICT_NOT_DEMONSTRATED);
    assert_string_equal(world_objective(&w, OBJECTIVE_SUCCESS)->reasons[0].cure,
                        "probes that ask more often, or a fault that lasts longer");
    assert_true(kept_can_tell(100, 0.99));
    assert_false(kept_can_tell(99, 0.99));
    assert_true(kept_can_tell(1, 1));
    assert_false(kept_can_tell(0, 1));
}

static void what_is_not_known_counts_both_ways(void **state)
{
    WORLD w;
    PROMISE;
    promise.success = 0.95;
    promise.p95 = 5 * MS;
    const struct kept *k = played(&w, &promise, G16 "GGGGGGGGGGGGGGGGGG??");
    assert_int_equal(k->unknown, 2);
    assert_true(k->success[0] == 0.9 && k->success[1] == 1);
    assert_share(&w, 1, OBJECTIVE_SUCCESS, SHARE_OPEN);
    /* 19 of 20 within 5 ms are certain if both unknown ones are slow: the 19th is one of them. */
    assert_share(&w, 1, OBJECTIVE_LATENCY_P95, SHARE_OPEN);
    assert_string_equal(world_objective(&w, OBJECTIVE_SUCCESS)->reasons[0].cure,
                        "a vantage point that the fault does not disturb");
}

static void latencies_are_nearest_ranks(void **state)
{
    WORLD w;
    PROMISE;
    promise.p50 = 1 * MS;
    promise.p95 = 5 * MS;
    promise.p99 = 50 * MS;
    /* 20 answers: the 10th and the 19th take 1 and 40 ms, the 20th 40 ms. */
    const struct kept *k = played(&w, &promise, G16 "GGGGGGGGGGGGGGGGGGSS");
    assert_int_equal(k->answers, 20);
    assert_ms(k->latency[KEPT_P50], 1, 1);
    assert_ms(k->latency[KEPT_P95], 40, 40);
    assert_share(&w, 1, OBJECTIVE_LATENCY_P50, SHARE_WITHIN);
    assert_share(&w, 1, OBJECTIVE_LATENCY_P95, SHARE_MISSED);
    assert_share(&w, 1, OBJECTIVE_LATENCY_P99, SHARE_WITHIN);
}

static void who_is_refused_got_no_answer_and_who_waits_in_vain_a_slow_one(void **state)
{
    WORLD w;
    PROMISE;
    promise.p99 = 1000 * MS;
    const struct kept *k = played(&w, &promise, G16 "GGGGGGGGGGRGGGGGGGGT");
    assert_int_equal(k->answers, 19);
    assert_ms(k->latency[KEPT_P99], 500, NSEC_INF);
    assert_share(&w, 1, OBJECTIVE_LATENCY_P99, SHARE_OPEN);
    AUTO_BUF text = BUF_INIT;
    sentence_objective(w.result, world_objective(&w, OBJECTIVE_LATENCY_P99), &text);
    assert_non_null(strstr(buf_text(&text), "1 % of 19 answers of "));
    assert_non_null(strstr(buf_text(&text), " took more than 500 ms while a fault was in force"));
    WORLD w2;
    promise.p99 = 400 * MS;
    played(&w2, &promise, G16 "GGGGGGGGGGRGGGGGGGGT");
    assert_share(&w2, 1, OBJECTIVE_LATENCY_P99, SHARE_MISSED);
}

static void a_trial_cut_short_is_not_within(void **state)
{
    WORLD w;
    PROMISE;
    promise.success = 0.5;
    promise.p50 = 5 * MS;
    world_init(&w);
    w.services[0].during_fault = &promise;
    world_step(&w, "lose");
    world_begin(&w, 1, 1);
    world_inject(&w, "lose", 1550 * MS);
    world_verify(&w, "lose", true);
    world_strip(&w, "page", G16 "GGGGG");
    world_end(&w, 2100 * MS, "aborted", "Ctrl-C");
    world_run_end(&w, "aborted");
    world_measure(&w);
    assert_share(&w, 1, OBJECTIVE_SUCCESS, SHARE_OPEN);
    assert_share(&w, 1, OBJECTIVE_LATENCY_P50, SHARE_OPEN);
}

static void what_comes_after_the_fault_is_not_part_of_it(void **state)
{
    WORLD w;
    PROMISE;
    promise.success = 0.9;
    world_init(&w);
    w.services[0].during_fault = &promise;
    world_step(&w, "lose");
    world_begin(&w, 1, 1);
    world_inject(&w, "lose", 1550 * MS);
    world_verify(&w, "lose", true);
    world_strip(&w, "page",
                G16 "GGGGGGGGGG"
                    "RR" BACK);
    world_undo(&w, "lose", 2550 * MS, "for");
    world_end(&w, 3800 * MS, "completed", NULL);
    world_run_end(&w, "completed");
    world_measure(&w);
    const struct kept *k = &world_seen(&w, 1)->kept;
    assert_int_equal(k->good, 10);
    assert_int_equal(k->bad, 0);
    assert_share(&w, 1, OBJECTIVE_SUCCESS, SHARE_WITHIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones_are_counted_while_the_fault_is_in_force),
        cmocka_unit_test(a_share_below_the_promise_is_a_miss),
        cmocka_unit_test(a_service_that_was_never_hit_keeps_its_promise),
        cmocka_unit_test(few_probes_cannot_tell_a_high_share),
        cmocka_unit_test(what_is_not_known_counts_both_ways),
        cmocka_unit_test(latencies_are_nearest_ranks),
        cmocka_unit_test(who_is_refused_got_no_answer_and_who_waits_in_vain_a_slow_one),
        cmocka_unit_test(a_trial_cut_short_is_not_within),
        cmocka_unit_test(what_comes_after_the_fault_is_not_part_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
