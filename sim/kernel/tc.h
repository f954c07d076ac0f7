/* Queueing disciplines, classifiers and actions by rtnetlink (tc(8), linux/pkt_sched.h,
 * linux/pkt_cls.h, linux/tc_act/tc_mirred.h).
 *
 * Functions returning void queue messages on `nl`; nl_flush() sends and tells errors; see nl.h.
 * Those that ask flush first; a recording has nothing to answer, see each.
 *
 * How a fault selects packets without touching the queues of the others: a classifier at clsact
 * (egress or ingress) matches and redirects to a device of ours; an ifb with a netem root there
 * holds them and hands them back to the device they came from (drivers/net/ifb.c: from egress by
 * dev_queue_xmit, from ingress by netif_receive_skb), where tc_skip_classify keeps the action from
 * being executed again. The root of the impaired device stays what it was, whatever it was:
 * replacing it would be an outage of our own making, and would need the old tree replayed.
 *
 * What else the matched packets miss on their second way (seen on 6.18): filters of others at the
 * same hook with a greater preference, and at ingress the chains of nf_tables' netdev family
 * (net/core/dev.c, __netif_receive_skb_core(): skip_classify), captures too, which see them when they
 * arrive, not when they are handed on. Filters of a smaller preference see them, once; the queues of
 * the device, and all of nf_tables' other families, as ever.
 */
#pragma once

#include "sim/base/impairment.h"
#include "sim/kernel/nl.h"
#include <linux/filter.h>

/* An intermediate device, down; the kernel makes no IPv6 addresses on it when it goes up. Two
 * messages: nl_forgive() reaches the second; that there is one of this name already is always told.
 */
void tc_ifb_add(struct nl *nl, const char *name, uint32_t group);

/* EEXIST is told; nl_forgive() it. Where an "ingress" qdisc stands that is EEXIST too, and filters
 * at egress will be refused: tc_clsact_find() tells. */
void tc_clsact_add(struct nl *nl, const char *dev);
void tc_clsact_delete(struct nl *nl, const char *dev); /* and every filter in it, whosever */
/* What holds filters of dev: "clsact", "ingress", or "" for nothing (a recording: ""). */
#define TC_KIND_MAX 16
int tc_clsact_find(struct nl *nl, const char *dev, char ret_kind[TC_KIND_MAX], struct err *err);

/* handle: major number, "1:" is 1; as the root of dev. What netem cannot do is told by nl_flush()
 * (sim/kernel/netem.h lists it). */
void tc_netem_add(struct nl *nl, const char *dev, uint16_t handle, const struct impairment *m);
/* The same qdisc with other parameters; every parameter is given anew. */
void tc_netem_change(struct nl *nl, const char *dev, uint16_t handle, const struct impairment *m);
/* Reads back what the kernel holds: 0 when it is what m asks for (distribution tables are not told
 * by the kernel). TC_NETEM_NO_SEED: all but the seed, of which Linux before 6.6 takes no notice and
 * says nothing. -ENOENT: no such netem. -EOPNOTSUPP names what differs. A recording: 0. */
#define TC_NETEM_NO_SEED 1
int tc_netem_check(struct nl *nl, const char *dev, uint16_t handle, const struct impairment *m,
                   struct err *err);
/* The root of dev if it has this handle; EINVAL when another has taken its place. */
void tc_root_delete(struct nl *nl, const char *dev, uint16_t handle);

enum tc_hook { TC_EGRESS, TC_INGRESS };

/* A classifier: cls_bpf with classic instructions (no privilege beyond the namespace's
 * CAP_NET_ADMIN; its data begin with the Ethernet header at both hooks), or with a loaded eBPF
 * program in direct-action mode. */
struct tc_filter {
    const char *dev;
    enum tc_hook hook;
    uint16_t pref;                 /* priority: smaller is asked first */
    uint32_t handle;               /* within pref; 0: the kernel chooses */
    const struct sock_filter *ops; /* classic; n_ops > 0 */
    size_t n_ops;                  /* at most 4096 (BPF_MAXINSNS) */
    int program;                   /* eBPF descriptor when n_ops is 0 */
    const char *name;              /* of the program, for people; may be NULL */
    uint32_t classid;              /* what an eBPF program finds in tc_classid; 0: nothing */
    const char *redirect_to;       /* classic: mirred redirect to this device; NULL: see drop */
    bool to_ingress;               /* as if it had arrived there, not as if it were sent there */
    bool drop; /* classic, not redirected: in direct-action mode (the program returns
                        TC_ACT_SHOT, 2, or TC_ACT_UNSPEC, -1); false: a match passes */
};
/* EEXIST when there is one of this pref and handle. */
void tc_filter_add(struct nl *nl, const struct tc_filter *f);
/* dev, hook, pref, handle; handle 0: all cls_bpf of that pref, whosever. */
void tc_filter_delete(struct nl *nl, const struct tc_filter *f);

/* What stands at a hook, ours and others'. The caller frees *ret with free(). No clsact: none; a
 * recording: none. */
struct tc_filter_seen {
    char kind[TC_KIND_MAX];
    uint16_t pref;
    uint32_t handle;
    int redirect_to; /* interface of its first action if that is mirred; 0: none */
};
int tc_filters(struct nl *nl, const char *dev, enum tc_hook hook, struct tc_filter_seen **ret,
               size_t *ret_n, struct err *err);

struct tc_counts {
    uint64_t packets, bytes, dropped, overlimits;
    uint32_t backlog_packets, backlog_bytes;
};
/* Of the root of dev. -ENOENT when it has none of ours (handle). A recording: zeros. */
int tc_root_stats(struct nl *nl, const char *dev, uint16_t handle, struct tc_counts *ret,
                  struct err *err);
/* Of the action of a filter, which must have been added with a handle: -ENOENT when it is not there
 * or has no action. A recording: zeros. */
int tc_filter_stats(struct nl *nl, const struct tc_filter *f, struct tc_counts *ret,
                    struct err *err);
