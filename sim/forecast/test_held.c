/* Drills against a forecast: the tests' errors and powers, and every kind of drill. */
#include "tests/support/test.h"

#include "sim/base/rng.h"
#include "sim/forecast/draw.h"
#include "sim/forecast/estimate.h"
#include "sim/forecast/held.h"

#include <math.h>

#define N 20000
static const struct distribution lognormal = {.kind = DISTRIBUTION_LOGNORMAL,
                                              .a = 60 * NSEC_SEC,
                                              .b = 310804956384, /* sigma 1 */
                                              .least = NSEC_UNSET,
                                              .most = NSEC_UNSET};

static nsec *forecast_of(const struct distribution *d, double unaffected)
{
    nsec *v = calloc(N, sizeof *v);
    assert_non_null(v);
    for (uint64_t i = 0; i < N; i++) {
        struct rng r = rng_stream(1, "forecast", i, 0);
        v[i] = rng_unit(&r) < unaffected ? HELD_BELOW : draw(d, &r);
    }
    estimate_sort(v, N);
    return v;
}

static struct held_drill drill_at(double seconds, double width)
{
    nsec lo = (nsec)(seconds * 1e9);
    return (struct held_drill){.time = {lo, isinf(width) ? NSEC_INF : lo + (nsec)(width * 1e9)}};
}

/* Shares of verdicts over many sets of n drills, `factor` times as slow as forecast. */
static void play(const nsec *v, size_t n, double factor, double unaffected, double share[4])
{
    size_t seen[4] = {0};
    for (uint64_t i = 0; i < 4000; i++) {
        struct held_drill d[20];
        for (size_t k = 0; k < n; k++) {
            struct rng r = rng_stream(2, "truth", i, k);
            d[k] = rng_unit(&r) < unaffected
                       ? (struct held_drill){.unaffected = true, .seed = i, .trial = k + 1}
                       : drill_at(factor * (double)draw(&lognormal, &r) / 1e9, 0);
        }
        struct held h;
        held_against(v, N, d, n, &h);
        seen[h.verdict]++;
    }
    for (size_t k = 0; k < 4; k++)
        share[k] = (double)seen[k] / 4000;
}

static void a_true_forecast_is_seldom_contradicted(void **state)
{
    AUTO_FREE nsec *v = forecast_of(&lognormal, 0);
    double share[4];
    for (size_t n = 6; n <= 20; n += 7) {
        play(v, n, 1, 0, share);
        if (share[HELD_TOO_OPTIMISTIC] > 0.05 || share[HELD_TOO_PESSIMISTIC] > 0.06)
            fail_msg("n %zu: %.3f too optimistic, %.3f too pessimistic", n,
                     share[HELD_TOO_OPTIMISTIC], share[HELD_TOO_PESSIMISTIC]);
    }
}

static void ties_are_broken_by_the_seed(void **state)
{
    /* 70 % of all trials are unaffected: the median lies among them */
    AUTO_FREE nsec *v = forecast_of(&lognormal, 0.7);
    double share[4];
    play(v, 12, 1, 0.7, share);
    if (share[HELD_TOO_OPTIMISTIC] > 0.05 || share[HELD_TOO_PESSIMISTIC] > 0.06)
        fail_msg("%.3f too optimistic, %.3f too pessimistic", share[HELD_TOO_OPTIMISTIC],
                 share[HELD_TOO_PESSIMISTIC]);
    play(v, 12, 1, 0.2, share); /* in truth it is hit much oftener */
    assert_true(share[HELD_TOO_OPTIMISTIC] > 0.5);
    struct held_drill d[8] = {{.unaffected = true, .seed = 6, .trial = 1}};
    for (size_t i = 0; i < 8; i++)
        d[i] = (struct held_drill){.unaffected = true, .seed = 6, .trial = i + 1};
    struct held a, b;
    held_against(v, N, d, 8, &a);
    held_against(v, N, d, 8, &b);
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(a.above_median > 0 && a.above_median < 8);
    assert_int_equal(a.above_q90, 0);
}

