/* Descriptors are closed by others, all of them, and who waits for one is told. */
#include "sim/impair/engine/closer.h"
#include "tests/support/test.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MANY 100

/* The other end of `fd` is closed: at the latest now. */
static void is_closed_soon(int fd)
{
    struct pollfd p = {.fd = fd};
    assert_int_equal(poll(&p, 1, 10000), 1);
    assert_true(p.revents & POLLHUP);
    close(fd);
}

static void all_are_closed(void **state)
{
    struct closer *c = NULL;
    int fds[MANY][2];
    assert_int_equal(closer_new(&c), 0);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(pipe(fds[i]), 0);
        closer_take(c, fds[i][1], false);
    }
    for (int i = 0; i < MANY; i++)
        is_closed_soon(fds[i][0]);
    closer_free(c);
}

static void its_end_waits_for_them(void **state)
{
    struct closer *c = NULL;
    int fds[MANY][2];
    assert_int_equal(closer_new(&c), 0);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(pipe(fds[i]), 0);
        closer_take(c, fds[i][1], false);
    }
    closer_free(c);
    for (int i = 0; i < MANY; i++) {
        struct pollfd p = {.fd = fds[i][0]};
        assert_int_equal(poll(&p, 1, 0), 1);
        close(fds[i][0]);
    }
    assert_null(closer_free(NULL));
}

static void who_waits_is_told(void **state)
{
    struct closer *c = NULL;
    int quiet[2], awaited[2];
    eventfd_t n;
    assert_int_equal(closer_new(&c), 0);
    assert_int_equal(pipe(quiet), 0);
    assert_int_equal(pipe(awaited), 0);
    closer_take(c, quiet[1], false);
    is_closed_soon(quiet[0]);
    struct pollfd told = {.fd = closer_fd(c), .events = POLLIN};
    assert_int_equal(poll(&told, 1, 0), 0);
    closer_take(c, awaited[1], true);
    assert_int_equal(poll(&told, 1, 10000), 1);
    assert_int_equal(eventfd_read(closer_fd(c), &n), 0);
    assert_int_equal(n, 1);
    is_closed_soon(awaited[0]);
    closer_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_closed),
        cmocka_unit_test(its_end_waits_for_them),
        cmocka_unit_test(who_waits_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
