/* Whose a difference is: what every fault has its hands on, as its undo record tells it, must be ours when
 * it is not back, although its revert says so; the same of anything beside it is others'. And the lines
 * that a journal keeps for `blackstart undo`.
 */
#include "tests/support/test.h"

#include "injectors/actions.h"
#include "injectors/injector.h"
#include "injectors/touch.h"
#include "sim/attach/procs.h"
#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/drill/difference.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NETNS "\"host\": \"edge\", \"netns\": {\"kind\": \"netns\", \"ino\": 1}"

static const char link_[] = "link type=1 flags=0x1003 name=e0 mtu=1500 qdisc=noqueue",
                  link_down[] = "link type=1 flags=0x1002 name=e0 mtu=1500 qdisc=noqueue",
                  link_queue[] = "link type=1 flags=0x1003 name=e0 txqueuelen=1000 mtu=1500",
                  other_link[] = "link type=1 flags=0x1003 name=e1 mtu=1500 qdisc=noqueue",
                  address[] = "address inet dev=e0 len=24 address=10.9.0.1 local=10.9.0.1",
                  second[] = "address inet dev=e0 len=24 address=10.9.0.5 local=10.9.0.5",
                  other_address[] = "address inet dev=e1 len=24 address=10.8.0.1 local=10.8.0.1",
                  address6[] = "address inet6 dev=e0 len=64 address=fd99::1",
                  route[] = "route inet to-len=16 table=main to=10.77.0.0 via=10.9.0.2 dev=e0",
                  sourced[] = "route inet to-len=16 table=main to=10.78.0.0 src=10.9.0.1 dev=e1",
                  default_[] = "route inet table=main type=unicast via=10.9.0.2 dev=e0",
                  default6[] = "route inet6 table=main type=unicast via=fd99::2 dev=e0",
                  other_route[] = "route inet to-len=16 table=main to=10.79.0.0 dev=e1",
                  local[] = "route inet6 to-len=128 table=local to=fe80::1 dev=e0",
                  clsact[] = "qdisc dev=e0 parent=hooks handle=ffff: kind=clsact",
                  our_filter[] =
                      "filter dev=e0 parent=egress pref=100 kind=bpf options=(name=blackstart)",
                  their_filter[] = "filter dev=e0 parent=egress pref=9 kind=u32",
                  table[] = "nft table inet name=blackstart-x flags=none",
                  chain[] = "nft chain inet table=blackstart-x name=c hook=(num=input)",
                  plain_table[] = "nft table inet name=later flags=none",
                  rule[] = "rule inet from-len=32 table=77 from=10.66.0.1",
                  group[] = "cgroup dir=/sys/fs/cgroup/a frozen=0",
                  our_group[] = "cgroup dir=/sys/fs/cgroup/blackstart-r4n-stop frozen=1",
                  their_group[] = "cgroup dir=/sys/fs/cgroup/blackstart-other-x frozen=1",
                  our_mount[] = "mount on=/x/r4n of=/ type=tmpfs source=blackstart",
                  their_mount[] = "mount on=/x/blackstart of=/ type=tmpfs source=test";

#define LINK "{\"device\": {" NETNS ", \"device\": \"e0\", \"ifindex\": 2}}"
#define ADDRESS                                                                                    \
    "{\"hosts\": [{" NETNS ", \"taken\": {\"device\": \"e0\", \"address\": \"10.9.0.1/24\"}}]}"
#define ADDRESS6                                                                                   \
    "{\"hosts\": [{" NETNS ", \"taken\": {\"device\": \"e0\", \"address\": \"fd99::1/64\"}}]}"
#define ROUTE                                                                                      \
    "{\"hosts\": [{" NETNS ", \"taken\": {\"to\": \"10.77.0.0/16\", \"via\": \"10.9.0.2\"}}]}"
#define DEFAULT "{\"hosts\": [{" NETNS ", \"taken\": {\"to\": \"0.0.0.0/0\"}}]}"
#define DEFAULT6 "{\"hosts\": [{" NETNS ", \"taken\": {\"to\": \"::/0\"}}]}"
#define NETWORK(clsact)                                                                            \
    "{\"attached\": {" NETNS ", \"device\": \"e0\", \"note\": {\"clsact\": " clsact "}}}"
