/* The ground floor: units are exact, intervals never wrap, streams are addressed, words are near.
 */
#include "tests/support/test.h"

#include "sim/base/arena.h"
#include "sim/base/buf.h"
#include "sim/base/digest.h"
#include "sim/base/err.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/base/nsec.h"
#include "sim/base/oom.h"
#include "sim/base/rng.h"
#include "sim/base/text.h"
#include "sim/base/units.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

static void durations_are_exact_and_need_a_unit(void **state)
{
    static const struct {
        const char *text;
        nsec value;
    } good[] = {{"250ms", 250000000},   {"3s", 3000000000},        {"0s", 0},
                {"1.5s", 1500000000},   {"0.1s", 100000000},       {"1m30s", 90000000000},
                {"4h", 14400000000000}, {"0.000000001s", 1},       {"7ns", 7},
                {"1d", 86400000000000}, {"2h0.5m", 7230000000000}, {"100us", 100000}};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        nsec v = -1;
        struct err err = ERR_INIT;
        if (units_duration(good[i].text, &v, &err) < 0)
            fail_msg("%s refused: %s", good[i].text, err.text);
        assert_int_equal(v, good[i].value);
        char text[NSEC_TEXT_MAX];
        nsec again = -1;
        assert_int_equal(units_duration(nsec_yaml(v, text), &again, NULL), 0);
        assert_int_equal(again, v);
    }
    static const char *const bad[] = {
        "",    "250",   "ms",     "-3s", "3 s", "3s ", "1e3s", "3sm",           "30s1m", "1s1s",
        "1.s", "0.1ns", "99999d", "5%",  ".5s", "3S",  "nan",  "1.0000000001s", "1w",    "s3"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        nsec v = 42;
        struct err err = ERR_INIT;
        if (units_duration(bad[i], &v, &err) == 0)
            fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(v, 42);
        assert_true(strlen(err.text) > 10);
    }
}

static void percentages_and_sizes(void **state)
{
    double p = -1;
    int64_t n = -1;
    assert_int_equal(units_percent("5%", &p, NULL), 0);
    assert_true(p == 0.05);
    assert_int_equal(units_percent("100%", &p, NULL), 0);
    assert_int_equal(units_percent("100.1%", &p, NULL), -ERANGE);
    assert_int_equal(units_percent("0.5", &p, NULL), -EINVAL);
    assert_int_equal(units_size("1.5kB", &n, NULL), 0);
    assert_int_equal(n, 1500);
    assert_int_equal(units_size("1GiB", &n, NULL), 0);
    assert_int_equal(n, 1 << 30);
    assert_int_equal(units_size("12", &n, NULL), -EINVAL);
    assert_int_equal(units_size("-4B", &n, NULL), 0);
    assert_int_equal(n, -4);
    assert_int_equal(units_size("--4B", &n, NULL), -EINVAL);
    assert_int_equal(units_integer("-12", &n, NULL), 0);
    assert_int_equal(n, -12);
    assert_int_equal(units_integer("12x", &n, NULL), -EINVAL);
    assert_int_equal(units_integer("99999999999999999999", &n, NULL), -ERANGE);
}

static void rates(void **state)
{
    static const struct {
        const char *text, *again;
        int64_t n;
    } good[] = {{"10mbit", "10mbit", 10000000},
                {"1.5mbit", "1500kbit", 1500000},
                {"512kbit", "512kbit", 512000},
                {"8bit", "8bit", 8},
                {"1tbit", "1tbit", INT64_C(1000000000000)}};
    static const char *const bad[] = {"", "10", "10mbps", "mbit", "10 mbit", "-1mbit", "1mbit "};
    char text[UNITS_TEXT_MAX];
    int64_t n = -1;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_int_equal(units_rate(good[i].text, &n, NULL), 0);
        assert_int_equal(n, good[i].n);
        assert_string_equal(units_rate_text(n, text), good[i].again);
    }
    n = 7;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(units_rate(bad[i], &n, NULL), -EINVAL);
    assert_int_equal(units_rate("99999999999999999tbit", &n, NULL), -ERANGE);
    assert_int_equal(n, 7);
    assert_string_equal(units_size_text(64000, text), "64kB");
    assert_string_equal(units_size_text(-4, text), "-4B");
    assert_string_equal(units_size_text(0, text), "0B");
}

