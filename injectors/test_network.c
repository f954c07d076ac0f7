/* The pure parts of the `network` fault: which packets it reaches, which way packets of our own can take
 * through it, and what is made of those that arrived.
 */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "injectors/net/network/bite.h"
#include "injectors/net/network/chain.h"
#include "injectors/net/network/reach.h"
#include "injectors/net/network/tracer.h"
#include "sim/base/rng.h"
#include "tests/support/faultkit.h"
#include "tests/support/test.h"

/* --- Reach ------------------------------------------------------------------------------------- */

/* a, b and r on "front", r and c on "back". */
static struct topo *shape(struct kit *k)
{
    struct topo *topo = NULL;
    struct err err = ERR_INIT;
    kit_open(k);
    kit_network(k, "front", "10.1.0.0/24", "fd01::/64", "r");
    kit_network(k, "back", "10.2.0.0/24", NULL, "r");
    kit_host(k, "a", "10.1.0.1 fd01::1");
    kit_host(k, "b", "10.1.0.2 fd01::2");
    kit_host(k, "r", "10.1.0.9 10.2.0.9");
    kit_host(k, "c", "10.2.0.3");
    kit_ok(topo_new(k->s, &topo, &err), &err);
    return topo;
}

static const char *const to_b[] = {"b", NULL};
static const char *const to_c[] = {"c", NULL};
static const char *const to_many[] = {"b", "10.1.0.0/24", "fd01::/64", "10.1.0.100", NULL};
static const char *const to_itself[] = {"a", NULL};

static struct network_params towards(const char *const *to)
{
    struct network_params p = {.direction = NETWORK_EGRESS};
    while (to && to[p.to.n])
        p.to.n++;
    p.to.items = (char **)(uintptr_t)to;
    return p;
}

static void hosts_stand_for_all_their_addresses(void **state)
{
    static struct kit k;
    CLEANUP(topo_free_p) struct topo *topo = shape(&k);
    struct network_params p = towards(to_b);
    AUTO_BUF text = BUF_INIT;
    AUTO_REACH r = {0};
    p.direction = NETWORK_BOTH;
    assert_int_equal(reach_find(topo, &p, "a", &r, NULL), 0);
    assert_int_equal(r.n, 2);
    assert_int_equal(r.scope.n_peers, 2);
    assert_string_equal(reach_device(&r.points[0]), "eth0");
    assert_string_equal(reach_device(&r.points[1]), "a.front");
    reach_text(&r, &r.points[0], &text);
    assert_string_equal(buf_text(&text),
                        "host a, network front, what it sends: to 10.1.0.2, fd01::2");
    buf_clear(&text);
    reach_text(&r, &r.points[1], &text);
    assert_string_equal(buf_text(&text),
                        "host a, network front, what it is sent: from 10.1.0.2, fd01::2");
    kit_close(&k);
}

static void what_is_named_twice_counts_once(void **state)
{
    static struct kit k;
    CLEANUP(topo_free_p) struct topo *topo = shape(&k);
    struct network_params p = towards(to_many);
    struct err err = ERR_INIT;
    AUTO_REACH r = {0};
    assert_int_equal(reach_find(topo, &p, "a", &r, NULL), 0);
    assert_int_equal(r.scope.n_peers, 4); /* b's two, and the prefixes; 10.1.0.100 is in one */
    reach_done(&r);
    p.family = NETWORK_IPV6;
    assert_int_equal(reach_find(topo, &p, "a", &r, NULL), 0);
    assert_int_equal(r.scope.n_peers, 2);
    reach_done(&r);
    p = towards(to_itself);
    assert_int_equal(reach_find(topo, &p, "a", &r, &err), -ESRCH);
    reach_done(&r);
    p = towards(to_c);
    p.family = NETWORK_IPV6;
    assert_int_equal(reach_find(topo, &p, "a", &r, &err), -EINVAL);
    kit_close(&k);
}

