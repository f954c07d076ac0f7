/* What is known while a trial runs: thresholds, steadiness, services of several probes, and numbers
 * that go on when a vantage point is started anew. */
#include "tests/support/test.h"

#include "sim/drill/live.h"

struct world {
    struct scenario scenario;
    struct service service;
    struct probe probes[2];
    struct alarm alarm;
    struct threshold_params threshold;
    struct ratio_params ratio;
    struct variant tcp, kind;
    char *probe_names[2];
    void *service_items[1], *probe_items[2], *alarm_items[1];
    struct live *live;
    int onsets, clears, downs, ups;
    struct span at;
};

static void on_alarm(const struct alarm *a, bool onset, struct span at, const char *detail,
                     void *data)
{
    struct world *w = data;
    onset ? w->onsets++ : w->clears++;
    w->at = at;
}

static void on_probe(const struct probe *p, bool down, void *data)
{
    struct world *w = data;
    down ? w->downs++ : w->ups++;
}

#define NAME(s) ((char *)(uintptr_t)(s))

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->tcp.name = "tcp";
    w->kind.name = "threshold";
    w->service = (struct service){.name = NAME("web"), .down_at_least = 1};
    for (int i = 0; i < 2; i++) {
        w->probes[i] = (struct probe){.name = NAME(i ? "p1" : "p0"),
                                      .service = NAME("web"),
                                      .host = NAME("client"),
                                      .every = 100,
                                      .timeout = 500,
                                      .down_after = 2,
                                      .up_after = 2,
                                      .stable = 300,
                                      .kind = &w->tcp};
        w->probe_items[i] = &w->probes[i];
    }
    w->probe_names[0] = NAME("p0");
    w->probe_names[1] = NAME("p1");
    struct own_params own = {.probes = {w->probe_names, 1}, .at_least = 1};
    w->threshold = (struct threshold_params){.own = own, .consecutive = 3};
    w->ratio = (struct ratio_params){.own = own, .window = 1000, .above = 0.25};
    w->alarm = (struct alarm){.name = NAME("own"),
                              .service = NAME("web"),
                              .role = ROLE_OWN,
                              .kind = &w->kind,
                              .params = &w->threshold};
    w->service_items[0] = &w->service;
    w->alarm_items[0] = &w->alarm;
    w->scenario.services = (struct objects){w->service_items, 1};
    w->scenario.probes = (struct objects){w->probe_items, 2};
    w->scenario.alarms = (struct objects){w->alarm_items, 1};
    struct live_handlers h = {.alarm = on_alarm, .probe = on_probe, .data = w};
    w->live = live_new(&w->scenario, &h);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    live_free(w->live);
    free(w);
    return 0;
}

static void feed(struct world *w, int probe, uint64_t n, bool ok)
{
    nsec start = (nsec)n * 100 + 1000;
    struct watch_obs o = {.probe = &w->probes[probe],
                          .n = n,
                          .scheduled = start,
                          .start = start,
                          .end = start + 10,
                          .ok = ok};
    live_feed(w->live, &o, false);
}

static void a_threshold_fires_once_and_clears(void **state)
{
    struct world *w = *state;
    for (uint64_t n = 0; n < 3; n++)
        feed(w, 0, n, true);
    feed(w, 0, 3, false);
    feed(w, 0, 4, false);
    assert_int_equal(w->onsets, 0);
    feed(w, 0, 5, false);
    assert_int_equal(w->onsets, 1);
    assert_int_equal(w->at.lo, 1510);
    feed(w, 0, 6, false);
    assert_int_equal(w->onsets, 1);
    feed(w, 0, 7, true);
    assert_int_equal(w->clears, 1);
}

/* The same world, with its alarm otherwise. */
static void again(struct world *w, const char *kind, void *params)
{
    w->live = live_free(w->live);
    w->kind.name = kind;
    w->alarm.params = params;
    struct live_handlers h = {.alarm = on_alarm, .probe = on_probe, .data = w};
    w->live = live_new(&w->scenario, &h);
}

