/* What each type of field takes and refuses, at its boundaries. */
#include "tests/support/test.h"

#include "scenarios/decode.h"

struct inner {
    char *name;
    int64_t size;
};
struct all {
    char *text, *filled, *command, *regex, *name, *ref;
    bool flag;
    int64_t integer, any_integer;
    nsec duration, any_duration, with_default;
    double percent;
    int word, unset_word;
    struct strv texts, some;
    struct pairs pairs, secrets;
    struct inner *object;
    struct objects objects, map, groups;
};

static const char *const words[] = {"drop", "reject", NULL};
static const struct field inner_fields[] = {
    {.key = "size", .type = FIELD_INTEGER, .offset = offsetof(struct inner, size)}, {0}};
static const struct record inner_record = {.name = "inner",
                                           .size = sizeof(struct inner),
                                           .fields = inner_fields,
                                           .shorthand = "size",
                                           .name_offset = offsetof(struct inner, name),
                                           .place_offset = SIZE_MAX,
                                           .variant_place_offset = SIZE_MAX};
#define MEMBER(m) .key = #m, .offset = offsetof(struct all, m)
static const struct field all_fields[] = {
    {MEMBER(text), .type = FIELD_TEXT},
    {MEMBER(filled), .type = FIELD_TEXT, .flags = FIELD_NON_EMPTY},
    {MEMBER(command), .type = FIELD_TEXT, .flags = FIELD_COMMAND},
    {MEMBER(regex), .type = FIELD_TEXT, .flags = FIELD_REGEX},
    {MEMBER(name), .type = FIELD_NAME},
    {MEMBER(ref), .type = FIELD_REF, .ref = REF_HOST},
    {MEMBER(flag), .type = FIELD_BOOL},
    {MEMBER(integer), .type = FIELD_INTEGER, .min = 1, .max = 10},
    {MEMBER(any_integer), .type = FIELD_INTEGER},
    {MEMBER(duration), .type = FIELD_DURATION, .min = NSEC_MSEC, .max = NSEC_SEC},
    {MEMBER(any_duration), .type = FIELD_DURATION},
    {MEMBER(with_default), .type = FIELD_DURATION, .dflt = "5s"},
    {MEMBER(percent), .type = FIELD_PERCENT},
    {MEMBER(word), .type = FIELD_WORD, .words = words, .dflt = "reject"},
    {MEMBER(unset_word), .type = FIELD_WORD, .words = words, .dflt = ""},
    {MEMBER(texts), .type = FIELD_TEXTS},
    {MEMBER(some), .type = FIELD_TEXTS, .flags = FIELD_NON_EMPTY},
    {MEMBER(pairs), .type = FIELD_PAIRS},
    {MEMBER(secrets), .type = FIELD_PAIRS, .flags = FIELD_SECRETS},
    {MEMBER(object), .type = FIELD_OBJECT, .record = &inner_record},
    {MEMBER(objects), .type = FIELD_OBJECTS, .record = &inner_record},
    {MEMBER(map), .type = FIELD_MAP, .record = &inner_record, .flags = FIELD_NON_EMPTY},
    {MEMBER(groups), .type = FIELD_GROUPS, .record = &inner_record},
    {0},
};
static const struct record all_record = {.name = "thing",
                                         .size = sizeof(struct all),
                                         .fields = all_fields,
                                         .name_offset = SIZE_MAX,
                                         .place_offset = SIZE_MAX,
                                         .variant_place_offset = SIZE_MAX};

/* Decodes "key: value" lines; what was said goes to `said`. */
static struct all decode(struct arena *arena, const char *yaml, struct buf *said)
{
    AUTO_DIAGS diags = DIAGS_INIT;
    struct all obj = {0};
    struct node *root = tree_load_text(arena, yaml, strlen(yaml), "t", NULL, &diags);
    if (root) {
        struct decode d = {.arena = arena, .diags = &diags};
        decode_record(&d, &all_record, root, root->place, &obj);
        decode_done(&d);
    }
    diags_render(&diags, said);
    return obj;
}

