/* What programs read of an exercise: result.json and junit.xml; and the files of an after-action report. */
#include "reports/after_action.h"

#include <errno.h>
#include <string.h>

#include "reports/escape.h"
#include "reports/metrics.h"
#include "reports/output.h"
#include "reports/sentence.h"
#include "sim/base/jsonx.h"

static void set(json_t *o, const char *key, json_t *value)
{
    json_object_set_new(o, key, value);
}

static json_t *text(const char *s)
{
    return s ? jsonx_new_text(s) : json_null();
}

static json_t *copied(const json_t *from, const char *key)
{
    const json_t *v = json_object_get(from, key);
    return v ? json_deep_copy(v) : json_null();
}

static json_t *letter(char rating)
{
    return rating ? json_stringn(&rating, 1) : json_null();
}

static json_t *count(const struct after_count *c)
{
    json_t *j = json_object();
    set(j, "n", json_integer((json_int_t)c->n));
    set(j, "of", json_integer((json_int_t)c->of));
    return j;
}

/* --- result.json --- */

static json_t *objective_json(const struct after_rating *r)
{
    const struct objective_target *t = r->objective->target;
    json_t *j = json_object();
    set(j, "kind", json_string("capability"));
    set(j, "id", text(r->objective->id));
    set(j, "text", text(r->objective->text));
    set(j, "capability", text(r->objective->capability));
    set(j, "service", text(t ? t->service : NULL));
    set(j, "promise",
        t && t->promise >= 0 ? json_string(objective_promise_words[t->promise]) : json_null());
    set(j, "target", text(t ? t->text : NULL));
    set(j, "target_s", jsonx_new_seconds(r->target));
    set(j, "measured_s", jsonx_new_seconds(r->measured));
    set(j, "censored", json_boolean(r->still));
    set(j, "rating", letter(r->rating));
    set(j, "verdict", json_string(verdict_words[r->verdict]));
    set(j, "why", text(r->why));
    return j;
}

static json_t *task_json(const struct after_task *t)
{
    json_t *j = json_object();
    enum people_step kind = step_people(t->step->step);
    set(j, "step", text(t->step->step->id));
    set(j, "kind", json_string(people_step_words[kind]));
    set(j, "does", text(t->does));
    set(j, "by", text(t->by));
    set(j, "objective", text(t->objective ? t->objective->id : NULL));
    set(j, "asked_s", jsonx_new_seconds(t->asked));
    set(j, "due_s", jsonx_new_seconds(t->due));
    set(j, "done_s", jsonx_new_seconds(t->done));
    set(j, "done_by", text(nsec_is_set(t->done) ? t->step->by : NULL));
    set(j, "outcome", json_string(task_outcome_words[t->outcome]));
    set(j, "rating", letter(t->step->rating));
    if (kind != PEOPLE_DECIDE)
        return j;
    set(j, "option", text(t->step->option));
    set(j, "reason", text(t->step->reason));
    set(j, "default", json_boolean(t->step->by_default));
    return j;
}

static json_t *clock_json(const struct state_clock *c)
{
    json_t *j = json_object();
    set(j, "name", text(c->clock->name));
    set(j, "regime", text(c->clock->regime));
    set(j, "authority", text(c->clock->authority));
    set(j, "may_take_s", jsonx_new_seconds(c->clock->due));
    set(j, "started_s", jsonx_new_seconds(c->started));
    set(j, "due_s",
        jsonx_new_seconds(nsec_is_set(c->started) ? nsec_add(c->started, c->clock->due)
                                                  : NSEC_UNSET));
    set(j, "met_s", jsonx_new_seconds(c->met));
    set(j, "overdue", json_boolean(nsec_is_set(c->overdue)));
    return j;
}

static json_t *finding_json(const struct after_finding *f)
{
    json_t *j = json_object();
    set(j, "objective", text(f->objective ? f->objective->id : NULL));
    set(j, "capability", text(f->objective ? f->objective->capability : NULL));
    set(j, "at_s", jsonx_new_seconds(f->at));
    set(j, "text", text(f->text));
    set(j, "by", text(f->by));
    set(j, "reference", text(f->reference));
    set(j, "analysis", text(f->analysis));
    return j;
}

