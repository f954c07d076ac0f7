/* Guard rails: a table of what is forbidden, and of its neighbours that are not; shares of groups; who is
 * exempt.
 */
#include "tests/support/test.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "sim/drill/guard.h"
#include "sim/model/share.h"

/* --- What steps may do ------------------------------------------------------------------------- */

static struct inet_prefix prefix(const char *text)
{
    struct inet_prefix p;
    struct err err = ERR_INIT;
    if (inet_parse(text, &p, &err) < 0)
        fail_msg("%s", err.text);
    if (!strchr(text, '/'))
        p.len = p.family == AF_INET ? 32 : 128;
    return p;
}

/* A host whose default route leads over eth0, with the operator at 198.51.100.7 by eth1 (his own end is
 * 10.1.0.1) and a resolver at 10.0.0.53 by eth0. */
struct place_of_test {
    struct exempt exempt[2];
    struct exempts list;
    char ways[2][16];
    struct inet_prefix routes[2];
    struct guard_facts facts;
};

static void stand(struct place_of_test *w, const char *mark, bool machine)
{
    *w = (struct place_of_test){
        .exempt = {{.address = prefix("198.51.100.7"),
                    .own = prefix("10.1.0.1"),
                    .operator_ = true,
                    .why = "the other end of a connection of sshd (812), which started us"},
                   {.address = prefix("10.0.0.53"), .why = "a resolver (/etc/resolv.conf)"}},
        .ways = {"eth1", "eth0"},
    };
    w->list = (struct exempts){w->exempt, 2, {9099}, {prefix("10.2.0.1")}, 1};
    w->list.listens_at[0].len = 32;
    w->routes[0] = prefix("198.51.100.0/24");
    w->routes[1] = prefix("0.0.0.0/0");
    w->facts = (struct guard_facts){.host = "edge",
                                    .mark = mark,
                                    .machine = machine,
                                    .default_device = {"eth0", "eth0"},
                                    .exempt = &w->list,
                                    .ways = w->ways,
                                    .routes = w->routes,
                                    .listener_devices = {"eth3"}};
}

#define MARK "/etc/blackstart/production"
#define FREE NULL /* may be done */

