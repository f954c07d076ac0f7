/* libcurl's multi interface on the loop.
 *
 * curl says which sockets it waits for (socket_changed) and when it wants to be called
 * (timer_changed) and is told what happened by curl_multi_socket_action(). After each such call the
 * finished transfers are collected with one stamp, then delivered: from the callbacks at once,
 * after http_start() from a timer, so that nobody is called back before he has his request.
 *
 * Time-outs are the loop's: curl's count whole milliseconds. An answer found after its time-out (we
 * were late to look) is a time-out all the same.
 *
 * Invariant: a request is in `all`; it is in the multi handle until it is collected, and then in
 * `done` until it is delivered.
 */
#include "sim/http/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>

#define BODY_MAX_DEFAULT 65536
#define HEADERS_MAX 65536

struct http_request {
    struct http *http;
    struct http_request *prev, *next; /* in `all` */
    struct http_request *next_done;
    CURL *easy;
    struct curl_slist *headers, *connect_to;
    struct loop_timer timer;
    nsec start, end, timeout;
    bool in_multi, is_done;
    CURLcode code;
    enum http_outcome outcome;
    long status;
    size_t body_max;
    bool body_cut, stop_when_cut;
    struct buf head, body;
    char detail[CURL_ERROR_SIZE + 64], curl_error[CURL_ERROR_SIZE];
    void (*on_done)(struct http_request *r, const struct http_answer *a, void *data);
    void *data;
};

struct http {
    struct loop *loop;
    CURLM *multi;
    struct loop_timer curl_timer, deliver_timer;
    struct http_request *all, *done, **done_tail;
    struct watched *watched;
};

struct watched { /* a socket of curl's */
    struct watched *prev, *next;
    struct http *http;
    struct loop_io io;
};

static void http_act(struct http *h, curl_socket_t fd, int what);

/* --- what curl asks of us ------------------------------------------------------------------ */

static void socket_ready(struct loop_io *io, uint32_t events, void *data)
{
    struct watched *w = data;
    int what =
        (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0);
    if (events & (EPOLLERR | EPOLLHUP))
        what |= CURL_CSELECT_ERR;
    http_act(w->http, io->fd, what); /* may free w */
}

static void watched_free(struct watched *w)
{
    loop_io_remove(w->http->loop, &w->io);
    if (w->prev)
        w->prev->next = w->next;
    else
        w->http->watched = w->next;
    if (w->next)
        w->next->prev = w->prev;
    free(w);
}

static struct watched *watched_new(struct http *h)
{
    struct watched *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    *w = (struct watched){.http = h, .next = h->watched, .io = {.fn = socket_ready, .data = w}};
    if (h->watched)
        h->watched->prev = w;
    h->watched = w;
    return w;
}

static int socket_changed(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
    (void)easy;
    struct http *h = data;
    struct watched *w = socket_data;
    if (what == CURL_POLL_REMOVE) {
        if (w)
            watched_free(w);
        return 0;
    }
    uint32_t events = (what != CURL_POLL_OUT ? (uint32_t)EPOLLIN : 0) |
                      (what != CURL_POLL_IN ? (uint32_t)EPOLLOUT : 0);
    if (w)
        return loop_io_change(h->loop, &w->io, events, NULL) < 0 ? -1 : 0;
    w = watched_new(h);
    if (loop_io_add(h->loop, &w->io, fd, events, NULL) < 0) {
        watched_free(w);
        return -1;
    }
    curl_multi_assign(h->multi, fd, w);
    return 0;
}

static int timer_changed(CURLM *multi, long ms, void *data)
{
    (void)multi;
    struct http *h = data;
    if (ms < 0)
        loop_timer_cancel(h->loop, &h->curl_timer);
    else
        loop_timer_set(h->loop, &h->curl_timer, nsec_add(loop_fresh(h->loop), ms * NSEC_MSEC));
    return 0;
}

static void curl_timer_due(struct loop_timer *t, void *data)
{
    (void)t;
    http_act(data, CURL_SOCKET_TIMEOUT, 0);
}

static size_t take_body(char *text, size_t one, size_t n, void *data)
{
    struct http_request *r = data;
    size_t room = r->body_max - r->body.len;
    buf_add(&r->body, text, n * one < room ? n * one : room);
    r->body_cut |= n * one > room;
    return r->body_cut && r->stop_when_cut ? CURL_WRITEFUNC_ERROR : n * one;
}

static size_t take_header(char *text, size_t one, size_t n, void *data)
{
    struct http_request *r = data;
    if (n * one >= 5 && memcmp(text, "HTTP/", 5) == 0) /* after a 100 Continue comes another head */
        buf_clear(&r->head);
    if (r->head.len + n * one <= HEADERS_MAX)
        buf_add(&r->head, text, n * one);
    return n * one;
}

