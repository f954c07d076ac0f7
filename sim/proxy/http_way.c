/* HTTP/1 through a proxy: each request is looked at as far as its head, and delayed, ended or answered in
 * the server's place, or handed on byte for byte.
 *
 * A careful stream rather than a server and a client in between (libmicrohttpd and libcurl would parse
 * and write every message anew, and buffer bodies): what is not hit must arrive as it was sent, upgrades
 * and trailers included. Responses are followed only to know where they end: an answer in the server's
 * place must not overtake those that are still on their way.
 *
 * What is not HTTP/1 (TLS, HTTP/2 by prior knowledge, anything else) and what cannot be told for sure
 * passes unread from there on.
 */
#include "sim/proxy/dns.h"
#include "sim/proxy/http1.h"
#include "sim/proxy/relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LINGER (2 * NSEC_SEC) /* for the rest of a body that nobody reads */

enum mode { HEAD, BODY, RAW };

struct stream { /* one direction */
    struct buf held;
    enum mode mode;
    struct http1_body body;
    bool ended;
};

struct http_way {
    struct relay *relay;
    struct stream requests, responses;
    struct buf under_way; /* a letter for each request handed on and not yet answered in full */
    bool waits;           /* a delay runs; the request is at the front of `requests` */
    bool passed;          /* that request may go now */
    bool owed;            /* it is to be answered in the server's place */
    bool discards;        /* we answered and close: what still comes is nothing to anybody */
    bool spoke_http;      /* a request was understood */
    bool counted_foreign;
    struct loop_timer timer;
};

static void shift(struct buf *b, size_t n)
{
    memmove(b->text, b->text + n, b->len - n);
    b->len -= n;
}

static void give(struct http_way *w, enum relay_end to, struct stream *s, size_t n)
{
    relay_push(w->relay, to, s->held.text, n);
    shift(&s->held, n);
}

/* From here on nothing is read any more, in both directions. */
static void go_raw(struct http_way *w, bool foreign)
{
    w->requests.mode = w->responses.mode = RAW;
    if (foreign && !w->counted_foreign) {
        w->counted_foreign = true;
        w->relay->in->counts.foreign++;
    }
}

static void requests(struct http_way *w);
static void responses(struct http_way *w);

/* --- Requests that are hit -------------------------------------------------------------------- */

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } known[] = {
        {204, "No Content"},      {400, "Bad Request"},       {401, "Unauthorized"},
        {403, "Forbidden"},       {404, "Not Found"},         {408, "Request Timeout"},
        {409, "Conflict"},        {429, "Too Many Requests"}, {500, "Internal Server Error"},
        {501, "Not Implemented"}, {502, "Bad Gateway"},       {503, "Service Unavailable"},
        {504, "Gateway Timeout"}};
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (known[i].status == status)
            return known[i].reason;
    return "Fault";
}

/* The request at the front, which is whole as far as its head, is answered and forgotten. */
static void answer(struct http_way *w, int status)
{
    struct http1_request q;
    size_t n = http1_head_end(w->requests.held.text, w->requests.held.len);
    w->owed = false;
    if (!http1_request(w->requests.held.text, n, &q)) {
        relay_close(w->relay);
        return;
    }
    bool head = q.method_n == 4 && !memcmp(q.method, "HEAD", 4);
    bool none = status == 204 || status == 304;
    bool close = !q.keeps || q.framing != HTTP1_NONE || q.expects || w->relay->own;
    AUTO_BUF text = BUF_INIT, body = BUF_INIT;
    buf_printf(&body, "%d %s\n", status, reason_of(status));
    buf_printf(&text, "HTTP/1.1 %d %s\r\n", status, reason_of(status));
    if (!none)
        buf_printf(&text, "Content-Type: text/plain\r\nContent-Length: %zu\r\n", body.len);
    buf_printf(&text, "Connection: %s\r\n\r\n", close ? "close" : "keep-alive");
    if (!head && !none)
        buf_adds(&text, body.text);
    relay_push(w->relay, RELAY_CLIENT, text.text, text.len);
    if (!close) {
        shift(&w->requests.held, n);
        return;
    }
    w->discards = true;
    buf_clear(&w->requests.held);
    relay_finish(w->relay, RELAY_CLIENT);
    relay_finish(w->relay, RELAY_SERVER);
    loop_timer_set(w->relay->in->loop, &w->timer, nsec_add(loop_now(w->relay->in->loop), LINGER));
}

