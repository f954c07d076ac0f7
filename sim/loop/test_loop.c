/* The loop: sources come and go inside callbacks, virtual time jumps, timers keep their order. */
#include "tests/support/test.h"

#include "sim/base/buf.h"
#include "sim/loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct end { /* one side of a pipe that is always readable, and what its callback does */
    struct loop *loop;
    struct loop_io io;
    int fds[2];
    int called;
    struct end *remove, *add;
};

static void end_ready(struct loop_io *io, uint32_t events, void *data)
{
    struct end *e = data;
    e->called++;
    if (e->remove)
        loop_io_remove(e->loop, &e->remove->io);
    if (e->add && !e->add->io.added)
        assert_int_equal(loop_io_add(e->loop, &e->add->io, e->add->fds[0], EPOLLIN, NULL), 0);
}

static void end_open(struct end *e, struct loop *loop, bool add)
{
    *e = (struct end){.loop = loop, .io = {.fn = end_ready, .data = e}};
    assert_int_equal(pipe2(e->fds, O_CLOEXEC), 0);
    assert_int_equal(write(e->fds[1], "x", 1), 1);
    if (add)
        assert_int_equal(loop_io_add(loop, &e->io, e->fds[0], EPOLLIN, NULL), 0);
}

static void end_close(struct end *e)
{
    loop_io_remove(e->loop, &e->io);
    close(e->fds[0]);
    close(e->fds[1]);
}

static struct loop *new_loop(enum loop_clock clock)
{
    struct loop *loop = NULL;
    assert_int_equal(loop_new(clock, &loop, NULL), 0);
    return loop;
}

static void a_callback_removes_itself(void **state)
{
    struct loop *loop = new_loop(LOOP_VIRTUAL);
    struct end a;
    end_open(&a, loop, true);
    a.remove = &a;
    assert_int_equal(loop_run(loop, NULL), 0); /* ends: no source is left */
    assert_int_equal(a.called, 1);
    end_close(&a);
    loop_free(loop);
}

static void a_source_removed_in_its_batch_is_not_called(void **state)
{
    struct loop *loop = new_loop(LOOP_VIRTUAL);
    struct end a, b;
    end_open(&a, loop, true);
    end_open(&b, loop, true);
    a.remove = &b;
    b.remove = &a;
    assert_int_equal(loop_turn(loop, NSEC_INF, NULL), 0); /* both are ready in this batch */
    assert_int_equal(a.called + b.called, 1);
    end_close(&a);
    end_close(&b);
    loop_free(loop);
}

static void a_source_added_in_a_callback_is_called_in_the_next_turn(void **state)
{
    struct loop *loop = new_loop(LOOP_VIRTUAL);
    struct end a, b;
    end_open(&a, loop, true);
    end_open(&b, loop, false);
    a.add = &b;
    assert_int_equal(loop_turn(loop, NSEC_INF, NULL), 0);
    assert_int_equal(b.called, 0);
    assert_int_equal(loop_turn(loop, NSEC_INF, NULL), 0);
    assert_int_equal(b.called, 1);
    end_close(&a);
    end_close(&b);
    loop_free(loop);
}

static void a_source_removed_and_added_again_waits_for_the_next_turn(void **state)
{
    struct loop *loop = new_loop(LOOP_VIRTUAL);
    struct end a, b;
    end_open(&a, loop, true);
    end_open(&b, loop, true);
    a.remove = b.remove = &b; /* whoever is first: b is out of this batch unless it was first */
    a.add = b.add = &b;
    assert_int_equal(loop_turn(loop, NSEC_INF, NULL), 0);
    int before = b.called;
    assert_true(b.io.added);
    assert_int_equal(loop_turn(loop, NSEC_INF, NULL), 0);
    assert_true(b.called <= before + 1);
    end_close(&a);
    end_close(&b);
    loop_free(loop);
}

static void nested_ready(struct loop_io *io, uint32_t events, void *data)
{
    struct end *e = data;
    e->called++;
    char c;
    assert_int_equal(read(e->fds[0], &c, 1), 1);
    if (e->called == 1) { /* a turn inside a callback: the other one is served there */
        assert_int_equal(write(e->fds[1], "y", 1), 1);
        assert_int_equal(loop_turn(e->loop, loop_now(e->loop), NULL), 0);
    }
}

static void a_turn_inside_a_callback_loses_nothing(void **state)
{
    struct loop *loop = new_loop(LOOP_VIRTUAL);
    struct end a, b;
    end_open(&a, loop, true);
    end_open(&b, loop, true);
    a.io.fn = b.io.fn = nested_ready;
    for (int i = 0; i < 8; i++)
        assert_int_equal(loop_turn(loop, loop_now(loop), NULL), 0);
    assert_int_equal(a.called, 2);
    assert_int_equal(b.called, 2);
    end_close(&a);
    end_close(&b);
    loop_free(loop);
}

struct tick {
    struct loop *loop;
    struct loop_timer timer;
    struct buf *log;
    char name;
    nsec again; /* re-arms that much later, once */
    struct loop_timer *cancel;
};

