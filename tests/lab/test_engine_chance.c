/* What chance decides of impaired packets, on the real kernel: distributions of delays, models of loss,
 * copies, damage, order, and how alike neighbours are. By the user-space engine's two intakes, and with
 * the argument "netem" (in the emulated kernel) by netem. With "long" after it netem, too, has 20,000
 * packets of each; without, a tenth of them, at half the pace.
 *
 * Tests are at 99.99 %. What is not independent from packet to packet has its interval from batches of
 * packets. Families and directions take turns from one stream to the next.
 */
#include "tests/support/bed.h"
#include "tests/support/labkit.h"

#include "sim/base/rng.h"

#include <math.h>
#include <sys/socket.h>

#define US NSEC_USEC
#define MS NSEC_MSEC

static bool long_form; /* of the program, for main() */

static bool netem(void **state)
{
    return bed_way(state) == BED_NETEM;
}

static size_t few(void **state, size_t n)
{
    return netem(state) && !long_form ? n / 10 : kit_is_rootless() ? n / 4 : n;
}

static nsec slow(void **state, nsec interval)
{
    return netem(state) && !long_form ? 2 * interval : interval;
}

/* A line and a stream that meets it: the first leaves by IPv4, the second by IPv6, the next two arrive. */
static struct stream *one_more(struct bed *b, const struct impairment *what,
                               const struct stream *spec)
{
    size_t i = b->n_streams;
    bool back = i % 4 >= 2, six = i % 2;
    uint16_t port = (uint16_t)(7001 + i);
    bed_port_line(b, back, port, what);
    return bed_stream(b,
                      back  ? six ? "fd09::1" : "10.9.0.1"
                      : six ? "fd09::2"
                            : "10.9.0.2",
                      port, back, spec);
}

/* --- Distributions ------------------------------------------------------------------ */

enum { QUANTILES = 4096, SETTLED = 1 << 17 };

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

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Many draws of x' = (1 - c) u + c x in [0, 1), u uniform, as netem draws; in order of drawing. The
 * caller frees. */
static double *recursion(double c)
{
    struct rng rng = rng_stream(20261123, "recursion", 0, 0);
    double *x = calloc(SETTLED, sizeof *x), at = 0.5;
    assert_non_null(x);
    for (int i = -1000; i < SETTLED; i++) {
        at = (1 - c) * rng_unit(&rng) + c * at;
        if (i >= 0)
            x[i] = at;
    }
    return x;
}

/* netem takes uniform delays from such draws as they are; so their distribution is another. */
static void reference(const struct impairment *w, bool by_netem, double q[QUANTILES])
{
    AUTO_FREE double *x =
        by_netem && w->delay_correlation > 0 ? recursion(w->delay_correlation) : NULL;
    if (x)
        qsort(x, SETTLED, sizeof *x, by_value);
    for (size_t i = 0; i < QUANTILES; i++) {
        double u = ((double)i + 0.5) / QUANTILES;
        double at = x ? 2 * x[(size_t)(u * SETTLED)] - 1
                      : inverse(w->distribution, u, w->table.values, w->table.n);
        q[i] = (double)w->delay + (double)w->jitter * at;
    }
}

