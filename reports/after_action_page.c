/* The after-action report with its improvement plan: one document, as a page and as Markdown. Its structure
 * is HSEEP's: overview, analysis of objectives, improvement plan, participants; then the logs. */
#include "reports/after_action.h"

#include <inttypes.h>
#include <string.h>

#include "reports/html_part.h"
#include "reports/sentence.h"
#include "sim/base/jsonx.h"
#include "sim/model/assumption.h"

/* --- Overview --- */

static void names_field(struct document *d, const char *name, const struct strv *v)
{
    AUTO_BUF text = BUF_INIT;
    if (v && v->n)
        after_action_names(v, &text);
    document_field(d, name, text.len ? buf_text(&text) : "not given in the scenario");
}

static void given_field(struct document *d, const char *name, const char *value)
{
    document_field(d, name, value && *value ? value : "not given in the scenario");
}

static void dates(const struct after_action *a, struct document *d)
{
    const struct exercise_overview *o = a->scenario->exercise.overview;
    const char *began = jsonx_str(a->start, "wall", NULL), *ended = jsonx_str(a->end, "wall", NULL);
    AUTO_BUF text = BUF_INIT;
    if (o && o->date)
        buf_printf(&text, "planned: %s", o->date);
    if (began)
        buf_printf(&text, "%sbegan %s", text.len ? "; " : "", began);
    if (ended)
        buf_printf(&text, "%sended %s", text.len ? "; " : "", ended);
    given_field(d, "Dates", buf_text(&text));
}

static const char *type_text(const struct after_action *a)
{
    if (a->functional && a->replay)
        return "functional exercise: faults were injected into real systems; answers played for "
               "the people, nobody was exercised";
    if (a->replay)
        return "replay of an exercise: answers played for the people, nobody was exercised";
    if (a->functional)
        return "functional exercise: people played, and faults were injected into real systems";
    return "discussion-based (tabletop) exercise: people played, no system was touched; it does "
           "not "
           "count as a test of systems";
}

static void capabilities(const struct after_action *a, struct buf *out)
{
    for (size_t i = 0; i < a->n_objectives; i++) {
        const char *its = a->objectives[i].objective->capability;
        bool said = !its;
        for (size_t k = 0; k < i && !said; k++) {
            const char *before = a->objectives[k].objective->capability;
            said = before && !strcmp(before, its);
        }
        if (!said)
            buf_printf(out, "%s%s", out->len ? ", " : "", its);
    }
}

static void organisations(const struct after_action *a, struct document *d)
{
    const struct exercise_overview *o = a->scenario->exercise.overview;
    AUTO_BUF text = BUF_INIT;
    if (o && o->organisations.n) {
        buf_printf(&text, "%zu: ", o->organisations.n);
        after_action_names(&o->organisations, &text);
    }
    given_field(d, "Participating organisations", buf_text(&text));
}

static void overview(const struct after_action *a, struct document *d)
{
    const struct exercise_overview *o = a->scenario->exercise.overview;
    char planned[NSEC_TEXT_MAX], took[NSEC_TEXT_MAX];
    AUTO_BUF text = BUF_INIT;
    document_section(d, "overview", "Exercise overview", NULL);
    document_fields(d);
    document_field(d, "Exercise name", a->scenario->title ? a->scenario->title : a->scenario->name);
    dates(a, d);
    document_field(d, "Type", type_text(a));
    given_field(d, "Scope", o ? o->scope : NULL);
    buf_printf(&text, "%s on the exercise clock; planned: %s",
               after_action_lasted(a->state->clock, took),
               after_action_lasted(a->scenario->horizon, planned));
    document_field(d, "Duration", buf_text(&text));
    given_field(d, "Location", o ? o->location : NULL);
    names_field(d, "Mission areas", o ? &o->areas : NULL);
    buf_clear(&text);
    capabilities(a, &text);
    given_field(d, "Core capabilities", buf_text(&text));
    buf_clear(&text);
    for (size_t i = 0; i < a->n_objectives; i++)
        buf_printf(&text, "%s%zu. %s", i ? "; " : "", i + 1, a->objectives[i].objective->text);
    given_field(d, "Objectives", buf_text(&text));
    given_field(d, "Threat or hazard", o ? o->hazard : NULL);
    given_field(d, "Scenario", o && o->summary ? o->summary : a->scenario->why);
    given_field(d, "Sponsor", o ? o->sponsor : NULL);
    organisations(a, d);
    given_field(d, "Point of contact", o ? o->contact : NULL);
    given_field(d, "Designer", o ? o->designer : NULL);
    names_field(d, "Assumptions and artificialities", o ? &o->assumptions : NULL);
    document_fields_end(d);
}