static void tick_fn(struct loop_timer *t, void *data)
{
    struct tick *k = data;
    buf_printf(k->log, "%c%lld ", k->name, (long long)loop_now(k->loop));
    if (k->cancel)
        loop_timer_cancel(k->loop, k->cancel);
    if (nsec_is_set(k->again)) {
        loop_timer_set(k->loop, t, loop_now(k->loop) + k->again);
        k->again = NSEC_UNSET;
    }
}

static void ticks(struct tick *t, size_t n, struct loop *loop, struct buf *log)
{
    for (size_t i = 0; i < n; i++)
        t[i] = (struct tick){.loop = loop,
                             .timer = {.fn = tick_fn, .data = &t[i]},
                             .log = log,
                             .name = (char)('a' + i),
                             .again = NSEC_UNSET};
}

static void virtual_time_jumps_and_timers_keep_their_order(void **state)
{
    struct loop *loop = new_loop(LOOP_VIRTUAL);
    AUTO_BUF log = BUF_INIT;
    struct tick t[5];
    ticks(t, 5, loop, &log);
    loop_timer_set(loop, &t[0].timer, 3600 * NSEC_SEC);
    loop_timer_set(loop, &t[1].timer, 7);
    loop_timer_set(loop, &t[2].timer, 7);
    loop_timer_set(loop, &t[3].timer, 7);
    loop_timer_set(loop, &t[4].timer, 5);
    loop_timer_set(loop, &t[1].timer, 7); /* set again: now behind c and d */
    t[4].cancel = &t[3].timer;
    t[2].again = 0; /* due at once, but behind b */
    assert_int_equal(loop_run(loop, NULL), 0);
    assert_string_equal(buf_text(&log), "e5 c7 b7 c7 a3600000000000 ");
    assert_int_equal(loop_now(loop), 3600 * NSEC_SEC);
    assert_int_equal(loop_lateness(loop), 0);
    loop_free(loop);
}

static void a_turn_ends_at_its_limit(void **state)
{
    struct loop *loop = new_loop(LOOP_VIRTUAL);
    AUTO_BUF log = BUF_INIT;
    struct tick t[1];
    ticks(t, 1, loop, &log);
    loop_timer_set(loop, &t[0].timer, 10);
    assert_int_equal(loop_turn(loop, 4, NULL), 0);
    assert_int_equal(loop_now(loop), 4);
    assert_string_equal(buf_text(&log), "");
    assert_int_equal(loop_turn(loop, 400, NULL), 0);
    assert_string_equal(buf_text(&log), "a10 ");
    assert_false(loop_timer_is_set(&t[0].timer));
    loop_free(loop);
}

static void many_timers_fire_sorted(void **state)
{
    enum { N = 500 };
    struct loop *loop = new_loop(LOOP_VIRTUAL);
    static struct tick t[N];
    AUTO_BUF log = BUF_INIT;
    ticks(t, N, loop, &log);
    uint64_t x = 1;
    for (size_t i = 0; i < N; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        t[i].name = '.';
        loop_timer_set(loop, &t[i].timer, (nsec)(x >> 52));
    }
    for (size_t i = 0; i < N; i += 3)
        loop_timer_cancel(loop, &t[i].timer);
    assert_int_equal(loop_run(loop, NULL), 0);
    long last = -1, n = 0;
    for (char *p = log.text; *p; p = strchr(p, ' ') + 1, n++) {
        long at = strtol(p + 1, NULL, 10);
        assert_true(at >= last);
        last = at;
    }
    assert_int_equal(n, N - (N + 2) / 3);
    loop_free(loop);
}

static void ready_descriptors_cost_no_virtual_time(void **state)
{
    struct loop *loop = new_loop(LOOP_VIRTUAL);
    AUTO_BUF log = BUF_INIT;
    struct tick t[1];
    struct end a;
    ticks(t, 1, loop, &log);
    end_open(&a, loop, true);
    loop_timer_set(loop, &t[0].timer, NSEC_SEC);
    for (int i = 0; i < 100; i++)
        assert_int_equal(loop_turn(loop, NSEC_INF, NULL), 0);
    assert_int_equal(a.called, 100);
    assert_int_equal(loop_now(loop), 0);
    loop_timer_cancel(loop, &t[0].timer);
    end_close(&a);
    loop_free(loop);
}

struct restless {
    struct loop *loop;
    struct end *end;
    int times, before_end; /* called; called before the descriptor was */
};

static void restless_fn(struct loop_timer *t, void *data)
{
    struct restless *r = data;
    r->times++;
    r->before_end += r->end->called == 0;
    if (r->times < 1000)
        loop_timer_set(r->loop, t, loop_now(r->loop) - 1);
}

