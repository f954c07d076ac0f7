/* TCP connections by sock_diag; see sockdiag.h. */
#include "sim/kernel/sockdiag.h"

#include "sim/kernel/nl_req.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

/* Bits of states; TIME_WAIT has no socket any more, CLOSE and LISTEN no other side. */
#define STATES                                                                                     \
    (1u << TCP_ESTABLISHED | 1u << TCP_SYN_SENT | 1u << TCP_SYN_RECV | 1u << TCP_FIN_WAIT1 |       \
     1u << TCP_FIN_WAIT2 | 1u << TCP_CLOSE_WAIT | 1u << TCP_LAST_ACK | 1u << TCP_CLOSING |         \
     1u << 12 /* TCP_NEW_SYN_RECV: the kernel's own */)

static_assert(sizeof(struct inet_diag_req_v2) <= sizeof((struct sockdiag_tcp){0}.raw), "room");

struct list {
    uint8_t protocol;
    struct sockdiag_tcp *items;
    size_t n;
};

static void read_socket(const struct inet_diag_msg *m, uint8_t protocol, struct sockdiag_tcp *ret)
{
    struct inet_diag_req_v2 exact = {.sdiag_family = m->idiag_family,
                                     .sdiag_protocol = protocol,
                                     .idiag_states = ~0u,
                                     .id = m->id};
    *ret = (struct sockdiag_tcp){
        .flow = {.protocol = protocol,
                 .source = inet_address(m->idiag_family, m->id.idiag_src),
                 .target = inet_address(m->idiag_family, m->id.idiag_dst),
                 .sport = ntohs(m->id.idiag_sport),
                 .dport = ntohs(m->id.idiag_dport)},
        .cookie = (uint64_t)m->id.idiag_cookie[1] << 32 | m->id.idiag_cookie[0],
        .inode = m->idiag_inode,
    };
    memcpy(ret->raw, &exact, sizeof exact);
}

static int on_socket(const struct nlmsghdr *h, void *data, struct err *err)
{
    struct list *l = data;
    if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        nlmsg_datalen(h) < (int)sizeof(struct inet_diag_msg))
        return 0;
    if ((l->n & (l->n - 1)) == 0 &&
        !(l->items = realloc(l->items, (l->n ? 2 * l->n : 1) * sizeof *l->items)))
        abort();
    read_socket(nlmsg_data(h), l->protocol, &l->items[l->n++]);
    return 0;
}

static int ask(struct nl *nl, uint32_t states, struct list *l, struct err *err)
{
    static const uint8_t families[] = {AF_INET, AF_INET6};
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(families); i++) {
        struct inet_diag_req_v2 question = {
            .sdiag_family = families[i], .sdiag_protocol = l->protocol, .idiag_states = states};
        r = nl_ask(nl,
                   nl_req_new(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &question,
                              sizeof question, 0),
                   on_socket, l, err);
        if (r == -ENOENT && families[i] == AF_INET6)
            r = 0; /* a kernel without IPv6 */
    }
    return r;
}

int sockdiag_listening(struct nl *nl, uint16_t **ret, size_t *ret_n, struct err *err)
{
    struct list l = {.protocol = IPPROTO_TCP};
    int r = ask(nl, 1u << TCP_LISTEN, &l, err);
    uint16_t *ports = r < 0 ? NULL : calloc(l.n + 1, sizeof *ports);
    if (r == 0 && !ports)
        abort(); /* as the buffers of sim/base do */
    for (size_t i = 0; ports && i < l.n; i++)
        ports[i] = l.items[i].flow.sport;
    free(l.items);
    if (r < 0)
        return r;
    *ret = ports;
    *ret_n = l.n;
    return 0;
}

static int connected(struct nl *nl, uint8_t protocol, uint32_t states, struct sockdiag_tcp **ret,
                     size_t *ret_n, struct err *err)
{
    struct list l = {.protocol = protocol};
    int r = ask(nl, states, &l, err);
    if (r < 0) {
        free(l.items);
        return r;
    }
    *ret = l.items;
    *ret_n = l.n;
    return 0;
}

int sockdiag_tcp(struct nl *nl, struct sockdiag_tcp **ret, size_t *ret_n, struct err *err)
{
    return connected(nl, IPPROTO_TCP, STATES, ret, ret_n, err);
}

int sockdiag_udp(struct nl *nl, struct sockdiag_tcp **ret, size_t *ret_n, struct err *err)
{
    return connected(nl, IPPROTO_UDP, 1u << TCP_ESTABLISHED, ret, ret_n, err);
}

struct inodes {
    uint32_t *items;
    size_t n;
    uint16_t port;
};

static int on_listener(const struct nlmsghdr *h, void *data, struct err *err)
{
    struct inodes *l = data;
    if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        nlmsg_datalen(h) < (int)sizeof(struct inet_diag_msg))
        return 0;
    const struct inet_diag_msg *m = nlmsg_data(h);
    if (ntohs(m->id.idiag_sport) != l->port || m->id.idiag_dport || !m->idiag_inode)
        return 0;
    if ((l->n & (l->n - 1)) == 0 &&
        !(l->items = realloc(l->items, (l->n ? 2 * l->n : 1) * sizeof *l->items)))
        abort();
    l->items[l->n++] = m->idiag_inode;
    return 0;
}

int sockdiag_waiting(struct nl *nl, uint16_t port, uint32_t **ret, size_t *ret_n, struct err *err)
{
    static const struct {
        uint8_t family, protocol;
        uint32_t states;
    } kinds[] = {{AF_INET, IPPROTO_TCP, 1u << TCP_LISTEN},
                 {AF_INET6, IPPROTO_TCP, 1u << TCP_LISTEN},
                 {AF_INET, IPPROTO_UDP, 1u << TCP_CLOSE},
                 {AF_INET6, IPPROTO_UDP, 1u << TCP_CLOSE}};
    struct inodes l = {.port = port};
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(kinds); i++) {
        struct inet_diag_req_v2 question = {.sdiag_family = kinds[i].family,
                                            .sdiag_protocol = kinds[i].protocol,
                                            .idiag_states = kinds[i].states};
        r = nl_ask(nl,
                   nl_req_new(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &question,
                              sizeof question, 0),
                   on_listener, &l, err);
        if (r == -ENOENT && i > 0)
            r = 0; /* a kernel without IPv6, or without udp_diag */
    }
    if (r < 0) {
        free(l.items);
        return r;
    }
    *ret = l.items;
    *ret_n = l.n;
    return 0;
}

void sockdiag_destroy(struct nl *nl, const struct sockdiag_tcp *s)
{
    nl_queue(nl, nl_req_new(NETLINK_SOCK_DIAG, SOCK_DESTROY, 0, s->raw,
                            sizeof(struct inet_diag_req_v2), 0));
    nl_forgive(nl, ENOENT);
}
