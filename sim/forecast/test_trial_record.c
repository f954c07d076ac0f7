/* Random scenarios, seeded: a trial comes to the same whether runs of like answers are passed over or told one by
 * one; and what it tells, measured as a drill's record is, must enclose what truly happened.
 */
#include "tests/support/test.h"

#include "reports/measure.h"
#include "scenarios/scenario.h"
#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/base/rng.h"

/* reports and the engine have a `struct trial` each. */
#include "sim/forecast/test_trial_played.h"

#include <stdlib.h>
#include <string.h>

#define SERVICES 4

struct dice {
    struct rng rng;
    bool certain; /* every request that meets a fault fails */
    size_t services;
};

static uint64_t roll(struct dice *d, uint64_t n)
{
    return rng_below(&d->rng, n);
}

static void add_duration(struct buf *b, struct dice *d)
{
    unsigned ms = 200 + (unsigned)roll(d, 4000);
    switch (roll(d, 3)) {
    case 0:
        buf_printf(b, "constant: %ums", ms);
        break;
    case 1:
        buf_printf(b, "exponential: %ums", ms);
        break;
    default:
        buf_printf(b, "lognormal: {median: %ums, p95: 9s}", ms);
        break;
    }
}

static void add_services(struct buf *b, struct dice *d)
{
    buf_adds(b, "services:\n");
    for (size_t i = 0; i < d->services; i++) {
        buf_printf(b, "  s%zu: {detect_within: {within: 20s, by: [own%s]}%s", i, i ? "" : ", page",
                   roll(d, 2) ? ", counts_as_restored: heal" : "");
        if (i && roll(d, 2))
            buf_printf(b, ", needs: [s%u]", (unsigned)roll(d, i));
        buf_printf(b, ", down_when: %s}\n", i == 1 && roll(d, 2) ? "all" : "any");
    }
}

static void add_hosts(struct buf *b)
{
    buf_adds(b, "hosts:\n");
    for (size_t i = 0; i < 6; i++)
        buf_printf(b, "  h%zu: {lab: {address: 10.0.0.%zu/24}}\n", i, i + 1);
    buf_adds(b, "  c0: {lab: {address: 10.0.0.101/24}}\n  c1: {lab: {address: 10.0.0.102/24}}\n"
                "components: {zone: {}, h1: {in: zone}, h2: {in: zone}");
    buf_adds(b, "}\n");
}

static void add_probe(struct buf *b, struct dice *d, size_t i, const char *more)
{
    unsigned every = 100 * (1 + (unsigned)roll(d, 10));
    buf_printf(b,
               "  p%zu%s: {service: s%zu, host: c%u, tcp: \"10.0.0.%u:80\", every: %ums, timeout: "
               "%ums, down_after: %u, up_after: %u, stable: %ums}\n",
               i, more, i, (unsigned)roll(d, 2), 1 + (unsigned)roll(d, 6), every,
               50 + (unsigned)roll(d, 3 * every), 1 + (unsigned)roll(d, 4),
               1 + (unsigned)roll(d, 4), 500 + (unsigned)roll(d, 4000));
}

/* The second service has two probes: it is down when both are, or one. */
static void add_probes(struct buf *b, struct dice *d)
{
    buf_adds(b, "probes:\n");
    for (size_t i = 0; i < d->services; i++)
        add_probe(b, d, i, "");
    if (d->services > 1)
        add_probe(b, d, 1, "b");
    buf_adds(b, "alarms:\n");
    for (size_t i = 0; i < d->services; i++)
        if (i == 1 && roll(d, 2))
            buf_printf(b, "  a1: {threshold: {probe: [p1, p1b], at_least: 2, consecutive: %u}}\n",
                       1 + (unsigned)roll(d, 6));
        else if (roll(d, 4) == 0)
            buf_printf(b, "  a%zu: {ratio: {probe: p%zu, window: %us, above: %u%%}}\n", i, i,
                       4 + (unsigned)roll(d, 9), 5 + (unsigned)roll(d, 60));
        else
            buf_printf(b, "  a%zu: {threshold: {probe: p%zu, consecutive: %u}}\n", i, i,
                       1 + (unsigned)roll(d, 6));
    buf_printf(b, "  told: {service: s0, role: page, assumed: {delay: {uniform: [0s, %us]}}}\n",
               2 + (unsigned)roll(d, 9));
}

static void add_fault(struct buf *b, struct dice *d, size_t step)
{
    unsigned host = (unsigned)(2 * step + roll(d, 2));
    switch (roll(d, d->certain ? 6 : 9)) {
    case 0:
        buf_printf(b, "node-kill: h%u", host);
        break;
    case 1:
        buf_printf(b, "kill: {host: h%u}", host);
        break;
    case 2:
        buf_printf(b, "partition: {cut: [[h%u], [c0, h%u]]}", host, (host + 1) % 6);
        break;
    case 3:
        buf_printf(b, "partition: {isolate: [h%u], kind: reject}", host);
        break;
    case 4:
        buf_adds(b, "outage: {component: zone, answers: errors}");
        break;
    case 5:
        buf_printf(b, "outage: {service: s%u}", (unsigned)roll(d, d->services));
        break;
    case 6:
        buf_printf(b, "outage: {component: h%u, share: %u%%}", host, 5 + (unsigned)roll(d, 90));
        break;
    case 7:
        buf_printf(b, "network: {host: h%u, delay: %ums, loss: %u%%}", host,
                   1 + (unsigned)roll(d, 900), (unsigned)roll(d, 60));
        break;
    default:
        buf_printf(b, "node-kill: {host: {any: 1, of: [h%u, h%u]}}", host, (host + 2) % 6);
        break;
    }
}