static void a_timer_that_is_always_due_starves_nobody(void **state)
{
    struct loop *loop = new_loop(LOOP_VIRTUAL);
    struct end a;
    end_open(&a, loop, false);
    struct restless r = {.loop = loop, .end = &a};
    struct loop_timer t = {.fn = restless_fn, .data = &r};
    loop_timer_set(loop, &t, 5);
    assert_int_equal(loop_turn(loop, NSEC_INF, NULL), 0);
    assert_int_equal(r.times, 1);
    assert_int_equal(loop_io_add(loop, &a.io, a.fds[0], EPOLLIN, NULL), 0);
    a.remove = &a;
    assert_int_equal(loop_run(loop, NULL), 0);
    assert_int_equal(r.times, 1000);
    assert_int_equal(r.before_end, 1);
    end_close(&a);
    loop_free(loop);
}

static void real_timers_are_not_early(void **state)
{
    struct loop *loop = new_loop(LOOP_REAL);
    AUTO_BUF log = BUF_INIT;
    struct tick t[1];
    ticks(t, 1, loop, &log);
    nsec at = nsec_now(CLOCK_MONOTONIC) + 3 * NSEC_MSEC;
    loop_timer_set(loop, &t[0].timer, at);
    assert_int_equal(loop_run(loop, NULL), 0);
    assert_true(loop_now(loop) >= at);
    assert_int_equal(loop_lateness(loop), loop_now(loop) - at);
    loop_free(loop);
}

/* As on a kernel before 5.11. */
static void forbid_epoll_pwait2(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_pwait2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {ARRAY_SIZE(filter), filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        _exit(77);
}

static void without_epoll_pwait2_a_timerfd_wakes(void **state)
{
    pid_t pid = fork();
    if (pid == 0) {
        forbid_epoll_pwait2();
        struct loop *loop = new_loop(LOOP_REAL);
        AUTO_BUF log = BUF_INIT;
        struct tick t[2];
        struct end a;
        ticks(t, 2, loop, &log);
        end_open(&a, loop, true);
        a.remove = &a;
        nsec start = nsec_now(CLOCK_MONOTONIC);
        loop_timer_set(loop, &t[0].timer, start - 5);
        loop_timer_set(loop, &t[1].timer, start + 2 * NSEC_MSEC);
        t[1].again = NSEC_MSEC;
        int r = loop_run(loop, NULL);
        bool good = r == 0 && a.called == 1 && loop_now(loop) >= start + 3 * NSEC_MSEC && log.len &&
                    strchr(log.text, 'a') && strchr(log.text, 'b');
        end_close(&a);
        loop_free(loop);
        _exit(good ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        test_lacks("no filter of system calls is possible (seccomp)");
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void got_signal(struct loop_signal *s, int signo, void *data)
{
    *(int *)data = signo;
    loop_stop(s->loop);
}

static void signals_arrive_as_events(void **state)
{
    struct loop *loop = new_loop(LOOP_REAL);
    int got = 0;
    struct loop_signal s = {.fn = got_signal, .data = &got};
    assert_int_equal(loop_signal_add(loop, &s, SIGUSR1, NULL), 0);
    assert_int_equal(loop_run(loop, NULL), 0); /* a signal alone does not keep the loop running */
    assert_int_equal(got, 0);
    raise(SIGUSR1);
    assert_int_equal(loop_turn(loop, NSEC_INF, NULL), 0);
    assert_int_equal(got, SIGUSR1);
    raise(SIGUSR1); /* pending while removed: dropped, not deadly */
    loop_signal_remove(loop, &s);
    loop_signal_remove(loop, &s);
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    assert_int_equal(sigismember(&mask, SIGUSR1), 0);
    loop_stop(loop);
    loop_run(loop, NULL);
    loop_free(loop);
}

static void what_epoll_refuses_is_an_error(void **state)
{
    struct loop *loop = new_loop(LOOP_REAL);
    struct loop_io io = {.fn = end_ready};
    struct err err = ERR_INIT;
    AUTO_CLOSE int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(loop_io_add(loop, &io, fd, EPOLLIN, &err), -EPERM);
    assert_non_null(strstr(err.text, "cannot watch descriptor"));
    assert_false(io.added);
    loop_io_remove(loop, &io);
    loop_free(loop);
    assert_null(loop_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_callback_removes_itself),
        cmocka_unit_test(a_source_removed_in_its_batch_is_not_called),
        cmocka_unit_test(a_source_added_in_a_callback_is_called_in_the_next_turn),
        cmocka_unit_test(a_source_removed_and_added_again_waits_for_the_next_turn),
        cmocka_unit_test(a_turn_inside_a_callback_loses_nothing),
        cmocka_unit_test(virtual_time_jumps_and_timers_keep_their_order),
        cmocka_unit_test(a_turn_ends_at_its_limit),
        cmocka_unit_test(many_timers_fire_sorted),
        cmocka_unit_test(ready_descriptors_cost_no_virtual_time),
        cmocka_unit_test(a_timer_that_is_always_due_starves_nobody),
        cmocka_unit_test(real_timers_are_not_early),
        cmocka_unit_test(without_epoll_pwait2_a_timerfd_wakes),
        cmocka_unit_test(signals_arrive_as_events),
        cmocka_unit_test(what_epoll_refuses_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
