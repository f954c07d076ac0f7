/* Down periods, from the table of edge cases: what each case comes to, in virtual time. */
#include "tests/support/test.h"

#include "reports/fixture.h"
#include "sim/base/jsonx.h"

/* --- outcomes ------------------------------------------------------------------------------- */

static void never_down_is_unaffected_and_recovery_was_not_exercised(void **state)
{
    WORLD w;
    world_init(&w);
    world_usual(&w, 1, G16 "GGGGGGGGGGGGGGGGGGGG");
    world_run_end(&w, "completed");
    world_measure(&w);
    const struct service_seen *s = world_seen(&w, 1);
    assert_int_equal(s->outcome, OUTCOME_UNAFFECTED);
    assert_ms(s->ttr, 0, 201); /* down_after × interval + longest good latency */
    assert_share(&w, 1, OBJECTIVE_RTO, SHARE_WITHIN);
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_NOT_DEMONSTRATED);
    assert_reason(&w, OBJECTIVE_RTO, "recovery_not_exercised");
    assert_int_equal(result_exit_code(w.result), 4);

    world_expect(&w, EXPECT_UNAFFECTED);
    world_measure(&w);
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_MET);
    assert_verdict(&w, OBJECTIVE_EXPECT, VERDICT_MET);
    assert_int_equal(result_exit_code(w.result), 0);

    w.services[0].expect = EXPECT_EITHER;
    world_measure(&w);
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_MET);
    assert_null(world_objective(&w, OBJECTIVE_EXPECT));
}

static void a_resolution_above_the_target_is_open(void **state)
{
    WORLD w;
    world_init(&w);
    w.services[0].rto = 150 * MS;
    world_expect(&w, EXPECT_UNAFFECTED);
    world_usual(&w, 1, G16 "GGGGGGGGGGGGGGGGGGGG");
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_share(&w, 1, OBJECTIVE_RTO, SHARE_OPEN);
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_NOT_DEMONSTRATED);
}

static void a_gap_in_the_probes_widens_the_resolution(void **state)
{
    WORLD w;
    world_init(&w);
    world_usual(&w, 1, G16 "GGG       GGGGGGGGGG");
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_ms(world_seen(&w, 1)->ttr, 0, 801); /* 1800 → 2601 */
}

static void fewer_failures_than_down_after_are_blips(void **state)
{
    WORLD w;
    world_init(&w);
    world_usual(&w, 1, G16 "RGGGRGGGGGGGGG");
    world_run_end(&w, "completed");
    world_measure(&w);
    const struct service_seen *s = world_seen(&w, 1);
    assert_int_equal(s->outcome, OUTCOME_UNAFFECTED);
    assert_int_equal(s->blips, 2);
    assert_true(world_found(&w, "blips"));
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_NOT_DEMONSTRATED);
}

static void back_while_the_fault_is_in_force_is_recovery(void **state)
{
    WORLD w;
    world_init(&w);
    world_usual(&w, 1, G16 "RRRRR" BACK);
    world_run_end(&w, "completed");
    world_measure(&w);
    const struct service_seen *s = world_seen(&w, 1);
    assert_int_equal(s->outcome, OUTCOME_RESTORED);
    assert_int_equal(s->by, BY_RECOVERY);
    assert_ms(s->ttr, 399, 551);
    assert_ms(s->ttr_clock[CLOCK_FAULT], 448, 551);
    assert_ms(s->down, 399, 551);
    assert_int_equal(s->episodes_n, 1);
    assert_int_equal(s->episodes[0].faults.n, 1);
    assert_string_equal(s->episodes[0].faults.items[0], "lose");
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_MET);
    assert_int_equal(result_exit_code(w.result), 0);
    assert_int_equal(w.result->findings_n, 0);
}

