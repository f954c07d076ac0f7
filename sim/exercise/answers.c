/* One list of answers, from YAML or from a record, each given when its time has come. */
#include "sim/exercise/answers.h"

#include "scenarios/tree.h"
#include "sim/base/arena.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/base/units.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ANSWERS_FILE_MAX = 16 << 20 };

struct answer {
    nsec at;     /* of the exercise clock; NSEC_UNSET: */
    nsec after;  /* so long after the beginning of */
    size_t step; /* this one */
    char *person, *role;
    json_t *command;
    bool given;
};

struct answers {
    const struct scenario *scenario;
    struct arena *arena;
    struct answer *items;
    size_t n, room, refused;
    char *facilitator, *facilitator_role;
    struct conduct *c; /* NULL: not played */
    struct conduct_listener listener;
    struct loop_timer timer;
};

static struct answer *answer_add(struct answers *a)
{
    if (a->n == a->room) {
        a->room = a->room ? a->room * 2 : 64;
        a->items = realloc(a->items, a->room * sizeof *a->items);
        if (!a->items)
            abort();
    }
    struct answer *one = &a->items[a->n++];
    *one = (struct answer){.at = NSEC_UNSET, .command = json_object()};
    return one;
}

static const char *first_person(const struct responder *r)
{
    return r->people.n ? r->people.items[0] : r->name;
}

static struct answers *answers_new(const struct scenario *s)
{
    struct answers *a = calloc(1, sizeof *a);
    if (!a)
        abort();
    *a = (struct answers){.scenario = s, .arena = arena_new()};
    for (size_t i = 0; i < s->assumptions->roles.n && !a->facilitator; i++) {
        const struct responder *r = s->assumptions->roles.items[i];
        if (r->kind == ROLE_FACILITATOR) {
            a->facilitator = arena_strdup(a->arena, first_person(r));
            a->facilitator_role = r->name;
        }
    }
    return a;
}

void answers_leave(struct answers *a)
{
    if (!a->c)
        return;
    conduct_unlisten(a->c, &a->listener);
    loop_timer_cancel(conduct_loop(a->c), &a->timer);
    a->c = NULL;
}

struct answers *answers_free(struct answers *a)
{
    if (!a)
        return NULL;
    answers_leave(a);
    for (size_t i = 0; i < a->n; i++)
        json_decref(a->items[i].command);
    free(a->items);
    arena_free(a->arena);
    free(a);
    return NULL;
}

size_t answers_n(const struct answers *a)
{
    return a->n;
}

size_t answers_refused(const struct answers *a)
{
    return a->refused;
}

/* --- Written ones --- */

static json_t *node_json(const struct node *node, const char *key)
{
    if (node->kind == NODE_LIST) {
        json_t *list = json_array();
        for (size_t i = 0; i < node->n; i++)
            json_array_append_new(list, node_json(node->items[i], NULL));
        return list;
    }
    if (node->kind == NODE_MAP) {
        json_t *o = json_object();
        for (size_t i = 0; i < node->n; i++)
            json_object_set_new(o, node->entries[i].key->text,
                                node_json(node->entries[i].value, NULL));
        return o;
    }
    int64_t whole = 0;
    char *end = NULL;
    if (node_is_null(node))
        return json_null();
    if (key && !strcmp(key, "n") && units_integer(node->text, &whole, NULL) == 0)
        return json_integer(whole);
    if (key && !strcmp(key, "speed"))
        return json_real(strtod(node->text, &end));
    return jsonx_new_text(node->text);
}

static bool take_time(const struct node *entry, const char *key, nsec *ret, struct diags *diags)
{
    const struct node *node = node_get(entry, key);
    struct err err = ERR_INIT;
    *ret = NSEC_UNSET;
    if (!node)
        return false;
    if (node->kind != NODE_SCALAR || units_duration(node->text, ret, &err) < 0)
        diags_error(diags, node->place, "'%s' must be a duration like 90s", key);
    return true;
}

