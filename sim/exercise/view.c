/* What everybody may see: where the exercise stands, what was delivered, decisions, pages, checklists,
 * approvals, updates, clocks, promises, the log. What only facilitators and evaluators see is view_staff.c.
 */
#include "sim/exercise/view.h"

#include "sim/base/jsonx.h"
#include "sim/exercise/view_part.h"

#include <string.h>

/* --- Small things --- */

json_t *view_seconds(nsec t)
{
    return nsec_is_set(t) ? json_real((double)(t / NSEC_MSEC) / 1e3) : json_null();
}

void view_put_text(json_t *o, const char *key, const char *text)
{
    if (text)
        json_object_set_new(o, key, jsonx_new_text(text));
}

json_t *view_texts(const struct strv *v)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->n; i++)
        json_array_append_new(list, jsonx_new_text(v->items[i]));
    return list;
}

bool view_is_staff(const struct view *v)
{
    return v->kind == ROLE_FACILITATOR || v->kind == ROLE_EVALUATOR;
}

/* Players and who plays for others see what concerns their role; the rest sees all that players see. */
static bool sees_all(const struct view *v)
{
    return v->kind != ROLE_PLAYER && v->kind != ROLE_SIMULATOR;
}

/* May act now, if it is theirs. */
static bool may_act(const struct view *v, bool role_fits)
{
    if (v->st->stage != STAGE_RUNNING || !v->role)
        return false;
    return v->kind == ROLE_FACILITATOR ||
           (role_fits && !sees_all(v) && !state_is_away(v->st, v->role, v->person));
}

static json_t *left(const struct view *v, nsec until)
{
    return nsec_is_set(until) ? view_seconds(nsec_sub(until, v->clock)) : json_null();
}

/* --- Where it stands --- */

static json_t *phase_view(const struct view *v)
{
    const struct objects *all = &v->st->scenario->exercise.phases;
    if (v->st->phase < 0)
        return json_null();
    const struct phase *p = all->items[v->st->phase];
    json_t *o = json_pack("{s:i, s:i, s:s, s:s}", "n", v->st->phase + 1, "of", (int)all->n, "id",
                          p->id, "title", p->title);
    view_put_text(o, "situation", p->situation);
    view_put_text(o, "date", p->date);
    json_object_set_new(o, "began_s", view_seconds(v->st->phases[v->st->phase]));
    if (view_is_staff(v)) {
        view_put_text(o, "entry", p->entry);
        view_put_text(o, "exit", p->exit);
    }
    return o;
}

static json_t *exercise_view(const struct view *v)
{
    const struct scenario *s = v->st->scenario;
    json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "name", s->name, "title", s->title, "banner",
                          VIEW_BANNER, "state", state_stage_words[v->st->stage]);
    if (v->st->stage == STAGE_HELD)
        view_put_text(o, "held_why", v->st->held_why);
    json_object_set_new(o, "clock_s", view_seconds(v->clock));
    json_object_set_new(o, "speed", json_real(v->st->speed));
    json_object_set_new(o, "horizon_s", view_seconds(s->horizon));
    json_object_set_new(o, "phase", phase_view(v));
    const struct exercise_overview *overview = s->exercise.overview;
    if (overview && overview->assumptions.n)
        json_object_set_new(o, "assumptions", view_texts(&overview->assumptions));
    return o;
}

static json_t *me_view(const struct view *v)
{
    const struct responder *r = assumed_responder(v->st->scenario->assumptions, v->role);
    json_t *o = json_pack("{s:o, s:s, s:s, s:s}", "person", jsonx_new_text(v->person), "role",
                          r->name, "title", r->title, "kind", role_kind_words[v->kind]);
    view_put_text(o, "duty", r->duty);
    json_object_set_new(o, "away",
                        json_boolean(!sees_all(v) && state_is_away(v->st, v->role, v->person)));
    return o;
}

static json_t *roles_view(const struct view *v)
{
    const struct objects *roles = &v->st->scenario->assumptions->roles;
    json_t *list = json_array();
    for (size_t i = 0; i < roles->n; i++) {
        const struct responder *r = roles->items[i];
        json_t *people = json_array();
        for (size_t k = 0; k < v->st->n_people; k++)
            if (v->st->people[k].role && !strcmp(v->st->people[k].role, r->name))
                json_array_append_new(people, jsonx_new_text(v->st->people[k].name));
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:o}", "role", r->name, "title", r->title,
                                        "kind", role_kind_words[r->kind], "people", people));
    }
    return list;
}

