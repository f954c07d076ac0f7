/* The fault `network` on the real kernel, with the engine that it has: which packets it touches, by how
 * much, that the others are as before, and that nothing of it is left; as root and without. What is
 * measured here is measured by datagrams of the test's own, not by the fault's.
 */
#include "tests/support/labkit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include "injectors/injector.h"
#include "injectors/params.h"
#include "sim/kernel/hostcaps.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/tc.h"
#include "tests/support/faultkit.h"

/* --- Scenarios -------------------------------------------------------------------------------- */

static struct impaired_share *share_of(struct kit *k, double share)
{
    struct impaired_share *s = arena_alloc(k->s->arena, sizeof *s);
    s->share = share;
    return s;
}

static struct impaired_loss *loss_of(struct kit *k, double random)
{
    struct impaired_loss *l = arena_alloc(k->s->arena, sizeof *l);
    l->random = random;
    return l;
}

static struct step *network_step(struct kit *k, const char *id, const char *host)
{
    struct step *s = fault_step(k, id, "network");
    struct network_params *p = s->params;
    if (host)
        p->host = fault_target(k, host);
    p->impaired.delay = p->impaired.jitter = NSEC_UNSET;
    p->impaired.seed = -1;
    s->at = 0;
    s->lasting = NSEC_UNSET;
    return s;
}

static struct network_params *params_of(struct step *s)
{
    return s->params;
}

static void to_peers(struct kit *k, struct step *s, size_t n, const char *const *names)
{
    char **items = arena_alloc(k->s->arena, (n + 1) * sizeof *items);
    for (size_t i = 0; i < n; i++)
        items[i] = arena_strdup(k->s->arena, names[i]);
    params_of(s)->to = (struct strv){items, n};
}

static void ports_are(struct kit *k, struct port_ranges *list, uint16_t lo, uint16_t hi)
{
    list->items = arena_alloc(k->s->arena, sizeof *list->items);
    list->items[0] = (struct port_range){lo, hi};
    list->n = 1;
}

static void three_hosts(struct kit *k)
{
    kit_open(k);
    kit_host(k, "a", "10.0.0.1/24 fd00::1/64");
    kit_host(k, "b", "10.0.0.2/24 fd00::2/64");
    kit_host(k, "c", "10.0.0.3/24 fd00::3/64");
    kit_up(k, false);
}

/* --- Measuring -------------------------------------------------------------------------------- */

struct way {
    const char *from, *to; /* hosts */
    const char *address;   /* of `to` */
    uint16_t port, own_port;
};

struct seen {
    size_t sent, arrived;
    nsec delays[4096]; /* sorted */
};

static int by_size(const void *a, const void *b)
{
    nsec x = *(const nsec *)a, y = *(const nsec *)b;
    return x < y ? -1 : x > y;
}

static int open_end(struct kit *k, const char *host, int family, uint16_t port)
{
    int fd = -1, one = 1;
    struct err err = ERR_INIT;
    struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    kit_ok(netns_socket(lab_node_netns(lab_node(k->lab, host)), family, SOCK_DGRAM | SOCK_NONBLOCK,
                        0, &fd, &err),
           &err);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
    assert_int_equal(family == AF_INET ? bind(fd, (struct sockaddr *)&any4, sizeof any4)
                                       : bind(fd, (struct sockaddr *)&any6, sizeof any6),
                     0);
    return fd;
}

static void receive_all(int fd, struct seen *s)
{
    for (;;) {
        nsec sent;
        char control[CMSG_SPACE(sizeof(struct timespec))];
        struct iovec v = {&sent, sizeof sent};
        struct msghdr m = {.msg_iov = &v,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
        if (recvmsg(fd, &m, 0) != sizeof sent)
            return;
        struct timespec at = {0};
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
            if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS)
                memcpy(&at, CMSG_DATA(c), sizeof at);
        assert_true(at.tv_sec > 0 && s->arrived < ARRAY_SIZE(s->delays));
        s->delays[s->arrived++] = (nsec)at.tv_sec * NSEC_SEC + at.tv_nsec - sent;
    }
}

