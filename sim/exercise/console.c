/* Words for commands and commands for words. */
#include "sim/exercise/console.h"

#include "sim/base/jsonx.h"
#include "sim/exercise/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CONSOLE_NEXT = 4 }; /* so many of what comes are shown unasked */

/* --- Words out --- */

/* Control characters but newlines and tabs become '?', whoever sent them. */
static void add(struct buf *out, const char *text)
{
    size_t from = out->len;
    buf_adds(out, text ? text : "");
    text_make_printable(out->text ? out->text + from : NULL, out->len - from);
}

static void add_clock(struct buf *out, nsec t)
{
    long s = (long)(t / NSEC_SEC);
    buf_printf(out, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
}

static void add_list(struct buf *out, const json_t *list)
{
    size_t i;
    json_t *one;
    json_array_foreach (list, i, one) {
        buf_adds(out, i ? ", " : "");
        add(out, json_string_value(one));
    }
}

static void add_indented(struct buf *out, const char *text)
{
    buf_adds(out, "          ");
    for (const char *p = text; *p; p++) {
        char one[2] = {*p, '\0'};
        if (*p == '\n' && p[1])
            buf_adds(out, "\n          ");
        else if (*p != '\n')
            buf_adds(out, one);
    }
    buf_addc(out, '\n');
}

static void event_head(const json_t *event, struct buf *out, const char *what)
{
    add_clock(out, jsonx_int(event, "clock", 0));
    buf_printf(out, "  %s", what);
}

static void delivered(const json_t *event, struct buf *out, const char *what)
{
    event_head(event, out, what);
    if (jsonx_str(event, "number", NULL)) {
        buf_addc(out, ' ');
        add(out, jsonx_str(event, "number", ""));
    }
    buf_adds(out, " to ");
    add_list(out, json_object_get(event, "to"));
    if (jsonx_str(event, "from", NULL)) {
        buf_adds(out, ", from ");
        add(out, jsonx_str(event, "from", ""));
    }
    if (jsonx_str(event, "channel", NULL)) {
        buf_adds(out, " by ");
        add(out, jsonx_str(event, "channel", ""));
    }
    if (jsonx_str(event, "title", NULL)) {
        buf_adds(out, ": ");
        add(out, jsonx_str(event, "title", ""));
    }
    buf_addc(out, '\n');
    AUTO_BUF text = BUF_INIT;
    add(&text, jsonx_str(event, "text", ""));
    add_indented(out, buf_text(&text));
}

static void asked(const json_t *event, struct buf *out)
{
    size_t i;
    json_t *one;
    event_head(event, out, "DECISION ");
    add(out, jsonx_str(event, "step", ""));
    buf_adds(out, " by ");
    add(out, jsonx_str(event, "who", ""));
    buf_adds(out, ": ");
    add(out, jsonx_str(event, "question", ""));
    buf_addc(out, '\n');
    json_array_foreach (json_object_get(event, "options"), i, one) {
        buf_printf(out, "          %zu  ", i + 1);
        add(out, json_string_value(one));
        buf_addc(out, '\n');
    }
}

static void plain(const json_t *event, struct buf *out)
{
    static const char *const members[] = {
        "step",  "name", "phase",  "service", "probe",     "alarm",  "state", "person",
        "event", "n",    "option", "rating",  "objective", "mark",   "what",  "outcome",
        "cause", "text", "seen",   "error",   "reason",    "detail", "by"};
    event_head(event, out, jsonx_str(event, "kind", ""));
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        const json_t *value = json_object_get(event, members[i]);
        if (!value)
            continue;
        buf_adds(out, !strcmp(members[i], "by") ? " by " : " ");
        if (json_is_integer(value))
            buf_printf(out, "%lld", (long long)json_integer_value(value));
        else
            add(out, json_string_value(value));
    }
    if (jsonx_bool(event, "late", false))
        buf_adds(out, " (late)");
    if (jsonx_bool(event, "default", false))
        buf_adds(out, " (nobody decided in time)");
    buf_addc(out, '\n');
}

void console_event(const struct state *st, const json_t *event, struct buf *out)
{
    static const char *const unasked[] = {"run-start", "plan",    "lab",   "probe",
                                          "load",      "silence", "clean", "notice"};
    const char *kind = jsonx_str(event, "kind", ""), *what = jsonx_str(event, "event", "");
    if (!strcmp(what, "tick"))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(unasked); i++)
        if (!strcmp(kind, unasked[i]))
            return;
    if (!strcmp(kind, "deliver"))
        delivered(event, out, jsonx_str(event, "what", "inject"));
    else if (!strcmp(kind, "page") && !strcmp(what, "paged"))
        delivered(event, out, "page");
    else if (!strcmp(kind, "question"))
        asked(event, out);
    else
        plain(event, out);
}

/* --- Where things stand --- */

