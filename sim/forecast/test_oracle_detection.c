/* Known answers of detection: D1-D5 and D7, by the threshold and the judge of drills, asked by probes in virtual
 * time. (D6, burn rates: sim/judge/test_threshold.c.)
 *
 * T = 10 s between probes, k = 3 bad ones in a row, 2 s until one fails, 0.5 s while all is well. */
#include "tests/support/oracle.h"

#include "sim/base/rng.h"
#include "sim/forecast/draw.h"
#include "sim/judge/quorum.h"

#define T 10.0
#define TAU 2.0
#define LATENCY 0.5

struct heard {
    struct threshold threshold;
    nsec onset; /* NSEC_UNSET: not yet */
};

static struct judge *judge;
static struct heard heard;

static void hear(const struct judge_event *e, void *data)
{
    struct heard *h = data;
    struct span at;
    if (e->kind == JUDGE_DECIDED && threshold_feed(&h->threshold, e, &at) == THRESHOLD_ONSET)
        h->onset = at.lo;
}

static int setup(void **state)
{
    struct judge_config c = {
        .every = (nsec)(T * 1e9), .down_after = 2, .up_after = 2, .stable = 0, .since = NSEC_UNSET};
    judge = judge_new(&c, hear, &heard);
    return 0;
}

static int teardown(void **state)
{
    judge = judge_free(judge);
    return 0;
}

static void begin(int64_t k)
{
    judge_restart(judge, NSEC_UNSET);
    heard = (struct heard){.threshold = {.consecutive = k}, .onset = NSEC_UNSET};
}

static void answer(uint64_t n, double start, bool bad)
{
    struct judge_obs o = {.n = n,
                          .scheduled = (nsec)(start * 1e9),
                          .start = (nsec)(start * 1e9),
                          .end = (nsec)((start + (bad ? TAU : LATENCY)) * 1e9),
                          .verdict = bad ? JUDGE_BAD : JUDGE_GOOD};
    judge_feed(judge, &o);
}

/* Seconds from the fault, at 0, to the onset; probes by a fixed schedule, or each so long after the answer to
 * the one before it; each fails with probability p. */
static double detects(struct rng *r, bool gap, int64_t k, double p)
{
    double at = rng_unit(r) * (gap ? T + LATENCY : T);
    begin(k);
    answer(0, at - T, false);
    for (uint64_t n = 1; heard.onset == NSEC_UNSET; n++) {
        bool bad = p >= 1 || rng_unit(r) < p;
        answer(n, at, bad);
        at += gap ? T + (bad ? TAU : LATENCY) : T;
    }
    return (double)heard.onset / 1e9;
}

static double d1(void *state, uint64_t seed, uint64_t trial, int variant)
{
    struct rng r = rng_stream(seed, "phase", trial, 0);
    double d = detects(&r, variant == 1, variant == 2 ? 2 : 3, 1);
    if (!variant)
        assert_true(d >= 2 * T + TAU && d <= 3 * T + TAU + 1e-6);
    return d;
}

static double d1_square(void *state, uint64_t seed, uint64_t trial, int variant)
{
    double d = d1(state, seed, trial, variant) - 27;
    return d * d;
}

static void d1_fixed_schedule(void **state)
{
    static const char *const wrong[] = {"so long after the answer", "k - 1", NULL};
    oracle_check(&(struct oracle){
        .name = "D1 fixed schedule, s", .value = 27, .trials = 5000, .trial = d1, .wrong = wrong});
    oracle_check(&(struct oracle){.name = "D1 variance",
                                  .value = T * T / 12,
                                  .trials = 100000,
                                  .trial = d1_square,
                                  .wrong = wrong});
}

static double d2(void *state, uint64_t seed, uint64_t trial, int variant)
{
    struct rng r = rng_stream(seed, "phase", trial, 0);
    return detects(&r, variant != 1, variant == 2 ? 2 : 3, 1);
}

static void d2_gap_after_the_answer(void **state)
{
    static const char *const wrong[] = {"fixed schedule", "k - 1", NULL};
    oracle_check(&(struct oracle){.name = "D2 after the answer, s",
                                  .value = 31.25,
                                  .trials = 5000,
                                  .trial = d2,
                                  .wrong = wrong});
}

