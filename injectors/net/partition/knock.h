/* One packet of our own towards an address: of the kind that a cut is about, and of no harm to whoever
 * gets it. A UDP datagram, what opens a TCP connection, an ICMP echo request, what opens an SCTP
 * association (made by a raw socket, so the kernel need not know SCTP).
 *
 * What it carries says whose it is and along which path it was sent (TCP carries nothing).
 *
 * Ownership: the socket is the caller's.
 */
#pragma once

#include <sys/socket.h>

#include "injectors/net/partition/cut.h"

struct knock {
    int netns;                        /* in which it is sent */
    const struct inet_prefix *source; /* NULL: as the kernel routes it */
    const struct inet_prefix *target; /* length ignored */
    int l4proto;                      /* IPPROTO_TCP, UDP, ICMP (for ICMPv6 too), SCTP */
    uint16_t source_port, port;       /* source_port 0: one that is free; SCTP: both as they are */
    uint64_t path;
};

/* The i-th packet of a scope: its protocol, or one of those that it concerns in turns. */
int knock_protocol(const struct cut_scope *s, size_t i);
/* 0, or 1 when it could not be sent at all (no route, the port is taken). What a rule takes away, or
 * refuses to the sender at once, was sent. */
int knock_send(const struct knock *k, int *ret_fd);
/* Reads what has come to a socket, at the sender's or at the receiver's end; both answers stay true once
 * they are. come: our packet of this path, or at the sender's end an answer to it (TCP, ICMP);
 * refused: the sender was told. */
void knock_collect(int fd, int family, int l4proto, uint64_t path, bool *come, bool *refused);
socklen_t knock_address(const struct inet_prefix *p, uint16_t port, struct sockaddr_storage *ret);
