/* netem's options byte for byte as the real tc(8) sends them.
 *
 *   test_netem_tc TC_TAP.so    (tests/support/tc_tap.c)
 *
 * Each line is given to tc and, as an impairment, to our encoder; TCA_OPTIONS of both must be equal.
 * Where tc of iproute2 6.1 sends something else on purpose or by a slip, the line says how and why;
 * a later tc that sends what we do is right, too.
 */
#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/kernel/nl.h"
#include "sim/kernel/tc.h"
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LIMIT .limit = 1000 /* tc's, where none is given */
#define MS NSEC_MSEC
#define US NSEC_USEC

/* In which way tc 6.1 differs. */
enum slip {
    SAME,
    /* Sends a correlation of duplicates only if there is another correlation, too: `present` is not
     * set for it (tc/q_netem.c). The kernel then takes 0. */
    NO_CORRELATION,
    /* Knows ticks of 64 ns alone: it rounds down, we add the exact time in 64 bits. */
    TICKS,
    /* Both ways out of a state are rounded up, and their sum wraps to 0 in the kernel's 32 bits, so
     * that one of them never happens; we take one from the second. */
    WRAPPED,
};

static const int16_t own_table[] = {-9000, -4000, -500, 0, 700, 5000, 20000};
#define OWN_TABLE                                                                                  \
    {                                                                                              \
        own_table, ARRAY_SIZE(own_table)                                                           \
    }