static void now_open(const struct state *st, struct buf *out)
{
    for (size_t i = 0; i < st->n_steps; i++) {
        const struct state_step *step = &st->steps[i];
        nsec deadline = state_deadline(st, i);
        if (step->life != STEP_OPEN || !step_common(step->step))
            continue;
        buf_printf(out, "  open      %-12s %s: ", people_step_words[step_people(step->step)],
                   step->step->id);
        add(out, step_common(step->step)->title);
        if (nsec_is_set(deadline)) {
            buf_adds(out, nsec_is_set(step->missed) ? ", was due " : ", until ");
            add_clock(out, deadline);
        }
        buf_addc(out, '\n');
    }
}

static void now_next(const struct state *st, size_t most, struct buf *out)
{
    bool shown[4096] = {false};
    for (size_t k = 0; k < most; k++) {
        size_t best = st->n_steps;
        nsec at = NSEC_UNSET;
        for (size_t i = 0; i < st->n_steps && i < ARRAY_SIZE(shown); i++) {
            nsec due = state_step_due(st, i);
            if (shown[i] || st->steps[i].life != STEP_WAITING || !nsec_is_set(due))
                continue;
            if (best == st->n_steps || due < at) {
                best = i;
                at = due;
            }
        }
        if (best == st->n_steps)
            break;
        const struct step *step = st->steps[best].step;
        const struct people_common *c = step_common(step);
        shown[best] = true;
        buf_adds(out, "  next  ");
        add_clock(out, at);
        buf_printf(out, "  %-12s %s: ", step->action->name, step->id);
        add(out, c ? c->title : "");
        buf_addc(out, '\n');
    }
}

static void console_state(const struct conduct *c, size_t most, struct buf *out)
{
    const struct state *st = conduct_state(c);
    add_clock(out, conduct_clock(c));
    buf_printf(out, "  %s", state_stage_words[st->stage]);
    if (st->stage == STAGE_HELD && st->held_why) {
        buf_adds(out, ": ");
        add(out, st->held_why);
    }
    if (st->phase >= 0) {
        const struct phase *p = st->scenario->exercise.phases.items[st->phase];
        buf_printf(out, "  phase %d: ", st->phase + 1);
        add(out, p->title);
    }
    buf_addc(out, '\n');
    for (size_t i = 0; i < st->n_services; i++) {
        const struct state_service *s = &st->services[i];
        if (!nsec_is_set(s->down_since))
            continue;
        buf_printf(out, "  down      %s since ", s->service->name);
        add_clock(out, s->down_since);
        if (nsec_is_set(s->service->rto)) {
            buf_adds(out, ", promised back by ");
            add_clock(out, nsec_add(s->down_since, s->service->rto));
        }
        buf_addc(out, '\n');
    }
    now_open(st, out);
    now_next(st, most, out);
}

void console_now(const struct conduct *c, struct buf *out)
{
    console_state(c, CONSOLE_NEXT, out);
}

/* --- Words in --- */

/* How the rest of a line is read: names of members, one for each word, the last one takes the rest. */
static const struct word {
    const char *word, *does, *members, *help;
} words[] = {
    {"abort", "abort", "reason", "undoes what was done to hosts, and ends everything"},
    {"ack", "acknowledge", "step", "somebody acknowledges the page"},
    {"add", "add", "to message", "an inject of your own: ROLE,ROLE or all, and its text"},
    {"approve", "approve", "step person", "PERSON consents"},
    {"branch", "branch", "word", "says WORD, for steps that wait for it"},
    {"check", "check", "step n", "line N of the checklist is done"},
    {"corrective", "note", "owner due element text",
     "who does what by when: 2027-01-31, training; -: open"},
    {"decide", "decide", "step option reason", "OPTION by its number or in one word, and why"},
    {"done", "done", "step", "what was expected has been done"},
    {"end", "end", "", "the play is over; once more: the debrief, too"},
    {"go", "go", "", "begins, or goes on after a hold"},
    {"hold", "hold", "reason", "stops the clock"},
    {"mark", "mark", "mark text", "declared, mitigated, resolved … has been reached"},
    {"note", "note", "text", "a note of yours"},
    {"phase", "phase", "phase", "begins that phase now"},
    {"rate", "rate", "about rating note", "step or objective: P, S, M or U, and why"},
    {"send", "send", "step", "begins that step now"},
    {"skip", "skip", "step reason", "leaves that step out"},
    {"speed", "speed", "speed", "the clock goes so many times as fast"},
    {"status", "status", "step text", "an update was sent, with this text"},
    {"undo", "undo", "step", "takes that fault on hosts away now"},
};

void console_help(struct buf *out)
{
    buf_adds(out, "now, next, people: where things stand. Commands:\n");
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        buf_printf(out, "  %-8s %-20s %s\n", words[i].word, words[i].members, words[i].help);
}

