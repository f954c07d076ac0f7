/* TCP connections of a network namespace by sock_diag(7) (linux/inet_diag.h): who has one with whom,
 * and its end.
 *
 * A destroyed socket is closed at once: its program reads ECONNABORTED, the other side is sent a
 * reset. That cannot be undone. It needs CAP_NET_ADMIN in the namespace, and a kernel built with
 * CONFIG_INET_DIAG_DESTROY.
 */
#pragma once

#include "sim/kernel/inet.h"
#include "sim/kernel/nl.h"

struct sockdiag_tcp {
    struct inet_flow flow; /* source: the local end */
    uint64_t cookie;       /* of the socket; no other has it as long as the machine runs */
    uint32_t inode;        /* as in /proc/PID/fd ("socket:[N]"); 0: it has no file */
    uint8_t raw[72];       /* struct inet_diag_req_v2 for exactly this one */
};
/* Connections that are being opened, established, or being closed; neither listeners nor those of
 * which only TIME_WAIT is left. The caller frees *ret. -ENOENT: this kernel tells nothing of TCP
 * (tcp_diag). */
int sockdiag_tcp(struct nl *nl, struct sockdiag_tcp **ret, size_t *ret_n, struct err *err);
/* The same of UDP: sockets with another side (connect(2)); they are not to be destroyed. -ENOENT: udp_diag. */
int sockdiag_udp(struct nl *nl, struct sockdiag_tcp **ret, size_t *ret_n, struct err *err);
/* The ports on which something listens for TCP, each once for every socket. The caller frees *ret. */
int sockdiag_listening(struct nl *nl, uint16_t **ret, size_t *ret_n, struct err *err);
/* The inodes of the sockets that wait on a port for whoever comes: TCP ones that listen, UDP ones that
 * are bound and not connected. The caller frees *ret. */
int sockdiag_waiting(struct nl *nl, uint16_t port, uint32_t **ret, size_t *ret_n, struct err *err);
/* Queues the end of one; that it has gone meanwhile is fine. -EOPNOTSUPP at nl_flush(): this kernel
 * cannot. */
void sockdiag_destroy(struct nl *nl, const struct sockdiag_tcp *s);
