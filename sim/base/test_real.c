/* The same bits everywhere, and near enough to the truth. */
#include "tests/support/test.h"

#include "sim/base/real.h"
#include "sim/base/real_table.h"
#include "sim/base/rng.h"

#include <float.h>
#include <math.h>

/* Error of y in units of its last place. */
static double error_in_ulps(double y, long double truth)
{
    double t = (double)truth, ulp = nextafter(fabs(t), HUGE_VAL) - fabs(t);
    return (double)(fabsl((long double)y - truth) / (long double)ulp);
}

static void logarithms_are_near(void **state)
{
    struct rng r = rng_stream(1, "log", 0, 0);
    double worst = 0;
    for (int i = 0; i < 200000; i++) {
        double x = exp2(rng_unit(&r) * (i % 2 ? 4 : 2000) - (i % 2 ? 2 : 1000));
        worst = fmax(worst, error_in_ulps(real_log(x), logl((long double)x)));
    }
    assert_true(worst < 0.65);
    assert_true(real_log(1) == 0);
    assert_true(error_in_ulps(real_log(0x1p-1074), logl(0x1p-1074L)) < 2);
    assert_true(error_in_ulps(real_log(DBL_MAX), logl((long double)DBL_MAX)) < 2);
    assert_true(error_in_ulps(real_log(nextafter(1, 2)), logl((long double)nextafter(1, 2))) < 2);
    assert_true(error_in_ulps(real_log(nextafter(1, 0)), logl((long double)nextafter(1, 0))) < 2);
}

static void exponentials_are_near(void **state)
{
    struct rng r = rng_stream(1, "exp", 0, 0);
    double worst = 0;
    for (int i = 0; i < 200000; i++) {
        double x = (rng_unit(&r) - 0.5) * (i % 2 ? 2 : 1400);
        worst = fmax(worst, error_in_ulps(real_exp(x), expl((long double)x)));
    }
    assert_true(worst < 0.55);
    assert_true(real_exp(0) == 1);
    assert_true(real_exp(-800) == 0);
    assert_true(isinf(real_exp(800)));
    assert_true(real_exp(-740) > 0);
    assert_true(fabs(real_pow(2, 10) - 1024) < 1e-10);
}

/* Both tables, piece by piece: the ends, where the series are longest, and the middle. */
static void every_piece_is_near(void **state)
{
    for (int i = 0; i < REAL_PIECES; i++) {
        double width = i < 40 ? 0x1p-7 : 0x1p-6,
               from = i < 40 ? 0.6875 + i * width : 1 + (i - 40) * width;
        double log_at[] = {from, from + width / 2, nextafter(from + width, 0)};
        double exp_at[] = {i - 0.499, i, i + 0.499};
        for (int k = 0; k < 3; k++)
            for (int n = -3; n <= 3; n++) {
                double x = ldexp(log_at[k], n), y = (64 * n + exp_at[k]) * M_LN2 / 64;
                assert_true(error_in_ulps(real_log(x), logl((long double)x)) < 0.65);
                assert_true(error_in_ulps(real_exp(y), expl((long double)y)) < 0.55);
            }
        long double log_of =
            (long double)real_log_pieces[i].hi + (long double)real_log_pieces[i].lo;
        long double exp_of =
            (long double)real_exp_pieces[i].power * (1 + (long double)real_exp_pieces[i].tail);
        assert_true(fabsl(log_of - logl((long double)(from + width / 2))) < 1e-19L);
        assert_true(fabsl(exp_of - exp2l(i / 64.0L)) < 2e-19L);
    }
}

static void logarithms_near_one_are_near(void **state)
{
    struct rng r = rng_stream(1, "log1p", 0, 0);
    double worst = 0;
    for (int i = 0; i < 100000; i++) {
        double size = exp2(-60 * rng_unit(&r)), x = i % 3 ? (i % 3 - 1.5) * size : 1000 * size;
        worst = fmax(worst, error_in_ulps(real_log1p(x), log1pl((long double)x)));
    }
    assert_true(worst < 4);
    assert_true(real_log1p(0) == 0);
}

static void gamma_functions_are_near(void **state)
{
    struct rng r = rng_stream(1, "gamma", 0, 0);
    for (int i = 0; i < 100000; i++) {
        double x = i % 3 ? exp2(40 * rng_unit(&r) - 10) : 1 + i / 2 * 0.5;
        int sign;
        long double truth = lgammal_r((long double)x, &sign);
        assert_true(fabsl((long double)real_log_gamma(x) - truth) < 1e-14L + 1e-15L * fabsl(truth));
    }
    assert_true(real_log_gamma(1) == 0);
    assert_true(real_log_gamma(2) == 0);
}

static void error_functions_are_near(void **state)
{
    double worst = 0;
    for (double x = -8; x < 26; x += 0.0007) {
        long double truth = erfcl((long double)x);
        worst = fmax(worst, (double)fabsl((long double)real_erfc(x) / truth - 1));
    }
    assert_true(worst < 1e-13);
    assert_true(real_erfc(0) == 1);
    assert_true(real_erfc(-30) == 2);
    assert_true(real_erfc(30) == 0);
}

static void normal_quantiles_are_those_of_tables(void **state)
{
    /* AS 241's own test values, and the mirror. */
    assert_true(fabs(real_normal_quantile(0.25) + 0.6744897501960817) < 1e-15);
    assert_true(fabs(real_normal_quantile(0.001) + 3.090232306167814) < 1e-14);
    assert_true(fabs(real_normal_quantile(1e-20) + 9.262340089798408) < 1e-13);
    assert_true(real_normal_quantile(0.5) == 0);
    for (double z = -8; z < 5; z += 0.01) {
        double p = 0.5 * erfc(-z / sqrt(2));
        assert_true(fabs(real_normal_quantile(p) - z) < 1e-9 * (1 + exp(z * z / 2 - 12)));
    }
}

static uint64_t digest(double (*f)(double), double lo, double hi)
{
    struct rng r = rng_stream(7, "digest", 0, 0);
    uint64_t sum = 0;
    for (int i = 0; i < 100000; i++) {
        double y = f(lo + (hi - lo) * rng_unit(&r));
        uint64_t b;
        memcpy(&b, &y, sizeof b);
        sum = (sum ^ b) * 0x100000001b3ULL;
    }
    return sum;
}

static void bits_are_the_same_on_every_machine(void **state)
{
    assert_int_equal(digest(real_log, 1e-3, 1e6), UINT64_C(0x560df5520f572d8c));
    assert_int_equal(digest(real_exp, -50, 50), UINT64_C(0x4ddf3adfca735c6c));
    assert_int_equal(digest(real_log1p, -0.9, 9), UINT64_C(0x98c4005d2e73d8bb));
    assert_int_equal(digest(real_log_gamma, 0.01, 100), UINT64_C(0xac360c1c5149d514));
    assert_int_equal(digest(real_erfc, -6, 20), UINT64_C(0xd756fbace02de4d8));
    assert_int_equal(digest(real_normal_quantile, 1e-9, 1 - 1e-9), UINT64_C(0xb5b9c606af05e585));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logarithms_are_near),
        cmocka_unit_test(exponentials_are_near),
        cmocka_unit_test(every_piece_is_near),
        cmocka_unit_test(logarithms_near_one_are_near),
        cmocka_unit_test(gamma_functions_are_near),
        cmocka_unit_test(error_functions_are_near),
        cmocka_unit_test(normal_quantiles_are_those_of_tables),
        cmocka_unit_test(bits_are_the_same_on_every_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
