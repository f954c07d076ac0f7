/* Columns of the list, what each is in each kind of step, and the way there and back. */
#include "scenarios/master.h"

#include "scenarios/csv.h"
#include "scenarios/emit.h"
#include "scenarios/tree.h"
#include "sim/base/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum column {
    COLUMN_EVENT,
    COLUMN_TIME,
    COLUMN_DATE,
    COLUMN_PHASE,
    COLUMN_TITLE,
    COLUMN_TEXT,
    COLUMN_TYPE,
    COLUMN_CHANNEL,
    COLUMN_FROM,
    COLUMN_TO,
    COLUMN_CONTROLLER,
    COLUMN_EXPECT,
    COLUMN_EXPECT_BY,
    COLUMN_WITHIN,
    COLUMN_OBJECTIVE,
    COLUMN_CAPABILITY,
    COLUMN_NOTES,
    COLUMN_STEP,
    COLUMN_TRIGGER,
    COLUMN_MORE,
    COLUMNS,
};
static const char *const column_names[] = {
    [COLUMN_EVENT] = "Event",
    [COLUMN_TIME] = "Time",
    [COLUMN_DATE] = "Scenario time",
    [COLUMN_PHASE] = "Phase",
    [COLUMN_TITLE] = "Title",
    [COLUMN_TEXT] = "Description",
    [COLUMN_TYPE] = "Type",
    [COLUMN_CHANNEL] = "Delivery",
    [COLUMN_FROM] = "From",
    [COLUMN_TO] = "To",
    [COLUMN_CONTROLLER] = "Controller",
    [COLUMN_EXPECT] = "Expected action",
    [COLUMN_EXPECT_BY] = "Expected by",
    [COLUMN_WITHIN] = "Within",
    [COLUMN_OBJECTIVE] = "Objective",
    [COLUMN_CAPABILITY] = "Capability",
    [COLUMN_NOTES] = "Evaluator instructions",
    [COLUMN_STEP] = "Step",
    [COLUMN_TRIGGER] = "Trigger",
    [COLUMN_MORE] = "More",
};
_Static_assert(ARRAY_SIZE(column_names) == COLUMNS, "each has its name");

/* Which key of an action a column is. NULL: it has none. */
struct kind {
    const char *type, *action; /* the word in the column Type; the step's key */
    const char *keys[COLUMNS];
    const char *shorthand; /* key of a lone value */
};
#define COMMON                                                                                     \
    [COLUMN_EVENT] = "number", [COLUMN_TITLE] = "title", [COLUMN_OBJECTIVE] = "objective",         \
    [COLUMN_CONTROLLER] = "controller", [COLUMN_NOTES] = "notes", [COLUMN_DATE] = "date"
static const struct kind kinds[] = {
    {"inject",
     "tell",
     {COMMON, [COLUMN_TO] = "to", [COLUMN_TEXT] = "message", [COLUMN_FROM] = "from",
      [COLUMN_CHANNEL] = "channel"},
     NULL},
    {"expected",
     "expected",
     {COMMON, [COLUMN_EXPECT] = "does", [COLUMN_EXPECT_BY] = "by", [COLUMN_WITHIN] = "within"},
     NULL},
    {"decision",
     "decide",
     {COMMON, [COLUMN_TO] = "who", [COLUMN_TEXT] = "question", [COLUMN_WITHIN] = "within"},
     NULL},
    {"approval",
     "approve",
     {COMMON, [COLUMN_TO] = "by", [COLUMN_TEXT] = "what", [COLUMN_WITHIN] = "within"},
     NULL},
    {"updates",
     "status",
     {COMMON, [COLUMN_FROM] = "from", [COLUMN_TO] = "to", [COLUMN_TEXT] = "what"},
     NULL},
    {"page",
     "escalate",
     {COMMON, [COLUMN_TO] = "role", [COLUMN_TEXT] = "message", [COLUMN_FROM] = "from",
      [COLUMN_CHANNEL] = "channel"},
     NULL},
    {"checklist", "runbook", {COMMON, [COLUMN_TEXT] = "name"}, "name"},
    {"absence", "unavailable", {COMMON, [COLUMN_TEXT] = "message"}, NULL},
    {"pause", "hold", {COMMON, [COLUMN_TEXT] = "reason"}, "reason"},
    {"outage", "outage", {NULL}, NULL},
};
/* What other people's lists say for an inject. */
static const char *const inject_words[] = {"",       "contextual", "contingency",
                                           "inject", "injects",    NULL};

