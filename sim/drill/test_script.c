/* The script in virtual time, with injectors of the test's own: when steps begin, what is undone,
 * in which order, and what spoils a trial. */
#include "tests/support/test.h"

#include "injectors/injector.h"
#include "injectors/journal.h"
#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/drill/script.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

/* What the fake fault of a step should do, and what happened to it. */
struct plan {
    const char *name;
    int prepare_rc, apply_rc;
    int verify_again; /* so many INJECT_AGAIN first */
    int verify_rc;    /* then this, when it is an error */
    bool verify_ok, gone;
    bool later; /* through start() */
    int prepared, armed, arm_rc, applied, verified, reverted, done;
    inject_event_fn *fn;
    void *fn_data;
};

struct world {
    struct loop *loop;
    struct buf log;
    struct core core;
    struct drill_options o;
    struct scenario scenario;
    struct step steps[4];
    void *items[4];
    struct plan plans[4];
    struct injector injectors[4];
    struct variant variants[4];
    struct script *script;
    char dir[64], spoilt[256], stopped[32];
    int dirfd, changed;
};

static struct world *W; /* injectors have no pointer of the test's own before prepare */

static struct plan *plan_of(const struct step *step)
{
    for (size_t i = 0; i < 4; i++)
        if (&W->steps[i] == step)
            return &W->plans[i];
    fail();
    return NULL;
}

static void say(const char *what, const struct plan *p)
{
    buf_printf(&W->log, "%lld %s %s\n", (long long)(loop_now(W->loop) / NSEC_MSEC), what, p->name);
}

static int fake_prepare(struct inject_env *env, const struct step *step, void **ret_state,
                        json_t **ret_undo, struct err *err)
{
    struct plan *p = plan_of(step);
    p->prepared++;
    if (p->prepare_rc)
        return err_set(err, -p->prepare_rc, "the target has gone");
    *ret_state = p;
    *ret_undo = json_pack("{s:I}", "plan", (json_int_t)(p - W->plans));
    return 0;
}

static int fake_arm(struct inject_env *env, void *state, struct err *err)
{
    struct plan *p = state;
    p->armed++;
    return p->arm_rc ? err_set(err, -p->arm_rc, "the kernel refused") : 0;
}

static int fake_apply(struct inject_env *env, void *state, struct inject_result *ret,
                      struct err *err)
{
    struct plan *p = state;
    p->applied++;
    say("apply", p);
    if (p->apply_rc)
        return err_set(err, -p->apply_rc, "the kernel refused");
    ret->at = (struct span){loop_now(env->loop), loop_now(env->loop) + 1000};
    ret->targets = json_pack("[s]", "h1");
    return 0;
}

static int fake_start(struct inject_env *env, void *state, inject_event_fn *fn, void *data,
                      struct err *err)
{
    struct plan *p = state;
    p->applied++;
    say("start", p);
    p->fn = fn;
    p->fn_data = data;
    return 0;
}

static int fake_verify(struct inject_env *env, void *state, struct inject_proof *ret,
                       struct err *err)
{
    struct plan *p = state;
    p->verified++;
    if (p->verify_again-- > 0 && !env->decide)
        return INJECT_AGAIN;
    if (p->verify_rc < 0)
        return err_set(err, -p->verify_rc, "nobody answers");
    *ret =
        (struct inject_proof){.ok = p->verify_ok, .at = {loop_now(env->loop), loop_now(env->loop)}};
    strcpy(ret->asked, "broken");
    strcpy(ret->seen, p->verify_ok ? "broken" : "whole");
    if (p->gone)
        p->verify_ok = false;
    return 0;
}

static int fake_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
                       struct err *err)
{
    struct plan *p = &W->plans[jsonx_int(undo, "plan", 0)];
    assert_int_equal(p->done, 1); /* done() comes before revert() */
    p->reverted++;
    say("revert", p);
    return 0;
}

static void fake_done(void *state)
{
    ((struct plan *)state)->done++;
}

