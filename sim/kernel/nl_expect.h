/* The expecting transport: a test says which requests must come, in which order, and what the
 * kernel answers; anything else fails. Nothing reaches a kernel.
 *
 * Ownership: texts and messages are copied. Each request is compared by its text, which holds every
 * field and attribute of the message (nl.h); `where` of the transport it came through is compared
 * too. After a mismatch every further call fails with the same words (-EBADMSG).
 */
#pragma once

#include "sim/kernel/nl.h"

int nl_open_expecting(const char *where, struct nl **ret, struct err *err);

/* A change or a question that is answered with `result` (0, EPERM, EEXIST …) and, if not NULL, the
 * kernel's extended ack. where NULL: the transport's own. */
void nl_expect(struct nl *nl, const char *where, const char *text, int result, const char *ext_ack);

/* One message of an answer: type and everything after the netlink header. */
struct nl_answer {
    unsigned short type;
    const void *body;
    size_t n;
};
/* A dump (or a get) answered with these; interrupted: NLM_F_DUMP_INTR is set on the last, so the
 * transport must ask once more (expect it again). */
void nl_expect_dump(struct nl *nl, const char *where, const char *text,
                    const struct nl_answer *answers, size_t n, bool interrupted);
/* What nl_ifindex() and holes resolve to; unknown names: -ENODEV. */
void nl_expect_link(struct nl *nl, const char *where, const char *name, int ifindex);

/* Fails when something expected did not happen or something else did. Call before nl_free(). */
int nl_expect_end(struct nl *nl, struct err *err);