#define PARTITION "{\"barrier\": {" NETNS ", \"table\": \"blackstart-x\"}}"
#define PLAIN "{\"barrier\": {" NETNS ", \"table\": \"later\"}}"
#define WAYS "{\"ways\": [{" NETNS ", \"table\": \"later\"}]}"
#define CUSTOM(kind, machine)                                                                      \
    "{\"host\": \"edge\", \"command\": \"true\", \"machine\": " machine                            \
    ", \"attached\": {\"kind\": \"" kind "\"}}"
#define LAB "{\"hosts\": [{\"host\": \"lb1\", \"init\": 7, \"taken\": {\"to\": \"10.77.0.0/16\"}}]}"

struct one {
    const struct variant *action; /* NULL: no fault at all */
    const char *undo, *before[4], *after[4];
    const char *left, *others; /* what one text of each ends with; NULL: there is none */
};

static const struct one ones[] = {
    {NULL, NULL, {link_}, {link_, plain_table}, NULL, plain_table},
    {NULL, NULL, {link_, route}, {link_}, NULL, route},
    {NULL, NULL, {link_}, {link_, table}, table, NULL},
    /* a link that is not up again, its routes and addresses; another's queue; it was taken away */
    {&inject_link, LINK, {link_}, {link_down}, link_, link_down},
    {&inject_link, LINK, {link_, route}, {link_}, route, NULL},
    {&inject_link, LINK, {link_, address6}, {link_}, address6, NULL},
    {&inject_link, LINK, {link_, other_link}, {link_}, NULL, other_link},
    {&inject_link, LINK, {link_, other_address}, {link_}, NULL, other_address},
    {&inject_link, LINK, {link_}, {link_, second}, NULL, second},
    {&inject_link, LINK, {link_}, {NULL}, NULL, link_},
    /* an address, those of its subnet, what had it as a source */
    {&inject_address, ADDRESS, {link_, address}, {link_}, address, NULL},
    {&inject_address, ADDRESS, {link_, second}, {link_}, second, NULL},
    {&inject_address, ADDRESS, {link_, route}, {link_}, route, NULL},
    {&inject_address, ADDRESS, {other_link, sourced}, {other_link}, sourced, NULL},
    {&inject_address, ADDRESS, {other_link, other_address}, {other_link}, NULL, other_address},
    {&inject_address, ADDRESS, {link_, address6}, {link_}, NULL, address6},
    {&inject_address, ADDRESS6, {link_, address6}, {link_}, address6, NULL},
    {&inject_address, LAB, {link_, address}, {link_}, NULL, address},
    /* routes, by prefix and way */
    {&inject_route, ROUTE, {link_, route}, {link_}, route, NULL},
    {&inject_route, ROUTE, {link_, default_}, {link_}, NULL, default_},
    {&inject_route, ROUTE, {other_link, other_route}, {other_link}, NULL, other_route},
    {&inject_route, DEFAULT, {link_, default_}, {link_}, default_, NULL},
    {&inject_route, DEFAULT, {link_, route}, {link_}, NULL, route},
    {&inject_route, DEFAULT, {link_, default6}, {link_}, NULL, default6},
    {&inject_route, DEFAULT6, {link_, default6}, {link_}, default6, NULL},
    {&inject_route, LAB, {link_, route}, {link_}, NULL, route},
    /* what network stands in */
    {&inject_network, NETWORK("false"), {link_}, {link_, clsact}, clsact, NULL},
    {&inject_network, NETWORK("false"), {link_}, {link_, clsact, our_filter}, clsact, NULL},
    {&inject_network, NETWORK("false"), {link_}, {link_, clsact, their_filter}, NULL, clsact},
    {&inject_network, NETWORK("true"), {link_, clsact}, {link_}, clsact, NULL},
    {&inject_network, NETWORK("true"), {link_}, {link_, clsact}, NULL, clsact},
    {&inject_network, NETWORK("true"), {link_}, {link_queue}, link_, link_queue},
    {&inject_network, "{\"lines\": []}", {link_}, {link_, clsact}, NULL, clsact},
    /* tables of ours, whatever they are called */
    {&inject_partition, PARTITION, {link_}, {link_, table, chain}, table, NULL},
    {&inject_partition, PLAIN, {link_}, {link_, plain_table}, plain_table, NULL},
    {&inject_partition, PARTITION, {link_}, {link_, plain_table}, NULL, plain_table},
    {&inject_dns, WAYS, {link_}, {link_, plain_table}, plain_table, NULL},
    {&inject_http, WAYS, {link_}, {link_, plain_table}, plain_table, NULL},
    {&inject_tls, WAYS, {link_}, {link_, plain_table}, plain_table, NULL},
    /* a command of the user's */
    {&inject_custom, CUSTOM("netns", "false"), {link_}, {link_, rule}, rule, NULL},
    {&inject_custom, CUSTOM("netns", "false"), {link_, route}, {link_}, route, NULL},
    {&inject_custom, CUSTOM("here", "true"), {link_}, {link_, rule}, rule, NULL},
    {&inject_custom, CUSTOM("netns", "false"), {link_}, {link_, local}, NULL, local},
    {&inject_custom, CUSTOM("process", "true"), {link_}, {link_, rule}, NULL, rule},
    /* groups and mounts are the run's by its id alone */
    {NULL, NULL, {group}, {group, our_group}, our_group, NULL},
    {NULL, NULL, {group}, {group, their_group}, NULL, their_group},
    {NULL, NULL, {group}, {NULL}, NULL, group},
    {NULL, NULL, {group}, {group, our_mount}, our_mount, NULL},
    {NULL, NULL, {group}, {group, their_mount}, NULL, their_mount},
};

