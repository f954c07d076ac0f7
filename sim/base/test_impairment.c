/* Limits and distribution tables of impairments. */
#include "sim/base/digest.h"
#include "sim/base/file.h"
#include "sim/base/impairment.h"
#include "sim/base/rng.h"
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>

static void limits_hold_what_is_under_way(void **state)
{
    static const struct {
        struct impairment m;
        uint32_t want;
    } cases[] = {
        {{.delay = NSEC_SEC, .limit = 7}, 7},
        {{0}, 1000},
        {{.delay = 100 * NSEC_USEC}, 1000},
        {{.delay = 50 * NSEC_MSEC}, 75000},
        {{.delay = 50 * NSEC_MSEC, .jitter = 10 * NSEC_MSEC}, 135000},
        {{.delay = 100 * NSEC_SEC}, 4000000},
        {{.delay = NSEC_INF, .jitter = NSEC_INF}, 4000000},
        /* 10 Mbit/s: 50 ms in frames of 64 bytes, 200 ms in frames of 1,500 */
        {{.delay = 50 * NSEC_MSEC, .rate = 1250000}, 976 + 167},
        {{.rate = 1000}, 64},
        {{.rate = UINT64_MAX}, 4000000},
        {{.has_slot = true, .slot = {.min = 1, .max = 10 * NSEC_MSEC}}, 15000},
        {{.has_slot = true,
          .slot = {.distributed = true, .delay = 10 * NSEC_MSEC, .jitter = NSEC_MSEC}},
         21000},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(impairment_limit(&cases[i].m), cases[i].want);
}

static const struct {
    enum impair_distribution d;
    const char *name, *sha256; /* of the values that iproute2 6.1 ships, 16 bits little endian */
    double mean, deviation;
} shipped[] = {
    {IMPAIR_NORMAL, "normal", "ea496767068d0be9eb46cb69ee90470105525b9090a6d479dadf04db0f3d44a5",
     -0.0008, 1.0001},
    {IMPAIR_PARETO, "pareto", "bb133e76721f7df4fd75dd647aad368fa8e9eaf9b9797fc8d208dde5f9ffbd2a",
     -0.0335, 0.8204},
    {IMPAIR_PARETONORMAL, "paretonormal",
     "ca372e5f4871aa11f38e71c82bd18e074e068f0704291e8a859ebd1aaee2f9f1", -0.0253, 0.8343},
};

static void tables_are_those_of_iproute2(void **state)
{
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    skip();
#endif
    for (size_t i = 0; i < ARRAY_SIZE(shipped); i++) {
        int16_t values[IMPAIR_TABLE_N];
        char hex[DIGEST_HEX];
        assert_int_equal(impairment_table(shipped[i].d, values), IMPAIR_TABLE_N);
        digest_sha256(values, sizeof values, hex);
        assert_string_equal(hex, shipped[i].sha256);
        double sum = 0, squares = 0;
        for (size_t j = 0; j < IMPAIR_TABLE_N; j++) {
            double v = (double)values[j] / IMPAIR_TABLE_SCALE;
            assert_true(j == 0 || values[j] >= values[j - 1]);
            sum += v;
            squares += v * v;
        }
        assert_true(fabs(sum / IMPAIR_TABLE_N - shipped[i].mean) < 0.0001);
        assert_true(fabs(sqrt(squares / IMPAIR_TABLE_N) - shipped[i].deviation) < 0.0001);
    }
    int16_t none[IMPAIR_TABLE_N];
    assert_int_equal(impairment_table(IMPAIR_UNIFORM, none), 0);
    assert_int_equal(impairment_table(IMPAIR_TABLE, none), 0);
}

/* Where iproute2 is installed, its own files. */
static void shipped_files_are_read_and_equal(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(shipped); i++) {
        char path[80];
        AUTO_FREE char *text = NULL;
        AUTO_FREE int16_t *read = NULL;
        int16_t made[IMPAIR_TABLE_N];
        size_t n, read_n;
        snprintf(path, sizeof path, "/usr/lib/tc/%s.dist", shipped[i].name);
        if (access(path, R_OK) < 0)
            snprintf(path, sizeof path, "/usr/lib/x86_64-linux-gnu/tc/%s.dist", shipped[i].name);
        if (file_read(AT_FDCWD, path, 1 << 20, &text, &n, NULL) < 0)
            test_skip("iproute2's tables are not installed");
        assert_int_equal(impairment_table_read(path, text, n, &read, &read_n, NULL), 0);
        assert_int_equal(read_n, impairment_table(shipped[i].d, made));
        assert_memory_equal(read, made, sizeof made);
    }
}

