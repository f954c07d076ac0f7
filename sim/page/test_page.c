/* The page before strangers: who comes in, what each is shown, what is refused, on loopback with
 * requests written by hand. */
#include "tests/support/test.h"

#include "sim/base/jsonx.h"
#include "sim/base/text.h"
#include "sim/page/page.h"
#include "tests/support/caller.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

static const struct page_seat seats[] = {
    {"facilitator", "Facilitator", "facilitator", true, false},
    {"commander", "Incident commander", "player", false, true},
    {"comms", "Communications", "player", false, true},
};
static const unsigned char key[DOOR_KEY] = {7, 7, 7};

struct bed {
    struct loop *loop;
    struct page *page;
    char host[64];
    char text[65536]; /* of the last answer, head and body */
    unsigned status;
    const char *body;
    char cookie[1024]; /* "name=value" of the last Set-Cookie */
    size_t acted, joined, away, back, left, views;
    bool full;
    int refuse;
    char last_do[4096], padding[4096];
};

static void view(const struct page_person *p, struct buf *json, void *data)
{
    struct bed *b = data;
    b->views++;
    AUTO_JSON *j = json_pack("{s:o, s:s, s:s}", "secret_of", jsonx_new_text(p->seat->role), "last",
                             b->last_do, "padding", b->padding);
    jsonx_dump(j, json);
}

static int act(const struct page_person *p, const json_t *command, struct err *err, void *data)
{
    struct bed *b = data;
    AUTO_BUF text = BUF_INIT;
    if (b->refuse)
        return err_set(err, b->refuse, "refused as the test wants it");
    assert_null(json_object_get(command, "none"));
    jsonx_dump(command, &text);
    snprintf(b->last_do, sizeof b->last_do, "%s: %s", p->name, text.text);
    b->acted++;
    page_changed(b->page);
    return 0;
}

static int came(const struct page_person *p, enum page_coming what, struct err *err, void *data)
{
    struct bed *b = data;
    (void)p;
    if (what == PAGE_JOINED && b->full)
        return err_set(err, ENOSPC, "nobody more may join");
    ++*(what == PAGE_JOINED ? &b->joined
        : what == PAGE_AWAY ? &b->away
        : what == PAGE_BACK ? &b->back
                            : &b->left);
    return 0;
}

static int file(const struct page_person *p, const char *name, struct buf *content,
                const char **ret_type, void *data)
{
    if (strcmp(p->seat->role, "comms") != 0 || strcmp(name, "press.txt") != 0)
        return -ENOENT;
    buf_adds(content, "what the press has");
    *ret_type = "text/plain";
    return 0;
}

static void bed_open(struct bed *b)
{
    struct err err = ERR_INIT;
    struct page_spec spec = {.title = "A <b>rehearsal</b>",
                             .seats = seats,
                             .n_seats = ARRAY_SIZE(seats),
                             .key = key,
                             .handlers = {view, act, came, file, b}};
    *b = (struct bed){0};
    assert_int_equal(loop_new(LOOP_REAL, &b->loop, NULL), 0);
    assert_int_equal(page_address("0", &spec.address, &spec.address_n, NULL), 0);
    if (page_open(b->loop, &spec, &b->page, &err) < 0)
        fail_msg("%s", err.text);
    char url[PAGE_URL_MAX];
    page_url(b->page, url);
    snprintf(b->host, sizeof b->host, "%.*s", (int)strlen(url) - 8, url + 7);
}

static void bed_close(struct bed *b)
{
    page_close(b->page);
    loop_free(b->loop);
}

static int call(const struct bed *b, const void *what, size_t n)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(strchr(b->host, ':') + 1)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    for (size_t sent = 0; sent < n;) {
        ssize_t k = send(fd, (const char *)what + sent, n - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k > 0)
            sent += (size_t)k;
        else if (k < 0 && errno != EAGAIN)
            break; /* the server has had enough */
        else
            assert_int_equal(loop_turn(b->loop, loop_fresh(b->loop) + 5 * NSEC_MSEC, NULL), 0);
    }
    return fd;
}

