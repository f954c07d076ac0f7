/* Scenarios that are right: the shipped ones, the template, and files that use every key. They
 * pass, and what is written as run is the same scenario. And the catalogue and the manual are
 * complete.
 */
#include "tests/support/test.h"

#include "injectors/injector.h"
#include "scenarios/emit.h"
#include "scenarios/listing.h"
#include "scenarios/new.h"
#include "scenarios/scenario.h"
#include "scenarios/tables.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/watch/watch.h"
#include "tests/support/model_dump.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>

static void fail_with(const char *what, struct diags *diags)
{
    AUTO_BUF said = BUF_INIT;
    diags_render(diags, &said);
    fail_msg("%s: %s", what, buf_text(&said));
}

static struct scenario *load(const char *path)
{
    AUTO_DIAGS diags = DIAGS_INIT;
    struct scenario *s = NULL;
    if (scenario_load(path, NULL, &diags, &s) < 0 || diags.n)
        fail_with(path, &diags);
    return s;
}

/* Written as run and read again: the same model, and written again the same text. */
static void assert_emits_itself(const struct scenario *s)
{
    AUTO_BUF first = BUF_INIT, second = BUF_INIT, model = BUF_INIT, again = BUF_INIT;
    AUTO_DIAGS diags = DIAGS_INIT;
    CLEANUP(scenario_free_p) struct scenario *copy = NULL;
    scenario_emit(s, &first);
    if (scenario_load_as_run(first.text, first.len, "scenario.yaml", &diags, &copy) < 0)
        fail_with(s->file, &diags);
    scenario_emit(copy, &second);
    assert_string_equal(second.text, first.text);
    model_dump(&scenario_record, s, &model);
    model_dump(&scenario_record, copy, &again);
    assert_string_equal(again.text, model.text);
    assert_int_equal(copy->vars.n, s->vars.n);
    for (size_t i = 0; i < s->vars.n; i++)
        assert_string_equal(copy->vars.items[i].value, s->vars.items[i].value);
}

static void each(const char *pattern, size_t least)
{
    glob_t found = {0};
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= least);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        CLEANUP(scenario_free_p) struct scenario *s = load(found.gl_pathv[i]);
        assert_emits_itself(s);
    }
    globfree(&found);
}

static void shipped_scenarios_pass_and_are_written_as_they_are(void **state)
{
    each(TEST_ROOT "/scenarios/*/*.yaml", 5);
}

/* Keys of the tables that stand nowhere in everything.yaml would be untried. */
static void assert_all_keys_stand_in(const char *text, const struct record *r, unsigned depth)
{
    for (const struct field *f = r->fields; f->key; f++) {
        AUTO_BUF key = BUF_INIT;
        buf_printf(&key, "%s:", f->key);
        if (!strstr(text, key.text) && strcmp(f->key, "include"))
            fail_msg("the key '%s' of %s stands in neither everything.yaml nor exercise.yaml",
                     f->key, r->name);
        if (f->record && depth < 6)
            assert_all_keys_stand_in(text, f->record, depth + 1);
    }
    for (size_t i = 0; field_variant(r, i); i++)
        assert_all_keys_stand_in(text, field_variant(r, i)->params, depth + 1);
}

/* Steps of people stand in a file of their own: who plays cannot be run. */
static void everything_yaml_has_every_key(void **state)
{
    static const char *const files[] = {"everything.yaml", "exercise.yaml"};
    AUTO_BUF both = BUF_INIT;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        AUTO_BUF path = BUF_INIT;
        AUTO_FREE char *text = NULL;
        buf_printf(&path, TEST_CORPUS "/good/%s", files[i]);
        assert_int_equal(file_read(AT_FDCWD, path.text, 1 << 20, &text, NULL, NULL), 0);
        buf_adds(&both, text);
    }
    assert_all_keys_stand_in(both.text, &scenario_record, 0);
}

static void every_key_and_way_of_writing_passes_and_is_written_as_it_is(void **state)
{
    each(TEST_CORPUS "/good/*.yaml", 3);
}