static void the_verdict_follows_from_the_interval(void **state)
{
    static const struct {
        nsec rto;
        enum share share;
        enum verdict verdict;
    } cells[] = {{551 * MS, SHARE_WITHIN, VERDICT_MET},
                 {550 * MS, SHARE_OPEN, VERDICT_NOT_DEMONSTRATED},
                 {399 * MS, SHARE_OPEN, VERDICT_NOT_DEMONSTRATED},
                 {398 * MS, SHARE_MISSED, VERDICT_NOT_MET}};
    for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
        WORLD w;
        world_init(&w);
        w.services[0].rto = cells[i].rto;
        world_usual(&w, 1, G16 "RRRRR" BACK);
        world_run_end(&w, "completed");
        world_measure(&w);
        assert_share(&w, 1, OBJECTIVE_RTO, cells[i].share);
        assert_verdict(&w, OBJECTIVE_RTO, cells[i].verdict);
    }
}

/* The fault is undone at 2.55 s and the service comes back at once. */
static void play_heal(struct world *w, const char *cause)
{
    world_step(w, "lose");
    world_begin(w, 1, 1);
    world_inject(w, "lose", 1550 * MS);
    world_verify(w, "lose", true);
    world_undo(w, "lose", 2550 * MS, cause);
    world_strip(w, "page", G16 "RRRRRRRRRR" BACK);
    world_end(w, 4000 * MS, "completed", NULL);
    world_run_end(w, "completed");
    world_measure(w);
}

static void back_only_after_the_fault_was_taken_away_is_a_heal(void **state)
{
    WORLD w;
    world_init(&w);
    w.services[0].rto = 5 * NSEC_SEC;
    play_heal(&w, "for");
    const struct service_seen *s = world_seen(&w, 1);
    assert_int_equal(s->by, BY_HEAL);
    assert_int_equal(s->outcome, OUTCOME_RESTORED);
    assert_ms(s->ttr, 2500 - 1601, NSEC_INF); /* last failed start before the end of the fault */
    assert_ms(s->episodes[0].reconverge, 0, 2601 - 2550);
    assert_share(&w, 1, OBJECTIVE_RTO, SHARE_OPEN);
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_NOT_DEMONSTRATED);
    assert_true(world_found(&w, "heal"));
}

static void a_heal_later_than_the_target_is_a_miss(void **state)
{
    WORLD w;
    world_init(&w);
    w.services[0].rto = 800 * MS;
    play_heal(&w, "for");
    assert_share(&w, 1, OBJECTIVE_RTO, SHARE_MISSED);
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_NOT_MET);
}

static void a_heal_never_meets_max_downtime_either(void **state)
{
    WORLD w;
    world_init(&w);
    w.services[0].rto = NSEC_UNSET;
    w.services[0].max_downtime = 5 * NSEC_SEC;
    play_heal(&w, "for");
    assert_ms(world_seen(&w, 1)->down, 899, 1051); /* what was seen is told as it is */
    assert_share(&w, 1, OBJECTIVE_MAX_DOWNTIME, SHARE_OPEN);
}

static void a_heal_counts_where_the_scenario_says_so(void **state)
{
    WORLD w;
    world_init(&w);
    w.services[0].rto = 5 * NSEC_SEC;
    w.services[0].heal_counts = true;
    play_heal(&w, "for");
    const struct service_seen *s = world_seen(&w, 1);
    assert_int_equal(s->by, BY_HEAL);
    assert_ms(s->ttr, 899, 1051);
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_MET);
}

static void back_only_by_the_final_undo_is_a_heal(void **state)
{
    WORLD w;
    world_init(&w);
    w.services[0].rto = 5 * NSEC_SEC;
    world_step(&w, "lose");
    world_begin(&w, 1, 1);
    world_inject(&w, "lose", 1550 * MS);
    world_verify(&w, "lose", true);
    world_strip(&w, "page", G16 "RRRRRRRRRR" BACK);
    world_end(&w, 2520 * MS, "completed", NULL);
    world_undo(&w, "lose", 2530 * MS, "end");
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_int_equal(world_seen(&w, 1)->by, BY_HEAL);
    assert_ms(world_seen(&w, 1)->ttr, 899, NSEC_INF);
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_NOT_DEMONSTRATED);
}

