/* Shapes of partitions: known answers for few hosts, what must hold for any number, the words. */
#include "tests/support/test.h"

#include <errno.h>

#include "injectors/net/partition/grudge.h"
#include "injectors/net/partition/shape.h"
#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "tests/support/faultkit.h"

/* Host i hears host k: itself, and whoever's packets are not lost to it. */
static bool hears(const struct grudge *g, size_t i, size_t k)
{
    return i == k || !grudge_has(g, k, i);
}

/* "abe abc bcd": whom each host hears. */
static const char *heard(const struct grudge *g, size_t n)
{
    static struct buf b;
    buf_clear(&b);
    for (size_t i = 0; i < n; i++) {
        buf_adds(&b, i ? " " : "");
        for (size_t k = 0; k < n; k++)
            if (hears(g, i, k))
                buf_addc(&b, (char)('a' + k));
    }
    return buf_text(&b);
}

static void a_ring_of_few(void **state)
{
    static const struct {
        size_t n;
        const char *heard;
    } known[] = {
        {3, "ab abc bc"},
        {4, "abd abc bcd acd"},
        {5, "abe abc bcd cde ade"},
        {6, "abdf abce bcdf acde bdef acef"},
        {7, "abdg abce bcdf acdeg bdef cefg adfg"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        AUTO_GRUDGE g = {0};
        grudge_majorities_ring(known[i].n, &g);
        assert_string_equal(heard(&g, known[i].n), known[i].heard);
    }
}

/* Of all pairs of hosts none hear the same. */
static void no_two_hear_the_same(const struct grudge *g, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++) {
            size_t differ = 0;
            for (size_t x = 0; x < n && differ == 0; x++)
                differ += hears(g, i, x) != hears(g, k, x);
            if (differ == 0)
                fail_msg("of %zu hosts %zu and %zu hear the same", n, i, k);
        }
}

static void every_ring_is_one_of_majorities(void **state)
{
    for (size_t n = 3; n <= 32; n++) {
        AUTO_GRUDGE g = {0};
        size_t kept = 0;
        grudge_majorities_ring(n, &g);
        for (size_t i = 0; i < n; i++) {
            size_t seen = 0;
            for (size_t k = 0; k < n; k++) {
                assert_int_equal(hears(&g, i, k), hears(&g, k, i));
                seen += hears(&g, i, k);
            }
            if (seen < n / 2 + 1)
                fail_msg("of %zu hosts %zu sees %zu", n, i, seen);
            kept += seen - 1;
        }
        /* the fewest: n / 2 each, one more where that sum is odd (edges have two ends) */
        assert_int_equal(kept, n * (n / 2) + n * (n / 2) % 2);
        assert_int_equal(kept + g.n, n * (n - 1));
        no_two_hear_the_same(&g, n);
    }
}

static void a_way_stands_once(void **state)
{
    AUTO_GRUDGE g = {0};
    grudge_add(&g, 1, 2);
    grudge_add(&g, 1, 2);
    grudge_add(&g, 2, 2);
    assert_int_equal(g.n, 1);
    assert_true(grudge_has(&g, 1, 2));
    assert_false(grudge_has(&g, 2, 1));
}

/* --- From the scenario --------------------------------------------------------------------------
 */

/* Hosts a, b, c … on one network. */
static void hosts(struct kit *k, size_t n)
{
    char name[2] = "", address[40];
    kit_open(k);
    for (size_t i = 0; i < n; i++) {
        name[0] = (char)('a' + i);
        snprintf(address, sizeof address, "10.0.0.%zu/24", i + 1);
        kit_host(k, name, address);
    }
}

static struct strv names(struct kit *k, const char *list)
{
    return fault_choice(k, list)->of;
}

static void find(struct kit *k, const struct partition_params *p, uint64_t seed, struct shape *ret)
{
    struct err err = ERR_INIT;
    struct rng rng = rng_stream(seed, "shape", 1, 0);
    struct inject_env env = {.scenario = k->s, .rng = &rng};
    kit_ok(shape_check(p, &err), &err);
    kit_ok(shape_find(&env, p, ret, &err), &err);
}

/* "b>a c>a": what is lost, in the order of the hosts. */
static const char *lost(const struct shape *s)
{
    static struct buf b;
    buf_clear(&b);
    for (size_t i = 0; i < s->ways.n; i++)
        buf_printf(&b, "%s%s>%s", i ? " " : "", s->hosts[s->ways.ways[i].from],
                   s->hosts[s->ways.ways[i].to]);
    return buf_text(&b);
}

static void a_grudge_is_held_by_the_one_before_the_colon(void **state)
{
    static struct kit k;
    hosts(&k, 3);
    struct partition_grudge a = {.host = (char[]){"a"}, .from = names(&k, "b c")},
                            b = {.host = (char[]){"b"}, .from = names(&k, "a")};
    struct partition_params p = {0};
    fault_add(&k, &p.grudge, &a);
    fault_add(&k, &p.grudge, &b);
    AUTO_SHAPE s = SHAPE_INIT;
    find(&k, &p, 1, &s);
    assert_string_equal(lost(&s), "b>a c>a a>b");
    assert_string_equal(buf_text(&s.text), "a hears nothing of b, c; b hears nothing of a");
    assert_true(shape_is_fixed(&p));
    assert_string_equal(shape_direction(&p), "");
    kit_close(&k);
}

