/* Missions traced by hand: constant times, every instant exact. */
#include "sim/forecast/test_years.h"

#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/forecast/tally_line.h"

#include <errno.h>
#include <string.h>

static void note(void *data, nsec at, enum years_event what, size_t which)
{
    static const char *const words[] = {"breaks",     "repair",     "repaired", "maintained",
                                        "back in",    "DOWN",       "UP",       "takes over",
                                        "taken over", "failed back"};
    buf_printf(data, "%g %s %s\n", (double)at / (double)HOUR, kit_names[which], words[what]);
}

/* The trace of so many hours; adds to the tally. */
static void trace(const struct kit *k, double hours, const char *expected, struct tally *t)
{
    CLEANUP(catalogue_free_p) struct catalogue *c = kit_ready(k);
    CLEANUP(years_free_p) struct years *y = years_new(c);
    struct buf b = BUF_INIT;
    years_watch(y, note, &b);
    struct years_span span = {.length = (nsec)(hours * (double)HOUR), .until = CATALOGUE_NONE};
    *t = tally_new(c->services_n);
    years_run(y, &span, 1, 0, t);
    assert_string_equal(buf_text(&b), expected);
    buf_done(&b);
}

static const struct distribution h4 = CONSTANT(4), h10 = CONSTANT(10), h20 = CONSTANT(20),
                                 h30 = CONSTANT(30), h100 = CONSTANT(100), h120 = CONSTANT(120),
                                 half = CONSTANT(0.5);

/* A11 */
static void in_series(struct kit *k, bool ages)
{
    kit_init(k, 2, 1);
    k->components[0].fails = &h100;
    k->components[1].fails = &h120;
    for (size_t i = 0; i < 2; i++) {
        k->components[i].repair = &h10;
        k->components[i].ages_while_down = ages;
    }
    k->services[0].of = FIRST(2);
    k->services[0].need = 2;
}

static void in_series_survivors_do_not_age(void **state)
{
    struct kit k;
    struct tally t;
    in_series(&k, false);
    trace(&k, 300,
          "100 a breaks\n100 a DOWN\n100 a repair\n110 a repaired\n110 a UP\n"
          "130 b breaks\n130 a DOWN\n130 b repair\n140 b repaired\n140 a UP\n"
          "220 a breaks\n220 a DOWN\n220 a repair\n230 a repaired\n230 a UP\n"
          "270 b breaks\n270 a DOWN\n270 b repair\n280 b repaired\n280 a UP\n",
          &t);
    assert_int_equal(t.services[0].down, 40 * HOUR);
    assert_int_equal(t.observed, 300 * HOUR);
    tally_done(&t);
}

static void in_series_survivors_age(void **state)
{
    struct kit k;
    struct tally t;
    in_series(&k, true);
    trace(&k, 300,
          "100 a breaks\n100 a DOWN\n100 a repair\n110 a repaired\n110 a UP\n"
          "120 b breaks\n120 a DOWN\n120 b repair\n130 b repaired\n130 a UP\n"
          "210 a breaks\n210 a DOWN\n210 a repair\n220 a repaired\n220 a UP\n"
          "250 b breaks\n250 a DOWN\n250 b repair\n260 b repaired\n260 a UP\n",
          &t);
    assert_int_equal(t.services[0].down, 40 * HOUR);
    size_t n;
    AUTO_FREE struct tally_blame *blames = tally_blames(&t, &n);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(blames[i].component, i);
        assert_int_equal(blames[i].incidents, 2);
        assert_int_equal(blames[i].down, 20 * HOUR);
    }
    tally_done(&t);
}

static void a_crew_repairs_in_the_order_of_failures(void **state)
{
    struct kit k;
    struct tally t;
    static const struct distribution at[] = {CONSTANT(10), CONSTANT(12), CONSTANT(11)};
    static const struct distribution takes[] = {CONSTANT(3), CONSTANT(1), CONSTANT(5)};
    kit_init(&k, 3, 1);
    k.crews[0] = (struct catalogue_crew){.name = "crew", .at_a_time = 1};
    k.c.crews_n = 1;
    for (size_t i = 0; i < 3; i++) {
        k.components[i].fails = &at[i];
        k.components[i].repair = &takes[i];
        k.components[i].crew = 0;
    }
    k.services[0].of = FIRST(3);
    k.services[0].need = 1;
    trace(&k, 20,
          "10 a breaks\n10 a repair\n11 c breaks\n12 b breaks\n12 a DOWN\n"
          "13 a repaired\n13 a UP\n13 c repair\n18 c repaired\n18 b repair\n19 b repaired\n",
          &t);
    assert_int_equal(t.services[0].down, 1 * HOUR);
    tally_done(&t);
}

