/* The timeline of an exercise: each line of its record as a sentence, and the exercise itself in one. */
#include "reports/after_action.h"

#include <inttypes.h>
#include <string.h>

#include "reports/sentence.h"
#include "sim/base/jsonx.h"

typedef void line_fn(const struct after_action *a, const json_t *e, struct buf *out);

static const char *word(const json_t *e, const char *key)
{
    return jsonx_str(e, key, "");
}

/* ": …", when there is something to say. */
static void after_colon(const char *text, struct buf *out)
{
    if (text && *text)
        buf_printf(out, ": %s", text);
}

static void to_whom(const json_t *e, struct buf *out)
{
    size_t i;
    const json_t *one;
    json_array_foreach (json_object_get(e, "to"), i, one)
        buf_printf(out, "%s%s", i ? ", " : " to ", json_string_value(one));
}

static const char *title_of(const struct after_action *a, const json_t *e)
{
    const struct step *step = scenario_step(a->scenario, word(e, "step"));
    const struct people_common *common = step ? step_common(step) : NULL;
    return common ? common->title : word(e, "step");
}

static void pace_line(const struct after_action *a, const json_t *e, struct buf *out)
{
    const char *event = word(e, "event");
    if (!strcmp(event, "go"))
        buf_adds(out, "the clock goes");
    else if (!strcmp(event, "hold"))
        buf_adds(out, "the exercise is held");
    else if (!strcmp(event, "debrief"))
        buf_adds(out, "the play is over, the debrief begins");
    else if (!strcmp(event, "speed"))
        buf_printf(out, "the clock goes %g times as fast",
                   json_number_value(json_object_get(e, "speed")));
    else
        return;
    after_colon(jsonx_str(e, "reason", NULL), out);
}

static void join_line(const struct after_action *a, const json_t *e, struct buf *out)
{
    const char *event = word(e, "event");
    const char *did = !strcmp(event, "join")    ? "joined"
                      : !strcmp(event, "leave") ? "left"
                      : !strcmp(event, "away")  ? "lost the connection"
                                                : "is back";
    buf_printf(out, "%s %s", word(e, "person"), did);
    if (jsonx_str(e, "role", NULL))
        buf_printf(out, " (%s)", word(e, "role"));
}

static void phase_line(const struct after_action *a, const json_t *e, struct buf *out)
{
    const struct phase *p = scenario_phase(a->scenario, word(e, "phase"));
    buf_printf(out, "phase: %s", p && p->title ? p->title : word(e, "phase"));
    if (p)
        after_colon(p->situation, out);
}

static void step_line(const struct after_action *a, const json_t *e, struct buf *out)
{
    const char *event = word(e, "event");
    if (!strcmp(event, "absent"))
        buf_printf(out, "%s is away", jsonx_str(e, "person", word(e, "role")));
    else
        buf_printf(out, "%s %s", title_of(a, e), event);
    after_colon(jsonx_str(e, "text", jsonx_str(e, "reason", NULL)), out);
}

static void deliver_line(const struct after_action *a, const json_t *e, struct buf *out)
{
    buf_adds(out, jsonx_str(e, "what", "message"));
    if (jsonx_str(e, "number", NULL))
        buf_printf(out, " %s", word(e, "number"));
    to_whom(e, out);
    if (jsonx_str(e, "from", NULL))
        buf_printf(out, ", from %s", word(e, "from"));
    if (jsonx_str(e, "channel", NULL))
        buf_printf(out, ", by %s", word(e, "channel"));
    after_colon(jsonx_str(e, "title", NULL), out);
    after_colon(jsonx_str(e, "text", NULL), out);
}

static void question_line(const struct after_action *a, const json_t *e, struct buf *out)
{
    buf_printf(out, "question to %s: %s", word(e, "who"), word(e, "question"));
}

static void decision_line(const struct after_action *a, const json_t *e, struct buf *out)
{
    buf_printf(out, "decision, %s: %s", title_of(a, e), word(e, "option"));
    if (jsonx_bool(e, "default", false))
        buf_adds(out, " (nobody decided: the default)");
    after_colon(jsonx_str(e, "reason", NULL), out);
}

static void event_line(const struct after_action *a, const json_t *e, struct buf *out)
{
    buf_printf(out, "%s, %s", word(e, "kind"), title_of(a, e));
    if (jsonx_int(e, "n", 0))
        buf_printf(out, ", %" PRId64, jsonx_int(e, "n", 0));
    buf_printf(out, ": %s", word(e, "event"));
    to_whom(e, out);
    if (jsonx_str(e, "person", NULL))
        buf_printf(out, ", %s", word(e, "person"));
    after_colon(jsonx_str(e, "text", NULL), out);
}

static void rating_line(const struct after_action *a, const json_t *e, struct buf *out)
{
    const char *objective = jsonx_str(e, "objective", NULL);
    const struct exercise_objective *o =
        objective ? scenario_objective(a->scenario, objective) : NULL;
    buf_printf(out, "rated %s, %s", word(e, "rating"), o ? o->text : title_of(a, e));
    after_colon(jsonx_str(e, "note", NULL), out);
}

