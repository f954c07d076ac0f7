/* How a service comes back: what waits for what, and for how long, with times that are constant. */
#include "tests/support/test.h"

#include "sim/forecast/fixture.h"

#define S SECONDS

static void run(struct people_world *w)
{
    if (!w->response) {
        struct err err = ERR_INIT;
        if (people_ready(w, &err) < 0)
            fail_msg("%s", err.text);
    }
    people_run(w);
}

static void done(struct people_world *w)
{
    w->response = response_free(w->response);
}

static void stages_follow_one_another(void **state)
{
    struct people_world w = people_world();
    people_stage(&w, "detect", CONSTANT(2));
    people_stage(&w, "failover", CONSTANT(3));
    people_stage(&w, "warm-up", CONSTANT(10));
    w.in = (struct response_input){.impact = S(100), .detected = NSEC_INF};
    run(&w);
    assert_int_equal(w.out.restored, S(115));
    assert_int_equal(w.out.last, 2);
    assert_int_equal(w.ran[2].before, 1);
    assert_int_equal(w.ran[0].before, SIZE_MAX);
    assert_int_equal(w.out.acknowledged, NSEC_UNSET);
    assert_int_equal(w.out.drained, NSEC_UNSET);
    const struct response_quantity *q;
    assert_int_equal(response_quantities(w.response, &q), 3);
    assert_string_equal(q[1].name, "stage:web/failover");
    w.no_time = 1;
    run(&w);
    assert_int_equal(w.out.restored, S(112));
    done(&w);
}

/* a at impact, b at detection, c after both: the later of them lets it begin. */
static void parallel_stages_join(void **state)
{
    struct people_world w = people_world();
    people_stage(&w, "a", CONSTANT(20));
    people_stage(&w, "b", CONSTANT(5))->start = STAGE_AT_DETECTION;
    people_stage(&w, "c", CONSTANT(1))->after = NAMES(&w, "a", "b");
    w.in = (struct response_input){.impact = S(0), .detected = S(10)};
    run(&w);
    assert_int_equal(w.out.restored, S(21));
    assert_int_equal(w.ran[2].before, 0);
    w.in.detected = S(18);
    run(&w);
    assert_int_equal(w.out.restored, S(24));
    assert_int_equal(w.ran[2].before, 1);
    nsec path[3];
    response_path(w.response, w.ran, w.calls, &w.out, path);
    assert_int_equal(path[0], 0);
    assert_int_equal(path[1], S(5));
    assert_int_equal(path[2], S(1));
    w.in.detected = NSEC_INF; /* never noticed, so b never begins */
    run(&w);
    assert_int_equal(w.out.restored, NSEC_INF);
    assert_false(w.ran[1].taken);
    assert_false(w.ran[2].taken);
    done(&w);
}

static void what_fails_is_followed_by_its_else(void **state)
{
    struct people_world w = people_world();
    struct stage *failover = people_stage(&w, "failover", CONSTANT(2));
    failover->otherwise = TEXT("by-hand");
    people_stage(&w, "by-hand", CONSTANT(60))->fallback = true;
    struct stage *repair = people_stage(&w, "repair", CONSTANT(30)); /* of the same branch */
    repair->fallback = true;
    repair->after = NAMES(&w, "by-hand");
    people_stage(&w, "dns", CONSTANT(5));
    w.in = (struct response_input){.impact = 0, .detected = NSEC_INF};
    run(&w);
    assert_int_equal(w.out.restored, S(7));
    assert_false(w.ran[1].taken);
    assert_int_equal(w.ran[3].before, 0);
    failover->works = 0;
    run(&w);
    assert_int_equal(w.out.restored, S(97));
    assert_true(w.ran[0].taken && !w.ran[0].worked);
    assert_int_equal(w.ran[1].before, 0);
    assert_int_equal(w.ran[2].before, 1);
    assert_int_equal(w.ran[3].before, 2);
    w.sure = 0;
    run(&w);
    assert_int_equal(w.out.restored, S(7));
    failover->otherwise = NULL;
    done(&w);
}

static void without_an_else_nothing_comes_back(void **state)
{
    struct people_world w = people_world();
    people_stage(&w, "failover", CONSTANT(2))->works = 0;
    people_stage(&w, "dns", CONSTANT(5));
    run(&w);
    assert_int_equal(w.out.restored, NSEC_INF);
    assert_true(w.ran[0].taken);
    assert_false(w.ran[1].taken);
    done(&w);
}