/* --- Out --- */

static const struct kind *kind_of_action(const char *action)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (!strcmp(kinds[i].action, action))
            return &kinds[i];
    return NULL;
}

static bool is_column(const struct kind *k, const char *key)
{
    for (size_t i = 0; i < COLUMNS; i++)
        if (k->keys[i] && !strcmp(k->keys[i], key))
            return true;
    return false;
}

/* A scalar as it is; a list of them joined. */
static void cell_of(const struct node *node, struct buf *out)
{
    if (node && node->kind == NODE_SCALAR)
        buf_adds(out, node->text);
    for (size_t i = 0; node && node->kind == NODE_LIST && i < node->n; i++)
        if (node->items[i]->kind == NODE_SCALAR)
            buf_printf(out, "%s%s", i ? "; " : "", node->items[i]->text);
}

/* {when: {…}, after: 2m}: the entries of a mapping that are (not) among these. */
static void flow_of(const struct node *map, const char *const *keys, bool among, struct buf *out)
{
    bool first = true;
    for (size_t i = 0; map && map->kind == NODE_MAP && i < map->n; i++) {
        bool is = false;
        for (size_t k = 0; keys[k] && !is; k++)
            is = !strcmp(keys[k], map->entries[i].key->text);
        if (is != among)
            continue;
        buf_adds(out, first ? "{" : ", ");
        emit_flow_entry(&map->entries[i], out);
        first = false;
    }
    if (!first)
        buf_addc(out, '}');
}

/* What of an action, and of its step, stands in no column. */
static void more_of(const struct kind *k, const struct step *step, const struct node *action,
                    const struct node *node, struct buf *out)
{
    const char *known[COLUMNS + 3] = {NULL};
    const char *timing[] = {"id", "at", "when", "after", step->action->name, NULL};
    const struct node *expect = node_get(action, "expect"), *objective = NULL;
    AUTO_BUF inner = BUF_INIT, outer = BUF_INIT;
    size_t n = 0;
    for (size_t i = 0; i < COLUMNS; i++)
        if (k->keys[i])
            known[n++] = k->keys[i];
    if (!strcmp(k->action, "tell")) {
        known[n++] = "kind";
        known[n++] = "expect";
        objective = expect && expect->kind == NODE_MAP ? node_get(expect, "objective") : NULL;
    }
    flow_of(action, known, false, &inner);
    if (objective && objective->kind == NODE_SCALAR) {
        if (inner.len)
            inner.text[--inner.len] = '\0'; /* its closing brace */
        buf_printf(&inner, "%sexpect: {objective: %s}}", inner.len ? ", " : "{", objective->text);
    }
    flow_of(node, timing, false, &outer);
    if (inner.len || outer.len)
        buf_printf(out, "{%s%s%s%s%s}", inner.len ? "action: " : "", buf_text(&inner),
                   inner.len && outer.len ? ", " : "", outer.len ? "step: " : "", buf_text(&outer));
}

static void put_expect(const struct step *step, struct buf cells[COLUMNS])
{
    const struct expect *e = step_expect(step);
    char text[NSEC_TEXT_MAX];
    if (!e || step_people(step) != PEOPLE_TELL)
        return;
    buf_adds(&cells[COLUMN_EXPECT], e->does);
    buf_adds(&cells[COLUMN_EXPECT_BY], e->by ? e->by : "");
    if (nsec_is_set(e->within))
        buf_adds(&cells[COLUMN_WITHIN], nsec_yaml(e->within, text));
}