/* A name that must be one of those, with the nearest one. */
static void check_name(const struct node *node, const char *what, const struct objects *of,
                       struct diags *diags)
{
    const char *names[256];
    char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
    size_t n = 0;
    if (!node || node->kind != NODE_SCALAR)
        return;
    for (size_t i = 0; i < of->n; i++) {
        const char *name = *(char *const *)of->items[i]; /* their first member */
        if (!strcmp(name, node->text))
            return;
        if (n < ARRAY_SIZE(names))
            names[n++] = name;
    }
    diags_error(diags, node->place, "there is no %s '%s'%s", what, diag_quote(node->text, quoted),
                diag_nearest(node->text, names, n, hint));
}

static const char *scalar(const struct node *entry, const char *key)
{
    const struct node *node = node_get(entry, key);
    return node && node->kind == NODE_SCALAR ? node->text : NULL;
}

static void load_entry(struct answers *a, const struct node *entry, struct diags *diags)
{
    static const char *const ours[] = {"at", "after", "since", "person", "role"};
    const struct scenario *s = a->scenario;
    if (entry->kind != NODE_MAP) {
        diags_error(diags, entry->place, "an answer is a mapping: role, do, and what it needs");
        return;
    }
    const char *role = scalar(entry, "role"), *person = scalar(entry, "person");
    const char *step = scalar(entry, scalar(entry, "since") ? "since" : "step");
    if (!role || !scalar(entry, "do")) {
        diags_error(diags, entry->place, "an answer needs 'role' and 'do'");
        return;
    }
    check_name(node_get(entry, "role"), "role of people", &s->assumptions->roles, diags);
    check_name(node_get(entry, "step"), "step", &s->script, diags);
    check_name(node_get(entry, "since"), "step", &s->script, diags);
    check_name(node_get(entry, "objective"), "objective", &s->exercise.objectives, diags);
    struct answer *one = answer_add(a);
    const struct responder *r = assumed_responder(s->assumptions, role);
    bool at = take_time(entry, "at", &one->at, diags);
    bool after = take_time(entry, "after", &one->after, diags);
    if (at && after)
        diags_error(diags, entry->place, "an answer has 'at' or 'after', not both");
    if (!after)
        one->after = 0;
    if (!at && !step && strcmp(scalar(entry, "do"), "debrief") != 0)
        diags_error(diags, entry->place,
                    "when? Give 'at', or a 'step' (or 'since') to come 'after'");
    for (size_t i = 0; i < s->script.n; i++)
        if (step && !strcmp(((const struct step *)s->script.items[i])->id, step))
            one->step = i;
    if (!at && !step)
        one->at = s->horizon;
    one->role = arena_strdup(a->arena, role);
    one->person = arena_strdup(a->arena, person ? person : r ? first_person(r) : role);
    for (size_t i = 0; i < entry->n; i++) {
        const char *key = entry->entries[i].key->text;
        bool own = false;
        for (size_t k = 0; k < ARRAY_SIZE(ours); k++)
            own = own || !strcmp(ours[k], key);
        if (!own)
            json_object_set_new(one->command, key, node_json(entry->entries[i].value, key));
    }
}

static int load_yaml(struct answers *a, const char *text, size_t n, const char *name,
                     struct diags *diags)
{
    CLEANUP(arena_free_p) struct arena *arena = arena_new();
    struct tree_budget used = {0};
    const struct node *root = tree_parse(arena, text, n, name, &used, diags);
    const struct node *list = root ? node_get(root, "answers") : NULL;
    if (!root)
        return -EINVAL;
    if (!list || list->kind != NODE_LIST) {
        diags_error(diags, root->place, "a file of answers has 'answers': a list of them");
        return -EINVAL;
    }
    for (size_t i = 0; i < list->n && !diags_is_full(diags); i++)
        load_entry(a, list->items[i], diags);
    return diags->n_errors ? -EINVAL : 0;
}

/* --- Those of a record --- */