/* Zone d holds a and b; c stands alone. Service a needs two of a, b, c; service b needs service a. */
static void one_zone_takes_down_what_stands_in_it(void **state)
{
    struct kit k;
    struct tally t;
    static const size_t zone[] = {3};
    static const struct catalogue_need need = {.of = {kit_first, 1}, .at_least = 1};
    kit_init(&k, 4, 2);
    k.components[0].in = k.components[1].in = (struct catalogue_list){zone, 1};
    k.components[3].fails = &h30;
    k.components[3].repair = &h4;
    k.components[0].fails = &h100; /* stops ageing in 30 … 34 */
    k.components[0].ages_while_down = false;
    k.services[0].of = FIRST(3);
    k.services[0].mode = QUORUM;
    k.services[1].needs = &need;
    k.services[1].needs_n = 1;
    k.services[0].sla = 0.9;
    trace(&k, 50,
          "30 d breaks\n30 a DOWN\n30 b DOWN\n30 d repair\n"
          "34 d repaired\n34 a UP\n34 b UP\n",
          &t);
    size_t n;
    AUTO_FREE struct tally_blame *blames = tally_blames(&t, &n);
    assert_int_equal(n, 2); /* d took down both */
    assert_int_equal(blames[0].component, 3);
    assert_int_equal(blames[1].component, 3);
    tally_done(&t);
    CLEANUP(catalogue_free_p) struct catalogue *c = kit_ready(&k);
    bool down[2];
    assert_int_equal(catalogue_single(c, 3, down), 2);
    assert_true(down[0] && down[1]);
    assert_int_equal(catalogue_single(c, 0, down), 0);
    assert_false(down[0] || down[1]);
}

static nsec half_an_hour(const void *data, nsec now, struct rng *r)
{
    return HOUR / 2;
}

static nsec never(const void *data, nsec now, struct rng *r)
{
    return NSEC_INF;
}

static void pair(struct kit *k)
{
    kit_init(k, 2, 1);
    k->components[0].fails = &h20;
    k->components[0].repair = &h10;
    k->services[0].of = FIRST(2);
    k->services[0].need = 1;
    k->services[0].mode = ACTIVE_PASSIVE;
    k->services[0].takeover = half_an_hour;
}

static void a_standby_takes_over_and_the_first_choice_comes_back(void **state)
{
    struct kit k;
    struct tally t;
    pair(&k);
    k.services[0].failback = &h4;
    k.services[0].failback_outage = &half;
    trace(&k, 49,
          "20 a breaks\n20 a takes over\n20 a DOWN\n20 a repair\n20.5 a taken over\n20.5 a UP\n"
          "30 a repaired\n34 a failed back\n34 a DOWN\n34.5 a UP\n",
          &t);
    assert_int_equal(t.services[0].down_of[TALLY_BROKEN], HOUR / 2);
    assert_int_equal(t.services[0].down_of[TALLY_SWITCHED], HOUR / 2);
    assert_int_equal(t.services[0].incidents.sum, 2);
    tally_done(&t);
}

static void no_failback_before_the_hold_down_is_over(void **state)
{
    struct kit k;
    struct tally t;
    pair(&k);
    k.services[0].failback = &h4;
    k.services[0].hold_down = 20 * HOUR; /* from 20.5 */
    trace(&k, 49,
          "20 a breaks\n20 a takes over\n20 a DOWN\n20 a repair\n20.5 a taken over\n20.5 a UP\n"
          "30 a repaired\n40.5 a failed back\n",
          &t);
    tally_done(&t);
}

static void a_takeover_that_never_ends_is_ended_by_the_repair(void **state)
{
    struct kit k;
    struct tally t;
    pair(&k);
    k.services[0].takeover = never;
    trace(&k, 49, "20 a breaks\n20 a takes over\n20 a DOWN\n20 a repair\n30 a repaired\n30 a UP\n",
          &t);
    tally_done(&t);
}

