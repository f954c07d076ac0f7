/* Which alarm noticed and when, and the clocks that start with it: edge cases in virtual time. */
#include "tests/support/test.h"

#include "reports/fixture.h"
#include "sim/base/jsonx.h"

/* --- detection ------------------------------------------------------------------------------ */

static void play_alarm(struct world *w, const char *strip, nsec onset, nsec clear)
{
    if (onset) {
        world_usual(w, 1, strip);
        world_alarm_event(w, "pager", "onset", onset, false);
    } else {
        world_usual(w, 1, strip);
    }
    if (clear)
        world_alarm_event(w, "pager", "clear", clear, false);
    world_run_end(w, "completed");
    world_measure(w);
}

static void an_alarm_after_impact_detects(void **state)
{
    WORLD w;
    world_init(&w);
    world_detect(&w, 400 * MS);
    world_alarm(&w, "pager", ROLE_PAGE, "exec");
    play_alarm(&w, G16 "RRRRR" BACK, 1850 * MS, 2600 * MS);
    const struct service_seen *s = world_seen(&w, 1);
    assert_int_equal(s->detection, DETECTION_DETECTED);
    assert_ms(s->ttd, 1850 - 1601, 1851 - 1550);
    assert_ms(s->ttd_fault, 298, 301);
    assert_ms(s->ttr_clock[CLOCK_DETECTION], 2000 - 1851, 2101 - 1850);
    assert_share(&w, 1, OBJECTIVE_DETECT, SHARE_WITHIN);
    assert_verdict(&w, OBJECTIVE_DETECT, VERDICT_MET);
}

static void detection_is_judged_by_its_interval(void **state)
{
    static const struct {
        nsec within;
        enum share share;
    } cells[] = {{301 * MS, SHARE_WITHIN}, {300 * MS, SHARE_OPEN}, {248 * MS, SHARE_MISSED}};
    for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
        WORLD w;
        world_init(&w);
        world_detect(&w, cells[i].within);
        world_alarm(&w, "pager", ROLE_PAGE, "exec");
        play_alarm(&w, G16 "RRRRR" BACK, 1850 * MS, 0);
        assert_share(&w, 1, OBJECTIVE_DETECT, cells[i].share);
    }
}

static void an_alarm_before_the_fault_is_false_and_voids_nothing(void **state)
{
    WORLD w;
    world_init(&w);
    world_detect(&w, 400 * MS);
    world_alarm(&w, "pager", ROLE_PAGE, "exec");
    world_usual(&w, 1, G16 "RRRRR" BACK);
    world_alarm_event(&w, "pager", "onset", 400 * MS, false); /* before arming: coming up */
    world_alarm_event(&w, "pager", "clear", 500 * MS, false);
    world_alarm_event(&w, "pager", "onset", 1200 * MS, false);
    world_alarm_event(&w, "pager", "clear", 1300 * MS, false);
    world_alarm_event(&w, "pager", "onset", 1850 * MS, false);
    world_run_end(&w, "completed");
    world_measure(&w);
    const struct service_seen *s = world_seen(&w, 1);
    assert_int_equal(s->alarms[0].false_alarms, 1);
    assert_ms(s->ttd, 249, 301); /* its next onset counts */
    assert_verdict(&w, OBJECTIVE_DETECT, VERDICT_MET);
    assert_true(world_found(&w, "false_alarm"));
    assert_int_equal(w.result->alarms[0].false_alarms, 1);
    assert_int_equal(w.result->alarms[0].exposure, 550 * MS);
    assert_true(w.result->alarms[0].has_rate && w.result->alarms[0].per_hour.lo > 0);
}

static void an_alarm_that_was_firing_is_masked(void **state)
{
    for (int i = 0; i < 2; i++) {
        WORLD w;
        world_init(&w);
        world_detect(&w, 400 * MS);
        world_alarm(&w, "pager", ROLE_PAGE, "exec");
        world_usual(&w, 1, G16 "RRRRR" BACK);
        world_alarm_event(&w, "pager", "onset", i ? 1200 * MS : 1000 * MS, i == 0);
        world_run_end(&w, "completed");
        world_measure(&w);
        const struct service_seen *s = world_seen(&w, 1);
        assert_int_equal(s->detection, DETECTION_MASKED);
        assert_false(span_is_set(s->ttd));
        assert_share(&w, 1, OBJECTIVE_DETECT, SHARE_OPEN);
        assert_verdict(&w, OBJECTIVE_DETECT, VERDICT_NOT_DEMONSTRATED);
        assert_true(world_found(&w, "masked"));
        assert_int_equal(s->alarms[0].false_alarms, i);
    }
}

