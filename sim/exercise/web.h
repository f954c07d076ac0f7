/* The page of an exercise: sim/page showing the views of sim/exercise and taking its commands.
 *
 * The key of codes and cookies stands in DIR/join.key (mode 0600) while the exercise lasts, so that
 * after `--resume` everybody is known again; it is removed when the exercise has ended.
 *
 * Ownership: borrows the conduct, which must live longer.
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/exercise/conduct.h"
#include "sim/page/page.h"

struct web;
struct web_spec {
    struct conduct *conduct;
    int dirfd;                     /* the run's folder; attachments are in its files/ */
    const char *listen;            /* page_address() */
    const char *certificate, *key; /* PEM files; NULL: no TLS */
};
int web_open(const struct web_spec *spec, struct web **ret, struct err *err);
struct web *web_close(struct web *w); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct web, web_close);

/* Turns the loop for a moment, so that everybody who is connected gets the last view. */
void web_linger(struct web *w); /* takes NULL */
void web_url(const struct web *w, char url[PAGE_URL_MAX]);
/* [{role, title, code}], the room's own without a role first; a new reference. */
json_t *web_new_codes(const struct web *w);

/* --- For replays --- */

/* The roles of a scenario as seats; the caller frees. */
struct page_seat *web_new_seats(const struct scenario *s, size_t *ret_n);
/* The attachment "ID/N", as view.h makes the url, if this role may see it: as page_handlers.file. */
int web_attachment(const struct state *st, const char *role, int dirfd, const char *name,
                   struct buf *content, const char **ret_type);
