/* Real traffic through the user-space engine is unharmed, and outlives it. */
#include "tests/support/bed.h"
#include "tests/support/labkit.h"

#include "sim/base/file.h"
#include "sim/base/text.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/rtnl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define US NSEC_USEC
#define MS NSEC_MSEC

/* --- TCP -------------------------------------------------------------------------- */

static unsigned char octet(size_t at)
{
    uint64_t z = (at >> 3) * 0x9e3779b97f4a7c15ull;
    z ^= z >> 29;
    return (unsigned char)(z >> (8 * (at & 7)));
}

static void send_octets(int fd, size_t n)
{
    static unsigned char buf[1 << 16];
    for (size_t at = 0; at < n;) {
        size_t want = n - at < sizeof buf ? n - at : sizeof buf;
        for (size_t i = 0; i < want; i++)
            buf[i] = octet(at + i);
        for (size_t i = 0; i < want;) {
            ssize_t k = send(fd, buf + i, want - i, MSG_NOSIGNAL);
            if (k <= 0)
                return;
            i += (size_t)k;
        }
        at += want;
    }
    shutdown(fd, SHUT_WR);
}

/* n octets from one namespace to the other, each compared; how long it took. */
static nsec transfer(struct bed *b, const char *address, uint16_t port, size_t n)
{
    static unsigned char buf[1 << 16];
    int from, to;
    duo_tcp(&b->p, address, port, &from, &to);
    struct timeval patience = {.tv_sec = 5};
    setsockopt(to, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    alarm(30);
    nsec start = nsec_now(CLOCK_MONOTONIC);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        send_octets(from, n);
        _exit(0);
    }
    size_t at = 0, wrong = 0;
    ssize_t k;
    while ((k = recv(to, buf, sizeof buf, 0)) > 0) {
        for (ssize_t i = 0; i < k; i++)
            wrong += buf[i] != octet(at + (size_t)i);
        at += (size_t)k;
    }
    alarm(0);
    nsec took = nsec_now(CLOCK_MONOTONIC) - start;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(from);
    close(to);
    assert_int_equal(wrong, 0);
    assert_int_equal(at, n);
    return took;
}

/* Segments with a wrong checksum that the namespace has seen. */
static unsigned long checksum_errors(int netns)
{
    struct err err = ERR_INIT;
    AUTO_NETNS netns_scope back = NETNS_OUTSIDE;
    kit_ok(netns_enter(netns, &back, &err), &err);
    FILE *f = fopen("/proc/thread-self/net/snmp", "re");
    assert_non_null(f);
    char names[1024], values[1024];
    unsigned long bad = 0;
    while (fgets(names, sizeof names, f) && fgets(values, sizeof values, f)) {
        char *n = NULL, *v = NULL;
        char *name = strtok_r(names, " \n", &n), *value = strtok_r(values, " \n", &v);
        for (; name && value; name = strtok_r(NULL, " \n", &n), value = strtok_r(NULL, " \n", &v))
            if (!strcmp(name, "InCsumErrors"))
                bad += strtoul(value, NULL, 10);
    }
    fclose(f);
    return bad;
}

/* Also what needs it: cutting of large frames. */
static void checksum_offload(struct bed *b, bool on)
{
    struct err err = ERR_INIT;
    AUTO_CLOSE int fd = -1;
    kit_ok(netns_socket(b->p.a_fd, AF_INET, SOCK_DGRAM, 0, &fd, &err), &err);
    struct ethtool_value v = {.cmd = ETHTOOL_STXCSUM, .data = on};
    struct ifreq r = {.ifr_data = (void *)&v};
    memcpy(r.ifr_name, "eth0", 5);
    assert_int_equal(ioctl(fd, SIOCETHTOOL, &r), 0);
}