static void on_spoilt(const char *reason, void *data)
{
    if (!W->spoilt[0])
        snprintf(W->spoilt, sizeof W->spoilt, "%s", reason);
}

static void on_changed(void *data)
{
    W->changed++;
}

static void on_stop(struct core *c, const char *reason, const char *detail)
{
    fail_msg("the drill was stopped: %s", detail);
}

static int setup(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    struct world *w = calloc(1, sizeof *w);
    W = w;
    strcpy(w->dir, "/tmp/blackstart-test-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    w->dirfd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(loop_new(LOOP_VIRTUAL, &w->loop, NULL), 0);
    w->o = (struct drill_options){.scenario = &w->scenario, .seed = 1, .id = "test"};
    w->core = (struct core){.o = &w->o, .loop = w->loop, .stop = on_stop};
    assert_int_equal(record_create(w->dirfd, "record.ndjson", 0, &w->core.record, NULL), 0);
    core_note(&w->core, "run-start", 0, json_pack("{s:i}", "record", 1));
    for (size_t i = 0; i < 4; i++) {
        w->plans[i] = (struct plan){.name = names[i], .verify_ok = true};
        w->injectors[i] = (struct injector){.name = "fake",
                                            .is_fault = true,
                                            .lasts = true,
                                            .holds = true,
                                            .prepare = fake_prepare,
                                            .apply = fake_apply,
                                            .verify = fake_verify,
                                            .revert = fake_revert,
                                            .done = fake_done};
        w->variants[i] = (struct variant){.name = "fake", .impl = &w->injectors[i]};
        w->steps[i] = (struct step){.id = (char *)(uintptr_t)names[i],
                                    .at = NSEC_UNSET,
                                    .lasting = NSEC_UNSET,
                                    .action = &w->variants[i]};
        w->items[i] = &w->steps[i];
    }
    w->scenario.script = (struct objects){w->items, 4};
    *state = w;
    return 0;
}

static void begin(struct world *w, size_t n_steps)
{
    struct script_handlers h = {.spoilt = on_spoilt, .changed = on_changed};
    w->scenario.script.n = n_steps;
    w->script = script_new(&w->core, NULL, 1, &h);
    script_go(w->script, 0, false);
}

static void until(struct world *w, nsec t)
{
    while (loop_now(w->loop) < t)
        assert_int_equal(loop_turn(w->loop, t, NULL), 0);
}

static int teardown(void **state)
{
    struct world *w = *state;
    script_free(w->script);
    record_free(w->core.record);
    loop_free(w->loop);
    buf_done(&w->log);
    close(w->dirfd);
    file_remove_tree(AT_FDCWD, w->dir, NULL);
    free(w);
    return 0;
}

/* Lines of the record of that kind. */
static json_t *recorded(struct world *w, const char *kind)
{
    AUTO_JSON *events = NULL;
    struct record_head head;
    size_t torn, i;
    json_t *all = json_array(), *e;
    assert_int_equal(record_read(w->dirfd, "record.ndjson", &events, &head, &torn, NULL), 0);
    json_array_foreach (events, i, e)
        if (!strcmp(jsonx_str(e, "kind", ""), kind))
            json_array_append(all, e);
    return all;
}

static void steps_begin_at_their_time_and_end_after_for(void **state)
{
    struct world *w = *state;
    w->steps[0].at = 2 * NSEC_SEC;
    w->steps[0].lasting = 3 * NSEC_SEC;
    w->steps[1].at = 1 * NSEC_SEC;
    begin(w, 2);
    assert_false(script_begun(w->script));
    until(w, 10 * NSEC_SEC);
    assert_true(script_begun(w->script));
    /* `for` counts from the acknowledgement: 1 us later than the request */
    assert_string_equal(buf_text(&w->log), "1000 apply b\n2000 apply a\n5000 revert a\n");
    assert_int_equal(script_undo_all(w->script, "end"), 0);
    assert_int_equal(w->plans[0].reverted, 1);
    assert_int_equal(w->plans[1].reverted, 1);
    AUTO_JSON *undos = recorded(w, "undo");
    assert_int_equal(json_array_size(undos), 2);
    assert_string_equal(jsonx_str(json_array_get(undos, 0), "cause", ""), "for");
    assert_string_equal(jsonx_str(json_array_get(undos, 1), "cause", ""), "end");
}

static void what_began_last_is_undone_first_and_once(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < 3; i++)
        w->steps[i].at = (nsec)(3 - i) * NSEC_SEC; /* c, b, a */
    begin(w, 3);
    until(w, 5 * NSEC_SEC);
    AUTO_JSON *in_force = script_in_force(w->script);
    assert_int_equal(json_array_size(in_force), 3);
    assert_int_equal(script_undo_all(w->script, "abort"), 0);
    assert_int_equal(script_undo_all(w->script, "abort"), 0);
    assert_non_null(strstr(buf_text(&w->log), "5000 revert a\n5000 revert b\n5000 revert c\n"));
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(w->plans[i].reverted, 1);
}

