/* Inside a proxy's process: what its parts share. Private to this room.
 *
 * Ownership: everything lives until the process ends; the spec is the parent's, copied by fork.
 */
#pragma once

#include "sim/base/rng.h"
#include "sim/loop/loop.h"
#include "sim/proxy/proxy.h"

struct inside;
struct dns_way;
struct tls_way;

struct inside_listener {
    struct inside *in;
    int fd; /* -1: none */
    int family;
    struct loop_io io;
};

struct inside {
    const struct proxy_spec *spec;
    struct loop *loop;
    struct nl *nl; /* of the host's namespace; owns the table */
    int sock;
    struct loop_io control;
    struct inside_listener udp[2], tcp[2]; /* IPv4, IPv6 */
    struct proxy_listens listens;
    struct proxy_counts counts;
    struct rng rng;
    uint16_t own_port; /* 0: nothing of ours is expected */
    struct dns_way *dns;
    struct tls_way *tls;
};

/* Is it done to this one? Draws from the seeded stream when the share says so. */
bool inside_hits(struct inside *in, bool own);
bool inside_is_own(struct inside *in, const struct sockaddr_storage *from);
/* Counts one that was looked at and will be hit. */
void inside_count_hit(struct inside *in, bool own);
/* What the runner has said meanwhile: before anything of the network is looked at. */
void inside_hear(struct inside *in);
/* A socket whose packets pass our rules; -1 with errno. */
int inside_socket(int family, int type);

/* The ways, one of them is made: */
int dns_way_open(struct inside *in, struct err *err);
void dns_way_accept(struct inside *in, int fd, const struct sockaddr_storage *from);
void dns_way_datagrams(struct inside_listener *l);
void http_way_accept(struct inside *in, int fd, const struct sockaddr_storage *from);
int tls_way_open(struct inside *in, struct err *err);
void tls_way_accept(struct inside *in, int fd, const struct sockaddr_storage *from);
