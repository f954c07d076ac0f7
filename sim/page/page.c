/* Routes, views, commands.
 *
 * A view is made for each client when something has changed, never before: at the end of the loop's
 * turn (`flush`). A client that has not taken its last view is left stale and gets the newest one
 * once it has, so no more than one view waits for anybody; who takes nothing for STALE_MAX is cut
 * off. That someone has gone is noticed by the pings that are not taken (server.h).
 */
#include "sim/page/page.h"

#include "sim/base/jsonx.h"
#include "sim/http/server.h"
#include "sim/page/assets.h"
#include "sim/page/people.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BODY_MAX 16384
#define CONNECTIONS 2048
#define PER_ADDRESS 1024
#define REQUEST_WITHIN (10 * NSEC_SEC)
#define VIEW_MAX (1u << 20)
#define PING_EVERY (5 * NSEC_SEC)
#define STALE_LOOK (50 * NSEC_MSEC)
#define STALE_MAX (20 * NSEC_SEC)
#define AWAY_AFTER (5 * NSEC_SEC)

struct client { /* an open stream */
    struct page *page;
    struct http_stream *stream;
    struct person *person;
    nsec stale; /* since when a view waits to be made; 0: none */
    struct client *prev, *next;
};

struct page {
    struct loop *loop;
    struct http_server *server;
    struct door *door;
    struct page_handlers do_;
    char *title;
    const struct page_seat *seats;
    size_t n_seats;
    bool tls;
    struct sockaddr_storage address;
    char cookie_name[32];
    struct people people;
    struct client *clients;
    size_t n_clients;
    struct loop_timer flush, ping, look;
};

/* --- Answers ---------------------------------------------------------------------------------- */

/* Nothing from elsewhere, nothing inline, no frame around us, nothing kept by caches. */
static const char *const safe_fields[][2] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
     "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cache-Control", "no-store"},
};

struct answer {
    const struct http_asked *asked;
    struct http_reply *reply;
};

static void answer_json(struct answer *a, unsigned status, json_t *j)
{
    AUTO_JSON *mine = j;
    jsonx_dump(mine, &a->reply->body);
    a->reply->status = status;
    a->reply->type = "application/json";
}

static void answer_refused(struct answer *a, unsigned status, const char *sentence)
{
    answer_json(a, status, json_pack("{s:o}", "error", jsonx_new_text(sentence)));
}

static void answer_cookie(struct answer *a, const struct page *p, const struct door_person *who)
{
    char value[DOOR_COOKIE_MAX] = "", cookie[DOOR_COOKIE_MAX + 96];
    if (who)
        door_cookie(p->door, who, value);
    snprintf(cookie, sizeof cookie, "%s=%s; Path=/; HttpOnly; SameSite=Strict%s%s", p->cookie_name,
             value, p->tls ? "; Secure" : "", who ? "" : "; Max-Age=0");
    http_reply_field(a->reply, "Set-Cookie", cookie);
}

/* --- Who asks --------------------------------------------------------------------------------- */

static const struct page_seat *seat_of(const struct page *p, const char *role)
{
    for (size_t i = 0; i < p->n_seats; i++)
        if (strcmp(p->seats[i].role, role) == 0)
            return &p->seats[i];
    return NULL;
}

static struct page_person shown(const struct person *person)
{
    return (struct page_person){.name = person->who.name, .seat = person->seat};
}

static int came(struct page *p, struct person *person, enum page_coming what, struct err *err)
{
    struct page_person who = shown(person);
    return p->do_.came ? p->do_.came(&who, what, err, p->do_.data) : 0;
}

/* NULL: nobody who has come in. */
static struct person *asker(struct page *p, const struct http_asked *asked)
{
    struct door_person who;
    const char *cookie = http_asked_cookie(asked, p->cookie_name);
    const struct page_seat *seat =
        cookie && door_knows(p->door, cookie, &who) ? seat_of(p, who.role) : NULL;
    struct person *person = seat ? people_get(&p->people, &who) : NULL;
    if (person && person->left)
        return NULL;
    if (person && !person->seat) { /* known from before we were started anew */
        person->seat = seat;
        came(p, person, PAGE_BACK, NULL);
    }
    return person;
}

/* A browser says where a request comes from; a form of another site cannot send this type at all
 * without asking first (fetch standard, CORS), which is never granted. */
