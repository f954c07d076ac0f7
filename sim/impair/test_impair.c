/* Lines on transports that record: what would be sent, that lines which share packets are refused, and
 * that whatever was made is taken away.
 */
#include <errno.h>
#include <netinet/in.h>

#include "sim/impair/impair.h"
#include "sim/impair/sweep.h"
#include "tests/support/test.h"

static const struct impair_scope everything = {.protocol = -1};
static const struct impairment slow = {.delay = 50 * NSEC_MSEC};

static struct impair_order order(struct nl *nl, const char *device,
                                 const struct impair_scope *scope, enum impair_engine engine,
                                 const char *label)
{
    return (struct impair_order){.point = {.nl = nl, .netns_fd = -1, .device = device},
                                 .scope = scope,
                                 .what = &slow,
                                 .engine = engine,
                                 .label = label};
}

static void is_recorded(const struct nl *nl, const char *const *texts, size_t n)
{
    for (size_t i = 0; i < nl_recorded(nl) || i < n; i++) {
        const char *text = i < nl_recorded(nl) ? nl_recorded_at(nl, i).text : "(nothing)";
        if (i >= n || strcmp(text, texts[i]) != 0)
            fail_msg("%zu: %s instead of %s", i, text, i < n ? texts[i] : "nothing");
    }
}

static void open_both(struct nl **nl, struct impair **m)
{
    assert_int_equal(nl_open_recording("host a", nl, NULL), 0);
    assert_int_equal(impair_new(NULL, NULL, NULL, m, NULL), 0);
}

static void netem_stands_behind_a_filter(void **state)
{
    static const char *const texts[] = {
        "qdisc add dev=eth0 parent=hooks handle=ffff: kind=clsact",
        "link add name=bs0e info=(kind=ifb)",
        "link set name=bs0e families=(inet6=(addr-gen-mode=none))",
        "link set up name=bs0e",
        "qdisc add dev=bs0e parent=root handle=1: kind=netem options=(limit=75000 delay=50ms)",
        "filter add dev=eth0 parent=egress pref=100 protocol=all handle=0x1 kind=bpf options=(n=2 "
        "ops=[6,0,0,ffffffff 6,0,0,0] actions=[kind=mirred options=(parms=(redirect-to=bs0e "
        "action=stolen))])",
        "filter delete dev=eth0 parent=egress pref=100 protocol=all handle=0x1 kind=bpf",
        "link delete name=bs0e",
        "qdisc delete dev=eth0 parent=hooks handle=ffff: kind=clsact",
    };
    struct nl *nl;
    struct impair *m;
    struct impair_line *line;
    struct span at = SPAN_UNSET;
    open_both(&nl, &m);
    struct impair_order o = order(nl, "eth0", &everything, IMPAIR_AUTO, "slow");
    assert_int_equal(impair_arm(m, &o, &line, NULL), 0);
    assert_int_equal(nl_recorded(nl), 5); /* armed: no filter, no packet notices */
    assert_int_equal(impair_line_engine(line), IMPAIR_NETEM);
    assert_int_equal(impair_set(line, true, &at, NULL), 0);
    assert_true(span_is_set(at));
    assert_int_equal(nl_recorded(nl), 6); /* on: one message */
    assert_ptr_equal(impair_find(m, "slow"), line);
    assert_int_equal(impair_retire(line, NULL, NULL), 0); /* without a loop: at once */
    assert_null(impair_find(m, "slow"));
    is_recorded(nl, texts, ARRAY_SIZE(texts));
    impair_free(m);
    nl_free(nl);
}

