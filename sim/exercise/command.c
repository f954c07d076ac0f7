/* One function for each command, and a table that says who may give it when, with which members. */
#include "sim/exercise/command.h"

#include "sim/exercise/corrective.h"

#include "sim/base/jsonx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Who may give a command. */
#define PLAYERS (1u << ROLE_PLAYER | 1u << ROLE_SIMULATOR)
#define FACILITATORS (1u << ROLE_FACILITATOR)
#define EVALUATORS (1u << ROLE_EVALUATOR)
#define SIMULATORS (1u << ROLE_SIMULATOR)
#define EVERYBODY (PLAYERS | FACILITATORS | EVALUATORS | 1u << ROLE_OBSERVER)
/* In which stage. */
#define IN(stage) (1u << (stage))
#define IN_PLAY IN(STAGE_RUNNING)
#define AROUND_PLAY (IN(STAGE_RUNNING) | IN(STAGE_HELD))
#define ALL_ALONG (IN(STAGE_LOBBY) | AROUND_PLAY | IN(STAGE_DEBRIEF))

struct act { /* one command on its way */
    struct conduct *c;
    const struct state *st;
    const json_t *command;
    const char *person, *role; /* for whom it is done */
    enum role_kind kind;       /* of who sent it */
    struct err *err;
};

static bool is_facilitator(const struct act *a)
{
    return a->kind == ROLE_FACILITATOR;
}

/* --- Members --- */

/* A text of the command, made printable, within its limit; NULL with -EINVAL said, or when it is absent
 * and may be. The caller frees. */
static int take_text(const struct act *a, const char *key, size_t limit, bool required, char **ret)
{
    const json_t *j = json_object_get(a->command, key);
    *ret = NULL;
    if (!j || json_is_null(j))
        return required ? err_set(a->err, EINVAL, "'%s' is missing", key) : 0;
    if (!json_is_string(j))
        return err_set(a->err, EINVAL, "'%s' must be a text", key);
    size_t n = json_string_length(j);
    const char *text = json_string_value(j);
    if (n > limit)
        return err_set(a->err, EINVAL, "'%s' is longer than %zu bytes", key, limit);
    while (n && strchr(" \t\r\n", text[n - 1]))
        n--;
    while (n && strchr(" \t\r\n", *text))
        text++, n--;
    if (!n && required)
        return err_set(a->err, EINVAL, "'%s' is empty", key);
    if (memchr(text, '\0', n))
        return err_set(a->err, EINVAL, "'%s' holds a zero byte", key);
    char *copy = strndup(text, n);
    if (!copy)
        abort();
    text_make_printable(copy, n);
    *ret = copy;
    return 0;
}

/* The line's member from the command's; absent: stays absent. */
static int put_text(const struct act *a, json_t *line, const char *key, size_t limit, bool required)
{
    AUTO_FREE char *text = NULL;
    int r = take_text(a, key, limit, required, &text);
    if (r == 0 && text && *text)
        json_object_set_new(line, key, jsonx_new_text(text));
    return r;
}

static int write_line(const struct act *a, const char *kind, json_t *line)
{
    json_object_set_new(line, "by", jsonx_new_text(a->person));
    json_object_set_new(line, "role", json_string(a->role));
    const json_t *key = json_object_get(a->command, "key");
    if (key)
        json_object_set_new(line, "key", json_string(json_string_value(key)));
    return conduct_write(a->c, kind, line, a->err);
}

/* Roles of the scenario; ROLE_ALL becomes all that play. */
static int take_roles(const struct act *a, const json_t *to, json_t **ret)
{
    const struct objects *roles = &a->st->scenario->assumptions->roles;
    AUTO_JSON *list = json_array();
    if (!json_is_array(to) || !json_array_size(to) || json_array_size(to) > 64)
        return err_set(a->err, EINVAL, "'to' is a list of roles");
    for (size_t i = 0; i < json_array_size(to); i++) {
        const char *role = json_string_value(json_array_get(to, i));
        if (role && !strcmp(role, ROLE_ALL)) {
            for (size_t k = 0; k < roles->n; k++) {
                const struct responder *r = roles->items[k];
                if (r->kind == ROLE_PLAYER || r->kind == ROLE_SIMULATOR)
                    json_array_append_new(list, json_string(r->name));
            }
        } else if (role && assumed_responder(a->st->scenario->assumptions, role)) {
            json_array_append_new(list, json_string(role));
        } else {
            return err_set(a->err, ENOENT, "there is no such role to send it to");
        }
    }
    *ret = json_incref(list);
    return 0;
}

