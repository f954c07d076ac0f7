/* Sums of outcomes: exact counts, quantiles to the width of a step, the same in whatever order. */
#include "tests/support/test.h"

#include "sim/base/rng.h"
#include "sim/forecast/outcome.h"
#include "sim/forecast/test_standin.h"

static int by_size(const void *a, const void *b)
{
    nsec x = *(const nsec *)a, y = *(const nsec *)b;
    return (x > y) - (x < y);
}

static void quantiles_are_right_to_a_fifth_of_a_percent(void **state)
{
    static nsec values[20000];
    struct outcome_times t = {0};
    struct rng r = rng_stream(1, "values", 0, 0);
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        values[i] = (nsec)(1 + rng_below(&r, (uint64_t)1 << (i % 50))); /* all sizes */
        outcome_times_add(&t, values[i], 1);
    }
    qsort(values, ARRAY_SIZE(values), sizeof *values, by_size);
    for (int k = 1; k <= 100; k++) {
        size_t rank = (size_t)k * ARRAY_SIZE(values) / 100;
        nsec want = values[rank - 1], got = outcome_times_quantile(&t, k / 100.0);
        assert_in_range(llabs(got - want), 0, want / 500);
        assert_in_range(outcome_times_upto(&t, want), rank, ARRAY_SIZE(values));
    }
    assert_int_equal(outcome_times_quantile(&t, 1), values[ARRAY_SIZE(values) - 1]);
    outcome_times_done(&t);
}

static void small_values_are_exact(void **state)
{
    struct outcome_times t = {0};
    for (nsec v = 0; v < 512; v++)
        outcome_times_add(&t, v, 1);
    assert_int_equal(outcome_times_quantile(&t, 0.5), 255);
    assert_int_equal(outcome_times_upto(&t, 300), 301);
    assert_int_equal(t.total, 511 * 256);
    outcome_times_done(&t);
}

static void the_greatest_values_have_a_step_too(void **state)
{
    struct outcome_times t = {0};
    outcome_times_add(&t, NSEC_INF - 1, 1);
    outcome_times_add(&t, NSEC_INF - 1, 1);
    assert_int_equal(outcome_times_quantile(&t, 0.5), NSEC_INF - 1);
    assert_int_equal(t.never, 0);
    outcome_times_done(&t);
}

static void what_never_ends_is_no_average(void **state)
{
    struct outcome_times t = {0};
    assert_int_equal(outcome_times_quantile(&t, 0.5), NSEC_UNSET);
    for (int i = 0; i < 60; i++)
        outcome_times_add(&t, 2 * NSEC_SEC, 1);
    for (int i = 0; i < 40; i++)
        outcome_times_add(&t, NSEC_INF, 1);
    outcome_times_add(&t, NSEC_UNSET, 1);
    assert_int_equal(t.n, 60);
    assert_int_equal(t.never, 40);
    assert_int_equal(outcome_times_quantile(&t, 0.6), 2 * NSEC_SEC);
    assert_int_equal(outcome_times_quantile(&t, 0.61), NSEC_INF);
    assert_true(outcome_times_mean(&t) > 1.999e9 && outcome_times_mean(&t) < 2.001e9);
    assert_true(outcome_times_deviation(&t) < 1e3);
    outcome_times_done(&t);
}

/* As the record tells them: in whatever parts they are added up. */
static void sums_are_the_same_in_any_parts_and_order(void **state)
{
    struct scenario s;
    struct service services[2];
    void *pointers[3];
    fixture_scenario(&s, services, pointers);
    struct outcome_sums all = OUTCOME_SUMS_INIT, parts[3] = {{0}}, joined = OUTCOME_SUMS_INIT;
    struct trial *t = trial_new(NULL);
    struct outcome out[2];
    for (uint64_t n = 1; n <= 3000; n++) {
        trial_run(t, 5, n, NULL, NULL, NULL, out, NULL);
        outcome_sums_add(&all, &services[0], &out[0]);
        outcome_sums_add(&parts[n * 7 % 3], &services[0], &out[0]);
    }
    for (size_t i = 3; i > 0; i--)
        outcome_sums_merge(&joined, &parts[i - 1]);
    assert_int_equal(joined.trials, 3000);
    assert_int_equal(joined.kinds[OUTCOME_IS_RESTORED], all.kinds[OUTCOME_IS_RESTORED]);
    assert_memory_equal(joined.shares, all.shares, sizeof all.shares);
    for (size_t i = 0; i < OUTCOME_TIMES; i++) {
        assert_true(joined.times[i].total == all.times[i].total);
        assert_true(joined.times[i].squares == all.times[i].squares);
        assert_int_equal(joined.times[i].n, all.times[i].n);
        assert_int_equal(joined.times[i].never, all.times[i].never);
        for (int q = 1; q < 100; q++)
            assert_int_equal(outcome_times_quantile(&joined.times[i], q / 100.0),
                             outcome_times_quantile(&all.times[i], q / 100.0));
    }
    trial_free(t);
    outcome_sums_done(&all);
    outcome_sums_done(&joined);
    for (size_t i = 0; i < 3; i++)
        outcome_sums_done(&parts[i]);
}