static double distance(const struct stream *s, size_t every, const double q[QUANTILES])
{
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

/* Kolmogorov: beyond 2.23 / sqrt(n) with probability 1e-4 when all is well. Of 20,000 packets 0.03 is asked,
 * which a busy machine keeps; root of a namespace has small buffers. */
static double distance_allowed(size_t sent, size_t n)
{
    double least = kit_is_rootless() ? 0.045 : 0.03;
    return sent >= 20000 ? least : fmax(least, 2.23 / sqrt((double)n));
}

static bool is_from(void **state, const struct stream *s, const struct impairment *w)
{
    double q[QUANTILES];
    reference(w, netem(state), q);
    /* Of every fourth where neighbours are alike: those are 0.06 apart. */
    size_t every = w->delay_correlation > 0 ? 4 : 1;
    double d = distance(s, every, q), r = stream_correlation(s);
    double most = distance_allowed(s->n, s->n / every);
    fprintf(stderr,
            "# distribution %d, correlation asked %.1f: %zu packets, distance %.4f (at most %.4f), "
            "correlation %.3f\n",
            (int)w->distribution, w->delay_correlation, s->n, d, most, r);
    assert_int_equal(stream_lost(s), 0);
    return d <= most && fabs(r - w->delay_correlation) < fmax(0.08, 4 / sqrt((double)s->n));
}

/* MEASURES delay, jitter, distribution, correlation of delays: engine netem */
static void draws_delays_from_each_distribution(void **state)
{
    /* A user's own: two humps. */
    int16_t own[2048];
    for (int i = 0; i < 2048; i++)
        own[i] = (int16_t)(i < 1024 ? -8192 + 4 * i : 4096 + 4 * (i - 1024));
    struct impairment asked[] = {
        {.delay = 60 * MS, .jitter = 20 * MS},
        {.delay = 80 * MS, .jitter = 20 * MS, .distribution = IMPAIR_NORMAL},
        {.delay = 60 * MS, .jitter = 20 * MS, .distribution = IMPAIR_PARETO},
        {.delay = 60 * MS, .jitter = 20 * MS, .distribution = IMPAIR_PARETONORMAL},
        {.delay = 60 * MS, .jitter = 20 * MS, .distribution = IMPAIR_TABLE, .table = {own, 2048}},
        {.delay = 60 * MS, .jitter = 20 * MS, .delay_correlation = 0.5},
    };
    /* netem takes the remainder of a draw of 32 bits, and neighbours are alike in the upper ones: only
     * where twice the jitter is all of them, in ns, does its correlation come through. */
    if (netem(state))
        asked[5] =
            (struct impairment){.delay = 2200 * MS, .jitter = INT32_MAX, .delay_correlation = 0.5};
    struct bed b;
    bed_open(&b, bed_way(state), 0);
    bed_meet(&b);
    struct stream spec = {.n = few(state, 20000),
                          .size = 64,
                          .interval = netem(state) ? slow(state, 493 * US) : 251 * US};
    for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
        one_more(&b, &asked[i], &spec);
    /* A machine that is busy with other things delays frames by milliseconds: once more then. */
    bool good[ARRAY_SIZE(asked)] = {false};
    size_t n_good = 0;
    for (int turn = 0; turn < 3 && n_good < ARRAY_SIZE(asked); turn++) {
        for (size_t i = 0; i < b.n_streams; i++)
            stream_done(&b.streams[i]);
        bed_run(&b, netem(state) ? 5 * NSEC_SEC : 200 * MS);
        n_good = 0;
        for (size_t i = 0; i < b.n_streams; i++) {
            good[i] = is_from(state, &b.streams[i], &asked[i]) || good[i];
            n_good += good[i];
        }
    }
    assert_int_equal(n_good, ARRAY_SIZE(asked));
    bed_close(&b);
}

/* --- Shares -------------------------------------------------------------------------- */

/* k of n happened, packet by packet in order, in batches that are next to independent of each other. */
enum { BATCHES = 40 };
struct share {
    double k[BATCHES], n[BATCHES];
};

static void share_adds(struct share *s, size_t at, size_t of, bool happened)
{
    size_t batch = at * BATCHES / of;
    s->k[batch] += happened;
    s->n[batch] += 1;
}

/* Whether the ratio of both sums is as due, with its error from the batches; says why not. */
static bool share_is(const char *what, const struct share *s, double due)
{
    double k = 0, n = 0, e = 0;
    for (size_t i = 0; i < BATCHES; i++) {
        k += s->k[i];
        n += s->n[i];
    }
    assert_true(n > 0);
    for (size_t i = 0; i < BATCHES; i++)
        e += (s->k[i] - k / n * s->n[i]) * (s->k[i] - k / n * s->n[i]);
    /* Student's t of 39 degrees at 99.99 %. Batches may by chance be more alike than independent
     * packets would be; a count moves by one at least. */
    e = fmax(e * BATCHES / (BATCHES - 1), n * due * (1 - due));
    double within = (4.32 * sqrt(e) + 1) / n;
    fprintf(stderr, "# %s: %.4f of %.0f, due %.4f ± %.4f\n", what, k / n, n, due, within);
    if (fabs(k / n - due) <= within)
        return true;
    print_error("%s: %.4f, where %.4f ± %.4f was due\n", what, k / n, due, within);
    return false;
}

/* Of a hundred questions at 99.99 % one in a hundred runs has one that a true law misses: all are asked of
 * other packets then. A false law misses again. */
static void twice_at_most(bool (*is_as_due)(void **state), void **state)
{
    if (!is_as_due(state))
        assert_true(is_as_due(state));
}

static bool is_lost(const struct stream *s, size_t i)
{
    return !s->packets[i].copies;
}

static bool is_doubled(const struct stream *s, size_t i)
{
    return s->packets[i].copies > 1;
}

/* A bit in the headers makes it a lost one. */
static bool is_harmed(const struct stream *s, size_t i)
{
    return !s->packets[i].copies || s->packets[i].damaged;
}

static bool is_early(const struct stream *s, size_t i)
{
    return s->packets[i].copies && s->packets[i].got - s->packets[i].sent < 5 * MS;
}

typedef bool happens(const struct stream *s, size_t i);

static struct share share_of(const struct stream *s, happens *does)
{
    struct share r = {{0}, {0}};
    for (size_t i = 0; i < s->n; i++)
        share_adds(&r, i, s->n, does(s, i));
    return r;
}

/* Of those `lag` after one to which it happened. */
static struct share share_after(const struct stream *s, happens *does, size_t lag)
{
    struct share r = {{0}, {0}};
    for (size_t i = lag; i < s->n; i++)
        if (does(s, i - lag))
            share_adds(&r, i, s->n, does(s, i));
    return r;
}

/* Shares of events below a threshold of correlated draws: of all, and of those after one. Our engine puts
 * the threshold where the asked share comes out; netem holds the draws against the share itself. */
static void correlated_due(double p, double c, bool by_netem, double *ret_share, double *ret_after)
{
    AUTO_FREE double *x = recursion(c);
    AUTO_FREE double *sorted = calloc(SETTLED, sizeof *sorted);
    assert_non_null(sorted);
    memcpy(sorted, x, SETTLED * sizeof *x);
    qsort(sorted, SETTLED, sizeof *sorted, by_value);
    double below = by_netem ? p : sorted[(size_t)(p * SETTLED)], k = 0, both = 0;
    for (size_t i = 1; i < SETTLED; i++) {
        k += x[i] < below;
        both += x[i] < below && x[i - 1] < below;
    }
    *ret_share = k / SETTLED;
    *ret_after = both / k;
}

static bool are_alike(void **state)
{
    const double p = 0.3, c = 0.5;
    const struct {
        const char *what;
        happens *does;
        struct impairment w;
    } asked[] = {
        {"loss", is_lost, {.loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = p, .correlation = c}}},
        {"duplicate", is_doubled, {.duplicate = p, .duplicate_correlation = c}},
        {"corrupt", is_harmed, {.corrupt = p, .corrupt_correlation = c}},
        {"reorder", is_early, {.delay = 10 * MS, .reorder = p, .reorder_correlation = c}},
    };
    double share, after;
    bool good = true;
    struct bed b;
    correlated_due(p, c, netem(state), &share, &after);
    bed_open(&b, bed_way(state), 0);
    bed_meet(&b);
    struct stream spec = {.n = few(state, 10000), .interval = slow(state, 191 * US)};
    for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
        spec.size = asked[i].w.corrupt > 0 ? 1400 : 64;
        struct stream *s = one_more(&b, &asked[i].w, &spec);
        if (asked[i].w.corrupt > 0)
            bed_unchecked(s);
    }
    bed_run(&b, 50 * MS);
    for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
        struct share all = share_of(&b.streams[i], asked[i].does);
        struct share next = share_after(&b.streams[i], asked[i].does, 1);
        char text[64];
        snprintf(text, sizeof text, "%s 0.3, correlation 0.5", asked[i].what);
        good &= share_is(text, &all, share);
        snprintf(text, sizeof text, "%s after %s", asked[i].what, asked[i].what);
        good &= share_is(text, &next, after);
    }
    bed_close(&b);
    return good;
}

