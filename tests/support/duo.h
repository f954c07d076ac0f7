/* Two namespaces and a cable between them, for tests of what happens to packets on their way.
 *
 *   a: eth0 10.9.0.1/24 fd09::1/64  ═══  b: eth0 10.9.0.2/24 fd09::2/64
 *
 * b has more addresses, .3 and .4 of both families, for other peers. Neighbours are asked for as
 * usual. Ownership: duo_open() … duo_close(); a failure ends the test.
 */
#pragma once

#include "sim/kernel/nl.h"

struct duo {
    int a_fd, b_fd;
    struct nl *a, *b;
};

void duo_open(struct duo *p, uint32_t mtu); /* 0: default */
void duo_close(struct duo *p);
/* Bound in b to ADDRESS:port, and connected to it in a; for type SOCK_DGRAM. */
void duo_udp(const struct duo *p, const char *address, uint16_t port, int *ret_tx, int *ret_rx);
/* The same the other way: from b to a's address. */
void duo_udp_back(const struct duo *p, const char *address, uint16_t port, int *ret_tx,
                  int *ret_rx);
/* Listening in b, connected from a. */
void duo_tcp(const struct duo *p, const char *address, uint16_t port, int *ret_a, int *ret_b);
