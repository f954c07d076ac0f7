/* dns, http and tls on the real kernel: what is hit is hit, everything else passes byte for byte, and
 * the way heals whoever dies; as root and without.
 */
#include "tests/support/labkit.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "injectors/injector.h"
#include "injectors/params.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/kernel/faketime.h"
#include "sim/proxy/proxy.h"
#include "tests/support/faultkit.h"

#define PEER "/usr/bin/python3 " TEST_ROOT "/tests/lab/proxy_peer.py "

static char port_53[] = "53", port_80[] = "80", port_443[] = "443";

/* a asks, b serves; both families. */
static void two_hosts(struct kit *k, const char *server, char *port, const char *client)
{
    kit_open(k);
    struct host *a = kit_host(k, "a", "10.0.0.1/24 fd00::1/64");
    struct host *b = kit_host(k, "b", "10.0.0.2/24 fd00::2/64");
    kit_unit(k, b, "server", server);
    kit_ready(k, b)->tcp = port;
    if (client)
        kit_unit(k, a, "client", client);
    kit_up(k, true);
}

static const char *peer(struct kit *k, const char *host, const char *words)
{
    static char said[512];
    char command[512];
    AUTO_FREE char *out = NULL;
    snprintf(command, sizeof command, PEER "%s", words);
    kit_run(k, host, command, &out);
    snprintf(said, sizeof said, "%s", out);
    said[strcspn(said, "\n")] = '\0';
    return said;
}
#define assert_peer(k, host, words, want) assert_string_equal(peer(k, host, words), want)

static struct dns_params *dns_step(struct kit *k, struct step **ret)
{
    *ret = fault_step(k, "lie", "dns");
    struct dns_params *p = (*ret)->params;
    p->host = fault_target(k, "a");
    p->delay = NSEC_UNSET;
    p->share = 1;
    return p;
}

static struct http_params *http_step(struct kit *k, struct step **ret)
{
    *ret = fault_step(k, "way", "http");
    struct http_params *p = (*ret)->params;
    p->host = fault_target(k, "b");
    p->port = 80;
    p->delay = NSEC_UNSET;
    p->share = 1;
    return p;
}

static void only(struct strv *list, char **item)
{
    *list = (struct strv){.items = item, .n = 1};
}

/* The process that stands in the way: a child of ours of that name. */
static pid_t proxy_pid(void)
{
    AUTO_CLOSEDIR DIR *d = opendir("/proc");
    for (const struct dirent *e; (e = readdir(d));) {
        char path[300], name[64];
        AUTO_FREE char *stat = NULL;
        int parent = 0;
        snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
        if (!isdigit((unsigned char)e->d_name[0]) ||
            file_read(AT_FDCWD, path, 4096, &stat, NULL, NULL) < 0)
            continue;
        if (sscanf(stat, "%*d (%63[^)]) %*c %d", name, &parent) == 2 && parent == getpid() &&
            strcmp(name, "bs-proxy") == 0)
            return (pid_t)strtol(e->d_name, NULL, 10);
    }
    return 0;
}

/* --- DNS -------------------------------------------------------------------------------------- */

static void others_queries_pass_byte_for_byte(struct kit *k)
{
    assert_peer(k, "a", "dns-ask 10.0.0.2 other.test udp", "exact");
    assert_peer(k, "a", "dns-ask 10.0.0.2 big.other.test udp", "exact"); /* truncated */
    assert_peer(k, "a", "dns-ask 10.0.0.2 other.test tcp", "exact and exact");
    assert_peer(k, "a", "dns-ask fd00::2 other.test udp", "exact");
    assert_peer(k, "a", "dns-ask fd00::2 other.test tcp", "exact and exact");
}