static void routers_have_a_point_on_each_network(void **state)
{
    static struct kit k;
    CLEANUP(topo_free_p) struct topo *topo = shape(&k);
    struct network_params p = towards(NULL), q = towards(NULL);
    char back[] = "back";
    AUTO_REACH all = {0};
    AUTO_REACH one = {0};
    assert_int_equal(reach_find(topo, &p, "r", &all, NULL), 0);
    assert_int_equal(all.n, 2);
    q.network = back;
    assert_int_equal(reach_find(topo, &q, "r", &one, NULL), 0);
    assert_int_equal(one.n, 1);
    assert_true(reach_overlaps(&all, &one));
    reach_done(&one);
    q.direction = NETWORK_INGRESS;
    assert_int_equal(reach_find(topo, &q, "r", &one, NULL), 0);
    assert_false(reach_overlaps(&all, &one));
    kit_close(&k);
}

/* --- Ways -------------------------------------------------------------------------------------- */

static bool not_b(const char *host, void *data)
{
    return strcmp(host, "b") != 0;
}

static int choose(const struct topo *topo, const struct network_params *p, const char *host,
                  size_t point, bool (*up)(const char *, void *), struct tracer_way *ret)
{
    AUTO_REACH r = {0};
    assert_int_equal(reach_find(topo, p, host, &r, NULL), 0);
    assert_true(point < r.n);
    return tracer_choose(topo, &r, &r.points[point], up, NULL, ret, NULL);
}

static void ways_go_through_the_scope(void **state)
{
    static struct kit k;
    CLEANUP(topo_free_p) struct topo *topo = shape(&k);
    struct port_range web = {80, 80}, high = {8000, 8010};
    struct tracer_way w;
    struct network_params p = towards(to_b);
    p.direction = NETWORK_BOTH;
    p.protocol = NETWORK_TCP;
    p.port = (struct port_ranges){&web, 1};
    p.own_port = (struct port_ranges){&high, 1};
    p.family = NETWORK_IPV6;
    assert_int_equal(choose(topo, &p, "a", 0, NULL, &w), 0);
    assert_string_equal(w.from, "a");
    assert_string_equal(w.to, "b");
    assert_int_equal(w.source.family, AF_INET6);
    assert_int_equal(w.protocol, IPPROTO_TCP);
    assert_int_equal(w.target_port, 80); /* its own is taken by the other list */
    assert_int_equal(w.source_port, 8010);
    assert_int_equal(choose(topo, &p, "a", 1, NULL, &w), 0);
    assert_string_equal(w.from, "b");
    assert_string_equal(w.to, "a");
    assert_int_equal(w.source_port, 80);
    assert_int_equal(w.target_port, 8010);
    assert_int_equal(choose(topo, &p, "a", 0, not_b, &w), -EADDRNOTAVAIL);
    kit_close(&k);
}

static void ways_may_lead_over_a_router(void **state)
{
    static struct kit k;
    CLEANUP(topo_free_p) struct topo *topo = shape(&k);
    struct tracer_way w;
    struct network_params p = towards(to_c);
    assert_int_equal(choose(topo, &p, "a", 0, NULL, &w), 0);
    assert_string_equal(w.to, "c");
    assert_string_equal(w.networks[0], "front");
    assert_string_equal(w.networks[1], "back");
    p = towards(NULL); /* a neighbour is better */
    assert_int_equal(choose(topo, &p, "a", 0, NULL, &w), 0);
    assert_string_equal(w.networks[1], "front");
    kit_close(&k);
}

/* --- Sums -------------------------------------------------------------------------------------- */

