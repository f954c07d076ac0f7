/* What needs no network: tables, addresses, patterns, following a file, letters that wait. */
#include "tests/support/test.h"

#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/watch/address.h"
#include "sim/watch/filter.h"
#include "sim/watch/follow.h"
#include "sim/watch/kinds.h"
#include "sim/watch/letter.h"
#include "sim/watch/pattern.h"
#include "sim/watch/schedule.h"
#include "sim/watch/stamp.h"
#include "sim/watch/watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* --- Tables ---------------------------------------------------------------------------------- */

static void record_is_sane(const struct record *r)
{
    assert_non_null(r->name);
    assert_true(strlen(r->summary) > 10);
    bool has_shorthand = !r->shorthand;
    for (const struct field *f = r->fields; f->key; f++) {
        has_shorthand |= r->shorthand && strcmp(f->key, r->shorthand) == 0;
        if (!f->help || strlen(f->help) < 15 || f->help[strlen(f->help) - 1] != '.')
            fail_msg("%s.%s needs a sentence of help", r->name, f->key);
        if (!f->example)
            fail_msg("%s.%s needs an example", r->name, f->key);
        assert_true(f->offset < r->size);
        for (const struct field *g = r->fields; g != f; g++)
            assert_string_not_equal(f->key, g->key);
        if (f->type == FIELD_DURATION || f->type == FIELD_INTEGER)
            assert_true((f->min > 0 || r == &distribution_record) && f->max > f->min);
        if (f->type == FIELD_OBJECT)
            record_is_sane(f->record);
    }
    assert_true(has_shorthand);
}

static void kinds_are_sorted_and_documented(void **state)
{
    const struct variant *const *const registries[] = {watch_probe_kinds, watch_alarm_kinds};
    for (size_t i = 0; i < 2; i++)
        for (const struct variant *const *v = registries[i]; *v; v++) {
            if (v[1])
                assert_true(strcmp(v[0]->name, v[1]->name) < 0);
            assert_true(strlen(v[0]->summary) > 10);
            assert_true(strlen(v[0]->detail) > 40);
            assert_non_null(v[0]->impl);
            record_is_sane(v[0]->params);
        }
    for (const struct variant *const *v = watch_probe_kinds; *v; v++) {
        const struct probe_kind *k = v[0]->impl;
        assert_true(k->start && k->cancel);
    }
    for (const struct variant *const *v = watch_alarm_kinds; *v; v++) {
        const struct alarm_kind *k = v[0]->impl;
        assert_non_null(k->host);
    }
}

/* --- Checks ---------------------------------------------------------------------------------- */

static char *lb1_addresses[] = {(char *)"10.20.0.11/24", (char *)"fd00::11/64"};
static struct lab_host lb1_lab = {.addresses = {lb1_addresses, 2}};
static struct unit keepalived = {.command = (char *)"keepalived -n", .name = (char *)"keepalived"};
static void *lb1_start[] = {&keepalived};
static struct host lb1 = {.name = (char *)"lb1", .lab = &lb1_lab, .start = {lb1_start, 1}};
static void *hosts[] = {&lb1};
static const struct scenario scenario = {.hosts = {hosts, 1}};

static void addresses_are_numbers_or_hosts(void **state)
{
    static const struct {
        const char *text, *ip;
        int port;
    } good[] = {{"10.0.0.1:80", "10.0.0.1", 80},    {"[fd00::1]:443", "fd00::1", 443},
                {"lb1:65535", "10.20.0.11", 65535}, {"10.0.0.1", "10.0.0.1", 0},
                {"fd00::1", "fd00::1", 0},          {"lb1", "10.20.0.11", 0}};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        struct address a;
        struct err err = ERR_INIT;
        if (address_parse(&scenario, good[i].text, good[i].port > 0, &a, &err) < 0)
            fail_msg("%s: %s", good[i].text, err.text);
        char ip[INET6_ADDRSTRLEN];
        const struct sockaddr_in *v4 = (struct sockaddr_in *)&a.ss;
        const struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a.ss;
        bool is4 = a.ss.ss_family == AF_INET;
        inet_ntop(a.ss.ss_family, is4 ? (const void *)&v4->sin_addr : &v6->sin6_addr, ip,
                  sizeof ip);
        assert_string_equal(ip, good[i].ip);
        assert_int_equal(ntohs(is4 ? v4->sin_port : v6->sin6_port), good[i].port);
    }
    static const char *const bad[] = {"10.0.0.1",    "10.0.0.1:",      "10.0.0.1:0",
                                      "lb1:65536",   "fd00::1:80",     "[fd00::1]",
                                      "nobody:80",   "10.0.0.300:80",  ":80",
                                      "10.0.0.1:8o", "10.0.0.1/24:80", "example.com:80"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct address a;
        struct err err = ERR_INIT;
        if (address_parse(&scenario, bad[i], true, &a, &err) != -EINVAL || strlen(err.text) < 20)
            fail_msg("'%s' was taken", bad[i]);
    }
}

