/* Requests end as they should: answered, refused, reset, timed out, not trusted. Loopback only. */
#include "tests/support/test.h"

#include "sim/http/http.h"
#include "sim/loop/child.h"
#include "tests/support/httpd.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

struct fixture {
    struct httpd d;
    struct loop *loop;
    struct http *http;
};

struct got {
    int calls;
    struct http_answer a;
    char body[4096], detail[512], kind[64];
};

static void keep(struct http_request *r, const struct http_answer *a, void *data)
{
    struct got *g = data;
    g->calls++;
    g->a = *a;
    snprintf(g->body, sizeof g->body, "%s", a->body);
    snprintf(g->detail, sizeof g->detail, "%s", a->detail);
    const char *value;
    size_t n;
    if (http_answer_header(a, "x-kind", &value, &n))
        snprintf(g->kind, sizeof g->kind, "%.*s", (int)n, value);
    assert_true(a->end >= a->start);
}

static void start(struct fixture *f, const char *path, struct http_spec spec, struct got *g)
{
    char url[256];
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", f->d.port, path);
    if (!spec.url)
        spec.url = url;
    spec.on_done = keep;
    spec.data = g;
    struct http_request *r = NULL;
    struct err err = ERR_INIT;
    *g = (struct got){0};
    if (http_start(f->http, &spec, &r, &err) < 0)
        fail_msg("%s", err.text);
    assert_non_null(r);
    assert_int_equal(g->calls, 0); /* never from inside */
}

static struct got ask(struct fixture *f, const char *path, struct http_spec spec)
{
    struct got g;
    start(f, path, spec, &g);
    assert_int_equal(loop_run(f->loop, NULL), 0);
    assert_int_equal(g.calls, 1);
    return g;
}

static void good_answers_come_whole(void **state)
{
    struct fixture *f = *state;
    struct got g = ask(f, "/ok", (struct http_spec){0});
    assert_int_equal(g.a.outcome, HTTP_ANSWERED);
    assert_int_equal(g.a.status, 200);
    assert_string_equal(g.body, "all is well\n");
    assert_string_equal(g.kind, "test");
    assert_string_equal(g.detail, "");
    g = ask(f, "/continue", (struct http_spec){0});
    assert_string_equal(g.kind, "test"); /* not the early one's */
    assert_int_equal(ask(f, "/status/503", (struct http_spec){0}).a.status, 503);
    g = ask(f, "/redirect", (struct http_spec){0}); /* not followed */
    assert_int_equal(g.a.status, 302);
}

static void bodies_are_bounded(void **state)
{
    struct got g = ask(*state, "/big", (struct http_spec){.body_max = 1000});
    assert_int_equal(g.a.outcome, HTTP_ANSWERED);
    assert_int_equal(g.a.body_n, 1000);
    assert_true(g.a.body_cut);
    g = ask(*state, "/big", (struct http_spec){.body_max = 1000, .stop_when_cut = true});
    assert_int_equal(g.a.outcome, HTTP_ANSWERED);
    assert_int_equal(g.a.status, 200);
    assert_int_equal(g.a.body_n, 1000);
    assert_true(g.a.body_cut);
}

static void requests_say_what_was_written_and_no_more(void **state)
{
    struct fixture *f = *state;
    setenv("http_proxy", "http://127.0.0.1:1", 1); /* must not be used */
    const char *headers[] = {"X-Mine: yes", "Host: shop.example", NULL};
    struct got g =
        ask(f, "/echo",
            (struct http_spec){
                .method = "PUT", .headers = headers, .body = "abc", .timeout = NSEC_SEC});
    unsetenv("http_proxy");
    assert_int_equal(g.a.outcome, HTTP_ANSWERED);
    char want[512];
    snprintf(want, sizeof want,
             "PUT /echo HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: blackstart/%s\r\n"
             "Accept: */*\r\nX-Mine: yes\r\nContent-Length: 3\r\n\r\n",
             BLACKSTART_VERSION);
    assert_memory_equal(g.body, want, strlen(want));
}

