/* The server against our own client, in one loop, on loopback: whole requests, secrets, limits. */
#include "tests/support/test.h"

#include "sim/http/http.h"
#include "sim/http/server.h"
#include "sim/loop/child.h"
#include "tests/support/caller.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <sys/socket.h>

struct bed {
    struct loop *loop;
    struct http *http;
    struct http_server *server;
    char url[64];
    char method[16], path[64], body[64];
    size_t body_n, asked, slow, done;
    bool too_large, bearer, basic;
    nsec accepted, complete;
    long status;
};

static void on_request(const struct http_asked *a, struct http_reply *reply, void *data)
{
    struct bed *b = data;
    b->asked++;
    snprintf(b->method, sizeof b->method, "%s", a->method);
    snprintf(b->path, sizeof b->path, "%s", a->path);
    snprintf(b->body, sizeof b->body, "%s", a->body);
    b->body_n = a->body_n;
    b->too_large = a->body_too_large;
    b->accepted = a->accepted;
    b->complete = a->complete;
    b->bearer = http_asked_is_bearer(a, "t0ken");
    b->basic = http_asked_is_basic(a, "us", "pa:55");
    assert_string_equal(a->peer, "127.0.0.1");
    reply->status = a->body_too_large ? 413 : 202;
    reply->text = "taken\n";
}

static void on_slow(const char *peer, void *data)
{
    struct bed *b = data;
    assert_string_equal(peer, "127.0.0.1");
    if (++b->slow == 3)
        loop_stop(b->loop);
}

static void bed_open(struct bed *b)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct err err = ERR_INIT;
    *b = (struct bed){0};
    assert_int_equal(loop_new(LOOP_REAL, &b->loop, NULL), 0);
    assert_int_equal(http_new(b->loop, &b->http, NULL), 0);
    struct http_server_spec spec = {.address = (const struct sockaddr *)&any,
                                    .address_n = sizeof any,
                                    .body_max = 1000,
                                    .connections = 8,
                                    .within = 300 * NSEC_MSEC,
                                    .on_request = on_request,
                                    .on_slow = on_slow,
                                    .data = b};
    if (http_server_new(b->loop, &spec, &b->server, &err) < 0)
        fail_msg("%s", err.text);
    snprintf(b->url, sizeof b->url, "http://127.0.0.1:%u/a/b?c=d", http_server_port(b->server));
}

static void bed_close(struct bed *b)
{
    http_server_free(b->server);
    http_free(b->http);
    loop_free(b->loop);
}

static void on_done(struct http_request *r, const struct http_answer *a, void *data)
{
    struct bed *b = data;
    b->status = a->outcome == HTTP_ANSWERED ? a->status : -1;
    b->done++;
    loop_stop(b->loop);
}

static void ask(struct bed *b, const char *body, const char *header)
{
    const char *headers[] = {header, NULL};
    struct http_request *r;
    struct http_spec spec = {
        .url = b->url, .body = body, .headers = headers, .on_done = on_done, .data = b};
    assert_int_equal(http_start(b->http, &spec, &r, NULL), 0);
    assert_int_equal(loop_run(b->loop, NULL), 0);
}

static void whole_requests_are_taken_and_stamped(void **state)
{
    struct bed b;
    bed_open(&b);
    nsec before = nsec_now(CLOCK_MONOTONIC);
    ask(&b, "hello", NULL);
    assert_int_equal(b.status, 202);
    assert_string_equal(b.method, "POST");
    assert_string_equal(b.path, "/a/b");
    assert_string_equal(b.body, "hello");
    assert_int_equal(b.body_n, 5);
    assert_true(before <= b.accepted && b.accepted <= b.complete);
    assert_false(b.bearer || b.basic);
    ask(&b, NULL, NULL);
    assert_string_equal(b.method, "GET");
    assert_int_equal(b.body_n, 0);
    bed_close(&b);
}

