/* Each distribution against its mean, its deviation and three of its quantiles, at 4.5 standard errors
 * (all of them together fail by chance in fewer than one of 1,000 seeds; the seeds are fixed). */
#include "tests/support/test.h"

#include "sim/forecast/draw.h"

#include <math.h>

#define N 40000
#define SEC ((double)NSEC_SEC)

struct known {
    const char *name;
    struct distribution d;
    double mean, deviation; /* seconds */
    double quantile[3];     /* of 10 %, 50 %, 95 %; seconds */
};

#define S(x) ((nsec)((x)*1e9))
#define UNCUT .least = NSEC_UNSET, .most = NSEC_UNSET

static const nsec measured[] = {S(1), S(2), S(2), S(10)};
static const struct distribution_part paths[] = {
    {.share = 0.98, .of = {.kind = DISTRIBUTION_UNIFORM, .a = S(1), .b = S(3), UNCUT}},
    {.share = 0.02, .of = {.kind = DISTRIBUTION_CONSTANT, .a = S(100), UNCUT}},
};

static const struct known all[] = {
    {"uniform",
     {.kind = DISTRIBUTION_UNIFORM, .a = S(1), .b = S(3), UNCUT},
     2,
     0.577350,
     {1.2, 2, 2.9}},
    {"exponential",
     {.kind = DISTRIBUTION_EXPONENTIAL, .a = S(10), UNCUT},
     10,
     10,
     {1.053605, 6.931472, 29.957323}},
    {"normal",
     {.kind = DISTRIBUTION_NORMAL, .a = S(20), .b = S(2), UNCUT},
     20,
     2,
     {17.436897, 20, 23.289707}},
    {"lognormal",
     {.kind = DISTRIBUTION_LOGNORMAL, .a = S(180), .b = S(720), UNCUT},
     256.7541,
     261.1645,
     {61.12103, 180, 720}},
    {"gamma",
     {.kind = DISTRIBUTION_GAMMA, .a = S(12), .shape = 3, UNCUT},
     12,
     6.928203,
     {4.408261, 10.696241, 25.183174}},
    {"gamma below one",
     {.kind = DISTRIBUTION_GAMMA, .a = S(5), .shape = 0.5, UNCUT},
     5,
     7.071068,
     {0.0789539, 2.274682, 19.207294}},
    {"weibull",
     {.kind = DISTRIBUTION_WEIBULL, .a = S(10), .shape = 2, UNCUT},
     8.862269,
     4.632514,
     {3.245928, 8.325546, 17.308184}},
    {"triangular",
     {.kind = DISTRIBUTION_TRIANGULAR, .a = S(1), .b = S(2), .c = S(6), UNCUT},
     3,
     1.080123,
     {1.707107, 2.837722, 5.0}},
    {"pert",
     {.kind = DISTRIBUTION_PERT, .a = S(0), .b = S(2), .c = S(4), UNCUT},
     2,
     0.755929,
     {0.9865458, 2, 3.2429785}},
    {"empirical",
     {.kind = DISTRIBUTION_EMPIRICAL, .values = measured, .values_n = 4, UNCUT},
     3.75,
     3.631460,
     {1, 2, 10}},
    {"mixture",
     {.kind = DISTRIBUTION_MIXTURE, .parts = paths, .parts_n = 2, UNCUT},
     3.96,
     13.731890,
     {1.204082, 2.020408, 2.938776}},
    {"cut",
     {.kind = DISTRIBUTION_EXPONENTIAL, .a = S(10), .least = S(5), .most = S(15)},
     9.180229,
     2.816430,
     {5.6529834, 8.7988549, 14.1757789}},
};

static double share_below(const double *v, double x, bool or_equal)
{
    size_t n = 0;
    for (size_t i = 0; i < N; i++)
        n += v[i] < x || (or_equal && v[i] == x);
    return (double)n / N;
}

/* The mean and the deviation, each with its own standard error; that of a deviation s is
 * sqrt((m4 - s^4) / n) / 2s, m4: the fourth central moment. */
struct moments {
    double mean, mean_se, deviation, deviation_se;
};