/* MEASURES correlation of losses, of copies, of damage, of order: engine netem */
static void neighbours_are_alike(void **state)
{
    twice_at_most(are_alike, state);
}

/* --- Models of loss -------------------------------------------------------------------- */

/* p: of the packets after one that came those that are lost; r the other way. Exact where the bad state
 * loses all and the good one nothing. */
static bool gilbert_is(const struct stream *s, double p, double r)
{
    struct share to_bad = {{0}, {0}}, to_good = {{0}, {0}};
    for (size_t i = 0; i + 1 < s->n; i++)
        share_adds(is_lost(s, i) ? &to_good : &to_bad, i, s->n, is_lost(s, i) != is_lost(s, i + 1));
    bool good = share_is("Gilbert: p", &to_bad, p);
    return share_is("Gilbert: r", &to_good, r) && good;
}

/* The bad state loses the share l: the three parameters stand in three shares, of all and of those one
 * and two after a lost one (which found the chain in the bad state). */
static bool gilbert_elliott_is(const struct stream *s, double p, double r, double l)
{
    struct share all = share_of(s, is_lost), one = share_after(s, is_lost, 1),
                 two = share_after(s, is_lost, 2);
    bool good = share_is("Gilbert-Elliott: lost", &all, l * p / (p + r));
    good &= share_is("Gilbert-Elliott: lost after a lost one", &one, l * (1 - r));
    good &= share_is("Gilbert-Elliott: lost two after a lost one", &two,
                     l * ((1 - r) * (1 - r) + r * p));
    return good;
}

