/* YAML text to nodes: the only file that knows libyaml.
 *
 * Events are turned into nodes by recursion, bounded by TREE_DEPTH_MAX. An alias becomes the node
 * it names; what that would cost a reader who follows it is counted in `weight` and bounded, so a
 * "billion laughs" is refused where the alias stands. libyaml reads YAML 1.1; what differs from 1.2
 * (its typed words, merge keys) lies above the events and is decided here and in decode.c.
 *
 * The text is checked for UTF-8 and control characters before libyaml sees it, because its reader
 * tells a byte offset at best.
 */
#include "scenarios/tree.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define TREE_ANCHORS_MAX 1000

struct anchor {
    const char *name;
    struct node *node;
    bool open; /* its end was not reached yet */
    struct place place;
};

struct reader {
    yaml_parser_t parser;
    struct arena *arena;
    struct diags *diags;
    struct tree_budget *used;
    const char *file, *text;
    struct anchor *anchors;
    size_t n_anchors;
};

/* Children are collected here until their number is known. */
struct collector {
    struct node **items;
    size_t n, room;
};

static void collector_done(struct collector *c)
{
    free(c->items);
}

static void collector_add(struct collector *c, struct node *node)
{
    if (c->n == c->room) {
        c->room = c->room ? c->room * 2 : 8;
        struct node **more = realloc(c->items, c->room * sizeof(struct node *));
        if (!more)
            abort();
        c->items = more;
    }
    c->items[c->n++] = node;
}

static struct place reader_place(const struct reader *r, yaml_mark_t mark)
{
    return (struct place){.file = r->file, .line = (int)mark.line + 1, .col = (int)mark.column + 1};
}

/* The line `number` (from 1) of the text, without its end. */
static const char *reader_line(const struct reader *r, int number, size_t *ret_n)
{
    const char *p = r->text;
    for (int i = 1; i < number; i++) {
        const char *end = strchr(p, '\n');
        if (!end)
            break;
        p = end + 1;
    }
    *ret_n = strcspn(p, "\n");
    return p;
}

static void reader_syntax_error(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    struct place at = reader_place(r, p->problem_mark);
    size_t n;
    const char *line = reader_line(r, at.line, &n);
    size_t col = (size_t)at.col - 1;

    if (p->error == YAML_MEMORY_ERROR)
        abort();
    if (n && strspn(line, " ") < n && line[strspn(line, " ")] == '\t') {
        diags_error(r->diags, at, "a tab cannot indent YAML: use spaces");
        return;
    }
    const char *hint = "";
    if (col < n && (line[col] == '@' || line[col] == '`' || line[col] == '%'))
        hint = "; put quotes around a text that begins with this character";
    else if (memmem(line, n, "${", 2))
        hint = "; between { } or [ ] put quotes around a text with ${...}";
    AUTO_BUF context = BUF_INIT;
    if (p->context)
        buf_printf(&context, " %s", p->context);
    if (p->context && p->context_mark.line + 1 != (size_t)at.line)
        buf_printf(&context, " from line %zu", p->context_mark.line + 1);
    diags_error(r->diags, at, "this is not YAML: %s%s%s", p->problem ? p->problem : "bad syntax",
                buf_text(&context), hint);
}

static bool reader_next(struct reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event))
        return true;
    reader_syntax_error(r);
    return false;
}

static struct node *reader_new(struct reader *r, enum node_kind kind, struct place at)
{
    if (r->used->nodes >= TREE_NODES_MAX) {
        diags_error(r->diags, at, "this is more than %d values: too large", TREE_NODES_MAX);
        return NULL;
    }
    r->used->nodes++;
    struct node *node = arena_alloc(r->arena, sizeof *node);
    *node = (struct node){.kind = kind, .place = at, .weight = 1, .height = 1};
    return node;
}

/* Takes a child's size into its parent; false when it gets too deep or too large. */
static bool reader_count(struct reader *r, struct node *parent, const struct node *child,
                         unsigned depth, struct place at)
{
    parent->weight += child->weight;
    if (child->height + 1 > parent->height)
        parent->height = child->height + 1;
    if (depth + child->height > TREE_DEPTH_MAX) {
        diags_error(r->diags, at, "nested deeper than %d levels", TREE_DEPTH_MAX);
        return false;
    }
    if (parent->weight > TREE_NODES_MAX) {
        diags_error(r->diags, at, "with its aliases followed this is more than %d values",
                    TREE_NODES_MAX);
        return false;
    }
    return true;
}

