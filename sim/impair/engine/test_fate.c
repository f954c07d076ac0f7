/* The models of the engine, in virtual time and with seeds: what was asked for comes out. */
#include "tests/support/test.h"

#include "sim/impair/engine/chance.h"
#include "sim/impair/engine/fate.h"
#include "sim/impair/engine/spread.h"

#include <errno.h>
#include <math.h>

#define MS NSEC_MSEC
#define US NSEC_USEC
#define Z 3.89 /* 99.99 %, two-sided */

static struct fate *fate_of_seed(const struct impairment *w, uint64_t seed)
{
    struct err err = ERR_INIT;
    struct fate *f = NULL;
    if (fate_new(w, seed, &f, &err) < 0)
        fail_msg("%s", err.text);
    return f;
}

static void assert_share(double k, double n, double p)
{
    double most = Z * sqrt(n * p * (1 - p)) + 1;
    if (fabs(k - n * p) > most)
        fail_msg("%.0f of %.0f, where %.1f ± %.1f were due", k, n, n * p, most);
}

/* Lost or not, one packet each millisecond. */
static void losses(const struct impairment *w, uint64_t seed, size_t n, bool *ret)
{
    CLEANUP(fate_free_p) struct fate *f = fate_of_seed(w, seed);
    for (size_t i = 0; i < n; i++)
        ret[i] = fate_draw(f, (nsec)i * MS, 100, false, false).lost;
}

enum { N = 200000 };

static void correlated_loss_keeps_its_share(void **state)
{
    AUTO_FREE bool *lost = calloc(N, sizeof *lost);
    for (int c = 0; c <= 9; c += 3) {
        struct impairment w = {
            .loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 0.05, .correlation = c / 10.0}};
        losses(&w, 7, N, lost);
        double k = 0, both = 0;
        for (size_t i = 0; i < N; i++) {
            k += lost[i];
            both += i && lost[i] && lost[i - 1];
        }
        /* Neighbours alike: as if there were fewer packets, by (1 + c) / (1 - c) at most. */
        double n = N * (1 - c / 10.0) / (1 + c / 10.0);
        assert_share(k * n / N, n, 0.05);
        double after_loss = both / k;
        if (c == 0)
            assert_share(both, k, 0.05);
        else
            assert_true(after_loss > 0.05 + c / 100.0);
    }
}

static void gilbert_elliott_is_recovered(void **state)
{
    struct impairment w = {
        .loss = {.kind = IMPAIR_LOSS_GILBERT_ELLIOTT, .p = 0.01, .r = 0.2, .one_minus_h = 1}};
    AUTO_FREE bool *lost = calloc(N, sizeof *lost);
    losses(&w, 11, N, lost);
    double good = 0, to_bad = 0, bad = 0, to_good = 0;
    for (size_t i = 0; i + 1 < N; i++) {
        *(lost[i] ? &bad : &good) += 1;
        to_bad += !lost[i] && lost[i + 1];
        to_good += lost[i] && !lost[i + 1];
    }
    assert_share(to_bad, good, 0.01);
    assert_share(to_good, bad, 0.2);
    /* Both states lose a little: the share of the stationary chain. */
    w.loss.one_minus_h = 0.7;
    w.loss.one_minus_k = 0.01;
    losses(&w, 12, N, lost);
    double k = 0, in_bad = 0.01 / (0.01 + 0.2), share = in_bad * 0.7 + (1 - in_bad) * 0.01;
    for (size_t i = 0; i < N; i++)
        k += lost[i];
    assert_true(fabs(k / N - share) < 0.004);
}

static void four_states_have_their_bursts(void **state)
{
    struct impairment w = {
        .loss = {.kind = IMPAIR_LOSS_STATE, .p13 = 0.01, .p31 = 0.3, .p14 = 0.02}};
    AUTO_FREE bool *lost = calloc(N, sizeof *lost);
    losses(&w, 13, N, lost);
    /* Runs: single ones from p14 (never followed by another state's loss at once), geometric ones
     * from p13. */
    double single = 0, longer = 0, packets = 0, gap = 0;
    for (size_t i = 1; i + 1 < N; i++) {
        gap += !lost[i];
        if (!lost[i] || lost[i - 1])
            continue;
        size_t end = i;
        while (end < N && lost[end])
            end++;
        *(end == i + 1 ? &single : &longer) += 1;
        packets += end == i + 1 ? 0 : (double)(end - i);
    }
    double bursts = longer / 0.7; /* 30 % of the bursts have one packet */
    assert_true(fabs(bursts / gap - 0.01) < 0.0012);
    assert_true(fabs((single - 0.3 * bursts) / gap - 0.02) < 0.0016);
    assert_true(fabs(packets / longer - (1 + 1 / 0.3)) < 0.25);
}