/* --- how it ended -------------------------------------------------------------------------- */

enum http_outcome http_outcome_of_errno(int code)
{
    switch (code) {
    case 0:
        return HTTP_ANSWERED;
    case ECONNREFUSED:
        return HTTP_REFUSED;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
        return HTTP_RESET;
    case ETIMEDOUT:
        return HTTP_TIMEOUT;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case EACCES: /* a local rule that rejects with "prohibited" */
    case EPERM:  /* one that drops what we send */
        return HTTP_UNREACHABLE;
    default:
        return HTTP_ERROR;
    }
}

static enum http_outcome outcome_of_errno(int code, enum http_outcome otherwise)
{
    enum http_outcome o = http_outcome_of_errno(code);
    return o == HTTP_ERROR || o == HTTP_ANSWERED ? otherwise : o;
}

static enum http_outcome outcome_of_curl(CURLcode code, int os_errno)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wswitch-enum" /* some hundred codes; the rest is HTTP_ERROR */
    switch (code) {
    case CURLE_OK:
        return HTTP_ANSWERED;
    case CURLE_OPERATION_TIMEDOUT:
        return HTTP_TIMEOUT;
    case CURLE_COULDNT_RESOLVE_HOST:
        return HTTP_DNS;
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
        return HTTP_RESET;
    case CURLE_COULDNT_CONNECT:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return outcome_of_errno(os_errno, code == CURLE_COULDNT_CONNECT ? HTTP_ERROR : HTTP_RESET);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT:
        return HTTP_TLS;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9: an answer without a head; the URL was checked */
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_FILESIZE_EXCEEDED:
        return HTTP_GARBAGE;
    default:
        return HTTP_ERROR;
    }
#pragma GCC diagnostic pop
}

static void request_leave(struct http_request *r)
{
    if (r->in_multi)
        curl_multi_remove_handle(r->http->multi, r->easy);
    r->in_multi = false;
    loop_timer_cancel(r->http->loop, &r->timer);
}

/* Into the queue of those to be delivered. */
static void request_end(struct http_request *r, CURLcode code, nsec end)
{
    long os_errno = 0;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &r->status);
    curl_easy_getinfo(r->easy, CURLINFO_OS_ERRNO, &os_errno);
    r->end = end;
    r->outcome = outcome_of_curl(code, (int)os_errno);
    if (code == CURLE_WRITE_ERROR && r->body_cut) /* we have stopped it */
        r->outcome = HTTP_ANSWERED;
    if (r->timeout > 0 && end - r->start > r->timeout)
        r->outcome = HTTP_TIMEOUT;
    char limit[NSEC_TEXT_MAX];
    if (r->outcome == HTTP_TIMEOUT && r->timeout > 0)
        snprintf(r->detail, sizeof r->detail, "no whole answer within %s",
                 nsec_text(r->timeout, limit));
    else if (r->outcome != HTTP_ANSWERED)
        snprintf(r->detail, sizeof r->detail, "%s",
                 *r->curl_error ? r->curl_error : curl_easy_strerror(code));
    request_leave(r);
    r->is_done = true;
    *r->http->done_tail = r;
    r->http->done_tail = &r->next_done;
}

static void request_free(struct http_request *r)
{
    struct http *h = r->http;
    request_leave(r);
    if (r->is_done) {
        struct http_request **p = &h->done;
        while (*p != r)
            p = &(*p)->next_done;
        *p = r->next_done;
        if (h->done_tail == &r->next_done)
            h->done_tail = p;
    }
    if (r->prev)
        r->prev->next = r->next;
    else
        h->all = r->next;
    if (r->next)
        r->next->prev = r->prev;
    curl_easy_cleanup(r->easy);
    curl_slist_free_all(r->headers);
    curl_slist_free_all(r->connect_to);
    buf_done(&r->head);
    buf_done(&r->body);
    free(r);
}

static void http_collect(struct http *h)
{
    nsec end = nsec_now(CLOCK_MONOTONIC);
    int left;
    CURLMsg *m;
    while ((m = curl_multi_info_read(h->multi, &left)))
        if (m->msg == CURLMSG_DONE) {
            char *r = NULL;
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &r);
            request_end((struct http_request *)(void *)r, m->data.result, end);
        }
}

