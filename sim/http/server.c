/* libmicrohttpd, driven by the loop through its epoll descriptor; it is seen in one file here.
 *
 * The daemon has no thread: MHD_run() is called when its descriptor is ready or its time-out is over
 * (with connections that were read in part the descriptor alone does not say so). libmicrohttpd's own
 * time-out counts silence, so a client that sends a byte a second would stay for ever: each connection
 * has a deadline of ours, after which its socket is shut down, and libmicrohttpd sees it end.
 *
 * A stream is an answer of unknown size. While nothing waits for it its connection is suspended:
 * libmicrohttpd would otherwise ask for more in each turn. A suspended connection's socket is not
 * watched, so a client that has gone is found by the next piece; and MHD_stop_daemon() ends the
 * program when one is left suspended, so all are resumed before.
 */
#include "sim/http/server.h"

#include "sim/base/buf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BACKLOG 1024
#define STREAM_PIECE 16384u /* that libmicrohttpd asks for at once */
#define SWEEP_EVERY (200 * NSEC_MSEC)
#define MEMORY_OF_A_CONNECTION 32768u /* for the head of its request */

struct peer { /* a connection */
    struct http_server *server;
    struct peer *prev, *next;
    struct MHD_Connection *connection;
    nsec accepted;
    nsec since;     /* it was accepted, or its last request answered */
    unsigned asked; /* requests that were whole */
    bool cut;       /* shut down by us */
    bool streaming; /* no deadline */
    char address[HTTP_PEER_MAX];
};

struct incoming { /* a request */
    struct buf body;
    bool too_large;
};

struct http_stream {
    struct http_server *server;
    struct http_stream *prev, *next;
    struct peer *peer; /* NULL: it has ended */
    struct buf pending;
    size_t sent; /* of pending */
    size_t pending_max;
    bool suspended;
    bool ending; /* after what is pending */
    bool cut;
    void (*on_end)(struct http_stream *s, void *data);
    void *data;
};

struct http_server {
    struct loop *loop;
    struct MHD_Daemon *daemon;
    struct loop_io io;
    struct loop_timer due, sweep;
    struct peer *peers;
    struct http_stream *streams;
    unsigned port;
    size_t body_max;
    nsec within;
    bool keeps;
    void (*on_request)(const struct http_asked *a, struct http_reply *reply, void *data);
    void (*on_slow)(const char *peer, void *data);
    void *data;
};

/* --- The daemon on the loop ------------------------------------------------------------------ */

static void server_run(struct http_server *s)
{
    MHD_UNSIGNED_LONG_LONG ms;
    MHD_run(s->daemon);
    if (MHD_get_timeout(s->daemon, &ms) == MHD_YES)
        loop_timer_set(
            s->loop, &s->due,
            nsec_add(loop_fresh(s->loop), (nsec)(ms < 1000000 ? ms : 1000000) * NSEC_MSEC));
    else
        loop_timer_cancel(s->loop, &s->due);
    if (s->peers && !loop_timer_is_set(&s->sweep))
        loop_timer_set(s->loop, &s->sweep, nsec_add(loop_fresh(s->loop), SWEEP_EVERY));
}

static void server_ready(struct loop_io *io, uint32_t events, void *data)
{
    (void)io, (void)events;
    server_run(data);
}

static void server_due(struct loop_timer *t, void *data)
{
    (void)t;
    server_run(data);
}

static void peer_cut(struct peer *p)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(p->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    p->cut = true;
    if (info)
        shutdown(info->connect_fd, SHUT_RDWR);
}

static void server_sweep(struct loop_timer *t, void *data)
{
    (void)t;
    struct http_server *s = data;
    nsec now = nsec_now(CLOCK_MONOTONIC);
    for (struct peer *p = s->peers; p; p = p->next) {
        if (p->cut || p->streaming || now - p->since < s->within)
            continue;
        peer_cut(p);
        if (s->on_slow &&
            !p->asked) /* one that keeps its connection and asks no more is not slow */
            s->on_slow(p->address, s->data);
    }
    server_run(s);
}

/* --- Connections and requests ---------------------------------------------------------------- */

static void peer_address(struct MHD_Connection *c, char buf[HTTP_PEER_MAX])
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *a = info ? info->client_addr : NULL;
    snprintf(buf, HTTP_PEER_MAX, "?");
    if (a && a->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr, buf,
                  HTTP_PEER_MAX);
    else if (a && a->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, buf,
                  HTTP_PEER_MAX);
}