/* n datagrams, one each 500 us; then waits `wait` for the last. */
static void measure(struct kit *k, const struct way *w, size_t n, nsec wait, struct seen *ret)
{
    struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons(w->port)};
    struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = htons(w->port)};
    bool v6 = inet_pton(AF_INET, w->address, &to4.sin_addr) != 1;
    if (v6)
        assert_int_equal(inet_pton(AF_INET6, w->address, &to6.sin6_addr), 1);
    int family = v6 ? AF_INET6 : AF_INET;
    AUTO_CLOSE int in = open_end(k, w->from, family, w->own_port);
    AUTO_CLOSE int out = open_end(k, w->to, family, w->port);
    *ret = (struct seen){0};
    kit_turn(k, 2 * NSEC_MSEC); /* time stamps are switched on a moment later */
    for (; ret->sent < n; ret->sent++) {
        nsec now = nsec_now(CLOCK_REALTIME);
        ssize_t r = v6 ? sendto(in, &now, sizeof now, 0, (struct sockaddr *)&to6, sizeof to6)
                       : sendto(in, &now, sizeof now, 0, (struct sockaddr *)&to4, sizeof to4);
        assert_int_equal(r, sizeof now);
        kit_turn(k, NSEC_MSEC / 2);
        receive_all(out, ret);
    }
    kit_turn(k, wait);
    receive_all(out, ret);
    qsort(ret->delays, ret->arrived, sizeof *ret->delays, by_size);
}

static nsec quantile(const struct seen *s, double q)
{
    assert_true(s->arrived > 0);
    return s->delays[(size_t)(q * (double)(s->arrived - 1))];
}

/* The median of 40 is from `least` to `most`; what this machine was too busy to carry in time is measured
 * again. */
static void is_between(struct kit *k, const struct way *w, nsec least, nsec most)
{
    struct seen s;
    for (int i = 0; i < 10; i++) {
        measure(k, w, 40, least + 10 * NSEC_MSEC, &s);
        if (s.arrived == 40 && quantile(&s, 0.5) <= most)
            break;
        kit_turn(k, 100 * NSEC_MSEC);
    }
    if (s.arrived != 40 || quantile(&s, 0.5) < least || quantile(&s, 0.5) > most)
        fail_msg("%s to %s: %zu of 40, median %lld ns", w->from, w->address, s.arrived,
                 s.arrived ? (long long)quantile(&s, 0.5) : 0);
}

static void is_untouched(struct kit *k, const struct way *w)
{
    is_between(k, w, 0, 3 * NSEC_MSEC);
}

static void is_late(struct kit *k, const struct way *w, nsec by)
{
    is_between(k, w, by, by + 4 * NSEC_MSEC);
}

static void is_lost(struct kit *k, const struct way *w)
{
    struct seen s;
    measure(k, w, 40, 5 * NSEC_MSEC, &s);
    assert_int_equal(s.arrived, 0);
}

/* --- What stands in the kernel ----------------------------------------------------------------- */

static void add_line(const char *line, void *data)
{
    buf_printf(data, "%s\n", line);
}

/* Links, qdiscs and filters of the switch and of every host. */
static char *everything(struct kit *k)
{
    static const enum rtnl_what what[] = {RTNL_LINKS, RTNL_QDISCS, RTNL_FILTERS};
    struct err err = ERR_INIT;
    struct buf all = BUF_INIT;
    for (size_t i = 0; i <= lab_count(k->lab); i++) {
        struct lab_node *n = i ? lab_node_at(k->lab, i - 1) : NULL;
        if (n && !lab_node_is_up(n))
            continue;
        for (size_t j = 0; j < ARRAY_SIZE(what); j++)
            kit_ok(rtnl_describe(n ? lab_node_nl(n) : lab_switch_nl(k->lab), what[j], add_line,
                                 &all, &err),
                   &err);
    }
    return buf_steal(&all);
}

