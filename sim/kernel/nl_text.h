/* A netlink message as text: every field and attribute, by tables. Private to this room.
 *
 * Two modes. A request is written whole (unknown attributes in hexadecimal), so that equal texts
 * mean equal messages. An object of a dump is written for comparison: counters, lifetimes,
 * operational state, handles and attributes no table knows are left out.
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/kernel/nl_req.h"

enum nl_text_mode { NL_TEXT_REQUEST, NL_TEXT_OBJECT };

/* Where names for numbers come from. */
struct nl_names {
    const struct nl_hole *holes; /* of a request */
    size_t n_holes;
    const char *(*ifname)(uint32_t ifindex, void *data); /* of a dump; may be NULL */
    void *data;
};

void nl_text(const struct nlmsghdr *h, int protocol, const struct nl_names *names,
             enum nl_text_mode mode, struct buf *out);
/* "" quotes around s if it is not a plain word; control characters escaped. */
void nl_text_word(const char *s, size_t n, struct buf *out);
