/* The timeline of an exercise: each line of its record as a sentence, and the exercise itself in one. */
#include "reports/after_action.h"

#include <inttypes.h>
#include <stdlib.h>
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
    if (!strcmp(word(e, "event"), "opened"))
        buf_adds(out, "the anonymous answers to the hot wash were opened, all at once");
    else
        buf_adds(out, jsonx_str(e, "by", NULL) ? "answered the hot wash"
                                               : "somebody answered the hot wash");
}

static void trouble_line(const struct after_action *a, const json_t *e, struct buf *out)
{
    buf_adds(out, word(e, "what"));
    after_colon(jsonx_str(e, "detail", NULL), out);
}

static void stop_line(const struct after_action *a, const json_t *e, struct buf *out)
{
    buf_printf(out, "stopped: %s", word(e, "reason"));
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
        {"trouble", trouble_line},   {"stop", stop_line},       {"run-end", end_line},
    };
    const char *kind = word(event, "kind");
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (!strcmp(kind, kinds[i].kind))
            kinds[i].fn(a, event, out);
}

/* --- The table: lines of people, and the machine's instants among them --- */

struct row {
    nsec t;              /* real, ns since the run started */
    size_t order;        /* of rows of the same instant */
    const json_t *event; /* NULL: the machine's */
    const char *text;
};

struct rows {
    const struct after_action *a;
    struct row *items;
    size_t n, room;
};

static void row(struct rows *v, nsec t, const json_t *event, const char *text)
{
    if (v->n == v->room) {
        v->room = v->room ? v->room * 2 : 256;
        v->items = realloc(v->items, v->room * sizeof *v->items);
        if (!v->items)
            abort();
    }
    v->items[v->n] = (struct row){t, v->n, event, text};
    v->n++;
}

static int by_time(const void *x, const void *y)
{
    const struct row *a = x, *b = y;
    if (a->t != b->t)
        return a->t < b->t ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static void service_rows(struct rows *v, const struct service_seen *s)
{
    const char *name = s->service->name;
    for (size_t i = 0; i < s->episodes_n; i++) {
        const struct episode *e = &s->episodes[i];
        row(v, e->impact.lo, NULL, arena_printf(v->a->arena, "%s failed", name));
        if (e->restored.hi != NSEC_INF)
            row(v, e->restored.hi, NULL,
                arena_printf(v->a->arena, "%s was %s", name,
                             e->by == BY_HEAL ? "back, by our taking the fault away" : "restored"));
    }
    for (size_t i = 0; i < s->alarms_n; i++) {
        const struct alarm_seen *alarm = &s->alarms[i];
        if (span_is_set(alarm->onset) && alarm->alarm->service &&
            !strcmp(alarm->alarm->service, name))
            row(v, alarm->onset.lo, NULL,
                arena_printf(v->a->arena, "alarm %s (%s) rang", alarm->alarm->name,
                             role_words[alarm->alarm->role]));
    }
}

static void machine_rows(struct rows *v)
{
    const struct trial *t = v->a->trial;
    for (size_t i = 0; t && i < t->faults_n; i++) {
        const struct fault *f = &t->faults[i];
        if (f->injected && span_is_set(f->start))
            row(v, f->start.lo, NULL,
                arena_printf(v->a->arena, "fault %s (%s) in force%s", f->step, f->action,
                             f->verified ? "" : "; that it bit was not seen"));
        if (f->injected && span_is_set(f->end))
            row(v, f->end.lo, NULL,
                arena_printf(v->a->arena, "fault %s ended (%s)", f->step,
                             f->cause ? f->cause : "undone"));
    }
    for (size_t i = 0; t && i < t->actions_n; i++) {
        AUTO_BUF came = BUF_INIT;
        sentence_action(&t->actions[i], &came);
        if (span_is_set(t->actions[i].start))
            row(v, t->actions[i].start.lo, NULL,
                arena_printf(v->a->arena, "command %s on %s: %s (%s)", t->actions[i].step,
                             t->actions[i].host, t->actions[i].command, buf_text(&came)));
    }
    for (size_t i = 0; t && i < t->services_n; i++)
        service_rows(v, &t->services[i]);
}

static void since_fault(const struct after_action *a, nsec t, struct document *d)
{
    AUTO_BUF text = BUF_INIT;
    nsec since = a->chain ? nsec_sub(t, a->chain->fault.lo) : NSEC_UNSET;
    if (nsec_is_set(since) && since >= 0)
        after_action_took(since, &text);
    document_cell(d, buf_text(&text));
}

static void print_row(const struct after_action *a, const struct row *r, struct document *d)
{
    char text[NSEC_TEXT_MAX];
    nsec clock = r->event ? jsonx_nsec(r->event, "clock") : after_action_clock_of(a, r->t);
    document_row(d);
    document_cell(d, after_action_clock(clock, text));
    document_cell(d, after_action_clock(r->t, text));
    if (a->machine)
        since_fault(a, r->t, d);
    document_cell(d, r->text);
    document_cell(d, r->event ? jsonx_str(r->event, "by", NULL) : NULL);
    document_cell(d, r->event ? jsonx_str(r->event, "role", NULL) : "machine");
    document_row_end(d);
}

void after_action_timeline(const struct after_action *a, struct document *d)
{
    static const char *const plain[] = {"clock", "since the start", "what happened", "by", "role"};
    static const char *const joint[] = {
        "clock", "since the start", "since the fault", "what happened", "by", "role"};
    struct rows v = {.a = a};
    size_t i;
    const json_t *e;
    json_array_foreach (a->events, i, e) {
        AUTO_BUF what = BUF_INIT;
        after_action_line(a, e, &what);
        if (what.len)
            row(&v, jsonx_int(e, "t", 0), e, arena_strdup(a->arena, buf_text(&what)));
    }
    machine_rows(&v);
    if (v.n)
        qsort(v.items, v.n, sizeof *v.items, by_time);
    document_section(d, "timeline", "Timeline",
                     a->machine
                         ? "Machine and people on one clock: the exercise clock, the real "
                           "time since the record began, and since the first fault."
                         : "The exercise clock, and beside it the real time since the record "
                           "began.");
    document_table(d, a->machine ? joint : plain,
                   a->machine ? ARRAY_SIZE(joint) : ARRAY_SIZE(plain));
    for (i = 0; i < v.n; i++)
        print_row(a, &v.items[i], d);
    document_table_end(d);
    free(v.items);
}

/* What the services kept, and whether all is undone. */
static void machine_sentence(const struct after_action *a, struct buf *out)
{
    for (size_t i = 0; i < a->machine->objectives_n; i++) {
        buf_addc(out, ' ');
        sentence_objective(a->machine, &a->machine->objectives[i], out);
    }
    buf_addc(out, ' ');
    sentence_clean(a->machine, out);
}

void after_action_sentence(const struct after_action *a, struct buf *out)
{
    if (a->machine) {
        after_action_chain_sentence(a, out);
        buf_addc(out, ' ');
    }
    after_action_played(a, out);
}

void after_action_played(const struct after_action *a, struct buf *out)
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
        buf_printf(out, " by answers instead of people: %s",
                   a->machine ? "they have no verdict" : "there is no verdict");
    else if (!a->n_objectives && !a->machine)
        buf_adds(out, "; the scenario has no objectives: nothing could be judged");
    else if (!a->n_objectives)
        buf_adds(out, "; the people were given no objectives");
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
    if (a->machine)
        machine_sentence(a, out);
}