/* Members of a line that are members of the command under the same name. */
static void copy(json_t *command, const json_t *line, const char *const *keys)
{
    for (; *keys; keys++) {
        json_t *value = json_object_get(line, *keys);
        if (value)
            json_object_set(command, *keys, value);
    }
}

static const struct from_line {
    const char *kind, *event, *does;
    const char *keys[11];
} from_lines[] = {
    {"decision", NULL, "decide", {"step", "option", "reason"}},
    {"expected", "done", "done", {"step"}},
    {"approval", "given", "approve", {"step"}},
    {"checklist", "checked", "check", {"step", "n"}},
    {"status", "sent", "status", {"step", "text"}},
    {"page", "acknowledged", "acknowledge", {"step"}},
    {"rating", NULL, "rate", {"step", "objective", "rating", "note"}},
    {"note",
     NULL,
     "note",
     {"text", "what", "step", "objective", "area", "owner", "contact", "element", "start", "due"}},
    {"step", "skipped", "skip", {"step", "reason"}},
    {"step", "ends", "undo", {"step"}},
    {"phase", NULL, "phase", {"phase"}},
    {"debrief", NULL, "debrief", {"answers"}},
    {"pace", "speed", NULL, {NULL}},
};

/* The command that a line came from; false: it came from none, or from the clock's. */
static bool command_of(const json_t *line, json_t *command)
{
    const char *kind = jsonx_str(line, "kind", ""), *event = jsonx_str(line, "event", NULL);
    const char *what = jsonx_str(line, "what", "");
    static const char *const say[] = {"from", "channel", "title", "to", NULL};
    static const char *const said[] = {"text", NULL}, *const mark[] = {"mark", "text", "service",
                                                                       NULL};
    if (!strcmp(kind, "mark")) {
        bool word = jsonx_bool(line, "word", false);
        json_object_set_new(command, "do", json_string(word ? "branch" : "mark"));
        if (word)
            json_object_set_new(command, "word", json_string(jsonx_str(line, "text", "")));
        else
            copy(command, line, mark);
        return true;
    }
    if (!strcmp(kind, "deliver") && !strcmp(what, "message")) {
        json_object_set_new(command, "do", json_string("message"));
        copy(command, line, say);
        copy(command, line, said);
        return true;
    }
    if (!strcmp(kind, "deliver") && !strcmp(what, "added")) {
        json_t *tell = json_object();
        copy(tell, line, say);
        json_object_set_new(tell, "message", json_string(jsonx_str(line, "text", "")));
        json_object_set_new(command, "do", json_string("add"));
        json_object_set_new(command, "tell", tell);
        return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(from_lines); i++) {
        const struct from_line *f = &from_lines[i];
        if (strcmp(f->kind, kind) != 0 || (f->event && (!event || strcmp(f->event, event) != 0)))
            continue;
        if (!f->does)
            return false;
        json_object_set_new(command, "do", json_string(f->does));
        copy(command, line, f->keys);
        return true;
    }
    if (jsonx_str(line, "step", NULL) && strcmp(kind, "pace") != 0) { /* begun out of turn */
        json_object_set_new(command, "do", json_string("send"));
        json_object_set_new(command, "step", json_string(jsonx_str(line, "step", "")));
        return true;
    }
    return false;
}

/* An anonymous answer was somebody's: any player's. */
static const char *any_player(const struct scenario *s)
{
    for (size_t i = 0; i < s->assumptions->roles.n; i++) {
        const struct responder *r = s->assumptions->roles.items[i];
        if (r->kind == ROLE_PLAYER)
            return r->name;
    }
    return "";
}

static void load_one(struct answers *a, const json_t *line)
{
    const char *by = jsonx_str(line, "by", NULL), *kind = jsonx_str(line, "kind", "");
    bool anonymous = !by && !strcmp(kind, "debrief");
    AUTO_JSON *command = json_object();
    if ((!by && !anonymous) || !strcmp(kind, "run-end") || jsonx_bool(line, "default", false) ||
        !command_of(line, command))
        return;
    struct answer *one = answer_add(a);
    const char *role = jsonx_str(line, "role", NULL);
    json_object_update(one->command, command);
    one->at = jsonx_int(line, "clock", 0);
    one->role = arena_strdup(a->arena, role        ? role
                                       : anonymous ? any_player(a->scenario)
                                                   : a->facilitator_role);
    one->person = by ? arena_strdup(a->arena, by) : arena_printf(a->arena, "participant %zu", a->n);
}