static void tables_of_users_are_read(void **state)
{
    static const char good[] = "# a comment 1 2\n\n 1 -2\t+3\r\n#x\n32767\n-32768";
    static const int16_t want[] = {1, -2, 3, 32767, -32768};
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "t.dist: there is no value in this table"},
        {"# only\n\n \n", "t.dist: there is no value in this table"},
        {"1\n2 3x\n", "t.dist: line 2: \"3x\" is not a whole number from -32768 to 32767"},
        {"32768", "t.dist: line 1: \"32768\" is not a whole number from -32768 to 32767"},
        {"-32769", "t.dist: line 1: \"-32769\" is not a whole number from -32768 to 32767"},
        {"1 # 2", "t.dist: line 1: \"#\" is not a whole number from -32768 to 32767"},
        {"0.5", "t.dist: line 1: \"0.5\" is not a whole number from -32768 to 32767"},
        {"99999999999999999999",
         "t.dist: line 1: \"99999999999999999999\" is not a whole number from -32768 to 32767"},
    };
    AUTO_FREE int16_t *values = NULL;
    size_t n = 0;
    assert_int_equal(impairment_table_read("t.dist", good, sizeof good - 1, &values, &n, NULL), 0);
    assert_int_equal(n, ARRAY_SIZE(want));
    assert_memory_equal(values, want, sizeof want);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        int16_t *untouched = (int16_t *)&n;
        struct err err = ERR_INIT;
        assert_int_equal(
            impairment_table_read("t.dist", bad[i].text, strlen(bad[i].text), &untouched, &n, &err),
            -EINVAL);
        assert_ptr_equal(untouched, &n);
        assert_string_equal(err.text, bad[i].why);
    }
    assert_int_equal(impairment_table_read("t.dist", "1\0002", 3, &values, &n, NULL), -EINVAL);
}

static void tables_end_at_their_greatest_size(void **state)
{
    char text[2 * IMPAIR_TABLE_MAX + 2];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 2 ? '\n' : '7';
    for (size_t more = 0; more < 2; more++) {
        int16_t *values = NULL;
        size_t n = 0;
        struct err err = ERR_INIT;
        int r = impairment_table_read("t", text, 2 * (IMPAIR_TABLE_MAX + more), &values, &n, &err);
        assert_int_equal(r, more ? -E2BIG : 0);
        assert_int_equal(n, more ? 0 : IMPAIR_TABLE_MAX);
        if (more)
            assert_string_equal(err.text, "t: line 16385: more than 16384 values");
        free(values);
    }
}

/* Whatever the bytes are: an answer, and nothing read outside of them (valgrind, ASan). */
static void any_bytes_are_survived(void **state)
{
    static const char some[] = "0123456789-+# \n\t\rx.\0\377";
    struct rng rng = rng_stream(7, "bytes", 0, 0);
    for (int i = 0; i < 2000; i++) {
        size_t size = rng_below(&rng, 60);
        char *text = malloc(size + 1); /* its own block: the end is watched */
        int16_t *values = NULL;
        size_t n = 0;
        for (size_t j = 0; j < size; j++)
            text[j] = some[rng_below(&rng, sizeof some)];
        int r = impairment_table_read("t", text, size, &values, &n, NULL);
        assert_true(r == -EINVAL || (r == 0 && n > 0 && n <= size));
        free(values);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_hold_what_is_under_way),
        cmocka_unit_test(tables_are_those_of_iproute2),
        cmocka_unit_test(shipped_files_are_read_and_equal),
        cmocka_unit_test(tables_of_users_are_read),
        cmocka_unit_test(tables_end_at_their_greatest_size),
        cmocka_unit_test(any_bytes_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
