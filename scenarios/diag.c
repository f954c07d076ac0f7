/* Messages are kept in an arena of their own and sorted only when they are shown. */
#include "scenarios/diag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIAG_TEXT_MAX 600

void diags_done(struct diags *d)
{
    arena_free(d->arena);
    free(d->items);
    *d = DIAGS_INIT;
}

bool diags_is_full(const struct diags *d)
{
    return d->n >= DIAGS_MAX;
}

/* Terminals obey C0 and (as UTF-8 C2 80 … C2 9F) C1 control characters. */
static void diag_clean(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++) {
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
        else if (*c == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f)
            c[0] = c[1] = '?';
    }
}

__attribute__((format(printf, 4, 0))) static void
diags_add(struct diags *d, bool warning, struct place at, const char *fmt, va_list ap)
{
    if (diags_is_full(d))
        return;
    if (!d->arena) {
        d->arena = arena_new();
        d->items = calloc(DIAGS_MAX, sizeof *d->items);
        if (!d->items)
            abort();
    }
    char text[DIAG_TEXT_MAX];
    int n = vsnprintf(text, sizeof text, fmt, ap);
    if (n >= (int)sizeof text)
        memcpy(text + sizeof text - 4, "...", 4);
    diag_clean(text);
    struct diag *item = &d->items[d->n];
    *item = (struct diag){.place = at, .warning = warning, .seq = d->n};
    item->text = arena_strdup(d->arena, text);
    char *file = arena_strdup(d->arena, at.file ? at.file : "scenario");
    diag_clean(file);
    item->place.file = file;
    d->n++;
    d->n_errors += !warning;
}

void diags_error(struct diags *d, struct place at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    diags_add(d, false, at, fmt, ap);
    va_end(ap);
}

void diags_warning(struct diags *d, struct place at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    diags_add(d, true, at, fmt, ap);
    va_end(ap);
}

static int diag_compare(const void *a, const void *b)
{
    const struct diag *x = a, *y = b;
    int c = strcmp(x->place.file, y->place.file);
    if (!c)
        c = (x->place.line > y->place.line) - (x->place.line < y->place.line);
    if (!c)
        c = (x->place.col > y->place.col) - (x->place.col < y->place.col);
    if (!c)
        c = (x->seq > y->seq) - (x->seq < y->seq);
    return c;
}

void diags_render(struct diags *d, struct buf *out)
{
    size_t shown = d->n < DIAGS_SHOWN ? d->n : DIAGS_SHOWN;
    if (d->n)
        qsort(d->items, d->n, sizeof *d->items, diag_compare);
    for (size_t i = 0; i < shown; i++) {
        const struct diag *item = &d->items[i];
        buf_adds(out, item->place.file);
        if (item->place.line)
            buf_printf(out, ":%d:%d", item->place.line, item->place.col);
        buf_printf(out, ": %s: %s\n", item->warning ? "warning" : "error", item->text);
    }
    if (d->n > shown)
        buf_printf(out, "%s: error: %s%zu more errors and warnings are not shown\n",
                   d->items[0].place.file, diags_is_full(d) ? "at least " : "", d->n - shown);
}

const char *diag_quote(const char *text, char buf[DIAG_QUOTE_MAX])
{
    size_t n = strlen(text);
    if (n <= 60) {
        memcpy(buf, text, n + 1);
        return buf;
    }
    n = 60;
    while (n && ((unsigned char)text[n] & 0xc0) == 0x80) /* not inside a UTF-8 character */
        n--;
    memcpy(buf, text, n);
    memcpy(buf + n, "...", 4);
    return buf;
}

const char *diag_nearest(const char *given, const char *const *words, size_t n,
                         char buf[DIAG_QUOTE_MAX + 24])
{
    const char *near = text_nearest(given, words, n);
    char quoted[DIAG_QUOTE_MAX];
    buf[0] = '\0';
    if (near)
        snprintf(buf, DIAG_QUOTE_MAX + 24, "; did you mean '%s'?", diag_quote(near, quoted));
    return buf;
}
