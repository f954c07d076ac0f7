/* Requests to a container engine and what comes back, judged. Inside of sim/attach only: cengine.h is for
 * others.
 *
 * Ownership: as cengine.h; an answer's JSON is the caller's.
 */
#pragma once

#include "sim/attach/cengine.h"
#include "sim/base/buf.h"

/* GET: whole JSON answers. Waits at most as cengine.h says. */
int cengine_get(struct cengine *e, const char *path, json_t **ret, struct err *err);
/* The same of an answer that is a row of JSON documents, one per line: an array of them. */
int cengine_get_lines(struct cengine *e, const char *path, json_t **ret, struct err *err);
/* Percent-encodes what has a meaning in a path or a query. */
void cengine_escape(const char *text, struct buf *out);
/* An answer of the right status, but of another shape. */
int cengine_odd(const struct cengine *e, const char *path, const char *what, struct err *err);
/* How long a query is waited for from now on. */
void cengine_set_patience(struct cengine *e, nsec queries);
bool cengine_is_podman(const struct cengine *e);
