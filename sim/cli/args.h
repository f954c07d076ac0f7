/* Options of a command: one table parses them, prints `--help`, and names the nearest word.
 *
 * Ownership: values point into argv. args_done() frees the lists.
 */
#pragma once

#include "sim/base/err.h"
#include "sim/base/text.h"
#include <stdbool.h>

struct option_spec {
    const char *name;    /* "out": --out */
    char letter;         /* 'o', or 0 */
    const char *metavar; /* NULL: a flag without a value */
    const char *help;
};

#define ARGS_OPTIONS_MAX 24

struct args {
    const struct option_spec *specs;      /* terminated by name == NULL */
    struct strv values[ARGS_OPTIONS_MAX]; /* by index in specs; a flag has items NULL */
    size_t seen[ARGS_OPTIONS_MAX];
    struct strv rest;  /* positional */
    struct strv after; /* behind "--" */
    bool help;
};

/* --name VALUE, --name=VALUE, -x VALUE, flags; "--" ends options. -EINVAL with a sentence. */
int args_parse(struct args *a, const struct option_spec *specs, int argc, char **argv,
               struct err *err);
void args_done(struct args *a);
bool args_has(const struct args *a, const char *name);
/* The last value given, or NULL. */
const char *args_get(const struct args *a, const char *name);
const struct strv *args_all(const struct args *a, const char *name);
