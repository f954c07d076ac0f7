/* The kernel transport: one socket per protocol, opened inside the namespace.
 *
 * Acknowledgements: rtnetlink works through the messages of a datagram in order, and answers into
 * our receive buffer while sendmsg(2) still runs. Failing ones answer unasked; so only the last one
 * asks for an ack, which says that all others have been tried, too. Not more than CHUNK messages go
 * into one send, so that even if all fail their answers fit (about 1.3 kB each with the extended
 * ack). nf_tables takes a whole transaction in one send and answers after it; again only its last
 * message asks for an ack, and a failure of the batch as such carries the
 * sequence number of NFNL_MSG_BATCH_BEGIN (nfnetlink.c, nfnetlink_rcv_batch).
 */
#include "sim/kernel/nl_impl.h"

#include "sim/base/buf.h"
#include "sim/kernel/netns.h"
#include "sim/kernel/nl_known.h"
#include "sim/kernel/rtnl.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define CHUNK 64
#define CHUNK_BYTES ((size_t)64 * 1024)
#define RECEIVE_BUFFER (4 << 20)
#define RECEIVE_SIZE 65536 /* dumps come in pieces of at most 32 KiB (netlink_dump()) */
#define FIRST_IFINDEX 0x10000
#define DUMP_TRIES 20

struct kernel {
    int netns; /* -1: the caller's own */
    struct {
        int protocol, fd, send_buffer; /* as SO_SNDBUF tells it */
    } socks[3];
    uint32_t seq;
    int next_ifindex; /* for NL_HOLE_NEW: above what the kernel counts up to by itself */
    struct nl_known learned;
    struct nl_known looked_up;  /* for one flush: a link may vanish with its other end */
    struct nl_known remembered; /* looked up once: the kernel is asked whether that still holds */
    char *rx;                   /* RECEIVE_SIZE bytes once used */
};

static int open_socket(struct kernel *k, int protocol, int *ret, struct err *err)
{
    AUTO_CLOSE int fd = -1;
    int r = netns_socket(k->netns, AF_NETLINK, SOCK_RAW, protocol, &fd, err);
    if (r < 0)
        return err_prefix(err, "netlink");
    struct sockaddr_nl any = {.nl_family = AF_NETLINK};
    if (bind(fd, (struct sockaddr *)&any, sizeof any) < 0)
        return err_errno(err, errno, "cannot bind a netlink socket");
    int on = 1, size = RECEIVE_BUFFER;
    /* Kernels before 4.12 have no extended acks; their errors are just shorter. */
    setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    *ret = steal_fd(&fd);
    return 0;
}

static int kernel_fd(struct nl *nl, int protocol, int *ret, struct err *err)
{
    struct kernel *k = nl->impl;
    for (size_t i = 0; i < ARRAY_SIZE(k->socks); i++) {
        if (k->socks[i].fd >= 0 && k->socks[i].protocol != protocol)
            continue;
        if (k->socks[i].fd < 0) {
            int r = open_socket(k, protocol, &k->socks[i].fd, err);
            if (r < 0)
                return err_prefix(err, "%s", nl->where);
            k->socks[i].protocol = protocol;
            socklen_t n = sizeof k->socks[i].send_buffer;
            getsockopt(k->socks[i].fd, SOL_SOCKET, SO_SNDBUF, &k->socks[i].send_buffer, &n);
        }
        *ret = k->socks[i].fd;
        return 0;
    }
    return err_set(err, EPROTONOSUPPORT, "%s: netlink protocol %d is not used here", nl->where,
                   protocol);
}

/* --- Receiving --------------------------------------------------------------- */