static void failures_have_their_names(void **state)
{
    struct fixture *f = *state;
    struct http_spec limit = {.timeout = 20 * NSEC_SEC};
    assert_int_equal(ask(f, "/reset", limit).a.outcome, HTTP_RESET);
    assert_int_equal(ask(f, "/close", limit).a.outcome, HTTP_RESET);
    assert_int_equal(ask(f, "/half", limit).a.outcome, HTTP_RESET);
    assert_int_equal(ask(f, "/garbage", limit).a.outcome, HTTP_GARBAGE);
    int port;
    {
        struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t len = sizeof sin;
        AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0); /* bound, not listening */
        assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
        port = ntohs(sin.sin_port);
        char url[64];
        snprintf(url, sizeof url, "http://127.0.0.1:%d/", port);
        limit.url = url;
        struct got g = ask(f, "/", limit);
        assert_int_equal(g.a.outcome, HTTP_REFUSED);
        assert_non_null(strstr(g.detail, "127.0.0.1"));
    }
    limit.url = "http://no-such-name.invalid/";
    enum http_outcome o = ask(f, "/", limit).a.outcome;
    assert_true(o == HTTP_DNS || o == HTTP_TIMEOUT);
}

static void time_outs_are_exact(void **state)
{
    struct got g = ask(*state, "/hang", (struct http_spec){.timeout = 12345678});
    assert_int_equal(g.a.outcome, HTTP_TIMEOUT);
    assert_string_equal(g.detail, "no whole answer within 12.3 ms");
    assert_true(g.a.end - g.a.start >= 12345678);
    assert_true(g.a.end - g.a.start < 10 * NSEC_SEC); /* the server never ends it */
}

static void many_are_outstanding_at_once(void **state)
{
    struct fixture *f = *state;
    enum { N = 40 };
    static struct got g[N + 1];
    for (int i = 0; i < N; i++)
        start(f, "/slow/200", (struct http_spec){0}, &g[i]);
    start(f, "/ok", (struct http_spec){0}, &g[N]);
    assert_int_equal(loop_run(f->loop, NULL), 0);
    for (int i = 0; i <= N; i++)
        assert_int_equal(g[i].a.outcome, HTTP_ANSWERED);
    /* One after the other, each would begin when the one before has ended. */
    assert_true(g[N - 1].a.start < g[0].a.end);
    assert_true(g[N].a.end < g[N - 1].a.end);
}

static void cancelled_requests_are_silent(void **state)
{
    struct fixture *f = *state;
    struct got g = {0};
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/hang", f->d.port);
    struct http_spec spec = {.url = url, .timeout = NSEC_SEC, .on_done = keep, .data = &g};
    struct http_request *r = NULL;
    assert_int_equal(http_start(f->http, &spec, &r, NULL), 0);
    http_cancel(r);
    assert_int_equal(loop_run(f->loop, NULL), 0);
    assert_int_equal(g.calls, 0);
    assert_int_equal(http_start(f->http, &spec, &r, NULL), 0); /* left to http_free() */
}

static void bad_urls_are_refused_with_a_sentence(void **state)
{
    struct err err = ERR_INIT;
    assert_int_equal(http_check_url("ftp://somewhere/", &err), -EINVAL);
    assert_string_equal(err.text, "'ftp://somewhere/' is neither http:// nor https://");
    assert_int_equal(http_check_url("10.0.0.1/", &err), -EINVAL);
    assert_int_equal(http_check_url("http://[::1", &err), -EINVAL);
    assert_int_equal(http_check_url("http://10.0.0.1:99999/", &err), -EINVAL);
    assert_int_equal(http_check_url("https://[fd00::1]:8443/a?b=c", &err), 0);
}

/* --- TLS: against openssl's own server ----------------------------------------------------- */