static void with_nobody_left_the_first_that_comes_back_takes_over(void **state)
{
    struct kit k;
    struct tally t;
    static const struct distribution h19 = CONSTANT(19);
    pair(&k);
    k.components[1].fails = &h19;
    k.components[1].repair = &h4;
    trace(&k, 25,
          "19 b breaks\n19 b repair\n20 a breaks\n20 a takes over\n20 a DOWN\n20 a repair\n"
          "23 b repaired\n23 a taken over\n23 a UP\n",
          &t);
    tally_done(&t);
}

static void maintenance_is_planned_and_left_out_when_broken(void **state)
{
    struct kit k;
    struct tally t;
    kit_init(&k, 1, 1);
    k.components[0].fails = &h30;
    k.components[0].repair = &h10;
    k.components[0].maintained_first = 12 * HOUR;
    k.components[0].maintained_every = 12 * HOUR;
    k.components[0].maintained_for = &half;
    k.services[0].of = FIRST(1);
    k.services[0].need = 1;
    trace(&k, 47,
          "12 a maintained\n12 a DOWN\n12.5 a back in\n12.5 a UP\n"
          "24 a maintained\n24 a DOWN\n24.5 a back in\n24.5 a UP\n"
          "31 a breaks\n31 a DOWN\n31 a repair\n41 a repaired\n41 a UP\n",
          &t);
    assert_int_equal(t.services[0].down_of[TALLY_MAINTAINED], 1 * HOUR);
    assert_int_equal(t.services[0].down_of[TALLY_BROKEN], 10 * HOUR);
    tally_done(&t);
}

/* Breaks at 100 h and every 110 h from then on: 79 times in a year of 8,760 h, 80 times in the next. */
static void years_are_closed_and_priced_one_by_one(void **state)
{
    struct kit k;
    kit_init(&k, 1, 1);
    k.components[0].fails = &h100;
    k.components[0].repair = &h10;
    k.services[0].of = FIRST(1);
    k.services[0].need = 1;
    k.services[0].cost_per_hour = 5;
    k.services[0].cost_per_incident = 1.25;
    k.services[0].sla = 0.91;
    CLEANUP(catalogue_free_p) struct catalogue *c = kit_ready(&k);
    CLEANUP(years_free_p) struct years *y = years_new(c);
    struct tally t = tally_new(1);
    struct years_span span = {.length = 2 * TALLY_YEAR, .until = CATALOGUE_NONE};
    years_run(y, &span, 1, 0, &t);
    const struct tally_service *s = &t.services[0];
    assert_int_equal(t.years, 2);
    assert_int_equal(s->year_down.count, 2);
    assert_int_equal(s->year_down.least, 790 * HOUR / TALLY_UNIT); /* 79 of 8,760 h: 90.98 % up */
    assert_int_equal(s->year_down.most, 800 * HOUR / TALLY_UNIT);
    assert_int_equal(s->years_met.sum, 0);
    assert_int_equal(s->incidents.sum, 159);
    assert_int_equal(s->lost, 100 * (1590 * 5 + 159 * 1.25));
    tally_done(&t);
}

static void what_cannot_be_is_refused(void **state)
{
    struct kit k;
    struct catalogue *c = NULL;
    struct err err = ERR_INIT;
    static const size_t second[] = {1};
    static const struct catalogue_need both[] = {{.of = {kit_first, 1}, .at_least = 1},
                                                 {.of = {second, 1}, .at_least = 1}};
    kit_init(&k, 2, 2);
    k.components[0].in = (struct catalogue_list){second, 1};
    k.components[1].in = FIRST(1);
    assert_int_equal(catalogue_new(&k.c, &c, &err), -22);
    assert_string_equal(err.text, "a: stands in itself, through others");
    kit_init(&k, 2, 2);
    k.services[0].needs = &both[1];
    k.services[1].needs = &both[0];
    k.services[0].needs_n = k.services[1].needs_n = 1;
    assert_int_equal(catalogue_new(&k.c, &c, &err), -22);
    assert_string_equal(err.text, "a: needs itself, through others");
    kit_init(&k, 2, 2);
    k.services[0].of = FIRST(2);
    k.services[0].need = 3;
    assert_int_equal(catalogue_new(&k.c, &c, &err), -22);
    assert_string_equal(err.text, "a: needs 3 of 2 units");
    assert_null(c);
}