static json_t *touches_of(const struct variant *action, const char *undo)
{
    AUTO_JSON *record = NULL;
    struct err err = ERR_INIT;
    if (!action)
        return json_array();
    if (jsonx_parse(undo, strlen(undo), "an undo record", &record, &err) < 0)
        fail_msg("%s: %s", undo, err.text);
    return inject_touches(action->impl, record);
}

static struct snapshot snapshot_of(const char *const *lines, char **room)
{
    struct snapshot s = {.lines = room};
    for (; s.n < 4 && lines[s.n]; s.n++)
        room[s.n] = (char *)(uintptr_t)lines[s.n];
    for (size_t i = 1; i < s.n; i++) /* sorted */
        for (size_t k = i; k > 0 && strcmp(room[k - 1], room[k]) > 0; k--) {
            char *swap = room[k];
            room[k] = room[k - 1];
            room[k - 1] = swap;
        }
    return s;
}

static bool one_ends_with(const json_t *texts, const char *end)
{
    size_t i;
    const json_t *text;
    json_array_foreach (texts, i, text) {
        const char *t = json_string_value(text);
        if (strlen(t) >= strlen(end) && strcmp(t + strlen(t) - strlen(end), end) == 0)
            return true;
    }
    return false;
}

static void check(const struct one *o, size_t n, const json_t *left, const json_t *others)
{
    bool ok = o->left ? one_ends_with(left, o->left) : json_array_size(left) == 0;
    ok = ok && (o->others ? one_ends_with(others, o->others) : true);
    if (!ok)
        fail_msg("case %zu, %s: left %s, others %s", n, o->action ? o->action->name : "no fault",
                 json_dumps(left, 0), json_dumps(others, 0));
}

static void what_is_not_back_is_ours(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(ones); i++) {
        const struct one *o = &ones[i];
        char *a[4], *b[4];
        struct snapshot before = snapshot_of(o->before, a), after = snapshot_of(o->after, b);
        AUTO_JSON *touches = touches_of(o->action, o->undo);
        AUTO_JSON *left = json_array(), *others = json_array();
        const json_t *each[32];
        assert_true(json_array_size(touches) <= ARRAY_SIZE(each));
        for (size_t k = 0; k < json_array_size(touches); k++)
            each[k] = json_array_get(touches, k);
        struct difference d = {.host = "edge",
                               .run = "r4n",
                               .before = &before,
                               .after = &after,
                               .all = &after,
                               .touches = each,
                               .n_touches = json_array_size(touches)};
        assert_false(difference_tell(&d, left, others));
        check(o, i, left, others);
    }
}