static void http_deliver(struct http *h)
{
    while (h->done) {
        struct http_request *r = h->done;
        h->done = r->next_done;
        if (!h->done)
            h->done_tail = &h->done;
        r->is_done = false;
        struct http_answer a = {
            .outcome = r->outcome,
            .start = r->start,
            .end = r->end,
            .status = r->status,
            .headers = buf_text(&r->head),
            .body = buf_text(&r->body),
            .body_n = r->body.len,
            .body_cut = r->body_cut,
            .detail = r->detail,
        };
        r->on_done(r, &a, r->data);
        request_free(r);
    }
}

static void http_act(struct http *h, curl_socket_t fd, int what)
{
    int running;
    curl_multi_socket_action(h->multi, fd, what, &running);
    http_collect(h);
    http_deliver(h);
}

static void deliver_due(struct loop_timer *t, void *data)
{
    (void)t;
    http_deliver(data);
}

static void request_timeout(struct loop_timer *t, void *data)
{
    (void)t;
    struct http_request *r = data;
    struct http *h = r->http;
    request_end(r, CURLE_OPERATION_TIMEDOUT, nsec_now(CLOCK_MONOTONIC));
    http_deliver(h);
}

/* --- asking -------------------------------------------------------------------------------- */

int http_new(struct loop *loop, struct http **ret, struct err *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(err, ENOSYS, "libcurl cannot be used: its initialisation failed");
    struct http *h = calloc(1, sizeof *h);
    if (!h)
        abort();
    h->loop = loop;
    h->done_tail = &h->done;
    h->curl_timer = (struct loop_timer){.fn = curl_timer_due, .data = h};
    h->deliver_timer = (struct loop_timer){.fn = deliver_due, .data = h};
    h->multi = curl_multi_init();
    if (!h->multi)
        abort();
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, socket_changed);
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, timer_changed);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    *ret = h;
    return 0;
}

struct http *http_free(struct http *h)
{
    if (!h)
        return NULL;
    while (h->all)
        request_free(h->all);
    curl_multi_cleanup(h->multi);
    while (h->watched)
        watched_free(h->watched);
    loop_timer_cancel(h->loop, &h->curl_timer);
    loop_timer_cancel(h->loop, &h->deliver_timer);
    free(h);
    curl_global_cleanup();
    return NULL;
}

/* The URL with another host, and the "::host:port" that leads to the real one all the same. */
static int url_renamed(const char *url, const char *name, char **ret_url, char **ret_connect_to)
{
    CURLU *u = curl_url();
    char *host = NULL, *port = NULL, *renamed = NULL;
    int r = -EINVAL;
    if (u && !curl_url_set(u, CURLUPART_URL, url, 0) &&
        !curl_url_get(u, CURLUPART_HOST, &host, 0) &&
        !curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) &&
        !curl_url_set(u, CURLUPART_HOST, name, 0) && !curl_url_get(u, CURLUPART_URL, &renamed, 0)) {
        struct buf to = BUF_INIT;
        buf_printf(&to, "::%s:%s", host, port);
        *ret_connect_to = buf_steal(&to);
        *ret_url = strdup(renamed);
        r = 0;
    }
    curl_free(host);
    curl_free(port);
    curl_free(renamed);
    curl_url_cleanup(u);
    return r;
}

/* curl copies every text given to it but lists, which are kept in the request. */
static void set_basics(struct http_request *r)
{
    CURL *e = r->easy;
    curl_easy_setopt(e, CURLOPT_PRIVATE, r);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, r->curl_error);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_NOPROGRESS, 1L);
    curl_easy_setopt(e, CURLOPT_PROXY, ""); /* also what http_proxy says */
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, 86400000L); /* ours counts, not its 300 s */
    /* Else removing a request waits for the resolver's thread, for all the time that takes. */
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "blackstart/" BLACKSTART_VERSION);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, r);
}

static void set_message(struct http_request *r, const struct http_spec *spec)
{
    CURL *e = r->easy;
    bool is_head = spec->method && strcmp(spec->method, "HEAD") == 0;
    if (spec->body) {
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(spec->body));
        curl_easy_setopt(e, CURLOPT_COPYPOSTFIELDS, spec->body);
        r->headers = curl_slist_append(r->headers, "Expect:"); /* no waiting for 100 Continue */
        bool typed = false;
        for (size_t i = 0; spec->headers && spec->headers[i]; i++)
            typed |= strncasecmp(spec->headers[i], "content-type:", 13) == 0;
        if (!typed) /* nothing that was not written: curl would call it a form */
            r->headers = curl_slist_append(r->headers, "Content-Type:");
    } else if (is_head) {
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    }
    if (spec->method)
        curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, spec->method);
    for (size_t i = 0; spec->headers && spec->headers[i]; i++)
        r->headers = curl_slist_append(r->headers, spec->headers[i]);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, r->headers);
}