static void values_are_taken_or_refused_with_a_reason(void **state)
{
    static const struct {
        const char *yaml, *reason; /* NULL: taken */
    } cases[] = {
        {"text: word", NULL},
        {"text: 80", NULL},
        {"text: true", NULL},
        {"text: yes", NULL},
        {"text: ''", NULL},
        {"text: 'null'", NULL},
        {"text: null", "'text' has no value"},
        {"text: ~", "'text' has no value"},
        {"text:", "'text' has no value"},
        {"text: [a]", "'text' must be a text, not a list"},
        {"text: {a: b}", "'text' must be a text, not a mapping"},
        {"filled: ''", "'filled' must not be empty"},
        {"command: sh -c 'a b'", NULL},
        {"command: sh -c 'a b", "a quote is not closed"},
        {"command: '  '", "there is no program"},
        {"command: ''", "must not be empty"},
        {"regex: '^a(b|c)+$'", NULL},
        {"regex: 'a('", "has an unmatched parenthesis"},
        {"regex: 'a[b'", "has an unmatched ["},
        {"regex: '*a'", "repeats nothing"},
        {"regex: 'a{256}'", "repeats more than 255 times"},
        {"regex: 'a{255}'", NULL},
        {"regex: '(a{32}){32}'", "repeats more than 1000 times"},
        {"regex: '[z-a]'", "a range that ends before it begins"},
        {"regex: '[[:word:]]'", "an unknown class"},
        {"regex: 'a\\'", "ends in a backslash"},
        {"name: a", NULL},
        {"name: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123", NULL},
        {"name: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234",
         "cannot be a name"},
        {"name: 1a", "cannot be a name"},
        {"name: a/b", "cannot be a name"},
        {"name: ''", "cannot be a name"},
        {"flag: true", NULL},
        {"flag: True", NULL},
        {"flag: FALSE", NULL},
        {"flag: yes", "'flag' must be true or false, not 'yes'"},
        {"flag: on", "true or false"},
        {"flag: 1", "true or false"},
        {"flag: 'true'", "true or false"},
        {"integer: 1", NULL},
        {"integer: 10", NULL},
        {"integer: 0", "'integer' must be at least 1, not 0"},
        {"integer: 11", "'integer' must be at most 10, not 11"},
        {"integer: -1", "at least 1"},
        {"integer: 1.0", "not a whole number"},
        {"integer: 0x5", "not a whole number"},
        {"integer: 1e1", "not a whole number"},
        {"integer: 1_0", "not a whole number"},
        {"integer: '5'", "remove the quotes"},
        {"integer: five", "not a whole number"},
        {"integer: [5]", "a whole number, not a list"},
        {"any_integer: 9223372036854775807", NULL},
        {"any_integer: -9223372036854775808", NULL},
        {"any_integer: 9223372036854775808", "is too large"},
        {"duration: 1ms", NULL},
        {"duration: 1s", NULL},
        {"duration: '500ms'", NULL},
        {"duration: 0.999999ms", "at least 1ms"},
        {"duration: 1.000000001s", "at most 1s"},
        {"duration: 5", "has no unit"},
        {"duration: 5 ms", "has no unit"},
        {"duration: 5sec", "not a unit of time"},
        {"duration: soon", "not a duration"},
        {"any_duration: 0s", NULL},
        {"any_duration: 3650d", NULL},
        {"any_duration: 3651d", "longer than ten years"},
        {"percent: 0%", NULL},
        {"percent: 100%", NULL},
        {"percent: 0.1%", NULL},
        {"percent: 100.1%", "more than 100%"},
        {"percent: 5", "not a percentage"},
        {"percent: 0.5", "not a percentage"},
        {"word: drop", NULL},
        {"word: rejct", "must be drop or reject, not 'rejct'; did you mean 'reject'?"},
        {"word: Drop", "did you mean 'drop'?"},
        {"word: [drop]", "must be a word, not a list"},
        {"texts: a", NULL},
        {"texts: [a, 1, true]", NULL},
        {"texts: []", NULL},
        {"texts: [a, [b]]", "not a list"},
        {"texts: [a, ~]", "not nothing"},
        {"some: []", "must not be empty"},
        {"pairs: {a: b, 'c d': 1}", NULL},
        {"pairs: {}", NULL},
        {"pairs: [a]", "a mapping from words to values"},
        {"pairs: {a: {env: X}}", "'a' must be a text, not a mapping"},
        {"pairs: {a: }", "'a' must be a text, not nothing"},
        {"pairs: {'': x}", "an empty word"},
        {"secrets: {a: {env: X}, b: {file: p}, c: d}", NULL},
        {"secrets: {a: {env: X, file: p}}", "{env: NAME} or {file: PATH}"},
        {"secrets: {a: {vault: X}}", "{env: NAME} or {file: PATH}"},
        {"secrets: {a: {env: ''}}", "{env: NAME} or {file: PATH}"},
        {"secrets: {a: {}}", "{env: NAME} or {file: PATH}"},
        {"object: {size: 1}", NULL},
        {"object: 1", NULL},
        {"object: {}", NULL},
        {"object: {siz: 1}", "unknown key 'siz' in this inner; did you mean 'size'?"},
        {"object: {zzzz: 1}", "unknown key 'zzzz' in this inner (known: size)"},
        {"objects: [{size: 1}, 2]", NULL},
        {"objects: {size: 1}", NULL},
        {"map: {a: 1, b: {size: 2}}", NULL},
        {"map: {}", "must not be empty"},
        {"map: {1a: 1}", "cannot be the name of a inner"},
        {"map: [a]", "a mapping from names"},
        {"groups: [[1], [2, 3]]", NULL},
        {"groups: [1, 2]", "each group of 'groups' must be a list"},
        {"groups: [[]]", "each group of 'groups' must be a list"},
        {"groups: 1", "a list of lists"},
        {"txet: a", "unknown key 'txet' in this thing; did you mean 'text'?"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CLEANUP(arena_free_p) struct arena *arena = arena_new();
        AUTO_BUF said = BUF_INIT;
        decode(arena, cases[i].yaml, &said);
        if (!cases[i].reason && said.len)
            fail_msg("'%s' was refused: %s", cases[i].yaml, said.text);
        if (cases[i].reason && !strstr(buf_text(&said), cases[i].reason))
            fail_msg("'%s' should say '%s', said: %s", cases[i].yaml, cases[i].reason,
                     buf_text(&said));
    }
}

static void values_arrive_in_the_struct(void **state)
{
    CLEANUP(arena_free_p) struct arena *arena = arena_new();
    AUTO_BUF said = BUF_INIT;
    struct all a =
        decode(arena,
               "{text: 80, name: n, flag: true, integer: 7, duration: 1ms, percent: 50%, "
               "word: drop, texts: one, pairs: {k: v}, secrets: {s: {file: f}}, "
               "object: 3, objects: [1, 2], map: {x: 4}, groups: [[1], [2, 3]]}",
               &said);
    assert_string_equal(buf_text(&said), "");
    assert_string_equal(a.text, "80");
    assert_string_equal(a.name, "n");
    assert_true(a.flag);
    assert_int_equal(a.integer, 7);
    assert_int_equal(a.duration, NSEC_MSEC);
    assert_true(a.percent == 0.5);
    assert_int_equal(a.word, 0);
    assert_int_equal(a.texts.n, 1);
    assert_string_equal(a.texts.items[0], "one");
    assert_string_equal(a.pairs.items[0].value, "v");
    assert_int_equal(a.pairs.items[0].source, PAIR_TEXT);
    assert_int_equal(a.secrets.items[0].source, PAIR_FILE);
    assert_int_equal(a.object->size, 3);
    assert_int_equal(((struct inner *)a.objects.items[1])->size, 2);
    assert_string_equal(((struct inner *)a.map.items[0])->name, "x");
    const struct objects *group = a.groups.items[1];
    assert_int_equal(group->n, 2);
    assert_int_equal(((struct inner *)group->items[1])->size, 3);
}

static void what_is_absent_has_its_default_or_is_unset(void **state)
{
    CLEANUP(arena_free_p) struct arena *arena = arena_new();
    AUTO_BUF said = BUF_INIT;
    struct all a = decode(arena, "{}", &said);
    assert_string_equal(buf_text(&said), "");
    assert_null(a.text);
    assert_int_equal(a.duration, NSEC_UNSET);
    assert_int_equal(a.with_default, 5 * NSEC_SEC);
    assert_int_equal(a.word, 1);
    assert_int_equal(a.unset_word, -1);
    assert_null(a.object);
    assert_int_equal(a.map.n, 0);
}

static void a_refused_value_leaves_the_default(void **state)
{
    CLEANUP(arena_free_p) struct arena *arena = arena_new();
    AUTO_BUF said = BUF_INIT;
    struct all a = decode(arena, "{with_default: x, duration: 9, word: y}", &said);
    assert_int_equal(a.with_default, 5 * NSEC_SEC);
    assert_int_equal(a.duration, NSEC_UNSET);
    assert_int_equal(a.word, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_taken_or_refused_with_a_reason),
        cmocka_unit_test(values_arrive_in_the_struct),
        cmocka_unit_test(what_is_absent_has_its_default_or_is_unset),
        cmocka_unit_test(a_refused_value_leaves_the_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
