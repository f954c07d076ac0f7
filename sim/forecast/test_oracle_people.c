/* Known answers of restoring: E1-E3 (escalation), F1-F3 (failover and caches), H1 (how long people take to
 * decide), P1 and P2 (stages in series), each through a service's stages. Times in the unit of the answer
 * are taken as so many seconds. */
#include "tests/support/oracle.h"

#include "sim/forecast/draw.h"
#include "sim/forecast/fixture.h"
#include "sim/forecast/propagation.h"

static struct people_world world;

static void ready(void)
{
    struct err err = ERR_INIT;
    if (people_ready(&world, &err) < 0)
        fail_msg("%s", err.text);
}

static void close_world(void *state)
{
    world.response = response_free(world.response);
}

static double ran(uint64_t seed, uint64_t trial)
{
    world.seed = seed;
    world.trial = trial;
    people_run(&world);
    return (double)world.out.restored / 1e9;
}

static double restored(void *state, uint64_t seed, uint64_t trial, int variant)
{
    return ran(seed, trial);
}

/* --- E: people ------------------------------------------------------------------------------- */

static struct responder *open_oncall(const struct distribution *acknowledges)
{
    world = people_world();
    struct responder *oncall = people_responder(&world, "oncall", acknowledges);
    people_stage(&world, "there", NULL)->by = TEXT("oncall");
    return oncall;
}

static void open_escalation(void *state, int variant)
{
    struct responder *oncall = open_oncall(variant == 3 ? UNIFORM(0, 8) : EXPONENTIAL(4));
    oncall->responds = variant == 1 ? 1 : 0.8;
    oncall->escalate_after = SECONDS(variant == 2 ? 10 : 5);
    if (variant == 4)
        oncall->people = NAMES(&world, "a", "b");
    ready();
}

static void e1_escalation(void **state)
{
    static const char *const wrong[] = {"everybody answers", "the step lasts twice as long",
                                        "not memoryless", "two are paged at once", NULL};
    double a = 0.25, e = 5, p = 0.8, x = exp(-a * e), r = p * (1 - x);
    double value = e * (1 - r) / r + 1 / a - e * x / (1 - x);
    assert_true(fabs(value - 5.752) < 0.001);
    oracle_check(&(struct oracle){.name = "E1 escalation, minutes",
                                  .value = value,
                                  .trials = 150000,
                                  .trial = restored,
                                  .open = open_escalation,
                                  .close = close_world,
                                  .wrong = wrong});
}

static nsec e2_step;

static void open_memoryless(void *state, int variant)
{
    open_oncall(variant == 1 ? DISTRIBUTION(.kind = DISTRIBUTION_GAMMA, .a = SECONDS(4), .shape = 4)
                : variant == 2 ? CONSTANT(4)
                               : EXPONENTIAL(4))
        ->escalate_after = e2_step;
    ready();
}

static void e2_memoryless(void **state)
{
    static const char *const wrong[] = {"gamma instead of exponential", NULL};
    static const double steps[] = {1, 5};
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        e2_step = SECONDS(steps[i]);
        oracle_check(&(struct oracle){.name = i ? "E2 step of 5, minutes" : "E2 step of 1, minutes",
                                      .value = 4,
                                      .trials = 140000,
                                      .trial = restored,
                                      .open = open_memoryless,
                                      .close = close_world,
                                      .wrong = wrong});
    }
}

static void open_paged_at_once(void *state, int variant)
{
    struct responder *r = open_oncall(EXPONENTIAL(10));
    r->people = variant ? NAMES(&world, "a", "b", "c") : NAMES(&world, "a", "b", "c", "d");
    ready();
}

static void open_joined(void *state, int variant)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    world = people_world();
    for (int i = 0; i < (variant == 2 ? 3 : 4); i++) {
        struct stage *s = people_stage(&world, names[i], EXPONENTIAL(10));
        s->start = variant == 1 ? STAGE_AFTER : STAGE_AT_IMPACT;
    }
    ready();
}

static void open_approved(void *state, int variant)
{
    open_oncall(EXPONENTIAL(10));
    world.stages[0].approvals = variant ? 3 : 4;
    world.no_time = 1; /* who asks them is there at once */
    ready();
}

