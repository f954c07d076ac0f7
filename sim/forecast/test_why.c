/* Indices with known answers, from trials that are known mathematics; effects and critical paths. */
#include "tests/support/test.h"

#include "sim/base/rng.h"
#include "sim/forecast/draw.h"
#include "sim/forecast/sobol.h"
#include "sim/forecast/why.h"

#include <math.h>
#include <string.h>

/* A world with one service whose time to restore is a function of a few uniform numbers. */
struct world {
    struct quantity q[40];
    size_t n;
    nsec (*f)(const double *u, const bool *no_time, const bool *sure, nsec *path);
};
struct seat {
    const struct world *w;
    nsec path[40];
};

static void *seat_begin(const void *data)
{
    struct seat *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->w = data;
    return s;
}

static int seat_play(void *worker, uint64_t seed, uint64_t number, const struct whatif *whatif,
                     struct outcome *ret, struct err *err)
{
    struct seat *s = worker;
    double u[40];
    bool no_time[40] = {false}, sure[40] = {false};
    for (size_t k = 0; k < s->w->n; k++) {
        int kind = whatif ? whatif->kind[k] : WHATIF_AS_IS;
        struct rng r = rng_stream(kind == WHATIF_OTHER ? whatif->other_seed : seed, s->w->q[k].name,
                                  number, 0);
        u[k] = rng_unit(&r);
        no_time[k] = kind == WHATIF_NO_TIME;
        sure[k] = kind == WHATIF_SURE;
    }
    memset(s->path, 0, sizeof s->path);
    *ret = (struct outcome){.kind = OUTCOME_IS_RESTORED,
                            .by = OUTCOME_BY_RECOVERY,
                            .ttr = s->w->f(u, no_time, sure, s->path),
                            .weight = 1};
    if (ret->ttr == NSEC_INF)
        ret->kind = OUTCOME_IS_CENSORED;
    return 0;
}

static void seat_path(void *worker, size_t service, nsec *ret)
{
    const struct seat *s = worker;
    memcpy(ret, s->path, s->w->n * sizeof *ret);
}

static struct world world_of(size_t n,
                             nsec (*f)(const double *, const bool *, const bool *, nsec *))
{
    static char names[40][16];
    struct world w = {.n = n, .f = f};
    for (size_t k = 0; k < n; k++) {
        snprintf(names[k], sizeof names[k], "stage:%zu", k);
        w.q[k] = (struct quantity){.name = names[k], .is_stage = true};
    }
    return w;
}

static struct player player_of(const struct world *w)
{
    return (struct player){.quantities = w->q,
                           .quantities_n = w->n,
                           .services_n = 1,
                           .begin = seat_begin,
                           .end = free,
                           .play = seat_play,
                           .path = seat_path,
                           .data = w};
}

static struct why luck_of(const struct world *w, nsec target, uint64_t seed, size_t trials,
                          size_t threads)
{
    const struct player p = player_of(w);
    const size_t service = 0;
    const struct service promise = {.rto = target}, *promises[] = {&promise};
    struct err err = ERR_INIT;
    struct why why = {0};
    struct why_request q = {.player = &p,
                            .services = &service,
                            .promises = promises,
                            .services_n = 1,
                            .horizon = 1000 * NSEC_SEC,
                            .threads = threads,
                            .seed = seed,
                            .trials = trials};
    assert_int_equal(why_luck(&q, &why, &err), 0);
    return why;
}

/* Within 4.5 standard errors, the interval's half-width being 2.093 of them, and close. */
static void assert_near(struct estimate e, double truth, double half)
{
    double se = (e.hi - e.value) / 2.0930240544082634;
    if (!(fabs(e.value - truth) <= 4.5 * se + 1e-12) || !(e.hi - e.value <= half))
        fail_msg("%.5f [%.5f, %.5f], the truth is %.5f", e.value, e.lo, e.hi, truth);
}

static const uint64_t seeds[] = {20260501, 20260502, 20260503, 20260504, 20260505};

