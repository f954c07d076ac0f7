/* Known answers, and properties that hold for every n. */
#include "tests/support/test.h"

#include <math.h>

#include "reports/stats.h"
#include "sim/base/rng.h"

#define NEAR(value, expected, tolerance)                                                           \
    do {                                                                                           \
        double got_ = (value), want_ = (expected);                                                 \
        if (!(fabs(got_ - want_) <= (tolerance)))                                                  \
            fail_msg("%s is %.9g, not %.9g", #value, got_, want_);                                 \
    } while (0)

static void special_functions(void **state)
{
    NEAR(stats_beta(2, 3, 0.5), 0.6875, 1e-14);
    NEAR(stats_beta(0.5, 0.5, 0.25), 1.0 / 3, 1e-14); /* arcsine law */
    NEAR(stats_beta(1, 1, 0.3), 0.3, 1e-15);
    NEAR(stats_beta(30, 70, 0.3) + stats_beta(70, 30, 0.7), 1, 1e-13);
    NEAR(stats_gamma(1, 2), 1 - exp(-2), 1e-14);
    NEAR(stats_gamma(3, 4), 0.761897, 5e-7); /* Erlang-3, a = .1, t = 40 */
    NEAR(stats_normal((log(240) - 4.25) / 1.25), 0.837568, 1e-6);
    NEAR(stats_t_quantile(0.975, 4), 2.776445, 1e-6);
    NEAR(stats_t_quantile(0.975, 8), 2.306004, 1e-6);
    NEAR(stats_t_quantile(0.95, 1), 6.313752, 1e-6);
    NEAR(stats_t_quantile(0.025, 30), -2.042272, 1e-6);
    for (double p = 0.001; p < 1; p += 0.0499) {
        NEAR(stats_beta(3.5, 7, stats_beta_inverse(3.5, 7, p)), p, 1e-13);
        NEAR(stats_gamma(2.5, stats_gamma_inverse(2.5, p)), p, 1e-13);
    }
}

static void shares_by_clopper_and_pearson(void **state)
{
    static const struct {
        size_t x, n;
        double lo, hi;
    } known[] = {
        {4, 4, 0.398, 1}, {8, 8, 0.631, 1}, {11, 12, 0.615, 0.998}, {19, 20, 0.751, 0.999}};
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        struct stats_interval ci = stats_share(known[i].x, known[i].n, 0.95);
        NEAR(ci.lo, known[i].lo, 5e-4);
        NEAR(ci.hi, known[i].hi, 5e-4);
    }
    NEAR(stats_share(8, 8, 0.80).lo, 0.750, 5e-4);
    /* one-sided */
    NEAR(stats_share_lower(1, 1, 0.95), 0.05, 1e-12);
    NEAR(stats_share_lower(5, 5, 0.95), 0.549, 5e-4);
    NEAR(stats_share_lower(5, 5, 0.80), 0.725, 5e-4);
    NEAR(stats_share_lower(8, 8, 0.80), pow(0.2, 1.0 / 8), 1e-12);
    NEAR(stats_share_lower(50, 50, 0.95), 0.942, 5e-4);
    NEAR(stats_share_lower(200, 200, 0.95), 0.985, 5e-4);
    NEAR(stats_share_upper(0, 10, 0.95), 0.259, 5e-4);
    NEAR(stats_share_upper(0, 50, 0.95), 0.058, 5e-4);
    NEAR(stats_share_upper(0, 500, 0.95), 0.0060, 5e-5);
    NEAR(stats_share_upper(0, 10000, 0.95), 0.00030, 5e-6);
    NEAR(stats_share_lower(0, 5, 0.95), 0, 0);
    NEAR(stats_share_upper(5, 5, 0.95), 1, 0);
    NEAR(stats_share_upper(0, 0, 0.95), 1, 0);
}

/* Exact coverage of the one-sided lower bound, by summing the binomial distribution. */
static void the_lower_bound_covers_for_every_share(void **state)
{
    static const size_t sizes[] = {5, 8, 12, 20};
    for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
        size_t n = sizes[s];
        for (double p = 0.02; p < 1; p += 0.02) {
            double covered = 0;
            for (size_t x = 0; x <= n; x++) {
                double pr = exp(lgamma((double)n + 1) - lgamma((double)x + 1) -
                                lgamma((double)(n - x) + 1) + (double)x * log(p) +
                                (double)(n - x) * log1p(-p));
                if (stats_share_lower(x, n, 0.95) <= p)
                    covered += pr;
            }
            assert_true(covered >= 0.95 - 1e-12);
        }
    }
}