static void a_bridge_of_few(void **state)
{
    static const struct {
        size_t n;
        const char *of, *through, *text;
        size_t ways;
    } known[] = {
        {3, "a c", "b", "a | c, joined by b", 2},
        {4, "a b d", "c", "a | b, d, joined by c", 4},
        {5, "a b c d e", "c", "a, b | d, e, joined by c", 8},
        {7, "a b c d e f g", "a", "b, c, d | e, f, g, joined by a", 18},
    };
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        static struct kit k;
        hosts(&k, known[i].n);
        struct partition_bridge bridge = {.through = fault_target(&k, known[i].through),
                                          .of = names(&k, known[i].of)};
        struct partition_params p = {.bridge = &bridge};
        AUTO_SHAPE s = SHAPE_INIT;
        find(&k, &p, 1, &s);
        assert_string_equal(buf_text(&s.text), known[i].text);
        assert_int_equal(s.ways.n, known[i].ways);
        assert_int_equal(s.n, known[i].n - 1); /* the bridge itself loses nothing */
        kit_close(&k);
    }
}

static void a_drawn_bridge_stands_in_no_half(void **state)
{
    static struct kit k;
    hosts(&k, 5);
    struct target *through = fault_choice(&k, "a b c d e");
    through->any = 1;
    struct partition_bridge bridge = {.through = through, .of = names(&k, "a b c d e")};
    struct partition_params p = {.bridge = &bridge, .direction = CUT_FORWARD};
    assert_false(shape_is_fixed(&p));
    for (uint64_t seed = 0; seed < 20; seed++) {
        AUTO_SHAPE s = SHAPE_INIT;
        find(&k, &p, seed, &s);
        const char *joined = strstr(buf_text(&s.text), "joined by ") + strlen("joined by ");
        assert_int_equal(s.n, 4);
        assert_int_equal(s.ways.n, 4);
        for (size_t i = 0; i < s.n; i++)
            assert_string_not_equal(s.hosts[i], joined);
        assert_non_null(strstr(buf_text(&s.how), "any 1 of a, b, c, d, e: drawn "));
    }
    kit_close(&k);
}

static void halves_depend_on_the_seed_alone(void **state)
{
    static struct kit k;
    hosts(&k, 5);
    struct partition_hosts halves = {.of = names(&k, "a b c d e")};
    struct partition_params p = {.halves = &halves};
    assert_false(shape_is_fixed(&p));
    size_t in_first[5] = {0};
    for (uint64_t seed = 0; seed < 200; seed++) {
        AUTO_SHAPE s = SHAPE_INIT, again = SHAPE_INIT;
        find(&k, &p, seed, &s);
        find(&k, &p, seed, &again);
        assert_string_equal(buf_text(&s.text), buf_text(&again.text));
        assert_int_equal(s.ways.n, 12); /* two against three, both ways */
        in_first[s.hosts[0][0] - 'a']++;
        in_first[s.hosts[1][0] - 'a']++;
        AUTO_BUF how = BUF_INIT;
        buf_printf(&how, "halves of a, b, c, d, e: drawn %s", buf_text(&s.text));
        assert_string_equal(buf_text(&s.how), buf_text(&how));
    }
    /* each of five is in the half of two with p = 0.4: 80 of 200 expected, 7 is one sigma */
    for (size_t i = 0; i < 5; i++)
        assert_true(in_first[i] > 50 && in_first[i] < 110);
    AUTO_BUF text = BUF_INIT;
    shape_written(&p, &text);
    assert_string_equal(buf_text(&text), "two halves of a, b, c, d, e, drawn from the seed");
    kit_close(&k);
}