static void an_else_of_an_else(void **state)
{
    struct people_world w = people_world();
    struct stage *a = people_stage(&w, "a", CONSTANT(1)), *b, *c;
    a->works = 0;
    a->otherwise = TEXT("b");
    b = people_stage(&w, "b", CONSTANT(10));
    b->fallback = true;
    b->works = 0;
    b->otherwise = TEXT("c");
    c = people_stage(&w, "c", CONSTANT(100));
    c->fallback = true;
    people_stage(&w, "d", CONSTANT(1000))->after = NAMES(&w, "a");
    run(&w);
    assert_int_equal(w.out.restored, S(1111));
    assert_int_equal(w.ran[3].before, 2);
    a->works = 1;
    run(&w);
    assert_int_equal(w.out.restored, S(1001));
    done(&w);
}

/* Paged by the alarm, or when the stage is ready; once for all stages of a role. */
static void people_are_paged_once(void **state)
{
    struct people_world w = people_world();
    people_responder(&w, "dba", CONSTANT(60));
    people_stage(&w, "automatic", CONSTANT(30));
    people_stage(&w, "promote", CONSTANT(10))->by = TEXT("dba");
    struct stage *look = people_stage(&w, "look", CONSTANT(5));
    look->by = TEXT("dba");
    look->start = STAGE_AT_DETECTION;
    w.in = (struct response_input){.impact = 0, .detected = S(20)};
    run(&w);
    assert_int_equal(w.calls[0].paged, S(20)); /* for `look`, which is ready first */
    assert_int_equal(w.out.acknowledged, S(80));
    assert_int_equal(w.ran[1].begin, S(80));
    assert_int_equal(w.ran[2].begin, S(80));
    assert_int_equal(w.out.restored, S(90));
    const struct response_quantity *q;
    assert_int_equal(response_quantities(w.response, &q), 4);
    assert_string_equal(q[3].name, "ack:dba");
    nsec path[4];
    response_path(w.response, w.ran, w.calls, &w.out, path);
    assert_int_equal(path[0], 0); /* the page went out at detection, not after it */
    assert_int_equal(path[1], S(10));
    assert_int_equal(path[3], S(60));
    w.in.detected = NSEC_INF;
    run(&w);
    assert_int_equal(w.out.restored, NSEC_INF);
    assert_int_equal(w.out.acknowledged, NSEC_INF);
    w.in.detected = S(20);
    w.no_time = 3;
    run(&w);
    assert_int_equal(w.out.restored, S(40));
    done(&w);
}

static void who_does_not_answer_is_escalated(void **state)
{
    struct people_world w = people_world();
    struct responder *first = people_responder(&w, "oncall", CONSTANT(60));
    first->escalate_after = S(300);
    first->escalate_to = TEXT("lead");
    first->deputies = NAMES(&w, "carol");
    first->responds = 0;
    struct responder *lead = people_responder(&w, "lead", CONSTANT(120));
    people_stage(&w, "repair", CONSTANT(10))->by = TEXT("oncall");
    w.in = (struct response_input){.impact = 0, .detected = 0};
    run(&w); /* oncall, carol, then the lead */
    assert_int_equal(w.out.acknowledged, S(720));
    lead->escalate_after = S(60); /* who is slower than that: round and round */
    first->loops = 2;
    run(&w);
    assert_int_equal(w.out.acknowledged, NSEC_INF);
    first->responds = 1;
    run(&w);
    assert_int_equal(w.out.acknowledged, S(60));
    first->responds = 0;
    first->loops = 0; /* for ever: given up some day */
    run(&w);
    assert_int_equal(w.out.acknowledged, NSEC_INF);
    done(&w);
}

static void hours_of_the_day(void **state)
{
    struct people_world w = people_world();
    struct responder *vendor = people_responder(&w, "vendor", CONSTANT(600));
    vendor->from = S(9 * 3600);
    vendor->to = S(17 * 3600);
    people_stage(&w, "repair", CONSTANT(0))->by = TEXT("vendor");
    w.in = (struct response_input){.day_offset = S(10 * 3600)};
    run(&w);
    assert_int_equal(w.out.restored, S(600));
    w.in.day_offset = S(20 * 3600); /* waits for 13 hours */
    run(&w);
    assert_int_equal(w.out.restored, S(13 * 3600 + 600));
    vendor->otherwise = CONSTANT(3600);
    run(&w);
    assert_int_equal(w.out.restored, S(3600));
    vendor->otherwise = NULL;
    vendor->from = S(22 * 3600); /* over midnight */
    vendor->to = S(6 * 3600);
    w.in.day_offset = S(2 * 3600);
    run(&w);
    assert_int_equal(w.out.restored, S(600));
    w.in.day_offset = S(6 * 3600);
    run(&w);
    assert_int_equal(w.out.restored, S(16 * 3600 + 600));
    done(&w);
}

