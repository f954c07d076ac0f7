/* What an exercise came to. */
#include "reports/after_action.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "reports/sentence.h"
#include "sim/base/jsonx.h"

const char *const task_outcome_words[] = {"not asked", "skipped", "in time",
                                          "late",      "missed",  "open at the end"};

/* --- Words --- */

const char *after_action_clock(nsec t, char buf[NSEC_TEXT_MAX])
{
    if (!nsec_is_set(t) || t == NSEC_INF) {
        snprintf(buf, NSEC_TEXT_MAX, "–");
        return buf;
    }
    int64_t s = t / NSEC_SEC;
    snprintf(buf, NSEC_TEXT_MAX, "%" PRId64 ":%02d:%02d", s / 3600, (int)(s / 60 % 60),
             (int)(s % 60));
    return buf;
}

const char *after_action_lasted(nsec t, char buf[NSEC_TEXT_MAX])
{
    if (nsec_is_set(t))
        return nsec_text(t, buf);
    snprintf(buf, NSEC_TEXT_MAX, "–");
    return buf;
}

void after_action_names(const struct strv *v, struct buf *out)
{
    for (size_t i = 0; i < v->n; i++)
        buf_printf(out, "%s%s", i ? ", " : "", v->items[i]);
}

nsec after_action_update_due(const struct state_step *step, int64_t n)
{
    const struct status_params *p = step->step->params;
    nsec at = step->began;
    for (int64_t i = 0; i < n && nsec_is_set(at); i++)
        at = nsec_add(at, p->every);
    return at;
}

const char *after_action_rating_text(char rating)
{
    switch (rating) {
    case 'P':
        return "performed without challenges";
    case 'S':
        return "performed with some challenges";
    case 'M':
        return "performed with major challenges";
    case 'U':
        return "unable to be performed";
    default:
        return "not rated";
    }
}

static const char *joined(struct after_action *a, const struct strv *v)
{
    AUTO_BUF text = BUF_INIT;
    after_action_names(v, &text);
    return text.len ? arena_strdup(a->arena, buf_text(&text)) : NULL;
}

/* --- Tasks --- */

static enum task_outcome task_outcome(const struct state_step *s)
{
    if (s->life == STEP_SKIPPED)
        return TASK_SKIPPED;
    if (!nsec_is_set(s->began))
        return TASK_NOT_ASKED;
    if (s->by_default)
        return TASK_MISSED;
    if (s->life == STEP_DONE)
        return nsec_is_set(s->missed) ? TASK_LATE : TASK_IN_TIME;
    return nsec_is_set(s->missed) ? TASK_MISSED : TASK_OPEN;
}

/* False: nothing is asked with it. */
static bool task_of(struct after_action *a, const struct state_step *s, struct after_task *ret)
{
    const struct people_common *common = step_common(s->step);
    const struct expect *expect = step_expect(s->step);
    const struct decide_params *decide = s->step->params;
    const struct approve_params *approve = s->step->params;
    const struct runbook_params *list = s->step->params;
    struct after_task t = {.step = s, .asked = s->began, .due = NSEC_UNSET};
    const char *objective = expect && expect->objective ? expect->objective
                            : common                    ? common->objective
                                                        : NULL;
    enum people_step kind = step_people(s->step);
    if (kind == PEOPLE_DECIDE) {
        t.does = arena_printf(a->arena, "Decides: %s", decide->question);
        t.by = decide->who;
    } else if (kind == PEOPLE_APPROVE) {
        t.does = arena_printf(a->arena, "Approves (%" PRId64 " people): %s", approve->people,
                              approve->what);
        t.by = joined(a, &approve->by);
    } else if (kind == PEOPLE_RUNBOOK) {
        const struct runbook *book = scenario_runbook(a->scenario, list->name);
        t.does = arena_printf(a->arena, "Works through the runbook: %s",
                              book ? book->title : list->name);
        t.by = book ? book->owner : NULL;
    } else if (expect) {
        t.does = expect->does;
        t.by = expect->by;
    } else {
        return false;
    }
    nsec within = step_within(s->step);
    if (nsec_is_set(s->began) && nsec_is_set(within))
        t.due = nsec_add(s->began, within);
    t.objective = objective ? scenario_objective(a->scenario, objective) : NULL;
    t.outcome = task_outcome(s);
    t.done = t.outcome == TASK_IN_TIME || t.outcome == TASK_LATE ? s->done : NSEC_UNSET;
    *ret = t;
    return true;
}