#define OPENSSL_SCRIPT                                                                             \
    "cd \"$0\" && "                                                                                \
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "                \
    "-keyout key.pem -out cert.pem -subj /CN=shop.example "                                        \
    "-addext subjectAltName=DNS:shop.example 2>/dev/null"

static void ignore(struct child *c, const struct child_exit *e, void *data)
{
}

static void wait_for_port(int port)
{
    struct sockaddr_in sin = {.sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr = {htonl(INADDR_LOOPBACK)}};
    for (int i = 0; i < 2000; i++) {
        AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&sin, sizeof sin) == 0)
            return;
        usleep(2000);
    }
    fail_msg("the TLS server did not start");
}

static void certificates_are_verified_unless_told(void **state)
{
    struct fixture *f = *state;
    char dir[] = "/tmp/blackstart-tls-XXXXXX";
    assert_non_null(mkdtemp(dir));
    const char *make[] = {"sh", "-c", OPENSSL_SCRIPT, dir, NULL};
    int code = -1;
    if (child_run(make, NULL, 30 * NSEC_SEC, &code, NULL, NULL) < 0 || code != 0) {
        test_skip("openssl is missing: TLS is not tested");
    }
    int port = 20000 + getpid() % 20000;
    char accept[32], url[64], ca[64];
    snprintf(accept, sizeof accept, "127.0.0.1:%d", port);
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", port);
    snprintf(ca, sizeof ca, "%s/cert.pem", dir);
    const char *serve[] = {"openssl", "s_server", "-accept", accept,   "-cert", "cert.pem",
                           "-key",    "key.pem",  "-www",    "-quiet", NULL};
    struct child_spec spec = {
        .argv = serve, .dir = dir, .stdin_fd = -1, .stdout_fd = STDERR_FILENO, .on_exit = ignore};
    struct child *server = NULL;
    struct loop *side = NULL;
    assert_int_equal(loop_new(LOOP_REAL, &side, NULL), 0);
    assert_int_equal(child_start(side, &spec, &server, NULL), 0);
    wait_for_port(port);

    struct http_spec s = {.url = url, .timeout = 20 * NSEC_SEC};
    struct got g = ask(f, "", s);
    assert_int_equal(g.a.outcome, HTTP_TLS); /* self-signed */
    s.tls.no_verify = true;
    assert_int_equal(ask(f, "", s).a.status, 200);
    s.tls = (struct http_tls){.ca = ca};
    assert_int_equal(ask(f, "", s).a.outcome, HTTP_TLS); /* trusted, but it is not 127.0.0.1 */
    s.tls.server_name = "shop.example";
    g = ask(f, "", s);
    assert_int_equal(g.a.outcome, HTTP_ANSWERED);
    assert_int_equal(g.a.status, 200);
    s.tls.server_name = "other.example";
    assert_int_equal(ask(f, "", s).a.outcome, HTTP_TLS);
    s.tls = (struct http_tls){.ca = "/no/such/file"};
    assert_int_equal(ask(f, "", s).a.outcome, HTTP_TLS);

    child_free(server);
    loop_free(side);
    const char *clear[] = {"rm", "-r", dir, NULL};
    assert_int_equal(child_run(clear, NULL, 0, &code, NULL, NULL), 0);
}

static int set_up(void **state)
{
    signal(SIGPIPE, SIG_IGN);
    struct fixture *f = calloc(1, sizeof *f);
    f->d = httpd_start("127.0.0.1", 0);
    *state = f;
    return loop_new(LOOP_REAL, &f->loop, NULL) < 0 || http_new(f->loop, &f->http, NULL) < 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    http_free(f->http);
    loop_free(f->loop);
    httpd_stop(&f->d);
    free(f);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(good_answers_come_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bodies_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests_say_what_was_written_and_no_more, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(failures_have_their_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(time_outs_are_exact, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_are_outstanding_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cancelled_requests_are_silent, set_up, tear_down),
        cmocka_unit_test(bad_urls_are_refused_with_a_sentence),
        cmocka_unit_test_setup_teardown(certificates_are_verified_unless_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
