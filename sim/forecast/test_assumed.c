/* Assumptions, levers' search and comparisons, on forecasts that are known mathematics. */
#include "tests/support/test.h"

#include "sim/base/rng.h"
#include "sim/forecast/assumed.h"
#include "sim/forecast/cheapest.h"
#include "sim/forecast/versus.h"

#include <math.h>

static const size_t group[] = {0, 1, 1};

/* ttr = 10 + 6 a + 4 b + 4 c: variances as 36 : 32; within = 1 - a b / 10. */
static int linear(const double *u, void *data, struct assumed_point *ret, struct err *err)
{
    ++*(size_t *)data;
    ret[0] = (struct assumed_point){.within = 1 - u[0] * u[1] / 10,
                                    .ttr = 10 + 6 * u[0] + 4 * u[1] + 4 * u[2]};
    ret[1] = (struct assumed_point){.within = (double)NAN, .ttr = 3};
    return 0;
}

static void ranges_are_shared_by_groups(void **state)
{
    double first[2] = {0};
    size_t held = 0, nothing = 0, calls = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct assumed a;
        struct assumed_request q = {.parameters = 3,
                                    .groups = 2,
                                    .services = 2,
                                    .group = group,
                                    .forecast = linear,
                                    .data = &calls,
                                    .seed = seed};
        assert_int_equal(assumed_analyse(&q, &a, NULL), 0);
        const struct assumed_service *s = &a.service[0];
        for (size_t g = 0; g < 2; g++) {
            double truth = g ? 32.0 / 68 : 36.0 / 68;
            first[g] += s->groups[g].first_ttr.value / 40;
            held += s->groups[g].first_ttr.lo <= truth && s->groups[g].first_ttr.hi >= truth;
            held += s->groups[g].total_ttr.lo <= truth && s->groups[g].total_ttr.hi >= truth;
        }
        nothing += s->rest_ttr.lo < 0 && s->rest_ttr.hi > 0;
        /* the tornado: ends of a group, the other in the middle */
        assert_true(fabs(s->middle.ttr - 17) < 1e-9);
        assert_true(fabs(s->groups[0].low.ttr - 14) < 1e-9);
        assert_true(fabs(s->groups[1].high.ttr - 21) < 1e-9);
        assert_true(fabs(s->groups[0].high.within - 0.95) < 1e-9);
        assert_true(s->ttr.lo > 10 && s->ttr.lo < 14 && s->ttr.hi > 20 && s->ttr.hi < 24);
        assert_true(s->within.lo > 0.9 && s->within.lo < 0.94 && s->within.hi > 0.99);
        /* what is not promised and does not vary */
        assert_true(isnan(a.service[1].within.value));
        assert_true(isnan(a.service[1].groups[0].first_ttr.value));
        assert_true(a.service[1].ttr.lo == 3);
        assumed_done(&a);
    }
    assert_true(fabs(first[0] - 36.0 / 68) < 0.04 && fabs(first[1] - 32.0 / 68) < 0.04);
    assert_in_range(held, 140, 160); /* of 160 */
    assert_in_range(nothing, 34, 40);
    assert_int_equal(calls, 40 * (ASSUMED_DRAWS * 4 + 5));
}

/* P(within) 0.8 + slope * change, estimated. */
struct shop {
    const double *slope;
    size_t calls;
    uint64_t seeds[64];
};

static int shop_within(size_t i, double change, uint64_t seed, size_t trials, void *data,
                       struct estimate *ret, struct err *err)
{
    struct shop *s = data;
    struct rng r = rng_stream(seed, "shop", 0, 0);
    size_t x = 0;
    double p = 0.8 + s->slope[i] * change;
    for (size_t k = 0; k < trials; k++)
        x += rng_unit(&r) < p;
    *ret = estimate_share(x, trials);
    s->calls++;
    return 0;
}

static double shop_most(size_t i, void *data)
{
    return i == 3 ? 0.1 : 1;
}

static void the_cheapest_is_found_and_confirmed(void **state)
{
    /* 95 % needs 75 %, never, 50 %, (30 %, but only 10 % is possible) of each */
    static const double slope[] = {0.2, 0.1, 0.3, 0.5};
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct shop s = {.slope = slope};
        struct cheapest c;
        struct cheapest_request q = {.n = 4,
                                     .most = shop_most,
                                     .within = shop_within,
                                     .data = &s,
                                     .required = 0.95,
                                     .seed = seed,
                                     .trials = 20000};
        assert_int_equal(cheapest_find(&q, &c, NULL), 0);
        assert_true(c.found);
        assert_int_equal(c.i, 2);
        assert_true(c.change > 0.49 && c.change < 0.58);
        assert_true(c.within.lo >= 0.95);
    }
    static const double none[] = {0.1, 0.12};
    struct shop s = {.slope = none};
    struct cheapest c;
    struct cheapest_request q = {.n = 2,
                                 .most = shop_most,
                                 .within = shop_within,
                                 .data = &s,
                                 .required = 0.95,
                                 .trials = 20000};
    assert_int_equal(cheapest_find(&q, &c, NULL), 0);
    assert_false(c.found);
    assert_int_equal(s.calls, 2);
}

