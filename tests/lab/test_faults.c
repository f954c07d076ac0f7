/* Every fault on the real kernel: it bites, it is verified, it is undone, nothing of it is left; as
 * root and without.
 */
#include "tests/support/labkit.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <arpa/inet.h>

#include "injectors/injector.h"
#include "injectors/net/partition/crossing.h"
#include "injectors/net/partition/cut.h"
#include "injectors/params.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/nft.h"
#include "sim/kernel/rtnl.h"
#include "tests/support/faultkit.h"

static char port_80[] = "80";

/* What a client on `host` gets is `want`; on a busy machine, and after a start, perhaps not at once. */
static void gets(struct kit *k, const char *host, const char *address, const char *want)
{
    char command[256];
    const bool silence = strcmp(want, "silence") == 0;
    snprintf(command, sizeof command, "timeout %s ./test_faults server get %s 80",
             silence ? "0.4" : "10", address);
    for (int i = 0; i < 20; i++) {
        AUTO_FREE char *out = NULL;
        const int code = kit_run(k, host, command, &out);
        out[strcspn(out, "\n")] = '\0';
        const char *got = code == 124 ? "silence" : out;
        if (strcmp(got, want) == 0)
            return;
        if (silence || i == 19)
            fail_msg("%s gets '%s' from %s, not '%s'", host, got, address, want);
        kit_turn(k, 100 * NSEC_MSEC);
    }
}

/* Until `command` succeeds in the host. */
static void await(struct kit *k, const char *host, const char *command)
{
    for (int i = 0; kit_run(k, host, command, NULL) != 0; i++) {
        if (i == 400)
            fail_msg("%s: never: %s", host, command);
        kit_turn(k, 20 * NSEC_MSEC);
    }
}

/* SHOWS partition: lab: applied verified undone */
static void a_cut_takes_virtual_addresses_along(void **state)
{
    static struct kit k;
    fault_three_hosts(&k);
    struct step *s = fault_step(&k, "split", "partition");
    struct partition_params *p = s->params;
    fault_group(&k, &p->cut, "a");
    fault_group(&k, &p->cut, "b");
    gets(&k, "a", "10.0.0.100", "ok");
    struct fault f;
    fault_begin(&k, s, &f);
    gets(&k, "a", "10.0.0.2", "silence");
    gets(&k, "a", "fd00::2", "silence");
    gets(&k, "a", "10.0.0.100", "silence");
    gets(&k, "a", "10.0.0.3", "ok");
    gets(&k, "c", "10.0.0.100", "ok");
    fault_holds(&k, &f);
    fault_end(&k, &f);
    gets(&k, "a", "10.0.0.2", "ok");
    gets(&k, "a", "10.0.0.100", "ok");
    fault_nothing_left(&k);
    kit_close(&k);
}

/* Datagrams of our own between a and b: how many of a→b and of b→a arrive. */
static void count_arrivals(struct kit *k, size_t *ret_there, size_t *ret_back)
{
    struct err err = ERR_INIT;
    CLEANUP(topo_free_p) struct topo *topo = NULL;
    kit_ok(topo_new(k->s, &topo, &err), &err);
    const char *const pair[] = {"a", "b"};
    const struct cut_scope all = {0};
    for (int back = 0; back < 2; back++) {
        AUTO_CUT cut = {0};
        AUTO_GRUDGE way = {0};
        grudge_add(&way, back, !back);
        cut_along(topo, pair, 2, &way, &cut);
        assert_int_equal(cut.n_pairs, 1);
        CLEANUP(crossing_free_p) struct crossing *x = NULL;
        kit_ok(crossing_send(k->lab, &cut, &all, 8, &x, &err), &err);
        size_t refused;
        usleep(2000);
        crossing_collect(x, back ? ret_back : ret_there, &refused);
    }
}

