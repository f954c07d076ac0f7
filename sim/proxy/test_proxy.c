/* What proxies understand of messages, without a network: DNS, HTTP/1, certificates. */
#include "tests/support/test.h"

#include <errno.h>
#include <sys/socket.h>

#include "sim/base/buf.h"
#include "sim/proxy/dns.h"
#include "sim/proxy/forge.h"
#include "sim/proxy/http1.h"

/* --- DNS -------------------------------------------------------------------------------------- */

static void a_query_is_understood(void **state)
{
    uint8_t m[512];
    struct dns_question q;
    size_t n = dns_query(7, "Shop.Example.com.", DNS_AAAA, m, sizeof m);
    assert_true(n > 0);
    assert_true(dns_question(m, n, &q));
    assert_string_equal(q.name, "shop.example.com");
    assert_int_equal(q.type, DNS_AAAA);
    assert_int_equal(q.end, n);
    assert_false(q.edns);
    for (size_t cut = 0; cut < n; cut++)
        assert_false(dns_question(m, cut, &q));
    static const uint8_t opt[] = {0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0};
    memcpy(m + n, opt, sizeof opt);
    m[11] = 1;
    assert_true(dns_question(m, n + sizeof opt, &q));
    assert_true(q.edns);
    m[2] |= 0x80; /* an answer */
    assert_false(dns_question(m, n + sizeof opt, &q));
}

static void names_match_as_they_are_written(void **state)
{
    assert_true(dns_matches("shop.example.com", "shop.example.com"));
    assert_true(dns_matches("Shop.Example.COM.", "shop.example.com"));
    assert_false(dns_matches("shop.example.com", "a.shop.example.com"));
    assert_true(dns_matches("*.example.com", "a.b.example.com"));
    assert_false(dns_matches("*.example.com", "example.com"));
    assert_false(dns_matches("*.example.com", "badexample.com"));
    assert_true(dns_matches("*", ""));
    assert_true(dns_is_pattern("*.example.com"));
    assert_true(dns_is_pattern("_sip._tcp.example.com"));
    assert_false(dns_is_pattern("a..b"));
    assert_false(dns_is_pattern("a.*.b"));
    assert_false(dns_is_pattern(""));
    assert_false(dns_is_pattern("what is it"));
}

static void an_answer_says_what_it_should(void **state)
{
    uint8_t query[512], m[1024];
    struct inet_prefix a[2];
    struct dns_question q;
    struct dns_seen seen;
    inet_parse("10.9.9.9", &a[0], NULL);
    inet_parse("fd00::9", &a[1], NULL);
    size_t n = dns_query(99, "db.test", DNS_AAAA, query, sizeof query);
    assert_true(dns_question(query, n, &q));
    struct dns_answer lie = {.ttl = 60, .addresses = a, .n = 2};
    n = dns_reply(query, &q, &lie, m, sizeof m);
    assert_true(dns_read_reply(m, n, 99, &seen));
    assert_int_equal(seen.rcode, DNS_NOERROR);
    assert_int_equal(seen.first.family, AF_INET6);
    assert_memory_equal(seen.first.addr, a[1].addr, 16);
    lie.n = 1; /* of the other family: none */
    n = dns_reply(query, &q, &lie, m, sizeof m);
    assert_true(dns_read_reply(m, n, 99, &seen));
    assert_int_equal(seen.first.family, 0);
    struct dns_answer no = {.rcode = DNS_NXDOMAIN};
    n = dns_reply(query, &q, &no, m, sizeof m);
    assert_true(dns_read_reply(m, n, 99, &seen));
    assert_int_equal(seen.rcode, DNS_NXDOMAIN);
    assert_false(dns_read_reply(m, n, 98, &seen));
    assert_false(dns_read_reply(query, 20, 99, &seen));
}

/* --- HTTP/1 ----------------------------------------------------------------------------------- */

static struct http1_request request(const char *head)
{
    struct http1_request q;
    assert_int_equal(http1_head_end(head, strlen(head)), strlen(head));
    assert_true(http1_may_be_request(head, strlen(head)));
    assert_true(http1_request(head, strlen(head), &q));
    return q;
}

