/* A growing text buffer, always NUL-terminated.
 *
 * Ownership: embed it by value, start with BUF_INIT, end with buf_done() (or AUTO_BUF); buf_steal()
 * gives the text to the caller, who frees it. Running out of memory ends the program.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct buf {
    char *text; /* never NULL once something was added; NULL in BUF_INIT */
    size_t len, size;
};

#define BUF_INIT ((struct buf){0})
#define AUTO_BUF __attribute__((cleanup(buf_done))) struct buf

void buf_done(struct buf *b);
void buf_clear(struct buf *b);
void buf_add(struct buf *b, const void *data, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
const char *buf_text(const struct buf *b); /* "" when empty; borrowed */
char *buf_steal(struct buf *b);
