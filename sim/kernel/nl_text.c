/* Text of messages: the engine and the tables of rtnetlink; nf_tables is in nl_text_nft.c. */
#include "sim/kernel/nl_table.h"

#include "sim/kernel/inet.h"
#include <arpa/inet.h>
#include <endian.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <stdlib.h>
#include <string.h>

/* --- Engine ------------------------------------------------------------------ */

void nl_text_word(const char *s, size_t n, struct buf *out)
{
    bool plain = n > 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        plain &= c > ' ' && c < 0x7f && !strchr("\"\\=()", c);
    }
    if (plain) {
        buf_add(out, s, n);
        return;
    }
    buf_addc(out, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c < ' ' || c >= 0x7f || c == '"' || c == '\\')
            buf_printf(out, "\\x%02x", c);
        else
            buf_addc(out, (char)c);
    }
    buf_addc(out, '"');
}

void nl_write_hex(struct nl_writer *w, const void *data, size_t n)
{
    buf_adds(w->out, "0x");
    for (size_t i = 0; i < n; i++)
        buf_printf(w->out, "%02x", ((const unsigned char *)data)[i]);
}

void nl_write_number(struct nl_writer *w, int64_t value, const struct nl_words *words)
{
    if (words && value >= 0 && (size_t)value < words->n && words->items[value])
        buf_adds(w->out, words->items[value]);
    else
        buf_printf(w->out, "%lld", (long long)value);
}

const struct nl_hole *nl_write_hole(const struct nl_writer *w, const void *at)
{
    size_t offset = (size_t)((const char *)at - (const char *)w->h);
    for (size_t i = 0; i < w->names->n_holes; i++)
        if (w->names->holes[i].offset == offset)
            return &w->names->holes[i];
    return NULL;
}

void nl_write_ifindex(struct nl_writer *w, const void *at)
{
    const struct nl_hole *hole = nl_write_hole(w, at);
    uint32_t index;
    memcpy(&index, at, sizeof index);
    const char *name = hole               ? hole->name
                       : w->names->ifname ? w->names->ifname(index, w->names->data)
                                          : NULL;
    if (name)
        nl_text_word(name, strlen(name), w->out);
    else
        buf_printf(w->out, "#%u", index);
}

static void write_fd(struct nl_writer *w, const void *at)
{
    const struct nl_hole *hole = nl_write_hole(w, at);
    if (hole)
        nl_text_word(hole->name, strlen(hole->name), w->out);
    else
        buf_adds(w->out, "#");
}

static void write_address(struct nl_writer *w, const struct nlattr *a)
{
    struct inet_prefix p = {.family = nla_len(a) == 16 ? AF_INET6 : AF_INET};
    if (nla_len(a) != 4 && nla_len(a) != 16) {
        nl_write_hex(w, nla_data(a), (size_t)nla_len(a));
        return;
    }
    char text[INET_TEXT_MAX];
    memcpy(p.addr, nla_data(a), (size_t)nla_len(a));
    p.len = (uint8_t)(8 * nla_len(a));
    buf_adds(w->out, inet_text(&p, text));
}

/* Each attribute brings a blank in front; inside a bracket the first one is too much. */
void nl_write_drop_blank(struct buf *out, size_t at)
{
    if (out->len <= at)
        return;
    memmove(out->text + at, out->text + at + 1, out->len - at);
    out->len--;
}

void nl_write_nest(struct nl_writer *w, const struct nlattr *a, const struct nl_table *sub)
{
    buf_addc(w->out, '(');
    size_t at = w->out->len;
    nl_write_attrs(w, nla_data(a), nla_len(a), sub);
    nl_write_drop_blank(w->out, at);
    buf_addc(w->out, ')');
}