static const struct state_step *decision_of(const struct conduct *c, const json_t *command)
{
    const struct state *st = conduct_state(c);
    size_t i = state_step_index(st, jsonx_str(command, "step", ""));
    return i < st->n_steps && step_people(st->steps[i].step) == PEOPLE_DECIDE ? &st->steps[i]
                                                                              : NULL;
}

static void set_list(json_t *o, const char *key, const char *text)
{
    json_t *list = json_array();
    for (const char *p = text; *p; p += strcspn(p, ","), p += *p == ',')
        json_array_append_new(list, jsonx_new_textn(p, strcspn(p, ",")));
    json_object_set_new(o, key, list);
}

/* A word of the line as the member that it is. */
static void set_member(const struct conduct *c, json_t *command, const char *key, const char *text)
{
    const struct state_step *decision = decision_of(c, command);
    char *end = NULL;
    long n = strtol(text, &end, 10);
    bool whole = *text && !*end;
    if (!strcmp(text, "-") && strcmp(key, "text") != 0)
        return;
    if (!strcmp(key, "n")) {
        json_object_set_new(command, key, json_integer(n));
    } else if (!strcmp(key, "speed")) {
        json_object_set_new(command, key, json_real(strtod(text, NULL)));
    } else if (!strcmp(key, "to")) {
        set_list(command, key, text);
    } else if (!strcmp(key, "option") && whole && decision) {
        const struct strv *options =
            &((const struct decide_params *)decision->step->params)->options;
        bool there = n >= 1 && n <= (long)options->n;
        json_object_set_new(command, key, jsonx_new_text(there ? options->items[n - 1] : text));
    } else if (!strcmp(key, "about")) {
        bool step = state_step_index(conduct_state(c), text) < conduct_state(c)->n_steps;
        json_object_set_new(command, step ? "step" : "objective", jsonx_new_text(text));
    } else {
        json_object_set_new(command, key, jsonx_new_text(text));
    }
}

static json_t *command_of(const struct conduct *c, const struct word *w, const char *rest)
{
    json_t *command = json_pack("{s:s}", "do", w->does);
    if (strcmp(w->word, w->does) != 0 && !strcmp(w->does, "note"))
        json_object_set_new(command, "what", json_string(w->word));
    for (const char *m = w->members; *m && *rest;) {
        size_t n = strcspn(m, " ");
        bool last = !m[n];
        AUTO_FREE char *key = strndup(m, n);
        AUTO_FREE char *value = strndup(rest, last ? strlen(rest) : strcspn(rest, " "));
        set_member(c, command, key, value);
        rest += strlen(value);
        rest += strspn(rest, " ");
        m += n + !last;
    }
    if (strcmp(w->does, "add") != 0)
        return command;
    json_t *tell = json_object(); /* add: its members stand one level deeper */
    json_object_set(tell, "to", json_object_get(command, "to"));
    json_object_set(tell, "message", json_object_get(command, "message"));
    json_decref(command);
    return json_pack("{s:s, s:o}", "do", "add", "tell", tell);
}

static void say_people(const struct conduct *c, struct buf *out)
{
    const struct state *st = conduct_state(c);
    for (size_t i = 0; i < st->n_people; i++) {
        const struct state_person *p = &st->people[i];
        buf_printf(out, "  %-24s ", p->role ? p->role : "has left");
        add(out, p->name);
        buf_adds(out, p->connected || !p->role ? "\n" : " (not connected)\n");
    }
}

static bool question(const struct conduct *c, const char *word, struct buf *out)
{
    if (!*word || !strcmp(word, "now"))
        console_now(c, out);
    else if (!strcmp(word, "next"))
        console_state(c, conduct_state(c)->n_steps, out);
    else if (!strcmp(word, "people"))
        say_people(c, out);
    else if (!strcmp(word, "help") || !strcmp(word, "?"))
        console_help(out);
    else
        return false;
    return true;
}

int console_line(struct conduct *c, const struct viewer *who, const char *line, struct buf *out)
{
    const char *names[ARRAY_SIZE(words)];
    const struct word *found = NULL;
    struct err err = ERR_INIT;
    while (*line == ' ' || *line == '\t')
        line++;
    size_t n = strcspn(line, " \t\r\n"), full = strcspn(line, "\r\n");
    AUTO_FREE char *word = strndup(line, n);
    AUTO_FREE char *rest = strndup(line + n, full - n);
    if (question(c, word, out))
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        names[i] = words[i].word;
        if (!strcmp(words[i].word, word))
            found = &words[i];
    }
    if (!found) {
        const char *near = text_nearest(word, names, ARRAY_SIZE(words));
        if (near)
            buf_printf(out, "there is no such command; did you mean '%s'?\n", near);
        else
            buf_adds(out, "there is no such command; 'help' tells them\n");
        return -EINVAL;
    }
    AUTO_JSON *command = command_of(c, found, rest + strspn(rest, " \t"));
    int r = command_do(c, who, command, &err);
    if (r < 0) {
        add(out, err.text);
        buf_addc(out, '\n');
    }
    return r;
}