/* --- Steps --- */

static const struct state_step *step_named(const struct act *a, size_t *ret_index)
{
    const char *id = jsonx_str(a->command, "step", "");
    size_t i = state_step_index(a->st, id);
    *ret_index = i;
    return i < a->st->n_steps ? &a->st->steps[i] : NULL;
}

/* What a player is told of a step that is not there, has not begun, or is not theirs, is the same: a guess
 * teaches nothing. */
static int nothing_such(const struct act *a)
{
    return err_set(a->err, ENOENT, "there is nothing of that name for your role now");
}

/* The open step of this kind that the command names. `mine`: whether this role may do it. */
static int open_step(const struct act *a, enum people_step kind, const struct state_step **ret)
{
    size_t i;
    const struct state_step *step = step_named(a, &i);
    if (!step || step_people(step->step) != kind)
        return nothing_such(a);
    if (step->life == STEP_WAITING || step->life == STEP_SKIPPED)
        return is_facilitator(a)
                   ? err_set(a->err, EAGAIN, "'%s' %s", step->step->id,
                             step->life == STEP_WAITING ? "has not begun" : "was skipped")
                   : nothing_such(a);
    *ret = step;
    return 0;
}

static int is_mine(const struct act *a, bool role_fits)
{
    if (is_facilitator(a))
        return 0;
    if (!role_fits)
        return nothing_such(a);
    if (state_is_away(a->st, a->role, a->person))
        return err_set(a->err, EACCES, "you are away, as the scenario says: a deputy must act");
    return 0;
}

static bool is_late(const struct act *a, const struct state_step *step)
{
    nsec within = step_within(step->step);
    return nsec_is_set(step->missed) ||
           (nsec_is_set(within) && conduct_clock(a->c) > nsec_add(step->began, within));
}

static json_t *step_line(const struct state_step *step, const char *event)
{
    return json_pack("{s:s, s:s*}", "step", step->step->id, "event", event);
}

static json_t *late(json_t *line, bool is)
{
    if (is)
        json_object_set_new(line, "late", json_true());
    return line;
}

/* --- What players do --- */

static int do_decide(struct act *a)
{
    const struct state_step *step = NULL;
    AUTO_FREE char *option = NULL, *reason = NULL;
    int r = open_step(a, PEOPLE_DECIDE, &step);
    if (r < 0)
        return r;
    const struct decide_params *p = step->step->params;
    if ((r = is_mine(a, !strcmp(p->who, a->role))) < 0 ||
        (r = take_text(a, "option", COMMAND_TEXT_MAX, true, &option)) < 0 ||
        (r = take_text(a, "reason", COMMAND_TEXT_MAX, false, &reason)) < 0)
        return r;
    if (step->life == STEP_DONE)
        return err_set(a->err, EALREADY, "this was decided: %s", step->option);
    if (!strv_has(&p->options, option))
        return err_set(a->err, ENOENT, "that is not one of the options");
    if (is_facilitator(a) && !json_object_get(a->command, "role"))
        a->role = p->who;
    json_t *line =
        json_pack("{s:s, s:s, s:s*, s:I, s:o}", "step", step->step->id, "option", option, "reason",
                  reason && *reason ? reason : NULL, "asked", (json_int_t)step->began, "informed",
                  state_new_informed(a->st, p->who));
    if (nsec_is_set(p->within))
        json_object_set_new(line, "deadline", json_integer(nsec_add(step->began, p->within)));
    return write_line(a, "decision", late(line, is_late(a, step)));
}

static int do_done(struct act *a)
{
    size_t i;
    const struct state_step *step = step_named(a, &i);
    if (!step || !step_expect(step->step))
        return nothing_such(a);
    if (step->life == STEP_DONE)
        return err_set(a->err, EALREADY, "'%s' is done", step->step->id);
    if (step->life != STEP_OPEN)
        return err_set(a->err, EAGAIN, "'%s' is not expected now", step->step->id);
    return write_line(a, "expected", late(step_line(step, "done"), is_late(a, step)));
}

