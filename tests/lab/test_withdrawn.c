/* Faults that take something from a host of a lab: its connections, an address, a route, processor
 * time. Each bites, is verified, is undone, and nothing of it is left; as root and without.
 */
#include "tests/support/cutkit.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "injectors/injector.h"
#include "injectors/params.h"
#include "sim/base/arena.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/kernel/cgroup.h"
#include "sim/kernel/rtnl.h"
#include "tests/support/faultkit.h"

#include <fcntl.h>

/* a and b on one network, b behind c too; a has a route to 10.9.0.0/24 through b. */
static void in_host(struct kit *k, const char *host, const char *command)
{
    AUTO_FREE char *out = NULL;
    if (kit_run(k, host, command, &out) != 0)
        fail_msg("%s: %s", command, out);
}

/* What `ip` says, which is not ours. */
static char *tells(struct kit *k, const char *host, const char *command)
{
    char *out = NULL;
    assert_int_equal(kit_run(k, host, command, &out), 0);
    return out;
}

/* What a client on `host` gets. */
static const char *get_within(struct kit *k, const char *host, const char *address,
                              const char *seconds)
{
    static char answer[128];
    char command[256];
    AUTO_FREE char *out = NULL;
    snprintf(command, sizeof command, "timeout %s ./test_withdrawn server get %s 80", seconds,
             address);
    int code = kit_run(k, host, command, &out);
    snprintf(answer, sizeof answer, "%s", code == 124 ? "silence" : out);
    answer[strcspn(answer, "\n")] = '\0';
    return answer;
}

static const char *get(struct kit *k, const char *host, const char *address)
{
    return get_within(k, host, address, "20");
}

/* --- sockets ------------------------------------------------------------------------------------ */

static struct step *reset_of(struct kit *k, const char *host, struct sockets_params **ret)
{
    struct step *s = fault_step(k, "reset", "sockets");
    *ret = s->params;
    (*ret)->host = fault_target(k, host);
    (*ret)->every = NSEC_UNSET;
    return s;
}

static int talk(struct kit *k, uint16_t port)
{
    socklen_t n;
    struct sockaddr_storage to = cutkit_at("10.0.0.2", port, &n);
    int fd = cutkit_socket(k, "a", AF_INET, SOCK_STREAM), error = 0;
    socklen_t len = sizeof error;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    (void)!connect(fd, (struct sockaddr *)&to, n);
    assert_int_equal(poll(&p, 1, 20000), 1);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
    assert_int_equal(error, 0);
    return fd;
}

static bool lives(int fd)
{
    char bytes[16];
    usleep(2000);
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0)
        n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    return n < 0 && errno == EAGAIN;
}

/* SHOWS sockets: lab: applied verified */
static void connections_are_reset_and_the_peer_hears_it(void **state)
{
    static struct kit k;
    struct sockets_params *p;
    fault_two_hosts(&k);
    int fd = talk(&k, 80);
    assert_true(lives(fd));
    struct fault f;
    fault_begin(&k, reset_of(&k, "b", &p), &f);
    char byte;
    (void)!recv(fd, &byte, 1, MSG_DONTWAIT); /* "ok" of before may stand in front of the reset */
    assert_false(lives(fd));
    close(fd);
    assert_non_null(strstr(f.proof.seen, "0 other ends have not heard"));
    assert_string_equal(get(&k, "a", "10.0.0.2"), "ok"); /* connecting again works */
    fault_end(&k, &f);
    fault_nothing_left(&k);
    kit_close(&k);
}

