/* Connection tracking by ctnetlink; see conntrack.h. */
#include "sim/kernel/conntrack.h"

#include "sim/kernel/nl_req.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <string.h>

static struct nl_req *ct_req(uint8_t family, uint16_t type, uint16_t flags)
{
    struct nfgenmsg head = {.nfgen_family = family, .version = NFNETLINK_V0};
    return nl_req_new(NETLINK_NETFILTER, (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type), flags,
                      &head, sizeof head, 2 * CONNTRACK_RAW);
}

static const struct nlattr *inside(const struct nlattr *nest, int attr, int bytes)
{
    const struct nlattr *a = nest ? nla_find(nla_data(nest), nla_len(nest), attr) : NULL;
    return a && nla_len(a) >= bytes ? a : NULL;
}

static uint16_t port_of(const struct nlattr *proto, int attr)
{
    const struct nlattr *a = inside(proto, attr, 2);
    uint16_t port = 0;
    if (a)
        memcpy(&port, nla_data(a), sizeof port);
    return ntohs(port);
}

static bool read_flow(uint8_t family, const struct nlattr *tuple, struct inet_flow *ret)
{
    bool v4 = family == AF_INET;
    int bytes = v4 ? 4 : 16;
    const struct nlattr *ip = inside(tuple, CTA_TUPLE_IP, 0);
    const struct nlattr *proto = inside(tuple, CTA_TUPLE_PROTO, 0);
    const struct nlattr *source = inside(ip, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, bytes);
    const struct nlattr *target = inside(ip, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, bytes);
    const struct nlattr *number = inside(proto, CTA_PROTO_NUM, 1);
    if (!source || !target || !number)
        return false;
    *ret = (struct inet_flow){.protocol = *(const uint8_t *)nla_data(number),
                              .source = inet_address(family, nla_data(source)),
                              .target = inet_address(family, nla_data(target)),
                              .sport = port_of(proto, CTA_PROTO_SRC_PORT),
                              .dport = port_of(proto, CTA_PROTO_DST_PORT)};
    return true;
}

struct list {
    struct conntrack *items;
    size_t n;
};

static const struct nlattr *find(const struct nlmsghdr *h, int attr)
{
    return nlmsg_find_attr((struct nlmsghdr *)(uintptr_t)h, sizeof(struct nfgenmsg), attr);
}

static int on_entry(const struct nlmsghdr *h, void *data, struct err *err)
{
    struct list *l = data;
    uint8_t family = ((const struct nfgenmsg *)nlmsg_data(h))->nfgen_family;
    const struct nlattr *original = find(h, CTA_TUPLE_ORIG), *id = find(h, CTA_ID);
    const struct nlattr *zone = find(h, CTA_ZONE);
    struct conntrack one = {0};
    if ((family != AF_INET && family != AF_INET6) || !read_flow(family, original, &one.original) ||
        !read_flow(family, find(h, CTA_TUPLE_REPLY), &one.reply) ||
        nla_len(original) > CONNTRACK_RAW)
        return 0;
    one.n_raw = (size_t)nla_len(original);
    memcpy(one.raw, nla_data(original), one.n_raw);
    if (id && nla_len(id) >= 4)
        memcpy(&one.id, nla_data(id), 4); /* sent back as it came */
    if (zone && nla_len(zone) >= 2)
        memcpy(&one.zone, nla_data(zone), 2);
    if ((l->n & (l->n - 1)) == 0 &&
        !(l->items = realloc(l->items, (l->n ? 2 * l->n : 1) * sizeof *l->items)))
        abort();
    l->items[l->n++] = one;
    return 0;
}

static int on_count(const struct nlmsghdr *h, void *data, struct err *err)
{
    uint32_t *count = data;
    const struct nlattr *entries = find(h, CTA_STATS_GLOBAL_ENTRIES);
    if (entries && nla_len(entries) >= 4) {
        memcpy(count, nla_data(entries), 4);
        *count = ntohl(*count);
    }
    return 0;
}

int conntrack_list(struct nl *nl, struct conntrack **ret, size_t *ret_n, struct err *err)
{
    struct list l = {0};
    struct err why = ERR_INIT;
    uint32_t count = 0;
    int r = nl_ask(nl, ct_req(AF_UNSPEC, IPCTNL_MSG_CT_GET_STATS, 0), on_count, &count, &why);
    if (r == 0 && count > 0)
        r = nl_ask(nl, ct_req(AF_UNSPEC, IPCTNL_MSG_CT_GET, NLM_F_DUMP), on_entry, &l, &why);
    if (r == -EINVAL || r == -EOPNOTSUPP) /* how nfnetlink says that it has no such part */
        r = 0;
    if (r < 0) {
        free(l.items);
        return err_set(err, why.code, "%s", why.text);
    }
    *ret = l.items;
    *ret_n = l.n;
    return 0;
}

void conntrack_delete(struct nl *nl, const struct conntrack *c)
{
    struct nl_req *q = ct_req(c->original.source.family, IPCTNL_MSG_CT_DELETE, 0);
    nl_req_put(q, CTA_TUPLE_ORIG | NLA_F_NESTED, c->raw, c->n_raw);
    nl_req_put(q, CTA_ID, &c->id, sizeof c->id);
    if (c->zone)
        nl_req_put(q, CTA_ZONE, &c->zone, sizeof c->zone);
    nl_queue(nl, q);
    nl_forgive(nl, ENOENT);
}

static void put_flow(struct nl_req *q, int attr, const struct inet_flow *f)
{
    bool v4 = f->source.family == AF_INET;
    size_t n = inet_bytes(&f->source);
    struct nlattr *tuple = nl_req_nest(q, attr);
    struct nlattr *ip = nl_req_nest(q, CTA_TUPLE_IP);
    nl_req_put(q, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, f->source.addr, n);
    nl_req_put(q, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, f->target.addr, n);
    nl_req_nest_end(q, ip);
    struct nlattr *proto = nl_req_nest(q, CTA_TUPLE_PROTO);
    nl_req_put_u8(q, CTA_PROTO_NUM, f->protocol);
    nl_req_put_be16(q, CTA_PROTO_SRC_PORT, f->sport);
    nl_req_put_be16(q, CTA_PROTO_DST_PORT, f->dport);
    nl_req_nest_end(q, proto);
    nl_req_nest_end(q, tuple);
}

int conntrack_origin(struct nl *nl, const struct inet_flow *reply, uint16_t zone,
                     struct inet_flow *ret, struct err *err)
{
    struct list l = {0};
    struct err why = ERR_INIT;
    struct nl_req *q = ct_req(reply->source.family, IPCTNL_MSG_CT_GET, 0);
    put_flow(q, CTA_TUPLE_REPLY, reply);
    if (zone)
        nl_req_put_be16(q, CTA_ZONE, zone);
    int r = nl_ask(nl, q, on_entry, &l, &why);
    if (r == 0 && l.n > 0)
        *ret = l.items[0].original;
    bool found = l.n > 0;
    free(l.items);
    if (r == -ENOENT || (r == 0 && !found))
        return 1;
    return r < 0 ? err_set(err, why.code, "%s", why.text) : 0;
}