static bool was_paged(const struct act *a, const struct state_step *step)
{
    for (size_t i = 0; i < a->st->n_deliveries; i++) {
        const struct state_delivery *d = &a->st->deliveries[i];
        if (d->step == step->step && !strcmp(d->what, "page") && strv_has(&d->to, a->role))
            return true;
    }
    return false;
}

static int do_acknowledge(struct act *a)
{
    const struct state_step *step = NULL;
    int r = open_step(a, PEOPLE_ESCALATE, &step);
    if (r < 0 || (r = is_mine(a, was_paged(a, step))) < 0)
        return r;
    if (step->life == STEP_DONE)
        return err_set(a->err, EALREADY, "%s has acknowledged this page", step->by);
    if (is_facilitator(a) && !json_object_get(a->command, "role"))
        a->role = step->paged_role;
    return write_line(a, "page", step_line(step, "acknowledged"));
}

static int do_approve(struct act *a)
{
    const struct state_step *step = NULL;
    int r = open_step(a, PEOPLE_APPROVE, &step);
    if (r < 0)
        return r;
    const struct approve_params *p = step->step->params;
    if ((r = is_mine(a, strv_has(&p->by, a->role))) < 0)
        return r;
    if (step->life == STEP_DONE)
        return err_set(a->err, EALREADY, "this has all the consent that it needs");
    if (strv_has(&step->approved_by, a->person))
        return err_set(a->err, EALREADY, "%s has consented: somebody else must", a->person);
    json_t *line = late(step_line(step, "given"), is_late(a, step));
    if ((int64_t)step->approved_by.n + 1 >= p->people)
        json_object_set_new(line, "complete", json_true());
    return write_line(a, "approval", line);
}

static int do_check(struct act *a)
{
    const struct state_step *step = NULL;
    const json_t *number = json_object_get(a->command, "n");
    int r = open_step(a, PEOPLE_RUNBOOK, &step);
    if (r < 0)
        return r;
    const struct runbook_params *p = step->step->params;
    const struct runbook *book = scenario_runbook(a->st->scenario, p->name);
    json_int_t n = json_integer_value(number);
    if (!json_is_integer(number) || n < 1 || n > (json_int_t)book->steps.n)
        return err_set(a->err, EINVAL, "'n' is the number of a line: 1 to %zu", book->steps.n);
    const struct runbook_step *item = book->steps.items[n - 1];
    if ((r = is_mine(a, !strcmp(item->owner, a->role) || !strcmp(book->owner, a->role))) < 0)
        return r;
    if (nsec_is_set(step->items[n - 1].checked))
        return err_set(a->err, EALREADY, "%s has checked this", step->items[n - 1].by);
    json_t *line = late(step_line(step, "checked"), nsec_is_set(step->items[n - 1].late));
    json_object_set_new(line, "n", json_integer(n));
    if (step->n_checked + 1 == step->n_items)
        json_object_set_new(line, "complete", json_true());
    return write_line(a, "checklist", line);
}

/* Which update this is: the one that is owed, if its time has come near enough to be meant; else one more of
 * the current interval. */
static int64_t status_number(const struct state_step *step, nsec clock, bool *ret_late)
{
    const struct status_params *p = step->step->params;
    nsec since = nsec_sub(clock, step->began);
    int64_t current = since <= 0 ? 1 : (since + p->every - 1) / p->every;
    *ret_late = step->owed_n < current;
    return step->owed_n < current ? current - 1 : current;
}

static int do_status(struct act *a)
{
    const struct state_step *step = NULL;
    int r = open_step(a, PEOPLE_STATUS, &step);
    if (r < 0)
        return r;
    const struct status_params *p = step->step->params;
    if ((r = is_mine(a, !strcmp(p->from, a->role))) < 0)
        return r;
    if (step->life == STEP_DONE)
        return err_set(a->err, EALREADY, "no more updates are owed");
    bool too_late = false;
    AUTO_JSON *to = json_array();
    for (size_t i = 0; i < p->to.n; i++)
        if (assumed_responder(a->st->scenario->assumptions, p->to.items[i]))
            json_array_append_new(to, json_string(p->to.items[i]));
    AUTO_JSON *line = step_line(step, "sent");
    int64_t n = status_number(step, conduct_clock(a->c), &too_late);
    json_object_set_new(line, "n", json_integer(n));
    json_object_set(line, "to", to);
    if ((r = put_text(a, line, "text", COMMAND_TEXT_MAX, true)) < 0)
        return r;
    if (is_facilitator(a) && !json_object_get(a->command, "role"))
        a->role = p->from;
    return write_line(a, "status", json_incref(late(line, too_late)));
}

