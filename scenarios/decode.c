/* One function for each type of field, one for records; what a scenario may contain is not here but
 * in the tables.
 */
#include "scenarios/decode_impl.h"

#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#define DECODE_MAP_MAX 16384
#define DECODE_FIELDS_MAX 64
#define DECODE_WORDS_MAX 96 /* keys of a record with its variants */

void decode_done(struct decode *d)
{
    free(d->refs);
    free(d->files);
    free(d->ranges);
    free(d->values);
    d->refs = NULL;
    d->files = NULL;
    d->ranges = NULL;
    d->values = NULL;
    d->n_refs = d->refs_room = d->n_files = d->files_room = 0;
    d->n_ranges = d->ranges_room = d->n_values = d->values_room = 0;
}

const char *decode_type_words(const struct field *f)
{
    static const char *const words[] = {
        [FIELD_TEXT] = "a text",
        [FIELD_NAME] = "a name",
        [FIELD_BOOL] = "true or false",
        [FIELD_INTEGER] = "a whole number",
        [FIELD_DURATION] = "a duration like 250ms or 1m30s",
        [FIELD_PERCENT] = "a percentage like 5%",
        [FIELD_DURATIONS] = "a list of durations",
        [FIELD_NUMBER] = "a number like 2.5",
        [FIELD_RATE] = "a rate like 10mbit",
        [FIELD_SIZE] = "a size like 64kB",
        [FIELD_PORTS] = "a port, a range of ports like 8000-8010, or a list of them",
        [FIELD_PEERS] = "a host, an address, a prefix, or a list of them",
        [FIELD_WORD] = "a word",
        [FIELD_TEXTS] = "a text or a list of texts",
        [FIELD_REF] = "a name",
        [FIELD_REFS] = "a name or a list of names",
        [FIELD_PAIRS] = "a mapping from words to values",
        [FIELD_OBJECT] = "a mapping",
        [FIELD_OBJECTS] = "a list",
        [FIELD_MAP] = "a mapping from names to what they are",
        [FIELD_SERIES] = "a list like [{fetch: 3s}, {build: 1m}]",
        [FIELD_GROUPS] = "a list of lists like [[a], [b, c]]",
    };
    return f->flags & FIELD_COMMAND ? "a command" : words[f->type];
}

/* The member of a decoded struct that a table's offset means. */
static void *member_at(void *obj, size_t offset)
{
    return (char *)obj + offset;
}

/* --- Texts --- */

/* The C library expands repetitions, so their product is what an expression costs. */
static const char *regex_cost_problem(const char *pattern)
{
    unsigned long product = 1, depth = 0;
    if (strlen(pattern) > 1000)
        return "is longer than 1000 characters";
    for (const char *p = pattern; *p; p++) {
        if (*p == '\\' && p[1]) {
            p++;
        } else if (*p == '(' && ++depth > 50) {
            return "has more than 50 parentheses";
        } else if (*p == '{' && isdigit((unsigned char)p[1])) {
            char *end;
            unsigned long times = strtoul(p + 1, &end, 10);
            if (*end == ',' && isdigit((unsigned char)end[1]))
                times = strtoul(end + 1, &end, 10);
            if (times > 255)
                return "repeats more than 255 times";
            product *= times ? times : 1;
            if (product > 1000)
                return "repeats more than 1000 times";
        }
    }
    return NULL;
}

const char *decode_regex_problem(const char *pattern)
{
    static const struct {
        int code;
        const char *words;
    } reasons[] = {
        {REG_EPAREN, "has an unmatched parenthesis"},
        {REG_EBRACK, "has an unmatched ["},
        {REG_EBRACE, "has an unmatched {"},
        {REG_BADBR, "has a bad repetition count"},
        {REG_BADRPT, "repeats nothing"},
        {REG_ERANGE, "has a range that ends before it begins"},
        {REG_ECTYPE, "names an unknown class of characters"},
        {REG_EESCAPE, "ends in a backslash"},
        {REG_ESUBREG, "refers back to nothing"},
    };
    const char *problem = regex_cost_problem(pattern);
    if (problem)
        return problem;
    regex_t re;
    int r = regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB);
    if (!r) {
        regfree(&re);
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
        if (reasons[i].code == r)
            return reasons[i].words;
    return "is not a POSIX extended regular expression";
}

