/* --set PATH=VALUE: another value at one place of a scenario.
 *
 * A path goes down by the keys of mappings; in a list by what an element is called (the value of its `id`
 * or `name`, its own first key, or itself, if it is a word), or by its number from 1. Names may have dots:
 * the longest key that fits is taken. Containers on the way are copied, since aliases may share them.
 * Keys that are missing are made, so that what was left to its default can be set; whether they may
 * stand there is for the decoder to say, which gives the path as their place.
 */
#include "scenarios/tree.h"

#include <stdlib.h>
#include <string.h>

struct setter {
    struct arena *arena;
    struct diags *diags;
    struct tree_budget *used;
    const char *path;   /* whole */
    const char *value;  /* YAML */
    struct place place; /* of what is new */
};

/* True when `rest` begins with this key; what follows it. */
static bool key_leads(const char *rest, const char *key, const char **ret_after)
{
    size_t n = strlen(key);
    if (!n || strncmp(rest, key, n) || (rest[n] && rest[n] != '.'))
        return false;
    *ret_after = rest[n] ? rest + n + 1 : rest + n;
    return true;
}

static void say_no_way(struct setter *s, const char *rest, const char *why)
{
    char quoted[DIAG_QUOTE_MAX];
    size_t n = (size_t)(rest - s->path);
    const char *done = n ? arena_strndup(s->arena, s->path, n - 1) : "the scenario";
    diags_error(s->diags, s->place, "'%s' %s", diag_quote(done, quoted), why);
}

static struct node *value_new(struct setter *s)
{
    if (!*s->value) {
        struct node *n = arena_alloc(s->arena, sizeof *n);
        *n = (struct node){.kind = NODE_SCALAR,
                           .place = s->place,
                           .plain = true,
                           .text = arena_strdup(s->arena, ""),
                           .weight = 1,
                           .height = 1};
        return n;
    }
    return tree_parse(s->arena, s->value, strlen(s->value), s->place.file, s->used, s->diags);
}

static struct node *scalar_new(struct setter *s, const char *text, size_t n)
{
    struct node *key = arena_alloc(s->arena, sizeof *key);
    *key = (struct node){.kind = NODE_SCALAR,
                         .place = s->place,
                         .plain = true,
                         .text = arena_strndup(s->arena, text, n),
                         .weight = 1,
                         .height = 1};
    return key;
}

static struct node *set_below(struct setter *s, const struct node *old, const char *rest,
                              unsigned depth);

static struct node *map_set(struct setter *s, const struct node *old, const char *rest,
                            unsigned depth)
{
    struct node *map = arena_alloc(s->arena, sizeof *map);
    *map =
        old ? *old : (struct node){.kind = NODE_MAP, .place = s->place, .weight = 1, .height = 1};
    map->entries = arena_alloc(s->arena, (map->n + 1) * sizeof *map->entries);
    if (map->n)
        memcpy(map->entries, old->entries, map->n * sizeof *map->entries);
    size_t at = map->n, longest = 0;
    const char *after = NULL;
    for (size_t i = 0; i < map->n; i++) {
        const char *behind;
        size_t n = strlen(map->entries[i].key->text);
        if (n > longest && key_leads(rest, map->entries[i].key->text, &behind)) {
            at = i;
            longest = n;
            after = behind;
        }
    }
    if (at == map->n) {
        size_t n = strcspn(rest, ".");
        after = rest[n] ? rest + n + 1 : rest + n;
        map->entries[map->n++] = (struct entry){.key = scalar_new(s, rest, n)};
    }
    map->entries[at].value = set_below(s, map->entries[at].value, after, depth + 1);
    return map->entries[at].value ? map : NULL;
}

/* What an element of a list is called, and in ret_inner what the path then goes on in. */
static const char *item_name(const struct node *item, const struct node **ret_inner)
{
    *ret_inner = item;
    if (item->kind == NODE_SCALAR)
        return item->text;
    if (item->kind != NODE_MAP || !item->n)
        return "";
    const struct node *id = node_get(item, "id"), *name = node_get(item, "name");
    if (!id)
        id = name;
    if (id && id->kind == NODE_SCALAR)
        return id->text;
    *ret_inner = item->entries[0].value;
    return item->entries[0].key->text;
}