static void the_template_passes_and_is_written_as_it_is(void **state)
{
    AUTO_DIAGS diags = DIAGS_INIT;
    CLEANUP(scenario_free_p) struct scenario *s = NULL;
    AUTO_BUF text = BUF_INIT;
    new_make(&text);
    if (scenario_load_text(text.text, text.len, "new.yaml", NULL, &diags, &s) < 0 || diags.n)
        fail_with("the template", &diags);
    assert_emits_itself(s);
}

static void the_tables_are_documented(const struct record *r, unsigned depth)
{
    assert_non_null(r->summary);
    for (const struct field *f = r->fields; f->key; f++) {
        if (!f->help || !*f->help)
            fail_msg("%s of %s has no help", f->key, r->name);
        if (f->record && depth < 6)
            the_tables_are_documented(f->record, depth + 1);
    }
    const struct variant *v;
    for (size_t i = 0; (v = field_variant(r, i)); i++) {
        assert_non_null(v->summary);
        if (i && (!r->more || v != r->more[0]))
            assert_true(strcmp(field_variant(r, i - 1)->name, v->name) < 0);
        the_tables_are_documented(v->params, depth + 1);
    }
}

static void every_key_has_help_and_registries_are_sorted(void **state)
{
    the_tables_are_documented(&scenario_record, 0);
}

static void assert_narrow(const char *text)
{
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, "\n"), width = 0;
        for (size_t i = 0; i < n; i++)
            width += ((unsigned char)p[i] & 0xc0) != 0x80;
        if (width > 80)
            fail_msg("%zu columns: %.*s", width, (int)n, p);
        p += n + (p[n] == '\n');
    }
}

static void the_catalogue_fits_on_a_terminal(void **state)
{
    const struct variant *const *all[] = {injector_actions, watch_probe_kinds, watch_alarm_kinds};
    for (int kind = LISTING_INJECTORS; kind <= LISTING_ALARMS; kind++) {
        AUTO_BUF out = BUF_INIT;
        AUTO_JSON *json = NULL;
        assert_int_equal(listing_text((enum listing_kind)kind, NULL, NULL, &out, NULL), 0);
        assert_int_equal(listing_json((enum listing_kind)kind, NULL, NULL, &json, NULL), 0);
        size_t n = 0;
        for (; all[kind][n]; n++) {
            const char *name = all[kind][n]->name;
            assert_non_null(strstr(out.text, name));
            AUTO_BUF one = BUF_INIT;
            AUTO_JSON *one_json = NULL;
            assert_int_equal(listing_text((enum listing_kind)kind, name, NULL, &one, NULL), 0);
            assert_narrow(one.text);
            assert_int_equal(listing_json((enum listing_kind)kind, name, NULL, &one_json, NULL), 0);
            assert_int_equal(json_array_size(one_json), 1);
        }
        assert_narrow(out.text);
        assert_int_equal(json_array_size(json), n);
    }
    struct err err = ERR_INIT;
    AUTO_BUF out = BUF_INIT;
    assert_int_equal(listing_text(LISTING_INJECTORS, "kil", NULL, &out, &err), -ENOENT);
    assert_non_null(strstr(err.text, "did you mean 'kill'?"));
    assert_int_equal(out.len, 0);
}