/* One datagram into k->rx, waiting until `deadline` (CLOCK_MONOTONIC). */
static int receive(struct nl *nl, int fd, nsec deadline, size_t *ret_n, struct err *err)
{
    struct kernel *k = nl->impl;
    for (;;) {
        nsec left = nsec_sub(deadline, nsec_now(CLOCK_MONOTONIC));
        if (left <= 0)
            return err_set(err, ETIMEDOUT, "%s: the kernel did not answer within 5 s", nl->where);
        if (!k->rx && !(k->rx = malloc(RECEIVE_SIZE)))
            abort();
        struct sockaddr_nl from = {0};
        socklen_t from_n = sizeof from;
        ssize_t n = recvfrom(fd, k->rx, RECEIVE_SIZE, MSG_DONTWAIT | MSG_TRUNC,
                             (struct sockaddr *)&from, &from_n);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            struct pollfd p = {.fd = fd, .events = POLLIN};
            (void)poll(&p, 1, (int)(left / NSEC_MSEC) + 1);
            continue;
        }
        if (n < 0)
            return err_errno(err, errno, "%s: %s", nl->where,
                             errno == ENOBUFS ? "answers of the kernel were lost"
                                              : "cannot read from netlink");
        if (n > RECEIVE_SIZE)
            return err_set(err, EMSGSIZE, "%s: an answer of the kernel of %zd bytes is too long",
                           nl->where, n);
        if (from.nl_pid != 0)
            continue; /* another process may write to us: only the kernel counts */
        *ret_n = (size_t)n;
        return 0;
    }
}

