/* The engine's test bed. See bed.h. */
#include "tests/support/bed.h"

#include "sim/base/buf.h"
#include "sim/impair/engine/tap.h"
#include "sim/impair/scope.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/tc.h"
#include "tests/support/labkit.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define Z 3.89 /* 99.99 %, two-sided */

static void bed_died(const char *reason, void *data)
{
    struct bed *b = data;
    b->deaths++;
    snprintf(b->reason, sizeof b->reason, "%s", reason);
}

static void describe_line(const char *line, void *data)
{
    buf_printf(data, "%s\n", line);
}

static char *describe(struct nl *nl, enum rtnl_what what)
{
    struct err err = ERR_INIT;
    AUTO_BUF text = BUF_INIT;
    kit_ok(rtnl_describe(nl, what, describe_line, &text, &err), &err);
    return buf_steal(&text);
}

bool bed_has_tap(void)
{
    struct err err = ERR_INIT;
    struct tap *tap = NULL;
    if (tap_new(&tap, &err) < 0) {
        fprintf(stderr, "# no intake by TAP here: %s\n", err.text);
        return false;
    }
    tap_free(tap);
    return true;
}

void bed_open(struct bed *b, enum bed_way way, uint32_t mtu)
{
    struct duo p;
    duo_open(&p, mtu);
    bed_open_in(b, way, &p);
}

void bed_open_in(struct bed *b, enum bed_way way, const struct duo *p)
{
    struct err err = ERR_INIT;
    *b = (struct bed){.way = way, .p = *p};
    kit_ok(loop_new(LOOP_REAL, &b->loop, &err), &err);
    if (way == BED_NETEM)
        kit_ok(impair_new(b->loop, bed_died, b, &b->impair, &err), &err);
    else {
        enum engine_intake intake = way == BED_TAP ? ENGINE_TAP : ENGINE_VETH;
        kit_ok(engine_new(b->loop, intake, bed_died, b, &b->engine, &err), &err);
        tc_clsact_add(b->p.a, "eth0");
        kit_ok(nl_flush(b->p.a, &err), &err);
    }
    b->links = describe(b->p.a, RTNL_LINKS);
    b->qdiscs = describe(b->p.a, RTNL_FILTERS);
}

void bed_close(struct bed *b)
{
    struct err err = ERR_INIT;
    for (size_t i = 0; i < b->n; i++)
        kit_ok(b->impair ? impair_disarm(b->netem[i], &err) : engine_disarm(b->lines[i], &err),
               &err);
    bed_forget(b);
    engine_free(b->engine);
    impair_free(b->impair);
    AUTO_FREE char *links = describe(b->p.a, RTNL_LINKS);
    AUTO_FREE char *qdiscs = describe(b->p.a, RTNL_FILTERS);
    assert_string_equal(links, b->links);
    assert_string_equal(qdiscs, b->qdiscs);
    free(b->links);
    free(b->qdiscs);
    loop_free(b->loop);
    duo_close(&b->p);
}

static void arm_engine(struct bed *b, const struct impair_point *point,
                       const struct impair_scope *scope, const struct impairment *what)
{
    struct err err = ERR_INIT;
    AUTO_FREE struct sock_filter *ops = NULL;
    size_t n_ops;
    char tag[16];
    kit_ok(scope_program(scope, point->ingress, &ops, &n_ops, &err), &err);
    snprintf(tag, sizeof tag, "bs%zu", b->n);
    struct engine_spec spec = {.point = *point,
                               .scope = scope,
                               .ops = ops,
                               .n_ops = n_ops,
                               .pref = (uint16_t)(100 + b->n),
                               .tag = tag};
    kit_ok(engine_arm(b->engine, &spec, what, &b->lines[b->n], &err), &err);
}

size_t bed_line(struct bed *b, bool ingress, const struct impair_scope *scope,
                const struct impairment *what)
{
    struct err err = ERR_INIT;
    const struct impair_scope all = {.protocol = -1};
    struct impair_order o = {.point = {.nl = b->p.a,
                                       .netns_fd = b->p.a_fd,
                                       .device = "eth0",
                                       .ingress = ingress,
                                       .outlives = b->outlives},
                             .scope = scope ? scope : &all,
                             .what = what,
                             .engine = IMPAIR_NETEM,
                             .label = "test"};
    if (b->impair)
        kit_ok(impair_arm(b->impair, &o, &b->netem[b->n], &err), &err);
    else
        arm_engine(b, &o.point, o.scope, what);
    bed_set(b, b->n, true);
    return b->n++;
}

size_t bed_port_line(struct bed *b, bool ingress, uint16_t port, const struct impairment *what)
{
    struct impair_ports ports = {port, port};
    struct impair_scope scope = {.protocol = -1, .ports = &ports, .n_ports = 1};
    if (b->impair && ingress) /* refuses lines that any packet could belong to both of */
        scope = (struct impair_scope){.protocol = -1, .own_ports = &ports, .n_own_ports = 1};
    else if (b->impair)
        scope = (struct impair_scope){.protocol = -1, .peer_ports = &ports, .n_peer_ports = 1};
    return bed_line(b, ingress, &scope, what);
}

void bed_set(struct bed *b, size_t line, bool on)
{
    struct err err = ERR_INIT;
    struct span at = SPAN_UNSET;
    kit_ok(b->impair ? impair_set(b->netem[line], on, &at, &err)
                     : engine_set(b->lines[line], on, &at, &err),
           &err);
    assert_true(span_is_set(at) && at.hi >= at.lo);
}

