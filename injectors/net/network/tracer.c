/* Packets of our own through a faulted path. See tracer.h. */
#include "injectors/net/network/tracer.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "sim/kernel/netns.h"

#define MAGIC UINT64_C(0x626c61636b737461) /* "blacksta" */
#define HEADER_MAX 20
#define PACKET_MAX 2048
#define BUFFER (1 << 20)
#define ICMP_UNKNOWN 200 /* RFC 4443: for private experiments; unknown to IPv4's too */

struct payload { /* the rest of a packet is filler */
    uint64_t magic, nonce;
    int64_t sent;
    uint32_t seq, digest; /* of all that stands above the transport header, this being 0 */
};
_Static_assert(sizeof(struct payload) <= TRACER_LEAST, "it fits");

struct tracer {
    struct tracer_way way;
    uint64_t nonce;
    int in, out; /* at the sender, at the receiver */
    size_t sent;
    struct tracer_seen *seen;
    size_t n, room;
};

/* --- Packets ---------------------------------------------------------------------------------- */

static size_t header_bytes(int protocol)
{
    return protocol == IPPROTO_TCP ? 20 : protocol == IPPROTO_SCTP ? 12 : 8;
}

static uint32_t add_words(uint32_t sum, const void *data, size_t n)
{
    const uint8_t *b = data;
    for (size_t i = 0; i + 1 < n; i += 2)
        sum += (uint32_t)(b[i] << 8 | b[i + 1]);
    if (n & 1)
        sum += (uint32_t)(b[n - 1] << 8);
    return sum;
}

/* RFC 1071, with the pseudo header of either family; the field itself is 0. */
static uint16_t checksum(const struct tracer_way *w, const uint8_t *packet, size_t n)
{
    size_t bytes = inet_bytes(&w->source);
    uint32_t sum = (uint32_t)w->protocol + (uint32_t)n;
    sum = add_words(sum, w->source.addr, bytes);
    sum = add_words(sum, w->target.addr, bytes);
    sum = add_words(sum, packet, n);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void put16(uint8_t *at, uint16_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

/* Neither the right sum nor 0, which means "none" in UDP. No flip of a single bit makes it right. */
static uint16_t wrong(uint16_t right)
{
    uint16_t v = right ^ 0x5a5a;
    return v ? v : 0x1234;
}

static void put_header(const struct tracer_way *w, uint8_t *p, size_t n)
{
    if (w->protocol == IPPROTO_ICMP || w->protocol == IPPROTO_ICMPV6) {
        p[0] = ICMP_UNKNOWN;
        return;
    }
    put16(p, w->source_port);
    put16(p + 2, w->target_port);
    if (w->protocol == IPPROTO_UDP) {
        put16(p + 4, (uint16_t)n);
        put16(p + 6, wrong(checksum(w, p, n)));
    } else if (w->protocol == IPPROTO_TCP) {
        p[12] = 0x50; /* five words of header, no flags */
        put16(p + 16, wrong(checksum(w, p, n)));
    } /* SCTP: a CRC of zeros is wrong enough */
}

static uint32_t digest(const uint8_t *data, size_t n)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < n; i++) {
        bool own = i >= offsetof(struct payload, digest) && i < sizeof(struct payload);
        h = (h ^ (own ? 0 : data[i])) * 16777619u;
    }
    return h;
}

static size_t make_packet(struct tracer *t, size_t bytes, uint8_t packet[PACKET_MAX])
{
    size_t header = header_bytes(t->way.protocol);
    struct payload p = {.magic = MAGIC, .nonce = t->nonce, .seq = (uint32_t)t->sent};
    memset(packet, 0, header);
    for (size_t i = 0; i < bytes; i++)
        packet[header + i] = (uint8_t)(i * 31 + t->sent);
    p.sent = nsec_now(CLOCK_REALTIME);
    memcpy(packet + header, &p, sizeof p);
    p.digest = digest(packet + header, bytes);
    memcpy(packet + header, &p, sizeof p);
    put_header(&t->way, packet, header + bytes);
    return header + bytes;
}

/* --- Sockets ---------------------------------------------------------------------------------- */

static socklen_t socket_address(const struct inet_prefix *p, struct sockaddr_storage *ret)
{
    *ret = (struct sockaddr_storage){.ss_family = p->family};
    if (p->family == AF_INET) {
        memcpy(&((struct sockaddr_in *)ret)->sin_addr, p->addr, 4);
        return sizeof(struct sockaddr_in);
    }
    memcpy(&((struct sockaddr_in6 *)ret)->sin6_addr, p->addr, 16);
    return sizeof(struct sockaddr_in6);
}

/* Only packets with our magic: a raw socket would else be given a copy of all of this protocol. */
static int take_ours_alone(int fd, const struct tracer_way *w)
{
    uint64_t magic = MAGIC;
    uint8_t b[8];
    memcpy(b, &magic, 8);
    uint32_t at = (uint32_t)SKF_NET_OFF + (w->source.family == AF_INET ? 20 : 40) +
                  (uint32_t)header_bytes(w->protocol);
    uint32_t hi = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    uint32_t lo = (uint32_t)b[4] << 24 | (uint32_t)b[5] << 16 | (uint32_t)b[6] << 8 | b[7];
    struct sock_filter ops[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at),     BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, hi, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at + 4), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, lo, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),      BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {ARRAY_SIZE(ops), ops};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