static bool from_here(const struct page *p, const struct http_asked *asked)
{
    char own[300];
    const char *origin = http_asked_header(asked, "Origin"),
               *host = http_asked_header(asked, "Host"),
               *type = http_asked_header(asked, "Content-Type"),
               *site = http_asked_header(asked, "Sec-Fetch-Site");
    if (!type || strncasecmp(type, "application/json", 16) != 0 || (type[16] && type[16] != ';'))
        return false;
    if (site && strcmp(site, "same-origin") != 0)
        return false;
    if (!origin)
        return true; /* no browser */
    snprintf(own, sizeof own, "%s://%s", p->tls ? "https" : "http", host ? host : "");
    return strcmp(origin, own) == 0;
}

/* --- Views ------------------------------------------------------------------------------------ */

static json_t *new_waiting(const struct page *p, nsec now)
{
    json_t *list = json_array();
    for (size_t i = 0; i < PEOPLE_WAITING_MAX; i++) {
        const struct waiting *w = &p->people.waiting[i];
        if (w->state == WAITING_ASKED && now - w->seen < 30 * NSEC_SEC)
            json_array_append_new(list,
                                  json_pack("{s:i, s:o, s:s}", "n", (int)i, "person",
                                            jsonx_new_text(w->who.name), "role", w->who.role));
    }
    return list;
}

json_t *page_new_codes(const struct page *p)
{
    char code[DOOR_CODE];
    json_t *list = json_array();
    page_room_code(p, code);
    json_array_append_new(list,
                          json_pack("{s:n, s:s, s:s}", "role", "title",
                                    "Anybody: they choose a role, you let them in", "code", code));
    for (size_t i = 0; i < p->n_seats; i++) {
        door_code(p->door, p->seats[i].role, code);
        json_array_append_new(list, json_pack("{s:s, s:o, s:s}", "role", p->seats[i].role, "title",
                                              jsonx_new_text(p->seats[i].title), "code", code));
    }
    return list;
}

static void view_write(const struct page *p, const struct person *person, struct buf *out)
{
    struct page_person who = shown(person);
    AUTO_JSON *head = json_pack(
        "{s:o, s:{s:o, s:s, s:o, s:s, s:b}}", "title", jsonx_new_text(p->title), "me", "person",
        jsonx_new_text(who.name), "role", who.seat->role, "role_title",
        jsonx_new_text(who.seat->title), "kind", who.seat->kind, "admits", who.seat->admits);
    if (who.seat->admits) {
        json_object_set_new(head, "waiting", new_waiting(p, loop_now(p->loop)));
        json_object_set_new(head, "codes", page_new_codes(p));
    }
    jsonx_dump(head, out);
    out->text[--out->len] = '\0'; /* the brace: "view" follows as its last member */
    buf_adds(out, ",\"view\":");
    p->do_.view(&who, out, p->do_.data);
    buf_addc(out, '}');
}

static void client_send(struct client *c)
{
    AUTO_BUF text = BUF_INIT;
    buf_adds(&text, "event: view\ndata: ");
    view_write(c->page, c->person, &text);
    buf_adds(&text, "\n\n");
    c->stale = 0;
    http_stream_send(c->stream, text.text, text.len);
}

static void page_look(struct loop_timer *t, void *data)
{
    (void)t;
    struct page *p = data;
    nsec now = loop_now(p->loop);
    bool stale = false;
    for (struct client *c = p->clients; c; c = c->next) {
        if (!c->stale)
            continue;
        if (http_stream_waiting(c->stream) == 0)
            client_send(c);
        else if (now - c->stale > STALE_MAX)
            http_stream_cut(c->stream);
        else
            stale = true;
    }
    if (stale)
        loop_timer_set(p->loop, &p->look, nsec_add(now, STALE_LOOK));
}

static void page_flush(struct loop_timer *t, void *data)
{
    (void)t;
    struct page *p = data;
    nsec now = loop_now(p->loop);
    for (struct client *c = p->clients; c; c = c->next)
        if (!c->stale)
            c->stale = now;
    page_look(NULL, p);
}

void page_changed(struct page *p)
{
    if (!loop_timer_is_set(&p->flush))
        loop_timer_set(p->loop, &p->flush, loop_now(p->loop));
}

