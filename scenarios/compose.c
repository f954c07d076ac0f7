/* From one file's tree to the scenario's: `include:` and `${…}`.
 *
 * Included files are mappings like the scenario itself; their keys take the place of `include:`.
 * Where two files have the same key and both values are mappings (services:, hosts:, vars:), these
 * are merged; anything else that stands in two files is an error that names both places.
 *
 * Variables are words that are put into scalars before anything is decoded; what was put in is not
 * looked at again, so there is no recursion and no surprise. Keys are left alone.
 */
#include "scenarios/tree.h"

#include "sim/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The files that are being read, innermost first: for cycles and depth. */
struct open_file {
    const struct open_file *outer;
    const char *path;
    dev_t dev;
    ino_t ino;
    unsigned depth;
};

struct composer {
    struct arena *arena;
    struct diags *diags;
    struct tree_budget used;
    bool from_text; /* no files: including is refused */
};

/* A growing mapping. */
struct merged {
    struct node *map;
    size_t room;
};

static void merged_add(struct composer *c, struct merged *m, struct entry e)
{
    if (m->map->n == m->room) {
        m->room = m->room ? m->room * 2 : 16;
        struct entry *more = arena_alloc(c->arena, m->room * sizeof *more);
        if (m->map->n)
            memcpy(more, m->map->entries, m->map->n * sizeof *more);
        m->map->entries = more;
    }
    m->map->entries[m->map->n++] = e;
    m->map->weight += e.value->weight + 1;
    if (e.value->height >= m->map->height)
        m->map->height = e.value->height + 1;
}

static struct entry *map_entry(const struct node *map, const char *key)
{
    for (size_t i = 0; i < map->n; i++)
        if (!strcmp(map->entries[i].key->text, key))
            return &map->entries[i];
    return NULL;
}

static struct node *map_new(struct composer *c, struct place at)
{
    struct node *map = arena_alloc(c->arena, sizeof *map);
    *map = (struct node){.kind = NODE_MAP, .place = at, .weight = 1, .height = 1};
    return map;
}

static void say_twice(struct composer *c, struct place at, struct place first, const char *what)
{
    char quoted[DIAG_QUOTE_MAX];
    diags_error(c->diags, at, "'%s' is already defined at %s:%d:%d", diag_quote(what, quoted),
                first.file, first.line, first.col);
}

/* `services:` of two files: a new mapping, because the old ones may be shared through aliases. */
static struct node *merge_maps(struct composer *c, const struct node *a, const struct node *b)
{
    struct merged m = {.map = map_new(c, a->place)};
    for (size_t i = 0; i < a->n; i++)
        merged_add(c, &m, a->entries[i]);
    for (size_t i = 0; i < b->n; i++) {
        const struct entry *old = map_entry(a, b->entries[i].key->text);
        if (old)
            say_twice(c, b->entries[i].key->place, old->key->place, old->key->text);
        else
            merged_add(c, &m, b->entries[i]);
    }
    return m.map;
}

static void merge_entry(struct composer *c, struct merged *m, struct entry e)
{
    struct entry *old = map_entry(m->map, e.key->text);
    if (!old) {
        merged_add(c, m, e);
        return;
    }
    if (old->value->kind == NODE_MAP && e.value->kind == NODE_MAP) {
        old->value = merge_maps(c, old->value, e.value);
        m->map->weight += e.value->weight;
        return;
    }
    /* every file may say which version of the language it is written in */
    if (!strcmp(e.key->text, "blackstart") && old->value->kind == NODE_SCALAR &&
        e.value->kind == NODE_SCALAR && !strcmp(old->value->text, e.value->text))
        return;
    /* keys of one file that are equal were found before */
    if (old->key->place.file != e.key->place.file)
        say_twice(c, e.key->place, old->key->place, e.key->text);
}

static struct node *compose_file(struct composer *c, const char *path, struct place at,
                                 const struct open_file *outer);

/* `dir of file`/`path`, or path when it is absolute. */
static const char *path_beside(struct composer *c, const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    if (*path == '/' || !slash)
        return path;
    return arena_printf(c->arena, "%.*s/%s", (int)(slash - file), file, path);
}

