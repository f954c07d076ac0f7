/* What people play: roles that can do what is asked of them, answers that can be given, conditions that can
 * come true, phases and deadlines that fit into the horizon. Also the members that follow from others.
 */
#include "scenarios/check.h"

#include "injectors/injector.h"

#include <inttypes.h>
#include <string.h>

/* --- Members that follow from others --- */

static bool has_not_done(const struct condition *c)
{
    bool has = c && c->not_done;
    for (size_t i = 0; c && i < c->any.n && !has; i++)
        has = has_not_done(c->any.items[i]);
    for (size_t i = 0; c && i < c->all.n && !has; i++)
        has = has_not_done(c->all.items[i]);
    return has;
}

/* The beginning of what it says, for lists. */
static char *short_title(struct scenario *s, const char *text)
{
    enum { LONG = 60 };
    size_t n = text ? strcspn(text, "\n") : 0, full = n;
    if (n > LONG) {
        for (n = LONG; n > 0 && text[n] != ' '; n--)
            ;
        if (!n) /* one long word: to the beginning of a character */
            for (n = LONG; ((unsigned char)text[n] & 0xc0) == 0x80; n--)
                ;
    }
    return n < full ? arena_printf(s->arena, "%.*s …", (int)n, text)
                    : arena_printf(s->arena, "%.*s", (int)n, text ? text : "");
}

static char *default_title(struct scenario *s, const struct step *step)
{
    if (step_people(step) == PEOPLE_STATUS) {
        const struct status_params *p = step->params;
        return arena_printf(s->arena, "Updates by %s", p->from ? p->from : "?");
    }
    if (step_people(step) == PEOPLE_UNAVAILABLE) {
        const struct unavailable_params *p = step->params;
        return arena_printf(s->arena, "%s is away",
                            p->role     ? p->role
                            : p->person ? p->person
                                        : "?");
    }
    return short_title(s, step_says(step));
}

static void resolve_step(struct scenario *s, struct step *step, size_t *n)
{
    if (step_people(step) == PEOPLE_NONE || !step->params)
        return;
    struct people_common *c = step->params; /* they begin with it */
    ++*n;
    if (!c->number)
        c->number = arena_printf(s->arena, "%zu", *n);
    if (!c->title)
        c->title = default_title(s, step);
    if (step_people(step) == PEOPLE_TELL) {
        struct tell_params *p = step->params;
        if (p->kind < 0)
            p->kind = has_not_done(step->when) ? TELL_CONTINGENCY : TELL_CONTEXTUAL;
        if (p->expect && !p->expect->objective)
            p->expect->objective = c->objective;
    } else if (step_people(step) == PEOPLE_EXPECTED) {
        ((struct expected_params *)step->params)->expect.objective = c->objective;
    }
}

static void resolve_phases(struct scenario *s)
{
    nsec next = 0; /* when the one before has lasted; NSEC_UNSET: not known */
    for (size_t i = 0; i < s->exercise.phases.n; i++) {
        struct phase *p = s->exercise.phases.items[i];
        if (!nsec_is_set(p->at) && !p->when)
            p->at = next;
        next = nsec_is_set(p->at) && nsec_is_set(p->lasts) ? nsec_add(p->at, p->lasts) : NSEC_UNSET;
    }
}

void check_resolve_exercise(struct scenario *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->assumed.roles.n; i++) {
        struct responder *r = s->assumed.roles.items[i];
        if (!r->title)
            r->title = r->name;
    }
    for (size_t i = 0; i < s->exercise.clocks.n; i++) {
        struct duty_clock *c = s->exercise.clocks.items[i];
        if (!c->title)
            c->title = c->name;
    }
    for (size_t i = 0; i < s->exercise.runbooks.n; i++) {
        struct runbook *r = s->exercise.runbooks.items[i];
        if (!r->title)
            r->title = r->name;
        for (size_t k = 0; k < r->steps.n; k++) {
            struct runbook_step *step = r->steps.items[k];
            if (!step->owner)
                step->owner = r->owner;
        }
    }
    for (size_t i = 0; i < s->script.n; i++)
        resolve_step(s, s->script.items[i], &n);
    resolve_phases(s);
}