/* errno of an NLMSG_ERROR; *ret_text: its extended ack (malloc'd) or NULL. */
static int read_ack(const struct nlmsghdr *h, char **ret_text)
{
    *ret_text = NULL;
    if (h->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
        return EBADMSG;
    const struct nlmsgerr *e = NLMSG_DATA(h);
    if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
        return -e->error;
    size_t skip = sizeof *e;
    if (!(h->nlmsg_flags & NLM_F_CAPPED))
        skip += NLMSG_ALIGN(e->msg.nlmsg_len) - NLMSG_HDRLEN;
    int left = (int)(h->nlmsg_len - NLMSG_HDRLEN) - (int)skip;
    if (left <= 0)
        return -e->error;
    const struct nlattr *a = nla_find((const struct nlattr *)(const void *)((const char *)e + skip),
                                      left, NLMSGERR_ATTR_MSG);
    if (a && nla_len(a) > 0)
        *ret_text = strndup(nla_data(a), (size_t)nla_len(a));
    return -e->error;
}

static void answer(struct nl_req *q, const struct nlmsghdr *h)
{
    free(q->ext_ack);
    q->result = read_ack(h, &q->ext_ack);
    q->answered = true;
}

/* --- Names ------------------------------------------------------------------- */

static int find_known(const struct kernel *k, const char *name)
{
    int ifindex = nl_known_find(&k->learned, name);
    return ifindex ? ifindex : nl_known_find(&k->looked_up, name);
}

static void kernel_learn(struct nl *nl, const char *name, int ifindex)
{
    struct kernel *k = nl->impl;
    nl_known_remove(&k->looked_up, name);
    if (ifindex > 0)
        nl_known_set(&k->learned, name, ifindex);
    else
        nl_known_remove(&k->learned, name);
}

static int ask_kernel(struct nl *nl, struct nl_req *q, nl_answer_fn *fn, void *data,
                      struct err *err);

static int got_index(const struct nlmsghdr *h, void *data, struct err *err)
{
    const struct ifinfomsg *i = NLMSG_DATA(h);
    *(int *)data = i->ifi_index;
    return 0;
}

/* A tenth of what RTM_GETLINK costs. (SIOCGIFINDEX would not need the number, but for a name that
 * does not exist it may start modprobe(8): net/core/dev_ioctl.c, dev_load().) */
static int still_has(struct kernel *k, int fd, const char *name)
{
    struct ifreq r = {.ifr_ifindex = nl_known_find(&k->remembered, name)};
    if (!r.ifr_ifindex)
        return 0;
    int ifindex = r.ifr_ifindex;
    if (ioctl(fd, SIOCGIFNAME, &r) == 0 && strncmp(r.ifr_name, name, IFNAMSIZ) == 0)
        return ifindex;
    nl_known_remove(&k->remembered, name);
    return 0;
}

static int look_up(struct nl *nl, const char *name, int *ret, struct err *err)
{
    struct kernel *k = nl->impl;
    int known = find_known(k, name), fd;
    if (!known && kernel_fd(nl, NETLINK_ROUTE, &fd, NULL) == 0)
        known = still_has(k, fd, name);
    if (known) {
        *ret = known;
        return 0;
    }
    struct ifinfomsg head = {0};
    CLEANUP(nl_req_free_p)
    struct nl_req *q = nl_req_new(NETLINK_ROUTE, RTM_GETLINK, 0, &head, sizeof head, 64);
    nl_req_put_ifname(q, IFLA_IFNAME, name);
    nl_req_put_u32(q, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    int index = 0;
    int r = ask_kernel(nl, q, got_index, &index, NULL);
    if (r == -ENODEV || (r == 0 && index == 0))
        return err_set(err, ENODEV, "%s: there is no interface \"%s\"", nl->where, name);
    if (r < 0)
        return err_errno(err, -r, "%s: cannot look up the interface \"%s\"", nl->where, name);
    nl_known_set(&k->remembered, name, index);
    *ret = index;
    return 0;
}

static int kernel_ifindex(struct nl *nl, const char *name, int *ret, struct err *err)
{
    struct kernel *k = nl->impl;
    kernel_learn(nl, name, 0); /* the question is about now */
    int r = look_up(nl, name, ret, err);
    nl_known_clear(&k->looked_up);
    return r;
}

/* True when every hole of q could be filled from what is known without asking. */
static bool knows_all(struct kernel *k, const struct nl_req *q)
{
    for (size_t i = 0; i < q->n_holes; i++)
        if (q->holes[i].kind == NL_HOLE_IFINDEX && !find_known(k, q->holes[i].name))
            return false;
    return true;
}

static int fill_holes(struct nl *nl, struct nl_req *q, struct err *err)
{
    struct kernel *k = nl->impl;
    for (size_t i = 0; i < q->n_holes; i++) {
        int value = q->holes[i].kind == NL_HOLE_NEW ? k->next_ifindex++ : q->holes[i].fd;
        if (q->holes[i].kind == NL_HOLE_IFINDEX) {
            int r = look_up(nl, q->holes[i].name, &value, err);
            if (r < 0)
                return r;
            if (!find_known(k, q->holes[i].name))
                nl_known_set(&k->looked_up, q->holes[i].name, value);
        }
        memcpy((char *)nl_req_header(q) + q->holes[i].offset, &value, sizeof value);
    }
    return 0;
}

/* --- Sending ----------------------------------------------------------------- */

static int *send_buffer(struct kernel *k, int fd)
{
    size_t i = 0;
    while (k->socks[i].fd != fd)
        i++;
    return &k->socks[i].send_buffer;
}

static void grow_send_buffer(int fd, int size, int *ret_have)
{
    socklen_t n = sizeof *ret_have;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    getsockopt(fd, SOL_SOCKET, SO_SNDBUF, ret_have, &n);
}

static int send_all(struct nl *nl, int fd, struct iovec *iov, size_t n, struct err *err)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += iov[i].iov_len;
    /* netlink_sendmsg(): EMSGSIZE above sk_sndbuf - 32; SO_SNDBUF is doubled by the kernel. */
    if (*send_buffer(nl->impl, fd) < (int)total + 4096)
        grow_send_buffer(fd, (int)total + 4096, send_buffer(nl->impl, fd));
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct msghdr m = {
        .msg_name = &kernel, .msg_namelen = sizeof kernel, .msg_iov = iov, .msg_iovlen = n};
    ssize_t sent;
    do
        sent = sendmsg(fd, &m, 0);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno == EMSGSIZE)
        return err_set(err, EMSGSIZE,
                       "%s: %zu bytes in one transaction are more than this user may send at once "
                       "(raise net.core.wmem_max, or run as root)",
                       nl->where, total);
    if (sent < 0)
        return err_errno(err, errno, "%s: cannot send to netlink", nl->where);
    return 0;
}

