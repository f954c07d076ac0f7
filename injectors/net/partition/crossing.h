/* Packets of our own sent along paths that are cut: they must not arrive.
 *
 * What is sent, to a declared address, is of the kind that the cut is about: a UDP datagram, what
 * opens a TCP connection or an SCTP association, an ICMP echo (knock.h). Where it concerns no port of the user's we hold the port that
 * it is sent to, so a refusal can only come from a cut. Ports of the user's are never listened on, as a
 * client would take us for the server; a refusal there says nothing. (Frames of a type of our own would cross without addresses,
 * but closing a packet socket waits for an RCU grace period, 10 ms each: the runner would be late.)
 *
 * Ownership: crossing_send() … crossing_free(); it holds the sockets.
 */
#pragma once

#include "injectors/net/partition/cut.h"
#include "sim/lab/lab.h"

struct crossing;

/* At most `max` paths, spread evenly over the cut. Paths whose ends are down, have no address or no
 * route, or whose ports are taken, are not tried. */
int crossing_send(struct lab *lab, const struct cut *c, const struct cut_scope *s, size_t max,
                  struct crossing **ret, struct err *err);
struct crossing *crossing_free(struct crossing *x);
DEFINE_CLEANUP(struct crossing, crossing_free);
size_t crossing_tried(const struct crossing *x);
/* What came of it so far; call again for more. */
void crossing_collect(struct crossing *x, size_t *ret_arrived, size_t *ret_refused);