/* As on a kernel without netem. */
static void injectors_say_whether_they_work_here(void **state)
{
    char no[] = "no such thing", yes[] = "made one";
    struct hostcap items[] = {{"netem", false, no, "Load sch_netem."},
                              {"ifb", true, yes, ""},
                              {"cls-bpf", true, yes, ""},
                              {"mirred", true, yes, ""},
                              {"veth", true, yes, ""},
                              {"packet-socket", true, yes, ""}};
    struct hostcaps caps = {.items = items, .n = ARRAY_SIZE(items), .lab_possible = true};
    AUTO_BUF text = BUF_INIT;
    AUTO_JSON *json = NULL;
    assert_int_equal(listing_text(LISTING_INJECTORS, "network", &caps, &text, NULL), 0);
    assert_non_null(strstr(buf_text(&text), "Here, by netem: not possible: netem: no such thing. "
                                            "Load sch_netem.\n"));
    assert_non_null(strstr(buf_text(&text), "Here, by user: works.\n"));
    assert_int_equal(listing_json(LISTING_INJECTORS, "kill", &caps, &json, NULL), 0);
    const json_t *here = json_object_get(json_array_get(json, 0), "here");
    assert_int_equal(json_array_size(here), 1);
    assert_true(json_is_true(json_object_get(json_array_get(here, 0), "works")));
    items[4] = (struct hostcap){"veth", false, no, "No lab is possible: cables are veth pairs."};
    caps.lab_possible = false;
    buf_clear(&text);
    assert_int_equal(listing_text(LISTING_INJECTORS, "kill", &caps, &text, NULL), 0);
    assert_non_null(strstr(buf_text(&text), "Here: not possible: veth: no such thing."));
}

/* With BLACKSTART_UPDATE set the part is written instead. */
static void the_manual_says_what_the_tables_say(void **state)
{
    static const char begin[] = "<!-- generated from the tables: begin -->\n";
    static const char end[] = "<!-- generated from the tables: end -->\n";
    const char *path = TEST_ROOT "/docs/scenario.md";
    AUTO_FREE char *text = NULL;
    AUTO_BUF tables = BUF_INIT;
    struct err err = ERR_INIT;
    if (file_read(AT_FDCWD, path, 1 << 20, &text, NULL, &err) < 0)
        fail_msg("%s", err.text);
    char *from = strstr(text, begin), *to = strstr(text, end);
    assert_non_null(from);
    assert_non_null(to);
    from += strlen(begin);
    listing_manual(&tables);
    if (getenv("BLACKSTART_UPDATE")) {
        AUTO_BUF whole = BUF_INIT;
        buf_add(&whole, text, (size_t)(from - text));
        buf_adds(&whole, tables.text);
        buf_adds(&whole, to);
        assert_int_equal(file_replace(AT_FDCWD, path, whole.text, whole.len, NULL), 0);
        return;
    }
    *to = '\0';
    assert_string_equal(from, tables.text);
}

/* Whole scenarios in the manual and the README are right. */
static void the_examples_of_the_manual_pass(void **state)
{
    static const char *const paths[] = {TEST_ROOT "/docs/scenario.md",
                                        TEST_ROOT "/docs/forecast.md", TEST_ROOT "/README.md"};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        AUTO_FREE char *text = NULL;
        size_t found = 0;
        assert_int_equal(file_read(AT_FDCWD, paths[i], 1 << 20, &text, NULL, NULL), 0);
        for (char *p = text; (p = strstr(p, "```yaml\nblackstart: 1\n")); p++) {
            AUTO_DIAGS diags = DIAGS_INIT;
            CLEANUP(scenario_free_p) struct scenario *s = NULL;
            const char *yaml = p + strlen("```yaml\n");
            const char *end = strstr(yaml, "\n```\n");
            assert_non_null(end);
            if (scenario_load_text(yaml, (size_t)(end - yaml), paths[i], NULL, &diags, &s) < 0)
                fail_with("an example", &diags);
            found++;
        }
        assert_true(found > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(injectors_say_whether_they_work_here),
        cmocka_unit_test(shipped_scenarios_pass_and_are_written_as_they_are),
        cmocka_unit_test(every_key_and_way_of_writing_passes_and_is_written_as_it_is),
        cmocka_unit_test(everything_yaml_has_every_key),
        cmocka_unit_test(the_template_passes_and_is_written_as_it_is),
        cmocka_unit_test(every_key_has_help_and_registries_are_sorted),
        cmocka_unit_test(the_catalogue_fits_on_a_terminal),
        cmocka_unit_test(the_examples_of_the_manual_pass),
        cmocka_unit_test(the_manual_says_what_the_tables_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
