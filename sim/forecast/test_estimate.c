/* Estimates with known answers, and how often their intervals hold the truth. */
#include "tests/support/test.h"

#include "sim/base/rng.h"
#include "sim/forecast/estimate.h"

#include <math.h>

static void assert_about(double is, double should, double within)
{
    if (!(fabs(is - should) <= within))
        fail_msg("%.9f, not %.9f", is, should);
}

static void shares_are_wilsons(void **state)
{
    struct estimate e = estimate_share(4, 4);
    assert_about(e.lo, 0.510, 0.0005);
    assert_about(e.hi, 1, 0);
    e = estimate_share(11, 12);
    assert_about(e.lo, 0.646, 0.0005);
    assert_about(e.hi, 0.985, 0.0005);
    e = estimate_share(19, 20);
    assert_about(e.lo, 0.764, 0.0005);
    assert_about(e.hi, 0.991, 0.0005);
    assert_true(estimate_share(0, 100).lo == 0);
    assert_true(isnan(estimate_share(0, 0).value));
}

static void tails_are_exact(void **state)
{
    assert_about(estimate_tail(6, 6, 0.5), 1.0 / 64, 1e-13);
    assert_about(estimate_tail(10, 8, 0.5), 56.0 / 1024, 1e-13);
    assert_about(estimate_tail(5, 2, 0.1), 0.08146, 1e-12);
    assert_about(estimate_tail(5000, 2500, 0.5), 0.5056414, 1e-6);
    assert_true(estimate_tail(5, 0, 0.1) == 1);
    assert_true(estimate_tail(5, 6, 0.1) == 0);
    assert_true(estimate_tail(5, 1, 0) == 0);
    assert_true(estimate_tail(5, 5, 1) == 1);
}

static void paired_differences_cover(void **state)
{
    /* both 80 %, 5 % only there; and 2 % against 6 % alone */
    static const double p[][2] = {{0.05, 0.05}, {0.02, 0.06}, {0.001, 0.004}};
    for (size_t c = 0; c < ARRAY_SIZE(p); c++) {
        size_t held = 0;
        for (uint64_t i = 0; i < 2000; i++) {
            struct rng r = rng_stream(c, "paired", i, 0);
            size_t first = 0, second = 0;
            for (int k = 0; k < 1000; k++) {
                double u = rng_unit(&r);
                first += u < p[c][0];
                second += u >= p[c][0] && u < p[c][0] + p[c][1];
            }
            struct estimate e = estimate_paired(1000, first, second);
            held += e.lo <= p[c][1] - p[c][0] && e.hi >= p[c][1] - p[c][0];
        }
        assert_in_range(held, 1870, 1970);
    }
    struct estimate none = estimate_paired(1000, 0, 0);
    assert_true(none.value == 0 && none.lo < 0 && none.hi > 0 && none.hi < 0.01);
}

static void means_and_jackknife(void **state)
{
    double v[ESTIMATE_REPLICATES], without[ESTIMATE_REPLICATES], sum = 0;
    for (size_t i = 0; i < ESTIMATE_REPLICATES; i++)
        sum += v[i] = (double)(i * i % 7);
    for (size_t i = 0; i < ESTIMATE_REPLICATES; i++)
        without[i] = (sum - v[i]) / (ESTIMATE_REPLICATES - 1);
    struct estimate m = estimate_mean(v),
                    j = estimate_jackknife(sum / ESTIMATE_REPLICATES, without);
    /* of a mean the jackknife is the usual interval */
    assert_about(j.lo, m.lo, 1e-12);
    assert_about(j.hi, m.hi, 1e-12);
    assert_about(m.value, sum / ESTIMATE_REPLICATES, 1e-12);
}

static void quantiles_are_values(void **state)
{
    nsec v[] = {40, 10, 30, 20, 50, 60, 70, 80, 90, 100};
    estimate_sort(v, ARRAY_SIZE(v));
    assert_int_equal(estimate_quantile(v, 10, 0.5), 50);
    assert_int_equal(estimate_quantile(v, 10, 0.9), 90);
    assert_int_equal(estimate_quantile(v, 10, 0.91), 100);
    assert_int_equal(estimate_quantile(v, 10, 0), 10);
    assert_int_equal(estimate_quantile(v, 1, 0.9), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_wilsons),       cmocka_unit_test(tails_are_exact),
        cmocka_unit_test(paired_differences_cover), cmocka_unit_test(means_and_jackknife),
        cmocka_unit_test(quantiles_are_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