static void two_probes_at_once_fire(void **state)
{
    struct world *w = *state;
    w->threshold.own = (struct own_params){.probes = {w->probe_names, 2}, .at_least = 2};
    again(w, "threshold", &w->threshold);
    for (uint64_t n = 0; n < 5; n++)
        feed(w, 0, n, false);
    assert_int_equal(w->onsets, 0);
    for (uint64_t n = 0; n < 3; n++)
        feed(w, 1, n, false);
    assert_int_equal(w->onsets, 1);
    assert_int_equal(w->at.lo, 1210);
    feed(w, 0, 5, true);
    assert_int_equal(w->clears, 1);
    feed(w, 1, 3, true);
    assert_int_equal(w->clears, 1);
}

/* Of ten answers in the window more than a quarter. */
static void a_ratio_fires_and_clears(void **state)
{
    struct world *w = *state;
    again(w, "ratio", &w->ratio);
    for (uint64_t n = 0; n < 3; n++) {
        assert_int_equal(w->onsets, 0);
        feed(w, 0, 2 * n, false);
        feed(w, 0, 2 * n + 1, true);
    }
    assert_int_equal(w->onsets, 1);
    assert_int_equal(w->at.lo, 1410);
    for (uint64_t n = 6; n < 10; n++)
        feed(w, 0, n, true);
    assert_int_equal(w->clears, 0);
    feed(w, 0, 10, true); /* the first one is out of it */
    assert_int_equal(w->clears, 1);
}

static void an_overlapping_late_answer_counts_in_the_order_of_starts(void **state)
{
    struct world *w = *state;
    feed(w, 0, 0, false);
    feed(w, 0, 1, false);
    feed(w, 0, 3, true); /* answered before number 2 timed out */
    assert_int_equal(w->onsets, 0);
    feed(w, 0, 2, false);
    assert_int_equal(w->onsets, 1);
    assert_int_equal(w->clears, 1);
}

static void steady_needs_every_probe(void **state)
{
    struct world *w = *state;
    feed(w, 0, 0, true);
    assert_false(nsec_is_set(live_good_since(w->live)));
    AUTO_FREE char *bad = live_not_good(w->live);
    assert_string_equal(bad, "p1");
    feed(w, 1, 0, true);
    feed(w, 1, 1, true);
    assert_true(nsec_is_set(live_good_since(w->live)));
    feed(w, 1, 2, false);
    assert_false(nsec_is_set(live_good_since(w->live)));
}

static void a_service_is_down_when_enough_probes_are(void **state)
{
    struct world *w = *state;
    for (uint64_t n = 0; n < 2; n++)
        feed(w, 0, n, false);
    nsec since = 0;
    assert_true(live_service_is_down(w->live, &w->service, &since));
    assert_int_equal(since, 1010);
    w->service.down_at_least = 2;
    assert_false(live_service_is_down(w->live, &w->service, NULL));
    for (uint64_t n = 0; n < 2; n++)
        feed(w, 1, n, false);
    assert_true(live_service_is_down(w->live, &w->service, NULL));
    assert_int_equal(w->downs, 2);
}

static void numbers_go_on_after_a_restart(void **state)
{
    struct world *w = *state;
    feed(w, 0, 0, true);
    feed(w, 0, 2, false); /* 1 is outstanding and will never come */
    live_restart(w->live, "elsewhere");
    assert_int_equal(live_number(w->live, &w->probes[0], 0), 0);
    live_restart(w->live, "client");
    assert_int_equal(live_number(w->live, &w->probes[0], 0), 3);
    feed(w, 0, 0, false); /* becomes number 3: with 2 a run of two */
    assert_int_equal(w->downs, 1);
}

static void an_unknown_observation_neither_counts_nor_clears(void **state)
{
    struct world *w = *state;
    feed(w, 0, 0, false);
    feed(w, 0, 1, false);
    struct watch_obs late = {.probe = &w->probes[0], .n = 2, .start = 1200, .end = 1210};
    live_feed(w->live, &late, true);
    assert_int_equal(w->onsets, 0);
    feed(w, 0, 3, false);
    assert_int_equal(w->onsets, 1);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_threshold_fires_once_and_clears),
        T(two_probes_at_once_fire),
        T(a_ratio_fires_and_clears),
        T(an_overlapping_late_answer_counts_in_the_order_of_starts),
        T(steady_needs_every_probe),
        T(a_service_is_down_when_enough_probes_are),
        T(numbers_go_on_after_a_restart),
        T(an_unknown_observation_neither_counts_nor_clears),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
