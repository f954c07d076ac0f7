/* YAML to a tree: words, limits, includes, variables, messages. */
#include "tests/support/test.h"

#include "scenarios/tree.h"
#include "sim/base/file.h"

#include <fcntl.h>

struct loaded {
    struct arena *arena;
    struct diags diags;
    struct node *root;
};

static void loaded_done(struct loaded *l)
{
    arena_free(l->arena);
    diags_done(&l->diags);
}

static struct loaded load(const char *text, const char *const *sets, size_t n_sets)
{
    struct loaded l = {.arena = arena_new()};
    struct strv v = {.items = arena_alloc(l.arena, (n_sets + 1) * sizeof(char *)), .n = n_sets};
    for (size_t i = 0; i < n_sets; i++)
        v.items[i] = arena_strdup(l.arena, sets[i]);
    l.root = tree_load_text(l.arena, text, strlen(text), "t", &v, &l.diags);
    return l;
}

static const char *said(struct loaded *l)
{
    AUTO_BUF out = BUF_INIT;
    diags_render(&l->diags, &out);
    return arena_strdup(l->arena, buf_text(&out));
}

#define LOADED CLEANUP(loaded_done) struct loaded

static void plain_words_are_those_of_yaml_1_2(void **state)
{
    static const char *const null[] = {"", "~", "null", "Null", "NULL"};
    static const char *const text[] = {"yes",  "no",     "on",    "off", "y",
                                       "nUll", "'null'", "\"~\"", "none"};
    for (size_t i = 0; i < ARRAY_SIZE(null); i++) {
        AUTO_BUF yaml = BUF_INIT;
        buf_printf(&yaml, "a: %s\n", null[i]);
        LOADED l = load(yaml.text, NULL, 0);
        assert_true(node_is_null(node_get(l.root, "a")));
    }
    for (size_t i = 0; i < ARRAY_SIZE(text); i++) {
        AUTO_BUF yaml = BUF_INIT;
        buf_printf(&yaml, "a: %s\n", text[i]);
        LOADED l = load(yaml.text, NULL, 0);
        assert_false(node_is_null(node_get(l.root, "a")));
    }
}

static void nodes_know_their_places(void **state)
{
    LOADED l = load("\xef\xbb\xbf# caf\xc3\xa9\na:\n  - {\xc3\xa9: x, b: y}\n", NULL, 0);
    const struct node *item = node_get(l.root, "a")->items[0];
    assert_int_equal(item->place.line, 3);
    assert_int_equal(item->place.col, 5);
    assert_int_equal(node_get(item, "b")->place.col, 15); /* characters, not bytes */
}

static void nest(struct buf *yaml, int depth)
{
    buf_adds(yaml, "a: ");
    for (int i = 0; i < depth; i++)
        buf_addc(yaml, '[');
    for (int i = 0; i < depth; i++)
        buf_addc(yaml, ']');
}

static void depth_is_limited_also_through_aliases(void **state)
{
    AUTO_BUF good = BUF_INIT, bad = BUF_INIT, through = BUF_INIT;
    nest(&good, TREE_DEPTH_MAX - 1);
    LOADED l = load(good.text, NULL, 0);
    assert_string_equal(said(&l), "");
    nest(&bad, TREE_DEPTH_MAX);
    LOADED b = load(bad.text, NULL, 0);
    assert_non_null(strstr(said(&b), "nested deeper than 32 levels"));
    buf_adds(
        &through,
        "a: &a [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]\nb: [[[[[[[[[[[[[[*a]]]]]]]]]]]]]]\n");
    LOADED t = load(through.text, NULL, 0);
    assert_non_null(strstr(said(&t), "t:2:18: error: nested deeper than 32 levels"));
}