static void include_one(struct composer *c, struct merged *m, const struct node *name,
                        const struct open_file *self)
{
    char what[DIAG_QUOTE_MAX + 8];
    if (name->kind != NODE_SCALAR || node_is_null(name)) {
        diags_error(c->diags, name->place, "'include' takes the name of a file or a list of them");
        return;
    }
    if (c->from_text || strstr(name->text, "${")) {
        diags_error(c->diags, name->place, "%s cannot be included here%s", node_what(name, what),
                    c->from_text ? "" : ": variables are not known yet");
        return;
    }
    const struct node *map =
        compose_file(c, path_beside(c, self->path, name->text), name->place, self);
    for (size_t i = 0; map && i < map->n; i++)
        merge_entry(c, m, map->entries[i]);
}

/* Replaces `include:` by what it names. */
static struct node *compose_map(struct composer *c, struct node *map, const struct open_file *self)
{
    if (!map_entry(map, "include"))
        return map;
    struct merged m = {.map = map_new(c, map->place)};
    for (size_t i = 0; i < map->n; i++) {
        const struct entry *e = &map->entries[i];
        if (strcmp(e->key->text, "include"))
            merge_entry(c, &m, *e);
        else if (e->value->kind == NODE_LIST)
            for (size_t k = 0; k < e->value->n; k++)
                include_one(c, &m, e->value->items[k], self);
        else
            include_one(c, &m, e->value, self);
    }
    if (m.map->weight > TREE_NODES_MAX) {
        diags_error(c->diags, map->place, "with what it includes this is more than %d values",
                    TREE_NODES_MAX);
        return NULL;
    }
    return m.map;
}

static struct node *compose_root(struct composer *c, struct node *root,
                                 const struct open_file *self)
{
    char what[DIAG_QUOTE_MAX + 8];
    if (!root)
        return NULL;
    if (root->kind != NODE_MAP) {
        diags_error(c->diags, root->place,
                    "a scenario is a mapping that begins with 'blackstart: 1', not %s",
                    node_what(root, what));
        return NULL;
    }
    return compose_map(c, root, self);
}

static bool file_can_open(struct composer *c, const char *path, struct place at,
                          const struct open_file *outer, struct open_file *self)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        diags_error(c->diags, at, "cannot read %s: %s", path, strerror(errno));
        return false;
    }
    if (!S_ISREG(st.st_mode)) {
        diags_error(c->diags, at, "%s is not a file", path);
        return false;
    }
    *self = (struct open_file){.outer = outer,
                               .path = path,
                               .dev = st.st_dev,
                               .ino = st.st_ino,
                               .depth = outer ? outer->depth + 1 : 0};
    for (const struct open_file *f = outer; f; f = f->outer)
        if (f->dev == st.st_dev && f->ino == st.st_ino) {
            diags_error(c->diags, at, "%s includes itself", path);
            return false;
        }
    if (self->depth > TREE_INCLUDE_DEPTH_MAX) {
        diags_error(c->diags, at, "files include each other deeper than %d levels",
                    TREE_INCLUDE_DEPTH_MAX);
        return false;
    }
    return true;
}

static struct node *compose_file(struct composer *c, const char *path, struct place at,
                                 const struct open_file *outer)
{
    struct open_file self;
    AUTO_FREE char *text = NULL;
    size_t n = 0;
    struct err err = ERR_INIT;

    if (!file_can_open(c, path, at, outer, &self))
        return NULL;
    if (file_read(AT_FDCWD, path, TREE_FILE_MAX, &text, &n, &err) < 0) {
        diags_error(c->diags, at, "%s", err.text);
        return NULL;
    }
    return compose_root(c, tree_parse(c->arena, text, n, path, &c->used, c->diags), &self);
}

/* --- Variables --- */

struct variable {
    const char *name;
    const char *value;
    bool plain, used, set;
    bool bad; /* something was said about it already */
    struct place place;
};

struct variables {
    struct arena *arena;
    struct diags *diags;
    struct variable *items;
    const char **names;
    size_t n;
    struct strv paths; /* of `sets` those that name no variable but a place of the file */
    bool wrong;        /* something was said: unused ones may be meant by it */
    size_t grown;      /* bytes that were put in, of all scalars together */
};

#define VARIABLES_MAX 200