static void count_task(struct after_action *a, const struct after_task *t)
{
    if (t->outcome == TASK_NOT_ASKED || t->outcome == TASK_SKIPPED)
        return;
    bool decision = step_people(t->step->step) == PEOPLE_DECIDE;
    struct after_count *in_time = decision ? &a->decisions : &a->expected;
    in_time->of++;
    in_time->n += t->outcome == TASK_IN_TIME;
    if (decision)
        return;
    a->done.of++;
    a->done.n += t->outcome == TASK_IN_TIME || t->outcome == TASK_LATE;
}

static void measure_tasks(struct after_action *a)
{
    a->tasks = arena_alloc(a->arena, a->state->n_steps * sizeof *a->tasks + 1);
    for (size_t i = 0; i < a->state->n_steps; i++)
        if (task_of(a, &a->state->steps[i], &a->tasks[a->n_tasks]))
            count_task(a, &a->tasks[a->n_tasks++]);
}

/* --- Counts --- */

static void count_updates(struct after_action *a, const struct state_step *s)
{
    const json_t *e;
    size_t i;
    int64_t last = 0;
    json_array_foreach (a->events, i, e) {
        if (strcmp(jsonx_str(e, "kind", ""), "status") != 0 ||
            strcmp(jsonx_str(e, "step", ""), s->step->id) != 0)
            continue;
        const char *event = jsonx_str(e, "event", "");
        int64_t n = jsonx_int(e, "n", 0);
        bool sent = !strcmp(event, "sent");
        if (!sent && strcmp(event, "missed") != 0)
            continue;
        a->updates.of += n > last; /* missed and then sent late is one update */
        a->updates.n += sent && !jsonx_bool(e, "late", false);
        last = n > last ? n : last;
    }
}

static void measure_counts(struct after_action *a)
{
    for (size_t i = 0; i < a->state->n_steps; i++) {
        const struct state_step *s = &a->state->steps[i];
        const struct tell_params *tell = s->step->params;
        enum people_step kind = step_people(s->step);
        if (kind == PEOPLE_STATUS)
            count_updates(a, s);
        if (kind != PEOPLE_TELL || tell->kind == TELL_CONTINGENCY)
            continue;
        a->injects.of++;
        a->injects.n += nsec_is_set(s->began);
    }
    for (size_t i = 0; i < a->state->n_clocks; i++) {
        const struct state_clock *c = &a->state->clocks[i];
        a->clocks.of += nsec_is_set(c->started);
        a->clocks.n += nsec_is_set(c->met) && !nsec_is_set(c->overdue);
    }
}

/* --- Objectives --- */

static int badness(char rating)
{
    const char *order = "PSMU", *at = rating ? strchr(order, rating) : NULL;
    return at ? (int)(at - order) + 1 : 0;
}

static const struct state_service *service_seen(const struct after_action *a, const char *name)
{
    for (size_t i = 0; name && i < a->state->n_services; i++)
        if (!strcmp(a->state->services[i].service->name, name))
            return &a->state->services[i];
    return NULL;
}

/* The machine measured it: its worst trial, which is its only one. */
static void promise_by_machine(struct after_action *a, struct after_rating *r)
{
    const struct trial *t = result_worst_trial(a->machine, r->machine);
    const struct service_seen *s = t ? result_seen(a->machine, t, r->machine->service) : NULL;
    struct span was = s ? result_judged_span(r->machine, s) : SPAN_UNSET;
    r->target = r->machine->target;
    if (!span_is_set(was))
        return;
    r->still = was.hi == NSEC_INF;
    r->measured = r->still ? was.lo : was.hi;
}