static void how_many_trials_show_a_reliability(void **state)
{
    static const struct {
        double r, c;
        size_t misses, n;
    } known[] = {{.5, .95, 0, 5},  {.8, .8, 0, 8},    {.8, .95, 0, 14},   {.9, .9, 0, 22},
                 {.9, .95, 0, 29}, {.95, .95, 0, 59}, {.99, .95, 0, 299}, {.9, .95, 1, 46},
                 {.9, .95, 2, 61}, {.9, .95, 3, 76},  {.8, .8, 1, 14},    {.8, .8, 2, 21},
                 {.8, .8, 3, 27},  {.95, .95, 0, 59}};
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        assert_int_equal(stats_needed(known[i].r, known[i].c, known[i].misses), known[i].n);
    assert_int_equal(stats_needed(1, 0.95, 0), 0);
    for (double r = 0.05; r < 0.99; r += 0.07) /* the success-run formula */
        assert_int_equal(stats_needed(r, 0.9, 0), (size_t)fmax(1, ceil(log(0.1) / log(r))));
}

static void medians_by_order_statistics(void **state)
{
    static const struct {
        size_t n, lo, hi;
        double confidence;
    } known[] = {{5, 1, 5, .9375}, {6, 1, 6, .96875}, {8, 1, 8, .992},
                 {10, 2, 9, .979}, {12, 3, 10, .961}, {20, 6, 15, .959}};
    size_t lo = 99, hi = 99;
    double c = -1;
    assert_false(stats_median_ranks(1, 0.95, &lo, &hi, &c));
    assert_int_equal(lo, 99);
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        assert_true(stats_median_ranks(known[i].n, 0.95, &lo, &hi, &c));
        assert_int_equal(lo, known[i].lo);
        assert_int_equal(hi, known[i].hi);
        NEAR(c, known[i].confidence, 5e-4);
    }
    /* 1 - 2 x 9 / 2^8, x 79 / 2^12, x 536155 / 2^24: what a 90 % interval really has. */
    static const struct {
        size_t n, lo, hi;
        double confidence;
    } ninety[] = {{8, 2, 7, .9297}, {12, 3, 10, .9614}, {24, 8, 17, .9361}};
    for (size_t i = 0; i < ARRAY_SIZE(ninety); i++) {
        assert_true(stats_median_ranks(ninety[i].n, 0.9, &lo, &hi, &c));
        assert_int_equal(lo, ninety[i].lo);
        assert_int_equal(hi, ninety[i].hi);
        NEAR(c, ninety[i].confidence, 1e-4);
    }
}

static void means_that_assume_lognormal(void **state)
{
    const double v[] = {12.5, 20, 4, 20, 25, 170, 15, 20, 15};
    double mean = -1;
    struct stats_interval ci = {-1, -1};
    assert_int_equal(stats_mean(v, 9, 0.95, &mean, &ci), STATS_OK);
    NEAR(mean, 31.129, 5e-4);
    NEAR(ci.lo, 12.309, 1e-3);
    NEAR(ci.hi, 78.723, 1e-3);
}

static void a_mean_is_refused_where_it_would_mislead(void **state)
{
    double mean = -1;
    struct stats_interval ci = {-1, -1};
    const double few[] = {1, 2, 3, 4}, zero[] = {1, 2, 0, 4, 5}, minus[] = {1, 2, -1, 4, 5};
    const double two_paths[] = {1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 300};
    assert_int_equal(stats_mean(few, 4, 0.95, &mean, &ci), STATS_TOO_FEW);
    assert_int_equal(stats_mean(zero, 5, 0.95, &mean, &ci), STATS_NOT_POSITIVE);
    assert_int_equal(stats_mean(minus, 5, 0.95, &mean, &ci), STATS_NOT_POSITIVE);
    assert_int_equal(stats_mean(two_paths, 9, 0.95, &mean, &ci), STATS_GAP);
    assert_true(mean == -1 && ci.lo == -1);
    for (int r = STATS_TOO_FEW; r <= STATS_GAP; r++)
        assert_non_null(stats_refusal_text((enum stats_refusal)r));
    const double equal[] = {2, 2, 2, 2, 2};
    assert_int_equal(stats_mean(equal, 5, 0.95, &mean, &ci), STATS_OK);
    NEAR(mean, 2, 1e-12);
}