static void raw(struct bed *b, const void *request, size_t n)
{
    int fd = call(b, request, n);
    b->text[0] = '\0';
    caller_hear(b->loop, fd, b->text, sizeof b->text, NULL);
    close(fd);
    const char *set = strstr(b->text, "Set-Cookie: "), *body = strstr(b->text, "\r\n\r\n");
    b->status = strncmp(b->text, "HTTP/1.", 7) == 0 ? (unsigned)atoi(b->text + 9) : 0;
    b->body = body ? body + 4 : "";
    b->cookie[0] = '\0';
    if (set)
        snprintf(b->cookie, sizeof b->cookie, "%.*s", (int)strcspn(set + 12, ";"), set + 12);
}

/* `more`: further head lines, each with its end. */
static unsigned ask(struct bed *b, const char *method, const char *path, const char *cookie,
                    const char *more, const char *body)
{
    static char request[70000];
    int n = snprintf(request, sizeof request,
                     "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s%s%s%s"
                     "Content-Length: %zu\r\n\r\n%s",
                     method, path, b->host, cookie ? "Cookie: " : "", cookie ? cookie : "",
                     cookie ? "\r\n" : "", more, strlen(body), body);
    raw(b, request, (size_t)n);
    return b->status;
}

#define JSON "Content-Type: application/json\r\n"

__attribute__((format(printf, 4, 5))) static unsigned tell(struct bed *b, const char *path,
                                                           const char *cookie, const char *fmt, ...)
{
    char body[4096];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(body, sizeof body, fmt, ap);
    va_end(ap);
    return ask(b, "POST", path, cookie, JSON, body);
}

static void join(struct bed *b, const char *name, const char *role, char cookie[1024])
{
    char code[DOOR_CODE];
    page_code(b->page, role, code);
    assert_int_equal(tell(b, "/join", NULL, "{\"code\":\"%s\",\"name\":\"%s\",\"role\":\"%s\"}",
                          code, name, role),
                     200);
    assert_non_null(strstr(b->text, "; Path=/; HttpOnly; SameSite=Strict\r\n"));
    memcpy(cookie, b->cookie, sizeof b->cookie);
}

#define JOIN_AS "{\"code\":\"%s\",\"name\":\"%s\",\"role\":\"%s\"}"

/* --- Tests -------------------------------------------------------------------------------------- */

static void each_is_shown_their_own_view(void **state)
{
    static struct bed b;
    char commander[1024], comms[1024], forged[1024];
    bed_open(&b);
    join(&b, "Ada", "commander", commander);
    join(&b, "Ben", "comms", comms);
    assert_int_equal(b.joined, 2);
    assert_int_equal(ask(&b, "GET", "/view", commander, "", ""), 200);
    assert_non_null(strstr(b.body, "\"secret_of\":\"commander\""));
    assert_non_null(strstr(b.body, "\"person\":\"Ada\""));
    assert_null(strstr(b.body, "\"codes\""));
    assert_int_equal(ask(&b, "GET", "/view", comms, "", ""), 200);
    assert_non_null(strstr(b.body, "\"secret_of\":\"comms\""));
    assert_int_equal(ask(&b, "GET", "/view", NULL, "", ""), 403);
    assert_null(strstr(b.text, "secret_of"));
    memcpy(forged, comms, sizeof forged);
    forged[strlen(forged) - 1] ^= 1;
    assert_int_equal(ask(&b, "GET", "/view", forged, "", ""), 403);
    /* The commander's cookie with the letters of another role and name. */
    char *point = strchr(commander, '.');
    snprintf(forged, sizeof forged, "%.*s.%s", (int)(point - commander), commander,
             strchr(comms, '.') + 1);
    assert_int_equal(ask(&b, "GET", "/view", forged, "", ""), 403);
    assert_int_equal(ask(&b, "GET", "/attachment/press.txt", commander, "", ""), 404);
    assert_int_equal(ask(&b, "GET", "/attachment/press.txt", comms, "", ""), 200);
    assert_string_equal(b.body, "what the press has");
    assert_int_equal(tell(&b, "/leave", comms, "{}"), 200);
    assert_non_null(strstr(b.text, "Max-Age=0"));
    bed_close(&b);
}

