/* Addresses and routes, taken away and put back. See rtnl_take.h.
 *
 * Sources: inet_del_ifa() (secondaries, promotion), fib_sync_down_addr() (IPv4 routes that name the
 * address as their source go), fib6_remove_prefsrc() (IPv6 ones lose it), fib_disable_ip() and
 * neigh_ifdown() (the last address of a device). An IPv4 subnet's addresses on one device are a list
 * whose first is the primary, so what is put back first is the primary again.
 */
#include "sim/kernel/rtnl_take.h"

#include "sim/base/jsonx.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/rtnl_keep.h"
#include "sim/kernel/rtnl_keep_impl.h"
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define FOR_EVER 0xffffffffu /* a lifetime */

/* --- Addresses: finding ------------------------------------------------------------------------ */

struct address_seen {
    int ifindex;
    uint32_t flags;
    struct inet_prefix local, subnet; /* subnet: IFA_ADDRESS, masked */
};

struct address_search {
    int ifindex; /* 0: of any device */
    struct inet_prefix want;
    struct address_seen found; /* ifindex 0: none yet */
    size_t n;
    json_t *group;  /* kept texts of its subnet, in the kernel's order; NULL: not asked for */
    size_t present; /* of them: which one it is */
};

static bool read_address(const struct nlmsghdr *h, struct address_seen *ret)
{
    struct ifaddrmsg m;
    struct nlattr *a[IFA_MAX + 1];
    if (h->nlmsg_type != RTM_NEWADDR ||
        nlmsg_parse((struct nlmsghdr *)(uintptr_t)h, sizeof m, a, IFA_MAX, NULL) < 0)
        return false;
    memcpy(&m, nlmsg_data(h), sizeof m);
    const struct nlattr *local = a[IFA_LOCAL] ? a[IFA_LOCAL] : a[IFA_ADDRESS];
    size_t bytes = m.ifa_family == AF_INET ? 4 : 16;
    if ((m.ifa_family != AF_INET && m.ifa_family != AF_INET6) || !local || !a[IFA_ADDRESS] ||
        nla_len(local) < (int)bytes || nla_len(a[IFA_ADDRESS]) < (int)bytes)
        return false;
    *ret = (struct address_seen){
        .ifindex = (int)m.ifa_index,
        .flags = a[IFA_FLAGS] ? nla_get_u32(a[IFA_FLAGS]) : m.ifa_flags,
        .local = {.family = m.ifa_family, .len = m.ifa_prefixlen},
        .subnet = {.family = m.ifa_family, .len = m.ifa_prefixlen},
    };
    memcpy(ret->local.addr, nla_data(local), bytes);
    memcpy(ret->subnet.addr, nla_data(a[IFA_ADDRESS]), bytes);
    ret->subnet = inet_masked(&ret->subnet);
    return true;
}

static bool is_wanted(const struct address_search *s, const struct address_seen *a)
{
    uint8_t single = s->want.family == AF_INET ? 32 : 128;
    return a->local.family == s->want.family &&
           memcmp(a->local.addr, s->want.addr, sizeof a->local.addr) == 0 &&
           (s->want.len == single || s->want.len == a->local.len) &&
           (!s->ifindex || a->ifindex == s->ifindex);
}

static int on_wanted(const struct nlmsghdr *h, void *data, struct err *err)
{
    struct address_search *s = data;
    struct address_seen a;
    if (!read_address(h, &a) || !is_wanted(s, &a))
        return 0;
    s->found = a;
    s->n++;
    return 0;
}

static bool is_of_group(const struct address_seen *of, const struct address_seen *a)
{
    if (a->ifindex != of->ifindex || a->local.family != of->local.family ||
        a->local.len != of->local.len)
        return false;
    return memcmp(a->local.addr, of->local.addr, sizeof a->local.addr) == 0 ||
           (a->local.family == AF_INET &&
            memcmp(a->subnet.addr, of->subnet.addr, sizeof a->subnet.addr) == 0);
}

