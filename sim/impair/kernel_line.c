/* A line by the kernel's netem. See kernel_line.h.
 *
 * Invariant: armed, the ifb stands with its netem and no packet comes there; on, the filter stands.
 * netem counts what it drops without saying why: packets lost on purpose and packets that found its
 * queue full are told together.
 */
#include "sim/impair/kernel_line.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "sim/kernel/rtnl.h"

#define NETEM_HANDLE 1
#define FILTER_HANDLE 1

struct kernel_line {
    struct nl *nl;
    char device[IFNAMSIZ], ifb[IFNAMSIZ];
    bool ingress, on, uncounted;
    struct sock_filter *ops;
    size_t n_ops;
    uint16_t pref;
    uint64_t matched; /* by filters that were taken away since */
};

static struct tc_filter filter_of(const struct kernel_line *l)
{
    return (struct tc_filter){.dev = l->device,
                              .hook = l->ingress ? TC_INGRESS : TC_EGRESS,
                              .pref = l->pref,
                              .handle = FILTER_HANDLE,
                              .ops = l->ops,
                              .n_ops = l->n_ops,
                              .redirect_to = l->ifb};
}

void kernel_line_forget(struct kernel_line *l)
{
    free(l->ops);
    free(l);
}

int kernel_line_arm(const struct line_spec *spec, const struct impairment *what,
                    struct kernel_line **ret, struct err *err)
{
    struct nl *nl = spec->point->nl;
    struct kernel_line *l = calloc(1, sizeof *l);
    struct sock_filter *ops = calloc(spec->n_ops, sizeof *ops);
    if (!l || !ops) {
        free(l);
        free(ops);
        return err_errno(err, ENOMEM, "arming an impairment");
    }
    memcpy(ops, spec->ops, spec->n_ops * sizeof *ops);
    *l = (struct kernel_line){.nl = nl,
                              .ingress = spec->point->ingress,
                              .ops = ops,
                              .n_ops = spec->n_ops,
                              .pref = spec->pref};
    snprintf(l->device, sizeof l->device, "%s", spec->point->device);
    snprintf(l->ifb, sizeof l->ifb, "%s%c", spec->tag, l->ingress ? 'i' : 'e');
    tc_ifb_add(nl, l->ifb, 0);
    rtnl_link_up(nl, l->ifb, true);
    tc_netem_add(nl, l->ifb, NETEM_HANDLE, what);
    int r = nl_flush(nl, err);
    if (r == 0 && (r = tc_netem_check(nl, l->ifb, NETEM_HANDLE, what, err)) < 0)
        err_prefix(err, "netem");
    if (r < 0) {
        rtnl_link_delete(nl, l->ifb);
        nl_forgive(nl, ENODEV);
        (void)nl_flush(nl, NULL);
        kernel_line_forget(l);
        return r;
    }
    *ret = l;
    return 0;
}

/* What has been counted goes with the filter. */
static void keep_count(struct kernel_line *l)
{
    struct tc_counts c;
    struct tc_filter f = filter_of(l);
    if (tc_filter_stats(l->nl, &f, &c, NULL) == 0)
        l->matched += c.packets;
}

int kernel_line_set(struct kernel_line *l, bool on, struct span *ret_at, struct err *err)
{
    struct tc_filter f = filter_of(l);
    if (!on && !l->uncounted)
        keep_count(l);
    struct span at = {nsec_now(CLOCK_MONOTONIC), 0};
    if (on) {
        tc_filter_add(l->nl, &f);
    } else {
        tc_filter_delete(l->nl, &f);
        nl_forgive(l->nl, ENOENT);
    }
    int r = nl_flush(l->nl, err);
    if (r == -ENODEV && !on)
        r = 0; /* the device went, and its filters with it */
    if (r < 0)
        return r;
    at.hi = nsec_now(CLOCK_MONOTONIC);
    l->on = on;
    if (ret_at)
        *ret_at = at;
    return 0;
}

void kernel_line_uncounted(struct kernel_line *l)
{
    l->uncounted = true;
}

int kernel_line_change(struct kernel_line *l, const struct impairment *what, struct err *err)
{
    tc_netem_change(l->nl, l->ifb, NETEM_HANDLE, what);
    return nl_flush(l->nl, err);
}

int kernel_line_disarm(struct kernel_line *l, struct err *err)
{
    int r = l->on ? kernel_line_set(l, false, NULL, err) : 0;
    rtnl_link_delete(l->nl, l->ifb);
    nl_forgive(l->nl, ENODEV);
    int gone = nl_flush(l->nl, r < 0 ? NULL : err);
    kernel_line_forget(l);
    return r < 0 ? r : gone;
}

int kernel_line_count(struct kernel_line *l, struct impair_counts *ret, struct err *err)
{
    struct tc_counts root, filter = {0};
    struct tc_filter f = filter_of(l);
    int r = tc_root_stats(l->nl, l->ifb, NETEM_HANDLE, &root, err);
    if (r == 0 && l->on)
        r = tc_filter_stats(l->nl, &f, &filter, err);
    if (r < 0)
        return r;
    *ret = (struct impair_counts){.matched = l->matched + filter.packets,
                                  .passed = root.packets,
                                  .lost = root.dropped,
                                  .held = root.backlog_packets};
    return 0;
}

int kernel_line_check(struct kernel_line *l, const struct impairment *what, struct err *err)
{
    int r = tc_netem_check(l->nl, l->ifb, NETEM_HANDLE, what, err);
    return r < 0 ? r : 0; /* a seed that the kernel does not heed is no failure: TC_NETEM_NO_SEED */
}
