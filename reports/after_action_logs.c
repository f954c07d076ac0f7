/* The logs of an after-action report: decisions, communication, escalations, clocks, expected actions, and
 * the master scenario events list as it was played. */
#include "reports/after_action.h"

#include <inttypes.h>
#include <string.h>

#include "sim/base/jsonx.h"

static void clock_cell(struct document *d, nsec t)
{
    char text[NSEC_TEXT_MAX];
    document_cell(d, after_action_clock(t, text));
}

static void clock_field(struct document *d, const char *name, nsec t)
{
    char text[NSEC_TEXT_MAX];
    document_field(d, name, after_action_clock(t, text));
}

static void lasted_field(struct document *d, const char *name, nsec t)
{
    char text[NSEC_TEXT_MAX];
    document_field(d, name, after_action_lasted(t, text));
}

static void json_names(const json_t *list, struct buf *out)
{
    size_t i;
    const json_t *one;
    json_array_foreach (list, i, one)
        buf_printf(out, "%s%s", i ? ", " : "", json_string_value(one));
}

static const char *rating_word(char rating, char buf[2])
{
    buf[0] = rating;
    buf[1] = '\0';
    return rating ? buf : "not rated";
}

/* --- Decisions --- */

/* What had been delivered to those who decided, by number and title. */
static void informed(const struct after_action *a, const json_t *decision, struct buf *out)
{
    const json_t *ids = json_object_get(decision, "informed"), *id;
    char at[NSEC_TEXT_MAX];
    size_t i;
    json_array_foreach (ids, i, id) {
        for (size_t k = 0; k < a->state->n_deliveries; k++) {
            const struct state_delivery *e = &a->state->deliveries[k];
            if (e->id != json_integer_value(id))
                continue;
            const char *what = e->title ? e->title : e->text;
            buf_printf(out, "%s%s %s%s%s", out->len ? "; " : "", after_action_clock(e->at, at),
                       e->number ? e->number : "", e->number ? " " : "", what ? what : e->what);
        }
    }
    if (!out->len)
        buf_adds(out, "nothing had been delivered to this role");
}

static void decided(const struct after_action *a, const struct after_task *t, struct document *d)
{
    const struct state_step *s = t->step;
    AUTO_BUF text = BUF_INIT;
    document_field(d, "Choice", s->option ? s->option : "none was made");
    document_field(d, "Reason",
                   s->by_default ? "nobody decided in time: the default was taken" : s->reason);
    document_field(d, "By", s->by_default ? "nobody" : s->by);
    document_field(d, "Role", s->by_default ? NULL : s->role);
    clock_field(d, "Decided at", s->option ? s->done : NSEC_UNSET);
    lasted_field(d, "Took", s->option ? nsec_sub(s->done, s->began) : NSEC_UNSET);
    document_field(d, "Outcome", task_outcome_words[t->outcome]);
    if (s->decision)
        informed(a, s->decision, &text);
    document_field(d, "Information at hand", buf_text(&text));
}

static void decision(const struct after_action *a, const struct after_task *t, struct document *d)
{
    const struct decide_params *p = t->step->step->params;
    AUTO_BUF text = BUF_INIT;
    char rating[2];
    document_heading(d, "Decision: ", p->question);
    after_action_names(&p->options, &text);
    document_fields(d);
    document_field(d, "Options", buf_text(&text));
    buf_clear(&text);
    after_action_branches(a, t->step->step, &text);
    document_field(d, "Branches", buf_text(&text));
    document_field(d, "Asked of", p->who);
    clock_field(d, "Asked at", t->asked);
    clock_field(d, "Due at", t->due);
    if (nsec_is_set(t->asked))
        decided(a, t, d);
    else
        document_field(d, "Outcome", task_outcome_words[t->outcome]);
    document_field(d, "Authority", p->authority);
    document_field(d, "Reversible", p->reversible ? "yes" : "no");
    document_field(d, "Impact on customers and duties", p->impact);
    document_field(d, "Rating", rating_word(t->step->rating, rating));
    document_field(d, "Evaluator's note", t->step->rating_note);
    document_fields_end(d);
}

static void decisions(const struct after_action *a, struct document *d)
{
    size_t n = 0;
    document_section(d, "decisions", "Decision log", NULL);
    for (size_t i = 0; i < a->n_tasks; i++)
        if (step_people(a->tasks[i].step->step) == PEOPLE_DECIDE) {
            decision(a, &a->tasks[i], d);
            n++;
        }
    if (!n)
        document_paragraph(d, NULL, "The script asks for no decision.");
}

/* --- Communication --- */