/* SHOWS dns: lab: applied verified undone */
static void names_are_answered_wrongly(void **state)
{
    static struct kit k;
    static char name[] = "*.shop.test", address[] = "10.66.0.1";
    static char *names[] = {name}, *addresses[] = {address};
    static const struct {
        const char *udp, *tcp;
    } want[] = {{"rcode 3 edns", "rcode 3 edns and rcode 3 edns"},
                {"rcode 2 edns", "rcode 2 edns and rcode 2 edns"},
                {"rcode 0 10.66.0.1 edns", "rcode 0 10.66.0.1 edns and rcode 0 10.66.0.1 edns"},
                {"silence", "silence"},
                {"exact", "exact and exact"}};
    two_hosts(&k, PEER "dns-server", port_53, NULL);
    struct dns_lie lie = {.ttl = NSEC_SEC};
    only(&lie.addresses, addresses);
    for (int i = 0; i < 5; i++) {
        struct step *s;
        struct fault f;
        struct dns_params *p = dns_step(&k, &s);
        only(&p->names, names);
        p->nxdomain = i == 0;
        p->servfail = i == 1;
        p->answer = i == 2 ? &lie : NULL;
        p->drop = i == 3;
        p->delay = i == 4 ? 150 * NSEC_MSEC : NSEC_UNSET;
        fault_begin(&k, s, &f);
        nsec before = nsec_now(CLOCK_MONOTONIC);
        assert_peer(&k, "a", "dns-ask 10.0.0.2 x.shop.test udp", want[i].udp);
        if (i == 4)
            assert_true(nsec_now(CLOCK_MONOTONIC) - before >= 150 * NSEC_MSEC);
        assert_peer(&k, "a", "dns-ask fd00::2 x.shop.test udp", want[i].udp);
        if (i != 3)
            assert_peer(&k, "a", "dns-ask 10.0.0.2 y.x.shop.test tcp", want[i].tcp);
        if (i == 0) {
            others_queries_pass_byte_for_byte(&k);
            assert_peer(&k, "b", "dns-ask 10.0.0.2 x.shop.test udp", "exact"); /* not its */
        }
        fault_holds(&k, &f);
        fault_end(&k, &f);
        assert_peer(&k, "a", "dns-ask 10.0.0.2 x.shop.test udp", "exact");
    }
    assert_int_equal(proxy_pid(), 0);
    fault_nothing_left(&k);
    kit_close(&k);
}

/* A resolver that keeps its port is hit at once, and heard again at once, whoever ends it.
 * SHOWS dns: lab: undone-after-kill */
static void a_kept_port_heals_when_the_proxy_is_killed(void **state)
{
    static struct kit k;
    struct step *s;
    struct fault f;
    two_hosts(&k, PEER "dns-server", port_53, PEER "dns-ask 10.0.0.2 x.shop.test port");
    assert_non_null(kit_wait_line(&k, "a", "exact", 20 * NSEC_SEC));
    dns_step(&k, &s)->nxdomain = true;
    fault_begin(&k, s, &f);
    kit_turn(&k, 100 * NSEC_MSEC);
    k.lines_n = 0;
    assert_non_null(kit_wait_line(&k, "a", "rcode 3", 20 * NSEC_SEC));
    pid_t pid = proxy_pid();
    assert_true(pid > 0);
    kill(pid, SIGKILL);
    kit_turn(&k, 100 * NSEC_MSEC);
    k.lines_n = 0;
    assert_non_null(kit_wait_line(&k, "a", "exact", 20 * NSEC_SEC));
    struct err err = ERR_INIT;
    struct inject_proof proof = {0};
    assert_int_equal(f.injector->verify(&f.env, f.state, &proof, &err), 0);
    assert_false(proof.ok);
    assert_non_null(strstr(proof.seen, "has ended"));
    fault_end(&k, &f);
    fault_nothing_left(&k);
    kit_close(&k);
}

/* SHOWS dns: lab: refused */
static void two_in_one_way_are_refused(void **state)
{
    static struct kit k;
    struct step *s;
    struct fault f;
    struct err err = ERR_INIT;
    two_hosts(&k, PEER "dns-server", port_53, NULL);
    dns_step(&k, &s)->nxdomain = true;
    fault_begin(&k, s, &f);
    struct inject_result result = INJECT_RESULT_INIT;
    void *second = NULL;
    json_t *undo = NULL;
    kit_ok(f.injector->prepare(&f.env, s, &second, &undo, &err), &err);
    assert_int_equal(f.injector->apply(&f.env, second, &result, &err), -EBUSY);
    assert_non_null(strstr(err.text, "already"));
    f.injector->done(second);
    json_decref(undo);
    assert_peer(&k, "a", "dns-ask 10.0.0.2 x.shop.test udp", "rcode 3 edns");
    fault_end(&k, &f);
    kit_close(&k);
}

/* --- HTTP ------------------------------------------------------------------------------------- */