/* --- Delays --------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    nsec x = *(const nsec *)a, y = *(const nsec *)b;
    return (x > y) - (x < y);
}

static double normal_below(double x)
{
    return 0.5 * erfc(-x / M_SQRT2);
}

static double pareto_below(double x)
{
    double v = x * 0.75 + 1.5;
    return v <= 1 ? 0 : 1 - pow(v, -3);
}

static double uniform_below(double x)
{
    return x < -1 ? 0 : x > 1 ? 1 : (x + 1) / 2;
}

static double distance(const nsec *delays, size_t n, double (*below)(double))
{
    AUTO_FREE nsec *sorted = calloc(n, sizeof *sorted);
    double worst = 0;
    memcpy(sorted, delays, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    for (size_t i = 0; i < n; i++) {
        double x = (double)(sorted[i] - 100 * MS) / (double)(10 * MS), f = below(x);
        if (x > 3.99) /* tables end at 4 */
            break;
        worst = fmax(worst,
                     fmax(fabs(f - (double)i / (double)n), fabs(f - (double)(i + 1) / (double)n)));
    }
    return worst;
}

static double correlation(const nsec *d, size_t n)
{
    double x = 0, xx = 0, xy = 0;
    for (size_t i = 0; i < n; i++)
        x += (double)d[i];
    x /= (double)n;
    for (size_t i = 0; i < n; i++) {
        xx += ((double)d[i] - x) * ((double)d[i] - x);
        if (i)
            xy += ((double)d[i] - x) * ((double)d[i - 1] - x);
    }
    return xy / xx;
}

static void delays_follow_their_distribution(void **state)
{
    static const struct {
        enum impair_distribution d;
        double (*below)(double);
    } kinds[] = {{IMPAIR_UNIFORM, uniform_below},
                 {IMPAIR_NORMAL, normal_below},
                 {IMPAIR_PARETO, pareto_below}};
    enum { M = 50000 };
    AUTO_FREE nsec *d = calloc(M, sizeof *d);
    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
        for (int c = 0; c <= 8; c += 4) {
            struct impairment w = {.delay = 100 * MS,
                                   .jitter = 10 * MS,
                                   .distribution = kinds[k].d,
                                   .delay_correlation = c / 10.0};
            CLEANUP(fate_free_p) struct fate *f = fate_of_seed(&w, 3);
            for (size_t i = 0; i < M; i++)
                d[i] = fate_draw(f, (nsec)i * MS, 100, false, false).due - (nsec)i * MS;
            double eff = M * (1 - c / 10.0) / (1 + c / 10.0);
            /* Kolmogorov at 99.99 %, and half a step of the table. */
            double most = 2.23 / sqrt(eff) + 0.0002, got = distance(d, M, kinds[k].below);
            if (got > most)
                fail_msg("distribution %zu, correlation 0.%d: %.4f from it", k, c, got);
            double r = correlation(d, M);
            assert_true(fabs(r - c / 10.0) < (kinds[k].d == IMPAIR_PARETO && c ? 0.12 : 0.03));
        }
}

static void order_is_kept_where_asked(void **state)
{
    struct impairment w = {.delay = 10 * MS, .jitter = 9 * MS};
    for (int keep = 0; keep < 2; keep++) {
        w.keep_order = keep;
        CLEANUP(fate_free_p) struct fate *f = fate_of_seed(&w, 5);
        nsec last = 0;
        size_t overtaken = 0;
        for (size_t i = 0; i < 10000; i++) {
            nsec due = fate_draw(f, (nsec)i * MS, 100, false, false).due;
            assert_true(due >= (nsec)i * MS);
            overtaken += due < last;
            last = due;
        }
        assert_true(keep ? overtaken == 0 : overtaken > 1000);
    }
}

