/* A gate at the end of a cable, for namespaces that outlive us: closed as long as its maker lives, and what
 * comes there is dropped once it was read; with the maker's death the kernel opens it, and packets go on
 * to where they were going. So a line of ENGINE_VETH harms nothing when nobody is left to undo.
 *
 * Two tables of nf_tables at the ingress of the cable's inner end (packet sockets see a frame first, then
 * clsact, then these): one with an owner, which drops, and which the kernel removes when the last
 * descriptor of the transport's socket is closed; behind it one that stays, marks what comes with
 * ENGINE_MARK and sends it out of a device. The filters of lines let that mark pass, or it would
 * come back for ever.
 *
 * netem has no such gate. What is led aside at clsact can be let go only behind a cable (clsact comes before
 * nf_tables at an ingress, and what it redirects passes no egress hook: skb->nf_skip_egress), and an ifb
 * gives what comes by fwd back at an ingress where neither is asked again (skb->tc_skip_classify). It would
 * take a cable before the queue and one behind it, and frames that cross a cable have lost the priority
 * by which a root qdisc of somebody else's may tell them apart (__dev_forward_skb()).
 *
 * Nothing to free; gate_make() … gate_remove(), or gate_sweep() by who undoes later.
 */
#pragma once

#include "sim/kernel/nl.h"

/* At `inner`, which exists; opened, frames go out of `out`. 0; 1: not possible here (no owners before
 * Linux 5.12, no fwd), and nothing was made; -errno. Of a recording always 0. */
int gate_make(struct nl *nl, const char *tag, const char *inner, const char *out, struct err *err);
/* After the filters of the line are gone. Takes what is there. */
int gate_remove(struct nl *nl, const char *tag, struct err *err);
/* What a dead maker's gate has left; *ret_n is increased by what was taken away. */
int gate_sweep(struct nl *nl, const char *tag, size_t *ret_n, struct err *err);