static void conditions_wait_for_facts(void **state)
{
    struct world *w = *state;
    struct condition pager = {.alarm = (char *)(uintptr_t) "pager"};
    struct condition down = {.probe = (char *)(uintptr_t) "p"};
    struct condition go = {.operator_word = (char *)(uintptr_t) "go"};
    void *both[] = {&pager, &down}, *either[] = {&go, &down};
    struct condition all = {.all = {both, 2}}, any = {.any = {either, 2}};
    w->steps[0].when = &pager;
    w->steps[0].after = 2 * NSEC_SEC;
    w->steps[0].until = &go;
    w->steps[1].when = &all;
    w->steps[2].when = &any;
    begin(w, 3);
    until(w, NSEC_SEC);
    script_alarm(w->script, "other");
    script_alarm(w->script, "pager");
    until(w, 2 * NSEC_SEC);
    assert_string_equal(buf_text(&w->log), "");
    until(w, 4 * NSEC_SEC);
    assert_string_equal(buf_text(&w->log), "3000 apply a\n");
    script_operator(w->script, "go");
    until(w, 5 * NSEC_SEC);
    assert_string_equal(buf_text(&w->log), "3000 apply a\n4000 revert a\n4000 apply c\n");
    script_probe(w->script, "p", true);
    until(w, 6 * NSEC_SEC);
    assert_non_null(strstr(buf_text(&w->log), "5000 apply b\n"));
}

static void facts_before_the_zero_do_not_count(void **state)
{
    struct world *w = *state;
    struct script_handlers h = {.spoilt = on_spoilt, .changed = on_changed};
    struct condition pager = {.alarm = (char *)(uintptr_t) "pager"};
    w->steps[0].when = &pager;
    w->scenario.script.n = 1;
    w->script = script_new(&w->core, NULL, 1, &h);
    script_alarm(w->script, "pager");
    script_go(w->script, 0, false);
    until(w, NSEC_SEC);
    assert_string_equal(buf_text(&w->log), "");
}

static void a_target_that_has_gone_spoils_the_trial(void **state)
{
    struct world *w = *state;
    w->steps[0].at = NSEC_SEC;
    w->plans[0].prepare_rc = -ESRCH;
    begin(w, 1);
    until(w, 2 * NSEC_SEC);
    assert_string_equal(w->spoilt, "step a: the target has gone");
    assert_int_equal(w->plans[0].applied, 0);
    assert_int_equal(script_undo_all(w->script, "end"), 0);
    assert_int_equal(w->plans[0].reverted, 0);
}

static void a_fault_applied_by_half_is_reverted(void **state)
{
    struct world *w = *state;
    w->steps[0].at = NSEC_SEC;
    w->plans[0].apply_rc = -EPERM;
    begin(w, 1);
    until(w, 2 * NSEC_SEC);
    assert_string_equal(w->spoilt, "step a: the kernel refused");
    assert_int_equal(w->plans[0].reverted, 1);
    AUTO_JSON *injects = recorded(w, "inject");
    assert_false(jsonx_bool(json_array_get(injects, 0), "ok", true));
}