static void message_row(const json_t *e, const char *what, nsec due, nsec sent, const char *how,
                        struct document *d)
{
    AUTO_BUF to = BUF_INIT;
    json_names(json_object_get(e, "to"), &to);
    const char *from = jsonx_str(e, "from", NULL), *by = jsonx_str(e, "by", NULL);
    document_row(d);
    document_cell(d, what);
    clock_cell(d, due);
    clock_cell(d, sent);
    document_cell(d, how);
    document_cell(d, from ? from : by);
    document_cell(d, buf_text(&to));
    document_cell(d, jsonx_str(e, "channel", NULL));
    document_cell(d, jsonx_str(e, "title", NULL));
    document_cell(d, jsonx_str(e, "text", NULL));
    document_row_end(d);
}

/* On a real clock nothing is sent before it is due, and a line takes a moment: a second is not late. */
static const char *timeliness(const json_t *e, nsec due, nsec sent)
{
    if (jsonx_bool(e, "late", false))
        return "late";
    if (!nsec_is_set(due))
        return "no time was set";
    return sent >= nsec_add(due, NSEC_SEC) ? "late" : "on time";
}

static void status_row(const struct after_action *a, const json_t *e, struct document *d)
{
    size_t i = state_step_index(a->state, jsonx_str(e, "step", ""));
    const char *event = jsonx_str(e, "event", "");
    int64_t n = jsonx_int(e, "n", 0);
    bool sent = !strcmp(event, "sent");
    char what[64];
    if (i == a->state->n_steps || (!sent && strcmp(event, "missed") != 0))
        return;
    nsec due = after_action_update_due(&a->state->steps[i], n);
    nsec at = sent ? jsonx_nsec(e, "clock") : NSEC_UNSET;
    snprintf(what, sizeof what, "status update %" PRId64, n);
    message_row(e, what, due, at, sent ? timeliness(e, due, at) : "not sent when due", d);
}

static void communication(const struct after_action *a, struct document *d)
{
    static const char *const heads[] = {"what", "due",     "sent",  "how",    "from",
                                        "to",   "channel", "title", "message"};
    size_t i;
    const json_t *e;
    document_section(d, "communication", "Communication log",
                     "Everything that was sent, and the updates that were owed.");
    document_table(d, heads, ARRAY_SIZE(heads));
    json_array_foreach (a->events, i, e) {
        const char *kind = jsonx_str(e, "kind", ""), *event = jsonx_str(e, "event", "");
        nsec at = jsonx_nsec(e, "clock"), due = jsonx_nsec(e, "due");
        if (!strcmp(kind, "deliver"))
            message_row(e, jsonx_str(e, "what", "message"), due, at, timeliness(e, due, at), d);
        else if (!strcmp(kind, "page") && !strcmp(event, "paged"))
            message_row(e, "page", NSEC_UNSET, at, "sent", d);
        else if (!strcmp(kind, "status"))
            status_row(a, e, d);
    }
    document_table_end(d);
}

/* --- Escalations --- */

static const json_t *page_line(const struct after_action *a, const char *step, const char *event,
                               int64_t n)
{
    size_t i;
    const json_t *e;
    json_array_foreach (a->events, i, e)
        if (!strcmp(jsonx_str(e, "kind", ""), "page") && !strcmp(jsonx_str(e, "step", ""), step) &&
            !strcmp(jsonx_str(e, "event", ""), event) && (!n || jsonx_int(e, "n", 0) == n))
            return e;
    return NULL;
}

static void call_row(const struct after_action *a, const struct state_step *s, int64_t n,
                     nsec expected, struct document *d)
{
    const struct state_call call = state_call(a->state, s->step, n);
    const json_t *paged = page_line(a, s->step->id, "paged", n);
    const json_t *took = page_line(a, s->step->id, "acknowledged", 0);
    AUTO_BUF to = BUF_INIT;
    AUTO_BUF came = BUF_INIT;
    char number[32], at[NSEC_TEXT_MAX];
    bool last = paged && n == s->paged_n;
    snprintf(number, sizeof number, "%" PRId64, n);
    buf_printf(&to, "%s%s%s", call.role, call.person ? ": " : "", call.person ? call.person : "");
    if (!paged)
        buf_adds(&came, nsec_is_set(s->done) ? "not needed" : "not paged");
    else if (last && took)
        buf_printf(&came, "acknowledged by %s at %s", jsonx_str(took, "by", "somebody"),
                   after_action_clock(jsonx_nsec(took, "clock"), at));
    else
        buf_adds(&came, "not acknowledged");
    document_row(d);
    document_cell(d, number);
    document_cell(d, buf_text(&to));
    clock_cell(d, expected);
    clock_cell(d, paged ? jsonx_nsec(paged, "clock") : NSEC_UNSET);
    document_cell(d, buf_text(&came));
    document_row_end(d);
}

#define CALLS_MOST 40 /* rows of one escalation; an endless one has no last */