static size_t item_find(const struct node *list, const char *rest, const char **ret_after,
                        bool *ret_by_key)
{
    size_t at = list->n, longest = 0;
    for (size_t i = 0; i < list->n; i++) {
        const struct node *inner;
        const char *name = item_name(list->items[i], &inner), *behind;
        if (strlen(name) > longest && key_leads(rest, name, &behind)) {
            at = i;
            longest = strlen(name);
            *ret_after = behind;
            *ret_by_key = inner != list->items[i];
        }
    }
    if (at < list->n)
        return at;
    char *end;
    unsigned long number = strtoul(rest, &end, 10);
    if (*rest < '0' || *rest > '9' || (*end && *end != '.') || number < 1 || number > list->n)
        return list->n;
    *ret_after = *end ? end + 1 : end;
    *ret_by_key = false;
    return number - 1;
}

static struct node *list_set(struct setter *s, const struct node *old, const char *rest,
                             unsigned depth)
{
    const char *after = NULL;
    bool by_key = false;
    size_t at = item_find(old, rest, &after, &by_key);
    if (at == old->n) {
        char quoted[DIAG_QUOTE_MAX];
        const char *word = arena_strndup(s->arena, rest, strcspn(rest, "."));
        say_no_way(s, rest,
                   arena_printf(s->arena, "is a list of %zu, with nothing called '%s'", old->n,
                                diag_quote(word, quoted)));
        return NULL;
    }
    struct node *list = arena_alloc(s->arena, sizeof *list);
    *list = *old;
    list->items = arena_alloc(s->arena, old->n * sizeof *list->items);
    memcpy(list->items, old->items, old->n * sizeof *list->items);
    if (!by_key) {
        list->items[at] = set_below(s, old->items[at], after, depth + 1);
        return list->items[at] ? list : NULL;
    }
    struct node *item = arena_alloc(s->arena, sizeof *item);
    *item = *old->items[at];
    item->entries = arena_alloc(s->arena, item->n * sizeof *item->entries);
    memcpy(item->entries, old->items[at]->entries, item->n * sizeof *item->entries);
    item->entries[0].value = set_below(s, item->entries[0].value, after, depth + 2);
    list->items[at] = item;
    return item->entries[0].value ? list : NULL;
}

/* A new node in the place of `old` (NULL: there is none). */
static struct node *set_below(struct setter *s, const struct node *old, const char *rest,
                              unsigned depth)
{
    char what[DIAG_QUOTE_MAX + 8];
    if (!*rest) {
        struct node *value = value_new(s);
        if (value && depth + value->height > TREE_DEPTH_MAX) {
            say_no_way(s, rest + 1, "would be nested too deep");
            return NULL;
        }
        return value;
    }
    if (depth >= TREE_DEPTH_MAX) {
        say_no_way(s, rest, "is nested too deep");
        return NULL;
    }
    if (old && old->kind == NODE_LIST)
        return list_set(s, old, rest, depth);
    if (old && old->kind == NODE_SCALAR && !node_is_null(old)) {
        say_no_way(s, rest,
                   arena_printf(s->arena,
                                "is %s, so it has no '%s': set it as a whole, written out "
                                "as a mapping",
                                node_what(old, what),
                                arena_strndup(s->arena, rest, strcspn(rest, "."))));
        return NULL;
    }
    return map_set(s, old && old->kind == NODE_MAP ? old : NULL, rest, depth);
}

void tree_set(struct arena *arena, struct node *root, const char *path, const char *value,
              struct tree_budget *used, struct diags *diags)
{
    struct setter s = {.arena = arena,
                       .diags = diags,
                       .used = used,
                       .path = path,
                       .value = value,
                       .place = {.file = arena_printf(arena, "--set %s", path)}};
    size_t n = strlen(path);
    if (!n || *path == '.' || path[n - 1] == '.' || strstr(path, "..")) {
        diags_error(diags, (struct place){.file = "--set"},
                    "'%s' is no path like model.checkout.restore.failover.works", path);
        return;
    }
    struct node *map = map_set(&s, root, path, 1);
    if (map)
        *root = *map;
}