static void all_as_before(struct kit *k, const char *before)
{
    kit_turn(k, 120 * NSEC_MSEC); /* lines are taken away when nothing is held any more */
    AUTO_FREE char *after = everything(k);
    if (strcmp(before, after) != 0)
        fail_msg("before:\n%s\nafter:\n%s", before, after);
    fault_nothing_left(k);
}

/* --- Tests ------------------------------------------------------------------------------------ */

/* SHOWS network: lab: applied verified undone */
static void only_what_is_named_is_late(void **state)
{
    static struct kit k;
    three_hosts(&k);
    AUTO_FREE char *before = everything(&k);
    struct step *s = network_step(&k, "slow", "a");
    to_peers(&k, s, 1, (const char *const[]){"b"});
    params_of(s)->impaired.delay = 20 * NSEC_MSEC;
    struct fault f;
    fault_begin(&k, s, &f);
    is_late(&k, &(struct way){"a", "b", "10.0.0.2", 7001, 0}, 20 * NSEC_MSEC);
    is_late(&k, &(struct way){"a", "b", "fd00::2", 7001, 0}, 20 * NSEC_MSEC);
    is_untouched(&k, &(struct way){"b", "a", "10.0.0.1", 7001, 0});
    is_untouched(&k, &(struct way){"a", "c", "10.0.0.3", 7001, 0});
    is_untouched(&k, &(struct way){"c", "b", "fd00::2", 7001, 0});
    fault_holds(&k, &f);
    fault_end(&k, &f);
    is_untouched(&k, &(struct way){"a", "b", "10.0.0.2", 7001, 0});
    all_as_before(&k, before);
    kit_close(&k);
}

static void ingress_is_what_it_is_sent(void **state)
{
    static struct kit k;
    three_hosts(&k);
    AUTO_FREE char *before = everything(&k);
    struct step *s = network_step(&k, "deaf", "a");
    params_of(s)->direction = NETWORK_INGRESS;
    params_of(s)->protocol = NETWORK_UDP;
    params_of(s)->family = NETWORK_IPV6;
    ports_are(&k, &params_of(s)->own_port, 8000, 8010);
    params_of(s)->impaired.loss = loss_of(&k, 1);
    struct fault f;
    fault_begin(&k, s, &f);
    is_lost(&k, &(struct way){"b", "a", "fd00::1", 8005, 0});
    is_lost(&k, &(struct way){"c", "a", "fd00::1", 8010, 0});
    is_untouched(&k, &(struct way){"b", "a", "fd00::1", 8011, 0});
    is_untouched(&k, &(struct way){"b", "a", "10.0.0.1", 8005, 0});
    is_untouched(&k, &(struct way){"a", "b", "fd00::2", 8005, 0});
    is_untouched(&k, &(struct way){"b", "a", "fd00::1", 9000, 8005}); /* the peer's port */
    fault_end(&k, &f);
    is_untouched(&k, &(struct way){"b", "a", "fd00::1", 8005, 0});
    all_as_before(&k, before);
    kit_close(&k);
}

