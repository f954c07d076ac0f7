/* Known answers again, of whole trials: a scenario as one writes it, a fault, probes, an alarm on them, people
 * and stages. */
#include "tests/support/oracle.h"

#include "scenarios/scenario.h"
#include "sim/forecast/system.h"
#include "sim/forecast/trial.h"

/* What is the same in all; %s: when bad ones are an alarm, and what is assumed. Probes ask each 10 s for 2 s;
 * the fault comes at the script's zero + 5 s. */
#define HEAD_OF(horizon)                                                                           \
    "blackstart: 1\n"                                                                              \
    "name: t\n"                                                                                    \
    "services: {shop: {rto: 60s, detect_within: {within: 60s, by: [own], clock: fault}}}\n"        \
    "hosts: {client: {lab: {address: 10.0.0.9/24}}, a: {lab: {address: 10.0.0.1/24}}}\n"           \
    "settle: {for: 3s, within: 1h}\n"                                                              \
    "horizon: " horizon "\n"                                                                       \
    "expect: {shop: either}\n"
#define HEAD HEAD_OF("12h")
#define SHORT HEAD_OF("10m") /* every answer of several probes is asked for */
#define PROBE(name, every)                                                                         \
    name ": {service: shop, host: client, tcp: \"10.0.0.1:80\", every: " every                     \
         ", timeout: 2s, down_after: 1, up_after: 1, stable: 1s}"
#define ONE "probes: {" PROBE("p1", "10s") "}\n"
#define FIVE                                                                                       \
    "probes: {" PROBE("p1", "10s") ", " PROBE("p2", "10s") ", " PROBE("p3", "10s") ", " PROBE(     \
        "p4", "10s") ", " PROBE("p5", "10s") "}\n"
#define THREE "alarms: {own1: {threshold: {probe: p1, consecutive: 3}}}\n"
#define TWO_IN_A_ROW "alarms: {own1: {threshold: {probe: p1, consecutive: 2}}}\n"
#define OF_FIVE(m)                                                                                 \
    "alarms: {own1: {threshold: {probe: [p1, p2, p3, p4, p5], consecutive: 3, at_least: " m "}}}"  \
    "\n"
#define KILLED "script: [{at: 5s, node-kill: a}]\n"
#define GRAY(share) "script: [{at: 5s, outage: {component: a, share: " share "}}]\n"
#define RESTORED(stages) "model: {shop: {restore: [" stages "]}}\n"
#define FIXED RESTORED("{fix: {constant: 1s, at: detection}}")

enum measure { TTD, TTA, TTR, DRAINED, FALSE_ALARMS, IS_VOID };

struct known {
    const char *texts[4]; /* the right one, then wrong ones */
    enum measure measure;
    double unit; /* seconds */
    struct scenario *s;
    struct system *sys;
    struct trial *t;
};

static void known_open(void *state, int variant)
{
    struct known *k = state;
    const char *text = k->texts[variant];
    struct diags diags = {0};
    struct err err = ERR_INIT;
    if (scenario_load_text(text, strlen(text), "t.yaml", NULL, &diags, &k->s) < 0)
        fail_msg("%d:%d %s", diags.items[0].place.line, diags.items[0].place.col,
                 diags.items[0].text);
    diags_done(&diags);
    if (system_new(k->s, &k->sys, &err) < 0)
        fail_msg("%s", err.text);
    k->t = trial_new(k->sys);
}

static void known_close(void *state)
{
    struct known *k = state;
    k->t = trial_free(k->t);
    k->sys = system_free(k->sys);
    k->s = scenario_free(k->s);
}

static double known_trial(void *state, uint64_t seed, uint64_t trial, int variant)
{
    struct known *k = state;
    struct outcome o;
    struct err err = ERR_INIT;
    if (trial_run(k->t, seed, trial, NULL, NULL, NULL, &o, &err) < 0)
        fail_msg("%s", err.text);
    if (k->measure == FALSE_ALARMS || k->measure == IS_VOID)
        return k->measure == IS_VOID ? o.kind == OUTCOME_IS_VOID : o.false_alarms;
    nsec t = k->measure == TTD       ? o.ttd
             : k->measure == TTA     ? o.tta
             : k->measure == DRAINED ? o.drained
                                     : o.ttr;
    if (!nsec_is_set(t) || t == NSEC_INF)
        fail_msg("trial %d is not measured: outcome %d, %lld", (int)trial, o.kind, (long long)t);
    return (double)t / 1e9 / k->unit;
}

static void known_check(const char *name, double value, uint64_t trials, struct known known,
                        const char *const *wrong)
{
    oracle_check(&(struct oracle){.name = name,
                                  .value = value,
                                  .trials = trials,
                                  .trial = known_trial,
                                  .open = known_open,
                                  .close = known_close,
                                  .state = &known,
                                  .wrong = wrong});
}