/* --- Where things stand --- */

static const struct node *list_item(const struct scenario *s, const char *key, size_t i)
{
    const struct node *list = node_get(s->tree, key);
    return list && list->kind == NODE_LIST && i < list->n ? list->items[i] : list;
}

/* Of a key in a step's parameters, or of the step. */
static struct place param_place(const struct scenario *s, size_t i, const char *key)
{
    const struct step *step = s->script.items[i];
    const struct node *node = list_item(s, "script", i);
    node = node ? node_get(node_get(node, step->action->name), key) : NULL;
    return node ? node->place : step->action_place;
}

static struct place step_key_place(const struct scenario *s, size_t i, const char *key)
{
    const struct node *node = node_get(list_item(s, "script", i), key);
    return node ? node->place : ((const struct step *)s->script.items[i])->place;
}

/* --- Conditions --- */

static void check_decision(const struct scenario *s, const struct condition *c, struct place at,
                           struct diags *diags)
{
    const struct step *step = scenario_step(s, c->decision);
    char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
    if (c->is && !c->decision)
        diags_error(diags, at, "'is' belongs to 'decision'");
    if (!step)
        return;
    if (step_people(step) != PEOPLE_DECIDE) {
        diags_error(diags, at, "the step '%s' decides nothing: it is a %s", step->id,
                    step->action->name);
        return;
    }
    const struct decide_params *p = step->params;
    if (c->is && !strv_has(&p->options, c->is))
        diags_error(diags, at, "'%s' has no option '%s'%s", step->id, diag_quote(c->is, quoted),
                    diag_nearest(c->is, (const char *const *)p->options.items, p->options.n, hint));
}

static bool runbook_has_time(const struct scenario *s, const struct step *step)
{
    const struct runbook_params *p = step->params;
    const struct runbook *r =
        step_people(step) == PEOPLE_RUNBOOK ? scenario_runbook(s, p->name) : NULL;
    for (size_t i = 0; r && i < r->steps.n; i++)
        if (nsec_is_set(((const struct runbook_step *)r->steps.items[i])->within))
            return true;
    return false;
}

static void check_not_done(const struct scenario *s, const struct condition *c, struct place at,
                           struct diags *diags)
{
    const struct step *step = scenario_step(s, c->not_done);
    if (!step || nsec_is_set(step_within(step)) || runbook_has_time(s, step))
        return;
    diags_error(diags, at, "nothing can be late in '%s': give what it expects or asks a 'within'",
                step->id);
}

/* Something that somebody does is asked for. */
static bool asks(const struct step *step)
{
    enum people_step kind = step_people(step);
    return step_expect(step) || kind == PEOPLE_DECIDE || kind == PEOPLE_APPROVE ||
           kind == PEOPLE_RUNBOOK || kind == PEOPLE_ESCALATE;
}

static void check_condition(const struct scenario *s, const struct condition *c, struct place at,
                            struct diags *diags)
{
    const struct step *done = scenario_step(s, c->done);
    if (done && !asks(done))
        diags_error(diags, at, "'%s' asks nobody for anything: wait for it by 'step'", done->id);
    check_decision(s, c, at, diags);
    check_not_done(s, c, at, diags);
    if (!s->hosts.n && (c->alarm || c->probe))
        diags_error(diags, at, "without hosts no alarm and no probe is ever heard of");
    for (size_t i = 0; i < c->any.n; i++)
        check_condition(s, c->any.items[i], at, diags);
    for (size_t i = 0; i < c->all.n; i++)
        check_condition(s, c->all.items[i], at, diags);
}

/* --- Roles --- */