static void escalation(const struct after_action *a, const struct state_step *s, struct document *d)
{
    static const char *const heads[] = {"page", "to", "expected at", "paged at", "came to"};
    const struct escalate_params *p = s->step->params;
    nsec expected = s->began;
    document_heading(d, "Escalation: ", p->common.title);
    document_paragraph(d, "Message", p->message);
    if (!nsec_is_set(s->began)) {
        document_paragraph(d, NULL, "it was never begun");
        return;
    }
    document_table(d, heads, ARRAY_SIZE(heads));
    for (int64_t n = 1; n <= CALLS_MOST; n++) {
        const struct state_call call = state_call(a->state, s->step, n);
        call_row(a, s, n, expected, d);
        if (call.last || !nsec_is_set(call.waits) ||
            (n >= s->paged_n && nsec_add(expected, call.waits) > a->scenario->horizon))
            break;
        expected = nsec_add(expected, call.waits);
    }
    document_table_end(d);
    if (page_line(a, s->step->id, "nobody", 0))
        document_paragraph(d, NULL, "Nobody answered.");
}

static void escalations(const struct after_action *a, struct document *d)
{
    size_t n = 0;
    document_section(d, "escalations", "Escalations, expected against actual",
                     "Expected: whom the policy pages, and when, as long as nobody acknowledges.");
    for (size_t i = 0; i < a->state->n_steps; i++)
        if (step_people(a->state->steps[i].step) == PEOPLE_ESCALATE) {
            escalation(a, &a->state->steps[i], d);
            n++;
        }
    if (!n)
        document_paragraph(d, NULL, "The script has no escalation.");
}

/* --- Clocks --- */

static const char *clock_word(const struct after_action *a, const struct state_clock *c)
{
    if (!nsec_is_set(c->started))
        return "never started";
    if (nsec_is_set(c->overdue))
        return nsec_is_set(c->met) ? "overdue, then met" : "overdue";
    if (nsec_is_set(c->met))
        return "met";
    return nsec_add(c->started, c->clock->due) <= a->state->clock ? "overdue"
                                                                  : "not met when the play ended";
}

static void clocks(const struct after_action *a, struct document *d)
{
    static const char *const heads[] = {"clock",  "regime", "authority", "may take", "started",
                                        "due at", "met at", "took",      "outcome"};
    char due[NSEC_TEXT_MAX];
    document_section(d, "clocks", "Regulatory clocks", NULL);
    if (!a->state->n_clocks) {
        document_paragraph(d, NULL, "The scenario has no regulatory clock.");
        return;
    }
    document_table(d, heads, ARRAY_SIZE(heads));
    for (size_t i = 0; i < a->state->n_clocks; i++) {
        const struct state_clock *c = &a->state->clocks[i];
        document_row(d);
        document_cell(d, c->clock->title ? c->clock->title : c->clock->name);
        document_cell(d, c->clock->regime);
        document_cell(d, c->clock->authority);
        document_cell(d, after_action_lasted(c->clock->due, due));
        clock_cell(d, c->started);
        clock_cell(d, nsec_is_set(c->started) ? nsec_add(c->started, c->clock->due) : NSEC_UNSET);
        clock_cell(d, c->met);
        document_cell(d, after_action_lasted(nsec_is_set(c->started) && nsec_is_set(c->met)
                                                 ? nsec_sub(c->met, c->started)
                                                 : NSEC_UNSET,
                                             due));
        document_cell(d, clock_word(a, c));
        document_row_end(d);
    }
    document_table_end(d);
}

/* --- Expected actions --- */

static void expected(const struct after_action *a, struct document *d)
{
    static const char *const heads[] = {"number",  "expected action", "by",        "asked at",
                                        "due at",  "done at",         "after",     "done by",
                                        "outcome", "rating",          "evaluator", "note"};
    char rating[2], after[NSEC_TEXT_MAX];
    document_section(d, "expected", "Expected actions", NULL);
    document_table(d, heads, ARRAY_SIZE(heads));
    for (size_t i = 0; i < a->n_tasks; i++) {
        const struct after_task *t = &a->tasks[i];
        const struct people_common *common = step_common(t->step->step);
        document_row(d);
        document_cell(d, common ? common->number : NULL);
        document_cell(d, t->does);
        document_cell(d, t->by ? t->by : "anybody");
        clock_cell(d, t->asked);
        clock_cell(d, t->due);
        clock_cell(d, t->done);
        document_cell(
            d, after_action_lasted(nsec_is_set(t->done) ? nsec_sub(t->done, t->asked) : NSEC_UNSET,
                                   after));
        document_cell(d, nsec_is_set(t->done) ? t->step->by : NULL);
        document_cell(d, task_outcome_words[t->outcome]);
        document_cell(d, rating_word(t->step->rating, rating));
        document_cell(d, t->step->rated_by);
        document_cell(d, t->step->rating_note);
        document_row_end(d);
    }
    document_table_end(d);
}