static void a_share_goes_at_once(void **state)
{
    struct impairment w = {.delay = 10 * MS, .reorder = 0.25, .gap = 5};
    CLEANUP(fate_free_p) struct fate *f = fate_of_seed(&w, 5);
    size_t n = 0, since = 0;
    for (size_t i = 0; i < 100000; i++) {
        struct fate_of r = fate_draw(f, (nsec)i * MS, 100, false, false);
        assert_int_equal(r.due, (nsec)i * MS + (r.at_once ? 0 : 10 * MS));
        if (r.at_once) {
            assert_true(since >= 4);
            since = 0;
            n++;
        } else
            since++;
    }
    assert_share((double)n, 100000, 1 / (4 + 4.0));
    /* Every third for certain. */
    struct impairment every = {.delay = 10 * MS, .gap = 3};
    fate_free(f);
    f = fate_of_seed(&every, 5);
    for (size_t i = 0; i < 30; i++)
        assert_int_equal(fate_draw(f, 0, 100, false, false).at_once, i % 3 == 2);
}

static void copies_are_not_copied(void **state)
{
    struct impairment w = {.duplicate = 1};
    CLEANUP(fate_free_p) struct fate *f = fate_of_seed(&w, 5);
    assert_true(fate_draw(f, 0, 100, false, false).duplicated);
    assert_false(fate_draw(f, 0, 100, false, true).duplicated);
}

static void congestion_is_marked_where_it_can_be(void **state)
{
    struct impairment w = {.loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 1}, .ecn = true};
    CLEANUP(fate_free_p) struct fate *f = fate_of_seed(&w, 5);
    struct fate_of able = fate_draw(f, 0, 100, true, false);
    struct fate_of unable = fate_draw(f, 0, 100, false, false);
    assert_true(able.mark && !able.lost);
    assert_true(unable.lost && !unable.mark);
}

/* --- Rate and slots ---------------------------------------------------------------------- */

static void a_rate_is_exact(void **state)
{
    static const struct {
        struct impairment w;
        nsec each; /* of 1000 bytes */
    } cases[] = {
        {{.rate = 1000000}, 1000000},
        {{.rate = 1000000, .packet_overhead = 24}, 1024000},
        {{.rate = 1000000, .packet_overhead = -200}, 800000},
        {{.rate = 1000000, .cell_size = 48, .cell_overhead = 5}, 21 * 53 * 1000},
        {{.rate = 3000000000u}, 333},
    };
    for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
        CLEANUP(fate_free_p) struct fate *f = fate_of_seed(&cases[k].w, 5);
        /* All at once: each leaves its own time after the one before. */
        for (int64_t i = 1; i <= 100; i++)
            assert_int_equal(fate_draw(f, 0, 1000, false, false).due, i * cases[k].each);
        /* The line is idle again: only its own time. */
        nsec late = 1000 * NSEC_SEC;
        assert_int_equal(fate_draw(f, late, 1000, false, false).due, late + cases[k].each);
    }
    /* What waits is part of the delay. */
    struct impairment both = {.delay = 5 * MS, .rate = 1000000};
    CLEANUP(fate_free_p) struct fate *f = fate_of_seed(&both, 5);
    for (int64_t i = 1; i <= 20; i++)
        assert_int_equal(fate_draw(f, 0, 1000, false, false).due, 5 * MS + i * MS);
}

static void slots_let_through_what_fits(void **state)
{
    struct impairment w = {.has_slot = true,
                           .slot = {.min = 10 * MS, .max = 10 * MS, .packets = 3}};
    CLEANUP(fate_free_p) struct fate *f = fate_of_seed(&w, 5);
    nsec now = 0, left[10];
    for (size_t i = 0; i < 10; i++) { /* ten that were due at 0 */
        nsec opens;
        while ((opens = fate_slot(f, 0, now, 100)))
            now = opens;
        left[i] = now;
    }
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(left[i], (nsec)(i / 3 + 1) * 10 * MS);
    struct impairment bytes = {.has_slot = true,
                               .slot = {.min = 10 * MS, .max = 20 * MS, .bytes = 250}};
    fate_free(f);
    f = fate_of_seed(&bytes, 5);
    nsec last = now = 0;
    for (size_t i = 0; i < 3000; i++) {
        nsec opens;
        while ((opens = fate_slot(f, 0, now, 100)))
            now = opens;
        if (i % 3 == 0) /* the third made it full */
            assert_in_range(now - last, 10 * MS, 20 * MS);
        else
            assert_int_equal(now, last);
        last = now;
    }
    assert_true(fabs((double)now / 1000 - 15 * 1e6) < 0.4e6);
}

