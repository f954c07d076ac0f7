/* The user-space engine on the real kernel: what was asked of packets is what happens to them. */
#include "sim/impair/engine/engine.h"

#include "sim/impair/scope.h"
#include "sim/kernel/tc.h"
#include "tests/support/duo.h"
#include "tests/support/labkit.h"
#include "tests/support/stream.h"

#include <errno.h>
#include <math.h>
#include <signal.h>

#define LINES 8

struct bed {
    struct duo p;
    struct loop *loop;
    struct engine *engine;
    struct engine_line *lines[LINES];
    size_t n;
    int deaths;
};

static void bed_died(const char *reason, void *data)
{
    struct bed *b = data;
    b->deaths++;
}

static void bed_open(struct bed *b)
{
    struct err err = ERR_INIT;
    *b = (struct bed){0};
    duo_open(&b->p, 0);
    kit_ok(loop_new(LOOP_REAL, &b->loop, &err), &err);
    kit_ok(engine_new(b->loop, ENGINE_VETH, bed_died, b, &b->engine, &err), &err);
    tc_clsact_add(b->p.a, "eth0");
    tc_clsact_add(b->p.b, "eth0");
    kit_ok(nl_flush(b->p.a, &err), &err);
    kit_ok(nl_flush(b->p.b, &err), &err);
}

static void bed_close(struct bed *b)
{
    struct err err = ERR_INIT;
    for (size_t i = 0; i < b->n; i++)
        kit_ok(engine_disarm(b->lines[i], &err), &err);
    engine_free(b->engine);
    loop_free(b->loop);
    duo_close(&b->p);
}

static struct engine_line *bed_line(struct bed *b, bool ingress, const struct impair_scope *scope,
                                    const struct impairment *what)
{
    struct err err = ERR_INIT;
    AUTO_FREE struct sock_filter *ops = NULL;
    size_t n_ops;
    char tag[16];
    kit_ok(scope_program(scope, ingress, &ops, &n_ops, &err), &err);
    snprintf(tag, sizeof tag, "bs%zu", b->n);
    struct engine_spec spec = {
        .point = {.nl = b->p.a, .netns_fd = b->p.a_fd, .device = "eth0", .ingress = ingress},
        .scope = scope,
        .ops = ops,
        .n_ops = n_ops,
        .pref = (uint16_t)(100 + b->n),
        .tag = tag};
    kit_ok(engine_arm(b->engine, &spec, what, &b->lines[b->n], &err), &err);
    kit_ok(engine_set(b->lines[b->n], true, NULL, &err), &err);
    return b->lines[b->n++];
}

static void print(const char *name, const struct stream *s)
{
    size_t n;
    AUTO_FREE double *d = stream_delays(s, true, &n);
    fprintf(stderr,
            "# %s: %zu sent, %zu lost, %zu doubled, %zu overtaken, delay us p1 %.1f p50 %.1f p99 "
            "%.1f max %.1f\n",
            name, s->n, stream_lost(s), stream_doubled(s), stream_overtaken(s),
            stream_quantile(d, n, 0.01) / 1e3, stream_quantile(d, n, 0.5) / 1e3,
            stream_quantile(d, n, 0.99) / 1e3, stream_quantile(d, n, 1) / 1e3);
}

/* The median, on a machine that others use, too. */
static void assert_near(const struct stream *s, nsec delay, nsec within)
{
    size_t n;
    AUTO_FREE double *d = stream_delays(s, true, &n);
    double median = stream_quantile(d, n, 0.5);
    if (!(fabs(median - (double)delay) <= (double)within))
        fail_msg("the median delay is %.1f us, not %.1f", median / 1e3, (double)delay / 1e3);
}

static void delays_loses_and_leaves_the_rest_alone(void **state)
{
    struct bed b;
    bed_open(&b);
    struct impair_ports port[2] = {{7001, 7001}, {7002, 7002}};
    struct impair_scope scopes[2] = {{.protocol = -1, .peer_ports = &port[0], .n_peer_ports = 1},
                                     {.protocol = -1, .peer_ports = &port[1], .n_peer_ports = 1}};
    struct impairment ten = {.delay = 10 * NSEC_MSEC};
    struct impairment lossy = {.delay = 20 * NSEC_MSEC,
                               .jitter = 5 * NSEC_MSEC,
                               .loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 0.1}};
    bed_line(&b, false, &scopes[0], &ten);
    bed_line(&b, false, &scopes[1], &lossy);
    struct stream s[3];
    for (size_t i = 0; i < 3; i++) {
        s[i] = (struct stream){.n = 2000, .size = 100, .interval = 1137 * NSEC_USEC};
        duo_udp(&b.p, "10.9.0.2", (uint16_t)(7001 + i), &s[i].tx, &s[i].rx);
    }
    assert_int_equal(stream_run(s, 3, 100 * NSEC_MSEC), 0);
    print("10 ms", &s[0]);
    print("20 ms +- 5 ms, loss 10 %", &s[1]);
    print("other", &s[2]);
    struct impair_counts c[2];
    for (size_t i = 0; i < b.n; i++) {
        struct err err = ERR_INIT;
        kit_ok(engine_count(b.lines[i], &c[i], &err), &err);
        assert_int_equal(c[i].matched, 2000);
        assert_int_equal(c[i].overflow, 0);
        assert_int_equal(c[i].held, 0);
        assert_int_equal(c[i].lost, stream_lost(&s[i]));
        assert_int_equal(c[i].passed, 2000 - c[i].lost);
    }
    assert_int_equal(c[0].lost, 0);
    assert_in_range(c[1].lost, 200 - 55, 200 + 55); /* 99.99 % */
    assert_near(&s[0], 10 * NSEC_MSEC, 200 * NSEC_USEC);
    assert_near(&s[1], 20 * NSEC_MSEC, 500 * NSEC_USEC);
    assert_near(&s[2], 0, 200 * NSEC_USEC);
    assert_int_equal(stream_overtaken(&s[0]), 0);
    assert_true(stream_overtaken(&s[1]) > 200);
    for (size_t i = 0; i < 3; i++) {
        stream_done(&s[i]);
        close(s[i].tx);
        close(s[i].rx);
    }
    bed_close(&b);
}

static int tests(void)
{
    if (kit_is_rootless() && kit_has_ids())
        return 0; /* a range of ids changes nothing here */
    const struct CMUnitTest all[] = {
        cmocka_unit_test(delays_loses_and_leaves_the_rest_alone),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return kit_main(argc, argv, tests);
}