static void e3_the_first_and_the_last_of_several(void **state)
{
    static const char *const fewer[] = {"one fewer", NULL};
    static const char *const joined[] = {"one after the other", "one fewer", NULL};
    oracle_check(&(struct oracle){.name = "E3 first of 4",
                                  .value = 2.5,
                                  .trials = 130000,
                                  .trial = restored,
                                  .open = open_paged_at_once,
                                  .close = close_world,
                                  .wrong = fewer});
    double value = 10 * (1 + 1.0 / 2 + 1.0 / 3 + 1.0 / 4);
    oracle_check(&(struct oracle){.name = "E3 all of 4 branches",
                                  .value = value,
                                  .trials = 60000,
                                  .trial = restored,
                                  .open = open_joined,
                                  .close = close_world,
                                  .wrong = joined});
    oracle_check(&(struct oracle){.name = "E3 all of 4 approvals",
                                  .value = value,
                                  .trials = 60000,
                                  .trial = restored,
                                  .open = open_approved,
                                  .close = close_world,
                                  .wrong = fewer});
}

/* --- F: failover and caches ------------------------------------------------------------------ */

/* Half of the failovers fail instead of 2 %, and count accordingly (importance sampling). */
static void open_failover(void *state, int variant)
{
    world = people_world();
    struct stage *failover = people_stage(&world, "failover", CONSTANT(2));
    failover->start = variant == 1 ? STAGE_AFTER : STAGE_AT_DETECTION;
    failover->works = variant == 2 ? 1 : 0.5;
    failover->otherwise = TEXT("by-hand");
    people_stage(&world, "by-hand", CONSTANT(1800))->fallback = true;
    ready();
}

static double failover(void *state, uint64_t seed, uint64_t trial, int variant)
{
    struct rng r = rng_stream(seed, "detected", trial, 0);
    world.in.detected = (nsec)((22 + 10 * rng_unit(&r)) * 1e9); /* D1 */
    double t = ran(seed, trial);
    return variant == 2 ? t : t * (world.ran[0].worked ? 0.98 / 0.5 : 0.02 / 0.5);
}

static void f1_failover_or_by_hand(void **state)
{
    static const char *const wrong[] = {"does not wait for detection", "always works", NULL};
    oracle_check(&(struct oracle){.name = "F1 failover or by hand, s",
                                  .value = 65,
                                  .trials = 40000,
                                  .trial = failover,
                                  .open = open_failover,
                                  .close = close_world,
                                  .wrong = wrong});
}

static double one_client(void *state, uint64_t seed, uint64_t trial, int variant)
{
    struct rng r = rng_stream(seed, "client", trial, 0);
    return variant ? 30 : (double)propagation_of_one(SECONDS(30), &r) / 1e9;
}

static double stale(void *state, uint64_t seed, uint64_t trial, int variant)
{
    struct rng r = rng_stream(seed, "client", trial, 0);
    if (variant) /* the TTL as the mean of what is left */
        return (double)draw(EXPONENTIAL(30), &r) / 1e9 > 12;
    return propagation_of_one(SECONDS(30), &r) > SECONDS(12);
}

static void f2_caches(void **state)
{
    static const char *const whole[] = {"the whole TTL for each", NULL};
    static const char *const mean[] = {"the TTL as a mean", NULL};
    assert_true(fabs(propagation_stale(SECONDS(30), SECONDS(12)) - 0.6) < 1e-12);
    assert_true(propagation_stale(SECONDS(30), SECONDS(31)) == 0);
    assert_true(propagation_stale(SECONDS(30), 0) == 1);
    oracle_check(&(struct oracle){.name = "F2 mean of what is left, s",
                                  .value = 15,
                                  .trials = 60000,
                                  .trial = one_client,
                                  .wrong = whole});
    oracle_check(&(struct oracle){.name = "F2 stale after 12 s",
                                  .value = 0.6,
                                  .trials = 100000,
                                  .trial = stale,
                                  .wrong = mean});
}

static void open_propagation(void *state, int variant)
{
    world = people_world();
    people_stage(&world, "failover", CONSTANT(2))->start = STAGE_AT_DETECTION;
    struct stage *dns = people_stage(&world, "dns", NULL);
    dns->ttl = SECONDS(variant == 1 ? 15 : 30);
    dns->clients = variant == 2 ? 1 : 0.95;
    ready();
}

static double back_in_55(void *state, uint64_t seed, uint64_t trial, int variant)
{
    struct rng r = rng_stream(seed, "detected", trial, 0);
    world.in.detected = (nsec)((22 + 10 * rng_unit(&r)) * 1e9);
    return ran(seed, trial) <= 55;
}

static void f3_clients_are_back(void **state)
{
    static const char *const wrong[] = {"the mean as the TTL", "all clients", NULL};
    oracle_check(&(struct oracle){.name = "F3 95 % back within 55 s",
                                  .value = 0.25,
                                  .trials = 350000,
                                  .trial = back_in_55,
                                  .open = open_propagation,
                                  .close = close_world,
                                  .wrong = wrong});
}

/* --- H: decisions; P: stages in series ------------------------------------------------------- */

