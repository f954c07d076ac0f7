/* The probe `icmp`: one echo request, one reply.
 *
 * One socket per probe. A raw socket sees every reply to anybody on this host: ours are told by a
 * random identifier and by the sequence number of the shot. Without CAP_NET_RAW the kernel's ping
 * socket is used, which sets the identifier itself (and exists only where
 * net.ipv4.ping_group_range says so).
 *
 * Errors on the way (unreachable) come through the error queue (IP_RECVERR, ip(7)) with our own
 * packet in them, so that they find their shot too.
 */
#include "sim/watch/address.h"
#include "sim/watch/vantage.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>

struct echo { /* the same for both families (RFC 792, RFC 4443) */
    uint8_t type, code;
    uint16_t checksum, id, seq;
    uint8_t payload[48];
};

struct icmp_probe {
    struct address address;
    struct loop_io io;
    struct loop *loop;
    struct prober *prober;
    int fd;
    bool is_raw, is_v6;
    uint16_t id;
};

static int icmp_check(const struct scenario *s, const void *params, struct err *err)
{
    const struct icmp_params *icmp = params;
    struct address a;
    return address_parse(s, icmp->address, false, &a, err);
}

static uint16_t checksum(const void *data, size_t n)
{
    const uint8_t *b = data;
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < n; i += 2)
        sum += (uint32_t)(b[i] << 8 | b[i + 1]);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

/* Sequence numbers wrap after 65,536 requests; far fewer are outstanding. */
static struct shot *shot_of(struct icmp_probe *ip, uint16_t seq)
{
    for (struct shot *s = ip->prober->shots; s; s = s->next)
        if ((uint16_t)s->n == seq)
            return s;
    return NULL;
}

static void icmp_reply(struct icmp_probe *ip, nsec now)
{
    uint8_t packet[2048];
    ssize_t got = recv(ip->fd, packet, sizeof packet, MSG_DONTWAIT);
    if (got < 0)
        return;
    size_t skip = 0;
    if (ip->is_raw && !ip->is_v6) { /* raw IPv4 sockets deliver the header too */
        if (got < 20)
            return;
        skip = (size_t)(packet[0] & 15) * 4;
    }
    struct echo e;
    if ((size_t)got < skip + offsetof(struct echo, payload))
        return;
    memcpy(&e, packet + skip, offsetof(struct echo, payload));
    if (e.type != (ip->is_v6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY) || (ip->is_raw && e.id != ip->id))
        return;
    struct shot *s = shot_of(ip, ntohs(e.seq));
    if (s)
        shot_end(s, WHY_GOOD, now, NULL);
}

/* True when one was taken from the queue. */
static bool icmp_error(struct icmp_probe *ip, nsec now)
{
    uint8_t packet[512], control[512];
    struct iovec iov = {packet, sizeof packet};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(ip->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);
    if (got < 0)
        return false;
    struct sock_extended_err ee = {0};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
        if ((c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) ||
            (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR))
            memcpy(&ee, CMSG_DATA(c), sizeof ee);
    struct echo e;
    if ((size_t)got < offsetof(struct echo, payload) || ee.ee_errno == 0)
        return true;
    memcpy(&e, packet, offsetof(struct echo, payload));
    if (ip->is_raw && e.id != ip->id)
        return true;
    struct shot *s = shot_of(ip, ntohs(e.seq));
    if (s)
        shot_end(s, why_of_errno((int)ee.ee_errno), now, strerror((int)ee.ee_errno));
    return true;
}

/* All there are, and the last one noted on the socket: else the next send would return it. */
static void icmp_errors(struct icmp_probe *ip)
{
    nsec now = nsec_now(CLOCK_MONOTONIC);
    while (icmp_error(ip, now))
        ;
    int code;
    socklen_t len = sizeof code;
    getsockopt(ip->fd, SOL_SOCKET, SO_ERROR, &code, &len);
}

