/* Measured against a truth that is known: outages of random length, probes of random phase, answers
 * that are late, refused or time out. Virtual time, 600 trials. */
#include "tests/support/test.h"

#include "reports/fixture.h"
#include "sim/base/rng.h"

struct truth {
    nsec fault, fail, back, alarm;
    nsec impact,
        restored; /* how wide these may be told, by the probe that ends each; 0: none does */
};

static nsec below(struct rng *r, nsec n)
{
    return (nsec)rng_below(r, (uint64_t)n);
}

/* Probes every 100 ms from a random phase until 14 s; the world is down in [fail, back). */
static void play(struct world *w, struct rng *r, struct truth *t)
{
    nsec zero = 100 * NSEC_SEC, phase = below(r, 100 * MS);
    bool refuse = rng_below(r, 2);
    world_begin(w, 1, 1);
    world_inject(w, "lose", t->fault);
    world_verify(w, "lose", true);
    for (nsec n = 0; n < 140; n++) {
        nsec sched = n * 100 * MS + phase, start = sched + below(r, 2 * MS);
        nsec asked = start + below(r, 3 * MS); /* when the service is asked */
        bool down = asked >= t->fail && asked < t->back;
        nsec end = down && !refuse ? start + 500 * MS : asked + below(r, 8 * MS);
        /* one interval, that probe's own duration, and how late it was */
        nsec width = 100 * MS + (end - start) + (start - sched);
        if (down && !t->impact)
            t->impact = width;
        else if (!down && t->impact && !t->restored)
            t->restored = width;
        world_event(w, "probe", end, "{s:s,s:I,s:I,s:I,s:I,s:b}", "probe", "page", "n",
                    (json_int_t)n, "sched", (json_int_t)(zero + sched), "start",
                    (json_int_t)(zero + start), "end", (json_int_t)(zero + end), "ok", !down);
    }
    world_alarm_event(w, "pager", "onset", t->alarm, false);
    world_end(w, 14 * NSEC_SEC, "completed", NULL);
    world_run_end(w, "completed");
    world_measure(w);
}

static bool holds(struct span s, nsec truth)
{
    return s.lo <= truth && truth <= s.hi;
}

static void every_truth_lies_in_its_interval(void **state)
{
    for (uint64_t i = 0; i < 600; i++) {
        struct rng r = rng_stream(20260131, "truth", i, 0);
        struct truth t = {.fault = 1500 * MS + below(&r, 500 * MS)};
        t.fail = t.fault + below(&r, 300 * MS);
        t.back = t.fail + 350 * MS + below(&r, 5000 * MS);
        t.alarm = t.fail + below(&r, 3000 * MS);
        WORLD w;
        world_init(&w);
        world_step(&w, "lose");
        world_detect(&w, 10 * NSEC_SEC);
        world_alarm(&w, "pager", ROLE_PAGE, "exec");
        w.probes[0].down_after = 1 + (int64_t)rng_below(&r, 3);
        w.services[0].rto = 20 * NSEC_SEC;
        play(&w, &r, &t);
        const struct service_seen *s = world_seen(&w, 1);
        assert_int_equal(s->episodes_n, 1);
        const struct episode *e = &s->episodes[0];
        nsec zero = 100 * NSEC_SEC;
        assert_true(holds(e->impact, zero + t.fail));
        assert_true(holds(e->restored, zero + t.back));
        assert_true(holds(s->ttr, t.back - t.fail));
        assert_true(holds(s->ttr_clock[CLOCK_FAULT], t.back - t.fault));
        assert_true(holds(s->down, t.back - t.fail));
        assert_true(holds(s->ttd, t.alarm - t.fail));
        assert_true(holds(s->ttd_fault, t.alarm - t.fault));
        assert_true(e->impact.hi - e->impact.lo <= t.impact);
        assert_true(e->restored.hi - e->restored.lo <= t.restored);
        assert_true(s->ttr.hi - s->ttr.lo <=
                    (e->impact.hi - e->impact.lo) + (e->restored.hi - e->restored.lo));
        assert_int_equal(s->by, BY_RECOVERY);
    }
}

static void an_outage_below_the_resolution_is_bounded_by_it(void **state)
{
    for (uint64_t i = 0; i < 200; i++) {
        struct rng r = rng_stream(7, "short", i, 0);
        struct truth t = {.fault = 1500 * MS + below(&r, 500 * MS), .alarm = 9 * NSEC_SEC};
        t.fail = t.fault + below(&r, 100 * MS);
        t.back = t.fail + 1 * MS + below(&r, 250 * MS);
        WORLD w;
        world_init(&w);
        world_step(&w, "lose");
        world_alarm(&w, "pager", ROLE_PAGE, "exec");
        play(&w, &r, &t);
        const struct service_seen *s = world_seen(&w, 1);
        assert_true(holds(s->ttr, t.back - t.fail));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_truth_lies_in_its_interval),
        cmocka_unit_test(an_outage_below_the_resolution_is_bounded_by_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