static void put_cells(const struct scenario *s, const struct step *step, const struct node *node,
                      struct buf cells[COLUMNS])
{
    static const char *const trigger[] = {"when", "after", NULL};
    const struct kind *k = kind_of_action(step->action->name);
    const struct people_common *c = step_common(step);
    const struct node *action = node_get(node, step->action->name);
    char text[NSEC_TEXT_MAX];
    for (size_t i = 0; i < COLUMNS; i++)
        if (k->keys[i] && action->kind == NODE_MAP)
            cell_of(node_get(action, k->keys[i]), &cells[i]);
    if (action->kind != NODE_MAP && k->shorthand)
        cell_of(action, &cells[COLUMN_TEXT]);
    bool contingency = step_people(step) == PEOPLE_TELL &&
                       ((const struct tell_params *)step->params)->kind == TELL_CONTINGENCY;
    buf_adds(&cells[COLUMN_TYPE], contingency ? "contingency" : k->type);
    if (c) { /* also where they were not written */
        buf_clear(&cells[COLUMN_EVENT]);
        buf_clear(&cells[COLUMN_TITLE]);
        buf_adds(&cells[COLUMN_EVENT], c->number);
        buf_adds(&cells[COLUMN_TITLE], c->title);
        const struct exercise_objective *o = scenario_objective(s, c->objective);
        buf_adds(&cells[COLUMN_CAPABILITY], o && o->capability ? o->capability : "");
    }
    put_expect(step, cells);
    if (nsec_is_set(step->at))
        buf_adds(&cells[COLUMN_TIME], nsec_yaml(step->at, text));
    flow_of(node, trigger, true, &cells[COLUMN_TRIGGER]);
    buf_adds(&cells[COLUMN_STEP], step->id);
    more_of(k, step, action, node, &cells[COLUMN_MORE]);
    nsec at = step_planned(s, step);
    for (size_t i = 0; i < s->exercise.phases.n; i++) {
        const struct phase *p = s->exercise.phases.items[i];
        if (nsec_is_set(at) && nsec_is_set(p->at) && p->at <= at) {
            buf_clear(&cells[COLUMN_PHASE]);
            buf_adds(&cells[COLUMN_PHASE], p->id);
        }
    }
}

void master_export(const struct scenario *s, struct buf *out)
{
    const struct node *script = node_get(s->tree, "script");
    for (size_t i = 0; i < COLUMNS; i++) {
        buf_adds(out, i ? "," : "");
        csv_field(out, column_names[i]);
    }
    buf_adds(out, "\r\n");
    for (size_t i = 0; i < s->script.n; i++) {
        const struct step *step = s->script.items[i];
        const struct node *node = script->kind == NODE_LIST ? script->items[i] : script;
        struct buf cells[COLUMNS];
        if (!kind_of_action(step->action->name))
            continue;
        for (size_t k = 0; k < COLUMNS; k++)
            cells[k] = BUF_INIT;
        put_cells(s, step, node, cells);
        for (size_t k = 0; k < COLUMNS; k++) {
            buf_adds(out, k ? "," : "");
            csv_field(out, buf_text(&cells[k]));
            buf_done(&cells[k]);
        }
        buf_adds(out, "\r\n");
    }
}

/* --- In --- */

static const char *const standard_roles[] = {
    "incident-commander", "communications", "technical-lead", "scribe",
    "facilitator",        "evaluator",      "observer",       NULL};

struct list { /* being read */
    struct arena *arena;
    const char *name;
    const struct scenario *base;
    struct diags *diags;
    size_t at[COLUMNS]; /* which field; SIZE_MAX: there is no such column */
    const struct csv_row *row;
    size_t number; /* of the row among events */
};

static const char *cell(const struct list *l, enum column c)
{
    const char *text = l->at[c] < l->row->fields.n ? l->row->fields.items[l->at[c]] : "";
    return text + strspn(text, " \t");
}

static struct place cell_place(const struct list *l, enum column c)
{
    return (struct place){
        .file = l->name, .line = l->row->line, .col = l->at[c] == SIZE_MAX ? 1 : (int)l->at[c] + 1};
}

