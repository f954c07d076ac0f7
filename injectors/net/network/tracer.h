/* Packets of our own along one way through a faulted path, and what becomes of each.
 *
 * What is sent: raw IP packets of the scope's protocol and ports, so that the fault's classifier takes
 * them, between addresses of two hosts of the lab. Their transport checksum is wrong on purpose (ICMPv6,
 * where the kernel makes it, has a type that nobody knows), so that no server and no stack answers
 * them; a raw socket at the other end gets them before checksums are looked at. One way, stamped by
 * CLOCK_REALTIME before sending and by the kernel on arrival (SO_TIMESTAMPNS), both on this machine.
 *
 * Ownership: tracer_new() … tracer_free(); it holds the sockets. tracer_choose() is pure.
 */
#pragma once

#include "injectors/net/network/reach.h"
#include "sim/lab/lab.h"

struct tracer_way {
    const char *from, *to; /* hosts, the scenario's */
    struct inet_prefix source, target;
    int protocol;
    uint16_t source_port, target_port;
    const char *networks[2]; /* of the point, and of the far end: the same, or beyond a router */
    size_t mtu;
};

/* A way whose packets the scope takes at this point. `up` (may be NULL: all are): the host can take
 * part. -EADDRNOTAVAIL: no host of the lab is at the other end. */
int tracer_choose(const struct topo *topo, const struct reach *reach, const struct reach_point *at,
                  bool (*up)(const char *host, void *data), void *data, struct tracer_way *ret,
                  struct err *err);

#define TRACER_LEAST 48 /* bytes above the transport header */

struct tracer_seen {
    uint32_t seq;       /* from 0 */
    nsec sent, arrived; /* CLOCK_REALTIME */
    bool intact;
};

struct tracer;
/* nonce: tells its packets from those of other tracers. */
int tracer_new(struct lab *lab, const struct tracer_way *way, uint64_t nonce, struct tracer **ret,
               struct err *err);
struct tracer *tracer_free(struct tracer *t); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct tracer, tracer_free);
/* One packet with so many bytes above the transport header. What the path loses is no error. */
void tracer_send(struct tracer *t, size_t bytes);
void tracer_receive(struct tracer *t); /* what has arrived so far */
size_t tracer_sent(const struct tracer *t);
/* In the order of arrival; borrowed until the next tracer_receive(). */
const struct tracer_seen *tracer_all(const struct tracer *t, size_t *ret_n);