/* Of an anonymous debrief the texts stand together in one line, and who answered is of no use. */
static void load_line(struct answers *a, const json_t *line)
{
    const char *event = jsonx_str(line, "event", "");
    size_t i;
    json_t *texts;
    if (strcmp(jsonx_str(line, "kind", ""), "debrief") != 0 || !*event) {
        load_one(a, line);
        return;
    }
    json_array_foreach (json_object_get(line, "anonymous"), i, texts) {
        AUTO_JSON *one = json_pack("{s:s, s:O, s:O}", "kind", "debrief", "clock",
                                   json_object_get(line, "clock"), "answers", texts);
        load_one(a, one);
    }
}

static int load_record(struct answers *a, int dirfd, const char *name, struct err *err)
{
    AUTO_JSON *events = NULL;
    size_t i, torn = 0;
    json_t *line;
    struct record_head head;
    int r = record_read(dirfd, name, &events, &head, &torn, err);
    if (r < 0)
        return r;
    if (!strcmp(jsonx_str(json_array_get(events, 0), "mode", ""), "live"))
        return err_set(err, EINVAL, "%s is the record of a drill: nobody answered anything", name);
    json_array_foreach (events, i, line)
        load_line(a, line);
    return 0;
}

/* --- Loading --- */

int answers_load_text(const char *text, size_t n, const char *name, const struct scenario *s,
                      struct diags *diags, struct answers **ret, struct err *err)
{
    CLEANUP(answers_free_p) struct answers *a = answers_new(s);
    int r = load_yaml(a, text, n, name, diags);
    if (r < 0)
        return r;
    *ret = steal_ptr(a);
    return 0;
}

int answers_load(const char *path, const struct scenario *s, struct diags *diags,
                 struct answers **ret, struct err *err)
{
    struct stat st;
    size_t n = strlen(path);
    if (stat(path, &st) < 0)
        return err_errno(err, errno, "cannot read the answers %s", path);
    if (S_ISDIR(st.st_mode) || (n > 7 && !strcmp(path + n - 7, ".ndjson"))) {
        CLEANUP(answers_free_p) struct answers *a = answers_new(s);
        AUTO_BUF name = BUF_INIT;
        buf_printf(&name, "%s%s", path, S_ISDIR(st.st_mode) ? "/record.ndjson" : "");
        int r = load_record(a, AT_FDCWD, buf_text(&name), err);
        if (r == 0)
            *ret = steal_ptr(a);
        return r;
    }
    AUTO_FREE char *text = NULL;
    int r = file_read(AT_FDCWD, path, ANSWERS_FILE_MAX, &text, &n, err);
    return r < 0 ? r : answers_load_text(text, n, path, s, diags, ret, err);
}

/* --- Playing --- */

static void answer_key(size_t i, char key[32])
{
    snprintf(key, 32, "answer-%zu", i + 1);
}

/* When its time is; NSEC_UNSET: not known yet. */
static nsec answer_due(const struct answers *a, const struct answer *one)
{
    if (nsec_is_set(one->at))
        return one->at;
    nsec began = conduct_state(a->c)->steps[one->step].began;
    return nsec_is_set(began) ? nsec_add(began, one->after) : NSEC_UNSET;
}

static void answer_give(struct answers *a, size_t i)
{
    struct answer *one = &a->items[i];
    struct viewer who = {one->person, one->role};
    struct err err = ERR_INIT;
    char key[32];
    one->given = true;
    answer_key(i, key);
    json_object_set_new(one->command, "key", json_string(key));
    if (command_do(a->c, &who, one->command, &err) == 0 || conduct_failure(a->c, NULL) < 0)
        return;
    a->refused++;
    (void)conduct_write(a->c, "trouble",
                        json_pack("{s:s, s:o, s:s}", "what", "answer-refused", "detail",
                                  jsonx_new_text(err.text), "key", key),
                        NULL);
}