static void decode_add_file(struct decode *d, const char *path, struct place at)
{
    if (d->n_files == d->files_room) {
        d->files_room = d->files_room ? d->files_room * 2 : 16;
        struct decode_file *more = realloc(d->files, d->files_room * sizeof *more);
        if (!more)
            abort();
        d->files = more;
    }
    d->files[d->n_files++] = (struct decode_file){.path = path, .place = at};
}

static void decode_add_ref(struct decode *d, const struct field *f, const struct node *node)
{
    if (d->n_refs == d->refs_room) {
        d->refs_room = d->refs_room ? d->refs_room * 2 : 64;
        struct decode_ref *more = realloc(d->refs, d->refs_room * sizeof *more);
        if (!more)
            abort();
        d->refs = more;
    }
    d->refs[d->n_refs++] =
        (struct decode_ref){.name = node->text, .ref = f->ref, .place = node->place};
}

void decode_add_values(struct decode *d, const struct node *node, struct durations *ret)
{
    if (d->n_values == d->values_room) {
        d->values_room = d->values_room ? d->values_room * 2 : 8;
        struct decode_values *more = realloc(d->values, d->values_room * sizeof *more);
        if (!more)
            abort();
        d->values = more;
    }
    decode_add_file(d, node->text, node->place);
    /* the tree is the arena's, and so ours to change */
    d->values[d->n_values++] = (struct decode_values){(struct node *)(uintptr_t)node, ret};
}

static bool decode_command_ok(struct decode *d, const struct field *f, const struct node *node)
{
    char quoted[DIAG_QUOTE_MAX];
    char **argv = text_split_argv(node->text);
    bool any = argv && argv[0] && *argv[0];
    if (!any)
        diags_error(d->diags, node->place, "'%s': %s in the command '%s'", f->key,
                    argv ? "there is no program" : "a quote is not closed",
                    diag_quote(node->text, quoted));
    text_free_argv(argv);
    return any;
}

/* What a single text must be beyond a scalar. */
static bool decode_text_ok(struct decode *d, const struct field *f, const struct node *node)
{
    char quoted[DIAG_QUOTE_MAX];
    if ((f->flags & (FIELD_NON_EMPTY | FIELD_COMMAND | FIELD_FILE)) && !*node->text) {
        diags_error(d->diags, node->place, "'%s' must not be empty", f->key);
        return false;
    }
    if ((f->flags & FIELD_COMMAND) && !decode_command_ok(d, f, node))
        return false;
    const char *problem = f->flags & FIELD_REGEX ? decode_regex_problem(node->text) : NULL;
    if (problem) {
        diags_error(d->diags, node->place, "'%s': the regular expression '%s' %s", f->key,
                    diag_quote(node->text, quoted), problem);
        return false;
    }
    if (f->flags & FIELD_FILE)
        decode_add_file(d, node->text, node->place);
    return true;
}

static bool decode_is_text(struct decode *d, const struct field *f, const struct node *node)
{
    if (decode_is_value(node))
        return decode_text_ok(d, f, node);
    decode_say_type(d, f, node);
    return false;
}

static void decode_name(struct decode *d, const struct field *f, const struct node *node,
                        char **ret)
{
    char quoted[DIAG_QUOTE_MAX];
    if (!decode_is_text(d, f, node))
        return;
    if (text_is_name(node->text))
        *ret = node->text;
    else
        diags_error(d->diags, node->place,
                    "'%s' cannot be a name (a letter, then up to 62 letters, digits, '_', '-' or "
                    "'.')",
                    diag_quote(node->text, quoted));
}

static void say_if_empty(struct decode *d, const struct field *f, const struct node *node, size_t n)
{
    if (!n && (f->flags & FIELD_NON_EMPTY))
        diags_error(d->diags, node->place, "'%s' must not be empty", f->key);
}

static void decode_texts(struct decode *d, const struct field *f, const struct node *node,
                         struct strv *ret)
{
    bool list = node->kind == NODE_LIST;
    size_t n = list ? node->n : 1;
    struct strv v = {.items = arena_alloc(d->arena, (n + 1) * sizeof(char *))};
    for (size_t i = 0; i < n; i++) {
        const struct node *item = list ? node->items[i] : node;
        if (item->bad || !decode_is_text(d, f, item))
            continue;
        if (f->type == FIELD_REFS || (f->type == FIELD_PEERS && !field_peer_is_address(item->text)))
            decode_add_ref(d, f, item);
        v.items[v.n++] = item->text;
    }
    say_if_empty(d, f, node, n);
    *ret = v;
}