static int read_header(struct list *l, const struct csv_row *row)
{
    for (size_t c = 0; c < COLUMNS; c++)
        l->at[c] = SIZE_MAX;
    for (size_t i = 0; i < row->fields.n; i++) {
        const char *name = row->fields.items[i];
        struct place at = {.file = l->name, .line = row->line, .col = (int)i + 1};
        char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
        size_t c = 0;
        while (c < COLUMNS && strcasecmp(column_names[c], name) != 0)
            c++;
        if (c == COLUMNS)
            diags_error(l->diags, at, "there is no column '%s'%s", diag_quote(name, quoted),
                        diag_nearest(name, column_names, COLUMNS, hint));
        else if (l->at[c] != SIZE_MAX)
            diags_error(l->diags, at, "the column '%s' stands there twice", column_names[c]);
        else
            l->at[c] = i;
    }
    return l->diags->n_errors ? -EINVAL : 0;
}

/* "5m", "0:05:00", "T+5", "T+0:05", "12" (minutes): as planners write times of the exercise. */
static bool read_time(const char *text, nsec *ret)
{
    long part[3] = {0, 0, 0};
    int n = 0;
    if (units_duration(text, ret, NULL) == 0)
        return *ret >= 0;
    if ((*text == 'T' || *text == 't') && text[1] == '+')
        text += 2;
    for (; n < 3; n++) {
        char *end = NULL;
        if (*text < '0' || *text > '9')
            return false;
        part[n] = strtol(text, &end, 10);
        text = end;
        if (*text != ':')
            break;
        text++;
    }
    if (*text || n == 3 || part[0] > 100000 || part[1] > 59 || part[2] > 59)
        return false;
    long minutes = n == 0 ? part[0] : part[0] * 60 + part[1];
    *ret = (nsec)(minutes * 60 + part[2]) * NSEC_SEC;
    return true;
}

static bool is_role(const struct list *l, const char *role)
{
    if (!strcmp(role, ROLE_ALL))
        return true;
    if (l->base)
        return assumed_responder(l->base->assumptions, role) != NULL;
    for (size_t i = 0; standard_roles[i]; i++)
        if (!strcmp(standard_roles[i], role))
            return true;
    return false;
}

static void check_role(const struct list *l, enum column c, const char *role)
{
    const char *names[256];
    char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
    size_t n = 0;
    if (is_role(l, role))
        return;
    for (size_t i = 0; l->base && i < l->base->assumptions->roles.n && n < ARRAY_SIZE(names); i++)
        names[n++] = ((const struct responder *)l->base->assumptions->roles.items[i])->name;
    for (size_t i = 0; !l->base && standard_roles[i]; i++)
        names[n++] = standard_roles[i];
    diags_error(l->diags, cell_place(l, c), "there is no role '%s'%s", diag_quote(role, quoted),
                diag_nearest(role, names, n, hint));
}

/* "a; b" as [a, b]; roles are looked up. */
static void put_names(const struct list *l, enum column c, bool roles, bool list, struct buf *out)
{
    const char *p = cell(l, c);
    buf_adds(out, list ? " [" : " ");
    for (size_t n = 0; *p; n++) {
        size_t len = strcspn(p, ";"), end = len;
        while (end && (p[end - 1] == ' ' || p[end - 1] == '\t'))
            end--;
        char *one = arena_strndup(l->arena, p, end);
        if (roles)
            check_role(l, c, one);
        buf_adds(out, n ? ", " : "");
        emit_text(one, out);
        p += len + (p[len] == ';');
        p += strspn(p, " \t");
    }
    buf_adds(out, list ? "]\n" : "\n");
}

static const struct kind *kind_of_row(const struct list *l)
{
    const char *names[ARRAY_SIZE(kinds)], *type = cell(l, COLUMN_TYPE);
    char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
    for (size_t i = 0; inject_words[i]; i++)
        if (!strcasecmp(inject_words[i], type))
            return !*type && !*cell(l, COLUMN_TEXT) && *cell(l, COLUMN_EXPECT) ? &kinds[1]
                                                                               : &kinds[0];
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        names[i] = kinds[i].type;
        if (!strcasecmp(kinds[i].type, type) || !strcasecmp(kinds[i].action, type))
            return &kinds[i];
    }
    diags_error(l->diags, cell_place(l, COLUMN_TYPE), "there is no type '%s'%s",
                diag_quote(type, quoted), diag_nearest(type, names, ARRAY_SIZE(kinds), hint));
    return NULL;
}

