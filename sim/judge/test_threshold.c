/* Thresholds, windows and burn rates in virtual time: counts, shares of bad answers against a count of all of
 * them by hand, the table of burn rates of the SRE workbook (5-8) to the resolution of the probe, and
 * several vantage points. */
#include "tests/support/test.h"

#include "sim/base/rng.h"
#include "sim/judge/quorum.h"

#include <math.h>

#define SEC NSEC_SEC
#define MIN (60 * SEC)
#define HOUR (60 * MIN)
#define DAY (24 * HOUR)

static enum threshold_change feed(struct threshold *t, nsec end, bool bad, struct span *ret_at)
{
    struct judge_event e = {
        .kind = JUDGE_DECIDED,
        .at = end,
        .obs = {.start = end, .end = end, .verdict = bad ? JUDGE_BAD : JUDGE_GOOD}};
    return threshold_feed(t, &e, ret_at);
}

static void so_many_in_a_row(void **state)
{
    struct threshold t = {.consecutive = 3};
    struct span at = {7, 7};
    assert_int_equal(feed(&t, 1, true, &at), THRESHOLD_SAME);
    assert_int_equal(feed(&t, 2, true, &at), THRESHOLD_SAME);
    assert_int_equal(feed(&t, 3, false, &at), THRESHOLD_SAME);
    for (nsec n = 4; n < 6; n++)
        assert_int_equal(feed(&t, n, true, &at), THRESHOLD_SAME);
    assert_int_equal(at.lo, 7);
    assert_int_equal(feed(&t, 6, true, &at), THRESHOLD_ONSET);
    assert_int_equal(at.lo, 6);
    threshold_reset(&t); /* fires on, until it clears */
    for (nsec n = 7; n < 12; n++)
        assert_int_equal(feed(&t, n, true, &at), THRESHOLD_SAME);
    assert_int_equal(feed(&t, 12, false, &at), THRESHOLD_CLEAR);
    assert_int_equal(at.hi, 12);
    struct judge_event unknown = {.obs = {.verdict = JUDGE_UNKNOWN}};
    assert_int_equal(threshold_feed(&t, &unknown, &at), THRESHOLD_SAME);
}

/* Against the answers themselves; what came before the first counts as good. */
static void a_share_is_that_of_the_answers_in_the_window(void **state)
{
    enum { N = 3000, LENGTH = 100 };
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct rng r = rng_stream(seed, "window", 0, 0);
        CLEANUP(window_free_p) struct window *w = window_new(LENGTH * SEC, SEC);
        bool bad[N];
        nsec phase = (nsec)rng_below(&r, (uint64_t)SEC);
        for (int i = 0; i < N; i++) {
            bad[i] = rng_unit(&r) < (i / 500 % 2 ? 0.9 : 0.02);
            window_add(w, i * SEC + phase, bad[i]);
            int count = 0;
            for (int k = i; k >= 0 && k > i - LENGTH; k--)
                count += bad[k];
            assert_true(window_ratio(w) == (double)count / LENGTH);
        }
        window_add(w, 10 * N * SEC, true); /* long after: it has forgotten all */
        assert_true(window_ratio(w) == 1);
        window_reset(w);
        assert_true(window_ratio(w) == 0);
        window_add(w, 0, true);
        assert_true(window_ratio(w) == 1.0 / LENGTH);
    }
}

/* Good answers come at once, bad ones after a time-out: wherever the seconds of the clock lie, of six in a
 * minute three are half of it. */
static void answers_leave_one_by_one(void **state)
{
    for (nsec phase = 0; phase < 10 * SEC; phase += SEC / 4) {
        CLEANUP(window_free_p) struct window *w = window_new(60 * SEC, 10 * SEC);
        for (int i = 0; i < 40; i++) {
            bool bad = i >= 20;
            window_add(w, phase + i * 10 * SEC + (bad ? 2 * SEC : 0), bad);
            double want = i < 20 ? 0 : i >= 25 ? 1 : (i - 19) / 6.0;
            assert_true(window_ratio(w) == want);
        }
    }
}

