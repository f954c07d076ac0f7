/* Addresses and prefixes of both families, and hardware addresses. Values, nothing to free. */
#pragma once

#include "sim/base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define INET_TEXT_MAX 56 /* "ffff:…:ffff/128" and the NUL */

struct inet_prefix {
    uint8_t family;   /* AF_INET or AF_INET6; 0: not given */
    uint8_t len;      /* prefix length; 32 or 128 for a single address */
    uint8_t addr[16]; /* network byte order; the first 4 bytes for AF_INET */
};

struct inet_mac {
    uint8_t b[6];
};

/* "10.0.0.1", "10.0.0.1/24", "fd00::1", "fd00::1/64". The host part is kept. -EINVAL otherwise. */
int inet_parse(const char *text, struct inet_prefix *ret, struct err *err);
/* With "/len" unless it is a single address. Returns buf. */
const char *inet_text(const struct inet_prefix *p, char buf[INET_TEXT_MAX]);
size_t inet_bytes(const struct inet_prefix *p); /* 4 or 16 */
/* The same with the host part cleared. */
struct inet_prefix inet_masked(const struct inet_prefix *p);
/* True when `addr` (of the same family) lies in `net`. */
bool inet_contains(const struct inet_prefix *net, const struct inet_prefix *addr);

/* Who speaks with whom. Addresses are single ones; an IPv4 address in an IPv6 socket (::ffff:0:0/96)
 * is told as the IPv4 address it is. */
struct inet_flow {
    uint8_t protocol; /* IPPROTO_* */
    struct inet_prefix source, target;
    uint16_t sport, dport; /* 0: the protocol has none */
};
/* From the bytes of an address of this family. */
struct inet_prefix inet_address(uint8_t family, const void *bytes);

#define INET_MAC_TEXT_MAX 18
int inet_mac_parse(const char *text, struct inet_mac *ret, struct err *err);
const char *inet_mac_text(const struct inet_mac *m, char buf[INET_MAC_TEXT_MAX]);

/* An end of a connection as sockets take it. */
struct sockaddr_storage inet_endpoint(const struct inet_prefix *p, uint16_t port);
socklen_t inet_endpoint_size(const struct sockaddr_storage *a);
uint16_t inet_endpoint_port(const struct sockaddr_storage *a);
struct inet_prefix inet_endpoint_address(const struct sockaddr_storage *a);
