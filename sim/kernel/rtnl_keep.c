/* Keeping what is lost with a device that goes down. See rtnl_keep.h.
 *
 * fib_disable_ip(), addrconf_ifdown() and neigh_ifdown() say what that is. A kept text is
 * "TYPE:HEX", the type and the payload of the message that makes the object: its header and the
 * attributes of the dump without those that only tell (counters, ages).
 */
#include "sim/kernel/rtnl_keep.h"

#include "sim/base/jsonx.h"
#include "sim/kernel/rtnl_keep_impl.h"
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define RESTORE_WITHIN (3 * NSEC_SEC)
#define RESTORE_STEP 20 /* ms */

struct keep {
    int ifindex;
    json_t *first, *then; /* what others hang on; those others */
};

static void append_attr(struct buf *out, const struct nlattr *a)
{
    static const char zeros[NLA_ALIGNTO];
    buf_add(out, (const char *)a, a->nla_len);
    buf_add(out, zeros, (size_t)(NLA_ALIGN(a->nla_len) - a->nla_len));
}

void rtnl_keep_attrs(struct buf *out, const struct nlmsghdr *h, size_t head, const int *tell)
{
    struct nlattr *a;
    int left;
    nlmsg_for_each_attr(a, (struct nlmsghdr *)(uintptr_t)h, (int)head, left)
    {
        bool only_told = false;
        for (const int *t = tell; *t; t++)
            only_told = only_told || nla_type(a) == *t;
        if (!only_told)
            append_attr(out, a);
    }
}

void rtnl_keep_as(json_t *list, uint16_t type, const struct buf *payload)
{
    AUTO_BUF text = BUF_INIT;
    buf_printf(&text, "%u:", type);
    for (size_t i = 0; i < payload->len; i++)
        buf_printf(&text, "%02x", (unsigned char)payload->text[i]);
    json_array_append_new(list, json_string(buf_text(&text)));
}

static uint32_t u32_of(const struct nlattr *a)
{
    return a && nla_len(a) >= 4 ? nla_get_u32(a) : 0;
}

bool rtnl_keep_ways_include(const struct nlattr *ways, int ifindex)
{
    int left = ways ? nla_len(ways) : 0;
    const struct rtnexthop *way = ways ? nla_data(ways) : NULL;
    while (way && RTNH_OK(way, left)) {
        if (way->rtnh_ifindex == ifindex)
            return true;
        size_t n = RTNH_ALIGN(way->rtnh_len); /* netlink aligns every way */
        left -= (int)n;
        way = (const void *)((const char *)way + n);
    }
    return false;
}

static int on_route(const struct nlmsghdr *h, void *data, struct err *err)
{
    static const int tell[] = {RTA_CACHEINFO, 0};
    struct keep *k = data;
    struct rtmsg m;
    struct nlattr *a[RTA_MAX + 1];
    if (h->nlmsg_type != RTM_NEWROUTE ||
        nlmsg_parse((struct nlmsghdr *)(uintptr_t)h, sizeof m, a, RTA_MAX, NULL) < 0)
        return 0;
    memcpy(&m, nlmsg_data(h), sizeof m);
    if ((int)u32_of(a[RTA_OIF]) != k->ifindex &&
        !rtnl_keep_ways_include(a[RTA_MULTIPATH], k->ifindex))
        return 0;
    if ((m.rtm_flags & RTM_F_CLONED) || m.rtm_table == RT_TABLE_LOCAL ||
        m.rtm_protocol == RTPROT_KERNEL || m.rtm_protocol == RTPROT_RA ||
        m.rtm_protocol == RTPROT_REDIRECT)
        return 0;
    if (a[RTA_NH_ID])
        return err_set(err, EOPNOTSUPP,
                       "a route over it uses a nexthop object, which the kernel would forget and "
                       "which cannot be put back");
    m.rtm_flags &= RTNH_F_ONLINK;
    AUTO_BUF payload = BUF_INIT;
    buf_add(&payload, (const char *)&m, sizeof m);
    rtnl_keep_attrs(&payload, h, sizeof m, tell);
    bool hangs = a[RTA_GATEWAY] || a[RTA_VIA] || a[RTA_MULTIPATH];
    rtnl_keep_as(hangs ? k->then : k->first, RTM_NEWROUTE, &payload);
    return 0;
}

void rtnl_keep_address(struct buf *out, const struct nlmsghdr *h, uint32_t flags, const int *tell)
{
    struct ifaddrmsg m;
    memcpy(&m, nlmsg_data(h), sizeof m);
    flags &= IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN |
             IFA_F_MANAGETEMPADDR;
    m.ifa_flags = (uint8_t)flags;
    struct {
        struct nlattr head;
        uint32_t flags;
    } all = {{.nla_len = sizeof all, .nla_type = IFA_FLAGS}, flags};
    buf_add(out, (const char *)&m, sizeof m);
    rtnl_keep_attrs(out, h, sizeof m, tell);
    buf_add(out, (const char *)&all, sizeof all);
}

