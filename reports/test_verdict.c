/* Void trials, verdicts over trials, scenarios without faults, the run as a whole. */
#include "tests/support/test.h"

#include <errno.h>

#include "reports/fixture.h"
#include "sim/base/jsonx.h"

/* --- void ----------------------------------------------------------------------------------- */

static void a_fault_that_did_not_bite_voids(void **state)
{
    WORLD w;
    world_init(&w);
    world_step(&w, "lose");
    world_begin(&w, 1, 1);
    world_inject(&w, "lose", 1550 * MS);
    world_verify(&w, "lose", false);
    world_strip(&w, "page", G16 "RRRRR" BACK);
    world_end(&w, 3100 * MS, "completed", NULL);
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_int_equal(world_seen(&w, 1)->outcome, OUTCOME_VOID);
    assert_false(span_is_set(world_seen(&w, 1)->ttr));
    assert_int_equal(world_seen(&w, 1)->detection, DETECTION_NOT_APPLICABLE);
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_INCONCLUSIVE);
    assert_int_equal(result_exit_code(w.result), 4);
    assert_true(world_found(&w, "void"));
}

static void a_fault_that_was_not_verified_or_injected_voids(void **state)
{
    for (int i = 0; i < 3; i++) {
        WORLD w;
        world_init(&w);
        world_step(&w, "lose");
        world_begin(&w, 1, 1);
        if (i == 0)
            world_inject(&w, "lose", 1550 * MS);
        if (i == 1)
            world_event(&w, "inject", 1550 * MS, "{s:s,s:s,s:[I,I],s:b,s:s}", "step", "lose",
                        "action", "kill", "at", (json_int_t)(101550 * MS),
                        (json_int_t)(101550 * MS), "ok", 0, "error", "no process nginx");
        world_strip(&w, "page", G16 "GGGGG" BACK);
        world_end(&w, 3100 * MS, "completed", NULL);
        world_run_end(&w, "completed");
        world_measure(&w);
        assert_int_equal(world_seen(&w, 1)->outcome, OUTCOME_VOID);
    }
}

static void an_action_that_breaks_nothing_needs_no_proof(void **state)
{
    WORLD w;
    world_init(&w);
    world_step(&w, "runbook")->fault = false;
    world_usual(&w, 1, G16 "RRRRR" BACK);
    world_inject(&w, "runbook", 1800 * MS); /* no verify line follows */
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_int_equal(world_seen(&w, 1)->outcome, OUTCOME_RESTORED);
    assert_int_equal(w.result->trials[0].faults_n, 1);
}

static void a_fault_ended_early_by_others_voids(void **state)
{
    WORLD w;
    world_init(&w);
    world_usual(&w, 1, G16 "RRRRR" BACK);
    world_event(&w, "fault-gone", 1800 * MS, "{s:s,s:s}", "step", "lose", "why",
                "somebody deleted the table");
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_INCONCLUSIVE);
}

static void not_steady_voids(void **state)
{
    WORLD w;
    world_init(&w);
    world_usual(&w, 1, "GGGGGGGGGGGGRRRRRRRR" BACK);
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_int_equal(world_seen(&w, 1)->outcome, OUTCOME_VOID);
    assert_non_null(strstr(w.result->trials[0].why_void, "not steady"));

    WORLD v; /* never armed: nothing injected */
    world_init(&v);
    world_step(&v, "lose");
    v.trial = 1;
    world_event(&v, "trial-start", 0, "{s:I}", "attempt", (json_int_t)1);
    world_strip(&v, "page", "RGRGRGRGRG");
    world_event(&v, "trial-end", 3000 * MS, "{s:s,s:s}", "outcome", "void", "reason",
                "not steady within 60 s");
    world_run_end(&v, "completed");
    world_measure(&v);
    assert_verdict(&v, OBJECTIVE_RTO, VERDICT_INCONCLUSIVE);
    assert_int_equal(result_exit_code(v.result), 4);
}

static void failures_while_coming_up_are_forgotten(void **state)
{
    WORLD w;
    world_init(&w);
    w.settle.lasting = 500 * MS; /* armed at 1 s: good since 500 ms */
    world_usual(&w, 1, "RRRRRGGGGGGGGGGGRRRRR" BACK);
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_int_equal(world_seen(&w, 1)->flaps, 0);
    assert_ms(world_seen(&w, 1)->ttr, 399, 551);
}