static void write_list(struct nl_writer *w, const struct nlattr *list, const struct nl_table *sub)
{
    const struct nlattr *a;
    int left;
    bool first = true;
    buf_addc(w->out, '[');
    for (a = nla_data(list), left = nla_len(list); nla_ok(a, left); a = nla_next(a, &left)) {
        if (!first)
            buf_addc(w->out, ' ');
        first = false;
        nl_write_nest(w, a, sub);
    }
    buf_addc(w->out, ']');
}

static uint64_t number(const struct nlattr *a, size_t size)
{
    uint8_t u8 = 0;
    uint16_t u16 = 0;
    uint32_t u32 = 0;
    uint64_t u64 = 0;
    void *to = size == 1 ? (void *)&u8 : size == 2 ? (void *)&u16 : size == 4 ? (void *)&u32 : &u64;
    if ((size_t)nla_len(a) >= size)
        memcpy(to, nla_data(a), size);
    return size == 1 ? u8 : size == 2 ? u16 : size == 4 ? u32 : u64;
}

static void write_value(struct nl_writer *w, const struct nlattr *a, const struct nl_field *f)
{
    const char *text = nla_data(a);
    size_t n = (size_t)nla_len(a);
    struct inet_mac mac;
    char buf[INET_MAC_TEXT_MAX];
    switch (f->kind) {
    case NL_U8:
        nl_write_number(w, (int64_t)number(a, 1), f->words);
        break;
    case NL_U16:
        buf_printf(w->out, "%u", (unsigned)number(a, 2));
        break;
    case NL_U32:
        buf_printf(w->out, "%u", (unsigned)number(a, 4));
        break;
    case NL_HEX32:
        buf_printf(w->out, "0x%x", (unsigned)number(a, 4));
        break;
    case NL_BE16:
        buf_printf(w->out, "%u", ntohs((uint16_t)number(a, 2)));
        break;
    case NL_BE32:
        nl_write_number(w, (int32_t)ntohl((uint32_t)number(a, 4)), f->words);
        break;
    case NL_BE64:
        buf_printf(w->out, "%llu", (unsigned long long)be64toh(number(a, 8)));
        break;
    case NL_STR:
        nl_text_word(text, strnlen(text, n), w->out);
        break;
    case NL_MAC:
        if (n == sizeof mac) {
            memcpy(&mac, text, sizeof mac);
            buf_adds(w->out, inet_mac_text(&mac, buf));
            break;
        }
        nl_write_hex(w, text, n);
        break;
    case NL_ADDR:
        write_address(w, a);
        break;
    case NL_IFINDEX:
        nl_write_ifindex(w, text);
        break;
    case NL_FD:
        write_fd(w, text);
        break;
    case NL_NEST:
        nl_write_nest(w, a, f->sub);
        break;
    case NL_LIST:
        write_list(w, a, f->sub);
        break;
    case NL_CUSTOM:
        f->write(w, a);
        break;
    case NL_BYTES:
        nl_write_hex(w, text, n);
        break;
    }
}

void nl_write_attrs(struct nl_writer *w, const struct nlattr *first, int n,
                    const struct nl_table *t)
{
    const struct nlattr *a;
    int left = n;
    for (a = first; nla_ok(a, left); a = nla_next(a, &left)) {
        const struct nl_field *f = NULL;
        for (size_t i = 0; t && i < t->n; i++)
            if (t->fields[i].type == nla_type(a))
                f = &t->fields[i];
        if (w->mode == NL_TEXT_OBJECT && (f ? f->masked : !t || !t->whole))
            continue;
        if (!f) {
            buf_printf(w->out, " attr%d=", nla_type(a));
            nl_write_hex(w, nla_data(a), (size_t)nla_len(a));
            continue;
        }
        buf_printf(w->out, " %s=", f->name);
        write_value(w, a, f);
    }
}

