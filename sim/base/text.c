/* Small things about words. */
#include "sim/base/text.h"

#include "sim/base/buf.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool strv_has(const struct strv *v, const char *s)
{
    for (size_t i = 0; i < v->n; i++)
        if (!strcmp(v->items[i], s))
            return true;
    return false;
}

/* Optimal string alignment distance, case-insensitive; words longer than 63 are never near. */
static size_t text_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    size_t rows[3][65];
    if (n > 63 || m > 63)
        return 99;
    size_t *before = rows[0], *prev = rows[1], *cur = rows[2];
    for (size_t j = 0; j <= m; j++)
        prev[j] = j;
    for (size_t i = 1; i <= n; i++) {
        cur[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t cost = tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]);
            size_t d = prev[j - 1] + cost;
            if (prev[j] + 1 < d)
                d = prev[j] + 1;
            if (cur[j - 1] + 1 < d)
                d = cur[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < d)
                d = before[j - 2] + 1;
            cur[j] = d;
        }
        size_t *t = before;
        before = prev;
        prev = cur;
        cur = t;
    }
    return prev[m];
}

const char *text_nearest(const char *given, const char *const *words, size_t n)
{
    const char *best = NULL;
    size_t best_d = strlen(given) < 4 ? 2 : 3; /* nearer than this */
    for (size_t i = 0; i < n; i++) {
        size_t d = text_distance(given, words[i]);
        if (d < best_d && d < strlen(words[i])) {
            best_d = d;
            best = words[i];
        }
    }
    return best;
}

char **text_split_argv(const char *command)
{
    size_t n = 0, room = 8;
    char **argv = calloc(room, sizeof *argv);
    AUTO_BUF word = BUF_INIT;
    bool in_word = false;
    char quote = 0;
    if (!argv)
        abort();
    for (const char *p = command;; p++) {
        char c = *p;
        if (quote) {
            if (!c)
                goto unclosed;
            if (c == quote)
                quote = 0;
            else if (quote == '"' && c == '\\' && (p[1] == '"' || p[1] == '\\'))
                buf_addc(&word, *++p);
            else
                buf_addc(&word, c);
            continue;
        }
        if (!c || isspace((unsigned char)c)) {
            if (in_word) {
                if (n + 2 > room) {
                    room *= 2;
                    argv = realloc(argv, room * sizeof *argv);
                    if (!argv)
                        abort();
                }
                argv[n++] = buf_steal(&word);
                argv[n] = NULL;
                in_word = false;
            }
            if (!c)
                return argv;
            continue;
        }
        in_word = true;
        if (c == '\'' || c == '"')
            quote = c;
        else if (c == '\\') {
            if (!p[1])
                goto unclosed;
            buf_addc(&word, *++p);
        } else
            buf_addc(&word, c);
    }
unclosed:
    argv[n] = NULL;
    text_free_argv(argv);
    return NULL;
}

void text_free_argv(char **argv)
{
    if (!argv)
        return;
    for (size_t i = 0; argv[i]; i++)
        free(argv[i]);
    free(argv);
}

bool text_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

const char *text_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool text_is_name(const char *s)
{
    if (!isalpha((unsigned char)*s))
        return false;
    size_t n = 0;
    for (; s[n]; n++)
        if (!isalnum((unsigned char)s[n]) && s[n] != '_' && s[n] != '-' && s[n] != '.')
            return false;
    return n <= 63;
}
