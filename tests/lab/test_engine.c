/* Impairments on the real kernel: what was asked of packets is what happens to them. By the user-space
 * engine's two intakes, and with the argument "netem" (in the emulated kernel) by netem.
 *
 * The emulated machine is slow: there a tenth of the packets is sent, at half the pace.
 */
#include "tests/support/bed.h"
#include "tests/support/labkit.h"

#include "sim/impair/sweep.h"
#include "sim/kernel/snapshot.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define US NSEC_USEC
#define MS NSEC_MSEC

static bool netem(void **state)
{
    return bed_way(state) == BED_NETEM;
}

static size_t few(void **state, size_t n)
{
    return netem(state) ? n / 10 : kit_is_rootless() ? n / 4 : n;
}

static nsec slow(void **state, nsec interval)
{
    return netem(state) ? 2 * interval : interval;
}

static nsec slack(void **state, nsec within)
{
    return netem(state) ? within + 1 * MS : within;
}

static void delays_loses_and_leaves_the_rest_alone(void **state)
{
    struct bed b;
    bed_open(&b, bed_way(state), 0);
    struct impairment ten = {.delay = 10 * MS};
    struct impairment lossy = {
        .delay = 20 * MS, .jitter = 5 * MS, .loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 0.1}};
    if (!netem(state)) { /* the same fates each time */
        lossy.has_seed = true;
        lossy.seed = 7;
    }
    bed_port_line(&b, false, 7001, &ten);
    bed_port_line(&b, false, 7002, &lossy);
    const size_t n = few(state, 2000);
    struct stream spec = {.n = n, .size = 100, .interval = slow(state, 1137 * US)};
    struct stream *s[3];
    for (size_t i = 0; i < 3; i++)
        s[i] = bed_stream(&b, i == 1 ? "fd09::2" : "10.9.0.2", (uint16_t)(7001 + i), false, &spec);
    bed_run(&b, 100 * MS);
    bed_print("10 ms", s[0]);
    bed_print("20 ms +- 5 ms, loss 10 %", s[1]);
    bed_print("other", s[2]);
    for (size_t i = 0; i < 2 && !netem(state); i++) {
        struct impair_counts c = bed_count(&b, i);
        assert_int_equal(c.matched, n);
        assert_int_equal(c.overflow, 0);
        assert_int_equal(c.held, 0);
        assert_int_equal(c.lost, stream_lost(s[i]));
        assert_int_equal(c.passed, n - c.lost);
    }
    assert_int_equal(stream_lost(s[0]), 0);
    assert_true(bed_share("loss", stream_lost(s[1]), n, 0.1));
    bed_near(s[0], 10 * MS, slack(state, 200 * US));
    /* Of the median of a flat distribution, five deviations. */
    bed_near(s[1], 20 * MS, slack(state, 150 * US + (nsec)(5 * 5e6 / sqrt((double)n))));
    bed_near(s[2], 0, slack(state, 200 * US));
    assert_int_equal(stream_overtaken(s[0]), 0);
    assert_true(stream_overtaken(s[1]) > n / 10);
    bed_close(&b);
}

/* --- Rate and slots ------------------------------------------------------------------------- */