static void disjoint_scopes_compose(void **state)
{
    static struct kit k;
    three_hosts(&k);
    AUTO_FREE char *before = everything(&k);
    struct step *slow = network_step(&k, "slow", "a"), *deaf = network_step(&k, "deaf", "a");
    struct step *back = network_step(&k, "back", "b");
    params_of(slow)->impaired.delay = 10 * NSEC_MSEC;
    params_of(slow)->direction = NETWORK_BOTH;
    to_peers(&k, slow, 1, (const char *const[]){"b"});
    params_of(deaf)->impaired.loss = loss_of(&k, 1);
    to_peers(&k, deaf, 1, (const char *const[]){"10.0.0.3"});
    params_of(back)->impaired.delay = 15 * NSEC_MSEC;
    to_peers(&k, back, 1, (const char *const[]){"a"});
    struct fault f[3];
    fault_begin(&k, slow, &f[0]);
    fault_begin(&k, deaf, &f[1]);
    fault_begin(&k, back, &f[2]);
    is_late(&k, &(struct way){"a", "b", "10.0.0.2", 7001, 0}, 10 * NSEC_MSEC);
    /* two faults at two points of one way */
    is_late(&k, &(struct way){"b", "a", "10.0.0.1", 7001, 0}, 25 * NSEC_MSEC);
    is_lost(&k, &(struct way){"a", "c", "10.0.0.3", 7001, 0});
    is_untouched(&k, &(struct way){"a", "c", "fd00::3", 7001, 0});
    fault_end(&k, &f[0]);
    is_late(&k, &(struct way){"b", "a", "10.0.0.1", 7001, 0}, 15 * NSEC_MSEC);
    is_lost(&k, &(struct way){"a", "c", "10.0.0.3", 7001, 0});
    fault_end(&k, &f[2]);
    fault_end(&k, &f[1]);
    is_untouched(&k, &(struct way){"a", "c", "10.0.0.3", 7001, 0});
    all_as_before(&k, before);
    kit_close(&k);
}

static void the_same_packets_twice_are_refused(void **state)
{
    static struct kit k;
    three_hosts(&k);
    AUTO_FREE char *before = everything(&k);
    struct step *slow = network_step(&k, "slow", "a"), *more = network_step(&k, "more", NULL);
    params_of(slow)->impaired.delay = 10 * NSEC_MSEC;
    params_of(more)->host = fault_choice(&k, "a");
    params_of(more)->host->any = 1;
    params_of(more)->impaired.loss = loss_of(&k, 1);
    ports_are(&k, &params_of(more)->port, 80, 80);
    struct fault f;
    fault_begin(&k, slow, &f);
    fault_refused(&k, more, -EBUSY, "slow impairs some of these packets already");
    is_late(&k, &(struct way){"a", "b", "10.0.0.2", 80, 0}, 10 * NSEC_MSEC);
    fault_end(&k, &f);
    struct fault g; /* and afterwards it may */
    fault_begin(&k, more, &g);
    fault_end(&k, &g);
    all_as_before(&k, before);
    kit_close(&k);
}

static void a_share_is_lost_and_doubled(void **state)
{
    static struct kit k;
    static struct seen s;
    three_hosts(&k);
    AUTO_FREE char *before = everything(&k);
    struct step *lossy = network_step(&k, "lossy", "a"), *twice = network_step(&k, "twice", "a");
    struct fault f;
    params_of(lossy)->impaired.loss = loss_of(&k, 0.25);
    fault_begin(&k, lossy, &f);
    measure(&k, &(struct way){"a", "b", "10.0.0.2", 7001, 0}, 800, 5 * NSEC_MSEC, &s);
    assert_in_range(s.arrived, 538, 662); /* 600 ± 5 standard deviations of a binomial */
    fault_end(&k, &f);
    params_of(twice)->impaired.duplicate = share_of(&k, 0.25);
    fault_begin(&k, twice, &f);
    measure(&k, &(struct way){"a", "b", "10.0.0.2", 7001, 0}, 800, 5 * NSEC_MSEC, &s);
    assert_in_range(s.arrived, 938, 1062);
    fault_end(&k, &f);
    all_as_before(&k, before);
    kit_close(&k);
}