static void nothing_differs(void **state)
{
    char *a[4];
    const char *lines[4] = {link_, route, clsact};
    struct snapshot s = snapshot_of(lines, a);
    AUTO_JSON *left = json_array(), *others = json_array();
    struct difference d = {.before = &s, .after = &s, .all = &s};
    assert_true(difference_tell(&d, left, others));
    assert_int_equal(json_array_size(left) + json_array_size(others), 0);
}

/* A fault that has something to undo where others made it says what it has its hands on, or is known here
 * for what it is. */
static void every_fault_says_what_it_touches(void **state)
{
    static const char *const none[] = {
        "clock",     /* hosts of a lab alone */
        "node-kill", /* the same */
        "outage",    /* forecasts alone */
        "sockets",   /* connections cannot be put back */
    };
    for (const struct variant *const *a = injector_actions; *a; a++) {
        const struct injector *i = (*a)->impl;
        bool known = false;
        for (size_t k = 0; k < ARRAY_SIZE(none); k++)
            known = known || strcmp(none[k], (*a)->name) == 0;
        if ((i->lasts || i->kept) && known != !i->touches)
            fail_msg("%s %s", (*a)->name,
                     known ? "touches something" : "does not say what it touches");
    }
}

#define ATTACHED "\"host\": \"edge\", \"attached\": {\"kind\": \"process\", \"pid\": 7}"
#define CONTAINER "{\"host\": \"db\", \"engine\": \"/x\", \"id\": \"1\", \"container\": \"db-1\"}"