static void codes_open_their_role_alone(void **state)
{
    static struct bed b;
    char code[DOOR_CODE];
    bed_open(&b);
    page_code(b.page, "comms", code);
    assert_int_equal(tell(&b, "/seats", NULL, "{\"code\":\"%s\"}", code), 200);
    assert_string_equal(
        b.body, "{\"seats\":[{\"role\":\"comms\",\"title\":\"Communications\",\"direct\":true}]}");
    assert_int_equal(
        tell(&b, "/join", NULL, "{\"code\":\"%s\",\"name\":\"M\",\"role\":\"facilitator\"}", code),
        403);
    assert_int_equal(
        tell(&b, "/join", NULL, "{\"code\":\"%s\",\"name\":\"M\",\"role\":\"none\"}", code), 403);
    assert_string_equal(b.cookie, "");
    assert_int_equal(
        tell(&b, "/join", NULL, "{\"code\":\"%s\",\"name\":\" \",\"role\":\"comms\"}", code), 400);
    assert_non_null(strstr(b.body, "a name is missing"));
    for (int i = 0; i < 8; i++)
        assert_int_equal(tell(&b, "/seats", NULL, "{\"code\":\"0000-0000-000%d\"}", i), 403);
    assert_int_equal(tell(&b, "/seats", NULL, "{\"code\":\"%s\"}", code), 429);
    assert_int_equal(b.joined, 0);
    bed_close(&b);
}

static void the_room_s_code_leads_to_the_door(void **state)
{
    static struct bed b;
    char code[DOOR_CODE], facilitator[1024], ada[1024], id[64];
    bed_open(&b);
    join(&b, "Fay", "facilitator", facilitator);
    page_room_code(b.page, code);
    assert_int_equal(tell(&b, "/seats", NULL, "{\"code\":\"%s\"}", code), 200);
    assert_null(strstr(b.body, "facilitator"));
    assert_non_null(strstr(b.body, "\"direct\":false"));
    assert_int_equal(
        tell(&b, "/join", NULL, "{\"code\":\"%s\",\"name\":\"X\",\"role\":\"facilitator\"}", code),
        403);
    for (int yes = 0; yes < 2; yes++) {
        assert_int_equal(tell(&b, "/join", NULL,
                              "{\"code\":\"%s\",\"name\":\"Ada\",\"role\":\"commander\"}", code),
                         202);
        assert_int_equal(sscanf(b.body, "{\"waiting\":\"%40[0-9a-f]\"}", id), 1);
        assert_int_equal(tell(&b, "/waiting", NULL, "{\"waiting\":\"%s\"}", id), 202);
        assert_int_equal(ask(&b, "GET", "/view", facilitator, "", ""), 200);
        assert_non_null(strstr(b.body, "\"waiting\":[{\"n\":0,\"person\":\"Ada\""));
        assert_null(strstr(b.body, id));
        assert_int_equal(
            tell(&b, "/do", facilitator,
                 "{\"do\":\"admit\",\"key\":\"abcdefgh%d\",\"n\":0,\"person\":\"Ada\",\"yes\":%s}",
                 yes, yes ? "true" : "false"),
            200);
        assert_int_equal(tell(&b, "/waiting", NULL, "{\"waiting\":\"%s\"}", id), yes ? 200 : 403);
        memcpy(ada, b.cookie, sizeof ada);
        assert_int_equal(tell(&b, "/waiting", NULL, "{\"waiting\":\"%s\"}", id), 404);
    }
    assert_int_equal(ask(&b, "GET", "/view", ada, "", ""), 200);
    /* Who may not admit asks the owner, who knows no such thing: here it is only written down. */
    assert_int_equal(
        tell(&b, "/join", NULL, "{\"code\":\"%s\",\"name\":\"Eve\",\"role\":\"comms\"}", code),
        202);
    assert_int_equal(sscanf(b.body, "{\"waiting\":\"%40[0-9a-f]\"}", id), 1);
    tell(&b, "/do", ada,
         "{\"do\":\"admit\",\"key\":\"12345678\",\"n\":0,\"person\":\"Eve\",\"yes\":true}");
    assert_int_equal(tell(&b, "/waiting", NULL, "{\"waiting\":\"%s\"}", id), 202);
    bed_close(&b);
}

