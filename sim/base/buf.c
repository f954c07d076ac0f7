/* A growing text buffer. */
#include "sim/base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_done(struct buf *b)
{
    free(b->text);
    *b = BUF_INIT;
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    if (b->text)
        b->text[0] = '\0';
}

static void buf_room(struct buf *b, size_t more)
{
    if (b->len + more + 1 <= b->size)
        return;
    size_t size = b->size ? b->size : 64;
    while (size < b->len + more + 1)
        size *= 2;
    b->text = realloc(b->text, size);
    if (!b->text)
        abort();
    b->size = size;
}

void buf_add(struct buf *b, const void *data, size_t n)
{
    buf_room(b, n);
    if (n)
        memcpy(b->text + b->len, data, n);
    b->len += n;
    b->text[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_addc(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    va_list ap2;
    va_copy(ap2, ap);
    int n = vsnprintf(NULL, 0, fmt, ap2);
    va_end(ap2);
    if (n < 0)
        return;
    buf_room(b, (size_t)n);
    vsnprintf(b->text + b->len, (size_t)n + 1, fmt, ap);
    b->len += (size_t)n;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(b, fmt, ap);
    va_end(ap);
}

const char *buf_text(const struct buf *b)
{
    return b->text ? b->text : "";
}

char *buf_steal(struct buf *b)
{
    buf_room(b, 0);
    b->text[b->len] = '\0';
    char *t = b->text;
    *b = BUF_INIT;
    return t;
}
