/* Closed forms of availability, by independent replications after a warm-up: each known answer is met within
 * 4.5 standard errors, these are at most 0.3 % of it, for each of five seeds, and a wrong variant of the
 * same system misses it by more. Steady states: 60 missions, each after a warm-up of 2,000 h (250 repairs), so
 * that what is left of the beginning is less than e^-20.
 *
 * Argument `long`: those that take more events (the unavailability of what is redundant). */
#include "sim/forecast/test_years.h"

#include "sim/forecast/draw.h"
#include "sim/forecast/years_rare.h"

#include <math.h>
#include <string.h>

static const uint64_t seeds[] = {11, 23, 37, 59, 83};

#define RARE_CYCLES 5500000

enum measure { AVAILABILITY, UNAVAILABILITY, RATE, MEAN_DOWN_TIME, FIRST_DOWN, POINT };

struct oracle {
    const char *name;
    void (*build)(struct kit *k);
    enum measure of;
    double truth; /* shares; incidents an hour; hours */
    double years; /* length of a mission; FIRST_DOWN: at most */
    size_t missions;
    void (*wrong)(struct kit *k); /* NULL: another line has it */
};

static const struct distribution life = EXPONENTIAL(100), mend = EXPONENTIAL(8),
                                 always100 = CONSTANT(100), always8 = CONSTANT(8),
                                 mends_995 = EXPONENTIAL(100 * 0.005 / 0.995),
                                 mends_990 = EXPONENTIAL(100 * 0.01 / 0.99),
                                 mends_999 = EXPONENTIAL(100 * 0.001 / 0.999),
                                 weibull = {.kind = DISTRIBUTION_WEIBULL,
                                            .a = (nsec)(100 / 0.886226925452758 * (double)HOUR),
                                            .shape = 2,
                                            .least = NSEC_UNSET,
                                            .most = NSEC_UNSET},
                                 uniform = {.kind = DISTRIBUTION_UNIFORM,
                                            .a = 2 * HOUR,
                                            .b = 14 * HOUR,
                                            .least = NSEC_UNSET,
                                            .most = NSEC_UNSET};

static void alike(struct kit *k, size_t n, size_t need, const struct distribution *fails,
                  const struct distribution *repair)
{
    kit_init(k, n, 1);
    for (size_t i = 0; i < n; i++) {
        k->components[i].fails = fails;
        k->components[i].repair = repair;
    }
    k->services[0].of = FIRST(n);
    k->services[0].need = need;
}

static void one_crew(struct kit *k)
{
    k->crews[0] = (struct catalogue_crew){.name = "crew", .at_a_time = 1};
    k->c.crews_n = 1;
    for (size_t i = 0; i < k->c.components_n; i++)
        k->components[i].crew = 0;
}

static void a1(struct kit *k)
{
    alike(k, 1, 1, &life, &mend);
}
static void a1_weibull(struct kit *k)
{
    alike(k, 1, 1, &weibull, &uniform);
}
static void a1_constant(struct kit *k)
{
    alike(k, 1, 1, &always100, &always8);
}
static void a3(struct kit *k)
{
    alike(k, 3, 3, &life, &mends_999);
    k->components[1].repair = &mends_995;
    k->components[2].repair = &mends_990;
}
static void a3_two_alike(struct kit *k)
{
    a3(k);
    k->components[2].repair = &mends_995;
}
static void a3_pair(struct kit *k)
{
    alike(k, 2, 2, &life, &mend);
}
static void a3_pair_stops_ageing(struct kit *k)
{
    a3_pair(k);
    k->components[0].ages_while_down = k->components[1].ages_while_down = false;
}
static void a4(struct kit *k)
{
    alike(k, 3, 2, &life, &mend);
}
static void a4_one_crew(struct kit *k)
{
    a4(k);
    one_crew(k);
}
static void a5(struct kit *k)
{
    alike(k, 2, 1, &life, &mend);
    one_crew(k);
}
static void a5_two_crews(struct kit *k)
{
    alike(k, 2, 1, &life, &mend);
}
static void a6_no_repair(struct kit *k)
{
    alike(k, 2, 1, &life, NULL);
}
static void a7(struct kit *k)
{
    alike(k, 3, 2, &life, NULL);
}
static void a7_one_of_three(struct kit *k)
{
    alike(k, 3, 1, &life, NULL);
}
static void a8_three(struct kit *k)
{
    alike(k, 3, 0, &life, &mends_990);
    k->services[0].mode = QUORUM;
}
static void a8_two_thirds_of_five(struct kit *k)
{
    alike(k, 5, 4, &life, &mends_990);
}
static void a8_five(struct kit *k)
{
    alike(k, 5, 0, &life, &mends_990);
    k->services[0].mode = QUORUM;
}
static void a9(struct kit *k)
{
    alike(k, 2, 1, &life, &mends_990);
}
static const size_t zone[] = {2};
/* Both stand in one zone, which is as good as they are: A (1 - (1 - A)^2). */
static void in_one_zone(struct kit *k)
{
    alike(k, 3, 1, &life, &mend);
    k->services[0].of = FIRST(2);
    k->components[0].in = k->components[1].in = (struct catalogue_list){zone, 1};
}