/* --- Analysis --- */

static void summary(const struct after_action *a, struct document *d)
{
    static const char *const heads[] = {"objective", "core capability", "capability target",
                                        "rating",    "verdict",         "why"};
    document_section(d, "analysis", "Analysis of objectives",
                     "Ratings by the evaluators: P performed without challenges, S with some "
                     "challenges, M with major challenges, U unable to be performed. Not rated is "
                     "not demonstrated.");
    if (!a->n_objectives) {
        document_paragraph(d, NULL, "The scenario has no objectives: nothing could be rated.");
        return;
    }
    document_table(d, heads, ARRAY_SIZE(heads));
    for (size_t i = 0; i < a->n_objectives; i++) {
        const struct after_rating *r = &a->objectives[i];
        const struct objective_target *t = r->objective->target;
        AUTO_BUF target = BUF_INIT;
        char value[NSEC_TEXT_MAX], rating[] = {r->rating, '\0'};
        if (t && t->text)
            buf_adds(&target, t->text);
        else if (t && t->service)
            buf_printf(&target, "%s of %s: %s", objective_promise_words[t->promise], t->service,
                       after_action_lasted(objective_target_value(a->scenario, t), value));
        document_row(d);
        document_cell(d, r->objective->text);
        document_cell(d, r->objective->capability);
        document_cell(d, buf_text(&target));
        document_cell(d, r->rating ? rating : "not rated");
        document_cell(d, sentence_verdict(r->verdict));
        document_cell(d, r->why);
        document_row_end(d);
    }
    document_table_end(d);
}

static void evaluations(const struct after_action *a, const struct after_rating *r,
                        struct document *d)
{
    static const char *const heads[] = {"evaluator", "rating", "at", "explanation"};
    char at[NSEC_TEXT_MAX];
    bool any = false;
    for (size_t i = 0; i < a->state->n_ratings; i++) {
        const struct state_rating *given = &a->state->ratings[i];
        char rating[] = {given->rating, '\0'};
        if (strcmp(given->objective, r->objective->id) != 0 || !after_action_counts(a, i))
            continue;
        if (!any)
            document_table(d, heads, ARRAY_SIZE(heads));
        any = true;
        document_row(d);
        document_cell(d, given->by);
        document_cell(d, rating);
        document_cell(d, after_action_clock(given->at, at));
        document_cell(d, given->note);
        document_row_end(d);
    }
    if (any)
        document_table_end(d);
}

static void finding_item(const struct after_finding *f, struct document *d)
{
    AUTO_BUF text = BUF_INIT;
    char at[NSEC_TEXT_MAX];
    buf_printf(&text, "%s (%s%s%s)", f->text, f->by ? f->by : "seen in the record",
               nsec_is_set(f->at) ? ", " : "",
               nsec_is_set(f->at) ? after_action_clock(f->at, at) : "");
    document_item(d, NULL, buf_text(&text));
}

static void strengths(const struct after_action *a, const struct exercise_objective *o,
                      struct document *d)
{
    size_t n = 0;
    document_heading(d, "Strengths", NULL);
    document_list(d);
    for (size_t i = 0; i < a->n_strengths; i++)
        if (a->strengths[i].objective == o) {
            finding_item(&a->strengths[i], d);
            n++;
        }
    if (!n)
        document_item(d, NULL, "none was noted; to be added by the evaluators: " DOCUMENT_BLANK);
    document_list_end(d);
}

