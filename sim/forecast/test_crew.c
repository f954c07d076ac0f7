/* A crew's line against Erlang's formulas (A10): customers come at random to so many servers, and their mean
 * wait is met within 4.5 standard errors over independent replications, each from an empty desk with a
 * warm-up of its first 2,000 customers. With `long` until the standard error is 0.3 %. */
#include "tests/support/test.h"

#include "sim/forecast/crew.h"
#include "sim/forecast/draw.h"
#include "sim/forecast/queue.h"

#include <math.h>
#include <string.h>

static void first_come_first_served(void **state)
{
    struct crew_line c = CREW_LINE(2);
    size_t next = 99;
    assert_true(crew_ask(&c, 1));
    assert_true(crew_ask(&c, 2));
    for (size_t i = 3; i < 40; i++) /* more than one growth of the ring */
        assert_false(crew_ask(&c, i));
    for (size_t i = 3; i < 30; i++) {
        assert_true(crew_finish(&c, &next));
        assert_int_equal(next, i);
    }
    for (size_t i = 40; i < 60; i++)
        assert_false(crew_ask(&c, i));
    for (size_t i = 30; i < 60; i++) {
        assert_true(crew_finish(&c, &next));
        assert_int_equal(next, i);
    }
    assert_false(crew_finish(&c, &next));
    assert_int_equal(c.busy, 1);
    assert_false(crew_finish(&c, &next));
    assert_true(crew_ask(&c, 7));
    crew_clear(&c);
    assert_true(crew_ask(&c, 8));
    assert_true(crew_ask(&c, 9));
    assert_false(crew_ask(&c, 10));
    crew_done(&c);
}

struct desk {
    const char *name;
    double arrivals, service; /* rates */
    size_t servers;
    double wait; /* mean, of all customers */
};

#define WARM 2000
#define MOST 50000

/* Mean wait of the customers after the warm-up. */
static double replication(const struct desk *d, uint64_t seed, uint64_t number, size_t customers)
{
    static double came[WARM + MOST];
    struct rng arrivals = rng_stream(seed, "arrivals", number, 0),
               services = rng_stream(seed, "services", number, 0);
    struct crew_line line = CREW_LINE(d->servers);
    struct queue q = QUEUE_INIT;
    struct queue_event e;
    const double second = (double)NSEC_SEC;
    double waited = 0;
    size_t n = 0;
    queue_put(&q, 0, 0);
    while (queue_take(&q, &e)) {
        double now = (double)e.at / second;
        size_t begins = SIZE_MAX;
        if (e.what == 0) {
            came[n] = now;
            if (crew_ask(&line, n))
                begins = n;
            if (++n < WARM + customers)
                queue_put(&q, e.at + (nsec)(draw_exponential(&arrivals) / d->arrivals * second), 0);
        } else if (!crew_finish(&line, &begins)) {
            begins = SIZE_MAX;
        }
        if (begins == SIZE_MAX)
            continue;
        if (begins >= WARM)
            waited += now - came[begins];
        queue_put(&q, e.at + (nsec)(draw_exponential(&services) / d->service * second), 1);
    }
    queue_done(&q);
    crew_done(&line);
    return waited / (double)customers;
}

static const struct desk desks[] = {
    {"M/M/1", 0.7, 1, 1, 7.0 / 3},
    {"M/M/3", 0.2, 0.1, 3, 40.0 / 9},
};
/* The same with one server more: the test must tell them apart. */
static const struct desk wrong[] = {
    {"M/M/1", 0.7, 1, 2, 0},
    {"M/M/3", 0.2, 0.1, 4, 0},
};

static double estimate(const struct desk *d, uint64_t seed, size_t replications, size_t customers,
                       double *ret_se)
{
    double sum = 0, squares = 0, n = (double)replications;
    for (size_t i = 0; i < replications; i++) {
        double w = replication(d, seed, i, customers);
        sum += w;
        squares += w * w;
    }
    *ret_se = sqrt((squares - sum * sum / n) / (n - 1) / n);
    return sum / n;
}

static void meet(const uint64_t *seeds, size_t seeds_n, size_t replications, size_t customers,
                 double se_at_most)
{
    for (size_t i = 0; i < ARRAY_SIZE(desks); i++) {
        double truth = desks[i].wait, se;
        for (size_t k = 0; k < seeds_n; k++) {
            double w = estimate(&desks[i], seeds[k], replications, customers, &se);
            if (se > se_at_most * truth || fabs(w - truth) > 4.5 * se)
                fail_msg("%s, seed %d: %g instead of %g (standard error %.2f %%)", desks[i].name,
                         (int)seeds[k], w, truth, 100 * se / truth);
        }
        double w = estimate(&wrong[i], seeds[0], 5, customers, &se);
        if (fabs(w - truth) <= 4.5 * se)
            fail_msg("%s: one server more passes", desks[i].name);
    }
}

static void waits_are_erlangs(void **state)
{
    static const uint64_t seeds[] = {11, 23, 37, 59, 83};
    meet(seeds, ARRAY_SIZE(seeds), 50, 8000, 0.03);
}

static void waits_are_erlangs_to_a_third_of_a_percent(void **state)
{
    static const uint64_t seeds[] = {11, 23, 37, 59, 83};
    meet(seeds, ARRAY_SIZE(seeds), 300, MOST, 0.003);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_come_first_served),
        cmocka_unit_test(waits_are_erlangs),
    };
    const struct CMUnitTest long_ones[] = {
        cmocka_unit_test(waits_are_erlangs_to_a_third_of_a_percent)};
    if (argc > 1 && strcmp(argv[1], "long") == 0)
        return cmocka_run_group_tests(long_ones, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
