/* The language: YAML to tree, tree to model, and every way of saying what is wrong. */
#include "tests/support/test.h"

#include "scenarios/scenario.h"
#include "scenarios/tree.h"

#include <errno.h>
#include <fcntl.h>

static const char scenario_text[] =
    "blackstart: 1\n"
    "name: vip-failover\n"
    "title: The active load balancer dies\n"
    "tags: [soc2:A1.3, dora:25]\n"
    "vars: {rto: 10s}\n"
    "services:\n"
    "  checkout:\n"
    "    tier: 1\n"
    "    owner: payments\n"
    "    rto: ${rto}\n"
    "    rpo: 0s\n"
    "    detect_within: {within: 3s, by: [automation, log]}\n"
    "    needs: [database, {service: fraud-check, kind: soft}]\n"
    "    down_when: {at_least: 1}\n"
    "  database: {tier: 1}\n"
    "  fraud-check: {tier: 2}\n"
    "networks:\n"
    "  front: {subnet: 10.20.0.0/24}\n"
    "hosts:\n"
    "  client: {lab: {address: 10.20.0.9}}\n"
    "  lb1: {lab: {address: 10.20.0.11}, start: [\"nginx -p .\"], ready: {tcp: 80}}\n"
    "  lb2: {lab: {address: 10.20.0.12}, env: {LANG: C, TOKEN: {env: API}}}\n"
    "probes:\n"
    "  page: {service: checkout, host: client, tcp: 10.20.0.11:80, every: 100ms, timeout: 500ms}\n"
    "  bystander: {control: true, host: client, tcp: 10.20.0.12:80, every: 2s}\n"
    "alarms:\n"
    "  log: {service: checkout, role: automation, log: {host: lb2, match: MASTER}}\n"
    "  counted: {threshold: {probe: page, consecutive: 3}}\n"
    "script:\n"
    "  - {id: lose, at: 5s, kill: {host: lb1}}\n"
    "  - at: 20s\n"
    "    for: 10s\n"
    "    partition: {cut: [[lb2], [client, lb1]]}\n"
    "  - {when: {any: [{alarm: log}, {operator: go}]}, after: 2s, run: {host: lb2, command: a b}}\n"
    "expect: {database: either}\n"
    "trials: 8\n"
    "horizon: 60s\n"
    "stop_if: [{probe: bystander, down_for: 5s}]\n"
    "demonstrate: {reliability: 80%, confidence: 80%}\n";

static struct scenario *load_ok(const char *text)
{
    AUTO_DIAGS diags = DIAGS_INIT;
    struct scenario *s = NULL;
    if (scenario_load_text(text, strlen(text), "t.yaml", NULL, &diags, &s) < 0) {
        AUTO_BUF out = BUF_INIT;
        diags_render(&diags, &out);
        fail_msg("%s", buf_text(&out));
    }
    return s;
}

