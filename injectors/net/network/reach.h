/* Which packets a `network` fault reaches, at which points: from its parameters and the shape of the
 * lab alone, so that check, plan and run know the same.
 *
 * Ownership: `struct reach` is its user's, freed by reach_done(); names are the scenario's.
 */
#pragma once

#include "injectors/net/ports.h"
#include "injectors/params.h"
#include "sim/attach/exempt.h"
#include "sim/impair/impair.h"

struct reach_point {
    const struct port *port; /* of `ports` */
    bool arrives;   /* at the device: of a host that others made, whose cable is not ours */
    bool at_switch; /* the switch's end of the cable, whose egress is the host's ingress */
};

struct reach {
    struct ports ports;
    struct reach_point *points;
    size_t n;
    struct inet_prefix peers[IMPAIR_PEERS_MAX];
    struct impair_ports any[IMPAIR_PORTS_MAX], peer[IMPAIR_PORTS_MAX], own[IMPAIR_PORTS_MAX];
    struct inet_prefix *except; /* malloc'd */
    struct impair_ports except_ports[EXEMPT_PORTS];
    struct impair_scope
        scope; /* borrows the lists above, so a reach does not move; .reversed false */
};
void reach_done(struct reach *r);
#define AUTO_REACH __attribute__((cleanup(reach_done))) struct reach

/* Of `host` (plainly named or chosen). -EINVAL: `to` holds no address, too many, none of the family;
 * -ESRCH: `to` names nobody but the host itself. */
int reach_find(const struct topo *topo, const struct network_params *p, const char *host,
               struct reach *ret, struct err *err);
/* These peers are left out of it. */
void reach_leave_out(struct reach *r, const struct exempts *exempt);
/* The scope at one point, borrowed from the reach. */
struct impair_scope reach_scope(const struct reach *r, const struct reach_point *at);
/* The device at that point: the host's, or the switch's port. */
const char *reach_device(const struct reach_point *at);
/* "host lb2, eth0, what it sends to 10.20.0.9, TCP": appends. */
void reach_text(const struct reach *r, const struct reach_point *at, struct buf *out);
/* True when both may impair one packet at one point. */
bool reach_overlaps(const struct reach *a, const struct reach *b);