static void tcp_passes(void **state, bool offload)
{
    const struct impairment asked[] = {
        {.delay = 1 * MS},
        {.delay = 1 * MS, .jitter = 200 * US, .keep_order = true},
        {.rate = 25000000},
        {.loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 0.002}, .duplicate = 0.01},
        {.corrupt = 0.008}, /* of 2,900 frames none: 1 in 10^10 */
    };
    struct bed b;
    bed_open(&b, bed_way(state), 0);
    checksum_offload(&b, offload);
    for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
        bed_port_line(&b, false, (uint16_t)(7001 + i), &asked[i]);
    for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
        for (int six = 0; six < 2; six++) {
            unsigned long before = checksum_errors(b.p.b_fd);
            size_t n = i == 0 ? 32 << 20 : 4 << 20;
            nsec took = transfer(&b, six ? "fd09::2" : "10.9.0.2", (uint16_t)(7001 + i), n);
            unsigned long bad = checksum_errors(b.p.b_fd) - before;
            struct impair_counts c = bed_count(&b, i);
            fprintf(stderr,
                    "# line %zu, IPv%d, offload %d: %.0f MB/s, %lu wrong checksums, %lu "
                    "frames, %lu overflow\n",
                    i, six ? 6 : 4, offload, (double)n / ((double)took / 1e3), bad,
                    (unsigned long)c.matched, (unsigned long)c.overflow);
            if (i < 4)
                assert_int_equal(bad, 0);
            else
                assert_true(c.corrupted > 0);
        }
    bed_close(&b);
}

/* MEASURES TCP in large frames: engine */
static void tcp_is_unharmed(void **state)
{
    tcp_passes(state, true);
}

/* The device neither cuts nor sums: frames are cut before, and sums written from the places that we
 * name. */
static void tcp_is_unharmed_without_offloads(void **state)
{
    tcp_passes(state, false);
}

/* --- Frames beyond 64 kB ------------------------------------------------------------------ */

#define BIG 185000

/* The device in that namespace makes frames of that size, of both families where the kernel can. */
static void allow_big(int netns)
{
    struct err err = ERR_INIT;
    AUTO_CLOSE int fd = -1;
    struct {
        struct nlmsghdr h;
        struct ifinfomsg m;
        struct {
            struct nlattr a;
            uint32_t value;
        } sizes[4];
    } q = {.h = {.nlmsg_len = sizeof q,
                 .nlmsg_type = RTM_NEWLINK,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK}};
    static const uint16_t kinds[] = {IFLA_GSO_MAX_SIZE, IFLA_GRO_MAX_SIZE, 63,
                                     64}; /* and IPv4: 6.3 */
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        q.sizes[i].a = (struct nlattr){sizeof q.sizes[i], kinds[i]};
        q.sizes[i].value = BIG;
    }
    struct {
        struct nlmsghdr h;
        struct nlmsgerr e;
    } answer = {0};
    struct ifreq r = {.ifr_name = "eth0"};
    AUTO_CLOSE int any = -1;
    kit_ok(netns_socket(netns, AF_INET, SOCK_DGRAM, 0, &any, &err), &err);
    assert_int_equal(ioctl(any, SIOCGIFINDEX, &r), 0);
    q.m.ifi_index = r.ifr_ifindex;
    kit_ok(netns_socket(netns, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, &fd, &err), &err);
    assert_int_equal(send(fd, &q, sizeof q, 0), sizeof q);
    assert_true(recv(fd, &answer, sizeof answer, 0) >= (ssize_t)sizeof answer.h);
    assert_int_equal(answer.e.error, 0);
}

/* Counts frames beyond 64 kB that come to the namespace. */
static int big_counter(int netns)
{
    struct err err = ERR_INIT;
    int fd;
    struct sock_filter big[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 65600, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 64),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {ARRAY_SIZE(big), big};
    kit_ok(netns_socket(netns, AF_PACKET, SOCK_RAW, htons(ETH_P_ALL), &fd, &err), &err);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
    return fd;
}

static unsigned big_count(int fd)
{
    struct tpacket_stats s;
    socklen_t n = sizeof s;
    assert_int_equal(getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &s, &n), 0);
    return s.tp_packets;
}

/* The kernel cuts them on their way to us: both intakes are told, or say, that they take 64 kB.
 * MEASURES TCP beyond 64 kB: engine */