static void a_name_is_one_person_s(void **state)
{
    static struct bed b;
    char commander[1024], comms[1024], code[DOOR_CODE], body[512];
    bed_open(&b);
    join(&b, "Ada", "commander", commander);
    page_code(b.page, "comms", code);
    /* Another who calls himself Ada gets nothing, and changes nothing for her. */
    assert_int_equal(tell(&b, "/join", NULL, JOIN_AS, code, "Ada", "comms"), 409);
    assert_non_null(strstr(b.body, "somebody named Ada is here already"));
    assert_int_equal(ask(&b, "GET", "/view", commander, "", ""), 200);
    /* She herself changes her role: the old cookie opens nothing any more. */
    snprintf(body, sizeof body, JOIN_AS, code, "Ada", "comms");
    assert_int_equal(ask(&b, "POST", "/join", commander, JSON, body), 200);
    memcpy(comms, b.cookie, sizeof comms);
    assert_int_equal(ask(&b, "GET", "/view", commander, "", ""), 403);
    assert_int_equal(ask(&b, "GET", "/view", comms, "", ""), 200);
    assert_int_equal(b.joined, 2);
    /* Who has left comes in again by the code alone. */
    assert_int_equal(tell(&b, "/leave", comms, "{}"), 200);
    assert_int_equal(b.left, 1);
    assert_int_equal(ask(&b, "GET", "/view", comms, "", ""), 403);
    b.full = true;
    assert_int_equal(tell(&b, "/join", NULL, JOIN_AS, code, "Ada", "comms"), 409);
    assert_non_null(strstr(b.body, "nobody more may join"));
    assert_int_equal(ask(&b, "GET", "/view", comms, "", ""), 403);
    b.full = false;
    assert_int_equal(tell(&b, "/join", NULL, JOIN_AS, code, "Ada", "comms"), 200);
    assert_int_equal(ask(&b, "GET", "/view", comms, "", ""), 200);
    bed_close(&b);
}