static struct iovec piece(const struct nl_req *q)
{
    struct nlmsghdr *h = nl_req_header(q);
    return (struct iovec){.iov_base = h, .iov_len = NLMSG_ALIGN(h->nlmsg_len)};
}

/* Up to CHUNK independent messages in one send, then what they answer: the failing ones, and the
 * last. */
static int send_chunk(struct nl *nl, struct nl_req **queue, size_t n, struct err *err)
{
    struct kernel *k = nl->impl;
    struct iovec iov[CHUNK];
    int fd;
    int r = kernel_fd(nl, queue[0]->protocol, &fd, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        if (i + 1 == n)
            nl_req_header(queue[i])->nlmsg_flags |= NLM_F_ACK;
        nl_req_header(queue[i])->nlmsg_seq = queue[i]->seq = ++k->seq;
        iov[i] = piece(queue[i]);
    }
    if ((r = send_all(nl, fd, iov, n, err)) < 0)
        return r;
    nsec deadline = nsec_add(nsec_now(CLOCK_MONOTONIC), NL_TIMEOUT);
    while (!queue[n - 1]->answered) {
        size_t got;
        if ((r = receive(nl, fd, deadline, &got, err)) < 0)
            return r;
        int left = (int)got;
        for (struct nlmsghdr *h = (void *)k->rx; nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
            uint32_t i = h->nlmsg_seq - queue[0]->seq;
            if (h->nlmsg_type != NLMSG_ERROR || i >= n || queue[i]->answered)
                continue;
            answer(queue[i], h);
        }
    }
    for (size_t i = 0; i < n; i++)
        queue[i]->answered = true;
    return 0;
}

static struct nl_req *batch_mark(uint16_t type)
{
    struct nfgenmsg head = {.version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
    return nl_req_new(NETLINK_NETFILTER, type, 0, &head, sizeof head, 0);
}

static int read_transaction(struct nl *nl, int fd, struct nl_req **queue, size_t n, uint32_t begin,
                            struct err *err)
{
    struct kernel *k = nl->impl;
    nsec deadline = nsec_add(nsec_now(CLOCK_MONOTONIC), NL_TIMEOUT);
    int whole = 0; /* errno of the batch itself */
    bool failed = false;
    while (!queue[n - 1]->answered && !whole) {
        size_t got;
        int r = receive(nl, fd, deadline, &got, err);
        if (r < 0)
            return r;
        int left = (int)got;
        for (struct nlmsghdr *h = (void *)k->rx; nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
            if (h->nlmsg_type != NLMSG_ERROR)
                continue;
            uint32_t i = h->nlmsg_seq - begin;
            if (i == 0) {
                AUTO_FREE char *text = NULL;
                whole = read_ack(h, &text);
            } else if (i <= n && !queue[i - 1]->answered) {
                answer(queue[i - 1], h);
                failed |= queue[i - 1]->result != 0;
            }
        }
    }
    for (size_t i = 0; i < n; i++) {
        struct nl_req *q = queue[i];
        if (whole && !q->result)
            q->result = whole;
        else if (failed && !q->result)
            q->result = ECANCELED; /* another message of the transaction failed */
        q->answered = true;
    }
    return 0;
}

static int send_transaction(struct nl *nl, struct nl_req **queue, size_t n, struct err *err)
{
    struct kernel *k = nl->impl;
    int fd;
    int r = kernel_fd(nl, NETLINK_NETFILTER, &fd, err);
    if (r < 0)
        return r;
    CLEANUP(nl_req_free_p) struct nl_req *begin = batch_mark(NFNL_MSG_BATCH_BEGIN);
    CLEANUP(nl_req_free_p) struct nl_req *end = batch_mark(NFNL_MSG_BATCH_END);
    /* UIO_MAXIOV is 1,024 pieces: join the messages in one. */
    AUTO_BUF all = BUF_INIT;
    uint32_t first = nl_req_header(begin)->nlmsg_seq = ++k->seq;
    buf_add(&all, nl_req_header(begin), nl_req_header(begin)->nlmsg_len);
    for (size_t i = 0; i < n; i++) {
        struct nlmsghdr *h = nl_req_header(queue[i]);
        if (i + 1 == n)
            h->nlmsg_flags |= NLM_F_ACK;
        h->nlmsg_seq = queue[i]->seq = ++k->seq;
        buf_add(&all, h, NLMSG_ALIGN(h->nlmsg_len));
    }
    nl_req_header(end)->nlmsg_seq = ++k->seq;
    buf_add(&all, nl_req_header(end), nl_req_header(end)->nlmsg_len);
    struct iovec iov = {.iov_base = all.text, .iov_len = all.len};
    if ((r = send_all(nl, fd, &iov, 1, err)) < 0)
        return r;
    return read_transaction(nl, fd, queue, n, first, err);
}

static bool changes_links(struct nl_req *const *queue, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned type = nl_req_header(queue[i])->nlmsg_type;
        if (queue[i]->protocol == NETLINK_ROUTE && type >= RTM_NEWLINK && type <= RTM_SETLINK)
            return true;
    }
    return false;
}

