/* POSIX extended regular expressions, as `match:` takes them.
 *
 * Ownership: embed it by value, start with PATTERN_INIT, end with pattern_done() (or AUTO_PATTERN).
 */
#pragma once

#include "sim/base/err.h"
#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

struct pattern {
    regex_t regex;
    bool is_set;
};

#define PATTERN_INIT ((struct pattern){.is_set = false})
#define AUTO_PATTERN __attribute__((cleanup(pattern_done))) struct pattern

/* -EINVAL with what is wrong. */
int pattern_compile(struct pattern *p, const char *text, struct err *err);
void pattern_done(struct pattern *p);
/* In n bytes of text, which may hold NUL; ^ and $ hold at each line. */
bool pattern_matches(const struct pattern *p, const char *text, size_t n);