static struct anchor *reader_anchor(struct reader *r, const char *name)
{
    for (size_t i = 0; i < r->n_anchors; i++)
        if (!strcmp(r->anchors[i].name, name))
            return &r->anchors[i];
    return NULL;
}

/* Notes an anchor before its node is complete; *ret stays NULL without one. */
static bool reader_open_anchor(struct reader *r, const yaml_char_t *name, struct place at,
                               struct anchor **ret)
{
    if (!name)
        return true;
    char quoted[DIAG_QUOTE_MAX];
    const struct anchor *old = reader_anchor(r, (const char *)name);
    if (old) {
        diags_error(r->diags, at, "the anchor '&%s' stands here twice; first at line %d",
                    diag_quote((const char *)name, quoted), old->place.line);
        return false;
    }
    if (r->n_anchors == TREE_ANCHORS_MAX) {
        diags_error(r->diags, at, "more than %d anchors", TREE_ANCHORS_MAX);
        return false;
    }
    if (!r->anchors)
        r->anchors = arena_alloc(r->arena, TREE_ANCHORS_MAX * sizeof(struct anchor));
    struct anchor *a = &r->anchors[r->n_anchors++];
    *a = (struct anchor){
        .name = arena_strdup(r->arena, (const char *)name), .open = true, .place = at};
    *ret = a;
    return true;
}

static struct node *reader_alias(struct reader *r, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    struct place at = reader_place(r, event->start_mark);
    char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
    const struct anchor *a = reader_anchor(r, name);

    if (!a) {
        const char *names[TREE_ANCHORS_MAX];
        for (size_t i = 0; i < r->n_anchors; i++)
            names[i] = r->anchors[i].name;
        diags_error(r->diags, at, "there is no anchor '&%s' above this%s", diag_quote(name, quoted),
                    diag_nearest(name, names, r->n_anchors, hint));
        return NULL;
    }
    if (a->open) {
        diags_error(r->diags, at, "the alias '*%s' stands inside what it names",
                    diag_quote(name, quoted));
        return NULL;
    }
    return a->node;
}

static bool reader_refuse_tag(struct reader *r, const yaml_char_t *tag, struct place at)
{
    static const char core[] = "tag:yaml.org,2002:"; /* what !! is short for */
    char quoted[DIAG_QUOTE_MAX];
    if (!tag)
        return true;
    const char *text = (const char *)tag;
    bool is_core = text_starts(text, core);
    diags_error(r->diags, at, "tags are not used here: remove '%s%s'", is_core ? "!!" : "",
                diag_quote(text + (is_core ? sizeof core - 1 : 0), quoted));
    return false;
}

static struct node *reader_node(struct reader *r, yaml_event_t *event, unsigned depth);

static struct node *reader_scalar(struct reader *r, const yaml_event_t *event)
{
    struct place at = reader_place(r, event->start_mark);
    struct anchor *anchor = NULL;
    size_t n = event->data.scalar.length;
    const char *text = (const char *)event->data.scalar.value;

    if (!reader_refuse_tag(r, event->data.scalar.tag, at))
        return NULL;
    if (memchr(text, '\0', n)) {
        diags_error(r->diags, at, "a text cannot contain a NUL character");
        return NULL;
    }
    if (!reader_open_anchor(r, event->data.scalar.anchor, at, &anchor))
        return NULL;
    struct node *node = reader_new(r, NODE_SCALAR, at);
    if (!node)
        return NULL;
    node->text = arena_strndup(r->arena, text, n);
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (anchor) {
        anchor->node = node;
        anchor->open = false;
    }
    return node;
}

static struct node *reader_key(struct reader *r, yaml_event_t *event, unsigned depth);

/* The first part of a list or a mapping: nothing but its place. NULL: refused. */
static struct node *reader_begin(struct reader *r, enum node_kind kind, const yaml_event_t *event,
                                 const yaml_char_t *tag, const yaml_char_t *name,
                                 struct anchor **ret_anchor)
{
    struct place at = reader_place(r, event->start_mark);
    if (!reader_refuse_tag(r, tag, at) || !reader_open_anchor(r, name, at, ret_anchor))
        return NULL;
    return reader_new(r, kind, at);
}

