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
    bed_share("loss", stream_lost(s[1]), n, 0.1);
    bed_near(s[0], 10 * MS, slack(state, 200 * US));
    bed_near(s[1], 20 * MS, slack(state, 700 * US));
    bed_near(s[2], 0, slack(state, 200 * US));
    assert_int_equal(stream_overtaken(s[0]), 0);
    assert_true(stream_overtaken(s[1]) > n / 10);
    bed_close(&b);
}

/* --- Distributions ------------------------------------------------------------------ */

enum { QUANTILES = 4096 };

static double inverse_normal(double u)
{
    double lo = -9, hi = 9;
    for (int i = 0; i < 80; i++) {
        double mid = (lo + hi) / 2;
        *(0.5 * erfc(-mid / M_SQRT2) < u ? &lo : &hi) = mid;
    }
    return lo;
}

/* In jitters from the mean; from their definitions, not from tables. */
static double inverse(enum impair_distribution d, double u, const int16_t *own, size_t n)
{
    double pareto = fmin((pow(1 - u, -1.0 / 3) - 1.5) * 4 / 3, 4);
    switch (d) {
    case IMPAIR_UNIFORM:
        return 2 * u - 1;
    case IMPAIR_NORMAL:
        return inverse_normal(u);
    case IMPAIR_PARETO:
        return pareto;
    case IMPAIR_PARETONORMAL:
        return 0.25 * inverse_normal(u) + 0.75 * pareto;
    case IMPAIR_TABLE:
        break;
    }
    return own[(size_t)(u * (double)n)] / 8192.0;
}

static double distance(const struct stream *s, size_t every, const struct impairment *w)
{
    double q[QUANTILES];
    for (size_t i = 0; i < QUANTILES; i++)
        q[i] = (double)w->delay + (double)w->jitter * inverse(w->distribution,
                                                              ((double)i + 0.5) / QUANTILES,
                                                              w->table.values, w->table.n);
    struct stream thin = *s;
    thin.n = s->n / every;
    thin.packets = calloc(thin.n, sizeof *thin.packets);
    for (size_t i = 0; i < thin.n; i++)
        thin.packets[i] = s->packets[i * every];
    size_t n;
    AUTO_FREE double *d = stream_delays(&thin, true, &n);
    free(thin.packets);
    return stream_distance(d, n, q, QUANTILES);
}

static void draws_delays_from_each_distribution(void **state)
{
    /* A user's own: two humps. */
    int16_t own[2048];
    for (int i = 0; i < 2048; i++)
        own[i] = (int16_t)(i < 1024 ? -8192 + 4 * i : 4096 + 4 * (i - 1024));
    const struct impairment asked[] = {
        {.delay = 60 * MS, .jitter = 20 * MS},
        {.delay = 80 * MS, .jitter = 20 * MS, .distribution = IMPAIR_NORMAL},
        {.delay = 60 * MS, .jitter = 20 * MS, .distribution = IMPAIR_PARETO},
        {.delay = 60 * MS, .jitter = 20 * MS, .distribution = IMPAIR_PARETONORMAL},
        {.delay = 60 * MS, .jitter = 20 * MS, .distribution = IMPAIR_TABLE, .table = {own, 2048}},
        {.delay = 60 * MS, .jitter = 20 * MS, .delay_correlation = 0.5},
    };
    const size_t packets = few(state, 20000);
    /* Beyond this with probability 1e-4 or less when all is well (Kolmogorov: 2.23 / sqrt(n)). */
    const double most = kit_is_rootless() ? 0.045 : netem(state) ? 0.06 : 0.03;
    /* netem's correlation is lost in the lower bits of its draws, where it looks. */
    const size_t kinds = netem(state) ? 5 : 6;
    struct bed b;
    bed_open(&b, bed_way(state), 0);
    struct stream spec = {.n = packets, .size = 64, .interval = slow(state, 493 * US)};
    for (size_t i = 0; i < kinds; i++) {
        bed_port_line(&b, false, (uint16_t)(7001 + i), &asked[i]);
        bed_stream(&b, "10.9.0.2", (uint16_t)(7001 + i), false, &spec);
    }
    /* A machine that is busy with other things delays frames by milliseconds: once more then. */
    bool good = false;
    for (int turn = 0; turn < 3 && !good; turn++) {
        for (size_t i = 0; i < b.n_streams; i++)
            stream_done(&b.streams[i]);
        bed_run(&b, 200 * MS);
        good = true;
        for (size_t i = 0; i < kinds; i++) {
            const struct stream *s = &b.streams[i];
            /* Of every fourth where neighbours are alike: those are 0.06 apart. */
            double d = distance(s, asked[i].delay_correlation > 0 ? 4 : 1, &asked[i]);
            double r = stream_correlation(s);
            fprintf(stderr, "# distribution %d: distance %.4f, correlation %.3f, %zu lost\n",
                    (int)asked[i].distribution, d, r, stream_lost(s));
            assert_int_equal(stream_lost(s), 0);
            good = good && d <= most && fabs(r - asked[i].delay_correlation) < 0.08;
        }
    }
    assert_true(good);
    bed_close(&b);
}

