/* From the shape of a lab to messages for the kernel. lab_new(), lab_node_on() and lab_plan() send
 * the same ones in the same order; only the transport differs.
 *
 * All functions flush before they return.
 */
#pragma once

#include "sim/kernel/nl.h"
#include "sim/lab/topo.h"

/* The switch's bridges. */
int wire_switch(const struct topo *t, struct nl *sw, struct err *err);
/* Before the host's cables: what new interfaces inherit. `nl` is the host's. */
int wire_settings(const struct topo *t, size_t h, struct nl *nl, struct err *err);
/* Cables from the switch, their far ends born in the host; then addresses, neighbours, routes. */
int wire_host(const struct topo *t, size_t h, struct nl *sw, struct nl *nl, struct nl_netns netns,
              struct err *err);
/* The power button's half: the switch's ports of this host down, or gone. */
int wire_ports_down(const struct topo *t, size_t h, struct nl *sw, struct err *err);
int wire_ports_delete(const struct topo *t, size_t h, struct nl *sw, struct err *err);