static int kernel_send(struct nl *nl, struct nl_req **queue, size_t n, struct err *err)
{
    struct kernel *k = nl->impl;
    bool links = changes_links(queue, n);
    size_t sent = 0;
    int r = 0;
    while (sent < n && r == 0) {
        size_t end = sent, bytes = 0;
        if (queue[sent]->transaction) {
            while (end < n && queue[end]->transaction && r == 0)
                r = fill_holes(nl, queue[end++], err);
            if (r == 0)
                r = send_transaction(nl, queue + sent, end - sent, err);
            sent = end;
            continue;
        }
        while (end < n && !queue[end]->transaction && end - sent < CHUNK && bytes < CHUNK_BYTES &&
               queue[end]->protocol == queue[sent]->protocol) {
            /* An unknown link may be one that is still waiting here to be made. */
            if (links && end > sent && !knows_all(k, queue[end]))
                break;
            if ((r = fill_holes(nl, queue[end], err)) < 0)
                break;
            bytes += nl_req_header(queue[end++])->nlmsg_len;
        }
        if (end > sent) {
            int sr = send_chunk(nl, queue + sent, end - sent, r < 0 ? NULL : err);
            r = r < 0 ? r : sr;
        }
        sent = end;
    }
    nl_known_clear(&k->looked_up);
    return r;
}

/* --- Asking ------------------------------------------------------------------ */