static void a_scenario_becomes_a_model(void **state)
{
    CLEANUP(scenario_free_p) struct scenario *s = load_ok(scenario_text);
    assert_string_equal(s->name, "vip-failover");
    assert_int_equal(s->tags.n, 2);
    assert_int_equal(s->services.n, 3);
    const struct service *c = scenario_service(s, "checkout");
    assert_int_equal(c->rto, 10 * NSEC_SEC);
    assert_int_equal(c->rpo, 0);
    assert_false(nsec_is_set(c->mtpd));
    assert_int_equal(c->detect->within, 3 * NSEC_SEC);
    assert_int_equal(c->detect->by.n, 2);
    assert_int_equal(c->needs.n, 2);
    assert_int_equal(((struct need *)c->needs.items[1])->kind, 1);
    assert_int_equal(c->expect, EXPECT_AFFECTED);
    assert_int_equal(scenario_service(s, "database")->expect, EXPECT_EITHER);
    const struct host *lb1 = scenario_host(s, "lb1");
    assert_string_equal(lb1->lab->addresses.items[0], "10.20.0.11");
    assert_string_equal(((struct unit *)lb1->start.items[0])->command, "nginx -p .");
    assert_string_equal(lb1->ready->tcp, "80");
    assert_int_equal(lb1->ready->within, 10 * NSEC_SEC);
    const struct host *lb2 = scenario_host(s, "lb2");
    assert_int_equal(lb2->env.items[1].source, PAIR_ENV);
    const struct probe *p = scenario_probe(s, "page");
    assert_int_equal(p->every, 100 * NSEC_MSEC);
    assert_int_equal(p->stable, 2 * NSEC_SEC);
    assert_int_equal(scenario_probe(s, "bystander")->stable, 4 * NSEC_SEC);
    assert_false(nsec_is_set(p->slow_after));
    const struct alarm *own = scenario_alarm(s, "counted");
    assert_int_equal(own->role, ROLE_OWN);
    assert_string_equal(own->service, "checkout");
    assert_int_equal(s->script.n, 3);
    const struct step *step = s->script.items[1];
    assert_string_equal(step->id, "step-2");
    assert_int_equal(step->lasting, 10 * NSEC_SEC);
    assert_true(step->fault);
    step = s->script.items[2];
    assert_false(nsec_is_set(step->at));
    assert_int_equal(step->when->any.n, 2);
    assert_false(step->fault);
    assert_int_equal(s->settle->lasting, 3 * NSEC_SEC);
    assert_int_equal(s->settle->within, 60 * NSEC_SEC);
    assert_int_equal(s->trials, 8);
    assert_string_equal(s->vars.items[0].value, "10s");
}

/* A small scenario; what is in brackets can be changed. */
static char *small(struct arena *arena, const char *service, const char *probe, const char *rest)
{
    return arena_printf(arena,
                        "blackstart: 1\n"
                        "name: small\n"
                        "services: {shop: {%s}}\n"
                        "hosts:\n"
                        "  a: {lab: 10.0.0.2/24}\n"
                        "  b: {lab: 10.0.0.3/24}\n"
                        "probes:\n"
                        "  p: {service: shop, host: a, tcp: 10.0.0.3:80, %s}\n"
                        "%s\n",
                        service, probe, rest);
}

/* "" when it loads without a word. */
static const char *small_said(struct arena *arena, const char *service, const char *probe,
                              const char *rest)
{
    AUTO_DIAGS diags = DIAGS_INIT;
    AUTO_BUF out = BUF_INIT;
    CLEANUP(scenario_free_p) struct scenario *s = NULL;
    const char *text = small(arena, service, probe, rest);
    int r = scenario_load_text(text, strlen(text), "t", NULL, &diags, &s);
    assert_int_equal(r<0, diags.n_errors> 0);
    diags_render(&diags, &out);
    return arena_strdup(arena, buf_text(&out));
}