/* The active one fails every 100 h; a takeover takes an hour, unless it is repaired before (mean 8 h):
 * 8 (1 - e^(-1/8)) h a time, while the standby never fails. Going back costs nothing. */
static nsec an_hour(const void *data, nsec now, struct rng *r)
{
    return HOUR;
}
static const struct distribution at_once = CONSTANT(0);
static void standby(struct kit *k)
{
    alike(k, 2, 1, &life, &mend);
    k->components[1].fails = NULL;
    k->services[0].mode = ACTIVE_PASSIVE;
    k->services[0].takeover = an_hour;
    k->services[0].failback = &at_once;
}
static nsec two_hours(const void *data, nsec now, struct rng *r)
{
    return 2 * HOUR;
}
static void standby_slow(struct kit *k)
{
    standby(k);
    k->services[0].takeover = two_hours;
}

static const struct oracle oracles[] = {
    {"A1", a1, UNAVAILABILITY, 1 - 0.925925926, 60, 60, a5},
    {"A1, Weibull and uniform", a1_weibull, UNAVAILABILITY, 0.074074074, 20, 60, a5},
    {"A2, after 5 h", a1, POINT, 0.963641, 5.0 / 8760, 8000, a6_no_repair},
    {"A3", a3, AVAILABILITY, 0.98406495, 10, 60, a3_pair},
    {"A3, two", a3_pair, UNAVAILABILITY, 0.142661180, 30, 60, a3_pair_stops_ageing},
    {"A3, two, survivors stop ageing", a3_pair_stops_ageing, UNAVAILABILITY, 0.137931034, 30, 60,
     a3_pair},
    {"A4", a4, AVAILABILITY, 1 - 0.015648, 12, 60, a4_one_crew},
    {"A5", a5, AVAILABILITY, 1 - 0.0109141, 20, 60, a5_two_crews},
    {"A7", a7, FIRST_DOWN, 83.3333333, 1, 70000, a7_one_of_three},
    {"A8, of 3", a8_three, AVAILABILITY, 0.999702, 10, 60, a9},
    {"A8, of 5", a8_five, AVAILABILITY, 0.99999015, 10, 60, a8_two_thirds_of_five},
    {"A9", a9, AVAILABILITY, 0.9999, 10, 60, a8_three},
    {"common cause", in_one_zone, UNAVAILABILITY, 1 - 0.925925926 * (1 - 0.005486968), 48, 60,
     a5_two_crews},
    {"takeover", standby, RATE, 1.0 / 108, 36, 60, a5},
    {"takeover: down time", standby, MEAN_DOWN_TIME, 0.940024794, 16, 60, standby_slow},
};

static const struct oracle small[] = {
    {"A3: U", a3, UNAVAILABILITY, 0.01593505, 30, 60, a3_two_alike},
    {"A4: U", a4, UNAVAILABILITY, 0.015647996, 199, 60, a4_one_crew},
    {"A4: failures", a4, RATE, 0.00381039, 120, 60, a4_one_crew},
    {"A4: down time", a4, MEAN_DOWN_TIME, 4.10667, 120, 60, a4_one_crew},
    {"A5: U", a5, UNAVAILABILITY, 0.0109140518, 199, 120, a5_two_crews},
    {"A6", a5_two_crews, FIRST_DOWN, 775, 2, 125000, a6_no_repair},
    {"A8, of 3: U", a8_three, UNAVAILABILITY, 0.000298, 199, 300, a9},
    {"A9: U", a9, UNAVAILABILITY, 0.0001, 199, 750, a8_three},
};

/* One mission's parts of a ratio. */
static void part(const struct oracle *o, const struct tally *t, double *ret_of, double *ret_per)
{
    const struct tally_service *s = &t->services[0];
    double observed = (double)t->observed, down = (double)s->down;
    *ret_per = 1;
    switch (o->of) {
    case AVAILABILITY:
        *ret_of = 1 - down / observed;
        break;
    case UNAVAILABILITY:
        *ret_of = down / observed;
        break;
    case RATE:
        *ret_of = (double)s->incidents.sum / (observed / (double)HOUR);
        break;
    case MEAN_DOWN_TIME:
        *ret_of = down / (double)HOUR;
        *ret_per = (double)s->incidents.sum;
        break;
    case FIRST_DOWN: /* all of them, or the mission was too short */
        *ret_of = (double)s->first_down.sum * (double)TALLY_UNIT / (double)HOUR;
        *ret_per = (double)s->missions_down;
        break;
    case POINT:
        *ret_of = 1 - (double)s->missions_ending_down;
        break;
    }
}

