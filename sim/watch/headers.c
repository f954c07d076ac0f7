/* Headers of requests. */
#include "sim/watch/headers.h"

#include "sim/base/buf.h"
#include "sim/model/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* "Name: value"; "Name;" is how libcurl writes a header without a value. */
static int header_line(const struct pair *pair, int source_fd, char **ret, struct err *err)
{
    char *value = NULL;
    int r = pair_resolve(pair, source_fd, &value, err);
    if (r < 0)
        return r;
    struct buf line = BUF_INIT;
    if (strpbrk(value, "\r\n"))
        r = err_set(err, EINVAL,
                    "the value of the header '%s' has a line break in it: it would be a header, or "
                    "a request, of its own",
                    pair->key);
    else
        buf_printf(&line, *value ? "%s: %s" : "%s;", pair->key, value);
    explicit_bzero(value, strlen(value));
    free(value);
    if (r == 0)
        *ret = buf_steal(&line);
    return r;
}

int headers_resolve(const struct pairs *pairs, int source_fd, struct headers *ret, struct err *err)
{
    ret->lines = calloc(pairs->n + 1, sizeof *ret->lines);
    ret->secret = calloc(pairs->n + 1, sizeof *ret->secret);
    if (!ret->lines || !ret->secret)
        abort();
    for (size_t i = 0; i < pairs->n; i++) {
        const struct pair *pair = &pairs->items[i];
        int r = header_line(pair, source_fd, &ret->lines[i], err);
        if (r < 0)
            return r;
        const char *line = ret->lines[i], *value = line + strlen(pair->key) + 1;
        const char *scheme = *value ? strchr(value + 1, ' ') : NULL; /* of "Bearer TOKEN" */
        if (pair->source != PAIR_TEXT && *value)
            ret->secret[i] = (size_t)((scheme ? scheme : value) + 1 - line);
    }
    return 0;
}

void headers_done(struct headers *h)
{
    for (size_t i = 0; h->lines && h->lines[i]; i++) {
        explicit_bzero(h->lines[i], strlen(h->lines[i]));
        free(h->lines[i]);
    }
    free(h->lines);
    free(h->secret);
    *h = (struct headers){0};
}

bool headers_hold_secret(const struct headers *h, const char *text, size_t n)
{
    for (size_t i = 0; h->lines && h->lines[i]; i++) {
        const char *secret = h->lines[i] + h->secret[i];
        if (h->secret[i] && *secret && memmem(text, n, secret, strlen(secret)))
            return true;
    }
    return false;
}