static void detection(void **state)
{
    static const char *const d1[] = {"k - 1", "another interval", NULL};
    static const char *const d3[] = {"every check fails", "k - 1", NULL};
    static const char *const d5[] = {"one is enough", "all of them", NULL};
    known_check(
        "D1 in trials, s", 27, 3000,
        (struct known){.texts = {HEAD ONE THREE KILLED FIXED, HEAD ONE TWO_IN_A_ROW KILLED FIXED,
                                 HEAD "probes: {" PROBE("p1", "12s") "}\n" THREE KILLED FIXED},
                       .measure = TTD,
                       .unit = 1},
        d1);
    known_check("D3 in trials, s", 10.0 / 2 + ((1 / 0.512 - 1) / 0.2 - 1) * 10 + 2, 42000,
                (struct known){.texts = {HEAD ONE THREE GRAY("80%") FIXED,
                                         HEAD ONE THREE GRAY("100%") FIXED,
                                         HEAD ONE TWO_IN_A_ROW GRAY("80%") FIXED},
                               .measure = TTD,
                               .unit = 1},
                d3);
    known_check("D5 in trials, s", 20.0 / 6 + 20 + 2, 2000,
                (struct known){.texts = {SHORT FIVE OF_FIVE("2") KILLED FIXED,
                                         SHORT FIVE OF_FIVE("1") KILLED FIXED,
                                         SHORT FIVE OF_FIVE("5") KILLED FIXED},
                               .measure = TTD,
                               .unit = 1},
                d5);
}

#define BURN(slo, factor, longer)                                                                  \
    SHORT "probes: {" PROBE(                                                                       \
        "p1", "1s") "}\n"                                                                          \
                    "alarms: {own1: {burn_rate: {probe: p1, slo: " slo ", factor: " factor         \
                    ", long: " longer ", short: 5m}}}\n"                                           \
                    "script: [{at: 5s, outage: {component: a, answers: errors}}]\n" FIXED

/* D6: every answer bad, 99.9 %, an hour and five minutes, 14.4 times: after 51.84 s, to a second. */
static void burn_rate(void **state)
{
    struct known k = {.texts = {BURN("99.9%", "14.4", "1h"), BURN("99.9%", "6", "1h"),
                                BURN("99.5%", "14.4", "1h"), BURN("99.9%", "14.4", "2h")},
                      .measure = TTD,
                      .unit = 1};
    for (int v = 0; v < 4; v++) { /* the wrong ones: burn rate, promise, window */
        known_open(&k, v);
        for (uint64_t n = 0; n < 50; n++) {
            double t = known_trial(&k, 1, n, v);
            if ((t > 50.84 && t < 52.84) != (v == 0))
                fail_msg("variant %d fires after %g s", v, t);
        }
        known_close(&k);
    }
}

/* Who answers does so after 3 min; a step lasts 5. */
#define ONCALL(rest)                                                                               \
    "roles: {oncall: {people: [a], acknowledges: 3m, " rest                                        \
    "}}\n" RESTORED("{there: {constant: 1s, by: oncall}}")

static void people(void **state)
{
    static const char *const wrong[] = {"everybody answers", "the step lasts twice as long", NULL};
    known_check(
        "E1 in trials, minutes", 3 + 5 * 0.2 / 0.8, 55000,
        (struct known){
            .texts = {HEAD ONE THREE KILLED ONCALL("responds: 80%, escalate: {after: 5m}"),
                      HEAD ONE THREE KILLED ONCALL("responds: 100%, escalate: {after: 5m}"),
                      HEAD ONE THREE KILLED ONCALL("responds: 80%, escalate: {after: 10m}")},
            .measure = TTA,
            .unit = 60},
        wrong);
}

#define FAILOVER(works, by_hand)                                                                   \
    RESTORED("{failover: {constant: 2s, at: detection, works: " works ", else: by-hand}}, "        \
             "{by-hand: {constant: " by_hand ", only: fallback}}")
#define CACHES(ttl, share)                                                                         \
    RESTORED("{failover: {constant: 2s, at: detection}}, {dns: {ttl: " ttl ", clients: " share "}" \
             "}")
#define BACKLOG(load) "model: {shop: {load: " load ", restore: [{fix: {constant: 30m}}]}}\n"

