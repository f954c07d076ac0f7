/* The emulated kernel has netem, and its clock can measure it: round trips between two hosts of a lab,
 * plain, with the delay that the real tc asks for, and plain again; as root and without.
 *
 * The other tests of this suite build on what is proven here.
 */
#include "tests/support/labkit.h"

#include <poll.h>
#include <sys/socket.h>

#include <arpa/inet.h>

#include "sim/kernel/netns.h"

#define ROUNDS 20
#define DELAY (50 * NSEC_MSEC)
/* Two wake-ups of a sleeping receiver and the way through two stacks and a bridge, on a processor of
 * a billion instructions per second. */
#define OWN_COST NSEC_MSEC

static int socket_in(struct kit *k, const char *host, const char *address)
{
    struct err err = ERR_INIT;
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(7)};
    int fd;
    inet_pton(AF_INET, address, &sa.sin_addr);
    kit_ok(netns_socket(lab_node_netns(lab_node(k->lab, host)), AF_INET, SOCK_DGRAM, 0, &fd, &err),
           &err);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    return fd;
}

static void arrives(int fd, int number)
{
    int got = -1;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 1000), 1);
    assert_int_equal(recv(fd, &got, sizeof got, 0), sizeof got);
    assert_int_equal(got, number);
}

/* The shortest and the longest of some round trips from a to b. */
static struct span round_trips(int a, int b)
{
    struct span seen = {NSEC_INF, 0};
    for (int i = 0; i < ROUNDS; i++) {
        nsec begun = nsec_now(CLOCK_MONOTONIC);
        assert_int_equal(send(a, &i, sizeof i, 0), sizeof i);
        arrives(b, i);
        assert_int_equal(send(b, &i, sizeof i, 0), sizeof i);
        arrives(a, i);
        nsec took = nsec_now(CLOCK_MONOTONIC) - begun;
        seen.lo = took < seen.lo ? took : seen.lo;
        seen.hi = took > seen.hi ? took : seen.hi;
    }
    return seen;
}

static void tc(struct kit *k, const char *command)
{
    AUTO_FREE char *out = NULL;
    if (kit_run(k, "a", command, &out)) {
        print_error("%s: %s\n", command, out);
        fail();
    }
}

static void a_delay_is_what_was_asked_for(void **state)
{
    static struct kit k;
    kit_open(&k);
    kit_host(&k, "a", "10.0.0.1/24");
    kit_host(&k, "b", "10.0.0.2/24");
    kit_up(&k, true);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(7)};
    int a = socket_in(&k, "a", "10.0.0.1"), b = socket_in(&k, "b", "10.0.0.2");
    inet_pton(AF_INET, "10.0.0.2", &to.sin_addr);
    assert_int_equal(connect(a, (struct sockaddr *)&to, sizeof to), 0);
    inet_pton(AF_INET, "10.0.0.1", &to.sin_addr);
    assert_int_equal(connect(b, (struct sockaddr *)&to, sizeof to), 0);

    struct span before = round_trips(a, b);
    tc(&k, "tc qdisc add dev eth0 root netem delay 50ms");
    struct span during = round_trips(a, b);
    tc(&k, "tc qdisc del dev eth0 root");
    struct span after = round_trips(a, b);
    print_message("round trips in us: %.1f-%.1f, with netem %.1f-%.1f, then %.1f-%.1f\n",
                  (double)before.lo / 1e3, (double)before.hi / 1e3, (double)during.lo / 1e3,
                  (double)during.hi / 1e3, (double)after.lo / 1e3, (double)after.hi / 1e3);
    assert_true(before.hi < OWN_COST && after.hi < OWN_COST);
    assert_true(during.lo >= DELAY && during.hi < DELAY + OWN_COST);
    close(a);
    close(b);
    kit_close(&k);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {cmocka_unit_test(a_delay_is_what_was_asked_for)};
    return cmocka_run_group_tests(list, NULL, NULL);
}

int main(int argc, char **argv)
{
    return kit_main(argc, argv, tests);
}