/* --- What was delivered --- */

/* The screen in the room shows what all players got. */
static bool for_all(const struct view *v, const struct state_delivery *d)
{
    const struct objects *roles = &v->st->scenario->assumptions->roles;
    for (size_t i = 0; i < roles->n; i++) {
        const struct responder *r = roles->items[i];
        if (r->kind == ROLE_PLAYER && !strv_has(&d->to, r->name))
            return false;
    }
    return true;
}

static json_t *delivery_view(const struct view *v, const struct state_delivery *d)
{
    json_t *o = json_pack("{s:I, s:o, s:s}", "id", (json_int_t)d->id, "at_s", view_seconds(d->at),
                          "what", d->what);
    /* what kind of inject it is would tell players what was expected of them */
    if (!view_is_staff(v) && !strcmp(d->what, "contingency"))
        json_object_set_new(o, "what", json_string("inject"));
    view_put_text(o, "from", d->from);
    json_object_set_new(o, "to", view_texts(&d->to));
    view_put_text(o, "channel", d->channel);
    view_put_text(o, "title", d->title);
    view_put_text(o, "text", d->text);
    json_t *files = json_array();
    for (size_t i = 0; i < d->attach.n; i++) {
        char url[64];
        snprintf(url, sizeof url, "attachment/%lld/%zu", (long long)d->id, i);
        json_array_append_new(files, json_pack("{s:o, s:s}", "name",
                                               jsonx_new_text(text_basename(d->attach.items[i])),
                                               "url", url));
    }
    json_object_set_new(o, "attachments", files);
    if (v->role)
        json_object_set_new(o, "mine", json_boolean(strv_has(&d->to, v->role)));
    return o;
}

static json_t *inbox_view(const struct view *v)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->st->n_deliveries; i++) {
        const struct state_delivery *d = &v->st->deliveries[i];
        if (v->role ? state_may_see(v->st, d, v->role) : for_all(v, d))
            json_array_append_new(list, delivery_view(v, d));
    }
    return list;
}

/* --- What is asked --- */

static json_t *made_view(const struct view *v, const struct state_step *step)
{
    if (step->life != STEP_DONE)
        return json_null();
    json_t *o = json_pack("{s:o, s:o}", "option", jsonx_new_text(step->option), "at_s",
                          view_seconds(step->done));
    view_put_text(o, "by", step->by);
    view_put_text(o, "role", step->role);
    view_put_text(o, "reason", step->reason);
    json_object_set_new(o, "late", json_boolean(nsec_is_set(step->missed) && !step->by_default));
    json_object_set_new(o, "default", json_boolean(step->by_default));
    return o;
}

static json_t *decision_view(const struct view *v, size_t i)
{
    const struct state_step *step = &v->st->steps[i];
    const struct decide_params *p = step->step->params;
    bool mine = v->role && !strcmp(p->who, v->role), open = step->life == STEP_OPEN;
    if (v->role && !sees_all(v) && !mine && open)
        return NULL; /* others learn of it when it is made */
    json_t *o = json_pack("{s:s, s:s, s:o}", "id", step->step->id, "who", p->who, "question",
                          jsonx_new_text(p->question));
    if (v->role) {
        json_object_set_new(o, "options", view_texts(&p->options));
        view_put_text(o, "authority", p->authority);
        view_put_text(o, "impact", p->impact);
        json_object_set_new(o, "reversible", json_boolean(p->reversible));
    }
    json_object_set_new(o, "asked_s", view_seconds(step->began));
    json_object_set_new(o, "left_s", left(v, state_deadline(v->st, i)));
    json_object_set_new(o, "made", made_view(v, step));
    if (v->role)
        json_object_set_new(o, "mine", json_boolean(open && may_act(v, mine)));
    return o;
}