static enum role_kind kind_of(const struct scenario *s, const char *role)
{
    const struct responder *r = role ? assumed_responder(s->assumptions, role) : NULL;
    return r ? (enum role_kind)r->kind : ROLE_PLAYER;
}

static void check_acts(const struct scenario *s, const char *role, struct place at,
                       struct diags *diags)
{
    enum role_kind kind = kind_of(s, role);
    if (role && kind != ROLE_PLAYER && kind != ROLE_SIMULATOR)
        diags_error(diags, at, "%s cannot act: its kind is %s, and players act", role,
                    role_kind_words[kind]);
}

static const struct responder *role_of_person(const struct scenario *s, const char *person)
{
    for (size_t i = 0; i < s->assumptions->roles.n; i++) {
        const struct responder *r = s->assumptions->roles.items[i];
        if (strv_has(&r->people, person) || strv_has(&r->deputies, person))
            return r;
    }
    return NULL;
}

static void check_independence(const struct scenario *s, const struct responder *r,
                               struct diags *diags)
{
    const struct exercise_overview *o = s->exercise.overview;
    for (size_t i = 0; i < r->people.n; i++) {
        const struct responder *first = role_of_person(s, r->people.items[i]);
        if (r->kind == ROLE_EVALUATOR && o && o->designer &&
            !strcmp(o->designer, r->people.items[i]))
            diags_warning(diags, check_place(s, "roles", r->name, "people", NULL),
                          "%s designed the exercise and evaluates it: somebody else should",
                          r->people.items[i]);
        if (first != r && first && (first->kind == ROLE_EVALUATOR) != (r->kind == ROLE_EVALUATOR))
            diags_warning(diags, check_place(s, "roles", r->name, "people", NULL),
                          "%s would evaluate an exercise in which they act: %s and %s should be "
                          "different people",
                          r->people.items[i], first->name, r->name);
    }
}

static void check_roles(const struct scenario *s, struct diags *diags)
{
    size_t players = 0, facilitators = 0;
    for (size_t i = 0; i < s->assumptions->roles.n; i++) {
        const struct responder *r = s->assumptions->roles.items[i];
        players += r->kind == ROLE_PLAYER;
        facilitators += r->kind == ROLE_FACILITATOR;
        if (!strcmp(r->name, ROLE_ALL))
            diags_error(diags, r->place, "a role cannot be named 'all': that is every player");
        check_independence(s, r, diags);
    }
    struct place at = check_place(s, "roles", NULL);
    if (!players)
        diags_error(diags, at, "nobody plays: 'roles' needs one whose kind is player");
    if (!facilitators)
        diags_error(diags, at,
                    "nobody keeps the clock: 'roles' needs one whose kind is facilitator");
}

/* --- Steps --- */

static void check_tell(const struct scenario *s, size_t i, struct diags *diags)
{
    const struct step *step = s->script.items[i];
    const struct tell_params *p = step->params;
    bool waits = has_not_done(step->when);
    if (p->kind == TELL_CONTINGENCY && !waits)
        diags_error(diags, param_place(s, i, "kind"),
                    "a contingency comes only if something expected was not done: its 'when' needs "
                    "'not_done'");
    if (p->kind == TELL_CONTEXTUAL && waits)
        diags_error(diags, param_place(s, i, "kind"),
                    "this comes only if something was not done, so it is a contingency");
    if (strv_has(&p->to, ROLE_ALL) && p->to.n > 1)
        diags_error(diags, param_place(s, i, "to"), "'all' are all: leave the others out");
    for (size_t k = 0; k < p->to.n; k++)
        if (strcmp(p->to.items[k], ROLE_ALL) != 0 && kind_of(s, p->to.items[k]) == ROLE_OBSERVER)
            diags_error(diags, param_place(s, i, "to"),
                        "%s only observes, and sees what players see anyway", p->to.items[k]);
    if (p->expect)
        check_acts(s, p->expect->by, param_place(s, i, "expect"), diags);
}

