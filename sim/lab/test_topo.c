/* The shape of a lab without a kernel: addresses to networks, names, routes, messages. */
#include "tests/support/test.h"

#include "sim/attach/procs.h"
#include "sim/base/arena.h"
#include "sim/base/buf.h"
#include "sim/lab/lab.h"
#include "sim/lab/proto.h"
#include "sim/lab/topo.h"

#include <errno.h>
#include <net/if.h>

static void push(struct arena *a, struct objects *o, void *item)
{
    void **items = arena_alloc(a, (o->n + 1) * sizeof *items);
    if (o->n)
        memcpy(items, o->items, o->n * sizeof *items);
    items[o->n++] = item;
    o->items = items;
}

static struct strv words(struct arena *a, const char *text)
{
    struct strv v = {.items = arena_alloc(a, 16 * sizeof(char *))};
    char *copy = arena_strdup(a, text);
    for (char *save, *p = strtok_r(copy, " ", &save); p; p = strtok_r(NULL, " ", &save))
        v.items[v.n++] = p;
    return v;
}

static void add_net(struct scenario *s, const char *name, const char *subnets)
{
    struct network *n = arena_alloc(s->arena, sizeof *n);
    *n = (struct network){
        .name = arena_strdup(s->arena, name), .subnets = words(s->arena, subnets), .mtu = 1500};
    push(s->arena, &s->networks, n);
}

static void add_host(struct scenario *s, const char *name, const char *addresses, bool router)
{
    struct host *h = arena_alloc(s->arena, sizeof *h);
    h->name = arena_strdup(s->arena, name);
    h->lab = arena_alloc(s->arena, sizeof *h->lab);
    h->lab->addresses = words(s->arena, addresses);
    h->router = router;
    push(s->arena, &s->hosts, h);
}

static int setup(void **state)
{
    struct arena *a = arena_new();
    struct scenario *s = arena_alloc(a, sizeof *s);
    s->arena = a;
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    arena_free(((struct scenario *)*state)->arena);
    return 0;
}

static void route_text(const struct inet_prefix *to, const struct inet_prefix *via, const char *dev,
                       void *data)
{
    char a[INET_TEXT_MAX], b[INET_TEXT_MAX];
    buf_printf(data, "%s via %s dev %s\n", inet_text(to, a), inet_text(via, b), dev);
}

static void assert_routes(const struct topo *t, size_t h, const char *want)
{
    AUTO_BUF got = BUF_INIT;
    topo_routes(t, h, route_text, &got);
    assert_string_equal(buf_text(&got), want);
}

static void one_network_is_the_default(void **state)
{
    struct scenario *s = *state;
    struct topo *t;
    add_host(s, "a", "10.0.0.1", false);
    add_host(s, "b", "10.0.0.2/16 fd00::2", false);
    assert_int_equal(topo_new(s, &t, NULL), 0);
    assert_int_equal(t->nets_n, 1);
    assert_string_equal(t->nets[0].bridge, "lan");
    assert_int_equal(t->cables_n, 2); /* both addresses of b on one cable */
    assert_int_equal(t->addresses[0].prefix.len, 24);
    assert_int_equal(t->addresses[1].prefix.len, 16);
    assert_int_equal(t->addresses[2].prefix.len, 64);
    assert_string_equal(t->cables[1].dev, "eth0");
    assert_string_equal(t->cables[1].port, "b");
    assert_routes(t, 0, "");
    AUTO_BUF hosts = BUF_INIT;
    topo_hosts_file(t, 0, &hosts);
    assert_non_null(strstr(hosts.text, "\n10.0.0.2 b\nfd00::2 b\n"));
    topo_free(t);
}

