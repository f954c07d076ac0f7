/* Labs on the real kernel, as root and without: hosts, networks, units, power buttons. */
#include "tests/support/labkit.h"

#include <signal.h>

static char port_80[] = "80";

static void hosts_reach_each_other(void **state)
{
    static struct kit k;
    char *out;
    kit_open(&k);
    kit_host(&k, "a", "10.0.0.1");
    struct host *b = kit_host(&k, "b", "10.0.0.2/24 fd00::2/64");
    kit_unit(&k, b, "web", "./server tcp 80");
    kit_ready(&k, b)->tcp = port_80;
    kit_up(&k, true);
    assert_int_equal(kit_run(&k, "a", "./test_lab server get 10.0.0.2 80", &out), 0);
    assert_string_equal(out, "ok\n");
    free(out);
    assert_int_equal(kit_run(&k, "a", "getent ahostsv4 b && hostname", &out), 0);
    assert_non_null(strstr(out, "10.0.0.2"));
    assert_non_null(strstr(out, "\na\n"));
    free(out);
    assert_non_null(kit_wait_line(&k, "b", "listening", NSEC_SEC));
    kit_close(&k);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(hosts_reach_each_other),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return kit_main(argc, argv, tests);
}