/* How long it really took, of what an exercise can see of a promise. */
static void measure_promise(struct after_action *a, struct after_rating *r)
{
    const struct objective_target *t = r->objective->target;
    const struct state_service *seen = t ? service_seen(a, t->service) : NULL;
    r->machine = after_action_machine_objective(a, t);
    if (r->machine) {
        promise_by_machine(a, r);
        return;
    }
    if (!seen)
        return;
    r->target = objective_target_value(a->scenario, t);
    if (t->promise == PROMISE_RPO || t->promise == PROMISE_DETECT ||
        (seen->outages == 0 && !nsec_is_set(seen->down_since)))
        return;
    r->still = nsec_is_set(seen->down_since);
    nsec lasting = r->still ? nsec_sub(a->state->clock, seen->down_since) : 0;
    r->measured = seen->longest > lasting ? seen->longest : lasting;
    if (t->promise == PROMISE_DOWNTIME)
        r->measured = nsec_add(seen->down_total, lasting);
}

static const char *promise_text(struct after_action *a, const struct after_rating *r)
{
    char was[NSEC_TEXT_MAX], target[NSEC_TEXT_MAX];
    const struct objective_target *t = r->objective->target;
    if (r->machine) {
        AUTO_BUF text = BUF_INIT;
        sentence_objective(a->machine, r->machine, &text);
        if (text.len && text.text[text.len - 1] == '.')
            text.text[--text.len] = '\0';
        return arena_printf(a->arena, "; measured: %s", buf_text(&text));
    }
    if (!nsec_is_set(r->target))
        return "";
    if (!nsec_is_set(r->measured))
        return arena_printf(a->arena,
                            "; the promise of %s for %s was not measured: nothing of it was seen "
                            "in the play",
                            nsec_text(r->target, target), t->service);
    return arena_printf(a->arena, "; %s was down for %s%s%s, the promise is %s", t->service,
                        nsec_text(r->measured, was), r->still ? " or more" : "",
                        t->promise == PROMISE_DOWNTIME ? " in all" : "",
                        nsec_text(r->target, target));
}

bool after_action_counts(const struct after_action *a, size_t rating)
{
    const struct state_rating *given = &a->state->ratings[rating];
    for (size_t i = rating + 1; i < a->state->n_ratings; i++) {
        const struct state_rating *later = &a->state->ratings[i];
        if (!strcmp(later->objective, given->objective) &&
            !strcmp(later->by ? later->by : "", given->by ? given->by : ""))
            return false;
    }
    return true;
}

static void judge_objective(struct after_action *a, struct after_rating *r)
{
    for (size_t i = 0; i < a->state->n_ratings; i++) {
        const struct state_rating *given = &a->state->ratings[i];
        if (!strcmp(given->objective, r->objective->id) && after_action_counts(a, i) &&
            badness(given->rating) > badness(r->rating))
            r->rating = given->rating;
    }
    measure_promise(a, r);
    bool promised = nsec_is_set(r->target);
    bool known = nsec_is_set(r->measured);
    bool broken = promised && known && r->measured > r->target;
    bool open = promised && (!known || r->still);
    if (r->machine) {
        broken = r->machine->verdict == VERDICT_NOT_MET;
        open = r->machine->verdict != VERDICT_MET;
    }
    if (r->rating == 'U' || broken)
        r->verdict = VERDICT_NOT_MET;
    else if ((r->rating == 'P' || r->rating == 'S') && !open)
        r->verdict = VERDICT_MET;
    else
        r->verdict = VERDICT_NOT_DEMONSTRATED;
    r->why = arena_printf(a->arena, "%s%s%s%s", after_action_rating_text(r->rating),
                          r->rating ? "" : " by any evaluator", promise_text(a, r),
                          a->replay ? "; answers played for the people: no verdict" : "");
    if (a->replay)
        r->verdict = VERDICT_NOT_APPLICABLE;
}