/* --- What people say --- */

static int put_word(const struct act *a, json_t *line, const char *key, const char *const *words,
                    const char *dflt)
{
    const char *word = jsonx_str(a->command, key, dflt);
    for (size_t i = 0; word && words[i]; i++)
        if (!strcmp(words[i], word)) {
            json_object_set_new(line, key, json_string(word));
            return 0;
        }
    return err_set(a->err, EINVAL, "'%s' is none of the words that it may be", key);
}

/* `step` and `objective`: what a note or a rating is about. */
static int put_about(const struct act *a, json_t *line)
{
    const char *step = jsonx_str(a->command, "step", NULL);
    const char *objective = jsonx_str(a->command, "objective", NULL);
    if (step && state_step_index(a->st, step) == a->st->n_steps)
        return err_set(a->err, ENOENT, "there is no such step");
    if (objective && !scenario_objective(a->st->scenario, objective))
        return err_set(a->err, ENOENT, "there is no such objective");
    if (step)
        json_object_set_new(line, "step", json_string(step));
    if (objective)
        json_object_set_new(line, "objective", json_string(objective));
    return 0;
}

/* What is to be done about an area for improvement: what the improvement plan needs to know of it. */
static int put_corrective(const struct act *a, json_t *line)
{
    static const char *const keys[] = {"area", "owner", "contact", "element", "start", "due"};
    bool corrective = !strcmp(jsonx_str(line, "what", ""), "corrective");
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (!corrective && json_object_get(a->command, keys[i]))
            return err_set(a->err, EINVAL, "'%s' is of a corrective action", keys[i]);
        int r = put_text(a, line, keys[i], COMMAND_TEXT_MAX, false);
        if (r < 0)
            return r;
    }
    return corrective ? corrective_check(line, a->err) : 0;
}

static int do_note(struct act *a)
{
    static const char *const words[] = {"note",        "observation", "strength",
                                        "improvement", "corrective",  NULL};
    bool plain = a->kind != ROLE_EVALUATOR && !is_facilitator(a);
    AUTO_JSON *line = json_object();
    int r = put_text(a, line, "text", COMMAND_TEXT_MAX, true);
    if (r < 0 || (r = put_word(a, line, "what", words, "note")) < 0)
        return r;
    if (plain && (strcmp(jsonx_str(line, "what", ""), "note") != 0 ||
                  json_object_get(a->command, "step") || json_object_get(a->command, "objective")))
        return err_set(a->err, EACCES, "observations are the evaluators'");
    if ((r = put_about(a, line)) < 0 || (r = put_corrective(a, line)) < 0)
        return r;
    return write_line(a, "note", json_incref(line));
}

static int do_mark(struct act *a)
{
    static const char *const words[] = {
        "paged",     "acknowledged",     "declared",  "aware",    "classified",
        "diagnosed", "mitigation_start", "mitigated", "resolved", NULL};
    AUTO_JSON *line = json_object();
    const char *service = jsonx_str(a->command, "service", NULL);
    int r = put_word(a, line, "mark", words, NULL);
    if (r < 0 || (r = put_text(a, line, "text", COMMAND_TEXT_MAX, false)) < 0)
        return r;
    if (service && !scenario_service(a->st->scenario, service))
        return err_set(a->err, ENOENT, "there is no such service");
    if (service)
        json_object_set_new(line, "service", json_string(service));
    nsec now = nsec_sub(loop_now(conduct_loop(a->c)), conduct_origin(a->c));
    json_object_set_new(line, "at", json_pack("[I,I]", (json_int_t)now, (json_int_t)now));
    return write_line(a, "mark", json_incref(line));
}