static void restoring(void **state)
{
    static const char *const f1[] = {"slower by hand", "fails more often", NULL};
    static const char *const f3[] = {"the mean as the TTL", "all clients", NULL};
    static const char *const c2[] = {"more load", NULL};
    known_check("F1 in trials, s", 27 + 0.9 * 2 + 0.1 * 62, 45000,
                (struct known){.texts = {HEAD ONE THREE KILLED FAILOVER("90%", "60s"),
                                         HEAD ONE THREE KILLED FAILOVER("90%", "120s"),
                                         HEAD ONE THREE KILLED FAILOVER("80%", "60s")},
                               .measure = TTR,
                               .unit = 1},
                f1);
    known_check("F3 in trials, s", 27 + 2 + 28.5, 2000,
                (struct known){.texts = {HEAD ONE THREE KILLED CACHES("30s", "95%"),
                                         HEAD ONE THREE KILLED CACHES("15s", "95%"),
                                         HEAD ONE THREE KILLED CACHES("30s", "100%")},
                               .measure = TTR,
                               .unit = 1},
                f3);
    known_check("C2 in trials, minutes", 30 + 70, 10,
                (struct known){.texts = {HEAD ONE THREE KILLED BACKLOG("70%"),
                                         HEAD ONE THREE KILLED BACKLOG("80%")},
                               .measure = DRAINED,
                               .unit = 60},
                c2);
}

/* C4 in trials: what it needs is down for 90 s, and asked ten times a second. The breaker opens after 5 s, tries
 * at 65 s, and again at 126 s, when all is well. */
#define NEEDED(breaker)                                                                            \
    "blackstart: 1\n"                                                                              \
    "name: t\n"                                                                                    \
    "services: {shop: {rto: 5m, counts_as_restored: heal, needs: [{service: cards" breaker         \
    "}]}, cards: {}}\n"                                                                            \
    "hosts: {client: {lab: {address: 10.0.0.9/24}}, a: {lab: {address: 10.0.0.1/24}}}\n"           \
    "probes: {p1: {service: shop, host: client, tcp: \"10.0.0.1:80\", every: 100ms, down_after: "  \
    "1, "                                                                                          \
    "up_after: 1, stable: 1s}}\n"                                                                  \
    "script: [{at: 10s, for: 90s, outage: {service: cards}}]\n"                                    \
    "horizon: 10m\n"                                                                               \
    "expect: {shop: either}\n"

static void through_a_breaker(void **state)
{
    static const struct {
        const char *text;
        double ttr, down; /* seconds */
    } all[] = {
        {NEEDED(""), 90, 90},
        {NEEDED(", breaker: {calls_per_second: 10}"), 126, 126},
        {NEEDED(", breaker: {calls_per_second: 10, open: 10s, half_open: 1}"), 95.8, 95.8},
        /* bad for 5 s, and for each of the seconds of trying */
        {NEEDED(", breaker: {calls_per_second: 10, fallback: true}"), 5, 6},
    };
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        struct known k = {.texts = {all[i].text}};
        struct outcome o[2];
        struct err err = ERR_INIT;
        known_open(&k, 0);
        for (uint64_t n = 1; n <= 20; n++) {
            if (trial_run(k.t, 1, n, NULL, NULL, NULL, o, &err) < 0)
                fail_msg("%s", err.text);
            double ttr = (double)o[0].ttr / 1e9, down = (double)o[0].down / 1e9;
            if (fabs(ttr - all[i].ttr) > 0.001 || fabs(down - all[i].down) > 0.001)
                fail_msg("%s: restored after %g s, down for %g s", all[i].text, ttr, down);
        }
        known_close(&k);
    }
}

/* C1 and C3 together: of four that share the load, some are killed and taken out at once. Of a load above what
 * is left the rest fails, at once, and what fails is asked for again: b = 1 - share / (load (1 - b^(r+1)) / (1 - b)),
 * that is b = (1 - share / load)^(1 / (r + 1)). */
#define SHARED(script, load, retries)                                                              \
    "blackstart: 1\n"                                                                              \
    "name: t\n"                                                                                    \
    "services: {shop: {rto: 60s, detect_within: {within: 60s, by: [own], clock: fault}}}\n"        \
    "hosts: {client: {lab: {address: 10.0.0.9/24}}, a: {lab: {address: 10.0.0.1/24}}, "            \
    "b: {lab: {address: 10.0.0.2/24}}, c: {lab: {address: 10.0.0.3/24}}, "                         \
    "d: {lab: {address: 10.0.0.4/24}}}\n"                                                          \
    "settle: {for: 3s, within: 1h}\n"                                                              \
    "horizon: 12h\n"                                                                               \
    "expect: {shop: either}\n" ONE THREE "script: [" script "]\n"                                  \
    "model: {shop: {redundancy: {of: [a, b, c, d], mode: active-active, need: 1, takeout: 0s}, "   \
    "load: " load ", retries: " retries ", restore: [{fix: {constant: 1s, at: detection}}]}}\n"
#define HALF "{at: 5s, node-kill: a}, {at: 5s, node-kill: b}"
#define QUARTER "{at: 5s, node-kill: a}"