static void connection_changed(void *data, struct MHD_Connection *c, void **context,
                               enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = data;
    struct peer *p = *context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        p = calloc(1, sizeof *p);
        if (!p)
            abort();
        *p = (struct peer){
            .server = s, .next = s->peers, .connection = c, .accepted = nsec_now(CLOCK_MONOTONIC)};
        p->since = p->accepted;
        peer_address(c, p->address);
        if (s->peers)
            s->peers->prev = p;
        s->peers = p;
        *context = p;
    } else if (p) {
        if (p->prev)
            p->prev->next = p->next;
        else
            s->peers = p->next;
        if (p->next)
            p->next->prev = p->prev;
        *context = NULL;
        free(p);
    }
}

static struct peer *peer_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void request_completed(void *data, struct MHD_Connection *c, void **context,
                              enum MHD_RequestTerminationCode code)
{
    (void)data, (void)code;
    struct incoming *in = *context;
    struct peer *p = peer_of(c);
    if (p)
        p->since = nsec_now(CLOCK_MONOTONIC);
    if (!in)
        return;
    buf_done(&in->body);
    free(in);
    *context = NULL;
}

/* --- Streams ---------------------------------------------------------------------------------- */

static ssize_t stream_read(void *data, uint64_t at, char *to, size_t max)
{
    (void)at;
    struct http_stream *t = data;
    size_t n = t->pending.len - t->sent;
    if (t->cut)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (n == 0 && t->ending)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (n == 0) {
        MHD_suspend_connection(t->peer->connection);
        t->suspended = true;
        return 0;
    }
    n = n < max ? n : max;
    memcpy(to, t->pending.text + t->sent, n);
    t->sent += n;
    if (t->sent == t->pending.len) {
        buf_clear(&t->pending);
        t->sent = 0;
    }
    return (ssize_t)n;
}

static void stream_ended(void *data)
{
    struct http_stream *t = data;
    struct http_server *s = t->server;
    if (t->prev)
        t->prev->next = t->next;
    else
        s->streams = t->next;
    if (t->next)
        t->next->prev = t->prev;
    if (t->on_end)
        t->on_end(t, t->data);
    buf_done(&t->pending);
    free(t);
}

/* Resuming only marks the connection: the next turn of the daemon goes on with it. */
static void stream_wake(struct http_stream *t)
{
    if (!t->suspended)
        return;
    t->suspended = false;
    MHD_resume_connection(t->peer->connection);
    loop_timer_set(t->server->loop, &t->server->due, loop_now(t->server->loop));
}

struct http_stream *http_stream_open(const struct http_asked *a, struct http_reply *reply,
                                     const struct http_stream_spec *spec)
{
    struct http_stream *t = calloc(1, sizeof *t);
    struct peer *p = peer_of(a->connection);
    struct http_server *s = p->server;
    if (!t)
        abort();
    *t = (struct http_stream){.server = s,
                              .next = s->streams,
                              .peer = p,
                              .pending_max = spec->pending_max,
                              .on_end = spec->on_end,
                              .data = spec->data};
    if (s->streams)
        s->streams->prev = t;
    s->streams = t;
    p->streaming = true;
    reply->stream = t;
    return t;
}

void http_stream_cut(struct http_stream *t)
{
    t->cut = true;
    peer_cut(t->peer);
    stream_wake(t);
}

int http_stream_send(struct http_stream *t, const void *bytes, size_t n)
{
    if (t->cut || t->ending)
        return HTTP_STREAM_CUT;
    if (n > t->pending_max || t->pending.len - t->sent > t->pending_max - n) {
        http_stream_cut(t);
        return HTTP_STREAM_CUT;
    }
    if (t->sent > t->pending_max) { /* what was sent does not pile up in front */
        memmove(t->pending.text, t->pending.text + t->sent, t->pending.len - t->sent);
        t->pending.len -= t->sent;
        t->sent = 0;
    }
    buf_add(&t->pending, bytes, n);
    stream_wake(t);
    return 0;
}

size_t http_stream_waiting(const struct http_stream *t)
{
    return t->pending.len - t->sent;
}

void http_stream_end(struct http_stream *t)
{
    t->ending = true;
    stream_wake(t);
}

/* --- Answers ---------------------------------------------------------------------------------- */