static void arrivals_are_counted_as_what_they_are(void **state)
{
    const struct tracer_seen seen[] = {
        {.seq = 0, .sent = 1000, .arrived = 2000, .intact = true},
        {.seq = 2, .sent = 3000, .arrived = 5000, .intact = true},
        {.seq = 1, .sent = 2000, .arrived = 5000, .intact = true},
        {.seq = 1, .sent = 2000, .arrived = 9000, .intact = true}, /* twice */
        {.seq = 4, .sent = 9, .arrived = 9000, .intact = false},   /* its stamp may be what broke */
        {.seq = 6, .sent = 0, .arrived = 9000, .intact = true},    /* of the burst */
    };
    struct bite_seen s;
    bite_sum(seen, ARRAY_SIZE(seen), 6, 1500, &s);
    assert_int_equal(s.sent, 6);
    assert_int_equal(s.arrived, 4);
    assert_int_equal(s.lost, 2); /* 3 and 5 */
    assert_int_equal(s.doubled, 1);
    assert_int_equal(s.damaged, 1);
    assert_int_equal(s.at_once, 1);
    assert_int_equal(s.mean, 2000);
    assert_int_equal(s.median, 2000);
    assert_true(fabs(s.spread - 1000) < 1);
    bite_sum(NULL, 0, 6, 0, &s);
    assert_int_equal(s.lost, 6);
    assert_false(nsec_is_set(s.mean));
}

/* A chain that is run packet by packet. */
struct walk {
    const struct impair_loss *l;
    struct rng rng;
    int at; /* of two states, or of four: 1 good, 2 arrived in a burst, 3 lost in it, 4 alone */
};

static bool lost_by_two(struct walk *w)
{
    const struct impair_loss *l = w->l;
    bool bad = w->at;
    w->at = bad ? rng_unit(&w->rng) >= l->r : rng_unit(&w->rng) < l->p;
    return rng_unit(&w->rng) < (bad ? l->one_minus_h : l->one_minus_k);
}

static bool lost_by_four(struct walk *w)
{
    const struct impair_loss *l = w->l;
    double u = rng_unit(&w->rng);
    switch (w->at) {
    case 2:
        w->at = u < l->p23 ? 3 : 2;
        break;
    case 3:
        w->at = u < l->p31 ? 1 : u < l->p31 + l->p32 ? 2 : 3;
        break;
    case 4:
        w->at = 1;
        break;
    default:
        w->at = u < l->p13 ? 3 : u < l->p13 + l->p14 ? 4 : 1;
    }
    return w->at == 3 || w->at == 4;
}

#define WALK 400000
#define WALK_PART 400 /* packets whose losses are counted together */

static void chain_is_as_walked(const struct impair_loss *l, bool (*lost)(struct walk *))
{
    struct walk w = {l, rng_stream(20261122, "chain", 0, 0), 0};
    struct chain c;
    double losses = 0, bursts = 0, run = 0, squares = 0, part = 0, of_parts = 0;
    assert_true(chain_of(l, &c));
    for (size_t i = 0; i < WALK; i++) {
        bool gone = lost(&w);
        losses += gone;
        part += gone;
        if (!gone && run > 0) {
            bursts++;
            squares += run * run;
        }
        run = gone ? run + 1 : 0;
        if (i % WALK_PART == WALK_PART - 1) {
            of_parts += (part - c.loss * WALK_PART) * (part - c.loss * WALK_PART);
            part = 0;
        }
    }
    double mean = losses / bursts, independent = c.loss * (1 - c.loss) * WALK_PART;
    assert_true(fabs(c.loss - losses / WALK) < 0.005);
    assert_true(fabs(c.burst / mean - 1) < 0.03);
    assert_true(fabs(c.burst_spread / sqrt(squares / bursts - mean * mean) - 1) < 0.06);
    assert_true(fabs(c.inflation / (of_parts / (WALK / WALK_PART) / independent) - 1) < 0.2);
    assert_true(bite_loss(l) == c.loss);
}

