/* The server against our own client, in one loop, on loopback: whole requests, secrets, limits. */
#include "tests/support/test.h"

#include "sim/http/http.h"
#include "sim/http/server.h"

#include <arpa/inet.h>
#include <errno.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_requests_are_taken_and_stamped),
        cmocka_unit_test(secrets_are_told_apart),
        cmocka_unit_test(a_body_above_the_limit_is_dropped),
        cmocka_unit_test(who_is_slow_is_cut_off_and_holds_up_nobody),
        cmocka_unit_test(an_address_that_is_taken_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