static void estimate(const struct oracle *o, void (*build)(struct kit *), size_t missions,
                     uint64_t seed, double *ret_value, double *ret_se)
{
    struct kit k;
    build(&k);
    CLEANUP(catalogue_free_p) struct catalogue *c = kit_ready(&k);
    CLEANUP(years_free_p) struct years *y = years_new(c);
    bool from_new = o->of == FIRST_DOWN || o->of == POINT;
    struct years_span span = {.length = (nsec)(o->years * (double)TALLY_YEAR),
                              .warm_up = from_new ? 0 : 2000 * HOUR,
                              .until = o->of == FIRST_DOWN ? 0 : CATALOGUE_NONE};
    double of = 0, per = 0, xx = 0, xy = 0, yy = 0;
    for (size_t i = 0; i < missions; i++) {
        struct tally t = tally_new(1);
        double x = 0, n = 1;
        years_run(y, &span, seed, i, &t);
        part(o, &t, &x, &n);
        tally_done(&t);
        of += x;
        per += n;
        xx += x * x;
        xy += x * n;
        yy += n * n;
    }
    double r = of / per, m = (double)missions;
    double around = xx - 2 * r * xy + r * r * yy;
    *ret_value = r;
    *ret_se = sqrt((around > 0 ? around : 0) / (m - 1) * m) / per;
}

static void meet(const struct oracle *o)
{
    for (size_t i = 0; i < ARRAY_SIZE(seeds); i++) {
        double v, se;
        estimate(o, o->build, o->missions, seeds[i], &v, &se);
        if (se > 0.003 * o->truth || fabs(v - o->truth) > 4.5 * se + 1e-9 * o->truth)
            fail_msg("%s, seed %d: %.9g instead of %.9g (standard error %.3g, %.2f %%)", o->name,
                     (int)seeds[i], v, o->truth, se, 100 * se / o->truth);
    }
    double v, se;
    estimate(o, o->wrong, o->missions / 4, seeds[0], &v, &se);
    if (fabs(v - o->truth) <= 4.5 * se + 1e-9 * o->truth)
        fail_msg("%s: a wrong variant passes, %.9g (standard error %.3g)", o->name, v, se);
}

static void closed_forms_are_met_and_wrong_variants_are_not(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(oracles); i++)
        meet(&oracles[i]);
}

static void redundant_ones_are_met_by_their_unavailability(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(small); i++)
        meet(&small[i]);
}

/* A8 of five by what it is not there, 9.85e-6: plain missions would take a million years. */
static void a_quorum_of_five_is_met_by_its_unavailability(void **state)
{
    static const struct {
        void (*build)(struct kit *k);
        bool right;
    } variants[] = {{a8_five, true}, {a8_two_thirds_of_five, false}, {a8_three, false}};
    const double truth = 9.8506e-6; /* 10 u^3 (1 - u)^2 + 5 u^4 (1 - u) + u^5, u = 0.01 */
    for (size_t v = 0; v < ARRAY_SIZE(variants); v++) {
        struct kit k;
        variants[v].build(&k);
        CLEANUP(catalogue_free_p) struct catalogue *c = kit_ready(&k);
        for (size_t i = 0; i < (variants[v].right ? ARRAY_SIZE(seeds) : 1); i++) {
            struct years_rare_plan plan = {.seed = seeds[i],
                                           .cycles = RARE_CYCLES / (variants[v].right ? 1 : 4),
                                           .threads = 1};
            struct years_rare r;
            struct err err = ERR_INIT;
            if (years_rare(c, &plan, &r, &err) < 0)
                fail_msg("%s", err.text);
            double u = r.unavailability.value, se = r.unavailability.se;
            if (getenv("BLACKSTART_FIGURES"))
                print_message("A8, of 5: U %.6g (standard error %.2f %%)\n", u, 100 * se / truth);
            if ((fabs(u - truth) <= 4.5 * se) != variants[v].right ||
                (variants[v].right && se > 0.003 * truth))
                fail_msg("A8, of 5, variant %d, seed %d: %.9g instead of %.9g (%.3g)", (int)v,
                         (int)seeds[i], u, truth, se);
        }
    }
}

/* A1 without chance: 100 h up and 8 h down, 81 times in a year and 12 h more. */
static void constant_times_are_exact(void **state)
{
    struct kit k;
    a1_constant(&k);
    CLEANUP(catalogue_free_p) struct catalogue *c = kit_ready(&k);
    CLEANUP(years_free_p) struct years *y = years_new(c);
    struct tally t = tally_new(1);
    struct years_span span = {
        .length = 108 * HOUR * 1000, .warm_up = 108 * HOUR, .until = CATALOGUE_NONE};
    years_run(y, &span, 1, 0, &t);
    assert_int_equal(t.services[0].down, 8000 * HOUR);
    tally_done(&t);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_forms_are_met_and_wrong_variants_are_not),
        cmocka_unit_test(constant_times_are_exact),
    };
    const struct CMUnitTest long_ones[] = {
        cmocka_unit_test(redundant_ones_are_met_by_their_unavailability),
        cmocka_unit_test(a_quorum_of_five_is_met_by_its_unavailability),
    };
    if (argc > 1 && strcmp(argv[1], "long") == 0)
        return cmocka_run_group_tests(long_ones, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