static int on_group(const struct nlmsghdr *h, void *data, struct err *err)
{
    static const int tell[] = {IFA_FLAGS, 0};
    struct address_search *s = data;
    struct address_seen a;
    if (!read_address(h, &a) || !is_of_group(&s->found, &a))
        return 0;
    if (memcmp(a.local.addr, s->found.local.addr, sizeof a.local.addr) == 0)
        s->present = json_array_size(s->group);
    AUTO_BUF payload = BUF_INIT;
    rtnl_keep_address(&payload, h, a.flags, tell);
    rtnl_keep_as(s->group, RTM_NEWADDR, &payload);
    return 0;
}

static int ask_addresses(struct nl *nl, uint8_t family, nl_answer_fn *fn, void *data,
                         struct err *err)
{
    const struct ifaddrmsg head = {.ifa_family = family};
    return nl_ask(nl, nl_req_new(NETLINK_ROUTE, RTM_GETADDR, NLM_F_DUMP, &head, sizeof head, 0), fn,
                  data, err);
}

/* --- Routes: finding --------------------------------------------------------------------------- */

struct route_search {
    struct inet_prefix to;
    const struct inet_prefix *via;    /* NULL: any */
    const struct inet_prefix *source; /* then: routes of any table that name it; else NULL */
    json_t *texts, *kept;             /* texts may be NULL */
};

struct route_seen {
    struct rtmsg m;
    uint32_t table, metric, ifindex;
    struct inet_prefix to, via, source; /* family 0: none */
    bool by_nexthop;
};

static void read_prefix(const struct nlattr *a, uint8_t family, struct inet_prefix *ret)
{
    size_t bytes = family == AF_INET ? 4 : 16;
    if (!a || nla_len(a) < (int)bytes)
        return;
    *ret = (struct inet_prefix){.family = family, .len = family == AF_INET ? 32 : 128};
    memcpy(ret->addr, nla_data(a), bytes);
}

static uint32_t u32_or(const struct nlattr *a, uint32_t other)
{
    return a && nla_len(a) >= 4 ? nla_get_u32(a) : other;
}

static bool read_route(const struct nlmsghdr *h, struct route_seen *ret)
{
    struct nlattr *a[RTA_MAX + 1];
    struct route_seen s = {0};
    if (h->nlmsg_type != RTM_NEWROUTE ||
        nlmsg_parse((struct nlmsghdr *)(uintptr_t)h, sizeof s.m, a, RTA_MAX, NULL) < 0)
        return false;
    memcpy(&s.m, nlmsg_data(h), sizeof s.m);
    if ((s.m.rtm_family != AF_INET && s.m.rtm_family != AF_INET6) || (s.m.rtm_flags & RTM_F_CLONED))
        return false;
    s.table = u32_or(a[RTA_TABLE], s.m.rtm_table);
    s.metric = u32_or(a[RTA_PRIORITY], 0);
    s.ifindex = u32_or(a[RTA_OIF], 0);
    s.by_nexthop = a[RTA_NH_ID] != NULL;
    read_prefix(a[RTA_DST], s.m.rtm_family, &s.to);
    s.to.family = s.m.rtm_family;
    s.to.len = s.m.rtm_dst_len;
    read_prefix(a[RTA_GATEWAY], s.m.rtm_family, &s.via);
    read_prefix(a[RTA_PREFSRC], s.m.rtm_family, &s.source);
    *ret = s;
    return true;
}

static bool same_address(const struct inet_prefix *a, const struct inet_prefix *b)
{
    return a->family == b->family && memcmp(a->addr, b->addr, sizeof a->addr) == 0;
}

