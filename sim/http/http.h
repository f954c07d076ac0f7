/* An HTTP client on the loop, made for measuring.
 *
 * Ownership: http_new() … http_free(), which cancels what is outstanding. A request belongs to the
 * client; it is freed after its on_done, or by http_cancel(). on_done may start and cancel
 * requests, but not free the client.
 *
 * What is as a prober needs it: a fresh connection and no session for each request unless asked, no
 * cache of names, no proxy from the environment, HTTP/1.1, redirects not followed, certificates
 * verified unless said otherwise. Names are resolved by libcurl's thread; so whoever must enter a
 * mount namespace does so before the first request. The process must ignore SIGPIPE (TLS writes).
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/loop/loop.h"
#include <stdbool.h>
#include <stddef.h>

struct http;
struct http_request;

/* How a request ended. HTTP_ANSWERED: a whole answer came, whatever its status. */
enum http_outcome {
    HTTP_ANSWERED,
    HTTP_TIMEOUT,
    HTTP_REFUSED,
    HTTP_RESET, /* closed or reset before the whole answer was there */
    HTTP_UNREACHABLE,
    HTTP_DNS,
    HTTP_TLS,
    HTTP_GARBAGE, /* what came is not HTTP */
    HTTP_ERROR,   /* we could not ask (out of descriptors, of memory); the detail says why */
};

struct http_answer {
    enum http_outcome outcome;
    nsec start;  /* CLOCK_MONOTONIC, before the first system call of the request */
    nsec end;    /* when the outcome was known */
    long status; /* 0 unless a status line came */
    const char
        *headers;     /* of the last answer, one per line, CR LF; borrowed until on_done returns */
    const char *body; /* NUL-terminated, cut at body_max; borrowed */
    size_t body_n;
    bool body_cut;
    const char *detail; /* for people; "" when answered */
};

struct http_tls {
    bool no_verify; /* takes any certificate */
    const char *ca; /* PEM file to verify by; NULL: the system's */
    const char
        *server_name; /* that the certificate must bear; sent as SNI and Host; NULL: the URL's */
};

struct http_spec {
    const char *url;            /* http:// or https:// */
    const char *unix_socket;    /* path of a unix socket to ask through; NULL: the URL's host */
    const char *method;         /* NULL: GET, or POST with a body */
    const char *const *headers; /* "Name: value", NULL-terminated; NULL: none */
    const char *body;           /* NULL: none */
    struct http_tls tls;
    bool reuse;         /* may take a connection that is open, and leaves it open */
    nsec timeout;       /* for all of it, exact; 0: none */
    size_t body_max;    /* 0: 64 KiB */
    bool stop_when_cut; /* what is longer is not read to its end: the connection is closed */
    void (*on_done)(struct http_request *r, const struct http_answer *a, void *data);
    void *data;
};

int http_new(struct loop *loop, struct http **ret, struct err *err);
struct http *http_free(struct http *h); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct http, http_free);

/* Starts at once; the spec's texts are copied. on_done comes from the loop, never from in here. */
int http_start(struct http *h, const struct http_spec *spec, struct http_request **ret,
               struct err *err);
/* When it was started: the `start` of its answer. */
nsec http_request_start(const struct http_request *r);
/* Forgets a request without on_done. */
void http_cancel(struct http_request *r);

/* The value of a header (case-insensitive name), the first if there are several; false if absent.
 * *ret is borrowed from the answer, not NUL-terminated. */
bool http_answer_header(const struct http_answer *a, const char *name, const char **ret,
                        size_t *ret_n);
/* What an errno of connect, send or receive says of the other end, over HTTP or not. HTTP_ANSWERED: 0;
 * HTTP_ERROR: nothing, it is ours. */
enum http_outcome http_outcome_of_errno(int code);
/* Appends a text as the value of a query parameter (RFC 3986: all but the unreserved is encoded). */
void http_escape(const char *text, struct buf *out);
/* Whether this can be asked at all: http or https, a host. -EINVAL with a sentence. */
int http_check_url(const char *url, struct err *err);