static void addresses_find_their_networks(void **state)
{
    struct scenario *s = *state;
    struct topo *t;
    struct err err = ERR_INIT;
    add_net(s, "front", "10.1.0.0/24 fd01::/64");
    add_net(s, "a-very-long-network-name", "10.2.0.0/16");
    add_host(s, "x", "10.2.3.4 10.1.0.1 fd01::1", false);
    assert_int_equal(topo_new(s, &t, &err), 0);
    assert_int_equal(t->cables_n, 2);
    assert_int_equal(t->cables[0].net, 1);
    assert_string_equal(t->cables[0].dev, "eth0"); /* in the order of the host's addresses */
    assert_int_equal(t->cables[1].net, 0);
    assert_string_equal(t->cables[1].port, "x.front");
    assert_true(strlen(t->cables[0].port) < IFNAMSIZ);
    assert_string_equal(t->nets[1].bridge, "net1");
    topo_free(t);
    add_host(s, "lost", "10.3.0.1", false);
    t = NULL;
    assert_int_equal(topo_new(s, &t, &err), -EINVAL);
    assert_null(t);
    assert_string_equal(err.text,
                        "host lost: the address 10.3.0.1 lies in no network of the scenario");
}

static void hardware_addresses_come_from_names(void **state)
{
    struct scenario *s = *state;
    struct topo *t, *u;
    add_host(s, "a", "10.0.0.1", false);
    add_host(s, "b", "10.0.0.2", false);
    assert_int_equal(topo_new(s, &t, NULL), 0);
    assert_int_equal(topo_new(s, &u, NULL), 0);
    assert_memory_equal(&t->cables[0].mac, &u->cables[0].mac, 6);
    assert_memory_not_equal(&t->cables[0].mac, &t->cables[1].mac, 6);
    assert_memory_not_equal(&t->cables[0].mac, &t->cables[0].port_mac, 6);
    assert_int_equal(t->cables[0].mac.b[0] & 0x03, 0x02);
    topo_free(t);
    topo_free(u);
}

static void port_names_never_clash(void **state)
{
    struct scenario *s = *state;
    struct topo *t;
    add_net(s, "b", "10.1.0.0/24");
    add_net(s, "x.b", "10.2.0.0/24");
    add_net(s, "lo", "10.3.0.0/24");
    add_host(s, "a.x", "10.1.0.1", false);
    add_host(s, "a", "10.2.0.1 10.3.0.1", false);
    add_host(s, "x", "10.1.0.2", false);
    assert_int_equal(topo_new(s, &t, NULL), 0);
    for (size_t i = 0; i < t->cables_n; i++) {
        for (size_t j = 0; j < t->nets_n; j++)
            assert_string_not_equal(t->cables[i].port, t->nets[j].bridge);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(t->cables[i].port, t->cables[j].port);
    }
    assert_string_not_equal(t->nets[2].bridge, "lo");
    topo_free(t);
}

/* a - r1 - b - r2 - c, and a second, longer way a - r3 - d - r4 - c. */
static void routes_take_the_fewest_hops(void **state)
{
    struct scenario *s = *state;
    struct topo *t;
    add_net(s, "d", "10.4.0.0/24");
    add_net(s, "e", "10.5.0.0/24");
    add_net(s, "a", "10.1.0.0/24 fd01::/64");
    add_net(s, "b", "10.2.0.0/24 fd02::/64");
    add_net(s, "c", "10.3.0.0/24");
    add_host(s, "r3", "10.1.0.3 10.4.0.3", true);
    add_host(s, "r4", "10.4.0.4 10.5.0.4", true);
    add_host(s, "r5", "10.5.0.5 10.3.0.5", true);
    add_host(s, "r1", "10.1.0.1 10.2.0.1 fd01::1 fd02::1", true);
    add_host(s, "r2", "10.2.0.2 10.3.0.2", true);
    add_host(s, "host", "10.1.0.9 fd01::9", false);
    add_host(s, "no-router", "10.1.0.8 10.3.0.8", false);
    assert_int_equal(topo_new(s, &t, NULL), 0);
    assert_routes(t, 5,
                  "10.4.0.0/24 via 10.1.0.3 dev eth0\n"
                  "10.5.0.0/24 via 10.1.0.3 dev eth0\n"
                  "10.2.0.0/24 via 10.1.0.1 dev eth0\n"
                  "10.3.0.0/24 via 10.1.0.1 dev eth0\n"
                  "fd02::/64 via fd01::1 dev eth0\n");
    assert_routes(t, 3, /* r1 itself */
                  "10.4.0.0/24 via 10.1.0.3 dev eth0\n"
                  "10.5.0.0/24 via 10.1.0.3 dev eth0\n"
                  "10.3.0.0/24 via 10.2.0.2 dev eth1\n");
    topo_free(t);
}