static void others_must_approve(void **state)
{
    struct people_world w = people_world();
    people_responder(&w, "dba", CONSTANT(60));
    struct stage *s = people_stage(&w, "promote", CONSTANT(10));
    s->by = TEXT("dba");
    s->approvals = 2;
    run(&w);
    assert_int_equal(w.ran[0].begin, S(120));
    assert_int_equal(w.out.restored, S(130));
    const struct response_quantity *q;
    assert_int_equal(response_quantities(w.response, &q), 3);
    assert_string_equal(q[2].name, "approval:web/promote");
    nsec path[3];
    response_path(w.response, w.ran, w.calls, &w.out, path);
    assert_int_equal(path[0], S(10));
    assert_int_equal(path[1], S(60));
    assert_int_equal(path[2], S(60));
    done(&w);
}

static void changes_wait_for_the_end_of_a_freeze(void **state)
{
    struct people_world w = people_world();
    people_freeze(&w, S(50), S(50));
    people_freeze(&w, S(0), S(60));
    struct stage *s = people_stage(&w, "promote", CONSTANT(10));
    w.in.impact = S(5);
    run(&w);
    assert_int_equal(w.out.restored, S(15));
    s->is_change = true;
    run(&w);
    assert_int_equal(w.out.restored, S(110));
    w.in.impact = S(100);
    run(&w);
    assert_int_equal(w.out.restored, S(110));
    done(&w);
}

static void caches_and_backlogs(void **state)
{
    struct people_world w = people_world();
    w.model.load = 0.7;
    people_stage(&w, "failover", CONSTANT(1788));
    struct stage *dns = people_stage(&w, "dns", NULL);
    dns->ttl = S(30);
    dns->clients = 0.4;
    w.in = (struct response_input){.impact = 0};
    run(&w);
    assert_int_equal(w.out.restored, S(1800));
    assert_int_equal(w.out.drained, S(6000)); /* 70 minutes more */
    struct stage *drain = people_stage(&w, "drain", NULL);
    drain->drain = true;
    done(&w);
    run(&w);
    assert_int_equal(w.out.restored, S(6000));
    assert_int_equal(w.out.drained, S(6000));
    w.in.capacity = 0.5; /* with half of the units the backlog only grows */
    run(&w);
    assert_int_equal(w.out.drained, NSEC_INF);
    done(&w);
}

static void refused(struct people_world *w, const char *why)
{
    struct err err = ERR_INIT;
    struct response *r = w->response;
    assert_true(people_ready(w, &err) < 0);
    assert_ptr_equal(w->response, r);
    if (!strstr(err.text, why))
        fail_msg("%s", err.text);
}

static void what_cannot_be_is_refused(void **state)
{
    struct people_world w = people_world();
    people_stage(&w, "a", CONSTANT(1))->by = TEXT("nobody");
    refused(&w, "stage a is by nobody, which is no role");

    w = people_world();
    people_stage(&w, "a", CONSTANT(1))->after = NAMES(&w, "b");
    people_stage(&w, "b", CONSTANT(1));
    refused(&w, "waits for itself");

    w = people_world();
    people_stage(&w, "a", CONSTANT(1))->after = NAMES(&w, "zzz");
    refused(&w, "comes after zzz, which is no other stage of service web");

    w = people_world();
    people_stage(&w, "a", CONSTANT(1))->fallback = true;
    refused(&w, "a is a fallback, and no stage's `else` leads to it");

    w = people_world();
    people_stage(&w, "a", CONSTANT(1))->otherwise = TEXT("b");
    struct stage *b = people_stage(&w, "b", CONSTANT(1));
    refused(&w, "taken in any case");
    b->fallback = true;
    people_stage(&w, "c", CONSTANT(1))->otherwise = TEXT("b");
    refused(&w, "which is the else of a already");

    w = people_world(); /* a branch that comes after what waits for it */
    people_stage(&w, "a", CONSTANT(1))->otherwise = TEXT("b");
    b = people_stage(&w, "b", CONSTANT(1));
    b->fallback = true;
    b->after = NAMES(&w, "c");
    people_stage(&w, "c", CONSTANT(1))->after = NAMES(&w, "a");
    refused(&w, "waits for itself");

    w = people_world();
    people_responder(&w, "dba", CONSTANT(1))->escalate_to = TEXT("boss");
    people_stage(&w, "a", CONSTANT(1))->by = TEXT("dba");
    refused(&w, "escalates to boss, which is no role");
}

/* The same by its definition, one stage from the other: when a stage is over. Fallbacks are named by the stage
 * before them, or come after one. */