static void commands_come_from_this_page_once(void **state)
{
    static const struct {
        const char *head, *body;
        unsigned status;
        const char *says;
    } bad[] = {
        {"Content-Type: text/plain\r\n", "{\"do\":\"x\",\"key\":\"00000001\"}", 403,
         "by this page"},
        {"Content-Type: application/x-www-form-urlencoded\r\n", "do=x&id=00000001", 403, "by this"},
        {"", "{\"do\":\"x\",\"key\":\"00000001\"}", 403, "by this page"},
        {JSON "Origin: http://evil.example\r\n", "{\"do\":\"x\",\"key\":\"00000001\"}", 403,
         "by this"},
        {JSON "Origin: null\r\n", "{\"do\":\"x\",\"key\":\"00000001\"}", 403, "by this page"},
        {JSON "Sec-Fetch-Site: cross-site\r\n", "{\"do\":\"x\",\"key\":\"00000001\"}", 403,
         "by this"},
        {JSON "Sec-Fetch-Site: same-site\r\n", "{\"do\":\"x\",\"key\":\"00000001\"}", 403,
         "by this"},
        {JSON, "", 400, "the request"},
        {JSON, "{", 400, "the request"},
        {JSON, "[1]", 400, "not an object"},
        {JSON, "\"do\"", 400, "the request"},
        {JSON, "{\"do\":\"x\"}", 409, "a key of its own"},
        {JSON, "{\"do\":\"x\",\"key\":5}", 409, "a key of its own"},
        {JSON, "{\"do\":\"x\",\"key\":\"short\"}", 409, "a key of its own"},
        {JSON, "{\"do\":\"x\",\"key\":\"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\"}", 400, "the request"},
    };
    static struct bed b;
    static char much[40000];
    char ada[1024], origin[256];
    bed_open(&b);
    join(&b, "Ada", "commander", ada);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        unsigned status = ask(&b, "POST", "/do", ada, bad[i].head, bad[i].body);
        if (status != bad[i].status || !strstr(b.body, bad[i].says))
            fail_msg("case %zu: %u %s", i, status, b.body);
    }
    memset(much, 'a', sizeof much - 1);
    memcpy(much, "{\"do\":\"", 7);
    assert_int_equal(ask(&b, "POST", "/do", ada, JSON, much), 413);
    for (size_t i = 0; i < 9000; i++)
        much[i] = '[';
    much[9000] = '\0';
    assert_int_equal(ask(&b, "POST", "/do", ada, JSON, much), 400);
    assert_int_equal(ask(&b, "POST", "/do", NULL, JSON, "{\"do\":\"x\",\"key\":\"00000001\"}"),
                     403);
    assert_int_equal(b.acted, 0);
    snprintf(origin, sizeof origin, JSON "Origin: http://%s\r\nSec-Fetch-Site: same-origin\r\n",
             b.host);
    assert_int_equal(ask(&b, "POST", "/do", ada, origin, "{\"do\":\"x\",\"key\":\"00000001\"}"),
                     200);
    assert_int_equal(b.acted, 1);
    assert_string_equal(b.last_do, "Ada: {\"do\":\"x\",\"key\":\"00000001\"}");
    assert_int_equal(ask(&b, "POST", "/do", ada, origin, "{\"do\":\"x\",\"key\":\"00000001\"}"),
                     409);
    assert_non_null(strstr(b.body, "has been sent before"));
    static const int codes[][2] = {{EPERM, 403}, {EINVAL, 400}, {EALREADY, 409}, {ENOSPC, 500}};
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        b.refuse = codes[i][0];
        assert_int_equal(tell(&b, "/do", ada, "{\"do\":\"x\",\"key\":\"refused-%zu\"}", i),
                         codes[i][1]);
        assert_string_equal(b.body, "{\"error\":\"refused as the test wants it\"}");
    }
    b.refuse = 0;
    size_t refused = 0;
    for (int i = 0; i < 80; i++)
        refused += tell(&b, "/do", ada, "{\"do\":\"y\",\"key\":\"flood-%03d\"}", i) == 409;
    assert_in_range(refused, 1, 45); /* 40 at once and 20 a second are taken */
    bed_close(&b);
}

