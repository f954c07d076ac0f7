/* Booleans, numbers with and without units, ranges of them, lists of durations, ports. */
#include "scenarios/decode_impl.h"

#include "sim/base/file.h"
#include "sim/base/units.h"
#include "sim/model/distribution.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define VALUES_FILE_MAX (1024 * 1024)

void decode_say_type(struct decode *d, const struct field *f, const struct node *node)
{
    char what[DIAG_QUOTE_MAX + 8];
    diags_error(d->diags, node->place, "'%s' must be %s, not %s", f->key, decode_type_words(f),
                node_what(node, what));
}

bool decode_is_value(const struct node *node)
{
    return node->kind == NODE_SCALAR && !node_is_null(node);
}

void decode_bool(struct decode *d, const struct field *f, const struct node *node, bool *ret)
{
    static const char *const words[] = {"false", "False", "FALSE", "true", "True", "TRUE"};
    for (size_t i = 0; decode_is_value(node) && node->plain && i < ARRAY_SIZE(words); i++)
        if (!strcmp(node->text, words[i])) {
            *ret = i >= 3;
            return;
        }
    decode_say_type(d, f, node);
}

static bool decode_in_range(struct decode *d, const struct field *f, const struct node *node,
                            int64_t v)
{
    char quoted[DIAG_QUOTE_MAX], bound[FIELD_NUMBER_MAX];
    if ((!f->min && !f->max) || (v >= f->min && v <= f->max))
        return true;
    field_number_text(f, v < f->min ? f->min : f->max, bound);
    diags_error(d->diags, node->place, "'%s' must be at %s %s, not %s", f->key,
                v < f->min ? "least" : "most", bound, diag_quote(node->text, quoted));
    return false;
}

void decode_integer(struct decode *d, const struct field *f, const struct node *node, int64_t *ret)
{
    struct err err = ERR_INIT;
    int64_t v = 0;
    if (!decode_is_value(node))
        decode_say_type(d, f, node);
    else if (units_integer(node->text, &v, &err) < 0)
        diags_error(d->diags, node->place, "'%s': %s", f->key, err.text);
    else if (!node->plain)
        diags_error(d->diags, node->place, "'%s' must be a number: remove the quotes", f->key);
    else if (decode_in_range(d, f, node, v))
        *ret = v;
}

/* --- With units --- */

struct number {
    int64_t whole; /* durations, rates, sizes */
    double real;   /* shares, plain numbers */
};

static bool is_real(enum field_type type)
{
    return type == FIELD_PERCENT || type == FIELD_NUMBER;
}

static bool real_in_range(struct decode *d, const struct field *f, const struct node *node,
                          double v)
{
    char quoted[DIAG_QUOTE_MAX];
    if ((!f->min && !f->max) || (v >= (double)f->min && v <= (double)f->max))
        return true;
    diags_error(d->diags, node->place, "'%s' must be at %s %" PRId64 ", not %s", f->key,
                v < (double)f->min ? "least" : "most", v < (double)f->min ? f->min : f->max,
                diag_quote(node->text, quoted));
    return false;
}

/* One number of this type; false: it was said what is wrong. */
static bool read_number(struct decode *d, const struct field *f, enum field_type type,
                        const struct node *node, struct number *ret)
{
    struct err err = ERR_INIT;
    struct number v = {0};
    if (!decode_is_value(node)) {
        decode_say_type(d, f, node);
        return false;
    }
    int r = type == FIELD_DURATION  ? units_duration(node->text, &v.whole, &err)
            : type == FIELD_RATE    ? units_rate(node->text, &v.whole, &err)
            : type == FIELD_SIZE    ? units_size(node->text, &v.whole, &err)
            : type == FIELD_PERCENT ? units_percent(node->text, &v.real, &err)
                                    : units_decimal(node->text, &v.real, &err);
    if (r < 0) {
        diags_error(d->diags, node->place, "'%s': %s", f->key, err.text);
        return false;
    }
    if (type == FIELD_NUMBER && !real_in_range(d, f, node, v.real))
        return false;
    if (f->type == type && !is_real(type) && !decode_in_range(d, f, node, v.whole))
        return false;
    *ret = v;
    return true;
}

static void add_range(struct decode *d, const struct decode_range *range)
{
    if (d->n_ranges == d->ranges_room) {
        d->ranges_room = d->ranges_room ? d->ranges_room * 2 : 16;
        struct decode_range *more = realloc(d->ranges, d->ranges_room * sizeof *more);
        if (!more)
            abort();
        d->ranges = more;
    }
    d->ranges[d->n_ranges++] = *range;
}