static void note_line(const struct after_action *a, const json_t *e, struct buf *out)
{
    buf_adds(out, jsonx_str(e, "what", "note"));
    after_colon(jsonx_str(e, "text", NULL), out);
}

static void mark_line(const struct after_action *a, const json_t *e, struct buf *out)
{
    buf_adds(out, word(e, "mark"));
    after_colon(jsonx_str(e, "text", NULL), out);
}

static void deadline_line(const struct after_action *a, const json_t *e, struct buf *out)
{
    const struct duty_clock *c = scenario_clock(a->scenario, word(e, "name"));
    buf_printf(out, "clock, %s: %s", c && c->title ? c->title : word(e, "name"), word(e, "event"));
}

static void service_line(const struct after_action *a, const json_t *e, struct buf *out)
{
    buf_printf(out, "%s is %s", word(e, "service"), word(e, "event"));
}

static void debrief_line(const struct after_action *a, const json_t *e, struct buf *out)
{
    buf_adds(out,
             jsonx_str(e, "by", NULL) ? "answered the hot wash" : "somebody answered the hot wash");
}

static void trouble_line(const struct after_action *a, const json_t *e, struct buf *out)
{
    buf_adds(out, word(e, "what"));
    after_colon(jsonx_str(e, "detail", NULL), out);
}

static void end_line(const struct after_action *a, const json_t *e, struct buf *out)
{
    buf_printf(out, "the exercise %s", word(e, "status"));
    after_colon(jsonx_str(e, "reason", NULL), out);
}

void after_action_line(const struct after_action *a, const json_t *event, struct buf *out)
{
    static const struct {
        const char *kind;
        line_fn *fn;
    } kinds[] = {
        {"pace", pace_line},         {"join", join_line},       {"phase", phase_line},
        {"step", step_line},         {"deliver", deliver_line}, {"question", question_line},
        {"decision", decision_line}, {"expected", event_line},  {"approval", event_line},
        {"checklist", event_line},   {"status", event_line},    {"page", event_line},
        {"rating", rating_line},     {"note", note_line},       {"mark", mark_line},
        {"deadline", deadline_line}, {"service", service_line}, {"debrief", debrief_line},
        {"trouble", trouble_line},   {"run-end", end_line},
    };
    const char *kind = word(event, "kind");
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (!strcmp(kind, kinds[i].kind))
            kinds[i].fn(a, event, out);
}

void after_action_timeline(const struct after_action *a, struct document *d)
{
    static const char *const heads[] = {"clock", "since the start", "what happened", "by", "role"};
    char text[NSEC_TEXT_MAX];
    size_t i;
    const json_t *e;
    document_section(d, "timeline", "Timeline",
                     "The exercise clock, and beside it the real time since the record began.");
    document_table(d, heads, ARRAY_SIZE(heads));
    json_array_foreach (a->events, i, e) {
        AUTO_BUF what = BUF_INIT;
        after_action_line(a, e, &what);
        if (!what.len)
            continue;
        document_row(d);
        document_cell(d, after_action_clock(jsonx_nsec(e, "clock"), text));
        document_cell(d, after_action_clock(jsonx_nsec(e, "t"), text));
        document_cell(d, buf_text(&what));
        document_cell(d, jsonx_str(e, "by", NULL));
        document_cell(d, jsonx_str(e, "role", NULL));
        document_row_end(d);
    }
    document_table_end(d);
}

void after_action_sentence(const struct after_action *a, struct buf *out)
{
    size_t met = 0, not_met = 0;
    char took[NSEC_TEXT_MAX];
    for (size_t i = 0; i < a->n_objectives; i++) {
        met += a->objectives[i].verdict == VERDICT_MET;
        not_met += a->objectives[i].verdict == VERDICT_NOT_MET;
    }
    if (a->status != STATUS_COMPLETED)
        buf_printf(out, "The exercise %s%s%s. ",
                   a->status == STATUS_ABORTED ? "was aborted" : "is not complete",
                   a->status_reason ? ": " : "", a->status_reason ? a->status_reason : "");
    buf_printf(out, "%s of exercise were played%s", after_action_lasted(a->state->clock, took),
               a->state->ended_early ? ", ended before the script was through" : "");
    if (a->replay)
        buf_adds(out, " by answers instead of people: there is no verdict");
    else if (!a->n_objectives)
        buf_adds(out, "; the scenario has no objectives: nothing could be judged");
    else
        buf_printf(out, "; %zu of %zu objectives were met, %zu not met, %zu not demonstrated", met,
                   a->n_objectives, not_met, a->n_objectives - met - not_met);
    if (a->decisions.of)
        buf_printf(out, "; %zu of %zu decisions in time", a->decisions.n, a->decisions.of);
    if (a->expected.of)
        buf_printf(out, "; %zu of %zu expected actions done in time", a->expected.n,
                   a->expected.of);
    if (a->clocks.of)
        buf_printf(out, "; %zu of %zu regulatory clocks met", a->clocks.n, a->clocks.of);
    if (a->updates.of)
        buf_printf(out, "; %zu of %zu status updates on time", a->updates.n, a->updates.of);
    buf_adds(out, ".");
}