static void down_at_the_end_is_censored(void **state)
{
    static const struct {
        nsec rto;
        enum share share;
    } cells[] = {{2000 * MS, SHARE_OPEN}, {700 * MS, SHARE_MISSED}};
    for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
        WORLD w;
        world_init(&w);
        w.services[0].rto = cells[i].rto;
        world_usual(&w, 1, G16 "RRRRRRRRRR");
        world_run_end(&w, "completed");
        world_measure(&w);
        const struct service_seen *s = world_seen(&w, 1);
        assert_int_equal(s->outcome, OUTCOME_CENSORED);
        assert_int_equal(s->by, BY_NOBODY);
        assert_ms(s->ttr, 2500 - 1601, NSEC_INF);
        assert_share(&w, 1, OBJECTIVE_RTO, cells[i].share);
    }
}

static void back_but_not_stable_at_the_end_is_censored(void **state)
{
    WORLD w;
    world_init(&w);
    world_usual(&w, 1, G16 "RRRRGGGG");
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_int_equal(world_seen(&w, 1)->outcome, OUTCOME_CENSORED);
    assert_ms(world_seen(&w, 1)->ttr, 1900 - 1601, NSEC_INF);
}

static void an_abort_while_down_is_censored_and_keeps_its_misses(void **state)
{
    static const nsec rto[] = {2000 * MS, 700 * MS};
    for (size_t i = 0; i < ARRAY_SIZE(rto); i++) {
        WORLD w;
        world_init(&w);
        w.services[0].rto = rto[i];
        world_step(&w, "lose");
        world_begin(&w, 1, 1);
        world_inject(&w, "lose", 1550 * MS);
        world_verify(&w, "lose", true);
        world_strip(&w, "page", G16 "RRRRRRRRRR");
        world_event(&w, "stop", 2560 * MS, "{s:s,s:s}", "reason", "Ctrl-C", "detail", "");
        world_end(&w, 2570 * MS, "aborted", NULL);
        world_run_end(&w, "aborted");
        world_measure(&w);
        assert_ms(world_seen(&w, 1)->ttr, 899, NSEC_INF);
        assert_share(&w, 1, OBJECTIVE_RTO, i == 0 ? SHARE_OPEN : SHARE_MISSED);
        assert_int_equal(w.result->status, STATUS_ABORTED);
        assert_int_equal(w.result->verdict, i == 0 ? VERDICT_NOT_DEMONSTRATED : VERDICT_NOT_MET);
        assert_int_equal(result_exit_code(w.result), 5);
    }
}

static void an_abort_before_the_fault_is_void(void **state)
{
    WORLD w;
    world_init(&w);
    world_step(&w, "lose");
    world_begin(&w, 1, 1);
    world_strip(&w, "page", G16);
    world_end(&w, 1540 * MS, "aborted", NULL);
    world_run_end(&w, "aborted");
    world_measure(&w);
    assert_int_equal(world_seen(&w, 1)->outcome, OUTCOME_VOID);
    assert_false(span_is_set(world_seen(&w, 1)->ttr));
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_INCONCLUSIVE);
    assert_int_equal(result_exit_code(w.result), 5);
}

static void unaffected_up_to_an_abort_is_open(void **state)
{
    WORLD w;
    world_init(&w);
    world_expect(&w, EXPECT_UNAFFECTED);
    world_step(&w, "lose");
    world_begin(&w, 1, 1);
    world_inject(&w, "lose", 1550 * MS);
    world_verify(&w, "lose", true);
    world_strip(&w, "page", G16 "GGG");
    world_end(&w, 1900 * MS, "aborted", NULL);
    world_run_end(&w, "aborted");
    world_measure(&w);
    assert_share(&w, 1, OBJECTIVE_RTO, SHARE_OPEN);
    assert_share(&w, 1, OBJECTIVE_EXPECT, SHARE_OPEN);
}