static const struct {
    enum guard_deed deed;
    const char *device, *peers; /* peers: with blanks between */
    const char *mark;
    bool machine;
    const char *words; /* of the refusal */
    uint16_t lo, hi;   /* of these ports alone; 0: of all */
} attempts[] = {
    /* production */
    {GUARD_ANYTHING, NULL, "", MARK, false, "marked as production (/etc/blackstart/production)"},
    {GUARD_IMPAIRED, "eth2", "10.0.0.2", "production: true", false, "rehearse on a host that"},
    {GUARD_CUT, NULL, "10.0.0.2", MARK, false, "nothing there is touched"},
    {GUARD_ANYTHING, NULL, "", NULL, false, FREE},
    /* the interface of the default route */
    {GUARD_DOWN, "eth0", "", NULL, false, "the default route of host edge leads over eth0"},
    {GUARD_DOWN, "eth0", "", NULL, true, "cut it from the peers that matter"},
    {GUARD_DOWN, "eth2", "", NULL, false, FREE},
    {GUARD_IMPAIRED, "eth0", "", NULL, false, "add 'to: [ADDRESSES]'"},
    {GUARD_IMPAIRED, "eth0", "", NULL, true, "add 'to: [ADDRESSES]'"},
    {GUARD_IMPAIRED, "eth0", "0.0.0.0/0", NULL, false, "only traffic with named peers"},
    {GUARD_IMPAIRED, "eth0", "10.0.0.2 ::/0", NULL, false, "only traffic with named peers"},
    {GUARD_IMPAIRED, "eth0", "0.0.0.0/1 128.0.0.0/1", NULL, false, "only traffic with named peers"},
    {GUARD_IMPAIRED, "eth0", "10.0.0.2", NULL, false, FREE},
    {GUARD_IMPAIRED, "eth0", "10.0.0.0/8", NULL, true, FREE},
    {GUARD_IMPAIRED, "eth2", "", NULL, false, FREE},
    /* everybody */
    {GUARD_CUT, NULL, "0.0.0.0/0", NULL, false, "this would concern everybody"},
    {GUARD_CUT, NULL, "::/0", NULL, true, "name the addresses or prefixes that matter"},
    {GUARD_CUT, NULL, "128.0.0.0/1", NULL, false, "has a default route (eth0)"},
    {GUARD_CUT, NULL, "10.0.0.0/8", NULL, false, FREE},
    {GUARD_RESET, NULL, "", NULL, true, "this would concern everybody"},
    {GUARD_RESET, NULL, "", NULL, false, FREE},
    /* the operator */
    {GUARD_DOWN, "eth1", "", NULL, true,
     "eth1 of host edge is how you are connected (198.51.100.7"},
    {GUARD_DOWN, "eth1", "", NULL, false, "or run from a console"},
    {GUARD_CUT, NULL, "198.51.100.7", NULL, true,
     "sshd (812), which started us, and always exempt"},
    {GUARD_CUT, NULL, "10.0.0.2 198.51.100.7/32", NULL, false, "always exempt: name others"},
    {GUARD_IMPAIRED, "eth1", "198.51.100.7", NULL, false, "always exempt: name others"},
    {GUARD_RESET, NULL, "198.51.100.7", NULL, true, "always exempt"},
    {GUARD_CUT, NULL, "198.51.100.0/24", NULL, true, FREE}, /* he is left out of it */
    {GUARD_ADDRESS, NULL, "10.1.0.1", NULL, true, "the address at which you are connected"},
    {GUARD_ADDRESS, "eth1", "10.1.0.1/24", NULL, false, "it is not withdrawn"},
    {GUARD_ADDRESS, "eth1", "10.1.0.2", NULL, false, FREE},
    {GUARD_ROUTE, NULL, "198.51.100.0/24", NULL, false, "is how you are connected"},
    {GUARD_ROUTE, NULL, "0.0.0.0/0", NULL, true, "the default route of this machine"},
    {GUARD_ROUTE, NULL, "0.0.0.0/0", NULL, false, FREE},
    {GUARD_ROUTE, NULL, "10.7.0.0/16", NULL, true, FREE},
    /* resolvers and the loopback */
    {GUARD_CUT, NULL, "10.0.0.53", NULL, false, "10.0.0.53 is a resolver (/etc/resolv.conf)"},
    {GUARD_IMPAIRED, "eth0", "10.0.0.53", NULL, false, "a resolver"},
    {GUARD_RESET, NULL, "10.0.0.53", NULL, false, "a resolver"},
    {GUARD_CUT, NULL, "127.0.0.1", NULL, false, "the loopback, which is always exempt"},
    {GUARD_IMPAIRED, "eth2", "127.0.0.0/8", NULL, false, "the loopback"},
    {GUARD_RESET, NULL, "::1", NULL, false, "the loopback"},
    {GUARD_ADDRESS, NULL, "127.0.0.1", NULL, false, "always exempt"},
    {GUARD_ADDRESS, NULL, "::1", NULL, true, "always exempt"},
    {GUARD_CUT, NULL, "10.0.0.0/24", NULL, false, FREE},
    {GUARD_ROUTE, NULL, "10.0.0.0/24", NULL, false, "is the way to 10.0.0.53, a resolver (/etc/re"},
    {GUARD_ROUTE, NULL, "10.0.0.0/8", NULL, true, "name a route to the peers that matter"},
    /* where we listen ourselves: 10.2.0.1 of eth3, port 9099 */
    {GUARD_DOWN, "eth3", "", NULL, false, "on eth3 of host edge we listen ourselves (port 9099)"},
    {GUARD_ADDRESS, NULL, "10.2.0.1/24", NULL, false, "at 10.2.0.1 of host edge we listen"},
    {GUARD_ADDRESS, "eth3", "10.2.0.2/24", NULL, false, FREE},
    {GUARD_CUT, NULL, "10.0.0.2", NULL, false, "at TCP port 9099 of host edge we listen", 9099,
     9099},
    {GUARD_IMPAIRED, "eth2", "", NULL, false, "let the alarm listen at another", 9099, 9099},
    {GUARD_RESET, NULL, "", NULL, false, "name another port", 9099, 9099},
    {GUARD_ANSWERED, NULL, "", NULL, false, "which is always exempt", 9099, 9099},
    {GUARD_ANSWERED, NULL, "", NULL, false, FREE, 8080, 8080},
    {GUARD_RESET, NULL, "", NULL, false, FREE, 9000, 9100}, /* it is left out of it */
};