/* Runs of lost and of delivered packets, by how they began. Of the lost: alone (p14, always one packet) or
 * in a burst, which ends with p31 + p32; of the delivered: in a gap, which ends with p13 + p14, or
 * within a burst, which ends with p23. */
static bool four_states_are(const struct stream *s, const struct impair_loss *l)
{
    struct share goes_on = {{0}, {0}}, single = {{0}, {0}}, lost = {{0}, {0}}, brief = {{0}, {0}};
    size_t length = 0;
    for (size_t i = 1; i < s->n; i++) {
        bool now = is_lost(s, i), before = is_lost(s, i - 1);
        share_adds(&lost, i, s->n, now);
        length++;
        if (now && before && i + 1 < s->n)
            share_adds(&goes_on, i, s->n, is_lost(s, i + 1));
        if (now == before)
            continue;
        if (i > length) /* the first run may have begun before us */
            share_adds(before ? &single : &brief, i, s->n, length <= (before ? 1 : 3));
        length = 0;
    }
    /* Of the chain: per visit to a gap it leaves p14 times alone, p13 times to a burst; a burst goes
     * back and forth between lost and delivered until p31. */
    double q = l->p31 + l->p32, leaves = l->p13 + l->p14;
    double alone = l->p14 / leaves, bursts = l->p13 / leaves; /* runs of lost ones, per gap */
    double again = l->p32 / q; /* a run of a burst is followed by one */
    double runs = bursts / (1 - again), in_burst = runs * again; /* runs of delivered ones there */
    double gap3 = 1 - pow(1 - leaves, 3), burst3 = 1 - pow(1 - l->p23, 3);
    double lost_packets = alone + runs / q, came = 1 / leaves + in_burst / l->p23;
    bool good = share_is("4 states: lost", &lost, lost_packets / (lost_packets + came));
    good &= share_is("4 states: a burst's loss goes on", &goes_on, 1 - q);
    good &= share_is("4 states: runs of one lost", &single, (alone + runs * q) / (alone + runs));
    good &= share_is("4 states: runs of up to three delivered", &brief,
                     (gap3 + in_burst * burst3) / (1 + in_burst));
    return good;
}

