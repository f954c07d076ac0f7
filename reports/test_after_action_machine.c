/* A functional exercise, its record written by hand: machine and people stand on one clock, in the order in
 * which things happened, and the machine's verdicts are those that a drill would have. */
#include "reports/test_after_action_kit.h"

#include "sim/base/jsonx.h"

static const char yaml[] =
    "blackstart: 1\n"
    "name: functional\n"
    "title: The balancer dies, and people hear of it\n"
    "why: Machine and people on one clock.\n"
    "services:\n"
    "  checkout: {tier: 1, owner: payments, rto: 5s, detect_within: {within: 3s, by: "
    "[automation]}}\n"
    "networks:\n"
    "  front: {subnet: 10.20.0.0/24}\n"
    "hosts:\n"
    "  client: {lab: {address: 10.20.0.9}}\n"
    "  lb1: {lab: {address: 10.20.0.11}}\n"
    "probes:\n"
    "  page: {service: checkout, host: client, tcp: \"10.20.0.11:80\", every: 500ms, timeout: "
    "400ms,\n"
    "         down_after: 2, up_after: 2, stable: 1s}\n"
    "alarms:\n"
    "  takeover: {service: checkout, role: automation, log: {host: lb1, file: /tmp/x, match: M}}\n"
    "roles:\n"
    "  commander: {title: Incident commander, people: [alice]}\n"
    "  facilitator: {kind: facilitator, people: [frank]}\n"
    "  evaluator: {kind: evaluator, people: [eve]}\n"
    "objectives:\n"
    "  - {id: command, text: One person commands, capability: Incident command}\n"
    "  - {id: back, text: Checkout is back in time, capability: Recovery,\n"
    "     target: {service: checkout, promise: rto}}\n"
    "script:\n"
    "  - {id: first, at: 5s, tell: {to: commander, message: Customers cannot pay., number: "
    "\"1\"}}\n"
    "  - {id: lose-lb1, at: 10s, node-kill: {host: lb1}}\n"
    "  - {id: wait, at: 20s, decide: {who: commander, question: Do we wait?, options: [wait, "
    "move],\n"
    "     within: 20s}}\n"
    "horizon: 2m\n";

static int setup(void **state)
{
    *state = played_new(yaml, 1);
    return 0;
}

static int teardown(void **state)
{
    played_free(*state);
    return 0;
}

/* At so many milliseconds; %lld in the members stand for instants that are given in ms, too. */
static void line(struct played *p, const char *kind, int ms, const char *members)
{
    AUTO_BUF whole = BUF_INIT;
    for (const char *at = members; *at;) {
        if (*at != '@') {
            buf_addc(&whole, *at++);
            continue;
        }
        char *end = NULL;
        buf_printf(&whole, "%lld", strtol(at + 1, &end, 10) * 1000000LL);
        at = end;
    }
    (void)played_line(p, kind, ms * NSEC_MSEC, buf_text(&whole));
}

/* Probes each half second; those that begin in [from, to) ms fail. */
static void probes(struct played *p, int from, int to, int down, int up)
{
    for (int at = from; at < to; at += 500) {
        bool ok = at < down || at >= up;
        AUTO_BUF members = BUF_INIT;
        buf_printf(
            &members,
            "{\"trial\":1,\"probe\":\"page\",\"n\":%d,\"sched\":@%d,\"start\":@%d,\"end\":@%d,"
            "\"ok\":%s%s}",
            at / 500, at, at, at + 2, ok ? "true" : "false", ok ? "" : ",\"why\":\"refused\"");
        line(p, "probe", at + 2, buf_text(&members));
    }
}