/* YAML that stands in a cell: its entries, one a line. */
static const struct node *cell_yaml(const struct list *l, enum column c)
{
    struct tree_budget used = {0};
    AUTO_DIAGS inner = DIAGS_INIT;
    const char *text = cell(l, c);
    if (!*text)
        return NULL;
    const struct node *node = tree_parse(l->arena, text, strlen(text), l->name, &used, &inner);
    if (node && node->kind == NODE_MAP && !inner.n_errors)
        return node;
    diags_error(l->diags, cell_place(l, c), "'%s' holds YAML like {when: {step: declare}}: %s",
                column_names[c], inner.n ? inner.items[0].text : "this is no mapping");
    return NULL;
}

static void put_entries(const struct node *map, const char *indent, struct buf *out)
{
    for (size_t i = 0; map && map->kind == NODE_MAP && i < map->n; i++) {
        buf_adds(out, indent);
        emit_flow_entry(&map->entries[i], out);
        buf_addc(out, '\n');
    }
}

static void put_column(const struct list *l, const struct kind *k, enum column c, struct buf *out)
{
    bool names = c == COLUMN_TO, role = c == COLUMN_EXPECT_BY ||
                                        (names && strcmp(k->action, "status") != 0) ||
                                        (c == COLUMN_FROM && !strcmp(k->action, "status"));
    nsec t;
    if (!k->keys[c] || !*cell(l, c))
        return;
    buf_printf(out, "      %s:", k->keys[c]);
    if (names || role) {
        bool list = names && strcmp(k->action, "decide") != 0 && strcmp(k->action, "escalate") != 0;
        put_names(l, c, role, list, out);
        return;
    }
    if (c == COLUMN_WITHIN && !read_time(cell(l, c), &t))
        diags_error(l->diags, cell_place(l, c), "'%s' must be a duration like 10m",
                    column_names[c]);
    buf_addc(out, ' ');
    if (c == COLUMN_WITHIN) {
        char text[NSEC_TEXT_MAX];
        buf_adds(out, read_time(cell(l, c), &t) ? nsec_yaml(t, text) : "1s");
    } else {
        emit_text(cell(l, c), out);
    }
    buf_addc(out, '\n');
}

static void put_expectation(const struct list *l, const struct node *more, struct buf *out)
{
    nsec t;
    char text[NSEC_TEXT_MAX];
    const struct node *rest = node_get(more, "expect"), *objective = NULL;
    if (rest && rest->kind == NODE_MAP)
        objective = node_get(rest, "objective");
    if (!*cell(l, COLUMN_EXPECT))
        return;
    buf_adds(out, "      expect:\n        does: ");
    emit_text(cell(l, COLUMN_EXPECT), out);
    buf_addc(out, '\n');
    if (*cell(l, COLUMN_EXPECT_BY)) {
        buf_adds(out, "        by:");
        put_names(l, COLUMN_EXPECT_BY, true, false, out);
    }
    if (objective && objective->kind == NODE_SCALAR) {
        buf_adds(out, "        objective: ");
        emit_text(objective->text, out);
        buf_addc(out, '\n');
    }
    if (!*cell(l, COLUMN_WITHIN))
        return;
    if (read_time(cell(l, COLUMN_WITHIN), &t))
        buf_printf(out, "        within: %s\n", nsec_yaml(t, text));
    else
        diags_error(l->diags, cell_place(l, COLUMN_WITHIN), "'Within' must be a duration like 10m");
}

static void put_when(const struct list *l, struct buf *out)
{
    const struct node *trigger = cell_yaml(l, COLUMN_TRIGGER);
    const char *time = cell(l, COLUMN_TIME);
    char text[NSEC_TEXT_MAX], quoted[DIAG_QUOTE_MAX];
    nsec at;
    if (trigger)
        put_entries(trigger, "    ", out);
    else if (!*time)
        diags_error(l->diags, cell_place(l, COLUMN_TIME), "when? Give a 'Time' like 0:05:00");
    else if (!read_time(time, &at))
        diags_error(l->diags, cell_place(l, COLUMN_TIME), "'%s' is no time like 0:05:00, T+5 or 5m",
                    diag_quote(time, quoted));
    else
        buf_printf(out, "    at: %s\n", nsec_yaml(at, text));
}

