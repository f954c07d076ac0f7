/* Parts of the page, each in its own file. All append to the caller's buffer. */
#pragma once

#include "reports/escape.h"
#include "reports/result.h"
#include "sim/base/buf.h"

/* Escaped text. */
static inline void html_text(struct buf *out, const char *s)
{
    escape_xml(s, out);
}

/* Tiles of the objectives, and the chain from fault to restored. */
void html_tiles(const struct result *r, struct buf *out);
void html_chain(const struct result *r, struct buf *out);
/* The timeline of each trial; `events_left` is how many events the page may still carry for
 * hovering (reduced by what this trial carries). */
void html_timeline(const struct result *r, const struct trial *t, bool open, size_t *events_left,
                   struct buf *out);
/* "✔", "✘", … beside the word, which says the same. */
const char *html_sign(enum verdict v);
/* A duration for tiles: "3.2 s", in `ret_rest` " (3.1–3.3)" or NULL when there is none. */
void html_big(struct span s, struct buf *big, struct buf *rest);