static void only_what_was_named_is_reset(void **state)
{
    static struct kit k;
    struct sockets_params *p;
    struct fault f;
    fault_two_hosts(&k);
    int fd = talk(&k, 80);
    /* b did not open it; nothing of port 81; nobody at 10.0.0.9; not c's */
    struct port_range other = {81, 81};
    char *stranger[] = {fault_text(&k, "10.0.0.9")};
    for (int i = 0; i < 3; i++) {
        struct step *s = reset_of(&k, "b", &p);
        p->opened = i == 0 ? SOCKETS_BY_HOST : SOCKETS_EITHER;
        if (i == 1)
            p->port = (struct port_ranges){&other, 1};
        if (i == 2)
            p->peer = (struct strv){stranger, 1};
        fault_try(&k, s, &f);
        assert_false(f.proof.ok);
        assert_non_null(strstr(f.proof.seen, "there was no such connection"));
        fault_end(&k, &f);
        assert_true(lives(fd));
    }
    char *peer[] = {fault_text(&k, "a")};
    struct port_range web = {80, 80};
    struct step *s = reset_of(&k, "b", &p);
    p->opened = SOCKETS_BY_PEER;
    p->peer = (struct strv){peer, 1};
    p->own_port = (struct port_ranges){&web, 1};
    fault_begin(&k, s, &f);
    assert_false(lives(fd));
    fault_end(&k, &f);
    close(fd);
    kit_close(&k);
}

static void again_and_again_until_it_is_ended(void **state)
{
    static struct kit k;
    struct sockets_params *p;
    struct fault f;
    fault_two_hosts(&k);
    int first = talk(&k, 80);
    struct step *s = reset_of(&k, "b", &p);
    p->every = 20 * NSEC_MSEC;
    fault_begin(&k, s, &f);
    for (int i = 0; i < 2; i++) {
        int fd = talk(&k, 80);
        kit_turn(&k, 40 * NSEC_MSEC);
        assert_false(lives(fd));
        close(fd);
    }
    fault_end(&k, &f);
    int last = talk(&k, 80);
    kit_turn(&k, 40 * NSEC_MSEC);
    assert_true(lives(last));
    close(last);
    close(first);
    kit_close(&k);
}

/* --- address ------------------------------------------------------------------------------------ */

static struct step *withdraw(struct kit *k, const char *host, const char *address)
{
    struct step *s = fault_step(k, "gone", "address");
    struct address_params *p = s->params;
    p->host = fault_target(k, host);
    p->address = fault_text(k, address);
    return s;
}

/* Sorted: the kernel appends an address behind those of other subnets. `secondary` tells the order
 * within one. */
#define IP_STATE                                                                                   \
    "{ ip -o -d address show dev eth0; ip -o -d route; ip -o -d -6 route;"                         \
    " ip neighbour show nud permanent; } | sort"

/* SHOWS address: lab: applied verified undone */
static void an_address_comes_back_as_it_was(void **state)
{
    static struct kit k;
    struct fault f;
    fault_two_hosts(&k);
    in_host(&k, "b",
            "ip address add 10.0.0.100/24 dev eth0 label eth0:v metric 7 && "
            "ip address add 10.5.0.1/24 broadcast 10.5.0.77 dev eth0 && "
            "ip address add 10.4.0.1/24 dev eth0 scope link && "
            "ip address add 10.5.0.2/24 dev eth0 && ip address add 10.5.0.3/24 dev eth0 && "
            "ip route add 10.9.0.0/24 via 10.5.0.9 metric 70 proto bird && "
            "ip route add 10.8.0.0/24 via 10.0.0.1 src 10.0.0.100 && "
            "ip -6 route add fd09::/64 via fd00::1 src fd00::2 metric 55");
    static const char *const addresses[] = {"10.0.0.2", "10.0.0.100", "10.5.0.1/24",
                                            "10.5.0.2", "10.4.0.1",   "fd00::2"};
    AUTO_FREE char *before = tells(&k, "b", IP_STATE);
    for (int promote = 0; promote < 2; promote++) {
        in_host(&k, "b",
                promote ? "echo 1 >/proc/sys/net/ipv4/conf/eth0/promote_secondaries"
                        : "echo 0 >/proc/sys/net/ipv4/conf/eth0/promote_secondaries");
        for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
            char plain[64];
            snprintf(plain, sizeof plain, "%.*s", (int)strcspn(addresses[i], "/"), addresses[i]);
            bool asked =
                !promote && strncmp(plain, "10.5", 4) != 0 && strncmp(plain, "10.4", 4) != 0;
            if (asked)
                assert_string_equal(get(&k, "a", plain), "ok");
            fault_begin(&k, withdraw(&k, "b", addresses[i]), &f);
            if (asked)
                assert_string_not_equal(get_within(&k, "a", plain, "0.4"), "ok");
            fault_holds(&k, &f);
            fault_end(&k, &f);
            AUTO_FREE char *after = tells(&k, "b", IP_STATE);
            assert_string_equal(after, before);
            if (asked)
                assert_string_equal(get(&k, "a", plain), "ok");
        }
    }
    fault_nothing_left(&k);
    kit_close(&k);
}