/* In a namespace that outlives us: what the kernel opens when our socket is closed. */
static void a_gate_stands_where_others_outlive_us(void **state)
{
    static const char *const texts[] = {
        "qdisc add dev=eth0 parent=hooks handle=ffff: kind=clsact",
        "link add flags=0x80/0x80 name=bs0a mtu=65535 tx-queues=1 rx-queues=1 info=(kind=veth "
        "data=(peer=(flags=0x80/0x80 name=bs0b mtu=65535 tx-queues=1 rx-queues=1)))",
        "link set name=bs0a families=(inet6=(addr-gen-mode=none))",
        "link set name=bs0b families=(inet6=(addr-gen-mode=none))",
        "nft table add netdev name=blackstart-bs0-closed flags=owner",
        "nft chain add netdev table=blackstart-bs0-closed name=gate hook=(num=ingress priority=0 "
        "dev=bs0b) policy=accept type=filter",
        "nft rule append netdev table=blackstart-bs0-closed chain=gate expr=[counter bytes=0 "
        "packets=0][immediate dreg=0 data=(verdict=(code=drop))]",
        "nft table add netdev name=blackstart-bs0-on flags=none",
        "nft chain add netdev table=blackstart-bs0-on name=gate hook=(num=ingress priority=10 "
        "dev=bs0b) policy=accept type=filter",
        "nft rule append netdev table=blackstart-bs0-on chain=gate expr=[counter bytes=0 "
        "packets=0][immediate dreg=1 data=(value=0x45527362)][meta key=mark sreg=1][immediate "
        "dreg=1 data=(value=eth0)][fwd dev=1]",
        "link set up name=bs0b",
        "link set up name=bs0a",
        "filter add dev=eth0 parent=egress pref=100 protocol=all handle=0x1 kind=bpf options=(n=5 "
        "ops=[20,0,0,fffff014 15,0,1,62735245 6,0,0,0 6,0,0,ffffffff 6,0,0,0] actions=[kind=mirred "
        "options=(parms=(redirect-to=bs0a action=stolen))])",
        "filter delete dev=eth0 parent=egress pref=100 protocol=all handle=0x1 kind=bpf",
        "link delete name=bs0a",
        "nft table delete netdev name=blackstart-bs0-closed",
        "nft table delete netdev name=blackstart-bs0-on",
        "qdisc delete dev=eth0 parent=hooks handle=ffff: kind=clsact",
    };
    struct nl *nl;
    struct impair *m;
    struct impair_line *line;
    open_both(&nl, &m);
    struct impair_order o = order(nl, "eth0", &everything, IMPAIR_USER, "slow");
    o.point.outlives = true;
    assert_int_equal(impair_arm(m, &o, &line, NULL), 0);
    assert_int_equal(impair_set(line, true, NULL, NULL), 0);
    assert_int_equal(impair_disarm(line, NULL), 0);
    is_recorded(nl, texts, ARRAY_SIZE(texts));
    impair_free(m);
    nl_free(nl);
}

static void clsact_goes_with_its_last_line(void **state)
{
    struct nl *nl;
    struct impair *m;
    struct impair_line *a, *b;
    struct impair_scope tcp = {.protocol = IPPROTO_TCP}, udp = {.protocol = IPPROTO_UDP};
    open_both(&nl, &m);
    struct impair_order first = order(nl, "eth0", &tcp, IMPAIR_NETEM, "one");
    struct impair_order second = order(nl, "eth0", &udp, IMPAIR_USER, "two");
    assert_int_equal(impair_arm(m, &first, &a, NULL), 0);
    assert_int_equal(impair_arm(m, &second, &b, NULL), 0);
    assert_int_equal(impair_line_engine(b), IMPAIR_USER);
    assert_int_equal(impair_disarm(a, NULL), 0);
    size_t clsacts = 0, taken = 0;
    for (size_t i = 0; i < nl_recorded(nl); i++) {
        clsacts += strncmp(nl_recorded_at(nl, i).text, "qdisc add dev=eth0", 18) == 0;
        taken += strncmp(nl_recorded_at(nl, i).text, "qdisc delete dev=eth0", 21) == 0;
    }
    assert_int_equal(clsacts, 1);
    assert_int_equal(taken, 0);
    impair_free(m); /* disarms what is left */
    assert_string_equal(nl_recorded_at(nl, nl_recorded(nl) - 1).text,
                        "qdisc delete dev=eth0 parent=hooks handle=ffff: kind=clsact");
    nl_free(nl);
}