/* SHOWS http: lab: applied verified undone */
static void requests_are_hit_and_others_pass(void **state)
{
    static struct kit k;
    static char path[] = "/hit*";
    static char *paths[] = {path};
    char before[80];
    struct step *s;
    struct fault f;
    two_hosts(&k, PEER "http-server 80", port_80, PEER "http-hold 10.0.0.2 80");
    assert_non_null(kit_wait_line(&k, "a", "kept", 20 * NSEC_SEC));
    snprintf(before, sizeof before, "%s", peer(&k, "a", "http-check 10.0.0.2 80"));
    assert_int_equal(strlen(before), 64);
    for (int i = 0; i < 3; i++) {
        struct http_params *p = http_step(&k, &s);
        only(&p->paths, paths);
        p->status = i == 0 ? 503 : 0;
        p->abort = i == 1;
        p->delay = i == 2 ? 200 * NSEC_MSEC : NSEC_UNSET;
        fault_begin(&k, s, &f);
        assert_peer(&k, "a", "http-check 10.0.0.2 80", before);
        assert_peer(&k, "a", "http-check fd00::2 80", before);
        const char *said = peer(&k, "a", "http-get 10.0.0.2 80 /hit/me?x=y");
        if (i == 2)
            assert_true(strtol(said + 4, NULL, 10) >= 200 && !strncmp(said, "200 ", 4));
        else
            assert_memory_equal(said, i ? "reset " : "503 ", i ? 6 : 4);
        assert_memory_equal(peer(&k, "b", "http-get 10.0.0.2 80 /hit"),
                            i ? i == 1 ? "rese" : "200 " : "503 ", 4); /* its own */
        assert_memory_equal(peer(&k, "a", "http-get 10.0.0.2 80 /miss"), "200 ", 4);
        fault_holds(&k, &f);
        fault_end(&k, &f);
        assert_memory_equal(peer(&k, "a", "http-get 10.0.0.2 80 /hit"), "200 ", 4);
    }
    for (size_t i = 0; i < k.lines_n; i++) /* a connection from before the first */
        assert_string_not_equal(k.lines[i].text, "lost");
    fault_nothing_left(&k);
    kit_close(&k);
}

/* The same seed hits the same ones, and about as many as were asked for. */
static void a_share_is_drawn_from_the_seed(void **state)
{
    static struct kit k;
    char said[2][64];
    two_hosts(&k, PEER "http-server 80", port_80, NULL);
    for (int i = 0; i < 2; i++) {
        struct step *s;
        struct fault f;
        struct http_params *p = http_step(&k, &s);
        p->status = 503;
        p->share = 0.3;
        fault_begin(&k, s, &f);
        AUTO_FREE char *out = NULL;
        kit_run(&k, "a", PEER "http-share 10.0.0.2 80", &out);
        snprintf(said[i], sizeof said[i], "%.60s", out);
        fault_end(&k, &f);
    }
    assert_string_equal(said[0], said[1]);
    size_t hit = 0;
    for (const char *c = said[0]; *c; c++)
        hit += *c == 'x';
    assert_true(hit >= 4 && hit <= 22); /* of 40, 99.9 % of all draws */
    kit_close(&k);
}

static void what_is_no_http_passes_and_is_said(void **state)
{
    static struct kit k;
    struct step *s;
    struct fault f;
    two_hosts(&k, PEER "foreign-server 80", port_80, NULL);
    http_step(&k, &s)->status = 503;
    fault_begin(&k, s, &f);
    assert_peer(&k, "a", "foreign-check 10.0.0.2 80", "636261010316");
    struct err err = ERR_INIT;
    struct inject_proof proof = {0};
    assert_int_equal(f.injector->verify(&f.env, f.state, &proof, &err), 0);
    assert_false(proof.ok);
    assert_non_null(strstr(proof.seen, "1 passed that are no requests"));
    fault_end(&k, &f);
    kit_close(&k);
}

/* --- TLS -------------------------------------------------------------------------------------- */

/* SHOWS tls: lab: applied verified undone */
static void a_bad_certificate_is_shown(void **state)
{
    static struct kit k;
    static const char *const want[] = {
        "second same subject=CN = shop.test Certificate will expire",
        "second same subject=CN = wrong-name.invalid Certificate will not expire",
        "second same subject=CN = shop.test Certificate will not expire",
        "second same subject=CN = shop.test Certificate will not expire"};
    two_hosts(&k, PEER "tls-server 443", port_443, NULL);
    for (int i = 0; i < 4; i++) {
        struct step *s = fault_step(&k, "cert", "tls");
        struct tls_params *p = s->params;
        struct fault f;
        p->host = fault_target(&k, "b");
        p->port = 443;
        p->certificate = i;
        fault_begin(&k, s, &f);
        assert_peer(&k, "a", "tls-ask 10.0.0.2 443", want[i]);
        fault_end(&k, &f);
    }
    fault_nothing_left(&k);
    kit_close(&k);
}

