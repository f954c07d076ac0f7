/* Known answers of load and of data: C1 (units that fail), C2 (backlogs, also against a queue of single
 * requests), C3 (repeated requests), C4 (circuit breaker), R1 (backups), R2 (replication). */
#include "tests/support/oracle.h"

#include "sim/forecast/breaker.h"
#include "sim/forecast/capacity.h"
#include "sim/forecast/draw.h"
#include "sim/forecast/loss.h"

#define S(x) ((nsec)((x)*1e9))
#define UNCUT .least = NSEC_UNSET, .most = NSEC_UNSET

static void c1_units_that_fail(void **state)
{
    assert_true(fabs(capacity_load_of(0.6, 4, 1) - 0.8) < 1e-12);
    for (int n = 2; n <= 8; n++)
        for (int f = 1; f < n; f++)
            for (int percent = 1; percent < 100; percent++) {
                if (percent * n == 100 * (n - f))
                    continue; /* just full */
                assert_int_equal(capacity_load_of(percent / 100.0, n, f) < 1,
                                 percent * n < 100 * (n - f));
            }
    assert_true(isinf(capacity_load_of(0.5, 2, 2)));
}

/* --- C2: the fluid, and a queue with one request at a time ------------------------------------ */

/* Minutes to work off what came in 30, at one request a second: all that came waits, more goes on coming by
 * chance. Half of all capacity is not there in a wrong one, or more comes again. */
static double drained(void *state, uint64_t seed, uint64_t trial, int variant)
{
    struct rng r = rng_stream(seed, "queue", trial, 0);
    double rate = variant == 1 ? 0.85 : 0.7, work = 0, t = 0;
    for (double at = draw_exponential(&r) / 0.7; at < 1800; at += draw_exponential(&r) / 0.7)
        work += variant == 2 ? 2 : 1;
    for (;;) {
        double gap = draw_exponential(&r) / rate;
        if (work < gap)
            return (t + work) / 60;
        t += gap;
        work += 1 - gap;
    }
}

static void c2_backlogs(void **state)
{
    static const char *const wrong[] = {"more comes while it is worked off", "each comes twice",
                                        NULL};
    assert_true(llabs(capacity_drain(S(1800), 0.7, 0) - S(4200)) < 10);
    assert_true(llabs(capacity_drain(S(1800), 0.7, 1) - S(8400)) < 10); /* each has come twice */
    assert_int_equal(capacity_drain(S(1800), 1, 0), NSEC_INF);
    assert_int_equal(capacity_drain(S(1800), 0, 0), 0);
    assert_int_equal(capacity_drain(0, 0.5, 0), 0);
    oracle_check(&(struct oracle){.name = "C2 drained after, minutes",
                                  .value = 70,
                                  .trials = 600,
                                  .trial = drained,
                                  .wrong = wrong});
}

static double attempts(void *state, uint64_t seed, uint64_t trial, int variant)
{
    struct rng r = rng_stream(seed, "attempts", trial, 0);
    int n = 1;
    while (n < (variant == 1 ? 3 : variant == 2 ? 100 : 4) && rng_unit(&r) < 0.5)
        n++;
    return n;
}

static void c3_repeated_requests(void **state)
{
    static const char *const wrong[] = {"three attempts instead of three repetitions",
                                        "repeated for ever", NULL};
    assert_true(capacity_attempts(0.5, 3) == 1.875);
    assert_true(capacity_attempts(1, 3) == 4);
    assert_true(capacity_attempts(0, 3) == 1);
    assert_true(capacity_attempts(0.5, 0) == 1);
    oracle_check(&(struct oracle){
        .name = "C3 attempts", .value = 1.875, .trials = 45000, .trial = attempts, .wrong = wrong});
}

/* --- C4: the breaker ------------------------------------------------------------------------- */