static void intervals_saturate(void **state)
{
    assert_int_equal(nsec_add(NSEC_INF, 5), NSEC_INF);
    assert_int_equal(nsec_add(NSEC_INF - 1, 5), NSEC_INF);
    assert_int_equal(nsec_sub(5, NSEC_INF), -NSEC_INF);
    struct span d = span_between((struct span){10, 20}, (struct span){25, NSEC_INF});
    assert_int_equal(d.lo, 5);
    assert_int_equal(d.hi, NSEC_INF);
}

static void times_read_well(void **state)
{
    char b[NSEC_TEXT_MAX];
    assert_string_equal(nsec_text(3200000000, b), "3.2 s");
    assert_string_equal(nsec_text(250 * NSEC_MSEC, b), "250 ms");
    assert_string_equal(nsec_text(4 * 3600 * NSEC_SEC, b), "4 h");
    assert_string_equal(nsec_text(100 * NSEC_SEC, b), "1 min 40 s");
    assert_string_equal(nsec_text(-1500 * NSEC_MSEC, b), "-1.5 s");
    assert_string_equal(nsec_text(999600000, b), "1 s");
    assert_string_equal(nsec_iso(0, b), "1970-01-01T00:00:00.000Z");
}

static void nearest_word_or_none(void **state)
{
    static const char *const words[] = {"timeout", "every", "service", "host", "tcp"};
    assert_string_equal(text_nearest("timout", words, 5), "timeout");
    assert_string_equal(text_nearest("sevrice", words, 5), "service");
    assert_string_equal(text_nearest("Host", words, 5), "host");
    assert_null(text_nearest("database", words, 5));
    assert_null(text_nearest("x", words, 5));
}

static void commands_split_like_a_shell(void **state)
{
    char **v = text_split_argv("nginx -p . -g 'daemon off;' \"a \\\" b\" c\\ d ''");
    assert_non_null(v);
    static const char *const want[] = {"nginx",       "-p",     ".",   "-g",
                                       "daemon off;", "a \" b", "c d", ""};
    for (size_t i = 0; i < ARRAY_SIZE(want); i++)
        assert_string_equal(v[i], want[i]);
    assert_null(v[ARRAY_SIZE(want)]);
    text_free_argv(v);
    assert_null(text_split_argv("echo 'open"));
    v = text_split_argv("  ");
    assert_null(v[0]);
    text_free_argv(v);
}

static void streams_are_addressed(void **state)
{
    struct rng a = rng_stream(7, "phase", 1, 0), b = rng_stream(7, "phase", 1, 0),
               c = rng_stream(7, "phase", 2, 0), d = rng_stream(7, "phasf", 1, 0);
    uint64_t x = rng_next(&a);
    assert_true(x == rng_next(&b));
    assert_true(x != rng_next(&c) && x != rng_next(&d));
    double sum = 0;
    for (int i = 0; i < 100000; i++)
        sum += rng_unit(&a);
    assert_true(sum > 49500 && sum < 50500); /* 5.5 standard deviations */
    unsigned seen = 0;
    for (int i = 0; i < 200; i++)
        seen |= 1u << rng_below(&a, 5);
    assert_int_equal(seen, 31);
}