static void overloaded(void **state)
{
    static const char *const wrong[] = {"a repetition fewer", "one more", "less load", NULL};
    double q = pow(1 - 0.5 / 0.9, 1.0 / 4);
    known_check("C3 in trials, s", 10.0 / 2 + ((1 / pow(q, 3) - 1) / (1 - q) - 1) * 10, 42000,
                (struct known){.texts = {SHARED(HALF, "90%", "3"), SHARED(HALF, "90%", "2"),
                                         SHARED(HALF, "90%", "4"), SHARED(HALF, "70%", "3")},
                               .measure = TTD,
                               .unit = 1},
                wrong);
}

static void safe_to_lose_one(void **state)
{
    static const struct {
        const char *text;
        bool safe;
    } all[] = {
        {SHARED(QUARTER, "74%", "3"), true},
        {SHARED(QUARTER, "76%", "3"), false},
        {SHARED(HALF, "49%", "3"), true},
        {SHARED(HALF, "51%", "3"), false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        struct known k = {.texts = {all[i].text}};
        struct err err = ERR_INIT;
        known_open(&k, 0);
        for (uint64_t n = 1; n <= 20; n++) {
            struct outcome o;
            if (trial_run(k.t, 1, n, NULL, NULL, NULL, &o, &err) < 0)
                fail_msg("%s", err.text);
            if ((o.kind == OUTCOME_IS_UNAFFECTED) != all[i].safe)
                fail_msg("case %d: outcome %d", (int)i, o.kind);
        }
        known_close(&k);
    }
}

/* D4 in trials: every tenth answer is bad though nothing is broken. So often an answer is the third of a run:
 * q^3 for the first that can be, q^3 (1 - q) for each of the others. */
#define ERRORS(share)                                                                              \
    "blackstart: 1\n"                                                                              \
    "name: t\n"                                                                                    \
    "services: {shop: {}}\n"                                                                       \
    "phase: fixed\n"                                                                               \
    "probes: {p1: {service: shop, http: {url: \"http://shop.example/\"}, every: 1s, timeout: 1s, " \
    "down_after: 1000, up_after: 1, stable: 1s}}\n"                                                \
    "settle: {for: 3s, within: 1h}\n"                                                              \
    "horizon: 30m\n"                                                                               \
    "model: {shop: {errors: " share "}}\n"
#define IN_A_ROW(k) "alarms: {own1: {threshold: {probe: p1, consecutive: " k "}}}\n"

static void false_alarms(void **state)
{
    struct known known = {.texts = {ERRORS("10%") IN_A_ROW("3"), ERRORS("10%") IN_A_ROW("2"),
                                    ERRORS("12%") IN_A_ROW("3")},
                          .measure = FALSE_ALARMS};
    known_open(&known, 0);
    double n = (double)((known.sys->lead + known.s->horizon) / NSEC_SEC);
    known_close(&known);
    const struct oracle d4 = {.name = "D4 in trials",
                              .value = 0.001 + (n - 3) * 0.0009,
                              .trial = known_trial,
                              .open = known_open,
                              .close = known_close,
                              .state = &known};
    for (size_t i = 0; i < ARRAY_SIZE(oracle_seeds); i++)
        assert_true(oracle_near(&d4, oracle_estimate(&d4, oracle_seeds[i], 400, 0)));
    for (int wrong = 1; wrong <= 2; wrong++)
        assert_false(oracle_near(&d4, oracle_estimate(&d4, oracle_seeds[0], 400, wrong)));
}

/* Who was down before the fault shows nothing by being down after it. */
static void down_by_chance_before_the_fault(void **state)
{
#define BEFORE(share)                                                                              \
    HEAD "probes: {p1: {service: shop, host: client, tcp: \"10.0.0.1:80\", every: 1s, timeout: "   \
         "1s, down_after: 2, up_after: 1, stable: 1s}}\n" THREE KILLED                             \
         "model: {shop: {errors: " share ", restore: [{fix: {constant: 1s, at: detection}}]}}\n"
    struct known known = {.texts = {BEFORE("90%"), BEFORE("0.01%")}, .measure = IS_VOID};
    struct oracle o = {
        .trial = known_trial, .open = known_open, .close = known_close, .state = &known};
    assert_true(oracle_estimate(&o, 1, 50, 0).mean > 0.9);
    assert_true(oracle_estimate(&o, 1, 50, 1).mean <= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(detection),
        cmocka_unit_test(burn_rate),
        cmocka_unit_test(people),
        cmocka_unit_test(restoring),
        cmocka_unit_test(through_a_breaker),
        cmocka_unit_test(overloaded),
        cmocka_unit_test(safe_to_lose_one),
        cmocka_unit_test(false_alarms),
        cmocka_unit_test(down_by_chance_before_the_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
