/* The table of interfaces' numbers, against a plain list of them. */
#include "sim/base/rng.h"
#include "sim/kernel/nl_known.h"
#include "tests/support/test.h"

enum { NAMES = 200 };

static void name_of(size_t i, char name[IFNAMSIZ])
{
    snprintf(name, IFNAMSIZ, "%s%zu", i % 2 ? "p" : "a-longer-nam", i);
}

static void it_holds_what_a_list_would(void **state)
{
    struct nl_known k = {0};
    struct rng rng = rng_stream(11, "known", 0, 0);
    int want[NAMES] = {0};
    for (size_t step = 0; step < 20000; step++) {
        char name[IFNAMSIZ];
        size_t i = (size_t)rng_below(&rng, NAMES), n = 0;
        name_of(i, name);
        if (rng_below(&rng, 3) == 0) {
            nl_known_remove(&k, name);
            want[i] = 0;
        } else {
            want[i] = (int)rng_below(&rng, 1000) + 1;
            nl_known_set(&k, name, want[i]);
        }
        if (step % 5000 == 4999) {
            nl_known_clear(&k);
            memset(want, 0, sizeof want);
        }
        size_t j = (size_t)rng_below(&rng, NAMES);
        name_of(j, name);
        assert_int_equal(nl_known_find(&k, name), want[j]);
        for (size_t a = 0; a < NAMES; a++)
            n += want[a] != 0;
        assert_int_equal(k.n, n);
    }
    for (size_t i = 0; i < NAMES; i++) {
        char name[IFNAMSIZ];
        name_of(i, name);
        assert_int_equal(nl_known_find(&k, name), want[i]);
    }
    nl_known_done(&k);
}

static void what_is_no_name_is_not_in_it(void **state)
{
    struct nl_known k = {0};
    nl_known_set(&k, "", 1);
    nl_known_set(&k, "sixteen-bytes-xx", 2);
    nl_known_remove(&k, "none");
    assert_int_equal(k.n, 0);
    nl_known_set(&k, "fifteen-bytes-x", 3);
    assert_int_equal(nl_known_find(&k, "fifteen-bytes-x"), 3);
    assert_int_equal(nl_known_find(&k, "sixteen-bytes-xx"), 0);
    assert_int_equal(nl_known_find(&k, ""), 0);
    nl_known_done(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_what_a_list_would),
        cmocka_unit_test(what_is_no_name_is_not_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