static void page_ping(struct loop_timer *t, void *data)
{
    (void)t;
    struct page *p = data;
    nsec now = loop_now(p->loop);
    for (struct client *c = p->clients; c; c = c->next)
        if (http_stream_waiting(c->stream) == 0)
            http_stream_send(c->stream, ":\n\n", 3);
    for (struct person *q = p->people.first; q; q = q->next)
        if (q->gone && !q->away && !q->left && now - q->gone > AWAY_AFTER) {
            q->away = true;
            came(p, q, PAGE_AWAY, NULL);
        }
    loop_timer_set(p->loop, &p->ping, nsec_add(now, PING_EVERY));
}

/* --- Streams ---------------------------------------------------------------------------------- */

static void client_ended(struct http_stream *s, void *data)
{
    (void)s;
    struct client *c = data;
    struct page *p = c->page;
    if (c->prev)
        c->prev->next = c->next;
    else
        p->clients = c->next;
    if (c->next)
        c->next->prev = c->prev;
    p->n_clients--;
    if (--c->person->streams == 0)
        c->person->gone = loop_now(p->loop);
    free(c);
}

static void get_events(struct page *p, struct person *person, struct answer *a)
{
    if (person->streams >= PEOPLE_STREAMS) { /* the oldest makes room: it is at the list's end */
        struct client *oldest = NULL;
        for (struct client *c = p->clients; c; c = c->next)
            if (c->person == person)
                oldest = c;
        http_stream_cut(oldest->stream);
    }
    struct client *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    *c = (struct client){.page = p, .person = person, .next = p->clients};
    if (p->clients)
        p->clients->prev = c;
    p->clients = c;
    p->n_clients++;
    person->streams++;
    person->gone = 0;
    if (person->away) {
        person->away = false;
        came(p, person, PAGE_BACK, NULL);
    }
    struct http_stream_spec spec = {
        .pending_max = VIEW_MAX + 4096, .on_end = client_ended, .data = c};
    a->reply->type = "text/event-stream";
    c->stream = http_stream_open(a->asked, a->reply, &spec);
    http_stream_send(c->stream, "retry: 1000\n\n", 13);
    client_send(c);
}

/* --- Coming in -------------------------------------------------------------------------------- */

static bool may_try(struct page *p, struct answer *a)
{
    if (door_may_try(p->door, a->asked->peer, loop_now(p->loop)))
        return true;
    answer_refused(a, 429, "too many wrong codes came from your address: wait a minute");
    return false;
}

static void wrong_code(struct page *p, struct answer *a)
{
    door_wrong(p->door, a->asked->peer, loop_now(p->loop));
    answer_refused(a, 403, "this code opens nothing here; ask the facilitator for yours");
}

static void post_seats(struct page *p, const json_t *body, struct answer *a)
{
    const char *code = jsonx_str(body, "code", "");
    AUTO_JSON *list = json_array();
    if (!may_try(p, a))
        return;
    bool room = door_opens(p->door, "", code);
    for (size_t i = 0; i < p->n_seats; i++) {
        const struct page_seat *s = &p->seats[i];
        bool direct = door_opens(p->door, s->role, code);
        if (direct || (room && s->by_room))
            json_array_append_new(list, json_pack("{s:s, s:o, s:b}", "role", s->role, "title",
                                                  jsonx_new_text(s->title), "direct", direct));
    }
    if (json_array_size(list) == 0)
        wrong_code(p, a);
    else
        answer_json(a, 200, json_pack("{s:O}", "seats", list));
}

/* They go, or change their role: cookies of this name in this role are worth nothing until they come
 * in again. */
static void go(struct page *p, struct person *person)
{
    for (struct client *c = p->clients; c; c = c->next)
        if (c->person == person)
            http_stream_cut(c->stream);
    person->left = true;
    person->gone = 0;
}

/* A name is one person's: whoever is here under it in another role must be the one who asks. */
static struct person *name_taken(struct page *p, const struct door_person *who,
                                 const struct person *asks)
{
    for (struct person *q = p->people.first; q; q = q->next)
        if (!q->left && q != asks && strcmp(q->who.name, who->name) == 0 &&
            strcmp(q->who.role, who->role) != 0)
            return q;
    return NULL;
}