/* --- Loss, copies, damage, order -------------------------------------------------------- */

/* Estimates of a chain that loses all in its bad state and nothing in its good one. */
static void gilbert_of(const struct stream *s, size_t *ret_good, size_t *ret_to_bad,
                       size_t *ret_bad, size_t *ret_to_good)
{
    *ret_good = *ret_to_bad = *ret_bad = *ret_to_good = 0;
    for (size_t i = 0; i + 1 < s->n; i++) {
        bool lost = !s->packets[i].copies, next = !s->packets[i + 1].copies;
        *(lost ? ret_bad : ret_good) += 1;
        if (lost && !next)
            ++*ret_to_good;
        if (!lost && next)
            ++*ret_to_bad;
    }
}

static void loses_by_each_model(void **state)
{
    const struct impairment random = {
        .loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 0.05, .correlation = 0.5}};
    const struct impairment gilbert = {
        .loss = {.kind = IMPAIR_LOSS_GILBERT_ELLIOTT, .p = 0.02, .r = 0.25, .one_minus_h = 1}};
    const struct impairment chain = {.loss = {.kind = IMPAIR_LOSS_STATE,
                                              .p13 = 0.02,
                                              .p31 = 0.3,
                                              .p32 = 0.1,
                                              .p23 = 0.2,
                                              .p14 = 0.01}};
    const struct impairment cut = {.loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 1}};
    struct bed b;
    bed_open(&b, bed_way(state), 0);
    const size_t n = few(state, 20000);
    struct stream spec = {.n = n, .size = 64, .interval = slow(state, 237 * US)};
    const struct impairment *const asked[] = {&random, &gilbert, &chain, &cut};
    for (size_t i = 0; i < 4; i++) {
        bed_port_line(&b, false, (uint16_t)(7001 + i), asked[i]);
        bed_stream(&b, "10.9.0.2", (uint16_t)(7001 + i), false, &spec);
    }
    bed_run(&b, 50 * MS);
    /* Correlation widens the interval; by how much is computed from the recursion in test_fate. */
    double share = (double)stream_lost(&b.streams[0]) / (double)n;
    fprintf(stderr, "# correlated loss %.3f %%\n", 100 * share);
    if (!netem(state)) /* it loses less than asked when losses are correlated */
        assert_true(fabs(share - 0.05) < (n == 20000 ? 0.012 : 0.025));
    size_t good, to_bad, bad, to_good;
    gilbert_of(&b.streams[1], &good, &to_bad, &bad, &to_good);
    bed_share("Gilbert-Elliott p", to_bad, good, 0.02);
    bed_share("Gilbert-Elliott r", to_good, bad, 0.25);
    /* The chain's stationary shares: lost in a gap p14 of gaps; balance of the others. */
    double gap = 1, burst, lost;
    lost = gap * 0.02 / (0.3 + 0.1 - 0.1); /* what goes to a burst comes back lost */
    burst = lost * 0.1 / 0.2;
    double alone = gap * 0.01, all = gap + burst + lost + alone;
    double due = (lost + alone) / all;
    double got = (double)stream_lost(&b.streams[2]) / (double)n;
    fprintf(stderr, "# 4 states: lost %.3f %%, asked %.3f %%\n", 100 * got, 100 * due);
    assert_true(fabs(got - due) < (n == 20000 ? 0.015 : 0.04));
    assert_int_equal(stream_lost(&b.streams[3]), n);
    for (size_t i = 0; i < 4 && !netem(state); i++) {
        struct impair_counts c = bed_count(&b, i);
        assert_int_equal(c.matched, n);
        assert_int_equal(c.lost, stream_lost(&b.streams[i]));
        assert_int_equal(c.overflow, 0);
    }
    bed_close(&b);
}