static int open_end(struct lab *lab, const struct tracer_way *w, bool sender, int *ret_fd,
                    struct err *err)
{
    AUTO_CLOSE int fd = -1;
    const char *host = sender ? w->from : w->to;
    struct lab_node *n = lab_node(lab, host);
    struct sockaddr_storage own, far;
    int one = 1, buffer = BUFFER;
    if (!n || !lab_node_is_up(n))
        return err_set(err, EHOSTDOWN, "host '%s' is down", host);
    int r = netns_socket(lab_node_netns(n), w->source.family, SOCK_RAW | SOCK_NONBLOCK, w->protocol,
                         &fd, err);
    if (r < 0)
        return r;
    socklen_t own_n = socket_address(sender ? &w->source : &w->target, &own);
    socklen_t far_n = socket_address(sender ? &w->target : &w->source, &far);
    r = bind(fd, (struct sockaddr *)&own, own_n);
    if (r == 0 && sender)
        r = connect(fd, (struct sockaddr *)&far, far_n);
    if (r == 0 && !sender) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
        r = take_ours_alone(fd, w);
    }
    if (r == 0 && !sender)
        r = setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
    if (r < 0)
        return err_errno(err, errno, "opening a raw socket on host '%s'", host);
    *ret_fd = steal_fd(&fd);
    return 0;
}

int tracer_new(struct lab *lab, const struct tracer_way *way, uint64_t nonce, struct tracer **ret,
               struct err *err)
{
    CLEANUP(tracer_free_p) struct tracer *t = calloc(1, sizeof *t);
    if (!t)
        return err_errno(err, ENOMEM, "tracing a path");
    *t = (struct tracer){.way = *way, .nonce = nonce, .in = -1, .out = -1};
    if (way->protocol == IPPROTO_ICMP && way->source.family == AF_INET6)
        t->way.protocol = IPPROTO_ICMPV6;
    int r = open_end(lab, &t->way, false, &t->out, err);
    if (r == 0)
        r = open_end(lab, &t->way, true, &t->in, err);
    if (r < 0)
        return r;
    *ret = steal_ptr(t);
    return 0;
}

struct tracer *tracer_free(struct tracer *t)
{
    if (!t)
        return NULL;
    if (t->in >= 0)
        close(t->in);
    if (t->out >= 0)
        close(t->out);
    free(t->seen);
    free(t);
    return NULL;
}

void tracer_send(struct tracer *t, size_t bytes)
{
    uint8_t packet[PACKET_MAX];
    size_t most = PACKET_MAX - HEADER_MAX;
    if (t->way.mtu - 40 - HEADER_MAX < most)
        most = t->way.mtu - 40 - HEADER_MAX;
    bytes = bytes > most ? most : bytes < TRACER_LEAST ? TRACER_LEAST : bytes;
    size_t n = make_packet(t, bytes, packet);
    (void)send(t->in, packet, n, MSG_NOSIGNAL);
    t->sent++;
}

/* --- Arrivals --------------------------------------------------------------------------------- */

static struct tracer_seen *add_seen(struct tracer *t)
{
    if (t->n == t->room) {
        t->room = t->room ? 2 * t->room : 256;
        struct tracer_seen *more = realloc(t->seen, t->room * sizeof *more);
        if (!more)
            abort(); /* as the buffers of sim/base do */
        t->seen = more;
    }
    return &t->seen[t->n++];
}

static void take(struct tracer *t, const uint8_t *packet, size_t n, nsec arrived)
{
    struct payload p;
    size_t skip = t->way.source.family == AF_INET && n > 0 ? 4u * (packet[0] & 15u) : 0;
    skip += header_bytes(t->way.protocol);
    if (n < skip + sizeof p)
        return;
    memcpy(&p, packet + skip, sizeof p);
    if (p.nonce != t->nonce || p.seq >= t->sent)
        return; /* another tracer's, or damaged beyond recognition: then it counts as lost */
    *add_seen(t) = (struct tracer_seen){.seq = p.seq,
                                        .sent = p.sent,
                                        .arrived = arrived,
                                        .intact = p.digest == digest(packet + skip, n - skip)};
}

void tracer_receive(struct tracer *t)
{
    for (;;) {
        uint8_t packet[PACKET_MAX + 64];
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct timespec))];
        struct iovec v = {packet, sizeof packet};
        struct msghdr m = {.msg_iov = &v,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
        ssize_t n = recvmsg(t->out, &m, 0);
        if (n < 0)
            return;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
            if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
                struct timespec at;
                memcpy(&at, CMSG_DATA(c), sizeof at);
                take(t, packet, (size_t)n, (nsec)at.tv_sec * NSEC_SEC + at.tv_nsec);
            }
    }
}

size_t tracer_sent(const struct tracer *t)
{
    return t->sent;
}

const struct tracer_seen *tracer_all(const struct tracer *t, size_t *ret_n)
{
    *ret_n = t->n;
    return t->seen;
}