static void a_cut_may_be_one_way(void **state)
{
    static struct kit k;
    fault_three_hosts(&k);
    size_t there = 0, back = 0;
    count_arrivals(&k, &there, &back);
    assert_int_equal(there, 1);
    assert_int_equal(back, 1);
    for (int direction = CUT_FORWARD; direction <= CUT_BACKWARD; direction++) {
        struct step *s = fault_step(&k, "oneway", "partition");
        struct partition_params *p = s->params;
        p->direction = direction;
        fault_group(&k, &p->cut, "a");
        fault_group(&k, &p->cut, "b c");
        struct fault f;
        fault_begin(&k, s, &f);
        count_arrivals(&k, &there, &back);
        assert_int_equal(there, direction == CUT_BACKWARD);
        assert_int_equal(back, direction == CUT_FORWARD);
        fault_end(&k, &f);
    }
    fault_nothing_left(&k);
    kit_close(&k);
}

static void isolate_leaves_the_others_alone(void **state)
{
    static struct kit k;
    fault_three_hosts(&k);
    struct step *s = fault_step(&k, "alone", "partition");
    struct partition_params *p = s->params;
    fault_targets(&k, &p->isolate, "b");
    struct fault f;
    fault_begin(&k, s, &f);
    gets(&k, "a", "10.0.0.2", "silence");
    gets(&k, "c", "10.0.0.100", "silence");
    gets(&k, "a", "10.0.0.3", "ok");
    fault_end(&k, &f);
    fault_nothing_left(&k);
    kit_close(&k);
}

static void overlapping_cuts_do_not_disturb_each_other(void **state)
{
    static struct kit k;
    fault_three_hosts(&k);
    struct fault f[3];
    const char *const groups[3][2] = {{"a", "b"}, {"a b", "c"}, {"a", "b c"}};
    for (int i = 0; i < 3; i++) {
        char id[8];
        snprintf(id, sizeof id, "cut%d", i);
        struct step *s = fault_step(&k, id, "partition");
        struct partition_params *p = s->params;
        fault_group(&k, &p->cut, groups[i][0]);
        fault_group(&k, &p->cut, groups[i][1]);
        fault_begin(&k, s, &f[i]);
    }
    for (int i = 0; i < 3; i++)
        fault_holds(&k, &f[i]);
    fault_end(&k, &f[1]);
    fault_holds(&k, &f[0]);
    fault_holds(&k, &f[2]);
    gets(&k, "b", "10.0.0.3", "ok");
    gets(&k, "a", "10.0.0.3", "silence");
    fault_end(&k, &f[2]);
    gets(&k, "a", "10.0.0.3", "ok");
    gets(&k, "a", "10.0.0.2", "silence");
    fault_end(&k, &f[0]);
    gets(&k, "a", "10.0.0.2", "ok");
    fault_nothing_left(&k);
    kit_close(&k);
}

static void reject_refuses_at_once(void **state)
{
    static struct kit k;
    fault_three_hosts(&k);
    struct step *s = fault_step(&k, "refuse", "partition");
    struct partition_params *p = s->params;
    p->kind = CUT_REJECT;
    fault_group(&k, &p->cut, "a");
    fault_group(&k, &p->cut, "b");
    struct fault f;
    fault_begin(&k, s, &f);
    if (!strstr(f.proof.seen, "2 told the sender so"))
        fail_msg("%s", f.proof.seen);
    gets(&k, "a", "10.0.0.2", "connect: Connection refused");
    gets(&k, "a", "fd00::2", "connect: Connection refused");
    gets(&k, "a", "10.0.0.100", "connect: Connection refused");
    gets(&k, "c", "10.0.0.100", "ok");
    gets(&k, "a", "10.0.0.3", "ok");
    fault_end(&k, &f);
    gets(&k, "a", "10.0.0.2", "ok");
    fault_nothing_left(&k);
    kit_close(&k);
}