static struct variable *variable_find(const struct variables *v, const char *name, size_t n)
{
    for (size_t i = 0; i < v->n; i++)
        if (strlen(v->names[i]) == n && !strncmp(v->names[i], name, n))
            return &v->items[i];
    return NULL;
}

/* The text of a variable as it was meant: $${ is ${; another variable in it is an error. */
static const char *variable_text(struct variables *v, const struct node *value, bool *ret_bad)
{
    char what[DIAG_QUOTE_MAX + 8];
    *ret_bad = true;
    if (value->kind != NODE_SCALAR || node_is_null(value)) {
        diags_error(v->diags, value->place, "a variable must be one value, not %s",
                    node_what(value, what));
        return "";
    }
    AUTO_BUF out = BUF_INIT;
    for (const char *p = value->text; *p; p++) {
        if (!strncmp(p, "$${", 3)) {
            p++;
        } else if (!strncmp(p, "${", 2)) {
            diags_error(v->diags, value->place, "a variable cannot be made of other variables");
            return value->text;
        }
        buf_addc(&out, *p);
    }
    *ret_bad = false;
    return arena_strdup(v->arena, buf_text(&out));
}

static void variables_declare(struct variables *v, const struct node *vars)
{
    char what[DIAG_QUOTE_MAX + 8];
    if (vars->kind != NODE_MAP) {
        diags_error(v->diags, vars->place, "'vars' must be a mapping from names to values, not %s",
                    node_what(vars, what));
        return;
    }
    if (vars->n > VARIABLES_MAX) {
        diags_error(v->diags, vars->place, "more than %d variables", VARIABLES_MAX);
        return;
    }
    v->items = arena_alloc(v->arena, vars->n * sizeof *v->items);
    v->names = arena_alloc(v->arena, vars->n * sizeof *v->names);
    for (size_t i = 0; i < vars->n; i++) {
        const struct node *key = vars->entries[i].key, *value = vars->entries[i].value;
        if (!text_is_name(key->text)) {
            diags_error(v->diags, key->place,
                        "%s cannot be the name of a variable (a letter, then "
                        "letters, digits, '_', '-' or '.')",
                        node_what(key, what));
            continue;
        }
        struct variable var = {.name = key->text, .plain = value->plain, .place = key->place};
        var.value = variable_text(v, value, &var.bad);
        v->wrong = v->wrong || var.bad;
        v->names[v->n] = key->text;
        v->items[v->n++] = var;
    }
}

/* A place of the file: below another key, or a key that stands there. */
static bool names_a_place(const struct node *root, const char *name)
{
    static const char *const never[] = {"blackstart", "include", "vars"};
    size_t first = strcspn(name, ".");
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (strlen(never[i]) == first && !strncmp(name, never[i], first))
            return false;
    return name[first] || node_get(root, name);
}

static void variables_set(struct variables *v, const struct node *root, const struct strv *sets)
{
    const struct place at = {.file = "--set"};
    char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
    if (sets)
        v->paths.items = arena_alloc(v->arena, sets->n * sizeof *v->paths.items);
    for (size_t i = 0; sets && i < sets->n; i++) {
        const char *text = sets->items[i], *equals = strchr(text, '=');
        if (!equals) {
            diags_error(v->diags, at, "'%s' must be NAME=VALUE", diag_quote(text, quoted));
            continue;
        }
        size_t n = (size_t)(equals - text);
        struct variable *var = variable_find(v, text, n);
        char *name = arena_strndup(v->arena, text, n);
        if (!var && names_a_place(root, name)) {
            v->paths.items[v->paths.n++] = sets->items[i];
            continue;
        }
        if (!var) {
            diags_error(v->diags, at, "the scenario declares no variable '%s'%s",
                        diag_quote(name, quoted), diag_nearest(name, v->names, v->n, hint));
            continue;
        }
        if (var->set)
            diags_error(v->diags, at, "'%s' is set twice", diag_quote(var->name, quoted));
        var->value = arena_strdup(v->arena, equals + 1);
        var->plain = equals[1];
        var->set = true;
        var->bad = false;
    }
}