static void chains_are_on_average_as_when_they_are_walked(void **state)
{
    const struct impair_loss simple = {
        .kind = IMPAIR_LOSS_GILBERT_ELLIOTT, .p = 0.02, .r = 0.2, .one_minus_h = 1};
    const struct impair_loss hidden = {.kind = IMPAIR_LOSS_GILBERT_ELLIOTT,
                                       .p = 0.02,
                                       .r = 0.2,
                                       .one_minus_h = 0.8,
                                       .one_minus_k = 0.01};
    const struct impair_loss states = {
        .kind = IMPAIR_LOSS_STATE, .p13 = 0.03, .p31 = 0.3, .p32 = 0.2, .p23 = 0.4, .p14 = 0.02};
    struct chain c;
    chain_is_as_walked(&simple, lost_by_two);
    chain_is_as_walked(&hidden, lost_by_two);
    chain_is_as_walked(&states, lost_by_four);
    assert_true(chain_of(&simple, &c) && fabs(c.burst - 5) < 1e-6);
    assert_true(fabs(c.loss - 1 / 11.0) < 1e-6);
    assert_false(chain_of(&(struct impair_loss){.kind = IMPAIR_LOSS_RANDOM, .ratio = 0.1}, &c));
    assert_true(bite_loss(&(struct impair_loss){.kind = IMPAIR_LOSS_NONE}) == 0);
}

/* What arrived of `n` packets, of which the given ones were lost, a millisecond apart. */
static size_t arrivals(const char *lost, size_t n, struct tracer_seen *ret)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (lost[i % strlen(lost)] == '.')
            ret[k++] = (struct tracer_seen){.seq = (uint32_t)i,
                                            .sent = (nsec)i * NSEC_MSEC,
                                            .arrived = (nsec)i * NSEC_MSEC + 1000,
                                            .intact = true};
    return k;
}

static void bursts_are_judged_by_their_length(void **state)
{
    static struct tracer_seen seen[1000];
    struct impairment m = {
        .loss = {.kind = IMPAIR_LOSS_GILBERT_ELLIOTT, .p = 0.02, .r = 0.2, .one_minus_h = 1}};
    AUTO_BUF text = BUF_INIT;
    struct bite_seen s;
    bite_sum(seen, arrivals("xx.x.....xxxxxx.", 16, seen), 16, 0, &s);
    assert_int_equal(s.bursts, 2); /* the first may have begun before */
    assert_true(s.in_bursts == 7 && s.in_bursts_squared == 37);
    s.others_known = true;
    /* as asked: runs of five */
    bite_sum(seen, arrivals("..............................xxxxx................", 1000, seen),
             1000, 0, &s);
    s.others_known = true;
    assert_true(bite_bites(&m, &s));
    bite_text(&m, &s, &text);
    assert_non_null(strstr(buf_text(&text), "bursts of 5 ["));
    /* as much is lost, but one by one */
    bite_sum(seen, arrivals("..........x", 1000, seen), 1000, 0, &s);
    s.others_known = true;
    assert_false(bite_bites(&m, &s));
    s.others = 100; /* a chain that moved on between ours shows no runs */
    assert_true(bite_bites(&m, &s));
    buf_clear(&text);
    bite_text(&m, &s, &text);
    assert_non_null(strstr(buf_text(&text), "bursts not judged: others' packets"));
    bite_sum(seen, arrivals(".", 1000, seen), 1000, 0, &s); /* of eighteen none */
    s.others_known = true;
    assert_false(bite_bites(&m, &s));
    bite_sum(seen, arrivals(".", 300, seen), 300, 0, &s); /* of five: that happens */
    s.others_known = true;
    assert_true(bite_bites(&m, &s));
    buf_clear(&text);
    bite_text(&m, &s, &text);
    assert_non_null(strstr(buf_text(&text), "bursts not judged: 0 are too few"));
    buf_clear(&text);
    bite_chain_text(&m, &text);
    assert_string_equal(buf_text(&text), "loss 9.09 %, in bursts of 5");
}

