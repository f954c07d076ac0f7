/* Requests to a container engine and what comes back, judged. Inside of sim/attach only: engine.h is for
 * others.
 *
 * Ownership: as engine.h; an answer's JSON is the caller's.
 */
#pragma once

#include "sim/attach/engine.h"
#include "sim/base/buf.h"

/* GET: whole JSON answers. Waits at most as engine.h says. */
int engine_get(struct engine *e, const char *path, json_t **ret, struct err *err);
/* The same of an answer that is a row of JSON documents, one per line: an array of them. */
int engine_get_lines(struct engine *e, const char *path, json_t **ret, struct err *err);
/* Percent-encodes what has a meaning in a path or a query. */
void engine_escape(const char *text, struct buf *out);
/* An answer of the right status, but of another shape. */
int engine_odd(const struct engine *e, const char *path, const char *what, struct err *err);
/* How long a query is waited for from now on. */
void engine_set_patience(struct engine *e, nsec queries);
bool engine_is_podman(const struct engine *e);
