/* From a scope to a classifier: classic BPF instructions over a frame that begins with its Ethernet
 * header. Pure. Private to this room.
 *
 * The programs stand on nothing but RFC 791, 8200 (with at most SCOPE_EXTENSIONS extension headers;
 * what lies deeper has no known protocol) and the layout of ports, which TCP, UDP and SCTP share.
 */
#pragma once

#include "sim/impair/impair.h"
#include <linux/filter.h>

#define SCOPE_EXTENSIONS 6
#define SCOPE_OPS_MAX 4094 /* BPF_MAXINSNS, less what an engine may add */

/* A program that returns 0 for what passes by and all ones for what matches; malloc'd. -E2BIG: too
 * many peers and ports for one program. */
int scope_program(const struct impair_scope *s, bool ingress, struct sock_filter **ret,
                  size_t *ret_n, struct err *err);
/* A copy that owns its lists; scope_done() frees them. */
struct impair_scope scope_copy(const struct impair_scope *s);
void scope_done(struct impair_scope *s);