static void decode_word(struct decode *d, const struct field *f, const struct node *node, int *ret)
{
    size_t n = 0;
    if (!decode_is_text(d, f, node))
        return;
    for (; f->words[n]; n++)
        if (!strcmp(f->words[n], node->text)) {
            *ret = (int)n;
            return;
        }
    AUTO_BUF list = BUF_INIT;
    char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
    for (size_t i = 0; i < n; i++)
        buf_printf(&list, "%s%s", !i ? "" : i + 1 < n ? ", " : " or ", f->words[i]);
    diags_error(d->diags, node->place, "'%s' must be %s, not '%s'%s", f->key, buf_text(&list),
                diag_quote(node->text, quoted), diag_nearest(node->text, f->words, n, hint));
}

/* --- Mappings from words to values --- */

/* {env: NAME} or {file: PATH}: a value that is not to be written anywhere. */
static void decode_secret(struct decode *d, const struct field *f, const struct node *node,
                          struct pair *ret)
{
    const struct entry *e = node->n == 1 ? &node->entries[0] : NULL;
    bool env = e && !strcmp(e->key->text, "env");
    if (!e || (!env && strcmp(e->key->text, "file")) || !decode_is_value(e->value) ||
        !*e->value->text) {
        diags_error(d->diags, node->place, "a value of '%s' is a text, {env: NAME} or {file: PATH}",
                    f->key);
        return;
    }
    ret->source = env ? PAIR_ENV : PAIR_FILE;
    ret->value = e->value->text;
}

static void decode_pairs(struct decode *d, const struct field *f, const struct node *node,
                         struct pairs *ret)
{
    char what[DIAG_QUOTE_MAX + 8], quoted[DIAG_QUOTE_MAX];
    if (node->kind != NODE_MAP) {
        decode_say_type(d, f, node);
        return;
    }
    struct pairs v = {.items = arena_alloc(d->arena, (node->n + 1) * sizeof *v.items)};
    for (size_t i = 0; i < node->n; i++) {
        const struct node *key = node->entries[i].key, *value = node->entries[i].value;
        struct pair p = {.key = key->text, .place = key->place};
        if (value->bad)
            continue;
        if (!*key->text)
            diags_error(d->diags, key->place, "an empty word in '%s'", f->key);
        else if (value->kind == NODE_MAP && (f->flags & FIELD_SECRETS))
            decode_secret(d, f, value, &p);
        else if (!decode_is_value(value))
            diags_error(d->diags, value->place, "'%s' must be a text, not %s",
                        diag_quote(key->text, quoted), node_what(value, what));
        else
            p.value = value->text;
        if (p.value)
            v.items[v.n++] = p;
    }
    say_if_empty(d, f, node, node->n);
    *ret = v;
}

/* --- Objects --- */

static void *decode_object(struct decode *d, const struct record *record, const struct node *node,
                           struct place at)
{
    void *obj = arena_alloc(d->arena, record->size);
    decode_record(d, record, node, at, obj);
    return obj;
}

static void decode_objects(struct decode *d, const struct field *f, const struct node *node,
                           struct objects *ret)
{
    bool list = node->kind == NODE_LIST;
    size_t n = list ? node->n : 1;
    struct objects v = {.items = arena_alloc(d->arena, (n + 1) * sizeof(void *))};
    for (size_t i = 0; i < n && !diags_is_full(d->diags); i++) {
        const struct node *item = list ? node->items[i] : node;
        v.items[v.n++] = decode_object(d, f->record, item, item->place);
    }
    say_if_empty(d, f, node, n);
    *ret = v;
}

static void decode_groups(struct decode *d, const struct field *f, const struct node *node,
                          struct objects *ret)
{
    if (node->kind != NODE_LIST) {
        decode_say_type(d, f, node);
        return;
    }
    struct objects v = {.items = arena_alloc(d->arena, (node->n + 1) * sizeof(void *))};
    for (size_t i = 0; i < node->n && !diags_is_full(d->diags); i++) {
        if (node->items[i]->kind != NODE_LIST || !node->items[i]->n) {
            diags_error(d->diags, node->items[i]->place,
                        "each group of '%s' must be a list that is not empty, as in [[a], [b, c]]",
                        f->key);
            continue;
        }
        struct objects *group = arena_alloc(d->arena, sizeof *group);
        decode_objects(d, f, node->items[i], group);
        v.items[v.n++] = group;
    }
    say_if_empty(d, f, node, node->n);
    *ret = v;
}

