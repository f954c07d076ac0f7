/* Fits with known answers, and how often their intervals hold the truth. */
#include "tests/support/test.h"

#include "reports/fit.h"
#include "reports/stats.h"
#include "sim/base/rng.h"

#include <math.h>

static void assert_about(double is, double should, double relative)
{
    if (!(fabs(is / should - 1) <= relative))
        fail_msg("%.9g, not %.9g", is, should);
}

static double uniform(struct rng *r)
{
    return ((double)(rng_next(r) >> 12) + 0.5) * 0x1p-52;
}

/* Box and Muller */
static double normal(struct rng *r)
{
    double u = uniform(r), v = uniform(r);
    return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

static const double seconds[] = {12.5, 20, 4, 20, 25, 170, 15, 20, 15};

static void a_lognormal_has_its_closed_form(void **state)
{
    struct fit_value v[ARRAY_SIZE(seconds)];
    double sum = 0, squares = 0;
    const double n = (double)ARRAY_SIZE(seconds);
    for (size_t i = 0; i < ARRAY_SIZE(seconds); i++) {
        v[i] = (struct fit_value){.t = (nsec)(seconds[i] * 1e9)};
        sum += log(seconds[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(seconds); i++)
        squares += pow(log(seconds[i]) - sum / n, 2);
    struct fit f;
    fit_one(FIT_LOGNORMAL, v, ARRAY_SIZE(seconds), &f);
    assert_int_equal(f.kind, FIT_LOGNORMAL);
    double sigma = sqrt(squares / n);
    assert_about(f.parameters[0].value / 1e9, exp(sum / n), 1e-6);
    assert_about(f.parameters[1].value / 1e9, exp(sum / n + 1.6448536269514722 * sigma), 1e-5);
    struct stats_interval t;
    assert_true(stats_log_t_median(seconds, ARRAY_SIZE(seconds), 0.95, &t));
    assert_about(f.parameters[0].lo / 1e9, t.lo, 1e-5);
    assert_about(f.parameters[0].hi / 1e9, t.hi, 1e-5);
    assert_true(f.parameters[1].lo > f.parameters[0].lo);
}

static void an_exponential_is_its_mean(void **state)
{
    /* total time over the number that ended, also with censored ones */
    struct fit_value v[] = {{10 * NSEC_SEC, false}, {20 * NSEC_SEC, false}, {5 * NSEC_SEC, false},
                            {50 * NSEC_SEC, false}, {15 * NSEC_SEC, false}, {40 * NSEC_SEC, true}};
    struct fit f;
    fit_one(FIT_EXPONENTIAL, v, 6, &f);
    assert_int_equal(f.parameters_n, 1);
    assert_about(f.parameters[0].value, 28e9, 1e-6);
    assert_true(f.parameters[0].lo < 28e9 && f.parameters[0].hi > 40e9);
    assert_int_equal(f.censored, 1);
    fit_one(FIT_EXPONENTIAL, v + 1, 5, &f); /* four that ended are too few */
    assert_int_equal(f.kind, FIT_NONE);
}

static void a_weibull_solves_its_equations(void **state)
{
    struct fit_value v[40];
    for (size_t i = 0; i < 40; i++) {
        struct rng r = rng_stream(1, "weibull", i, 0);
        v[i].t = (nsec)(30e9 * pow(-log(uniform(&r)), 1 / 2.0));
        v[i].censored = v[i].t > 40 * NSEC_SEC;
        v[i].t = v[i].censored ? 40 * NSEC_SEC : v[i].t;
    }
    struct fit f;
    fit_one(FIT_WEIBULL, v, 40, &f);
    double scale = f.parameters[0].value / 1e9, k = f.parameters[1].value, s0 = 0, s1 = 0, logs = 0,
           ended = 0;
    for (size_t i = 0; i < 40; i++) {
        double t = (double)v[i].t / 1e9;
        s0 += pow(t, k);
        s1 += pow(t, k) * log(t);
        ended += !v[i].censored;
        logs += v[i].censored ? 0 : log(t);
    }
    assert_about(pow(scale, k), s0 / ended, 1e-4);
    assert_about(1 / k, s1 / s0 - logs / ended, 1e-4);
    assert_true(f.parameters[1].lo < 2 && f.parameters[1].hi > 2);
}

static void intervals_cover(void **state)
{
    /* lognormal of median 60 s and sigma 0.8, n = 8, what is above 200 s censored */
    size_t held[2] = {0};
    const size_t sets = 300;
    for (uint64_t i = 0; i < sets; i++) {
        struct fit_value v[8];
        struct fit f;
        for (size_t k = 0; k < 8; k++) {
            struct rng r = rng_stream(i, "cover", k, 0);
            v[k].t = (nsec)(60e9 * exp(0.8 * normal(&r)));
            v[k].censored = v[k].t > 200 * NSEC_SEC;
            v[k].t = v[k].censored ? 200 * NSEC_SEC : v[k].t;
        }
        fit_one(FIT_LOGNORMAL, v, 8, &f);
        if (f.kind == FIT_NONE)
            continue;
        double p95 = 60e9 * exp(0.8 * 1.6448536269514722);
        held[0] += f.parameters[0].lo <= 60e9 && f.parameters[0].hi >= 60e9;
        held[1] += f.parameters[1].lo <= p95 && f.parameters[1].hi >= p95;
    }
    if (held[0] < sets * 92 / 100 || held[1] < sets * 88 / 100)
        fail_msg("median %zu, p95 %zu of %zu", held[0], held[1], sets);
}

static void the_right_kind_is_chosen(void **state)
{
    size_t lognormal = 0, weibull = 0;
    for (uint64_t i = 0; i < 20; i++) {
        struct fit_value a[100], b[100];
        struct fit f;
        for (size_t k = 0; k < 100; k++) {
            struct rng r = rng_stream(i, "kind", k, 0);
            a[k] = (struct fit_value){.t = (nsec)(60e9 * exp(0.5 * normal(&r)))};
            b[k] = (struct fit_value){.t = (nsec)(60e9 * pow(-log(uniform(&r)), 1 / 3.0)) + 1};
        }
        fit_best(a, 100, &f);
        lognormal += f.kind == FIT_LOGNORMAL;
        fit_best(b, 100, &f);
        weibull += f.kind == FIT_WEIBULL;
    }
    assert_in_range(lognormal, 17, 20);
    assert_in_range(weibull, 18, 20);
}

static void what_is_written_is_the_language(void **state)
{
    struct fit f = {.kind = FIT_LOGNORMAL,
                    .parameters = {{"median", 60e9, 50.123e9, 70.56e9}, {"p95", 2e11, 1e11, 3e11}},
                    .parameters_n = 2};
    AUTO_BUF out = BUF_INIT;
    fit_yaml(&f, &out);
    assert_string_equal(buf_text(&out), "{lognormal: {median: {between: [50100ms, 70600ms]}, p95: "
                                        "{between: [100s, 5m]}}}");
    struct fit e = {
        .kind = FIT_EXPONENTIAL, .parameters = {{"mean", 6e9, 3e9, 9e9}}, .parameters_n = 1};
    buf_clear(&out);
    fit_yaml(&e, &out);
    assert_string_equal(buf_text(&out), "{exponential: {between: [3s, 9s]}}");
    struct fit_value same[6];
    for (size_t i = 0; i < 6; i++)
        same[i] = (struct fit_value){.t = NSEC_SEC};
    fit_best(same, 6, &f);
    assert_int_equal(f.kind, FIT_NONE);
}

static void bits_are_the_same_on_every_machine(void **state)
{
    uint64_t sum = 0;
    for (size_t n = 8; n < 20; n += 4) {
        struct fit_value v[20];
        for (size_t i = 0; i < n; i++)
            v[i] = (struct fit_value){.t = (nsec)(1 + i * i * 7 % 19) * NSEC_SEC,
                                      .censored = i % 5 == 4};
        for (int kind = FIT_LOGNORMAL; kind <= FIT_EXPONENTIAL; kind++) {
            struct fit f;
            fit_one((enum fit_kind)kind, v, n, &f);
            for (size_t i = 0; i < f.parameters_n; i++) {
                const double got[] = {f.parameters[i].value, f.parameters[i].lo, f.parameters[i].hi,
                                      f.aicc};
                uint64_t bits[4];
                memcpy(bits, got, sizeof bits);
                for (size_t k = 0; k < 4; k++)
                    sum = (sum ^ bits[k]) * 0x100000001b3ULL;
            }
        }
    }
    assert_int_equal(sum, UINT64_C(0x0cf6deb30f250ff9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lognormal_has_its_closed_form),
        cmocka_unit_test(an_exponential_is_its_mean),
        cmocka_unit_test(a_weibull_solves_its_equations),
        cmocka_unit_test(intervals_cover),
        cmocka_unit_test(the_right_kind_is_chosen),
        cmocka_unit_test(what_is_written_is_the_language),
        cmocka_unit_test(bits_are_the_same_on_every_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