struct severity {
    nsec lengths[2];
    double factor;
    nsec at_all, at_one_percent, clears; /* the table's, NSEC_INF: does not fire */
    double budget;                       /* of 30 days, spent when it fires */
};

static const struct severity table[] = {
    {{HOUR, 5 * MIN}, 14.4, 51840 * NSEC_MSEC, NSEC_INF, 295680 * NSEC_MSEC, 0.02},
    {{6 * HOUR, 30 * MIN}, 6, 129600 * NSEC_MSEC, 12960 * SEC, 1789200 * NSEC_MSEC, 0.05},
    {{3 * DAY, 6 * HOUR}, 1, 259200 * NSEC_MSEC, 25920 * SEC, 21578400 * NSEC_MSEC, 0.1},
};

static struct threshold burn(const struct severity *s, size_t windows)
{
    struct threshold_window w[2];
    for (size_t i = 0; i < 2; i++)
        w[i] = (struct threshold_window){s->lengths[i], threshold_of_burn(0.999, s->factor)};
    return threshold_of_windows(w, windows, SEC);
}

/* Probes each second; every `each`-th is bad from 0 on, for so long. Returns when it fires, and when it
 * clears again. */
static nsec fires(struct threshold *t, int64_t each, nsec lasting, nsec end, nsec *ret_clears)
{
    nsec at = NSEC_INF;
    *ret_clears = NSEC_INF;
    for (int64_t i = 1; i * SEC <= end; i++) {
        struct span span;
        bool bad = i % each == 0 && i * SEC <= lasting;
        enum threshold_change c = feed(t, i * SEC, bad, &span);
        if (c == THRESHOLD_ONSET && at == NSEC_INF)
            at = span.lo;
        if (c == THRESHOLD_CLEAR && *ret_clears == NSEC_INF && i * SEC > lasting)
            *ret_clears = span.lo;
    }
    return at;
}

static bool near(nsec a, nsec b, nsec tolerance)
{
    return a == b || (a < NSEC_INF && b < NSEC_INF && a - b <= tolerance && b - a <= tolerance);
}

static void burn_rates_fire_as_the_workbook_says(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        const struct severity *s = &table[i];
        struct threshold_window longer = {s->lengths[0], threshold_of_burn(0.999, s->factor)},
                                shorter = {s->lengths[1], longer.above};
        nsec clears;
        assert_true(near(threshold_fires_after(&longer, 1), s->at_all, 1));
        assert_true(near(threshold_fires_after(&longer, 0.01), s->at_one_percent, 1));
        assert_true(near(threshold_clears_after(&shorter, 1), s->clears, 1));
        assert_true(fabs(s->factor * (double)s->lengths[0] / (30.0 * (double)DAY) - s->budget) <
                    1e-12);

        /* All bad, until the short window is full of it. */
        nsec outage = s->lengths[1] + 10 * MIN;
        struct threshold t = burn(s, 2);
        nsec at = fires(&t, 1, outage, outage + s->lengths[1], &clears);
        assert_true(near(at, s->at_all, SEC));
        assert_true(near(clears - outage, s->clears, 4 * SEC)); /* parts of the window */
        threshold_done(&t);

        /* One of a hundred; within two windows. */
        t = burn(s, 2);
        at = fires(&t, 100, NSEC_INF, 2 * s->lengths[0], &clears);
        assert_true(near(at, s->at_one_percent, 100 * SEC));
        threshold_done(&t);
    }
}

/* A12: what a number of nines leaves, (1 - A) of a period, from the share that a burn rate of 1 allows; and how
 * long it lasts when it is spent that many times as fast. */