static int deliver(struct act *a, const json_t *message, const char *text_key, const char *what)
{
    AUTO_JSON *line = json_object(), *to = NULL;
    AUTO_FREE char *text = NULL;
    struct act inner = *a;
    inner.command = message;
    int r = take_roles(a, json_object_get(message, "to"), &to);
    if (r < 0 || (r = take_text(&inner, text_key, COMMAND_TEXT_MAX, true, &text)) < 0)
        return r;
    json_object_set(line, "to", to);
    json_object_set_new(line, "text", jsonx_new_text(text));
    json_object_set_new(line, "what", json_string(what));
    static const char *const optional[] = {"from", "channel", "title"};
    for (size_t i = 0; i < ARRAY_SIZE(optional); i++)
        if ((r = put_text(&inner, line, optional[i], 200, false)) < 0)
            return r;
    return write_line(a, "deliver", json_incref(line));
}

static int do_message(struct act *a)
{
    return deliver(a, a->command, "text", "message");
}

static int do_debrief(struct act *a)
{
    const struct debrief *d = a->st->scenario->exercise.debrief;
    const json_t *given = json_object_get(a->command, "answers");
    AUTO_JSON *answers = json_array();
    size_t n = d ? d->questions.n : 0;
    if (!json_is_array(given) || json_array_size(given) != n)
        return err_set(a->err, EINVAL,
                       "'answers' is a list with one text for each of %zu questions", n);
    for (size_t i = 0; i < n; i++) {
        struct act one = *a;
        AUTO_JSON *wrap = json_pack("{s:O}", "answer", json_array_get(given, i));
        AUTO_FREE char *text = NULL;
        one.command = wrap;
        int r = take_text(&one, "answer", COMMAND_TEXT_MAX, false, &text);
        if (r < 0)
            return r;
        json_array_append_new(answers, text && *text ? jsonx_new_text(text) : json_null());
    }
    if (state_has_answered(a->st, a->person))
        return err_set(a->err, EALREADY, "you have answered");
    if (a->st->ballot_open)
        return err_set(a->err, EALREADY, "the debrief is closed");
    if (d && d->anonymous)
        return conduct_answer_anonymously(a->c, a->person, a->role,
                                          jsonx_str(a->command, "key", NULL), answers, a->err);
    return write_line(a, "debrief", json_pack("{s:O}", "answers", answers));
}

/* --- What evaluators and facilitators do --- */

static int do_rate(struct act *a)
{
    static const char *const words[] = {"P", "S", "M", "U", NULL};
    AUTO_JSON *line = json_object();
    int r = put_about(a, line);
    if (r < 0)
        return r;
    if (json_object_size(line) != 1)
        return err_set(a->err, EINVAL, "give one of 'step' and 'objective'");
    if ((r = put_word(a, line, "rating", words, NULL)) < 0 ||
        (r = put_text(a, line, "note", COMMAND_TEXT_MAX, false)) < 0)
        return r;
    return write_line(a, "rating", json_incref(line));
}

static int do_hold(struct act *a)
{
    AUTO_JSON *line = json_pack("{s:s}", "event", "hold");
    int r = put_text(a, line, "reason", COMMAND_TEXT_MAX, false);
    if (r < 0)
        return r;
    if (a->st->stage == STAGE_HELD)
        return err_set(a->err, EALREADY, "the exercise is held");
    return write_line(a, "pace", json_incref(line));
}

static int do_go(struct act *a)
{
    const struct machine *m = conduct_machine(a->c);
    if (a->st->stage == STAGE_RUNNING)
        return err_set(a->err, EALREADY, "the exercise is running");
    int r = m && a->st->stage == STAGE_LOBBY ? m->may_go(m->data, a->err) : 0;
    if (r < 0)
        return r;
    return write_line(a, "pace", json_pack("{s:s}", "event", "go"));
}

static int do_speed(struct act *a)
{
    const json_t *j = json_object_get(a->command, "speed");
    double speed = json_number_value(j);
    if (!json_is_number(j) || !(speed >= 0.1 && speed <= 1000))
        return err_set(a->err, EINVAL, "'speed' is a number from 0.1 to 1000");
    if (conduct_machine(a->c))
        return err_set(a->err, EINVAL, "real hosts take part: their clock cannot be hurried");
    return write_line(a, "pace", json_pack("{s:s, s:f}", "event", "speed", "speed", speed));
}

