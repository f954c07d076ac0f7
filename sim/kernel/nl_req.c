/* Building requests; see nl_req.h. */
#include "sim/kernel/nl_req.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/if.h>
#include <stdlib.h>
#include <string.h>

struct nl_req *nl_req_new(int protocol, uint16_t type, uint16_t flags, const void *header,
                          size_t header_n, size_t room)
{
    struct nl_req *q = calloc(1, sizeof *q);
    if (!q)
        abort();
    q->protocol = protocol;
    q->msg = nlmsg_alloc_size((size_t)nlmsg_total_size((int)header_n) + room);
    if (!q->msg)
        abort();
    nlmsg_put(q->msg, 0, 0, type, 0, flags | NLM_F_REQUEST);
    nl_req_put_raw(q, header, header_n);
    return q;
}

struct nl_req *nl_req_free(struct nl_req *q)
{
    if (!q)
        return NULL;
    for (size_t i = 0; i < q->n_holes; i++)
        if (q->holes[i].name != q->holes[i].own)
            free(q->holes[i].name);
    free(q->ext_ack);
    free(q->gone);
    free(q->broken);
    nlmsg_free(q->msg);
    free(q);
    return NULL;
}

struct nlmsghdr *nl_req_header(const struct nl_req *q)
{
    return nlmsg_hdr(q->msg);
}

bool nl_req_is_dump(const struct nl_req *q)
{
    return (nl_req_header(q)->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
}

void nl_req_break(struct nl_req *q, const char *fmt, ...)
{
    if (q->broken)
        return;
    va_list ap;
    char text[512];
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!(q->broken = strdup(text)))
        abort();
}

void nl_req_put(struct nl_req *q, int attr, const void *data, size_t n)
{
    if (nla_put(q->msg, attr, (int)n, data) < 0)
        nl_req_break(q, "a netlink message is too long");
}

void nl_req_put_raw(struct nl_req *q, const void *data, size_t n)
{
    if (nlmsg_append(q->msg, (void *)(uintptr_t)data, n, NLMSG_ALIGNTO) < 0)
        nl_req_break(q, "a netlink message is too long");
}

void nl_req_put_u8(struct nl_req *q, int attr, uint8_t v)
{
    nl_req_put(q, attr, &v, sizeof v);
}

void nl_req_put_u16(struct nl_req *q, int attr, uint16_t v)
{
    nl_req_put(q, attr, &v, sizeof v);
}

void nl_req_put_u32(struct nl_req *q, int attr, uint32_t v)
{
    nl_req_put(q, attr, &v, sizeof v);
}

void nl_req_put_be16(struct nl_req *q, int attr, uint16_t v)
{
    nl_req_put_u16(q, attr, htons(v));
}

void nl_req_put_be32(struct nl_req *q, int attr, uint32_t v)
{
    nl_req_put_u32(q, attr, htonl(v));
}

void nl_req_put_be64(struct nl_req *q, int attr, uint64_t v)
{
    v = htobe64(v);
    nl_req_put(q, attr, &v, sizeof v);
}

void nl_req_put_str(struct nl_req *q, int attr, const char *s)
{
    nl_req_put(q, attr, s, strlen(s) + 1);
}

static bool name_is_good(const char *name)
{
    size_t n = name ? strlen(name) : 0;
    return n > 0 && n < IFNAMSIZ && !strpbrk(name, "/: \t\n") && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

void nl_req_put_ifname(struct nl_req *q, int attr, const char *name)
{
    if (!name_is_good(name)) {
        nl_req_break(q,
                     "\"%s\" cannot be the name of an interface (1 to %d bytes, no / : or blank)",
                     name ? name : "", IFNAMSIZ - 1);
        return;
    }
    nl_req_put_str(q, attr, name);
}

struct nlattr *nl_req_nest(struct nl_req *q, int attr)
{
    struct nlattr *nest = nla_nest_start(q->msg, attr);
    if (!nest) {
        nl_req_break(q, "a netlink message is too long");
        return NULL;
    }
    nest->nla_type |= NLA_F_NESTED;
    return nest;
}

void nl_req_nest_end(struct nl_req *q, struct nlattr *nest)
{
    if (nest) /* not nla_nest_end(): that takes an empty nest out again */
        nest->nla_len = (uint16_t)((char *)nlmsg_tail(nl_req_header(q)) - (char *)nest);
}

static void add_hole(struct nl_req *q, uint32_t offset, enum nl_hole_kind kind, int fd,
                     const char *name)
{
    if (q->n_holes == NL_HOLES_MAX) {
        nl_req_break(q, "a netlink message names more than %d interfaces", NL_HOLES_MAX);
        return;
    }
    struct nl_hole *hole = &q->holes[q->n_holes++];
    size_t n = strlen(name) + 1;
    *hole = (struct nl_hole){.offset = offset, .kind = kind, .fd = fd};
    hole->name = n <= sizeof hole->own ? hole->own : malloc(n);
    if (!hole->name)
        abort();
    memcpy(hole->name, name, n);
}

static uint32_t last_word(const struct nl_req *q)
{
    return nl_req_header(q)->nlmsg_len - (uint32_t)sizeof(uint32_t);
}

void nl_req_put_ifindex(struct nl_req *q, int attr, const char *name)
{
    if (!name_is_good(name)) {
        nl_req_break(q, "\"%s\" cannot be the name of an interface", name ? name : "");
        return;
    }
    nl_req_put_u32(q, attr, 0);
    add_hole(q, last_word(q), NL_HOLE_IFINDEX, -1, name);
}

void nl_req_put_netns(struct nl_req *q, int attr, const struct nl_netns *ns)
{
    nl_req_put_fd(q, attr, ns->fd, ns->name);
}

void nl_req_put_fd(struct nl_req *q, int attr, int fd, const char *name)
{
    nl_req_put_u32(q, attr, 0);
    add_hole(q, last_word(q), NL_HOLE_FD, fd, name);
}

void nl_req_put_around_ifindex(struct nl_req *q, int attr, const void *data, size_t n,
                               size_t offset, const char *name)
{
    if (!name_is_good(name)) {
        nl_req_break(q, "\"%s\" cannot be the name of an interface", name ? name : "");
        return;
    }
    uint32_t at = nl_req_header(q)->nlmsg_len; /* a multiple of 4: attributes are padded */
    nl_req_put(q, attr, data, n);
    add_hole(q, at + NLA_HDRLEN + (uint32_t)offset, NL_HOLE_IFINDEX, -1, name);
}

void nl_req_hole_ifindex(struct nl_req *q, size_t header_offset, const char *name)
{
    if (!name_is_good(name)) {
        nl_req_break(q, "\"%s\" cannot be the name of an interface", name ? name : "");
        return;
    }
    add_hole(q, (uint32_t)(NLMSG_HDRLEN + header_offset), NL_HOLE_IFINDEX, -1, name);
}

void nl_req_hole_new(struct nl_req *q, size_t header_offset)
{
    add_hole(q, (uint32_t)(NLMSG_HDRLEN + header_offset), NL_HOLE_NEW, -1, "new");
}