static void measure_objectives(struct after_action *a)
{
    const struct objects *all = &a->scenario->exercise.objectives;
    a->n_objectives = all->n;
    a->objectives = arena_alloc(a->arena, all->n * sizeof *a->objectives + 1);
    a->verdict = a->replay || (a->machine && !all->n) ? VERDICT_NOT_APPLICABLE
                 : all->n                             ? VERDICT_MET
                                                      : VERDICT_INCONCLUSIVE;
    if (a->machine && a->machine->verdict > a->verdict)
        a->verdict = a->machine->verdict;
    for (size_t i = 0; i < all->n; i++) {
        struct after_rating *r = &a->objectives[i];
        *r = (struct after_rating){
            .objective = all->items[i], .target = NSEC_UNSET, .measured = NSEC_UNSET};
        judge_objective(a, r);
        a->verdict = r->verdict > a->verdict ? r->verdict : a->verdict;
    }
}

/* --- The whole --- */

static void measure_status(struct after_action *a)
{
    const char *word = jsonx_str(a->end, "status", "failed");
    a->status = STATUS_FAILED;
    for (int i = STATUS_COMPLETED; i <= STATUS_FAILED; i++)
        if (!strcmp(word, status_words[i]))
            a->status = (enum status)i;
    a->status_reason = a->end ? jsonx_str(a->end, "reason", NULL)
                              : "the record ends before the exercise did; it can be resumed";
}

static int apply_all(struct after_action *a, struct err *err)
{
    size_t i;
    json_t *e;
    json_array_foreach (a->events, i, e) {
        int rc = state_apply(a->state, e, err);
        if (rc < 0)
            return rc;
        if (!strcmp(jsonx_str(e, "kind", ""), "run-end"))
            a->end = e;
    }
    return 0;
}

int after_action_measure(const struct scenario *s, json_t *events, const struct record_head *head,
                         struct after_action **ret, struct err *err)
{
    struct arena *arena = arena_new();
    CLEANUP(after_action_free_p) struct after_action *a = arena_alloc(arena, sizeof *a);
    *a = (struct after_action){.arena = arena,
                               .scenario = s,
                               .events = events,
                               .head = *head,
                               .start = json_array_get(events, 0),
                               .state = state_new(s)};
    a->mode = jsonx_str(a->start, "mode", "");
    a->functional = !strcmp(a->mode, "functional");
    a->replay = !strcmp(a->mode, "replay") ||
                (a->functional && jsonx_str(a->start, "answers", NULL) != NULL);
    int rc = apply_all(a, err);
    if (rc < 0)
        return rc;
    rc = after_action_machine(a, err);
    if (rc < 0)
        return rc;
    measure_status(a);
    measure_tasks(a);
    measure_counts(a);
    measure_objectives(a);
    after_action_findings(a);
    *ret = steal_ptr(a);
    return 0;
}

struct after_action *after_action_free(struct after_action *a)
{
    if (!a)
        return NULL;
    state_free(a->state);
    result_free(a->machine);
    arena_free(a->arena);
    return NULL;
}

static int people_exit_code(const struct after_action *a)
{
    bool alone =
        a->machine && !a->n_objectives; /* the people were asked for nothing that is judged */
    enum verdict worst = VERDICT_NOT_APPLICABLE;
    for (size_t i = 0; i < a->n_objectives; i++)
        worst = a->objectives[i].verdict > worst ? a->objectives[i].verdict : worst;
    if (a->status != STATUS_COMPLETED)
        return 5;
    if (a->replay || alone || worst == VERDICT_MET)
        return 0;
    return worst == VERDICT_NOT_MET ? 1 : 4;
}

int after_action_exit_code(const struct after_action *a)
{
    int code = people_exit_code(a);
    return a->machine ? result_worse_exit_code(code, result_exit_code(a->machine)) : code;
}
