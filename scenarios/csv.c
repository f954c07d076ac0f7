/* One pass over the bytes, row by row. */
#include "scenarios/csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CSV_ROWS_MAX = 10000, CSV_FIELDS_MAX = 100 };

struct reader {
    struct arena *arena;
    const char *p, *end, *name;
    char separator;
    int line;
    struct diags *diags;
};

static struct place here(const struct reader *r, int line, size_t column)
{
    return (struct place){.file = r->name, .line = line, .col = (int)column};
}

/* A field up to its separator or the end of the line; false after an error was said. */
static bool read_field(struct reader *r, size_t column, struct buf *out)
{
    int line = r->line;
    buf_clear(out);
    if (r->p == r->end || *r->p != '"') {
        while (r->p < r->end && *r->p != r->separator && *r->p != '\n' && *r->p != '\r')
            buf_addc(out, *r->p++);
        return true;
    }
    for (r->p++; r->p < r->end; r->p++) {
        if (*r->p == '"' && r->p + 1 < r->end && r->p[1] == '"') {
            buf_addc(out, *r->p++);
        } else if (*r->p == '"') {
            r->p++;
            return true;
        } else if (*r->p != '\r' || r->p + 1 == r->end || r->p[1] != '\n') {
            r->line += *r->p == '\n';
            buf_addc(out, *r->p);
        }
    }
    diags_error(r->diags, here(r, line, column), "a quote is not closed");
    return false;
}

static bool read_row(struct reader *r, struct csv_row *ret)
{
    char *fields[CSV_FIELDS_MAX];
    size_t n = 0;
    AUTO_BUF field = BUF_INIT;
    ret->line = r->line;
    for (;;) {
        if (n == CSV_FIELDS_MAX) {
            diags_error(r->diags, here(r, r->line, n), "a row has at most %d columns",
                        CSV_FIELDS_MAX);
            return false;
        }
        if (!read_field(r, n + 1, &field))
            return false;
        if (memchr(buf_text(&field), '\0', field.len)) {
            diags_error(r->diags, here(r, r->line, n + 1), "this field holds a zero byte");
            return false;
        }
        text_make_printable(field.text, field.len);
        fields[n++] = arena_strndup(r->arena, buf_text(&field), field.len);
        if (r->p == r->end || *r->p != r->separator)
            break;
        r->p++;
    }
    if (r->p < r->end && *r->p != '\r' && *r->p != '\n') {
        diags_error(r->diags, here(r, r->line, n), "a quoted field goes on after its quote");
        return false;
    }
    r->p += r->p < r->end && *r->p == '\r';
    r->p += r->p < r->end && *r->p == '\n';
    r->line++;
    ret->fields.items = arena_alloc(r->arena, n * sizeof(char *));
    ret->fields.n = n;
    memcpy(ret->fields.items, fields, n * sizeof(char *));
    return true;
}

int csv_read(struct arena *arena, const char *text, size_t n, const char *name, struct diags *diags,
             struct csv *ret)
{
    struct reader r = {arena, text, text + n, name, ',', 1, diags};
    struct csv csv = {.rows = arena_alloc(arena, CSV_ROWS_MAX * sizeof *csv.rows)};
    if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        r.p += 3;
    size_t left = (size_t)(r.end - r.p);
    const char *newline = left ? memchr(r.p, '\n', left) : NULL;
    if (!left || !memchr(r.p, ',', newline ? (size_t)(newline - r.p) : left))
        r.separator = ';';
    while (r.p < r.end) {
        struct csv_row row;
        if (csv.n == CSV_ROWS_MAX) {
            diags_error(diags, here(&r, r.line, 1), "more than %d rows", CSV_ROWS_MAX);
            return -EINVAL;
        }
        if (!read_row(&r, &row))
            return -EINVAL;
        bool empty = true;
        for (size_t i = 0; i < row.fields.n; i++)
            empty = empty && !*row.fields.items[i];
        if (!empty)
            csv.rows[csv.n++] = row;
    }
    *ret = csv;
    return 0;
}

void csv_field(struct buf *out, const char *text)
{
    if (!strpbrk(text, ",;\"\r\n") && *text != ' ') {
        buf_adds(out, text);
        return;
    }
    buf_addc(out, '"');
    for (; *text; text++) {
        if (*text == '"')
            buf_addc(out, '"');
        buf_addc(out, *text);
    }
    buf_addc(out, '"');
}