static void routed_hosts_are_cut_by_their_addresses(void **state)
{
    static struct kit k;
    kit_open(&k);
    kit_network(&k, "front", "10.1.0.0/24", "fd01::/64", "r");
    kit_network(&k, "back", "10.2.0.0/24", "fd02::/64", "r");
    kit_host(&k, "a", "10.1.0.2 fd01::2");
    kit_host(&k, "r", "10.1.0.1 10.2.0.1 fd01::1 fd02::1");
    struct host *c = kit_host(&k, "c", "10.2.0.2 fd02::2");
    kit_unit(&k, c, "web", "./server tcp 80");
    kit_ready(&k, c)->tcp = port_80;
    kit_up(&k, true);
    gets(&k, "a", "10.2.0.2", "ok");
    gets(&k, "a", "fd02::2", "ok");
    for (int kind = CUT_DROP; kind <= CUT_REJECT; kind++) {
        struct step *s = fault_step(&k, "far", "partition");
        struct partition_params *p = s->params;
        p->kind = kind;
        fault_group(&k, &p->cut, "a");
        fault_group(&k, &p->cut, "c");
        struct fault f;
        fault_begin(&k, s, &f);
        const char *want = kind == CUT_DROP ? "silence" : "connect: Connection refused";
        gets(&k, "a", "10.2.0.2", want);
        gets(&k, "a", "fd02::2", want);
        gets(&k, "r", "10.2.0.2", "ok");
        fault_end(&k, &f);
        gets(&k, "a", "10.2.0.2", "ok");
    }
    fault_nothing_left(&k);
    kit_close(&k);
}

/* SHOWS link: lab: applied verified undone */
static void a_pulled_cable_comes_back(void **state)
{
    static struct kit k;
    fault_three_hosts(&k);
    struct step *s = fault_step(&k, "pulled", "link");
    struct link_params *p = s->params;
    p->host = fault_target(&k, "b");
    p->down = true;
    struct fault f;
    fault_begin(&k, s, &f);
    gets(&k, "a", "10.0.0.2", "silence");
    gets(&k, "a", "fd00::2", "silence");
    /* Twice the same cable: refused, and the first goes on. */
    struct step *again = fault_step(&k, "again", "link");
    again->params = p;
    fault_refused(&k, again, -EALREADY, "down already");
    fault_holds(&k, &f);
    fault_end(&k, &f);
    gets(&k, "a", "10.0.0.2", "ok");
    fault_nothing_left(&k);
    kit_close(&k);
}

static void a_flapping_cable_follows_its_schedule(void **state)
{
    static struct kit k;
    fault_three_hosts(&k);
    struct step *s = fault_step(&k, "flap", "link");
    struct link_params *p = s->params;
    struct link_flap flap = {.down = 30 * NSEC_MSEC, .up = 20 * NSEC_MSEC};
    p->host = fault_target(&k, "b");
    p->flap = &flap;
    struct fault f;
    fault_begin(&k, s, &f);
    bool was_up = false, was_down = false;
    for (int i = 0; i < 60 && !(was_up && was_down); i++) {
        struct rtnl_link link;
        kit_ok(rtnl_link_get(lab_switch_nl(k.lab), "b", &link, NULL), &(struct err){0});
        was_up |= (link.flags & 1) != 0;
        was_down |= (link.flags & 1) == 0;
        fault_holds(&k, &f);
        kit_turn(&k, 5 * NSEC_MSEC);
    }
    assert_true(was_up && was_down);
    fault_end(&k, &f);
    kit_turn(&k, 100 * NSEC_MSEC); /* no timer of ours is left */
    gets(&k, "a", "10.0.0.2", "ok");
    fault_nothing_left(&k);
    kit_close(&k);
}

/* SHOWS kill: lab: applied verified undone refused */
static void kill_hits_every_match_and_starts_again(void **state)
{
    static struct kit k;
    fault_three_hosts(&k);
    struct step *s = fault_step(&k, "kill", "kill");
    struct kill_params *p = s->params;
    p->whom.host = fault_target(&k, "b");
    p->whom.process = (char *)(uintptr_t) "test_faults";
    p->within = 10 * NSEC_SEC;
    /* who answered the question for readiness has ended */
    await(&k, "b", "test $(pgrep -cx test_faults) -eq 1");
    p->whom.expect = 7;
    fault_refused(&k, s, -ERANGE, "expected 7");
    p->whom.expect = 1;
    struct fault f;
    fault_begin(&k, s, &f);
    gets(&k, "a", "10.0.0.2", "connect: Connection refused");
    gets(&k, "a", "10.0.0.100", "connect: Connection refused");
    fault_refused(&k, s, -ESRCH, "the target has gone");
    fault_holds(&k, &f);
    fault_end(&k, &f);
    kit_wait_line(&k, "b", "listening", 20 * NSEC_SEC);
    kit_turn(&k, 50 * NSEC_MSEC);
    gets(&k, "a", "10.0.0.2", "ok");
    fault_nothing_left(&k);
    kit_close(&k);
}