static void run_json(const struct after_action *a, json_t *j)
{
    json_t *scenario = json_object(), *head = json_object();
    set(j, "blackstart", json_integer(1));
    set(scenario, "name", text(a->scenario->name));
    set(scenario, "title", text(a->scenario->title));
    set(scenario, "digest", copied(json_object_get(a->start, "scenario"), "digest"));
    set(j, "scenario", scenario);
    set(j, "id", copied(a->start, "id"));
    set(j, "version", copied(a->start, "blackstart"));
    set(j, "mode", text(a->mode));
    set(j, "status", json_string(status_words[a->status]));
    set(j, "status_reason", text(a->status_reason));
    set(j, "verdict", json_string(verdict_words[a->verdict]));
    set(j, "exit_code", json_integer(after_action_exit_code(a)));
    set(j, "clean",
        a->machine && a->machine->clean >= 0 ? json_boolean(a->machine->clean) : json_null());
    set(head, "seq", json_integer(a->head.seq));
    set(head, "hash", json_string(a->head.hash));
    set(j, "head", head);
    set(j, "attempt", copied(a->start, "attempt"));
    set(j, "started", copied(a->start, "wall"));
    set(j, "ended", copied(a->end, "wall"));
    set(j, "operator", copied(a->start, "operator"));
    set(j, "command", copied(a->start, "command"));
    set(j, "environment", copied(a->start, "environment"));
    set(j, "played_s", jsonx_new_seconds(a->state->clock));
    set(j, "interruptions", json_integer((json_int_t)a->state->interruptions));
}

json_t *after_action_json(const struct after_action *a)
{
    json_t *j = json_object(), *measures = json_object(), *list = json_array();
    run_json(a, j);
    for (size_t i = 0; i < a->n_objectives; i++)
        json_array_append_new(list, objective_json(&a->objectives[i]));
    set(j, "objectives", list);
    set(measures, "decisions_in_time", count(&a->decisions));
    set(measures, "expected_in_time", count(&a->expected));
    set(measures, "expected_done", count(&a->done));
    set(measures, "clocks_met", count(&a->clocks));
    set(measures, "updates_on_time", count(&a->updates));
    set(measures, "injects_delivered", count(&a->injects));
    set(j, "measures", measures);
    list = json_array();
    for (size_t i = 0; i < a->n_tasks; i++)
        json_array_append_new(list, task_json(&a->tasks[i]));
    set(j, "actions", list);
    list = json_array();
    for (size_t i = 0; i < a->state->n_clocks; i++)
        json_array_append_new(list, clock_json(&a->state->clocks[i]));
    set(j, "clocks", list);
    list = json_array();
    for (size_t i = 0; i < a->n_strengths; i++)
        json_array_append_new(list, finding_json(&a->strengths[i]));
    set(j, "strengths", list);
    list = json_array();
    for (size_t i = 0; i < a->n_areas; i++)
        json_array_append_new(list, finding_json(&a->areas[i]));
    set(j, "areas", list);
    set(j, "improvement_plan", after_action_plan_json(a));
    if (a->functional) {
        set(j, "from_fault", after_action_chain_json(a));
        set(j, "machine", after_action_machine_json(a));
    }
    return j;
}

/* --- junit.xml --- */

static void attribute(const char *name, const char *value, struct buf *out)
{
    buf_printf(out, " %s=\"", name);
    escape_xml(value, out);
    buf_addc(out, '"');
}

static void test_case(const char *class, const char *name, const char *element, const char *type,
                      const char *message, struct buf *out)
{
    buf_adds(out, "    <testcase");
    attribute("classname", class, out);
    attribute("name", name, out);
    buf_printf(out, " time=\"0.000\">\n      <%s", element);
    if (type) {
        attribute("type", type, out);
        attribute("message", message, out);
    }
    buf_addc(out, '>');
    escape_xml(message, out);
    buf_printf(out, "</%s>\n    </testcase>\n", element);
}

/* What the services promise, measured; how many. */
static size_t machine_cases(const struct after_action *a, size_t *failures, size_t *skipped,
                            struct buf *out)
{
    size_t n = a->machine ? a->machine->objectives_n : 0;
    for (size_t i = 0; i < n; i++) {
        const struct objective *o = &a->machine->objectives[i];
        AUTO_BUF class = BUF_INIT;
        AUTO_BUF name = BUF_INIT;
        AUTO_BUF message = BUF_INIT;
        buf_printf(&class, "%s.%s", a->scenario->name, o->service->name);
        sentence_promise(o, &name);
        sentence_objective(a->machine, o, &message);
        bool met = o->verdict == VERDICT_MET, skip = o->verdict == VERDICT_NOT_APPLICABLE;
        *failures += !met && !skip;
        *skipped += skip;
        test_case(buf_text(&class), buf_text(&name),
                  met    ? "system-out"
                  : skip ? "skipped"
                         : "failure",
                  met || skip ? NULL : verdict_words[o->verdict], buf_text(&message), out);
    }
    return n;
}

