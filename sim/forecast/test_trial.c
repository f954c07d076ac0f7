/* Trials of small scenarios whose outcome can be told beforehand, and properties of random ones. */
#include "tests/support/test.h"

#include "scenarios/scenario.h"
#include "sim/base/buf.h"
#include "sim/base/rng.h"
#include "sim/forecast/trial.h"

#include <math.h>
#include <string.h>

#define SEC NSEC_SEC
#define MS NSEC_MSEC
#define DIGEST UINT64_C(0xd07957a8f7ea09f7)

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

/* D3 of the known answers: each check fails with p = 0.6, 3 in a row tell, at intervals of 10 s with a time-out of
 * 2 s: T / 2 + (E[N] - 1) T + timeout on average, E[N] = (p^-3 - 1) / (1 - p). */
static void a_gray_failure_is_noticed_when_the_known_answer_says(void **state)
{
    struct bench r = bench_of(
        "blackstart: 1\nname: t\nservices: {shop: {detect_within: {within: 10m, by: [own], clock: "
        "fault}}}\nprobes: {page: {service: shop, http: \"https://a.example/\", every: 10s, "
        "timeout: "
        "2s, down_after: 3}}\nalarms: {three: {threshold: {probe: page, consecutive: 3}}}\n"
        "script: [{at: 5s, outage: {service: shop, share: 60%}}]\nhorizon: 25m\n");
    double p = 0.6, known = 5 + ((1 / (p * p * p) - 1) / (1 - p) - 1) * 10 + 2;
    static const uint64_t seeds[] = {11, 12, 13, 14, 15};
    for (size_t i = 0; i < ARRAY_SIZE(seeds); i++) {
        const size_t n = 20000;
        double sum = 0, squares = 0;
        for (uint64_t k = 1; k <= n; k++) {
            struct outcome o = run(&r, seeds[i], k);
            double d = (double)o.ttd / 1e9;
            assert_true(o.ttd != NSEC_INF);
            sum += d;
            squares += d * d;
        }
        double mean = sum / (double)n,
               error = sqrt((squares / (double)n - mean * mean) / (double)n);
        assert_true(error < 0.0065 * known);
        assert_true(fabs(mean - known) < 4.5 * error);
    }
    bench_done(&r);
}

/* One service, probed every second from a phase of 0 from -2 s on; three good ones and 4 s make it restored. */
#define BEGIN                                                                                      \
    "blackstart: 1\n"                                                                              \
    "name: t\n"                                                                                    \
    "phase: fixed\n"                                                                               \
    "settle: 1s\n"                                                                                 \
    "horizon: 300s\n"                                                                              \
    "hosts: {client: {lab: {address: 10.0.0.9/24}}, a: {lab: {address: 10.0.0.1/24}}, "            \
    "b: {lab: {address: 10.0.0.2/24}}, c: {lab: {address: 10.0.0.3/24}}}\n"                        \
    "probes: {page: {service: shop, host: client, tcp: \"10.0.0.1:80\", every: 1s, "               \
    "timeout: 300ms, down_after: 2, up_after: 3, stable: 4s}}\n"
#define SHOP "services: {shop: {detect_within: {within: 20s, by: [own]}}}\n"
#define THREE "alarms: {three: {threshold: {probe: page, consecutive: 3}}}\n"

struct expected {
    const char *text;
    unsigned kind, by, episodes, blips;
    nsec ttr, down, ttd;
};

static void expect(const struct expected *e)
{
    struct bench r = bench_of(e->text);
    struct outcome o = run(&r, 1, 1);
    if (o.kind != e->kind || o.by != e->by || o.episodes != e->episodes || o.blips != e->blips ||
        o.ttr != e->ttr || o.down != e->down || o.ttd != e->ttd)
        fail_msg("kind %d by %d episodes %u blips %u ttr %lld down %lld ttd %lld of\n%s", o.kind,
                 o.by, o.episodes, o.blips, (long long)o.ttr, (long long)o.down, (long long)o.ttd,
                 e->text);
    bench_done(&r);
}

#define RECOVERED OUTCOME_IS_RESTORED, OUTCOME_BY_RECOVERY
#define HEALED OUTCOME_IS_RESTORED, OUTCOME_BY_HEAL
#define UNHURT OUTCOME_IS_UNAFFECTED, OUTCOME_BY_NOBODY
#define NEVER_BACK OUTCOME_IS_CENSORED, OUTCOME_BY_NOBODY

