/* Packets of our own towards an address. See knock.h. */
#include "injectors/net/partition/knock.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <string.h>

#include "sim/kernel/netns.h"

#define KNOCK_MAGIC 0x626c61636b737461ull /* "blacksta" */

struct payload {
    uint64_t magic, path;
};

struct echo {
    uint8_t type, code;
    uint16_t checksum, id, sequence;
    struct payload payload;
};

/* RFC 9260: common header, INIT, and a parameter of a type that nobody knows and that is to be skipped
 * (its upper bits 10). */
#define SCTP_INIT 1
#define SCTP_SKIPPED 0x8b1a
#define SCTP_WINDOW 65536
struct association {
    uint16_t source_port, port;
    uint32_t tag, checksum;
    uint8_t type, flags;
    uint16_t length;
    uint32_t initiate_tag, window;
    uint16_t outbound, inbound;
    uint32_t sequence;
    uint16_t parameter, parameter_length;
    uint8_t payload[sizeof(struct payload)];
};
_Static_assert(sizeof(struct association) == 12 + 20 + 4 + sizeof(struct payload),
               "as on the wire");

int knock_protocol(const struct cut_scope *s, size_t i)
{
    if (s->protocol)
        return s->protocol;
    return (s->ports.n > 0 || s->new_only) && i % 2 == 0 ? IPPROTO_TCP : IPPROTO_UDP;
}

socklen_t knock_address(const struct inet_prefix *p, uint16_t port, struct sockaddr_storage *ret)
{
    *ret = (struct sockaddr_storage){.ss_family = p->family};
    if (p->family == AF_INET) {
        struct sockaddr_in *to = (struct sockaddr_in *)ret;
        memcpy(&to->sin_addr, p->addr, 4);
        to->sin_port = htons(port);
        return sizeof *to;
    }
    struct sockaddr_in6 *to = (struct sockaddr_in6 *)ret;
    memcpy(&to->sin6_addr, p->addr, 16);
    to->sin6_port = htons(port);
    return sizeof *to;
}

/* --- Packets ---------------------------------------------------------------------------------- */

