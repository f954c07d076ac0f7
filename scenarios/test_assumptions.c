/* What a forecast assumes, as it was written and as it is read: every way of writing it, the ranges and
 * the paths to them, and who may not run what is only assumed.
 */
#include "tests/support/test.h"

#include "scenarios/scenario.h"

#include <errno.h>
#include <math.h>

static struct scenario *load_with(const char *path, const struct strv *sets)
{
    AUTO_DIAGS diags = DIAGS_INIT;
    AUTO_BUF said = BUF_INIT;
    struct scenario *s = NULL;
    if (scenario_load(path, sets, &diags, &s) < 0 || diags.n) {
        diags_render(&diags, &said);
        fail_msg("%s", buf_text(&said));
    }
    return s;
}

static const struct stage *stage_of(const struct scenario *s, const char *service, const char *name)
{
    const struct service_model *m = assumed_service(s->assumptions, service);
    assert_non_null(m);
    for (size_t i = 0; i < m->restore.n; i++)
        if (!strcmp(((const struct stage *)m->restore.items[i])->name, name))
            return m->restore.items[i];
    fail_msg("no stage %s", name);
    return NULL;
}

static void assert_takes(const struct distribution *d, enum distribution_kind kind, double a,
                         double b)
{
    assert_non_null(d);
    assert_int_equal(d->kind, kind);
    assert_int_equal(d->a, (nsec)(a * NSEC_SEC));
    if (b >= 0)
        assert_int_equal(d->b, (nsec)(b * NSEC_SEC));
}

static void stages_are_read_as_they_are_written(void **state)
{
    CLEANUP(scenario_free_p)
    struct scenario *s = load_with(TEST_CORPUS "/good/everything.yaml", NULL);
    const struct stage *failover = stage_of(s, "checkout", "failover"),
                       *page = stage_of(s, "checkout", "page-dba"),
                       *dns = stage_of(s, "checkout", "dns"),
                       *look = stage_of(s, "checkout", "look"),
                       *warm = stage_of(s, "checkout", "warm-up"),
                       *cache = stage_of(s, "checkout", "cache"),
                       *drain = stage_of(s, "checkout", "catch-up");
    assert_takes(failover->takes, DISTRIBUTION_UNIFORM, 1, 3);
    assert_true(fabs(failover->works - 0.98) < 1e-12);
    assert_string_equal(failover->otherwise, "page-dba");
    assert_takes(page->takes, DISTRIBUTION_PERT, 60, 180);
    assert_true(page->fallback && page->is_change && page->approvals == 1);
    assert_true(!dns->takes && dns->ttl == 30 * NSEC_SEC && fabs(dns->clients - 0.95) < 1e-12);
    assert_int_equal(look->start, STAGE_AT_DETECTION);
    assert_int_equal(warm->start, STAGE_AFTER);
    assert_int_equal(warm->after.n, 2);
    assert_takes(stage_of(s, "checkout", "breathe")->takes, DISTRIBUTION_CONSTANT, 3, -1);
    assert_int_equal(warm->takes->kind, DISTRIBUTION_EMPIRICAL); /* of a file */
    assert_int_equal(warm->takes->values_n, 3);
    assert_int_equal(warm->takes->values[1], 9500 * NSEC_MSEC);
    assert_int_equal(cache->takes->parts_n, 2);
    assert_int_equal(cache->takes->parts[1].of.values_n, 3);
    assert_true(drain->drain && !drain->takes);
}

static void what_follows_from_others_is_set(void **state)
{
    CLEANUP(scenario_free_p)
    struct scenario *s = load_with(TEST_CORPUS "/good/everything.yaml", NULL);
    const struct assumptions *a = s->assumptions;
    const struct responder *dba = assumed_responder(a, "dba"), *lead = assumed_responder(a, "lead");
    assert_int_equal(dba->escalate_after, 600 * NSEC_SEC);
    assert_string_equal(dba->escalate_to, "lead");
    assert_int_equal(dba->loops, 3);
    assert_true(dba->from == 8 * 3600 * NSEC_SEC && dba->to == 66600 * NSEC_SEC);
    assert_true(fabs(dba->responds - 0.945) < 1e-12); /* the middle of a range */
    assert_takes(dba->acknowledges, DISTRIBUTION_LOGNORMAL, 210, 720);
    assert_true(dba->acknowledges->least == 20 * NSEC_SEC && !nsec_is_set(dba->acknowledges->most));
    assert_false(nsec_is_set(lead->escalate_after) || nsec_is_set(lead->from));
    const struct service_model *database = assumed_service(a, "database"),
                               *fraud = assumed_service(a, "fraud-check");
    assert_true(database->redundancy->mode == ACTIVE_ACTIVE && database->redundancy->need == 2);
    assert_true(fraud->redundancy->mode == ACTIVE_PASSIVE && fraud->redundancy->need == 1);
    assert_true(fabs(assumed_alarm(a, "wire")->fires - 0.99) < 1e-12);
    assert_int_equal(assumed_crew(a, "office")->at_a_time, 1);
    assert_string_equal(assumed_component(a, "rack")->crew, "field");
    assert_int_equal(a->time_of_day, 9000 * NSEC_SEC);
    assert_null(assumed_service(a, "nobody"));
}