static void a_line_of_a_log_is_never_masked(void **state)
{
    WORLD w;
    world_init(&w);
    world_detect(&w, 400 * MS)->by =
        (struct strv){.items = (char *[]){(char *)(uintptr_t) "automation"}, .n = 1};
    world_alarm(&w, "takeover", ROLE_AUTOMATION, "packets");
    world_usual(&w, 1, G16 "RRRRR" BACK);
    world_alarm_event(&w, "takeover", "onset", 1200 * MS, false);
    world_alarm_event(&w, "takeover", "onset", 1850 * MS, false);
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_int_equal(world_seen(&w, 1)->detection, DETECTION_DETECTED);
    assert_ms(world_seen(&w, 1)->ttd, 249, 301);
}

static void a_burst_of_packets_is_one_alarm_and_the_fault_parts_bursts(void **state)
{
    WORLD w;
    world_init(&w);
    char *by[] = {(char *)(uintptr_t) "automation"};
    world_detect(&w, 400 * MS)->by = (struct strv){.items = by, .n = 1};
    world_alarm(&w, "takeover", ROLE_AUTOMATION, "packets");
    world_usual(&w, 1, G16 "RRRRR" BACK);
    for (int i = 0; i < 5; i++)
        world_alarm_event(&w, "takeover", "onset", 1400 * MS + i * MS, false);
    for (int i = 0; i < 5; i++)
        world_alarm_event(&w, "takeover", "onset", 1850 * MS + i * MS, false);
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_int_equal(world_seen(&w, 1)->alarms[0].false_alarms, 1);
    assert_ms(world_seen(&w, 1)->ttd, 249, 301);
}

static void an_alarm_between_fault_and_impact_is_early_and_never_clamped(void **state)
{
    WORLD w;
    world_init(&w);
    world_detect(&w, 400 * MS);
    world_alarm(&w, "pager", ROLE_PAGE, "exec");
    play_alarm(&w, G16 "GGGGRRRRR" BACK, 1650 * MS, 0);
    assert_ms(world_seen(&w, 1)->ttd, 1650 - 2001, 1651 - 1900);
    assert_share(&w, 1, OBJECTIVE_DETECT, SHARE_WITHIN);
}

static void an_alarm_after_restoration_detects_all_the_same(void **state)
{
    WORLD w;
    world_init(&w);
    world_detect(&w, 400 * MS);
    world_alarm(&w, "pager", ROLE_PAGE, "exec");
    play_alarm(&w, G16 "RRRRR" BACK, 2500 * MS, 0);
    const struct service_seen *s = world_seen(&w, 1);
    assert_int_equal(s->detection, DETECTION_DETECTED);
    assert_true(s->alarms[0].after_restoration);
    assert_ms(s->ttd, 2500 - 1601, 2501 - 1550);
    assert_share(&w, 1, OBJECTIVE_DETECT, SHARE_MISSED);
    assert_true(world_found(&w, "noticed_late"));
}

static void an_outage_shorter_than_the_target_without_alarm_was_restored_first(void **state)
{
    WORLD w;
    world_init(&w);
    world_detect(&w, 600 * MS);
    world_alarm(&w, "pager", ROLE_PAGE, "exec");
    play_alarm(&w, G16 "RRRRR" BACK, 0, 0);
    assert_int_equal(world_seen(&w, 1)->detection, DETECTION_RESTORED_FIRST);
    assert_share(&w, 1, OBJECTIVE_DETECT, SHARE_NOT_APPLICABLE);
    assert_verdict(&w, OBJECTIVE_DETECT, VERDICT_NOT_APPLICABLE);
    assert_int_equal(w.result->verdict, VERDICT_MET); /* the RTO's */
    assert_true(world_found(&w, "not_noticed"));
}