static void a_fault_that_did_not_bite_spoils_the_trial(void **state)
{
    struct world *w = *state;
    w->steps[0].at = NSEC_SEC;
    w->plans[0].verify_again = 3;
    w->plans[0].verify_ok = false;
    begin(w, 1);
    until(w, NSEC_SEC + 20 * NSEC_MSEC);
    assert_string_equal(w->spoilt, ""); /* asked again, not answered yet */
    until(w, 2 * NSEC_SEC);
    assert_int_equal(w->plans[0].verified, 4);
    assert_non_null(strstr(w->spoilt, "did not bite: asked broken, seen whole"));
}

static void a_fault_that_cannot_be_asked_did_not_bite(void **state)
{
    struct world *w = *state;
    w->steps[0].at = NSEC_SEC;
    w->plans[0].verify_rc = -EIO;
    begin(w, 1);
    until(w, 2 * NSEC_SEC);
    assert_non_null(strstr(w->spoilt, "did not bite: asked 'fake' in force, seen nobody answers"));
}

/* Undone before it was decided whether it bites: asked once more, and the answer counts. */
static void an_open_question_is_decided_before_undoing(void **state)
{
    struct world *w = *state;
    for (int bites = 1; bites >= 0; bites--) {
        w->steps[!bites].at = NSEC_SEC;
        w->steps[!bites].lasting = 25 * NSEC_MSEC;
        w->plans[!bites].verify_again = 100;
        w->plans[!bites].verify_ok = bites;
    }
    begin(w, 2);
    until(w, NSEC_SEC + 20 * NSEC_MSEC);
    assert_string_equal(w->spoilt, "");
    until(w, 2 * NSEC_SEC);
    AUTO_JSON *verified = recorded(w, "verify");
    assert_int_equal(json_array_size(verified), 2);
    assert_true(jsonx_bool(json_array_get(verified, 0), "ok", false));
    assert_false(jsonx_bool(json_array_get(verified, 1), "ok", true));
    assert_int_equal(w->plans[0].reverted, 1);
    assert_int_equal(w->plans[1].reverted, 1);
    assert_non_null(strstr(w->spoilt, "step b: the fault did not bite"));
}

static void a_fault_that_others_ended_is_told(void **state)
{
    struct world *w = *state;
    w->steps[0].at = NSEC_SEC;
    w->steps[0].lasting = NSEC_SEC;
    w->plans[0].gone = true;
    begin(w, 1);
    until(w, 3 * NSEC_SEC);
    AUTO_JSON *gone = recorded(w, "fault-gone");
    assert_int_equal(json_array_size(gone), 1);
    assert_string_equal(jsonx_str(json_array_get(gone, 0), "why", ""), "whole");
    assert_int_equal(w->plans[0].reverted, 1);
}

static void an_action_that_ends_later_is_recorded_with_its_exit(void **state)
{
    struct world *w = *state;
    w->injectors[0].start = fake_start;
    w->injectors[0].apply = NULL;
    w->injectors[0].verify = NULL;
    w->injectors[0].lasts = false;
    w->injectors[0].is_fault = false;
    struct condition after_a = {.step = (char *)(uintptr_t) "a"};
    w->steps[0].at = NSEC_SEC;
    w->steps[1].when = &after_a;
    begin(w, 2);
    until(w, 2 * NSEC_SEC);
    struct inject_event e = {.kind = INJECT_COMMAND_START, .host = "h1", .command = "./promote.sh"};
    w->plans[0].fn(&e, w->plans[0].fn_data);
    e.kind = INJECT_COMMAND_END;
    e.code = 3;
    e.output = "no\n";
    e.output_n = 3;
    w->plans[0].fn(&e, w->plans[0].fn_data);
    struct inject_result result = INJECT_RESULT_INIT;
    e = (struct inject_event){.kind = INJECT_ENDED, .result = &result};
    assert_int_equal(w->plans[1].applied, 0);
    w->plans[0].fn(&e, w->plans[0].fn_data);
    until(w, 3 * NSEC_SEC);
    assert_int_equal(w->plans[1].applied, 1); /* `when: {step: a}` waits for its end */
    AUTO_JSON *actions = recorded(w, "action");
    assert_int_equal(json_array_size(actions), 2);
    assert_int_equal(jsonx_int(json_array_get(actions, 1), "code", -1), 3);
    assert_string_equal(jsonx_str(json_array_get(actions, 1), "output", ""), "no\n");
}

