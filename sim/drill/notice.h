/* What a notice says: from an event of the drill to the words and the body that others get. Pure.
 *
 * An event's values are texts by name (notice_words of model.h); what is not known is "".
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/model/model.h"

#include <jansson.h>

/* One sentence for people, from the other values. */
void notice_sentence(const json_t *values, struct buf *out);
/* The body of a webhook: `template` with its {{words}} put in as JSON writes them inside quotes; else
 * by `format`: "slack" is {"text": sentence}, anything else all values as one object. */
void notice_body(const json_t *values, const char *format, const char *template, struct buf *out);
/* The body of POST /api/annotations; `wall_ms`: since 1970. tags: separated by blanks; or NULL. */
void notice_annotation(const json_t *values, const char *dashboard, const char *tags,
                       int64_t wall_ms, struct buf *out);
/* The value of a key of `webhook` or `grafana`; NULL: not given. */
const struct pair *notice_pair(const struct pairs *pairs, const char *key);
/* Whom it tells, without secrets: the command, or the URL up to its query. */
void notice_target(const struct notice *n, struct buf *out);
const char *notice_kind(const struct notice *n); /* "command", "webhook", "grafana" */