/* MEASURES rate, packet_overhead, cell_size, cell_overhead: engine netem */
static void holds_to_a_rate(void **state)
{
    /* 100 bytes of payload are 142 on the wire, 162 by IPv6. */
    const struct impairment plain = {.rate = 125000, .limit = 5000};
    const struct impairment packets = {.rate = 125000, .limit = 5000, .packet_overhead = 58};
    const struct impairment cells = {
        .rate = 125000, .limit = 5000, .cell_size = 48, .cell_overhead = 5};
    const struct {
        const struct impairment *what;
        const char *to;
        bool back;
        double bytes;
    } asked[] = {{&plain, "10.9.0.2", false, 142},
                 {&packets, "fd09::2", false, 162 + 58},
                 {&cells, "10.9.0.1", true, 3 * 53},
                 {&plain, "fd09::1", true, 162}};
    struct bed b;
    bed_open(&b, bed_way(state), 0);
    bed_meet(&b);
    struct stream spec = {.n = 1500, .size = 100, .interval = 499 * US};
    for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
        bed_port_line(&b, asked[i].back, (uint16_t)(7001 + i), asked[i].what);
        bed_stream(&b, asked[i].to, (uint16_t)(7001 + i), asked[i].back, &spec);
    }
    bed_run(&b, 2500 * MS);
    for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
        const struct stream *s = &b.streams[i];
        double took = (double)(s->last_got - s->first_got) / 1e9;
        double rate = (double)(s->came - 1) * asked[i].bytes / took;
        fprintf(stderr, "# rate %zu: %.0f bytes a second, asked 125000\n", i, rate);
        assert_int_equal(stream_lost(s), 0);
        assert_int_equal(stream_overtaken(s), 0);
        assert_true(fabs(rate / 125000 - 1) <= 0.03);
    }
    bed_close(&b);
}

/* Between slots, in ms: mean and standard deviation. */
static void gaps(const struct stream *s, size_t *ret_n, double *ret_mean, double *ret_sd)
{
    double n = 0, sum = 0, squares = 0;
    nsec opened = s->packets[0].got;
    for (size_t i = 1; i < s->n; i++) {
        if (s->packets[i].got - s->packets[i - 1].got <= 6 * MS)
            continue;
        double gap = (double)(s->packets[i].got - opened) / 1e6;
        opened = s->packets[i].got;
        n++;
        sum += gap;
        squares += gap * gap;
    }
    *ret_n = (size_t)n + 1;
    *ret_mean = sum / n;
    *ret_sd = sqrt(fmax(0, squares / n - sum / n * sum / n));
}

/* MEASURES slot, slot with a distribution: engine netem */
static void opens_slots(void **state)
{
    /* At most 5 packets every 20 ms; the same about every 20 ms. */
    const struct impairment asked[] = {
        {.has_slot = true, .slot = {.min = 20 * MS, .max = 20 * MS, .packets = 5}},
        {.has_slot = true,
         .slot = {.distributed = true,
                  .delay = 20 * MS,
                  .jitter = 4 * MS,
                  .distribution = IMPAIR_NORMAL,
                  .packets = 5}},
    };
    struct bed b;
    bed_open(&b, bed_way(state), 0);
    bed_meet(&b);
    struct stream spec = {.n = 300, .size = 100, .interval = 1 * MS};
    for (size_t i = 0; i < 2; i++) {
        bed_port_line(&b, i, (uint16_t)(7001 + i), &asked[i]);
        bed_stream(&b, i ? "fd09::1" : "10.9.0.2", (uint16_t)(7001 + i), i, &spec);
    }
    /* Where the process is woken late a slot opens late, and so do all that follow: once more then. */
    bool good = false;
    for (int turn = 0; turn < 3 && !good; turn++) {
        good = true;
        for (size_t i = 0; i < 2; i++)
            stream_done(&b.streams[i]);
        bed_run(&b, 1800 * MS);
        for (size_t i = 0; i < 2; i++) {
            size_t n;
            double mean, sd;
            gaps(&b.streams[i], &n, &mean, &sd);
            assert_int_equal(stream_lost(&b.streams[i]), 0);
            fprintf(stderr, "# 300 packets in %zu slots of 5, every %.2f ± %.2f ms\n", n, mean, sd);
            /* At 99.99 %, of 59 gaps: 4 / sqrt(59) · 3.89, and chi² for the deviation. */
            good =
                good && n == 60 &&
                (i ? fabs(mean - 20) < 2.1 && sd > 2.6 && sd < 5.7 : fabs(mean - 20) < 20 * 0.03);
        }
    }
    assert_true(good);
    bed_close(&b);
}

/* --- Which packets, and when ------------------------------------------------------------------ */

static struct inet_prefix prefix(const char *text)
{
    struct err err = ERR_INIT;
    struct inet_prefix p;
    kit_ok(inet_parse(text, &p, &err), &err);
    return p;
}