static enum MHD_Result answer(const struct http_server *s, struct MHD_Connection *c,
                              const struct http_reply *reply)
{
    const char *text = reply->body.len ? reply->body.text : reply->text;
    size_t n = reply->body.len ? reply->body.len : text ? strlen(text) : 0;
    struct MHD_Response *r =
        reply->stream
            ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_PIECE, stream_read,
                                                reply->stream, stream_ended)
            /* The text is not written to: MHD_RESPMEM_MUST_COPY. */
            : MHD_create_response_from_buffer(n, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (!r) { /* out of memory; the caller may have kept the stream */
        if (reply->stream)
            stream_ended(reply->stream);
        return MHD_NO;
    }
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE,
                            reply->type ? reply->type : "text/plain; charset=utf-8");
    if (!s->keeps || reply->stream)
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
    if (reply->authenticate)
        MHD_add_response_header(r, MHD_HTTP_HEADER_WWW_AUTHENTICATE, reply->authenticate);
    for (size_t i = 0; i < reply->fields.len;) {
        const char *name = reply->fields.text + i, *value = name + strlen(name) + 1;
        MHD_add_response_header(r, name, value);
        i += strlen(name) + strlen(value) + 2;
    }
    enum MHD_Result result = MHD_queue_response(c, reply->status, r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result request_whole(struct http_server *s, struct MHD_Connection *c,
                                     const char *path, const char *method,
                                     const struct incoming *in)
{
    nsec now = nsec_now(CLOCK_MONOTONIC);
    struct peer *p = peer_of(c);
    struct http_asked asked = {.accepted = p ? p->accepted : now,
                               .complete = now,
                               .method = method,
                               .path = path,
                               .body = in->too_large ? "" : buf_text(&in->body),
                               .body_n = in->too_large ? 0 : in->body.len,
                               .body_too_large = in->too_large,
                               .peer = p ? p->address : "?",
                               .connection = c};
    struct http_reply reply = {.status = MHD_HTTP_OK};
    if (p)
        p->asked++;
    s->on_request(&asked, &reply, s->data);
    enum MHD_Result result = answer(s, c, &reply);
    buf_done(&reply.body);
    buf_done(&reply.fields);
    return result;
}

/* Called with the head alone, then with each part of the body, then once more (libmicrohttpd's law).
 * A body that is too large is read to its end and dropped: an answer in the middle would be lost. */
static enum MHD_Result request_heard(void *data, struct MHD_Connection *c, const char *path,
                                     const char *method, const char *version, const char *part,
                                     size_t *part_n, void **context)
{
    (void)version;
    struct http_server *s = data;
    struct incoming *in = *context;
    if (!in) {
        in = calloc(1, sizeof *in);
        if (!in)
            abort();
        *context = in;
        return MHD_YES;
    }
    if (*part_n == 0)
        return request_whole(s, c, path, method, in);
    in->too_large |= *part_n > s->body_max - in->body.len;
    if (in->too_large)
        buf_done(&in->body);
    else
        buf_add(&in->body, part, *part_n);
    *part_n = 0;
    return MHD_YES;
}

/* A NUL that was percent-encoded would end a path before its end, for all who compare it. */
static size_t unescape(void *data, struct MHD_Connection *c, char *text)
{
    (void)data;
    (void)c;
    size_t n = MHD_http_unescape(text);
    for (char *nul = text; (nul = memchr(nul, '\0', n - (size_t)(nul - text)));)
        *nul = '?';
    return n;
}

void http_reply_field(struct http_reply *reply, const char *name, const char *value)
{
    buf_add(&reply->fields, name, strlen(name) + 1);
    buf_add(&reply->fields, value, strlen(value) + 1);
}

/* --- What a request carries -------------------------------------------------------------------- */

const char *http_asked_header(const struct http_asked *a, const char *name)
{
    return MHD_lookup_connection_value(a->connection, MHD_HEADER_KIND, name);
}

const char *http_asked_cookie(const struct http_asked *a, const char *name)
{
    return MHD_lookup_connection_value(a->connection, MHD_COOKIE_KIND, name);
}

static enum MHD_Result query_part(void *data, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    (void)kind;
    const char **wanted = data; /* the name; then, found, the value */
    if (strcmp(name, wanted[0]) != 0)
        return MHD_YES;
    wanted[1] = value ? value : "";
    return MHD_NO;
}

const char *http_asked_query(const struct http_asked *a, const char *name)
{
    const char *wanted[] = {name, NULL};
    MHD_get_connection_values(a->connection, MHD_GET_ARGUMENT_KIND, query_part, wanted);
    return wanted[1];
}

/* --- Secrets --------------------------------------------------------------------------------- */

static bool same_secret(const char *given, const char *wanted)
{
    size_t n = strlen(wanted);
    unsigned char differs = 0;
    if (strlen(given) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        differs |= (unsigned char)(given[i] ^ wanted[i]);
    return !differs;
}

bool http_asked_is_bearer(const struct http_asked *a, const char *token)
{
    const char *given =
        MHD_lookup_connection_value(a->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    return given && strncasecmp(given, "Bearer ", 7) == 0 && same_secret(given + 7, token);
}

bool http_asked_is_basic(const struct http_asked *a, const char *user, const char *password)
{
    char *given = NULL;
    char *name = MHD_basic_auth_get_username_password(a->connection, &given);
    bool same = name && given && (int)same_secret(name, user) & (int)same_secret(given, password);
    MHD_free(name);
    MHD_free(given);
    return same;
}

/* --- Beginning and end ----------------------------------------------------------------------- */

static int server_listen(const struct http_server_spec *spec, unsigned *ret_port, struct err *err)
{
    int one = 1;
    struct sockaddr_storage bound;
    socklen_t n = sizeof bound;
    AUTO_CLOSE int fd =
        socket(spec->address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, errno, "cannot make a socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, spec->address, spec->address_n) < 0)
        return err_errno(err, errno, "cannot take this address and port");
    if (listen(fd, BACKLOG) < 0 || getsockname(fd, (struct sockaddr *)&bound, &n) < 0)
        return err_errno(err, errno, "cannot listen");
    *ret_port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                  : ((struct sockaddr_in *)&bound)->sin_port);
    return steal_fd(&fd);
}

static int server_start(struct http_server *s, const struct http_server_spec *spec, int fd,
                        struct err *err)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
                     (spec->address->sa_family == AF_INET6 ? MHD_USE_IPv6 : 0) |
                     (spec->certificate ? MHD_USE_TLS : 0);
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)spec->certificate}, /* only read */
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)spec->key},
        {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
    if (!spec->certificate != !spec->key)
        return err_set(err, EINVAL, "a certificate and its private key are given together");
    if (spec->certificate && MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        return err_set(err, ENOSYS, "libmicrohttpd was built without TLS");
    s->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, request_heard, s, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, spec->connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        spec->per_address, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_OF_A_CONNECTION,
        MHD_OPTION_NOTIFY_CONNECTION, connection_changed, s, MHD_OPTION_NOTIFY_COMPLETED,
        request_completed, NULL, MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_ARRAY,
        spec->certificate ? tls : plain, MHD_OPTION_END);
    if (!s->daemon && spec->certificate)
        return err_set(err, EINVAL,
                       "the certificate and the key cannot be used together: both are PEM, and the "
                       "key is the certificate's own");
    if (!s->daemon)
        return err_set(err, ENOSYS, "libmicrohttpd cannot be used: it did not start");
    return 0;
}