static void the_table_of_edge_cases(void **state)
{
    static const struct expected cases[] = {
        /* between two probes: never seen */
        {BEGIN SHOP THREE "script: [{at: 5100ms, for: 500ms, kill: a}]\n", UNHURT, 0, 0, NSEC_UNSET,
         0, NSEC_UNSET},
        /* one failure: a blip */
        {BEGIN SHOP THREE "script: [{at: 4500ms, for: 1s, kill: a}]\n", UNHURT, 0, 1, NSEC_UNSET, 0,
         NSEC_UNSET},
        /* back while the fault is in force; a refusal is known at once */
        {BEGIN SHOP THREE "script: [{at: 4500ms, kill: a}]\n"
                          "model: {shop: {restore: [{fix: 10s}]}}\n",
         RECOVERED, 1, 0, 10 * SEC, 10 * SEC, 2500 * MS},
        /* the same, and whoever asks waits for its time-out */
        {BEGIN SHOP THREE "script: [{at: 4500ms, node-kill: a}]\n"
                          "model: {shop: {restore: [{fix: 10s}]}}\n",
         RECOVERED, 1, 0, 10 * SEC, 10 * SEC, 2800 * MS},
        /* back only when the fault ended: that meets no promise */
        {BEGIN SHOP THREE "script: [{at: 4500ms, for: 7s, kill: a}]\n", HEALED, 1, 0, NSEC_INF,
         7 * SEC, 2500 * MS},
        /* unless the scenario says so */
        {BEGIN "services: {shop: {counts_as_restored: heal, detect_within: {within: 20s, by: "
               "[own]}}}\n" THREE "script: [{at: 4500ms, for: 7s, kill: a}]\n",
         HEALED, 1, 0, 7 * SEC, 7 * SEC, 2500 * MS},
        /* never back */
        {BEGIN SHOP THREE "script: [{at: 4500ms, kill: a}]\n", NEVER_BACK, 1, 0, NSEC_INF, NSEC_INF,
         2500 * MS},
        /* repaired by itself */
        {BEGIN SHOP THREE
         "script: [{at: 4500ms, restart: {host: a}}]\ncomponents: {a: {repair: 6s}}\n",
         RECOVERED, 1, 0, 6 * SEC, 6 * SEC, 2500 * MS},
        /* comes and goes: what recovered for less than `stable` is the same episode */
        {BEGIN SHOP THREE "script: [{at: 4500ms, kill: a}, {at: 12500ms, kill: b}]\n"
                          "model: {shop: {redundancy: {of: [a, b], mode: active-active, need: 2}, "
                          "restore: [{fix: 5s}]}}\n",
         RECOVERED, 1, 0, 13 * SEC, 10 * SEC, 2500 * MS},
        /* later: a relapse; the longest counts */
        {BEGIN SHOP THREE "script: [{at: 4500ms, kill: a}, {at: 33500ms, for: 9s, kill: b}]\n"
                          "model: {shop: {redundancy: {of: [a, b], mode: active-active, need: 2}, "
                          "restore: [{fix: 5s}]}}\n",
         RECOVERED, 2, 0, 5 * SEC, 10 * SEC, 2500 * MS},
        /* two faults at once: the first that ends may have been what healed it */
        {BEGIN SHOP THREE "script: [{at: 4500ms, kill: a}, {at: 5500ms, for: 5s, kill: b}]\n"
                          "model: {shop: {redundancy: {of: [a, b], mode: active-active, need: 2}, "
                          "restore: [{fix: 9s}]}}\n",
         HEALED, 1, 0, NSEC_INF, 9 * SEC, 2500 * MS},
        /* an outage that going back costs, after the fault: told, not judged */
        {BEGIN SHOP THREE
         "script: [{at: 4500ms, for: 20s, kill: a}]\n"
         "model: {shop: {redundancy: {of: [a, b], mode: active-passive}, restore: [{fix: 5s}], "
         "failback: 10s, failback_outage: 4s}}\n",
         RECOVERED, 1, 0, 5 * SEC, 5 * SEC, 2500 * MS},
        /* nobody is told during maintenance, and then it still fires */
        {BEGIN SHOP THREE
         "script: [{at: 4500ms, kill: a}]\nmaintenance: [{service: shop, from: 1s, for: "
         "19s}]\nmodel: {shop: {restore: [{fix: {constant: 2s, at: detection}}]}}\n",
         RECOVERED, 1, 0, 17500 * MS, 17500 * MS, 15500 * MS},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect(&cases[i]);
}

#define MODEL(text) "model: {shop: {" text "}}\n"

static void what_units_are_good_for(void **state)
{
    static const struct expected cases[] = {
        /* active-passive: down until the other has taken over and is warm */
        {BEGIN SHOP THREE
         "script: [{at: 4500ms, kill: a}]\n" MODEL("redundancy: {of: [a, b], mode: active-passive, "
                                                   "warm_up: 3s}, restore: [{failover: 5s}]"),
         RECOVERED, 1, 0, 8 * SEC, 8 * SEC, 2500 * MS},
        /* the standby is not needed */
        {BEGIN SHOP THREE "script: [{at: 4500ms, kill: b}]\n" MODEL(
             "redundancy: {of: [a, b], mode: active-passive}, restore: [{failover: 5s}]"),
         UNHURT, 0, 0, NSEC_UNSET, 0, NSEC_UNSET},
        /* unless it is gone when it is wanted: then whoever comes back first */
        {BEGIN SHOP THREE "script: [{at: 1s, for: 30s, kill: b}, {at: 4500ms, kill: a}]\n" MODEL(
             "redundancy: {of: [a, b], mode: active-passive}, restore: [{failover: 5s}]"),
         HEALED, 1, 0, NSEC_INF, 26500 * MS, 2500 * MS},
        /* no second switch soon after the first */
        {BEGIN SHOP THREE "script: [{at: 4500ms, kill: a}, {at: 12500ms, kill: b}]\n" MODEL(
             "redundancy: {of: [a, b, c], mode: active-passive}, hold_down: 30s, "
             "restore: [{failover: 5s}]"),
         RECOVERED, 1, 0, 35 * SEC, 32 * SEC, 2500 * MS},
        /* cut from the other, and from who asks: the other takes over */
        {BEGIN SHOP THREE "script: [{at: 4500ms, partition: {isolate: [a]}}]\n" MODEL(
             "redundancy: {of: [a, b], mode: active-passive}, restore: [{failover: 5s}]"),
         RECOVERED, 1, 0, 5 * SEC, 5 * SEC, 2800 * MS},
        /* cut from who asks alone: nobody sees a reason */
        {BEGIN SHOP THREE
         "script: [{at: 4500ms, for: 20s, partition: {cut: [[a], [client]]}}]\n" MODEL(
             "redundancy: {of: [a, b], mode: active-passive}, restore: [{failover: 5s}]"),
         HEALED, 1, 0, NSEC_INF, 20 * SEC, 2800 * MS},
        /* active-active: all of them fail their share, until taken out */
        {BEGIN SHOP THREE "script: [{at: 4500ms, kill: {host: {any: 3, of: [a, b, c]}}}]\n" MODEL(
             "redundancy: {of: [a, b, c], mode: active-active, need: 1, takeout: 2s}"),
         NEVER_BACK, 1, 0, NSEC_INF, NSEC_INF, 2500 * MS},
        /* all in one zone */
        {BEGIN SHOP THREE
         "components: {zone: {}, a: {in: zone}, b: {in: zone}}\n"
         "script: [{at: 4500ms, for: 9s, outage: {component: zone}}]\n" MODEL(
             "redundancy: {of: [a, b], mode: active-passive}, restore: [{failover: 5s}]"),
         HEALED, 1, 0, NSEC_INF, 9 * SEC, 2800 * MS},
        /* a quorum that lost its leader elects another */
        {BEGIN SHOP THREE
         "script: [{at: 4500ms, kill: {host: {leader: \"true\", of: [a, b, c]}}}]\n" MODEL(
             "redundancy: {of: [a, b, c], mode: quorum}, restore: [{election: 6s}]"),
         RECOVERED, 1, 0, 6 * SEC, 6 * SEC, 2500 * MS},
        /* and without a majority waits until there is one */
        {BEGIN SHOP THREE
         "script: [{at: 4500ms, for: 40s, kill: {host: {any: 2, of: [a, b, c]}}}]\n" MODEL(
             "redundancy: {of: [a, b, c], mode: quorum}, restore: [{election: 6s}]"),
         HEALED, 1, 0, NSEC_INF, 40 * SEC, 2500 * MS},
        /* isolated, it counts no more, but still answers nobody */
        {BEGIN SHOP THREE
         "script: [{at: 4500ms, partition: {isolate: [{leader: \"true\", of: [a, b, "
         "c]}]}}]\n" MODEL("redundancy: {of: [a, b, c], mode: quorum}, restore: [{election: 6s}]"),
         RECOVERED, 1, 0, 6 * SEC, 6 * SEC, 2800 * MS},
        /* slower than whoever asks waits */
        {BEGIN SHOP THREE "script: [{at: 4500ms, for: 9s, network: {host: a, delay: 400ms}}]\n",
         HEALED, 1, 0, NSEC_INF, 9 * SEC, 2800 * MS},
        /* slow, but in time */
        {BEGIN SHOP THREE "script: [{at: 4500ms, for: 9s, network: {host: a, delay: 200ms}}]\n",
         UNHURT, 0, 0, NSEC_UNSET, 0, NSEC_UNSET},
        /* all packets lost */
        {BEGIN SHOP THREE "script: [{at: 4500ms, for: 9s, network: {host: a, loss: 100%}}]\n",
         HEALED, 1, 0, NSEC_INF, 9 * SEC, 2800 * MS},
        /* both ends of one cable */
        {BEGIN SHOP THREE "script: [{at: 4500ms, for: 9s, link: {host: client, down: true}}]\n",
         HEALED, 1, 0, NSEC_INF, 9 * SEC, 2800 * MS},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect(&cases[i]);
}

/* For nine seconds; refusals are known at once, silence after 300 ms. */
#define NINE(fault, ttd)                                                                           \
    {                                                                                              \
        BEGIN SHOP THREE "script: [{at: 4500ms, for: 9s, " fault "}]\n", HEALED, 1, 0, NSEC_INF,   \
            9 * SEC, ttd                                                                           \
    }

static void what_each_fault_means(void **state)
{
    static const struct expected cases[] = {
        NINE("kill: {host: a, signal: TERM}", 2500 * MS),
        NINE("stop: {host: a}", 2800 * MS),
        NINE("freeze: {host: a}", 2800 * MS),
        NINE("node-kill: a", 2800 * MS),
        NINE("http: {host: a, port: 80, status: 503}", 2500 * MS),
        NINE("http: {host: a, port: 80, delay: 1s}", 2800 * MS),
        NINE("tls: {host: a, port: 443, certificate: expired}", 2500 * MS),
        NINE("dns: {host: client, nxdomain: true}", 2500 * MS),
        NINE("dns: {host: client, drop: true}", 2800 * MS),
        NINE("address: {host: a, address: 10.0.0.1}", 2800 * MS),
        NINE("route: {host: a, to: default}", 2800 * MS),
        NINE("route: {host: a, to: 10.0.0.9}", 2800 * MS),
        NINE("link: {host: a, down: true}", 2800 * MS),
        NINE("partition: {grudge: {client: [a]}}", 2800 * MS),
        NINE("partition: {random-halves: [a, client], kind: reject}", 2500 * MS),
        NINE("partition: {cut: [[client], [a]], direction: forward}", 2800 * MS),
        NINE("network: {host: a, to: [client], direction: both, delay: 200ms}", 2800 * MS),
        NINE("network: {host: a, corrupt: 100%}", 2800 * MS),
        NINE("outage: {component: a}", 2800 * MS),
        NINE("outage: {service: shop, answers: errors}", 2500 * MS),
        NINE("outage: {service: shop, slow: 1s}", 2800 * MS),
        {BEGIN SHOP THREE "script: [{at: 4500ms, sockets: {host: a}}]\n", UNHURT, 0, 0, NSEC_UNSET,
         0, NSEC_UNSET},
        {BEGIN SHOP THREE
         "script: [{at: 4500ms, for: 9s, network: {host: a, to: [b], delay: 1s}}]\n",
         UNHURT, 0, 0, NSEC_UNSET, 0, NSEC_UNSET},
        {BEGIN SHOP THREE "script: [{at: 4500ms, for: 9s, network: {host: a, duplicate: 50%}}]\n",
         UNHURT, 0, 0, NSEC_UNSET, 0, NSEC_UNSET},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect(&cases[i]);
}

#define NEEDING(need)                                                                              \
    "services: {shop: {detect_within: {within: 20s, by: [own]}, needs: [" need                     \
    "]}, x: {}, y: {}, z: {}}\n"

static void what_is_needed(void **state)
{
    static const struct expected cases[] = {
        {BEGIN NEEDING("x") THREE "script: [{at: 4500ms, for: 9s, outage: {service: x}}]\n", HEALED,
         1, 0, NSEC_INF, 9 * SEC, 2800 * MS},
        {BEGIN NEEDING("{service: x, kind: soft}") THREE
         "script: [{at: 4500ms, for: 9s, outage: {service: x}}]\n",
         UNHURT, 0, 0, NSEC_UNSET, 0, NSEC_UNSET},
        {BEGIN NEEDING("{any: 2, of: [x, y, z]}") THREE
         "script: [{at: 4500ms, for: 9s, outage: {service: x}}]\n",
         UNHURT, 0, 0, NSEC_UNSET, 0, NSEC_UNSET},
        {BEGIN NEEDING("{any: 2, of: [x, y, z]}") THREE
         "script: [{at: 4500ms, for: 9s, outage: {service: x}}, {at: 6500ms, for: 5s, outage: "
         "{service: "
         "z}}]\n",
         HEALED, 1, 0, NSEC_INF, 5 * SEC, 2800 * MS},
        /* what it needs comes back by its own response, whatever the one in front does */
        {BEGIN NEEDING("x") THREE
         "script: [{at: 4500ms, outage: {service: x}}]\n"
         "model: {x: {restore: [{fix: 12s}]}, shop: {restore: [{fix: 1s}]}}\n",
         RECOVERED, 1, 0, 12 * SEC, 12 * SEC, 2800 * MS},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect(&cases[i]);
}

static void refused(const char *text, const char *says)
{
    struct scenario *s = load(text);
    struct system *sys = NULL;
    struct err err = ERR_INIT;
    assert_int_not_equal(system_new(s, &sys, &err), 0);
    if (!strstr(err.text, says))
        fail_msg("'%s' does not say '%s'", err.text, says);
    scenario_free(s);
}

static void what_is_not_known_is_refused(void **state)
{
    refused(BEGIN SHOP THREE
            "script: [{at: 5s, for: 9s, pressure: {host: a, cpu: {workers: 1}}}]\n",
            "does not know what 'pressure' does");
    refused(BEGIN SHOP THREE "script: [{at: 5s, kill: {host: a, signal: HUP}}]\n", "SIGHUP");
    refused(BEGIN SHOP THREE "script: [{at: 5s, kill: c}]\n", "no service is known to run");
    refused(BEGIN SHOP THREE "script: [{at: 5s, restart: {host: a}}]\n",
            "how long a takes to come back");
    refused(BEGIN SHOP THREE "script: [{when: {alarm: three}, kill: a}]\n", "give it an `at`");
    refused(BEGIN SHOP THREE
            "script: [{at: 5s, kill: a}]\n" MODEL("redundancy: {of: [a, b, c], mode: quorum}"),
            "how long an election takes");
    refused(BEGIN "services: {shop: {}}\nscript: [{at: 5s, kill: a}]\n" MODEL(
                "restore: [{fix: {constant: 3s, at: detection}}]"),
            "begins with an alarm");
}

static void what_is_otherwise_changes_its_own_numbers_alone(void **state)
{
    struct bench r =
        bench_of(FAILOVER "model: {shop: {restore: [{page: {lognormal: {median: 3s, p95: 9s}, at: "
                          "detection}}, {fix: {exponential: 7s}}]}}\n");
    const struct quantity *q;
    size_t n = system_quantities(r.sys, &q), page = n, fix = n;
    unsigned char kind[32] = {0};
    struct whatif w = {.other_seed = 99, .kind = kind};
    struct outcome as_is, other, none;
    nsec path[32];
    struct err err = ERR_INIT;
    assert_true(n <= 32);
    for (size_t i = 0; i < n; i++) {
        page = strcmp(q[i].name, "stage:shop/page") == 0 ? i : page;
        fix = strcmp(q[i].name, "stage:shop/fix") == 0 ? i : fix;
    }
    assert_true(page < n && fix < n);
    for (uint64_t k = 1; k <= 200; k++) {
        as_is = run(&r, 1, k);
        trial_path(r.t, 0, path);
        assert_int_equal(path[page] + path[fix] + as_is.ttd, as_is.ttr);
        nsec of_page = path[page], of_fix = path[fix];
        kind[page] = WHATIF_NO_TIME;
        assert_int_equal(trial_run(r.t, 1, k, &w, NULL, NULL, &none, &err), 0);
        assert_int_equal(none.ttr, as_is.ttr - of_page);
        kind[page] = WHATIF_OTHER;
        assert_int_equal(trial_run(r.t, 1, k, &w, NULL, NULL, &other, &err), 0);
        trial_path(r.t, 0, path);
        assert_int_equal(path[fix], of_fix);
        assert_int_not_equal(path[page], of_page);
        assert_int_equal(other.ttd, as_is.ttd);
        kind[page] = WHATIF_AS_IS;
    }
    bench_done(&r);
}

/* How much of the first service's time to restore passed in that quantity. */
static nsec passed_in(struct bench *r, const char *quantity)
{
    const struct quantity *q;
    nsec path[32];
    size_t n = system_quantities(r->sys, &q);
    assert_true(n <= 32);
    trial_path(r->t, 0, path);
    for (size_t i = 0; i < n; i++)
        if (strcmp(q[i].name, quantity) == 0)
            return path[i];
    fail_msg("no quantity is called %s", quantity);
    return 0;
}

#define BOTH_OUT                                                                                   \
    "script: [{at: 4500ms, outage: {service: x}}, {at: 4500ms, outage: {service: y}}]\n"           \
    "model: {x: {restore: [{fix: 12s}]}, y: {restore: [{fix: 7s}]}}\n"

/* Its path is that of what came back last of what it needs; of any so many that of who made them enough. */
static void whoever_waits_for_others_passes_time_in_their_stages(void **state)
{
    struct bench r = bench_of(BEGIN NEEDING("x, y") THREE
                              "script: [{at: 4500ms, outage: {service: x}}, "
                              "{at: 4500ms, outage: {service: y}}]\n"
                              "model: {x: {restore: [{fix: 12s}, {look: 3s}]}, "
                              "y: {restore: [{fix: 7s}]}, shop: {restore: [{fix: 1s}]}}\n");
    assert_int_equal(run(&r, 1, 1).ttr, 15 * SEC);
    assert_int_equal(passed_in(&r, "stage:x/fix"), 12 * SEC);
    assert_int_equal(passed_in(&r, "stage:x/look"), 3 * SEC);
    assert_int_equal(passed_in(&r, "stage:y/fix"), 0);
    assert_int_equal(passed_in(&r, "stage:shop/fix"), 0);
    bench_done(&r);
    for (int enough = 1; enough <= 2; enough++) {
        r = bench_of(enough == 1 ? BEGIN NEEDING("{any: 1, of: [x, y]}") THREE BOTH_OUT
                                 : BEGIN NEEDING("{any: 2, of: [x, y]}") THREE BOTH_OUT);
        assert_int_equal(run(&r, 1, 1).ttr, enough == 1 ? 7 * SEC : 12 * SEC);
        assert_int_equal(passed_in(&r, "stage:y/fix"), enough == 1 ? 7 * SEC : 0);
        assert_int_equal(passed_in(&r, "stage:x/fix"), enough == 1 ? 0 : 12 * SEC);
        bench_done(&r);
    }
}

/* The scenario's only service and its probe, n times; each but the first needs an earlier one. */
static void multiply(struct scenario *s, size_t n)
{
    const struct service *service = s->services.items[0];
    const struct probe *probe = s->probes.items[0];
    s->services = (struct objects){arena_alloc(s->arena, n * sizeof(void *)), n};
    s->probes = (struct objects){arena_alloc(s->arena, n * sizeof(void *)), n};
    for (size_t i = 0; i < n; i++) {
        struct service *one = arena_alloc(s->arena, sizeof *one);
        struct probe *eye = arena_alloc(s->arena, sizeof *eye);
        struct need *need = arena_alloc(s->arena, sizeof *need);
        *one = *service;
        one->name = arena_printf(s->arena, "s%zu", i);
        *eye = *probe;
        eye->name = arena_printf(s->arena, "p%zu", i);
        eye->service = one->name;
        need->service = arena_printf(s->arena, "s%zu", i / 4);
        one->needs = (struct objects){arena_alloc(s->arena, sizeof(void *)), i > 0};
        one->needs.items[0] = need;
        s->services.items[i] = one;
        s->probes.items[i] = eye;
    }
}

static void ten_thousand_services_go_down_with_the_first_and_come_back(void **state)
{
    const size_t n = 10000;
    struct bench r = {
        .s = load(BEGIN "services: {shop: {}}\nscript: [{at: 5s, for: 9s, kill: a}]\n")};
    struct err err = ERR_INIT;
    multiply(r.s, n);
    if (system_new(r.s, &r.sys, &err) < 0)
        fail_msg("%s", err.text);
    r.t = trial_new(r.sys);
    struct outcome *o = calloc(n, sizeof *o);
    assert_non_null(o);
    assert_int_equal(trial_run(r.t, 1, 1, NULL, NULL, NULL, o, &err), 0);
    for (size_t i = 0; i < n; i++)
        assert_true(o[i].kind == OUTCOME_IS_RESTORED && o[i].down == 9 * SEC);
    free(o);
    bench_done(&r);
}

/* The same on every machine and by every compiler: what 2,000 trials of something of everything came to. */
static void trials_are_the_same_everywhere(void **state)
{
    struct bench r = bench_of(
        BEGIN
        "services: {shop: {detect_within: {within: 20s, by: [own, page]}, needs: [x]}, x: {}}\n"
        "alarms: {three: {threshold: {probe: page, consecutive: 3}}, "
        "call: {service: shop, role: page, assumed: {delay: {gamma: {mean: 20s, shape: 2}}, "
        "false_per_day: 20}}}\n"
        "components: {a: {repair: {weibull: {scale: 60s, shape: 1.5}}}}\n"
        "script: [{at: 4500ms, outage: {component: a, share: 100%}}, {at: 20s, for: 40s, "
        "outage: {service: x, share: 30%}}, {at: 3s, for: 9s, network: {host: b, loss: 20%, delay: "
        "9ms}}]\n"
        "model: {shop: {redundancy: {of: [a, b, c], mode: active-active, need: 2, takeout: "
        "{exponential: 4s}}, load: 80%, retries: 2, restore: [{page: {lognormal: {median: 9s, p95: "
        "40s}, at: detection}}, {fix: {pert: [1s, 5s, 30s]}}]}, x: {restore: [{mend: {normal: "
        "{mean: "
        "20s, sd: 4s}, works: 80%}}]}}\n");
    struct outcome o[2];
    struct err err = ERR_INIT;
    uint64_t digest = 1469598103934665603u;
    for (uint64_t n = 1; n <= 2000; n++) {
        assert_int_equal(trial_run(r.t, 7, n, NULL, NULL, NULL, o, &err), 0);
        for (size_t i = 0; i < 2; i++) {
            for (size_t k = 0; k < OUTCOME_TIMES; k++)
                digest =
                    (digest ^ (uint64_t)outcome_time(&o[i], (enum outcome_time)k)) * 1099511628211u;
            digest = (digest ^ (o[i].kind + 8u * o[i].by + 64u * o[i].episodes +
                                4096u * o[i].blips + 65536u * o[i].false_alarms)) *
                     1099511628211u;
        }
    }
    bench_done(&r);
    assert_int_equal(digest, DIGEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(detection_by_a_threshold_and_a_response_that_waits_for_it),
        cmocka_unit_test(a_gray_failure_is_noticed_when_the_known_answer_says),
        cmocka_unit_test(the_table_of_edge_cases),
        cmocka_unit_test(what_units_are_good_for),
        cmocka_unit_test(what_each_fault_means),
        cmocka_unit_test(what_is_needed),
        cmocka_unit_test(what_is_not_known_is_refused),
        cmocka_unit_test(what_is_otherwise_changes_its_own_numbers_alone),
        cmocka_unit_test(whoever_waits_for_others_passes_time_in_their_stages),
        cmocka_unit_test(ten_thousand_services_go_down_with_the_first_and_come_back),
        cmocka_unit_test(trials_are_the_same_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