static json_t *page_view(const struct view *v, size_t i)
{
    const struct state_step *step = &v->st->steps[i];
    const struct escalate_params *p = step->step->params;
    bool paged = false;
    for (size_t k = 0; k < v->st->n_deliveries && !paged; k++) {
        const struct state_delivery *d = &v->st->deliveries[k];
        paged = d->step == step->step && strv_has(&d->to, v->role);
    }
    if (!paged && !sees_all(v))
        return NULL;
    json_t *o = json_pack("{s:s, s:s, s:o, s:o}", "id", step->step->id, "to", step->paged_role,
                          "at_s", view_seconds(step->paged_at), "text", jsonx_new_text(p->message));
    view_put_text(o, "person", step->paged_person);
    json_t *by = json_null();
    if (step->life == STEP_DONE)
        by = json_pack("{s:o, s:o}", "by", jsonx_new_text(step->by ? step->by : "?"), "at_s",
                       view_seconds(step->done));
    json_object_set_new(o, "acknowledged", by);
    json_object_set_new(o, "mine", json_boolean(step->life == STEP_OPEN && may_act(v, paged)));
    return o;
}

static json_t *checklist_view(const struct view *v, size_t i)
{
    const struct state_step *step = &v->st->steps[i];
    const struct runbook *book = scenario_runbook(
        v->st->scenario, ((const struct runbook_params *)step->step->params)->name);
    bool owns = !strcmp(book->owner, v->role);
    json_t *items = json_array();
    for (size_t k = 0; k < step->n_items; k++) {
        const struct runbook_step *line = book->steps.items[k];
        const struct state_item *item = &step->items[k];
        bool mine = !strcmp(line->owner, v->role) || !strcmp(book->owner, v->role);
        bool checked = nsec_is_set(item->checked);
        owns = owns || mine;
        json_t *o = json_pack("{s:i, s:o, s:s}", "n", (int)k + 1, "does",
                              jsonx_new_text(line->does), "owner", line->owner);
        json_object_set_new(o, "left_s",
                            checked || !nsec_is_set(line->within)
                                ? json_null()
                                : left(v, nsec_add(step->began, line->within)));
        json_object_set_new(o, "checked",
                            checked ? json_pack("{s:o, s:o}", "by",
                                                jsonx_new_text(item->by ? item->by : "?"), "at_s",
                                                view_seconds(item->checked))
                                    : json_null());
        json_object_set_new(o, "late", json_boolean(nsec_is_set(item->late)));
        json_object_set_new(o, "mine",
                            json_boolean(!checked && step->life == STEP_OPEN && may_act(v, mine)));
        json_array_append_new(items, o);
    }
    json_t *list = json_pack("{s:s, s:s, s:o, s:s, s:o, s:b}", "id", step->step->id, "name",
                             book->name, "title", jsonx_new_text(book->title), "owner", book->owner,
                             "items", items, "complete", step->life == STEP_DONE);
    if (owns || sees_all(v))
        return list;
    json_decref(list);
    return NULL;
}

static json_t *approval_view(const struct view *v, size_t i)
{
    const struct state_step *step = &v->st->steps[i];
    const struct approve_params *p = step->step->params;
    bool mine = strv_has(&p->by, v->role);
    if (!mine && !sees_all(v))
        return NULL;
    json_t *o = json_pack("{s:s, s:o, s:o, s:I, s:o, s:o, s:b}", "id", step->step->id, "what",
                          jsonx_new_text(p->what), "by", view_texts(&p->by), "people",
                          (json_int_t)p->people, "given", view_texts(&step->approved_by), "left_s",
                          left(v, state_deadline(v->st, i)), "complete", step->life == STEP_DONE);
    json_object_set_new(o, "mine",
                        json_boolean(step->life == STEP_OPEN && may_act(v, mine) &&
                                     !strv_has(&step->approved_by, v->person)));
    return o;
}

static json_t *update_view(const struct view *v, size_t i)
{
    const struct state_step *step = &v->st->steps[i];
    const struct status_params *p = step->step->params;
    bool mine = !strcmp(p->from, v->role);
    if (step->life != STEP_OPEN || (!mine && !sees_all(v)))
        return NULL;
    json_t *o = json_pack("{s:s, s:s, s:o, s:o, s:I}", "id", step->step->id, "from", p->from, "to",
                          view_texts(&p->to), "every_s", view_seconds(p->every), "n",
                          (json_int_t)step->owed_n);
    view_put_text(o, "what", p->what);
    json_object_set_new(o, "left_s", left(v, nsec_add(step->began, step->owed_n * p->every)));
    json_object_set_new(o, "mine", json_boolean(may_act(v, mine)));
    return o;
}

typedef json_t *step_view_fn(const struct view *v, size_t i);