static void a_host_that_is_down_has_no_traffic(void **state)
{
    static struct kit k;
    three_hosts(&k);
    struct step *s = network_step(&k, "slow", "a");
    struct err err = ERR_INIT;
    struct span at;
    params_of(s)->impaired.delay = 10 * NSEC_MSEC;
    params_of(s)->direction = NETWORK_BOTH;
    struct fault f;
    fault_begin(&k, s, &f);
    kit_ok(lab_node_off(lab_node(k.lab, "a"), &at, &err), &err); /* takes the lines along */
    fault_end(&k, &f);
    fault_refused(&k, s, -ESRCH, "host 'a' is down");
    kit_ok(lab_node_on(lab_node(k.lab, "a"), &at, &err), &err);
    kit_turn(&k, 50 * NSEC_MSEC);
    is_untouched(&k, &(struct way){"b", "a", "10.0.0.1", 7001, 0});
    fault_begin(&k, s, &f); /* and again, under its new cables */
    is_late(&k, &(struct way){"b", "a", "10.0.0.1", 7001, 0}, 10 * NSEC_MSEC);
    fault_end(&k, &f);
    kit_close(&k);
}

/* A qdisc and a filter of the host's own stay what they were. */
static void what_is_others_stays(void **state)
{
    static struct kit k;
    three_hosts(&k);
    if (kit_run(&k, "a",
                "tc qdisc add dev eth0 root handle 77: tbf rate 100mbit burst 64k latency 100ms && "
                "tc qdisc add dev eth0 clsact && "
                "tc filter add dev eth0 egress prio 5 u32 match ip dport 1 0xffff flowid 1:1",
                NULL) != 0) {
        kit_close(&k);
        test_skip("tc did not work");
    }
    AUTO_FREE char *before = everything(&k);
    struct step *s = network_step(&k, "slow", "a");
    params_of(s)->impaired.delay = 10 * NSEC_MSEC;
    struct fault f;
    fault_begin(&k, s, &f);
    is_late(&k, &(struct way){"a", "b", "10.0.0.2", 7001, 0}, 10 * NSEC_MSEC);
    fault_end(&k, &f);
    all_as_before(&k, before);
    kit_close(&k);
}

/* a and b on one network with a delay of its own, r between it and c's. */
static struct network *regions(struct kit *k)
{
    kit_open(k);
    struct network *wan = kit_network(k, "wan", "10.1.0.0/24", "fd01::/64", "r");
    kit_network(k, "near", "10.2.0.0/24", NULL, "r");
    wan->impaired.delay = 10 * NSEC_MSEC;
    wan->impaired.jitter = NSEC_UNSET;
    wan->impaired.seed = -1;
    kit_host(k, "a", "10.1.0.1 fd01::1");
    kit_host(k, "b", "10.1.0.2 fd01::2");
    kit_host(k, "c", "10.2.0.3");
    kit_host(k, "r", "10.1.0.9 fd01::9 10.2.0.9");
    return wan;
}

static void networks_are_impaired_from_the_start(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    struct span at;
    regions(&k);
    kit_up(&k, false);
    AUTO_FREE char *before = everything(&k);
    is_late(&k, &(struct way){"a", "b", "10.1.0.2", 7001, 0}, 10 * NSEC_MSEC);
    is_late(&k, &(struct way){"a", "b", "fd01::2", 7001, 0}, 10 * NSEC_MSEC);
    is_late(&k, &(struct way){"a", "c", "10.2.0.3", 7001, 0}, 10 * NSEC_MSEC);
    is_untouched(&k, &(struct way){"c", "r", "10.2.0.9", 7001, 0});
    /* faults come on top, whichever way they look */
    for (int direction = NETWORK_EGRESS; direction <= NETWORK_INGRESS; direction++) {
        struct step *s = network_step(&k, "slow", "b");
        struct fault f;
        params_of(s)->impaired.delay = 15 * NSEC_MSEC;
        params_of(s)->direction = direction;
        bool in = direction == NETWORK_INGRESS;
        fault_begin(&k, s, &f);
        is_late(&k, &(struct way){"a", "b", "10.1.0.2", 7001, 0}, (in ? 25 : 10) * NSEC_MSEC);
        is_late(&k, &(struct way){"b", "a", "10.1.0.1", 7001, 0}, (in ? 10 : 25) * NSEC_MSEC);
        fault_end(&k, &f);
        all_as_before(&k, before);
    }
    /* and a host that was switched off and on is as far away as before */
    kit_ok(lab_node_off(lab_node(k.lab, "b"), &at, &err), &err);
    kit_ok(lab_node_on(lab_node(k.lab, "b"), &at, &err), &err);
    kit_turn(&k, 50 * NSEC_MSEC);
    is_late(&k, &(struct way){"a", "b", "10.1.0.2", 7001, 0}, 10 * NSEC_MSEC);
    is_late(&k, &(struct way){"b", "a", "10.1.0.1", 7001, 0}, 10 * NSEC_MSEC);
    kit_close(&k);
}