static double d3(void *state, uint64_t seed, uint64_t trial, int variant)
{
    struct rng r = rng_stream(seed, "phase", trial, 0);
    return detects(&r, false, variant == 2 ? 2 : 3, variant == 1 ? 1 : 0.6);
}

static void d3_gray_failure(void **state)
{
    static const char *const wrong[] = {"every check fails", "k - 1", NULL};
    double n = (pow(0.6, -3) - 1) / (1 - 0.6), value = T / 2 + (n - 1) * T + TAU;
    assert_true(fabs(value - 87.741) < 0.001);
    oracle_check(&(struct oracle){.name = "D3 gray failure, s",
                                  .value = value,
                                  .trials = 80000,
                                  .trial = d3,
                                  .wrong = wrong});
}

/* Checks until a false alarm. Between two good checks lie runs of bad ones; an alarm ends a run of k, so the
 * mean is that of a run's checks over the chance of an alarm in it. The second is rare: it is drawn with seven
 * of ten checks bad, and weighted (importance sampling). The first needs no more than its mean. */
static double d4_chance(void *state, uint64_t seed, uint64_t trial, int variant)
{
    struct rng r = rng_stream(seed, "run", trial, 0);
    int64_t k = variant == 1 ? 2 : variant == 2 ? 4 : 3;
    double weight = 1;
    struct span at;
    struct threshold t = {.consecutive = k};
    for (nsec n = 0;; n++) {
        bool bad = rng_unit(&r) < 0.7;
        weight *= bad ? 0.1 / 0.7 : 0.9 / 0.3;
        struct judge_event e = {.at = n,
                                .obs = {.end = n, .verdict = bad ? JUDGE_BAD : JUDGE_GOOD}};
        if (threshold_feed(&t, &e, &at) == THRESHOLD_ONSET)
            return weight;
        if (!bad)
            return 0;
    }
}

static double d4_checks(void *state, uint64_t seed, uint64_t trial, int variant)
{
    struct rng r = rng_stream(seed, "checks", trial, 0);
    struct span at;
    struct threshold t = {.consecutive = 3};
    for (nsec n = 1;; n++) {
        bool bad = rng_unit(&r) < 0.1;
        struct judge_event e = {.at = n,
                                .obs = {.end = n, .verdict = bad ? JUDGE_BAD : JUDGE_GOOD}};
        if (threshold_feed(&t, &e, &at) == THRESHOLD_ONSET || !bad)
            return (double)n;
    }
}

static void d4_false_alarms(void **state)
{
    static const char *const wrong[] = {"k - 1", "k + 1", NULL};
    struct oracle chance = {.name = "D4 alarm in a run",
                            .value = 0.001,
                            .trials = 350000,
                            .trial = d4_chance,
                            .wrong = wrong};
    struct oracle checks = {.name = "D4 checks of a run",
                            .value = (1 - 0.001) / (1 - 0.1),
                            .trials = 100000,
                            .trial = d4_checks};
    double worst = 0, error = 0;
    for (size_t i = 0; i < ARRAY_SIZE(oracle_seeds); i++) {
        struct oracle_estimate a = oracle_estimate(&checks, oracle_seeds[i], checks.trials, 0);
        struct oracle_estimate b = oracle_estimate(&chance, oracle_seeds[i], chance.trials, 0);
        double n = a.mean / b.mean, se = n * hypot(a.se / a.mean, b.se / b.mean);
        assert_true(fabs(n - 1110) <= 4.5 * se);
        assert_true(se <= 0.003 * 1110);
        worst = fmax(worst, fabs(n - 1110) / se);
        error = fmax(error, se / 1110);
    }
    for (int v = 1; wrong[v - 1]; v++) {
        struct oracle_estimate a = oracle_estimate(&checks, 1, checks.trials, 0);
        struct oracle_estimate b = oracle_estimate(&chance, 1, chance.trials / 10, v);
        assert_true(fabs(a.mean / b.mean - 1110) >
                    4.5 * 1110 * hypot(a.se / a.mean, b.se / b.mean));
    }
    if (getenv("BLACKSTART_FIGURES"))
        print_message("%-34s %12g  worst |z| %.2f  se/value %.3f %%\n",
                      "D4 checks between false alarms", 1110.0, worst, 100 * error);
}