static void a_plan_needs_no_kernel(void **state)
{
    struct scenario *s = *state;
    struct nl *nl;
    size_t neighbours = 0;
    add_host(s, "a", "10.0.0.1", false);
    add_host(s, "b", "10.0.0.2 fd00::2", false);
    add_host(s, "c", "10.0.0.3", false);
    assert_int_equal(nl_open_recording("plan", &nl, NULL), 0);
    assert_int_equal(lab_plan(s, NULL, nl, NULL), 0);
    for (size_t i = 0; i < nl_recorded(nl); i++)
        neighbours += strstr(nl_recorded_at(nl, i).text, "neigh") != NULL;
    assert_int_equal(neighbours, 3 + 2 + 3); /* everybody knows the others' four addresses */
    nl_free(nl);
}

static void messages_pass_with_their_descriptors(void **state)
{
    int pair[2], fds[2];
    struct proto_fds with = {.n = 0};
    json_t *got;
    assert_int_equal(proto_pair(pair, NULL), 0);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(proto_recv(pair[1], &got, &with, NULL), PROTO_NOTHING);
    json_t *small = json_pack("{s:s}", "do", "it"), *large = json_pack("{s:[]}", "all");
    for (int i = 0; i < 50000; i++) /* more than a packet may hold */
        json_array_append_new(json_object_get(large, "all"), json_integer(i));
    assert_int_equal(proto_send(pair[0], small, fds, 2, NULL), 0);
    assert_int_equal(proto_send(pair[0], large, fds, 1, NULL), 0);
    assert_int_equal(proto_recv(pair[1], &got, &with, NULL), 0);
    assert_true(json_equal(got, small));
    assert_int_equal(with.n, 2);
    json_decref(got);
    proto_fds_close(&with);
    assert_int_equal(proto_recv(pair[1], &got, &with, NULL), 0);
    assert_true(json_equal(got, large));
    assert_int_equal(with.n, 1);
    json_decref(got);
    proto_fds_close(&with);
    close(pair[0]);
    assert_int_equal(proto_recv(pair[1], &got, &with, NULL), PROTO_EOF);
    close(pair[1]);
    close(fds[0]);
    close(fds[1]);
    json_decref(small);
    json_decref(large);
}

static void a_process_matches_by_each_of_its_names(void **state)
{
    char argv0[] = "/usr/sbin/prometheus-alertmanager";
    struct proc p = {.pid = -1, .comm = "prometheus-aler", .argv0 = argv0, .state = 'S'};
    assert_true(procs_match(&p, "/usr/sbin/prometheus-alertmanager"));
    assert_true(procs_match(&p, "prometheus-alertmanager"));
    assert_true(procs_match(&p, "prometheus-alerting")); /* cut at 15, as the kernel does */
    assert_true(procs_match(&p, "prometheus-aler"));
    assert_false(procs_match(&p, "prometheus"));
    assert_false(procs_match(&p, "prometheus-ale"));
    struct proc self;
    assert_true(procs_read(getpid(), &self));
    assert_int_equal(self.ppid, getppid());
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n] = '\0';
    self.argv0[0] = '\0';
    memcpy(self.comm, "other", 6);
    assert_true(procs_match(&self, exe));
    free(self.argv0);
    struct procs all;
    assert_int_equal(procs_scan(&all, NULL), 0);
    assert_true(procs_descends(&all, getpid(), getppid()));
    assert_false(procs_descends(&all, getppid(), getpid()));
    procs_done(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_network_is_the_default, setup, teardown),
        cmocka_unit_test_setup_teardown(addresses_find_their_networks, setup, teardown),
        cmocka_unit_test_setup_teardown(hardware_addresses_come_from_names, setup, teardown),
        cmocka_unit_test_setup_teardown(port_names_never_clash, setup, teardown),
        cmocka_unit_test_setup_teardown(routes_take_the_fewest_hops, setup, teardown),
        cmocka_unit_test_setup_teardown(a_plan_needs_no_kernel, setup, teardown),
        cmocka_unit_test(messages_pass_with_their_descriptors),
        cmocka_unit_test(a_process_matches_by_each_of_its_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
