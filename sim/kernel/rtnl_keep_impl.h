/* How an object of rtnetlink is kept as a text, "TYPE:HEX". Private to rtnl_keep.c and rtnl_take.c.
 *
 * Ownership: buffers and lists are the caller's.
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/kernel/nl_req.h"
#include <jansson.h>

#define RTNL_KEEP_MAX 4096 /* bytes of one message */

/* All attributes of an answer but those of `tell` (0-terminated). */
void rtnl_keep_attrs(struct buf *out, const struct nlmsghdr *h, size_t head, const int *tell);
/* An address as it is made again: of its flags those that somebody asked for. */
void rtnl_keep_address(struct buf *out, const struct nlmsghdr *h, uint32_t flags, const int *tell);
void rtnl_keep_as(json_t *list, uint16_t type, const struct buf *payload);
/* One of several ways of a route goes over this device. */
bool rtnl_keep_ways_include(const struct nlattr *ways, int ifindex);
/* payload: room for RTNL_KEEP_MAX. */
bool rtnl_keep_parse(const char *text, unsigned *ret_type, unsigned char *payload, size_t *ret_n);
size_t rtnl_keep_head(unsigned type); /* bytes of the family header */