static void size_is_limited(void **state)
{
    AUTO_BUF good = BUF_INIT, bad = BUF_INIT, large = BUF_INIT;
    /* the mapping, its key and the list are values too */
    buf_adds(&good, "a: [x");
    for (int i = 4; i < TREE_NODES_MAX; i++)
        buf_adds(&good, ",x");
    buf_printf(&bad, "%s,x]", good.text);
    buf_adds(&good, "]");
    LOADED l = load(good.text, NULL, 0);
    assert_string_equal(said(&l), "");
    LOADED b = load(bad.text, NULL, 0);
    assert_non_null(strstr(said(&b), "more than 250000 values"));
    buf_adds(&large, "a: ");
    while (large.len < TREE_FILE_MAX)
        buf_adds(&large, "xxxxxxxx ");
    large.text[TREE_FILE_MAX] = '\0';
    LOADED f = load(large.text, NULL, 0);
    assert_string_equal(said(&f), "");
    buf_clear(&large);
    buf_adds(&large, "a: ");
    while (large.len <= TREE_FILE_MAX)
        buf_adds(&large, "xxxxxxxx ");
    LOADED o = load(large.text, NULL, 0);
    assert_non_null(strstr(said(&o), "larger than 1024 KiB"));
}

static void anchors_are_followed(void **state)
{
    LOADED l = load("a: &x {k: v}\nb: *x\nc: [*x, *x]\n", NULL, 0);
    assert_string_equal(said(&l), "");
    assert_ptr_equal(node_get(l.root, "a"), node_get(l.root, "b"));
    assert_ptr_equal(node_get(l.root, "c")->items[1], node_get(l.root, "b"));
}

static void variables_are_put_into_values(void **state)
{
    LOADED l = load("vars: {n: 5, s: \"5\", word: x, e: ''}\n"
                    "whole: ${n}\nquoted: \"${n}\"\ntext: '${s}'\npart: a${word}b${word}\n"
                    "literal: $${n} $$${n} $n\nempty: ${e}\nkeys: {\"${n}\": ${n}\n }\n",
                    NULL, 0);
    /* the last line is no YAML in braces; say so */
    assert_non_null(strstr(said(&l), "put quotes around a text with ${...}"));
    LOADED g = load("vars: {n: 5, s: \"5\", word: x, e: ''}\n"
                    "whole: ${n}\nquoted: \"${n}\"\ntext: '${s}'\npart: a${word}b${word}\n"
                    "literal: $${n} $$${n} $n\nempty: ${e}\nkeys: {\"${n}\": \"${n}\"}\n",
                    NULL, 0);
    assert_string_equal(said(&g), "");
    assert_string_equal(node_get(g.root, "whole")->text, "5");
    assert_true(node_get(g.root, "whole")->plain);
    assert_true(node_get(g.root, "quoted")->plain); /* a number in quotes because of the braces */
    assert_false(node_get(g.root, "text")->plain);
    assert_string_equal(node_get(g.root, "part")->text, "axbx");
    assert_string_equal(node_get(g.root, "literal")->text, "${n} $${n} $n");
    assert_string_equal(node_get(g.root, "empty")->text, "");
    assert_string_equal(node_get(g.root, "keys")->entries[0].key->text, "${n}");
    assert_string_equal(node_get(g.root, "keys")->entries[0].value->text, "5");
}

static void set_overrides_only_what_is_declared(void **state)
{
    static const char yaml[] = "vars: {rto: 10s}\na: ${rto}\n";
    LOADED l = load(yaml, (const char *[]){"rto=5s"}, 1);
    assert_string_equal(said(&l), "");
    assert_string_equal(node_get(l.root, "a")->text, "5s");
    assert_string_equal(node_get(node_get(l.root, "vars"), "rto")->text, "5s");
    LOADED e = load(yaml, (const char *[]){"rto=a=${b}"}, 1);
    assert_string_equal(node_get(e.root, "a")->text, "a=${b}");
    LOADED u = load(yaml, (const char *[]){"rtoo=5s"}, 1);
    assert_string_equal(said(&u), "--set: error: the scenario declares no variable 'rtoo'; did you "
                                  "mean 'rto'?\n");
    LOADED w = load(yaml, (const char *[]){"rto"}, 1);
    assert_string_equal(said(&w), "--set: error: 'rto' must be NAME=VALUE\n");
    LOADED t = load(yaml, (const char *[]){"rto=1s", "rto=2s"}, 2);
    assert_string_equal(said(&t), "--set: error: 'rto' is set twice\n");
}