/* --- The master scenario events list, as played --- */

static const char *event_status(const struct state_step *s)
{
    if (s->life == STEP_SKIPPED)
        return "skipped by the facilitator";
    if (!nsec_is_set(s->began))
        return step_people(s->step) == PEOPLE_TELL ? "not delivered" : "not begun";
    if (s->by_hand)
        return "sent by the facilitator";
    return step_people(s->step) == PEOPLE_TELL ? "delivered" : "begun";
}

static const char *event_phase(const struct after_action *a, nsec at)
{
    const struct objects *v = &a->scenario->exercise.phases;
    const char *title = NULL;
    nsec latest = NSEC_UNSET;
    for (size_t i = 0; nsec_is_set(at) && i < v->n; i++) {
        const struct phase *p = v->items[i];
        nsec began = a->state->phases[i];
        if (!nsec_is_set(began) || began > at || (title && began < latest))
            continue;
        title = p->title ? p->title : p->id;
        latest = began;
    }
    return title;
}

static const char *event_kind(const struct state_step *s)
{
    const struct tell_params *tell = s->step->params;
    enum people_step kind = step_people(s->step);
    if (kind == PEOPLE_TELL)
        return tell->kind == TELL_CONTINGENCY ? "contingency inject" : "contextual inject";
    return kind == PEOPLE_EXPECTED ? "expected-action event" : people_step_words[kind];
}

static void events_table(const struct after_action *a, struct document *d)
{
    static const char *const heads[] = {"number",  "event",        "kind",  "phase",
                                        "planned", "delivered at", "status"};
    document_table(d, heads, ARRAY_SIZE(heads));
    for (size_t i = 0; i < a->state->n_steps; i++) {
        const struct state_step *s = &a->state->steps[i];
        const struct people_common *common = step_common(s->step);
        if (!common)
            continue;
        document_row(d);
        document_cell(d, common->number);
        document_cell(d, common->title);
        document_cell(d, event_kind(s));
        document_cell(d, event_phase(a, s->began));
        clock_cell(d, step_planned(a->scenario, s->step));
        clock_cell(d, s->began);
        document_cell(d, event_status(s));
        document_row_end(d);
    }
    document_table_end(d);
}

static void inject_fields(const struct tell_params *p, struct document *d)
{
    AUTO_BUF to = BUF_INIT;
    AUTO_BUF attached = BUF_INIT;
    after_action_names(&p->to, &to);
    after_action_names(&p->attach, &attached);
    document_field(d, "From", p->from);
    document_field(d, "To", buf_text(&to));
    document_field(d, "Channel", p->channel);
    document_field(d, "Message", p->message);
    document_field(d, "Attachments", buf_text(&attached));
}

static void event_in_full(const struct after_action *a, const struct state_step *s,
                          struct document *d)
{
    const struct people_common *common = step_common(s->step);
    const struct expect *expect = step_expect(s->step);
    const struct exercise_objective *o =
        common->objective ? scenario_objective(a->scenario, common->objective) : NULL;
    AUTO_BUF title = BUF_INIT;
    AUTO_BUF begins = BUF_INIT;
    after_action_begins(s->step, &begins);
    buf_printf(&title, "%s. %s", common->number, common->title);
    document_heading(d, "Event ", buf_text(&title));
    document_fields(d);
    document_field(d, "Identifier", s->step->id);
    document_field(d, "Kind", event_kind(s));
    document_field(d, "Phase", event_phase(a, s->began));
    document_field(d, "Begins", buf_text(&begins));
    clock_field(d, "Planned at", step_planned(a->scenario, s->step));
    document_field(d, "Simulated time", common->date);
    clock_field(d, "Delivered at", s->began);
    document_field(d, "Status", event_status(s));
    document_field(d, "Controller", common->controller);
    if (step_people(s->step) == PEOPLE_TELL)
        inject_fields(s->step->params, d);
    document_field(d, "Expected action", expect ? expect->does : NULL);
    document_field(d, "Objective", o ? o->text : NULL);
    document_field(d, "Core capability", o ? o->capability : NULL);
    document_field(d, "Notes for facilitator and evaluators", common->notes);
    document_fields_end(d);
}

static void events(const struct after_action *a, struct document *d)
{
    document_section(d, "events", "Injects and events, planned against delivered",
                     "The master scenario events list, as it was played.");
    events_table(a, d);
    for (size_t i = 0; i < a->state->n_steps; i++)
        if (step_common(a->state->steps[i].step))
            event_in_full(a, &a->state->steps[i], d);
}

void after_action_logs(const struct after_action *a, struct document *d)
{
    decisions(a, d);
    communication(a, d);
    escalations(a, d);
    clocks(a, d);
    expected(a, d);
    events(a, d);
}