/* The first alarm, as it comes: few of them, hence only within 4.5 standard errors. */
static void d4_without_weights(void **state)
{
    enum { ALARMS = 300 };
    double sum = 0;
    struct rng r = rng_stream(1, "blips", 0, 0);
    for (int i = 0; i < ALARMS; i++) {
        begin(3);
        for (uint64_t n = 0; heard.onset == NSEC_UNSET; n++, sum++)
            answer(n, (double)n * T, rng_unit(&r) < 0.1);
    }
    assert_true(fabs(sum / ALARMS - 1110) < 4.5 * 1110 / sqrt(ALARMS));
}

/* So many of five vantage points, each with a schedule of its own. */
static double d5(void *state, uint64_t seed, uint64_t trial, int variant)
{
    enum { N = 5 };
    struct rng r = rng_stream(seed, "phases", trial, 0);
    struct quorum q = {.at_least = variant == 1 ? 1 : variant == 2 ? N : 2};
    struct threshold t[N];
    double phase[N];
    int order[N];
    for (int i = 0; i < N; i++) {
        t[i] = (struct threshold){.consecutive = 3};
        phase[i] = variant == 3 && i ? phase[0] : rng_unit(&r) * T;
        int k = i;
        for (; k > 0 && phase[order[k - 1]] > phase[i]; k--)
            order[k] = order[k - 1];
        order[k] = i;
    }
    for (int round = 0;; round++)
        for (int i = 0; i < N; i++) {
            nsec end = (nsec)((phase[order[i]] + round * T + TAU) * 1e9);
            struct span at;
            struct judge_event e = {.at = end, .obs = {.end = end, .verdict = JUDGE_BAD}};
            if (quorum_feed(&q, threshold_feed(&t[order[i]], &e, &at)) == THRESHOLD_ONSET)
                return (double)at.lo / 1e9;
        }
}

static void d5_several_vantage_points(void **state)
{
    static const char *const wrong[] = {"one is enough", "all of them", "the same schedule", NULL};
    double value = 2 * T / 6 + 2 * T + TAU;
    assert_true(fabs(value - 25.333) < 0.001);
    oracle_check(&(struct oracle){.name = "D5 2 of 5 vantage points, s",
                                  .value = value,
                                  .trials = 10000,
                                  .trial = d5,
                                  .wrong = wrong});
}

/* Heartbeats each 1 s, the fault at a random phase between two; the last one's time-out is 3 × 1 s +
 * (256 - 100) / 256 s (VRRP, version 2). A forecast draws it as uniform in [timeout - period, timeout]. */
static double d7(void *state, uint64_t seed, uint64_t trial, int variant)
{
    const double timeout = 3.609375, period = variant == 1 ? 2 * timeout : 1;
    struct rng r = rng_stream(seed, "heartbeat", trial, 0);
    if (trial % 2) { /* half of them by the heartbeats themselves */
        double fault = 100 + rng_unit(&r) * period, last = floor(fault / period) * period;
        return last + timeout - fault;
    }
    struct distribution d = {.kind = DISTRIBUTION_UNIFORM,
                             .a = (nsec)((variant == 2 ? 0 : timeout - 1) * 1e9),
                             .b = (nsec)(timeout * 1e9),
                             .least = NSEC_UNSET,
                             .most = NSEC_UNSET};
    return (double)draw(&d, &r) / 1e9;
}

static void d7_heartbeats(void **state)
{
    static const char *const wrong[] = {"another period", "anything up to the time-out", NULL};
    oracle_check(&(struct oracle){
        .name = "D7 heartbeat, s", .value = 3.109375, .trials = 5000, .trial = d7, .wrong = wrong});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(d1_fixed_schedule),  cmocka_unit_test(d2_gap_after_the_answer),
        cmocka_unit_test(d3_gray_failure),    cmocka_unit_test(d4_false_alarms),
        cmocka_unit_test(d4_without_weights), cmocka_unit_test(d5_several_vantage_points),
        cmocka_unit_test(d7_heartbeats),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