static void add_script(struct buf *b, struct dice *d)
{
    size_t n = 1 + roll(d, 3);
    buf_adds(b, "script:\n");
    for (size_t i = 0; i < n; i++) {
        buf_printf(b, "  - {at: %ums, ", 500 + (unsigned)roll(d, 12000));
        if (roll(d, 3))
            buf_printf(b, "for: %ums, ", 300 + (unsigned)roll(d, 9000));
        add_fault(b, d, i);
        buf_adds(b, "}\n");
    }
}

static void add_model(struct buf *b, struct dice *d)
{
    static const char *const modes[] = {"active-active", "active-passive", "quorum"};
    buf_adds(b, "model:\n");
    for (size_t i = 0; i < d->services; i++) {
        unsigned first = (unsigned)roll(d, 4), mode = (unsigned)roll(d, 3);
        buf_printf(b, "  s%zu:\n    redundancy: {of: [h%u, h%u, h%u], mode: %s", i, first,
                   first + 1, first + 2, modes[mode]);
        if (mode == 0) {
            buf_printf(b, ", need: %u", d->certain ? 3 : 1 + (unsigned)roll(d, 3));
            if (roll(d, 2)) {
                buf_adds(b, ", takeout: {");
                add_duration(b, d);
                buf_adds(b, "}");
            }
        }
        buf_adds(b, "}\n");
        if (mode < 2 && roll(d, 2) == 0)
            continue;
        buf_adds(b, "    restore: [{fix: {");
        add_duration(b, d);
        buf_printf(b, "%s}}", roll(d, 2) ? ", at: detection" : "");
        if (roll(d, 2)) {
            buf_adds(b, ", {more: {");
            add_duration(b, d);
            buf_adds(b, "}}");
        }
        buf_adds(b, "]\n");
    }
}

static struct scenario *random_scenario(struct dice *d)
{
    AUTO_BUF b = BUF_INIT;
    struct diags diags = {0};
    struct scenario *s = NULL;
    buf_adds(&b, "blackstart: 1\nname: t\nsettle: 1s\nhorizon: 60s\n");
    add_services(&b, d);
    add_hosts(&b);
    add_probes(&b, d);
    add_script(&b, d);
    add_model(&b, d);
    if (roll(d, 4) == 0)
        buf_printf(&b, "maintenance: [{service: s0, from: %ums, for: 4s}]\n",
                   (unsigned)roll(d, 9000));
    int r = scenario_load_text(b.text, b.len, "t.yaml", NULL, &diags, &s);
    for (size_t i = 0; r < 0 && i < diags.n; i++)
        print_error("%d:%d %s\n", diags.items[i].place.line, diags.items[i].place.col,
                    diags.items[i].text);
    if (r < 0)
        fail_msg("%s", b.text);
    diags_done(&diags);
    return s;
}

static void assert_holds(const char *what, struct span s, nsec truth, uint64_t number)
{
    if (span_is_set(s) && s.lo <= truth && truth <= s.hi)
        return;
    fail_msg("scenario %llu: %s is %lld, seen was [%lld, %lld]", (unsigned long long)number, what,
             (long long)truth, (long long)s.lo, (long long)s.hi);
}

static void compare(const struct service_seen *s, const struct outcome *o, uint64_t number)
{
    /* Whether several probes were down at once, their intervals do not always tell. */
    if (s->probes_n > 1 && s->judged_n != o->episodes)
        return;
    if (s->judged_n != o->episodes || s->blips != o->blips)
        fail_msg("scenario %llu, %s: %zu outages and %zu blips seen, %u and %u were there",
                 (unsigned long long)number, s->service->name, s->judged_n, s->blips, o->episodes,
                 o->blips);
    if (o->episodes == 0)
        return;
    bool open = o->kind == OUTCOME_IS_CENSORED;
    if (!open)
        assert_holds("down", s->down, o->down, number);
    else
        assert_true(s->down.hi == NSEC_INF);
    if (nsec_is_set(o->ttd) && o->ttd != NSEC_INF)
        assert_holds("ttd", s->ttd_impact, o->ttd, number);
    if (!open && o->ttr != NSEC_INF)
        assert_holds("ttr", s->ttr_clock[CLOCK_IMPACT], o->ttr, number);
}

static void random_trials(bool certain, uint64_t scenarios)
{
    uint64_t refused = 0; /* faults of what nothing runs on, quorums without an election */
    for (uint64_t i = 0; i < scenarios; i++) {
        struct dice d = {.rng = rng_stream(20261123, certain ? "certain" : "gray", i, 0),
                         .certain = certain};
        d.services = 1 + roll(&d, SERVICES);
        CLEANUP(scenario_free_p) struct scenario *s = random_scenario(&d);
        struct outcome quick[SERVICES], told[SERVICES];
        AUTO_JSON *events = played(s, i, 3, quick, told);
        refused += !events;
        for (size_t k = 0; events && k < d.services; k++)
            if (!same(&quick[k], &told[k]))
                fail_msg("scenario %llu, s%zu: another outcome when it is told",
                         (unsigned long long)i, k);
        if (!certain || !events)
            continue;
        struct record_head head = {0};
        struct result *r = NULL;
        struct err err = ERR_INIT;
        if (measure_run(s, events, &head, 0, &r, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(r->trials_n, 1);
        assert_null(r->trials[0].why_void);
        for (size_t k = 0; k < d.services; k++)
            compare(&r->trials[0].services[k], &told[k], i);
        result_free(r);
    }
    assert_true(refused < scenarios / 2);
}

static void what_is_told_encloses_what_happened(void **state)
{
    random_trials(true, 500);
}

static void passing_over_like_answers_changes_nothing(void **state)
{
    random_trials(false, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_told_encloses_what_happened),
        cmocka_unit_test(passing_over_like_answers_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