static const struct variant *kind(const struct variant *const *registry, const char *name)
{
    for (; *registry; registry++)
        if (strcmp((*registry)->name, name) == 0)
            return *registry;
    fail_msg("no kind %s", name);
    return NULL;
}

static void check_says(int r, const struct err *err, const char *words)
{
    if (!words) {
        if (r < 0)
            fail_msg("%s", err->text);
        return;
    }
    assert_int_equal(r, -EINVAL);
    if (!strstr(err->text, words))
        fail_msg("'%s' lacks '%s'", err->text, words);
}

static void probe_check(const char *name, void *params, const char *words)
{
    const struct probe_kind *k = kind(watch_probe_kinds, name)->impl;
    struct err err = ERR_INIT;
    check_says(k->check ? k->check(&scenario, params, &err) : 0, &err, words);
}

static void alarm_check(const char *name, void *params, const char *words)
{
    const struct alarm_kind *k = kind(watch_alarm_kinds, name)->impl;
    struct err err = ERR_INIT;
    check_says(k->check ? k->check(&scenario, params, &err) : 0, &err, words);
}

static void what_tables_cannot_say_is_checked(void **state)
{
#define T(s) ((char *)(s))
    probe_check("http", &(struct http_params){.url = T("http://10.0.0.1/")}, NULL);
    probe_check("http", &(struct http_params){.url = T("10.0.0.1")}, "is not a URL");
    struct expect_params odd = {.match = T("(")};
    probe_check("http", &(struct http_params){.url = T("http://a/"), .expect = &odd},
                "'(' is not an extended regular expression");
    probe_check("tcp", &(struct tcp_params){.address = T("lb1:80")}, NULL);
    probe_check("tcp", &(struct tcp_params){.address = T("lb1")}, "has no port");
    probe_check("icmp", &(struct icmp_params){.address = T("lb9")}, "nor a host of this scenario");
    probe_check("exec", &(struct exec_params){.command = T("true")}, NULL);

    struct log_params log = {.host = T("lb1"), .output = T("keepalived"), .match = T("MASTER")};
    alarm_check("log", &log, NULL);
    log.file = T("x.log");
    alarm_check("log", &log, "either `output`");
    log.file = NULL;
    log.output = T("nginx");
    alarm_check("log", &log, "host lb1 starts nothing whose output is named nginx");
    struct packets_params packets = {.host = T("lb1"), .sender = T("lb1"), .filter = T("arp")};
    alarm_check("packets", &packets, NULL);
    packets.filter = T("arp and or");
    alarm_check("packets", &packets, "'arp and or' is not a filter of packets: ");
    alarm_check("threshold", &(struct threshold_params){0}, NULL);
    alarm_check("threshold", &(struct threshold_params){.own = {.at_least = 1}},
                "'at_least' is 1, and it is about 0 probes");
    alarm_check("ratio", &(struct ratio_params){.above = 1},
                "no share of bad answers is above 100%");
    struct burn_rate_params burn = {.slo = 0.9, .factor = 14.4, .longer = 3600, .shorter = 300};
    alarm_check("burn_rate", &burn, "no share of bad answers is above 144%");
    burn.slo = 0.999;
    alarm_check("burn_rate", &burn, NULL);
    burn.shorter = 3600;
    alarm_check("burn_rate", &burn, "'short' must be shorter than 'long'");
    alarm_check("exec", &(struct check_params){0}, NULL);
}

static void patterns_hold_at_lines_and_past_nul(void **state)
{
    AUTO_PATTERN p = PATTERN_INIT;
    assert_int_equal(pattern_compile(&p, "^status: (green|yellow)$", NULL), 0);
    assert_true(pattern_matches(&p, "a\nstatus: green\nb", 17));
    assert_false(pattern_matches(&p, "a\nstatus: green!\nb", 18));
    assert_true(pattern_matches(&p, "\0\nstatus: yellow", 16));
    assert_false(pattern_matches(&p, "status: yellow", 13)); /* the length counts */
}