static void begin(struct played *p, const char *more)
{
    AUTO_BUF start = BUF_INIT;
    buf_printf(&start,
               "{\"record\":1,\"blackstart\":\"0.1.0\",\"id\":\"abc\",\"mode\":\"functional\","
               "\"scenario\":{\"name\":\"functional\"},\"attempt\":{\"n\":1,\"earlier\":[]},"
               "\"seed\":\"1\",\"trials\":1,\"operator\":\"frank\",\"clock\":\"CLOCK_MONOTONIC\","
               "\"wall\":\"2026-12-04T10:00:00.000Z\",\"speed\":1%s}",
               more);
    line(p, "run-start", 0, buf_text(&start));
    line(p, "join", 0, "{\"person\":\"alice\",\"role\":\"commander\",\"event\":\"join\"}");
    line(p, "state", 0, "{\"trial\":1,\"state\":\"build\"}");
    line(p, "state", 0, "{\"trial\":1,\"state\":\"settle\"}");
    line(p, "trial-start", 0, "{\"trial\":1,\"phases\":{\"page\":0},\"attempt\":1}");
    line(p, "state", 0, "{\"trial\":1,\"state\":\"arm\"}");
    line(p, "state", 0, "{\"trial\":1,\"state\":\"inject\",\"zero\":0}");
    line(p, "pace", 0, "{\"event\":\"go\",\"by\":\"frank\",\"role\":\"facilitator\"}");
}

/* Down from 10.5 s until `up` ms. */
static void machine(struct played *p, int up)
{
    probes(p, 500, 5000, 10200, up);
    line(p, "deliver", 5003,
         "{\"step\":\"first\",\"number\":\"1\",\"to\":[\"commander\"],\"text\":\"Customers cannot "
         "pay.\",\"what\":\"inject\",\"due\":@5000}");
    probes(p, 5500, 10000, 10200, up);
    line(
        p, "inject", 10100,
        "{\"trial\":1,\"step\":\"lose-lb1\",\"action\":\"node-kill\",\"targets\":[\"lb1\"],\"at\":["
        "@10000,@10100],\"ok\":true,\"changes\":[\"kill lb1\"]}");
    line(p, "verify", 10150,
         "{\"trial\":1,\"step\":\"lose-lb1\",\"ok\":true,\"asked\":\"lb1 is dead\",\"seen\":\"it "
         "is\",\"how\":\"pidfd\",\"at\":[@10100,@10150]}");
    probes(p, 10500, 11500, 10200, up);
    line(p, "alarm", 11500,
         "{\"trial\":1,\"alarm\":\"takeover\",\"event\":\"onset\",\"at\":[@11400,@11500]}");
    probes(p, 11500, 20000, 10200, up);
}

static void people(struct played *p)
{
    line(p, "question", 20001,
         "{\"step\":\"wait\",\"who\":\"commander\",\"question\":\"Do we "
         "wait?\",\"options\":[\"wait\",\"move\"],\"deadline\":@40000}");
    line(p, "mark", 25000,
         "{\"mark\":\"acknowledged\",\"at\":[@25000,@25000],\"by\":\"alice\",\"role\":"
         "\"commander\"}");
    line(p, "mark", 28000,
         "{\"mark\":\"declared\",\"at\":[@28000,@28000],\"by\":\"alice\",\"role\":\"commander\"}");
    line(
        p, "decision", 32000,
        "{\"step\":\"wait\",\"option\":\"wait\",\"by\":\"alice\",\"role\":\"commander\",\"asked\":@"
        "20000,\"informed\":[]}");
    line(p, "rating", 33000,
         "{\"objective\":\"command\",\"rating\":\"P\",\"by\":\"eve\",\"role\":\"evaluator\"}");
    line(p, "rating", 34000,
         "{\"objective\":\"back\",\"rating\":\"P\",\"by\":\"eve\",\"role\":\"evaluator\"}");
}

