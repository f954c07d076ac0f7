/* One line of the record after the other. Each kind has a function; what is due is state_due.c's. */
#include "sim/exercise/state.h"

#include "sim/base/jsonx.h"
#include "sim/exercise/state_part.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const state_stage_words[] = {"lobby", "running", "held", "debrief", "ended", NULL};

/* Another element at the end of a list, zeroed. */
static void *more(void *items, size_t n, size_t *room, size_t size, void **ret)
{
    if (n == *room) {
        *room = *room ? *room * 2 : 16;
        items = realloc(items, *room * size);
        if (!items)
            abort();
    }
    *ret = (char *)items + n * size;
    memset(*ret, 0, size);
    return items;
}
#define MORE(st, list, ret)                                                                        \
    ((st)->list =                                                                                  \
         more((st)->list, (st)->n_##list, &(st)->list##_room, sizeof *(st)->list, (void **)(ret)), \
     (st)->n_##list++)

static char *keep(struct state *st, const char *text)
{
    return text ? arena_strdup(st->arena, text) : NULL;
}

static char *keep_member(struct state *st, const json_t *event, const char *key)
{
    return keep(st, jsonx_str(event, key, NULL));
}

static void keep_texts(struct state *st, const json_t *texts, struct strv *ret)
{
    size_t n = json_array_size(texts);
    *ret = (struct strv){.items = arena_alloc(st->arena, (n + 1) * sizeof(char *))};
    for (size_t i = 0; i < n; i++)
        if (json_is_string(json_array_get(texts, i)))
            ret->items[ret->n++] = keep(st, json_string_value(json_array_get(texts, i)));
}

int state_unfit(const json_t *event, const char *what, struct err *err)
{
    return err_set(err, EINVAL, "line %lld of the record (%s): %s",
                   (long long)jsonx_int(event, "seq", -1) + 1, jsonx_str(event, "kind", "?"), what);
}

/* The step that a line is about. */
int state_step_of(struct state *st, const json_t *event, struct state_step **ret, struct err *err)
{
    size_t i = state_step_index(st, jsonx_str(event, "step", ""));
    if (i == st->n_steps)
        return state_unfit(event, "there is no such step in this scenario", err);
    *ret = &st->steps[i];
    return 0;
}

void state_step_begin(struct state *st, struct state_step *step, const json_t *event)
{
    step->began = st->clock;
    step->life = STEP_OPEN;
    step->by_hand = json_object_get(event, "by") != NULL;
}

void state_step_end(struct state *st, struct state_step *step, const json_t *event)
{
    step->done = st->clock;
    step->life = STEP_DONE;
    if (jsonx_str(event, "by", NULL))
        step->by = keep_member(st, event, "by");
    if (jsonx_str(event, "role", NULL))
        step->role = keep_member(st, event, "role");
}

/* --- The clock --- */

static int apply_pace(struct state *st, json_t *event, struct err *err)
{
    const char *what = jsonx_str(event, "event", "");
    if (!strcmp(what, "go")) {
        st->stage = STAGE_RUNNING;
        st->held_why = NULL;
        st->held_real = NSEC_UNSET;
        for (size_t i = 0; i < st->n_steps; i++)
            if (step_people(st->steps[i].step) == PEOPLE_HOLD && st->steps[i].life == STEP_OPEN)
                state_step_end(st, &st->steps[i], event);
    } else if (!strcmp(what, "hold")) {
        struct state_step *step = NULL;
        st->stage = STAGE_HELD;
        st->held_why = keep_member(st, event, "reason");
        st->held_real = st->real;
        if (jsonx_str(event, "step", NULL)) {
            int r = state_step_of(st, event, &step, err);
            if (r < 0)
                return r;
            state_step_begin(st, step, event);
        }
    } else if (!strcmp(what, "speed")) {
        double speed = json_number_value(json_object_get(event, "speed"));
        if (!(speed > 0))
            return state_unfit(event, "a speed must be above 0", err);
        st->speed = speed;
    } else if (!strcmp(what, "debrief")) {
        st->stage = STAGE_DEBRIEF;
        st->held_why = NULL;
        st->ended_early = jsonx_str(event, "by", NULL) != NULL;
        state_end_outages(st);
    } else if (strcmp(what, "tick") != 0) {
        return state_unfit(event, "an unknown event", err);
    }
    return 0;
}

static int apply_phase(struct state *st, json_t *event, struct err *err)
{
    const struct objects *v = &st->scenario->exercise.phases;
    for (size_t i = 0; i < v->n; i++) {
        if (strcmp(((const struct phase *)v->items[i])->id, jsonx_str(event, "phase", "")) != 0)
            continue;
        st->phase = (int)i;
        st->phases[i] = st->clock;
        return 0;
    }
    return state_unfit(event, "there is no such phase in this scenario", err);
}

/* --- People --- */

static struct state_person *person(struct state *st, const char *name)
{
    for (size_t i = 0; i < st->n_people; i++)
        if (!strcmp(st->people[i].name, name))
            return &st->people[i];
    return NULL;
}

static void add_role(struct state *st, struct state_person *p, const char *role)
{
    if (strv_has(&p->roles, role))
        return;
    char **items = arena_alloc(st->arena, (p->roles.n + 1) * sizeof *items);
    if (p->roles.n)
        memcpy(items, p->roles.items, p->roles.n * sizeof *items);
    items[p->roles.n] = keep(st, role);
    p->roles = (struct strv){items, p->roles.n + 1};
}

static int apply_join(struct state *st, json_t *event, struct err *err)
{
    const char *name = jsonx_str(event, "person", NULL), *role = jsonx_str(event, "role", NULL);
    const char *what = jsonx_str(event, "event", "");
    struct state_person *p = name ? person(st, name) : NULL;
    if (!name)
        return state_unfit(event, "it names nobody", err);
    if (!strcmp(what, "join")) {
        if (!role || !assumed_responder(st->scenario->assumptions, role))
            return state_unfit(event, "there is no such role in this scenario", err);
        if (!p) {
            MORE(st, people, &p);
            p->name = keep(st, name);
            p->joined = st->clock;
        }
        p->role = keep(st, role);
        p->connected = true;
        p->left = NSEC_UNSET;
        add_role(st, p, role);
        return 0;
    }
    if (!p)
        return state_unfit(event, "that person has never joined", err);
    p->connected = !strcmp(what, "back");
    if (!strcmp(what, "leave")) {
        p->role = NULL;
        p->left = st->clock;
    }
    return 0;
}

/* --- What is delivered --- */

static struct state_delivery *delivery(struct state *st, json_t *event, const struct step *step,
                                       const char *what)
{
    struct state_delivery *d = NULL;
    MORE(st, deliveries, &d);
    *d = (struct state_delivery){.id = st->seq,
                                 .at = st->clock,
                                 .what = what,
                                 .step = step,
                                 .number = keep_member(st, event, "number"),
                                 .from = keep_member(st, event, "from"),
                                 .channel = keep_member(st, event, "channel"),
                                 .title = keep_member(st, event, "title"),
                                 .text = keep_member(st, event, "text"),
                                 .by = keep_member(st, event, "by"),
                                 .late = jsonx_bool(event, "late", false),
                                 .event = event};
    keep_texts(st, json_object_get(event, "to"), &d->to);
    keep_texts(st, json_object_get(event, "attachments"), &d->attach);
    json_array_append(st->events, event);
    return d;
}

static int apply_deliver(struct state *st, json_t *event, struct err *err)
{
    static const char *const words[] = {"inject", "contingency", "message", "added"};
    const char *what = NULL;
    struct state_step *step = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (!strcmp(words[i], jsonx_str(event, "what", "inject")))
            what = words[i];
    if (!what || !jsonx_str(event, "text", NULL))
        return state_unfit(event, "it delivers nothing", err);
    if (jsonx_str(event, "step", NULL)) {
        int r = state_step_of(st, event, &step, err);
        if (r < 0)
            return r;
        state_step_begin(st, step, event);
        if (!step_expect(step->step))
            state_step_end(st, step, event);
    }
    (void)delivery(st, event, step ? step->step : NULL, what);
    return 0;
}

/* --- What steps ask for --- */

static int apply_step(struct state *st, json_t *event, struct err *err)
{
    const char *what = jsonx_str(event, "event", "");
    struct state_step *step = NULL;
    int r = state_step_of(st, event, &step, err);
    if (r < 0)
        return r;
    if (!strcmp(what, "skipped")) {
        step->life = STEP_SKIPPED;
        step->by = keep_member(st, event, "by");
        return 0;
    }
    if (!strcmp(what, "over")) {
        state_step_end(st, step, event);
        const struct unavailable_params *p = step->step->params;
        for (size_t i = 0; step_people(step->step) == PEOPLE_UNAVAILABLE && i < st->n_absences;
             i++) {
            struct state_absence *a = &st->absences[i];
            const char *who = p->role ? a->role : a->person, *its = p->role ? p->role : p->person;
            if (!nsec_is_set(a->to) && who && !strcmp(who, its))
                a->to = st->clock;
        }
        return 0;
    }
    if (!strcmp(what, "begins") && step_is_machines(step->step)) {
        state_step_begin(st, step, event);
        return 0;
    }
    if (!strcmp(what, "ends") && step_is_machines(step->step)) {
        step->ending = st->clock;
        return 0;
    }
    if (strcmp(what, "absent") != 0)
        return state_unfit(event, "an unknown event", err);
    if (!jsonx_str(event, "role", NULL) && !jsonx_str(event, "person", NULL))
        return state_unfit(event, "it does not say who is away", err);
    struct state_absence *a = NULL;
    state_step_begin(st, step, event);
    MORE(st, absences, &a);
    *a = (struct state_absence){.role = keep_member(st, event, "role"),
                                .person = keep_member(st, event, "person"),
                                .from = st->clock,
                                .to = NSEC_UNSET};
    if (jsonx_str(event, "text", NULL))
        (void)delivery(st, event, step->step, "absence");
    return 0;
}

static int apply_question(struct state *st, json_t *event, struct err *err)
{
    struct state_step *step = NULL;
    int r = state_step_of(st, event, &step, err);
    if (r < 0)
        return r;
    if (step_people(step->step) != PEOPLE_DECIDE)
        return state_unfit(event, "that step asks nothing", err);
    state_step_begin(st, step, event);
    return 0;
}

static int apply_decision(struct state *st, json_t *event, struct err *err)
{
    struct state_step *step = NULL;
    int r = state_step_of(st, event, &step, err);
    if (r < 0)
        return r;
    const struct decide_params *p = step->step->params;
    const char *option = jsonx_str(event, "option", "");
    if (step_people(step->step) != PEOPLE_DECIDE || !strv_has(&p->options, option))
        return state_unfit(event, "nobody could choose that", err);
    state_step_end(st, step, event);
    step->option = keep(st, option);
    step->reason = keep_member(st, event, "reason");
    step->by_default = jsonx_bool(event, "default", false);
    if (step->by_default)
        step->missed = st->clock;
    step->decision = event;
    json_array_append(st->events, event);
    return 0;
}

static int apply_expected(struct state *st, json_t *event, struct err *err)
{
    const char *what = jsonx_str(event, "event", "");
    struct state_step *step = NULL;
    int r = state_step_of(st, event, &step, err);
    if (r < 0)
        return r;
    if (!strcmp(what, "due"))
        state_step_begin(st, step, event);
    else if (!strcmp(what, "done"))
        state_step_end(st, step, event);
    else if (!strcmp(what, "missed"))
        step->missed = st->clock;
    else
        return state_unfit(event, "an unknown event", err);
    return 0;
}

static int apply_approval(struct state *st, json_t *event, struct err *err)
{
    const char *what = jsonx_str(event, "event", "");
    struct state_step *step = NULL;
    int r = state_step_of(st, event, &step, err);
    if (r < 0)
        return r;
    if (step_people(step->step) != PEOPLE_APPROVE)
        return state_unfit(event, "that step asks for no consent", err);
    const struct approve_params *p = step->step->params;
    if (!strcmp(what, "asked")) {
        state_step_begin(st, step, event);
    } else if (!strcmp(what, "missed")) {
        step->missed = st->clock;
    } else if (!strcmp(what, "given")) {
        struct strv *v = &step->approved_by;
        if (!v->items)
            v->items = arena_alloc(st->arena, ((size_t)p->people + 1) * sizeof(char *));
        if (v->n < (size_t)p->people)
            v->items[v->n++] = keep(st, jsonx_str(event, "by", "?"));
        if (v->n >= (size_t)p->people)
            state_step_end(st, step, event);
    } else {
        return state_unfit(event, "an unknown event", err);
    }
    return 0;
}

static int apply_checklist(struct state *st, json_t *event, struct err *err)
{
    const char *what = jsonx_str(event, "event", "");
    struct state_step *step = NULL;
    int64_t n = jsonx_int(event, "n", 0);
    int r = state_step_of(st, event, &step, err);
    if (r < 0)
        return r;
    if (!strcmp(what, "opened")) {
        state_step_begin(st, step, event);
        return 0;
    }
    if (n < 1 || n > (int64_t)step->n_items)
        return state_unfit(event, "there is no such line in that checklist", err);
    struct state_item *item = &step->items[n - 1];
    if (!strcmp(what, "late")) {
        item->late = st->clock;
        if (!nsec_is_set(step->missed))
            step->missed = st->clock;
        return 0;
    }
    if (strcmp(what, "checked") != 0)
        return state_unfit(event, "an unknown event", err);
    if (!nsec_is_set(item->checked))
        step->n_checked++;
    item->checked = st->clock;
    item->by = keep_member(st, event, "by");
    if (step->n_checked == step->n_items)
        state_step_end(st, step, event);
    return 0;
}

static int apply_status(struct state *st, json_t *event, struct err *err)
{
    const char *what = jsonx_str(event, "event", "");
    struct state_step *step = NULL;
    int64_t n = jsonx_int(event, "n", 0);
    int r = state_step_of(st, event, &step, err);
    if (r < 0)
        return r;
    if (!strcmp(what, "opened")) {
        state_step_begin(st, step, event);
        step->owed_n = 1;
    } else if (!strcmp(what, "missed")) {
        step->missed_n = n;
        if (!nsec_is_set(step->missed))
            step->missed = st->clock;
    } else if (!strcmp(what, "sent")) {
        step->sent_n++;
        if (n >= step->owed_n)
            step->owed_n = n + 1;
        (void)delivery(st, event, step->step, "status");
    } else {
        return state_unfit(event, "an unknown event", err);
    }
    return 0;
}

static int apply_page(struct state *st, json_t *event, struct err *err)
{
    const char *what = jsonx_str(event, "event", "");
    struct state_step *step = NULL;
    int r = state_step_of(st, event, &step, err);
    if (r < 0)
        return r;
    if (!strcmp(what, "paged")) {
        const json_t *to = json_array_get(json_object_get(event, "to"), 0);
        if (step->life == STEP_WAITING)
            state_step_begin(st, step, event);
        step->paged_n = jsonx_int(event, "n", step->paged_n + 1);
        step->paged_role = keep(st, json_string_value(to));
        step->paged_person = keep_member(st, event, "person");
        step->paged_at = st->clock;
        (void)delivery(st, event, step->step, "page");
    } else if (!strcmp(what, "acknowledged")) {
        state_step_end(st, step, event);
    } else if (!strcmp(what, "nobody")) {
        step->missed = st->clock;
    } else {
        return state_unfit(event, "an unknown event", err);
    }
    return 0;
}

/* --- What people say --- */

static int apply_rating(struct state *st, json_t *event, struct err *err)
{
    const char *rating = jsonx_str(event, "rating", "");
    struct state_step *step = NULL;
    if (strlen(rating) != 1 || !strchr("PSMU", *rating))
        return state_unfit(event, "a rating is P, S, M or U", err);
    if (jsonx_str(event, "step", NULL)) {
        int r = state_step_of(st, event, &step, err);
        if (r < 0)
            return r;
        step->rating = *rating;
        step->rated_by = keep_member(st, event, "by");
        step->rating_note = keep_member(st, event, "note");
        return 0;
    }
    struct state_rating *one = NULL;
    if (!scenario_objective(st->scenario, jsonx_str(event, "objective", "")))
        return state_unfit(event, "there is no such objective in this scenario", err);
    MORE(st, ratings, &one);
    *one = (struct state_rating){.objective = keep_member(st, event, "objective"),
                                 .by = keep_member(st, event, "by"),
                                 .note = keep_member(st, event, "note"),
                                 .rating = *rating,
                                 .at = st->clock};
    return 0;
}

static int apply_note(struct state *st, json_t *event, struct err *err)
{
    struct state_note *n = NULL;
    const char *role = jsonx_str(event, "role", NULL);
    if (!jsonx_str(event, "text", NULL))
        return state_unfit(event, "it says nothing", err);
    MORE(st, notes, &n);
    *n = (struct state_note){.id = st->seq,
                             .at = st->clock,
                             .text = keep_member(st, event, "text"),
                             .by = keep_member(st, event, "by"),
                             .role = keep(st, role),
                             .kind = role ? state_role_kind(st, role) : ROLE_PLAYER,
                             .what = keep(st, jsonx_str(event, "what", "note")),
                             .step = keep_member(st, event, "step"),
                             .objective = keep_member(st, event, "objective")};
    return 0;
}

static int apply_mark(struct state *st, json_t *event, struct err *err)
{
    struct state_mark *m = NULL;
    MORE(st, marks, &m);
    *m = (struct state_mark){.mark = keep(st, jsonx_str(event, "mark", "note")),
                             .text = keep_member(st, event, "text"),
                             .by = keep_member(st, event, "by"),
                             .role = keep_member(st, event, "role"),
                             .at = st->clock,
                             .word = jsonx_bool(event, "word", false)};
    return 0;
}

static void add_answer(struct state *st, const json_t *event, const json_t *texts)
{
    struct state_answer *a = NULL;
    MORE(st, answers, &a);
    *a = (struct state_answer){
        .by = keep_member(st, event, "by"), .role = keep_member(st, event, "role"), .texts = texts};
}

/* Of an anonymous one the people come when they answer, and all texts at its end, together. */
static int apply_debrief(struct state *st, json_t *event, struct err *err)
{
    const char *by = jsonx_str(event, "by", NULL), *what = jsonx_str(event, "event", "");
    size_t i;
    const json_t *texts;
    json_array_append(st->events, event);
    if (!strcmp(what, "opened")) {
        st->ballot_open = true;
        json_array_foreach (json_object_get(event, "anonymous"), i, texts)
            add_answer(st, event, texts);
    } else if (strcmp(what, "answered") != 0) {
        add_answer(st, event, json_object_get(event, "answers"));
    }
    if (by)
        json_object_set_new(st->answered, by, json_true());
    return 0;
}

/* --- Duties and services --- */

static int apply_deadline(struct state *st, json_t *event, struct err *err)
{
    const char *what = jsonx_str(event, "event", ""), *name = jsonx_str(event, "name", "");
    for (size_t i = 0; i < st->n_clocks; i++) {
        struct state_clock *c = &st->clocks[i];
        if (strcmp(c->clock->name, name) != 0)
            continue;
        nsec *which = !strcmp(what, "started")   ? &c->started
                      : !strcmp(what, "met")     ? &c->met
                      : !strcmp(what, "overdue") ? &c->overdue
                                                 : NULL;
        if (!which)
            return state_unfit(event, "an unknown event", err);
        *which = st->clock;
        return 0;
    }
    return state_unfit(event, "there is no such clock in this scenario", err);
}

/* --- The whole --- */

static int apply_run_start(struct state *st, json_t *event, struct err *err)
{
    st->run_start = event;
    json_array_append(st->events, event);
    if (json_number_value(json_object_get(event, "speed")) > 0)
        st->speed = json_number_value(json_object_get(event, "speed"));
    st->functional = !strcmp(jsonx_str(event, "mode", ""), "functional");
    return 0;
}

static int apply_run_end(struct state *st, json_t *event, struct err *err)
{
    if (st->stage != STAGE_DEBRIEF)
        state_end_outages(st);
    st->stage = STAGE_ENDED;
    st->run_end = event;
    json_array_append(st->events, event);
    return 0;
}

static int apply_trouble(struct state *st, json_t *event, struct err *err)
{
    st->interruptions += !strcmp(jsonx_str(event, "what", ""), "interrupted");
    return 0;
}

static const struct {
    const char *kind;
    int (*apply)(struct state *st, json_t *event, struct err *err);
} kinds[] = {
    {"approval", apply_approval}, {"checklist", apply_checklist}, {"deadline", apply_deadline},
    {"debrief", apply_debrief},   {"decision", apply_decision},   {"deliver", apply_deliver},
    {"expected", apply_expected}, {"join", apply_join},           {"mark", apply_mark},
    {"note", apply_note},         {"pace", apply_pace},           {"page", apply_page},
    {"phase", apply_phase},       {"question", apply_question},   {"rating", apply_rating},
    {"run-end", apply_run_end},   {"run-start", apply_run_start}, {"service", state_apply_outage},
    {"status", apply_status},     {"step", apply_step},           {"stop", state_apply_stop},
    {"trouble", apply_trouble},
};

int state_apply(struct state *st, json_t *event, struct err *err)
{
    const char *kind = jsonx_str(event, "kind", ""), *key = jsonx_str(event, "key", NULL);
    const json_t *clock = json_object_get(event, "clock");
    st->seq = jsonx_int(event, "seq", st->seq + 1);
    st->real = jsonx_int(event, "t", st->real);
    if (json_is_integer(clock)) {
        if (json_integer_value(clock) < st->clock)
            return state_unfit(event, "its clock goes back", err);
        st->clock = json_integer_value(clock);
    }
    if (key)
        json_object_set_new(st->keys, key, json_true());
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (!strcmp(kinds[i].kind, kind))
            return kinds[i].apply(st, event, err);
    if (st->functional)
        state_apply_machine(st, kind, event);
    return 0;
}

/* --- Making --- */

static void new_steps(struct state *st)
{
    const struct scenario *s = st->scenario;
    st->n_steps = s->script.n;
    st->steps = arena_alloc(st->arena, (s->script.n + 1) * sizeof *st->steps);
    for (size_t i = 0; i < s->script.n; i++) {
        const struct step *step = s->script.items[i];
        struct state_step *one = &st->steps[i];
        *one = (struct state_step){.step = step,
                                   .began = NSEC_UNSET,
                                   .done = NSEC_UNSET,
                                   .missed = NSEC_UNSET,
                                   .paged_at = NSEC_UNSET,
                                   .applied = NSEC_UNSET,
                                   .ending = NSEC_UNSET,
                                   .held = NSEC_UNSET};
        if (step_people(step) != PEOPLE_RUNBOOK)
            continue;
        const struct runbook_params *p = step->params;
        one->n_items = scenario_runbook(s, p->name)->steps.n;
        one->items = arena_alloc(st->arena, one->n_items * sizeof *one->items);
        for (size_t k = 0; k < one->n_items; k++)
            one->items[k] = (struct state_item){.checked = NSEC_UNSET, .late = NSEC_UNSET};
    }
}

static nsec *new_instants(struct state *st, size_t n)
{
    nsec *v = arena_alloc(st->arena, (n + 1) * sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = NSEC_UNSET;
    return v;
}

struct state *state_new(const struct scenario *s)
{
    struct arena *arena = arena_new();
    struct state *st = arena_alloc(arena, sizeof *st);
    *st = (struct state){.scenario = s,
                         .speed = 1,
                         .seq = -1,
                         .held_real = NSEC_UNSET,
                         .phase = -1,
                         .arena = arena,
                         .events = json_array(),
                         .keys = json_object(),
                         .answered = json_object()};
    new_steps(st);
    st->phases = new_instants(st, s->exercise.phases.n);
    st->phase_held = new_instants(st, s->exercise.phases.n);
    st->alarms = new_instants(st, s->alarms.n);
    st->probes = arena_alloc(arena, (s->probes.n + 1) * sizeof *st->probes);
    for (size_t i = 0; i < s->probes.n; i++)
        st->probes[i] = (struct state_probe){s->probes.items[i], NSEC_UNSET};
    st->n_clocks = s->exercise.clocks.n;
    st->clocks = arena_alloc(arena, (st->n_clocks + 1) * sizeof *st->clocks);
    for (size_t i = 0; i < st->n_clocks; i++)
        st->clocks[i] =
            (struct state_clock){s->exercise.clocks.items[i], NSEC_UNSET, NSEC_UNSET, NSEC_UNSET};
    st->n_services = s->services.n;
    st->services = arena_alloc(arena, (st->n_services + 1) * sizeof *st->services);
    for (size_t i = 0; i < st->n_services; i++)
        st->services[i] =
            (struct state_service){.service = s->services.items[i], .down_since = NSEC_UNSET};
    return st;
}

struct state *state_free(struct state *st)
{
    if (!st)
        return NULL;
    free(st->people);
    free(st->deliveries);
    free(st->notes);
    free(st->marks);
    free(st->ratings);
    free(st->absences);
    free(st->answers);
    json_decref(st->events);
    json_decref(st->keys);
    json_decref(st->answered);
    arena_free(st->arena); /* it is in there itself */
    return NULL;
}

/* --- Asking --- */

size_t state_step_index(const struct state *st, const char *id)
{
    size_t i = 0;
    while (i < st->n_steps && strcmp(st->steps[i].step->id, id) != 0)
        i++;
    return i;
}

const struct state_person *state_person(const struct state *st, const char *name)
{
    for (size_t i = 0; i < st->n_people; i++)
        if (!strcmp(st->people[i].name, name))
            return &st->people[i];
    return NULL;
}

enum role_kind state_role_kind(const struct state *st, const char *role)
{
    const struct responder *r = assumed_responder(st->scenario->assumptions, role);
    return r ? (enum role_kind)r->kind : ROLE_OBSERVER;
}

bool state_may_see(const struct state *st, const struct state_delivery *d, const char *role)
{
    enum role_kind kind = state_role_kind(st, role);
    return (kind != ROLE_PLAYER && kind != ROLE_SIMULATOR) || strv_has(&d->to, role);
}

json_t *state_new_informed(const struct state *st, const char *role)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < st->n_deliveries; i++)
        if (strv_has(&st->deliveries[i].to, role))
            json_array_append_new(ids, json_integer(st->deliveries[i].id));
    return ids;
}

bool state_has_key(const struct state *st, const char *key)
{
    return json_object_get(st->keys, key) != NULL;
}

bool state_has_answered(const struct state *st, const char *name)
{
    return json_object_get(st->answered, name) != NULL;
}

size_t state_answered(const struct state *st)
{
    return json_object_size(st->answered);
}

bool state_is_away(const struct state *st, const char *role, const char *name)
{
    const struct responder *r = assumed_responder(st->scenario->assumptions, role);
    for (size_t i = 0; i < st->n_absences; i++) {
        const struct state_absence *a = &st->absences[i];
        if (nsec_is_set(a->to))
            continue;
        if (a->person ? !strcmp(a->person, name)
                      : !strcmp(a->role, role) && !(r && strv_has(&r->deputies, name)))
            return true;
    }
    return false;
}