static int do_skip(struct act *a)
{
    size_t i;
    const struct state_step *step = step_named(a, &i);
    if (!step)
        return err_set(a->err, ENOENT, "there is no such step");
    if (step->life == STEP_DONE || step->life == STEP_SKIPPED)
        return err_set(a->err, EALREADY, "'%s' %s", step->step->id,
                       step->life == STEP_DONE ? "is over" : "was skipped");
    if (step_is_machines(step->step) && step->life == STEP_OPEN)
        return err_set(a->err, EAGAIN, "'%s' has been done to hosts: 'undo' takes it away",
                       step->step->id);
    AUTO_JSON *line = step_line(step, "skipped");
    int r = put_text(a, line, "reason", COMMAND_TEXT_MAX, false);
    return r < 0 ? r : write_line(a, "step", json_incref(line));
}

static int do_send(struct act *a)
{
    size_t i;
    if (!step_named(a, &i))
        return err_set(a->err, ENOENT, "there is no such step");
    return conduct_send(a->c, i, a->person, jsonx_str(a->command, "key", NULL), a->err);
}

static int do_undo(struct act *a)
{
    size_t i;
    if (!step_named(a, &i))
        return err_set(a->err, ENOENT, "there is no such step");
    return conduct_take_back(a->c, i, a->person, jsonx_str(a->command, "key", NULL), a->err);
}

static int do_abort(struct act *a)
{
    const struct machine *m = conduct_machine(a->c);
    AUTO_FREE char *reason = NULL;
    AUTO_BUF detail = BUF_INIT;
    int r = take_text(a, "reason", COMMAND_TEXT_MAX, false, &reason);
    if (r < 0)
        return r;
    if (!m)
        return err_set(a->err, EINVAL, "nothing is done to hosts, so nothing is undone: 'end' it");
    buf_printf(&detail, "stopped by %s%s%s", a->person, reason && *reason ? ": " : "",
               reason ? reason : "");
    m->stop("operator", buf_text(&detail), m->data);
    return 0;
}

static int do_add(struct act *a)
{
    static const char *const known[] = {"to", "message", "from", "channel", "title"};
    const json_t *message = json_object_get(a->command, "tell");
    const char *key;
    json_t *value;
    if (!json_is_object(message))
        return err_set(a->err, EINVAL,
                       "'tell' is what to deliver: to, message, from, channel, title");
    json_object_foreach ((json_t *)(uintptr_t)message, key, value) {
        bool found = false;
        for (size_t i = 0; i < ARRAY_SIZE(known) && !found; i++)
            found = !strcmp(known[i], key);
        if (!found)
            return err_set(a->err, EINVAL, "'tell' takes to, message, from, channel and title");
    }
    return deliver(a, message, "message", "added");
}

static int do_branch(struct act *a)
{
    AUTO_FREE char *word = NULL;
    int r = take_text(a, "word", COMMAND_NAME_MAX, true, &word);
    if (r < 0)
        return r;
    nsec now = nsec_sub(loop_now(conduct_loop(a->c)), conduct_origin(a->c));
    return write_line(a, "mark",
                      json_pack("{s:s, s:s, s:b, s:[I,I]}", "mark", "note", "text", word, "word", 1,
                                "at", (json_int_t)now, (json_int_t)now));
}

static int do_phase(struct act *a)
{
    const char *id = jsonx_str(a->command, "phase", "");
    const struct objects *v = &a->st->scenario->exercise.phases;
    for (size_t i = 0; i < v->n; i++) {
        const struct phase *p = v->items[i];
        if (strcmp(p->id, id) != 0)
            continue;
        if (a->st->phase == (int)i)
            return err_set(a->err, EALREADY, "this phase has begun");
        return write_line(a, "phase", json_pack("{s:s}", "phase", id));
    }
    return err_set(a->err, ENOENT, "there is no such phase");
}

static int do_end(struct act *a)
{
    if (a->st->stage == STAGE_DEBRIEF)
        return conduct_end(a->c, "completed", NULL, a->err);
    return write_line(a, "pace", json_pack("{s:s}", "event", "debrief"));
}

/* --- The table --- */

