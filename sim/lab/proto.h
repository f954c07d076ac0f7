/* Messages between the runner and a host's agent: JSON objects with descriptors, over a SEQPACKET
 * socket pair. A text too long for one packet travels in a memfd.
 *
 * Ownership: descriptors sent stay the sender's; received ones are the caller's (CLOEXEC).
 */
#pragma once

#include "sim/base/err.h"
#include <jansson.h>
#include <stddef.h>

#define PROTO_FDS_MAX 64

/* What comes with a message; unused places hold -1. */
struct proto_fds {
    int fds[PROTO_FDS_MAX];
    size_t n;
};
void proto_fds_close(struct proto_fds *f);

int proto_pair(int ret[2], struct err *err); /* CLOEXEC, 5 s limit on sending */
int proto_send(int sock, const json_t *msg, const int *fds, size_t n_fds, struct err *err);

#define PROTO_EOF 1
#define PROTO_NOTHING 2
/* Takes one message without waiting. 0, PROTO_EOF (the other end is gone), PROTO_NOTHING (none is
 * there), or an error. */
int proto_recv(int sock, json_t **ret, struct proto_fds *ret_fds, struct err *err);