static void requests_are_understood(void **state)
{
    struct http1_request q = request("GET /a/b?c=d HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_memory_equal(q.method, "GET", q.method_n);
    assert_int_equal(q.path_n, 4);
    assert_memory_equal(q.path, "/a/b", 4);
    assert_int_equal(q.framing, HTTP1_NONE);
    assert_true(q.keeps);
    q = request(
        "POST http://h:80/x HTTP/1.1\r\nContent-Length: 12\r\nConnection: Close, te\r\n\r\n");
    assert_int_equal(q.path_n, 2);
    assert_int_equal(q.framing, HTTP1_LENGTH);
    assert_int_equal(q.length, 12);
    assert_false(q.keeps);
    q = request("PUT / HTTP/1.1\nTransfer-Encoding: gzip, chunked\nExpect: 100-continue\n\n");
    assert_int_equal(q.framing, HTTP1_CHUNKED);
    assert_true(q.expects);
    assert_false(request("GET / HTTP/1.0\r\n\r\n").keeps);
    assert_true(request("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keeps);
}

static void what_is_doubtful_is_not_understood(void **state)
{
    static const char *const broken[] = {
        "GET / HTTP/2.0\r\n\r\n",
        "GET /\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        "GET / HTTP/1.1\r\nfolded: a\r\n b\r\n\r\n",
    };
    struct http1_request q;
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
        assert_false(http1_request(broken[i], strlen(broken[i]), &q));
    static const char *const others[] = {"PRI * HTTP/2.0\r\n", "\x16\x03\x01\x02", "SSH-2.0-x\r\n",
                                         "get something\r\n", "*1\r\n$4\r\nPING\r\n"};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        assert_false(http1_may_be_request(others[i], strlen(others[i])));
    static const char *const perhaps[] = {"G", "GET ", "GET /x", "GET /x HT",
                                          "PATCH /x HTTP/1.1\r\n"};
    for (size_t i = 0; i < ARRAY_SIZE(perhaps); i++)
        assert_true(http1_may_be_request(perhaps[i], strlen(perhaps[i])));
    assert_true(http1_may_be_response("HTTP", 4));
    assert_false(http1_may_be_response("220 mail", 8));
}

static struct http1_response response(const char *head)
{
    struct http1_response a;
    assert_true(http1_response(head, strlen(head), &a));
    return a;
}

static void responses_are_understood(void **state)
{
    assert_int_equal(response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").framing,
                     HTTP1_LENGTH);
    assert_int_equal(response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").framing,
                     HTTP1_CHUNKED);
    assert_int_equal(response("HTTP/1.0 200 OK\r\n\r\n").framing, HTTP1_TO_END);
    assert_int_equal(response("HTTP/1.1 204 No Content\r\n\r\n").framing, HTTP1_NONE);
    assert_int_equal(response("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n").framing,
                     HTTP1_NONE);
    assert_int_equal(response("HTTP/1.1 100 Continue\r\n\r\n").framing, HTTP1_NONE);
    assert_int_equal(response("HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n").status, 503);
    struct http1_response a;
    assert_false(http1_response("HTTP/1.1 xyz\r\n\r\n", 16, &a));
}

/* A body followed by something else, in pieces of every size. */
static void body_ends(enum http1_framing framing, uint64_t length, const char *body)
{
    AUTO_BUF all = BUF_INIT;
    size_t n = strlen(body);
    buf_printf(&all, "%sGET / HTTP/1.1\r\n\r\n", body);
    for (size_t piece = 1; piece <= all.len; piece++) {
        struct http1_body b = http1_body_of(framing, length);
        size_t taken = 0;
        for (size_t at = 0; at < all.len && !b.done; at += piece) {
            size_t some = all.len - at < piece ? all.len - at : piece;
            taken += http1_body_take(&b, all.text + at, some);
            assert_false(b.broken);
        }
        assert_true(b.done);
        assert_int_equal(taken, n);
    }
}

static void bodies_end_where_they_end(void **state)
{
    body_ends(HTTP1_LENGTH, 5, "hello");
    body_ends(HTTP1_CHUNKED, 0, "5\r\nhello\r\n0\r\n\r\n");
    body_ends(HTTP1_CHUNKED, 0,
              "A;x=y\r\n0123456789\r\n1\r\nz\r\n000\r\nTrailer: t\r\nOther: u\r\n\r\n");
    body_ends(HTTP1_CHUNKED, 0, "3\nabc\n0\n\n");
    static const char *const broken[] = {"x\r\n", "\r\n", "2\r\nabc\r\n", "fffffffffffffffff\r\n"};
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
        struct http1_body b = http1_body_of(HTTP1_CHUNKED, 0);
        http1_body_take(&b, broken[i], strlen(broken[i]));
        assert_true(b.broken);
    }
}

/* --- Certificates ----------------------------------------------------------------------------- */

static void every_flaw_is_seen(void **state)
{
    nsec now = nsec_now(CLOCK_REALTIME);
    struct err err = ERR_INIT;
    for (int flaw = FLAW_EXPIRED; flaw <= FLAW_NOT_YET_VALID; flaw++) {
        const struct proxy_tls good = {.flaw = FLAW_SELF_SIGNED};
        const struct proxy_tls bad = {.flaw = (enum proxy_flaw)flaw};
        CLEANUP(forge_free_p) struct forge *maker = NULL, *forger = NULL;
        X509 *real = X509_new(), *first = NULL, *second = NULL;
        X509_NAME_add_entry_by_txt(X509_get_subject_name(real), "CN", MBSTRING_ASC,
                                   (const unsigned char *)"shop.test", -1, -1, 0);
        assert_int_equal(forge_new(&good, &maker, &err), 0);
        assert_int_equal(forge_new(&bad, &forger, &err), 0);
        assert_int_equal(forge_certificate(maker, real, now, &first, &err), 0);
        assert_int_equal(forge_certificate(forger, first, now, &second, &err), 0);
        assert_int_equal(forge_flaw_of(second, now), flaw);
        if (flaw != FLAW_WRONG_NAME)
            assert_int_equal(
                X509_NAME_cmp(X509_get_subject_name(second), X509_get_subject_name(real)), 0);
        X509_free(real);
        X509_free(first);
        X509_free(second);
    }
}

static void an_issuer_must_be_one(void **state)
{
    struct err err = ERR_INIT;
    struct forge *f = NULL;
    const struct proxy_tls bad = {.ca_certificate = "no", .ca_key = "no"};
    assert_int_equal(forge_new(&bad, &f, &err), -EINVAL);
    assert_non_null(strstr(err.text, "issuer's certificate"));
    assert_null(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_is_understood),
        cmocka_unit_test(names_match_as_they_are_written),
        cmocka_unit_test(an_answer_says_what_it_should),
        cmocka_unit_test(requests_are_understood),
        cmocka_unit_test(what_is_doubtful_is_not_understood),
        cmocka_unit_test(responses_are_understood),
        cmocka_unit_test(bodies_end_where_they_end),
        cmocka_unit_test(every_flaw_is_seen),
        cmocka_unit_test(an_issuer_must_be_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