/* One change as a line; hardware addresses of our own devices are copied from others' when they are
 * made, and a switch of the engine's program is a word in memory, told by plan alone. */
static void collect(const struct nl_seen *seen, void *data)
{
    const char *mac = strstr(seen->text, "name=bs") ? strstr(seen->text, " mac=") : NULL;
    if (strstr(seen->text, "a word in its memory"))
        return;
    int n = mac ? (int)(mac - seen->text) : (int)strlen(seen->text);
    buf_printf(data, "%s: %.*s%s\n", seen->where, n, seen->text,
               mac ? mac + strcspn(mac + 1, " ") + 1 : "");
}

/* Fails with the first line that differs. */
static void first_difference(const char *done, const char *planned)
{
    while (*done || *planned) {
        int n = (int)strcspn(done, "\n"), m = (int)strcspn(planned, "\n");
        if (n != m || strncmp(done, planned, (size_t)n) != 0)
            fail_msg("done: %.*s\nplanned: %.*s", n, done, m, planned);
        done += n + (done[n] != '\0');
        planned += m + (planned[m] != '\0');
    }
}

/* What a lab does is what plan says, standing impairments too, by whichever engine. */
static void plans_tell_of_standing_impairments(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    CLEANUP(nl_free_p) struct nl *recording = NULL;
    CLEANUP(hostcaps_free_p) struct hostcaps *caps = NULL;
    AUTO_BUF done = BUF_INIT, planned = BUF_INIT;
    char dir[PATH_MAX];
    struct network *wan = regions(&k);
    wan->impaired.jitter = 2 * NSEC_MSEC;
    struct lab_handlers handlers = {.change = collect, .data = &done};
    snprintf(dir, sizeof dir, "%s/plan-%d", getenv("BLACKSTART_TEST_MOUNT"), (int)getpid());
    kit_ok(lab_new(k.s, k.loop, dir, AT_FDCWD, -1, &handlers, &k.lab, &err), &err);
    kit_ok(hostcaps_probe(&caps, &err), &err);
    kit_ok(nl_open_recording("plan", &recording, &err), &err);
    kit_ok(lab_plan(k.s, caps, recording, &err), &err);
    size_t told = 0;
    for (size_t i = 0; i < nl_recorded(recording); i++) {
        struct nl_seen seen = nl_recorded_at(recording, i);
        told += strstr(seen.text, "in force while the lab stands: delay 10 ms ± 2 ms") != NULL;
        assert_null(strstr(seen.text, "delete"));
        collect(&seen, &planned);
    }
    assert_int_equal(told, 3); /* a, b, r */
    first_difference(buf_text(&done), buf_text(&planned));
    kit_close(&k);
}

