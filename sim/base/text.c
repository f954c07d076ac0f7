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

/* How many bytes the valid UTF-8 character at s takes (RFC 3629: no overlong forms, no surrogates);
 * 0: there is none. */
static size_t text_utf8(const unsigned char *s, size_t n)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t k = s[0] < 0x80                   ? 1
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
               : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
                                             : 4;
    if (k == 1)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4 || k > n)
        return 0;
    unsigned c = s[0] & (0xffu >> (k + 1));
    for (size_t i = 1; i < k; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3fu);
    }
    return c < least[k] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : k;
}

void text_make_printable(char *s, size_t n)
{
    unsigned char *u = (unsigned char *)s;
    for (size_t i = 0, k; i < n; i += k) {
        k = text_utf8(u + i, n - i);
        bool control =
            k == 1 && u[i] && ((u[i] < 0x20 && u[i] != '\n' && u[i] != '\t') || u[i] == 0x7f);
        bool c1 = k == 2 && u[i] == 0xc2 && u[i + 1] < 0xa0;
        if (k && !control && !c1)
            continue;
        k = k ? k : 1;
        memset(u + i, '?', k);
    }
}