/* What outlives us is prepared, and on the disk, before the clock starts; what never came to it is taken
 * back from there. */
static void what_is_kept_is_armed_before_the_clock_starts(void **state)
{
    struct world *w = *state;
    struct script_handlers h = {.spoilt = on_spoilt, .changed = on_changed};
    char folder[96];
    snprintf(folder, sizeof folder, "%s/journal", w->dir);
    assert_int_equal(journal_open(folder, "test", &w->core.journal, NULL), 0);
    for (size_t i = 0; i < 2; i++) {
        w->injectors[i].kept = true;
        w->steps[i].at = (nsec)(i + 1) * NSEC_SEC;
    }
    w->steps[2].at = NSEC_SEC; /* not kept */
    w->scenario.script.n = 3;
    w->script = script_new(&w->core, NULL, 1, &h);
    assert_int_equal(script_arm(w->script, NULL), 0);
    assert_int_equal(w->plans[0].prepared + w->plans[1].prepared, 2);
    assert_int_equal(w->plans[2].prepared, 0);
    assert_int_equal(w->plans[0].applied, 0);
    assert_true(journal_fd(w->core.journal) >= 0);
    script_go(w->script, 0, false);
    until(w, 1500 * NSEC_MSEC);
    assert_int_equal(w->plans[0].applied, 1);
    assert_int_equal(w->plans[0].prepared, 1);
    AUTO_JSON *pending = journal_pending(w->core.journal);
    assert_true(jsonx_bool(json_array_get(pending, 0), "begun", false));
    assert_false(jsonx_bool(json_array_get(pending, 1), "begun", false));
    assert_int_equal(script_undo_all(w->script, "end"), 0);
    w->script = script_free(w->script);
    assert_int_equal(json_array_size(pending), 0);
    w->core.journal = journal_close(w->core.journal);
    assert_int_equal(rmdir(folder), 0); /* nothing stays in it */
}

/* What is armed begins in the journal before, and is taken away even if it never came to it; what cannot
 * be armed is left to apply. */