static struct outcome restored(nsec ttr, nsec ttd)
{
    return (struct outcome){.kind = OUTCOME_IS_RESTORED,
                            .by = OUTCOME_BY_RECOVERY,
                            .ttr = ttr,
                            .ttd = ttd,
                            .tta = NSEC_UNSET,
                            .down = ttr,
                            .drained = NSEC_UNSET,
                            .loss = NSEC_UNSET,
                            .episodes = 1,
                            .weight = 1};
}

static void each_promise_is_judged_as_in_a_drill(void **state)
{
    struct detect detect = {.within = 2 * NSEC_SEC};
    struct service s = {.rto = 5 * NSEC_SEC,
                        .rpo = NSEC_SEC,
                        .max_downtime = 6 * NSEC_SEC,
                        .mtpd = 20 * NSEC_SEC,
                        .detect = &detect,
                        .expect = EXPECT_AFFECTED};
    struct outcome o = restored(5 * NSEC_SEC, 2 * NSEC_SEC);
    assert_int_equal(outcome_judge(&s, OUTCOME_RTO, &o), OUTCOME_WITHIN); /* exactly */
    assert_int_equal(outcome_judge(&s, OUTCOME_DETECT, &o), OUTCOME_WITHIN);
    assert_int_equal(outcome_judge(&s, OUTCOME_RPO, &o), OUTCOME_NOT_JUDGED);
    assert_int_equal(outcome_judge(&s, OUTCOME_MTPD, &o), OUTCOME_WITHIN);
    o = restored(5 * NSEC_SEC + 1, 2 * NSEC_SEC + 1);
    o.drained = 21 * NSEC_SEC;
    o.loss = 2 * NSEC_SEC;
    assert_int_equal(outcome_judge(&s, OUTCOME_RTO, &o), OUTCOME_MISSED);
    assert_int_equal(outcome_judge(&s, OUTCOME_DETECT, &o), OUTCOME_MISSED);
    assert_int_equal(outcome_judge(&s, OUTCOME_MAX_DOWNTIME, &o), OUTCOME_WITHIN);
    assert_int_equal(outcome_judge(&s, OUTCOME_RPO, &o), OUTCOME_MISSED);
    assert_int_equal(outcome_judge(&s, OUTCOME_MTPD, &o), OUTCOME_MISSED);
    o = restored(NSEC_SEC, NSEC_INF); /* back before anybody had to notice */
    assert_int_equal(outcome_judge(&s, OUTCOME_DETECT, &o), OUTCOME_NOT_JUDGED);
    o = restored(3 * NSEC_SEC, NSEC_INF);
    assert_int_equal(outcome_judge(&s, OUTCOME_DETECT, &o), OUTCOME_MISSED);
    o.by = OUTCOME_BY_HEAL;
    assert_int_equal(outcome_judge(&s, OUTCOME_RTO, &o), OUTCOME_MISSED);
    s.heal_counts = 1;
    assert_int_equal(outcome_judge(&s, OUTCOME_RTO, &o), OUTCOME_WITHIN);
    o = restored(NSEC_UNSET, NSEC_INF); /* its clock never started */
    assert_int_equal(outcome_judge(&s, OUTCOME_RTO, &o), OUTCOME_OPEN);
    o.kind = OUTCOME_IS_CENSORED;
    o.ttr = NSEC_INF;
    o.down = NSEC_SEC;
    assert_int_equal(outcome_judge(&s, OUTCOME_RTO, &o), OUTCOME_MISSED);
    assert_int_equal(outcome_judge(&s, OUTCOME_MAX_DOWNTIME, &o), OUTCOME_MISSED);
    o.kind = OUTCOME_IS_UNAFFECTED;
    o.ttd = NSEC_UNSET;
    assert_int_equal(outcome_judge(&s, OUTCOME_RTO, &o), OUTCOME_WITHIN);
    assert_int_equal(outcome_judge(&s, OUTCOME_DETECT, &o), OUTCOME_NOT_JUDGED);
    assert_int_equal(outcome_judge(&s, OUTCOME_EXPECT, &o), OUTCOME_MISSED);
    o.kind = OUTCOME_IS_VOID;
    assert_int_equal(outcome_judge(&s, OUTCOME_RTO, &o), OUTCOME_WAS_VOID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_right_to_a_fifth_of_a_percent),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(the_greatest_values_have_a_step_too),
        cmocka_unit_test(what_never_ends_is_no_average),
        cmocka_unit_test(sums_are_the_same_in_any_parts_and_order),
        cmocka_unit_test(each_promise_is_judged_as_in_a_drill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