/* An entry whose key is the name of an object. */
static void decode_named(struct decode *d, const struct field *f, const struct entry *e,
                         struct objects *v)
{
    const struct node *key = e->key;
    char quoted[DIAG_QUOTE_MAX];
    if (!text_is_name(key->text)) {
        diags_error(d->diags, key->place,
                    "'%s' cannot be the name of a %s (a letter, then up to 62 letters, digits, "
                    "'_', '-' or '.')",
                    diag_quote(key->text, quoted), f->record->name);
        return;
    }
    void *obj = decode_object(d, f->record, e->value, key->place);
    if (f->ref != REF_NONE)
        decode_add_ref(d, f, key);
    if (f->record->name_offset != SIZE_MAX)
        *(char **)member_at(obj, f->record->name_offset) = key->text;
    v->items[v->n++] = obj;
}

static void decode_map(struct decode *d, const struct field *f, const struct node *node,
                       struct objects *ret)
{
    if (node->kind != NODE_MAP) {
        decode_say_type(d, f, node);
        return;
    }
    if (node->n > DECODE_MAP_MAX) {
        diags_error(d->diags, node->place, "more than %d in '%s'", DECODE_MAP_MAX, f->key);
        return;
    }
    struct objects v = {.items = arena_alloc(d->arena, (node->n + 1) * sizeof(void *))};
    for (size_t i = 0; i < node->n && !diags_is_full(d->diags); i++)
        decode_named(d, f, &node->entries[i], &v);
    say_if_empty(d, f, node, node->n);
    *ret = v;
}

static void decode_series(struct decode *d, const struct field *f, const struct node *node,
                          struct objects *ret)
{
    if (node->kind != NODE_LIST) {
        decode_say_type(d, f, node);
        return;
    }
    struct objects v = {.items = arena_alloc(d->arena, (node->n + 1) * sizeof(void *))};
    for (size_t i = 0; i < node->n && !diags_is_full(d->diags); i++) {
        const struct node *item = node->items[i];
        if (item->kind != NODE_MAP || item->n != 1)
            diags_error(d->diags, item->place,
                        "each item of '%s' is one name with what it is, as in {fetch: 3s}%s",
                        f->key,
                        item->kind == NODE_MAP && item->n ? ": the keys of one belong "
                                                            "below its name, indented further"
                                                          : "");
        else
            decode_named(d, f, &item->entries[0], &v);
    }
    say_if_empty(d, f, node, node->n);
    *ret = v;
}

/* --- Fields and records --- */

static void decode_field(struct decode *d, const struct field *f, const struct node *node,
                         struct place at, void *obj)
{
    void *member = member_at(obj, f->offset);
    if (node->bad)
        return;
    if (node_is_null(node)) {
        diags_error(d->diags, at, "'%s' has no value", f->key);
        return;
    }
    switch (f->type) {
    case FIELD_TEXT:
        if (decode_is_text(d, f, node))
            *(char **)member = node->text;
        break;
    case FIELD_NAME:
        decode_name(d, f, node, member);
        break;
    case FIELD_BOOL:
        decode_bool(d, f, node, member);
        break;
    case FIELD_INTEGER:
        decode_integer(d, f, node, member);
        break;
    case FIELD_DURATION:
    case FIELD_RATE:
    case FIELD_SIZE:
        decode_amount(d, f, node, member);
        break;
    case FIELD_PORTS:
        decode_ports(d, f, node, member);
        break;
    case FIELD_DURATIONS:
        decode_durations(d, f, node, member);
        break;
    case FIELD_PERCENT:
    case FIELD_NUMBER:
        decode_fraction(d, f, node, member);
        break;
    case FIELD_WORD:
        decode_word(d, f, node, member);
        break;
    case FIELD_REF:
        if (decode_is_text(d, f, node)) {
            *(char **)member = node->text;
            decode_add_ref(d, f, node);
        }
        break;
    case FIELD_TEXTS:
    case FIELD_REFS:
    case FIELD_PEERS:
        decode_texts(d, f, node, member);
        break;
    case FIELD_PAIRS:
        decode_pairs(d, f, node, member);
        break;
    case FIELD_OBJECT:
        *(void **)member = decode_object(d, f->record, node, node->place);
        break;
    case FIELD_OBJECTS:
        decode_objects(d, f, node, member);
        break;
    case FIELD_MAP:
        decode_map(d, f, node, member);
        break;
    case FIELD_SERIES:
        decode_series(d, f, node, member);
        break;
    case FIELD_GROUPS:
        decode_groups(d, f, node, member);
        break;
    }
}