/* Of the steps of one kind that have begun, in the order of the script. */
static json_t *steps_view(const struct view *v, enum people_step kind, step_view_fn *fn)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->st->n_steps; i++) {
        const struct state_step *step = &v->st->steps[i];
        if (step->life != STEP_OPEN && step->life != STEP_DONE)
            continue;
        json_t *one = step_people(step->step) == kind ? fn(v, i) : NULL;
        if (one)
            json_array_append_new(list, one);
    }
    return list;
}

/* --- Clocks, promises, absences --- */

static json_t *clocks_view(const struct view *v)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->st->n_clocks; i++) {
        const struct state_clock *c = &v->st->clocks[i];
        bool started = nsec_is_set(c->started), met = nsec_is_set(c->met);
        if (!started && !view_is_staff(v))
            continue;
        json_t *o =
            json_pack("{s:s, s:o, s:o}", "name", c->clock->name, "title",
                      jsonx_new_text(c->clock->title), "due_s", view_seconds(c->clock->due));
        view_put_text(o, "regime", c->clock->regime);
        view_put_text(o, "authority", c->clock->authority);
        json_object_set_new(o, "left_s",
                            started && !met ? left(v, nsec_add(c->started, c->clock->due))
                                            : json_null());
        json_object_set_new(o, "started", json_boolean(started));
        json_object_set_new(o, "met", json_boolean(met));
        json_object_set_new(o, "overdue", json_boolean(nsec_is_set(c->overdue)));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *promises_view(const struct view *v)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->st->n_services; i++) {
        const struct state_service *s = &v->st->services[i];
        if (!nsec_is_set(s->down_since) || !nsec_is_set(s->service->rto) || s->watched)
            continue; /* watched: among the services */
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:o, s:o, s:o}", "service", s->service->name,
                                        "promise", "rto", "target_s", view_seconds(s->service->rto),
                                        "since_s", view_seconds(s->down_since), "left_s",
                                        left(v, nsec_add(s->down_since, s->service->rto))));
    }
    return list;
}

/* Players know of those that they were told of. */
static json_t *absences_view(const struct view *v)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->st->n_steps; i++) {
        const struct state_step *step = &v->st->steps[i];
        if (step_people(step->step) != PEOPLE_UNAVAILABLE || step->life != STEP_OPEN)
            continue;
        const struct unavailable_params *p = step->step->params;
        if (!p->message && !view_is_staff(v))
            continue;
        json_t *o = json_pack("{s:s*, s:o}", "role", p->role, "since_s", view_seconds(step->began));
        view_put_text(o, "person", p->person);
        json_array_append_new(list, o);
    }
    return list;
}

/* --- The log --- */

static void log_add(json_t *list, int64_t order, nsec at, const char *what, const char *text,
                    const char *by, const char *role)
{
    json_t *o = json_pack("{s:I, s:o, s:s, s:o}", "id", (json_int_t)order, "at_s", view_seconds(at),
                          "what", what, "text", jsonx_new_text(text ? text : ""));
    view_put_text(o, "by", by);
    view_put_text(o, "role", role);
    size_t i = json_array_size(list); /* sorted by time: most are added at the end */
    while (i > 0 && json_number_value(json_object_get(json_array_get(list, i - 1), "at_s")) >
                        json_number_value(json_object_get(o, "at_s")))
        i--;
    json_array_insert_new(list, i, o);
}

static json_t *log_view(const struct view *v)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->st->scenario->exercise.phases.n; i++) {
        const struct phase *p = v->st->scenario->exercise.phases.items[i];
        if (nsec_is_set(v->st->phases[i]))
            log_add(list, -1 - (int64_t)i, v->st->phases[i], "phase", p->title, NULL, NULL);
    }
    for (size_t i = 0; i < v->st->n_marks; i++) {
        const struct state_mark *m = &v->st->marks[i];
        if (!m->word || view_is_staff(v))
            log_add(list, -100000 - (int64_t)i, m->at, m->word ? "word" : "mark",
                    m->word ? m->text : m->mark, m->by, m->role);
    }
    for (size_t i = 0; i < v->st->n_notes; i++) {
        const struct state_note *n = &v->st->notes[i];
        bool staff = n->kind == ROLE_FACILITATOR || n->kind == ROLE_EVALUATOR;
        if (!staff && (sees_all(v) || (n->role && !strcmp(n->role, v->role))))
            log_add(list, n->id, n->at, "note", n->text, n->by, n->role);
    }
    for (size_t i = 0; i < v->st->n_steps; i++) {
        const struct state_step *step = &v->st->steps[i];
        if (step_people(step->step) == PEOPLE_DECIDE && step->life == STEP_DONE)
            log_add(list, jsonx_int(step->decision, "seq", 0), step->done, "decision", step->option,
                    step->by, step->role);
    }
    return list;
}