static void lines_of_the_record_add_up_to_what_was_counted(void **state)
{
    struct kit k;
    static const struct distribution fails = EXPONENTIAL(500), repair = EXPONENTIAL(8);
    kit_init(&k, 3, 2); /* the second service is never down */
    for (size_t i = 0; i < 3; i++) {
        k.components[i].fails = &fails;
        k.components[i].repair = &repair;
    }
    k.services[0].of = FIRST(3);
    k.services[0].need = 2;
    k.services[0].sla = 0.9995;
    k.services[0].cost_per_hour = 10;
    CLEANUP(catalogue_free_p) struct catalogue *c = kit_ready(&k);
    CLEANUP(years_free_p) struct years *y = years_new(c);
    struct years_span span = {.length = TALLY_YEAR, .until = CATALOGUE_NONE};
    struct tally all = tally_new(2), read = tally_new(2);
    for (uint64_t i = 1; i <= 60; i++)
        years_run(y, &span, 5, i, &all);
    for (uint64_t from = 1; from <= 60; from += 20) {
        struct tally t = tally_new(2);
        for (uint64_t i = from; i < from + 20; i++)
            years_run(y, &span, 5, i, &t);
        AUTO_JSON *line = tally_line_json(&t, c, from);
        uint64_t first, last;
        struct err err = ERR_INIT;
        if (tally_line_read(line, c, &read, &first, &last, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(first, from);
        assert_int_equal(last, from + 19);
        tally_done(&t);
    }
    AUTO_JSON *a = tally_line_json(&all, c, 1), *b = tally_line_json(&read, c, 1);
    assert_true(json_equal(a, b));
    assert_true(all.services[0].incidents.sum > 20);
    assert_int_equal(read.services[1].year_down.count, 60);
    json_object_set_new(b, "observed", json_string("-1"));
    uint64_t first, last;
    assert_int_equal(tally_line_read(b, c, &read, &first, &last, NULL), -EBADMSG);
    tally_done(&all);
    tally_done(&read);
}

static void histograms_know_quantiles_to_one_percent(void **state)
{
    struct histogram h = {0}, twice = {0};
    for (uint64_t i = 1; i <= 100000; i++)
        histogram_add(&h, 1000 * i);
    static const double p[] = {0.01, 0.5, 0.95, 0.999};
    for (size_t i = 0; i < 4; i++)
        assert_true(histogram_quantile(&h, p[i]) > 0.984 * p[i] * 1e8 &&
                    histogram_quantile(&h, p[i]) < 1.016 * p[i] * 1e8);
    assert_true(histogram_above(&h, 90000000) > 9900 && histogram_above(&h, 90000000) < 10100);
    histogram_merge(&twice, &h);
    histogram_merge(&twice, &h);
    assert_int_equal(twice.count, 200000);
    assert_true(histogram_quantile(&twice, 0.5) == histogram_quantile(&h, 0.5));
    uint64_t lo, hi, end = 0;
    for (size_t b = 0; b < 1000; b++, end = hi) {
        histogram_bin(b, &lo, &hi);
        assert_true(lo == end && hi > lo); /* without gaps */
    }
    histogram_done(&h);
    histogram_done(&twice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_series_survivors_do_not_age),
        cmocka_unit_test(in_series_survivors_age),
        cmocka_unit_test(a_crew_repairs_in_the_order_of_failures),
        cmocka_unit_test(one_zone_takes_down_what_stands_in_it),
        cmocka_unit_test(a_standby_takes_over_and_the_first_choice_comes_back),
        cmocka_unit_test(no_failback_before_the_hold_down_is_over),
        cmocka_unit_test(a_takeover_that_never_ends_is_ended_by_the_repair),
        cmocka_unit_test(with_nobody_left_the_first_that_comes_back_takes_over),
        cmocka_unit_test(maintenance_is_planned_and_left_out_when_broken),
        cmocka_unit_test(years_are_closed_and_priced_one_by_one),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(lines_of_the_record_add_up_to_what_was_counted),
        cmocka_unit_test(histograms_know_quantiles_to_one_percent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