static void secrets_are_told_apart(void **state)
{
    struct bed b;
    bed_open(&b);
    ask(&b, "x", "Authorization: Bearer t0ken");
    assert_true(b.bearer && !b.basic);
    ask(&b, "x", "Authorization: Bearer t0keN");
    assert_false(b.bearer || b.basic);
    ask(&b, "x", "Authorization: Bearer t0ken1");
    assert_false(b.bearer || b.basic);
    ask(&b, "x", "Authorization: Basic dXM6cGE6NTU="); /* us:pa:55 */
    assert_true(b.basic && !b.bearer);
    ask(&b, "x", "Authorization: Basic dXM6cGE6NTY=");
    assert_false(b.bearer || b.basic);
    bed_close(&b);
}

static void a_body_above_the_limit_is_dropped(void **state)
{
    char body[1002];
    struct bed b;
    bed_open(&b);
    memset(body, 'x', sizeof body);
    body[1000] = '\0';
    ask(&b, body, NULL);
    assert_int_equal(b.status, 202);
    assert_int_equal(b.body_n, 1000);
    body[1000] = 'x';
    body[1001] = '\0';
    ask(&b, body, NULL);
    assert_int_equal(b.status, 413);
    assert_true(b.too_large && b.body_n == 0);
    bed_close(&b);
}

/* One says nothing, one a part of its head, one a part of its body; another is answered meanwhile. */
static void who_is_slow_is_cut_off_and_holds_up_nobody(void **state)
{
    static const char *const parts[] = {
        "", "POST / HTTP/1.1\r\nHo", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe"};
    int fds[ARRAY_SIZE(parts)];
    char c;
    struct bed b;
    bed_open(&b);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)http_server_port(b.server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fds[i], (const struct sockaddr *)&to, sizeof to), 0);
        assert_true(send(fds[i], parts[i], strlen(parts[i]), MSG_NOSIGNAL) >= 0);
    }
    ask(&b, "quick", NULL);
    assert_int_equal(b.status, 202);
    assert_int_equal(b.slow, 0);
    assert_int_equal(loop_run(b.loop, NULL), 0); /* to the third that is cut off */
    assert_int_equal(b.slow, 3);
    assert_int_equal(b.asked, 1);
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        assert_true(recv(fds[i], &c, 1, 0) <= 0);
        close(fds[i]);
    }
    bed_close(&b);
}

static void an_address_that_is_taken_is_told(void **state)
{
    struct bed b;
    struct err err = ERR_INIT;
    struct http_server *second;
    bed_open(&b);
    struct sockaddr_in same = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)http_server_port(b.server)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct http_server_spec spec = {.address = (const struct sockaddr *)&same,
                                    .address_n = sizeof same,
                                    .on_request = on_request};
    assert_int_equal(http_server_new(b.loop, &spec, &second, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, "cannot take this address and port"));
    bed_close(&b);
}

/* --- Streams --------------------------------------------------------------------------------- */

struct page {
    struct loop *loop;
    struct http_server *server;
    struct http_stream *stream[8];
    size_t opened, ended, asked;
    char seen[256];
};

static void page_ended(struct http_stream *t, void *data)
{
    struct page *p = data;
    for (size_t i = 0; i < p->opened; i++)
        if (p->stream[i] == t)
            p->stream[i] = NULL;
    p->ended++;
}

static void page_asked(const struct http_asked *a, struct http_reply *reply, void *data)
{
    struct page *p = data;
    p->asked++;
    if (strcmp(a->path, "/events") == 0) {
        struct http_stream_spec spec = {.pending_max = 1 << 20, .on_end = page_ended, .data = p};
        reply->type = "text/event-stream";
        p->stream[p->opened++] = http_stream_open(a, reply, &spec);
        return;
    }
    const char *c = http_asked_cookie(a, "who"), *h = http_asked_header(a, "x-a"),
               *q = http_asked_query(a, "q"), *none = http_asked_query(a, "none");
    snprintf(p->seen, sizeof p->seen, "%s|%s|%s|%s|%s", a->path, c ? c : "-", h ? h : "-",
             q ? q : "-", none ? none : "-");
    buf_adds(&reply->body, p->seen);
    reply->type = "text/html";
    http_reply_field(reply, "X-One", "1");
    http_reply_field(reply, "X-Two", "2");
}