static void an_address_that_ages_has_aged(void **state)
{
    static struct kit k;
    struct fault f;
    fault_two_hosts(&k);
    in_host(&k, "b", "ip address add 10.6.0.1/24 dev eth0 valid_lft 1000 preferred_lft 900");
    fault_begin(&k, withdraw(&k, "b", "10.6.0.1"), &f);
    fault_end(&k, &f);
    AUTO_FREE char *now = tells(&k, "b", "ip address show to 10.6.0.1");
    if (!strstr(now, "valid_lft 99") && !strstr(now, "valid_lft 1000")) /* the test's own time */
        fail_msg("%s", now);
    kit_close(&k);
}

/* SHOWS address: lab: refused */
static void an_address_that_is_not_there_is_refused(void **state)
{
    static struct kit k;
    fault_two_hosts(&k);
    fault_refused(&k, withdraw(&k, "b", "10.0.0.77"), -ESRCH,
                  "no device has the address 10.0.0.77");
    in_host(&k, "b",
            "ip link add d0 type veth peer name d1 && ip address add 10.7.0.1/24 dev d0 && "
            "ip address add 10.7.0.1/24 dev eth0");
    fault_refused(&k, withdraw(&k, "b", "10.7.0.1"), -ENOTUNIQ, "name the interface");
    kit_close(&k);
}

static void one_that_somebody_put_back_is_seen(void **state)
{
    static struct kit k;
    struct fault f;
    struct err err = ERR_INIT;
    fault_two_hosts(&k);
    fault_begin(&k, withdraw(&k, "b", "10.0.0.2"), &f);
    in_host(&k, "b", "ip address add 10.0.0.2/24 dev eth0");
    kit_ok(f.injector->verify(&f.env, f.state, &f.proof, &err), &err);
    assert_false(f.proof.ok);
    fault_end(&k, &f);
    kit_close(&k);
}

/* --- route -------------------------------------------------------------------------------------- */

static struct step *unroute(struct kit *k, const char *host, const char *to, const char *via)
{
    struct step *s = fault_step(k, "lost", "route");
    struct route_params *p = s->params;
    p->host = fault_target(k, host);
    p->to = fault_text(k, to);
    p->via = via ? fault_text(k, via) : NULL;
    return s;
}