static void an_outage_without_any_alarm_is_not_detected(void **state)
{
    WORLD w;
    world_init(&w);
    world_detect(&w, 300 * MS);
    world_alarm(&w, "pager", ROLE_PAGE, "exec");
    play_alarm(&w, G16 "RRRRR" BACK, 0, 0);
    const struct service_seen *s = world_seen(&w, 1);
    assert_int_equal(s->detection, DETECTION_NOT_DETECTED);
    assert_ms(s->ttd, 3100 - 1601, NSEC_INF); /* to the end of observation */
    assert_share(&w, 1, OBJECTIVE_DETECT, SHARE_MISSED);
    assert_int_equal(result_exit_code(w.result), 1);
    assert_true(world_found(&w, "not_detected"));
    assert_true(s->alarms[0].missing);
}

static void perhaps_back_before_the_target_without_alarm_is_open(void **state)
{
    WORLD w;
    world_init(&w);
    world_detect(&w, 500 * MS); /* within [399, 551] */
    world_alarm(&w, "pager", ROLE_PAGE, "exec");
    play_alarm(&w, G16 "RRRRR" BACK, 0, 0);
    assert_share(&w, 1, OBJECTIVE_DETECT, SHARE_OPEN);
}

static void never_noticed_and_never_back_is_judged_by_the_end(void **state)
{
    static const struct {
        nsec within;
        enum share share;
    } cells[] = {{999 * MS, SHARE_OPEN}, {998 * MS, SHARE_MISSED}};
    for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
        WORLD w;
        world_init(&w);
        world_detect(&w, cells[i].within);
        world_alarm(&w, "pager", ROLE_PAGE, "exec");
        play_alarm(&w, G16 "RRRRRRRRRR", 0, 0);
        assert_ms(world_seen(&w, 1)->ttd, 2600 - 1601, NSEC_INF);
        assert_share(&w, 1, OBJECTIVE_DETECT, i == 0 ? SHARE_OPEN : SHARE_MISSED);
    }
}

static void unaffected_and_silent_is_redundancy_lost_unnoticed(void **state)
{
    for (int from_fault = 0; from_fault < 2; from_fault++) {
        WORLD w;
        world_init(&w);
        world_expect(&w, EXPECT_UNAFFECTED);
        world_detect(&w, 400 * MS)->clock = from_fault ? CLOCK_FAULT : CLOCK_IMPACT;
        world_alarm(&w, "pager", ROLE_PAGE, "exec");
        play_alarm(&w, G16 "GGGGG" BACK, 0, 0);
        assert_true(world_found(&w, "redundancy_lost_unnoticed"));
        assert_share(&w, 1, OBJECTIVE_DETECT, from_fault ? SHARE_MISSED : SHARE_NOT_APPLICABLE);
    }
}

static void unaffected_and_noticed_is_judged_by_the_clock_of_the_fault(void **state)
{
    WORLD w;
    world_init(&w);
    world_expect(&w, EXPECT_UNAFFECTED);
    world_detect(&w, 400 * MS)->clock = CLOCK_FAULT;
    world_alarm(&w, "pager", ROLE_PAGE, "exec");
    play_alarm(&w, G16 "GGGGG" BACK, 1850 * MS, 0);
    assert_ms(world_seen(&w, 1)->ttd, 298, 301);
    assert_verdict(&w, OBJECTIVE_DETECT, VERDICT_MET);
    assert_false(world_found(&w, "redundancy_lost_unnoticed"));
}

static void our_own_probe_counts_only_where_it_is_named(void **state)
{
    char *own[] = {(char *)(uintptr_t) "own"};
    for (int named = 0; named < 2; named++) {
        WORLD w;
        world_init(&w);
        world_detect(&w, 300 * MS)->by = (struct strv){.items = own, .n = (size_t)named};
        world_alarm(&w, "pager", ROLE_OWN, "threshold");
        play_alarm(&w, G16 "RRRRR" BACK, 1850 * MS, 0);
        assert_int_equal(world_seen(&w, 1)->detection,
                         named ? DETECTION_DETECTED : DETECTION_NOT_DETECTED);
        assert_int_equal(world_found(&w, "own_probe"), named);
    }
}