static void check_decide(const struct scenario *s, size_t i, struct diags *diags)
{
    enum { OPTIONS_MAX = 9 };
    const struct step *step = s->script.items[i];
    const struct decide_params *p = step->params;
    char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
    struct place at = param_place(s, i, "options");
    check_acts(s, p->who, param_place(s, i, "who"), diags);
    if (p->options.n < 2 || p->options.n > OPTIONS_MAX)
        diags_error(diags, at, "a decision has 2 to %d options, not %zu", OPTIONS_MAX,
                    p->options.n);
    for (size_t k = 0; k < p->options.n; k++)
        for (size_t m = 0; m < k; m++)
            if (!strcmp(p->options.items[k], p->options.items[m]))
                diags_error(diags, at, "the option '%s' stands there twice",
                            diag_quote(p->options.items[k], quoted));
    if (p->dflt && !strv_has(&p->options, p->dflt))
        diags_error(
            diags, param_place(s, i, "default"), "'%s' is not one of the options%s",
            diag_quote(p->dflt, quoted),
            diag_nearest(p->dflt, (const char *const *)p->options.items, p->options.n, hint));
    if (p->dflt && !nsec_is_set(p->within))
        diags_error(diags, param_place(s, i, "default"),
                    "a default is taken when time is up: give 'within'");
}

static void check_approve(const struct scenario *s, size_t i, struct diags *diags)
{
    const struct approve_params *p = ((const struct step *)s->script.items[i])->params;
    int64_t named = 0;
    bool open = false; /* a role that anybody may take */
    for (size_t k = 0; k < p->by.n; k++) {
        const struct responder *r = assumed_responder(s->assumptions, p->by.items[k]);
        check_acts(s, r->name, param_place(s, i, "by"), diags);
        named += (int64_t)(r->people.n + r->deputies.n);
        open = open || !r->people.n;
    }
    if (!open && named < p->people)
        diags_error(diags, param_place(s, i, "people"),
                    "this needs %" PRId64 " different people, and these roles have %" PRId64,
                    p->people, named);
}

static void check_status(const struct scenario *s, size_t i, struct diags *diags)
{
    const struct step *step = s->script.items[i];
    const struct status_params *p = step->params;
    char a[NSEC_TEXT_MAX], b[NSEC_TEXT_MAX];
    check_acts(s, p->from, param_place(s, i, "from"), diags);
    if (nsec_is_set(step->lasting) && p->every > step->lasting)
        diags_error(diags, param_place(s, i, "every"),
                    "an update every %s is never due: the step lasts %s", nsec_text(p->every, a),
                    nsec_text(step->lasting, b));
}

static void check_unavailable(const struct scenario *s, size_t i, struct diags *diags)
{
    const struct unavailable_params *p = ((const struct step *)s->script.items[i])->params;
    char quoted[DIAG_QUOTE_MAX];
    if (!p->role == !p->person) {
        diags_error(diags, param_place(s, i, "role"), "give one of 'role' and 'person'");
        return;
    }
    if (p->role)
        check_acts(s, p->role, param_place(s, i, "role"), diags);
    else if (!role_of_person(s, p->person))
        diags_error(diags, param_place(s, i, "person"),
                    "nobody named '%s' stands in any role's people or deputies",
                    diag_quote(p->person, quoted));
}