/* Trials whose restoration takes `times` an exponential time of mean 60 s, one in ten unaffected. */
static struct sample sample_of(uint64_t seed, double times, size_t n)
{
    struct sample s = {.n = n, .services_n = 1, .outcomes = calloc(n, sizeof *s.outcomes)};
    assert_non_null(s.outcomes);
    for (size_t i = 0; i < n; i++) {
        struct rng r = rng_stream(seed, "versus", i, 0);
        double u = rng_unit(&r);
        bool hit = rng_unit(&r) < 0.9;
        s.outcomes[i] =
            (struct outcome){.kind = hit ? OUTCOME_IS_RESTORED : OUTCOME_IS_UNAFFECTED,
                             .by = hit ? OUTCOME_BY_RECOVERY : OUTCOME_BY_NOBODY,
                             .ttr = hit ? (nsec)(-log(1 - u) * 60e9 * times) : NSEC_UNSET,
                             .ttd = !hit     ? NSEC_UNSET
                                    : i % 10 ? (nsec)(i % 7) * NSEC_SEC
                                             : NSEC_INF,
                             .false_alarms = i % 100 == 0,
                             .weight = 1};
    }
    return s;
}

static void common_numbers_make_differences_sharp(void **state)
{
    const struct service promise = {.name = (char[]){"shop"}, .rto = 90 * NSEC_SEC};
    const size_t n = 4000;
    double truth = 0.9 * (exp(-1.5) - exp(-1.5 / 0.8));
    size_t held = 0, sharp = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct sample a = sample_of(seed, 1, n), b = sample_of(seed, 0.8, n),
                      other = sample_of(seed + 1000, 0.8, n);
        struct versus v, w;
        assert_int_equal(versus_compare(&a, &b, 0, &promise, &v, NULL), 0);
        assert_int_equal(versus_compare(&a, &other, 0, &promise, &w, NULL), 0);
        held += v.within.lo <= truth && v.within.hi >= truth;
        sharp += v.within.hi - v.within.lo < 0.6 * (w.within.hi - w.within.lo);
        /* the same numbers: the ratio of medians is exact */
        assert_true(fabs(v.ttr.value - 0.8) < 1e-6 && v.ttr.hi - v.ttr.lo < 1e-6);
        assert_true(w.ttr.lo < 0.8 + 0.06 && w.ttr.hi > 0.8 - 0.06);
        sample_done(&a);
        sample_done(&b);
        sample_done(&other);
    }
    assert_in_range(held, 44, 50);
    assert_int_equal(sharp, 50);
}

static void numbers_of_one_side(void **state)
{
    const struct service promise = {.name = (char[]){"shop"}, .rto = 90 * NSEC_SEC};
    struct sample s = sample_of(3, 1, 20000);
    struct versus_numbers v;
    versus_count(&s, 0, &promise, &v);
    assert_true(v.within.lo < 1 - 0.9 * exp(-1.5) && v.within.hi > 1 - 0.9 * exp(-1.5));
    assert_true(fabs((double)v.ttr_median / 1e9 - 60 * log(2)) < 2);
    assert_true(fabs((double)v.ttr_q90 / 1e9 - 60 * log(10)) < 5);
    assert_int_equal(v.false_alarms, 200);
    assert_true(fabs((double)v.noticed / (double)v.notice_due - 0.9) < 0.01);
    assert_true(v.ttd_q90 == NSEC_INF || v.ttd_q90 == 6 * NSEC_SEC);
    /* nothing was ever hit */
    for (size_t i = 0; i < s.n; i++)
        s.outcomes[i] = (struct outcome){
            .kind = OUTCOME_IS_UNAFFECTED, .ttr = NSEC_UNSET, .ttd = NSEC_UNSET, .weight = 1};
    versus_count(&s, 0, &promise, &v);
    assert_true(v.ttr_median == NSEC_UNSET && isnan(v.ttd_mean) && v.within.value == 1);
    struct versus w;
    assert_int_equal(versus_compare(&s, &s, 0, &promise, &w, NULL), 0);
    assert_true(isnan(w.ttr.value) && w.within.value == 0);
    sample_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_shared_by_groups),
        cmocka_unit_test(the_cheapest_is_found_and_confirmed),
        cmocka_unit_test(common_numbers_make_differences_sharp),
        cmocka_unit_test(numbers_of_one_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