/* The path heals by itself, whoever kills the engine, and the lab says so. */
static void a_dead_engine_leaves_the_path_open(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    struct network *wan = regions(&k);
    wan->impaired.engine = IMPAIRED_USER;
    kit_up(&k, false);
    is_late(&k, &(struct way){"a", "b", "10.1.0.2", 7001, 0}, 10 * NSEC_MSEC);
    struct step *s = network_step(&k, "slow", "b");
    struct fault f;
    params_of(s)->impaired.delay = 15 * NSEC_MSEC;
    params_of(s)->impaired.engine = IMPAIRED_USER;
    fault_begin(&k, s, &f);
    pid_t engine = impair_engine_pid(lab_impair(k.lab));
    assert_true(engine > 0);
    kill(engine, SIGKILL);
    for (int i = 0; i < 200 && !k.broken[0]; i++)
        kit_turn(&k, 5 * NSEC_MSEC);
    assert_non_null(strstr(k.broken, "engine"));
    is_untouched(&k, &(struct way){"a", "b", "10.1.0.2", 7001, 0});
    is_untouched(&k, &(struct way){"b", "a", "10.1.0.1", 7001, 0});
    kit_ok(f.injector->verify(&f.env, f.state, &f.proof, &err), &err);
    assert_false(f.proof.ok);
    assert_non_null(strstr(f.proof.seen, "engine has died"));
    fault_end(&k, &f);
    kit_close(&k);
}

/* --- Does it bite? ----------------------------------------------------------------------------- */

static struct impaired_shape *shape_of(struct kit *k, int shape)
{
    struct impaired_shape *s = arena_alloc(k->s->arena, sizeof *s);
    s->shape = shape;
    return s;
}

/* The fault's own packets, of every protocol and both families and directions, see what was asked. */
static void proofs_tell_what_was_seen(void **state)
{
    static struct kit k;
    three_hosts(&k);
    AUTO_FREE char *before = everything(&k);
    struct impaired_rate slow = {.bandwidth = 2000000};
    struct impaired_bursts bursts = {.to_bad = 0.05, .to_good = 0.3, .loss_in_bad = 1};
    struct impaired_loss in_bursts = {.bursts = &bursts};
    struct impaired_slot slot = {
        .min = 15 * NSEC_MSEC, .max = 15 * NSEC_MSEC, .delay = NSEC_UNSET, .jitter = NSEC_UNSET};
    const struct {
        int protocol, family, direction;
        struct impaired what;
        const char *seen;
    } cases[] = {
        {NETWORK_TCP,
         NETWORK_IPV4,
         NETWORK_EGRESS,
         {.delay = 20 * NSEC_MSEC, .jitter = 3 * NSEC_MSEC, .distribution = shape_of(&k, 1)},
         "delay "},
        {NETWORK_ICMP, NETWORK_IPV6, NETWORK_INGRESS, {.loss = loss_of(&k, 0.3)}, "loss "},
        {NETWORK_ICMP, NETWORK_IPV4, NETWORK_EGRESS, {.duplicate = share_of(&k, 0.3)}, "doubled "},
        {NETWORK_SCTP, NETWORK_IPV4, NETWORK_EGRESS, {.loss = loss_of(&k, 0.3)}, "loss "},
        {NETWORK_UDP, NETWORK_IPV6, NETWORK_BOTH, {.corrupt = share_of(&k, 0.3)}, "damaged "},
        {NETWORK_TCP,
         NETWORK_IPV6,
         NETWORK_EGRESS,
         {.delay = 10 * NSEC_MSEC, .reorder = share_of(&k, 0.3)},
         "delay "},
        {NETWORK_ANY_PROTOCOL, NETWORK_ANY_FAMILY, NETWORK_INGRESS, {.rate = &slow}, "rate "},
        {NETWORK_UDP, NETWORK_IPV4, NETWORK_EGRESS, {.loss = &in_bursts}, "bursts of "},
        {NETWORK_UDP, NETWORK_IPV4, NETWORK_INGRESS, {.slot = &slot}, "slots "},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct step *s = network_step(&k, "bites", "a");
        struct fault f;
        params_of(s)->protocol = cases[i].protocol;
        params_of(s)->family = cases[i].family;
        params_of(s)->direction = cases[i].direction;
        params_of(s)->impaired = cases[i].what;
        params_of(s)->impaired.seed = -1;
        if (cases[i].protocol == NETWORK_TCP)
            ports_are(&k, &params_of(s)->port, 80, 80);
        fault_begin(&k, s, &f);
        if (!strstr(f.proof.seen, cases[i].seen) ||
            !strstr(f.proof.seen, "packets of our own along"))
            fail_msg("asked %s, seen %s", f.proof.asked, f.proof.seen);
        print_message("# asked %s, seen %s\n", f.proof.asked, f.proof.seen);
        fault_holds(&k, &f);
        fault_end(&k, &f);
    }
    all_as_before(&k, before);
    kit_close(&k);
}