/* MEASURES peers, ports, directions, IPv4, IPv6, others as before: engine netem */
static void matches_peers_ports_and_directions(void **state)
{
    const struct impairment ten = {.delay = 10 * MS}, thirty = {.delay = 30 * MS};
    struct inet_prefix third[2] = {prefix("10.9.0.3"), prefix("fd09::3")};
    struct impair_scope peers = {.protocol = -1, .peers = third, .n_peers = 2};
    struct bed b;
    bed_open(&b, bed_way(state), 0);
    bed_meet(&b);
    bed_line(&b, false, &peers, &ten);
    struct inet_prefix second[2] = {prefix("10.9.0.2"), prefix("fd09::2")};
    struct impair_ports port = {7002, 7002};
    struct impair_scope peer_port = {
        .protocol = -1, .peers = second, .n_peers = 2, .peer_ports = &port, .n_peer_ports = 1};
    bed_line(&b, false, &peer_port, &thirty);
    bed_port_line(&b, true, 7003, &thirty);
    struct stream spec = {.n = 300, .size = 100, .interval = slow(state, 2137 * US)};
    const struct {
        const char *to;
        uint16_t port;
        bool back;
        nsec due;
    } streams[] = {
        {"10.9.0.3", 7001, false, 10 * MS}, {"fd09::3", 7001, false, 10 * MS},
        {"10.9.0.4", 7001, false, 0},       {"fd09::4", 7001, false, 0},
        {"10.9.0.2", 7002, false, 30 * MS}, {"fd09::2", 7002, false, 30 * MS},
        {"10.9.0.1", 7002, true, 0},        {"10.9.0.1", 7003, true, 30 * MS},
        {"fd09::1", 7003, true, 30 * MS},   {"10.9.0.2", 7003, false, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(streams); i++)
        bed_stream(&b, streams[i].to, streams[i].port, streams[i].back, &spec);
    bed_run(&b, 100 * MS);
    for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
        bed_print(streams[i].to, &b.streams[i]);
        assert_int_equal(stream_lost(&b.streams[i]), 0);
        assert_int_equal(stream_damaged(&b.streams[i]), 0);
        bed_near(&b.streams[i], streams[i].due, slack(state, 300 * US));
    }
    bed_close(&b);
}

/* Neighbours are asked for through the line, too. */
static void delays_everything_without_a_scope(void **state)
{
    const struct impairment ten = {.delay = 10 * MS};
    struct bed b;
    bed_open(&b, bed_way(state), 0);
    bed_line(&b, false, NULL, &ten);
    struct stream spec = {.n = 100, .size = 100, .interval = 2137 * US};
    bed_stream(&b, "10.9.0.2", 7001, false, &spec);
    bed_stream(&b, "fd09::2", 7001, false, &spec);
    bed_run(&b, 100 * MS);
    for (size_t i = 0; i < 2; i++) {
        const struct stream *s = &b.streams[i];
        assert_int_equal(stream_lost(s), 0);
        bed_near(s, 10 * MS, slack(state, 300 * US));
        nsec first = s->packets[0].got - s->packets[0].sent;
        fprintf(stderr, "# first packet: %.1f us\n", (double)first / 1e3);
        assert_true(first >= 20 * MS && first < 60 * MS);
    }
    bed_close(&b);
}

static void switches_and_changes(void **state)
{
    const struct impairment ten = {.delay = 10 * MS};
    const struct impairment forty = {.delay = 40 * MS, .jitter = 1 * MS};
    struct err err = ERR_INIT;
    struct bed b;
    bed_open(&b, bed_way(state), 0);
    size_t line = bed_port_line(&b, false, 7001, &ten);
    struct stream spec = {.n = 50, .size = 100, .interval = 2137 * US};
    struct stream *s = bed_stream(&b, "10.9.0.2", 7001, false, &spec);
    bed_set(&b, line, false);
    bed_run(&b, 20 * MS);
    bed_near(s, 0, slack(state, 200 * US));
    stream_done(s);
    bed_change(&b, line, &forty);
    bed_set(&b, line, true);
    bed_run(&b, 60 * MS);
    bed_near(s, 40 * MS, slack(state, 700 * US));
    stream_done(s);
    bed_change(&b, line, &ten);
    bed_run(&b, 60 * MS);
    bed_near(s, 10 * MS, 1 * MS);
    struct impairment bad = {.reorder = 0.5};
    if (b.engine)
        assert_int_equal(engine_change(b.lines[line], &bad, &err), -EINVAL);
    bed_close(&b);
}