static void what_apply_switches_on_is_made_before(void **state)
{
    struct world *w = *state;
    struct script_handlers h = {.spoilt = on_spoilt, .changed = on_changed};
    char folder[96];
    snprintf(folder, sizeof folder, "%s/journal", w->dir);
    assert_int_equal(journal_open(folder, "test", &w->core.journal, NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        w->injectors[i].kept = true;
        w->injectors[i].arm = fake_arm;
        w->steps[i].at = (nsec)(i + 1) * NSEC_SEC;
    }
    w->plans[1].arm_rc = -EPERM;
    w->scenario.script.n = 3;
    w->script = script_new(&w->core, NULL, 1, &h);
    assert_int_equal(script_arm(w->script, NULL), 0);
    AUTO_JSON *pending = journal_pending(w->core.journal);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(w->plans[i].armed, 1);
        assert_int_equal(w->plans[i].applied, 0);
        assert_true(jsonx_bool(json_array_get(pending, i), "begun", false));
    }
    assert_string_equal(w->spoilt, "");
    script_go(w->script, 0, false);
    until(w, 2500 * NSEC_MSEC);
    assert_int_equal(w->plans[0].applied + w->plans[1].applied, 2);
    assert_int_equal(script_undo_all(w->script, "abort"), 0);
    assert_int_equal(script_undo_all(w->script, "abort"), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(w->plans[i].reverted, 1);
    assert_int_equal(w->plans[2].applied, 0);
    w->script = script_free(w->script);
    assert_int_equal(json_array_size(pending), 0);
    AUTO_JSON *undos = recorded(w, "undo"); /* of what was in force */
    assert_int_equal(json_array_size(undos), 2);
    w->core.journal = journal_close(w->core.journal);
    assert_int_equal(rmdir(folder), 0);
}

static void a_target_that_has_gone_arms_nothing(void **state)
{
    struct world *w = *state;
    struct script_handlers h = {.spoilt = on_spoilt, .changed = on_changed};
    struct err err = ERR_INIT;
    w->injectors[0].kept = true;
    w->steps[0].at = NSEC_SEC;
    w->plans[0].prepare_rc = -ESRCH;
    w->scenario.script.n = 1;
    w->script = script_new(&w->core, NULL, 1, &h);
    assert_int_equal(script_arm(w->script, &err), -ESRCH);
    assert_string_equal(err.text, "step a: the target has gone");
}

static void a_halted_script_begins_nothing_more(void **state)
{
    struct world *w = *state;
    w->steps[0].at = NSEC_SEC;
    w->steps[1].at = 3 * NSEC_SEC;
    begin(w, 2);
    until(w, 2 * NSEC_SEC);
    script_halt(w->script);
    until(w, 5 * NSEC_SEC);
    assert_int_equal(w->plans[1].applied, 0);
}

static void on_lost_warden(struct core *c, const char *reason, const char *detail)
{
    snprintf(W->stopped, sizeof W->stopped, "%s", reason);
}

static void nothing_is_injected_of_which_the_warden_did_not_hear(void **state)
{
    struct world *w = *state;
    struct warden_spec spec = {.dirfd = w->dirfd, .deadline = 60 * NSEC_SEC, .patience = NSEC_SEC};
    assert_int_equal(warden_start(&spec, &w->core.warden, NULL), 0);
    w->core.stop = on_lost_warden;
    w->steps[0].at = NSEC_SEC;
    w->steps[1].at = 2 * NSEC_SEC;
    begin(w, 2);
    until(w, 1500 * NSEC_MSEC);
    assert_int_equal(w->plans[0].applied, 1);
    assert_string_equal(w->stopped, "");
    assert_int_equal(kill(warden_pid(w->core.warden), SIGSTOP), 0);
    until(w, 3 * NSEC_SEC);
    assert_int_equal(w->plans[1].prepared, 1);
    assert_int_equal(w->plans[1].applied, 0);
    assert_int_equal(w->plans[1].reverted, 0);
    assert_string_equal(w->stopped, "lost-warden");
    assert_string_equal(w->spoilt,
                        "step b: the warden does not answer: without it nothing more may "
                        "be injected");
    assert_int_equal(script_undo_all(w->script, "abort"), 0);
    assert_int_equal(w->plans[0].reverted, 1);
    w->core.warden = warden_end(w->core.warden);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(steps_begin_at_their_time_and_end_after_for),
        T(what_began_last_is_undone_first_and_once),
        T(conditions_wait_for_facts),
        T(facts_before_the_zero_do_not_count),
        T(a_target_that_has_gone_spoils_the_trial),
        T(a_fault_applied_by_half_is_reverted),
        T(a_fault_that_cannot_be_asked_did_not_bite),
        T(a_fault_that_did_not_bite_spoils_the_trial),
        T(an_open_question_is_decided_before_undoing),
        T(a_fault_that_others_ended_is_told),
        T(an_action_that_ends_later_is_recorded_with_its_exit),
        T(what_is_kept_is_armed_before_the_clock_starts),
        T(what_apply_switches_on_is_made_before),
        T(a_target_that_has_gone_arms_nothing),
        T(a_halted_script_begins_nothing_more),
        T(nothing_is_injected_of_which_the_warden_did_not_hear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
