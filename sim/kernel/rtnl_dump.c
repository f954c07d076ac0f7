/* Asking rtnetlink what is there; see rtnl.h. */
#include "sim/kernel/rtnl.h"

#include "sim/base/buf.h"
#include "sim/kernel/nl_impl.h"
#include "sim/kernel/nl_text.h"
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* An array of one type that doubles whenever n is a power of two. */
struct list {
    void *items;
    size_t n, item;
};

static void *list_add(struct list *l)
{
    if ((l->n & (l->n - 1)) == 0 &&
        !(l->items = realloc(l->items, (l->n ? 2 * l->n : 1) * l->item)))
        abort();
    void *one = (char *)l->items + l->n++ * l->item;
    memset(one, 0, l->item);
    return one;
}

static uint32_t get_u32(const struct nlattr *a)
{
    return a && nla_len(a) >= 4 ? nla_get_u32(a) : 0;
}

static void get_str(const struct nlattr *a, char *to, size_t size)
{
    if (a)
        nla_strlcpy(to, a, size);
}

static void read_link(const struct nlmsghdr *h, struct rtnl_link *ret)
{
    const struct ifinfomsg *m = nlmsg_data(h);
    struct nlattr *a[IFLA_MAX + 1];
    *ret = (struct rtnl_link){.ifindex = m->ifi_index, .flags = m->ifi_flags};
    if (nlmsg_parse((struct nlmsghdr *)(uintptr_t)h, sizeof *m, a, IFLA_MAX, NULL) < 0)
        return;
    get_str(a[IFLA_IFNAME], ret->name, sizeof ret->name);
    ret->operstate = a[IFLA_OPERSTATE] ? nla_get_u8(a[IFLA_OPERSTATE]) : IF_OPER_UNKNOWN;
    ret->master = (int)get_u32(a[IFLA_MASTER]);
    ret->peer = (int)get_u32(a[IFLA_LINK]);
    ret->mtu = get_u32(a[IFLA_MTU]);
    ret->group = get_u32(a[IFLA_GROUP]);
    ret->queue = get_u32(a[IFLA_TXQLEN]);
    if (a[IFLA_ADDRESS] && nla_len(a[IFLA_ADDRESS]) == sizeof ret->mac.b)
        memcpy(ret->mac.b, nla_data(a[IFLA_ADDRESS]), sizeof ret->mac.b);
    if (a[IFLA_LINKINFO])
        get_str(nla_find(nla_data(a[IFLA_LINKINFO]), nla_len(a[IFLA_LINKINFO]), IFLA_INFO_KIND),
                ret->kind, sizeof ret->kind);
    if (a[IFLA_STATS64]) {
        struct rtnl_link_stats64 s = {0};
        size_t n = (size_t)nla_len(a[IFLA_STATS64]);
        memcpy(&s, nla_data(a[IFLA_STATS64]), n < sizeof s ? n : sizeof s);
        ret->rx_packets = s.rx_packets;
        ret->tx_packets = s.tx_packets;
        ret->rx_dropped = s.rx_dropped;
        ret->tx_dropped = s.tx_dropped;
    }
}

static int on_link(const struct nlmsghdr *h, void *data, struct err *err)
{
    if (h->nlmsg_type == RTM_NEWLINK)
        read_link(h, list_add(data));
    return 0;
}

int rtnl_links(struct nl *nl, struct rtnl_link **ret, size_t *ret_n, struct err *err)
{
    struct ifinfomsg head = {0};
    struct list l = {.item = sizeof(struct rtnl_link)};
    struct nl_req *q = nl_req_new(NETLINK_ROUTE, RTM_GETLINK, NLM_F_DUMP, &head, sizeof head, 0);
    int r = nl_ask(nl, q, on_link, &l, err);
    if (r < 0) {
        free(l.items);
        return r;
    }
    *ret = l.items;
    *ret_n = l.n;
    return 0;
}

static int on_the_link(const struct nlmsghdr *h, void *data, struct err *err)
{
    read_link(h, data);
    return 0;
}

int rtnl_link_get(struct nl *nl, const char *name, struct rtnl_link *ret, struct err *err)
{
    struct ifinfomsg head = {0};
    struct rtnl_link link = {0};
    struct nl_req *q = nl_req_new(NETLINK_ROUTE, RTM_GETLINK, 0, &head, sizeof head, 64);
    nl_req_put_ifname(q, IFLA_IFNAME, name);
    int r = nl_ask(nl, q, on_the_link, &link, err);
    if (r < 0)
        return r;
    if (link.ifindex == 0)
        return err_set(err, ENODEV, "%s: there is no interface \"%s\"", nl_where(nl), name);
    *ret = link;
    return 0;
}

