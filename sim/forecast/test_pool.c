/* Pieces come in order, whatever the threads; failures and stops are told. */
#include "tests/support/test.h"

#include "sim/forecast/pool.h"
#include <errno.h>

struct heard {
    uint64_t next, sum, fails_at, stop_after;
    int workers; /* begun and not ended; by __atomic */
};

static void *begin(void *data)
{
    struct heard *h = data;
    __atomic_fetch_add(&h->workers, 1, __ATOMIC_RELAXED);
    return h;
}

static void end_worker(void *worker)
{
    struct heard *h = worker;
    __atomic_fetch_sub(&h->workers, 1, __ATOMIC_RELAXED);
}

static int compute(void *worker, uint64_t piece, void **slot, const bool *stop, struct err *err)
{
    const struct heard *h = worker;
    uint64_t *v = *slot ? *slot : calloc(1, sizeof *v);
    assert_non_null(v);
    *slot = v;
    *v = 0;
    for (uint64_t i = 0; i < (piece % 7) * 300; i++) /* some take longer than others */
        *v += i ^ piece;
    *v = piece * piece;
    return piece == h->fails_at ? err_set(err, EDOM, "piece %d fails", (int)piece) : 0;
}

static int deliver(uint64_t piece, void *slot, void *data, struct err *err)
{
    struct heard *h = data;
    assert_int_equal(piece, h->next);
    assert_int_equal(*(const uint64_t *)slot, piece * piece);
    h->next++;
    h->sum += *(const uint64_t *)slot;
    return h->stop_after && h->next >= h->stop_after ? err_set(err, ENOSPC, "full") : 0;
}

static int run(struct heard *h, uint64_t end, size_t threads, uint64_t *ret, struct err *err)
{
    struct pool_job job = {.first = h->next,
                           .end = end,
                           .threads = threads,
                           .data = h,
                           .begin = begin,
                           .end_worker = end_worker,
                           .compute = compute,
                           .free_slot = free,
                           .deliver = deliver};
    return pool_run(&job, ret, err);
}

static void pieces_come_in_order_whatever_the_threads(void **state)
{
    static const size_t threads[] = {1, 2, 7};
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        struct heard h = {.next = 10, .fails_at = UINT64_MAX};
        uint64_t n;
        assert_int_equal(run(&h, 510, threads[i], &n, NULL), 0);
        assert_int_equal(n, 500);
        assert_int_equal(h.sum, 44086750);
        assert_int_equal(h.workers, 0);
    }
}

static void no_pieces_are_no_error(void **state)
{
    struct heard h = {.next = 3, .fails_at = UINT64_MAX};
    uint64_t n = 9;
    assert_int_equal(run(&h, 3, 2, &n, NULL), 0);
    assert_int_equal(n, 0);
}

static void the_first_failure_is_told_after_what_came_before_it(void **state)
{
    struct heard h = {.fails_at = 100};
    struct err err = ERR_INIT;
    uint64_t n;
    assert_int_equal(run(&h, 500, 3, &n, &err), -EDOM);
    assert_string_equal(err.text, "piece 100 fails");
    assert_int_equal(n, 100);
    assert_int_equal(h.workers, 0);
}

static void who_takes_them_may_fail(void **state)
{
    struct heard h = {.fails_at = UINT64_MAX, .stop_after = 20};
    struct err err = ERR_INIT;
    uint64_t n;
    assert_int_equal(run(&h, 500, 2, &n, &err), -ENOSPC);
    assert_int_equal(h.next, 20);
    assert_int_equal(h.workers, 0);
}

static bool enough(uint64_t delivered, void *data)
{
    return true;
}

static int compute_until_stopped(void *worker, uint64_t piece, void **slot, const bool *stop,
                                 struct err *err)
{
    if (piece < 4)
        return compute(worker, piece, slot, stop, err);
    while (!__atomic_load_n(stop, __ATOMIC_RELAXED))
        ;
    return 0;
}

static void a_stop_keeps_what_was_delivered(void **state)
{
    struct heard h = {.fails_at = UINT64_MAX};
    struct pool_job job = {.end = 500,
                           .threads = 2,
                           .data = &h,
                           .begin = begin,
                           .end_worker = end_worker,
                           .compute = compute_until_stopped,
                           .free_slot = free,
                           .deliver = deliver,
                           .tick = enough};
    uint64_t n;
    assert_int_equal(pool_run(&job, &n, NULL), 0);
    assert_int_equal(n, 4);
    assert_int_equal(h.workers, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_come_in_order_whatever_the_threads),
        cmocka_unit_test(no_pieces_are_no_error),
        cmocka_unit_test(the_first_failure_is_told_after_what_came_before_it),
        cmocka_unit_test(who_takes_them_may_fail),
        cmocka_unit_test(a_stop_keeps_what_was_delivered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
