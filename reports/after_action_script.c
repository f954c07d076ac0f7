/* What the script said beforehand, in words: when each step begins, what follows from a decision, the moves. */
#include "reports/after_action.h"

#include <inttypes.h>
#include <string.h>

#include "sim/model/assumption.h"

/* --- Conditions --- */

static void condition(const struct condition *c, struct buf *out);

static void several(const struct objects *of, const char *between, struct buf *out)
{
    for (size_t i = 0; i < of->n; i++) {
        buf_adds(out, i ? between : "");
        condition(of->items[i], out);
    }
}

static void condition(const struct condition *c, struct buf *out)
{
    const struct {
        const char *of, *format;
    } words[] = {
        {c->alarm, "the alarm %s rang"},
        {c->probe, "the probe %s failed"},
        {c->operator_word, "the facilitator said %s"},
        {c->step, "%s was done"},
        {c->done, "what %s asks for was done"},
        {c->not_done, "what %s asks for was not done in time"},
        {c->phase, "the phase %s began"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        const char *at = words[i].of ? strstr(words[i].format, "%s") : NULL;
        if (at)
            buf_printf(out, "%.*s%s%s", (int)(at - words[i].format), words[i].format, words[i].of,
                       at + 2);
    }
    if (c->decision)
        buf_printf(out, "%s was decided%s%s", c->decision, c->is ? ": " : "", c->is ? c->is : "");
    several(&c->any, " or ", out);
    several(&c->all, " and ", out);
}

void after_action_begins(const struct step *s, struct buf *out)
{
    char text[NSEC_TEXT_MAX];
    if (!s->when) {
        buf_printf(out, "at %s", after_action_clock(s->at, text));
        return;
    }
    if (s->after > 0)
        buf_printf(out, "%s after ", nsec_text(s->after, text));
    buf_adds(out, s->after > 0 ? "" : "when ");
    condition(s->when, out);
}

static bool mentions(const struct condition *c, const char *id, const char *option)
{
    if (!c)
        return false;
    if (c->decision && !strcmp(c->decision, id) && (!c->is || !strcmp(c->is, option)))
        return true;
    for (size_t i = 0; i < c->any.n; i++)
        if (mentions(c->any.items[i], id, option))
            return true;
    for (size_t i = 0; i < c->all.n; i++)
        if (mentions(c->all.items[i], id, option))
            return true;
    return false;
}

void after_action_branches(const struct after_action *a, const struct step *s, struct buf *out)
{
    const struct decide_params *p = s->params;
    for (size_t i = 0; i < p->options.n; i++) {
        const char *option = p->options.items[i];
        size_t n = 0;
        buf_printf(out, "%s%s: ", i ? "; " : "", option);
        for (size_t k = 0; k < a->scenario->script.n; k++) {
            const struct step *then = a->scenario->script.items[k];
            if (mentions(then->when, s->id, option) || mentions(then->until, s->id, option))
                buf_printf(out, "%s%s", n++ ? ", " : "", then->id);
        }
        buf_adds(out, n ? "" : "nothing of the script");
    }
}

/* --- Moves --- */

/* When the one that begins next ends it; the play's end for the last. */
static nsec ended(const struct after_action *a, size_t phase)
{
    nsec end = a->state->clock;
    for (size_t i = 0; i < a->scenario->exercise.phases.n; i++) {
        nsec began = a->state->phases[i];
        if (nsec_is_set(began) && began > a->state->phases[phase] && began < end)
            end = began;
    }
    return end;
}

void after_action_phases(const struct after_action *a, struct document *d)
{
    static const char *const heads[] = {"no.",       "phase",          "planned start",
                                        "start",     "stop",           "simulated time",
                                        "situation", "entry criteria", "exit criteria"};
    const struct objects *v = &a->scenario->exercise.phases;
    document_section(d, "phases", "Phases", "The moves of the exercise, planned and played.");
    if (!v->n) {
        document_paragraph(d, NULL, "The scenario has no phases.");
        return;
    }
    document_table(d, heads, ARRAY_SIZE(heads));
    for (size_t i = 0; i < v->n; i++) {
        const struct phase *p = v->items[i];
        nsec began = a->state->phases[i];
        char text[NSEC_TEXT_MAX];
        snprintf(text, sizeof text, "%zu", i + 1);
        document_row(d);
        document_cell(d, text);
        document_cell(d, p->title ? p->title : p->id);
        document_cell(d, after_action_clock(p->at, text));
        document_cell(d, after_action_clock(began, text));
        document_cell(d, after_action_clock(nsec_is_set(began) ? ended(a, i) : NSEC_UNSET, text));
        document_cell(d, p->date);
        document_cell(d, p->situation);
        document_cell(d, p->entry);
        document_cell(d, p->exit);
        document_row_end(d);
    }
    document_table_end(d);
}

/* --- Core capabilities --- */

static int badness(char rating)
{
    const char *order = "PSMU", *at = rating ? strchr(order, rating) : NULL;
    return at ? (int)(at - order) + 1 : 0;
}

/* The rating of a capability is the worst of its objectives'; while one of them is not rated it has none. */
void after_action_capabilities(const struct after_action *a, struct document *d)
{
    static const char *const heads[] = {"core capability", "objectives", "rated", "rating"};
    document_heading(d, "Core capabilities", NULL);
    document_table(d, heads, ARRAY_SIZE(heads));
    for (size_t i = 0; i < a->n_objectives; i++) {
        const char *its = a->objectives[i].objective->capability;
        size_t n = 0, rated = 0;
        bool before = false;
        char worst = 0, text[32];
        for (size_t k = 0; k < a->n_objectives; k++) {
            const struct after_rating *r = &a->objectives[k];
            if (!its || !r->objective->capability || strcmp(r->objective->capability, its) != 0)
                continue;
            before = before || k < i;
            n++;
            rated += r->rating != 0;
            worst = badness(r->rating) > badness(worst) ? r->rating : worst;
        }
        if (!n || before)
            continue;
        document_row(d);
        document_cell(d, its);
        snprintf(text, sizeof text, "%zu", n);
        document_cell(d, text);
        snprintf(text, sizeof text, "%zu", rated);
        document_cell(d, text);
        snprintf(text, sizeof text, "%c", worst);
        document_cell(d, rated == n ? text : "not rated");
        document_row_end(d);
    }
    document_table_end(d);
}