/* The power that is printed is the one that is had. */
static void power_is_what_it_says(void **state)
{
    AUTO_FREE nsec *v = forecast_of(&lognormal, 0);
    for (size_t n = 6; n <= 20; n += 7) {
        struct held_drill d[20];
        for (size_t k = 0; k < n; k++)
            d[k] = drill_at(60, 0);
        struct held h;
        double share[4];
        held_against(v, N, d, n, &h);
        held_power(v, N, &h);
        play(v, n, 2, 0, share);
        if (fabs(share[HELD_TOO_OPTIMISTIC] - h.power_twice) > 0.04)
            fail_msg("n %zu: %.3f said, %.3f seen", n, h.power_twice, share[HELD_TOO_OPTIMISTIC]);
        play(v, n, h.factor, 0, share);
        assert_true(fabs(share[HELD_TOO_OPTIMISTIC] - 0.8) < 0.04);
        /* coarser measurements notice less: intervals that straddle speak for the forecast */
        struct held coarse;
        for (size_t k = 0; k < n; k++)
            d[k] = drill_at(40, 60);
        held_against(v, N, d, n, &coarse);
        held_power(v, N, &coarse);
        assert_true(coarse.width == 60 * NSEC_SEC);
        assert_true(coarse.power_twice < h.power_twice);
        assert_true(coarse.factor == 0 || coarse.factor > h.factor);
    }
}

static void kinds_of_drills(void **state)
{
    AUTO_FREE nsec *v = forecast_of(&lognormal, 0); /* median 60 s, q90 216 s */
    struct held_drill d[8];
    struct held h;
    for (size_t i = 0; i < 8; i++)
        d[i] = drill_at(58, 4); /* straddle the median */
    held_against(v, N, d, 8, &h);
    assert_int_equal(h.verdict, HELD_NOT_CONTRADICTED);
    assert_int_equal(h.above_median + h.below_median, 0);
    for (size_t i = 0; i < 8; i++)
        d[i] = drill_at(70, (double)INFINITY); /* censored above it */
    held_against(v, N, d, 8, &h);
    assert_int_equal(h.verdict, HELD_TOO_OPTIMISTIC);
    assert_int_equal(h.above_median, 8);
    assert_int_equal(h.above_q90, 0);
    assert_true(fabs(h.p_median - 1.0 / 256) < 1e-9);
    for (size_t i = 0; i < 8; i++)
        d[i] = drill_at(50, (double)INFINITY); /* censored below it: nothing can be said */
    held_against(v, N, d, 8, &h);
    assert_int_equal(h.verdict, HELD_NOT_CONTRADICTED);
    for (size_t i = 0; i < 8; i++)
        d[i] = drill_at(i < 4 ? 1000 : 20, 1);
    held_against(v, N, d, 8, &h);
    assert_int_equal(h.verdict, HELD_TOO_OPTIMISTIC); /* four of eight above q90: .005 */
    for (size_t i = 0; i < 8; i++)
        d[i] = drill_at(10, 1);
    held_against(v, N, d, 8, &h);
    assert_int_equal(h.verdict, HELD_TOO_PESSIMISTIC);
    held_against(v, N, d, 5, &h);
    assert_int_equal(h.verdict, HELD_TOO_FEW);
    held_against(v, N, d, 0, &h);
    assert_int_equal(h.verdict, HELD_TOO_FEW);
}

static void a_forecast_that_never_ends(void **state)
{
    nsec v[100];
    struct held_drill d[8];
    struct held h;
    for (size_t i = 0; i < 100; i++)
        v[i] = i < 40 ? (nsec)i * NSEC_SEC : NSEC_INF;
    for (size_t i = 0; i < 8; i++)
        d[i] = drill_at(70, (double)INFINITY);
    held_against(v, 100, d, 8, &h);
    assert_int_equal(h.verdict, HELD_NOT_CONTRADICTED);
    held_power(v, 100, &h);
    assert_true(h.factor == 0);
    for (size_t i = 0; i < 8; i++)
        d[i] = drill_at(70, 1);
    held_against(v, 100, d, 8, &h);
    assert_int_equal(h.verdict, HELD_TOO_PESSIMISTIC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_true_forecast_is_seldom_contradicted),
        cmocka_unit_test(ties_are_broken_by_the_seed),
        cmocka_unit_test(power_is_what_it_says),
        cmocka_unit_test(kinds_of_drills),
        cmocka_unit_test(a_forecast_that_never_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
