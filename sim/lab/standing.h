/* Standing impairments: what a network does to packets as long as the lab stands (delay, loss, rate
 * between regions), as its part of `networks:` says. Private to this room.
 *
 * They stand where a host's frames enter the switch, so that they meet each frame once on its way
 * through a network, and never share a point with faults, which stand at the hosts' devices and where
 * frames leave the switch: both compose.
 */
#pragma once

#include "sim/impair/impair.h"
#include "sim/lab/topo.h"

/* On the cables of host `h`, which are there; in force when it returns. sw_fd: of the switch's
 * namespace, -1 for a recording. here: of this machine; known false: impair finds out by itself. */
int standing_arm(const struct topo *t, const struct scenario *s, size_t h, struct impair *m,
                 struct nl *sw, int sw_fd, const struct impair_here *here, struct err *err);