static void end(struct played *p, bool clean)
{
    probes(p, 35000, 40000, 0, 0);
    line(p, "pace", 40000, "{\"event\":\"debrief\"}");
    line(p, "state", 40100, "{\"trial\":1,\"state\":\"undo\"}");
    line(p, "undo", 40200,
         "{\"trial\":1,\"step\":\"lose-lb1\",\"cause\":\"end\",\"at\":[@40100,@40200],\"ok\":true,"
         "\"changes\":[]}");
    line(p, "clean", 40300,
         clean ? "{\"trial\":1,\"clean\":true,\"checked\":[],\"left\":[],\"others\":[]}"
               : "{\"trial\":1,\"clean\":false,\"checked\":[],\"left\":[\"x\"],\"others\":[]}");
    line(p, "trial-end", 40300, "{\"trial\":1,\"outcome\":\"completed\"}");
    line(p, "run-end", 41000,
         "{\"status\":\"completed\",\"wall\":\"2026-12-04T10:01:00.000Z\",\"by\":\"runner\"}");
}

static double second(const struct played *p, const char *key)
{
    const json_t *j = json_object_get(json_object_get(p->result, "from_fault"), key);
    return json_is_array(j) ? json_number_value(json_array_get(j, 1)) : json_number_value(j);
}

/* --- Tests --- */

static void machine_and_people_stand_on_one_clock(void **state)
{
    struct played *p = *state;
    begin(p, "");
    machine(p, 13000);
    people(p);
    end(p, true);
    played_report(p);
    assert_float_equal(second(p, "noticed_s"), 15, 1e-6);
    assert_float_equal(second(p, "declared_s"), 18, 1e-6);
    assert_float_equal(second(p, "decided_s"), 22, 1e-6);
    assert_true(json_is_null(json_object_get(json_object_get(p->result, "from_fault"), "acted_s")));
    assert_float_equal(second(p, "restored_s"), 3.002, 1e-6);
    played_has(p->md, "**FUNCTIONAL EXERCISE**, met. From the fault: checkout was restored after ");
    played_has(p->md,
               "; people noticed after 15 s, declared after 18 s, decided after 22 s, nobody "
               "acted.");
    played_has(p->html, "<span class=\"badge functional\">FUNCTIONAL EXERCISE</span>");
    assert_int_equal(p->out.exit_code, 0);
    played_has(p->md, "| 0:00:25 | people: noticed first: acknowledged, by alice |");
    played_has(p->md, "people: nobody acted |");
}

/* In the order of time, whoever did it. */
static void the_table_mixes_them(void **state)
{
    struct played *p = *state;
    static const char *const order[] = {
        "| 0:00:05 | 0:00:05 | – | inject 1 to commander: Customers cannot pay. | – | – |",
        "| fault lose-lb1 (node-kill) in force | – | machine |",
        "| checkout failed | – | machine |",
        "| alarm takeover (automation) rang | – | machine |",
        "| checkout was restored | – | machine |",
        "| acknowledged | alice | commander |",
        "| declared | alice | commander |",
        "| decision, Do we wait?: wait | alice | commander |",
        "| fault lose-lb1 ended (end) | – | machine |",
    };
    begin(p, "");
    machine(p, 13000);
    people(p);
    end(p, true);
    played_report(p);
    const char *at = strstr(p->md, "## Timeline");
    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        assert_non_null(at);
        played_has(at, order[i]);
        at = strstr(at, order[i]);
    }
}

static void the_drawing_has_a_lane_for_each(void **state)
{
    struct played *p = *state;
    begin(p, "");
    machine(p, 13000);
    people(p);
    end(p, true);
    played_report(p);
    const char *svg = strstr(p->html, "<svg class=\"lanes\"");
    assert_non_null(svg);
    static const char *const lanes[] = {">faults in force</text>", ">checkout</text>",
                                        ">alarms</text>", ">Incident commander</text>"};
    for (size_t i = 0; i < ARRAY_SIZE(lanes); i++)
        played_has(svg, lanes[i]);
    assert_null(strstr(svg, ">commands</text>")); /* nobody gave one */
    played_has(svg, "<title>0:00:10 lose-lb1: node-kill in force</title>");
    played_has(svg, "<title>0:00:32 decision, Do we wait?: wait</title>");
}