/* 1: complete, in *all; 0: interrupted, ask again. */
static int collect(struct nl *nl, struct nl_req *q, int fd, struct buf *all, struct err *err)
{
    struct kernel *k = nl->impl;
    nsec deadline = nsec_add(nsec_now(CLOCK_MONOTONIC), NL_TIMEOUT);
    bool interrupted = false;
    for (;;) {
        size_t got;
        int r = receive(nl, fd, deadline, &got, err);
        if (r < 0)
            return r;
        int left = (int)got;
        for (struct nlmsghdr *h = (void *)k->rx; nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
            if (h->nlmsg_seq != q->seq)
                continue;
            interrupted |= (h->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
            if (h->nlmsg_type == NLMSG_DONE) {
                int code = 0;
                if (h->nlmsg_len >= NLMSG_LENGTH(sizeof code))
                    memcpy(&code, NLMSG_DATA(h), sizeof code);
                q->result = code < 0 ? -code : 0;
                if (q->result == EINTR)
                    return 0;
                return q->result ? nl_req_error(nl, q, err) : !interrupted;
            }
            if (h->nlmsg_type == NLMSG_ERROR) {
                answer(q, h);
                if (q->result == EINTR)
                    return 0;
                return q->result ? nl_req_error(nl, q, err) : 1;
            }
            buf_add(all, h, h->nlmsg_len);
            while (all->len % NLMSG_ALIGNTO)
                buf_addc(all, '\0');
        }
    }
}

/* A dump that was interrupted by a change is not a state that ever was: it is asked for again. */
static int ask_kernel(struct nl *nl, struct nl_req *q, nl_answer_fn *fn, void *data,
                      struct err *err)
{
    struct kernel *k = nl->impl;
    int fd;
    int r = kernel_fd(nl, q->protocol, &fd, err);
    if (r < 0)
        return r;
    if (!nl_req_is_dump(q))
        nl_req_header(q)->nlmsg_flags |= NLM_F_ACK; /* the end of the answer */
    for (int i = 0; i < DUMP_TRIES; i++) {
        AUTO_BUF all = BUF_INIT;
        nl_req_header(q)->nlmsg_seq = q->seq = ++k->seq;
        struct iovec iov = piece(q);
        if ((r = send_all(nl, fd, &iov, 1, err)) < 0)
            return r;
        if ((r = collect(nl, q, fd, &all, err)) < 0)
            return r;
        if (r == 0)
            continue;
        int left = (int)all.len;
        for (struct nlmsghdr *h = (void *)all.text; nlmsg_ok(h, left); h = nlmsg_next(h, &left))
            if ((r = fn(h, data, err)) < 0)
                return r;
        return 0;
    }
    return err_set(err, EINTR, "%s: the state changes too fast to be read (%d tries)", nl->where,
                   DUMP_TRIES);
}

static int kernel_ask(struct nl *nl, struct nl_req *q, nl_answer_fn *fn, void *data,
                      struct err *err)
{
    int r = fill_holes(nl, q, err);
    if (r == 0)
        r = ask_kernel(nl, q, fn, data, err);
    nl_known_clear(&((struct kernel *)nl->impl)->looked_up);
    return r;
}

/* --- The rest ---------------------------------------------------------------- */

static int kernel_sysctl(struct nl *nl, const char *key, const char *value, struct err *err)
{
    struct kernel *k = nl->impl;
    int r = netns_sysctl(k->netns, key, value, err);
    return r < 0 ? err_prefix(err, "%s", nl->where), r : 0;
}

static int kernel_derive(struct nl *from, int netns_fd, const char *where, struct nl **ret,
                         struct err *err)
{
    return nl_open_kernel(netns_fd, where, ret, err);
}

static void kernel_done(struct nl *nl)
{
    struct kernel *k = nl->impl;
    for (size_t i = 0; i < ARRAY_SIZE(k->socks); i++)
        if (k->socks[i].fd >= 0)
            close(k->socks[i].fd);
    if (k->netns >= 0)
        close(k->netns);
    nl_known_done(&k->learned);
    nl_known_done(&k->looked_up);
    nl_known_done(&k->remembered);
    free(k->rx);
    free(k);
}

const struct nl_ops nl_kernel_ops = {
    .send = kernel_send,
    .ask = kernel_ask,
    .ifindex = kernel_ifindex,
    .sysctl = kernel_sysctl,
    .derive = kernel_derive,
    .fd = kernel_fd,
    .learn = kernel_learn,
    .done = kernel_done,
};

int nl_open_kernel(int netns_fd, const char *where, struct nl **ret, struct err *err)
{
    AUTO_CLOSE int netns = -1;
    if (netns_fd >= 0 && (netns = fcntl(netns_fd, F_DUPFD_CLOEXEC, 3)) < 0)
        return err_errno(err, errno, "%s: cannot hold the network namespace", where);
    struct kernel *k = calloc(1, sizeof *k);
    if (!k)
        abort();
    k->netns = steal_fd(&netns);
    k->next_ifindex = FIRST_IFINDEX;
    for (size_t i = 0; i < ARRAY_SIZE(k->socks); i++)
        k->socks[i].fd = -1;
    struct nl *nl = nl_new(&nl_kernel_ops, where);
    nl->impl = k;
    *ret = nl;
    return 0;
}
