/* A small HTTP server on the loop: it takes whole requests and answers each with bytes, or with a
 * stream that goes on (server-sent events).
 *
 * Made for receivers of alerts and for pages that strangers can reach: limits on the size of a body,
 * on the number of connections in all and from one address, on the time from a connection's
 * beginning (or from its last answer) to the last byte of its request, and on what may wait for a
 * client that does not read its stream. What is above a limit is refused or cut off, never waited
 * for.
 *
 * Ownership: http_server_new() … http_server_free(). All callbacks come from the loop; they must not
 * free the server. Everything in a `struct http_asked` is borrowed until on_request returns.
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/loop/loop.h"
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct http_server;

#define HTTP_PEER_MAX INET6_ADDRSTRLEN

struct http_asked {
    nsec accepted;             /* CLOCK_MONOTONIC: when its connection was taken */
    nsec complete;             /* when its last byte had been read */
    const char *method, *path; /* the path, percent-decoded (a NUL is then '?'), without a query */
    const char *body;          /* NUL-terminated; "" without one */
    size_t body_n;
    bool body_too_large; /* above body_max: `body` is then "" */
    const char *peer;    /* the address it came from */
    void *connection;    /* the server's */
};

struct http_stream;

struct http_reply {
    unsigned status;
    const char *text;           /* copied; NULL: none */
    const char *type;           /* NULL: plain text in UTF-8 */
    const char *authenticate;   /* value of WWW-Authenticate (a 401 must have one); NULL: none */
    struct buf body;            /* sent instead of `text` unless empty; the server frees it */
    struct buf fields;          /* by http_reply_field(); the server frees it */
    struct http_stream *stream; /* by http_stream_open(); `text` is then not sent */
};

struct http_server_spec {
    const struct sockaddr *address; /* port 0: a free one */
    socklen_t address_n;
    size_t body_max;      /* bytes */
    unsigned connections; /* at once; further ones wait in the kernel's queue */
    unsigned per_address; /* of them from one address, further ones are closed; 0: no limit */
    nsec within;          /* from the connection's beginning to the end of the request */
    bool keeps;           /* the connection for further requests, each within `within` */
    /* PEM, copied; NULL: no TLS. A key without its certificate, or one that does not fit: EINVAL. */
    const char *certificate, *key;
    /* *reply stands at 200 without a text. */
    void (*on_request)(const struct http_asked *a, struct http_reply *reply, void *data);
    void (*on_slow)(const char *peer, void *data); /* was cut off in a request; may be NULL */
    void *data;
};

int http_server_new(struct loop *loop, const struct http_server_spec *spec,
                    struct http_server **ret, struct err *err);
struct http_server *http_server_free(struct http_server *s); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct http_server, http_server_free);
unsigned http_server_port(const struct http_server *s);

/* Whether the request carries this secret (RFC 6750, RFC 7617). The comparison takes as long for a
 * wrong secret of the right length as for the right one. */
bool http_asked_is_bearer(const struct http_asked *a, const char *token);
bool http_asked_is_basic(const struct http_asked *a, const char *user, const char *password);

/* A further field of the answer's head; copied. */
void http_reply_field(struct http_reply *reply, const char *name, const char *value);
/* What the request's head carries; NULL: not that. Borrowed until on_request returns. */
const char *http_asked_header(const struct http_asked *a, const char *name);
const char *http_asked_cookie(const struct http_asked *a, const char *name);
/* A part of the query, percent-decoded; "" where it has no value. */
const char *http_asked_query(const struct http_asked *a, const char *name);

/* An answer that goes on: begun inside on_request, whose reply is then `reply` (status, type and
 * fields are set by the caller). It lives until on_end has been called: once, from the loop or from
 * http_server_free(), whoever ended it. The time limits of requests do not count for it; whoever
 * opens one has asked for its secret before, and sends something now and then: a client that has
 * gone is noticed only by what it does not take. */
struct http_stream_spec {
    size_t pending_max;                                /* bytes that may wait for the client */
    void (*on_end)(struct http_stream *s, void *data); /* may be NULL */
    void *data;
};
struct http_stream *http_stream_open(const struct http_asked *a, struct http_reply *reply,
                                     const struct http_stream_spec *spec);
#define HTTP_STREAM_CUT 1
/* 0, or HTTP_STREAM_CUT: more than pending_max would wait, or it has been ended. The client is cut
 * off and on_end follows from the loop; nothing of this piece is sent. */
int http_stream_send(struct http_stream *s, const void *bytes, size_t n);
size_t http_stream_waiting(const struct http_stream *s); /* bytes that the client has not taken */
void http_stream_end(struct http_stream *s);             /* after what is waiting */
void http_stream_cut(struct http_stream *s);             /* at once */