/* {between: [A, B]}: the middle, and the range is noted. */
static bool read_range(struct decode *d, const struct field *f, enum field_type type,
                       const struct node *node, struct number *ret)
{
    const struct node *ends = node_get(node, "between");
    struct number low, high;
    if (!ends || node->n != 1 || ends->kind != NODE_LIST || ends->n != 2) {
        diags_error(d->diags, node->place,
                    "'%s' is a single value, or one that is not known better: {between: [A, B]}",
                    f->key);
        return false;
    }
    if (ends->bad || ends->items[0]->bad || ends->items[1]->bad)
        return false;
    if (!read_number(d, f, type, ends->items[0], &low) ||
        !read_number(d, f, type, ends->items[1], &high))
        return false;
    struct decode_range range = {.node = node,
                                 .type = type,
                                 .low = is_real(type) ? low.real : (double)low.whole,
                                 .high = is_real(type) ? high.real : (double)high.whole};
    if (range.low >= range.high) {
        diags_error(d->diags, ends->place,
                    "'%s': a range goes from the lesser to the greater value", f->key);
        return false;
    }
    add_range(d, &range);
    ret->real = low.real + (high.real - low.real) / 2;
    ret->whole = low.whole + (high.whole - low.whole) / 2;
    return true;
}

static bool read_either(struct decode *d, const struct field *f, enum field_type type,
                        const struct node *node, struct number *ret)
{
    return node->kind == NODE_MAP && (f->flags & FIELD_UNCERTAIN)
               ? read_range(d, f, type, node, ret)
               : read_number(d, f, type, node, ret);
}

void decode_amount(struct decode *d, const struct field *f, const struct node *node, int64_t *ret)
{
    struct number v;
    if (read_either(d, f, f->type, node, &v))
        *ret = v.whole;
}

void decode_fraction(struct decode *d, const struct field *f, const struct node *node, double *ret)
{
    struct number v;
    if (read_either(d, f, f->type, node, &v))
        *ret = v.real;
}

/* --- Lists of durations --- */

void decode_durations(struct decode *d, const struct field *f, const struct node *node,
                      struct durations *ret)
{
    if (node->kind == NODE_SCALAR && (f->flags & FIELD_FILE) && decode_is_value(node)) {
        decode_add_values(d, node, ret);
        return;
    }
    if (node->kind != NODE_LIST) {
        decode_say_type(d, f, node);
        return;
    }
    if (node->n < (size_t)f->min || node->n > (size_t)f->max) {
        if (f->min == f->max)
            diags_error(d->diags, node->place, "'%s' takes %d durations, not %zu", f->key,
                        (int)f->min, node->n);
        else
            diags_error(d->diags, node->place, "'%s' takes from %d to %d durations, not %zu",
                        f->key, (int)f->min, (int)f->max, node->n);
        return;
    }
    struct durations v = {.items = arena_alloc(d->arena, node->n * sizeof *v.items)};
    for (size_t i = 0; i < node->n && !diags_is_full(d->diags); i++) {
        struct number one;
        if (!node->items[i]->bad && read_either(d, f, FIELD_DURATION, node->items[i], &one))
            v.items[v.n++] = one.whole;
    }
    if (v.n == node->n)
        *ret = v;
}

/* The first column of a line; false: there is none. */
static bool first_column(const char *line, size_t n, char *ret, size_t size)
{
    while (n && isspace((unsigned char)*line))
        line++, n--;
    size_t len = 0;
    while (len < n && !strchr(",; \t\r", line[len]))
        len++;
    if (!len || len >= size || *line == '#')
        return false;
    memcpy(ret, line, len);
    ret[len] = '\0';
    return true;
}

