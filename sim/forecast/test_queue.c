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

static void cleared_it_is_as_new(void **state)
{
    struct queue q = QUEUE_INIT;
    queue_clear(&q);
    for (uint64_t i = 0; i < 100; i++)
        queue_put(&q, (nsec)(100 - i), i);
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
        cmocka_unit_test(cleared_it_is_as_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