static void a_signal_that_is_ignored_did_not_bite(void **state)
{
    static struct kit k;
    kit_open(&k);
    struct host *h = kit_host(&k, "a", "10.0.0.1");
    kit_unit(&k, h, "deaf", "sh -c 'trap \"\" TERM; echo deaf; sleep 1000; sleep 1000'");
    kit_up(&k, true);
    assert_non_null(kit_wait_line(&k, "a", "deaf", 20 * NSEC_SEC));
    struct step *s = fault_step(&k, "term", "kill");
    struct kill_params *p = s->params;
    p->whom.host = fault_target(&k, "a");
    p->whom.unit = (char *)(uintptr_t) "deaf";
    p->signal = 1; /* TERM */
    p->within = 50 * NSEC_MSEC;
    struct fault f;
    fault_try(&k, s, &f);
    assert_false(f.proof.ok);
    assert_non_null(strstr(f.proof.seen, "still live"));
    fault_end(&k, &f);
    kit_close(&k);
}

/* SHOWS stop: lab: applied verified undone refused */
static void stop_and_continue(void **state)
{
    static struct kit k;
    fault_three_hosts(&k);
    struct step *s = fault_step(&k, "hang", "stop");
    struct stop_params *p = s->params;
    p->whom.host = fault_target(&k, "b");
    p->whom.unit = (char *)(uintptr_t) "web";
    struct fault f;
    fault_begin(&k, s, &f);
    gets(&k, "a", "10.0.0.2", "silence");
    fault_refused(&k, s, -EALREADY, "stopped already");
    fault_holds(&k, &f);
    fault_end(&k, &f);
    gets(&k, "a", "10.0.0.2", "ok");
    fault_nothing_left(&k);
    kit_close(&k);
}

/* A process in the midst of a system call stops only when it comes out of it: undoing before that must
 * take the SIGSTOP back. */
static void who_has_not_stopped_yet_goes_on_too(void **state)
{
    static struct kit k;
    struct err err = ERR_INIT;
    struct fault f;
    struct lab_signalled hit = {0};
    kit_open(&k);
    kit_unit(&k, kit_host(&k, "a", "10.0.0.1"), "slow", "./server parent");
    kit_up(&k, true);
    assert_non_null(kit_wait_line(&k, "a", "the child runs", 20 * NSEC_SEC));
    struct lab_node *n = lab_node(k.lab, "a");
    struct step *s = fault_step(&k, "hang", "stop");
    ((struct stop_params *)s->params)->whom.host = fault_target(&k, "a");
    fault_prepare(&k, s, &f);
    kit_ok(lab_node_signal(n, &(struct lab_match){0}, SIGSTOP, 0, &hit, &err), &err);
    assert_int_equal(hit.n, 2);
    json_decref(hit.pids);
    fault_end(&k, &f);
    fault_nothing_left(&k);
    kit_run(&k, "a", "pkill -USR1 -f '[s]erver parent'", NULL);
    assert_non_null(kit_wait_line(&k, "a", "the parent goes on", 20 * NSEC_SEC));
    kit_close(&k);
}