static void come_in(struct page *p, const struct door_person *who, struct answer *a)
{
    struct err err = ERR_INIT;
    char taken[DOOR_NAME_MAX + DOOR_ROLE_MAX + 160];
    struct person *before = asker(p, a->asked), *other = name_taken(p, who, before);
    if (other) {
        snprintf(
            taken, sizeof taken,
            "somebody named %s is here already, in another role (%s): add an initial, or leave "
            "there first",
            who->name, other->who.role);
        answer_refused(a, 409, taken);
        return;
    }
    struct person *person = people_get(&p->people, who);
    if (!person) {
        answer_refused(a, 503, "too many people are here");
        return;
    }
    bool new = !person->seat || person->left;
    person->seat = seat_of(p, who->role);
    if (new &&came(p, person, PAGE_JOINED, &err) < 0) {
        person->left = true;
        answer_refused(a, 409, err.text);
        return;
    }
    person->left = false;
    if (before && before != person && strcmp(before->who.name, who->name) == 0)
        go(p, before); /* joining in the new role was leaving the old one */
    answer_cookie(a, p, who);
    answer_json(a, 200, json_pack("{s:s}", "role", who->role));
    page_changed(p);
}

static void post_join(struct page *p, const json_t *body, struct answer *a)
{
    struct err err = ERR_INIT;
    struct door_person who = {0};
    const char *code = jsonx_str(body, "code", ""), *role = jsonx_str(body, "role", "");
    const struct page_seat *seat = seat_of(p, role);
    if (!may_try(p, a))
        return;
    bool direct = seat && door_opens(p->door, role, code);
    if (!direct && !(seat && seat->by_room && door_opens(p->door, "", code))) {
        wrong_code(p, a);
        return;
    }
    if (door_name(jsonx_str(body, "name", ""), who.name, &err) < 0) {
        answer_refused(a, 400, err.text);
        return;
    }
    snprintf(who.role, sizeof who.role, "%s", seat->role);
    if (direct) {
        come_in(p, &who, a);
        return;
    }
    struct waiting *w = people_wait(&p->people, &who, loop_now(p->loop));
    if (!w) {
        answer_refused(a, 503, "too many people wait at the door");
        return;
    }
    answer_json(a, 202, json_pack("{s:s}", "waiting", w->id));
    page_changed(p);
}

static void post_waiting(struct page *p, const json_t *body, struct answer *a)
{
    struct waiting *w = people_waiting(&p->people, jsonx_str(body, "waiting", "?"));
    if (!w) {
        answer_refused(a, 404, "nobody waits under this number any more: join again");
        return;
    }
    w->seen = loop_now(p->loop);
    if (w->state == WAITING_ASKED) {
        answer_json(a, 202, json_pack("{s:s}", "waiting", w->id));
        return;
    }
    enum waiting_state state = w->state;
    struct door_person who = w->who;
    *w = (struct waiting){0};
    if (state == WAITING_ADMITTED)
        come_in(p, &who, a);
    else
        answer_refused(a, 403, "the facilitator did not let you in");
}

/* --- Commands --------------------------------------------------------------------------------- */

static int admit(struct page *p, const json_t *command, struct err *err)
{
    int64_t n = jsonx_int(command, "n", -1);
    struct waiting *w = n >= 0 && n < PEOPLE_WAITING_MAX ? &p->people.waiting[n] : NULL;
    if (!w || w->state != WAITING_ASKED ||
        strcmp(w->who.name, jsonx_str(command, "person", "")) != 0)
        return err_set(err, EALREADY, "nobody of this name waits any more");
    w->state = jsonx_bool(command, "yes", false) ? WAITING_ADMITTED : WAITING_REFUSED;
    page_changed(p);
    return 0;
}

static unsigned status_of(int r)
{
    return r == -EPERM || r == -EACCES      ? 403
           : r == -EINVAL                   ? 400
           : r == -EALREADY || r == -EAGAIN ? 409
           : r == -ENOENT                   ? 404
                                            : 500;
}

static void post_do(struct page *p, struct person *person, const json_t *body, struct answer *a)
{
    struct err err = ERR_INIT;
    const char *why;
    struct page_person who = shown(person);
    if (!people_may_act(person, jsonx_str(body, "key", ""), loop_now(p->loop), &why)) {
        answer_refused(a, 409, why);
        return;
    }
    int r = who.seat->admits && strcmp(jsonx_str(body, "do", ""), "admit") == 0
                ? admit(p, body, &err)
                : p->do_.act(&who, body, &err, p->do_.data);
    if (r < 0)
        answer_refused(a, status_of(r), err.text);
    else
        answer_json(a, 200, json_object());
}