int http_server_new(struct loop *loop, const struct http_server_spec *spec,
                    struct http_server **ret, struct err *err)
{
    CLEANUP(http_server_free_p) struct http_server *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    *s = (struct http_server){.loop = loop,
                              .body_max = spec->body_max,
                              .within = spec->within,
                              .keeps = spec->keeps,
                              .on_request = spec->on_request,
                              .on_slow = spec->on_slow,
                              .data = spec->data,
                              .io = {.fn = server_ready, .data = s},
                              .due = {.fn = server_due, .data = s},
                              .sweep = {.fn = server_sweep, .data = s}};
    int fd = server_listen(spec, &s->port, err);
    if (fd < 0)
        return fd;
    int r = server_start(s, spec, fd, err);
    if (r < 0) {
        close(fd);
        return r;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info)
        return err_set(err, ENOSYS, "libmicrohttpd cannot be used: it was built without epoll");
    r = loop_io_add(loop, &s->io, info->epoll_fd, EPOLLIN, err);
    if (r < 0)
        return r;
    *ret = steal_ptr(s);
    return 0;
}

struct http_server *http_server_free(struct http_server *s)
{
    if (!s)
        return NULL;
    loop_io_remove(s->loop, &s->io);
    for (struct http_stream *t = s->streams; t; t = t->next) {
        t->ending = true;
        stream_wake(t);
    }
    if (s->daemon)
        MHD_stop_daemon(s->daemon); /* ends its connections, and closes the socket it was given */
    loop_timer_cancel(s->loop, &s->due);
    loop_timer_cancel(s->loop, &s->sweep);
    free(s);
    return NULL;
}

unsigned http_server_port(const struct http_server *s)
{
    return s->port;
}
