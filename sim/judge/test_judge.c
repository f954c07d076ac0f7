/* Thresholds and windows in virtual time: what counts as down, restored, a blip, a flap, and in
 * which intervals the instants must lie.
 *
 * A strip of characters is one observation each, 100 ms apart from 0, each 1 ms long:
 * G good, R refused (bad at once), T timed out (bad after 500 ms), ? unknown.
 */
#include "tests/support/test.h"

#include "sim/base/rng.h"
#include "sim/judge/judge.h"
#include "sim/judge/threshold.h"

#define MS NSEC_MSEC
#define EVERY (100 * MS)

struct seen {
    struct judge_event e[200];
    size_t n;
};

static void note(const struct judge_event *e, void *data)
{
    struct seen *s = data;
    if (e->kind == JUDGE_DECIDED)
        return;
    assert_true(s->n < ARRAY_SIZE(s->e));
    s->e[s->n++] = *e;
}

static struct judge_obs observation(const char *strip, size_t i)
{
    nsec start = (nsec)i * EVERY;
    enum judge_verdict v = strip[i] == 'G'   ? JUDGE_GOOD
                           : strip[i] == '?' ? JUDGE_UNKNOWN
                                             : JUDGE_BAD;
    nsec took = strip[i] == 'T' ? 500 * MS : MS;
    return (struct judge_obs){
        .n = i, .scheduled = start, .start = start, .end = start + took, .verdict = v};
}

/* Feeds the strip in the order of completion, as a live run would. */
static void feed_by_end(struct judge *j, const char *strip)
{
    size_t n = strlen(strip), done = 0;
    bool fed[256] = {false};
    assert_true(n < sizeof fed);
    while (done < n) {
        size_t best = n;
        for (size_t i = 0; i < n; i++)
            if (!fed[i] && (best == n || observation(strip, i).end < observation(strip, best).end))
                best = i;
        struct judge_obs o = observation(strip, best);
        judge_feed(j, &o);
        fed[best] = true;
        done++;
    }
}

static const struct judge_config usual = {
    .every = EVERY, .down_after = 2, .up_after = 3, .stable = 500 * MS, .since = NSEC_UNSET};

static void judge_strip(const char *strip, const struct judge_config *config, struct seen *s)
{
    s->n = 0;
    CLEANUP(judge_free_p) struct judge *j = judge_new(config, note, s);
    feed_by_end(j, strip);
    judge_finish(j);
}

