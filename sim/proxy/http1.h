/* HTTP/1 messages as they pass: where a head ends, what it says of the body, where the body ends. Knows
 * nothing of sockets; keeps no bytes. Source: RFC 9112.
 *
 * Whatever is doubtful (two different lengths, a length and chunks, a chunk that is none) is "broken":
 * the caller then lets bytes pass unread rather than guess.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP1_HEAD_MAX 65536

/* Bytes up to and with the empty line; 0: not there yet. Lines may end with LF alone. */
size_t http1_head_end(const char *p, size_t n);

/* Whether these first bytes can still become a request (response) of HTTP/1. */
bool http1_may_be_request(const char *p, size_t n);
bool http1_may_be_response(const char *p, size_t n);

enum http1_framing {
    HTTP1_NONE,   /* no body */
    HTTP1_LENGTH, /* `length` bytes */
    HTTP1_CHUNKED,
    HTTP1_TO_END, /* of the connection: responses only */
};

struct http1_request {
    const char *method, *path; /* borrowed from the head; the path without query, scheme and host */
    size_t method_n, path_n;
    enum http1_framing framing;
    uint64_t length;
    bool keeps;   /* the connection is kept afterwards, as far as the client says */
    bool expects; /* "100-continue": its body comes later or never */
};
/* False: not a request of HTTP/1, or one whose body cannot be told. */
bool http1_request(const char *head, size_t n, struct http1_request *ret);

struct http1_response {
    int status;
    enum http1_framing framing; /* as if to a GET */
    uint64_t length;
};
bool http1_response(const char *head, size_t n, struct http1_response *ret);

/* A body under way. Start with http1_body_of(). */
struct http1_body {
    enum http1_framing framing;
    uint64_t left; /* of the body, or of the chunk */
    uint8_t state; /* of chunks */
    bool done, broken;
    unsigned digits;
};
struct http1_body http1_body_of(enum http1_framing framing, uint64_t length);
/* How many of these bytes belong to it; sets done or broken. */
size_t http1_body_take(struct http1_body *b, const char *p, size_t n);
