/* The switch's ports of hosts, from the scenario alone, so that plan and run name the same.
 *
 * Ownership: `struct ports` is its user's, freed by ports_done(); names of hosts and networks are
 * the scenario's.
 */
#pragma once

#include <jansson.h>

#include "sim/base/err.h"
#include "sim/kernel/inet.h"
#include "sim/kernel/nl.h"
#include "sim/lab/topo.h"
#include "sim/model/model.h"

#define PORT_ADDRESSES 16

struct port {
    const char *host, *network; /* network NULL: of a host that others made */
    char name[16], device[16];  /* at the switch, inside the host */
    struct inet_mac mac;        /* of the device */
    struct inet_prefix addresses[PORT_ADDRESSES];
    size_t n_addresses;
};

struct ports {
    struct port *items;
    size_t n;
};
void ports_done(struct ports *p);
#define AUTO_PORTS __attribute__((cleanup(ports_done))) struct ports

/* Appends the host's ports; network NULL: all of them. */
void ports_of_host(const struct topo *t, const char *host, const char *network, struct ports *p);
/* A device of a host that others made: no network, no port at a switch. */
void ports_of_device(const char *host, const char *device, struct ports *p);
/* Of the plainly named host, or of every candidate. */
void ports_of_target(const struct topo *topo, const struct target *t, const char *network,
                     struct ports *p);
/* Every host that may be chosen has a port (on this network). */
int ports_check(const struct scenario *s, const struct target *t, const char *network,
                struct err *err);
/* Appends the texts of what a recording holds (from message `from` on) to `texts`, each "  WHERE:
 * PREFIX TEXT". */
void ports_plan_messages(const struct nl *recording, size_t from, const char *prefix,
                         json_t *texts);
/* The same of those before `to`. */
void ports_plan_part(const struct nl *recording, size_t from, size_t to, const char *prefix,
                     json_t *texts);