/* --- clocks --------------------------------------------------------------------------------- */

static void the_clock_of_detection_never_starts_unnoticed(void **state)
{
    WORLD w;
    world_init(&w);
    w.services[0].rto = 500 * MS;
    w.services[0].rto_clock = CLOCK_DETECTION;
    world_usual(&w, 1, G16 "RRRRR" BACK);
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_false(span_is_set(world_seen(&w, 1)->ttr));
    assert_share(&w, 1, OBJECTIVE_RTO, SHARE_OPEN);
}

static void the_clock_of_declaration_starts_with_a_mark(void **state)
{
    WORLD w;
    world_init(&w);
    w.services[0].rto_clock = CLOCK_DECLARATION;
    w.services[0].rto = 400 * MS;
    world_alarm(&w, "pager", ROLE_PAGE, "exec");
    world_usual(&w, 1, G16 "RRRRR" BACK);
    world_alarm_event(&w, "pager", "onset", 1700 * MS, false);
    world_event(&w, "mark", 1800 * MS, "{s:s,s:[I,I]}", "mark", "acknowledged", "at",
                (json_int_t)(101800 * MS), (json_int_t)(101800 * MS));
    world_event(&w, "mark", 1900 * MS, "{s:s,s:[I,I]}", "mark", "declared", "at",
                (json_int_t)(101900 * MS), (json_int_t)(101900 * MS));
    world_run_end(&w, "completed");
    world_measure(&w);
    const struct service_seen *s = world_seen(&w, 1);
    assert_ms(s->ttr, 2000 - 1900, 2101 - 1800); /* declared between the marks */
    assert_ms(s->tta, 1550 - 1701, 1800 - 1700);
    assert_share(&w, 1, OBJECTIVE_RTO, SHARE_WITHIN);
}

/* --- maintenance, layers ---------------------------------------------------------------------- */

static void mark_last(struct world *w, const char *what)
{
    json_object_set_new(json_array_get(w->events, json_array_size(w->events) - 1), what,
                        json_true());
}

static void what_is_suppressed_detects_nothing_until_it_is_released(void **state)
{
    WORLD w;
    world_init(&w);
    world_detect(&w, 900 * MS);
    world_alarm(&w, "pager", ROLE_PAGE, "webhook");
    world_usual(&w, 1, G16 "RRRRRRRRRR" BACK);
    world_alarm_event(&w, "pager", "onset", 1200 * MS, false); /* before the fault: not false */
    mark_last(&w, "suppressed");
    world_alarm_event(&w, "pager", "clear", 1300 * MS, false);
    mark_last(&w, "suppressed");
    world_alarm_event(&w, "pager", "onset", 1850 * MS, false);
    mark_last(&w, "suppressed");
    world_alarm_event(&w, "pager", "onset", 2300 * MS, false);
    mark_last(&w, "released");
    world_run_end(&w, "completed");
    world_measure(&w);
    const struct service_seen *s = world_seen(&w, 1);
    assert_int_equal(s->detection, DETECTION_DETECTED);
    assert_ms(s->ttd, 2300 - 1601, 2301 - 1550);
    assert_int_equal(s->alarms[0].suppressed, 2);
    assert_int_equal(s->alarms[0].false_alarms, 0);
}

static void released_of_what_fired_before_the_fault_is_masked(void **state)
{
    WORLD w;
    world_init(&w);
    world_detect(&w, 900 * MS);
    world_alarm(&w, "pager", ROLE_PAGE, "webhook");
    world_usual(&w, 1, G16 "RRRRRRRRRR" BACK);
    world_alarm_event(&w, "pager", "onset", 1200 * MS, false);
    mark_last(&w, "suppressed");
    world_alarm_event(&w, "pager", "onset", 2300 * MS, false);
    mark_last(&w, "released");
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_int_equal(world_seen(&w, 1)->detection, DETECTION_MASKED);
}