static void a_path_is_set(void **state)
{
    static const char yaml[] =
        "vars: {v: 3s}\nmodel: &m\n  shop:\n    restore:\n      - failover: {uniform: [1s, 3s], "
        "works: 98%}\n      - dns: {ttl: 30s}\ncopy: *m\nhosts: {web.1: {a: 1}, web: {b: 2}}\n"
        "script:\n  - {id: lose, at: 5s}\n  - {at: \"${v}\"}\nhorizon: 60s\n";
    LOADED l = load(yaml,
                    (const char *[]){"model.shop.restore.failover.works=99%",
                                     "model.shop.restore.dns={ttl: 5s}", "script.lose.at=${v}",
                                     "script.2.at=7s", "hosts.web.1.a=9", "hosts.web.c=8",
                                     "horizon=2m", "demonstrate.reliability=99%", "v=4s"},
                    9);
    assert_string_equal(said(&l), "");
    const struct node *restore = node_get(node_get(node_get(l.root, "model"), "shop"), "restore");
    const struct node *failover = node_get(restore->items[0], "failover");
    assert_string_equal(node_get(failover, "works")->text, "99%");
    assert_int_equal(node_get(failover, "uniform")->n, 2);
    assert_string_equal(node_get(node_get(restore->items[1], "dns"), "ttl")->text, "5s");
    /* an alias of what was changed is as it was */
    const struct node *copy = node_get(node_get(node_get(l.root, "copy"), "shop"), "restore");
    assert_string_equal(node_get(node_get(copy->items[0], "failover"), "works")->text, "98%");
    const struct node *script = node_get(l.root, "script"), *hosts = node_get(l.root, "hosts");
    assert_string_equal(node_get(script->items[0], "at")->text, "4s");
    assert_string_equal(node_get(script->items[1], "at")->text, "7s");
    assert_string_equal(node_get(node_get(hosts, "web.1"), "a")->text, "9");
    assert_string_equal(node_get(node_get(hosts, "web"), "c")->text, "8");
    assert_string_equal(node_get(l.root, "horizon")->text, "2m");
    assert_string_equal(node_get(node_get(l.root, "demonstrate"), "reliability")->text, "99%");
}