static void forbidden_is_what_the_table_says(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
        struct place_of_test w;
        struct inet_prefix peers[8];
        struct err err = ERR_INIT;
        struct guard_touch t = {
            .deed = attempts[i].deed, .step = "it", .device = attempts[i].device, .peers = peers};
        const struct port_range ports = {attempts[i].lo, attempts[i].hi};
        t.ports = &ports;
        t.n_ports = attempts[i].lo != 0;
        char texts[128], *rest = texts;
        snprintf(texts, sizeof texts, "%s", attempts[i].peers);
        for (char *one; (one = strsep(&rest, " "));)
            if (*one)
                peers[t.n_peers++] = prefix(one);
        stand(&w, attempts[i].mark, attempts[i].machine);
        int r = guard_judge(&t, &w.facts, &err);
        if (attempts[i].words ? r != -EPERM || !strstr(err.text, attempts[i].words) ||
                                    !strstr(err.text, "step it")
                              : r != 0)
            fail_msg("attempt %zu: %d %s", i, r, err.text);
    }
}

static void without_a_default_route_nothing_is_the_whole_world(void **state)
{
    struct place_of_test w;
    struct inet_prefix all = prefix("0.0.0.0/0");
    stand(&w, NULL, false);
    w.facts.default_device[0][0] = w.facts.default_device[1][0] = w.ways[1][0] = '\0';
    assert_int_equal(
        guard_judge(
            &(struct guard_touch){.deed = GUARD_CUT, .step = "it", .peers = &all, .n_peers = 1},
            &w.facts, NULL),
        0);
    assert_int_equal(
        guard_judge(&(struct guard_touch){.deed = GUARD_DOWN, .step = "it", .device = "eth0"},
                    &w.facts, NULL),
        0);
}

static void the_machines_default_route_does_not_go_with_an_address(void **state)
{
    struct place_of_test w;
    struct err err = ERR_INIT;
    struct inet_prefix last = prefix("10.0.0.9");
    const struct guard_touch t = {
        .deed = GUARD_ADDRESS, .step = "it", .peers = &last, .n_peers = 1, .default_goes = true};
    stand(&w, NULL, false);
    assert_int_equal(guard_judge(&t, &w.facts, &err), 0);
    stand(&w, NULL, true);
    assert_int_equal(guard_judge(&t, &w.facts, &err), -EPERM);
    assert_non_null(strstr(err.text, "with 10.0.0.9 the default route of this machine would go"));
}

/* The default route of a namespace is withdrawn, unless the operator comes by it. */
static void a_default_route_stays_where_the_operator_needs_it(void **state)
{
    struct place_of_test w;
    struct err err = ERR_INIT;
    struct inet_prefix all = prefix("0.0.0.0/0");
    const struct guard_touch t = {.deed = GUARD_ROUTE, .step = "it", .peers = &all, .n_peers = 1};
    stand(&w, NULL, false);
    assert_int_equal(guard_judge(&t, &w.facts, &err), 0);
    w.routes[0] = all;
    assert_int_equal(guard_judge(&t, &w.facts, &err), -EPERM);
    assert_non_null(strstr(err.text, "the route to 0.0.0.0/0 is how you are connected"));
}

/* --- Who is exempt ----------------------------------------------------------------------------- */

static struct inet_flow flow(const char *own, uint16_t sport, const char *other, uint16_t dport)
{
    return (struct inet_flow){IPPROTO_TCP, prefix(own), prefix(other), sport, dport};
}