/* linkwatch_do_dev() sets the operational state, then gives the device its queue (until then "noop",
 * which drops), then tells the bridge, all in one RTNL section. netif_oper_up(), and so
 * IFF_RUNNING, takes an unknown state for up. */
static const struct rtnl_link *find_waiting(const struct rtnl_link *links, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (links[i].master && (links[i].flags & IFF_UP) && links[i].operstate != IF_OPER_UP)
            return &links[i];
    return NULL;
}

int rtnl_ports_running(struct nl *nl, nsec timeout, struct err *err)
{
    nsec end = nsec_add(nsec_now(CLOCK_MONOTONIC), timeout);
    for (;;) {
        AUTO_FREE struct rtnl_link *links = NULL;
        size_t n = 0;
        int r = rtnl_links(nl, &links, &n, err);
        if (r < 0)
            return r;
        const struct rtnl_link *waiting = find_waiting(links, n);
        if (!waiting)
            return 0;
        if (nsec_now(CLOCK_MONOTONIC) > end)
            return err_set(err, ETIMEDOUT, "%s: the port %s has no carrier", nl_where(nl),
                           waiting->name);
        (void)poll(NULL, 0, 1); /* linkwatch_event() comes from a work queue: nothing to wait on */
    }
}

static int on_address(const struct nlmsghdr *h, void *data, struct err *err)
{
    const struct ifaddrmsg *m = nlmsg_data(h);
    struct nlattr *a[IFA_MAX + 1];
    if (h->nlmsg_type != RTM_NEWADDR ||
        nlmsg_parse((struct nlmsghdr *)(uintptr_t)h, sizeof *m, a, IFA_MAX, NULL) < 0)
        return 0;
    /* On a point-to-point link IFA_ADDRESS is the other end's. */
    const struct nlattr *addr = a[IFA_LOCAL] ? a[IFA_LOCAL] : a[IFA_ADDRESS];
    struct rtnl_address *one = list_add(data);
    one->ifindex = (int)m->ifa_index;
    one->flags = a[IFA_FLAGS] ? get_u32(a[IFA_FLAGS]) : m->ifa_flags;
    one->scope = m->ifa_scope;
    one->prefix = (struct inet_prefix){.family = m->ifa_family, .len = m->ifa_prefixlen};
    if (addr && nla_len(addr) <= (int)sizeof one->prefix.addr)
        memcpy(one->prefix.addr, nla_data(addr), (size_t)nla_len(addr));
    return 0;
}

int rtnl_addresses(struct nl *nl, struct rtnl_address **ret, size_t *ret_n, struct err *err)
{
    struct ifaddrmsg head = {0};
    struct list l = {.item = sizeof(struct rtnl_address)};
    struct nl_req *q = nl_req_new(NETLINK_ROUTE, RTM_GETADDR, NLM_F_DUMP, &head, sizeof head, 0);
    int r = nl_ask(nl, q, on_address, &l, err);
    if (r < 0) {
        free(l.items);
        return r;
    }
    *ret = l.items;
    *ret_n = l.n;
    return 0;
}

/* --- Descriptions ------------------------------------------------------------ */

struct description {
    struct rtnl_link *links;
    size_t n_links;
    rtnl_line *fn;
    void *data;
};

static const char *link_name(uint32_t ifindex, void *data)
{
    const struct description *d = data;
    for (size_t i = 0; i < d->n_links; i++)
        if (d->links[i].ifindex == (int)ifindex)
            return d->links[i].name;
    return NULL;
}

static int on_object(const struct nlmsghdr *h, void *data, struct err *err)
{
    const struct description *d = data;
    if (h->nlmsg_type == RTM_NEWROUTE) {
        const struct rtmsg *m = nlmsg_data(h);
        if (m->rtm_flags & RTM_F_CLONED)
            return 0; /* a cache entry */
    }
    AUTO_BUF line = BUF_INIT;
    struct nl_names names = {.ifname = link_name, .data = data};
    nl_text(h, NETLINK_ROUTE, &names, NL_TEXT_OBJECT, &line);
    d->fn(buf_text(&line), d->data);
    return 0;
}

static int describe(struct nl *nl, uint16_t type, const void *head, size_t n, struct description *d,
                    struct err *err)
{
    return nl_ask(nl, nl_req_new(NETLINK_ROUTE, type, NLM_F_DUMP, head, n, 0), on_object, d, err);
}

/* --- Classes and filters ----------------------------------------------------- */

/* Where filters may hang: the kernel tells them for one parent at a time. */
struct parent {
    int ifindex;
    uint32_t handle;
    bool is_hook; /* no classes in it */
};

static void add_parent(struct list *l, int ifindex, uint32_t handle, bool is_hook)
{
    *(struct parent *)list_add(l) = (struct parent){ifindex, handle, is_hook};
}