static void trials_that_were_not_run_are_void(void **state)
{
    WORLD w;
    world_init(&w);
    w.scenario.trials = 3;
    world_usual(&w, 1, G16 "RRRRR" BACK);
    world_run_end(&w, "completed");
    world_measure(&w);
    const struct objective *o = world_objective(&w, OBJECTIVE_RTO);
    assert_int_equal(o->planned, 3);
    assert_int_equal(o->within, 1);
    assert_int_equal(o->voids, 2);
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_NOT_DEMONSTRATED);
    assert_reason(&w, OBJECTIVE_RTO, "void");
}

static void a_replaced_void_trial_is_listed_and_does_not_count(void **state)
{
    WORLD w;
    world_init(&w);
    world_step(&w, "lose");
    world_begin(&w, 1, 1);
    world_strip(&w, "page", G16);
    world_end(&w, 1600 * MS, "void", "lb1 did not start");
    world_begin(&w, 1, 2);
    world_inject(&w, "lose", 1550 * MS);
    world_verify(&w, "lose", true);
    world_strip(&w, "page", G16 "RRRRR" BACK);
    world_end(&w, 3100 * MS, "completed", NULL);
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_int_equal(w.result->trials_n, 2);
    assert_false(w.result->trials[0].counted);
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_MET);
    assert_true(world_found(&w, "void"));
}

/* --- verdicts over trials ------------------------------------------------------------------- */

static void play_trials(struct world *w, const char *strips[], size_t n)
{
    w->scenario.trials = (int64_t)n;
    for (size_t i = 0; i < n; i++)
        world_usual(w, (int64_t)i + 1, strips[i]);
    world_run_end(w, "completed");
    world_measure(w);
}

#define FAST G16 "RRRRR" BACK
#define SLOW G16 "RRRRRRRRRRRRRRRR" BACK

static void one_miss_too_many_is_not_met(void **state)
{
    WORLD w;
    world_init(&w);
    play_trials(&w, (const char *[]){FAST, FAST, SLOW}, 3);
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_NOT_MET);
    assert_reason(&w, OBJECTIVE_RTO, "missed");
    assert_int_equal(result_exit_code(w.result), 1);
    const struct objective *o = world_objective(&w, OBJECTIVE_RTO);
    assert_int_equal(result_worst_trial(w.result, o)->n, 3);

    WORLD v; /* one miss declared */
    world_init(&v);
    v.demonstrate = (struct demonstrate){.reliability = 0.2, .confidence = 0.8, .misses = 1};
    v.scenario.demonstrate = &v.demonstrate;
    play_trials(&v, (const char *[]){FAST, FAST, SLOW}, 3);
    assert_verdict(&v, OBJECTIVE_RTO, VERDICT_MET);
    assert_int_equal(world_objective(&v, OBJECTIVE_RTO)->misses_allowed, 1);
}

static void demonstrate_asks_for_the_one_sided_bound(void **state)
{
    const char *eight[8];
    for (size_t i = 0; i < 8; i++)
        eight[i] = FAST;
    WORLD w;
    world_init(&w);
    w.demonstrate = (struct demonstrate){.reliability = 0.8, .confidence = 0.8};
    w.scenario.demonstrate = &w.demonstrate;
    play_trials(&w, eight, 8);
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_MET);
    const struct objective *o = world_objective(&w, OBJECTIVE_RTO);
    assert_int_equal(o->needed_n, 8);
    assert_true(o->p_lower > 0.8 && o->p_lower < 0.82 && o->p_upper == 1);

    WORLD v;
    world_init(&v);
    v.demonstrate = w.demonstrate;
    v.scenario.demonstrate = &v.demonstrate;
    play_trials(&v, eight, 7);
    assert_verdict(&v, OBJECTIVE_RTO, VERDICT_NOT_DEMONSTRATED);
    assert_reason(&v, OBJECTIVE_RTO, "too_few");
    assert_non_null(strstr(world_objective(&v, OBJECTIVE_RTO)->reasons[0].cure, "8 trials"));
}