const char *nl_write_verb(const struct nlmsghdr *h, bool is_new, bool is_get)
{
    if (is_get)
        return (h->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP ? "dump" : "get";
    if (!is_new)
        return "delete";
    switch (h->nlmsg_flags & (NLM_F_REPLACE | NLM_F_EXCL | NLM_F_CREATE | NLM_F_APPEND)) {
    case NLM_F_CREATE | NLM_F_EXCL:
        return "add";
    case NLM_F_CREATE:
        return "ensure";
    case NLM_F_CREATE | NLM_F_REPLACE:
        return "replace";
    case NLM_F_REPLACE:
        return "change";
    case NLM_F_CREATE | NLM_F_APPEND:
        return "append";
    default:
        return "set";
    }
}

/* --- rtnetlink --------------------------------------------------------------- */

static void write_family(struct nl_writer *w, unsigned family)
{
    if (family == AF_INET)
        buf_adds(w->out, " inet");
    else if (family == AF_INET6)
        buf_adds(w->out, " inet6");
    else if (family != AF_UNSPEC)
        buf_printf(w->out, " family=%u", family);
}

static void write_word(struct nl_writer *w, const char *name, unsigned value,
                       const struct nl_words *words)
{
    if (!value)
        return;
    buf_printf(w->out, " %s=", name);
    nl_write_number(w, value, words);
}

static void write_if(struct nl_writer *w, const char *name, unsigned value)
{
    write_word(w, name, value, NULL);
}

static const char *const table_names[] = {[253] = "default", [254] = "main", [255] = "local"};
static const struct nl_words table_words = NL_WORDS(table_names);
static const char *const protocol_names[] = {
    [1] = "redirect", [2] = "kernel", [3] = "boot", [4] = "static", [9] = "ra", [16] = "dhcp"};
static const struct nl_words protocol_words = NL_WORDS(protocol_names);
static const char *const scope_names[] = {
    [200] = "site", [253] = "link", [254] = "host", [255] = "nowhere"};
static const struct nl_words scope_words = NL_WORDS(scope_names);
static const char *const type_names[] = {"unspec",     "unicast",   "local",     "broadcast",
                                         "anycast",    "multicast", "blackhole", "unreachable",
                                         "prohibited", "throw"};
static const struct nl_words type_words = NL_WORDS(type_names);
static const char *const state_names[] = {[0x40] = "noarp", [0x80] = "permanent"};
static const struct nl_words state_words = NL_WORDS(state_names);

/* Timers and learned values of a bridge (20 to 25, 29, 44 …) are left out by not being named. */
static const struct nl_field bridge_fields[] = {
    {IFLA_BR_FORWARD_DELAY, "forward-delay", NL_U32},
    {IFLA_BR_HELLO_TIME, "hello-time", NL_U32},
    {IFLA_BR_MAX_AGE, "max-age", NL_U32},
    {IFLA_BR_AGEING_TIME, "ageing-time", NL_U32},
    {IFLA_BR_STP_STATE, "stp", NL_U32},
    {IFLA_BR_PRIORITY, "priority", NL_U16},
    {IFLA_BR_VLAN_FILTERING, "vlan-filtering", NL_U8},
    {IFLA_BR_VLAN_PROTOCOL, "vlan-protocol", NL_BE16},
    {IFLA_BR_GROUP_FWD_MASK, "group-fwd-mask", NL_U16},
    {IFLA_BR_MCAST_SNOOPING, "mcast-snooping", NL_U8},
    {IFLA_BR_MCAST_QUERIER, "mcast-querier", NL_U8},
    {IFLA_BR_NF_CALL_IPTABLES, "nf-call-iptables", NL_U8},
    {IFLA_BR_NF_CALL_IP6TABLES, "nf-call-ip6tables", NL_U8},
    {IFLA_BR_NF_CALL_ARPTABLES, "nf-call-arptables", NL_U8},
};
static const struct nl_table bridge_table = NL_TABLE(bridge_fields);

static const struct nl_field port_fields[] = {
    {IFLA_BRPORT_PRIORITY, "priority", NL_U16},
    {IFLA_BRPORT_COST, "cost", NL_U32, .masked = true}, /* follows the link's speed */
    {IFLA_BRPORT_MODE, "hairpin", NL_U8},
    {IFLA_BRPORT_GUARD, "guard", NL_U8},
    {IFLA_BRPORT_PROTECT, "root-block", NL_U8},
    {IFLA_BRPORT_FAST_LEAVE, "fast-leave", NL_U8},
    {IFLA_BRPORT_LEARNING, "learning", NL_U8},
    {IFLA_BRPORT_UNICAST_FLOOD, "unicast-flood", NL_U8},
    {IFLA_BRPORT_MCAST_FLOOD, "multicast-flood", NL_U8},
    {IFLA_BRPORT_BCAST_FLOOD, "broadcast-flood", NL_U8},
    {IFLA_BRPORT_ISOLATED, "isolated", NL_U8},
};
static const struct nl_table port_table = NL_TABLE(port_fields);

static void write_linkinfo(struct nl_writer *w, const struct nlattr *a);

static const char *const gen_modes[] = {"eui64", "none", "stable-privacy", "random"};
static const struct nl_words gen_mode_words = NL_WORDS(gen_modes);
static const struct nl_field inet6_fields[] = {
    {IFLA_INET6_ADDR_GEN_MODE, "addr-gen-mode", NL_U8, .words = &gen_mode_words},
};
static const struct nl_table inet6_table = NL_TABLE(inet6_fields);
static const struct nl_field family_fields[] = {
    {AF_INET6, "inet6", NL_NEST, .sub = &inet6_table},
};
static const struct nl_table family_table = NL_TABLE(family_fields);

static const struct nl_field link_fields[] = {
    {IFLA_IFNAME, "name", NL_STR},
    {IFLA_ADDRESS, "mac", NL_MAC},
    {IFLA_BROADCAST, "broadcast", NL_MAC},
    {IFLA_MTU, "mtu", NL_U32},
    {IFLA_LINK, "link-index", NL_U32}, /* of another namespace, often */
    {IFLA_QDISC, "qdisc", NL_STR},
    {IFLA_MASTER, "master", NL_IFINDEX},
    {IFLA_TXQLEN, "txqueuelen", NL_U32},
    {IFLA_LINKMODE, "linkmode", NL_U8},
    {IFLA_LINKINFO, "info", NL_CUSTOM, .write = write_linkinfo},
    {IFLA_NET_NS_FD, "netns", NL_FD},
    {IFLA_IFALIAS, "alias", NL_STR},
    {IFLA_EXT_MASK, "ext-mask", NL_HEX32},
    {IFLA_GROUP, "group", NL_U32},
    {IFLA_AF_SPEC, "families", NL_NEST, .sub = &family_table, .masked = true}, /* counters */
    {IFLA_NUM_TX_QUEUES, "tx-queues", NL_U32},
    {IFLA_NUM_RX_QUEUES, "rx-queues", NL_U32},
};
static const struct nl_table link_table = NL_TABLE(link_fields);

static void write_link_head(struct nl_writer *w, const struct ifinfomsg *i)
{
    unsigned flags = i->ifi_flags, change = i->ifi_change;
    if (w->mode == NL_TEXT_OBJECT) {
        flags &= ~(unsigned)(IFF_RUNNING | IFF_LOWER_UP | IFF_DORMANT);
        buf_printf(w->out, " type=%u flags=0x%x", i->ifi_type, flags);
        return;
    }
    write_family(w, i->ifi_family);
    if (i->ifi_index || nl_write_hole(w, &i->ifi_index)) {
        buf_adds(w->out, " index=");
        nl_write_ifindex(w, &i->ifi_index);
    }
    if (change == IFF_UP && (flags & ~(unsigned)IFF_UP) == 0)
        buf_adds(w->out, flags ? " up" : " down");
    else if (flags || change)
        buf_printf(w->out, " flags=0x%x/0x%x", flags, change);
}

static void write_peer(struct nl_writer *w, const struct nlattr *a)
{
    const struct ifinfomsg *i = nla_data(a);
    if (nla_len(a) < (int)sizeof *i)
        return;
    buf_addc(w->out, '(');
    size_t at = w->out->len;
    write_link_head(w, i);
    int skip = NLMSG_ALIGN((int)sizeof *i);
    const struct nlattr *first = (const void *)((const char *)nla_data(a) + skip);
    nl_write_attrs(w, first, nla_len(a) - skip, &link_table);
    nl_write_drop_blank(w->out, at);
    buf_addc(w->out, ')');
}

static const struct nl_field veth_fields[] = {
    {VETH_INFO_PEER, "peer", NL_CUSTOM, .write = write_peer},
};
static const struct nl_table veth_table = NL_TABLE(veth_fields);

static void write_info_data(struct nl_writer *w, const struct nlattr *a, const char *name,
                            const struct nl_table *t)
{
    buf_printf(w->out, " %s=", name);
    if (t)
        nl_write_nest(w, a, t);
    else
        nl_write_hex(w, nla_data(a), (size_t)nla_len(a));
}

static void write_linkinfo(struct nl_writer *w, const struct nlattr *info)
{
    const struct nlattr *kind = nla_find(nla_data(info), nla_len(info), IFLA_INFO_KIND);
    const struct nlattr *slave = nla_find(nla_data(info), nla_len(info), IFLA_INFO_SLAVE_KIND);
    const struct nlattr *data = nla_find(nla_data(info), nla_len(info), IFLA_INFO_DATA);
    const struct nlattr *port = nla_find(nla_data(info), nla_len(info), IFLA_INFO_SLAVE_DATA);
    buf_addc(w->out, '(');
    if (kind)
        buf_printf(w->out, "kind=%s", (const char *)nla_data(kind));
    if (data && kind)
        write_info_data(w, data, "data",
                        nla_strcmp(kind, "bridge") == 0 ? &bridge_table
                        : nla_strcmp(kind, "veth") == 0 ? &veth_table
                                                        : NULL);
    if (slave)
        buf_printf(w->out, "%sport-kind=%s", kind ? " " : "", (const char *)nla_data(slave));
    if (port && slave)
        write_info_data(w, port, "port", nla_strcmp(slave, "bridge") == 0 ? &port_table : NULL);
    buf_addc(w->out, ')');
}

#define VOLATILE_ADDRESS_FLAGS                                                                     \
    (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_OPTIMISTIC | IFA_F_DEPRECATED)

static void write_address_flags(struct nl_writer *w, const struct nlattr *a)
{
    uint32_t flags = (uint32_t)number(a, 4);
    if (w->mode == NL_TEXT_OBJECT)
        flags &= ~(uint32_t)VOLATILE_ADDRESS_FLAGS;
    buf_printf(w->out, "0x%x", flags);
}

static const struct nl_field address_fields[] = {
    {IFA_LOCAL, "local", NL_ADDR},
    {IFA_ADDRESS, "address", NL_ADDR},
    {IFA_BROADCAST, "broadcast", NL_ADDR},
    {IFA_LABEL, "label", NL_STR},
    {IFA_FLAGS, "flags", NL_CUSTOM, .write = write_address_flags},
    {IFA_RT_PRIORITY, "metric", NL_U32},
};
static const struct nl_table address_table = NL_TABLE(address_fields);

static const struct nl_field next_hop_fields[] = {
    {RTA_GATEWAY, "via", NL_ADDR},
};
static const struct nl_table next_hop_table = NL_TABLE(next_hop_fields);

static void write_multipath(struct nl_writer *w, const struct nlattr *a)
{
    const struct rtnexthop *h = nla_data(a);
    int left = nla_len(a);
    buf_addc(w->out, '[');
    while (left >= (int)sizeof *h && h->rtnh_len >= sizeof *h && h->rtnh_len <= left) {
        buf_adds(w->out, "(dev=");
        nl_write_ifindex(w, &h->rtnh_ifindex);
        write_if(w, "weight", h->rtnh_hops + 1u);
        nl_write_attrs(w, (const void *)(h + 1), (int)(h->rtnh_len - sizeof *h), &next_hop_table);
        buf_addc(w->out, ')');
        left -= RTNH_ALIGN(h->rtnh_len);
        h = (const void *)((const char *)h + RTNH_ALIGN(h->rtnh_len));
    }
    buf_addc(w->out, ']');
}

static const struct nl_field route_fields[] = {
    {RTA_DST, "to", NL_ADDR},
    {RTA_SRC, "from", NL_ADDR},
    {RTA_OIF, "dev", NL_IFINDEX},
    {RTA_IIF, "iif", NL_IFINDEX},
    {RTA_GATEWAY, "via", NL_ADDR},
    {RTA_PRIORITY, "metric", NL_U32},
    {RTA_PREFSRC, "src", NL_ADDR},
    {RTA_METRICS, "metrics", NL_BYTES},
    {RTA_TABLE, "table-id", NL_U32},
    {RTA_MARK, "mark", NL_U32},
    {RTA_PREF, "pref", NL_U8},
    {RTA_ENCAP_TYPE, "encap-type", NL_U16},
    {RTA_ENCAP, "encap", NL_BYTES},
    {RTA_VIA, "via-family", NL_BYTES},
    {RTA_NH_ID, "nexthop-id", NL_U32},
    {RTA_MULTIPATH, "nexthops", NL_CUSTOM, .write = write_multipath},
};
static const struct nl_table route_table = NL_TABLE(route_fields);

static const struct nl_field neighbour_fields[] = {
    {NDA_DST, "to", NL_ADDR},
    {NDA_LLADDR, "mac", NL_MAC},
};
static const struct nl_table neighbour_table = NL_TABLE(neighbour_fields);

static const struct nl_field rule_fields[] = {
    {FRA_DST, "to", NL_ADDR},
    {FRA_SRC, "from", NL_ADDR},
    {FRA_IIFNAME, "iif", NL_STR},
    {FRA_OIFNAME, "oif", NL_STR},
    {FRA_PRIORITY, "priority", NL_U32},
    {FRA_FWMARK, "mark", NL_HEX32},
    {FRA_FWMASK, "mask", NL_HEX32},
    {FRA_TABLE, "table-id", NL_U32},
    {FRA_GOTO, "goto", NL_U32},
    {FRA_L3MDEV, "l3mdev", NL_U8},
    {FRA_UID_RANGE, "uid-range", NL_BYTES},
    {FRA_IP_PROTO, "protocol", NL_U8},
    {FRA_SPORT_RANGE, "sport", NL_BYTES},
    {FRA_DPORT_RANGE, "dport", NL_BYTES},
    {FRA_SUPPRESS_PREFIXLEN, "suppress-prefixlen", NL_HEX32},
    {FRA_SUPPRESS_IFGROUP, "suppress-group", NL_HEX32},
};
static const struct nl_table rule_table = NL_TABLE(rule_fields);

static const char *const route_nouns[] = {"link", "address", "route", "neighbour",
                                          "rule", "qdisc",   "class", "filter"};

static void write_body(struct nl_writer *w, size_t head_n, const struct nl_table *t)
{
    nl_write_attrs(w, nlmsg_attrdata(w->h, (int)head_n), nlmsg_attrlen(w->h, (int)head_n), t);
}

static void write_route_head(struct nl_writer *w, const struct rtmsg *m)
{
    write_family(w, m->rtm_family);
    write_if(w, "to-len", m->rtm_dst_len);
    write_if(w, "from-len", m->rtm_src_len);
    write_if(w, "tos", m->rtm_tos);
    write_word(w, "table", m->rtm_table, &table_words);
    write_word(w, "protocol", m->rtm_protocol, &protocol_words);
    write_word(w, "scope", m->rtm_scope, &scope_words);
    write_word(w, "type", m->rtm_type, &type_words);
    /* dead, linkdown, offload … come and go with the carrier */
    write_if(w, "flags", w->mode == NL_TEXT_OBJECT ? m->rtm_flags & RTNH_F_ONLINK : m->rtm_flags);
}

static void text_route(struct nl_writer *w)
{
    const void *head = nlmsg_data(w->h);
    unsigned group = (w->h->nlmsg_type - RTM_BASE) / 4u, op = (w->h->nlmsg_type - RTM_BASE) % 4u;
    if (w->h->nlmsg_type < RTM_BASE || group >= ARRAY_SIZE(route_nouns)) {
        buf_printf(w->out, "rtnetlink-%u ", w->h->nlmsg_type);
        nl_write_hex(w, head, (size_t)nlmsg_datalen(w->h));
        return;
    }
    buf_adds(w->out, route_nouns[group]);
    if (w->mode == NL_TEXT_REQUEST)
        buf_printf(w->out, " %s", nl_write_verb(w->h, op == 0 || op == 3, op == 2));
    switch (group) {
    case 0:
        write_link_head(w, head);
        write_body(w, sizeof(struct ifinfomsg), &link_table);
        break;
    case 1: {
        const struct ifaddrmsg *m = head;
        write_family(w, m->ifa_family);
        if (m->ifa_index || nl_write_hole(w, &m->ifa_index)) {
            buf_adds(w->out, " dev=");
            nl_write_ifindex(w, &m->ifa_index);
        }
        write_if(w, "len", m->ifa_prefixlen);
        write_word(w, "scope", m->ifa_scope, &scope_words);
        write_body(w, sizeof *m, &address_table);
        break;
    }
    case 2:
        write_route_head(w, head);
        write_body(w, sizeof(struct rtmsg), &route_table);
        break;
    case 3: {
        const struct ndmsg *m = head;
        write_family(w, m->ndm_family);
        buf_adds(w->out, " dev=");
        nl_write_ifindex(w, &m->ndm_ifindex);
        write_word(w, "state", m->ndm_state, &state_words);
        write_if(w, "flags", m->ndm_flags);
        write_body(w, sizeof *m, &neighbour_table);
        break;
    }
    case 4: {
        const struct fib_rule_hdr *m = head;
        write_family(w, m->family);
        write_if(w, "to-len", m->dst_len);
        write_if(w, "from-len", m->src_len);
        write_if(w, "tos", m->tos);
        write_word(w, "table", m->table, &table_words);
        write_if(w, "action", m->action);
        write_if(w, "flags", m->flags);
        write_body(w, sizeof *m, &rule_table);
        break;
    }
    default:
        nl_text_tc(w);
    }
}

void nl_text(const struct nlmsghdr *h, int protocol, const struct nl_names *names,
             enum nl_text_mode mode, struct buf *out)
{
    struct nl_writer w = {.h = h, .names = names, .mode = mode, .out = out};
    if (protocol == NETLINK_ROUTE) {
        text_route(&w);
    } else if (protocol == NETLINK_NETFILTER &&
               NFNL_SUBSYS_ID(h->nlmsg_type) == NFNL_SUBSYS_CTNETLINK) {
        nl_text_conntrack(&w);
    } else if (protocol == NETLINK_NETFILTER) {
        nl_text_nft(&w);
    } else if (protocol == NETLINK_SOCK_DIAG) {
        nl_text_sockdiag(&w);
    } else {
        buf_printf(out, "netlink-%d type=%u ", protocol, h->nlmsg_type);
        nl_write_hex(&w, nlmsg_data(h), (size_t)nlmsg_datalen(h));
    }
}