static void page_open(struct page *p, unsigned per_address)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct err err = ERR_INIT;
    *p = (struct page){0};
    assert_int_equal(loop_new(LOOP_REAL, &p->loop, NULL), 0);
    struct http_server_spec spec = {.address = (const struct sockaddr *)&any,
                                    .address_n = sizeof any,
                                    .body_max = 1000,
                                    .connections = 8,
                                    .per_address = per_address,
                                    .within = 10 * NSEC_SEC,
                                    .keeps = true,
                                    .on_request = page_asked,
                                    .data = p};
    if (http_server_new(p->loop, &spec, &p->server, &err) < 0)
        fail_msg("%s", err.text);
}

static void page_close(struct page *p)
{
    http_server_free(p->server);
    loop_free(p->loop);
}

static int page_call(const struct page *p, const char *what)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)http_server_port(p->server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(fd, what, strlen(what), MSG_NOSIGNAL), strlen(what));
    return fd;
}

static void requests_follow_on_one_connection(void **state)
{
    char text[4096] = "";
    struct page p;
    page_open(&p, 0);
    int fd = page_call(&p, "GET /a%20b?q=1%262&none HTTP/1.1\r\nHost: x\r\nCookie: a=b; who=me\r\n"
                           "X-A: z\r\n\r\n");
    caller_hear(p.loop, fd, text, sizeof text, "/a b|me|z|1&2|");
    assert_non_null(strstr(text, "HTTP/1.1 200"));
    assert_non_null(strstr(text, "Content-Type: text/html\r\n"));
    assert_non_null(strstr(text, "X-One: 1\r\n"));
    assert_non_null(strstr(text, "X-Two: 2\r\n"));
    assert_null(strstr(text, "Connection: close"));
    assert_true(send(fd, "GET /2 HTTP/1.1\r\nHost: x\r\n\r\n", 29, MSG_NOSIGNAL) == 29);
    caller_hear(p.loop, fd, text, sizeof text, "/2|-|-|-|-");
    close(fd);
    page_close(&p);
}