static void open_and_void_count_against_the_lower_bound(void **state)
{
    WORLD w;
    world_init(&w);
    w.services[0].rto = 550 * MS; /* FAST straddles it */
    play_trials(&w, (const char *[]){G16 "RRR" BACK, FAST, FAST}, 3);
    const struct objective *o = world_objective(&w, OBJECTIVE_RTO);
    assert_int_equal(o->within, 1);
    assert_int_equal(o->open, 2);
    assert_true(o->p_lower < 0.05 && o->p_upper == 1);
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_NOT_DEMONSTRATED);
    assert_reason(&w, OBJECTIVE_RTO, "open");
}

static void one_hit_among_unaffected_trials_is_enough(void **state)
{
    WORLD w;
    world_init(&w);
    play_trials(&w, (const char *[]){FAST, G16 "GGGGGGGGGG"}, 2);
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_MET);
    const struct service_summary *s = &w.result->services[0];
    assert_int_equal(s->ttr.n, 1);
    assert_int_equal(s->ttr.affected, 1);
    assert_int_equal(s->ttr.unaffected, 1);
}

static void a_service_hit_against_the_promise_is_a_miss(void **state)
{
    WORLD w;
    world_init(&w);
    world_expect(&w, EXPECT_UNAFFECTED);
    play_trials(&w, (const char *[]){FAST}, 1);
    assert_verdict(&w, OBJECTIVE_EXPECT, VERDICT_NOT_MET);
    assert_int_equal(w.result->verdict, VERDICT_NOT_MET);
    assert_true(world_found(&w, "unexpected_outage"));

    WORLD v;
    world_init(&v);
    world_expect(&v, EXPECT_AFFECTED);
    play_trials(&v, (const char *[]){G16 "GGGGGGGGGG"}, 1);
    assert_verdict(&v, OBJECTIVE_EXPECT, VERDICT_NOT_DEMONSTRATED);
}

static void downtime_adds_up(void **state)
{
    WORLD w;
    world_init(&w);
    w.services[0].max_downtime = 690 * MS;
    play_trials(&w, (const char *[]){G16 "RRRRR" BACK "RRRR" BACK}, 1);
    /* 399 + 299 .. 551 + 501 */
    assert_ms(world_seen(&w, 1)->down, 698, 1052);
    assert_verdict(&w, OBJECTIVE_MAX_DOWNTIME, VERDICT_NOT_MET);
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_MET);
}

static void an_rpo_is_not_measured_and_never_met(void **state)
{
    WORLD w;
    world_init(&w);
    w.services[0].rpo = 0;
    play_trials(&w, (const char *[]){FAST}, 1);
    assert_verdict(&w, OBJECTIVE_RPO, VERDICT_NOT_APPLICABLE);
    assert_verdict(&w, OBJECTIVE_RTO, VERDICT_MET);
    assert_int_equal(w.result->verdict, VERDICT_MET);
    assert_true(world_found(&w, "rpo_not_measured"));
    w.services[0].rto = NSEC_UNSET; /* nothing is left: inconclusive */
    world_measure(&w);
    assert_int_equal(w.result->verdict, VERDICT_INCONCLUSIVE);
    assert_int_equal(result_exit_code(w.result), 4);
}

static void a_promise_without_a_probe_is_told(void **state)
{
    WORLD w;
    world_init(&w);
    world_service(&w, "database")->rto = NSEC_SEC;
    play_trials(&w, (const char *[]){FAST}, 1);
    assert_int_equal(w.result->verdict, VERDICT_MET);
    assert_true(world_found(&w, "promise_not_measured"));
}

/* --- no fault ------------------------------------------------------------------------------- */

static void play_steady(struct world *w, const char *strip, bool alarm)
{
    w->scenario.script.n = 0;
    world_begin(w, 1, 1);
    world_strip(w, "page", strip);
    if (alarm)
        world_alarm_event(w, "pager", "onset", 2000 * MS, false);
    world_end(w, (nsec)strlen(strip) * 100 * MS, "completed", NULL);
    world_run_end(w, "completed");
    world_measure(w);
}