static const struct {
    const char *words;
    struct impairment m;
    enum slip slip;
} lines[] = {
    {"", {LIMIT}},
    {"limit 5", {.limit = 5}},
    {"limit 4294967295", {.limit = UINT32_MAX}},
    {"delay 10ms", {.delay = 10 * MS, LIMIT}},
    {"delay 64us", {.delay = 64 * US, LIMIT}},
    {"delay 1s", {.delay = NSEC_SEC, LIMIT}},
    {"delay 274s", {.delay = 274 * NSEC_SEC, LIMIT}},
    {"delay 1us", {.delay = US, LIMIT}, TICKS},
    {"delay 33us 7us", {.delay = 33 * US, .jitter = 7 * US, LIMIT}, TICKS},
    {"delay 100ms 10ms", {.delay = 100 * MS, .jitter = 10 * MS, LIMIT}},
    {"delay 100ms 10ms 25%",
     {.delay = 100 * MS, .jitter = 10 * MS, .delay_correlation = 0.25, LIMIT}},
    {"delay 100ms 10ms distribution normal",
     {.delay = 100 * MS, .jitter = 10 * MS, .distribution = IMPAIR_NORMAL, LIMIT}},
    {"delay 100ms 10ms distribution pareto",
     {.delay = 100 * MS, .jitter = 10 * MS, .distribution = IMPAIR_PARETO, LIMIT}},
    {"delay 100ms 10ms 33.3% distribution paretonormal",
     {.delay = 100 * MS,
      .jitter = 10 * MS,
      .delay_correlation = 0.333,
      .distribution = IMPAIR_PARETONORMAL,
      LIMIT}},
    {"delay 100ms 10ms distribution own",
     {.delay = 100 * MS,
      .jitter = 10 * MS,
      .distribution = IMPAIR_TABLE,
      .table = OWN_TABLE,
      LIMIT}},
    {"loss 0.1%", {.loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 0.001}, LIMIT}},
    {"loss random 50%", {.loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 0.5}, LIMIT}},
    {"loss 100%", {.loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 1}, LIMIT}},
    {"loss 33.3% 66.6%",
     {.loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 0.333, .correlation = 0.666}, LIMIT}},
    {"loss 10% ecn", {.loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 0.1}, .ecn = true, LIMIT}},
    {"loss state 1%",
     {.loss = {.kind = IMPAIR_LOSS_STATE, .p13 = 0.01, .p31 = 0.99, .p23 = 1}, LIMIT}},
    {"loss state 1% 30%",
     {.loss = {.kind = IMPAIR_LOSS_STATE, .p13 = 0.01, .p31 = 0.3, .p23 = 1}, LIMIT}},
    {"loss state 1% 30% 20%",
     {.loss = {.kind = IMPAIR_LOSS_STATE, .p13 = 0.01, .p31 = 0.3, .p32 = 0.2, .p23 = 1}, LIMIT}},
    {"loss state 1% 30% 20% 40%",
     {.loss = {.kind = IMPAIR_LOSS_STATE, .p13 = 0.01, .p31 = 0.3, .p32 = 0.2, .p23 = 0.4}, LIMIT}},
    {"loss state 1% 30% 20% 40% 0.5%",
     {.loss = {.kind = IMPAIR_LOSS_STATE,
               .p13 = 0.01,
               .p31 = 0.3,
               .p32 = 0.2,
               .p23 = 0.4,
               .p14 = 0.005},
      LIMIT}},
    {"loss state 50% 50% 50% 100% 50%",
     {.loss = {.kind = IMPAIR_LOSS_STATE, .p13 = 0.5, .p31 = 0.5, .p32 = 0.5, .p23 = 1, .p14 = 0.5},
      LIMIT},
     WRAPPED},
    {"loss gemodel 1%",
     {.loss = {.kind = IMPAIR_LOSS_GILBERT_ELLIOTT, .p = 0.01, .r = 0.99, .one_minus_h = 1},
      LIMIT}},
    {"loss gemodel 1% 10%",
     {.loss = {.kind = IMPAIR_LOSS_GILBERT_ELLIOTT, .p = 0.01, .r = 0.1, .one_minus_h = 1}, LIMIT}},
    {"loss gemodel 1% 10% 70%",
     {.loss = {.kind = IMPAIR_LOSS_GILBERT_ELLIOTT, .p = 0.01, .r = 0.1, .one_minus_h = 0.7},
      LIMIT}},
    {"loss gemodel 1% 10% 70% 0.1%",
     {.loss = {.kind = IMPAIR_LOSS_GILBERT_ELLIOTT,
               .p = 0.01,
               .r = 0.1,
               .one_minus_h = 0.7,
               .one_minus_k = 0.001},
      LIMIT}},
    {"loss gemodel 1% 10% ecn",
     {.loss = {.kind = IMPAIR_LOSS_GILBERT_ELLIOTT, .p = 0.01, .r = 0.1, .one_minus_h = 1},
      .ecn = true,
      LIMIT}},
    {"duplicate 1%", {.duplicate = 0.01, LIMIT}},
    {"duplicate 10% 50%", {.duplicate = 0.1, .duplicate_correlation = 0.5, LIMIT}, NO_CORRELATION},
    {"loss 1% 5% duplicate 10% 50%",
     {.loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 0.01, .correlation = 0.05},
      .duplicate = 0.1,
      .duplicate_correlation = 0.5,
      LIMIT}},
    {"corrupt 0.1%", {.corrupt = 0.001, LIMIT}},
    {"delay 10ms 1ms 5% corrupt 0.1% 25%",
     {.delay = 10 * MS,
      .jitter = MS,
      .delay_correlation = 0.05,
      .corrupt = 0.001,
      .corrupt_correlation = 0.25,
      LIMIT}},
    {"delay 10ms reorder 25%", {.delay = 10 * MS, .reorder = 0.25, LIMIT}},
    {"delay 10ms 1ms 5% reorder 25% 50%",
     {.delay = 10 * MS,
      .jitter = MS,
      .delay_correlation = 0.05,
      .reorder = 0.25,
      .reorder_correlation = 0.5,
      LIMIT}},
    {"delay 10ms reorder 100% gap 5", {.delay = 10 * MS, .reorder = 1, .gap = 5, LIMIT}},
    {"rate 1mbit", {.rate = 125000, LIMIT}},
    {"rate 5kbit 20", {.rate = 625, .packet_overhead = 20, LIMIT}},
    {"rate 2mbit -14", {.rate = 250000, .packet_overhead = -14, LIMIT}},
    {"rate 256kbit 0 48 5", {.rate = 32000, .cell_size = 48, .cell_overhead = 5, LIMIT}},
    {"rate 256kbit 16 53 -5",
     {.rate = 32000, .packet_overhead = 16, .cell_size = 53, .cell_overhead = -5, LIMIT}},
    {"rate 34359738360bit", {.rate = UINT32_MAX, LIMIT}},
    {"rate 34359738368bit", {.rate = (uint64_t)UINT32_MAX + 1, LIMIT}},
    {"rate 50gbit 4", {.rate = 6250000000, .packet_overhead = 4, LIMIT}},
    {"slot 800us", {.has_slot = true, .slot = {.min = 800 * US, .max = 800 * US}, LIMIT}},
    {"slot 10ms 20ms", {.has_slot = true, .slot = {.min = 10 * MS, .max = 20 * MS}, LIMIT}},
    {"slot 10ms 20ms packets 5 bytes 3000",
     {.has_slot = true,
      .slot = {.min = 10 * MS, .max = 20 * MS, .packets = 5, .bytes = 3000},
      LIMIT}},
    {"slot distribution normal 1ms 100us packets 16",
     {.has_slot = true,
      .slot = {.distributed = true,
               .delay = MS,
               .jitter = 100 * US,
               .distribution = IMPAIR_NORMAL,
               .packets = 16},
      LIMIT}},
    {"delay 5ms 1ms distribution own slot distribution own 2ms 7us bytes 1500",
     {.delay = 5 * MS,
      .jitter = MS,
      .distribution = IMPAIR_TABLE,
      .table = OWN_TABLE,
      .has_slot = true,
      .slot = {.distributed = true,
               .delay = 2 * MS,
               .jitter = 7 * US,
               .distribution = IMPAIR_TABLE,
               .table = OWN_TABLE,
               .bytes = 1500},
      LIMIT}},
    {"limit 77 delay 20ms 3ms 10% loss 2% 20% duplicate 3% 30% corrupt 4% 40% reorder 5% 50% gap 3 "
     "rate 10mbit slot 1ms 2ms ecn distribution pareto",
     {.limit = 77,
      .delay = 20 * MS,
      .jitter = 3 * MS,
      .delay_correlation = 0.1,
      .distribution = IMPAIR_PARETO,
      .loss = {.kind = IMPAIR_LOSS_RANDOM, .ratio = 0.02, .correlation = 0.2},
      .duplicate = 0.03,
      .duplicate_correlation = 0.3,
      .corrupt = 0.04,
      .corrupt_correlation = 0.4,
      .reorder = 0.05,
      .reorder_correlation = 0.5,
      .gap = 3,
      .rate = 1250000,
      .has_slot = true,
      .slot = {.min = MS, .max = 2 * MS},
      .ecn = true}},
};