void bed_change(struct bed *b, size_t line, const struct impairment *what)
{
    struct err err = ERR_INIT;
    kit_ok(b->impair ? impair_change(b->netem[line], what, &err)
                     : engine_change(b->lines[line], what, &err),
           &err);
}

struct impair_counts bed_count(const struct bed *b, size_t line)
{
    struct err err = ERR_INIT;
    struct impair_counts c;
    kit_ok(b->impair ? impair_count(b->netem[line], &c, &err)
                     : engine_count(b->lines[line], &c, &err),
           &err);
    return c;
}

struct stream *bed_stream(struct bed *b, const char *address, uint16_t port, bool back,
                          const struct stream *spec)
{
    struct stream *s = &b->streams[b->n_streams++];
    *s = *spec;
    (back ? duo_udp_back : duo_udp)(&b->p, address, port, &s->tx, &s->rx);
    return s;
}

void bed_meet(struct bed *b)
{
    static const char *const ends[][2] = {{"10.9.0.2", "10.9.0.1"}, {"fd09::2", "fd09::1"}};
    struct stream one = {.n = 1, .size = STREAM_SIZE_MIN};
    size_t lost = 1;
    for (int turn = 0; turn < 50 && lost > 0; turn++) {
        for (size_t i = 0; i < 4; i++)
            bed_stream(b, ends[i / 2][i % 2], 7000, i % 2, &one);
        bed_run(b, turn ? 100 * NSEC_MSEC : 5 * NSEC_MSEC);
        lost = 0;
        for (size_t i = 0; i < 4; i++)
            lost += stream_lost(&b->streams[i]);
        bed_forget(b);
    }
    assert_int_equal(lost, 0);
}

void bed_unchecked(struct stream *s)
{
    int one = 1;
    assert_int_equal(setsockopt(s->tx, SOL_SOCKET, SO_NO_CHECK, &one, sizeof one), 0);
}

void bed_run(struct bed *b, nsec grace)
{
    assert_int_equal(stream_run(b->streams, b->n_streams, grace), 0);
}

void bed_forget(struct bed *b)
{
    for (size_t i = 0; i < b->n_streams; i++) {
        stream_done(&b->streams[i]);
        close(b->streams[i].tx);
        close(b->streams[i].rx);
    }
    b->n_streams = 0;
}

void bed_print(const char *name, const struct stream *s)
{
    size_t n;
    AUTO_FREE double *d = stream_delays(s, true, &n);
    fprintf(stderr,
            "# %s: %zu sent, %zu lost, %zu doubled, %zu damaged, %zu overtaken, delay us p1 %.1f "
            "p50 %.1f p99 %.1f max %.1f\n",
            name, s->n, stream_lost(s), stream_doubled(s), stream_damaged(s), stream_overtaken(s),
            stream_quantile(d, n, 0.01) / 1e3, stream_quantile(d, n, 0.5) / 1e3,
            stream_quantile(d, n, 0.99) / 1e3, stream_quantile(d, n, 1) / 1e3);
}

void bed_near(const struct stream *s, nsec delay, nsec within)
{
    size_t n;
    AUTO_FREE double *d = stream_delays(s, true, &n);
    double median = stream_quantile(d, n, 0.5);
    if (!(fabs(median - (double)delay) <= (double)within))
        fail_msg("the median delay is %.1f us, not %.1f", median / 1e3, (double)delay / 1e3);
}

bool bed_share(const char *what, size_t k, size_t n, double p)
{
    double mean = (double)n * p, sd = sqrt((double)n * p * (1 - p));
    fprintf(stderr, "# %s: %zu of %zu, %.3f %%, asked %.3f %% ± %.3f\n", what, k, n,
            100.0 * (double)k / (double)n, 100 * p, 100 * Z * sd / (double)n);
    if (fabs((double)k - mean) <= Z * sd + 1)
        return true;
    print_error("%s: %zu of %zu, where %.0f ± %.0f were due\n", what, k, n, mean, Z * sd);
    return false;
}

/* --- Programs of tests ------------------------------------------------------------------ */

static struct { /* of the program, for kit_main() */
    const struct CMUnitTest *tests;
    size_t n;
} bed_program;

enum bed_way bed_way(void **state)
{
    return *(const enum bed_way *)*state;
}

static int tests_by(enum bed_way way)
{
    static const char *const names[] = {"veth", "TAP", "netem"};
    AUTO_FREE struct CMUnitTest *all = calloc(bed_program.n, sizeof *all);
    if (!all)
        return 1;
    for (size_t i = 0; i < bed_program.n; i++) {
        all[i] = bed_program.tests[i];
        all[i].initial_state = &way;
    }
    fprintf(stderr, "# by %s\n", names[way]);
    return _cmocka_run_group_tests(names[way], all, bed_program.n, NULL, NULL);
}

static int tests_by_engine(void)
{
    if (kit_is_rootless() && kit_has_ids())
        return 0; /* a range of ids changes nothing here */
    int veth = tests_by(BED_VETH);
    if (veth)
        return veth;
    if (!tap_is_built()) {
        fprintf(stderr,
                "# the intake by TAP is not tried: it was not built (-Dbpf=enabled says why)\n");
        return kit_is_rootless() ? 0 : 77; /* where all must run that is a failure */
    }
    return bed_has_tap() ? tests_by(BED_TAP) : 0;
}

static int tests_by_netem(void)
{
    return tests_by(BED_NETEM);
}

int bed_main(int argc, char **argv, const struct CMUnitTest *tests, size_t n)
{
    bed_program.tests = tests;
    bed_program.n = n;
    if (argc > 1 && strcmp(argv[1], "netem") == 0)
        return kit_main(1, argv, tests_by_netem);
    return kit_main(argc, argv, tests_by_engine);
}