static void big_tcp_is_unharmed(void **state)
{
    const struct impairment asked[] = {{.delay = 1 * MS},
                                       {.delay = 1 * MS, .jitter = 100 * US, .keep_order = true}};
    struct bed b;
    bed_open(&b, bed_way(state), 0);
    allow_big(b.p.a_fd);
    allow_big(b.p.b_fd);
    AUTO_CLOSE int counter = big_counter(b.p.b_fd);
    for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
        bed_port_line(&b, false, (uint16_t)(7001 + i), &asked[i]);
        bed_port_line(&b, true, (uint16_t)(7001 + i), &asked[i]);
    }
    for (int six = 0; six < 2; six++) {
        const char *address = six ? "fd09::2" : "10.9.0.2";
        transfer(&b, address, 7000, 32 << 20);
        fprintf(stderr, "# IPv%d: %u frames beyond 64 kB", six ? 6 : 4, big_count(counter));
        for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
            nsec took = transfer(&b, address, (uint16_t)(7001 + i), 8 << 20);
            fprintf(stderr, ", by line %zu %u with %.0f MB/s", i, big_count(counter),
                    (double)(8 << 20) / ((double)took / 1e3));
        }
        fprintf(stderr, "\n");
    }
    assert_int_equal(checksum_errors(b.p.b_fd), 0);
    for (size_t i = 0; i < b.n; i++)
        assert_int_equal(bed_count(&b, i).overflow, 0);
    bed_close(&b);
}

static void both_ways(void **state, uint32_t mtu, const struct impairment *asked, size_t n)
{
    struct bed b;
    bed_open(&b, bed_way(state), mtu);
    for (size_t i = 0; i < n; i++) {
        bed_port_line(&b, true, (uint16_t)(7001 + i), &asked[i]);
        bed_port_line(&b, false, (uint16_t)(7001 + i), &asked[i]);
        for (int six = 0; six < 2; six++) {
            nsec took = transfer(&b, six ? "fd09::2" : "10.9.0.2", (uint16_t)(7001 + i), 8 << 20);
            fprintf(stderr, "# both ways, IPv%d, MTU %u: %.0f MB/s\n", six ? 6 : 4,
                    mtu ? mtu : 1500, (double)(8 << 20) / ((double)took / 1e3));
        }
    }
    assert_int_equal(checksum_errors(b.p.b_fd) + checksum_errors(b.p.a_fd), 0);
    for (size_t i = 0; i < b.n; i++) {
        struct impair_counts c = bed_count(&b, i);
        assert_true(c.matched > 0);
        assert_int_equal(c.overflow, 0);
    }
    bed_close(&b);
}

static void arriving_tcp_is_unharmed(void **state)
{
    const struct impairment asked[] = {{.delay = 1 * MS}, {.delay = 1 * MS, .jitter = 100 * US}};
    both_ways(state, 0, asked, ARRAY_SIZE(asked));
}

/* MEASURES TCP in jumbo frames: engine */
static void tcp_in_jumbo_frames_is_unharmed(void **state)
{
    const struct impairment asked[] = {{.delay = 1 * MS},
                                       {.delay = 1 * MS, .jitter = 100 * US, .keep_order = true}};
    both_ways(state, 9000, asked, ARRAY_SIZE(asked));
}

/* --- Sizes ---------------------------------------------------------------------------- */

/* Where datagrams were lost: what both ends' kernels and the lines counted. */
static void say_where(const struct bed *b)
{
    static const char *const files[] = {"snmp6", "snmp", "dev", "softnet_stat"};
    static const char *const words[] = {"Ip6Reasm", "Udp6", "Ip:", "Udp:", "eth0", "0"};
    const int ends[] = {b->p.a_fd, b->p.b_fd};
    for (size_t e = 0; e < ARRAY_SIZE(ends); e++) {
        AUTO_NETNS netns_scope scope = NETNS_OUTSIDE;
        assert_int_equal(netns_enter(ends[e], &scope, NULL), 0);
        for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
            AUTO_FREE char *text = NULL;
            char path[64], *save = NULL;
            snprintf(path, sizeof path, "/proc/thread-self/net/%s", files[f]);
            if (file_read(AT_FDCWD, path, 1 << 16, &text, NULL, NULL) < 0)
                continue;
            for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
                for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                    if (text_starts(l + strspn(l, " "), words[i])) {
                        fprintf(stderr, "# %c: %s\n", e ? 'b' : 'a', l);
                        break;
                    }
        }
    }
    for (size_t i = 0; i < b->n_streams; i++)
        for (size_t k = 0; k < b->streams[i].n; k++)
            if (!b->streams[i].packets[k].copies)
                fprintf(stderr, "# stream %zu, %zu bytes: number %zu of %zu\n", i,
                        b->streams[i].size, k, b->streams[i].n);
    for (size_t i = 0; i < b->n; i++) {
        struct impair_counts c = bed_count(b, i);
        fprintf(stderr, "# line %zu: matched %llu, passed %llu, overflow %llu, held %llu\n", i,
                (unsigned long long)c.matched, (unsigned long long)c.passed,
                (unsigned long long)c.overflow, (unsigned long long)c.held);
    }
}