static void areas(const struct after_action *a, const struct exercise_objective *o,
                  struct document *d)
{
    static const char *const heads[] = {"area for improvement", "reference", "analysis", "seen by",
                                        "at"};
    char at[NSEC_TEXT_MAX];
    size_t n = 0;
    document_heading(d, "Areas for improvement", NULL);
    for (size_t i = 0; i < a->n_areas; i++) {
        const struct after_finding *f = &a->areas[i];
        if (f->objective != o)
            continue;
        if (!n++)
            document_table(d, heads, ARRAY_SIZE(heads));
        document_row(d);
        document_cell(d, f->text);
        document_cell(d, f->reference ? f->reference : DOCUMENT_BLANK);
        document_cell(d, f->analysis ? f->analysis : DOCUMENT_BLANK);
        document_cell(d, f->by ? f->by : "the record");
        document_cell(d, after_action_clock(f->at, at));
        document_row_end(d);
    }
    if (n)
        document_table_end(d);
    else
        document_paragraph(d, NULL, "none was noted");
}

static void tasks_of(const struct after_rating *r, struct document *d)
{
    if (!r->objective->tasks.n)
        return;
    document_heading(d, "Critical tasks", NULL);
    document_list(d);
    for (size_t i = 0; i < r->objective->tasks.n; i++)
        document_item(d, NULL, r->objective->tasks.items[i]);
    document_list_end(d);
}

static bool has_findings(const struct after_action *a, const struct exercise_objective *o)
{
    for (size_t i = 0; i < a->n_strengths; i++)
        if (a->strengths[i].objective == o)
            return true;
    for (size_t i = 0; i < a->n_areas; i++)
        if (a->areas[i].objective == o)
            return true;
    return false;
}

/* What evaluators saw, without a judgement. */
static void observations(const struct after_action *a, const struct exercise_objective *o,
                         struct document *d)
{
    size_t n = 0;
    for (size_t i = 0; i < a->state->n_notes; i++) {
        const struct state_note *note = &a->state->notes[i];
        const struct after_finding seen = {.at = note->at, .text = note->text, .by = note->by};
        if (!note->what || strcmp(note->what, "observation") != 0 ||
            (note->objective ? scenario_objective(a->scenario, note->objective) : NULL) != o)
            continue;
        if (!n++) {
            document_heading(d, "Observations", NULL);
            document_list(d);
        }
        finding_item(&seen, d);
    }
    if (n)
        document_list_end(d);
}

static void analysis(const struct after_action *a, struct document *d)
{
    summary(a, d);
    if (a->n_objectives)
        after_action_capabilities(a, d);
    for (size_t i = 0; i < a->n_objectives; i++) {
        const struct after_rating *r = &a->objectives[i];
        document_heading(d, "Objective: ", r->objective->text);
        document_paragraph(d, "Core capability", r->objective->capability);
        document_paragraph(d, "Rating", r->why);
        evaluations(a, r, d);
        tasks_of(r, d);
        observations(a, r->objective, d);
        strengths(a, r->objective, d);
        areas(a, r->objective, d);
    }
    observations(a, NULL, d);
    if (!has_findings(a, NULL))
        return;
    document_heading(d, "Beyond the objectives", NULL);
    strengths(a, NULL, d);
    areas(a, NULL, d);
}

/* --- Participants --- */

static bool was_in(const struct state_person *p, const char *role)
{
    return strv_has(&p->roles, role);
}

static bool is_planned(const struct responder *r, const char *name)
{
    return strv_has(&r->people, name) || strv_has(&r->deputies, name);
}

static void role_row(const struct after_action *a, const struct responder *r, struct document *d)
{
    AUTO_BUF planned = BUF_INIT;
    AUTO_BUF deputies = BUF_INIT;
    AUTO_BUF came = BUF_INIT;
    AUTO_BUF differ = BUF_INIT;
    char from[NSEC_TEXT_MAX];
    size_t n = 0;
    after_action_names(&r->people, &planned);
    after_action_names(&r->deputies, &deputies);
    for (size_t i = 0; i < a->state->n_people; i++) {
        const struct state_person *p = &a->state->people[i];
        if (!was_in(p, r->name))
            continue;
        buf_printf(&came, "%s%s (from %s)", n++ ? ", " : "", p->name,
                   after_action_clock(p->joined, from));
        if (r->people.n + r->deputies.n && !is_planned(r, p->name))
            buf_printf(&differ, "%s%s was not planned", differ.len ? "; " : "", p->name);
    }
    for (size_t i = 0; i < r->people.n; i++) {
        const struct state_person *p = state_person(a->state, r->people.items[i]);
        if (!p || !was_in(p, r->name))
            buf_printf(&differ, "%s%s did not take part", differ.len ? "; " : "",
                       r->people.items[i]);
    }
    if (!n)
        buf_printf(&differ, "%snobody took this role", differ.len ? "; " : "");
    document_row(d);
    document_cell(d, r->title ? r->title : r->name);
    document_cell(d, role_kind_words[r->kind]);
    document_cell(d, r->duty);
    document_cell(d, buf_text(&planned));
    document_cell(d, buf_text(&deputies));
    document_cell(d, buf_text(&came));
    document_cell(d, differ.len ? buf_text(&differ) : "as intended");
    document_row_end(d);
}