static void icmp_ready(struct loop_io *io, uint32_t events, void *data)
{
    (void)io;
    struct icmp_probe *ip = data;
    if (events & EPOLLERR)
        icmp_errors(ip);
    if (events & EPOLLIN)
        icmp_reply(ip, nsec_now(CLOCK_MONOTONIC));
}

static int icmp_socket(struct icmp_probe *ip, struct err *err)
{
    int family = ip->address.ss.ss_family, one = 1;
    int protocol = ip->is_v6 ? (int)IPPROTO_ICMPV6 : (int)IPPROTO_ICMP;
    ip->is_raw = true;
    ip->fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    if (ip->fd < 0 && (errno == EPERM || errno == EACCES)) {
        ip->is_raw = false;
        ip->fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    }
    if (ip->fd < 0)
        return err_errno(err, errno,
                         "neither a raw nor a ping socket can be had; run as root, or widen "
                         "net.ipv4.ping_group_range");
    if (ip->is_raw && ip->is_v6) {
        struct icmp6_filter only;
        ICMP6_FILTER_SETBLOCKALL(&only);
        ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &only);
        setsockopt(ip->fd, IPPROTO_ICMPV6, ICMP6_FILTER, &only, sizeof only);
    } else if (ip->is_raw) {
        uint32_t blocked = ~(1u << ICMP_ECHOREPLY); /* raw(7): ICMP_FILTER */
        setsockopt(ip->fd, SOL_RAW, 1, &blocked, sizeof blocked);
    }
    if (ip->is_v6)
        setsockopt(ip->fd, SOL_IPV6, IPV6_RECVERR, &one, sizeof one);
    else
        setsockopt(ip->fd, SOL_IP, IP_RECVERR, &one, sizeof one);
    return 0;
}

static int icmp_open(struct prober *p, struct err *err)
{
    const struct icmp_params *icmp = p->probe->params;
    struct icmp_probe *ip = calloc(1, sizeof *ip);
    if (!ip)
        abort();
    *ip = (struct icmp_probe){
        .fd = -1, .prober = p, .loop = p->vantage->loop, .io = {.fn = icmp_ready, .data = ip}};
    p->state = ip;
    int r = address_parse(p->vantage->scenario, icmp->address, false, &ip->address, err);
    if (r < 0)
        return r;
    ip->is_v6 = ip->address.ss.ss_family == AF_INET6;
    if (getrandom(&ip->id, sizeof ip->id, 0) < 0)
        ip->id = (uint16_t)getpid();
    r = icmp_socket(ip, err);
    return r < 0 ? r : loop_io_add(ip->loop, &ip->io, ip->fd, EPOLLIN, err);
}

static void icmp_start(struct shot *shot)
{
    struct icmp_probe *ip = shot->prober->state;
    struct echo e = {.type = ip->is_v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO,
                     .id = ip->id,
                     .seq = htons((uint16_t)shot->n)};
    if (!ip->is_v6) /* the kernel sums ICMPv6, which covers its addresses */
        e.checksum = checksum(&e, sizeof e);
    icmp_errors(ip);
    /* Not connect(2): a route that is missing now may be there for the next one. */
    shot_starts(shot, nsec_now(CLOCK_MONOTONIC));
    ssize_t n = sendto(ip->fd, &e, sizeof e, MSG_DONTWAIT | MSG_NOSIGNAL,
                       (const struct sockaddr *)&ip->address.ss, ip->address.len);
    if (n < 0) {
        int code = errno;
        shot_end(shot, why_of_errno(code), nsec_now(CLOCK_MONOTONIC), strerror(code));
    }
}

static void icmp_cancel(struct shot *shot)
{
    (void)shot; /* nothing is held for it; a late reply finds no shot */
}

static void icmp_close(struct prober *p)
{
    struct icmp_probe *ip = p->state;
    if (!ip)
        return;
    loop_io_remove(ip->loop, &ip->io);
    if (ip->fd >= 0)
        close(ip->fd);
    free(ip);
}

const struct probe_kind probe_icmp = {
    .check = icmp_check,
    .open = icmp_open,
    .start = icmp_start,
    .cancel = icmp_cancel,
    .close = icmp_close,
};