static uint16_t checksum(const void *data, size_t n)
{
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < n; i += 2) {
        uint16_t word;
        memcpy(&word, (const char *)data + i, sizeof word);
        sum += word;
    }
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* CRC-32C (RFC 9260, appendix A), least significant bit first. */
static uint32_t crc32c(const void *data, size_t n)
{
    const uint8_t *b = data;
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        crc ^= b[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static bool send_echo(int fd, int family, const struct payload *p)
{
    struct echo echo = {.type = family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
                        .id = (uint16_t)p->path,
                        .payload = *p};
    if (family == AF_INET) /* that of ICMPv6 is the kernel's business */
        echo.checksum = checksum(&echo, sizeof echo);
    return send(fd, &echo, sizeof echo, MSG_NOSIGNAL) == (ssize_t)sizeof echo;
}

static bool send_association(int fd, const struct knock *k, const struct payload *p)
{
    struct association a = {
        .source_port = htons(k->source_port),
        .port = htons(k->port),
        .type = SCTP_INIT,
        .length = htons(sizeof a - 12),
        .initiate_tag = htonl((uint32_t)k->path + 1), /* 0 is forbidden */
        .window = htonl(SCTP_WINDOW),
        .outbound = htons(1),
        .inbound = htons(1),
        .sequence = htonl(1),
        .parameter = htons(SCTP_SKIPPED),
        .parameter_length = htons(4 + sizeof a.payload),
    };
    memcpy(a.payload, p, sizeof *p);
    uint32_t crc =
        crc32c(&a, sizeof a); /* the lowest byte goes first, whatever this machine does */
    const uint8_t bytes[4] = {(uint8_t)crc, (uint8_t)(crc >> 8), (uint8_t)(crc >> 16),
                              (uint8_t)(crc >> 24)};
    memcpy(&a.checksum, bytes, sizeof bytes);
    return send(fd, &a, sizeof a, MSG_NOSIGNAL) == (ssize_t)sizeof a;
}

/* --- Sending ---------------------------------------------------------------------------------- */

static int open_socket(const struct knock *k, int *ret_fd)
{
    int family = k->target->family;
    switch (k->l4proto) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
        return netns_socket(k->netns, family,
                            (k->l4proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK,
                            0, ret_fd, NULL);
    case IPPROTO_ICMP:
        return netns_socket(k->netns, family, SOCK_RAW | SOCK_NONBLOCK,
                            family == AF_INET ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6, ret_fd,
                            NULL);
    default:
        return netns_socket(k->netns, family, SOCK_RAW | SOCK_NONBLOCK, k->l4proto, ret_fd, NULL);
    }
}

/* A drop at the sender's own output is EPERM to it; a refusal there reaches it before we ask. */
static bool was_sent(bool ok)
{
    return ok || errno == EPERM || errno == ECONNREFUSED || errno == EINPROGRESS;
}

int knock_send(const struct knock *k, int *ret_fd)
{
    AUTO_CLOSE int fd = -1;
    struct payload p = {KNOCK_MAGIC, k->path};
    struct sockaddr_storage from, to;
    bool raw = k->l4proto == IPPROTO_ICMP || k->l4proto == IPPROTO_SCTP;
    if (open_socket(k, &fd) < 0)
        return 1;
    if (k->source) {
        socklen_t n = knock_address(k->source, raw ? 0 : k->source_port, &from);
        if (bind(fd, (struct sockaddr *)&from, n) < 0)
            return 1;
    }
    socklen_t n = knock_address(k->target, raw ? 0 : k->port, &to);
    bool ok = connect(fd, (struct sockaddr *)&to, n) == 0;
    if (ok && k->l4proto == IPPROTO_UDP)
        ok = send(fd, &p, sizeof p, MSG_NOSIGNAL) == (ssize_t)sizeof p;
    else if (ok && k->l4proto == IPPROTO_ICMP)
        ok = send_echo(fd, k->target->family, &p);
    else if (ok && k->l4proto == IPPROTO_SCTP)
        ok = send_association(fd, k, &p);
    if (!was_sent(ok))
        return 1;
    *ret_fd = steal_fd(&fd);
    return 0;
}

/* --- What came of it -------------------------------------------------------------------------- */

/* Asking for the error of a socket takes it away: the first answer counts. */
static void collect_tcp(int fd, bool *come, bool *refused)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t len = sizeof error;
    if (poll(&p, 1, 0) != 1 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return;
    *refused = *refused || error == ECONNREFUSED;
    *come = *come || (error == 0 && !*refused);
}

/* Where our payload stands in what such a socket is given; SIZE_MAX: it is something else. */
static size_t payload_at(const char *got, size_t n, int family, int l4proto)
{
    bool raw = l4proto == IPPROTO_ICMP || l4proto == IPPROTO_SCTP;
    size_t head = raw && family == AF_INET && n > 0 ? (size_t)(got[0] & 0x0f) * 4 : 0;
    if (l4proto == IPPROTO_SCTP)
        return head + offsetof(struct association, payload);
    if (l4proto != IPPROTO_ICMP)
        return head;
    uint8_t answer = family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
    return n > head && (uint8_t)got[head] == answer ? head + offsetof(struct echo, payload)
                                                    : SIZE_MAX;
}

static bool is_ours(const char *got, size_t n, int family, int l4proto, uint64_t path)
{
    struct payload p;
    size_t at = payload_at(got, n, family, l4proto);
    if (at > n || n - at < sizeof p)
        return false;
    memcpy(&p, got + at, sizeof p);
    return p.magic == KNOCK_MAGIC && p.path == path;
}

void knock_collect(int fd, int family, int l4proto, uint64_t path, bool *come, bool *refused)
{
    char got[256];
    if (l4proto == IPPROTO_TCP) {
        collect_tcp(fd, come, refused);
        return;
    }
    for (;;) {
        ssize_t n = recv(fd, got, sizeof got, MSG_DONTWAIT);
        if (n >= 0)
            *come = *come || is_ours(got, (size_t)n, family, l4proto, path);
        else if (errno == ECONNREFUSED)
            *refused = true; /* there may be something behind it */
        else
            return;
    }
}
