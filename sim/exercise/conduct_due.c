/* For each thing that is due the line of the record that says that it happened. */
#include "sim/exercise/conduct_part.h"

#include "sim/base/jsonx.h"

#include <errno.h>
#include <string.h>

static json_t *texts(const struct strv *v)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->n; i++)
        json_array_append_new(list, jsonx_new_text(v->items[i]));
    return list;
}

/* Absent members stay absent. */
static void put_text(json_t *line, const char *key, const char *text)
{
    if (text)
        json_object_set_new(line, key, jsonx_new_text(text));
}

static void put_clock(json_t *line, const char *key, nsec at)
{
    if (nsec_is_set(at))
        json_object_set_new(line, key, json_integer(at));
}

static json_t *players(const struct conduct *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->scenario->assumptions->roles.n; i++) {
        const struct responder *r = c->scenario->assumptions->roles.items[i];
        if (r->kind == ROLE_PLAYER || r->kind == ROLE_SIMULATOR)
            json_array_append_new(list, json_string(r->name));
    }
    return list;
}

static json_t *addressees(const struct conduct *c, const struct strv *to)
{
    return strv_has(to, ROLE_ALL) ? players(c) : texts(to);
}

/* --- Steps begin --- */

static nsec deadline(const struct conduct *c, const struct step *step)
{
    nsec within = step_within(step);
    return nsec_is_set(within) ? nsec_add(conduct_clock(c), within) : NSEC_UNSET;
}

static json_t *tell_line(const struct conduct *c, const struct step *step, nsec due)
{
    const struct tell_params *p = step->params;
    json_t *line = json_object();
    put_text(line, "step", step->id);
    put_text(line, "number", p->common.number);
    json_object_set_new(line, "to", addressees(c, &p->to));
    put_text(line, "from", p->from);
    put_text(line, "channel", p->channel);
    put_text(line, "title", p->common.title);
    put_text(line, "text", p->message);
    if (p->attach.n)
        json_object_set_new(line, "attachments", texts(&p->attach));
    put_text(line, "what", p->kind == TELL_CONTINGENCY ? "contingency" : "inject");
    put_clock(line, "due", due);
    if (nsec_is_set(due) && conduct_clock(c) > nsec_add(due, NSEC_SEC))
        json_object_set_new(line, "late", json_true());
    return line;
}

static json_t *question_line(const struct conduct *c, const struct step *step)
{
    const struct decide_params *p = step->params;
    json_t *line = json_object();
    put_text(line, "step", step->id);
    put_text(line, "who", p->who);
    put_text(line, "question", p->question);
    json_object_set_new(line, "options", texts(&p->options));
    put_clock(line, "deadline", deadline(c, step));
    return line;
}

static json_t *event_line(const struct conduct *c, const struct step *step, const char *event,
                          bool asks)
{
    json_t *line = json_object();
    put_text(line, "step", step->id);
    put_text(line, "event", event);
    if (asks)
        put_clock(line, "deadline", deadline(c, step));
    return line;
}

static json_t *absent_line(const struct conduct *c, const struct step *step)
{
    const struct unavailable_params *p = step->params;
    json_t *line = event_line(c, step, "absent", false);
    put_text(line, "role", p->role);
    put_text(line, "person", p->person);
    if (p->message) {
        json_object_set_new(line, "to", players(c));
        put_text(line, "text", p->message);
    }
    return line;
}

static json_t *page_line(const struct conduct *c, const struct step *step, int64_t n)
{
    const struct escalate_params *p = step->params;
    struct state_call call = state_call(c->state, step, n);
    json_t *line = event_line(c, step, "paged", false);
    json_object_set_new(line, "n", json_integer(n));
    json_object_set_new(line, "to", json_pack("[s]", call.role));
    put_text(line, "person", call.person);
    put_text(line, "from", p->from);
    put_text(line, "channel", p->channel);
    put_text(line, "text", p->message);
    return line;
}