/* --- episodes ------------------------------------------------------------------------------- */

static void flaps_inside_stable_are_one_episode(void **state)
{
    WORLD w;
    world_init(&w);
    world_usual(&w, 1, G16 "RRRGGGRRGGGGR" BACK);
    world_run_end(&w, "completed");
    world_measure(&w);
    const struct service_seen *s = world_seen(&w, 1);
    assert_int_equal(s->episodes_n, 1);
    assert_int_equal(s->flaps, 2);
    assert_ms(s->ttr, 2800 - 1601, 2901 - 1550); /* to the final restored */
    /* down for certain: 1601–1800, 2201–2300, and nothing of the last single failure */
    assert_ms(s->down, 199 + 99, 1351);
    assert_true(world_found(&w, "flaps"));
}

static void a_relapse_is_an_episode_of_its_own_and_the_longest_counts(void **state)
{
    WORLD w;
    world_init(&w);
    world_usual(&w, 1, G16 "RRR" BACK "RRRRRR" BACK);
    world_run_end(&w, "completed");
    world_measure(&w);
    const struct service_seen *s = world_seen(&w, 1);
    assert_int_equal(s->judged_n, 2);
    assert_ms(s->episodes[0].ttr[CLOCK_IMPACT], 199, 351);
    assert_ms(s->episodes[1].ttr[CLOCK_IMPACT], 3400 - 2901, 3501 - 2800);
    assert_ms(s->ttr, 499, 701);
    assert_ms(s->down, 199 + 499, 351 + 701);
    assert_true(world_found(&w, "relapse"));
}

static void an_outage_of_the_undoing_is_reported_and_not_judged(void **state)
{
    WORLD w;
    world_init(&w);
    w.services[0].rto = 500 * MS;
    world_step(&w, "lose");
    world_begin(&w, 1, 1);
    world_inject(&w, "lose", 1550 * MS);
    world_verify(&w, "lose", true);
    world_undo(&w, "lose", 3050 * MS, "for");
    world_strip(&w, "page",
                G16 "RRR" BACK "GG"
                    "RRRRRRRR" BACK);
    world_end(&w, 5000 * MS, "completed", NULL);
    world_run_end(&w, "completed");
    world_measure(&w);
    const struct service_seen *s = world_seen(&w, 1);
    assert_int_equal(s->episodes_n, 2);
    assert_int_equal(s->judged_n, 1);
    assert_false(s->episodes[0].undo);
    assert_true(s->episodes[1].undo);
    assert_ms(s->ttr, 199, 351);
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_MET);
    assert_true(world_found(&w, "outage_at_undo"));
}

static void an_outage_at_the_final_undo_is_not_judged(void **state)
{
    WORLD w;
    world_init(&w);
    world_step(&w, "lose");
    world_begin(&w, 1, 1);
    world_inject(&w, "lose", 1550 * MS);
    world_verify(&w, "lose", true);
    world_strip(&w, "page", G16 "RRR" BACK "RRRRRRRRRRRRRRRRRR");
    world_end(&w, 2890 * MS, "completed", NULL);
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_int_equal(world_seen(&w, 1)->judged_n, 1);
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_MET);
}

static void overlapping_faults_are_one_set(void **state)
{
    WORLD w;
    world_init(&w);
    world_step(&w, "a");
    world_step(&w, "b");
    world_begin(&w, 1, 1);
    world_inject(&w, "a", 1550 * MS);
    world_verify(&w, "a", true);
    world_inject(&w, "b", 1750 * MS);
    world_verify(&w, "b", true);
    world_strip(&w, "page", G16 "RRRRR" BACK);
    world_end(&w, 3100 * MS, "completed", NULL);
    world_run_end(&w, "completed");
    world_measure(&w);
    const struct service_seen *s = world_seen(&w, 1);
    assert_int_equal(s->episodes_n, 1);
    assert_int_equal(s->episodes[0].faults.n, 2);
    assert_int_equal(s->by, BY_RECOVERY);
    assert_ms(s->ttr, 399, 551);
}

