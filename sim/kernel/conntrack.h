/* What a network namespace's connection tracking remembers, by ctnetlink
 * (linux/netfilter/nfnetlink_conntrack.h), and forgetting it.
 *
 * A forgotten flow is a new one to the host's own rules with its next packet. That cannot be undone.
 */
#pragma once

#include "sim/kernel/inet.h"
#include "sim/kernel/nl.h"

#define CONNTRACK_RAW 160
struct conntrack {
    struct inet_flow original, reply; /* they differ by more than direction where addresses are
                                       * translated */
    uint32_t id;
    uint16_t zone;
    uint8_t raw[CONNTRACK_RAW]; /* CTA_TUPLE_ORIG as it came */
    size_t n_raw;
};
/* The caller frees *ret. Nothing is tracked, or the kernel has no ctnetlink: none. Where there are
 * any the kernel walks through the table of all namespaces: milliseconds. */
int conntrack_list(struct nl *nl, struct conntrack **ret, size_t *ret_n, struct err *err);
/* Queues forgetting one; that it has gone meanwhile is fine. */
void conntrack_delete(struct nl *nl, const struct conntrack *c);
/* Where a flow whose target was translated was sent to at first, by how its answers go: from `source` to
 * `target` (their zone: 0 unless rules say otherwise). 0, or 1: no such flow is tracked. */
int conntrack_origin(struct nl *nl, const struct inet_flow *reply, uint16_t zone,
                     struct inet_flow *ret, struct err *err);