/* SHOWS restart: lab: applied verified refused */
static void restart_gives_new_processes(void **state)
{
    static struct kit k;
    fault_three_hosts(&k);
    struct step *s = fault_step(&k, "again", "restart");
    struct restart_params *p = s->params;
    p->whom.host = fault_target(&k, "b");
    p->whom.process = (char *)(uintptr_t) "nobody";
    fault_refused(&k, s, -ENOENT, "could be ended but not started again");
    p->whom.process = (char *)(uintptr_t) "test_faults";
    p->grace = NSEC_SEC;
    for (int i = 0; i < 2; i++) { /* the second time after a kill: only started */
        struct fault f;
        fault_begin(&k, s, &f);
        assert_int_equal(f.ended, 1);
        fault_end(&k, &f);
        kit_turn(&k, 50 * NSEC_MSEC);
        gets(&k, "a", "10.0.0.2", "ok");
        kit_run(&k, "b", "kill -9 $(pgrep -o -f 'server tcp')", NULL);
        kit_turn(&k, 20 * NSEC_MSEC);
    }
    kit_close(&k);
}

/* SHOWS run: lab: applied */
static void run_tells_start_end_and_exit_code(void **state)
{
    static struct kit k;
    fault_three_hosts(&k);
    struct step *s = fault_step(&k, "promote", "run");
    struct run_params *p = s->params;
    p->host = fault_target(&k, "b");
    p->command = (char *)(uintptr_t) "echo done; exit 3";
    p->timeout = 10 * NSEC_SEC;
    struct fault f;
    fault_begin(&k, s, &f);
    assert_int_equal(f.started, 1);
    assert_int_equal(f.commands, 1);
    assert_int_equal(f.code, 3);
    assert_string_equal(f.output, "done\n");
    fault_end(&k, &f);
    p->command = (char *)(uintptr_t) "sleep 100";
    p->timeout = 50 * NSEC_MSEC;
    fault_begin(&k, s, &f);
    assert_true(f.timed_out);
    fault_end(&k, &f);
    kit_close(&k);
}

/* What a runbook finds in an outage is a result: nothing is refused, the reason is told. */
static void run_on_a_host_that_is_down_is_an_action_that_failed(void **state)
{
    static struct kit k;
    fault_three_hosts(&k);
    struct step *lose = fault_step(&k, "power", "node-kill");
    struct node_kill_params *n = lose->params;
    n->host = fault_target(&k, "b");
    struct fault down;
    fault_begin(&k, lose, &down);
    struct step *s = fault_step(&k, "promote", "run");
    struct run_params *p = s->params;
    p->host = fault_target(&k, "b");
    p->command = (char *)(uintptr_t) "true";
    p->timeout = 10 * NSEC_SEC;
    struct fault f;
    fault_begin(&k, s, &f);
    assert_int_equal(f.started, 0);
    assert_int_equal(f.commands, 1);
    assert_int_equal(f.code, -1);
    assert_string_equal(f.output, "the host is down");
    fault_end(&k, &f);
    p->host = fault_choice(&k, "b c");
    p->host->leader = (char *)(uintptr_t) "false";
    p->host->timeout = NSEC_SEC;
    fault_begin(&k, s, &f);
    assert_int_equal(f.commands, 1);
    assert_int_equal(strncmp(f.output, "nobody leads", 12), 0);
    fault_end(&k, &f);
    fault_end(&k, &down);
    kit_close(&k);
}

/* Everything that comes from `mac` and reaches host a from now on. */
static int capture_on_a(struct kit *k)
{
    struct err err = ERR_INIT;
    int fd = -1;
    kit_ok(netns_socket(lab_node_netns(lab_node(k->lab, "a")), AF_PACKET, SOCK_RAW | SOCK_NONBLOCK,
                        htons(ETH_P_ALL), &fd, &err),
           &err);
    return fd;
}

static size_t frames_from(int fd, const struct inet_mac *mac)
{
    unsigned char frame[2048];
    size_t n = 0;
    while (recv(fd, frame, sizeof frame, MSG_DONTWAIT) >= 0)
        n += memcmp(frame + 6, mac->b, 6) == 0;
    return n;
}