static void answer_if_due(struct http_way *w)
{
    if (w->owed && w->under_way.len == 0)
        answer(w, w->relay->in->spec->http.status);
}

static void timer_due(struct loop_timer *t, void *data)
{
    struct http_way *w = data;
    struct relay *r = w->relay;
    relay_enter(r);
    if (w->discards) {
        relay_close(r);
    } else if (r->own) {
        answer(w, 204);
    } else {
        w->waits = false;
        w->passed = true;
        requests(w);
        if (!r->dead)
            relay_hold(r, RELAY_CLIENT, false);
    }
    relay_leave(r);
}

static bool path_matches(const char *pattern, const char *path, size_t n)
{
    size_t len = strlen(pattern);
    if (len && pattern[len - 1] == '*')
        return n >= len - 1 && !memcmp(pattern, path, len - 1);
    return n == len && !memcmp(pattern, path, n);
}

static bool matches(const struct proxy_http *f, const struct http1_request *q)
{
    bool method = f->methods->n == 0, path = f->paths->n == 0;
    for (size_t i = 0; i < f->methods->n; i++)
        method |= strlen(f->methods->items[i]) == q->method_n &&
                  !strncasecmp(f->methods->items[i], q->method, q->method_n);
    for (size_t i = 0; i < f->paths->n; i++)
        path |= path_matches(f->paths->items[i], q->path, q->path_n);
    return method && path;
}

/* True: it goes on to the server. */
static bool decide(struct http_way *w, const struct http1_request *q)
{
    struct inside *in = w->relay->in;
    const struct proxy_http *f = &in->spec->http;
    if (!w->relay->own)
        in->counts.seen++;
    if (!w->relay->own && (!matches(f, q) || !inside_hits(in, false)))
        return true;
    inside_count_hit(in, w->relay->own);
    if (f->abort) {
        relay_reset(w->relay);
    } else if (f->status) {
        w->owed = true;
        answer_if_due(w);
    } else {
        w->waits = true;
        relay_hold(w->relay, RELAY_CLIENT, true);
        loop_timer_set(in->loop, &w->timer, nsec_add(loop_now(in->loop), f->delay));
    }
    return false;
}

/* --- Requests --------------------------------------------------------------------------------- */

static char letter_of(const struct http1_request *q)
{
    if (q->method_n == 4 && !memcmp(q->method, "HEAD", 4))
        return 'H';
    return q->method_n == 7 && !memcmp(q->method, "CONNECT", 7) ? 'C' : 'G';
}

/* Empty lines before a request are allowed (RFC 9112, 2.2). */
static void pass_empty_lines(struct http_way *w)
{
    size_t n = 0;
    struct stream *s = &w->requests;
    while (n < s->held.len && (s->held.text[n] == '\r' || s->held.text[n] == '\n'))
        n++;
    if (n)
        give(w, RELAY_SERVER, s, n);
}

/* False: more is needed, or something else must happen before. */
static bool request_head(struct http_way *w)
{
    struct stream *s = &w->requests;
    struct http1_request q;
    pass_empty_lines(w);
    size_t n = s->held.len ? http1_head_end(s->held.text, s->held.len) : 0;
    if (n == 0 && s->held.len < HTTP1_HEAD_MAX && http1_may_be_request(s->held.text, s->held.len))
        return false;
    if (n == 0 || !http1_request(s->held.text, n, &q)) {
        go_raw(w, true);
        return true;
    }
    if (!w->passed && !decide(w, &q))
        return !w->relay->dead && !w->waits && !w->owed && !w->discards;
    w->passed = false;
    w->spoke_http = true;
    char letter = letter_of(&q);
    buf_addc(&w->under_way, letter);
    s->body = http1_body_of(q.framing, q.length);
    s->mode = letter == 'C' ? RAW : s->body.done ? HEAD : BODY;
    give(w, RELAY_SERVER, s, n);
    return true;
}

static void stream_body(struct http_way *w, enum relay_end to, struct stream *s)
{
    size_t n = http1_body_take(&s->body, s->held.text, s->held.len);
    give(w, to, s, n);
    if (s->body.broken)
        go_raw(w, false);
    else if (s->body.done)
        s->mode = HEAD;
}