/* What of a fault no snapshot shows; of hosts of a lab, which end with it, nothing (but a group: it stays). */
static void faults_name_their_things(void **state)
{
    static const struct {
        const struct variant *action;
        const char *undo, *things;
    } cases[] = {
        {&inject_kill, "{\"hosts\": [{" ATTACHED ", \"start\": [\"x &\"]}]}", "runs"},
        {&inject_kill, "{\"hosts\": [{" ATTACHED ", \"start\": []}]}", ""},
        {&inject_kill, "{\"hosts\": [{" ATTACHED ", \"container\": " CONTAINER "}]}", "container"},
        {&inject_kill, "{\"hosts\": [{" ATTACHED ", \"unit\": \"x.service\"}]}", "unit"},
        {&inject_kill, "{\"hosts\": [{\"host\": \"lb1\", \"units\": [\"nginx\"]}]}", ""},
        {&inject_restart, "{\"hosts\": [{" ATTACHED ", \"start\": [\"x &\"]}]}", "runs"},
        {&inject_restart, "{}", ""},
        {&inject_shutdown, "{\"containers\": [" CONTAINER ", " CONTAINER "]}",
         "container container"},
        {&inject_shutdown, "{\"unit\": \"x.service\", \"host\": \"edge\"}", "unit"},
        {&inject_freeze, "{\"containers\": [" CONTAINER "]}", "container"},
        {&inject_freeze, "{\"v1\": false, \"group\": \"/a/b\", \"back\": \"/a\"}", "cgroup"},
        {&inject_stop,
         "{\"hosts\": [{" ATTACHED
         ", \"procs\": [{\"pid\": 7, \"start\": 1}, {\"pid\": 8, \"start\": 1}]}]}",
         "process process"},
        {&inject_stop,
         "{\"hosts\": [{\"host\": \"lb1\", \"procs\": [{\"pid\": 7, \"start\": 1}]}]}", ""},
        {&inject_pressure,
         "{\"hosts\": [{\"host\": \"db\", \"init\": 0, \"folder\": \"/d\", \"file\": "
         "\".blackstart-x\","
         " \"io\": {\"folder\": \"/d\", \"name\": \".blackstart-y\"},"
         " \"guest\": {\"pid\": 7, \"start\": 1},"
         " \"procs\": [{\"pid\": 8, \"start\": 1, \"soft\": 1024}]}]}",
         "file file process process"},
        {&inject_pressure,
         "{\"hosts\": [{\"host\": \"lb1\", \"init\": 9, \"folder\": \"/d\", \"file\": "
         "\".blackstart-x\"}]}",
         ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_JSON *touches = touches_of(cases[i].action, cases[i].undo);
        AUTO_BUF things = BUF_INIT;
        size_t k;
        const json_t *touch;
        json_array_foreach (touches, k, touch)
            buf_printf(&things, "%s%s", k ? " " : "", jsonx_str(touch, "thing", "a line"));
        if (strcmp(buf_text(&things), cases[i].things) != 0)
            fail_msg("%s: %s, not %s", cases[i].undo, buf_text(&things), cases[i].things);
    }
}

/* As after the death of a run: the journal kept the lines of before, host by host. */
static void what_a_journal_kept_is_found_by_its_host(void **state)
{
    AUTO_JSON *touches = touches_of(&inject_route, ROUTE);
    AUTO_JSON *was = json_pack("{s:[s],s:[s]}", "edge", route, "far", default_);
    assert_int_equal(json_array_size(touches), 1);
    assert_null(touch_was(json_array_get(touches, 0)));
    touch_remember(touches, was);
    const json_t *lines = touch_was(json_array_get(touches, 0));
    assert_int_equal(json_array_size(lines), 1);
    assert_string_equal(json_string_value(json_array_get(lines, 0)), route);
    touch_remember(touches, NULL);
}

static void things_that_are_not_back_are_named(void **state)
{
    AUTO_JSON *touches = json_array(), *proc = NULL;
    struct err err = ERR_INIT;
    char folder[] = "/tmp/test_difference-XXXXXX";
    assert_non_null(mkdtemp(folder));
    AUTO_JSON *machine = json_pack("{s:b}", "machine", 1);
    unsigned long long start = procs_started(getpid());
    proc = json_pack("{s:i,s:I}", "pid", (int)getpid(), "start", (json_int_t)start);
    AUTO_JSON *gone = json_pack("{s:i,s:I}", "pid", (int)getpid(), "start", (json_int_t)start + 1);
    const struct {
        int r;
        const char *words;
    } wanted[] = {
        {0, "which a fault started, lives on"},
        {1, NULL},
        {1, NULL},
        {0, "may still open fewer files"},
        {1, NULL},
        {0, "which a fault made, is still there"},
        {1, NULL},
        {1, NULL},
    };
    touch_process(touches, "edge", proc, TOUCH_ALIVE, 0);
    touch_process(touches, "edge", gone, TOUCH_ALIVE, 0);
    touch_process(touches, "edge", proc, TOUCH_STOPPED, 0);
    touch_process(touches, "edge", proc, TOUCH_LIMITED, INT64_C(1) << 60);
    touch_process(touches, "edge", proc, TOUCH_LIMITED, 1);
    touch_file(touches, "edge", machine, "/tmp", folder + strlen("/tmp/"));
    touch_file(touches, "edge", machine, "/tmp", "test_difference-which-is-not-there");
    touch_cgroup(touches, false, "/sys/fs/cgroup/which-is-not-there", true);
    assert_int_equal(json_array_size(touches), ARRAY_SIZE(wanted));
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        int r = touch_is_back(json_array_get(touches, i), &err);
        if (r != wanted[i].r || (r == 0 && !strstr(err.text, wanted[i].words)))
            fail_msg("%zu: %d, %s", i, r, err.text);
    }
    assert_int_equal(rmdir(folder), 0);
    AUTO_JSON *unknown = json_pack("{s:s}", "thing", "of another version");
    assert_int_equal(touch_is_back(unknown, &err), -EINVAL);
}

static void words_of_lines(void **state)
{
    assert_true(touch_line_has(default_, "route inet table=main !to"));
    assert_false(touch_line_has(route, "route inet table=main !to"));
    assert_true(touch_line_has(route, "route"));
    assert_false(touch_line_has(route, "rout"));
    assert_false(touch_line_has(route, "route to=10.77.0"));
    assert_false(touch_line_has(route, "route to"));
    assert_false(touch_line_has("routes", "route"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_back_is_ours),
        cmocka_unit_test(nothing_differs),
        cmocka_unit_test(every_fault_says_what_it_touches),
        cmocka_unit_test(faults_name_their_things),
        cmocka_unit_test(what_a_journal_kept_is_found_by_its_host),
        cmocka_unit_test(things_that_are_not_back_are_named),
        cmocka_unit_test(words_of_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
