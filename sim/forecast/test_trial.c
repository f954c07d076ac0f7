/* Trials of small scenarios whose outcome can be told beforehand, and properties of random ones. */
#include "tests/support/test.h"

#include "scenarios/scenario.h"
#include "sim/base/buf.h"
#include "sim/base/rng.h"
#include "sim/forecast/trial.h"

#include <string.h>

#define SEC NSEC_SEC
#define MS NSEC_MSEC

static struct scenario *load(const char *text)
{
    struct diags diags = {0};
    struct scenario *s = NULL;
    if (scenario_load_text(text, strlen(text), "t.yaml", NULL, &diags, &s) < 0) {
        for (size_t i = 0; i < diags.n; i++)
            print_error("%d:%d %s\n", diags.items[i].place.line, diags.items[i].place.col,
                        diags.items[i].text);
        fail();
    }
    diags_done(&diags);
    return s;
}

struct bench {
    struct scenario *s;
    struct system *sys;
    struct trial *t;
};

static struct bench bench_of(const char *text)
{
    struct bench r = {.s = load(text)};
    struct err err = ERR_INIT;
    if (system_new(r.s, &r.sys, &err) < 0)
        fail_msg("%s", err.text);
    r.t = trial_new(r.sys);
    return r;
}

static void bench_done(struct bench *r)
{
    trial_free(r->t);
    system_free(r->sys);
    scenario_free(r->s);
}

static struct outcome run(struct bench *r, uint64_t seed, uint64_t number)
{
    struct outcome o[16];
    struct err err = ERR_INIT;
    if (trial_run(r->t, seed, number, NULL, NULL, NULL, o, &err) < 0)
        fail_msg("%s", err.text);
    return o[0];
}

#define FAILOVER                                                                                   \
    "blackstart: 1\n"                                                                              \
    "name: t\n"                                                                                    \
    "services: {shop: {rto: 60s, detect_within: {within: 10s, by: [own]}}}\n"                      \
    "hosts: {client: {lab: {address: 10.0.0.9/24}}, a: {lab: {address: 10.0.0.1/24}}}\n"           \
    "probes: {page: {service: shop, host: client, tcp: \"10.0.0.1:80\", every: 1s, "               \
    "timeout: 200ms, down_after: 3, up_after: 2}}\n"                                               \
    "alarms: {three: {threshold: {probe: page, consecutive: 3}}}\n"                                \
    "script: [{at: 5s, node-kill: a}]\n"                                                           \
    "settle: 3s\n"                                                                                 \
    "horizon: 1000s\n"                                                                             \
    "expect: {shop: either}\n"

static void detection_by_a_threshold_and_a_response_that_waits_for_it(void **state)
{
    struct bench r =
        bench_of(FAILOVER "model: {shop: {restore: [{fix: {constant: 7s, at: detection}}]}}\n");
    nsec sum = 0, least = NSEC_INF, most = 0;
    for (uint64_t n = 1; n <= 20000; n++) {
        struct outcome o = run(&r, 1, n);
        assert_int_equal(o.kind, OUTCOME_IS_RESTORED);
        assert_int_equal(o.by, OUTCOME_BY_RECOVERY);
        assert_int_equal(o.ttr, o.ttd + 7 * SEC);
        assert_int_equal(o.down, o.ttr);
        assert_int_equal(o.episodes, 1);
        sum += o.ttd;
        least = o.ttd < least ? o.ttd : least;
        most = o.ttd > most ? o.ttd : most;
    }
    /* D1: uniform between (k - 1) T + timeout and k T + timeout */
    assert_in_range(least, 2200 * MS, 2201 * MS);
    assert_in_range(most, 3199 * MS, 3200 * MS);
    assert_in_range(sum / 20000, 2691 * MS, 2709 * MS);
    bench_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(detection_by_a_threshold_and_a_response_that_waits_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