static bool loses_as_due(void **state)
{
    const struct impairment asked[] = {
        {.loss = {.kind = IMPAIR_LOSS_GILBERT_ELLIOTT, .p = 0.02, .r = 0.25, .one_minus_h = 1}},
        {.loss = {.kind = IMPAIR_LOSS_GILBERT_ELLIOTT, .p = 0.05, .r = 0.2, .one_minus_h = 0.8}},
        {.loss = {.kind = IMPAIR_LOSS_STATE,
                  .p13 = 0.05,
                  .p31 = 0.3,
                  .p32 = 0.15,
                  .p23 = 0.4,
                  .p14 = 0.03}},
        {.loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 0.05}},
        {.loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 1}},
    };
    struct bed b;
    bed_open(&b, bed_way(state), 0);
    bed_meet(&b);
    const size_t n = few(state, 20000);
    struct stream spec = {.n = n, .size = 64, .interval = slow(state, 237 * US)};
    for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
        one_more(&b, &asked[i], &spec);
    bed_run(&b, 50 * MS);
    bool good = gilbert_is(&b.streams[0], 0.02, 0.25);
    good &= gilbert_elliott_is(&b.streams[1], 0.05, 0.2, 0.8);
    good &= four_states_are(&b.streams[2], &asked[2].loss);
    good &= bed_share("loss", stream_lost(&b.streams[3]), n, 0.05);
    assert_int_equal(stream_lost(&b.streams[4]), n);
    for (size_t i = 0; i < ARRAY_SIZE(asked) && !netem(state); i++) {
        struct impair_counts c = bed_count(&b, i);
        assert_int_equal(c.matched, n);
        assert_int_equal(c.lost, stream_lost(&b.streams[i]));
        assert_int_equal(c.overflow, 0);
    }
    bed_close(&b);
    return good;
}

/* MEASURES loss, gilbert_elliott, state: engine netem */
static void loses_by_each_model(void **state)
{
    twice_at_most(loses_as_due, state);
}

/* --- Copies, damage, order ---------------------------------------------------------------- */

static bool harms_as_due(void **state)
{
    const struct impairment asked[] = {
        {.corrupt = 0.1},
        {.duplicate = 0.1},
        {.delay = 10 * MS, .reorder = 0.25, .gap = 5},
        {.delay = 10 * MS, .jitter = 5 * MS, .keep_order = true},
        {.loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 0.25}, .ecn = true},
    };
    struct bed b;
    bed_open(&b, bed_way(state), 0);
    bed_meet(&b);
    const size_t n = few(state, 5000);
    struct stream spec = {.n = n, .interval = slow(state, 451 * US)};
    for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
        spec.size = i == 0 ? 1400 : 64;
        one_more(&b, &asked[i], &spec);
    }
    bed_unchecked(&b.streams[0]);
    stream_ecn(&b.streams[4]);
    bed_run(&b, 50 * MS);
    const struct stream *s = b.streams;
    assert_int_equal(stream_lost(&s[4]), 0);
    bool good = bed_share("marked", stream_marked(&s[4]), n, 0.25);
    good &= bed_share("duplicated", stream_doubled(&s[1]), n, 0.1);
    assert_int_equal(stream_lost(&s[1]), 0);
    size_t seen = stream_damaged(&s[0]) + stream_lost(&s[0]);
    bed_print("reordered", &s[2]);
    assert_true(stream_overtaken(&s[2]) > 0);
    /* One in four that are allowed; the packets between: geometric with 4 more. */
    const double due = 1 / (1 / 0.25 + 4);
    if (netem(state)) /* does not count them: those that took less than half of their delay */
        good &= bed_share("reordered", stream_sooner(&s[2], 5 * MS), n, due);
    else {
        struct impair_counts c = bed_count(&b, 0);
        good &= bed_share("corrupted", c.corrupted, n, 0.1);
        assert_true(seen <= c.corrupted && seen * 100 >= c.corrupted * 90);
        c = bed_count(&b, 2);
        good &= bed_share("reordered", c.reordered, n, due);
    }
    bed_print("ordered", &s[3]);
    assert_int_equal(stream_lost(&s[3]), 0);
    assert_int_equal(stream_overtaken(&s[3]), 0);
    assert_int_equal(stream_sooner(&s[3], 5 * MS), 0);
    /* The sender's hardware address and port are missed by nobody: 8 of 1442 bytes. */
    good &= bed_share("damaged or lost", seen, n, 0.1 * 1434 / 1442);
    bed_close(&b);
    return good;
}

/* MEASURES duplicate, corrupt, reorder, gap, keep_order, ecn: engine netem */
static void doubles_damages_and_reorders(void **state)
{
    twice_at_most(harms_as_due, state);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(draws_delays_from_each_distribution),
        cmocka_unit_test(neighbours_are_alike),
        cmocka_unit_test(loses_by_each_model),
        cmocka_unit_test(doubles_damages_and_reorders),
    };
    long_form = argc > 2 && strcmp(argv[2], "long") == 0;
    return bed_main(argc, argv, all, ARRAY_SIZE(all));
}