/* The values of a file as a list of nodes. */
static void read_values(struct decode *d, const char *path, const char *text, struct node *node)
{
    struct node **items = arena_alloc(d->arena, DISTRIBUTION_VALUES_MAX * sizeof(struct node *));
    size_t n = 0;
    struct place at = {.file = arena_strdup(d->arena, path), .col = 1};
    for (const char *p = text; *p && !diags_is_full(d->diags);) {
        char word[DIAG_QUOTE_MAX];
        struct err err = ERR_INIT;
        nsec v;
        size_t len = strcspn(p, "\n");
        bool any = first_column(p, len, word, sizeof word);
        p += len + (p[len] == '\n');
        at.line++;
        if (!any || (!n && !isdigit((unsigned char)*word)))
            continue; /* nothing, a remark, or the names of the columns */
        if (units_duration(word, &v, &err) < 0) {
            diags_error(d->diags, at, "%s", err.text);
            continue;
        }
        if (n == DISTRIBUTION_VALUES_MAX) {
            diags_error(d->diags, at, "more than %d values", DISTRIBUTION_VALUES_MAX);
            return;
        }
        items[n] = arena_alloc(d->arena, sizeof(struct node));
        *items[n++] = (struct node){.kind = NODE_SCALAR,
                                    .place = node->place,
                                    .plain = true,
                                    .settled = true,
                                    .text = arena_strdup(d->arena, word),
                                    .weight = 1,
                                    .height = 1};
    }
    if (!n)
        diags_error(d->diags, node->place, "'%s' holds no values: a duration on each line", path);
    node->kind = NODE_LIST;
    node->text = NULL;
    node->items = items;
    node->n = n;
}

void decode_read_values(struct decode *d, const char *folder)
{
    static const struct field values = {
        .key = "empirical", .type = FIELD_DURATIONS, .min = 1, .max = DISTRIBUTION_VALUES_MAX};
    for (size_t i = 0; i < d->n_values; i++) {
        const struct decode_values *v = &d->values[i];
        AUTO_FREE char *text = NULL;
        AUTO_BUF path = BUF_INIT;
        struct err err = ERR_INIT;
        if (!folder) {
            diags_error(d->diags, v->node->place, "'empirical': a file cannot be read from here");
            continue;
        }
        buf_printf(&path, "%s/%s", folder, v->node->text);
        if (file_read(AT_FDCWD, path.text, VALUES_FILE_MAX, &text, NULL, &err) < 0) {
            diags_error(d->diags, v->node->place, "%s", err.text);
            continue;
        }
        size_t before = d->diags->n_errors;
        read_values(d, path.text, text, v->node);
        if (d->diags->n_errors == before)
            decode_durations(d, &values, v->node, v->ret);
    }
}

/* --- Ports --- */

/* Reads digits; returns what follows them, or NULL. */
static const char *decode_port(const char *p, long *ret)
{
    long v = 0;
    size_t n = strspn(p, "0123456789");
    if (!n || n > 5)
        return NULL;
    for (size_t i = 0; i < n; i++)
        v = v * 10 + (p[i] - '0');
    *ret = v;
    return p + n;
}

static bool decode_port_range(struct decode *d, const struct field *f, const struct node *node,
                              struct port_range *ret)
{
    char quoted[DIAG_QUOTE_MAX];
    long lo = 0, hi = 0;
    if (!decode_is_value(node)) {
        decode_say_type(d, f, node);
        return false;
    }
    const char *p = decode_port(node->text, &lo);
    hi = lo;
    if (p && *p == '-')
        p = decode_port(p + 1, &hi);
    diag_quote(node->text, quoted);
    if (!p || *p)
        diags_error(d->diags, node->place, "'%s' must be %s, not '%s'", f->key,
                    decode_type_words(f), quoted);
    else if (lo < 1 || hi > 65535 || lo > 65535)
        diags_error(d->diags, node->place, "'%s': ports go from 1 to 65535, not '%s'", f->key,
                    quoted);
    else if (lo > hi)
        diags_error(d->diags, node->place, "'%s': the range '%s' ends before it begins", f->key,
                    quoted);
    else
        return *ret = (struct port_range){(uint16_t)lo, (uint16_t)hi}, true;
    return false;
}

void decode_ports(struct decode *d, const struct field *f, const struct node *node,
                  struct port_ranges *ret)
{
    bool list = node->kind == NODE_LIST;
    size_t n = list ? node->n : 1;
    struct port_ranges v = {.items = arena_alloc(d->arena, (n + 1) * sizeof *v.items)};
    if (f->max && n > (size_t)f->max) {
        diags_error(d->diags, node->place, "'%s' takes at most %" PRId64 " ports and ranges",
                    f->key, f->max);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const struct node *item = list ? node->items[i] : node;
        if (!item->bad)
            v.n += decode_port_range(d, f, item, &v.items[v.n]);
    }
    if (!n)
        diags_error(d->diags, node->place, "'%s' must not be empty", f->key);
    *ret = v;
}