static bool route_is_wanted(const struct route_search *s, const struct route_seen *r)
{
    if (s->source)
        return r->table != RT_TABLE_LOCAL && r->m.rtm_protocol != RTPROT_KERNEL &&
               same_address(&r->source, s->source);
    return r->table == RT_TABLE_MAIN && r->to.len == s->to.len && same_address(&r->to, &s->to) &&
           (!s->via || same_address(&r->via, s->via));
}

static void route_text(const struct route_seen *r, struct buf *out)
{
    char text[INET_TEXT_MAX];
    buf_printf(out, "route %s", r->to.len ? inet_text(&r->to, text) : "default");
    if (r->via.family)
        buf_printf(out, " via %s", inet_text(&r->via, text));
    if (r->metric)
        buf_printf(out, " metric %u", r->metric);
}

static int on_route(const struct nlmsghdr *h, void *data, struct err *err)
{
    static const int tell[] = {RTA_CACHEINFO, 0};
    struct route_search *s = data;
    struct route_seen r;
    if (!read_route(h, &r) || !route_is_wanted(s, &r))
        return 0;
    AUTO_BUF text = BUF_INIT;
    route_text(&r, &text);
    if (r.by_nexthop)
        return err_set(err, EOPNOTSUPP, "the %s uses a nexthop object, which could not be put back",
                       buf_text(&text));
    if (r.m.rtm_protocol == RTPROT_RA)
        return err_set(err, EOPNOTSUPP,
                       "the %s was announced by a router, which would bring it back by itself",
                       buf_text(&text));
    r.m.rtm_flags &= RTNH_F_ONLINK;
    AUTO_BUF payload = BUF_INIT;
    buf_add(&payload, (const char *)&r.m, sizeof r.m);
    rtnl_keep_attrs(&payload, h, sizeof r.m, tell);
    rtnl_keep_as(s->kept, RTM_NEWROUTE, &payload);
    if (s->texts)
        json_array_append_new(s->texts, json_string(buf_text(&text)));
    return 0;
}

static int ask_routes(struct nl *nl, uint8_t family, nl_answer_fn *fn, void *data, struct err *err)
{
    const struct rtmsg head = {.rtm_family = family};
    return nl_ask(nl, nl_req_new(NETLINK_ROUTE, RTM_GETROUTE, NLM_F_DUMP, &head, sizeof head, 0),
                  fn, data, err);
}

/* --- Reading what would go --------------------------------------------------------------------- */

static int name_of(struct nl *nl, int ifindex, char ret[16], struct err *err)
{
    AUTO_FREE struct rtnl_link *all = NULL;
    size_t n = 0;
    int r = rtnl_links(nl, &all, &n, err);
    snprintf(ret, 16, "?");
    for (size_t i = 0; r == 0 && i < n; i++)
        if (all[i].ifindex == ifindex)
            snprintf(ret, 16, "%.15s", all[i].name);
    return r;
}

static int find_address(struct nl *nl, const char *device, struct address_search *s,
                        struct err *err)
{
    char text[INET_TEXT_MAX];
    int r = device ? nl_ifindex(nl, device, &s->ifindex, err) : 0;
    if (r == 0)
        r = ask_addresses(nl, s->want.family, on_wanted, s, err);
    if (r < 0)
        return r;
    if (s->n == 0)
        return err_set(err, EADDRNOTAVAIL, "%s: %s%s the address %s", nl_where(nl),
                       device ? device : "no device", device ? " does not have" : " has",
                       inet_text(&s->want, text));
    if (s->n > 1)
        return err_set(err, ENOTUNIQ,
                       "%s: %zu devices or subnets have the address %s: name the interface, and "
                       "the prefix length",
                       nl_where(nl), s->n, inet_text(&s->want, text));
    return 0;
}