/* SHOWS route: lab: applied verified undone refused */
static void routes_come_back_as_they_were(void **state)
{
    static struct kit k;
    struct fault f;
    fault_two_hosts(&k);
    in_host(&k, "a",
            "ip route add default via 10.0.0.2 metric 9 proto static mtu 1400 && "
            "ip route add default via 10.0.0.2 metric 10 && "
            "ip route add 10.9.0.0/24 via 10.0.0.2 src 10.0.0.1 proto bird && "
            "ip route add 10.9.1.0/24 nexthop via 10.0.0.2 weight 3 nexthop via 10.0.0.7 && "
            "ip route add 10.9.2.0/24 dev eth0 scope link && "
            "ip -6 route add default via fd00::2 metric 77 pref high && "
            "ip -6 route add fd09::/64 via fd00::2");
    static const char *const routes[][2] = {{"default", NULL},           {"default", "fd00::2"},
                                            {"10.9.0.0/24", "10.0.0.2"}, {"10.9.1.0/24", NULL},
                                            {"10.9.2.0/24", NULL},       {"fd09::/64", NULL}};
    AUTO_FREE char *before = tells(&k, "a", IP_STATE);
    in_host(&k, "b", "ip address add 10.9.0.1/32 dev lo");
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        /* To 10.9.* there would be a way still, the same one: the default route. */
        if (i == 2)
            in_host(&k, "a", "ip route del default metric 9; ip route del default metric 10");
        if (i == 5)
            in_host(&k, "a", "ip -6 route del default");
        AUTO_FREE char *here = tells(&k, "a", IP_STATE);
        if (i == 2)
            assert_string_equal(get(&k, "a", "10.9.0.1"), "ok");
        fault_begin(&k, unroute(&k, "a", routes[i][0], routes[i][1]), &f);
        if (i == 2)
            assert_string_equal(get(&k, "a", "10.9.0.1"), "connect: Network is unreachable");
        fault_holds(&k, &f);
        fault_end(&k, &f);
        AUTO_FREE char *after = tells(&k, "a", IP_STATE);
        assert_string_equal(after, here);
        if (i < 2)
            assert_string_equal(after, before);
    }
    fault_refused(&k, unroute(&k, "a", "10.77.0.0/16", NULL), -ESRCH, "there is no route to");
    fault_nothing_left(&k);
    kit_close(&k);
}

static void a_route_beside_which_there_is_another_did_not_bite(void **state)
{
    static struct kit k;
    struct fault f;
    fault_two_hosts(&k);
    in_host(&k, "a", "ip route add default via 10.0.0.2 && ip route add 10.9.0.0/24 via 10.0.0.2");
    fault_try(&k, unroute(&k, "a", "10.9.0.0/24", NULL), &f);
    assert_false(f.proof.ok);
    fault_end(&k, &f);
    kit_close(&k);
}

/* --- freeze ------------------------------------------------------------------------------------- */

static struct step *freeze_of(struct kit *k, const char *host, const char *unit)
{
    struct step *s = fault_step(k, "still", "freeze");
    struct freeze_params *p = s->params;
    p->whom.host = fault_target(k, host);
    p->whom.unit = unit ? fault_text(k, unit) : NULL;
    return s;
}

static void no_group_left(void)
{
    struct cgroup own, ours;
    struct err err = ERR_INIT;
    kit_ok(cgroup_of(0, &own, &err), &err);
    kit_ok(cgroup_below(&own, "blackstart-test-still", &ours, &err), &err);
    assert_int_equal(access(ours.dir, F_OK), -1);
}

/* SHOWS freeze: lab: applied verified undone refused */
static void frozen_processes_answer_nothing_and_go_on(void **state)
{
    static struct kit k;
    struct fault f;
    fault_two_hosts(&k);
    if (kit_is_rootless()) {
        fault_refused(&k, freeze_of(&k, "b", NULL), -EPERM, "use 'stop'");
        kit_close(&k);
        return;
    }
    for (int i = 0; i < 2; i++) {
        assert_string_equal(get(&k, "a", "10.0.0.2"), "ok");
        fault_begin(&k, freeze_of(&k, "b", i ? "web" : NULL), &f);
        assert_string_equal(get_within(&k, "a", "10.0.0.2", "0.4"), "silence");
        AUTO_FREE char *states = tells(&k, "b", "ps -eo stat=");
        assert_null(strchr(states, 'T')); /* not stopped: nobody can tell */
        fault_holds(&k, &f);
        fault_end(&k, &f);
        assert_string_equal(get(&k, "a", "10.0.0.2"), "ok");
        no_group_left();
    }
    fault_nothing_left(&k);
    kit_close(&k);
}