static void a_host_without_power_takes_its_way_along(void **state)
{
    static struct kit k;
    struct step *s;
    struct fault f;
    struct span at;
    struct err err = ERR_INIT;
    two_hosts(&k, PEER "http-server 80", port_80, NULL);
    http_step(&k, &s)->status = 503;
    fault_begin(&k, s, &f);
    kit_ok(lab_node_off(lab_node(k.lab, "b"), &at, &err), &err);
    fault_holds(&k, &f);
    k.events_n = 0;
    kit_ok(lab_node_on(lab_node(k.lab, "b"), &at, &err), &err);
    kit_wait(&k, LAB_READY, "b", NULL, 10 * NSEC_SEC);
    assert_memory_equal(peer(&k, "a", "http-get 10.0.0.2 80 /x"), "200 ", 4);
    struct inject_proof proof = {0};
    assert_int_equal(f.injector->verify(&f.env, f.state, &proof, &err), 0);
    assert_false(proof.ok);
    fault_end(&k, &f);
    fault_nothing_left(&k);
    kit_close(&k);
}

/* --- Clock ------------------------------------------------------------------------------------ */

static nsec seconds_off(struct kit *k, const char *host)
{
    AUTO_FREE char *out = NULL;
    nsec now = nsec_now(CLOCK_REALTIME);
    assert_int_equal(kit_run(k, host, "date +%s", &out), 0);
    return strtoll(out, NULL, 10) - now / NSEC_SEC;
}

/* Wall clocks of one host's programs alone, of those that run already too; no sleep is cut short.
 * SHOWS clock: lab: applied verified undone refused */
static void the_clock_of_programs_is_shifted(void **state)
{
    static struct kit k;
    static char offset[] = "+2h", back[] = "-5m";
    char library[PATH_MAX];
    struct err err = ERR_INIT;
    struct span at;
    if (!faketime_library(library))
        test_skip("libfaketime is not installed");
    kit_open(&k);
    struct host *a = kit_host(&k, "a", "10.0.0.1/24");
    a->clock = true;
    kit_host(&k, "b", "10.0.0.2/24");
    kit_unit(&k, a, "ticks", PEER "ticks");
    kit_up(&k, true);
    assert_non_null(kit_wait_line(&k, "a", "tick", 20 * NSEC_SEC));
    for (int i = 0; i < 2; i++) {
        struct step *s = fault_step(&k, "late", "clock");
        struct clock_params *p = s->params;
        struct fault f;
        nsec want = i ? -300 : 7200;
        p->host = fault_target(&k, "a");
        p->offset = i ? back : offset;
        fault_begin(&k, s, &f);
        assert_in_range(seconds_off(&k, "a") - want + 1, 0, 2);
        assert_in_range(seconds_off(&k, "b") + 1, 0, 2);
        if (!kit_wait_line(&k, "a", i ? "jump -300" : "jump 7200", 20 * NSEC_SEC))
            fail_msg("%d: of %zu lines the last is %s", i, k.lines_n, k.lines[k.lines_n - 1].text);
        fault_holds(&k, &f);
        fault_refused(&k, s, -EALREADY, "wrong already");
        if (i) { /* a lost battery does not set it right */
            kit_ok(lab_node_off(lab_node(k.lab, "a"), &at, &err), &err);
            kit_ok(lab_node_on(lab_node(k.lab, "a"), &at, &err), &err);
            kit_wait(&k, LAB_READY, "a", NULL, 10 * NSEC_SEC);
            assert_in_range(seconds_off(&k, "a") - want + 1, 0, 2);
        }
        fault_end(&k, &f);
        kit_wait_line(&k, "a", i ? "jump 300" : "jump -7200", 20 * NSEC_SEC);
        assert_in_range(seconds_off(&k, "a") + 1, 0, 2);
    }
    kit_close(&k);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(names_are_answered_wrongly),
        cmocka_unit_test(a_kept_port_heals_when_the_proxy_is_killed),
        cmocka_unit_test(two_in_one_way_are_refused),
        cmocka_unit_test(requests_are_hit_and_others_pass),
        cmocka_unit_test(a_share_is_drawn_from_the_seed),
        cmocka_unit_test(what_is_no_http_passes_and_is_said),
        cmocka_unit_test(a_bad_certificate_is_shown),
        cmocka_unit_test(a_host_without_power_takes_its_way_along),
        cmocka_unit_test(the_clock_of_programs_is_shifted),
    };
    const struct CMUnitTest without_root[] = {
        cmocka_unit_test(a_kept_port_heals_when_the_proxy_is_killed),
        cmocka_unit_test(requests_are_hit_and_others_pass),
        cmocka_unit_test(a_bad_certificate_is_shown),
        cmocka_unit_test(the_clock_of_programs_is_shifted),
    };
    if (kit_is_rootless() && kit_has_ids())
        return 0; /* what uids exist is nothing to a proxy */
    if (kit_is_rootless())
        return cmocka_run_group_tests(without_root, NULL, NULL);
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return kit_main(argc, argv, tests);
}