/* What an absent field is: its default as one would write it, or unset. */
static void decode_default(struct decode *d, const struct field *f, struct place at, void *obj)
{
    if (f->flags & FIELD_ELSEWHERE)
        return;
    if (f->type == FIELD_DURATION)
        *(nsec *)member_at(obj, f->offset) = NSEC_UNSET;
    if (f->type == FIELD_WORD && f->dflt && !*f->dflt) {
        *(int *)member_at(obj, f->offset) = -1;
        return;
    }
    if (!f->dflt)
        return;
    struct node *node = arena_alloc(d->arena, sizeof *node);
    *node = (struct node){
        .kind = NODE_SCALAR, .place = at, .plain = true, .text = arena_strdup(d->arena, f->dflt)};
    decode_field(d, f, node, at, obj);
}

static size_t record_words(const struct record *r, const char *words[DECODE_WORDS_MAX])
{
    size_t n = 0;
    for (const struct field *f = r->fields; f->key && n < DECODE_WORDS_MAX; f++)
        words[n++] = f->key;
    for (size_t i = 0; field_variant(r, i) && n < DECODE_WORDS_MAX; i++)
        words[n++] = field_variant(r, i)->name;
    return n;
}

/* Returns the key that was probably meant, or NULL. */
static const char *say_unknown(struct decode *d, const struct record *r, const struct node *key)
{
    const char *words[DECODE_WORDS_MAX];
    char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
    size_t n = record_words(r, words);
    AUTO_BUF list = BUF_INIT;

    diag_nearest(key->text, words, n, hint);
    if (!*hint) {
        for (size_t i = 0; i < n; i++)
            buf_printf(&list, "%s%s", i ? ", " : " (known: ", words[i]);
        buf_adds(&list, n ? ")" : " (it takes none)");
    }
    diags_error(d->diags, key->place, "unknown key '%s' in this %s%s%s",
                diag_quote(key->text, quoted), r->name, hint, buf_text(&list));
    return text_nearest(key->text, words, n);
}

static void decode_variant(struct decode *d, const struct record *r, const struct variant *variant,
                           const struct entry *e, const struct node **chosen, void *obj)
{
    if (*chosen) {
        diags_error(d->diags, e->key->place,
                    "this %s has %s already ('%s' at line %d, column %d): one is allowed", r->name,
                    r->variant_what, (*chosen)->text, (*chosen)->place.line, (*chosen)->place.col);
        return;
    }
    *chosen = e->key;
    *(const struct variant **)member_at(obj, r->variant_offset) = variant;
    *(void **)member_at(obj, r->params_offset) =
        decode_object(d, variant->params, e->value, e->key->place);
    if (r->variant_place_offset != SIZE_MAX)
        *(struct place *)member_at(obj, r->variant_place_offset) = e->key->place;
}

static const struct field *record_field(const struct record *r, const char *key)
{
    for (const struct field *f = r->fields; f->key; f++)
        if (!strcmp(f->key, key))
            return f;
    return NULL;
}

static const struct variant *record_variant(const struct record *r, const char *key)
{
    const struct variant *v;
    for (size_t i = 0; (v = field_variant(r, i)); i++)
        if (!strcmp(v->name, key))
            return v;
    return NULL;
}

static void say_needs_variant(struct decode *d, const struct record *r, struct place at)
{
    AUTO_BUF list = BUF_INIT;
    for (size_t i = 0; field_variant(r, i); i++)
        buf_printf(&list, "%s%s", i ? ", " : "", field_variant(r, i)->name);
    diags_error(d->diags, at, "this %s needs %s: %s", r->name, r->variant_what, buf_text(&list));
}

