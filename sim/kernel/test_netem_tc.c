/* netem's options byte for byte as the real tc(8) sends them.
 *
 *   test_netem_tc TC_TAP.so    (tests/support/tc_tap.c)
 *
 * Each line of test_netem_cases.h is given to tc and, as an impairment, to our encoder; TCA_OPTIONS of
 * both must be equal but for what that line allows. A later tc that sends what we do is right, too.
 */
#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/kernel/nl.h"
#include "sim/kernel/tc.h"
#include "sim/kernel/test_netem_cases.h"
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

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

/* The attribute at *at, before `end`, which moves on to the next; false at the end. */
static bool next_attribute(const char **at, const char *end, struct rtattr *ret,
                           const char **ret_bytes)
{
    if (end - *at < (ptrdiff_t)sizeof *ret)
        return false;
    memcpy(ret, *at, sizeof *ret);
    assert_true(ret->rta_len >= sizeof *ret && ret->rta_len <= end - *at);
    *ret_bytes = *at;
    ptrdiff_t step = RTA_ALIGN(ret->rta_len);
    *at = step < end - *at ? *at + step : end;
    return true;
}

static struct buf options_of(const char *message, size_t n)
{
    struct buf options = BUF_INIT;
    struct nlmsghdr h;
    struct rtattr a;
    memcpy(&h, message, sizeof h);
    assert_true(h.nlmsg_len <= n);
    const char *at = message + NLMSG_LENGTH(sizeof(struct tcmsg)), *bytes;
    while (next_attribute(&at, message + h.nlmsg_len, &a, &bytes))
        if (a.rta_type == TCA_OPTIONS)
            buf_add(&options, bytes + RTA_LENGTH(0), RTA_PAYLOAD(&a));
    assert_true(options.len >= sizeof(struct tc_netem_qopt));
    return options;
}

/* The options without attributes of these types. */
static struct buf without(const struct buf *from, int type, int other)
{
    struct buf b = BUF_INIT;
    struct rtattr a;
    const char *at = from->text + sizeof(struct tc_netem_qopt), *bytes;
    buf_add(&b, from->text, sizeof(struct tc_netem_qopt));
    while (next_attribute(&at, from->text + from->len, &a, &bytes))
        if (a.rta_type != type && a.rta_type != other)
            buf_add(&b, bytes, RTA_ALIGN(a.rta_len));
    return b;
}

static bool equal(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

static bool equal_but(const struct buf *tc, struct buf *ours, enum netem_slip slip)
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
    for (size_t i = 0; i < ARRAY_SIZE(netem_cases); i++) {
        struct nl *nl = NULL;
        struct err err = ERR_INIT;
        AUTO_FREE char *message = NULL;
        size_t n = 0;
        if (!message_of_tc(t, netem_cases[i].words, &message, &n)) {
            test_skip("there is no tc (package iproute2)");
        }
        assert_int_equal(nl_open_recording("here", &nl, NULL), 0);
        tc_netem_add(nl, "lo", 1, &netem_cases[i].m);
        if (nl_flush(nl, &err) < 0)
            fail_msg("%s: %s", netem_cases[i].words, err.text);
        struct nl_seen s = nl_recorded_at(nl, 0);
        struct buf tc = options_of(message, n), ours = options_of(s.bytes, s.n);
        if (!equal_but(&tc, &ours, netem_cases[i].slip)) {
            print_error("netem %s\n", netem_cases[i].words);
            print_bytes("  tc", &tc);
            print_bytes("ours", &ours);
            differ++;
        }
        buf_done(&tc);
        buf_done(&ours);
        nl_free(nl);
    }
    assert_int_equal(differ, 0);
    assert_true(ARRAY_SIZE(netem_cases) >= 40);
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
