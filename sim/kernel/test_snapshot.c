/* Snapshots of a machine's network: what changes by itself is left out, and what is gone or new is told. */
#include "sim/kernel/nl_expect.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/snapshot.h"
#include "tests/support/test.h"
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>

struct one_line {
    size_t n;
    char text[512];
};

static void keep_line(const char *line, void *data)
{
    struct one_line *l = data;
    l->n++;
    snprintf(l->text, sizeof l->text, "%s", line);
}

static void what_changes_by_itself_is_left_out_of_snapshots(void **state)
{
    struct {
        struct ifinfomsg head;
        struct rtattr name_attr;
        char name[8];
        struct rtattr operstate_attr;
        uint32_t operstate; /* one byte and padding */
        struct rtattr unknown_attr;
        uint32_t unknown;
    } link = {{.ifi_type = 1, .ifi_index = 3, .ifi_flags = IFF_UP | IFF_RUNNING | IFF_LOWER_UP},
              {.rta_len = 9, .rta_type = IFLA_IFNAME},
              "eth0",
              {.rta_len = 5, .rta_type = IFLA_OPERSTATE},
              6,
              {.rta_len = 8, .rta_type = 4000},
              77};
    struct {
        struct ifaddrmsg head;
        struct rtattr local_attr;
        uint32_t local;
        struct rtattr cache_attr;
        struct ifa_cacheinfo cache;
        struct rtattr flags_attr;
        uint32_t flags;
    } address = {{.ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = 3},
                 {.rta_len = 8, .rta_type = IFA_LOCAL},
                 htonl(0x0a000001),
                 {.rta_len = 4 + sizeof address.cache, .rta_type = IFA_CACHEINFO},
                 {.ifa_valid = 3599},
                 {.rta_len = 8, .rta_type = IFA_FLAGS},
                 IFA_F_TENTATIVE | IFA_F_PERMANENT};
    const struct nl_answer a_link = {RTM_NEWLINK, &link, sizeof link};
    const struct nl_answer an_address = {RTM_NEWADDR, &address, sizeof address};
    struct nl *nl = NULL;
    struct one_line l = {0};
    assert_int_equal(nl_open_expecting("here", &nl, NULL), 0);
    nl_expect_dump(nl, NULL, "link dump", &a_link, 1, false);
    nl_expect_dump(nl, NULL, "link dump", &a_link, 1, false);
    assert_int_equal(rtnl_describe(nl, RTNL_LINKS, keep_line, &l, NULL), 0);
    assert_int_equal(l.n, 1);
    assert_string_equal(l.text, "link type=1 flags=0x1 name=eth0");
    nl_expect_dump(nl, NULL, "link dump", &a_link, 1, false);
    nl_expect_dump(nl, NULL, "address dump", &an_address, 1, false);
    assert_int_equal(rtnl_describe(nl, RTNL_ADDRESSES, keep_line, &l, NULL), 0);
    assert_int_equal(l.n, 2);
    assert_string_equal(l.text, "address inet dev=eth0 len=24 local=10.0.0.1 flags=0x80");
    assert_int_equal(nl_expect_end(nl, NULL), 0);
    nl_free(nl);
}

static void a_comparison_tells_gone_from_added(void **state)
{
    char a[] = "a", b[] = "b", c[] = "c", four[] = "d", five[] = "e";
    char *before[] = {a, b, b, four}, *after[] = {b, c, four, five};
    struct snapshot x = {before, 4}, y = {after, 4}, none = {NULL, 0};
    struct snapshot_diff d;
    snapshot_compare(&x, &y, &d);
    assert_int_equal(d.n_gone, 2);
    assert_string_equal(d.gone[0], "a");
    assert_string_equal(d.gone[1], "b");
    assert_int_equal(d.n_added, 2);
    assert_string_equal(d.added[0], "c");
    assert_string_equal(d.added[1], "e");
    snapshot_diff_done(&d);
    snapshot_compare(&x, &x, &d);
    assert_int_equal(d.n_gone + d.n_added, 0);
    snapshot_diff_done(&d);
    snapshot_compare(&none, &y, &d);
    assert_int_equal(d.n_added, 4);
    snapshot_diff_done(&d);
    assert_null(snapshot_free(NULL));
    assert_null(nl_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_changes_by_itself_is_left_out_of_snapshots),
        cmocka_unit_test(a_comparison_tells_gone_from_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
