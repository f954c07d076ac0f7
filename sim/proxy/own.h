/* Requests of our own through a proxied way: does whoever asks there get what was asked for?
 *
 * Nothing here waits: own_start() sends, own_look() is asked again and again.
 *
 * Ownership: own_start() … own_free(), before the proxy it goes through.
 */
#pragma once

#include "sim/proxy/proxy.h"

struct own;
/* From inside of `netns_fd` (borrowed for the call) to `to`, for DNS a query for `name`. `within`: how
 * long an answer is waited for. */
int own_start(struct proxy *p, const struct proxy_spec *spec, int netns_fd,
              const struct inet_prefix *to, const char *name, nsec within, struct own **ret,
              struct err *err);

struct own_seen {
    bool as_asked;
    char text[200]; /* what came, for people: "NXDOMAIN after 0.3 ms" */
};
/* 0, or 1: it is not known yet. */
int own_look(struct own *o, struct own_seen *ret);
struct own *own_free(struct own *o);
DEFINE_CLEANUP(struct own, own_free);