static void an_alarm_of_a_service_that_stayed_up_is_told(void **state)
{
    WORLD w;
    world_init(&w);
    world_detect(&w, 900 * MS);
    world_alarm(&w, "pager", ROLE_PAGE, "webhook");
    world_usual(&w, 1, G16 "GGGGG" BACK);
    world_alarm_event(&w, "pager", "onset", 1850 * MS, false);
    world_run_end(&w, "completed");
    const struct result *r = world_measure(&w);
    assert_true(world_seen(&w, 1)->alarms[0].without_outage);
    assert_true(world_found(&w, "alarm_without_outage"));
    assert_int_equal(r->alarms[0].without_outage, 1);
    assert_int_equal(r->alarms[0].ttd.n, 0);
}

static void each_layer_has_its_own_time_to_detect(void **state)
{
    WORLD w;
    world_init(&w);
    w.scenario.trials = 2;
    world_detect(&w, 900 * MS);
    world_alarm(&w, "pager", ROLE_PAGE, "webhook");
    world_alarm(&w, "slow", ROLE_MONITOR, "webhook");
    world_alarm(&w, "other", ROLE_MONITOR, "webhook");
    world_usual(&w, 1, G16 "RRRRRRRRRR" BACK);
    world_alarm_event(&w, "pager", "onset", 1850 * MS, false);
    world_alarm_event(&w, "slow", "onset", 2250 * MS, false);
    world_alarm_event(&w, "pager", "clear", 2400 * MS, false);
    world_usual(&w, 2, G16 "RRRRRRRRRR" BACK);
    world_alarm_event(&w, "slow", "onset", 2000 * MS, false);
    world_run_end(&w, "completed");
    const struct result *r = world_measure(&w);
    assert_int_equal(r->layers_n, 2);
    assert_int_equal(r->layers[0].role, ROLE_PAGE);
    assert_int_equal(r->layers[0].ttd.n, 2);
    assert_int_equal(r->layers[0].ttd.censored, 1);
    assert_int_equal(r->layers[0].first, 1);
    assert_int_equal(r->layers[1].first, 1);
    assert_ms(r->layers[1].ttd.min, 2000 - 1601, 2001 - 1550);
    assert_int_equal(r->alarms[2].never, 2);
    assert_int_equal(r->alarms[2].ttd.censored, 2);
    struct span resolved = world_seen(&w, 1)->alarms[0].resolved;
    assert_int_equal(resolved.hi - resolved.lo, MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alarm_after_impact_detects),
        cmocka_unit_test(detection_is_judged_by_its_interval),
        cmocka_unit_test(an_alarm_before_the_fault_is_false_and_voids_nothing),
        cmocka_unit_test(an_alarm_that_was_firing_is_masked),
        cmocka_unit_test(a_line_of_a_log_is_never_masked),
        cmocka_unit_test(a_burst_of_packets_is_one_alarm_and_the_fault_parts_bursts),
        cmocka_unit_test(an_alarm_between_fault_and_impact_is_early_and_never_clamped),
        cmocka_unit_test(an_alarm_after_restoration_detects_all_the_same),
        cmocka_unit_test(an_outage_shorter_than_the_target_without_alarm_was_restored_first),
        cmocka_unit_test(an_outage_without_any_alarm_is_not_detected),
        cmocka_unit_test(perhaps_back_before_the_target_without_alarm_is_open),
        cmocka_unit_test(never_noticed_and_never_back_is_judged_by_the_end),
        cmocka_unit_test(unaffected_and_silent_is_redundancy_lost_unnoticed),
        cmocka_unit_test(unaffected_and_noticed_is_judged_by_the_clock_of_the_fault),
        cmocka_unit_test(our_own_probe_counts_only_where_it_is_named),
        cmocka_unit_test(the_clock_of_detection_never_starts_unnoticed),
        cmocka_unit_test(the_clock_of_declaration_starts_with_a_mark),
        cmocka_unit_test(what_is_suppressed_detects_nothing_until_it_is_released),
        cmocka_unit_test(released_of_what_fired_before_the_fault_is_masked),
        cmocka_unit_test(an_alarm_of_a_service_that_stayed_up_is_told),
        cmocka_unit_test(each_layer_has_its_own_time_to_detect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