/* Filters of ours at eth0 of the host, taken away as somebody else would. */
static void take_filters_away(struct kit *k, const char *host)
{
    AUTO_FREE struct tc_filter_seen *seen = NULL;
    struct nl *nl = lab_node_nl(lab_node(k->lab, host));
    struct err err = ERR_INIT;
    size_t n = 0;
    kit_ok(tc_filters(nl, "eth0", TC_EGRESS, &seen, &n, &err), &err);
    assert_int_equal(n, 1);
    tc_filter_delete(
        nl, &(struct tc_filter){
                .dev = "eth0", .hook = TC_EGRESS, .pref = seen[0].pref, .handle = seen[0].handle});
    kit_ok(nl_flush(nl, &err), &err);
}

static void what_does_not_bite_is_told(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    three_hosts(&k);
    struct step *s = network_step(&k, "slow", "a");
    struct fault f;
    params_of(s)->impaired.delay = 10 * NSEC_MSEC;
    fault_begin(&k, s, &f);
    take_filters_away(&k, "a");
    kit_ok(f.injector->verify(&f.env, f.state, &f.proof, &err), &err);
    assert_false(f.proof.ok);
    assert_non_null(strstr(f.proof.seen, "is not there any more"));
    fault_end(&k, &f);
    kit_close(&k);
}

/* Undone before enough was seen: what stands in the kernel decides. */
static void a_short_fault_is_decided_by_the_kernel(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    three_hosts(&k);
    struct step *s = network_step(&k, "blink", "a");
    struct fault f = {.step = s, .injector = injector_of(s), .result = INJECT_RESULT_INIT};
    params_of(s)->impaired.delay = 500 * NSEC_MSEC;
    f.env = (struct inject_env){.scenario = k.s, .lab = k.lab, .loop = k.loop, .run_id = "test"};
    kit_ok(f.injector->prepare(&f.env, s, &f.state, &f.undo, &err), &err);
    kit_ok(f.injector->apply(&f.env, f.state, &f.result, &err), &err);
    assert_int_equal(f.injector->verify(&f.env, f.state, &f.proof, &err), INJECT_AGAIN);
    kit_turn(&k, 20 * NSEC_MSEC);
    f.env.decide = true;
    assert_int_equal(f.injector->verify(&f.env, f.state, &f.proof, &err), 0);
    assert_true(f.proof.ok);
    assert_non_null(strstr(f.proof.seen, "in force at 1 point"));
    fault_end(&k, &f);
    kit_close(&k);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(only_what_is_named_is_late),
        cmocka_unit_test(ingress_is_what_it_is_sent),
        cmocka_unit_test(disjoint_scopes_compose),
        cmocka_unit_test(the_same_packets_twice_are_refused),
        cmocka_unit_test(a_share_is_lost_and_doubled),
        cmocka_unit_test(a_host_that_is_down_has_no_traffic),
        cmocka_unit_test(what_is_others_stays),
        cmocka_unit_test(proofs_tell_what_was_seen),
        cmocka_unit_test(what_does_not_bite_is_told),
        cmocka_unit_test(a_short_fault_is_decided_by_the_kernel),
        cmocka_unit_test(networks_are_impaired_from_the_start),
        cmocka_unit_test(plans_tell_of_standing_impairments),
        cmocka_unit_test(a_dead_engine_leaves_the_path_open),
    };
    if (kit_is_rootless() && kit_has_ids())
        return 0; /* more uids make no difference to a network */
    return cmocka_run_group_tests(list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return kit_main(argc, argv, tests);
}