/* Seconds until it opens, at ten calls a second by chance, all of them bad from 0 on. */
static double opens(void *state, uint64_t seed, uint64_t trial, int variant)
{
    struct rng r = rng_stream(seed, "calls", trial, 0);
    struct breaker_config config = breaker_defaults;
    if (variant == 2)
        config.threshold = 1;
    struct breaker b = breaker_new(&config);
    for (int i = 0; i < 100 && variant != 1; i++) /* a good window before */
        breaker_answer(&b, 0, false);
    nsec at = 0;
    while (b.state == BREAKER_CLOSED) {
        at += (nsec)(draw_exponential(&r) * 1e8);
        breaker_answer(&b, at, true);
    }
    return (double)at / 1e9;
}

static void c4_circuit_breaker(void **state)
{
    static const char *const wrong[] = {"an empty window before", "every call must fail", NULL};
    const struct breaker_config *c = &breaker_defaults;
    assert_int_equal(breaker_opens_after(c, 1, 10), S(5));
    assert_int_equal(breaker_opens_after(c, 0.5, 10), S(10));
    assert_int_equal(breaker_opens_after(c, 0.49, 10), NSEC_INF);
    oracle_check(&(struct oracle){
        .name = "C4 opens after, s", .value = 5, .trials = 3500, .trial = opens, .wrong = wrong});
}

/* Its states, a call each 100 ms: bad from 0 to `back`. How long it refuses afterwards is what the fluid
 * says, to a call or two. */
static void c4_what_came_back_is_refused_for_a_while(void **state)
{
    nsec longest = 0;
    for (int k = 1; k <= 160; k++) {
        struct breaker b = breaker_new(&breaker_defaults);
        nsec back = S(8 + k), opened = NSEC_UNSET, refused = 0;
        for (int64_t i = -200; i * S(0.1) < back + S(100); i++) {
            nsec at = i * S(0.1);
            if (breaker_lets(&b, at))
                breaker_answer(&b, at, at > 0 && at <= back);
            else if (at > back)
                refused = at - back;
            if (b.state == BREAKER_OPEN && !nsec_is_set(opened))
                opened = at;
        }
        assert_int_equal(opened, S(5));
        assert_int_equal(b.state, BREAKER_CLOSED);
        nsec said = breaker_refuses(&breaker_defaults, opened, back, 10);
        nsec phase = (back - opened) % S(61); /* while it tries, some are bad and others good */
        if (phase > S(0.5) && phase < S(59.5) && llabs(refused - said) > S(0.5))
            fail_msg("refused for %g s, not %g", (double)refused / 1e9, (double)said / 1e9);
        longest = said > longest ? said : longest;
    }
    assert_true(longest <= S(60));
    assert_true(longest >= S(58));
}

/* The flow against the calls themselves, over stretches in which ever another share is bad. */
static void c4_the_flow_is_what_calls_do(void **state)
{
    struct breaker_flow f = breaker_flow_new(&breaker_defaults, 10, 0);
    assert_int_equal(breaker_flow_next(&f), NSEC_INF);
    assert_int_equal(breaker_flow_meets(&f, S(100), 1), BREAKER_CLOSED);
    assert_int_equal(breaker_flow_next(&f), S(105));
    assert_int_equal(breaker_flow_meets(&f, S(105), 1), BREAKER_OPEN);
    assert_int_equal(breaker_flow_next(&f), S(165));
    assert_int_equal(breaker_flow_meets(&f, S(165), 1), BREAKER_HALF_OPEN);
    assert_int_equal(breaker_flow_meets(&f, S(166), 0), BREAKER_OPEN);
    assert_int_equal(breaker_flow_meets(&f, S(226), 0), BREAKER_HALF_OPEN);
    assert_int_equal(breaker_flow_meets(&f, S(227), 1), BREAKER_CLOSED);
    assert_int_equal(breaker_flow_next(&f), S(237)); /* the window must be full again */
    struct breaker_flow gray = breaker_flow_new(&breaker_defaults, 10, 0);
    breaker_flow_meets(&gray, 0, 0.49);
    assert_int_equal(breaker_flow_next(&gray), NSEC_INF);
    breaker_flow_meets(&gray, S(1000), 0.5);
    assert_int_equal(breaker_flow_next(&gray), S(1000.2)); /* 49 are bad already */

    int alike = 0, looked_at = 0;
    for (uint64_t n = 0; n < 200; n++) {
        struct rng r = rng_stream(3, "stretches", n, 0);
        struct breaker b = breaker_new(&breaker_defaults);
        for (int i = 0; i < 100; i++)
            breaker_answer(&b, 0, false);
        f = breaker_flow_new(&breaker_defaults, 10, 0);
        int64_t call = 1;
        for (int k = 0; k < 8; k++) { /* in turn good and bad, up to 100 s each */
            int64_t until = call + 200 + (int64_t)rng_below(&r, 800);
            breaker_flow_meets(&f, (call - 1) * S(0.1), k % 2);
            for (; call < until; call++) {
                nsec at = call * S(0.1);
                if (breaker_lets(&b, at))
                    breaker_answer(&b, at, k % 2);
                alike += breaker_flow_meets(&f, at, k % 2) == b.state;
                looked_at++;
            }
        }
    }
    assert_true(alike > 0.97 * looked_at); /* the rest: a tenth of a second here and there */
}

