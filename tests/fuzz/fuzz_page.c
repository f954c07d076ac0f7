/* What strangers may ask of a page: method, path, fields, cookies, bodies, one request after the other.
 *
 * The input is requests, separated by the byte 0x1e: "METHOD PATH", fields, an empty line, the body. The
 * HTTP library is not ours to try, so the server is replaced by one that hands these over as it would. A field
 * `Cookie: @N` is the cookie of the N-th answer that set one, `Wait: N` lets so many seconds pass before,
 * `Deaf: 1` is a client that takes nothing of its stream. Codes are those of the key below.
 *
 * Whatever they are: no crash, no leak; every answer has its protecting fields; what is refused has a
 * sentence, and nothing of anybody's view; a view is its owner's; nothing is done but by a person who
 * has come in, and each key counts once.
 */
#include "tests/fuzz/fuzz.h"

#include "sim/base/jsonx.h"
#include "sim/http/server.h"
#include "sim/page/page.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define JAR 16
#define FIELDS 24
#define PART_MAX 20000

static const struct page_seat seats[] = {
    {"facilitator", "Facilitator", "facilitator", true, false},
    {"commander", "Incident commander", "player", false, true},
    {"comms", "Communications", "player", false, true},
};
static const unsigned char key[DOOR_KEY] = {7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
                                            7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7};

static void require(int holds)
{
    if (!holds)
        abort();
}

/* --- The server that stands in ---------------------------------------------------------------- */

struct field {
    const char *name;
    char *value;
};
struct fields { /* of a request; what http_asked.connection points to */
    struct field items[FIELDS];
    size_t n;
    char cookie[DOOR_COOKIE_MAX]; /* what was asked for last */
};
struct http_stream {
    struct http_stream_spec spec;
    char role[DOOR_ROLE_MAX]; /* who it may show the view of */
    bool deaf, cut;
    size_t waiting;
    struct http_stream *next;
};
struct http_server {
    struct http_server_spec spec;
    struct http_stream *streams;
    const char *role; /* of who asks; NULL: nobody */
    bool deaf;
};
static struct http_server the_server;

int http_server_new(struct loop *loop, const struct http_server_spec *spec,
                    struct http_server **ret, struct err *err)
{
    the_server = (struct http_server){.spec = *spec};
    *ret = &the_server;
    return 0;
}

unsigned http_server_port(const struct http_server *s)
{
    return 8080;
}

/* Streams that were cut end from the loop, once. */
static void streams_end(bool all)
{
    for (struct http_stream **at = &the_server.streams; *at;) {
        struct http_stream *s = *at;
        if (!s->cut && !all) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        s->spec.on_end(s, s->spec.data);
        free(s);
    }
}

struct http_server *http_server_free(struct http_server *s)
{
    if (s)
        streams_end(true);
    return NULL;
}

const char *http_asked_header(const struct http_asked *a, const char *name)
{
    const struct fields *f = a->connection;
    for (size_t i = 0; i < f->n; i++)
        if (strcasecmp(f->items[i].name, name) == 0)
            return f->items[i].value;
    return NULL;
}

const char *http_asked_cookie(const struct http_asked *a, const char *name)
{
    struct fields *f = a->connection;
    const char *all = http_asked_header(a, "Cookie"), *at = all ? strstr(all, name) : NULL;
    if (!at || at[strlen(name)] != '=')
        return NULL;
    at += strlen(name) + 1;
    snprintf(f->cookie, sizeof f->cookie, "%.*s", (int)strcspn(at, "; "), at);
    return f->cookie;
}

void http_reply_field(struct http_reply *reply, const char *name, const char *value)
{
    require(!strpbrk(name, "\r\n:") && !strpbrk(value, "\r\n"));
    buf_printf(&reply->fields, "%s: %s\n", name, value);
}