static void a_stream_brings_the_view_and_each_change_once(void **state)
{
    static struct bed b;
    static char text[65536];
    char ada[1024], request[2048];
    bed_open(&b);
    join(&b, "Ada", "commander", ada);
    int n = snprintf(request, sizeof request,
                     "GET /events HTTP/1.1\r\nHost: x\r\nCookie: %s\r\n\r\n", ada);
    text[0] = '\0';
    int fd = call(&b, request, (size_t)n);
    caller_hear(b.loop, fd, text, sizeof text, "\"last\":\"\"");
    assert_non_null(strstr(text, "Content-Type: text/event-stream\r\n"));
    assert_non_null(strstr(text, "event: view\ndata: {\"title\":\"A <b>rehearsal</b>\""));
    assert_int_equal(page_connected(b.page), 1);
    size_t views = b.views;
    snprintf(b.last_do, sizeof b.last_do, "one");
    page_changed(b.page);
    page_changed(b.page);
    snprintf(b.last_do, sizeof b.last_do, "two");
    page_changed(b.page);
    caller_hear(b.loop, fd, text, sizeof text, "\"last\":\"two\"");
    assert_null(strstr(text, "\"last\":\"one\""));
    assert_int_equal(b.views, views + 1);
    close(fd);
    for (int i = 0; i < 400 && page_connected(b.page); i++) { /* the pings find it out */
        page_changed(b.page);
        assert_int_equal(loop_turn(b.loop, loop_fresh(b.loop) + 5 * NSEC_MSEC, NULL), 0);
    }
    assert_int_equal(page_connected(b.page), 0);
    bed_close(&b);
}

/* One reads nothing; another gets every change, and what waits for the first stays one view. */
static void who_does_not_read_harms_nobody(void **state)
{
    enum { CHANGES = 3000 };
    static struct bed b;
    static char text[65536];
    char ada[1024], request[2048], want[32];
    bed_open(&b);
    memset(b.padding, 'p', sizeof b.padding - 1);
    join(&b, "Ada", "commander", ada);
    int n = snprintf(request, sizeof request,
                     "GET /events HTTP/1.1\r\nHost: x\r\nCookie: %s\r\n\r\n", ada);
    int deaf = call(&b, request, (size_t)n), fd = call(&b, request, (size_t)n);
    for (int i = 0; i < CHANGES; i++) {
        snprintf(b.last_do, sizeof b.last_do, "change %d.", i);
        page_changed(b.page);
        snprintf(want, sizeof want, "change %d.", i);
        text[0] = '\0';
        caller_hear(b.loop, fd, text, sizeof text, want);
    }
    assert_int_equal(page_connected(b.page), 2);
    assert_true(b.views < 2 * CHANGES); /* not every change was made into a view for the deaf one */
    close(deaf);
    close(fd);
    bed_close(&b);
}

static void hostile_requests_are_answered_and_nothing_more(void **state)
{
    static const char *const bad[] = {
        "GET /attachment/../../../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET /attachment/%2e%2e%2f%2e%2e%2fetc%2fpasswd HTTP/1.1\r\nHost: x\r\nConnection: "
        "close\r\n\r\n",
        "GET /../page.c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET //etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET /view%00.html HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "DELETE /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "OPTIONS /do HTTP/1.1\r\nHost: x\r\nOrigin: http://evil\r\nConnection: close\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\r\n\r\n\r\n\r\n GET / HTTP/1.0\r\n\r\n",
        "\x16\x03\x01\x02\x02\x01\x01\x01\xfc\x03\x03 not TLS here\r\n\r\n",
        "POST /join HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: -5\r\n\r\n",
        "POST /join HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: "
        "chunked\r\n\r\nzz\r\n",
        "POST /join HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n{",
        "GET /view HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: "
        ";;;=;=;;blackstart=\xff\r\n\r\n",
    };
    static struct bed b;
    static char flood[200000];
    bed_open(&b);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        raw(&b, bad[i], strlen(bad[i]));
        if (b.status == 200 || strstr(b.text, "root:"))
            fail_msg("case %zu: %.200s", i, b.text);
    }
    char ada[1024];
    join(&b, "Ada", "commander",
         ada); /* what is there for somebody is not there under other names */
    static const char *const near[] = {"/view%00.html", "/view/",
                                       "/view?x%00",    "/VIEW",
                                       "/events%00",    "/attachment/press.txt%00.png"};
    for (size_t i = 0; i < ARRAY_SIZE(near); i++)
        if (ask(&b, "GET", near[i], ada, "", "") != 404 && strcmp(near[i], "/view?x%00") != 0)
            fail_msg("%s: %u", near[i], b.status);
    memset(flood, 'A', sizeof flood);
    memcpy(flood, "GET /", 5);
    raw(&b, flood, sizeof flood);
    assert_int_not_equal(b.status, 200);
    memcpy(flood, "GET / HTTP/1.1\r\nHost: x\r\nX: ", 29);
    raw(&b, flood, sizeof flood);
    assert_int_not_equal(b.status, 200);
    for (size_t i = 29; i + 8 < sizeof flood; i += 8)
        memcpy(flood + i, "\r\nA: bcd", 8);
    raw(&b, flood, sizeof flood);
    assert_int_not_equal(b.status, 200);
    assert_int_equal(ask(&b, "GET", "/", NULL, "", ""), 200);
    assert_non_null(strstr(b.text, "frame-ancestors 'none'"));
    assert_non_null(strstr(b.text, "X-Content-Type-Options: nosniff\r\n"));
    assert_non_null(strstr(b.text, "Cache-Control: no-store\r\n"));
    assert_int_equal(b.joined, 1);
    bed_close(&b);
}

