/* For tests of partitions: a lab of five hosts, which ways are open, sockets inside hosts.
 *
 * Ownership: descriptors are the caller's; texts live until the next call.
 */
#pragma once

#include <sys/socket.h>

#include "tests/support/labkit.h"

/* a to e on one network, 10.0.0.1 and fd00::1 and so on; no servers. All ways are open. */
void cutkit_five_hosts(struct kit *k);
/* "a>b a>c": the ways between them on which a datagram of our own is lost or refused. */
const char *cutkit_lost_ways(struct kit *k);
struct strv cutkit_names(struct kit *k, const char *list);
struct sockaddr_storage cutkit_at(const char *address, uint16_t port, socklen_t *ret_n);
/* Non-blocking, in the host's network namespace. */
int cutkit_socket(struct kit *k, const char *host, int family, int type);