static void one_that_others_thawed_is_seen(void **state)
{
    static struct kit k;
    struct fault f;
    struct cgroup ours;
    struct err err = ERR_INIT;
    if (kit_is_rootless())
        return;
    fault_two_hosts(&k);
    fault_begin(&k, freeze_of(&k, "b", "web"), &f);
    ours.v1 = jsonx_bool(f.undo, "v1", false);
    snprintf(ours.dir, sizeof ours.dir, "%s", jsonx_str(f.undo, "group", ""));
    kit_ok(cgroup_freeze(&ours, false, NSEC_SEC, &err), &err);
    kit_ok(f.injector->verify(&f.env, f.state, &f.proof, &err), &err);
    assert_false(f.proof.ok);
    fault_end(&k, &f);
    no_group_left();
    kit_close(&k);
}

/* Mounted by us where it is not: *ret_ours is then to be unmounted. False: this kernel has none. */
static bool old_freezer(struct cgroup *ret, char *place, bool *ret_ours)
{
    *ret = (struct cgroup){.v1 = true};
    *ret_ours = false;
    if (cgroup_folder(0, "freezer", ret->dir, NULL) == 0)
        return true;
    *ret_ours = mkdtemp(place) && mount("freezer", place, "cgroup", 0, "freezer") == 0;
    snprintf(ret->dir, sizeof ret->dir, "%s", place);
    if (!*ret_ours)
        (void)rmdir(place);
    return *ret_ours;
}

/* The freezer of v1, which is taken where v2 is not mounted (FrozenByTheOld of drill/test_taken.py). */
static void the_old_freezer_freezes_too(void **state)
{
    struct cgroup own, top, ours = {.v1 = true};
    char place[] = "/tmp/blackstart-freezer.XXXXXX";
    bool mounted;
    struct err err = ERR_INIT;
    bool frozen = false;
    pid_t *pids;
    size_t n;
    if (kit_is_rootless())
        test_lacks("without root nobody may make control groups");
    if (!old_freezer(&top, place, &mounted))
        test_lacks("this kernel has no freezer of cgroup v1");
    kit_ok(cgroup_below(&top, "blackstart-test-v1", &ours, &err), &err);
    kit_ok(cgroup_make(&ours, &err), &err);
    pid_t child = fork();
    if (child == 0)
        for (;;)
            usleep(1000);
    kit_ok(cgroup_move(&ours, child, &err), &err);
    kit_ok(cgroup_freeze(&ours, true, NSEC_SEC, &err), &err);
    kit_ok(cgroup_is_frozen(&ours, &frozen, &err), &err);
    assert_true(frozen);
    kit_ok(cgroup_pids(&ours, &pids, &n, &err), &err);
    assert_int_equal(n, 1);
    assert_int_equal(pids[0], child);
    free(pids);
    kit_ok(cgroup_freeze(&ours, false, NSEC_SEC, &err), &err);
    kit_ok(cgroup_move(&top, child, &err), &err);
    kit_ok(cgroup_remove(&ours, &err), &err);
    kit_ok(cgroup_remove(&ours, &err), &err); /* what is gone is fine */
    assert_int_equal(cgroup_freeze(&ours, false, NSEC_SEC, &err), -ENOENT);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    if (mounted) {
        assert_int_equal(umount2(place, 0), 0);
        assert_int_equal(rmdir(place), 0);
    }
    kit_ok(cgroup_of(0, &own, &err), &err);
    assert_true(cgroup_contains(&own, &own));
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(connections_are_reset_and_the_peer_hears_it),
        cmocka_unit_test(only_what_was_named_is_reset),
        cmocka_unit_test(again_and_again_until_it_is_ended),
        cmocka_unit_test(an_address_comes_back_as_it_was),
        cmocka_unit_test(an_address_that_ages_has_aged),
        cmocka_unit_test(an_address_that_is_not_there_is_refused),
        cmocka_unit_test(one_that_somebody_put_back_is_seen),
        cmocka_unit_test(routes_come_back_as_they_were),
        cmocka_unit_test(a_route_beside_which_there_is_another_did_not_bite),
        cmocka_unit_test(frozen_processes_answer_nothing_and_go_on),
        cmocka_unit_test(one_that_others_thawed_is_seen),
        cmocka_unit_test(the_old_freezer_freezes_too),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return kit_main(argc, argv, tests);
}
