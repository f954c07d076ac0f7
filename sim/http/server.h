/* A small HTTP server on the loop: it takes whole requests and answers each with a line of text.
 *
 * Made for receivers of alerts, that strangers can reach: one request a connection, which is closed
 * afterwards; limits on the size of a body, the number of connections, and the time from a
 * connection's beginning to the last byte of its request. What is above a limit is refused or cut
 * off, never waited for.
 *
 * Ownership: http_server_new() … http_server_free(). on_request and on_slow come from the loop; they
 * must not free the server. Everything in a `struct http_asked` is borrowed until on_request returns.
 */
#pragma once

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
    const char *method, *path; /* the path without a query */
    const char *body;          /* NUL-terminated; "" without one */
    size_t body_n;
    bool body_too_large; /* above body_max: `body` is then "" */
    const char *peer;    /* the address it came from */
    void *connection;    /* the server's */
};

struct http_reply {
    unsigned status;
    const char *text;         /* copied; NULL: none */
    const char *authenticate; /* value of WWW-Authenticate (a 401 must have one); NULL: none */
};

struct http_server_spec {
    const struct sockaddr *address; /* port 0: a free one */
    socklen_t address_n;
    size_t body_max;      /* bytes */
    unsigned connections; /* at once; further ones wait in the kernel's queue */
    nsec within;          /* from the connection's beginning to the end of the request */
    /* *reply stands at 200 without a text. */
    void (*on_request)(const struct http_asked *a, struct http_reply *reply, void *data);
    void (*on_slow)(const char *peer, void *data); /* was cut off; may be NULL */
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