static void of_two_faults_the_first_taken_away_may_have_healed_it(void **state)
{
    WORLD w;
    world_init(&w);
    world_step(&w, "a");
    world_step(&w, "b");
    world_begin(&w, 1, 1);
    world_inject(&w, "a", 1550 * MS);
    world_verify(&w, "a", true);
    world_inject(&w, "b", 1600 * MS);
    world_verify(&w, "b", true);
    world_undo(&w, "a", 1950 * MS, "for");
    world_strip(&w, "page", G16 "RRRRR" BACK);
    world_end(&w, 3100 * MS, "completed", NULL);
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_int_equal(world_seen(&w, 1)->by, BY_HEAL);
    assert_ms(world_seen(&w, 1)->ttr, 1900 - 1601, NSEC_INF);
}

/* --- services of several probes ------------------------------------------------------------- */

static void play_two_probes(struct world *w, int64_t at_least)
{
    w->services[0].down_at_least = at_least;
    world_probe(w, "second", "checkout");
    world_step(w, "lose");
    world_begin(w, 1, 1);
    world_inject(w, "lose", 1550 * MS);
    world_verify(w, "lose", true);
    world_strip(w, "page", G16 "RRRRRR" BACK "GG");
    world_strip(w, "second", G16 "GGRRRRRR" BACK);
    world_end(w, 3500 * MS, "completed", NULL);
    world_run_end(w, "completed");
    world_measure(w);
}

static void down_when_any_probe_is(void **state)
{
    WORLD w;
    world_init(&w);
    play_two_probes(&w, 1);
    const struct service_seen *s = world_seen(&w, 1);
    assert_int_equal(s->episodes_n, 1);
    assert_ms(s->ttr, 2300 - 1601, 2401 - 1550);
}

static void down_when_both_probes_are(void **state)
{
    WORLD w;
    world_init(&w);
    play_two_probes(&w, 2);
    const struct service_seen *s = world_seen(&w, 1);
    assert_int_equal(s->episodes_n, 1);
    assert_ms(s->ttr, 2100 - 1801, 2201 - 1700);
    assert_int_equal(s->by, BY_RECOVERY);
}

static void two_probes_down_one_after_the_other_are_not_both_down(void **state)
{
    WORLD w;
    world_init(&w);
    w.services[0].down_at_least = 2;
    world_probe(&w, "second", "checkout");
    world_step(&w, "lose");
    world_begin(&w, 1, 1);
    world_inject(&w, "lose", 1550 * MS);
    world_verify(&w, "lose", true);
    world_strip(&w, "page", G16 "RR" BACK "GGGGGGGGG");
    world_strip(&w, "second", G16 "GGGGGGRR" BACK "GGG");
    world_end(&w, 3500 * MS, "completed", NULL);
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_int_equal(world_seen(&w, 1)->outcome, OUTCOME_UNAFFECTED);
}

/* --- trouble in measuring ------------------------------------------------------------------- */

static void control_down_while_probes_are_good_changes_nothing(void **state)
{
    WORLD w;
    world_init(&w);
    world_probe(&w, "bystander", NULL);
    world_usual(&w, 1, G16 "RRRRR" BACK);
    world_strip(&w, "bystander", G16 "GGGGGGRRRR" BACK);
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_ms(world_seen(&w, 1)->ttr, 399, 551);
    assert_int_equal(world_seen(&w, 1)->unknown, 0);
    assert_true(world_found(&w, "control_down"));
}

static void control_down_while_probes_are_bad_widens(void **state)
{
    WORLD w;
    world_init(&w);
    world_probe(&w, "bystander", NULL);
    world_usual(&w, 1, G16 "RRRRRRRR" BACK);
    world_strip(&w, "bystander", G16 "GGGGGRRRGGGGG");
    world_run_end(&w, "completed");
    world_measure(&w);
    const struct service_seen *s = world_seen(&w, 1);
    /* the control path was down from [2000 at the earliest] to [2401 at the latest] */
    assert_int_equal(s->unknown, 4);
    assert_ms(s->ttr, 1900 - 1601, 2401 - 1550);
    assert_true(world_found(&w, "unknown_probes"));
}