static void ranges_have_a_path_by_which_they_can_be_set(void **state)
{
    CLEANUP(scenario_free_p)
    struct scenario *s = load_with(TEST_CORPUS "/good/everything.yaml", NULL);
    static const char *const paths[] = {
        "services.checkout.costs.per_hour",        "components.rack.fails.weibull.shape",
        "roles.dba.acknowledges.lognormal.median", "roles.dba.responds",
        "roles.dba.hours.otherwise.uniform.2",     "model.checkout.restore.look.works",
    };
    const struct objects *v = &s->assumptions->uncertain;
    char *sets[ARRAY_SIZE(paths)] = {NULL};
    for (size_t i = 0; i < v->n; i++) {
        const struct uncertain *c = v->items[i];
        char text[UNCERTAIN_TEXT_MAX];
        assert_string_equal(c->path, paths[i]);
        assert_true(c->low < c->high);
        sets[i] = arena_printf(s->arena, "%s=%s", c->path, uncertain_text(c, 1, text));
    }
    assert_int_equal(v->n, ARRAY_SIZE(paths));
    const struct strv set = {sets, ARRAY_SIZE(sets)};
    CLEANUP(scenario_free_p)
    struct scenario *high = load_with(TEST_CORPUS "/good/everything.yaml", &set);
    assert_int_equal(high->assumptions->uncertain.n, 0);
    assert_takes(assumed_responder(high->assumptions, "dba")->acknowledges, DISTRIBUTION_LOGNORMAL,
                 300, 720);
    assert_true(fabs(stage_of(high, "checkout", "look")->works - 0.9) < 1e-9);
    assert_true(fabs(scenario_service(high, "checkout")->costs->per_hour - 6500.5) < 1e-6);
}

static void what_is_only_assumed_is_not_run(void **state)
{
    struct err err = ERR_INIT;
    CLEANUP(scenario_free_p)
    struct scenario *live = load_with(TEST_CORPUS "/good/quiet.yaml", NULL);
    CLEANUP(scenario_free_p)
    struct scenario *s = load_with(TEST_CORPUS "/good/forecast.yaml", NULL);
    assert_int_equal(scenario_can_run(live, &err), 0);
    assert_int_equal(scenario_can_run(s, &err), -ENOTSUP);
    assert_non_null(strstr(err.text, "the alarm 'calls' is only assumed"));
    s->alarms.n = 0;
    assert_int_equal(scenario_can_run(s, &err), -ENOTSUP);
    assert_non_null(strstr(err.text, "has no hosts, so it can be forecast but not rehearsed"));
    const struct alarm_model *calls = assumed_alarm(s->assumptions, "calls"),
                             *reports = assumed_alarm(s->assumptions, "reports");
    assert_takes(calls->delay, DISTRIBUTION_LOGNORMAL, 300, 900);
    assert_takes(reports->delay, DISTRIBUTION_CONSTANT, 600, -1);
}

/* The share that a cut leaves, against the quantiles that each kind is written by. */
static void what_a_cut_leaves_is_known(void **state)
{
    const nsec s = NSEC_SEC, none = NSEC_UNSET;
    const nsec values[] = {1 * NSEC_SEC, 2 * NSEC_SEC, 3 * NSEC_SEC, 4 * NSEC_SEC};
    const struct distribution uniform = {
        .kind = DISTRIBUTION_UNIFORM, .a = 0, .b = 10 * s, .least = none, .most = 5 * s};
    const struct distribution_part parts[] = {{0.25, uniform}, {0.75, uniform}};
    const struct {
        struct distribution d;
        double kept;
    } cases[] = {
        {{.kind = DISTRIBUTION_CONSTANT, .a = s, .least = none, .most = none}, 1},
        {{.kind = DISTRIBUTION_CONSTANT, .a = s, .least = 2 * s, .most = none}, 0},
        {uniform, 0.5},
        {{.kind = DISTRIBUTION_EXPONENTIAL, .a = s, .least = none, .most = s}, 0.632121},
        {{.kind = DISTRIBUTION_NORMAL, .a = 9 * s, .b = s, .least = 9 * s, .most = none}, 0.5},
        {{.kind = DISTRIBUTION_LOGNORMAL, .a = s, .b = 4 * s, .least = none, .most = 4 * s}, 0.95},
        {{.kind = DISTRIBUTION_GAMMA, .a = 30 * s, .shape = 3, .least = none, .most = 40 * s},
         0.761897}, /* three exponential stages of 10 s */
        {{.kind = DISTRIBUTION_GAMMA, .a = s, .shape = 0.5, .least = none, .most = s}, 0.682689},
        {{.kind = DISTRIBUTION_WEIBULL, .a = s, .shape = 2, .least = none, .most = s}, 0.632121},
        {{.kind = DISTRIBUTION_TRIANGULAR, .b = s, .c = 2 * s, .least = none, .most = s}, 0.5},
        {{.kind = DISTRIBUTION_PERT, .b = s, .c = 2 * s, .least = s, .most = none}, 0.5},
        {{.kind = DISTRIBUTION_EMPIRICAL,
          .values = values,
          .values_n = 4,
          .least = 2 * s,
          .most = 3 * s},
         0.5},
        {{.kind = DISTRIBUTION_MIXTURE, .parts = parts, .parts_n = 2, .least = 1 * s, .most = none},
         0.8},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (fabs(distribution_kept(&cases[i].d) - cases[i].kept) > 1e-3)
            fail_msg("case %zu: %f is kept, not %f", i, distribution_kept(&cases[i].d),
                     cases[i].kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_are_read_as_they_are_written),
        cmocka_unit_test(what_follows_from_others_is_set),
        cmocka_unit_test(ranges_have_a_path_by_which_they_can_be_set),
        cmocka_unit_test(what_is_only_assumed_is_not_run),
        cmocka_unit_test(what_a_cut_leaves_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