static const struct command {
    const char *name;
    int (*fn)(struct act *a);
    unsigned kinds, stages;
    const char *members; /* besides do, key, role, person; blanks between */
} commands[] = {
    {"abort", do_abort, FACILITATORS, ALL_ALONG, "reason"},
    {"acknowledge", do_acknowledge, PLAYERS | FACILITATORS, IN_PLAY, "step"},
    {"add", do_add, FACILITATORS, AROUND_PLAY, "tell"},
    {"approve", do_approve, PLAYERS | FACILITATORS, IN_PLAY, "step"},
    {"branch", do_branch, FACILITATORS, AROUND_PLAY, "word"},
    {"check", do_check, PLAYERS | FACILITATORS, IN_PLAY, "step n"},
    {"debrief", do_debrief, EVERYBODY, IN(STAGE_DEBRIEF), "answers"},
    {"decide", do_decide, PLAYERS | FACILITATORS, IN_PLAY, "step option reason"},
    {"done", do_done, EVALUATORS | FACILITATORS, AROUND_PLAY, "step"},
    {"end", do_end, FACILITATORS, AROUND_PLAY | IN(STAGE_DEBRIEF), ""},
    {"go", do_go, FACILITATORS, IN(STAGE_LOBBY) | AROUND_PLAY, ""},
    {"hold", do_hold, FACILITATORS, AROUND_PLAY, "reason"},
    {"mark", do_mark, PLAYERS | FACILITATORS, IN_PLAY, "mark text service"},
    {"message", do_message, SIMULATORS | FACILITATORS, AROUND_PLAY, "to text title channel from"},
    {"note", do_note, EVERYBODY & ~(1u << ROLE_OBSERVER), ALL_ALONG,
     "text what step objective area owner contact element start due"},
    {"phase", do_phase, FACILITATORS, AROUND_PLAY, "phase"},
    {"rate", do_rate, EVALUATORS | FACILITATORS, AROUND_PLAY | IN(STAGE_DEBRIEF),
     "step objective rating note"},
    {"send", do_send, FACILITATORS, AROUND_PLAY, "step"},
    {"skip", do_skip, FACILITATORS, AROUND_PLAY, "step reason"},
    {"speed", do_speed, FACILITATORS, IN(STAGE_LOBBY) | AROUND_PLAY, "speed"},
    {"status", do_status, PLAYERS | FACILITATORS, IN_PLAY, "step text"},
    {"undo", do_undo, FACILITATORS, AROUND_PLAY, "step"},
};

static bool is_listed(const char *words, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = words; *p; p += strcspn(p, " "), p += *p == ' ')
        if (strcspn(p, " ") == n && !strncmp(p, word, n))
            return true;
    return false;
}

static int check_members(const struct act *a, const struct command *command)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)a->command, key, value) {
        if (!is_listed("do key role person", key) && !is_listed(command->members, key))
            return err_set(a->err, EINVAL, "'%s' takes: %s", command->name,
                           *command->members ? command->members : "nothing more");
        if ((!strcmp(key, "step") || !strcmp(key, "objective") || !strcmp(key, "key")) &&
            (!json_is_string(value) || json_string_length(value) > 64))
            return err_set(a->err, EINVAL, "'%s' is a text of at most 64 bytes", key);
    }
    return 0;
}

/* For whom: a facilitator may act for others. */
static int check_for_whom(struct act *a, const struct viewer *who, char **ret_person)
{
    const char *role = jsonx_str(a->command, "role", NULL);
    bool person = json_object_get(a->command, "person") != NULL;
    a->person = who->person;
    a->role = who->role;
    if ((json_object_get(a->command, "role") || person) && !is_facilitator(a))
        return err_set(a->err, EACCES, "only a facilitator acts for others");
    if (person) {
        int r = take_text(a, "person", COMMAND_NAME_MAX, true, ret_person);
        if (r < 0)
            return r;
        a->person = *ret_person;
    }
    if (json_object_get(a->command, "role") &&
        (!role || !assumed_responder(a->st->scenario->assumptions, role)))
        return err_set(a->err, ENOENT, "there is no such role");
    if (role)
        a->role = assumed_responder(a->st->scenario->assumptions, role)->name;
    return 0;
}

static int not_now(const struct act *a, const struct command *command)
{
    static const char *const why[] = {
        [STAGE_LOBBY] = "the exercise has not begun", [STAGE_RUNNING] = "the play is not over",
        [STAGE_HELD] = "the exercise is held",        [STAGE_DEBRIEF] = "the play is over",
        [STAGE_ENDED] = "the exercise has ended",
    };
    return err_set(a->err, a->st->stage == STAGE_ENDED ? EALREADY : EAGAIN, "%s",
                   why[a->st->stage]);
}