static void a_path_that_leads_nowhere(void **state)
{
    static const struct {
        const char *set, *says;
    } cases[] = {
        {"a.c.x=1",
         "--set a.c.x: error: 'a.c' is '1', so it has no 'x': set it as a whole, written "
         "out as a mapping\n"},
        {"b.three=1", "--set b.three: error: 'b' is a list of 2, with nothing called 'three'\n"},
        {"b.0=1", "--set b.0: error: 'b' is a list of 2, with nothing called '0'\n"},
        {"a..c=1", "--set: error: 'a..c' is no path like model.checkout.restore.failover.works\n"},
        {"nix=1", "--set: error: the scenario declares no variable 'nix'\n"},
        {"vars.x=1", "--set: error: the scenario declares no variable 'vars.x'\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        LOADED l = load("a: {c: 1}\nb: [one, two]\n", (const char *[]){cases[i].set}, 1);
        assert_string_equal(said(&l), cases[i].says);
    }
    LOADED bad = load("a: {c: 1}\n", (const char *[]){"a.c=[1"}, 1);
    assert_non_null(strstr(said(&bad), "--set a.c:2:1: error: this is not YAML"));
}

static void variables_are_limited(void **state)
{
    AUTO_BUF yaml = BUF_INIT;
    buf_adds(&yaml, "vars: {v: '");
    for (int i = 0; i < 1000; i++)
        buf_adds(&yaml, "0123456789");
    buf_adds(&yaml, "'}\na: [");
    for (int i = 0; i < 200; i++)
        buf_adds(&yaml, "\"${v}\",");
    buf_adds(&yaml, "]\n");
    LOADED l = load(yaml.text, NULL, 0);
    assert_non_null(strstr(said(&l), "with its variables the scenario is too large"));
    buf_clear(&yaml);
    buf_adds(&yaml, "vars:\n");
    for (int i = 0; i < 201; i++)
        buf_printf(&yaml, "  v%d: 1\n", i);
    LOADED m = load(yaml.text, NULL, 0);
    assert_non_null(strstr(said(&m), "more than 200 variables"));
}

static void includes_go_eight_deep(void **state)
{
    char folder[] = "/tmp/blackstart-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    AUTO_CLOSE int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir >= 0);
    for (int i = 0; i <= TREE_INCLUDE_DEPTH_MAX + 1; i++) {
        char name[16], text[64];
        snprintf(name, sizeof name, "%d.yaml", i);
        int n = i <= TREE_INCLUDE_DEPTH_MAX
                    ? snprintf(text, sizeof text, "include: %d.yaml\nk%d: v\n", i + 1, i)
                    : snprintf(text, sizeof text, "k%d: v\n", i);
        assert_int_equal(file_replace(dir, name, text, (size_t)n, NULL), 0);
    }
    AUTO_BUF path = BUF_INIT;
    buf_printf(&path, "%s/1.yaml", folder);
    LOADED l = {.arena = arena_new()};
    l.root = tree_load(l.arena, path.text, NULL, &l.diags);
    assert_string_equal(said(&l), "");
    assert_int_equal(l.root->n, TREE_INCLUDE_DEPTH_MAX + 1);
    /* what is included stands where `include` stood */
    assert_string_equal(l.root->entries[0].key->text, "k9");
    buf_clear(&path);
    buf_printf(&path, "%s/0.yaml", folder);
    LOADED d = {.arena = arena_new()};
    d.root = tree_load(d.arena, path.text, NULL, &d.diags);
    assert_non_null(strstr(said(&d), "deeper than 8 levels"));
    assert_int_equal(file_remove_tree(AT_FDCWD, folder, NULL), 0);
}

static void messages_are_clean_and_few(void **state)
{
    AUTO_DIAGS d = DIAGS_INIT;
    AUTO_BUF out = BUF_INIT;
    const struct place at = {.file = "a\x1b.yaml", .line = 2, .col = 1};
    diags_error(&d, at, "bad %s", "\x1b[2J\xc2\x9b\x7f\n");
    diags_warning(&d, (struct place){.file = "a\x1b.yaml", .line = 1, .col = 9}, "first");
    diags_render(&d, &out);
    assert_string_equal(out.text,
                        "a?.yaml:1:9: warning: first\na?.yaml:2:1: error: bad ?[2J????\n");
    assert_int_equal(d.n_errors, 1);
    for (int i = 0; i < 2 * DIAGS_MAX; i++)
        diags_error(&d, at, "again");
    assert_true(diags_is_full(&d));
    buf_clear(&out);
    diags_render(&d, &out);
    size_t lines = 0;
    for (const char *p = out.text; *p; p++)
        lines += *p == '\n';
    assert_int_equal(lines, DIAGS_SHOWN + 1);
    assert_non_null(strstr(out.text, "at least 180 more"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_words_are_those_of_yaml_1_2),
        cmocka_unit_test(nodes_know_their_places),
        cmocka_unit_test(depth_is_limited_also_through_aliases),
        cmocka_unit_test(size_is_limited),
        cmocka_unit_test(anchors_are_followed),
        cmocka_unit_test(variables_are_put_into_values),
        cmocka_unit_test(set_overrides_only_what_is_declared),
        cmocka_unit_test(a_path_is_set),
        cmocka_unit_test(a_path_that_leads_nowhere),
        cmocka_unit_test(variables_are_limited),
        cmocka_unit_test(includes_go_eight_deep),
        cmocka_unit_test(messages_are_clean_and_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