/* The items of a list, or the keys and values of a mapping in turns, up to its end. */
static bool reader_members(struct reader *r, struct node *node, unsigned depth, struct collector *c)
{
    bool map = node->kind == NODE_MAP;
    for (;;) {
        yaml_event_t next;
        if (!reader_next(r, &next))
            return false;
        if (next.type == (map ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT)) {
            yaml_event_delete(&next);
            return true;
        }
        struct place where = reader_place(r, next.start_mark);
        struct node *child =
            map && c->n % 2 == 0 ? reader_key(r, &next, depth) : reader_node(r, &next, depth + 1);
        if (!child || !reader_count(r, node, child, depth, where))
            return false;
        collector_add(c, child);
    }
}

static struct node *reader_end(struct anchor *anchor, struct node *node)
{
    if (anchor) {
        anchor->node = node;
        anchor->open = false;
    }
    return node;
}

static struct node *reader_list(struct reader *r, const yaml_event_t *event, unsigned depth)
{
    struct anchor *anchor = NULL;
    struct node *node = reader_begin(r, NODE_LIST, event, event->data.sequence_start.tag,
                                     event->data.sequence_start.anchor, &anchor);
    CLEANUP(collector_done) struct collector c = {0};
    if (!node || !reader_members(r, node, depth, &c))
        return NULL;
    node->n = c.n;
    node->items = arena_alloc(r->arena, c.n * sizeof(struct node *));
    if (c.n)
        memcpy(node->items, c.items, c.n * sizeof(struct node *));
    return reader_end(anchor, node);
}

static int entry_compare(const void *a, const void *b)
{
    const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
    int c = strcmp(x->key->text, y->key->text);
    return c ? c : (x > y) - (x < y);
}

static void reader_find_duplicates(struct reader *r, const struct node *map)
{
    if (map->n < 2)
        return;
    AUTO_FREE struct entry **sorted = malloc(map->n * sizeof(struct entry *));
    if (!sorted)
        abort();
    for (size_t i = 0; i < map->n; i++)
        sorted[i] = &map->entries[i];
    qsort(sorted, map->n, sizeof(struct entry *), entry_compare);
    for (size_t i = 1; i < map->n; i++) {
        const struct node *a = sorted[i - 1]->key, *b = sorted[i]->key;
        char quoted[DIAG_QUOTE_MAX];
        if (!strcmp(a->text, b->text))
            diags_error(r->diags, b->place, "'%s' stands here twice; first at line %d, column %d",
                        diag_quote(b->text, quoted), a->place.line, a->place.col);
    }
}

/* A key: a scalar that is no alias; its place is kept for messages about the entry. */
static struct node *reader_key(struct reader *r, yaml_event_t *event, unsigned depth)
{
    struct place at = reader_place(r, event->start_mark);
    yaml_event_type_t type = event->type;
    struct node *key = reader_node(r, event, depth + 1);

    if (!key)
        return NULL;
    if (type != YAML_SCALAR_EVENT) {
        diags_error(r->diags, at, "a key must be a word");
        return NULL;
    }
    if (key->plain && !strcmp(key->text, "<<")) {
        diags_error(r->diags, at, "merge keys ('<<') are not part of YAML 1.2: write the keys out");
        return NULL;
    }
    return key;
}

static struct node *reader_map(struct reader *r, const yaml_event_t *event, unsigned depth)
{
    struct anchor *anchor = NULL;
    struct node *node = reader_begin(r, NODE_MAP, event, event->data.mapping_start.tag,
                                     event->data.mapping_start.anchor, &anchor);
    CLEANUP(collector_done) struct collector c = {0};
    if (!node || !reader_members(r, node, depth, &c))
        return NULL;
    node->n = c.n / 2;
    node->entries = arena_alloc(r->arena, node->n * sizeof(struct entry));
    for (size_t i = 0; i < node->n; i++)
        node->entries[i] = (struct entry){.key = c.items[2 * i], .value = c.items[2 * i + 1]};
    reader_find_duplicates(r, node);
    return reader_end(anchor, node);
}

/* Takes `event` and what follows it as one node; the event is deleted. */
static struct node *reader_node(struct reader *r, yaml_event_t *event, unsigned depth)
{
    struct node *node = NULL;
    if (depth > TREE_DEPTH_MAX)
        diags_error(r->diags, reader_place(r, event->start_mark), "nested deeper than %d levels",
                    TREE_DEPTH_MAX);
    else if (event->type == YAML_SCALAR_EVENT)
        node = reader_scalar(r, event);
    else if (event->type == YAML_SEQUENCE_START_EVENT)
        node = reader_list(r, event, depth);
    else if (event->type == YAML_MAPPING_START_EVENT)
        node = reader_map(r, event, depth);
    else
        node = reader_alias(r, event);
    yaml_event_delete(event);
    return node;
}