/* Connections that say half of something: others are answered meanwhile. */
static void half_open_connections_hold_up_nobody(void **state)
{
    enum { HALF = 400 };
    static struct bed b;
    static int fds[HALF];
    bed_open(&b);
    for (size_t i = 0; i < HALF; i++) {
        fds[i] = call(&b, "GET / HT", i % 3 == 0 ? 0 : 8);
        assert_int_equal(loop_turn(b.loop, loop_fresh(b.loop), NULL), 0);
    }
    assert_int_equal(ask(&b, "GET", "/page.js", NULL, "", ""), 200);
    for (size_t i = 0; i < HALF; i++)
        close(fds[i]);
    assert_int_equal(ask(&b, "GET", "/page.css", NULL, "", ""), 200);
    bed_close(&b);
}

static void addresses_are_taken_as_people_write_them(void **state)
{
    static const struct {
        const char *text;
        bool fits, is_public;
    } all[] = {
        {"8080", true, false},
        {"0", true, false},
        {"127.0.0.1:80", true, false},
        {"127.9.9.9:80", true, false},
        {"0.0.0.0:80", true, true},
        {"192.0.2.1:65535", true, true},
        {"[::1]:0", true, false},
        {"[::]:80", true, true},
        {"[2001:db8::1]:80", true, true},
        {":8080", false, false},
        {"", false, false},
        {"65536", false, false},
        {"host:80", false, false},
        {"::1:80", false, false},
        {"127.0.0.1:", false, false},
        {"127.0.0.1:8a", false, false},
        {"127.0.0.1", false, false},
        {"[::1]", false, false},
        {"8080 ", false, false},
        {"[1111:1111:1111:1111:1111:1111:1111:1111:1111:1111]:1", false, false},
    };
    struct err err = ERR_INIT;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        struct sockaddr_storage a;
        socklen_t n;
        int r = page_address(all[i].text, &a, &n, &err);
        if ((r == 0) != all[i].fits || (r == 0 && page_is_public(&a) != all[i].is_public))
            fail_msg("'%s': %d", all[i].text, r);
        if (r < 0)
            assert_true(text_starts(err.text, "'") &&
                        strstr(err.text, "is no address to listen on"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_shown_their_own_view),
        cmocka_unit_test(codes_open_their_role_alone),
        cmocka_unit_test(the_room_s_code_leads_to_the_door),
        cmocka_unit_test(a_name_is_one_person_s),
        cmocka_unit_test(commands_come_from_this_page_once),
        cmocka_unit_test(a_stream_brings_the_view_and_each_change_once),
        cmocka_unit_test(who_does_not_read_harms_nobody),
        cmocka_unit_test(hostile_requests_are_answered_and_nothing_more),
        cmocka_unit_test(half_open_connections_hold_up_nobody),
        cmocka_unit_test(addresses_are_taken_as_people_write_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