int rtnl_take_address(struct nl *nl, const char *device, const struct inet_prefix *address,
                      json_t **ret, struct err *err)
{
    AUTO_JSON *group = json_array(), *sourced = json_array(), *kept = NULL;
    struct address_search s = {.want = *address, .group = group};
    char name[16], text[INET_TEXT_MAX];
    int r = find_address(nl, device, &s, err);
    if (r < 0 || (r = name_of(nl, s.found.ifindex, name, err)) < 0)
        return r;
    struct inet_prefix single = inet_address(s.found.local.family, s.found.local.addr);
    struct route_search routes = {.source = &single, .kept = sourced};
    if ((r = ask_addresses(nl, s.want.family, on_group, &s, err)) < 0 ||
        (r = ask_routes(nl, s.want.family, on_route, &routes, err)) < 0 ||
        (r = rtnl_keep(nl, s.found.ifindex, &kept, err)) < 0)
        return r == -EOPNOTSUPP ? err_prefix(err, "%s: the device %s", nl_where(nl), name) : r;
    if (json_array_size(group) == 0)
        return err_set(err, EADDRNOTAVAIL, "%s: the address has gone", nl_where(nl));
    *ret = json_pack(
        "{s:s,s:i,s:o,s:s,s:I,s:[O],s:O,s:i,s:O,s:O}", "device", name, "ifindex", s.found.ifindex,
        "texts",
        json_pack("[o]", json_sprintf("address %s of %s", inet_text(&s.found.local, text), name)),
        "address", text, "at", (json_int_t)(nsec_now(CLOCK_BOOTTIME) / NSEC_SEC), "main",
        json_array_get(group, s.present), "group", group, "which", (int)s.present, "kept", kept,
        "sourced", sourced);
    return *ret ? 0 : err_errno(err, ENOMEM, "keeping an address");
}

int rtnl_take_routes(struct nl *nl, const struct inet_prefix *to, const struct inet_prefix *via,
                     json_t **ret, struct err *err)
{
    AUTO_JSON *texts = json_array(), *kept = json_array();
    struct route_search s = {.to = inet_masked(to), .via = via, .texts = texts, .kept = kept};
    char a[INET_TEXT_MAX], b[INET_TEXT_MAX];
    int r = ask_routes(nl, to->family, on_route, &s, err);
    if (r < 0)
        return r == -EOPNOTSUPP ? err_prefix(err, "%s", nl_where(nl)) : r;
    const char *to_text = inet_text(&s.to, a);
    if (json_array_size(kept) == 0)
        return err_set(err, ESRCH, "%s: there is no route to %s%s%s in its main table",
                       nl_where(nl), to->len ? to_text : "default (0.0.0.0/0 or ::/0)",
                       via ? " via " : "", via ? inet_text(via, b) : "");
    *ret = json_pack("{s:s,s:i,s:O,s:O}", "to", to_text, "family", to->family, "texts", texts,
                     "main", kept);
    if (*ret && via)
        json_object_set_new(*ret, "via", json_string(inet_text(via, b)));
    return *ret ? 0 : err_errno(err, ENOMEM, "keeping a route");
}

void rtnl_take_texts(const json_t *taken, json_t *texts)
{
    json_array_extend(texts, json_object_get(taken, "texts"));
}

/* --- Taking away ------------------------------------------------------------------------------- */

static int send_kept(struct nl *nl, const char *text, bool remove, uint16_t flags, int64_t elapsed,
                     struct err *err);

