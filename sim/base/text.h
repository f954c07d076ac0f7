/* Small things about words. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A list of texts; who owns them is said where it stands (usually an arena). */
struct strv {
    char **items;
    size_t n;
};

bool strv_has(const struct strv *v, const char *s);

/* The word of `words` (n of them) nearest to `given` by edit distance (insert, delete, replace,
 * swap of neighbours), or NULL when none is near enough to be meant. Borrowed. */
const char *text_nearest(const char *given, const char *const *words, size_t n);

/* Shell-like splitting for commands: blanks separate; '…' and "…" group; \ escapes outside '…'.
 * No expansion of any kind. Returns a NULL-terminated vector to be freed with text_free_argv(), or
 * NULL when a quote is not closed. */
char **text_split_argv(const char *command);
void text_free_argv(char **argv);

bool text_starts(const char *s, const char *prefix);
/* The part after the last '/'. Borrowed. */
const char *text_basename(const char *path);
/* Makes text from outside (servers, files, arguments) fit for JSON and terminals, in its place and
 * without changing its length: each byte that is not part of valid UTF-8, and each control character
 * (C0 but newline and tab, DEL, C1), becomes '?'. NULs inside the n bytes stay. */
void text_make_printable(char *s, size_t n);
/* True for [A-Za-z][A-Za-z0-9_.-]{0,62}: what names in a scenario may be. */
bool text_is_name(const char *s);