/* The next one: the earliest, of several the first in the file. */
static size_t answer_next(const struct answers *a, nsec *ret_at)
{
    size_t best = a->n;
    for (size_t i = 0; i < a->n; i++) {
        nsec at = a->items[i].given ? NSEC_UNSET : answer_due(a, &a->items[i]);
        if (nsec_is_set(at) && (best == a->n || at < *ret_at)) {
            best = i;
            *ret_at = at;
        }
    }
    return best;
}

/* The play is over: whatever is left is said now. */
static void answers_end(struct answers *a)
{
    for (size_t i = 0; i < a->n && !conduct_is_over(a->c); i++)
        if (!a->items[i].given)
            answer_give(a, i);
    if (!conduct_is_over(a->c))
        (void)conduct_end(a->c, "completed", NULL, NULL);
}

static void answers_arm(struct answers *a)
{
    nsec at = 0;
    struct loop *loop = conduct_loop(a->c);
    enum state_stage stage = conduct_state(a->c)->stage;
    if (conduct_is_over(a->c) || stage == STAGE_LOBBY)
        loop_timer_cancel(loop, &a->timer);
    else if (stage == STAGE_DEBRIEF || stage == STAGE_HELD)
        loop_timer_set(loop, &a->timer, loop_now(loop));
    else if (answer_next(a, &at) < a->n)
        loop_timer_set(loop, &a->timer, conduct_when(a->c, at));
    else
        loop_timer_cancel(loop, &a->timer);
}

static void on_timer(struct loop_timer *t, void *data)
{
    struct answers *a = data;
    struct viewer facilitator = {a->facilitator, a->facilitator_role};
    nsec at = 0;
    if (conduct_catch_up(a->c, NULL) < 0)
        return;
    enum state_stage stage = conduct_state(a->c)->stage;
    if (stage == STAGE_HELD) {
        AUTO_JSON *go = json_pack("{s:s}", "do", "go");
        (void)command_do(a->c, &facilitator, go, NULL);
    } else if (stage == STAGE_DEBRIEF) {
        answers_end(a);
    } else if (stage == STAGE_RUNNING) {
        size_t i = answer_next(a, &at);
        if (i < a->n && at <= conduct_clock(a->c))
            answer_give(a, i);
    }
    answers_arm(a);
}

static void on_event(const json_t *event, void *data)
{
    answers_arm(data);
}

static int join_all(struct answers *a, struct err *err)
{
    const char *name = NULL;
    int r = command_join(a->c, a->facilitator, a->facilitator_role, &name, err);
    for (size_t i = 0; i < a->n && r == 0; i++) {
        const struct state_person *p = state_person(conduct_state(a->c), a->items[i].person);
        if (!p)
            r = command_join(a->c, a->items[i].person, a->items[i].role, &name, err);
    }
    return r;
}

int answers_play(struct answers *a, struct conduct *c, struct err *err)
{
    const struct state *st = conduct_state(c);
    struct viewer facilitator = {a->facilitator, a->facilitator_role};
    a->c = c;
    a->listener = (struct conduct_listener){.fn = on_event, .data = a};
    a->timer = (struct loop_timer){.fn = on_timer, .data = a};
    for (size_t i = 0; i < a->n; i++) {
        char key[32];
        answer_key(i, key);
        a->items[i].given = state_has_key(st, key);
    }
    int r = 0;
    conduct_listen(c, &a->listener);
    if (st->stage == STAGE_LOBBY) {
        AUTO_JSON *go = json_pack("{s:s}", "do", "go");
        r = join_all(a, err);
        if (r == 0)
            r = command_do(c, &facilitator, go, err);
    }
    answers_arm(a);
    return r;
}