/* SHOWS node-kill: lab: applied verified undone refused */
static void a_killed_node_says_no_farewell(void **state)
{
    static struct kit k;
    fault_three_hosts(&k);
    struct err err = ERR_INIT;
    struct rtnl_link b;
    kit_ok(rtnl_link_get(lab_node_nl(lab_node(k.lab, "b")), "eth0", &b, &err), &err);
    kit_run(&k, "a", "./test_faults server hold 10.0.0.2 80 >held 2>&1 &", NULL);
    await(&k, "a", "test -s held");
    AUTO_CLOSE int fd = capture_on_a(&k);
    gets(&k, "a", "10.0.0.2", "ok");
    kit_turn(&k, 100 * NSEC_MSEC); /* the server's end of that connection closes too */
    assert_true(frames_from(fd, &b.mac) > 0);
    struct step *s = fault_step(&k, "power", "node-kill");
    struct node_kill_params *p = s->params;
    p->host = fault_target(&k, "b");
    struct fault f;
    fault_begin(&k, s, &f);
    frames_from(fd, &b.mac); /* what was on its way */
    kit_turn(&k, 300 * NSEC_MSEC);
    assert_int_equal(frames_from(fd, &b.mac), 0);
    AUTO_FREE char *held = NULL;
    kit_run(&k, "a", "cat held", &held);
    assert_string_equal(held, "connected\n"); /* neither FIN nor RST */
    gets(&k, "a", "10.0.0.2", "silence");
    fault_refused(&k, s, -ESRCH, "down already");
    fault_end(&k, &f);
    kit_turn(&k, 200 * NSEC_MSEC);
    gets(&k, "a", "10.0.0.2", "ok");
    fault_nothing_left(&k);
    kit_close(&k);
}

static void faults_end_with_their_host(void **state)
{
    static struct kit k;
    fault_three_hosts(&k);
    struct step *cut = fault_step(&k, "refuse", "partition");
    struct partition_params *p = cut->params;
    p->kind = CUT_REJECT;
    fault_group(&k, &p->cut, "a");
    fault_group(&k, &p->cut, "b");
    struct step *stop = fault_step(&k, "hang", "stop");
    ((struct stop_params *)stop->params)->whom.host = fault_target(&k, "b");
    struct step *off = fault_step(&k, "power", "node-kill");
    ((struct node_kill_params *)off->params)->host = fault_target(&k, "b");
    struct fault f[3];
    fault_begin(&k, cut, &f[0]);
    fault_begin(&k, stop, &f[1]);
    fault_begin(&k, off, &f[2]);
    fault_end(&k, &f[0]);
    fault_end(&k, &f[1]);
    fault_end(&k, &f[2]);
    kit_turn(&k, 200 * NSEC_MSEC);
    gets(&k, "a", "10.0.0.2", "ok");
    fault_nothing_left(&k);
    kit_close(&k);
}

static void targets_are_chosen_at_run_time(void **state)
{
    static struct kit k;
    fault_three_hosts(&k);
    struct step *s = fault_step(&k, "leader", "partition");
    struct partition_params *p = s->params;
    struct target *t = fault_choice(&k, "a b c");
    t->leader = (char *)(uintptr_t) "sleep 0.5; test $BLACKSTART_HOST = c";
    t->timeout = 5 * NSEC_SEC;
    fault_add(&k, &p->isolate, t);
    struct fault f;
    nsec quickest = NSEC_INF;
    for (int i = 0; i < 10 && quickest >= 1400 * NSEC_MSEC; i++) {
        if (i > 0)
            fault_end(&k, &f); /* this machine was busy: once more */
        nsec before = nsec_now(CLOCK_MONOTONIC);
        fault_begin(&k, s, &f);
        quickest = nsec_now(CLOCK_MONOTONIC) - before;
    }
    assert_true(quickest <
                1400 * NSEC_MSEC); /* all asked at once: one after the other takes 1.5 s */
    assert_string_equal(json_string_value(json_array_get(f.result.targets, 0)), "c");
    assert_non_null(strstr(f.result.chosen, "c leads"));
    gets(&k, "a", "10.0.0.3", "silence");
    gets(&k, "a", "10.0.0.2", "ok");
    fault_end(&k, &f);
    t->leader = (char *)(uintptr_t) "false";
    fault_refused(&k, s, -ESRCH, "nobody leads");
    t->leader = (char *)(uintptr_t) "test $BLACKSTART_HOST != c";
    fault_refused(&k, s, -ENOTUNIQ, "2 hosts lead at once");
    fault_nothing_left(&k);
    kit_close(&k);
}