static void must_refuse(const struct partition_params *p, const char *words)
{
    struct err err = ERR_INIT;
    assert_int_equal(shape_check(p, &err), -EINVAL);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static void shapes_that_make_no_sense_are_refused(void **state)
{
    static struct kit k;
    hosts(&k, 5);
    struct partition_hosts two = {.of = names(&k, "a b")}, one = {.of = names(&k, "a")},
                           twice = {.of = names(&k, "a b a")}, three = {.of = names(&k, "a b c")};
    struct partition_grudge self = {.host = (char[]){"a"}, .from = names(&k, "b a")},
                            same = {.host = (char[]){"a"}, .from = names(&k, "b b")},
                            fine = {.host = (char[]){"a"}, .from = names(&k, "b")};
    struct partition_params p = {0};
    must_refuse(&p, "who is cut from whom");
    p = (struct partition_params){.ring = &three, .halves = &three};
    must_refuse(&p, "a partition has one shape");
    p = (struct partition_params){.ring = &two};
    must_refuse(&p, "'majorities-ring' needs at least 3 hosts, or all would see all: there are 2");
    p = (struct partition_params){.ring = &twice};
    must_refuse(&p, "'majorities-ring' lists 'a' twice");
    p = (struct partition_params){.ring = &three, .direction = CUT_FORWARD};
    must_refuse(&p, "'majorities-ring' knows no first and second: leave 'direction' out");
    p = (struct partition_params){.halves = &one};
    must_refuse(&p, "'random-halves' needs at least 2 hosts: there is 1");
    p = (struct partition_params){0};
    fault_add(&k, &p.grudge, &self);
    must_refuse(&p, "'grudge': 'a' cannot refuse itself");
    p.grudge.n = 0;
    fault_add(&k, &p.grudge, &same);
    must_refuse(&p, "'grudge' lists 'b' twice for 'a'");
    p.grudge.n = 0;
    fault_add(&k, &p.grudge, &fine);
    p.direction = CUT_BACKWARD;
    must_refuse(&p, "'grudge' says itself who refuses whom: leave 'direction' out");
    struct target *any = fault_choice(&k, "a b");
    struct partition_bridge bridge = {.through = fault_target(&k, "a"), .of = names(&k, "a b")};
    p = (struct partition_params){.bridge = &bridge};
    must_refuse(&p,
                "'bridge' needs at least 3 hosts, the bridge and one on each side: there are 2");
    bridge.of = names(&k, "b");
    must_refuse(&p, "'bridge' needs at least 2 hosts, one on each side: there is 1");
    any->any = 2;
    bridge.through = any;
    must_refuse(&p, "one host is the bridge: 'through' asks for 2");
    kit_close(&k);
}

/* --- Every combination --------------------------------------------------------------------------
 */

static void set_shape(struct kit *k, struct partition_params *p, size_t shape)
{
    static char holder[] = "a";
    static struct partition_grudge grudge = {.host = holder};
    static struct partition_bridge bridge;
    static struct partition_hosts some;
    grudge.from = names(k, "b c");
    bridge = (struct partition_bridge){fault_target(k, "c"), names(k, "a b d e")};
    some.of = names(k, "a b c d");
    if (shape == 0) {
        fault_group(k, &p->cut, "a b");
        fault_group(k, &p->cut, "c");
    } else if (shape == 1) {
        fault_targets(k, &p->isolate, "a b");
    } else if (shape == 2) {
        fault_add(k, &p->grudge, &grudge);
    }
    p->bridge = shape == 3 ? &bridge : NULL;
    p->ring = shape == 4 ? &some : NULL;
    p->halves = shape == 5 ? &some : NULL;
}

/* It says what is wrong, or plans what it would do and how that is undone. */
static bool plans(struct kit *k, const struct step *s)
{
    struct err err = ERR_INIT;
    struct inject_env env = {.scenario = k->s};
    AUTO_JSON *texts = json_array();
    const struct partition_params *p = s->params;
    const struct injector *i = injector_of(s);
    if (i->check(k->s, s, &err) < 0) {
        assert_true(strlen(err.text) > 20);
        return false;
    }
    kit_ok(i->supported(&env, s, &err), &err);
    kit_ok(i->plan(&env, s, texts, &err), &err);
    assert_int_equal(json_array_size(texts) > 1, !p->halves);
    const char *first = json_string_value(json_array_get(texts, 0));
    assert_non_null(strstr(first, "undone by deleting the table blackstart-all"));
    assert_int_equal(!!strstr(first, "new connections"), p->packets == CUT_NEW_CONNECTIONS);
    assert_int_equal(!!strstr(first, "ended in both hosts"), p->connections == CUT_SEVER);
    assert_int_equal(!!strstr(first, "port 5000-5003"), p->ports.n > 0);
    return true;
}

static void every_combination_plans_or_says_why(void **state)
{
    static struct kit k;
    struct port_range range = {5000, 5003};
    size_t planned = 0;
    hosts(&k, 5);
    for (unsigned i = 0; i < 80 * 6 * 3; i++) {
        struct step *s = fault_step(&k, "all", "partition");
        struct partition_params *p = s->params;
        unsigned rest = i / 80;
        p->kind = i & 1;
        p->packets = i >> 1 & 1;
        p->connections = i >> 2 & 1;
        p->protocol = (int)(i % 80 / 16);
        if (i >> 3 & 1)
            p->ports = (struct port_ranges){&range, 1};
        p->direction = (int)(rest % 3);
        set_shape(&k, p, rest / 3);
        planned += plans(&k, s);
    }
    /* a direction makes no sense for a grudge and a ring; 52 of 80 of the others do */
    assert_int_equal(planned, 52 * (4 * 3 + 2));
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_of_few),
        cmocka_unit_test(every_ring_is_one_of_majorities),
        cmocka_unit_test(a_way_stands_once),
        cmocka_unit_test(a_grudge_is_held_by_the_one_before_the_colon),
        cmocka_unit_test(a_bridge_of_few),
        cmocka_unit_test(a_drawn_bridge_stands_in_no_half),
        cmocka_unit_test(halves_depend_on_the_seed_alone),
        cmocka_unit_test(shapes_that_make_no_sense_are_refused),
        cmocka_unit_test(every_combination_plans_or_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