static void doubles_damages_and_reorders(void **state)
{
    const struct impairment twice = {.duplicate = 0.1};
    const struct impairment damaged = {.corrupt = 0.1};
    const struct impairment shuffled = {.delay = 10 * MS, .reorder = 0.25, .gap = 5};
    const struct impairment ordered = {.delay = 10 * MS, .jitter = 5 * MS, .keep_order = true};
    struct bed b;
    bed_open(&b, bed_way(state), 0);
    const size_t n = few(state, 5000);
    struct stream spec = {.n = n, .size = 64, .interval = slow(state, 451 * US)};
    struct stream large = {.n = n, .size = 1400, .interval = slow(state, 451 * US)};
    const struct impairment *const asked[] = {&twice, &damaged, &shuffled, &ordered};
    for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
        bed_port_line(&b, false, (uint16_t)(7001 + i), asked[i]);
        bed_stream(&b, "10.9.0.2", (uint16_t)(7001 + i), false, i == 1 ? &large : &spec);
    }
    bed_unchecked(&b.streams[1]);
    bed_run(&b, 50 * MS);
    const struct stream *s = b.streams;
    bed_share("duplicated", stream_doubled(&s[0]), n, 0.1);
    assert_int_equal(stream_lost(&s[0]), 0);
    size_t seen = stream_damaged(&s[1]) + stream_lost(&s[1]);
    bed_print("reordered", &s[2]);
    assert_true(stream_overtaken(&s[2]) > 0);
    /* One in four that are allowed; the packets between: geometric with 4 more. */
    const double due = 1 / (1 / 0.25 + 4);
    if (netem(state)) /* does not count them: those that took less than half of their delay */
        bed_share("reordered", stream_sooner(&s[2], 5 * MS), n, due);
    else {
        struct impair_counts c = bed_count(&b, 1);
        bed_share("corrupted", c.corrupted, n, 0.1);
        assert_true(seen <= c.corrupted && seen * 100 >= c.corrupted * 90);
        c = bed_count(&b, 2);
        bed_share("reordered", c.reordered, n, due);
    }
    bed_print("ordered", &s[3]);
    assert_int_equal(stream_lost(&s[3]), 0);
    assert_int_equal(stream_overtaken(&s[3]), 0);
    assert_int_equal(stream_sooner(&s[3], 5 * MS), 0);
    /* 42 of 1442 bytes are headers, and 32 more are what a datagram is known by. */
    bed_share("damaged or lost", seen, n, 0.1 * 1440 / 1442);
    bed_close(&b);
}

/* --- Rate and slots ------------------------------------------------------------------------- */

static void holds_to_a_rate(void **state)
{
    /* 100 bytes of payload are 142 on the wire. */
    const struct impairment plain = {.rate = 125000, .limit = 5000};
    const struct impairment packets = {.rate = 125000, .limit = 5000, .packet_overhead = 58};
    const struct impairment cells = {
        .rate = 125000, .limit = 5000, .cell_size = 48, .cell_overhead = 5};
    const double bytes[] = {142, 200, 3 * 53};
    const struct impairment *const asked[] = {&plain, &packets, &cells};
    struct bed b;
    bed_open(&b, bed_way(state), 0);
    struct stream spec = {.n = 1500, .size = 100, .interval = 499 * US};
    for (size_t i = 0; i < 3; i++) {
        bed_port_line(&b, false, (uint16_t)(7001 + i), asked[i]);
        bed_stream(&b, "10.9.0.2", (uint16_t)(7001 + i), false, &spec);
    }
    bed_run(&b, 2 * NSEC_SEC);
    for (size_t i = 0; i < 3; i++) {
        const struct stream *s = &b.streams[i];
        double took = (double)(s->last_got - s->first_got) / 1e9;
        double rate = (double)(s->came - 1) * bytes[i] / took;
        fprintf(stderr, "# rate %zu: %.0f bytes a second, asked 125000\n", i, rate);
        assert_int_equal(stream_lost(s), 0);
        assert_int_equal(stream_overtaken(s), 0);
        assert_true(fabs(rate / 125000 - 1) <= 0.03);
    }
    bed_close(&b);
}

static void opens_slots(void **state)
{
    /* Every 20 ms at most 5 packets. */
    const struct impairment slots = {.has_slot = true,
                                     .slot = {.min = 20 * MS, .max = 20 * MS, .packets = 5}};
    struct bed b;
    bed_open(&b, bed_way(state), 0);
    bed_port_line(&b, false, 7001, &slots);
    struct stream spec = {.n = 300, .size = 100, .interval = 1 * MS};
    struct stream *s = bed_stream(&b, "10.9.0.2", 7001, false, &spec);
    bed_run(&b, 1500 * MS);
    assert_int_equal(stream_lost(s), 0);
    double took = (double)(s->last_got - s->first_got) / 1e6;
    fprintf(stderr, "# 300 packets in slots of 5: %.1f ms\n", took);
    assert_true(fabs(took - 59 * 20) < 59 * 20 * 0.03);
    size_t bursts = 1;
    for (size_t i = 1; i < 300; i++)
        bursts += s->packets[i].got - s->packets[i - 1].got > 10 * MS;
    assert_int_equal(bursts, 60);
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

static void matches_peers_ports_and_directions(void **state)
{
    const struct impairment ten = {.delay = 10 * MS}, thirty = {.delay = 30 * MS};
    struct inet_prefix third[2] = {prefix("10.9.0.3"), prefix("fd09::3")};
    struct impair_scope peers = {.protocol = -1, .peers = third, .n_peers = 2};
    struct bed b;
    bed_open(&b, bed_way(state), 0);
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
        cmocka_unit_test(draws_delays_from_each_distribution),
        cmocka_unit_test(loses_by_each_model),
        cmocka_unit_test(doubles_damages_and_reorders),
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
