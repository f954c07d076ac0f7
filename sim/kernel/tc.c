/* Encoders and questions of tc; see tc.h. Attribute order follows iproute2. */
#include "sim/kernel/tc.h"

#include "sim/kernel/netem.h"
#include "sim/kernel/nl_req.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf_common.h>
#include <linux/gen_stats.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ACTION 1 /* actions of a filter are numbered from 1 (TCA_ACT_MAX_PRIO of them) */

static struct nl_req *tc_req(uint16_t type, uint16_t flags, const struct tcmsg *head,
                             const char *dev, size_t room)
{
    struct nl_req *q = nl_req_new(NETLINK_ROUTE, type, flags, head, sizeof *head, room + 64);
    nl_req_hole_ifindex(q, offsetof(struct tcmsg, tcm_ifindex), dev);
    return q;
}

/* --- Devices and roots ------------------------------------------------------- */

void tc_ifb_add(struct nl *nl, const char *name, uint32_t group)
{
    struct ifinfomsg head = {0};
    struct nl_req *q =
        nl_req_new(NETLINK_ROUTE, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head, 256);
    nl_req_put_ifname(q, IFLA_IFNAME, name);
    if (group)
        nl_req_put_u32(q, IFLA_GROUP, group);
    struct nlattr *info = nl_req_nest(q, IFLA_LINKINFO);
    nl_req_put_str(q, IFLA_INFO_KIND, "ifb");
    nl_req_nest_end(q, info);
    nl_queue(nl, q);

    /* Not in the first message: for a new link IFLA_AF_SPEC is EAFNOSUPPORT (6.18). */
    q = nl_req_new(NETLINK_ROUTE, RTM_NEWLINK, 0, &head, sizeof head, 256);
    nl_req_put_ifname(q, IFLA_IFNAME, name);
    struct nlattr *families = nl_req_nest(q, IFLA_AF_SPEC);
    struct nlattr *inet6 = nl_req_nest(q, AF_INET6);
    nl_req_put_u8(q, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    nl_req_nest_end(q, inet6);
    nl_req_nest_end(q, families);
    nl_queue(nl, q);
    nl_forgive(nl, EAFNOSUPPORT); /* no IPv6 here: nothing to switch off */
}

static void clsact(struct nl *nl, uint16_t type, uint16_t flags, const char *dev)
{
    struct tcmsg head = {.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0), .tcm_parent = TC_H_CLSACT};
    struct nl_req *q = tc_req(type, flags, &head, dev, 64);
    nl_req_put_str(q, TCA_KIND, "clsact");
    nl_queue(nl, q);
}

void tc_clsact_add(struct nl *nl, const char *dev)
{
    clsact(nl, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, dev);
}

void tc_clsact_delete(struct nl *nl, const char *dev)
{
    clsact(nl, RTM_DELQDISC, 0, dev);
}

static struct tcmsg root(uint16_t handle)
{
    return (struct tcmsg){.tcm_handle = (uint32_t)handle << 16, .tcm_parent = TC_H_ROOT};
}

static void netem(struct nl *nl, uint16_t flags, const char *dev, uint16_t handle,
                  const struct impairment *m, bool anew)
{
    struct tcmsg head = root(handle);
    struct nl_req *q = tc_req(RTM_NEWQDISC, flags, &head, dev, netem_room(m));
    nl_req_put_str(q, TCA_KIND, "netem");
    netem_put(q, m, anew);
    nl_queue(nl, q);
}

void tc_netem_add(struct nl *nl, const char *dev, uint16_t handle, const struct impairment *m)
{
    netem(nl, NLM_F_CREATE | NLM_F_EXCL, dev, handle, m, false);
}

void tc_netem_change(struct nl *nl, const char *dev, uint16_t handle, const struct impairment *m)
{
    netem(nl, 0, dev, handle, m, true);
}

void tc_root_delete(struct nl *nl, const char *dev, uint16_t handle)
{
    struct tcmsg head = root(handle);
    struct nl_req *q = tc_req(RTM_DELQDISC, 0, &head, dev, 0);
    if (!handle)
        nl_req_break(q, "a root qdisc without a handle is the kernel's own: not deleted");
    nl_queue(nl, q);
}

/* --- Filters ----------------------------------------------------------------- */

