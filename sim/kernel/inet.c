/* Addresses and prefixes; see inet.h. */
#include "sim/kernel/inet.h"

#include "sim/base/units.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

int inet_parse(const char *text, struct inet_prefix *ret, struct err *err)
{
    char addr[INET_TEXT_MAX];
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    if (n >= sizeof addr)
        return err_set(err, EINVAL, "\"%s\" is not an IP address", text);
    memcpy(addr, text, n);
    addr[n] = '\0';

    struct inet_prefix p = {.family = AF_INET, .len = 32};
    if (inet_pton(AF_INET, addr, p.addr) != 1) {
        p = (struct inet_prefix){.family = AF_INET6, .len = 128};
        if (inet_pton(AF_INET6, addr, p.addr) != 1)
            return err_set(err, EINVAL, "\"%s\" is not an IP address", text);
    }
    if (slash) {
        int64_t len;
        if (units_integer(slash + 1, &len, NULL) < 0 || len < 0 || len > p.len)
            return err_set(err, EINVAL, "\"%s\": the prefix length must be a number from 0 to %d",
                           text, p.len);
        p.len = (uint8_t)len;
    }
    *ret = p;
    return 0;
}

size_t inet_bytes(const struct inet_prefix *p)
{
    return p->family == AF_INET6 ? 16 : 4;
}

const char *inet_text(const struct inet_prefix *p, char buf[INET_TEXT_MAX])
{
    if (!inet_ntop(p->family, p->addr, buf, INET_TEXT_MAX))
        buf[0] = '\0';
    if (p->len < 8 * inet_bytes(p)) {
        size_t n = strlen(buf);
        snprintf(buf + n, INET_TEXT_MAX - n, "/%u", p->len);
    }
    return buf;
}

struct inet_prefix inet_masked(const struct inet_prefix *p)
{
    struct inet_prefix net = *p;
    for (size_t i = 0; i < inet_bytes(p); i++) {
        size_t first = 8 * i;
        if (first >= p->len)
            net.addr[i] = 0;
        else if (p->len - first < 8)
            net.addr[i] &= (uint8_t)(0xff << (8 - (p->len - first)));
    }
    return net;
}

bool inet_contains(const struct inet_prefix *net, const struct inet_prefix *addr)
{
    if (net->family != addr->family || addr->len < net->len)
        return false;
    struct inet_prefix narrow = *addr;
    narrow.len = net->len;
    struct inet_prefix a = inet_masked(net), b = inet_masked(&narrow);
    return memcmp(a.addr, b.addr, inet_bytes(net)) == 0;
}

int inet_mac_parse(const char *text, struct inet_mac *ret, struct err *err)
{
    struct inet_mac m;
    char end;
    if (strlen(text) != 17 || sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%c", &m.b[0],
                                     &m.b[1], &m.b[2], &m.b[3], &m.b[4], &m.b[5], &end) != 6)
        return err_set(err, EINVAL, "\"%s\" is not a hardware address like 02:00:5e:00:00:01",
                       text);
    *ret = m;
    return 0;
}

const char *inet_mac_text(const struct inet_mac *m, char buf[INET_MAC_TEXT_MAX])
{
    snprintf(buf, INET_MAC_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", m->b[0], m->b[1], m->b[2],
             m->b[3], m->b[4], m->b[5]);
    return buf;
}

struct inet_prefix inet_address(uint8_t family, const void *bytes)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct inet_prefix p = {.family = family, .len = family == AF_INET ? 32 : 128};
    memcpy(p.addr, bytes, inet_bytes(&p));
    if (family != AF_INET6 || memcmp(p.addr, mapped, sizeof mapped) != 0)
        return p;
    return inet_address(AF_INET, p.addr + sizeof mapped);
}

struct sockaddr_storage inet_endpoint(const struct inet_prefix *p, uint16_t port)
{
    struct sockaddr_storage ret = {.ss_family = p->family};
    if (p->family == AF_INET) {
        struct sockaddr_in *to = (struct sockaddr_in *)&ret;
        memcpy(&to->sin_addr, p->addr, 4);
        to->sin_port = htons(port);
    } else {
        struct sockaddr_in6 *to = (struct sockaddr_in6 *)&ret;
        memcpy(&to->sin6_addr, p->addr, 16);
        to->sin6_port = htons(port);
    }
    return ret;
}

socklen_t inet_endpoint_size(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

uint16_t inet_endpoint_port(const struct sockaddr_storage *a)
{
    return ntohs(a->ss_family == AF_INET ? ((const struct sockaddr_in *)a)->sin_port
                                         : ((const struct sockaddr_in6 *)a)->sin6_port);
}

struct inet_prefix inet_endpoint_address(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET)
        return inet_address(AF_INET, &((const struct sockaddr_in *)a)->sin_addr);
    return inet_address(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr);
}