static void assert_kinds(const struct seen *s, const enum judge_event_kind *kinds, size_t n)
{
    assert_int_equal(s->n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(s->e[i].kind, kinds[i]);
}
#define ASSERT_KINDS(s, ...)                                                                       \
    assert_kinds(s, (enum judge_event_kind[]){__VA_ARGS__},                                        \
                 sizeof((enum judge_event_kind[]){__VA_ARGS__}) / sizeof(enum judge_event_kind))

static void assert_span(struct span s, nsec lo, nsec hi)
{
    assert_int_equal(s.lo, lo);
    assert_int_equal(s.hi, hi);
}

static void nothing_is_reported_when_nothing_breaks(void **state)
{
    struct seen s;
    judge_strip("GGGGGGGGGG", &usual, &s);
    assert_int_equal(s.n, 0);
}

static void fewer_than_down_after_is_a_blip(void **state)
{
    struct seen s;
    judge_strip("GGRGGGRGG", &usual, &s);
    ASSERT_KINDS(&s, JUDGE_BLIP, JUDGE_BLIP);
    assert_int_equal(s.e[0].count, 1);
}

static void an_outage_has_both_instants_as_intervals(void **state)
{
    struct seen s;
    judge_strip("GGGRRRRGGGGGGG", &usual, &s);
    ASSERT_KINDS(&s, JUDGE_DOWN, JUDGE_RECOVERING, JUDGE_RESTORED);
    /* the last good one started at 200, the first failed one ended at 301 */
    assert_span(s.e[0].impact, 200 * MS, 301 * MS);
    assert_int_equal(s.e[0].at, 401 * MS);
    /* the last failed one started at 600, the first good one ended at 701 */
    assert_span(s.e[1].restored, 600 * MS, 701 * MS);
    assert_int_equal(s.e[1].at, 901 * MS);
    /* 701 + 500: the one that starts at 1300 is the first beyond it */
    assert_int_equal(s.e[2].at, 1301 * MS);
}

static void no_impact_is_dated_before_the_fault(void **state)
{
    struct judge_config c = usual;
    c.since = 250 * MS;
    struct seen s;
    judge_strip("GGGRRGGGGGGGGG", &c, &s);
    assert_span(s.e[0].impact, 250 * MS, 301 * MS);
}

static void a_run_that_failed_before_the_fault_keeps_its_bound(void **state)
{
    struct judge_config c = usual;
    c.since = 350 * MS;
    struct seen s;
    judge_strip("GGGRRRGGGGGGGG", &c, &s);
    assert_span(s.e[0].impact, 200 * MS, 301 * MS); /* high end before the fault: not steady */
}

static void overlapping_time_outs_are_judged_in_order_of_start(void **state)
{
    struct seen s;
    judge_strip("GGTTTTTGGGGGGGGGGGGG", &usual, &s);
    ASSERT_KINDS(&s, JUDGE_DOWN, JUDGE_RECOVERING, JUDGE_RESTORED);
    assert_span(s.e[0].impact, 100 * MS, 700 * MS);
    assert_span(s.e[1].restored, 600 * MS, 701 * MS);
    assert_int_equal(s.e[2].count, 0); /* no flap invented */
    /* decided only when the last time-out (600 + 500) had ended */
    assert_int_equal(s.e[1].at, 1100 * MS);
}

static void a_later_quick_failure_narrows_the_impact(void **state)
{
    struct seen s;
    judge_strip("GGTTRGGGGGGGGGGG", &usual, &s);
    assert_span(s.e[0].impact, 100 * MS, 700 * MS);
    assert_span(s.e[1].impact, 100 * MS, 401 * MS);
    struct seen later; /* but not one after a good probe in between */
    judge_strip("GGTTGRGGGGGGGGGGGGG", &usual, &later);
    assert_span(later.e[1].impact, 100 * MS, 700 * MS);
}

static void any_failure_inside_stable_is_a_flap_of_the_same_episode(void **state)
{
    struct seen s;
    judge_strip("GGRRGGGGRRGGGRGGGGGGGGGG", &usual, &s);
    ASSERT_KINDS(&s, JUDGE_DOWN, JUDGE_RECOVERING, JUDGE_FLAP, JUDGE_RECOVERING, JUDGE_FLAP,
                 JUDGE_RECOVERING, JUDGE_RESTORED);
    assert_span(s.e[2].restored, 300 * MS, 401 * MS); /* the restoration that did not hold */
    assert_int_equal(s.e[6].count, 2);
    assert_span(s.e[6].restored, 1300 * MS, 1401 * MS);
    assert_span(s.e[6].impact, 100 * MS, 201 * MS);
}

static void a_good_run_shorter_than_up_after_is_no_recovery(void **state)
{
    struct seen s;
    judge_strip("GGRRGGRRGGRGGGGGGGGGG", &usual, &s);
    ASSERT_KINDS(&s, JUDGE_DOWN, JUDGE_RECOVERING, JUDGE_RESTORED);
    assert_span(s.e[2].restored, 1000 * MS, 1101 * MS);
}

static void a_run_after_stable_is_a_relapse(void **state)
{
    struct seen s;
    judge_strip("GGRRGGGGGGRRGGGGGGGG", &usual, &s);
    /* 401 + 500 = 901: the failed one that starts at 1000 comes after stable */
    ASSERT_KINDS(&s, JUDGE_DOWN, JUDGE_RECOVERING, JUDGE_RESTORED, JUDGE_DOWN, JUDGE_RECOVERING,
                 JUDGE_RESTORED);
    assert_span(s.e[3].impact, 900 * MS, 1001 * MS);
    assert_int_equal(s.e[5].count, 0);
}

static void not_back_or_not_stable_at_the_end_is_not_restored(void **state)
{
    struct seen s;
    judge_strip("GGGRRRRRR", &usual, &s);
    ASSERT_KINDS(&s, JUDGE_DOWN);
    judge_strip("GGGRRRRGGGG", &usual, &s);
    ASSERT_KINDS(&s, JUDGE_DOWN, JUDGE_RECOVERING);
}

static void unknown_ones_end_no_run_and_begin_none(void **state)
{
    struct seen s;
    judge_strip("GG???GG", &usual, &s);
    assert_int_equal(s.n, 0);
    judge_strip("GG?R?R?GGG?GGGGG", &usual, &s);
    ASSERT_KINDS(&s, JUDGE_DOWN, JUDGE_RECOVERING, JUDGE_RESTORED);
    assert_span(s.e[0].impact, 100 * MS, 301 * MS);   /* from the neighbouring known ones */
    assert_span(s.e[1].restored, 500 * MS, 701 * MS); /* likewise */
    judge_strip("GG?R?GGG", &usual, &s);
    ASSERT_KINDS(&s, JUDGE_BLIP);
}

static void gaps_count_as_unknown_when_it_ends(void **state)
{
    struct seen s = {.n = 0};
    CLEANUP(judge_free_p) struct judge *j = judge_new(&usual, note, &s);
    const char *strip = "GGRR";
    for (size_t i = 0; i < 4; i++) {
        struct judge_obs o = observation(strip, i);
        o.n = i < 2 ? i : i + 1; /* number 2 never comes */
        judge_feed(j, &o);
    }
    assert_int_equal(s.n, 0);
    assert_false(judge_is_down(j));
    judge_finish(j);
    ASSERT_KINDS(&s, JUDGE_DOWN);
    assert_true(judge_is_down(j));
    assert_int_equal(judge_down_since(j), 201 * MS);
}

static void the_running_state_can_be_asked(void **state)
{
    struct seen s = {.n = 0};
    CLEANUP(judge_free_p) struct judge *j = judge_new(&usual, note, &s);
    const char *strip = "RGGGRRGGG";
    nsec good_since[] = {NSEC_UNSET, 100 * MS, 100 * MS, 100 * MS, NSEC_UNSET,
                         NSEC_UNSET, 600 * MS, 600 * MS, 600 * MS};
    for (size_t i = 0; i < strlen(strip); i++) {
        struct judge_obs o = observation(strip, i);
        judge_feed(j, &o);
        judge_feed(j, &o); /* a second time changes nothing */
        assert_int_equal(judge_good_since(j), good_since[i]);
        assert_int_equal(judge_is_down(j), i >= 5);
        assert_int_equal(judge_is_recovering(j), i >= 6);
    }
    assert_int_equal(judge_down_since(j), 401 * MS);
}

static void a_service_never_seen_good_is_dated_from_the_first_look(void **state)
{
    struct seen s;
    judge_strip("?RRR", &usual, &s);
    assert_span(s.e[0].impact, 100 * MS, 101 * MS);
}

static void a_reset_forgets_what_came_before_it(void **state)
{
    struct seen s = {.n = 0};
    CLEANUP(judge_free_p) struct judge *j = judge_new(&usual, note, &s);
    const char *strip = "RRRGGGGRRGGGGGGGGGGG";
    for (size_t i = 0; i < strlen(strip); i++) {
        struct judge_obs o = observation(strip, i);
        judge_feed(j, &o);
        if (i == 6) { /* coming up: recovering, not yet stable */
            assert_true(judge_is_down(j));
            judge_reset(j);
            assert_false(judge_is_down(j));
            assert_int_equal(judge_good_since(j), 300 * MS);
        }
    }
    ASSERT_KINDS(&s, JUDGE_DOWN, JUDGE_RECOVERING, JUDGE_DOWN, JUDGE_RECOVERING, JUDGE_RESTORED);
    assert_span(s.e[2].impact, 600 * MS, 701 * MS);
    assert_int_equal(s.e[4].count, 0); /* no flap */
}

/* Truth generated first, then observed at a random phase: both instants lie in their intervals. */
static void the_truth_lies_in_the_intervals(void **state)
{
    for (uint64_t trial = 0; trial < 2000; trial++) {
        struct rng r = rng_stream(7, "truth", trial, 0);
        nsec phase = (nsec)rng_below(&r, EVERY);
        nsec fail = 1500 * MS + (nsec)rng_below(&r, 500 * MS);
        nsec back = fail + 400 * MS + (nsec)rng_below(&r, 3000 * MS);
        bool refuse = rng_below(&r, 2);
        struct judge_config c = usual;
        c.since = fail - (nsec)rng_below(&r, 20 * MS);
        struct seen s = {.n = 0};
        CLEANUP(judge_free_p) struct judge *j = judge_new(&c, note, &s);
        nsec span = 0;
        for (uint64_t n = 0; n < 80; n++) {
            nsec start = (nsec)n * EVERY + phase + (nsec)rng_below(&r, 3 * MS);
            nsec asks = start + (nsec)rng_below(&r, 2 * MS); /* when the server is asked */
            bool bad = asks >= fail && asks < back;
            nsec end = bad && !refuse ? start + 500 * MS : asks + (nsec)rng_below(&r, 5 * MS);
            if (bad && end - start > span)
                span = end - start;
            struct judge_obs o = {.n = n,
                                  .scheduled = (nsec)n * EVERY + phase,
                                  .start = start,
                                  .end = end,
                                  .verdict = bad ? JUDGE_BAD : JUDGE_GOOD};
            judge_feed(j, &o);
        }
        ASSERT_KINDS(&s, JUDGE_DOWN, JUDGE_RECOVERING, JUDGE_RESTORED);
        struct span impact = s.e[2].impact, restored = s.e[2].restored;
        assert_true(impact.lo <= fail && fail <= impact.hi);
        assert_true(restored.lo <= back && back <= restored.hi);
        assert_true(impact.hi - impact.lo <= EVERY + span + 3 * MS);
        assert_true(restored.hi - restored.lo <= EVERY + 10 * MS);
    }
}

/* Everything but the decisions that changed nothing, and the thresholds that hear them. */
struct heard {
    struct judge_event e[400];
    size_t n;
    struct threshold threshold;
    struct span onsets[100];
    size_t onsets_n;
};

static void hear(const struct judge_event *e, void *data)
{
    struct heard *h = data;
    struct span at;
    if (e->kind != JUDGE_DECIDED)
        h->e[h->n++] = *e;
    else if (threshold_feed(&h->threshold, e, &at) != THRESHOLD_SAME)
        h->onsets[h->onsets_n++] = at;
}

static void runs_of_like_answers_may_be_skipped(void **state)
{
    for (uint64_t trial = 0; trial < 4000; trial++) {
        struct rng r = rng_stream(11, "skipped", trial, 0);
        struct judge_config c = {.every = EVERY,
                                 .down_after = 1 + (int64_t)rng_below(&r, 4),
                                 .up_after = 1 + (int64_t)rng_below(&r, 5),
                                 .stable = (nsec)rng_below(&r, 20) * EVERY / 2,
                                 .since = (nsec)rng_below(&r, 40) * EVERY};
        int64_t consecutive = 1 + (int64_t)rng_below(&r, 8);
        struct heard one = {.threshold = {.consecutive = consecutive}}, all = one;
        CLEANUP(judge_free_p) struct judge *a = judge_new(&c, hear, &one);
        CLEANUP(judge_free_p) struct judge *b = judge_new(&c, hear, &all);
        uint64_t n = 0;
        for (int k = 0; k < 12; k++) {
            uint64_t count = rng_below(&r, k % 3 ? 6 : 90);
            struct judge_obs o = {.n = n,
                                  .start = (nsec)n * EVERY,
                                  .scheduled = (nsec)n * EVERY,
                                  .verdict = (enum judge_verdict)rng_below(&r, 3)};
            o.end = o.start + (o.verdict == JUDGE_BAD ? (nsec)rng_below(&r, 3 * EVERY) : 0);
            judge_feed_run(a, &o, count, EVERY, (uint64_t)consecutive, rng_below(&r, 9));
            for (uint64_t i = 0; i < count; i++) {
                judge_feed(b, &o);
                o.n++;
                o.start += EVERY;
                o.scheduled += EVERY;
                o.end += EVERY;
            }
            n += count;
            assert_int_equal(judge_is_down(a), judge_is_down(b));
            assert_int_equal(judge_is_recovering(a), judge_is_recovering(b));
            assert_int_equal(judge_good_since(a), judge_good_since(b));
        }
        assert_int_equal(one.n, all.n);
        for (size_t i = 0; i < one.n; i++) {
            assert_int_equal(one.e[i].kind, all.e[i].kind);
            assert_int_equal(one.e[i].at, all.e[i].at);
            assert_memory_equal(&one.e[i].impact, &all.e[i].impact, sizeof(struct span));
            assert_memory_equal(&one.e[i].restored, &all.e[i].restored, sizeof(struct span));
            assert_int_equal(one.e[i].obs.n, all.e[i].obs.n);
        }
        assert_int_equal(one.onsets_n, all.onsets_n);
        assert_memory_equal(one.onsets, all.onsets, one.onsets_n * sizeof *one.onsets);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_reported_when_nothing_breaks),
        cmocka_unit_test(fewer_than_down_after_is_a_blip),
        cmocka_unit_test(an_outage_has_both_instants_as_intervals),
        cmocka_unit_test(no_impact_is_dated_before_the_fault),
        cmocka_unit_test(a_run_that_failed_before_the_fault_keeps_its_bound),
        cmocka_unit_test(overlapping_time_outs_are_judged_in_order_of_start),
        cmocka_unit_test(a_later_quick_failure_narrows_the_impact),
        cmocka_unit_test(any_failure_inside_stable_is_a_flap_of_the_same_episode),
        cmocka_unit_test(a_good_run_shorter_than_up_after_is_no_recovery),
        cmocka_unit_test(a_run_after_stable_is_a_relapse),
        cmocka_unit_test(not_back_or_not_stable_at_the_end_is_not_restored),
        cmocka_unit_test(unknown_ones_end_no_run_and_begin_none),
        cmocka_unit_test(gaps_count_as_unknown_when_it_ends),
        cmocka_unit_test(the_running_state_can_be_asked),
        cmocka_unit_test(a_service_never_seen_good_is_dated_from_the_first_look),
        cmocka_unit_test(a_reset_forgets_what_came_before_it),
        cmocka_unit_test(the_truth_lies_in_the_intervals),
        cmocka_unit_test(runs_of_like_answers_may_be_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