struct hcr { /* eta, gamma, beta of human cognitive reliability */
    const char *name;
    double eta, gamma, beta;
};
static const struct hcr hcr_all[] = {{"H1 by skill", 0.407, 0.7, 1.2},
                                     {"H1 by rule", 0.601, 0.6, 0.9},
                                     {"H1 by knowledge", 0.791, 0.5, 0.8}};
static const struct hcr *hcr;

/* T½ (gamma + eta W), with a median of T½ = 60 s: a part that is always needed, and a Weibull one. */
static void open_decision(void *state, int variant)
{
    world = people_world();
    people_stage(&world, "look", CONSTANT(variant == 1 ? 0 : 60 * hcr->gamma));
    people_stage(&world, "decide",
                 DISTRIBUTION(.kind = DISTRIBUTION_WEIBULL, .a = SECONDS(60 * hcr->eta),
                              .shape = variant == 2 ? 2 : hcr->beta));
    ready();
}

static double within_60(void *state, uint64_t seed, uint64_t trial, int variant)
{
    return ran(seed, trial) <= 60;
}

static void h1_decisions(void **state)
{
    static const char *const wrong[] = {"no part that is always needed", "another shape", NULL};
    for (size_t i = 0; i < ARRAY_SIZE(hcr_all); i++) {
        hcr = &hcr_all[i];
        double value = 1 - exp(-pow((1 - hcr->gamma) / hcr->eta, hcr->beta));
        assert_true(fabs(value - 0.5) < 0.001);
        oracle_check(&(struct oracle){.name = hcr->name,
                                      .value = value,
                                      .trials = 125000,
                                      .trial = within_60,
                                      .open = open_decision,
                                      .close = close_world,
                                      .wrong = wrong});
    }
}

static void open_series(void *state, int variant)
{
    static const char *const names[] = {"a", "b", "c"};
    const struct distribution *each = state;
    world = people_world();
    for (int i = 0; i < (variant == 2 ? 2 : 3); i++) {
        struct stage *s = people_stage(&world, names[i], each);
        s->start = variant == 1 ? STAGE_AT_IMPACT : STAGE_AFTER;
    }
    ready();
}

static double within_40(void *state, uint64_t seed, uint64_t trial, int variant)
{
    return ran(seed, trial) <= 40;
}

static double square(void *state, uint64_t seed, uint64_t trial, int variant)
{
    double t = ran(seed, trial) - 30;
    return t * t;
}

static void p1_stages_in_series(void **state)
{
    static const char *const wrong[] = {"all at once", "one fewer", NULL};
    struct distribution exponential = *EXPONENTIAL(10), uniform = *UNIFORM(0, 20);
    struct oracle o = {.name = "P1 Erlang-3 within 40",
                       .value = 0.761897,
                       .trials = 40000,
                       .trial = within_40,
                       .open = open_series,
                       .close = close_world,
                       .state = &exponential,
                       .wrong = wrong};
    oracle_check(&o);
    o.name = "P1 sum of means";
    o.value = 30;
    o.trials = 45000;
    o.trial = restored;
    oracle_check(&o);
    o.name = "P1 sum of variances"; /* of uniform ones, whose squares vary less */
    o.value = 100;
    o.trials = 190000;
    o.trial = square;
    o.state = &uniform;
    oracle_check(&o);
}

static void open_lognormal(void *state, int variant)
{
    double median = exp(4.25);
    world = people_world();
    people_stage(
        &world, "repair",
        DISTRIBUTION(.kind = DISTRIBUTION_LOGNORMAL,
                     .a = SECONDS(variant == 1 ? median * exp(1.25 * 1.25 / 2) : median),
                     .b = SECONDS(median * exp(1.25 * (variant == 2 ? 1.96 : 1.6448536)))));
    ready();
}

static double within_240(void *state, uint64_t seed, uint64_t trial, int variant)
{
    return ran(seed, trial) <= 240;
}

static void p2_lognormal(void **state)
{
    static const char *const wrong[] = {"the mean as the median", "the 97.5 % quantile as the 95 %",
                                        NULL};
    oracle_check(&(struct oracle){.name = "P2 lognormal within 240",
                                  .value = 0.837568,
                                  .trials = 60000,
                                  .trial = within_240,
                                  .open = open_lognormal,
                                  .close = close_world,
                                  .wrong = wrong});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(e1_escalation),
        cmocka_unit_test(e2_memoryless),
        cmocka_unit_test(e3_the_first_and_the_last_of_several),
        cmocka_unit_test(f1_failover_or_by_hand),
        cmocka_unit_test(f2_caches),
        cmocka_unit_test(f3_clients_are_back),
        cmocka_unit_test(h1_decisions),
        cmocka_unit_test(p1_stages_in_series),
        cmocka_unit_test(p2_lognormal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