/* A view is a person's own. */
static void look_at_view(const char *text, const char *role)
{
    const char *secret = strstr(text, "\"secret_of\":\"");
    if (!secret)
        return;
    secret += strlen("\"secret_of\":\"");
    require(role && strncmp(secret, role, strlen(role)) == 0 && secret[strlen(role)] == '"');
}

struct http_stream *http_stream_open(const struct http_asked *a, struct http_reply *reply,
                                     const struct http_stream_spec *spec)
{
    struct http_stream *s = calloc(1, sizeof *s);
    require(s && the_server.role);
    *s = (struct http_stream){.spec = *spec, .deaf = the_server.deaf, .next = the_server.streams};
    snprintf(s->role, sizeof s->role, "%s", the_server.role);
    the_server.streams = s;
    reply->stream = s;
    return s;
}

int http_stream_send(struct http_stream *s, const void *bytes, size_t n)
{
    if (s->cut || s->waiting + n > s->spec.pending_max) {
        s->cut = true;
        return HTTP_STREAM_CUT;
    }
    look_at_view(bytes, s->role);
    s->waiting = s->deaf ? s->waiting + n : 0;
    return 0;
}

size_t http_stream_waiting(const struct http_stream *s)
{
    return s->waiting;
}

void http_stream_end(struct http_stream *s)
{
    s->cut = true;
}

void http_stream_cut(struct http_stream *s)
{
    s->cut = true;
}

/* --- The owner of the page -------------------------------------------------------------------- */

struct owner {
    struct page *page;
    char jar[JAR][DOOR_COOKIE_MAX + 64];
    size_t n_jar, acted;
};

static void owner_view(const struct page_person *p, struct buf *json, void *data)
{
    const struct owner *o = data;
    require(strlen(p->name) < DOOR_NAME_MAX && *p->name);
    buf_printf(json, "{\"secret_of\":\"%s\",\"acted\":%zu}", p->seat->role, o->acted);
}

static int owner_act(const struct page_person *p, const json_t *command, struct err *err,
                     void *data)
{
    struct owner *o = data;
    static const int codes[] = {EPERM, EINVAL, EALREADY, ENOENT, EAGAIN, EIO};
    int64_t refuse = jsonx_int(command, "refuse", 0);
    require(strlen(jsonx_str(command, "key", "")) >= 8 && the_server.role &&
            strcmp(the_server.role, p->seat->role) == 0);
    if (refuse > 0)
        return err_set(err, codes[(uint64_t)refuse % ARRAY_SIZE(codes)], "refused for a trial");
    o->acted++;
    page_changed(o->page);
    return 0;
}

static int owner_came(const struct page_person *p, enum page_coming what, struct err *err,
                      void *data)
{
    require(p->seat != NULL);
    return strcmp(p->name, "nobody") == 0 ? err_set(err, ENOSPC, "nobody more may join") : 0;
}

static int owner_file(const struct page_person *p, const char *name, struct buf *content,
                      const char **ret_type, void *data)
{
    if (strcmp(name, "press.txt") != 0)
        return -ENOENT;
    buf_adds(content, "what the press has");
    *ret_type = "text/plain";
    return 0;
}

/* --- Requests --------------------------------------------------------------------------------- */

/* Cuts the next line off; the rest follows. */
static char *line_cut(char **text)
{
    char *line = *text, *end = strchr(line, '\n');
    *text = end ? end + 1 : line + strlen(line);
    if (end)
        *end = '\0';
    size_t n = strlen(line);
    if (n && line[n - 1] == '\r')
        line[n - 1] = '\0';
    return line;
}

static void fields_read(struct fields *f, struct owner *o, char **text)
{
    while (**text) {
        char *line = line_cut(text), *colon = strchr(line, ':');
        if (!*line)
            return;
        if (!colon || f->n == FIELDS)
            continue;
        *colon = '\0';
        char *value = colon + 1 + strspn(colon + 1, " ");
        if (strcasecmp(line, "Cookie") == 0 && *value == '@')
            value = o->jar[(size_t)atoi(value + 1) % JAR];
        f->items[f->n++] = (struct field){line, value};
    }
}