static void promises_are_taken_up_to_what_probes_can_see(void **state)
{
    static const char fault[] = "script: [{at: 1s, kill: {host: b}}]\nhorizon: 1h";
    static const struct {
        const char *service, *probe, *rest, *said;
    } cases[] = {
        /* resolution: 2 x 100 ms + 1 s */
        {"rto: 2400ms", "every: 100ms", fault, ""},
        {"rto: 2399999999ns", "every: 100ms", fault, "is smaller than twice the resolution"},
        {"max_downtime: 2400ms", "every: 100ms", fault, ""},
        {"max_downtime: 2399ms", "every: 100ms", fault, "is smaller than twice"},
        /* slow_after bounds it instead of timeout */
        {"rto: 1s", "every: 100ms, slow_after: 300ms", fault, ""},
        {"rto: 999ms", "every: 100ms, slow_after: 300ms", fault, "is smaller than twice"},
        {"rto: 1s", "every: 100ms, slow_after: 300ms, down_after: 3", fault, "is smaller"},
        /* target 3 s + stable 2 s + 2 x 100 ms + 1 s after the fault at 1 s */
        {"rto: 3s", "every: 100ms", "script: [{at: 1s, kill: {host: b}}]\nhorizon: 7200ms", ""},
        {"rto: 3s", "every: 100ms", "script: [{at: 1s, kill: {host: b}}]\nhorizon: 7199ms",
         "at least 7.2 s"},
        {"rto: 3s", "every: 100ms, stable: 4s",
         "script: [{at: 1s, kill: {host: b}}]\nhorizon: 9199ms", "at least 9.2 s"},
        /* without a fault nothing needs that long */
        {"rto: 3s", "every: 100ms", "horizon: 1s", ""},
        /* a step ends with the horizon, not after it */
        {"tier: 1", "every: 100ms", "script: [{at: 5s, for: 5s, kill: {host: b}}]\nhorizon: 10s",
         ""},
        {"tier: 1", "every: 100ms",
         "script: [{at: 5s, for: 5001ms, kill: {host: b}}]\nhorizon: 10s", "the horizon is 10 s"},
        {"rto: 4h, mtpd: 4h", "every: 1s", "horizon: 1s", ""},
        {"rto: 4h, mtpd: 3h", "every: 1s", "horizon: 1s", "longer than its mtpd"},
        {"rto: 3s, rto_clock: declaration", "every: 100ms", "horizon: 1s",
         "warning: the rto of shop runs from the mark 'declared'"},
        {"rto: 3s, rto_clock: detection", "every: 100ms", "horizon: 1s",
         "has the role page or monitor"},
        {"down_when: {at_least: 1}", "every: 1s", "horizon: 1s", ""},
        {"tier: 1", "every: 1s, timeout: 2s, slow_after: 1999ms", "horizon: 1s", ""},
        {"tier: 1", "every: 1s, timeout: 2s, slow_after: 2s", "horizon: 1s", "shorter than"},
        {"tier: 1", "every: 1s", "horizon: 1s\nsettle: {for: 5s, within: 5s}", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CLEANUP(arena_free_p) struct arena *arena = arena_new();
        const char *said = small_said(arena, cases[i].service, cases[i].probe, cases[i].rest);
        if (*cases[i].said ? !strstr(said, cases[i].said) : *said)
            fail_msg("%s | %s | %s should say '%s', said: %s", cases[i].service, cases[i].probe,
                     cases[i].rest, cases[i].said, said);
    }
}

/* The fewest trials, against tables of zero-failure and one-failure test plans. */
static void claims_need_their_trials(void **state)
{
    static const struct {
        const char *reliability, *confidence;
        int misses, needed;
    } plans[] = {
        {"80%", "80%", 0, 8},  {"90%", "90%", 0, 22},  {"95%", "95%", 0, 59},
        {"90%", "95%", 0, 29}, {"99%", "95%", 0, 299}, {"99.9%", "95%", 0, 2995},
        {"50%", "50%", 0, 1},  {"80%", "90%", 1, 18},  {"90%", "90%", 1, 38},
        {"95%", "95%", 1, 93}, {"90%", "95%", 2, 61},  {"99%", "99%", 0, 459},
    };
    for (size_t i = 0; i < ARRAY_SIZE(plans); i++)
        for (int less = 0; less < 2; less++) {
            CLEANUP(arena_free_p) struct arena *arena = arena_new();
            int trials = plans[i].needed - less;
            if (!trials)
                continue;
            const char *rest = arena_printf(
                arena,
                "horizon: 1s\ntrials: %d\ndemonstrate: {reliability: %s, confidence: %s, "
                "misses: %d}",
                trials, plans[i].reliability, plans[i].confidence, plans[i].misses);
            const char *said = small_said(arena, "tier: 1", "every: 1s", rest);
            if ((*said != '\0') != less)
                fail_msg("%s at %s, %d misses, %d trials: %s", plans[i].reliability,
                         plans[i].confidence, plans[i].misses, trials, said);
        }
}

static void another_number_of_trials_is_checked_too(void **state)
{
    CLEANUP(scenario_free_p) struct scenario *s = load_ok(scenario_text);
    AUTO_DIAGS diags = DIAGS_INIT;
    AUTO_BUF out = BUF_INIT;
    assert_int_equal(scenario_set_trials(s, 20, &diags), 0);
    assert_int_equal(s->trials, 20);
    assert_int_equal(scenario_set_trials(s, 7, &diags), -EINVAL);
    assert_int_equal(scenario_set_trials(s, 0, &diags), -EINVAL);
    assert_int_equal(scenario_set_trials(s, 100001, &diags), -EINVAL);
    assert_int_equal(s->trials, 20);
    diags_render(&diags, &out);
    assert_non_null(strstr(out.text, "80 % at 80 % confidence needs 8 trials without a miss; 7 can "
                                     "show at most 79.4 %"));
}

static void expectations_follow_from_promises_and_faults(void **state)
{
    static const struct {
        const char *service, *rest;
        enum expectation expect;
    } cases[] = {
        {"rto: 3s", "script: [{at: 1s, kill: {host: b}}]", EXPECT_AFFECTED},
        {"rto: 3s", "", EXPECT_EITHER},
        {"rto: 3s", "script: [{at: 1s, run: {host: b, command: x}}]", EXPECT_EITHER},
        {"tier: 1", "script: [{at: 1s, kill: {host: b}}]", EXPECT_EITHER},
        {"max_downtime: 3s", "script: [{at: 1s, kill: {host: b}}]", EXPECT_EITHER},
        {"rto: 3s", "script: [{at: 1s, kill: {host: b}}]\nexpect: {shop: unaffected}",
         EXPECT_UNAFFECTED},
        {"tier: 1", "script: [{at: 1s, kill: {host: b}}]\nexpect: {shop: affected}",
         EXPECT_AFFECTED},
        {"rto: 3s", "script: [{at: 1s, kill: {host: b}}]\nexpect: {shop: either}", EXPECT_EITHER},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CLEANUP(arena_free_p) struct arena *arena = arena_new();
        const char *rest = arena_printf(arena, "%s\nhorizon: 1h", cases[i].rest);
        CLEANUP(scenario_free_p)
        struct scenario *s = load_ok(small(arena, cases[i].service, "every: 100ms", rest));
        assert_int_equal(scenario_service(s, "shop")->expect, cases[i].expect);
    }
}

static void a_secret_is_looked_up_only_when_it_is_needed(void **state)
{
    AUTO_FREE char *value = NULL;
    char key[] = "TOKEN", plain[] = "plain", name[] = "BLACKSTART_TEST_SECRET";
    struct err err = ERR_INIT;
    struct pair p = {.key = key, .value = plain};
    assert_int_equal(pair_resolve(&p, -1, &value, &err), 0);
    assert_string_equal(value, "plain");
    free(steal_ptr(value));
    p = (struct pair){.key = key, .value = name, .source = PAIR_ENV};
    assert_int_equal(pair_resolve(&p, -1, &value, &err), -ENOENT);
    assert_string_equal(err.text, "the value of 'TOKEN' is the environment variable "
                                  "'BLACKSTART_TEST_SECRET', which is not set");
    assert_null(value);
    assert_int_equal(setenv("BLACKSTART_TEST_SECRET", "s3cret", 1), 0);
    assert_int_equal(pair_resolve(&p, -1, &value, &err), 0);
    assert_string_equal(value, "s3cret");
    free(steal_ptr(value));
    char path[] = "/tmp/blackstart-test-XXXXXX";
    AUTO_CLOSE int fd = mkstemp(path);
    assert_int_equal(write(fd, "from file\n", 10), 10);
    p = (struct pair){.key = key, .value = path, .source = PAIR_FILE};
    assert_int_equal(pair_resolve(&p, AT_FDCWD, &value, &err), 0);
    assert_string_equal(value, "from file");
    unlink(path);
    AUTO_FREE char *none = NULL;
    assert_true(pair_resolve(&p, AT_FDCWD, &none, &err) < 0);
    assert_non_null(strstr(err.text, "the value of 'TOKEN': cannot read"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scenario_becomes_a_model),
        cmocka_unit_test(promises_are_taken_up_to_what_probes_can_see),
        cmocka_unit_test(claims_need_their_trials),
        cmocka_unit_test(another_number_of_trials_is_checked_too),
        cmocka_unit_test(expectations_follow_from_promises_and_faults),
        cmocka_unit_test(a_secret_is_looked_up_only_when_it_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
