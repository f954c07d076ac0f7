/* Errors that reach people as a sentence; the law is in err.h. */
#include "sim/base/err.h"

#include "sim/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void err_clean(char *text)
{
    text_make_printable(text, strlen(text));
}

__attribute__((format(printf, 3, 0))) static void err_vset(struct err *err, int code,
                                                           const char *fmt, va_list ap)
{
    char text[ERR_TEXT_MAX]; /* fmt's arguments may point into err->text */
    vsnprintf(text, sizeof text, fmt, ap);
    memcpy(err->text, text, sizeof text);
    err_clean(err->text);
    err->code = code;
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        err_vset(err, code, fmt, ap);
        va_end(ap);
    }
    return -code;
}

int err_errno(struct err *err, int code, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        err_vset(err, code, fmt, ap);
        va_end(ap);
        size_t n = strlen(err->text);
        char reason[128] = "";
        snprintf(err->text + n, sizeof err->text - n, ": %s",
                 strerror_r(code, reason, sizeof reason));
    }
    return -code;
}

int err_prefix(struct err *err, const char *fmt, ...)
{
    if (!err)
        return -EIO;
    char words[ERR_TEXT_MAX], both[ERR_TEXT_MAX * 2 + 4];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    snprintf(both, sizeof both, "%s: %s", words, err->text);
    memcpy(err->text, both, sizeof err->text - 1);
    err->text[sizeof err->text - 1] = '\0';
    err_clean(err->text);
    return err->code ? -err->code : -EIO;
}