/* Designer, facilitator and evaluator should be three (DORA Art. 24(4): independent parties). */
static void independence(const struct after_action *a, struct document *d)
{
    const struct exercise_overview *o = a->scenario->exercise.overview;
    AUTO_BUF text = BUF_INIT;
    for (size_t i = 0; i < a->state->n_people; i++) {
        const struct state_person *p = &a->state->people[i];
        unsigned kinds = 0;
        for (size_t k = 0; k < p->roles.n; k++)
            kinds |= 1U << state_role_kind(a->state, p->roles.items[k]);
        bool leads = kinds & 1U << ROLE_FACILITATOR, rates = kinds & 1U << ROLE_EVALUATOR;
        bool plays = kinds & 1U << ROLE_PLAYER;
        bool designed = o && o->designer && !strcmp(o->designer, p->name);
        if (leads + rates + plays + designed > 1)
            buf_printf(&text, "%s%s was%s%s%s%s", text.len ? "; " : "", p->name,
                       designed ? " designer" : "", leads ? " facilitator" : "",
                       rates ? " evaluator" : "", plays ? " player" : "");
    }
    document_paragraph(d, "Independence",
                       text.len ? buf_text(&text)
                                : "nobody had more than one of the parts designer, facilitator, "
                                  "evaluator, player");
}

static void participants(const struct after_action *a, struct document *d)
{
    static const char *const heads[] = {
        "role", "kind", "duty", "intended people", "deputies", "took part (since)", "difference"};
    const struct objects *roles = &a->scenario->assumptions->roles;
    document_section(d, "participants", "Participants",
                     "Intended against actual participation; times are of the exercise clock.");
    document_table(d, heads, ARRAY_SIZE(heads));
    for (size_t i = 0; i < roles->n; i++)
        role_row(a, roles->items[i], d);
    document_table_end(d);
    independence(a, d);
}

/* --- Hot wash --- */

static int by_text(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* Anonymous answers stand in alphabetical order: the order in which they came tells who gave them. */
static void answers_to(const struct after_action *a, size_t question, struct document *d)
{
    const struct state *st = a->state;
    const char **texts = calloc(st->n_answers + 1, sizeof *texts);
    if (!texts)
        abort();
    size_t n = 0;
    document_list(d);
    for (size_t i = 0; i < st->n_answers; i++) {
        const struct state_answer *one = &st->answers[i];
        const char *text = json_string_value(json_array_get(one->texts, question));
        if (text && !one->by)
            texts[n++] = text;
        else if (text)
            document_item(d, one->by, text);
    }
    qsort(texts, n, sizeof *texts, by_text);
    for (size_t i = 0; i < n; i++)
        document_item(d, "anonymous", texts[i]);
    if (!st->n_answers)
        document_item(d, NULL, "nobody answered");
    document_list_end(d);
    free(texts);
}

static void hot_wash(const struct after_action *a, struct document *d)
{
    const struct debrief *debrief = a->scenario->exercise.debrief;
    if (!debrief)
        return;
    document_section(d, "hot-wash", "Hot wash", "What people answered right after the play.");
    for (size_t i = 0; i < debrief->questions.n; i++) {
        document_heading(d, NULL, debrief->questions.items[i]);
        answers_to(a, i, d);
    }
}

/* --- The frame --- */

static void measures(const struct after_action *a, struct document *d)
{
    const struct {
        const char *name;
        const struct after_count *count;
        const char *words;
    } rows[] = {{"Decisions in time", &a->decisions, "of those that were asked"},
                {"Expected actions in time", &a->expected, "of those that were due"},
                {"Expected actions done", &a->done, "late ones too"},
                {"Regulatory clocks met", &a->clocks, "of those that started"},
                {"Status updates on time", &a->updates, "of those that were due"},
                {"Injects delivered", &a->injects, "of those planned; contingencies apart"}};
    document_section(d, "measures", "Measures", NULL);
    document_fields(d);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO_BUF text = BUF_INIT;
        if (rows[i].count->of)
            buf_printf(&text, "%zu of %zu (%s)", rows[i].count->n, rows[i].count->of,
                       rows[i].words);
        else
            buf_adds(&text, "none was asked for");
        document_field(d, rows[i].name, buf_text(&text));
    }
    document_fields_end(d);
}