static struct moments moments_of(const double *v)
{
    double sum = 0, squares = 0, fourth = 0;
    for (size_t i = 0; i < N; i++)
        sum += v[i];
    double mean = sum / N;
    for (size_t i = 0; i < N; i++) {
        double square = (v[i] - mean) * (v[i] - mean);
        squares += square;
        fourth += square * square;
    }
    double variance = squares / N, deviation = sqrt(variance);
    return (struct moments){mean, deviation / sqrt(N), deviation,
                            sqrt((fourth / N - variance * variance) / N) / (2 * deviation)};
}

/* Quantiles may lie on a value that is drawn again and again. */
static bool quantile_holds(const double *v, double x, double p)
{
    double margin = 4.5 * sqrt(p * (1 - p) / N);
    return share_below(v, x, false) <= p + margin && share_below(v, x, true) >= p - margin;
}

static void moments_and_quantiles(void **state)
{
    static double v[N];
    static const double p[] = {0.1, 0.5, 0.95};
    for (size_t k = 0; k < ARRAY_SIZE(all); k++) {
        const struct known *w = &all[k];
        for (uint64_t seed = 1; seed <= 5; seed++) {
            struct rng r = rng_stream(seed, w->name, 0, 0);
            for (size_t i = 0; i < N; i++)
                v[i] = (double)draw(&w->d, &r) / SEC;
            struct moments m = moments_of(v);
            if (fabs(m.mean - w->mean) > 4.5 * m.mean_se)
                fail_msg("%s, seed %d: mean %g instead of %g (%g)", w->name, (int)seed, m.mean,
                         w->mean, m.mean_se);
            if (fabs(m.deviation - w->deviation) > 4.5 * m.deviation_se)
                fail_msg("%s, seed %d: deviation %g instead of %g (%g)", w->name, (int)seed,
                         m.deviation, w->deviation, m.deviation_se);
            for (size_t i = 0; i < ARRAY_SIZE(p); i++)
                if (!quantile_holds(v, w->quantile[i], p[i]))
                    fail_msg("%s, seed %d: %g below its %g quantile", w->name, (int)seed,
                             share_below(v, w->quantile[i], false), p[i]);
        }
    }
}

/* Each of the measured values as often as it was measured, and no other. */
static void an_empirical_one_draws_what_was_measured(void **state)
{
    static const struct distribution d = {
        .kind = DISTRIBUTION_EMPIRICAL, .values = measured, .values_n = 4, UNCUT};
    static const double share[] = {0.25, 0.5, 0.25};
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct rng r = rng_stream(seed, "measured", 0, 0);
        size_t seen[3] = {0};
        for (size_t i = 0; i < N; i++) {
            nsec v = draw(&d, &r);
            assert_true(v == S(1) || v == S(2) || v == S(10));
            seen[v == S(1) ? 0 : v == S(2) ? 1 : 2]++;
        }
        for (size_t i = 0; i < 3; i++)
            assert_true(fabs((double)seen[i] / N - share[i]) <=
                        4.5 * sqrt(share[i] * (1 - share[i]) / N));
    }
}

static void a_constant_is_exact_and_nothing_is_negative(void **state)
{
    struct rng r = rng_stream(1, "constant", 0, 0);
    struct distribution c = {.kind = DISTRIBUTION_CONSTANT, .a = 1234567891234567, UNCUT};
    assert_int_equal(draw(&c, &r), 1234567891234567);
    struct distribution wide = {.kind = DISTRIBUTION_NORMAL, .a = S(1), .b = S(3), UNCUT};
    for (int i = 0; i < 10000; i++)
        assert_true(draw(&wide, &r) >= 0);
    struct distribution nowhere = {
        .kind = DISTRIBUTION_CONSTANT, .a = S(1), .least = S(2), .most = S(3)};
    assert_int_equal(draw(&nowhere, &r), S(2));
}

static void the_same_seed_is_the_same_draw_everywhere(void **state)
{
    uint64_t sum = 0;
    for (size_t k = 0; k < ARRAY_SIZE(all); k++) {
        struct rng r = rng_stream(42, all[k].name, 7, 0);
        for (int i = 0; i < 1000; i++)
            sum = (sum ^ (uint64_t)draw(&all[k].d, &r)) * 0x100000001b3ULL;
    }
    assert_int_equal(sum, UINT64_C(0xa494192f44c2d8f7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_and_quantiles),
        cmocka_unit_test(an_empirical_one_draws_what_was_measured),
        cmocka_unit_test(a_constant_is_exact_and_nothing_is_negative),
        cmocka_unit_test(the_same_seed_is_the_same_draw_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