static void nines_are_so_many_minutes(void **state)
{
    static const struct {
        double slo, month, year; /* minutes of 30 days, of 365 */
    } nines[] = {{0.99, 432, 5256}, {0.999, 43.2, 526}, {0.9999, 4.32, 52.6}};
    const double month = 30.0 * 24 * 60, year = 365.0 * 24 * 60;
    for (size_t i = 0; i < ARRAY_SIZE(nines); i++) {
        double share = threshold_of_burn(nines[i].slo, 1);
        assert_true(fabs(share * month / nines[i].month - 1) < 1e-9);
        assert_true(fabs(share * year / nines[i].year - 1) < 0.001); /* to the digits printed */
        struct threshold_window w = {30 * DAY, share};
        nsec spent = threshold_fires_after(&w, 1);
        assert_true(fabs((double)spent / (double)MIN / nines[i].month - 1) < 1e-9);
        /* one nine more or fewer is another answer */
        double other = threshold_of_burn(1 - (1 - nines[i].slo) / 10, 1);
        assert_true(fabs(other * month / nines[i].month - 1) > 0.5);
    }
}

/* The same tables by rules that are wrong: each must differ by more than the tests above allow. */
static void wrong_rules_do_not(void **state)
{
    const struct severity *s = &table[0];
    nsec clears, outage = s->lengths[1] + 10 * MIN;
    struct threshold one = burn(s, 1); /* without a short window */
    fires(&one, 1, outage, outage + s->lengths[1], &clears);
    assert_false(near(clears - outage, s->clears, 4 * SEC));
    threshold_done(&one);
    struct severity budget = *s; /* burn taken for the share of bad answers itself */
    budget.factor = s->factor * 1000 / 100;
    struct threshold t = burn(&budget, 2);
    assert_false(near(fires(&t, 1, NSEC_INF, HOUR, &clears), s->at_all, SEC));
    threshold_done(&t);
    struct threshold short_only =
        threshold_of_windows(/* windows that only know what they have seen */
                             &(struct threshold_window){SEC, threshold_of_burn(0.999, s->factor)},
                             1, SEC);
    assert_false(near(fires(&short_only, 1, NSEC_INF, HOUR, &clears), s->at_all, SEC));
    threshold_done(&short_only);
}

static void long_good_history_is_the_same_as_none(void **state)
{
    struct threshold a = burn(&table[0], 2), b = burn(&table[0], 2);
    nsec clears;
    struct span span;
    for (int64_t i = -7200; i <= 0; i++)
        feed(&b, i * SEC, false, &span);
    nsec of_a = fires(&a, 1, NSEC_INF, 10 * MIN, &clears);
    nsec of_b = fires(&b, 1, NSEC_INF, 10 * MIN, &clears);
    assert_true(near(of_a, of_b, SEC));
    threshold_done(&a);
    threshold_done(&b);
}

static void so_many_of_several_at_once(void **state)
{
    struct quorum q = {.at_least = 2};
    assert_int_equal(quorum_feed(&q, THRESHOLD_ONSET), THRESHOLD_SAME);
    assert_int_equal(quorum_feed(&q, THRESHOLD_CLEAR), THRESHOLD_SAME);
    assert_int_equal(quorum_feed(&q, THRESHOLD_ONSET), THRESHOLD_SAME);
    assert_int_equal(quorum_feed(&q, THRESHOLD_SAME), THRESHOLD_SAME);
    assert_int_equal(quorum_feed(&q, THRESHOLD_ONSET), THRESHOLD_ONSET);
    assert_int_equal(quorum_feed(&q, THRESHOLD_ONSET), THRESHOLD_SAME);
    assert_int_equal(quorum_feed(&q, THRESHOLD_CLEAR), THRESHOLD_SAME);
    assert_int_equal(quorum_feed(&q, THRESHOLD_CLEAR), THRESHOLD_CLEAR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_in_a_row),
        cmocka_unit_test(a_share_is_that_of_the_answers_in_the_window),
        cmocka_unit_test(answers_leave_one_by_one),
        cmocka_unit_test(burn_rates_fire_as_the_workbook_says),
        cmocka_unit_test(nines_are_so_many_minutes),
        cmocka_unit_test(wrong_rules_do_not),
        cmocka_unit_test(long_good_history_is_the_same_as_none),
        cmocka_unit_test(so_many_of_several_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