static void body(const struct after_action *a, struct document *d)
{
    after_action_joint(a, d);
    overview(a, d);
    after_action_phases(a, d);
    measures(a, d);
    analysis(a, d);
    after_action_plan(a, d);
    participants(a, d);
    after_action_logs(a, d);
    hot_wash(a, d);
    after_action_timeline(a, d);
    document_section(
        d, "reading", "How to read this",
        "Times are hours, minutes and seconds of the exercise clock: it begins when the "
        "facilitator says go and stands still while the exercise is held. All of this "
        "is recomputed from the scenario and the record.");
    document_fields(d);
    document_field(d, "Mode", a->mode);
    document_field(d, "Scenario, SHA-256",
                   jsonx_str(json_object_get(a->start, "scenario"), "digest", NULL));
    document_field(d, "Head of the record", a->head.hash);
    if (a->plan_digest)
        document_field(d, "Corrective actions (actions.yaml), SHA-256", a->plan_digest);
    document_field(d, "blackstart", jsonx_str(a->start, "blackstart", NULL));
    document_fields_end(d);
    document_end(d);
}

static const char *badge(const struct after_action *a)
{
    return a->functional ? "FUNCTIONAL EXERCISE" : a->replay ? "REPLAY" : "EXERCISE";
}

static const char *verdict_text(const struct after_action *a)
{
    return a->replay && !a->machine ? "no verdict" : sentence_verdict(a->verdict);
}

static void html_head(const struct after_action *a, struct buf *out)
{
    const char *title = a->scenario->title ? a->scenario->title : a->scenario->name;
    document_page(out,
                  a->functional ? "functional"
                  : a->replay   ? "replay"
                                : "exercise",
                  badge(a), title, "after-action report");
    buf_printf(out, "<span class=\"chip %s\"><span aria-hidden=\"true\">%s</span>%s</span>",
               verdict_words[a->verdict], html_sign(a->verdict), verdict_text(a));
    if (a->status != STATUS_COMPLETED)
        buf_printf(out, "<span class=\"chip not_met\">%s</span>", status_words[a->status]);
    buf_adds(out, "</div>\n<h1>After-action report: ");
    html_text(out, title);
    buf_adds(out, "</h1>\n<p class=\"lead\">");
}

void after_action_html(const struct after_action *a, struct buf *out)
{
    struct document d = {.form = DOCUMENT_HTML, .out = out};
    AUTO_BUF sentence = BUF_INIT;
    html_head(a, out);
    if (a->machine) {
        AUTO_BUF lead = BUF_INIT;
        after_action_chain_sentence(a, &lead);
        html_text(out, buf_text(&lead));
        buf_adds(out, "</p>\n<p class=\"more\">");
    }
    after_action_played(a, &sentence);
    html_text(out, buf_text(&sentence));
    buf_adds(out, "</p>\n</header>\n");
    after_action_tiles(a, out);
    if (a->machine)
        html_chain(a->machine, out);
    after_action_lanes(a, out);
    body(a, &d);
    buf_adds(out, "</main>\n</body>\n</html>\n");
}

void after_action_markdown(const struct after_action *a, struct buf *out)
{
    struct document d = {.form = DOCUMENT_MARKDOWN, .out = out};
    AUTO_BUF sentence = BUF_INIT;
    buf_adds(out, "# After-action report: ");
    escape_markdown(a->scenario->title ? a->scenario->title : a->scenario->name, out);
    buf_printf(out, "\n\n**%s**, %s. ", badge(a), verdict_text(a));
    after_action_sentence(a, &sentence);
    escape_markdown(buf_text(&sentence), out);
    buf_addc(out, '\n');
    body(a, &d);
}