int rtnl_take(struct nl *nl, const json_t *taken, struct err *err)
{
    size_t i;
    const json_t *one;
    json_array_foreach (json_object_get(taken, "main"), i, one) {
        int r = send_kept(nl, json_string_value(one), true, 0, 0, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- Putting back ------------------------------------------------------------------------------ */

/* Where an address's lifetimes stand; NULL: it has none. */
static unsigned char *find_lifetimes(unsigned char *attrs, size_t n)
{
    for (size_t at = 0; at + sizeof(struct nlattr) <= n;) {
        struct nlattr head;
        memcpy(&head, attrs + at, sizeof head);
        if (head.nla_len < sizeof head || at + head.nla_len > n)
            return NULL;
        if (head.nla_type == IFA_CACHEINFO &&
            head.nla_len >= sizeof head + sizeof(struct ifa_cacheinfo))
            return attrs + at + sizeof head;
        at += NLA_ALIGN(head.nla_len);
    }
    return NULL;
}

/* What is left of an address's lifetime; false: it has run out. */
static bool age(unsigned char *attrs, size_t n, int64_t elapsed)
{
    unsigned char *lifetimes = find_lifetimes(attrs, n);
    struct ifa_cacheinfo c;
    if (!lifetimes)
        return true;
    memcpy(&c, lifetimes, sizeof c);
    if (c.ifa_valid != FOR_EVER && c.ifa_valid <= elapsed)
        return false;
    c.ifa_valid -= c.ifa_valid == FOR_EVER ? 0 : (uint32_t)elapsed;
    if (c.ifa_prefered != FOR_EVER)
        c.ifa_prefered = c.ifa_prefered <= elapsed ? 0 : c.ifa_prefered - (uint32_t)elapsed;
    memcpy(lifetimes, &c, sizeof c);
    return true;
}

nsec rtnl_take_until(const json_t *taken)
{
    unsigned type;
    unsigned char payload[RTNL_KEEP_MAX];
    size_t n, head;
    struct ifa_cacheinfo c = {.ifa_valid = FOR_EVER};
    const char *text = json_string_value(json_array_get(json_object_get(taken, "main"), 0));
    if (!text || !rtnl_keep_parse(text, &type, payload, &n) || n < (head = rtnl_keep_head(type)) ||
        type != RTM_NEWADDR)
        return NSEC_INF;
    const unsigned char *lifetimes = find_lifetimes(payload + head, n - head);
    if (lifetimes)
        memcpy(&c, lifetimes, sizeof c);
    return c.ifa_valid == FOR_EVER ? NSEC_INF
                                   : (jsonx_int(taken, "at", 0) + (int64_t)c.ifa_valid) * NSEC_SEC;
}

/* 1: done; 0: it was (not) there already, or its time has run out. */
static int send_kept(struct nl *nl, const char *text, bool remove, uint16_t flags, int64_t elapsed,
                     struct err *err)
{
    unsigned type;
    unsigned char payload[RTNL_KEEP_MAX];
    size_t n, head;
    if (!text || !rtnl_keep_parse(text, &type, payload, &n) || n < (head = rtnl_keep_head(type)))
        return err_set(err, EINVAL, "what was kept cannot be read: %.40s", text ? text : "");
    if (type == RTM_NEWADDR && !remove && !age(payload + head, n - head, elapsed))
        return 0;
    struct nl_req *q =
        nl_req_new(NETLINK_ROUTE, (uint16_t)(type + remove), flags, payload, head, n - head);
    nl_req_put_raw(q, payload + head, n - head);
    nl_queue(nl, q);
    struct err why = ERR_INIT;
    int r = nl_flush(nl, &why);
    if (r == -EEXIST || (remove && (r == -ESRCH || r == -EADDRNOTAVAIL || r == -ENODEV)))
        return 0;
    if (r < 0 && err)
        *err = why;
    return r < 0 ? r : 1;
}

struct presence {
    const char *text; /* of a group */
    struct address_seen want;
    bool found;
};

static int on_presence(const struct nlmsghdr *h, void *data, struct err *err)
{
    struct presence *p = data;
    struct address_seen a;
    if (read_address(h, &a) && a.ifindex == p->want.ifindex && a.local.len == p->want.local.len &&
        same_address(&a.local, &p->want.local))
        p->found = true;
    return 0;
}

/* The kept text read as if the kernel had just told it. */
static bool read_kept_address(const char *text, struct address_seen *ret)
{
    unsigned type;
    unsigned char payload[RTNL_KEEP_MAX];
    size_t n;
    if (!text || !rtnl_keep_parse(text, &type, payload, &n) || type != RTM_NEWADDR)
        return false;
    CLEANUP(nl_req_free_p)
    struct nl_req *q = nl_req_new(NETLINK_ROUTE, RTM_NEWADDR, 0, payload, rtnl_keep_head(type),
                                  n - rtnl_keep_head(type));
    nl_req_put_raw(q, payload + rtnl_keep_head(type), n - rtnl_keep_head(type));
    return read_address(nl_req_header(q), ret);
}

static int is_there(struct nl *nl, const json_t *kept, bool *ret, struct err *err)
{
    struct presence p = {0};
    if (!read_kept_address(json_string_value(kept), &p.want))
        return err_set(err, EINVAL, "what was kept of an address cannot be read");
    int r = ask_addresses(nl, p.want.local.family, on_presence, &p, err);
    if (r == 0)
        *ret = p.found;
    return r;
}

/* A primary address comes back before those that took its place: they are taken away and put behind
 * it again, in their order. */
static int clear_the_way(struct nl *nl, const json_t *taken, struct err *err)
{
    const json_t *group = json_object_get(taken, "group");
    int r = 0;
    if (jsonx_int(taken, "which", 0) != 0)
        return 0;
    for (size_t i = 1; r >= 0 && i < json_array_size(group); i++)
        r = send_kept(nl, json_string_value(json_array_get(group, i)), true, 0, 0, err);
    return r < 0 ? r : 0;
}

static int address_back(struct nl *nl, const json_t *taken, size_t *ret_n, struct err *err)
{
    const json_t *group = json_object_get(taken, "group"), *one;
    int64_t elapsed = nsec_now(CLOCK_BOOTTIME) / NSEC_SEC - jsonx_int(taken, "at", 0);
    bool there = false;
    size_t i, n = 0;
    int r = is_there(nl, json_array_get(json_object_get(taken, "main"), 0), &there, err);
    if (r == 0 && !there)
        r = clear_the_way(nl, taken, err);
    json_array_foreach (group, i, one) {
        if (r >= 0)
            r = send_kept(nl, json_string_value(one), false, NLM_F_CREATE | NLM_F_EXCL, elapsed,
                          err);
        n += r > 0 && i == (size_t)jsonx_int(taken, "which", 0);
    }
    size_t others = 0;
    if (r >= 0)
        r = rtnl_restore(nl, json_object_get(taken, "kept"), &others, err);
    json_array_foreach (json_object_get(taken, "sourced"), i, one)
        if (r >= 0) /* those of IPv6 are there still, without their source */
            r = send_kept(nl, json_string_value(one), false, NLM_F_CREATE | NLM_F_REPLACE, 0, err);
    if (r < 0)
        return r;
    *ret_n = n + others;
    return 0;
}

int rtnl_take_back(struct nl *nl, const json_t *taken, size_t *ret_n, struct err *err)
{
    return json_object_get(taken, "group")
               ? address_back(nl, taken, ret_n, err)
               : rtnl_restore(nl, json_object_get(taken, "main"), ret_n, err);
}

/* --- Looking ----------------------------------------------------------------------------------- */

int rtnl_take_left(struct nl *nl, const json_t *taken, size_t *ret_n, struct err *err)
{
    struct inet_prefix to, via;
    const char *via_text = jsonx_str(taken, "via", NULL);
    AUTO_JSON *now = json_array();
    if (json_object_get(taken, "group")) {
        bool there = false;
        int r = is_there(nl, json_array_get(json_object_get(taken, "main"), 0), &there, err);
        if (r == 0)
            *ret_n = there;
        return r;
    }
    int r = inet_parse(jsonx_str(taken, "to", ""), &to, err);
    if (r == 0 && via_text)
        r = inet_parse(via_text, &via, err);
    struct route_search s = {.to = to, .via = via_text ? &via : NULL, .kept = now};
    if (r == 0)
        r = ask_routes(nl, to.family, on_route, &s, err);
    if (r == 0)
        *ret_n = json_array_size(now);
    return r;
}

static int on_way(const struct nlmsghdr *h, void *data, struct err *err)
{
    struct rtnl_way *w = data;
    struct route_seen r;
    struct nlmsghdr *m = (struct nlmsghdr *)(uintptr_t)h;
    struct nlattr *a[RTA_MAX + 1];
    if (h->nlmsg_type != RTM_NEWROUTE || nlmsg_parse(m, sizeof r.m, a, RTA_MAX, NULL) < 0)
        return 0;
    memcpy(&r.m, nlmsg_data(h), sizeof r.m);
    *w = (struct rtnl_way){.local = r.m.rtm_type == RTN_LOCAL,
                           .nowhere = r.m.rtm_type != RTN_LOCAL && r.m.rtm_type != RTN_UNICAST &&
                                      r.m.rtm_type != RTN_BROADCAST &&
                                      r.m.rtm_type != RTN_MULTICAST && r.m.rtm_type != RTN_ANYCAST,
                           .ifindex = (int)u32_or(a[RTA_OIF], 0)};
    read_prefix(a[RTA_GATEWAY], r.m.rtm_family, &w->via);
    return 0;
}

static int on_match(const struct nlmsghdr *h, void *data, struct err *err)
{
    struct inet_prefix *found = data;
    struct rtmsg head;
    struct nlmsghdr *m = (struct nlmsghdr *)(uintptr_t)h;
    struct nlattr *a[RTA_MAX + 1];
    if (h->nlmsg_type != RTM_NEWROUTE || nlmsg_parse(m, sizeof head, a, RTA_MAX, NULL) < 0)
        return 0;
    memcpy(&head, nlmsg_data(h), sizeof head);
    *found = (struct inet_prefix){.family = head.rtm_family};
    if (a[RTA_DST]) /* a default route has none */
        read_prefix(a[RTA_DST], head.rtm_family, found);
    found->len = head.rtm_dst_len;
    return 0;
}

int rtnl_take_match(struct nl *nl, const struct inet_prefix *to, struct inet_prefix *ret,
                    struct err *err)
{
    const struct rtmsg head = {.rtm_family = to->family,
                               .rtm_dst_len = to->family == AF_INET ? 32 : 128,
                               .rtm_flags = RTM_F_FIB_MATCH};
    struct nl_req *q = nl_req_new(NETLINK_ROUTE, RTM_GETROUTE, 0, &head, sizeof head, 64);
    struct inet_prefix found = {0};
    nl_req_put(q, RTA_DST, to->addr, inet_bytes(to));
    int r = nl_ask(nl, q, on_match, &found, err);
    if (r < 0)
        return r;
    if (!found.family)
        return err_set(err, ESRCH, "there is no route to it");
    *ret = found;
    return 0;
}

int rtnl_take_way(struct nl *nl, const struct inet_prefix *to, struct rtnl_way *ret,
                  struct err *err)
{
    const struct rtmsg head = {.rtm_family = to->family,
                               .rtm_dst_len = to->family == AF_INET ? 32 : 128};
    struct nl_req *q = nl_req_new(NETLINK_ROUTE, RTM_GETROUTE, 0, &head, sizeof head, 64);
    struct rtnl_way way = {.nowhere = true};
    struct err why = ERR_INIT;
    nl_req_put(q, RTA_DST, to->addr, inet_bytes(to));
    int r = nl_ask(nl, q, on_way, &way, &why);
    /* Routes that refuse answer by their error: unreachable, prohibit, blackhole. */
    if (r == -ENETUNREACH || r == -EHOSTUNREACH || r == -EACCES || r == -EINVAL) {
        *ret = (struct rtnl_way){.nowhere = true};
        return 0;
    }
    if (r < 0 && err)
        *err = why;
    if (r == 0)
        *ret = way;
    return r < 0 ? r : 0;
}
