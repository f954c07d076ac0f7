/* Corrective actions: their words, and the file that they may stand in. */
#include "sim/exercise/corrective.h"

#include "scenarios/tree.h"
#include "sim/base/jsonx.h"
#include "sim/base/units.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *const corrective_elements[] = {"planning", "organisation", "equipment",
                                           "training", "exercise",     NULL};

bool corrective_is_date(const char *text)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int parts[3] = {0}, part = 0;
    if (strlen(text) != strlen("2027-01-31"))
        return false;
    for (size_t i = 0; text[i]; i++) {
        bool dash = i == 4 || i == 7;
        if (dash ? text[i] != '-' : text[i] < '0' || text[i] > '9')
            return false;
        part += dash;
        if (!dash)
            parts[part] = parts[part] * 10 + (text[i] - '0');
    }
    bool leap = (parts[0] % 4 == 0 && parts[0] % 100 != 0) || parts[0] % 400 == 0;
    return parts[0] >= 1 && parts[1] >= 1 && parts[1] <= 12 && parts[2] >= 1 &&
           parts[2] <= days[parts[1] - 1] + (leap && parts[1] == 2);
}

static bool is_element(const char *text)
{
    for (size_t i = 0; corrective_elements[i]; i++)
        if (!strcmp(corrective_elements[i], text))
            return true;
    return false;
}

int corrective_check(const json_t *line, struct err *err)
{
    const char *element = jsonx_str(line, "element", NULL);
    const char *start = jsonx_str(line, "start", NULL), *due = jsonx_str(line, "due", NULL);
    if (element && !is_element(element))
        return err_set(err, EINVAL,
                       "'element' is planning, organisation, equipment, training or exercise");
    if ((start && !corrective_is_date(start)) || (due && !corrective_is_date(due)))
        return err_set(err, EINVAL, "'%s' is a day like 2027-01-31",
                       start && !corrective_is_date(start) ? "start" : "due");
    if (start && due && strcmp(start, due) > 0)
        return err_set(err, EINVAL, "it is due (%s) before it starts (%s)", due, start);
    return 0;
}

struct reading {
    struct arena *arena;
    const struct scenario *s;
    size_t areas;
    struct diags *diags;
};

static const char *take_text(const struct reading *v, const struct node *node, const char *key)
{
    if (node->kind != NODE_SCALAR || node_is_null(node) || !*node->text)
        diags_error(v->diags, node->place, "'%s' is a text", key);
    else if (strlen(node->text) > CORRECTIVE_TEXT_MAX)
        diags_error(v->diags, node->place, "'%s' is longer than %d bytes", key,
                    CORRECTIVE_TEXT_MAX);
    else
        return arena_strdup(v->arena, node->text);
    return NULL;
}

static const char *take_date(const struct reading *v, const struct node *node, const char *key)
{
    char quoted[DIAG_QUOTE_MAX];
    const char *text = take_text(v, node, key);
    if (!text || corrective_is_date(text))
        return text;
    diags_error(v->diags, node->place, "'%s' is a day like 2027-01-31, not '%s'", key,
                diag_quote(text, quoted));
    return NULL;
}

static const char *take_element(const struct reading *v, const struct node *node)
{
    char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
    const char *text = take_text(v, node, "element");
    size_t n = 0;
    while (corrective_elements[n])
        n++;
    if (text && is_element(text))
        return text;
    if (text)
        diags_error(v->diags, node->place,
                    "there is no capability element '%s'%s (planning, organisation, equipment, "
                    "training, exercise)",
                    diag_quote(text, quoted), diag_nearest(text, corrective_elements, n, hint));
    return NULL;
}

static void take_area(const struct reading *v, const struct node *node, struct corrective *one)
{
    const char *text = take_text(v, node, "area");
    int64_t n = 0;
    if (!text || !node->plain || units_integer(text, &n, NULL) < 0) {
        one->area = text;
        return;
    }
    if (n < 1 || (uint64_t)n > v->areas)
        diags_error(
            v->diags, node->place,
            "there is no area for improvement %s: the report has %zu; a new one is given as "
            "a text",
            text, v->areas);
    else
        one->area_n = n;
}

