/* What is wrong with a scenario: several sentences, each with its place.
 *
 * Ownership: embed it by value, start with DIAGS_INIT, end with diags_done() (or AUTO_DIAGS). Texts
 * and places are copied, so they outlive the files they speak of. Adding never fails; after
 * DIAGS_MAX nothing more is kept (diags_is_full()), so that a hostile file cannot make us write for
 * ever. Control characters in texts from outside are replaced.
 */
#pragma once

#include "sim/base/arena.h"
#include "sim/base/buf.h"
#include "sim/model/field.h"
#include <stdarg.h>

#define DIAGS_MAX 200  /* kept */
#define DIAGS_SHOWN 20 /* printed */

struct diag {
    struct place place;
    char *text;
    bool warning;
    size_t seq; /* in the order they were found */
};

struct diags {
    struct arena *arena;
    struct diag *items;
    size_t n, n_errors;
};

#define DIAGS_INIT ((struct diags){0})
#define AUTO_DIAGS __attribute__((cleanup(diags_done))) struct diags

void diags_done(struct diags *d);

void diags_error(struct diags *d, struct place at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void diags_warning(struct diags *d, struct place at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

bool diags_is_full(const struct diags *d);

/* Sorts them by place and adds a line "FILE:LINE:COL: error: …" (or warning) for each to `out`: at
 * most DIAGS_SHOWN, and then how many more there are. */
void diags_render(struct diags *d, struct buf *out);

/* A word or value from outside as it stands in messages: shortened to 60 bytes. Returns buf. */
#define DIAG_QUOTE_MAX 72
const char *diag_quote(const char *text, char buf[DIAG_QUOTE_MAX]);

/* "; did you mean 'x'?" or "" when no word is near. Returns buf. */
const char *diag_nearest(const char *given, const char *const *words, size_t n,
                         char buf[DIAG_QUOTE_MAX + 24]);