static void variables_put_in(struct variables *v, struct node *node)
{
    AUTO_BUF out = BUF_INIT;
    char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
    for (const char *p = node->text; *p; p++) {
        if (!strncmp(p, "$${", 3)) {
            buf_adds(&out, "${");
            p += 2;
            continue;
        }
        if (strncmp(p, "${", 2)) {
            buf_addc(&out, *p);
            continue;
        }
        const char *end = strchr(p, '}');
        if (!end) {
            diags_error(v->diags, node->place, "'${' is not closed by '}'");
            node->bad = v->wrong = true;
            return;
        }
        size_t n = (size_t)(end - p) - 2;
        const char *name = arena_strndup(v->arena, p + 2, n);
        struct variable *var = variable_find(v, name, n);
        if (!var) {
            diags_error(v->diags, node->place,
                        "there is no variable '%s'%s (write $${ where ${ itself is meant)",
                        diag_quote(name, quoted), diag_nearest(name, v->names, v->n, hint));
            node->bad = v->wrong = true;
            return;
        }
        var->used = true;
        node->bad = node->bad || var->bad;
        buf_adds(&out, var->value);
        v->grown += strlen(var->value);
        if (v->grown > TREE_FILE_MAX) {
            diags_error(v->diags, node->place, "with its variables the scenario is too large");
            return;
        }
        if (p == node->text && !end[1])
            node->plain = var->plain; /* "${n}" in quotes may still be a number */
        p = end;
    }
    node->text = arena_strdup(v->arena, buf_text(&out));
}

static void variables_apply(struct variables *v, struct node *node)
{
    if (node->settled || diags_is_full(v->diags))
        return;
    node->settled = true;
    if (node->kind == NODE_SCALAR) {
        if (strstr(node->text, "${"))
            variables_put_in(v, node);
        return;
    }
    for (size_t i = 0; i < node->n; i++)
        variables_apply(v, node->kind == NODE_LIST ? node->items[i] : node->entries[i].value);
}

/* `vars:` itself gets the values that were used, so that the scenario as run says them. */
static void variables_settle(struct variables *v, struct node *vars)
{
    for (size_t i = 0; vars->kind == NODE_MAP && i < vars->n; i++) {
        const struct node *key = vars->entries[i].key, *old = vars->entries[i].value;
        const struct variable *var = variable_find(v, key->text, strlen(key->text));
        if (!var || old->kind != NODE_SCALAR)
            continue;
        struct node *value = arena_alloc(v->arena, sizeof *value);
        *value = *old;
        value->text = arena_strdup(v->arena, var->value);
        value->plain = var->plain;
        value->settled = true;
        vars->entries[i].value = value;
        if (!var->used && !v->wrong)
            diags_warning(v->diags, var->place, "the variable '%s' is never used", var->name);
    }
    vars->settled = true;
}

static struct node *compose_variables(struct composer *c, struct node *root,
                                      const struct strv *sets)
{
    struct variables v = {.arena = c->arena, .diags = c->diags};
    struct node *vars = node_get(root, "vars");
    if (!root)
        return NULL;
    if (vars)
        variables_declare(&v, vars);
    variables_set(&v, root, sets);
    for (size_t i = 0; i < v.paths.n; i++) {
        const char *text = v.paths.items[i], *equals = strchr(text, '=');
        tree_set(c->arena, root, arena_strndup(c->arena, text, (size_t)(equals - text)), equals + 1,
                 &c->used, c->diags);
    }
    for (size_t i = 0; i < root->n; i++)
        if (root->entries[i].value != vars)
            variables_apply(&v, root->entries[i].value);
    if (vars)
        variables_settle(&v, vars);
    return root;
}

struct node *tree_load(struct arena *arena, const char *path, const struct strv *sets,
                       struct diags *diags)
{
    struct composer c = {.arena = arena, .diags = diags};
    struct node *root = compose_file(&c, path, (struct place){.file = path}, NULL);
    return compose_variables(&c, root, sets);
}

struct node *tree_load_text(struct arena *arena, const char *text, size_t n, const char *name,
                            const struct strv *sets, struct diags *diags)
{
    struct composer c = {.arena = arena, .diags = diags, .from_text = true};
    const struct open_file self = {.path = name};
    struct node *root = compose_root(&c, tree_parse(arena, text, n, name, &c.used, diags), &self);
    return compose_variables(&c, root, sets);
}