static void get_file(struct page *p, struct person *person, struct answer *a)
{
    struct page_person who = shown(person);
    const char *type = "application/octet-stream", *name = a->asked->path + strlen("/attachment/");
    if (!p->do_.file || p->do_.file(&who, name, &a->reply->body, &type, p->do_.data) < 0) {
        buf_clear(&a->reply->body);
        answer_refused(a, 404, "there is no such file");
        return;
    }
    a->reply->type = type;
}

/* --- Routes ----------------------------------------------------------------------------------- */

static bool get_asset(struct answer *a)
{
    static const struct {
        const char *path, *type, *text;
    } all[] = {
        {"/", "text/html; charset=utf-8", page_html},
        {"/screen", "text/html; charset=utf-8", page_html},
        {"/page.js", "text/javascript; charset=utf-8", page_js},
        {"/page.css", "text/css; charset=utf-8", page_css},
        {"/icon.svg", "image/svg+xml", page_icon},
    };
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (strcmp(a->asked->path, all[i].path) == 0) {
            a->reply->text = all[i].text;
            a->reply->type = all[i].type;
            return true;
        }
    return false;
}

static void get(struct page *p, struct answer *a)
{
    const char *path = a->asked->path;
    if (get_asset(a))
        return;
    bool events = strcmp(path, "/events") == 0, view = strcmp(path, "/view") == 0;
    if (!events && !view && strncmp(path, "/attachment/", strlen("/attachment/")) != 0) {
        answer_refused(a, 404, "there is nothing here");
        return;
    }
    struct person *person = asker(p, a->asked);
    if (!person) {
        answer_refused(a, 403, "join first");
    } else if (events) {
        get_events(p, person, a);
    } else if (view) {
        view_write(p, person, &a->reply->body);
        a->reply->type = "application/json";
    } else {
        get_file(p, person, a);
    }
}

static void post(struct page *p, struct answer *a)
{
    struct err err = ERR_INIT;
    AUTO_JSON *body = NULL;
    const char *path = a->asked->path;
    static const char *const known[] = {"/seats", "/join", "/waiting", "/leave", "/do"};
    size_t i = 0;
    while (i < ARRAY_SIZE(known) && strcmp(path, known[i]) != 0)
        i++;
    if (i == ARRAY_SIZE(known)) {
        answer_refused(a, 404, "there is nothing here");
    } else if (!from_here(p, a->asked)) {
        answer_refused(a, 403, "this was not sent by this page");
    } else if (a->asked->body_too_large) {
        answer_refused(a, 413, "this is too much at once: 16 kB at most");
    } else if (jsonx_parse(a->asked->body, a->asked->body_n, "the request", &body, &err) < 0 ||
               !json_is_object(body)) {
        answer_refused(a, 400, err.code ? err.text : "the request is not an object");
    } else if (i == 0) {
        post_seats(p, body, a);
    } else if (i == 1) {
        post_join(p, body, a);
    } else if (i == 2) {
        post_waiting(p, body, a);
    } else if (i == 3) {
        struct person *person = asker(p, a->asked);
        if (person && came(p, person, PAGE_LEFT, &err) == 0)
            go(p, person);
        answer_cookie(a, p, NULL);
        answer_json(a, 200, json_object());
    } else {
        struct person *person = asker(p, a->asked);
        if (person)
            post_do(p, person, body, a);
        else
            answer_refused(a, 403, "join first");
    }
}

static void page_asked(const struct http_asked *asked, struct http_reply *reply, void *data)
{
    struct page *p = data;
    struct answer a = {.asked = asked, .reply = reply};
    if (strcmp(asked->method, "GET") == 0)
        get(p, &a);
    else if (strcmp(asked->method, "POST") == 0)
        post(p, &a);
    else
        answer_refused(&a, 405, "only GET and POST are understood");
    for (size_t i = 0; i < ARRAY_SIZE(safe_fields); i++)
        http_reply_field(reply, safe_fields[i][0], safe_fields[i][1]);
}

/* --- Beginning and end ------------------------------------------------------------------------ */