static void all_are_unharmed(struct bed *b, uint32_t mtu)
{
    size_t lost = 0;
    for (size_t i = b->n_streams - 3; i < b->n_streams; i++) {
        char name[64];
        snprintf(name, sizeof name, "MTU %u, %zu bytes, %s", mtu, b->streams[i].size,
                 i % 3 == 0   ? "IPv4"
                 : i % 3 == 1 ? "IPv6"
                              : "jitter");
        bed_print(name, &b->streams[i]);
    }
    for (size_t i = 0; i < b->n_streams; i++)
        lost += stream_lost(&b->streams[i]);
    if (lost > 0)
        say_where(b);
    assert_int_equal(lost, 0);
    for (size_t i = 0; i < b->n_streams; i++) {
        assert_int_equal(stream_damaged(&b->streams[i]), 0);
        assert_int_equal(stream_doubled(&b->streams[i]), 0);
    }
}

/* Of that MTU, leaving (or arriving); what is larger goes in fragments. */
static void datagrams_pass(void **state, uint32_t mtu, bool back)
{
    static const size_t sizes[] = {32, 1472, 8972, 30000, 65000};
    const struct impairment ten = {.delay = 10 * MS};
    const struct impairment jitter = {.delay = 10 * MS, .jitter = 5 * MS};
    const struct inet_prefix third[] = {{AF_INET, 32, {10, 9, 0, 3}},
                                        {AF_INET6, 128, {0xfd, 9, [15] = 3}}};
    /* Fragments have no ports: by peer. */
    struct impair_scope peer = {.protocol = -1, .peers = third, .n_peers = 2};
    const char *const to[2][2] = {{"10.9.0.2", "10.9.0.1"}, {"fd09::2", "fd09::1"}};
    const char *const late[2] = {"10.9.0.3", "fd09::3"};
    struct err err = ERR_INIT;
    struct bed b;
    bed_open(&b, bed_way(state), mtu);
    /* Else the kernel gives a datagram up when 64 other fragments come between its own. */
    kit_ok(nl_sysctl(b.p.b, "net/ipv4/ipfrag_max_dist", "0", &err), &err);
    kit_ok(nl_sysctl(b.p.a, "net/ipv4/ipfrag_max_dist", "0", &err), &err);
    /* While a neighbour is asked for, the kernel keeps 208 kB for it and drops the rest. */
    struct stream one = {.n = 1, .size = 32};
    for (int six = 0; six < 2; six++) {
        bed_stream(&b, to[six][back], 7000, back, &one);
        bed_stream(&b, late[six], 7000, false, &one);
    }
    bed_run(&b, 5 * MS);
    bed_forget(&b);
    bed_line(&b, false, &peer, &jitter);
    bed_line(&b, back, NULL, &ten);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct stream spec = {.n = 100, .size = sizes[i], .interval = 5137 * US};
        for (int six = 0; six < 2; six++)
            bed_stream(&b, to[six][back], (uint16_t)(7001 + i), back, &spec);
        bed_stream(&b, late[i % 2], (uint16_t)(7001 + i), false, &spec);
    }
    bed_run(&b, 100 * MS);
    all_are_unharmed(&b, mtu);
    bed_close(&b);
}

/* MEASURES datagrams in fragments, in jumbo frames: engine */
static void datagrams_of_any_size_are_unharmed(void **state)
{
    for (int back = 0; back < 2; back++) {
        datagrams_pass(state, 1500, back);
        datagrams_pass(state, 9000, back);
    }
}

