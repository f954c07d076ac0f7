/* Errors that reach people as a sentence.
 *
 * The law of return values: 0 is success; a negative errno is a failure that the caller passes up
 * unchanged; a positive value is an outcome listed in that function's contract, handled by its
 * caller and never passed on.
 *
 * `struct err` belongs to the caller, needs no freeing, and is left untouched on success. A layer
 * may put words in front with err_prefix(). Every function taking one accepts NULL. Text from
 * outside (YAML, packets, kernel) passes text_make_printable(), so it cannot write on the operator's
 * terminal, and always fits into JSON.
 */
#pragma once

#include <stdarg.h>

#define ERR_TEXT_MAX 2048

struct err {
    int code;                /* positive errno */
    char text[ERR_TEXT_MAX]; /* one sentence, or more, without a newline at the end */
};

#define ERR_INIT ((struct err){0})

/* Sets code and text, returns -code. */
int err_set(struct err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), cold));

/* The same with ": <what strerror says of code>" at the end. */
int err_errno(struct err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), cold));

/* Puts "<words>: " in front of the text that is there; returns -err->code (or -EIO for NULL). */
int err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));