/* A promise that the machine broke is broken, however well people are rated. */
static void the_machine_judges_its_promises(void **state)
{
    struct played *p = *state;
    begin(p, "");
    machine(p, 18000);
    people(p);
    end(p, true);
    played_report(p);
    const json_t *all = json_object_get(p->result, "objectives");
    assert_string_equal(jsonx_str(json_array_get(all, 0), "verdict", ""), "met");
    assert_string_equal(jsonx_str(json_array_get(all, 1), "verdict", ""), "not_met");
    assert_string_equal(p->out.verdict, "not_met");
    assert_int_equal(p->out.exit_code, 1);
    played_has(p->junit, "classname=\"functional.checkout\" name=\"restored within 5 s\"");
    assert_non_null(p->metrics);
}

/* What answers played has no verdict; what the machine did has one. */
static void answers_leave_the_machines_verdict(void **state)
{
    struct played *p = *state;
    begin(p, ",\"answers\":\"answers.yaml\"");
    machine(p, 13000);
    people(p);
    end(p, true);
    played_report(p);
    assert_string_equal(p->out.verdict, "met");
    assert_int_equal(p->out.exit_code, 0);
    assert_string_equal(
        jsonx_str(json_array_get(json_object_get(p->result, "objectives"), 0), "verdict", ""),
        "not_applicable");
    played_has(p->md, "by answers instead of people: they have no verdict");
    played_has(p->html, "FUNCTIONAL EXERCISE");
}

static void what_is_left_behind_comes_first(void **state)
{
    struct played *p = *state;
    begin(p, "");
    machine(p, 13000);
    people(p);
    end(p, false);
    played_report(p);
    assert_int_equal(p->out.exit_code, 6);
    played_has(p->junit, "errors=\"1\"");
}

/* Ended before any fault: nothing to restore, nothing to draw of machines. */
static void without_a_fault_nothing_is_claimed(void **state)
{
    struct played *p = *state;
    begin(p, "");
    line(p, "run-end", 3000, "{\"status\":\"aborted\",\"reason\":\"by the operator\"}");
    played_report(p);
    assert_int_equal(p->out.exit_code, 5);
    assert_true(json_is_null(json_object_get(p->result, "from_fault")));
    played_has(p->md, "No fault was injected");
}

/* Held for 10 s: machines go on, people's clock stands. */
static void a_hold_stops_peoples_clock_alone(void **state)
{
    struct played *p = *state;
    begin(p, "");
    machine(p, 13000);
    line(p, "pace", 20000, "{\"event\":\"hold\",\"by\":\"frank\",\"role\":\"facilitator\"}");
    p->lag = 10 * NSEC_SEC;
    line(p, "pace", 30000, "{\"event\":\"go\",\"by\":\"frank\",\"role\":\"facilitator\"}");
    line(p, "mark", 33000,
         "{\"mark\":\"declared\",\"at\":[@33000,@33000],\"by\":\"alice\",\"role\":\"commander\"}");
    end(p, true);
    played_report(p);
    assert_float_equal(second(p, "declared_s"), 23, 1e-6);
    played_has(p->md, "| 0:00:23 | people: declared: declared, by alice |");
    played_has(p->html, "<title>held</title>");
    played_has(p->md, "| 0:00:30 | 0:00:40 | 30 s | fault lose-lb1 ended (end) | – | machine |");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(machine_and_people_stand_on_one_clock), T(the_table_mixes_them),
        T(the_drawing_has_a_lane_for_each),       T(the_machine_judges_its_promises),
        T(answers_leave_the_machines_verdict),    T(what_is_left_behind_comes_first),
        T(without_a_fault_nothing_is_claimed),    T(a_hold_stops_peoples_clock_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
