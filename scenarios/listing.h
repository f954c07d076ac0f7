/* The catalogue of what a scenario may do and watch, from the tables: for `blackstart list` and the
 * manual.
 *
 * Ownership: buffers are the caller's; JSON is a new reference. Text is at most 80 columns wide.
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/base/err.h"
#include "sim/model/field.h"
#include <jansson.h>

struct hostcaps; /* sim/kernel */

enum listing_kind { LISTING_INJECTORS, LISTING_PROBES, LISTING_ALARMS };
extern const char *const listing_words[]; /* "injectors", "probes", "alarms", NULL */

/* `name`: one of them with every parameter; NULL: all, a line each. -ENOENT: there is no such one
 * (the nearest is in err). caps: whether an injector works on this machine, and if not why and what to
 * do; NULL: nothing of that. */
int listing_text(enum listing_kind kind, const char *name, const struct hostcaps *caps,
                 struct buf *out, struct err *err);
/* The same as an array of objects {name, summary, detail, here:[{by, works, why, cure}…],
 * parameters:[…]}. */
int listing_json(enum listing_kind kind, const char *name, const struct hostcaps *caps,
                 json_t **ret, struct err *err);

/* For both: "text", "duration", … of a field whose value is one scalar or a list of texts, and the
 * bounds (", 1ms to 1d"; nothing where there are none). */
const char *listing_scalar(const struct field *f);
void listing_bounds(const struct field *f, struct buf *out);

/* The tables of keys for docs/scenario.md, in Markdown. */
void listing_manual(struct buf *out);