static void digest_of_abc(void **state)
{
    char hex[DIGEST_HEX];
    digest_sha256("abc", 3, hex); /* FIPS 180-4 example */
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void errors_carry_prefix_and_no_control_characters(void **state)
{
    struct err err = ERR_INIT;
    assert_int_equal(err_errno(&err, ENOENT, "cannot read %s", "a\033[31mb"), -ENOENT);
    assert_int_equal(err_prefix(&err, "lab host %s", "lb1"), -ENOENT);
    assert_string_equal(err.text, "lab host lb1: cannot read a?[31mb: No such file or directory");
    assert_int_equal(err_set(NULL, EPERM, "nobody listens"), -EPERM);
}

static void trees_are_copied_and_removed(void **state)
{
    char dir[] = "/tmp/blackstart-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct err err = ERR_INIT;
    assert_int_equal(file_make_dirs(fd, "a/b/c", 0755, &err), 0);
    assert_int_equal(file_replace(fd, "a/b/f", "hello", 5, &err), 0);
    assert_int_equal(symlinkat("../..", fd, "a/b/up"), 0);
    assert_int_equal(file_copy_tree(fd, "a", fd, "z", &err), 0);
    char *text = NULL;
    size_t n;
    assert_int_equal(file_read(fd, "z/b/f", 100, &text, &n, &err), 0);
    assert_string_equal(text, "hello");
    free(text);
    text = NULL;
    assert_int_equal(file_read(fd, "z/b/f", 4, &text, &n, &err), -EFBIG);
    assert_null(text);
    assert_int_equal(file_remove_tree(fd, "a", &err), 0);
    assert_int_equal(file_remove_tree(fd, "z", &err), 0);
    assert_int_equal(file_remove_tree(fd, "never-there", &err), 0);
    close(fd);
    assert_int_equal(rmdir(dir), 0);
}

static void copies_stay_in_their_folders(void **state)
{
    char dir[] = "/tmp/blackstart-test-XXXXXX", *text;
    assert_non_null(mkdtemp(dir));
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct err err = ERR_INIT;
    size_t n;
    assert_int_equal(file_make_dirs(fd, "from/sub", 0755, &err), 0);
    assert_int_equal(file_make_dirs(fd, "to", 0755, &err), 0);
    assert_int_equal(file_make_dirs(fd, "out", 0755, &err), 0);
    assert_int_equal(file_replace(fd, "out/victim", "keep", 4, &err), 0);
    assert_int_equal(file_replace(fd, "from/sub/f", "own", 3, &err), 0);
    assert_int_equal(symlinkat("../out", fd, "from/link"), 0);
    assert_int_equal(symlinkat("sub", fd, "from/inner"), 0);
    assert_int_equal(symlinkat("../out/victim", fd, "to/f"), 0);
    assert_int_equal(symlinkat("../out", fd, "to/d"), 0);
    AUTO_CLOSE int from = openat(fd, "from", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    AUTO_CLOSE int to = openat(fd, "to", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(file_copy_tree(from, "inner/f", to, "a/b/f", &err), 0);
    assert_int_equal(file_copy_tree(from, "sub/", to, "whole", &err), 0);
    assert_int_equal(file_copy_tree(from, "link/victim", to, "x", &err), -EXDEV);
    assert_non_null(strstr(err.text, "link/victim leads out of its folder by a symbolic link"));
    assert_int_equal(file_copy_tree(from, "../out/victim", to, "x", &err), -EXDEV);
    assert_int_equal(file_copy_tree(from, "sub/..", to, "x", &err), -EXDEV);
    assert_true(file_copy_tree(from, "sub/f", to, "f", &err) < 0);
    assert_true(file_copy_tree(from, "sub/f", to, "d/victim", &err) < 0);
    assert_true(file_copy_tree(from, "sub/f", to, "d/new/f", &err) < 0);
    assert_true(file_copy_tree(from, "sub/f", to, "../out/victim", &err) < 0);
    assert_int_equal(symlinkat("out/victim", fd, "result.new"), 0);
    assert_int_equal(file_replace(fd, "result", "more", 4, &err), 0);
    assert_int_equal(file_read(fd, "out/victim", 100, &text, &n, &err), 0);
    assert_string_equal(text, "keep");
    free(text);
    assert_int_equal(faccessat(fd, "out/new", F_OK, 0), -1);
    assert_int_equal(file_read(to, "a/b/f", 100, &text, &n, &err), 0);
    assert_string_equal(text, "own");
    free(text);
    close(fd);
    assert_int_equal(file_remove_tree(AT_FDCWD, dir, &err), 0);
}

static void json_keeps_order_and_nanoseconds(void **state)
{
    AUTO_JSON *o = json_object();
    json_object_set_new(o, "z", jsonx_new_span((struct span){1, NSEC_INF}));
    json_object_set_new(o, "a", jsonx_new_seconds(3123456789));
    AUTO_BUF b = BUF_INIT;
    jsonx_dump(o, &b);
    assert_string_equal(buf_text(&b), "{\"z\":[1,null],\"a\":3.123456789}");
    struct span s = jsonx_span(json_object_get(o, "z"));
    assert_int_equal(s.lo, 1);
    assert_int_equal(s.hi, NSEC_INF);
}

static void text_from_outside_is_made_printable(void **state)
{
    static const char *const cases[][2] = {
        {"plain \t\n", "plain \t\n"},
        {"\x1b[31mred\x7f\r", "?[31mred??"},
        {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
         "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"cut \xe2\x82", "cut ??"},
        {"\xff\xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80", "??? ??? ????"},
        {"csi \xc2\x9b"
         "31m",
         "csi ??31m"},
        {"\xf0\x80\x80\x80\xc3", "?????"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[64];
        snprintf(text, sizeof text, "%s", cases[i][0]);
        text_make_printable(text, strlen(text));
        assert_string_equal(text, cases[i][1]);
        AUTO_JSON *j = jsonx_new_text(cases[i][0]);
        assert_non_null(j);
    }
    char two[] = "a\0\xff";
    text_make_printable(two, 3);
    assert_memory_equal(two, "a\0?", 3);
    AUTO_JSON *j = jsonx_new_textn("a\0b\xff", 4);
    AUTO_BUF b = BUF_INIT;
    jsonx_dump(j, &b);
    assert_string_equal(buf_text(&b), "\"a?b?\"");
    assert_null(jsonx_new_text(NULL));
    struct err err = ERR_INIT;
    err_set(&err, EINVAL, "%s", "a\xffz");
    assert_string_equal(err.text, "a?z");
}

static long score(void)
{
    AUTO_FREE char *text = NULL;
    size_t n;
    assert_int_equal(file_read(AT_FDCWD, "/proc/self/oom_score_adj", 64, &text, &n, NULL), 0);
    return strtol(text, NULL, 10);
}

/* In a child, so that this process keeps its own. */
static void ours_go_last_and_others_as_ever(void **state)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        long was = score();
        oom_spare();
        long spared = score();
        bool ok = spared == was || (was == 0 && spared == strtol(OOM_SPARED, NULL, 10));
        oom_ordinary();
        ok = ok && score() == was;
        int fd = open("/proc/self/oom_score_adj", O_WRONLY);
        ok = ok && write(fd, "700", 3) == 3; /* given on purpose */
        oom_spare();
        ok = ok && score() == 700;
        oom_ordinary();
        _exit(ok && score() == 700 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_exact_and_need_a_unit),
        cmocka_unit_test(rates),
        cmocka_unit_test(percentages_and_sizes),
        cmocka_unit_test(intervals_saturate),
        cmocka_unit_test(times_read_well),
        cmocka_unit_test(nearest_word_or_none),
        cmocka_unit_test(commands_split_like_a_shell),
        cmocka_unit_test(streams_are_addressed),
        cmocka_unit_test(digest_of_abc),
        cmocka_unit_test(errors_carry_prefix_and_no_control_characters),
        cmocka_unit_test(trees_are_copied_and_removed),
        cmocka_unit_test(copies_stay_in_their_folders),
        cmocka_unit_test(json_keeps_order_and_nanoseconds),
        cmocka_unit_test(text_from_outside_is_made_printable),
        cmocka_unit_test(ours_go_last_and_others_as_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