/* Box and Muller over a seeded stream: the log-t interval for the median covers as promised. */
static void the_log_t_interval_covers(void **state)
{
    const size_t n = 8, repetitions = 4000;
    size_t covered = 0;
    for (size_t rep = 0; rep < repetitions; rep++) {
        struct rng r = rng_stream(11, "log-t", rep, 0);
        double v[8];
        for (size_t i = 0; i < n; i++) {
            double u = 1 - rng_unit(&r), w = rng_unit(&r);
            v[i] = exp(1.25 * sqrt(-2 * log(u)) * cos(2 * acos(-1) * w));
        }
        struct stats_interval ci;
        assert_true(stats_log_t_median(v, n, 0.95, &ci));
        covered += ci.lo <= 1 && 1 <= ci.hi;
    }
    /* 4.5 standard errors */
    NEAR((double)covered / (double)repetitions, 0.95, 4.5 * sqrt(.95 * .05 / (double)repetitions));
}

static void censored_trials(void **state)
{
    const double v[] = {10, 15, 23, 30, 35, 52, 100};
    const bool cut[] = {false, false, false, false, false, false, true};
    double mean, se;
    stats_survival_mean(v, cut, 7, 100, &mean, &se);
    NEAR(mean, 37.8571, 5e-5);
    NEAR(se, 10.7389, 5e-5);
    assert_true(stats_survival(v, cut, 7, 29.9) > 0.5 && stats_survival(v, cut, 7, 30) < 0.5);

    const double w[] = {3, 5, 6, 7, 8, 10, 12, 12};
    const bool wc[] = {false, true, false, false, true, false, false, true};
    NEAR(stats_survival(w, wc, 8, 3), 7.0 / 8, 1e-12);
    NEAR(stats_survival(w, wc, 8, 6), 35.0 / 48, 1e-12);
    NEAR(stats_survival(w, wc, 8, 7), .58333, 5e-6);
    assert_true(stats_survival(w, wc, 8, 9.9) > 0.5 && stats_survival(w, wc, 8, 10) < 0.5);

    double restricted = -1;
    struct stats_interval ci = {-1, -1};
    assert_false(stats_restricted_mean(v, cut, 7, 100, 0.95, &restricted, &ci));
    NEAR(restricted, 265.0 / 7, 1e-12); /* the same as the survival mean: one common end */
    assert_true(ci.lo == -1);
    assert_true(stats_restricted_mean(w, wc, 8, 12, 0.95, &restricted, &ci));
    NEAR(restricted, (3 + 12 + 6 + 7 + 12 + 10 + 12 + 12) / 8.0, 1e-12);
    assert_true(ci.lo < restricted && restricted < ci.hi && ci.hi <= 12);
}

static void counts_by_garwood(void **state)
{
    static const struct {
        size_t k;
        double lo, hi;
    } known[] = {{0, 0, 3.69}, {1, .025, 5.57}, {3, .62, 8.77}, {10, 4.80, 18.39}};
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        struct stats_interval ci = stats_count(known[i].k, 0.95);
        NEAR(ci.lo, known[i].lo, 5e-3);
        NEAR(ci.hi, known[i].hi, 5e-3);
    }
    struct stats_interval three = stats_count(3, 0.95);
    NEAR(8760 / three.hi, 999, 0.5); /* time between failures, three in a year */
    NEAR(8760 / three.lo, 14159, 5);
}

static void add_bits(uint64_t *sum, double y)
{
    uint64_t b;
    memcpy(&b, &y, sizeof b);
    *sum = (*sum ^ b) * 0x100000001b3ULL;
}

static void bits_are_the_same_on_every_machine(void **state)
{
    uint64_t sum = 0;
    for (size_t n = 2; n < 200; n += 3) {
        struct stats_interval share = stats_share(n / 3, n, 0.95), count = stats_count(n, 0.95);
        add_bits(&sum, share.lo);
        add_bits(&sum, share.hi);
        add_bits(&sum, count.lo);
        add_bits(&sum, count.hi);
        add_bits(&sum, stats_t_quantile(0.975, (double)n));
    }
    assert_int_equal(sum, UINT64_C(0x67dd3153076e4f3c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_functions),
        cmocka_unit_test(shares_by_clopper_and_pearson),
        cmocka_unit_test(the_lower_bound_covers_for_every_share),
        cmocka_unit_test(how_many_trials_show_a_reliability),
        cmocka_unit_test(medians_by_order_statistics),
        cmocka_unit_test(means_that_assume_lognormal),
        cmocka_unit_test(a_mean_is_refused_where_it_would_mislead),
        cmocka_unit_test(the_log_t_interval_covers),
        cmocka_unit_test(censored_trials),
        cmocka_unit_test(counts_by_garwood),
        cmocka_unit_test(bits_are_the_same_on_every_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
