/* See own.h. */
#include "sim/proxy/own.h"

#include "sim/kernel/netns.h"
#include "sim/proxy/dns.h"
#include "sim/proxy/forge.h"
#include "sim/proxy/inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define SLACK (20 * NSEC_MSEC) /* below a delay: timers of both sides are not one */

enum stage { CONNECTING, WAITING, OVER };

struct own {
    struct proxy *proxy;
    const struct proxy_spec *spec;
    enum stage stage;
    int fd;
    uint16_t id;
    nsec since, until;
    SSL_CTX *ctx;
    SSL *ssl;
    char head[64];
    size_t head_n;
    struct own_seen seen;
};

static void say(struct own *o, bool as_asked, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void say(struct own *o, bool as_asked, const char *fmt, ...)
{
    char took[NSEC_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(o->seen.text, sizeof o->seen.text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof o->seen.text)
        snprintf(o->seen.text + n, sizeof o->seen.text - (size_t)n, " after %s",
                 nsec_text(nsec_now(CLOCK_MONOTONIC) - o->since, took));
    o->seen.as_asked = as_asked;
    o->stage = OVER;
}

static bool is_late_enough(const struct own *o, nsec delay)
{
    return nsec_now(CLOCK_MONOTONIC) - o->since >= delay - SLACK;
}

/* --- DNS -------------------------------------------------------------------------------------- */

static const char *rcode_word(int rcode)
{
    return rcode == DNS_NOERROR    ? "NOERROR"
           : rcode == DNS_SERVFAIL ? "SERVFAIL"
           : rcode == DNS_NXDOMAIN ? "NXDOMAIN"
                                   : "another code";
}

static bool is_among(const struct proxy_dns *f, const struct inet_prefix *a)
{
    for (size_t i = 0; i < f->addresses_n; i++)
        if (f->addresses[i].family == a->family &&
            !memcmp(f->addresses[i].addr, a->addr, inet_bytes(a)))
            return true;
    return false;
}

static void look_dns(struct own *o)
{
    const struct proxy_dns *f = &o->spec->dns;
    uint8_t message[1500];
    struct dns_seen seen;
    char address[INET_TEXT_MAX];
    ssize_t n = recv(o->fd, message, sizeof message, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0)
        say(o, false, "%s", strerror(errno));
    else if (!dns_read_reply(message, (size_t)n, o->id, &seen))
        return;
    else if (f->addresses_n)
        say(o, is_among(f, &seen.first), "the address %s",
            seen.first.family ? inet_text(&seen.first, address) : "none");
    else if (f->delay)
        say(o, is_late_enough(o, f->delay), "an answer");
    else
        say(o, !f->drop && seen.rcode == f->rcode, "%s", rcode_word(seen.rcode));
}

/* --- HTTP ------------------------------------------------------------------------------------- */

static void ask_http(struct own *o)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: blackstart.invalid\r\n"
                                  "User-Agent: blackstart\r\nConnection: close\r\n\r\n";
    if (send(o->fd, request, sizeof request - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        say(o, false, "%s", strerror(errno));
    o->stage = o->stage == OVER ? OVER : WAITING;
}

static void look_http(struct own *o)
{
    const struct proxy_http *f = &o->spec->http;
    ssize_t n = recv(o->fd, o->head + o->head_n, sizeof o->head - 1 - o->head_n, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0)
        say(o, f->abort && errno == ECONNRESET, "%s", strerror(errno));
    else if (n == 0)
        say(o, false, "the end of the connection");
    else
        o->head_n += (size_t)n;
    if (o->stage == OVER || o->head_n < 12)
        return;
    int status = (int)strtol(o->head + 9, NULL, 10);
    if (f->delay)
        say(o, is_late_enough(o, f->delay), "an answer");
    else
        say(o, f->status == status, "status %d", status);
}

/* --- TLS -------------------------------------------------------------------------------------- */

static const char *const flaw_words[] = {
    [FLAW_EXPIRED] = "an expired certificate",
    [FLAW_WRONG_NAME] = "a certificate with a wrong name",
    [FLAW_SELF_SIGNED] = "a self-signed certificate",
    [FLAW_NOT_YET_VALID] = "a certificate that is not yet valid",
};

static void ask_tls(struct own *o)
{
    o->ctx = SSL_CTX_new(TLS_client_method());
    if (!o->ctx)
        abort();
    SSL_CTX_set_verify(o->ctx, SSL_VERIFY_NONE, NULL); /* it is looked at here */
    SSL_CTX_set_min_proto_version(o->ctx, TLS1_VERSION);
    SSL_CTX_set_security_level(o->ctx, 0);
    o->ssl = SSL_new(o->ctx);
    if (!o->ssl)
        abort();
    SSL_set_fd(o->ssl, o->fd);
    o->stage = WAITING;
}

static void look_tls(struct own *o)
{
    ERR_clear_error();
    int r = SSL_connect(o->ssl);
    int code = r == 1 ? SSL_ERROR_NONE : SSL_get_error(o->ssl, r);
    if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE)
        return;
    X509 *c = r == 1 ? SSL_get1_peer_certificate(o->ssl) : NULL;
    if (!c) {
        say(o, false, "no certificate (the server behind does not answer, or not by TLS)");
        return;
    }
    int flaw = forge_flaw_of(c, nsec_now(CLOCK_REALTIME));
    say(o, flaw == (int)o->spec->tls.flaw, "%s",
        flaw < 0 ? "a certificate without a flaw" : flaw_words[flaw]);
    X509_free(c);
}

/* --- All -------------------------------------------------------------------------------------- */

static void timed_out(struct own *o)
{
    bool lost = o->spec->kind == PROXY_DNS && o->spec->dns.drop;
    say(o, lost, "no answer");
}

static void look_connecting(struct own *o)
{
    struct pollfd p = {.fd = o->fd, .events = POLLOUT};
    int code = 0;
    socklen_t n = sizeof code;
    if (poll(&p, 1, 0) <= 0)
        return;
    if (getsockopt(o->fd, SOL_SOCKET, SO_ERROR, &code, &n) < 0 || code)
        say(o, false, "%s", strerror(code ? code : errno));
    else if (o->spec->kind == PROXY_HTTP)
        ask_http(o);
    else
        ask_tls(o);
}

int own_look(struct own *o, struct own_seen *ret)
{
    if (o->stage == CONNECTING)
        look_connecting(o);
    if (o->stage == WAITING && o->spec->kind == PROXY_DNS)
        look_dns(o);
    else if (o->stage == WAITING && o->spec->kind == PROXY_HTTP)
        look_http(o);
    else if (o->stage == WAITING)
        look_tls(o);
    if (o->stage != OVER && nsec_now(CLOCK_MONOTONIC) >= o->until)
        timed_out(o);
    if (o->stage != OVER)
        return 1;
    *ret = o->seen;
    return 0;
}

/* The port must be known to the proxy before the first packet. */
static int announce(struct own *o, int family, struct err *err)
{
    struct sockaddr_storage at = {.ss_family = (sa_family_t)family};
    socklen_t n = sizeof at;
    if (bind(o->fd, (struct sockaddr *)&at, inet_endpoint_size(&at)) < 0 ||
        getsockname(o->fd, (struct sockaddr *)&at, &n) < 0)
        return err_errno(err, errno, "opening a socket for a request of our own");
    return proxy_expect(o->proxy, inet_endpoint_port(&at), err);
}

int own_start(struct proxy *p, const struct proxy_spec *spec, int netns_fd,
              const struct inet_prefix *to, const char *name, nsec within, struct own **ret,
              struct err *err)
{
    bool dns = spec->kind == PROXY_DNS;
    struct sockaddr_storage target = inet_endpoint(to, dns ? PROXY_DNS_PORT : spec->port);
    CLEANUP(own_free_p) struct own *o = calloc(1, sizeof *o);
    if (!o)
        return err_errno(err, ENOMEM, "making a request of our own");
    *o = (struct own){.spec = spec, .fd = -1, .stage = dns ? WAITING : CONNECTING, .id = 0xb5a7};
    int r = netns_socket(netns_fd, target.ss_family,
                         (dns ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0, &o->fd, err);
    if (r < 0)
        return r;
    o->proxy = p;
    r = announce(o, target.ss_family, err);
    if (r < 0)
        return r;
    o->since = nsec_now(CLOCK_MONOTONIC);
    o->until = nsec_add(o->since, within);
    if (connect(o->fd, (struct sockaddr *)&target, inet_endpoint_size(&target)) < 0 &&
        errno != EINPROGRESS)
        return err_errno(err, errno, "a request of our own cannot be sent");
    if (dns) {
        uint8_t query[512];
        size_t n = dns_query(
            o->id, name,
            spec->dns.addresses_n && spec->dns.addresses[0].family == AF_INET6 ? DNS_AAAA : DNS_A,
            query, sizeof query);
        if (send(o->fd, query, n, MSG_DONTWAIT) < 0)
            return err_errno(err, errno, "a query of our own cannot be sent");
    }
    *ret = steal_ptr(o);
    return 0;
}

struct own *own_free(struct own *o)
{
    if (!o)
        return NULL;
    if (o->proxy)
        (void)proxy_expect(o->proxy, 0, NULL);
    SSL_free(o->ssl);
    SSL_CTX_free(o->ctx);
    if (o->fd >= 0)
        close(o->fd);
    free(o);
    return NULL;
}