int page_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_n, struct err *err)
{
    char host[INET6_ADDRSTRLEN + 3] = "127.0.0.1";
    struct sockaddr_storage a = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&a;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a;
    const char *colon = strrchr(text, ':'), *port = colon ? colon + 1 : text;
    size_t n = colon ? (size_t)(colon - text) : 0, digits = strspn(port, "0123456789");
    unsigned long number = digits > 0 && digits <= 5 ? strtoul(port, NULL, 10) : 65536;
    if (port[digits] != '\0' || number > 65535 || (colon && n == 0) || n >= sizeof host)
        return err_set(err, EINVAL,
                       "'%s' is no address to listen on: write PORT (on loopback), ADDRESS:PORT or "
                       "[IPV6]:PORT",
                       text);
    if (colon)
        snprintf(host, sizeof host, "%.*s", (int)n, text);
    bool six = host[0] == '[' && host[n - 1] == ']';
    if (six)
        host[n - 1] = '\0';
    if (inet_pton(six ? AF_INET6 : AF_INET, six ? host + 1 : host,
                  six ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr) != 1)
        return err_set(err, EINVAL,
                       "'%s' is no address to listen on: a name is not resolved here, and an IPv6 "
                       "address stands in brackets",
                       text);
    a.ss_family = six ? AF_INET6 : AF_INET;
    *(six ? &v6->sin6_port : &v4->sin_port) = htons((uint16_t)number);
    *ret = a;
    *ret_n = six ? sizeof *v6 : sizeof *v4;
    return 0;
}

bool page_is_public(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET6)
        return !IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
    return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 != 127;
}

void page_url(const struct page *p, char url[PAGE_URL_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";
    bool six = p->address.ss_family == AF_INET6;
    inet_ntop(p->address.ss_family,
              six ? (const void *)&((const struct sockaddr_in6 *)&p->address)->sin6_addr
                  : (const void *)&((const struct sockaddr_in *)&p->address)->sin_addr,
              host, sizeof host);
    snprintf(url, PAGE_URL_MAX, "%s://%s%s%s:%u/", p->tls ? "https" : "http", six ? "[" : "", host,
             six ? "]" : "", http_server_port(p->server));
}

void page_code(const struct page *p, const char *role, char code[DOOR_CODE])
{
    door_code(p->door, role, code);
}

void page_room_code(const struct page *p, char code[DOOR_CODE])
{
    door_code(p->door, "", code); /* no role has an empty name */
}

size_t page_connected(const struct page *p)
{
    return p->n_clients;
}

int page_open(struct loop *loop, const struct page_spec *spec, struct page **ret, struct err *err)
{
    CLEANUP(page_close_p) struct page *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    *p = (struct page){.loop = loop,
                       .door = door_new(spec->key),
                       .do_ = spec->handlers,
                       .title = strdup(spec->title),
                       .seats = spec->seats,
                       .n_seats = spec->n_seats,
                       .tls = spec->certificate,
                       .address = spec->address,
                       .flush = {.fn = page_flush, .data = p},
                       .look = {.fn = page_look, .data = p},
                       .ping = {.fn = page_ping, .data = p}};
    if (!p->title)
        abort();
    door_cookie_name(p->door, p->cookie_name);
    struct http_server_spec server = {.address = (const struct sockaddr *)&spec->address,
                                      .address_n = spec->address_n,
                                      .body_max = BODY_MAX,
                                      .connections = CONNECTIONS,
                                      .per_address = PER_ADDRESS,
                                      .within = REQUEST_WITHIN,
                                      .keeps = true,
                                      .certificate = spec->certificate,
                                      .key = spec->key_of_certificate,
                                      .on_request = page_asked,
                                      .data = p};
    int r = http_server_new(loop, &server, &p->server, err);
    if (r < 0)
        return r;
    loop_timer_set(loop, &p->ping, nsec_add(loop_fresh(loop), PING_EVERY));
    *ret = steal_ptr(p);
    return 0;
}

struct page *page_close(struct page *p)
{
    if (!p)
        return NULL;
    http_server_free(p->server); /* ends the streams: clients go */
    loop_timer_cancel(p->loop, &p->flush);
    loop_timer_cancel(p->loop, &p->look);
    loop_timer_cancel(p->loop, &p->ping);
    people_done(&p->people);
    door_free(p->door);
    free(p->title);
    free(p);
    return NULL;
}