static int on_qdisc(const struct nlmsghdr *h, void *data, struct err *err)
{
    const struct tcmsg *m = nlmsg_data(h);
    const struct nlattr *kind =
        nlmsg_find_attr((struct nlmsghdr *)(uintptr_t)h, sizeof *m, TCA_KIND);
    if (h->nlmsg_type != RTM_NEWQDISC || m->tcm_handle == 0 || !kind)
        return 0; /* without a handle it is the kernel's own: nothing can hang there */
    if (nla_strcmp(kind, "clsact") == 0) {
        add_parent(data, m->tcm_ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), true);
        add_parent(data, m->tcm_ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS), true);
    } else {
        add_parent(data, m->tcm_ifindex, m->tcm_handle, nla_strcmp(kind, "ingress") == 0);
    }
    return 0;
}

static int on_class_parent(const struct nlmsghdr *h, void *data, struct err *err)
{
    const struct tcmsg *m = nlmsg_data(h);
    if (h->nlmsg_type == RTM_NEWTCLASS &&
        nlmsg_find_attr((struct nlmsghdr *)(uintptr_t)h, sizeof *m, TCA_OPTIONS))
        add_parent(data, m->tcm_ifindex, m->tcm_handle, true);
    return 0;
}

static int on_class(const struct nlmsghdr *h, void *data, struct err *err)
{
    bool has = nlmsg_find_attr((struct nlmsghdr *)(uintptr_t)h, sizeof(struct tcmsg), TCA_OPTIONS);
    return has ? on_object(h, data, err) : 0;
}

/* Asks each device with a qdisc that may have classes once (they come in the order of devices). */
static int ask_classes(struct nl *nl, const struct parent *parents, size_t n, nl_answer_fn *fn,
                       void *data, struct err *err)
{
    int last = 0, r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        const struct tcmsg head = {.tcm_ifindex = parents[i].ifindex};
        if (parents[i].is_hook || parents[i].ifindex == last)
            continue;
        last = parents[i].ifindex;
        r = nl_ask(nl, nl_req_new(NETLINK_ROUTE, RTM_GETTCLASS, NLM_F_DUMP, &head, sizeof head, 0),
                   fn, data, err);
    }
    return r;
}

static int describe_tc(struct nl *nl, enum rtnl_what what, struct description *d, struct err *err)
{
    const struct tcmsg all = {0};
    struct list l = {.item = sizeof(struct parent)};
    int r = nl_ask(nl, nl_req_new(NETLINK_ROUTE, RTM_GETQDISC, NLM_F_DUMP, &all, sizeof all, 0),
                   on_qdisc, &l, err);
    if (r == 0 && what == RTNL_CLASSES)
        r = ask_classes(nl, l.items, l.n, on_class, d, err);
    if (r == 0 && what == RTNL_FILTERS) {
        struct list classes = {.item = sizeof(struct parent)};
        r = ask_classes(nl, l.items, l.n, on_class_parent, &classes, err);
        for (size_t i = 0; i < classes.n; i++)
            *(struct parent *)list_add(&l) = ((struct parent *)classes.items)[i];
        free(classes.items);
    }
    for (size_t i = 0; r == 0 && what == RTNL_FILTERS && i < l.n; i++) {
        const struct parent *p = (struct parent *)l.items + i;
        const struct tcmsg head = {.tcm_ifindex = p->ifindex, .tcm_parent = p->handle};
        r = describe(nl, RTM_GETTFILTER, &head, sizeof head, d, err);
    }
    free(l.items);
    return r;
}

int rtnl_describe(struct nl *nl, enum rtnl_what what, rtnl_line *fn, void *data, struct err *err)
{
    static const struct {
        uint16_t type;
        size_t head;
    } questions[] = {
        [RTNL_LINKS] = {RTM_GETLINK, sizeof(struct ifinfomsg)},
        [RTNL_ADDRESSES] = {RTM_GETADDR, sizeof(struct ifaddrmsg)},
        [RTNL_ROUTES] = {RTM_GETROUTE, sizeof(struct rtmsg)},
        [RTNL_RULES] = {RTM_GETRULE, sizeof(struct fib_rule_hdr)},
        [RTNL_QDISCS] = {RTM_GETQDISC, sizeof(struct tcmsg)},
    };
    struct description d = {.fn = fn, .data = data};
    int r = rtnl_links(nl, &d.links, &d.n_links, err);
    if (r < 0)
        return r;
    AUTO_FREE struct rtnl_link *links = d.links;
    (void)links;
    if (what == RTNL_CLASSES || what == RTNL_FILTERS)
        return describe_tc(nl, what, &d, err);
    const char head[64] = {0};
    return describe(nl, questions[what].type, head, questions[what].head, &d, err);
}