/* Uniform widths 1, 2, 3, 4 s: variances as 1 : 4 : 9 : 16. */
static nsec additive(const double *u, const bool *no_time, const bool *sure, nsec *path)
{
    nsec sum = 10 * NSEC_SEC;
    for (size_t k = 0; k < 4; k++) {
        path[k] = no_time[k] ? 0 : (nsec)(u[k] * (double)(k + 1) * 1e9);
        sum += path[k];
    }
    return sum;
}

static void additive_stages_share_the_variance(void **state)
{
    const struct world w = world_of(4, additive);
    for (size_t i = 0; i < ARRAY_SIZE(seeds); i++) {
        struct why y = luck_of(&w, NSEC_UNSET, seeds[i], 10000, 2);
        const struct why_part *p = y.services[0].parts;
        for (size_t k = 0; k < 4; k++) {
            double truth = (double)((k + 1) * (k + 1)) / 30;
            assert_near(p[k].first_ttr, truth, 0.03);
            assert_near(p[k].total_ttr, truth, 0.03);
        }
        assert_near(y.services[0].rest_ttr, 0, 0.06);
        /* there is no target, so nothing is missed */
        assert_false(y.services[0].miss_varies);
        assert_true(isnan(p[0].first_miss.value));
        /* of 10 s and half of 1 + 2 + 3 + 4 s */
        assert_true(fabs(p[3].time_share - 2.0 / 15) < 0.005);
        why_done(&y);
    }
}

static nsec ishigami(const double *u, const bool *no_time, const bool *sure, nsec *path)
{
    double x[3];
    for (size_t k = 0; k < 3; k++)
        x[k] = M_PI * (2 * u[k] - 1);
    double s = sin(x[1]), y = sin(x[0]) + 7 * s * s + 0.1 * x[2] * x[2] * x[2] * x[2] * sin(x[0]);
    return (nsec)((y + 20) * 1e9);
}

static void ishigami_has_its_known_indices(void **state)
{
    static const double first[] = {0.3139, 0.4424, 0}, total[] = {0.5576, 0.4424, 0.2437};
    const struct world w = world_of(3, ishigami);
    for (size_t i = 0; i < ARRAY_SIZE(seeds); i++) {
        struct why y = luck_of(&w, NSEC_UNSET, seeds[i], 20000, 1);
        for (size_t k = 0; k < 3; k++) {
            assert_near(y.services[0].parts[k].first_ttr, first[k], 0.04);
            assert_near(y.services[0].parts[k].total_ttr, total[k], 0.03);
        }
        assert_near(y.services[0].rest_ttr, 0.2437, 0.05);
        why_done(&y);
    }
}

/* Of 100 seeds the 95 % intervals of six indices hold the truth as often as they say. */
static void intervals_cover(void **state)
{
    static const double first[] = {0.3139, 0.4424, 0}, total[] = {0.5576, 0.4424, 0.2437};
    const struct world w = world_of(3, ishigami);
    size_t held = 0, n = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct why y = luck_of(&w, NSEC_UNSET, seed, 1000, 1);
        for (size_t k = 0; k < 3; k++) {
            const struct why_part *p = &y.services[0].parts[k];
            held += p->first_ttr.lo <= first[k] + 5e-5 && p->first_ttr.hi >= first[k] - 5e-5;
            held += p->total_ttr.lo <= total[k] + 5e-5 && p->total_ttr.hi >= total[k] - 5e-5;
            n += 2;
        }
        why_done(&y);
    }
    if (held < n * 92 / 100 || held > n * 98 / 100)
        fail_msg("%zu of %zu intervals hold the truth", held, n);
}

/* A controller works in 90 %; else somebody is called, which takes 20 to 60 s: a product. */
static nsec branching(const double *u, const bool *no_time, const bool *sure, nsec *path)
{
    bool works = sure[0] || u[0] < 0.9;
    path[0] = no_time[0] ? 0 : 2 * NSEC_SEC;
    if (works)
        return path[0] ? path[0] : 1;
    path[1] = no_time[1] ? 0 : (nsec)((20 + 40 * u[1]) * 1e9);
    return path[0] + path[1] + 1;
}

