/* Materials before the day. */
#include "reports/handout.h"

#include <inttypes.h>
#include <string.h>

#include "reports/after_action.h"
#include "reports/escape.h"
#include "sim/base/file.h"
#include "sim/model/assumption.h"

const char *const handout_names[] = {"situation-manual", "facilitator-handbook",
                                     "evaluator-handbook", "player-sheet"};

static void names_field(struct document *d, const char *name, const struct strv *v)
{
    AUTO_BUF text = BUF_INIT;
    if (v)
        after_action_names(v, &text);
    document_field(d, name, buf_text(&text));
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

/* --- For everybody --- */

static void roles(const struct scenario *s, struct document *d)
{
    static const char *const heads[] = {"role", "kind", "duty", "people", "deputies"};
    const struct objects *all = &s->assumptions->roles;
    document_section(d, "roles", "Who plays", NULL);
    document_table(d, heads, ARRAY_SIZE(heads));
    for (size_t i = 0; i < all->n; i++) {
        const struct responder *r = all->items[i];
        AUTO_BUF people = BUF_INIT;
        AUTO_BUF deputies = BUF_INIT;
        after_action_names(&r->people, &people);
        after_action_names(&r->deputies, &deputies);
        document_row(d);
        document_cell(d, r->title ? r->title : r->name);
        document_cell(d, role_kind_words[r->kind]);
        document_cell(d, r->duty);
        document_cell(d, buf_text(&people));
        document_cell(d, buf_text(&deputies));
        document_row_end(d);
    }
    document_table_end(d);
}

static void where_and_when(const struct scenario *s, struct document *d)
{
    const struct exercise_overview *o = s->exercise.overview;
    document_section(d, "day", "The day", NULL);
    document_fields(d);
    document_field(d, "Date", o && o->date ? o->date : DOCUMENT_BLANK);
    document_field(d, "Location", o && o->location ? o->location : DOCUMENT_BLANK);
    lasted_field(d, "Lasts", s->horizon);
    document_field(d, "Point of contact", o && o->contact ? o->contact : DOCUMENT_BLANK);
    names_field(d, "Participating organisations", o ? &o->organisations : NULL);
    document_fields_end(d);
}

static void rules(struct document *d)
{
    static const char *const texts[] = {
        "This is an exercise. Every message of it says so; anything else is real and comes first.",
        "Act as you would on such a day, with the plans and tools that you really have.",
        "Answer what reaches you. What has not reached you, you do not know.",
        "The facilitator keeps the clock and may hold it. Evaluators watch and do not help.",
        "It is the plans that are tried, not people. Say what you find missing."};
    document_section(d, "rules", "Rules", NULL);
    document_list(d);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        document_item(d, NULL, texts[i]);
    document_list_end(d);
}

static void player(const struct scenario *s, struct document *d)
{
    where_and_when(s, d);
    roles(s, d);
    rules(d);
}

/* --- Objectives --- */

static void target_text(const struct scenario *s, const struct exercise_objective *o,
                        struct buf *out)
{
    const struct objective_target *t = o->target;
    char value[NSEC_TEXT_MAX];
    if (t && t->text)
        buf_adds(out, t->text);
    else if (t && t->service)
        buf_printf(out, "%s of %s: %s", objective_promise_words[t->promise], t->service,
                   after_action_lasted(objective_target_value(s, t), value));
}

static void objective_fields(const struct scenario *s, const struct exercise_objective *o,
                             struct document *d)
{
    AUTO_BUF target = BUF_INIT;
    target_text(s, o, &target);
    document_fields(d);
    document_field(d, "Core capability", o->capability);
    document_field(d, "Capability target", buf_text(&target));
    names_field(d, "Critical tasks", &o->tasks);
    document_field(d, "Reference", o->reference);
    document_fields_end(d);
}

static void objectives(const struct scenario *s, struct document *d)
{
    document_section(d, "objectives", "Objectives", NULL);
    for (size_t i = 0; i < s->exercise.objectives.n; i++) {
        const struct exercise_objective *o = s->exercise.objectives.items[i];
        document_heading(d, "Objective: ", o->text);
        objective_fields(s, o, d);
    }
}

/* --- The situation --- */

static void scope(const struct scenario *s, struct document *d)
{
    const struct exercise_overview *o = s->exercise.overview;
    document_section(d, "scope", "Scope", NULL);
    document_fields(d);
    document_field(d, "Scope", o ? o->scope : NULL);
    document_field(d, "Threat or hazard", o ? o->hazard : NULL);
    document_field(d, "Scenario", o && o->summary ? o->summary : s->why);
    names_field(d, "Mission areas", o ? &o->areas : NULL);
    document_field(d, "Sponsor", o ? o->sponsor : NULL);
    document_fields_end(d);
    if (!o || !o->assumptions.n)
        return;
    document_heading(d, "Assumptions and artificialities", NULL);
    document_list(d);
    for (size_t i = 0; i < o->assumptions.n; i++)
        document_item(d, NULL, o->assumptions.items[i]);
    document_list_end(d);
}

/* The phase in which a step begins by the script alone; -1: before the first, or not known. */
static int phase_of(const struct scenario *s, const struct step *step)
{
    nsec at = step_planned(s, step);
    int phase = -1;
    for (size_t i = 0; nsec_is_set(at) && i < s->exercise.phases.n; i++) {
        const struct phase *p = s->exercise.phases.items[i];
        if (nsec_is_set(p->at) && p->at <= at)
            phase = (int)i;
    }
    return phase;
}

static void questions(const struct scenario *s, int phase, struct document *d)
{
    document_list(d);
    for (size_t i = 0; i < s->script.n; i++) {
        const struct step *step = s->script.items[i];
        if (step_people(step) == PEOPLE_DECIDE && phase_of(s, step) == phase)
            document_item(d, "To decide", ((const struct decide_params *)step->params)->question);
    }
    document_item(d, NULL, "What do we know, what do we not know, and who can tell us?");
    document_item(d, NULL, "What is done next, by whom, and who has to be told?");
    document_list_end(d);
}

static void phases(const struct scenario *s, struct document *d)
{
    document_section(d, "phases", "Phases",
                     "To be given to players when the phase begins, not before.");
    for (size_t i = 0; i < s->exercise.phases.n; i++) {
        const struct phase *p = s->exercise.phases.items[i];
        document_heading(d, "Phase: ", p->title ? p->title : p->id);
        document_fields(d);
        clock_field(d, "Begins at", p->at);
        document_field(d, "In the scenario", p->date);
        document_field(d, "Situation", p->situation);
        document_field(d, "Begins when", p->entry);
        document_field(d, "Ends when", p->exit);
        document_fields_end(d);
        questions(s, (int)i, d);
    }
}

static void situation(const struct scenario *s, struct document *d)
{
    where_and_when(s, d);
    scope(s, d);
    objectives(s, d);
    phases(s, d);
    roles(s, d);
    rules(d);
}

/* --- For the facilitator --- */

static void tell_fields(const struct tell_params *p, struct document *d)
{
    document_field(d, "Inject",
                   p->kind == TELL_CONTINGENCY ? "contingency: only if what was expected was not "
                                                 "done in time"
                                               : "contextual");
    names_field(d, "To", &p->to);
    document_field(d, "From", p->from);
    document_field(d, "Channel", p->channel);
    document_field(d, "Message, word for word", p->message);
    names_field(d, "Attachments", &p->attach);
}

static void decide_fields(const struct decide_params *p, struct document *d)
{
    document_field(d, "Asked of", p->who);
    document_field(d, "Question", p->question);
    names_field(d, "Options", &p->options);
    lasted_field(d, "Within", p->within);
    document_field(d, "If nobody decides", p->dflt ? p->dflt : "it stays open");
    document_field(d, "Authority", p->authority);
    document_field(d, "Reversible", p->reversible ? "yes" : "no");
    document_field(d, "Impact", p->impact);
}

static void step_fields(const struct scenario *s, const struct step *step, struct document *d)
{
    enum people_step kind = step_people(step);
    const struct expect *expect = step_expect(step);
    if (kind == PEOPLE_TELL)
        tell_fields(step->params, d);
    else if (kind == PEOPLE_DECIDE)
        decide_fields(step->params, d);
    else if (kind == PEOPLE_APPROVE)
        document_field(d, "To be approved", ((const struct approve_params *)step->params)->what);
    else if (kind == PEOPLE_ESCALATE)
        document_field(d, "Message", ((const struct escalate_params *)step->params)->message);
    else if (kind == PEOPLE_HOLD)
        document_field(d, "Reason", ((const struct hold_params *)step->params)->reason);
    else if (kind == PEOPLE_UNAVAILABLE)
        document_field(d, "Players are told",
                       ((const struct unavailable_params *)step->params)->message);
    if (!expect)
        return;
    document_field(d, "Expected action", expect->does);
    document_field(d, "By", expect->by ? expect->by : "anybody");
    lasted_field(d, "Within", expect->within);
}

static void event(const struct scenario *s, const struct step *step, struct document *d)
{
    const struct people_common *common = step_common(step);
    const struct exercise_objective *o =
        common->objective ? scenario_objective(s, common->objective) : NULL;
    AUTO_BUF title = BUF_INIT;
    nsec at = step_planned(s, step);
    char clock[NSEC_TEXT_MAX];
    buf_printf(&title, "%s. %s", common->number, common->title);
    document_heading(d, "Event ", buf_text(&title));
    document_fields(d);
    document_field(d, "Planned at",
                   nsec_is_set(at) ? after_action_clock(at, clock)
                                   : "by what players do: its condition stands in the scenario");
    document_field(d, "In the scenario", common->date);
    document_field(d, "Kind", people_step_words[step_people(step)]);
    document_field(d, "Controller", common->controller);
    step_fields(s, step, d);
    document_field(d, "Objective", o ? o->text : NULL);
    document_field(d, "Notes", common->notes);
    document_field(d, "Delivered at", DOCUMENT_BLANK);
    document_fields_end(d);
}

static void duties(const struct scenario *s, struct document *d)
{
    static const char *const heads[] = {"clock", "regime", "authority", "may take"};
    char due[NSEC_TEXT_MAX];
    if (!s->exercise.clocks.n)
        return;
    document_section(d, "clocks", "Regulatory clocks", NULL);
    document_table(d, heads, ARRAY_SIZE(heads));
    for (size_t i = 0; i < s->exercise.clocks.n; i++) {
        const struct duty_clock *c = s->exercise.clocks.items[i];
        document_row(d);
        document_cell(d, c->title ? c->title : c->name);
        document_cell(d, c->regime);
        document_cell(d, c->authority);
        document_cell(d, after_action_lasted(c->due, due));
        document_row_end(d);
    }
    document_table_end(d);
}

static void debrief(const struct scenario *s, struct document *d)
{
    const struct debrief *b = s->exercise.debrief;
    if (!b)
        return;
    document_section(d, "debrief", "Hot wash",
                     b->anonymous ? "Right after the play; answers are kept without names."
                                  : "Right after the play.");
    document_list(d);
    for (size_t i = 0; i < b->questions.n; i++)
        document_item(d, NULL, b->questions.items[i]);
    document_list_end(d);
}

static void facilitator(const struct scenario *s, struct document *d)
{
    where_and_when(s, d);
    scope(s, d);
    roles(s, d);
    phases(s, d);
    document_section(d, "events", "Events",
                     "The master scenario events list; times if all goes as the script has it.");
    for (size_t i = 0; i < s->script.n; i++)
        if (step_common(s->script.items[i]))
            event(s, s->script.items[i], d);
    duties(s, d);
    debrief(s, d);
}

/* --- For evaluators --- */

static const char *objective_of(const struct step *step)
{
    const struct expect *expect = step_expect(step);
    const struct people_common *common = step_common(step);
    if (expect && expect->objective)
        return expect->objective;
    return common ? common->objective : NULL;
}

/* What an evaluator looks at; NULL: nothing. */
static const char *to_watch(const struct step *step)
{
    const struct expect *expect = step_expect(step);
    enum people_step kind = step_people(step);
    if (kind == PEOPLE_DECIDE)
        return ((const struct decide_params *)step->params)->question;
    if (kind == PEOPLE_APPROVE)
        return ((const struct approve_params *)step->params)->what;
    if (kind == PEOPLE_RUNBOOK)
        return ((const struct people_common *)step->params)->title;
    return expect ? expect->does : NULL;
}

/* `objective` NULL: those of none. */
static void watch(const struct scenario *s, const char *objective, struct document *d)
{
    static const char *const heads[] = {
        "number", "planned at", "what to look for", "within", "notes", "observed", "rating"};
    char at[NSEC_TEXT_MAX], within[NSEC_TEXT_MAX];
    document_table(d, heads, ARRAY_SIZE(heads));
    for (size_t i = 0; i < s->script.n; i++) {
        const struct step *step = s->script.items[i];
        const char *what = step_common(step) ? to_watch(step) : NULL, *its = objective_of(step);
        if (!what || (objective ? !its || strcmp(its, objective) != 0 : its != NULL))
            continue;
        document_row(d);
        document_cell(d, step_common(step)->number);
        document_cell(d, after_action_clock(step_planned(s, step), at));
        document_cell(d, what);
        document_cell(d, after_action_lasted(step_within(step), within));
        document_cell(d, step_common(step)->notes);
        document_cell(d, DOCUMENT_BLANK);
        document_cell(d, DOCUMENT_BLANK);
        document_row_end(d);
    }
    document_table_end(d);
}

static void evaluator(const struct scenario *s, struct document *d)
{
    where_and_when(s, d);
    document_section(
        d, "rating", "How to rate",
        "Observe, note, do not prompt. Rate what you saw, with the time and the reason.");
    document_list(d);
    for (const char *r = "PSMU"; *r; r++) {
        char letter[] = {*r, '\0'};
        document_item(d, letter, after_action_rating_text(*r));
    }
    document_list_end(d);
    document_section(d, "sheets", "Evaluation sheets", NULL);
    for (size_t i = 0; i < s->exercise.objectives.n; i++) {
        const struct exercise_objective *o = s->exercise.objectives.items[i];
        document_heading(d, "Objective: ", o->text);
        objective_fields(s, o, d);
        watch(s, o->id, d);
        document_fields(d);
        document_field(d, "Strengths", DOCUMENT_BLANK);
        document_field(d, "Areas for improvement, and why", DOCUMENT_BLANK);
        document_field(d, "Rating of the target (P, S, M, U)", DOCUMENT_BLANK);
        document_field(d, "Rating of the core capability (P, S, M, U)", DOCUMENT_BLANK);
        document_field(d, "Evaluator, contact", DOCUMENT_BLANK);
        document_fields_end(d);
    }
    document_heading(d, "Beyond the objectives", NULL);
    watch(s, NULL, d);
    duties(s, d);
}

/* --- Files --- */

void handout_compose(const struct scenario *s, enum handout which, enum document_form form,
                     struct buf *out)
{
    static const struct {
        const char *title;
        void (*body)(const struct scenario *, struct document *);
    } all[HANDOUTS] = {{"Situation manual", situation},
                       {"Facilitator's handbook", facilitator},
                       {"Evaluator's handbook", evaluator},
                       {"Player's sheet", player}};
    struct document d = {.form = form, .out = out};
    const char *title = s->title ? s->title : s->name;
    if (which == HANDOUT_PLAYER)
        title = "exercise"; /* the scenario's title and name may tell what happens */
    if (form == DOCUMENT_HTML) {
        document_page(out, "exercise", "EXERCISE", title, all[which].title);
        buf_printf(out, "</div>\n<h1>%s: ", all[which].title);
        escape_xml(title, out);
        buf_adds(out, "</h1>\n");
    } else {
        buf_printf(out, "# %s: ", all[which].title);
        escape_markdown(title, out);
        buf_adds(out, "\n\n**EXERCISE**");
    }
    const char *warning = which == HANDOUT_PLAYER ? "For players, before the day."
                                                  : "Not for players: it tells what happens.";
    if (form == DOCUMENT_HTML)
        buf_printf(out, "<p class=\"lead\">%s</p>\n</header>\n", warning);
    else
        buf_printf(out, " %s\n", warning);
    all[which].body(s, &d);
    document_end(&d);
    if (form == DOCUMENT_HTML)
        buf_adds(out, "</main>\n</body>\n</html>\n");
}

int handout_write(const struct scenario *s, int dirfd, struct err *err)
{
    static const char *const ends[] = {[DOCUMENT_MARKDOWN] = "md", [DOCUMENT_HTML] = "html"};
    int rc = 0;
    for (int i = 0; i < HANDOUTS * 2 && rc == 0; i++) {
        enum document_form form = i % 2 ? DOCUMENT_HTML : DOCUMENT_MARKDOWN;
        AUTO_BUF name = BUF_INIT;
        AUTO_BUF text = BUF_INIT;
        buf_printf(&name, "%s.%s", handout_names[i / 2], ends[form]);
        handout_compose(s, (enum handout)(i / 2), form, &text);
        rc = file_replace(dirfd, buf_text(&name), buf_text(&text), text.len, err);
    }
    return rc;
}
