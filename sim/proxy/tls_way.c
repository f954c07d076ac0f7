/* TLS through a proxy: the client gets a bad certificate with the names of the real one; what it says
 * then goes to the real server by TLS of our own.
 *
 * The order: the client's first message is read (whom it wants, which protocols it speaks), the server is
 * asked the same way, its certificate is copied with the flaw, and only then the client is answered, with
 * the protocol that the server chose. What does not begin as TLS (also: where the server speaks first)
 * passes unread.
 *
 * Limits: a server that asks for a client's certificate gets none.
 */
#include "sim/proxy/forge.h"
#include "sim/proxy/relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TLS_HANDSHAKE 22 /* the first byte of a connection of TLS */

struct tls_way {
    struct inside *in;
    struct forge *forge;
    SSL_CTX *server, *client;
};

enum stage { SNIFF, HELLO, UPSTREAM, ACCEPT };

struct tls_link {
    struct tls_way *way;
    enum stage stage;
    SSL *client, *server;
};

/* --- As wires --------------------------------------------------------------------------------- */

static ssize_t tls_result(SSL *ssl, int r)
{
    int code = errno;
    switch (SSL_get_error(ssl, r)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        return code ? -code : -EPIPE;
    default:
        return -EPROTO;
    }
}

static ssize_t tls_read(void *wire, void *p, size_t n)
{
    ERR_clear_error();
    errno = 0;
    int r = SSL_read(wire, p, (int)n);
    return r > 0 ? r : tls_result(wire, r);
}

static ssize_t tls_write(void *wire, const void *p, size_t n)
{
    ERR_clear_error();
    errno = 0;
    int r = SSL_write(wire, p, n > 1 << 30 ? 1 << 30 : (int)n);
    ssize_t done = r > 0 ? r : tls_result(wire, r);
    return done == 0 ? -EPIPE : done;
}

static void tls_finish(void *wire)
{
    ERR_clear_error();
    SSL_shutdown(wire);
}

static const struct relay_wire tls_wire = {tls_read, tls_write, tls_finish};

/* --- Handshakes ------------------------------------------------------------------------------- */

/* The name in the client's first message: a list of one entry, type 0 (RFC 6066, 3). */
static void take_name(SSL *client, SSL *server)
{
    const unsigned char *p;
    size_t n;
    char name[256];
    if (SSL_client_hello_get0_ext(client, TLSEXT_TYPE_server_name, &p, &n) != 1 || n < 5 ||
        p[2] != 0)
        return;
    size_t len = (size_t)(p[3] << 8 | p[4]);
    if (len == 0 || len + 5 > n || len >= sizeof name)
        return;
    memcpy(name, p + 5, len);
    name[len] = '\0';
    SSL_set_tlsext_host_name(server, name);
}

static void take_protocols(SSL *client, SSL *server)
{
    const unsigned char *p;
    size_t n;
    if (SSL_client_hello_get0_ext(client, TLSEXT_TYPE_application_layer_protocol_negotiation, &p,
                                  &n) == 1 &&
        n > 2)
        SSL_set_alpn_protos(server, p + 2, (unsigned)(n - 2));
}

static int on_hello(SSL *client, int *alert, void *arg)
{
    struct tls_link *l = SSL_get_app_data(client);
    if (l->stage == ACCEPT)
        return SSL_CLIENT_HELLO_SUCCESS;
    if (l->stage == HELLO) {
        take_name(client, l->server);
        take_protocols(client, l->server);
        l->stage = UPSTREAM;
    }
    return SSL_CLIENT_HELLO_RETRY;
}

/* What the server chose; it was offered what the client speaks. */
static int on_protocols(SSL *client, const unsigned char **ret, unsigned char *ret_n,
                        const unsigned char *in, unsigned n, void *arg)
{
    struct tls_link *l = SSL_get_app_data(client);
    const unsigned char *chosen;
    unsigned chosen_n;
    SSL_get0_alpn_selected(l->server, &chosen, &chosen_n);
    if (!chosen_n || chosen_n > 255)
        return SSL_TLSEXT_ERR_NOACK;
    *ret = chosen;
    *ret_n = (unsigned char)chosen_n;
    return SSL_TLSEXT_ERR_OK;
}

static bool give_certificate(struct tls_link *l)
{
    X509 *real = SSL_get1_peer_certificate(l->server), *bad = NULL;
    int r = real ? forge_certificate(l->way->forge, real, nsec_now(CLOCK_REALTIME), &bad, NULL)
                 : -ENOENT;
    bool ok = r == 0 && SSL_use_certificate(l->client, bad) == 1 &&
              SSL_use_PrivateKey(l->client, forge_key(l->way->forge)) == 1;
    X509_free(real);
    X509_free(bad);
    return ok;
}

/* 1: done; 0: goes on when `s` can; -1: failed. */
static int handshake(struct relay_side *s, SSL *ssl, int (*step)(SSL *))
{
    ERR_clear_error();
    int r = step(ssl);
    if (r == 1)
        return 1;
    switch (SSL_get_error(ssl, r)) {
    case SSL_ERROR_WANT_READ:
        s->want = EPOLLIN;
        return 0;
    case SSL_ERROR_WANT_WRITE:
        s->want = EPOLLOUT;
        return 0;
    case SSL_ERROR_WANT_CLIENT_HELLO_CB:
        s->want = 0;
        return 0;
    default:
        return -1;
    }
}