static void put_row(struct list *l, struct buf *out)
{
    const struct kind *k = kind_of_row(l);
    const struct node *more = cell_yaml(l, COLUMN_MORE);
    l->number++;
    buf_adds(out, "  - id: ");
    if (*cell(l, COLUMN_STEP))
        emit_text(cell(l, COLUMN_STEP), out);
    else
        buf_printf(out, "event-%zu", l->number);
    buf_addc(out, '\n');
    put_when(l, out);
    put_entries(node_get(more, "step"), "    ", out);
    if (!k)
        return;
    buf_printf(out, "    %s:\n", k->action);
    for (size_t c = 0; c < COLUMNS; c++)
        put_column(l, k, (enum column)c, out);
    const struct node *action = more ? node_get(more, "action") : NULL;
    for (size_t i = 0; action && action->kind == NODE_MAP && i < action->n; i++) {
        if (is_column(k, action->entries[i].key->text) ||
            !strcmp(action->entries[i].key->text, "expect"))
            continue;
        buf_adds(out, "      ");
        emit_flow_entry(&action->entries[i], out);
        buf_addc(out, '\n');
    }
    if (!strcmp(k->action, "tell"))
        put_expectation(l, action, out);
}

static void check_numbers(struct list *l, const struct csv *csv)
{
    for (size_t i = 1; i < csv->n; i++) {
        l->row = &csv->rows[i];
        const char *number = cell(l, COLUMN_EVENT);
        struct place at = cell_place(l, COLUMN_EVENT);
        for (size_t k = 1; k < i && *number; k++) {
            l->row = &csv->rows[k];
            if (strcmp(cell(l, COLUMN_EVENT), number) != 0)
                continue;
            diags_error(l->diags, at, "the number '%s' stands already in row %d", number,
                        l->row->line);
            break;
        }
    }
}

/* Everything but the script. */
static void put_base(const struct list *l, struct buf *out)
{
    if (l->base) {
        emit_but(l->base, "script", out);
        return;
    }
    buf_adds(out, "blackstart: 1\nname: exercise\ntitle: An exercise\nhorizon: 1h\nroles:\n");
    for (size_t i = 0; standard_roles[i]; i++) {
        bool keeps = !strcmp(standard_roles[i], "facilitator"),
             rates = !strcmp(standard_roles[i], "evaluator"),
             watches = !strcmp(standard_roles[i], "observer");
        buf_printf(out, "  %s: {kind: %s}\n", standard_roles[i],
                   keeps     ? "facilitator"
                   : rates   ? "evaluator"
                   : watches ? "observer"
                             : "player");
    }
}

int master_import(const char *text, size_t n, const char *name, const struct scenario *base,
                  struct diags *diags, struct buf *out)
{
    CLEANUP(arena_free_p) struct arena *arena = arena_new();
    struct list l = {.arena = arena, .name = name, .base = base, .diags = diags};
    struct csv csv = {0};
    AUTO_BUF yaml = BUF_INIT;
    if (csv_read(arena, text, n, name, diags, &csv) < 0)
        return -EINVAL;
    if (csv.n < 2) {
        diags_error(diags, (struct place){.file = name, .line = 1, .col = 1},
                    "a list has a row of names and at least one event");
        return -EINVAL;
    }
    if (read_header(&l, &csv.rows[0]) < 0)
        return -EINVAL;
    put_base(&l, &yaml);
    buf_adds(&yaml, "script:\n");
    for (size_t i = 1; i < csv.n && !diags_is_full(diags); i++) {
        l.row = &csv.rows[i];
        put_row(&l, &yaml);
    }
    check_numbers(&l, &csv);
    if (diags->n_errors)
        return -EINVAL;
    buf_add(out, buf_text(&yaml), yaml.len);
    return 0;
}
