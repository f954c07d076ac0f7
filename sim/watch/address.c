/* Addresses of probes. */
#include "sim/watch/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static bool address_set(const char *text, unsigned port, struct address *a)
{
    *a = (struct address){0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&a->ss;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a->ss;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        a->len = sizeof *v4;
        return true;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        a->len = sizeof *v6;
        return true;
    }
    return false;
}

/* "10.20.0.11/24" without the prefix length. */
static bool first_address(const struct host *h, char *buf, size_t size)
{
    if (!h || !h->lab || h->lab->addresses.n == 0)
        return false;
    snprintf(buf, size, "%s", h->lab->addresses.items[0]);
    buf[strcspn(buf, "/")] = '\0';
    return true;
}

static bool port_parse(const char *text, unsigned *ret)
{
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > 5 || text[n] != '\0')
        return false;
    unsigned long port = strtoul(text, NULL, 10);
    *ret = (unsigned)port;
    return port >= 1 && port <= 65535;
}

int address_parse(const struct scenario *s, const char *text, bool with_port, struct address *ret,
                  struct err *err)
{
    char place[128];
    snprintf(place, sizeof place, "%s", text);
    char *host = place;
    unsigned port = 0;
    if (with_port) {
        char *colon = strrchr(place, ':');
        if (!colon || !port_parse(colon + 1, &port))
            return err_set(err, EINVAL,
                           "'%s' has no port from 1 to 65535; write ADDRESS:PORT or [IPV6]:PORT",
                           text);
        *colon = '\0';
        size_t n = strlen(place);
        if (place[0] == '[' && n > 2 && place[n - 1] == ']') {
            place[n - 1] = '\0';
            host = place + 1;
        } else if (strchr(place, ':')) {
            return err_set(err, EINVAL, "'%s': an IPv6 address stands in brackets: [ADDRESS]:PORT",
                           text);
        }
    }
    char first[128];
    if (first_address(scenario_host(s, host), first, sizeof first))
        host = first;
    struct address a;
    if (!address_set(host, port, &a))
        return err_set(err, EINVAL, "'%s' is neither an address nor a host of this scenario", host);
    *ret = a;
    return 0;
}
