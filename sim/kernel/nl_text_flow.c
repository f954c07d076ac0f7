/* Text of messages about flows: ctnetlink and sock_diag. */
#include "sim/kernel/nl_table.h"

#include "sim/kernel/inet.h"
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/sock_diag.h>
#include <string.h>

static const struct nl_field ip_fields[] = {
    {CTA_IP_V4_SRC, "source", NL_ADDR},
    {CTA_IP_V4_DST, "target", NL_ADDR},
    {CTA_IP_V6_SRC, "source", NL_ADDR},
    {CTA_IP_V6_DST, "target", NL_ADDR},
};
static const struct nl_table ip_table = NL_TABLE(ip_fields);

static const struct nl_field proto_fields[] = {
    {CTA_PROTO_NUM, "protocol", NL_U8},     {CTA_PROTO_SRC_PORT, "sport", NL_BE16},
    {CTA_PROTO_DST_PORT, "dport", NL_BE16}, {CTA_PROTO_ICMP_ID, "id", NL_BE16},
    {CTA_PROTO_ICMP_TYPE, "type", NL_U8},   {CTA_PROTO_ICMP_CODE, "code", NL_U8},
    {CTA_PROTO_ICMPV6_ID, "id", NL_BE16},   {CTA_PROTO_ICMPV6_TYPE, "type", NL_U8},
    {CTA_PROTO_ICMPV6_CODE, "code", NL_U8},
};
static const struct nl_table proto_table = NL_TABLE(proto_fields);

static const struct nl_field tuple_fields[] = {
    {CTA_TUPLE_IP, "ip", NL_NEST, &ip_table},
    {CTA_TUPLE_PROTO, "proto", NL_NEST, &proto_table},
    {CTA_TUPLE_ZONE, "zone", NL_BE16},
};
static const struct nl_table tuple_table = NL_TABLE(tuple_fields);

static const struct nl_field entry_fields[] = {
    {CTA_TUPLE_ORIG, "original", NL_NEST, &tuple_table},
    {CTA_ID, "id", NL_BE32},
    {CTA_ZONE, "zone", NL_BE16},
};
static const struct nl_table entry_table = NL_TABLE(entry_fields);

void nl_text_conntrack(struct nl_writer *w)
{
    static const char *const verbs[] = {[IPCTNL_MSG_CT_NEW] = "new",
                                        [IPCTNL_MSG_CT_GET] = "get",
                                        [IPCTNL_MSG_CT_DELETE] = "delete"};
    unsigned type = NFNL_MSG_TYPE(w->h->nlmsg_type);
    const struct nfgenmsg *head = nlmsg_data(w->h);
    if (type < ARRAY_SIZE(verbs))
        buf_printf(w->out, "conntrack %s", verbs[type]);
    else
        buf_printf(w->out, "conntrack %u", type);
    nl_write_attrs(w, nlmsg_attrdata(w->h, sizeof *head), nlmsg_attrlen(w->h, sizeof *head),
                   &entry_table);
}

static void write_end(struct nl_writer *w, const char *name, uint8_t family, const void *address,
                      uint16_t port)
{
    struct inet_prefix p = inet_address(family, address);
    char text[INET_TEXT_MAX];
    buf_printf(w->out, " %s=%s port=%u", name, inet_text(&p, text), ntohs(port));
}

void nl_text_sockdiag(struct nl_writer *w)
{
    const struct inet_diag_req_v2 *q = nlmsg_data(w->h);
    bool destroy = w->h->nlmsg_type == SOCK_DESTROY;
    if ((!destroy && w->h->nlmsg_type != SOCK_DIAG_BY_FAMILY) ||
        nlmsg_datalen(w->h) < (int)sizeof *q) {
        buf_printf(w->out, "sock %u ", w->h->nlmsg_type);
        nl_write_hex(w, nlmsg_data(w->h), (size_t)nlmsg_datalen(w->h));
        return;
    }
    buf_printf(w->out, "sock %s family=%u protocol=%u", destroy ? "destroy" : "get",
               q->sdiag_family, q->sdiag_protocol);
    if (!destroy)
        return;
    write_end(w, "local", q->sdiag_family, q->id.idiag_src, q->id.idiag_sport);
    write_end(w, "remote", q->sdiag_family, q->id.idiag_dst, q->id.idiag_dport);
    buf_printf(w->out, " cookie=%08x%08x", q->id.idiag_cookie[1], q->id.idiag_cookie[0]);
}
