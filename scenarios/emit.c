/* A tree as block-style YAML, aliases followed.
 *
 * A scalar that was plain is written plain where that surely reads back as the same text (the
 * numbers and core words always do); everything else is double-quoted. ${ is written $${, so that
 * nothing is taken for a variable again.
 */
#include "scenarios/emit.h"

#include "scenarios/tree.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool plain_is_safe(const char *text)
{
    size_t n = strlen(text);
    if (!n || n > 200 || !(isalnum((unsigned char)*text) || strchr("/._", *text)))
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i], next = text[i + 1];
        if (isalnum((unsigned char)c) || strchr("_./%+-=@", c))
            continue;
        if ((c == ':' || c == ' ') && next && next != ' ')
            continue;
        return false;
    }
    /* "---" and "..." would end the document */
    return strncmp(text, "---", 3) && strncmp(text, "...", 3);
}

/* Characters that YAML or a terminal would take for something else. */
static size_t emit_special(struct buf *out, const unsigned char *p)
{
    if (*p < 0x20 || *p == 0x7f) {
        buf_printf(out, "\\x%02x", *p);
        return 1;
    }
    if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0xa0) { /* C1, NEL, no-break space */
        buf_printf(out, "\\x%02x", p[1]);
        return 2;
    }
    if (*p == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9)) { /* U+2028, U+2029 */
        buf_adds(out, p[2] == 0xa8 ? "\\L" : "\\P");
        return 3;
    }
    if (*p == 0xef && p[1] == 0xbb && p[2] == 0xbf) { /* U+FEFF */
        buf_adds(out, "\\uFEFF");
        return 3;
    }
    if (*p == 0xef && p[1] == 0xbf && p[2] >= 0xbe) { /* U+FFFE, U+FFFF */
        buf_printf(out, "\\uFFF%c", p[2] == 0xbe ? 'E' : 'F');
        return 3;
    }
    return 0;
}

static void emit_quoted(struct buf *out, const char *text)
{
    buf_addc(out, '"');
    for (const char *p = text; *p;) {
        size_t n = emit_special(out, (const unsigned char *)p);
        if (n) {
            p += n;
            continue;
        }
        if (*p == '"' || *p == '\\')
            buf_addc(out, '\\');
        else if (!strncmp(p, "${", 2))
            buf_addc(out, '$');
        buf_addc(out, *p++);
    }
    buf_addc(out, '"');
}

static void emit_scalar(struct buf *out, const struct node *n)
{
    if (node_is_null(n))
        buf_adds(out, "null");
    else if (n->plain && plain_is_safe(n->text))
        buf_adds(out, n->text);
    else
        emit_quoted(out, n->text);
}

/* Keys take no variables, so ${ in them stays as it is. */
static void emit_key(struct buf *out, const struct node *key)
{
    if (plain_is_safe(key->text)) {
        buf_adds(out, key->text);
        return;
    }
    buf_addc(out, '"');
    for (const char *p = key->text; *p;) {
        size_t n = emit_special(out, (const unsigned char *)p);
        if (!n && (*p == '"' || *p == '\\'))
            buf_addc(out, '\\');
        if (!n)
            buf_addc(out, *p);
        p += n ? n : 1;
    }
    buf_addc(out, '"');
}

static void emit_indent(struct buf *out, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        buf_adds(out, "  ");
}

/* What follows "key:" or "-"; ends its line. */
static void emit_value(struct buf *out, const struct node *n, unsigned depth);

/* The entries of a mapping; the first one's indent is already there when `inlined`. */
static void emit_entries(struct buf *out, const struct node *map, unsigned depth, bool inlined)
{
    for (size_t i = 0; i < map->n; i++) {
        if (i || !inlined)
            emit_indent(out, depth);
        emit_key(out, map->entries[i].key);
        buf_addc(out, ':');
        emit_value(out, map->entries[i].value, depth + 1);
    }
}

static void emit_value(struct buf *out, const struct node *n, unsigned depth)
{
    if (n->kind == NODE_SCALAR) {
        buf_addc(out, ' ');
        emit_scalar(out, n);
        buf_addc(out, '\n');
        return;
    }
    if (!n->n) {
        buf_adds(out, n->kind == NODE_MAP ? " {}\n" : " []\n");
        return;
    }
    buf_addc(out, '\n');
    if (n->kind == NODE_MAP) {
        emit_entries(out, n, depth, false);
        return;
    }
    for (size_t i = 0; i < n->n; i++) {
        const struct node *item = n->items[i];
        emit_indent(out, depth);
        buf_addc(out, '-');
        if (item->kind == NODE_MAP && item->n) {
            buf_addc(out, ' ');
            emit_entries(out, item, depth + 1, true);
        } else {
            emit_value(out, item, depth + 1);
        }
    }
}

void scenario_emit(const struct scenario *s, struct buf *out)
{
    emit_entries(out, s->tree, 0, true);
}

void emit_but(const struct scenario *s, const char *key, struct buf *out)
{
    for (size_t i = 0; i < s->tree->n; i++) {
        const struct entry *e = &s->tree->entries[i];
        if (!strcmp(e->key->text, key))
            continue;
        emit_key(out, e->key);
        buf_addc(out, ':');
        emit_value(out, e->value, 1);
    }
}

void emit_text(const char *text, struct buf *out)
{
    /* what is plain may not read back as a number or a core word */
    if (plain_is_safe(text) && isalpha((unsigned char)*text) && strcasecmp(text, "true") != 0 &&
        strcasecmp(text, "false") != 0 && strcasecmp(text, "null") != 0 && !strchr(text, ':'))
        buf_adds(out, text);
    else
        emit_quoted(out, text);
}

static void emit_flow(struct buf *out, const struct node *n)
{
    if (n->kind == NODE_SCALAR) {
        emit_scalar(out, n);
        return;
    }
    buf_addc(out, n->kind == NODE_MAP ? '{' : '[');
    for (size_t i = 0; i < n->n; i++) {
        buf_adds(out, i ? ", " : "");
        if (n->kind == NODE_MAP)
            emit_flow_entry(&n->entries[i], out);
        else
            emit_flow(out, n->items[i]);
    }
    buf_addc(out, n->kind == NODE_MAP ? '}' : ']');
}

void emit_flow_entry(const struct entry *e, struct buf *out)
{
    emit_key(out, e->key);
    buf_adds(out, ": ");
    emit_flow(out, e->value);
}
