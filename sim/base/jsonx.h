/* Helpers over jansson: building and reading JSON with our types.
 *
 * Ownership as in jansson: functions named jsonx_new_* return a new reference; those that set a
 * member steal nothing of the caller's but the values they make.
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/base/err.h"
#include "sim/base/nsec.h"
#include <jansson.h>

static inline void jsonx_decref(json_t **j)
{
    json_decref(*j);
}
#define AUTO_JSON __attribute__((cleanup(jsonx_decref))) json_t

/* A text from outside, whatever its bytes: jansson refuses what is not UTF-8 (json_pack() and
 * json_string() give NULL, and the whole event would be lost). NULL for NULL. */
json_t *jsonx_new_text(const char *s);
json_t *jsonx_new_textn(const char *s, size_t n);
/* [lo, hi] in nanoseconds; an infinite hi is null; an unset span is null altogether. */
json_t *jsonx_new_span(struct span s);
/* Reads what jsonx_new_span() wrote; SPAN_UNSET for null or anything else. */
struct span jsonx_span(const json_t *j);
/* Nanoseconds as seconds (a real); null for unset or infinite. */
json_t *jsonx_new_seconds(nsec t);
/* [lo, hi] in seconds, ends null where infinite; null when unset. */
json_t *jsonx_new_span_seconds(struct span s);

/* Members with a default for absent or wrongly typed ones. Texts are borrowed. */
const char *jsonx_str(const json_t *obj, const char *key, const char *dflt);
int64_t jsonx_int(const json_t *obj, const char *key, int64_t dflt);
bool jsonx_bool(const json_t *obj, const char *key, bool dflt);
nsec jsonx_nsec(const json_t *obj, const char *key); /* NSEC_UNSET when absent or null */

/* Compact, members in the order they were added, reals with 12 significant digits. */
void jsonx_dump(const json_t *j, struct buf *out);
/* The same, indented by two, with a newline at the end. */
void jsonx_dump_pretty(const json_t *j, struct buf *out);
/* Parses one document of n bytes; `what` names it in the error. Depth and duplicates are limited.
 */
int jsonx_parse(const char *text, size_t n, const char *what, json_t **ret, struct err *err);
