/* The language: YAML to tree, tree to model, and every way of saying what is wrong. */
#include "tests/support/test.h"

#include "scenarios/scenario.h"
#include "scenarios/tree.h"

#include <errno.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scenario_becomes_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