static void shared_packets_are_refused(void **state)
{
    struct nl *nl;
    struct impair *m;
    struct impair_line *line, *other = NULL;
    struct impair_scope tcp = {.protocol = IPPROTO_TCP};
    struct err err = ERR_INIT;
    open_both(&nl, &m);
    struct impair_order first = order(nl, "eth0", &everything, IMPAIR_NETEM, "one");
    struct impair_order again = order(nl, "eth0", &tcp, IMPAIR_NETEM, "two");
    assert_int_equal(impair_arm(m, &first, &line, NULL), 0);
    assert_int_equal(impair_set(line, true, NULL, NULL), 0);
    size_t before = nl_recorded(nl);
    assert_int_equal(impair_arm(m, &again, &other, &err), -EBUSY);
    assert_string_equal(err.text, "one impairs some of these packets already (host a, eth0): give "
                                  "both scopes that share none");
    assert_null(other);
    assert_int_equal(nl_recorded(nl), before);
    again.point.ingress = true; /* another hook, another device: other packets */
    assert_int_equal(impair_arm(m, &again, &other, NULL), 0);
    again.point.ingress = false;
    again.point.device = "eth1";
    assert_int_equal(impair_arm(m, &again, &other, NULL), 0);
    impair_disarm(line, NULL);
    again.point.device = "eth0"; /* and it is free again */
    assert_int_equal(impair_arm(m, &again, &other, NULL), 0);
    impair_free(m);
    nl_free(nl);
}

/* Armed long before, they may: only one of them is on at a time, and clsact stays for the other. */
static void shared_packets_are_met_in_turn(void **state)
{
    struct nl *nl;
    struct impair *m;
    struct impair_line *one, *two;
    struct err err = ERR_INIT;
    open_both(&nl, &m);
    struct impair_order first = order(nl, "eth0", &everything, IMPAIR_USER, "one");
    struct impair_order second = order(nl, "eth0", &everything, IMPAIR_USER, "two");
    assert_int_equal(impair_arm(m, &first, &one, NULL), 0);
    assert_int_equal(impair_arm(m, &second, &two, NULL), 0);
    assert_int_equal(impair_set(two, true, NULL, NULL), 0);
    assert_int_equal(impair_set(one, true, NULL, &err), -EBUSY);
    assert_non_null(strstr(err.text, "two impairs some of these packets already"));
    assert_int_equal(impair_set(two, false, NULL, NULL), 0);
    assert_int_equal(impair_set(one, true, NULL, NULL), 0);
    assert_int_equal(impair_disarm(one, NULL), 0);
    assert_true(impair_stands(m, nl, "eth0"));
    assert_int_equal(impair_set(two, true, NULL, NULL), 0);
    assert_int_equal(impair_disarm(two, NULL), 0);
    assert_false(impair_stands(m, nl, "eth0"));
    impair_free(m);
    nl_free(nl);
}

static size_t deleted_links(const struct nl *nl)
{
    size_t n = 0;
    for (size_t i = 0; i < nl_recorded(nl); i++)
        n += strncmp(nl_recorded_at(nl, i).text, "link delete", 11) == 0;
    return n;
}

/* The kernel takes its time for each, and the loop has others to serve. */
static void of_retired_lines_one_is_taken_away_in_a_turn(void **state)
{
    static const char *const devices[] = {"eth0", "eth1", "eth2"};
    struct loop *loop;
    struct nl *nl;
    struct impair *m;
    struct impair_line *lines[3];
    assert_int_equal(loop_new(LOOP_VIRTUAL, &loop, NULL), 0);
    assert_int_equal(nl_open_recording("host a", &nl, NULL), 0);
    assert_int_equal(impair_new(loop, NULL, NULL, &m, NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        struct impair_order o = order(nl, devices[i], &everything, IMPAIR_NETEM, "one");
        assert_int_equal(impair_arm(m, &o, &lines[i], NULL), 0);
    }
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(impair_retire(lines[i], NULL, NULL), 0);
    for (size_t gone = 0, turns = 0; gone < 3; turns++) {
        assert_true(turns < 10);
        assert_int_equal(loop_turn(loop, NSEC_SEC, NULL), 0);
        assert_true(deleted_links(nl) <= gone + 1);
        gone = deleted_links(nl);
    }
    impair_free(m);
    loop_free(loop);
    nl_free(nl);
}

static void a_namespace_that_goes_takes_its_lines_along(void **state)
{
    struct nl *nl;
    struct impair *m;
    struct impair_line *line;
    open_both(&nl, &m);
    struct impair_order a = order(nl, "eth0", &everything, IMPAIR_NETEM, "one");
    struct impair_order b = order(nl, "eth1", &everything, IMPAIR_USER, "one");
    assert_int_equal(impair_arm(m, &a, &line, NULL), 0);
    assert_int_equal(impair_arm(m, &b, &line, NULL), 0);
    size_t before = nl_recorded(nl);
    impair_gone(m, nl, NULL);
    assert_null(impair_find(m, "one"));
    assert_int_equal(nl_recorded(nl), before);
    assert_int_equal(impair_arm(m, &a, &line, NULL), 0); /* a new one of the same name */
    impair_free(m);
    nl_free(nl);
}

static void points_draw_from_seeds_of_their_own(void **state)
{
    const struct impairment lossy = {
        .loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 0.5}, .has_seed = true, .seed = 40};
    struct nl *nl;
    struct impair *m;
    struct impair_line *line;
    open_both(&nl, &m);
    struct impair_order o = order(nl, "eth0", &everything, IMPAIR_NETEM, "lossy");
    o.what = &lossy;
    o.number = 2;
    assert_int_equal(impair_arm(m, &o, &line, NULL), 0);
    bool found = false;
    for (size_t i = 0; i < nl_recorded(nl); i++)
        found |= strstr(nl_recorded_at(nl, i).text, "seed=42") != NULL;
    assert_true(found);
    impair_free(m);
    nl_free(nl);
}