/* Whose request it is by its cookie, found out beside the page. */
static const char *role_of(const struct http_asked *a, struct door_person *who)
{
    char name[32];
    struct door *d = door_new(key);
    door_cookie_name(d, name);
    const char *cookie = http_asked_cookie(a, name);
    bool known = cookie && door_knows(d, cookie, who);
    door_free(d);
    return known ? who->role : NULL;
}

static void look_at_answer(const struct http_asked *a, const struct http_reply *reply,
                           struct owner *o, const char *role)
{
    const char *set = strstr(buf_text(&reply->fields), "Set-Cookie: ");
    require(strstr(buf_text(&reply->fields), "X-Content-Type-Options: nosniff\n") &&
            strstr(buf_text(&reply->fields), "frame-ancestors 'none'"));
    require(reply->status >= 200 && reply->status <= 503);
    look_at_view(buf_text(&reply->body), role);
    if (reply->status >= 400) {
        AUTO_JSON *said = NULL;
        require(jsonx_parse(buf_text(&reply->body), reply->body.len, "an answer", &said, NULL) ==
                    0 &&
                *jsonx_str(said, "error", "") && !reply->stream);
    }
    if (set && o->n_jar < JAR)
        snprintf(o->jar[o->n_jar++], sizeof o->jar[0], "%.*s", (int)strcspn(set + 12, ";\n"),
                 set + 12);
}

static void ask(struct owner *o, struct loop *loop, char *text)
{
    struct fields f = {.n = 0};
    char *first = line_cut(&text), *path = strchr(first, ' ');
    fields_read(&f, o, &text);
    size_t n = strlen(text);
    struct http_asked a = {.method = first,
                           .path = path ? path + 1 : "/",
                           .body = n > the_server.spec.body_max ? "" : text,
                           .body_n = n > the_server.spec.body_max ? 0 : n,
                           .body_too_large = n > the_server.spec.body_max,
                           .peer = "192.0.2.1",
                           .connection = &f};
    if (path)
        *path = '\0';
    const char *wait = http_asked_header(&a, "Wait");
    nsec until = loop_now(loop) + (wait ? (nsec)(atoi(wait) & 63) : 0) * NSEC_SEC;
    while (loop_now(loop) < until) {
        require(loop_turn(loop, until, NULL) == 0);
        streams_end(false);
    }
    struct door_person who;
    struct http_reply reply = {.status = 200};
    size_t acted = o->acted;
    the_server.role = role_of(&a, &who);
    the_server.deaf = http_asked_header(&a, "Deaf") != NULL;
    the_server.spec.on_request(&a, &reply, the_server.spec.data);
    require(o->acted == acted || (reply.status == 200 && the_server.role));
    look_at_answer(&a, &reply, o, the_server.role);
    buf_done(&reply.body);
    buf_done(&reply.fields);
    require(loop_turn(loop, loop_now(loop), NULL) == 0); /* changed views go out */
    streams_end(false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct owner o = {.n_jar = 0};
    struct loop *loop = NULL;
    struct page_spec spec = {.title = "A <b>rehearsal</b>",
                             .seats = seats,
                             .n_seats = ARRAY_SIZE(seats),
                             .key = key,
                             .handlers = {owner_view, owner_act, owner_came, owner_file, &o}};
    if (n > 8 * PART_MAX || page_address("8080", &spec.address, &spec.address_n, NULL) < 0)
        return 0;
    char *text = strndup((const char *)data, n); /* fields and bodies of a page end at a NUL */
    require(text && loop_new(LOOP_VIRTUAL, &loop, NULL) == 0 &&
            page_open(loop, &spec, &o.page, NULL) == 0);
    for (char *rest = text, *part; (part = strsep(&rest, "\x1e"));)
        ask(&o, loop, part);
    page_close(o.page);
    loop_free(loop);
    free(text);
    return 0;
}