/* Packets that left a millisecond apart, and arrived at the next opening of a slot. */
static size_t in_slots(nsec slot, size_t n, struct tracer_seen *ret)
{
    for (size_t i = 0; i < n; i++) {
        nsec at = (nsec)i * NSEC_MSEC, open = slot ? (at / slot + 1) * slot : at + 1000;
        ret[i] = (struct tracer_seen){
            .seq = (uint32_t)i, .sent = at, .arrived = open + (nsec)i, .intact = true};
    }
    return n;
}

static void slots_are_seen(void **state)
{
    static struct tracer_seen seen[200];
    struct impairment m = {.has_slot = true,
                           .slot = {.min = 20 * NSEC_MSEC, .max = 20 * NSEC_MSEC}};
    AUTO_BUF text = BUF_INIT;
    struct bite_seen s;
    assert_int_equal(bite_slot(&m), 20 * NSEC_MSEC);
    assert_true(bite_shows_slots(&m, NSEC_MSEC));
    assert_false(bite_shows_slots(&m, 10 * NSEC_MSEC));
    bite_sum(seen, in_slots(20 * NSEC_MSEC, 200, seen), 200, 0, &s);
    bite_groups(seen, 200, 200, NSEC_MSEC, &s);
    assert_int_equal(s.slots, 9);
    assert_true(bite_bites(&m, &s));
    bite_text(&m, &s, &text);
    assert_string_equal(buf_text(&text), "slots 20 ms apart");
    bite_sum(seen, in_slots(0, 200, seen), 200, 0, &s); /* none at all */
    bite_groups(seen, 200, 200, NSEC_MSEC, &s);
    assert_false(bite_bites(&m, &s));
    m.slot.packets = 1; /* then packets of ours come alone, and wait a whole one */
    assert_false(bite_shows_slots(&m, NSEC_MSEC));
}

static void what_contradicts_is_no_bite(void **state)
{
    struct impairment m = {.delay = 50 * NSEC_MSEC, .jitter = 5 * NSEC_MSEC};
    struct bite_seen s = {.ways = 1, .sent = 100, .arrived = 100, .median = 50 * NSEC_MSEC};
    assert_true(bite_bites(&m, &s));
    s.median = 40 * NSEC_USEC;
    assert_false(bite_bites(&m, &s));
    s.median = NSEC_UNSET; /* nothing arrived: somebody else's doing, the counters must tell */
    s.arrived = 0;
    s.lost = 100;
    assert_true(bite_bites(&m, &s));

    m = (struct impairment){.loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 0.05}};
    s = (struct bite_seen){.sent = 600, .arrived = 570, .lost = 30, .median = 1};
    assert_true(bite_bites(&m, &s));
    s.lost = 0;
    assert_false(bite_bites(&m, &s));
    s.sent = 60; /* as few as that may all arrive */
    assert_true(bite_bites(&m, &s));

    m = (struct impairment){.rate = 125000};
    s = (struct bite_seen){.sent = 100, .arrived = 100, .rate = 124000, .median = 1};
    assert_true(bite_bites(&m, &s));
    s.rate = 12400000;
    assert_false(bite_bites(&m, &s));
    m = (struct impairment){.duplicate = 0.3};
    s = (struct bite_seen){.sent = 200, .arrived = 200, .median = 1};
    assert_false(bite_bites(&m, &s));
    s.doubled = 60;
    assert_true(bite_bites(&m, &s));
    assert_true(bite_bites(&m, &(struct bite_seen){.sent = 0})); /* no way to look */
}