/* Length of the UTF-8 character at p, 0 when it is none (RFC 3629). */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    size_t len = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : (*p & 0xf0) == 0xe0 ? 3 : 4;
    if (*p >= 0x80 && (*p < 0xc2 || *p > 0xf4))
        return 0;
    if (len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) ||
        (*p == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

static bool reader_check_text(struct reader *r, const char *text, size_t n)
{
    struct place at = {.file = r->file, .line = 1, .col = 1};
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)text[i];
        size_t len = utf8_length((const unsigned char *)text + i, n - i);
        if (!len) {
            diags_error(r->diags, at, "this is not UTF-8 text (byte 0x%02x)", c);
            return false;
        }
        if (!c) {
            diags_error(r->diags, at, "a NUL byte: this is not a text file");
            return false;
        }
        if ((c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7f ||
            (c == 0xc2 && (unsigned char)text[i + 1] < 0xa0 &&
             (unsigned char)text[i + 1] != 0x85)) {
            diags_error(r->diags, at, "the control character 0x%02x cannot stand in YAML",
                        c == 0xc2 ? (unsigned char)text[i + 1] : c);
            return false;
        }
        if (c == 0xef &&
            (!memcmp(text + i, "\xef\xbf\xbe", 3) || !memcmp(text + i, "\xef\xbf\xbf", 3))) {
            diags_error(r->diags, at, "the characters U+FFFE and U+FFFF cannot stand in YAML");
            return false;
        }
        at.col++;
        if (c == '\n') {
            at.line++;
            at.col = 1;
        }
        i += len;
    }
    return true;
}

/* The stream: start, one document, end. */
static struct node *reader_document(struct reader *r)
{
    yaml_event_t event;
    struct node *root = NULL;

    while (true) {
        if (!reader_next(r, &event))
            return NULL;
        struct place at = reader_place(r, event.start_mark);
        switch ((int)event.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            yaml_event_delete(&event);
            break;
        case YAML_DOCUMENT_START_EVENT:
            yaml_event_delete(&event);
            if (root) {
                diags_error(r->diags, at, "a second document begins here: a file holds one");
                return NULL;
            }
            break;
        case YAML_STREAM_END_EVENT:
            yaml_event_delete(&event);
            if (!root)
                diags_error(r->diags, (struct place){.file = r->file, .line = 1, .col = 1},
                            "the file is empty");
            return root;
        default:
            root = reader_node(r, &event, 1);
            if (!root)
                return NULL;
        }
    }
}

struct node *tree_parse(struct arena *arena, const char *text, size_t n, const char *file,
                        struct tree_budget *used, struct diags *diags)
{
    if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) { /* a byte order mark */
        text += 3;
        n -= 3;
    }
    struct reader r = {.arena = arena,
                       .diags = diags,
                       .used = used,
                       .file = arena_strdup(arena, file),
                       .text = arena_strndup(arena, text, n)};
    struct place start = {.file = r.file, .line = 1, .col = 1};

    if (n > TREE_FILE_MAX) {
        diags_error(diags, start, "the file is larger than %d KiB", TREE_FILE_MAX / 1024);
        return NULL;
    }
    if (++used->files > TREE_FILES_MAX) {
        diags_error(diags, start, "more than %d files are included", TREE_FILES_MAX);
        return NULL;
    }
    if (!reader_check_text(&r, r.text, n))
        return NULL;
    if (!yaml_parser_initialize(&r.parser))
        abort();
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)r.text, n);
    struct node *root = reader_document(&r);
    yaml_parser_delete(&r.parser);
    return root;
}

struct node *node_get(const struct node *map, const char *key)
{
    if (map && map->kind == NODE_MAP)
        for (size_t i = 0; i < map->n; i++)
            if (!strcmp(map->entries[i].key->text, key))
                return map->entries[i].value;
    return NULL;
}

bool node_is_null(const struct node *n)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    if (n->kind != NODE_SCALAR || !n->plain)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (!strcmp(n->text, words[i]))
            return true;
    return false;
}

const char *node_what(const struct node *n, char buf[DIAG_QUOTE_MAX + 8])
{
    char quoted[DIAG_QUOTE_MAX];
    if (n->kind == NODE_LIST)
        return "a list";
    if (n->kind == NODE_MAP)
        return "a mapping";
    if (node_is_null(n))
        return "nothing";
    snprintf(buf, DIAG_QUOTE_MAX + 8, "'%s'", diag_quote(n->text, quoted));
    return buf;
}