static void nothing_is_reported_when_nothing_breaks(void **state)
{
    WORLD w;
    world_init(&w);
    world_alarm(&w, "pager", ROLE_PAGE, "exec");
    play_steady(&w, G16 "GGGGGGGGGGGGGG", false);
    assert_verdict(&w, OBJECTIVE_NO_OUTAGE, VERDICT_MET);
    assert_verdict(&w, OBJECTIVE_NO_ALARM, VERDICT_MET);
    assert_null(world_objective(&w, OBJECTIVE_RTO));
    assert_int_equal(w.result->findings_n, 0);
    assert_int_equal(result_exit_code(w.result), 0);
}

static void an_outage_or_an_alarm_without_a_fault_is_a_miss(void **state)
{
    WORLD w;
    world_init(&w);
    world_alarm(&w, "pager", ROLE_PAGE, "exec");
    play_steady(&w, G16 "RRRRR" BACK, false);
    assert_verdict(&w, OBJECTIVE_NO_OUTAGE, VERDICT_NOT_MET);
    assert_verdict(&w, OBJECTIVE_NO_ALARM, VERDICT_MET);
    WORLD v;
    world_init(&v);
    world_alarm(&v, "pager", ROLE_PAGE, "exec");
    play_steady(&v, G16 "GGGGGGGGGGGGGG", true);
    assert_verdict(&v, OBJECTIVE_NO_OUTAGE, VERDICT_MET);
    assert_verdict(&v, OBJECTIVE_NO_ALARM, VERDICT_NOT_MET);
    assert_int_equal(result_exit_code(v.result), 1);
    assert_int_equal(v.result->alarms[0].exposure, 2000 * MS);
}

/* --- the run -------------------------------------------------------------------------------- */

static void exit_codes_in_their_order(void **state)
{
    struct result r = {.clean = 0, .status = STATUS_ABORTED, .verdict = VERDICT_NOT_MET};
    assert_int_equal(result_exit_code(&r), 6);
    r.clean = 1;
    assert_int_equal(result_exit_code(&r), 5);
    r.status = STATUS_FAILED;
    r.clean = -1;
    assert_int_equal(result_exit_code(&r), 5);
    r.status = STATUS_COMPLETED;
    r.clean = 1;
    assert_int_equal(result_exit_code(&r), 1);
    r.verdict = VERDICT_NOT_DEMONSTRATED;
    assert_int_equal(result_exit_code(&r), 4);
    r.verdict = VERDICT_INCONCLUSIVE;
    assert_int_equal(result_exit_code(&r), 4);
    r.verdict = VERDICT_MET;
    assert_int_equal(result_exit_code(&r), 0);
    assert_int_equal(result_worse_exit_code(4, 1), 1);
    assert_int_equal(result_worse_exit_code(0, 4), 4);
    assert_int_equal(result_worse_exit_code(5, 6), 6);
    assert_int_equal(result_worse_exit_code(1, 5), 5);
    assert_int_equal(result_worse_exit_code(0, 0), 0);
}

static void a_record_without_its_end_has_failed(void **state)
{
    WORLD w;
    world_init(&w);
    world_step(&w, "lose");
    world_begin(&w, 1, 1);
    world_inject(&w, "lose", 1550 * MS);
    world_strip(&w, "page", G16 "RRRRRRRRRRRRRRRRRR");
    world_measure(&w);
    assert_int_equal(w.result->status, STATUS_FAILED);
    assert_int_equal(w.result->clean, -1);
    assert_int_equal(result_exit_code(w.result), 5);
    assert_share(&w, 1, OBJECTIVE_RTO, SHARE_MISSED); /* what was seen counts */
}

static void what_was_left_behind_is_exit_6(void **state)
{
    WORLD w;
    world_init(&w);
    world_usual(&w, 1, FAST);
    world_event(&w, "clean", 9000 * MS, "{s:b,s:[s]}", "clean", 0, "left", "table blackstart");
    world_run_end(&w, "completed");
    world_measure(&w);
    assert_int_equal(result_exit_code(w.result), 6);
    assert_true(world_found(&w, "not_clean"));
}