/* An outage in the scenario's world; of something else than a service: noted, and nothing counts down. */
static json_t *outage_line(const struct step *step, bool down)
{
    const struct outage_params *p = step->params;
    json_t *line = json_object();
    put_text(line, "service", p->service ? p->service : "");
    put_text(line, "event", down ? "down" : "up");
    put_text(line, "step", step->id);
    return line;
}

/* --- The machine's steps: on paper first, then it is asked --- */

static int machine_begins(struct conduct *c, size_t i, const char *by, const char *key,
                          struct err *err)
{
    const struct step *step = c->state->steps[i].step;
    nsec due = by ? NSEC_UNSET : state_step_due(c->state, i);
    if (!c->machine)
        return err_set(err, ENOTSUP, "the step '%s' (%s) is not played by people", step->id,
                       step->action->name);
    json_t *line = event_line(c, step, c->state->machine_over ? "skipped" : "begins", false);
    put_text(line, "by", by);
    put_text(line, "key", key);
    if (c->state->machine_over) {
        put_text(line, "reason", "the machine's part is over");
        return conduct_put(c, "step", line, err);
    }
    put_clock(line, "due", due);
    if (nsec_is_set(due) && conduct_clock(c) > nsec_add(due, NSEC_SEC))
        json_object_set_new(line, "late", json_true());
    int r = conduct_put(c, "step", line, err);
    if (r == 0)
        c->machine->begin(i, c->machine->data);
    return r;
}

int conduct_end_step(struct conduct *c, size_t i, const char *cause, const char *by,
                     const char *key, struct err *err)
{
    json_t *line = event_line(c, c->state->steps[i].step, "ends", false);
    put_text(line, "cause", cause);
    put_text(line, "by", by);
    put_text(line, "key", key);
    int r = conduct_put(c, "step", line, err);
    if (r == 0 && c->machine)
        c->machine->end(i, cause, c->machine->data);
    return r;
}

int conduct_begin_step(struct conduct *c, size_t i, const char *by, const char *key,
                       struct err *err)
{
    const struct step *step = c->state->steps[i].step;
    const char *kind = NULL;
    json_t *line = NULL;
    if (step_is_machines(step))
        return machine_begins(c, i, by, key, err);
    switch (step_people(step)) {
    case PEOPLE_TELL:
        kind = "deliver";
        line = tell_line(c, step, by ? NSEC_UNSET : state_step_due(c->state, i));
        break;
    case PEOPLE_DECIDE:
        kind = "question";
        line = question_line(c, step);
        break;
    case PEOPLE_EXPECTED:
        kind = "expected";
        line = event_line(c, step, "due", true);
        break;
    case PEOPLE_APPROVE:
        kind = "approval";
        line = event_line(c, step, "asked", true);
        break;
    case PEOPLE_RUNBOOK:
        kind = "checklist";
        line = event_line(c, step, "opened", false);
        put_text(line, "runbook", ((const struct runbook_params *)step->params)->name);
        break;
    case PEOPLE_STATUS:
        kind = "status";
        line = event_line(c, step, "opened", false);
        break;
    case PEOPLE_ESCALATE:
        kind = "page";
        line = page_line(c, step, 1);
        break;
    case PEOPLE_UNAVAILABLE:
        kind = "step";
        line = absent_line(c, step);
        break;
    case PEOPLE_HOLD:
        kind = "pace";
        line = event_line(c, step, "hold", false);
        put_text(line, "reason", ((const struct hold_params *)step->params)->reason);
        break;
    case PEOPLE_NONE:
        kind = "service";
        line = outage_line(step, true);
        break;
    }
    put_text(line, "by", by);
    put_text(line, "key", key);
    return conduct_put(c, kind, line, err);
}

/* --- Time is up --- */