void after_action_junit(const struct after_action *a, struct buf *out)
{
    AUTO_BUF cases = BUF_INIT;
    AUTO_BUF head = BUF_INIT;
    AUTO_BUF class = BUF_INIT;
    AUTO_BUF message = BUF_INIT;
    size_t failures = 0, skipped = 0;
    bool bad = a->status != STATUS_COMPLETED;
    buf_printf(&class, "%s.exercise", a->scenario->name);
    for (size_t i = 0; i < a->n_objectives; i++) {
        const struct after_rating *r = &a->objectives[i];
        AUTO_BUF name = BUF_INIT;
        bool met = r->verdict == VERDICT_MET, skip = r->verdict == VERDICT_NOT_APPLICABLE;
        buf_printf(&name, "%s: %s", r->objective->id, r->objective->text);
        skipped += skip;
        failures += !met && !skip;
        test_case(buf_text(&class), buf_text(&name),
                  met    ? "system-out"
                  : skip ? "skipped"
                         : "failure",
                  met || skip ? NULL : verdict_words[r->verdict], r->why, &cases);
    }
    size_t machines = machine_cases(a, &failures, &skipped, &cases);
    bad = bad || (a->machine && a->machine->clean != 1);
    after_action_sentence(a, &message);
    test_case(buf_text(&class), "played to its end", bad ? "error" : "system-out",
              bad ? status_words[a->status] : NULL, buf_text(&message), &cases);
    buf_printf(&head, " tests=\"%zu\" failures=\"%zu\" errors=\"%d\" skipped=\"%zu\" time=\"%.3f\"",
               a->n_objectives + machines + 1, failures, bad, skipped,
               (double)a->state->clock / 1e9);
    buf_printf(out,
               "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"blackstart\"%s>\n"
               "  <testsuite",
               buf_text(&head));
    attribute("name", a->scenario->name, out);
    buf_printf(out, "%s>\n%s  </testsuite>\n</testsuites>\n", buf_text(&head), buf_text(&cases));
}

/* --- The terminal --- */

void after_action_terminal(const struct after_action *a, struct buf *out)
{
    AUTO_BUF sentence = BUF_INIT;
    for (size_t i = 0; i < a->n_objectives; i++) {
        const struct after_rating *r = &a->objectives[i];
        buf_printf(out, "%c  %-18s ", r->rating ? r->rating : '-',
                   a->replay ? "no verdict" : sentence_verdict(r->verdict));
        escape_terminal(r->objective->text, out);
        buf_addc(out, '\n');
    }
    after_action_sentence(a, &sentence);
    escape_terminal(buf_text(&sentence), out);
    buf_addc(out, '\n');
}

/* --- Files --- */

static int write_files(const struct report_request *q, const struct after_action *a,
                       struct err *err)
{
    AUTO_OUTPUT out = output_of(q, q->dirfd);
    AUTO_JSON *j = after_action_json(a);
    if (a->machine)
        metrics_write(a->machine, &out.metrics.text);
    else
        out.metrics.name = NULL;
    jsonx_dump_pretty(j, &out.result.text);
    after_action_markdown(a, &out.md.text);
    after_action_html(a, &out.html.text);
    after_action_junit(a, &out.junit.text);
    return output_write(&out, err);
}

int after_action_write(const struct report_request *q, const struct scenario *s, json_t *events,
                       const struct record_head *head, struct report_outcome *ret, struct err *err)
{
    CLEANUP(after_action_free_p) struct after_action *a = NULL;
    if (q->metrics && strcmp(jsonx_str(json_array_get(events, 0), "mode", ""), "functional") != 0)
        return err_set(err, EINVAL,
                       "an exercise has no metrics of machines: read its measures in result.json");
    if (q->anonymous)
        return err_set(err, EINVAL,
                       "the people of an exercise stand in its texts, too: it cannot be made "
                       "anonymous; only its hot wash can, by `anonymous: true`");
    int rc = after_action_measure(s, events, head, &a, err);
    if (rc == 0)
        rc = after_action_read_plan(a, q, err);
    if (rc == 0)
        rc = write_files(q, a, err);
    if (rc < 0)
        return rc;
    AUTO_BUF sentence = BUF_INIT;
    AUTO_BUF terminal = BUF_INIT;
    after_action_sentence(a, &sentence);
    after_action_terminal(a, &terminal);
    *ret = (struct report_outcome){.exit_code = after_action_exit_code(a),
                                   .verdict = verdict_words[a->verdict],
                                   .sentence = buf_steal(&sentence),
                                   .terminal = buf_steal(&terminal)};
    return 0;
}