/* MEASURES limit, UDP floods: engine */
static void floods_lose_nothing_in_silence(void **state)
{
    const struct impairment ten = {.delay = 10 * MS};
    const struct impairment narrow = {.delay = 50 * MS, .limit = 100};
    struct bed b;
    bed_open(&b, bed_way(state), 0);
    bed_port_line(&b, false, 7001, &ten);
    bed_port_line(&b, false, 7002, &narrow);
    struct stream flood = {.n = 20000, .size = 100, .interval = 50 * US};
    struct stream slow = {.n = 1000, .size = 100, .interval = 1 * MS};
    size_t lost[3] = {0};
    for (size_t i = 0; i < 6; i++)
        bed_stream(&b, i % 2 ? "fd09::2" : "10.9.0.2", (uint16_t)(7001 + i / 2), false,
                   i < 4 ? &flood : &slow);
    bed_run(&b, 200 * MS);
    for (size_t i = 0; i < 6; i++) {
        const struct stream *s = &b.streams[i];
        bed_print(i < 2 ? "flood" : i < 4 ? "limit 100" : "other", s);
        assert_int_equal(stream_damaged(s), 0);
        lost[i / 2] += stream_lost(s);
    }
    for (size_t i = 0; i < 2; i++) {
        struct impair_counts c = bed_count(&b, i);
        assert_int_equal(c.matched, 2 * flood.n);
        assert_int_equal(c.overflow, lost[i]);
    }
    assert_true(lost[1] > 0);
    assert_int_equal(lost[2], 0);
    /* A user namespace has small buffers; what they lose is counted, above. */
    if (!kit_is_rootless())
        assert_true(lost[0] <= 40);
    bed_close(&b);
}

/* --- Death ---------------------------------------------------------------------------- */

static void heals_when_the_process_dies(void **state)
{
    const struct impairment ten = {.delay = 10 * MS},
                            cut = {.loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 1}};
    struct err err = ERR_INIT;
    struct bed b;
    bed_open(&b, bed_way(state), 0);
    bed_port_line(&b, false, 7001, &ten);
    bed_port_line(&b, true, 7002, &ten);
    bed_port_line(&b, false, 7003, &cut);
    struct stream spec = {.n = 50, .size = 100, .interval = 3137 * US};
    bed_stream(&b, "10.9.0.2", 7001, false, &spec);
    bed_run(&b, 50 * MS);
    bed_near(&b.streams[0], 10 * MS, 1 * MS);
    pid_t pid = engine_pid(b.engine);
    assert_true(pid > 0);
    nsec start = nsec_now(CLOCK_MONOTONIC);
    kill(pid, SIGKILL);
    while (!b.deaths && nsec_now(CLOCK_MONOTONIC) < start + NSEC_SEC)
        kit_ok(loop_turn(b.loop, nsec_now(CLOCK_MONOTONIC) + 100 * MS, &err), &err);
    nsec took = nsec_now(CLOCK_MONOTONIC) - start;
    fprintf(stderr, "# healed after %.2f ms: %s\n", (double)took / 1e6, b.reason);
    assert_int_equal(b.deaths, 1);
    assert_true(took < 50 * MS);
    bed_forget(&b);
    bed_stream(&b, "10.9.0.2", 7001, false, &spec);
    bed_stream(&b, "10.9.0.1", 7002, true, &spec);
    bed_stream(&b, "10.9.0.2", 7003, false, &spec);
    bed_run(&b, 50 * MS);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(stream_lost(&b.streams[i]), 0);
        bed_near(&b.streams[i], 0, 1 * MS);
    }
    assert_int_equal(engine_set(b.lines[0], true, NULL, &err), -EPIPE);
    bed_close(&b);
}

/* How long after the first datagram was sent the last one came late or not at all. */
static nsec harmed_until(const struct stream *s)
{
    for (size_t i = s->n; i-- > 0;)
        if (!s->packets[i].copies || s->packets[i].got - s->packets[i].sent > 5 * MS)
            return (nsec)(i + 1) * s->interval;
    return 0;
}

/* It lives, and does nothing. A while is forgiven, and with eBPF packets pass meanwhile; then it is
 * taken for dead. */