/* As a snapshot writes them (tests/lab/test_engine.c holds that it does). */
static void what_is_ours_is_known_by_its_name(void **state)
{
    static const char *const ours[] = {
        "link type=1 flags=0xc3 name=bs0e info=(kind=ifb)",
        "link type=1 flags=0x1003 name=bstap12",
        "link type=1 flags=0x1003 name=bs13a link-index=7",
        "qdisc dev=bs0e parent=root handle=1: kind=netem options=(limit=75000 delay=50ms)",
        "filter dev=e0 parent=egress pref=100 protocol=all handle=0x1 kind=bpf options=(n=2 "
        "actions=[kind=mirred options=(parms=(redirect-to=bs0e action=stolen))])",
        "filter dev=e0 parent=egress pref=100 protocol=all kind=bpf",
        "qdisc dev=e0 parent=hooks handle=ffff: kind=clsact",
        "filter dev=e0 parent=ingress pref=101 protocol=all handle=0x1 kind=bpf options=("
        "name=blackstart direct)",
    };
    static const char *const theirs[] = {
        "link type=1 flags=0xc3 name=bs0",
        "link type=1 flags=0xc3 name=bse",
        "link type=1 flags=0xc3 name=lobs0e",
        "link type=1 flags=0xc3 name=bs0e.7",
        "link type=1 flags=0xc3 name=bstap",
        "link type=1 flags=0xc3 name=bs0x",
        "nft table=inet theirs comment=\"bs0e\"",
        "filter dev=e0 parent=egress pref=101 protocol=all kind=bpf",
        "filter dev=e0 parent=ingress pref=100 protocol=all kind=bpf",
        "filter dev=e0 parent=egress pref=100 protocol=all handle=0x2 kind=bpf options=(n=2)",
        "filter dev=e00 parent=egress pref=100 protocol=all kind=bpf",
        "qdisc dev=e00 parent=hooks handle=ffff: kind=clsact",
        "qdisc dev=e0 parent=root handle=5: kind=htb",
        "",
    };
    const char *lines[ARRAY_SIZE(ours) + ARRAY_SIZE(theirs)];
    bool marks[ARRAY_SIZE(lines)];
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) /* theirs first: order is of no matter */
        lines[i] = i < ARRAY_SIZE(theirs) ? theirs[i] : ours[i - ARRAY_SIZE(theirs)];
    impair_mark(lines, ARRAY_SIZE(lines), marks);
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        if (marks[i] != (i >= ARRAY_SIZE(theirs)))
            fail_msg("%s: %d", lines[i], marks[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(netem_stands_behind_a_filter),
        cmocka_unit_test(a_gate_stands_where_others_outlive_us),
        cmocka_unit_test(clsact_goes_with_its_last_line),
        cmocka_unit_test(shared_packets_are_refused),
        cmocka_unit_test(shared_packets_are_met_in_turn),
        cmocka_unit_test(of_retired_lines_one_is_taken_away_in_a_turn),
        cmocka_unit_test(a_namespace_that_goes_takes_its_lines_along),
        cmocka_unit_test(points_draw_from_seeds_of_their_own),
        cmocka_unit_test(what_is_ours_is_known_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