static void a_stream_brings_each_piece_as_it_comes(void **state)
{
    char text[4096] = "";
    struct page p;
    page_open(&p, 0);
    int fd = page_call(&p, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
    caller_hear(p.loop, fd, text, sizeof text, "text/event-stream");
    assert_int_equal(http_stream_send(p.stream[0], "data: one\n\n", 11), 0);
    caller_hear(p.loop, fd, text, sizeof text, "data: one\n\n");
    assert_int_equal(http_stream_send(p.stream[0], "data: two\n\n", 11), 0);
    http_stream_end(p.stream[0]);
    caller_hear(p.loop, fd, text, sizeof text, "data: two\n\n");
    caller_hear(p.loop, fd, text, sizeof text, NULL);
    assert_int_equal(p.ended, 1);
    close(fd);
    page_close(&p);
}

/* Three streams: one reads, one never does, one has gone. More than any socket takes is sent. */
static void who_does_not_read_is_cut_off_and_harms_nobody(void **state)
{
    enum { PIECE = 65536, PIECES = 400 };
    static char piece[PIECE], heard[PIECE + 1];
    struct page p;
    size_t got = 0, cut = 0;
    page_open(&p, 0);
    memset(piece, 'x', sizeof piece);
    int fd[3];
    for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
        char text[4096] = "";
        fd[i] = page_call(&p, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
        caller_hear(p.loop, fd[i], text, sizeof text, "text/event-stream");
    }
    close(fd[2]);
    for (size_t k = 0; k < PIECES; k++) {
        for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
            if (p.stream[i] && http_stream_send(p.stream[i], piece, sizeof piece) != 0) {
                assert_int_not_equal(i, 0);
                cut++;
                p.stream[i] = NULL;
            }
        while (got < (k + 1) * PIECE) {
            ssize_t n = recv(fd[0], heard, PIECE, MSG_DONTWAIT);
            if (n > 0)
                got += (size_t)n;
            else
                assert_int_equal(loop_turn(p.loop, loop_fresh(p.loop) + 20 * NSEC_MSEC, NULL), 0);
        }
    }
    assert_non_null(p.stream[0]);
    assert_int_equal(p.ended, 2); /* one by what it did not take, one by its end */
    assert_true(cut == 1 || cut == 2);
    close(fd[0]);
    close(fd[1]);
    page_close(&p);
    assert_int_equal(p.ended, 3); /* those that are left end with the server */
}

static void one_address_has_a_share_of_the_connections(void **state)
{
    char text[4096] = "", none[64] = "";
    struct page p;
    int fd[3];
    page_open(&p, 2);
    for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
        fd[i] = page_call(&p, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
        text[0] = '\0';
        if (i < 2)
            caller_hear(p.loop, fd[i], text, sizeof text, "text/event-stream");
        else
            caller_hear(p.loop, fd[i], none, sizeof none, NULL);
    }
    assert_int_equal(p.asked, 2);
    assert_string_equal(none, "");
    for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
        close(fd[i]);
    page_close(&p);
}

static char *file_text(const char *path)
{
    static char text[2][8192];
    static size_t which;
    char *t = text[which++ % 2];
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    t[fread(t, 1, sizeof text[0] - 1, f)] = '\0';
    fclose(f);
    return t;
}

static void with_a_certificate_it_speaks_tls(void **state)
{
    char cert[PATH_MAX], dir[] = "/tmp/blackstart-tls-XXXXXX", key[PATH_MAX];
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct err err = ERR_INIT;
    struct bed b = {0};
    assert_non_null(mkdtemp(dir));
    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    const char *make[] = {"openssl",
                          "req",
                          "-x509",
                          "-newkey",
                          "ec",
                          "-pkeyopt",
                          "ec_paramgen_curve:P-256",
                          "-nodes",
                          "-days",
                          "2",
                          "-subj",
                          "/CN=localhost",
                          "-addext",
                          "subjectAltName=DNS:localhost,IP:127.0.0.1",
                          "-keyout",
                          key,
                          "-out",
                          cert,
                          NULL};
    int code = -1;
    if (child_run(make, NULL, 30 * NSEC_SEC, &code, NULL, NULL) < 0 || code != 0)
        test_skip("openssl is missing: TLS is not tested");
    assert_int_equal(loop_new(LOOP_REAL, &b.loop, NULL), 0);
    assert_int_equal(http_new(b.loop, &b.http, NULL), 0);
    struct http_server_spec spec = {.address = (const struct sockaddr *)&any,
                                    .address_n = sizeof any,
                                    .body_max = 1000,
                                    .connections = 8,
                                    .within = 5 * NSEC_SEC,
                                    .certificate = file_text(cert),
                                    .on_request = on_request,
                                    .data = &b};
    assert_int_equal(http_server_new(b.loop, &spec, &b.server, &err), -EINVAL);
    assert_string_equal(err.text, "a certificate and its private key are given together");
    spec.key = spec.certificate;
    assert_int_equal(http_server_new(b.loop, &spec, &b.server, &err), -EINVAL);
    assert_non_null(strstr(err.text, "the key is the certificate's own"));
    spec.key = file_text(key);
    if (http_server_new(b.loop, &spec, &b.server, &err) < 0)
        fail_msg("%s", err.text);
    snprintf(b.url, sizeof b.url, "https://localhost:%u/", http_server_port(b.server));
    struct http_request *r;
    struct http_spec ask_it = {
        .url = b.url, .body = "sealed", .tls = {.ca = cert}, .on_done = on_done, .data = &b};
    assert_int_equal(http_start(b.http, &ask_it, &r, NULL), 0);
    assert_int_equal(loop_run(b.loop, NULL), 0);
    assert_int_equal(b.status, 202);
    assert_string_equal(b.body, "sealed");
    bed_close(&b);
    unlink(cert);
    unlink(key);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_requests_are_taken_and_stamped),
        cmocka_unit_test(secrets_are_told_apart),
        cmocka_unit_test(a_body_above_the_limit_is_dropped),
        cmocka_unit_test(who_is_slow_is_cut_off_and_holds_up_nobody),
        cmocka_unit_test(an_address_that_is_taken_is_told),
        cmocka_unit_test(requests_follow_on_one_connection),
        cmocka_unit_test(a_stream_brings_each_piece_as_it_comes),
        cmocka_unit_test(who_does_not_read_is_cut_off_and_harms_nobody),
        cmocka_unit_test(one_address_has_a_share_of_the_connections),
        cmocka_unit_test(with_a_certificate_it_speaks_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
