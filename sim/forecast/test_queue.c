/* Events come in the order of their times, those of one instant in the order of insertion. */
#include "tests/support/test.h"

#include "sim/base/rng.h"
#include "sim/forecast/queue.h"

struct seen {
    nsec at;
    uint64_t order;
};

static int by_time_then_order(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void as_a_sorted_list_would(void **state)
{
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct queue q = QUEUE_INIT;
        struct rng r = rng_stream(seed, "queue", 0, 0);
        struct seen list[600];
        size_t n = 0;
        uint64_t order = 0;
        nsec now = 0;
        for (int i = 0; i < 3000; i++) {
            if (n < ARRAY_SIZE(list) && (n == 0 || rng_below(&r, 100) < 52)) {
                nsec at = now + (nsec)rng_below(&r, 1 + seed); /* many of one instant */
                queue_put(&q, at, order);
                list[n++] = (struct seen){at, order++};
            } else {
                qsort(list, n, sizeof *list, by_time_then_order);
                assert_int_equal(queue_next(&q), list[0].at);
                struct queue_event e;
                if (rng_below(&r, 2)) {
                    nsec at = list[0].at + (nsec)rng_below(&r, 5);
                    assert_int_equal(q.what[3], list[0].order);
                    queue_replace(&q, at, order);
                    list[0] = (struct seen){at, order++};
                } else {
                    assert_true(queue_take(&q, &e));
                    assert_int_equal(e.at, list[0].at);
                    assert_int_equal(e.what, list[0].order);
                    now = e.at;
                    memmove(list, list + 1, --n * sizeof *list);
                }
            }
        }
        qsort(list, n, sizeof *list, by_time_then_order);
        struct queue_event e;
        for (size_t i = 0; i < n; i++) {
            assert_true(queue_take(&q, &e));
            assert_int_equal(e.what, list[i].order);
        }
        assert_false(queue_take(&q, &e));
        assert_int_equal(queue_next(&q), NSEC_INF);
        queue_done(&q);
    }
}

/* How long from now to an event: what the buckets are made for, and what defies them. */
static nsec some_time(struct rng *r, int kind, size_t i)
{
    switch (kind) {
    case 0: /* even */
        return (nsec)rng_below(r, NSEC_SEC);
    case 1: /* of any magnitude */
        return (nsec)(rng_below(r, UINT64_MAX / 2) >> rng_below(r, 62));
    case 2: /* all at once */
        return 7;
    case 3: /* later and later ones before */
        return (nsec)(NSEC_SEC - (nsec)(i % NSEC_SEC));
    case 4: /* never, or at one of few instants */
        return rng_below(r, 3) ? (nsec)rng_below(r, 3) * NSEC_SEC : NSEC_INF;
    default: /* many soon, few far off */
        return rng_below(r, 100) ? (nsec)rng_below(r, 1000) : (nsec)rng_below(r, UINT64_MAX / 2);
    }
}

/* Times never go back, so nothing may be taken that should have come before what was taken last. */
static void many_wait_in_order(void **state)
{
    enum { MANY = 50000, KINDS = 6 };
    struct queue q = QUEUE_INIT;
    for (int kind = 0; kind < KINDS; kind++) {
        struct rng r = rng_stream(1, "many", (uint64_t)kind, 0);
        struct seen last = {0};
        uint64_t put = 0, taken = 0;
        struct queue_event e;
        queue_clear(&q);
        for (size_t step = 0; step == 0 || taken < put; step++) {
            bool filling = step < MANY, holding = step < 3 * MANY;
            if (!filling) {
                e.at = queue_next(&q);
                e.what = q.what[3];
                assert_true(e.at > last.at || (e.at == last.at && (!taken || e.what > last.order)));
                last = (struct seen){e.at, e.what};
                taken++;
            }
            nsec from_now = holding ? some_time(&r, kind, step) : 0;
            nsec at = from_now > NSEC_INF - last.at ? NSEC_INF : last.at + from_now;
            if (filling)
                queue_put(&q, at, put++);
            else if (holding && step % 3)
                queue_replace(&q, at, put++);
            else
                assert_true(queue_take(&q, &e));
            if (holding && !filling && step % 3 == 0)
                queue_put(&q, at, put++);
        }
        assert_false(queue_take(&q, &e));
        assert_int_equal(queue_next(&q), NSEC_INF);
        assert_int_equal(taken, put);
    }
    queue_done(&q);
}

static void cleared_it_is_as_new(void **state)
{
    struct queue q = QUEUE_INIT;
    queue_clear(&q);
    for (uint64_t i = 0; i < 3 * QUEUE_CROWDED; i++)
        queue_put(&q, (nsec)(3 * QUEUE_CROWDED - i), i);
    queue_clear(&q);
    struct queue_event e;
    assert_false(queue_take(&q, &e));
    queue_put(&q, 5, 1);
    queue_put(&q, 5, 2);
    assert_true(queue_take(&q, &e));
    assert_int_equal(e.what, 1);
    queue_done(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_a_sorted_list_would),
        cmocka_unit_test(many_wait_in_order),
        cmocka_unit_test(cleared_it_is_as_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