int command_do(struct conduct *c, const struct viewer *who, const json_t *command, struct err *err)
{
    const struct state *st = conduct_state(c);
    struct act a = {.c = c, .st = st, .command = command, .err = err};
    const struct command *found = NULL;
    AUTO_FREE char *person = NULL;
    const char *name = jsonx_str(command, "do", NULL), *key = jsonx_str(command, "key", NULL);
    if (!json_is_object(command) || !name)
        return err_set(err, EINVAL, "a command is an object with 'do'");
    for (size_t i = 0; i < ARRAY_SIZE(commands) && !found; i++)
        if (!strcmp(commands[i].name, name))
            found = &commands[i];
    if (!found)
        return err_set(err, EINVAL, "there is no such command");
    if (!who->role || !assumed_responder(st->scenario->assumptions, who->role))
        return err_set(err, EACCES, "join the exercise first");
    a.kind = state_role_kind(st, who->role);
    if (!(found->kinds & 1u << a.kind))
        return err_set(err, EACCES, "your role does not do this");
    int r = check_members(&a, found);
    if (r < 0 || (r = check_for_whom(&a, who, &person)) < 0)
        return r;
    if (key && state_has_key(st, key))
        return 0;
    if (!(found->stages & 1u << st->stage))
        return not_now(&a, found);
    return found->fn(&a);
}

int command_do_text(struct conduct *c, const struct viewer *who, const char *text, size_t n,
                    struct err *err)
{
    AUTO_JSON *command = NULL;
    if (n > COMMAND_MAX)
        return err_set(err, EINVAL, "a command has at most %d bytes", COMMAND_MAX);
    if (jsonx_parse(text, n, "the command", &command, err) < 0)
        return -EINVAL;
    return command_do(c, who, command, err);
}

/* --- Coming and going --- */

int command_join(struct conduct *c, const char *person, const char *role, const char **ret_person,
                 struct err *err)
{
    const struct state *st = conduct_state(c);
    AUTO_FREE char *name = NULL;
    AUTO_JSON *wrap = json_object();
    json_object_set_new(wrap, "name", person ? jsonx_new_text(person) : json_null());
    struct act a = {.c = c, .st = st, .command = wrap, .err = err};
    const struct responder *r = role ? assumed_responder(st->scenario->assumptions, role) : NULL;
    if (st->stage == STAGE_ENDED)
        return err_set(err, EALREADY, "the exercise has ended");
    if (!r)
        return err_set(err, ENOENT, "there is no such role in this exercise");
    int rc = take_text(&a, "name", COMMAND_NAME_MAX, true, &name);
    if (rc < 0)
        return rc;
    if (strpbrk(name, "\n\t"))
        return err_set(err, EINVAL, "a name is one line");
    const struct state_person *p = state_person(st, name);
    if (!p && st->n_people >= COMMAND_PEOPLE_MAX)
        return err_set(err, EINVAL, "%d people take part: no more can join", COMMAND_PEOPLE_MAX);
    bool back = p && p->role && !strcmp(p->role, role);
    if (!back || !p->connected)
        rc = conduct_write(c, "join",
                           json_pack("{s:o, s:s, s:s}", "person", jsonx_new_text(name), "role",
                                     r->name, "event", back ? "back" : "join"),
                           err);
    if (rc < 0)
        return rc;
    *ret_person = state_person(st, name)->name;
    return 0;
}

int command_presence(struct conduct *c, const char *person, const char *event, struct err *err)
{
    const struct state *st = conduct_state(c);
    const struct state_person *p = state_person(st, person);
    if (!p || !p->role)
        return err_set(err, ENOENT, "nobody of that name takes part");
    if (st->stage == STAGE_ENDED)
        return err_set(err, EALREADY, "the exercise has ended");
    bool leave = !strcmp(event, "leave"), back = !strcmp(event, "back");
    if (!leave && !back && strcmp(event, "away") != 0)
        return err_set(err, EINVAL, "somebody is away, back, or leaves");
    if (!leave && p->connected == back)
        return 0;
    return conduct_write(c, "join",
                         json_pack("{s:o, s:s, s:s}", "person", jsonx_new_text(p->name), "role",
                                   p->role, "event", event),
                         err);
}