static void an_outage_that_only_the_control_path_explains_is_unknown_not_passed(void **state)
{
    WORLD w;
    world_init(&w);
    world_probe(&w, "bystander", NULL);
    w.services[0].rto = 500 * MS;
    world_expect(&w, EXPECT_EITHER);
    world_usual(&w, 1, G16 "RRRRRRRR" BACK);
    world_strip(&w, "bystander", G16 "RRRRRRRR" BACK);
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_int_equal(world_seen(&w, 1)->outcome, OUTCOME_UNAFFECTED);
    assert_ms(world_seen(&w, 1)->ttr, 0, 2401 - 1550);
    assert_share(&w, 1, OBJECTIVE_RTO, SHARE_OPEN);
}

static void a_late_runner_makes_failures_unknown(void **state)
{
    WORLD w;
    world_init(&w);
    world_usual(&w, 1, G16 "RRRRR" BACK);
    world_event(&w, "trouble", 1900 * MS, "{s:s,s:s,s:I,s:I}", "what", "runner-late", "detail",
                "150 ms late", "from", (json_int_t)(101900 * MS), "to", (json_int_t)(102050 * MS));
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_int_equal(world_seen(&w, 1)->unknown, 2);
    assert_ms(world_seen(&w, 1)->ttr, 1800 - 1601, 551);
    assert_true(world_found(&w, "trouble"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_down_is_unaffected_and_recovery_was_not_exercised),
        cmocka_unit_test(a_resolution_above_the_target_is_open),
        cmocka_unit_test(a_gap_in_the_probes_widens_the_resolution),
        cmocka_unit_test(fewer_failures_than_down_after_are_blips),
        cmocka_unit_test(back_while_the_fault_is_in_force_is_recovery),
        cmocka_unit_test(the_verdict_follows_from_the_interval),
        cmocka_unit_test(back_only_after_the_fault_was_taken_away_is_a_heal),
        cmocka_unit_test(a_heal_later_than_the_target_is_a_miss),
        cmocka_unit_test(a_heal_never_meets_max_downtime_either),
        cmocka_unit_test(a_heal_counts_where_the_scenario_says_so),
        cmocka_unit_test(back_only_by_the_final_undo_is_a_heal),
        cmocka_unit_test(down_at_the_end_is_censored),
        cmocka_unit_test(back_but_not_stable_at_the_end_is_censored),
        cmocka_unit_test(an_abort_while_down_is_censored_and_keeps_its_misses),
        cmocka_unit_test(an_abort_before_the_fault_is_void),
        cmocka_unit_test(unaffected_up_to_an_abort_is_open),
        cmocka_unit_test(flaps_inside_stable_are_one_episode),
        cmocka_unit_test(a_relapse_is_an_episode_of_its_own_and_the_longest_counts),
        cmocka_unit_test(an_outage_of_the_undoing_is_reported_and_not_judged),
        cmocka_unit_test(an_outage_at_the_final_undo_is_not_judged),
        cmocka_unit_test(overlapping_faults_are_one_set),
        cmocka_unit_test(of_two_faults_the_first_taken_away_may_have_healed_it),
        cmocka_unit_test(down_when_any_probe_is),
        cmocka_unit_test(down_when_both_probes_are),
        cmocka_unit_test(two_probes_down_one_after_the_other_are_not_both_down),
        cmocka_unit_test(control_down_while_probes_are_good_changes_nothing),
        cmocka_unit_test(control_down_while_probes_are_bad_widens),
        cmocka_unit_test(an_outage_that_only_the_control_path_explains_is_unknown_not_passed),
        cmocka_unit_test(a_late_runner_makes_failures_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