static void branches_are_interaction_and_have_their_effects(void **state)
{
    const struct world w = world_of(2, branching);
    struct why y = luck_of(&w, 32 * NSEC_SEC, 7, 40000, 2);
    const struct why_service *s = &y.services[0];
    /* T = 2 + F Y, F 0.1, Y of mean 40 and variance 133.33: Var = .1 E[Y²] - 16 = 157.33 */
    double var = 0.1 * (1600 + 1600.0 / 12) - 16, first_f = 1600 * 0.09 / var,
           first_y = 0.01 * 1600 / 12 / var;
    assert_near(s->parts[0].first_ttr, first_f, 0.05);
    assert_near(s->parts[1].first_ttr, first_y, 0.05);
    assert_near(s->rest_ttr, 1 - first_f - first_y, 0.06);
    /* missed: the person takes more than 30 s, 75 % of 10 % */
    assert_true(s->missed.lo < 0.075 && s->missed.hi > 0.075);
    assert_true(s->parts[0].sure.missed.value == 0);
    assert_true(s->parts[0].sure.change.lo < -0.075 && s->parts[0].sure.change.hi > -0.085);
    assert_true(s->parts[1].no_time.missed.value == 0);
    /* without the controller's 2 s: longer than 32 s, 70 % of 10 % */
    assert_true(s->parts[0].no_time.missed.lo < 0.07 && s->parts[0].no_time.missed.hi > 0.07);
    assert_true(s->parts[0].no_time.change.hi < 0);
    assert_true(s->parts[0].on_path.value == 1);
    assert_true(s->parts[1].on_path.lo < 0.1 && s->parts[1].on_path.hi > 0.1);
    assert_true(s->parts[1].on_missed_path.value == 1);
    why_done(&y);
}

static nsec many(const double *u, const bool *no_time, const bool *sure, nsec *path)
{
    nsec sum = 1;
    for (size_t k = 0; k < 40; k++) {
        path[k] = (nsec)(u[k] * (k == 33 ? 30e9 : 1e9));
        sum += path[k];
    }
    return sum;
}

static void of_many_the_least_are_told_together(void **state)
{
    const struct world w = world_of(40, many);
    struct why y = luck_of(&w, NSEC_UNSET, 1, 2000, 2);
    assert_int_equal(y.parts_n, WHY_PARTS_MAX);
    assert_string_equal(y.names[0], "stage:33");
    assert_string_equal(y.names[WHY_PARTS_MAX - 1], "everything else");
    assert_near(y.services[0].parts[0].first_ttr, 900.0 / 939, 0.1);
    assert_near(y.services[0].parts[WHY_PARTS_MAX - 1].first_ttr, 17.0 / 939, 0.1);
    why_done(&y);
}

static void threads_change_nothing(void **state)
{
    const struct world w = world_of(3, ishigami);
    struct why one = luck_of(&w, 15 * NSEC_SEC, 3, 2000, 1),
               seven = luck_of(&w, 15 * NSEC_SEC, 3, 2000, 7);
    assert_memory_equal(one.services[0].parts, seven.services[0].parts,
                        one.parts_n * sizeof *one.services[0].parts);
    assert_memory_equal(&one.services[0].rest_miss, &seven.services[0].rest_miss,
                        sizeof one.services[0].rest_miss);
    why_done(&one);
    why_done(&seven);
}

static nsec constant(const double *u, const bool *no_time, const bool *sure, nsec *path)
{
    return 5 * NSEC_SEC;
}

static void what_does_not_vary_has_no_indices(void **state)
{
    const struct world w = world_of(2, constant);
    struct why y = luck_of(&w, 1 * NSEC_SEC, 3, 400, 1);
    assert_false(y.services[0].ttr_varies);
    assert_true(isnan(y.services[0].parts[0].first_ttr.value));
    assert_false(y.services[0].miss_varies); /* all of them are missed */
    assert_true(y.services[0].missed.value == 1);
    why_done(&y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(additive_stages_share_the_variance),
        cmocka_unit_test(ishigami_has_its_known_indices),
        cmocka_unit_test(intervals_cover),
        cmocka_unit_test(branches_are_interaction_and_have_their_effects),
        cmocka_unit_test(of_many_the_least_are_told_together),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(what_does_not_vary_has_no_indices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