static void connections_are_left_out_by_one_list(void **state)
{
    struct place_of_test w;
    stand(&w, NULL, false);
    const struct {
        struct inet_flow flow;
        bool of_others, of_a_lab; /* left out */
    } table[] = {
        {flow("127.0.0.1", 80, "127.0.0.1", 4711), true, true},
        {flow("127.0.0.1", 80, "127.9.0.1", 4711), true, true},
        {flow("::1", 80, "::1", 4711), true, true},
        {flow("10.2.0.1", 80, "198.51.100.7", 4711), true, false}, /* the operator */
        {flow("10.2.0.1", 4711, "10.0.0.53", 53), true, false},    /* a resolver */
        {flow("10.2.0.1", 9099, "10.2.0.9", 4711), true, false},   /* our listener */
        {flow("10.2.0.1", 4711, "10.2.0.9", 9099), false, false},  /* somebody else's */
        {flow("10.2.0.1", 80, "198.51.100.8", 4711), false, false},
        {flow("fd00::1", 80, "fd00::2", 4711), false, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        assert_int_equal(exempt_flow(&w.list, &table[i].flow), table[i].of_others);
        assert_int_equal(exempt_flow(NULL, &table[i].flow), table[i].of_a_lab);
    }
    struct inet_flow udp = table[5].flow;
    udp.protocol = IPPROTO_UDP;
    assert_false(exempt_flow(&w.list, &udp));
}

static void a_listener_is_noted_once(void **state)
{
    struct exempts e = {0};
    struct err err = ERR_INIT;
    char listen[32];
    assert_int_equal(exempt_listener(&e, "10.2.0.1:9099", &err), 0);
    assert_int_equal(exempt_listener(&e, "10.2.0.1:9099", &err), 0);
    assert_int_equal(exempt_listener(&e, "0.0.0.0:9099", &err), 0);
    assert_int_equal(exempt_listener(&e, "[fd00::1]:9100", &err), 0);
    assert_int_equal(exempt_listener(&e, "10.2.0.1:0", &err), 0); /* one that is free */
    assert_int_equal(e.n_ports, 3);
    assert_int_equal(e.listens_at[0].family, AF_INET);
    assert_int_equal(e.listens_at[1].family, 0);
    assert_int_equal(e.listens_at[2].family, AF_INET6);
    assert_int_equal(e.ports[2], 9100);
    for (int i = 3; i < EXEMPT_PORTS; i++) {
        snprintf(listen, sizeof listen, "10.2.0.1:%d", 9200 + i);
        assert_int_equal(exempt_listener(&e, listen, &err), 0);
    }
    assert_int_equal(exempt_listener(&e, "10.2.0.1:9300", &err), -ENOSPC);
    assert_non_null(strstr(err.text, "let alarms share one"));
}

static void resolvers_are_read_from_their_file(void **state)
{
    struct exempts e = {0};
    exempt_resolvers(
        "# nameserver 10.9.9.9\n"
        "nameserver 10.0.0.53\nnameserver 127.0.0.53\nsearch example.org\n"
        "nameserver fe80::1%eth0\nnameserver 10.0.0.53\noptions edns0\nnameserver ::1\n"
        "nameserver",
        "/etc/resolv.conf", &e);
    assert_int_equal(e.n, 2);
    assert_string_equal(e.items[0].why, "a resolver (/etc/resolv.conf)");
    struct inet_prefix net = prefix("10.0.0.0/24"), other = prefix("10.0.1.0/24"),
                       six = prefix("fe80::/64");
    assert_ptr_equal(exempt_in(&e, &net), &e.items[0]);
    assert_ptr_equal(exempt_in(&e, &six), &e.items[1]);
    assert_null(exempt_in(&e, &other));
    exempt_done(&e);
}

/* --- Shares of groups -------------------------------------------------------------------------- */

static char a[] = "a", b[] = "b", c[] = "c", web[] = "web";
static char *hosts3[] = {a, b, c}, *hosts2[] = {b, c};

struct one_host {
    struct target *host;
};
static const struct field one_host_fields[] = {
    {.key = "host",
     .type = FIELD_OBJECT,
     .record = &target_record,
     .offset = offsetof(struct one_host, host)},
    {0},
};
static const struct record one_host_record = {
    .name = "fault", .size = sizeof(struct one_host), .fields = one_host_fields};
static const struct variant fault = {.name = "fault", .params = &one_host_record};

struct scene {
    struct scenario s;
    struct host_group group;
    void *groups[1];
    struct step steps[4];
    void *script[4];
    struct one_host params[4];
    struct target targets[4];
};

static void scene(struct scene *w, double at_most)
{
    *w = (struct scene){.group = {.name = web, .hosts = {hosts3, 3}, .at_most = at_most}};
    w->groups[0] = &w->group;
    w->s.groups = (struct objects){w->groups, 1};
    w->s.script = (struct objects){w->script, 0};
}

/* lasting 0: it is not undone. any 0: the host itself. */
static struct step *add(struct scene *w, nsec at, nsec lasting, const char *host, int64_t any)
{
    static char ids[][8] = {"one", "two", "three", "four"};
    size_t i = w->s.script.n++;
    w->targets[i] = (struct target){.host = (char *)(uintptr_t)host,
                                    .any = any,
                                    .of = any ? (struct strv){hosts3, 3} : (struct strv){0}};
    w->params[i].host = &w->targets[i];
    w->steps[i] = (struct step){.id = ids[i],
                                .at = at,
                                .lasting = lasting ? lasting : NSEC_UNSET,
                                .action = &fault,
                                .params = &w->params[i],
                                .fault = true,
                                .lasts = lasting > 0};
    w->script[i] = &w->steps[i];
    return &w->steps[i];
}

static const struct step *too_much(struct scene *w, struct err *err)
{
    const struct step *step = NULL;
    return share_check(&w->s, &step, err) < 0 ? step : NULL;
}

static void shares_are_whole_hosts(void **state)
{
    struct host_group g = {.hosts = {hosts3, 3}, .at_most = 0.5};
    assert_int_equal(share_limit(&g), 1);
    g.at_most = 2.0 / 3;
    assert_int_equal(share_limit(&g), 2);
    g.at_most = 0.3;
    assert_int_equal(share_limit(&g), 0);
    g.at_most = 1;
    assert_int_equal(share_limit(&g), 3);
}

static void too_large_a_share_is_seen_before(void **state)
{
    struct scene w;
    struct err err = ERR_INIT;
    scene(&w, 0.5);
    add(&w, 1 * NSEC_SEC, 2 * NSEC_SEC, "a", 0);
    add(&w, 3 * NSEC_SEC, 2 * NSEC_SEC, "b", 0); /* the first has ended */
    assert_null(too_much(&w, NULL));
    add(&w, 4 * NSEC_SEC, 1 * NSEC_SEC, "b", 0); /* the same host twice */
    assert_null(too_much(&w, NULL));
    add(&w, 4500 * NSEC_MSEC, 1 * NSEC_SEC, "c", 0);
    assert_ptr_equal(too_much(&w, &err), &w.steps[3]);
    assert_non_null(strstr(err.text, "together with 'two'"));
    assert_non_null(strstr(err.text, "up to 2 of the 3 hosts of the group web"));

    scene(&w, 0.5); /* what is not undone counts to the end */
    add(&w, 1 * NSEC_SEC, 0, "a", 0);
    add(&w, 60 * NSEC_SEC, NSEC_SEC, "b", 0);
    assert_ptr_equal(too_much(&w, NULL), &w.steps[1]);

    scene(&w, 0.5); /* drawn: perhaps another one each time */
    add(&w, 1 * NSEC_SEC, 9 * NSEC_SEC, NULL, 1);
    assert_null(too_much(&w, NULL));
    add(&w, 2 * NSEC_SEC, 9 * NSEC_SEC, NULL, 1);
    assert_ptr_equal(too_much(&w, NULL), &w.steps[1]);
    w.group.at_most = 0.7;
    assert_null(too_much(&w, NULL));
    add(&w, NSEC_UNSET, NSEC_SEC, NULL, 3); /* by a condition: for itself already too many */
    assert_ptr_equal(too_much(&w, NULL), &w.steps[2]);
    w.group.hosts = (struct strv){hosts2, 2}; /* of which only two are meant */
    w.group.at_most = 1;
    assert_null(too_much(&w, NULL));
}

static void too_large_a_share_is_seen_again_when_it_is_due(void **state)
{
    struct scene w;
    struct err err = ERR_INIT;
    scene(&w, 0.5);
    struct step *one = add(&w, NSEC_UNSET, NSEC_SEC, "a", 0);
    struct step *two = add(&w, NSEC_UNSET, NSEC_SEC, "b", 0);
    json_t *hit = json_pack("[s]", "a");
    struct share_hit hits[] = {{one, hit}};
    assert_null(too_much(&w, NULL)); /* nobody knows when */
    assert_int_equal(share_may_begin(&w.s, two, NULL, 0, NULL), 0);
    assert_int_equal(share_may_begin(&w.s, one, hits, 1, NULL), 0);
    assert_int_equal(share_may_begin(&w.s, two, hits, 1, &err), -EPERM);
    assert_non_null(strstr(err.text, "together with 'one'"));
    two->fault = false; /* who repairs may touch them all */
    assert_int_equal(share_may_begin(&w.s, two, hits, 1, NULL), 0);
    json_decref(hit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forbidden_is_what_the_table_says),
        cmocka_unit_test(without_a_default_route_nothing_is_the_whole_world),
        cmocka_unit_test(a_default_route_stays_where_the_operator_needs_it),
        cmocka_unit_test(the_machines_default_route_does_not_go_with_an_address),
        cmocka_unit_test(connections_are_left_out_by_one_list),
        cmocka_unit_test(a_listener_is_noted_once),
        cmocka_unit_test(resolvers_are_read_from_their_file),
        cmocka_unit_test(shares_are_whole_hosts),
        cmocka_unit_test(too_large_a_share_is_seen_before),
        cmocka_unit_test(too_large_a_share_is_seen_again_when_it_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