static bool still_bites(struct fault *f)
{
    struct err err = ERR_INIT;
    kit_ok(f->injector->verify(&f->env, f->state, &f->proof, &err), &err);
    return f->proof.ok;
}

/* Somebody (here: we ourselves) takes the fault away behind our back. */
static void a_fault_ended_by_others_is_seen(void **state)
{
    static struct kit k;
    fault_three_hosts(&k);
    struct err err = ERR_INIT;
    struct nl *sw = lab_switch_nl(k.lab);
    const struct nft_table t = {NFT_FAMILY_BRIDGE, "blackstart-cut"};
    const struct nft_set near = {t, "near", NFT_KEY_PORTS};
    const struct nft_element one = nft_element(NFT_KEY_PORTS, "a", "b");
    struct step *s = fault_step(&k, "cut", "partition");
    struct partition_params *p = s->params;
    fault_group(&k, &p->cut, "a");
    fault_group(&k, &p->cut, "b");
    struct fault f;
    fault_begin(&k, s, &f);
    nft_set_delete(sw, &near, &one, 1);
    kit_ok(nl_flush(sw, &err), &err);
    assert_false(still_bites(&f));
    assert_non_null(strstr(f.proof.seen, "2 of 3 rules in force"));
    assert_non_null(strstr(f.proof.seen, "of 2 of our own 1 arrived"));
    nft_table_delete(sw, &t);
    kit_ok(nl_flush(sw, &err), &err);
    assert_false(still_bites(&f));
    assert_string_equal(f.proof.seen, "the table blackstart-cut is not there");
    fault_end(&k, &f);

    s = fault_step(&k, "pull", "link");
    ((struct link_params *)s->params)->host = fault_target(&k, "b");
    ((struct link_params *)s->params)->down = true;
    fault_begin(&k, s, &f);
    rtnl_link_up(sw, "b", true);
    kit_ok(nl_flush(sw, &err), &err);
    assert_false(still_bites(&f));
    fault_end(&k, &f);

    s = fault_step(&k, "hang", "stop");
    ((struct stop_params *)s->params)->whom.host = fault_target(&k, "b");
    fault_begin(&k, s, &f);
    kit_run(&k, "b", "kill -CONT -1", NULL);
    assert_false(still_bites(&f));
    fault_end(&k, &f);
    fault_nothing_left(&k);
    kit_close(&k);
}

static void what_is_restarted_by_its_host_was_killed_all_the_same(void **state)
{
    static struct kit k;
    kit_open(&k);
    struct host *h = kit_host(&k, "a", "10.0.0.1");
    kit_unit(&k, h, "web", "./server forever")->restart = 1;
    kit_unit(&k, h, "db", "./server tree");
    kit_up(&k, true);
    assert_non_null(kit_wait_line(&k, "a", "tree stands", 20 * NSEC_SEC));
    struct step *s = fault_step(&k, "kill", "kill");
    struct kill_params *p = s->params;
    p->whom.host = fault_target(&k, "a");
    struct fault f;
    fault_begin(&k, s, &f); /* everything: the tree with its children, and the restarted one */
    kit_turn(&k, 300 * NSEC_MSEC);
    assert_true(still_bites(&f));
    fault_end(&k, &f); /* starts the tree again, leaves the other alone */
    assert_non_null(kit_wait_line(&k, "a", "tree stands", 20 * NSEC_SEC));
    fault_nothing_left(&k);
    kit_close(&k);
}

/* --- after the death of the runner --------------------------------------------------------------
 */