/* --- R: data --------------------------------------------------------------------------------- */

/* Minutes, as many seconds. */
static double lost_since_backup(void *state, uint64_t seed, uint64_t trial, int variant)
{
    static const struct distribution five = {.kind = DISTRIBUTION_CONSTANT, .a = S(5), UNCUT};
    struct backup b = {.every = S(60), .takes = variant == 1 ? NULL : &five};
    struct rng r = rng_stream(seed, "backup", trial, 0);
    double lost = (double)loss_of_backup(&b, &r) / 1e9;
    if (variant != 1)
        assert_true(lost >= 5 && lost <= 65);
    return variant == 2 ? lost - 5 : lost;
}

static void r1_backups(void **state)
{
    static const char *const wrong[] = {"usable at once", "consistent at its end", NULL};
    oracle_check(&(struct oracle){.name = "R1 lost since the backup, minutes",
                                  .value = 35,
                                  .trials = 40000,
                                  .trial = lost_since_backup,
                                  .wrong = wrong});
    struct backup slow = {
        .every = S(60),
        .takes = &(struct distribution){.kind = DISTRIBUTION_CONSTANT, .a = S(150), UNCUT}};
    struct rng r = rng_stream(1, "slow", 0, 0);
    for (int i = 0; i < 1000; i++) {
        nsec lost = loss_of_backup(&slow, &r);
        assert_true(lost >= S(150) && lost <= S(210));
    }
}

static double lost_writes(void *state, uint64_t seed, uint64_t trial, int variant)
{
    static const struct distribution lag = {.kind = DISTRIBUTION_EXPONENTIAL, .a = S(0.3), UNCUT};
    struct replication p = {.lag = variant ? NULL : &lag};
    struct backup b = {.every = S(60)};
    struct service_model m = {.replication = &p, .backup = &b};
    struct rng r = rng_stream(seed, "lag", trial, 0);
    return loss_writes(loss_of(&m, &r), 50);
}

static void r2_replication(void **state)
{
    static const char *const wrong[] = {"synchronous", NULL};
    struct distribution lag = {.kind = DISTRIBUTION_CONSTANT, .a = S(0.3), UNCUT};
    struct replication p = {.lag = &lag}, synchronous = {0};
    struct service_model m = {.replication = &p}, none = {0};
    struct rng r = rng_stream(1, "lag", 0, 0);
    assert_true(fabs(loss_writes(loss_of(&m, &r), 50) - 15) < 1e-9);
    assert_int_equal(loss_of_replication(&synchronous, &r), 0);
    assert_int_equal(loss_of(&none, &r), NSEC_UNSET);
    oracle_check(&(struct oracle){.name = "R2 writes lost",
                                  .value = 15,
                                  .trials = 130000,
                                  .trial = lost_writes,
                                  .wrong = wrong});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c1_units_that_fail),
        cmocka_unit_test(c2_backlogs),
        cmocka_unit_test(c3_repeated_requests),
        cmocka_unit_test(c4_circuit_breaker),
        cmocka_unit_test(c4_what_came_back_is_refused_for_a_while),
        cmocka_unit_test(c4_the_flow_is_what_calls_do),
        cmocka_unit_test(r1_backups),
        cmocka_unit_test(r2_replication),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