static int set_connection(struct http_request *r, const struct http_spec *spec, struct err *err)
{
    CURL *e = r->easy;
    curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, spec->reuse ? 0L : 1L);
    curl_easy_setopt(e, CURLOPT_FORBID_REUSE, spec->reuse ? 0L : 1L);
    curl_easy_setopt(e, CURLOPT_SSL_SESSIONID_CACHE, spec->reuse ? 1L : 0L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, spec->tls.no_verify ? 0L : 1L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, spec->tls.no_verify ? 0L : 2L);
    if (spec->unix_socket)
        curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, spec->unix_socket);
    if (spec->tls.ca) {
        curl_easy_setopt(e, CURLOPT_CAINFO, spec->tls.ca);
        curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
    }
    if (!spec->tls.server_name)
        return curl_easy_setopt(e, CURLOPT_URL, spec->url) ? -ENOMEM : 0;
    AUTO_FREE char *url = NULL;
    AUTO_FREE char *to = NULL;
    if (url_renamed(spec->url, spec->tls.server_name, &url, &to) < 0)
        return err_set(err, EINVAL, "%s cannot be asked under the name %s", spec->url,
                       spec->tls.server_name);
    r->connect_to = curl_slist_append(NULL, to);
    curl_easy_setopt(e, CURLOPT_CONNECT_TO, r->connect_to);
    curl_easy_setopt(e, CURLOPT_URL, url);
    return 0;
}

int http_start(struct http *h, const struct http_spec *spec, struct http_request **ret,
               struct err *err)
{
    int result = http_check_url(spec->url, err);
    if (result < 0)
        return result;
    struct http_request *r = calloc(1, sizeof *r);
    if (!r)
        abort();
    *r = (struct http_request){.http = h,
                               .next = h->all,
                               .easy = curl_easy_init(),
                               .timeout = spec->timeout,
                               .body_max = spec->body_max ? spec->body_max : BODY_MAX_DEFAULT,
                               .stop_when_cut = spec->stop_when_cut,
                               .on_done = spec->on_done,
                               .data = spec->data};
    if (!r->easy)
        abort();
    if (h->all)
        h->all->prev = r;
    h->all = r;
    r->timer = (struct loop_timer){.fn = request_timeout, .data = r};
    set_basics(r);
    set_message(r, spec);
    result = set_connection(r, spec, err);
    if (result < 0) {
        request_free(r);
        return result;
    }
    r->start = nsec_now(CLOCK_MONOTONIC);
    if (r->timeout > 0)
        loop_timer_set(h->loop, &r->timer, nsec_add(r->start, r->timeout));
    r->in_multi = true;
    curl_multi_add_handle(h->multi, r->easy);
    int running; /* starts it here and now, next to the stamp */
    curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    http_collect(h);
    if (h->done)
        loop_timer_set(h->loop, &h->deliver_timer, loop_now(h->loop));
    *ret = r;
    return 0;
}

nsec http_request_start(const struct http_request *r)
{
    return r->start;
}

void http_cancel(struct http_request *r)
{
    request_free(r);
}

bool http_answer_header(const struct http_answer *a, const char *name, const char **ret,
                        size_t *ret_n)
{
    size_t n = strlen(name);
    for (const char *line = a->headers; line && *line;) {
        const char *end = strchr(line, '\n');
        if (!end)
            end = line + strlen(line);
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            const char *value = line + n + 1, *stop = end;
            while (value < stop && (*value == ' ' || *value == '\t'))
                value++;
            while (stop > value && (stop[-1] == '\r' || stop[-1] == ' ' || stop[-1] == '\t'))
                stop--;
            *ret = value;
            *ret_n = (size_t)(stop - value);
            return true;
        }
        line = *end ? end + 1 : end;
    }
    return false;
}

void http_escape(const char *text, struct buf *out)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if ((*p >= '0' && *p <= '9') || ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') ||
            strchr("-._~", *p))
            buf_addc(out, (char)*p);
        else
            buf_printf(out, "%%%02X", *p);
}

int http_check_url(const char *url, struct err *err)
{
    CURLU *u = curl_url();
    char *scheme = NULL;
    CURLUcode code = curl_url_set(u, CURLUPART_URL, url, 0);
    if (!code)
        code = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
    int r = 0;
    if (code)
        r = err_set(err, EINVAL, "'%s' is not a URL (%s); write http://HOST[:PORT]/PATH", url,
                    curl_url_strerror(code));
    else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        r = err_set(err, EINVAL, "'%s' is neither http:// nor https://", url);
    curl_free(scheme);
    curl_url_cleanup(u);
    return r;
}