static void records_of_others_are_refused(void **state)
{
    WORLD w;
    world_init(&w);
    struct record_head head = {0};
    struct result *r = NULL;
    struct err err = ERR_INIT;
    json_object_set_new(json_array_get(w.events, 0), "record", json_integer(2));
    assert_int_equal(measure_run(&w.scenario, w.events, &head, 0, &r, &err), -EPROTONOSUPPORT);
    assert_non_null(strstr(err.text, "version 2"));
    json_object_set_new(json_array_get(w.events, 0), "kind", json_string("probe"));
    assert_int_equal(measure_run(&w.scenario, w.events, &head, 0, &r, &err), -EINVAL);
    AUTO_JSON *empty = json_array();
    assert_int_equal(measure_run(&w.scenario, empty, &head, 0, &r, &err), -EINVAL);
    assert_null(r);
}

static void numbers_over_trials(void **state)
{
    const char *strips[] = {G16 "RRRR" BACK,    G16 "RRRRR" BACK,    G16 "RRRRRR" BACK,
                            G16 "RRRRRRR" BACK, G16 "RRRRRRRR" BACK, G16 "RRRRRRRRRRRRRRRRRR"};
    WORLD w;
    world_init(&w);
    play_trials(&w, strips, 5);
    const struct summary *m = &w.result->services[0].ttr;
    assert_int_equal(m->n, 5);
    assert_true(m->has_median && !m->median_censored);
    assert_true(m->median > 0.574 && m->median < 0.576); /* (499 + 651) / 2 */
    assert_true(m->has_ci && m->ci_level == 0.9375);
    assert_true(m->ci.lo > 0.298 && m->ci.lo < 0.300 && m->ci.hi > 0.850 && m->ci.hi < 0.852);
    assert_true(m->has_mean && m->has_mean_ci && m->restricted_to == 0);

    WORLD v; /* one never came back: the mean is restricted, the limit open */
    world_init(&v);
    play_trials(&v, strips, 6);
    m = &v.result->services[0].ttr;
    assert_int_equal(m->censored, 1);
    assert_true(m->ci_censored);
    assert_true(m->has_mean && m->restricted_to > 0 && !m->has_mean_ci);
    assert_ms(m->max, 3300 - 1601, NSEC_INF);

    WORLD u; /* a fixed phase says nothing about the spread */
    world_init(&u);
    u.scenario.phase = 1;
    play_trials(&u, strips, 5);
    assert_false(u.result->services[0].ttr.has_ci);
    assert_true(world_found(&u, "phase_fixed"));

    WORLD one;
    world_init(&one);
    play_trials(&one, strips, 1);
    assert_false(one.result->services[0].ttr.has_ci);
    assert_false(one.result->services[0].ttr.has_mean);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fault_that_did_not_bite_voids),
        cmocka_unit_test(a_fault_that_was_not_verified_or_injected_voids),
        cmocka_unit_test(an_action_that_breaks_nothing_needs_no_proof),
        cmocka_unit_test(a_fault_ended_early_by_others_voids),
        cmocka_unit_test(not_steady_voids),
        cmocka_unit_test(failures_while_coming_up_are_forgotten),
        cmocka_unit_test(trials_that_were_not_run_are_void),
        cmocka_unit_test(a_replaced_void_trial_is_listed_and_does_not_count),
        cmocka_unit_test(one_miss_too_many_is_not_met),
        cmocka_unit_test(demonstrate_asks_for_the_one_sided_bound),
        cmocka_unit_test(open_and_void_count_against_the_lower_bound),
        cmocka_unit_test(one_hit_among_unaffected_trials_is_enough),
        cmocka_unit_test(a_service_hit_against_the_promise_is_a_miss),
        cmocka_unit_test(downtime_adds_up),
        cmocka_unit_test(an_rpo_is_not_measured_and_never_met),
        cmocka_unit_test(a_promise_without_a_probe_is_told),
        cmocka_unit_test(nothing_is_reported_when_nothing_breaks),
        cmocka_unit_test(an_outage_or_an_alarm_without_a_fault_is_a_miss),
        cmocka_unit_test(exit_codes_in_their_order),
        cmocka_unit_test(a_record_without_its_end_has_failed),
        cmocka_unit_test(what_was_left_behind_is_exit_6),
        cmocka_unit_test(records_of_others_are_refused),
        cmocka_unit_test(numbers_over_trials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