static int do_missed(struct conduct *c, size_t i, struct err *err)
{
    const struct state_step *one = &c->state->steps[i];
    const struct step *step = one->step;
    if (step_people(step) == PEOPLE_APPROVE)
        return conduct_put(c, "approval", event_line(c, step, "missed", false), err);
    const struct decide_params *p = step->params;
    if (step_people(step) != PEOPLE_DECIDE || !p->dflt)
        return conduct_put(c, "expected", event_line(c, step, "missed", false), err);
    json_t *line = json_object();
    put_text(line, "step", step->id);
    put_text(line, "option", p->dflt);
    put_text(line, "role", p->who);
    put_clock(line, "asked", one->began);
    put_clock(line, "deadline", state_deadline(c->state, i));
    json_object_set_new(line, "default", json_true());
    json_object_set_new(line, "informed", state_new_informed(c->state, p->who));
    return conduct_put(c, "decision", line, err);
}

static int do_over(struct conduct *c, size_t i, struct err *err)
{
    const struct step *step = c->state->steps[i].step;
    if (step_is_machines(step)) {
        bool until = step->until && nsec_is_set(state_condition(c->state, step->until));
        return conduct_end_step(c, i, until ? "until" : "for", NULL, NULL, err);
    }
    if (step_people(step) == PEOPLE_NONE)
        return conduct_put(c, "service", outage_line(step, false), err);
    return conduct_put(c, "step", event_line(c, step, "over", false), err);
}

static int do_escalate(struct conduct *c, const struct due *due, struct err *err)
{
    const struct state_step *one = &c->state->steps[due->index];
    if (due->sub)
        return conduct_put(c, "page", event_line(c, one->step, "nobody", false), err);
    return conduct_put(c, "page", page_line(c, one->step, one->paged_n + 1), err);
}

static json_t *numbered(const struct conduct *c, const struct due *due, const char *event,
                        int64_t n)
{
    json_t *line = event_line(c, c->state->steps[due->index].step, event, false);
    json_object_set_new(line, "n", json_integer(n));
    return line;
}

static json_t *deadline_line(const struct conduct *c, size_t i, const char *event)
{
    const struct state_clock *clock = &c->state->clocks[i];
    json_t *line = json_pack("{s:s, s:s}", "name", clock->clock->name, "event", event);
    put_clock(line, "deadline",
              nsec_add(nsec_is_set(clock->started) ? clock->started : conduct_clock(c),
                       clock->clock->due));
    return line;
}

int conduct_do_due(struct conduct *c, const struct due *due, struct err *err)
{
    const struct phase *phase;
    switch (due->what) {
    case DUE_PHASE:
        phase = c->scenario->exercise.phases.items[due->index];
        return conduct_put(c, "phase", json_pack("{s:s}", "phase", phase->id), err);
    case DUE_STEP:
        return conduct_begin_step(c, due->index, NULL, NULL, err);
    case DUE_MISSED:
        return do_missed(c, due->index, err);
    case DUE_ITEM_LATE:
        return conduct_put(c, "checklist", numbered(c, due, "late", (int64_t)due->sub + 1), err);
    case DUE_STATUS:
        return conduct_put(c, "status", numbered(c, due, "missed", (int64_t)due->sub), err);
    case DUE_ESCALATE:
        return do_escalate(c, due, err);
    case DUE_OVER:
        return do_over(c, due->index, err);
    case DUE_CLOCK_START:
        return conduct_put(c, "deadline", deadline_line(c, due->index, "started"), err);
    case DUE_CLOCK_MET:
        return conduct_put(c, "deadline", deadline_line(c, due->index, "met"), err);
    case DUE_CLOCK_OVERDUE:
        return conduct_put(c, "deadline", deadline_line(c, due->index, "overdue"), err);
    case DUE_END:
        return conduct_put(c, "pace", json_pack("{s:s}", "event", "debrief"), err);
    case DUE_NOTHING:
        break;
    }
    return 0;
}