/* --- What tc says ------------------------------------------------------------ */

struct tap {
    const char *library; /* tc_tap.so */
    char dir[64], file[80];
};

/* The tables that tc knows by name, beside one of our own. */
static void write_tables(const struct tap *t)
{
    static const char *const shipped[] = {"normal", "pareto", "paretonormal"};
    static const char *const from[] = {"/usr/lib/tc", "/usr/lib/x86_64-linux-gnu/tc",
                                       "/usr/lib/aarch64-linux-gnu/tc", "/usr/lib64/tc"};
    AUTO_BUF own = BUF_INIT;
    char path[160];
    buf_adds(&own, "# our own\n");
    for (size_t i = 0; i < ARRAY_SIZE(own_table); i++)
        buf_printf(&own, " %d", own_table[i]);
    snprintf(path, sizeof path, "%s/own.dist", t->dir);
    assert_int_equal(file_replace(AT_FDCWD, path, own.text, own.len, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(shipped); i++) {
        char target[160];
        size_t j = 0;
        do
            snprintf(target, sizeof target, "%s/%s.dist", from[j], shipped[i]);
        while (access(target, R_OK) < 0 && ++j < ARRAY_SIZE(from));
        snprintf(path, sizeof path, "%s/%s.dist", t->dir, shipped[i]);
        assert_int_equal(symlink(target, path), 0);
    }
}

/* tc's message; false: there is no tc. */
static bool message_of_tc(const struct tap *t, const char *words, char **ret, size_t *ret_n)
{
    char copy[256], preload[512], file[128], tables[128];
    const char *argv[64] = {"tc", "qdisc", "add", "dev", "lo", "root", "netem"};
    char *save = NULL;
    size_t n = 7;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        argv[n++] = w;
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", t->library);
    snprintf(file, sizeof file, "TC_TAP_FILE=%s", t->file);
    snprintf(tables, sizeof tables, "TC_LIB_DIR=%s", t->dir);
    char *envp[] = {preload, file, tables, NULL};
    pid_t pid;
    int status = -1;
    unlink(t->file);
    int r = posix_spawnp(&pid, "tc", NULL, NULL, (char **)(uintptr_t)argv, envp);
    if (r == ENOENT)
        return false;
    assert_int_equal(r, 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0)
        fail_msg("tc refuses: %s", words);
    assert_int_equal(file_read(AT_FDCWD, t->file, 1 << 20, ret, ret_n, NULL), 0);
    return true;
}

/* --- Comparison -------------------------------------------------------------- */

static struct buf options_of(const void *message, size_t n)
{
    struct buf options = BUF_INIT;
    struct nlmsghdr h;
    memcpy(&h, message, sizeof h);
    assert_true(h.nlmsg_len <= n);
    int left = (int)(h.nlmsg_len - NLMSG_LENGTH(sizeof(struct tcmsg)));
    const char *at = (const char *)message + NLMSG_LENGTH(sizeof(struct tcmsg));
    for (const struct rtattr *a = (const void *)at; RTA_OK(a, left); a = RTA_NEXT(a, left))
        if (a->rta_type == TCA_OPTIONS)
            buf_add(&options, RTA_DATA(a), RTA_PAYLOAD(a));
    assert_true(options.len >= sizeof(struct tc_netem_qopt));
    return options;
}

/* The options without attributes of these types. */
static struct buf without(const struct buf *from, int type, int other)
{
    struct buf b = BUF_INIT;
    int left = (int)(from->len - sizeof(struct tc_netem_qopt));
    const char *at = from->text + sizeof(struct tc_netem_qopt);
    buf_add(&b, from->text, sizeof(struct tc_netem_qopt));
    for (const struct rtattr *a = (const void *)at; RTA_OK(a, left); a = RTA_NEXT(a, left))
        if (a->rta_type != type && a->rta_type != other)
            buf_add(&b, a, RTA_ALIGN(a->rta_len));
    return b;
}

static bool equal(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

static bool equal_but(const struct buf *tc, struct buf *ours, enum slip slip)
{
    if (equal(tc, ours))
        return true;
    struct buf less = BUF_INIT;
    bool same = false;
    switch (slip) {
    case SAME:
        break;
    case NO_CORRELATION:
        less = without(ours, TCA_NETEM_CORR, TCA_NETEM_CORR);
        same = equal(tc, &less);
        break;
    case TICKS:
        less = without(ours, TCA_NETEM_LATENCY64, TCA_NETEM_JITTER64);
        same = less.len < ours->len && equal(tc, &less);
        break;
    case WRAPPED: {
        /* the model is the last: p13, p31, p32, p14, p23 */
        uint32_t p[5];
        memcpy(p, ours->text + ours->len - sizeof p, sizeof p);
        p[2]++;
        p[3]++;
        memcpy(ours->text + ours->len - sizeof p, p, sizeof p);
        same = equal(tc, ours);
        break;
    }
    }
    buf_done(&less);
    return same;
}

static void print_bytes(const char *who, const struct buf *b)
{
    print_error("%s, %zu bytes:", who, b->len);
    for (size_t i = 0; i < b->len && i < 160; i++)
        print_error("%s%02x", i % 4 ? "" : " ", (unsigned char)b->text[i]);
    print_error("\n");
}

static void options_are_those_of_tc(void **state)
{
    const struct tap *t = *state;
    size_t differ = 0;
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct nl *nl = NULL;
        struct err err = ERR_INIT;
        AUTO_FREE char *message = NULL;
        size_t n = 0;
        if (!message_of_tc(t, lines[i].words, &message, &n)) {
            print_message("there is no tc (package iproute2)\n");
            skip();
        }
        assert_int_equal(nl_open_recording("here", &nl, NULL), 0);
        tc_netem_add(nl, "lo", 1, &lines[i].m);
        if (nl_flush(nl, &err) < 0)
            fail_msg("%s: %s", lines[i].words, err.text);
        struct nl_seen s = nl_recorded_at(nl, 0);
        struct buf tc = options_of(message, n), ours = options_of(s.bytes, s.n);
        if (!equal_but(&tc, &ours, lines[i].slip)) {
            print_error("netem %s\n", lines[i].words);
            print_bytes("  tc", &tc);
            print_bytes("ours", &ours);
            differ++;
        }
        buf_done(&tc);
        buf_done(&ours);
        nl_free(nl);
    }
    assert_int_equal(differ, 0);
    assert_true(ARRAY_SIZE(lines) >= 40);
}

int main(int argc, char **argv)
{
    static struct tap t;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(options_are_those_of_tc, &t),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: test_netem_tc TC_TAP.so\n");
        return 2;
    }
    t.library = argv[1];
    snprintf(t.dir, sizeof t.dir, "/tmp/blackstart-netem-XXXXXX");
    if (!mkdtemp(t.dir))
        return 1;
    snprintf(t.file, sizeof t.file, "%s/message", t.dir);
    write_tables(&t);
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    file_remove_tree(AT_FDCWD, t.dir, NULL);
    return r;
}