static uint32_t hook_parent(enum tc_hook hook)
{
    return TC_H_MAKE(TC_H_CLSACT, hook == TC_EGRESS ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
}

static struct tcmsg filter_head(const struct tc_filter *f)
{
    return (struct tcmsg){.tcm_handle = f->handle,
                          .tcm_parent = hook_parent(f->hook),
                          .tcm_info = TC_H_MAKE((uint32_t)f->pref << 16, htons(ETH_P_ALL))};
}

static void put_redirect(struct nl_req *q, const struct tc_filter *f)
{
    struct tc_mirred m = {.action = TC_ACT_STOLEN,
                          .eaction = f->to_ingress ? TCA_INGRESS_REDIR : TCA_EGRESS_REDIR};
    struct nlattr *actions = nl_req_nest(q, TCA_BPF_ACT);
    struct nlattr *first = nl_req_nest(q, FIRST_ACTION);
    nl_req_put_str(q, TCA_ACT_KIND, "mirred");
    struct nlattr *options = nl_req_nest(q, TCA_ACT_OPTIONS);
    nl_req_put_around_ifindex(q, TCA_MIRRED_PARMS, &m, sizeof m,
                              offsetof(struct tc_mirred, ifindex), f->redirect_to);
    nl_req_nest_end(q, options);
    nl_req_nest_end(q, first);
    nl_req_nest_end(q, actions);
}

static void put_classifier(struct nl_req *q, const struct tc_filter *f)
{
    if (f->n_ops) {
        nl_req_put_u16(q, TCA_BPF_OPS_LEN, (uint16_t)f->n_ops);
        nl_req_put(q, TCA_BPF_OPS, f->ops, f->n_ops * sizeof *f->ops);
    } else {
        nl_req_put_fd(q, TCA_BPF_FD, f->program, f->name ? f->name : "program");
        if (f->name)
            nl_req_put_str(q, TCA_BPF_NAME, f->name);
    }
    if (f->classid)
        nl_req_put_u32(q, TCA_BPF_CLASSID, f->classid);
    if (f->redirect_to)
        put_redirect(q, f);
    else if (!f->n_ops || f->drop)
        nl_req_put_u32(q, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
}

void tc_filter_add(struct nl *nl, const struct tc_filter *f)
{
    struct tcmsg head = filter_head(f);
    size_t n_ops = f->n_ops > BPF_MAXINSNS ? 0 : f->n_ops;
    size_t name = f->name ? strlen(f->name) : 0;
    struct nl_req *q = tc_req(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &head, f->dev,
                              n_ops * sizeof *f->ops + name + 256);
    if (n_ops != f->n_ops)
        nl_req_break(q, "a filter of %zu instructions is too long (at most %d)", f->n_ops,
                     BPF_MAXINSNS);
    if (f->pref == 0)
        nl_req_break(q, "a filter needs a preference (1 to 65535)");
    if (!f->n_ops && f->redirect_to)
        nl_req_break(q, "an eBPF program redirects by itself, not by an action");
    if (f->redirect_to && f->drop)
        nl_req_break(q, "a filter redirects or drops, not both");
    nl_req_put_str(q, TCA_KIND, "bpf");
    struct nlattr *options = nl_req_nest(q, TCA_OPTIONS);
    if (!q->broken)
        put_classifier(q, f);
    nl_req_nest_end(q, options);
    nl_queue(nl, q);
}

void tc_filter_delete(struct nl *nl, const struct tc_filter *f)
{
    struct tcmsg head = filter_head(f);
    struct nl_req *q = tc_req(RTM_DELTFILTER, 0, &head, f->dev, 0);
    if (f->pref == 0) /* the kernel takes that as: every filter of the hook */
        nl_req_break(q, "a filter is deleted by its preference (1 to 65535)");
    nl_req_put_str(q, TCA_KIND, "bpf");
    nl_queue(nl, q);
}

/* --- Questions --------------------------------------------------------------- */

static const struct nlattr *find(const struct nlmsghdr *h, int attr)
{
    return nlmsg_find_attr((struct nlmsghdr *)(uintptr_t)h, sizeof(struct tcmsg), attr);
}

static const struct nlattr *inside(const struct nlattr *nest, int attr)
{
    return nest ? nla_find(nla_data(nest), nla_len(nest), attr) : NULL;
}

static void get_kind(const struct nlattr *kind, char ret[TC_KIND_MAX])
{
    ret[0] = '\0';
    if (kind)
        nla_strlcpy(ret, kind, TC_KIND_MAX);
}

static int on_kind(const struct nlmsghdr *h, void *data, struct err *err)
{
    get_kind(find(h, TCA_KIND), data);
    return 0;
}

/* One qdisc. NLM_F_ECHO: before 6.8 the answer is only a notification, which its asker gets no copy
 * of without that flag (net/sched/sch_api.c, tc_get_qdisc()). */
static int ask_qdisc(struct nl *nl, const char *dev, const struct tcmsg *head, nl_answer_fn *fn,
                     void *data, struct err *err)
{
    struct nl_req *q = tc_req(RTM_GETQDISC, NLM_F_ECHO, head, dev, 0);
    return nl_ask(nl, q, fn, data, err);
}

int tc_clsact_find(struct nl *nl, const char *dev, char ret_kind[TC_KIND_MAX], struct err *err)
{
    const struct tcmsg head = {.tcm_parent = TC_H_CLSACT};
    char kind[TC_KIND_MAX] = "";
    struct err why = ERR_INIT;
    int r = ask_qdisc(nl, dev, &head, on_kind, kind, &why);
    if (r < 0 && r != -ENOENT)
        return err_set(err, why.code, "%s", why.text);
    memcpy(ret_kind, kind, TC_KIND_MAX);
    return 0;
}

static void read_stats(const struct nlattr *stats, struct tc_counts *ret)
{
    const struct nlattr *basic = inside(stats, TCA_STATS_BASIC);
    const struct nlattr *wide = inside(stats, TCA_STATS_PKT64);
    const struct nlattr *queue = inside(stats, TCA_STATS_QUEUE);
    struct gnet_stats_basic b = {0};
    struct gnet_stats_queue u = {0};
    *ret = (struct tc_counts){0};
    if (basic && nla_len(basic) >= 12) { /* the structure's padding may be left out */
        memcpy(&b, nla_data(basic), 12);
        ret->bytes = b.bytes;
        ret->packets = b.packets;
    }
    if (wide && nla_len(wide) >= 8)
        memcpy(&ret->packets, nla_data(wide), 8);
    if (queue && nla_len(queue) >= (int)sizeof u) {
        memcpy(&u, nla_data(queue), sizeof u);
        ret->dropped = u.drops;
        ret->overlimits = u.overlimits;
        ret->backlog_packets = u.qlen;
        ret->backlog_bytes = u.backlog;
    }
}

struct stats_answer {
    bool found;
    struct tc_counts stats;
};

static int on_root_stats(const struct nlmsghdr *h, void *data, struct err *err)
{
    struct stats_answer *a = data;
    a->found = true;
    read_stats(find(h, TCA_STATS2), &a->stats);
    return 0;
}

/* EINVAL is the kernel's word for a root with another handle ("Invalid handle"). */
static int no_root(struct nl *nl, const char *dev, uint16_t handle, int r, const struct err *why,
                   struct err *err)
{
    if (r < 0 && r != -ENOENT && r != -EINVAL)
        return err_set(err, why->code, "%s", why->text);
    return err_set(err, ENOENT, "%s: %s has no root qdisc %x:", nl_where(nl), dev, handle);
}

int tc_root_stats(struct nl *nl, const char *dev, uint16_t handle, struct tc_counts *ret,
                  struct err *err)
{
    const struct tcmsg head = root(handle);
    struct stats_answer a = {0};
    struct err why = ERR_INIT;
    int r = ask_qdisc(nl, dev, &head, on_root_stats, &a, &why);
    if (r < 0 || (!a.found && !nl_is_recording(nl)))
        return no_root(nl, dev, handle, r, &why, err);
    *ret = a.stats;
    return 0;
}

static int on_filter_stats(const struct nlmsghdr *h, void *data, struct err *err)
{
    struct stats_answer *a = data;
    const struct nlattr *action = inside(inside(find(h, TCA_OPTIONS), TCA_BPF_ACT), FIRST_ACTION);
    const struct nlattr *stats = inside(action, TCA_ACT_STATS);
    if (!stats)
        return 0;
    a->found = true;
    read_stats(stats, &a->stats);
    return 0;
}

int tc_filter_stats(struct nl *nl, const struct tc_filter *f, struct tc_counts *ret,
                    struct err *err)
{
    const struct tcmsg head = filter_head(f);
    struct stats_answer a = {0};
    struct err why = ERR_INIT;
    struct nl_req *q = tc_req(RTM_GETTFILTER, 0, &head, f->dev, 0);
    nl_req_put_str(q, TCA_KIND, "bpf");
    int r = nl_ask(nl, q, on_filter_stats, &a, &why);
    /* EINVAL: there is no clsact, or no such pref */
    if (r < 0 && r != -ENOENT && r != -EINVAL)
        return err_set(err, why.code, "%s", why.text);
    if (r < 0 || (!a.found && !nl_is_recording(nl)))
        return err_set(err, ENOENT,
                       "%s: %s has no filter of preference %u and handle 0x%x with an "
                       "action at %s",
                       nl_where(nl), f->dev, f->pref, f->handle,
                       f->hook == TC_EGRESS ? "egress" : "ingress");
    *ret = a.stats;
    return 0;
}

struct filters {
    struct tc_filter_seen *items;
    size_t n;
};

static int mirred_target(const struct nlmsghdr *h)
{
    const struct nlattr *action = inside(inside(find(h, TCA_OPTIONS), TCA_BPF_ACT), FIRST_ACTION);
    const struct nlattr *kind = inside(action, TCA_ACT_KIND);
    const struct nlattr *parms = inside(inside(action, TCA_ACT_OPTIONS), TCA_MIRRED_PARMS);
    struct tc_mirred m;
    if (!kind || nla_strcmp(kind, "mirred") != 0 || !parms || nla_len(parms) < (int)sizeof m)
        return 0;
    memcpy(&m, nla_data(parms), sizeof m);
    return (int)m.ifindex;
}

static int on_filter(const struct nlmsghdr *h, void *data, struct err *err)
{
    struct filters *l = data;
    const struct tcmsg *head = nlmsg_data(h);
    if (h->nlmsg_type != RTM_NEWTFILTER || head->tcm_handle == 0)
        return 0; /* the head of a preference, without a filter of its own */
    if ((l->n & (l->n - 1)) == 0 &&
        !(l->items = realloc(l->items, (l->n ? 2 * l->n : 1) * sizeof *l->items)))
        abort();
    struct tc_filter_seen *f = &l->items[l->n++];
    *f = (struct tc_filter_seen){.pref = (uint16_t)(head->tcm_info >> 16),
                                 .handle = head->tcm_handle};
    get_kind(find(h, TCA_KIND), f->kind);
    if (strcmp(f->kind, "bpf") == 0)
        f->redirect_to = mirred_target(h);
    return 0;
}

int tc_filters(struct nl *nl, const char *dev, enum tc_hook hook, struct tc_filter_seen **ret,
               size_t *ret_n, struct err *err)
{
    const struct tcmsg head = {.tcm_parent = hook_parent(hook)};
    struct filters l = {0};
    int r = nl_ask(nl, tc_req(RTM_GETTFILTER, NLM_F_DUMP, &head, dev, 0), on_filter, &l, err);
    if (r < 0) {
        free(l.items);
        return r;
    }
    *ret = l.items;
    *ret_n = l.n;
    return 0;
}

struct netem_answer {
    bool found;
    int result;
    struct netem_options seen;
};

static int on_netem(const struct nlmsghdr *h, void *data, struct err *err)
{
    struct netem_answer *a = data;
    char kind[TC_KIND_MAX];
    get_kind(find(h, TCA_KIND), kind);
    const struct nlattr *options = find(h, TCA_OPTIONS);
    if (strcmp(kind, "netem") != 0 || !options)
        return 0;
    a->found = true;
    a->result = netem_read(options, &a->seen);
    return 0;
}

int tc_netem_check(struct nl *nl, const char *dev, uint16_t handle, const struct impairment *m,
                   struct err *err)
{
    const struct tcmsg head = root(handle);
    struct netem_options asked;
    struct netem_answer a = {0};
    struct err why = ERR_INIT;
    int r = netem_options(m, &asked, err);
    if (r < 0)
        return r;
    r = ask_qdisc(nl, dev, &head, on_netem, &a, &why);
    if (r == 0 && nl_is_recording(nl))
        return 0;
    if (r < 0 || !a.found)
        return no_root(nl, dev, handle, r, &why, err);
    if (a.result < 0)
        return err_set(err, -a.result, "%s: what the kernel tells of netem on %s cannot be read",
                       nl_where(nl), dev);
    bool no_seed = asked.has_seed && !a.seen.has_seed;
    if (no_seed)
        asked.has_seed = false;
    if (!netem_same(&asked, &a.seen, &why))
        return err_set(err, EOPNOTSUPP, "%s: netem on %s: %s", nl_where(nl), dev, why.text);
    return no_seed ? TC_NETEM_NO_SEED : 0;
}