static void requests(struct http_way *w)
{
    struct stream *s = &w->requests;
    while (s->held.len && !w->relay->dead && !w->waits && !w->owed && !w->discards) {
        if (s->mode == RAW)
            give(w, RELAY_SERVER, s, s->held.len);
        else if (s->mode == BODY)
            stream_body(w, RELAY_SERVER, s);
        else if (!request_head(w))
            break;
    }
    if (s->ended && !w->waits && !w->owed) { /* what is left is no whole head */
        if (s->held.len)
            give(w, RELAY_SERVER, s, s->held.len);
        relay_finish(w->relay, RELAY_SERVER);
    }
}

/* --- Responses -------------------------------------------------------------------------------- */

static void answered(struct http_way *w)
{
    w->responses.mode = HEAD;
    shift(&w->under_way, 1);
    if (w->owed) {
        answer_if_due(w);
        requests(w);
    }
}

static bool response_head(struct http_way *w)
{
    struct stream *s = &w->responses;
    struct http1_response a;
    size_t n = http1_head_end(s->held.text, s->held.len);
    if (n == 0 && s->held.len < HTTP1_HEAD_MAX && http1_may_be_response(s->held.text, s->held.len))
        return false;
    if (n == 0 || w->under_way.len == 0 || !http1_response(s->held.text, n, &a)) {
        go_raw(w, !w->spoke_http); /* unasked, or not HTTP */
        return true;
    }
    char letter = w->under_way.text[0];
    if (a.status == 101 || (letter == 'C' && a.status / 100 == 2)) {
        go_raw(w, false);
        return true;
    }
    give(w, RELAY_CLIENT, s, n);
    if (a.status < 200)
        return true;
    s->body = http1_body_of(letter == 'H' ? HTTP1_NONE : a.framing, a.length);
    s->mode = BODY;
    if (s->body.done)
        answered(w);
    return true;
}

static void responses(struct http_way *w)
{
    struct stream *s = &w->responses;
    while (s->held.len && !w->relay->dead && !w->discards) {
        if (s->mode == RAW) {
            give(w, RELAY_CLIENT, s, s->held.len);
        } else if (s->mode == HEAD) {
            if (!response_head(w))
                break;
        } else {
            stream_body(w, RELAY_CLIENT, s);
            if (s->mode == HEAD)
                answered(w);
        }
    }
    if (s->mode == RAW && w->requests.held.len)
        requests(w); /* an upgrade: they may have waited for this */
    if (s->ended) {
        if (s->held.len)
            give(w, RELAY_CLIENT, s, s->held.len);
        relay_finish(w->relay, RELAY_CLIENT);
    }
}

/* --- As a relay ------------------------------------------------------------------------------- */

static void http_data(struct relay *r, enum relay_end from, const char *p, size_t n)
{
    struct http_way *w = r->state;
    struct stream *s = from == RELAY_CLIENT ? &w->requests : &w->responses;
    if (w->discards)
        return;
    buf_add(&s->held, p, n);
    if (from == RELAY_CLIENT)
        requests(w);
    else
        responses(w);
}

static void http_end(struct relay *r, enum relay_end from)
{
    struct http_way *w = r->state;
    if (from == RELAY_CLIENT) {
        w->requests.ended = true;
        requests(w);
    } else {
        w->responses.ended = true;
        responses(w);
    }
}

static void http_free(struct relay *r)
{
    struct http_way *w = r->state;
    loop_timer_cancel(r->in->loop, &w->timer);
    buf_done(&w->requests.held);
    buf_done(&w->responses.held);
    buf_done(&w->under_way);
    free(w);
}

void http_way_accept(struct inside *in, int fd, const struct sockaddr_storage *from)
{
    static const struct relay_ops ops = {.data = http_data, .end = http_end, .free = http_free};
    struct sockaddr_storage target;
    socklen_t n = sizeof target;
    if (getsockname(fd, (struct sockaddr *)&target, &n) < 0 ||
        inet_endpoint_port(&target) == in->listens.port) { /* asked for directly: not led here */
        close(fd);
        return;
    }
    struct http_way *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    bool own = inside_is_own(in, from);
    w->timer = (struct loop_timer){.fn = timer_due, .data = w};
    /* The relay may be gone when relay_new() returns; until the first event nothing needs it. */
    struct relay *r = relay_new(in, fd, own ? NULL : &target, own, &ops, w);
    if (r)
        w->relay = r;
}
