/* Where a change was made in a network namespace of others, as an undo record tells it: {host, netns:
 * identity}, so that whoever comes later finds that namespace and no other.
 *
 * Ownership: site_done() ends what site_find() made.
 */
#pragma once

#include "injectors/injector.h"

struct site {
    struct nl *nl;  /* borrowed from the lab, or own */
    struct nl *own; /* NULL: borrowed */
};
void site_done(struct site *s);
#define AUTO_SITE __attribute__((cleanup(site_done))) struct site

/* A new reference to {host, netns}; the caller adds what it will change. */
json_t *site_record(const struct lab_node *n);
/* Its device, {device, ifindex} of the record: 0, or INJECT_GONE when it is not there any more or is
 * another one of that name. ret_link may be NULL. */
struct rtnl_link;
int site_device(const struct site *s, const json_t *record, struct rtnl_link *ret_link,
                struct err *err);
/* 0, or INJECT_GONE with the sentence: the namespace is no more, and with it what was changed in it. */
int site_find(struct inject_env *env, const json_t *record, struct site *ret, struct err *err);