/* --- Seeds, and what is refused -------------------------------------------------------------- */

/* MEASURES seed: engine */
static void a_seed_decides_everything(void **state)
{
    struct impairment w = {.delay = 10 * MS,
                           .jitter = 5 * MS,
                           .delay_correlation = 0.3,
                           .loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 0.1},
                           .duplicate = 0.1,
                           .corrupt = 0.1,
                           .has_seed = true,
                           .seed = 42};
    CLEANUP(fate_free_p) struct fate *a = fate_of_seed(&w, 1);
    CLEANUP(fate_free_p) struct fate *b = fate_of_seed(&w, 2);
    w.seed = 43;
    CLEANUP(fate_free_p) struct fate *c = fate_of_seed(&w, 1);
    size_t same = 0;
    for (size_t i = 0; i < 1000; i++) {
        struct fate_of x = fate_draw(a, 0, 100, false, false);
        struct fate_of y = fate_draw(b, 0, 100, false, false);
        struct fate_of z = fate_draw(c, 0, 100, false, false);
        assert_int_equal(x.lost, y.lost);
        assert_int_equal(x.duplicated, y.duplicated);
        assert_int_equal(x.corrupted, y.corrupted);
        assert_int_equal(x.where, y.where);
        assert_int_equal(x.due, y.due);
        same += x.due == z.due && !x.lost;
    }
    assert_true(same < 20);
}

static void what_means_nothing_is_refused(void **state)
{
    static const struct {
        struct impairment w;
        const char *words;
    } bad[] = {
        {{.loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 1.5}}, "loss must be between"},
        {{.duplicate = -0.1}, "duplicate must be between"},
        {{.delay = 1, .delay_correlation = 1}, "delay correlation must be between"},
        {{.reorder = 0.5}, "reordering needs a delay"},
        {{.delay = 1, .gap = 3, .keep_order = true}, "cannot both keep"},
        {{.delay = -1}, "a delay must be between"},
        {{.has_slot = true, .slot = {.min = 2, .max = 1}}, "shorter than the shortest"},
        {{.rate = 1, .cell_size = 5, .cell_overhead = -5}, "leaves nothing"},
        {{.delay = 2, .jitter = 1, .distribution = IMPAIR_TABLE}, "table has 1 to"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct err err = ERR_INIT;
        struct fate *f = NULL;
        assert_int_equal(fate_new(&bad[i].w, 1, &f, &err), -EINVAL);
        assert_null(f);
        assert_non_null(strstr(err.text, bad[i].words));
    }
    assert_null(fate_free(NULL));
    assert_null(spread_free(NULL));
}

static void packets_are_told_from_frames(void **state)
{
    const struct impairment delay = {.delay = 1}, jitter = {.delay = 2, .jitter = 1},
                            loss = {.loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 1}},
                            rate = {.rate = 1};
    assert_false(fate_is_per_packet(&delay));
    assert_true(fate_is_per_packet(&jitter) && fate_is_per_packet(&rate));
    assert_true(fate_is_momentary(&loss));
    assert_false(fate_is_momentary(&delay) || fate_is_momentary(&rate));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(correlated_loss_keeps_its_share),
        cmocka_unit_test(gilbert_elliott_is_recovered),
        cmocka_unit_test(four_states_have_their_bursts),
        cmocka_unit_test(delays_follow_their_distribution),
        cmocka_unit_test(order_is_kept_where_asked),
        cmocka_unit_test(a_share_goes_at_once),
        cmocka_unit_test(copies_are_not_copied),
        cmocka_unit_test(congestion_is_marked_where_it_can_be),
        cmocka_unit_test(a_rate_is_exact),
        cmocka_unit_test(slots_let_through_what_fits),
        cmocka_unit_test(a_seed_decides_everything),
        cmocka_unit_test(what_means_nothing_is_refused),
        cmocka_unit_test(packets_are_told_from_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