/* --- Following a file ------------------------------------------------------------------------ */

struct lines {
    struct buf text;
    nsec since;
};

static void got_line(const char *line, size_t n, nsec since, void *data)
{
    struct lines *l = data;
    buf_printf(&l->text, "%.*s|", (int)n, line);
    l->since = since;
}

static void append(int dir, const char *name, const char *text)
{
    AUTO_CLOSE int fd = openat(dir, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void look(struct follow *f, struct lines *l, nsec now, const char *want)
{
    buf_clear(&l->text);
    assert_true(follow_look(f, now));
    assert_string_equal(buf_text(&l->text), want);
}

static void a_log_is_followed_through_rotation(void **state)
{
    char path[] = "/tmp/blackstart-follow-XXXXXX", log[64];
    assert_non_null(mkdtemp(path));
    AUTO_CLOSE int dir = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    snprintf(log, sizeof log, "%s/log", path);
    append(dir, "log", "old\nolder");
    struct lines l = {.text = BUF_INIT};
    struct follow *f = follow_new(log, 10, got_line, &l);
    look(f, &l, 20, ""); /* what stood there does not count */
    append(dir, "log", " tail\none\ntwo\nhal");
    look(f, &l, 30, " tail|one|two|");
    assert_int_equal(l.since, 20);
    append(dir, "log", "f\n");
    look(f, &l, 40, "half|");

    /* renamed; the writer goes on in the old file, then in a new one */
    append(dir, "log", "before\n");
    assert_int_equal(renameat(dir, "log", dir, "log.1"), 0);
    append(dir, "log.1", "after\n");
    look(f, &l, 50, "before|after|");
    look(f, &l, 60, "");
    append(dir, "log", "new one\n");
    append(dir, "log.1", "late in the old one\n");
    look(f, &l, 70, "late in the old one|new one|");
    look(f, &l, 60 * NSEC_SEC, "");
    append(dir, "log.1", "much too late\n");
    append(dir, "log", "new two\n");
    look(f, &l, 61 * NSEC_SEC, "new two|");

    /* truncated, with half a line read before */
    append(dir, "log", "no end");
    look(f, &l, 62 * NSEC_SEC, "");
    assert_int_equal(truncate(log, 0), 0);
    append(dir, "log", "x\n");
    look(f, &l, 63 * NSEC_SEC, "x|");

    /* removed, and there again */
    assert_int_equal(unlinkat(dir, "log", 0), 0);
    look(f, &l, 64 * NSEC_SEC, "");
    append(dir, "log", "again\n");
    look(f, &l, 65 * NSEC_SEC, "again|");
    follow_free(f);

    /* not there at first: then all of it is new */
    assert_int_equal(unlinkat(dir, "log", 0), 0);
    f = follow_new(log, 1, got_line, &l);
    look(f, &l, 2, "");
    append(dir, "log", "first\n");
    look(f, &l, 3, "first|");
    follow_free(f);

    /* something that is no file */
    assert_int_equal(unlinkat(dir, "log", 0), 0);
    assert_int_equal(mkdirat(dir, "log", 0700), 0);
    f = follow_new(log, 1, got_line, &l);
    assert_false(follow_look(f, 2));
    follow_free(f);
    assert_null(follow_free(NULL));
    buf_done(&l.text);
    assert_int_equal(file_remove_tree(AT_FDCWD, path, NULL), 0);
}

static void lines_without_end_are_bounded(void **state)
{
    char path[] = "/tmp/blackstart-follow-XXXXXX", log[64];
    assert_non_null(mkdtemp(path));
    AUTO_CLOSE int dir = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    snprintf(log, sizeof log, "%s/log", path);
    struct lines l = {.text = BUF_INIT};
    struct follow *f = follow_new(log, 1, got_line, &l);
    char block[1001];
    memset(block, 'x', 1000);
    block[1000] = '\0';
    for (int i = 0; i < 200; i++)
        append(dir, "log", block);
    append(dir, "log", "\nshort\n");
    assert_true(follow_look(f, 2));
    assert_int_equal(l.text.len, 65536 + 1 + 6);
    assert_string_equal(l.text.text + 65536, "|short|");
    follow_free(f);
    buf_done(&l.text);
    assert_int_equal(file_remove_tree(AT_FDCWD, path, NULL), 0);
}

/* --- Schedules, in virtual time -------------------------------------------------------------- */

struct beat {
    struct loop *loop;
    struct schedule schedule;
    struct loop_timer timer;
    struct buf log;
    nsec held_up; /* once: the process gets no CPU for so long */
};

static void beat_due(struct loop_timer *t, void *data)
{
    struct beat *b = data;
    int64_t skipped;
    nsec now = loop_now(b->loop), at = schedule_take(&b->schedule, now, &skipped);
    buf_printf(&b->log, "%lld@%lld-%lld ", (long long)at, (long long)now, (long long)skipped);
    nsec next = schedule_next(&b->schedule);
    assert_true(next > now);
    if (b->schedule.slot > 2 && b->held_up) { /* woken that much later than asked */
        next += b->held_up;
        b->held_up = 0;
    }
    if (now < 1000)
        loop_timer_set(b->loop, t, next);
}

static void schedules_never_drift_and_never_burst(void **state)
{
    struct beat b = {.schedule = {.first = 7, .every = 100}, .held_up = 350};
    assert_int_equal(loop_new(LOOP_VIRTUAL, &b.loop, NULL), 0);
    b.timer = (struct loop_timer){.fn = beat_due, .data = &b};
    loop_timer_set(b.loop, &b.timer, schedule_next(&b.schedule));
    assert_int_equal(loop_run(b.loop, NULL), 0);
    assert_string_equal(buf_text(&b.log), "7@7-0 107@107-0 207@207-0 307@657-3 707@707-0 807@807-0 "
                                          "907@907-0 1007@1007-0 ");
    buf_done(&b.log);
    loop_free(b.loop);
    struct schedule s = {.first = 1000, .every = 10}; /* begun late: the same */
    int64_t skipped;
    assert_int_equal(schedule_take(&s, 1035, &skipped), 1000);
    assert_int_equal(skipped, 3);
    assert_int_equal(schedule_next(&s), 1040);
}

/* --- Stamps of packets ----------------------------------------------------------------------- */

static void stamps_know_what_the_wall_clock_may_have_done(void **state)
{
    struct stamp_clock c;
    nsec second = NSEC_SEC, off = 1000000 * NSEC_SEC;
    stamp_start(&c, (struct stamp_offset){off, off + 50, second});
    /* slewed by 100 us in 250 ms: no step, and the stamp covers it */
    assert_int_equal(
        stamp_next(&c, (struct stamp_offset){off + 100000, off + 100040, second + 250 * NSEC_MSEC}),
        0);
    struct span at = stamp_when(&c, off + second + 1000000, NSEC_INF);
    assert_int_equal(at.lo, second + 1000000 - 100040);
    assert_int_equal(at.hi, second + 1000000);
    /* set back by an hour: said, and the stamp may be of either side */
    nsec hour = 3600 * NSEC_SEC;
    nsec by = stamp_next(
        &c, (struct stamp_offset){off - hour, off - hour + 60, second + 500 * NSEC_MSEC});
    assert_true(by < -hour + NSEC_MSEC && by >= -hour - NSEC_MSEC);
    at = stamp_when(&c, off - hour + second + 400 * NSEC_MSEC, second + 450 * NSEC_MSEC);
    assert_true(at.lo < second - hour / 2);
    assert_true(at.hi >= second + 400 * NSEC_MSEC && at.hi <= second + 450 * NSEC_MSEC);
    /* steady again: narrow again, and never later than now */
    assert_int_equal(stamp_next(&c, (struct stamp_offset){off - hour, off - hour + 60,
                                                          second + 750 * NSEC_MSEC}),
                     0);
    at = stamp_when(&c, off - hour + second + 700 * NSEC_MSEC, NSEC_INF);
    assert_int_equal(at.hi - at.lo, 60);
    at = stamp_when(&c, off + second, second);
    assert_int_equal(at.hi, second);
    assert_true(at.lo <= at.hi);
    /* forwards; and a sample that was interrupted for long is no step by itself */
    assert_true(stamp_next(&c, (struct stamp_offset){off, off + 60, 2 * second}) > 0);
    assert_int_equal(stamp_next(&c, (struct stamp_offset){off - second, off + 60, 3 * second}), 0);
    struct stamp_offset real = stamp_sample();
    assert_true(real.hi >= real.lo && real.at > 0);
}

/* --- Letters --------------------------------------------------------------------------------- */

static void put_one(struct outbox *o, uint64_t n)
{
    struct letter w = {.kind = LETTER_OBS, .n = n, .a = (nsec)n, .c = -5};
    outbox_put(o, &w, n % 2 ? "words\n\033[31m" : NULL);
}

static void a_slow_reader_loses_nothing(void **state)
{
    enum { N = 5000, EARLY = 2000 };
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    struct loop *loop = NULL;
    assert_int_equal(loop_new(LOOP_REAL, &loop, NULL), 0);
    struct outbox o;
    outbox_init(&o, loop, ends[0]);
    uint64_t put = 0;
    while (put < EARLY)
        put_one(&o, put++);
    assert_true(o.n > EARLY / 2); /* more waits than the socket takes */
    struct letter got;
    for (uint64_t i = 0; i < N; i++) {
        int r = letter_recv(ends[1], &got);
        if (put < N) /* there is room in the socket now, but others wait */
            put_one(&o, put++);
        if (r == -EAGAIN) {
            assert_int_equal(loop_turn(loop, NSEC_INF, NULL), 0);
            r = letter_recv(ends[1], &got);
        }
        assert_int_equal(r, 0);
        assert_int_equal(got.n, i);
        assert_int_equal(got.c, -5);
        assert_string_equal(got.text, i % 2 ? "words??[31m" : "");
    }
    assert_int_equal(o.n, 0);
    close(ends[0]);
    assert_int_equal(letter_recv(ends[1], &got), 1);
    close(ends[1]);
    outbox_done(&o);
    loop_free(loop);
}

static void texts_too_long_are_cut(void **state)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    struct loop *loop = NULL;
    assert_int_equal(loop_new(LOOP_REAL, &loop, NULL), 0);
    struct outbox o;
    outbox_init(&o, loop, ends[0]);
    char text[2 * LETTER_TEXT_MAX];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    struct letter w = {.kind = LETTER_TROUBLE}, got;
    outbox_put(&o, &w, text);
    assert_int_equal(letter_recv(ends[1], &got), 0);
    assert_int_equal(strlen(got.text), LETTER_TEXT_MAX - 1);
    outbox_done(&o);
    close(ends[0]);
    close(ends[1]);
    loop_free(loop);
}

/* Names of hosts are found, and nothing else is taken for one. */
static void filters_that_name_hosts(void **state)
{
    (void)state;
    static const char *const fine[] = {
        "arp",
        "arp and arp[14:4] = arp[24:4] and arp src host 10.20.0.100",
        "tcp port http or https",
        "tcp and dst port domain and not src net 10.0.0.0/8",
        "src or dst port 80",
        "tcp portrange 8000-8080",
        "ether src 02:00:0a:14:00:0b or ether host 00-11-22-33-44-55",
        "ip6 host fd00::1 or ::1",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
        "icmp[icmptype] != icmp-echo and icmp6[icmp6type] = icmp6-echoreply",
        "ip[2:2] - ((ip[0]&0xf)<<2) != 0 and len > 60",
        "ether proto 0x88cc or ether[0] & 1 = 0",
        "ip proto \\tcp and ether multicast and vlan 7 and less 100",
        "dst net 192.168.0.0 mask 255.255.0.0",
        "VRRP or carp or ip proto 112",
    };
    static const struct {
        const char *filter, *name;
    } named[] = {{"host lb1", "lb1"},
                 {"tcp and src db.example.com", "db.example.com"},
                 {"arp andd", "andd"},
                 {"port 80 and src client", "client"},
                 {"dst net loopback", "loopback"},
                 {"ether host router", "router"},
                 {"host 10.0.0.1 or cafe", "cafe"},
                 {"host \\tcp", "tcp"}};
    char name[32];
    for (size_t i = 0; i < ARRAY_SIZE(fine); i++)
        if (filter_names_host(fine[i], name, sizeof name))
            fail_msg("'%s': '%s' is taken for a host", fine[i], name);
    for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
        if (!filter_names_host(named[i].filter, name, sizeof name))
            fail_msg("'%s' names a host", named[i].filter);
        assert_string_equal(name, named[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_that_name_hosts),
        cmocka_unit_test(kinds_are_sorted_and_documented),
        cmocka_unit_test(addresses_are_numbers_or_hosts),
        cmocka_unit_test(what_tables_cannot_say_is_checked),
        cmocka_unit_test(patterns_hold_at_lines_and_past_nul),
        cmocka_unit_test(a_log_is_followed_through_rotation),
        cmocka_unit_test(lines_without_end_are_bounded),
        cmocka_unit_test(schedules_never_drift_and_never_burst),
        cmocka_unit_test(stamps_know_what_the_wall_clock_may_have_done),
        cmocka_unit_test(a_slow_reader_loses_nothing),
        cmocka_unit_test(texts_too_long_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