/* 1: a byte is there, in *ret; 0: none yet; -1: nothing comes any more. */
static int peek(const struct relay_side *s, unsigned char *ret)
{
    ssize_t n = s->fd < 0 ? 0 : recv(s->fd, ret, 1, MSG_PEEK | MSG_DONTWAIT);
    return n > 0 ? 1 : n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static void begin_tls(struct relay *r, struct tls_link *l)
{
    inside_count_hit(r->in, r->own);
    if (!r->own)
        r->in->counts.seen++;
    l->client = SSL_new(l->way->server);
    l->server = SSL_new(l->way->client);
    if (!l->client || !l->server)
        abort();
    SSL_set_app_data(l->client, l);
    SSL_set_fd(l->client, r->side[RELAY_CLIENT].fd);
    SSL_set_fd(l->server, r->side[RELAY_SERVER].fd);
    l->stage = HELLO;
}

static void sniff(struct relay *r, struct tls_link *l)
{
    struct relay_side *client = &r->side[RELAY_CLIENT], *server = &r->side[RELAY_SERVER];
    unsigned char first = 0;
    int c = peek(client, &first);
    if (c > 0 && first == TLS_HANDSHAKE) {
        begin_tls(r, l);
        return;
    }
    if (c != 0 || (!server->connecting && peek(server, &first) != 0)) {
        if (c > 0 || !server->connecting)
            r->in->counts.foreign += c >= 0;
        r->opening = false;
        return;
    }
    client->want = server->want = EPOLLIN;
}

static void tls_open(struct relay *r)
{
    struct tls_link *l = r->state;
    struct relay_side *client = &r->side[RELAY_CLIENT], *server = &r->side[RELAY_SERVER];
    int done = 1;
    if (l->stage == SNIFF)
        sniff(r, l);
    if (l->stage == HELLO) {
        server->want = 0;
        done = handshake(client, l->client, SSL_accept);
    }
    if (l->stage == UPSTREAM && !server->connecting) {
        client->want = 0;
        done = handshake(server, l->server, SSL_connect);
        if (done > 0) {
            done = give_certificate(l) ? 1 : -1;
            l->stage = ACCEPT;
        }
        if (done < 0)
            r->in->counts.failed++; /* it does not speak TLS, or not with us */
    }
    if (l->stage == ACCEPT && done >= 0) {
        server->want = 0;
        done = handshake(client, l->client, SSL_accept);
        if (done > 0) {
            r->opening = false;
            for (int i = 0; i < 2; i++)
                r->side[i].wire = &tls_wire;
            client->wire_data = l->client;
            server->wire_data = l->server;
        }
    }
    if (done < 0 && l->stage == ACCEPT)
        relay_close(r); /* the client did not like what it saw, as it should */
    else if (done < 0)
        relay_reset(r);
}

static void tls_free(struct relay *r)
{
    struct tls_link *l = r->state;
    SSL_free(l->client);
    SSL_free(l->server);
    free(l);
}

/* --- The way ---------------------------------------------------------------------------------- */

int tls_way_open(struct inside *in, struct err *err)
{
    struct tls_way *w = calloc(1, sizeof *w);
    if (!w)
        return err_errno(err, ENOMEM, "making a TLS server");
    w->in = in;
    int r = forge_new(&in->spec->tls, &w->forge, err);
    if (r < 0) {
        free(w);
        return r;
    }
    w->server = SSL_CTX_new(TLS_server_method());
    w->client = SSL_CTX_new(TLS_client_method());
    if (!w->server || !w->client)
        abort();
    SSL_CTX *all[] = {w->server, w->client};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        SSL_CTX_set_mode(all[i],
                         SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_min_proto_version(all[i],
                                      TLS1_VERSION); /* whatever both of them would agree on */
        SSL_CTX_set_security_level(all[i], 0);
        SSL_CTX_set_options(all[i], SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
    }
    SSL_CTX_set_session_cache_mode(w->server, SSL_SESS_CACHE_OFF); /* each sees the certificate */
    SSL_CTX_set_verify(w->client, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_client_hello_cb(w->server, on_hello, NULL);
    SSL_CTX_set_alpn_select_cb(w->server, on_protocols, NULL);
    in->tls = w;
    return 0;
}

void tls_way_accept(struct inside *in, int fd, const struct sockaddr_storage *from)
{
    static const struct relay_ops ops = {.open = tls_open, .free = tls_free};
    struct sockaddr_storage target;
    socklen_t n = sizeof target;
    if (getsockname(fd, (struct sockaddr *)&target, &n) < 0 ||
        inet_endpoint_port(&target) == in->listens.port) { /* asked for directly: not led here */
        close(fd);
        return;
    }
    struct tls_link *l = calloc(1, sizeof *l);
    if (!l)
        abort();
    l->way = in->tls;
    relay_new(in, fd, &target, inside_is_own(in, from), &ops, l);
}
