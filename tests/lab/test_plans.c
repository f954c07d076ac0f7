/* `plan` says what `run` does: the same messages to the kernel, in the same order. */
#include "tests/support/labkit.h"

#include "injectors/injector.h"
#include "injectors/params.h"
#include "sim/base/jsonx.h"
#include "tests/support/faultkit.h"

struct seen_texts {
    json_t *texts;
};

static void note_change(const struct nl_seen *s, void *data)
{
    struct seen_texts *t = data;
    json_array_append_new(t->texts, json_sprintf("  %s: %s", s->where, s->text));
}

static void observe_all(struct kit *k, nl_observer *fn, void *data)
{
    nl_observe(lab_switch_nl(k->lab), fn, data);
    for (size_t i = 0; i < lab_count(k->lab); i++)
        nl_observe(lab_node_nl(lab_node_at(k->lab, i)), fn, data);
}

static void compare_plan(struct kit *k, struct step *s)
{
    struct err err = ERR_INIT;
    AUTO_JSON *plan = json_array();
    struct seen_texts seen = {.texts = json_array()};
    struct inject_result undone = INJECT_RESULT_INIT;
    struct fault f;
    struct inject_env env = {.scenario = k->s};
    kit_ok(injector_of(s)->plan(&env, s, plan, &err), &err);
    json_array_remove(plan, 0); /* the sentence */
    observe_all(k, note_change, &seen);
    fault_begin(k, s, &f);
    json_array_append_new(seen.texts, json_string("to undo that:"));
    kit_ok(f.injector->revert(&f.env, f.undo, &undone, &err), &err);
    observe_all(k, NULL, NULL);
    assert_true(json_array_size(plan) > 2);
    if (!json_equal(plan, seen.texts)) {
        AUTO_BUF a = BUF_INIT, b = BUF_INIT;
        jsonx_dump_pretty(plan, &a);
        jsonx_dump_pretty(seen.texts, &b);
        print_error("plan: %s\nrun: %s\n", buf_text(&a), buf_text(&b));
        fail();
    }
    inject_result_done(&undone);
    json_decref(seen.texts);
    fault_end(k, &f);
}

static void plan_and_run_send_the_same(void **state)
{
    static struct kit k;
    fault_three_hosts(&k);
    for (int kind = CUT_DROP; kind <= CUT_REJECT; kind++) {
        struct step *s = fault_step(&k, "cut", "partition");
        struct partition_params *p = s->params;
        p->kind = kind;
        fault_group(&k, &p->cut, "a");
        fault_group(&k, &p->cut, "b c");
        compare_plan(&k, s);
    }
    struct step *s = fault_step(&k, "pull", "link");
    struct link_params *p = s->params;
    p->host = fault_target(&k, "b");
    p->down = true;
    compare_plan(&k, s);
    kit_close(&k);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(plan_and_run_send_the_same),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return kit_main(argc, argv, tests);
}