static void take_objective(const struct reading *v, const struct node *node, struct corrective *one)
{
    char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
    const char *text = take_text(v, node, "objective"), *names[64];
    const struct objects *all = &v->s->exercise.objectives;
    size_t n = 0;
    if (!text || (one->objective = scenario_objective(v->s, text)))
        return;
    for (size_t i = 0; i < all->n && n < ARRAY_SIZE(names); i++)
        names[n++] = ((const struct exercise_objective *)all->items[i])->id;
    diags_error(v->diags, node->place, "there is no objective '%s'%s", diag_quote(text, quoted),
                diag_nearest(text, names, n, hint));
}

static void take_member(const struct reading *v, const struct node *key, const struct node *value,
                        struct corrective *one)
{
    static const char *const known[] = {"action",  "area",      "contact", "due",
                                        "element", "objective", "owner",   "start"};
    char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
    if (!strcmp(key->text, "action"))
        one->action = take_text(v, value, "action");
    else if (!strcmp(key->text, "area"))
        take_area(v, value, one);
    else if (!strcmp(key->text, "contact"))
        one->contact = take_text(v, value, "contact");
    else if (!strcmp(key->text, "due"))
        one->due = take_date(v, value, "due");
    else if (!strcmp(key->text, "element"))
        one->element = take_element(v, value);
    else if (!strcmp(key->text, "objective"))
        take_objective(v, value, one);
    else if (!strcmp(key->text, "owner"))
        one->owner = take_text(v, value, "owner");
    else if (!strcmp(key->text, "start"))
        one->start = take_date(v, value, "start");
    else
        diags_error(v->diags, key->place, "a corrective action has no '%s'%s",
                    diag_quote(key->text, quoted),
                    diag_nearest(key->text, known, ARRAY_SIZE(known), hint));
}

static void take_entry(const struct reading *v, const struct node *entry, struct corrective *one)
{
    *one = (struct corrective){0};
    if (entry->kind != NODE_MAP) {
        diags_error(v->diags, entry->place,
                    "a corrective action is a mapping: action, owner, due, and what else is known");
        return;
    }
    for (size_t i = 0; i < entry->n; i++)
        take_member(v, entry->entries[i].key, entry->entries[i].value, one);
    if (!node_get(entry, "action"))
        diags_error(v->diags, entry->place, "what is to be done? 'action' is missing");
    if (one->start && one->due && strcmp(one->start, one->due) > 0)
        diags_error(v->diags, node_get(entry, "due")->place, "it is due (%s) before it starts (%s)",
                    one->due, one->start);
    if (one->area_n && one->objective)
        diags_error(v->diags, node_get(entry, "objective")->place,
                    "area %lld has its objective already", (long long)one->area_n);
}

int corrective_load(struct arena *arena, const char *text, size_t n, const char *name,
                    const struct scenario *s, size_t areas, struct diags *diags,
                    struct corrective **ret, size_t *ret_n)
{
    const struct reading v = {arena, s, areas, diags};
    struct tree_budget used = {0};
    const struct node *root = tree_parse(arena, text, n, name, &used, diags);
    const struct node *list = root ? node_get(root, "actions") : NULL;
    if (!root)
        return -EINVAL;
    if (!list || list->kind != NODE_LIST || root->n != 1 || list->n > CORRECTIVE_MOST) {
        diags_error(diags, root->place,
                    "a file of corrective actions has 'actions' alone: a list of at most %d",
                    CORRECTIVE_MOST);
        return -EINVAL;
    }
    struct corrective *all = arena_alloc(arena, (list->n + 1) * sizeof *all);
    for (size_t i = 0; i < list->n; i++)
        take_entry(&v, list->items[i], &all[i]);
    if (diags->n_errors)
        return -EINVAL;
    *ret = all;
    *ret_n = list->n;
    return 0;
}