static int on_address(const struct nlmsghdr *h, void *data, struct err *err)
{
    static const int tell[] = {IFA_FLAGS, IFA_LABEL, 0};
    struct keep *k = data;
    struct ifaddrmsg m;
    struct nlattr *a[IFA_MAX + 1];
    if (h->nlmsg_type != RTM_NEWADDR ||
        nlmsg_parse((struct nlmsghdr *)(uintptr_t)h, sizeof m, a, IFA_MAX, NULL) < 0)
        return 0;
    memcpy(&m, nlmsg_data(h), sizeof m);
    uint32_t flags = a[IFA_FLAGS] ? u32_of(a[IFA_FLAGS]) : m.ifa_flags;
    if (m.ifa_family != AF_INET6 || (int)m.ifa_index != k->ifindex || !(flags & IFA_F_PERMANENT))
        return 0;
    AUTO_BUF payload = BUF_INIT;
    rtnl_keep_address(&payload, h, flags, tell);
    rtnl_keep_as(k->first, RTM_NEWADDR, &payload);
    return 0;
}

static int on_neighbour(const struct nlmsghdr *h, void *data, struct err *err)
{
    static const int tell[] = {NDA_CACHEINFO, NDA_PROBES, 0};
    struct keep *k = data;
    struct ndmsg m;
    if (h->nlmsg_type != RTM_NEWNEIGH || nlmsg_datalen(h) < (int)sizeof m)
        return 0;
    memcpy(&m, nlmsg_data(h), sizeof m);
    if (m.ndm_ifindex != k->ifindex || !(m.ndm_state & NUD_PERMANENT) ||
        (m.ndm_family != AF_INET && m.ndm_family != AF_INET6))
        return 0;
    AUTO_BUF payload = BUF_INIT;
    buf_add(&payload, (const char *)&m, sizeof m);
    rtnl_keep_attrs(&payload, h, sizeof m, tell);
    rtnl_keep_as(k->then, RTM_NEWNEIGH, &payload);
    return 0;
}

int rtnl_keep(struct nl *nl, int ifindex, json_t **ret, struct err *err)
{
    const struct rtmsg route = {0};
    const struct ifaddrmsg address = {0};
    const struct ndmsg neighbour = {0};
    const struct {
        uint16_t type;
        const void *head;
        size_t n;
        nl_answer_fn *fn;
    } questions[] = {{RTM_GETADDR, &address, sizeof address, on_address},
                     {RTM_GETROUTE, &route, sizeof route, on_route},
                     {RTM_GETNEIGH, &neighbour, sizeof neighbour, on_neighbour}};
    AUTO_JSON *first = json_array(), *then = json_array();
    struct keep k = {.ifindex = ifindex, .first = first, .then = then};
    int r = 0;
    for (size_t i = 0; i < sizeof questions / sizeof *questions && r == 0; i++)
        r = nl_ask(nl,
                   nl_req_new(NETLINK_ROUTE, questions[i].type, NLM_F_DUMP, questions[i].head,
                              questions[i].n, 0),
                   questions[i].fn, &k, err);
    if (r < 0)
        return r;
    json_array_extend(first, then);
    *ret = json_incref(first);
    return 0;
}

/* --- Putting back ----------------------------------------------------------------------------- */

bool rtnl_keep_parse(const char *text, unsigned *ret_type, unsigned char *payload, size_t *ret_n)
{
    char *hex;
    unsigned long type = strtoul(text, &hex, 10);
    size_t n = 0;
    if (*hex++ != ':' || (type != RTM_NEWROUTE && type != RTM_NEWADDR && type != RTM_NEWNEIGH))
        return false;
    for (unsigned v; *hex; hex += 2) {
        if (n == RTNL_KEEP_MAX || strspn(hex, "0123456789abcdef") < 2 ||
            sscanf(hex, "%2x", &v) != 1)
            return false;
        payload[n++] = (unsigned char)v;
    }
    *ret_type = (unsigned)type;
    *ret_n = n;
    return true;
}

size_t rtnl_keep_head(unsigned type)
{
    return type == RTM_NEWROUTE  ? sizeof(struct rtmsg)
           : type == RTM_NEWADDR ? sizeof(struct ifaddrmsg)
                                 : sizeof(struct ndmsg);
}

/* 1: put back; 0: it is there. */
static int put_back(struct nl *nl, const char *text, struct err *err)
{
    unsigned type;
    unsigned char payload[RTNL_KEEP_MAX];
    size_t n, head;
    if (!rtnl_keep_parse(text, &type, payload, &n) || n < (head = rtnl_keep_head(type)))
        return err_set(err, EINVAL, "what was kept of a device cannot be read: %.40s", text);
    struct nl_req *q = nl_req_new(NETLINK_ROUTE, (uint16_t)type, NLM_F_CREATE | NLM_F_EXCL, payload,
                                  head, n - head);
    nl_req_put_raw(q, payload + head, n - head);
    nl_queue(nl, q);
    struct err why = ERR_INIT;
    int r = nl_flush(nl, &why);
    if (r == -EEXIST)
        return 0;
    if (r < 0 && err)
        *err = why;
    return r < 0 ? r : 1;
}

int rtnl_restore(struct nl *nl, const json_t *kept, size_t *ret_n, struct err *err)
{
    nsec until = nsec_add(nsec_now(CLOCK_MONOTONIC), RESTORE_WITHIN);
    size_t i, n = 0;
    const json_t *text;
    json_array_foreach (kept, i, text) {
        const char *one = json_is_string(text) ? json_string_value(text) : "";
        struct err why = ERR_INIT;
        int r;
        while ((r = put_back(nl, one, &why)) < 0 && nsec_now(CLOCK_MONOTONIC) < until &&
               r != -ENODEV)
            (void)poll(NULL, 0, RESTORE_STEP); /* no event tells that an address may be used */
        if (r < 0) {
            if (err)
                *err = why;
            return r;
        }
        n += (size_t)r;
    }
    *ret_n = n;
    return 0;
}