static void heals_when_the_process_stands_still(void **state)
{
    const struct impairment ten = {.delay = 10 * MS};
    struct err err = ERR_INIT;
    struct bed b;
    bed_open(&b, bed_way(state), 0);
    bed_port_line(&b, false, 7001, &ten);
    struct stream spec = {.n = 400, .size = 100, .interval = 1137 * US};
    struct stream *s = bed_stream(&b, "10.9.0.2", 7001, false, &spec);
    pid_t pid = engine_pid(b.engine);
    if (bed_way(state) == BED_TAP) {
        kill(pid, SIGSTOP);
        bed_run(&b, 50 * MS);
        kill(pid, SIGCONT);
        fprintf(stderr, "# packets passed after %.1f ms\n", (double)harmed_until(s) / 1e6);
        assert_true(harmed_until(s) <= 400 * MS);
        assert_true(bed_count(&b, 0).spared > 0);
        (void)poll(NULL, 0, 50);
        bed_forget(&b); /* with what came late */
        s = bed_stream(&b, "10.9.0.2", 7001, false, &spec);
        bed_run(&b, 50 * MS);
        bed_near(s, 10 * MS, 1 * MS);
    }
    nsec start = nsec_now(CLOCK_MONOTONIC);
    kill(pid, SIGSTOP);
    while (!b.deaths && nsec_now(CLOCK_MONOTONIC) < start + 5 * NSEC_SEC)
        kit_ok(loop_turn(b.loop, nsec_now(CLOCK_MONOTONIC) + 100 * MS, &err), &err);
    fprintf(stderr, "# after %.1f ms: %s\n", (double)(nsec_now(CLOCK_MONOTONIC) - start) / 1e6,
            b.reason);
    assert_int_equal(b.deaths, 1);
    assert_non_null(strstr(b.reason, "stood still"));
    assert_true(nsec_now(CLOCK_MONOTONIC) < start + 2 * NSEC_SEC);
    stream_done(s);
    bed_run(&b, 50 * MS);
    assert_int_equal(harmed_until(s), 0);
    bed_close(&b);
}

static void passes_again(const struct duo *p)
{
    struct bed b = {.p = *p};
    struct stream spec = {.n = 500, .size = 100, .interval = 5 * MS};
    bed_stream(&b, "10.9.0.2", 7001, false, &spec);
    bed_stream(&b, "10.9.0.1", 7002, true, &spec);
    bed_stream(&b, "10.9.0.2", 7003, false, &spec);
    bed_run(&b, 50 * MS);
    for (size_t i = 0; i < 3; i++) {
        nsec harmed = harmed_until(&b.streams[i]);
        fprintf(stderr, "# nobody is left: packets passed after %.1f ms\n", (double)harmed / 1e6);
        assert_true(harmed <= (i == 2 ? 2200 * MS : 400 * MS));
    }
    bed_forget(&b);
}

/* The runner is killed, and nobody is left to undo: the process must not stay behind, and packets pass
 * again: because eBPF decides, or by a gate. */
static void dies_with_its_maker(void **state)
{
    int pipe_fds[2];
    struct duo p;
    duo_open(&p, 0);
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    if (child == 0) {
        const struct impairment ten = {.delay = 10 * MS},
                                cut = {.loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 1}};
        struct bed b;
        bed_open_in(&b, bed_way(state), &p);
        b.outlives = true;
        bed_port_line(&b, false, 7001, &ten);
        bed_port_line(&b, true, 7002, &ten);
        bed_port_line(&b, false, 7003, &cut);
        pid_t pid = engine_pid(b.engine);
        (void)!write(pipe_fds[1], &pid, sizeof pid);
        pause();
        _exit(0);
    }
    pid_t pid = 0;
    assert_int_equal(read(pipe_fds[0], &pid, sizeof pid), sizeof pid);
    assert_int_equal(kill(pid, 0), 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    int left = 200;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    while (left-- && kill(pid, 0) == 0) {
        AUTO_FREE char *stat = NULL;
        size_t n;
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        if (file_read(AT_FDCWD, path, 4096, &stat, &n, NULL) < 0 || strstr(stat, ") Z"))
            break; /* dead, and waiting for whoever inherited it */
        usleep(5000);
    }
    assert_true(left > 0);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    passes_again(&p);
    duo_close(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(tcp_is_unharmed),
        cmocka_unit_test(tcp_is_unharmed_without_offloads),
        cmocka_unit_test(arriving_tcp_is_unharmed),
        cmocka_unit_test(tcp_in_jumbo_frames_is_unharmed),
        cmocka_unit_test(big_tcp_is_unharmed),
        cmocka_unit_test(datagrams_of_any_size_are_unharmed),
        cmocka_unit_test(floods_lose_nothing_in_silence),
        cmocka_unit_test(heals_when_the_process_dies),
        cmocka_unit_test(heals_when_the_process_stands_still),
        cmocka_unit_test(dies_with_its_maker),
    };
    return bed_main(argc, argv, all, ARRAY_SIZE(all));
}