/* --- The whole --- */

static json_t *debrief_view(const struct view *v)
{
    const struct debrief *d = v->st->scenario->exercise.debrief;
    if (!d || (v->st->stage != STAGE_DEBRIEF && v->st->stage != STAGE_ENDED))
        return NULL;
    return json_pack("{s:o, s:b, s:b}", "questions", view_texts(&d->questions), "anonymous",
                     d->anonymous, "answered", state_has_answered(v->st, v->person));
}

json_t *view_new(const struct state *st, const struct viewer *who, nsec clock)
{
    const struct responder *r =
        who->role ? assumed_responder(st->scenario->assumptions, who->role) : NULL;
    if (!r)
        return NULL;
    const struct view v = {st, who->person ? who->person : "", r->name, (enum role_kind)r->kind,
                           clock};
    json_t *o = json_object();
    json_object_set_new(o, "seq", json_integer(st->seq));
    json_object_set_new(o, "exercise", exercise_view(&v));
    json_object_set_new(o, "me", me_view(&v));
    json_object_set_new(o, "inbox", inbox_view(&v));
    json_object_set_new(o, "decisions", steps_view(&v, PEOPLE_DECIDE, decision_view));
    json_object_set_new(o, "pages", steps_view(&v, PEOPLE_ESCALATE, page_view));
    json_object_set_new(o, "checklists", steps_view(&v, PEOPLE_RUNBOOK, checklist_view));
    json_object_set_new(o, "approvals", steps_view(&v, PEOPLE_APPROVE, approval_view));
    json_object_set_new(o, "updates", steps_view(&v, PEOPLE_STATUS, update_view));
    json_object_set_new(o, "absences", absences_view(&v));
    json_object_set_new(o, "clocks", clocks_view(&v));
    json_object_set_new(o, "promises", promises_view(&v));
    json_object_set_new(o, "log", log_view(&v));
    json_t *debrief = debrief_view(&v);
    if (debrief)
        json_object_set_new(o, "debrief", debrief);
    json_object_set_new(o, "roles", roles_view(&v));
    view_add_machine(&v, o);
    if (view_is_staff(&v))
        view_add_staff(&v, o);
    return o;
}

json_t *view_new_screen(const struct state *st, nsec clock)
{
    const struct view v = {st, "", NULL, ROLE_OBSERVER, clock};
    json_t *o = json_object();
    json_object_set_new(o, "seq", json_integer(st->seq));
    json_object_set_new(o, "exercise", exercise_view(&v));
    json_object_set_new(o, "inbox", inbox_view(&v));
    json_object_set_new(o, "decisions", steps_view(&v, PEOPLE_DECIDE, decision_view));
    json_object_set_new(o, "clocks", clocks_view(&v));
    json_object_set_new(o, "promises", promises_view(&v));
    json_object_set_new(o, "roles", roles_view(&v));
    view_add_machine(&v, o);
    return o;
}

bool view_concerns(const struct state *st, const json_t *event, const char *role)
{
    static const char *const staff_only[] = {"expected", "rating"};
    const char *kind = jsonx_str(event, "kind", ""), *what = jsonx_str(event, "event", "");
    enum role_kind r = state_role_kind(st, role);
    if ((!strcmp(kind, "pace") && !strcmp(what, "tick")) || !strcmp(kind, "probe"))
        return false;
    if (r == ROLE_FACILITATOR || r == ROLE_EVALUATOR)
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(staff_only); i++)
        if (!strcmp(kind, staff_only[i]))
            return false;
    if (strcmp(kind, "deliver") != 0)
        return true;
    return st->n_deliveries && state_may_see(st, &st->deliveries[st->n_deliveries - 1], role);
}

const char *view_attachment(const struct state *st, const char *role, int64_t id, int64_t n)
{
    for (size_t i = 0; i < st->n_deliveries; i++) {
        const struct state_delivery *d = &st->deliveries[i];
        if (d->id == id && n >= 0 && n < (int64_t)d->attach.n && role &&
            assumed_responder(st->scenario->assumptions, role) && state_may_see(st, d, role))
            return d->attach.items[n];
    }
    return NULL;
}