static void what_was_seen_stands_beside_what_was_asked(void **state)
{
    AUTO_BUF text = BUF_INIT;
    struct impairment m = {.delay = 50 * NSEC_MSEC,
                           .jitter = 5 * NSEC_MSEC,
                           .loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 0.01}};
    struct bite_seen s = {.ways = 1,
                          .sent = 1000,
                          .arrived = 990,
                          .lost = 10,
                          .mean = 50123456,
                          .median = 50 * NSEC_MSEC,
                          .spread = 2.83e6};
    bite_text(&m, &s, &text);
    assert_string_equal(buf_text(&text), "delay 50.1 ms ± 4.9 ms, loss 1 % [0.54, 1.8]");
    buf_clear(&text);
    m = (struct impairment){.rate = 1250000};
    s.rate = 1240000;
    bite_text(&m, &s, &text);
    assert_string_equal(buf_text(&text), "rate 9.92mbit/s");
    buf_clear(&text);
    bite_text(&(struct impairment){0}, &s, &text);
    assert_string_equal(buf_text(&text), "990 of 1000 arrived");
    buf_clear(&text);
    m = (struct impairment){.rate = UINT64_C(10000000000) / 8};
    s.rate = 0;
    bite_text(&m, &s, &text);
    assert_non_null(strstr(buf_text(&text), "above 1gbit/s single packets are no measure"));
}

/* --- Keys to what they mean --------------------------------------------------------------------- */

static void impairments_are_made_and_told(void **state)
{
    struct impaired_share reorder = {.share = 0.25, .correlation = 0.5, .gap = 5};
    struct impaired_bursts bursts = {0.01, 0.2, 1, 0};
    struct impaired_loss loss = {.bursts = &bursts};
    struct impaired_rate rate = {.bandwidth = 10000000, .packet_overhead = -4};
    struct impaired_shape pareto = {.shape = 2};
    struct impaired m = {.delay = 50 * NSEC_MSEC,
                         .jitter = 5 * NSEC_MSEC,
                         .correlation = 0.25,
                         .distribution = &pareto,
                         .loss = &loss,
                         .reorder = &reorder,
                         .rate = &rate,
                         .seed = -1};
    struct impaired_tables none = {0};
    struct impairment made;
    struct err err = ERR_INIT;
    AUTO_BUF text = BUF_INIT;
    assert_int_equal(impaired_check(&m, &err), 0);
    impaired_make(&m, &none, &made);
    assert_int_equal(made.rate, 1250000);
    assert_int_equal(made.gap, 5);
    assert_false(made.has_seed);
    impairment_text(&made, &text);
    assert_string_equal(
        buf_text(&text),
        "delay 50 ms ± 5 ms (pareto) (correlation 25 %), reordering 25 % "
        "(correlation 50 %) (gap 5), loss in bursts (to bad 1 %, to good 20 %, lost "
        "100 % and 0 %), rate 10mbit/s, -4 B a packet");
    m.jitter = 60 * NSEC_MSEC;
    assert_int_equal(impaired_check(&m, &err), 1); /* a warning */
    assert_non_null(strstr(err.text, "'jitter' (60 ms) is larger than 'delay' (50 ms)"));
    m = (struct impaired){.delay = NSEC_UNSET, .jitter = NSEC_UNSET, .seed = -1};
    assert_true(impaired_is_nothing(&m));
    impaired_make(&m, &none, &made);
    buf_clear(&text);
    impairment_text(&made, &text);
    assert_string_equal(buf_text(&text), "nothing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_stand_for_all_their_addresses),
        cmocka_unit_test(what_is_named_twice_counts_once),
        cmocka_unit_test(routers_have_a_point_on_each_network),
        cmocka_unit_test(ways_go_through_the_scope),
        cmocka_unit_test(ways_may_lead_over_a_router),
        cmocka_unit_test(arrivals_are_counted_as_what_they_are),
        cmocka_unit_test(chains_are_on_average_as_when_they_are_walked),
        cmocka_unit_test(bursts_are_judged_by_their_length),
        cmocka_unit_test(slots_are_seen),
        cmocka_unit_test(what_contradicts_is_no_bite),
        cmocka_unit_test(what_was_seen_stands_beside_what_was_asked),
        cmocka_unit_test(impairments_are_made_and_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