static void check_step(const struct scenario *s, size_t i, struct diags *diags)
{
    const struct step *step = s->script.items[i];
    char a[NSEC_TEXT_MAX], b[NSEC_TEXT_MAX];
    if (step->when)
        check_condition(s, step->when, step_key_place(s, i, "when"), diags);
    if (step->until)
        check_condition(s, step->until, step_key_place(s, i, "until"), diags);
    switch (step_people(step)) {
    case PEOPLE_TELL:
        check_tell(s, i, diags);
        break;
    case PEOPLE_DECIDE:
        check_decide(s, i, diags);
        break;
    case PEOPLE_APPROVE:
        check_approve(s, i, diags);
        break;
    case PEOPLE_STATUS:
        check_status(s, i, diags);
        break;
    case PEOPLE_UNAVAILABLE:
        check_unavailable(s, i, diags);
        break;
    case PEOPLE_EXPECTED:
        check_acts(s, step_expect(step)->by, param_place(s, i, "by"), diags);
        break;
    case PEOPLE_ESCALATE:
        check_acts(s, ((const struct escalate_params *)step->params)->role,
                   param_place(s, i, "role"), diags);
        break;
    case PEOPLE_RUNBOOK:
    case PEOPLE_HOLD:
    case PEOPLE_NONE:
        break;
    }
    nsec at = nsec_is_set(step->at) ? step->at : 0, within = step_within(step);
    if (nsec_is_set(within) && nsec_add(at, within) > s->horizon)
        diags_error(diags,
                    param_place(s, i, step_people(step) == PEOPLE_TELL ? "expect" : "within"),
                    "its time ends at %s, but the horizon is %s",
                    nsec_text(nsec_add(at, within), a), nsec_text(s->horizon, b));
}

static void check_numbers(const struct scenario *s, struct diags *diags)
{
    for (size_t i = 0; i < s->script.n; i++) {
        const struct people_common *c = step_common(s->script.items[i]);
        for (size_t k = 0; c && k < i; k++) {
            const struct step *other = s->script.items[k];
            const struct people_common *o = step_common(other);
            if (!o || strcmp(c->number, o->number) != 0)
                continue;
            diags_error(diags, param_place(s, i, "number"), "the number '%s' is that of '%s' too",
                        c->number, other->id);
            break;
        }
    }
}

/* --- Beside the script --- */

static void check_ids(const struct objects *v, size_t place_offset, const char *what,
                      struct diags *diags)
{
    for (size_t i = 0; i < v->n; i++)
        for (size_t k = 0; k < i; k++)
            if (!strcmp(*(char *const *)v->items[i], *(char *const *)v->items[k])) {
                const struct place *at = (const void *)((const char *)v->items[i] + place_offset);
                const struct place *first =
                    (const void *)((const char *)v->items[k] + place_offset);
                diags_error(diags, *at, "%s '%s' stands already at line %d, column %d", what,
                            *(char *const *)v->items[i], first->line, first->col);
                break;
            }
}

static void check_objectives(const struct scenario *s, struct diags *diags)
{
    const struct objects *v = &s->exercise.objectives;
    check_ids(v, offsetof(struct exercise_objective, place), "an objective", diags);
    for (size_t i = 0; i < v->n; i++) {
        const struct exercise_objective *o = v->items[i];
        const struct objective_target *t = o->target;
        if (!t)
            continue;
        if (!t->text == !t->service)
            diags_error(diags, o->place, "a target is a text, or a 'service' with its 'promise'");
        else if (!!t->service != (t->promise >= 0))
            diags_error(diags, o->place, "'service' and 'promise' belong together");
        else if (t->service && !nsec_is_set(objective_target_value(s, t)))
            diags_error(diags, o->place, "%s promises no %s", t->service,
                        objective_promise_words[t->promise]);
    }
}