/* Whether the engine has read it by now or not. */
static void what_is_held_still_leaves(void **state)
{
    const struct impairment slow = {.delay = 200 * MS};
    struct err err = ERR_INIT;
    struct bed b;
    if (netem(state))
        return; /* does not tell what it holds */
    bed_open(&b, bed_way(state), 0);
    int tx, rx;
    char byte;
    duo_udp(&b.p, "10.9.0.2", 7001, &tx, &rx);
    assert_int_equal(send(tx, "n", 1, 0), 1); /* asks for the neighbour */
    assert_int_equal(recv(rx, &byte, 1, 0), 1);
    size_t line = bed_port_line(&b, false, 7001, &slow);
    for (int i = 0; i < 20; i++)
        assert_int_equal(send(tx, "n", 1, 0), 1);
    kit_ok(engine_set(b.lines[line], false, NULL, &err), &err);
    struct impair_counts c = bed_count(&b, line);
    assert_int_equal(c.matched, 20);
    assert_int_equal(c.held, 20);
    assert_int_equal(c.overflow, 0);
    assert_int_equal(recv(rx, &byte, 1, MSG_DONTWAIT), -1);
    struct timeval patience = {.tv_sec = 5};
    setsockopt(rx, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    for (int i = 0; i < 20; i++)
        assert_int_equal(recv(rx, &byte, 1, 0), 1);
    assert_int_equal(bed_count(&b, line).held, 0);
    close(tx);
    close(rx);
    bed_close(&b);
}

/* The final comparison tells by it what is left by us from what others did meanwhile. */
static void what_stands_is_known_as_ours(void **state)
{
    const struct impairment ten = {.delay = 10 * MS};
    CLEANUP(snapshot_free_p) struct snapshot *before = NULL, *during = NULL;
    struct snapshot_diff d;
    struct err err = ERR_INIT;
    struct bed b;
    bed_open(&b, bed_way(state), 0);
    kit_ok(snapshot_take(b.p.a_fd, &before, &err), &err);
    bed_port_line(&b, false, 7001, &ten);
    bed_port_line(&b, true, 7002, &ten);
    kit_ok(snapshot_take(b.p.a_fd, &during, &err), &err);
    snapshot_compare(before, during, &d);
    AUTO_FREE bool *ours = calloc(d.n_added + 1, sizeof *ours);
    impair_mark(d.added, d.n_added, ours);
    assert_true(d.n_added >= 4); /* two filters and their heads */
    for (size_t i = 0; i < d.n_added; i++)
        /* The kernel's link-local address takes its time, and brings routes along. */
        if (!ours[i] && !strstr(d.added[i], "fe80") && !strstr(d.added[i], "protocol=kernel"))
            fail_msg("not ours: %s", d.added[i]);
    assert_int_equal(d.n_gone, 0);
    snapshot_diff_done(&d);
    bed_close(&b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(delays_loses_and_leaves_the_rest_alone),
        cmocka_unit_test(holds_to_a_rate),
        cmocka_unit_test(opens_slots),
        cmocka_unit_test(matches_peers_ports_and_directions),
        cmocka_unit_test(delays_everything_without_a_scope),
        cmocka_unit_test(switches_and_changes),
        cmocka_unit_test(what_is_held_still_leaves),
        cmocka_unit_test(what_stands_is_known_as_ours),
    };
    return bed_main(argc, argv, all, ARRAY_SIZE(all));
}