/* The entries of a mapping, or a lone value under the record's shorthand. */
static bool decode_entries(struct decode *d, const struct record *r, const struct node *node,
                           struct place at, const struct entry **ret, size_t *ret_n)
{
    char what[DIAG_QUOTE_MAX + 8];
    if (node->kind == NODE_MAP) {
        *ret = node->entries;
        *ret_n = node->n;
        return true;
    }
    if (!r->shorthand || node_is_null(node)) {
        diags_error(d->diags, node_is_null(node) ? at : node->place,
                    "this %s must be a mapping (key: value), not %s", r->name,
                    node_what(node, what));
        return false;
    }
    struct entry *e = arena_alloc(d->arena, sizeof *e);
    struct node *both = arena_alloc(d->arena, 2 * sizeof *both);
    both[0] = (struct node){
        .kind = NODE_SCALAR, .place = node->place, .text = arena_strdup(d->arena, r->shorthand)};
    both[1] = *node;
    *e = (struct entry){.key = &both[0], .value = &both[1]};
    *ret = e;
    *ret_n = 1;
    return true;
}

void decode_record(struct decode *d, const struct record *r, const struct node *node,
                   struct place at, void *obj)
{
    const struct entry *entries = NULL;
    const struct node *chosen = NULL;
    bool seen[DECODE_FIELDS_MAX] = {false}, unknown = false;
    size_t n = 0;

    if (r->place_offset != SIZE_MAX)
        *(struct place *)member_at(obj, r->place_offset) = at;
    bool ok = decode_entries(d, r, node, at, &entries, &n);
    for (size_t i = 0; i < n && !diags_is_full(d->diags); i++) {
        const struct entry *e = &entries[i];
        const struct field *f = record_field(r, e->key->text);
        const struct variant *variant = f ? NULL : record_variant(r, e->key->text);
        if (f && (f->flags & FIELD_ELSEWHERE)) {
            continue;
        } else if (f) {
            seen[f - r->fields] = true;
            decode_default(d, f, e->value->place, obj); /* stays when the value is refused */
            decode_field(d, f, e->value, e->key->place, obj);
        } else if (variant) {
            decode_variant(d, r, variant, e, &chosen, obj);
        } else {
            const char *meant = say_unknown(d, r, e->key);
            f = meant ? record_field(r, meant) : NULL;
            if (f) /* it is not missing too */
                seen[f - r->fields] = true, decode_default(d, f, at, obj);
            unknown = true;
        }
    }
    for (const struct field *f = r->fields; f->key; f++) {
        if (seen[f - r->fields])
            continue;
        if (ok && (f->flags & FIELD_REQUIRED))
            diags_error(d->diags, at, "this %s needs '%s'", r->name, f->key);
        decode_default(d, f, at, obj);
    }
    if (ok && r->variants && !chosen && !unknown)
        say_needs_variant(d, r, at);
}

/* --- Names --- */

static const char *ref_what(enum field_ref ref)
{
    static const char *const words[] = {
        [REF_NONE] = "thing",
        [REF_SERVICE] = "service",
        [REF_NETWORK] = "network",
        [REF_HOST] = "host",
        [REF_GROUP] = "group",
        [REF_PROBE] = "probe",
        [REF_ALARM] = "alarm",
        [REF_STEP] = "step",
        [REF_ROLE_OR_ALARM] = "alarm or role of alarms",
        [REF_COMPONENT] = "component or host",
        [REF_CREW] = "crew",
        [REF_RESPONDER] = "role of people",
        [REF_AUDIENCE] = "role of people",
        [REF_OBJECTIVE] = "objective",
        [REF_PHASE] = "phase",
        [REF_RUNBOOK] = "runbook",
    };
    return words[ref];
}

void decode_resolve(struct decode *d, decode_names_fn *names, void *data)
{
    const char *const *known[REF_LAST + 1] = {NULL};
    size_t n_known[REF_LAST + 1] = {0};

    for (size_t i = 0; i < d->n_refs && !diags_is_full(d->diags); i++) {
        const struct decode_ref *r = &d->refs[i];
        if (!known[r->ref])
            known[r->ref] = names(r->ref, &n_known[r->ref], data);
        if ((r->ref == REF_HOST || r->ref == REF_PROBE) && !n_known[r->ref] && d->places_miss)
            continue;
        bool found = false;
        for (size_t k = 0; k < n_known[r->ref] && !found; k++)
            found = !strcmp(known[r->ref][k], r->name);
        if (found)
            continue;
        char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
        diags_error(d->diags, r->place, "there is no %s '%s'%s", ref_what(r->ref),
                    diag_quote(r->name, quoted),
                    diag_nearest(r->name, known[r->ref], n_known[r->ref], hint));
    }
}