static void check_phases(const struct scenario *s, struct diags *diags)
{
    const struct objects *v = &s->exercise.phases;
    char a[NSEC_TEXT_MAX], b[NSEC_TEXT_MAX];
    nsec last = -1;
    check_ids(v, offsetof(struct phase, place), "a phase", diags);
    for (size_t i = 0; i < v->n; i++) {
        const struct phase *p = v->items[i];
        if (p->when && nsec_is_set(p->at))
            diags_error(diags, p->place, "a phase takes 'at' or 'when', not both");
        if (p->when)
            check_condition(s, p->when, p->place, diags);
        else if (!nsec_is_set(p->at))
            diags_error(diags, p->place,
                        "when does '%s' begin? Give it 'at' or 'when', or the phase before it "
                        "'lasts' (and a known beginning)",
                        p->id);
        if (!nsec_is_set(p->at))
            continue;
        if (p->at <= last)
            diags_error(diags, p->place, "'%s' begins at %s, not after the phase before it", p->id,
                        nsec_text(p->at, a));
        if (p->at >= s->horizon)
            diags_error(diags, p->place, "'%s' begins at %s, but the horizon is %s", p->id,
                        nsec_text(p->at, a), nsec_text(s->horizon, b));
        last = p->at;
    }
}

static void check_clocks(const struct scenario *s, struct diags *diags)
{
    for (size_t i = 0; i < s->exercise.clocks.n; i++) {
        const struct duty_clock *c = s->exercise.clocks.items[i];
        check_condition(s, c->from, check_place(s, "clocks", c->name, "from", NULL), diags);
        check_condition(s, c->met_by, check_place(s, "clocks", c->name, "met_by", NULL), diags);
    }
}

static void check_runbooks(const struct scenario *s, struct diags *diags)
{
    for (size_t i = 0; i < s->exercise.runbooks.n; i++) {
        const struct runbook *r = s->exercise.runbooks.items[i];
        for (size_t k = 0; k < r->steps.n; k++) {
            const struct runbook_step *step = r->steps.items[k];
            check_acts(s, step->owner, step->place, diags);
        }
    }
}

/* --- Functional exercises: real hosts take part --- */

static bool is_probed(const struct scenario *s, const char *service)
{
    for (size_t i = 0; i < s->probes.n; i++) {
        const struct probe *p = s->probes.items[i];
        if (p->service && !strcmp(p->service, service))
            return true;
    }
    return false;
}

static void check_functional(const struct scenario *s, struct diags *diags)
{
    const struct node *trials = node_get(s->tree, "trials");
    if (s->trials > 1)
        diags_error(diags, trials ? trials->place : check_place(s, "script", NULL),
                    "an exercise is played once: people learn from the first time; leave 'trials' "
                    "out");
    for (size_t i = 0; i < s->alarms.n; i++) {
        const struct alarm *a = s->alarms.items[i];
        if (alarm_is_assumed(a))
            diags_error(diags, a->place,
                        "the alarm '%s' is only assumed, and with real hosts nothing would raise "
                        "it: say what it is (log, webhook, packets, ...), or tell it by 'tell'",
                        a->name);
    }
    for (size_t i = 0; i < s->script.n; i++) {
        const struct step *step = s->script.items[i];
        const struct outage_params *p = step->params;
        if (strcmp(step->action->name, "outage") || !p || !p->service || !is_probed(s, p->service))
            continue;
        diags_error(diags, param_place(s, i, "service"),
                    "%s is measured on real hosts, so it cannot be down in the story alone: break "
                    "it, or take its probes out",
                    p->service);
    }
}

void check_exercise(const struct scenario *s, struct diags *diags)
{
    if (!scenario_is_exercise(s)) {
        static const char *const keys[] = {"exercise", "objectives", "clocks", "runbooks",
                                           "debrief"};
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
            const struct node *node = node_get(s->tree, keys[i]);
            if (node)
                diags_error(diags, node->place,
                            "'%s' belongs to an exercise, and nobody plays: the script has no "
                            "step of people (tell, decide, expected …)",
                            keys[i]);
        }
        return;
    }
    check_roles(s, diags);
    check_objectives(s, diags);
    check_phases(s, diags);
    check_clocks(s, diags);
    check_runbooks(s, diags);
    for (size_t i = 0; i < s->script.n && !diags_is_full(diags); i++)
        check_step(s, i, diags);
    check_numbers(s, diags);
    if (scenario_is_functional(s))
        check_functional(s, diags);
}