/* A runner with every lasting fault in force, until it is killed. */
static _Noreturn void doomed_runner(int tell)
{
    static struct kit k;
    static struct fault f[5];
    fault_three_hosts(&k);
    struct step *s = fault_step(&k, "cut", "partition");
    struct partition_params *p = s->params;
    fault_group(&k, &p->cut, "a");
    fault_group(&k, &p->cut, "b");
    fault_begin(&k, s, &f[0]);
    s = fault_step(&k, "refuse", "partition");
    p = s->params;
    p->kind = CUT_REJECT;
    fault_group(&k, &p->cut, "a");
    fault_group(&k, &p->cut, "c");
    fault_begin(&k, s, &f[1]);
    s = fault_step(&k, "new", "partition");
    p = s->params;
    p->packets = CUT_NEW_CONNECTIONS;
    p->connections = CUT_SEVER;
    fault_group(&k, &p->cut, "b");
    fault_group(&k, &p->cut, "c");
    fault_begin(&k, s, &f[4]);
    s = fault_step(&k, "hang", "stop");
    ((struct stop_params *)s->params)->whom.host = fault_target(&k, "c");
    fault_begin(&k, s, &f[2]);
    s = fault_step(&k, "pull", "link");
    ((struct link_params *)s->params)->host = fault_target(&k, "a");
    ((struct link_params *)s->params)->down = true;
    fault_begin(&k, s, &f[3]);
    AUTO_JSON *ids = lab_ids(k.lab);
    AUTO_BUF text = BUF_INIT;
    jsonx_dump(ids, &text);
    file_write_all(tell, buf_text(&text), text.len, NULL);
    close(tell);
    for (;;)
        pause();
}

/* SHOWS partition: lab: undone-after-kill
 * SHOWS stop: lab: undone-after-kill
 * SHOWS link: lab: undone-after-kill
 */
static void nothing_outlives_a_killed_runner(void **state)
{
    int fds[2], status;
    char text[4096];
    struct err err = ERR_INIT;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        doomed_runner(fds[1]);
    }
    close(fds[1]);
    ssize_t n = 0, more;
    while ((more = read(fds[0], text + n, sizeof text - (size_t)n)) > 0)
        n += more;
    close(fds[0]);
    assert_true(n > 0);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    AUTO_JSON *ids = NULL;
    kit_ok(jsonx_parse(text, (size_t)n, "ids", &ids, &err), &err);
    const char *list[32];
    size_t count = json_array_size(ids);
    assert_true(count > 0 && count <= 32);
    for (size_t i = 0; i < count; i++)
        list[i] = json_string_value(json_array_get(ids, i));
    for (int i = 0;; i++) {
        AUTO_JSON *left = NULL;
        kit_ok(lab_leftovers(list, count, &left, &err), &err);
        if (json_array_size(left) == 0)
            break;
        assert_true(i < 200);
        usleep(10000);
    }
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_cut_takes_virtual_addresses_along),
        cmocka_unit_test(a_cut_may_be_one_way),
        cmocka_unit_test(isolate_leaves_the_others_alone),
        cmocka_unit_test(overlapping_cuts_do_not_disturb_each_other),
        cmocka_unit_test(reject_refuses_at_once),
        cmocka_unit_test(routed_hosts_are_cut_by_their_addresses),
        cmocka_unit_test(a_pulled_cable_comes_back),
        cmocka_unit_test(a_flapping_cable_follows_its_schedule),
        cmocka_unit_test(kill_hits_every_match_and_starts_again),
        cmocka_unit_test(a_signal_that_is_ignored_did_not_bite),
        cmocka_unit_test(stop_and_continue),
        cmocka_unit_test(who_has_not_stopped_yet_goes_on_too),
        cmocka_unit_test(restart_gives_new_processes),
        cmocka_unit_test(run_tells_start_end_and_exit_code),
        cmocka_unit_test(run_on_a_host_that_is_down_is_an_action_that_failed),
        cmocka_unit_test(a_killed_node_says_no_farewell),
        cmocka_unit_test(faults_end_with_their_host),
        cmocka_unit_test(targets_are_chosen_at_run_time),
        cmocka_unit_test(a_fault_ended_by_others_is_seen),
        cmocka_unit_test(what_is_restarted_by_its_host_was_killed_all_the_same),
        cmocka_unit_test(nothing_outlives_a_killed_runner),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return kit_main(argc, argv, tests);
}