struct defined {
    const struct people_world *w;
    int of[8]; /* whose branch; -1: none */
};

static nsec defined_over(const struct defined *d, int i);

static nsec defined_end(const struct defined *d, int i)
{
    const struct stage *s = &d->w->stages[i];
    nsec at = d->of[i] >= 0 ? defined_end(d, d->of[i]) : d->w->in.impact;
    if (s->start == STAGE_AT_DETECTION && d->w->in.detected > at)
        at = d->w->in.detected;
    for (size_t k = 0; k < s->after.n; k++) {
        nsec over = defined_over(d, s->after.items[k][0] - 'a');
        at = over > at ? over : at;
    }
    return nsec_add(at, s->takes->a);
}

static nsec defined_over(const struct defined *d, int i)
{
    nsec last = -NSEC_INF;
    if (d->w->stages[i].works >= 1)
        return defined_end(d, i);
    for (int k = 0; k < (int)d->w->model.restore.n; k++)
        if (d->of[k] == i && defined_over(d, k) > last)
            last = defined_over(d, k);
    return last == -NSEC_INF ? NSEC_INF : last;
}

static void restored_is_what_the_definition_says(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    int never = 0, branches = 0;
    for (uint64_t n = 0; n < 20000; n++) {
        struct rng r = rng_stream(7, "worlds", n, 0);
        struct people_world w = people_world();
        struct defined d = {.w = &w, .of = {-1, -1, -1, -1, -1, -1, -1, -1}};
        int stages = 1 + (int)rng_below(&r, 8);
        for (int i = 0; i < stages; i++) {
            struct stage *s = people_stage(&w, names[i], CONSTANT((double)rng_below(&r, 10)));
            s->works = rng_below(&r, 4) != 0;
            if (i && rng_below(&r, 3) == 0 && !w.stages[i - 1].otherwise) {
                s->fallback = true; /* of the one before it, or after it in its branch */
                if (d.of[i - 1] >= 0 && rng_below(&r, 2)) {
                    s->after = NAMES(&w, names[i - 1]);
                    d.of[i] = d.of[i - 1];
                } else {
                    w.stages[i - 1].otherwise = TEXT(names[i]);
                    d.of[i] = i - 1;
                }
                continue;
            }
            s->start = rng_below(&r, 2) ? STAGE_AT_IMPACT : STAGE_AT_DETECTION;
            int before = i ? (int)rng_below(&r, (uint64_t)i) : 0;
            if (i && !w.stages[before].fallback) {
                s->start = STAGE_AFTER;
                s->after = NAMES(&w, names[before]);
            }
        }
        w.in = (struct response_input){.impact = S(3), .detected = S(rng_below(&r, 20))};
        run(&w);
        nsec want = -NSEC_INF;
        for (int i = 0; i < (int)w.model.restore.n; i++)
            if (d.of[i] < 0 && defined_over(&d, i) > want)
                want = defined_over(&d, i);
        assert_int_equal(w.out.restored, want);
        nsec path[16], sum = 0;
        response_path(w.response, w.ran, w.calls, &w.out, path);
        for (size_t i = 0; i < response_stages(w.response); i++) {
            sum += path[i];
            branches += w.ran[i].taken && w.stages[i].fallback;
        }
        if (want == NSEC_INF)
            never++;
        else /* the rest is what was waited for */
            assert_true(sum == want - w.in.impact ||
                        (w.in.detected > w.in.impact && sum == want - w.in.detected));
        done(&w);
    }
    assert_true(never > 1000 && never < 19000 && branches > 1000);
}

static void no_stages_restore_nothing(void **state)
{
    struct people_world w = people_world();
    run(&w);
    assert_int_equal(response_stages(w.response), 0);
    assert_int_equal(w.out.restored, NSEC_INF);
    assert_int_equal(w.out.last, SIZE_MAX);
    done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_follow_one_another),
        cmocka_unit_test(parallel_stages_join),
        cmocka_unit_test(what_fails_is_followed_by_its_else),
        cmocka_unit_test(without_an_else_nothing_comes_back),
        cmocka_unit_test(an_else_of_an_else),
        cmocka_unit_test(people_are_paged_once),
        cmocka_unit_test(who_does_not_answer_is_escalated),
        cmocka_unit_test(hours_of_the_day),
        cmocka_unit_test(others_must_approve),
        cmocka_unit_test(changes_wait_for_the_end_of_a_freeze),
        cmocka_unit_test(caches_and_backlogs),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(restored_is_what_the_definition_says),
        cmocka_unit_test(no_stages_restore_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
